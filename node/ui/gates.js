// Gates that members voted on lately, and one gate with its votes.

import { ask, call } from './rpc.js'
import { facts, h, part, table } from './dom.js'
import { data, link, milliseconds, short, state, whole } from './format.js'
import { newest } from './logs.js'

/** Gates in the list. */
const SHOWN = 20
const FINAL = new Map()

export const gates = {
  path: 'gates',
  title: 'Gates',
  load: async ({ logs }) => {
    const ids = newest(logs.gates).slice(0, SHOWN)
    const open = ids.filter(id => !FINAL.has(id))
    const answers = await ask(open.map(gate => ['rings_getGate', { gate }]))
    const found = new Map(open.map((id, at) => [id, answers[at]]))
    for (const [id, gate] of found) if (gate.final) FINAL.set(id, gate)
    return ids.map(id => FINAL.get(id) ?? found.get(id)).filter(gate => !(gate instanceof Error))
  },
  draw: (_, list) => [
    h('h1', {}, 'Gates'),
    part('Voted on lately', list.length === 0 ? h('p', {}, 'No member has voted on a gate lately.')
      : table('Gates', ['Gate', 'State', 'Votes', 'Inputs', 'Result'], list.map(row)))
  ]
}

const row = gate => [
  link(`gate/${gate.gate}`, gate.gate),
  [state(gate.state), gate.final ? ', final' : ''],
  `${gate.votes.length} of ${gate.quorum} needed`,
  String(gate.inputs.length),
  gate.result === null ? 'none yet' : gate.result.map(({ cid }) => [data(cid), ' '])
]

export const gate = {
  path: 'gate',
  title: 'Gate',
  hidden: true,
  load: (_, [id]) => call('rings_getGate', { gate: id }),
  draw: (_, gate) => [
    h('h1', {}, 'Gate ', whole(gate.gate)),
    part('The gate', facts([
      ['State', [state(gate.state), gate.reason ? `: ${gate.reason}` : '', gate.final ? ', final' : '']],
      ['Votes', `${gate.votes.length}, and ${gate.quorum} must agree (epoch ${gate.epoch})`],
      gate.scope && ['Scope', short(gate.scope)],
      ...gate.rings.map((ring, at) => [at === 0 ? 'Ring' : 'Fall-back ring', short(ring)]),
      gate.transaction && ['Registered', [short(gate.transaction), ` in block ${gate.block}`]],
      ...(gate.notes ?? []).map(note => ['Note', note])
    ])),
    inputs(gate.inputs),
    results(gate.result),
    votes(gate),
    times([['compute', gate.milliseconds.compute], ['two thirds', gate.milliseconds.quorum], ['register', gate.milliseconds.register]])
  ]
}

/** Inputs of a gate or a request; the first of a gate is the operation. */
export const inputs = list => part('Inputs', list.length === 0 ? h('p', {}, 'None.')
  : table('Inputs', ['Pin', 'Holds'], list.map((input, at) => [String(at),
    input.cid ? data(input.cid) : ['output ', String(input.pin), ' of ', input.gate ? link(`gate/${input.gate}`, input.gate) : link(`request/${input.request}`, input.request)]])))

export const results = list => part('Result', list === null ? h('p', {}, 'None yet.')
  : table('Result', ['Pin', 'Data'], list.map(({ pin, cid }) => [String(pin), data(cid)])))

/** Who voted for what, and who is silent. */
export const votes = ({ votes, silent }) => part('Votes',
  votes.length === 0 ? h('p', {}, 'None was seen here.') : table('Votes', ['Member', 'Agrees', 'Voted for', 'Fuel', 'Profile'],
    votes.map(({ member, agrees, outputs, fuel, profile }) => [
      link(`member/${member}`, member),
      agrees === null ? 'not known yet' : h('span', { class: agrees ? 'good' : 'bad' }, agrees ? 'yes' : 'no'),
      outputs.map(({ pin, cid }) => [`${pin}: `, data(cid), ' ']),
      fuel.toLocaleString('en'),
      profile
    ])),
  silent.length === 0 ? undefined : h('p', {}, 'Not seen here: ', silent.map(member => [link(`member/${member}`, member), ' '])))

export const times = pairs => part('How long it took at this member',
  h('ol', { class: 'steps' }, pairs.map(([name, value]) => h('li', {}, `${name}: ${milliseconds(value)}`))))
