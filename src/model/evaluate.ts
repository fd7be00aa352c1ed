/**
 * How the integer model compares with the float model that it came from, on a set of inputs.
 *
 * @module
 */

import { AnchorError, throwIfAborted } from "../errors.js";
import { checkSet, type SampleSet } from "./data.js";
import { type OutputComparison, OutputMeter } from "./drift.js";
import { createExecutor } from "./execute.js";
import type { ModelGraph } from "./graph.js";
import { quantiseInput } from "./quantise/index.js";
import type { FloatRuntime } from "./runtime.js";

export interface Evaluation extends OutputComparison {
  /** What ran the float model. */
  readonly runtime: string;
}

export interface EvaluateOptions {
  /** Real values of 1 in each channel of the output; not needed where it is of classes. */
  readonly units?: Float64Array | undefined;
  /** Private weights of the adapter, where the model has one. */
  readonly adapter?: ArrayLike<number> | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: { readonly done: number; readonly total: number }) => void) | undefined;
}

/** Samples between two looks at the signal. */
const BATCH = 32;

/**
 * Runs both models on every sample. Where the integer model gives classes, so must the float model, or as many runs of
 * numbers, whose largest count.
 *
 * @throws AnchorError `INPUT_INVALID`, `ABORTED`
 */
export async function evaluateModel(
  float: FloatRuntime,
  graph: ModelGraph,
  set: SampleSet,
  { units, adapter, signal, onProgress }: EvaluateOptions = {},
): Promise<Evaluation> {
  checkSet(set, "the evaluation set");
  const run = createExecutor(graph);
  const classes = graph.nodes.at(-1)!.op === "argMax";
  const meter = new OutputMeter(classes ? Float64Array.of(1) : (units ?? Float64Array.of(1)), classes);
  const { inputs, labels } = set;
  for (const [i, input] of inputs.entries()) {
    if (i % BATCH === 0) {
      onProgress?.({ done: i, total: inputs.length });
      await new Promise((resume) => setImmediate(resume));
      throwIfAborted(signal);
    }
    const { output } = run(quantiseInput(graph, input), adapter);
    const numbers = await float.run(input);
    meter.add(classes ? classesOf(numbers, output.length) : numbers, output, labels?.[i]);
  }
  onProgress?.({ done: inputs.length, total: inputs.length });
  return { ...meter.result(), runtime: float.name };
}

/** Index of the largest number of each of `runs` equal runs; as many numbers are classes already. */
function classesOf(values: Float64Array, runs: number): ArrayLike<number> {
  const width = values.length / runs;
  if (width === 1) return values;
  if (!Number.isInteger(width)) {
    throw new AnchorError("INPUT_INVALID", `the float model's ${values.length} numbers do not give ${runs} classes`);
  }
  return Int32Array.from({ length: runs }, (_, run) => {
    let best = 0;
    for (let i = 1; i < width; i++) if (values[run * width + i]! > values[run * width + best]!) best = i;
    return best;
  });
}
