/** What an avatar of a client ring needs, for Node.js 20 and browsers. The README has examples; docs/client-rings.md the rules. */

export type Hex = `0x${string}`

/** Chain and ring: what every signature is for. */
export interface Place { chainId: number, ring: Hex }
/** A message of a log node's body. */
export interface Message { domain: string, type: string, status: string, payload: Uint8Array }
/** A stored log node: its position, the bytes of its block and their sha-256. */
export interface StoredNode { seq: number, bytes: Hex, digest: Hex }
/** An avatar as its ring's contract has it: `logNodeHeads` and `nonceOf`. */
export interface AvatarState { head: Hex, nonce: number | bigint }
/** A call that an avatar's account makes. */
export interface Call { to?: Hex, value?: bigint, gas?: bigint, data?: Hex }
/** `CompoundAction` of the ring's ABI. */
export interface Action {
  avatar: Hex, prevHead: Hex, newHead: Hex, nonce: bigint, deadline: bigint, to: Hex, value: bigint, gas: bigint, data: Hex
}
/** A signed node that was read and checked by itself. */
export interface SignedNode {
  seq: number, author: Hex, body: Message[], refs: Hex[], prev?: Hex, skip?: Hex, time?: number
  /** sha2-256 of the signed content. */
  content: Hex
  signature: Hex
}
/** A node of a ring's logs. `messages` is what it says; absent where the key is not held. */
export interface RingNode extends SignedNode { digest: Hex, bytes: Hex, messages?: Message[] }

/** 32 zero bytes: no head yet. */
export const ZERO: Hex
/** The zero address: an action that only moves the head. */
export const NOBODY: Hex
/** An action that may be relayed at any time. */
export const NO_DEADLINE: bigint
/** Most bytes of a log node's block. */
export const MAX_NODE_BYTES: number

/** Something that a replica, a file or a person gave is not what it should be; `kind` is for programs. */
export class InvalidError extends Error { kind: string }

// ---- Bytes

/** Canonical DAG-CBOR of a value. */
export function encode(value: unknown): Uint8Array
/** What canonical DAG-CBOR says; any other encoding is refused. */
export function decode(bytes: Uint8Array): any
/** sha2-256, 0x-hex. */
export function digestOf(bytes: Uint8Array): Hex
/** The CID of a log node's digest, as text. */
export function cidOf(digest: Hex): string
/** The digest in the CID of a log node. */
export function digestOfCid(cid: string): Hex
/** The position that node `seq` links back to, besides the one before. */
export function skipTarget(seq: number): number | undefined
/** Signs a node; an application takes `Log` or `Avatar`, which know what comes next. */
export function signNode(place: Place, privateKey: Hex,
  node: { seq: number, prev?: Hex, skip?: Hex, refs?: Hex[], time?: number, body: Message[] }): Promise<Uint8Array>
/** Reads a signed node: form, links within it, and who signed it. */
export function readNode(place: Place, bytes: Uint8Array): Promise<SignedNode>

// ---- Keys

/** A new private key. */
export function newKey(): Hex
/** An encrypted key: Web3 Secret Storage, version 3. */
export interface Keystore { version: 3, id: string, address?: string, crypto: object }
/** Encrypts a private key with a password. `cost` makes tests faster. */
export function encryptKey(privateKey: Hex, password: string, cost?: { n: number, r: number, p: number }): Promise<Keystore>
/** The private key in a keystore of any tool. A wrong password is refused with kind `password`. */
export function decryptKey(keystore: object, password: string): Promise<Hex>
/** The public key in a member's libp2p id, compressed; refused unless it is the key of the account `member`. */
export function publicKeyOf(peerId: string, member: Hex): Hex

