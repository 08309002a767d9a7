/**
 * What the specs of bad input share: a refusal looked at from all sides, and servers that refuse.
 * @module
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSocketServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'
import { currentRuntime } from '../../adapters/runtime.ts'
import { runCli } from '../../src/cli/main.ts'
import { elasticUmzug } from '../../src/compose.ts'
import { type ErrorCode, errorCodes } from '../../src/errors.ts'
import type { Runtime } from '../../src/ports.ts'
import type { Ended } from './cli.ts'

/** What a refusal has to be. */
export interface Refusal {
  code: ErrorCode
  /** Default 1. */
  exit?: number
  /** Texts that the message holds: what, where. */
  says?: readonly (string | RegExp)[]
  /** Text that the next step holds. */
  next?: string | RegExp
  /** What must not be anywhere in the output. */
  secrets?: readonly string[]
}

/** Checks that a command ended with exactly one message: code, what, where, next step; no stack, no password. */
export function expectRefusal({ code, stdout, stderr }: Ended, refusal: Refusal): void {
  const output = `${stdout}${stderr}`
  const messages = stderr.match(/^error [A-Z_]+: /gm) ?? []
  expect(messages, stderr).to.deep.equal([`error ${refusal.code}: `])
  expect(Object.keys(errorCodes)).to.include(refusal.code)
  expect(stderr.match(/^ {2}next: \S.*$/gm), stderr).to.have.length(1)
  expect(stdout, 'no usage where data is expected').not.to.include('usage: ')
  expect(stderr, 'nothing but the message').to.match(/^error [^]*\n {2}next: .+\n$/)
  expect(code, stderr).to.equal(refusal.exit ?? 1)
  // A single such line is the place of a syntax error.
  expect(output, 'no stack').not.to.match(/(?:^\s+at .+:\d+.*\n){2}/m)
  for (const each of refusal.says ?? []) expect(stderr).to.match(patternOf(each))
  if (refusal.next !== undefined) expect(stderr.slice(stderr.indexOf('\n  next: '))).to.match(patternOf(refusal.next))
  for (const each of refusal.secrets ?? []) expect(output).not.to.include(each)
}

function patternOf(text: string | RegExp): RegExp {
  return typeof text === 'string' ? new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')) : text
}

/** Runs a command in this process, for command lines that load no config: its output goes nowhere else. */
export async function runHere(args: readonly string[], cwd: string): Promise<Ended> {
  const output = { stdout: '', stderr: '' }
  const here = currentRuntime()
  const runtime: Runtime = {
    ...here,
    argv: args,
    cwd: () => cwd,
    resolve: (...parts) => here.resolve(cwd, ...parts),
    write: (text) => void (output.stdout += text),
    writeError: (text) => void (output.stderr += text),
  }
  const code = await runCli(runtime, elasticUmzug, new AbortController().signal)
  return { code, signal: null, ...output }
}

/** A server that stands where Elasticsearch is expected. */
export interface Impostor {
  readonly url: string
  /** Requests it got, as `GET /`. */
  readonly requests: readonly string[]
  close(): Promise<void>
}

/** Starts an HTTP server that answers every request in the same way. */
export async function startImpostor(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<Impostor> {
  const requests: string[] = []
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`)
    request.resume()
    answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}

/** Answers JSON, as Elasticsearch does when `product` is true. */
export function answerJson(status: number, body: object, product: boolean = true) {
  return (_request: IncomingMessage, response: ServerResponse): void => {
    response.writeHead(status, {
      'content-type': 'application/json',
      ...(product ? { 'x-elastic-product': 'Elasticsearch' } : {}),
    })
    response.end(JSON.stringify(body))
  }
}

/** A port of this machine where nobody listens. */
export async function closedPort(): Promise<number> {
  const server = createSocketServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  const { port } = server.address() as AddressInfo
  await new Promise<void>((resolve) => server.close(() => resolve()))
  return port
}
