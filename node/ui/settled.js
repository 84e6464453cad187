// Gates that settle executions: which there are, and how far each is, in words. A process draws them in its nodes.

import { ask } from './rpc.js'
import { link } from './format.js'

/** Gates that are asked for at once; of the others only the address is shown. */
const MOST = 32

/** What this member knows of the gates of executions, by their addresses. */
export async function gatesOf(executions) {
  const ids = [...new Set(executions.map(({ gate }) => gate).filter(Boolean))].slice(0, MOST)
  const answers = await ask(ids.map(gate => ['rings_getGate', { gate }]))
  return new Map(ids.map((id, at) => [id, answers[at]]))
}

/** How far the gate of an execution is: not open yet, open with so many votes, or settled. */
function wordOf({ gate, state }, gates) {
  const view = gates.get(gate)
  if (state === 'succeeded' || view?.result) return view?.final ? 'settled, final' : 'settled'
  if (state === 'failed' || view?.state === 'failed') return 'failed'
  if (state === 'expired') return 'given up'
  if (view === undefined || view instanceof Error || view.state === 'unknown') return 'not open yet'
  return view.state === 'ready' ? `open, ${view.votes.length} of ${view.quorum} votes` : `open, ${view.state}`
}

const withGate = ({ executions = [] }) => executions.filter(({ gate }) => gate)

/** Lines of a node's box; as many before its gate is known, so that the drawing keeps its form. */
export function gateLines(node, now, gates) {
  if (!node.isSettled) return []
  const [first, ...others] = withGate(now)
  if (first === undefined) return ['by a gate', 'not known yet']
  return [`gate ${first.gate.slice(0, 8)}…${first.gate.slice(-6)}`, others.length === 0 ? wordOf(first, gates) : `and ${others.length} more`]
}

/** The same for the table, with links. */
export const gateWords = (now, gates) => withGate(now).map(each => [', gate ', link(`gate/${each.gate}`, each.gate), `: ${wordOf(each, gates)}`])
