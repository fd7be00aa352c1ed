import { TypedDataEncoder } from "ethers";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isAnchorError } from "../../src/errors.js";
import { type Hex, toHex, wordHex } from "../../src/field/bytes.js";
import { commitBatch } from "../../src/field/chain.js";
import { R } from "../../src/field/scalar.js";
import { BATCH_TYPES } from "../../src/protocol/batch.js";
import { encodeType, structFromJson, structToJson, type TypeTable, typedDigest } from "../../src/protocol/eip712.js";
import { POV_TYPES } from "../../src/protocol/pov.js";
import { VOTE_TYPES } from "../../src/protocol/quorum.js";
import { RECEIPT_TYPES } from "../../src/protocol/settlement.js";
import {
  CIRCUIT_TYPES,
  checkAsset,
  contextSignal,
  type DatasetStatement,
  datId,
  type InferenceStatement,
  publicSignals,
  REVOCATION_TYPES,
  type Revocation,
  revocationDigest,
  revocationFromJson,
  revocationToJson,
  STATEMENT_TYPES,
  statementDigest,
  statementFromJson,
  statementToJson,
  type Task,
  type Terms,
  taskOf,
} from "../../src/protocol/statements.js";
import { DOMAINS, digestOf } from "../support/parties.js";

/** Any value of a struct type. */
function arbitrary(types: TypeTable, name: string): fc.Arbitrary<Record<string, unknown>> {
  const of = (type: string): fc.Arbitrary<unknown> => {
    if (type.endsWith("[]")) return fc.array(of(type.slice(0, -2)), { maxLength: 4 });
    if (types[type]) return arbitrary(types, type);
    if (type === "string") return fc.string({ unit: "grapheme" });
    const bytes = (n: number) => fc.uint8Array({ minLength: n, maxLength: n }).map(toHex);
    if (type === "bytes") return fc.uint8Array({ maxLength: 40 }).map(toHex);
    if (type === "bytes32") return bytes(32);
    if (type === "address") return bytes(20);
    if (type === "bool") return fc.boolean();
    return fc.bigInt({ min: 0n, max: (1n << BigInt(type.slice(4))) - 1n });
  };
  return fc.record(Object.fromEntries(types[name]!.map((field) => [field.name, of(field.type)])));
}

const STRUCTS: [string, TypeTable][] = [
  ["DatasetStatement", STATEMENT_TYPES],
  ["InferenceStatement", STATEMENT_TYPES],
  ["AdaptedInferenceStatement", STATEMENT_TYPES],
  ["InferenceBatchStatement", STATEMENT_TYPES],
  ["AdaptedInferenceBatchStatement", STATEMENT_TYPES],
  ["ModelStatement", STATEMENT_TYPES],
  ["AdapterStatement", STATEMENT_TYPES],
  ["InferenceAssetStatement", STATEMENT_TYPES],
  ["Revocation", REVOCATION_TYPES],
  ["Vote", VOTE_TYPES],
  ["Receipt", RECEIPT_TYPES],
  ["ReceiptBatch", BATCH_TYPES],
  ["PointOfView", POV_TYPES],
];

describe.each(STRUCTS)("%s as typed data", (name, types) => {
  /** ethers wants exactly the types that the primary one reaches. */
  const reached = () => {
    const names = encodeType(types, name)
      .split(")")
      .map((part) => part.split("(")[0]!)
      .filter(Boolean);
    return Object.fromEntries(names.map((each) => [each, [...types[each]!]]));
  };

  it("has ethers' digest", () => {
    const domain = { name: "anchorproof", version: "1", ...DOMAINS.gate };
    fc.assert(
      fc.property(arbitrary(types, name), (value) => {
        expect(typedDigest(DOMAINS.gate, types, name, value)).toBe(TypedDataEncoder.hash(domain, reached(), value));
      }),
      { numRuns: 50 },
    );
  });

  it("survives JSON, in one spelling", () => {
    fc.assert(
      fc.property(arbitrary(types, name), (value) => {
        const json = JSON.parse(JSON.stringify(structToJson(types, name, value)));
        expect(structFromJson(types, name, json, "INPUT_INVALID", "it")).toEqual(value);
      }),
      { numRuns: 50 },
    );
  });
});

const task: Task = {
  keyDigest: digestOf("key"),
  taskId: digestOf("task"),
  requester: `0x${"11".repeat(20)}`,
  payee: `0x${"22".repeat(20)}`,
  nonce: 3n,
  deadline: 4n,
};

