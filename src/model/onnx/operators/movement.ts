/** Operators that only move values about. All of them are `arrange` in the end. @module */

import { GRAPH_LIMITS, sizeOf } from "../../graph.js";
import { tooLarge } from "../errors.js";
import { mappedIndex, range, type Shape, stridesOf } from "../layout.js";
import type { Lowering } from "../lowering.js";
import type { Operator, Site } from "../site.js";
import { type Constant, isConstant, type Operand, Type } from "../tensor.js";
import { resize } from "./resize.js";

export const movement: Record<string, Operator> = {
  Identity: (site) => site.raw(0),
  Dropout: (site, t) => {
    site.ignore("ratio", "seed");
    if (site.version < 7 && !site.flag("is_test", false)) {
      throw site.unsupported("is in training mode; export the model for inference");
    }
    if (site.has(2) && site.constant(2, "training_mode").values[0] !== 0) {
      throw site.unsupported("is in training mode; export the model for inference");
    }
    const x = site.raw(0);
    if (site.outputs < 2) return x;
    t.draft.spend("constants", sizeOf(x.shape));
    return [x, { values: new Float64Array(sizeOf(x.shape)).fill(1), shape: x.shape, type: Type.BOOL }];
  },
  Reshape: (site, t) => {
    const x = site.raw(0);
    const target = site.version < 5 ? (site.ints("shape") ?? []) : site.integers(1, "the shape");
    const keepZero = site.flag("allowzero", false);
    const shape = target.map((dim, i) => (dim === 0 && !keepZero ? (x.shape[i] ?? -2) : dim));
    const open = shape.indexOf(-1);
    if (open !== -1) {
      const others = sizeOf(shape.filter((_, i) => i !== open));
      shape[open] = others === 0 ? 0 : sizeOf(x.shape) / others;
    }
    if (!shape.every((dim) => Number.isInteger(dim) && dim >= 0) || sizeOf(shape) !== sizeOf(x.shape)) {
      throw site.malformed(`cannot reshape ${sizeOf(x.shape)} values to [${target.slice(0, 12)}]`);
    }
    return t.reshape(x, shape);
  },
  Flatten: (site, t) => {
    const x = site.raw(0);
    const rank = x.shape.length;
    const axis = site.int("axis", 1);
    if (axis < -rank || axis > rank) throw site.malformed(`axis ${axis} is out of range`);
    const at = axis < 0 ? axis + rank : axis;
    return t.reshape(x, [sizeOf(x.shape.slice(0, at)), sizeOf(x.shape.slice(at))]);
  },
  Squeeze: (site, t) => {
    const x = site.raw(0);
    const named = site.version < 13 ? site.ints("axes") : site.has(1) ? site.integers(1, "the axes") : undefined;
    const axes =
      named === undefined ? range(x.shape.length).filter((i) => x.shape[i] === 1) : site.axes(named, x.shape.length);
    if (axes.some((axis) => x.shape[axis] !== 1)) throw site.malformed(`an axis of [${x.shape}] is not 1`);
    return t.reshape(x, t.reducedShape(x.shape, axes, false));
  },
  Unsqueeze: (site, t) => {
    const x = site.raw(0);
    const named = (site.version < 13 ? site.ints("axes") : site.integers(1, "the axes")) ?? [];
    const rank = x.shape.length + named.length;
    const axes = site.axes(named, rank);
    const rest = [...x.shape];
    return t.reshape(
      x,
      range(rank).map((axis) => (axes.includes(axis) ? 1 : rest.shift()!)),
    );
  },
  Transpose: (site, t) => {
    const x = site.raw(0);
    const rank = x.shape.length;
    const order = site.ints("perm") ?? range(rank).reverse();
    if (order.length !== rank || site.axes(order, rank).length !== rank || order.some((axis) => axis < 0)) {
      throw site.malformed("perm is not a permutation of the axes");
    }
    return t.transpose(x, order);
  },
  Concat: (site, t) => {
    const parts = range(site.count).map((i) => site.raw(i));
    const first = parts[0];
    if (first === undefined) throw site.malformed("has no input");
    const axis = site.axis(site.int("axis", site.version < 4 ? 1 : 0), first.shape.length);
    for (const part of parts) {
      if (
        part.shape.length !== first.shape.length ||
        part.shape.some((dim, i) => i !== axis && dim !== first.shape[i])
      ) {
        throw site.malformed(`[${part.shape}] does not fit [${first.shape}] on axis ${axis}`);
      }
    }
    return t.concat(parts, axis);
  },
  Split: (site, t) => {
    const x = site.raw(0);
    const axis = site.axis(site.int("axis", 0), x.shape.length);
    const size = x.shape[axis]!;
    let sizes = site.version < 13 ? site.ints("split") : site.has(1) ? site.integers(1, "the split") : undefined;
    const parts = site.outputs;
    if (site.int("num_outputs", parts) !== parts) throw site.malformed("num_outputs is not the number of its outputs");
    if (sizes === undefined) {
      const each = Math.ceil(size / parts);
      sizes = range(parts).map((i) => Math.max(0, Math.min(each, size - i * each)));
    }
    if (sizes.reduce((a, b) => a + b, 0) !== size || sizes.some((part) => part < 0)) {
      throw site.malformed(`cannot split ${size} into [${sizes.slice(0, 12)}]`);
    }
    let start = 0;
    return sizes.map((part) => {
      const places = range(part).map((i) => start + i);
      start += part;
      return slice(t, x, axis, places);
    });
  },
  Slice: (site, t) => {
    let x = site.raw(0);
    const old = site.version < 10;
    const starts = (old ? site.ints("starts") : site.integers(1, "the starts")) ?? [];
    const ends = (old ? site.ints("ends") : site.integers(2, "the ends")) ?? [];
    const axes =
      (old ? site.ints("axes") : site.has(3) ? site.integers(3, "the axes") : undefined) ?? range(starts.length);
    const steps = !old && site.has(4) ? site.integers(4, "the steps") : starts.map(() => 1);
    if ([ends, axes, steps].some(({ length }) => length !== starts.length)) {
      throw site.malformed("starts, ends, axes and steps differ in length");
    }
    site.axes(axes, x.shape.length);
    axes.forEach((named, k) => {
      const axis = site.axis(named, x.shape.length);
      const size = x.shape[axis]!;
      const step = steps[k]!;
      if (step === 0) throw site.malformed("a step is 0");
      const place = (value: number, least: number, most: number) =>
        Math.min(Math.max(value < 0 ? value + size : value, least), most);
      const start = step > 0 ? place(starts[k]!, 0, size) : place(starts[k]!, 0, size - 1);
      const end = step > 0 ? place(ends[k]!, 0, size) : place(ends[k]!, -1, size - 1);
      const length = Math.max(0, Math.ceil((end - start) / step));
      x = slice(
        t,
        x,
        axis,
        range(length).map((i) => start + i * step),
      );
    });
    return x;
  },
  Gather: (site, t) => {
    const data = site.raw(0);
    const axis = site.axis(site.int("axis", 0), data.shape.length);
    const rows = data.shape[axis]!;
    const before = data.shape.slice(0, axis);
    const after = data.shape.slice(axis + 1);
    const at = site.input(1);
    const shape = [...before, ...at.shape, ...after];
    if (isConstant(at)) {
      const places = site.integers(1, "the indices").map((i) => {
        if (i < -rows || i >= rows) throw site.malformed(`index ${i} is out of range for ${rows} entries`);
        return i < 0 ? i + rows : i;
      });
      return t.reshape(slice(t, data, axis, places), shape);
    }
    if (!isConstant(data)) throw site.unsupported("chooses among computed values by computed indices");
    const { value, width } = t.runs(data, [...range(axis), ...range(data.shape.length).slice(axis + 1)]);
    const flat = t.draft.unary(at.id, { op: "lookup", rows, width, entries: (value as Constant).values });
    const looked = t.of(flat, [sizeOf(at.shape), sizeOf(before), sizeOf(after)], data.type);
    return t.reshape(t.transpose(looked, [1, 0, 2]), shape);
  },
  Compress: (site, t) => {
    const keep = site.constant(1, "the condition").values;
    const whole = site.raw(0);
    const flat = !site.defined("axis");
    const x = flat ? t.reshape(whole, [sizeOf(whole.shape)]) : whole;
    const axis = flat ? 0 : site.axis(site.int("axis", 0), x.shape.length);
    const places = range(Math.min(keep.length, x.shape[axis]!)).filter((i) => keep[i] !== 0);
    return slice(t, x, axis, places);
  },
  GatherElements: (site, t) => {
    const data = site.raw(0);
    const axis = site.axis(site.int("axis", 0), data.shape.length);
    const { shape } = site.constant(1, "the indices");
    const index = elementsIndex(site, site.integers(1, "the indices"), shape, data.shape, axis);
    t.draft.spend("indices", index.length);
    return t.pick(data, index, shape);
  },
  GatherND: (site, t) => {
    const data = site.raw(0);
    const batch = site.int("batch_dims", 0);
    const { shape } = site.constant(1, "the indices");
    const tuples = site.integers(1, "the indices");
    const depth = shape.at(-1) ?? 0;
    if (batch < 0 || batch + depth > data.shape.length || batch >= shape.length) throw site.malformed("wrong shapes");
    const strides = stridesOf(data.shape);
    const run = sizeOf(data.shape.slice(batch + depth));
    const count = sizeOf(shape.slice(0, -1));
    const perBatch = count / sizeOf(shape.slice(0, batch));
    t.draft.spend("indices", count * run);
    const index = new Int32Array(count * run);
    for (let k = 0; k < count; k++) {
      let from = Math.floor(k / perBatch) * sizeOf(data.shape.slice(batch));
      for (let d = 0; d < depth; d++)
        from += entry(site, tuples[k * depth + d]!, data.shape[batch + d]!) * strides[batch + d]!;
      for (let i = 0; i < run; i++) index[k * run + i] = from + i;
    }
    return t.pick(data, index, [...shape.slice(0, -1), ...data.shape.slice(batch + depth)]);
  },
  ScatterND: (site, t) => {
    site.choice("reduction", ["none"], "none");
    const [data, updates] = [site.input(0), site.input(2)];
    const { shape } = site.constant(1, "the indices");
    const tuples = site.integers(1, "the indices");
    const depth = shape.at(-1) ?? 0;
    if (depth > data.shape.length) throw site.malformed("the indices are too deep");
    const strides = stridesOf(data.shape);
    const run = sizeOf(data.shape.slice(depth));
    const count = sizeOf(shape.slice(0, -1));
    if (sizeOf(updates.shape) !== count * run) throw site.malformed("the updates do not fit the indices");
    return scatter(t, data, updates, (index, base) => {
      for (let k = 0; k < count; k++) {
        let to = 0;
        for (let d = 0; d < depth; d++) to += entry(site, tuples[k * depth + d]!, data.shape[d]!) * strides[d]!;
        for (let i = 0; i < run; i++) index[to + i] = base + k * run + i;
      }
    });
  },
  ScatterElements: scatterElements,
  Scatter: scatterElements,
  Expand: (site, t) => {
    const x = site.raw(0);
    return t.expand(x, t.broadcast(x.shape, dimensions(site, site.integers(1, "the shape"))));
  },
  Tile: (site, t) => {
    const x = site.raw(0);
    const repeats = dimensions(site, site.integers(1, "the repeats"));
    if (repeats.length !== x.shape.length) throw site.malformed("the repeats do not fit the shape");
    return remap(
      t,
      x,
      repeats.map((times, axis) => mapOf(t, x.shape[axis]! * times, (i) => i % x.shape[axis]!)),
    );
  },
  Pad: (site, t) => {
    const mode = site.choice("mode", ["constant", "reflect", "edge", "wrap"], "constant");
    const x = mode === "constant" ? site.input(0) : site.raw(0);
    const rank = x.shape.length;
    const pads = (site.version < 11 ? site.ints("pads") : site.integers(1, "the pads")) ?? [];
    const value = site.version < 11 ? site.float("value", 0) : site.has(2) ? site.number(2, "the value") : 0;
    const axes = site.has(3) ? site.integers(3, "the axes").map((axis) => site.axis(axis, rank)) : range(rank);
    if (pads.length !== 2 * axes.length) throw site.malformed("the pads do not fit the shape");
    const maps = x.shape.map((size, axis) => {
      const k = axes.indexOf(axis);
      const [begin, end] = k < 0 ? [0, 0] : [pads[k]!, pads[k + axes.length]!];
      const length = size + begin + end;
      if (!(length >= 0 && length <= 2 ** 31)) throw site.malformed("the pads remove more than there is");
      return mapOf(t, length, (i) => padded(i - begin, size, mode));
    });
    return remap(t, x, maps, value);
  },
  DepthToSpace: (site, t) => {
    const x = site.raw(0);
    const block = site.int("blocksize", 0);
    const [n, c, h, w] = image(site, x.shape);
    if (block < 1 || c % block ** 2 !== 0) throw site.malformed(`blocks of ${block} do not fit ${c} channels`);
    const depth = c / block ** 2;
    const columns = site.choice("mode", ["DCR", "CRD"], "DCR") === "DCR";
    const split = t.reshape(x, columns ? [n, block, block, depth, h, w] : [n, depth, block, block, h, w]);
    const moved = t.transpose(split, columns ? [0, 3, 4, 1, 5, 2] : [0, 1, 4, 2, 5, 3]);
    return t.reshape(moved, [n, depth, h * block, w * block]);
  },
  SpaceToDepth: (site, t) => {
    const x = site.raw(0);
    const block = site.int("blocksize", 0);
    const [n, c, h, w] = image(site, x.shape);
    if (block < 1 || h % block !== 0 || w % block !== 0) throw site.malformed(`blocks of ${block} do not fit`);
    const split = t.reshape(x, [n, c, h / block, block, w / block, block]);
    return t.reshape(t.transpose(split, [0, 3, 5, 1, 2, 4]), [n, c * block ** 2, h / block, w / block]);
  },
  Trilu: (site, t) => {
    const x = site.input(0);
    const upper = site.flag("upper", true);
    const shift = site.has(1) ? site.number(1, "k") : 0;
    const [rows, cols] = x.shape.slice(-2);
    if (rows === undefined || cols === undefined) throw site.malformed("takes matrices");
    t.draft.spend("indices", sizeOf(x.shape));
    const index = Int32Array.from({ length: sizeOf(x.shape) }, (_, k) => {
      const offset = (k % cols) - (Math.floor(k / cols) % rows);
      return (upper ? offset >= shift : offset <= shift) ? k : -1;
    });
    return t.pick(x, index, x.shape, [0]);
  },
  OneHot: (site, t) => {
    const at = site.input(0);
    const depth = site.number(1, "the depth");
    const [off = 0, on = 1] = site.constant(2, "the values").values;
    if (!Number.isInteger(depth) || depth < 1 || depth > 65_536) throw site.malformed(`a depth of ${depth}`);
    const axis = site.axis(site.int("axis", -1), at.shape.length + 1);
    t.draft.spend("constants", depth * depth);
    const entries = new Float64Array(depth * depth).fill(off);
    for (let i = 0; i < depth; i++) entries[i * depth + i] = on;
    let flat: Operand;
    if (isConstant(at)) {
      const rows = site.integers(0, "the indices").map((i) => (i < 0 ? i + depth : i));
      const values = new Float64Array(rows.length * depth).fill(off);
      t.draft.spend("constants", values.length);
      rows.forEach((row, i) => {
        if (row >= 0 && row < depth) values[i * depth + row] = on;
      });
      flat = { values, shape: [...at.shape, depth], type: site.raw(2).type };
    } else {
      const looked = t.draft.unary(at.id, { op: "lookup", rows: depth, width: depth, entries });
      flat = t.of(looked, [...at.shape, depth], site.raw(2).type);
    }
    const order = range(at.shape.length);
    order.splice(axis, 0, at.shape.length);
    return t.transpose(flat, order);
  },
  Upsample: resize,
  Resize: resize,
};

