// An avatar at work: its own log, the logs of its ring, and the replicas that keep them. An application says things, and sees for
// each whether it is written, held by n replicas, or final on chain.

import { hexToBytes } from 'viem'
import { privateKeyToAddress } from 'viem/accounts'
import { appendParams, flushParams, registerRing, replicateParams } from './action.js'
import { digestOfCid, lower, must } from './bytes.js'
import { Log } from './log.js'
import { Changes, changeName } from './members.js'
import { publicKeyOf } from './peer.js'
import { nodeKey, wrapKey } from './private.js'
import { RingLogs, causal } from './ring.js'
import { CODE, RpcError } from './rpc.js'

/** Most nodes, and most bytes of nodes, in one request. */
const MAX_NODES = 1024
const MAX_BYTES = 400 * 1024
/** How often missing nodes of others are sent along before it is given up. */
const MAX_ROUNDS = 8
/** How long a change of the members may be signed, in seconds. */
const OPEN_FOR = 30 * 24 * 3600
/** How long it counts what the chain has said about who may have keys, in milliseconds. */
const KEY_CHECK = 2000
/** How often it is asked what became of an action, in milliseconds. */
const POLL = 250

const bytesIn = node => (node.bytes.length - 2) / 2

export class Avatar {
  /** The last own node that each replica's signed answer covered, by its URL. */
  #sent = new Map()
  /** When it was last looked who may have keys, and the look that is under way. */
  #checked = -Infinity
  #checking
  #sealing
  /** When it is this avatar's turn to change the key. */
  #keyDue

  constructor(log, ring, store) {
    /** The own log. */
    this.log = log
    /** The logs of all members, as replicas have them. */
    this.ring = ring
    this.store = store
  }

  /** Opens an avatar. `blocks` are its stored nodes, oldest first; `store(node)` is awaited before a new one counts. The rest is as
   *  for `RingLogs`. */
  static async open({ privateKey, blocks = [], store, readOnly = false, ...ring }) {
    const log = await Log.read(ring.place, privateKey, blocks, { keys: ring.keys, readOnly })
    const avatar = new Avatar(log, new RingLogs(ring), store)
    for (const { bytes, digest } of log.nodes) await avatar.#enter(bytes, digest)
    return avatar
  }

  get address() { return lower(this.log.avatar) }

