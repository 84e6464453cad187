// The ring: what it is, its members, their heads and how far behind they are, and what happened last.

import { facts, h, part, svg, table } from './dom.js'
import { ago, bytes, ether, link, short, whole, yesNo } from './format.js'

/** Log nodes that are shown. */
const SHOWN = 12

export const ring = {
  path: '',
  title: 'Ring',
  load: () => undefined,
  draw: ({ status, ring, logs }) => [
    h('h1', {}, 'Ring ', whole(ring.ring)),
    h('div', { class: 'two' },
      part('The ring', facts([
        ['Members', `${ring.members.length}, of which ${ring.quorum} must agree`],
        ['Epoch', String(ring.epoch)],
        ['Keeper', ring.keeper ? short(ring.keeper) : 'none: two thirds of the members change it'],
        ['Engine', short(ring.engine)],
        ['Ring node head', /^0x0+$/.test(ring.ringNodeHead) ? 'none yet' : short(ring.ringNodeHead)],
        ['Chain', `${status.chainId}, at block ${status.block}`],
        ...ring.forks.map(({ member, seq, proven }) => ['Fork', h('span', { class: 'bad' }, short(member), ` signed two nodes at ${seq}${proven ? ', settled on chain' : ''}`)])
      ])),
      drawing(status, ring)),
    part('Members', members(status, ring)),
    part('This member', facts([
      ['Account', short(status.member)],
      ['Program', `rings ${status.version}, ${status.profile}`],
      ['Store', `${status.store.kind}: ${status.store.blocks} blocks, ${bytes(status.store.bytes)}`],
      status.balance && ['Balance', `${ether(status.balance)}${status.registrations === null ? '' : `, about ${status.registrations} registrations`}`],
      ...status.providers.map(({ endpoint, used, trouble }) =>
        ['Provider', `${endpoint}${used ? ', in use' : ''}${trouble ? `: ${trouble}` : ''}`])
    ])),
    part('What happened last', logs.nodes.length === 0 ? h('p', {}, 'Nothing yet.') : logs.nodes.slice(0, SHOWN).map(entry))
  ]
}

function members(status, { members }) {
  const furthest = Math.max(-1, ...members.map(({ head }) => head?.seq ?? -1))
  const unreachable = new Map(status.unreachable.map(each => [each.member, each]))
  const row = ({ address, connected, lastSeen, head, stalled, heldBack, diverged, forked }) => [
    [link(`member/${address}`, address), address === status.member ? ' this one' : ''],
    [yesNo(connected, 'connected', 'away'), unreachable.has(address) ? `: ${unreachable.get(address).reason}` : ''],
    address === status.member ? 'now' : ago(lastSeen),
    head ? `node ${head.seq}` : 'empty',
    lag(address === status.member ? { stalled: 0 } : { stalled, heldBack }),
    forked ? h('span', { class: 'bad' }, 'forked its log')
      : diverged.length > 0 ? h('span', { class: 'warn' }, `diverged on ${diverged.length}`) : 'none'
  ]
  return [
    table('Members', ['Member', 'Connection', 'Last heard', 'Log head', 'Lag', 'Faults'], members.map(row)),
    furthest < 0 ? undefined : h('p', { class: 'soft' }, 'Heads as far as this member knows them.')
  ]
}

function lag({ stalled, heldBack }) {
  if (heldBack !== null && heldBack !== undefined) return h('span', { class: 'warn' }, `held back from node ${heldBack}`)
  return stalled > 0 ? `did not deliver ${stalled} times` : 'none'
}

/** The members in a circle, and who is connected with this one. The table says the same. */
function drawing(status, { members }) {
  const [middle, radius] = [100, 70]
  const place = at => {
    const angle = 2 * Math.PI * at / members.length - Math.PI / 2
    return [middle + radius * Math.cos(angle), middle + radius * Math.sin(angle)].map(value => value.toFixed(1))
  }
  const own = place(members.findIndex(({ address }) => address === status.member))
  const lines = members.map(({ connected }, at) => {
    const [x2, y2] = place(at)
    return svg('line', { class: connected ? 'link on' : 'link', x1: own[0], y1: own[1], x2, y2 })
  })
  const dots = members.map(({ connected, head, address }, at) => {
    const [cx, cy] = place(at)
    const label = svg('text', { x: cx, y: Number(cy) + 3 }, head ? String(head.seq) : '–')
    return [svg('circle', { class: connected ? 'dot on' : 'dot', cx, cy, r: 13 }), label, svg('title', {}, address)]
  })
  return svg('svg', { class: 'drawing', viewBox: '0 0 200 200', 'aria-hidden': 'true' }, lines, dots)
}

/** One log node. */
export function entry({ member, seq, time, messages }) {
  const said = ({ words }) => h('li', {}, words.map(word => {
    if (typeof word === 'string') return word
    const [[kind, id]] = Object.entries(word)
    return [' ', kind === 'client' ? short(id) : link(`${kind}/${id}`, id)]
  }))
  return h('div', { class: 'node' },
    h('p', {}, link(`member/${member}`, member), ` node ${seq}`, time ? h('span', { class: 'soft' }, `, ${ago(time * 1000)}`) : ''),
    messages.length === 0 ? h('p', { class: 'soft' }, 'says nothing') : h('ul', {}, messages.map(said)))
}
