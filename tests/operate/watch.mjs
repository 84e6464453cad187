// What the alert rules and the dashboard would show of a ring.
//
//   node watch.mjs DIRECTORY < scrapes.json
//
// DIRECTORY has alerts.yml and dashboard.json. The input is { ring, rounds }: each round has { time, targets }, each target
// { instance, text }, where text is what the member's /metrics answered, or null. The output is JSON:
//
//   alerts   for each alert the series for which its expression holds now
//   panels   for each panel the results of its expressions
//   wrong    sentences about what is wrong with the files themselves: metrics, labels or label values that are not served

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse as parseYaml } from 'yaml'
import { evaluate, fits, parse, selectors } from './promql.mjs'

const directory = process.argv[2]
const input = JSON.parse(readFileSync(0, 'utf8'))
const alerts = parseYaml(readFileSync(join(directory, 'alerts.yml'), 'utf8'))
const dashboard = JSON.parse(readFileSync(join(directory, 'dashboard.json'), 'utf8'))
const database = databaseOf(input)
const wrong = []
// Prometheus itself makes this one.
const OWN = ['up']

const output = { alerts: {}, panels: {}, wrong }
for (const rule of alerts.groups.flatMap(({ rules }) => rules)) {
    output.alerts[rule.alert] = alert(rule)
}
for (const panel of dashboard.panels) {
    output.panels[panel.title] = panel.targets.map((target) => shown(panel, target))
}
console.log(JSON.stringify(output))

function databaseOf({ ring, rounds }) {
    const series = new Map()
    const add = (labels, time, value) => {
        const key = JSON.stringify(Object.entries(labels).sort())
        if (!series.has(key)) series.set(key, { labels, points: [] })
        series.get(key).points.push([time, value])
    }
    for (const { time, targets } of rounds) {
        for (const { instance, text } of targets) {
            const target = { job: 'rings', instance, ring }
            add({ __name__: 'up', ...target }, time, text === null ? 0 : 1)
            for (const [labels, value] of samples(text ?? '')) add({ ...labels, ...target }, time, value)
        }
    }
    return { time: rounds.at(-1).time, series: [...series.values()] }
}

function samples(text) {
    const lines = text.split('\n').filter((line) => line && !line.startsWith('#'))
    return lines.map((line) => {
        const [, name, braces, value] = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? (\S+)$/.exec(line)
        const labels = [...(braces ?? '').matchAll(/([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g)]
        const pairs = labels.map(([, label, text]) => [label, text.replace(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c))])
        return [{ __name__: name, ...Object.fromEntries(pairs) }, Number(value)]
    })
}

function alert({ alert: name, expr, annotations }) {
    const expression = checked(`alert ${name}`, expr)
    const everything = evaluate(expression, database, true)
    for (const label of mentioned(Object.values(annotations).join(' '), /\$labels\.(\w+)/g)) {
        const missing = everything.some(({ labels }) => !(label in labels))
        if (missing) wrong.push(`alert ${name} speaks of the label ${label}, which its expression does not have`)
    }
    return evaluate(expression, database)
}

function shown({ title }, { expr, legendFormat }) {
    const text = expr.replaceAll('$ring', input.ring).replaceAll('$__rate_interval', '5m')
    const expression = checked(`panel ${title}`, text)
    const result = evaluate(expression, database)
    if (result.length === 0) wrong.push(`panel ${title} shows nothing: ${text}`)
    for (const label of mentioned(legendFormat, /\{\{(\w+)\}\}/g)) {
        const missing = result.some(({ labels }) => !(label in labels))
        if (missing) wrong.push(`the legend of panel ${title} names the label ${label}, which its expression does not have`)
    }
    return result
}

function mentioned(text, pattern) {
    return [...text.matchAll(pattern)].map(([, label]) => label)
}

// The expression, when everything that it names is served.
function checked(where, text) {
    const expression = parse(text)
    for (const { name, matchers } of selectors(expression)) {
        const served = database.series.filter(({ labels }) => labels.__name__ === name)
        if (served.length === 0 && !OWN.includes(name)) wrong.push(`${where} asks for ${name}, which no member serves`)
        for (const matcher of matchers.flatMap(alternatives)) {
            const some = served.some(({ labels }) => fits([matcher], labels))
            if (!some) wrong.push(`${where}: no series of ${name} has ${matcher.label}${matcher.op}"${matcher.value}"`)
        }
    }
    return expression
}

// Each alternative of a regular expression has to be there.
function alternatives(matcher) {
    return matcher.op === '=~' ? matcher.value.split('|').map((value) => ({ ...matcher, op: '=', value })) : [matcher]
}
