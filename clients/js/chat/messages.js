// What a chat says: docs/client-rings.md. A message of another type, or one that is malformed, is passed over.

import { hexToBytes, bytesToHex } from 'viem'
import { decode, encode } from '../src/index.js'

const DOMAIN = 'chat'
const MAX_LINE = 4096
const MAX_NAME = 64
const length = text => new TextEncoder().encode(text).length
const message = (type, payload) => ({ domain: DOMAIN, type, status: '', payload: encode(payload) })

/** A line of text; nothing if it is empty or too long. */
export const line = txt => length(txt) >= 1 && length(txt) <= MAX_LINE ? message('message', { txt }) : undefined

/** How this avatar wants to be called, and the person's other avatars. */
export const name = (text, also = []) =>
  length(text) >= 1 && length(text) <= MAX_NAME ? message('name', { name: text, also: also.map(address => hexToBytes(address)) }) : undefined

const keysOf = value => Object.keys(value).sort().join()

const READERS = {
  message: value => keysOf(value) === 'txt' && typeof value.txt === 'string' && length(value.txt) <= MAX_LINE ? { txt: value.txt } : undefined,
  name: value => {
    const fits = keysOf(value) === 'also,name' && typeof value.name === 'string' && length(value.name) >= 1 && length(value.name) <= MAX_NAME &&
      Array.isArray(value.also) && value.also.every(each => each instanceof Uint8Array && each.length === 20)
    return fits ? { name: value.name, also: value.also.map(each => bytesToHex(each)) } : undefined
  }
}

/** What a message says: `{txt}`, `{name, also}`, or nothing. */
export function read({ domain, type, status, payload }) {
  if (domain !== DOMAIN || status !== '' || !Object.hasOwn(READERS, type)) return undefined
  try {
    return READERS[type](decode(payload))
  } catch {
    return undefined
  }
}

/** How avatars are shown: address → name. Those that name each other are one person; two others with one name keep a part of their
 *  addresses beside it. `nodes` are in order. */
export function people(nodes) {
  const latest = new Map()
  for (const { author, messages = [] } of nodes) {
    latest.set(author, messages.map(read).filter(said => said?.name !== undefined).pop() ?? latest.get(author))
  }
  const isOne = (one, other) => latest.get(one)?.also.includes(other) && latest.get(other)?.also.includes(one)
  const devicesOf = author => {
    const found = new Set([author])
    for (const one of found) [...latest.keys()].filter(other => isOne(one, other)).forEach(other => found.add(other))
    return [...found].sort()
  }
  const first = author => devicesOf(author).find(device => latest.get(device) !== undefined) ?? author
  const called = author => latest.get(first(author))?.name
  return new Map([...latest.keys()].map(author => {
    const name = called(author)
    const others = [...latest.keys()].filter(other => called(other) === name && first(other) !== first(author))
    const part = author.slice(0, 8)
    return [author, name === undefined ? part : others.length > 0 ? `${name} (${part})` : name]
  }))
}
