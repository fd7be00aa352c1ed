/**
 * From a planned float graph to integers, node by node.
 *
 * Each value is a node of the integer graph and a unit for each of its elements. What takes a value takes its units as
 * they are: a linear node multiplies them into its weights before these are rounded, so that every multiplier left in
 * the graph is a power of two, or a small integer where two values with units of their own are added.
 *
 * Rows. The largest weight of a row becomes ±127 where the row is alone in its family and so sets the units there;
 * where the units are set, it lies in 128..255, the wider weight being a constant that costs one row of the circuit.
 *
 * Points. Of the powers of two that a unit may be, the one with the least squared error on the calibration set: rare
 * outliers may saturate where that makes the rest finer.
 *
 * Biases. What rounding does to the mean of an output channel, on the calibration set, is taken back by its bias.
 *
 * @module
 */

import { AnchorError, isAnchorError } from "../../errors.js";
import { ACCUMULATOR_BITS } from "../bounds.js";
import type {
  FloatAdapter,
  FloatArrange,
  FloatClip,
  FloatGrid,
  FloatLinear,
  FloatLookup,
  FloatMap,
  FloatMatMul,
  FloatNode,
  FloatNormalise,
  FloatSoftmax,
} from "../float.js";
import { ENTRY_MAX, GRAPH_LIMITS, type GraphNode, type InputNode, sizeOf, WEIGHT_MAX } from "../graph.js";
import { exp } from "../mathematics.js";
import { inputsOf } from "../run.js";
import { Builder } from "./builder.js";
import { integerOf, lastUses, type Recording, type Recordings } from "./calibrate.js";
import { ceilLog2, exactLog2, floorLog2, powerOfTwo, round, runLength } from "./numbers.js";
import { NARROW_MAX, type Plan, type Point, smallScale, WIDE_BITS } from "./plan.js";
import { goesToGrid, Units } from "./units.js";

/** A float value as integers. */
export interface Value {
  /** Node of the integer graph. */
  readonly id: number;
  /** Real value of an element's 1; 0 where the element is always 0 and so has no unit. */
  readonly units: Float64Array;
}

/** What a point did to the calibration set. */
export interface PointReport {
  readonly node: string;
  readonly lo: number;
  readonly bits: number;
  readonly elements: number;
  /** Elements that were never above the lower end: they give nothing, and can be pruned. */
  readonly silent: number;
  /** Values at the ends of the range, as a fraction. */
  readonly saturated: number;
}

export interface Lowered {
  readonly builder: Builder;
  /** Of each planned node. */
  readonly values: readonly Value[];
  /** Of each part of the adapter. */
  readonly adapterUnits: readonly number[];
  readonly points: readonly PointReport[];
}

export interface LowerOptions {
  readonly weightBits: number;
  readonly signal?: AbortSignal | undefined;
  readonly onNode?: (done: number, total: number) => void;
}

/** Units tried below the smallest that saturates nothing; of inputs of a table more, for their function may be flat. */
const POINT_CANDIDATES = 3;
const TABLE_CANDIDATES = 5;
/** Wide points reach this many times further than what they were calibrated on. */
const WIDE_HEADROOM = 4;
/** A table leaves room for this many times what it gave on the samples, where it could give still much more. */
const TABLE_HEADROOM = 2;
/** A function that can give more than this many times that has a pole. */
const TABLE_POLE = 4;
/** Largest integer of what only wide takers take. */
const WIDE_MAX = 2 ** (WIDE_BITS - 1) - 1;
/** The same for values that are too wide as they are: the range that is only proven may be out of all proportion. */
const SHIFT_HEADROOM = 2;
/** Largest integer of a table that is the model's output. */
const OUTPUT_MAX = 32_767;
/** Bits of a multiplier that brings two units together. */
const MULTIPLIER_BITS = 8;
/** Bits of weights before a grid of the file. */
const GRID_WEIGHT_BITS = 12;
/** Ends of what a clip with limits of its own gives: two requantisations can have any two ends within these. */
const POINT_MAX = 16_383;
/** Largest bias, where the unit is free: 16 bits more than a weight of 8. */
const BIAS_MAX = 2 ** 24;
/** What a clip's limit may be off by. */
const LIMIT_TOLERANCE = 1.02;
/** A unit may be too fine for a point by this. */
const SATURATION = 2;
/** Weights may be wider than they should by this, rather than that two units must be brought together. */
const COARSENESS = 16;
/** Extra bits for the sake of a bias, where weights are small integers. */
const SMALL_EXTRA_BITS = 3;
/** Larger inputs are fine enough for a bias as they are. */
const FINE = 511;
/** Bits of a weight that may be missing, rather than that a point comes after it. */
const SPARE_BITS = 2;
/** Largest exponential of a softmax. */
const EXP_MAX = 4095;
/** `exp` of a difference beyond this rounds to 0 against {@link EXP_MAX}: `ln(2 · 4095)`, rounded up. */
const EXP_REACH = 9.1;
/** Bits of the inverse root of a normalisation, where it is smallest. */
const ROOT_BITS = 8;

/** Lowers all nodes of a plan; the last value is the output. */
export async function lower(
  plan: Plan,
  input: InputNode,
  recordings: Recordings,
  options: LowerOptions,
): Promise<Lowered> {
  const lowering = new Lowering(plan, input, recordings, options);
  return lowering.run();
}

class Lowering {
  readonly #plan: Plan;
  readonly #input: InputNode;
  readonly #recordings: Recordings;
  readonly #options: LowerOptions;
  readonly #units: Units;
  readonly #builder: Builder;
  readonly #values: Value[] = [];
  readonly #points: PointReport[] = [];
  /** Classes that points give, of each class that they take. */
  readonly #narrow = new Map<number, Map<number, { id: number; element: number }>>();
  /** Of points before tables, while they are lowered. */
  readonly #targets = new Map<number, Float32Array>();
  /** Number of rows of linear nodes in a family. */
  readonly #rows: ReadonlyMap<number, number>;
  /** What points give to a class: a point, and its elements. */
  readonly #members = new Map<number, Map<number, number[]>>();
  /** Largest real magnitude at the points of a family. */
  readonly #peaks = new Map<number, number>();
  readonly #adapterUnits: number[] = [];

  constructor(plan: Plan, input: InputNode, recordings: Recordings, options: LowerOptions) {
    this.#plan = plan;
    this.#input = input;
    this.#recordings = recordings;
    this.#options = options;
    this.#units = new Units(plan);
    this.#rows = this.#units.countRows(plan.nodes);
    this.#builder = new Builder(recordings.samples.length, options.signal);
    this.#survey();
  }

