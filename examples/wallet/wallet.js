// A wallet for a person without ether: tokens belong to the account of an avatar in a client ring; what the avatar signs, members of the
// ring that keeps it bring to the chain, and pay for.

import { decodeFunctionResult, encodeFunctionData, erc20Abi, formatUnits, getAddress, parseUnits } from 'viem'
import { Avatar, Chain, Keyring, Member, ReadKey, call, readRecoveryLine } from '../../clients/js/src/index.js'

export class Wallet {
  constructor(avatar, account) {
    Object.assign(this, { avatar, account })
  }

  /** @param text the ring's recovery line; @param blocks, store where the avatar's log is on this device, as for `Avatar.open` */
  static async open({ privateKey, text, blocks, store }) {
    const { chainId, ring, rpc, keeper, replicas, key } = readRecoveryLine(text)
    const place = { chainId, ring }
    const avatar = await Avatar.open({
      place, keeper, privateKey, blocks, store, chain: new Chain(rpc), replicas: replicas.map(url => new Member(url)),
      keys: key ? new Keyring(new ReadKey(place, key)) : undefined
    })
    const { isMember } = await avatar.ring.chain.avatar(ring, avatar.address)
    if (!isMember) throw new Error(`${avatar.address} is not a member of this ring: ask its members to bring it in`)
    return new Wallet(avatar, await avatar.ring.chain.accountOf(ring, avatar.address))
  }

  async #read(token, functionName, args = []) {
    const data = encodeFunctionData({ abi: erc20Abi, functionName, args })
    const answer = await call(this.avatar.ring.chain.url, 'eth_call', [{ to: token, data }, 'latest'])
    if (answer === '0x') throw new Error(`there is no token at ${token}`)
    return decodeFunctionResult({ abi: erc20Abi, functionName, data: answer })
  }

  /** What the account has of a token: `{amount, symbol, decimals, text}`. */
  async balance(token) {
    const [amount, symbol, decimals] = await Promise.all([
      this.#read(token, 'balanceOf', [this.account]), this.#read(token, 'symbol'), this.#read(token, 'decimals')
    ])
    return { amount, symbol, decimals, text: `${formatUnits(amount, decimals)} ${symbol}` }
  }

  /** Sends so much of a token, as a person writes it. Gives the transaction, once it is final. */
  async send(token, to, text) {
    const { amount: has, decimals, symbol } = await this.balance(token)
    const amount = parseUnits(text, decimals)
    if (amount <= 0n) throw new Error('write how much to send')
    if (amount > has) throw new Error(`this account has ${formatUnits(has, decimals)} ${symbol}`)
    const data = encodeFunctionData({ abi: erc20Abi, functionName: 'transfer', args: [getAddress(to), amount] })
    await this.avatar.ring.refresh()
    // An action moves the head of the avatar's log: a node says what it is for, to the ring's members and nobody else.
    const note = new TextEncoder().encode(JSON.stringify({ token, to, amount: String(amount) }))
    await this.avatar.say([{ domain: 'wallet', type: 'transfer', status: '', payload: note }])
    const { replica, msg_hash } = await this.avatar.flush({ to: token, data })
    const { status, tx, reason } = await this.avatar.ended(replica, msg_hash)
    if (status !== 'relayed') throw new Error(`it was not sent: ${reason}`)
    return tx
  }
}
