/** A manifest under attack: every value of it changed, contributions moved, repeated, forged, and taken from elsewhere. */
import { copyFileSync, renameSync } from "node:fs";
import { copyFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { TypedDataEncoder } from "ethers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { generateVerifier } from "../../src/chain/generate.js";
import { decodeG1 } from "../../src/circuit/binfile.js";
import {
  CEREMONY_TYPES,
  type Ceremony,
  type CeremonyContribution,
  ceremonyFromJson,
  ceremonyId,
  ceremonyToJson,
  checkCeremony,
  contributionDigest,
  contributionToJson,
  defaultMinimum,
  lastHash,
  recordOf,
  signContribution,
  transcriptOf,
  turnDigest,
} from "../../src/circuit/ceremony.js";
import { isVerifiedCeremony, type VerifiedCeremony, verifyCeremony } from "../../src/circuit/ceremonyCheck.js";
import { ceremonyReport } from "../../src/circuit/ceremonyReport.js";
import type { CeremonyState } from "../../src/circuit/ceremonyState.js";
import { compileCircuit } from "../../src/circuit/compile.js";
import { contributeToFile } from "../../src/circuit/contributor.js";
import { lintKeyFile } from "../../src/circuit/keylint.js";
import { contribute, newPhase2Key, verifyPhase2 } from "../../src/circuit/phase2.js";
import { newDevelopmentPtau } from "../../src/circuit/ptau.js";
import { readZkeyHeader } from "../../src/circuit/zkey.js";
import { AnchorError } from "../../src/errors.js";
import { type Hex, toHex } from "../../src/field/bytes.js";
import { Q } from "../../src/field/scalar.js";
import { parseDocument } from "../../src/protocol/document.js";
import { typedDigest } from "../../src/protocol/eip712.js";
import { recoverSigner, signDigest } from "../../src/protocol/signature.js";
import { verifyGroth16, verifyingKeyToJson } from "../../src/verifier/groth16.js";
import { lintVerifyingKey } from "../../src/verifier/lint.js";
import { leaves, withLeaf } from "../bundle/fixture.js";
import { DOMAINS, type Party } from "../support/parties.js";
import { append, ORDER, snarkjsPowers } from "./ceremony.js";
import { ptauFile } from "./files.js";
import {
  ALICE,
  ALL,
  ANNOUNCED,
  type Basis,
  BEACON_VALUE,
  BOB,
  basis,
  begin,
  CAROL,
  DAVE,
  MALLORY,
  takePart,
} from "./rehearsal.js";
import { code, TINY, temporaryFolder } from "./support.js";
import { stopSnarkjs } from "./vendor.js";

let base: Basis;
let state: CeremonyState;
let zkeyPath: string;
/** Three contributions, one member skipped, a beacon that was announced. */
let manifest: Record<string, unknown>;
/** Another ceremony of the same members on the same circuit and powers, and one without an end. */
let other: Ceremony;
let open: Ceremony;

beforeAll(async () => {
  base = await basis();
  const { r1csPath, ptauPath } = base;
  state = await begin(base, { beacon: ANNOUNCED });
  await takePart(state, BOB, { name: "bob", r1csPath, ptauPath });
  await state.skip(CAROL.account, "on holiday");
  await takePart(state, ALICE);
  open = (await state.read()).ceremony;
  await takePart(state, DAVE, { name: "<b>Dave</b> | [x](http://y)" });
  manifest = ceremonyToJson(await state.finalize({ r1csPath, ptauPath, beacon: { value: BEACON_VALUE } }));
  zkeyPath = await state.keyPath();
  const second = await begin(base);
  await takePart(second, BOB, { name: "bob" });
  await takePart(second, ALICE);
  other = await second.finalize({ r1csPath, ptauPath });
});
afterAll(stopSnarkjs);

/** A manifest that may be changed at will. */
interface Draft {
  [key: string]: unknown;
  head: Record<string, unknown> & { members: string[]; circuitHash: string };
  contributions: Record<string, unknown>[];
  beacon: Record<string, unknown>;
  final: Record<string, unknown>;
}

const clone = () => structuredClone(manifest) as Draft;

/** What reading and checking a manifest says: "accepted", or code and fault. */
async function outcome(json: unknown): Promise<string> {
  try {
    await checkCeremony(ceremonyFromJson(json));
    return "accepted";
  } catch (error) {
    if (!(error instanceof AnchorError)) throw error;
    return `${error.code} ${error.details["fault"]}`;
  }
}

const whole = (options: Partial<Parameters<typeof verifyCeremony>[0]> = {}) =>
  verifyCeremony({ manifest, r1csPath: base.r1csPath, ptauPath: base.ptauPath, ...options });

async function failure(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "accepted";
  } catch (error) {
    if (!(error instanceof AnchorError)) throw error;
    return `${error.code} ${error.details["fault"]}`;
  }
}

