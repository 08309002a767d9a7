/**
 * The application's connection and its model, as any Sequelize application has them.
 * @module
 */
import process from 'node:process'
import { DataTypes, type Model, type ModelStatic, Sequelize } from 'sequelize'

/** The one Sequelize instance of the application. */
export const sequelize: Sequelize = new Sequelize(process.env.DATABASE_URL ?? 'postgres://localhost:5432/books', {
  dialect: 'postgres',
  logging: false,
})

/** A row. */
export interface BookRow extends Model {
  id: number
  title: string
}

/** Books. */
export const Book: ModelStatic<BookRow> = sequelize.define('Book', { title: DataTypes.TEXT }, {
  tableName: 'books',
  timestamps: false,
})
