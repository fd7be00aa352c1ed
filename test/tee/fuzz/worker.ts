/**
 * One family's cases, in a thread that can be ended from outside should one of them never return.
 *
 * @module
 */
import { parentPort, workerData } from "node:worker_threads";
import { Fuzzer, PHASES, type Phase, type Plan, type Tally } from "./engine.js";
import { FAMILIES } from "./families/index.js";

export interface Job {
  family: string;
  plan: Plan;
  phases: readonly Phase[];
  /** The next case of each phase. */
  next: Record<Phase, number>;
  tally: Tally;
  /** Shared: since when the case in hand runs (ms, 0 for none), the place of its phase in PHASES, and its number. */
  clock: BigInt64Array<SharedArrayBuffer>;
}

export type Message =
  | { type: "sizes"; sizes: Record<Phase, number> }
  | { type: "checkpoint"; next: Record<Phase, number>; tally: Tally }
  | { type: "done"; next: Record<Phase, number>; tally: Tally };

const CHECKPOINT_MS = 1000;

function main({ family: name, plan, phases, next, tally, clock }: Job): void {
  const post = (message: Message) => parentPort!.postMessage(message);
  const family = FAMILIES.find((each) => each.name === name)!;
  const fuzzer = new Fuzzer(family, plan, tally);
  const sizes = Object.fromEntries(PHASES.map((phase) => [phase, fuzzer.size(phase)])) as Record<Phase, number>;
  post({ type: "sizes", sizes });
  let last = Date.now();
  for (const phase of phases) {
    for (; next[phase] < sizes[phase]; next[phase]++) {
      const index = next[phase];
      if (!fuzzer.mine(index)) continue;
      const now = Date.now();
      if (now - last > CHECKPOINT_MS) {
        last = now;
        post({ type: "checkpoint", next: { ...next }, tally });
      }
      Atomics.store(clock, 1, BigInt(PHASES.indexOf(phase)));
      Atomics.store(clock, 2, BigInt(index));
      Atomics.store(clock, 0, BigInt(now));
      fuzzer.run(phase, index);
      Atomics.store(clock, 0, 0n);
    }
  }
  post({ type: "done", next, tally });
}

main(workerData as Job);
