// What needs the member's token, and belongs to no other section.

import { answer, answered, start } from './answer.js'
import { call, work } from './rpc.js'
import { h, part } from './dom.js'
import { token, tokenPart } from './token.js'

const WORK = [
  ['Check the store', '/store/check', 'Hashes every block of this member’s store.'],
  ['Collect garbage', '/store/gc', 'Removes blocks that nothing needs any more.']
]

export const operate = {
  path: 'operate',
  title: 'Operate',
  load: () => undefined,
  draw: context => [
    h('h1', {}, 'Operate'),
    tokenPart(context),
    part('Store', WORK.map(([title, path, text]) => h('p', {},
      h('button', { type: 'button', disabled: token() === '', onclick: () => start('operate', title, () => work(path, token()), answer, context) }, title), ' ', text))),
    part('Ask a request', h('form', { class: 'work', onsubmit: event => ask(event, context) },
      h('label', { for: 'operation' }, 'Operation (CID)'), h('input', { id: 'operation', name: 'operation', required: true, autocomplete: 'off' }),
      h('label', { for: 'inputs' }, 'Inputs (CIDs, separated by spaces)'), h('input', { id: 'inputs', name: 'inputs', autocomplete: 'off' }),
      h('p', {}, h('button', { disabled: token() === '' }, 'Ask')))),
    answered('operate')
  ]
}

function ask(event, context) {
  event.preventDefault()
  const form = new FormData(event.target)
  const inputs = form.get('inputs').split(/\s+/).filter(Boolean).map(cid => ({ cid }))
  const params = { ring: context.ring.ring, operation: form.get('operation').trim(), inputs }
  start('operate', 'Ask a request', () => call('rings_request', params, token()), answer, context)
}
