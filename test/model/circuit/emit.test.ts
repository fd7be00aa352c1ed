import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkWitness, circuitDigest, readR1cs, rowHolds, rowsOfWires } from "../../../src/circuit/r1cs.js";
import { writeScalar } from "../../../src/circuit/synthesis/rows.js";
import { encodeWtns } from "../../../src/circuit/witness.js";
import { R } from "../../../src/field/scalar.js";
import {
  createWitnessProgram,
  describeCircuit,
  emitR1cs,
  type InferenceRequest,
  publicSignals,
  writeR1cs,
} from "../../../src/model/circuit/index.js";
import type { ModelGraph } from "../../../src/model/graph.js";
import { code, temporaryFolder } from "../../circuit/support.js";
import { buildGraph, buildInput, lcg } from "../graphs.js";
import { lenet } from "./lenet.js";
import { witnessOf } from "./support.js";

const GRAPH = buildGraph({ seed: 9, steps: ["linear", "requant", "table", "linear", "argMax"] });
const LORA = buildGraph({ seed: 4, steps: ["linear"], adapter: 3 });

function requestOf(graph: ModelGraph, seed: number, batch = 1): InferenceRequest {
  const inferences = Array.from({ length: batch }, (_, k) => ({
    input: buildInput(graph, seed + k).input,
    salt: BigInt(k),
  }));
  const { adapter } = buildInput(graph, seed);
  return { inferences, ...(adapter ? { adapter: { weights: adapter, salt: 8n } } : {}), context: 3n };
}

describe("writeScalar", () => {
  const written = (value: number | bigint) => {
    const words = new Uint32Array(10);
    writeScalar(words, 1, value);
    expect([words[0], words[9]]).toEqual([0, 0]);
    return words.subarray(1, 9).reduceRight((sum, word) => (sum << 32n) | BigInt(word), 0n);
  };

  it("is the field element, of numbers and of bigints", () => {
    const numbers = fc.oneof(fc.constantFrom(0, 1, -1, 2 ** 32, -(2 ** 32), 2 ** 32 - 1), fc.maxSafeInteger());
    fc.assert(
      fc.property(numbers, (value) => {
        expect(written(value)).toBe((BigInt(value) + R) % R);
        expect(written(BigInt(value))).toBe((BigInt(value) + R) % R);
      }),
    );
    fc.assert(
      fc.property(fc.bigInt(-3n * R, 3n * R), (value) => {
        expect(written(value)).toBe(((value % R) + R) % R);
      }),
    );
  });
});

describe("writeR1cs", () => {
  it("leaves the bytes of emitR1cs, with their digest, and nothing else", async () => {
    const folder = await temporaryFolder();
    const path = join(folder, "circuit.r1cs");
    const progress: number[] = [];
    const written = await writeR1cs(path, GRAPH, {
      onProgress: ({ done, total }) => {
        expect(total).toBe(describeCircuit(GRAPH).rows);
        progress.push(done);
      },
    });
    const bytes = new Uint8Array(await readFile(path));
    expect(bytes).toEqual(emitR1cs(GRAPH));
    expect(await readdir(folder)).toEqual(["circuit.r1cs"]);
    expect(written.circuitDigest).toBe(circuitDigest(bytes));
    const { rows, wires, publicSignals } = describeCircuit(GRAPH);
    expect(written).toMatchObject({
      constraints: rows,
      wires,
      publicOutputs: publicSignals.length - 1,
      publicInputs: 1,
    });
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
    expect(progress.at(-1)).toBe(rows);
  });

  it("stops on request, and cannot write where there is no folder; neither leaves a file", async () => {
    const folder = await temporaryFolder();
    const path = join(folder, "circuit.r1cs");
    const controller = new AbortController();
    const stopped = writeR1cs(path, GRAPH, { signal: controller.signal, onProgress: () => controller.abort() });
    await expect(stopped).rejects.toThrow(code("ABORTED"));
    await expect(writeR1cs(path, GRAPH, { signal: AbortSignal.abort() })).rejects.toThrow(code("ABORTED"));
    await writeFile(join(folder, "file"), "");
    await expect(writeR1cs(join(folder, "file", "x"), GRAPH)).rejects.toThrow(code("FILE_UNREADABLE"));
    expect(await readdir(folder)).toEqual(["file"]);
  });
});