/** A manifest with other contributions, each signed by the member it names where a party is given. */
function rebuilt(entries: { contribution: CeremonyContribution; by?: Party }[], head = open.head): Ceremony {
  let ceremony: Ceremony = { head, contributions: [], events: [] };
  for (const { contribution, by } of entries) {
    const { signature: _, ...words } = contribution;
    const signed = by ? signContribution(ceremony, { ...words, member: by.account }, by.secretKey) : contribution;
    ceremony = { ...ceremony, contributions: [...ceremony.contributions, signed] };
  }
  return ceremony;
}

describe("an honest ceremony", () => {
  it("verifies, reads back to the same JSON, and names who contributed", async () => {
    expect(await outcome(manifest)).toBe("accepted");
    expect(ceremonyToJson(ceremonyFromJson(manifest))).toEqual(manifest);
    expect(parseDocument(JSON.stringify(manifest))).toEqual(manifest);
    const verified = await whole({ zkeyPath, ceremonyId: state.id, acceptPtau: [state.head.powersOfTau.digest] });
    expect(verified).toMatchObject({
      id: state.id,
      circuitDigest: base.circuit.circuitDigest,
      beacon: "announced",
      powersOfTau: "accepted by digest",
      development: false,
      doubts: [],
      checked: "proving key",
    });
    expect(verified.contributors.map(({ member, name }) => [member, name])).toEqual([
      [BOB.account, "bob"],
      [ALICE.account, ""],
      [DAVE.account, "<b>Dave</b> | [x](http://y)"],
    ]);
  });

  it("verifies without the proving key, and with an unfinished manifest as far as it goes", async () => {
    const verified = await whole({ trusted: [ALICE.account, CAROL.account] });
    expect(verified).toMatchObject({ checked: "verifying key", trusted: [ALICE.account] });
    expect(await outcome(ceremonyToJson(open))).toBe("accepted");
    expect(await failure(whole({ manifest: ceremonyToJson(open) }))).toBe("CEREMONY_INVALID unfinished");
  });

  it("signs EIP-712 data that ethers hashes alike", () => {
    const ceremony = ceremonyFromJson(manifest);
    const domain = { name: "anchorproof ceremony", version: "1", salt: state.id };
    const [first] = ceremony.contributions as [CeremonyContribution];
    const { hash, name, keySha256, checked, time } = first;
    const value = { index: 0, previous: ceremony.head.circuitHash, hash, name, keySha256, checked, time };
    const types = { Contribution: [...CEREMONY_TYPES["Contribution"]!] };
    const digest = contributionDigest(state.id, 0, ceremony.head.circuitHash, first);
    expect(digest).toBe(TypedDataEncoder.hash(domain, types, value));
    const turn = { time: 5n, nonce: state.id };
    expect(turnDigest(state.id, turn)).toBe(
      TypedDataEncoder.hash(domain, { Turn: [...CEREMONY_TYPES["Turn"]!] }, turn),
    );
    // Under a contract's domain the same words have another digest.
    const words = { ...value, index: 0n };
    expect(typedDigest(DOMAINS.gate, CEREMONY_TYPES, "Contribution", words)).not.toBe(digest);
  });

  it("needs more than a third of its members unless told", () => {
    expect([1, 2, 3, 4, 6, 7, 256].map(defaultMinimum)).toEqual([1, 1, 2, 2, 3, 3, 86]);
  });
});

/** A canonical value of the same kind where there is one. */
function another(value: string | boolean): string | boolean {
  if (typeof value === "boolean") return !value;
  if (/^\d+$/.test(value)) return `${BigInt(value) + 1n}`;
  return /^0x/.test(value) ? value.slice(0, -1) + (value.at(-1) === "1" ? "2" : "1") : `${value}x`;
}

