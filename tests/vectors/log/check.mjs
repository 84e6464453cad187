// Checks the vectors beside this file, or in the directory that is given, with an implementation that knows nothing of
// Rings' own: docs/log-format.md and docs/log.ipldsch are all that it is written from. It prints how many agree.
//
// npm ci --ignore-scripts && node check.mjs

import * as cbor from '@ipld/dag-cbor'
import { chacha20poly1305, xchacha20poly1305 } from '@noble/ciphers/chacha'
import { extract, expand } from '@noble/hashes/hkdf'
import { sha256 } from '@noble/hashes/sha256'
import { decrypt } from 'eciesjs'
import { CID } from 'multiformats/cid'
import { create as createDigest } from 'multiformats/hashes/digest'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import { concat, domainSeparator, hashTypedData, hexToBytes, bytesToHex, keccak256, recoverAddress } from 'viem'
import { sign, privateKeyToAddress } from 'viem/accounts'

const folder = process.argv[2] ?? dirname(fileURLToPath(import.meta.url))
const HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n
const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
const ZERO = '0x' + '00'.repeat(32)
const MAX_NODE = 256 * 1024
const hex = bytesToHex

class Bad extends Error {
  constructor(kind, detail) { super(detail ? `${kind}: ${detail}` : kind); this.kind = kind }
}
const refuse = (kind, detail) => { throw new Bad(kind, detail) }
const must = (condition, kind, detail) => { if (!condition) refuse(kind, detail) }

// Strict canonical DAG-CBOR: what is decoded must encode to the same bytes.

function decode(bytes) {
  let value
  try { value = cbor.decode(bytes) } catch (error) { refuse('form', error.message) }
  const again = cbor.encode(value)
  must(hex(again) === hex(bytes), 'form', 'not canonical')
  return value
}

// Types of the schema.

const isMap = value => value !== null && typeof value === 'object' && !Array.isArray(value) && !(value instanceof Uint8Array) && CID.asCID(value) === null
const bytesOf = (value, length, kind = 'form') => {
  must(value instanceof Uint8Array && (length === undefined || value.length === length), kind, `not ${length} bytes`)
  return hex(value)
}
const digest = value => bytesOf(value, 32)
const address = value => bytesOf(value, 20)
const uint = value => {
  must((typeof value === 'number' && Number.isInteger(value) && value >= 0) || (typeof value === 'bigint' && value >= 0n), 'form', 'not an unsigned integer')
  return value
}
const text = (value, max) => { must(typeof value === 'string' && Buffer.byteLength(value) <= max, 'form', 'not a text'); return value }
const list = (value, max) => { must(Array.isArray(value) && value.length <= max, 'form', 'not a list, or too long'); return value }
const tuple = (value, length) => { must(Array.isArray(value) && value.length === length, 'form', `not a list of ${length}`); return value }
const map = (value, required, optional = []) => {
  must(isMap(value), 'form', 'not a map')
  for (const key of required) must(key in value, 'form', `no ${key}`)
  for (const key of Object.keys(value)) must(required.includes(key) || optional.includes(key), 'form', `unknown ${key}`)
  return value
}
const link = value => {
  const cid = CID.asCID(value)
  must(cid !== null && cid.version === 1 && cid.code === 0x71 && cid.multihash.code === 0x12 && cid.multihash.digest.length === 32, 'form', 'not a link to dag-cbor with sha2-256')
  return hex(cid.multihash.digest)
}
const linkOrNull = value => value === null ? null : link(value)
const cidOf = bytes => CID.createV1(0x71, createDigest(0x12, sha256(bytes))).toString()
const cidOfDigest = of => CID.createV1(0x71, createDigest(0x12, hexToBytes(of))).toString()

// EIP-712.

const domainOf = given => ({ name: 'Ring', version: '1', chainId: given.chain, verifyingContract: given.ring })
const TYPES = {
  LogNode: [['uint64', 'seq'], ['bytes32', 'prev'], ['bytes32', 'content']],
  Outputs: [['address', 'gate'], ['bytes32', 'inputs'], ['uint256', 'epoch'], ['uint96[]', 'pins'], ['bytes32[]', 'cids']],
  RingNode: [['bytes32', 'prev'], ['bytes32', 'cid'], ['uint256', 'epoch'], ['address[]', 'members'], ['bytes32[]', 'prevHeads'], ['bytes32[]', 'heads']]
}
const typed = (given, primaryType, message) => hashTypedData({
  domain: domainOf(given), primaryType, message,
  types: { [primaryType]: TYPES[primaryType].map(([type, name]) => ({ type, name })) }
})
const separator = given => hexToBytes(domainSeparator({ domain: domainOf(given), types: { EIP712Domain: [
  { name: 'name', type: 'string' }, { name: 'version', type: 'string' }, { name: 'chainId', type: 'uint256' }, { name: 'verifyingContract', type: 'address' }] } }))

