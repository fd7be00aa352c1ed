import { type Combination, type Lanes, ONE, type Synthesis, scaled } from "../../../circuit/synthesis/synthesis.js";
import { bitLength } from "../../bounds.js";
import type { TableNode } from "../../graph.js";
import type { Gadget } from "../gadget.js";
import { splitRest } from "./bits.js";

/** Twin of `circuits/inference/table.circom`. */
export const table: Gadget<TableNode> = {
  ports: ["in"],
  instance({ node, inputBounds: [before] }) {
    const { lo, bits, tables } = node;
    return {
      file: "inference/table.circom",
      template: "Table",
      parameters: [
        ["count", before!.min.length],
        ["channels", tables.length / 2 ** bits],
        ["bits", bits],
        ["lo", lo],
        ["tables", tables],
        ["min", before!.min],
        ["max", before!.max],
      ],
    };
  },
  synthesise({ s, node, inputBounds: [before], inputs, out }) {
    const { lo, bits, tables } = node;
    const lanes = out.wires.length / (tables.length / 2 ** bits);
    const plans = plansOf(node);
    for (let i = 0; i < out.wires.length; i++) {
      const [min, max] = [before!.min[i]!, before!.max[i]!];
      const channel = Math.floor(i / lanes);
      const key = (channel * 2 ** bits + min - lo) * 2 ** bits + max - lo;
      let plan = plans.get(key);
      if (plan === undefined) {
        const first = channel * 2 ** bits - lo;
        plan = planOf(tables.subarray(first + min, first + max + 1), min);
        plans.set(key, plan);
      }
      s.enter("lane", i);
      out.wires[i] = tableLane(s, plan, inputs[0]!, i, out.values[i]!);
      s.leave();
    }
  },
};

/** What the template works out of a lane's table when it is compiled. */
type Plan = StraightPlan | SplitPlan;

interface StraightPlan {
  readonly min: number;
  readonly base: number;
  readonly slope: number;
}

interface SplitPlan {
  readonly slope: undefined;
  readonly min: number;
  readonly bits: number;
  readonly low: Half;
  readonly high: Half;
  /** Of each product, after what is none: entries of the row of D, by l. */
  readonly rows: readonly Int32Array[];
  /** Of each h, the number of its row; 0 for none. */
  readonly taken: Uint8Array;
}

/** The forms of one half's bits. */
interface Half {
  readonly bits: number;
  /** Sets of two bits or more whose product is a wire, in order. */
  readonly products: readonly number[];
  /** By number: coefficients by set of bits. */
  readonly forms: readonly Int32Array[];
}

/** Plans by channel and range: of a node that is worked on again for every witness. */
const known = new WeakMap<TableNode, Map<number, Plan>>();

function plansOf(node: TableNode): Map<number, Plan> {
  let plans = known.get(node);
  if (!plans) known.set(node, (plans = new Map()));
  return plans;
}

function planOf(entries: Int32Array, min: number): Plan {
  const base = entries[0]!;
  const slope = entries.length === 1 ? 0 : entries[1]! - base;
  if (entries.every((entry, x) => entry === base + slope * x)) return { min, base, slope };

  const bits = bitLength(entries.length - 1);
  const lowBits = Math.floor((bits + 1) / 2);
  const width = 2 ** lowBits;
  const height = 2 ** (bits - lowBits);
  const at = (h: number, l: number) => entries[Math.min(h * width + l, entries.length - 1)]!;
  const first = [0];
  const taken = new Uint8Array(height);
  const rows: Int32Array[] = [];
  for (let h = 1; h < height; h++) {
    const row = Int32Array.from({ length: width }, (_, l) => at(h, l) - at(h, 0) - at(0, l) + at(0, 0));
    let number = row.every((entry) => entry === 0) ? 0 : rows.findIndex((other) => equal(row, other)) + 1;
    if (number === 0 && row.some((entry) => entry !== 0)) {
      number = rows.push(row);
      first.push(h);
    }
    taken[h] = number;
  }
  const lows = [Int32Array.from({ length: width }, (_, l) => at(0, l)), ...rows];
  const highs = first.map((_, g) =>
    Int32Array.from({ length: height }, (__, h) => (g === 0 ? at(h, 0) - at(0, 0) : taken[h] === g ? 1 : 0)),
  );
  const half = (count: number, values: readonly Int32Array[]): Half => {
    const forms = values.map(multilinear);
    return { bits: count, products: productsOf(forms), forms };
  };
  return { slope: undefined, min, bits, low: half(lowBits, lows), high: half(bits - lowBits, highs), rows, taken };
}

function equal(a: Int32Array, b: Int32Array): boolean {
  return a.every((entry, i) => entry === b[i]);
}

/** Coefficients of the polynomial that has these values where its variables are the bits of the index. */
function multilinear(values: Int32Array): Int32Array {
  const coefficients = Int32Array.from(values);
  for (let step = 1; step < values.length; step *= 2) {
    for (let s = 0; s < values.length; s++) if (s & step) coefficients[s]! -= coefficients[s - step]!;
  }
  return coefficients;
}

