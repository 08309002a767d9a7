/**
 * Indexes of the cluster that are not ours: listed, and deleted by their exact names only.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import { deletePhysical, unremovedVersions } from '../search/drop.ts'
import { type ForeignIndex, listForeignIndexes } from '../search/inventory.ts'
import { checkCluster } from '../search/physical.ts'
import { checkSchema } from '../store/schema.ts'
import type { Base } from './base.ts'
import { type ChangeOptions, eachOf } from './change.ts'

/** Every index of the cluster that is no version of this environment; see `IndexCommands.listForeign`. */
export async function listForeign(base: Base): Promise<ForeignIndex[]> {
  await checkSchema(base.store)
  const search = base.needSearch()
  await checkCluster(search)
  return await listForeignIndexes({ store: base.store, search }, base.prefix)
}

/** Deletes such indexes; see `IndexCommands.dropForeign`. */
export async function dropForeign(
  base: Base,
  names: readonly string[],
  options: ChangeOptions,
): Promise<ForeignIndex[]> {
  for (const each of names) assertExact(each)
  const chosen = await chooseForeign(base, names)
  if (options.dryRun) {
    for (const { name, documents } of chosen) {
      options.onLine?.(`${name}: ${documents ?? 'unknown'} documents, would be deleted`)
    }
    return chosen
  }
  return await base.run(
    'es:drop',
    { ...options, target: names.join(' '), options: { foreign: names } },
    (run) =>
      eachOf(chosen, async (each) => {
        run.action.assertHeld()
        await deletePhysical(base.needSearch(), each.name)
        run.say(`${each.name}: deleted`)
        return each
      }),
  )
}

function assertExact(name: string): void {
  const fault = /^[._]/.test(name)
    ? 'belongs to Elasticsearch itself'
    : /[*,<>?]/.test(name)
    ? 'is a pattern'
    : name.includes('elastic-umzug~')
    ? 'holds our own marker'
    : undefined
  if (!fault) return
  throw new ElasticUmzugError('COMMAND_INVALID', `"${name}" ${fault}, and is never deleted.`, {
    next: 'name the indexes one by one: npx umzug es:list --foreign shows them',
  })
}

async function chooseForeign(base: Base, names: readonly string[]): Promise<ForeignIndex[]> {
  const found = await listForeign(base)
  const leaving = await unremovedVersions(base)
  return names.map((name) => {
    const index = found.find((each) => each.name === name)
    if (!index) throw noForeign(name)
    if (index.prefix !== null && index.state !== 'dropped') throw ofPrefix(index)
    if (leaving.some((each) => each.physical === name)) throw beingDropped(index)
    return index
  })
}

function noForeign(name: string): ElasticUmzugError {
  return new ElasticUmzugError('DEFINITION_UNKNOWN', `The cluster has no foreign index "${name}".`, {
    next: 'npx umzug es:list --foreign shows those there are; a version of ours is dropped without --foreign',
  })
}

function ofPrefix({ name, prefix }: ForeignIndex): ElasticUmzugError {
  return new ElasticUmzugError(
    'COMMAND_INVALID',
    `${name} is a version that this database made with prefix "${prefix}".`,
    {
      next: `npx umzug es:drop ${name} --prefix ${prefix}`,
    },
  )
}

function beingDropped({ name }: ForeignIndex): ElasticUmzugError {
  return new ElasticUmzugError('COMMAND_INVALID', `${name} is dropped already, and about to be deleted.`, {
    next: `npx umzug es:drop ${name}, which waits for it`,
  })
}
