// A ring while it is open: what was said, in order, and how far each own message is.

import { privateKeyToAddress } from 'viem/accounts'
import {
  Avatar, Chain, Keyring, Member, ReadKey, causal, publicKeyOf, readChange, readRecoveryLine,
  writeRecoveryLine
} from '../src/index.js'
import { line, name, people, read } from './messages.js'

/** Own nodes after which the head on chain is moved by itself. */
const FLUSH_EVERY = 100
/** How long after its last node somebody is called online, in milliseconds. */
const ONLINE = 5 * 60_000
/** The members have their turns to change the key, each so many milliseconds after the one before. */
const KEY_TURN = 3000
/** Words about keys that are shown; the oldest go first. */
const MOST_NOTES = 20

export class Room {
  constructor(avatar, recovery, text) {
    Object.assign(this, { avatar, recovery, text, nodes: [], errors: new Map(), notes: [], asked: [], flushing: undefined, refreshed: false })
    this.first = new Promise(resolve => { this.begun = resolve })
  }

  static async open(storage, { privateKey, readOnly }, text) {
    const recovery = readRecoveryLine(text)
    const { chainId, ring, rpc, keeper, replicas, keys } = recovery
    const place = { chainId, ring }
    const address = privateKeyToAddress(privateKey).toLowerCase()
    const avatar = await Avatar.open({
      place, keeper, privateKey, readOnly, chain: new Chain(rpc), replicas: replicas.map(url => new Member(url)),
      keys: keys ? new Keyring(...keys.map(({ epoch, secret }) => ({ epoch, key: new ReadKey(place, secret) }))) : undefined,
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
    await this.#keys()
    await this.#lookAtChanges()
    if (!this.isKept || this.isReadOnly || !this.isMember) return
    this.errors = await this.avatar.push()
    if (this.unflushed >= FLUSH_EVERY) await this.flush()
  }

  /** Changes the key when somebody has left, tells of keys that others have made, and keeps them with the recovery line. */
  async #keys() {
    const { keys } = this.ring
    if (!keys || !this.isKept) return
    const names = people(this.nodes)
    const nameOf = account => names.get(account) ?? account.slice(0, 8)
    const made = await this.avatar.renewKey({ patience: KEY_TURN })
    const said = this.ring.keyNews.splice(0).filter(({ by }) => by !== this.avatar.address).map(({ by, epoch, held }) => held
      ? `${nameOf(by)} has changed the key of the ring (epoch ${epoch})`
      : `${nameOf(by)} has changed the key of the ring, and it was not wrapped for you: ask for the new recovery line`)
    if (made) {
      said.push(`${made.why}: the ring has a new key (epoch ${made.epoch})`)
      said.push(...made.leftOut.map(account => `${account} has written nothing yet: if it is to read, give it the new recovery line`))
    }
    this.notes = [...this.notes, ...said].slice(-MOST_NOTES)
    await this.#keepLine(keys)
  }

  /** What members want to change, and have not signed enough: `{name, text, mine}`. */
  async #lookAtChanges() {
    const isAbout = this.nodes.some(({ messages = [] }) => messages.some(message => readChange(message) !== undefined))
    if (!this.isKept || !isAbout) return
    const { open, needed } = await this.avatar.changes()
    const names = people(this.nodes)
    const called = account => `${names.get(account) ?? ''} ${account}`.trim()
    this.asked = [...open].map(([name, { change: { enter, exit }, by, signed }]) => {
      const parts = [['let in', enter], ['put out', exit]].filter(([, accounts]) => accounts.length > 0)
      const what = parts.map(([verb, accounts]) => `${verb} ${accounts.map(called).join(', ')}`).join(' and ')
      return { name, text: `${called(by)} asks to ${what}: ${signed.size} of ${needed} have signed`, mine: signed.has(this.avatar.address) }
    })
  }

  /** The own name, and the other avatars of this person, as they were said last. */
  get #own() {
    const said = this.nodes.filter(({ author }) => author === this.avatar.address).flatMap(({ messages = [] }) => messages.map(read))
    return said.filter(each => each?.name !== undefined).pop() ?? { name: this.avatar.address.slice(0, 8), also: [] }
  }

  /** Lets a further device in, which is shown as one person with this one when it says the same. */
  async addDevice(device) {
    const { name: called, also } = this.#own
    return this.#done(await this.avatar.askFor({ enter: [device] }, [name(called, [...also, device])]))
  }

  /** Says that another avatar is of the same person. */
  async join(other) {
    const { name: called, also } = this.#own
    await this.#write(name(called, [...also, other]), 'this is no address')
  }

  async approve(change) { return this.#done(await this.avatar.approve(change)) }

  async #done({ replica, msg_hash }) {
    if (replica === undefined) return
    const { status, reason } = await this.avatar.ended(replica, msg_hash)
    if (status === 'failed') throw new Error(`it was not relayed: ${reason}`)
  }

  async #keepLine(keys) {
    const held = keys.lineKeys().map(({ epoch, key }) => ({ ...(epoch === undefined ? {} : { epoch }), secret: key.secret }))
    const text = writeRecoveryLine({ ...this.recovery, keys: held })
    if (text === this.text) return
    this.text = text
    this.code = undefined
    await this.keepLine?.(text)
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
    const publicKey = this.ring.keys ? publicKeyOf(status.peerId, status.member) : undefined
    if (this.avatar.log.nodes.length === 0) await this.#write(name(this.avatar.address.slice(0, 8)), '')
    const { msg_hash } = await this.avatar.replicate({ publicKey })
    const { status: end, reason } = await this.avatar.ended(replica, msg_hash)
    if (end === 'failed') throw new Error(`it was not relayed: ${reason}`)
    await this.look()
  }
}