/** Opens signed nodes of a private ring: order, links, signatures; no body. */
export class ReplicaKey {
  constructor(place: Place, secret: Uint8Array)
  readonly place: Place
  readonly secret: Uint8Array
  /** Its name, which stands on each node that it seals. */
  readonly name: Hex
  seal(node: Uint8Array): Uint8Array
  open(block: Uint8Array): Uint8Array
}
/** Opens everything that the members of a private ring say to each other. */
export class ReadKey {
  /** A new key when no secret is given. */
  constructor(place: Place, secret?: Uint8Array)
  readonly place: Place
  readonly secret: Uint8Array
  readonly name: Hex
  readonly replica: ReplicaKey
  sealBody(author: Hex, seq: number, messages: Message[]): Message
  openBody(author: Hex, seq: number, body: Message[]): Message[]
}
/** A read key with the epoch for which it was made: 0 for the one with which the ring began; without an epoch it only opens. */
export interface EpochKey { epoch?: number, key: ReadKey }
/** A new key, as a log announces it. */
export interface Rotation { epoch: number, read: Hex, replica: Hex, wraps: Map<Hex, Uint8Array> }
/** What was learnt of a key; `held` says whether it was wrapped for this avatar. */
export interface KeyNews { epoch: number, name: Hex, by: Hex, held: boolean }
/** A key that was made: `messages` are the body of the node that announces it. `leftOut` are members for whom it could not be wrapped. */
export interface NewKey { epoch: number, name: Hex, messages: Message[], leftOut: Hex[] }
/** The keys that an avatar has of a private ring: the one of the highest epoch seals, and there the one with the least name; all open. */
export class Keyring {
  constructor(...keys: (ReadKey | EpochKey)[])
  /** Whose keys these are. */
  set privateKey(key: Hex)
  /** The key that seals now, and its epoch. */
  readonly newest?: ReadKey
  readonly epoch: number
  readonly size: number
  /** Whether it is known for whom that key was wrapped. */
  readonly isRotated: boolean
  add(key: ReadKey, epoch?: number, by?: Hex): void
  /** What the chain has reached: keys for later epochs, or of others, do not seal. */
  reached(epoch: number, members: Hex[]): void
  lineKeys(): EpochKey[]
  openNode(block: Uint8Array): Uint8Array
  openBody(node: SignedNode): Message[]
  /** Learns from a node that stands in its author's log. */
  hear(place: Place, node: SignedNode & { messages?: Message[] }): Promise<KeyNews[]>
  /** Who has the key and has left. */
  left(members: Hex[], keepers: Hex[]): Hex[]
  /** The members for whom a key can be wrapped. */
  readers(members: Hex[]): Hex[]
  rotate(place: Place, epoch: number, members: Hex[], keepers?: { account: Hex, publicKey: Hex }[]): NewKey
}
/** The two messages that announce a key. */
export function rotationMessages(rotation: { epoch: number, read: Hex, replica: Hex, wraps: Iterable<[Hex, Uint8Array]> }): Message[]
/** The rotations among messages. */
export function readRotations(messages: Message[]): Rotation[]
/** The name of the replica key that seals a block; nothing when it is not sealed. */
export function nodeKey(block: Uint8Array): Hex | undefined
/** Wraps a key to a public key by ECIES: what `replica_key` of ReplicateRing is. */
export function wrapKey(key: ReadKey | ReplicaKey, publicKey: Hex, epoch?: number): Hex
/** The key that was wrapped to `privateKey` for this ring. */
export function unwrapKey(place: Place, privateKey: Hex, wrapped: Hex): { epoch: number, key: ReadKey | ReplicaKey }

/** How a ring is joined, and found again. Whoever has the key can read it. */
export interface Recovery {
  chainId: number, rpc: string, ring: Hex, keeper: Hex, replicas: string[]
  /** The read keys, oldest first; one without an epoch only opens. */
  keys?: { epoch?: number, secret: Uint8Array }[]
  /** The last of them. */
  key?: Uint8Array
}
export function writeRecoveryLine(recovery: Recovery): string
/** What is missing, unknown or malformed in the line is named. */
export function readRecoveryLine(line: string): Recovery

// ---- One's own log and actions

