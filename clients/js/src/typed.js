// What is signed: EIP-712 structs in the domain of a ring, and the one form of a signature.

import { bytesToHex, concat, domainSeparator, hashTypedData, hexToBytes, recoverAddress } from 'viem'
import { sign } from 'viem/accounts'
import { lower, must, refuse } from './bytes.js'

const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n

export const ACTION = [
  { name: 'avatar', type: 'address' }, { name: 'prevHead', type: 'bytes32' }, { name: 'newHead', type: 'bytes32' },
  { name: 'nonce', type: 'uint256' }, { name: 'deadline', type: 'uint256' }, { name: 'to', type: 'address' },
  { name: 'value', type: 'uint256' }, { name: 'gas', type: 'uint256' }, { name: 'data', type: 'bytes' }
]
const TYPES = {
  CompoundAction: ACTION,
  LogNode: [{ name: 'seq', type: 'uint64' }, { name: 'prev', type: 'bytes32' }, { name: 'content', type: 'bytes32' }],
  Members: [
    { name: 'membersHash', type: 'bytes32' }, { name: 'epoch', type: 'uint256' }, { name: 'enter', type: 'address[]' },
    { name: 'exit', type: 'address[]' }, { name: 'deadline', type: 'uint256' }
  ],
  Held: [{ name: 'ring', type: 'address' }, { name: 'avatar', type: 'address' }, { name: 'head', type: 'bytes32' }]
}
const EIP712_DOMAIN = [
  { name: 'name', type: 'string' }, { name: 'version', type: 'string' },
  { name: 'chainId', type: 'uint256' }, { name: 'verifyingContract', type: 'address' }
]

const domainOf = ({ chainId, ring }) => ({ name: 'Ring', version: '1', chainId, verifyingContract: ring })

/** The digest of a struct in the domain of a chain and a ring. */
export const typed = (place, primaryType, message) =>
  hashTypedData({ domain: domainOf(place), types: TYPES, primaryType, message })

/** The salt of all keys that are derived for a ring. */
export const separator = place =>
  hexToBytes(domainSeparator({ domain: domainOf(place), types: { EIP712Domain: EIP712_DOMAIN } }))

/** r ‖ s ‖ v, 65 bytes. */
export async function signed(privateKey, hash) {
  const { r, s, yParity } = await sign({ hash, privateKey })
  return concat([r, s, yParity === 0 ? '0x1b' : '0x1c'])
}

/** Who signed; a signature in any form but the one is refused. */
export async function signer(hash, signature) {
  must(signature instanceof Uint8Array && signature.length === 65, 'signature', 'not 65 bytes')
  const number = bytes => BigInt(bytesToHex(bytes))
  const [r, s, v] = [number(signature.slice(0, 32)), number(signature.slice(32, 64)), signature[64]]
  must(v === 27 || v === 28, 'signature', 'v is neither 27 nor 28')
  must(r > 0n && r < ORDER && s > 0n && s <= ORDER / 2n, 'signature', 'r or s is out of range')
  try {
    return lower(await recoverAddress({ hash, signature: bytesToHex(signature) }))
  } catch {
    return refuse('signature', 'no key has it')
  }
}
