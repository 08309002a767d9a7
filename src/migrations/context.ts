/**
 * What a migration is called with.
 * @module
 */
import type { QueryInterface, Sequelize, Sequelize as SequelizeClass } from 'sequelize'
import { alteringSequelize, type Remaking } from './altering.ts'

/** Beside the QueryInterface. */
export interface ContextExtras<Elastic extends object = object> {
  /** The commands on search indexes. */
  elastic: Elastic
  /** The commands on data migrations. */
  data: object
}

/** The application's QueryInterface (`context.sequelize` is its Sequelize), with the commands beside it. */
export type MigrationContext<Elastic extends object = object> = QueryInterface & ContextExtras<Elastic>

/** What identifies a migration. */
export interface MigrationId {
  /** Name of the file. */
  name: string
  /** Absolute; undefined for a migration without a file. */
  path?: string | undefined
}

/** First argument of `up` and `down`: a QueryInterface that has Umzug's parameters on it, so that every style works. */
export type MigrationArgument<Elastic extends object = object> =
  & MigrationContext<Elastic>
  & MigrationId
  & { context: MigrationContext<Elastic> }

/** `up` or `down` of any style. */
export type MigrationFunction<Elastic extends object = object> = (
  argument: MigrationArgument<Elastic>,
  Sequelize: typeof SequelizeClass,
) => unknown

/** Makes the context of one command: its `sequelize` makes triggers anew together with what is renamed or dropped. */
export function createContext(
  sequelize: Sequelize,
  { elastic, data }: ContextExtras,
  remaking: Remaking,
): MigrationContext {
  const altering = alteringSequelize(sequelize, remaking)
  const context = derive(sequelize.getQueryInterface(), { elastic, data, sequelize: altering }) as MigrationContext
  altering.getQueryInterface = () => context
  return context
}

/** Makes the first argument for one migration. */
export function argumentOf(context: MigrationContext, { name, path }: MigrationId): MigrationArgument {
  return derive(context, { context, name, path }) as MigrationArgument
}

function derive(prototype: object, own: object): object {
  return Object.assign(Object.create(prototype) as object, own)
}
