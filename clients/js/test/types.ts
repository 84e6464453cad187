// Compiled, not run: the declarations fit how an application uses the package.

import {
  Avatar, Chain, Keyring, Log, Member, ReadKey, RpcError, decryptKey, encode, newKey, readRecoveryLine, registerRing, restore,
  type Action, type Hex, type Message, type Problem, type StoredNode
} from '../src/index.js'

const line = (txt: string): Message => ({ domain: 'chat', type: 'message', status: '', payload: encode({ txt }) })

export async function talk(text: string, keystore: object, password: string, blocks: Hex[]): Promise<Problem[]> {
  const { chainId, ring, rpc, keeper, replicas, key } = readRecoveryLine(text)
  const place = { chainId, ring }
  const options = {
    place, keeper, chain: new Chain(rpc), replicas: replicas.map(url => new Member(url)),
    keys: key ? new Keyring(new ReadKey(place, key)) : undefined
  }
  const store = async (node: StoredNode): Promise<void> => { blocks.push(node.bytes) }
  const avatar = await Avatar.open({ ...options, privateKey: await decryptKey(keystore, password), blocks, store })
  const node = await avatar.say([line('hello')])
  const failed: Map<string, Error> = await avatar.push()
  const { held, final } = avatar.stateOf(node)
  const { replica, msg_hash } = await avatar.flush({ to: ring, value: 1n })
  const { status } = await avatar.ended(replica, msg_hash, AbortSignal.timeout(1000))
  if (failed.size > 0 || held < 1 || !final || status !== 'relayed') throw new RpcError({ code: 0, message: status })
  return (await restore({ ...options, privateKey: newKey() })).problems
}

export async function listen(member: Member, ring: Hex): Promise<number> {
  const session = await member.connect()
  let newest = 0
  const end = await session.subscribe({ kind: 'heads', ring }, notice => {
    if (notice.kind === 'heads') newest = notice.seq
    else if (notice.kind === 'missed') newest += notice.count
  })
  // @ts-expect-error gates have no member to ask for
  await session.subscribe({ kind: 'gates', member: ring }, () => {})
  await end()
  return newest
}

const log = new Log({ chainId: 1, ring: '0x' }, newKey())
const action: Action = log.action({ head: log.head, nonce: 0 }, registerRing('0x', '0x', log.avatar))
export const signature: Promise<Hex> = log.sign(action)
// @ts-expect-error an action has no such field
export const wrong = action.nonsense
