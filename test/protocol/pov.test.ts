/** Submissions: their rules, their one spelling as JSON and as bytes, their clock and signature. */
import { create, createFileRegistry, type DescMessage, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { sha256 } from "@noble/hashes/sha2.js";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BLOCK_ELEMENTS, PART_BYTES } from "../../src/dataset/layout.js";
import { DTYPES } from "../../src/dataset/record.js";
import { AnchorError } from "../../src/errors.js";
import { type Hex, toHex, utf8 } from "../../src/field/bytes.js";
import { R } from "../../src/field/scalar.js";
import {
  CLOCK_RULE,
  checkPov,
  DATA_TAGS,
  DATA_TYPES,
  decodePov,
  encodePov,
  MAX_POV_BYTES,
  MAX_POV_DATA,
  MAX_POV_PARTS,
  MAX_POV_PROOFS,
  PART_ROLES,
  POV_TYPES,
  type PointOfView,
  type PovPart,
  PROOF_KINDS,
  povClock,
  povDigest,
  povFromJson,
  povToJson,
  submissionFromJson,
  submissionToJson,
} from "../../src/protocol/pov.js";
import { signDigest } from "../../src/protocol/signature.js";
import { CIRCUIT_TYPES } from "../../src/protocol/statements.js";
import { outcomeOf } from "../support/errors.js";
import { DOMAINS, digestOf, party } from "../support/parties.js";

const creator = party("creator");
const ZERO: Hex = `0x${"00".repeat(32)}`;

const prompt = (text: string, record: bigint, name = ""): PovPart => {
  const bytes = utf8(text);
  const size = BigInt(bytes.length);
  return {
    role: "prompt",
    name,
    dtype: "text",
    shape: [size],
    size,
    record,
    digest: toHex(sha256(bytes)),
    data: toHex(bytes),
  };
};
const voice: PovPart = {
  role: "voice",
  name: "hello.wav",
  dtype: "i16",
  shape: [16_000n, 2n],
  size: 64_000n,
  record: 9n,
  digest: digestOf("wave"),
  data: "0x",
};
const POV: PointOfView = {
  dataHash: digestOf("data"),
  dataTag: "inference prompt",
  dataType: "mixed",
  dataSize: 80_000n,
  parts: [prompt("What is this?", 3n, "question"), voice],
  timestamp: 1_800_000_000n,
  proofs: [
    { kind: "content", digest: `0x11${"00".repeat(31)}` },
    { kind: "opening", digest: `0x12${"00".repeat(31)}` },
  ],
  creator: creator.account,
  dataRoot: `0x01${"23".repeat(31)}`,
  depth: 2n,
  top: `0x02${"34".repeat(31)}`,
  records: 12n,
  blocks: 200n,
  values: 48_000n,
  schema: ZERO,
};

/** What is wrong, or "accepted". */
function faultOf(run: () => unknown): string {
  try {
    run();
    return "accepted";
  } catch (error) {
    if (!(error instanceof AnchorError)) throw error;
    expect(error.code).toBe("POV_INVALID");
    const { path, fault } = error.details as { path: string; fault: string };
    return `${fault} ${path}`;
  }
}

const judge = (change: Partial<PointOfView>) => faultOf(() => povFromJson(povToJson({ ...POV, ...change }), "pov"));
const judgePart = (change: Partial<PovPart>, part = voice) => judge({ parts: [{ ...part, ...change }] });

