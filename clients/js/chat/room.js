// A ring while it is open: what was said, in order, and how far each own message is.

import { privateKeyToAddress } from 'viem/accounts'
import { Avatar, Chain, Keyring, Member, ReadKey, causal, publicKeyOf, readRecoveryLine } from '../src/index.js'
import { line, name, people, read } from './messages.js'

/** Own nodes after which the head on chain is moved by itself. */
const FLUSH_EVERY = 100
/** How long after its last node somebody is called online, in milliseconds. */
const ONLINE = 5 * 60_000

export class Room {
  constructor(avatar, recovery, text) {
    Object.assign(this, { avatar, recovery, text, nodes: [], errors: new Map(), flushing: undefined, refreshed: false })
    this.first = new Promise(resolve => { this.begun = resolve })
  }

  static async open(storage, { privateKey, readOnly }, text) {
    const recovery = readRecoveryLine(text)
    const { chainId, ring, rpc, keeper, replicas, key } = recovery
    const place = { chainId, ring }
    const address = privateKeyToAddress(privateKey).toLowerCase()
    const avatar = await Avatar.open({
      place, keeper, privateKey, readOnly, chain: new Chain(rpc), replicas: replicas.map(url => new Member(url)),
      keys: key ? new Keyring(new ReadKey(place, key)) : undefined,
      blocks: await storage.blocks(ring, address), store: node => storage.store(ring, address, node)
    })
    return new Room(avatar, recovery, text)
  }

  /** Reads what is new and sends what is unsent. */
  async refresh() {
    if (!this.isKept) await this.look()
    if (this.isKept) await this.ring.refresh()
    else this.ring.heads = await this.ring.chain.heads(this.recovery.ring)
    this.refreshed = true
    this.begun()
    this.nodes = causal([...this.ring.logs.values()].flat())
    if (!this.isKept || this.isReadOnly || !this.isMember) return
    this.errors = await this.avatar.push()
    if (this.unflushed >= FLUSH_EVERY) await this.flush()
  }

  get ring() { return this.avatar.ring }
  get isReadOnly() { return this.avatar.log.readOnly || this.avatar.isBehind }
  get isMember() { return this.ring.heads.has(this.avatar.address) }
  /** Nodes that the chain does not name yet. */
  get unflushed() { return this.ring.log(this.avatar.address).filter(node => !this.ring.isFinal(this.avatar.address, node.seq)).length }

  /** Asks the chain whether the keeper keeps this ring. */
  async look() {
    this.isKept = await this.ring.chain.keeps(this.recovery.keeper, this.recovery.ring)
  }

  /** Lines in order: `{txt, author, own, name, state}`. */
  lines() {
    const names = people(this.nodes)
    return this.nodes.flatMap(node => (node.messages ?? []).map(read).filter(said => said?.txt !== undefined).map(({ txt }) => ({
      txt, id: node.digest, own: node.author === this.avatar.address, name: names.get(node.author), time: node.time,
      ...this.avatar.stateOf(node)
    })))
  }

  /** Who is in the ring: `{address, name, online}`. */
  people() {
    const names = people(this.nodes)
    const lately = address => Date.now() - Math.max(this.ring.seen.get(address) ?? 0, (this.ring.log(address).at(-1)?.time ?? 0) * 1000)
    return this.ring.members.map(address => ({
      address, name: names.get(address) ?? address.slice(0, 8), online: lately(address) < ONLINE, own: address === this.avatar.address
    }))
  }

  async say(text) { await this.#write(line(text), 'a message has 1 to 4,096 bytes') }
  async call(text) { await this.#write(name(text), 'a name has 1 to 64 bytes') }

  async #write(message, otherwise) {
    if (message === undefined) throw new Error(otherwise)
    await this.first
    await this.avatar.say([message])
    this.nodes = causal([...this.ring.logs.values()].flat())
  }

  /** Moves the head on chain to the newest own message. */
  async flush() {
    if (this.flushing) return this.flushing
    this.flushing = this.#flush().finally(() => { this.flushing = undefined })
    return this.flushing
  }

  async #flush() {
    const { replica, msg_hash } = await this.avatar.flush()
    const { status, reason } = await this.avatar.ended(replica, msg_hash)
    if (status === 'failed') throw new Error(`it was not relayed: ${reason}`)
  }

  /** Hands the ring over to its keeper. */
  async replicate() {
    const [replica] = this.ring.replicas
    const status = await replica.status()
    const publicKey = this.recovery.key ? publicKeyOf(status.peerId, status.member) : undefined
    if (this.avatar.log.nodes.length === 0) await this.#write(name(this.avatar.address.slice(0, 8)), '')
    const { msg_hash } = await this.avatar.replicate({ publicKey })
    const { status: end, reason } = await this.avatar.ended(replica, msg_hash)
    if (end === 'failed') throw new Error(`it was not relayed: ${reason}`)
    await this.look()
  }
}
