// What a mutant is: one small change of a file, found in the compiler's own syntax tree, so that it is exactly one
// condition, operator, number or statement.


const BINARY = {
  "<": ["<=", ">="],
  "<=": ["<", ">"],
  ">": [">=", "<="],
  ">=": [">", "<"],
  "==": ["!="],
  "!=": ["=="],
  "+": ["-"],
  "-": ["+"],
  "*": ["/"],
  "/": ["*"],
  "%": ["/"],
  "&": ["|"],
  "|": ["&"],
  "<<": [">>"],
  ">>": ["<<"],
};

const YUL = {
  add: ["sub"],
  sub: ["add"],
  mul: ["add"],
  lt: ["gt", "eq"],
  gt: ["lt", "eq"],
  eq: ["lt", "gt"],
  and: ["or"],
  or: ["and"],
  shl: ["shr"],
  shr: ["shl"],
};

/** The text of one file, in bytes: the compiler counts those. */
class Source {
  constructor(text) {
    this.bytes = Buffer.from(text);
  }

  range({ src }) {
    const [start, length] = src.split(":").map(Number);
    return [start, start + length];
  }

  text(node) {
    return this.bytes.subarray(...this.range(node)).toString();
  }

  replace([start, end], replacement) {
    return Buffer.concat([this.bytes.subarray(0, start), Buffer.from(replacement), this.bytes.subarray(end)]).toString();
  }

  line(offset) {
    return this.bytes.subarray(0, offset).toString().split("\n").length;
  }

  /** The range of the operator between two operands. */
  operator(node) {
    const [left, right] = [node.leftExpression ?? node.leftHandSide, node.rightExpression ?? node.rightHandSide];
    const [from, to] = [this.range(left)[1], this.range(right)[0]];
    const at = from + this.bytes.subarray(from, to).toString().indexOf(node.operator);
    return [at, at + node.operator.length];
  }
}

/** A number beside the one in `text`, as wide as that if it is hexadecimal. */
function shifted(text, difference) {
  if (/\s/.test(text)) return difference > 0 ? `(${text} + 1)` : `(${text} - 1)`; // with a unit
  const value = BigInt(text.replaceAll("_", "")) + difference;
  if (value < 0n) return undefined;
  return text.startsWith("0x") ? `0x${value.toString(16).padStart(text.length - 2, "0")}` : String(value);
}

const isBool = (node) => node.typeDescriptions?.typeString === "bool";
const isCall = (node, name) => node.nodeType === "FunctionCall" && node.expression.name === name;

/** One function for each kind of node: [what, replacement, range?]s for the node. */
const OPERATORS = {
  ExpressionStatement: (node) => [[isCall(node.expression, "require") ? "without the check" : "without it", "0"]],
  EmitStatement: () => [["without the event", "0"]],
  RevertStatement: () => [["without it", "0"]],
  Continue: () => [["without it", "0"]],
  Break: () => [["without it", "0"]],
  ModifierInvocation: (node) => (node.kind === "modifierInvocation" ? [["without the modifier", ""]] : []),
  IfStatement: ({ condition }, source) =>
    ["true", "false"].map((value) => [`if ${value}`, value, source.range(condition)]),
  ForStatement: ({ condition }, source) => (condition ? [["never", "false", source.range(condition)]] : []),
  WhileStatement: ({ condition }, source) => [["never", "false", source.range(condition)]],
  Conditional: (node, source) => [
    ["the first", source.text(node.trueExpression)],
    ["the second", source.text(node.falseExpression)],
  ],
  Return: ({ expression }, source) => (expression ? returned(expression, source) : []),
  BinaryOperation: binary,
  Assignment: (node, source) =>
    (BINARY[node.operator.slice(0, -1)] ?? []).map((other) => [`${other}=`, `${other}=`, source.operator(node)]),
  UnaryOperation: unary,
  Literal: literal,
  MemberAccess: member,
  YulExpressionStatement: () => [["without it", "{}"]],
  YulAssignment: () => [["without it", "{}"]],
  YulBreak: () => [["without it", "{}"]],
  YulIf: ({ condition }, source) => ["1", "0"].map((value) => [`if ${value}`, value, source.range(condition)]),
  YulFunctionCall: yulCall,
  YulLiteral: ({ kind, value }) => (kind === "number" ? numbers(value) : []),
};

