/**
 * The ladder of proofs over whole datasets: what a claim costs in rows a byte, seconds and seconds a megabyte, from the
 * committed dataset to the verified set. The same records for all claims: labelled lines of text.
 *
 * Keys are there before the clock starts. snarkjs proves the same circuits through the same pool, at the smallest size.
 *
 * @module
 */
import { join } from "node:path";
import { type CircuitKey, developmentKey } from "../circuit/setup.js";
import { buildProgram } from "../circuit/synthesis/program.js";
import { type DatasetProgramSpec, datasetProgram } from "../dataset/circuit/index.js";
import type { Claim } from "../dataset/claims.js";
import { commitDataset } from "../dataset/commit.js";
import type { OpenDataset } from "../dataset/dataset.js";
import { AT } from "../dataset/layout.js";
import type { DatasetRecord } from "../dataset/record.js";
import { utf8 } from "../field/bytes.js";
import { ProverPool } from "../prover/pool.js";
import { proveClaim } from "../prover/proofSets.js";
import { type Contestant, contest, type Results, type Settings } from "./contest.js";
import { row, withRatios } from "./report.js";

/** Powers of two of bytes. */
const SIZES = [14, 17, 20];
/** snarkjs takes some seconds a proof. */
const SNARKJS_SIZE = 14;
/** Bytes of a record. */
const RECORD_BYTES = 1024;
const LABELS = ["ham", "spam"];
const NOBODY = { chainId: 31337n, verifyingContract: `0x${"00".repeat(20)}` } as const;
const TASK = {
  taskId: `0x${"00".repeat(32)}`,
  requester: `0x${"00".repeat(20)}`,
  payee: `0x${"00".repeat(20)}`,
  nonce: 0n,
  deadline: 0n,
} as const;

export async function datasetProofLadder(settings: Settings, results: Results): Promise<void> {
  const sizes = settings.sizes ?? SIZES;
  if (Math.max(...sizes) > SNARKJS_SIZE) {
    results.note(`dataset-proofs above 2^${SNARKJS_SIZE} bytes: not by snarkjs, which takes minutes`);
  }
  for (const size of sizes) {
    const dataset = await commitDataset(samples(2 ** size), { seed: new Uint8Array(32).fill(1) });
    const kind = dataset.descriptions(0, 1)[0]![AT.kind]!;
    const claims: Record<string, Claim> = {
      integrity: { type: "integrity" },
      ascii: { type: "bytes", kind, min: 0, max: 127 },
      labels: { type: "labels", labels: LABELS, counts: true },
      distinct: { type: "distinct" },
    };
    for (const [name, claim] of Object.entries(claims)) await prove(name, claim, dataset, size, settings, results);
  }
}

async function prove(
  name: string,
  claim: Claim,
  dataset: OpenDataset,
  size: number,
  settings: Settings,
  results: Results,
): Promise<void> {
  const { folder, signal, threads, concurrency, native, onStep } = settings;
  const given = concurrency === undefined ? {} : { concurrency };
  const backends = [
    ...(native ? (["native"] as const) : []),
    ...(size <= SNARKJS_SIZE || !native ? (["snarkjs"] as const) : []),
  ];
  const pools = backends.map((backend) => new ProverPool({ backend, threads, ...given }));
  const keys = new Map<string, Promise<CircuitKey>>();
  const keyOf = (spec: DatasetProgramSpec): Promise<CircuitKey> => {
    const id = JSON.stringify(spec);
    const key =
      keys.get(id) ?? buildProgram(datasetProgram(spec), { signal }).then((of) => developmentKey(of, { signal }));
    keys.set(id, key);
    return key;
  };
  let [rows, proofs] = [0, 0];
  try {
    const contestants = pools.map((pool, i): Contestant => {
      return {
        name: backends[i]!,
        run: async () => {
          const out = join(folder, `set-${name}-${size}.json`);
          // Time for keys is not the claim's.
          let keyMs = 0;
          const made = await proveClaim({
            dataset,
            claim,
            pool,
            domain: NOBODY,
            task: TASK,
            out,
            signal,
            keyOf: async (spec) => {
              const started = performance.now();
              const key = await keyOf(spec);
              keyMs += performance.now() - started;
              return key;
            },
            onProgress: ({ phase, done, total }) => {
              if (phase === "proving") onStep(`${name} 2^${size}: ${backends[i]!}`, done / total);
            },
          });
          [rows, proofs] = [made.rows, made.verified.segments];
          return made.ms - keyMs;
        },
      };
    });
    const times = await contest(`dataset-proofs ${name} 2^${size}`, contestants, settings);
    const made = backends.map((implementation, i) => {
      const own = { bench: "dataset-proofs", implementation, circuit: name, size, threads };
      const timed = row(own, times[i]!);
      const megabytes = 2 ** size / 1e6;
      const extra = { proofs, rows, rowsPerByte: rows / 2 ** size, secondsPerMB: timed.medianMs / 1e3 / megabytes };
      return { ...timed, extra };
    });
    results.rows(withRatios(made));
  } finally {
    await Promise.all(pools.map((pool) => pool.close()));
  }
}

/** Records of a kilobyte of text each, no two the same. */
function* samples(bytes: number): Generator<DatasetRecord> {
  for (let i = 0; i * RECORD_BYTES < bytes; i++) {
    const text = `record ${i}: `.padEnd(RECORD_BYTES, "the quick brown fox jumps over the lazy dog, ");
    const data = utf8(text);
    yield { dtype: "text", shape: [data.length], label: LABELS[i % LABELS.length]!, data };
  }
}
