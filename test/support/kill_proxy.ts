/**
 * An HTTP proxy in front of Elasticsearch that tells a spec of every answer before the answer goes on.
 * @module
 */
import { Buffer } from 'node:buffer'
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { textOf } from './forward.ts'

/** One request that the cluster has answered. */
export interface Exchange {
  method: string
  /** Path with query. */
  path: string
  body: string
  status: number
}

/** A running proxy. */
export interface KillProxy {
  readonly url: string
  stop(): Promise<void>
}

/** Called when the cluster has answered; a promise keeps the answer back until it resolves, false for good. */
export type Answered = (exchange: Exchange) => boolean | Promise<boolean>

/** Called before a request goes on to the cluster; false keeps it back for good. */
export type Asked = (request: Omit<Exchange, 'status'>) => boolean

/** Starts a proxy to the URL. */
export async function startKillProxy(
  target: string,
  answered: Answered,
  asked: Asked = () => true,
): Promise<KillProxy> {
  const server = createServer((incoming, outgoing) => {
    void pass(target, incoming, outgoing, answered, asked).catch(() => outgoing.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, stop: () => close(server) }
}

async function pass(
  target: string,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  answered: Answered,
  asked: Asked,
) {
  const { method = 'GET', url: path = '/' } = incoming
  const body = await textOf(incoming)
  if (!asked({ method, path, body })) return
  const answer = await send(target, incoming, body)
  const text = await textOf(answer)
  const status = answer.statusCode ?? 502
  if (!(await answered({ method, path, body, status }))) return
  outgoing.writeHead(status, withoutHop(answer.headers))
  outgoing.end(text)
}

function send(target: string, { method, url, headers }: IncomingMessage, body: string): Promise<IncomingMessage> {
  const wanted = { ...withoutHop(headers), 'content-length': String(Buffer.byteLength(body)) }
  return new Promise((resolve, reject) => {
    request(new URL(url ?? '/', target), { method, headers: wanted }, resolve).once('error', reject).end(body)
  })
}

function withoutHop(headers: IncomingMessage['headers']): Record<string, string | string[]> {
  const hop = ['connection', 'keep-alive', 'transfer-encoding', 'host', 'content-length']
  return Object.fromEntries(
    Object.entries(headers).filter(([name, value]) => !hop.includes(name) && value !== undefined),
  ) as Record<string, string | string[]>
}

function close(server: Server): Promise<void> {
  server.closeAllConnections()
  return new Promise((resolve) => server.close(() => resolve()))
}
