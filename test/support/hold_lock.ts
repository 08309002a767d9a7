/**
 * A process that takes the run lock of a database, says so, and holds it until it is killed.
 * @module
 */
import process from 'node:process'
import { Sequelize } from 'sequelize'
import { fromSequelize } from '../../adapters/sequelize/database.ts'
import { openSession } from '../../src/store/lock.ts'
import { openStore } from '../../src/store/store.ts'

const sequelize = new Sequelize(process.env.DATABASE_URL!, { logging: false })
const session = await openSession(openStore(fromSequelize(sequelize), 'elastic_umzug'))
await session.tryLock('run')
process.stdout.write('held\n')
