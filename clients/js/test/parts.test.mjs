// Keystores, recovery lines, keys wrapped and taken out, and the order of messages.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { secp256k1 } from '@noble/curves/secp256k1'
import { base58btc } from 'multiformats/bases/base58'
import { bytesToHex, keccak256, stringToBytes } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import {
  InvalidError, Keyring, Log, ReadKey, ReplicaKey, causal, decryptKey, encryptKey, newKey, publicKeyOf, readRecoveryLine,
  unwrapKey, wrapKey, writeRecoveryLine
} from '../src/index.js'

const place = { chainId: 31337, ring: '0x' + '11'.repeat(20) }
const LIGHT = { n: 8192, r: 8, p: 1 }
const line = text => ({ domain: 'chat', type: 'message', status: '', payload: new TextEncoder().encode(text) })

test('a keystore opens with its password only', async () => {
  const key = newKey()
  const keystore = JSON.parse(JSON.stringify(await encryptKey(key, 'correct horse', LIGHT)))
  assert.equal(await decryptKey(keystore, 'correct horse'), key)
  await assert.rejects(decryptKey(keystore, 'wrong'), { kind: 'password' })
  assert.ok(!JSON.stringify(keystore).includes(key.slice(2)))
})

test('a keystore of another tool opens: the vectors of the definition', async () => {
  const crypto = {
    cipher: 'aes-128-ctr', cipherparams: { iv: '6087dab2f9fdbbfaddc31a909735c1e6' },
    ciphertext: '5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46', kdf: 'pbkdf2',
    kdfparams: { c: 262144, dklen: 32, prf: 'hmac-sha256', salt: 'ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd' },
    mac: '517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2'
  }
  const key = await decryptKey({ crypto, version: 3 }, 'testpassword')
  assert.equal(key, '0x7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d')
  const heavy = { ...crypto, kdf: 'scrypt', kdfparams: { dklen: 32, n: 2 ** 24, r: 8, p: 1, salt: '00' } }
  await assert.rejects(decryptKey({ crypto: heavy, version: 3 }, 'testpassword'), { kind: 'keystore' })
})

test('a recovery line is read as it was written, and what is wrong with one is named', () => {
  const ring = {
    chainId: 31337, rpc: 'http://127.0.0.1:8545', ring: place.ring, keeper: '0x' + '22'.repeat(20),
    replicas: ['http://127.0.0.1:7545', 'https://two.example.org/a?b=c&d'], key: new Uint8Array(32).fill(7)
  }
  const text = writeRecoveryLine(ring)
  assert.ok(text.startsWith('rings:1?chain=31337&rpc=http%3A%2F%2F127.0.0.1%3A8545&ring=0x1111'), text)
  assert.deepEqual(readRecoveryLine(` ${text}\n`), { ...ring, keys: [{ epoch: 0, secret: ring.key }] })
  const { key, ...open } = ring
  const rotated = { ...open, keys: [{ secret: key }, { epoch: 0, secret: key }, { epoch: 7, secret: new Uint8Array(32).fill(8) }] }
  assert.ok(writeRecoveryLine(rotated).includes('07.old&key=' + '07'.repeat(32) + '&key=' + '08'.repeat(32) + '.7&sum='))
  assert.deepEqual(readRecoveryLine(writeRecoveryLine(rotated)), { ...rotated, key: rotated.keys[2].secret })
  assert.deepEqual(readRecoveryLine(writeRecoveryLine(open)), open)
  for (let end = 'rings:1?'.length; end < text.length; end++) {
    assert.throws(() => readRecoveryLine(text.slice(0, end)), /ends early/, text.slice(0, end))
  }
  assert.throws(() => readRecoveryLine(text.replace('31337', '31338')), /not as it was made/)
  const [body] = text.split('&sum=')
  const summed = line => `${line}&sum=${keccak256(stringToBytes(line)).slice(2, 10)}`
  const wrong = [
    'rings:2?chain=1', body.replace('chain=31337', 'chain=0x1'), body.replace('&keeper', '&other'), body + '&ring=0x',
    body.replace('ring=0x', 'ring='), body.replace(/&rpc=[^&]*/, ''), body.replace('http%3A', 'ftp%3A'), body.slice(0, -1),
    body.replace(/&replica=[^&]*/g, ''), body + '&x=%'
  ]
  for (const each of wrong) assert.throws(() => readRecoveryLine(summed(each)), InvalidError, each)
})

