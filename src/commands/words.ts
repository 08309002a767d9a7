/**
 * Numbers in words.
 * @module
 */

/** `1 version`, `2 versions`. */
export function counted(count: number, one: string, many: string = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}
