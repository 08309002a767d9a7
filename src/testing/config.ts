/**
 * The config of an application as a suite runs it.
 * @module
 */
import type { Config } from '../config.ts'
import { ElasticUmzugError } from '../errors.ts'
import { defineIndex, type Definition } from '../search/definition.ts'
import { flatSettings } from '../search/settings.ts'
import type { SuiteNames } from './names.ts'

// What a cluster of one small node cannot give, or gives slowly.
const isForProduction = (name: string) =>
  /^(routing\.allocation\.|lifecycle\.)/.test(name) ||
  ['auto_expand_replicas', 'number_of_routing_shards', 'write.wait_for_active_shards'].includes(name)

const fast = { number_of_shards: 1, number_of_replicas: 0, refresh_interval: '100ms' }

/**
 * The same config under the names of a suite, with the named definitions (default: all) as small and quick indexes. A refused
 * document is aborted at once, and the environment is told by no git. Throws `DEFINITION_UNKNOWN`.
 */
export function testConfig(config: Config, { prefix, schema }: SuiteNames, names?: readonly string[]): Config {
  return {
    tag: 'test',
    ...config,
    prefix,
    schema,
    indexes: chosen(config.indexes ?? [], names).map(small),
    pollMs: 50,
    maxAttempts: 1,
  }
}

function chosen(definitions: readonly Definition[], names?: readonly string[]): readonly Definition[] {
  const known = definitions.map((each) => each.name)
  const wrong = names?.find((each) => !known.includes(each))
  if (wrong === undefined) return definitions.filter((each) => names?.includes(each.name) ?? true)
  throw new ElasticUmzugError(
    'DEFINITION_UNKNOWN',
    `No index "${wrong}" is defined; defined are: ${known.join(', ') || 'none'}.`,
    { next: 'correct `indexes` of testSearch, or add the definition to the config file' },
  )
}

function small(definition: Definition): Definition {
  const settings = Object.entries(flatSettings({ settings: definition.settings ?? {} }))
  const kept = settings.filter(([name]) => !isForProduction(name))
  return defineIndex({ ...definition, settings: { ...Object.fromEntries(kept), ...fast } })
}
