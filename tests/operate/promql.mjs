// Evaluates PromQL on a few scrapes of members, so that the tests can ask the alert rules and the dashboard what they would show.
//
// The grammar is Prometheus's own (@prometheus-io/lezer-promql). Of the language there is what the rules and the dashboard use;
// anything else is an error, never a guess. `rate`, `increase` and `delta` take the difference between the first and the last
// sample in their window and do not extrapolate to its borders: what is tested is whether something has changed.

import { parser } from '@prometheus-io/lezer-promql'

const strict = parser.configure({ strict: true })
const UNITS = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400, w: 604800, y: 31536000 }

/** The syntax tree of an expression; a SyntaxError when it is none. */
export function parse(text) {
    return { text, node: strict.parse(text).topNode }
}

/** All selectors of an expression: the metric's name and the matchers. */
export function selectors({ text, node }) {
    const found = []
    node.cursor().iterate(({ name, node }) => {
        if (name === 'VectorSelector') found.push(selector(node, text))
    })
    return found
}

/**
 * The value of an expression: a number, or a list of { labels, value }. `database` has `time` and `series`, each { labels, points }
 * with points of [time, value]. With `all`, comparisons keep what they would leave out, so that one sees which labels there are.
 */
export function evaluate({ text, node }, database, all = false) {
    return value(node.getChild('Expr'), { text, all, ...database })
}

/** Whether these labels fit the matchers. */
export function fits(matchers, labels) {
    return matchers.every(({ label, op, value }) => {
        const found = labels[label] ?? ''
        const matches = op.endsWith('~') ? new RegExp(`^(?:${value})$`).test(found) : found === value
        return op.startsWith('!') ? !matches : matches
    })
}

const source = (node, { text }) => text.slice(node.from, node.to)

function selector(node, text) {
    const name = node.getChild('Identifier')
    const matchers = node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? []
    const part = (matcher, type) => source(matcher.getChild(type), { text })
    return {
        name: name ? source(name, { text }) : undefined,
        matchers: matchers.map((matcher) => ({
            label: part(matcher, 'LabelName'),
            op: part(matcher, 'MatchOp'),
            value: JSON.parse(part(matcher, 'StringLiteral')),
        })),
    }
}

function value(node, context) {
    switch (node.name) {
        case 'ParenExpr':
            return value(node.getChild('Expr'), context)
        case 'NumberDurationLiteral':
            return number(source(node, context))
        case 'VectorSelector':
            return instant(node, context)
        case 'AggregateExpr':
            return aggregate(node, context)
        case 'FunctionCall':
            return call(node, context)
        case 'BinaryExpr':
            return binary(node, context)
        default:
            throw new Error(`${node.name} is not known to this evaluator: ${source(node, context)}`)
    }
}

function number(text) {
    return text in { inf: 1, Inf: 1 } ? Infinity : /^[0-9.e+-]+$/.test(text) ? Number(text) : seconds(text)
}

function seconds(text) {
    const parts = [...text.matchAll(/([0-9]+)(ms|[smhdwy])/g)]
    return parts.reduce((sum, [, count, unit]) => sum + Number(count) * UNITS[unit], 0)
}

function chosen(node, context) {
    const { name, matchers } = selector(node, context.text)
    const wanted = [...(name ? [{ label: '__name__', op: '=', value: name }] : []), ...matchers]
    return context.series.filter(({ labels }) => fits(wanted, labels))
}

// A series that is not in the newest scrape of its target is over.
function instant(node, context) {
    const newest = ({ points }) => points.at(-1)
    const live = chosen(node, context).filter((series) => newest(series)[0] === context.time)
    return live.map((series) => ({ labels: series.labels, value: newest(series)[1] }))
}

function range(node, context) {
    if (node?.name !== 'MatrixSelector') throw new Error(`a range is needed: ${context.text}`)
    const window = seconds(source(node.getChild('DurationExpr'), context))
    const since = context.time - window
    return chosen(node.getChild('Expr'), context)
        .map(({ labels, points }) => ({ labels, points: points.filter(([time]) => time > since) }))
        .filter(({ points }) => points.length > 1)
}

const unnamed = ({ __name__, ...labels }) => labels

function overRange(node, context, of) {
    return range(node, context).map(({ labels, points }) => ({ labels: unnamed(labels), value: of(points) }))
}

// A counter that has become smaller was started again from 0.
function rise(points) {
    const steps = points.slice(1).map(([, value], i) => (value < points[i][1] ? value : value - points[i][1]))
    return steps.reduce((sum, step) => sum + step, 0)
}

const length = (points) => points.at(-1)[0] - points[0][0]

function call(node, context) {
    const name = source(node.getChild('FunctionIdentifier'), context)
    const args = node.getChild('FunctionCallBody').getChildren('Expr')
    switch (name) {
        case 'time':
            return context.time
        case 'increase':
            return overRange(args[0], context, rise)
        case 'rate':
            return overRange(args[0], context, (points) => rise(points) / length(points))
        case 'delta':
            return overRange(args[0], context, (points) => points.at(-1)[1] - points[0][1])
        case 'changes':
            return overRange(args[0], context, (points) => points.filter(([, v], i) => i > 0 && v !== points[i - 1][1]).length)
        case 'histogram_quantile':
            return quantile(value(args[0], context), value(args[1], context))
        default:
            throw new Error(`the function ${name} is not known to this evaluator`)
    }
}

