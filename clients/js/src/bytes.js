// Bytes as the other files need them: strict canonical DAG-CBOR, CIDs, and the types that stand in blocks.

import * as dagCbor from '@ipld/dag-cbor'
import { sha256 } from '@noble/hashes/sha2'
import { CID } from 'multiformats/cid'
import { create as createDigest } from 'multiformats/hashes/digest'
import { bytesToHex, hexToBytes } from 'viem'

export const ZERO = '0x' + '00'.repeat(32)
export const NOBODY = '0x' + '00'.repeat(20)
/** Most bytes of a log node, sealed or not. */
export const MAX_NODE_BYTES = 256 * 1024

const DAG_CBOR = 0x71
const SHA2_256 = 0x12

/** Something that a replica, a file or a person gave is not what it should be. `kind` is for programs. */
export class InvalidError extends Error {
  constructor(kind, detail) {
    super(detail ? `${kind}: ${detail}` : kind)
    this.name = 'InvalidError'
    this.kind = kind
  }
}

export const refuse = (kind, detail) => { throw new InvalidError(kind, detail) }
export const must = (condition, kind, detail) => { if (!condition) refuse(kind, detail) }

export const encode = dagCbor.encode

/** What canonical DAG-CBOR says; any other encoding of the same is refused. */
export function decode(bytes) {
  let value
  try {
    value = dagCbor.decode(bytes)
  } catch (error) {
    refuse('form', error.message)
  }
  must(bytesToHex(dagCbor.encode(value)) === bytesToHex(bytes), 'form', 'the encoding is not canonical')
  return value
}

export const digestOf = bytes => bytesToHex(sha256(bytes))
export const link = digest => CID.createV1(DAG_CBOR, createDigest(SHA2_256, hexToBytes(digest)))
/** The CID of a log node's digest, as text. */
export const cidOf = digest => link(digest).toString()
/** The digest that the CID of a log node holds. */
export const digestOfCid = text => linked(CID.parse(text))
/** The same address in one spelling. */
export const lower = address => address.toLowerCase()
export const sameAddress = (one, other) => lower(one) === lower(other)

// Readers: each gives back what it was given in the form used here, or refuses it.

export function bytesOf(value, length) {
  must(value instanceof Uint8Array && (length === undefined || value.length === length), 'form', `not ${length ?? ''} bytes`)
  return value
}

export const hexOf = (value, length) => bytesToHex(bytesOf(value, length))

export function uint(value) {
  must(Number.isSafeInteger(value) && value >= 0, 'form', 'not an unsigned integer')
  return value
}

export function list(value, most) {
  must(Array.isArray(value) && value.length <= most, 'form', 'not a list, or too long')
  return value
}

export function tuple(value, length) {
  must(Array.isArray(value) && value.length === length, 'form', `not a list of ${length}`)
  return value
}

export function text(value, mostBytes = MAX_NODE_BYTES) {
  must(typeof value === 'string' && new TextEncoder().encode(value).length <= mostBytes, 'form', 'not a text, or too long')
  return value
}

const isMap = value => value !== null && typeof value === 'object' && !Array.isArray(value) &&
  !(value instanceof Uint8Array) && CID.asCID(value) === null

export function map(value, required, optional = []) {
  must(isMap(value), 'form', 'not a map')
  for (const key of required) must(Object.hasOwn(value, key), 'form', `no ${key}`)
  for (const key of Object.keys(value)) must(required.includes(key) || optional.includes(key), 'form', `unknown key ${key}`)
  return value
}

/** The digest in a link to a log node. */
export function linked(value) {
  const cid = CID.asCID(value)
  const fits = cid !== null && cid.version === 1 && cid.code === DAG_CBOR && cid.multihash.code === SHA2_256 &&
    cid.multihash.digest.length === 32
  must(fits, 'form', 'not a link to DAG-CBOR with sha2-256')
  return bytesToHex(cid.multihash.digest)
}
