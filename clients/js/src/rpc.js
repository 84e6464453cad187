// A member of a ring over the network: JSON-RPC by HTTP POST or WebSocket, blocks, health. Nothing that it says is believed here
// but by whoever checks it (ring.js).

import { WebSocket } from 'isows'
import { cidOf, digestOf, must } from './bytes.js'

/** Most milliseconds that a request takes. */
const TIMEOUT = 30_000
/** Most subscriptions' notifications that are kept until their subscription is known. */
const MOST_EARLY = 256

/** A refusal of a member. `code` is one of docs/client-rings.md, `data` its details. */
export class RpcError extends Error {
  constructor({ code, message, data }) {
    super(`${message} (${code})`)
    this.name = 'RpcError'
    this.code = code
    this.data = data
  }
}

/** Numbers of errors that programs tell apart. */
export const CODE = {
  methodNotFound: -32601, invalidParams: -32602, incomplete: -32001, unknownKey: -32002, wrongSignature: -32003,
  notAMember: -32004, staleHead: -32005, reverted: -32006, busy: -32007, noToken: -32008, refused: -32009
}

async function post(url, body, { token, timeout = TIMEOUT } = {}) {
  const headers = { 'content-type': 'application/json' }
  if (token) headers.authorization = `Bearer ${token}`
  const signal = AbortSignal.timeout(timeout)
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body), signal })
  const text = await response.text()
  try {
    return JSON.parse(text)
  } catch {
    throw new Error(`${url} answered ${response.status}, and not in JSON: ${text.slice(0, 200).trim()}`)
  }
}

function resultOf(answer) {
  if (answer.error) throw new RpcError(answer.error)
  return answer.result
}

/** Calls a method over HTTP. */
export async function call(url, method, params = {}, options) {
  return resultOf(await post(url, { jsonrpc: '2.0', id: 1, method, params }, options))
}

/** Calls several methods at once: `[[method, params], …]`. Each answer is a result or an RpcError. */
export async function batch(url, calls, options) {
  if (calls.length === 0) return []
  const body = calls.map(([method, params], id) => ({ jsonrpc: '2.0', id, method, params: params ?? {} }))
  const answers = await post(url, body, options)
  if (!Array.isArray(answers)) throw new RpcError(answers.error)
  const byId = new Map(answers.map(answer => [answer.id, answer]))
  return body.map(({ id }) => {
    const answer = byId.get(id) ?? { error: { code: -32603, message: 'no answer' } }
    return answer.error ? new RpcError(answer.error) : answer.result
  })
}

/** A member's address, and its methods: docs/client-rings.md and `rpc.discover` say what they take. */
export class Member {
  /** @param url of the member; @param options `token` for what needs it, `timeout` in milliseconds */
  constructor(url, options = {}) {
    this.url = url.replace(/\/+$/, '')
    this.options = options
  }

  call(method, params) { return call(this.url, method, params, this.options) }
  batch(calls) { return batch(this.url, calls, this.options) }

  status() { return this.call('rings_status') }
  ring(ring) { return this.call('rings_getRing', { ring }) }
  gate(gate) { return this.call('rings_getGate', { gate }) }
  log(page) { return this.call('rings_getLog', page) }
  clientRings(page = {}) { return this.call('rings_getClientRings', page) }
  request(params) { return this.call('rings_request', params) }
  getRequest(request) { return this.call('rings_getRequest', { request }) }
  proof(request) { return this.call('rings_getProof', { request }) }
  message(msg_hash) { return this.call('rings_getMessage', { msg_hash }) }
  flush(params) { return this.call('FlushToRing', params) }
  append(params) { return this.call('AppendToRing', params) }
  replicate(params) { return this.call('ReplicateRing', params) }
  createProcess(params) { return this.call('rings_createProcess', params) }
  pauseProcess(installation) { return this.call('rings_pauseProcess', { installation }) }
  resumeProcess(installation) { return this.call('rings_resumeProcess', { installation }) }
  cancelProcess(installation) { return this.call('rings_cancelProcess', { installation }) }
  emit(params) { return this.call('rings_emit', params) }
  listProcesses(page = {}) { return this.call('rings_listProcesses', page) }
  getProcess(page) { return this.call('rings_getProcess', page) }
  listInstances(page = {}) { return this.call('rings_listInstances', page) }
  listExecutions(page = {}) { return this.call('rings_listExecutions', page) }
  getExecution(execution) { return this.call('rings_getExecution', { execution }) }
  searchRegistry(which = {}) { return this.call('rings_searchRegistry', which) }
  discover() { return this.call('rpc.discover') }

