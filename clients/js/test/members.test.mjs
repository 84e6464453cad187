// Devices come and go with the signatures of two thirds; those of one person are shown as one name.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { hexToBytes } from 'viem'
import { privateKeyToAddress } from 'viem/accounts'
import { Avatar, Changes, newKey } from '../src/index.js'
import { name, people } from '../chat/messages.js'
import { FakeChain, FakeReplica } from './fakes.mjs'

const place = { chainId: 31337, ring: '0x' + '11'.repeat(20) }

test('a device is let in when two thirds have signed', async () => {
  const keys = [newKey(), newKey(), newKey()]
  const chain = new FakeChain(keys.map(key => privateKeyToAddress(key)))
  const replicas = [new FakeReplica(place, chain, 'replica')]
  const flushed = []
  replicas[0].flush = async request => flushed.push(request) && { status: 'received', msg_hash: '0x01' }
  const options = { place, chain, keeper: FakeReplica.keeper, replicas }
  const [alice, bob] = await Promise.all([0, 1].map(n => Avatar.open({ ...options, privateKey: keys[n] })))
  const device = privateKeyToAddress(newKey()).toLowerCase()
  const asked = await alice.askFor({ enter: [device] }, [name('alice', [device])])
  assert.deepEqual([asked.status, flushed.length], [undefined, 0])
  await bob.ring.refresh()
  const { open, needed } = await bob.changes()
  assert.deepEqual([needed, [...open.keys()]], [2, [asked.name]])
  assert.deepEqual(open.get(asked.name).change.enter, [device])
  await assert.rejects(bob.approve('0x00'), { kind: 'change' })
  assert.equal((await bob.approve(asked.name)).status, 'received')
  assert.equal(flushed.length, 1)
  // After the members have changed it is void.
  chain.epoch++
  assert.equal((await bob.changes()).open.size, 0)
})

test('all devices of a person are shown as one name', () => {
  const [a, b, c, d] = ['0x0a', '0x0b', '0x0c', '0x0d'].map(each => each + '00'.repeat(19))
  const said = (author, text, also) => ({ author, messages: [name(text, also)] })
  const shown = people([said(b, 'phone', [a, c]), said(a, 'alice', [b]), said(c, 'tablet', [b]), said(d, 'eve', [a])])
  assert.deepEqual([a, b, c, d].map(each => shown.get(each)), ['alice', 'alice', 'alice', 'eve'])
})

test('the vectors of both clients agree', async () => {
  const root = process.env.RINGS_VECTORS ?? join(dirname(fileURLToPath(import.meta.url)), '../../../tests/vectors')
  const { chain, ring, members, epoch, name, messages, call } = JSON.parse(readFileSync(join(root, 'client/members.json')))
  const changes = new Changes({ chainId: chain, ring }, members, epoch)
  for (const { author, message } of messages) await changes.hear(author, { ...message, payload: hexToBytes(message.payload) })
  assert.deepEqual([...changes.open.keys()], [name])
  assert.deepEqual(changes.ready(name), { to: ring, data: call })
})
