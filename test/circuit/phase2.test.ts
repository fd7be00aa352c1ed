/**
 * Phase 2 against snarkjs, both ways, and against people who cheat: whatever is changed in a key or in its record is
 * refused, and where a change would let its maker forge, the forgery is run.
 */
import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { buildBn128 } from "ffjavascript";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { binFile, decodeG1, encodeG1, encodeG2, uint32 } from "../../src/circuit/binfile.js";
import { type CompiledCircuit, compileCircuit } from "../../src/circuit/compile.js";
import { lintKeyFile } from "../../src/circuit/keylint.js";
import {
  applyBeacon,
  contribute,
  newPhase2Key,
  verifyContribution,
  verifyPhase2,
  verifyPhase2VerifyingKey,
} from "../../src/circuit/phase2.js";
import { describeR1cs, domainPower } from "../../src/circuit/r1cs.js";
import { setupDevelopment } from "../../src/circuit/setup.js";
import {
  type Contribution,
  contributionHash,
  decodeTranscript,
  encodeTranscript,
  type Transcript,
} from "../../src/circuit/transcript.js";
import { calculateWtns } from "../../src/circuit/witness.js";
import { readZkeyHeader } from "../../src/circuit/zkey.js";
import { AnchorError } from "../../src/errors.js";
import { fromHex, toHex, utf8 } from "../../src/field/bytes.js";
import { nativeCore } from "../../src/field/native.js";
import { invert, pow, R } from "../../src/field/scalar.js";
import { affineG1, G1_GENERATOR, type G1Affine, G2_GENERATOR, g1Point } from "../../src/verifier/curve.js";
import { parseProof, verifyGroth16 } from "../../src/verifier/groth16.js";
import { wrongSubgroupG2 } from "../chain/simulated.js";
import { integers, numbers } from "../native/support.js";
import { outcomeOf } from "../support/errors.js";
import { append, BEACON, sectionsOf, timesG1, timesG2 } from "./ceremony.js";
import {
  type Changes,
  changedFile,
  developmentPowers,
  patch,
  type Row,
  r1csFile,
  respelled,
  type System,
  swapped,
  type Term,
  verdictOf,
} from "./files.js";
import { code, TINY, TINY_INPUTS, TINY_OUTPUT, temporaryFolder, temporaryStore } from "./support.js";
import { snarkjs, stopSnarkjs } from "./vendor.js";

const PUBLIC = [TINY_OUTPUT, TINY_INPUTS.a, TINY_INPUTS.unused];
const BEACON_BYTES = fromHex(`0x${BEACON.hash}`, "beacon");

