// A task: gets the inputs of an execution, and returns its answer.
function greet({ name }) {
  const trimmed = name.trim()
  if (trimmed === '') return { status: 'nameless', outputs: {} }
  const text = `Hello, ${trimmed}`
  return { status: 'greeted', outputs: { text, letters: [...text].length } }
}