async function signer(hash, signature, kind = 'signature') {
  const [r, s, v] = [BigInt(hex(signature.slice(0, 32))), BigInt(hex(signature.slice(32, 64))), signature[64]]
  must(v === 27 || v === 28, kind, 'v')
  must(r > 0n && r < ORDER && s > 0n && s <= HALF_ORDER, kind, 'r or s')
  try { return (await recoverAddress({ hash, signature: hex(signature) })).toLowerCase() } catch { refuse(kind, 'no key') }
}

// Skip links.

function skipTarget(seq) {
  if (seq === 0) return null
  let rest = seq
  for (;;) {
    let weight = 1
    while (2 * weight + 1 <= rest) weight = 2 * weight + 1
    rest %= weight
    if (rest === 0) return seq - weight
  }
}
function wayBack(from, to) {
  const steps = [from]
  while (steps.at(-1) > to) {
    const at = steps.at(-1)
    steps.push(skipTarget(at) >= to ? skipTarget(at) : at - 1)
  }
  return steps
}
const linked = (number, prev, skip) => {
  must((prev === null) === (number === 0) && (skip === null) === (number === 0), 'links')
  if (number > 0 && skipTarget(number) === number - 1) must(prev === skip, 'links')
}

// Log nodes.

const message = value => {
  map(value, ['type', 'domain', 'status', 'payload'])
  return { domain: text(value.domain, MAX_NODE), type: text(value.type, MAX_NODE), status: text(value.status, MAX_NODE), payload: bytesOf(value.payload) }
}

async function readNode(bytes, given) {
  must(bytes.length <= MAX_NODE, 'size')
  const node = map(decode(bytes), ['content', 'signature'])
  const content = map(node.content, ['seq', 'body', 'refs'], ['prev', 'skip', 'time'])
  const seq = Number(uint(content.seq))
  const body = list(content.body, 1024).map(message)
  const refs = list(content.refs, 255).map(link)
  const [prev, skip] = ['prev', 'skip'].map(key => key in content ? link(content[key]) : null)
  const time = 'time' in content ? Number(uint(content.time)) : null
  must(node.signature instanceof Uint8Array && node.signature.length <= 65, 'form')
  must(node.signature.length === 65, 'signature')
  linked(seq, prev, skip)
  for (let i = 1; i < refs.length; i++) must(refs[i - 1] < refs[i], 'links', 'references out of order')
  const of = hex(sha256(cbor.encode(content)))
  const author = await signer(typed(given, 'LogNode', { seq: BigInt(seq), prev: prev ?? ZERO, content: of }), node.signature)
  return { author, cid: cidOf(bytes), seq, prev: prev ?? ZERO, skip, content: of, time, refs: refs.map(cidOfDigest), body }
}

const shownNode = ({ skip, ...node }) => node

async function readLogProof(bytes, given) {
  const [version, chain, ring, author, nodes] = tuple(decode(bytes), 5)
  must(version === 1 || version === 2, 'form', 'version')
  const place = { chain: Number(uint(chain)), ring: address(ring) }
  address(author)
  const steps = list(nodes, 195).map(node => {
    const [block, opening] = version === 1 ? [node, new Uint8Array()] : tuple(node, 2)
    bytesOf(block)
    bytesOf(opening)
    must(opening.length === 0 || opening.length === 32, 'form', 'opening')
    return { block, opening }
  })
  must(version === 1 || steps.some(({ opening }) => opening.length > 0), 'form', 'nothing is sealed')
  must(place.chain === given.chain && place.ring === given.ring, 'elsewhere')
  let expected = null
  let before = null
  for (const { block: each, opening } of steps) {
    let node
    try {
      node = await readNode(opening.length > 0 ? openedBy(opening, each, given) : each, given)
    } catch (error) { refuse('node', error.message) }
    must(node.author === hex(author), 'author')
    if (before === null) expected = given.head
    else if (node.seq === skipTarget(before.seq)) expected = before.skip
    else if (node.seq === before.seq - 1) expected = before.prev
    else refuse('broken')
    must(hex(sha256(each)) === expected, 'broken')
    before = node
  }
  must(before !== null, 'missing')
  return { seq: before.seq, cid: cidOf(steps.at(-1).block), author: before.author }
}