describe("every value of a manifest changed", () => {
  it("is refused, but for what nobody signs", async () => {
    const free: string[] = [];
    const paths = leaves(manifest).filter((path) => path[1] !== "verifyingKey");
    expect(paths.length).toBeGreaterThan(45);
    for (const path of paths) {
      const value = path.reduce((node: unknown, key) => (node as Record<string, unknown>)[key], manifest);
      const result = await outcome(withLeaf(manifest, path, () => another(value as string | boolean)));
      expect(result, path.join(".")).toMatch(
        /^(?:accepted|(?:CEREMONY|CONTRIBUTION)_INVALID \w+|FORMAT_UNSUPPORTED undefined)$/,
      );
      if (result === "accepted") free.push(path.join("."));
    }
    // Events are the coordinator's word. The end is compared with circuit, powers of tau and key, see below; its time is
    // the coordinator's.
    expect(free).toEqual(["events.0.fault", "events.0.reason", "events.0.time", "final.zkeySha256", "final.time"]);
  });

  it("is refused in other spellings and forms", async () => {
    const spoilt: [string, (json: Draft) => unknown][] = [
      ["a number", ({ head }) => (head["minimum"] = 2)],
      ["a field more", (json) => (json["note"] = "x")],
      ["a field more in a contribution", ({ contributions: [first] }) => (first!["note"] = "x")],
      ["a field less", (json) => delete json["events"]],
      ["leading zeros", ({ head }) => (head["created"] = `0${head["created"]}`)],
      ["upper-case hex", ({ head }) => (head.circuitHash = `0x${head.circuitHash.slice(2).toUpperCase()}`)],
      ["an escape sequence", ({ head }) => (head["name"] = "a\u001b[2J")],
      ["a direction mark", ({ head }) => (head["name"] = "a\u202eb")],
      ["no members", ({ head }) => (head.members = [])],
      ["members out of order", ({ head }) => head.members.reverse()],
      ["a member twice", ({ head }) => head.members.push(head.members.at(-1)!)],
      ["a minimum above the members", ({ head }) => (head["minimum"] = "5")],
      ["a minimum of nothing", ({ head }) => (head["minimum"] = "0")],
      ["iterations that take for ever", ({ beacon }) => (beacon["iterationsExp"] = "63")],
      ["a record too long", ({ contributions: [first] }) => (first!["record"] = `0x${"00".repeat(2000)}`)],
      ["contributions that are no list", (json) => (json["contributions"] = {} as never)],
      ["holes", (json) => (json.contributions = new Array(3))],
    ];
    for (const [what, change] of spoilt) {
      const json = clone();
      change(json);
      expect(await outcome(json), what).toBe("CEREMONY_INVALID schema");
    }
    for (const nothing of [undefined, null, [], "x", 5]) {
      expect(await outcome(nothing)).toBe("CEREMONY_INVALID schema");
    }
    expect(await outcome({ ...clone(), format: "anchorproof/trust@1" })).toBe("FORMAT_UNSUPPORTED undefined");
    expect(() => parseDocument(JSON.stringify(manifest).replace('"events"', '"head":{},"events"'))).toThrow(
      code("JSON_MALFORMED"),
    );
  });
});

