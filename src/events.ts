/**
 * Events of the running parts: `area:noun:state`, one object each.
 * @module
 */

/** What is emitted, with its payload. */
export interface Events {
  /** A batch was written; `ms` is how long the request took. */
  'queue:batch:complete': { index: string; version: number; documents: number; deletes: number; ms: number }
  /** A document was refused and is tried again. */
  'queue:document:refused': { index: string; version: number; key: string; reason: string; attempts: number }
  /** A document ran out of attempts. */
  'queue:document:aborted': { index: string; version: number; key: string; reason: string }
  /** Elasticsearch does not take writes; the worker waits. */
  'queue:search:away': { reason: string; retryInMs: number }
  /** Elasticsearch takes writes again. */
  'queue:search:back': Record<never, never>
  /** Something failed in a worker, which goes on. */
  'queue:worker:error': { error: unknown }
  /** A page was written; `total` counts those of every process. */
  'populate:page:complete': { index: string; version: number; documents: number; total: number; expected: number }
  /** A version went on to another state. */
  'version:state:changed': { index: string; version: number; state: string }
}

/** A listener of one event. */
export type Listener<Name extends keyof Events> = (event: Events[Name]) => void

/** Emits events to listeners; a listener that throws does not disturb the emitter. */
export interface Emitter {
  on<Name extends keyof Events>(name: Name, listener: Listener<Name>): () => void
  emit<Name extends keyof Events>(name: Name, event: Events[Name]): void
}

/** Makes an emitter. */
export function createEmitter(): Emitter {
  const listeners = new Map<keyof Events, Set<(event: never) => void>>()
  return {
    on(name, listener) {
      const set = listeners.get(name) ?? new Set()
      listeners.set(name, set)
      set.add(listener as (event: never) => void)
      return () => void set.delete(listener as (event: never) => void)
    },
    emit(name, event) {
      for (const listener of listeners.get(name) ?? []) {
        try {
          listener(event as never)
        } catch {
          // A listener's fault is its own: the worker goes on.
        }
      }
    },
  }
}
