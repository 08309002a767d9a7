/**
 * A small application whose suites the specs of the test kit run, in their process and in others.
 * @module
 */
import type { Client } from '@elastic/elasticsearch'
import { DataTypes, type Model, type ModelStatic, type Sequelize } from 'sequelize'
import { fromModel } from '../../adapters/sequelize/source.ts'
import { type CaptureMode, type Config, defineConfig, defineIndex } from '../../src/index.ts'

/** A row. */
export interface Titled extends Model {
  id: number
  title: string
}

/** The application. */
export interface App {
  Book: ModelStatic<Titled>
  Year: ModelStatic<Titled>
  config: Config
}

/** Its models, and a config made for production. */
export function appOf(sequelize: Sequelize, elasticsearch: Client, capture: CaptureMode = 'hooks'): App {
  const define = (name: string): ModelStatic<Titled> =>
    sequelize.define(name, { title: DataTypes.TEXT }, { timestamps: false })
  const [Book, Year] = [define('book'), define('year')]
  const index = (name: string, model: ModelStatic<Titled>, type: string) =>
    defineIndex({
      name,
      mappings: { properties: { title: { type } } },
      settings: { index: { number_of_shards: 3, auto_expand_replicas: '1-all' } },
      source: fromModel(model),
    })
  const indexes = [index('books', Book, 'text'), index('years', Year, 'integer'), index('books-again', Book, 'text')]
  return { Book, Year, config: defineConfig({ sequelize, elasticsearch, indexes, capture, prefix: 'production-' }) }
}
