/**
 * Hides passwords in text that is stored or printed.
 * @module
 */

const rules: [RegExp, string][] = [
  [/([a-z][a-z0-9+.-]*:\/\/[^\s:/@]*):[^\s/]*@/gi, '$1:***@'],
  [/((?:^|[\s"'])--?(?:password|passwd|pass|token|api-?key|secret)(?:=|\s+))("[^"]*"|'[^']*'|[^\s]+)/gi, '$1***'],
  [/((?:password|passwd|pwd|api_?key|secret|token|PGPASSWORD)["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s,;}]+)/gi, '$1***'],
  [/(authorization["']?\s*[=:]\s*["']?(?:basic|bearer|apikey)?\s*)[^\s"',}]+/gi, '$1***'],
]

/** The text without passwords: those in URLs, options, key-value pairs and authorization headers. */
export function redact(text: string): string {
  return rules.reduce((each, [pattern, replacement]) => each.replace(pattern, replacement), text)
}
