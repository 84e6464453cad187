// The gas of one call from a person's account, by three ways in the same run on the same chain: a flush of a Rings client ring, a Safe
// with one owner, and ERC-4337's entry point 0.8 with its simple account. Each way makes the same call of the same contract, once with
// a fresh account and then again and again. Somebody else pays for the transaction.
//
// node compare.mjs ROOT RPC     ROOT: of this project, whose contracts are in abi/json; RPC: an anvil of one's own

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import {
  concat, createPublicClient, createWalletClient, encodeAbiParameters, encodeDeployData, encodeFunctionData, getContractAddress, http,
  keccak256, pad, parseAbi, parseEther, toHex, zeroAddress, zeroHash
} from 'viem'
import { foundry } from 'viem/chains'
import { mnemonicToAccount, privateKeyToAccount } from 'viem/accounts'

const [root = '../..', rpc = 'http://127.0.0.1:8545'] = process.argv.slice(2)
const load = createRequire(import.meta.url)
const own = name => JSON.parse(readFileSync(join(root, 'abi/json', `${name}.json`)))
const safe = path => load(`@safe-global/safe-smart-account/build/artifacts/contracts/${path}.json`)
const erc4337 = name => load(`@account-abstraction/contracts/artifacts/${name}.json`)

/** How often each way makes the call; the first is by a fresh account. */
const CALLS = 4
/** A contract that writes its first word of data into its first slot: `CALLDATALOAD(0) → SSTORE(0)`, behind the code that makes it. */
const TARGET = '0x6005600a5f3960055ff35f355f5500'
const TARGET_CODE = '0x5f355f5500'

const payer = mnemonicToAccount('test test test test test test test test test test test junk')
const owner = privateKeyToAccount(keccak256(toHex('owner')))
const transport = http(rpc)
const chain = createPublicClient({ chain: foundry, transport, pollingInterval: 20 })
const wallet = createWalletClient({ chain: foundry, transport, account: payer })

async function sent(transaction) {
  const hash = await wallet.sendTransaction(transaction)
  const receipt = await chain.waitForTransactionReceipt({ hash })
  assert.equal(receipt.status, 'success')
  return receipt
}

async function deployed({ abi, bytecode }, args = []) {
  const data = abi ? encodeDeployData({ abi, bytecode, args }) : bytecode
  return (await sent({ data })).contractAddress
}

const call = (to, { abi }, functionName, args) => sent({ to, data: encodeFunctionData({ abi, functionName, args }) })
const read = (address, { abi }, functionName, args = []) => chain.readContract({ address, abi, functionName, args })

/** The call that all make: another word each time, so that each writes a slot that is not zero, except the first. */
const word = n => pad(toHex(n + 1), { size: 32 })

async function rings(target) {
  const [Ring, Engine] = [own('Ring'), own('Engine')]
  const engineAt = getContractAddress({ from: payer.address, nonce: BigInt(await chain.getTransactionCount({ address: payer.address })) + 1n })
  const ring = await deployed(Ring, Ring.abi.find(({ type }) => type === 'constructor')?.inputs?.length ? [engineAt] : [])
  const engine = await deployed(Engine, [ring])
  const args = [[owner.address], zeroAddress, 0n, 1]
  const { result: client } = await chain.simulateContract({ address: engine, abi: Engine.abi, functionName: 'createRing', args, account: payer })
  await call(engine, Engine, 'createRing', args)
  const ACTION = [
    ['avatar', 'address'], ['prevHead', 'bytes32'], ['newHead', 'bytes32'], ['nonce', 'uint256'], ['deadline', 'uint256'], ['to', 'address'],
    ['value', 'uint256'], ['gas', 'uint256'], ['data', 'bytes']
  ].map(([name, type]) => ({ name, type }))
  const domain = { name: 'Ring', version: '1', chainId: foundry.id, verifyingContract: client }
  let head = zeroHash
  return async n => {
    const nonce = await read(client, Ring, 'nonceOf', [owner.address])
    const newHead = keccak256(word(n))
    const action = {
      avatar: owner.address, prevHead: head, newHead, nonce, deadline: 2n ** 256n - 1n, to: target, value: 0n, gas: 0n, data: word(n)
    }
    const signature = await owner.signTypedData({ domain, types: { CompoundAction: ACTION }, primaryType: 'CompoundAction', message: action })
    const [r, s, v] = [signature.slice(0, 66), '0x' + signature.slice(66, 130), Number('0x' + signature.slice(130))]
    const { gasUsed } = await call(client, Ring, 'flush', [action, r, s, v])
    head = newHead
    assert.equal(await read(client, Ring, 'logNodeHeads', [owner.address]), head)
    return gasUsed
  }
}

