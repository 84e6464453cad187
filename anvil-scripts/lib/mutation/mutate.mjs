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

/** All mutants, and which of them are to be run. */
function chosenMutants() {
  const compiler = new Compiler(options.root);
  mkdirSync(options.folder, { recursive: true });
  compiler.parse(join(options.folder, "parsed.json"));
  const all = solidityFiles(options.root, "contracts/src").flatMap((path) => {
    const affected = compiler.affectedBy(path);
    return mutantsOf(path, compiler.read(path), compiler.trees.get(path)).map((mutant) => ({ ...mutant, affected }));
  });
  // Counted before anything is left out, so that a part of a part is the same mutants as in the whole.
  const isDue = (index) => index % Number(options.every) === Number(options.from);
  const isNamed = ({ id, path }) =>
    (!options.file || options.file.some((name) => path.endsWith(`/${name}`))) && (!options.match || id.includes(options.match));
  return { all, mutants: all.filter((mutant, index) => isDue(index) && isNamed(mutant)) };
}

function show({ id, path, line, before, after }, remark) {
  console.log(`${remark} ${path}:${line}  ${id}\n  - ${before}\n  + ${after}`);
}

class Tally {
  constructor(explained, all, total) {
    Object.assign(this, { explained, total, files: new Map(), unexplained: [], stale: [], ended: 0 });
    for (const { path } of all) this.#counts(path).mutants++;
  }

  #counts(path) {
    if (!this.files.has(path)) this.files.set(path, { mutants: 0, run: 0, compiled: 0, caught: 0, explained: 0, seconds: 0 });
    return this.files.get(path);
  }

  add(mutant, { compiles, caught, by, seconds }) {
    this.ended++;
    const counts = this.#counts(mutant.path);
    counts.run++;
    counts.seconds += seconds ?? 0;
    if (!compiles) return;
    counts.compiled++;
    const reason = this.explained[mutant.id];
    if (caught) counts.caught++;
    else if (reason !== undefined) counts.explained++;
    if (!caught && reason === undefined) this.unexplained.push(mutant);
    if (caught && reason !== undefined) this.stale.push(mutant);
    if (!caught) show(mutant, `[${this.ended}/${this.total}] survived${reason ? `, as expected: ${reason}` : ""}`);
    else if (reason !== undefined) show(mutant, `[${this.ended}/${this.total}] explained, but caught by ${by}`);
  }

  print() {
    const columns = ["mutants", "run", "compiled", "caught", "explained"];
    const row = (name, cells, seconds) => console.log(`${name.padEnd(44)}${cells.map((cell) => String(cell).padStart(10)).join("")}${seconds.padStart(12)}`);
    row("", columns, "s each");
    const sum = Object.fromEntries([...columns, "seconds"].map((name) => [name, 0]));
    for (const [path, counts] of [...this.files].sort()) {
      for (const name of Object.keys(sum)) sum[name] += counts[name];
      if (counts.run > 0) row(path, columns.map((name) => counts[name]), (counts.seconds / counts.run).toFixed(1));
    }
    row("all", columns.map((name) => sum[name]), (sum.seconds / sum.run).toFixed(1));
    const percent = (100 * sum.caught) / sum.compiled;
    console.log(`${percent.toFixed(1)} % caught; ${this.unexplained.length} survivors without an explanation, ${this.stale.length} explanations of mutants that are caught`);
    return percent;
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

async function test({ all, mutants }) {
  const log = join(options.folder, "results.jsonl");
  const earlier = earlierResults(log);
  writeFileSync(log, "");
  const tally = new Tally(JSON.parse(readFileSync(survivorsFile, "utf8")), all, mutants.length);
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
  const chosen = chosenMutants();
  if (!options.list) return test(chosen);
  const { mutants } = chosen;
  mutants.forEach((mutant) => show(mutant, ""));
  console.log(`${mutants.length} mutants`);
  return 0;
}

process.exitCode = await main();
