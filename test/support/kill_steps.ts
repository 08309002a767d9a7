/**
 * Kills a command at each of its steps: every request of another kind that changes something in Elasticsearch, one of
 * them in each run, until a run ends by itself. By turns before it reaches the cluster and when it has been answered;
 * `KILLS=all` at both, and at every step, also where a spec chooses some.
 * @module
 */
import process from 'node:process'
import { expect } from 'chai'
import { type Exchange, type KillProxy, startKillProxy } from './kill_proxy.ts'
import { type Knobs, type Library, told } from './library.ts'

/** What became of a command that was started again and again. */
export interface Killed {
  /** Where each run was killed, in order. */
  steps: string[]
  /** What the run that was not killed printed. */
  stdout: string
}

/** Runs commands that are killed. */
export interface StepKiller {
  /**
   * Starts the command until it ends by itself, killing it at the steps that are given; throws when it ends with another
   * exit code than 0, or a step was never reached.
   */
  run(args: string[], at: RegExp[], knobs?: Knobs): Promise<Killed>
  stop(): Promise<void>
}

/** Starts the proxy that kills. */
export async function createStepKiller(library: Library): Promise<StepKiller> {
  let reached = (_when: When, _kind: string) => true
  const passes = (when: When, request: Omit<Exchange, 'status'>) =>
    !isChange(request) || reached(when, kindOf(library.prefix, request))
  const proxy: KillProxy = await startKillProxy(
    library.elasticsearchUrl,
    (exchange) => passes('after', exchange),
    (request) => passes('before', request),
  )
  return {
    stop: () => proxy.stop(),
    async run(args, at, knobs = {}) {
      const steps: string[] = []
      const kinds: string[] = []
      for (;;) {
        const child = library.start(args, { ...knobs, ELASTICSEARCH_URL: proxy.url })
        let isKilled = false
        reached = (when, kind) => {
          const step = `${when} ${kind}`
          if (isKilled) return false
          if (!isAll && !at.some((each) => each.test(kind))) return true
          if (!kinds.includes(kind)) kinds.push(kind)
          if (steps.includes(step) || !isChosen(when, kinds.indexOf(kind))) return true
          steps.push(step)
          isKilled = true
          child.kill('SIGKILL')
          return false
        }
        const ended = await child.ended
        reached = () => true
        if (isKilled) continue
        for (const each of at) expect(kinds.some((kind) => each.test(kind)), `${each} was reached`).to.equal(true)
        expect(ended.code, `after ${steps.join('; ')}:\n${told(ended)}`).to.equal(0)
        return { steps, stdout: ended.stdout }
      }
    },
  }
}

type When = 'before' | 'after'

const isAll = process.env.KILLS === 'all'

const isChosen = (when: When, at: number) => isAll || when === (at % 2 === 0 ? 'after' : 'before')

function isChange({ method, path }: Omit<Exchange, 'status'>): boolean {
  if (method === 'GET' || method === 'HEAD') return false
  return !/\/_(search|count|mget|refresh|msearch|pit|simulate\S*|search_shards|field_caps)\b/.test(path)
}

// Versions, indexes and times are all alike; what is asked of aliases and settings is a kind of its own.
function kindOf(prefix: string, { method, path, body }: Omit<Exchange, 'status'>): string {
  const asked = /_aliases|_settings/.test(path) ? ` ${body}` : ''
  return `${method} ${path.split('?')[0]}${asked}`
    .replaceAll(prefix, '')
    .replaceAll('editions', 'books')
    .replace(/~[0-9a-f]{8}/g, '~H')
    .replace(/\d{9,}/g, 'T')
    .replace(/-\d+/g, '-N')
    .slice(0, 250)
}
