/** Operators that work place by place. @module */

import { sizeOf } from "../../graph.js";
import { atan, cos, erf, exp, expm1, log, log1p, pow, sigmoid, sin, tanh } from "../../mathematics.js";
import { roundHalfEven } from "../../run.js";
import { unsupported } from "../errors.js";
import type { Lowering } from "../lowering.js";
import type { Operator, Site } from "../site.js";
import { type Constant, FLOATS, INTEGERS, isConstant, type Operand, Type, typeName } from "../tensor.js";

type Scalar = (x: number) => number;

const softplus: Scalar = (x) => (x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)));
const gelu: Scalar = (x) => 0.5 * x * (1 + erf(x / Math.SQRT2));
/** √(2/π) */
const ROOT_2_BY_PI = 0.7978845608028654;
const geluTanh: Scalar = (x) => 0.5 * x * (1 + tanh(ROOT_2_BY_PI * (x + 0.044715 * x * x * x)));
const hardSwish: Scalar = (x) => (x * Math.min(Math.max(x + 3, 0), 6)) / 6;
const asinh: Scalar = (x) => (x < 0 ? -1 : 1) * log1p(Math.abs(x) + (x * x) / (1 + Math.sqrt(x * x + 1)));
const atanh: Scalar = (x) => 0.5 * log1p((2 * x) / (1 - x));
const asin: Scalar = (x) => (Math.abs(x) === 1 ? (x * Math.PI) / 2 : atan(x / Math.sqrt((1 - x) * (1 + x))));

/** The float nearest to the least finite float32 and below stands for no bound. */
const FLOAT_MAX = 3.4028234e38;

const functions: Record<string, (site: Site) => Scalar> = {
  LeakyRelu: (site) => {
    const alpha = site.float("alpha", 0.01);
    return (x) => (x < 0 ? alpha * x : x);
  },
  Elu: (site) => {
    const alpha = site.float("alpha", 1);
    return (x) => (x < 0 ? alpha * expm1(x) : x);
  },
  Selu: (site) => {
    const alpha = site.float("alpha", site.version < 6 ? 1.6732 : 1.6732631921768188);
    const gamma = site.float("gamma", site.version < 6 ? 1.0507 : 1.0507010221481323);
    return (x) => gamma * (x > 0 ? x : alpha * expm1(x));
  },
  Celu: (site) => {
    const alpha = site.float("alpha", 1);
    return (x) => (x > 0 ? x : alpha * expm1(x / alpha));
  },
  ThresholdedRelu: (site) => {
    const alpha = site.float("alpha", 1);
    return (x) => (x > alpha ? x : 0);
  },
  Shrink: (site) => {
    const bias = site.float("bias", 0);
    const lambda = site.float("lambd", 0.5);
    return (x) => (x < -lambda ? x + bias : x > lambda ? x - bias : 0);
  },
  Gelu: (site) => (site.choice("approximate", ["none", "tanh"], "none") === "tanh" ? geluTanh : gelu),
  QuickGelu: (site) => {
    const alpha = site.float("alpha", 1.702);
    return (x) => x * sigmoid(alpha * x);
  },
  Swish: (site) => {
    const alpha = site.float("alpha", 1);
    return (x) => x * sigmoid(alpha * x);
  },
  Softplus: () => softplus,
  Softsign: () => (x) => x / (1 + Math.abs(x)),
  Sigmoid: () => sigmoid,
  Tanh: () => tanh,
  HardSwish: () => hardSwish,
  Mish: () => (x) => x * tanh(softplus(x)),
  Erf: () => erf,
  Log: () => log,
  Sin: () => sin,
  Cos: () => cos,
  Tan: () => (x) => sin(x) / cos(x),
  Sinh: () => (x) => (Math.abs(x) < 1 ? 0.5 * (expm1(x) - expm1(-x)) : 0.5 * (exp(x) - exp(-x))),
  Cosh: () => (x) => 0.5 * (exp(x) + exp(-x)),
  Asin: () => asin,
  Acos: () => (x) => Math.PI / 2 - asin(x),
  Atan: () => atan,
  Asinh: () => asinh,
  Acosh: () => (x) => log(x + Math.sqrt(x * x - 1)),
  Atanh: () => atanh,
  Abs: () => Math.abs,
  Sign: () => (x) => (x > 0 ? 1 : x < 0 ? -1 : 0),
  Floor: () => Math.floor,
  Ceil: () => Math.ceil,
  Round: () => roundHalfEven,
};