  async run(): Promise<Lowered> {
    const { nodes } = this.#plan;
    const last = lastUses(this.#plan);
    last[nodes.length - 1] = nodes.length;
    for (const [id, node] of nodes.entries()) {
      try {
        this.#values.push(await this.#lower(id, node));
      } catch (error) {
        if (!isAnchorError(error, "MODEL_UNBOUNDED")) throw error;
        throw new AnchorError("MODEL_UNBOUNDED", `${node.node}: ${error.message}`, {
          details: { ...error.details, source: node.node },
          cause: error,
        });
      }
      this.#builder.keep(this.#values.filter((_, value) => last[value]! > id).map((value) => value.id));
      this.#options.onNode?.(id + 1, nodes.length);
    }
    this.#values.push(await this.#sharing(this.#values.pop()!, () => 0));
    return {
      builder: this.#builder,
      values: this.#values,
      adapterUnits: this.#adapterUnits,
      points: this.#points,
    };
  }

  /** What is known of units before any node is lowered. */
  #survey(): void {
    const { nodes, lengths, points } = this.#plan;
    nodes.forEach((node, id) => {
      if (node.op === "input") this.#units.settle(id, 0, powerOfTwo(-this.#input.scaleLog2));
      if (node.op === "softmax") this.#units.settle(id, 0, 1 / this.#shareScale(id, node));
      if (node.op === "argMax") this.#units.settle(id, 0, 1);
      if (node.op === "grid") {
        const lanes = lengths[id]! / node.scale.length;
        for (let i = 0; i < lengths[id]!; i++) this.#units.settle(id, i, node.scale[Math.floor(i / lanes)]!);
      }
      const point = points.get(id);
      if (point === undefined) return;
      const from = inputsOf(node)[0]!;
      const { min, max } = this.#recording(from);
      const limits = node.op === "clip" ? node : { min: -Infinity, max: Infinity };
      for (let i = 0; i < lengths[id]!; i++) {
        const taken = this.#units.classOf(from, i);
        const given = this.#units.classOf(id, i);
        if (!this.#narrow.has(taken)) this.#narrow.set(taken, new Map());
        this.#narrow.get(taken)!.set(given, { id, element: i });
        if (!this.#members.has(given)) this.#members.set(given, new Map());
        const members = this.#members.get(given)!;
        if (!members.has(id)) members.set(id, []);
        members.get(id)!.push(i);
        const family = this.#units.familyOf(id, i);
        const peak = Math.max(Math.min(max[i]!, limits.max), -Math.max(min[i]!, limits.min)) / limitOf(point);
        this.#peaks.set(family, Math.max(this.#peaks.get(family) ?? 0, peak));
      }
    });
    nodes.forEach((node, id) => {
      if (node.op !== "clip") return;
      const { min, max } = this.#recording(node.inputs[0]);
      const point = points.get(id)!;
      for (let i = 0; i < lengths[id]!; i++) {
        // Where a limit is reached, the best unit is the one that saturates there.
        if (node.min === 0 && max[i]! > 0.9 * node.max) {
          this.#units.settleBase(id, i, node.max / limitOf(point));
        } else if (Number.isFinite(node.min) && node.min !== 0 && Number.isFinite(node.max) && node.max !== 0) {
          if (max[i]! > 0.9 * node.max || min[i]! < 0.9 * node.min) {
            this.#units.settleBase(id, i, (node.max - node.min) / 255);
          }
        }
      }
    });
  }

  #recording(id: number): Recording {
    return this.#recordings.of.get(id)!;
  }

  async #lower(id: number, node: FloatNode): Promise<Value> {
    const inputs = inputsOf(node).map((source) => this.#values[source]!);
    switch (node.op) {
      case "input":
        return this.#lowerInput();
      case "adapter":
        return this.#lowerAdapter(id, node);
      case "arrange":
        return this.#lowerArrange(id, node, inputs);
      case "linear":
        return this.#fitting(node, inputs, ([x], last) => this.#lowerLinear(id, node, x!, last));
      case "clip":
      case "grid":
        return this.#fitting(node, inputs, ([x]) => this.#lowerPoint(id, node, x!));
      case "map":
        return this.#lowerMap(id, node, inputs[0]!);
      case "max": {
        const taken = await this.#sharing(inputs[0]!, (i) => Math.floor(i / node.window));
        const own = await this.#builder.push({ op: "max", inputs: [taken.id], window: node.window });
        const units = Float64Array.from({ length: this.#plan.lengths[id]! }, (_, m) =>
          largest(taken.units.subarray(m * node.window, (m + 1) * node.window)),
        );
        return { id: own, units };
      }
      case "add":
        return this.#lowerAdd(id, inputs[0]!, inputs[1]!).catch(async (error) => {
          if (!isAnchorError(error, "MODEL_UNBOUNDED")) throw error;
          const [a, b] = await this.#levelled(inputs[0]!, inputs[1]!);
          return this.#lowerAdd(id, a, b, true);
        });
      case "mul":
        return this.#fitting(node, inputs, async ([a, b]) => ({
          id: await this.#builder.push({ op: "mul", inputs: [a!.id, b!.id] }),
          units: a!.units.map((unit, i) => unit * b!.units[i]!),
        }));
      case "matMul":
        return this.#fitting(node, inputs, ([a, b]) => this.#lowerMatMul(node, a!, b!));
      case "softmax":
        return this.#fitting(node, inputs, ([x]) => this.#lowerSoftmax(id, node, x!));
      case "normalise":
        return this.#lowerNormalise(id, node, inputs[0]!);
      case "lookup":
        return this.#lowerLookup(id, node, inputs[0]!);
      case "argMax": {
        const taken = await this.#sharing(inputs[0]!, (i) => Math.floor(i / node.width));
        const own = await this.#builder.push({ op: "argMax", inputs: [taken.id], width: node.width });
        return { id: own, units: new Float64Array(this.#plan.lengths[id]!).fill(1) };
      }
    }
  }

  #lowerInput(): Value {
    const samples = this.#recordings.samples.map((sample) =>
      Int32Array.from({ length: sample.length }, (_, i) => integerOf(this.#input, sample[i]!)),
    );
    const id = this.#builder.start(this.#input, samples);
    return { id, units: new Float64Array(this.#plan.lengths[0]!).fill(powerOfTwo(-this.#input.scaleLog2)) };
  }

  /** Int8 by parts, a unit each; of the stand-in, see adapter.ts. */
  #lowerAdapter(id: number, { parts, values, alpha }: FloatAdapter): Value {
    const units = new Float64Array(values.length);
    const integers = new Int32Array(values.length);
    let start = 0;
    for (const { shape } of parts) {
      const end = start + sizeOf(shape);
      let peak = 0;
      for (let i = start; i < end; i++) peak = Math.max(peak, Math.abs(values[i]!));
      const unit = peak === 0 ? 1 : peak / NARROW_MAX;
      for (let i = start; i < end; i++) {
        units[i] = unit;
        integers[i] = round(values[i]! / unit);
      }
      this.#units.settle(id, start, unit);
      this.#adapterUnits.push(unit);
      start = end;
    }
    const node: GraphNode = { op: "adapter", parts, lo: -128, bits: 8, alpha };
    const samples = this.#recordings.samples.map(() => integers);
    return { id: this.#builder.start(node, samples), units };
  }

  async #lowerArrange(id: number, { index, constants }: FloatArrange, inputs: readonly Value[]): Promise<Value> {
    const before = concatenated(inputs.map(({ units }) => units));
    const units = new Float64Array(index.length);
    // Constants are integers of the unit of those beside them, first of all of elements of this node.
    index.forEach((from, k) => {
      if (from < 0) return;
      units[k] = before[from]!;
      this.#units.settle(id, k, before[from]!);
    });
    const own: number[] = [];
    const places = new Map<number, number>();
    const integers = index.map((from, k) => {
      if (from >= 0) return from;
      const real = constants[-1 - from]!;
      let integer = 0;
      if (real !== 0 && Number.isFinite(real)) {
        if (this.#units.unitOf(id, k) === 0) this.#units.settle(id, k, Math.abs(real) / NARROW_MAX);
        units[k] = this.#units.unitOf(id, k);
        // Where it does not fit beside its neighbours, what takes both brings them together.
        if (Math.abs(real) / units[k]! > BIAS_MAX) units[k] = Math.abs(real) / NARROW_MAX;
        integer = round(real / units[k]!);
      }
      let place = places.get(integer);
      if (place === undefined) {
        place = own.push(integer);
        places.set(integer, place);
      }
      return -place;
    });
    const node = await this.#builder.arrange(
      inputs.map((input) => input.id),
      integers,
      own,
    );
    return { id: node, units };
  }

  async #lowerLinear(id: number, node: FloatLinear, before: Value, last: boolean): Promise<Value> {
    const { groups, positions, inner, outputs, bias } = node;
    const input = await this.#sharing(before, (i) => Math.floor(i / (positions * inner)) * inner + (i % inner));
    const terms = new Float64Array(groups * inner);
    input.units.forEach((unit, i) => {
      const term = Math.floor(i / (positions * inner)) * inner + (i % inner);
      if (terms[term] === 0) terms[term] = unit;
    });
    const alias = this.#aliased(id, node, input);
    if (alias !== undefined) return alias;

    const rows = groups * outputs;
    const real = new Float64Array(rows * inner);
    for (let row = 0; row < rows; row++) {
      const group = Math.floor(row / outputs) * inner;
      for (let k = 0; k < inner; k++) real[row * inner + k] = node.weights[row * inner + k]! * terms[group + k]!;
    }
    const { min, max, hull } = this.#builder.bounds[input.id]!;
    const largestInput = Math.max(hull.max, -hull.min);
    // Room for what takes the accumulator as it is; a point or the output takes any.
    const room = this.#plan.consumers[id]!.every((taker) => this.#plan.points.has(taker)) ? 2 ** 31 - 1 : 2 ** 29;
    const wanted = Math.max(this.#options.weightBits, goesToGrid(this.#plan, id) ? GRID_WEIGHT_BITS : 0);
    for (let most = 2 ** wanted; ; most /= 2) {
      if (most < (last ? 4 : 2 ** (this.#options.weightBits - 2)))
        throw unbounded(`a bias or a sum is too large against the weights to fit ${ACCUMULATOR_BITS} bits`);
      const { units, shifts } = this.#rowUnits(id, node, real, most, largestInput);
      const weights = Int16Array.from(real, (value, i) => {
        const unit = units[Math.floor(i / inner)]!;
        return unit === 0 ? 0 : round(value / unit);
      });
      const integers = Float64Array.from(bias, (value, row) => (units[row] === 0 ? 0 : round(value / units[row]!)));
      if (integers.some((value) => Math.abs(value) > room)) continue;
      const linear: Extract<GraphNode, { op: "linear" }> = {
        op: "linear",
        inputs: [input.id],
        groups,
        positions,
        inner,
        outputs,
        weights,
        bias: Int32Array.from(integers),
      };
      if (extent(linear, min, max) > room) continue;
      for (let row = 0; row < rows; row++) {
        if (units[row] !== 0) this.#units.settle(id, row * positions, units[row]! * powerOfTwo(shifts[row]!));
      }
      const values = await this.#corrected(id, linear, units);
      const own = await this.#builder.push(linear, values);
      const all = Float64Array.from({ length: rows * positions }, (_, i) => {
        const row = Math.floor(i / positions);
        return units[row]! * powerOfTwo(shifts[row]!);
      });
      if (shifts.every((shift) => shift === 0)) return { id: own, units: all };
      const each = Uint8Array.from(all, (_, i) => shifts[Math.floor(i / positions)]!);
      return { id: await this.#clamped(own, each, -32_768, 32_767), units: all };
    }
  }

  /** A scale of elements without a bias changes their units and nothing else. */
  #aliased(id: number, node: FloatLinear, input: Value): Value | undefined {
    if (node.inner !== 1 || node.outputs !== 1) return undefined;
    if (node.bias.some((value) => value !== 0) || node.weights.some((weight) => weight <= 0)) return undefined;
    const units = input.units.map((unit, i) => (unit === 0 ? 0 : unit * node.weights[Math.floor(i / node.positions)]!));
    const open = new Map<number, number>();
    for (let i = 0; i < units.length; i++) {
      if (units[i] === 0) continue;
      const own = this.#units.classOf(id, i);
      const agreed = this.#units.unitOf(id, i) || (open.get(own) ?? units[i]!);
      if (agreed !== units[i]) return undefined;
      open.set(own, units[i]!);
      const base = this.#units.baseOf(id, i);
      if (base !== 0 && exactLog2(units[i]! / base) === undefined) return undefined;
    }
    for (let i = 0; i < units.length; i++) if (units[i] !== 0) this.#units.settle(id, i, units[i]!);
    return { id: input.id, units };
  }

  /**
   * The unit of each row of a linear node, whose weights then lie within `most`. Where the row shares a unit that is
   * too coarse for its weights, its own is finer by a shift that comes after it; where one is too fine, the row keeps
   * its own, and what takes both brings them together.
   */
  #rowUnits(
    id: number,
    node: FloatLinear,
    real: Float64Array,
    most: number,
    largestInput: number,
  ): { units: Float64Array; shifts: Uint8Array } {
    const { inner, positions, bias } = node;
    const rows = bias.length;
    const peaks = new Map<number, number>(); // of classes
    const offsets = new Map<number, number>(); // largest biases of classes
    const sizes = new Map<number, number>(); // of classes, in rows
    const classes = new Int32Array(rows);
    for (let row = 0; row < rows; row++) {
      const own = this.#units.classOf(id, row * positions);
      classes[row] = own;
      peaks.set(own, Math.max(peaks.get(own) ?? 0, peakOf(real, row * inner, inner)));
      offsets.set(own, Math.max(offsets.get(own) ?? 0, Math.abs(bias[row]!)));
      sizes.set(own, (sizes.get(own) ?? 0) + 1);
    }
    const chosen = new Map<number, number>();
    const bases = new Map<number, number>();
    const units = new Float64Array(rows);
    const shifts = new Uint8Array(rows);
    const widest = Math.min(WEIGHT_MAX, most * COARSENESS);
    for (let row = 0; row < rows; row++) {
      const own = classes[row]!;
      const known = chosen.get(own);
      if (known !== undefined) {
        units[row] = known;
        continue;
      }
      const peak = peaks.get(own)!;
      const element = row * positions;
      const family = this.#units.familyOf(id, element);
      const alone = this.#rows.get(family) === 1;
      let base = this.#units.baseOf(id, element) || (bases.get(family) ?? 0);
      let unit = this.#units.unitOf(id, element);
      if (unit !== 0 && peak !== 0) {
        const own = real.subarray(row * inner, (row + 1) * inner);
        const exact = bias[row] === 0 && own.every((value) => Math.abs(value / unit - round(value / unit)) < 1e-6);
        const ratio = peakOf(real, row * inner, inner) / unit;
        const finer =
          bias[row] === 0 ? Number.POSITIVE_INFINITY : (COARSENESS * BIAS_MAX * unit) / Math.abs(bias[row]!);
        const shift = exact || ratio === 0 ? 0 : Math.max(0, floorLog2(Math.min((most - 1) / ratio, finer)) ?? 0);
        const size = (own.reduce((sum, value) => sum + Math.abs(value), 0) / unit) * largestInput;
        if (ratio > widest || finer < 1 || (shift > SPARE_BITS && size > 32_767)) {
          unit = 0;
        } else {
          shifts[row] = shift > SPARE_BITS ? shift : 0;
          units[row] = unit * powerOfTwo(-shifts[row]!);
          continue;
        }
      }
      if (unit === 0 && peak === 0) {
        // A constant: what follows sets the unit, or anything will do.
        const size = offsets.get(own)!;
        unit = base !== 0 ? this.#capped(own, base) : size === 0 ? 0 : size / NARROW_MAX;
        if (unit !== 0) while (size / unit > COARSENESS * BIAS_MAX) unit *= 2;
      } else if (unit === 0) {
        const whole = real.subarray(row * inner, (row + 1) * inner);
        const small = sizes.get(own) === 1 ? smallScale(whole) : undefined;
        let exact = small === undefined ? 0 : 1 / small;
        if (bias[row] !== 0 && largestInput <= FINE) exact *= powerOfTwo(-SMALL_EXTRA_BITS);
        // What a point gives should be of all its bits, for the weights that take it are rounded against others.
        while (exact > (this.#peaks.get(family) ?? exact) && peak / exact <= most / 4) exact /= 2;
        if (base === 0 && exact !== 0) {
          unit = exact;
        } else if (base !== 0 && exact !== 0 && exactLog2(exact / base) !== undefined) {
          unit = exact;
        } else {
          if (base === 0 && alone) base = peak / (most / 2 - 1);
          if (base === 0) base = this.#peaks.get(family) || peak / (most / 2 - 1);
          const limit = alone ? most / 2 - 1 : most - 1;
          // Exact where the row itself is the base: log2(1) = 0.
          unit = base * powerOfTwo(-(floorLog2((limit * base) / peak) ?? 0));
          if (alone && base === peak / (most / 2 - 1)) unit = base;
        }
        // Weights that are nothing beside their bias may vanish.
        while (offsets.get(own)! / unit > BIAS_MAX) unit *= 2;
        const capped = this.#capped(own, unit);
        if (peak / capped <= widest && offsets.get(own)! / capped <= COARSENESS * BIAS_MAX) unit = capped;
      }
      if (unit !== 0) {
        if (base === 0) base = unit;
        if (!bases.has(family)) bases.set(family, base);
        if (peak / unit > WEIGHT_MAX) throw unbounded(`its weights are too large beside what it is added to`);
      }
      chosen.set(own, unit);
      units[row] = unit;
    }
    return { units, shifts };
  }

  /** A unit by which points can still reach their own, where those are set: theirs is never finer. */
  #capped(raw: number, unit: number): number {
    let result = unit;
    for (const { id, element } of this.#narrow.get(raw)?.values() ?? []) {
      const given = this.#units.unitOf(id, element);
      if (given !== 0) while (result > given) result /= 2;
    }
    return result;
  }

  /** Takes back the mean error of each row by its bias; gives the row's values on the samples. */
  async #corrected(
    id: number,
    linear: Extract<GraphNode, { op: "linear" }>,
    units: Float64Array,
  ): Promise<Int32Array[]> {
    const { positions, bias } = linear;
    const values = await this.#builder.evaluate(linear);
    const { values: real } = this.#recording(id);
    const length = units.length * positions;
    units.forEach((unit, row) => {
      if (unit === 0) return;
      let sum = 0;
      let integers = 0;
      values.forEach((value, sample) => {
        for (let i = row * positions; i < (row + 1) * positions; i++) {
          sum += real[sample * length + i]!;
          integers += value[i]!;
        }
      });
      const count = values.length * positions;
      const shift = round((sum / unit - integers) / count);
      // Never beyond what a row of rounded terms may be off by: a correction, not a model of its own.
      if (!Number.isFinite(shift) || Math.abs(shift) > 2 ** 24) return;
      bias[row]! += shift;
      for (const value of values) {
        for (let i = row * positions; i < (row + 1) * positions; i++) value[i]! += shift;
      }
    });
    return values;
  }

  async #lowerPoint(id: number, node: FloatClip | FloatGrid, before: Value): Promise<Value> {
    const length = this.#plan.lengths[id]!;
    const units = new Float64Array(length);
    if (node.op === "grid") {
      const lanes = length / node.scale.length;
      for (let i = 0; i < length; i++) units[i] = before.units[i] === 0 ? 0 : node.scale[Math.floor(i / lanes)]!;
    } else {
      const classes = new Map<number, number[]>();
      for (let i = 0; i < length; i++) {
        if (before.units[i] === 0) continue;
        const own = this.#units.classOf(id, i);
        if (!classes.has(own)) classes.set(own, []);
        classes.get(own)!.push(i);
      }
      for (const [own, elements] of classes) {
        const [first] = elements;
        let unit = this.#units.unitOf(id, first!);
        // Where the class has a unit that these elements would saturate all over, what takes both brings them together.
        const reach = this.#reachOf(new Map([[id, elements]]));
        if (unit === 0 || reach > SATURATION * unit) {
          const all = unit === 0 ? this.#members.get(own)! : new Map([[id, elements]]);
          const coarsest = elements.reduce((most, i) => Math.max(most, before.units[i]!), 0);
          unit = this.#chooseUnit(id, first!, coarsest, all);
          // A limit of a clip that is reached must be an end of the range: if need be, by a multiplier.
          const end = node.max / limitOf(this.#plan.points.get(id)!);
          const reached = elements.some((i) => this.#recording(node.inputs[0]).max[i]! > LIMIT_TOLERANCE * node.max);
          if (node.min === 0 && reached && Math.abs(unit / end - 1) > LIMIT_TOLERANCE - 1) unit = end;
          this.#units.settle(id, first!, unit);
        }
        for (const i of elements) units[i] = unit;
      }
    }
    const { lo, hi } = this.#rangeOf(id, node, units);
    const scaled = await this.#aligned(before, units);
    const own = await this.#clamped(scaled.id, scaled.shifts, lo, hi);
    this.#report(node, own, lo, hi);
    this.#targets.delete(id);
    // What can only be 0 has no unit: its weights onward vanish, and leave the units there to the others.
    const { min, max } = this.#builder.bounds[own]!;
    return { id: own, units: units.map((unit, i) => (min[i] === 0 && max[i] === 0 ? 0 : unit)) };
  }

  /** Ends of a point's integers, inclusive. */
  #rangeOf(id: number, node: FloatClip | FloatGrid, units: Float64Array): { lo: number; hi: number } {
    if (node.op === "grid") {
      if (node.zeroPoint.some((zero) => zero !== node.zeroPoint[0])) {
        throw new AnchorError(
          "MODEL_OP_UNSUPPORTED",
          `${node.node}: activations with a zero point for each channel are not supported; quantise them per tensor`,
        );
      }
      return { lo: node.lo - node.zeroPoint[0]!, hi: node.hi - node.zeroPoint[0]! };
    }
    const point = this.#plan.points.get(id)!;
    let { lo, hi } = { lo: point.lo, hi: point.lo + 2 ** point.bits - 1 };
    const unit = largest(units);
    if (unit === 0) return { lo, hi };
    const end = (real: number) => Math.max(-POINT_MAX, Math.min(POINT_MAX, round(real / unit)));
    const span = 2 ** point.bits - 1;
    if (Number.isFinite(node.min) && node.min !== 0 && node.max !== 0) {
      lo = end(node.min);
      hi = Number.isFinite(node.max) ? end(node.max) : lo + span;
    } else if (Number.isFinite(node.max) && node.min !== 0 && node.max !== 0) {
      hi = end(node.max);
      lo = hi - span;
    }
    return { lo, hi: Math.max(lo + 1, hi) };
  }

  /** The unit at which points saturate nothing of what the calibration set gives them. */
  #reachOf(members: ReadonlyMap<number, readonly number[]>): number {
    let reach = 0;
    for (const [id, elements] of members) {
      const { lo, bits } = this.#plan.points.get(id)!;
      const node = this.#plan.nodes[id] as FloatClip | FloatGrid;
      const limits = node.op === "clip" ? node : { min: -Infinity, max: Infinity };
      const { min, max } = this.#recording(node.inputs[0]);
      const hi = lo + 2 ** bits - 1;
      for (const i of elements) {
        let most = Math.min(max[i]!, limits.max);
        // A silent channel may still fire on other inputs; its negative side is the only hint at its size.
        if (limits.min === 0 && max[i]! <= 0) most = Math.min(-min[i]!, limits.max);
        if (hi > 0 && most > 0) reach = Math.max(reach, most / hi);
        if (lo < 0) reach = Math.max(reach, Math.max(min[i]!, limits.min) / lo);
      }
    }
    return reach;
  }

  /**
   * The unit of a class with the least squared error at its points: a power of two times the family's base, and not
   * finer than what is given.
   */
  #chooseUnit(id: number, element: number, coarsest: number, members: ReadonlyMap<number, readonly number[]>): number {
    const base = this.#units.baseOf(id, element) || coarsest;
    const reach = this.#reachOf(members);
    const finest = ceilLog2(coarsest / base);
    // Wide points have bits to spare for what calibration did not see; others may saturate what is rare.
    const ids = [...members.keys()];
    const wide = ids.every((each) => this.#plan.points.get(each)!.bits >= WIDE_BITS);
    const reached = wide ? WIDE_HEADROOM * reach : reach;
    const safe = Math.max(finest, reach > 0 && Number.isFinite(reach) ? ceilLog2(reached / base) : finest);
    if (wide) return base * powerOfTwo(safe);
    const tables = ids.every((each) => this.#mapsOf(each).length > 0);
    const candidates = tables ? TABLE_CANDIDATES : POINT_CANDIDATES;
    let best = safe;
    let bestError = Number.POSITIVE_INFINITY;
    for (let power = safe; power >= finest && power > safe - candidates; power--) {
      const unit = base * powerOfTwo(power);
      let error = 0;
      for (const [each, elements] of members) error += this.#errorAt(each, elements, unit);
      if (error < bestError) {
        best = power;
        bestError = error;
      }
    }
    return base * powerOfTwo(best);
  }

  /** Squared error of a point's elements on the calibration set; of the function that they go into, where it is one. */
  #errorAt(id: number, elements: readonly number[], unit: number): number {
    const node = this.#plan.nodes[id] as FloatClip | FloatGrid;
    if (node.op === "grid") return 0; // it has its own unit
    const { values } = this.#recording(node.inputs[0]);
    const length = this.#plan.lengths[id]!;
    const { lo, hi } = this.#rangeOf(id, node, Float64Array.of(unit));
    const [map] = this.#mapsOf(id);
    const targets = map === undefined ? undefined : this.#targetsOf(id, map, values);
    const kept = Float64Array.from({ length: map === undefined ? 0 : hi - lo + 1 }, (_, x) =>
      map!.apply((lo + x) * unit),
    );
    let error = 0;
    for (let start = 0; start < values.length; start += length) {
      for (const i of elements) {
        const real = values[start + i]!;
        const integer = Math.min(hi, Math.max(lo, Math.floor(real / unit + 0.5)));
        const lost =
          targets === undefined
            ? Math.max(node.min, Math.min(node.max, real)) - integer * unit
            : targets[start + i]! - kept[integer - lo]!;
        error += lost * lost;
      }
    }
    return error;
  }

  /** What a table should give on the samples. */
  #targetsOf(id: number, map: FloatMap, values: Float32Array): Float32Array {
    let targets = this.#targets.get(id);
    if (targets === undefined) {
      targets = values.map((value) => map.apply(value));
      this.#targets.set(id, targets);
    }
    return targets;
  }

  /** The tables that a point is for, if it is for nothing else. */
  #mapsOf(id: number): readonly FloatMap[] {
    const takers = this.#plan.consumers[id]!.map((each) => this.#plan.nodes[each]!);
    return takers.every((node): node is FloatMap => node.op === "map") ? takers : [];
  }

  /**
   * Shifts that turn a value into the wanted units; where a ratio is no power of two, a multiplier of
   * {@link MULTIPLIER_BITS} comes before the shift.
   */
  async #aligned(before: Value, units: Float64Array): Promise<{ id: number; shifts: Uint8Array }> {
    const length = units.length;
    const shifts = new Uint8Array(length);
    const multipliers = new Int32Array(length).fill(1);
    let plain = true;
    for (let i = 0; i < length; i++) {
      if (before.units[i] === 0 || units[i] === 0) continue;
      const ratio = units[i]! / before.units[i]!;
      const exact = exactLog2(ratio);
      if (exact !== undefined && exact >= 0) {
        shifts[i] = Math.min(exact, GRAPH_LIMITS.shift);
        continue;
      }
      plain = false;
      // multiplier / 2^shift ≈ 1 / ratio
      const power = floorLog2(ratio) ?? 0;
      const shift = Math.max(0, exact !== undefined ? 0 : power + MULTIPLIER_BITS);
      shifts[i] = Math.min(shift, GRAPH_LIMITS.shift);
      // What is multiplied by so much leaves every point's range, or is 0.
      multipliers[i] = Math.min(WEIGHT_MAX, round(powerOfTwo(shift) / ratio));
    }
    if (plain) return { id: before.id, shifts };
    if (this.#builder.bounds[before.id]!.bits + MULTIPLIER_BITS >= ACCUMULATOR_BITS) {
      return this.#aligned(await this.#shifted(before, 16, (i) => i, true), units);
    }
    const id = await this.#diagonal(before.id, multipliers);
    return { id, shifts };
  }

  /** Multiplies each element by an integer. */
  async #diagonal(input: number, multipliers: Int32Array): Promise<number> {
    const positions = runLength(multipliers.length, (i, j) => multipliers[i] === multipliers[j]);
    const groups = multipliers.length / positions;
    return this.#builder.push({
      op: "linear",
      inputs: [input],
      groups,
      positions,
      inner: 1,
      outputs: 1,
      weights: Int16Array.from({ length: groups }, (_, g) => multipliers[g * positions]!),
      bias: new Int32Array(groups),
    });
  }

  /** Rounding shifts into `lo..hi`: one requantisation where that is a power of two wide, and a second for the rest. */
  async #clamped(input: number, shifts: Uint8Array, lo: number, hi: number): Promise<number> {
    const { hull } = this.#builder.bounds[input]!;
    if (hull.min >= lo && hull.max <= hi && shifts.every((shift) => shift === 0)) return input;
    const run = runLength(shifts.length, (i, j) => shifts[i] === shifts[j]);
    const channels = Uint8Array.from({ length: shifts.length / run }, (_, c) => shifts[c * run]!);
    let bits = 1;
    while (2 ** bits < hi - lo + 1) bits++;
    const first = await this.#builder.push({ op: "requant", inputs: [input], shifts: channels, lo, bits });
    if (this.#builder.bounds[first]!.hull.max <= hi) return first;
    return this.#builder.push({
      op: "requant",
      inputs: [first],
      shifts: new Uint8Array(1),
      lo: hi - 2 ** bits + 1,
      bits,
    });
  }

  #report(node: FloatNode, id: number, lo: number, hi: number): void {
    const length = this.#builder.lengthOf(id);
    const fired = new Uint8Array(length);
    let ends = 0;
    for (let sample = 0; sample < this.#builder.sampleCount; sample++) {
      this.#builder.valueOf(id, sample).forEach((value, i) => {
        if (value > lo) fired[i] = 1;
        if (value === hi || (value === lo && lo < 0)) ends++;
      });
    }
    let bits = 1;
    while (lo + 2 ** bits - 1 < hi) bits++;
    this.#points.push({
      node: node.node,
      lo,
      bits,
      elements: length,
      silent: fired.reduce((count, each) => count - each, length),
      saturated: ends / (this.#builder.sampleCount * length),
    });
  }

  async #lowerMap(id: number, node: FloatMap, before: Value): Promise<Value> {
    let input = before;
    let { hull } = this.#builder.bounds[input.id]!;
    if (hull.max - hull.min > 255) {
      input = await this.#shifted(input, 8);
      ({ hull } = this.#builder.bounds[input.id]!);
    }
    const lo = hull.min;
    let bits = 1;
    while (lo + 2 ** bits - 1 < hull.max) bits++;
    const length = this.#plan.lengths[id]!;
    const size = 2 ** bits;
    const most = this.#roomOf(id);
    const { min, max } = this.#builder.bounds[input.id]!;

    const units = new Float64Array(length);
    // What it can give, and what it gives on the samples.
    const possible = new Map<number, number>();
    const typical = new Map<number, number>();
    const known = new Map<string, number>();
    const sizeAt = (x: number, unit: number) => {
      const key = `${x} ${unit}`;
      let size = known.get(key);
      if (size === undefined) {
        size = Math.abs(node.apply(x * unit));
        if (!Number.isFinite(size)) size = 0;
        known.set(key, size);
      }
      return size;
    };
    const grow = (peaks: Map<number, number>, i: number, first: number, last: number) => {
      const own = this.#units.classOf(id, i);
      let peak = peaks.get(own) ?? 0;
      for (let x = first; x <= last; x++) peak = Math.max(peak, sizeAt(x, input.units[i]!));
      peaks.set(own, peak);
    };
    const covered = new Set<string>();
    for (let i = 0; i < length; i++) {
      const key = `${this.#units.classOf(id, i)} ${input.units[i]} ${min[i]} ${max[i]}`;
      if (!covered.has(key)) grow(possible, i, min[i]!, max[i]!);
      covered.add(key);
    }
    for (let sample = 0; sample < this.#builder.sampleCount; sample++) {
      this.#builder.valueOf(input.id, sample).forEach((x, i) => {
        grow(typical, i, x, x);
      });
    }
    // Of a function with a pole, such as 1 / x, what it gives beside the pole would leave nothing for the rest.
    const peaks = new Map<number, number>();
    for (const [own, most] of possible) {
      const usual = TABLE_HEADROOM * (typical.get(own) ?? 0);
      peaks.set(own, most > TABLE_POLE * usual && usual > 0 ? usual : most);
    }
    const [taker] = this.#plan.consumers[id]!.map((each) => this.#plan.nodes[each]!);
    const onGrid = goesToGrid(this.#plan, id) && taker?.op === "grid" && taker.scale.length === 1;
    for (let i = 0; i < length; i++) {
      let unit = onGrid ? taker.scale[0]! : this.#units.unitOf(id, i);
      if (unit === 0) {
        const peak = peaks.get(this.#units.classOf(id, i))!;
        const base = this.#units.baseOf(id, i);
        unit = peak === 0 ? 0 : peak / most;
        if (base !== 0 && peak !== 0) unit = base * powerOfTwo(ceilLog2(unit / base));
        this.#units.settle(id, i, unit);
      }
      units[i] = unit;
    }
    // Lanes with the same table together, where they are not: moving them is free, and tables are not.
    const lanes = new Map<string, number[]>();
    for (let i = 0; i < length; i++) {
      const key = `${input.units[i]} ${units[i]}`;
      const same = lanes.get(key);
      if (same === undefined) lanes.set(key, [i]);
      else same.push(i);
    }
    const sorted = [...lanes.values()].flat();
    const runOf = (order: (k: number) => number) =>
      runLength(length, (i, j) => {
        const [a, b] = [order(i), order(j)];
        return units[a] === units[b] && input.units[a] === input.units[b];
      });
    const plain = runOf((k) => k);
    const together = runOf((k) => sorted[k]!);
    const order = together > plain ? Int32Array.from(sorted) : Int32Array.from(sorted.keys());
    const run = Math.max(plain, together);
    const tables = new Int32Array((length / run) * size);
    for (let c = 0; c < length / run; c++) {
      const first = order[c * run]!;
      const [taken, given] = [input.units[first]!, units[first]!];
      const room = given === 0 ? 0 : Math.ceil((peaks.get(this.#units.classOf(id, first)) ?? 0) / given);
      const limit = Math.min(ENTRY_MAX, Math.max(most, room));
      for (let x = 0; x < size; x++) {
        const real = node.apply((lo + x) * taken);
        const integer = given === 0 ? 0 : round((Number.isNaN(real) ? 0 : real) / given);
        tables[c * size + x] = Math.max(-limit, Math.min(limit, integer));
      }
    }
    const moved = await this.#builder.arrange([input.id], order, []);
    const own = await this.#builder.push({ op: "table", inputs: [moved], lo, bits, tables });
    const back = new Int32Array(length);
    order.forEach((from, k) => {
      back[from] = k;
    });
    return { id: await this.#builder.arrange([own], back, []), units };
  }

  /** Largest integer of a value that a table gives: more where nobody pays for it. */
  #roomOf(id: number): number {
    if (id === this.#plan.nodes.length - 1) return OUTPUT_MAX;
    return this.#onlyWide(id) ? WIDE_MAX : NARROW_MAX;
  }

  /** Sums and normalisations take wider integers at little cost. */
  #onlyWide(id: number): boolean {
    return this.#plan.consumers[id]!.every((taker) => {
      const node = this.#plan.nodes[taker]!;
      if (node.op === "arrange" || (node.op === "linear" && node.inner === 1)) return this.#onlyWide(taker);
      return node.op === "add" || node.op === "normalise" || node.op === "softmax" || this.#plan.points.has(taker);
    });
  }

  async #lowerAdd(id: number, a: Value, b: Value, level = false): Promise<Value> {
    const length = this.#plan.lengths[id]!;
    const units = new Float64Array(length);
    const left = new Int32Array(length).fill(1);
    const right = new Int32Array(length).fill(1);
    const agreed = new Map<string, { unit: number; m: number; n: number }>();
    const open = new Map<number, number>(); // units of classes that have none yet
    for (let i = 0; i < length; i++) {
      const [x, y] = [a.units[i]!, b.units[i]!];
      if (x === 0 || y === 0) {
        units[i] = x || y;
        continue;
      }
      const own = this.#units.classOf(id, i);
      const key = `${x} ${y} ${own}`;
      let sum = agreed.get(key);
      if (sum === undefined) {
        if (level) sum = { unit: x, m: 1, n: 1 };
        else if (goesToGrid(this.#plan, id)) sum = gridUnit(x, y, this.#units.baseOf(id, i));
        else sum = commonUnit(x, y, this.#units.unitOf(id, i) || (open.get(own) ?? 0));
        agreed.set(key, sum);
        if (!open.has(own)) open.set(own, sum.unit);
      }
      units[i] = sum.unit;
      left[i] = sum.m;
      right[i] = sum.n;
    }
    const [first, second] = [await this.#multiplied(a.id, left), await this.#multiplied(b.id, right)];
    const positions = runLength(length, (i, j) => first.rest[i] === first.rest[j] && second.rest[i] === second.rest[j]);
    const groups = length / positions;
    const index = Int32Array.from({ length: 2 * length }, (_, k) => (k % 2) * length + Math.floor(k / 2));
    const same = first.id === second.id;
    const pairs = await this.#builder.arrange(
      same ? [first.id] : [first.id, second.id],
      same ? index.map((from) => from % length) : index,
      [],
    );
    const own = await this.#builder.push({
      op: "linear",
      inputs: [pairs],
      groups,
      positions,
      inner: 2,
      outputs: 1,
      weights: Int16Array.from({ length: 2 * groups }, (_, k) => {
        const i = Math.floor(k / 2) * positions;
        return k % 2 === 0 ? first.rest[i]! : second.rest[i]!;
      }),
      bias: new Int32Array(groups),
    });
    for (let i = 0; i < length; i++) this.#units.settle(id, i, units[i]!);
    return { id: own, units };
  }

  /** Operands rounded to 16 bits of one unit an element: for a sum that does not fit otherwise. */
  async #levelled(a: Value, b: Value): Promise<[Value, Value]> {
    const [left, right] = [this.#builder.bounds[a.id]!, this.#builder.bounds[b.id]!];
    const size = ({ min, max }: typeof left, i: number) => Math.max(max[i]!, -min[i]!);
    const units = a.units.map((unit, i) => {
      const most = Math.max(size(left, i) * unit, size(right, i) * b.units[i]!);
      return unit === 0 && b.units[i] === 0
        ? 0
        : Math.max(most / (2 ** 15 - 1), Math.min(unit || Infinity, b.units[i] || Infinity));
    });
    const level = async (value: Value): Promise<Value> => {
      const { id, shifts } = await this.#aligned(value, units);
      const own = await this.#clamped(id, shifts, -32_768, 32_767);
      return { id: own, units: units.map((unit, i) => (value.units[i] === 0 ? 0 : unit)) };
    };
    return [await level(a), await level(b)];
  }

  /** Splits multipliers that are too large for a weight; what is left over is for the caller. */
  async #multiplied(id: number, multipliers: Int32Array): Promise<{ id: number; rest: Int32Array }> {
    if (multipliers.every((each) => each <= WEIGHT_MAX)) return { id, rest: multipliers };
    const step = 2 ** 12;
    const rest = multipliers.map((each) => (each <= WEIGHT_MAX ? each : round(each / step)));
    if (rest.some((each) => each > WEIGHT_MAX)) throw unbounded("its operands are too different in size");
    const first = await this.#diagonal(
      id,
      multipliers.map((each) => (each <= WEIGHT_MAX ? 1 : step)),
    );
    return { id: first, rest };
  }

  async #lowerMatMul({ groups, rows, inner, cols }: FloatMatMul, a: Value, b: Value): Promise<Value> {
    const left = await this.#sharing(a, (i) => Math.floor(i / inner));
    const right = await this.#sharing(b, (i) => Math.floor(i / inner));
    const unitOf = ({ units }: Value, row: number) => largest(units.subarray(row * inner, (row + 1) * inner));
    const units = Float64Array.from({ length: groups * rows * cols }, (_, i) => {
      const row = Math.floor(i / cols);
      const column = Math.floor(row / rows) * cols + (i % cols);
      return unitOf(left, row) * unitOf(right, column);
    });
    const id = await this.#builder.push({ op: "matMul", inputs: [left.id, right.id], groups, rows, inner, cols });
    return { id, units };
  }

  /**
   * The largest of a row, what each is below it, and a table of exponentials of that. The difference is of
   * accumulators, exact, and then rounded to eight bits that reach as far as an exponential is more than nothing.
   */
  async #lowerSoftmax(id: number, node: FloatSoftmax, before: Value): Promise<Value> {
    const { width } = node;
    const input = await this.#sharing(before, (i) => Math.floor(i / width));
    const length = input.units.length;
    const masked = this.#masks(node.inputs[0], width);
    const seen = Int32Array.from({ length }, (_, i) => {
      if (masked[i] === 0) return i;
      const start = Math.floor(i / width) * width;
      return start + masked.subarray(start, start + width).indexOf(0);
    });
    const x = await this.#builder.arrange([input.id], seen, []);
    const top = await this.#builder.push({ op: "max", inputs: [x], window: width });
    const pairs = await this.#builder.arrange(
      [top, x],
      Int32Array.from({ length: 2 * length }, (_, k) => {
        const i = Math.floor(k / 2);
        return k % 2 === 0 ? Math.floor(i / width) : length / width + i;
      }),
      [],
    );
    const below = await this.#builder.push({
      op: "linear",
      inputs: [pairs],
      groups: 1,
      positions: length,
      inner: 2,
      outputs: 1,
      weights: Int16Array.of(1, -1),
      bias: new Int32Array(1),
    });
    const rows = Float64Array.from({ length: length / width }, (_, row) =>
      largest(input.units.subarray(row * width, (row + 1) * width)),
    );
    const shifts = Uint8Array.from({ length }, (_, i) => {
      const unit = rows[Math.floor(i / width)]!;
      return unit === 0 ? 0 : Math.max(0, Math.min(GRAPH_LIMITS.shift, ceilLog2(EXP_REACH / 255 / unit)));
    });
    const difference = await this.#clamped(below, shifts, 0, 255);
    const { hull } = this.#builder.bounds[difference]!;
    let bits = 1;
    while (hull.min + 2 ** bits - 1 < hull.max) bits++;
    const steps = rows.map((unit, row) => unit * powerOfTwo(shifts[row * width]!));
    const run = runLength(steps.length, (i, j) => steps[i] === steps[j]);
    const tables = new Int32Array((steps.length / run) * 2 ** bits);
    for (let c = 0; c < steps.length / run; c++) {
      // At least 1: a sum of these is never 0, whatever is proven of the largest.
      for (let q = 0; q < 2 ** bits; q++) {
        const real = exp(-Math.max(0, q + hull.min) * steps[c * run]!);
        tables[c * 2 ** bits + q] = Math.max(1, round(EXP_MAX * real));
      }
    }
    let powers = await this.#builder.push({ op: "table", inputs: [difference], lo: hull.min, bits, tables });
    if (masked.some((each) => each === 1)) {
      const index = Int32Array.from({ length }, (_, i) => (masked[i] === 1 ? -1 : i));
      powers = await this.#builder.arrange([powers], index, [0]);
    }
    const scale = this.#shareScale(id, node);
    const own = await this.#builder.push({ op: "share", inputs: [powers], width, scale });
    return { id: own, units: new Float64Array(length).fill(1 / scale) };
  }

  /** Fine enough that an equal share of a row is 16 steps, and much finer than a grid of the file or the output. */
  #shareScale(id: number, { width }: FloatSoftmax): number {
    const exact = goesToGrid(this.#plan, id) || id === this.#plan.nodes.length - 1;
    let scale = exact ? 4096 : 256;
    while (scale < 16 * width && scale < 32_768) scale *= 2;
    return scale - 1;
  }

  /** Logits that a constant mask takes out of every row's softmax. */
  #masks(source: number, width: number): Uint8Array {
    const node = this.#plan.nodes[source]!;
    const masked = new Uint8Array(this.#plan.lengths[source]!);
    if (node.op === "arrange") {
      node.index.forEach((from, i) => {
        if (from < 0 && node.constants[-1 - from] === Number.NEGATIVE_INFINITY) masked[i] = 1;
      });
    }
    for (let start = 0; start < masked.length; start += width) {
      // A row that is masked all over has equal shares, as it would in floats.
      const row = masked.subarray(start, start + width);
      if (row.every((each) => each === 1)) row.fill(0);
    }
    return masked;
  }

  async #lowerNormalise(id: number, node: FloatNormalise, before: Value): Promise<Value> {
    const { width, centred } = node;
    let input = await this.#sharing(before, () => 0);
    if (this.#builder.bounds[input.id]!.bits > WIDE_BITS + 4) input = await this.#shifted(input, WIDE_BITS);
    const length = input.units.length;
    const runs = length / width;
    let value = input;
    if (centred) {
      if (width > WEIGHT_MAX) throw unbounded(`rows of more than ${WEIGHT_MAX} values are not centred`);
      const out = await this.#builder.push({
        op: "linear",
        inputs: [input.id],
        groups: 1,
        positions: runs,
        inner: width,
        outputs: width,
        weights: Int16Array.from({ length: width * width }, (_, k) =>
          Math.floor(k / width) === k % width ? width - 1 : -1,
        ),
        bias: new Int32Array(width),
      });
      const index = Int32Array.from({ length }, (_, i) => (i % width) * runs + Math.floor(i / width));
      value = { id: await this.#builder.arrange([out], index, []), units: input.units.map((unit) => unit / width) };
    }
    // Squares are summed exactly as doubles; the root keeps its precision for rows that are not too small against that.
    const roomy = Math.floor((49 - ceilLog2(width)) / 2);
    if (this.#builder.bounds[value.id]!.bits - 1 > roomy) value = await this.#shifted(value, Math.min(16, roomy + 1));
    const unit = largest(value.units) || 1;
    const epsilon = Math.max(1, Math.min(2 ** 40, round((node.epsilon * width) / (unit * unit))));
    let most = epsilon;
    for (let sample = 0; sample < this.#builder.sampleCount; sample++) {
      const integers = this.#builder.valueOf(value.id, sample);
      for (let start = 0; start < length; start += width) {
        let sum = epsilon;
        for (let i = start; i < start + width; i++) sum += integers[i]! * integers[i]!;
        most = Math.max(most, sum);
      }
    }
    const precision = Math.min(30, ceilLog2(Math.sqrt(most)) + ROOT_BITS);
    const own = await this.#builder.push({ op: "normalise", inputs: [value.id], width, epsilon, precision });
    // The root is rounded down; the unit of least squares takes the mean of that back.
    const { values: real } = this.#recording(id);
    let [cross, square] = [0, 0];
    for (let sample = 0; sample < this.#builder.sampleCount; sample++) {
      this.#builder.valueOf(own, sample).forEach((integer, i) => {
        cross += real[sample * length + i]! * integer;
        square += integer * integer;
      });
    }
    const plain = Math.sqrt(width) / powerOfTwo(precision);
    const fitted = square > 0 ? cross / square : plain;
    const given = fitted > plain / 2 && fitted < plain * 2 ? fitted : plain;
    this.#units.settle(id, 0, given);
    return { id: own, units: new Float64Array(length).fill(given) };
  }

  async #lowerLookup(id: number, node: FloatLookup, before: Value): Promise<Value> {
    const { rows, width, entries } = node;
    const most = this.#onlyWide(id) ? WIDE_MAX : NARROW_MAX;
    const length = this.#plan.lengths[id]!;
    const columns = new Float64Array(width);
    const peaks = new Map<number, number>();
    for (let j = 0; j < width; j++) {
      const own = this.#units.classOf(id, j);
      let peak = peaks.get(own) ?? 0;
      for (let row = 0; row < rows; row++) peak = Math.max(peak, Math.abs(entries[row * width + j]!));
      peaks.set(own, peak);
    }
    for (let j = 0; j < width; j++) {
      let unit = this.#units.unitOf(id, j);
      if (unit === 0) {
        const base = this.#units.baseOf(id, j);
        unit = peaks.get(this.#units.classOf(id, j))! / most;
        if (base !== 0 && unit !== 0) unit = base * powerOfTwo(ceilLog2(unit / base));
        this.#units.settle(id, j, unit);
      }
      columns[j] = unit;
    }
    const own = await this.#builder.push({
      op: "lookup",
      inputs: [before.id],
      rows,
      width,
      entries: Int16Array.from(entries, (entry, i) => {
        const unit = columns[i % width]!;
        return unit === 0 ? 0 : Math.max(-WEIGHT_MAX, Math.min(WEIGHT_MAX, round(entry / unit)));
      }),
    });
    return { id: own, units: Float64Array.from({ length }, (_, i) => columns[i % width]!) };
  }

  /**
   * A value whose elements with the same key have one unit. Where the plan could not arrange for that, the finer are
   * rounded and the coarser multiplied, to integers of not many more bits than there were.
   */
  async #sharing(value: Value, key: (element: number) => number): Promise<Value> {
    const groups = new Map<number, { finest: number; coarsest: number; size: number }>();
    const { min, max, bits } = this.#builder.bounds[value.id]!;
    value.units.forEach((unit, i) => {
      if (unit === 0) return;
      const size = Math.max(max[i]!, -min[i]!) * unit;
      const group = groups.get(key(i));
      if (group === undefined) {
        groups.set(key(i), { finest: unit, coarsest: unit, size });
      } else {
        group.finest = Math.min(group.finest, unit);
        group.coarsest = Math.max(group.coarsest, unit);
        group.size = Math.max(group.size, size);
      }
    });
    if ([...groups.values()].every(({ finest, coarsest }) => finest === coarsest)) return value;
    // Accumulators are multiplied up where there is room.
    const exact = value.units.every(
      (unit, i) => unit === 0 || exactLog2(unit / groups.get(key(i))!.finest) !== undefined,
    );
    const most = [...groups.values()].reduce((peak, { finest, size }) => Math.max(peak, size / finest), 0);
    const spare = Math.min(MULTIPLIER_BITS, 29 - ceilLog2(most));
    if (bits > 9 && (exact ? spare >= 0 : spare >= MULTIPLIER_BITS / 2)) {
      const fraction = exact ? 1 : powerOfTwo(-spare);
      const units = value.units.map((unit, i) => (unit === 0 ? 0 : groups.get(key(i))!.finest * fraction));
      const multipliers = Int32Array.from(units, (unit, i) => (unit === 0 ? 1 : round(value.units[i]! / unit)));
      if (multipliers.every((each) => each <= WEIGHT_MAX)) {
        return { id: await this.#diagonal(value.id, multipliers), units };
      }
    }
    const kept = bits <= 9 ? 9 : 15;
    const units = value.units.map((unit, i) => {
      if (unit === 0) return 0;
      const { finest, coarsest, size } = groups.get(key(i))!;
      const fitting = size / (2 ** kept - 1);
      return Math.max(fitting, Math.min(coarsest, Math.max(finest, fitting)));
    });
    const { id, shifts } = await this.#aligned(value, units);
    return { id: await this.#clamped(id, shifts, -(2 ** kept), 2 ** kept - 1), units };
  }

  /**
   * A value rounded to the given bits, by one shift for all elements with the same key: far enough for a multiple of
   * what was seen on the samples. What is proven can be far above that; it saturates, unless it is asked for.
   */
  async #shifted(
    value: Value,
    bits: number,
    key: (element: number) => number = () => 0,
    proven = false,
  ): Promise<Value> {
    const half = 2 ** (bits - 1);
    const { min, max } = this.#builder.bounds[value.id]!;
    const seen = new Float64Array(value.units.length);
    for (let sample = 0; sample < this.#builder.sampleCount; sample++) {
      this.#builder.valueOf(value.id, sample).forEach((integer, i) => {
        seen[i] = Math.max(seen[i]!, SHIFT_HEADROOM * Math.abs(integer));
      });
    }
    const needed = new Map<number, number>();
    value.units.forEach((_, i) => {
      let shift = needed.get(key(i)) ?? 0;
      const bound = Math.max(max[i]!, -min[i]!);
      const most = proven ? bound : Math.min(seen[i]!, bound);
      while (most / half > 2 ** shift) shift++;
      needed.set(key(i), shift);
    });
    const { hull } = this.#builder.bounds[value.id]!;
    if ([...needed.values()].every((shift) => shift === 0) && hull.min >= -half && hull.max < half) return value;
    const shifts = Uint8Array.from(value.units, (_, i) => needed.get(key(i))!);
    const id = await this.#clamped(value.id, shifts, -half, half - 1);
    return { id, units: value.units.map((unit, i) => unit * powerOfTwo(shifts[i]!)) };
  }

  /** Lowers as it is, or else from inputs of fewer bits; the last time with whatever precision there is. */
  async #fitting(
    node: FloatNode,
    inputs: readonly Value[],
    make: (inputs: readonly Value[], last: boolean) => Promise<Value>,
  ): Promise<Value> {
    let taken = inputs;
    for (const bits of [16, 12]) {
      try {
        return await make(taken, false);
      } catch (error) {
        if (!isAnchorError(error, "MODEL_UNBOUNDED")) throw error;
        const sources = inputsOf(node);
        const narrower: Value[] = [];
        for (const [i, input] of taken.entries()) {
          narrower.push(await this.#shifted(input, bits, (element) => this.#units.classOf(sources[i]!, element)));
        }
        taken = narrower;
      }
    }
    return make(taken, true);
  }
}

