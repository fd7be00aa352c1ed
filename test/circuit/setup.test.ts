import { readFile, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CompiledCircuit, compileCircuit } from "../../src/circuit/compile.js";
import { checkWitness, type R1cs, readR1cs } from "../../src/circuit/r1cs.js";
import { type CircuitKey, developmentKey, setupDevelopment } from "../../src/circuit/setup.js";
import type { ArtefactStore } from "../../src/circuit/store.js";
import { calculateWitness, encodeWtns } from "../../src/circuit/witness.js";
import { R } from "../../src/field/scalar.js";
import {
  keyDigest,
  parseProof,
  parseVerifyingKey,
  verifyGroth16,
  verifyingKeyToJson,
} from "../../src/verifier/groth16.js";
import { lintVerifyingKey } from "../../src/verifier/lint.js";
import { code, entries, TINY, TINY_INPUTS, TINY_OUTPUT, temporaryStore } from "./support.js";
import { snarkjs, stopSnarkjs } from "./vendor.js";

const PUBLIC = [TINY_OUTPUT, TINY_INPUTS.a, TINY_INPUTS.unused];

let store: ArtefactStore;
let circuit: CompiledCircuit;
let key: CircuitKey;
let r1cs: R1cs;
let witness: bigint[];

beforeAll(async () => {
  store = await temporaryStore();
  circuit = await compileCircuit(TINY);
  key = await developmentKey(circuit, { store });
  r1cs = readR1cs(await readFile(circuit.r1csPath));
  witness = await calculateWitness(circuit.wasmPath, TINY_INPUTS);
});
afterAll(stopSnarkjs);

const prove = (values: readonly bigint[], zkey: string | Uint8Array = key.zkeyPath) =>
  snarkjs.groth16.prove(zkey, encodeWtns(values), undefined, { singleThread: true });

