/**
 * Bulk requests whose outcome is certain, or known to be uncertain.
 * @module
 */
import { ElasticUmzugError, NoAnswerError } from '../errors.ts'
import type { Clock, SearchClient } from '../ports.ts'

/** Part of a lease that is kept back: a request ends before another can take what it writes (rule 3 of the protocol). */
const marginShare = 0.2

/** When a request must have ended, on the clock, whose keys or range are leased from now on. */
export function deadlineOf(clock: Clock, leaseMs: number): number {
  return clock.now() + leaseMs * (1 - marginShare)
}

/** One refused line of a bulk request. */
export interface Refusal {
  /** Place of the line in the request, from 0. */
  position: number
  status: number
  /** Elasticsearch's name of the error. */
  type: string
  reason: string
}

/** Whether a refusal is no document's fault: the cluster is too busy, or the index does not take writes. */
export function isLoad(refusal: Refusal): boolean {
  return refusal.status === 429 || isShut(refusal)
}

/** Whether the index does not take writes: it is closed, blocked, forbidden or gone. */
export function isShut({ status, type }: Pick<Refusal, 'status' | 'type'>): boolean {
  return status === 403 || status === 404 || type === 'index_closed_exception'
}

/** Whether a line may have been written, or still be, although an error came back for it. */
export function isUncertain({ status, type }: Refusal): boolean {
  // A processor of an ingest pipeline failed: the document was not sent on to its shard.
  return status >= 500 && !type.endsWith('processor_exception')
}

/** What came of a bulk request. */
export type BulkOutcome =
  | { kind: 'answered'; refusals: Refusal[] }
  /** The whole request was refused: nothing of it was written. */
  | { kind: 'refused'; status: number; reason: string }
  /** It surely never left this process. */
  | { kind: 'unsent'; reason: string }
  /** It may still be carried out, until its deadline. */
  | { kind: 'unanswered'; reason: string }

interface BulkBody {
  errors?: boolean
  items?: Record<
    string,
    { status: number; result?: string; error?: { type?: string; reason?: string; caused_by?: { reason?: string } } }
  >[]
  error?: { reason?: string } | string
}

const fields = 'errors,error,items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason'

/**
 * Sends one bulk request to an alias, once (rule 5 of the protocol: no retries); `timeoutMs` is all the time it has, here
 * and in the cluster. Where documents go through ingest pipelines (`isPiped`), one that they drop counts as refused: the
 * document from before is still there.
 */
export async function sendBulk(
  search: SearchClient,
  alias: string,
  body: string,
  timeoutMs: number,
  isPiped: boolean = false,
): Promise<BulkOutcome> {
  try {
    const { status, body: answer } = await search.request<BulkBody>({
      method: 'POST',
      path: `/${encodeURIComponent(alias)}/_bulk`,
      query: {
        require_alias: true,
        timeout: `${Math.floor(timeoutMs)}ms`,
        filter_path: isPiped ? `${fields},items.*.result` : fields,
      },
      body,
      timeoutMs,
    })
    if (status === 200 && answer.items) {
      return { kind: 'answered', refusals: answer.errors || isPiped ? refusalsOf(answer) : [] }
    }
    const reason = `${status} ${reasonOf(answer)}`.trim()
    // Rule 6: a server error may come from something in between that gave up waiting while the cluster goes on.
    return status >= 500 || status < 400 ? { kind: 'unanswered', reason } : { kind: 'refused', status, reason }
  } catch (error) {
    if (!(error instanceof NoAnswerError)) throw error
    return { kind: error.sent ? 'unanswered' : 'unsent', reason: error.message }
  }
}

const dropped = 'the ingest pipeline of the index dropped the document'

function refusalsOf({ items = [] }: BulkBody): Refusal[] {
  return items.flatMap((item, position) => {
    const result = Object.values(item)[0]
    if (result?.result === 'noop') return [{ position, status: 400, type: 'dropped', reason: dropped }]
    // Rule 6: 409 is a success: somebody with a higher number was there first, and what it read is newer.
    if (!result?.error || result.status === 409) return []
    const { type = '', reason = '', caused_by } = result.error
    const why = [type, reason, caused_by?.reason].filter(Boolean).join(': ')
    return [{ position, status: result.status, type, reason: why }]
  })
}

/** The line that deletes a document. */
export function deleteLine(key: string, version: string, routing?: string): string {
  const routed = routing === undefined ? '' : `,"routing":${JSON.stringify(routing)}`
  return `{"delete":{"_id":${JSON.stringify(key)},"version":${version},"version_type":"external"${routed}}}\n`
}

/** Throws `SEARCH_FAILED` for an answer that is not a success. */
export function assertAnswer(status: number, body: unknown, doing: string): void {
  if (status >= 200 && status < 300) return
  throw new ElasticUmzugError('SEARCH_FAILED', `Elasticsearch refused ${doing}: ${reasonOf(body) || status}`, {
    next: 'correct what it names, then run the same command again',
  })
}

/** The reason in an error answer. */
export function reasonOf(body: unknown): string {
  const error = (body as { error?: { reason?: string; caused_by?: { reason?: string } } | string } | null)?.error
  if (typeof error === 'string') return error
  return [error?.reason, error?.caused_by?.reason].filter(Boolean).join(': ')
}
