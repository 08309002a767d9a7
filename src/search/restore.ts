/**
 * Makes lost physical indexes anew from the stored definitions, whatever code made them.
 * @module
 */
import { aliasTargets, giveWriteAlias } from './aliases.ts'
import { restartFill } from './clear.ts'
import { driftOf } from './drift.ts'
import type { LifecycleDeps } from './lifecycle.ts'
import { createPhysical, physicalExists } from './physical.ts'
import { isMadeFrom, type Version, writeAlias } from './versions.ts'

/**
 * Makes the physical index of a version anew, empty, where the cluster lost it: the version is to be filled again, also
 * where it was active. One that is there is left as it is, and told where it differs from its definition. True where it was
 * made. A crash in between leaves a created version, which the same again makes.
 */
export async function restoreVersion(deps: LifecycleDeps, version: Version): Promise<boolean> {
  const { store, search, prefix, onLine } = deps
  if (await physicalExists(search, version)) {
    await keepWritable(deps, version)
    await tellDrift(deps, version)
    return false
  }
  await restartFill(store, version.id, ['populating', 'ready', 'retired', 'active'])
  // It is another index under the same name, and that is no sign of a restore.
  await store.db.query(`UPDATE ${store.table.search_marks} SET indexes = indexes - $2::text WHERE prefix = $1`, [
    prefix,
    version.physical,
  ])
  await createPhysical(search, version, deps.leaseMs)
  onLine(`${version.physical}: made anew, empty (it was ${version.state}); ${nextOf(deps, version)}`)
  return true
}

function nextOf({ definitions }: LifecycleDeps, version: Version): string {
  const { index, number, state } = version
  const isKnown = definitions.some((each) => isMadeFrom(version, each))
  const then = state === 'active' ? `, then npx umzug es:activate ${index}@${number}` : ''
  const fill = `fill it: npx umzug es:update ${index}@${number}${then}`
  return isKnown ? fill : `with the code that it was made from, which this is not, ${fill}`
}

async function keepWritable({ search, onLine }: LifecycleDeps, version: Version): Promise<void> {
  if ((await aliasTargets(search, writeAlias(version))).length > 0) return
  await giveWriteAlias(search, version)
  onLine(`${version.physical}: its write alias was gone, made anew`)
}

async function tellDrift({ search, onLine }: LifecycleDeps, version: Version): Promise<void> {
  const { physical, index, number } = version
  const changes = await driftOf(search, version) ?? []
  if (changes.length === 0) return onLine(`${physical}: is there, as it was defined`)
  const paths = changes.map((each) => each.path).join(', ')
  onLine(
    `${physical}: is there, but not as it was defined: ${paths}; npx umzug es:diff ${index}@${number} live shows it`,
  )
}
