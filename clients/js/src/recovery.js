// The recovery line: one line of text with which a ring is joined, and found again. docs/client-rings.md, "The recovery line".

import { bytesToHex, hexToBytes, isAddress, keccak256, stringToBytes } from 'viem'
import { must } from './bytes.js'

const NAME = 'rings:1?'
const ONCE = ['chain', 'rpc', 'ring', 'keeper']
const MAX_KEYS = 256
const SUM = '&sum='
const SUM_DIGITS = 8

/** The line of a ring: `{chainId, rpc, ring, keeper, replicas: [URL], keys?: [{epoch?, secret}]}`, with `key` (32 bytes) in place of the
 *  keys where there is one with which the ring began. A key without an epoch only opens. */
export function writeRecoveryLine({ chainId, rpc, ring, keeper, replicas, key, keys = key ? [{ epoch: 0, secret: key }] : [] }) {
  const values = [['chain', String(chainId)], ['rpc', rpc], ['ring', ring], ['keeper', keeper]]
  values.push(...replicas.map(url => ['replica', url]))
  for (const { epoch, secret } of keys) {
    const end = epoch === undefined ? '.old' : epoch === 0 ? '' : `.${epoch}`
    values.push(['key', bytesToHex(secret).slice(2) + end])
  }
  const line = NAME + values.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&')
  return line + SUM + sum(line)
}

/** The first four bytes of the keccak-256 of all that stands before it. */
function sum(line) {
  return keccak256(stringToBytes(line)).slice(2, 2 + SUM_DIGITS)
}

/** The line without its sum. A line that was cut has none: without its key, what is written would not be sealed. */
function summed(text) {
  const at = text.lastIndexOf(SUM)
  const found = at < 0 ? '' : text.slice(at + SUM.length)
  must(found.length >= SUM_DIGITS, 'recovery line', `it ends early; copy the whole line, which ends with sum= and ${SUM_DIGITS} digits`)
  must(found === sum(text.slice(0, at)), 'recovery line', 'it is not as it was made; copy the whole line again')
  return text.slice(0, at)
}

/** Reads a recovery line. What is missing, unknown or malformed is named. */
export function readRecoveryLine(line) {
  const text = line.trim()
  must(text.startsWith(NAME), 'recovery line', `it begins with ${NAME}`)
  const found = new Map()
  const replicas = []
  const keys = []
  for (const pair of summed(text).slice(NAME.length).split('&')) {
    const [name, value] = part(pair)
    if (name === 'replica') replicas.push(url(name, value))
    else if (name === 'key' && keys.length < MAX_KEYS) keys.push(readKey(value))
    else {
      must(ONCE.includes(name), 'recovery line', `there is no ${name || 'empty name'} in it`)
      must(!found.has(name), 'recovery line', `${name} stands there twice`)
      found.set(name, value)
    }
  }
  for (const name of ONCE) must(found.has(name), 'recovery line', `${name} is missing`)
  must(replicas.length > 0, 'recovery line', 'replica is missing')
  const chainId = Number(found.get('chain'))
  must(/^[1-9]\d*$/.test(found.get('chain')) && Number.isSafeInteger(chainId), 'recovery line', 'chain is not a number')
  const read = { chainId, rpc: url('rpc', found.get('rpc')), ring: account('ring'), keeper: account('keeper'), replicas }
  // A ring that everybody can read has none.
  if (keys.length > 0) Object.assign(read, { keys, key: keys[keys.length - 1].secret })
  return read

  function account(name) {
    must(isAddress(found.get(name), { strict: false }), 'recovery line', `${name} is not an address`)
    return found.get(name).toLowerCase()
  }
}

function readKey(value) {
  const [, digits, end] = /^([0-9a-fA-F]{64})(\.old|\.\d+)?$/.exec(value) ?? []
  must(digits !== undefined, 'recovery line', 'key is not 64 hex digits, with an epoch behind them or none')
  const secret = hexToBytes('0x' + digits)
  return end === '.old' ? { secret } : { epoch: Number(end?.slice(1) ?? 0), secret }
}

function part(pair) {
  const at = pair.indexOf('=')
  try {
    return [pair.slice(0, Math.max(at, 0)), decodeURIComponent(pair.slice(at + 1))]
  } catch {
    return must(false, 'recovery line', `${pair} is not percent-encoded`)
  }
}

function url(name, value) {
  must(URL.canParse(value) && /^https?:$/.test(new URL(value).protocol), 'recovery line', `${name} is not an http URL`)
  return value
}
