// The wallet, used by a person without ether.
//
// node wallet.mjs '{"page", "rpc", "replicas", "rings", "dir", "token", "fund", "to"}'

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { accessible, fits, must, open, picture, withBrowser } from './browser.mjs'

const given = JSON.parse(process.argv[2])
const PASSWORD = 'correct horse battery'
const allowed = [given.rpc, ...given.replicas].map(url => new URL(url).origin)
const press = (page, name) => page.getByRole('button', { name, exact: true }).click()
const fill = (page, label, text) => page.getByLabel(label, { exact: true }).fill(text)
const home = mkdtempSync(join(tmpdir(), 'rings-wallet-'))

function rings(...args) {
  return execFileSync(given.rings, args, { env: { ...process.env, RINGS_DIR: given.dir }, encoding: 'utf8' })
}

async function rpc(method, params) {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })
  const answer = await fetch(given.rpc, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  const { result, error } = await answer.json()
  must(error === undefined, `${method}: ${JSON.stringify(error)}`)
  return result
}

/** An avatar on the command line makes the ring with that of the page, and hands it over. Gives the recovery line. */
function makeRing(address) {
  const [key, password, people] = ['keeper.json', 'password', 'people.txt'].map(name => join(home, name))
  writeFileSync(password, 'a password of the keeper', { mode: 0o600 })
  const keeper = rings('avatar', 'new', '--light', '--out', key, '--password-file', password).trim()
  writeFileSync(people, `${keeper}\n${address}\n`)
  const ring = rings('ring', 'create', '--members', people).match(/0x[0-9a-fA-F]{40}/)[0]
  rings('replicate', '--key', key, '--password-file', password, '--ring', ring)
  return readFileSync(join(given.dir, 'avatars', `${ring}.line`), 'utf8').trim()
}

/** `transfer(address,uint256)` by the account that anvil unlocks. */
async function fund(account, amount) {
  const data = '0xa9059cbb' + account.slice(2).padStart(64, '0') + amount.toString(16).padStart(64, '0')
  const hash = await rpc('eth_sendTransaction', [{ from: given.fund, to: given.token, data }])
  const receipt = await receiptOf(hash)
  must(receipt.status === '0x1', 'the token does not come')
}

/** The receipt, which may come some time after the transaction is taken. */
async function receiptOf(hash) {
  for (const end = Date.now() + 60_000; Date.now() < end;) {
    const receipt = await rpc('eth_getTransactionReceipt', [hash])
    if (receipt !== null) return receipt
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  throw new Error(`transaction ${hash} is in no block after a minute`)
}

async function balanceOf(account) {
  const data = '0x70a08231' + account.slice(2).toLowerCase().padStart(64, '0')
  return BigInt(await rpc('eth_call', [{ to: given.token, data }, 'latest']))
}

await withBrowser(async browser => {
  const { page, check } = await open(browser, given.page, { allowed })
  await fill(page, 'Password', PASSWORD)
  await press(page, 'Make it')
  const address = await page.locator('#address').textContent()
  must(await rpc('eth_getBalance', [address, 'latest']) === '0x0', 'the avatar has ether')
  await fill(page, 'Recovery line', makeRing(address))
  await press(page, 'Join')
  const account = await page.locator('#account').textContent()
  await fund(account, 5_000_000n)
  await fill(page, 'Address of the token', given.token)
  await press(page, 'Show')
  await page.getByText('5 EXA').waitFor()
  await fill(page, 'To', given.to)
  await fill(page, 'Amount', '7')
  await press(page, 'Send')
  await page.getByText('this account has 5 EXA').waitFor()
  for (const [amount, left] of [['1.25', '3.75 EXA'], ['0.75', '3 EXA']]) {
    await fill(page, 'Amount', amount)
    await press(page, 'Send')
    await page.getByText('Sent, and it cost you nothing').waitFor()
    await page.locator('#balance').filter({ hasText: left }).waitFor()
  }
  must(await balanceOf(given.to) === 2_000_000n, 'the token did not arrive')
  must(await balanceOf(account) === 3_000_000n, 'the account has another balance')
  for (const owner of [address, account]) must(await rpc('eth_getBalance', [owner, 'latest']) === '0x0', `${owner} has ether`)
  await accessible(page, 'wallet')
  await fits(page, 'wallet')
  await picture(page, 'wallet')
  // The page is closed and opened again: key, ring and log are in the browser.
  await page.reload()
  await fill(page, 'Password', PASSWORD)
  await press(page, 'Open')
  must(await page.locator('#account').textContent() === account, 'it is another account')
  check()
})
console.log('the wallet is as it should be')
