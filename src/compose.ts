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
import { assertConfig, type Config } from './config.ts'
import { createPlugin, type ElasticUmzug } from './plugin.ts'
import type { Runtime } from './ports.ts'
import { hideSecrets } from './redact.ts'

/** Where a config comes from. */
export interface ComposeOptions {
  /** Folder that globs of the config are relative to. Default: the working directory. */
  folder?: string
  /** The platform. Default: the one this process runs on. */
  runtime?: Runtime
  /** False has commands fail with `RUN_LOCK_HELD` where another run holds the run lock. Default: they wait. */
  wait?: boolean
}

/**
 * Makes the plugin of an application from its config; connects to nothing yet. From here on no message and no record of this process
 * shows the passwords of its clients.
 * Throws `CONFIG_INVALID` or `DEFINITION_DUPLICATE`.
 */
export function elasticUmzug(config: Config, options: ComposeOptions = {}): ElasticUmzug {
  assertConfig(config)
  const { sequelize, elasticsearch } = config
  hideSecrets([...secretsOfSequelize(sequelize), ...secretsOfElasticsearch(elasticsearch ?? {})])
  const runtime = options.runtime ?? currentRuntime()
  return createPlugin({
    config,
    folder: options.folder ?? runtime.cwd(),
    db: fromSequelize(sequelize),
    search: elasticsearch && fromElasticsearch(elasticsearch as Parameters<typeof fromElasticsearch>[0]),
    runtime,
    ...(options.wait !== undefined && { wait: options.wait }),
    modes: (definitions) => modesOf(sequelize, definitions, config.capture),
    capture: (definitions, schema, wake) =>
      installCapture({
        sequelize,
        definitions,
        modeOf: modesOf(sequelize, definitions, config.capture),
        schema,
        wake,
        onWarning: (line) => runtime.writeError(`${line}\n`),
        ...(config.onBypass && { onBypass: config.onBypass }),
      }),
  })
}
