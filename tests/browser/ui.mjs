// The page that a member serves at /ui, looked at as a person would.
//
// node ui.mjs '{"url", "members", "member", "quorum", "gate", "output", "request", "operation", "installation", "execution", "token", "proof"}'

import { SIZES, accessible, fits, must, open, picture, until, withBrowser } from './browser.mjs'

const given = JSON.parse(process.argv[2])
const MOST_BYTES = 500_000
const section = (page, title) => page.getByRole('region', { name: title, exact: true })

const nodeSays = (page, node, text) => section(page, 'Graph').getByRole('row').filter({ hasText: node }).getByText(text).waitFor()

const heading = (page, title) => page.getByRole('heading', { level: 1, name: new RegExp(`^${title}( 0x| Qm|$)`) })

async function go(page, path) {
  await page.evaluate(path => { location.hash = path }, `#/${path}`)
}

/** What each section shows; and that it is accessible and fits, in every size and colour. */
const SECTIONS = [
  ['', 'ring', 'Ring', async page => {
    await section(page, 'Members').getByRole('row').nth(given.members).waitFor()
    await section(page, 'What happened last').getByText(/voted on|endorsed/).first().waitFor()
  }],
  ['gates', 'gates', 'Gates', async page => {
    await section(page, 'Voted on lately').locator(`a[href="#/gate/${given.gate}"]`).waitFor()
    await section(page, 'Voted on lately').getByText('resolved').first().waitFor()
  }],
  [`gate/${given.gate}`, 'gate', 'Gate', async page => {
    await section(page, 'Result').locator(`a[href="/ipfs/${given.output}"]`).waitFor()
    await until(page, count => document.querySelectorAll('section[aria-label="Votes"] tbody tr').length >= count, given.quorum)
  }],
  ['requests', 'requests', 'Requests', page =>
    section(page, 'Voted on lately').locator(`a[href="#/request/${given.request}"]`).waitFor()],
  [`request/${given.request}`, 'request', 'Request', page => page.getByRole('button', { name: 'Save the proof' }).waitFor()],
  ['processes', 'processes', 'Processes', page =>
    section(page, 'What the ring runs').locator(`a[href="#/process/${given.installation}"]`).waitFor()],
  [`process/${given.installation}`, 'process', 'Process charging', async page => {
    await section(page, 'Graph').locator(`.graph a[href="#/execution/${given.execution}"]`).waitFor()
    await nodeSays(page, 'tell_paid', 'succeeded: told')
  }],
  [`execution/${given.execution}`, 'execution', 'Execution', async page => {
    const back = section(page, 'Back to its event')
    await back.getByText('Every document was hashed here and has its name').waitFor()
    for (const step of ['tell_paid', 'pay', 'price', 'event charged']) await back.getByRole('row').filter({ hasText: step }).first().waitFor()
    await until(page, count => document.querySelectorAll('section[aria-label="Votes"] tbody tr').length >= count, given.quorum)
  }],
  ['registry', 'registry', 'Registry', async page => {
    await page.getByRole('textbox', { name: 'Name' }).fill('CA')
    await page.getByRole('button', { name: 'Search' }).click()
    await section(page, 'Names with “CA”').getByRole('row').filter({ hasText: 'car' }).getByText('1.0').waitFor()
  }],
  ['clients', 'clients', 'Client rings', page => section(page, 'Actions taken in lately').waitFor()],
  ['operate', 'operate', 'Operate', page => page.getByLabel('Token of this member').waitFor()],
  [`member/${given.member}`, 'member', 'Member', page => section(page, 'Log, the newest first').getByText('node 0').first().waitFor()]
]

async function everySection(browser) {
  for (const [sizeName, size] of Object.entries(SIZES)) {
    const { page, context, asked, check } = await open(browser, `${given.url}/ui`, { size })
    for (const [path, name, title, shown] of SECTIONS) {
      await go(page, path)
      await heading(page, title).waitFor()
      await shown(page)
      for (const colorScheme of ['light', 'dark']) {
        await page.emulateMedia({ colorScheme })
        const what = `${name}-${sizeName}-${colorScheme}`
        await accessible(page, what)
        await picture(page, what)
      }
      await fits(page, `${name}-${sizeName}`)
    }
    check()
    must(asked.bytes > 0 && asked.bytes < 10 * MOST_BYTES, `${asked.bytes} bytes were loaded`)
    await context.close()
  }
}

