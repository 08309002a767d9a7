/**
 * Copying documents inside the cluster: tasks of Elasticsearch that go on whatever becomes of who started them.
 * @module
 */
import { NoAnswerError } from '../errors.ts'
import type { Clock, SearchClient } from '../ports.ts'
import { assertAnswer, reasonOf } from './bulk.ts'

/** A part of the documents of an index: the one with this number of so many. */
export interface Part {
  id: number
  max: number
}

/** What is copied where. */
export interface Reindex {
  /** Physical index that is read. */
  from: string
  /** Alias that is written through. */
  to: string
  part: Part
  /** Documents of one batch. */
  batchSize: number
  /** Most documents a second. */
  rate: number | undefined
  /** Milliseconds that starting it may take. */
  timeoutMs: number
}

/** A document that was refused, or a fault of reading. */
export interface TaskFailure {
  id?: string
  status?: number
  cause?: { type?: string; reason?: string }
  reason?: { type?: string; reason?: string }
}

/** How far a task is. */
export interface TaskState {
  /** Documents that it has passed. */
  passed: number
  /** True once it has ended. */
  ended: boolean
  failures: TaskFailure[]
}

/**
 * Starts a copy that keeps the versions of documents, and leaves alone what has a higher one. Gives the name of its task;
 * undefined where no answer came: it may be under way, or begin within the time it had.
 */
export async function startReindex(search: SearchClient, copy: Reindex): Promise<string | undefined> {
  const slice = copy.part.max > 1 ? { slice: copy.part } : {}
  try {
    const { status, body } = await search.request<{ task?: string }>({
      method: 'POST',
      path: '/_reindex',
      query: {
        wait_for_completion: false,
        require_alias: true,
        ...(copy.rate !== undefined && { requests_per_second: copy.rate }),
      },
      body: {
        conflicts: 'proceed',
        source: { index: copy.from, size: copy.batchSize, ...slice },
        dest: { index: copy.to, version_type: 'external' },
      },
      timeoutMs: copy.timeoutMs,
    })
    if (status >= 500) return undefined
    assertAnswer(status, body, `to copy ${copy.from} to ${copy.to}`)
    return body.task
  } catch (error) {
    if (error instanceof NoAnswerError) return undefined
    throw error
  }
}

interface TaskBody {
  completed?: boolean
  task?: { status?: { created?: number; updated?: number; version_conflicts?: number; noops?: number } }
  response?: { failures?: TaskFailure[]; canceled?: string }
  error?: { type?: string; reason?: string }
}

/** How far a task is; undefined when its node has gone, and the task with it. */
export async function readTask(search: SearchClient, task: string): Promise<TaskState | undefined> {
  const { status, body } = await search.request<TaskBody>({
    method: 'GET',
    path: `/_tasks/${encodeURIComponent(task)}`,
  })
  if (status === 404) return undefined
  assertAnswer(status, body.task ? {} : body, `to look at the task ${task}`)
  const { created = 0, updated = 0, version_conflicts: older = 0, noops = 0 } = body.task?.status ?? {}
  const { failures = [], canceled } = body.response ?? {}
  const fault = body.error ?? (canceled === undefined ? undefined : { reason: `it was cancelled: ${canceled}` })
  return {
    passed: created + updated + older + noops,
    ended: body.completed === true,
    failures: fault ? [{ reason: fault }, ...failures] : failures,
  }
}

/** Reason of a failure, in words. */
export function reasonOfFailure({ cause, reason }: TaskFailure): string {
  return [cause?.type ?? reason?.type, cause?.reason ?? reason?.reason].filter(Boolean).join(': ')
}

interface TaskList {
  nodes?: Record<string, { tasks?: Record<string, { description?: string; parent_task_id?: string }> }>
}

async function tasksInto(search: SearchClient, alias: string): Promise<string[]> {
  const { status, body } = await search.request<TaskList>({
    method: 'GET',
    path: '/_tasks',
    query: { actions: '*reindex', detailed: true, filter_path: 'nodes.*.tasks.*.description' },
  })
  assertAnswer(status, reasonOf(body) === '' ? {} : body, 'to list its tasks')
  const tasks = Object.values(body.nodes ?? {}).flatMap((each) => Object.entries(each.tasks ?? {}))
  return tasks.filter(([, { description = '' }]) => description.includes(`to [${alias}]`)).map(([name]) => name)
}

/** Asks a task to end; it does so after its batch under way. */
export async function cancelTask(search: SearchClient, task: string): Promise<void> {
  await search.request({ method: 'POST', path: `/_tasks/${encodeURIComponent(task)}/_cancel` })
}

const pollMs = 100

/** Ends every copy through an alias but those named, and waits until none of them is left. */
export async function endTasksInto(
  search: SearchClient,
  clock: Clock,
  alias: string,
  but: readonly string[] = [],
): Promise<void> {
  for (let asked = new Set<string>();;) {
    const left = (await tasksInto(search, alias)).filter((each) => !but.includes(each))
    if (left.length === 0) return
    for (const each of left) if (!asked.has(each)) await cancelTask(search, each)
    asked = new Set(left)
    await clock.sleep(pollMs)
  }
}
