// The page about a member: it asks the member that served it, every two seconds while somebody looks, and shows the section that the
// address names (#/gates, #/gate/0x…).
//
// A section is `{path, title, hidden?, needs?, moves?, load, draw}`: `load(context, ids)` asks for what it shows, `draw(context, loaded, ids)`
// gives elements. One with `needs` is shown when the member has that method; while `moves(loaded)`, it is read again more often.

import { call, ask, health as askHealth } from './rpc.js'
import { h, show } from './dom.js'
import { Logs } from './logs.js'
import { short, spelled } from './format.js'
import { ring } from './ring.js'
import { member } from './member.js'
import { gate, gates } from './gates.js'
import { request, requests } from './requests.js'
import { processes } from './processes.js'
import { process } from './process.js'
import { execution } from './execution.js'
import { clients } from './clients.js'
import { registry } from './registry.js'
import { operate } from './operate.js'

/** Between two looks, in milliseconds. */
const PERIOD = 2000
/** The same while what is shown moves. */
const QUICK = 500
const SECTIONS = [ring, gates, requests, processes, registry, clients, operate, gate, request, process, execution, member]

const at = id => document.getElementById(id)
const context = { logs: new Logs(), methods: new Set(), redraw, look }
let drawn
let loaded
let turn = 0

function route() {
  const [path = '', ...ids] = decodeURIComponent(location.hash.replace(/^#\/?/, '')).split('/')
  return { section: SECTIONS.find(section => section.path === path.toLowerCase()) ?? ring, ids: ids.map(spelled) }
}

const isOffered = ({ hidden, needs }) => !hidden && (needs === undefined || context.methods.has(needs))

function redraw() {
  const { section, ids } = route()
  if (loaded === undefined || loaded.key !== location.hash) return
  show(at('content'), section.draw(context, loaded.value, ids))
  show(at('sections'), SECTIONS.filter(isOffered).map(each => h('li', {},
    h('a', { href: `#/${each.path}`, 'aria-current': each === section ? 'page' : undefined }, each.title))))
  document.title = `${section.title} – Rings ${context.ring.ring.slice(0, 8)}`
  if (drawn !== undefined && drawn !== location.hash) at('content').focus()
  drawn = location.hash
}

async function look() {
  const mine = ++turn
  const key = location.hash
  try {
    const { section, ids } = route()
    await common()
    const value = await section.load(context, ids)
    if (mine !== turn) return
    loaded = { key, value }
    redraw()
  } catch (error) {
    if (mine === turn) troubled(error, key)
  }
}

/** What every section shows. */
async function common() {
  const health = await askHealth()
  if (context.methods.size === 0) {
    const { methods } = await call('rpc.discover')
    context.methods = new Set(methods.map(({ name }) => name))
  }
  const [status] = await ask([['rings_status']])
  if (status instanceof Error) throw status
  context.status = status
  context.ring = await call('rings_getRing', { ring: status.ring })
  await context.logs.refresh(context.ring)
  show(at('where'), 'member ', short(status.member))
  show(at('about'), `rings ${status.version}. Chain ${status.chainId}, block ${status.block}.`)
  sayHealth(health)
}

function sayHealth({ following, trouble, warnings = [] }) {
  const lines = [...(following ? [] : [`It does not follow its chain: ${trouble}`]), ...warnings]
  show(at('health'), lines.map(line => h('span', { class: following ? 'warn' : 'bad' }, line, ' ')))
}

function troubled(error, key) {
  show(at('health'), h('span', { class: 'bad' }, `This member does not answer as it should: ${error.message}`))
  if (loaded?.key !== key) {
    loaded = undefined
    show(at('content'), h('h1', {}, 'Nothing to show'), h('p', {}, error.message), h('p', {}, h('a', { href: '#/' }, 'To the ring')))
  }
}

/** What somebody looks for: a member by its address, a gate by any other, a request by its digest, an execution by its CID. */
function find(event) {
  event.preventDefault()
  const wanted = new FormData(event.target).get('wanted').trim()
  if (/^(Qm[1-9A-HJ-NP-Za-km-z]{44}|b[a-z2-7]{20,})$/.test(wanted)) location.hash = `#/execution/${wanted}`
  else findHex(wanted.toLowerCase())
}

function findHex(wanted) {
  const isMember = context.ring?.members.some(({ address }) => address.toLowerCase() === wanted)
  if (/^0x[0-9a-f]{64}$/.test(wanted)) location.hash = `#/request/${wanted}`
  else if (/^0x[0-9a-f]{40}$/.test(wanted)) location.hash = `#/${isMember ? 'member' : 'gate'}/${wanted}`
  else show(at('health'), h('span', { class: 'warn' }, 'That is neither an address (40 digits after 0x) nor a digest (64), nor a CID.'))
}

const isMoving = () => loaded?.key === location.hash && route().section.moves?.(loaded.value)

async function watch() {
  for (;;) {
    if (!document.hidden) await look()
    await new Promise(resolve => setTimeout(resolve, isMoving() ? QUICK : PERIOD))
  }
}

at('find').addEventListener('submit', find)
addEventListener('hashchange', look)
watch()