export interface LogOptions {
  /** The keys of a private ring. */
  keys?: Keyring
  /** For a key that was restored: it never appends. */
  readOnly?: boolean
}
/** An avatar's own log. Two copies of one that both grow are a fork, which freezes it: a key lives on one device. */
export class Log {
  constructor(place: Place, privateKey: Hex, nodes?: StoredNode[], options?: LogOptions)
  /** From the blocks of its nodes, oldest first; each signature and link is checked. */
  static read(place: Place, privateKey: Hex, blocks: Hex[], options?: LogOptions): Promise<Log>
  readonly place: Place
  readonly avatar: Hex
  readonly readOnly: boolean
  readonly nodes: StoredNode[]
  /** The newest node's digest; zero while the log is empty. */
  readonly head: Hex
  /** Signs the node that comes next. `store` is awaited before it counts. */
  append(messages: Message[], options?: {
    refs?: Hex[], time?: number, store?: (node: StoredNode) => unknown
  }): Promise<StoredNode>
  /** The nodes after `head`, newest first; all of them when it is not in the log. */
  since(head: Hex): StoredNode[]
  action(onChain: AvatarState, call?: Call, deadline?: bigint): Action
  sign(action: Action): Promise<Hex>
  /** The message with which this avatar agrees to a change of the members. */
  agree(members: Hex[], change: MembersChange): Promise<Message>
}

// ---- Who is in the ring

/** A change of a ring's members, for one epoch. */
export interface MembersChange { epoch: number, enter: Hex[], exit: Hex[], deadline: number }
/** What the members of now sign: the name of a change. */
export function changeName(place: Place, members: Hex[], change: MembersChange): Hex
/** The message with which an avatar agrees to a change. */
export function changeMessage(place: Place, members: Hex[], change: MembersChange, privateKey: Hex): Promise<Message>
/** Reads such a message; nothing if it is another one, or malformed. */
export function readChange(message: Message): (MembersChange & { signature: Uint8Array }) | undefined
/** The changes that members have signed in this epoch. */
export class Changes {
  constructor(place: Place, members: Hex[], epoch: number)
  readonly members: Hex[]
  readonly epoch: number
  readonly needed: number
  readonly open: Map<Hex, { change: MembersChange, by: Hex, signed: Map<Hex, Hex> }>
  hear(author: Hex, message: Message): Promise<void>
  /** The call of a change that enough members have signed. */
  ready(name: Hex): Call | undefined
}

/** The name of an action: what its avatar signs. */
export function messageHash(place: Place, action: Action): Hex
/** `mtx`: abi.encode(CompoundAction). */
export function encodeAction(action: Action): Hex
/** Calldata of the ring's `flush`. */
export function flushCall(action: Action, signature: Hex): Hex
/** The call that has `keeper` keep the logs of `client`. */
export function registerRing(keeper: Hex, client: Hex, avatar: Hex): Call
export interface FlushParams { avatar: Hex, ring: Hex, mtx: Hex, mtx_sig: Hex, logNodes: Hex[] }
export interface AppendParams { avatar: Hex, ring: Hex, logNodes: Hex[], replicas?: number, wait?: number, replica_key?: Hex }
export interface ReplicateParams { ring: Hex, replica_ring: Hex, replica_key: Hex, mtx: Hex, mtx_sig: Hex, logNodes: Hex[] }
export function flushParams(place: Place, action: Action, signature: Hex, nodes: StoredNode[]): FlushParams
export function appendParams(place: Place, avatar: Hex, nodes: StoredNode[], replicas?: number, wait?: number,
  replicaKey?: Hex): AppendParams
export function replicateParams(place: Place, replicaRing: Hex, replicaKey: Hex, action: Action, signature: Hex,
  nodes: StoredNode[]): ReplicateParams
/** Whether `replica` signed that it holds a log; `place` is that of the ring that keeps it. */
export function heldBy(place: Place, replica: Hex, held: { ring: Hex, avatar: Hex, head: Hex }, signature: Hex): Promise<boolean>

// ---- Members over the network

/** A refusal of a member. */
export class RpcError extends Error {
  constructor(error: { code: number, message: string, data?: unknown })
  code: number
  data: any
}
/** Numbers of refusals that programs tell apart. */
export const CODE: Readonly<Record<
  'methodNotFound' | 'invalidParams' | 'incomplete' | 'unknownKey' | 'wrongSignature' | 'notAMember' | 'staleHead' | 'reverted' |
  'busy' | 'noToken' | 'refused', number>>
