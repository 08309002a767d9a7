/**
 * Text literals for statements whose values Sequelize has put in already: those take no bound values of ours.
 * @module
 */

/** A text. Every character that Sequelize's own replacing of `$1`, `:name` and `?` would touch is written as a code. */
export function quoteText(text: string): string {
  return `E'${text.replaceAll(/[\\'$:?]/g, (char) => `\\x${char.charCodeAt(0).toString(16)}`)}'`
}

/** A literal that PostgreSQL reads as an array of texts. */
export function arrayText(texts: readonly string[]): string {
  return quoteText(`{${texts.map((each) => `"${each.replaceAll(/["\\]/g, '\\$&')}"`).join(',')}}`)
}
