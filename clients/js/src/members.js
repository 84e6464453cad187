// How the members of a client ring change, agreed on in its logs: docs/client-rings.md, "Several devices". Whoever wants a change signs
// it, as the ring's contract takes it, and says so in its log; others say the same. With two thirds anyone brings it to the chain.

import { concat, encodeFunctionData, bytesToHex, hexToBytes, keccak256, pad, parseAbi } from 'viem'
import { InvalidError, bytesOf, decode, encode, hexOf, list, lower, map, uint } from './bytes.js'
import { signed, signer, typed } from './typed.js'

const MAX_CHANGED = 64
const MAX_OPEN = 64
const ABI = parseAbi(['function changeMembers(address[] enter, address[] exit, uint256 deadline, bytes32[] r, bytes32[] s, uint8[] v)'])

const membersHash = members => keccak256(concat([...members].map(lower).sort().map(member => pad(member))))

/** What the members of now sign: the name of a change `{epoch, enter, exit, deadline}`. */
export const changeName = (place, members, { epoch, enter, exit, deadline }) => typed(place, 'Members', {
  membersHash: membersHash(members), epoch: BigInt(epoch), enter, exit, deadline: BigInt(deadline)
})

/** The message with which an avatar agrees to a change. */
export async function changeMessage(place, members, change, privateKey) {
  const signature = hexToBytes(await signed(privateKey, changeName(place, members, change)))
  const { epoch, enter, exit, deadline } = change
  const accounts = all => all.map(account => hexToBytes(account))
  const payload = encode({ exit: accounts(exit), enter: accounts(enter), epoch, deadline, signature })
  return { domain: 'rings', type: 'Members', status: 'signed', payload }
}

/** Reads such a message: `{epoch, enter, exit, deadline, signature}`; nothing if it is another one, or malformed. */
export function readChange({ domain, type, status, payload }) {
  if (domain !== 'rings' || type !== 'Members' || status !== 'signed') return undefined
  try {
    const fields = map(decode(payload), ['exit', 'enter', 'epoch', 'deadline', 'signature'])
    const accounts = value => list(value, MAX_CHANGED).map(account => hexOf(account, 20))
    return {
      exit: accounts(fields.exit), enter: accounts(fields.enter), epoch: uint(fields.epoch), deadline: uint(fields.deadline),
      signature: bytesOf(fields.signature, 65)
    }
  } catch (error) {
    if (error instanceof InvalidError) return undefined
    throw error
  }
}

/** The changes that members have signed in this epoch. */
export class Changes {
  /** By name: `{change, by, signed: Map}`. */
  open = new Map()

  constructor(place, members, epoch) { Object.assign(this, { place, epoch, members: members.map(lower) }) }

  /** Takes what an avatar says. What is not signed by a member, or is for another epoch, does not count. */
  async hear(author, message) {
    const read = readChange(message)
    if (read === undefined || read.epoch !== this.epoch || !this.members.includes(lower(author))) return
    const { signature, ...change } = read
    const name = changeName(this.place, this.members, change)
    try {
      if (await signer(name, signature) !== lower(author)) return
    } catch (error) {
      if (error instanceof InvalidError) return
      throw error
    }
    if (!this.open.has(name) && this.open.size < MAX_OPEN) this.open.set(name, { change, by: lower(author), signed: new Map() })
    this.open.get(name)?.signed.set(lower(author), bytesToHex(signature))
  }

  /** How many signatures are needed. */
  get needed() { return Math.ceil(2 * this.members.length / 3) }

  /** The call of a change that enough members have signed; nothing while more are needed. */
  ready(name) {
    const open = this.open.get(name)
    if (open === undefined || open.signed.size < this.needed) return undefined
    const signatures = [...open.signed].sort(([one], [other]) => one < other ? -1 : 1).map(([, signature]) => signature)
    const part = (from, to) => signatures.map(signature => '0x' + signature.slice(from, to))
    const { enter, exit, deadline } = open.change
    const args = [enter, exit, BigInt(deadline), part(2, 66), part(66, 130), part(130).map(Number)]
    return { to: this.place.ring, data: encodeFunctionData({ abi: ABI, functionName: 'changeMembers', args }) }
  }
}
