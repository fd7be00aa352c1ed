/**
 * Quantised files. A value that the file holds as integers of a scale is kept here as the real number that it stands
 * for, on its grid; weights become real again. The integer arithmetic of the circuit is the quantiser's own.
 *
 * @module
 */

import { sizeOf } from "../../graph.js";
import { sigmoid } from "../../mathematics.js";
import { roundHalfEven } from "../../run.js";
import { dims } from "../errors.js";
import { range } from "../layout.js";
import { type Lowering, sameQuantisation } from "../lowering.js";
import type { Operator, Site } from "../site.js";
import {
  type Computed,
  type Constant,
  INTEGERS,
  isConstant,
  type Operand,
  type Quantisation,
  Type,
  typeName,
} from "../tensor.js";
import { gemm } from "./linear.js";
import { softmaxOver } from "./reduce.js";
import { averagePool, convolve } from "./spatial.js";

export const quantised: Record<string, Operator> = {
  QuantizeLinear: (site, t) => {
    const x = site.input(0);
    site.ignore("saturate", "precision");
    const named = site.int("output_dtype", 0);
    const type = site.has(2) ? site.raw(2).type : named === 0 ? Type.UINT8 : named;
    const axis = site.int("axis", 1);
    if (site.int("block_size", 0) !== 0) throw site.unsupported("scales of blocks are supported for constants only");
    return quantise(site, t, x, 1, 2, type, axis);
  },
  DequantizeLinear: (site, t) => {
    const axis = site.int("axis", 1);
    const block = site.int("block_size", 0);
    site.ignore("output_dtype");
    if (block !== 0) return dequantiseBlocks(site, t, axis, block);
    return real(site, t, 0, 1, 2, axis);
  },
  DynamicQuantizeLinear: (site) => {
    throw site.unsupported(
      "scales that depend on the input cannot be compiled; quantise the model statically, or export it in float",
    );
  },

  QLinearConv: (site, t) => {
    const x = real(site, t, 0, 1, 2);
    const scale = site.constant(4, "the weights' scale");
    const weights = real(site, t, 3, 4, 5, 0);
    if (!isConstant(weights)) throw site.unsupported("its weights are computed; they must be constants of the file");
    return quantise(site, t, convolve(site, t, x, weights, realBias(site, 8, 1, scale)), 6, 7);
  },
  QLinearMatMul: (site, t) => {
    const a = real(site, t, 0, 1, 2, -2);
    const b = real(site, t, 3, 4, 5, -1);
    return quantise(site, t, t.matMul(a, b), 6, 7);
  },
  QGemm: (site, t) => {
    const a = real(site, t, 0, 1, 2);
    const turned = site.int("transB", 0) !== 0;
    const b = real(site, t, 3, 4, 5, turned ? 0 : 1);
    const y = gemm(site, t, a, b, realBias(site, 6, 1, site.constant(4, "the weights' scale")));
    return site.has(7) ? quantise(site, t, y, 7, 8) : y;
  },
  QLinearAdd: (site, t) => quantise(site, t, t.add(real(site, t, 0, 1, 2), real(site, t, 3, 4, 5)), 6, 7),
  QLinearMul: (site, t) => quantise(site, t, t.mul(real(site, t, 0, 1, 2), real(site, t, 3, 4, 5)), 6, 7),
  QLinearSigmoid: (site, t) => quantise(site, t, t.map(real(site, t, 0, 1, 2), sigmoid), 3, 4),
  QLinearLeakyRelu: (site, t) => {
    const alpha = site.float("alpha", 0.01);
    return quantise(
      site,
      t,
      t.map(real(site, t, 0, 1, 2), (x) => (x < 0 ? alpha * x : x)),
      3,
      4,
    );
  },
  QLinearSoftmax: (site, t) => {
    const x = real(site, t, 0, 1, 2);
    const version = site.int("opset", 13);
    return quantise(site, t, t.softmax(x, softmaxOver(site, x, version, site.int("axis", -1))), 3, 4);
  },
  QLinearGlobalAveragePool: (site, t) => {
    const x = real(site, t, 0, 1, 2);
    const rank = x.shape.length;
    const axes = site.flag("channels_last", false) ? range(rank).slice(1, -1) : range(rank).slice(2);
    return quantise(site, t, t.reduceMean(x, axes, true), 3, 4);
  },
  QLinearAveragePool: (site, t) => {
    if (site.flag("channels_last", false)) throw site.unsupported("channels_last is not supported");
    return quantise(site, t, averagePool(site, t, real(site, t, 0, 1, 2)), 3, 4);
  },
  QLinearConcat: (site, t) => {
    const parts = range(Math.floor((site.count - 2) / 3)).map((k) => real(site, t, 2 + 3 * k, 3 + 3 * k, 4 + 3 * k));
    const [first] = parts;
    if (first === undefined) throw site.malformed("has no input");
    return quantise(site, t, t.concat(parts, site.axis(site.int("axis", 0), first.shape.length)), 0, 1);
  },

  ConvInteger: (site, t) => {
    const x = less(t, site.input(0), site.optional(2), 1);
    const weights = less(t, site.input(1), site.optional(3), 0);
    if (!isConstant(weights)) throw site.unsupported("its weights are computed; they must be constants of the file");
    return { ...convolve(site, t, x, weights, undefined), type: Type.INT32 };
  },
  MatMulInteger: (site, t) => {
    const a = less(t, site.input(0), site.optional(2), -2);
    const b = less(t, site.input(1), site.optional(3), -1);
    return { ...t.matMul(a, b), type: Type.INT32 };
  },
};

