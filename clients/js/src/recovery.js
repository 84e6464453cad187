// The recovery line: one line of text with which a ring is joined, and found again. docs/client-rings.md, "The recovery line".

import { bytesToHex, hexToBytes, isAddress } from 'viem'
import { must } from './bytes.js'

const NAME = 'rings:1?'
const ONCE = ['chain', 'rpc', 'ring', 'keeper', 'key']

/** The line of a ring: `{chainId, rpc, ring, keeper, replicas: [URL], key?: 32 bytes}`. */
export function writeRecoveryLine({ chainId, rpc, ring, keeper, replicas, key }) {
  const values = [['chain', String(chainId)], ['rpc', rpc], ['ring', ring], ['keeper', keeper]]
  values.push(...replicas.map(url => ['replica', url]))
  if (key) values.push(['key', bytesToHex(key).slice(2)])
  return NAME + values.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&')
}

/** Reads a recovery line. What is missing, unknown or malformed is named. */
export function readRecoveryLine(line) {
  const text = line.trim()
  must(text.startsWith(NAME), 'recovery line', `it begins with ${NAME}`)
  const found = new Map()
  const replicas = []
  for (const pair of text.slice(NAME.length).split('&')) {
    const [name, value] = part(pair)
    if (name === 'replica') replicas.push(url(name, value))
    else {
      must(ONCE.includes(name), 'recovery line', `there is no ${name || 'empty name'} in it`)
      must(!found.has(name), 'recovery line', `${name} stands there twice`)
      found.set(name, value)
    }
  }
  for (const name of ONCE.slice(0, 4)) must(found.has(name), 'recovery line', `${name} is missing`)
  must(replicas.length > 0, 'recovery line', 'replica is missing')
  const chainId = Number(found.get('chain'))
  must(/^[1-9]\d*$/.test(found.get('chain')) && Number.isSafeInteger(chainId), 'recovery line', 'chain is not a number')
  const read = { chainId, rpc: url('rpc', found.get('rpc')), ring: account('ring'), keeper: account('keeper'), replicas }
  if (found.has('key')) {
    must(/^[0-9a-fA-F]{64}$/.test(found.get('key')), 'recovery line', 'key is not 64 hex digits')
    read.key = hexToBytes('0x' + found.get('key'))
  }
  return read

  function account(name) {
    must(isAddress(found.get(name), { strict: false }), 'recovery line', `${name} is not an address`)
    return found.get(name).toLowerCase()
  }
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
