/** Operators that make constants, or turn shapes into them. @module */

import { sizeOf } from "../../graph.js";
import type { Lowering } from "../lowering.js";
import type { Operator, Site } from "../site.js";
import { type Constant, readTensor, Type } from "../tensor.js";

export const constants: Record<string, Operator> = {
  Constant: (site) => {
    const tensor = site.tensor("value");
    if (tensor !== undefined) return readTensor(tensor, site.where);
    const vector = (values: readonly number[], type: Type): Constant => ({
      values: Float64Array.from(values),
      shape: [values.length],
      type,
    });
    if (site.defined("value_float")) return { ...vector([site.float("value_float", 0)], Type.FLOAT), shape: [] };
    if (site.defined("value_int")) return { ...vector([site.int("value_int", 0)], Type.INT64), shape: [] };
    const floats = site.floats("value_floats");
    if (floats !== undefined) return vector(floats, Type.FLOAT);
    const ints = site.ints("value_ints");
    if (ints !== undefined) return vector(ints, Type.INT64);
    throw site.unsupported("holds neither a tensor nor numbers");
  },
  ConstantOfShape: (site, t) => {
    const shape = sizes(site, site.integers(0, "the shape"));
    const tensor = site.tensor("value");
    const value = tensor === undefined ? t.scalar(0) : readTensor(tensor, site.where);
    return filled(t, shape, value.values[0] ?? 0, value.type);
  },
  Shape: (site) => {
    const { shape } = site.raw(0);
    const rank = shape.length;
    const place = (at: number) => Math.min(Math.max(at < 0 ? at + rank : at, 0), rank);
    const part = shape.slice(place(site.int("start", 0)), place(site.int("end", rank)));
    return { values: Float64Array.from(part), shape: [part.length], type: Type.INT64 };
  },
  Size: (site, t) => t.scalar(sizeOf(site.raw(0).shape), Type.INT64),
  Range: (site, t) => {
    const [start, limit, delta] = [0, 1, 2].map((i) => site.number(i, "start, limit and delta")) as [
      number,
      number,
      number,
    ];
    if (delta === 0) throw site.malformed("a delta of 0");
    const length = Math.max(0, Math.ceil((limit - start) / delta));
    t.draft.spend("constants", length);
    const values = Float64Array.from({ length }, (_, i) => start + i * delta);
    return { values, shape: [length], type: site.raw(0).type };
  },
  EyeLike: (site, t) => {
    const x = site.raw(0);
    const [rows, cols] = x.shape;
    if (rows === undefined || cols === undefined || x.shape.length !== 2) throw site.malformed("takes a matrix");
    const shift = site.int("k", 0);
    const eye = filled(t, [rows, cols], 0, site.int("dtype", x.type));
    for (let i = 0; i < rows; i++) if (i + shift >= 0 && i + shift < cols) eye.values[i * cols + i + shift] = 1;
    return eye;
  },
  NonZero: (site, t) => {
    const { values, shape } = site.constant(0, "its input");
    const places = [...values.keys()].filter((i) => values[i] !== 0);
    t.draft.spend("constants", places.length * shape.length);
    const coordinates = shape.map((dim, axis) => {
      const stride = sizeOf(shape.slice(axis + 1));
      return places.map((i) => Math.floor(i / stride) % dim);
    });
    return { values: Float64Array.from(coordinates.flat()), shape: [shape.length, places.length], type: Type.INT64 };
  },
};

function filled(t: Lowering, shape: readonly number[], value: number, type: Type): Constant {
  t.draft.spend("constants", sizeOf(shape));
  return { values: new Float64Array(sizeOf(shape)).fill(value), shape, type };
}

function sizes(site: Site, shape: readonly number[]): readonly number[] {
  if (shape.some((dim) => !(dim >= 0 && dim <= 2 ** 31))) throw site.malformed(`[${shape.slice(0, 12)}] is no shape`);
  return shape;
}
