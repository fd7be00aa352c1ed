import { type Lanes, ONE, type Synthesis } from "../../../circuit/synthesis/synthesis.js";
import { bitLength, type ValueBounds } from "../../bounds.js";
import type { ArgMaxNode } from "../../graph.js";
import type { Gadget } from "../gadget.js";

/** Twin of `circuits/inference/argmax.circom`. */
export const argMax: Gadget<ArgMaxNode> = {
  ports: ["in"],
  instance({ node: { width }, inputBounds: [before] }) {
    const runs = before!.min.length / width;
    return {
      file: "inference/argmax.circom",
      template: "ArgMax",
      parameters: [
        ["runs", runs],
        ["width", width],
        ["bits", Array.from({ length: runs }, (_, run) => bitsOf(before!, run, width))],
      ],
    };
  },
  synthesise({ s, node: { width }, inputBounds: [before], inputs, out }) {
    for (let run = 0; run < out.wires.length; run++) {
      s.enter("run", run);
      out.wires[run] = argMaxRun(s, bitsOf(before!, run, width), inputs[0]!, run * width, width, out.values[run]!);
      s.leave();
    }
  },
};

/** Bits that hold every difference of two values of a run; two at least, as circom fails on arrays without signals. */
function bitsOf({ min, max }: ValueBounds, run: number, width: number): number {
  let least = Number.POSITIVE_INFINITY;
  let most = Number.NEGATIVE_INFINITY;
  for (let i = run * width; i < (run + 1) * width; i++) {
    if (min[i]! < least) least = min[i]!;
    if (max[i]! > most) most = max[i]!;
  }
  return Math.max(2, bitLength(most - least));
}

/** Twin of `argmax_run.circom`. */
function argMaxRun(s: Synthesis, bits: number, from: Lanes, first: number, width: number, best: number): number {
  const largest = from.values[first + best]!;
  const max = s.wire(largest, "max");
  const index = s.combination(width - 1);
  let before: number | undefined;
  for (let i = 0; i < width; i++) {
    let now = ONE;
    if (i < width - 1) {
      now = s.bit(best <= i ? 1 : 0, "upTo", i);
      index.add(-1, now);
    }
    const change = s.combination().add(1, now);
    if (before !== undefined) change.add(-1, before);
    s.row(
      s
        .combination()
        .add(1, max)
        .lane(-1, from, first + i),
      change,
      s.combination(),
    );

    const difference = largest - from.values[first + i]! - (best <= i ? 0 : 1);
    const rest = s
      .combination(-1)
      .add(1, max)
      .add(1, now)
      .lane(-1, from, first + i);
    for (let j = 0; j < bits - 1; j++) {
      rest.add(-(2 ** j), s.bit(Math.floor(difference / 2 ** j) % 2, "bits", i * (bits - 1) + j));
    }
    s.row(rest, s.combination(-(2 ** (bits - 1))).plus(rest), s.combination());
    before = now;
  }
  const out = s.wire(best, "out");
  s.row(undefined, undefined, index.add(-1, out));
  return out;
}
