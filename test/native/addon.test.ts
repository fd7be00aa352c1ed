/**
 * The addon's boundary: whatever JavaScript hands it ends in a result or in an error with a code, never in a crash.
 * With `ANCHORPROOF_NATIVE=off` there is nothing to test; a core that is merely missing fails here.
 */
import { once } from "node:events";
import { copyFile, readFile, truncate } from "node:fs/promises";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compileCircuit } from "../../src/circuit/compile.js";
import { type CircuitKey, developmentKey } from "../../src/circuit/setup.js";
import { calculateWtns } from "../../src/circuit/witness.js";
import { AnchorError, ERROR_CODES } from "../../src/errors.js";
import {
  type CardChoice,
  type NativeCore,
  nativeCore,
  nativeStatus,
  type ProvingKeyHandle,
  type SecretHandle,
  type VerifyingKeyHandle,
} from "../../src/field/native.js";
import { Q, R } from "../../src/field/scalar.js";
import { type Proof, type VerifyingKey, verifyGroth16 } from "../../src/verifier/groth16.js";
import { workerFile } from "../../src/workers.js";
import { TINY, TINY_INPUTS, TINY_OUTPUT, temporaryFolder } from "../circuit/support.js";
import { code, outcomeOf } from "../support/errors.js";
import { buildStandIn } from "./standIn.js";
import { integers, little } from "./support.js";

const PUBLIC = [TINY_OUTPUT, TINY_INPUTS.a, TINY_INPUTS.unused];
const BLINDING = new Uint8Array(64).map((_, i) => (i % 32 === 31 ? 0 : i + 1));

let core: NativeCore;
let key: CircuitKey;
let wtns: Uint8Array;
let r1cs: string;
let folder: string;
/** Of a setup: powers of tau, a basis, an initial key and the next one. */
let powers: string;
let basis: string;
let initial: string;
let next: string;
let secret: SecretHandle;
/** A GPU library, and its card that serves. */
let library: string;
let cuda: CardChoice;
let outputs = 0;
let pk: ProvingKeyHandle;
let vk: VerifyingKeyHandle;
let proof: Uint8Array;
let publics: Uint8Array;

function proofOf(bytes: Uint8Array): Proof {
  const at = (i: number) => integers(bytes)[i]!;
  return {
    a: [at(0), at(1)],
    b: [
      [at(2), at(3)],
      [at(4), at(5)],
    ],
    c: [at(6), at(7)],
  };
}

const keyBytes = ({ alpha, beta, gamma, delta, ic }: VerifyingKey): Uint8Array =>
  little(...alpha, ...beta.flat(), ...gamma.flat(), ...delta.flat(), ...ic.flat());

const shared = (bytes: Uint8Array): Uint8Array => {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
};

function detached(length = 32): Uint8Array {
  const array = new Uint8Array(length);
  structuredClone(array.buffer, { transfer: [array.buffer] });
  return array;
}

/** A view whose buffer has shrunk below its end. */
function outOfBounds(): Uint8Array {
  const Resizable = ArrayBuffer as unknown as new (
    length: number,
    options: object,
  ) => ArrayBuffer & { resize(length: number): void };
  const buffer = new Resizable(64, { maxByteLength: 64 });
  const array = new Uint8Array(buffer, 32, 32);
  buffer.resize(16);
  return array;
}

