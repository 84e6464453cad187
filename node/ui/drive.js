// What may be done with a process, with the member's token: to pause, resume and cancel it, and to tell the ring of an event that starts it.

import { call } from './rpc.js'
import { h, part } from './dom.js'
import { short } from './format.js'
import { answer, start } from './answer.js'
import { token } from './token.js'

/** The process that is to be cancelled, once that is said again. */
let sure

/** What may follow each state. */
const CHANGES = {
  active: [['Pause', 'rings_pauseProcess']],
  paused: [['Resume', 'rings_resumeProcess']],
  cancelled: []
}

const changed = () => 'Said. The ring decides it with its next ring node, in some seconds; the state above is what holds.'

function press([title, method], { installation }, context) {
  const ask = () => {
    sure = undefined
    start(installation, title, () => call(method, { installation }, token()), changed, context)
  }
  return h('button', { type: 'button', disabled: token() === '', onclick: ask }, title)
}

/** Cancelling is for good, so it is asked twice. */
function cancel(process, context) {
  const turn = to => () => {
    sure = to
    context.redraw()
  }
  if (sure !== process.installation) return [h('button', { type: 'button', disabled: token() === '', onclick: turn(process.installation) }, 'Cancel…')]
  return [press(['Cancel it for good', 'rings_cancelProcess'], process, context), ' ', h('button', { type: 'button', onclick: turn(undefined) }, 'Keep it')]
}

export const actions = (context, process) => part('Pause, resume, cancel',
  process.state === 'cancelled' ? h('p', {}, 'It is cancelled, for good.')
    : h('p', {}, CHANGES[process.state].map(change => [press(change, process, context), ' ']), cancel(process, context)),
  h('p', { class: 'soft' }, 'A paused process takes events down and asks nothing. A cancelled one asks nothing any more.'))

/** The fields of an event, for whoever writes its data. */
function fields(kind) {
  const shapes = Object.entries(kind?.data ?? {}).map(([name, shape]) => `${name} (${typeof shape === 'string' ? shape : shape.type ?? 'any'})`)
  return shapes.length === 0 ? 'An object; write {} if the event has no data.' : `An object with ${shapes.join(', ')}.`
}

/** Events that come by hand; those of a schedule or of a contract's logs come by themselves. */
export function emit(context, { process, services }) {
  const [service, event] = /^\w+\.\w+$/.test(process.on ?? '') ? process.on.split('.') : []
  const kind = services.get(process.services[service])?.document?.events?.[event]
  if (event === undefined || process.instances[service] === undefined) return undefined
  if (kind?.from !== undefined) return part('Events', h('p', {}, `They are logs of the contract ${kind.from.contract}: the members find them.`))
  const target = { instance: process.instances[service], event, installation: process.installation }
  return part('Tell the ring of an event', h('form', { class: 'work', onsubmit: submitted => send(submitted, target, context) },
    h('p', {}, `Event ${process.on}, in instance `, short(target.instance), '.'),
    h('label', { for: 'data' }, 'Data (JSON)'),
    h('textarea', { id: 'data', name: 'data', rows: 4, required: true, spellcheck: 'false', 'aria-describedby': 'data-help' }),
    h('p', { id: 'data-help', class: 'soft' }, fields(kind), ' Numbers have no fractions.'),
    h('p', {}, h('input', { id: 'again', name: 'again', type: 'checkbox' }), ' ', h('label', { for: 'again' }, 'Another event, even if one said the same')),
    h('p', {}, h('button', { disabled: token() === '' }, 'Emit'))))
}

/** What this language would round would be another event. */
const exact = (key, value) => {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) throw new Error(`${key || 'it'} is a number that this page cannot send exactly; use rings emit`)
  return value
}

function send(event, { instance, event: name, installation }, context) {
  event.preventDefault()
  const form = new FormData(event.target)
  const emitted = async () => {
    const data = JSON.parse(form.get('data'), exact)
    return call('rings_emit', { instance, event: name, data, nonce: form.has('again') ? Date.now() : 0 }, token())
  }
  start(installation, 'Emit', emitted, ({ event, starts, fresh }) => answer({ event, starts, fresh }), context)
}
