/**
 * What the calibration set says: the form of the input, and the real values of a graph's nodes on it.
 *
 * @module
 */

import { AnchorError, throwIfAborted } from "../../errors.js";
import { type FloatGraph, type FloatGrid, type FloatInput, INPUT_SCALE_KEY } from "../float.js";
import { type InputNode, sizeOf } from "../graph.js";
import { evaluate, inputsOf } from "../run.js";
import { exactLog2, nextTurn, powerOfTwo } from "./numbers.js";
import type { Plan } from "./plan.js";
import type { Traced } from "./simplify.js";

/** Bytes of activations that are kept; a calibration set that needs more is sampled. */
const MEMORY = 256 * 1024 * 1024;
/** Scales that are tried from the finest that saturates no input on. */
const SCALE_CANDIDATES = 3;

export interface InputOptions {
  readonly calibration: readonly ArrayLike<number>[];
  readonly inputBits?: number | undefined;
  readonly inputScaleLog2?: number | undefined;
}

/**
 * Chooses what integers stand for the inputs: those of the file's grid, where its step is a power of two; integers as
 * they are; otherwise the scale of least squared error.
 *
 * @throws AnchorError `INPUT_INVALID` for a bad calibration set or option, `MODEL_MALFORMED` for bad metadata.
 */
export function chooseInput(model: FloatGraph, options: InputOptions, grid?: FloatGrid): InputNode {
  const input = model.nodes[0] as FloatInput;
  const { calibration } = options;
  const { least, most, whole } = surveyInputs(input, calibration);
  const { shape } = input;
  if (input.tokens !== undefined) {
    return { op: "input", shape, lo: 0, bits: bitsUpTo(input.tokens - 1), scaleLog2: 0 };
  }
  const bits = options.inputBits;
  if (bits !== undefined && !(Number.isInteger(bits) && bits >= 1 && bits <= 16)) {
    throw new AnchorError("INPUT_INVALID", "inputBits must be an integer in 1..16");
  }
  const given = options.inputScaleLog2 ?? metadataScale(model);
  if (given !== undefined && !(Number.isInteger(given) && given >= -64 && given <= 64)) {
    throw new AnchorError("INPUT_INVALID", "inputScaleLog2 must be an integer in -64..64");
  }
  const signed = least < 0;
  const formOf = (scaleLog2: number): InputNode => {
    // Features in 0..127 need one bit less than bytes.
    const few = bits ?? (!signed && Math.floor(most * powerOfTwo(scaleLog2) + 0.5) <= 127 ? 7 : 8);
    return { op: "input", shape, lo: signed ? -(2 ** (few - 1)) : 0, bits: few, scaleLog2 };
  };
  if (given !== undefined) return formOf(given);
  if (grid !== undefined && bits === undefined) {
    const step = exactLog2(grid.scale[0]!);
    const width = bitsUpTo(grid.hi - grid.lo);
    const lo = grid.lo - grid.zeroPoint[0]!;
    if (step !== undefined && Math.abs(step) <= 64 && 2 ** width === grid.hi - grid.lo + 1) {
      return { op: "input", shape, lo, bits: width, scaleLog2: -step };
    }
  }
  if (least === 0 && most === 0) {
    throw new AnchorError("INPUT_INVALID", "the calibration set is all zero; give typical inputs");
  }
  const plain = formOf(0);
  if (whole && least >= plain.lo && most < plain.lo + 2 ** plain.bits) return plain;

  const peak = bits ?? 8;
  const hi = signed ? 2 ** (peak - 1) - 1 : 2 ** peak - 1;
  const size = signed ? Math.max(most, (-least * hi) / (hi + 1)) : most;
  let finest = 64;
  while (finest > -64 && Math.floor(size * powerOfTwo(finest) + 0.5) > hi) finest--;
  const errorOf = (scaleLog2: number) => {
    const form = formOf(scaleLog2);
    const unit = powerOfTwo(-scaleLog2);
    let error = 0;
    for (const sample of calibration) {
      for (let i = 0; i < sample.length; i++) {
        const lost = sample[i]! - integerOf(form, sample[i]!) * unit;
        error += lost * lost;
      }
    }
    return error;
  };
  let best = finest;
  let bestError = errorOf(finest);
  for (let finer = finest + 1; finer < finest + SCALE_CANDIDATES && finer <= 64; finer++) {
    const error = errorOf(finer);
    if (error < bestError) [best, bestError] = [finer, error];
  }
  // What is exact in fewer bits needs no more.
  while (bestError === 0 && best > -64 && errorOf(best - 1) === 0) best--;
  return formOf(best);
}

/** `clamp(floor(x · 2^scaleLog2 + 1/2), lo, lo + 2^bits - 1)` */
export function integerOf({ lo, bits, scaleLog2 }: InputNode, x: number): number {
  const value = Math.floor(x * powerOfTwo(scaleLog2) + 0.5);
  return Math.max(lo, Math.min(lo + 2 ** bits - 1, value)) + 0;
}

