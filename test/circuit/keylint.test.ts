import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { binFile, encodeG1, encodeG2 } from "../../src/circuit/binfile.js";
import type { VerifiedCeremony } from "../../src/circuit/ceremonyCheck.js";
import { compileCircuit } from "../../src/circuit/compile.js";
import { exportVerifyingKey, type KeyReport, lintKeyFile, requireSound } from "../../src/circuit/keylint.js";
import { type CircuitKey, developmentKey } from "../../src/circuit/setup.js";
import {
  beaconKey,
  type Contribution,
  decodeTranscript,
  encodeTranscript,
  type Transcript,
} from "../../src/circuit/transcript.js";
import { readZkeyHeader, STAMP_SECTION } from "../../src/circuit/zkey.js";
import { G1_GENERATOR, G2_GENERATOR } from "../../src/verifier/curve.js";
import {
  keyDigest,
  parseVerifyingKey,
  type VerifyingKey,
  verifyGroth16,
  verifyingKeyToJson,
} from "../../src/verifier/groth16.js";
import { inspectVerifyingKey } from "../../src/verifier/lint.js";
import { simulateKey } from "../chain/simulated.js";
import { outcomeOf } from "../support/errors.js";
import {
  append,
  lastDelta,
  NAMES,
  ORDER,
  type SnarkjsCeremony,
  sectionsOf,
  snarkjsCeremony,
  snarkjsPowers,
  timesG1,
  timesG2,
} from "./ceremony.js";
import { code, TINY, temporaryFolder, temporaryStore } from "./support.js";
import { snarkjs, stopSnarkjs } from "./vendor.js";

let folder: string;
let ceremony: SnarkjsCeremony;
let development: CircuitKey;
let sections: Map<number, Uint8Array>;
let initial: Map<number, Uint8Array>;
let record: Transcript;

beforeAll(async () => {
  folder = await temporaryFolder();
  const circuit = await compileCircuit(TINY);
  ceremony = await snarkjsCeremony(circuit, await snarkjsPowers(folder, 4), folder);
  development = await developmentKey(circuit, { store: await temporaryStore() });
  [sections, initial] = await Promise.all([sectionsOf(ceremony.keys.at(-1)!), sectionsOf(ceremony.keys[0]!)]);
  record = decodeTranscript(sections.get(10)!);
});
afterAll(stopSnarkjs);

let files = 0;
async function file(content: Uint8Array | string): Promise<string> {
  const path = join(folder, `file-${files++}`);
  await writeFile(path, content);
  return path;
}

const [GAMMA2, DELTA1, DELTA2] = [340, 468, 532] as const;

/** A key of these sections, with points of its header and its record replaced. */
function key(
  from: Map<number, Uint8Array>,
  points: [number, Uint8Array][],
  transcript?: Transcript,
  stamp?: unknown,
): Promise<string> {
  const header = from.get(2)!.slice();
  for (const [at, point] of points) header.set(point, at);
  const all = new Map(from).set(2, header);
  if (transcript) all.set(10, encodeTranscript(transcript));
  if (stamp !== undefined) all.set(STAMP_SECTION, Buffer.from(JSON.stringify(stamp)));
  return file(binFile("zkey", 1, [...all]));
}

const deltas = (k: bigint): [number, Uint8Array][] => [
  [DELTA1, encodeG1(timesG1(G1_GENERATOR, k))],
  [DELTA2, encodeG2(timesG2(G2_GENERATOR, k))],
];
const outcomes = ({ checks }: KeyReport) => checks.map(({ id, outcome }) => `${id} ${outcome}`);
/** Level, and what a caller that asks for a sound key is told. */
const verdict = async (path: string, options?: Parameters<typeof lintKeyFile>[1]): Promise<string> => {
  const report = await lintKeyFile(path, options);
  return `${report.level} ${outcomeOf(() => requireSound(report))}`;
};

