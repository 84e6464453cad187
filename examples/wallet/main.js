// The page of the wallet: a key on this device, a ring, a token, and a form to send it.

import { isAddress } from 'viem'
import { privateKeyToAddress } from 'viem/accounts'
import { decryptKey, encryptKey, newKey, readRecoveryLine } from '../../clients/js/src/index.js'
import { Storage, openText, sealText } from '../../clients/js/chat/storage.js'
import { h, part, show } from '../../node/ui/dom.js'
import { Wallet } from './wallet.js'

const SHORTEST_PASSWORD = 8

const at = id => document.getElementById(id)
const said = (text, bad = false) => show(at('said'), text ? h('span', { class: bad ? 'bad' : '' }, text) : '')
let storage
let key
let wallet
let token

/** A form's handler: what is refused is said in one line, and the button waits meanwhile. */
const submit = action => async event => {
  event.preventDefault()
  const { submitter, target } = event
  submitter.disabled = true
  try {
    said('')
    await action(Object.fromEntries(new FormData(target)))
  } catch (error) {
    said(error.message, true)
  } finally {
    submitter.disabled = false
  }
}

const field = (label, name, attributes = {}) =>
  [h('label', { for: name }, label), h('input', { id: name, name, required: true, autocomplete: 'off', ...attributes })]

async function begin() {
  const kept = await storage.get('wallet')
  show(at('content'), h('h1', {}, 'Rings wallet'), kept ? unlock(kept) : create())
}

const unlock = kept => part('Your key', h('form', { onsubmit: submit(async ({ password }) => enter(await decryptKey(kept, password))) },
  field('Password', 'password', { type: 'password', autocomplete: 'current-password' }), h('button', {}, 'Open')))

const create = () => part('A new key',
  h('p', {}, 'It is encrypted with a password, and stays in this browser.'),
  h('form', { onsubmit: submit(async ({ password }) => {
    if (password.length < SHORTEST_PASSWORD) throw new Error(`a password has at least ${SHORTEST_PASSWORD} characters`)
    const made = newKey()
    await storage.set('wallet', await encryptKey(made, password))
    await enter(made)
  }) }, field('Password', 'password', { type: 'password', autocomplete: 'new-password' }), h('button', {}, 'Make it')))

/** One tab is one device: a second one with the same key would fork the log. */
async function enter(privateKey) {
  if (!navigator.locks) throw new Error('open this page from https or from localhost: elsewhere a browser cannot keep two tabs apart')
  const address = privateKeyToAddress(privateKey).toLowerCase()
  const free = await new Promise(resolve => {
    navigator.locks.request(`rings-wallet ${address}`, { ifAvailable: true }, lock => {
      resolve(lock !== null)
      return lock === null ? undefined : new Promise(() => {})
    })
  })
  if (!free) throw new Error('this wallet is open in another tab: close it there')
  key = { privateKey, address }
  const kept = await storage.get(`wallet ring ${address}`)
  if (kept) return open(openText(privateKey, kept))
  show(at('content'), h('h1', {}, 'Rings wallet'),
    part('Your avatar', h('p', {}, h('code', { id: 'address' }, address)), h('p', { class: 'soft' }, 'Whoever makes the ring needs this address.')),
    part('Join a ring', h('form', { onsubmit: submit(({ line }) => open(line.trim())) },
      h('label', { for: 'line' }, 'Recovery line'), h('textarea', { id: 'line', name: 'line', rows: 3, required: true, spellcheck: 'false' }),
      h('button', {}, 'Join'))))
}

async function open(text) {
  const { privateKey, address } = key
  const { ring } = readRecoveryLine(text)
  const blocks = await storage.blocks(ring, address)
  wallet = await Wallet.open({ privateKey, text, blocks, store: node => storage.store(ring, address, node) })
  await storage.set(`wallet ring ${address}`, sealText(privateKey, text))
  await draw()
}

async function draw() {
  const balance = token && await wallet.balance(token)
  show(at('content'), h('h1', {}, 'Rings wallet'),
    part('Your account', h('dl', {},
      h('dt', {}, 'Address'), h('dd', {}, h('code', { id: 'account' }, wallet.account)),
      balance && [h('dt', {}, 'It has'), h('dd', { id: 'balance' }, balance.text)])),
    part('Token', h('form', { onsubmit: submit(async ({ token: chosen }) => {
      if (!isAddress(chosen)) throw new Error('that is no address')
      await wallet.balance(chosen)
      token = chosen
      await draw()
    }) }, field('Address of the token', 'token'), h('button', {}, 'Show'))),
    token && part('Send', h('form', { onsubmit: submit(async ({ to, amount }) => {
      if (!isAddress(to)) throw new Error('that is no address to send to')
      said('Signed; a member brings it to the chain…')
      const tx = await wallet.send(token, to, amount)
      await draw()
      said(`Sent, and it cost you nothing: transaction ${tx}`)
    }) }, field('To', 'to'), field('Amount', 'amount', { inputmode: 'decimal' }), h('button', {}, 'Send'))))
}

storage = await Storage.open()
await begin()
