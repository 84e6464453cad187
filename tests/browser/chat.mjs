// The chat, used as two people would: each in a browser of its own, through members of a ring.
//
// node chat.mjs '{"page", "rpc", "replicas", "rings", "dir"}'

import { execFileSync } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SIZES, accessible, fits, must, open, picture, withBrowser } from './browser.mjs'

const given = JSON.parse(process.argv[2])
const PASSWORD = 'correct horse battery'
const allowed = [given.rpc, ...given.replicas].map(url => new URL(url).origin)
const press = (page, name) => page.getByRole('button', { name, exact: true }).click()
const history = page => page.getByRole('log')
const bubble = (page, text) => history(page).getByRole('listitem').filter({ hasText: text })

async function looked(page, name) {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme })
    await accessible(page, `${name}-${colorScheme}`)
  }
  await picture(page, `chat-${name}`)
  await fits(page, name)
}

async function makeAvatar(page) {
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
  await page.getByLabel('Again').fill(PASSWORD)
  await press(page, 'Make it')
  return page.locator('#address').textContent()
}

async function say(page, text) {
  await page.getByLabel('Message', { exact: true }).fill(text)
  await page.keyboard.press('Enter')
  await bubble(page, text).waitFor()
}

/** The account of the ring's commands makes the ring; the people need no ether. */
function makeRing(addresses) {
  const file = join(mkdtempSync(join(tmpdir(), 'rings-chat-')), 'people.txt')
  writeFileSync(file, addresses.join('\n') + '\n')
  const args = ['ring', 'create', '--members', file]
  return execFileSync(given.rings, args, { env: { ...process.env, RINGS_DIR: given.dir }, encoding: 'utf8' }).match(/0x[0-9a-fA-F]{40}/)[0]
}

async function handOver(page, ring) {
  await page.getByText('The ring is new').click()
  await page.getByLabel('Address of the ring').fill(ring)
  await page.getByLabel('Chain (URL)').fill(given.rpc)
  await page.getByLabel('Replicas (URLs').fill(given.replicas.join(' '))
  await looked(page, 'rings')
  await press(page, 'Begin')
  await press(page, 'Hand it over')
  await page.getByLabel('Message', { exact: true }).waitFor()
  return page.locator('#recovery').textContent()
}

async function join_(page, line) {
  await page.getByLabel('Recovery line', { exact: true }).fill(line)
  await press(page, 'Join')
  await page.getByLabel('Message', { exact: true }).waitFor()
}

async function takeName(page, name) {
  await page.getByText('This ring', { exact: true }).click()
  await page.getByLabel('Your name here').fill(name)
  await press(page, 'Take it')
  await page.getByText(`${name} (you)`).waitFor()
}

async function talk(alice, bob) {
  await takeName(alice, 'Alice')
  await takeName(bob, 'Bob')
  await say(alice, 'Hello Bob, are you there?')
  await bubble(bob, 'Hello Bob, are you there?').filter({ hasText: 'Alice' }).waitFor()
  await say(bob, 'Yes: <b>here</b> & well')
  await bubble(alice, 'Yes: <b>here</b> & well').filter({ hasText: 'Bob' }).waitFor()
  const held = `held by ${given.replicas.length} replicas`
  await bubble(alice, 'Hello Bob').filter({ hasText: held }).waitFor()
  await press(alice, 'Make final')
  await bubble(alice, 'Hello Bob').filter({ hasText: 'final on chain' }).waitFor()
  await bubble(bob, 'Hello Bob').filter({ hasText: 'final on chain' }).waitFor()
  await bubble(bob, 'Yes').filter({ hasText: held }).waitFor()
}

/** The page is closed and opened again: key, ring and log are in the browser. */
async function comeBack(alice) {
  await alice.reload()
  await alice.getByLabel('Password', { exact: true }).fill('not the password')
  await press(alice, 'Open')
  await alice.getByText('it does not open this keystore').waitFor()
  await alice.getByLabel('Password', { exact: true }).fill(PASSWORD)
  await press(alice, 'Open')
  await alice.getByRole('button', { name: /^Open 0x/ }).click()
  await bubble(alice, 'Yes: <b>here</b> & well').waitFor()
  await say(alice, 'I am back')
}

/** A second tab with the same key would be a second device. */
async function secondTab(browser, context) {
  const { page, check } = await open(browser, given.page, { context, allowed })
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
  await press(page, 'Open')
  await page.getByText('this avatar is open in another tab').waitFor()
  check()
  await page.close()
}

await withBrowser(async browser => {
  const alice = await open(browser, given.page, { allowed })
  const bob = await open(browser, given.page, { allowed, size: SIZES.phone, colorScheme: 'dark' })
  await looked(alice.page, 'first')
  const ring = makeRing(await Promise.all([alice, bob].map(({ page }) => makeAvatar(page))))
  const line = await handOver(alice.page, ring)
  await join_(bob.page, line)
  await talk(alice.page, bob.page)
  await looked(alice.page, 'wide')
  await looked(bob.page, 'phone')
  await comeBack(alice.page)
  await bubble(bob.page, 'I am back').waitFor()
  await secondTab(browser, alice.context)
  alice.check()
  bob.check()
  console.log(JSON.stringify({ ring, key: line.match(/key=([0-9a-f]{64})/)[1] }))
})
