/**
 * Hides passwords in text that is stored or printed.
 * @module
 */

const quoted = String.raw`"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'`
const secret = '(?:password|passwd|passphrase|pwd|secret|token|api[_-]?key)'

const rules: [RegExp, string][] = [
  // Up to the last @ of the word: a password that is not encoded may hold @ and / itself.
  [/([a-z][a-z0-9+.-]*:\/\/[^\s:/"'`<>]*):[^\s"'`<>]*@/gi, '$1:***@'],
  [new RegExp(String.raw`((?:^|[\s"'])--?[\w-]*${secret}(?:["']?\s*,\s*|=|\s+))(${quoted}|[^\s]+)`, 'gi'), '$1***'],
  [new RegExp(String.raw`(${secret}(?:\\?["'])?\s*[=:]\s*)(\\"(?:(?!\\").)*\\"|${quoted}|[^\s,;}]+)`, 'gi'), '$1***'],
  [/(authorization["']?\s*[=:]\s*["']?(?:(?:basic|bearer|apikey)\s+)?)[^\s"',}]+/gi, '$1***'],
]

/** The text without passwords: those in URLs, options, key-value pairs, JSON and authorization headers. */
export function redact(text: string): string {
  return rules.reduce((each, [pattern, replacement]) => each.replace(pattern, replacement), text)
}
