/**
 * The composition root: the only file of `src` that knows the adapters.
 * @module
 */
import { fromElasticsearch } from '../adapters/elasticsearch/client.ts'
import { secretsOfElasticsearch } from '../adapters/elasticsearch/secrets.ts'
import { currentRuntime } from '../adapters/runtime.ts'
import { installCapture } from '../adapters/sequelize/capture.ts'
import { modesOf } from '../adapters/sequelize/capture/modes.ts'
import { fromSequelize } from '../adapters/sequelize/database.ts'
import { secretsOfSequelize } from '../adapters/sequelize/secrets.ts'
import { assertConfig, type Config, isInstance } from './config.ts'
import { type DatabasePart, databasesOf } from './databases.ts'
import { isOwnError } from './errors.ts'
import { joinPlugins } from './joined.ts'
import type { PluginParts } from './commands/base.ts'
import { createPlugin, type ElasticUmzug } from './plugin.ts'
import type { Runtime } from './ports.ts'
import { hideSecrets } from './redact.ts'
import { redirectable } from './redirect.ts'
import type { Definition } from './search/definition.ts'

/** Where a config comes from. */
export interface ComposeOptions {
  /** Folder that globs of the config are relative to. Default: the working directory. */
  folder?: string
  /** The platform. Default: the one this process runs on. */
  runtime?: Runtime
  /** False has commands fail with `RUN_LOCK_HELD` where another run holds the run lock. Default: they wait. */
  wait?: boolean
  /** True has no part in search, as `ELASTIC_UMZUG=off`, and says nothing; false has, whatever the environment says. */
  off?: boolean
}

/**
 * Makes the plugin of an application from its config; connects to nothing yet. From here on no message and no record of this process
 * shows the passwords of its clients.
 * Throws `CONFIG_INVALID` or `DEFINITION_DUPLICATE`.
 */
export function elasticUmzug(config: Config, options: ComposeOptions = {}): ElasticUmzug {
  return redirectable(config, pluginOf(composeParts(config, options)))
}

/** One database of a config, put together. */
export interface ComposedPart {
  /** Its name in the config; undefined where there is only one. */
  name: string | undefined
  parts: PluginParts
}

/** What plugins are made of, for each database of a config. Throws as `elasticUmzug` does. */
export function composeParts(config: Config, given: ComposeOptions = {}): ComposedPart[] {
  assertConfig(config)
  // One for all: what is told once a process is told once for all databases.
  const options = { ...given, runtime: given.runtime ?? currentRuntime() }
  const databases = databasesOf(config)
  for (const { config: { sequelize } } of databases) hideSecrets(secretsOfSequelize(sequelize))
  hideSecrets(secretsOfElasticsearch(config.elasticsearch ?? {}))
  if (isInstance(config.sequelize)) return [{ name: undefined, parts: partsOf(databases[0]!, config.capture, options) }]
  return databases.map((each) => ({
    name: each.name,
    parts: partsOf(each, captureOf(databases, each, config.capture), options),
  }))
}

/** The plugin over all databases of a config. */
export function pluginOf(composed: readonly ComposedPart[]): ElasticUmzug {
  const joined = composed.flatMap(({ name, parts }) =>
    name === undefined ? [] : {
      name,
      plugin: createPlugin(parts),
      indexes: (parts.config.indexes ?? []).map((each) => each.name),
    }
  )
  return joined.length > 0 ? joinPlugins(joined) : createPlugin(composed[0]!.parts)
}

type Capture = Config['capture']

function partsOf(
  { config }: DatabasePart,
  capture: Capture | (() => Capture),
  { runtime, ...options }: ComposeOptions & { runtime: Runtime },
): PluginParts {
  const { sequelize, elasticsearch, onBypass } = config
  const modes = (definitions: readonly Definition[]) =>
    modesOf(sequelize, definitions, typeof capture === 'function' ? capture() : capture)
  return {
    config,
    folder: options.folder ?? runtime.cwd(),
    db: fromSequelize(sequelize),
    search: elasticsearch && fromElasticsearch(elasticsearch as Parameters<typeof fromElasticsearch>[0]),
    runtime,
    ...(options.wait !== undefined && { wait: options.wait }),
    ...(options.off !== undefined && { off: options.off }),
    modes,
    capture: (definitions, schema, wake) =>
      installCapture({
        sequelize,
        definitions,
        modeOf: modes(definitions),
        schema,
        wake,
        onWarning: (line) => runtime.writeError(`${line}\n`),
        ...(onBypass && { onBypass }),
      }),
  }
}

// Models and tables are named without their database: a name is for those that have it, and one that none has is told by
// the first. Asked when it is needed, because associations may be set up later.
function captureOf(parts: readonly DatabasePart[], part: DatabasePart, capture: Capture): () => Capture {
  if (typeof capture !== 'object') return () => capture
  return () =>
    Object.fromEntries(
      Object.entries(capture).filter(([name, mode]) => {
        const owners = parts.filter((each) => name === '*' || knows(each, { [name]: mode }))
        return owners.includes(part) || (owners.length === 0 && part === parts[0])
      }),
    )
}

function knows({ config: { sequelize, indexes = [] } }: DatabasePart, capture: Capture): boolean {
  try {
    modesOf(sequelize, indexes, capture)
    return true
  } catch (error) {
    if (isOwnError(error) && error.code === 'CONFIG_INVALID') return false
    throw error
  }
}
