/**
 * Post-training quantisation: a float model and a calibration set to a ZQ8 graph.
 *
 * Only `+ - * /` on doubles in a fixed order, and comparisons, are used, so that the same file and the same
 * calibration set give the same graph, and digest, on every engine.
 *
 * Scales. A hidden channel `o` has its own weight scale `k_o`, chosen so that its largest weight becomes ±127, and its
 * own shift `s_o`. Its integer `y` then stands for the real `y · 2^(s_o) / k_o`. ReLU lets positive factors pass, so
 * this factor is multiplied into the next layer's float weights before they are quantised themselves: every
 * multiplier that remains in the graph is an exact power of two, and no fixed-point multiplication is left for the
 * circuit. The last layer has a single scale, for its logits are compared with each other.
 *
 * Shifts. `s_o` is the one, of those near the smallest that never saturates on the calibration set, with the least
 * squared error between the accumulator and what is left of it: rare outliers may saturate if that makes the rest
 * finer.
 *
 * @module
 */

import { AnchorError, throwIfAborted } from "../errors.js";
import { proveBounds, requantRelu } from "./bounds.js";
import { ACTIVATION_MAX, checkGraph, GRAPH_LIMITS, type Layer, type ModelGraph } from "./graph.js";
import { type FloatDense, type FloatModel, INPUT_SCALE_KEY } from "./onnx.js";

export interface QuantiseOptions {
  /** Typical inputs of the float model, each of its input size, none negative. At least one. */
  readonly calibration: readonly ArrayLike<number>[];
  /**
   * `log2` of the integer steps in one unit of the input. Default: the file's metadata ({@link INPUT_SCALE_KEY}),
   * else the finest power of two that does not saturate on the calibration set.
   */
  readonly inputScaleLog2?: number;
  readonly signal?: AbortSignal;
  /** Called between layers and batches; `done` and `total` count calibration samples times layers. */
  readonly onProgress?: (progress: { done: number; total: number }) => void;
}

export interface QuantiseReport {
  readonly calibrationSamples: number;
  /** Calibration values that the input scale saturates. */
  readonly saturatedInputs: number;
  /** Real value of one logit unit. */
  readonly logitScale: number;
  readonly hidden: readonly {
    readonly node: string;
    /** Channels whose accumulator was never positive in calibration: they give nothing, and can be pruned. */
    readonly silentChannels: number;
    /** Calibration activations at {@link ACTIVATION_MAX}, as a fraction. */
    readonly saturated: number;
  }[];
}

const BATCH = 512;
const INT32_MAX = 2 ** 31 - 1;
/** Shifts tried below the smallest one that does not saturate. */
const SHIFT_CANDIDATES = 3;

/**
 * Quantises a float model. The graph's bounds are proven before it is returned.
 *
 * @throws AnchorError `INPUT_INVALID` for a bad calibration set, `MODEL_UNBOUNDED` when a bias or an accumulator does
 *   not fit int32, `ABORTED`.
 */
