// Processes on the page, with all states that there are, at a member that is made up (member.mjs).
//
// node processes.mjs '{"node"}'

import { SIZES, accessible, fits, must, open, picture, until, withBrowser } from './browser.mjs'
import { link } from './documents.mjs'
import { Member, TOKEN, hex } from './member.mjs'

const given = JSON.parse(process.argv[2])
const section = (page, title) => page.getByRole('region', { name: title, exact: true })
const press = (page, name) => page.getByRole('button', { name, exact: true }).click()
const EVIL = '<img src=x onerror="document.title=1">'
const INSTANCE = hex(32, 'ca')

const CAR = {
  config: ['tariff'], events: { charged: { data: { driver: 'string', kwh: { type: 'integer' } } } }, service: 'car', tasks: {}, version: 1
}
const charging = service => ({
  about: 'When a car has finished charging, the provider is paid',
  nodes: {
    big: { after: ['price.priced'], filter: 'price.cents > 1000 && [1].all(pay, pay > 0)' },
    pay: { after: ['price.priced'], inputs: { cents: '${with_fee}', text: '$${tell_paid} ${price.cents}' }, task: 'car.pay' },
    price: { inputs: { kwh: '${event.kwh}' }, task: 'car.price' },
    tell_big: { after: ['big'], inputs: {}, task: 'car.tell' },
    tell_free: { after: ['price.free'], inputs: {}, task: 'car.tell' },
    tell_paid: { after: ['pay.paid'], inputs: {}, task: 'car.tell' },
    tell_refused: { after: ['pay.refused'], inputs: {}, task: 'car.tell' },
    with_fee: { gives: { type: 'integer' }, map: 'price.cents + size("pay")' }
  },
  on: { event: 'car.charged' }, process: 'charging', services: { car: service }, version: 1
})

const words = service => ({
  nodes: { count: { each: 'event.files', inputs: { file: '${item}' }, task: 'words.count' }, sum: { inputs: { counts: '${count}' }, task: 'words.sum' } },
  on: { event: 'words.collected' }, process: 'count_words', services: { words: service }, version: 1
})

const onChain = service => ({
  nodes: { bank: { inputs: {}, ring: hex(20, 'b0'), task: 'car.rate', within: 60 }, price: { inputs: {}, settle: 'chain', task: 'car.price' }, tell: { after: ['bank.rated'], task: 'car.tell' } },
  on: { event: 'car.charged' }, process: 'on_chain', services: { car: service }, version: 1
})

/** As many nodes as a process may have. */
const large = service => ({
  nodes: Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`n${at}`, at < 20 ? { task: 'car.price' } : { after: [`n${at - 20}.priced`], task: 'car.price' }])),
  on: { every: 60 }, process: 'large', services: { car: service }, version: 1
})

function event(member, data) {
  return member.documents.put({ data, event: 'charged', instance: INSTANCE, source: { by: 'hand', nonce: 0 }, version: 1 })
}

/** A member with processes; gives what the test goes on with. */
function made() {
  const member = new Member(given.node)
  const service = link(member.documents.put(CAR))
  const instances = { car: INSTANCE }
  const car = member.install(charging(service), instances)
  const failed = member.run(car, event(member, { driver: EVIL, kwh: 1 }), 'failed')
  Object.assign(member.execute(car, failed, 'price', 'price', { kwh: 1 }, [], 'failed'), { reason: EVIL, time: Date.now() })
  const run = member.run(car, event(member, { driver: 'Ada', kwh: 40, large: 1 }))
  const price = member.succeed(member.execute(car, run, 'price', 'price', { kwh: 40 }), 'priced', { cents: 1800 })
  const pay = member.execute(car, run, 'pay', 'pay', { cents: 1800, evil: EVIL }, [price])
  const map = member.install(words(service), { words: hex(32, 'cb') }, { state: 'paused' })
  const counting = member.run(map, event(member, { files: ['a', 'b', 'c'] }))
  for (const at of [0, 1]) member.succeed(member.execute(map, counting, `count[${at}]`, 'count', { at }), 'counted')
  member.execute(map, counting, 'count[2]', 'count', { at: 2 }, [], 'created')
  const many = member.install(large(service), instances)
  const lost = member.install(charging(service), instances, { state: 'cancelled', name: undefined, on: undefined, services: {}, process: 'QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN' })
  const forged = member.succeed(member.execute(many, run, 'n0', 'price', { kwh: 41 }, [price]), 'priced', { cents: 1 })
  member.documents.forge(forged.result, '"cents":1', '"cents":9')
  const full = member.run(map, event(member, { files: ['many'] }), 'done')
  const counted = Array.from({ length: 300 }, (_, at) => member.succeed(member.execute(map, full, `count[${at}]`, 'count', { at }), 'counted'))
  const sum = member.succeed(member.execute(map, full, 'sum', 'sum', {}, counted), 'summed')
  const settled = member.install(onChain(service), instances)
  const settling = member.run(settled, event(member, { driver: 'Cy', kwh: 3 }))
  const bill = member.settle(member.execute(settled, settling, 'price', 'price', {}), hex(20, '9a'), 2)
  return { member, settled, settling, bill, counting, full, sum, car, run, failed, price, pay, map, many, lost, forged }
}

