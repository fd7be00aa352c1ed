/**
 * The core's setup: every engine and number of threads gives the same bytes, a flag ends each long call soon and leaves
 * nothing behind, and the circuit's hash is BLAKE2b over the points that snarkjs hashes.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { beforeAll, describe, expect, it } from "vitest";
import { binFile, decodeG1, decodeG2, encodeG2 } from "../../src/circuit/binfile.js";
import { type CompiledCircuit, compileCircuit } from "../../src/circuit/compile.js";
import { readR1cs } from "../../src/circuit/r1cs.js";
import { calculateWtns } from "../../src/circuit/witness.js";
import { readZkeyHeader } from "../../src/circuit/zkey.js";
import { concat, utf8, word } from "../../src/field/bytes.js";
import { type NativeCore, nativeCore } from "../../src/field/native.js";
import { R } from "../../src/field/scalar.js";
import { G1_GENERATOR, G2_GENERATOR, type G2Affine } from "../../src/verifier/curve.js";
import { verifyGroth16 } from "../../src/verifier/groth16.js";
import { wrongSubgroupG2 } from "../chain/simulated.js";
import { sectionsOf, timesG1, timesG2 } from "../circuit/ceremony.js";
import { changedFile, patch, type Row, r1csFile, type Term } from "../circuit/files.js";
import { code, TINY, TINY_INPUTS, TINY_OUTPUT, temporaryFolder } from "../circuit/support.js";
import { describeEngines, integers, little, numbers } from "./support.js";

const STAMP = utf8(JSON.stringify({ tool: "anchorproof", development: true }));
const off = process.env["ANCHORPROOF_NATIVE"] === "off";

let folder: string;
let tiny: CompiledCircuit;
/** Some hundred rows with coefficients of all kinds, and powers for more than them. */
let r1cs: string;
let powers: string;
let count = 0;
const fresh = () => join(folder, `${count++}`);

/** Dense, small, negative and zero coefficients, at random; some wires in many rows, some in none. */
function mixed(rows: number, wires: number): Row[] {
  const number = numbers(rows, R);
  const term = (): Term => {
    const [place, kind, value] = [number(), Number(number() % 6n), number()];
    const wire = place % 3n === 0n ? 0 : Number((place >> 8n) % BigInt(wires - 20));
    return [wire, [1n, R - 1n, 0n, value, value >> 190n, R - (value >> 120n)][kind]!];
  };
  return Array.from({ length: rows }, (): Row => {
    const side = () => Array.from({ length: Number(number() % 7n) }, term);
    return [side(), side(), side()];
  });
}

beforeAll(async () => {
  if (off) return;
  folder = await temporaryFolder();
  tiny = await compileCircuit(TINY);
  [r1cs, powers] = [fresh(), fresh()];
  await writeFile(r1cs, r1csFile({ wires: 333, publicInputs: 5, rows: mixed(230, 333) }));
  nativeCore()!.newPtau(9, powers, STAMP, { prepared: true, threads: 2 });
});

/** A key from powers of tau with one step whose secret is known: the same for everybody. */
function keysBy(core: NativeCore, engine: "portable" | "adx" | "ifma", threads: number, raw: string) {
  const [basis, cut, unprepared, initial, next] = [fresh(), fresh(), fresh(), fresh(), fresh()] as const;
  core.makeBasis(powers, 8, basis, { engine, threads });
  core.makeBasis(powers, 8, cut, { engine, threads, cut: true });
  core.makeBasis(raw, 8, unprepared, { engine, threads });
  const hash = core.newPhase2(r1cs, basis, initial, new Uint8Array(), { engine, threads });
  const secret = core.publicSecret(little(R / 3n), little(1n, 2n), { engine });
  core.secretApply(secret, initial, next, utf8("any record"), { threads });
  const publicKey = core.secretPublicKey(secret);
  const multiple = core.secretMultiply(secret, 2, little(...(G2_GENERATOR as G2Affine).flat()));
  core.closeSecret(secret);
  return { files: [basis, cut, unprepared, initial, next], hash, publicKey, multiple };
}

