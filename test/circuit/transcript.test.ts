import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compileCircuit } from "../../src/circuit/compile.js";
import {
  beaconKey,
  type Contribution,
  contributionHash,
  decodeTranscript,
  encodeTranscript,
  nextChallenge,
  type Transcript,
  verifyTranscript,
} from "../../src/circuit/transcript.js";
import { AnchorError } from "../../src/errors.js";
import { fromHex, toHex } from "../../src/field/bytes.js";
import { Q } from "../../src/field/scalar.js";
import { G1_GENERATOR } from "../../src/verifier/curve.js";
import { wrongSubgroupG2 } from "../chain/simulated.js";
import {
  append,
  BEACON,
  lastDelta,
  NAMES,
  ORDER,
  type SnarkjsCeremony,
  sectionsOf,
  snarkjsCeremony,
  snarkjsPowers,
  timesG1,
} from "./ceremony.js";
import { code, TINY, temporaryFolder } from "./support.js";
import { stopSnarkjs } from "./vendor.js";

let ceremony: SnarkjsCeremony;
/** Section 10 after each step. */
let sections: Uint8Array[];
let record: Transcript;
let foreign: Transcript;

beforeAll(async () => {
  const folder = await temporaryFolder();
  const ptau = await snarkjsPowers(folder, 4);
  ceremony = await snarkjsCeremony(await compileCircuit(TINY), ptau, folder);
  sections = await Promise.all(ceremony.keys.map(async (path) => (await sectionsOf(path)).get(10)!));
  record = decodeTranscript(sections.at(-1)!);
  const other = await compileCircuit({ name: "other", source: TINY.source.replace("+ 3;", "+ 4;") });
  const { keys } = await snarkjsCeremony(other, ptau, folder, "other");
  foreign = decodeTranscript((await sectionsOf(keys.at(-1)!)).get(10)!);
});
afterAll(stopSnarkjs);

/** The fault that a record is refused for, with the contribution that it names. */
async function faultOf(run: () => unknown): Promise<string> {
  try {
    await run();
    return "accepted";
  } catch (error) {
    if (!(error instanceof AnchorError) || error.code !== "CONTRIBUTION_INVALID") throw error;
    const { fault, contribution } = error.details;
    return contribution === undefined ? String(fault) : `${fault} ${contribution}`;
  }
}

const verified = (changed: Transcript) => faultOf(() => verifyTranscript(changed));
const of = (contributions: Contribution[], from = record): Transcript => ({ ...from, contributions });
const replace = (index: number, change: Partial<Contribution>): Transcript =>
  of(
    record.contributions.map((own, i) => {
      if (i !== index) return own;
      const changed = { ...own, ...change };
      return { ...changed, hash: contributionHash(changed) };
    }),
  );

describe("a record that snarkjs made", () => {
  it("is read as snarkjs wrote it, and written as it was", () => {
    expect(record.circuitHash).toBe(ceremony.circuitHash);
    expect(record.contributions.map(({ hash }) => hash)).toEqual(ceremony.hashes);
    expect(record.contributions.map(({ name }) => name)).toEqual([...NAMES, BEACON.name]);
    expect(record.contributions.map(({ kind }) => kind)).toEqual([...NAMES.map(() => "contribution"), "beacon"]);
    const { hash, iterationsExp } = record.contributions.at(-1)!.beacon!;
    expect({ hash: toHex(hash), iterationsExp }).toEqual({ hash: `0x${BEACON.hash}`, iterationsExp: 10 });
    for (const bytes of sections) expect(encodeTranscript(decodeTranscript(bytes))).toEqual(bytes);
  });

  it("holds after every step", async () => {
    for (const [i, bytes] of sections.entries()) {
      const step = decodeTranscript(bytes);
      expect(step.contributions).toHaveLength(i);
      expect(await verifyTranscript(step)).toEqual({ delta: lastDelta(step) });
    }
    expect(lastDelta(decodeTranscript(sections[0]!))).toEqual(G1_GENERATOR);
  });

  it("takes contributions of ours", async () => {
    const more = append(append(record, { secret: 77n }, { name: "dora" }), { secret: ORDER - 5n });
    expect(await verifyTranscript(more)).toEqual({ delta: timesG1(lastDelta(record), ORDER - 385n) });
    expect(decodeTranscript(encodeTranscript(more))).toEqual(more);
  });

  it("has the beacon that snarkjs derives", async () => {
    const { secret, g1s } = await beaconKey(fromHex(`0x${BEACON.hash}`, "beacon"), BEACON.iterationsExp);
    const [before, beacon] = record.contributions.slice(-2);
    expect(beacon!.g1s).toEqual(g1s);
    expect(beacon!.deltaAfter).toEqual(timesG1(before!.deltaAfter, secret));
  });
});

