import { chmodSync } from 'node:fs'

// The compiler makes no file executable; npx runs this one from the repository itself.
chmodSync('dist/adapters/node/bin.js', 0o755)
