/**
 * Which integers must have one unit, before any unit is known.
 *
 * Every integer stands for a real number, `float ≈ integer · unit`. Units are free where weights can absorb them; two
 * relations over all elements of all values say where they are not, and both are found by union-find:
 *
 * - a *class* has one unit: what a linear node multiplies by one weight at several positions, what is compared (max,
 *   softmax, the output), what is summed without weights (both sides of a product of matrices, normalisations);
 * - a *family* has units that are powers of two of each other: what a point takes and what it gives, the operands and
 *   the result of a sum. Its rounding shifts and multipliers are then exact.
 *
 * @module
 */

import type { FloatLinear, FloatNode } from "../float.js";
import { locator, sizeOf } from "../graph.js";
import { inputsOf } from "../run.js";
import { exactLog2 } from "./numbers.js";
import type { Plan } from "./plan.js";

export class Units {
  readonly #starts: Int32Array;
  readonly #classes: Int32Array;
  readonly #families: Int32Array;
  /** Unit of a class, 0 while it is open. */
  readonly #units = new Map<number, number>();
  /** A unit that all of a family are powers of two of. */
  readonly #bases = new Map<number, number>();

  constructor(plan: Plan) {
    this.#starts = new Int32Array(plan.lengths.length + 1);
    plan.lengths.forEach((length, id) => {
      this.#starts[id + 1] = this.#starts[id]! + length;
    });
    const total = this.#starts.at(-1)!;
    this.#classes = Int32Array.from({ length: total }, (_, i) => i);
    for (const [id, node] of plan.nodes.entries()) this.#relate(plan, node, id);
    const last = plan.nodes.length - 1;
    this.#share(last, range(0, plan.lengths[last]!)); // whoever reads the output compares its values
    // What a product gives must share where its result must: from the end to the start, and again while a node
    // before learns of it. More rounds than these only a contrived graph has; its units are aligned by multipliers.
    for (let round = 0; round < 4; round++) {
      let changed = false;
      for (let id = plan.nodes.length - 1; id > 0; id--) changed = this.#relateBack(plan, id) || changed;
      if (!changed) break;
    }
    this.#families = this.#classes.slice();
    plan.nodes.forEach((node, id) => {
      if (plan.points.has(id)) {
        for (let i = 0; i < plan.lengths[id]!; i++)
          this.#unite(this.#families, this.#at(id, i), this.#at(inputsOf(node)[0]!, i));
      } else if (node.op === "add") {
        for (const operand of node.inputs) {
          if (isOnGrid(plan, operand)) continue;
          for (let i = 0; i < plan.lengths[id]!; i++)
            this.#unite(this.#families, this.#at(id, i), this.#at(operand, i));
        }
      }
    });
    // After all others: whether what a row takes is of one family depends on them.
    for (const [id, node] of plan.nodes.entries())
      if (node.op === "linear" && !goesToGrid(plan, id)) this.#passOn(id, node);
  }