/** Products of bits that forms use, and those that they are made from. */
function productsOf(forms: readonly Int32Array[]): number[] {
  const products: number[] = [];
  const used = forms[0]!.map((_, s) => (forms.some((form) => form[s] !== 0) ? 1 : 0));
  for (let s = used.length - 1; s > 0; s--) {
    const others = s - highestBit(s);
    if (used[s] === 0 || others === 0) continue;
    used[others] = 1;
    products.unshift(s);
  }
  return products;
}

function highestBit(s: number): number {
  return 2 ** (bitLength(s) - 1);
}

/**
 * Twin of `table_lane.circom`. What has to do with the highest bit is multiplied by its power of two, so that all
 * coefficients are integers.
 */
function tableLane(s: Synthesis, plan: Plan, from: Lanes, index: number, value: number): number {
  const { min } = plan;
  if (plan.slope !== undefined) {
    const { base, slope } = plan;
    if (slope === 0) return ONE;
    if (slope === 1 && base === min) return from.wires[index]!;
    const out = s.wire(value, "out");
    s.row(
      undefined,
      undefined,
      s
        .combination(base - slope * min)
        .lane(slope, from, index)
        .add(-1, out),
    );
    return out;
  }
  const { bits, low, high, rows, taken } = plan;
  const width = 2 ** low.bits;
  const x = from.values[index]! - min;
  const [l, h] = [x % width, Math.floor(x / width)];

  const rest = s.combination(-min).lane(1, from, index);
  const first = splitRest(s, x, rest, bits, "bits");
  const top = 2 ** (bits - 1);
  const highest = 2 ** (high.bits - 1);

  // Wire of each product of bits, by set; the highest bit alone has none.
  const lowWires = new Int32Array(width);
  for (let i = 0; i < low.bits; i++) lowWires[2 ** i] = first + i;
  low.products.forEach((set, i) => {
    const bit = highestBit(set);
    lowWires[set] = s.wire((l & set) === set ? 1 : 0, "low", i);
    const factor = s.combination().add(1, lowWires[set - bit]!);
    s.row(factor, s.combination().add(1, lowWires[bit]!), s.combination().add(1, lowWires[set]!));
  });
  const highWires = new Int32Array(2 ** high.bits);
  for (let i = 0; i < high.bits - 1; i++) highWires[2 ** i] = first + low.bits + i;
  high.products.forEach((set, i) => {
    const bit = highestBit(set);
    highWires[set] = s.wire((h & set) === set ? 1 : 0, "high", i);
    const factor = s.combination().add(1, highWires[set - bit]!);
    if (bit === highest) s.row(factor, rest, s.combination().add(top, highWires[set]!));
    else s.row(factor, s.combination().add(1, highWires[bit]!), s.combination().add(1, highWires[set]!));
  });

  /** A form of the lower half, times a factor. */
  const ofLow = (number: number, factor: number): Combination => {
    const form = low.forms[number]!;
    const sum = s.combination(scaled(factor, form[0]!));
    if (s.writing) {
      for (let set = 1; set < width; set++) if (form[set] !== 0) sum.add(scaled(factor, form[set]!), lowWires[set]!);
    }
    return sum;
  };
  /** `top` times a form of the upper half. */
  const ofHigh = (number: number): Combination => {
    const form = high.forms[number]!;
    const sum = s.combination(scaled(top, form[0]!));
    if (s.writing) {
      for (let set = 1; set < form.length; set++) {
        if (form[set] === 0) continue;
        if (set === highest) sum.plus(rest, form[set]!);
        else sum.add(scaled(top, form[set]!), highWires[set]!);
      }
    }
    return sum;
  };

  if (rows.length === 0) {
    const copy = copied(low, lowWires, high, highWires);
    if (copy !== undefined) return copy;
    const out = s.wire(value, "out");
    s.row(undefined, undefined, ofLow(0, top).plus(ofHigh(0)).add(-top, out));
    return out;
  }
  const mixed = s.combination();
  for (let g = 1; g < rows.length; g++) {
    const wire = s.wire(taken[h] === g ? rows[g - 1]![l]! : 0, "mixed", g - 1);
    s.row(ofHigh(g), ofLow(g, 1), s.combination().add(top, wire));
    mixed.add(-top, wire);
  }
  const out = s.wire(value, "out");
  s.row(ofHigh(rows.length), ofLow(rows.length, 1), mixed.plus(ofLow(0, -top)).plus(ofHigh(0), -1).add(top, out));
  return out;
}

/** The wire that is the whole of a table's sum without products, where there is one: a table of one bit, or of a product. */
function copied(low: Half, lowWires: Int32Array, high: Half, highWires: Int32Array): number | undefined {
  const [ofLow, ofHigh] = [low.forms[0]!, high.forms[0]!];
  if (ofLow[0] !== 0) return undefined;
  const terms: [number, number][] = [];
  for (let set = 1; set < ofLow.length; set++) if (ofLow[set] !== 0) terms.push([ofLow[set]!, lowWires[set]!]);
  for (let set = 1; set < ofHigh.length; set++) if (ofHigh[set] !== 0) terms.push([ofHigh[set]!, highWires[set]!]);
  const [coefficient, wire] = terms[0]!;
  return terms.length === 1 && coefficient === 1 && wire !== ONE ? wire : undefined; // the highest bit is no wire
}
