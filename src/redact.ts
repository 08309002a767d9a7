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

const hidden = new Set<string>()
let longestFirst: string[] = []

/**
 * From now on `redact` hides these texts wherever they stand, as they are, in JSON and in URLs: the passwords that this process knows.
 * Shorter ones than 4 characters are left out, because ordinary text is full of them.
 */
export function hideSecrets(secrets: readonly string[]): void {
  for (const each of secrets.filter((secret) => secret.length >= shortest)) {
    for (const form of [each, JSON.stringify(each).slice(1, -1), encodeURIComponent(each)]) hidden.add(form)
  }
  // One may be a part of another, which would then stay in pieces.
  longestFirst = [...hidden].sort((a, b) => b.length - a.length)
}

const shortest = 4

/** The text without passwords: those given to `hideSecrets`, and those in URLs, options, key-value pairs, JSON and authorization headers. */
export function redact(text: string): string {
  // Before the patterns, which may take the first word of a password for all of it.
  const rest = longestFirst.reduce((each, secret) => each.replaceAll(secret, '***'), text)
  return rules.reduce((each, [pattern, replacement]) => each.replace(pattern, replacement), rest)
}
