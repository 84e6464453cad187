// How values are written for people.

import { h } from './dom.js'

/** The ends of an address, a digest or a CID, with the whole as its title. */
export const short = text => h('code', { title: text }, text.length > 20 ? `${text.slice(0, 8)}…${text.slice(-6)}` : text)

export const whole = text => h('code', {}, text)

/** An id in the page's address. Those in hexadecimal have one spelling in it; the case of a CID's letters counts. */
export const spelled = id => /^0x/i.test(id) ? id.toLowerCase() : id

/** A link to a section. */
export const link = (path, text) => h('a', { href: `#/${path.split('/').map(spelled).join('/')}` }, short(text))

/** Data, as the member's gateway gives it. */
export const data = cid => h('a', { href: `/ipfs/${cid}`, download: cid }, short(cid))

export function bytes(count) {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']
  const step = Math.min(Math.floor(Math.log2(Math.max(count, 1)) / 10), units.length - 1)
  return step === 0 ? `${count} bytes` : `${(count / 1024 ** step).toFixed(1)} ${units[step]}`
}

/** How long ago a time in milliseconds since 1970 was. */
export function ago(time) {
  if (time === null || time === undefined) return 'never'
  const seconds = Math.max(0, Math.round((Date.now() - time) / 1000))
  if (seconds < 5) return 'now'
  if (seconds < 120) return `${seconds} s ago`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min ago`
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h ago`
  return `${Math.round(seconds / 86400)} days ago`
}

/** Ether, from wei as text. */
export function ether(wei) {
  const digits = wei.padStart(19, '0')
  const fraction = digits.slice(-18).replace(/0+$/, '').slice(0, 6)
  return `${digits.slice(0, -18)}${fraction ? `.${fraction}` : ''} ether`
}

export const milliseconds = count => count === null || count === undefined ? '–' : `${count} ms`

const TONES = {
  resolved: 'good', listed: 'good', agreed: 'good', failed: 'bad', expired: 'bad', refused: 'warn', declined: 'warn', waiting: 'soft',
  unknown: 'soft', active: 'good', done: 'good', succeeded: 'good', paused: 'warn', cancelled: 'soft', skipped: 'soft', created: 'soft'
}

/** A state in words; the colour says nothing that the word does not. */
export const state = word => h('strong', { class: TONES[word] }, word)

export const yesNo = (value, yes, no) => h('span', { class: value ? 'good' : 'bad' }, value ? yes : no)
