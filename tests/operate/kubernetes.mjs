// Whether an object of Kubernetes is as its schema says. The validators are those of the package kubernetes-models, which are compiled
// from the OpenAPI document of Kubernetes.
//
// They accept fields that the schema does not have. But each validator reads every field that its schema has, so a field that none of
// them has read is unknown: that is how a mistyped name is found.

import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const require = createRequire(import.meta.url)
// The package has them beside its models, without a name of their own.
const schemas = join(dirname(require.resolve('kubernetes-models')), '_schemas')
const SCHEMAS = {
    'apps/v1 StatefulSet': 'IoK8sApiAppsV1StatefulSet',
    'v1 ConfigMap': 'IoK8sApiCoreV1ConfigMap',
    'v1 Service': 'IoK8sApiCoreV1Service',
}

/** What is wrong with the object, in words. */
export function mistakes(object) {
    const name = `${object.apiVersion} ${object.kind}`
    if (!(name in SCHEMAS)) return [`${name} is not known to this check`]
    const { validate } = require(join(schemas, `${SCHEMAS[name]}.js`))
    const read = new Set()
    if (!validate(watch(object, '', read))) {
        return validate.errors.map(({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`)
    }
    return fields(object, '')
        .filter((path) => !read.has(path))
        .map((path) => `${path} is no field of the schema`)
}

// The value, which notes the path of each of its fields that is read.
function watch(value, path, read) {
    if (typeof value !== 'object' || value === null) return value
    return new Proxy(value, {
        get(target, name) {
            if (typeof name === 'symbol' || !Object.hasOwn(target, name)) return target[name]
            read.add(`${path}/${name}`)
            return watch(target[name], `${path}/${name}`, read)
        },
    })
}

// The paths of all fields.
function fields(value, path) {
    if (typeof value !== 'object' || value === null) return []
    return Object.entries(value).flatMap(([name, part]) => [`${path}/${name}`, ...fields(part, `${path}/${name}`)])
}
