// What needs the member's token. The token is typed in, and is in this page's memory only: it goes when the page goes.

import { call, work } from './rpc.js'
import { h, part } from './dom.js'

let token = ''
let said = ''

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
    part('Token', h('form', { class: 'work', onsubmit: event => enter(event, context) },
      h('label', { for: 'token' }, 'Token of this member'),
      h('input', { id: 'token', name: 'token', type: 'password', autocomplete: 'off', required: true, 'aria-describedby': 'token-help' }),
      h('p', { id: 'token-help', class: 'soft' }, token ? 'A token is held until this page is closed.' : 'Without it, this page only reads. It is in the file that [rpc] token_file names.'),
      h('p', {}, h('button', {}, token ? 'Take another' : 'Take it'), ' ',
        token ? h('button', { type: 'button', onclick: () => forget(context) }, 'Forget it') : undefined))),
    part('Store', WORK.map(([title, path, text]) => h('p', {},
      h('button', { type: 'button', disabled: !token, onclick: () => start(title, () => work(path, token), context) }, title), ' ', text))),
    part('Ask a request', h('form', { class: 'work', onsubmit: event => ask(event, context) },
      h('label', { for: 'operation' }, 'Operation (CID)'), h('input', { id: 'operation', name: 'operation', required: true, autocomplete: 'off' }),
      h('label', { for: 'inputs' }, 'Inputs (CIDs, separated by spaces)'), h('input', { id: 'inputs', name: 'inputs', autocomplete: 'off' }),
      h('p', {}, h('button', { disabled: !token }, 'Ask')))),
    h('div', { role: 'status' }, said ? part('Answer', h('pre', {}, said)) : undefined)
  ]
}

function enter(event, { redraw }) {
  event.preventDefault()
  token = new FormData(event.target).get('token').trim()
  event.target.reset()
  redraw()
}

function forget({ redraw }) {
  token = ''
  redraw()
}

async function start(title, action, { redraw }) {
  said = `${title}…`
  redraw()
  try {
    said = JSON.stringify(await action(), null, 2)
  } catch (error) {
    said = `${title}: ${error.message}`
  }
  redraw()
}

function ask(event, context) {
  event.preventDefault()
  const form = new FormData(event.target)
  const inputs = form.get('inputs').split(/\s+/).filter(Boolean).map(cid => ({ cid }))
  const params = { ring: context.ring.ring, operation: form.get('operation').trim(), inputs }
  start('Ask a request', () => call('rings_request', params, token), context)
}