describe("contributions", () => {
  let three: CeremonyContribution[];
  beforeAll(() => {
    three = [...ceremonyFromJson(manifest).contributions];
  });

  it("re-ordered, left out, duplicated or moved are refused by name", async () => {
    const [bob, alice, dave] = three as [CeremonyContribution, CeremonyContribution, CeremonyContribution];
    const signedBy = (...list: CeremonyContribution[]) => list.map((contribution) => ({ contribution }));
    const attempts: [string, CeremonyContribution[], string][] = [
      ["swapped", [alice, bob], "CEREMONY_INVALID (?:time|signature)"],
      ["the first left out", [alice, dave], "CEREMONY_INVALID signature"],
      ["one in the middle left out", [bob, dave], "CEREMONY_INVALID signature"],
      ["duplicated", [bob, bob], "CEREMONY_INVALID repeated"],
      ["duplicated under another's name", [bob, { ...bob, member: ALICE.account }], "CEREMONY_INVALID signature"],
    ];
    for (const [what, list, wanted] of attempts) {
      expect(await outcome(ceremonyToJson(rebuilt(signedBy(...list)))), what).toMatch(new RegExp(`^${wanted}$`));
    }
    // Cutting off the end is an earlier state of the same ceremony: it has no final key.
    expect(await outcome(ceremonyToJson(rebuilt(signedBy(bob, alice))))).toBe("accepted");
  });

  it("re-ordered, duplicated and foreign ones are refused although their members sign them anew", async () => {
    const [bob, alice] = three as [CeremonyContribution, CeremonyContribution];
    const foreign = other.contributions[1]!;
    const attempts: [string, [CeremonyContribution, Party][]][] = [
      [
        "re-ordered",
        [
          [alice, ALICE],
          [bob, BOB],
        ],
      ],
      [
        "duplicated",
        [
          [bob, BOB],
          [bob, ALICE],
        ],
      ],
      [
        "foreign",
        [
          [bob, BOB],
          [foreign, ALICE],
        ],
      ],
    ];
    for (const [what, list] of attempts) {
      const time = bob.time + 1000n;
      const entries = list.map(([contribution, by]) => ({ contribution: { ...contribution, time }, by }));
      expect(await outcome(ceremonyToJson(rebuilt(entries))), what).toBe("CONTRIBUTION_INVALID transcript");
    }
  });

  it("from another ceremony are refused: the signature is over its id", async () => {
    // Same circuit, powers, member, place and predecessor.
    const ceremony = rebuilt([{ contribution: other.contributions[0]! }]);
    expect(ceremony.head.circuitHash).toBe(other.head.circuitHash);
    expect(await outcome(ceremonyToJson(ceremony))).toMatch(/CEREMONY_INVALID (?:signature|time)/);
    const later = { ...open.head, created: other.head.created };
    expect(await outcome(ceremonyToJson(rebuilt([{ contribution: other.contributions[0]! }], later)))).toBe(
      "CEREMONY_INVALID signature",
    );
  });

  it("by a stranger, by a member in another's name, and by one member twice are refused", async () => {
    const [bob, alice] = three as [CeremonyContribution, CeremonyContribution];
    const stranger = rebuilt([{ contribution: bob, by: MALLORY }]);
    expect(await outcome(ceremonyToJson(stranger))).toBe("CEREMONY_INVALID member");
    const forged = rebuilt([{ contribution: bob, by: BOB }]);
    const digest = contributionDigest(ceremonyId(open.head), 0, open.head.circuitHash, bob);
    const inBobsName = { ...forged.contributions[0]!, signature: signDigest(ALICE.secretKey, digest) };
    expect(await outcome(ceremonyToJson({ ...forged, contributions: [inBobsName] }))).toBe(
      "CEREMONY_INVALID signature",
    );
    const twice = rebuilt([
      { contribution: bob, by: BOB },
      { contribution: alice, by: BOB },
    ]);
    expect(await outcome(ceremonyToJson(twice))).toBe("CEREMONY_INVALID repeated");
  });

  it("without knowledge of the secret, without effect on delta, bit-flipped and truncated are refused by name", async () => {
    const transcript = transcriptOf({ head: open.head, contributions: open.contributions.slice(0, 1) });
    const first = { contribution: open.contributions[0]! };
    const withForgery = (forgery: Parameters<typeof append>[1], kind = {}) => {
      const made = append(transcript, forgery, kind).contributions.at(-1)!;
      const { head } = open;
      const words = { hash: made.hash, record: recordOf(head.circuitHash, made), name: made.name ?? "" };
      return rebuilt([first, { contribution: { ...open.contributions[1]!, ...words }, by: ALICE }]);
    };
    const attempts: [string, Ceremony, string][] = [
      ["honest", withForgery({ secret: 7n }), "accepted"],
      ["another secret proven", withForgery({ secret: 7n, proven: 8n }), "CONTRIBUTION_INVALID knowledge"],
      ["another secret applied", withForgery({ secret: 7n, applied: 8n }), "CONTRIBUTION_INVALID delta"],
      ["a secret of 1", withForgery({ secret: 1n }), "CONTRIBUTION_INVALID knowledge"],
      [
        "a beacon in a member's name",
        withForgery({ secret: 7n }, { beacon: { hash: Uint8Array.of(1), iterationsExp: 10 } }),
        "CEREMONY_INVALID beacon",
      ],
    ];
    for (const [what, ceremony, wanted] of attempts) {
      expect(await outcome(ceremonyToJson(ceremony)), what).toBe(wanted);
    }
    const { record } = open.contributions[1]!;
    const nibble = (at: number) =>
      (record.slice(0, at) + (Number.parseInt(record[at]!, 16) ^ 1).toString(16) + record.slice(at + 1)) as Hex;
    for (const changed of [
      nibble(2),
      nibble(131),
      nibble(400),
      nibble(record.length - 1),
      record.slice(0, -2),
      `${record}00`,
      `${record}${record.slice(2)}`,
    ]) {
      const contributions = [open.contributions[0]!, { ...open.contributions[1]!, record: changed as Hex }];
      expect(await outcome(ceremonyToJson({ ...open, contributions }))).toMatch(/^CEREMONY_INVALID record$/);
    }
  });

  it("whose name is changed on the way are refused: no hash of the format covers it", async () => {
    const [bob] = open.contributions as [CeremonyContribution];
    const entry = transcriptOf({ head: open.head, contributions: [bob] }).contributions[0]!;
    const record = recordOf(open.head.circuitHash, { ...entry, name: "mallory" });
    const renamed = { ...bob, name: "mallory", record };
    expect(await outcome(ceremonyToJson({ ...open, contributions: [renamed] }))).toBe("CEREMONY_INVALID signature");
  });

  it("whose times run backwards are refused", async () => {
    const [bob, alice] = three as [CeremonyContribution, CeremonyContribution];
    const early = rebuilt([
      { contribution: bob, by: BOB },
      { contribution: { ...alice, time: bob.time - 1n }, by: ALICE },
    ]);
    expect(await outcome(ceremonyToJson(early))).toBe("CEREMONY_INVALID time");
    const before = rebuilt([{ contribution: { ...bob, time: open.head.created - 1n }, by: BOB }]);
    expect(await outcome(ceremonyToJson(before))).toBe("CEREMONY_INVALID time");
  });
});

