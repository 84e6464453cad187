// The registry of services and processes on the member's chain. Names and versions are texts of strangers, and are set as texts.

import { call } from './rpc.js'
import { h, part, table } from './dom.js'
import { data, short } from './format.js'

/** What is looked for, and the page: before this number. */
let wanted = { text: '', before: undefined }

/** Letters that change the direction of a text, that nobody sees, or that are no letters: shown as their numbers. */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu
const visible = text => text.replace(HIDDEN, letter => `\\u{${letter.codePointAt(0).toString(16)}}`)

export const registry = {
  path: 'registry',
  title: 'Registry',
  needs: 'rings_searchRegistry',
  load: () => {
    const { text, before } = wanted
    return call('rings_searchRegistry', { ...(text && { text }), ...(before !== undefined && { before }) })
  },
  draw: (context, found) => [
    h('h1', {}, 'Registry'),
    h('p', { class: 'soft' }, 'Services and processes that accounts of this chain have registered. A name and a version are the word of that account; only the hash is that of the definition.'),
    h('form', { class: 'work', onsubmit: event => search(event, context) },
      h('label', { for: 'name' }, 'Name'), h('input', { id: 'name', name: 'name', maxlength: 64, autocomplete: 'off' }),
      h('p', {}, h('button', {}, 'Search'))),
    part(wanted.text === '' ? 'Newest first' : `Names with “${visible(wanted.text)}”`, found.registry === null ? h('p', {}, 'This chain has no registry yet.') : list(found)),
    found.next === null ? '' : h('p', {}, h('button', { type: 'button', onclick: () => go({ ...wanted, before: found.next }, context) }, 'Older entries'))
  ]
}

const list = ({ entries }) => entries.length === 0 ? h('p', {}, 'There is none here.')
  : table('Entries', ['Name', 'Version', 'Kind', 'Definition', 'By', 'About'], entries.map(entry => [
    [h('bdi', {}, visible(entry.name)), entry.withdrawn ? h('strong', { class: 'warn' }, ' withdrawn') : ''],
    h('bdi', {}, visible(entry.version)), entry.kind, data(entry.cid), short(entry.owner),
    entry.description === null ? 'nothing' : data(entry.description)
  ]))

function search(event, context) {
  event.preventDefault()
  go({ text: new FormData(event.target).get('name').trim(), before: undefined }, context)
}

function go(next, context) {
  wanted = next
  context.look()
}
