/**
 * The secrets of an Elasticsearch client.
 * @module
 */

interface ClientLike {
  connectionPool?: { connections?: { headers?: { authorization?: string } }[] }
}

/**
 * What the authorization headers of all nodes hold: token or API key, and the password or key in it. A password that is the name of its
 * user as well is left out: hiding it would hide that name wherever it stands, and keep nothing secret.
 */
export function secretsOfElasticsearch(client: object): string[] {
  const { connections = [] } = (client as ClientLike).connectionPool ?? {}
  return connections.flatMap(({ headers }) => {
    const sent = headers?.authorization?.replace(/^\w+ +/, '') ?? ''
    const [user, ...password] = decoded(sent).split(':')
    return password.join(':') === user ? [sent] : [sent, password.join(':')]
  })
}

// Of a basic login and of most API keys; other tokens are no base64.
function decoded(base64: string): string {
  try {
    const bytes = Uint8Array.from(atob(base64), (each) => each.charCodeAt(0))
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return ''
  }
}