  /** Takes an own node among those of the ring. */
  async #enter(bytes, digest) {
    const node = await this.ring.open(hexToBytes(bytes), digest)
    this.ring.add(this.address, [node])
    await this.ring.hear(node)
  }

  /** Whether replicas hold nodes of this avatar that are not stored here: it was used elsewhere, and must not append. */
  get isBehind() { return this.ring.log(this.address).length > this.log.nodes.length }

  /** Writes a node: signed, stored, not sent yet. It refers to the newest nodes of the others. */
  async say(messages, options) {
    await this.#checkKey()
    return this.#write(messages, options)
  }

  async #write(messages, { time = Math.floor(Date.now() / 1000) } = {}) {
    must(!this.isBehind, 'restored', 'replicas hold newer nodes of this avatar: it was used elsewhere, and a new avatar must go on')
    const others = [...this.ring.logs].filter(([author, nodes]) => author !== this.address && nodes.length > 0)
    const refs = others.map(([, nodes]) => nodes[nodes.length - 1].digest).slice(0, 255)
    const node = await this.log.append(messages, { refs, time, store: this.store })
    await this.#enter(node.bytes, node.digest)
    return this.ring.node(node.digest)
  }

  /** What is written next must be sealed with a key that nobody has who has left. Without the chain it is written all the same: a device
   *  may be alone for a while. */
  async #checkKey() {
    if (!this.ring.keys || Date.now() - this.#checked < KEY_CHECK) return
    this.#checking ??= this.renewKey().catch(() => {}).finally(() => { this.#checking = undefined })
    await this.#checking
  }

  /** Changes the key of a private ring, if somebody has left who has it, or `always`. Gives `{epoch, name, why, leftOut}` if it did;
   *  the members `leftOut` have written nothing, so they need the new recovery line. With `patience` the members have their turns, each
   *  so many milliseconds after the one before. */
  async renewKey({ always = false, patience = 0 } = {}) {
    const { place, keeper, chain, keys, replicas } = this.ring
    if (!keys) return undefined
    const { members, keepers, epoch } = await chain.membership(place.ring, keeper)
    keys.reached(epoch, members)
    this.#checked = Date.now()
    const left = keys.left(members, keepers)
    const asked = this.ring.rotate && !keys.isRotated
    const isDue = always || left.length > 0 || asked
    if (!isDue || !members.includes(this.address) || this.log.readOnly || this.isBehind) {
      this.#keyDue = undefined
      return undefined
    }
    this.#keyDue ??= Date.now() + Math.max(0, keys.readers(members).indexOf(this.address)) * patience
    if (patience > 0 && Date.now() < this.#keyDue) return undefined
    this.#keyDue = undefined
    const found = await Promise.all(replicas.map(replica => accountBehind(replica, keepers)))
    const made = keys.rotate(place, epoch, members, found.filter(each => each !== undefined))
    await this.#write(made.messages)
    await this.#write([])
    const why = left.length > 0 ? `${left.join(', ')} has left and had the key` : 'a member of the ring that keeps this one has left'
    return { ...made, why }
  }

  /** Sends what replicas do not hold to all of them. Gives the errors, by URL; none when all hold everything. */
  async push() {
    const errors = new Map()
    await Promise.all(this.ring.replicas.map(async replica => {
      try {
        await this.#deliver(replica)
      } catch (error) {
        errors.set(replica.url, error)
      }
    }))
    return errors
  }

  async #deliver(replica) {
    if (this.log.nodes.length === 0) return
    let next = (this.#sent.get(replica.url) ?? await this.#heldAt(replica)) + 1
    while (next < this.log.nodes.length) {
      const part = portion(this.log.nodes, next)
      try {
        await this.#append(replica, part)
      } catch (error) {
        if (!isReplaced(error) || !await this.#goOnSealed(part[part.length - 1])) throw error
        continue
      }
      next += part.length
      this.#sent.set(replica.url, next - 1)
    }
  }

  /** A log that replicas refuse, because it ends with a node under a key that was replaced, goes on under the new one with an empty node.
   *  What is signed is not signed again: two nodes for one position would be a fork. Gives false if no newer key is known here. */
  async #goOnSealed(refused) {
    const { place, keeper, chain, keys } = this.ring
    await this.ring.refresh()
    const { members, epoch } = await chain.membership(place.ring, keeper)
    keys?.reached(epoch, members)
    const current = keys?.newest?.replica.name
    const isOld = node => nodeKey(hexToBytes(node.bytes)) !== current
    if (current === undefined || !isOld(refused) || this.log.readOnly || this.isBehind) return false
    // Several replicas refuse at once; one node is enough for all.
    if (isOld(this.log.nodes[this.log.nodes.length - 1])) this.#sealing ??= this.#write([]).finally(() => { this.#sealing = undefined })
    await this.#sealing
    return true
  }

  /** The position of the newest own node that a replica holds; −1 for none. */
  async #heldAt(replica) {
    const end = await this.ring.ask(replica, this.address)
    return end === undefined ? -1 : this.ring.node(end.head)?.seq ?? -1
  }

  /** Sends own nodes, and those of others that a replica says are missing there. */
  async #append(replica, own, along = []) {
    let key
    for (let round = 0; ; round++) {
      const newestFirst = [...along, ...own].reverse()
      try {
        const params = appendParams(this.ring.place, this.log.avatar, newestFirst, 1, 0, key)
        return await this.ring.heard(this.address, await replica.append(params))
      } catch (error) {
        // The ring may have a key that this replica has not heard of.
        if (error instanceof RpcError && error.code === CODE.unknownKey && !isReplaced(error) && this.ring.keys && key === undefined) {
          key = await this.#wrappedFor(replica)
          continue
        }
        const isMissing = error instanceof RpcError && error.code === CODE.incomplete
        if (!isMissing || round === MAX_ROUNDS) throw error
        along = this.#before(error.data.map(digestOfCid), own, along)
        if (along === undefined) throw error
      }
    }
  }

  async #wrappedFor(replica) {
    const { peerId, member } = await replica.status()
    return wrapKey(this.ring.keys.newest.replica, publicKeyOf(peerId, member), this.ring.keys.epoch)
  }

  /** The nodes that are missing and those before them, beside those that are sent already; nothing if they are unknown here. */
  #before(missing, own, along) {
    const sent = new Set([...own, ...along].map(({ digest }) => digest))
    const wanted = missing.map(digest => this.ring.node(digest)).filter(node => node !== undefined && !sent.has(node.digest))
    if (wanted.length === 0) return undefined
    const nodes = wanted.flatMap(({ author, seq }) => this.ring.log(author).slice(0, seq + 1)).filter(node => !sent.has(node.digest))
    return causal([...new Set([...along, ...nodes])]).slice(-(MAX_NODES - own.length))
  }

  /** Moves the head on chain, with a call of the avatar's account if one is given. Gives what the first replica that answers says. */
  async flush(call = {}, deadline) {
    await this.push()
    const onChain = await this.ring.chain.avatar(this.ring.place.ring, this.log.avatar)
    const action = this.log.action(onChain, call, deadline)
    const signature = await this.log.sign(action)
    return this.#first(replica => replica.flush(flushParams(this.ring.place, action, signature, [])))
  }

  /** What a flush of nothing new would be about: whether the chain's head is the end of the log. */
  get isFlushed() { return this.ring.heads.get(this.address) === this.log.head }

  /** The changes of the members that were asked for in this epoch, as far as the logs are read. */
  async changes() {
    const { place, keeper, chain, logs } = this.ring
    const { members, ringEpoch } = await chain.membership(place.ring, keeper)
    const changes = new Changes(place, members, ringEpoch)
    for (const { author, messages = [] } of causal([...logs.values()].flat())) {
      for (const message of messages) await changes.hear(author, message)
    }
    return changes
  }

  /** Asks for a change of the members: who comes, and who goes. `messages` go into the same node. Gives its name, and what became of the
   *  action if enough have signed it. */
  async askFor({ enter = [], exit = [] }, messages = []) {
    const { members, epoch } = await this.changes()
    const change = { enter: enter.map(lower), exit: exit.map(lower), epoch, deadline: Math.floor(Date.now() / 1000) + OPEN_FOR }
    await this.say([await this.log.agree(members, change), ...messages])
    return this.#settle(changeName(this.ring.place, members, change))
  }

  /** Signs a change by its name. */
  async approve(name) {
    const { members, open } = await this.changes()
    const found = open.get(name)
    must(found !== undefined, 'change', 'there is no such change now')
    if (!found.signed.has(this.address)) await this.say([await this.log.agree(members, found.change)])
    return this.#settle(name)
  }

  async #settle(name) {
    const call = (await this.changes()).ready(name)
    if (call === undefined) {
      await this.push()
      return { name }
    }
    return { name, ...await this.flush(call) }
  }

  /** Has the ring kept by `ring.keeper`. `publicKey` is that of the member behind the first replica: for a private ring. */
  async replicate({ publicKey } = {}) {
    const { place, keeper, keys, replicas: [replica] } = this.ring
    const onChain = await this.ring.chain.avatar(place.ring, this.log.avatar)
    const action = this.log.action(onChain, registerRing(keeper, place.ring, this.log.avatar))
    const signature = await this.log.sign(action)
    const key = keys ? wrapKey(keys.newest.replica, publicKey, keys.epoch) : '0x'
    const nodes = this.log.since(onChain.head)
    return replica.replicate(replicateParams(place, keeper, key, action, signature, nodes))
  }

  async #first(ask) {
    let failed
    for (const replica of this.ring.replicas) {
      try {
        return { replica, ...await ask(replica) }
      } catch (error) {
        if (error instanceof RpcError && error.code !== CODE.busy && error.code !== CODE.unknownKey) throw error
        failed = error
      }
    }
    throw failed ?? new Error('there is no replica')
  }

  /** Waits until an action has come to its end: `relayed` or `failed`. `signal` ends the waiting. */
  async ended(replica, msgHash, signal) {
    for (;;) {
      const message = await replica.message(msgHash)
      if (message !== null && message.status !== 'received') return message
      signal?.throwIfAborted()
      await new Promise(resolve => setTimeout(resolve, POLL))
    }
  }

  /** How far a node is: written, held by so many replicas, final on chain. */
  stateOf({ author, seq }) {
    return { held: this.ring.heldBy(author, seq), final: this.ring.isFinal(author, seq) }
  }
}

