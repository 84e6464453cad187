// Private rings: bodies sealed with the read key, signed nodes sealed with the replica key that is derived from it, and
// keys wrapped to somebody's public key. docs/log-format.md, "Private rings".

import { xchacha20poly1305 } from '@noble/ciphers/chacha'
import { expand, extract } from '@noble/hashes/hkdf'
import { sha256 } from '@noble/hashes/sha2'
import { decrypt, encrypt } from 'eciesjs'
import { bytesToHex, concat, hexToBytes } from 'viem'
import {
  InvalidError, MAX_NODE_BYTES, bytesOf, decode, encode, hexOf, lower, must, refuse, sameAddress, tuple, uint
} from './bytes.js'
import { readMessages } from './node.js'
import { separator } from './typed.js'

const KEY_BYTES = 32
const NONCE_BYTES = 24
const MAX_WRAP_BYTES = 256
const KINDS = ['read', 'replica']

const keyedHash = (key, bytes) => extract(sha256, bytes, key)

function sealWith({ name, cipher, nonce }, aad, plain) {
  const iv = keyedHash(nonce, concat([aad, plain])).slice(0, NONCE_BYTES)
  return encode([name, iv, xchacha20poly1305(cipher, iv, aad).encrypt(plain)])
}

/** `[name, nonce, box]`, of which anybody can read the name. */
function readSealed(bytes) {
  const [name, nonce, box] = tuple(decode(bytes), 3)
  return { name: hexOf(name, KEY_BYTES), nonce: bytesOf(nonce, NONCE_BYTES), box: bytesOf(box) }
}

function openWith({ name, cipher, nonce }, aad, bytes) {
  const sealed = readSealed(bytes)
  must(sealed.name === bytesToHex(name), 'key', `sealed with key ${sealed.name}`)
  let plain
  try {
    plain = xchacha20poly1305(cipher, sealed.nonce, aad).decrypt(sealed.box)
  } catch {
    refuse('open', 'the key does not open it: it was changed, or comes from another place')
  }
  const expected = keyedHash(nonce, concat([aad, plain])).slice(0, NONCE_BYTES)
  must(bytesToHex(expected) === bytesToHex(sealed.nonce), 'nonce', 'not the one encoding that it has under its key')
  return plain
}

function derived(place, secret) {
  must(secret.length === KEY_BYTES, 'key', `a key has ${KEY_BYTES} bytes`)
  const extracted = extract(sha256, secret, separator(place))
  return info => expand(sha256, extracted, info, KEY_BYTES)
}

/** Opens signed nodes: order, links, signatures; no body. */
export class ReplicaKey {
  #keys
  /** @param place chain and ring; @param secret 32 bytes */
  constructor(place, secret) {
    const derive = derived(place, secret)
    this.place = place
    this.secret = secret
    this.#keys = {
      name: derive('rings/1/replica/name'), cipher: derive('rings/1/replica/cipher'), nonce: derive('rings/1/replica/nonce')
    }
  }

  get name() { return bytesToHex(this.#keys.name) }

  #aad() { return encode(['rings/1/node', this.place.chainId, hexToBytes(this.place.ring), this.#keys.name]) }

  seal(node) {
    const sealed = sealWith(this.#keys, this.#aad(), node)
    must(sealed.length <= MAX_NODE_BYTES, 'size', `a node has at most ${MAX_NODE_BYTES} bytes`)
    return sealed
  }

  open(bytes) { return openWith(this.#keys, this.#aad(), bytes) }
}

/** Opens everything that members say to each other. */
export class ReadKey {
  #keys
  /** @param place chain and ring; @param secret 32 bytes, new ones when they are not given */
  constructor(place, secret = crypto.getRandomValues(new Uint8Array(KEY_BYTES))) {
    const derive = derived(place, secret)
    this.place = place
    this.secret = secret
    this.replica = new ReplicaKey(place, derive('rings/1/replica'))
    this.#keys = { name: derive('rings/1/read/name'), cipher: derive('rings/1/read/cipher'), nonce: derive('rings/1/read/nonce') }
  }

  get name() { return bytesToHex(this.#keys.name) }

  #aad(author, seq) {
    return encode(['rings/1/body', this.place.chainId, hexToBytes(this.place.ring), hexToBytes(author), seq])
  }

  /** The one message that the messages of a node become. */
  sealBody(author, seq, messages) {
    const payload = sealWith(this.#keys, this.#aad(lower(author), seq), encode(messages))
    return { domain: 'rings', type: 'Sealed', status: 'sealed', payload }
  }

  openBody(author, seq, body) {
    must(sealedBody(body) !== undefined, 'form', 'the body is not sealed')
    return readMessages(decode(openWith(this.#keys, this.#aad(lower(author), seq), body[0].payload)))
  }
}

function sealedName(bytes) {
  try {
    return readSealed(bytes).name
  } catch (error) {
    if (error instanceof InvalidError) return undefined
    throw error
  }
}

/** The name of the replica key that seals a block; nothing when it is not sealed. */
export const nodeKey = bytes => sealedName(bytes)

/** The name of the read key that seals a body; nothing when it is not sealed. */
export function sealedBody(body) {
  const [message] = body
  if (body.length !== 1 || message.domain !== 'rings' || message.type !== 'Sealed') return undefined
  return sealedName(message.payload)
}

/** Wraps a key to a public key (0x-hex, compressed or not), by ECIES: what `replica_key` of ReplicateRing is. */
export function wrapKey(key, publicKey, epoch = 0) {
  const kind = KINDS.indexOf(key instanceof ReadKey ? 'read' : 'replica')
  const plain = encode([kind, key.place.chainId, hexToBytes(key.place.ring), epoch, key.secret])
  return bytesToHex(new Uint8Array(encrypt(hexToBytes(publicKey), plain)))
}

/** The key that was wrapped to `privateKey`, and its epoch. */
export function unwrapKey(place, privateKey, wrapped) {
  const bytes = hexToBytes(wrapped)
  must(bytes.length <= MAX_WRAP_BYTES, 'open', 'too long for a wrapped key')
  let plain
  try {
    plain = decrypt(hexToBytes(privateKey), bytes)
  } catch {
    refuse('open', 'it was not wrapped to this key, or was changed')
  }
  const [kind, chain, ring, epoch, secret] = tuple(decode(new Uint8Array(plain)), 5)
  must(uint(chain) === place.chainId && sameAddress(hexOf(ring, 20), place.ring), 'elsewhere', 'the key is for another ring')
  bytesOf(secret, KEY_BYTES)
  must(KINDS[kind] !== undefined, 'form', 'a key of an unknown kind')
  const key = KINDS[kind] === 'read' ? new ReadKey(place, secret) : new ReplicaKey(place, secret)
  return { epoch: uint(epoch), key }
}
