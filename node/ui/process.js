// One process: its graph with a run of it, the executions of that run, its runs, and what may be done with it.
//
// The page's address names the process and, behind it, the event of the run that is shown (`newest` without it) and the run before which the
// list begins: #/process/0x…/Qm…/40.

import { call } from './rpc.js'
import { facts, h, part, table } from './dom.js'
import { ago, data, link, short, state } from './format.js'
import { answered } from './answer.js'
import { nodesOf, startOf } from './definition.js'
import { actions, emit } from './drive.js'
import { file, files } from './files.js'
import { graph } from './graph.js'
import { nodeOf, progress, wayOf } from './progress.js'
import { gateLines, gatesOf, gateWords } from './settled.js'
import { tokenPart } from './token.js'

const RUNS = 20
/** Executions that are asked for: the most that the member gives at once. */
const EXECUTIONS = 256
/** Executions in the list. */
const SHOWN = 40
/** Nodes of a table that is open from the beginning. */
const LONG = 60

export const process = {
  path: 'process',
  title: 'Process',
  hidden: true,
  load: async (_, [installation, event = 'newest', before]) => {
    const page = await call('rings_getProcess', { installation, limit: RUNS, ...(before === undefined ? {} : { before: Number(before) }) })
    const definition = await file(page.process.process)
    const services = await files(Object.values(page.process.services))
    const chosen = event === 'newest' ? page.runs[0]?.event : event
    const run = page.runs.find(each => each.event === chosen)
    return { ...page, definition, services, chosen, run, ...await executionsOf(chosen, installation) }
  },
  moves: ({ run, process }) => run?.state === 'open' && process.state === 'active',
  draw: (context, loaded, [installation]) => [
    h('h1', {}, 'Process ', loaded.process.name ?? short(installation)),
    about(loaded),
    drawing(loaded),
    executions(loaded),
    runs(loaded, installation),
    actions(context, loaded.process),
    emit(context, loaded),
    tokenPart(context),
    answered(installation)
  ]
}

/** The executions that follow from an event in one process, and what those that have ended gave. */
async function executionsOf(event, installation) {
  if (event === undefined) return { executions: [], answers: new Map(), gates: new Map() }
  const found = await call('rings_listExecutions', { event, limit: EXECUTIONS })
  const executions = found.executions.filter(each => each.installation === installation)
  const answers = await files(executions.filter(({ state, result }) => state === 'succeeded' && result).map(({ result }) => result))
  return { executions, answers, gates: await gatesOf(executions), isCut: found.executions.length === EXECUTIONS }
}

const statusOf = ({ answers }) => ({ result }) => answers.get(result)?.document?.status

const about = ({ process, definition }) => part('The process', facts([
  ['State', state(process.state)],
  definition.document?.about && ['About', definition.document.about],
  ['Starts on', process.on ?? 'its definition is not here yet'],
  ['Runs', `${process.runs}, of which ${process.open} are under way`],
  ['Installation', short(process.installation)],
  ['Definition', [data(process.process), definition.checked ? ', hashed here' : '']],
  ['Installed by', [link(`member/${process.by}`, process.by), `, for events from block ${process.since}`]],
  ...Object.entries(process.instances).map(([name, instance]) => [`Instance of ${name}`,
    [short(instance), process.services[name] ? [', service ', data(process.services[name])] : '']])
]))

function drawing(loaded) {
  const { definition, chosen, run } = loaded
  if (definition.trouble) return part('Graph', h('p', {}, `It cannot be drawn: ${definition.trouble}.`))
  const nodes = nodesOf(definition.document)
  const states = progress(nodes, run, loaded.executions, { statusOf: statusOf(loaded), isCut: loaded.isCut })
  const boxes = [start(definition.document, chosen), ...nodes.map(node => box(node, states.get(node.name), loaded))]
  return part('Graph',
    h('p', {}, chosen === undefined ? 'It has not run yet.' : [run ? [`Run ${run.number}, `, state(run.state), ', ', ago(run.since), run.orphaned ? ', orphaned: a reorganisation has taken its event from the chain' : ''] : 'A run', ', from event ', data(chosen)]),
    graph(`Graph of ${definition.document.process}`, boxes, links(nodes, states)),
    inWords(nodes, states, loaded))
}

