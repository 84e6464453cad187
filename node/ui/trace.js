// What an execution came from, back to its event: read by the hashes that stand in each document, as `rings trace` does it. The member's
// view of each execution is put beside it: its request, and how many votes that has.

import { ask, call } from './rpc.js'
import { file, linked } from './files.js'
import { Kept } from './kept.js'

/** Executions that are walked through. */
const MOST = 200
/** Executions and requests that are kept, each. */
const KEPT = 1000
/** What has ended stays as it is: it is asked for once. */
const ended = new Kept(KEPT)
const final = new Kept(KEPT)

async function views(cids) {
  const open = cids.filter(cid => !ended.has(cid))
  const found = await ask(open.map(execution => ['rings_getExecution', { execution }]))
  const all = new Map(cids.map(cid => [cid, ended.get(cid)]))
  for (const [at, cid] of open.entries()) all.set(cid, found[at] instanceof Error ? undefined : found[at] ?? undefined)
  for (const [cid, view] of all) if (['succeeded', 'expired'].includes(view?.state)) ended.set(cid, view)
  return cid => all.get(cid)
}

async function requestsOf(ids) {
  const open = ids.filter(id => !final.has(id))
  const found = await ask(open.map(request => ['rings_getRequest', { request }]))
  const all = new Map(ids.map(id => [id, final.get(id)]))
  for (const [at, id] of open.entries()) all.set(id, found[at] instanceof Error ? undefined : found[at])
  for (const [id, request] of all) if (request?.final) final.set(id, request)
  return id => all.get(id)
}

const parentsOf = ({ document }) => (document?.parents ?? []).map(parent => ({ execution: linked(parent.execution), result: linked(parent.result) }))

/** The documents, each once, the nearest first; and whether all were read. */
async function walk(root) {
  const found = new Map()
  let open = [root]
  while (open.length > 0 && found.size < MOST) {
    const now = open.slice(0, MOST - found.size)
    const read = await Promise.all(now.map(file))
    for (const each of read) found.set(each.cid, each)
    const further = read.flatMap(parentsOf).map(({ execution }) => execution)
    open = [...new Set([...open.slice(now.length), ...further])].filter(cid => !found.has(cid))
  }
  return { found, isWhole: open.length === 0 }
}

/** What does not fit in a step, in words. */
function faults({ document, trouble, answer }, root, steps) {
  if (document === undefined) return [trouble]
  if (answer?.trouble) return [answer.trouble]
  const other = linked(document.event) === linked(root.document?.event) ? [] : ['it follows from another event']
  const rests = parentsOf({ document }).filter(({ execution, result }) => {
    const view = steps.get(execution)?.view
    return view?.result && view.result !== result
  })
  return [...other, ...rests.map(({ execution }) => `it rests on another result of ${execution} than this member has`)]
}

/** `{root, steps: [{cid, document, checked, view, request, answer, parents, faults}], event, definition, isWhole}`, the result first. */
export async function trace(cid) {
  const { found, isWhole } = await walk(cid)
  const view = await views([...found.keys()])
  const ids = [...found.keys()].map(each => view(each)?.request).filter(Boolean)
  const request = await requestsOf([...new Set(ids)])
  const steps = new Map()
  for (const [id, read] of found) steps.set(id, { ...read, view: view(id), request: request(view(id)?.request), parents: parentsOf(read) })
  const root = steps.get(cid)
  for (const step of steps.values()) {
    step.answer = step.view?.result ? await file(step.view.result) : undefined
    step.faults = faults(step, root, steps)
  }
  const eventCid = linked(root.document?.event) ?? root.view?.event
  const event = eventCid ? await file(eventCid) : undefined
  return { root, steps: [...steps.values()], event, isWhole, run: await installation(root) }
}

/** The process as the ring runs it, where this member knows it. */
async function installation({ view }) {
  if (view === undefined) return undefined
  try {
    return (await call('rings_getProcess', { installation: view.installation, limit: 1 })).process
  } catch {
    return undefined
  }
}