describe.skipIf(process.env["ANCHORPROOF_NATIVE"] === "off")("phase 2", () => {
  let folder: string;
  let tiny: CompiledCircuit;
  let ptauPath: string;
  let r1csPath: string;
  /** TINY's: the initial key, after each of two contributions, and after a beacon. */
  let keys: string[];
  let made: Contribution[];
  let count = 0;
  const fresh = (kind = "zkey") => join(folder, `${count++}.${kind}`);

  beforeAll(async () => {
    folder = await temporaryFolder();
    tiny = await compileCircuit(TINY);
    ({ r1csPath } = tiny);
    ptauPath = (await developmentPowers(folder, 5)).raw;
    keys = [0, 1, 2, 3].map((i) => join(folder, `tiny-${i}.zkey`));
    await newPhase2Key({ r1csPath, ptauPath, zkeyPath: keys[0]!, store: await temporaryStore() });
    made = [
      await contribute({ from: keys[0]!, to: keys[1]!, name: "ada", entropy: "dice" }),
      await contribute({ from: keys[1]!, to: keys[2]!, entropy: Uint8Array.of(1, 2, 3) }),
      await applyBeacon({ from: keys[2]!, to: keys[3]!, hash: BEACON_BYTES, iterationsExp: 10, name: BEACON.name }),
    ];
  });
  afterAll(stopSnarkjs);

  const transcriptOf = async (path: string) => (await readZkeyHeader(path)).transcript;
  const verdict = (zkeyPath: string) => verdictOf(verifyPhase2({ r1csPath, ptauPath, zkeyPath }));
  /** A copy of a key with sections changed. */
  const changed = (changes: Changes, from = keys[3]!) => changedFile("zkey", from, fresh(), changes);
  const withRecord = (record: Transcript, from = keys[3]!) => changed({ 10: encodeTranscript(record) }, from);

  describe("an initial key", () => {
    /** Keys and hash are snarkjs', byte for byte, from each of the files. @returns the keys */
    async function expectSame(r1csPath: string, preparedPath: string, ...others: string[]): Promise<string[]> {
      const theirs = fresh();
      const hash = toHex(await snarkjs.zKey.newZKey(r1csPath, preparedPath, theirs));
      const ours = [];
      for (const ptauPath of [preparedPath, ...others]) {
        const zkeyPath = fresh();
        // A store of its own: otherwise the second would be given what the first has made.
        const { circuitHash } = await newPhase2Key({ r1csPath, ptauPath, zkeyPath, store: await temporaryStore() });
        expect(circuitHash).toBe(hash);
        expect((await transcriptOf(zkeyPath)).circuitHash).toBe(circuitHash);
        expect((await readFile(zkeyPath)).equals(await readFile(theirs))).toBe(true);
        ours.push(zkeyPath);
      }
      return ours;
    }

    const number = numbers(7, R);
    const term = (wire: number, bits = 254): Term => {
      const value = number() >> BigInt(254 - bits);
      return [wire, number() & 1n ? value : (R - value) % R];
    };
    const dense: System = {
      wires: 30,
      publicOutputs: 2,
      publicInputs: 1,
      rows: Array.from({ length: 20 }, (_, row): Row => {
        const side = () => Array.from({ length: 30 }, (_, i) => term(i, 1 + ((13 * i + 7 * row) % 254)));
        return [side(), side(), side()];
      }),
    };
    const many = (n: number, make: (i: number) => Term) => Array.from({ length: n }, (_, i) => make(i));
    const sign = (i: number) => (i % 2 === 0 ? 1n : -1n);
    /** Sums that are longer than what the core adds up at a time, with points that cancel on the way. */
    const long: System = {
      wires: 40,
      publicInputs: 1,
      rows: [
        [many(9000, (i) => term(i % 40)), many(5000, (i) => term(i % 40)), [term(39)]],
        [many(9000, () => term(3)), many(4500, () => term(3)), many(100, () => term(3, 20))],
        // What is added up first comes to nothing.
        [many(8192, (i) => [4, sign(i)]), many(4096, (i) => [4, sign(i)]), []],
        [many(9, () => [4, 1n]), many(9, () => [4, -1n]), []],
        [many(9000, (i) => [15, sign(i)]), many(5000, (i) => [15, sign(i)]), []],
        [many(8192, () => [16, 1n]), many(4096, () => [16, -1n]), [[16, 0n]]],
        [many(8193, () => [17, -1n]), many(4097, () => [17, 1n]), [[17, 1n]]],
        [many(10, () => [18, 0n]), many(10, () => [18, 0n]), many(10, () => [18, 0n])],
        [
          [
            [19, 0n],
            [19, 1n],
            [19, 0n],
          ],
          [[19, -1n]],
          [[19, 0n]],
        ],
        // As long as a batch, and a coefficient that is as long as they get.
        [
          many(8192, () => [20, 2n]),
          many(4096, () => [20, -2n]),
          [
            [20, (R - 1n) / 2n],
            [21, (R + 1n) / 2n],
          ],
        ],
      ],
    };
    const poseidon = {
      name: "poseidon",
      source: `pragma circom 2.2.3;
include "lib/poseidon16.circom";
template Main() {
    signal input in[16];
    signal output out;
    component hash = Poseidon16();
    hash.capacity <== 7;
    for (var i = 0; i < 16; i++) hash.in[i] <== in[i];
    out <== hash.out;
}
component main = Main();
`,
    };
    const inference = {
      name: "argmax",
      source: `pragma circom 2.2.3;
include "inference/linear.circom";
include "inference/argmax.circom";
template Main() {
    signal input in[3];
    signal input context;
    signal output out;
    signal bound <== context * context;
    component layer = Linear(1, 1, 3, 4, [1, -2, 3, -4, 5, -6, 7, -8, 9, 0, 127, -128], [1, -1, 1000, 0]);
    for (var i = 0; i < 3; i++) layer.in[i] <== in[i];
    component largest = ArgMax(1, 4, [20]);
    for (var i = 0; i < 4; i++) largest.in[i] <== layer.out[i];
    out <== largest.out[0];
}
component main {public [context]} = Main();
`,
    };
    const smallest: System = { wires: 3, rows: [[[[1, 1n]], [[1, 1n]], [[2, 1n]]]] };

    it.each<[string, () => Promise<string>]>([
      ["a tiny circuit", async () => r1csPath],
      ["nothing public, one row", () => written(smallest)],
      ["dense rows, coefficients of all lengths", () => written(dense)],
      ["long sums", () => written(long)],
      ["a Poseidon permutation", async () => (await compileCircuit(poseidon)).r1csPath],
      ["a layer and its largest value", async () => (await compileCircuit(inference)).r1csPath],
    ])("is snarkjs', from powers that are prepared or not: %s", async (_, make) => {
      const path = await make();
      const power = domainPower(await describeR1cs(path));
      for (const size of path === r1csPath ? [power, power + 1] : [power]) {
        const { prepared, raw } = await developmentPowers(folder, size, `${count++}`);
        const [key] = await expectSame(path, prepared, raw);
        // And it stands the check, once somebody has contributed.
        const next = fresh();
        await contribute({ from: key!, to: next });
        expect(await verdictOf(verifyPhase2({ r1csPath: path, ptauPath: raw, zkeyPath: next }))).toBe("accepted");
      }
    });

    async function written(system: System): Promise<string> {
      const path = fresh("r1cs");
      await writeFile(path, r1csFile(system));
      return path;
    }

    it("is snarkjs' also where that hashes what lies beyond the powers (from 2^15 rows on)", async () => {
      const rows: Row[] = Array.from({ length: 2 ** 14 }, () => [[], [], []]);
      const path = await written({ wires: 3, publicInputs: 1, rows: [...rows, [[[1, 1n]], [[2, 1n]], [[2, 3n]]]] });
      for (const size of [15, 16]) {
        const { prepared } = await developmentPowers(folder, size);
        await expectSame(path, prepared);
      }
    });

    it("is made from a prepared file that snarkjs cut, as from one that ends there", async () => {
      const { prepared } = await developmentPowers(folder, 4, "cut-from");
      await snarkjs.powersOfTau.truncate(prepared, join(folder, "cut-"));
      const cut = join(folder, "cut-03.ptau"); // TINY's size exactly
      const [ours, theirs] = [fresh(), fresh()];
      const { circuitHash } = await newPhase2Key({
        r1csPath,
        ptauPath: cut,
        zkeyPath: ours,
        store: await temporaryStore(),
      });
      expect(circuitHash).toBe(toHex(await snarkjs.zKey.newZKey(r1csPath, cut, theirs)));
      // snarkjs' has the power that lies beyond the file in H, where no proof uses it: both stand the check.
      const [a, b] = [await sectionsOf(ours), await sectionsOf(theirs)];
      for (const id of a.keys()) expect([id, Buffer.from(a.get(id)!).equals(b.get(id)!)]).toEqual([id, id !== 9]);
      for (const from of [ours, theirs]) {
        const to = fresh();
        await contribute({ from, to });
        for (const ptau of [cut, prepared]) {
          expect(await verdictOf(verifyPhase2({ r1csPath, ptauPath: ptau, zkeyPath: to }))).toBe("accepted");
        }
        expect(await snarkjs.zKey.verifyFromR1cs(r1csPath, cut, to)).toBe(true);
      }
    });

    it("is forgeable, and said to be", async () => {
      expect(await verdict(keys[0]!)).toBe("KEY_FORGEABLE");
      expect(await lintKeyFile(keys[0]!)).toMatchObject({ level: "forgeable" });
    });

    it("needs powers that are large enough, and fit together", async () => {
      const refused = async (path: string) =>
        verdictOf(newPhase2Key({ r1csPath, ptauPath: path, zkeyPath: fresh(), store: await temporaryStore() }));
      const small = await developmentPowers(folder, 2);
      expect(await refused(small.raw)).toBe("PTAU_INVALID");
      const { prepared } = await developmentPowers(folder, 3);
      for (const [id, size, level] of [
        [12, 64, 3],
        [12, 64, 4],
        [13, 128, 3],
        [14, 64, 3],
        [15, 64, 3],
      ] as const) {
        const at = size * (2 ** level - 1 + (level === 4 ? 3 : 2));
        const point = size === 64 ? encodeG1(G1_GENERATOR) : encodeG2(G2_GENERATOR);
        const bad = await changedFile("ptau", prepared, fresh("ptau"), { [id]: patch(at, point) });
        expect(await refused(bad), `section ${id}`).toBe("PTAU_INVALID");
      }
      expect((await readdir(folder)).filter((name) => name.startsWith(`${count - 1}.zkey`))).toEqual([]);
    });

    it("is not made from powers whose continuation is another one's, nor does it spoil the store for others", async () => {
      const { raw } = await developmentPowers(folder, 4, "continued");
      // Circuits of 2^3 rows use the first 15 powers and, where there is one, the sixteenth.
      const bad = await changedFile("ptau", raw, fresh("ptau"), { 2: patch(64 * 15, encodeG1(G1_GENERATOR)) });
      const store = await temporaryStore();
      const from = (path: string) => newPhase2Key({ r1csPath, ptauPath: path, zkeyPath: fresh(), store });
      expect(await verdictOf(from(bad))).toBe("PTAU_INVALID");
      expect(await verdictOf(from(raw))).toBe("accepted");
    });

    it("writes over nothing, stops on request, reports progress, and says before the work what is too large", async () => {
      const zkeyPath = fresh();
      const store = await temporaryStore();
      const make = (options: object = {}) => newPhase2Key({ r1csPath, ptauPath, zkeyPath, store, ...options });
      await expect(make({ signal: AbortSignal.abort() })).rejects.toThrow(code("ABORTED"));
      const stop = new AbortController();
      await expect(make({ signal: stop.signal, onProgress: () => stop.abort() })).rejects.toThrow(code("ABORTED"));
      expect(existsSync(zkeyPath)).toBe(false);
      const seen: number[] = [];
      await make({ onProgress: (done: number) => seen.push(done) });
      expect(seen).toEqual([...seen].sort((a, b) => a - b));
      expect(seen.at(-1)).toBe(1);
      const before = await readFile(zkeyPath);
      await expect(make()).rejects.toThrow(code("FILE_UNREADABLE"));
      expect(await readFile(zkeyPath)).toEqual(before);
      const large = await written({ wires: 1100, publicInputs: 1025, rows: [] });
      await expect(make({ r1csPath: large, zkeyPath: fresh() })).rejects.toThrow(code("INPUT_TOO_LARGE"));
    });
  });

  describe("contributions", () => {
    it("say what they are, and hold one after the other", async () => {
      const record = await transcriptOf(keys[3]!);
      expect(record.contributions).toEqual(made);
      expect(made.map(({ kind, name }) => [kind, name])).toEqual([
        ["contribution", "ada"],
        ["contribution", undefined],
        ["beacon", BEACON.name],
      ]);
      for (let i = 0; i < 3; i++) {
        expect(await verifyContribution({ previous: keys[i]!, next: keys[i + 1]! })).toEqual(made[i]);
        expect((await verifyPhase2({ r1csPath, ptauPath, zkeyPath: keys[i + 1]! })).circuitDigest).toBe(
          tiny.circuitDigest,
        );
      }
    });

    it("differ each time: the secret is drawn, and entropy goes on top", async () => {
      const again = await contribute({ from: keys[0]!, to: fresh(), name: "ada", entropy: "dice" });
      for (const part of ["deltaAfter", "g1s", "g1sx", "g2spx"] as const)
        expect(again[part]).not.toEqual(made[0]![part]);
    });

    it("by the beacon are snarkjs' byte for byte", async () => {
      const theirs = fresh();
      const { name, hash, iterationsExp } = BEACON;
      expect(toHex(await snarkjs.zKey.beacon(keys[2]!, theirs, name, hash, iterationsExp))).toBe(made[2]!.hash);
      expect((await readFile(keys[3]!)).equals(await readFile(theirs))).toBe(true);
    });

    it("are verified by snarkjs, which goes on from ours, as we go on from its", async () => {
      const { prepared } = await developmentPowers(folder, 3, "mixed");
      const [first, ours, theirs, again, last] = [fresh(), fresh(), fresh(), fresh(), fresh()];
      await snarkjs.zKey.newZKey(r1csPath, prepared, first);
      await contribute({ from: first, to: ours, name: "ours", entropy: "x" });
      const hash = toHex(await snarkjs.zKey.contribute(ours, theirs, "theirs", "entropy"));
      expect((await verifyContribution({ previous: ours, next: theirs })).hash).toBe(hash);
      await contribute({ from: theirs, to: again, name: "ours again" });
      await snarkjs.zKey.beacon(again, last, "last", BEACON.hash, 10);
      expect((await verifyContribution({ previous: again, next: last })).kind).toBe("beacon");
      const { transcript } = await verifyPhase2({ r1csPath, ptauPath: prepared, zkeyPath: last });
      expect(transcript.contributions.map(({ name }) => name)).toEqual(["ours", "theirs", "ours again", "last"]);
      expect(await snarkjs.zKey.verifyFromR1cs(r1csPath, prepared, last)).toBe(true);
      expect(await snarkjs.zKey.verifyFromInit(first, prepared, last)).toBe(true);
    });

    it("give keys that prove, here and with snarkjs, and that the lint calls what they are", async () => {
      const { verifyingKey } = await verifyPhase2({ r1csPath, ptauPath, zkeyPath: keys[3]! });
      const wtns = await calculateWtns(tiny.wasmPath, TINY_INPUTS);
      const theirs = await snarkjs.groth16.prove(keys[3]!, wtns, undefined, { singleThread: true });
      expect(verifyGroth16(verifyingKey, PUBLIC, parseProof(theirs.proof))).toBe(true);
      const core = nativeCore()!;
      const handle = core.openProvingKey(keys[3]!);
      const [a0, a1, b0, b1, b2, b3, c0, c1] = integers(core.prove(handle, wtns).proof) as [
        ...Record<0 | 1 | 2 | 3 | 4 | 5 | 6 | 7, bigint>[],
      ] &
        bigint[];
      core.closeProvingKey(handle);
      const proof = {
        a: [a0!, a1!],
        b: [
          [b0!, b1!],
          [b2!, b3!],
        ],
        c: [c0!, c1!],
      } as const;
      expect(verifyGroth16(verifyingKey, PUBLIC, proof)).toBe(true);
      expect(verifyGroth16(verifyingKey, [PUBLIC[0]! + 1n, ...PUBLIC.slice(1)], proof)).toBe(false);
      const exported = await snarkjs.zKey.exportVerificationKey(keys[3]!);
      const signals = PUBLIC.map(String);
      expect(await snarkjs.groth16.verify(exported, signals, theirs.proof)).toBe(true);
      const report = await lintKeyFile(keys[3]!);
      expect(report).toMatchObject({ level: "development", publics: 3 });
      expect(report.failure).toBeUndefined();
    });

    it("stop on request, report progress, and leave no file of which they are not sure", async () => {
      const to = fresh();
      const signal = AbortSignal.abort();
      await expect(contribute({ from: keys[0]!, to, signal })).rejects.toThrow(code("ABORTED"));
      const stop = new AbortController();
      const beacon = { hash: BEACON_BYTES, iterationsExp: 22 };
      const stopped = applyBeacon({
        from: keys[0]!,
        to,
        ...beacon,
        signal: stop.signal,
        onProgress: (done) => done > 0 && stop.abort(),
      });
      await expect(stopped).rejects.toThrow(code("ABORTED"));
      const damaged = await changed({ 9: patch(64, encodeG1([5n, 5n])) }, keys[0]!);
      await expect(contribute({ from: damaged, to })).rejects.toThrow(code("KEY_MALFORMED"));
      expect(existsSync(to)).toBe(false);
      const seen: number[] = [];
      await contribute({ from: keys[0]!, to, onProgress: (done) => seen.push(done) });
      expect(seen.at(-1)).toBe(1);
      await expect(contribute({ from: keys[0]!, to })).rejects.toThrow(code("FILE_UNREADABLE"));
    });

    it("of a wrong kind give a code", async () => {
      const to = fresh();
      const from = keys[0]!;
      for (const name of ["", "x".repeat(65), "\ud800", 7, {}, null, Symbol("s")] as never[]) {
        await expect(contribute({ from, to, name })).rejects.toThrow(code("INPUT_INVALID"));
        const beacon = applyBeacon({ from, to, name, hash: BEACON_BYTES, iterationsExp: 10 });
        await expect(beacon).rejects.toThrow(code("INPUT_INVALID"));
      }
      for (const entropy of [7, {}, null, [1, 2], Symbol("s")] as never[]) {
        await expect(contribute({ from, to, entropy })).rejects.toThrow(code("INPUT_INVALID"));
      }
      for (const hash of [new Uint8Array(), new Uint8Array(256), "abcd", undefined] as never[]) {
        await expect(applyBeacon({ from, to, hash, iterationsExp: 10 })).rejects.toThrow(code("INPUT_INVALID"));
      }
      for (const iterationsExp of [9, 64, 10.5, "10"] as never[]) {
        await expect(applyBeacon({ from, to, hash: BEACON_BYTES, iterationsExp })).rejects.toThrow(
          code("INPUT_INVALID"),
        );
      }
      await expect(applyBeacon({ from, to, hash: BEACON_BYTES, iterationsExp: 60 })).rejects.toThrow(
        code("INPUT_TOO_LARGE"),
      );
      for (const bad of [7, undefined, () => 1] as never[]) {
        await expect(contribute({ from: bad, to })).rejects.toThrow(code("INPUT_INVALID"));
        await expect(contribute({ from, to: bad })).rejects.toThrow(code("INPUT_INVALID"));
      }
      await expect(contribute({ from: join(folder, "none"), to })).rejects.toThrow(code("FILE_NOT_FOUND"));
      expect(existsSync(to)).toBe(false);
    });

    it("to a development key are refused: its maker's trapdoor stays in it", async () => {
      const [development, to] = [fresh(), fresh()];
      await setupDevelopment(r1csPath, development);
      await expect(contribute({ from: development, to })).rejects.toThrow(code("KEY_DEVELOPMENT"));
      const whole = verifyPhase2({ r1csPath, ptauPath, zkeyPath: development });
      await expect(whole).rejects.toThrow(code("KEY_DEVELOPMENT"));
      await expect(applyBeacon({ from: development, to, hash: BEACON_BYTES, iterationsExp: 10 })).rejects.toThrow(
        code("KEY_DEVELOPMENT"),
      );
      expect(existsSync(to)).toBe(false);
      // Without its stamp it can be contributed to, but its delta is not what its record comes to.
      const bare = await changed({ 1885433441: undefined }, development);
      await contribute({ from: bare, to });
      expect(await verdict(to)).toBe("CONTRIBUTION_INVALID delta");
      expect(await verdictOf(verifyContribution({ previous: bare, next: to }))).toBe("CONTRIBUTION_INVALID delta");
    });
  });

  const OTHER_G1 = encodeG1(timesG1(G1_GENERATOR, 1234567n));
  const OTHER_G2 = encodeG2(timesG2(G2_GENERATOR, 1234567n));
  const OFF_G1 = encodeG1([5n, 5n]);
  const OFF_G2 = encodeG2([
    [5n, 5n],
    [5n, 5n],
  ]);
  /** Of each section of points: bytes a point, and two of them that differ and are not at infinity. */
  const POINTS = [
    { id: 3, size: 64, at: [0, 2] },
    { id: 5, size: 64, at: [0, 3] },
    { id: 6, size: 64, at: [4, 6] },
    { id: 7, size: 128, at: [4, 6] },
    { id: 8, size: 64, at: [0, 2] },
    { id: 9, size: 64, at: [1, 7] },
  ] as const;

  /** Every way in which one section can be another than it must be. */
  function tampered(): [string, Changes][] {
    const found: [string, Changes][] = [];
    for (const { id, size, at } of POINTS) {
      const [i, j] = at;
      const [other, off] = size === 64 ? [OTHER_G1, OFF_G1] : [OTHER_G2, OFF_G2];
      const put = (bytes: Uint8Array) => ({ [id]: patch(i * size, bytes) });
      found.push(
        [`section ${id}: another point`, put(other)],
        [`section ${id}: two points exchanged`, { [id]: swapped(size, i, j) }],
        [`section ${id}: infinity`, put(new Uint8Array(size))],
        [`section ${id}: off the curve`, put(off)],
        [`section ${id}: another spelling`, { [id]: respelled(size, i) }],
      );
    }
    found.push(["section 7: outside the group", { 7: patch(4 * 128, encodeG2(wrongSubgroupG2())) }]);
    for (const at of [0, 4, 8, 12, 43]) {
      const flip = (content: Uint8Array) => patch(4 + 44 + at, Uint8Array.of(content[4 + 44 + at]! ^ 1))(content);
      found.push([`section 4: byte ${at} of an entry`, { 4: flip }]);
    }
    found.push([
      "section 4: two entries exchanged",
      { 4: (content) => patch(4, swapped(44, 0, 2)(content.slice(4)))(content) },
    ]);
    return found;
  }

  describe("the check of a whole key refuses", () => {
    it("any change of a section of it", async () => {
      const core = nativeCore()!;
      // The core itself: a thread for each would take most of the time.
      const check = (path: string) => outcomeOf(() => core.verifyPhase2(r1csPath, ptauPath, path, undefined));
      expect(check(await changed({}))).toBe("accepted");
      for (const [what, changes] of tampered()) expect(check(await changed(changes)), what).toBe("KEY_MALFORMED");
      for (const { id, size, at } of POINTS) {
        const path = await changed({ [id]: swapped(size, at[0], at[1]) });
        expect(await verdict(path), `section ${id}`).toBe("KEY_MALFORMED");
      }
    });

    it("any change of its header", async () => {
      const [alpha1, beta1, beta2, gamma2, delta1, delta2] = [84, 148, 212, 340, 468, 532];
      const headers: [number, Uint8Array][] = [
        ...[alpha1!, beta1!, delta1!].map((at): [number, Uint8Array] => [at, OTHER_G1]),
        ...[beta2!, gamma2!, delta2!].map((at): [number, Uint8Array] => [at, OTHER_G2]),
        [72, uint32(8)],
        [76, uint32(2)],
        [80, uint32(16)],
      ];
      for (const [at, bytes] of headers) {
        expect(await verdict(await changed({ 2: patch(at, bytes) })), `at ${at}`).toBe("KEY_MALFORMED");
      }
      // Both groups' at once: what the record, or the powers, say of them is another thing.
      const delta = await changed({ 2: (content) => patch(delta2!, OTHER_G2)(patch(delta1!, OTHER_G1)(content)) });
      expect(await verdict(delta)).toBe("CONTRIBUTION_INVALID delta");
      const beta = await changed({ 2: (content) => patch(beta2!, OTHER_G2)(patch(beta1!, OTHER_G1)(content)) });
      expect(await verdict(beta)).toBe("KEY_MALFORMED");
    });

    it("C or H that are not over delta, or over more than it", async () => {
      const [before, last] = [await sectionsOf(keys[2]!), await sectionsOf(keys[3]!)];
      const twice = fresh();
      // A key whose C and H are those of one contribution more.
      await contribute({ from: keys[3]!, to: twice });
      const more = await sectionsOf(twice);
      for (const id of [8, 9]) {
        expect(before.get(id)).not.toEqual(last.get(id));
        for (const other of [before, more]) {
          expect(await verdict(await changed({ [id]: other.get(id)! })), `section ${id}`).toBe("KEY_MALFORMED");
        }
      }
    });

    it("another circuit of the same size, other powers, and too few", async () => {
      const other = await compileCircuit({ name: "four", source: TINY.source.replace("+ 3;", "+ 4;") });
      const check = (changes: object) =>
        verdictOf(verifyPhase2({ r1csPath, ptauPath, zkeyPath: keys[3]!, ...changes }));
      expect(await check({ r1csPath: other.r1csPath })).toBe("KEY_MALFORMED");
      const fewer = { name: "fewer", source: TINY.source.replace("[a, unused]", "[a]") };
      expect(await check({ r1csPath: (await compileCircuit(fewer)).r1csPath })).toBe("KEY_MALFORMED");
      expect(await check({ ptauPath: (await developmentPowers(folder, 5, "others")).raw })).toBe("KEY_MALFORMED");
      expect(await check({ ptauPath: (await developmentPowers(folder, 2, "few")).raw })).toBe("PTAU_INVALID");
      expect(await check({ ptauPath: r1csPath })).toBe("PTAU_INVALID");
      expect(await check({ r1csPath: ptauPath })).toBe("CIRCUIT_MALFORMED");
      expect(await check({ zkeyPath: ptauPath })).toBe("KEY_MALFORMED");
    });

    it("a record with steps left out, exchanged, repeated, of another key, or made up", async () => {
      const record = await transcriptOf(keys[3]!);
      const [a, b, c] = record.contributions as [Contribution, Contribution, Contribution];
      const foreign = fresh();
      await contribute({ from: keys[0]!, to: foreign });
      const [stranger] = (await transcriptOf(foreign)).contributions as [Contribution];
      const of = (...contributions: Contribution[]) => withRecord({ ...record, contributions });
      const expected: [string, Promise<string>, string][] = [
        ["the last left out", of(a, b), "CONTRIBUTION_INVALID delta"],
        ["the first left out", of(b, c), "CONTRIBUTION_INVALID transcript"],
        ["all left out", of(), "CONTRIBUTION_INVALID delta"],
        ["exchanged", of(b, a, c), "CONTRIBUTION_INVALID transcript"],
        ["repeated", of(a, b, c, c), "CONTRIBUTION_INVALID transcript"],
        ["repeated at once", of(a, a, b, c), "CONTRIBUTION_INVALID transcript"],
        ["another key's in its place", of(stranger, b, c), "CONTRIBUTION_INVALID transcript"],
        ["one more that was not applied", withRecord(append(record, { secret: 5n })), "CONTRIBUTION_INVALID delta"],
        [
          "another circuit's hash",
          withRecord({ ...record, circuitHash: toHex(new Uint8Array(64)) }),
          "CONTRIBUTION_INVALID transcript",
        ],
      ];
      for (const [what, path, verdictOfIt] of expected) expect(await verdict(await path), what).toBe(verdictOfIt);
      const forged = { ...b, g2spx: timesG2(b.g2spx, 3n) };
      const forgedHash = { ...forged, hash: contributionHash(forged) };
      expect(await verdict(await withRecord({ ...record, contributions: [a, forgedHash] }, keys[2]!))).toBe(
        "CONTRIBUTION_INVALID knowledge",
      );
      const beacon = { ...c, beacon: { ...c.beacon!, hash: Uint8Array.of(9) } };
      expect(await verdict(await of(a, b, beacon))).toBe("CONTRIBUTION_INVALID beacon");
      const cut = (content: Uint8Array) => content.subarray(0, -1);
      expect(await verdict(await changed({ 10: cut }))).toBe("CONTRIBUTION_INVALID truncated");
    });

    it("a key that nobody but beacons contributed to: everybody knows its delta, and forges", async () => {
      const path = fresh();
      await applyBeacon({ from: keys[0]!, to: path, hash: BEACON_BYTES, iterationsExp: 10 });
      expect(await verdict(path)).toBe("KEY_FORGEABLE");
      const { verifyingKey, transcript } = await readZkeyHeader(path);
      const vkOnly = verifyPhase2VerifyingKey({ r1csPath, ptauPath, verifyingKey, transcript });
      expect(await verdictOf(vkOnly)).toBe("KEY_FORGEABLE");
    });

    it("the untouched key with sections that it does not know, and leaves them", async () => {
      expect(await verdict(await changed({ 77: utf8("note") }))).toBe("accepted");
    });
  });

  describe("the check of a verifying key alone refuses", () => {
    it("another IC, alpha, beta, gamma or delta, and another record", async () => {
      const { verifyingKey, transcript } = await readZkeyHeader(keys[3]!);
      const check = (changes: object, rest: object = {}) =>
        verdictOf(
          verifyPhase2VerifyingKey({
            r1csPath,
            ptauPath,
            transcript,
            verifyingKey: { ...verifyingKey, ...changes },
            ...rest,
          }),
        );
      expect(await check({})).toBe("accepted");
      const ic = (change: (points: G1Affine[]) => void) => {
        const points = [...verifyingKey.ic];
        change(points);
        return { ic: points };
      };
      const g2 = timesG2(G2_GENERATOR, 99n);
      for (const [what, changes] of [
        ["a point of IC", ic((points) => (points[1] = timesG1(G1_GENERATOR, 99n)))],
        ["two of IC exchanged", ic((points) => points.reverse())],
        ["one of IC less", { ...ic((points) => points.pop()), nPublic: 2 }],
        ["one of IC more", { ...ic((points) => points.push(timesG1(G1_GENERATOR, 99n))), nPublic: 4 }],
        ["alpha", { alpha: timesG1(G1_GENERATOR, 99n) }],
        ["beta", { beta: g2 }],
        ["gamma", { gamma: g2 }],
      ] as const) {
        expect(await check(changes), what).toBe("KEY_MALFORMED");
      }
      expect(await check({ delta: g2 })).toBe("CONTRIBUTION_INVALID delta");
      expect(await check({ delta: verifyingKey.gamma })).toBe("KEY_FORGEABLE");
      expect(await check({ delta: wrongSubgroupG2() })).toBe("KEY_MALFORMED");
      const before = await transcriptOf(keys[2]!);
      expect(await check({}, { transcript: before })).toBe("CONTRIBUTION_INVALID delta");
      expect(await check({}, { ptauPath: (await developmentPowers(folder, 4, "vk")).raw })).toBe("KEY_MALFORMED");
      const other = await compileCircuit({ name: "four", source: TINY.source.replace("+ 3;", "+ 4;") });
      expect(await check({}, { r1csPath: other.r1csPath })).toBe("KEY_MALFORMED");
    });
  });

  describe("the check of one step refuses", () => {
    const step = (next: string, previous = keys[0]!) => verdictOf(verifyContribution({ previous, next }));

    it("any change of a section that a contribution must leave alone", async () => {
      const core = nativeCore()!;
      const check = async (next: string): Promise<string> => {
        try {
          core.verifyPhase2Step(keys[0]!, next);
          return "accepted";
        } catch (error) {
          const { code, message } = error as AnchorError;
          return code === "CONTRIBUTION_INVALID" ? `${code} ${message.split(":")[0]}` : code;
        }
      };
      expect(await check(await changed({}, keys[1]!))).toBe("accepted");
      for (const [what, changes] of tampered()) {
        // Points of C and H are new ones, which must be some.
        const isNew = changes[8] !== undefined || changes[9] !== undefined;
        const isPoint = !/off the curve|another spelling/.test(what);
        const expected = !isNew
          ? "CONTRIBUTION_INVALID sections"
          : isPoint
            ? "CONTRIBUTION_INVALID scaling"
            : "KEY_MALFORMED";
        expect(await check(await changed(changes, keys[1]!)), what).toBe(expected);
      }
      for (const { id, size, at } of POINTS) {
        const expected = id === 8 || id === 9 ? "scaling" : "sections";
        const path = await changed({ [id]: swapped(size, at[0], at[1]) }, keys[1]!);
        expect(await step(path), `section ${id}`).toBe(`CONTRIBUTION_INVALID ${expected}`);
      }
      expect(await step(await changed({ 77: utf8("note") }, keys[1]!))).toBe("CONTRIBUTION_INVALID sections");
    });

    it("another header", async () => {
      const [alpha1, beta1, beta2, gamma2, delta1, delta2] = [84, 148, 212, 340, 468, 532];
      const header = (...parts: [number, Uint8Array][]) =>
        changed({ 2: (content) => parts.reduce((all, [at, bytes]) => patch(at, bytes)(all), content) }, keys[1]!);
      expect(await step(await header([alpha1!, OTHER_G1]))).toBe("CONTRIBUTION_INVALID sections");
      expect(await step(await header([beta1!, OTHER_G1], [beta2!, OTHER_G2]))).toBe("CONTRIBUTION_INVALID sections");
      expect(await step(await header([gamma2!, OTHER_G2]))).toBe("CONTRIBUTION_INVALID sections");
      expect(await step(await header([delta1!, OTHER_G1], [delta2!, OTHER_G2]))).toBe("CONTRIBUTION_INVALID delta");
      for (const [at, bytes] of [
        [beta1!, OTHER_G1],
        [beta2!, OTHER_G2],
        [delta1!, OTHER_G1],
        [delta2!, OTHER_G2],
      ] as const) {
        expect(await step(await header([at, bytes]))).toBe("KEY_MALFORMED");
      }
    });

    it("C or H that are not over the new delta", async () => {
      const [before, after] = [await sectionsOf(keys[0]!), await sectionsOf(keys[2]!)];
      for (const id of [8, 9]) {
        for (const other of [before, after]) {
          expect(await step(await changed({ [id]: other.get(id)! }, keys[1]!))).toBe("CONTRIBUTION_INVALID scaling");
        }
      }
    });

    it("a key with no step, two, another's, or one after a change of those before", async () => {
      expect(await step(keys[0]!)).toBe("CONTRIBUTION_INVALID count");
      expect(await step(keys[2]!)).toBe("CONTRIBUTION_INVALID count");
      expect(await step(keys[0]!, keys[1]!)).toBe("CONTRIBUTION_INVALID count");
      const [branch, onBranch] = [fresh(), fresh()];
      await contribute({ from: keys[0]!, to: branch });
      await contribute({ from: branch, to: onBranch });
      expect(await step(onBranch, keys[1]!)).toBe("CONTRIBUTION_INVALID transcript");
      const other = await compileCircuit({ name: "four", source: TINY.source.replace("+ 3;", "+ 4;") });
      const [foreign, contributed] = [fresh(), fresh()];
      await newPhase2Key({ r1csPath: other.r1csPath, ptauPath, zkeyPath: foreign, store: await temporaryStore() });
      await contribute({ from: foreign, to: contributed });
      expect(await step(contributed)).toBe("CONTRIBUTION_INVALID transcript");
      // Under this circuit's hash, the record no longer holds.
      const { circuitHash } = await transcriptOf(keys[0]!);
      const disguised = await withRecord({ ...(await transcriptOf(contributed)), circuitHash }, contributed);
      expect(await step(disguised)).toBe("CONTRIBUTION_INVALID transcript");
      // Names and kinds are in no hash, and yet nobody after may change them.
      const record = await transcriptOf(keys[2]!);
      const renamed = record.contributions.map((own, i) => (i === 0 ? { ...own, name: "eve" } : own));
      const path = await withRecord({ ...record, contributions: renamed }, keys[2]!);
      expect(await step(path, keys[1]!)).toBe("CONTRIBUTION_INVALID transcript");
    });

    it("a step of somebody who knows no secret, or whose secret is 1 or -1", async () => {
      const record = await transcriptOf(keys[0]!);
      const forged = async (forgery: Parameters<typeof append>[1]) => {
        const next = append(record, forgery);
        const delta = next.contributions[0]!.deltaAfter;
        return step(await changed({ 10: encodeTranscript(next), 2: patch(468, encodeG1(delta)) }, keys[0]!));
      };
      expect(await forged({ secret: 77n })).toBe("KEY_MALFORMED"); // delta in G1 is no longer that in G2
      const both = async (secret: bigint) => {
        const header = (content: Uint8Array) =>
          patch(
            532,
            encodeG2(timesG2(G2_GENERATOR, secret)),
          )(patch(468, encodeG1(timesG1(G1_GENERATOR, secret)))(content));
        return step(await changed({ 10: encodeTranscript(append(record, { secret })), 2: header }, keys[0]!));
      };
      expect(await both(1n)).toBe("CONTRIBUTION_INVALID knowledge");
      expect(await both(R - 1n)).toBe("CONTRIBUTION_INVALID knowledge");
      expect(await both(77n)).toBe("CONTRIBUTION_INVALID scaling");
      expect(decodeTranscript(encodeTranscript(record))).toEqual(record);
    });

    it("files that are none", async () => {
      expect(await step(ptauPath)).toBe("KEY_MALFORMED");
      expect(await step(join(folder, "none.zkey"))).toBe("FILE_NOT_FOUND");
      const bytes = await readFile(keys[1]!);
      for (const length of [0, 11, 100, bytes.length - 1]) {
        const path = fresh();
        await writeFile(path, bytes.subarray(0, length));
        expect(await step(path)).toBe("KEY_MALFORMED");
      }
      const twice = fresh();
      await writeFile(twice, binFile("zkey", 1, [...(await sectionsOf(keys[1]!)), [9, new Uint8Array()]]));
      expect(await step(twice)).toBe("KEY_MALFORMED");
    });
  });

  /**
   * An honest contributor divides all of C and H by their secret. So whoever hands them a key with a point of their own
   * choice at a place that nobody checks gets that point over delta; with vk_x there, A = alpha, B = beta and
   * C = -vk_x/delta is a proof of any signals.
   *
   * H has such a place. Its n points stand for the n−1 powers that proofs use and for one more, ω^(−j(n−1)) times which
   * is in point j, and where keys hold τ^(n−1) − τ^(2n−1), or τ^(n−1). snarkjs 0.7.6 does not look there.
   */
  describe("a point that is slipped into the unused part of H", () => {
    it("lets its owner forge, passes snarkjs' check, and is found by ours", async () => {
      const { domain: n, verifyingKey } = await readZkeyHeader(keys[0]!);
      const { Fr } = await buildBn128(true);
      const root = Fr.toObject(Fr.w[Math.log2(n) + 1]!); // of order 2n
      const scale = invert(BigInt(2 * n));
      /** What a point in the unused place contributes to point j. */
      const share = (j: number) => (scale * invert(pow(root, BigInt((2 * j + 1) * (n - 1))))) % R;
      const unused = (section: Uint8Array) =>
        Array.from({ length: n }, (_, j) => {
          const weight = (2n * pow(root, BigInt((2 * j + 1) * (n - 1)))) % R;
          return g1Point(decodeG1(section.subarray(64 * j, 64 * (j + 1)))!).multiplyUnsafe(weight);
        }).reduce((sum, point) => sum.add(point));

      const signals = [666n, 1n, 2n];
      const [first, ...rest] = verifyingKey.ic.map(g1Point);
      const vkx = rest.reduce((sum, point, i) => sum.add(point.multiply(signals[i]!)), first!);
      const evil = await changed(
        {
          9: (content) => {
            const extra = vkx.subtract(unused(content));
            for (let j = 0; j < n; j++) {
              const point = g1Point(decodeG1(content.subarray(64 * j, 64 * (j + 1)))!);
              content.set(encodeG1(affineG1(point.add(extra.multiplyUnsafe(share(j))))), 64 * j);
            }
            return content;
          },
        },
        keys[0]!,
      );
      const [honest, last] = [fresh(), fresh()];
      await contribute({ from: evil, to: honest, name: "honest", entropy: "dice" });
      await applyBeacon({ from: honest, to: last, hash: BEACON_BYTES, iterationsExp: 10 });

      // It proves as well as any other.
      const key = (await readZkeyHeader(last)).verifyingKey;
      const wtns = await calculateWtns(tiny.wasmPath, TINY_INPUTS);
      const { proof } = await snarkjs.groth16.prove(last, wtns, undefined, { singleThread: true });
      expect(verifyGroth16(key, PUBLIC, parseProof(proof))).toBe(true);
      const c = affineG1(unused((await sectionsOf(last)).get(9)!).negate());
      expect(verifyGroth16(key, signals, { a: key.alpha, b: key.beta, c })).toBe(true);

      const { prepared } = await developmentPowersOf(ptauPath);
      expect(await snarkjs.zKey.verifyFromR1cs(r1csPath, prepared, last)).toBe(true);
      expect(await verdict(last)).toBe("KEY_MALFORMED");
      // The honest contributor's own check of what they made says so too.
      expect(await verdict(honest)).toBe("KEY_MALFORMED");
    });

    /** The prepared form of the powers that all keys here are made from. */
    async function developmentPowersOf(raw: string): Promise<{ prepared: string }> {
      return { prepared: raw.replace("-raw", "-prepared") };
    }
  });

  describe("a verifying key alone", () => {
    it("does not show what its contributors were given: for that, one of them must have checked the proving key", async () => {
      const { verifyingKey } = await readZkeyHeader(keys[0]!);
      const signals = [666n, 1n, 2n];
      const [first, ...rest] = verifyingKey.ic.map(g1Point);
      const vkx = rest.reduce((sum, point, i) => sum.add(point.multiply(signals[i]!)), first!);
      const evil = await changed({ 8: patch(0, encodeG1(affineG1(vkx))) }, keys[0]!);
      const honest = fresh();
      await contribute({ from: evil, to: honest });
      const { verifyingKey: key, transcript } = await readZkeyHeader(honest);
      const alone = verifyPhase2VerifyingKey({ r1csPath, ptauPath, verifyingKey: key, transcript });
      expect(await verdictOf(alone)).toBe("accepted");
      const c = affineG1(g1Point(decodeG1((await sectionsOf(honest)).get(8)!.subarray(0, 64))!).negate());
      expect(verifyGroth16(key, signals, { a: key.alpha, b: key.beta, c })).toBe(true);
      expect(await verdict(honest)).toBe("KEY_MALFORMED");
    });
  });

  it("answers with codes for arguments of a wrong kind", async () => {
    for (const bad of [undefined, null, 7, {}, () => 1, Symbol("s")] as never[]) {
      for (const run of [
        async () => newPhase2Key({ r1csPath: bad, ptauPath, zkeyPath: fresh() }),
        async () => newPhase2Key({ r1csPath, ptauPath: bad, zkeyPath: fresh(), store: await temporaryStore() }),
        async () => newPhase2Key({ r1csPath, ptauPath, zkeyPath: bad, store: await temporaryStore() }),
        async () => verifyPhase2({ r1csPath, ptauPath: bad, zkeyPath: keys[3]! }),
        async () => verifyPhase2({ r1csPath, ptauPath, zkeyPath: bad }),
        async () => verifyContribution({ previous: bad, next: keys[1]! }),
        async () => verifyContribution({ previous: keys[0]!, next: bad }),
        async () =>
          verifyPhase2VerifyingKey({ r1csPath, ptauPath, verifyingKey: bad, transcript: await transcriptOf(keys[3]!) }),
        async () =>
          verifyPhase2VerifyingKey({
            r1csPath,
            ptauPath,
            verifyingKey: (await readZkeyHeader(keys[3]!)).verifyingKey,
            transcript: bad,
          }),
      ]) {
        await expect(run()).rejects.toSatisfy((error) => error instanceof AnchorError && error.code !== "INTERNAL");
      }
    }
  });

  it("leaves the key that it goes on from as it was", async () => {
    const before = await readFile(keys[0]!);
    await contribute({ from: keys[0]!, to: fresh() });
    expect(await readFile(keys[0]!)).toEqual(before);
  });
});