function surveyInputs(input: FloatInput, calibration: readonly ArrayLike<number>[]) {
  if (!Array.isArray(calibration) || calibration.length === 0) {
    throw new AnchorError("INPUT_INVALID", "quantisation needs at least one calibration sample");
  }
  const size = sizeOf(input.shape);
  let [least, most, whole] = [0, 0, true];
  calibration.forEach((sample: ArrayLike<number> | undefined, index) => {
    if (sample?.length !== size) {
      throw new AnchorError("INPUT_INVALID", `calibration sample ${index} must have ${size} values`);
    }
    for (let i = 0; i < size; i++) {
      const value = sample[i]!;
      if (!Number.isFinite(value)) {
        throw new AnchorError("INPUT_INVALID", `calibration sample ${index}, value ${i}: must be a finite number`);
      }
      if (input.tokens !== undefined && !(Number.isInteger(value) && value >= 0 && value < input.tokens)) {
        throw new AnchorError(
          "INPUT_INVALID",
          `calibration sample ${index}, value ${i}: must be a token, an integer in 0..${input.tokens - 1}`,
        );
      }
      least = Math.min(least, value);
      most = Math.max(most, value);
      whole &&= Number.isInteger(value);
    }
  });
  return { least, most, whole };
}

function metadataScale(model: FloatGraph): number | undefined {
  const text = model.metadata.get(INPUT_SCALE_KEY);
  if (text === undefined) return undefined;
  if (!/^-?\d{1,2}$/.test(text) || Math.abs(Number(text)) > 64) {
    throw new AnchorError("MODEL_MALFORMED", `metadata ${INPUT_SCALE_KEY} must be an integer in -64..64`);
  }
  return Number(text);
}

function bitsUpTo(value: number): number {
  let bits = 1;
  while (2 ** bits - 1 < value) bits++;
  return bits;
}

/** Real values of one node on the samples. */
export interface Recording {
  /** Sample after sample. */
  readonly values: Float32Array;
  /** Of each element, over the samples. */
  readonly min: Float64Array;
  readonly max: Float64Array;
}

export interface Recordings {
  readonly samples: readonly ArrayLike<number>[];
  readonly of: ReadonlyMap<number, Recording>;
}

/**
 * Runs the float graph on the samples, and keeps what points, linear nodes and normalisations give. Where that would
 * take more than {@link MEMORY}, samples at even distances are taken.
 */
export async function record(
  plan: Plan,
  calibration: readonly ArrayLike<number>[],
  options: { signal?: AbortSignal | undefined; onSample?: (done: number, total: number) => void },
): Promise<Recordings> {
  const kept = new Set<number>();
  plan.nodes.forEach((node, id) => {
    if (node.op === "linear" || node.op === "normalise") kept.add(id);
    if (plan.points.has(id)) kept.add(inputsOf(node)[0]!);
  });
  const each = [...kept].reduce((sum, id) => sum + plan.lengths[id]!, 0);
  // A second time for the integers, which live as long as something takes them.
  const affordable = Math.max(1, Math.floor(MEMORY / (8 * Math.max(1, each))));
  const samples =
    calibration.length <= affordable
      ? calibration
      : Array.from({ length: affordable }, (_, i) => calibration[Math.floor((i * calibration.length) / affordable)]!);

  const recordings = new Map<number, Recording>();
  for (const id of [...kept].sort((a, b) => a - b)) {
    const length = plan.lengths[id]!;
    recordings.set(id, {
      values: new Float32Array(samples.length * length),
      min: new Float64Array(length).fill(Number.POSITIVE_INFINITY),
      max: new Float64Array(length).fill(Number.NEGATIVE_INFINITY),
    });
  }
  const lastUse = lastUses(plan);
  for (const [index, sample] of samples.entries()) {
    const values: (Float64Array | undefined)[] = [];
    plan.nodes.forEach((node, id) => {
      const value =
        id === 0
          ? Float64Array.from(sample)
          : evaluate(
              node,
              inputsOf(node).map((input) => values[input]!),
            );
      values.push(value);
      for (const input of inputsOf(node)) if (lastUse[input] === id) values[input] = undefined;
      const recording = recordings.get(id);
      if (recording === undefined) return;
      recording.values.set(value, index * value.length);
      for (let i = 0; i < value.length; i++) {
        if (value[i]! < recording.min[i]!) recording.min[i] = value[i]!;
        if (value[i]! > recording.max[i]!) recording.max[i] = value[i]!;
      }
    });
    if (index % 16 === 0) {
      throwIfAborted(options.signal);
      options.onSample?.(index, samples.length);
      await nextTurn();
    }
  }
  return { samples, of: recordings };
}

/** The last node that takes each value; itself where none does. */
export function lastUses({ nodes }: Traced): number[] {
  const last = nodes.map((_, id) => id);
  nodes.forEach((node, id) => {
    for (const input of inputsOf(node)) last[input] = id;
  });
  return last;
}
