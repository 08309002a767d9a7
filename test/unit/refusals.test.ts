import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import glob from 'fast-glob'
import ts from 'typescript'
import { createCli } from '../../src/cli/commands.ts'
import type { Session } from '../../src/cli/session.ts'
import { errorCodes } from '../../src/errors.ts'

const globals = ['--config', '--database', '--verbose', '--no-wait', '--help']
const sources = glob.sync(['src/**/*.ts', 'adapters/**/*.ts'])

interface Refusal {
  where: string
  code: ts.Expression
  message: ts.Expression
  parts: ts.Expression | undefined
}

describe('every refusal', () => {
  const refusals = sources.flatMap(refusalsIn)

  it('is found in the sources', () => {
    expect(refusals.length).to.be.greaterThan(100)
  })

  it('has a code of its own, and every code is used', () => {
    const used = new Set(refusals.flatMap((each) => textsIn(each.code)))
    // Some are handed on to the place that throws.
    const code = sources.filter((path) => path !== 'src/errors.ts').map((path) => readFileSync(path, 'utf8')).join('\n')
    const unused = Object.keys(errorCodes).filter((each) => !used.has(each) && !code.includes(`'${each}'`))
    expect(unused.filter((each) => each !== 'NO_ANSWER' && each !== 'UNEXPECTED')).to.deep.equal([])
    expect([...used].filter((each) => !Object.hasOwn(errorCodes, each))).to.deep.equal([])
  })

  it('says something', () => {
    const empty = refusals.filter(({ message }) => ts.isStringLiteralLike(message) && message.text.trim().length < 10)
    expect(empty.map((each) => each.where)).to.deep.equal([])
  })

  it('case 10: has a next step', () => {
    const without = refusals.filter(({ parts }) => !hasNext(parts)).map((each) => each.where)
    expect(without).to.deep.equal([])
  })

  it('names commands and options that there are, and so does the README', () => {
    const cli = createCli({} as Session)
    const known = new Map(cli.actions.map((each) => [each.actionName, optionsOf(each)]))
    const texts = sources.flatMap((path) => textsIn(fileOf(path)).map((text) => ({ path, text })))
    const readme = readFileSync('README.md', 'utf8').split(/[\n`]/).map((text) => ({ path: 'README.md', text }))
    const named = [...texts, ...readme].flatMap(({ path, text }) => commandsIn(text).map((each) => ({ path, ...each })))
    expect(named.length).to.be.greaterThan(100)
    const wrong = named.filter(({ command, options }) =>
      !options.every((each) => known.get(command)?.has(each) || globals.includes(each))
    )
    expect(wrong).to.deep.equal([])
  })
})

function optionsOf({ parameters }: { parameters: readonly { longName: string; shortName?: string | undefined }[] }) {
  return new Set(parameters.flatMap((each) => [each.longName, each.shortName ?? each.longName]))
}

// Each `npx umzug COMMAND` of a text, with the options said of it up to the next one.
function commandsIn(text: string): { command: string; options: string[] }[] {
  return text.split('npx umzug ').slice(1).flatMap((each) => {
    const [command] = /^[a-z]+(:[a-z]+)?(?![\w-])/.exec(each) ?? []
    return command ? [{ command, options: each.match(/(?<![\w-])--[a-z][a-z-]*/g) ?? [] }] : []
  })
}

function fileOf(path: string): ts.SourceFile {
  return ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true)
}

function refusalsIn(path: string): Refusal[] {
  const file = fileOf(path)
  const found: Refusal[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isNewExpression(node) && node.expression.getText() === 'ElasticUmzugError') {
      const [code, message, parts] = node.arguments ?? []
      const { line } = file.getLineAndCharacterOfPosition(node.getStart())
      if (code && message) found.push({ where: `${path}:${line + 1}`, code, message, parts })
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  return found
}

// An object with `next`, or something of another place whose own calls are looked at by `partsGiven`.
function hasNext(parts: ts.Expression | undefined): boolean {
  if (!parts) return false
  if (!ts.isObjectLiteralExpression(parts)) return true
  return parts.properties.some((each) => {
    if (ts.isSpreadAssignment(each)) return true
    if (each.name?.getText() !== 'next') return false
    if (!ts.isPropertyAssignment(each)) return true
    return !(ts.isStringLiteralLike(each.initializer) && each.initializer.text.trim() === '')
  })
}

function textsIn(node: ts.Node): string[] {
  if (ts.isStringLiteralLike(node)) return [node.text]
  if (ts.isTemplateExpression(node)) return [node.getText().slice(1, -1).replace(/\$\{[^}]*\}/g, 'X')]
  const texts: string[] = []
  ts.forEachChild(node, (child) => void texts.push(...textsIn(child)))
  return texts
}
