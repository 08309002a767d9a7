/**
 * `es:diff`: what changed between the code, versions, and the cluster.
 * @module
 */
import { ElasticUmzugError } from '../errors.ts'
import { type Definition, type Snapshot, snapshotOf } from '../search/definition.ts'
import { type Change, diffForms, wayOf } from '../search/diff.ts'
import { driftOf } from '../search/drift.ts'
import { type Cost, costOf } from '../search/estimate.ts'
import { formOf } from '../search/forms.ts'
import { identity } from '../search/in-place.ts'
import { definitionOf } from '../search/lifecycle.ts'
import { assertPhysical } from '../search/physical.ts'
import { isNamed, unknownVersion } from '../search/targets.ts'
import type { Way } from '../search/updateable.ts'
import { listVersions, type Version } from '../search/versions.ts'
import { checkSchema } from '../store/schema.ts'
import type { Base } from './base.ts'
import { eachOf } from './change.ts'

/** What differs between two definitions of an index. */
export interface Diff extends Cost {
  /** Name of the index, without prefix. */
  index: string
  /** Physical name of a version; null where there is none yet. */
  from: string | null
  /** Physical name of a version, `code` or `live`. */
  to: string
  /** What differs; empty where nothing does. */
  changes: Change[]
  /** How all of it together reaches the cluster; null where nothing differs, or what differs is in the cluster. */
  way: Way | null
}

interface Side {
  name: string
  snapshot: Snapshot
  version?: Version
}

/**
 * Compares versions. `[]`: of every definition its active version with the code; `['books']`: of this one; `['books', A, B]`: two of
 * `books@N`, physical names, `code` and `live`, which is what the cluster has of the version before it. Throws `COMMAND_INVALID`,
 * `VERSION_UNKNOWN`, `DEFINITION_UNKNOWN`, and `MAPPING_REFUSED` where Elasticsearch refuses one of them.
 */
export async function diffVersions(base: Base, names: readonly string[] = []): Promise<Diff[]> {
  await checkSchema(base.store)
  const versions = await listVersions(base.store, base.prefix)
  if (names.length === 0) return await eachOf(base.definitions, (each) => diffOf(base, versions, each.name, []))
  const [first, ...rest] = names
  const isIndex = [...base.definitions.map((each) => each.name), ...versions.map((each) => each.index)].includes(first!)
  const sides = isIndex ? rest : names
  const index = isIndex ? first! : indexOf(base, versions, names)
  if (sides.length > 2) throw unclear('more than two were given')
  return [await diffOf(base, versions, index, sides)]
}

function indexOf(base: Base, versions: readonly Version[], names: readonly string[]): string {
  const named = names.find((each) => each !== 'code' && each !== 'live')
  if (named === undefined) throw unclear('no index is named')
  // A name that is neither is told with the names there are.
  return /[@-]\d+$/.test(named) ? versionNamed(versions, named).index : definitionOf(base, named).name
}

async function diffOf(
  base: Base,
  versions: readonly Version[],
  index: string,
  sides: readonly string[],
): Promise<Diff> {
  const own = versions.filter((each) => each.index === index)
  const current = own.find((each) => each.state === 'active') ?? own.at(-1)
  const definition = base.definitions.find((each) => each.name === index)
  const [before, after] = sides.length === 2 ? sides : [current?.physical, sides[0] ?? 'code']
  const isOther = sides.length === 1 && after !== 'code' && after !== 'live'
  // One version alone is compared with the code.
  const [from, to] = isOther ? [after!, 'code'] : [before, after!]
  const cost = await costOf(base, own, definition?.source)
  if (from === undefined) return { index, from: null, to, changes: [], way: 'populate', ...cost }
  if (to === 'live') return { index, ...(await driftFrom(base, own, from)), way: null, ...cost }
  if (from === 'live') throw unclear('live stands before another one')
  const [one, other] = [sideOf(base, own, index, from), sideOf(base, own, index, to)]
  const changes = await compare(base, one, other)
  return { index, from: one.name, to: other.name, changes, way: wayOf(changes) ?? null, ...cost }
}

async function driftFrom(
  base: Base,
  versions: readonly Version[],
  name: string,
): Promise<Omit<Diff, keyof Cost | 'index' | 'way'>> {
  if (name === 'code') throw unclear('live is compared with a version, whose definition is stored')
  const version = versionNamed(versions, name)
  await assertPhysical(base.needSearch(), version)
  return { from: version.physical, to: 'live', changes: (await driftOf(base.needSearch(), version)) ?? [] }
}

async function compare(base: Base, from: Side, to: Side): Promise<Change[]> {
  const search = base.needSearch()
  const forms = diffForms(await formOf(search, from.snapshot, from.name), await formOf(search, to.snapshot, to.name))
  return [...identity(from.snapshot, to.snapshot), ...forms]
}

function sideOf(base: Base, versions: readonly Version[], index: string, name: string): Side {
  if (name === 'code') return { name, snapshot: snapshotOf(definitionOf(base, index) as Definition) }
  const version = versionNamed(versions, name)
  return { name: version.physical, snapshot: version.definition, version }
}

function versionNamed(versions: readonly Version[], name: string): Version {
  const found = versions.find((each) => isNamed(each, name))
  if (found) return found
  throw unknownVersion(versions, name)
}

function unclear(why: string): ElasticUmzugError {
  return new ElasticUmzugError('COMMAND_INVALID', `What is to be compared is not clear: ${why}.`, {
    next: 'npx umzug es:diff books, npx umzug es:diff books books@1 books@2, or npx umzug es:diff books live',
  })
}
