import { expect } from 'chai'
import { redact } from '../../src/redact.ts'

const cases: Record<string, [string, string]> = {
  'a URL': ['postgres://app:s3cret@db:5432/shop', 'postgres://app:***@db:5432/shop'],
  'a URL without a user': ['redis://:s3cret@cache', 'redis://:***@cache'],
  'a password with @': ['postgres://app:s3@cret@db/shop', 'postgres://app:***@db/shop'],
  'a password with /': ['postgres://app:s3/cret@db/shop', 'postgres://app:***@db/shop'],
  'a user with @': ['postgres://app@tenant:s3cret@db/shop', 'postgres://app@tenant:***@db/shop'],
  'two URLs': ['http://a:s3cret@x http://b:s3cret@y', 'http://a:***@x http://b:***@y'],
  'a URL in JSON': ['{"url":"http://a:s3cret@x","mail":"me@here"}', '{"url":"http://a:***@x","mail":"me@here"}'],
  'an option and its value': ['up --password s3cret --step 1', 'up --password *** --step 1'],
  'an option with =': ['up --db-password=s3cret --step 1', 'up --db-password=*** --step 1'],
  'an argument list': [`['--password', 's3cret', '--step']`, `['--password', ***, '--step']`],
  'an environment variable': ['PGPASSWORD=s3cret npx umzug up', 'PGPASSWORD=*** npx umzug up'],
  'JSON': ['{"user":"a","password":"s3\\"cret","x":1}', '{"user":"a","password":***,"x":1}'],
  'JSON in JSON': ['"{\\"password\\":\\"s3 cret\\",\\"x\\":1}"', '"{\\"password\\":***,\\"x\\":1}"'],
  'an inspected object': [`{ user: 'a', password: 's3 cret' }`, `{ user: 'a', password: *** }`],
  'a connection string of libpq': [`host=db password='s3 cret' user=a`, `host=db password=*** user=a`],
  'an API key': [`{ apiKey: 's3cret' }`, `{ apiKey: *** }`],
  'a header': ['Authorization: Basic czNjcmV0', 'Authorization: Basic ***'],
  'a header of an object': [`{ authorization: 'ApiKey czNjcmV0' }`, `{ authorization: 'ApiKey ***' }`],
}

describe('redact', () => {
  for (const [name, [given, expected]] of Object.entries(cases)) {
    it(`hides the password of ${name}`, () => expect(redact(given)).to.equal(expected))
  }

  it('leaves other text as it is', () => {
    const text = 'password authentication failed for user "app" at http://localhost:9200/books, 3 tokens read'
    expect(redact(text)).to.equal(text)
  })
})
