/**
 * Operations on tensors, written as nodes of the draft: where shapes, axes and broadcasting end.
 *
 * Some operators of a file are spelled out by exporters in many small ones. While values are made, the lowering keeps
 * in mind what they are ("the mean of x", "x less its mean", "e^x"), and so knows a LayerNorm, RMSNorm or softmax by
 * its last division, whichever way it was spelled.
 *
 * @module
 */

import { sizeOf } from "../graph.js";
import { exp, log } from "../mathematics.js";
import type { Draft, Flat } from "./draft.js";
import { dims, malformed, unsupported } from "./errors.js";
import { broadcast, broadcastStrides, permuted, range, type Shape, sameShape, stridesOf, viewIndex } from "./layout.js";
import { type Computed, type Constant, FLOATS, isConstant, type Operand, type Quantisation, Type } from "./tensor.js";

type Fact =
  | { readonly kind: "square" | "exp"; readonly of: Computed }
  /** With the reduced axes as dimensions of 1, or left out. */
  | { readonly kind: "mean" | "max" | "sum"; readonly of: Computed; readonly axes: readonly number[] }
  /** Softmax along the axes, or its logarithm. */
  | { readonly kind: "scores"; readonly of: Computed; readonly axes: readonly number[] }
  /** Less its mean, less its greatest value. */
  | { readonly kind: "centred" | "shifted"; readonly of: Computed; readonly axes: readonly number[] }
  /** Times constants, of the same shape. */
  | { readonly kind: "scaled"; readonly of: Computed; readonly by: Constant }
  | ({ readonly kind: "power" } & Power);

/** `count` times the mean square of `of` (of it less its mean where centred) plus epsilon; its root; the inverse of that. */
interface Power {
  readonly of: Computed;
  readonly axes: readonly number[];
  readonly centred: boolean;
  readonly epsilon: number;
  /** 1 for a mean, the number of terms for a sum. */
  readonly count: number;
  readonly form: "square" | "root" | "inverse";
  /** Expanded to the shape of `of` since. */
  readonly wide?: boolean;
}

/**
 * A least norm up to this only keeps a division by 0 away: `x / max(|x|, ε)` and `x / (|x| + ε)` are then taken for
 * `x / √(|x|² + ε²)`, which differs where the norm is about ε, far below what any integer of the model stands for.
 */
const LEAST_NORM = 1e-5;

/** Scores this low are out of an attention's sight: `exp` of them is 0 beside any other. */
const MASKED = -1e4;

export class Lowering {
  readonly draft: Draft;
  readonly #facts = new Map<number, Fact>();

  constructor(draft: Draft) {
    this.draft = draft;
  }

  /** `node "name" (Op)` of the node that is being read. */
  get where(): string {
    return `node ${this.draft.at}`;
  }

  of(flat: Flat, shape: Shape, type: Type, quantised?: Quantisation): Operand {
    if (typeof flat !== "number") return { values: flat, shape, type };
    return quantised === undefined ? { id: flat, shape, type } : { id: flat, shape, type, quantised };
  }

  flat(operand: Operand): Flat {
    return isConstant(operand) ? operand.values : operand.id;
  }

  scalar(value: number, type: Type = Type.FLOAT): Constant {
    return { values: Float64Array.of(value), shape: [], type };
  }

  /** The file's own integers of a value on a grid. */
  plain(operand: Operand): Operand {
    if (isConstant(operand) || operand.quantised === undefined) return operand;
    const { scale, zeroPoint, axis } = operand.quantised;
    const shape = operand.shape.map((_, i) => (scale.length > 1 && i === axis ? scale.length : 1));
    const real: Computed = { id: operand.id, shape: operand.shape, type: operand.type };
    return this.affine(
      real,
      { values: scale.map((s) => 1 / s), shape: scale.length > 1 ? shape : [], type: Type.FLOAT },
      { values: zeroPoint, shape: zeroPoint.length > 1 ? shape : [], type: Type.FLOAT },
    );
  }

  // Movement