/** The real numbers behind input `i`, whose scale and zero point are two other inputs. */
function real(site: Site, t: Lowering, i: number, scaleAt: number, zeroAt: number, axis = 1): Operand {
  const x = site.raw(i);
  const grid = gridOf(site, scaleAt, zeroAt, x, axis);
  if (!isConstant(x) && x.quantised !== undefined && sameQuantisation(x.quantised, grid)) {
    return { id: x.id, shape: x.shape, type: Type.FLOAT };
  }
  const [scale, zero] = shaped(grid, x);
  return t.mul(t.sub({ ...t.plain(x), type: Type.FLOAT }, zero), scale);
}

/** A float on the grid of a scale and a zero point. */
function quantise(
  site: Site,
  t: Lowering,
  x: Operand,
  scaleAt: number,
  zeroAt: number,
  type: Type = site.has(zeroAt) ? site.raw(zeroAt).type : Type.UINT8,
  axis = 1,
): Operand {
  const ends = INTEGERS.get(type);
  if (ends === undefined || ends[1] > 2 ** 31)
    throw site.unsupported(`quantises to ${typeName(type)}; use int8 or uint8`);
  const [lo, hi] = ends;
  const grid = gridOf(site, scaleAt, zeroAt, x, axis);
  const [scale, zero] = shaped(grid, x);
  if (isConstant(x)) {
    // In float32, as the file means it: exporters choose scales that put the largest weight on a half.
    const steps = t.fold(x, scale, (value, step) => roundHalfEven(Math.fround(value / step)));
    return t.fold(steps, zero, (step, offset) => Math.min(Math.max(step + offset, lo), hi), type);
  }
  if (grid.zeroPoint.some((offset) => offset < lo || offset > hi)) throw site.malformed("a zero point is out of range");
  // Both for the same channels, though one of them may be the same for all.
  const [scales, zeros] = [t.channels(scale, x.shape), t.channels(zero, x.shape)];
  const channels = Math.max(scales.length, zeros.length);
  const each = (values: Float64Array) =>
    values.length === channels ? values : new Float64Array(channels).fill(values[0]!);
  const id = t.draft.unary(x.id, { op: "grid", scale: each(scales), zeroPoint: Int32Array.from(each(zeros)), lo, hi });
  const result: Computed = { id: id as number, shape: x.shape, type, quantised: grid };
  return result;
}