describeEngines("keys from powers of tau", (core, engine) => {
  it("are the same as the portable engine's, on any number of threads", async () => {
    const raw = fresh();
    const sections = await sectionsOf(powers);
    await writeFile(
      raw,
      binFile(
        "ptau",
        1,
        [...sections].filter(([id]) => id < 12),
      ),
    );
    const expected = keysBy(core, "portable", 1, raw);
    for (const threads of [1, 2, 5]) {
      const made = keysBy(core, engine, threads, raw);
      for (const [i, path] of made.files.entries()) {
        expect([i, (await readFile(path)).equals(await readFile(expected.files[i]!))]).toEqual([i, true]);
      }
      expect(made.hash).toEqual(expected.hash);
      expect(made.publicKey).toEqual(little(1n, 2n, ...timesG1(G1_GENERATOR, R / 3n)));
      expect(made.multiple).toEqual(little(...timesG2(G2_GENERATOR, R / 3n).flat()));
      // What is not prepared gives what is.
      expect((await readFile(made.files[0]!)).equals(await readFile(made.files[2]!))).toBe(true);
    }
    const [, , , initial, next] = expected.files as [string, string, string, string, string];
    core.verifyPhase2(r1cs, powers, initial, undefined, { engine, threads: 2 });
    core.verifyPhase2(r1cs, powers, next, undefined, { engine, threads: 1 });
    core.verifyPhase2Step(initial, next, { engine, threads: 3 });
    expect(() => core.verifyPhase2Step(next, initial, { engine })).not.toThrow(); // a step by the inverse
    expect(() => core.verifyPhase2Step(initial, initial, { engine })).not.toThrow(); // by 1: the record's matter
  });

  it("are refused when a point of them is another one", async () => {
    const { files } = keysBy(core, engine, 2, powers);
    const [initial, next] = [files[3]!, files[4]!];
    const bytes = await readFile(next);
    const { sections } = await readZkeyHeader(initial);
    for (const [id, size] of [
      [3, 64],
      [5, 64],
      [6, 64],
      [7, 128],
      [8, 64],
      [9, 64],
    ] as const) {
      const { offset, length } = sections.get(id)!;
      const last = Math.floor((length / size - 1) * 0.9);
      const changed = Buffer.from(bytes);
      const first = Buffer.from(changed.subarray(offset + size, offset + 2 * size));
      changed.copy(changed, offset + size, offset + last * size, offset + (last + 1) * size);
      first.copy(changed, offset + last * size);
      const path = fresh();
      await writeFile(path, changed);
      if (changed.equals(bytes)) continue; // both at infinity
      expect(() => core.verifyPhase2(r1cs, powers, path, undefined, { engine }), `${id}`).toThrow(
        code("KEY_MALFORMED"),
      );
      expect(() => core.verifyPhase2Step(initial, path, { engine }), `${id}`).toThrow(code("CONTRIBUTION_INVALID"));
    }
  });
});

describeEngines("a contribution", (core, engine) => {
  it("is not made to a delta of two kinds, nor to one outside of its group, which would give the secret away", async () => {
    const [basis, initial] = [fresh(), fresh()];
    core.makeBasis(powers, 8, basis, { engine });
    core.newPhase2(r1cs, basis, initial, new Uint8Array(), { engine });
    const secret = core.drawSecret(STAMP, { engine });
    for (const delta of [wrongSubgroupG2(), timesG2(G2_GENERATOR, 5n)]) {
      const [bad, out] = [fresh(), fresh()];
      await changedFile("zkey", initial, bad, { 2: patch(532, encodeG2(delta)) });
      expect(() => core.secretApply(secret, bad, out, new Uint8Array(68))).toThrow(code("KEY_MALFORMED"));
      expect(existsSync(out)).toBe(false);
    }
    core.closeSecret(secret);
  });
});

