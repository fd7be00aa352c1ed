/** Reductions along axes, arg-max, normalisations and softmax. @module */

import { sizeOf } from "../../graph.js";
import { exp, log } from "../../mathematics.js";
import { dims, unsupported } from "../errors.js";
import { range } from "../layout.js";
import type { Lowering } from "../lowering.js";
import type { Operator, Site } from "../site.js";
import { isConstant, type Operand, Type } from "../tensor.js";

/** Operator set from which each reduction takes its axes as an input. */
const AXES_AS_INPUT: Record<string, number> = { ReduceSum: 13 };

function reduction(reduce: (t: Lowering, x: Operand, axes: readonly number[], keep: boolean) => Operand): Operator {
  return (site, t) => {
    const x = site.input(0);
    const keep = site.flag("keepdims", true);
    const noop = site.flag("noop_with_empty_axes", false);
    const asInput = site.version >= (AXES_AS_INPUT[site.op] ?? 18);
    const named = (asInput ? (site.has(1) ? site.integers(1, "the axes") : undefined) : site.ints("axes")) ?? [];
    if (named.length === 0 && noop) return x;
    const axes = named.length === 0 ? range(x.shape.length) : site.axes(named, x.shape.length);
    if (sizeOf(x.shape) === 0) throw site.malformed("reduces nothing");
    return reduce(t, x, axes, keep);
  };
}

export const reductions: Record<string, Operator> = {
  ReduceSum: reduction((t, x, axes, keep) => t.reduceSum(x, axes, keep)),
  ReduceMean: reduction((t, x, axes, keep) => t.reduceMean(x, axes, keep)),
  ReduceMax: reduction((t, x, axes, keep) => t.reduceMax(x, axes, keep)),
  ReduceMin: reduction((t, x, axes, keep) => t.scaled(t.reduceMax(t.scaled(x, -1), axes, keep), -1)),
  ReduceL1: reduction((t, x, axes, keep) => t.reduceSum(t.map(x, Math.abs), axes, keep)),
  ReduceL2: reduction((t, x, axes, keep) => t.sqrt(t.reduceSum(t.square(x), axes, keep))),
  ReduceSumSquare: reduction((t, x, axes, keep) => t.reduceSum(t.square(x), axes, keep)),
  ReduceLogSum: reduction((t, x, axes, keep) => t.map(t.reduceSum(x, axes, keep), log)),
  ReduceLogSumExp: reduction((t, x, axes, keep) => {
    const most = t.reduceMax(x, axes, true);
    const sum = t.map(t.sum(t.map(t.sub(x, most), exp), axes, true, 1), log);
    const whole = t.add(sum, most);
    return t.reshape(whole, t.reducedShape(x.shape, axes, keep));
  }),
  ReduceProd: reduction((t, x, axes, keep) => {
    const { value, width } = t.runs(x, axes);
    if (!isConstant(value)) throw unsupported(`${t.where}: multiplies computed values along an axis`);
    const values = new Float64Array(value.shape[0]!).fill(1);
    value.values.forEach((each, i) => {
      values[Math.floor(i / width)]! *= each;
    });
    return { values, shape: t.reducedShape(x.shape, axes, keep), type: x.type };
  }),
  ArgMax: (site, t) => argMax(site, t, site.input(0)),
  ArgMin: (site, t) => argMax(site, t, t.scaled(site.input(0), -1)),
  Hardmax: (site, t) => {
    const x = site.input(0);
    const { value, width, order } = t.runs(x, softmaxAxes(site, x));
    if (width === 1) return t.scaled(x, 0, 1);
    t.draft.spend("constants", width * width);
    const entries = new Float64Array(width * width);
    for (let i = 0; i < width; i++) entries[i * width + i] = 1;
    const largest = t.draft.unary(t.flat(value), { op: "argMax", width });
    const flat = t.draft.unary(largest, { op: "lookup", rows: width, width, entries });
    return t.fromRuns(t.of(flat, value.shape, x.type), x.shape, order);
  },
  CumSum: (site, t) => {
    const x = site.input(0);
    const axis = site.axis(site.number(1, "the axis"), x.shape.length);
    const exclusive = site.flag("exclusive", false);
    const reverse = site.flag("reverse", false);
    const size = x.shape[axis]!;
    t.draft.spend("constants", size * size);
    const weights = Float64Array.from({ length: size * size }, (_, k) => {
      const [o, i] = [Math.floor(k / size), k % size];
      return (reverse ? i > o : i < o) || (i === o && !exclusive) ? 1 : 0;
    });
    return t.along(x, axis, size, weights);
  },
  Softmax: (site, t) => {
    const x = site.input(0);
    return t.softmax(x, softmaxAxes(site, x));
  },
  LogSoftmax: (site, t) => {
    const x = site.input(0);
    return t.logSoftmax(x, softmaxAxes(site, x));
  },
  BatchNormalization: (site, t) => {
    const x = site.input(0);
    site.ignore("momentum");
    if (site.version < 7 && !site.flag("is_test", false)) {
      throw site.unsupported("is in training mode; export the model for inference");
    }
    if (!site.flag("spatial", true)) throw site.unsupported("spatial = 0 is not supported");
    if (site.flag("training_mode", false)) {
      throw site.unsupported("is in training mode; export the model for inference");
    }
    const epsilon = site.float("epsilon", 1e-5);
    const [gain, bias, mean, variance] = [1, 2, 3, 4].map((i) => site.constant(i, "its parameters"));
    const channels = x.shape[1] ?? 1;
    if ([gain, bias, mean, variance].some((each) => each!.values.length !== channels)) {
      throw site.malformed(`its parameters do not fit ${channels} channels`);
    }
    const shape = [channels, ...x.shape.slice(2).map(() => 1)];
    const scale = gain!.values.map((value, c) => value / Math.sqrt(variance!.values[c]! + epsilon));
    const shift = bias!.values.map((value, c) => value - mean!.values[c]! * scale[c]!);
    const type = x.type;
    const whole = t.affine(x, { values: scale, shape, type }, { values: shift, shape, type });
    return [whole, undefined, undefined, undefined, undefined];
  },
  InstanceNormalization: (site, t) => {
    const x = site.input(0);
    const axes = range(x.shape.length).slice(2);
    const whole = t.normalise(x, axes, site.float("epsilon", 1e-5), true);
    return perChannel(site, t, whole, site.input(1), site.input(2));
  },
  GroupNormalization: (site, t) => {
    const x = site.input(0);
    site.ignore("stash_type");
    const groups = site.int("num_groups", 1);
    const [n = 1, channels = 1, ...rest] = x.shape;
    if (groups < 1 || channels % groups !== 0) throw site.malformed(`${groups} groups do not fit ${channels} channels`);
    const apart = t.reshape(x, [n, groups, sizeOf(x.shape) / n / groups]);
    const whole = t.normalise(apart, [2], site.float("epsilon", 1e-5), true);
    if (sizeOf(site.input(1).shape) !== channels) {
      // Before operator set 21 the parameters were those of groups.
      const scaled = perChannel(site, t, whole, site.input(1), site.input(2));
      return t.reshape(scaled, x.shape);
    }
    return perChannel(site, t, t.reshape(whole, [n, channels, ...rest]), site.input(1), site.input(2));
  },
  LayerNormalization: (site, t) => {
    const x = site.input(0);
    site.ignore("stash_type");
    const axes = range(x.shape.length).slice(site.axis(site.int("axis", -1), x.shape.length));
    const whole = t.normalise(x, axes, site.float("epsilon", 1e-5), true);
    const scaled = t.mul(whole, site.input(1));
    return [site.has(2) ? t.add(scaled, site.input(2)) : scaled, undefined, undefined];
  },
  RMSNormalization: rmsNormalisation,
  SimplifiedLayerNormalization: rmsNormalisation,
  MeanVarianceNormalization: (site, t) => {
    const x = site.input(0);
    return t.normalise(x, site.axes(site.ints("axes") ?? [0, 2, 3], x.shape.length), 1e-9, true);
  },
};