/** The same as the drawing, in words; what is long is opened by whoever wants it. */
function inWords(nodes, states, loaded) {
  const all = table('Nodes', ['Node', 'Kind', 'State', 'After'], nodes.map(node => row(node, states.get(node.name), loaded)))
  return nodes.length <= LONG ? all : h('details', {}, h('summary', {}, `All ${nodes.length} nodes`), all)
}

const start = (definition, chosen) =>
  ({ id: ' event', lines: ['event', startOf(definition)], state: chosen ? 'succeeded' : 'waiting', title: `starts on ${startOf(definition)}` })

const word = ({ state, status }) => status ? `${state}: ${status}` : state

function done({ executions = [] }, isCut) {
  const ended = executions.filter(({ state }) => ['succeeded', 'failed', 'expired'].includes(state))
  return executions.length > 1 ? `${ended.length} of ${executions.length}${isCut ? ' or more' : ''}` : undefined
}

function box(node, now, { isCut, gates }) {
  const counted = done(now, isCut)
  return {
    id: node.name,
    lines: [node.name, ['task', 'wait'].includes(node.kind) ? node.what : node.kind, counted ? `${now.state}: ${counted}` : word(now), ...gateLines(node, now, gates)],
    room: node.isSettled ? 22 : 18,
    state: now.state,
    shape: node.kind,
    href: now.executions?.length === 1 ? `#/execution/${now.executions[0].execution}` : undefined,
    title: `${node.name}, ${node.kind} ${node.what}: ${word(now)}${now.reason ? `, ${now.reason}` : ''}`
  }
}

function links(nodes, states) {
  return nodes.flatMap(({ name, before }) => before.length === 0
    ? [{ from: ' event', to: name, way: states.get(name).state === 'waiting' ? 'open' : 'taken' }]
    : before.map(each => ({ from: each.from, to: name, label: each.status, way: wayOf(each, states) })))
}

const row = (node, now, { isCut, gates }) => [
  node.name,
  [`${node.kind} `, h('code', {}, node.what), node.each ? ', for each element' : ''],
  [state(now.state), now.status ? `: ${now.status}` : '', done(now, isCut) ? `, ${done(now, isCut)} ended` : '', now.reason ? `: ${now.reason}` : '', gateWords(now, gates)],
  node.before.length === 0 ? 'the event' : node.before.map(({ from, status }) => status ? `${from}.${status}` : from).join(', ')
]

function executions(loaded) {
  const { executions, isCut } = loaded
  if (executions.length === 0) return undefined
  const shown = executions.slice(0, SHOWN)
  return part('Executions of this run',
    table('Executions', ['Execution', 'Node', 'State', 'Result', 'Ended'], shown.map(each => [
      link(`execution/${each.execution}`, each.execution),
      each.node ?? nodeOf(each),
      [state(each.state), statusOf(loaded)(each) ? `: ${statusOf(loaded)(each)}` : '', each.reason ? `: ${each.reason}` : ''],
      each.result ? data(each.result) : 'none',
      each.time ? ago(each.time) : 'not yet'
    ])),
    shown.length < executions.length || isCut ? h('p', { class: 'soft' }, `The newest ${shown.length} of ${isCut ? 'more than ' : ''}${executions.length}.`) : undefined)
}

const runs = ({ runs, chosen, next }, installation) => part('Runs', runs.length === 0 ? h('p', {}, 'None yet.')
  : table('Runs', ['Run', 'State', 'Event', 'Came', 'Found first by'], runs.map(run => [
    h('a', { href: `#/process/${installation}/${run.event}`, 'aria-current': run.event === chosen ? 'true' : undefined }, `run ${run.number}`),
    state(run.state),
    data(run.event),
    ago(run.since),
    run.by ? link(`member/${run.by}`, run.by) : 'this member'
  ])),
next === undefined || next === null ? undefined : h('p', {}, h('a', { href: `#/process/${installation}/newest/${next}` }, 'Older runs')))
