/**
 * Progress of a populate or a comparison: one moving line in a terminal, a plain line now and then elsewhere.
 * @module
 */
import type { Events } from '../events.ts'
import type { ElasticUmzug } from '../plugin.ts'
import type { Clock, Runtime } from '../ports.ts'

const terminalEveryMs = 100
const plainEveryMs = 10_000

/** Events that tell how far something is. */
type ProgressEvent = 'populate:page:complete' | 'update:page:complete' | 'verify:page:complete'

/** Prints progress until the returned function is called. */
export function followProgress(
  plugin: Pick<ElasticUmzug, 'on'>,
  runtime: Runtime,
  event: ProgressEvent = 'populate:page:complete',
): () => void {
  const everyMs = runtime.isTerminal ? terminalEveryMs : plainEveryMs
  const meter = createMeter(runtime.clock)
  let last = runtime.clock.now()
  let shown = false
  const off = plugin.on(event, (page) => {
    const text = meter(page)
    if (runtime.clock.now() - last < everyMs) return
    last = runtime.clock.now()
    shown = true
    runtime.write(runtime.isTerminal ? `\r\x1b[K${text}` : `${text}\n`)
  })
  return () => {
    off()
    if (shown && runtime.isTerminal) runtime.write('\r\x1b[K')
  }
}

/** Turns events into a line, with rate and estimated time left from the second event of a version on. */
export function createMeter(clock: Clock): (event: Events[ProgressEvent]) => string {
  const starts = new Map<string, { at: number; total: number }>()
  return ({ index, version, total, expected }) => {
    const name = `${index}-${version}`
    const percent = expected === 0 ? 100 : Math.min(100, (100 * total) / expected)
    const done = `${name}: ${total} of ${expected} (${percent.toFixed(0)} %)`
    const start = starts.get(name)
    // How long the first page took is not known, so the rate begins behind it.
    if (start === undefined) return starts.set(name, { at: clock.now(), total }) && done
    const rate = (total - start.total) / Math.max(0.001, (clock.now() - start.at) / 1_000)
    if (rate <= 0) return done
    return `${done}, ${rate.toFixed(0)} documents/s, ${duration(Math.max(0, expected - total) / rate)} left`
  }
}

/** `75` → `1m15s`. */
export function duration(seconds: number): string {
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole}s`
  if (whole < 3_600) return `${Math.floor(whole / 60)}m${whole % 60}s`
  return `${Math.floor(whole / 3_600)}h${Math.floor((whole % 3_600) / 60)}m`
}
