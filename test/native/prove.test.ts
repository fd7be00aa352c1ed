/**
 * The native prover against snarkjs: with the same randomness both make the same proof; whatever file or witness it is
 * given, it ends with a proof or a code.
 */
import { chmod, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { buildBn128 } from "ffjavascript";
import * as snarkjs from "snarkjs";
import { beforeAll, expect, it } from "vitest";
import { type CompiledCircuit, compileCircuit } from "../../src/circuit/compile.js";
import { type CircuitKey, developmentKey } from "../../src/circuit/setup.js";
import { calculateWitness, encodeWtns } from "../../src/circuit/witness.js";
import { R } from "../../src/field/scalar.js";
import { parseProof, parsePublicSignals, verifyGroth16, verifyingKeyToJson } from "../../src/verifier/groth16.js";
import { temporaryFolder } from "../circuit/support.js";
import { code, outcomeOf } from "../support/errors.js";
import { describeEngines, integers, little, MIXED, MIXED_INPUTS, numbers } from "./support.js";

let circuit: CompiledCircuit;
let key: CircuitKey;
let zkey: Uint8Array;
let witness: bigint[];
let wtns: Uint8Array;

beforeAll(async () => {
  circuit = await compileCircuit(MIXED);
  key = await developmentKey(circuit);
  zkey = new Uint8Array(await readFile(key.zkeyPath));
  witness = await calculateWitness(circuit.wasmPath, MIXED_INPUTS);
  wtns = encodeWtns(witness);
});

function proofJson(bytes: Uint8Array) {
  const [ax, ay, b0, b1, b2, b3, cx, cy] = integers(bytes).map(String);
  return {
    pi_a: [ax, ay, "1"],
    pi_b: [
      [b0, b1],
      [b2, b3],
      ["1", "0"],
    ],
    pi_c: [cx, cy, "1"],
    protocol: "groth16",
    curve: "bn128",
  };
}

function sectionOf(file: Uint8Array, wanted: number): { offset: number; length: number } {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (let at = 12; at < file.length; ) {
    const length = Number(view.getBigUint64(at + 4, true));
    if (view.getUint32(at, true) === wanted) return { offset: at + 12, length };
    at += 12 + length;
  }
  throw new Error(`no section ${wanted}`);
}

describeEngines("prove", (core, engine) => {
  const open = (path: string) => core.openProvingKey(path, { engine });
  const prove = async (bytes: Uint8Array, from: Uint8Array = wtns): Promise<string> => {
    const path = join(await temporaryFolder(), "key.zkey");
    await writeFile(path, bytes);
    return outcomeOf(() => {
      const handle = open(path);
      try {
        core.prove(handle, from);
      } finally {
        core.closeProvingKey(handle);
      }
    });
  };

  it.each([1, 2, 5])("makes proofs that snarkjs verifies, on %i threads", async (threads) => {
    const handle = open(key.zkeyPath);
    const seen: string[] = [];
    const { proof, publics, phases } = core.prove(handle, wtns, { threads, onPhase: (phase) => seen.push(phase) });
    expect(integers(publics)).toEqual(witness.slice(1, 4));
    expect(phases.map(({ name }) => name)).toEqual(seen);
    const json = proofJson(proof);
    const signals = integers(publics).map(String);
    expect(await snarkjs.groth16.verify(verifyingKeyToJson(key.verifyingKey), signals, json)).toBe(true);
    expect(verifyGroth16(key.verifyingKey, parsePublicSignals(signals), parseProof(json))).toBe(true);
    // Fresh blinding every time.
    expect(core.prove(handle, wtns).proof).not.toEqual(proof);
    core.closeProvingKey(handle);
  });

  it("equals snarkjs' proof for the same randomness", async () => {
    // The multi-threaded curve is one object for the whole process: snarkjs draws its randomness from it.
    const curve = await buildBn128();
    const next = numbers(4, R);
    const cases = [
      [next(), next()],
      [0n, 0n],
      [1n, R - 1n],
      [R - 1n, 2n],
    ] as [bigint, bigint][];
    const random = curve.Fr.random;
    const handle = open(key.zkeyPath);
    try {
      for (const [r, s] of cases) {
        const draws = [r, s];
        curve.Fr.random = () => curve.Fr.e(draws.shift()!);
        const expected = await snarkjs.groth16.prove(key.zkeyPath, wtns);
        expect(draws).toEqual([]);
        const { proof } = core.prove(handle, wtns, { threads: 2, blinding: little(r, s) });
        expect(proofJson(proof)).toEqual(expected.proof);
      }
    } finally {
      curve.Fr.random = random;
      await curve.terminate();
      core.closeProvingKey(handle);
    }
    expect(() => core.prove(open(key.zkeyPath), wtns, { blinding: little(R, 1n) })).toThrow(code("INPUT_INVALID"));
  });

  it("proves nothing from a witness that breaks a row", () => {
    const handle = open(key.zkeyPath);
    for (const wire of [1, 3, 10, witness.length - 1]) {
      const forged = [...witness];
      forged[wire] = (forged[wire]! + 1n) % R;
      const { proof, publics } = core.prove(handle, encodeWtns(forged));
      const signals = parsePublicSignals(integers(publics).map(String));
      expect(verifyGroth16(key.verifyingKey, signals, parseProof(proofJson(proof)))).toBe(false);
    }
    core.closeProvingKey(handle);
  });

  it("refuses witnesses of another shape", () => {
    const handle = open(key.zkeyPath);
    const refused = (bytes: Uint8Array) => expect(() => core.prove(handle, bytes)).toThrow(code("WITNESS_INVALID"));
    refused(encodeWtns(witness.slice(1)));
    refused(encodeWtns([...witness, 0n]));
    refused(encodeWtns([2n, ...witness.slice(1)]));
    refused(new Uint8Array(0));
    refused(new TextEncoder().encode("wtns"));
    refused(zkey);
    for (const length of [4, 11, 12, 23, 24, 70, 76, wtns.length - 1]) refused(wtns.slice(0, length));
    refused(new Uint8Array([...wtns, 0]));
    const alias = wtns.slice();
    alias.set(little(witness[5]! + R), wtns.length - witness.length * 32 + 5 * 32);
    refused(alias);
    core.closeProvingKey(handle);
  });

  it("refuses keys that are truncated anywhere", async () => {
    const cuts = [0, 3, 4, 11, 12, 20, 24, 100, zkey.length - 1, zkey.length - 4096];
    for (let i = 1; i < 20; i++) cuts.push(Math.floor((zkey.length * i) / 20));
    for (const cut of cuts) expect(await prove(zkey.slice(0, cut)), `cut at ${cut}`).toBe("KEY_MALFORMED");
  });

  it("answers a flipped bit anywhere in a key with a code or a proof, and never dies", async () => {
    const outcomes = new Set<string>();
    const bytes = [...Array(64).keys(), ...Array.from({ length: 300 }, (_, i) => Math.floor((i * zkey.length) / 300))];
    for (const byte of bytes) {
      const damaged = zkey.slice();
      damaged[byte]! ^= 1 << (byte % 8);
      outcomes.add(await prove(damaged));
    }
    expect([...outcomes].sort()).toEqual(["KEY_MALFORMED", "accepted"]);
  });

  it("a changed point makes a proof that does not verify, or no key", async () => {
    // A, B1, B2, C and H: the flipped bit lies in the y coordinate of a point that the witness uses.
    for (const [section, size] of [
      [5, 64],
      [6, 64],
      [7, 128],
      [8, 64],
      [9, 64],
    ] as const) {
      const damaged = zkey.slice();
      const { offset, length } = sectionOf(zkey, section);
      let point = offset + Math.floor(length / size / 2) * size;
      while (zkey.subarray(point, point + size).every((byte) => byte === 0)) point += size;
      damaged[point + size - 9]! ^= 1;
      const path = join(await temporaryFolder(), "key.zkey");
      await writeFile(path, damaged);
      const handle = open(path);
      const { proof, publics } = core.prove(handle, wtns);
      core.closeProvingKey(handle);
      const signals = parsePublicSignals(integers(publics).map(String));
      // A point off the curve gives a proof off the curve, which is not even parsed.
      const outcome = outcomeOf(() => {
        expect(verifyGroth16(key.verifyingKey, signals, parseProof(proofJson(proof)))).toBe(false);
      });
      expect(outcome, `section ${section}`).toMatch(/^(accepted|PROOF_MALFORMED)$/);
    }
  });

  it("proves the same from a prepared key, and makes it again when it is damaged", async () => {
    const folder = join(await temporaryFolder(), "prepared");
    const blinding = little(11n, 12n);
    const expected = core.prove(open(key.zkeyPath), wtns, { blinding }).proof;
    // Another path each time: the process shares a key that is already in memory.
    let copies = 0;
    const proveWith = async (prepared: string, threads: number) => {
      const path = join(await temporaryFolder(), `${copies++}.zkey`);
      await writeFile(path, zkey);
      const handle = core.openProvingKey(path, { engine, prepared, threads });
      const loaded = core.provingKeyInfo(handle).prepared;
      expect(core.prove(handle, wtns, { blinding, threads }).proof).toEqual(expected);
      core.closeProvingKey(handle);
      return loaded;
    };
    expect(await proveWith(folder, 2)).toBe(false);
    expect(await proveWith(folder, 1)).toBe(true);
    const [name, ...others] = await readdir(folder);
    expect(others).toEqual([]);
    const file = join(folder, name!);
    expect((await stat(file)).mode & 0o077).toBe(0);
    const good = new Uint8Array(await readFile(file));
    const damages: [string, (bytes: Uint8Array) => Uint8Array][] = [
      ["empty", () => new Uint8Array(0)],
      ["cut in its head", (bytes) => bytes.slice(0, 100)],
      ["cut", (bytes) => bytes.slice(0, bytes.length - 1)],
      ["longer", (bytes) => new Uint8Array([...bytes, 0])],
      ...[0, 9, 41, 57, 75, 190, 300, 5000, 0.3, 0.6, 0.9].map((at): [string, (bytes: Uint8Array) => Uint8Array] => [
        `flipped at ${at}`,
        (bytes) => {
          bytes[at < 1 && at > 0 ? Math.floor(at * bytes.length) : at]! ^= 4;
          return bytes;
        },
      ]),
    ];
    for (const [what, damage] of damages) {
      await writeFile(file, damage(good.slice()));
      expect(await proveWith(folder, 2), what).toBe(false);
      // All but the head, which names the .zkey's file.
      expect(Buffer.compare((await readFile(file)).subarray(256), good.subarray(256)), what).toBe(0);
      expect(await proveWith(folder, 3), what).toBe(true);
    }
    // A key that was damaged itself, under the same verifying key, must not leave its points to the good one.
    const bad = join(await temporaryFolder(), "bad.zkey");
    const damaged = zkey.slice();
    const h = sectionOf(zkey, 9);
    damaged[h.offset + 3 * 64 + 40]! ^= 1;
    await writeFile(bad, damaged);
    const handle = core.openProvingKey(bad, { engine, prepared: folder });
    expect(core.prove(handle, wtns, { blinding }).proof).not.toEqual(expected);
    core.closeProvingKey(handle);
    expect(await proveWith(folder, 2)).toBe(false);
    expect(await proveWith(folder, 2)).toBe(true);
    // Where nothing can be written, or anybody can, the key still serves.
    const open4all = join(await temporaryFolder(), "public");
    await mkdir(open4all);
    await chmod(open4all, 0o777);
    expect(await proveWith(open4all, 1)).toBe(false);
    expect(await readdir(open4all)).toEqual([]);
    await writeFile(join(folder, "file"), "");
    expect(await proveWith(join(folder, "file"), 1)).toBe(false);
    expect(await proveWith(join(folder, "no", "such", "folder"), 1)).toBe(false);
  });

  it("stops when the abort flag is set", () => {
    const handle = open(key.zkeyPath);
    const control = new Int32Array(new SharedArrayBuffer(4));
    control[0] = 1;
    expect(() => core.prove(handle, wtns, { control })).toThrow(code("ABORTED"));
    // In the middle: the flag is set by the phase's own callback.
    control[0] = 0;
    const onPhase = (phase: string) => {
      if (phase === "msm") control[0] = 1;
    };
    expect(() => core.prove(handle, wtns, { control, onPhase })).toThrow(code("ABORTED"));
    control[0] = 0;
    expect(core.prove(handle, wtns, { control }).proof).toHaveLength(256);
    core.closeProvingKey(handle);
  });
});