  classOf(id: number, element: number): number {
    return find(this.#classes, this.#at(id, element));
  }

  familyOf(id: number, element: number): number {
    return find(this.#families, this.#at(id, element));
  }

  /** Number of rows of linear nodes in each family. */
  countRows(nodes: readonly FloatNode[]): Map<number, number> {
    const rows = new Map<number, number>();
    nodes.forEach((node, id) => {
      if (node.op !== "linear") return;
      for (let row = 0; row < node.bias.length; row++) {
        const family = this.familyOf(id, row * node.positions);
        rows.set(family, (rows.get(family) ?? 0) + 1);
      }
    });
    return rows;
  }

  /** 0 while it is open. */
  unitOf(id: number, element: number): number {
    return this.#units.get(this.classOf(id, element)) ?? 0;
  }

  /** 0 while it is open. */
  baseOf(id: number, element: number): number {
    return this.#bases.get(this.familyOf(id, element)) ?? 0;
  }

  /** The first unit that a class gets is its unit, and the first of a family its base. */
  settle(id: number, element: number, unit: number): void {
    if (unit === 0) return;
    const own = this.classOf(id, element);
    if (!this.#units.has(own)) this.#units.set(own, unit);
    this.settleBase(id, element, unit);
  }

  settleBase(id: number, element: number, base: number): void {
    const family = this.familyOf(id, element);
    if (!this.#bases.has(family)) this.#bases.set(family, base);
  }

  #at(id: number, element: number): number {
    return this.#starts[id]! + element;
  }

  #share(id: number, elements: Iterable<number>): boolean {
    let first = -1;
    let changed = false;
    for (const element of elements) {
      if (first === -1) first = element;
      else changed = this.#unite(this.#classes, this.#at(id, first), this.#at(id, element)) || changed;
    }
    return changed;
  }

  #unite(parents: Int32Array, a: number, b: number): boolean {
    const [x, y] = [find(parents, a), find(parents, b)];
    if (x === y) return false;
    // The lowest element leads: the same leader in every order of uniting.
    parents[Math.max(x, y)] = Math.min(x, y);
    return true;
  }

  #relate(plan: Plan, node: FloatNode, id: number): void {
    const length = plan.lengths[id]!;
    const from = inputsOf(node)[0]!;
    const taken = plan.lengths[from] ?? 0;
    switch (node.op) {
      case "input":
      case "softmax":
        this.#share(id, range(0, length));
        if (node.op === "softmax") this.#shareRuns(from, taken, node.width);
        return;
      case "adapter": {
        let start = 0;
        for (const { shape } of node.parts) {
          const size = sizeOf(shape);
          this.#share(id, range(start, start + size));
          start += size;
        }
        return;
      }
      case "arrange": {
        const at = arranged(plan, id);
        for (let k = 0; k < length; k++) {
          if (node.index[k]! >= 0) this.#unite(this.#classes, this.#at(id, k), at(node.index[k]!));
        }
        return;
      }
      case "linear": {
        const { groups, positions, inner, outputs } = node;
        for (let g = 0; g < groups; g++) {
          for (let k = 0; k < inner; k++) {
            const start = g * positions * inner + k;
            this.#share(from, range(start, start + positions * inner, inner));
          }
        }
        this.#shareRuns(id, groups * outputs * positions, positions);
        return;
      }
      case "clip":
        // Limits that are not 0 are integers of the one unit.
        if (Number.isFinite(node.min) ? node.min !== 0 : Number.isFinite(node.max) && node.max !== 0) {
          this.#share(id, range(0, length));
        }
        this.#follow(id, node.inputs, length);
        return;
      case "map":
      case "add":
        this.#follow(id, node.inputs, length);
        return;
      case "max":
        this.#shareRuns(from, taken, node.window);
        for (let m = 0; m < length; m++) this.#unite(this.#classes, this.#at(id, m), this.#at(from, m * node.window));
        return;
      case "matMul":
        for (const side of node.inputs) this.#shareRuns(side, plan.lengths[side]!, node.inner);
        return;
      case "normalise":
        this.#share(from, range(0, taken));
        this.#share(id, range(0, length));
        return;
      case "lookup":
        for (let j = 0; j < node.width; j++) this.#share(id, range(j, length, node.width));
        return;
      case "argMax":
        this.#shareRuns(from, taken, node.width);
        this.#share(id, range(0, length));
        return;
      default:
    }
  }

