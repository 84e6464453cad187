// Elements, and bringing the page from one state to the next without replacing what stays: so focus, selection and what was typed
// are not lost when something is read again. Texts are set as texts; nothing is parsed as HTML.

const SVG = 'http://www.w3.org/2000/svg'

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element[name] = value
    else if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value === true ? '' : value)
  }
  element.append(...children.flat(3).filter(child => child !== undefined && child !== null && child !== false))
  return element
}

/** An element: `h('a', {href: '#/'}, 'text')`. Functions are handlers (`onclick`), and are kept by reference. */
export const h = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children)

/** The same in SVG. */
export const svg = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children)

const HANDLERS = ['onclick', 'onsubmit', 'onkeydown']

/** Makes `old` say what `now` says, keeping the elements that are there. */
function morph(old, now) {
  if (old.nodeType !== now.nodeType || old.nodeName !== now.nodeName || old.id !== now.id) return old.replaceWith(now)
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== now.data) old.data = now.data
    return undefined
  }
  // What a person opened stays open.
  for (const { name } of [...old.attributes]) if (name !== 'open' && !now.hasAttribute(name)) old.removeAttribute(name)
  for (const { name, value } of now.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value)
  for (const handler of HANDLERS) if (old[handler] !== now[handler]) old[handler] = now[handler]
  return morphChildren(old, now)
}

function morphChildren(old, now) {
  const wanted = [...now.childNodes]
  for (const [at, child] of wanted.entries()) {
    const there = old.childNodes[at]
    if (there === undefined) old.append(child)
    else morph(there, child)
  }
  while (old.childNodes.length > wanted.length) old.lastChild.remove()
}

/** Shows these children in an element. */
export function show(element, ...children) {
  const now = document.createElement(element.tagName)
  now.append(...children.flat(3).filter(child => child !== undefined && child !== null && child !== false))
  morphChildren(element, now)
}

/** A table with a caption for those who do not see it. Rows are lists of cells; the first cell of a row names it. */
export function table(caption, columns, rows) {
  const head = h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, columns.map(name => h('th', { scope: 'col', role: 'columnheader' }, name))))
  const body = rows.map(([first, ...cells]) => h('tr', { role: 'row' },
    h('th', { scope: 'row', role: 'rowheader', 'data-label': columns[0] }, first),
    cells.map((cell, at) => h('td', { role: 'cell', 'data-label': columns[at + 1] }, cell))))
  return h('table', { role: 'table', 'aria-label': caption }, head, h('tbody', { role: 'rowgroup' }, body))
}

/** Names and values. */
export const facts = pairs =>
  h('dl', { class: 'facts' }, pairs.filter(Boolean).map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]))

/** A part of the page with a heading. */
export const part = (title, ...children) => h('section', { 'aria-label': title }, h('h2', {}, title), children)
