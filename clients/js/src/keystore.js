// An avatar's key in a file or a browser, encrypted with a password: Web3 Secret Storage, version 3, as `rings avatar` and other tools
// read and write it.

import { ctr } from '@noble/ciphers/aes'
import { scryptAsync } from '@noble/hashes/scrypt'
import { pbkdf2Async } from '@noble/hashes/pbkdf2'
import { sha256 } from '@noble/hashes/sha2'
import { bytesToHex, concat, hexToBytes, keccak256 } from 'viem'
import { generatePrivateKey, privateKeyToAddress } from 'viem/accounts'
import { must, sameAddress } from './bytes.js'

/** scrypt: memory of 128 MiB, about half a second. */
const STANDARD = { n: 131_072, r: 8, p: 1 }
const DERIVED = 32
/** Most bytes of memory, and most rounds, that a keystore may ask for. */
const MAX_MEMORY = 2 ** 30
const MAX_LANES = 16
const MAX_ROUNDS = 2 ** 24

const bare = bytes => bytesToHex(bytes).slice(2)
const bytes = hex => hexToBytes(hex.startsWith('0x') ? hex : `0x${hex}`)
const random = length => crypto.getRandomValues(new Uint8Array(length))
const macOf = (derived, text) => keccak256(concat([derived.slice(16, 32), text])).slice(2)

/** A new private key, 0x-hex. */
export const newKey = generatePrivateKey

/** The keystore of a private key, as an object for JSON. `cost` is for tests; the default is right for people. */
export async function encryptKey(privateKey, password, cost = STANDARD) {
  const [salt, iv] = [random(32), random(16)]
  const derived = await scryptAsync(normal(password), salt, { N: cost.n, r: cost.r, p: cost.p, dkLen: DERIVED })
  const text = ctr(derived.slice(0, 16), iv).encrypt(hexToBytes(privateKey))
  return {
    address: privateKeyToAddress(privateKey).slice(2).toLowerCase(),
    crypto: {
      cipher: 'aes-128-ctr', cipherparams: { iv: bare(iv) }, ciphertext: bare(text), kdf: 'scrypt',
      kdfparams: { dklen: DERIVED, ...cost, salt: bare(salt) }, mac: macOf(derived, text)
    },
    id: uuid(), version: 3
  }
}

const normal = password => new TextEncoder().encode(password)

function uuid() {
  const id = random(16)
  id[6] = id[6] & 0x0f | 0x40
  id[8] = id[8] & 0x3f | 0x80
  return bare(id).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

/** The private key in a keystore. A wrong password is refused. */
export async function decryptKey(keystore, password) {
  const { crypto: sealed, version } = keystore
  must(version === 3 && sealed?.cipher === 'aes-128-ctr', 'keystore', 'expected version 3 and aes-128-ctr')
  const text = bytes(sealed.ciphertext)
  must(text.length === 32, 'keystore', 'expected 32 encrypted bytes')
  const derived = await derive(sealed.kdf, sealed.kdfparams, normal(password))
  must(macOf(derived, text) === sealed.mac.replace(/^0x/, '').toLowerCase(), 'password', 'it does not open this keystore')
  const key = bytesToHex(ctr(derived.slice(0, 16), bytes(sealed.cipherparams.iv)).decrypt(text))
  const named = keystore.address
  must(!named || sameAddress(bytesToHex(bytes(named)), privateKeyToAddress(key)), 'keystore', 'the address is not that of the key')
  return key
}

function derive(kind, params, password) {
  must(params.dklen === DERIVED, 'keystore', `expected a derived key of ${DERIVED} bytes`)
  if (kind === 'pbkdf2') {
    must(params.prf === 'hmac-sha256' && params.c > 0 && params.c <= MAX_ROUNDS, 'keystore', 'its key derivation is too heavy')
    return pbkdf2Async(sha256, password, bytes(params.salt), { c: params.c, dkLen: DERIVED })
  }
  const { n, r, p } = params
  must(kind === 'scrypt' && n * r * 128 <= MAX_MEMORY && p <= MAX_LANES, 'keystore', 'its key derivation is too heavy')
  return scryptAsync(password, bytes(params.salt), { N: n, r, p, dkLen: DERIVED, maxmem: MAX_MEMORY + 2 ** 20 })
}