  /**
   * What comes from one class is one class: all positions of a channel. Units of their own for positions would save a
   * bit here and there, and be chosen on a few numbers each; and every one would need a table of its own.
   */
  #follow(id: number, inputs: readonly number[], length: number): void {
    const first = new Map<string, number>();
    for (let i = 0; i < length; i++) {
      const key = inputs.map((input) => this.classOf(input, i)).join(" ");
      const other = first.get(key);
      if (other === undefined) first.set(key, i);
      else this.#unite(this.#classes, this.#at(id, other), this.#at(id, i));
    }
  }

  /** Rows of equal powers of two (sums, means, shifts by constants) keep the family of what they take. */
  #passOn(id: number, { inputs, groups, positions, inner, outputs, weights }: FloatLinear): void {
    for (let row = 0; row < groups * outputs; row++) {
      const own = weights.subarray(row * inner, (row + 1) * inner);
      const size = Math.abs(own[0]!);
      if (exactLog2(size) === undefined || own.some((weight) => Math.abs(weight) !== size)) continue;
      const start = Math.floor(row / outputs) * positions * inner;
      const first = this.familyOf(inputs[0], start);
      let same = true;
      for (let i = 1; same && i < positions * inner; i++) same = this.familyOf(inputs[0], start + i) === first;
      if (same) this.#unite(this.#families, this.#at(id, row * positions), this.#at(inputs[0], start));
    }
  }

  #shareRuns(id: number, length: number, width: number): boolean {
    let changed = false;
    for (let start = 0; start < length; start += width)
      changed = this.#share(id, range(start, start + width)) || changed;
    return changed;
  }

  /** Units of products are products: elements of one class want factors of one class. */
  #relateBack(plan: Plan, id: number): boolean {
    const node = plan.nodes[id]!;
    const length = plan.lengths[id]!;
    if (node.op !== "mul" && node.op !== "matMul" && !plan.points.has(id)) return false;
    if (plan.points.has(id) && hasOwnWeights(plan, inputsOf(node)[0]!)) return false;
    const first = new Map<number, number>();
    let changed = false;
    const same = (value: number, a: number, b: number) => {
      changed = this.#unite(this.#classes, this.#at(value, a), this.#at(value, b)) || changed;
    };
    for (let i = 0; i < length; i++) {
      const own = this.classOf(id, i);
      const other = first.get(own);
      if (other === undefined) {
        first.set(own, i);
      } else if (node.op === "matMul") {
        const { rows, cols, inner } = node;
        const left = (element: number) => Math.floor(element / cols) * inner;
        const right = (element: number) => (Math.floor(element / (rows * cols)) * cols + (element % cols)) * inner;
        same(node.inputs[0], left(i), left(other));
        same(node.inputs[1], right(i), right(other));
      } else {
        for (const input of inputsOf(node)) same(input, i, other);
      }
    }
    return changed;
  }
}

/** True where the rows of linear nodes can give a value any unit. */
export function hasOwnWeights(plan: Plan, id: number): boolean {
  const node = plan.nodes[id]!;
  switch (node.op) {
    case "linear":
      return true;
    case "arrange":
    case "max":
      return node.inputs.every((input) => hasOwnWeights(plan, input));
    case "add":
      return node.inputs.some((input) => hasOwnWeights(plan, input));
    default:
      return false;
  }
}

/** A grid of the file says what this becomes, to the last bit. */
export function goesToGrid(plan: Plan, id: number): boolean {
  return (
    plan.consumers[id]!.length > 0 &&
    plan.consumers[id]!.every((taker) => {
      const { op } = plan.nodes[taker]!;
      return op === "grid" || ((op === "arrange" || op === "max") && goesToGrid(plan, taker));
    })
  );
}

function isOnGrid(plan: Plan, id: number): boolean {
  const node = plan.nodes[id]!;
  return node.op === "grid" || (node.op === "arrange" && node.inputs.some((input) => isOnGrid(plan, input)));
}

/** From an index of an arrange node to an element of all. */
function arranged(plan: Plan, id: number): (from: number) => number {
  const inputs = inputsOf(plan.nodes[id]!);
  const starts = [0];
  for (const length of plan.lengths) starts.push(starts.at(-1)! + length);
  const locate = locator(inputs.map((input) => plan.lengths[input]!));
  return (from) => {
    const [source, element] = locate(from);
    return starts[inputs[source]!]! + element;
  };
}

function* range(start: number, end: number, step = 1): Generator<number> {
  for (let i = start; i < end; i += step) yield i;
}

function find(parents: Int32Array, element: number): number {
  let at = element;
  while (parents[at] !== at) {
    parents[at] = parents[parents[at]!]!;
    at = parents[at]!;
  }
  return at;
}
