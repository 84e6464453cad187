// A copy of the contracts with their tests, compiled once; a mutant is put into its artifacts, which forge takes as they
// are as long as no source has changed.

import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { NOT_FOR_MUTANTS } from "./compiler.mjs";

const SECONDS_FOR_TESTS = 240;

const ENVIRONMENT = {
  FOUNDRY_PROFILE: "mutation",
  FOUNDRY_OUT: "out",
  FOUNDRY_CACHE_PATH: "cache",
  FOUNDRY_FUZZ_SEED: "0x1",
  NO_COLOR: "1",
};

export class Workspace {
  constructor(root, folder) {
    this.folder = folder;
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(join(folder, "contracts"), { recursive: true });
    for (const name of ["contracts/src", "contracts/test", "contracts/snapshots", "anvil-scripts/Deploy.s.sol", "foundry.toml", "abi/json"]) {
      if (existsSync(join(root, name))) cpSync(join(root, name), join(folder, name), { recursive: true });
    }
    symlinkSync(join(root, "contracts/node_modules"), join(folder, "contracts/node_modules"));
  }

  #forge(...words) {
    const environment = { ...process.env, ...ENVIRONMENT };
    const options = { cwd: this.folder, env: environment, encoding: "utf8", timeout: SECONDS_FOR_TESTS * 1000, maxBuffer: 1 << 28 };
    const { status, signal, stdout, stderr } = spawnSync(process.env.RINGS_FORGE, words, options);
    return { status, isSlow: signal !== null, text: stdout + stderr };
  }

  /** Runs the tests: { caught, by }, where `by` names what failed. */
  test(match = []) {
    for (const kept of ["fuzz", "invariant", "test-failures"]) rmSync(join(this.folder, "cache", kept), { recursive: true, force: true });
    const words = ["test", "--fail-fast", "--threads", "1", "--no-match-contract", NOT_FOR_MUTANTS.source, ...match];
    const { status, isSlow, text } = this.#forge(...words);
    if (isSlow) return { caught: true, by: `no end within ${SECONDS_FOR_TESTS} s` };
    if (status === 0) return { caught: false };
    // An invariant's name comes after the sequence of calls that broke it.
    const failed = /^\[FAIL.*\] (\w+)\(/m.exec(text) ?? /^\[FAIL[^]*?^ (\w+)\(\) \(runs/m.exec(text);
    if (failed === null) throw new Error(`forge test did not run:\n${text.slice(-3000)}`);
    return { caught: true, by: failed[1] };
  }

  /** Compiles everything and sees that the tests pass as they are. */
  prepare() {
    const { status, text } = this.#forge("build");
    if (status !== 0) throw new Error(`forge build failed:\n${text.slice(-3000)}`);
    const { caught, by } = this.test();
    if (caught) throw new Error(`without any mutation, the tests fail: ${by}`);
  }

  #artifact({ file, name }) {
    return join(this.folder, "out", basename(file), `${name}.json`);
  }

  /** Runs the tests of the file `path` and then, if they have noticed nothing, all. */
  #testFrom(path) {
    const own = `contracts/test/${basename(path, ".sol")}.t.sol`;
    const first = existsSync(join(this.folder, own)) ? this.test(["--match-path", own]) : { caught: false };
    return first.caught ? first : this.test();
  }

  /** Runs the tests with `built` in the place of what was compiled: those that `match` names, or those of `path` first. */
  testWith(built, path, match) {
    const kept = built.map((contract) => [this.#artifact(contract), readFileSync(this.#artifact(contract))]);
    try {
      for (const contract of built) this.#put(contract);
      return match ? this.test(match) : this.#testFrom(path);
    } finally {
      for (const [path, bytes] of kept) writeFileSync(path, bytes);
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
