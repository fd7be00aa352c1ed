/**
 * Post-training quantisation: a float graph and a calibration set to an integer graph.
 *
 * Only `+ - * /` and square roots on doubles in a fixed order, comparisons, and `mathematics.ts` are used, so that the
 * same file and the same calibration set give the same graph, and digest, on every engine.
 *
 *     simplify   the float graph rewritten: scales multiplied into weights, movement merged
 *     plan       where it rounds
 *     units      which integers must have one unit
 *     calibrate  the input's form; real values on the calibration set
 *     lower      integers, node by node, each with its proven bounds
 *
 * The calibration set's activations are held in memory, 256 MiB of them at most: of a set that needs more, samples at
 * even distances are used.
 *
 * @module
 */

import { AnchorError } from "../../errors.js";
import { proveBounds } from "../bounds.js";
import type { FloatGraph, FloatGrid } from "../float.js";
import { adapterOf, adapterSize, inputOf, inputSize, type ModelGraph, sizeOf } from "../graph.js";
import { hideAdapter } from "./adapter.js";
import { chooseInput, integerOf, record } from "./calibrate.js";
import { lower, type PointReport } from "./lower.js";
import { powerOfTwo, round } from "./numbers.js";
import { plan } from "./plan.js";
import { inputGrid, simplify } from "./simplify.js";

export type { PointReport } from "./lower.js";

/** Inputs of more bits than this are rounded to the file's grid, where it has one that they are not on already. */
const GRID_BITS = 9;

export interface QuantiseOptions {
  /** Typical inputs of the float model, each of its input size. At least one. */
  readonly calibration: readonly ArrayLike<number>[];
  /**
   * What the model gives: the index of its largest output, or its outputs as they are. Default: `class` where the
   * model ends in ArgMax; numbers alone do not say that they are scores of classes.
   */
  readonly output?: "class" | "logits" | undefined;
  /** Bits of weights, 4..12; a row of the circuit each for every activation. Default 8. */
  readonly weightBits?: number | undefined;
  /**
   * Bits of what is rounded between layers, 4..12, signed; one less where nothing is negative. Tables take 8 of them
   * at most. Default 8. One more halves the rounding error; it costs a row for each activation after it.
   */
  readonly activationBits?: number | undefined;
  /** Bits of an input, 1..16. Default: 7 or 8, as the calibration set needs. */
  readonly inputBits?: number | undefined;
  /**
   * `log2` of the integer steps in one unit of the input. Default: the file's metadata (`INPUT_SCALE_KEY`); else 0 for
   * a calibration set of small integers; else the power of two with the least squared error on it.
   */
  readonly inputScaleLog2?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** `done` and `total` count steps: samples to run, then nodes to lower. */
  readonly onProgress?: ((progress: { done: number; total: number }) => void) | undefined;
}

export interface QuantiseReport {
  readonly calibrationSamples: number;
  /** Those that scales and biases were chosen by: fewer where memory is short. */
  readonly usedSamples: number;
  /** Calibration values that the input's range saturates. */
  readonly saturatedInputs: number;
  /**
   * Numbers of the input that move over the calibration set, and by less than {@link COARSE_STEPS} of its integers: one
   * scale for all cannot do justice to features of different sizes.
   */
  readonly coarseInputs: number;
  /** Real value of 1 of the output. */
  readonly outputUnit: number;
  /** Real value of 1 of a private weight, of each part of the adapter: for {@link quantiseAdapter}. */
  readonly adapterUnits: readonly number[];
  /** Every place where the model rounds, in order. */
  readonly points: readonly PointReport[];
}

/** Which integers stand for which values of the float graph: what drift is measured by. */
export interface Correspondence {
  /** Node of the float graph. */
  readonly float: number;
  /** Node of the integer graph. */
  readonly value: number;
  /** Real value of 1 of each element; 0 where an element is always 0. */
  readonly unit: Float64Array;
  /** Name of the float node. */
  readonly node: string;
}

export interface Quantised {
  readonly graph: ModelGraph;
  /** Private weights, which the graph does not hold. */
  readonly adapter?: Int16Array;
  readonly report: QuantiseReport;
  readonly correspondence: readonly Correspondence[];
}

