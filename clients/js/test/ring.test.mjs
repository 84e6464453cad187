// Reading a ring from replicas, honest and others, and sending to them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { privateKeyToAddress } from 'viem/accounts'
import { Avatar, CODE, Log, RingLogs, RpcError, newKey, restore } from '../src/index.js'
import { FakeChain, FakeReplica } from './fakes.mjs'

const place = { chainId: 31337, ring: '0x' + '11'.repeat(20) }
const line = text => ({ domain: 'chat', type: 'message', status: '', payload: new TextEncoder().encode(text) })
const texts = nodes => nodes.flatMap(({ messages }) => messages.map(({ payload }) => new TextDecoder().decode(payload)))

/** A ring of two people and three replicas. */
function setting() {
  const keys = [newKey(), newKey()]
  const chain = new FakeChain(keys.map(key => privateKeyToAddress(key)))
  const replicas = [1, 2, 3].map(n => new FakeReplica(place, chain, `replica ${n}`))
  const options = { place, chain, keeper: FakeReplica.keeper, replicas }
  const open = n => Avatar.open({ ...options, privateKey: keys[n] })
  return { keys, chain, replicas, options, open }
}

const kinds = ({ problems }) => problems.map(({ kind, replica }) => [kind, replica])

test('two people talk, and every message goes through its states', async () => {
  const { replicas, chain, open } = setting()
  const [alice, bob] = [await open(0), await open(1)]
  const hello = await alice.say([line('hello')])
  assert.deepEqual(alice.stateOf(hello), { held: 0, final: false })
  assert.equal((await alice.push()).size, 0)
  assert.deepEqual(alice.stateOf(hello), { held: 3, final: false })
  assert.deepEqual(texts(await bob.ring.refresh()), ['hello'])
  const answer = await bob.say([line('hello back')])
  assert.deepEqual(answer.refs, [hello.digest])
  await bob.push()
  assert.deepEqual(texts(await alice.ring.refresh()), ['hello back'])
  assert.deepEqual(texts(await alice.ring.refresh()), [])
  chain.named.set(alice.address, alice.log.head)
  await alice.ring.refresh()
  assert.deepEqual(alice.stateOf(hello), { held: 3, final: true })
  assert.deepEqual(alice.ring.problems, [])
  replicas[0].append = () => Promise.reject(new Error('connection refused'))
  await alice.say([line('one is away')])
  assert.deepEqual([...(await alice.push()).keys()], ['replica 1'])
  assert.equal(alice.stateOf(alice.ring.log(alice.address).at(-1)).held, 2)
})

test('what a replica lacks of others is sent along', async () => {
  const { replicas, open } = setting()
  const [alice, bob] = [await open(0), await open(1)]
  for (const text of ['one', 'two', 'three']) await alice.say([line(text)])
  await alice.push()
  await bob.ring.refresh()
  replicas[1].logs.clear()
  await bob.say([line('I have read all of it')])
  assert.equal((await bob.push()).size, 0)
  assert.equal(replicas[1].log_(alice.address).length, 3)
})

test('a log is read page by page, and block by block where there are no pages', async () => {
  const { replicas, open, options } = setting()
  const alice = await open(0)
  for (let n = 0; n < 300; n++) await alice.say([line(String(n))], { time: n })
  await alice.push()
  const whole = new RingLogs(options)
  assert.equal(texts(await whole.refresh()).length, 300)
  for (const replica of replicas) {
    replica.clientRings = () => Promise.reject(new RpcError({ code: CODE.methodNotFound, message: 'Method not found' }))
    replica.log = () => Promise.reject(new RpcError({ code: CODE.unknownKey, message: 'unknown replica key' }))
  }
  const walked = new RingLogs(options)
  assert.deepEqual(texts(await walked.refresh()), texts(whole.log(alice.address)))
  assert.deepEqual(walked.problems, [])
})

