// The graph of a process, from its definition: which node follows which, and by which status. The members read the same in
// node/process/src/plan/links.rs, with the services beside it; here it is for drawing only.

/** Loop variables of a formula: `list.all(x, …)`. */
const LOOP = /\.(?:all|exists|exists_one|map|filter)\(\s*([A-Za-z_]\w*)\s*,/g
const TEXT = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g

const kindOf = ({ task, filter, wait }) => task !== undefined ? 'task' : wait !== undefined ? 'wait' : filter !== undefined ? 'filter' : 'map'

/** What follows where no status is named: with several to choose from, members refuse the process. */
const usual = kind => ({ filter: 'yes', map: 'done', wait: 'came' })[kind]

function inTemplates(value) {
  if (typeof value === 'string') {
    return [...value.matchAll(/(\$?)\$\{([^}]*)\}/g)].filter(([, escaped]) => !escaped).map(([, , name]) => name.split('.')[0])
  }
  return value !== null && typeof value === 'object' ? Object.values(value).flatMap(inTemplates) : []
}

function inFormula(text) {
  const plain = text.replace(TEXT, '""')
  const loops = new Set([...plain.matchAll(LOOP)].map(([, name]) => name))
  return [...plain.matchAll(/(?<![\w.])[A-Za-z_]\w*/g)].map(([name]) => name).filter(name => !loops.has(name))
}

function used({ each, inputs, match, filter, map }) {
  const names = each === undefined ? [] : [each.split('.')[0]]
  return [...names, ...inTemplates(inputs ?? {}), ...inTemplates(match ?? {}), ...inFormula(filter ?? map ?? '')]
}

function before(node, nodes) {
  const named = node.after ?? used(node).filter(name => Object.hasOwn(nodes, name))
  const links = [...new Set(named)].map(text => {
    const [name, status] = text.split('.')
    return { from: name, status: status ?? usual(kindOf(nodes[name] ?? {})) }
  })
  return links.filter(({ from }) => Object.hasOwn(nodes, from))
}

/** What starts it, in words. */
export function startOf({ on = {} }) {
  return on.event ?? (on.every === undefined ? `cron ${on.cron}` : `every ${on.every} seconds`)
}

/** `[{name, kind, what, each, before: [{from, status}]}, …]`, each behind those that it follows. */
export function nodesOf({ nodes = {} }) {
  const found = new Map(Object.entries(nodes).map(([name, node]) => [name, {
    name,
    kind: kindOf(node),
    what: node.task ?? node.filter ?? node.map ?? (node.wait && `waits for ${node.wait}`) ?? '',
    each: node.each !== undefined,
    isSettled: node.settle !== undefined || node.ring !== undefined,
    before: before(node, nodes)
  }]))
  const order = new Set()
  const take = (node, way) => {
    if (order.has(node) || way.has(node)) return
    for (const { from } of node.before) take(found.get(from), new Set(way).add(node))
    order.add(node)
  }
  for (const node of found.values()) take(node, new Set())
  return [...order]
}