describe("createWitnessProgram", () => {
  it("gives a .wtns file as others write it", () => {
    const file = createWitnessProgram(GRAPH)(requestOf(GRAPH, 1));
    expect(file).toEqual(encodeWtns(witnessOf(file)));
  });

  it("refuses what no circuit would take", () => {
    const program = createWitnessProgram(LORA);
    const good = requestOf(LORA, 1);
    const [first] = good.inferences;
    const refused = (request: unknown) => () => program(request as InferenceRequest);
    expect(refused({ ...good, context: 0n })).toThrow(code("CONTEXT_ZERO"));
    expect(refused({ ...good, context: R })).toThrow(code("INPUT_INVALID"));
    expect(refused({ ...good, context: 5 })).toThrow(code("INPUT_INVALID"));
    expect(refused({ ...good, inferences: [] })).toThrow(code("INPUT_INVALID"));
    expect(refused({ ...good, inferences: [first, first] })).toThrow(code("INPUT_INVALID"));
    expect(refused({ ...good, inferences: [null] })).toThrow(code("INPUT_INVALID"));
    expect(refused({ ...good, inferences: [{ ...first, salt: -1n }] })).toThrow(code("INPUT_INVALID"));
    expect(refused({ ...good, inferences: [{ ...first, input: [1] }] })).toThrow(code("INPUT_INVALID"));
    expect(refused({ ...good, inferences: [{ ...first, input: Array.from(first!.input, () => 999) }] })).toThrow(
      code("INPUT_INVALID"),
    );
    expect(refused({ ...good, adapter: undefined })).toThrow(code("INPUT_INVALID"));
    expect(refused({ ...good, adapter: { ...good.adapter, salt: undefined } })).toThrow(code("INPUT_INVALID"));
    expect(refused({ ...good, adapter: { ...good.adapter, weights: [1] } })).toThrow(code("INPUT_INVALID"));
    const plain = createWitnessProgram(GRAPH);
    expect(() => plain({ ...requestOf(GRAPH, 1), adapter: good.adapter })).toThrow(code("INPUT_INVALID"));
    for (const batch of [0, -1, 1.5, 4097, Number.NaN]) {
      expect(() => createWitnessProgram(GRAPH, { batch })).toThrow(code("INPUT_INVALID"));
    }
  });
});

describe("batches", () => {
  it("prove each inference as the plain circuit does", () => {
    const batch = 3;
    const r1cs = readR1cs(emitR1cs(LORA, { batch }));
    const request = requestOf(LORA, 5, batch);
    const witness = witnessOf(createWitnessProgram(LORA, { batch })(request));
    expect(checkWitness(r1cs, witness)).toBe(-1);
    expect(witness.slice(1, 5)).toEqual(publicSignals(LORA, request, { batch }));
    expect(describeCircuit(LORA, { batch }).rows).toBe(r1cs.constraints);
    // Swapped inferences are another statement.
    const swapped = { ...request, inferences: [...request.inferences].reverse() };
    expect(publicSignals(LORA, swapped, { batch })[1]).not.toBe(witness[2]);
  });
});

describe("a LeNet-5's circuit", () => {
  const graph = lenet(1);
  const inputs = (seed: number) => {
    const below = lcg(seed);
    return Array.from({ length: 784 }, () => [0, 127, below(128)][below(3)]!);
  };

  it("has at most 200,000 rows, linear ones in C alone, and a witness that satisfies them", () => {
    const r1cs = readR1cs(emitR1cs(graph));
    const descriptor = describeCircuit(graph);
    expect(r1cs.constraints).toBe(descriptor.rows);
    expect(r1cs.constraints).toBeLessThanOrEqual(200_000);
    expect(descriptor.rows).toBe(descriptor.parts.reduce((sum, part) => sum + part.rows, 0));
    // Of 419,208 multiplications by constants, none is a coefficient of A or B.
    expect(descriptor.multiplications.constant).toBeGreaterThan(400_000);
    expect(r1cs.a.wire.length + r1cs.b.wire.length).toBeLessThan(6 * r1cs.constraints);

    const program = createWitnessProgram(graph);
    for (const seed of [1, 5]) {
      const request = { inferences: [{ input: inputs(seed), salt: BigInt(seed) }], context: 1n };
      const witness = witnessOf(program(request));
      expect(checkWitness(r1cs, witness)).toBe(-1);
      expect(witness.slice(1, 4)).toEqual(publicSignals(graph, request));
    }
  });

  it("leaves no wire free: a sample", () => {
    const r1cs = readR1cs(emitR1cs(graph));
    const rows = rowsOfWires(r1cs);
    const request = { inferences: [{ input: inputs(9), salt: 4n }], context: 1n };
    const witness = witnessOf(createWitnessProgram(graph)(request));
    const firstHint = 1 + r1cs.publicOutputs + r1cs.publicInputs + r1cs.privateInputs;
    const below = lcg(3);
    for (let i = 0; i < 3000; i++) {
      const wire = firstHint + below(r1cs.wires - firstHint);
      const honest = witness[wire]!;
      for (const value of [(honest + 1n) % R, (R - honest) % R]) {
        if (value === honest) continue;
        witness[wire] = value;
        expect(rows[wire]!.every((row) => rowHolds(r1cs, witness, row))).toBe(false);
      }
      witness[wire] = honest;
    }
  });
});
