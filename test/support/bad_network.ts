/**
 * An HTTP proxy in front of Elasticsearch that behaves as a spec tells it: holds, drops, doubles or refuses requests.
 * @module
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Client } from '@elastic/elasticsearch'
import { fromElasticsearch } from '../../adapters/elasticsearch/client.ts'
import type { SearchClient } from '../../src/ports.ts'
import { type Answer, forward, textOf } from './forward.ts'

/** A request on its way. */
export interface Passing {
  method: string
  path: string
  body: string
  /** Sends it to the cluster, as often as it is called. */
  forward(): Promise<Answer>
}

/** Decides about a request: an answer, or nothing to break the connection off. */
export type Behaviour = (passing: Passing) => Promise<Answer | undefined>

/** A running proxy. */
export interface BadNetwork {
  readonly search: SearchClient
  /** Replaces the behaviour; `pass` at first. */
  behave(behaviour: Behaviour): void
  /** Ends all connections and accepts none, until `open`. */
  close(): Promise<void>
  open(): Promise<void>
  stop(): Promise<void>
}

/** Passes everything on. */
export const pass: Behaviour = ({ forward }) => forward()

/** Never answers. */
export const hang: Behaviour = () => new Promise(() => {})

/** Whether a request is a bulk request. */
export function isBulk({ path }: { path: string }): boolean {
  return path.includes('/_bulk')
}

/** Starts a proxy to the cluster. */
export async function startBadNetwork(target: string): Promise<BadNetwork> {
  let behaviour = pass
  let port = 0
  let server: Server | undefined
  const open = async () => {
    if (server) return
    server = createServer((incoming, outgoing) => {
      void serve(target, incoming, outgoing, (passing) => behaviour(passing)).catch(() => outgoing.destroy())
    })
    await new Promise<void>((resolve) => server!.listen(port, '127.0.0.1', resolve))
    port = (server.address() as AddressInfo).port
  }
  const close = async () => {
    const closing = server
    server = undefined
    if (!closing) return
    const closed = new Promise<void>((resolve) => closing.close(() => resolve()))
    closing.closeAllConnections()
    await closed
  }
  await open()
  const client = new Client({ node: `http://127.0.0.1:${port}` })
  return {
    search: fromElasticsearch(client),
    behave: (changed) => void (behaviour = changed),
    close,
    open,
    async stop() {
      await client.close()
      await close()
    },
  }
}

async function serve(target: string, incoming: IncomingMessage, outgoing: ServerResponse, behaviour: Behaviour) {
  const { method = 'GET', url: path = '/' } = incoming
  const body = await textOf(incoming)
  const answer = await behaviour({ method, path, body, forward: () => forward(target, incoming, body) })
  if (!answer) return void outgoing.destroy()
  const headers = { 'content-type': 'application/json', 'x-elastic-product': 'Elasticsearch' }
  outgoing.writeHead(answer.status, headers).end(method === 'HEAD' ? undefined : answer.body)
}