describe("damaged bytes", () => {
  it("of any length but the whole are truncated", async () => {
    const bytes = sections.at(-1)!;
    for (let length = 0; length < bytes.length; length++) {
      expect(await faultOf(() => decodeTranscript(bytes.subarray(0, length)))).toBe("truncated");
    }
    expect(await faultOf(() => decodeTranscript(Uint8Array.from([...bytes, 0])))).toBe("malformed");
  });

  it("are refused at every place, but in names, which nothing binds", async () => {
    const bytes = sections.at(-1)!;
    const text = Buffer.from(bytes);
    const names = [...NAMES, BEACON.name].map((name) => ({
      start: text.indexOf(name),
      length: Buffer.byteLength(name),
    }));
    const seen = new Set<string>();
    for (let at = 0; at < bytes.length; at++) {
      const own = names.find(({ start, length }) => at >= start && at < start + length);
      // What holds takes all pairings to show: of each name, its first byte.
      if (own && at > own.start) continue;
      // Contributions are alike: of all but the first and the beacon, every seventh byte.
      if (at > names[0]!.start && at < names[2]!.start && at % 7 > 0 && !own) continue;
      const changed = bytes.slice();
      changed[at]! ^= 1;
      const fault = await faultOf(() => verifyTranscript(decodeTranscript(changed)));
      seen.add(fault.split(" ")[0]!);
      expect(fault === "accepted", `byte ${at}`).toBe(own !== undefined);
    }
    expect([...seen].sort()).toEqual(["accepted", "beacon", "malformed", "transcript", "truncated"]);
  });

  it("are refused when they spell a value otherwise", async () => {
    const [bytes] = [sections[1]!];
    const change = (at: number, ...values: number[]) => {
      const changed = bytes.slice();
      changed.set(values, at);
      return faultOf(() => decodeTranscript(changed));
    };
    const contribution = 68;
    const [type, length, parameters] = [384, 388, 392].map((offset) => contribution + offset) as [
      number,
      number,
      number,
    ];
    const q = Uint8Array.from({ length: 32 }, (_, i) => Number((Q >> BigInt(8 * i)) & 0xffn));
    expect(await change(contribution, ...q)).toBe("malformed"); // x = q for x = 0
    expect(await change(contribution + 32, ...new Uint8Array(32).fill(255))).toBe("malformed");
    expect(await change(type, 2)).toBe("malformed");
    expect(await change(type, 1)).toBe("malformed 1"); // a beacon without its parameters
    expect(await change(length, 0)).toBe("malformed");
    expect(await change(length, bytes[length]! - 1)).toBe("malformed");
    expect(await change(length, 255, 255, 255, 255)).toBe("truncated");
    expect(await change(parameters, 4)).toBe("malformed");
    expect(await change(parameters, 0)).toBe("malformed");
    expect(await change(parameters + 2, 0xff)).toBe("malformed"); // no UTF-8
    expect(await change(64, 2)).toBe("truncated");
    expect(await change(64, 255, 255, 255, 255)).toBe("truncated");
    expect(await change(64, 0)).toBe("malformed");
  });

  it("are refused when parameters are out of order, repeated or not a contribution's", async () => {
    const start = sections[1]!.subarray(0, 68 + 384);
    const parameters = (type: number, ...bytes: number[]) =>
      faultOf(() => decodeTranscript(Uint8Array.from([...start, type, 0, 0, 0, bytes.length, 0, 0, 0, ...bytes])));
    expect(await parameters(0)).toBe("accepted");
    expect(await parameters(0, 1, 1, 65)).toBe("accepted");
    expect(await parameters(1, 1, 1, 65, 2, 10, 3, 1, 7)).toBe("accepted");
    expect(await parameters(0, 1, 0)).toBe("malformed 1"); // an empty name has no bytes in this format
    expect(await parameters(0, 1, 65, ...new Array(65).fill(65))).toBe("malformed 1");
    expect(await parameters(0, 1, 1, 65, 1, 1, 65)).toBe("malformed");
    expect(await parameters(1, 3, 1, 7, 2, 10)).toBe("malformed");
    expect(await parameters(1, 2, 10)).toBe("malformed 1");
    expect(await parameters(1, 3, 1, 7)).toBe("malformed 1");
    expect(await parameters(1, 2, 10, 3, 0)).toBe("malformed 1");
    expect(await parameters(1, 2, 9, 3, 1, 7)).toBe("malformed 1");
    expect(await parameters(1, 2, 64, 3, 1, 7)).toBe("malformed 1");
    expect(await parameters(0, 2, 10, 3, 1, 7)).toBe("malformed 1");
  });
});

