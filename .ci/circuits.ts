/**
 * Circuit checks: circomspect and circom's inspector over everything that ships, the sources against what has been
 * reviewed (`circuits/reviewed.json`), that the rows of each program determine its wires, and the numbers of rows against
 * the last ones (`circuits/constraints.json`).
 *
 *     npx tsx .ci/circuits.ts             exits 1 if anything is found
 *     npx tsx .ci/circuits.ts --update    writes the numbers, and shows what changed
 *
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { lint } from "./circuits/lint.js";
import { libraryFiles, programs } from "./circuits/programs.js";
import type { Reviewed } from "./circuits/review.js";
import { compareSnapshots, type Snapshot } from "./circuits/snapshot.js";

const REVIEWED = new URL("circuits/reviewed.json", import.meta.url);
const CONSTRAINTS = new URL("circuits/constraints.json", import.meta.url);

async function main(update: boolean): Promise<number> {
  const started = performance.now();
  const reviewed = JSON.parse(readFileSync(REVIEWED, "utf8")) as Reviewed;
  const all = await programs();
  const { problems, snapshot, messages } = await lint(libraryFiles(), all, reviewed);
  const changes = compareSnapshots(JSON.parse(readFileSync(CONSTRAINTS, "utf8")) as Snapshot, snapshot);
  if (update && all.every(({ name }) => Object.hasOwn(snapshot, name))) {
    writeFileSync(CONSTRAINTS, `${JSON.stringify(snapshot, null, 2)}\n`);
    for (const { message } of changes) console.log(`updated ${message}`);
  } else {
    problems.push(...changes);
  }
  for (const { code, message } of problems) console.error(`${code} ${message}`);
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  console.log(`circuits: ${all.length} programs, ${messages} messages, ${problems.length} problems, ${seconds} s`);
  return problems.length > 0 ? 1 : 0;
}

main(process.argv.includes("--update")).then(
  (status) => process.exit(status),
  (error: unknown) => {
    console.error(error);
    process.exit(2);
  },
);
