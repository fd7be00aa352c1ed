/**
 * How the integer model compares with the float model that it came from, on a set of inputs.
 *
 * @module
 */

import { AnchorError, throwIfAborted } from "../errors.js";
import { checkSet, type SampleSet } from "./data.js";
import { createExecutor } from "./execute.js";
import type { ModelGraph } from "./graph.js";
import { quantiseInput } from "./quantise/index.js";
import type { FloatRuntime } from "./runtime.js";

/** Shares are of 1. */
export interface Evaluation {
  /** What ran the float model. */
  readonly runtime: string;
  readonly samples: number;
  /** Right on the labels, where there are labels. */
  readonly floatAccuracy?: number;
  readonly integerAccuracy?: number;
  /** Both give the same class; absent for outputs of one number, which have no class. */
  readonly classAgreement?: number;
  /** Of the outputs' numbers; absent where the integer model gives classes alone. */
  readonly elements?: ElementAgreement;
}

export interface ElementAgreement {
  readonly count: number;
  /** Share whose integer is the float model's number in units, rounded. */
  readonly equal: number;
  /** Numbers by how far the integer is from that: 0, 1, 2, 3 to 4, 5 to 8, and so on. */
  readonly distances: readonly { readonly from: number; readonly to: number; readonly count: number }[];
  /** From the least to the largest number that the float model gave. */
  readonly range: number;
  /** Share that is nearer to the float model's number than one in 256 of the range. */
  readonly within8Bits: number;
  /** Mean, and largest, distance, as shares of the range. */
  readonly meanError: number;
  readonly maxError: number;
}

export interface EvaluateOptions {
  /** The real number that 1 of the output's integers stands for: the importer's report has it. */
  readonly outputScale?: number | undefined;
  /** Private weights of the adapter, where the model has one. */
  readonly adapter?: ArrayLike<number> | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: { readonly done: number; readonly total: number }) => void) | undefined;
}

/** Samples between two looks at the clock and at the signal. */
const BATCH = 64;

/**
 * Runs both models on every sample. Outputs of several numbers are compared by the largest, the lowest index of equals:
 * one of all, or one of each run where the integer model gives several classes. A file that ends in ArgMax gives them
 * itself.
 *
 * @throws AnchorError `INPUT_INVALID`, `ABORTED`
 */
export async function evaluateModel(
  float: FloatRuntime,
  graph: ModelGraph,
  set: SampleSet,
  options: EvaluateOptions = {},
): Promise<Evaluation> {
  checkSet(set, "the evaluation set");
  const run = createExecutor(graph);
  const { inputs, labels } = set;
  const { outputScale, adapter, signal, onProgress } = options;
  const classes = graph.nodes.at(-1)!.op === "argMax";
  const count = { floatRight: 0, integerRight: 0, same: 0, classes: 0 };
  const floats: Float64Array[] = [];
  const integers: Int32Array[] = [];
  for (const [i, input] of inputs.entries()) {
    if (i % BATCH === 0) {
      throwIfAborted(signal);
      onProgress?.({ done: i, total: inputs.length });
      await new Promise((resume) => setImmediate(resume));
    }
    const real = await float.run(input);
    const { output } = run(quantiseInput(graph, input), adapter);
    // A number alone has no class.
    const told = classes ? Array.from(output) : output.length > 1 ? classesOf(output, 1) : [];
    const wanted = told.length === real.length ? Array.from(real) : classesOf(real, told.length);
    for (const [k, one] of told.entries()) {
      if (one === wanted[k]) count.same++;
      count.classes++;
    }
    const label = labels?.[i];
    if (label !== undefined && told.length === 1) {
      if (wanted[0] === label) count.floatRight++;
      if (told[0] === label) count.integerRight++;
    }
    if (!classes && outputScale !== undefined) {
      if (real.length !== output.length) {
        throw new AnchorError("INPUT_INVALID", `the float model gives ${real.length} numbers, not ${output.length}`);
      }
      floats.push(real);
      integers.push(output);
    }
  }
  const samples = inputs.length;
  onProgress?.({ done: samples, total: samples });
  const right = (n: number) => n / samples;
  const one = count.classes === samples;
  return {
    runtime: float.name,
    samples,
    ...(labels !== undefined && one && count.classes > 0
      ? { floatAccuracy: right(count.floatRight), integerAccuracy: right(count.integerRight) }
      : {}),
    ...(count.classes > 0 ? { classAgreement: count.same / count.classes } : {}),
    ...(floats.length > 0 ? { elements: compare(floats, integers, outputScale!) } : {}),
  };
}

/** Index of the largest number of each of `runs` equal runs. @throws AnchorError `INPUT_INVALID` */
function classesOf(values: ArrayLike<number>, runs: number): number[] {
  const width = values.length / runs;
  if (runs > 0 && !Number.isInteger(width)) {
    throw new AnchorError("INPUT_INVALID", `the float model's ${values.length} numbers do not give ${runs} classes`);
  }
  return Array.from({ length: runs }, (_, run) => {
    let best = 0;
    for (let i = 1; i < width; i++) if (values[run * width + i]! > values[run * width + best]!) best = i;
    return best;
  });
}

function compare(floats: readonly Float64Array[], integers: readonly Int32Array[], scale: number): ElementAgreement {
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const each of floats) {
    for (const value of each) {
      if (value < least) least = value;
      if (value > most) most = value;
    }
  }
  const range = most - least;
  let [near, sum, largest, count] = [0, 0, 0, 0];
  const bins: number[] = [];
  for (const [i, each] of floats.entries()) {
    for (let k = 0; k < each.length; k++) {
      const error = Math.abs(integers[i]![k]! * scale - each[k]!);
      // Of a set whose outputs are all equal, only the same number agrees.
      if (error * 256 <= range) near++;
      sum += error;
      if (error > largest) largest = error;
      count++;
      const distance = Math.abs(integers[i]![k]! - Math.floor(each[k]! / scale + 0.5));
      let bin = 0;
      while (distance > lastOf(bin) && bin < MAX_BIN) bin++;
      bins[bin] = (bins[bin] ?? 0) + 1;
    }
  }
  const share = (error: number) => (range > 0 ? error / range : error);
  return {
    count,
    equal: (bins[0] ?? 0) / count,
    distances: Array.from(bins, (own = 0, bin) => ({
      from: bin === 0 ? 0 : lastOf(bin - 1) + 1,
      to: lastOf(bin),
      count: own,
    })),
    range,
    within8Bits: near / count,
    meanError: share(sum / count),
    maxError: share(largest),
  };
}

/** The last one takes what is further still. */
const MAX_BIN = 32;

/** Largest distance of a bin. */
function lastOf(bin: number): number {
  return bin === 0 ? 0 : 2 ** (bin - 1);
}