describe("the end", () => {
  it("needs the minimum, the beacon that was announced, one beacon, and nothing after it", async () => {
    const early = clone();
    early.contributions.length = 1;
    expect(await outcome(early)).toBe("CEREMONY_INVALID minimum");
    const dark = clone();
    delete (dark as Partial<Draft>).beacon;
    expect(await outcome(dark)).toBe("CEREMONY_INVALID beacon");
    for (const change of [{ source: "my own dice" }, { iterationsExp: "11" }, { value: "0x01" }]) {
      const json = clone();
      Object.assign(json.beacon, change);
      expect(await outcome(json)).toBe("CEREMONY_INVALID beacon");
    }
    const premature = clone();
    delete (premature as Partial<Draft>).final;
    expect(await outcome(premature)).toBe("CEREMONY_INVALID beacon");
    // A second beacon, as one more contribution.
    const second = clone();
    const { record, hash } = second.beacon;
    second.contributions.push({
      ...contributionToJson(open.contributions[1]!),
      member: CAROL.account,
      record,
      hash,
    });
    expect(await outcome(second)).toMatch(/^CEREMONY_INVALID (?:time|signature)$/);
    await expect(takePart(state, CAROL)).rejects.toThrow(code("CEREMONY_REFUSED"));
  });

  it("a beacon that does not give its secret is refused", async () => {
    const ceremony = ceremonyFromJson(manifest);
    const before = transcriptOf({ ...ceremony, beacon: undefined });
    const labels = { beacon: { hash: new Uint8Array(Buffer.from(BEACON_VALUE.slice(2), "hex")), iterationsExp: 10 } };
    const made = append(before, { secret: 99n }, labels).contributions.at(-1)!;
    const beacon = { ...ceremony.beacon!, hash: made.hash, record: recordOf(ceremony.head.circuitHash, made) };
    expect(await outcome(ceremonyToJson({ ...ceremony, beacon }))).toBe("CONTRIBUTION_INVALID beacon");
    const named = append(before, { secret: 99n }, { ...labels, name: "drand" }).contributions.at(-1)!;
    const labelled = { ...beacon, hash: named.hash, record: recordOf(ceremony.head.circuitHash, named) };
    expect(await outcome(ceremonyToJson({ ...ceremony, beacon: labelled }))).toBe("CEREMONY_INVALID beacon");
  });

  it("a beacon that was not announced is reported, as is none", async () => {
    expect(await whole({ manifest: ceremonyToJson(other) })).toMatchObject({ beacon: "none" });
    const late = await begin(base);
    await takePart(late, ALICE);
    await takePart(late, BOB);
    const { r1csPath, ptauPath } = base;
    const value = BEACON_VALUE;
    await expect(late.finalize({ r1csPath, ptauPath, beacon: { value } })).rejects.toThrow(code("CEREMONY_REFUSED"));
    const ceremony = await late.finalize({ r1csPath, ptauPath, beacon: { value, source: "dice" } });
    const verified = await whole({ manifest: ceremonyToJson(ceremony) });
    expect(verified.beacon).toBe("not announced");
    expect(ceremonyReport(ceremony, verified)).toContain("had not been announced");
    expect(ceremonyReport(other)).toContain("no closing public random value");
  });
});

