// Changes the contracts in every small way there is and sees whether the tests notice: node mutate.mjs [OPTIONS]
// What they do not notice must be in contracts/test/mutation/survivors.json with the reason.

import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Compiler, solidityFiles } from "./compiler.mjs";
import { mutantsOf } from "./operators.mjs";
import { runAll } from "./pool.mjs";

const ENOUGH = 95; // percent

const { values: options } = parseArgs({
  options: {
    root: { type: "string" },
    folder: { type: "string" },
    jobs: { type: "string", default: "2" },
    file: { type: "string", multiple: true },
    match: { type: "string" },
    every: { type: "string", default: "1" },
    from: { type: "string", default: "0" },
    list: { type: "boolean" },
    resume: { type: "boolean" },
  },
});
const survivorsFile = join(options.root, "contracts/test/mutation/survivors.json");

function chosenMutants() {
  const compiler = new Compiler(options.root);
  compiler.parse();
  const all = solidityFiles(options.root, "contracts/src").flatMap((path) => {
    const affected = compiler.affectedBy(path);
    return mutantsOf(path, compiler.read(path), compiler.trees.get(path)).map((mutant) => ({ ...mutant, affected }));
  });
  // Counted before anything is left out, so that a part of a part is the same mutants as in the whole.
  const isDue = (index) => index % Number(options.every) === Number(options.from);
  const isNamed = ({ id, path }) =>
    (!options.file || options.file.some((name) => path.endsWith(`/${name}`))) && (!options.match || id.includes(options.match));
  return all.filter((mutant, index) => isDue(index) && isNamed(mutant));
}

function show({ id, path, line, before, after }, remark) {
  console.log(`${remark} ${path}:${line}  ${id}\n  - ${before}\n  + ${after}`);
}

class Tally {
  constructor(explained, total) {
    Object.assign(this, { explained, total, files: new Map(), unexplained: [], stale: [], ended: 0 });
  }

  add(mutant, { compiles, caught, by }) {
    this.ended++;
    if (!compiles) return;
    const counts = this.files.get(mutant.path) ?? { caught: 0, all: 0 };
    counts.all++;
    if (caught) counts.caught++;
    this.files.set(mutant.path, counts);
    const reason = this.explained[mutant.id];
    if (!caught && reason === undefined) this.unexplained.push(mutant);
    if (caught && reason !== undefined) this.stale.push(mutant);
    if (!caught) show(mutant, `[${this.ended}/${this.total}] survived${reason ? `, as expected: ${reason}` : ""}`);
    else if (reason !== undefined) show(mutant, `[${this.ended}/${this.total}] explained, but caught by ${by}`);
  }

  print() {
    const sum = { caught: 0, all: 0 };
    const row = (name, { caught, all }) =>
      console.log(`${name.padEnd(42)}${String(caught).padStart(5)} of ${String(all).padStart(5)}  ${((100 * caught) / all).toFixed(1)} %`);
    console.log("\nmutants caught");
    for (const [path, counts] of [...this.files].sort()) {
      sum.caught += counts.caught;
      sum.all += counts.all;
      row(path, counts);
    }
    row("all", sum);
    console.log(`${this.unexplained.length} survivors without an explanation, ${this.stale.length} explanations of mutants that are caught`);
    return (100 * sum.caught) / sum.all;
  }

  isEnough(percent) {
    return percent >= ENOUGH && this.unexplained.length === 0 && this.stale.length === 0;
  }
}

const sameAs = ({ id, path, before, after }) => JSON.stringify([id, path, before, after]);

/** What an interrupted run has found, if that is wanted. */
function earlierResults(log) {
  const text = options.resume && existsSync(log) ? readFileSync(log, "utf8") : "";
  const entries = text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
  return new Map(entries.map(({ mutant, result }) => [sameAs(mutant), result]));
}

async function test(mutants) {
  mkdirSync(options.folder, { recursive: true });
  const log = join(options.folder, "results.jsonl");
  const earlier = earlierResults(log);
  writeFileSync(log, "");
  const tally = new Tally(JSON.parse(readFileSync(survivorsFile, "utf8")), mutants.length);
  const done = (mutant, result) => {
    const { text, affected, ...shown } = mutant;
    appendFileSync(log, `${JSON.stringify({ mutant: shown, result })}\n`);
    tally.add(mutant, result);
  };
  const isOpen = (mutant) => !earlier.has(sameAs(mutant));
  mutants.filter((mutant) => !isOpen(mutant)).forEach((mutant) => done(mutant, earlier.get(sameAs(mutant))));
  await runAll(mutants.filter(isOpen), { root: options.root, folder: options.folder, jobs: Number(options.jobs), done });
  return tally.isEnough(tally.print()) ? 0 : 1;
}

async function main() {
  const mutants = chosenMutants();
  if (!options.list) return test(mutants);
  mutants.forEach((mutant) => show(mutant, ""));
  console.log(`${mutants.length} mutants`);
  return 0;
}

process.exitCode = await main();
