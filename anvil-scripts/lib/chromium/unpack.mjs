// Unpacks Chromium's headless shell, and the libraries and fonts that it needs, from the npm package into the directory that is given.
// The package's own code, which asks for a newer Node.js, is not run.
//
// node unpack.mjs DIRECTORY

import { spawnSync } from 'node:child_process'
import { chmodSync, createReadStream, createWriteStream, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { createBrotliDecompress } from 'node:zlib'

const target = process.argv[2]
const from = join(dirname(fileURLToPath(import.meta.url)), 'node_modules/@sparticuz/chromium/bin')
const unpacked = (name, file) => pipeline(createReadStream(join(from, `${name}.br`)), createBrotliDecompress(), createWriteStream(file))

async function archive(name) {
  const file = join(target, name)
  await unpacked(name, file)
  const { status, stderr } = spawnSync('tar', ['-xf', file, '-C', target], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`tar cannot unpack ${name}: ${stderr}`)
  rmSync(file)
}

mkdirSync(target, { recursive: true })
await unpacked('chromium', join(target, 'chromium'))
chmodSync(join(target, 'chromium'), 0o755)
for (const name of ['al2023.tar', 'swiftshader.tar', 'fonts.tar']) await archive(name)
writeFileSync(join(target, 'fonts.conf'), `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir prefix="relative">fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
</fontconfig>
`)