test('a wrapped key comes out for its owner and its ring only', () => {
  const [owner, other] = [newKey(), newKey()]
  const read = new ReadKey(place)
  const { publicKey } = privateKeyToAccount(owner)
  const { key, epoch } = unwrapKey(place, owner, wrapKey(read.replica, publicKey, 3))
  assert.ok(key instanceof ReplicaKey)
  assert.deepEqual([key.name, epoch], [read.replica.name, 3])
  assert.equal(unwrapKey(place, owner, wrapKey(read, publicKey)).key.name, read.name)
  assert.throws(() => unwrapKey(place, other, wrapKey(read, publicKey)), { kind: 'open' })
  assert.throws(() => unwrapKey({ ...place, chainId: 1 }, owner, wrapKey(read, publicKey)), { kind: 'elsewhere' })
})

test('a peer id gives the key of its member, and of nobody else', () => {
  const account = privateKeyToAccount('0x' + '11'.repeat(32))
  const key = secp256k1.Point.fromHex(account.publicKey.slice(2)).toBytes(true)
  const peer = base58btc.encode(Uint8Array.from([0x00, 0x25, 0x08, 0x02, 0x12, 0x21, ...key])).slice(1)
  assert.ok(peer.startsWith('16Uiu2HA'), peer)
  assert.equal(publicKeyOf(peer, account.address), bytesToHex(key))
  assert.throws(() => publicKeyOf(peer, '0x' + '33'.repeat(20)), { kind: 'peer' })
  const ed25519 = '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN'
  assert.throws(() => publicKeyOf(ed25519, account.address), { kind: 'peer' })
})

test('a private log is read with its key, and not without', async () => {
  const key = newKey()
  const keys = new Keyring(new ReadKey(place))
  const log = new Log(place, key, [], { keys })
  for (let n = 0; n < 5; n++) await log.append([line(`number ${n}`)], { time: n })
  const blocks = log.nodes.map(node => node.bytes)
  const again = await Log.read(place, key, blocks, { keys })
  assert.deepEqual(again.nodes, log.nodes)
  assert.equal((await again.append([line('more')])).seq, 5)
  await assert.rejects(Log.read(place, key, blocks), InvalidError)
  await assert.rejects(Log.read(place, key, blocks, { keys: new Keyring(new ReadKey(place)) }), { kind: 'key' })
  await assert.rejects(Log.read(place, newKey(), blocks, { keys }), { kind: 'author' })
  await assert.rejects(Log.read(place, key, [blocks[0], blocks[2]], { keys }), { kind: 'gap' })
  assert.ok(!blocks.join().includes(Buffer.from('number').toString('hex')))
})

test('a restored log never grows, and a node that could not be stored was not said', async () => {
  const restored = new Log(place, newKey(), [], { readOnly: true })
  await assert.rejects(restored.append([line('x')]), { kind: 'restored' })
  const log = new Log(place, newKey())
  await assert.rejects(log.append([line('x')], { store: () => Promise.reject(new Error('disk full')) }), /disk full/)
  const kept = []
  await Promise.all(['one', 'two', 'three'].map(text => log.append([line(text)], { store: node => kept.push(node) })))
  assert.deepEqual(kept.map(({ seq }) => seq), [0, 1, 2])
  assert.deepEqual(log.nodes, kept)
})

test('no node stands before one that it refers to, whatever its clock says', () => {
  const node = (digest, author, seq, time, refs = [], prev) => ({ digest, author, seq, time, refs, prev })
  const nodes = [
    node('c', 'y', 1, 1, ['d'], 'b'), node('b', 'y', 0, 50), node('d', 'x', 1, 90, [], 'a'), node('a', 'x', 0, 60), node('e', 'z', 0, 55)
  ]
  assert.deepEqual(causal(nodes).map(({ digest }) => digest), ['b', 'e', 'a', 'd', 'c'])
})