/** A sealed node, opened by the key that XChaCha20 makes of the replica key and the first 16 bytes of the nonce. */
function openedBy(opening, block, given) {
  const [name, nonce, box] = tuple(decode(block), 3)
  digest(name)
  bytesOf(nonce, 24)
  const aad = cbor.encode(['rings/1/node', given.chain, hexToBytes(given.ring), name])
  const short = new Uint8Array([0, 0, 0, 0, ...nonce.slice(16)])
  bytesOf(box)
  return chacha20poly1305(opening, short, aad).decrypt(box)
}

async function readFork(bytes, given) {
  const [version, chain, ring, seq, ...signed] = tuple(decode(bytes), 6)
  must(uint(version) === 1, 'form')
  const place = { chain: Number(uint(chain)), ring: address(ring) }
  uint(seq)
  const nodes = signed.map(each => {
    const [prev, content, signature] = tuple(each, 3)
    bytesOf(signature, 65)
    must(signature[64] === 27 || signature[64] === 28, 'signature')
    return { prev: digest(prev), content: digest(content), signature }
  })
  must(place.chain === given.chain && place.ring === given.ring, 'elsewhere')
  must(nodes[0].prev !== nodes[1].prev || nodes[0].content !== nodes[1].content, 'same')
  const authors = []
  for (const { prev, content, signature } of nodes) {
    authors.push(await signer(typed(given, 'LogNode', { seq: BigInt(seq), prev, content }), signature))
  }
  must(authors[0] === authors[1], 'authors')
  return { author: authors[0], seq: Number(seq) }
}

// The ring log.

const leaf = bytes => keccak256(concat([new Uint8Array([0]), bytes]))
const parent = (a, b) => keccak256(concat(['0x01', ...(a < b ? [a, b] : [b, a])]))
const levelAbove = level => {
  const above = []
  for (let i = 0; i < level.length; i += 2) above.push(i + 1 < level.length ? parent(level[i], level[i + 1]) : level[i])
  return above
}
const root = leaves => {
  let level = leaves
  while (level.length > 1) level = levelAbove(level)
  return level[0] ?? ZERO
}
const pathTo = (leaves, index) => {
  const path = []
  for (let level = leaves; level.length > 1; level = levelAbove(level), index >>= 1) {
    if ((index ^ 1) < level.length) path.push(level[index ^ 1])
  }
  return path
}

function entryOf(value) {
  list(value, 4)
  const kind = value[0]
  if (kind === 2) {
    const [, slot, choice] = tuple(value, 3)
    return { kind: 'decision', slot: digest(slot), choice: digest(choice) }
  }
  must(kind === 0 || kind === 1, 'form', 'kind')
  const [, request, inputs, outcome] = tuple(value, 4)
  const both = { request: digest(request), inputs: digest(inputs) }
  if (kind === 1) return { kind: 'failure', ...both, failure: digest(outcome) }
  must(list(outcome, 300).length > 0, 'form', 'no output')
  return { kind: 'result', ...both, outputs: outcome.map(digest) }
}

function readHeader(bytes) {
  must(bytes.length <= 1024, 'size')
  const [version, entries, heads, members, epoch, number, prev, skip, entryPages, headPages] = tuple(decode(bytes), 10)
  must(version === 1, 'form', 'version')
  const header = {
    digest: hex(sha256(bytes)), number: Number(uint(number)), epoch: Number(uint(epoch)),
    entriesRoot: digest(entries), headsRoot: digest(heads), membersHash: digest(members),
    prev: linkOrNull(prev), skip: linkOrNull(skip),
    entryPages: list(entryPages, 18).map(link), headPages: list(headPages, 1).map(link)
  }
  linked(header.number, header.prev, header.skip)
  must((header.entriesRoot === ZERO) === (header.entryPages.length === 0), 'pages')
  must((header.headsRoot === ZERO) === (header.headPages.length === 0), 'pages')
  return header
}

/** Items into pages: an item that does not fit into 256 KiB any more, with five bytes for the list's head, begins the next. */
function pagesOf(items) {
  const pages = []
  let page = []
  let size = 5
  for (const item of items) {
    if (page.length > 0 && size + item.length > MAX_NODE) { pages.push(page); page = []; size = 5 }
    page.push(item)
    size += item.length
  }
  if (page.length > 0) pages.push(page)
  return pages.map(page => hex(sha256(cbor.encode(page.map(item => cbor.decode(item))))))
}

