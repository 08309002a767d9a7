/**
 * Documents made beforehand and sent as fast as the cluster takes them: the ceiling that others are measured against.
 * @module
 */
import PQueue from 'p-queue'
import { fromElasticsearch } from '../../adapters/elasticsearch/client.ts'
import { fromSequelize } from '../../adapters/sequelize/database.ts'
import type { Documents, PageSize, SearchClient } from '../../src/ports.ts'
import { sendBulk } from '../../src/search/bulk.ts'
import type { World } from '../support/world.ts'
import { seconds } from './figures.ts'
import type { Library } from './library.ts'

type Definition = NonNullable<Library['config']['indexes']>[number]

/** Every document, or the first `most`, in pages ready to be sent. */
export async function serialise(
  world: World,
  { source }: Definition,
  size: PageSize,
  { version = '1', most = Infinity }: { version?: string; most?: number } = {},
): Promise<Documents[]> {
  const db = fromSequelize(world.sequelize)
  const pages: Documents[] = []
  for (let after: string | null = null;;) {
    const page: Documents = await source.page(db, { after, upTo: null }, size, version)
    if (page.last === null) return pages
    pages.push(page)
    if (countOf(pages) >= most) return pages
    after = page.last
  }
}

/** Sends pages through an alias, so many at once; gives the seconds it took. */
export async function sendPages(
  world: World,
  alias: string,
  pages: readonly Documents[],
  concurrency: number,
): Promise<number> {
  const search = fromElasticsearch(world.client as unknown as Parameters<typeof fromElasticsearch>[0])
  const queue = new PQueue({ concurrency })
  const started = performance.now()
  await Promise.all(pages.map((page) => queue.add(() => sendPage(search, alias, page.body))))
  return seconds(performance.now() - started)
}

async function sendPage(search: SearchClient, alias: string, body: string): Promise<void> {
  const outcome = await sendBulk(search, alias, body, 60_000)
  if (outcome.kind !== 'answered' || outcome.refusals.length > 0) {
    throw new Error(`Not written: ${JSON.stringify(outcome)}`)
  }
}

/** Number of documents on pages. */
export function countOf(pages: readonly Documents[]): number {
  return pages.reduce((sum, each) => sum + each.count, 0)
}
