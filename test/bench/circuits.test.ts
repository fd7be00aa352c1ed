/** The benchmark's circuits compute what their names say, and fill their domains. */
import { createHash } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { poseidon2 } from "poseidon-lite";
import { describe, expect, it } from "vitest";
import {
  benchCircuit,
  benchModel,
  KINDS,
  type Kind,
  PROVER_KINDS,
  prepareCase,
  prepareCircuit,
} from "../../src/bench/circuits.js";
import { compileCircuit } from "../../src/circuit/compile.js";
import { readR1cs, rowHolds } from "../../src/circuit/r1cs.js";
import { calculateWitness } from "../../src/circuit/witness.js";
import { decodeScalars, poseidonParameters } from "../../src/field/poseidon.js";
import { describeCircuit, publicSignals } from "../../src/model/circuit/index.js";
import { commitInput } from "../../src/model/commitment.js";
import { execute } from "../../src/model/execute.js";
import { inputOf, modelDigest } from "../../src/model/graph.js";
import { PACKAGE_ROOT } from "../../src/paths.js";
import { code, temporaryFolder } from "../circuit/support.js";

const words = (bytes: Uint8Array) =>
  Array.from({ length: bytes.length / 4 }, (_, i) => BigInt(Buffer.from(bytes).readUInt32BE(4 * i)));

/** FIPS 180-4, section 5.1.1. */
function padded(message: string): Buffer {
  const text = Buffer.from(message);
  const blocks = Buffer.alloc(64 * Math.ceil((text.length + 9) / 64));
  text.copy(blocks);
  blocks[text.length] = 0x80;
  blocks.writeBigUInt64BE(BigInt(8 * text.length), blocks.length - 8);
  return blocks;
}

async function sha256(message: string): Promise<string> {
  const blocks = padded(message);
  const template = await readFile(join(PACKAGE_ROOT, "bench", "circuits", "sha256_steps.circom"), "utf8");
  const source = `${template}\ncomponent main = Sha256Steps(${blocks.length});\n`;
  const { wasmPath } = await compileCircuit({ name: "sha256", source });
  const witness = await calculateWitness(wasmPath, { word: words(blocks) });
  return witness
    .slice(1, 3)
    .map((half) => half.toString(16).padStart(32, "0"))
    .join("");
}

describe("sha256_steps", () => {
  // 64 steps a block, so a message of n bytes of padded blocks takes n steps.
  it.each(["abc", "", "x".repeat(55), "two blocks: ".repeat(7)])(
    "with whole blocks is SHA-256: %j",
    async (message) => {
      expect(await sha256(message)).toBe(createHash("sha256").update(message).digest("hex"));
    },
  );
});

describe("poseidon_chain", () => {
  it("links circomlib's Poseidon(2)", async () => {
    const source = await benchCircuit("poseidon", 10);
    if (source.type !== "circom") throw new Error("a circuit by circom");
    const { circuit, inputs } = source;
    const { wasmPath } = await compileCircuit(circuit);
    const links = Number(/poseidon-chain-(\d+)/.exec(circuit.name)![1]);
    expect(links).toBe(2);
    let hash = 1n;
    for (let i = 0; i < links; i++) hash = poseidon2([hash, 2n]);
    expect(inputs).toEqual({ seed: [1n, 2n] });
    expect((await calculateWitness(wasmPath, inputs))[1]).toBe(hash);
  });

  it("the constants are circomlib's published ones, for any number of inputs", async () => {
    const path = createRequire(import.meta.url).resolve("circomlib/circuits/poseidon_constants_old.circom");
    const published = await readFile(path, "utf8");
    for (let inputs = 1; inputs <= 16; inputs++) {
      const branch = (name: string) => {
        const body = published.slice(published.indexOf(`function ${name}(t)`));
        const start = body.indexOf(`t == ${inputs + 1})`);
        return [...body.slice(start, body.indexOf("}", start)).matchAll(/0x[0-9a-f]+|\d{20,}/g)].map(([value]) =>
          BigInt(value),
        );
      };
      const { constants, mds } = poseidonParameters(inputs);
      expect(constants.flat(), `${inputs} inputs`).toEqual(branch("POSEIDON_C"));
      expect(mds.flat(), `${inputs} inputs`).toEqual(branch("POSEIDON_M"));
    }
  });

  it.each([0, 17, 1.5])("there is no instance with %d inputs", (inputs) => {
    expect(() => poseidonParameters(inputs)).toThrow(code("INPUT_INVALID"));
  });
});

