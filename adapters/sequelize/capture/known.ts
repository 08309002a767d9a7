/**
 * What is known at a write: what must be recorded, and what the database does by itself.
 * @module
 */
import type { Transaction } from 'sequelize'
import { watchMs } from '../../../src/ports.ts'
import { type Catalog, catalogSql, parseCatalog } from './catalog.ts'
import { askRegistered, type Fresh, type Question } from './registered.ts'
import { rootOf, type Run } from './session.ts'
import type { Watch } from './watch.ts'

/** After this many milliseconds the catalog is read again, whatever is asked: renamed tables and columns are seen by then. */
const catalogMs = 10_000

/** Part of `watchMs` after which one write asks anew while the others go on. */
const softShare = 0.5

/** What one process knows through one instance. */
export interface Knowledge extends Question {
  process: Known
  /** Of transactions that see only their own snapshot, by the outermost one. */
  snapshots: WeakMap<object, Known>
  /** The newest of these: where the next one answers the same, it goes on from there. */
  newestSnapshot: Known | undefined
  /** Told what was read of the catalog. */
  onCatalog(catalog: Catalog, watch: Watch): void
}

/** What is known by the process, or in one snapshot. */
export interface Known {
  /** What definitions and registered versions read, as last answered. */
  fresh: Fresh | undefined
  /** True while a write asks before it has to. */
  asking: boolean
  catalog: { known: Catalog; watch: Watch } | undefined
  /** When the catalog was read. */
  readAtMs: number
  /** What writes outside of transactions have asked and got no answer to yet: others wait for the same. */
  asked: { atMs: number; answer: Promise<Learned> } | undefined
  reading: { watch: Watch; answer: Promise<Catalog> } | undefined
}

/** The connection of a write. */
export interface Session {
  run: Run
  transaction: Transaction | null
}

/** An answer, and where it is kept. */
export interface Learned {
  known: Known
  fresh: Fresh
}

const nothing = { fresh: undefined, catalog: undefined, asked: undefined, reading: undefined }

/** Nothing known yet. */
export function knowNothing(about: Question & Pick<Knowledge, 'onCatalog'>): Knowledge {
  const process = { ...nothing, asking: false, readAtMs: -Infinity }
  return { ...about, process, snapshots: new WeakMap(), newestSnapshot: undefined }
}

/** What a write is planned by. Throws `CAPTURE_STALE` in a transaction whose snapshot is older than a version. */
export async function learn(knowledge: Knowledge, session: Session): Promise<Learned> {
  const { process, snapshots } = knowledge
  const { transaction } = session
  const known = (transaction && snapshots.get(rootOf(transaction))) ?? process
  const { fresh, asking } = known
  const ageMs = fresh ? performance.now() - fresh.askedAtMs : Infinity
  // An answer that is too old is used by no write, whoever else is asking: a version may have been registered since, and
  // populated right after.
  if (fresh && (ageMs < watchMs * softShare || (asking && ageMs < watchMs))) return { known, fresh }
  known.asking = true
  try {
    return await (transaction ? ask(knowledge, session) : askTogether(knowledge, session, watchMs))
  } finally {
    known.asking = false
  }
}

/** What is known at most `maxAgeMs` after it was asked, or asked now. */
export async function learnAgain(knowledge: Knowledge, session: Session, maxAgeMs: number): Promise<Learned> {
  if (session.transaction) return await ask(knowledge, session)
  const { process: known } = knowledge
  const { fresh } = known
  if (fresh && performance.now() - fresh.askedAtMs < maxAgeMs) return { known, fresh }
  return await askTogether(knowledge, session, maxAgeMs)
}

// Where connections are scarce, the question waits for one as long as the writes do: one each would keep them scarce.
async function askTogether(knowledge: Knowledge, session: Session, maxAgeMs: number): Promise<Learned> {
  const { process: known } = knowledge
  const now = performance.now()
  if (known.asked && now - known.asked.atMs < maxAgeMs) return await known.asked.answer
  const asked = { atMs: now, answer: ask(knowledge, session) }
  known.asked = asked
  try {
    return await asked.answer
  } finally {
    if (known.asked === asked) known.asked = undefined
  }
}

/** The same, asked now: on the writer's own connection, for with a pool of one there is no other. */
export async function ask(knowledge: Knowledge, { run, transaction }: Session): Promise<Learned> {
  const once = () => askRegistered(run, knowledge)
  const answer = await once().catch((error) => {
    // By itself, the next statement sees what this one was too early for.
    if (transaction || error.code !== 'CAPTURE_STALE') throw error
    return once()
  })
  const known = placeOf(knowledge, transaction, answer)
  // The same object for the same answer, so that what is known of the catalog stays known.
  const fresh = known.fresh?.text === answer.text ? { ...answer, watch: known.fresh.watch } : answer
  if (!known.fresh || known.fresh.askedAtMs < fresh.askedAtMs) known.fresh = fresh
  return { known, fresh }
}

// What was read in a snapshot is never the process's own: it may be old.
function placeOf(
  knowledge: Knowledge,
  transaction: Transaction | null,
  { ofSnapshot, text }: Pick<Fresh, 'ofSnapshot' | 'text'>,
): Known {
  const { process, snapshots, newestSnapshot } = knowledge
  if (!transaction || !ofSnapshot) return process
  const root = rootOf(transaction)
  const alike = newestSnapshot?.fresh?.text === text ? newestSnapshot : process
  const known = snapshots.get(root) ?? { ...alike, asking: false, asked: undefined, reading: undefined }
  snapshots.set(root, known)
  knowledge.newestSnapshot = known
  return known
}

/** The catalog for what is watched. */
export async function catalogOf(knowledge: Knowledge, learned: Learned, session: Session): Promise<Catalog> {
  const { known, fresh: { watch } } = learned
  const { catalog, readAtMs } = known
  if (catalog?.watch === watch && performance.now() - readAtMs < catalogMs) return catalog.known
  if (session.transaction) return await readCatalog(knowledge, learned, session)
  if (known.reading?.watch === watch) return await known.reading.answer
  const reading = { watch, answer: readCatalog(knowledge, learned, session) }
  known.reading = reading
  try {
    return await reading.answer
  } finally {
    if (known.reading === reading) known.reading = undefined
  }
}

async function readCatalog(
  knowledge: Knowledge,
  { known, fresh: { watch, text } }: Learned,
  { run, transaction }: Session,
): Promise<Catalog> {
  // From now on the others go on with the old one, until this one is read.
  known.readAtMs = performance.now()
  const [row] = await run<{ catalog: string; ofSnapshot: boolean }>(catalogSql, [[...watch.keys()]]).catch((error) => {
    known.readAtMs = -Infinity
    throw error
  })
  const read = parseCatalog(row!.catalog, watch)
  const place = placeOf(knowledge, transaction, { ofSnapshot: row!.ofSnapshot, text })
  if (place !== known) known.readAtMs = -Infinity
  Object.assign(place, { catalog: { known: read, watch }, readAtMs: performance.now() })
  knowledge.onCatalog(read, watch)
  return read
}