describe("a submission's contents", () => {
  it("are what the protocol documents, and honest ones are accepted", () => {
    expect(judge({})).toBe("accepted");
    expect(DATA_TYPES).toEqual(expect.arrayContaining(Object.keys(DTYPES)));
    expect(DATA_TYPES).toHaveLength(Object.keys(DTYPES).length + 2);
    for (const dataTag of DATA_TAGS) expect(judge({ dataTag })).toBe("accepted");
    for (const { kind, digest } of PROOF_KINDS.map((kind) => ({ kind, digest: digestOf(kind) }))) {
      expect(judge({ proofs: [{ kind, digest }] })).toBe("accepted");
      expect(Object.keys(CIRCUIT_TYPES)).toContain(`dataset${kind[0]!.toUpperCase()}${kind.slice(1)}`);
    }
  });

  it.each<[string, Partial<PointOfView>, string]>([
    ["another tag", { dataTag: "anything" }, "value pov.dataTag"],
    ["another type", { dataType: "f128" }, "value pov.dataType"],
    ["a property of every object as its type", { dataType: "constructor" }, "value pov.dataType"],
    ["a root of zero", { dataRoot: ZERO }, "value pov.dataRoot"],
    ["a root that is no field element", { dataRoot: `0x${R.toString(16).padStart(64, "0")}` }, "value pov.dataRoot"],
    ["a top that is no field element", { top: `0x${"ff".repeat(32)}` }, "value pov.top"],
    ["columns that are no field element", { schema: `0x${"ff".repeat(32)}` }, "value pov.schema"],
    ["no records", { records: 0n }, "value pov.records"],
    ["more records than a tree has room for", { records: 2n ** 31n + 1n }, "limit pov.records"],
    ["more values than records can have", { values: 12n * BigInt(PART_BYTES) + 1n }, "limit pov.values"],
    ["fewer bytes than values", { dataSize: 47_999n }, "size pov.dataSize"],
    ["more bytes than values of 8", { dataSize: 384_001n }, "size pov.dataSize"],
    ["bytes that are not the type's", { dataType: "i16", dataSize: 80_000n, parts: [] }, "size pov.dataSize"],
    ["more blocks than values", { blocks: 48_001n }, "size pov.blocks"],
    ["fewer blocks than its values take", { blocks: 103n }, "size pov.blocks"],
    [
      "fewer blocks than its floats take",
      { dataType: "f64", dataSize: 384_000n, blocks: 1066n, parts: [] },
      "size pov.blocks",
    ],
    ["values without blocks", { blocks: 0n }, "size pov.blocks"],
    ["a number of 65 bits", { timestamp: 2n ** 64n }, "limit pov.timestamp"],
    ["a negative number", { timestamp: -1n }, "type pov.timestamp"],
    [
      "too many parts",
      { parts: Array.from({ length: MAX_POV_PARTS + 1 }, (_, i) => prompt("", BigInt(i))) },
      "limit pov.parts",
    ],
    [
      "too many proofs",
      { proofs: Array.from({ length: MAX_POV_PROOFS + 1 }, () => ({ kind: "content", digest: ZERO })) },
      "limit pov.proofs",
    ],
    ["a set of proofs twice", { proofs: [POV.proofs[0]!, POV.proofs[0]!] }, "duplicate pov.proofs[1].digest"],
    ["sets of proofs out of order", { proofs: [...POV.proofs].reverse() }, "order pov.proofs[1].digest"],
    ["proofs of nothing known", { proofs: [{ kind: "virtue", digest: ZERO }] }, "value pov.proofs[0].kind"],
    ["a record twice", { parts: [voice, voice] }, "duplicate pov.parts[1].record"],
    ["parts out of order", { parts: [...POV.parts].reverse() }, "order pov.parts[1].record"],
    ["parts larger than the data", { parts: [voice, { ...voice, record: 10n }] }, "size pov.parts[1].size"],
    ["a part of another type than the data", { dataType: "i16", values: 40_000n }, "value pov.parts[0].dtype"],
  ])("refuse %s", (_, change, fault) => {
    expect(judge(change)).toBe(fault);
  });

  it("hold at the limits", () => {
    const values = 12n * BigInt(PART_BYTES);
    const whole = { dataType: "f32", parts: [], values: values / 4n, dataSize: values };
    const blocks = (values / 4n + BigInt(BLOCK_ELEMENTS * 7 - 1)) / BigInt(BLOCK_ELEMENTS * 7);
    expect(judge({ ...whole, blocks })).toBe("accepted");
    expect(judge({ ...whole, blocks: blocks - 1n })).toBe("size pov.blocks");
    expect(judge({ records: 1n, values: 0n, blocks: 0n, dataSize: 0n, parts: [] })).toBe("accepted");
    expect(judge({ records: 2n ** 31n })).toBe("accepted");
  });
});