/**
 * Quantises a float model. The graph's bounds are proven before it is returned.
 *
 * @throws AnchorError `INPUT_INVALID` for a bad calibration set or option, `MODEL_UNBOUNDED` naming the node whose
 *   integers do not fit, `MODEL_OP_UNSUPPORTED`, `INPUT_TOO_LARGE` above the graph's limits, `ABORTED`.
 */
export async function quantise(file: FloatGraph, options: QuantiseOptions): Promise<Quantised> {
  const { calibration, signal, onProgress, weightBits = 8, activationBits = 8 } = options;
  for (const [name, bits] of Object.entries({ weightBits, activationBits })) {
    if (!Number.isInteger(bits) || bits < 4 || bits > 12) {
      throw new AnchorError("INPUT_INVALID", `${name} must be an integer in 4..12`);
    }
  }
  const outputs = sizeOf(file.outputShape);
  const output = options.output ?? (file.nodes.at(-1)?.op === "argMax" ? "class" : "logits");
  if (output !== "class" && output !== "logits") {
    throw new AnchorError("INPUT_INVALID", "output must be class or logits");
  }
  if (output === "class" && outputs === 1 && file.nodes.at(-1)?.op !== "argMax") {
    throw new AnchorError("INPUT_INVALID", "the model has one output and so no classes; ask for its logits");
  }
  const classOnly = output === "class";
  // From here to the end the adapter is a stand-in: the graph is public, and depends on nothing of the real one but the
  // power of two that bounds each part.
  const hidden = hideAdapter(file);
  const model = hidden?.model ?? file;
  let simplified = simplify(model, { classOnly });
  const found = inputGrid(simplified);
  const grid = found !== undefined && covers(found, calibration) ? found : undefined;
  const input = chooseInput(model, options, grid);
  // A grid of the file's own on the input: the same integers, or else as many that are as good.
  if (grid !== undefined && input.bits <= GRID_BITS) {
    simplified = simplify(model, { classOnly, withoutInputGrid: grid });
  }
  const planned = plan(simplified, {
    inputBits: input.bits,
    activationBits,
  });
  const total = calibration.length + planned.nodes.length;
  const recordings = await record(planned, calibration, {
    signal,
    onSample: (done) => onProgress?.({ done, total }),
  });
  const lowered = await lower(planned, input, recordings, {
    weightBits,
    signal,
    onNode: (done) => onProgress?.({ done: calibration.length + done, total }),
  });
  const last = lowered.values.at(-1)!;
  if (last.id === 0) {
    throw new AnchorError(
      "MODEL_OP_UNSUPPORTED",
      "the model gives its input back, scaled at most: nothing is computed",
    );
  }
  const { graph, ids } = lowered.builder.finish(last.id);
  proveBounds(graph);
  const correspondence: Correspondence[] = [];
  lowered.values.forEach(({ id, units }, node) => {
    const float = planned.origin[node];
    const value = ids[id];
    if (float === undefined || value === undefined) return;
    correspondence.push({ float, value, unit: units, node: planned.nodes[node]!.node });
  });
  return {
    graph,
    ...(hidden === undefined ? {} : { adapter: hidden.integers }),
    report: {
      calibrationSamples: calibration.length,
      usedSamples: recordings.samples.length,
      saturatedInputs: countSaturated(graph, calibration),
      coarseInputs: countCoarse(graph, calibration),
      outputUnit: last.units.reduce((a, b) => Math.max(a, b), 0) || 1,
      adapterUnits: lowered.adapterUnits,
      points: lowered.points,
    },
    correspondence,
  };
}

/**
 * A float input as the graph's integers: `clamp(floor(x · 2^scaleLog2 + 1/2), lo, lo + 2^bits - 1)`.
 *
 * @throws AnchorError `INPUT_INVALID` when the size is wrong or a value is not finite.
 */
