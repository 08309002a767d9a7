/**
 * An HTTP proxy in front of Elasticsearch that delays, loses, doubles and refuses requests, and cuts answers, as its seed says.
 *
 * Two kinds of weather, after the two faults that the protocol of synchronisation holds against: `punctual` requests arrive
 * before their deadline or never, while the cluster may forget deletes at any moment; `late` ones arrive long after it,
 * while deletes are remembered. Both at once nobody can hold.
 * @module
 */
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Answer, forward, textOf } from '../support/forward.ts'
import { freePort } from '../support/servers/ports.ts'

/** How requests fare. */
export type Weather = 'calm' | 'punctual' | 'late'

/** Weights of what happens to requests, by their kind: a page of a populate, a bulk of deletes only, another bulk, any other. */
export type Fates = Partial<Record<'page' | 'deletes' | 'bulk' | 'other', Readonly<Record<string, number>>>>

/** One copy of a request that reached the cluster. */
export interface Copy {
  /** Milliseconds since 1970. */
  sentAt: number
  answeredAt?: number
  status?: number
  answer?: string
  fault?: string
}

/** A bulk request, as it fared. */
export interface Bulk {
  arrivedAt: number
  /** Milliseconds it has, by its own word. */
  timeoutMs: number
  alias: string
  body: string
  fate: string
  copies: Copy[]
  /** What the sender was told; undefined when its connection was cut. */
  told?: number
}

/** A running proxy. */
export interface BadProxy {
  readonly url: string
  /** Bulk requests since the last `forget`. */
  readonly bulks: Bulk[]
  weather: Weather
  /** Weights in place of the usual ones, or beside them. */
  fates: Fates
  forget(): void
  /** Refuses connections for some time. */
  away(ms: number): Promise<void>
  /** Whether a request of this kind is held back on its way, to an alias or to any. */
  holds(kind: keyof Fates, alias?: string): boolean
  /** Resolves when no copy is held back any more. */
  landed(): Promise<void>
  stop(): Promise<void>
}

/** A request on its way, and what may be done with it. */
interface Passing {
  random: () => number
  timeoutMs: number
  late: boolean
  send(): Promise<Answer>
  /** Holds it back for a time. */
  wait(ms: number): Promise<void>
  /** Sends it after a time; nobody waits for the answer. */
  sendLater(ms: number): void
}

/** Does something with a request; gives the answer, or nothing to cut the connection. */
type Fate = (passing: Passing) => Promise<Answer | undefined>

const answer = (status: number): Answer => ({
  status,
  body: JSON.stringify({ error: { reason: 'the proxy says so' } }),
})
/** When a copy lands that its sender does not hear of: within its time, or up to four times as late. */
const landing = ({ random, timeoutMs, late }: Passing) => timeoutMs * (late ? 4 * random() : 0.1 + 0.85 * random())

const fates: Record<string, Fate> = {
  pass: ({ send }) => send(),
  async delay(passing) {
    await passing.wait(passing.timeoutMs * 0.8 * passing.random())
    return await passing.send()
  },
  async hold(passing) {
    await passing.wait(passing.timeoutMs * (0.5 + 0.45 * passing.random()))
    return await passing.send()
  },
  lose: () => Promise.resolve(undefined),
  async hang({ timeoutMs }) {
    await sleep(timeoutMs)
    return undefined
  },
  async 'cut answer'({ send }) {
    await send()
    return undefined
  },
  'cut, lands later'(passing) {
    passing.sendLater(landing(passing))
    return Promise.resolve(undefined)
  },
  async 'cut answer, second copy lands later'(passing) {
    passing.sendLater(landing(passing))
    await passing.send()
    return undefined
  },
  // Where deletes may be forgotten, no copy may land after an answer: nobody could know of it.
  async double(passing) {
    if (passing.late) passing.sendLater(landing(passing))
    else await passing.send()
    return await passing.send()
  },
  'too many': () => Promise.resolve(answer(429)),
  'gateway timeout, lands later'(passing) {
    passing.sendLater(landing(passing))
    return Promise.resolve(answer(504))
  },
}

const bulkWeights = {
  pass: 80,
  delay: 12,
  lose: 3,
  hang: 1,
  'cut answer': 5,
  'cut, lands later': 8,
  'cut answer, second copy lands later': 3,
  double: 4,
  'too many': 2,
  'gateway timeout, lands later': 2,
}
const usual: Required<Fates> = {
  bulk: bulkWeights,
  deletes: bulkWeights,
  // Pages of a populate are few, and nothing claims their keys: they are the ones to hold back.
  page: { pass: 30, delay: 50, 'cut answer': 4, 'cut, lands later': 8, double: 4 },
  other: { pass: 965, delay: 20, lose: 3, 'cut answer': 8, 'too many': 4 },
}
const pageBytes = 20_000

