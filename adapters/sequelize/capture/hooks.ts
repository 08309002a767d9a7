/**
 * Associations with `onDelete: 'cascade', hooks: true`: Sequelize destroys the children one by one before the parent.
 * @module
 */

interface InstanceLike {
  constructor: { associations?: Record<string, AssociationLike> }
  [accessor: string]: unknown
}

interface AssociationLike {
  options?: { onDelete?: string; useHooks?: boolean }
  accessors: { get: string }
}

type Destroyed = { destroy(options: unknown): Promise<unknown> }

/**
 * Destroys the children, as Sequelize does in `delete`, and gives the arguments for the parent alone. So hooks of the
 * application never run inside a transaction of ours, of which they do not know.
 */
export async function destroyByHooks([instance, tableName, where, options]: unknown[]): Promise<unknown[]> {
  const getters = gettersOf(instance as InstanceLike)
  if (getters.length === 0) return [instance, tableName, where, options]
  for (const each of getters) {
    const found = await (instance as Record<string, (options: unknown) => Promise<unknown>>)[each]!(options)
    for (const child of [found ?? []].flat() as Destroyed[]) await child.destroy(options)
  }
  const { constructor } = instance as InstanceLike
  const alone = Object.create(constructor, { associations: { value: {} } })
  return [Object.create(instance as object, { constructor: { value: alone } }), tableName, where, options]
}

function gettersOf({ constructor }: InstanceLike): string[] {
  return Object.values(constructor.associations ?? {})
    .filter(({ options }) => options?.onDelete?.toLowerCase() === 'cascade' && options.useHooks === true)
    .map(({ accessors }) => accessors.get)
}
