// Log nodes: content and the author's signature. docs/log-format.md has the rules.

import { bytesToHex, hexToBytes, recoverPublicKey } from 'viem'
import {
  MAX_NODE_BYTES, ZERO, bytesOf, decode, digestOf, encode, link, linked, list, map, must, text, uint
} from './bytes.js'
import { signed, signer, typed } from './typed.js'

const MAX_MESSAGES = 1024
const MAX_REFS = 255

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

/** A message as it was read. */
export function readMessage(value) {
  map(value, ['type', 'domain', 'status', 'payload'])
  return { domain: text(value.domain), type: text(value.type), status: text(value.status), payload: bytesOf(value.payload) }
}

export const readMessages = value => list(value, MAX_MESSAGES).map(readMessage)

/** Signs a node. `prev` and `skip` are digests, absent in the first one; the body is as it will be signed. */
export async function signNode(place, privateKey, { seq, prev, skip, refs = [], time, body }) {
  const content = { seq, body, refs: [...new Set(refs)].sort().map(link) }
  must(body.length <= MAX_MESSAGES, 'size', `a node has at most ${MAX_MESSAGES} messages`)
  must(content.refs.length <= MAX_REFS, 'size', `a node has at most ${MAX_REFS} references`)
  if (seq > 0) {
    content.prev = link(prev)
    content.skip = link(skip)
  }
  if (time !== undefined) content.time = time
  const hash = digestOf(encode(content))
  const struct = typed(place, 'LogNode', { seq: BigInt(seq), prev: prev ?? ZERO, content: hash })
  return encode({ content, signature: hexToBytes(await signed(privateKey, struct)) })
}

/** Reads a signed node: form, links within it, and who signed it. Whether that is a member is for the caller to check. */
export async function readNode(place, bytes) {
  must(bytes.length <= MAX_NODE_BYTES, 'size', `a node has at most ${MAX_NODE_BYTES} bytes`)
  const { content, signature } = map(decode(bytes), ['content', 'signature'])
  map(content, ['seq', 'body', 'refs'], ['prev', 'skip', 'time'])
  const seq = uint(content.seq)
  const node = { seq, body: readMessages(content.body), refs: list(content.refs, MAX_REFS).map(linked) }
  for (const key of ['prev', 'skip']) {
    must(Object.hasOwn(content, key) === (seq > 0), 'links', `${key} of node ${seq}`)
    if (seq > 0) node[key] = linked(content[key])
  }
  if (seq > 0 && skipTarget(seq) === seq - 1) must(node.prev === node.skip, 'links', 'skip is not the node before')
  for (let at = 1; at < node.refs.length; at++) must(node.refs[at - 1] < node.refs[at], 'links', 'references are out of order')
  if (Object.hasOwn(content, 'time')) node.time = uint(content.time)
  node.content = digestOf(encode(content))
  const struct = typed(place, 'LogNode', { seq: BigInt(seq), prev: node.prev ?? ZERO, content: node.content })
  node.signature = bytesToHex(bytesOf(signature))
  node.author = await signer(struct, signature)
  return node
}

/** The public key that signed a node which `readNode` gave, 0x-hex. */
export function publicKeyOfNode(place, { seq, prev, content, signature }) {
  return recoverPublicKey({ hash: typed(place, 'LogNode', { seq: BigInt(seq), prev: prev ?? ZERO, content }), signature })
}

/** A stored node: its position, the bytes of its block, and their digest. */
export const stored = (seq, bytes) => ({ seq, bytes: bytesToHex(bytes), digest: digestOf(bytes) })
