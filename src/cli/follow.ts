/**
 * `log --follow`: lines as they are recorded.
 * @module
 */
import type { ElasticUmzug } from '../plugin.ts'
import type { Clock } from '../ports.ts'
import type { ActionRow, LogFilter } from '../store/action-log.ts'

const everyMs = 500

/** Where lines go, and how long. */
export interface Following {
  clock: Clock
  signal: AbortSignal
  print(line: string): void
  /** True prints one JSON object a line. */
  asJson: boolean
}

/** What was told of an action so far. */
interface Told {
  state: string
  /** Length of its log. */
  length: number
}

/** Tells each chosen action, its lines and its end as they come, until the signal. */
export async function followLog(
  plugin: Pick<ElasticUmzug, 'log'>,
  filter: LogFilter,
  following: Following,
): Promise<void> {
  const { clock, signal } = following
  let told = new Map<string, Told>()
  for (let isFirst = true; !signal.aborted; isFirst = false) {
    const actions = (await plugin.log(filter)).reverse()
    // Those that are not among the newest any more are forgotten.
    const next = new Map<string, Told>()
    for (const each of actions) {
      next.set(each.id, { state: each.state, length: each.log.length })
      for (const line of news(each, told.get(each.id), isFirst)) following.print(written(each, line, following))
    }
    told = next
    await clock.sleep(everyMs, signal)
  }
}

function news(action: ActionRow, told: Told | undefined, isFirst: boolean): string[] {
  const { state, target, log, startedAt } = action
  // Of what there was before, only how it ended is told.
  const from = told?.length ?? (isFirst && action.endedAt !== null ? log.length : 0)
  const lines = log.slice(from).split('\n').filter((each) => each !== '')
  const begun = told ? [] : [`${startedAt ?? ''} ${target ?? ''} begun`.trim()]
  const ended = told?.state !== state && (told || state !== 'in_progress') ? [state] : []
  return [...begun, ...lines, ...ended]
}

function written({ id, action }: ActionRow, line: string, { asJson }: Following): string {
  return asJson ? JSON.stringify({ id, action, line }) : `${id} ${action}: ${line}`
}
