/**
 * Small arithmetic of the benches.
 * @module
 */

/** The value below which the share (0 to 1) of the values lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN
}

/** The middle value. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** Milliseconds as seconds. */
export function seconds(ms: number): number {
  return ms / 1_000
}

/** A number of the environment. */
export function knob(name: string, value: number, env: Record<string, string | undefined>): number {
  const given = env[name]
  if (given === undefined) return value
  if (!/^\d+$/.test(given)) throw new Error(`${name} is "${given}", not a whole number`)
  return Number(given)
}
