// Reads DAG-CBOR as it stands in the payloads of log messages. The member has checked it; what is malformed all the same is thrown.

const text = new TextDecoder('utf-8', { fatal: true })
/** Deeper than anything that stands in a log. */
const DEEPEST = 32

export const hex = bytes => '0x' + [...bytes].map(byte => byte.toString(16).padStart(2, '0')).join('')

/** The bytes of a string in base64 without padding: bytes in DAG-JSON. */
export const fromBase64 = string => Uint8Array.from(atob(string), letter => letter.charCodeAt(0))

/** The value in these bytes. Byte strings are Uint8Array. */
export function decode(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  const take = length => {
    if (length > bytes.length - at) throw new Error('the end comes too early')
    at += length
    return bytes.subarray(at - length, at)
  }
  const argument = small => {
    if (small < 24) return small
    const length = { 24: 1, 25: 2, 26: 4, 27: 8 }[small]
    if (length === undefined) throw new Error('an indefinite length')
    take(length)
    return length === 1 ? view.getUint8(at - 1) : length === 2 ? view.getUint16(at - 2) : length === 4
      ? view.getUint32(at - 4) : Number(view.getBigUint64(at - 8))
  }
  const value = depth => {
    if (depth > DEEPEST) throw new Error('too deep')
    const [head] = take(1)
    const kind = head >> 5
    if (kind === 7) return { 0xf4: false, 0xf5: true, 0xf6: null }[head]
    const count = argument(head & 31)
    if (kind === 0) return count
    if (kind === 1) return -1 - count
    if (kind === 2) return take(count)
    if (kind === 3) return text.decode(take(count))
    if (kind === 6) return value(depth + 1)
    if (count > bytes.length) throw new Error('longer than what is left')
    if (kind === 4) return Array.from({ length: count }, () => value(depth + 1))
    return Object.fromEntries(Array.from({ length: count }, () => [value(depth + 1), value(depth + 1)]))
  }
  return value(0)
}