const dataset: DatasetStatement = {
  task,
  asset: {
    token: `0x${"33".repeat(20)}`,
    fileId: 6n,
    class: 1n,
    commitment: `0x00${"01".repeat(31)}`,
    metadataDigest: digestOf("m"),
    supply: 1n,
    parents: [9n],
    terms: { expiresAt: 0n, maxUses: 7n, shareBps: 250n, transferable: false },
  },
  chunkIndex: 5n,
  chunkRecords: 128n,
};

describe("the context", () => {
  const context = (domain = DOMAINS.gate, type: Hex = CIRCUIT_TYPES.inference, of = task) =>
    contextSignal(domain, type, of);

  it("is fixed (golden value, the same on chain)", () => {
    expect(context()).toMatchInlineSnapshot(
      `7289398454885065445745274425786189749703987106753862193131673524754915478287n`,
    );
  });

  it("is never more than 253 bits, and changes with everything in it", () => {
    expect(context() >> 253n).toBe(0n);
    const others = [
      context({ ...DOMAINS.gate, chainId: 1n }),
      context(DOMAINS.quorum),
      context(DOMAINS.gate, CIRCUIT_TYPES.datasetChunk),
      ...(["keyDigest", "taskId"] as const).map((k) =>
        context(DOMAINS.gate, undefined, { ...task, [k]: digestOf("x") }),
      ),
      context(DOMAINS.gate, undefined, { ...task, requester: task.payee }),
      context(DOMAINS.gate, undefined, { ...task, payee: task.requester }),
      context(DOMAINS.gate, undefined, { ...task, nonce: 4n }),
      context(DOMAINS.gate, undefined, { ...task, deadline: 5n }),
    ];
    expect(new Set([context(), ...others]).size).toBe(1 + others.length);
  });
});

describe("public signals", () => {
  it("are the statement's values in the circuit's order, then the context", () => {
    expect(publicSignals(DOMAINS.gate, "DatasetStatement", dataset)).toEqual([
      BigInt(dataset.asset.commitment),
      5n,
      128n,
      contextSignal(DOMAINS.gate, CIRCUIT_TYPES.datasetChunk, task),
    ]);
  });

  it.each([
    ["a root above r", { asset: { ...dataset.asset, commitment: `0x${"ff".repeat(32)}` as Hex } }],
    ["an index that wraps", { chunkIndex: 5n + R }],
    ["the class of a model", { asset: { ...dataset.asset, class: 2n } }],
  ])("refuse %s", (_, change) => {
    expect(() => publicSignals(DOMAINS.gate, "DatasetStatement", { ...dataset, ...change })).toThrow(
      expect.objectContaining({ code: "STATEMENT_INVALID" }),
    );
  });

  it("refuse a model statement whose sample is of another model, or whose asset is no model", () => {
    const sample: InferenceStatement = { task, modelDigest: digestOf("a"), output: 1n, inputCommitment: 2n };
    const asset = { ...dataset.asset, class: 2n, commitment: digestOf("a") };
    const statement = { asset, circuitDigest: digestOf("c"), sample };
    expect(publicSignals(DOMAINS.gate, "ModelStatement", statement)).toHaveLength(3);
    for (const wrong of [
      { ...statement, asset: { ...asset, commitment: digestOf("b") } },
      { ...statement, asset: { ...asset, class: 1n } },
    ]) {
      expect(() => publicSignals(DOMAINS.gate, "ModelStatement", wrong)).toThrow(
        expect.objectContaining({ code: "STATEMENT_INVALID" }),
      );
    }
  });
});

describe("statements that wrap an inference", () => {
  const modelDigest = digestOf("model");
  const parents = [datId(2n, modelDigest)];
  const single = { task, modelDigest, output: 1n, inputCommitment: 2n };
  const sample = { ...single, adapterCommitment: 3n };
  const adapter = { asset: { ...dataset.asset, class: 3n, commitment: wordHex(3n), parents }, sample };
  const commitment = statementDigest(DOMAINS.gate, "InferenceStatement", single);
  const inference = { asset: { ...dataset.asset, class: 4n, commitment, parents }, inference: single };
  const invalid = expect.objectContaining({ code: "STATEMENT_INVALID" });

  it("have its signals, and its task", () => {
    expect(publicSignals(DOMAINS.gate, "AdapterStatement", adapter)).toEqual(
      publicSignals(DOMAINS.gate, "AdaptedInferenceStatement", sample),
    );
    expect(publicSignals(DOMAINS.gate, "InferenceAssetStatement", inference)).toEqual(
      publicSignals(DOMAINS.gate, "InferenceStatement", single),
    );
    expect(taskOf("AdapterStatement", adapter)).toBe(task);
    expect(taskOf("InferenceAssetStatement", inference)).toBe(task);
  });

  it.each([
    ["another class", { class: 2n }],
    ["another commitment", { commitment: wordHex(4n) }],
    ["no model among its parents", { parents: [9n] }],
  ])("are refused with %s", (_, change) => {
    const changed = { ...adapter, asset: { ...adapter.asset, ...change } };
    expect(() => publicSignals(DOMAINS.gate, "AdapterStatement", changed)).toThrow(invalid);
    const other = { ...inference, asset: { ...inference.asset, ...change } };
    expect(() => publicSignals(DOMAINS.gate, "InferenceAssetStatement", other)).toThrow(invalid);
  });

  it("hold an inference's token to one gate: its commitment is the digest there", () => {
    expect(() => publicSignals(DOMAINS.quorum, "InferenceAssetStatement", inference)).toThrow(invalid);
  });
});

