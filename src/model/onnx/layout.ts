/**
 * Shapes of row-major tensors, and the index maps that turn every movement of values into an `arrange`.
 *
 * @module
 */

import { sizeOf } from "../graph.js";

export type Shape = readonly number[];

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i]);
}

/** Row-major strides. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis]!;
  }
  return strides;
}

/** The common shape of a broadcast, or nothing where the shapes do not fit. */
export function broadcast(a: Shape, b: Shape): number[] | undefined {
  const rank = Math.max(a.length, b.length);
  const shape: number[] = [];
  for (let i = 0; i < rank; i++) {
    const p = a[a.length - rank + i] ?? 1;
    const q = b[b.length - rank + i] ?? 1;
    if (p !== q && p !== 1 && q !== 1) return undefined;
    shape.push(p === 1 ? q : p);
  }
  return shape;
}

/** Strides that read a tensor of `shape` as one of `target`, to which it broadcasts. */
export function broadcastStrides(shape: Shape, target: Shape): number[] {
  const strides = stridesOf(shape);
  return target.map((_, i) => {
    const axis = i - (target.length - shape.length);
    return axis < 0 || shape[axis] === 1 ? 0 : strides[axis]!;
  });
}

/** `index[i₀, i₁, …] = offset + Σ iₐ · strides[a]` over all of `shape`, in row-major order. */
export function viewIndex(shape: Shape, strides: Shape, offset = 0): Int32Array {
  const index = new Int32Array(sizeOf(shape));
  if (index.length === 0) return index;
  const last = shape.length - 1;
  const run = last < 0 ? 1 : shape[last]!;
  const step = last < 0 ? 0 : strides[last]!;
  const at = new Array<number>(Math.max(last, 0)).fill(0);
  let from = offset;
  for (let k = 0; k < index.length; ) {
    for (let i = 0, value = from; i < run; i++, value += step) index[k++] = value;
    for (let axis = last - 1; axis >= 0; axis--) {
      from += strides[axis]!;
      if (++at[axis]! < shape[axis]!) break;
      from -= strides[axis]! * shape[axis]!;
      at[axis] = 0;
    }
  }
  return index;
}

/**
 * For tensors whose every axis is read through a map of coordinates: `maps[a][i]` is the source coordinate on axis `a`
 * for the coordinate `i` of the result, -1 for none. Results without a source are -1.
 */
export function mappedIndex(shape: Shape, maps: readonly ArrayLike<number>[]): Int32Array {
  const strides = stridesOf(shape);
  let index: Int32Array = Int32Array.of(0);
  maps.forEach((map, axis) => {
    const next = new Int32Array(index.length * map.length);
    for (let k = 0, to = 0; k < index.length; k++) {
      const base = index[k]!;
      for (let i = 0; i < map.length; i++) next[to++] = base < 0 || map[i]! < 0 ? -1 : base + map[i]! * strides[axis]!;
    }
    index = next;
  });
  return index;
}

export function isIdentity(index: Int32Array): boolean {
  for (let k = 0; k < index.length; k++) if (index[k] !== k) return false;
  return true;
}

/** Shape after a permutation of the axes. */
export function permuted<T>(list: readonly T[], order: readonly number[]): T[] {
  return order.map((axis) => list[axis]!);
}

export function range(end: number): number[] {
  return Array.from({ length: end }, (_, i) => i);
}
