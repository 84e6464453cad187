// Requests that members voted on lately, and one with its votes, the ring node that lists it, and its proof.

import { RpcError, ask, call } from './rpc.js'
import { facts, h, part, table } from './dom.js'
import { data, link, short, state, whole, yesNo } from './format.js'
import { inputs, results, times, votes } from './gates.js'
import { newest } from './logs.js'

const SHOWN = 20

export const requests = {
  path: 'requests',
  title: 'Requests',
  load: async ({ logs }) => {
    const answers = await ask(newest(logs.requests).slice(0, SHOWN).map(request => ['rings_getRequest', { request }]))
    return answers.filter(answer => !(answer instanceof Error))
  },
  draw: (_, list) => [
    h('h1', {}, 'Requests'),
    part('Voted on lately', list.length === 0 ? h('p', {}, 'No member has voted on a request lately.')
      : table('Requests', ['Request', 'State', 'Votes', 'Ring node', 'Result'], list.map(request => [
        link(`request/${request.request}`, request.request),
        [state(request.state), request.final ? ', final' : ''],
        `${request.votes.length} of ${request.quorum} needed`,
        request.ringNode ? String(request.ringNode.number) : 'none yet',
        request.result === null ? 'none yet' : request.result.map(({ cid }) => [data(cid), ' '])
      ])))
  ]
}

export const request = {
  path: 'request',
  title: 'Request',
  hidden: true,
  load: async (_, [id]) => {
    const found = await call('rings_getRequest', { request: id })
    if (found.ringNode === null) return { found }
    try {
      return { found, proof: await call('rings_getProof', { request: id }) }
    } catch (error) {
      if (error instanceof RpcError) return { found, unproven: error.message }
      throw error
    }
  },
  draw: (_, { found, proof, unproven }) => [
    h('h1', {}, 'Request ', whole(found.request)),
    part('The request', facts([
      ['State', [state(found.state), found.reason ? `: ${found.reason}` : '', found.final ? ', final' : '']],
      ['Votes', `${found.votes.length}, and ${found.quorum} must agree (epoch ${found.epoch})`],
      found.author && ['Asked by', link(`member/${found.author}`, found.author)],
      found.operation && ['Operation', data(found.operation)],
      found.profile && ['Profile', found.profile],
      found.until !== null && ['Listed by', `ring node ${found.until} at the latest`]
    ])),
    inputs(found.inputs),
    results(found.result),
    votes(found),
    part('Proof', proof ? shown(proof) : h('p', {}, unproven ?? 'There is one as soon as a ring node lists the request.')),
    times([['compute', found.milliseconds.compute], ['two thirds', found.milliseconds.quorum], ['ring node', found.milliseconds.list]])
  ]
}

const shown = proof => [
  facts([
    ['Ring node', [`number ${proof.ringNode.number}, `, short(proof.ringNode.cid)]],
    ['Registered', [short(proof.ringNode.transaction), ` in block ${proof.ringNode.block}`]],
    ['Anchor', `ring node ${proof.anchor.number}, which the chain names${proof.lasting ? ' for good' : ' for now'}`],
    ['Final', yesNo(proof.final, 'yes', 'not yet')],
    ['Size', `${(proof.proof.length - 2) / 2} bytes`]
  ]),
  h('p', {}, h('button', { onclick: () => save(proof) }, 'Save the proof')),
  h('p', { class: 'soft' }, h('code', {}, 'rings verify FILE'), ' checks it with the chain alone.')
]

function save({ request, proof }) {
  const bytes = Uint8Array.from(proof.slice(2).match(/../g) ?? [], digits => parseInt(digits, 16))
  const url = URL.createObjectURL(new Blob([bytes]))
  h('a', { href: url, download: `${request.slice(2, 18)}.proof` }).click()
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}
