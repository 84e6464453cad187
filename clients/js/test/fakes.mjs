// A replica and a chain that live in this process, for tests. The replica keeps logs as a member does; a test makes it lie by
// replacing one of its methods.

import { hexToBytes } from 'viem'
import { privateKeyToAccount, privateKeyToAddress, sign } from 'viem/accounts'
import { concat, hashTypedData } from 'viem'
import { secp256k1 } from '@noble/curves/secp256k1'
import { base58btc } from 'multiformats/bases/base58'
import {
  CODE, ReplicaKey, RpcError, ZERO, cidOf, digestOf, newKey, nodeKey, readNode, unwrapKey
} from '../src/index.js'

const HELD = [{ name: 'ring', type: 'address' }, { name: 'avatar', type: 'address' }, { name: 'head', type: 'bytes32' }]
const KEEPER = '0x' + '22'.repeat(20)

export class FakeChain {
  constructor(members) {
    this.named = new Map(members.map(member => [member.toLowerCase(), ZERO]))
    this.keepers = new Set()
    this.epoch = 1
  }

  async membership() { return { members: [...this.named.keys()], keepers: [...this.keepers], ringEpoch: this.epoch, epoch: this.epoch } }

  async heads() { return new Map(this.named) }
  async isMember(ring, account) { return ring === KEEPER && this.keepers.has(account.toLowerCase()) }
  async avatar(_, account) { return { head: this.named.get(account.toLowerCase()), nonce: 0n, isMember: true, isFrozen: false } }
}

export class FakeReplica {
  constructor(place, chain, url) {
    Object.assign(this, { place, chain, url, key: newKey(), logs: new Map(), flushed: [], keys: new Map() })
    this.account = privateKeyToAddress(this.key)
    chain.keepers.add(this.account.toLowerCase())
  }

  static keeper = KEEPER

  log_(avatar) { return this.logs.get(avatar.toLowerCase()) ?? [] }

  async clientRings() {
    const heads = [...this.logs].map(([avatar, log]) => ({ avatar, seq: log.length - 1, head: log.at(-1).digest, since: 0 }))
    return { rings: [{ ring: this.place.ring, bytes: 0, heads }] }
  }

  async log({ member, from, limit }) {
    const log = this.log_(member)
    const newest = Math.min(from ?? log.length - 1, log.length - 1)
    const oldest = Math.max(0, newest + 1 - limit)
    return { nodes: log.slice(oldest, newest + 1).reverse().map(({ bytes, seq }) => ({ bytes, seq })), next: oldest > 0 ? oldest - 1 : null }
  }

  async block(digest) {
    const node = [...this.logs.values()].flat().find(each => each.digest === digest)
    if (!node) throw new Error('no such block')
    return hexToBytes(node.bytes)
  }

  async status() {
    const point = secp256k1.Point.fromHex(privateKeyToAccount(this.key).publicKey.slice(2)).toBytes(true)
    const peerId = base58btc.encode(Uint8Array.from([0x00, 0x25, 0x08, 0x02, 0x12, 0x21, ...point])).slice(1)
    return { peerId, member: this.account }
  }

  /** The signed node in a block, which may be sealed. */
  opened(bytes) {
    const name = nodeKey(bytes)
    if (name === undefined) return bytes
    if (!this.keys.has(name)) throw new RpcError({ code: CODE.unknownKey, message: 'unknown replica key' })
    return this.keys.get(name).open(bytes)
  }

  async append({ avatar, logNodes, replica_key: wrapped }) {
    if (wrapped) {
      const { key } = unwrapKey(this.place, this.key, wrapped)
      if (!(key instanceof ReplicaKey)) throw new Error('a read key was handed to a replica')
      this.keys.set(key.name, key)
    }
    const nodes = await Promise.all(logNodes.map(async bytes => ({
      ...await readNode(this.place, this.opened(hexToBytes(bytes))), bytes, digest: digestOf(hexToBytes(bytes))
    })))
    nodes.sort((one, other) => one.seq - other.seq)
    const known = new Set([...this.logs.values(), nodes].flat().map(({ digest }) => digest))
    const missing = nodes.flatMap(({ prev, refs }) => [prev, ...refs]).filter(digest => digest !== undefined && !known.has(digest))
    if (missing.length > 0) throw new RpcError({ code: CODE.incomplete, message: 'log replication incomplete', data: missing.map(cidOf) })
    for (const node of nodes) {
      const log = this.log_(node.author)
      if (node.seq === log.length) this.logs.set(node.author, [...log, node])
    }
    const head = this.log_(avatar).at(-1)?.digest
    if (head === undefined) throw new RpcError({ code: CODE.invalidParams, message: 'Invalid params' })
    return { status: 'held', head, held: [{ replica: this.account, signature: await this.word(avatar, head) }] }
  }

  async word(avatar, head) {
    const domain = { name: 'Ring', version: '1', chainId: this.place.chainId, verifyingContract: KEEPER }
    const hash = hashTypedData({ domain, types: { Held: HELD }, primaryType: 'Held', message: { ring: this.place.ring, avatar, head } })
    const { r, s, yParity } = await sign({ hash, privateKey: this.key })
    return concat([r, s, yParity === 0 ? '0x1b' : '0x1c'])
  }
}
