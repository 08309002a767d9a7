/**
 * SQL of one's own as a source of search documents.
 * @module
 */
export { fromQuery } from './source.ts'
export type { DependsOn, FromQueryOptions } from './options.ts'