  reshape(operand: Operand, shape: Shape): Operand {
    if (sizeOf(shape) !== sizeOf(operand.shape)) {
      throw malformed(`${this.where}: cannot reshape ${dims(operand.shape)} to ${dims(shape)}`);
    }
    const moved = this.#movable(operand);
    return isConstant(moved) ? { ...moved, shape } : this.of(moved.id, shape, moved.type, moved.quantised);
  }

  /** `index` of one value, negative for constants. */
  pick(operand: Operand, index: Int32Array, shape: Shape, constants: readonly number[] = []): Operand {
    const moved = constants.length > 0 ? this.plain(operand) : this.#movable(operand);
    const flat = this.draft.arrange([this.flat(moved)], index, constants);
    return this.of(flat, shape, moved.type, isConstant(moved) ? undefined : moved.quantised);
  }

  view(operand: Operand, shape: Shape, strides: Shape, offset = 0): Operand {
    this.draft.spend("indices", sizeOf(shape));
    return this.pick(operand, viewIndex(shape, strides, offset), shape);
  }

  transpose(operand: Operand, order: readonly number[]): Operand {
    if (order.every((axis, i) => axis === i)) return operand;
    return this.view(operand, permuted(operand.shape, order), permuted(stridesOf(operand.shape), order));
  }

  expand(operand: Operand, shape: Shape): Operand {
    if (sizeOf(shape) === sizeOf(operand.shape)) return this.reshape(operand, shape);
    const result = this.view(operand, shape, broadcastStrides(operand.shape, shape));
    const power = this.#power(operand);
    if (power !== undefined && sameShape(shape, power.of.shape) && this.#spread(operand, power)) {
      this.#know(result, { kind: "power", ...power, wide: true });
    }
    return result;
  }

  concat(operands: readonly Operand[], axis: number): Operand {
    const first = operands[0]!;
    const shape = [...first.shape];
    shape[axis] = operands.reduce((sum, each) => sum + each.shape[axis]!, 0);
    const outer = sizeOf(shape.slice(0, axis));
    const runs = operands.map((each) => sizeOf(each.shape.slice(axis)));
    const quantised = operands.map((each) => (isConstant(each) ? undefined : each.quantised));
    const same = quantised.every((each) => each !== undefined && sameQuantisation(each, quantised[0]!));
    const parts = same ? operands : operands.map((each) => this.plain(each));
    this.draft.spend("indices", sizeOf(shape));
    const index = new Int32Array(sizeOf(shape));
    let to = 0;
    for (let o = 0; o < outer; o++) {
      let start = 0;
      runs.forEach((run) => {
        for (let i = 0; i < run; i++) index[to++] = start + o * run + i;
        start += outer * run;
      });
    }
    const flat = this.draft.arrange(
      parts.map((each) => this.flat(each)),
      index,
    );
    return this.of(flat, shape, first.type, same ? quantised[0] : undefined);
  }