describeEngines("what is drawn at random", (core, engine) => {
  it("makes powers that every engine accepts", () => {
    for (const prepared of [false, true]) {
      const path = fresh();
      core.newPtau(6, path, STAMP, { prepared, engine, threads: 2 });
      for (const other of core.info().engines) {
        expect(core.checkPtau(path, { points: true, engine: other, threads: 3 })).toEqual({
          power: 6,
          ceremonyPower: 6,
          prepared,
        });
        for (const power of [1, 2, 5, 6]) core.makeBasis(path, power, fresh(), { engine: other });
      }
    }
  });

  it("makes development keys that prove", async () => {
    const path = fresh();
    core.setupDevelopment(tiny.r1csPath, path, STAMP, { engine, threads: 2 });
    const { verifyingKey } = await readZkeyHeader(path);
    const wtns = await calculateWtns(tiny.wasmPath, TINY_INPUTS);
    const handle = core.openProvingKey(path, { engine });
    const { proof } = core.prove(handle, wtns);
    core.closeProvingKey(handle);
    const [a0, a1, b0, b1, b2, b3, c0, c1] = integers(proof);
    const points = {
      a: [a0!, a1!],
      b: [
        [b0!, b1!],
        [b2!, b3!],
      ],
      c: [c0!, c1!],
    } as const;
    expect(verifyGroth16(verifyingKey, [TINY_OUTPUT, TINY_INPUTS.a, TINY_INPUTS.unused], points)).toBe(true);
    expect(verifyGroth16(verifyingKey, [TINY_OUTPUT, TINY_INPUTS.a, 78n], points)).toBe(false);
  });

  it("makes contributors that show what they know, and no two the same", () => {
    const seen = new Set<string>();
    for (let i = 0; i < 8; i++) {
      const secret = core.drawSecret(utf8("the same words"), { engine });
      const key = core.secretPublicKey(secret);
      expect(core.secretMultiply(secret, 1, key.subarray(0, 64))).toEqual(key.subarray(64));
      seen.add(Buffer.from(key).toString("hex"));
      core.closeSecret(secret);
      expect(() => core.secretPublicKey(secret)).toThrow(code("INPUT_INVALID"));
      expect(() => core.secretMultiply(secret, 1, key.subarray(0, 64))).toThrow(code("INPUT_INVALID"));
    }
    expect(seen.size).toBe(8);
  });
});

describe.skipIf(off)("a circuit's hash", () => {
  it("is BLAKE2b over the header's points, IC, powers, C, A and B", async () => {
    const core = nativeCore()!;
    const [basis, zkey] = [fresh(), fresh()];
    core.makeBasis(powers, 8, basis);
    const hash = core.newPhase2(r1cs, basis, zkey, new Uint8Array());
    const key = await sectionsOf(zkey);
    const own = createHash("blake2b512");
    const g1 = (bytes: Uint8Array) => concat(...decodeG1(bytes)!.map(word));
    const g2 = (bytes: Uint8Array) => {
      const [x, y] = decodeG2(bytes)!;
      return concat(...[x[1], x[0], y[1], y[0]].map(word));
    };
    const counted = (n: number) => {
      const view = new DataView(new ArrayBuffer(4));
      view.setUint32(0, n);
      own.update(new Uint8Array(view.buffer));
    };
    const all = (section: Uint8Array, size: 64 | 128, n = section.length / size) => {
      counted(n);
      for (let i = 0; i < n; i++) own.update((size === 64 ? g1 : g2)(section.subarray(i * size, (i + 1) * size)));
    };
    const header = key.get(2)!.subarray(84);
    const [alpha1, beta1, delta1] = [0, 64, 384].map((at) => g1(header.subarray(at, at + 64)));
    const [beta2, gamma2, delta2] = [128, 256, 448].map((at) => g2(header.subarray(at, at + 128)));
    for (const part of [alpha1, beta1, beta2, gamma2, delta1, delta2]) own.update(part!);
    all(key.get(3)!, 64);
    all((await sectionsOf(basis)).get(16)!, 64, 255);
    all(key.get(8)!, 64);
    all(key.get(5)!, 64);
    all(key.get(6)!, 64);
    all(key.get(7)!, 128);
    expect(Buffer.from(hash).toString("hex")).toBe(own.digest("hex"));
    expect(Buffer.from(key.get(10)!.subarray(0, 64)).equals(hash)).toBe(true);
    expect(readR1cs(await readFile(r1cs)).wires).toBe(333);
  });
});

