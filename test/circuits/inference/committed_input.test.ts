import { beforeAll, describe, expect, it } from "vitest";
import {
  commitAdapter,
  commitBatch,
  commitInput,
  digestElements,
  outputLayout,
  packOutput,
} from "../../../src/model/commitment.js";
import { type ModelGraph, modelDigest } from "../../../src/model/graph.js";
import { lcg } from "../../model/graphs.js";
import { field, fieldElements, Gadget } from "./support.js";

const INT8 = { lo: -128, bits: 8 };
const graph = (last: ModelGraph["nodes"][number], size: number, adapter?: number): ModelGraph => ({
  nodes: [
    { op: "input", shape: [size], ...INT8, scaleLog2: 0 },
    ...(adapter === undefined
      ? []
      : [{ op: "adapter", parts: [{ name: "lora_A", shape: [adapter] }], ...INT8, alpha: "16" } as const]),
    last,
  ],
});
const identity = (size: number) =>
  ({ op: "arrange", inputs: [0], index: Int32Array.from({ length: size }, (_, i) => i), constants: [] }) as const;

/** Number, low end and bits of the integers of each input. */
const INPUTS: [number, number, number][] = [
  [1, 0, 8],
  [40, -128, 8],
  [467, 0, 1],
  [16, -20_000, 16],
  [2, 0, 7],
];
const LORA = graph(identity(1), 1, 33);
const WIDE = graph(identity(40), 40);
const BATCHES = [2, 15, 16];

/** All that hashes, in one program: circom takes seconds for the first Poseidon, and little for more of them. */
async function compileAll(): Promise<Gadget> {
  const lines: string[] = [];
  const part = (name: string, size: number, instance: string, from: string, result: string) =>
    lines.push(
      `signal input ${name}[${size}];`,
      `signal output ${name}_out;`,
      `component _${name} = ${instance};`,
      `_${name}.in <== ${name};`,
      ...(from === "" ? [] : [`signal input ${name}_start;`, `_${name}.${from} <== ${name}_start;`]),
      `${name}_out <== _${name}.${result};`,
    );
  for (const [size, lo, bits] of INPUTS) {
    part(`input${size}`, size, `CommittedInput(${size}, ${lo}, ${bits})`, "salt", "commitment");
  }
  const [upper, lower] = digestElements(modelDigest(LORA));
  part("adapter", 33, `CommittedAdapter(33, ${INT8.lo}, ${INT8.bits}, ${upper}, ${lower})`, "salt", "commitment");
  const { count, min, lane } = outputLayout(WIDE);
  part("packed", count, `PackedOutput(${count}, ${min}, ${lane})`, "", "out");
  for (const length of BATCHES) part(`batch${length}`, length, `BatchDigest(${length})`, "", "out");
  return Gadget.compile(
    "everything that hashes",
    [
      "pragma circom 2.2.3;",
      'include "inference/committed_input.circom";',
      'include "inference/committed_adapter.circom";',
      'include "inference/batch_digest.circom";',
      'include "inference/packed_output.circom";',
      "template All() {",
      ...lines,
      "}",
      "component main = All();",
      "",
    ].join("\n"),
  );
}

let all: Gadget;
beforeAll(async () => {
  all = await compileAll();
});

/** A witness of all parts at once. */
async function prove(seed: number, edge?: "lo" | "hi") {
  const random = lcg(seed);
  const scalars = fieldElements(BigInt(seed));
  const draw = (size: number, lo: number, bits: number) =>
    Array.from({ length: size }, () => lo + (edge === "lo" ? 0 : edge === "hi" ? 2 ** bits - 1 : random(2 ** bits)));
  const values = new Map(INPUTS.map(([size, lo, bits]) => [`input${size}`, draw(size, lo, bits)]));
  values.set("adapter", draw(33, INT8.lo, INT8.bits));
  const output = draw(40, INT8.lo, INT8.bits);
  const signals = new Map(BATCHES.map((length) => [`batch${length}`, Array.from({ length }, scalars)]));
  const starts = new Map([...values.keys()].map((name) => [name, scalars()]));
  const witness = await all.honest({
    ...Object.fromEntries([...values].map(([name, each]) => [name, each.map(BigInt)])),
    packed: output.map(BigInt),
    ...Object.fromEntries(signals),
    ...Object.fromEntries([...starts].map(([name, start]) => [`${name}_start`, start])),
  });
  expect(all.violation(witness)).toBe(-1);
  return { witness, values, output, signals, starts, result: (name: string) => witness[all.wire(`${name}_out`)] };
}

