/**
 * The contracts between the core and the outside: a database, a search cluster, a source of documents, a runtime.
 * The core reaches PostgreSQL, Elasticsearch and the platform only through these; adapters implement them.
 * @module
 */

/** Runs single statements. Every result value is text, number, boolean, parsed JSON or null, whatever the application's parsers are. */
export interface Queryable {
  /**
   * Runs one statement with bound values (`$1` …) and gives its rows.
   * int2, int4, float and oid arrive as numbers, bool as boolean, json and jsonb parsed, all else as text.
   */
  query<Row extends object = Record<string, unknown>>(sql: string, values?: readonly unknown[]): Promise<Row[]>
}

/** A connection of its own, outside the application's pool. */
export interface Connection extends Queryable {
  /** True once the server or the network ended it. */
  readonly lost: boolean
  /** Calls back once the server or the network ended it; at once where they did already. */
  onLost(callback: () => void): void
  /** Calls back at every notification of a channel that was listened to. */
  onNotice(callback: () => void): void
  /** Closes it; an open transaction is rolled back. */
  close(): Promise<void>
}

/** The primary of one PostgreSQL database. */
export interface Db extends Queryable {
  /** Short name for messages: never holds a password. */
  readonly label: string
  /** Runs the work in one READ COMMITTED transaction on one connection; rolls back when it throws. */
  transaction<T>(work: (tx: Queryable) => Promise<T>): Promise<T>
  /** Runs statements in a transaction that the application began: one of its ORM's. */
  within(transaction: object): Queryable
  /** Opens a connection outside the pool. */
  connect(): Promise<Connection>
}

/** One request to the search cluster. */
export interface SearchRequest {
  /** HTTP method. */
  method: 'GET' | 'POST' | 'PUT' | 'DELETE' | 'HEAD'
  /** Path, already encoded, from `/` on. */
  path: string
  /** Query string. */
  query?: Record<string, string | number | boolean>
  /** An object is sent as JSON; text is sent as newline-delimited JSON, unparsed. */
  body?: object | string
  /** Milliseconds after which the caller stops waiting; the request may still arrive. Default 30,000. */
  timeoutMs?: number
}

/** What the cluster answered, whatever the status. */
export interface SearchAnswer<Body = Record<string, unknown>> {
  /** HTTP status. */
  status: number
  /** The body, parsed. */
  body: Body
}

/** An Elasticsearch cluster. */
export interface SearchClient {
  /** Short name for messages: never holds a password. */
  readonly label: string
  /**
   * Sends one request once, without retries.
   * Throws `NoAnswerError` when no answer came; its `sent` is false only if the request surely never left.
   */
  request<Body = Record<string, unknown>>(request: SearchRequest): Promise<SearchAnswer<Body>>
}

/** A table, by schema and name. */
export interface Table {
  /** Schema, unquoted. */
  schema: string
  /** Name, unquoted. */
  name: string
}

/**
 * How old, in milliseconds, the list of registered versions may be that a write is recorded by. A version reads its first
 * row only when every process must have seen it.
 */
export const watchMs: number = 500

/**
 * How long, in milliseconds, a write may be on its way beyond that before it asks again whether it was planned too early.
 */
export const marginMs: number = 1_000

/**
 * What a version of an index reads from one table, stored with the version, so that any code can dispatch for it.
 * `keys` is SQL giving one text column `key`: the documents that the changed rows concern, ascending, above the cursor.
 * `$1` jsonb: array of changed rows as objects of column → text; `$2` text: cursor key or null; `$3` int: most rows.
 */
export interface Dependency {
  /** `schema.name` of the table. */
  table: string
  /** Columns read by the documents, and those that join; a change of others concerns no document. */
  columns: string[]
  /** Columns that must be recorded of every changed row, old and new: its key, and what joins it to documents. */
  capture: string[]
  /** The SQL for known rows. */
  keys: string
  /** True when `keys` gives at most one key a row and ignores cursor and limit (the table is the source's own). */
  own: boolean
  /** The SQL when the whole table changed (TRUNCATE): `$1` is ignored. */
  allKeys: string
  /** Text that stands before the keys that the SQL gives, and is taken off the cursor; none where it is left out. */
  prefix?: string
}

/** Documents read in one statement, ready to send. */
export interface Documents {
  /** Number of documents. */
  count: number
  /**
   * Newline-delimited `_bulk` lines: action and document in turn; an action begins with `{"index":{"_id":"`. Empty when
   * there are none.
   */
  body: string
  /** Keys of the documents, in the order of the body; only when asked for. */
  keys: string[]
  /** Last key of the page, also when its row made no document; null when the page was empty: the range is done. */
  last: string | null
  /** Keys whose document could not be made, with the reason: `document()` threw. */
  failed?: { key: string; reason: string }[]
}

/** A range of keys: greater than `after`, up to and including `upTo`; null is open. */
export interface KeyRange {
  /** Key before the first one. */
  after: string | null
  /** Last key. */
  upTo: string | null
}

/** Limits of one page. */
export interface PageSize {
  /** Most rows. */
  rows: number
  /** Bytes of documents after which a page ends early (it holds at least one row). */
  bytes: number
}

