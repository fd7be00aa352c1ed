import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { publicSignals } from "../../src/model/circuit/index.js";
import { unpackOutput } from "../../src/model/commitment.js";
import { execute } from "../../src/model/execute.js";
import { createInference } from "../../src/model/inference.js";
import { code } from "../support/errors.js";
import { buildGraph, buildInput, graphPlan } from "./graphs.js";

const scalar = fc.bigInt({ min: 0n, max: 2n ** 250n });

describe("createInference", () => {
  it("answers with the executor's output, and with the signals of the circuit", () => {
    fc.assert(
      fc.property(graphPlan(), fc.array(scalar, { minLength: 1, maxLength: 3 }), scalar, (plan, salts, adapterSalt) => {
        const graph = buildGraph(plan);
        const built = salts.map((_, i) => buildInput(graph, plan.seed + i));
        const inferences = built.map(({ input }, i) => ({ input, salt: salts[i]! }));
        const weights = built[0]!.adapter;
        const adapter = weights && { weights, salt: adapterSalt };
        const { layout, answer } = createInference(graph);
        const said = answer({ inferences, adapter });
        for (const [i, { input }] of inferences.entries()) {
          expect(said.values[i]).toEqual(execute(graph, input, weights).output);
          expect(unpackOutput(layout, said.outputs[i]!) ?? []).toEqual(
            layout.elements === 1 ? Array.from(said.values[i]!) : [],
          );
        }
        expect([said.output, said.inputCommitment, ...(adapter ? [said.adapterCommitment] : [])]).toEqual(
          publicSignals(graph, { inferences, adapter, context: 1n }, { batch: inferences.length }).slice(0, -1),
        );
      }),
      { numRuns: 40 },
    );
  });

  it("refuses requests that do not fit", () => {
    const graph = buildGraph({ seed: 3, steps: ["linear"], adapter: 2 });
    const { input, adapter: weights } = buildInput(graph, 1);
    const { answer } = createInference(graph);
    const right = { inferences: [{ input, salt: 1n }], adapter: { weights: weights!, salt: 2n } };
    expect(answer(right).outputs).toHaveLength(1);
    for (const wrong of [
      { ...right, inferences: [] },
      { ...right, inferences: [null] },
      { ...right, inferences: [{ input }] },
      { ...right, inferences: [{ input: [...input, 0], salt: 1n }] },
      { ...right, inferences: [{ input: input.map(() => 1e6), salt: 1n }] },
      { ...right, adapter: undefined },
      { ...right, adapter: { weights: [1], salt: 2n } },
      { ...right, adapter: { weights } },
    ]) {
      expect(() => answer(wrong as never)).toThrowError(code("INPUT_INVALID"));
    }
    const plain = createInference(
      buildGraph({ seed: 3, steps: ["linear"], input: { size: input.length, lo: -128, bits: 8 } }),
    );
    expect(() => plain.answer(right)).toThrowError(code("INPUT_INVALID"));
  });
});
