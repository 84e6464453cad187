// The declarations name what the package gives, and nothing else; tsc checks that they fit an application.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import * as rings from '../src/index.js'

const here = dirname(fileURLToPath(import.meta.url))

test('what is declared is there, and what is there is declared', () => {
  const text = readFileSync(new URL('../src/index.d.ts', import.meta.url), 'utf8')
  const names = [...text.matchAll(/^export (?:class|function|const) (\w+)/gm)].map(([, name]) => name)
  assert.deepEqual(names.sort(), Object.keys(rings).sort())
})

test('an application compiles against the declarations', () => {
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc')
  execFileSync(process.execPath, [tsc, '--project', here], { stdio: 'inherit' })
})