async function ofSafe(target) {
  const [Safe, Factory] = [safe('Safe.sol/Safe'), safe('proxies/SafeProxyFactory.sol/SafeProxyFactory')]
  const [singleton, factory] = [await deployed(Safe), await deployed(Factory)]
  const setup = encodeFunctionData({
    abi: Safe.abi, functionName: 'setup', args: [[owner.address], 1n, zeroAddress, '0x', zeroAddress, zeroAddress, 0n, zeroAddress]
  })
  const args = [singleton, setup, 0n]
  const { result: proxy } = await chain.simulateContract({
    address: factory, abi: Factory.abi, functionName: 'createProxyWithNonce', args, account: payer
  })
  await call(factory, Factory, 'createProxyWithNonce', args)
  return async n => {
    const nonce = await read(proxy, Safe, 'nonce')
    const what = [target, 0n, word(n), 0, 0n, 0n, 0n, zeroAddress, zeroAddress]
    const hash = await read(proxy, Safe, 'getTransactionHash', [...what, nonce])
    const signature = await owner.sign({ hash })
    return (await call(proxy, Safe, 'execTransaction', [...what, signature])).gasUsed
  }
}

async function ofEntryPoint(target) {
  const [EntryPoint, Factory] = [erc4337('EntryPoint'), erc4337('SimpleAccountFactory')]
  const entryPoint = await deployed(EntryPoint)
  const factory = await deployed(Factory, [entryPoint])
  const { abi: ACCOUNT } = { abi: parseAbi(['function execute(address dest, uint256 value, bytes func)']) }
  const account = await read(factory, Factory, 'getAddress', [owner.address, 0n])
  // Only the entry point's own creator may make accounts, as it does with the first operation.
  const creator = await read(factory, Factory, 'senderCreator')
  await chain.request({ method: 'anvil_impersonateAccount', params: [creator] })
  await chain.request({ method: 'anvil_setBalance', params: [creator, toHex(parseEther('1'))] })
  const data = encodeFunctionData({ abi: Factory.abi, functionName: 'createAccount', args: [owner.address, 0n] })
  const hash = await chain.request({ method: 'eth_sendTransaction', params: [{ from: creator, to: factory, data }] })
  assert.equal((await chain.waitForTransactionReceipt({ hash })).status, 'success')
  await sent({ to: entryPoint, value: parseEther('10'), data: encodeFunctionData({ abi: EntryPoint.abi, functionName: 'depositTo', args: [account] }) })
  return async n => {
    const pair = (high, low) => concat([pad(toHex(high), { size: 16 }), pad(toHex(low), { size: 16 })])
    const operation = {
      sender: account, nonce: await read(entryPoint, EntryPoint, 'getNonce', [account, 0n]), initCode: '0x',
      callData: encodeFunctionData({ abi: ACCOUNT, functionName: 'execute', args: [target, 0n, word(n)] }),
      accountGasLimits: pair(200_000n, 200_000n), preVerificationGas: 50_000n, gasFees: pair(1n, 1n), paymasterAndData: '0x', signature: '0x'
    }
    const toSign = await read(entryPoint, EntryPoint, 'getUserOpHash', [operation])
    operation.signature = await owner.sign({ hash: toSign })
    return (await call(entryPoint, EntryPoint, 'handleOps', [[operation], payer.address])).gasUsed
  }
}

const WAYS = [
  ['a flush of a Rings client ring, which moves the head of its log too', rings],
  ['a Safe 1.5 with one owner', ofSafe],
  ['ERC-4337 entry point 0.8 with its simple account', ofEntryPoint]
]

const results = []
for (const [name, prepare] of WAYS) {
  const target = await deployed({ bytecode: TARGET })
  assert.equal(await chain.getCode({ address: target }), TARGET_CODE)
  const once = await prepare(target)
  const gas = []
  for (let n = 0; n < CALLS; n++) {
    gas.push(Number(await once(n)))
    assert.equal(await chain.getStorageAt({ address: target, slot: zeroHash }), word(n))
  }
  results.push({ name, first: gas[0], later: gas.slice(1) })
}
const direct = await deployed({ bytecode: TARGET })
const bare = []
for (let n = 0; n < CALLS; n++) bare.push(Number((await sent({ to: direct, data: word(n) })).gasUsed))
results.push({ name: 'the call itself, by a usual transaction', first: bare[0], later: bare.slice(1) })
console.log(JSON.stringify(results, null, 2))