test('a replica that withholds the newest node is named', async () => {
  const { replicas, chain, keys, options, open } = setting()
  const alice = await open(0)
  await alice.say([line('first')])
  await alice.push()
  replicas[1].append = async () => ({ head: alice.log.head, held: [] })
  await alice.say([line('second')])
  await alice.push()
  chain.named.set(alice.address, alice.log.head)
  const { nodes, problems, log } = await restore({ ...options, privateKey: keys[0] })
  assert.deepEqual(texts(nodes), ['first', 'second'])
  assert.deepEqual(kinds({ problems }), [['withheld', 'replica 2']])
  await assert.rejects(log.append([line('no')]), { kind: 'restored' })
})

test('replicas that deny what they signed for are convicted by their own words', async () => {
  const { replicas, keys, options, open } = setting()
  const alice = await open(0)
  await alice.say([line('first')])
  await alice.push()
  const before = replicas.map(({ logs }) => new Map(logs))
  const second = await alice.say([line('second')])
  await alice.push()
  const given = [...alice.ring.words.get(alice.address)].map(([replica, word]) => ({ avatar: alice.address, replica, ...word }))
  assert.equal(given.length, 3)
  replicas.forEach((replica, at) => { replica.logs = before[at] })
  const { nodes, problems } = await restore({ ...options, privateKey: keys[0], words: given })
  assert.deepEqual(texts(nodes), ['first'])
  const accounts = problems.map(({ replica }) => replica).sort()
  // What they sign now is about less, and does not take the place of what they signed before.
  assert.deepEqual(accounts, replicas.map(({ account }) => account.toLowerCase()).sort())
  assert.ok(problems.every(({ kind, detail }) => kind === 'withheld' && detail.includes(second.digest)))
})

test('a replica that changes a node, or makes one up, is named, and the others are believed', async () => {
  const { replicas, options, open } = setting()
  const alice = await open(0)
  await alice.say([line('true')])
  await alice.push()
  const page = await replicas[0].log({ member: alice.address, limit: 9 })
  const bytes = page.nodes[0].bytes.replace(/74727565/, '66616c73')
  replicas[0].log = async () => ({ nodes: [{ bytes }], next: null })
  replicas[0].block = async () => { throw new Error('none') }
  const stranger = new Log(place, newKey())
  const made = await stranger.append([line('made up')])
  replicas[1].clientRings = async () => ({ rings: [{ heads: [{ avatar: alice.address, head: made.digest }] }] })
  replicas[1].log = async () => ({ nodes: [{ bytes: made.bytes }], next: null })
  const ring = new RingLogs({ ...options })
  assert.deepEqual(texts(await ring.refresh()), ['true'])
  assert.deepEqual(kinds(ring), [['unreachable', 'replica 1'], ['forged', 'replica 2']])
})

test('two histories of one avatar are a fork, with both nodes as evidence', async () => {
  const { replicas, keys, options, open } = setting()
  const [one, other] = [await open(0), new Log(place, keys[0])]
  await one.say([line('this')])
  await one.say([line('and this')])
  await one.push()
  for (const text of ['that', 'and that', 'and more']) await other.append([line(text)])
  const twin = new FakeReplica(place, options.chain, 'replica 4')
  await twin.append({ avatar: one.address, logNodes: other.since(undefined).map(({ bytes }) => bytes) })
  const ring = new RingLogs({ ...options, replicas: [replicas[0], twin] })
  assert.deepEqual(texts(await ring.refresh()), ['this', 'and this'])
  const [{ kind, replica, evidence }] = ring.problems
  assert.deepEqual([kind, replica], ['fork', 'replica 4'])
  assert.equal(new Set(evidence).size, 2)
})

test('a word that is not signed by a member of the keeper does not count', async () => {
  const { replicas, chain, open } = setting()
  const alice = await open(0)
  await alice.say([line('x')])
  chain.keepers.delete(replicas[2].account.toLowerCase())
  const good = replicas[1].word
  replicas[1].word = (avatar, head) => good.call(replicas[0], avatar, head)
  const errors = await alice.push()
  assert.deepEqual([...errors.keys()].sort(), ['replica 2', 'replica 3'])
  assert.equal(alice.stateOf(alice.ring.log(alice.address)[0]).held, 1)
})
