/**
 * How the demo speaks: titles, sentences, and indented output. Colour on terminals only.
 * @module
 */
import process from 'node:process'

const coloured = process.stdout.isTTY === true && !process.env.NO_COLOR
const paint = (code: number) => (text: string) => coloured ? `\x1b[${code}m${text}\x1b[0m` : text
const bold = paint(1)
const dim = paint(2)
const cyan = paint(36)

/** Begins a section. */
export function title(text: string): void {
  console.log(`\n${bold(text)}\n${bold('─'.repeat(text.length))}`)
}

/** Says why the next step is done. */
export function say(text: string): void {
  console.log(text)
}

/** Shows code or a command before it runs. */
export function show(code: string): void {
  console.log(indent(cyan(code)))
}

/** Shows what came out. */
export function output(text: string): void {
  console.log(indent(dim(text)))
}

/** A number as people write it: 3,201. */
export function count(value: number): string {
  return value.toLocaleString('en-US')
}

function indent(text: string): string {
  return text.split('\n').map((line) => `    ${line}`).join('\n')
}