/** The named places of one axis. */
export function slice(t: Lowering, x: Operand, axis: number, places: readonly number[]): Operand {
  return remap(
    t,
    x,
    x.shape.map((size, i) => (i === axis ? places : range(size))),
  );
}

/** Every axis read through a map of coordinates; `value` where a map says -1. */
export function remap(t: Lowering, x: Operand, maps: readonly ArrayLike<number>[], value = 0): Operand {
  const shape = maps.map(({ length }) => length);
  t.draft.spend("indices", sizeOf(shape));
  const open = maps.some((map) => Array.prototype.includes.call(map, -1));
  return t.pick(x, mappedIndex(x.shape, maps), shape, open ? [value] : []);
}

/** @throws where an axis alone would be longer than any value may be. */
function mapOf(t: Lowering, length: number, source: (i: number) => number): Int32Array {
  if (length > GRAPH_LIMITS.width)
    throw tooLarge(`${t.where}: an axis of ${length}; the limit is ${GRAPH_LIMITS.width}`);
  return Int32Array.from({ length }, (_, i) => source(i));
}

function padded(i: number, size: number, mode: "constant" | "reflect" | "edge" | "wrap"): number {
  if (i >= 0 && i < size) return i;
  if (mode === "constant" || size === 0) return -1;
  if (mode === "edge") return i < 0 ? 0 : size - 1;
  if (mode === "wrap") return ((i % size) + size) % size;
  if (size === 1) return 0;
  const period = 2 * (size - 1);
  const at = ((i % period) + period) % period;
  return at < size ? at : period - at;
}

