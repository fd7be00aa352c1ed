/**
 * Every kind of node on the rows that ship: the inputs determine all wires, nothing needs an explanation by hand, no wire
 * of an honest witness can be changed alone, and no search finds a second witness; without any one of a gadget's rows, the
 * pass and the search say so.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkDeterminism } from "../../../src/circuit/determinism.js";
import { type R1cs, readR1cs } from "../../../src/circuit/r1cs.js";
import { type CircuitOptions, createWitnessProgram, emitNamedR1cs } from "../../../src/model/circuit/index.js";
import { execute } from "../../../src/model/execute.js";
import { adapterOf, adapterSize, inputOf, inputSize, type ModelGraph } from "../../../src/model/graph.js";
import { expectSound, withoutEachRow } from "../../support/soundness.js";
import { buildGraph, buildInput, type GraphPlan, graphPlan, lcg, STEPS } from "../graphs.js";
import { lenet } from "./lenet.js";
import { LoneGraph, witnessOf } from "./support.js";

/** The circuit of a graph as it ships, statement and all. */
function circuitOf(graph: ModelGraph, options: CircuitOptions = {}): { r1cs: R1cs; names: Map<number, string> } {
  const { r1cs, names } = emitNamedR1cs(graph, options);
  const byWire = new Map<number, string>();
  for (const [name, wire] of names) if (!byWire.has(wire)) byWire.set(wire, name);
  return { r1cs: readR1cs(r1cs), names: byWire };
}

function witnessesOf(graph: ModelGraph, seeds: readonly number[], options: CircuitOptions = {}): bigint[][] {
  const program = createWitnessProgram(graph, options);
  return seeds.map((seed) => {
    const { adapter } = buildInput(graph, seed);
    const inferences = Array.from({ length: options.batch ?? 1 }, (_, k) => ({
      input: buildInput(graph, seed + k).input,
      salt: BigInt(seed + 100 * k),
    }));
    const own = adapter ? { adapter: { weights: adapter, salt: 7n } } : {};
    return witnessOf(program({ inferences, ...own, context: 99n }));
  });
}

async function expectSoundCircuit(graph: ModelGraph, seeds: readonly number[], options: CircuitOptions = {}) {
  const { r1cs, names } = circuitOf(graph, options);
  expect((await checkDeterminism(r1cs)).unusedInputs).toEqual([]);
  await expectSound(r1cs, witnessesOf(graph, seeds, options), { names });
}

describe("circuits that ship", () => {
  it.each(STEPS.flatMap((step) => [1, 2].map((seed) => [step, seed] as const)))("%s, graph %i", async (step, seed) => {
    await expectSoundCircuit(buildGraph({ seed, steps: [step] }), [1, 2]);
  });

  const plans: [string, GraphPlan, CircuitOptions?][] = [
    ["an embedding", { seed: 3, steps: ["linear"], rows: 5 }],
    ["an adapter", { seed: 4, steps: ["requant"], adapter: 4 }],
    ["a batch", { seed: 5, steps: ["linear", "requant", "argMax"] }, { batch: 2 }],
    ["a softmax after a table", { seed: 7, steps: ["table", "share", "linear", "normalise", "argMax"] }],
  ];
  it.each(plans)("%s", async (_, plan, options = {}) => {
    await expectSoundCircuit(buildGraph(plan), [3], options);
  });

  it("random graphs", async () => {
    for (const plan of fc.sample(graphPlan(), { numRuns: 6, seed: 11 })) {
      await expectSoundCircuit(buildGraph(plan), [plan.seed % 1000]);
    }
  });

  it("wide runs: a root of 600 values, the largest of 1000", async () => {
    const input = (width: number) => ({ op: "input" as const, shape: [width], lo: -128, bits: 8, scaleLog2: 0 });
    const below = lcg(9);
    const weights = Int16Array.from({ length: 600 * 10 }, () => below(255) - 127);
    const graphs: ModelGraph[] = [
      {
        nodes: [
          input(600),
          { op: "normalise", inputs: [0], width: 600, epsilon: 3, precision: 12 },
          {
            op: "linear",
            inputs: [1],
            groups: 1,
            positions: 1,
            inner: 600,
            outputs: 10,
            weights,
            bias: new Int32Array(10),
          },
          { op: "argMax", inputs: [2], width: 10 },
        ],
      },
      { nodes: [input(1000), { op: "argMax", inputs: [0], width: 1000 }] },
    ];
    for (const graph of graphs) expect((await checkDeterminism(circuitOf(graph).r1cs)).left).toEqual([]);
  });

  it("a LeNet-5, in seconds", async () => {
    const { r1cs } = circuitOf(lenet(1));
    const report = await checkDeterminism(r1cs);
    expect(report.left).toEqual([]);
    expect(report.rows).toBeGreaterThan(150_000);
  });
});

describe("gadgets without one of their rows", () => {
  /** A graph without the statement around it: its inputs are in the ranges that the statement would check. */
  function lone(graph: ModelGraph, seeds: readonly number[]) {
    const circuit = new LoneGraph(graph);
    const privateInputs = inputSize(graph) + adapterSize(graph);
    const r1cs = { ...circuit.rows().r1cs, privateInputs };
    const witnesses = seeds.map((seed) => {
      const { input, adapter } = buildInput(graph, seed);
      return circuit.witness(execute(graph, input, adapter));
    });
    const given = new Map(
      Array.from({ length: privateInputs }, (_, i) => {
        const { lo, bits } = i < inputSize(graph) ? inputOf(graph) : adapterOf(graph)!;
        return [i + 1, { lo: BigInt(lo), hi: BigInt(lo + 2 ** bits - 1) }] as const;
      }),
    );
    return { r1cs, witnesses, given };
  }

  it.each(STEPS)("%s", async (step) => {
    const { r1cs, witnesses, given } = lone(buildGraph({ seed: 2, steps: [step] }), [1, 2, 3, 4, 5, 6]);
    await expectSound(r1cs, witnesses.slice(0, 2), { given });
    const { redundant, unfound } = await withoutEachRow(r1cs, witnesses, { given });
    expect(redundant).toEqual([]);
    // A choice may be there for other inputs only; for most rows these are enough.
    expect(unfound.length).toBeLessThanOrEqual(r1cs.constraints / 10);
  });
});