export async function quantise(
  model: FloatModel,
  options: QuantiseOptions,
): Promise<{ graph: ModelGraph; report: QuantiseReport }> {
  const { calibration, signal, onProgress } = options;
  checkCalibration(model, calibration);
  const scaleLog2 = options.inputScaleLog2 ?? metadataScale(model) ?? finestScale(calibration);
  if (!Number.isInteger(scaleLog2) || scaleLog2 < -64 || scaleLog2 > 64) {
    throw new AnchorError("INPUT_INVALID", "inputScaleLog2 must be an integer in -64..64");
  }

  const dense = model.layers.filter((layer) => layer.kind === "dense");
  const total = dense.length * calibration.length;
  const layers: Layer[] = [];
  const hidden: QuantiseReport["hidden"][number][] = [];
  // Integer activations of every calibration sample before the layer at hand, and the real value of one unit of each
  // channel.
  let samples: Uint8Array[] = calibration.map((sample) => Uint8Array.from(quantiseValues(sample, scaleLog2)));
  let units = new Float64Array(model.input.size).fill(powerOfTwo(-scaleLog2));
  const saturatedInputs = countSaturated(calibration, scaleLog2);
  let logitScale = 1;

  for (const [index, layer] of dense.entries()) {
    const last = index === dense.length - 1;
    const { weights, bias, scales } = quantiseDense(layer, units, last);
    layers.push({ kind: "dense", inputs: layer.inputs, outputs: layer.outputs, weights, bias });
    if (last) {
      logitScale = 1 / scales[0]!;
      layers.push({ kind: "argMax" });
      break;
    }

    const accumulators: Float64Array[] = [];
    for (let from = 0; from < samples.length; from += BATCH) {
      throwIfAborted(signal);
      for (const sample of samples.slice(from, from + BATCH)) accumulators.push(accumulate(weights, bias, sample));
      onProgress?.({ done: index * samples.length + Math.min(from + BATCH, samples.length), total });
      await nextTurn();
    }
    const peaks = new Float64Array(layer.outputs);
    for (const row of accumulators) {
      for (let o = 0; o < row.length; o++) peaks[o] = Math.max(peaks[o]!, row[o]!);
    }
    // A silent channel may still fire on other inputs; its negative side is the only hint at its scale.
    const ranges = peaks.map((peak, o) =>
      peak > 0 ? peak : accumulators.reduce((m, row) => Math.max(m, -row[o]!), 0),
    );
    const shifts = Array.from(ranges, (range, o) => chooseShift(range, accumulators, o));
    layers.push({ kind: "requantRelu", shifts });

    samples = accumulators.map((row) => Uint8Array.from(row, (acc, o) => Number(requantRelu(BigInt(acc), shifts[o]!))));
    // A channel that no input can fire has no unit: its weights onward become 0 and leave the next scale to the others.
    units = Float64Array.from(shifts, (shift, o) =>
      canFire(weights[o]!, bias[o]!) ? powerOfTwo(shift) / scales[o]! : 0,
    );
    const full = samples.reduce((sum, row) => sum + row.reduce((n, y) => n + (y === ACTIVATION_MAX ? 1 : 0), 0), 0);
    hidden.push({
      node: layer.node,
      silentChannels: peaks.reduce((n, peak) => n + (peak <= 0 ? 1 : 0), 0),
      saturated: full / (samples.length * layer.outputs),
    });
  }
  onProgress?.({ done: total, total });

  const graph = checkGraph({ input: { size: model.input.size, scaleLog2 }, layers });
  proveBounds(graph);
  return { graph, report: { calibrationSamples: calibration.length, saturatedInputs, logitScale, hidden } };
}

/**
 * A float input as the graph's integers: `clamp(floor(x · 2^scaleLog2 + 1/2), 0, 127)`.
 *
 * @throws AnchorError `INPUT_INVALID` when the size is wrong or a value is not finite.
 */
export function quantiseInput(graph: ModelGraph, input: ArrayLike<number>): number[] {
  if (input.length !== graph.input.size) {
    throw new AnchorError("INPUT_INVALID", `the model takes ${graph.input.size} values, not ${input.length}`);
  }
  const values = Array.from(input);
  if (!values.every(Number.isFinite)) throw new AnchorError("INPUT_INVALID", "an input value is not a finite number");
  return quantiseValues(values, graph.input.scaleLog2);
}

function quantiseValues(values: ArrayLike<number>, scaleLog2: number): number[] {
  const scale = powerOfTwo(scaleLog2);
  return Array.from(values, (value) => Math.min(ACTIVATION_MAX, Math.max(0, Math.floor(value * scale + 0.5))));
}

function checkCalibration(model: FloatModel, calibration: readonly ArrayLike<number>[]): void {
  if (!Array.isArray(calibration) || calibration.length === 0) {
    throw new AnchorError("INPUT_INVALID", "quantisation needs at least one calibration sample");
  }
  calibration.forEach((sample, index) => {
    if (sample?.length !== model.input.size) {
      throw new AnchorError("INPUT_INVALID", `calibration sample ${index} must have ${model.input.size} values`);
    }
    for (let i = 0; i < sample.length; i++) {
      if (!Number.isFinite(sample[i]) || sample[i]! < 0) {
        throw new AnchorError(
          "INPUT_INVALID",
          `calibration sample ${index}, value ${i}: must be a number that is not negative; shift the inputs in training`,
        );
      }
    }
  });
}

function metadataScale(model: FloatModel): number | undefined {
  const text = model.metadata.get(INPUT_SCALE_KEY);
  if (text === undefined) return undefined;
  if (!/^-?\d{1,2}$/.test(text)) {
    throw new AnchorError("MODEL_MALFORMED", `metadata ${INPUT_SCALE_KEY} must be an integer in -64..64`);
  }
  return Number(text);
}

