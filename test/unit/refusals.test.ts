import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import glob from 'fast-glob'
import ts from 'typescript'
import { errorCodes } from '../../src/errors.ts'

interface Refusal {
  where: string
  code: ts.Expression
  message: ts.Expression
  parts: ts.Expression | undefined
}

describe('every refusal', () => {
  const refusals = glob.sync(['src/**/*.ts', 'adapters/**/*.ts']).flatMap(refusalsIn)

  it('is found in the sources', () => {
    expect(refusals.length).to.be.greaterThan(100)
  })

  it('has a code of its own, and every code is used', () => {
    const used = new Set(refusals.flatMap(({ code }) => textsIn(code)))
    // `STATUS_WRONG` and others are chosen by expressions: each of their words counts.
    const sources = glob.sync(['src/**/*.ts', 'adapters/**/*.ts'], { ignore: ['src/errors.ts'] })
      .map((path) => readFileSync(path, 'utf8')).join('\n')
    const unused = Object.keys(errorCodes).filter((each) => !used.has(each) && !sources.includes(`'${each}'`))
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
})

function refusalsIn(path: string): Refusal[] {
  const file = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true)
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
  const texts: string[] = []
  ts.forEachChild(node, (child) => void texts.push(...textsIn(child)))
  return texts
}