/** The unit of a sum, and what each operand is multiplied by. */
function commonUnit(x: number, y: number, agreed: number): { unit: number; m: number; n: number } {
  if (agreed !== 0) {
    const [m, n] = [round(x / agreed), round(y / agreed)];
    // An operand that is finer than the unit that was agreed on would vanish; then the sum has its own.
    if (m >= 1 && n >= 1 && close(m, x / agreed) && close(n, y / agreed)) return { unit: agreed, m, n };
  }
  const [fine, coarse] = x < y ? [x, y] : [y, x];
  const ratio = coarse / fine;
  if (ratio > 2 ** 26) throw unbounded("its operands are too different in size");
  let best = 1;
  for (let m = 1; m < 2 ** MULTIPLIER_BITS; m++) {
    const lost = Math.abs(round(m * ratio) / (m * ratio) - 1);
    if (lost < Math.abs(round(best * ratio) / (best * ratio) - 1)) best = m;
    if (lost <= 2 ** -(MULTIPLIER_BITS + 1)) break;
  }
  const other = round(best * ratio);
  return x < y ? { unit: fine / best, m: best, n: other } : { unit: fine / best, m: other, n: best };
}

/** A sum that goes to a grid of the file: its unit is the grid's by a power of two, and the multipliers are wide. */
function gridUnit(x: number, y: number, base: number): { unit: number; m: number; n: number } {
  if (base === 0) return commonUnit(x, y, 0);
  const unit = base * powerOfTwo((floorLog2(Math.max(x, y) / base) ?? 0) - GRID_WEIGHT_BITS);
  const [m, n] = [round(x / unit), round(y / unit)];
  return m >= 1 && n >= 1 ? { unit, m, n } : commonUnit(x, y, 0);
}

