/**
 * The composition root: the only file of `src` that knows the adapters.
 * @module
 */
import { fromElasticsearch } from '../adapters/elasticsearch/client.ts'
import { currentRuntime } from '../adapters/runtime.ts'
import { installCapture } from '../adapters/sequelize/capture.ts'
import { fromSequelize } from '../adapters/sequelize/database.ts'
import { assertConfig, type Config } from './config.ts'
import { createPlugin, type ElasticUmzug } from './plugin.ts'
import type { Runtime } from './ports.ts'

/** Where a config comes from. */
export interface ComposeOptions {
  /** Folder that globs of the config are relative to. Default: the working directory. */
  folder?: string
  /** The platform. Default: the one this process runs on. */
  runtime?: Runtime
}

/**
 * Makes the plugin of an application from its config; connects to nothing yet.
 * Throws `CONFIG_INVALID` or `DEFINITION_DUPLICATE`.
 */
export function elasticUmzug(config: Config, options: ComposeOptions = {}): ElasticUmzug {
  assertConfig(config)
  const { sequelize, elasticsearch } = config
  const runtime = options.runtime ?? currentRuntime()
  return createPlugin({
    config,
    folder: options.folder ?? runtime.cwd(),
    db: fromSequelize(sequelize),
    search: elasticsearch && fromElasticsearch(elasticsearch as Parameters<typeof fromElasticsearch>[0]),
    runtime,
    capture: (definitions, schema, wake) =>
      installCapture({
        sequelize,
        definitions,
        schema,
        wake,
        onWarning: (line) => runtime.writeError(`${line}\n`),
      }),
  })
}