/** The row of a node in the table; on a phone its first cell says its column too. */
const row = (page, name) =>
  section(page, 'Graph').getByRole('row').filter({ has: page.getByRole('rowheader', { name: new RegExp(`^(Node: )?${name}$`) }) })
const go = (page, path) => page.evaluate(path => { location.hash = path }, `#/${path}`)
const shows = (page, node, text) => row(page, node).getByText(text).waitFor()

const SECTIONS = made => [
  ['processes', 'processes', async page => {
    await section(page, 'What the ring runs').getByRole('row').nth(5).waitFor()
    await section(page, 'Instances').getByRole('row').nth(2).waitFor()
  }],
  [`process/${made.car}`, 'process', async page => {
    await shows(page, 'price', ': priced')
    await shows(page, 'pay', 'started')
    await shows(page, 'with_fee', ': done')
    await shows(page, 'tell_free', 'price is priced, not free')
    await shows(page, 'tell_paid', 'waiting')
    await row(page, 'with_fee').getByText('price', { exact: true }).waitFor()
    await section(page, 'Executions of this run').locator(`a[href="#/execution/${made.pay.execution}"]`).waitFor()
  }],
  [`process/${made.car}/${made.failed.event}`, 'process-failed', async page => {
    await shows(page, 'price', EVIL)
    await shows(page, 'pay', 'price failed')
  }],
  [`process/${made.map}/${made.counting.event}`, 'process-each', page => shows(page, 'count', '2 of 3 ended')],
  [`process/${made.map}/${made.full.event}`, 'process-full', page => shows(page, 'count', ': counted, 255 of 255 or more ended')],
  [`process/${made.settled}`, 'process-settled', async page => {
    await shows(page, 'price', 'open, 2 of 3 votes')
    await row(page, 'price').locator(`a[href="#/gate/${made.bill.gate}"]`).waitFor()
    await section(page, 'Graph').locator('.graph .box').getByText('open, 2 of 3 votes').waitFor()
    await section(page, 'Graph').locator('.graph .box').getByText('by a gate').waitFor()
  }],
  [`gate/${made.bill.gate}`, 'gate-settling', page => section(page, 'Votes').getByRole('row').nth(2).waitFor()],
  [`execution/${made.bill.execution}`, 'execution-settled', page => page.getByText('settled on the chain by gate').first().waitFor()],
  [`execution/${made.sum.execution}`, 'execution-full', page => section(page, 'Back to its event').getByText('what lies further back is not shown').waitFor()],
  [`process/${made.many}`, 'process-large', async page => {
    await section(page, 'Graph').locator('.graph .box').nth(1000).waitFor()
    await page.getByText('All 1000 nodes').waitFor()
  }],
  [`process/${made.lost}`, 'process-lost', page => section(page, 'Graph').getByText('It cannot be drawn').waitFor()],
  [`execution/${made.pay.execution}`, 'execution', async page => {
    await section(page, 'Inputs').getByText('onerror').waitFor()
    await section(page, 'Back to its event').getByText('Every document was hashed here and has its name').waitFor()
    await section(page, 'Back to its event').locator(`a[href="#/execution/${made.price.execution}"]`).first().waitFor()
    await section(page, 'The event').getByText('by hand').waitFor()
  }],
  [`execution/${made.forged.execution}`, 'execution-forged', page => section(page, 'Back to its event').getByText('has another hash').waitFor()],
  [`execution/${made.price.execution}`, 'execution-ended', page => section(page, 'Votes').getByRole('row').nth(3).waitFor()]
]

