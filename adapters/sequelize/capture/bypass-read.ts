/**
 * What a text of SQL writes, read with PostgreSQL's own parser.
 * @module
 */
import type { ScanToken } from 'libpg-query'

/** A table that is written. */
export interface Target {
  verb: 'INSERT' | 'UPDATE' | 'DELETE' | 'TRUNCATE'
  /** Undefined where the search path decides. */
  schema: string | undefined
  name: string
  /** Columns that an UPDATE, or an INSERT that meets a row, sets. */
  set: readonly string[]
  /** TRUNCATE … CASCADE */
  cascade: boolean
}

/** A text that is one INSERT, UPDATE or DELETE which writes to one table. */
export interface Single {
  verb: 'INSERT' | 'UPDATE' | 'DELETE'
  /** The statement without what follows it. */
  body: string
  /** The name that its own columns can be called by. */
  alias: string
  isReturning: boolean
  /** True when it reads other tables beside: `FROM`, `USING`; or names a cursor. */
  isJoined: boolean
  /** True when tables that inherit are left alone. */
  isOnly: boolean
  /** Its parts, of an UPDATE or DELETE. */
  parts(): Parts
}

/** An UPDATE or DELETE in parts: what stands before its condition is `withList` and `head`. */
export interface Parts {
  withList: Piece
  head: Piece
  /** Empty where all rows are meant. */
  condition: Piece
  tail: Piece
}

/** A part of a statement. */
export interface Piece {
  text: string
  /** Where `$1` … stand in it. */
  params: readonly { at: number; number: number; length: number }[]
}

/** What a text writes. */
export interface Reading {
  targets: readonly Target[]
  single: Single | undefined
  /** What the statement is called in messages. */
  kind: string
  /** Code and statements that are not read; any table that they name may be written. */
  unread: readonly string[]
  /** Why no statement at all can be read, if so. */
  trouble?: string
  /** True when it ends or begins transactions by itself. */
  isFixed: boolean
  /** True when it only says what is written later, under a name. */
  isPrepared: boolean
}

/** Longest text that is parsed, in characters: about a tenth of a second. */
const longest = 1_000_000

const verbs = /\b(?:insert|update|delete|merge|truncate|copy)\b/i
const harmless = /^\s*(?:select|begin|start|commit|rollback|savepoint|release|set|show)\b/i

/** False for most texts that write nothing, at next to no cost. */
export function mayWrite(sql: string): boolean {
  const end = sql.indexOf(';')
  if (harmless.test(sql) && (end < 0 || end === sql.length - 1)) return false
  return verbs.test(sql)
}

type Node = Record<string, unknown>
type Parser = typeof import('libpg-query')

let loading: Promise<Parser> | undefined

async function load(): Promise<Parser> {
  const parser = await import('libpg-query')
  await parser.loadModule()
  return parser
}

const mostKept = 500
const longestKept = 4_000
const kept = new Map<string, Reading | undefined>()

/** Reads a text; undefined when it writes nothing. Without the parser, as in a bundled application, none is read. */
export async function readWrites(sql: string): Promise<Reading | undefined> {
  if (kept.has(sql)) return kept.get(sql)
  let parser: Parser
  try {
    parser = await (loading ??= load())
  } catch (error) {
    // Tried again by the next one: not every reason lasts.
    loading = undefined
    return { ...unreadable(sql), trouble: `libpg-query cannot be loaded: ${String(error)}` }
  }
  const reading = read(parser, sql)
  if (sql.length <= longestKept) {
    if (kept.size >= mostKept) kept.delete(kept.keys().next().value!)
    kept.set(sql, reading)
  }
  return reading
}

interface Statement {
  stmt: Node
  stmt_location?: number
  stmt_len?: number
}

function read(parser: Parser, sql: string): Reading | undefined {
  if (sql.length > longest) return { ...nothing, kind: 'large statement', unread: [sql] }
  try {
    return understand(parser, sql)
  } catch {
    // Wrong, or the server knows more than this parser, or allows itself a deeper stack.
    return unreadable(sql)
  }
}

function unreadable(sql: string): Reading {
  return { ...nothing, kind: 'statement that cannot be read', unread: [sql] }
}

function understand(parser: Parser, sql: string): Reading | undefined {
  const statements = (parser.parseSync(sql).stmts ?? []) as Statement[]
  const found: Found = { targets: [], unread: [], isFixed: false, isPrepared: false, kinds: [] }
  for (const { stmt } of statements) look(stmt, found)
  if (found.targets.length === 0 && found.unread.length === 0) return undefined
  const { kinds, ...rest } = found
  const single = statements.length === 1 && kinds.length === 1 ? singleOf(parser, sql, statements[0]!) : undefined
  return { ...rest, kind: kinds.length === 1 ? kinds[0]! : 'statement that writes several times', single }
}

const nothing: Omit<Reading, 'kind'> = {
  targets: [],
  single: undefined,
  unread: [],
  isFixed: false,
  isPrepared: false,
}

interface Found {
  targets: Target[]
  unread: string[]
  isFixed: boolean
  isPrepared: boolean
  kinds: string[]
}

