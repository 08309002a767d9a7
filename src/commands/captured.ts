/**
 * How each table is captured, by the config and in fact.
 * @module
 */
import { registeredNeeds } from '../capture/needs.ts'
import { listTriggers, type TriggerState } from '../capture/state.ts'
import type { CaptureMode, OnBypass } from '../config.ts'
import type { Base } from './base.ts'

/** How one table is captured. */
export interface CapturedTable {
  /** `schema.name`. */
  table: string
  /** What the config of this code says; null for a table that its definitions do not read. */
  configured: CaptureMode | null
  /** `current` are those that this release makes; `leaving` are about to be dropped, and nobody relies on them. */
  triggers: 'none' | 'current' | 'missing' | 'disabled' | 'outdated' | 'leaving'
  /** Whether they run once a statement or once a row; null where there are none. */
  by: 'statement' | 'row' | null
}

/** How everything is captured that a document shows. */
export interface CaptureStatus {
  /** Tables that versions read, or that have triggers, in the order of names. */
  tables: CapturedTable[]
  /** What is done about statements that pass the models; triggers see them anyway. */
  onBypass: OnBypass
}

/** How everything is captured. The own tables must exist. Throws what a wrong `capture` of the config does. */
export async function captureStatus({ store, config, definitions, modes }: Base): Promise<CaptureStatus> {
  const modeOf = modes(definitions)
  const found = new Map((await listTriggers(store, store.db)).map((each) => [each.table, each]))
  const read = (await registeredNeeds(store, store.db)).map((each) => each.table)
  const tables = [...new Set([...read, ...found.keys()])].sort()
  return {
    onBypass: config.onBypass ?? 'capture',
    tables: tables.map((table) => ({
      table,
      configured: modeOf(table) ?? null,
      triggers: stateOf(found.get(table)),
      by: found.get(table)?.by ?? null,
    })),
  }
}

function stateOf(triggers: TriggerState | undefined): CapturedTable['triggers'] {
  if (!triggers) return 'none'
  return triggers.state === 'leaving' ? 'leaving' : triggers.fault ?? 'current'
}