describe("a part", () => {
  it.each<[string, Partial<PovPart>, string]>([
    ["of an unknown role", { role: "smell" }, "value pov.parts[0].role"],
    ["of a property of every object", { role: "toString" }, "value pov.parts[0].role"],
    ["of another type than its role has", { dtype: "text" }, "value pov.parts[0].dtype"],
    ["of three dimensions, as voice", { shape: [2n, 2n, 8000n] }, "value pov.parts[0].shape"],
    ["without dimensions", { shape: [] }, "value pov.parts[0].shape"],
    ["of another size than its dimensions say", { size: 63_999n }, "size pov.parts[0].size"],
    ["whose dimensions multiply beyond 64 bits", { shape: [2n ** 63n, 2n ** 63n] }, "size pov.parts[0].size"],
    ["behind the last record", { record: 12n }, "value pov.parts[0].record"],
    ["with data of another size", { data: "0x00" }, "size pov.parts[0].data"],
    ["with half a surrogate pair in its name", { name: "\ud83d" }, "value pov.parts[0].name"],
    ["with a long name", { name: "é".repeat(513) }, "limit pov.parts[0].name"],
  ])("%s is refused", (_, change, fault) => {
    expect(judgePart(change)).toBe(fault);
  });

  it("that is public has the bytes that its digest names", () => {
    const honest = prompt("Grüße", 0n);
    expect(judgePart({}, honest)).toBe("accepted");
    expect(judgePart({ digest: ZERO }, honest)).toBe("data pov.parts[0].digest");
    expect(judgePart({ data: "0x" }, honest)).toBe("data pov.parts[0].data");
    expect(judgePart({ data: toHex(utf8("Gruesse")) }, honest)).toBe("data pov.parts[0].digest");
    const latin1 = Uint8Array.of(0x47, 0xfc);
    const broken = { shape: [2n], size: 2n, data: toHex(latin1), digest: toHex(sha256(latin1)) };
    expect(judgePart(broken, honest)).toBe("data pov.parts[0].data");
    const bits = (data: Uint8Array): PovPart => ({
      ...{ role: "tensor", name: "", dtype: "bool", shape: [2n, 1n], size: 2n, record: 0n },
      ...{ data: toHex(data), digest: toHex(sha256(data)) },
    });
    expect(judgePart({}, bits(Uint8Array.of(0, 1)))).toBe("accepted");
    expect(judgePart({}, bits(Uint8Array.of(0, 2)))).toBe("data pov.parts[0].data");
  });

  it("that is long takes several records, which are no other part's", () => {
    // A record and a sample of the next.
    const samples = BigInt(PART_BYTES) / 2n + 1n;
    const long = { ...voice, shape: [samples], size: 2n * samples, record: 4n };
    const data = { dataSize: 3_000_000n, values: 2_000_000n, blocks: 9000n };
    const followed = (record: bigint) => judge({ ...data, parts: [long, prompt("after", record)] });
    expect(followed(6n)).toBe("accepted");
    expect(followed(5n)).toBe("duplicate pov.parts[1].record");
    expect(judge({ ...data, parts: [{ ...long, record: 10n }] })).toBe("accepted");
    expect(judge({ ...data, parts: [{ ...long, record: 11n }] })).toBe("value pov.parts[0].record");
  });

  it("has an empty name or text, and each role its types", () => {
    expect(judgePart({ name: "" })).toBe("accepted");
    expect(judgePart({ role: "text", dtype: "text", shape: [0n], size: 0n, digest: ZERO })).toBe("accepted");
    expect(judgePart({ role: "tensor", dtype: "f16", shape: [], size: 2n })).toBe("accepted");
    expect(judgePart({ role: "image", dtype: "u8", shape: [10n, 10n, 3n], size: 300n })).toBe("accepted");
    expect(judgePart({ role: "video", dtype: "u8", shape: [5n, 10n, 10n, 3n], size: 1500n })).toBe("accepted");
    expect(judgePart({ role: "file", dtype: "bytes", shape: [7n], size: 7n })).toBe("accepted");
    expect(PART_ROLES).toEqual(["text", "prompt", "voice", "image", "video", "tensor", "file"]);
  });

  it("publishes little data, all parts together", () => {
    const half = "x".repeat(MAX_POV_DATA / 2);
    const room = { dataSize: 70_000n, values: 70_000n, blocks: 1000n };
    expect(judge({ ...room, parts: [prompt(half, 0n), prompt(half, 1n)] })).toBe("accepted");
    expect(judge({ ...room, parts: [prompt(half, 0n), prompt(half, 1n), prompt("y", 2n)] })).toBe(
      "limit pov.parts[2].data",
    );
    expect(judge({ ...room, parts: [prompt(`${half}${half}y`, 0n)] })).toBe("limit pov.parts[0].data");
  });
});