function close(integer: number, real: number): boolean {
  return Math.abs(integer / real - 1) <= 2 ** -MULTIPLIER_BITS;
}

function limitOf({ lo, bits }: Point): number {
  return Math.max(lo + 2 ** bits - 1, -lo - 1);
}

function peakOf(values: Float64Array, start: number, count: number): number {
  let peak = 0;
  for (let i = start; i < start + count; i++) peak = Math.max(peak, Math.abs(values[i]!));
  return peak;
}

function largest(values: Float64Array): number {
  let most = 0;
  for (const value of values) if (value > most) most = value;
  return most;
}

function concatenated(parts: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Largest magnitude that a linear node can give, for inputs in these bounds. */
function extent(node: Extract<GraphNode, { op: "linear" }>, min: Int32Array, max: Int32Array): number {
  const { groups, positions, inner, outputs, weights, bias } = node;
  let most = 0;
  for (let g = 0; g < groups; g++) {
    for (let o = 0; o < outputs; o++) {
      const row = g * outputs + o;
      for (let p = 0; p < positions; p++) {
        const from = (g * positions + p) * inner;
        let [least, greatest] = [bias[row]!, bias[row]!];
        for (let k = 0; k < inner; k++) {
          const weight = weights[row * inner + k]!;
          const [low, high] = [weight * min[from + k]!, weight * max[from + k]!];
          least += weight < 0 ? high : low;
          greatest += weight < 0 ? low : high;
        }
        most = Math.max(most, greatest, -least);
      }
    }
  }
  return most;
}

function unbounded(problem: string): AnchorError {
  return new AnchorError("MODEL_UNBOUNDED", problem);
}
