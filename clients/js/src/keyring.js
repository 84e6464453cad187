// The keys that an avatar has of a private ring, and how they are changed: docs/log-format.md, "The keys of a client ring".
//
// A new key is announced in a log, by one node that is sealed with the key before: a `Rotation`, and the keys wrapped for each account
// (`Wraps`). Whoever reads that node learns the new key, if it was wrapped for it.

import { bytesToHex, hexToBytes } from 'viem'
import { privateKeyToAccount, privateKeyToAddress } from 'viem/accounts'
import { InvalidError, bytesOf, decode, digestOf, encode, hexOf, link, linked, list, lower, map, must, tuple, uint } from './bytes.js'
import { ReadKey, nodeKey, sealedBody, unwrapKey, wrapKey } from './private.js'
import { publicKeyOfNode } from './node.js'

const DOMAIN = 'rings'
const MADE = 'made'
const ROTATION = 'Rotation'
const WRAPS = 'Wraps'
const MAX_WRAPS = 1024
/** Keys that are made until one comes before those of its epoch. */
const MOST_TRIES = 10_000

const message = (type, payload) => ({ domain: DOMAIN, type, status: MADE, payload })
const isAbout = ({ domain, type }, kind) => domain === DOMAIN && type === kind

/** The two messages that announce a key. `wraps` are `[address, bytes]`. */
export function rotationMessages({ epoch, read, replica, wraps }) {
  const sorted = [...wraps].sort(([one], [other]) => lower(one) < lower(other) ? -1 : 1)
  const block = encode(sorted.map(([to, wrapped]) => [hexToBytes(to), wrapped]))
  const rotation = { read: hexToBytes(read), epoch, wraps: link(digestOf(block)), replica: hexToBytes(replica) }
  return [message(ROTATION, encode(rotation)), message(WRAPS, block)]
}

/** The rotations among messages, each with its wrapped keys: `{epoch, read, replica, wraps: Map}`. What is malformed is passed over. */
export function readRotations(messages) {
  const blocks = new Map(messages.filter(each => isAbout(each, WRAPS)).map(({ payload }) => [digestOf(payload), payload]))
  return messages.filter(each => isAbout(each, ROTATION)).flatMap(({ payload }) => {
    try {
      const { read, epoch, wraps, replica } = map(decode(payload), ['read', 'epoch', 'wraps', 'replica'])
      const block = blocks.get(linked(wraps))
      if (block === undefined) return []
      const entries = list(decode(block), MAX_WRAPS).map(entry => {
        const [to, wrapped] = tuple(entry, 2)
        return [hexOf(to, 20), bytesOf(wrapped)]
      })
      return [{ epoch: uint(epoch), read: hexOf(read, 32), replica: hexOf(replica, 32), wraps: new Map(entries) }]
    } catch (error) {
      if (error instanceof InvalidError) return []
      throw error
    }
  })
}

/** The keys that an avatar has of a private ring. The one of the highest epoch seals, and there the one with the least name; all of them
 *  open. A key for an epoch that the chain has not reached, or of who is no member any more, does not seal. */
export class Keyring {
  #read = new Map()
  #replica = new Map()
  /** The keys that may seal: `{epoch, key, by?}`. */
  #made = []
  #now
  #holders = new Map()
  #rotated = new Set()
  #writers = new Map()
  #privateKey

  /** @param keys read keys, or `{epoch, key}` as a recovery line has them: without `epoch` a key only opens */
  constructor(...keys) {
    for (const each of keys) {
      if (each instanceof ReadKey) this.add(each, 0)
      else this.add(each.key, each.epoch)
    }
  }

  /** Whose keys these are: new ones are wrapped for this account. */
  set privateKey(privateKey) {
    this.#privateKey = privateKey
    this.#writers.set(lower(privateKeyToAddress(privateKey)), privateKeyToAccount(privateKey).publicKey)
  }