describe("a submission as JSON", () => {
  it.each<[string, (json: Record<string, unknown>) => void, string]>([
    ["an unknown field", (json) => void (json["note"] = ""), "unknown pov.note"],
    ["a missing field", (json) => void delete json["creator"], "missing pov.creator"],
    [
      "a missing field of a part",
      (json) => void delete (json["parts"] as never[])[1]!["size"],
      "missing pov.parts[1].size",
    ],
    ["a number", (json) => void (json["records"] = 12), "type pov.records"],
    ["a leading zero", (json) => void (json["records"] = "012"), "type pov.records"],
    ["upper-case hex", (json) => void (json["dataRoot"] = `0xAB${"00".repeat(31)}`), "type pov.dataRoot"],
    ["a short hash", (json) => void (json["dataHash"] = "0x00"), "type pov.dataHash"],
    [
      "half a byte",
      (json) => void ((json["parts"] as Record<string, unknown>[])[0]!["data"] = "0x0"),
      "type pov.parts[0].data",
    ],
    ["no list", (json) => void (json["parts"] = {}), "type pov.parts"],
    ["null for a proof", (json) => void (json["proofs"] = [null]), "type pov.proofs[0]"],
    ["a number for a string", (json) => void (json["dataTag"] = 1), "type pov.dataTag"],
  ])("refuses %s", (_, change, fault) => {
    const json = structuredClone(povToJson(POV));
    change(json);
    expect(faultOf(() => povFromJson(json, "pov"))).toBe(fault);
  });

  it.each([undefined, null, 1, "x", [], () => {}])("refuses %s", (json) => {
    expect(faultOf(() => povFromJson(json, "pov"))).toBe("type pov");
  });

  it("in a file of its own, with its signature", () => {
    const submission = { pov: POV, signature: signDigest(creator.secretKey, povDigest(DOMAINS.gate, POV)) };
    const json = JSON.parse(JSON.stringify(submissionToJson(submission)));
    expect(submissionFromJson(json, "it")).toEqual(submission);
    expect(faultOf(() => submissionFromJson({ ...json, signature: "0x" }, "it"))).toBe("type it.signature");
    expect(faultOf(() => submissionFromJson({ ...json, note: 1 }, "it"))).toBe("unknown it.note");
    const { signature: _, ...unsigned } = json;
    expect(faultOf(() => submissionFromJson(unsigned, "it"))).toBe("missing it.signature");
    const newer = { ...json, format: "anchorproof/pov@2" };
    expect(outcomeOf(() => submissionFromJson(newer, "it"))).toBe("FORMAT_UNSUPPORTED");
  });
});