describe("an asset", () => {
  const { asset } = dataset;
  const terms = (change: Partial<Terms>) => ({ terms: { ...asset.terms, ...change } });

  it("may ask half of what is derived from it, and expire later", () => {
    checkAsset({ ...asset, ...terms({ shareBps: 5000n, expiresAt: 11n }) }, 10n);
    checkAsset({ ...asset, ...terms({ expiresAt: 0n }) }, 10n);
  });

  it.each([
    ["names no token", { token: `0x${"00".repeat(20)}` as Hex }],
    ["asks more than half", terms({ shareBps: 5001n })],
    ["has expired", terms({ expiresAt: 10n })],
    ["commits to nothing", { commitment: wordHex(0n) }],
    ["has no supply", { supply: 0n }],
    ["names a parent twice", { parents: [1n, 1n] }],
    ["names 17 parents", { parents: Array.from({ length: 17 }, (_, i) => BigInt(i)) }],
  ])("that %s is refused", (_, change) => {
    expect(() => checkAsset({ ...asset, ...change }, 10n)).toThrow(
      expect.objectContaining({ code: "STATEMENT_INVALID" }),
    );
  });
});

describe("public signals of inferences", () => {
  const inference = { task, modelDigest: digestOf("model") };
  const single = { ...inference, output: 1n, inputCommitment: 2n };
  const batch = { ...inference, outputs: [1n, 4n], inputCommitments: [2n, 5n] };
  const of = (domain = DOMAINS.gate) => ({
    InferenceStatement: publicSignals(domain, "InferenceStatement", single),
    AdaptedInferenceStatement: publicSignals(domain, "AdaptedInferenceStatement", { ...single, adapterCommitment: 3n }),
    InferenceBatchStatement: publicSignals(domain, "InferenceBatchStatement", batch),
    AdaptedInferenceBatchStatement: publicSignals(domain, "AdaptedInferenceBatchStatement", {
      ...batch,
      adapterCommitment: 3n,
    }),
  });

  it("have the adapter before the context, and one digest of each list of a batch", () => {
    const signals = of();
    const context = (type: Hex) => contextSignal(DOMAINS.gate, type, task);
    const digests = [commitBatch([1n, 4n]), commitBatch([2n, 5n])];
    expect(signals).toEqual({
      InferenceStatement: [1n, 2n, context(CIRCUIT_TYPES.inference)],
      AdaptedInferenceStatement: [1n, 2n, 3n, context(CIRCUIT_TYPES.adaptedInference)],
      InferenceBatchStatement: [...digests, context(CIRCUIT_TYPES.inferenceBatch)],
      AdaptedInferenceBatchStatement: [...digests, 3n, context(CIRCUIT_TYPES.adaptedInferenceBatch)],
    });
  });

  it("never have the context of another family", () => {
    const contexts = Object.values(of()).map((signals) => signals.at(-1));
    expect(new Set(contexts).size).toBe(4);
    expect(new Set(Object.values(CIRCUIT_TYPES)).size).toBe(15);
  });

  it("change with every entry of a batch, and its order", () => {
    const signals = (outputs: bigint[], inputCommitments: bigint[]) =>
      publicSignals(DOMAINS.gate, "InferenceBatchStatement", { ...batch, outputs, inputCommitments }).join();
    const all = [
      signals([1n, 4n], [2n, 5n]),
      signals([4n, 1n], [2n, 5n]),
      signals([1n, 4n], [5n, 2n]),
      signals([1n, 4n, 0n], [2n, 5n, 0n]),
    ];
    expect(new Set(all).size).toBe(4);
  });

  it.each([
    ["one inference", [1n], [2n]],
    ["none", [], []],
    ["more outputs than inputs", [1n, 2n], [3n]],
    ["an output above r", [1n, R], [3n, 4n]],
    ["more than 1,024", new Array<bigint>(1025).fill(1n), new Array<bigint>(1025).fill(1n)],
  ])("refuse a batch of %s", (_, outputs, inputCommitments) => {
    expect(() =>
      publicSignals(DOMAINS.gate, "InferenceBatchStatement", { ...batch, outputs, inputCommitments }),
    ).toThrow(expect.objectContaining({ code: "STATEMENT_INVALID" }));
  });

  it.each(["output", "inputCommitment", "adapterCommitment"])("refuse a %s above r", (field) => {
    const statement = { ...single, adapterCommitment: 3n, [field]: R };
    expect(() => publicSignals(DOMAINS.gate, "AdaptedInferenceStatement", statement)).toThrow(
      expect.objectContaining({ code: "STATEMENT_INVALID" }),
    );
  });
});

