// A member that is made up: it serves the page from `node/ui` under the policy that `node/api/src/ui.rs` names, and answers with the forms of
// `node/api/src/openrpc.json`. With it, states are seen that a real ring passes through too quickly, or never.

import { createServer } from 'node:http'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Documents, link } from './documents.mjs'

const TYPES = { html: 'text/html; charset=utf-8', css: 'text/css; charset=utf-8', js: 'text/javascript; charset=utf-8', svg: 'image/svg+xml' }

export const TOKEN = 'a token of a member that is made up'
export const hex = (count, text) => `0x${text.repeat(count * 2).slice(0, count * 2)}`
const MEMBERS = ['a1', 'b2', 'c3', 'd4'].map(text => hex(20, text))

const status = {
  version: '0.0.0', profile: 'made up', chainId: 31337, block: 100, following: true, trouble: null, member: MEMBERS[0], peerId: 'peer', peers: 3,
  ring: hex(20, '5e'), epoch: 0, head: null, store: { kind: 'files', blocks: 1, bytes: 1 }, announced: [], balance: null, registrations: null,
  providers: [], unreachable: [], warnings: []
}
const ring = {
  ring: status.ring, engine: hex(20, 'ee'), keeper: null, epoch: 0, quorum: 3, ringNodeHead: hex(32, '0'), forks: [],
  members: MEMBERS.map(address => ({
    address, peerId: null, multiaddress: null, multiaddresses: [], program: null, connected: true, lastSeen: Date.now(), head: null, diverged: [],
    forked: false, stalled: 0, heldBack: null
  }))
}

const vote = (member, cid) => ({ member, epoch: 0, result: hex(32, '77'), outputs: [{ pin: 0, cid }], agrees: true, profile: 'made up', fuel: 12345 })

/** The policy of the page, as its source has it. */
const policyOf = source => source.match(/const POLICY: &str = "([^"]*)"/)[1].replace(/\\\n\s*/g, '')

class Refusal extends Error {}
const refuse = message => { throw new Refusal(message) }

export class Member {
  documents = new Documents()
  processes = []
  /** Runs of each installation, the newest first. */
  runs = new Map()
  executions = []
  /** Gates by their addresses. */
  gates = new Map()
  /** Entries of the registry, the newest first; none where the chain has no registry. */
  registry = null
  #node
  #policy
  #methods

  /** `node` is the directory of that name in the source tree. */
  constructor(node) {
    const text = path => readFileSync(join(node, path), 'utf8')
    this.#node = node
    this.#policy = policyOf(text('api/src/ui.rs'))
    this.#methods = JSON.parse(text('api/src/openrpc.json')).methods
  }

  /** Takes up a process; `view` replaces what its view says otherwise. */
  install(definition, instances, view = {}) {
    const process = this.documents.put(definition)
    const installation = hex(32, (this.processes.length + 16).toString(16))
    this.processes.push({
      installation, process, name: definition.process, on: definition.on.event ?? 'every 60 seconds', instances,
      services: Object.fromEntries(Object.entries(definition.services).map(([name, service]) => [name, service['/']])),
      since: 7, by: MEMBERS[1], state: 'active', changes: 0, runs: 0, open: 0, ...view
    })
    this.runs.set(installation, [])
    return installation
  }

  of(installation) { return this.processes.find(each => each.installation === installation) ?? refuse('there is no such process') }

  run(installation, event, state = 'open') {
    const runs = this.runs.get(installation)
    const run = { number: runs.length, event, by: MEMBERS[2], state, since: Date.now() }
    runs.unshift(run)
    Object.assign(this.of(installation), { runs: runs.length, open: runs.filter(each => each.state === 'open').length })
    return run
  }

