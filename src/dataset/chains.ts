/**
 * Many chains side by side (see layout.ts): the core hashes one step of several chains in the time of one, so whoever
 * hashes a dataset hands over as many chains as it can.
 *
 * Work is cut into slices of some milliseconds, between which timers, signals and progress bars run.
 *
 * @module
 */
import { availableParallelism } from "node:os";
import { throwIfAborted } from "../errors.js";
import { chains } from "../field/chains.js";
import { nativeCore } from "../field/native.js";
import { encodeScalars } from "../field/poseidon.js";
import { BLOCK_ELEMENTS, TAGS } from "./layout.js";

/** Bytes of a scalar in a buffer, little-endian. */
export const SCALAR_BYTES = 32;
/** Bytes of what one step of a chain takes in. */
export const STEP_BYTES = BLOCK_ELEMENTS * SCALAR_BYTES;

/** More threads than this wait for whoever hands them work. */
const MAX_THREADS = 16;
/** Steps of a slice for each thread of the core, and in JavaScript: both take some milliseconds. */
const NATIVE_STEPS = 1024;
const PORTABLE_STEPS = 16;
/** Steps of one chain in a slice. Steps of one chain come one after another, so that a long one would be waited for. */
const CHAIN_STEPS = 64;

/** A chain whose elements are written when they are needed. */
export interface ChainJob {
  /** Where it begins. */
  readonly start: bigint;
  readonly steps: number;
  /** Writes the elements of `count` steps from the one numbered `first`, little-endian, into zeros at `at`. */
  fill(to: Uint8Array, at: number, first: number, count: number): void;
}

export interface ChainOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Threads that hash. */
export function hashThreads(): number {
  return Math.min(MAX_THREADS, availableParallelism());
}

/**
 * The ends of chains, 32 bytes each, little-endian, in the order of the jobs.
 *
 * @throws ABORTED
 */
export async function hashChains(jobs: readonly ChainJob[], { signal }: ChainOptions = {}): Promise<Uint8Array> {
  const states = encodeScalars(jobs.map(({ start }) => start));
  const budget = nativeCore() ? NATIVE_STEPS * hashThreads() : PORTABLE_STEPS;
  const done = new Uint32Array(jobs.length);
  // The longest first: what is left at the end is then short.
  let open = jobs.map((_, i) => i).filter((i) => jobs[i]!.steps > 0);
  open.sort((a, b) => jobs[b]!.steps - jobs[a]!.steps);
  while (open.length > 0) {
    throwIfAborted(signal);
    let steps = 0;
    let taken = 0;
    const counted: number[] = [];
    for (; taken < open.length && steps < budget; taken++) {
      const i = open[taken]!;
      const count = Math.min(CHAIN_STEPS, jobs[i]!.steps - done[i]!, budget - steps);
      counted.push(count);
      steps += count;
    }
    advance(jobs, open.slice(0, taken), Uint32Array.from(counted), done, states);
    const finished = open.slice(0, taken).some((i) => done[i] === jobs[i]!.steps);
    if (finished) open = open.filter((i, place) => place >= taken || done[i]! < jobs[i]!.steps);
    await new Promise(setImmediate);
  }
  return states;
}

const CAPACITY = encodeScalars([TAGS.chain]);

/** Takes each chain some steps further. */
function advance(
  jobs: readonly ChainJob[],
  chosen: readonly number[],
  counts: Uint32Array,
  done: Uint32Array,
  states: Uint8Array,
): void {
  const starts = new Uint8Array(chosen.length * SCALAR_BYTES);
  const blocks = new Uint8Array(counts.reduce((sum, count) => sum + count, 0) * STEP_BYTES);
  let at = 0;
  chosen.forEach((i, place) => {
    starts.set(states.subarray(i * SCALAR_BYTES, (i + 1) * SCALAR_BYTES), place * SCALAR_BYTES);
    jobs[i]!.fill(blocks, at, done[i]!, counts[place]!);
    at += counts[place]! * STEP_BYTES;
  });
  const ends = chains(CAPACITY, starts, blocks, counts, hashThreads());
  chosen.forEach((i, place) => {
    states.set(ends.subarray(place * SCALAR_BYTES, (place + 1) * SCALAR_BYTES), i * SCALAR_BYTES);
    done[i] = done[i]! + counts[place]!;
  });
}