async function keyboard(browser) {
  const { page, context, check } = await open(browser, `${given.url}/ui`)
  await section(page, 'Members').waitFor()
  await page.keyboard.press('Tab')
  must(await page.evaluate(() => document.activeElement.className === 'skip'), 'the first stop is the link to the content')
  for (let stop = 0; stop < 12; stop++) {
    await page.keyboard.press('Tab')
    if (await page.evaluate(() => document.activeElement.textContent === 'Gates')) break
  }
  await page.keyboard.press('Enter')
  await heading(page, 'Gates').waitFor()
  await until(page, () => document.activeElement.id === 'content')
  await page.getByLabel('Find').focus()
  await page.keyboard.type(given.gate)
  await page.keyboard.press('Enter')
  await heading(page, 'Gate').waitFor()
  // What is read again every two seconds does not take the focus away.
  const link = section(page, 'Votes').getByRole('link').first()
  await link.focus()
  await page.waitForResponse(response => response.url().endsWith('/health'))
  await page.waitForResponse(response => response.url().endsWith('/health'))
  must(await link.evaluate(element => element === document.activeElement), 'the focus was lost')
  check()
  await context.close()
}

async function proof(browser) {
  const { page, context, check } = await open(browser, `${given.url}/ui/#/request/${given.request}`)
  const saved = page.waitForEvent('download')
  await page.getByRole('button', { name: 'Save the proof' }).click()
  await (await saved).saveAs(given.proof)
  check()
  await context.close()
}

async function token(browser) {
  const { page, context, check } = await open(browser, `${given.url}/ui/#/operate`)
  const store = page.getByRole('button', { name: 'Check the store' })
  await store.waitFor()
  must(await store.isDisabled(), 'without the token there is nothing to press')
  const enter = async text => {
    await page.getByLabel('Token of this member').fill(text)
    await page.keyboard.press('Enter')
  }
  await enter('wrong'.repeat(10))
  await store.click()
  await page.getByText('needs the token of this member').waitFor()
  await enter(given.token)
  await store.click()
  await page.getByRole('status').getByText('"blocks"').waitFor()
  await page.getByLabel('Operation (CID)').fill(given.operation)
  await page.getByRole('button', { name: 'Ask', exact: true }).click()
  await page.getByRole('status').getByText('"fresh": true').waitFor()
  await go(page, 'requests')
  // It is read again, and the new request comes by itself.
  await until(page, count => document.querySelectorAll('section tbody tr').length >= count, 2)
  const kept = await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie.length])
  must(kept.every(count => count === 0), 'the token is kept nowhere')
  await page.reload()
  await go(page, 'operate')
  await store.waitFor()
  must(await store.isDisabled(), 'the token goes with the page')
  check()
  await context.close()
}

/** An event by hand starts a run, which is over while somebody looks; and the ring decides that the process waits. */
async function drive(browser) {
  const { page, context, check } = await open(browser, `${given.url}/ui/#/process/${given.installation}`)
  await page.getByLabel('Token of this member').fill(given.token)
  await page.keyboard.press('Enter')
  await page.getByLabel('Data (JSON)').fill('{"car": "<b>C</b>", "driver": "Bob", "kwh": 40, "minutes": 10}')
  await page.getByRole('button', { name: 'Emit' }).click()
  await page.getByRole('status').getByText('"fresh": true').waitFor()
  await section(page, 'Runs').getByRole('row').nth(2).waitFor()
  await section(page, 'Runs').getByRole('row').nth(1).getByText('done').waitFor()
  await nodeSays(page, 'tell_paid', 'succeeded: told')
  await page.getByRole('button', { name: 'Pause', exact: true }).click()
  await section(page, 'The process').getByText('paused').waitFor()
  await page.getByRole('button', { name: 'Resume', exact: true }).click()
  await section(page, 'The process').getByText('active').waitFor()
  check()
  await context.close()
}

await withBrowser(async browser => {
  await everySection(browser)
  await keyboard(browser)
  await proof(browser)
  await token(browser)
  await drive(browser)
})
console.log('the page is as it should be')
