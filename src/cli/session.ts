/**
 * One run of the command line: what every command needs.
 * @module
 */
import { isInstance, loadConfig } from '../config.ts'
import type { Config } from '../config.ts'
import { ElasticUmzugError } from '../errors.ts'
import type { ElasticUmzug } from '../plugin.ts'
import type { Runtime } from '../ports.ts'

/** Makes the plugin of a config; `folder` is where its globs start. */
export type Compose = (config: Config, options: { folder: string; runtime: Runtime; wait: boolean }) => ElasticUmzug

/** One run of the command line. */
export interface Session {
  readonly runtime: Runtime
  /** Aborted by the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal
  /** Loads the config, once, and gives its plugin. Throws what `loadConfig` does. */
  open(): Promise<ElasticUmzug>
  /** Prints a line. */
  print(line: string): void
  /** What the process ends with where nothing fails. */
  exitCode: number
  /** Closes what the config opened. */
  close(): Promise<void>
}

/** What a session is made of. */
export interface SessionParts {
  runtime: Runtime
  compose: Compose
  configPath: string | undefined
  signal: AbortSignal
  /** False where `--no-wait` was given. */
  wait: boolean
  /** What `--database` names. */
  database: string | undefined
}

/** Makes a session; nothing is loaded before a command asks for it, so that `--help` works anywhere. */
export function openSession({ runtime, compose, configPath, signal, wait, database }: SessionParts): Session {
  let loading: Promise<{ config: Config; plugin: ElasticUmzug }> | undefined
  const load = async () => {
    const { config, folder } = await loadConfig(runtime, configPath)
    return { config, plugin: chosen(compose(config, { folder, runtime, wait }), database) }
  }
  return {
    runtime,
    signal,
    open: async () => (await (loading ??= load())).plugin,
    print: (line) => runtime.write(`${line}\n`),
    exitCode: 0,
    async close() {
      const loaded = await loading?.catch(() => undefined)
      if (loaded) await closeClients(loaded.config)
    },
  }
}

function chosen(plugin: ElasticUmzug, database: string | undefined): ElasticUmzug {
  const { databases } = plugin
  const found = database === undefined ? plugin : databases[database]
  if (found) return found
  throw new ElasticUmzugError(
    'COMMAND_INVALID',
    `The config has no database "${database}"; it has: ${Object.keys(databases).join(', ')}.`,
    { next: 'correct --database' },
  )
}

async function closeClients({ sequelize, elasticsearch }: Config): Promise<void> {
  const all = isInstance(sequelize) ? [sequelize] : Object.values(sequelize)
  await Promise.all(all.map((each) => each.close().catch(() => {})))
  const { close } = (elasticsearch ?? {}) as { close?: () => Promise<void> }
  await close?.call(elasticsearch).catch(() => {})
}
