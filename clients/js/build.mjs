// Makes a page one file, with its style and program inside, and a policy that names them by their hashes: the chat as dist/chat.html, or
// that of another directory, which has one page, one style and a main.js.
//
// node build.mjs [FILE [SOURCE]]

import { build } from 'esbuild'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const [target = join(here, 'dist/chat.html'), source = join(here, 'chat')] = process.argv.slice(2)
/** Where the packages are when the source lies elsewhere. */
const packages = join(dirname(createRequire(import.meta.url).resolve('esbuild')), '../..')

/** The one file of a kind in the source. */
const only = ending => readdirSync(source).find(name => name.endsWith(ending))

async function bundled(file) {
  const { outputFiles: [output] } = await build({
    entryPoints: [join(source, file)], bundle: true, minify: true, write: false, format: 'esm', target: 'es2022', platform: 'browser',
    legalComments: 'none', charset: 'utf8', nodePaths: [packages]
  })
  return output.text.trim().replaceAll('</script', '<\\/script')
}

const [style, program] = await Promise.all([only('.css'), 'main.js'].map(bundled))
const hash = text => `'sha256-${createHash('sha256').update(text).digest('base64')}'`
// Replicas and the chain may be anywhere; nothing else is loaded from anywhere.
const policy = [
  "default-src 'none'", `script-src ${hash(program)}`, `style-src ${hash(style)}`, 'img-src data:', 'connect-src http: https: ws: wss:',
  "base-uri 'none'", "form-action 'none'", "require-trusted-types-for 'script'"
].join('; ')
const page = readFileSync(join(source, only('.html')), 'utf8')
  .replace('<!-- policy -->', () => `<meta http-equiv="Content-Security-Policy" content="${policy}">`)
  .replace('<!-- style -->', () => `<style>${style}</style>`)
  .replace('<!-- program -->', () => `<script type="module">${program}</script>`)
mkdirSync(dirname(target), { recursive: true })
writeFileSync(target, page)
console.log(`${target}: ${page.length} bytes`)