/** What writes, by the parser's name of it. */
const finders: Readonly<Record<string, (node: Node, found: Found) => void>> = {
  InsertStmt: (node, found) => {
    const { targetList = [] } = (node.onConflictClause ?? {}) as { targetList?: unknown }
    add(found, 'INSERT', [target('INSERT', node.relation, columnsIn(targetList))])
  },
  UpdateStmt: (node, found) => add(found, 'UPDATE', [target('UPDATE', node.relation, columnsIn(node.targetList))]),
  DeleteStmt: (node, found) => add(found, 'DELETE', [target('DELETE', node.relation)]),
  MergeStmt: (node, found) => add(found, 'MERGE', mergeTargets(node)),
  TruncateStmt: (node, found) => {
    const cascade = node.behavior === 'DROP_CASCADE'
    const relations = (node.relations as { RangeVar: unknown }[]).map(({ RangeVar }) => RangeVar)
    add(found, 'TRUNCATE', relations.map((each) => target('TRUNCATE', each, [], cascade)))
  },
  CopyStmt: (node, found) => {
    if (node.is_from && node.relation) add(found, 'COPY', [target('INSERT', node.relation)])
  },
  DoStmt: (node, found) => {
    const code = JSON.stringify(node)
    found.unread.push(code)
    found.kinds.push('DO')
    if (/\b(?:commit|rollback)\b/i.test(code)) found.isFixed = true
  },
  TransactionStmt: (node, found) => {
    if (!/SAVEPOINT|RELEASE|ROLLBACK_TO/.test(String(node.kind))) found.isFixed = true
  },
  PrepareStmt: (_, found) => {
    found.isPrepared = true
  },
}

// What these hold is only defined.
const definitions = new Set(['CreateFunctionStmt', 'RuleStmt', 'ViewStmt'])

function look(node: unknown, found: Found): void {
  if (typeof node !== 'object' || node === null) return
  for (const [name, value] of Object.entries(node)) {
    if (definitions.has(name) || (name === 'ExplainStmt' && !analyzes(value as Node))) continue
    if (!Array.isArray(node)) finders[name]?.(value as Node, found)
    look(value, found)
  }
}

function analyzes({ options = [] }: { options?: { DefElem?: { defname?: string } }[] }): boolean {
  return options.some(({ DefElem }) => DefElem?.defname === 'analyze')
}

function add(found: Found, kind: string, targets: readonly Target[]): void {
  found.targets.push(...targets)
  found.kinds.push(kind)
}

function target(verb: Target['verb'], relation: unknown, set: readonly string[] = [], cascade = false): Target {
  const { schemaname, relname } = relation as { schemaname?: string; relname: string }
  return { verb, schema: schemaname, name: relname, set, cascade }
}

function columnsIn(list: unknown): string[] {
  const targets = (list ?? []) as { ResTarget: { name: string } }[]
  return targets.map(({ ResTarget }) => ResTarget.name)
}

const mergeVerbs: Readonly<Record<string, Target['verb']>> = {
  CMD_INSERT: 'INSERT',
  CMD_UPDATE: 'UPDATE',
  CMD_DELETE: 'DELETE',
}

function mergeTargets({ relation, mergeWhenClauses }: Node): Target[] {
  return (mergeWhenClauses as { MergeWhenClause: { commandType: string; targetList?: unknown } }[]).flatMap(
    ({ MergeWhenClause: { commandType, targetList } }) => {
      const verb = mergeVerbs[commandType]
      return verb ? [target(verb, relation, verb === 'UPDATE' ? columnsIn(targetList) : [])] : []
    },
  )
}

function singleOf(parser: Parser, sql: string, { stmt, stmt_location = 0, stmt_len }: Statement): Single | undefined {
  const [name, node] = Object.entries(stmt)[0] as [string, Node]
  const verb = ({ InsertStmt: 'INSERT', UpdateStmt: 'UPDATE', DeleteStmt: 'DELETE' } as const)[name]
  // One inside another statement.
  if (!verb) return undefined
  const at = indexing(sql)
  const from = at(stmt_location)
  const body = sql.slice(from, stmt_len ? at(stmt_location + stmt_len) : sql.length)
  const { relname, alias, inh } = node.relation as { relname: string; alias?: { aliasname: string }; inh?: boolean }
  return {
    verb,
    body,
    alias: alias?.aliasname ?? relname,
    isReturning: node.returningClause !== undefined || node.returningList !== undefined,
    isJoined: 'fromClause' in node || 'usingClause' in node || 'CurrentOfExpr' in ((node.whereClause as Node) ?? {}),
    isOnly: inh !== true,
    parts: () => partsOf(parser, body),
  }
}

// The parser counts bytes of UTF-8.
function indexing(sql: string): (byte: number) => number {
  if (/^[\0-\x7f]*$/.test(sql)) return (byte) => byte
  const bytes = new TextEncoder().encode(sql)
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  return (byte) => decoder.decode(bytes.subarray(0, byte)).length
}

function partsOf(parser: Parser, body: string): Parts {
  const at = indexing(body)
  const tokens = parser.scanSync(body).tokens.map((each) => ({ ...each, start: at(each.start), end: at(each.end) }))
  const outer = outermost(tokens)
  const place = (word: string, after: number) => outer.find((each) => each.start >= after && is(each, word))?.start
  const verb = outer.find((each) => is(each, 'UPDATE') || is(each, 'DELETE'))!.start
  const tail = place('RETURNING', verb) ?? body.length
  const where = place('WHERE', verb) ?? tail
  const piece = (from: number, to: number): Piece => ({
    text: body.slice(from, to),
    params: tokens.filter(({ text, start }) => /^\$\d+$/.test(text) && start >= from && start < to).map((
      { text, start },
    ) => ({ at: start - from, number: Number(text.slice(1)), length: text.length })),
  })
  return {
    withList: piece(0, verb),
    head: piece(verb, where),
    condition: piece(Math.min(tail, where + 'WHERE'.length), tail),
    tail: piece(tail, body.length),
  }
}

function outermost(tokens: readonly ScanToken[]): ScanToken[] {
  let depth = 0
  return tokens.filter(({ text }) => {
    if (text === '(' || text === '[') depth++
    if (text === ')' || text === ']') depth--
    return depth === 0
  })
}

function is({ text, keywordKind }: ScanToken, word: string): boolean {
  return keywordKind > 0 && text.toUpperCase() === word
}