describe("a submission as bytes", () => {
  // Number and length of each field, then its bytes.
  const golden = [
    `0a20${"00".repeat(32)}`,
    "1210696e666572656e63652070726f6d7074", // inference prompt
    "1a0474657874",
    "2002",
    "2a3c0a0670726f6d70741201701a047465787422010228023a208f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa442026869",
    "3080a4a7da06",
    `3a2a0a067368613235361220${"77".repeat(32)}`,
    `4214${"cc".repeat(20)}`,
    `4a2000${"aa".repeat(31)}`,
    "5002",
    `5a2000${"bb".repeat(31)}`,
    "600168017002",
    `7a20${"00".repeat(32)}`,
  ].join("");

  it("is fixed (golden bytes, of a small one)", () => {
    const small: PointOfView = {
      ...POV,
      dataHash: ZERO,
      dataType: "text",
      dataSize: 2n,
      parts: [prompt("hi", 0n, "p")],
      proofs: [{ kind: "sha256", digest: `0x${"77".repeat(32)}` }],
      creator: `0x${"cc".repeat(20)}`,
      dataRoot: `0x00${"aa".repeat(31)}`,
      top: `0x00${"bb".repeat(31)}`,
      records: 1n,
      blocks: 1n,
      values: 2n,
    };
    expect(toHex(encodePov(small))).toBe(`0x${golden}`);
  });

  it("comes back", () => {
    expect(decodePov(encodePov(POV))).toEqual(POV);
  });

  it("is read by protocol buffers of another make, and written alike", () => {
    const message = foreignSchema();
    const bytes = encodePov(POV);
    const foreign = fromBinary(message, bytes) as unknown as Record<string, unknown>;
    expect(foreign).toMatchObject({ dataTag: POV.dataTag, dataSize: POV.dataSize, records: POV.records, depth: 2 });
    expect(foreign["parts"]).toMatchObject([
      { role: "prompt", shape: [13n], data: utf8("What is this?") },
      { role: "voice", shape: [16_000n, 2n], record: 9n },
    ]);
    expect(foreign["$unknown"]).toBeUndefined();
    expect(toBinary(message, foreign as never)).toEqual(bytes);
  });

  it("has one spelling: whatever other bytes are read give another message", () => {
    const bytes = encodePov(POV);
    const all = fc.record({
      at: fc.nat(bytes.length - 1),
      value: fc.nat(255),
      how: fc.constantFrom("set", "insert", "delete", "cut"),
    });
    fc.assert(
      fc.property(all, ({ at, value, how }) => {
        const changed = {
          set: () => bytes.map((byte, i) => (i === at ? value : byte)),
          insert: () => Uint8Array.of(...bytes.subarray(0, at), value, ...bytes.subarray(at)),
          delete: () => Uint8Array.of(...bytes.subarray(0, at), ...bytes.subarray(at + 1)),
          cut: () => bytes.slice(0, at),
        }[how]!();
        let read: PointOfView;
        try {
          read = decodePov(changed);
        } catch (error) {
          if (!(error instanceof AnchorError)) throw error;
          expect(error.code).toBe("POV_INVALID");
          return;
        }
        expect(encodePov(read)).toEqual(changed);
      }),
      { numRuns: 500 },
    );
  });

  it("never crashes the reader", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => {
        expect(outcomeOf(() => decodePov(noise))).toBe("POV_INVALID");
      }),
    );
  });

  const head = Uint8Array.of(0x0a, 32, ...new Uint8Array(32));
  it.each<[string, Uint8Array, string]>([
    ["nothing", new Uint8Array(), "missing pov.dataHash"],
    ["an unknown number", Uint8Array.of(0x80, 0x01, 1), "unknown pov"],
    ["number 0", Uint8Array.of(0x00, 1), "unknown pov"],
    ["a field twice", Uint8Array.of(...head, ...head), "duplicate pov.dataHash"],
    ["fields out of order", Uint8Array.of(0x20, 1, ...head), "type pov.dataHash"],
    ["another wire type", Uint8Array.of(0x08, 1), "type pov.dataHash"],
    ["groups", Uint8Array.of(0x0b), "type pov.dataHash"],
    ["a hash of 31 bytes", Uint8Array.of(0x0a, 31, ...new Uint8Array(31)), "type pov.dataHash"],
    ["a zero that is left out", Uint8Array.of(...head, 0x20, 0), "type pov.dataSize"],
    ["a text that is left out", Uint8Array.of(...head, 0x12, 0), "type pov.dataTag"],
    ["a long varint", Uint8Array.of(...head, 0x20, 0x81, 0x00), "type pov"],
    ["a varint of 65 bits", Uint8Array.of(...head, 0x20, ...new Array(9).fill(255), 2), "limit pov"],
    ["a varint without end", Uint8Array.of(...head, 0x20, ...new Array(12).fill(255)), "limit pov"],
    ["a depth of 33 bits", Uint8Array.of(...head, 0x50, 0x80, 0x80, 0x80, 0x80, 0x10), "limit pov.depth"],
    ["a field beyond the end", Uint8Array.of(...head, 0x12, 5, 0x61), "type pov"],
    ["a tag that is not UTF-8", Uint8Array.of(...head, 0x12, 1, 0xff), "type pov.dataTag"],
    ["dimensions that are not packed", Uint8Array.of(...head, 0x2a, 2, 0x20, 1), "type pov.parts[0].shape"],
    ["dimensions twice", Uint8Array.of(...head, 0x2a, 6, 0x22, 1, 1, 0x22, 1, 1), "duplicate pov.parts[0].shape"],
    [
      "parts without number",
      Uint8Array.of(...head, ...Array.from({ length: 65 }, () => [0x2a, PART.length, ...PART]).flat()),
      "limit pov.parts",
    ],
  ])("refuses %s", (_, bytes, fault) => {
    expect(faultOf(() => decodePov(bytes))).toBe(fault);
  });

  it("has a limit, which no message that follows the rules reaches", () => {
    expect(faultOf(() => decodePov(new Uint8Array(MAX_POV_BYTES + 1)))).toBe("limit pov");
    const name = "n".repeat(1024);
    const full: PointOfView = {
      ...POV,
      ...{ dataSize: 2n ** 50n, values: 2n ** 50n, blocks: 2n ** 45n, records: 2n ** 31n },
      parts: Array.from({ length: MAX_POV_PARTS }, (_, i) =>
        prompt("x".repeat(MAX_POV_DATA / MAX_POV_PARTS), BigInt(i), name),
      ),
      proofs: Array.from({ length: MAX_POV_PROOFS }, (_, i) => ({
        kind: "distinct",
        digest: `0x${(i + 1).toString(16).padStart(64, "0")}` as Hex,
      })),
    };
    const bytes = encodePov(full);
    expect(bytes.length).toBeLessThan(MAX_POV_BYTES);
    expect(decodePov(bytes)).toEqual(full);
  });

  it("is not made of what is no message", () => {
    for (const wrong of [
      { parts: undefined },
      { records: 1 },
      { parts: [undefined] },
      { dataHash: 5 },
      { proofs: "no" },
    ]) {
      expect(outcomeOf(() => encodePov({ ...POV, ...wrong } as never))).toBe("POV_INVALID");
    }
    expect(outcomeOf(() => decodePov("text" as never))).toBe("POV_INVALID");
  });
});

