/**
 * Plugins that speak for another one for a while: those that an application made itself, while a test kit is in their place.
 * @module
 */
import type { Config } from './config.ts'
import type { ElasticUmzug } from './plugin.ts'

const instead = new WeakMap<Config, ElasticUmzug>()

/** A plugin that is the made one, or whichever has taken the place of those of its config at the moment it is asked. */
export function redirectable(config: Config, made: ElasticUmzug): ElasticUmzug {
  const members = Object.keys(made) as (keyof ElasticUmzug)[]
  const plugin = {}
  for (const name of members) {
    Object.defineProperty(plugin, name, { enumerable: true, get: () => (instead.get(config) ?? made)[name] })
  }
  return plugin as ElasticUmzug
}

/** Whether a plugin has taken the place of those of the config. */
export function isRedirected(config: Config): boolean {
  return instead.has(config)
}

/** Has every plugin of the config, made before or after, speak for this one; gives the function that takes it back. */
export function redirect(config: Config, plugin: ElasticUmzug): () => void {
  instead.set(config, plugin)
  return () => void (instead.get(config) === plugin && instead.delete(config))
}
