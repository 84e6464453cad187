// The processes that the ring runs, the instances that they join, and a form to have it run another.

import { call } from './rpc.js'
import { h, part, table } from './dom.js'
import { data, link, short, state } from './format.js'
import { answer, answered, start } from './answer.js'
import { token, tokenPart } from './token.js'

export const processes = {
  path: 'processes',
  title: 'Processes',
  needs: 'rings_listProcesses',
  load: (_, [from]) => call('rings_listProcesses', from === undefined ? {} : { from }),
  moves: ({ processes }) => processes.some(({ open, state }) => open > 0 && state === 'active'),
  draw: (context, page) => [
    h('h1', {}, 'Processes'),
    part('What the ring runs', page.processes.length === 0 ? h('p', {}, 'No process yet.') : list(page.processes),
      page.next ? h('p', {}, h('a', { href: `#/processes/${page.next}` }, 'More processes')) : undefined),
    part('Instances', instances(page.processes)),
    create(context),
    tokenPart(context),
    answered('processes')
  ]
}

const list = processes => table('Processes', ['Process', 'State', 'Starts on', 'Runs', 'Under way', 'Definition'], processes.map(each => [
  [each.name ? `${each.name} ` : '', link(`process/${each.installation}`, each.installation)],
  state(each.state),
  each.on ?? 'its definition is not here yet',
  String(each.runs),
  String(each.open),
  data(each.process)
]))

/** Each instance once, with all that join it. */
function instances(processes) {
  const found = new Map()
  for (const process of processes) {
    for (const [service, instance] of Object.entries(process.instances)) {
      const known = found.get(instance) ?? { service, definition: process.services[service], joined: [] }
      found.set(instance, { ...known, joined: [...known.joined, process] })
    }
  }
  if (found.size === 0) return h('p', {}, 'An instance is shown as soon as a process joins it.')
  return table('Instances', ['Instance', 'Service', 'Definition', 'Joined by'], [...found].map(([instance, { service, definition, joined }]) => [
    short(instance), service, definition ? data(definition) : 'not here yet',
    joined.map(({ installation, name }) => [name ? `${name} ` : '', link(`process/${installation}`, installation), ' '])
  ]))
}

const create = context => h('section', { 'aria-label': 'Run a process' }, h('details', {}, h('summary', {}, h('h2', {}, 'Run a process')),
  h('p', { class: 'soft' }, 'The definition is a file that a member has; ', h('code', {}, 'rings process create'), ' puts it there and does the same as this.'),
  h('form', { class: 'work', onsubmit: event => install(event, context) },
    h('label', { for: 'process' }, 'Process (CID)'), h('input', { id: 'process', name: 'process', required: true, autocomplete: 'off', spellcheck: 'false' }),
    h('label', { for: 'instances' }, 'Instances (service=0x…, separated by spaces)'),
    h('input', { id: 'instances', name: 'instances', required: true, autocomplete: 'off', spellcheck: 'false' }),
    h('p', {}, h('button', { disabled: token() === '' }, 'Run it')))))

function install(event, context) {
  event.preventDefault()
  const form = new FormData(event.target)
  const pairs = form.get('instances').split(/\s+/).filter(Boolean).map(pair => pair.split('='))
  const params = { ring: context.ring.ring, process: form.get('process').trim(), instances: Object.fromEntries(pairs) }
  start('processes', 'Run a process', () => call('rings_createProcess', params, token()), answer, context)
}
