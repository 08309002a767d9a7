/**
 * Plain text tables.
 * @module
 */

/** Rows under their heads, in columns; numbers to the right. */
export function table(heads: readonly string[], rows: readonly (readonly (string | number | null)[])[]): string[] {
  const texts = rows.map((row) => row.map((each) => each === null ? '-' : oneLine(String(each))))
  const widths = heads.map((head, at) => Math.max(head.length, ...texts.map((row) => row[at]!.length)))
  const numeric = heads.map((_, at) =>
    rows.length > 0 && rows.every((row) => typeof row[at] === 'number' || row[at] === null)
  )
  const line = (cells: readonly string[]) =>
    cells.map((each, at) => numeric[at] ? each.padStart(widths[at]!) : each.padEnd(widths[at]!)).join('  ').trimEnd()
  return [line(heads), ...texts.map(line)]
}

// A command line may hold anything; a cell must neither break its row nor steer the terminal.
function oneLine(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\s\u0000-\u001f\u007f-\u009f]+/g, (run) => /\s/.test(run) ? ' ' : '')
}

/** Milliseconds in the largest fitting unit. */
export function age(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)} ms`
  if (ms < 59_950) return `${(ms / 1_000).toFixed(1)} s`
  if (ms < 6_000_000) return `${Math.round(ms / 60_000)} min`
  return `${(ms / 3_600_000).toFixed(1)} h`
}

/** Bytes in the largest fitting unit. */
export function size(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`
  const units = ['kB', 'MB', 'GB', 'TB']
  const at = Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3) - 1)
  return `${(bytes / 1_000 ** (at + 1)).toFixed(1)} ${units[at]}`
}