describe("a contributor who does not look is an oracle that divides by the secret", () => {
  it("a point in place of another comes out as a forged proof's C; whoever checks refuses", async () => {
    // Two wires that rows use alike have one point in C: whoever puts another in place of one can restore it from its
    // twin afterwards, without any secret, and the final key looks right.
    const source = TINY.source
      .replace("signal input b;", "signal input b;\n    signal input twin;")
      .replace("(square + extra[0])", "(square + extra[0] + twin)");
    const { r1csPath } = await compileCircuit({ name: "twins", source });
    const { folder, ptauPath } = base;
    const [initial, bent, after] = ["initial", "bent", "after"].map((name) => join(folder, `${name}.zkey`)) as [
      string,
      string,
      string,
    ];
    await newPhase2Key({ r1csPath, ptauPath, zkeyPath: initial });
    const { sections } = await readZkeyHeader(initial);
    const bytes = await readFile(initial);
    const { offset, length } = sections.get(8)!;
    const point = (at: number) => bytes.subarray(at, at + 64).toString("hex");
    const slots = Array.from({ length: length / 64 }, (_, i) => offset + 64 * i);
    const slot = slots.find((at, i) => slots.slice(i + 1).some((other) => point(other) === point(at)))!;
    const twin = slots.findLast((at) => point(at) === point(slot))!;
    bytes.copy(bytes, slot, sections.get(3)!.offset, sections.get(3)!.offset + 64); // IC[0]: all signals zero
    await writeFile(bent, bytes);
    await contribute({ from: bent, to: after });
    const given = await readFile(after);
    const { verifyingKey, sections: moved } = await readZkeyHeader(after);
    const place = (at: number) => at - offset + moved.get(8)!.offset;
    const [x, y] = decodeG1(given.subarray(place(slot), place(slot) + 64))!;

    lintVerifyingKey(verifyingKey);
    const forged = { a: verifyingKey.alpha, b: verifyingKey.beta, c: [x, Q - y] as const };
    expect(verifyGroth16(verifyingKey, [0n, 0n, 0n], forged)).toBe(true);

    await expect(verifyPhase2({ r1csPath, ptauPath, zkeyPath: after })).rejects.toThrow(code("KEY_MALFORMED"));
    given.copy(given, place(slot), place(twin), place(twin) + 64);
    await writeFile(after, given);
    await verifyPhase2({ r1csPath, ptauPath, zkeyPath: after }); // nothing is left to see

    // In a ceremony: the member's own check finds it, before anything is signed.
    const state = await begin({ ...base, r1csPath });
    await writeFile(await state.keyPath(), bytes);
    const { ceremony } = await state.read();
    const manifest = ceremonyToJson(ceremony);
    const to = join(folder, "never.zkey");
    const own = { manifest, from: bent, to, secretKey: BOB.secretKey };
    await expect(contributeToFile({ ...own, r1csPath, ptauPath })).rejects.toThrow(code("KEY_MALFORMED"));
    await expect(contributeToFile(own)).rejects.toThrow(code("INPUT_INVALID"));
    expect((await contributeToFile({ ...own, unchecked: true })).contribution.checked).toBe(false);
  });

  it("no ceremony of members who did not check makes a production key", async () => {
    const { head } = other;
    const unchecked = await whole({
      manifest: ceremonyToJson(other),
      acceptPtau: [head.powersOfTau.digest],
      trusted: ALL,
    });
    expect(unchecked.development).toBe(true);
    expect(unchecked.doubts.join()).toContain("had checked the key");
    const accepted = { acceptPtau: [head.powersOfTau.digest] };
    expect((await whole({ ...accepted, trusted: [BOB.account] })).development).toBe(false);
    expect((await whole({ ...accepted, trusted: [ALICE.account] })).development).toBe(true);
  });
});

