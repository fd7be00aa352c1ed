/**
 * The pool under load: proofs a second, latency of a job from its call to its verified proof, and memory.
 *
 * @module
 */
import type { BackendName } from "../prover/backend.js";
import { type PoolOptions, ProverPool } from "../prover/pool.js";
import { type BenchCase, PROVER_KINDS, prepareCase } from "./circuits.js";
import type { Results, Settings } from "./contest.js";
import { onCard } from "./proving.js";
import { row } from "./report.js";

const SIZES = [10, 12, 14];
/** snarkjs is slow, and its figure is steady after a few proofs. */
const MAX_SNARKJS_PROOFS = 16;

export async function poolLadder(settings: Settings, results: Results): Promise<void> {
  const { folder, signal, onStep } = settings;
  // All of one backend first: what snarkjs leaves in memory must not be counted for the other.
  for (const backend of backendsOf(settings)) {
    const proofs = backend === "snarkjs" ? Math.min(settings.proofs, MAX_SNARKJS_PROOFS) : settings.proofs;
    for (const size of settings.sizes ?? SIZES) {
      for (const kind of settings.kinds ?? PROVER_KINDS) {
        const of = await prepareCase(kind, size, folder, { signal, onStep });
        await load(of, backend, proofs, settings, results);
      }
    }
  }
}

function backendsOf({ native, cuda }: Settings): BackendName[] {
  return [...(cuda ? (["cuda"] as const) : []), ...(native ? (["native"] as const) : []), "snarkjs"];
}

async function load(
  of: BenchCase,
  backend: BackendName,
  proofs: number,
  settings: Settings,
  results: Results,
): Promise<void> {
  const { threads, signal, onStep, cuda } = settings;
  const startBytes = process.memoryUsage.rss();
  const given: PoolOptions = {
    ...(settings.concurrency !== undefined && { concurrency: settings.concurrency }),
    ...(backend === "cuda" && cuda && { devices: [cuda.device] }),
  };
  const onNotice = (notice: string) => results.note(`pool ${of.kind} 2^${of.size}: ${notice}`);
  const pool = new ProverPool({ backend, threads, ...given, onNotice });
  const { concurrency } = pool;
  try {
    // By the CPU in a card's place.
    let elsewhere = 0;
    const prove = async () => {
      const started = performance.now();
      const { backend: by } = await of.prove(pool, of, { signal });
      if (by !== backend) elsewhere++;
      return performance.now() - started;
    };
    // Twice as many jobs as proofs at a time: one proves, the other's witness is made.
    const inFlight = 2 * concurrency;
    onStep(`pool ${of.kind} 2^${of.size}: ${backend}, warming up`);
    await Promise.all(Array.from({ length: inFlight }, prove));
    const warmBytes = process.memoryUsage.rss();

    const samples: number[] = [];
    let begun = 0;
    // Memory grows until garbage is collected for the first time; growth after the half would be a leak.
    let halfBytes = warmBytes;
    const started = performance.now();
    await Promise.all(
      Array.from({ length: Math.min(inFlight, proofs) }, async () => {
        while (begun < proofs) {
          begun++;
          samples.push(await prove());
          if (samples.length === proofs >> 1) halfBytes = process.memoryUsage.rss();
          onStep(`pool ${of.kind} 2^${of.size}: ${backend}`, samples.length / proofs);
        }
      }),
    );
    const seconds = (performance.now() - started) / 1000;
    const mb = (bytes: number) => Math.round(bytes / 1024 / 1024);
    const extra = {
      proofsPerSecond: proofs / seconds,
      proofs,
      concurrency,
      startMB: mb(startBytes),
      warmMB: mb(warmBytes),
      halfMB: mb(halfBytes),
      endMB: mb(process.memoryUsage.rss()),
      ...(elsewhere > 0 && { elsewhere }),
    };
    const own = { circuit: of.kind, size: of.size, threads, ...onCard(backend, undefined, settings) };
    const head = { bench: "pool", implementation: backend, ...own, extra };
    results.rows([row(head, samples)]);
  } finally {
    await pool.close();
  }
}
