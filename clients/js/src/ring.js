// The logs of a ring, read from its replicas and checked: hashes, links, order, signatures, and the heads on chain. A replica can
// withhold, not forge; one that leaves something out, or serves another history, is named in `problems`.

import { bytesToHex, hexToBytes } from 'viem'
import { heldBy } from './action.js'
import { ZERO, digestOf, lower, must, InvalidError } from './bytes.js'
import { follows } from './log.js'
import { readNode } from './node.js'
import { CODE, RpcError } from './rpc.js'

/** Nodes in one page of a replica's answer. */
const PAGE = 256
/** Most problems that are kept; the oldest go first. */
const MAX_PROBLEMS = 100
/** Problems that stay when a replica answers well again. */
const LASTING = ['forged', 'fork']

export class RingLogs {
  /** Checked nodes by author, oldest first. */
  logs = new Map()
  /** What the chain names, by author. */
  heads = new Map()
  /** What replicas signed that they hold: author → account of the replica → `{seq, head, signature}`. */
  words = new Map()
  /** When replicas got the newest node of a log, as they say: author → milliseconds since 1970. */
  seen = new Map()
  /** What was found wrong: `{kind, replica?, avatar?, detail, evidence?}`. */
  problems = []
  /** What was learnt of keys: `{epoch, name, by, held}`; whoever reads it empties it. */
  keyNews = []
  /** Whether a replica asks for another key, because one that has left has it. */
  rotate = false
  #places = new Map()
  #keepers = new Map()

  /** @param options `place` (chain and ring), `chain`, `keeper` (the ring that keeps the logs), `replicas` (members of it), `keys` */
  constructor({ place, chain, keeper, replicas, keys }) {
    Object.assign(this, { place, chain, keeper, replicas, keys })
  }

  get members() { return [...this.heads.keys()] }

  /** The checked nodes of an avatar. */
  log(avatar) { return this.logs.get(lower(avatar)) ?? [] }

