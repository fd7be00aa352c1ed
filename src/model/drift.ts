/**
 * How far a quantised model is from its float model, node by node; `evaluate.ts` compares their outputs.
 *
 * Both are run side by side and only sums are kept, so that memory does not grow with the number of samples.
 *
 * @module
 */

import { AnchorError, throwIfAborted } from "../errors.js";
import { createExecutor } from "./execute.js";
import type { FloatGraph } from "./float.js";
import { type GraphNode, type ModelGraph, valueLengths } from "./graph.js";
import { log } from "./mathematics.js";
import { type Correspondence, quantiseInput } from "./quantise/index.js";
import { createFloatExecutor } from "./run.js";

/** Least and largest of some numbers. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** Errors of one pair of nodes over all samples and lanes. */
export interface Drift {
  readonly float: number;
  readonly node: number;
  /** Nodes of the source that it stands for. */
  readonly name: string;
  readonly op: string;
  readonly width: number;
  /** Real values of 1, over the channels. */
  readonly unit: Range;
  /** Absolute errors as real values, and counted in units. */
  readonly meanError: number;
  readonly maxError: number;
  readonly meanUnits: number;
  readonly maxUnits: number;
  /** Signal to noise in dB; `null` where there is no noise at all, or no signal. */
  readonly snr: number | null;
  /** Share of float values beyond the range of the integers, half a unit allowed; only of nodes that have a range. */
  readonly saturated?: number;
}

export interface DriftOptions {
  /** Private weights of the integer graph, where it has an adapter. */
  readonly adapter?: ArrayLike<number> | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Samples done. */
  readonly onProgress?: ((done: number) => void) | undefined;
}

/** Other work gets its turn after so many milliseconds. */
const TURN_MS = 20;

/**
 * Runs both models on every sample and compares each pair of nodes.
 *
 * @param samples inputs of the float model
 * @throws AnchorError `INPUT_INVALID` for a correspondence that does not fit the graphs, for bad samples or none;
 *   `MODEL_UNBOUNDED`, `ABORTED`
 */
export async function measureDrift(
  floatGraph: FloatGraph,
  graph: ModelGraph,
  correspondence: readonly Correspondence[],
  samples: Iterable<ArrayLike<number>> | AsyncIterable<ArrayLike<number>>,
  options: DriftOptions = {},
): Promise<Drift[]> {
  const runFloat = createFloatExecutor(floatGraph);
  const runInteger = createExecutor(graph);
  const lengths = valueLengths(graph);
  const meters = correspondence.map((pair) => new Meter(pair, floatGraph, graph, lengths));
  let done = 0;
  let turn = performance.now();
  for await (const sample of samples) {
    throwIfAborted(options.signal);
    const floats = runFloat(sample);
    const { values } = runInteger(quantiseInput(graph, sample), options.adapter);
    for (const meter of meters) meter.add(floats[meter.pair.float]!, values[meter.pair.value]!);
    done++;
    options.onProgress?.(done);
    if (performance.now() - turn > TURN_MS) {
      await new Promise((resume) => setImmediate(resume));
      turn = performance.now();
    }
  }
  if (done === 0) throw new AnchorError("INPUT_INVALID", "drift is measured on one sample at least");
  return meters.map((meter) => meter.result());
}

class Meter {
  readonly pair: Correspondence;
  readonly #head: Pick<Drift, "name" | "op" | "width" | "unit">;
  readonly #range: Range | undefined;
  #values = 0;
  #signal = 0;
  #noise = 0;
  #sum = 0;
  #max = 0;
  #sumUnits = 0;
  #maxUnits = 0;
  #saturated = 0;

  constructor(pair: Correspondence, floatGraph: FloatGraph, graph: ModelGraph, lengths: readonly number[]) {
    const { float, value, unit, node: name } = pair;
    const to = graph.nodes[value];
    const width = lengths[value] ?? 0;
    const wrong = (problem: string) =>
      new AnchorError("INPUT_INVALID", `the correspondence of float node ${float} and node ${value}: ${problem}`);
    if (floatGraph.nodes[float] === undefined || to === undefined) throw wrong("one of them does not exist");
    if (unit.length !== width) throw wrong(`there are ${unit.length} units for ${width} integers`);
    if (!unit.every((each) => Number.isFinite(each) && each >= 0)) throw wrong("units are positive numbers, or 0");
    this.pair = pair;
    this.#head = { name, op: to.op, width, unit: rangeOf(unit.filter((each) => each > 0)) };
    this.#range = valueRange(to);
  }

  add(floats: Float64Array, integers: Int32Array): void {
    const { float, value, unit: units } = this.pair;
    if (floats.length !== integers.length) {
      const problem = `${floats.length} values are not ${integers.length}`;
      throw new AnchorError("INPUT_INVALID", `the correspondence of float node ${float} and node ${value}: ${problem}`);
    }
    const range = this.#range;
    for (let i = 0; i < integers.length; i++) {
      const unit = units[i]!;
      const real = floats[i]!;
      if (unit === 0) continue;
      this.#values++;
      // Beyond every range, and of no use in a sum.
      if (!Number.isFinite(real)) {
        this.#saturated++;
        continue;
      }
      const error = Math.abs(real - unit * integers[i]!);
      this.#signal += real * real;
      this.#noise += error * error;
      this.#sum += error;
      this.#sumUnits += error / unit;
      if (error > this.#max) this.#max = error;
      if (error / unit > this.#maxUnits) this.#maxUnits = error / unit;
      if (range && (real > (range.max + 0.5) * unit || real < (range.min - 0.5) * unit)) this.#saturated++;
    }
  }

  result(): Drift {
    const { float, value: node } = this.pair;
    const share = (sum: number) => (this.#values === 0 ? 0 : sum / this.#values);
    return {
      float,
      node,
      ...this.#head,
      meanError: share(this.#sum),
      maxError: this.#max,
      meanUnits: share(this.#sumUnits),
      maxUnits: this.#maxUnits,
      snr: this.#noise === 0 || this.#signal === 0 ? null : (10 * log(this.#signal / this.#noise)) / log(10),
      ...(this.#range === undefined && this.#saturated === 0 ? {} : { saturated: share(this.#saturated) }),
    };
  }
}

/** What a node's integers are confined to whatever it takes; accumulators are proven to fit, and have none. */
function valueRange(node: GraphNode): Range | undefined {
  switch (node.op) {
    case "input":
    case "adapter":
    case "requant":
      return { min: node.lo, max: node.lo + 2 ** node.bits - 1 };
    case "table":
      return rangeOf(node.tables);
    default:
      return undefined;
  }
}

function rangeOf(values: ArrayLike<number>): Range {
  if (values.length === 0) return { min: 0, max: 0 };
  let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < values.length; i++) {
    if (values[i]! < min) min = values[i]!;
    if (values[i]! > max) max = values[i]!;
  }
  return { min, max };
}