export interface CallOptions { token?: string, timeout?: number }
/** Calls a method over HTTP. */
export function call(url: string, method: string, params?: object, options?: CallOptions): Promise<any>
/** Calls several methods at once; each answer is a result or an RpcError. */
export function batch(url: string, calls: [method: string, params?: object][], options?: CallOptions): Promise<any[]>

/** What became of an action. */
export interface Relay { status: 'received' | 'relayed' | 'failed', msg_hash: Hex, tx?: Hex, txfee?: string | number, reason?: string }
/** Who holds an avatar's log, and up to where, by their signatures. */
export interface Held { status: 'held', head: Hex, held: { replica: Hex, signature: Hex }[] }
/** A page of a log, newest first. */
export interface LogPage { nodes: { cid: string, seq: number, bytes: Hex, node: unknown }[], next: number | null }
/** What a member keeps of client rings. */
export interface ClientRings {
  rings: { ring: Hex, bytes: number, heads: { avatar: Hex, seq: number, head: Hex, since: number }[],
    /** A former member of the keeper has the newest replica key: hand over a new one. */
    rotate?: boolean,
    /** Avatars that signed two histories; `claim` has both signatures (docs/log-format.md). */
    forks?: { avatar: Hex, seq: number, proven: boolean, claim: Hex }[] }[], next?: Hex
}
/** A member's address and its methods. `rpc.discover` describes the answers that are `any` here. */
export class Member {
  constructor(url: string, options?: CallOptions)
  readonly url: string
  call(method: string, params?: object): Promise<any>
  batch(calls: [method: string, params?: object][]): Promise<any[]>
  status(): Promise<any>
  ring(ring: Hex): Promise<any>
  gate(gate: Hex): Promise<any>
  log(page: { ring: Hex, member: Hex, from?: number, limit?: number }): Promise<LogPage>
  clientRings(page?: { ring?: Hex, from?: Hex }): Promise<ClientRings>
  /** Needs the member's token. */
  request(params: object): Promise<any>
  getRequest(request: Hex): Promise<any>
  proof(request: Hex): Promise<any>
  message(msgHash: Hex): Promise<Relay | null>
  flush(params: FlushParams): Promise<Relay>
  append(params: AppendParams): Promise<Held>
  replicate(params: ReplicateParams): Promise<Relay>
  /** Has the ring run a process. Needs the member's token, as what follows up to `emit`. */
  createProcess(params: { ring: Hex, process: string, instances: Record<string, Hex>, nonce?: number }): Promise<any>
  pauseProcess(installation: Hex): Promise<any>
  resumeProcess(installation: Hex): Promise<any>
  cancelProcess(installation: Hex): Promise<any>
  /** Says that something has happened. The same again starts nothing. */
  emit(params: { instance: Hex, event: string, data: object, nonce?: number }): Promise<{ event: string, starts: Hex[], fresh: boolean }>
  listProcesses(page?: { from?: Hex, limit?: number }): Promise<any>
  getProcess(page: { installation: Hex, before?: number, limit?: number }): Promise<any>
  listInstances(page?: { from?: Hex, limit?: number }): Promise<any>
  listExecutions(page?: { event?: string, limit?: number }): Promise<any>
  getExecution(execution: string): Promise<any>
  /** A page of the chain's registry. Names and versions are the text of strangers. */
  searchRegistry(which?: { text?: string, before?: number }): Promise<any>
  discover(): Promise<any>
  health(): Promise<{ following: boolean, trouble?: string, warnings?: string[] }>
  /** The block of a log node; its hash is checked. */
  block(digest: Hex): Promise<Uint8Array>
  /** A file, by its CID. Its hash is not checked. */
  file(cid: string): Promise<Uint8Array>
  /** Opens a WebSocket session. */
  connect(): Promise<Session>
}
/** What to be told of. `heads`: logs that grow, of a ring, of a member or avatar. `gates`: of one, or of all. `messages`: actions, of
 *  a ring, an avatar, or one by its name. `processes`: one that the ring runs, or all. */