describe("a record is refused", () => {
  it("with contributions swapped, repeated, left out, or of another circuit", async () => {
    const [a, b, c, beacon] = record.contributions as [Contribution, Contribution, Contribution, Contribution];
    expect(await verified(of([b, a, c, beacon]))).toBe("transcript 1");
    expect(await verified(of([a, c, b, beacon]))).toBe("transcript 2");
    expect(await verified(of([a, a, b, c, beacon]))).toBe("transcript 2");
    expect(await verified(of([a, b, c, beacon, beacon]))).toBe("transcript 5");
    expect(await verified(of([b, c, beacon]))).toBe("transcript 1");
    expect(await verified(of([a, c, beacon]))).toBe("transcript 2");
    expect(await verified(of([a, b, foreign.contributions[2]!, beacon]))).toBe("transcript 3");
    expect(await verified(of(record.contributions, foreign))).toBe("transcript 1");
    expect(await verified(of([a, b, c]))).toBe("accepted"); // the end cut off: a shorter ceremony, and another key
  });

  it("with a hash chain made anew around contributions that belong elsewhere", async () => {
    const first = of(record.contributions.slice(0, 1));
    // Bob's step once more: his proof is of another challenge.
    const { deltaAfter, g1s, g1sx, g2spx } = record.contributions[1]!;
    const own = { deltaAfter, g1s, g1sx, g2spx, ...nextChallenge(first, g1s, g1sx) };
    const moved = { ...own, kind: "contribution", hash: contributionHash(own) } as const;
    expect(await verified(of([...first.contributions, moved]))).toBe("accepted"); // the same place: the same challenge
    const empty = of([]);
    const elsewhere = { deltaAfter, g1s, g1sx, g2spx, ...nextChallenge(empty, g1s, g1sx) };
    expect(await verified(of([{ ...elsewhere, kind: "contribution", hash: contributionHash(elsewhere) }]))).toBe(
      "knowledge 1",
    );
  });

  it.each<[string, Parameters<typeof append>[1], string]>([
    ["a proof of another secret", { secret: 5n, proven: 6n }, "knowledge 5"],
    ["a proof of another secret that delta is multiplied by", { secret: 5n, proven: 6n, applied: 6n }, "knowledge 5"],
    ["delta multiplied by another secret", { secret: 5n, applied: 6n }, "delta 5"],
    ["delta multiplied by minus the secret", { secret: 5n, applied: ORDER - 5n }, "delta 5"],
    ["delta of one's own choice", { secret: 5n, deltaAfter: timesG1(G1_GENERATOR, 5n) }, "delta 5"],
    ["delta back at the start", { secret: 5n, deltaAfter: G1_GENERATOR }, "delta 5"],
    ["the secret 1", { secret: 1n }, "knowledge 5"],
    ["the secret -1", { secret: ORDER - 1n }, "knowledge 5"],
    ["delta left as it was", { secret: 5n, applied: 1n }, "knowledge 5"],
    ["delta negated", { secret: 5n, applied: ORDER - 1n }, "knowledge 5"],
    ["delta at infinity", { secret: 5n, deltaAfter: [0n, 0n] }, "malformed 5"],
    ["delta off the curve", { secret: 5n, deltaAfter: [1n, 3n] }, "malformed 5"],
    ["a coordinate above q", { secret: 5n, deltaAfter: [1n + Q, 2n] }, "malformed 5"],
    ["a proof at infinity", { secret: 5n, g2spx: [[0n, 0n], [0n, 0n]] }, "malformed 5"], // biome-ignore format: one line
    ["a proof outside the group of order r", { secret: 5n, g2spx: wrongSubgroupG2() }, "malformed 5"],
    ["an own transcript", { secret: 5n, transcript: new Uint8Array(64) }, "transcript 5"],
    ["a short transcript", { secret: 5n, transcript: new Uint8Array(63) }, "malformed 5"],
  ])("with %s", async (_, forgery, fault) => {
    const forged = forgery.deltaAfter?.[0] === 1n + Q ? undefined : append(record, forgery);
    if (forged === undefined) {
      // No word holds it for the hash: the record itself must refuse it.
      const honest = append(record, { secret: 5n });
      honest.contributions[4]!.deltaAfter = forgery.deltaAfter!;
      return expect(await verified(honest)).toBe(fault);
    }
    expect(await verified(forged)).toBe(fault);
    // The culprit is found among others, also when honest ones follow.
    if (/delta|knowledge/.test(fault)) expect(await verified(append(forged, { secret: 9n }))).toBe(fault);
  });

  it("when two forged steps cancel each other out", async () => {
    // The pairings of both together would hold without random coefficients.
    const first = append(record, { secret: 5n, applied: 6n });
    expect(await verified(append(first, { secret: 6n, applied: 5n }))).toBe("delta 5");
  });

  it("with g1s or g1sx at infinity", async () => {
    for (const part of ["g1s", "g1sx"] as const) {
      const changed = replace(0, { [part]: [0n, 0n] });
      expect(await verified(changed)).toBe("transcript 1");
    }
    const zero = [0n, 0n] as const;
    const { transcript } = nextChallenge(record, zero, zero);
    const own = { ...record.contributions[0]!, g1s: zero, g1sx: zero, transcript };
    expect(await verified(of([...record.contributions, { ...own, hash: contributionHash(own) }]))).toBe("malformed 5");
  });

  it("with a beacon that is not what its parameters give", async () => {
    const beacon = { hash: Uint8Array.of(1, 2, 3), iterationsExp: 10 };
    const { secret, g1s } = await beaconKey(beacon.hash, beacon.iterationsExp);
    expect(await verified(append(record, { secret }, { beacon }, g1s))).toBe("accepted");
    expect(await verified(append(record, { secret: 5n }, { beacon }, g1s))).toBe("beacon 5");
    expect(await verified(append(record, { secret: ORDER - secret }, { beacon }, g1s))).toBe("beacon 5");
    expect(await verified(append(record, { secret }, { beacon }))).toBe("beacon 5"); // another g1s
    const other = { ...beacon, iterationsExp: 11 };
    expect(await verified(append(record, { secret }, { beacon: other }, g1s))).toBe("beacon 5");
    expect(await verified(replace(3, { beacon }))).toBe("beacon 4");
    const last = record.contributions[3]!.beacon!;
    expect(await verified(replace(3, { beacon: { ...last, hash: Uint8Array.from([...last.hash, 0]) } }))).toBe(
      "beacon 4",
    );
  });

  it("when it is not a record at all", async () => {
    const broken: unknown[] = [
      undefined,
      null,
      {},
      { ...record, circuitHash: "0x00" },
      { ...record, circuitHash: record.circuitHash.toUpperCase() },
      { ...record, contributions: {} },
      { ...record, contributions: [undefined] },
      { ...record, contributions: [7] },
      { ...record, contributions: new Array(2) },
      ...["deltaAfter", "g1s", "g1sx", "g2spx", "transcript", "kind", "hash"].map((part) =>
        of([{ ...record.contributions[0]!, [part]: undefined }]),
      ),
      of([{ ...record.contributions[0]!, name: "" }]),
      of([{ ...record.contributions[0]!, name: "x".repeat(65) }]),
      of([{ ...record.contributions[0]!, name: "\ud800" }]),
      of([{ ...record.contributions[0]!, beacon: { hash: Uint8Array.of(1), iterationsExp: 10 } }]),
      of([{ ...record.contributions[0]!, kind: "beacon" }]),
      of([{ ...record.contributions[0]!, hash: record.contributions[1]!.hash }]),
      of([...record.contributions.slice(0, 3), { ...record.contributions[3]!, beacon: {} as never }]),
    ];
    for (const value of broken) {
      expect(await faultOf(() => verifyTranscript(value as Transcript))).toMatch(/^malformed/);
      expect(await faultOf(() => encodeTranscript(value as Transcript))).toMatch(/^malformed/);
    }
  });

  it("and the error names the culprit", async () => {
    const forged = append(record, { secret: 5n, proven: 6n }, { name: "mallory\n" });
    await expect(verifyTranscript(forged)).rejects.toThrowError(
      expect.objectContaining({
        message: 'contribution 5 ("mallory\\n") shows no knowledge of its secret: it is forged',
        details: { fault: "knowledge", contribution: 5, name: "mallory\n" },
      }),
    );
  });
});

