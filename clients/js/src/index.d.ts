export type Hex = `0x${string}`

/** Chain and ring. */
export interface Place { chainId: number, ring: Hex }
/** A message of a log node's body. */
export interface Message { domain: string, type: string, status: string, payload: Uint8Array }
/** A log node: its position, its bytes and their sha-256. */
export interface Node { seq: number, bytes: Hex, digest: Hex }
/** An avatar as its ring's contract has it: `logNodeHeads` and `nonceOf`. */
export interface AvatarState { head: Hex, nonce: number | bigint }
/** A call that an avatar's account makes. */
export interface Call { to?: Hex, value?: bigint, gas?: bigint, data?: Hex }
/** `CompoundAction` of the ring's ABI. */
export interface Action {
  avatar: Hex, prevHead: Hex, newHead: Hex, nonce: bigint, deadline: bigint, to: Hex, value: bigint, gas: bigint, data: Hex
}

export const ZERO: Hex
export const NOBODY: Hex
export const NO_DEADLINE: bigint
export function cidOf(digest: Hex): string
export function skipTarget(seq: number): number | undefined

export class Log {
  constructor(place: Place, privateKey: Hex, nodes?: Node[])
  readonly place: Place
  readonly avatar: Hex
  readonly nodes: Node[]
  readonly head: Hex
  append(messages: Message[], options?: { refs?: Hex[], time?: number }): Promise<Node>
  since(head: Hex): Node[]
  action(onChain: AvatarState, call?: Call, deadline?: bigint): Action
  sign(action: Action): Promise<Hex>
}

export function messageHash(place: Place, action: Action): Hex
export function encodeAction(action: Action): Hex
export function flushCall(action: Action, signature: Hex): Hex
export function registerRing(keeper: Hex, client: Hex, avatar: Hex): Call
export function flushParams(place: Place, action: Action, signature: Hex, nodes: Node[]):
  { avatar: Hex, ring: Hex, mtx: Hex, mtx_sig: Hex, logNodes: Hex[] }
export function appendParams(place: Place, avatar: Hex, nodes: Node[], replicas?: number, wait?: number):
  { avatar: Hex, ring: Hex, logNodes: Hex[], replicas: number, wait: number }
export function heldBy(place: Place, replica: Hex, held: { ring: Hex, avatar: Hex, head: Hex }, signature: Hex): Promise<boolean>
export class RpcError extends Error { code: number; data: unknown }
export function call(url: string, method: string, params: object): Promise<any>