describe("what is beside the manifest", () => {
  it("another circuit, other powers of tau, another key: each refused by name", async () => {
    const source = TINY.source.replace("+ 3;", "+ 4;");
    const { r1csPath } = await compileCircuit({ name: "other", source });
    expect(await failure(whole({ r1csPath }))).toBe("CEREMONY_INVALID circuit");
    const ptauPath = await snarkjsPowers(await temporaryFolder(), 4);
    expect(await failure(whole({ ptauPath }))).toBe("CEREMONY_INVALID ptau");
  });

  it("a changed verifying key, or one of another ceremony, is refused", async () => {
    const key = other.final!.verifyingKey;
    expect(await failure(whole({ verifyingKey: key }))).toBe("CEREMONY_INVALID key");
    const foreign = clone();
    foreign.final = { ...(ceremonyToJson(other) as Draft).final, time: foreign.final["time"] };
    expect(await failure(whole({ manifest: foreign }))).toMatch(
      /^(?:KEY_MALFORMED|KEY_FORGEABLE|CONTRIBUTION_INVALID)/,
    );
    for (const path of leaves(manifest).filter((leaf) => leaf[1] === "verifyingKey")) {
      const json = withLeaf(manifest, path, () => (path.at(-1) === "nPublic" ? 2 : "1"));
      const unchanged = JSON.stringify(json) === JSON.stringify(manifest);
      if (!unchanged) expect(await outcome(json), path.join(".")).toBe("CEREMONY_INVALID key");
    }
  });

  it("a proving key that is damaged, replaced or of another state is refused", async () => {
    const damaged = join(base.folder, "damaged.zkey");
    await copyFile(zkeyPath, damaged);
    const bytes = await readFile(damaged);
    bytes[bytes.length - 700]! ^= 1;
    await writeFile(damaged, bytes);
    expect(await failure(whole({ zkeyPath: damaged }))).toBe("CEREMONY_INVALID key");
    // A manifest that was changed with it.
    const json = withLeaf(manifest, ["final", "zkeySha256"], () => toHex(new Uint8Array(32).fill(7)));
    expect(await failure(whole({ manifest: json, zkeyPath }))).toBe("CEREMONY_INVALID key");
    expect(await failure(whole({ zkeyPath: join(base.folder, "missing.zkey") }))).toBe("FILE_NOT_FOUND undefined");
  });

  it("files that are written to or replaced while they are checked are refused", async () => {
    const folder = await temporaryFolder();
    const [r1csPath, ptauPath, key] = ["c.r1cs", "p.ptau", "k.zkey"].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    const own = { r1csPath, ptauPath, zkeyPath: key };
    const originals = [base.r1csPath, base.ptauPath, zkeyPath];
    for (const [i, path] of [r1csPath, ptauPath, key].entries()) await copyFile(originals[i]!, path);
    await whole(own);
    for (const [i, path] of [r1csPath, ptauPath, key].entries()) {
      let swapped = false;
      // What stands there in between may be anything: the same bytes show that nothing but the change is seen.
      const onProgress = () => {
        if (swapped) return;
        swapped = true;
        renameSync(path, `${path}.aside`);
        copyFileSync(originals[i]!, path);
        renameSync(`${path}.aside`, path);
      };
      expect(await failure(whole({ ...own, onProgress })), path).toBe("CEREMONY_INVALID changed");
      expect(swapped).toBe(true);
    }
  });

  it("powers of tau that everybody knows are refused before anything is made of them", async () => {
    const folder = await temporaryFolder();
    const { r1csPath } = base;
    const secrets = { tau: 11n, alpha: 22n, beta: 33n };
    const ptauPath = join(folder, "known.ptau");
    const made = (name: string) => ({ r1csPath, ptauPath, zkeyPath: join(folder, `${name}.zkey`) });
    await writeFile(ptauPath, ptauFile(4, secrets));
    await newPhase2Key(made("sound")); // to the eye
    for (const name of ["tau", "alpha", "beta"] as const) {
      for (const value of [1n, ORDER - 1n]) {
        await writeFile(ptauPath, ptauFile(4, { ...secrets, [name]: value }));
        await expect(newPhase2Key(made(name)), name).rejects.toThrow(code("KEY_FORGEABLE"));
        await expect(begin({ ...base, ptauPath }), name).rejects.toThrow(code("KEY_FORGEABLE"));
        await expect(verifyPhase2({ r1csPath, ptauPath, zkeyPath }), name).rejects.toThrow(code("KEY_FORGEABLE"));
        expect(await failure(whole({ ptauPath }))).toMatch(/^KEY_FORGEABLE/);
      }
    }
  });

  it("is named by its id and by whom one trusts", async () => {
    expect(await failure(whole({ ceremonyId: ceremonyId(other.head) }))).toBe("CEREMONY_INVALID foreign");
    expect(await failure(whole({ trusted: [CAROL.account] }))).toBe("CEREMONY_INVALID trust");
    expect(await failure(whole({ trusted: [] }))).toBe("CEREMONY_INVALID trust");
  });
});