function kindOf(path: string, body: string): keyof Fates {
  if (!path.includes('/_bulk')) return 'other'
  // An index operation in the same request keeps the cluster from making an index for the deletes.
  if (/^(?:\{"delete".*\n)+$/.test(body)) return 'deletes'
  return body.length > pageBytes ? 'page' : 'bulk'
}

/** Picks one of some by weight. */
export function pick<T>(random: () => number, weights: readonly (readonly [T, number])[]): T {
  let left = random() * weights.reduce((sum, [, weight]) => sum + weight, 0)
  for (const [each, weight] of weights) if ((left -= weight) < 0) return each
  return weights[0]![0]
}

function lost(copy: Copy): Error {
  copy.fault = 'lost: it was too late'
  return new Error(copy.fault)
}

/** Starts a proxy; `target` is asked for with every request. */
export async function startBadProxy(target: string, random: () => number): Promise<BadProxy> {
  // Not one that the system chooses: while the proxy is away, it could give it to somebody else.
  const port = await freePort()
  let server: Server | undefined
  let bulks: Bulk[] = []
  const held = new Set<Promise<unknown>>()
  const waiting = new Set<{ kind: keyof Fates; alias: string }>()
  const serve = async (incoming: IncomingMessage): Promise<Answer | undefined> => {
    const { url: path = '/' } = incoming
    const body = await textOf(incoming)
    const { weather } = proxy
    const kind = kindOf(path, body)
    const isBulk = kind !== 'other'
    const fate = weather === 'calm' ? 'pass' : pick(random, Object.entries({ ...usual[kind], ...proxy.fates[kind] }))
    const timeoutMs = isBulk ? Number.parseInt(new URL(path, target).searchParams.get('timeout') ?? '300') : 300
    const bulk: Bulk = { arrivedAt: Date.now(), timeoutMs, alias: path.split('/')[1]!, body, fate, copies: [] }
    if (isBulk) bulks.push(bulk)
    const late = weather === 'late'
    const send = async () => {
      const copy: Copy = { sentAt: Date.now() }
      bulk.copies.push(copy)
      // However busy this machine is: punctual requests do not land behind their deadline.
      if (isBulk && weather === 'punctual' && copy.sentAt > bulk.arrivedAt + timeoutMs) throw lost(copy)
      try {
        const got = await forward(target, incoming, body)
        Object.assign(copy, { answeredAt: Date.now(), status: got.status, answer: got.body })
        return got
      } catch (error) {
        copy.fault = String(error)
        throw error
      }
    }
    const hold = (work: Promise<unknown>) => {
      const ended: Promise<unknown> = work.catch(() => {}).finally(() => held.delete(ended))
      held.add(ended)
    }
    const wait = async (ms: number) => {
      const one = { kind, alias: bulk.alias }
      waiting.add(one)
      await sleep(ms)
      waiting.delete(one)
    }
    const sendLater = (ms: number) => hold(wait(ms).then(send))
    const answering = fates[fate]!({ random, timeoutMs, late, send, wait, sendLater })
    hold(answering)
    const told = await answering
    if (told) bulk.told = told.status
    return told
  }
  const open = async () => {
    server = createServer((incoming, outgoing) => {
      serve(incoming).then((told) => {
        if (!told) return void outgoing.destroy()
        const headers = { 'content-type': 'application/json', 'x-elastic-product': 'Elasticsearch' }
        outgoing.writeHead(told.status, headers).end(incoming.method === 'HEAD' ? undefined : told.body)
      }).catch(() => outgoing.destroy())
    })
    await new Promise<void>((resolve) => server!.listen(port, '127.0.0.1', resolve))
  }
  const close = async () => {
    const closing = server
    server = undefined
    if (!closing) return
    const closed = new Promise<void>((resolve) => closing.close(() => resolve()))
    closing.closeAllConnections()
    await closed
  }
  const proxy: BadProxy = {
    get url() {
      return `http://127.0.0.1:${port}`
    },
    get bulks() {
      return bulks
    },
    weather: 'calm',
    fates: {},
    forget: () => void (bulks = []),
    async away(ms) {
      if (!server) return
      await close()
      await sleep(ms)
      await open()
    },
    holds: (kind, alias) =>
      [...waiting].some((each) => each.kind === kind && (alias === undefined || each.alias === alias)),
    async landed() {
      while (held.size > 0) await Promise.all(held)
    },
    stop: close,
  }
  await open()
  return proxy
}
