// How far the nodes of a run are, from the executions that the member knows. Filters and maps have no executions: each member computes
// them by itself, so here they are known by what followed them.

/** The node of an execution: of `count[3]`, `count`. */
export const nodeOf = ({ node }) => (node ?? '').replace(/\[\d+\]$/, '')

/** What each node must have ended with, for an execution that is there follows it. */
function proven(nodes, byNode) {
  const statuses = new Map()
  for (const { name, before } of [...nodes].reverse()) {
    if (!byNode.has(name) && !statuses.has(name)) continue
    for (const { from, status } of before) statuses.set(from, status ?? statuses.get(from) ?? '')
  }
  return statuses
}

function ofExecutions(executions, statusOf) {
  const is = state => executions.filter(each => each.state === state)
  if (is('created').length + is('started').length > 0) return { state: is('started').length > 0 ? 'started' : 'created' }
  const failed = is('failed')
  if (failed.length > 0) return { state: 'failed', reason: failed[0].reason }
  const statuses = new Set(executions.map(each => each.state === 'expired' ? 'expired' : each.awaits ? 'came' : statusOf(each)))
  if (statuses.size > 1) return { state: 'failed', reason: `its elements ended differently: ${[...statuses].join(', ')}` }
  return { state: 'succeeded', status: [...statuses][0] }
}

/** Why a node does not happen, once all before it have ended. */
function never({ before }, states) {
  for (const { from, status } of before) {
    const earlier = states.get(from)
    if (earlier.state !== 'succeeded') return `${from} ${earlier.state === 'failed' ? 'failed' : 'was skipped'}`
    if (status !== undefined && earlier.status !== undefined && earlier.status !== status) return `${from} is ${earlier.status}, not ${status}`
  }
  return undefined
}

/** The status of a filter in a run that is over: a task that waits for it alone has run, or it had the other. */
function excluded(filter, nodes, byNode) {
  const only = nodes.find(({ name, kind, before }) => kind === 'task' && before.length === 1 && before[0].from === filter && !byNode.has(name))
  return only && { yes: 'no', no: 'yes' }[only.before[0].status]
}

function computed({ name, kind }, { run, nodes, byNode, known }) {
  if (known.has(name)) return { state: 'succeeded', status: known.get(name) || undefined }
  if (run?.state === 'failed') return { state: 'waiting', reason: 'what it gave is not known here' }
  if (kind === 'map') return { state: 'succeeded', status: 'done' }
  return { state: 'succeeded', status: run?.state === 'done' ? excluded(name, nodes, byNode) : undefined }
}

function stateOf(node, states, all) {
  const executions = all.byNode.get(node.name)
  if (executions !== undefined) return { ...ofExecutions(executions, all.statusOf), executions }
  if (all.known.has(node.name)) return computed(node, all)
  const isOpen = ({ from }) => ['waiting', 'created', 'started', 'unknown'].includes(states.get(from).state)
  if (node.before.some(isOpen)) return { state: 'waiting' }
  const reason = never(node, states)
  if (reason !== undefined) return { state: 'skipped', reason }
  if (node.kind !== 'task' && node.kind !== 'wait') return computed(node, all)
  if (all.isCut) return { state: 'unknown', reason: 'its executions may be among those that are not shown' }
  return all.run?.state === 'done' ? { state: 'skipped', reason: 'there was nothing to do' } : { state: 'waiting' }
}

/**
 * The state of each node in a run: `{state, status?, reason?, executions?}`. `statusOf` says how an execution ended; `isCut`, that there are
 * executions besides these.
 */
export function progress(nodes, run, executions, { statusOf, isCut }) {
  const byNode = grouped(executions)
  const all = { run, nodes, byNode, statusOf, isCut, known: proven(nodes, byNode) }
  const states = new Map()
  for (const node of nodes) states.set(node.name, stateOf(node, states, all))
  return states
}

function grouped(executions) {
  const groups = new Map()
  for (const each of executions) groups.set(nodeOf(each), [...groups.get(nodeOf(each)) ?? [], each])
  return groups
}

/** Whether the way from one node to the next was taken: `taken`, `left`, or `open`. */
export function wayOf({ from, status }, states) {
  const { state, status: ended } = states.get(from) ?? { state: 'waiting' }
  if (['skipped', 'failed'].includes(state)) return 'left'
  if (state !== 'succeeded') return 'open'
  if (ended === undefined && status !== undefined) return 'open'
  return status === undefined || status === ended ? 'taken' : 'left'
}
