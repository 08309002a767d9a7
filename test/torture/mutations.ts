/**
 * Takes guards away, each in a copy of the sources, and tortures the copy until it is seen.
 * @module
 */
import { spawn } from 'node:child_process'
import { cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { forgetGroup, keepGroup } from '../support/servers/keeper.ts'
import { type Mutation, mutations } from './patches.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const copied = ['src', 'adapters', 'test', 'package.json', 'deno.json', 'tsconfig.json', 'register.mjs']

/** How to look for them. */
export interface MutationOptions {
  /** Tried in turn. */
  seeds: readonly number[]
  /** Most minutes for one mutation and seed. */
  minutes: number
  /** Further options of the torture. */
  args: readonly string[]
  print(line: string): void
}

/** Tortures one mutation, or all of them; gives how many were not found. */
export async function tortureMutations(name: string, options: MutationOptions): Promise<number> {
  const names = name === 'all' ? Object.keys(mutations) : name.split(',')
  let missed = 0
  for (const each of names) {
    const mutation = mutations[each]
    if (!mutation) throw new Error(`There is no mutation ${each}; there are: ${Object.keys(mutations).join(', ')}`)
    if (!(await isFound(each, mutation, options))) missed++
  }
  return missed
}

/** Texts of the files that a mutation changes. Throws when an edit does not fit any more. */
export async function mutated({ edits }: Mutation): Promise<Map<string, string>> {
  const texts = new Map<string, string>()
  for (const { file, find, replace } of edits) {
    const text = texts.get(file) ?? await readFile(join(root, file), 'utf8')
    if (!find.test(text)) throw new Error(`${find} is not in ${file} any more: correct test/torture/patches.ts`)
    texts.set(file, text.replace(find, replace))
  }
  return texts
}

async function isFound(name: string, mutation: Mutation, options: MutationOptions): Promise<boolean> {
  for (const seed of options.seeds) if (await isFoundBy(seed, name, mutation, options)) return true
  return false
}

async function isFoundBy(
  seed: number,
  name: string,
  mutation: Mutation,
  { minutes, args, print }: MutationOptions,
): Promise<boolean> {
  const folder = join(tmpdir(), `elastic-umzug-mutation-${name}`)
  await copyTo(folder)
  for (const [file, text] of await mutated(mutation)) await writeFile(join(folder, file), text)
  const started = Date.now()
  const report = join(folder, 'report')
  const given = ['--seed', String(seed), '--minutes', String(minutes), '--weather', mutation.weather]
  const focus = mutation.focus === undefined ? [] : ['--focus', mutation.focus]
  const code = await run(folder, [...given, ...focus, '--report', report, ...args])
  const seconds = Math.round((Date.now() - started) / 1_000)
  const found = code === 1 && await readFile(report, 'utf8').catch(() => '')
  print(
    `${name} (${mutation.title}): ${
      found ? 'found' : `not found, exit code ${code}`
    } with seed ${seed} after ${seconds} s`,
  )
  if (found) { for (const line of found.split('\n').slice(1, 4)) print(`  ${line.slice(0, 200)}`) }
  return Boolean(found)
}

async function copyTo(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder)
  for (const each of copied) await cp(join(root, each), join(folder, each), { recursive: true })
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
}

async function run(folder: string, args: readonly string[]): Promise<number | null> {
  const program = join(folder, 'test/torture/main.ts')
  const launch = 'Deno' in globalThis
    ? ['run', '-A', '--no-lock', '--config', join(folder, 'deno.json'), program]
    : ['--no-warnings', '--import', pathToFileURL(join(folder, 'register.mjs')).href, program]
  const child = spawn(process.execPath, [...launch, ...args], { detached: true, stdio: 'inherit', cwd: folder })
  const pid = child.pid ?? 0
  keepGroup(pid, 'SIGKILL')
  return await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => {
      forgetGroup(pid)
      resolve(code)
    })
  })
}
