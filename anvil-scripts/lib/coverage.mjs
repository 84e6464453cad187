// Sums up what `forge coverage` says of contracts/src: node coverage.mjs LCOV. Fails when too few branches are taken.

import { readFileSync } from "node:fs";

const ENOUGH = 99; // percent of the branches

/** What `lcov` says of each file: { path, branches: [line, taken][], lines: [line, times][] }. */
function read(lcov) {
  return lcov
    .split("end_of_record")
    .filter((record) => record.includes("SF:"))
    .map((record) => {
      const all = (tag) => [...record.matchAll(new RegExp(`^${tag}:(.*)$`, "gm"))].map(([, text]) => text.split(","));
      return {
        path: /^SF:(.*)$/m.exec(record)[1],
        branches: all("BRDA").map(([line, , , times]) => [line, times !== "-" && Number(times) > 0]),
        lines: all("DA").map(([line, times]) => [line, Number(times) > 0]),
      };
    })
    .filter(({ path }) => path.startsWith("contracts/src/"));
}

const taken = (places) => places.filter(([, isTaken]) => isTaken).length;
const percent = (places) => (places.length === 0 ? 100 : (100 * taken(places)) / places.length);
const column = (places) => `${taken(places)}/${places.length} (${percent(places).toFixed(1)} %)`.padStart(20);

const files = read(readFileSync(process.argv[2], "utf8"));
if (files.length === 0) throw new Error("there is nothing about contracts/src in it");
console.log("file".padEnd(44) + "lines".padStart(20) + "branches".padStart(20));
for (const { path, lines, branches } of files) {
  console.log(path.padEnd(44) + column(lines) + column(branches));
  for (const [line, isTaken] of branches) if (!isTaken) console.log(`  not taken: ${path}:${line}`);
}
const branches = files.flatMap((file) => file.branches);
console.log("all".padEnd(44) + column(files.flatMap((file) => file.lines)) + column(branches));
if (percent(branches) < ENOUGH) {
  console.log(`error: fewer than ${ENOUGH} % of the branches are taken`);
  process.exitCode = 1;
}
