/**
 * Random options of a source: includes of any depth with attributes, conditions and orders.
 * @module
 */
import { type IncludeOptions, Op } from 'sequelize'
import type { FromModelOptions } from '../../adapters/sequelize/index.ts'
import { type AnyModel, pick, type Random } from './bookshop.ts'

/** Options for a model, with includes down to `depth`. */
export function randomOptions(random: Random, model: AnyModel, depth: number): FromModelOptions {
  const order: unknown[] = []
  const include = randomIncludes(random, model, depth, [], order)
  const { attributes, where } = randomChoice(random, model)
  return {
    ...(include.length > 0 ? { include } : {}),
    ...(attributes ? { attributes } : {}),
    ...(where ? { where } : {}),
    ...(order.length > 0 ? { order } : {}),
  } as FromModelOptions
}

function randomIncludes(
  random: Random,
  model: AnyModel,
  depth: number,
  path: object[],
  order: unknown[],
): IncludeOptions[] {
  if (depth === 0) return []
  return Object.values(model.associations).filter(() => random() < 0.4).map((association) => {
    const { target, as } = association
    const here = [...path, { model: target, as }]
    const many = association.isMultiAssociation
    const names = Object.keys(target.getAttributes())
    if (many && random() < 0.3) {
      order.push([...here, pick(random, names), pick(random, ['ASC', 'DESC', 'DESC NULLS LAST'])])
    }
    const include = randomIncludes(random, target, depth - 1, here, order)
    const { attributes, where } = randomChoice(random, target)
    const through = association.associationType === 'BelongsToMany' && random() < 0.5
      ? {
        through: {
          attributes: pick(random, [[], ['weight']]),
          ...(random() < 0.3 ? { where: { weight: { [Op.gt]: 1 } } } : {}),
        },
      }
      : {}
    return {
      ...pick(random, [{ association: as }, { model: target, as }, { association }]),
      ...(attributes ? { attributes } : {}),
      ...(where ? { where } : {}),
      ...(random() < 0.5 ? { required: random() < 0.3 } : {}),
      ...(include.length > 0 ? { include } : {}),
      ...through,
    } as IncludeOptions
  })
}

function randomChoice(random: Random, model: AnyModel) {
  const columns = Object.entries(model.getAttributes())
  const names = columns.map(([name]) => name)
  const some = names.filter(() => random() < 0.6)
  const key = model.primaryKeyAttributes
  const attributes = pick(random, [
    undefined,
    some.length > 0 ? some : undefined,
    { exclude: [pick(random, names)] },
    [...key, [columns[columns.length - 1]![1].field!, 'renamed']],
  ])
  const name = pick(random, names)
  const where = random() < 0.3
    ? pick<object>(random, [
      { [name]: { [Op.not]: null } },
      { [Op.or]: [{ [name]: null }, { [pick(random, names)]: { [Op.ne]: null } }] },
      { [Op.not]: { [name]: null } },
    ])
    : undefined
  return { attributes: attributes as string[] | undefined, where }
}