function binary(node, source) {
  if (node.operator === "&&" || node.operator === "||") {
    const other = node.operator === "&&" ? "||" : "&&";
    const [left, right] = [source.text(node.leftExpression), source.text(node.rightExpression)];
    return [
      [other, other, source.operator(node)],
      ["only the left", left],
      ["only the right", right],
    ];
  }
  return (BINARY[node.operator] ?? []).map((other) => [other, other, source.operator(node)]);
}

function unary(node, source) {
  const inner = source.text(node.subExpression);
  const put = (operator) => (node.prefix ? operator + inner : inner + operator);
  if (node.operator === "!" || node.operator === "~") return [[`no ${node.operator}`, inner]];
  if (node.operator === "++") return [["--", put("--")]];
  if (node.operator === "--") return [["++", put("++")]];
  return [];
}

/** What is not an operation itself, turned round; numbers become zero. */
function returned(expression, source) {
  const text = source.text(expression);
  if (isBool(expression) && !["BinaryOperation", "UnaryOperation", "Literal"].includes(expression.nodeType)) {
    return [["not", `!(${text})`, source.range(expression)]];
  }
  return expression.typeDescriptions?.typeString === "uint256" ? [["zero", "0", source.range(expression)]] : [];
}

function literal(node, source) {
  const text = source.text(node);
  if (node.kind === "bool") return [[text === "true" ? "false" : "true", text === "true" ? "false" : "true"]];
  if (node.kind === "string") return [["another text", `"${node.value}x"`]];
  return node.kind === "number" ? numbers(text) : [];
}

function numbers(text) {
  return [1n, -1n]
    .map((difference) => shifted(text, difference))
    .filter((other) => other !== undefined)
    .map((other) => [other, other]);
}

function member(node, source) {
  const text = source.text(node);
  if (text === "msg.sender") return [["tx.origin", "tx.origin"]];
  if (/^type\(\w+\)\.max$/.test(text)) return [["min", text.replace(/max$/, "min")]];
  return [];
}

function yulCall(node, source) {
  const [start] = source.range(node);
  const name = node.functionName.name;
  if (name === "iszero") return [["no iszero", source.text(node.arguments[0])]];
  return (YUL[name] ?? []).map((other) => [other, other, [start, start + name.length]]);
}

/** Nodes below `root` with the function they are in; what is no code of ours to change is left out. */
function* nodes(root, place = "") {
  if (root === null || typeof root !== "object") return;
  if (Array.isArray(root)) {
    for (const child of root) yield* nodes(child, place);
    return;
  }
  if (["ArrayTypeName", "PragmaDirective", "ImportDirective", "StructuredDocumentation"].includes(root.nodeType)) return;
  if (root.nodeType === "ContractDefinition" && root.contractKind === "interface") return;
  const named = ["ContractDefinition", "FunctionDefinition", "ModifierDefinition"].includes(root.nodeType);
  const isConstant = root.nodeType === "VariableDeclaration" && root.stateVariable;
  const here = named || isConstant ? [place, root.name || root.kind].filter(Boolean).join(".") : place;
  if (root.nodeType) yield [root, here];
  for (const child of Object.values(root)) yield* nodes(child, here);
}

const short = (text) => text.replaceAll(/\s+/g, " ").trim();

/** The line in which `range` is, before and after. */
function difference(source, range, replacement) {
  const begin = source.bytes.lastIndexOf(10, range[0]) + 1;
  const newline = source.bytes.indexOf(10, range[1]);
  const end = newline < 0 ? source.bytes.length : newline;
  const part = (from, to) => source.bytes.subarray(from, to).toString();
  return { before: short(part(begin, end)), after: short(part(begin, range[0]) + replacement + part(range[1], end)) };
}

/** All mutants of the file: [{ id, path, line, before, after, text }]. An id stays when lines move. */
export function mutantsOf(path, text, tree) {
  const source = new Source(text);
  const counts = new Map();
  const mutants = [];
  for (const [node, place] of nodes(tree)) {
    for (const [what, replacement, range = source.range(node)] of OPERATORS[node.nodeType]?.(node, source) ?? []) {
      const mutated = short(source.bytes.subarray(...range).toString());
      const name = `${place}: \`${mutated}\` ${what}`;
      counts.set(name, (counts.get(name) ?? 0) + 1);
      const id = counts.get(name) === 1 ? name : `${name} (${counts.get(name)})`;
      const line = source.line(range[0]);
      mutants.push({ id, path, line, ...difference(source, range, replacement), text: source.replace(range, replacement) });
    }
  }
  return mutants;
}

