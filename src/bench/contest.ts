/**
 * What all ladders share: their settings, and rounds in which every implementation has its turn.
 *
 * @module
 */
import { throwIfAborted } from "../errors.js";
import type { Kind } from "./circuits.js";
import type { GasRow } from "./gas.js";
import type { InferenceSummary, Preparation, Row } from "./report.js";
import type { CardOf } from "./server.js";
import { rotate } from "./statistics.js";

export interface ExternalProver {
  name: string;
  /** Called with ZKEY WTNS PROOF.json PUBLIC.json after it. */
  command: readonly string[];
}

export interface Settings {
  /** Sizes that were asked for; a ladder has its own otherwise. */
  sizes: readonly number[] | undefined;
  /** Kinds of circuits that were asked for; a ladder has its own otherwise. */
  kinds: readonly Kind[] | undefined;
  threads: number;
  /** Rounds. */
  runs: number;
  /** For the pool. */
  proofs: number;
  /** One a thread unless told. */
  concurrency: number | undefined;
  externals: readonly ExternalProver[];
  /** Models that inference was asked for; it runs all otherwise. */
  models: readonly string[] | undefined;
  /**
   * The largest size that snarkjs makes keys at, which takes it minutes there and hours a little above; in inference, that
   * it proves at.
   */
  snarkjsSize: number;
  /** Whether the C++ core is there. */
  native: boolean;
  /** A GPU that takes part in prove, msm, ntt and pool. */
  cuda?: (CardOf & { name: string }) | undefined;
  /** Whether rows of the GPU tell the times of its phases. */
  phases?: boolean | undefined;
  /** Whether others are measured beside ours, in gas. */
  peers: boolean;
  /** For files of this run. */
  folder: string;
  signal: AbortSignal;
  onStep: (step: string, done?: number) => void;
}

export interface Results {
  rows(rows: Row[]): void;
  preparation(preparation: Preparation): void;
  /** All models, when the last one is done. */
  inference(summaries: InferenceSummary[]): void;
  /** What things cost on chain. */
  gas(rows: GasRow[]): void;
  note(note: string): void;
}

export interface Contestant {
  name: string;
  /** One run, checked; gives its time. */
  run: () => Promise<number>;
}

/**
 * Runs all contestants `runs` times, each round beginning with another one, after `warmUps` rounds that do not count.
 *
 * @returns samples by contestant, in its order
 */
export async function contest(
  label: string,
  contestants: readonly Contestant[],
  { runs, signal, onStep }: Pick<Settings, "runs" | "signal" | "onStep">,
  warmUps = 0,
): Promise<number[][]> {
  const samples = contestants.map((): number[] => []);
  for (let round = -warmUps; round < runs; round++) {
    for (const [index, { name, run }] of rotate([...contestants.entries()], Math.max(0, round))) {
      throwIfAborted(signal);
      onStep(`${label}: ${name}`, Math.max(0, round) / runs);
      const ms = await run();
      if (round >= 0) samples[index]!.push(ms);
    }
  }
  return samples;
}