const VERIFYING_KEY_OK = ["points ok", "gamma-delta ok", "generators ok", "beta ok", "inputs ok", "forgery ok"];

describe("lint of a proving key", () => {
  it("of a ceremony reports every contribution, and calls the key a development key", async () => {
    const report = await lintKeyFile(ceremony.keys.at(-1)!);
    expect(outcomes(report)).toEqual([
      "file ok",
      ...VERIFYING_KEY_OK,
      "gamma ok",
      "contributions ok",
      "beacon ok",
      "elements not shown",
      "ceremony not shown",
    ]);
    expect(report).toMatchObject({ kind: "zkey", level: "development", publics: 3 });
    const exported = parseVerifyingKey(
      JSON.parse(JSON.stringify(await snarkjs.zKey.exportVerificationKey(ceremony.keys.at(-1)!))),
    );
    expect(report.keyDigest).toBe(keyDigest(exported));
    const { contributions, circuitHash, wires, domain } = report.provingKey!;
    expect(contributions.map(({ name, hash }) => [name, hash])).toEqual(
      [...NAMES, "final beacon"].map((name, i) => [name, ceremony.hashes[i]]),
    );
    expect([circuitHash, wires, domain]).toEqual([ceremony.circuitHash, 9, 8]);
    expect(() => requireSound(report)).not.toThrow();
    expect(() => requireSound(report, { production: true })).toThrowError(code("KEY_DEVELOPMENT"));
    expect(await exportVerifyingKey(ceremony.keys.at(-1)!)).toEqual(exported);
  });

  it("without a final beacon says so", async () => {
    const report = await lintKeyFile(ceremony.keys[2]!);
    expect(outcomes(report)).toContain("beacon not shown");
    expect(report.level).toBe("development");
  });

  it("without a contribution is forgeable: snarkjs' `zkey new`", async () => {
    const report = await lintKeyFile(ceremony.keys[0]!);
    expect(report.level).toBe("forgeable");
    expect(outcomes(report)).toEqual([
      "file ok",
      "points ok",
      "gamma-delta forgeable",
      "generators forgeable",
      "beta ok",
      "inputs ok",
      "forgery forgeable",
      "gamma ok",
      "contributions forgeable",
    ]);
    expect(() => requireSound(report)).toThrowError(code("KEY_FORGEABLE"));
    await expect(exportVerifyingKey(ceremony.keys[0]!)).rejects.toThrowError(code("KEY_FORGEABLE"));
    // The stamp does not help.
    const stamped = await key(initial, [], undefined, { tool: "anchorproof", development: true });
    expect(await verdict(stamped)).toBe("forgeable KEY_FORGEABLE");
  });

  it("made by one party is a development key if it is stamped so, and forgeable if not", async () => {
    const report = await lintKeyFile(development.zkeyPath);
    expect(report.level).toBe("development");
    expect(report.summary).toBe("one party made it, and could forge proofs");
    expect(outcomes(report)).toContain("contributions not shown");
    expect(report.keyDigest).toBe(development.keyDigest);
    const unstamped = await sectionsOf(development.zkeyPath);
    unstamped.delete(STAMP_SECTION);
    expect(await verdict(await key(unstamped, []))).toBe("forgeable KEY_FORGEABLE");
    unstamped.set(STAMP_SECTION, Buffer.from(JSON.stringify({ tool: "anchorproof", development: false })));
    expect(await verdict(await key(unstamped, []))).toBe("forgeable KEY_FORGEABLE");
  });

  it("whose only steps are beacons is forgeable, and the forgery is run", async () => {
    const beacon = { hash: Uint8Array.of(9), iterationsExp: 10 };
    const { secret, g1s } = await beaconKey(beacon.hash, beacon.iterationsExp);
    const only = append({ ...record, contributions: [] }, { secret }, { beacon }, g1s);
    const path = await key(initial, deltas(secret), only);
    const report = await lintKeyFile(path);
    // Its verifying key alone shows nothing.
    expect(inspectVerifyingKey(report.verifyingKey!).every(({ outcome }) => outcome === "ok")).toBe(true);
    expect(report.level).toBe("forgeable");
    expect(report.failure!.message).toContain("a proof forged with them verifies");
    // One contribution more, by somebody who forgets, and it is not.
    const mixed = append(only, { secret: 77n });
    expect(await verdict(await key(initial, deltas((secret * 77n) % ORDER), mixed))).toBe("development accepted");
  });

  it("with a gamma of its maker's choice is forgeable: delta is twice it here", async () => {
    const k = 1234n;
    const steps = append({ ...record, contributions: [] }, { secret: 2n * k });
    const path = await key(initial, [...deltas(2n * k), [GAMMA2, encodeG2(timesG2(G2_GENERATOR, k))]], steps);
    const report = await lintKeyFile(path);
    const { alpha, beta, ic, nPublic } = report.verifyingKey!;
    const c = timesG1(ic[0]!, ORDER - (ORDER + 1n) / 2n);
    const zeros = new Array<bigint>(nPublic).fill(0n);
    expect(verifyGroth16(report.verifyingKey!, zeros, { a: alpha, b: beta, c })).toBe(true);
    expect(inspectVerifyingKey(report.verifyingKey!).every(({ outcome }) => outcome === "ok")).toBe(true);
    expect(outcomes(report)).toContain("gamma forgeable");
    expect(() => requireSound(report)).toThrowError(code("KEY_FORGEABLE"));
  });

  it("with a contribution that is forged, moved, foreign or not the key's last is refused by name", async () => {
    const last = deltas(5n);
    const of = (contributions: Transcript["contributions"]) => ({ ...record, contributions });
    const [a, b, c, beacon] = record.contributions as [Contribution, Contribution, Contribution, Contribution];
    const cases: [string, string][] = [
      [await key(sections, [], of([b, a, c, beacon])), "transcript"],
      [await key(sections, [], of([a, a, b, c, beacon])), "transcript"],
      [await key(sections, [], of([a, b, c])), "delta"], // the beacon cut off, its delta kept
      [await key(sections, last), "delta"], // a delta whose maker knows it
      [await key(sections, [], append(record, { secret: 5n, applied: 6n })), "delta"],
      [await key(sections, [], append(record, { secret: 5n, proven: 6n })), "knowledge"],
      [await key(sections, [], append(record, { secret: 1n })), "knowledge"],
      [await key(sections, [], append(record, { secret: 5n }, { beacon: { hash: Uint8Array.of(1), iterationsExp: 10 } })), "beacon"], // biome-ignore format: one case a line
    ];
    for (const [path, fault] of cases) {
      const report = await lintKeyFile(path);
      expect(report.level).toBe("forgeable");
      expect(report.failure).toMatchObject({ code: "CONTRIBUTION_INVALID", details: { fault } });
      await expect(exportVerifyingKey(path)).rejects.toThrowError(code("CONTRIBUTION_INVALID"));
    }
  });

  it("of a development key that somebody contributed to has no chain from the generator", async () => {
    const before = await readZkeyHeader(development.zkeyPath);
    const after = join(folder, "contributed.zkey");
    await snarkjs.zKey.contribute(development.zkeyPath, after, "late", "entropy");
    const report = await lintKeyFile(after);
    expect(report.failure).toMatchObject({ code: "CONTRIBUTION_INVALID", details: { fault: "delta" } });
    expect(lastDelta(before.transcript)).toEqual(G1_GENERATOR);
  });

  it("that is damaged is malformed, not thrown", async () => {
    const whole = binFile("zkey", 1, [...sections]);
    expect(await verdict(await file(whole.subarray(0, 1000)))).toBe("malformed KEY_MALFORMED");
    expect(await verdict(await file(Uint8Array.from([...whole, 0])))).toBe("malformed KEY_MALFORMED");
    expect(await verdict(await file("zkey"))).toBe("malformed KEY_MALFORMED");
    const cut = new Map(sections).set(10, sections.get(10)!.subarray(1));
    expect(await verdict(await file(binFile("zkey", 1, [...cut])))).toBe("malformed CONTRIBUTION_INVALID");
  });

  it("stops on request, and refuses endless beacons", async () => {
    const stopped = lintKeyFile(ceremony.keys.at(-1)!, { signal: AbortSignal.abort() });
    await expect(stopped).rejects.toThrowError(code("ABORTED"));
    const limited = lintKeyFile(ceremony.keys.at(-1)!, { maxIterationsExp: 9 });
    await expect(limited).rejects.toThrowError(code("INPUT_TOO_LARGE"));
    await expect(lintKeyFile(join(folder, "none"))).rejects.toThrowError(code("FILE_NOT_FOUND"));
    await expect(lintKeyFile(folder)).rejects.toThrowError(code("FILE_UNREADABLE"));
  });
});

