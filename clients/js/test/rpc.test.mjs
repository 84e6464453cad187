// Calls over HTTP and WebSocket, to a server that answers as a member does.

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, before, test } from 'node:test'
import { WebSocketServer } from 'ws'
import { Listener } from '../chat/listener.js'
import { Chain, InvalidError, Member, RpcError, cidOf, digestOf } from '../src/index.js'

const BLOCK = new TextEncoder().encode('a block')
const asked = []

function answer({ id, method, params }) {
  asked.push({ method, params })
  if (method === 'rings_getMessage') return { jsonrpc: '2.0', id, result: null }
  if (method === 'eth_chainId') return { jsonrpc: '2.0', id, result: '0x7a69' }
  if (method === 'eth_call') return { jsonrpc: '2.0', id, error: { code: 3, message: 'execution reverted' } }
  if (method === 'FlushToRing') return { jsonrpc: '2.0', id, error: { code: -32005, message: 'stale head', data: '0x09' } }
  return { jsonrpc: '2.0', id, result: { method, params } }
}

function serve(request, response) {
  if (request.url.startsWith('/ipfs/')) {
    const found = request.url.includes(cidOf(digestOf(BLOCK)))
    response.statusCode = found || request.url.includes('bafy') ? 200 : 404
    return response.end(found ? BLOCK : 'other bytes')
  }
  if (request.url === '/health') return response.end('{"following":true}')
  let body = ''
  request.on('data', part => { body += part })
  request.on('end', () => {
    if (request.headers.authorization !== undefined) asked.push(request.headers.authorization)
    if (body.includes('not json')) return response.end('<html>')
    const calls = JSON.parse(body)
    response.end(JSON.stringify(Array.isArray(calls) ? calls.map(answer).reverse() : answer(calls)))
  })
}

const server = createServer(serve)
const sockets = new WebSocketServer({ server })
let member

before(async () => {
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  member = new Member(`http://127.0.0.1:${server.address().port}/`, { token: 'secret' })
})
after(() => {
  for (const client of sockets.clients) client.terminate()
  sockets.close()
  server.close()
})

sockets.on('connection', socket => socket.on('message', data => {
  const call = JSON.parse(data)
  const notify = result => socket.send(JSON.stringify({ jsonrpc: '2.0', method: 'rings_subscription', params: { subscription: 7, result } }))
  if (call.method === 'rings_subscribe') {
    notify('early')
    socket.send(JSON.stringify({ jsonrpc: '2.0', id: call.id, result: 7 }))
    return notify('late')
  }
  if (call.method === 'leave') return socket.close()
  socket.send(JSON.stringify(answer(call)))
}))

test('methods, refusals and batches over HTTP', async () => {
  assert.deepEqual(await member.gate('0x01'), { method: 'rings_getGate', params: { gate: '0x01' } })
  assert.ok(asked.includes('Bearer secret'))
  assert.deepEqual(await member.getProcess({ installation: '0x01', limit: 2 }), { method: 'rings_getProcess', params: { installation: '0x01', limit: 2 } })
  assert.deepEqual(await member.pauseProcess('0x01'), { method: 'rings_pauseProcess', params: { installation: '0x01' } })
  assert.deepEqual(await member.listExecutions(), { method: 'rings_listExecutions', params: {} })
  assert.equal(await member.message('0x02'), null)
  const refused = await member.flush({}).catch(error => error)
  assert.ok(refused instanceof RpcError)
  assert.deepEqual([refused.code, refused.data, refused.message], [-32005, '0x09', 'stale head (-32005)'])
  const [status, failed] = await member.batch([['rings_status'], ['FlushToRing', {}]])
  assert.deepEqual([status.method, failed.code], ['rings_status', -32005])
  await assert.rejects(member.call('not json'), /not in JSON: <html>/)
  assert.deepEqual(await member.health(), { following: true })
})

test('a block is what its name says, or is refused', async () => {
  assert.deepEqual(await member.block(digestOf(BLOCK)), BLOCK)
  await assert.rejects(member.block('0x' + '05'.repeat(32)), InvalidError)
  await assert.rejects(member.file('Qmxyz'), /has no file Qmxyz: other bytes/)
})

test('a chain that refuses is not taken for an answer', async () => {
  const chain = new Chain(member.url)
  assert.equal(await chain.chainId(), 31337)
  await assert.rejects(chain.members('0x' + '11'.repeat(20)), /execution reverted/)
})

test('a session has calls and subscriptions, and says when it ends', async () => {
  const session = await member.connect()
  assert.deepEqual(await session.call('rings_status'), { method: 'rings_status', params: {} })
  await assert.rejects(session.call('FlushToRing'), { code: -32005 })
  const heard = []
  const end = await new Promise(resolve => {
    const subscribed = session.subscribe({ kind: 'heads' }, result => {
      heard.push(result)
      if (result === 'late') resolve(subscribed)
    })
  })
  assert.deepEqual(heard, ['early', 'late'])
  await end()
  assert.deepEqual(asked.at(-1), { method: 'rings_unsubscribe', params: { subscription: 7 } })
  const waiting = session.call('leave')
  await assert.rejects(waiting, /the session has ended/)
  await session.closed
  await assert.rejects(new Member('http://127.0.0.1:1').connect(), /does not open a session/)
})

test('a chat is told by the replicas that tell, and waits no longer than it wants for the others', async () => {
  const gone = new Member('http://127.0.0.1:1')
  const listener = new Listener([gone, member], '0x11')
  await listener.next(10_000)
  while (!listener.isLive) await listener.next(10)
  for (const socket of sockets.clients) {
    socket.send(JSON.stringify({ jsonrpc: '2.0', method: 'rings_subscription', params: { subscription: 7, result: { kind: 'heads' } } }))
  }
  const began = performance.now()
  await listener.next(10_000)
  assert.ok(performance.now() - began < 5_000)
  listener.close()
  const silent = new Listener([gone], '0x11')
  await silent.next(10)
  assert.equal(silent.isLive, false)
  silent.close()
})
