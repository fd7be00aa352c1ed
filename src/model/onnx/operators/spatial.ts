/**
 * Windows over the dimensions behind [N, C]: convolutions and pools of any number of them.
 *
 * @module
 */

import { GRAPH_LIMITS, sizeOf } from "../../graph.js";
import { dims, tooLarge } from "../errors.js";
import { range, type Shape } from "../layout.js";
import type { Lowering } from "../lowering.js";
import type { Operator, Site } from "../site.js";
import { type Constant, isConstant, type Operand } from "../tensor.js";

/** What windows read. */
interface Windows {
  /** Number of windows on each axis. */
  readonly out: readonly number[];
  /** Taps of one window. */
  readonly taps: number;
  /** For each window its taps: places among the input's spatial dimensions, -1 for padding. */
  readonly places: Int32Array;
}

interface Geometry {
  readonly out: readonly number[];
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly begin: readonly number[];
  readonly end: readonly number[];
}

export const spatial: Record<string, Operator> = {
  Conv: (site, t) => {
    const weights = site.input(1);
    if (!isConstant(weights)) throw site.unsupported("its weights are computed; they must be constants of the file");
    return convolve(site, t, site.input(0), weights, site.optional(2));
  },
  ConvTranspose: (site, t) => {
    const weights = site.input(1);
    if (!isConstant(weights)) throw site.unsupported("its weights are computed; they must be constants of the file");
    return convolveTransposed(site, t, site.input(0), weights, site.optional(2));
  },
  MaxPool: (site, t) => {
    const x = site.raw(0);
    site.ignore("storage_order");
    batch(site, x.shape);
    const windows = windowsOf(site, t, x.shape, geometry(site, x.shape));
    const { out, taps, places } = windows;
    // A place of padding must not count, and no integer is small enough for that: it repeats another of its window.
    for (let start = 0; start < places.length; start += taps) {
      const window = places.subarray(start, start + taps);
      const inside = window.find((place) => place >= 0);
      if (inside === undefined) throw site.malformed("a window lies in the padding as a whole");
      window.forEach((place, k) => {
        if (place < 0) window[k] = inside;
      });
    }
    const rows = gatherEach(t, x, windows);
    const shape = [...x.shape.slice(0, 2), ...out];
    return [
      t.of(t.max(t.flat(rows), taps), shape, rows.type, isConstant(rows) ? undefined : rows.quantised),
      undefined,
    ];
  },
  AveragePool: (site, t) => averagePool(site, t, site.input(0)),
  GlobalAveragePool: (site, t) => {
    const x = site.input(0);
    batch(site, x.shape);
    return t.reduceMean(x, range(x.shape.length).slice(2), true);
  },
  GlobalMaxPool: (site, t) => {
    const x = site.input(0);
    batch(site, x.shape);
    return t.reduceMax(x, range(x.shape.length).slice(2), true);
  },
};

/** `x` is [N, C, …], the weights [M, C / groups, …]; the attributes are the site's. */
export function convolve(site: Site, t: Lowering, x: Operand, weights: Constant, bias: Operand | undefined): Operand {
  const groups = site.int("group", 1);
  const [n, channels] = batch(site, x.shape);
  const [maps = 0, each = 0] = weights.shape;
  if (weights.shape.length !== x.shape.length || groups < 1 || maps % groups !== 0 || each * groups !== channels) {
    throw site.malformed(`weights ${dims(weights.shape)} in ${groups} groups do not fit ${dims(x.shape)}`);
  }
  const windows = windowsOf(site, t, x.shape, geometry(site, x.shape, weights.shape.slice(2)));
  const rows = gather(t, x, windows, groups);
  return multiply(t, rows, { n, maps, groups, out: windows.out }, weights.values, bias);
}