describe("CommittedInput, CommittedAdapter, PackedOutput, BatchDigest", () => {
  it.each([
    ["random values", undefined],
    ["the largest values", "hi"],
    ["the least values", "lo"],
  ] as const)("equal their twins on %s", async (_, edge) => {
    const { values, output, signals, starts, result } = await prove(7, edge);
    for (const [size, lo, bits] of INPUTS) {
      const name = `input${size}`;
      expect(result(name)).toBe(commitInput({ lo, bits }, values.get(name)!, starts.get(name)!));
    }
    expect(result("adapter")).toBe(commitAdapter(LORA, values.get("adapter")!, starts.get("adapter")!));
    expect(result("packed")).toBe(packOutput(outputLayout(WIDE), output));
    for (const [name, each] of signals) expect(result(name)).toBe(commitBatch(each));
  });

  it("leave no wire free", async () => {
    const { witness } = await prove(8);
    expect(all.looseWires(witness, fieldElements(8n))).toEqual([]);
  });

  it("have no witness for integers out of range, even where the packed element is the same", async () => {
    const { witness } = await prove(9);
    const [first, second] = [all.wire("input2[0]"), all.wire("input2[1]")];
    // 5 + 256 * 1 = 261 + 256 * 0 = -251 + 256 * 2: the packing alone would not tell these apart.
    const element = witness[first]! + 256n * witness[second]!;
    const bitsOf = (value: bigint, i: number) =>
      all
        .wiresLike(new RegExp(`^_input2\\.packed\\.range\\[${i}\\]\\.bits\\[`))
        .map((wire, j) => [wire, (value >> BigInt(j)) & 1n] as const);
    expect(bitsOf(0n, 0)).toHaveLength(6);
    for (const b of [0n, 127n, 128n, -1n, 200n, witness[second]!]) {
      const a = element - 256n * b;
      const forged = all.with(witness, [[first, a], [second, b], ...bitsOf(a, 0), ...bitsOf(b, 1)]);
      expect(all.violation(forged) === -1).toBe(b === witness[second]);
    }
  });
});

describe("PackedOutput", () => {
  it.each([
    ["one integer", 1],
    ["one element", 31],
  ])("of %s equals its twin, and leaves no wire free", async (_, size) => {
    const layout = outputLayout(graph(identity(size), size));
    const { count, min, lane } = layout;
    const gadget = await Gadget.template("inference/packed_output.circom", `PackedOutput(${count}, ${min}, ${lane})`);
    expect(gadget.rows).toBe(1);
    for (const values of [
      Array.from({ length: size }, (_, i) => ((91 * i) % 256) - 128),
      new Array<number>(size).fill(127),
      new Array<number>(size).fill(-128),
    ]) {
      const witness = await gadget.honest({ in: values.map(BigInt) });
      expect(witness[gadget.wire("out")]).toBe(packOutput(layout, values));
      expect(gadget.looseWires(witness, fieldElements(11n))).toEqual([]);
    }
  });

  it("of a class index is the index, without a row", async () => {
    const gadget = await Gadget.template("inference/packed_output.circom", "PackedOutput(1, 0, 4)");
    expect(gadget.rows).toBe(0);
    expect((await gadget.honest({ in: [9n] }))[gadget.wire("out")]).toBe(9n);
  });
});

describe("Linear", () => {
  it("is one linear row an output, and exact; by groups, positions and outputs", async () => {
    const gadget = await Gadget.template(
      "inference/linear.circom",
      "Linear(2, 2, 3, 2, [1, -2, 127, -127, 0, 3, 0, 0, 0, 0, 1, 1], [-5, 2147483647, 9, 0])",
    );
    const input = [127n, 1n, 2n, 3n, -4n, 5n, 6n, 7n, -8n, 9n, 10n, 11n];
    const witness = await gadget.honest({ in: input });
    const out = (index: number) => witness[gadget.wire(`out[${index}]`)];
    expect([out(0), out(1)]).toEqual([127n - 2n + 254n - 5n, 3n + 8n + 635n - 5n]);
    expect([out(2), out(3)]).toEqual([-127n * 127n + 6n + 2147483647n, -127n * 3n + 15n + 2147483647n]);
    expect([out(4), out(5), out(6), out(7)]).toEqual([9n, 9n, field(7n - 8n), 21n]);
    expect(gadget.rows).toBe(8); // the constants have rows where outputs are public
    expect(gadget.looseWires(witness, fieldElements(9n))).toEqual([]);
    // Linear rows lie in C alone: they cost the prover no coefficient of A or B.
    expect(gadget.r1cs.a.wire.length + gadget.r1cs.b.wire.length).toBe(0);
  });
});

describe("Arrange", () => {
  it("moves values and places constants", async () => {
    const gadget = await Gadget.template("inference/arrange.circom", "Arrange(3, 4, [2, -1, 0, -2], [7, -9])");
    const witness = await gadget.honest({ in: [10n, 20n, 30n] });
    expect([0, 1, 2, 3].map((i) => witness[gadget.wire(`out[${i}]`)])).toEqual([30n, 7n, 10n, field(-9n)]);
    expect(gadget.rows).toBe(2); // the constants, which are public outputs here
  });
});
