// The client rings whose logs this member's ring keeps.

import { call } from './rpc.js'
import { h, part, table } from './dom.js'
import { ago, bytes, link, short } from './format.js'
import { newest } from './logs.js'

export const clients = {
  path: 'clients',
  title: 'Client rings',
  load: ({ methods }) => methods.has('rings_getClientRings') ? call('rings_getClientRings') : undefined,
  draw: ({ logs }, kept) => [
    h('h1', {}, 'Client rings'),
    kept === undefined ? undefined : part('Kept by this member', kept.rings.length === 0 ? h('p', {}, 'None.')
      : kept.rings.map(ring => h('div', { class: 'node' },
        h('p', {}, short(ring.ring), `, ${bytes(ring.bytes)}`),
        table(`Logs of ${ring.ring}`, ['Avatar', 'Log head', 'Came'], ring.heads.map(({ avatar, seq, since }) =>
          [short(avatar), `node ${seq}`, ago(since)])))),
    kept.next ? h('p', { class: 'soft' }, 'There are more; rings status lists all of them.') : undefined),
    part('Actions taken in lately', logs.clients.size === 0 ? h('p', {}, 'No member has taken in an action lately.')
      : table('Client rings with actions', ['Client ring', 'Taken in by'], newest(logs.clients).map(ring =>
        [short(ring), [...logs.clients.get(ring)].map(member => [link(`member/${member}`, member), ' '])])))
  ]
}