describe("lint of a verifying key", () => {
  const json = (vkey: VerifyingKey) => file(JSON.stringify(verifyingKeyToJson(vkey)));

  it("shows that the forgery fails, and not that anyone contributed", async () => {
    const path = await file(JSON.stringify(await snarkjs.zKey.exportVerificationKey(ceremony.keys.at(-1)!)));
    const report = await lintKeyFile(path);
    expect(outcomes(report)).toEqual(["file ok", ...VERIFYING_KEY_OK, "contributions not shown", "ceremony not shown"]);
    expect(report).toMatchObject({ kind: "verification key", level: "development" });
    expect(report.summary).toBe("a verifying key alone cannot show that anyone contributed to it");
    await expect(exportVerifyingKey(path)).rejects.toThrowError(code("INPUT_INVALID"));
  });

  it("refuses forgeable and malformed ones", async () => {
    const { vkey } = simulateKey(2);
    expect(await verdict(await json({ ...vkey, delta: vkey.gamma }))).toBe("forgeable KEY_FORGEABLE");
    expect(await verdict(await json({ ...vkey, ic: [vkey.ic[0]!, vkey.ic[1]!, vkey.ic[1]!] }))).toBe(
      "malformed KEY_MALFORMED",
    );
    expect(await verdict(await json({ ...vkey, alpha: [1n, 3n] }))).toBe("malformed KEY_MALFORMED");
    for (const text of ["", "{", "null", "[]", "{}", '"zke"', "zke", Buffer.of(0xff), "{}".padEnd(5_000_000)]) {
      expect(await verdict(await file(text))).toBe("malformed KEY_MALFORMED");
    }
  });
});

describe("a ceremony", () => {
  const made = {
    keyDigest: `0x${"ab".repeat(32)}`,
    circuitDigest: `0x${"cd".repeat(32)}`,
    development: false,
    doubts: [],
    checked: "proving key",
  } as unknown as VerifiedCeremony;

  it("that a caller made up is refused", async () => {
    const path = ceremony.keys.at(-1)!;
    const { keyDigest: own } = await lintKeyFile(path);
    const madeUp = { verify: async () => ({ ...made, keyDigest: own! }) };
    await expect(lintKeyFile(path, { ceremony: madeUp })).rejects.toThrowError(code("INPUT_INVALID"));
  });

  it("is not asked about a key that is forgeable, and passes on what it fails with", async () => {
    let asked = false;
    const vouching = {
      verify: async () => {
        asked = true;
        return made;
      },
    };
    expect(await verdict(ceremony.keys[0]!, { ceremony: vouching })).toBe("forgeable KEY_FORGEABLE");
    expect(asked).toBe(false);
    const failing = { verify: () => Promise.reject(new Error("does not hold")) };
    await expect(lintKeyFile(ceremony.keys.at(-1)!, { ceremony: failing })).rejects.toThrowError("does not hold");
  });
});
