/**
 * Reads SQL for what takes away or renames tables and columns: whatever was generated for them is made anew with it.
 * @module
 */
/** A text of SQL that may rename or drop columns or tables. */
export interface Alteration {
  /** `around`: it may be run inside a transaction of ours; `after`: it may not, or ends its own transaction itself. */
  place: 'around' | 'after'
  /** Where the COMMIT begins by which the text ends the one transaction that it began: what is sent before belongs to it. */
  commitAt: number | undefined
}

interface Statement {
  stmt: Record<string, Node>
  stmt_location?: number
}

interface Node {
  kind?: string
  removeType?: string
  concurrent?: boolean
  cmds?: { AlterTableCmd?: { subtype?: string; def?: { PartitionCmd?: { concurrent?: boolean } } } }[]
  args?: unknown[]
}

// Dear to parse everything: rows that a migration copies may make long texts.
const hint = /\b(?:alter|drop|do|call)\b/i

/**
 * What a text alters; undefined when it surely alters nothing. What cannot be read (it has placeholders, or is wrong)
 * counts as altering something afterwards.
 */
export async function alterationOf(text: string): Promise<Alteration | undefined> {
  if (!hint.test(text)) return undefined
  const statements = await read(text)
  if (statements === undefined) return { place: 'after', commitAt: undefined }
  if (!statements.some(({ stmt }) => alters(stmt))) return undefined
  const ends = statements.some(({ stmt }) => stmt.TransactionStmt !== undefined)
  const place = !ends && (statements.length > 1 || mayBeInside(statements[0]!.stmt)) ? 'around' : 'after'
  return { place, commitAt: commitOf(text, statements) }
}

async function read(text: string): Promise<Statement[] | undefined> {
  // Loaded when it is needed: it compiles a parser.
  const { parse } = await import('libpg-query')
  try {
    return ((await parse(text)) as { stmts?: Statement[] }).stmts ?? []
  } catch {
    return undefined
  }
}

const columnHolders = ['OBJECT_TABLE', 'OBJECT_SCHEMA', 'OBJECT_TYPE', 'OBJECT_DOMAIN', 'OBJECT_EXTENSION']

function alters({ DropStmt, ...other }: Statement['stmt']): boolean {
  if (DropStmt) return columnHolders.includes(DropStmt.removeType!)
  const kinds = ['RenameStmt', 'AlterTableStmt', 'AlterObjectSchemaStmt', 'DropOwnedStmt', 'DoStmt', 'CallStmt']
  return kinds.some((each) => other[each] !== undefined)
}

// Several statements in one text are one transaction already; a procedure or a block by itself may end its own.
function mayBeInside({ AlterTableStmt, DoStmt, CallStmt }: Statement['stmt']): boolean {
  if (CallStmt) return false
  if (DoStmt) return !/\b(?:commit|rollback)\b/i.test(JSON.stringify(DoStmt.args))
  return !AlterTableStmt?.cmds?.some(({ AlterTableCmd }) => AlterTableCmd?.def?.PartitionCmd?.concurrent)
}

function commitOf(text: string, statements: readonly Statement[]): number | undefined {
  const kinds = statements.map(({ stmt }) => stmt.TransactionStmt?.kind)
  const begins = ['TRANS_STMT_BEGIN', 'TRANS_STMT_START'].includes(kinds[0] ?? '')
  const inner = kinds.slice(1, -1).filter((each) => each !== undefined)
  if (!begins || kinds.at(-1) !== 'TRANS_STMT_COMMIT' || inner.length > 0) return undefined
  // Places are counted in bytes.
  const before = new TextEncoder().encode(text).subarray(0, statements.at(-1)!.stmt_location ?? 0)
  return new TextDecoder().decode(before).length
}
