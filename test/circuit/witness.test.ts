import { readFile } from "node:fs/promises";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { type CompiledCircuit, compileCircuit } from "../../src/circuit/compile.js";
import { checkWitness, readR1cs } from "../../src/circuit/r1cs.js";
import { type CircuitInputs, calculateWitness, calculateWtns, encodeWtns } from "../../src/circuit/witness.js";
import { R } from "../../src/field/scalar.js";
import { code, TINY, TINY_INPUTS, TINY_OUTPUT } from "./support.js";
import { snarkjs } from "./vendor.js";

let tiny: CompiledCircuit;
let wasm: Buffer;

beforeAll(async () => {
  tiny = await compileCircuit(TINY);
  wasm = await readFile(tiny.wasmPath);
});

const refused = (inputs: Record<string, unknown>) =>
  expect(calculateWitness(wasm, inputs as CircuitInputs)).rejects.toThrowError(code("WITNESS_INVALID"));

describe("calculateWitness", () => {
  it("gives one scalar a wire, from a path as from bytes", async () => {
    const witness = await calculateWitness(tiny.wasmPath, TINY_INPUTS);
    expect(witness).toHaveLength(tiny.wires);
    expect(witness.slice(0, 2)).toEqual([1n, TINY_OUTPUT]);
    expect(await calculateWitness(wasm, TINY_INPUTS)).toEqual(witness);
    expect(checkWitness(readR1cs(await readFile(tiny.r1csPath)), witness)).toBe(-1);
  });

  it("takes the inputs in any order, and every scalar", async () => {
    const { a, ...rest } = TINY_INPUTS;
    expect(await calculateWitness(wasm, { ...rest, a })).toEqual(await calculateWitness(wasm, { a, ...rest }));
    const extreme = { a: R - 1n, unused: R - 1n, b: R - 1n, extra: [R - 1n, 0n] };
    // c = (−1)(−1) + (1 − 1)(−1) + 3
    expect((await calculateWitness(wasm, extreme))[1]).toBe(4n);
  });

  it("reads nested arrays row by row", async () => {
    const { wasmPath } = await compileCircuit({
      name: "matrix",
      source:
        "pragma circom 2.2.3;\ntemplate M() {\n    signal input m[2][3];\n    signal output out;\n    out <== m[0][0] * m[0][2] + 100 * m[1][0] + 7 * m[0][1] + 11 * m[1][1] + 13 * m[1][2];\n}\ncomponent main = M();\n",
    });
    const out = 1n * 3n + 400n + 14n + 55n + 78n;
    for (const m of [
      [
        [1n, 2n, 3n],
        [4n, 5n, 6n],
      ],
      [1n, 2n, 3n, 4n, 5n, 6n],
    ]) {
      expect((await calculateWitness(wasmPath, { m }))[1]).toBe(out);
    }
  });

  it("refuses unknown, missing and wrongly sized inputs", async () => {
    const { a: _, ...missing } = TINY_INPUTS;
    await refused({ ...TINY_INPUTS, typo: 1n });
    await refused({ ...missing, A: 5n });
    await refused({ ...TINY_INPUTS, typo: [] });
    await refused({ ...TINY_INPUTS, "": [] });
    await refused(missing);
    await refused({});
    await refused({ ...TINY_INPUTS, extra: [3n] });
    await refused({ ...TINY_INPUTS, extra: [3n, 1n, 0n] });
    await refused({ ...TINY_INPUTS, extra: [] });
    await refused({ ...TINY_INPUTS, extra: 3n });
    await refused({ ...TINY_INPUTS, a: [5n, 5n] });
    await expect(calculateWitness(wasm, { ...TINY_INPUTS, typo: 1n })).rejects.toThrowError(/no input "typo"/);
    await expect(calculateWitness(wasm, { ...TINY_INPUTS, extra: [3n] })).rejects.toThrowError(/takes 2 values, got 1/);
    // Signals that exist but are no inputs.
    await refused({ ...TINY_INPUTS, c: TINY_OUTPUT });
    await refused({ ...TINY_INPUTS, square: 121n });
  });

  it("refuses what is no scalar: aliases, negative numbers and other types", async () => {
    for (const bad of [R, R + 5n, -1n, 5, "5", "0x5", null, undefined, true, {}, Number.NaN]) {
      await refused({ ...TINY_INPUTS, a: bad });
      await refused({ ...TINY_INPUTS, extra: [3n, bad] });
    }
  });

  it("says which template and line a constraint fails in", async () => {
    const { wasmPath } = await compileCircuit({
      name: "assertion",
      source:
        "pragma circom 2.2.3;\ntemplate Inner() {\n    signal input in;\n    in * (in - 1) === 0;\n}\ntemplate Outer() {\n    signal input in;\n    Inner()(in);\n}\ncomponent main {public [in]} = Outer();\n",
    });
    expect(await calculateWitness(wasmPath, { in: 1n })).toEqual([1n, 1n]);
    const failure = calculateWitness(wasmPath, { in: 2n });
    await expect(failure).rejects.toThrowError(code("WITNESS_INVALID"));
    await expect(failure).rejects.toThrowError(/template Inner, line 4/);
  });

  it("refuses what is no witness generator", async () => {
    // A module that is well-formed and answers a width of 12 words, as for another curve's field.
    const otherField = Buffer.from(
      "0061736d010000000109026001" +
        "7f0060" +
        "00017f03030200" +
        "01" +
        "071b0204696e69740000" +
        "10" +
        Buffer.from("getFieldNumLen32").toString("hex") +
        "0001" +
        "0a090202000b0400410c0b",
      "hex",
    );
    const empty = Buffer.from("0061736d01000000", "hex");
    for (const bytes of [
      new Uint8Array(),
      new Uint8Array(100).fill(7),
      wasm.subarray(0, wasm.length - 1),
      wasm.subarray(0, 8),
      empty,
      otherField,
      await readFile(tiny.r1csPath),
    ]) {
      await expect(calculateWitness(bytes, TINY_INPUTS)).rejects.toThrowError(code("CIRCUIT_MALFORMED"));
    }
    await expect(calculateWitness(otherField, TINY_INPUTS)).rejects.toThrowError(/BN254/);
    await expect(calculateWitness("/nowhere/main.wasm", TINY_INPUTS)).rejects.toThrowError(code("FILE_NOT_FOUND"));
  });
});

