// Draws a graph: boxes with lines of text, and ways between them. A box that leads somewhere is a link, so the drawing is used with the
// keyboard too. It has its natural size, and is moved within its frame where the window is narrower.

import { h, svg } from './dom.js'
import { Kept } from './kept.js'
import { layout } from './layout.js'

const LINE = 16
const LETTER = 7.2
/** Letters in a line of a box; the rest is in its title. */
const LETTERS = 22
/** Layouts that are kept: a graph keeps its form while its states change. */
const KEPT = 20
const kept = new Kept(KEPT)

const cut = text => text.length > LETTERS ? `${text.slice(0, LETTERS - 1)}…` : text

/** Boxes have the size of their longest line, so that a state that changes moves nothing: room is left for the longest word. */
function sized({ id, lines, room = 12 }) {
  const letters = Math.max(room, ...lines.map(line => Math.min(line.length, LETTERS)))
  return { id, width: Math.round(letters * LETTER + 24), height: 12 + lines.length * LINE }
}

function placed(boxes, links) {
  const key = JSON.stringify([boxes, links.map(({ from, to, label }) => [from, to, label])])
  if (!kept.has(key)) kept.set(key, layout(boxes, links))
  return kept.get(key)
}

function box({ lines, state, href, title, shape }, { width, height }, { x, y }) {
  const [left, top] = [x - width / 2, y - height / 2]
  const texts = lines.map((line, at) => svg('text', { x, y: top + 18 + at * LINE, class: at === 0 ? 'name' : undefined }, cut(line)))
  const form = svg('rect', { x: left, y: top, width, height, rx: shape === 'filter' ? height / 2 : shape === 'map' ? 0 : 8 })
  return svg('a', { href, class: `box ${state}` }, svg('title', {}, title), form, texts)
}

function way({ label, way }, points, place) {
  const [first, ...others] = points.map(({ x, y }) => `${x.toFixed(1)} ${y.toFixed(1)}`)
  const word = label && place
    ? svg('text', { x: place.x, y: place.y + 4 }, label) : undefined
  return svg('g', { class: `way ${way}` }, svg('path', { d: `M${first}L${others.join(' ')}`, 'marker-end': 'url(#arrow)' }), word)
}

const arrow = () => svg('defs', {}, svg('marker', { id: 'arrow', viewBox: '0 0 8 8', refX: 8, refY: 4, markerWidth: 9, markerHeight: 9, markerUnits: 'userSpaceOnUse', orient: 'auto' },
  svg('path', { d: 'M0 0L8 4L0 8z' })))

/**
 * `boxes`: `{id, lines, state, href?, title, shape?}`, each behind those that it follows; `links`: `{from, to, label?, way}`.
 * Only one graph may be on a page.
 */
export function graph(name, boxes, links) {
  const sizes = boxes.map(sized)
  const { width, height, at, ways, labels } = placed(sizes, links)
  const drawing = svg('svg', { width: Math.ceil(width), height: Math.ceil(height), role: 'group', 'aria-label': name },
    arrow(),
    links.map((link, number) => way(link, ways[number], labels[number])),
    boxes.map((each, number) => box(each, sizes[number], at.get(each.id))))
  return h('div', { class: 'graph', tabindex: 0, role: 'group', 'aria-label': `${name}, to be scrolled` }, drawing)
}
