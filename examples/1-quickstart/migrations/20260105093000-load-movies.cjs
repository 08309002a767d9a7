const { readFileSync } = require('node:fs')
const { dirname, join } = require('node:path')

// The package exports its code only; the data lies beside it.
const file = join(dirname(require.resolve('vega-datasets')), '..', 'data', 'movies.json')
const perStatement = 1000

module.exports = {
  async up(queryInterface) {
    const movies = JSON.parse(readFileSync(file, 'utf8'))
    const stamps = { created_at: new Date(), updated_at: new Date() }
    const names = [...new Set(movies.map((movie) => movie.Director).filter((name) => name !== null))]
    await queryInterface.bulkInsert('directors', names.map((name) => ({ name, ...stamps })))

    const [directors] = await queryInterface.sequelize.query('SELECT id, name FROM directors')
    const ids = new Map(directors.map(({ id, name }) => [name, id]))
    const rows = movies.map((movie) => ({
      // Some titles are numbers: 1776, 2012, 300.
      title: movie.Title === null ? null : String(movie.Title),
      released: day(movie['Release Date']),
      genre: movie['Major Genre'],
      distributor: movie.Distributor,
      rating: movie['IMDB Rating'],
      votes: movie['IMDB Votes'],
      director_id: ids.get(movie.Director) ?? null,
      ...stamps,
    }))
    for (let start = 0; start < rows.length; start += perStatement) {
      await queryInterface.bulkInsert('movies', rows.slice(start, start + perStatement))
    }
  },

  async down(queryInterface) {
    await queryInterface.bulkDelete('movies', {})
    await queryInterface.bulkDelete('directors', {})
  },
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

// `Jun 12 1998`. Years of two digits were read as 20xx by whoever made the file: 2046 is 1946.
function day(text) {
  const [month, date, year] = text.split(' ')
  const real = Number(year) > 2011 ? Number(year) - 100 : Number(year)
  return `${real}-${String(months.indexOf(month) + 1).padStart(2, '0')}-${date}`
}
