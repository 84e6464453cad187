// What the chain says of a ring. Everything that a replica answers is compared with this.

import { decodeFunctionResult, encodeFunctionData, parseAbi } from 'viem'
import { ZERO, lower } from './bytes.js'
import { RpcError, batch } from './rpc.js'

const ABI = parseAbi([
  'function getMembers() view returns (address[])',
  'function isMember(address account) view returns (bool)',
  'function isFrozen(address account) view returns (bool)',
  'function isClient(address ring) view returns (bool)',
  'function logNodeHeads(address member) view returns (bytes32)',
  'function nonceOf(address avatar) view returns (uint256)',
  'function accountOf(address avatar) view returns (address)',
  'function epoch() view returns (uint256)'
])

/** An endpoint of a chain. */
export class Chain {
  /** @param url JSON-RPC endpoint; @param options `timeout` in milliseconds */
  constructor(url, options = {}) {
    this.url = url
    this.options = options
  }

  /** Reads several functions of contracts at the newest block: `[[address, name, …arguments], …]`. */
  async read(calls) {
    const requests = calls.map(([to, functionName, ...args]) => {
      const data = encodeFunctionData({ abi: ABI, functionName, args })
      return ['eth_call', [{ to, data }, 'latest']]
    })
    const answers = await batch(this.url, requests, this.options)
    return answers.map((answer, at) => {
      if (answer instanceof RpcError) throw answer
      return decodeFunctionResult({ abi: ABI, functionName: calls[at][1], data: answer })
    })
  }

  async chainId() {
    const [id] = await batch(this.url, [['eth_chainId', []]], this.options)
    if (id instanceof RpcError) throw id
    return Number(id)
  }

  /** Head, nonce and standing of an avatar. */
  async avatar(ring, account) {
    const asked = ['logNodeHeads', 'nonceOf', 'isMember', 'isFrozen'].map(name => [ring, name, account])
    const [head, nonce, isMember, isFrozen] = await this.read(asked)
    return { head, nonce, isMember, isFrozen }
  }

  async members(ring) { return (await this.read([[ring, 'getMembers']]))[0].map(lower) }
  async isMember(ring, account) { return (await this.read([[ring, 'isMember', account]]))[0] }
  /** Whether `keeper` keeps the logs of `ring`. */
  async keeps(keeper, ring) { return (await this.read([[keeper, 'isClient', ring]]))[0] }
  /** The account that acts for an avatar. */
  async accountOf(ring, avatar) { return (await this.read([[ring, 'accountOf', avatar]]))[0] }

  /** Who may have keys of a private ring: its members, those of the ring that keeps it, the ring's epoch, and the sum of both. */
  async membership(ring, keeper) {
    const [members, keepers, one, other] = await this.read([ring, keeper].map(each => [each, 'getMembers'])
      .concat([ring, keeper].map(each => [each, 'epoch'])))
    return { members: members.map(lower), keepers: keepers.map(lower), ringEpoch: Number(one), epoch: Number(one + other) }
  }

  /** The members of a ring, each with the head of its log (zero: none yet). */
  async heads(ring) {
    const members = await this.members(ring)
    const heads = await this.read(members.map(member => [ring, 'logNodeHeads', member]))
    return new Map(members.map((member, at) => [member, heads[at] ?? ZERO]))
  }
}
