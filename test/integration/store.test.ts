import { expect } from 'chai'
import { spawn } from 'node:child_process'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { Sequelize } from 'sequelize'
import type { PgClientLike } from '../../adapters/postgres/connection.ts'
import { fromSequelize } from '../../adapters/sequelize/database.ts'
import { monotonicClock } from '../../adapters/clock.ts'
import type { Db, Queryable } from '../../src/ports.ts'
import { drawNumber } from '../../src/search/clock.ts'
import { listActions } from '../../src/store/action-log.ts'
import { type ActionOptions, withAction } from '../../src/store/actions.ts'
import { isHeld, openSession, waitForLocks } from '../../src/store/lock.ts'
import { applySchema, checkSchema, newestStep } from '../../src/store/schema.ts'
import { openStore, type Store } from '../../src/store/store.ts'
import { rejection } from '../support/rejection.ts'
import { createWorld, waitFor, type World } from '../support/world.ts'

const origin = { commandLine: 'umzug up', user: 'ann', host: 'here', pid: 1 }
const options = (changes: Partial<ActionOptions> = {}): ActionOptions => ({
  action: 'up',
  origin,
  clock: monotonicClock,
  exclusive: false,
  ...changes,
})

describe('store', () => {
  let world: World
  let store: Store

  const open = async () => {
    world = await createWorld()
    store = openStore(fromSequelize(world.sequelize), 'elastic_umzug')
  }

  describe('schema', () => {
    beforeEach(open)
    afterEach(() => world.drop())

    it('is made once by ten that apply it at the same moment', async () => {
      const applied = await Promise.all(Array.from({ length: 10 }, async () => {
        const connection = await store.db.connect()
        const db = { ...store.db, query: connection.query, transaction: inTransaction(connection) }
        return await applySchema(openStore(db, store.schema)).finally(() => connection.close())
      }))
      expect(applied.sort()).to.eql([...Array(9).fill(0), newestStep])
      await checkSchema(store)
    })

    it('is said to be missing, with the command that makes it', async () => {
      const error = await rejection(checkSchema(store))
      expect(error).to.include({ code: 'SCHEMA_MISSING', next: 'npx umzug up' })
    })

    it('of a newer release is refused', async () => {
      await applySchema(store)
      await store.db.query('INSERT INTO elastic_umzug.schema_steps (number) VALUES (999)')
      expect(await rejection(checkSchema(store))).to.include({ code: 'SCHEMA_NEWER' })
      expect(await rejection(applySchema(store))).to.include({ code: 'SCHEMA_NEWER' })
    })

    it('goes into a schema that an administrator made for a user who may not make one', async () => {
      const user = `user_${world.prefix}`
      await world.sequelize.query(`CREATE ROLE "${user}" LOGIN PASSWORD 'x'`)
      try {
        await world.sequelize.query(`CREATE SCHEMA elastic_umzug AUTHORIZATION "${user}"`)
        await store.db.transaction(async (tx) => {
          await tx.query(`SET LOCAL ROLE "${user}"`)
          const db = { ...store.db, query: tx.query, transaction: <T>(work: (on: typeof tx) => Promise<T>) => work(tx) }
          expect(await applySchema(openStore(db, store.schema))).to.equal(newestStep)
        })
      } finally {
        await world.sequelize.query(`DROP OWNED BY "${user}" CASCADE; DROP ROLE "${user}"`)
      }
    })
  })

  describe('database', () => {
    beforeEach(open)
    afterEach(() => world.drop())

    const withApp = async (work: (app: Sequelize, db: Db) => Promise<void>, replication = false) => {
      const { hostname: host, port, username, password, pathname } = new URL(world.databaseUrl)
      const server = { host, port, username, password, database: pathname.slice(1) }
      const options = { dialect: 'postgres', logging: false, pool: { max: 1 } } as const
      const app = replication
        ? new Sequelize({ ...options, replication: { read: [server], write: server } })
        : new Sequelize(world.databaseUrl, options)
      await work(app, fromSequelize(app)).finally(() => app.close())
    }
    const pidOf = async (on: Queryable) => (await on.query<{ pid: number }>('SELECT pg_backend_pid() AS pid'))[0]!.pid

    for (const replication of [false, true]) {
      it(`lends no connection again whose transaction could not be ended${replication ? ', of replicas' : ''}`, () =>
        withApp(async (app, db) => {
          await store.db.query('CREATE TABLE t (n int)')
          app.addHook('afterConnect', ((client: PgClientLike) => cutAt(client, 'ROLLBACK')) as never)
          let spoilt = 0
          const failing = db.transaction(async (tx) => {
            spoilt = await pidOf(tx)
            await tx.query('INSERT INTO t VALUES (1)')
            throw new Error('no')
          })
          const waiting = pidOf(db)
          expect((await rejection(failing)).message).to.equal('no')
          expect(await waiting).not.to.equal(spoilt)
          await app.query('INSERT INTO t VALUES (2)')
          expect(await store.db.query('SELECT n FROM t')).to.eql([{ n: 2 }])
        }, replication))
    }

    it('keeps a connection whose transaction was rolled back', () =>
      withApp(async (_, db) => {
        const before = await pidOf(db)
        await rejection(db.transaction((tx) => tx.query('SELECT 1 / 0')))
        expect(await pidOf(db)).to.equal(before)
      }))

    for (const level of ['read committed', 'repeatable read', 'serializable']) {
      it(`runs single statements at READ COMMITTED where ${level} is the default`, async () => {
        const { database } = new URL(world.databaseUrl).pathname.match(/\/(?<database>.*)/)!.groups!
        await store.db.query(`ALTER DATABASE "${database}" SET default_transaction_isolation = '${level}'`)
        await withApp(async (app, db) => {
          expect(await db.query('SHOW transaction_isolation')).to.eql([{ transaction_isolation: 'read committed' }])
          const [rows] = await app.query(`SELECT current_setting('transaction_isolation') AS level`)
          expect(rows).to.eql([{ level }])
          await applySchema(openStore(db, 'elastic_umzug'))
          const drawn = Array.from({ length: 5 }, () =>
            withApp(async (_, other) => {
              const elsewhere = openStore(other, 'elastic_umzug')
              for (let at = 0; at < 5; at++) await drawNumber(elsewhere)
            }))
          await Promise.all(drawn)
        })
      })
    }
  })

  describe('run lock', () => {
    before(open)
    after(() => world.drop())

    it('is with one session at a time, and free when that is closed', async () => {
      const [one, other] = await Promise.all([openSession(store), openSession(store)])
      try {
        expect(await one.tryLock('run')).to.equal(true)
        expect(await other.tryLock('run')).to.equal(false)
        expect(await other.tryLock('another')).to.equal(true)
        await one.close()
        expect(await waitFor(() => other.tryLock('run'))).to.equal(true)
      } finally {
        await Promise.all([one.close(), other.close()])
      }
    })

    it('is free when its process is killed', async () => {
      const child = spawnHolder(world.databaseUrl)
      const session = await openSession(store)
      try {
        await new Promise<void>((resolve, reject) => {
          child.stdout.once('data', () => resolve())
          child.once('exit', () => reject(new Error('the holder ended')))
        })
        expect(await session.tryLock('run')).to.equal(false)
        child.kill('SIGKILL')
        expect(await waitFor(() => session.tryLock('run'))).to.equal(true)
      } finally {
        child.kill('SIGKILL')
        await session.close()
      }
    })

    it('is known to be lost once its connection is ended', async () => {
      const session = await openSession(store)
      try {
        await session.tryLock('run')
        session.assertHeld()
        await store.db.query(
          `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
        )
        await waitFor(() => {
          try {
            session.assertHeld()
            return false
          } catch (error) {
            return (error as { code: string }).code === 'RUN_LOCK_LOST'
          }
        })
      } finally {
        await session.close()
      }
    })

    it('lets its holder build an index concurrently while another waits for it', async () => {
      await store.db.query('CREATE TABLE t AS SELECT generate_series(1, 1000) AS n')
      const [holder, waiter] = await Promise.all([openSession(store), openSession(store)])
      try {
        await holder.tryLock('run')
        const impatient = { ...monotonicClock, sleep: () => monotonicClock.sleep(1) }
        const waiting = waitForLocks(waiter, ['run'], impatient)
        for (let at = 0; at < 60; at++) await store.db.query('CREATE INDEX CONCURRENTLY ON t (n)')
        await holder.close()
        await waiting
      } finally {
        await Promise.all([holder.close(), waiter.close()])
      }
    })

    it('is waited for no longer once the signal comes', async () => {
      const [holder, waiter] = await Promise.all([openSession(store), openSession(store)])
      try {
        await holder.tryLock('run')
        const stop = new AbortController()
        const error = rejection(
          waitForLocks(waiter, ['run'], monotonicClock, {
            onWait: () => Promise.resolve(stop.abort()),
            signal: stop.signal,
          }),
        )
        expect(await error).to.include({ code: 'STOPPED' })
      } finally {
        await Promise.all([holder.close(), waiter.close()])
      }
    })

    it('can be looked at without taking it', async () => {
      const session = await openSession(store)
      const look = async () =>
        (await store.db.query<{ held: boolean }>(`SELECT ${isHeld('$1', '$2')} AS held`, [store.schema, 'run']))[0]!
          .held
      try {
        expect(await look()).to.equal(false)
        await session.tryLock('run')
        expect(await look()).to.equal(true)
      } finally {
        await session.close()
      }
    })
  })

  describe('actions', () => {
    before(open)
    before(() => applySchema(store))
    after(() => world.drop())

    it('are recorded from their start to their end', async () => {
      await withAction(store, options({ target: 'books' }), async (action) => {
        expect((await listActions(store))[0]).to.include({ state: 'in_progress', endedAt: null })
        await action.log('one line')
        action.count('documents', 2)
        action.count('documents', 3)
      })
      const [row] = await listActions(store)
      expect(row).to.include({
        action: 'up',
        target: 'books',
        state: 'complete',
        user: 'ann',
        host: 'here',
        error: null,
      })
      expect(row!.counts).to.eql({ documents: 5 })
      expect(row!.log).to.match(/^\d{4}-\d\d-\d\dT.*Z one line\n$/)
      expect(row!.startedAt! <= row!.endedAt!).to.equal(true)
    })

    it('that fail are aborted, with stack and causes', async () => {
      const fault = new Error('outer', { cause: new AggregateError([new Error('inner')], 'several') })
      expect(await rejection(withAction(store, options(), () => Promise.reject(fault)))).to.equal(fault)
      const [row] = await listActions(store)
      expect(row!.state).to.equal('aborted')
      expect(row!.error).to.match(/outer[\s\S]*at [\s\S]*several[\s\S]*inner/)
    })

    it('whose process is gone are shown as interrupted, others are not', async () => {
      await store.db.query(
        `INSERT INTO elastic_umzug.actions (action, state, started_at) VALUES ('up', 'in_progress', clock_timestamp())`,
      )
      await withAction(store, options(), async () => {
        // Looking at them from many sides at once takes nothing from the one that runs.
        const looks = await Promise.all(Array.from({ length: 20 }, () => listActions(store)))
        for (const rows of looks) {
          expect(rows.slice(0, 2).map((each) => each.state)).to.eql(['in_progress', 'interrupted'])
        }
      })
    })

    it('never hold a password', async () => {
      const url = 'postgres://app:s3cret@db/shop'
      const work = withAction(
        store,
        options({ origin: { ...origin, commandLine: `up --url ${url}` } }),
        async (action) => {
          await action.log(`connecting to ${url}`)
          throw new Error(`cannot reach ${url}`, { cause: new Error('{"password":"s3cret"}') })
        },
      )
      await rejection(work)
      expect(JSON.stringify(await listActions(store))).to.include('***').and.not.include('s3cret')
    })

    it('that exclude each other run one after another', async () => {
      let running = 0
      let most = 0
      const work = async () => {
        most = Math.max(most, ++running)
        await monotonicClock.sleep(20)
        running--
      }
      await Promise.all(Array.from({ length: 4 }, () => withAction(store, options({ exclusive: true }), work)))
      expect(most).to.equal(1)
    })
  })

  describe('document clock', () => {
    before(open)
    before(() => applySchema(store))
    after(() => world.drop())

    it('gives twenty that draw at once numbers that grow in the order of their commits', async () => {
      const connections = await Promise.all(Array.from({ length: 20 }, () => store.db.connect()))
      const drawn: string[] = []
      await Promise.all(connections.map(async (connection) => {
        for (let last = 0n, at = 0; at < 20; at++) {
          const number = await drawNumber(store, connection)
          drawn.push(number)
          expect(BigInt(number) > last).to.equal(true)
          last = BigInt(number)
        }
      })).finally(() => Promise.all(connections.map((each) => each.close())))
      expect(new Set(drawn).size).to.equal(400)
      const next = BigInt(await drawNumber(store))
      expect(drawn.every((each) => BigInt(each) < next)).to.equal(true)
    })

    it('goes on above a number of the future, and above the wall clock after a restore', async () => {
      await store.db.query('UPDATE elastic_umzug.document_clock SET n = 9000000000000000')
      expect(await drawNumber(store)).to.equal('9000000000000001')
      await store.db.query('UPDATE elastic_umzug.document_clock SET n = 5')
      expect(Number(await drawNumber(store))).to.be.within(Date.now() * 1000 - 60e6, Date.now() * 1000 + 60e6)
    })

    it('is on disk before it is used, whatever the session says', async () => {
      await store.db.transaction(async (tx) => {
        await tx.query('SET LOCAL synchronous_commit = off')
        await drawNumber(store, tx)
        expect(await tx.query('SHOW synchronous_commit')).to.eql([{ synchronous_commit: 'on' }])
      })
    })
  })
})

/** Makes a client fail at a statement without sending it, as one whose network is cut. */
function cutAt(client: PgClientLike, statement: string): void {
  const { query } = client
  client.query = (...given: unknown[]) =>
    (given[0] as { text?: string }).text === statement
      ? Promise.reject(new Error('cut'))
      : Reflect.apply(query, client, given)
}

function inTransaction(connection: { query: Store['db']['query'] }): Store['db']['transaction'] {
  return async (work) => {
    await connection.query('BEGIN')
    const result = await work(connection)
    await connection.query('COMMIT')
    return result
  }
}

function spawnHolder(databaseUrl: string) {
  const script = fileURLToPath(new URL('../support/hold_lock.ts', import.meta.url))
  const args = 'Deno' in globalThis
    ? ['run', '-A', '--no-lock', script]
    : ['--no-warnings', '--import', new URL('../../register.mjs', import.meta.url).href, script]
  return spawn(process.execPath, args, {
    env: { ...process.env, DATABASE_URL: databaseUrl },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}
