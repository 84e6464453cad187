// What an avatar of a client ring needs: its key and log, its actions, requests to replicas, and checks of all that they answer. No
// node is inside. The bytes are those of docs/log-format.md, docs/client-rings.md and the ring's ABI; tests/vectors has examples,
// which this and the Rust client check.

export {
  NO_DEADLINE, appendParams, encodeAction, flushCall, flushParams, heldBy, messageHash, registerRing, replicateParams
} from './action.js'
export { Avatar, restore } from './avatar.js'
export { InvalidError, MAX_NODE_BYTES, NOBODY, ZERO, cidOf, decode, digestOf, digestOfCid, encode } from './bytes.js'
export { Chain } from './chain.js'
export { Keyring, readRotations, rotationMessages } from './keyring.js'
export { decryptKey, encryptKey, newKey } from './keystore.js'
export { Log } from './log.js'
export { Changes, changeMessage, changeName, readChange } from './members.js'
export { readNode, signNode, skipTarget } from './node.js'
export { publicKeyOf } from './peer.js'
export { ReadKey, ReplicaKey, nodeKey, unwrapKey, wrapKey } from './private.js'
export { readRecoveryLine, writeRecoveryLine } from './recovery.js'
export { RingLogs, causal } from './ring.js'
export { CODE, Member, RpcError, Session, batch, call } from './rpc.js'
