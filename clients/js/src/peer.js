// Public keys from libp2p ids: a member that has announced itself can be wrapped a key for.

import { secp256k1 } from '@noble/curves/secp256k1'
import { base58btc } from 'multiformats/bases/base58'
import { bytesToHex } from 'viem'
import { publicKeyToAddress } from 'viem/accounts'
import { must, sameAddress } from './bytes.js'

/** An identity multihash of 37 bytes: a protobuf with key type 2 (secp256k1) and 33 bytes of key. */
const PREFIX = [0x00, 0x25, 0x08, 0x02, 0x12, 0x21]

/** The public key in a libp2p id (`16Uiu2HA…`), compressed, 0x-hex. It must be the key of the account `member`. */
export function publicKeyOf(peerId, member) {
  const bytes = base58btc.decode(`z${peerId}`)
  const fits = bytes.length === PREFIX.length + 33 && PREFIX.every((byte, at) => bytes[at] === byte)
  must(fits, 'peer', `${peerId} holds no secp256k1 key`)
  const point = secp256k1.Point.fromHex(bytesToHex(bytes.slice(PREFIX.length)).slice(2))
  const address = publicKeyToAddress(bytesToHex(point.toBytes(false)))
  must(sameAddress(address, member), 'peer', `${peerId} is not the key of ${member}`)
  return bytesToHex(point.toBytes(true))
}
