/**
 * The plugin over the core's world: what an application calls, with ports that a spec can halt. Nothing is captured by
 * itself: `write` and `remove` of `core.ts` do it.
 * @module
 */
import { currentRuntime } from '../../adapters/runtime.ts'
import type { DatabaseConfig } from '../../src/config.ts'
import { createBase, type PluginParts } from '../../src/commands/base.ts'
import { createPlugin, type ElasticUmzug } from '../../src/plugin.ts'
import type { Core } from './core.ts'

/** What a spec changes of it. */
export interface PluginChanges extends Partial<Pick<PluginParts, 'search' | 'db'>> {
  config?: Partial<DatabaseConfig>
}

/** Parts of a plugin over a core. */
export function partsOf(
  core: Core,
  { config = {}, search = core.search, db = core.db }: PluginChanges = {},
): PluginParts {
  return {
    config: {
      sequelize: core.world.sequelize,
      elasticsearch: core.client,
      indexes: [core.books],
      prefix: core.world.prefix,
      leaseMs: 1_500,
      pollMs: 25,
      maxAttempts: 3,
      ...config,
    },
    folder: '.',
    db,
    search,
    runtime: currentRuntime(),
    modes: () => () => 'hooks',
    capture: () => () => {},
  }
}

/** Makes a plugin over a core. */
export function pluginOf(core: Core, changes: PluginChanges = {}): ElasticUmzug {
  return createPlugin(partsOf(core, changes))
}

/** Makes what the commands of such a plugin stand on. */
export function baseOf(core: Core, changes: PluginChanges = {}): ReturnType<typeof createBase> {
  return createBase(partsOf(core, changes))
}
