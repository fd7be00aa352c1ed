import { beforeAll, describe, expect, it } from "vitest";
import { R } from "../../src/field/scalar.js";
import { emitInferenceCircuit, inferenceDescriptor, inferenceWitnessInput } from "../../src/model/circuit.js";
import { commitInput } from "../../src/model/commitment.js";
import { execute } from "../../src/model/execute.js";
import { extractFeatures } from "../../src/model/features.js";
import type { Layer, ModelGraph } from "../../src/model/graph.js";
import { fieldElements, Gadget } from "../circuits/inference/support.js";
import { code } from "../support/errors.js";
import { chain, dense, extremeFeatures, lcg, spamModel } from "./fixtures.js";

const compile = (name: string, graph: ModelGraph) => Gadget.compile(name, emitInferenceCircuit(graph).source);

/** Holds an execution against the circuit: every layer's wires, the class and the commitment. */
async function compare(
  gadget: Gadget,
  graph: ModelGraph,
  features: readonly number[],
  salt: bigint,
): Promise<bigint[]> {
  const witness = await gadget.honest(inferenceWitnessInput(graph, features, salt, 7n));
  expect(gadget.violation(witness)).toBe(-1);
  const { layers, classIndex } = execute(graph, features);
  layers.slice(0, -1).forEach((values, index) => {
    values.forEach((value, o) => {
      const name = `layer${index}[${o}]`;
      if (gadget.has(name)) expect(witness[gadget.wire(name)]).toBe((BigInt(value) + R) % R);
    });
  });
  // Public signals: class, commitment, context, in this order.
  expect(witness.slice(0, 4)).toEqual([1n, BigInt(classIndex), commitInput(features, salt), 7n]);
  return witness;
}

/** Two hidden layers; shifts that saturate, that round everything away, and that do neither; a tie is possible. */
const SMALL = chain(
  4,
  dense(
    [
      [127, -127, 5, 0],
      [-3, 100, 0, 64],
      [1, 1, 1, 1],
      [-127, -127, -127, -127],
      [50, 0, 0, 0],
    ],
    [0, -500, 64, 90, -6350],
  ),
  { kind: "requantRelu", shifts: [4, 7, 0, 0, 10] },
  dense(
    [
      [10, -20, 30, 1, 2],
      [-10, 20, -30, 1, 2],
      [0, 127, 0, -127, 9],
    ],
    [1, 2, 3],
  ),
  { kind: "requantRelu", shifts: [3, 5, 9] },
  dense(
    [
      [1, 1, 0],
      [1, 1, 0],
      [0, -1, 1],
      [1, 0, 1],
    ],
    [0, 0, 5, -5],
  ),
);

describe("emitInferenceCircuit", () => {
  it("gives the same text again, with the model's digest on it", () => {
    const { source, publicSignals } = emitInferenceCircuit(SMALL);
    expect(emitInferenceCircuit(JSON.parse(JSON.stringify(SMALL))).source).toBe(source);
    expect(source).toContain(inferenceDescriptor(SMALL).modelDigest);
    expect(publicSignals).toEqual(["output", "inputCommitment", "context"]);
  });

  it("does not emit a model without proven bounds", () => {
    const wide = chain(1, dense([[127], [0]], [2 ** 31 - 1, 0]));
    expect(() => emitInferenceCircuit(wide)).toThrowError(code("MODEL_UNBOUNDED"));
  });
});

describe("inferenceWitnessInput", () => {
  it("refuses scalars and features out of range, and a zero context", () => {
    const features = [1, 2, 3, 4];
    expect(() => inferenceWitnessInput(SMALL, features, 1n, 0n)).toThrowError(code("CONTEXT_ZERO"));
    expect(() => inferenceWitnessInput(SMALL, features, 1n, R)).toThrowError(code("INPUT_INVALID"));
    expect(() => inferenceWitnessInput(SMALL, features, -1n, 1n)).toThrowError(code("INPUT_INVALID"));
    expect(() => inferenceWitnessInput(SMALL, [1, 2, 3, 128], 1n, 1n)).toThrowError(code("INPUT_INVALID"));
  });
});

describe("a small model's circuit", () => {
  let gadget: Gadget;
  beforeAll(async () => {
    gadget = await compile("small model", SMALL);
  });

  it("has the predicted rows", () => {
    expect(gadget.rows).toBe(inferenceDescriptor(SMALL).totalRows);
  });

  it("equals the executor on every corner and on random inputs", async () => {
    const random = lcg(3);
    const salts = fieldElements(11n);
    for (let corner = 0; corner < 16; corner++) {
      await compare(
        gadget,
        SMALL,
        [0, 1, 2, 3].map((i) => ((corner >> i) & 1) * 127),
        salts(),
      );
    }
    for (let i = 0; i < 40; i++)
      await compare(
        gadget,
        SMALL,
        Array.from({ length: 4 }, () => random(128)),
        salts(),
      );
  });

  it("leaves no wire free", async () => {
    for (const features of [
      [0, 0, 0, 0],
      [127, 127, 127, 127],
      [127, 0, 3, 90],
      [1, 127, 64, 0],
    ]) {
      const witness = await compare(gadget, SMALL, features, 5n);
      expect(gadget.looseWires(witness, fieldElements(12n))).toEqual([]);
    }
  });

  it("binds the class, the commitment and the context", async () => {
    const witness = await compare(gadget, SMALL, [127, 0, 3, 90], 5n);
    for (let index = 0n; index < 4n; index++) {
      if (index !== witness[1]) expect(gadget.violation(gadget.with(witness, [[1, index]]))).not.toBe(-1);
    }
    expect(gadget.violation(gadget.with(witness, [[2, commitInput([127, 0, 3, 91], 5n)]]))).not.toBe(-1);
    // Another context is another statement, which its own inverse makes provable; zero never is.
    const inverse = gadget.wire(/^NonZero_\d+_\d+\.inverse$/);
    expect(
      gadget.violation(
        gadget.with(witness, [
          [3, 1n],
          [inverse, 1n],
        ]),
      ),
    ).toBe(-1);
    expect(gadget.violation(gadget.with(witness, [[3, 0n]]))).not.toBe(-1);
    for (const value of [0n, 1n, R - 1n]) {
      expect(
        gadget.violation(
          gadget.with(witness, [
            [3, 0n],
            [inverse, value],
          ]),
        ),
      ).not.toBe(-1);
    }
  });
});