  /** Values on a grid of one scale keep it through any movement; those of several do not. */
  #movable(operand: Operand): Operand {
    if (isConstant(operand) || operand.quantised === undefined || operand.quantised.scale.length === 1) return operand;
    return this.plain(operand);
  }

  /** The named axes last, flattened: runs of `width` values. {@link fromRuns} turns it back. */
  runs(operand: Operand, axes: readonly number[]): { value: Operand; width: number; order: number[] } {
    const rest = range(operand.shape.length).filter((axis) => !axes.includes(axis));
    const order = [...rest, ...axes];
    const width = sizeOf(permuted(operand.shape, axes));
    const moved = this.transpose(operand, order);
    return { value: this.reshape(moved, [sizeOf(moved.shape) / width, width]), width, order };
  }

  fromRuns(value: Operand, shape: Shape, order: readonly number[]): Operand {
    const back = range(order.length).map((axis) => order.indexOf(axis));
    return this.transpose(this.reshape(value, permuted(shape, order)), back);
  }

  /** Shape with the axes reduced to 1, or dropped. */
  reducedShape(shape: Shape, axes: readonly number[], keep: boolean): number[] {
    return keep ? shape.map((dim, i) => (axes.includes(i) ? 1 : dim)) : shape.filter((_, i) => !axes.includes(i));
  }

  // Functions of one number

  map(operand: Operand, apply: (x: number) => number, type: Type = operand.type): Operand {
    return this.of(this.draft.map(this.flat(operand), apply), operand.shape, type);
  }

  clip(operand: Operand, min: number, max: number): Operand {
    if (min === -Infinity && max === Infinity) return operand;
    const result = this.of(this.draft.unary(this.flat(operand), { op: "clip", min, max }), operand.shape, operand.type);
    if (max === Infinity) this.#knowLeast(result, operand, min);
    return result;
  }

  /** `scale · x + bias`, both constants that broadcast with x. */
  affine(operand: Operand, scale: Constant, bias: Constant): Operand {
    let shape = this.broadcast(operand.shape, scale.shape);
    shape = this.broadcast(shape, bias.shape);
    const whole = this.expand(operand, shape);
    const flat = this.draft.affine(this.flat(whole), this.channels(scale, shape), this.channels(bias, shape));
    return this.of(flat, shape, operand.type);
  }

  scaled(operand: Operand, factor: number, offset = 0): Operand {
    return this.affine(operand, this.scalar(factor), this.scalar(offset));
  }

  /** A constant that broadcasts to `shape`, as one entry for each of the fewest runs of equal lanes. */
  channels(constant: Constant, shape: Shape): Float64Array {
    const { values } = constant;
    if (values.every((value) => value === values[0])) return values.subarray(0, 1);
    let axes = shape.length;
    while (axes > 0 && (constant.shape[constant.shape.length - 1 - (shape.length - axes)] ?? 1) === 1) axes--;
    const upper = shape.slice(0, axes);
    const own = constant.shape.slice(0, Math.max(0, constant.shape.length - (shape.length - axes)));
    this.draft.spend("constants", sizeOf(upper));
    const index = viewIndex(upper, broadcastStrides(own, upper));
    return Float64Array.from(index, (from) => values[from]!);
  }

  broadcast(a: Shape, b: Shape): number[] {
    const shape = broadcast(a, b);
    if (shape === undefined) throw malformed(`${this.where}: ${dims(a)} and ${dims(b)} do not broadcast`);
    return shape;
  }

  // Functions of two

  add(a: Operand, b: Operand): Operand {
    if (isConstant(a) && isConstant(b)) return this.fold(a, b, (x, y) => x + y);
    if (isConstant(a)) return this.add(b, a);
    if (isConstant(b)) {
      const sum = this.affine(a, this.scalar(1), b);
      const power = this.#power(a);
      if (b.values.length === 1) {
        if (power?.form === "square") {
          this.#know(sum, { kind: "power", ...power, epsilon: power.epsilon + b.values[0]! / power.count });
        } else this.#knowLeast(sum, a, b.values[0]!);
      }
      return sum;
    }
    const [x, y, shape] = this.#together(a, b);
    return this.of(this.draft.add(x.id, y.id), shape, a.type);
  }

  sub(a: Operand, b: Operand): Operand {
    if (isConstant(a) && isConstant(b)) return this.fold(a, b, (x, y) => x - y);
    if (isConstant(b)) return this.add(a, { ...b, values: b.values.map((value) => -value) });
    if (isConstant(a)) return this.affine(b, this.scalar(-1), a);
    const difference = this.add(a, this.scaled(b, -1));
    const fact = this.#fact(b);
    if ((fact?.kind === "mean" || fact?.kind === "max") && this.#same(fact.of, a) && this.#spread(b, fact)) {
      const kind = fact.kind === "mean" ? "centred" : "shifted";
      this.#know(difference, { kind, of: fact.of, axes: fact.axes });
    }
    // E[x²] - E[x]²
    const power = this.#power(a);
    const mean = fact?.kind === "square" ? this.#fact(fact.of) : undefined;
    if (
      power?.form === "square" &&
      !power.centred &&
      power.epsilon === 0 &&
      power.count === 1 &&
      mean?.kind === "mean" &&
      sameShape(a.shape, b.shape) &&
      this.#same(power.of, mean.of) &&
      String(power.axes) === String(mean.axes)
    ) {
      this.#know(difference, { kind: "power", ...power, centred: true });
    }
    return difference;
  }

  mul(a: Operand, b: Operand): Operand {
    if (isConstant(a) && isConstant(b)) return this.fold(a, b, (x, y) => x * y);
    if (isConstant(a)) return this.mul(b, a);
    if (isConstant(b)) {
      const result = this.affine(a, b, this.scalar(0));
      this.#knowScaled(result, a, b);
      return result;
    }
    const normalised = this.#normalised(a, b, "inverse") ?? this.#normalised(b, a, "inverse");
    if (normalised !== undefined) return normalised;
    const [x, y, shape] = this.#together(a, b);
    const result = this.of(this.draft.mul(x.id, y.id), shape, a.type);
    if (this.#same(a, b)) this.#know(result, { kind: "square", of: a });
    return result;
  }

  div(a: Operand, b: Operand): Operand {
    if (isConstant(a) && isConstant(b)) return this.fold(a, b, (x, y) => x / y);
    if (isConstant(b)) {
      return this.mul(a, { ...b, type: Type.FLOAT, values: b.values.map((value) => 1 / value) });
    }
    if (isConstant(a)) return this.mul(this.reciprocal(b), a);
    const normalised = this.#normalised(a, b, "root") ?? this.#softmax(a, b);
    if (normalised !== undefined) return normalised;
    return this.pointwise([a, b], (x, y) => x / y, "divides one computed value by another");
  }

  reciprocal(a: Operand): Operand {
    const result = this.map(a, (x) => 1 / x);
    const power = this.#power(a);
    if (power?.form === "root") this.#know(result, { kind: "power", ...power, form: "inverse" });
    return result;
  }

  sqrt(a: Operand): Operand {
    const result = this.map(a, Math.sqrt);
    const power = this.#power(a);
    if (power?.form === "square") this.#know(result, { kind: "power", ...power, form: "root" });
    return result;
  }

  /** `1 / √x` in one step. */
  inverseRoot(a: Operand): Operand {
    return this.reciprocal(this.sqrt(a));
  }

  square(a: Operand): Operand {
    const result = this.map(a, (x) => x * x);
    if (!isConstant(a)) this.#know(result, { kind: "square", of: a });
    return result;
  }

  exp(a: Operand): Operand {
    const result = this.map(a, exp);
    if (!isConstant(a)) this.#know(result, { kind: "exp", of: a });
    return result;
  }

  maximum(a: Operand, b: Operand): Operand {
    if (isConstant(a) && isConstant(b)) return this.fold(a, b, Math.max);
    if (isConstant(a)) return this.maximum(b, a);
    if (isConstant(b)) {
      const shape = this.broadcast(a.shape, b.shape);
      const least = b.values[0]!;
      if (b.values.every((value) => value === least)) return this.clip(this.expand(a, shape), least, Infinity);
      return this.add(this.clip(this.sub(a, b), 0, Infinity), b);
    }
    const [x, y, shape] = this.#together(a, b);
    const length = sizeOf(shape);
    this.draft.spend("indices", 2 * length);
    const index = Int32Array.from({ length: 2 * length }, (_, k) => (k % 2 === 0 ? k / 2 : length + (k - 1) / 2));
    return this.of(this.max(this.draft.arrange([x.id, y.id], index), 2), shape, a.type);
  }

  minimum(a: Operand, b: Operand): Operand {
    if (isConstant(a) && isConstant(b)) return this.fold(a, b, Math.min);
    if (isConstant(a)) return this.minimum(b, a);
    const most = isConstant(b) ? b.values[0]! : NaN;
    if (isConstant(b) && b.values.every((value) => value === most)) {
      return this.clip(this.expand(a, this.broadcast(a.shape, b.shape)), -Infinity, most);
    }
    return this.scaled(this.maximum(this.scaled(a, -1), this.scaled(b, -1)), -1);
  }

  /** Any function of values at one place; legal where they come from one value, which `finish` finds out. */
  pointwise(
    operands: readonly Operand[],
    apply: (...values: number[]) => number,
    problem: string,
    type?: Type,
  ): Operand {
    const shape = operands.reduce<number[]>((all, each) => this.broadcast(all, each.shape), []);
    const result = type ?? operands.at(-1)!.type;
    if (operands.every(isConstant)) {
      this.draft.spend("constants", sizeOf(shape));
      const wide = operands.map((each) => this.#values(each, shape));
      const values = Float64Array.from({ length: sizeOf(shape) }, (_, i) => apply(...wide.map((each) => each[i]!)));
      return { values, shape, type: result };
    }
    const inputs: number[] = [];
    const slots = operands.map((each) => {
      if (!isConstant(each)) return { slot: inputs.push(this.flat(this.expand(each, shape)) as number) - 1, value: 0 };
      const value = each.values[0]!;
      if (!each.values.every((other) => other === value)) {
        throw unsupported(`${this.where}: ${problem}, with a constant that is not the same everywhere`);
      }
      return { slot: -1, value };
    });
    const whole = (...values: number[]) => apply(...slots.map(({ slot, value }) => (slot < 0 ? value : values[slot]!)));
    return this.of(this.draft.pointwise(inputs, whole, problem), shape, result);
  }

  /** Constants only. */
  fold(a: Constant, b: Constant, apply: (x: number, y: number) => number, type: Type = a.type): Constant {
    const shape = this.broadcast(a.shape, b.shape);
    this.draft.spend("constants", sizeOf(shape));
    const x = this.#values(a, shape);
    const y = this.#values(b, shape);
    return { values: x.map((value, i) => apply(value, y[i]!)), shape, type };
  }

  #values(constant: Constant, shape: Shape): Float64Array {
    return (this.expand(constant, shape) as Constant).values;
  }

  #together(a: Computed, b: Computed): [Computed, Computed, number[]] {
    const shape = this.broadcast(a.shape, b.shape);
    return [this.expand(a, shape) as Computed, this.expand(b, shape) as Computed, shape];
  }

  // Reductions

  max(flat: Flat, window: number): Flat {
    return window === 1 ? flat : this.draft.unary(flat, { op: "max", window });
  }

  /** `factor · Σ` over the axes. */
  sum(operand: Operand, axes: readonly number[], keep: boolean, factor: number): Operand {
    const { value, width } = this.runs(operand, axes);
    const shape = this.reducedShape(operand.shape, axes, keep);
    const flat = this.draft.unary(this.flat(value), {
      op: "linear",
      groups: 1,
      positions: value.shape[0]!,
      inner: width,
      outputs: 1,
      weights: new Float64Array(width).fill(factor),
      bias: new Float64Array(1),
    });
    return this.of(flat, shape, operand.type);
  }

  reduceSum(operand: Operand, axes: readonly number[], keep: boolean): Operand {
    const result = this.sum(operand, axes, keep, 1);
    if (!isConstant(operand)) this.#know(result, { kind: "sum", of: operand, axes });
    return result;
  }

  reduceMean(operand: Operand, axes: readonly number[], keep: boolean): Operand {
    const result = this.sum(operand, axes, keep, 1 / sizeOf(permuted(operand.shape, axes)));
    if (!isConstant(operand)) this.#know(result, { kind: "mean", of: operand, axes });
    return result;
  }

  reduceMax(operand: Operand, axes: readonly number[], keep: boolean): Operand {
    const { value, width } = this.runs(operand, axes);
    const flat = this.max(this.flat(value), width);
    const result = this.of(flat, this.reducedShape(operand.shape, axes, keep), operand.type);
    if (!isConstant(operand)) this.#know(result, { kind: "max", of: operand, axes });
    return result;
  }

  // Runs as a whole

  normalise(operand: Operand, axes: readonly number[], epsilon: number, centred: boolean): Operand {
    const { value, width, order } = this.runs(operand, axes);
    if (width === 1 && centred) return this.scaled(operand, 0);
    const flat = this.draft.unary(this.flat(value), { op: "normalise", width, epsilon, centred });
    return this.fromRuns(this.of(flat, value.shape, operand.type), operand.shape, order);
  }

  softmax(operand: Operand, axes: readonly number[]): Operand {
    const { value, width, order } = this.runs(operand, axes);
    if (width === 1) return this.scaled(operand, 0, 1);
    const flat = this.draft.unary(this.#masked(this.flat(value), width), { op: "softmax", width });
    const result = this.fromRuns(this.of(flat, value.shape, operand.type), operand.shape, order);
    if (!isConstant(operand)) this.#know(result, { kind: "scores", of: operand, axes });
    return result;
  }

  /** `x - max - log Σ exp(x - max)` */
  logSoftmax(operand: Operand, axes: readonly number[]): Operand {
    const shifted = this.sub(operand, this.reduceMax(operand, axes, true));
    const result = this.sub(shifted, this.map(this.sum(this.exp(shifted), axes, true, 1), log));
    if (!isConstant(operand)) this.#know(result, { kind: "scores", of: operand, axes });
    return result;
  }

  /**
   * A mask adds large negative numbers to the scores that softmax must not see. As numbers they would stretch the range
   * of all scores; so these lanes become the constant -∞.
   */
  #masked(flat: Flat, width: number): Flat {
    if (typeof flat !== "number") return flat;
    const node = this.draft.nodes[flat]!;
    const length = this.draft.lengths[flat]!;
    let hidden: (i: number) => boolean;
    if (node.op === "arrange") hidden = (i) => node.index[i]! < 0 && node.constants[-1 - node.index[i]!]! <= MASKED;
    else if (node.op === "affine") hidden = (i) => node.bias[Math.floor((i * node.bias.length) / length)]! <= MASKED;
    else return flat;
    this.draft.spend("indices", length);
    const index = Int32Array.from({ length }, (_, i) => (hidden(i) ? -1 : i));
    if (!index.includes(-1)) return flat;
    // A run that is hidden as a whole is no mask.
    for (let start = 0; start < length; start += width) {
      if (index.subarray(start, start + width).every((from) => from < 0)) return flat;
    }
    const open =
      node.op === "arrange"
        ? flat
        : this.draft.affine(
            node.inputs[0],
            node.scale,
            node.bias.map((value) => (value <= MASKED ? 0 : value)),
          );
    return this.draft.arrange([open], index, [-Infinity]);
  }

  // Products

  /**
   * `x · w` for a matrix of constants: x has positions · inner values (each position's together), w has `outputs` rows
   * of `inner` for each group. Gives [groups, outputs, positions].
   */
  linear(
    x: Operand,
    sizes: { groups: number; positions: number; inner: number; outputs: number },
    weights: Float64Array,
    bias: Float64Array,
  ): Operand {
    const flat = this.draft.unary(this.flat(x), { op: "linear", ...sizes, weights, bias });
    return this.of(flat, [sizes.groups, sizes.outputs, sizes.positions], FLOATS.has(x.type) ? x.type : Type.FLOAT);
  }

  /** Each run along an axis through a matrix of `outputs` rows. */
  along(operand: Operand, axis: number, outputs: number, weights: Float64Array): Operand {
    const { value, width, order } = this.runs(operand, [axis]);
    const positions = value.shape[0]!;
    const result = this.linear(
      value,
      { groups: 1, positions, inner: width, outputs },
      weights,
      new Float64Array(outputs),
    );
    const shape = operand.shape.map((dim, i) => (i === axis ? outputs : dim));
    return this.fromRuns(this.transpose(this.reshape(result, [outputs, positions]), [1, 0]), shape, order);
  }

  /** Of matrices in the last two dimensions, with the dimensions before them broadcast. */
  matMul(a: Operand, b: Operand): Operand {
    if (a.shape.length === 0 || b.shape.length === 0) throw malformed(`${this.where}: a scalar is not a matrix`);
    if (a.shape.length === 1) {
      const row = this.matMul(this.reshape(a, [1, ...a.shape]), b);
      return this.reshape(
        row,
        row.shape.filter((_, i) => i !== row.shape.length - (b.shape.length === 1 ? 1 : 2)),
      );
    }
    if (b.shape.length === 1) {
      const column = this.matMul(a, this.reshape(b, [...b.shape, 1]));
      return this.reshape(column, column.shape.slice(0, -1));
    }
    const [rows, inner] = a.shape.slice(-2) as [number, number];
    const [depth, cols] = b.shape.slice(-2) as [number, number];
    if (inner !== depth) throw malformed(`${this.where}: ${dims(a.shape)} and ${dims(b.shape)} do not multiply`);
    const batch = this.broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2));
    const shape = [...batch, rows, cols];
    const one = (operand: Operand) => sizeOf(operand.shape.slice(0, -2)) === 1;

    if (isConstant(b) && !isConstant(a) && one(b)) {
      const positions = sizeOf(a.shape) / inner;
      const weights = this.#turned(this.reshape(b, [inner, cols]));
      const x = this.linear(a, { groups: 1, positions, inner, outputs: cols }, weights, new Float64Array(cols));
      const result = this.transpose(this.reshape(x, [cols, positions]), [1, 0]);
      return this.expand(this.reshape(result, [...a.shape.slice(0, -1), cols]), shape);
    }
    if (isConstant(a) && !isConstant(b) && one(a)) {
      const across = this.#turnedOperand(b);
      const positions = sizeOf(b.shape) / inner;
      const x = this.linear(across, { groups: 1, positions, inner, outputs: rows }, a.values, new Float64Array(rows));
      const groups = positions / cols;
      const result = this.transpose(this.reshape(x, [rows, groups, cols]), [1, 0, 2]);
      return this.expand(this.reshape(result, [...b.shape.slice(0, -2), rows, cols]), shape);
    }
    const groups = sizeOf(batch);
    const left = this.expand(a, [...batch, rows, inner]);
    const right = this.#turnedOperand(this.expand(b, [...batch, inner, cols]));
    if (isConstant(right) && !isConstant(left)) {
      const sizes = { groups, positions: rows, inner, outputs: cols };
      const x = this.linear(left, sizes, right.values, new Float64Array(groups * cols));
      return this.reshape(this.transpose(x, [0, 2, 1]), shape);
    }
    if (isConstant(left) && !isConstant(right)) {
      const sizes = { groups, positions: cols, inner, outputs: rows };
      return this.reshape(this.linear(right, sizes, left.values, new Float64Array(groups * rows)), shape);
    }
    const flat = this.draft.matMul(this.flat(left), this.flat(right), { groups, rows, inner, cols });
    return this.of(flat, shape, a.type);
  }

  #turned(matrix: Operand): Float64Array {
    return (this.transpose(matrix, [1, 0]) as Constant).values;
  }

  #turnedOperand(operand: Operand): Operand {
    const rank = operand.shape.length;
    return this.transpose(operand, [...range(rank - 2), rank - 1, rank - 2]);
  }

  // Facts

  /** The same order of sizes along an axis: softmax and its logarithm do not change it. */
  ranked(operand: Operand, axis: number): Operand {
    const fact = this.#fact(operand);
    const whole = fact?.kind === "scores" && sameShape(fact.of.shape, operand.shape) ? fact : undefined;
    return whole !== undefined && String(whole.axes) === String([axis]) ? whole.of : operand;
  }

  #know(operand: Operand, fact: Fact): void {
    if (!isConstant(operand)) this.#facts.set(operand.id, fact);
  }

  #fact(operand: Operand): Fact | undefined {
    return isConstant(operand) ? undefined : this.#facts.get(operand.id);
  }

  #same(a: Operand, b: Operand): boolean {
    return !isConstant(a) && !isConstant(b) && a.id === b.id && sameShape(a.shape, b.shape);
  }

  /** Whether a reduced value, as shaped now, broadcasts over what it was reduced from. */
  #spread(reduced: Operand, { of, axes }: { of: Computed; axes: readonly number[] }): boolean {
    const kept = this.reducedShape(of.shape, axes, true);
    const rank = kept.length;
    if (reduced.shape.length > rank) return false;
    return sameShape([...new Array<number>(rank - reduced.shape.length).fill(1), ...reduced.shape], kept);
  }

  #power(operand: Operand): Power | undefined {
    const fact = this.#fact(operand);
    if (fact?.kind === "power") return fact;
    if (fact?.kind !== "mean" && fact?.kind !== "sum") return undefined;
    const squared = this.#fact(fact.of);
    // Facts are of values, which may have been reshaped since.
    if (squared?.kind !== "square" || !sameShape(squared.of.shape, fact.of.shape)) return undefined;
    const { axes } = fact;
    const inner = this.#fact(squared.of);
    const centred =
      inner?.kind === "centred" && String(inner.axes) === String(axes) && sameShape(inner.of.shape, squared.of.shape);
    const count = fact.kind === "mean" ? 1 : sizeOf(permuted(fact.of.shape, axes));
    return { of: centred ? inner.of : squared.of, axes, centred, epsilon: 0, count, form: "square" };
  }

  #normalised(a: Operand, b: Operand, form: "root" | "inverse"): Operand | undefined {
    const power = this.#power(b);
    if (power === undefined || power.form !== form) return undefined;
    if (!this.#spread(b, power) && !(power.wide === true && sameShape(b.shape, power.of.shape))) return undefined;
    // A gain may come before the division as well as after.
    const outer = this.#fact(a);
    const gain = outer?.kind === "scaled" && sameShape(outer.of.shape, a.shape) ? outer : undefined;
    const x = gain?.of ?? a;
    const fact = this.#fact(x);
    const fits = power.centred
      ? fact?.kind === "centred" &&
        sameShape(x.shape, fact.of.shape) &&
        this.#same(fact.of, power.of) &&
        String(fact.axes) === String(power.axes)
      : this.#same(x, power.of);
    if (!fits) return undefined;
    const whole = this.normalise(power.of, power.axes, power.epsilon, power.centred);
    const unit = power.count === 1 ? whole : this.scaled(whole, 1 / Math.sqrt(power.count));
    return gain === undefined ? unit : this.mul(unit, gain.by);
  }

  #knowScaled(result: Operand, of: Computed, by: Constant): void {
    if (isConstant(result) || result.id === of.id || !sameShape(result.shape, of.shape)) return;
    const factor = by.values[0]!;
    const power = by.values.length === 1 && factor > 0 ? this.#power(of) : undefined;
    if (power === undefined) {
      this.#know(result, { kind: "scaled", of, by });
      return;
    }
    const grown = { square: factor, root: factor * factor, inverse: 1 / (factor * factor) }[power.form];
    this.#know(result, { kind: "power", ...power, count: power.count * grown });
  }

  /** A norm that is kept from 0 by this much. */
  #knowLeast(result: Operand, of: Operand, least: number): void {
    const power = this.#power(of);
    if (power?.form !== "root" || power.epsilon !== 0 || !(least > 0 && least <= LEAST_NORM)) return;
    this.#know(result, { kind: "power", ...power, epsilon: (least * least) / power.count });
  }

  /** `exp(x) / Σ exp(x)`, with or without the greatest value subtracted before. */
  #softmax(a: Operand, b: Operand): Operand | undefined {
    const numerator = this.#fact(a);
    const sum = this.#fact(b);
    if (numerator?.kind !== "exp" || sum?.kind !== "sum" || !this.#same(sum.of, a) || !this.#spread(b, sum)) {
      return undefined;
    }
    if (!sameShape(numerator.of.shape, a.shape)) return undefined;
    const inner = this.#fact(numerator.of);
    const whole =
      inner?.kind === "shifted" && String(inner.axes) === String(sum.axes) && sameShape(inner.of.shape, a.shape)
        ? inner.of
        : numerator.of;
    return this.softmax(whole, sum.axes);
  }
}

export function sameQuantisation(a: Quantisation, b: Quantisation): boolean {
  const same = (x: Float64Array, y: Float64Array) => x.length === y.length && x.every((value, i) => value === y[i]);
  return same(a.scale, b.scale) && same(a.zeroPoint, b.zeroPoint) && (a.scale.length === 1 || a.axis === b.axis);
}