describe("calculateWtns", () => {
  it("gives the bytes that snarkjs gives", async () => {
    for (const inputs of [TINY_INPUTS, { a: R - 1n, unused: 0n, b: 2n ** 200n + 1n, extra: [R - 2n, 1n << 253n] }]) {
      const theirs = { type: "mem" as const, data: new Uint8Array() };
      await snarkjs.wtns.calculate(inputs, tiny.wasmPath, theirs);
      const ours = await calculateWtns(tiny.wasmPath, inputs);
      expect(Buffer.from(ours).equals(theirs.data)).toBe(true);
      expect(encodeWtns(await calculateWitness(wasm, inputs))).toEqual(ours);
      expect(await calculateWtns(await WebAssembly.compile(wasm), inputs)).toEqual(ours);
    }
  });

  it.each([
    ["made", TINY_INPUTS],
    ["refused", { ...TINY_INPUTS, extra: [1n] }],
  ])("leaves nothing in the generator's memory, the witness %s", async (_, inputs) => {
    const instantiate = vi.spyOn(WebAssembly, "instantiate");
    await calculateWtns(wasm, inputs as CircuitInputs).catch(() => {});
    const instance = (await instantiate.mock.results[0]!.value) as WebAssembly.Instance;
    const { buffer } = instance.exports["memory"] as WebAssembly.Memory;
    expect(Buffer.alloc(buffer.byteLength).equals(Buffer.from(buffer))).toBe(true);
    instantiate.mockRestore();
  });
});
