import { Buffer } from 'node:buffer'
import { Client } from '@elastic/elasticsearch'
import { expect } from 'chai'
import { Sequelize } from 'sequelize'
import { secretsOfElasticsearch } from '../../adapters/elasticsearch/secrets.ts'
import { secretsOfSequelize } from '../../adapters/sequelize/secrets.ts'
import { hideSecrets, redact } from '../../src/redact.ts'

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

  it('hides what it is told wherever it stands, also in JSON and in a URL', () => {
    hideSecrets(['swor"d fish-9', 'swor"d fish-9-and-more'])
    expect(redact('login with swor"d fish-9')).to.equal('login with ***')
    expect(redact('xswor"d fish-9-and-morex')).to.equal('x***x')
    expect(redact(JSON.stringify({ a: 'swor"d fish-9' }))).to.equal('{"a":"***"}')
    expect(redact(`?q=${encodeURIComponent('swor"d fish-9')}`)).to.equal('?q=***')
    expect(redact('password: swor"d fish-9')).to.equal('password: ***')
  })

  it('hides no text that is short enough to be a part of any other', () => {
    hideSecrets(['', 'abc'])
    expect(redact('abcdef')).to.equal('abcdef')
  })
})

describe('the secrets of an instance of Sequelize', () => {
  const options = { dialect: 'postgres', logging: false } as const

  it('are its password, however it was given', () => {
    expect(secretsOfSequelize(new Sequelize('postgres://app:s3%40cret@db/shop', options))).to.include('s3@cret')
    expect(secretsOfSequelize(new Sequelize('shop', 'app', 's3cret', options))).to.include('s3cret')
    expect(secretsOfSequelize(new Sequelize({ ...options, password: 's3cret' }))).to.include('s3cret')
    expect(secretsOfSequelize(new Sequelize(options))).to.deep.equal([])
  })

  it('are those of its primary and of its replicas', () => {
    const replication = { write: { password: 'primary' }, read: [{ password: 'first' }, { password: 'second' }] }
    expect(secretsOfSequelize(new Sequelize({ ...options, replication }))).to.include.members([
      'primary',
      'first',
      'second',
    ])
  })

  it('are not what messages name anyway', () => {
    expect(secretsOfSequelize(new Sequelize('postgres://postgres:postgres@db/postgres', options))).to.deep.equal([])
    expect(secretsOfSequelize(new Sequelize('postgres://app:shop@db/shop', options))).to.deep.equal([])
  })
})

describe('the secrets of an Elasticsearch client', () => {
  const node = 'http://127.0.0.1:9200'
  const secrets = (options: object) => secretsOfElasticsearch(new Client({ node, ...options }))
  const base64 = (text: string) => Buffer.from(text).toString('base64')

  it('are password, key and token, and what it sends of them', () => {
    const login = [base64('app:s3:cröt'), 's3:cröt']
    expect(secrets({ auth: { username: 'app', password: 's3:cröt' } })).to.deep.equal(login)
    expect(secrets({ node: `http://app:${encodeURIComponent('s3:cröt')}@127.0.0.1` })).to.deep.equal(login)
    expect(secrets({ auth: { apiKey: { id: 'one', api_key: 's3cret' } } })).to.deep.equal([
      base64('one:s3cret'),
      's3cret',
    ])
    expect(secrets({ auth: { apiKey: base64('one:s3cret') } })).to.deep.equal([base64('one:s3cret'), 's3cret'])
    expect(secrets({ auth: { bearer: 'a.b-c' } })).to.include('a.b-c')
    expect(secretsOfElasticsearch({})).to.deep.equal([])
    expect(secrets({}).filter(Boolean)).to.deep.equal([])
  })

  it('are not the name of its user', () => {
    expect(secrets({ auth: { username: 'elastic', password: 'elastic' } })).to.deep.equal([base64('elastic:elastic')])
  })
})
