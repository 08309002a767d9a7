/**
 * Comparing a part of a version.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import { assertGoing, type Checked, nothingFound } from '../search/repair.ts'
import { mostSampled, sample } from '../search/sample.ts'
import { countBoth } from '../search/verify.ts'
import type { Base, Run } from './base.ts'
import { checkDeps } from './check.ts'
import type { VerifyOptions } from './verify.ts'
import type { Target } from './verify-targets.ts'

/** Throws `COMMAND_INVALID` for a sample that is none, or that contradicts the other options. */
export function assertSampled({ sample, full, repair }: VerifyOptions): void {
  if (sample === undefined) return
  if (full || repair) {
    const other = full ? '--full' : '--repair'
    throw new ElasticUmzugError('COMMAND_INVALID', `--sample and ${other} were given together; ${other} takes all.`, {
      next: 'leave one of them out',
    })
  }
  if (Number.isInteger(sample) && sample >= 1 && sample <= mostSampled) return
  throw new ElasticUmzugError('COMMAND_INVALID', `--sample is ${sample}, and takes 1 to ${mostSampled}.`, {
    next: 'npx umzug es:verify --sample 1000; without --sample all are compared',
  })
}

/** Counts rows and documents, then compares some of them. Numbers that differ are told: rows may be written meanwhile. */
export async function verifySample(
  base: Base,
  run: Run,
  { version, source }: Target,
  { contents, size }: { contents: boolean; size: number },
): Promise<Checked & { compared: number }> {
  const { drain, ...deps } = checkDeps(base, run, true)
  const draining = {
    ...deps,
    // What a stopped drain leaves in the queue would be taken for differences.
    async drain() {
      await drain(version)
      assertGoing(deps, version)
    },
  }
  const { rows, documents } = await countBoth(draining, version, source)
  const unequal = rows === documents
    ? ''
    : ': they differ, or rows were written meanwhile; npx umzug es:verify compares all'
  run.say(`${version.physical}: ${documents} documents, ${rows} rows${unequal}`)
  const { compared, found } = await sample({ ...draining, version, source, contents }, size)
  const checked = nothingFound()
  for (const { fault } of found) checked.remaining[fault]++
  return { ...checked, first: found.slice(0, 5), compared }
}
