// Where the boxes of a graph go. Graphs of a usual size are laid out by dagre; a large one would take it seconds, and gets rows of boxes, one
// row or more for each step from the start.

import { graphlib, layout as arrange } from './dagre.js'

/** Most boxes and links that dagre lays out: a tenth of a second. */
const MOST = { boxes: 80, links: 160 }
const GAP = { x: 24, y: 44 }
/** Boxes in a row of a large graph. */
const ROW = 6
const MARGIN = 8

/** `boxes` are `{id, width, height}`, `links` are `{from, to, label}`. Gives `{width, height, at: id → {x, y}, ways: [[{x, y}, …], …], labels}`. */
export const layout = (boxes, links) =>
  boxes.length > MOST.boxes || links.length > MOST.links ? rows(boxes, links) : drawn(boxes, links)

function drawn(boxes, links) {
  const graph = new graphlib.Graph({ multigraph: true })
  graph.setGraph({ rankdir: 'TB', ranker: 'tight-tree', nodesep: GAP.x, ranksep: GAP.y, marginx: MARGIN, marginy: MARGIN })
  for (const { id, width, height } of boxes) graph.setNode(id, { width, height })
  for (const [number, { from, to, label }] of links.entries()) {
    graph.setEdge(from, to, { width: label ? label.length * 7 + 8 : 0, height: label ? 16 : 0, labelpos: 'c' }, String(number))
  }
  arrange(graph)
  const edges = links.map(({ from, to }, number) => graph.edge(from, to, String(number)))
  const { width, height } = graph.graph()
  return {
    width,
    height,
    at: new Map(boxes.map(({ id }) => [id, graph.node(id)])),
    ways: edges.map(({ points }) => points),
    labels: edges.map(({ x, y }) => x === undefined ? undefined : { x, y })
  }
}

/** How many steps each box is from the start; boxes come behind those that they follow. */
function levels(boxes, links) {
  const before = new Map(boxes.map(({ id }) => [id, []]))
  for (const { from, to } of links) before.get(to).push(from)
  const level = new Map()
  for (const { id } of boxes) level.set(id, Math.max(0, ...before.get(id).map(from => (level.get(from) ?? 0) + 1)))
  return level
}

function rows(boxes, links) {
  const level = levels(boxes, links)
  const wide = Math.max(...boxes.map(({ width }) => width))
  const high = Math.max(...boxes.map(({ height }) => height))
  const at = new Map()
  let row = 0
  for (let step = 0; step <= Math.max(...level.values()); step++) {
    const here = boxes.filter(({ id }) => level.get(id) === step)
    here.forEach(({ id }, place) => at.set(id, {
      x: MARGIN + wide / 2 + place % ROW * (wide + GAP.x),
      y: MARGIN + high / 2 + (row + Math.floor(place / ROW)) * (high + GAP.y)
    }))
    row += Math.ceil(here.length / ROW)
  }
  const end = (id, side) => ({ x: at.get(id).x, y: at.get(id).y + side * high / 2 })
  return {
    width: 2 * MARGIN + Math.min(ROW, boxes.length) * (wide + GAP.x),
    height: 2 * MARGIN + row * (high + GAP.y),
    at,
    ways: links.map(({ from, to }) => [end(from, 1), end(to, -1)]),
    labels: links.map(() => undefined)
  }
}
