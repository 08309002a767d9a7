/**
 * What is wrong in a status, each with the next step.
 * @module
 */
import type { ServedVersion, Status } from './status.ts'
import { counted } from './words.ts'

/** Something that is wrong. */
export interface Problem {
  /** `error`: searches are wrong, get old or fail now, or changes are not recorded; `warning`: something is left to do. */
  severity: 'error' | 'warning'
  /** What and where. */
  what: string
  /** What to do now: a command or an edit. */
  next: string
}

type Seen = Omit<Status, 'problems'>
type Found = Omit<Problem, 'severity'>
type Rule = (seen: Seen, maxLagMs: number) => Found[]

// The gravest first: what is behind the first is often its consequence.
const rules: [Problem['severity'], Rule][] = [
  ['error', tables],
  ['error', cluster],
  ['error', suspicions],
  ['error', lost],
  ['error', aliases],
  ['error', stuck],
  ['error', triggers],
  ['error', unserved],
  ['error', lagging],
  ['error', changes],
  ['warning', aborted],
  ['warning', interrupted],
  ['warning', undeployed],
]

/** Everything that is wrong. */
export function problemsOf(seen: Seen, maxLagMs: number): Problem[] {
  return rules.flatMap(([severity, rule]) => rule(seen, maxLagMs).map((each) => ({ severity, ...each })))
}

function tables({ tables: { state, database, schema } }: Seen): Found[] {
  if (state === 'current') return []
  const where = `the own tables (schema ${schema}) of ${database}`
  if (state === 'newer') {
    return [{ what: `${where} were made by a newer release`, next: 'npm install elastic-umzug@latest' }]
  }
  const what = state === 'missing' ? `${where} do not exist yet` : `${where} are older than this release`
  return [{ what, next: 'npx umzug up' }]
}

function cluster({ cluster }: Seen): Found[] {
  const next = 'check the cluster; what changes meanwhile waits in the queue'
  if (cluster?.health === 'unreachable') {
    return [{ what: `Elasticsearch at ${cluster.cluster} does not answer: ${cluster.reason}`, next }]
  }
  return cluster?.health === 'red' ? [{ what: `Elasticsearch at ${cluster.cluster} is red`, next }] : []
}

function suspicions({ suspicions }: Seen): Found[] {
  return suspicions.map(({ message, versions }) => ({
    what: `${versions.join(', ')} may differ from the rows: ${message}`,
    next: 'npx umzug es:verify --repair',
  }))
}

function lost({ versions }: Seen): Found[] {
  return versions.filter((each) => each.lost && each.state !== 'created').map(({ physical, index, state }) => ({
    what: `${physical} is ${state}, and the cluster has no such index`,
    next: `npx umzug es:create ${index} --force, then npx umzug up`,
  }))
}

function aliases({ aliases, versions }: Seen): Found[] {
  return aliases.flatMap(({ index, targets }) => {
    const active = versions.find((each) => each.index === index && each.state === 'active')
    if (!active || active.lost || targets === null || targets.join() === active.physical) return []
    const where = targets.join(', ') || 'nothing'
    return [{
      what: `the alias of ${index} points at ${where}, and ${active.physical} is the active version`,
      next: `npx umzug es:activate ${index}@${active.number}`,
    }]
  })
}

// That an old version cannot be kept any more after a migration is no surprise, and a run under way is about to mend it.
function stuck({ versions, runs }: Seen): Found[] {
  if (runs.some((each) => each.holdsRunLock)) return []
  return versions.filter((each) => each.state !== 'retired').flatMap((
    { physical, index, dependencyError, awaitsWriters },
  ) => [
    ...(dependencyError
      ? [{
        what: `${physical} cannot be kept up to date any more: ${dependencyError}`,
        next: `npx umzug es:create ${index} --force, then npx umzug up`,
      }]
      : []),
    ...(awaitsWriters
      ? [{ what: `${physical} may lack changes: the run that brought it up to date was broken off`, next: up }]
      : []),
  ])
}