function quantile(rank, buckets) {
    const groups = grouped(buckets, ({ le, ...labels }) => unnamed(labels))
    return groups.map(({ labels, members }) => {
        const bounds = members.map(({ labels, value }) => [labels.le === '+Inf' ? Infinity : Number(labels.le), value])
        bounds.sort(([a], [b]) => a - b)
        const wanted = rank * bounds.at(-1)[1]
        const index = bounds.findIndex(([, count]) => count >= wanted)
        const [low, below] = bounds[index - 1] ?? [0, 0]
        const [high, count] = bounds[index]
        const inside = high === Infinity ? low : low + ((high - low) * (wanted - below)) / (count - below)
        return { labels, value: bounds.at(-1)[1] === 0 ? NaN : inside }
    })
}

function grouped(vector, keep) {
    const groups = new Map()
    for (const sample of vector) {
        const labels = keep(sample.labels)
        const key = JSON.stringify(Object.entries(labels).sort())
        if (!groups.has(key)) groups.set(key, { labels, members: [] })
        groups.get(key).members.push(sample)
    }
    return [...groups.values()]
}

const pick = (labels, names) => Object.fromEntries(names.filter((name) => name in labels).map((name) => [name, labels[name]]))
const omit = (labels, names) => Object.fromEntries(Object.entries(labels).filter(([name]) => !names.includes(name)))
const names = (node, context) => node.getChild('GroupingLabels').getChildren('LabelName').map((name) => source(name, context))

const AGGREGATES = {
    sum: (values) => values.reduce((a, b) => a + b, 0),
    max: (values) => Math.max(...values),
    min: (values) => Math.min(...values),
    count: (values) => values.length,
    avg: (values) => AGGREGATES.sum(values) / values.length,
}

function aggregate(node, context) {
    const op = source(node.getChild('AggregateOp'), context)
    const of = AGGREGATES[op]
    if (!of) throw new Error(`the aggregation ${op} is not known to this evaluator`)
    const modifier = node.getChild('AggregateModifier')
    const listed = modifier ? names(modifier, context) : []
    const keep = modifier?.getChild('Without') ? (labels) => omit(unnamed(labels), listed) : (labels) => pick(labels, listed)
    const vector = value(node.getChild('FunctionCallBody').getChild('Expr'), context)
    return grouped(vector, keep).map(({ labels, members }) => ({ labels, value: of(members.map(({ value }) => value)) }))
}

const ARITHMETIC = { Add: (a, b) => a + b, Sub: (a, b) => a - b, Mul: (a, b) => a * b, Div: (a, b) => a / b }
const COMPARISONS = {
    Eql: (a, b) => a === b,
    Neq: (a, b) => a !== b,
    Gtr: (a, b) => a > b,
    Lss: (a, b) => a < b,
    Gte: (a, b) => a >= b,
    Lte: (a, b) => a <= b,
}

function binary(node, context) {
    const operator = [...Object.keys(ARITHMETIC), ...Object.keys(COMPARISONS), 'And', 'Or', 'Unless'].find((name) => node.getChild(name))
    if (!operator || node.getChild('BoolModifier')) throw new Error(`not known to this evaluator: ${source(node, context)}`)
    const [left, right] = node.getChildren('Expr').map((side) => value(side, context))
    const clause = node.getChild('MatchingModifierClause')
    const listed = clause ? names(clause, context) : []
    const key = clause?.getChild('On') ? (labels) => pick(labels, listed) : (labels) => omit(unnamed(labels), listed)
    if (operator === 'And' || operator === 'Or' || operator === 'Unless') return together(operator, left, right, key, context)
    const combine = ARITHMETIC[operator]
        ? (sample, a, b) => ({ labels: unnamed(sample.labels), value: ARITHMETIC[operator](a, b) })
        : (sample, a, b) => (context.all || COMPARISONS[operator](a, b) ? sample : undefined)
    if (typeof left === 'number' && typeof right === 'number') return ARITHMETIC[operator](left, right)
    if (typeof right === 'number') return left.map((sample) => combine(sample, sample.value, right)).filter(Boolean)
    if (typeof left === 'number') return right.map((sample) => combine(sample, left, sample.value)).filter(Boolean)
    return matched(left, right, key, Boolean(clause?.getChild('GroupLeft')), combine)
}

const keyOf = (labels, key) => JSON.stringify(Object.entries(key(labels)).sort())

function together(operator, left, right, key, { all }) {
    const there = new Set(right.map(({ labels }) => keyOf(labels, key)))
    const here = new Set(left.map(({ labels }) => keyOf(labels, key)))
    if (operator === 'Or') return [...left, ...right.filter(({ labels }) => !here.has(keyOf(labels, key)))]
    return left.filter(({ labels }) => all || there.has(keyOf(labels, key)) === (operator === 'And'))
}

function matched(left, right, key, many, combine) {
    const index = new Map()
    for (const sample of right) {
        const name = keyOf(sample.labels, key)
        if (index.has(name)) throw new Error(`two series on the right side match: ${name}`)
        index.set(name, sample)
    }
    const seen = new Set()
    return left.flatMap((sample) => {
        const name = keyOf(sample.labels, key)
        if (!many && seen.has(name)) throw new Error(`two series on the left side match: ${name}`)
        seen.add(name)
        const other = index.get(name)
        const result = other && combine(sample, sample.value, other.value)
        return result ? [result] : []
    })
}