describe.skipIf(off)("a flag that another thread sets", () => {
  let core: NativeCore;
  let large: string;
  let ptau: string;
  let basis: string;
  let initial: string;
  let next: string;

  beforeAll(async () => {
    core = nativeCore()!;
    [large, ptau, basis, initial, next] = Array.from({ length: 5 }, fresh) as [string, string, string, string, string];
    await writeFile(large, r1csFile({ wires: 8000, publicInputs: 3, rows: mixed(2 ** 13, 8000) }));
    core.newPtau(14, ptau, STAMP, { threads: 2, prepared: true });
    core.makeBasis(ptau, 14, basis, { threads: 2 });
    core.newPhase2(large, basis, initial, new Uint8Array(), { threads: 2 });
    const secret = core.drawSecret(new Uint8Array());
    core.secretApply(secret, initial, next, new Uint8Array(68), { threads: 2 });
    core.closeSecret(secret);
  });

  /**
   * What a call comes to that is told to stop once it says that it has begun, and how much the process has computed since,
   * in milliseconds of its own: what others take of the cores does not count.
   */
  async function stopped(call: (options: { control: Int32Array; threads: number }) => unknown) {
    const control = new Int32Array(new SharedArrayBuffer(8));
    // What had been computed when the flag was set; and whether the thread watches.
    const told = new Float64Array(new SharedArrayBuffer(8));
    const ready = new Int32Array(new SharedArrayBuffer(4));
    const source = `
      const { workerData: { control, told, ready } } = require("node:worker_threads");
      Atomics.store(ready, 0, 1);
      Atomics.notify(ready, 0);
      while (Atomics.load(control, 1) <= 0) Atomics.wait(ready, 0, 1, 1);
      const { user, system } = process.cpuUsage();
      told[0] = (user + system) / 1000;
      Atomics.store(control, 0, 1);`;
    const worker = new Worker(source, { eval: true, workerData: { control, told, ready } });
    Atomics.wait(ready, 0, 0, 10_000);
    try {
      call({ control, threads: 1 });
      return { outcome: "finished", ms: 0 };
    } catch (error) {
      const { user, system } = process.cpuUsage();
      return { outcome: (error as { code: string }).code, ms: (user + system) / 1000 - told[0]! };
    } finally {
      await worker.terminate();
    }
  }

  it.each<[string, (out: string) => (options: { control: Int32Array; threads: number }) => unknown]>([
    ["setupDevelopment", (out) => (options) => core.setupDevelopment(large, out, STAMP, options)],
    ["newPtau", (out) => (options) => core.newPtau(14, out, STAMP, options)],
    ["newPtau, prepared", (out) => (options) => core.newPtau(14, out, STAMP, { ...options, prepared: true })],
    ["checkPtau", () => (options) => core.checkPtau(ptau, { ...options, points: true })],
    ["makeBasis", (out) => (options) => core.makeBasis(ptau, 14, out, options)],
    ["makeBasis, smaller", (out) => (options) => core.makeBasis(ptau, 13, out, { ...options, cut: true })],
    ["newPhase2", (out) => (options) => core.newPhase2(large, basis, out, new Uint8Array(), options)],
    [
      "secretApply",
      (out) => (options) => core.secretApply(core.drawSecret(STAMP), initial, out, new Uint8Array(68), options),
    ],
    ["verifyPhase2", () => (options) => core.verifyPhase2(large, ptau, next, undefined, options)],
    ["verifyPhase2Step", () => (options) => core.verifyPhase2Step(initial, next, options)],
  ])("ends %s within a second of work, and nothing is left", async (_, make) => {
    for (let attempt = 1; ; attempt++) {
      const out = fresh();
      const { outcome, ms } = await stopped(make(out));
      // The thread that tells it may not get a core before it has ended.
      if (outcome === "finished" && attempt < 20) continue;
      expect(outcome).toBe("ABORTED");
      expect(ms).toBeLessThan(1000);
      expect(existsSync(out)).toBe(false);
      return;
    }
  });

  it("before the call ends it at once", () => {
    const control = new Int32Array(new SharedArrayBuffer(8));
    control[0] = 1;
    for (const call of [
      (out: string) => core.setupDevelopment(large, out, STAMP, { control }),
      (out: string) => core.newPtau(4, out, STAMP, { control }),
      () => core.checkPtau(ptau, { control }),
      (out: string) => core.makeBasis(ptau, 2, out, { control }),
      (out: string) => core.newPhase2(large, basis, out, new Uint8Array(), { control }),
      (out: string) => core.secretApply(core.drawSecret(STAMP), initial, out, new Uint8Array(68), { control }),
      () => core.verifyPhase2(large, ptau, next, undefined, { control }),
      () => core.verifyPhase2Step(initial, next, { control }),
    ]) {
      const out = fresh();
      expect(() => call(out)).toThrow(code("ABORTED"));
      expect(existsSync(out)).toBe(false);
    }
    expect(control[1]).toBe(0);
  });

  it("and progress never goes back, nor past its end", async () => {
    const control = new Int32Array(new SharedArrayBuffer(8));
    core.makeBasis(ptau, 13, fresh(), { control, threads: 2 });
    expect(control[1]).toBeGreaterThan(500);
    expect(control[1]).toBeLessThanOrEqual(1000);
  });
});
