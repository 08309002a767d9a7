/** The error of a promise; throws when it resolves. */
export async function rejection(promise: Promise<unknown>): Promise<Error & { code?: string; next?: string }> {
  const value = await promise.then(() => undefined, (error) => ({ error }))
  if (!value) throw new Error('it was not rejected')
  return value.error
}
