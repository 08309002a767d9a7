/**
 * Events of the running parts: `area:noun:state`, one object each.
 * @module
 */

/** What is emitted, with its payload. */
export interface Events {
  /** A worker looks at the queue from now on. */
  'queue:worker:started': Record<never, never>
  /** A worker has ended; nothing of it is under way. */
  'queue:worker:stopped': Record<never, never>
  /** Committed changes were taken, and their keys enqueued for every version. */
  'queue:changes:dispatched': { changes: number }
  /** A batch was written; `ms` is how long the request took. */
  'queue:batch:complete': { index: string; version: number; documents: number; deletes: number; ms: number }
  /** A batch got no answer in time: its keys are tried again when their claim has run out. */
  'queue:batch:unanswered': { index: string; version: number; keys: number; reason: string }
  /** So many keys of a batch changed while it was written: they are written again. */
  'queue:keys:released': { index: string; version: number; keys: number }
  /** A document was refused and is tried again. */
  'queue:document:refused': { index: string; version: number; key: string; reason: string; attempts: number }
  /** A document ran out of attempts. */
  'queue:document:aborted': { index: string; version: number; key: string; reason: string }
  /** Aborted documents were made due again by a command. */
  'queue:aborted:retried': { keys: number }
  /** Aborted documents were forgotten by a command. */
  'queue:aborted:cleared': { keys: number }
  /** A version has work, but no running worker has had its definition for `sinceMs`: it falls behind. */
  'queue:version:unserved': { index: string; version: number; state: string; sinceMs: number }
  /** A retired version was given up because no worker had its definition for too long. */
  'queue:version:abandoned': { index: string; version: number }
  /** Elasticsearch does not take writes; the worker waits. */
  'queue:search:away': { reason: string; retryInMs: number }
  /** Elasticsearch takes writes again. */
  'queue:search:back': Record<never, never>
  /** Something failed in a worker, which goes on. */
  'queue:worker:error': { error: unknown }
  /** A page was written; `total` counts those of every process. */
  'populate:page:complete': { index: string; version: number; documents: number; total: number; expected: number }
  /** Replicas of the database lag by so many milliseconds: pages wait until they have caught up. */
  'populate:replicas:lagging': { index: string; version: number; lagMs: number }
  /** So many documents of a refresh were written since the last one, by whomever; `total` of about `expected`. */
  'update:page:complete': { index: string; version: number; documents: number; total: number; expected: number }
  /** A page was compared; `total` of about `expected`, which counts documents and rows. */
  'verify:page:complete': { index: string; version: number; documents: number; total: number; expected: number }
  /** After a restart of Elasticsearch the ids of a version were checked; what differed was written anew. */
  'verify:ids:complete': { index: string; version: number; missing: number; extra: number }
  /** It looks as if the database or Elasticsearch was restored or failed over: `es:verify --repair` mends it. */
  'search:suspicion:noted': { kind: string; message: string }
  /** Nodes of Elasticsearch were started or went: the ids of every version are checked. */
  'search:nodes:changed': Record<never, never>
  /** It could not be looked whether something was restored; it is tried again every minute. */
  'search:watch:failed': { error: unknown }
  /** The physical index of a dropped version was deleted by a worker. */
  'version:index:deleted': { index: string; version: number }
  /** A version that this process works on was made by another build. */
  'version:tag:other': { index: string; version: number; made: string; tag: string }
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
