/**
 * Sequelize models as sources of search documents.
 * @module
 */
export type { Reads, SequelizeSource } from './plan.ts'
