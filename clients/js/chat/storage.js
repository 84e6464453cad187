// What a browser keeps: the avatar's encrypted key, the rings that were opened (encrypted with a key that comes from the avatar's), and the
// blocks of its own logs. A node is on disk before it is sent.

import { xchacha20poly1305 } from '@noble/ciphers/chacha'
import { hkdf } from '@noble/hashes/hkdf'
import { sha256 } from '@noble/hashes/sha2'
import { hexToBytes } from 'viem'

const NONCE = 24

const request = asked => new Promise((resolve, reject) => {
  asked.onsuccess = () => resolve(asked.result)
  asked.onerror = () => reject(asked.error)
})

export class Storage {
  constructor(database) { this.database = database }

  static async open() {
    const asked = indexedDB.open('rings-chat', 1)
    asked.onupgradeneeded = () => {
      asked.result.createObjectStore('kept')
      asked.result.createObjectStore('nodes')
    }
    // Browsers empty storage that nobody asked to keep. Some ask the person first, so the answer is not waited for.
    navigator.storage?.persist?.()
    return new Storage(await request(asked))
  }

  get(key) { return request(this.database.transaction('kept').objectStore('kept').get(key)) }

  set(key, value) { return this.#write('kept', store => store.put(value, key)) }

  /** The blocks of an avatar's log in a ring, oldest first. */
  async blocks(ring, avatar) {
    const range = IDBKeyRange.bound([ring, avatar, 0], [ring, avatar, Infinity])
    return request(this.database.transaction('nodes').objectStore('nodes').getAll(range))
  }

  /** Stores a node; another one for the same position is refused. */
  store(ring, avatar, { seq, bytes }) { return this.#write('nodes', store => store.add(bytes, [ring, avatar, seq])) }

  #write(name, change) {
    const transaction = this.database.transaction(name, 'readwrite', { durability: 'strict' })
    change(transaction.objectStore(name))
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve()
      transaction.onabort = () => reject(transaction.error)
    })
  }
}

const keyOf = privateKey => hkdf(sha256, hexToBytes(privateKey), undefined, 'rings-chat/1/kept', 32)

/** A text that only the holder of the avatar's key can read again. */
export function sealText(privateKey, text) {
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE))
  return { nonce, box: xchacha20poly1305(keyOf(privateKey), nonce).encrypt(new TextEncoder().encode(text)) }
}

export const openText = (privateKey, { nonce, box }) =>
  new TextDecoder().decode(xchacha20poly1305(keyOf(privateKey), nonce).decrypt(box))
