// The chat: an avatar, a ring, its history. There is no server behind it but the members that keep the ring.

import { privateKeyToAddress } from 'viem/accounts'
import { decryptKey, encryptKey, newKey, readRecoveryLine, writeRecoveryLine, ReadKey, Member, Chain } from '../src/index.js'
import encodeQR from 'qr'
import { h, part, show, svg } from '../../../node/ui/dom.js'
import { Listener } from './listener.js'
import { Room } from './room.js'
import { Storage, openText, sealText } from './storage.js'

/** Between two looks, in milliseconds: while no replica tells of new nodes, and while one does. */
const PERIOD = 1000
const SELDOM = 5000
/** The most that a person on a slow machine gets between two looks, in milliseconds, when replicas tell without end. */
const BREATH = 250
const SHORTEST_PASSWORD = 8
/** Lines that are shown. */
const SHOWN = 300

const at = id => document.getElementById(id)
const said = (text, bad = false) => show(at('said'), text ? h('span', { class: bad ? 'bad' : '' }, text) : '')
let storage
let avatar
let room

/** A text as a QR code, dark on light in both schemes, as cameras want it. */
function qr(text) {
  const rows = encodeQR(text, 'raw', { ecc: 'low', border: 2 })
  const path = rows.flatMap((row, y) => row.map((dark, x) => dark ? `M${x} ${y}h1v1h-1z` : '')).join('')
  const size = rows.length
  return svg('svg', { class: 'qr', viewBox: `0 0 ${size} ${size}`, role: 'img', 'aria-label': 'The recovery line as a QR code' },
    svg('rect', { width: size, height: size, fill: '#fff' }), svg('path', { d: path, fill: '#000' }))
}

/** The code of a ring's line, drawn once. */
function code(room) {
  room.code ??= qr(room.text)
  return room.code.cloneNode(true)
}

/** A form's handler: what is refused is said in one line, and the buttons wait meanwhile. */
const submit = action => async event => {
  event.preventDefault()
  const form = event.target
  const button = event.submitter
  if (button) button.disabled = true
  try {
    said('')
    await action(Object.fromEntries(new FormData(form)), form)
  } catch (error) {
    said(error.message, true)
  } finally {
    if (button) button.disabled = false
  }
}

const field = (label, name, attributes = {}) =>
  [h('label', { for: name }, label), h('input', { id: name, name, autocomplete: 'off', ...attributes })]

// ---- The avatar

async function avatarScreen() {
  const kept = await storage.get('avatar')
  document.title = 'Rings chat'
  show(at('content'), h('h1', {}, 'Rings chat'), kept ? unlock(kept) : [create(), bring()])
}

const unlock = kept => part('Your avatar',
  h('p', {}, h('code', {}, `0x${kept.keystore.address}`)),
  h('form', { onsubmit: submit(async ({ password }) => enter(await decryptKey(kept.keystore, password), kept.restored)) },
    field('Password', 'password', { type: 'password', required: true, autocomplete: 'current-password' }), h('button', {}, 'Open')))

const create = () => part('A new avatar',
  h('p', {}, 'An avatar is a key on this device. It is encrypted with a password, and stays in this browser.'),
  h('form', { onsubmit: submit(async ({ password, again }) => {
    if (password.length < SHORTEST_PASSWORD) throw new Error(`a password has at least ${SHORTEST_PASSWORD} characters`)
    if (password !== again) throw new Error('the passwords differ')
    await keep(newKey(), password, false)
  }) },
  field('Password', 'password', { type: 'password', required: true, autocomplete: 'new-password' }),
  field('Again', 'again', { type: 'password', required: true, autocomplete: 'new-password' }), h('button', {}, 'Make it')))

const bring = () => h('details', {}, h('summary', {}, 'I have a key file'),
  part('A key from elsewhere',
    h('p', {}, 'It reads, and never writes: what it signed elsewhere is not known. Go on with a new avatar.'),
    h('form', { onsubmit: submit(async ({ file, old }) => keep(await decryptKey(JSON.parse(await file.text()), old), old, true)) },
      field('Key file', 'file', { type: 'file', required: true }), field('Its password', 'old', { type: 'password', required: true }),
      h('button', {}, 'Bring it'))))

async function keep(privateKey, password, restored) {
  said('Encrypting the key…')
  await storage.set('avatar', { keystore: await encryptKey(privateKey, password), restored })
  said('')
  await enter(privateKey, restored)
}

/** One tab is one device: a second one with the same key would fork the log. */
async function enter(privateKey, restored) {
  if (!navigator.locks) throw new Error('open this page from https or from localhost: elsewhere a browser cannot keep two tabs apart')
  const address = privateKeyToAddress(privateKey).toLowerCase()
  const free = await new Promise(resolve => {
    navigator.locks.request(`rings-chat ${address}`, { ifAvailable: true }, lock => {
      resolve(lock !== null)
      return lock === null ? undefined : new Promise(() => {})
    })
  })
  if (!free) throw new Error('this avatar is open in another tab: close it there')
  avatar = { privateKey, address, readOnly: restored }
  await ringScreen()
}

