// Chromium, and what every page is checked for: that nothing was loaded from elsewhere, nothing was refused by its policy or thrown, that
// axe finds nothing, and that it fits its window.

import { mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

const require = createRequire(import.meta.url)
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')
/** Time for anything that a page should show, in milliseconds: generous, for the machine may be busy. */
const PATIENCE = 90_000

export const SIZES = { wide: { width: 1280, height: 900 }, phone: { width: 380, height: 740 } }

export function must(condition, what) {
  if (!condition) throw new Error(what)
}

export async function withBrowser(work) {
  const args = ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu']
  const browser = await chromium.launch({ executablePath: process.env.RINGS_CHROMIUM, args, timeout: PATIENCE })
  try {
    return await work(browser)
  } finally {
    await browser.close()
  }
}

/** Opens a page. `allowed` are the origins that it may ask. */
export async function open(browser, url, { size = SIZES.wide, colorScheme = 'light', allowed = [], context: given } = {}) {
  const context = given ?? await browser.newContext({ viewport: size, colorScheme, reducedMotion: 'reduce', acceptDownloads: true })
  context.setDefaultTimeout(PATIENCE)
  const page = await context.newPage()
  const wrong = []
  const origins = new Set([new URL(url).origin, ...allowed])
  const asked = { bytes: 0 }
  page.on('request', request => {
    const { origin, protocol } = new URL(request.url())
    if (!['blob:', 'data:'].includes(protocol) && !origins.has(origin)) wrong.push(`it asked ${request.url()}`)
  })
  page.on('pageerror', error => wrong.push(`it threw ${error.stack}`))
  page.on('console', message => { if (message.type() === 'error' && !isRefusal(message)) wrong.push(`it said ${message.text()}`) })
  page.on('response', async response => { asked.bytes += Number(response.headers()['content-length'] ?? 0) })
  await page.goto(url)
  return { page, context, asked, wrong, check: () => must(wrong.length === 0, wrong.join('\n')) }
}

/** The browser logs each answer that is not 200, a member that is down among them. */
const isRefusal = message => /Failed to load resource/.test(message.text())

/** axe finds nothing on the page as it is. */
export async function accessible(page, what) {
  if (!await page.evaluate(() => 'axe' in globalThis)) await page.evaluate(axe)
  const violations = await page.evaluate(async () => (await globalThis.axe.run(document)).violations.map(({ id, help, nodes }) =>
    `${id}: ${help}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).slice(0, 3).join(' | ')}`))
  must(violations.length === 0, `${what}: ${violations.join('\n')}`)
}

/** Nothing stands out of the window to the side. */
export async function fits(page, what) {
  const [width, window] = await page.evaluate(() => [document.scrollingElement.scrollWidth, innerWidth])
  must(width <= window, `${what}: it is ${width} pixels wide in a window of ${window}`)
}

/** A picture for people, in the directory that RINGS_PICTURES names. */
export async function picture(page, name) {
  const folder = process.env.RINGS_PICTURES
  mkdirSync(folder, { recursive: true })
  const bytes = await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true })
  must(bytes.length > 5000, `${name}: the picture is empty`)
}

/** Waits until a function in the page gives something true. */
export const until = (page, condition, arg) => page.waitForFunction(condition, arg, { timeout: PATIENCE })
