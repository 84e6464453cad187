// A copy of the contracts with their tests, compiled once and kept for the next run; a mutant is put into its artifacts,
// which forge takes as they are as long as no source has changed. The tests that are most likely to notice run first, and the
// first that fails ends a run.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { NOT_FOR_MUTANTS } from "./compiler.mjs";

const SECONDS_FOR_TESTS = 600;

/** What is copied anew for each run. The artifacts of what has not changed stay. */
const COPIED = ["contracts/src", "contracts/test", "contracts/snapshots", "anvil-scripts/Deploy.s.sol", "foundry.toml", "abi/json"];

/** Suites that are about a file beside the one with its name, and run before all others when the file is changed. */
const SUITES = {
  Account: ["Flush", "Delegation", "Avatars"],
  Avatars: ["Flush", "Membership", "Edges"],
  CountedExits: ["Members", "Membership"],
  Engine: ["Edges", "Gate"],
  GateCode: ["Gate", "Engine"],
  MemberSet: ["Members"],
  Members: ["Membership", "Ring", "Edges"],
  Membership: ["Engine", "Edges"],
  Page: ["Clients", "RingLogs"],
  Ring: ["Fork", "RingLogs", "Membership", "Edges"],
  RingLogs: ["Proofs"],
  RingNodeHeader: ["Proofs"],
};

/** A test of the fuzzer takes few values at first: nearly every mutant is noticed by the first ones. */
const QUICK = { FOUNDRY_FUZZ_RUNS: "6" };

const INVARIANTS = "contracts/test/invariant/*";

const ENVIRONMENT = {
  FOUNDRY_PROFILE: "mutation",
  FOUNDRY_OUT: "out",
  FOUNDRY_CACHE_PATH: "cache",
  FOUNDRY_FUZZ_SEED: "0x1",
  NO_COLOR: "1",
};

/** Whether process `pid` is another one than this and runs. */
function isRunning(pid) {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

export class Workspace {
  constructor(root, folder) {
    this.folder = folder;
    this.dirty = join(folder, "mutant"); // is there while a mutant is in the artifacts
    const owner = join(folder, "pid");
    if (existsSync(owner) && isRunning(Number(readFileSync(owner, "utf8")))) throw new Error(`another run uses ${folder}: wait for its end`);
    if (existsSync(this.dirty)) rmSync(folder, { recursive: true, force: true });
    mkdirSync(join(folder, "contracts"), { recursive: true });
    writeFileSync(owner, String(process.pid));
    for (const name of COPIED) {
      rmSync(join(folder, name), { recursive: true, force: true });
      if (existsSync(join(root, name))) cpSync(join(root, name), join(folder, name), { recursive: true });
    }
    const modules = join(folder, "contracts/node_modules");
    if (!existsSync(modules)) symlinkSync(join(root, "contracts/node_modules"), modules);
  }

  #forge(words, more = {}) {
    const environment = { ...process.env, ...ENVIRONMENT, ...more };
    const options = { cwd: this.folder, env: environment, encoding: "utf8", timeout: SECONDS_FOR_TESTS * 1000, maxBuffer: 1 << 28 };
    const { status, signal, stdout, stderr } = spawnSync(process.env.RINGS_FORGE, words, options);
    return { status, isSlow: signal !== null, text: stdout + stderr };
  }

  /** Runs the tests that `match` names: { caught, by }, where `by` names what failed. */
  test(match = [], environment = {}) {
    for (const kept of ["fuzz", "invariant", "test-failures"]) rmSync(join(this.folder, "cache", kept), { recursive: true, force: true });
    const words = ["test", "--fail-fast", "--threads", "1", "--no-match-contract", NOT_FOR_MUTANTS.source, ...match];
    const { status, isSlow, text } = this.#forge(words, environment);
    if (isSlow) return { caught: true, by: `no end within ${SECONDS_FOR_TESTS} s` };
    if (status === 0) return { caught: false };
    // An invariant's name comes after the sequence of calls that broke it.
    const failed = /^\[FAIL.*\] (\w+)\(/m.exec(text) ?? /^\[FAIL[^]*?^ (\w+)\(\) \(runs/m.exec(text);
    if (failed === null) throw new Error(`forge test did not run:\n${text.slice(-3000)}`);
    return { caught: true, by: failed[1] };
  }

  /** Compiles what has changed since the last run. */
  prepare() {
    const { status, text } = this.#forge(["build"]);
    if (status !== 0) throw new Error(`forge build failed:\n${text.slice(-3000)}`);
  }

  /** Runs `check`, which sees that the tests pass without a mutant, unless it has passed with the same contracts and tests. */
  onceProven(check) {
    const proven = join(this.folder, "proven");
    const state = this.#hash();
    if (existsSync(proven) && readFileSync(proven, "utf8") === state) return;
    check();
    writeFileSync(proven, state);
  }

  /** The hash of all files that are copied. */
  #hash() {
    const hash = createHash("sha256");
    for (const name of COPIED) {
      const place = join(this.folder, name);
      if (!existsSync(place)) continue;
      const files = statSync(place).isDirectory() ? readdirSync(place, { recursive: true }).sort().map((file) => join(place, file)) : [place];
      files.filter((file) => statSync(file).isFile()).forEach((file) => hash.update(file).update(readFileSync(file)));
    }
    return hash.digest("hex");
  }

  #artifact({ file, name }) {
    return join(this.folder, "out", basename(file), `${name}.json`);
  }

  /** The tests of the file `path`, as a pattern; undefined when there are none. */
  #suitesOf(path) {
    const name = basename(path, ".sol");
    const suites = [name, ...(SUITES[name] ?? [])].filter((suite) => existsSync(join(this.folder, `contracts/test/${suite}.t.sol`)));
    return suites.length === 0 ? undefined : `contracts/test/{${suites.join(",")},_}.t.sol`;
  }

  /** Runs ever more tests until one notices: those of the file `path`, all but the invariants, all with more runs. */
  #testFrom(path) {
    const suites = this.#suitesOf(path);
    const steps = [
      [["--no-match-path", INVARIANTS], QUICK],
      [["--match-path", INVARIANTS]],
      [[...(suites ? ["--match-path", suites] : ["--no-match-path", INVARIANTS])]],
    ];
    if (suites) steps.unshift([["--match-path", suites], QUICK]);
    let result;
    for (const [match, environment] of steps) {
      result = this.test(match, environment);
      if (result.caught) break;
    }
    return result;
  }

  /** Runs the tests with `built` in the place of what was compiled: those that `match` names, or those of `path` first. */
  testWith(built, path, match) {
    const kept = built.map((contract) => [this.#artifact(contract), readFileSync(this.#artifact(contract))]);
    writeFileSync(this.dirty, path);
    try {
      for (const contract of built) this.#put(contract);
      return match ? this.test(match) : this.#testFrom(path);
    } finally {
      for (const [path, bytes] of kept) writeFileSync(path, bytes);
      rmSync(this.dirty);
    }
  }

  #put(contract) {
    const path = this.#artifact(contract);
    const artifact = JSON.parse(readFileSync(path, "utf8"));
    artifact.bytecode.object = `0x${contract.evm.bytecode.object}`;
    artifact.deployedBytecode.object = `0x${contract.evm.deployedBytecode.object}`;
    writeFileSync(path, JSON.stringify(artifact));
  }
}
