module.exports = {
  async up(queryInterface, Sequelize) {
    await queryInterface.createTable('movies', {
      id: { type: Sequelize.INTEGER, primaryKey: true, autoIncrement: true },
      title: Sequelize.STRING,
      released: Sequelize.DATEONLY,
      genre: Sequelize.STRING,
      distributor: Sequelize.STRING,
      rating: Sequelize.DOUBLE,
      votes: Sequelize.INTEGER,
      director_id: { type: Sequelize.INTEGER, references: { model: 'directors', key: 'id' }, onDelete: 'SET NULL' },
      created_at: { type: Sequelize.DATE, allowNull: false },
      updated_at: { type: Sequelize.DATE, allowNull: false },
    })
    await queryInterface.addIndex('movies', ['director_id'])
  },

  async down(queryInterface) {
    await queryInterface.dropTable('movies')
  },
}
