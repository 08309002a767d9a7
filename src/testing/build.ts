/**
 * Own tables and indexes of a suite that begins.
 * @module
 */
import type { Base, Run } from '../commands/base.ts'
import { prepareTriggers } from '../commands/capture.ts'
import { prepare } from '../commands/up.ts'
import type { Definition } from '../search/definition.ts'
import { activateVersion, createVersion, fillVersion } from '../search/lifecycle.ts'
import { checkCluster } from '../search/physical.ts'

/**
 * Creates the own tables, then creates, fills and activates a version of each definition, all at once. The base must be
 * one whose schema nobody else has ever looked at.
 */
export async function build(base: Base): Promise<void> {
  await prepare(base)
  if (base.definitions.length === 0) return
  await base.run('up', {}, async (run) => {
    await checkCluster(base.needSearch())
    const dependencies = await Promise.all(base.definitions.map(({ source }) => source.dependencies(base.db)))
    // Before all of them: each by itself would wait for the table of another.
    await prepareTriggers(base, run, dependencies.flat())
    await Promise.all(base.definitions.map((each) => buildOne(base, run, each)))
  })
}

async function buildOne(base: Base, run: Run, definition: Definition): Promise<void> {
  const deps = base.lifecycle(run)
  const created = await createVersion(deps, definition)
  await activateVersion(deps, await fillVersion(deps, created, definition))
}