function rmsNormalisation(site: Site, t: Lowering): (Operand | undefined)[] {
  const x = site.input(0);
  site.ignore("stash_type");
  const axes = range(x.shape.length).slice(site.axis(site.int("axis", -1), x.shape.length));
  return [t.mul(t.normalise(x, axes, site.float("epsilon", 1e-5), false), site.input(1)), undefined];
}

function perChannel(site: Site, t: Lowering, x: Operand, gain: Operand, bias: Operand): Operand {
  const channels = x.shape[1] ?? 1;
  if (sizeOf(gain.shape) !== channels || sizeOf(bias.shape) !== channels) {
    throw site.malformed(`parameters ${dims(gain.shape)} do not fit ${channels} channels`);
  }
  const shape = [channels, ...x.shape.slice(2).map(() => 1)];
  return t.add(t.mul(x, t.reshape(gain, shape)), t.reshape(bias, shape));
}

/** Before operator set 13 softmax ran over all dimensions from its axis on. */
function softmaxAxes(site: Site, x: Operand): number[] {
  return softmaxOver(site, x, site.version, site.int("axis", site.version >= 13 ? -1 : 1));
}

export function softmaxOver(site: Site, x: Operand, version: number, axis: number): number[] {
  const rank = x.shape.length;
  const first = site.axis(axis, rank);
  return version >= 13 ? [first] : range(rank).slice(first);
}

function argMax(site: Site, t: Lowering, operand: Operand): Operand {
  const axis = site.axis(site.int("axis", 0), operand.shape.length);
  const keep = site.flag("keepdims", true);
  if (site.flag("select_last_index", false)) {
    throw site.unsupported("select_last_index is not supported; ties go to the lowest index");
  }
  const x = t.ranked(operand, axis);
  const { value, width } = t.runs(x, [axis]);
  const shape = t.reducedShape(x.shape, [axis], keep);
  if (width === 1) return t.of(t.flat(t.scaled(value, 0)), shape, Type.INT64);
  return t.of(t.draft.unary(t.flat(value), { op: "argMax", width }), shape, Type.INT64);
}
