// Makes what stands in tests/vectors/client again, from keys and messages alone, and compares all bytes.
//
// node test/vectors.mjs [FILE]

import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { hexToBytes } from 'viem'
import * as rings from '../src/index.js'

const here = dirname(fileURLToPath(import.meta.url))
const file = process.argv[2] ?? join(here, '../../../tests/vectors/client/actions.json')
const { chain, vectors } = JSON.parse(readFileSync(file))

// Whatever the order of keys and the case of addresses.
const sorted = (_, value) => value !== null && typeof value === 'object' && !Array.isArray(value)
  ? Object.fromEntries(Object.entries(value).sort())
  : value

function same(what, ours, theirs) {
  const [one, other] = [ours, theirs].map(value => JSON.stringify(value, sorted).toLowerCase())
  if (one !== other) throw new Error(`${what}\n  here:  ${one}\n  there: ${other}`)
}

let count = 0
for (const vector of vectors) {
  const place = { chainId: chain, ring: vector.ring }
  const log = new rings.Log(place, vector.key)
  const name = what => `${vector.name}: ${what}`
  same(name('avatar'), log.avatar, vector.avatar)
  for (const { messages, refs, time, bytes, digest, cid } of vector.nodes) {
    const body = messages.map(message => ({ ...message, payload: hexToBytes(message.payload) }))
    const node = await log.append(body, { refs, time: time ?? undefined })
    same(name(`node ${node.seq}`), [node.bytes, node.digest, rings.cidOf(node.digest)], [bytes, digest, cid])
  }
  const { call, nonce, head, deadline } = vector.action
  const numbers = { to: call.to, value: BigInt(call.value), gas: BigInt(call.gas), data: call.data }
  const action = log.action({ head, nonce }, numbers, BigInt(deadline))
  const signature = await log.sign(action)
  same(name('msg_hash'), rings.messageHash(place, action), vector.msgHash)
  same(name('mtx_sig'), signature, vector.signature)
  same(name('mtx'), rings.encodeAction(action), vector.mtx)
  same(name('calldata'), rings.flushCall(action, signature), vector.calldata)
  same(name('request'), rings.flushParams(place, action, signature, log.since(head)), vector.request)
  const { keeper, replica, signature: word } = vector.held
  const held = { ring: place.ring, avatar: log.avatar, head: log.head }
  same(name('held'), await rings.heldBy({ chainId: chain, ring: keeper }, replica, held, word), true)
  same(name('not held'), await rings.heldBy({ chainId: chain, ring: keeper }, replica, { ...held, head: rings.ZERO }, word), false)
  same(name('registerRing'), rings.registerRing(keeper, place.ring, log.avatar).data, vector.registerRing)
  count++
}
console.log(`${count} vectors agree`)
