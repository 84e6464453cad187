// Shows a result and the receipt of `rings run --receipt` to a person: node receipt.mjs RECEIPT RESULT

import { readFileSync } from "node:fs";

const [receiptFile, resultFile] = process.argv.slice(2);
const receipt = JSON.parse(readFileSync(receiptFile, "utf8"));
const result = readFileSync(resultFile, "utf8").trimEnd();

const row = (label, value) => console.log(`  ${label.padEnd(12)}${value}`);
const { milliseconds: time, signers } = receipt;

console.log("The ring's answer:\n");
console.log(result.replace(/^/gm, "    "));
console.log("\nWho says so:\n");
row("signed by", `${signers.length} of ${receipt.members} members, ${receipt.quorum} are needed`);
signers.forEach((address) => row("", address));
row("gate", receipt.gate);
row("transaction", receipt.transaction);
row("block", `${receipt.block} of chain ${receipt.chainId}`);
row("gas", receipt.gasUsed);
receipt.outputs.forEach(({ pin, cid, bytes }) => row(`output ${pin}`, `${cid} (${bytes} bytes)`));
row("took", `${time.total} ms: compute ${time.compute}, quorum ${time.quorum}, register ${time.register}`);