function readRingNode(bytes, given) {
  const header = readHeader(bytes)
  const blocks = new Map(given.pages.map(page => [hex(sha256(hexToBytes(page))), hexToBytes(page)]))
  const items = (pages, read) => pages.flatMap(page => {
    must(blocks.has(page), 'missing')
    return list(decode(blocks.get(page)), MAX_NODE).map(value => ({ bytes: cbor.encode(value), ...read(value) }))
  })
  const entries = items(header.entryPages, value => ({ shown: entryOf(value) }))
  const heads = items(header.headPages, value => {
    const [member, head] = tuple(value, 2)
    return { shown: [address(member), digest(head)] }
  })
  const subjects = entries.map(({ shown }) => shown.request ?? `slot ${shown.slot}`)
  must(new Set(subjects).size === subjects.length, 'order')
  must(new Set(heads.map(({ shown }) => shown[0])).size === heads.length, 'order')
  const leaves = of => of.map(({ bytes }) => leaf(bytes))
  for (const [of, rootOf, pages] of [[entries, header.entriesRoot, header.entryPages], [heads, header.headsRoot, header.headPages]]) {
    for (let i = 1; i < of.length; i++) must(Buffer.compare(of[i - 1].bytes, of[i].bytes) < 0, 'other', 'order')
    must(root(leaves(of)) === rootOf, 'other', 'root')
    must(isDeepStrictEqual(pagesOf(of.map(({ bytes }) => bytes)), pages), 'other', 'pages')
  }
  return { entries: entries.map(({ shown }) => shown), heads: heads.map(({ shown }) => shown), paths: entries.map((_, i) => pathTo(leaves(entries), i)) }
}

function readEntryProof(bytes, given) {
  const [version, chain, ring, entry, path, headers] = tuple(decode(bytes), 6)
  must(version === 1, 'form')
  uint(chain)
  address(ring)
  const shown = entryOf(entry)
  const sisters = list(path, 32).map(digest)
  for (const header of list(headers, 200)) bytesOf(header)
  const read = bytes => { try { return readHeader(bytes) } catch (error) { refuse('header', error.message) } }
  must(headers.length > 0, 'header')
  let expected = given.onChain
  let at = null
  for (const each of headers) {
    const header = read(each)
    if (at !== null) {
      if (header.number === skipTarget(at.number)) expected = at.skip
      else if (header.number === at.number - 1) expected = at.prev
      else refuse('broken')
    }
    must(header.digest === expected, at === null ? 'anchor' : 'broken')
    at = header
  }
  const reached = sisters.reduce(parent, leaf(cbor.encode(entry)))
  must(reached === at.entriesRoot, 'not-listed')
  return { number: at.number, anchor: read(headers[0]).number, entry: shown }
}

// Requests and messages.

function readRequest(bytes) {
  must(bytes.length <= 64 * 1024, 'size')
  const value = map(decode(bytes), ['ring', 'chain', 'nonce', 'until', 'inputs', 'profile', 'operation'])
  const inputs = list(value.inputs, 1024).map(input => {
    list(input, 3)
    if (input[0] === 0) return { data: digest(tuple(input, 2)[1]) }
    must(input[0] === 1, 'form', 'kind of input')
    const [, request, pin] = tuple(input, 3)
    must(uint(pin) < 300, 'form', 'pin')
    return { request: digest(request), pin }
  })
  const tokens = inputs.filter(input => 'request' in input).map(() => '0x' + '77'.repeat(32))
  return {
    digest: hex(sha256(bytes)), ring: address(value.ring), chain: Number(uint(value.chain)), profile: text(value.profile, 128),
    operation: digest(value.operation), inputs, nonce: Number(uint(value.nonce)), until: Number(uint(value.until)),
    resolvedHash: keccak256(concat(['0x', ...tokens]))
  }
}

const signature = value => {
  const bytes = bytesOf(value, 65)
  must(value[64] === 27 || value[64] === 28, 'form', 'v')
  return bytes
}

