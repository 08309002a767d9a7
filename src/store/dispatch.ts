/**
 * The database function that moves committed changes into pending rows.
 * @module
 */
import { quoteText } from '../sql.ts'
import { lockKey } from './lock.ts'
import type { Store } from './store.ts'

/**
 * SQL of what happens to a pending row (`p`) that is enqueued once more (`excluded`). While somebody works on it, only its
 * generation and what merges into it are counted up: the claim is left alone. A row that was aborted gets new attempts.
 * One that waits keeps its place in the queue: a key that changes all the time would never get to the front, and while
 * `due_at` stays as it is, PostgreSQL updates the row without touching any of its indexes.
 */
export const mergePending = `ON CONFLICT (version_id, key) DO UPDATE SET
    generation = p.generation + 1,
    merged_change = least(p.merged_change, excluded.oldest_change),
    oldest_change = CASE WHEN p.token IS NULL THEN least(p.oldest_change, excluded.oldest_change) ELSE p.oldest_change END,
    made_at = least(p.made_at, excluded.made_at),
    attempts = 0,
    aborted_at = NULL,
    due_at = CASE WHEN p.token IS NULL THEN least(p.due_at, excluded.due_at) ELSE p.due_at END`

/**
 * SQL of the time from which on a key of a small change may be claimed. Keys are claimed in the order of this time, so
 * it comes before those of bulk changes, but for the ones that have waited for this long: they are not put off for ever.
 */
export const earlyDue = `clock_timestamp() - interval '1 hour'`

/** SQL of the number of the lock under which changes are dispatched. */
export function dispatchLock({ schema }: Store): string {
  return lockKey(quoteText(schema), quoteText('dispatch'))
}

/**
 * SQL of `dispatch(most_changes, most_rows, page_size)`: takes committed changes and adds one pending row per live
 * version and key. Gives the number of changes taken, -1 when another process is dispatching.
 *
 * Rule 2 of the protocol. All in one transaction, so a crash changes nothing. The order of its statements is the
 * law: the list of versions is read after the changes are taken, so a version registered later has not begun to read its
 * rows, and will read what these changes committed.
 */
