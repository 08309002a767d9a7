/**
 * Events of the running parts: `area:noun:state`, one object each.
 * @module
 */

/** What is emitted, with its payload. */
export interface Events {
  'queue:batch:complete': { index: string; version: number; documents: number; deletes: number; ms: number }
  'queue:document:refused': { index: string; version: number; key: string; reason: string; attempts: number }
  'queue:document:aborted': { index: string; version: number; key: string; reason: string }
  'queue:search:away': { reason: string; retryInMs: number }
  'queue:search:back': Record<never, never>
  'queue:worker:error': { error: unknown }
  'populate:page:complete': { index: string; version: number; documents: number; total: number; expected: number }
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
