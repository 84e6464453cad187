// Gives mutants to threads, each to the next that is free.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";

/** Runs all `mutants`, `jobs` at a time, and calls `done(mutant, result)` for each as it ends. */
export async function runAll(mutants, { root, folder, jobs, done }) {
  if (mutants.length === 0) return;
  const queue = [...mutants];
  const unchanged = { ...mutants[0], text: readFileSync(join(root, mutants[0].path), "utf8") };
  const work = (number) =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL("worker.mjs", import.meta.url), { workerData: { root, folder, number, unchanged } });
      const next = () => (queue.length > 0 ? worker.postMessage(queue.shift()) : void worker.terminate());
      worker.on("message", ({ mutant, result }) => {
        if (mutant) done(mutant, result);
        next();
      });
      worker.on("error", reject);
      worker.on("exit", resolve);
    });
  await Promise.all(Array.from({ length: Math.min(jobs, queue.length) }, (_, number) => work(number)));
}