export function quantiseInput(graph: ModelGraph, input: ArrayLike<number>): Int32Array {
  const size = inputSize(graph);
  if (typeof input !== "object" || input === null || input.length !== size) {
    throw new AnchorError("INPUT_INVALID", `the model takes ${size} values`, { details: { expected: size } });
  }
  const node = inputOf(graph);
  return Int32Array.from({ length: size }, (_, i) => {
    const value: unknown = input[i];
    if (typeof value !== "number" || !Number.isFinite(value)) {
      throw new AnchorError("INPUT_INVALID", `value ${i} of the input is not a finite number`, {
        details: { index: i },
      });
    }
    return integerOf(node, value);
  });
}

/**
 * Another adapter's weights as the private integers of a graph, so that both share its circuit and key. The graph was
 * calibrated with the adapter that it was quantised with: measure the other one on it before it is relied on.
 *
 * @throws AnchorError `INPUT_INVALID` when the graph has no adapter, or the numbers of weights or units are not its own,
 *   or a weight is not finite or not in the range of its part.
 */
export function quantiseAdapter(graph: ModelGraph, weights: ArrayLike<number>, units: readonly number[]): Int16Array {
  const node = adapterOf(graph);
  if (node === undefined) throw new AnchorError("INPUT_INVALID", "the model has no adapter");
  const size = adapterSize(graph);
  if (weights.length !== size || units.length !== node.parts.length) {
    throw new AnchorError("INPUT_INVALID", `the adapter has ${size} weights in ${node.parts.length} parts`, {
      details: { weights: size, parts: node.parts.length },
    });
  }
  const result = new Int16Array(size);
  let at = 0;
  for (const [part, { name, shape }] of node.parts.entries()) {
    const end = at + sizeOf(shape);
    for (; at < end; at++) {
      const integer = round(weights[at]! / units[part]!);
      if (!(integer >= node.lo && integer < node.lo + 2 ** node.bits)) {
        throw new AnchorError("INPUT_INVALID", `${name}: weight ${at} is out of the range of the model's adapter`, {
          details: { index: at },
        });
      }
      result[at] = integer;
    }
  }
  return result;
}

/** Output integers as the real numbers that they stand for; `unit` is the report's `outputUnit`. */
export function dequantiseOutput(output: ArrayLike<number>, unit: number): Float64Array {
  return Float64Array.from({ length: output.length }, (_, i) => output[i]! * unit);
}

/** A grid that cuts off more than half a step of what the calibration set has does more than round. */
function covers({ scale, zeroPoint, lo, hi }: FloatGrid, calibration: readonly ArrayLike<number>[]): boolean {
  const [least, most] = [lo - zeroPoint[0]! - 0.5, hi - zeroPoint[0]! + 0.5];
  const step = scale[0]!;
  return (
    Array.isArray(calibration) &&
    calibration.every((sample: ArrayLike<number> | undefined) =>
      Array.from(sample ?? []).every((x) => x / step >= least && x / step <= most),
    )
  );
}

/** Values that an input takes on fewer integers than these are hardly told apart. */
const COARSE_STEPS = 4;

function countCoarse(graph: ModelGraph, calibration: readonly ArrayLike<number>[]): number {
  const step = powerOfTwo(-inputOf(graph).scaleLog2);
  let count = 0;
  for (let i = 0; i < inputSize(graph); i++) {
    let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    let whole = true; // steps of 1 are as fine as integers can be told apart
    for (const sample of calibration) {
      const value = sample[i]!;
      least = Math.min(least, value);
      most = Math.max(most, value);
      whole &&= Number.isInteger(value);
    }
    if (most > least && most - least < COARSE_STEPS * step && !(whole && step <= 1)) count++;
  }
  return count;
}

function countSaturated(graph: ModelGraph, calibration: readonly ArrayLike<number>[]): number {
  const { lo, bits } = inputOf(graph);
  const wide = { ...inputOf(graph), lo: lo - 1, bits: bits + 1 };
  const hi = lo + 2 ** bits - 1;
  let count = 0;
  for (const sample of calibration) {
    for (let i = 0; i < sample.length; i++) {
      const value = integerOf(wide, sample[i]!);
      if (value < lo || value > hi) count++;
    }
  }
  return count;
}
