// The key of a private ring changes when somebody leaves: who stays reads on, who left reads nothing new.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { bytesToHex, hexToBytes } from 'viem'
import { privateKeyToAddress } from 'viem/accounts'
import { Avatar, CODE, Keyring, Log, RpcError, nodeKey, ReadKey, readNode, digestOf, newKey, readRotations, rotationMessages } from '../src/index.js'
import { FakeChain, FakeReplica } from './fakes.mjs'

const place = { chainId: 31337, ring: '0x' + '11'.repeat(20) }
const line = text => ({ domain: 'chat', type: 'message', status: '', payload: new TextEncoder().encode(text) })
const texts = nodes => nodes.flatMap(({ messages }) => messages ?? []).filter(({ domain }) => domain === 'chat')
  .map(({ payload }) => new TextDecoder().decode(payload))

/** A private ring of three people and two replicas. */
function setting() {
  const people = [newKey(), newKey(), newKey()]
  const chain = new FakeChain(people.map(key => privateKeyToAddress(key)))
  const replicas = [1, 2].map(n => new FakeReplica(place, chain, `replica ${n}`))
  const read = new ReadKey(place)
  for (const replica of replicas) replica.keys.set(read.replica.name, read.replica)
  const options = { place, chain, keeper: FakeReplica.keeper, replicas }
  const open = (n, more = {}) => Avatar.open({ ...options, privateKey: people[n], keys: new Keyring(read), ...more })
  return { people, chain, replicas, open, read, options }
}

test('who stays reads on, and who left reads nothing new', async () => {
  const { people, chain, replicas, open, options } = setting()
  const [alice, bob, carol] = [await open(0), await open(1), await open(2)]
  for (const [person, text] of [[alice, 'a'], [bob, 'b'], [carol, 'c']]) {
    await person.say([line(text)])
    assert.equal((await person.push()).size, 0)
  }
  for (const person of [alice, bob, carol]) await person.ring.refresh()
  assert.equal(await alice.renewKey(), undefined)
  chain.named.delete(carol.address)
  chain.epoch = 2
  const { epoch, why, leftOut } = await alice.renewKey()
  assert.deepEqual([epoch, leftOut], [2, []])
  assert.ok(why.includes(carol.address), why)
  const fresh = await alice.say([line('without Carol')])
  assert.equal((await alice.push()).size, 0)
  for (const { keys } of replicas) assert.equal(keys.size, 2)
  assert.deepEqual(texts(await bob.ring.refresh()), ['without Carol'])
  assert.deepEqual(bob.ring.keyNews.map(({ epoch, by, held }) => [epoch, by, held]), [[2, alice.address, true]])
  chain.named.set(carol.address, '0x' + '00'.repeat(32))
  assert.deepEqual(texts(await carol.ring.refresh()), [])
  assert.deepEqual(carol.ring.keyNews.map(({ held }) => held), [false])
  assert.ok(carol.ring.problems.some(({ kind }) => kind === 'key'))
  chain.named.delete(carol.address)
  await bob.say([line('indeed')])
  await bob.push()
  assert.deepEqual(texts(await alice.ring.refresh()), ['indeed'])
  assert.equal(await alice.renewKey(), undefined)
  // A device that comes back with the first key, and one with the keys of the new line.
  const keys = new Keyring(...alice.ring.keys.lineKeys())
  const reader = await Avatar.open({ ...options, privateKey: newKey(), keys })
  assert.deepEqual(texts(await reader.ring.refresh()).sort(), ['a', 'b', 'indeed', 'without Carol'])
  const blocks = bob.log.nodes.map(({ bytes }) => bytes)
  const again = await open(1, { blocks })
  assert.deepEqual(texts(await again.ring.refresh()).sort(), ['a', 'without Carol'])
  assert.equal(fresh.author, privateKeyToAddress(people[0]).toLowerCase())
})

