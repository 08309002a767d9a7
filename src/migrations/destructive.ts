/**
 * What SQL takes away: read by PostgreSQL's own parser, for those who look at a plan before it is carried out.
 * @module
 */

interface Node {
  removeType?: string
  renameType?: string
  newname?: string
  cmds?: { AlterTableCmd?: { subtype?: string; name?: string } }[]
  relation?: { relname?: string }
  relations?: { RangeVar?: { relname?: string } }[]
  objects?: unknown[]
}

const hint = /\b(?:drop|truncate|rename|delete)\b/i

/** What a text drops, empties or renames, a phrase each; `[]` also where it cannot be read. */
export async function destructiveIn(text: string): Promise<string[]> {
  if (!hint.test(text)) return []
  const { parse } = await import('libpg-query')
  try {
    const { stmts = [] } = (await parse(text)) as { stmts?: { stmt: Record<string, Node> }[] }
    return stmts.flatMap(({ stmt }) => Object.entries(stmt).flatMap(([kind, node]) => phrases(kind, node)))
  } catch {
    return []
  }
}

function phrases(kind: string, node: Node): string[] {
  switch (kind) {
    case 'DropStmt':
      return [`drops ${wordOf(node.removeType)} ${namesOf(node.objects).join(', ')}`]
    case 'TruncateStmt':
      return [`empties ${(node.relations ?? []).map((each) => each.RangeVar?.relname).join(', ')}`]
    case 'RenameStmt':
      return [`renames ${wordOf(node.renameType)} of ${node.relation?.relname ?? 'an object'} to ${node.newname}`]
    case 'DeleteStmt':
      return [`deletes rows of ${node.relation?.relname}`]
    case 'AlterTableStmt':
      return (node.cmds ?? []).flatMap(({ AlterTableCmd: each }) =>
        each?.subtype === 'AT_DropColumn' ? [`drops column ${each.name} of ${node.relation?.relname}`] : []
      )
    default:
      return []
  }
}

function wordOf(type: string = 'OBJECT_OBJECT'): string {
  return type.replace(/^OBJECT_/, '').toLowerCase().replaceAll('_', ' ')
}

function namesOf(objects: readonly unknown[] = []): string[] {
  return objects.map((each) =>
    (JSON.stringify(each).match(/"sval":"([^"]*)"/g) ?? [])
      .map((part) => part.slice('"sval":"'.length, -1)).join('.')
  )
}