/** The transpose of a convolution: each place of the result reads those that would have read it. */
function convolveTransposed(
  site: Site,
  t: Lowering,
  x: Operand,
  weights: Constant,
  bias: Operand | undefined,
): Operand {
  const groups = site.int("group", 1);
  const [n, channels] = batch(site, x.shape);
  const [depth = 0, each = 0] = weights.shape;
  if (weights.shape.length !== x.shape.length || groups < 1 || depth !== channels || channels % groups !== 0) {
    throw site.malformed(`weights ${dims(weights.shape)} in ${groups} groups do not fit ${dims(x.shape)}`);
  }
  const size = x.shape.slice(2);
  const kernel = checkKernel(site, weights.shape.slice(2), size.length);
  site.ignore("kernel_shape");
  const strides = steps(site, "strides", size.length);
  const dilations = steps(site, "dilations", size.length);
  const extra = list(site, "output_padding", size.length, 0);
  const fixed = site.ints("output_shape");
  const auto = site.choice("auto_pad", ["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"], "NOTSET");
  const pads = list(site, "pads", 2 * size.length, 0);
  const begin = pads.slice(0, size.length);
  const out = size.map((length, axis) => {
    const full = strides[axis]! * (length - 1) + extra[axis]! + (kernel[axis]! - 1) * dilations[axis]! + 1;
    const same = auto === "SAME_UPPER" || auto === "SAME_LOWER";
    const wanted = fixed?.slice(-size.length)[axis] ?? (same ? length * strides[axis]! : undefined);
    if (wanted === undefined) return full - begin[axis]! - pads[size.length + axis]!;
    const total = Math.max(full - wanted, 0);
    // With a stated shape and no rule, the larger half is cut off at the beginning, as the standard says.
    begin[axis] = auto === "SAME_UPPER" ? Math.floor(total / 2) : Math.ceil(total / 2);
    return wanted;
  });
  checkOut(site, out);
  const windows = placesOf(t, size, out, kernel, (axis, o, k) => {
    const at = o + begin[axis]! - k * dilations[axis]!;
    return at % strides[axis]! === 0 ? at / strides[axis]! : -1;
  });
  const rows = gather(t, x, windows, groups);
  // From [C, M / groups, taps] to rows of maps.
  const inner = channels / groups;
  const maps = each * groups;
  const { taps } = windows;
  t.draft.spend("constants", weights.values.length);
  const turned = new Float64Array(weights.values.length);
  for (let g = 0; g < groups; g++) {
    for (let m = 0; m < each; m++) {
      for (let c = 0; c < inner; c++) {
        const from = ((g * inner + c) * each + m) * taps;
        const to = ((g * each + m) * inner + c) * taps;
        turned.set(weights.values.subarray(from, from + taps), to);
      }
    }
  }
  return multiply(t, rows, { n, maps, groups, out }, turned, bias);
}

export function averagePool(site: Site, t: Lowering, x: Operand): Operand {
  const [n, channels] = batch(site, x.shape);
  const includePad = site.flag("count_include_pad", false);
  const size = x.shape.slice(2);
  const shape = geometry(site, x.shape);
  const windows = windowsOf(site, t, x.shape, shape);
  const { out, taps, places } = windows;
  const positions = sizeOf(out);
  // Places beyond the padding, which only rounding up the number of windows reaches, never count.
  const counted = placesOf(
    t,
    size.map((length, axis) => length + shape.begin[axis]! + shape.end[axis]!),
    out,
    shape.kernel,
    (axis, o, k) => o * shape.strides[axis]! + k * shape.dilations[axis]!,
  );
  const factors = Float64Array.from({ length: positions }, (_, p) => {
    let count = 0;
    for (let k = p * taps; k < (p + 1) * taps; k++) if ((includePad ? counted.places : places)[k]! >= 0) count++;
    return count === 0 ? 0 : 1 / count;
  });
  const rows = gatherEach(t, x, windows);
  const result = [n, channels, ...out];
  if (factors.every((factor) => factor === factors[0])) {
    const sizes = { groups: 1, positions: n * channels * positions, inner: taps, outputs: 1 };
    const whole = t.linear(rows, sizes, new Float64Array(taps).fill(factors[0]!), new Float64Array(1));
    return t.reshape(whole, result);
  }
  // Each position has its own factor: positions become groups.
  const turned = t.transpose(t.reshape(rows, [n * channels, positions, taps]), [1, 0, 2]);
  t.draft.spend("constants", positions * taps);
  const weights = Float64Array.from({ length: positions * taps }, (_, k) => factors[Math.floor(k / taps)]!);
  const sizes = { groups: positions, positions: n * channels, inner: taps, outputs: 1 };
  const means = t.linear(turned, sizes, weights, new Float64Array(positions));
  return t.reshape(t.transpose(t.reshape(means, [positions, n * channels]), [1, 0]), result);
}