test('a key for an epoch that never comes, or of somebody who has left, does not seal', async () => {
  const { open, chain } = setting()
  const [alice, bob] = [await open(0), await open(1)]
  const keys = alice.ring.keys
  const first = keys.newest.name
  for (const person of [alice, bob]) {
    await person.say([line('here')])
    await person.push()
  }
  for (const person of [alice, bob]) await person.ring.refresh()
  const { messages, name } = bob.ring.keys.rotate(place, 9, [alice.address, bob.address])
  await bob.say(messages)
  await bob.push()
  await alice.ring.refresh()
  keys.reached(1, [alice.address, bob.address])
  assert.equal(keys.newest.name, first)
  keys.reached(9, [alice.address, bob.address])
  assert.equal(keys.newest.name, name)
  keys.reached(9, [alice.address])
  assert.equal(keys.newest.name, first)
  assert.deepEqual(keys.lineKeys().map(({ epoch }) => epoch), [undefined, 0])
  assert.equal(chain.epoch, 1)
})

test('the vectors of both clients agree', async () => {
  const root = process.env.RINGS_VECTORS ?? join(dirname(fileURLToPath(import.meta.url)), '../../../tests/vectors')
  const vector = JSON.parse(readFileSync(join(root, 'client/rotation.json')))
  const of = { chainId: vector.chain, ring: vector.ring }
  const read = bytes => new ReadKey(of, hexToBytes(bytes))
  const [first, next] = [read(vector.readKey), read(vector.newKey.secret)]
  assert.deepEqual([next.name, next.replica.name], [vector.newKey.name, vector.newKey.replica])
  const wraps = new Map(vector.wraps.map(({ account, wrapped }) => [account, hexToBytes(wrapped)]))
  const messages = rotationMessages({ epoch: vector.epoch, read: next.name, replica: next.replica.name, wraps })
  const shown = messages.map(({ payload, ...rest }) => ({ ...rest, payload: bytesToHex(payload) }))
  assert.deepEqual(shown, vector.messages)
  assert.equal(readRotations(messages)[0].epoch, vector.epoch)
  for (const { account, key } of vector.wraps.filter(each => each.key)) {
    const keys = new Keyring(first)
    const log = await Log.read(of, key, [], { keys })
    assert.equal(log.avatar.toLowerCase(), account.toLowerCase())
    for (const [at, { bytes, digest }] of vector.nodes.entries()) {
      const block = hexToBytes(bytes)
      assert.equal(digestOf(block), digest)
      const node = await readNode(of, keys.openNode(block))
      await keys.hear(of, { ...node, messages: keys.openBody(node) })
      assert.equal(keys.newest.name, at === 0 ? first.name : next.name)
    }
    assert.deepEqual(keys.left(vector.members, vector.keepers), [])
    assert.deepEqual(keys.left(vector.members, []), vector.keepers.map(keeper => keeper.toLowerCase()))
  }
})

test('a log that ends with a node under a replaced key goes on under the new one', async () => {
  const { chain, replicas, open } = setting()
  const [alice, bob, carol] = [await open(0), await open(1), await open(2)]
  for (const person of [alice, bob, carol]) {
    await person.say([line('here')])
    await person.push()
  }
  for (const person of [alice, bob]) await person.ring.refresh()
  // Bob writes, and is away while the key changes.
  const late = await bob.say([line('written before')])
  chain.named.delete(carol.address)
  chain.epoch = 2
  const { name } = await alice.renewKey()
  assert.equal((await alice.push()).size, 0)
  const current = alice.ring.keys.newest
  assert.equal(current.name, name)
  for (const replica of replicas) {
    const append = replica.append.bind(replica)
    replica.append = request => {
      const isOld = nodeKey(hexToBytes(request.logNodes[0])) !== current.replica.name
      if (isOld) throw new RpcError({ code: CODE.unknownKey, message: 'unknown replica key', data: 'the newest of these nodes is sealed with a replaced key of ring 0x11' })
      return append(request)
    }
  }
  assert.equal((await bob.push()).size, 0)
  for (const replica of replicas) assert.deepEqual(replica.log_(bob.address).map(({ seq }) => seq), [0, 1, 2])
  assert.equal(replicas[0].log_(bob.address)[1].digest, late.digest)
  assert.ok(texts(await alice.ring.refresh()).includes('written before'))
})
