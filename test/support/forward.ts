/**
 * Requests handed on to Elasticsearch by the proxies of the specs.
 * @module
 */
import { Buffer } from 'node:buffer'
import { type IncomingMessage, request } from 'node:http'

/** What the cluster answers, or a spec in its place. */
export interface Answer {
  status: number
  body: string
}

/** Sends a request to the target, on a connection of its own, with the headers that say what the body is. */
export function forward(target: string, { method, url, headers }: IncomingMessage, body: string): Promise<Answer> {
  const { 'content-type': type, accept } = headers
  const wanted: Record<string, string> = { 'content-length': String(Buffer.byteLength(body)), connection: 'close' }
  if (type) wanted['content-type'] = type
  if (accept) wanted.accept = accept
  return new Promise((resolve, reject) => {
    const options = { method: method ?? 'GET', headers: wanted, agent: false } as const
    const sent = request(new URL(url ?? '/', target), options, (answer) => {
      textOf(answer).then((text) => resolve({ status: answer.statusCode ?? 502, body: text }), reject)
    })
    sent.once('error', reject).end(body)
  })
}

/** The whole text of a message. */
export async function textOf(stream: IncomingMessage): Promise<string> {
  const parts: Uint8Array[] = []
  for await (const part of stream) parts.push(part as Uint8Array)
  return Buffer.concat(parts).toString('utf8')
}