describe("production", () => {
  let verified: VerifiedCeremony;
  const contract = (ceremony: unknown, changes: Record<string, unknown> = {}) =>
    generateVerifier({
      vkey: ceremonyFromJson(manifest).final!.verifyingKey,
      circuitDigest: base.circuit.circuitDigest,
      development: false,
      ceremony: ceremony as VerifiedCeremony,
      ...changes,
    });

  beforeAll(async () => {
    verified = await whole({ acceptPtau: [state.head.powersOfTau.digest], trusted: [BOB.account] });
  });

  it("is what a contract says for a key whose ceremony was verified", () => {
    expect(verified.development).toBe(false);
    const source = contract(verified);
    expect(source).toContain("bool public constant DEVELOPMENT = false;");
    expect(source).toContain(`//   ceremony        ${state.id}\n`);
    expect(source).toContain(`bytes32 public constant CEREMONY = ${state.id};`);
  });

  it("is what key lint says of that key alone, and of a proving key only where all of it was checked", async () => {
    const level = async (path: string, ceremony: VerifiedCeremony) => {
      const report = await lintKeyFile(path, { ceremony: { verify: async () => ceremony } });
      return `${report.level} ${report.failure?.code} ${report.circuitDigest}`;
    };
    const entire = await whole({ acceptPtau: [state.head.powersOfTau.digest], trusted: [BOB.account], zkeyPath });
    const { circuitDigest } = base.circuit;
    expect(await level(zkeyPath, entire)).toBe(`production undefined ${circuitDigest}`);
    expect(await level(zkeyPath, verified)).toBe("development undefined undefined");
    expect(await level(zkeyPath, await whole({ zkeyPath }))).toBe("development undefined undefined");
    const vkey = join(base.folder, "verification_key.json");
    await writeFile(vkey, JSON.stringify(verifyingKeyToJson(ceremonyFromJson(manifest).final!.verifyingKey)));
    expect(await level(vkey, verified)).toBe(`production undefined ${circuitDigest}`);
    await writeFile(vkey, JSON.stringify(verifyingKeyToJson(other.final!.verifyingKey)));
    expect(await level(vkey, verified)).toBe("development KEY_DEVELOPMENT undefined");
  });

  it("is never made from powers of tau that are stamped as made on one machine", async () => {
    const ptauPath = join(await temporaryFolder(), "development.ptau");
    await newDevelopmentPtau(4, ptauPath);
    const lonely = await begin({ ...base, ptauPath });
    await takePart(lonely, ALICE);
    await takePart(lonely, BOB);
    const finished = ceremonyToJson(await lonely.finalize({ r1csPath: base.r1csPath, ptauPath }));
    const believing = { acceptPtau: [lonely.head.powersOfTau.digest], ceremonyId: lonely.id };
    const result = await whole({ manifest: finished, ptauPath, ...believing });
    expect(result).toMatchObject({ powersOfTau: "development", development: true });
  });

  it("is refused for a ceremony that was made up, copied, in doubt, or of another key or circuit", async () => {
    expect(isVerifiedCeremony(verified)).toBe(true);
    for (const fake of [
      { ...verified },
      Object.create(verified),
      new Proxy(verified, {}),
      structuredClone(verified),
      undefined,
      null,
      "yes",
    ]) {
      expect(isVerifiedCeremony(fake)).toBe(false);
      expect(() => contract(fake)).toThrow(code("KEY_DEVELOPMENT"));
    }
    expect(() => Object.assign(verified, { development: true })).toThrow(TypeError);
    for (const options of [{ acceptPtau: [state.head.powersOfTau.digest] }, { trusted: ALL }]) {
      const doubtful = await whole(options);
      expect(doubtful.development).toBe(true);
      expect(doubtful.doubts).toHaveLength(1);
      expect(() => contract(doubtful)).toThrow(code("KEY_DEVELOPMENT"));
    }
    expect(() => contract(verified, { vkey: other.final!.verifyingKey })).toThrow(code("KEY_DEVELOPMENT"));
    expect(() => contract(verified, { circuitDigest: state.id })).toThrow(code("KEY_DEVELOPMENT"));
    expect(() => contract(verified, { development: true })).toThrow(code("INPUT_INVALID"));
  });
});

describe("the report", () => {
  it("says who contributed, who did not, what that means, and how to check it", async () => {
    const ceremony = ceremonyFromJson(manifest);
    const report = ceremonyReport(ceremony, await whole({ ceremonyId: state.id }));
    for (const { account } of [ALICE, BOB, DAVE]) expect(report).toContain(`| \`${account}\` |`);
    expect(report).toContain(`- \`${CAROL.account}\``);
    expect(report).toContain("skipped (operator): on holiday");
    expect(report).toContain("If a single contributor was honest");
    expect(report).toContain(ANNOUNCED.source);
    expect(report).toContain(`--ceremony ${state.id}`);
    expect(report).toContain("still a *development* key");
    expect(ceremonyReport(ceremony)).toContain("circuit, powers of tau and key were not");
    expect(ceremonyReport(open)).toContain("There is no key yet");
  });

  it("takes no markup from what members call themselves", () => {
    const report = ceremonyReport(ceremonyFromJson(manifest));
    expect(report).not.toContain("<b>");
    expect(report).not.toContain("[x](");
    const row = report.split("\n").find((line) => line.includes("Dave"))!;
    expect(row.split("|")).toHaveLength(8);
  });
});

it("a signature for a ceremony is nobody's for anything else", () => {
  const ceremony = ceremonyFromJson(manifest);
  const [first] = ceremony.contributions as [CeremonyContribution];
  const turn = turnDigest(state.id, { time: first.time, nonce: first.keySha256 });
  expect(recoverSigner(turn, first.signature)).not.toBe(first.member);
  expect(lastHash({ head: ceremony.head, contributions: [] })).toBe(ceremony.head.circuitHash);
});
