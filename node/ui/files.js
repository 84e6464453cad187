// Documents of processes (definitions, events, executions, answers), as the member's gateway gives them. Their names are their hashes, so
// each is asked for once, and hashed again here where the browser lets a page do that: on https, and on this machine.

import { Kept } from './kept.js'

const LETTERS = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
/** Documents that are kept. */
const KEPT = 2000
/** Longer than any document of a process. */
const MOST_BYTES = 262_144
const kept = new Kept(KEPT)

function varint(value) {
  const bytes = []
  for (; value >= 0x80; value >>>= 7) bytes.push((value & 0x7f) | 0x80)
  return [...bytes, value]
}

/** The one block of a short file, as `ipfs add` makes it: UnixFS in dag-pb. */
function blockOf(bytes) {
  const content = bytes.length === 0 ? [] : [0x12, ...varint(bytes.length), ...bytes]
  const file = [0x08, 0x02, ...content, 0x18, ...varint(bytes.length)]
  return Uint8Array.from([0x0a, ...varint(file.length), ...file])
}

function base58(bytes) {
  let number = BigInt('0x' + [...bytes].map(byte => byte.toString(16).padStart(2, '0')).join(''))
  let text = ''
  for (; number > 0n; number /= 58n) text = LETTERS[Number(number % 58n)] + text
  return text
}

/** Whether these bytes have this name: `undefined` where that cannot be found out here. */
async function fits(cid, bytes) {
  if (globalThis.crypto?.subtle === undefined || !cid.startsWith('Qm')) return undefined
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', blockOf(bytes)))
  return base58([0x12, 0x20, ...hash]) === cid
}

/** Integers that this language would round stay the digits that they are. */
const exact = (_, value, { source } = {}) => typeof value === 'number' && !Number.isSafeInteger(value) && source ? source : value

async function read(cid) {
  const response = await fetch(`/ipfs/${encodeURIComponent(cid)}`, { signal: AbortSignal.timeout(15_000) })
  if (!response.ok) throw new Error(`the member does not have ${cid}: ${(await response.text()).trim().slice(0, 200)}`)
  const bytes = new Uint8Array(await response.arrayBuffer())
  if (bytes.length > MOST_BYTES) throw new Error(`${cid} is longer than a document`)
  const checked = await fits(cid, bytes)
  if (checked === false) throw new Error(`what the member gives for ${cid} has another hash`)
  return { cid, document: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes), exact), checked: checked === true }
}

/** `{cid, document, checked}`, or `{cid, trouble}`; what could not be read is asked for again the next time. */
export async function file(cid) {
  if (kept.has(cid)) return kept.get(cid)
  try {
    const found = await read(cid)
    kept.set(cid, found)
    return found
  } catch (error) {
    return { cid, trouble: error.message }
  }
}

/** Several, by their names. */
export async function files(cids) {
  const found = await Promise.all([...new Set(cids)].map(file))
  return new Map(found.map(each => [each.cid, each]))
}

/** The name behind a link in a document. */
export const linked = link => link?.['/']