  /** The node with this digest, if it is held. */
  node(digest) { return this.#places.get(digest) }

  /** Asks chain and replicas, and checks what they answer. Gives the nodes that are new, each after those it refers to. */
  async refresh() {
    this.problems = this.problems.filter(({ kind }) => LASTING.includes(kind))
    this.heads = await this.chain.heads(this.place.ring)
    const fresh = []
    this.rotate = false
    const answers = await Promise.all(this.replicas.map(replica => this.#ends(replica)))
    // A log may begin to be readable by a key that stands in another one.
    for (let before = -1; before !== (this.keys?.size ?? 0);) {
      before = this.keys?.size ?? 0
      this.problems = this.problems.filter(({ kind }) => kind !== 'key')
      for (const [at, ends] of answers.entries()) {
        for (const end of ends) fresh.push(...await this.#take(this.replicas[at], end))
      }
    }
    this.#compareWithChain(answers)
    this.#compareWithWords()
    return causal(fresh)
  }

  /** Where the logs end at a replica: `[{avatar, seq?, head}]`. */
  async #ends(replica) {
    try {
      const { rings } = await replica.clientRings({ ring: this.place.ring })
      this.rotate ||= rings[0]?.rotate === true
      const heads = (rings[0]?.heads ?? []).map(end => ({ ...end, avatar: lower(end.avatar) }))
      for (const { avatar, since } of heads) this.seen.set(avatar, Math.max(since, this.seen.get(avatar) ?? 0))
      return heads.filter(end => this.heads.has(end.avatar))
    } catch (error) {
      if (!(error instanceof RpcError) || error.code !== CODE.methodNotFound) return this.#unreachable(replica, error)
    }
    const held = await Promise.all(this.members.map(avatar => this.ask(replica, avatar)))
    return held.filter(end => end !== undefined)
  }

  #unreachable(replica, error) {
    this.#found({ kind: 'unreachable', replica: replica.url, detail: error.message })
    return []
  }

  /** Asks all replicas for their signed words on all logs. */
  async askAll() {
    await Promise.all(this.replicas.flatMap(replica => this.members.map(avatar => this.ask(replica, avatar))))
  }

  /** A replica's signed word where an avatar's log ends there; nothing if it holds none of it. */
  async ask(replica, avatar) {
    try {
      const answer = await replica.append({ avatar, ring: this.place.ring, logNodes: [] })
      await this.heard(avatar, answer)
      return { avatar, head: answer.head }
    } catch (error) {
      if (!(error instanceof RpcError)) this.#unreachable(replica, error)
      else if (error.code !== CODE.invalidParams) this.#found({ kind: 'refused', replica: replica.url, avatar, detail: error.message })
      return undefined
    }
  }

  /** Keeps the signed words in an answer of AppendToRing, if they are those of members of the ring that keeps the logs. */
  async heard(avatar, { head, held }) {
    for (const { replica, signature } of held) {
      const keeper = { chainId: this.place.chainId, ring: this.keeper }
      const signed = await heldBy(keeper, replica, { ring: this.place.ring, avatar, head }, signature)
      must(signed && await this.#keeps(replica), 'word', `${replica} did not sign that it holds ${head}`)
      const words = this.words.get(lower(avatar)) ?? new Map()
      this.words.set(lower(avatar), words)
      if (!this.#saysMore(words.get(lower(replica)), head)) words.set(lower(replica), { head, signature })
    }
  }

  /** Whether an earlier word of a replica is about more than a head: about a later node, or one that nobody has given yet. */
  #saysMore(word, head) {
    if (word === undefined) return false
    const [before, now] = [this.node(word.head), this.node(head)]
    return before === undefined || (now !== undefined && now.seq < before.seq)
  }

  async #keeps(account) {
    if (!this.#keepers.get(lower(account))) {
      this.#keepers.set(lower(account), await this.chain.isMember(this.keeper, account))
    }
    return this.#keepers.get(lower(account))
  }

  /** How many replicas have signed that they hold a node, or a later one of that log. */
  heldBy(avatar, seq) {
    const words = [...this.words.get(lower(avatar))?.values() ?? []]
    return words.filter(({ head }) => (this.node(head)?.seq ?? -1) >= seq).length
  }

  /** Whether the chain's head of a log is a node, or a later one. */
  isFinal(avatar, seq) { return (this.node(this.heads.get(lower(avatar)))?.seq ?? -1) >= seq }

  /** Fetches and checks what a replica has of a log beyond what is held. */
  async #take(replica, { avatar, head }) {
    if (head === ZERO || this.node(head) !== undefined) return []
    const log = this.logs.get(avatar) ?? []
    try {
      const newer = await this.#fetch(replica, avatar, head, log)
      const whole = [...log]
      for (const node of newer) {
        follows(whole, node)
        whole.push(node)
      }
      for (const node of newer) await this.hear(node)
      return this.add(avatar, newer)
    } catch (error) {
      if (!(error instanceof InvalidError)) return this.#unreachable(replica, error)
      if (error.kind === 'key') return this.#takeForward(replica, avatar)
      const kind = error.kind === 'fork' ? 'fork' : 'forged'
      this.#found({ kind, replica: replica.url, avatar, detail: error.message, evidence: error.evidence })
      return []
    }
  }

  /** The same, oldest first: where a key that opens later nodes stands in earlier ones. Without the key it stops. */
  async #takeForward(replica, avatar) {
    const taken = []
    try {
      const log = () => this.logs.get(avatar) ?? []
      for (const block of await this.#later(replica, avatar, log().length)) {
        const node = await this.open(block, digestOf(block))
        must(node.author === avatar, 'author', `node ${node.seq} is by ${node.author}`)
        follows(log(), node)
        await this.hear(node)
        taken.push(...this.add(avatar, [node]))
      }
    } catch (error) {
      if (!(error instanceof InvalidError)) this.#unreachable(replica, error)
      else this.#found({ kind: error.kind === 'key' ? 'key' : 'forged', replica: replica.url, avatar, detail: error.message })
    }
    return taken
  }

