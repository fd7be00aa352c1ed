/**
 * Private weights while a graph is made from them.
 *
 * Scales, shifts and corrected biases come from what calibration sees, and the graph that they end up in is public: with
 * the adapter's own weights in the calibration, it would tell of them, and no two adapters would have one base. So the
 * graph is made with a stand-in: weights from a fixed generator, of the shapes of the real ones and about as large. What a
 * graph tells of its adapter is each part's shape, alpha, and the power of two that its unit is.
 *
 * @module
 */

import type { FloatAdapter, FloatGraph } from "../float.js";
import { sizeOf } from "../graph.js";
import { ceilLog2, powerOfTwo, round } from "./numbers.js";

/** Largest magnitude of an adapter's integers. */
const LARGEST = 127;
/** Of a part that is all zeros, as LoRA's B is before training: integers reach to what trained ones do. */
const UNTRAINED_UNIT = powerOfTwo(-10);

/** @returns undefined where the model has no adapter */
export function hideAdapter(model: FloatGraph): { model: FloatGraph; integers: Int16Array } | undefined {
  const index = model.nodes.findIndex(({ op }) => op === "adapter");
  if (index === -1) return undefined;
  const adapter = model.nodes[index] as FloatAdapter;
  const integers = new Int16Array(adapter.values.length);
  const values = new Float64Array(adapter.values.length);
  let start = 0;
  for (const { shape } of adapter.parts) {
    const end = start + sizeOf(shape);
    const own = adapter.values.subarray(start, end);
    const peak = own.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const unit = peak === 0 ? UNTRAINED_UNIT : powerOfTwo(ceilLog2(peak / LARGEST));
    const draw = generator();
    for (let i = start; i < end; i++) {
      integers[i] = round(adapter.values[i]! / unit);
      values[i] = draw() * unit;
    }
    values[start] = LARGEST * unit; // the largest, from which the unit is found again
    start = end;
  }
  const nodes = model.nodes.map((node, i) => (i === index ? { ...adapter, values } : node));
  return { model: { ...model, nodes }, integers };
}

/** Integers in ±127 with a deviation of about a third of that, as trained weights have. */
function generator(): () => number {
  let state = 1;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 16) % 85;
  };
  return () => uniform() + uniform() + uniform() - 126;
}
