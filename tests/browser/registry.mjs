// The registry on the page, at a member that is made up (member.mjs): names that strangers have written, and pages.
//
// node registry.mjs '{"node"}'

import { SIZES, accessible, fits, must, open, picture, withBrowser } from './browser.mjs'
import { Member, hex } from './member.mjs'

const given = JSON.parse(process.argv[2])
const EVIL = '<img src=x onerror="document.title=1">'
/** It would write from right to left, and has a letter that nobody sees. */
const TURNED = 'car\u202efdp\u200b'
const heading = page => page.getByRole('heading', { level: 1, name: 'Registry' })
const row = (page, text) => page.getByRole('table', { name: 'Entries' }).getByRole('row').filter({ hasText: text })

const entry = (number, name) => ({
  number, kind: number % 2 ? 'service' : 'process', cid: `Qm${String(number).padStart(44, '1')}`, owner: hex(20, 'ca'), name, version: '1.0',
  description: number % 3 ? null : `Qm${'2'.repeat(44)}`, withdrawn: number === 2
})

async function looks(browser, url) {
  for (const [name, size] of Object.entries(SIZES)) {
    const { page, context, check } = await open(browser, `${url}/ui/#/registry`, { size })
    await heading(page).waitFor()
    await row(page, EVIL).waitFor()
    await row(page, 'car\\u{202e}fdp\\u{200b}').waitFor()
    must(await page.title() !== '1', 'a name was taken for a program')
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme })
      await accessible(page, `registry-${name}-${colorScheme}`)
      await picture(page, `strangers-${name}-${colorScheme}`)
    }
    await fits(page, `registry-${name}`)
    check()
    await context.close()
  }
}

async function searches(browser, url) {
  const { page, context, check } = await open(browser, `${url}/ui/#/registry`)
  await row(page, 'number 150').waitFor()
  await page.getByRole('button', { name: 'Older entries' }).click()
  await row(page, 'oldest').getByText('withdrawn').waitFor()
  await page.getByRole('textbox', { name: 'Name' }).fill('NUMBER 14')
  await page.keyboard.press('Enter')
  await page.getByRole('region', { name: 'Names with “NUMBER 14”' }).waitFor()
  await row(page, 'number 149').waitFor()
  // Of 140 to 149, two have other names; 14 is on an older page.
  must(await row(page, 'number').count() === 8, 'eight of the page have that name')
  check()
  await context.close()
}

async function none(browser) {
  const { url, close } = await new Member(given.node).serve()
  const { page, context, check } = await open(browser, `${url}/ui/#/registry`)
  await page.getByText('This chain has no registry yet.').waitFor()
  check()
  await context.close()
  close()
}

const member = new Member(given.node)
const names = Array.from({ length: 151 }, (_, number) => `number ${number}`)
Object.assign(names, { 2: 'oldest', 148: EVIL, 147: TURNED })
member.registry = names.map((name, number) => entry(number, name)).reverse()
const { url, close } = await member.serve()
await withBrowser(async browser => {
  await looks(browser, url)
  await searches(browser, url)
  await none(browser)
})
close()
console.log('the registry is shown as it is')