const PAYLOADS = {
  Vote (value) {
    map(value, ['fuel', 'gate', 'epoch', 'inputs', 'outputs', 'profile', 'signature'])
    const outputs = list(value.outputs, 300).map(output => {
      const [pin, cid] = tuple(output, 2)
      return [BigInt(bytesOf(pin, 12)), digest(cid)]
    })
    must(outputs.length > 0, 'form')
    for (let i = 1; i < outputs.length; i++) must(outputs[i - 1][0] < outputs[i][0], 'form', 'pins')
    const { r, s, v } = map(value.signature, ['r', 's', 'v'])
    must(uint(v) < 256, 'form')
    return {
      gate: address(value.gate), epoch: Number(uint(value.epoch)), inputs: digest(value.inputs), fuel: Number(uint(value.fuel)),
      profile: text(value.profile, 128), outputs: outputs.map(([pin, cid]) => [pin.toString(), cid]),
      signature: concat([digest(r), digest(s), hex(new Uint8Array([v]))])
    }
  },
  RequestVote (value) {
    map(value, ['fuel', 'inputs', 'outcome', 'profile', 'request'])
    const [kind, outcome] = tuple(value.outcome, 2)
    const entry = [kind, value.request, value.inputs, outcome]
    must(kind === 0 || kind === 1, 'form')
    entryOf(entry)
    return { request: digest(value.request), inputs: digest(value.inputs), fuel: Number(uint(value.fuel)), profile: text(value.profile, 128), entry: hex(cbor.encode(entry)) }
  },
  Proposal (value) {
    map(value, ['before', 'header'])
    bytesOf(value.header)
    must(value.header.length <= 1024, 'form')
    return { node: hex(sha256(value.header)), before: list(value.before, 256).map(digest) }
  },
  Endorsement (value) {
    map(value, ['node', 'signed', 'signature'])
    return { node: digest(value.node), signed: digest(value.signed), signature: signature(value.signature) }
  },
  Choice (value) {
    map(value, ['slot', 'choice'])
    return { slot: digest(value.slot), choice: digest(value.choice) }
  },
  Rotation (value) {
    map(value, ['read', 'epoch', 'wraps', 'replica'])
    return { epoch: Number(uint(value.epoch)), read: digest(value.read), replica: digest(value.replica), wraps: link(value.wraps) }
  }
}

// Private rings.

const keysOf = given => {
  const salt = separator(given)
  const derive = (secret, purpose) => expand(sha256, extract(sha256, secret, salt), purpose, 32)
  const read = hexToBytes(given.readKey)
  const replica = derive(read, 'rings/1/replica')
  return { read, replica, derive }
}
const keyedHash = (key, bytes) => extract(sha256, bytes, key)

function openSealed(bytes, name, cipherKey, nonceKey, aad) {
  const [named, nonce, box] = tuple(decode(bytes), 3)
  digest(named)
  bytesOf(nonce, 24)
  bytesOf(box)
  must(hex(named) === hex(name), 'key')
  let plain
  try { plain = xchacha20poly1305(cipherKey, nonce, aad).decrypt(box) } catch { refuse('open') }
  must(hex(keyedHash(nonceKey, concat([aad, plain])).slice(0, 24)) === hex(nonce), 'nonce')
  return plain
}

async function readSealed(bytes, given) {
  const { read, replica, derive } = keysOf(given)
  const ring = hexToBytes(given.ring)
  const name = derive(replica, 'rings/1/replica/name')
  const plain = openSealed(bytes, name, derive(replica, 'rings/1/replica/cipher'), derive(replica, 'rings/1/replica/nonce'),
    cbor.encode(['rings/1/node', given.chain, ring, name]))
  let node
  try { node = await readNode(plain, given) } catch (error) { refuse('node', error.message) }
  const readName = derive(read, 'rings/1/read/name')
  let body
  try {
    must(node.body.length === 1 && node.body[0].domain === 'rings' && node.body[0].type === 'Sealed', 'body')
    const aad = cbor.encode(['rings/1/body', given.chain, ring, hexToBytes(node.author), node.seq])
    const opened = openSealed(hexToBytes(node.body[0].payload), readName, derive(read, 'rings/1/read/cipher'), derive(read, 'rings/1/read/nonce'), aad)
    body = list(decode(opened), 1024).map(message)
  } catch (error) { refuse('body', error.message) }
  return {
    cid: cidOf(bytes), author: node.author, seq: node.seq, payloads: body.map(({ payload }) => payload), node: hex(plain),
    readName: hex(readName), replicaKey: hex(replica), replicaName: hex(name)
  }
}

function readWrap(bytes, given) {
  let plain
  try { plain = decrypt(hexToBytes(given.secret), bytes) } catch { refuse('open') }
  const [kind, chain, ring, epoch, key] = tuple(decode(new Uint8Array(plain)), 5)
  must(kind === 0 || kind === 1, 'form')
  must(Number(uint(chain)) === given.chain && address(ring) === given.ring, 'elsewhere')
  return { kind: kind === 0 ? 'read' : 'replica', epoch: Number(uint(epoch)), key: digest(key) }
}