describe("a development key", () => {
  it("makes proofs with snarkjs, which snarkjs and our verifier accept", async () => {
    for (const inputs of [TINY_INPUTS, { a: 0n, unused: 0n, b: R - 1n, extra: [2n ** 200n, R - 3n] }]) {
      const values = await calculateWitness(circuit.wasmPath, inputs);
      const { proof, publicSignals } = await prove(values);
      expect(publicSignals).toEqual(values.slice(1, 4).map(String));
      expect(await snarkjs.groth16.verify(key.verifyingKeyJson, publicSignals, proof)).toBe(true);
      expect(verifyGroth16(key.verifyingKey, publicSignals.map(BigInt), parseProof(proof))).toBe(true);
    }
  });

  it("binds every public signal, also the one that no row mentions", async () => {
    const { proof } = await prove(witness);
    expect(verifyGroth16(key.verifyingKey, PUBLIC, parseProof(proof))).toBe(true);
    for (let i = 0; i < PUBLIC.length; i++) {
      for (const other of [(PUBLIC[i]! + 1n) % R, 0n, R - PUBLIC[i]!]) {
        const publics = PUBLIC.map((value, j) => (i === j ? other : value));
        expect(verifyGroth16(key.verifyingKey, publics, parseProof(proof))).toBe(false);
        expect(await snarkjs.groth16.verify(key.verifyingKeyJson, publics.map(String), proof)).toBe(false);
      }
    }
    const swapped = [PUBLIC[0]!, PUBLIC[2]!, PUBLIC[1]!];
    expect(verifyGroth16(key.verifyingKey, swapped, parseProof(proof))).toBe(false);
  });

  it("binds every row: a proof from a witness that violates one does not verify", async () => {
    const violated = new Set<number>();
    for (let wire = 1; wire < witness.length; wire++) {
      const wrong = witness.map((value, i) => (i === wire ? (value + 1n) % R : value));
      const row = checkWitness(r1cs, wrong);
      violated.add(row);
      const { proof, publicSignals } = await prove(wrong);
      expect(verifyGroth16(key.verifyingKey, publicSignals.map(BigInt), parseProof(proof))).toBe(row === -1);
    }
    expect([...violated].sort((x, y) => x - y)).toEqual([-1, 0, 1, 2]);
  });

  it("is described by the files beside it, its digest and its circuit", async () => {
    expect(key.development).toBe(true);
    expect(key.circuitDigest).toBe(circuit.circuitDigest);
    expect(key.keyDigest).toBe(keyDigest(key.verifyingKey));
    expect(key.verifyingKeyJson).toEqual(verifyingKeyToJson(key.verifyingKey));
    expect(key.verifyingKey.nPublic).toBe(3);
    expect(() => lintVerifyingKey(key.verifyingKey)).not.toThrow();
  });

  it("has the verifying key that snarkjs exports from its file", async () => {
    const exported = await snarkjs.zKey.exportVerificationKey(key.zkeyPath);
    expect(parseVerifyingKey(JSON.parse(JSON.stringify(exported)))).toEqual(key.verifyingKey);
    const { vk_alphabeta_12: _, ...rest } = exported;
    expect(rest).toEqual(key.verifyingKeyJson);
  });

  it("lays out the sections of snarkjs' format, and a stamp of its own", async () => {
    const file = await readFile(key.zkeyPath);
    expect(file.toString("latin1", 0, 4)).toBe("zkey");
    expect(file.readUInt32LE(4)).toBe(1);
    const sections = new Map<number, Buffer>();
    let offset = 12;
    for (let i = 0; i < file.readUInt32LE(8); i++) {
      const length = Number(file.readBigUInt64LE(offset + 4));
      expect(sections.has(file.readUInt32LE(offset))).toBe(false);
      sections.set(file.readUInt32LE(offset), file.subarray(offset + 12, offset + 12 + length));
      offset += 12 + length;
    }
    expect(offset).toBe(file.length);
    const [wires, publics, domain] = [9, 3, 8]; // 3 rows and 4 for the public signals and the constant
    const header = sections.get(2)!;
    expect([72, 76, 80].map((at) => header.readUInt32LE(at))).toEqual([wires, publics, domain]);
    const lengths = [...sections].filter(([id]) => id < 100).map(([id, content]) => [id, content.length]);
    const entriesOfAB = r1cs.a.wire.length + r1cs.b.wire.length + publics + 1;
    expect(lengths).toEqual([
      [1, 4],
      [2, 84 + 3 * 64 + 3 * 128],
      [3, 64 * (publics + 1)],
      [4, 4 + 44 * entriesOfAB],
      [5, 64 * wires],
      [6, 64 * wires],
      [7, 128 * wires],
      [8, 64 * (wires - publics - 1)],
      [9, 64 * domain],
      [10, 68],
    ]);
    const stamp = sections.get(Buffer.from("anap").readUInt32LE())!;
    expect(JSON.parse(stamp.toString())).toEqual({
      tool: "anchorproof",
      development: true,
      circuitDigest: circuit.circuitDigest,
    });
  });
});

