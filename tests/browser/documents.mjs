// Documents of processes as members write them: canonical DAG-JSON, named by the CID that `ipfs add` gives.

import { createHash } from 'node:crypto'

const LETTERS = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

const sorted = value => {
  if (Array.isArray(value)) return value.map(sorted)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.keys(value).sort().map(key => [key, sorted(value[key])]))
}

function varint(value) {
  const bytes = []
  for (; value >= 0x80; value >>>= 7) bytes.push((value & 0x7f) | 0x80)
  return Buffer.from([...bytes, value])
}

/** The CID of a file of one block. */
export function cidOf(bytes) {
  const file = Buffer.concat([Buffer.from([8, 2, 0x12]), varint(bytes.length), bytes, Buffer.from([0x18]), varint(bytes.length)])
  const block = Buffer.concat([Buffer.from([0x0a]), varint(file.length), file])
  const hash = createHash('sha256').update(block).digest('hex')
  let [number, text] = [BigInt(`0x1220${hash}`), '']
  for (; number > 0n; number /= 58n) text = LETTERS[Number(number % 58n)] + text
  return text
}

/** Keeps documents by their names. */
export class Documents {
  #bytes = new Map()

  /** Writes one, and gives its name. */
  put(document) {
    const bytes = Buffer.from(JSON.stringify(sorted(document)))
    const cid = cidOf(bytes)
    this.#bytes.set(cid, bytes)
    return cid
  }

  /** Changes what is behind a name, as a member that lies would. */
  forge(cid, from, to) { this.#bytes.set(cid, Buffer.from(this.#bytes.get(cid).toString().replace(from, to))) }

  get(cid) { return this.#bytes.get(cid) }
}

export const link = cid => ({ '/': cid })