/** Windows of each group's channels: `[groups · n · positions, channels / groups · taps]`. */
function gather(t: Lowering, x: Operand, { taps, places }: Windows, groups: number): Operand {
  const [n, channels] = x.shape as [number, number];
  const area = sizeOf(x.shape.slice(2));
  const each = channels / groups;
  const positions = places.length / taps;
  t.draft.spend("indices", n * channels * places.length);
  const index = new Int32Array(n * channels * places.length);
  let to = 0;
  for (let g = 0; g < groups; g++) {
    for (let b = 0; b < n; b++) {
      for (let p = 0; p < positions; p++) {
        for (let c = 0; c < each; c++) {
          const base = (b * channels + g * each + c) * area;
          for (let k = p * taps; k < (p + 1) * taps; k++) index[to++] = places[k]! < 0 ? -1 : base + places[k]!;
        }
      }
    }
  }
  return t.pick(x, index, [groups * n * positions, each * taps], places.includes(-1) ? [0] : []);
}

/** Windows of each channel on its own: `[n · channels · positions, taps]`. */
function gatherEach(t: Lowering, x: Operand, windows: Windows): Operand {
  const [n, channels] = x.shape as [number, number];
  const one = t.reshape(x, [1, n * channels, ...x.shape.slice(2)]);
  return gather(t, one, windows, n * channels);
}

/** Rows of windows times maps, plus bias: `[n, maps, …out]`. */
function multiply(
  t: Lowering,
  rows: Operand,
  { n, maps, groups, out }: { n: number; maps: number; groups: number; out: readonly number[] },
  weights: Float64Array,
  bias: Operand | undefined,
): Operand {
  const positions = n * sizeOf(out);
  const inner = rows.shape[1]!;
  const zero = new Float64Array(maps);
  const result = t.linear(rows, { groups, positions, inner, outputs: maps / groups }, weights, zero);
  const moved = t.transpose(t.reshape(result, [maps, n, sizeOf(out)]), [1, 0, 2]);
  const shaped = t.reshape(moved, [n, maps, ...out]);
  if (bias === undefined) return shaped;
  return t.add(shaped, t.reshape(bias, [maps, ...out.map(() => 1)]));
}

function windowsOf(
  site: Site,
  t: Lowering,
  shape: Shape,
  { out, kernel, strides, dilations, begin }: Geometry,
): Windows {
  checkOut(site, out);
  return placesOf(
    t,
    shape.slice(2),
    out,
    kernel,
    (axis, o, k) => o * strides[axis]! + k * dilations[axis]! - begin[axis]!,
  );
}

/** `coordinate` gives the place on an axis that tap k of window o reads; outside of the axis it is padding. */
function placesOf(
  t: Lowering,
  size: readonly number[],
  out: readonly number[],
  kernel: readonly number[],
  coordinate: (axis: number, o: number, k: number) => number,
): Windows {
  const taps = sizeOf(kernel);
  t.draft.spend("indices", sizeOf(out) * taps);
  let places: Int32Array = Int32Array.of(0);
  let windows = 1;
  let done = 1;
  // Axis by axis: [windows so far, taps so far] becomes [windows · out, taps · kernel].
  size.forEach((length, axis) => {
    const [o, k] = [out[axis]!, kernel[axis]!];
    const next = new Int32Array(places.length * o * k);
    let to = 0;
    for (let w = 0; w < windows; w++) {
      for (let i = 0; i < o; i++) {
        for (let tap = 0; tap < done; tap++) {
          const before = places[w * done + tap]!;
          for (let j = 0; j < k; j++) {
            const at = coordinate(axis, i, j);
            next[to++] = before < 0 || at < 0 || at >= length ? -1 : before * length + at;
          }
        }
      }
    }
    places = next;
    windows *= o;
    done *= k;
  });
  return { out, taps, places };
}