// ---- The ring

async function rings() {
  const kept = await storage.get(`rings ${avatar.address}`) ?? []
  return kept.map(sealed => openText(avatar.privateKey, sealed))
}

async function ringScreen() {
  const lines = await rings()
  show(at('content'),
    h('h1', {}, 'Choose a ring'),
    part('Your avatar', h('p', {}, h('code', { id: 'address' }, avatar.address)),
      h('p', { class: 'soft' }, 'Whoever makes the ring needs this address.')),
    lines.length === 0 ? undefined : part('Your rings', lines.map(line => h('p', {},
      h('button', { type: 'button', onclick: submitted(() => openRoom(line)) }, `Open ${readRecoveryLine(line).ring}`)))),
    part('Join with a recovery line', h('form', { onsubmit: submit(({ line }) => openRoom(line.trim())) },
      h('label', { for: 'line' }, 'Recovery line'), h('textarea', { id: 'line', name: 'line', rows: 3, required: true, spellcheck: 'false' }),
      h('button', {}, 'Join'))),
    h('details', {}, h('summary', {}, 'The ring is new'), part('A new ring',
      h('p', {}, 'The ring is on the chain, with this avatar as a member. It is handed over to the ring behind the replicas.'),
      h('form', { onsubmit: submit(begin) },
        field('Address of the ring', 'ring', { required: true }), field('Chain (URL)', 'rpc', { required: true, type: 'url' }),
        field('Replicas (URLs, separated by spaces)', 'replicas', { required: true }),
        h('label', {}, h('input', { type: 'checkbox', name: 'secret', checked: true }), ' private: replicas cannot read it'),
        h('button', {}, 'Begin')))))
}

const submitted = action => async event => {
  event.target.disabled = true
  try {
    said('')
    await action()
  } catch (error) {
    said(error.message, true)
  } finally {
    event.target.disabled = false
  }
}

const isOf = ring => text => readRecoveryLine(text).ring === ring

/** A line with the keys that were learnt since it was given. */
async function withKeptKeys(line) {
  const given = readRecoveryLine(line)
  const kept = (await rings()).find(isOf(given.ring))
  if (kept === undefined || given.keys === undefined) return line
  const known = new Set(given.keys.map(({ secret }) => String(secret)))
  const further = (readRecoveryLine(kept).keys ?? []).filter(({ secret }) => !known.has(String(secret)))
  return further.length === 0 ? line : writeRecoveryLine({ ...given, keys: [...given.keys, ...further] })
}

/** Keeps the line of a ring, in place of an earlier one. */
async function keepLine(line) {
  const others = (await rings()).filter(text => !isOf(readRecoveryLine(line).ring)(text))
  await storage.set(`rings ${avatar.address}`, [...others, line].map(text => sealText(avatar.privateKey, text)))
}

/** Makes the recovery line of a ring that is not kept yet. */
async function begin({ ring, rpc, replicas, secret }) {
  const urls = replicas.split(/\s+/).filter(Boolean)
  if (urls.length === 0) throw new Error('name at least one replica')
  const [chainId, { ring: keeper }] = await Promise.all([new Chain(rpc).chainId(), new Member(urls[0]).status()])
  const key = secret ? new ReadKey({ chainId, ring }).secret : undefined
  await openRoom(writeRecoveryLine({ chainId, rpc, ring: ring.trim().toLowerCase(), keeper, replicas: urls, key }))
}

async function openRoom(line) {
  const opened = await Room.open(storage, avatar, await withKeptKeys(line))
  await opened.look()
  await keepLine(opened.text)
  opened.keepLine = keepLine
  room = opened
  show(at('content'))
  draw()
  watch(opened)
}

// ---- The chat

async function watch(watched) {
  const listener = new Listener(watched.ring.replicas, watched.recovery.ring)
  while (room === watched) {
    const began = performance.now()
    try {
      await watched.refresh()
      if (at('said').dataset.of === 'look') said('')
      at('said').dataset.of = ''
    } catch (error) {
      said(`The ring cannot be read now: ${error.message}`, true)
      at('said').dataset.of = 'look'
    }
    if (room === watched) draw()
    // A slow machine has as much time for the person as for the ring.
    const took = performance.now() - began
    await new Promise(resolve => setTimeout(resolve, Math.min(BREATH, took)))
    await listener.next(Math.max(listener.isLive ? SELDOM : PERIOD, took))
  }
  listener.close()
}

/** How far a message is, in words; of another's only what the chain says. */
function stateOf({ own, held, final }) {
  if (final) return ' · final on chain'
  if (!own) return ''
  return ' · ' + wordsOf(held)
}

function wordsOf(held) {
  return held === 0 ? 'written' : `held by ${held} ${held === 1 ? 'replica' : 'replicas'}`
}

