// The compiler in this process, so that a mutant costs a second and not ten: only what the changed file goes into
// is compiled again, and without the optimiser, which changes no behaviour.

import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const REMAPPINGS = [
  "solady/=contracts/node_modules/solady/",
  "forge-std/=contracts/node_modules/@chainlink/contracts/src/v0.8/vendor/forge-std/src/",
];

/** Some tests compare gas and bytecode with what is committed: every mutant would be caught by that alone. Others are for halmos. */
export const NOT_FOR_MUTANTS = /^(Gas|Abi)|SymbolicTest$/;

/** The npm package behind the shim that the tool cache has as `solc`. */
function loadSolc() {
  const solc = createRequire(realpathSync(process.env.RINGS_SOLC))("solc");
  process.removeAllListeners("uncaughtException"); // Emscripten's runtime rethrows every error, which hides the message
  return solc;
}

/** Every node below `node`, itself first. */
export function* walk(node) {
  if (Array.isArray(node)) {
    for (const child of node) yield* walk(child);
  } else if (node !== null && typeof node === "object") {
    if (node.nodeType) yield node;
    for (const child of Object.values(node)) yield* walk(child);
  }
}

/** The Solidity files below `folder`, as paths relative to `root`. */
export function solidityFiles(root, folder) {
  return readdirSync(join(root, folder), { recursive: true })
    .filter((name) => name.endsWith(".sol"))
    .map((name) => `${folder}/${name}`)
    .sort();
}

/** Contracts whose code goes into another's: bases, what it creates, and libraries it calls. */
function dependenciesOf(contract, libraryOf) {
  const ids = new Set([...contract.linearizedBaseContracts, ...(contract.contractDependencies ?? [])]);
  for (const node of walk(contract.nodes)) {
    const library = libraryOf.get(node.referencedDeclaration);
    if (library !== undefined) ids.add(library);
  }
  ids.delete(contract.id);
  return ids;
}

export class Compiler {
  constructor(root) {
    this.root = root;
    this.solc = loadSolc();
    this.sources = new Map();
  }

  read(path) {
    if (!this.sources.has(path)) this.sources.set(path, readFileSync(join(this.root, path), "utf8"));
    return this.sources.get(path);
  }

  /** Compiles `files`; `changed` has the text of those that differ from what is on the disk. */
  compile(files, outputSelection, changed = new Map()) {
    const text = (path) => changed.get(path) ?? this.read(path);
    const input = {
      language: "Solidity",
      sources: Object.fromEntries(files.map((path) => [path, { content: text(path) }])),
      settings: {
        evmVersion: "cancun",
        optimizer: { enabled: false },
        metadata: { bytecodeHash: "none", appendCBOR: false },
        remappings: REMAPPINGS,
        outputSelection,
      },
    };
    const find = (path) => {
      try {
        return { contents: text(path) };
      } catch (error) {
        return { error: error.message };
      }
    };
    const output = JSON.parse(this.solc.compile(JSON.stringify(input), { import: find }));
    const errors = (output.errors ?? []).filter(({ severity }) => severity === "error");
    return { ...output, errors: errors.map(({ formattedMessage }) => formattedMessage) };
  }

  /** Reads the syntax trees of all contracts and what depends on what; from `kept`, a file, if nothing has changed since. */
  parse(kept) {
    const files = [...solidityFiles(this.root, "contracts/src"), ...solidityFiles(this.root, "contracts/test")];
    const hash = createHash("sha256");
    files.forEach((path) => hash.update(path).update(this.read(path)));
    const state = hash.digest("hex");
    const earlier = existsSync(kept) ? JSON.parse(readFileSync(kept, "utf8")) : {};
    const parsed = earlier.state === state ? earlier : { state, ...this.#parse(files) };
    if (parsed !== earlier) writeFileSync(kept, JSON.stringify(parsed));
    this.trees = new Map(parsed.trees);
    this.affected = new Map(parsed.affected);
  }

  /** The trees of the contracts, and for each file what has to be compiled again when it changes. */
  #parse(files) {
    const { sources, errors } = this.compile(files, { "*": { "": ["ast"] } });
    if (errors.length > 0) throw new Error(errors.join("\n"));
    this.trees = new Map(Object.entries(sources).map(([path, { ast }]) => [path, ast]));
    this.#readDependencies();
    const ours = files.filter((path) => path.startsWith("contracts/src/"));
    return { trees: ours.map((path) => [path, this.trees.get(path)]), affected: ours.map((path) => [path, this.#affectedBy(path)]) };
  }

  #readDependencies() {
    this.contracts = new Map();
    const libraryOf = new Map();
    for (const [path, tree] of this.trees) {
      for (const contract of tree.nodes.filter(({ nodeType }) => nodeType === "ContractDefinition")) {
        this.contracts.set(contract.id, { path, contract });
        if (contract.contractKind !== "library") continue;
        for (const { id } of contract.nodes) libraryOf.set(id, contract.id);
      }
    }
    this.created = new Set();
    for (const entry of this.contracts.values()) {
      const isOurs = entry.path.startsWith("contracts/src/");
      if (isOurs) (entry.contract.contractDependencies ?? []).forEach((id) => this.created.add(id));
      entry.dependencies = dependenciesOf(entry.contract, libraryOf);
    }
  }

  /** Whether code of the file `path` is in the code of the contract `id`. */
  #contains(id, path, seen = new Set()) {
    if (seen.has(id)) return false;
    seen.add(id);
    const entry = this.contracts.get(id);
    if (entry.path === path) return true;
    return [...entry.dependencies].some((other) => this.#contains(other, path, seen));
  }

  /** Whether the tests run this contract by itself, and do so for every mutant. */
  #isRun({ path, contract }) {
    if (contract.contractKind !== "contract" || contract.abstract) return false;
    if (path.startsWith("contracts/src/")) return !this.created.has(contract.id);
    return (path.endsWith(".t.sol") || contract.name.endsWith("Harness")) && !NOT_FOR_MUTANTS.test(contract.name);
  }

  /** The contracts to compile again when the file `path` changes, as [file, name]. */
  affectedBy(path) {
    return this.affected.get(path);
  }

  #affectedBy(path) {
    return [...this.contracts]
      .filter(([id, entry]) => this.#isRun(entry) && this.#contains(id, path))
      .map(([, { path: file, contract }]) => [file, contract.name]);
  }

  /** The code of the contracts `affected` when the text of `path` is `text`: { errors, built: [{ file, name, evm }] }. */
  build(affected, path, text) {
    const selection = {};
    for (const [file, name] of affected) {
      (selection[file] ??= {})[name] = ["evm.bytecode.object", "evm.deployedBytecode.object"];
    }
    const { contracts, errors } = this.compile(Object.keys(selection), selection, new Map([[path, text]]));
    if (errors.length > 0) return { errors };
    return { errors, built: affected.map(([file, name]) => ({ file, name, evm: contracts[file][name].evm })) };
  }
}
