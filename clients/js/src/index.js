// What an avatar of a client ring needs: its log, its actions, and requests to replicas. No node is inside. The bytes are
// those of docs/log-format.md and of the ring's ABI; tests/vectors/client has examples that this and the Rust client check.

import * as cbor from '@ipld/dag-cbor'
import { sha256 } from '@noble/hashes/sha2'
import { CID } from 'multiformats/cid'
import { create as createDigest } from 'multiformats/hashes/digest'
import {
  bytesToHex, concat, encodeAbiParameters, encodeFunctionData, hashTypedData, hexToBytes, recoverAddress
} from 'viem'
import { privateKeyToAddress, sign } from 'viem/accounts'

export const ZERO = '0x' + '00'.repeat(32)
export const NOBODY = '0x' + '00'.repeat(20)
export const NO_DEADLINE = 2n ** 256n - 1n

const DAG_CBOR = 0x71
const SHA2_256 = 0x12

const ACTION = [
  { name: 'avatar', type: 'address' }, { name: 'prevHead', type: 'bytes32' }, { name: 'newHead', type: 'bytes32' },
  { name: 'nonce', type: 'uint256' }, { name: 'deadline', type: 'uint256' }, { name: 'to', type: 'address' },
  { name: 'value', type: 'uint256' }, { name: 'gas', type: 'uint256' }, { name: 'data', type: 'bytes' }
]
const TYPES = {
  CompoundAction: ACTION,
  LogNode: [{ name: 'seq', type: 'uint64' }, { name: 'prev', type: 'bytes32' }, { name: 'content', type: 'bytes32' }],
  Held: [{ name: 'ring', type: 'address' }, { name: 'avatar', type: 'address' }, { name: 'head', type: 'bytes32' }]
}
const RING_ABI = [
  {
    type: 'function', name: 'flush', stateMutability: 'nonpayable', outputs: [{ name: 'result', type: 'bytes' }],
    inputs: [
      { name: 'action', type: 'tuple', components: ACTION },
      { name: 'r', type: 'bytes32' }, { name: 's', type: 'bytes32' }, { name: 'v', type: 'uint8' }
    ]
  },
  {
    type: 'function', name: 'registerRing', stateMutability: 'payable', outputs: [],
    inputs: [{ name: 'client', type: 'address' }, { name: 'avatar', type: 'address' }]
  }
]

const domainOf = ({ chainId, ring }) => ({ name: 'Ring', version: '1', chainId, verifyingContract: ring })
const typed = (place, primaryType, message) =>
  hashTypedData({ domain: domainOf(place), types: TYPES, primaryType, message })
const link = digest => CID.createV1(DAG_CBOR, createDigest(SHA2_256, hexToBytes(digest)))

/** r ‖ s ‖ v, 65 bytes. */
async function signed(privateKey, hash) {
  const { r, s, yParity } = await sign({ hash, privateKey })
  return concat([r, s, yParity === 0 ? '0x1b' : '0x1c'])
}

/** The CID of a log node's digest, as text. */
export const cidOf = digest => link(digest).toString()

/** The position that node `seq` links back to, besides the one before. */
export function skipTarget(seq) {
  if (seq === 0) return undefined
  const largest = n => 2 ** Math.floor(Math.log2(n + 1)) - 1
  let rest = seq
  let weight = largest(seq)
  for (;;) {
    rest %= weight
    if (rest === 0) return seq - weight
    weight = largest(rest)
  }
}

/** An avatar's own log in one ring, whose nodes everybody can read. Store each node before you send it. */
export class Log {
  /** @param place chain id and ring; @param privateKey the avatar's, 0x-hex; @param nodes those that are stored, oldest first */
  constructor(place, privateKey, nodes = []) {
    this.place = place
    this.avatar = privateKeyToAddress(privateKey)
    this.nodes = nodes
    this.#privateKey = privateKey
  }

  #privateKey

  /** The newest node's digest; zero while the log is empty. */
  get head() { return this.nodes.length === 0 ? ZERO : this.nodes[this.nodes.length - 1].digest }

  /** Signs the node that comes next. Messages are `{domain, type, status, payload}`; refs are heads of others' logs. */
  async append(messages, { refs = [], time } = {}) {
    const seq = this.nodes.length
    const content = { seq, body: messages, refs: [...new Set(refs)].sort().map(link) }
    if (seq > 0) {
      content.prev = link(this.head)
      content.skip = link(this.nodes[skipTarget(seq)].digest)
    }
    if (time !== undefined) content.time = time
    const hash = bytesToHex(sha256(cbor.encode(content)))
    const struct = typed(this.place, 'LogNode', { seq: BigInt(seq), prev: this.head, content: hash })
    const signature = hexToBytes(await signed(this.#privateKey, struct))
    const bytes = cbor.encode({ content, signature })
    const node = { seq, bytes: bytesToHex(bytes), digest: bytesToHex(sha256(bytes)) }
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

  /** The avatar's signature of an action. */
  sign(action) { return signed(this.#privateKey, messageHash(this.place, action)) }
}

/** The name of an action: what its avatar signs. */
export const messageHash = (place, action) => typed(place, 'CompoundAction', action)

/** `mtx`: abi.encode(CompoundAction). */
export const encodeAction = action => encodeAbiParameters([{ type: 'tuple', components: ACTION }], [action])

/** The call of `flush` that brings an action to its ring. */
export function flushCall(action, signature) {
  const [r, s] = [signature.slice(0, 66), '0x' + signature.slice(66, 130)]
  const v = Number('0x' + signature.slice(130))
  return encodeFunctionData({ abi: RING_ABI, functionName: 'flush', args: [action, r, s, v] })
}

/** The call that has `keeper` keep the logs of `client`, of which `avatar` is a member. */
export const registerRing = (keeper, client, avatar) => ({
  to: keeper, data: encodeFunctionData({ abi: RING_ABI, functionName: 'registerRing', args: [client, avatar] })
})

/** Parameters of `FlushToRing`. */
export const flushParams = (place, action, signature, nodes) => ({
  avatar: action.avatar, ring: place.ring, mtx: encodeAction(action), mtx_sig: signature, logNodes: nodes.map(node => node.bytes)
})

/** Parameters of `AppendToRing`. */
export const appendParams = (place, avatar, nodes, replicas = 1, wait = 0) => ({
  avatar, ring: place.ring, logNodes: nodes.map(node => node.bytes), replicas, wait
})

/** Whether `replica` signed that it holds a log; `place` is that of the ring that keeps it. */
export async function heldBy(place, replica, { ring, avatar, head }, signature) {
  const hash = typed(place, 'Held', { ring, avatar, head })
  return (await recoverAddress({ hash, signature })).toLowerCase() === replica.toLowerCase()
}

/** A refusal of a replica. */
export class RpcError extends Error {
  constructor({ code, message, data }) {
    super(`${message} (${code})`)
    this.code = code
    this.data = data
  }
}

/** Calls a method of a replica over HTTP. */
export async function call(url, method, params) {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  const answer = await response.json()
  if (answer.error) throw new RpcError(answer.error)
  return answer.result
}