describe("random models' circuits", () => {
  /** Shapes at the edges of the emitter: one layer, ones everywhere, dead and constant channels, widths 1 and 31. */
  const random = lcg(17);
  const weight = () => random(255) - 127;
  const rows = (outputs: number, inputs: number) =>
    Array.from({ length: outputs }, () => Array.from({ length: inputs }, weight));
  const biases = (outputs: number, span: number) => Array.from({ length: outputs }, () => random(2 * span) - span);
  const relu = (...shifts: number[]): Layer => ({ kind: "requantRelu", shifts });
  const models: [string, ModelGraph][] = [
    ["one layer, 31 inputs", chain(31, dense(rows(2, 31), biases(2, 1000)))],
    ["one hidden channel", chain(3, dense(rows(1, 3), [0]), relu(6), dense(rows(3, 1), biases(3, 50)))],
    [
      "dead, constant and huge channels",
      chain(
        2,
        dense(
          [
            [0, 0],
            [0, 0],
            [-1, -1],
            [127, 127],
          ],
          [-9, 70, 0, 2 ** 31 - 40_000],
        ),
        relu(0, 0, 3, 24),
        dense(rows(2, 4), [0, 0]),
      ),
    ],
    [
      "single weights",
      chain(
        2,
        dense(
          [
            [1, 0],
            [0, 2],
            [-1, 0],
          ],
          [0, 0, 0],
        ),
        relu(0, 1, 0),
        dense(
          [
            [1, 0, 0],
            [0, -1, 0],
            [0, 0, 0],
          ],
          [0, 0, 4],
        ),
      ),
    ],
    ["large shifts", chain(3, dense(rows(2, 3), biases(2, 10)), relu(30, 17), dense(rows(2, 2), [0, 0]))],
  ];

  it.each(models)("%s", async (name, graph) => {
    const gadget = await compile(name, graph);
    expect(gadget.rows).toBe(inferenceDescriptor(graph).totalRows);
    const { size } = graph.input;
    const inputs = [
      new Array(size).fill(0),
      new Array(size).fill(127),
      ...Array.from({ length: 6 }, () => Array.from({ length: size }, () => random(128))),
    ];
    for (const features of inputs) {
      const witness = await compare(gadget, graph, features, 1n);
      expect(gadget.looseWires(witness, fieldElements(13n))).toEqual([]);
    }
  });
});

describe("the demonstration model's circuit", () => {
  it("fits 2^12 rows, and equals the executor on mails and on adversarial inputs", async () => {
    const { graph, test } = await spamModel();
    const gadget = await compile("spam", graph);
    const descriptor = inferenceDescriptor(graph);
    expect(gadget.rows).toBe(descriptor.totalRows);
    expect(gadget.rows).toBeLessThanOrEqual(4000);
    expect(descriptor.rows).toMatchInlineSnapshot(`
      [
        {
          "part": "context",
          "rows": 1,
        },
        {
          "part": "input range",
          "rows": 1792,
        },
        {
          "part": "input commitment",
          "rows": 622,
        },
        {
          "part": "layer 0 dense",
          "rows": 32,
        },
        {
          "part": "layer 1 requantRelu",
          "rows": 828,
        },
        {
          "part": "layer 2 dense",
          "rows": 2,
        },
        {
          "part": "layer 3 argMax",
          "rows": 43,
        },
      ]
    `);

    const random = lcg(5);
    const salts = fieldElements(14n);
    const inputs = [
      ...test.filter((_, i) => i % 125 === 0).map(({ body }) => [...extractFeatures(body)]),
      new Array<number>(256).fill(0),
      new Array<number>(256).fill(127),
      Array.from({ length: 256 }, (_, i) => (i % 2) * 127),
      ...[0, 13, 31].flatMap((channel) => [
        extremeFeatures(graph, channel, true),
        extremeFeatures(graph, channel, false),
      ]),
      ...Array.from({ length: 5 }, () => Array.from({ length: 256 }, () => random(128))),
    ];
    for (const features of inputs) await compare(gadget, graph, features, salts());

    const witness = await compare(gadget, graph, inputs[0]!, 1n);
    expect(gadget.looseWires(witness, fieldElements(15n))).toEqual([]);
  });
});
