/**
 * Whether the cluster has room for a version: better told before hours of loading than by a cluster that goes read-only.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import type { SearchClient, Source } from '../ports.ts'
import type { Store } from '../store/store.ts'
import { flatSettings } from './settings.ts'
import { activeVersion, type Version } from './versions.ts'

/** What a look at the room needs. */
export interface RoomDeps {
  store: Store
  search: SearchClient
  prefix: string
}

/** Rows that are made into documents where no version tells how large they are. */
const sampledRows = 200

/**
 * Compares what a version of so many rows will take, copies included, with what the data nodes have free up to the high
 * watermark of the cluster. By the active version where there is one, else by some documents. Where this login may not see
 * the disks, or the cluster does not watch them, nothing is checked. Throws `SEARCH_DISK`.
 */
export async function assertRoom(deps: RoomDeps, version: Version, source: Source, rows: number): Promise<void> {
  const free = await readRoom(deps.search)
  if (free === undefined) return
  const { number_of_replicas: replicas } = flatSettings(version.definition)
  const copies = 1 + (Number(replicas ?? 1) || 0)
  const bytes = Math.ceil(rows * await bytesPerRow(deps, version, source)) * Math.min(copies, Math.max(1, free.nodes))
  if (bytes <= free.bytes) return
  throw new ElasticUmzugError(
    'SEARCH_DISK',
    `${version.physical} will take about ${mb(bytes)} with its copies; below the high watermark of the cluster, ${
      mb(free.bytes)
    } are free.`,
    {
      next: `free or add disk, drop versions that are not needed (npx umzug es:list), or npx umzug es:update ` +
        `${version.index} --force`,
    },
  )
}

function mb(bytes: number): string {
  return `${Math.ceil(bytes / 1e6).toLocaleString('en-US')} MB`
}

async function bytesPerRow({ store, search, prefix }: RoomDeps, version: Version, source: Source): Promise<number> {
  const active = await activeVersion({ store, prefix }, version.index)
  const known = active && await bytesPerDocument(search, active.physical)
  if (known !== undefined) return known
  const page = await source.page(store.db, { after: null, upTo: null }, { rows: sampledRows, bytes: 1_000_000 }, '0')
  return page.count === 0 ? 0 : page.body.length / page.count
}

interface IndexStats {
  _all?: { primaries?: { docs?: { count?: number }; store?: { size_in_bytes?: number } } }
}

async function bytesPerDocument(search: SearchClient, physical: string): Promise<number | undefined> {
  const { status, body } = await search.request<IndexStats>({
    method: 'GET',
    path: `/${encodeURIComponent(physical)}/_stats/docs,store`,
    query: { filter_path: '_all.primaries' },
  })
  const { docs, store } = body._all?.primaries ?? {}
  if (status !== 200 || !docs?.count || !store?.size_in_bytes) return undefined
  return store.size_in_bytes / docs.count
}

interface Room {
  /** Bytes up to the watermark, over all data nodes. */
  bytes: number
  nodes: number
}

interface NodeStats {
  nodes?: Record<string, { roles?: string[]; fs?: { total?: { total_in_bytes: number; available_in_bytes: number } } }>
}

type DiskSettings = Record<string, string | undefined>

async function readRoom(search: SearchClient): Promise<Room | undefined> {
  const disk = await diskSettings(search)
  if (!disk || disk.threshold_enabled === 'false') return undefined
  const { status, body } = await search.request<NodeStats>({
    method: 'GET',
    path: '/_nodes/stats/fs',
    query: { filter_path: 'nodes.*.roles,nodes.*.fs.total' },
  })
  if (status !== 200) return undefined
  const totals = Object.values(body.nodes ?? {})
    .filter(({ roles = [] }) => roles.some((each) => each === 'data' || each.startsWith('data_')))
    .flatMap(({ fs }) => fs?.total ?? [])
  if (totals.length === 0) return undefined
  const room = totals.map((each) => each.available_in_bytes - reserveOf(disk, each.total_in_bytes))
  return { bytes: room.reduce((sum, each) => sum + Math.max(0, each), 0), nodes: totals.length }
}

async function diskSettings(search: SearchClient): Promise<DiskSettings | undefined> {
  const { status, body } = await search.request<Record<string, object>>({
    method: 'GET',
    path: '/_cluster/settings',
    query: { include_defaults: true, filter_path: '*.cluster.routing.allocation.disk' },
  })
  if (status !== 200) return undefined
  const all = ['defaults', 'persistent', 'transient'].map((each) => flatSettings({ settings: { ...body[each] } }))
  const under = 'cluster.routing.allocation.disk.'
  return Object.fromEntries(
    all.flatMap((each) => Object.entries(each)).map(([name, value]) => [name.slice(under.length), String(value)]),
  )
}

/** Bytes of a disk of this size that stay free: the high watermark, as a share that is used or as bytes that are free. */
export function reserveOf(disk: DiskSettings, total: number): number {
  const { 'watermark.high': high = '90%', 'watermark.high.max_headroom': headroom = '-1' } = disk
  const used = /^([\d.]+)%$/.exec(high)?.[1] ??
    (/^0?\.\d+$|^[01](\.0+)?$/.test(high) ? String(Number(high) * 100) : undefined)
  if (used === undefined) return bytesIn(high) ?? 0
  const reserve = total * (1 - Number(used) / 100)
  const most = bytesIn(headroom)
  return most === undefined ? reserve : Math.min(reserve, most)
}

const units: Record<string, number> = { b: 1, kb: 2 ** 10, mb: 2 ** 20, gb: 2 ** 30, tb: 2 ** 40, pb: 2 ** 50 }

function bytesIn(text: string): number | undefined {
  const [, number, unit = ''] = /^([\d.]+)([kmgtp]?b)$/.exec(text.toLowerCase()) ?? []
  return number === undefined ? undefined : Number(number) * units[unit]!
}