describe("strict JSON", () => {
  const revocation: Revocation = {
    taskId: digestOf("task"),
    token: `0x${"33".repeat(20)}`,
    datId: 5n,
    reason: "the data was made up",
    evidenceDigest: digestOf("evidence"),
    nonce: 1n,
    deadline: 2n,
  };
  const terms = (copy: ReturnType<typeof json>) => copy["asset"]!["terms"] as Record<string, unknown>;
  const json = () => statementToJson("DatasetStatement", dataset) as Record<string, Record<string, unknown>>;
  const refuse = (change: (copy: ReturnType<typeof json>) => void) => {
    const copy = structuredClone(json());
    change(copy);
    try {
      statementFromJson("DatasetStatement", copy, "statement");
    } catch (error) {
      return isAnchorError(error, "STATEMENT_INVALID");
    }
    return false;
  };

  it.each([
    ["a number for a decimal string", (copy: ReturnType<typeof json>) => void (copy["task"]!["nonce"] = 3)],
    ["a leading zero", (copy: ReturnType<typeof json>) => void (copy["task"]!["nonce"] = "03")],
    ["a sign", (copy: ReturnType<typeof json>) => void (copy["task"]!["nonce"] = "+3")],
    ["hexadecimal", (copy: ReturnType<typeof json>) => void (copy["task"]!["nonce"] = "0x3")],
    ["more than 256 bits", (copy: ReturnType<typeof json>) => void (copy["task"]!["nonce"] = (1n << 256n).toString())],
    ["a class above 8 bits", (copy: ReturnType<typeof json>) => void (copy["asset"]!["class"] = "256")],
    [
      "a checksummed address",
      (copy: ReturnType<typeof json>) => void (copy["task"]!["payee"] = `0x${"Aa".repeat(20)}`),
    ],
    ["a short address", (copy: ReturnType<typeof json>) => void (copy["task"]!["payee"] = "0x11")],
    ["a missing field", (copy: ReturnType<typeof json>) => void delete copy["task"]!["payee"]],
    ["an unknown field", (copy: ReturnType<typeof json>) => void (copy["task"]!["extra"] = "1")],
    ["an object for an array", (copy: ReturnType<typeof json>) => void (copy["asset"]!["parents"] = {})],
  ])("refuses %s", (_, change) => {
    expect(refuse(change)).toBe(true);
  });

  it.each([
    ["1 for true", (copy: ReturnType<typeof json>) => void (terms(copy)["transferable"] = 1)],
    ["a string for false", (copy: ReturnType<typeof json>) => void (terms(copy)["transferable"] = "false")],
    ["null for false", (copy: ReturnType<typeof json>) => void (terms(copy)["transferable"] = null)],
    ["an expiry above 64 bits", (copy: ReturnType<typeof json>) => void (terms(copy)["expiresAt"] = `${1n << 64n}`)],
    ["a share above 16 bits", (copy: ReturnType<typeof json>) => void (terms(copy)["shareBps"] = "65536")],
  ])("refuses %s in the terms", (_, change) => {
    expect(refuse(change)).toBe(true);
  });

  it("accepts what it writes", () => {
    expect(refuse(() => {})).toBe(false);
  });

  // An encoder writes the same three bytes for every half of a pair: the two would have one digest.
  it.each(["\ud800", "a\udfff", "\udc00\ud800"])(
    "has no string with half of a surrogate pair, nor a digest of one",
    (reason) => {
      const given = { ...revocation, reason };
      expect(() => revocationFromJson(revocationToJson(given), "revocation")).toThrow(
        expect.objectContaining({ code: "STATEMENT_INVALID" }),
      );
      expect(() => revocationDigest(DOMAINS.gate, given)).toThrow(expect.objectContaining({ code: "INPUT_INVALID" }));
      const paired = { ...revocation, reason: "\ud83d\ude00" };
      expect(revocationFromJson(revocationToJson(paired), "revocation")).toEqual(paired);
    },
  );
});

describe("DAT ids", () => {
  it("differ by class and commitment", () => {
    expect(new Set([datId(1n, digestOf("a")), datId(2n, digestOf("a")), datId(1n, digestOf("b"))]).size).toBe(3);
  });
});
