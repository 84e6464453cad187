// An avatar's own log. One avatar is one device: two copies of a log that both grow are a fork, which freezes the log on
// chain. So each node is stored before it is sent, and a log that was restored from elsewhere never grows.

import { hexToBytes } from 'viem'
import { privateKeyToAddress } from 'viem/accounts'
import { NO_DEADLINE, messageHash } from './action.js'
import { InvalidError, NOBODY, ZERO, must, sameAddress } from './bytes.js'
import { changeMessage } from './members.js'
import { readNode, signNode, skipTarget, stored } from './node.js'
import { signed } from './typed.js'

/** Checks that a node comes next in a log of which `before` are the nodes so far, each `{seq, digest, author?}`. */
export function follows(before, node) {
  must(node.seq === before.length, 'gap', `node ${node.seq} in place of node ${before.length}`)
  if (node.seq === 0) return
  must(node.prev === before[node.seq - 1].digest, 'links', `node ${node.seq} does not follow the one before`)
  must(node.skip === before[skipTarget(node.seq)].digest, 'links', `skip of node ${node.seq}`)
}

/** Learns the keys that a node of a private ring announces. */
async function hear(place, node, keys) {
  if (keys === undefined) return
  try {
    await keys.hear(place, { ...node, messages: keys.openBody(node) })
  } catch (error) {
    if (!(error instanceof InvalidError) || error.kind !== 'key') throw error
  }
}

export class Log {
  #privateKey
  #keys
  #readOnly
  /** The end of the queue of nodes that are being signed. */
  #last = Promise.resolve()

  /** @param place chain id and ring; @param privateKey the avatar's, 0x-hex; @param nodes those that are stored, oldest first;
   *  @param options `keys` of a private ring; `readOnly` for a restored key */
  constructor(place, privateKey, nodes = [], { keys, readOnly = false } = {}) {
    this.place = place
    this.avatar = privateKeyToAddress(privateKey)
    this.nodes = nodes
    this.#privateKey = privateKey
    this.#keys = keys
    if (keys) keys.privateKey = privateKey
    this.#readOnly = readOnly
  }

  /** A log from the blocks of its nodes, oldest first (0x-hex). Each signature and each link is checked. */
  static async read(place, privateKey, blocks, options = {}) {
    const log = new Log(place, privateKey, [], options)
    for (const block of blocks) {
      const bytes = hexToBytes(block)
      const node = await readNode(place, options.keys ? options.keys.openNode(bytes) : bytes)
      must(sameAddress(node.author, log.avatar), 'author', `node ${node.seq} is by ${node.author}`)
      follows(log.nodes, node)
      await hear(place, node, options.keys)
      log.nodes.push(stored(node.seq, bytes))
    }
    return log
  }

  get readOnly() { return this.#readOnly }

  /** The newest node's digest; zero while the log is empty. */
  get head() { return this.nodes.length === 0 ? ZERO : this.nodes[this.nodes.length - 1].digest }

  /** Signs the node that comes next. Messages are `{domain, type, status, payload}`; refs are heads of others' logs. `store` is
   *  awaited with the node before it counts: if it fails, nothing was said. Calls are served one after the other. */
  append(messages, options = {}) {
    const appended = this.#last.then(() => this.#append(messages, options))
    this.#last = appended.catch(() => {})
    return appended
  }

  async #append(messages, { refs = [], time, store }) {
    must(!this.#readOnly, 'restored', 'a restored key never appends: go on with a new avatar')
    const seq = this.nodes.length
    const links = seq > 0 ? { prev: this.head, skip: this.nodes[skipTarget(seq)].digest } : {}
    const key = this.#keys?.newest
    const body = key ? [key.sealBody(this.avatar, seq, messages)] : messages
    const plain = await signNode(this.place, this.#privateKey, { seq, ...links, refs, time, body })
    const node = stored(seq, key ? key.replica.seal(plain) : plain)
    await store?.(node)
    this.nodes.push(node)
    return node
  }

  /** The nodes after `head`, newest first, as replicas want them. */
  since(head) {
    const newest = []
    for (let at = this.nodes.length - 1; at >= 0 && this.nodes[at].digest !== head; at--) newest.push(this.nodes[at])
    return newest
  }

  /** An action of this avatar that moves its head on chain to the end of the log. */
  action({ head, nonce }, { to = NOBODY, value = 0n, gas = 0n, data = '0x' } = {}, deadline = NO_DEADLINE) {
    return { avatar: this.avatar, prevHead: head, newHead: this.head, nonce: BigInt(nonce), deadline, to, value, gas, data }
  }

  /** The message with which this avatar agrees to a change of the members. */
  agree(members, change) { return changeMessage(this.place, members, change, this.#privateKey) }

  /** The avatar's signature of an action. */
  sign(action) { return signed(this.#privateKey, messageHash(this.place, action)) }
}
