/**
 * How a statement that comes past the models is recorded.
 * @module
 */
import type { Reading, Single, Target } from './bypass-read.ts'
import type { Meant } from './bypass-tables.ts'
import { columnsOf } from './cascade.ts'
import type { Catalog, Event } from './catalog.ts'
import type { Watch, Watched } from './watch.ts'

/** What is known of the tables. */
export interface View {
  watch: Watch
  catalog: Catalog
}

/** What a statement does to one table, as far as documents read it. */
export interface Effect {
  target: Target
  meant: Meant
  event: Event
  /** Set when documents read what it changes. */
  watched: Watched | undefined
  /** Columns of the change; null when rows come or go, or when it is not known. */
  columns: string[] | null
  /** True when it changes rows of other tables through foreign keys. */
  isCarried: boolean
  /** True when rows may leave what showed them. */
  isMoving: boolean
}

/**
 * `statement`: it says by itself what it wrote. `locked`: its rows are locked and read before. `whole`: only the tables are
 * known. `unseen`: nothing is.
 */
export type Plan =
  | { how: 'statement'; single: Single; effect: Effect }
  | { how: 'locked'; single: Single; effect: Effect }
  | { how: 'whole'; tables: readonly Watched[]; isFixed: boolean; isEmptying: boolean }
  | { how: 'unseen' }

/** Plans it; undefined when no document reads what it writes. */
export function planOf(view: View, reading: Reading, meant: readonly (Meant | undefined)[]): Plan | undefined {
  const effects = reading.targets.flatMap((target, at) => {
    const relation = meant[at]
    return relation ? [effectOf(view, target, relation)] : []
  })
  const tables = new Set([
    ...effects.flatMap((each) => reachedBy(view, each)),
    ...reading.unread.flatMap((text) => namedIn(view, text)),
  ])
  if (tables.size === 0) return undefined
  if (reading.isPrepared) return { how: 'unseen' }
  const [effect] = effects
  const { single, isFixed } = reading
  if (single && effect && effect.meant.below.length === 0) {
    if (!effect.isCarried && !effect.isMoving) return { how: 'statement', single, effect }
    if (single.verb !== 'INSERT' && !single.isJoined && !single.isOnly) return { how: 'locked', single, effect }
  }
  const isEmptying = reading.targets.every(({ verb }) => verb === 'TRUNCATE') && reading.unread.length === 0
  return { how: 'whole', tables: [...tables], isFixed, isEmptying }
}

function effectOf({ watch, catalog }: View, target: Target, meant: Meant): Effect {
  const { verb, set } = target
  const { id } = meant
  const event: Event = verb === 'DELETE' || verb === 'TRUNCATE' ? { kind: 'delete' } : { kind: 'update', columns: set }
  const isUpdating = event.kind === 'update' && (verb === 'UPDATE' || set.length > 0)
  const watched = catalog.unfit(id) ? undefined : watch.get(id)
  const columns = verb === 'UPDATE' ? columnsOf(catalog, id, event) : null
  const isRead = columns === null || columns.some((each) => watched?.columns.has(each))
  const isMoving = isUpdating && (catalog.changesMore(id) || set.some((each) => watched?.capture.includes(each)))
  const isCarried = (isUpdating || verb === 'DELETE') && catalog.carried(id, event).length > 0
  return {
    target,
    meant,
    event,
    columns,
    watched: isRead ? watched : undefined,
    isCarried,
    isMoving: isMoving && isRead && watched !== undefined,
  }
}

// Every table that it may change; more than it does, where foreign keys go on from there.
function reachedBy({ watch, catalog }: View, { target, meant, watched, isCarried }: Effect): Watched[] {
  const { id, below } = meant
  const further = isCarried || target.cascade ? catalog.truncated(id) : []
  const others = [...further, ...below].map((each) => watch.get(each)).filter((each) => each !== undefined)
  return watched ? [watched, ...others] : others
}

function namedIn({ watch, catalog }: View, text: string): Watched[] {
  const lower = text.toLowerCase()
  const named = [...watch].filter(([, { table }]) => lower.includes(table.name.toLowerCase()))
  const ids = new Set(named.flatMap(([id]) => [id, ...catalog.truncated(id)]))
  return [...ids].map((each) => watch.get(each)).filter((each) => each !== undefined)
}