export function dispatchFunction(store: Store): string {
  const { table } = store
  return `
CREATE FUNCTION ${store.name('dispatch')}(most_changes int, most_rows int, page_size int) RETURNS int
LANGUAGE plpgsql AS $dispatch$
DECLARE
  taken ${table.changes}[];
  target record;
  changed jsonb;
  origin_id bigint;
  first_made timestamptz;
  whole boolean;
  prefix text;
  page text[];
  all_keys text[] := '{}';
  all_versions bigint[] := '{}';
  all_origins bigint[] := '{}';
  all_made timestamptz[] := '{}';
  all_due timestamptz[] := '{}';
BEGIN
  -- One dispatcher at a time: dispatching is far cheaper than what follows, and whoever must keep it out can.
  IF NOT pg_try_advisory_xact_lock(${dispatchLock(store)}) THEN
    RETURN -1;
  END IF;

  taken := ${store.name('take_changes')}(most_changes, most_rows, page_size);
  IF taken IS NULL THEN RETURN 0; END IF;
  -- Nothing has to wait for the disk: a crash that takes this away brings the changes back. Whoever claims what it enqueued
  -- waits for the disk, and what was committed before is on it then.
  PERFORM set_config('synchronous_commit', 'off', true);

  -- One row per live version, dependency, and (for a change that goes on in pages) cursor. Rule 2: the versions are those
  -- of this statement's own snapshot, taken after the changes were committed, of whatever code. Single changes are alike in
  -- all but their rows: put together first, a thousand of them are looked at as one.
  FOR target IN
    WITH alike AS MATERIALIZED (
      SELECT row_number() OVER () AS number, c.table_name, c.version_id, c.dependency, c.columns, c.cursor,
        min(coalesce(c.origin, c.id)) AS origin, min(c.made_at) AS made_at, bool_or(c.rows IS NULL) AS whole, array_agg(c.id) AS ids
      FROM unnest(taken) c GROUP BY c.table_name, c.version_id, c.dependency, c.columns, c.cursor
    ), concerned AS MATERIALIZED (
      SELECT v.id AS version_id, d.number AS dependency, a.table_name, a.cursor,
        min(a.origin) AS origin, min(a.made_at) AS made_at, bool_or(a.whole) AS whole, array_agg(a.number) AS numbers
      FROM alike a
      JOIN ${table.index_versions} v ON v.state <> 'dropped' AND v.abandoned_at IS NULL
        AND (a.version_id IS NULL OR a.version_id = v.id)
      CROSS JOIN LATERAL (
        SELECT (n - 1)::int AS number, e AS entry FROM jsonb_array_elements(v.dependencies) WITH ORDINALITY AS x(e, n)
      ) d
      WHERE d.entry ->> 'table' = a.table_name
        AND (a.dependency IS NULL OR a.dependency = d.number)
        AND (a.columns IS NULL OR EXISTS (
          SELECT FROM jsonb_array_elements_text(d.entry -> 'columns') AS r(name) WHERE r.name = ANY (a.columns)))
      GROUP BY v.id, d.number, a.table_name, a.cursor
    )
    SELECT c.*, v.dependencies -> c.dependency AS entry,
      ARRAY(SELECT i FROM alike a CROSS JOIN unnest(a.ids) AS i WHERE a.number = ANY (c.numbers)) AS ids
    FROM concerned c JOIN ${table.index_versions} v ON v.id = c.version_id
    ORDER BY c.version_id, c.dependency, c.cursor
  LOOP
    origin_id := target.origin;
    first_made := target.made_at;
    whole := target.whole;
    prefix := coalesce(target.entry ->> 'prefix', '');
    SELECT coalesce(jsonb_agg(r.value), '[]') INTO changed
      FROM unnest(taken) c CROSS JOIN LATERAL jsonb_array_elements(c.rows) r WHERE c.id IN (SELECT unnest(target.ids));

    -- The rows are gone, their keys are only in the index: a sweep enqueues them, and nothing in flight may settle. What
    -- only waits is read later than this anyhow.
    IF whole AND (target.entry ->> 'own')::boolean AND target.cursor IS NULL THEN
      INSERT INTO ${table.pending} AS p (version_id, key, oldest_change, made_at)
        SELECT version_id, key, origin_id, first_made FROM ${table.pending}
        WHERE version_id = target.version_id AND (token IS NOT NULL OR due_at = 'infinity') ORDER BY key
      ${mergePending};
      UPDATE ${table.index_versions} SET truncated = true WHERE id = target.version_id AND state IN ('created', 'populating');
      INSERT INTO ${table.changes} (origin, table_name, made_at, version_id, sweep)
        VALUES (origin_id, target.table_name, first_made, target.version_id, true);
    END IF;

    BEGIN
      EXECUTE 'SELECT array_agg($4 || k.key) FILTER (WHERE k.key IS NOT NULL) FROM (' ||
        CASE WHEN whole THEN target.entry ->> 'allKeys' ELSE target.entry ->> 'keys' END || ') k'
        INTO page USING changed, substr(target.cursor, length(prefix) + 1), page_size, prefix;
    EXCEPTION WHEN OTHERS OR assert_failure THEN
      -- A migration took away or changed what an old version reads, or SQL of its own fails over what it finds: that version
      -- cannot go on, all others must. Anything else (a deadlock, a full disk) passes, and the whole dispatch is tried
      -- again; what is beyond a limit (class 54), with fewer changes, until it is the fault of one.
      IF left(SQLSTATE, 2) NOT IN ('21', '22', '2F', '38', '39', '3F', '42', 'P0')
        AND NOT (left(SQLSTATE, 2) = '54' AND cardinality(taken) = 1) THEN
        RAISE;
      END IF;
      UPDATE ${table.index_versions} SET dependency_error = SQLERRM WHERE id = target.version_id;
      page := NULL;
    END;
    CONTINUE WHEN page IS NULL;

    all_keys := all_keys || page;
    all_versions := all_versions || array_fill(target.version_id, ARRAY[cardinality(page)]);
    all_origins := all_origins || array_fill(origin_id, ARRAY[cardinality(page)]);
    all_made := all_made || array_fill(first_made, ARRAY[cardinality(page)]);
    all_due := all_due || array_fill(
      CASE WHEN cardinality(page) <= ${smallChange} AND target.cursor IS NULL THEN ${earlyDue} ELSE clock_timestamp() END,
      ARRAY[cardinality(page)]);

    -- More keys than a page: the change goes on behind the others, for this version and dependency only.
    IF cardinality(page) >= page_size AND (whole OR NOT (target.entry ->> 'own')::boolean) THEN
      INSERT INTO ${table.changes} (origin, table_name, rows, made_at, version_id, dependency, cursor)
        VALUES (origin_id, target.table_name, CASE WHEN whole THEN NULL ELSE changed END, first_made,
          target.version_id, target.dependency, page[cardinality(page)]);
    END IF;
  END LOOP;

  -- In key order, as every writer of this table takes its locks: two of them cannot wait for each other.
  INSERT INTO ${table.pending} AS p (version_id, key, oldest_change, made_at, due_at)
    SELECT version_id, key, min(origin), min(made_at), min(due_at)
    FROM unnest(all_versions, all_keys, all_origins, all_made, all_due) AS n(version_id, key, origin, made_at, due_at)
    GROUP BY version_id, key ORDER BY version_id, key COLLATE "C"
  ${mergePending};
  RETURN cardinality(taken);
END
$dispatch$`
}

