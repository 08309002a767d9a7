/**
 * What happened to rows, changes and pending rows, recorded by triggers of the torture's own, and the history of one key.
 * @module
 */
import type { Library } from '../support/library.ts'
import type { Bulk } from './proxy.ts'

const tables = ['books', 'authors', 'reviews', 'tags', 'book_tags', 'editions']
const ownTables = ['changes', 'pending', 'populate_deletes', 'index_versions']

/** Begins to record. */
export async function installTrace(library: Library): Promise<void> {
  await library.sql(`
    CREATE SCHEMA torture;
    CREATE TABLE torture.trace (n bigserial, at timestamptz NOT NULL DEFAULT clock_timestamp(), xid bigint NOT NULL
      DEFAULT txid_current(), pid int NOT NULL DEFAULT pg_backend_pid(), name text, op text, old jsonb, new jsonb);
    CREATE FUNCTION torture.trace() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = torture AS $$
    BEGIN
      INSERT INTO torture.trace (name, op, old, new) VALUES (TG_TABLE_NAME, TG_OP,
        CASE WHEN TG_LEVEL = 'ROW' AND TG_OP <> 'INSERT' THEN to_jsonb(OLD) END,
        CASE WHEN TG_LEVEL = 'ROW' AND TG_OP <> 'DELETE' THEN to_jsonb(NEW) END);
      RETURN NULL;
    END $$;
  `)
  for (const each of [...tables, ...ownTables.map((name) => `elastic_umzug.${name}`)]) {
    await library.sql(`CREATE TRIGGER torture AFTER INSERT OR UPDATE OR DELETE ON ${each}
      FOR EACH ROW EXECUTE FUNCTION torture.trace()`)
    if (each !== 'elastic_umzug.index_versions') {
      await library.sql(`CREATE TRIGGER torture_all AFTER TRUNCATE ON ${each}
        FOR EACH STATEMENT EXECUTE FUNCTION torture.trace()`)
    }
  }
}

/** Forgets what was recorded. */
export async function clearTrace(library: Library): Promise<void> {
  await library.sql('TRUNCATE torture.trace')
}

/** Everything that concerns a key of an index, in the order of time. */
export async function historyOf(
  library: Library,
  bulks: readonly Bulk[],
  strikes: readonly { at: number; what: string }[],
  key: string,
): Promise<string[]> {
  const lines = [
    ...await traced(library, key),
    ...bulks.flatMap((bulk) => sent(bulk, key)),
  ].sort((a, b) => a.at - b.at)
  if (lines.length === 0) return ['nothing is known of it']
  const [first, last] = [lines[0]!.at - 500, lines.at(-1)!.at + 500]
  return [...lines, ...strikes.filter(({ at }) => at > first && at < last)]
    .sort((a, b) => a.at - b.at)
    .map(({ at, what }) => `${new Date(at).toISOString().slice(11, 23)} ${what}`)
}

interface Line {
  at: number
  what: string
}

async function traced(library: Library, key: string): Promise<Line[]> {
  const id = key.split(',')[0]
  const rows = await library.sql<{ at: number; what: string }>(
    `SELECT extract(epoch FROM at)::float8 * 1000 AS at, format('%s %s (transaction %s, backend %s)%s%s', name, op, xid, pid,
        ' ' || old::text, ' → ' || new::text) AS what FROM torture.trace
     WHERE name = 'books' AND $1 IN (old ->> 'id', new ->> 'id')
       OR name IN ('reviews', 'book_tags', 'editions') AND $1 IN (old ->> 'book_id', new ->> 'book_id')
       OR name = 'changes' AND (coalesce(new, old) -> 'rows' @> jsonb_build_array(jsonb_build_object('id', $1::text))
         OR coalesce(new, old) -> 'rows' @> jsonb_build_array(jsonb_build_object('book_id', $1::text)))
       OR name IN ('pending', 'populate_deletes') AND coalesce(new, old) ->> 'key' = $2
       OR name = 'index_versions' OR op = 'TRUNCATE'
     ORDER BY n`,
    [id, key],
  )
  return rows.map(({ at, what }) => ({
    at,
    what: what.replace(/"(definition|dependencies)": .*?("dependency_error")/s, '$2'),
  }))
}

function sent({ alias, arrivedAt, timeoutMs, body, fate, copies, told }: Bulk, key: string): Line[] {
  const place = placeOf(body, key)
  if (!place) return []
  const { lines, position } = place
  const what = `bulk to ${alias} (has ${timeoutMs} ms): ${fate}, told ${told ?? 'nothing'}: ${lines}`
  return [
    { at: arrivedAt, what },
    ...copies.map(({ sentAt, answeredAt, status, answer, fault }) => ({
      at: sentAt,
      what: `  a copy lands, ${answeredAt ? answeredAt - sentAt : '?'} ms: ${
        fault ?? `${status} ${itemOf(answer, position)}`
      }`,
    })),
  ]
}

function placeOf(body: string, key: string): { lines: string; position: number } | undefined {
  if (!body.includes(JSON.stringify(key))) return undefined
  const all = body.split('\n')
  for (let at = 0, position = 0; at < all.length && all[at] !== ''; position++) {
    const action = JSON.parse(all[at]!) as Record<string, { _id?: string }>
    const size = 'delete' in action ? 1 : 2
    if (Object.values(action)[0]?._id === key) return { lines: all.slice(at, at + size).join(' '), position }
    at += size
  }
  return undefined
}

function itemOf(answer: string | undefined, position: number): string {
  try {
    const { items } = JSON.parse(answer ?? '{}') as { items?: unknown[] }
    return JSON.stringify(items?.[position] ?? answer)
  } catch {
    return answer ?? ''
  }
}
