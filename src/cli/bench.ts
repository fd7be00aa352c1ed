import { cpus } from "node:os";
import { compileCircuit } from "../circuit/compile.js";
import { developmentKey } from "../circuit/setup.js";
import { bytesRecord, chunkWitness, commitDataset, datasetChunkCircuit } from "../dataset/index.js";
import { type ProveResult, ProverPool } from "../prover/pool.js";
import { type Command, integer, pretty } from "./command.js";

export const benchCommand: Command = {
  name: "bench",
  summary: "proofs per second through the prover pool, on this machine",
  help: `
  --proofs N         how many to make [6]
  --concurrency N    how many at a time [one a core]
  --json             print all samples as JSON

The circuit is the dataset chunk's at tree height 1. Every proof is verified, and counts only then; the first one of
each worker, which loads the prover, is made before the clock starts.
`,
  options: { proofs: { type: "string" }, concurrency: { type: "string" }, json: { type: "boolean" } },
  positionals: [],
  async run({ values, terminal, signal }) {
    const pool = new ProverPool({ concurrency: integer(values, "concurrency", 1, 64, cpus().length) });
    try {
      const proofs = integer(values, "proofs", 1, 100_000, 6);
      terminal.busy("preparing circuit and key");
      const circuit = await compileCircuit(datasetChunkCircuit(1), { signal });
      const key = await developmentKey(circuit, { signal });
      const dataset = await commitDataset([bytesRecord(new Uint8Array(7000).map((_, i) => i))]);
      const witness = chunkWitness(dataset, 0);
      const prove = (context: number) =>
        pool.prove(circuit, key, { ...witness, context: BigInt(context + 1) }, { signal });
      await Promise.all(Array.from({ length: pool.concurrency }, (_, i) => prove(i)));

      const started = performance.now();
      let done = 0;
      const samples: ProveResult["timings"][] = [];
      // No more in flight than the queue holds, however many are asked for.
      const lanes = Array.from({ length: pool.concurrency }, async (_, lane) => {
        for (let i = lane; i < proofs; i += pool.concurrency) {
          samples.push((await prove(i)).timings);
          terminal.progress("proving", ++done / proofs);
        }
      });
      await Promise.all(lanes);
      const wallMs = performance.now() - started;
      const report = {
        circuit: circuit.name,
        rows: circuit.rows,
        backend: "snarkjs",
        concurrency: pool.concurrency,
        cpu: cpus()[0]?.model ?? "unknown",
        cores: cpus().length,
        node: process.version,
        proofs,
        wallMs,
        proofsPerSecond: proofs / (wallMs / 1000),
        medianMs: {
          witness: median(samples.map(({ witnessMs }) => witnessMs)),
          prove: median(samples.map(({ proveMs }) => proveMs)),
          verify: median(samples.map(({ verifyMs }) => verifyMs)),
        },
        samples,
      };
      if (values["json"]) return terminal.line(pretty(report).trimEnd());
      const { witness: w, prove: p, verify: v } = report.medianMs;
      terminal.line(`${report.circuit}, ${report.rows} rows, ${report.backend}, ${pool.concurrency} at a time`);
      terminal.line(
        `${report.proofsPerSecond.toFixed(3)} proofs/s (${proofs} verified proofs in ${(wallMs / 1000).toFixed(1)} s)`,
      );
      terminal.line(`median ms: witness ${w.toFixed(0)}, prove ${p.toFixed(0)}, verify ${v.toFixed(0)}`);
      terminal.line(`${report.cpu}, ${report.cores} cores, node ${report.node}`);
    } finally {
      await pool.close();
    }
  },
};

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