/** Most keys of a change that goes before bulk changes. */
const smallChange = 100

/** Stored bytes of a row's image: a guess that needs no look into it. */
const rowBytes = 64

/**
 * SQL of `take_changes(most_changes, most_rows, page_size)`: deletes the next changes and gives them; null when there are
 * none. From each table in turn: a flood in one does not hold up the others, whatever was captured first. No order between
 * changes is needed: each looks up its documents after it was committed, and what a mark waits for is told by its number.
 * Of those that go on in pages one page goes along with every dispatch: they neither hold up nor wait for the others.
 * Only what is nearly chosen already is counted, which takes a look into long arrays.
 */
export function takeFunction(store: Store): string {
  const { changes } = store.table
  // Its plan is made once for each connection, most often while the table is empty: by the settings it goes by the index
  // and by places for ever after, and never through the whole table.
  return `
CREATE FUNCTION ${store.name('take_changes')}(most_changes int, most_rows int, page_size int) RETURNS ${changes}[]
LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off AS $take$
DECLARE
  taken ${changes}[];
BEGIN
  WITH RECURSIVE ${changedTables(store)}, heads AS (
    SELECT h.table_name, h.id, h.place, coalesce(jsonb_array_length(h.rows), page_size) AS size
    FROM tables t CROSS JOIN LATERAL (
      SELECT f.*, sum(f.bytes) OVER (ORDER BY f.id) AS total FROM (
        SELECT c.table_name, c.id, c.ctid AS place, c.rows, coalesce(pg_column_size(c.rows), 0) AS bytes FROM ${changes} c
        WHERE c.table_name = t.name AND c.cursor IS NULL AND NOT c.sweep ORDER BY c.table_name, c.id LIMIT most_changes) f
    ) h WHERE h.total - h.bytes < most_rows::bigint * ${rowBytes}
  ), lined_up AS (
    SELECT place, id, size, sum(size) OVER (PARTITION BY table_name ORDER BY id) AS turn FROM heads
    UNION ALL
    (SELECT c.ctid, c.id, 0, 0 FROM ${changes} c
     WHERE c.origin IS NOT NULL AND c.cursor IS NOT NULL AND NOT c.sweep ORDER BY c.id LIMIT 1)
  ), chosen AS (
    SELECT place FROM (
      SELECT *, sum(size) OVER w AS total, row_number() OVER w AS number FROM lined_up
      -- One alone is taken to find what is too much: the oldest, which would not get its turn before smaller ones.
      WINDOW w AS (ORDER BY CASE WHEN most_changes > 1 THEN turn END, id)
    ) l WHERE total - size < most_rows AND number <= most_changes
  ), held AS MATERIALIZED (
    SELECT c.ctid AS place FROM ${changes} c WHERE c.ctid = ANY (ARRAY(SELECT place FROM chosen)) FOR UPDATE SKIP LOCKED
  ), gone AS (
    DELETE FROM ${changes} c WHERE c.ctid = ANY (ARRAY(SELECT place FROM held)) RETURNING c AS change
  )
  SELECT array_agg(change) INTO taken FROM gone;
  RETURN taken;
END
$take$`
}

/**
 * SQL of `tables (name)`, for WITH RECURSIVE: the tables that have changes waiting, and a null at the end. It goes from
 * one to the next by the index, however many changes there are.
 */
export function changedTables({ table: { changes } }: Store): string {
  return `tables (name) AS (
    (SELECT c.table_name FROM ${changes} c ORDER BY c.table_name LIMIT 1)
    UNION ALL
    SELECT (SELECT c.table_name FROM ${changes} c WHERE c.table_name > t.name ORDER BY c.table_name LIMIT 1)
    FROM tables t WHERE t.name IS NOT NULL
  )`
}
