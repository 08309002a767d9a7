/**
 * Writes without end, outside transactions, until it is killed: for the spec that looks what a crash leaves.
 * @module
 */
import process from 'node:process'
import { openApp } from './capture.world.ts'

const { models: { Book, Author } } = openApp(process.argv[2]!, { pool: 5 })

async function writeForever(lane: number): Promise<void> {
  for (let round = 0;; round++) {
    const author = 1 + (round + lane) % 3
    const made = await Book.create({ title: `${lane} ${round}`, authorId: author })
    await Book.update({ authorId: 1 + (author % 3) }, { where: { id: made.get('id') as string } })
    await Book.upsert({ id: made.get('id'), title: 'again', authorId: author })
    if (round % 5 === 4) {
      const [, created] = await Author.findOrCreate({ where: { id: 1000 + lane }, defaults: { name: `lane ${lane}` } })
      await Book.update({ authorId: 1000 + lane }, { where: { id: made.get('id') as string } })
      if (created) await Author.destroy({ where: { id: 1000 + lane } })
    }
    if (round === 0) process.stdout.write('writing\n')
  }
}

await Promise.all([0, 1, 2, 3].map(writeForever))
