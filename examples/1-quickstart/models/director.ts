/**
 * A director of movies.
 * @module
 */
import { type CreationOptional, DataTypes, type InferAttributes, type InferCreationAttributes, Model } from 'sequelize'
import { sequelize } from '../database.ts'

/** A row of `directors`. */
export class Director extends Model<InferAttributes<Director>, InferCreationAttributes<Director>> {
  declare id: CreationOptional<number>
  declare name: string
}

Director.init(
  {
    id: { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true },
    name: { type: DataTypes.STRING, allowNull: false },
  },
  { sequelize, modelName: 'director', tableName: 'directors', underscored: true },
)
