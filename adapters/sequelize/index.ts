/**
 * Sequelize models as sources of search documents.
 * @module
 */
export { type AttributeName, fromModel, type FromModelOptions } from './source.ts'
export type { Reads, SequelizeSource } from './plan.ts'
export type { AnyModel } from './tables.ts'
