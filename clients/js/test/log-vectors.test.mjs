// The vectors of the log format that concern a client: nodes, sealed nodes, wrapped keys, skip links.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { bytesToHex, hexToBytes } from 'viem'
import { InvalidError, Keyring, ReadKey, cidOf, digestOf, readNode, skipTarget, unwrapKey } from '../src/index.js'

const folder = process.env.RINGS_VECTORS ?? join(dirname(fileURLToPath(import.meta.url)), '../../../tests/vectors')
const vectorsOf = name => JSON.parse(readFileSync(join(folder, 'log', `${name}.json`), 'utf8')).vectors
const placeOf = given => ({ chainId: given.chain, ring: given.ring })

/** Reads each vector: a good one gives what it should, a bad one is refused. */
async function check(name, read) {
  const vectors = vectorsOf(name)
  assert.ok(vectors.length > 0)
  for (const vector of vectors) {
    const found = async () => read(hexToBytes(vector.bytes), vector.given ?? {})
    if (vector.error === undefined) assert.deepEqual(pick(await found(), vector.expect), vector.expect, vector.name)
    else await assert.rejects(found, InvalidError, `${vector.name} is refused`)
  }
}

const pick = (found, expected) => Object.fromEntries(Object.keys(expected).map(key => [key, found[key]]))

test('nodes', () => check('nodes', async (bytes, given) => {
  const node = await readNode(placeOf(given), bytes)
  return {
    ...node, cid: cidOf(digestOf(bytes)), prev: node.prev ?? '0x' + '00'.repeat(32), time: node.time ?? null,
    refs: node.refs.map(cidOf), body: node.body.map(message => ({ ...message, payload: bytesToHex(message.payload) }))
  }
}))

test('sealed nodes', () => check('sealed', async (bytes, given) => {
  const key = new ReadKey(placeOf(given), hexToBytes(given.readKey))
  const keys = new Keyring(key)
  const plain = keys.openNode(bytes)
  if (plain === bytes) throw new InvalidError('form', 'not sealed')
  const node = await readNode(placeOf(given), plain)
  const body = key.openBody(node.author, node.seq, node.body)
  return {
    cid: cidOf(digestOf(bytes)), author: node.author, seq: node.seq, payloads: body.map(({ payload }) => bytesToHex(payload)),
    node: bytesToHex(plain), readName: key.name, replicaKey: bytesToHex(key.replica.secret), replicaName: key.replica.name
  }
}))

test('wrapped keys', () => check('wraps', (bytes, given) => {
  const { epoch, key } = unwrapKey(placeOf(given), given.secret, bytesToHex(bytes))
  return { epoch, kind: key instanceof ReadKey ? 'read' : 'replica', key: bytesToHex(key.secret) }
}))

test('skip links', () => {
  const [vector] = vectorsOf('skips')
  assert.deepEqual(vector.expect.targets.map((_, seq) => skipTarget(seq) ?? null), vector.expect.targets)
})