export type SubscribeParams =
  { kind: 'heads', ring?: Hex, member?: Hex } | { kind: 'gates', gate?: Hex } |
  { kind: 'messages', ring?: Hex, member?: Hex, msg_hash?: Hex } | { kind: 'processes', installation?: Hex }
/** What a subscription tells. It says where to look; nothing in it is proven. */
export type Notice =
  { kind: 'heads', ring: Hex, member: Hex, seq: number, head: Hex, since: number } |
  { kind: 'gates', gate: Hex, change: 'made' | 'voted' | 'resolved' | 'failed', member?: Hex } |
  { kind: 'messages', ring: Hex, avatar: Hex, message: Relay } |
  { kind: 'processes', installation: Hex, event: string, change: 'began' | 'succeeded' | 'failed' | 'expired' | 'over', execution?: string } |
  /** The session was read too slowly: so many notices were passed over. Look again. */
  { kind: 'missed', count: number }
/** A WebSocket session with a member. */
export class Session {
  static open(url: string): Promise<Session>
  /** Settles when the session has ended. */
  readonly closed: Promise<unknown>
  call(method: string, params?: object): Promise<any>
  /** Calls `listener` with each notice; gives a function that ends the subscription. What happens after it has settled is told:
   *  look once then for what was before. */
  subscribe(params: SubscribeParams, listener: (notice: Notice) => void): Promise<() => Promise<void>>
  close(): void
}

/** An endpoint of a chain. */
export class Chain {
  constructor(url: string, options?: CallOptions)
  readonly url: string
  chainId(): Promise<number>
  avatar(ring: Hex, account: Hex): Promise<{ head: Hex, nonce: bigint, isMember: boolean, isFrozen: boolean }>
  members(ring: Hex): Promise<Hex[]>
  isMember(ring: Hex, account: Hex): Promise<boolean>
  /** Whether `keeper` keeps the logs of `ring`. */
  keeps(keeper: Hex, ring: Hex): Promise<boolean>
  /** The account that acts for an avatar. */
  accountOf(ring: Hex, avatar: Hex): Promise<Hex>
  /** Who may have keys: the members of a ring, those of the ring that keeps it, its epoch, and the sum of both. */
  membership(ring: Hex, keeper: Hex): Promise<{ members: Hex[], keepers: Hex[], ringEpoch: number, epoch: number }>
  /** The members, each with the head of its log. */
  heads(ring: Hex): Promise<Map<Hex, Hex>>
}

// ---- A ring's logs, checked

/** Where to read a ring: its place, a chain, the ring that keeps it, members of that one, and the keys of a private ring. */
export interface RingOptions { place: Place, chain: Chain, keeper: Hex, replicas: Member[], keys?: Keyring }
/** What a replica signed that it holds. Keep it: it convicts one that withholds later. */
export interface Word { avatar: Hex, head: Hex, replica: Hex, signature: Hex }
/** Something found wrong. `withheld`: a replica (its URL, or its account) holds less than the chain names, or than it signed for. `forged`: what it gave is not what the link names, or
 *  breaks the log's rules. `fork`: an avatar signed two histories; `evidence` has both nodes. `key`: nodes are sealed with a key that is not held. */