describe("setupDevelopment", () => {
  it("draws a new trapdoor each time: keys differ in every element, and do not fit each other's proofs", async () => {
    const other = await setupDevelopment(r1cs, circuit.circuitDigest);
    const { alpha, beta, delta, ic } = key.verifyingKey;
    expect(other.verifyingKey.alpha).not.toEqual(alpha);
    expect(other.verifyingKey.beta).not.toEqual(beta);
    expect(other.verifyingKey.delta).not.toEqual(delta);
    for (const [i, point] of ic.entries()) expect(other.verifyingKey.ic[i]).not.toEqual(point);
    expect(keyDigest(other.verifyingKey)).not.toBe(key.keyDigest);
    const { proof } = await prove(witness, other.zkey);
    expect(verifyGroth16(other.verifyingKey, PUBLIC, parseProof(proof))).toBe(true);
    expect(verifyGroth16(key.verifyingKey, PUBLIC, parseProof(proof))).toBe(false);
  });

  it("reports progress up to 1, and makes keys for the smallest circuits", async () => {
    const { r1csPath, circuitDigest, wasmPath } = await compileCircuit({
      name: "square",
      source:
        "pragma circom 2.2.3;\ntemplate Square() {\n    signal input x;\n    signal output y;\n    y <== x * x;\n}\ncomponent main = Square();\n",
    });
    const seen: number[] = [];
    const small = readR1cs(await readFile(r1csPath));
    const { zkey, verifyingKey } = await setupDevelopment(small, circuitDigest, {
      onProgress: (done) => seen.push(done),
    });
    expect(seen).toEqual([...seen].sort((x, y) => x - y));
    expect(seen.at(-1)).toBe(1);
    const { proof } = await prove(await calculateWitness(wasmPath, { x: 12n }), zkey);
    expect(verifyGroth16(verifyingKey, [144n], parseProof(proof))).toBe(true);
    expect(verifyGroth16(verifyingKey, [145n], parseProof(proof))).toBe(false);
  });

  it("refuses circuits of more than 2^20 rows before it does any work", async () => {
    const large = { ...r1cs, constraints: 2 ** 20 };
    await expect(setupDevelopment(large, circuit.circuitDigest)).rejects.toThrowError(code("INPUT_TOO_LARGE"));
  });

  it("stops before and in the middle of its work", async () => {
    const stopped = setupDevelopment(r1cs, circuit.circuitDigest, { signal: AbortSignal.abort() });
    await expect(stopped).rejects.toThrowError(code("ABORTED"));
    const stop = new AbortController();
    const seen: number[] = [];
    const onProgress = (done: number) => {
      seen.push(done);
      stop.abort();
    };
    const middle = setupDevelopment(r1cs, circuit.circuitDigest, { signal: stop.signal, onProgress });
    await expect(middle).rejects.toThrowError(code("ABORTED"));
    expect(seen.every((done) => done < 1)).toBe(true);
    expect(seen.length).toBeGreaterThan(0);
  });
});

describe("developmentKey", () => {
  it("is made once and kept by the circuit's digest", async () => {
    expect(await developmentKey(circuit, { store })).toEqual(key);
    expect(await entries(store, "development-key")).toHaveLength(1);
  });

  it("is made anew, and is another, when its file was damaged", async () => {
    const own = await temporaryStore();
    const first = await developmentKey(circuit, { store: own });
    const bytes = await readFile(first.zkeyPath);
    bytes[bytes.length >> 1]! ^= 1;
    await writeFile(first.zkeyPath, bytes);
    const second = await developmentKey(circuit, { store: own });
    expect(second.keyDigest).not.toBe(first.keyDigest);
    const { proof } = await prove(witness, second.zkeyPath);
    expect(verifyGroth16(second.verifyingKey, PUBLIC, parseProof(proof))).toBe(true);
  });

  it("leaves nothing when it is stopped", async () => {
    const own = await temporaryStore();
    const stop = new AbortController();
    const options = { store: own, signal: stop.signal, onProgress: () => stop.abort() };
    await expect(developmentKey(circuit, options)).rejects.toThrowError(code("ABORTED"));
    expect(await entries(own, "development-key")).toEqual([]);
  });

  it("gives a code for a damaged constraint system", async () => {
    const own = await temporaryStore();
    const copy = await compileCircuit(TINY, { store: own });
    const bytes = await readFile(copy.r1csPath);
    // Still a well-formed system, of other rows: its key must not be kept under this circuit's digest.
    const other = await compileCircuit({ name: "four", source: TINY.source.replace("+ 3;", "+ 4;") });
    await writeFile(copy.r1csPath, await readFile(other.r1csPath));
    await expect(developmentKey(copy, { store: own })).rejects.toThrowError(code("CACHE_DAMAGED"));
    await writeFile(copy.r1csPath, bytes.subarray(0, 100));
    await expect(developmentKey(copy, { store: own })).rejects.toThrowError(code("CIRCUIT_MALFORMED"));
    expect(await entries(own, "development-key")).toEqual([]);
  });
});
