/**
 * The models and how they belong together.
 * @module
 */
import { Director } from './director.ts'
import { Movie } from './movie.ts'

Director.hasMany(Movie, { foreignKey: 'directorId' })
Movie.belongsTo(Director, { foreignKey: 'directorId' })

export { Director, Movie }
