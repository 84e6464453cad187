// One execution: its state, what went in and came out, the votes on its request, and the way back to its event.

import { facts, h, part, table } from './dom.js'
import { ago, data, link, short, state, whole } from './format.js'
import { graph } from './graph.js'
import { votes } from './gates.js'
import { trace } from './trace.js'

/** Longer documents are cut on the page; the whole is behind its link. */
const MOST_LETTERS = 4000

export const execution = {
  path: 'execution',
  title: 'Execution',
  hidden: true,
  load: (_, [cid]) => trace(cid),
  moves: ({ root }) => ['created', 'started'].includes(root.view?.state),
  draw: (_, traced) => [
    h('h1', {}, 'Execution ', whole(traced.root.cid)),
    about(traced),
    traced.root.document && part('Inputs', json(traced.root.document.inputs)),
    traced.root.answer?.document && part('Answer', json(traced.root.answer.document)),
    back(traced),
    traced.event && came(traced.event),
    traced.root.request && votes(traced.root.request)
  ]
}

function json(value) {
  const text = JSON.stringify(value, null, 2)
  return h('pre', {}, text.length > MOST_LETTERS ? `${text.slice(0, MOST_LETTERS)}…` : text)
}

const labelOf = ({ document, view }) => view?.node ?? (document ? `${document.node}${document.each === undefined ? '' : `[${document.each}]`}` : 'unknown')
/** The result of a wait is the event that came. */
const statusOf = ({ answer, document }) => document?.awaits && answer?.document?.event ? 'came' : answer?.document?.status
const stateOf = ({ view }) => view?.state ?? 'unknown'

/** How far the request is, with its votes; of an external task, on whose word its result rests. */
function agreed({ view, request }) {
  if (view?.by?.length > 0) return [`none: external, not validated, on the word of ${view.by.join(', ')}`]
  if (view?.awaits) return [['created', 'started'].includes(view.state) ? 'none: it waits, and the ring decides' : 'none: the ring has decided']
  if (view?.gate) return ['none: settled on the chain by gate ', link(`gate/${view.gate}`, view.gate)]
  if (!view?.request) return ['none yet']
  return [link(`request/${view.request}`, view.request),
    request ? `, ${request.state}: ${request.votes.length} votes, ${request.quorum} needed${request.final ? ', final' : ''}` : '']
}

const about = ({ root, run }) => part('The execution', facts([
  ['State', [state(stateOf(root)), statusOf(root) ? `: ${statusOf(root)}` : '', root.view?.reason ? `: ${root.view.reason}` : '']],
  root.view === undefined && ['Known', 'not to this member: the documents are all that it has'],
  ['Node', [labelOf(root), root.document ? root.document.awaits ? `, waits for ${root.document.awaits}` : `, task ${root.document.task}` : '']],
  root.view && ['Process', [run?.name ? `${run.name} ` : '', link(`process/${root.view.installation}/${root.view.event}`, root.view.installation)]],
  ['Document', root.document ? data(root.cid) : root.trouble],
  ['Result', root.view?.result ? data(root.view.result) : 'none yet'],
  ['Request', agreed(root)],
  root.view?.time && ['Ended', ago(root.view.time)]
]))

/** A line for the whole: what was found out here about the hashes. */
function verdict({ steps, event, isWhole }) {
  const wrong = steps.flatMap(step => step.faults.map(fault => `${labelOf(step)}: ${fault}`))
  if (event?.trouble) wrong.push(`event: ${event.trouble}`)
  if (wrong.length > 0) return h('p', { class: 'bad' }, wrong.join('; '), '.')
  const isHashed = [...steps, event, ...steps.map(({ answer }) => answer).filter(Boolean)].every(each => each?.checked)
  return h('p', { class: isHashed ? 'good' : 'soft' },
    isHashed ? 'Every document was hashed here and has its name' : 'The documents could not be hashed here; that takes https, or this machine',
    isWhole ? '.' : '; what lies further back is not shown.')
}

const back = traced => part('Back to its event',
  verdict(traced),
  graph('What it came from', boxes(traced), links(traced)),
  table('Steps', ['Step', 'State', 'Document', 'Result', 'Request'], [...traced.steps.map(row), ...(traced.event ? [eventRow(traced.event)] : [])]),
  h('p', { class: 'soft' }, h('code', {}, `rings trace ${traced.root.cid}`), ' also goes through the process from the event, and compares; ', h('code', {}, 'rings verify REQUEST'), ' computes a step again.'))

const row = step => [
  h('a', { href: `#/execution/${step.cid}` }, labelOf(step)),
  [state(stateOf(step)), statusOf(step) ? `: ${statusOf(step)}` : ''],
  data(step.cid),
  step.view?.result ? data(step.view.result) : 'none yet',
  agreed(step)
]

const eventRow = event => [`event ${event.document?.event ?? ''}`, source(event.document?.source), data(event.cid), 'none', 'none']

/** Boxes from the event down to the result. */
function boxes({ steps, event }) {
  const first = event ? [{ id: event.cid, lines: ['event', event.document?.event ?? 'unknown'], state: 'succeeded', title: `event ${event.cid}` }] : []
  return [...first, ...[...steps].reverse().map(step => ({
    id: step.cid,
    lines: [labelOf(step), step.document?.task ?? step.document?.awaits ?? step.view?.task ?? 'unknown', statusOf(step) ? `${stateOf(step)}: ${statusOf(step)}` : stateOf(step)],
    room: 18,
    state: stateOf(step),
    href: `#/execution/${step.cid}`,
    title: `${labelOf(step)}: ${stateOf(step)}, execution ${step.cid}`
  }))]
}

function links({ steps, event }) {
  const known = new Map(steps.map(step => [step.cid, step]))
  return steps.flatMap(step => {
    const parents = step.parents.filter(({ execution }) => known.has(execution))
    if (parents.length > 0) return parents.map(({ execution }) => ({ from: execution, to: step.cid, label: statusOf(known.get(execution)), way: 'taken' }))
    return event && step.parents.length === 0 ? [{ from: event.cid, to: step.cid, way: 'taken' }] : []
  })
}

/** Where an event comes from, in words. */
function source(from) {
  switch (from?.by) {
    case 'hand': return 'by hand, the word of the member that took it down'
    case 'webhook': return `a webhook, id ${from.id}`
    case 'schedule': return `a schedule, due at ${new Date(from.time * 1000).toISOString()}`
    case 'chain': return ['chain ', String(from.chain), ', contract ', short(from.contract), ', transaction ', short(from.transaction), `, log ${from.index}`]
    case 'task': return ['the task of ', link(`execution/${from.execution['/']}`, from.execution['/'])]
    default: return 'unknown'
  }
}

const came = ({ cid, document, trouble }) => part('The event',
  trouble ? h('p', {}, trouble) : [
    facts([['Event', [document.event, ', ', data(cid)]], document.instance && ['Instance', short(document.instance)], ['Source', source(document.source)]]),
    json(document.data)
  ])