// Until they are as they should be, this code records what it writes through Sequelize by itself.
function triggers({ capture, runs }: Seen): Found[] {
  if (runs.some((each) => each.holdsRunLock)) return []
  const wrong = capture.tables.filter(({ configured, triggers }) =>
    configured === 'triggers' ? triggers !== 'current' : triggers === 'leaving'
  )
  return wrong.map(({ table, configured, triggers }) => ({
    what: configured === 'triggers'
      ? `${table} is to be captured by triggers, and they are ${triggers === 'none' ? 'not there' : triggers}: ` +
        'what other programs write is not recorded'
      : `the triggers of ${table} are being removed, and nobody goes on with it`,
    next: up,
  }))
}

const up = 'npx umzug up'
const worker = 'npx umzug queue:work, or search.start() in the application, with the code that has its definition'

// Who builds a version brings it up to date at the end, and one kept for a rollback before it is activated.
function unserved({ unserved, runs }: Seen): Found[] {
  const isBuilding = runs.some((each) => each.holdsRunLock)
  return unserved.filter(({ state, pending }) =>
    state === 'active' || state !== 'retired' && pending > 0 && !isBuilding
  )
    .map(({ prefix, index, number, pending, servedAt }) => {
      const since = servedAt ? `since ${servedAt.slice(0, 19)}` : 'since it was made'
      const waiting = counted(pending, 'document waits', 'documents wait')
      const what = `no worker has had the definition of ${prefix}${index}-${number} ${since}: ${waiting}`
      return { what, next: worker }
    })
}

function lagging({ versions, unserved }: Seen, maxLagMs: number): Found[] {
  const isServed = (version: ServedVersion) =>
    !unserved.some((each) => each.index === version.index && each.number === version.number)
  return versions.filter((each) => isRead(each) && isServed(each) && each.lagMs > maxLagMs).map((
    { physical, backlog, lagMs },
  ) => ({
    what: `${physical} is ${seconds(lagMs)} behind: ${counted(backlog, 'document waits', 'documents wait')}`,
    next: worker,
  }))
}

// What is kept for a rollback may lag behind: it catches up before it is activated.
function isRead({ state }: ServedVersion): boolean {
  return state === 'active'
}

function changes({ changes: { changes, oldestMs } }: Seen, maxLagMs: number): Found[] {
  if (oldestMs <= maxLagMs) return []
  return [{
    what: `nobody takes the changes that wait: ${changes}, for ${seconds(oldestMs)}`,
    next: 'npx umzug queue:work',
  }]
}

function aborted({ versions }: Seen): Found[] {
  return versions.filter((each) => each.aborted > 0 && each.state !== 'retired').map(({ physical, aborted }) => ({
    what: `${physical}: ${counted(aborted, 'document was', 'documents were')} refused for good`,
    next: 'npx umzug queue:status, which names them and the reasons',
  }))
}

function interrupted({ runs }: Seen): Found[] {
  return runs.filter((each) => each.state === 'interrupted').map(({ id, action, user, host, since }) => ({
    what: `${action} (${id} in the log) of ${user}@${host}, ${since.slice(0, 19)}, was interrupted`,
    next: action === 'up' ? up : 'the same command again, which npx umzug log shows; it goes on where that one stopped',
  }))
}

// A run under way is about to do it.
function undeployed({ runs, tables, pendingMigrations, unbuilt, versions }: Seen): Found[] {
  if (tables.state !== 'current' || runs.some((each) => each.holdsRunLock)) return []
  const pending = pendingMigrations.length
  return [
    ...(pending > 0 ? [{ what: `${counted(pending, 'migration is', 'migrations are')} not applied`, next: up }] : []),
    ...unbuilt.map((index) => notActive(index, versions)),
  ]
}

function notActive(index: string, versions: readonly ServedVersion[]): Found {
  const built = versions.filter((each) => each.index === index && each.known).at(-1)
  if (!built) return { what: `${index}: there is no version of this code's definition`, next: up }
  const what = `${index}: the version of this code, ${built.physical}, is ${built.state}, not active`
  const back = `deploy the code of the active version; or, to go back to this code: ${up}`
  return { what, next: built.state === 'retired' ? back : up }
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1_000)} s`
}
