/**
 * The guards of the protocol, each with the edit that takes it away.
 * @module
 */

/** One edit of a source file. */
export interface Edit {
  file: string
  find: RegExp
  /** Put in its place; `$1` and the like as in `replace`. */
  replace: string
}

/** A guard taken away. */
export interface Mutation {
  /** What is wrong then. */
  title: string
  edits: readonly Edit[]
  /** The weather it shows in. */
  weather: 'punctual' | 'late'
  /** What to be hardest on, to see it soon. */
  focus?: string
}

const giveBackAll =
  `giveBack(deps, served, batch, batch.claimed.map((each) => ({ ...each, reason: 'broken', counts: false })))`

/** All of them, by name. */
export const mutations: Readonly<Record<string, Mutation>> = {
  'number-after-read': {
    title: 'the number is drawn after the rows are read',
    weather: 'punctual',
    focus: 'builds',
    edits: [
      {
        file: 'src/search/pages.ts',
        find: /const documents = await (source\.page\(.*), number\)/,
        replace: `const early = await $1, '0')
  const late = await drawNumber(store)
  const documents = { ...early, body: early.body.replaceAll('"version":0,', \`"version":\${late},\`) }`,
      },
      { file: 'src/search/pages.ts', find: /$/, replace: `\nimport { drawNumber } from './clock.ts'\n` },
      {
        file: 'src/queue/process.ts',
        find: /const version = await drawNumber\(store\)\n\s*const documents = await (source\.byKeys\(.*), version\)/,
        replace: `const early = await $1, '0')
  const version = await drawNumber(store)
  const documents = { ...early, body: early.body.replaceAll('"version":0,', \`"version":\${version},\`) }`,
      },
    ],
  },
  'no-generation': {
    title: 'the generation is not compared when a claim is settled',
    weather: 'punctual',
    edits: [{
      file: 'src/queue/pending.ts',
      find: /\w\.generation = d\.generation AS unmoved/,
      replace: 'true AS unmoved',
    }],
  },
  'token-per-process': {
    title: 'a process uses one token for all its claims',
    weather: 'punctual',
    focus: 'settling',
    edits: [
      {
        file: 'src/queue/process.ts',
        find: /const token = crypto\.randomUUID\(\)/,
        replace: 'const token = processToken',
      },
      { file: 'src/queue/process.ts', find: /$/, replace: '\nconst processToken = crypto.randomUUID()\n' },
    ],
  },
  'release-unanswered': {
    title: 'a claim is released after a request without answer',
    weather: 'punctual',
    edits: [{
      file: 'src/queue/process.ts',
      find: /(\n\s*if \(outcome\.kind === 'unanswered'\))/,
      replace: `\n  if (outcome.kind === 'unanswered') await ${giveBackAll}$1`,
    }],
  },
  'client-retries': {
    title: 'the client sends a request again by itself',
    weather: 'punctual',
    edits: [{ file: 'adapters/elasticsearch/client.ts', find: /maxRetries: 0/, replace: 'maxRetries: 3' }],
  },
  'no-reapply': {
    title: 'deletes are not applied again after a populate',
    weather: 'punctual',
    focus: 'pages',
    edits: [{ file: 'src/search/fill.ts', find: /\n\s*await reapplyDeletes\(.*\)/, replace: '' }],
  },
  'early-versions': {
    title: 'the versions are listed before the changes are taken',
    weather: 'punctual',
    focus: 'dispatches',
    edits: [
      {
        file: 'src/queue/changes.ts',
        find:
          /(const sql = `SELECT )(\$\{store\.name\('dispatch'\)\}\(\$1, \$2, \$3\) AS taken`)([\s\S]*?)size\.page\]/,
        replace: `const list = \`SELECT coalesce(array_agg(id), '{}')::text AS ids FROM \${store.table.index_versions}\`
  const [listed] = await on.query<{ ids: string }>(list)
  $1set_config('torture.versions', $$4, false), $2$3size.page, listed!.ids]`,
      },
      {
        file: 'src/store/dispatch.ts',
        find: /(JOIN \$\{table\.index_versions\} v ON v\.state <> 'dropped') AND/,
        replace: `$1 AND v.id = ANY (coalesce(current_setting('torture.versions', true)::bigint[], ARRAY[v.id])) AND`,
      },
    ],
  },
  'no-template': {
    title: 'the cluster may create an index by itself',
    weather: 'late',
    focus: 'drops',
    edits: [{ file: 'src/search/physical.ts', find: /\n\s*await forbidAutoCreate\(.*\)/, replace: '' }],
  },
  'late-deadline': {
    title: 'the deadline is counted from the sending',
    weather: 'punctual',
    focus: 'reading',
    edits: [{
      file: 'src/queue/process.ts',
      find: /const timeLeft = batch\.deadline - started/,
      replace: 'const timeLeft = deps.leaseMs * 0.8',
    }],
  },
}
