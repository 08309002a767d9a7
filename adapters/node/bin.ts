#!/usr/bin/env node
/**
 * The command `umzug`, on Node and on Deno.
 * @module
 */
import { main } from '../../src/cli/main.ts'
import { elasticUmzug } from '../../src/compose.ts'
import { currentRuntime } from '../runtime.ts'

void main(currentRuntime(), elasticUmzug)