function bubble({ txt, id, own, name, time, ...state }) {
  const when = time ? new Date(time * 1000).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }) : ''
  return h('li', { class: own ? 'own' : '', 'data-node': id },
    h('p', {}, txt), h('p', { class: 'soft' }, `${own ? 'you' : name} ${when}${stateOf({ own, ...state })}`))
}

function draw() {
  const list = document.querySelector('.history')
  const atEnd = !list || list.scrollHeight - list.scrollTop - list.clientHeight < 40
  show(at('content'),
    h('h1', {}, 'Chat'),
    h('ul', { class: 'people', 'aria-label': 'People' }, room.people().map(({ name, online, own }) =>
      h('li', {}, own ? `${name} (you)` : name, h('span', { class: 'soft' }, online ? ' online' : ' away')))),
    part('History', h('div', { class: 'history', role: 'log', 'aria-label': 'Messages', tabindex: 0 }, h('ul', {}, room.lines().slice(-SHOWN).map(bubble)))),
    h('div', { id: 'speak' }, room.isKept ? speak() : handOver()),
    h('ul', { id: 'notes', class: 'soft', 'aria-live': 'polite' }, room.notes.map(text => h('li', {}, text))),
    h('div', { id: 'asked' }, asked()),
    h('div', { id: 'problems' }, problems()),
    h('details', {}, h('summary', {}, 'This ring'), part('Ring',
      h('p', {}, h('code', {}, room.recovery.ring)),
      h('form', { onsubmit: submit(async ({ name }) => { await room.call(name); draw() }) }, field('Your name here', 'name', { required: true }), h('button', {}, 'Take it')),
      h('h3', {}, 'Devices'),
      h('form', { onsubmit: submit(async ({ device }) => { await room.addDevice(device.trim()); draw() }) },
        field('Address of a further device of yours', 'device', { required: true }), h('button', {}, 'Let it in')),
      h('form', { onsubmit: submit(async ({ other }) => { await room.join(other.trim()); draw() }) },
        field('Address of another avatar of yours in this ring', 'other', { required: true }), h('button', {}, 'That is me too')),
      h('h3', {}, 'Recovery line'), h('p', {}, h('code', { id: 'recovery' }, room.text)),
      code(room),
      h('p', { class: 'soft' }, 'Whoever has it can read the ring. Hand it over in person.'),
      h('p', {}, h('button', { type: 'button', onclick: leave }, 'To the other rings')))))
  document.title = `Rings chat ${room.recovery.ring.slice(0, 8)}`
  if (atEnd) document.querySelector('.history').scrollTop = 1e9
}

function speak() {
  if (room.refreshed && !room.isMember) return h('p', { class: 'bad' }, 'This avatar is not a member of the ring: it only reads.')
  if (room.isReadOnly) return h('p', { class: 'bad' }, 'This key was used elsewhere: it only reads. Go on with a new avatar.')
  return [
    h('form', { class: 'say', onsubmit: submit(async ({ text }, form) => {
      await room.say(text)
      form.reset()
      draw()
      room.errors = await room.avatar.push()
      draw()
    }) }, h('label', { for: 'text' }, 'Message'), h('textarea', { id: 'text', name: 'text', rows: 2, required: true, onkeydown: sendByEnter }), h('button', {}, 'Send')),
    h('p', {}, h('button', { type: 'button', onclick: submitted(finalise), disabled: room.unflushed === 0 || room.flushing !== undefined }, 'Make final'),
      h('span', { class: 'soft' }, room.unflushed === 0 ? ' The chain has all of yours' : ` ${room.unflushed} of yours are not on the chain yet`))
  ]
}

/** Enter sends, Shift and Enter begin a line. */
function sendByEnter(event) {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
  event.preventDefault()
  event.target.form.requestSubmit()
}

async function finalise() {
  await room.flush()
  draw()
}

const handOver = () => part('Nobody keeps this ring yet',
  h('p', {}, 'Hand it over to the ring behind the replicas: then they keep what is said.'),
  h('p', {}, h('button', { type: 'button', onclick: submitted(async () => { await room.replicate(); draw() }) }, 'Hand it over')))

/** Who is to come and go, as members ask for it. */
const asked = () => room.asked.length === 0 ? undefined : h('ul', {}, room.asked.map(({ name, text, mine }) => h('li', {}, `${text} `,
  mine ? undefined : h('button', { type: 'button', onclick: submitted(async () => { await room.approve(name); draw() }) }, 'Sign it too'))))

/** What replicas do wrong, and what could not be sent. */
function problems() {
  const found = [
    ...room.ring.problems.map(({ kind, replica, detail }) => `${replica}: ${kind}: ${detail}`),
    ...[...room.errors].map(([url, error]) => `${url}: not sent: ${error.message}`)
  ]
  return found.length === 0 ? undefined : h('details', {}, h('summary', { class: 'bad' }, `${found.length} problems with replicas`), h('ul', {}, found.map(text => h('li', {}, text))))
}

async function leave() {
  room = undefined
  show(at('content'))
  await ringScreen()
}

storage = await Storage.open()
await avatarScreen()