function dimensions(site: Site, shape: readonly number[]): number[] {
  if (shape.some((dim) => !(dim >= 0 && dim <= 2 ** 31))) throw site.malformed(`[${shape.slice(0, 12)}] is no shape`);
  return [...shape];
}

function image(site: Site, shape: Shape): [number, number, number, number] {
  if (shape.length !== 4) throw site.malformed(`takes [N, C, H, W], not [${shape}]`);
  return shape as unknown as [number, number, number, number];
}

/** An index from 0. */
function entry(site: Site, i: number, size: number): number {
  if (i < -size || i >= size) throw site.malformed(`index ${i} is out of range for ${size} entries`);
  return i < 0 ? i + size : i;
}

/** Places of `data` that indices along one axis name, for each place of the indices. */
function elementsIndex(site: Site, indices: readonly number[], shape: Shape, data: Shape, axis: number): Int32Array {
  if (shape.length !== data.length || shape.some((dim, i) => i !== axis && dim > data[i]!)) {
    throw site.malformed("the indices do not fit the data");
  }
  const strides = stridesOf(data);
  const own = stridesOf(shape);
  return Int32Array.from(indices, (i, k) => {
    let from = 0;
    let rest = k;
    for (let a = 0; a < shape.length; a++) {
      const coordinate = Math.floor(rest / own[a]!);
      rest %= own[a]!;
      from += (a === axis ? entry(site, i, data[a]!) : coordinate) * strides[a]!;
    }
    return from;
  });
}

function scatter(
  t: Lowering,
  data: Operand,
  updates: Operand,
  write: (index: Int32Array, base: number) => void,
): Operand {
  const length = sizeOf(data.shape);
  t.draft.spend("indices", length);
  const index = Int32Array.from({ length }, (_, k) => k);
  write(index, length);
  return t.of(t.draft.arrange([t.flat(data), t.flat(updates)], index), data.shape, data.type);
}

function scatterElements(site: Site, t: Lowering): Operand {
  site.choice("reduction", ["none"], "none");
  const [data, updates] = [site.input(0), site.input(2)];
  const axis = site.axis(site.int("axis", 0), data.shape.length);
  const { shape } = site.constant(1, "the indices");
  if (sizeOf(shape) !== sizeOf(updates.shape)) throw site.malformed("the updates do not fit the indices");
  const to = elementsIndex(site, site.integers(1, "the indices"), shape, data.shape, axis);
  return scatter(t, data, updates, (index, base) => {
    for (const [k, place] of to.entries()) index[place] = base + k;
  });
}