export const elementwise: Record<string, Operator> = {
  ...Object.fromEntries(
    Object.entries(functions).map(([op, make]): [string, Operator] => [
      op,
      (site, t) => t.map(site.input(0), make(site)),
    ]),
  ),
  Relu: (site, t) => t.clip(site.input(0), 0, Infinity),
  Clip: (site, t) => {
    const bound = (name: "min" | "max", i: number, none: number): number => {
      const value = site.version < 11 ? site.float(name, none) : site.has(i) ? site.number(i, name) : none;
      return Math.abs(value) >= FLOAT_MAX && value < 0 === none < 0 ? none : value;
    };
    return t.clip(site.input(0), bound("min", 1, -Infinity), bound("max", 2, Infinity));
  },
  HardSigmoid: (site, t) => t.clip(t.scaled(site.input(0), site.float("alpha", 0.2), site.float("beta", 0.5)), 0, 1),
  PRelu: (site, t) => {
    const x = site.input(0);
    const slope = site.version < 7 ? perChannel(site.input(1), x) : site.input(1);
    if (isConstant(slope) && slope.values.every((value) => value === slope.values[0])) {
      const alpha = slope.values[0]!;
      return t.map(x, (value) => (value < 0 ? alpha * value : value));
    }
    return t.add(t.clip(x, 0, Infinity), t.mul(t.clip(x, -Infinity, 0), slope));
  },
  Neg: (site, t) => t.scaled(site.input(0), -1),
  Exp: (site, t) => t.exp(site.input(0)),
  Sqrt: (site, t) => t.sqrt(site.input(0)),
  Reciprocal: (site, t) => t.reciprocal(site.input(0)),
  Not: (site, t) => t.map(site.input(0), (x) => (x === 0 ? 1 : 0)),
  IsNaN: (site, t) => t.map(site.input(0), (x) => (Number.isNaN(x) ? 1 : 0), Type.BOOL),
  IsInf: (site, t) => {
    const negative = site.flag("detect_negative", true);
    const positive = site.flag("detect_positive", true);
    return t.map(
      site.input(0),
      (x) => ((x === Infinity && positive) || (x === -Infinity && negative) ? 1 : 0),
      Type.BOOL,
    );
  },
  BiasGelu: (site, t) => t.map(t.add(site.input(0), site.input(1)), gelu),
  FastGelu: (site, t) => t.map(site.has(1) ? t.add(site.input(0), site.input(1)) : site.input(0), geluTanh),

  Add: (site, t) => arithmetic(site, t.add(...pair(site, t))),
  Sub: (site, t) => arithmetic(site, t.sub(...pair(site, t))),
  Mul: (site, t) => arithmetic(site, t.mul(...pair(site, t))),
  Div: (site, t) => {
    const [a, b] = pair(site, t);
    if (!INTEGERS.has(a.type)) return t.div(a, b);
    if (!isConstant(a) || !isConstant(b)) throw site.unsupported("divides integers; cast them to float first");
    if (b.values.includes(0)) throw site.malformed("divides by zero");
    return t.fold(a, b, (x, y) => Math.trunc(x / y));
  },
  Mod: (site, t) => {
    const floats = site.flag("fmod", false);
    return t.pointwise(
      [site.input(0), site.input(1)],
      (x, y) => (floats ? x % y : x - y * Math.floor(x / y)),
      "takes the rest of a division of computed values",
      site.input(0).type,
    );
  },
  Pow: (site, t) => {
    const [base, exponent] = pair(site, t);
    if (isConstant(base) && isConstant(exponent)) {
      const integers = INTEGERS.has(base.type);
      return t.fold(base, exponent, (x, y) => (integers ? roundHalfEven(pow(x, y)) : pow(x, y)));
    }
    if (isConstant(exponent) && exponent.values.length > 0) {
      const y = exponent.values[0]!;
      if (!exponent.values.every((value) => value === y)) {
        throw site.unsupported("has several exponents; split it into one Pow for each");
      }
      const x = t.expand(base, t.broadcast(base.shape, exponent.shape));
      if (y === 1) return x;
      if (y === 2) return t.square(x);
      if (y === 0.5) return t.sqrt(x);
      if (y === -1) return t.reciprocal(x);
      if (y === -0.5) return t.inverseRoot(x);
      return t.map(x, (value) => pow(value, y));
    }
    return t.pointwise([base, exponent], pow, "raises to a computed power", base.type);
  },
  Sum: variadic((t, a, b) => t.add(a, b)),
  Max: variadic((t, a, b) => t.maximum(a, b)),
  Min: variadic((t, a, b) => t.minimum(a, b)),
  Mean: (site, t) => t.scaled(variadic((l, a, b) => l.add(a, b))(site, t) as Operand, 1 / site.count),

  Equal: comparison((difference) => difference === 0),
  Greater: comparison((difference) => difference > 0),
  GreaterOrEqual: comparison((difference) => difference >= 0),
  Less: comparison((difference) => difference < 0),
  LessOrEqual: comparison((difference) => difference <= 0),
  And: (site, t) => t.mul(...pair(site, t)),
  Or: (site, t) => t.map(t.add(...pair(site, t)), (sum) => (sum > 0 ? 1 : 0)),
  Xor: comparison((difference) => difference !== 0),
  Where: (site, t) => {
    const [condition, a, b] = [site.input(0), site.input(1), site.input(2)];
    if (isConstant(condition)) return select(t, condition, a, b);
    // As numbers, 0 and 1: what comes out is of the type of what is chosen from.
    return t.add(b, t.mul({ ...condition, type: a.type }, t.sub(a, b)));
  },

  Cast: (site, t) => {
    site.ignore("saturate", "round_mode");
    return cast(t, site.input(0), site.int("to", Type.UNDEFINED));
  },
  CastLike: (site, t) => {
    site.ignore("saturate", "round_mode");
    return cast(t, site.input(0), site.raw(1).type);
  },
};