/** The account and the public key behind a replica, if it is one of those that keep the ring. */
async function accountBehind(replica, keepers) {
  try {
    const { peerId, member } = await replica.status()
    return keepers.includes(lower(member)) ? { account: member, publicKey: publicKeyOf(peerId, member) } : undefined
  } catch {
    return undefined
  }
}

/** Whether a replica refuses nodes because the newest is sealed with a key that another one has replaced. */
function isReplaced(error) {
  return error instanceof RpcError && error.code === CODE.unknownKey && String(error.data).includes('sealed with a replaced key')
}

/** As many nodes from `next` on as one request takes. */
function portion(nodes, next) {
  let [end, bytes] = [next, 0]
  while (end < nodes.length && end - next < MAX_NODES && (end === next || bytes + bytesIn(nodes[end]) <= MAX_BYTES)) {
    bytes += bytesIn(nodes[end])
    end++
  }
  return nodes.slice(next, end)
}

/** What a person gets back of a ring with a key: all of it, checked, in order. The log does not grow, for what the key may have
 *  signed elsewhere is not known. The options are those of `RingLogs`, `privateKey`, and `words` that replicas gave before. */
export async function restore({ privateKey, words = [], ...options }) {
  const ring = new RingLogs(options)
  if (ring.keys) ring.keys.privateKey = privateKey
  for (const { avatar, head, replica, signature } of words) await ring.heard(avatar, { head, held: [{ replica, signature }] })
  await ring.refresh()
  await ring.askAll()
  await ring.refresh()
  const own = ring.log(privateKeyToAddress(privateKey)).map(({ seq, bytes, digest }) => ({ seq, bytes, digest }))
  const log = new Log(ring.place, privateKey, own, { keys: ring.keys, readOnly: true })
  return { ring, log, nodes: causal([...ring.logs.values()].flat()), problems: ring.problems }
}
