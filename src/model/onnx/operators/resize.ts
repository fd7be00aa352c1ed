/** Resize and Upsample: nearest neighbours are a movement, the linear and cubic modes a matrix for each axis. @module */

import { GRAPH_LIMITS } from "../../graph.js";
import { tooLarge } from "../errors.js";
import { range } from "../layout.js";
import type { Lowering } from "../lowering.js";
import type { Site } from "../site.js";
import type { Operand } from "../tensor.js";
import { remap } from "./movement.js";

const TRANSFORMS = [
  "half_pixel",
  "half_pixel_symmetric",
  "pytorch_half_pixel",
  "align_corners",
  "asymmetric",
  "tf_half_pixel_for_nn",
] as const;

export function resize(site: Site, t: Lowering): Operand {
  const x = site.input(0);
  const rank = x.shape.length;
  const upsample = site.op === "Upsample";
  const first = upsample || site.version < 11;
  const mode = site.choice("mode", ["nearest", "linear", "cubic"], "nearest");
  const transform = first ? "asymmetric" : site.choice("coordinate_transformation_mode", TRANSFORMS, "half_pixel");
  const rounding = first
    ? "floor"
    : site.choice("nearest_mode", ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"], "round_prefer_floor");
  const a = site.float("cubic_coeff_a", -0.75);
  const exclude = site.flag("exclude_outside", false);
  if (site.flag("antialias", false)) throw site.unsupported("antialias is not supported");
  site.choice("keep_aspect_ratio_policy", ["stretch"], "stretch");
  site.ignore("extrapolation_value");

  const axes = (site.ints("axes") ?? range(rank)).map((axis) => site.axis(axis, rank));
  const given = (i: number) => site.has(i) && site.constant(i, "scales and sizes").values.length > 0;
  const scalesAt = first ? 1 : 2;
  const scales = new Array<number>(rank).fill(1);
  const sizes = [...x.shape];
  const fits = (list: readonly number[]) => {
    if (list.length !== axes.length) throw site.malformed("scales or sizes do not fit the axes");
    return list;
  };
  if (!first && given(3)) {
    fits(site.integers(3, "the sizes")).forEach((size, k) => {
      sizes[axes[k]!] = size;
      scales[axes[k]!] = size / x.shape[axes[k]!]!;
    });
  } else {
    const named =
      upsample && site.version < 9 ? (site.floats("scales") ?? []) : [...site.constant(scalesAt, "the scales").values];
    fits(named).forEach((scale, k) => {
      scales[axes[k]!] = scale;
      sizes[axes[k]!] = Math.floor(x.shape[axes[k]!]! * scale);
    });
  }
  for (const size of sizes) {
    if (!(size >= 1)) throw site.malformed(`cannot resize to [${sizes}]`);
    if (size > GRAPH_LIMITS.width) throw tooLarge(`${site.where}: resizes to ${size} values on one axis`);
  }
  const source = (axis: number, i: number): number => {
    const [size, length, scale] = [x.shape[axis]!, sizes[axis]!, scales[axis]!];
    switch (transform) {
      case "half_pixel":
        return (i + 0.5) / scale - 0.5;
      case "half_pixel_symmetric": {
        const adjustment = length / (size * scale);
        return (size / 2) * (1 - adjustment) + (i + 0.5) / scale - 0.5;
      }
      case "pytorch_half_pixel":
        return length > 1 ? (i + 0.5) / scale - 0.5 : 0;
      case "align_corners":
        return length > 1 ? (i * (size - 1)) / (length - 1) : 0;
      case "asymmetric":
        return i / scale;
      case "tf_half_pixel_for_nn":
        return (i + 0.5) / scale;
    }
  };
  if (mode === "nearest") {
    const pick = (at: number) => {
      if (rounding === "floor") return Math.floor(at);
      if (rounding === "ceil") return Math.ceil(at);
      return rounding === "round_prefer_floor" ? Math.ceil(at - 0.5) : Math.floor(at + 0.5);
    };
    return remap(
      t,
      x,
      sizes.map((length, axis) =>
        range(length).map((i) => Math.min(Math.max(pick(source(axis, i)), 0), x.shape[axis]! - 1)),
      ),
    );
  }
  let result: Operand = x;
  sizes.forEach((length, axis) => {
    const size = x.shape[axis]!;
    if (length === size && scales[axis] === 1) return;
    t.draft.spend("constants", length * size);
    const weights = new Float64Array(length * size);
    for (let i = 0; i < length; i++) {
      const at = source(axis, i);
      const low = Math.floor(at);
      const taps = mode === "linear" ? linearTaps(at - low) : cubicTaps(at - low, a);
      const inside = (place: number) => place >= 0 && place < size;
      const total = exclude
        ? taps.reduce((sum, { offset, weight }) => sum + (inside(low + offset) ? weight : 0), 0)
        : 1;
      for (const { offset, weight } of taps) {
        if (exclude && !inside(low + offset)) continue;
        const place = Math.min(Math.max(low + offset, 0), size - 1);
        weights[i * size + place]! += weight / total;
      }
    }
    result = t.along(result, axis, length, weights);
  });
  return result;
}

interface Tap {
  readonly offset: number;
  readonly weight: number;
}

function linearTaps(rest: number): Tap[] {
  return [
    { offset: 0, weight: 1 - rest },
    { offset: 1, weight: rest },
  ];
}

/** Keys' cubic convolution. */
function cubicTaps(rest: number, a: number): Tap[] {
  const near = (x: number) => ((a + 2) * x - (a + 3)) * x * x + 1;
  const far = (x: number) => ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return [
    { offset: -1, weight: far(rest + 1) },
    { offset: 0, weight: near(rest) },
    { offset: 1, weight: near(1 - rest) },
    { offset: 2, weight: far(2 - rest) },
  ];
}