  /** Takes a further read key. */
  add(key, epoch = Math.max(0, ...this.#made.map(made => made.epoch)) + 1, by) {
    if (this.#read.has(key.name)) return
    this.#read.set(key.name, key)
    this.#replica.set(key.replica.name, key.replica)
    if (epoch !== undefined && epoch !== null) this.#made.push({ epoch, key, by })
    this.#made.sort((one, other) => one.epoch - other.epoch || (one.key.name < other.key.name ? 1 : -1))
  }

  get size() { return this.#read.size }

  /** The chain has reached an epoch, in which these are the members. */
  reached(epoch, members) { this.#now = { epoch, members: new Set(members.map(lower)) } }

  #seals({ epoch, by }) {
    return this.#now === undefined || (epoch <= this.#now.epoch && (by === undefined || this.#now.members.has(by)))
  }

  get #current() { return this.#made.filter(made => this.#seals(made)).pop() ?? this.#made[0] }

  /** The key that seals now. */
  get newest() { return this.#current?.key }

  /** The epoch for which it was made. */
  get epoch() { return this.#current?.epoch ?? 0 }

  /** All keys, as a recovery line has them: `{epoch?, key}`. */
  lineKeys() {
    const epochs = new Map(this.#made.filter(made => this.#seals(made)).map(({ key, epoch }) => [key.name, epoch]))
    const keys = [...this.#read.values()].map(key => ({ key, epoch: epochs.get(key.name) }))
    return keys.sort((one, other) => (one.epoch ?? -1) - (other.epoch ?? -1))
  }

  /** The signed node in a block. */
  openNode(bytes) {
    const name = nodeKey(bytes)
    if (name === undefined) return bytes
    const key = this.#replica.get(name)
    must(key !== undefined, 'key', `sealed with replica key ${name}, which is not held here`)
    return key.open(bytes)
  }

  /** What a node says. */
  openBody({ author, seq, body }) {
    const name = sealedBody(body)
    if (name === undefined) return body
    const key = this.#read.get(name)
    must(key !== undefined, 'key', `sealed with read key ${name}, which is not held here`)
    return key.openBody(author, seq, body)
  }

  /** Learns from a node that stands in its author's log: `{author, body, messages, …}`. Gives what is new: `{epoch, name, held}`. */
  async hear(place, node) {
    const name = sealedBody(node.body)
    if (name === undefined || node.messages === undefined) return []
    // Only who has the key can have sealed a body that opens.
    this.#holdersOf(name).add(node.author)
    if (!this.#writers.has(node.author)) this.#writers.set(node.author, await publicKeyOfNode(place, node))
    return readRotations(node.messages).flatMap(rotation => this.#take(place, node.author, rotation))
  }

  #holdersOf(name) {
    if (!this.#holders.has(name)) this.#holders.set(name, new Set())
    return this.#holders.get(name)
  }

  #take(place, author, { epoch, read: name, wraps }) {
    if (this.#rotated.has(name)) return []
    this.#rotated.add(name)
    for (const account of wraps.keys()) this.#holdersOf(name).add(account)
    if (this.#read.has(name)) return []
    const key = this.#unwrapped(place, { epoch, name, wraps })
    if (key !== undefined) this.add(key, epoch, author)
    return [{ epoch, name, by: author, held: key !== undefined }]
  }

  #unwrapped(place, { epoch, name, wraps }) {
    if (this.#privateKey === undefined) return undefined
    const wrapped = wraps.get(lower(privateKeyToAddress(this.#privateKey)))
    if (wrapped === undefined) return undefined
    try {
      const unwrapped = unwrapKey(place, this.#privateKey, bytesToHex(wrapped))
      const fits = unwrapped.key instanceof ReadKey && unwrapped.epoch === epoch && unwrapped.key.name === name
      return fits ? unwrapped.key : undefined
    } catch (error) {
      if (error instanceof InvalidError) return undefined
      throw error
    }
  }

  /** Who has the key that seals, and is neither a member nor one of those who keep the ring: because of them it is to be changed. */
  left(members, keepers) {
    const stay = new Set([...members, ...keepers].map(lower))
    return [...this.#holders.get(this.newest?.name) ?? []].filter(holder => !stay.has(holder))
  }

  /** Whether it is known for whom the key that seals was wrapped. */
  get isRotated() { return this.#rotated.has(this.newest?.name) }

  /** The members that have written under a key that is held, in ascending order: a new one can be wrapped for them. */
  readers(members) { return members.map(lower).filter(member => this.#writers.has(member)).sort() }

  /** Makes a new key for an epoch, wrapped for those of the members who have written; for those who keep the ring (their public keys)
   *  its replica key. It seals from when its node was heard. Gives the messages of that node, and the members that are left out. */
  rotate(place, epoch, members, keepers = []) {
    must(this.#privateKey !== undefined, 'key', 'keys can be changed by an avatar of the ring only')
    const last = this.#current
    const at = Math.max(epoch, last?.epoch ?? 0)
    const comes = key => last === undefined || at > last.epoch || key.name < last.key.name
    let key
    for (let tries = 0; tries < MOST_TRIES && (key === undefined || !comes(key)); tries++) key = new ReadKey(place)
    must(comes(key), 'key', `no key was found that comes before the ones of epoch ${at}`)
    const readers = new Set([...members.map(lower), lower(privateKeyToAddress(this.#privateKey))])
    const leftOut = [...readers].filter(member => !this.#writers.has(member))
    const wrapped = (what, publicKey) => hexToBytes(wrapKey(what, publicKey, at))
    const wraps = [
      ...keepers.map(({ account, publicKey }) => [lower(account), wrapped(key.replica, publicKey)]),
      ...[...readers].filter(member => this.#writers.has(member)).map(member => [member, wrapped(key, this.#writers.get(member))])
    ]
    const messages = rotationMessages({ epoch: at, read: key.name, replica: key.replica.name, wraps: new Map(wraps) })
    return { epoch: at, name: key.name, messages, leftOut }
  }
}
