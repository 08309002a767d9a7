import { expect } from 'chai'
import { optionsFirst, splitGlobals } from '../../src/cli/arguments.ts'
import { ElasticUmzugError } from '../../src/errors.ts'

describe('cli arguments', () => {
  it('takes --config, --database, --verbose and --no-wait out wherever they stand', () => {
    const given = ['--config', 'a.ts', 'es:create', '--verbose', 'books', '--no-wait', '--database', 'archive']
    expect(splitGlobals(given)).to.deep.equal({
      config: 'a.ts',
      verbose: true,
      wait: false,
      database: 'archive',
      version: false,
      args: ['es:create', 'books'],
    })
    expect(splitGlobals(['up', '--config=b=c.ts', '--step', '2'])).to.deep.equal({
      config: 'b=c.ts',
      verbose: false,
      wait: true,
      database: undefined,
      version: false,
      args: ['up', '--step', '2'],
    })
  })

  it('leaves other arguments as they are, empty ones and doubled ones too', () => {
    const given = ['create', '--name', '', '--name', 'x', '--', '-y']
    expect(splitGlobals(given).args).to.deep.equal(given)
  })

  it('refuses --config without a path, and --config followed by an option; --database without a name', () => {
    for (
      const given of [['up', '--config'], ['--config=', 'up'], ['--config', '--verbose', 'up'], ['up', '--database'], [
        '--database=',
        'up',
      ]]
    ) {
      expect(() => splitGlobals(given), given.join(' ')).to.throw(ElasticUmzugError)
        .with.property('code', 'COMMAND_INVALID')
    }
  })

  const flags = new Set(['--force', '--dry-run', '--help', '-h'])

  it('puts the options of a command before its names', () => {
    expect(optionsFirst(['es:create', 'books', '--force', 'films'], flags))
      .to.deep.equal(['es:create', '--force', 'books', 'films'])
  })

  it('keeps the value of an option beside it', () => {
    expect(optionsFirst(['log', 'x', '--limit', '5', 'y'], flags)).to.deep.equal(['log', '--limit', '5', 'x', 'y'])
    expect(optionsFirst(['log', 'x', '--limit=5'], flags)).to.deep.equal(['log', '--limit=5', 'x'])
    expect(optionsFirst(['log', 'x', '--limit'], flags)).to.deep.equal(['log', '--limit', 'x'])
  })

  it('changes nothing of a command alone, or of no command', () => {
    expect(optionsFirst(['up'], flags)).to.deep.equal(['up'])
    expect(optionsFirst([], flags)).to.deep.equal([])
  })
})
