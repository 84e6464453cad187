// One member, and its log.

import { messagesOf } from './messages.js'
import { call } from './rpc.js'
import { facts, h, part } from './dom.js'
import { ago, whole, yesNo } from './format.js'
import { entry } from './ring.js'

const PAGE = 30

export const member = {
  path: 'member',
  title: 'Member',
  hidden: true,
  load: ({ ring: { ring } }, [address, from]) =>
    call('rings_getLog', { ring, member: address, limit: PAGE, ...(from === undefined ? {} : { from: Number(from) }) }),
  draw: ({ ring }, page, [address, from]) => {
    const found = ring.members.find(each => each.address.toLowerCase() === address)
    const nodes = page.nodes.map(each => ({
      member: address, seq: each.seq, time: each.node.content?.time ?? 0, messages: messagesOf(each)
    }))
    return [
      h('h1', {}, 'Member ', whole(address)),
      found === undefined ? part('Not a member now', h('p', {}, 'Its log is kept all the same.')) : part('The member', facts([
        ['Connection', yesNo(found.connected, 'connected', 'away')],
        ['Last heard', ago(found.lastSeen)],
        ['Peer', found.peerId ? whole(found.peerId) : 'not announced'],
        ...found.multiaddresses.map(address => ['Reached at', whole(address)]),
        found.program && ['Program', found.program],
        ['Head', found.head ? [`node ${found.head.seq}, `, whole(found.head.cid)] : 'empty'],
        ...found.diverged.map(gate => ['Diverged on', h('a', { href: `#/gate/${gate.toLowerCase()}` }, whole(gate))])
      ])),
      part(from === undefined ? 'Log, the newest first' : `Log, from node ${from}`,
        nodes.length === 0 ? h('p', {}, 'The log is empty.') : nodes.map(entry),
        page.next === null ? undefined : h('p', {}, h('a', { href: `#/member/${address}/${page.next}` }, 'Older nodes')))
    ]
  }
}