function finestScale(calibration: readonly ArrayLike<number>[]): number {
  let peak = 0;
  for (const sample of calibration) for (let i = 0; i < sample.length; i++) peak = Math.max(peak, sample[i]!);
  if (peak === 0) throw new AnchorError("INPUT_INVALID", "the calibration set is all zero; give typical inputs");
  let log2 = 64;
  while (log2 > -64 && peak * powerOfTwo(log2) + 0.5 >= ACTIVATION_MAX + 1) log2--;
  return log2;
}

function countSaturated(calibration: readonly ArrayLike<number>[], scaleLog2: number): number {
  const scale = powerOfTwo(scaleLog2);
  let count = 0;
  for (const sample of calibration) {
    for (let i = 0; i < sample.length; i++) if (sample[i]! * scale + 0.5 >= ACTIVATION_MAX + 1) count++;
  }
  return count;
}

/** Int8 rows of `weight · unit · scale`; a scale a row, or one for all rows. */
function quantiseDense(
  layer: FloatDense,
  units: Float64Array,
  oneScale: boolean,
): { weights: number[][]; bias: number[]; scales: number[] } {
  const rows = Array.from({ length: layer.outputs }, (_, o) =>
    Array.from({ length: layer.inputs }, (_, i) => layer.weights[o * layer.inputs + i]! * units[i]!),
  );
  const peaks = rows.map((row) => row.reduce((peak, weight) => Math.max(peak, Math.abs(weight)), 0));
  const peakOfAll = peaks.reduce((a, b) => Math.max(a, b), 0);
  const scales = peaks.map((own, o) => {
    const peak = oneScale ? peakOfAll : own;
    // Without a weight to go by, the bias sets the scale (a hidden channel that is constant), or anything will do.
    const scale = ACTIVATION_MAX / (peak > 0 ? peak : Math.abs(layer.bias[o]!) || ACTIVATION_MAX);
    if (!Number.isFinite(scale)) {
      throw new AnchorError("MODEL_UNBOUNDED", `${layer.node}: the weights of output ${o} are too small to quantise`);
    }
    return scale;
  });
  if (oneScale && peakOfAll === 0) {
    throw new AnchorError("MODEL_OP_UNSUPPORTED", `${layer.node}: all weights are zero, so the class is constant`);
  }
  const bias = scales.map((scale, o) => {
    const value = round(layer.bias[o]! * scale);
    if (Math.abs(value) > INT32_MAX) {
      throw new AnchorError(
        "MODEL_UNBOUNDED",
        `${layer.node}: the bias of output ${o} is too large against its weights to fit 32 bits`,
        { details: { node: layer.node, output: o } },
      );
    }
    return value;
  });
  const weights = rows.map((row, o) => row.map((weight) => round(weight * scales[o]!)));
  return { weights, bias, scales };
}

/** Exact, where the language leaves `**` to the engine. */
function powerOfTwo(exponent: number): number {
  let power = 1;
  for (let i = 0; i < Math.abs(exponent); i++) power *= 2;
  return exponent < 0 ? 1 / power : power;
}

/** To the nearest integer, halves away from zero; never -0. */
function round(value: number): number {
  const magnitude = Math.floor(Math.abs(value) + 0.5);
  return value < 0 && magnitude > 0 ? -magnitude : magnitude;
}

function canFire(row: readonly number[], bias: number): boolean {
  return row.reduce((sum, weight) => sum + Math.max(0, weight) * ACTIVATION_MAX, bias) > 0;
}

function accumulate(
  weights: readonly (readonly number[])[],
  bias: readonly number[],
  sample: Uint8Array,
): Float64Array {
  return Float64Array.from(weights, (row, o) => {
    let sum = bias[o]!;
    for (let i = 0; i < row.length; i++) sum += row[i]! * sample[i]!;
    return sum;
  });
}

function chooseShift(range: number, accumulators: readonly Float64Array[], channel: number): number {
  // The rounded quotient is at most 127 where acc < 127.5 · 2^s.
  let safe = 0;
  while (safe < GRAPH_LIMITS.shift && range >= 127.5 * powerOfTwo(safe)) safe++;
  let best = safe;
  let bestError = Number.POSITIVE_INFINITY;
  for (let shift = safe; shift >= 0 && shift > safe - SHIFT_CANDIDATES; shift--) {
    const step = powerOfTwo(shift);
    let error = 0;
    for (const row of accumulators) {
      const acc = Math.max(0, row[channel]!);
      const kept = Math.min(ACTIVATION_MAX, Math.floor(acc / step + 0.5)) * step;
      error += (acc - kept) * (acc - kept);
    }
    if (error < bestError) {
      best = shift;
      bestError = error;
    }
  }
  return best;
}

/** Lets timers, progress output and abort signals through. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
