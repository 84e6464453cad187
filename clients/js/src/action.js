// Compound actions: a call of an avatar's account together with its log's new head, as the ring's contract takes it.

import { encodeAbiParameters, encodeFunctionData, hexToBytes } from 'viem'
import { sameAddress } from './bytes.js'
import { ACTION, signer, typed } from './typed.js'

export const NO_DEADLINE = 2n ** 256n - 1n

const RING_ABI = [
  {
    type: 'function', name: 'flush', stateMutability: 'nonpayable', outputs: [{ name: 'result', type: 'bytes' }],
    inputs: [
      { name: 'action', type: 'tuple', components: ACTION },
      { name: 'r', type: 'bytes32' }, { name: 's', type: 'bytes32' }, { name: 'v', type: 'uint8' }
    ]
  },
  {
    type: 'function', name: 'registerRing', stateMutability: 'payable', outputs: [],
    inputs: [{ name: 'client', type: 'address' }, { name: 'avatar', type: 'address' }]
  }
]

/** The name of an action: what its avatar signs. */
export const messageHash = (place, action) => typed(place, 'CompoundAction', action)

/** `mtx`: abi.encode(CompoundAction). */
export const encodeAction = action => encodeAbiParameters([{ type: 'tuple', components: ACTION }], [action])

/** The call of `flush` that brings an action to its ring. */
export function flushCall(action, signature) {
  const [r, s] = [signature.slice(0, 66), '0x' + signature.slice(66, 130)]
  const v = Number('0x' + signature.slice(130))
  return encodeFunctionData({ abi: RING_ABI, functionName: 'flush', args: [action, r, s, v] })
}

/** The call that has `keeper` keep the logs of `client`, of which `avatar` is a member. */
export const registerRing = (keeper, client, avatar) => ({
  to: keeper, data: encodeFunctionData({ abi: RING_ABI, functionName: 'registerRing', args: [client, avatar] })
})

/** Parameters of `FlushToRing`. */
export const flushParams = (place, action, signature, nodes) => ({
  avatar: action.avatar, ring: place.ring, mtx: encodeAction(action), mtx_sig: signature, logNodes: nodes.map(node => node.bytes)
})

/** Parameters of `AppendToRing`. `replicaKey` is one that was made since the ring was handed over, wrapped to the member. */
export const appendParams = (place, avatar, nodes, replicas = 1, wait = 0, replicaKey) => ({
  avatar, ring: place.ring, logNodes: nodes.map(node => node.bytes), replicas, wait, ...(replicaKey ? { replica_key: replicaKey } : {})
})

/** Parameters of `ReplicateRing`; `action` calls `registerRing`, `replicaKey` is wrapped to the member that is called. */
export const replicateParams = (place, replicaRing, replicaKey, action, signature, nodes) => ({
  ring: place.ring, replica_ring: replicaRing, replica_key: replicaKey, mtx: encodeAction(action), mtx_sig: signature,
  logNodes: nodes.map(node => node.bytes)
})

/** Whether `replica` signed that it holds a log; `place` is that of the ring that keeps it. */
export async function heldBy(place, replica, { ring, avatar, head }, signature) {
  const hash = typed(place, 'Held', { ring, avatar, head })
  return sameAddress(await signer(hash, hexToBytes(signature)), replica)
}
