import { describe, expect, it } from "vitest";
import { readR1cs } from "../../../src/circuit/r1cs.js";
import { requant } from "../../../src/model/bounds.js";
import {
  circuitInputs,
  circuitText,
  createWitnessProgram,
  describeCircuit,
  emitNamedR1cs,
  publicSignals,
} from "../../../src/model/circuit/index.js";
import type { ModelGraph } from "../../../src/model/graph.js";
import { buildGraph, buildInput } from "../graphs.js";
import { boundsOf, compile, expectSameSystem, expectSameWitness, expectTwin, witnessOf } from "./support.js";

describe("requant", () => {
  it.each([["both", -30_000, 30_000, 4, 0, 7, 16 + 4]])("%s", async (_, min, max, shift, lo, bits, rows) => {
    const node = { op: "requant" as const, inputs: [0] as const, shifts: Uint8Array.of(shift), lo, bits };
    const before = boundsOf("linear", [min], [max]);
    const bounds = boundsOf("requant", [requant(min, shift, lo, bits)], [requant(max, shift, lo, bits)]);
    const cases = [min, max, 0, 1, -1, 500, -500].map((x) => [[x]]);
    const twin = await expectTwin({ node, bounds, inputBounds: [before] }, cases, (x) =>
      x!.map((v) => requant(v, shift, lo, bits)),
    );
    expect(twin.rows).toBe(rows);
  });
});

async function same(name: string, graph: ModelGraph, seeds: number[], options: { batch?: number } = {}) {
  const circom = await compile(name, circuitText(graph, options).source);
  const { r1cs, names } = emitNamedR1cs(graph, options);
  const own = { r1cs: readR1cs(r1cs), names };
  const ours = expectSameSystem(circom, own);
  expect(describeCircuit(graph, options).rows).toBe(own.r1cs.constraints);
  const program = createWitnessProgram(graph, options);
  for (const seed of seeds) {
    const request = {
      inferences: Array.from({ length: options.batch ?? 1 }, (_, k) => ({
        input: buildInput(graph, seed + k).input,
        salt: 77n + BigInt(k),
      })),
      ...(buildInput(graph, seed).adapter ? { adapter: { weights: buildInput(graph, seed).adapter!, salt: 5n } } : {}),
      context: 99n,
    };
    const witness = witnessOf(program(request));
    expect(witness.slice(1, 1 + describeCircuit(graph, options).publicSignals.length)).toEqual(
      publicSignals(graph, request, options),
    );
    expectSameWitness(await circom.witness(circuitInputs(graph, request, options)), witness, ours, own.r1cs);
  }
}

describe("graphs", () => {
  it.each([1, 2, 3, 4, 5, 6])("base %i", async (seed) => {
    const graph = buildGraph({ seed, steps: ["linear", "requant", "arrange", "linear", "requant"] });
    await same("g", graph, [1, 2, 3]);
  });
});
