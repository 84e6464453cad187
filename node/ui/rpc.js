// Asks the member that served this page, and nobody else.

/** Calls in one batch; the member takes no more. */
const BATCH = 20

/** A refusal. */
export class RpcError extends Error {
  constructor({ code, message, data }) {
    super(typeof data === 'string' ? data : message)
    this.code = code
  }
}

async function post(body, token) {
  const headers = { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) }
  const response = await fetch('/', { method: 'POST', headers, body: JSON.stringify(body), signal: AbortSignal.timeout(15_000) })
  if (!response.ok) throw new Error(`the member answered ${response.status}: ${(await response.text()).trim()}`)
  return response.json()
}

/** Calls methods: `[[method, params], …]`. Each answer is a result or an RpcError. */
export async function ask(calls) {
  const results = []
  for (let at = 0; at < calls.length; at += BATCH) {
    const part = calls.slice(at, at + BATCH)
    const answers = await post(part.map(([method, params = {}], id) => ({ jsonrpc: '2.0', id, method, params })))
    const byId = new Map(answers.map(answer => [answer.id, answer]))
    results.push(...part.map((_, id) => byId.get(id)?.error ? new RpcError(byId.get(id).error) : byId.get(id)?.result))
  }
  return results
}

/** Calls one method, with the token where one is given. */
export async function call(method, params = {}, token) {
  const { error, result } = await post({ jsonrpc: '2.0', id: 1, method, params }, token)
  if (error) throw new RpcError(error)
  return result
}

/** `/health`, which answers in any state. */
export async function health() { return (await fetch('/health', { signal: AbortSignal.timeout(15_000) })).json() }

/** Work on the member's store; needs the token. */
export async function work(path, token) {
  const response = await fetch(path, { method: 'POST', headers: { authorization: `Bearer ${token}` } })
  const text = await response.text()
  if (!response.ok) throw new Error(text.trim())
  return JSON.parse(text)
}
