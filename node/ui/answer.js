// What the member answered to the last thing that a person did, in each section that does things.

import { h, part } from './dom.js'

const said = new Map()

/** An answer as it came. */
export const answer = value => JSON.stringify(value, null, 2)

/** Does it, and shows in its section what came of it. `words` makes a text of the answer. */
export async function start(section, title, action, words, { redraw }) {
  const say = text => {
    said.set(section, text)
    redraw()
  }
  say(`${title}…`)
  try {
    say(words(await action()))
  } catch (error) {
    say(`${title}: ${error.message}`)
  }
}

/** Where it is shown. */
export const answered = section =>
  h('div', { role: 'status' }, said.has(section) ? part('Answer', h('pre', {}, said.get(section))) : undefined)