describe("clock and signature", () => {
  const outcome = (change: Partial<PointOfView>, now?: bigint) => {
    const changed = { ...POV, ...change };
    const signature = signDigest(creator.secretKey, povDigest(DOMAINS.gate, changed));
    return outcomeOf(() => checkPov(DOMAINS.gate, changed, signature, now));
  };

  it("the clock has edges, and says by how much", () => {
    const { timestamp } = POV;
    const { ahead, age } = CLOCK_RULE;
    expect(povClock(POV, timestamp)).toEqual({ outcome: "accepted" });
    expect(povClock(POV, timestamp - ahead)).toEqual({ outcome: "accepted" });
    expect(povClock(POV, timestamp - ahead - 1n)).toEqual({ outcome: "early", seconds: 1n });
    expect(povClock(POV, timestamp + age)).toEqual({ outcome: "accepted" });
    expect(povClock(POV, timestamp + age + 5n)).toEqual({ outcome: "late", seconds: 5n });
    for (const now of [1, -1n, Number.NaN, "1", undefined]) {
      expect(outcomeOf(() => povClock(POV, now as bigint))).toBe("INPUT_INVALID");
    }
  });

  it("both are checked", () => {
    expect(outcome({})).toBe("accepted");
    expect(outcome({}, POV.timestamp)).toBe("accepted");
    expect(outcome({}, POV.timestamp - 301n)).toBe("POV_INVALID");
    expect(outcome({}, POV.timestamp + CLOCK_RULE.age + 1n)).toBe("POV_INVALID");
    expect(outcome({ creator: party("other").account })).toBe("SIGNATURE_INVALID");
    expect(outcome({ dataTag: "anything" })).toBe("POV_INVALID");
    const signature = signDigest(creator.secretKey, povDigest(DOMAINS.gate, POV));
    const elsewhere = { ...DOMAINS.gate, chainId: 1n };
    expect(outcomeOf(() => checkPov(elsewhere, POV, signature))).toBe("SIGNATURE_INVALID");
    expect(checkPov(DOMAINS.gate, POV, signature).digest).toBe(povDigest(DOMAINS.gate, POV));
  });

  it("the signature is over everything", () => {
    const [first] = POV.parts;
    const others: Partial<PointOfView>[] = [
      { dataHash: ZERO },
      { dataTag: "user info" },
      { dataType: "table" },
      { dataSize: 80_001n },
      { parts: [first!] },
      { parts: [{ ...first!, name: "other" }, voice] },
      { parts: [first!, { ...voice, shape: [2n, 16_000n] }] },
      { timestamp: 0n },
      { proofs: [] },
      { proofs: [{ ...POV.proofs[0]!, kind: "bytes" }, POV.proofs[1]!] },
      { creator: party("other").account },
      { dataRoot: POV.top },
      { depth: 4n },
      { top: POV.dataRoot },
      { records: 13n },
      { blocks: 201n },
      { values: 48_001n },
      { schema: POV.top },
    ];
    const digests = [{}, ...others].map((change) => povDigest(DOMAINS.gate, { ...POV, ...change }));
    expect(new Set(digests).size).toBe(digests.length);
    const bytes = [{}, ...others].map((change) => toHex(encodePov({ ...POV, ...change })));
    expect(new Set(bytes).size).toBe(bytes.length);
  });
});