export interface Problem {
  kind: 'unreachable' | 'refused' | 'withheld' | 'forged' | 'fork' | 'key', replica: string, avatar?: Hex, detail: string, evidence?: Hex[]
}
/** The logs of a ring, from its replicas: hashes, links, order, signatures and the heads on chain are checked. */
export class RingLogs {
  constructor(options: RingOptions)
  readonly place: Place
  readonly chain: Chain
  readonly keeper: Hex
  readonly replicas: Member[]
  readonly keys?: Keyring
  readonly logs: Map<Hex, RingNode[]>
  readonly heads: Map<Hex, Hex>
  /** What replicas signed that they hold: author → account of the replica. */
  readonly words: Map<Hex, Map<Hex, { head: Hex, signature: Hex }>>
  /** When replicas got the newest node of a log, as they say, in milliseconds since 1970: who said something lately is online. */
  readonly seen: Map<Hex, number>
  readonly problems: Problem[]
  readonly members: Hex[]
  /** What was learnt of keys; whoever reads it empties it. */
  readonly keyNews: KeyNews[]
  /** Whether a replica asks for another key. */
  readonly rotate: boolean
  /** Asks chain and replicas. Gives the nodes that are new, each after those that it refers to. */
  refresh(): Promise<RingNode[]>
  log(avatar: Hex): RingNode[]
  node(digest: Hex): RingNode | undefined
  /** How many replicas have signed that they hold a node, or a later one of that log. */
  heldBy(avatar: Hex, seq: number): number
  /** Whether the chain's head of a log is a node, or a later one. */
  isFinal(avatar: Hex, seq: number): boolean
  /** Asks a replica for its signed word where a log ends there. */
  ask(replica: Member, avatar: Hex): Promise<{ avatar: Hex, head: Hex } | undefined>
  /** The same of all replicas, on all logs. */
  askAll(): Promise<void>
  /** Takes the signed words in an answer of AppendToRing; one that is not signed by a member of the keeper is refused. */
  heard(avatar: Hex, answer: Pick<Held, 'head' | 'held'>): Promise<void>
}
/** Nodes of several logs in an order in which none comes before one that it refers to, otherwise by time. */
export function causal(nodes: RingNode[]): RingNode[]

export interface AvatarOptions extends RingOptions {
  privateKey: Hex
  /** The blocks of its log that are stored on this device, oldest first. */
  blocks?: Hex[]
  /** Stores a node. It is awaited before the node counts, and must be durable when it settles. */
  store?: (node: StoredNode) => unknown
  readOnly?: boolean
}
/** An avatar at work: its own log, the logs of its ring, and the replicas that keep them. */
export class Avatar {
  static open(options: AvatarOptions): Promise<Avatar>
  readonly log: Log
  readonly ring: RingLogs
  readonly address: Hex
  /** Whether replicas hold nodes of this avatar that are not stored here. Then it was used elsewhere, and `say` refuses. */
  readonly isBehind: boolean
  /** Whether the chain names the end of the own log, as far as was asked. */
  readonly isFlushed: boolean
  /** Writes a node, signed and stored, not sent yet. */
  say(messages: Message[], options?: { time?: number }): Promise<RingNode>
  /** Changes the key of a private ring, if somebody has left who has it, or `always`. `say` does so by itself. */
  renewKey(options?: { always?: boolean, patience?: number }): Promise<(NewKey & { why: string }) | undefined>
  /** Sends to all replicas what they do not hold. Gives the errors by URL. */
  push(): Promise<Map<string, Error>>
  /** Moves the head on chain, with a call of the avatar's account if one is given. */
  flush(call?: Call, deadline?: bigint): Promise<Relay & { replica: Member }>
  /** The changes of the members that were asked for, as far as the logs are read. */
  changes(): Promise<Changes>
  /** Asks for a change: who comes, and who goes. `messages` go into the same node. */
  askFor(change: { enter?: Hex[], exit?: Hex[] }, messages?: Message[]): Promise<{ name: Hex } & Partial<Relay & { replica: Member }>>
  /** Signs a change. The one who completes two thirds brings it to the chain. */
  approve(name: Hex): Promise<{ name: Hex } & Partial<Relay & { replica: Member }>>
  /** Has the ring kept by `ring.keeper`; `publicKey` is that of the member behind the first replica, for a private ring. */
  replicate(options?: { publicKey?: Hex }): Promise<Relay>
  /** Waits until an action is relayed or has failed. */
  ended(replica: Member, msgHash: Hex, signal?: AbortSignal): Promise<Relay>
  /** How far a node is. */
  stateOf(node: { author: Hex, seq: number }): { held: number, final: boolean }
}
/** All that a ring has said, from a key: checked, in order, with what was found wrong. The log given back never grows. */
export function restore(options: RingOptions & { privateKey: Hex, words?: Word[] }): Promise<{
  ring: RingLogs, log: Log, nodes: RingNode[], problems: Problem[]
}>
