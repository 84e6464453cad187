// What the messages of log nodes say, for people, and which gates, requests and client rings they are about.

import { decode, fromBase64, hex } from './cbor.js'

/** Processes that are named of those that an event starts. */
const FEW = 3
const WISHES = { active: 'resume', paused: 'pause', cancelled: 'cancel' }

/** A message as it is shown: words, and what it is about. */
function about(words, subjects = {}) { return { words, ...subjects } }

const READERS = {
  Vote: ({ gate, outputs }) => about(['voted on gate', { gate: hex(gate) }, `, ${outputs.length} ${outputs.length === 1 ? 'output' : 'outputs'}`], { gate: hex(gate) }),
  RequestVote: ({ request }) => about(['voted on request', { request: hex(request) }], { request: hex(request) }),
  Request: ({ nonce, until }) => about([`asked a request (nonce ${nonce}), until ring node ${until}`]),
  Proposal: ({ header }) => about([`proposed ring node ${decode(header)[5]}`]),
  Endorsement: () => about(['endorsed a ring node']),
  Choice: ({ slot }) => about([`chose for slot ${hex(slot).slice(0, 10)}…`]),
  Rotation: ({ epoch }) => about([`made new keys, in epoch ${epoch}`]),
  FlushToRing: (payload, status) => flush(payload, status)
}

/** Messages about processes: documents in DAG-JSON. */
const OF_PROCESSES = {
  Installation: ({ process }) => about([`wants the ring to run process ${process['/']}`]),
  Event: ({ event, starts }) => about([`saw event ${event.event}, which starts`, ...starts.slice(0, FEW).map(process => ({ process })),
    starts.length === 0 ? ' nothing' : starts.length > FEW ? ` and ${starts.length - FEW} more` : '']),
  Execution: ({ execution, request, state }) => about(['says that execution', { execution: execution['/'] }, ` ${state}, asked by request`, { request }]),
  Attempt: ({ execution, reason, state }) => about([state === 'started' ? 'runs a connector for execution' : `says that its connector has ${state} execution`,
    { execution: execution['/'] }, reason ? `: ${reason}` : '']),
  Verdict: ({ by, execution }) => about(['proposes what execution', { execution: execution['/'] }, ` gave, on the word of ${by.length} ${by.length === 1 ? 'member' : 'members'}`]),
  Change: ({ installation, to }) => about([`wants to ${WISHES[to]} process`, { process: installation }])
}

function flush(payload, status) {
  if (status === 'received') return about(['took in an action of client ring', { client: hex(payload.ring) }], { client: hex(payload.ring) })
  if (status === 'relayed') return about([`relayed an action in transaction ${hex(payload.tx).slice(0, 10)}…`])
  return about([`gave up an action: ${payload.reason}`])
}

function read({ domain, type, status, payload }) {
  const bytes = fromBase64(payload['/'].bytes)
  const reader = { rings: READERS, processes: OF_PROCESSES }[domain]?.[type]
  if (reader === undefined) return about([`${domain} ${type} (${status || 'no status'}), ${bytes.length} bytes`])
  try {
    return reader(domain === 'rings' ? decode(bytes) : JSON.parse(new TextDecoder().decode(bytes)), status)
  } catch (error) {
    return about([`${type} that cannot be read: ${error.message}`])
  }
}

/** The messages of a node as the member gives it; a sealed one has none. */
export function messagesOf({ node }) {
  return node.content ? node.content.body.map(read) : [about(['sealed: only members of its ring can read it'])]
}