async function everySection(browser, url, made) {
  for (const [sizeName, size] of Object.entries(SIZES)) {
    const { page, context, check } = await open(browser, `${url}/ui/`, { size })
    for (const [path, name, shown] of SECTIONS(made)) {
      await go(page, path)
      await shown(page)
      for (const colorScheme of ['light', 'dark']) {
        await page.emulateMedia({ colorScheme })
        const what = `made-${name}-${sizeName}-${colorScheme}`
        await accessible(page, what)
        await picture(page, what)
      }
      await fits(page, `${name}-${sizeName}`)
    }
    check()
    await context.close()
  }
}

/** The executions move while somebody looks, and what has the focus keeps it. */
async function moves(browser, url, { member, car, run, pay, price }) {
  const { page, context, check } = await open(browser, `${url}/ui/#/process/${car}`)
  await shows(page, 'pay', 'started')
  const box = page.locator(`.graph a[href="#/execution/${pay.execution}"]`)
  await box.focus()
  member.succeed(pay, 'paid', {})
  const told = member.execute(car, run, 'tell_paid', 'tell', {}, [pay])
  await shows(page, 'tell_paid', 'started')
  await shows(page, 'tell_refused', 'pay is paid, not refused')
  must(await box.evaluate(element => element === document.activeElement), 'the focus was lost')
  member.succeed(told, 'told', {})
  run.state = 'done'
  await shows(page, 'tell_paid', ': told')
  // What waited for the filter alone has not run, so the filter has said no.
  await shows(page, 'big', ': no')
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { level: 1, name: `Execution ${pay.execution}` }).waitFor()
  await page.getByLabel('Find').fill(price.execution)
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { level: 1, name: `Execution ${price.execution}` }).waitFor()
  check()
  await context.close()
}

/** The votes on a gate come while somebody looks, then its result. */
async function settles(browser, url, { member, settled, settling, bill }) {
  const { page, context, check } = await open(browser, `${url}/ui/#/process/${settled}`)
  await shows(page, 'price', 'open, 2 of 3 votes')
  member.settle(bill, bill.gate, 3)
  await shows(page, 'price', 'open, 3 of 3 votes')
  Object.assign(member.gates.get(bill.gate), { state: 'resolved', final: true, result: [{ pin: 0, cid: bill.execution }] })
  const drawn = section(page, 'Graph').locator('.graph .box')
  await drawn.getByText('settled, final').waitFor()
  member.succeed(bill, 'priced', {})
  settling.state = 'done'
  await shows(page, 'price', ': priced')
  check()
  await context.close()
}

async function withToken(browser, url, { car, member }) {
  const { page, context, check } = await open(browser, `${url}/ui/#/process/${car}`)
  const pause = page.getByRole('button', { name: 'Pause', exact: true })
  await pause.waitFor()
  must(await pause.isDisabled(), 'without the token there is nothing to press')
  await page.getByLabel('Token of this member').fill(TOKEN)
  await page.keyboard.press('Enter')
  await pause.click()
  await press(page, 'Resume')
  await pause.waitFor()
  await page.getByLabel('Data (JSON)').fill('{"driver": "Bob", "kwh": 9007199254740993}')
  await press(page, 'Emit')
  await page.getByText('kwh is a number that this page cannot send exactly').waitFor()
  await page.getByLabel('Data (JSON)').fill('{"driver": "Bob", "kwh": 7}')
  await press(page, 'Emit')
  await page.getByRole('status').getByText('"fresh": true').waitFor()
  await until(page, () => document.querySelectorAll('section[aria-label="Runs"] tbody tr').length === 3)
  await press(page, 'Cancel…')
  await press(page, 'Keep it')
  must(member.of(car).state === 'active', 'it is cancelled though that was not said twice')
  await press(page, 'Cancel…')
  await press(page, 'Cancel it for good')
  await page.getByText('It is cancelled, for good.').waitFor()
  await accessible(page, 'an answer')
  const kept = await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie.length])
  must(kept.every(count => count === 0), 'the token is kept nowhere')
  check()
  await context.close()
}

const all = made()
const { url, close } = await all.member.serve()
await withBrowser(async browser => {
  await everySection(browser, url, all)
  await moves(browser, url, all)
  await settles(browser, url, all)
  await withToken(browser, url, all)
})
close()
console.log('processes are shown as they are')