/** An empty part, which has no rule to follow before all of them are counted. */
const PART = [0x3a, 32, ...new Array(32).fill(0)];

/** The messages as the module's documentation has them, for `@bufbuild/protobuf`. */
function foreignSchema(): DescMessage {
  const TYPE = { uint64: 4, string: 9, message: 11, bytes: 12, uint32: 13 } as const;
  const messages = { PointOfView: "POV", Part: "Part", Proof: "Proof" } as const;
  const messageType = Object.entries(messages).map(([struct, name]) => ({
    name,
    field: POV_TYPES[struct]!.map((field, i) => {
      const [type, repeated] = [field.type.replace("[]", ""), field.type.endsWith("[]")];
      const message = messages[type as never] as string | undefined;
      const kind = message
        ? "message"
        : /^bytes|address/.test(type)
          ? "bytes"
          : (type as "string" | "uint64" | "uint32");
      const typeName = message && { typeName: `.test.${message}` };
      return { name: field.name, number: i + 1, label: repeated ? 3 : 1, type: TYPE[kind], ...typeName };
    }),
  }));
  const file = create(FileDescriptorProtoSchema, { name: "pov.proto", package: "test", syntax: "proto3", messageType });
  return createFileRegistry(create(FileDescriptorSetSchema, { file: [file] })).getMessage("test.POV")!;
}