  /** The blocks of a log from a position on, oldest first, as a replica gives them. */
  async #later(replica, member, next) {
    const blocks = []
    for (let from; from !== null;) {
      const page = await replica.log({ ring: this.place.ring, member, limit: PAGE, ...(from === undefined ? {} : { from }) })
      blocks.push(...page.nodes.filter(({ seq }) => seq >= next).map(({ bytes }) => hexToBytes(bytes)))
      from = page.next === null || page.next === undefined || page.next < next ? null : page.next
    }
    return blocks.reverse()
  }

  /** Learns the keys that a node of a private ring announces. */
  async hear(node) {
    if (!this.keys) return
    this.keyNews.push(...await this.keys.hear(this.place, node))
  }

  /** Takes nodes that were checked to come next. */
  add(avatar, nodes) {
    const log = this.logs.get(lower(avatar)) ?? []
    log.push(...nodes)
    this.logs.set(lower(avatar), log)
    for (const node of nodes) this.#places.set(node.digest, node)
    return nodes
  }

  /** The nodes from `head` back to those that are held, oldest first, each checked by itself. */
  async #fetch(replica, avatar, head, log) {
    const newest = []
    const blocks = this.#blocks(replica, avatar)
    for (let digest = head; ;) {
      const node = await this.open(await blocks(digest), digest)
      const last = newest[newest.length - 1]
      must(node.author === avatar, 'author', `node ${node.seq} is by ${node.author}`)
      must(last === undefined || node.seq === last.seq - 1, 'links', `node ${node.seq} stands before node ${last?.seq}`)
      if (node.seq < log.length) throw differing(log[node.seq], node)
      newest.push(node)
      if (node.seq === 0 || node.prev === log[node.seq - 1]?.digest) return newest.reverse()
      digest = node.prev
    }
  }

  /** Gives blocks on the way back from a head: from pages of the log where the replica has them, or else one by one. */
  #blocks(replica, avatar) {
    const paged = new Map()
    let from
    return async digest => {
      if (!paged.has(digest) && from !== null) {
        const page = await this.#page(replica, avatar, from)
        for (const bytes of page.nodes) paged.set(digestOf(bytes), bytes)
        from = page.next
      }
      const bytes = paged.get(digest) ?? await replica.block(digest)
      paged.delete(digest)
      return bytes
    }
  }

  async #page(replica, member, from) {
    try {
      const page = await replica.log({ ring: this.place.ring, member, limit: PAGE, ...(from === undefined ? {} : { from }) })
      return { nodes: page.nodes.map(node => hexToBytes(node.bytes)), next: page.next ?? null }
    } catch (error) {
      if (error instanceof RpcError) return { nodes: [], next: null }
      throw error
    }
  }

  /** A node from its block, opened and checked by itself; its body is read as far as keys are held. */
  async open(block, digest) {
    must(digestOf(block) === digest, 'hash', 'the bytes are not those of the link')
    const node = await readNode(this.place, this.keys ? this.keys.openNode(block) : block)
    let messages
    try {
      messages = this.keys ? this.keys.openBody(node) : node.body
    } catch (error) {
      if (!(error instanceof InvalidError) || error.kind !== 'key') throw error
    }
    return { ...node, messages, digest, bytes: bytesToHex(block) }
  }

  /** Names replicas that hold less of a log than the chain, or their own word, says there is. */
  #compareWithChain(answers) {
    for (const [avatar, head] of this.heads) {
      if (head === ZERO) continue
      const final = this.node(head)
      for (const [at, ends] of answers.entries()) {
        if (ends.length === 0 && this.#isUnreachable(this.replicas[at])) continue
        const end = ends.find(each => each.avatar === avatar)
        const reached = end === undefined ? undefined : this.node(end.head)
        if (final !== undefined && reached !== undefined && reached.seq >= final.seq) continue
        const detail = `the chain names ${head}, and the replica's log ends at ${end?.head ?? 'nothing'}`
        this.#found({ kind: 'withheld', replica: this.replicas[at].url, avatar, detail })
      }
    }
  }

  /** Names replicas that signed that they hold a node which nobody gives now. */
  #compareWithWords() {
    for (const [avatar, words] of this.words) {
      for (const [replica, { head, signature }] of words) {
        if (this.node(head) !== undefined) continue
        const detail = `it signed that it holds ${head}, and no replica gives that node`
        this.#found({ kind: 'withheld', replica, avatar, detail, evidence: [signature] })
      }
    }
  }

  #isUnreachable(replica) {
    return this.problems.some(problem => problem.kind === 'unreachable' && problem.replica === replica.url)
  }

  #found(problem) {
    const same = each => each.kind === problem.kind && each.replica === problem.replica && each.avatar === problem.avatar
    this.problems = [...this.problems.filter(each => !same(each)), problem].slice(-MAX_PROBLEMS)
  }
}

/** What it means that a replica has another node for a position: a fork, unless both sign the same. */
function differing(held, other) {
  const same = held.prev === other.prev && held.content === other.content
  const kind = same ? 'encoding' : 'fork'
  const error = new InvalidError(kind, `two nodes for position ${held.seq}: ${held.digest} and ${other.digest}`)
  error.evidence = [held.bytes, other.bytes]
  return error
}

/** Nodes of several logs in an order in which none comes before one that it refers to, otherwise by time. */
export function causal(nodes) {
  const waiting = new Map(nodes.map(node => [node.digest, node]))
  const parents = node => [node.prev, ...node.refs].filter(digest => waiting.has(digest))
  const before = (one, other) =>
    (one.time ?? 0) - (other.time ?? 0) || (one.author < other.author ? -1 : Number(one.author > other.author)) || one.seq - other.seq
  const ordered = []
  const missing = new Map(nodes.map(node => [node.digest, parents(node).length]))
  const children = new Map()
  for (const node of nodes) {
    for (const parent of parents(node)) children.set(parent, [...children.get(parent) ?? [], node])
  }
  const ready = nodes.filter(node => missing.get(node.digest) === 0).sort(before)
  while (ready.length > 0) {
    const node = ready.shift()
    ordered.push(node)
    for (const child of children.get(node.digest) ?? []) {
      missing.set(child.digest, missing.get(child.digest) - 1)
      if (missing.get(child.digest) === 0) insert(ready, child, before)
    }
  }
  return ordered
}

/** Puts an item into its place of a sorted list. */
function insert(sorted, item, before) {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (before(sorted[middle], item) <= 0) low = middle + 1
    else high = middle
  }
  sorted.splice(low, 0, item)
}
