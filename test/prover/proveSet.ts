/**
 * A claim about five records in chunks of two: three proofs by a small circuit. Called as a script, with the paths of the
 * set and of its journal, it proves the claim, writes a line when the first proof is done, and waits to be killed.
 */
import { writeSync } from "node:fs";
import { type CircuitKey, developmentKey } from "../../src/circuit/setup.js";
import { buildProgram } from "../../src/circuit/synthesis/program.js";
import { type DatasetProgramSpec, datasetProgram } from "../../src/dataset/circuit/index.js";
import type { LabelsClaim } from "../../src/dataset/claims/labels.js";
import { ProverPool } from "../../src/prover/pool.js";
import { proveClaim } from "../../src/prover/proofSets.js";
import { DOMAIN, TASK } from "../dataset/proofSetFixture.js";
import { smallDataset } from "../dataset/smallDataset.js";

export const CHUNK = 2;
export const LABELS = ["ham", "spam", "ham", "ham", "spam"];
export const CLAIM: LabelsClaim = { type: "labels", labels: ["ham", "spam"], counts: true };
export const SPEC: DatasetProgramSpec = { kind: "labels", records: CHUNK, depth: 2 };
export const dataset = smallDataset(
  LABELS.map((label, i) => ({ data: `record ${i}`, label })),
  CHUNK,
);

const keys = new Map<string, Promise<CircuitKey>>();

export function keyOf(spec: DatasetProgramSpec): Promise<CircuitKey> {
  const name = JSON.stringify(spec);
  const key = keys.get(name) ?? buildProgram(datasetProgram(spec)).then((circuit) => developmentKey(circuit));
  keys.set(name, key);
  return key;
}

const [script, out, journal] = process.argv.slice(1);
if (script?.endsWith("proveSet.ts") && out !== undefined) {
  await proveClaim({
    dataset,
    claim: CLAIM,
    pool: new ProverPool({ concurrency: 1, threads: 1 }),
    keyOf,
    domain: DOMAIN,
    task: TASK,
    out,
    journal,
    sizes: { records: CHUNK },
    onProgress: ({ phase, done }) => {
      if (phase !== "proving" || done === 0) return;
      writeSync(1, `${done}\n`);
      // Whoever is to kill it may be slow; without this the set would be made by then.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 110_000);
    },
  });
}
