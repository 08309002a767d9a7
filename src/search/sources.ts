/**
 * Several sources as one: documents of several models, or of several parts of one, in one index.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { Choice, Db, Dependency, Documents, KeyRange, PageSize, Queryable, Source } from '../ports.ts'

/** One source among several. */
interface Part {
  /** Stands before `:` in the ids of its documents. */
  name: string
  source: Source
}

/**
 * Joins sources, each under a name of its own; ids of documents are `name:key`. Pages go through them in the order given.
 *
 * ```ts
 * fromSources({ book: fromModel(Book), film: fromModel(Film) }) // ids: book:1, film:1
 * ```
 *
 * Throws `DEFINITION_INVALID` for what is no source, and for a name that is not letters, digits, `_` or `-`.
 */
export function fromSources(sources: Readonly<Record<string, Source>>): Source {
  const parts = partsOf(sources)
  const named = (key: string) => parts.find(({ name }) => key.startsWith(`${name}:`))
  return {
    table: parts[0]!.source.table,
    get tables() {
      return parts.flatMap(({ source }) => source.tables)
    },
    parts: parts.flatMap(({ source }) => source.parts ?? [source]),
    ids: JSON.stringify(parts.map(({ name, source }) => [name, source.ids ?? null])),
    ...(parts.some(({ source }) => source.routing) && {
      routing(key: string) {
        const part = named(key)
        return part?.source.routing?.(keyIn(part, key))
      },
    }),
    dependencies: (db) => dependencies(db, parts),
    page: (db, range, size, version) => page(db, parts, range, size, version),
    byKeys: (db, keys, version) => byKeys(db, parts, keys, version),
    get knowsChanges() {
      return parts.every(({ source }) => source.knowsChanges === true)
    },
    ...(parts.every(({ source }) => source.keys) && {
      keys: (db: Queryable, choice: Choice, after: string | null, limit: number) =>
        keysOf(db, parts, choice, { after, limit }),
    }),
    making: (db) => making(db, parts),
    async count(db) {
      let count = 0
      for (const { source } of parts) count += await source.count(db)
      return count
    },
    ...(parts.some(({ source }) => source.countRows) && {
      async countRows(db: Queryable) {
        let count = 0
        for (const { source } of parts) count += await (source.countRows?.(db) ?? source.count(db))
        return count
      },
    }),
    split: (db, size) => split(db, parts, size),
  }
}

function partsOf(sources: unknown): Part[] {
  const parts = Object.entries(sources ?? {}).map(([name, source]) => ({ name, source: source as Source }))
  if (parts.length === 0) throw invalid('it is given none', 'give it some: fromSources({ book: fromModel(Book) })')
  for (const { name, source } of parts) {
    if (!/^[\w-]+$/.test(name)) throw invalid(`"${name}" is not letters, digits, _ and -`, 'rename it')
    if (typeof source?.page === 'function') continue
    throw invalid(`\`${name}\` is not a source`, "make it with `fromModel(Model)` of 'elastic-umzug/sequelize'")
  }
  return parts
}

function invalid(what: string, next: string): ElasticUmzugError {
  return new ElasticUmzugError('DEFINITION_INVALID', `fromSources() is wrong: ${what}.`, { next })
}

function keyIn({ name }: Part, key: string): string {
  return key.slice(name.length + 1)
}

async function making(db: Db, parts: readonly Part[]): Promise<string | undefined> {
  const all: string[][] = []
  for (const { name, source } of parts) {
    const made = await source.making?.(db)
    if (made === undefined) return undefined
    all.push([name, made])
  }
  return JSON.stringify(all)
}

async function dependencies(db: Db, parts: readonly Part[]): Promise<Dependency[]> {
  const all: Dependency[] = []
  for (const { name, source } of parts) {
    for (const each of await source.dependencies(db)) all.push({ ...each, prefix: `${name}:${each.prefix ?? ''}` })
  }
  return all
}

// Documents of one part a page. A bound without `:` stands before the first key of its part.
async function page(
  db: Queryable,
  parts: readonly Part[],
  { after, upTo }: KeyRange,
  size: PageSize,
  version: string,
): Promise<Documents> {
  const from = place(parts, after) ?? 0
  const to = place(parts, upTo) ?? parts.length - 1
  const within = (bound: string | null, at: number) =>
    bound?.startsWith(`${parts[at]!.name}:`) ? keyIn(parts[at]!, bound) : null
  for (let at = from; at <= to; at++) {
    if (at === to && upTo === parts[at]!.name) break
    const range = { after: within(after, at), upTo: within(upTo, at) }
    const read = await parts[at]!.source.page(db, range, size, version)
    if (read.last !== null) return prefixed(parts[at]!, read)
  }
  return { count: 0, body: '', keys: [], last: null }
}

// A bound that is no key of any part is none.
function place(parts: readonly Part[], bound: string | null): number | undefined {
  const at = parts.findIndex(({ name }) => bound === name || bound?.startsWith(`${name}:`))
  return at < 0 ? undefined : at
}

// Keys of one part at a time.
async function keysOf(
  db: Queryable,
  parts: readonly Part[],
  choice: Choice,
  { after, limit }: { after: string | null; limit: number },
): Promise<string[]> {
  const from = place(parts, after) ?? 0
  for (const [at, part] of parts.entries()) {
    if (at < from) continue
    const keys = await part.source.keys!(db, choice, at === from && after !== null ? keyIn(part, after) : null, limit)
    if (keys.length > 0) return keys.map((each) => `${part.name}:${each}`)
  }
  return []
}

async function byKeys(
  db: Queryable,
  parts: readonly Part[],
  keys: readonly string[],
  version: string,
): Promise<Documents> {
  const found: Documents = { count: 0, body: '', keys: [], last: null, failed: [] }
  for (const part of parts) {
    const own = keys.filter((each) => each.startsWith(`${part.name}:`)).map((each) => keyIn(part, each))
    if (own.length === 0) continue
    const read = prefixed(part, await part.source.byKeys(db, own, version))
    found.count += read.count
    found.body += read.body
    found.keys.push(...read.keys)
    found.failed!.push(...read.failed ?? [])
    found.last = read.last ?? found.last
  }
  return found
}

const action = '{"index":{"_id":"'

// Names are letters and digits, which JSON writes as they are.
function prefixed({ name }: Part, documents: Documents): Documents {
  const { body, keys, last, failed } = documents
  const lines: string[] = []
  for (let at = 0; at < body.length;) {
    const end = body.indexOf('\n', body.indexOf('\n', at) + 1) + 1
    lines.push(action, name, ':', body.slice(at + action.length, end))
    at = end
  }
  const whole = (key: string) => `${name}:${key}`
  return {
    ...documents,
    body: lines.join(''),
    keys: keys.map(whole),
    last: last === null ? null : whole(last),
    ...(failed && { failed: failed.map((each) => ({ ...each, key: whole(each.key) })) }),
  }
}

// Each part is cut into the same number: which of them is the largest is not known without reading it.
async function split(db: Queryable, parts: readonly Part[], size: number): Promise<string[]> {
  const share = Math.floor(size / parts.length)
  const cuts: string[] = []
  for (const [at, { name, source }] of parts.entries()) {
    if (at > 0 && share > 0) cuts.push(name)
    if (share > 1) cuts.push(...(await source.split(db, share)).map((each) => `${name}:${each}`))
  }
  return cuts
}
