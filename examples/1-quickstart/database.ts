/**
 * The application's connection, as any Sequelize application has one.
 * @module
 */
import process from 'node:process'
import { Sequelize } from 'sequelize'

/** The one Sequelize instance of the application. */
export const sequelize: Sequelize = new Sequelize(process.env.DATABASE_URL ?? 'postgres://localhost:5432/movies', {
  dialect: 'postgres',
  logging: false,
})
