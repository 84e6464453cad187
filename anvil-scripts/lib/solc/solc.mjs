#!/usr/bin/env node
// Makes the npm package `solc` (the compiler as WebAssembly) answer as the native compiler does, as far as
// forge and ethers-solc ask: `--version`, and `--standard-json` on standard input. Paths given with
// `--base-path` and `--include-path` are where imports are looked for that the input does not contain.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { isAbsolute, resolve } from "node:path";

const VERSION_FILE = new URL("version.txt", import.meta.url);
const WITH_VALUE = new Set(["--base-path", "--include-path", "--allow-paths", "-I"]);

/** Splits the command line into switches and, for options with a value, the values. */
function parse(argv) {
  const switches = new Set();
  const roots = [];
  for (let i = 0; i < argv.length; i++) {
    const [name, inline] = argv[i].split(/=(.*)/s, 2);
    if (!WITH_VALUE.has(name)) {
      switches.add(name);
      continue;
    }
    const value = inline ?? argv[++i];
    if (name !== "--allow-paths" && value !== undefined) roots.push(value);
  }
  return { switches, roots };
}

/** Loading the compiler takes half a second, so the installer writes its version beside this file. */
function version(load) {
  try {
    return readFileSync(VERSION_FILE, "utf8").trim();
  } catch {
    return load().version();
  }
}

/** The callback by which the compiler asks for a file. */
function importer(roots) {
  const places = roots.length > 0 ? roots : ["."];
  return (path) => {
    const candidates = isAbsolute(path) ? [path] : places.map((root) => resolve(root, path));
    for (const file of candidates) {
      try {
        return { contents: readFileSync(file, "utf8") };
      } catch (error) {
        if (error.code !== "ENOENT") return { error: error.message };
      }
    }
    return { error: `File not found: ${path}` };
  };
}

/** Emscripten's runtime rethrows every error by itself, which hides the message. */
function load() {
  const solc = createRequire(import.meta.url)("solc");
  process.removeAllListeners("uncaughtException");
  return solc;
}

function main(argv) {
  const { switches, roots } = parse(argv);
  if (switches.has("--version")) {
    console.log(`solc, the solidity compiler commandline interface\nVersion: ${version(load)}`);
    return 0;
  }
  if (!switches.has("--standard-json")) {
    console.error("solc.mjs knows --version and --standard-json only; install the native solc for the rest");
    return 1;
  }
  const input = readFileSync(0, "utf8");
  process.stdout.write(load().compile(input, { import: importer(roots) }) + "\n");
  return 0;
}

process.exitCode = main(process.argv.slice(2));
