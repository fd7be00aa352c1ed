/** Random integer graphs of every kind of node, and inputs for them. */
import fc from "fast-check";
import { proveBounds } from "../../src/model/bounds.js";
import { adapterOf, adapterSize, type GraphNode, inputOf, inputSize, type ModelGraph } from "../../src/model/graph.js";

/** Numbers below a bound from a seed; the same on every machine. */
export function lcg(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** What a step of {@link buildGraph} may add. */
export const STEPS = [
  "arrange",
  "linear",
  "requant",
  "table",
  "max",
  "mul",
  "matMul",
  "share",
  "normalise",
  "argMax",
] as const;
export type Step = (typeof STEPS)[number];

export interface GraphPlan {
  readonly seed: number;
  readonly steps: readonly Step[];
  readonly input?: { readonly size: number; readonly lo: number; readonly bits: number };
  /** Private weights of this number. */
  readonly adapter?: number;
  /** The input is of indices into an embedding of so many rows. */
  readonly rows?: number;
}

/** A graph by a plan; every step takes the value before it, brought into its domain first where need be. */
export function buildGraph({ seed, steps, input, adapter, rows }: GraphPlan): ModelGraph {
  const below = lcg(seed);
  const between = (min: number, max: number) => min + below(max - min + 1);
  const { size, lo, bits } = input ?? {
    size: between(1, 6),
    ...[
      { lo: 0, bits: 7 },
      { lo: -128, bits: 8 },
    ][below(2)]!,
  };
  const nodes: GraphNode[] = [
    rows === undefined
      ? { op: "input", shape: [size], lo, bits, scaleLog2: 0 }
      : { op: "input", shape: [size], lo: 0, bits: Math.ceil(Math.log2(rows)), scaleLog2: 0 },
  ];
  if (adapter !== undefined) {
    nodes.push({ op: "adapter", parts: [{ name: "lora_A", shape: [adapter] }], lo: -128, bits: 8, alpha: "8" });
  }
  let last = 0;
  const add = (node: GraphNode) => {
    nodes.push(node);
    last = nodes.length - 1;
  };
  const bounds = () => proveBounds({ nodes: nodes.length === 1 ? [...nodes, identity(size)] : nodes });
  const lengthOf = (id: number) => bounds()[id]!.min.length;
  /** Saturates the value into `bits` bits from `low` on. */
  const narrow = (low: number, width: number) => {
    const { hull, min } = bounds()[last]!;
    if (hull.min >= low && hull.max < low + 2 ** width) return;
    const excess = Math.max(0, Math.ceil(Math.log2(Math.max(1, hull.max - hull.min))) - width);
    const shifts = Uint8Array.from({ length: below(2) ? min.length : 1 }, () => Math.max(0, excess - below(3)));
    add({ op: "requant", inputs: [last], shifts, lo: low, bits: width });
  };
  /** So that `k` divides the length, by repeating lanes. */
  const multipleOf = (k: number, id = last) => {
    const length = lengthOf(id);
    if (length % k !== 0) {
      add({ op: "arrange", inputs: [id], index: spread(length, Math.ceil(length / k) * k), constants: [] });
    }
  };

  if (rows !== undefined) {
    const width = between(1, 3);
    const entries = Int16Array.from({ length: rows * width }, () => between(-128, 127));
    add({ op: "lookup", inputs: [last], rows, width, entries });
  }
  if (adapter !== undefined) {
    const inner = between(1, 3);
    const pick = (id: number, times: number) => {
      const length = lengthOf(id);
      add({ op: "arrange", inputs: [id], index: spread(length, inner * times), constants: [] });
      return last;
    };
    narrow(-128, 8);
    const a = pick(last, 2);
    const b = pick(1, Math.max(1, Math.ceil(adapter / inner)));
    const cols = lengthOf(b) / inner;
    add({ op: "matMul", inputs: [a, b], groups: 1, rows: 2, inner, cols });
  }
  for (const step of steps) {
    switch (step) {
      case "arrange": {
        const length = lengthOf(last);
        const index = Int32Array.from({ length: between(1, 6) }, () => (below(5) ? below(length) : -1 - below(2)));
        add({ op: "arrange", inputs: [last, 0], index, constants: [0, between(-9, 9)] });
        break;
      }
      case "linear": {
        narrow(-32_768, 16);
        const length = lengthOf(last);
        const inner = [1, 2, 3].find((k, i) => length % k === 0 && (i === 2 || below(2) === 1)) ?? length;
        const rest = length / inner;
        const groups = rest % 2 === 0 && below(2) ? 2 : 1;
        const outputs = between(1, 3);
        const wide = below(4) === 0 ? 255 : 127;
        add({
          op: "linear",
          inputs: [last],
          groups,
          positions: rest / groups,
          inner,
          outputs,
          // Zeros, ones and rows that are copies, as pruned models have them.
          weights: Int16Array.from({ length: groups * outputs * inner }, () =>
            below(3) ? between(-wide, wide) : below(2),
          ),
          bias: Int32Array.from({ length: groups * outputs }, () => (below(3) ? between(-5000, 5000) : 0)),
        });
        break;
      }
      case "requant": {
        const length = lengthOf(last);
        const { bits: width } = bounds()[last]!;
        const shifts = Uint8Array.from({ length: below(2) ? length : 1 }, () => below(width + 2));
        const [low, kept] = [
          [0, 7],
          [-128, 8],
          [0, 8],
          [-3, 3],
        ][below(4)] as [number, number];
        add({ op: "requant", inputs: [last], shifts, lo: low, bits: kept });
        break;
      }
      case "table": {
        const width = between(2, 8);
        const low = below(2) ? 0 : -(2 ** (width - 1));
        narrow(low, width);
        const count = below(2) ? lengthOf(last) : 1;
        const tables = Int32Array.from({ length: count * 2 ** width }, () => between(-200, 200));
        add({ op: "table", inputs: [last], lo: low, bits: width, tables });
        break;
      }
      case "max": {
        narrow(-128, 8);
        const window = between(2, 4);
        multipleOf(window);
        add({ op: "max", inputs: [last], window });
        break;
      }
      case "mul": {
        narrow(-128, 8);
        const left = last;
        if (below(2)) {
          add({
            op: "arrange",
            inputs: [left],
            index: spread(lengthOf(left), lengthOf(left)).reverse(),
            constants: [],
          });
        }
        add({ op: "mul", inputs: [left, last] });
        break;
      }
      case "matMul": {
        narrow(-128, 8);
        const [groups, left, inner, cols] = [between(1, 2), between(1, 2), between(1, 3), between(1, 2)];
        const source = last;
        add({ op: "arrange", inputs: [source], index: spread(lengthOf(source), groups * left * inner), constants: [] });
        const a = last;
        const index = spread(lengthOf(source), groups * cols * inner).reverse();
        add({ op: "arrange", inputs: [source], index, constants: [] });
        add({ op: "matMul", inputs: [a, last], groups, rows: left, inner, cols });
        break;
      }
      case "share": {
        narrow(1, 6);
        const width = between(2, 4);
        multipleOf(width);
        add({ op: "share", inputs: [last], width, scale: [1, 127, 255][below(3)]! });
        break;
      }
      case "normalise": {
        narrow(-128, 8);
        const width = between(2, 4);
        multipleOf(width);
        add({ op: "normalise", inputs: [last], width, epsilon: between(1, 50), precision: between(1, 20) });
        break;
      }
      case "argMax": {
        const width = between(2, 4);
        multipleOf(width);
        add({ op: "argMax", inputs: [last], width });
        break;
      }
    }
  }
  if (nodes.length === 1) add(identity(size));
  return { nodes };
}

/** An input, and an adapter where there is one, with many of the values at an end of their range. */
export function buildInput(graph: ModelGraph, seed: number): { input: number[]; adapter?: number[] } {
  const below = lcg(seed ^ 0x5bd1e995);
  const draw = ({ lo, bits }: { lo: number; bits: number }, size: number, hi = lo + 2 ** bits - 1) =>
    Array.from({ length: size }, () => [lo, hi, lo + below(hi - lo + 1)][below(3)]!);
  const lookup = graph.nodes.find((node) => node.op === "lookup");
  const adapter = adapterOf(graph);
  return {
    input: draw(inputOf(graph), inputSize(graph), lookup === undefined ? undefined : lookup.rows - 1),
    ...(adapter === undefined ? {} : { adapter: draw(adapter, adapterSize(graph)) }),
  };
}

/** Plans whose graph has bounds; `steps` limits what they are made of. */
export function graphPlan(steps: readonly Step[] = STEPS): fc.Arbitrary<GraphPlan> {
  return fc
    .record(
      {
        seed: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
        steps: fc.array(fc.constantFrom(...steps), { minLength: 1, maxLength: 6 }),
        adapter: fc.integer({ min: 1, max: 6 }),
        rows: fc.integer({ min: 2, max: 9 }),
      },
      { requiredKeys: ["seed", "steps"] },
    )
    .map(({ adapter, rows, ...plan }): GraphPlan => {
      if (rows !== undefined) return { ...plan, rows };
      return adapter === undefined ? plan : { ...plan, adapter };
    })
    .filter((plan) => {
      try {
        proveBounds(buildGraph(plan));
        return true;
      } catch {
        return false; // too wide for int32: a case for other tests
      }
    });
}

/** Graphs with an input for them. */
export function graphCase(
  steps?: readonly Step[],
): fc.Arbitrary<{ graph: ModelGraph; input: number[]; adapter?: number[] }> {
  return fc.tuple(graphPlan(steps), fc.integer({ min: 0, max: 2 ** 31 - 1 })).map(([plan, seed]) => {
    const graph = buildGraph(plan);
    return { graph, ...buildInput(graph, seed) };
  });
}

function identity(size: number): GraphNode {
  return { op: "arrange", inputs: [0], index: spread(size, size), constants: [] };
}

/** `length` indices that go round `size` lanes. */
function spread(size: number, length: number): Int32Array {
  return Int32Array.from({ length }, (_, i) => i % size);
}