describe("inference", () => {
  it.each([10, 13])("is a model whose circuit gives the class that its executor gives, at 2^%i", async (size) => {
    const source = await benchCircuit("inference", size);
    if (source.type !== "model") throw new Error("a model");
    const { graph, request } = source;
    const { input, salt } = request.inferences[0]!;
    const { values, output } = execute(graph, input);
    // Every activation layer still tells one input from another.
    for (const [id, node] of graph.nodes.entries()) {
      if (node.op === "requant") expect(new Set(values[id]).size).toBeGreaterThan(3);
    }
    const of = await prepareCase("inference", size, await temporaryFolder());
    expect(of.publicSignals).toEqual([BigInt(output[0]!), commitInput(inputOf(graph), input, salt), 2n]);
    expect(of.publicSignals).toEqual(publicSignals(graph, request));
  });

  it.each([10, 12, 14, 17])("fills 2^%i rows, and is always the same", (size) => {
    const graph = benchModel(size);
    const { rows } = describeCircuit(graph);
    expect(rows).toBeLessThanOrEqual(2 ** size - 4);
    expect(rows).toBeGreaterThan(0.95 * 2 ** size);
    if (size < 17) expect(modelDigest(benchModel(size))).toBe(modelDigest(graph));
  });

  it("is for setups unless asked for", () => {
    expect(PROVER_KINDS).toEqual(["poseidon", "sha256"]);
  });
});

describe("benchCircuit", () => {
  it.each(
    KINDS.flatMap((kind): [Kind, number][] => [
      [kind, 10],
      [kind, 12],
    ]),
  )("%s fills 2^%i rows, and its witness satisfies every one", async (kind, size) => {
    const { compiled, wtnsPath } = await prepareCircuit(kind, size, await temporaryFolder());
    const inKey = compiled.rows + compiled.publicSignals + 1;
    expect(inKey).toBeLessThanOrEqual(2 ** size);
    expect(inKey).toBeGreaterThan(0.8 * 2 ** size);
    const r1cs = readR1cs(await readFile(compiled.r1csPath));
    const witness = decodeScalars(new Uint8Array(await readFile(wtnsPath)).subarray(-32 * compiled.wires));
    const violated = Array.from({ length: r1cs.constraints }, (_, row) => row).filter(
      (row) => !rowHolds(r1cs, witness, row),
    );
    expect(violated).toEqual([]);
    const bits = witness.filter((value) => value < 2n).length / witness.length;
    const [least, most] = { poseidon: [0, 0.1], sha256: [0.9, 1], inference: [0.2, 0.9] }[kind] as [number, number];
    expect(bits).toBeGreaterThan(least);
    expect(bits).toBeLessThan(most);
  });

  it("names the public signals that a proof must show", async () => {
    const folder = await temporaryFolder();
    const of = await prepareCase("sha256", 10, folder);
    const source = await benchCircuit("sha256", 10);
    if (source.type !== "circom") throw new Error("a circuit by circom");
    const { wasmPath } = await compileCircuit(source.circuit);
    expect(of.publicSignals).toEqual((await calculateWitness(wasmPath, source.inputs)).slice(1, 3));
    expect(of.publicSignals.length).toBe(of.verifyingKey.nPublic);
    await rm(of.wtnsPath);
  });

  it.each([9, 21, 14.5, Number.NaN])("refuses a size of %d", async (size) => {
    await expect(benchCircuit("poseidon", size)).rejects.toThrow(code("INPUT_INVALID"));
  });
});