describe.skipIf(process.env["ANCHORPROOF_NATIVE"] === "off")("the addon", () => {
  beforeAll(async () => {
    const loaded = nativeCore();
    if (!loaded) throw new Error(JSON.stringify(nativeStatus()));
    core = loaded;
    const circuit = await compileCircuit(TINY);
    key = await developmentKey(circuit);
    wtns = await calculateWtns(circuit.wasmPath, TINY_INPUTS);
    folder = await temporaryFolder();
    r1cs = circuit.r1csPath;
    [powers, basis, initial, next] = ["powers.ptau", "basis", "0.zkey", "1.zkey"].map((name) => join(folder, name)) as [
      string,
      string,
      string,
      string,
    ];
    core.newPtau(4, powers, new Uint8Array(2));
    core.makeBasis(powers, 3, basis);
    core.newPhase2(r1cs, basis, initial, new Uint8Array());
    secret = core.drawSecret(new Uint8Array(3));
    core.secretApply(secret, initial, next, new Uint8Array(68));
    library = buildStandIn(folder);
    cuda = { library, device: 0 };
    pk = core.openProvingKey(key.zkeyPath);
    vk = core.openVerifyingKey(keyBytes(key.verifyingKey));
    ({ proof, publics } = core.prove(pk, wtns));
  });
  afterAll(() => {
    if (pk) core.closeProvingKey(pk);
  });

  it("says what it is", () => {
    const { engines, cpuFeatures, compiler } = core.info();
    expect(engines).toContain("portable");
    expect(engines).toContain(core.defaultEngine());
    if (process.arch === "x64") expect(engines.includes("adx")).toBe(cpuFeatures.includes("adx"));
    expect(compiler).toMatch(/\d/);
    expect(nativeStatus()).toMatchObject({ available: true, engine: core.defaultEngine() });
    const forced = process.env["ANCHORPROOF_NATIVE"];
    if (forced) expect(core.defaultEngine()).toBe(forced);
  });

  describe("proofs", () => {
    it("verify here and in JavaScript, and carry the witness' signals", () => {
      expect(integers(publics)).toEqual(PUBLIC);
      expect(core.verify(vk, publics, proof)).toBe(true);
      expect(verifyGroth16(key.verifyingKey, PUBLIC, proofOf(proof))).toBe(true);
      const wrong = little(...PUBLIC.map((value, i) => (i === 1 ? value + 1n : value)));
      expect(core.verify(vk, wrong, proof)).toBe(false);
      expect([...core.verifyBatch(vk, Buffer.concat([publics, wrong]), Buffer.concat([proof, proof]), 2)]).toEqual([
        1, 0,
      ]);
      expect(core.verifyBatch(vk, new Uint8Array(0), new Uint8Array(0), 0)).toHaveLength(0);
    });

    it("are blinded by the system's randomness unless a test says otherwise", () => {
      expect(core.prove(pk, wtns).proof).not.toEqual(proof);
      const fixed = core.prove(pk, wtns, { blinding: BLINDING }).proof;
      expect(core.prove(pk, wtns, { blinding: BLINDING }).proof).toEqual(fixed);
      const other = BLINDING.map((byte, i) => (i === 0 ? byte + 1 : byte));
      expect(core.prove(pk, wtns, { blinding: other }).proof).not.toEqual(fixed);
      expect(core.verify(vk, publics, fixed)).toBe(true);
    });

    it("tell their phases as they begin, and afterwards", () => {
      const seen: string[] = [];
      const { phases } = core.prove(pk, wtns, { onPhase: (phase) => seen.push(phase) });
      expect(phases.length).toBeGreaterThan(0);
      for (const { name, ms } of phases) {
        expect(ms).toBeGreaterThanOrEqual(0);
        expect(seen).toContain(name);
      }
    });

    it("read memory that others share", () => {
      expect(core.verify(vk, shared(publics), shared(core.prove(pk, shared(wtns)).proof))).toBe(true);
    });
  });

  describe("arguments", () => {
    const valid = (): Record<keyof NativeCore, unknown[]> => ({
      info: [],
      defaultEngine: [],
      openProvingKey: [key.zkeyPath, { threads: 1 }],
      provingKeyInfo: [pk],
      closeProvingKey: [core.openProvingKey(key.zkeyPath)],
      prove: [pk, wtns, { threads: 2, blinding: BLINDING }],
      openVerifyingKey: [keyBytes(key.verifyingKey), { engine: "portable" }],
      verify: [vk, publics, proof],
      verifyBatch: [vk, publics, proof, 1, 1],
      poseidon: [2, little(0n), little(1n, 2n, 3n, 4n), { threads: 1, engine: "portable" }],
      poseidonChains: [
        little(1n),
        little(2n),
        new Uint8Array(480),
        Uint32Array.of(1, 0),
        { threads: 2, engine: "portable" },
      ],
      contentDigests: [
        little(1n),
        little(2n),
        new Uint8Array(40),
        Float64Array.of(0, 8, 40),
        Uint8Array.of(8, 2, 1, 0),
        { threads: 2, engine: "portable" },
      ],
      poseidonTraces: [little(1n), new Uint8Array(512), { threads: 2, engine: "portable" }],
      chainTraces: [little(1n), little(2n), new Uint8Array(480), { engine: "portable" }],
      fieldOp: ["portable", "fr", "mul", little(2n, 3n), little(5n, 7n)],
      setupDevelopment: [r1cs, output(), new Uint8Array(2), { threads: 2, engine: "portable" }],
      newPtau: [2, output(), new Uint8Array(2), { prepared: true, threads: 2, engine: "portable" }],
      checkPtau: [powers, { points: true, threads: 2, engine: "portable" }],
      makeBasis: [powers, 2, output(), { cut: true, threads: 2, engine: "portable" }],
      newPhase2: [r1cs, basis, output(), new Uint8Array(64), { threads: 2, engine: "portable" }],
      drawSecret: [new Uint8Array(5), { engine: "portable" }],
      publicSecret: [little(5n), little(1n, 2n), { engine: "portable" }],
      secretPublicKey: [secret],
      secretMultiply: [secret, 1, little(1n, 2n)],
      secretApply: [secret, initial, output(), new Uint8Array(68), { threads: 2 }],
      closeSecret: [core.drawSecret(new Uint8Array())],
      verifyPhase2: [r1cs, powers, initial, undefined, { threads: 2, engine: "portable" }],
      verifyPhase2Step: [initial, next, { threads: 2, engine: "portable" }],
      fieldTimings: ["portable"],
      msm: ["portable", 1, little(1n, 2n), little(5n), { threads: 2 }],
      ntt: ["portable", little(1n, 2n, 3n, 4n), { inverse: false, coset: true, threads: 2 }],
      cards: [library],
      cardMsm: ["portable", cuda, 1, little(1n, 2n), little(5n), { repeat: 2, threads: 2 }],
      cardNtt: ["portable", cuda, little(1n, 2n, 3n, 4n), { inverse: false, coset: true, repeat: 2 }],
    });
    const output = () => join(folder, `output-${outputs++}`);
    /** Those that write a file where they are told. */
    const WRITERS = ["setupDevelopment", "newPtau", "makeBasis", "newPhase2", "secretApply"];
    /** Where the number of elements says how many hashes are asked for. */
    const HASHED: Record<string, number> = { poseidon: 2, poseidonTraces: 1, chainTraces: 2 };
    const call = (name: string, args: unknown[]) =>
      outcomeOf(() => (core as unknown as Record<string, (...all: unknown[]) => unknown>)[name]!(...args));

    const junk = (): unknown[] => [
      null,
      true,
      -1,
      0.5,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      2 ** 32,
      2 ** 53,
      2 ** 64,
      1n,
      "",
      "x",
      "\ud800",
      "a\0b",
      "x".repeat(100_000),
      Symbol("s"),
      () => 1,
      class {},
      {},
      [],
      [1, 2, 3],
      new Date(),
      new Map(),
      Object.create(null),
      Object.freeze({}),
      new Proxy({}, {}),
      new Proxy(new Uint8Array(32), {}),
      new ArrayBuffer(32),
      new SharedArrayBuffer(32),
      new DataView(new ArrayBuffer(32)),
      new Int8Array(32),
      new Uint8ClampedArray(32),
      new Uint16Array(16),
      new BigUint64Array(4),
      new Float64Array(4),
      Object.create(new Uint8Array(32)),
      detached(),
      outOfBounds(),
      Object.create(pk),
      Object.create(vk),
      new Proxy(pk, {}),
      { ...pk },
    ];

    it("have a valid example for every function", () => {
      const examples = valid();
      expect(Object.keys(examples).sort()).toEqual(Object.keys(core).sort());
      for (const [name, args] of Object.entries(examples)) expect(call(name, args), name).toBe("accepted");
    });

    it("of a wrong kind are refused, in every place of every function", () => {
      // A text is a path like any other: what is written to it goes here.
      const home = process.cwd();
      process.chdir(folder);
      try {
        refuseJunk();
      } finally {
        process.chdir(home);
      }
    });

    function refuseJunk(): void {
      for (const [name, args] of Object.entries(valid())) {
        for (let at = 0; at < args.length; at++) {
          for (const [i, value] of junk().entries()) {
            const outcome = call(
              name,
              args.map((arg, j) => (j === at ? value : arg)),
            );
            // Objects may stand for options without members; a text for the path of a file that is not there.
            const options = typeof args[at] === "object" && Object.getPrototypeOf(args[at]) === Object.prototype;
            const opaque = [pk, vk, secret].includes(args[at] as never) || name.startsWith("close");
            const what = `${name}, argument ${at}, value ${i}: ${outcome}`;
            if (options && !opaque && typeof value === "object" && value !== null) continue;
            const own = args[at];
            if (typeof own === "string" && own.startsWith("/") && typeof value === "string") {
              // Of a file that is not there, or that an earlier call has written.
              expect(["accepted", ...Object.keys(ERROR_CODES)], what).toContain(outcome);
            } else if (outcome === "FILE_UNREADABLE") {
              // An output that an earlier call has made, which is looked at after the arguments.
              expect(WRITERS.includes(name) && mayBeEmpty(name, at, value), what).toBe(true);
            } else if (mayBeEmpty(name, at, value)) {
              expect(["accepted", "INPUT_INVALID"], what).toContain(outcome);
            } else if (ArrayBuffer.isView(value) && value.byteLength === 0 && HASHED[name] === at) {
              // The view that is out of bounds has no elements: no hashes are asked for.
              expect(["accepted", "INPUT_INVALID"], what).toContain(outcome);
            } else if (ArrayBuffer.isView(value) && value instanceof Uint8Array && args[at] instanceof Uint8Array) {
              expect(outcome, what).not.toBe("accepted");
            } else {
              expect(outcome, what).toBe("INPUT_INVALID");
            }
          }
        }
      }
    }

    /** A view that is out of bounds has no elements, which is as good as none where any number will do. */
    function mayBeEmpty(name: string, at: number, value: unknown): boolean {
      const places: Record<string, number> = {
        setupDevelopment: 2,
        newPtau: 2,
        newPhase2: 3,
        drawSecret: 0,
        secretApply: 3,
      };
      return ArrayBuffer.isView(value) && value.byteLength === 0 && places[name] === at;
    }

    it("that are missing are refused", () => {
      const required = {
        prove: 2,
        verify: 3,
        verifyBatch: 4,
        poseidon: 3,
        poseidonChains: 4,
        contentDigests: 5,
        poseidonTraces: 2,
        chainTraces: 3,
        fieldOp: 5,
        msm: 4,
        ntt: 2,
        cards: 1,
        cardMsm: 5,
        cardNtt: 3,
        openProvingKey: 1,
      };
      for (const [name, count] of Object.entries({
        ...required,
        openVerifyingKey: 1,
        provingKeyInfo: 1,
        closeProvingKey: 1,
        setupDevelopment: 3,
        newPtau: 3,
        checkPtau: 1,
        makeBasis: 3,
        newPhase2: 4,
        drawSecret: 1,
        publicSecret: 2,
        secretPublicKey: 1,
        secretMultiply: 3,
        secretApply: 4,
        closeSecret: 1,
        verifyPhase2: 3,
        verifyPhase2Step: 2,
      })) {
        for (let given = 0; given < count; given++) {
          expect(call(name, valid()[name as keyof NativeCore].slice(0, given)), `${name}/${given}`).toBe(
            "INPUT_INVALID",
          );
        }
      }
    });

    it.each([
      ["threads", [0, -1, 257, 1.5, "2", null, {}, Number.NaN]],
      ["control", [null, 1, [0], new Int32Array(1), new Int32Array(new SharedArrayBuffer(0)), new Uint8Array(4)]],
      ["control", [new Uint32Array(new SharedArrayBuffer(4)), new BigInt64Array(new SharedArrayBuffer(8))]],
      ["onPhase", [null, 1, "x", {}]],
      ["blinding", [null, "x", [], new Uint8Array(63), new Uint8Array(65), new Uint8Array(0), detached(64)]],
      ["blinding", [little(R, 1n), little(1n, R), new Uint8Array(64).fill(255)]],
      ["timed", [null, 0, 1, "yes", {}]],
    ])("of the option %s are checked", (name, values) => {
      for (const value of values) expect(call("prove", [pk, wtns, { [name]: value }])).toBe("INPUT_INVALID");
    });

    it.each([
      ["library", [undefined, null, 1, "", "a\0b", "x".repeat(5000), {}]],
      ["device", [undefined, null, -1, 0.5, "0", 9, 2 ** 31, 2 ** 32, Number.NaN]],
      ["memoryLimit", [null, -1, 0.5, 2 ** 51, "1", 1n]],
      ["multiples", [null, -1, 0.5, 255, "1"]],
      ["window", [null, -1, 0.5, 25, "1"]],
      ["coordinates", [null, -1, 0.5, 3, "affine"]],
    ])("of a card's %s are checked", (name, values) => {
      for (const value of values) {
        const choice = { ...cuda, [name]: value };
        for (const [to, args] of [
          ["openProvingKey", [key.zkeyPath, { cuda: choice }]],
          ["cardMsm", ["portable", choice, 1, little(1n, 2n), little(1n)]],
          ["cardNtt", ["portable", choice, little(1n)]],
        ] as const) {
          expect(call(to, [...args]), `${to}: ${String(value)}`).toBe("INPUT_INVALID");
        }
      }
      const most = { memoryLimit: 2 ** 50, multiples: 254, window: 24, coordinates: 2 };
      expect(call("openProvingKey", [key.zkeyPath, { cuda: { ...cuda, ...most } }])).toBe("accepted");
      for (const none of [null, 1, "x", () => 1, library, new Uint8Array(2)]) {
        expect(call("openProvingKey", [key.zkeyPath, { cuda: none }])).toBe("INPUT_INVALID");
      }
    });

    it("of a wrong length or count are refused", () => {
      for (const [name, args] of [
        ["openProvingKey", ["x".repeat(5000)]],
        ["openProvingKey", [key.zkeyPath, { prepared: "a\0b" }]],
        ["openProvingKey", [key.zkeyPath, { prepared: 1 }]],
        ["openProvingKey", [key.zkeyPath, { engine: "avx" }]],
        ["verify", [vk, publics.subarray(1), proof]],
        ["verify", [vk, new Uint8Array(0), proof]],
        ["verify", [vk, Buffer.concat([publics, publics]), proof]],
        ["verifyBatch", [vk, publics, proof, 2]],
        ["verifyBatch", [vk, publics, proof, 2 ** 32 - 1]],
        ["verifyBatch", [vk, publics, proof, 0]],
        ["verifyBatch", [vk, publics.subarray(32), proof, 1]],
        ["verifyBatch", [vk, publics, proof.subarray(1), 1]],
        ["verifyBatch", [vk, publics, proof, 1, 0]],
        ["poseidon", [0, little(0n), new Uint8Array(0)]],
        ["poseidon", [17, little(0n), new Uint8Array(17 * 32)]],
        ["poseidon", [2, little(0n), little(1n)]],
        ["poseidon", [2, new Uint8Array(0), little(1n, 2n)]],
        ["poseidon", [1, little(0n, 0n), little(1n, 2n, 3n)]],
        ["poseidon", [1, little(R), little(1n)]],
        ["poseidon", [1, little(0n), little(R)]],
        ["poseidonChains", [new Uint8Array(0), little(0n), new Uint8Array(480), Uint32Array.of(1)]],
        ["poseidonChains", [little(0n), little(0n, 0n), new Uint8Array(480), Uint32Array.of(1)]],
        ["poseidonChains", [little(0n), new Uint8Array(0), new Uint8Array(480), Uint32Array.of(1)]],
        ["poseidonChains", [little(0n), little(0n), new Uint8Array(479), Uint32Array.of(1)]],
        ["poseidonChains", [little(0n), little(0n), new Uint8Array(480), Uint32Array.of(2)]],
        ["poseidonChains", [little(0n), little(0n), new Uint8Array(960), Uint32Array.of(1)]],
        ["poseidonChains", [little(0n), little(0n), new Uint8Array(480), new Uint32Array(9).fill(2 ** 32 - 1)]],
        ["poseidonChains", [little(0n), little(0n), new Uint8Array(480), Int32Array.of(1)]],
        ["poseidonChains", [little(R), little(0n), new Uint8Array(0), new Uint32Array(0)]],
        ["poseidonChains", [little(0n), little(R), new Uint8Array(0), new Uint32Array(1)]],
        ["contentDigests", [little(0n), little(0n), new Uint8Array(8), Float64Array.of(0, 9), Uint8Array.of(1, 0)]],
        ["contentDigests", [little(0n), little(0n), new Uint8Array(8), Float64Array.of(8, 0), Uint8Array.of(1, 0)]],
        [
          "contentDigests",
          [little(0n), little(0n), new Uint8Array(8), Float64Array.of(0, Number.NaN), Uint8Array.of(1, 0)],
        ],
        ["contentDigests", [little(0n), little(0n), new Uint8Array(8), Float64Array.of(0, 0.5), Uint8Array.of(1, 0)]],
        ["contentDigests", [little(0n), little(0n), new Uint8Array(8), Float64Array.of(-1, 8), Uint8Array.of(1, 0)]],
        ["contentDigests", [little(0n), little(0n), new Uint8Array(8), Float64Array.of(0, 8), Uint8Array.of(3, 0)]],
        ["contentDigests", [little(0n), little(0n), new Uint8Array(8), Float64Array.of(0, 8), Uint8Array.of(1, 2)]],
        ["contentDigests", [little(0n), little(0n), new Uint8Array(8), Float64Array.of(0, 8), Uint8Array.of(2, 3)]],
        ["contentDigests", [little(0n), little(0n), new Uint8Array(8), Float64Array.of(0, 7), Uint8Array.of(2, 1)]],
        [
          "contentDigests",
          [little(0n), little(0n), new Uint8Array(8), Float64Array.of(0, 8), Uint8Array.of(1, 0, 1, 0)],
        ],
        ["contentDigests", [little(0n), little(0n), new Uint8Array(8), new Float64Array(0), new Uint8Array(0)]],
        ["contentDigests", [little(0n), little(0n, 0n), new Uint8Array(8), Float64Array.of(0, 8), Uint8Array.of(1, 0)]],
        ["poseidonTraces", [little(0n), new Uint8Array(511)]],
        ["poseidonTraces", [little(0n, 0n), new Uint8Array(1024)]],
        ["chainTraces", [little(0n), little(0n), new Uint8Array(481)]],
        ["chainTraces", [little(0n), new Uint8Array(0), new Uint8Array(480)]],
        ["fieldOp", ["portable", "fp", "mul", little(1n), little(1n)]],
        ["fieldOp", ["portable", "fq", "div", little(1n), little(1n)]],
        ["fieldOp", ["portable", "fq", "toString", little(1n), little(1n)]],
        ["fieldOp", ["portable", "fq", "mul", little(1n), little(1n, 2n)]],
        ["fieldOp", ["portable", "fq", "mul", little(1n).subarray(1), little(1n).subarray(1)]],
        ["fieldOp", ["portable", "fq", "mul", little(Q), little(1n)]],
        ["fieldOp", ["portable", "fr", "add", little(0n), little(R)]],
        ["fieldOp", ["portable", "fr", "neg", little(1n), little(1n)]],
        ["msm", ["portable", 0, little(1n, 2n), little(1n)]],
        ["msm", ["portable", 3, little(1n, 2n), little(1n)]],
        ["msm", ["portable", 2, little(1n, 2n), little(1n)]],
        ["msm", ["portable", 1, little(1n, 2n), little(1n, 1n)]],
        ["msm", ["portable", 1, little(1n, 3n), little(1n)]],
        ["msm", ["portable", 1, little(1n, 2n), little(R)]],
        ["ntt", ["portable", new Uint8Array(0)]],
        ["ntt", ["portable", little(1n, 2n, 3n)]],
        ["ntt", ["portable", little(1n, R)]],
        ["ntt", ["portable", little(1n), { inverse: 1 }]],
        ["ntt", ["portable", little(1n), { coset: "yes" }]],
        ["cards", ["a\0b"]],
        ["cards", ["x".repeat(5000)]],
        ["cardMsm", ["portable", cuda, 3, little(1n, 2n), little(1n)]],
        ["cardMsm", ["portable", cuda, 2, little(1n, 2n), little(1n)]],
        ["cardMsm", ["portable", cuda, 1, little(1n, 2n), little(1n, 1n)]],
        ["cardMsm", ["portable", cuda, 1, little(1n, 2n), little(1n), { repeat: 0 }]],
        ["cardMsm", ["portable", cuda, 1, little(1n, 2n), little(1n), { repeat: 1001 }]],
        ["cardNtt", ["portable", cuda, new Uint8Array(0)]],
        ["cardNtt", ["portable", cuda, little(1n, 2n, 3n)]],
        ["cardNtt", ["portable", cuda, little(1n), { inverse: 1 }]],
        ["cardNtt", ["portable", cuda, little(1n), { coset: "yes" }]],
        ["cardNtt", ["portable", cuda, little(1n), { repeat: "2" }]],
        ["setupDevelopment", ["", output(), new Uint8Array()]],
        ["setupDevelopment", [r1cs, "", new Uint8Array()]],
        ["newPtau", [0, output(), new Uint8Array()]],
        ["newPtau", [25, output(), new Uint8Array()]],
        ["newPtau", [2, output(), new Uint8Array(), { prepared: 1 }]],
        ["checkPtau", [powers, { points: "yes" }]],
        ["makeBasis", [powers, 0, output()]],
        ["makeBasis", [powers, 28, output()]],
        ["makeBasis", [powers, 2, output(), { cut: 1 }]],
        ["newPhase2", [r1cs, basis, output(), new Uint8Array(1)]],
        ["newPhase2", [r1cs, basis, output(), new Uint8Array(63)]],
        ["newPhase2", [r1cs, basis, output(), new Uint8Array(128)]],
        ["publicSecret", [little(0n), little(1n, 2n)]],
        ["publicSecret", [little(1n), little(1n, 2n)]],
        ["publicSecret", [little(R - 1n), little(1n, 2n)]],
        ["publicSecret", [little(R), little(1n, 2n)]],
        ["publicSecret", [little(5n, 5n), little(1n, 2n)]],
        ["publicSecret", [little(5n), little(1n, 3n)]],
        ["publicSecret", [little(5n), little(0n, 0n)]],
        ["publicSecret", [little(5n), little(1n + Q, 2n)]],
        ["publicSecret", [little(5n), little(1n)]],
        ["secretMultiply", [secret, 0, little(1n, 2n)]],
        ["secretMultiply", [secret, 3, little(1n, 2n)]],
        ["secretMultiply", [secret, 2, little(1n, 2n)]],
        ["secretMultiply", [secret, 1, little(1n, 3n)]],
        ["secretMultiply", [secret, 1, little(1n, 2n, 1n, 2n)]],
        ["secretMultiply", [secret, 2, little(1n, 2n, 1n, 2n)]],
        ["verifyPhase2", [r1cs, powers, initial, new Uint8Array(64)]],
        ["verifyPhase2", [r1cs, powers, undefined, undefined]],
        ["verifyPhase2", [r1cs, powers, "", new Uint8Array(64)]],
      ] as const) {
        expect(call(name, [...args]), `${name} ${args.map(String)}`).toBe("INPUT_INVALID");
      }
      expect(call("verify", [vk, publics, proof.subarray(1)])).toBe("PROOF_MALFORMED");
      expect(call("verify", [vk, publics, new Uint8Array(256)])).toBe("PROOF_MALFORMED");
      expect(call("prove", [pk, new Uint8Array(0)])).toBe("WITNESS_INVALID");
      expect(call("openVerifyingKey", [new Uint8Array(0)])).toBe("KEY_MALFORMED");
      expect(call("openVerifyingKey", [keyBytes(key.verifyingKey).subarray(0, -1)])).toBe("KEY_MALFORMED");
      expect(call("verifyPhase2", [r1cs, powers, undefined, new Uint8Array(0)])).toBe("KEY_MALFORMED");
      expect(call("verifyPhase2", [r1cs, powers, undefined, keyBytes(key.verifyingKey)])).toBe("KEY_MALFORMED");
    });

    it("are not taken from an option's getter after it has taken them away", () => {
      const witness = wtns.slice();
      const thief = {
        get threads() {
          structuredClone(witness.buffer, { transfer: [witness.buffer] });
          return 1;
        },
      };
      expect(call("prove", [pk, witness, thief])).toBe("INPUT_INVALID");
      const own = new RangeError("own");
      const thrower = {
        get engine(): string {
          throw own;
        },
      };
      expect(() => core.poseidon(1, little(0n), little(1n), thrower as never)).toThrow(own);
      expect(() => core.openProvingKey(key.zkeyPath, thrower as never)).toThrow(own);
    });

    it("drawn at random never surface as anything but a code", () => {
      const left = ["fieldTimings", "closeProvingKey", "closeSecret", ...WRITERS];
      const names = Object.keys(valid()).filter((name) => !left.includes(name));
      const bytes = fc.uint8Array({ maxLength: 600 });
      const word = fc.constantFrom(
        "portable",
        "adx",
        "fq",
        "fr",
        "mul",
        "inverse",
        key.zkeyPath,
        r1cs,
        powers,
        initial,
        next,
        "/proc/self/mem",
        "/dev/zero",
        library,
      );
      const member = fc.oneof(fc.integer(), fc.boolean(), bytes, fc.string(), fc.constant(undefined));
      const options = fc.record(
        {
          threads: fc.integer({ min: -1, max: 4 }),
          engine: word,
          inverse: member,
          coset: member,
          blinding: member,
          timed: member,
          cuda: fc.oneof(member, fc.record({ library: word, device: fc.nat(9) })),
          library: word,
          device: fc.nat(9),
          repeat: member,
        },
        { requiredKeys: [] },
      );
      const handle = fc.constantFrom<unknown>(pk, vk, secret);
      const argument = fc.oneof(handle, bytes, word, options, fc.integer({ min: -2, max: 40 }), fc.anything());
      fc.assert(
        fc.property(fc.constantFrom(...names), fc.array(argument, { maxLength: 6 }), (name, args) => {
          expect(["accepted", ...Object.keys(ERROR_CODES)]).toContain(call(name, args));
        }),
        { numRuns: 3000 },
      );
      // one argument of a valid call at a time
      fc.assert(
        fc.property(fc.constantFrom(...names), fc.nat(5), argument, (name, at, value) => {
          const args = valid()[name as keyof NativeCore].map((arg, i) => (i === at ? value : arg));
          expect(["accepted", ...Object.keys(ERROR_CODES)]).toContain(call(name, args));
        }),
        { numRuns: 1500 },
      );
    });
  });

  describe("files", () => {
    it("that are missing, folders, devices, short or damaged give a code", async () => {
      const folder = await temporaryFolder();
      for (const path of [join(folder, "none.zkey"), folder, "/dev/zero", "/proc/self/mem", join(key.zkeyPath, "x")]) {
        expect(
          outcomeOf(() => core.openProvingKey(path)),
          path,
        ).toMatch(/^(FILE_UNREADABLE|KEY_MALFORMED)$/);
      }
      const { length } = await readFile(key.zkeyPath);
      for (const size of [0, 3, 11, 12, 100, length >> 1, length - 1]) {
        const path = join(folder, `${size}.zkey`);
        await copyFile(key.zkeyPath, path);
        await truncate(path, size);
        expect(
          outcomeOf(() => core.openProvingKey(path)),
          `${size} bytes`,
        ).toBe("KEY_MALFORMED");
      }
    });
  });

  describe("handles", () => {
    it("are opaque, and only the addon's own", () => {
      expect(Object.keys(pk)).toEqual([]);
      for (const wrong of [vk, {}, Object.create(pk), { ...pk }, new Proxy(pk, {}), structuredClone(pk), null, 1]) {
        expect(() => core.provingKeyInfo(wrong as never)).toThrow(code("INPUT_INVALID"));
        expect(() => core.prove(wrong as never, wtns)).toThrow(code("INPUT_INVALID"));
        expect(() => core.closeProvingKey(wrong as never)).toThrow(code("INPUT_INVALID"));
      }
      expect(() => core.verify(pk as never, publics, proof)).toThrow(code("INPUT_INVALID"));
    });

    it("that are closed serve no more, and take nothing from others", () => {
      const own = core.openProvingKey(key.zkeyPath);
      expect(core.provingKeyInfo(own)).toEqual(core.provingKeyInfo(pk));
      core.closeProvingKey(own);
      core.closeProvingKey(own);
      expect(() => core.provingKeyInfo(own)).toThrow(code("INPUT_INVALID"));
      expect(() => core.prove(own, wtns)).toThrow(code("INPUT_INVALID"));
      expect(core.verify(vk, publics, core.prove(pk, wtns).proof)).toBe(true);
    });

    it("describe their key", () => {
      expect(core.provingKeyInfo(pk)).toMatchObject({ variables: 9, publics: 3, domain: 8, prepared: false });
      expect(core.provingKeyInfo(pk).memoryBytes).toBeGreaterThan(0);
    });

    it("closed by a callback in the middle of a proof let it finish, though the callback detaches its witness too", async () => {
      const copy = join(await temporaryFolder(), "copy.zkey"); // of which this is the only handle
      await copyFile(key.zkeyPath, copy);
      const own = core.openProvingKey(copy);
      const witness = wtns.slice();
      let calls = 0;
      const made = core.prove(own, witness, {
        onPhase: () => {
          if (calls++ > 0) return;
          core.closeProvingKey(own);
          structuredClone(witness.buffer, { transfer: [witness.buffer] });
          expect(core.verify(vk, publics, core.prove(pk, wtns).proof)).toBe(true); // and calls back in
        },
      });
      expect(calls).toBeGreaterThan(1);
      expect(witness).toHaveLength(0);
      expect(core.verify(vk, publics, made.proof)).toBe(true);
    });

    it("share one key a file, until the last is closed or the file is another", async () => {
      const folder = await temporaryFolder();
      const path = join(folder, "key.zkey");
      await copyFile(key.zkeyPath, path);
      const first = core.openProvingKey(path);
      const second = core.openProvingKey(join(folder, "..", folder.split("/").at(-1)!, "key.zkey"));
      const { loadMs } = core.provingKeyInfo(first);
      expect(core.provingKeyInfo(second).loadMs).toBe(loadMs); // the same load
      core.closeProvingKey(first);
      expect(core.provingKeyInfo(second).loadMs).toBe(loadMs);
      const portable = core.openProvingKey(path, { engine: "portable" });
      if (core.defaultEngine() !== "portable") expect(core.provingKeyInfo(portable).loadMs).not.toBe(loadMs);
      core.closeProvingKey(portable);
      await truncate(path, 100);
      expect(() => core.openProvingKey(path)).toThrow(code("KEY_MALFORMED"));
      core.closeProvingKey(second);
    });
  });

  describe("calls", () => {
    const flags = (value: number) => {
      const control = new Int32Array(new SharedArrayBuffer(4));
      control[0] = value;
      return control;
    };

    it("end when the flag is set, before and in the middle", () => {
      expect(() => core.prove(pk, wtns, { control: flags(1) })).toThrow(code("ABORTED"));
      expect(() => core.openProvingKey(key.zkeyPath, { control: flags(-1) })).toThrow(code("ABORTED"));
      expect(() => core.ntt(undefined, little(1n, 2n), { control: flags(7) })).toThrow(code("ABORTED"));
      const control = flags(0);
      const seen: string[] = [];
      const onPhase = (phase: string) => {
        seen.push(phase);
        control[0] = 1;
      };
      expect(() => core.prove(pk, wtns, { control, onPhase })).toThrow(code("ABORTED"));
      expect(seen).toHaveLength(1);
    });

    it("end with what their callback throws, whatever it is", () => {
      for (const thrown of [new RangeError("own"), new AnchorError("POOL_CLOSED", "own"), "text", undefined, null, 7]) {
        let caught: unknown = "nothing";
        try {
          core.prove(pk, wtns, {
            onPhase: () => {
              throw thrown;
            },
          });
        } catch (error) {
          caught = error;
        }
        expect(caught).toBe(thrown);
      }
      expect(core.verify(vk, publics, core.prove(pk, wtns).proof)).toBe(true);
    });
  });

  describe("threads", () => {
    /** Runs a body in a worker with `core`, `data` and `post`; the worker ends after it. */
    function worker(body: string, data: unknown): Worker {
      const source = `
        const { parentPort, workerData: data } = require("node:worker_threads");
        import(${JSON.stringify(`file://${workerFile("field/native")}`)}).then(async ({ nativeCore }) => {
          const core = nativeCore();
          const post = (value) => parentPort.postMessage(value);
          ${body}
        });`;
      return new Worker(source, { eval: true, workerData: data });
    }

    const answer = async (made: Worker): Promise<never> => {
      const result = await new Promise((resolve, reject) => made.once("message", resolve).once("error", reject));
      return result as never;
    };

    it("share one key, load it once, and keep it when one of them closes it and ends", async () => {
      const path = join(await temporaryFolder(), "key.zkey");
      await copyFile(key.zkeyPath, path);
      const body = `
        const key = core.openProvingKey(data.path);
        const { loadMs } = core.provingKeyInfo(key);
        const proofs = [];
        for (let i = 0; i < 10; i++) proofs.push(core.prove(key, data.wtns).proof);
        post({ loadMs, proofs });
        if (data.wait) await new Promise((resolve) => parentPort.once("message", resolve));
        if (data.close) core.closeProvingKey(key);`;
      const starting = [
        worker(body, { path, wtns, wait: true, close: false }),
        worker(body, { path, wtns, wait: true, close: true }),
      ];
      const answers: { loadMs: number; proofs: Uint8Array[] }[] = await Promise.all(starting.map(answer));
      const mine = core.openProvingKey(path);
      expect(answers.map(({ loadMs }) => loadMs)).toEqual(Array(2).fill(core.provingKeyInfo(mine).loadMs));
      for (const made of answers.flatMap(({ proofs }) => proofs)) expect(core.verify(vk, publics, made)).toBe(true);
      for (const made of starting) {
        made.postMessage("end");
        await once(made, "exit");
        expect(core.verify(vk, publics, core.prove(mine, wtns).proof)).toBe(true);
      }
      const { loadMs } = core.provingKeyInfo(mine);
      core.closeProvingKey(mine);
      // The workers' handles went with them: nobody holds the key, so it is loaded again.
      const again = core.openProvingKey(path);
      expect(core.provingKeyInfo(again).loadMs).not.toBe(loadMs);
      core.closeProvingKey(again);
    });

    it("may be ended in the middle of a call, in or out of a callback", async () => {
      for (const [i, body] of [
        `post(1); for (;;) core.prove(core.openProvingKey(data.path), data.wtns);`,
        `post(1); for (;;) core.prove(core.openProvingKey(data.path), data.wtns, { onPhase() {} });`,
        `const key = core.openProvingKey(data.path);
         core.prove(key, data.wtns, { onPhase() { post(1); for (;;); } });`,
        `core.prove(core.openProvingKey(data.path), data.wtns, { get threads() { post(1); for (;;); } });`,
        `core.openProvingKey(data.path); post(1); process.exit(0);`,
        `post(1); for (;;) core.prove(core.openProvingKey(data.path, { cuda: data.cuda }), data.wtns, { onPhase() {} });`,
      ].entries()) {
        const path = join(await temporaryFolder(), "key.zkey");
        await copyFile(key.zkeyPath, path);
        const made = worker(body, { path, wtns, cuda });
        await answer(made);
        await made.terminate();
        expect(core.verify(vk, publics, core.prove(pk, wtns).proof), `case ${i}`).toBe(true);
        // A lock that died with its thread would hold this up for ever.
        core.closeProvingKey(core.openProvingKey(path));
      }
    });

    it("are stopped by a flag that another thread sets", async () => {
      const control = new Int32Array(new SharedArrayBuffer(4));
      const made = worker(
        `const key = core.openProvingKey(data.path);
         post("ready");
         try { for (;;) core.prove(key, data.wtns, { control: data.control }); } catch ({ code }) { post(code); }`,
        { path: key.zkeyPath, wtns, control },
      );
      expect(await answer(made)).toBe("ready");
      const stopped = answer(made);
      Atomics.store(control, 0, 1);
      expect(await stopped).toBe("ABORTED");
      await made.terminate();
    });

    it("may write over a witness while it is proven: the proof holds or there is a code", async () => {
      const witness = shared(wtns);
      const scribbler = worker(
        `post(1); for (let i = 0; ; i = (i * 31 + 7) % data.length) { data[i] ^= 255; data[i] ^= 255; }`,
        witness,
      );
      await answer(scribbler);
      const outcomes = new Set<string>();
      for (let i = 0; i < 200; i++) outcomes.add(outcomeOf(() => core.prove(pk, witness)));
      await scribbler.terminate();
      for (const outcome of outcomes) expect(["accepted", "WITNESS_INVALID", "PROVE_FAILED"]).toContain(outcome);
    });
  });
});