  /** An execution; `parents` are executions that have ended. */
  execute(installation, run, node, task, inputs, parents = [], state = 'started') {
    const { process, services } = this.of(installation)
    const document = {
      ...(node.includes('[') ? { each: Number(node.match(/\d+/)[0]) } : {}), event: link(run.event), inputs, node: node.replace(/\[.*/, ''),
      parents: parents.map(({ execution, result }) => ({ execution: link(execution), result: link(result) })),
      process: link(process), service: link(Object.values(services)[0]), task, version: 1
    }
    const execution = this.documents.put(document)
    const view = { execution, state, installation, event: run.event, node, task, request: hex(32, (this.executions.length + 16).toString(16)) }
    this.executions.unshift(view)
    return view
  }

  /** The execution is settled by a gate, on which so many have voted. */
  settle(view, gate, count) {
    delete view.request
    const votes = MEMBERS.slice(0, count).map(member => ({ ...vote(member, view.execution), agrees: null }))
    this.gates.set(gate, {
      gate, state: 'ready', scope: status.ring, rings: [status.ring], inputs: [], outputs: '1', epoch: 0, quorum: 3, result: null, votes,
      silent: MEMBERS.slice(count), transaction: null, block: null, final: false, milliseconds: { compute: 1, quorum: null, register: null }
    })
    return Object.assign(view, { gate })
  }

  succeed(view, status, outputs = {}) {
    return Object.assign(view, { state: 'succeeded', result: this.documents.put({ outputs, status }), time: Date.now() })
  }

  request(id) {
    const view = this.executions.find(({ request }) => request === id) ?? refuse('there is no such request')
    const votes = view.result ? MEMBERS.slice(0, 3).map(member => vote(member, view.result)) : []
    return {
      request: id, state: view.result ? 'agreed' : 'open', reason: null, author: MEMBERS[0], ring: status.ring, chainId: 31337, profile: 'made up',
      operation: view.execution, inputs: [{ cid: view.execution }], nonce: 0, until: 9, epoch: 0, quorum: 3,
      result: view.result ? [{ pin: 0, cid: view.result }] : null, votes, silent: MEMBERS.slice(votes.length), ringNode: null, final: false,
      milliseconds: { compute: 1, quorum: 2, list: null }
    }
  }

  /** The answers, by methods; those in `changes` need the token. */
  answers = {
    'rpc.discover': () => ({ methods: this.#methods.map(({ name }) => ({ name })) }),
    rings_status: () => status,
    rings_getRing: () => ring,
    rings_getLog: () => ({ nodes: [], next: null }),
    rings_getRequest: ({ request }) => this.request(request),
    rings_listProcesses: () => ({ processes: this.processes }),
    rings_getProcess: ({ installation, limit = 50, before = Infinity }) => {
      const runs = this.runs.get(this.of(installation).installation).filter(({ number }) => number < before)
      return { process: this.of(installation), runs: runs.slice(0, limit), ...(runs.length > limit ? { next: runs[limit - 1].number } : {}) }
    },
    rings_listExecutions: ({ event, limit = 50 }) => ({ executions: this.executions.filter(each => each.event === event).slice(0, limit) }),
    rings_searchRegistry: ({ text = '', before = Infinity }) => {
      const older = (this.registry ?? []).filter(({ number }) => number < before)
      const entries = older.slice(0, 100).filter(({ name }) => name.toLowerCase().includes(text.toLowerCase()))
      return { registry: this.registry && MEMBERS[3], entries, next: older[100] ? older[99].number : null }
    },
    rings_getGate: ({ gate }) => this.gates.get(gate) ?? refuse('there is no such gate'),
    rings_getExecution: ({ execution }) => this.executions.find(each => each.execution === execution) ?? null
  }

  changes = {
    rings_pauseProcess: ({ installation }) => this.#turn(installation, 'paused'),
    rings_resumeProcess: ({ installation }) => this.#turn(installation, 'active'),
    rings_cancelProcess: ({ installation }) => this.#turn(installation, 'cancelled'),
    rings_emit: ({ instance, event, data, nonce }) => {
      const name = this.documents.put({ data, event, instance, source: { by: 'hand', nonce }, version: 1 })
      const starts = this.processes.filter(each => Object.values(each.instances).includes(instance) && each.on?.endsWith(`.${event}`))
      for (const { installation } of starts) this.run(installation, name)
      return { event: name, starts: starts.map(({ installation }) => installation), fresh: true }
    }
  }

  #turn(installation, state) { return { ...Object.assign(this.of(installation), { state }) } }

  #answer({ id, method, params }, authorization) {
    try {
      const change = this.changes[method]
      if (change && authorization !== `Bearer ${TOKEN}`) refuse('this needs the token of this member')
      const answer = change ?? this.answers[method] ?? refuse(`no method ${method}`)
      return { jsonrpc: '2.0', id, result: answer(params) }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      return { jsonrpc: '2.0', id, error: { code: -32009, message: 'refused', data: error.message } }
    }
  }

  #file(path) {
    const name = path === '/ui/' ? 'index.html' : path.slice('/ui/'.length)
    return { type: TYPES[name.split('.')[1]], body: readFileSync(join(this.#node, 'ui', name)) }
  }

  async #reply(request) {
    const { pathname } = new URL(request.url, 'http://localhost')
    if (request.method === 'POST') {
      let text = ''
      for await (const part of request) text += part
      const asked = JSON.parse(text)
      const answer = each => this.#answer(each, request.headers.authorization)
      return { type: 'application/json', body: JSON.stringify(Array.isArray(asked) ? asked.map(answer) : answer(asked)) }
    }
    if (pathname === '/health') return { type: 'application/json', body: JSON.stringify({ following: true }) }
    if (pathname.startsWith('/ui/')) return this.#file(pathname)
    const bytes = this.documents.get(pathname.slice('/ipfs/'.length))
    return bytes ? { type: 'application/octet-stream', body: bytes } : { code: 404, type: 'text/plain', body: 'no member has it' }
  }

  /** Serves it. Gives its origin, and what ends it. */
  async serve() {
    const server = createServer(async (request, response) => {
      const { code = 200, type, body } = await this.#reply(request)
      response.writeHead(code, { 'content-type': type, 'content-security-policy': this.#policy, 'content-length': Buffer.byteLength(body) })
      response.end(body)
    })
    await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
    return { url: `http://127.0.0.1:${server.address().port}`, close: () => server.closeAllConnections() ?? server.close() }
  }
}
