// The member's token. It is typed in, and is in this page's memory only: it goes when the page goes.

import { h, part } from './dom.js'

let held = ''

/** The token; empty when there is none. */
export const token = () => held

/** Where it is typed in. */
export const tokenPart = context => part('Token', h('form', { class: 'work', onsubmit: event => enter(event, context) },
  h('label', { for: 'token' }, 'Token of this member'),
  h('input', { id: 'token', name: 'token', type: 'password', autocomplete: 'off', required: true, 'aria-describedby': 'token-help' }),
  h('p', { id: 'token-help', class: 'soft' }, held ? 'A token is held until this page is closed.' : 'Without it, this page only reads. It is in the file that [rpc] token_file names.'),
  h('p', {}, h('button', {}, held ? 'Take another' : 'Take it'), ' ',
    held ? h('button', { type: 'button', onclick: () => forget(context) }, 'Forget it') : undefined)))

function enter(event, { redraw }) {
  event.preventDefault()
  held = new FormData(event.target).get('token').trim()
  event.target.reset()
  redraw()
}

function forget({ redraw }) {
  held = ''
  redraw()
}