  async #get(path) {
    const signal = AbortSignal.timeout(this.options.timeout ?? TIMEOUT)
    return fetch(`${this.url}${path}`, { signal })
  }

  /** Whether it follows its chain, and what somebody should look at. */
  async health() { return (await this.#get('/health')).json() }

  /** The block of a log node, by its digest. Its hash is checked. */
  async block(digest) {
    const response = await this.#get(`/ipfs/${cidOf(digest)}?format=raw`)
    if (!response.ok) throw new Error(`${this.url} has no block ${cidOf(digest)}: ${(await response.text()).trim()}`)
    const bytes = new Uint8Array(await response.arrayBuffer())
    must(digestOf(bytes) === digest, 'hash', `${this.url} gave other bytes for ${cidOf(digest)}`)
    return bytes
  }

  /** A file, by its CID as text. Its hash is not checked: take `?format=car` where that matters. */
  async file(cid) {
    const response = await this.#get(`/ipfs/${cid}`)
    if (!response.ok) throw new Error(`${this.url} has no file ${cid}: ${(await response.text()).trim()}`)
    return new Uint8Array(await response.arrayBuffer())
  }

  /** Opens a WebSocket session. */
  connect() { return Session.open(this.url.replace(/^http/, 'ws') + '/') }
}

/** A WebSocket session with a member: calls and subscriptions. */
export class Session {
  #socket
  #waiting = new Map()
  #listeners = new Map()
  #early = []
  #next = 1

  constructor(socket) {
    this.#socket = socket
    /** Settles when the session has ended. */
    this.closed = new Promise(resolve => socket.addEventListener('close', resolve))
    socket.addEventListener('message', event => this.#heard(JSON.parse(event.data)))
    this.closed.then(() => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the session has ended'))
      this.#waiting.clear()
    })
  }

  static open(url) {
    const socket = new WebSocket(url)
    return new Promise((resolve, reject) => {
      socket.addEventListener('open', () => resolve(new Session(socket)))
      socket.addEventListener('error', () => reject(new Error(`${url} does not open a session`)))
    })
  }

  #heard(message) {
    const subscription = message.params?.subscription
    if (subscription !== undefined) {
      const listener = this.#listeners.get(subscription)
      if (listener) listener(message.params.result)
      else if (this.#early.length < MOST_EARLY) this.#early.push(message.params)
      return
    }
    const waiting = this.#waiting.get(message.id)
    this.#waiting.delete(message.id)
    if (message.error) waiting?.reject(new RpcError(message.error))
    else waiting?.resolve(message.result)
  }

  call(method, params = {}) {
    const id = this.#next++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }))
    })
  }

  /** Calls `listener` with each notice of `rings_subscribe`. Gives a function that ends the subscription. */
  async subscribe(params, listener) {
    const subscription = await this.call('rings_subscribe', params)
    this.#listeners.set(subscription, listener)
    const early = this.#early.filter(each => each.subscription === subscription)
    this.#early = this.#early.filter(each => each.subscription !== subscription)
    for (const { result } of early) listener(result)
    return async () => {
      this.#listeners.delete(subscription)
      await this.call('rings_unsubscribe', { subscription })
    }
  }

  close() { this.#socket.close() }
}