describe("what the record cannot show", () => {
  it("is the name of a step, and that a beacon was one", async () => {
    expect(await verified(replace(0, { name: "somebody else" }))).toBe("accepted");
    const { beacon: _, ...plain } = record.contributions[3]!;
    expect(await verified(of([...record.contributions.slice(0, 3), { ...plain, kind: "contribution" }]))).toBe(
      "accepted",
    );
  });
});

describe("beaconKey", () => {
  const hash = Uint8Array.of(1);

  it.each<[string, Uint8Array, number]>([
    ["an empty hash", new Uint8Array(0), 10],
    ["256 bytes", new Uint8Array(256), 10],
    ["no bytes", "00" as unknown as Uint8Array, 10],
    ["2^9 hashes", hash, 9],
    ["2^64 hashes", hash, 64],
    ["2^10.5 hashes", hash, 10.5],
    ["2^NaN hashes", hash, Number.NaN],
  ])("refuses %s", async (_, bytes, iterationsExp) => {
    await expect(beaconKey(bytes, iterationsExp)).rejects.toThrowError(code("INPUT_INVALID"));
  });

  it("refuses more work than the limit, and so does the check of a record", async () => {
    await expect(beaconKey(hash, 33)).rejects.toThrowError(code("INPUT_TOO_LARGE"));
    await expect(beaconKey(hash, 11, { maxIterationsExp: 10 })).rejects.toThrowError(code("INPUT_TOO_LARGE"));
    const endless = append(record, { secret: 5n }, { beacon: { hash, iterationsExp: 63 } });
    await expect(verifyTranscript(endless)).rejects.toThrowError(code("INPUT_TOO_LARGE"));
  });

  it("reports progress and stops on request", async () => {
    const seen: number[] = [];
    await beaconKey(hash, 16, { onProgress: (done) => seen.push(done) });
    expect(seen).toEqual([0.25, 0.5, 0.75, 1]);
    const stop = new AbortController();
    const started = beaconKey(hash, 32, { signal: stop.signal, onProgress: () => stop.abort() });
    await expect(started).rejects.toThrowError(code("ABORTED"));
    await expect(verifyTranscript(record, { signal: AbortSignal.abort() })).rejects.toThrowError(code("ABORTED"));
    const steps: number[] = [];
    await verifyTranscript(record, { onProgress: (done) => steps.push(done) });
    expect(steps).toEqual([...steps].sort((x, y) => x - y));
    expect(steps.at(-1)).toBe(1);
  });
});

describe("a long ceremony", () => {
  it("is not checked again but for what is new, and a forged step after what is known is found each time", async () => {
    let long: Transcript = { ...record, contributions: [] };
    for (let i = 0; i < 24; i++) long = append(long, { secret: BigInt(i + 2) });
    const reports = async (of: Transcript) => {
      const seen: number[] = [];
      await verifyTranscript(of, { onProgress: (done) => seen.push(done) });
      expect(seen.at(-1)).toBe(1);
      return seen.length;
    };
    expect(await reports(long)).toBe(24);
    // One for all that is known.
    expect(await reports(long)).toBe(1);
    expect(await reports(append(append(long, { secret: 3n }), { secret: 4n }))).toBe(1 + 2);
    // What is known of one record says nothing of another circuit's, nor of one that was changed on the way.
    expect(await verified({ ...long, circuitHash: foreign.circuitHash })).toBe("transcript 1");
    const forged = append(append(long, { secret: 5n, applied: 6n }), { secret: 7n });
    expect(await verified(forged)).toBe("delta 25");
    expect(await verified(forged)).toBe("delta 25");
  });
});
