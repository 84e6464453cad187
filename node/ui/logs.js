// The newest nodes of the members' logs, as this member has them, and what they are about. Only what is new is asked for.

import { ask } from './rpc.js'
import { messagesOf } from './messages.js'

/** Nodes that are read of a log at first, and that are kept of it. */
const NODES = 50
/** Gates, requests and client rings that are kept, each. */
const SUBJECTS = 200

export class Logs {
  #heads = new Map()
  #arrived = 0
  /** Newest nodes of all logs, the newest first: `{member, seq, arrived, time, messages}`. */
  nodes = []
  /** What messages were about, the newest first: gate, request or client ring → members that wrote about it. */
  gates = new Map()
  requests = new Map()
  clients = new Map()

  /** Reads what is new in the logs of a ring's members. */
  async refresh({ ring, members }) {
    const moved = members.filter(({ address, head }) => head && this.#heads.get(address) !== head.seq)
    const calls = moved.map(({ address, head }) => {
      const known = this.#heads.get(address) ?? -1
      return ['rings_getLog', { ring, member: address, from: head.seq, limit: Math.max(1, Math.min(NODES, head.seq - known)) }]
    })
    const pages = await ask(calls)
    for (const [at, page] of pages.entries()) {
      if (page instanceof Error) continue
      const { address, head } = moved[at]
      this.#heads.set(address, head.seq)
      for (const entry of [...page.nodes].reverse()) this.#take(address, entry)
    }
    this.nodes.sort((one, other) => other.time - one.time || other.arrived - one.arrived)
    this.nodes.length = Math.min(this.nodes.length, NODES * members.length)
  }

  #take(member, entry) {
    const messages = messagesOf(entry)
    this.nodes.push({ member, seq: entry.seq, arrived: this.#arrived++, time: entry.node.content?.time ?? 0, messages })
    for (const { gate, request, client } of messages) {
      note(this.gates, gate, member)
      note(this.requests, request, member)
      note(this.clients, client, member)
    }
  }
}

/** Puts a subject first. */
function note(subjects, subject, member) {
  if (subject === undefined) return
  const members = subjects.get(subject) ?? new Set()
  subjects.delete(subject)
  subjects.set(subject, members.add(member))
  if (subjects.size > SUBJECTS) subjects.delete(subjects.keys().next().value)
}

/** The subjects, the newest first. */
export const newest = subjects => [...subjects.keys()].reverse()