// What members ask each other. A message is the name of its kind, or a map of one name to what belongs to it.

const some = (value, read) => value === null ? null : read(value)
const anyCid = value => { const cid = CID.asCID(value); must(cid !== null, 'form', 'not a CID'); return cid.toString() }
const REQUESTS = {
  Blocks: value => list(value, 64).map(anyCid),
  Nodes: value => { map(value, ['author', 'from']); return { author: address(value.author), from: Number(uint(value.from)) } },
  Key: value => { map(value, ['name']); return { name: digest(value.name) } },
  ClientHeads: value => { map(value, ['ring', 'author']); return { ring: address(value.ring), author: address(value.author) } },
  ClientNodes: value => {
    map(value, ['ring', 'author', 'from'])
    return { ring: address(value.ring), author: address(value.author), from: Number(uint(value.from)) }
  },
  Hold: value => {
    map(value, ['ring', 'avatar', 'head', 'nodes'])
    const nodes = list(value.nodes, 1024).map(node => bytesOf(node))
    return { ring: address(value.ring), avatar: address(value.avatar), head: digest(value.head), nodes }
  }
}
const ANSWERS = {
  Blocks: value => list(value, 64).map(block => some(block, bytesOf)),
  Heads: value => list(value, 1024).map(head => { tuple(head, 3); return [address(head[0]), Number(uint(head[1])), digest(head[2])] }),
  Nodes: value => list(value, 4096).map(node => bytesOf(node)),
  ClientHeads: value => list(value, 1024).map(head => {
    tuple(head, 4)
    return [address(head[0]), address(head[1]), Number(uint(head[2])), digest(head[3])]
  }),
  Held: value => bytesOf(value),
  Key: value => some(value, key => { const shown = bytesOf(key); must(key.length <= 256, 'size'); return shown })
}
function readSync(bytes, given) {
  const message = decode(bytes)
  if (given.type === 'request' && message === 'Heads') return message
  must(isMap(message) && Object.keys(message).length === 1, 'form', 'not one kind')
  const [kind] = Object.keys(message)
  const kinds = given.type === 'request' ? REQUESTS : ANSWERS
  must(Object.hasOwn(kinds, kind), 'form', 'an unknown kind')
  return { [kind]: kinds[kind](message[kind]) }
}

async function readDigest(given) {
  const hash = typed(given, given.type, given.message)
  const privateKey = '0x' + '46'.repeat(32)
  const signature = await sign({ hash, privateKey, to: 'hex' })
  return { digest: hash, signer: privateKeyToAddress(privateKey).toLowerCase(), signature }
}

const READERS = {
  nodes: async (bytes, given) => shownNode(await readNode(bytes, given)),
  'log-proofs': readLogProof,
  forks: readFork,
  skips: (_, __, expect) => ({
    targets: expect.targets.map((_, seq) => skipTarget(seq)),
    paths: expect.paths.map(({ from, to }) => ({ from, to, path: wayBack(from, to) }))
  }),
  entries: bytes => ({ ...entryOf(decode(bytes)), leaf: leaf(bytes) }),
  headers: readHeader,
  'ring-nodes': readRingNode,
  'entry-proofs': readEntryProof,
  digests: (_, given) => readDigest(given),
  messages: (bytes, given) => PAYLOADS[given.type](decode(bytes)),
  requests: readRequest,
  sealed: readSealed,
  'sealed-proofs': readLogProof,
  wraps: readWrap,
  sync: readSync
}

let agree = 0
const wrong = []
for (const [name, read] of Object.entries(READERS)) {
  for (const vector of JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')).vectors) {
    let found
    try {
      const value = await read(hexToBytes(vector.bytes), vector.given ?? {}, vector.expect)
      found = { expect: value }
    } catch (error) {
      if (!(error instanceof Bad)) throw new Error(`${name}, ${vector.name}: ${error.stack}`)
      found = { error: error.kind, detail: error.message }
    }
    const same = vector.error === undefined
      ? isDeepStrictEqual(JSON.parse(JSON.stringify(found.expect ?? null)), vector.expect)
      : found.error === vector.error
    if (same) agree++
    else wrong.push(`${name}, ${vector.name}: found ${JSON.stringify(found)}`)
  }
}
for (const line of wrong) console.error(line)
console.log(`${agree} vectors agree, ${wrong.length} do not`)
process.exit(wrong.length === 0 ? 0 : 1)
