// One thread: takes mutants, compiles each, runs the tests, and says what came of it.

import { join } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import { Compiler } from "./compiler.mjs";
import { Workspace } from "./workspace.mjs";

const { root, folder, number, unchanged } = workerData;
const workspace = new Workspace(root, join(folder, `worker-${number}`));
const compiler = new Compiler(workspace.folder);

function run({ path, text, affected, match }) {
  const { errors, built } = compiler.build(affected, path, text);
  if (errors.length > 0) return { compiles: false, error: errors[0] };
  return { compiles: true, ...workspace.testWith(built, path, match) };
}

/** What this program compiles does what forge has compiled does. */
function seeThatTestsPass() {
  const { caught, by } = run(unchanged);
  if (caught) throw new Error(`compiled here and without any mutation, the tests fail: ${by}`);
}

workspace.prepare();
if (unchanged.match) seeThatTestsPass(); // some tests only
else workspace.onceProven(seeThatTestsPass);
parentPort.on("message", (mutant) => {
  const began = performance.now();
  const result = run(mutant);
  parentPort.postMessage({ mutant, result: { ...result, seconds: (performance.now() - began) / 1000 } });
});
parentPort.postMessage({});