function variadic(join: (t: Lowering, a: Operand, b: Operand) => Operand): Operator {
  return (site, t) => {
    let result = site.input(0);
    for (let i = 1; i < site.count; i++) result = join(t, result, site.input(i));
    return site.op === "Sum" || site.op === "Mean" ? arithmetic(site, result) : result;
  };
}

/** Of constants or computed values: by their difference, which rounding leaves on its side of 0. */
function comparison(holds: (difference: number) => boolean): Operator {
  return (site, t) => {
    const [a, b] = pair(site, t);
    const compare = (difference: number) => (holds(difference) ? 1 : 0);
    if (isConstant(a) && isConstant(b)) return t.fold(a, b, (x, y) => compare(x === y ? 0 : x - y), Type.BOOL);
    return t.map(t.sub(a, b), compare, Type.BOOL);
  };
}

/** Small integers wrap around in the file's meaning; sums here do not. */
function arithmetic(site: Site, result: Operand): Operand {
  if (isConstant(result) || FLOATS.has(result.type)) return result;
  if (result.type === Type.INT32 || result.type === Type.INT64) return result;
  throw site.unsupported(`computes with ${typeName(result.type)}, which wraps around; cast to float first`);
}

/** Before operator set 7 a vector of slopes was one for each channel. */
function perChannel(slope: Operand, x: Operand): Operand {
  if (slope.shape.length !== 1 || slope.shape[0] === 1) return slope;
  return { ...slope, shape: [slope.shape[0]!, ...new Array<number>(Math.max(0, x.shape.length - 2)).fill(1)] };
}

/** Both operands of an operator of two; before operator set 7 the second could be aligned with an axis of the first. */
function pair(site: Site, t: Lowering): [Operand, Operand] {
  const [a, b] = [site.input(0), site.input(1)];
  if (site.version >= 7 || !site.flag("broadcast", false)) return [a, b];
  if (b.shape.length === 0) {
    site.ignore("axis");
    return [a, b];
  }
  const axis = site.axis(site.int("axis", a.shape.length - b.shape.length), a.shape.length);
  const behind = a.shape.length - axis - b.shape.length;
  if (behind < 0) throw site.malformed("its second input reaches beyond the first");
  return [a, t.reshape(b, [...b.shape, ...new Array<number>(behind).fill(1)])];
}

function select(t: Lowering, condition: Constant, a: Operand, b: Operand): Operand {
  const shape = t.broadcast(t.broadcast(condition.shape, a.shape), b.shape);
  const [x, y] = [t.expand(a, shape), t.expand(b, shape)];
  const wide = t.expand(condition, shape) as Constant;
  const length = sizeOf(shape);
  t.draft.spend("indices", length);
  const index = Int32Array.from({ length }, (_, i) => (wide.values[i] !== 0 ? i : length + i));
  return t.of(t.draft.arrange([t.flat(x), t.flat(y)], index), shape, a.type);
}

export function cast(t: Lowering, operand: Operand, to: Type): Operand {
  const { type } = operand;
  if (type === to) return operand;
  if (to === Type.BOOL) return t.map(operand, (x) => (x !== 0 ? 1 : 0), to);
  if (FLOATS.has(to)) return { ...operand, type: to };
  const range = INTEGERS.get(to);
  if (range === undefined) throw unsupported(`${t.where}: cannot cast to ${typeName(to)}`);
  const from = INTEGERS.get(type) ?? (type === Type.BOOL ? [0, 1] : undefined);
  if (from !== undefined && from[0]! >= range[0] && from[1]! <= range[1]) return { ...operand, type: to };
  if (isConstant(operand)) {
    if (operand.values.some((x) => !(Math.trunc(x) >= range[0] && Math.trunc(x) <= range[1]))) {
      throw unsupported(`${t.where}: a constant does not fit ${typeName(to)}`);
    }
    return t.map(operand, Math.trunc, to);
  }
  if (from !== undefined && to !== Type.INT32 && to !== Type.INT64) {
    throw unsupported(`${t.where}: casts computed values to ${typeName(to)}, which wraps around`);
  }
  if (from !== undefined) return { ...operand, type: to };
  if (to !== Type.INT32 && to !== Type.INT64) {
    throw unsupported(`${t.where}: casts computed floats to ${typeName(to)}; quantise with QuantizeLinear`);
  }
  return t.map(operand, Math.trunc, to);
}
