// Compares what slither has found with the answers: node slither.mjs FOUND ANSWERS
// Nothing of medium severity or more may be left; what is below has an answer in one line.

import { readFileSync } from "node:fs";

const GRAVE = ["High", "Medium"];

/** A name that stays when lines move: the detector, and what it is about. */
function nameOf({ check, elements }) {
  const first = elements.find(({ type }) => type !== "node") ?? elements[0];
  const parent = first.type_specific_fields?.parent?.name;
  return `${check}: ${parent && first.type !== "contract" ? `${parent}.` : ""}${first.name}`;
}

const [foundFile, answersFile] = process.argv.slice(2);
const found = JSON.parse(readFileSync(foundFile, "utf8"));
if (!found.success) throw new Error(`slither failed: ${found.error}`);
const findings = found.results.detectors ?? [];
const answers = JSON.parse(readFileSync(answersFile, "utf8"));

const used = new Set();
let open = 0;
for (const finding of findings) {
  const name = nameOf(finding);
  used.add(name);
  if (!GRAVE.includes(finding.impact) && answers[name]) continue;
  open++;
  console.log(`[${finding.impact}] ${name}\n${finding.description.trim().replaceAll(/^/gm, "    ")}`);
}
const stale = Object.keys(answers).filter((name) => !used.has(name));
stale.forEach((name) => console.log(`answered, but not found any more: ${name}`));
console.log(`${findings.length} findings, ${open} without an answer or too grave, ${stale.length} answers too many`);
if (open > 0 || stale.length > 0) process.exitCode = 1;