/** Which rows of a source: all that is given has to hold. */
export interface Choice {
  /** ISO time: changed then or later, by what the source knows of that. */
  since?: string
  /** A condition in the words of the source. */
  where?: unknown
}

/**
 * Reads rows in key order and makes documents from them.
 * A key is text: the row's primary key as PostgreSQL prints it; parts of a composite key are joined by `,`
 * with `\` and `,` inside a part escaped by `\`. It is the document's `_id`. A key that is not the primary key keeps this
 * form. What decides the shard of a document stands in its key, so no two documents ever have one `_id`.
 */
export interface Source {
  /** The table whose rows are documents; of the first part where there are several. */
  readonly table: Table
  /** The sources that this one joins; left out where it is one itself. */
  readonly parts?: readonly Source[]
  /** How `_id` and routing are made, where not by the primary key alone: another way needs another version. */
  readonly ids?: string
  /** The routing of the document with this key; left out where documents have none. */
  routing?(key: string): string | undefined
  /** Tables that are read. */
  readonly tables: readonly Table[]
  /** Checks what needs the database (columns, key) and tells what the documents depend on. */
  dependencies(db: Db): Promise<Dependency[]>
  /** Documents of a range in key order, with `version` as external version. */
  page(db: Queryable, range: KeyRange, size: PageSize, version: string): Promise<Documents>
  /** Documents of these keys; a key without one (row gone or out of scope) is missing in `keys`. */
  byKeys(db: Queryable, keys: readonly string[], version: string): Promise<Documents>
  /** True where the source knows when a row was changed. */
  readonly knowsChanges?: boolean
  /**
   * Keys of the chosen rows behind a key, in key order, at most so many; also of rows that are no documents. Left out where
   * rows cannot be chosen. Throws `COMMAND_INVALID` for a condition that names what there is not.
   */
  keys?(db: Queryable, choice: Choice, after: string | null, limit: number): Promise<string[]>
  /**
   * Text that tells how documents are made: where it is the same, so are they. Undefined, or left out, where that is known
   * to a function of the application alone.
   */
  making?(db: Db): Promise<string | undefined>
  /** Number of documents the source gives now. */
  count(db: Queryable): Promise<number>
  /**
   * Number of rows that may have a document, at least `count`. Only where to count documents means to make every one of
   * them; left out elsewhere.
   */
  countRows?(db: Queryable): Promise<number>
  /** Up to `parts - 1` keys that cut the table into parts of about the same size, ascending. */
  split(db: Queryable, parts: number): Promise<string[]>
}

/** A clock that never goes back, in milliseconds. */
export interface Clock {
  /** Milliseconds since some moment. */
  now(): number
  /** Resolves after the time, or at once when the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/** A process that was started. */
export interface Child {
  /** Its exit code, once it ended; null when a signal ended it. */
  readonly ended: Promise<number | null>
  /** Asks it to end. */
  stop(): void
}

/** What the platform gives: files, environment, signals. */
export interface Runtime {
  /** Which platform. */
  readonly name: 'node' | 'deno'
  /** Arguments of the command line, without the program. */
  readonly argv: readonly string[]
  /** Number of this process. */
  readonly pid: number
  /** The working directory. */
  cwd(): string
  /** Name of this machine. */
  hostname(): string
  /** Name of the user that runs this process. */
  user(): string
  /** Value of an environment variable; undefined where it is not set, or where this process may not read it. */
  env(name: string): string | undefined
  /** Runs a program and gives what it writes; undefined where it fails, is missing, takes over 5 s, or may not be run. Never asks. */
  run(program: string, args: readonly string[], folder: string): Promise<string | undefined>
  /** Text of a file. */
  readText(path: string): Promise<string>
  /** Writes a file; makes its folder. */
  writeText(path: string, text: string): Promise<void>
  /** Whether there is a file or folder. */
  exists(path: string): Promise<boolean>
  /** Joins and resolves against the working directory. */
  resolve(...parts: string[]): string
  /** Folder of a path. */
  dirname(path: string): string
  /** Loads a module (ESM, CommonJS, TypeScript) and gives its exports; a CommonJS `module.exports` is the `default` as well. */
  load(path: string): Promise<Record<string, unknown>>
  /** Loads modules named by the user before anything else (`require: [...]` of the config), resolved from the working directory. */
  preload(modules: readonly string[]): Promise<void>
  /** Writes to standard output. */
  write(text: string): void
  /** Writes to standard error. */
  writeError(text: string): void
  /** Whether standard output is a terminal. */
  readonly isTerminal: boolean
  /**
   * Asks on the terminal, and gives the line that is typed; undefined where nobody can be asked, because standard input or
   * error is no terminal, or where the signal ends it.
   */
  ask(question: string, signal?: AbortSignal): Promise<string | undefined>
  /** Calls back on SIGINT and SIGTERM; gives the function that takes it back. */
  onStop(callback: (signal: string) => void): () => void
  /** Starts this program once more with these arguments, and more in its environment. What it prints is not shown, its errors are. */
  startAgain(args: readonly string[], env: Readonly<Record<string, string>>): Child
  /** Ends the process now. */
  exit(code: number): never
  /** The clock. */
  readonly clock: Clock
}