/** Scale and zero point as the file gives them: one, or one for each index of the axis. */
function gridOf(site: Site, scaleAt: number, zeroAt: number, x: Operand, axis: number): Quantisation {
  const scale = site.constant(scaleAt, "a scale").values;
  const zero = site.has(zeroAt) ? site.constant(zeroAt, "a zero point").values : new Float64Array(scale.length);
  if (scale.some((value) => !(value > 0 && value < Infinity))) throw site.malformed("a scale is not positive");
  const many = Math.max(scale.length, zero.length);
  if (many === 1) return { scale, zeroPoint: zero, axis: 0 };
  const at = site.axis(axis, x.shape.length);
  if (
    many !== x.shape[at] ||
    (scale.length !== 1 && scale.length !== many) ||
    (zero.length !== 1 && zero.length !== many)
  ) {
    throw site.malformed(`${many} scales do not fit axis ${at} of ${dims(x.shape)}`);
  }
  const wide = (values: Float64Array) => (values.length === 1 ? new Float64Array(many).fill(values[0]!) : values);
  return { scale: wide(scale), zeroPoint: wide(zero), axis: at };
}

/** Both as constants that broadcast with `x`. */
function shaped({ scale, zeroPoint, axis }: Quantisation, x: Operand): [Constant, Constant] {
  const shape = scale.length === 1 ? [] : x.shape.map((_, i) => (i === axis ? scale.length : 1));
  return [
    { values: scale, shape, type: Type.FLOAT },
    { values: zeroPoint, shape, type: Type.FLOAT },
  ];
}

/** A bias of int32 in steps of the input's scale times the weights'. */
function realBias(site: Site, i: number, inputScale: number, weightScale: Constant): Constant | undefined {
  if (!site.has(i)) return undefined;
  const bias = site.constant(i, "the bias");
  const scale = site.number(inputScale, "the input's scale");
  const { values } = weightScale;
  const step = (k: number) => values[values.length === 1 ? 0 : k % values.length]!;
  return { ...bias, type: Type.FLOAT, values: bias.values.map((value, k) => value * (scale * step(k))) };
}

/** Integers less their zero point: one, or one for each index of an axis. */
function less(t: Lowering, x: Operand, zero: Operand | undefined, axis: number): Operand {
  const whole = { ...x, type: Type.INT32 };
  if (zero === undefined) return whole;
  if (sizeOf(zero.shape) === 1) return t.sub(whole, t.reshape(zero, []));
  const at = axis < 0 ? axis + x.shape.length : axis;
  if (zero.shape.length !== 1) return t.sub(whole, zero);
  return t.sub(
    whole,
    t.reshape(
      zero,
      x.shape.map((_, i) => (i === at ? zero.shape[0]! : 1)),
    ),
  );
}

/** Weights with a scale for each block along an axis. */
function dequantiseBlocks(site: Site, t: Lowering, named: number, block: number): Operand {
  const x = site.constant(0, "what has scales of blocks");
  const axis = site.axis(named, x.shape.length);
  const wide = (i: number): Operand => {
    const each = site.constant(i, "scales of blocks");
    const shape = each.shape.map((dim, a) => (a === axis ? Math.ceil(x.shape[a]! / block) : dim));
    if (block < 1 || each.shape.length !== x.shape.length || shape[axis] !== each.shape[axis]) {
      throw site.malformed(`scales ${dims(each.shape)} of blocks of ${block} do not fit ${dims(x.shape)}`);
    }
    const inner = sizeOf(x.shape.slice(axis + 1));
    const size = x.shape[axis]!;
    t.draft.spend("constants", x.values.length);
    const values = x.values.map((_, k) => {
      const at = Math.floor(k / inner) % size;
      const outer = Math.floor(k / inner / size);
      return each.values[(outer * shape[axis]! + Math.floor(at / block)) * inner + (k % inner)] ?? NaN;
    });
    if (values.some(Number.isNaN)) throw site.malformed("scales of blocks do not fit");
    return { values, shape: x.shape, type: Type.FLOAT };
  };
  const steps = site.has(2) ? t.sub({ ...x, type: Type.FLOAT }, wide(2)) : { ...x, type: Type.FLOAT };
  return t.mul(steps, wide(1));
}
