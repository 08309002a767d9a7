/**
 * Writes of every kind on a few keys at a time. The few move on, so that what goes wrong with a key is not made good by
 * the next write to it.
 * @module
 */
import type { Transaction } from 'sequelize'
import { type Scene, writes as anyWrites } from '../fixtures/library/writes.ts'

/** Who writes, and to which keys. */
export interface HotScene extends Scene {
  /** Books there may be, from 1 on. */
  rows: number
  /** True while tables are captured by triggers: then SQL of any kind is seen too. */
  raw: boolean
  /** How many keys are written at a time, and for how many milliseconds one is the first of them. */
  hot: { width: number; moveMs: number }
  /** Share of the writes that take documents away or bring them back. */
  comings: number
}

type Options = { transaction?: Transaction }
type Write = (scene: HotScene, options: Options) => Promise<unknown>

const below = ({ random }: HotScene, n: number) => Math.floor(random() * n)

// One of the keys that are hot now, in every process the same ones.
function hot(scene: HotScene): number {
  const { rows, hot: { width, moveMs } } = scene
  return 1 + (Math.floor(Date.now() / moveMs) + below(scene, width)) % rows
}

const authorOf = (scene: HotScene, options: Options) =>
  scene.models.Author.findOne({ ...options, order: [['id', 'ASC']], offset: below(scene, 6) })

function values(scene: HotScene) {
  return { title: `T ${below(scene, 1e9)}`, price: (below(scene, 10_000) / 100).toFixed(2), stock: below(scene, 99) }
}

const hotWrites: Record<string, Write> = {
  async title(scene, options) {
    const book = await scene.models.Book.findByPk(hot(scene), options)
    await book?.update(values(scene), options)
  },
  async titles(scene, options) {
    const id = [hot(scene), hot(scene)]
    await scene.models.Book.update(values(scene), { ...options, where: { id } })
  },
  async remove(scene, options) {
    const force = scene.random() < 0.5
    await scene.models.Book.destroy({ ...options, where: { id: hot(scene) }, force })
  },
  async removeOne(scene, options) {
    const book = await scene.models.Book.findByPk(hot(scene), options)
    await book?.destroy(options)
  },
  async hide(scene, options) {
    await scene.models.Book.update({ published: false }, { ...options, where: { id: hot(scene) } })
  },
  async bring(scene, options) {
    const id = hot(scene)
    await scene.models.Book.upsert({ id, ...values(scene), published: true }, options)
    await scene.models.Book.restore({ ...options, where: { id } })
  },
  async bringMany(scene, options) {
    const rows = [...new Set([hot(scene), hot(scene), hot(scene)])].sort().map((id) => ({
      id,
      ...values(scene),
      published: true,
      deletedAt: null,
    }))
    const updateOnDuplicate = ['title', 'price', 'published', 'deletedAt']
    await scene.models.Book.bulkCreate(rows, { ...options, updateOnDuplicate })
  },
  async stock(scene, options) {
    await scene.models.Book.increment('stock', { ...options, by: 1, where: { id: hot(scene) } })
  },
  async author(scene, options) {
    const author = await authorOf(scene, options)
    if (author) await scene.models.Book.update({ authorId: author.id }, { ...options, where: { id: hot(scene) } })
  },
  async review(scene, options) {
    await scene.models.Review.create({ stars: below(scene, 5), bookId: hot(scene) }, options)
  },
  async moveReviews(scene, options) {
    await scene.models.Review.update({ bookId: hot(scene) }, { ...options, where: { bookId: hot(scene) } })
  },
  async edition(scene, options) {
    const row = { bookId: hot(scene), format: `f${below(scene, 3)}`, pages: below(scene, 900) }
    await scene.models.Edition.upsert(row, options)
  },
  async editionKey(scene, options) {
    const where = { bookId: hot(scene), format: `f${below(scene, 3)}` }
    await scene.models.Edition.update({ format: `k${below(scene, 1e6)}` }, { ...options, where })
  },
  async removeEditions(scene, options) {
    await scene.models.Edition.destroy({ ...options, where: { bookId: hot(scene) } })
  },
  async truncate(scene, options) {
    if (scene.random() < 0.03) await scene.models.Edition.truncate(options)
  },
}

const query = (scene: HotScene, sql: string, { transaction }: Options) =>
  scene.sequelize.query(sql, {
    replacements: { id: hot(scene), other: hot(scene), text: `R ${below(scene, 1e9)}`, number: below(scene, 99) },
    ...(transaction ? { transaction } : {}),
  })

const rawWrites: Record<string, Write> = {
  update: (scene, options) =>
    query(scene, 'UPDATE books SET title = :text, stock = stock + 1 WHERE id IN (:id, :other)', options),
  delete: (scene, options) => query(scene, 'DELETE FROM books WHERE id = :id', options),
  insert: (scene, options) =>
    query(
      scene,
      `INSERT INTO books (id, title, stock) VALUES (:id, :text, :number)
       ON CONFLICT (id) DO UPDATE SET title = excluded.title, published = true, deleted_at = NULL`,
      options,
    ),
  moveReviews: (scene, options) => query(scene, 'UPDATE reviews SET book_id = :id WHERE book_id = :other', options),
  tags: (scene, options) =>
    query(scene, 'UPDATE book_tags SET weight = :number WHERE book_id IN (:id, :other)', options),
  key: (scene, options) =>
    query(scene, `UPDATE editions SET format = 'r' || :number WHERE book_id = :id AND format = 'f1'`, options),
  chain: (scene, options) =>
    query(
      scene,
      `WITH gone AS (DELETE FROM editions WHERE book_id = :id RETURNING book_id)
       INSERT INTO reviews (book_id, stars) SELECT book_id, :number FROM gone`,
      options,
    ),
}

const comings = [hotWrites.remove, hotWrites.removeOne, hotWrites.hide, hotWrites.bring, hotWrites.bring] as Write[]

function chosen(scene: HotScene): Write {
  if (scene.random() < scene.comings) return comings[below(scene, comings.length)]!
  const from = scene.raw && scene.random() < 0.4 ? rawWrites : scene.random() < 0.92 ? hotWrites : anyWrites
  const all = Object.values(from) as Write[]
  return all[below(scene, all.length)]!
}

class Rollback extends Error {}

/** One write, or some in a transaction that is committed or rolled back, with savepoints. */
export async function writeHot(scene: HotScene): Promise<void> {
  if (scene.random() < 0.6) return void await chosen(scene)(scene, {})
  const rollsBack = scene.random() < 0.2
  await scene.sequelize.transaction(async (transaction) => {
    for (let left = 1 + below(scene, 3); left > 0; left--) await chosen(scene)(scene, { transaction })
    if (scene.random() < 0.3) await inSavepoint(scene, transaction)
    if (rollsBack) throw new Rollback()
  }).catch(unlessRollback)
}

async function inSavepoint(scene: HotScene, outer: Transaction): Promise<void> {
  const rollsBack = scene.random() < 0.5
  await scene.sequelize.transaction({ transaction: outer }, async (transaction) => {
    await chosen(scene)(scene, { transaction })
    if (rollsBack) throw new Rollback()
  }).catch(unlessRollback)
}

function unlessRollback(error: unknown): void {
  if (!(error instanceof Rollback)) throw error
}
