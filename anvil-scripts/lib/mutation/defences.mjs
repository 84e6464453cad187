// Removes each defence against a fault of the catalogue and sees that the test which is named fails:
// node defences.mjs [OPTIONS]. The list is contracts/test/mutation/defences.json; what is read is README.md beside it.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Compiler } from "./compiler.mjs";
import { runAll } from "./pool.mjs";

const { values: options } = parseArgs({
  options: {
    root: { type: "string" },
    folder: { type: "string" },
    jobs: { type: "string", default: "2" },
    file: { type: "string", multiple: true },
    match: { type: "string" },
    write: { type: "boolean" },
  },
});
const place = join(options.root, "contracts/test/mutation");

const defences = JSON.parse(readFileSync(join(place, "defences.json"), "utf8"));

/** The list as a table, for people. */
function table() {
  const cell = (text) => text.replaceAll("|", "\\|").replaceAll("\n", " ");
  const code = (text) => `\`${cell(text).replaceAll(/\s+/g, " ")}\``;
  const change = ({ from, to }) => (to === "" ? `${code(from)} deleted` : `${code(from)} becomes ${code(to)}`);
  const rows = defences.map((entry) => {
    const { fault, defence, file, test } = entry;
    return `| ${cell(fault)} | ${cell(defence)} | ${code(file)}: ${change(entry)} | ${test.split("|").map((name) => `\`${name}\``).join(", ")} |`;
  });
  return `# Each fault, its defence, and the test that fails without it

Generated from \`defences.json\` by \`anvil-scripts/prove defences --write\`. \`anvil-scripts/prove defences\` makes each of the
changes in turn and fails unless the tests named fail with it. \`survivors.json\` beside it has the mutants of
\`anvil-scripts/prove mutation\` that no test catches, each with the reason.

| fault | defence | what is removed | caught by |
|---|---|---|---|
${rows.join("\n")}
`;
}

/** The mutant that is `defence` removed. */
function mutantOf(defence, compiler) {
  const { file, from, to } = defence;
  const path = `contracts/src/${file}`;
  const text = compiler.read(path);
  const [before, after, ...more] = text.split(from);
  if (after === undefined || more.length > 0) throw new Error(`${path} does not have exactly once: ${from}`);
  const match = ["--match-test", `^(${defence.test})\\(`];
  return { id: defence.fault, path, text: before + to + after, match, affected: compiler.affectedBy(path) };
}

async function main() {
  const readme = join(place, "README.md");
  if (options.write) writeFileSync(readme, table());
  if (readFileSync(readme, "utf8") !== table()) {
    console.log("error: README.md is not what defences.json says: run anvil-scripts/prove defences --write");
    return 1;
  }
  const compiler = new Compiler(options.root);
  mkdirSync(options.folder, { recursive: true });
  compiler.parse(join(options.folder, "parsed.json"));
  const chosen = ({ fault, file }) =>
    (!options.file || options.file.includes(file)) && (!options.match || fault.includes(options.match));
  const mutants = defences.filter(chosen).map((defence) => mutantOf(defence, compiler));
  let open = 0;
  const done = ({ id }, { compiles, caught, by, error }) => {
    if (!caught) open++;
    console.log(`${caught ? "caught " : "NOT caught"} ${id}: ${compiles ? (by ?? "nothing failed") : error}`);
  };
  await runAll(mutants, { root: options.root, folder: options.folder, jobs: Number(options.jobs), done });
  console.log(`${mutants.length - open} of ${mutants.length} defences are held by their tests`);
  return open === 0 ? 0 : 1;
}

process.exitCode = await main();