/** Attributes of a convolution or pool, with the padding that they ask for. */
function geometry(site: Site, shape: Shape, weights?: readonly number[]): Geometry {
  const size = shape.slice(2);
  const named = site.ints("kernel_shape");
  const kernel = checkKernel(site, weights ?? named ?? [], size.length);
  if (named?.some((length, axis) => length !== kernel[axis])) {
    throw site.malformed("kernel_shape is not that of its weights");
  }
  const strides = steps(site, "strides", size.length);
  const dilations = steps(site, "dilations", size.length);
  const auto = site.choice("auto_pad", ["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"], "NOTSET");
  const ceil = weights === undefined && site.flag("ceil_mode", false);
  const pads = auto === "NOTSET" ? list(site, "pads", 2 * size.length, 0) : new Array<number>(2 * size.length).fill(0);
  if (auto !== "NOTSET") site.ignore("pads");
  const begin = pads.slice(0, size.length);
  const end = pads.slice(size.length);
  const out = size.map((length, axis) => {
    const extent = (kernel[axis]! - 1) * dilations[axis]! + 1;
    const stride = strides[axis]!;
    if (auto === "SAME_UPPER" || auto === "SAME_LOWER") {
      const count = Math.ceil(length / stride);
      const total = Math.max((count - 1) * stride + extent - length, 0);
      begin[axis] = auto === "SAME_UPPER" ? Math.floor(total / 2) : Math.ceil(total / 2);
      end[axis] = total - begin[axis]!;
      return count;
    }
    const room = length + begin[axis]! + end[axis]! - extent;
    let count = (ceil ? Math.ceil(room / stride) : Math.floor(room / stride)) + 1;
    // A window that would start behind the input and its first padding is left out.
    if (ceil && (count - 1) * stride >= length + begin[axis]!) count--;
    return count;
  });
  return { out, kernel, strides, dilations, begin, end };
}

function checkKernel(site: Site, kernel: readonly number[], rank: number): readonly number[] {
  if (kernel.length !== rank || kernel.some((length) => !(length >= 1 && length <= 65_536))) {
    throw site.malformed(`a kernel of [${kernel.slice(0, 12)}] does not fit ${rank} dimensions`);
  }
  return kernel;
}

function checkOut(site: Site, out: readonly number[]): void {
  if (out.some((count) => !(count >= 1))) throw site.malformed("the window is larger than what it moves over");
  if (sizeOf(out) > GRAPH_LIMITS.width) throw tooLarge(`${site.where}: more than ${GRAPH_LIMITS.width} windows`);
}

/** [N, C] of at least one dimension more. */
function batch(site: Site, shape: Shape): [number, number] {
  if (shape.length < 3) throw site.malformed(`takes [N, C, …], not ${dims(shape)}`);
  return [shape[0]!, shape[1]!];
}

function steps(site: Site, name: string, length: number): number[] {
  const values = list(site, name, length, 1);
  if (values.some((value) => value < 1)) throw site.malformed(`${name} must be positive`);
  return values;
}

function list(site: Site, name: string, length: number, fallback: number): number[] {
  const values = site.ints(name) ?? new Array<number>(length).fill(fallback);
  if (values.length !== length || values.some((value) => !(value >= 0 && value <= 2 ** 31))) {
    throw site.malformed(`${name} must be ${length} numbers from 0`);
  }
  return values;
}
