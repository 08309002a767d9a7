/**
 * A movie, by a director or by nobody known.
 * @module
 */
import { type CreationOptional, DataTypes, type InferAttributes, type InferCreationAttributes, Model } from 'sequelize'
import type { NonAttribute } from 'sequelize'
import { sequelize } from '../database.ts'
import type { Director } from './director.ts'

/** A row of `movies`. */
export class Movie extends Model<InferAttributes<Movie>, InferCreationAttributes<Movie>> {
  declare id: CreationOptional<number>
  declare title: string | null
  declare released: CreationOptional<string | null>
  declare genre: CreationOptional<string | null>
  declare distributor: CreationOptional<string | null>
  declare rating: CreationOptional<number | null>
  declare votes: CreationOptional<number | null>
  declare directorId: CreationOptional<number | null>
  declare director?: NonAttribute<Director | null>
}

Movie.init(
  {
    id: { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true },
    title: DataTypes.STRING,
    released: DataTypes.DATEONLY,
    genre: DataTypes.STRING,
    distributor: DataTypes.STRING,
    rating: DataTypes.DOUBLE,
    votes: DataTypes.INTEGER,
    directorId: DataTypes.INTEGER,
  },
  { sequelize, modelName: 'movie', tableName: 'movies', underscored: true },
)
