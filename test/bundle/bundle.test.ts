import { describe, expect, it } from "vitest";
import {
  type Bundle,
  bundleFromJson,
  bundleToJson,
  parseDocument,
  reviewDataset,
  reviewModel,
  type Trust,
  trustFromJson,
  trustToJson,
  verdictToJson,
  verifyBundle,
} from "../../src/bundle/index.js";
import { AnchorError } from "../../src/errors.js";
import { povDigest } from "../../src/protocol/pov.js";
import { signDigest } from "../../src/protocol/signature.js";
import { OPEN_TERMS, publicSignals, statementDigest } from "../../src/protocol/statements.js";
import { keyDigest } from "../../src/verifier/groth16.js";
import { rerandomise, simulateKey, simulateProof } from "../chain/simulated.js";
import { outcomeOf } from "../support/errors.js";
import { CONTRACTS, DOMAINS, EPOCH } from "../support/parties.js";
import {
  CREATOR,
  certify,
  DATASET_KEY,
  leaves,
  MODEL_KEY,
  makeBundle,
  NODE,
  NOW,
  request,
  signReceipt,
  submission,
  TRUST,
  USER,
  withLeaf,
} from "./fixture.js";

const honest = makeBundle();
const json = JSON.parse(JSON.stringify(bundleToJson(honest)));

/** Names of the claims that fail, or the code that the bundle is refused with. */
function failures(document: unknown, trust: Trust | undefined): string[] {
  try {
    const verdict = verifyBundle(document, trust);
    const failed = verdict.claims.filter(({ ok }) => !ok).map(({ id }) => id);
    expect(verdict.ok).toBe(failed.length === 0);
    return failed;
  } catch (error) {
    if (!(error instanceof AnchorError)) throw error;
    expect(error.code).not.toBe("INTERNAL");
    return [error.code];
  }
}

const check = (bundle: Bundle, trust = TRUST) => failures(bundleToJson(bundle), trust);

describe("an honest bundle", () => {
  it("holds, claim by claim, and says what it does not show", () => {
    const verdict = verifyBundle(json, TRUST);
    expect(verdict.ok).toBe(true);
    expect(verdict.claims.map(({ id }) => id)).toEqual([
      "dataset.key",
      "dataset.submission",
      "dataset.root",
      "dataset.request",
      "dataset.proof",
      "dataset.certificate",
      "model.key",
      "model.identity",
      "model.request",
      "model.sample",
      "model.certificate",
      "model.lineage",
      "inference.proof",
      "inference.receipt",
      "inference.assurance",
    ]);
    expect(verdict.format).toBe("anchorproof/verdict@2");
    expect(verdict.assurance.map(({ mode, holds }) => `${mode} ${holds}`)).toEqual([
      "ZK true",
      "TEE false",
      "TEE+ZK false",
      "OP true",
    ]);
    expect(verdict.notProven.join("\n")).toMatch(
      /development key[\s\S]*TEE[\s\S]*SHA-256[\s\S]*trained on[\s\S]*features/,
    );
  });

  it("survives a round trip, and gives two verifiers the same bytes", () => {
    expect(bundleToJson(bundleFromJson(json))).toEqual(json);
    const shuffled = Object.fromEntries(Object.entries(json).reverse());
    expect(verdictToJson(verifyBundle(shuffled, TRUST))).toBe(verdictToJson(verifyBundle(json, TRUST)));
  });

  it("is UNANCHORED without a trust file", () => {
    expect(failures(json, undefined)).toEqual(["UNANCHORED"]);
  });
});

describe("no value can be changed", () => {
  const paths = leaves(json);

  it("has leaves to change", () => {
    expect(paths.length).toBeGreaterThan(120);
  });

  it.each(paths.map((path) => [path.join("."), path] as const))("%s", (_, path) => {
    const changes: ((old: string) => unknown)[] = [
      () => null,
      // the smallest change that keeps the shape
      (old) => {
        if (/^\d+$/.test(old)) return (BigInt(old) + 1n).toString();
        if (old.startsWith("0x")) return old.slice(0, -1) + (old.endsWith("0") ? "1" : "0");
        return `${old}x`;
      },
      // another spelling of the same value
      (old) => (old.startsWith("0x") ? `0x${old.slice(2).toUpperCase()}` : ` ${old}`),
      (old) => (/^\d+$/.test(old) ? `0${old}` : `${old}00`),
      (old) => (/^\d+$/.test(old) ? Number(old) : null),
    ];
    for (const change of changes) {
      const changed = withLeaf(json, path, (old: unknown) => change(String(old)));
      if (JSON.stringify(changed) === JSON.stringify(json)) continue; // 0x of digits only has no upper case
      expect(failures(changed, TRUST)).not.toEqual([]);
    }
  });

  it("nor a field left out", () => {
    for (const path of paths) {
      const cut = structuredClone(json);
      let at = cut as Record<string | number, unknown>;
      for (const key of path.slice(0, -1)) at = at[key] as Record<string | number, unknown>;
      if (Array.isArray(at)) at.splice(Number(path.at(-1)), 1);
      else delete at[path.at(-1)!];
      expect(failures(cut, TRUST), path.join(".")).not.toEqual([]);
    }
  });

  it("nor an empty list filled", () => {
    const filled = withLeaf(json, ["dataset", "statement", "asset", "parents"], () => ["1"]);
    expect(failures(filled, TRUST)).toEqual(["dataset.request", "dataset.certificate"]);
  });

  it("nor a field added, anywhere", () => {
    const objects = [...new Set(paths.flatMap((path) => path.map((_, i) => JSON.stringify(path.slice(0, i)))))]
      .map((text) => JSON.parse(text) as (string | number)[])
      .filter((path) => path.length > 0);
    for (const path of objects) {
      const added = withLeaf(json, path, (old) =>
        Array.isArray(old) ? [...(old as unknown[]), "1"] : { ...(old as object), extra: "1" },
      );
      expect(failures(added, TRUST), `${path.join(".")} extended`).not.toEqual([]);
    }
  });

  it("nor can anything be hidden deep in a part that snarkjs would skip", () => {
    const deep = JSON.parse(`${"[".repeat(100_000)}${"]".repeat(100_000)}`);
    for (const at of [["dataset", "proof"], ["model", "verifyingKey"], ["inference", "receipt"], ["dataset"]]) {
      const hidden = withLeaf(json, at, (old: object) => ({ ...old, hidden: deep }));
      expect(failures(hidden, TRUST)).toHaveLength(1);
    }
    expect(failures(deep, TRUST)).toEqual(["BUNDLE_INVALID"]);
    for (const at of paths)
      expect(
        failures(
          withLeaf(json, at, () => deep),
          TRUST,
        ),
        at.join("."),
      ).toHaveLength(1);
  });

  it("nor a curve's name, which snarkjs would read either way", () => {
    const alias = withLeaf(json, ["dataset", "proof", "curve"], () => "bn254");
    expect(failures(alias, TRUST)).toEqual(["BUNDLE_INVALID"]);
  });
});

describe("documents have one spelling", () => {
  const text = JSON.stringify(json);

  it("white space aside", () => {
    expect(parseDocument(text)).toEqual(json);
    expect(parseDocument(JSON.stringify(json, null, "\t"))).toEqual(json);
    expect(parseDocument(` ${JSON.stringify({ "a b": 'c \n" d' })}\n`)).toEqual({ "a b": 'c \n" d' });
  });

  it.each([
    ["a key twice, the first ignored by JavaScript", text.replace('"output":"1"', '"output":"0","output":"1"')],
    ["a part twice", text.replace('"inference":{', '"inference":{"note":"anything"},"inference":{')],
    ["an escaped letter", text.replace('"output"', '"\\u006futput"')],
    ["a number with a fraction", text.replace('"nPublic":4', '"nPublic":4.0')],
    ["a number with an exponent", text.replace('"nPublic":4', '"nPublic":4e0')],
    ["no JSON", text.slice(1)],
    ["a byte order mark", `\ufeff${text}`],
    ["nesting without end", "[".repeat(200_000) + "]".repeat(200_000)],
  ])("refuses %s", (_, changed) => {
    expect(changed).not.toBe(text);
    expect(() => parseDocument(changed)).toThrow(expect.objectContaining({ code: "JSON_MALFORMED" }));
  });
});

describe("changes with every unkeyed hash recomputed", () => {
  it("the submission, its digest in the statement, and the statement's digests", () => {
    const pov = { ...honest.dataset.pov, records: 301n };
    const statement = {
      ...honest.dataset.statement,
      asset: { ...honest.dataset.statement.asset, metadataDigest: povDigest(DOMAINS.gate, pov) },
    };
    expect(check({ ...honest, dataset: { ...honest.dataset, pov, statement } })).toEqual([
      "dataset.submission",
      "dataset.root",
      "dataset.request",
      "dataset.certificate",
    ]);
  });

  it.each([
    ["records", { records: 299n }],
    ["blocks", { blocks: 399n }],
    ["values", { values: 14_000n }],
    ["columns", { schema: `0x00${"11".repeat(31)}` as const }],
    ["the top of the tree", { top: `0x00${"22".repeat(31)}` as const }],
    ["another height", { depth: 4n }],
  ])("%s of the submission by its creator, who signs everything again under the old root", (_, change) => {
    const pov = { ...honest.dataset.pov, ...change };
    const povSignature = signDigest(CREATOR.secretKey, povDigest(DOMAINS.gate, pov));
    const { asset } = honest.dataset.statement;
    const statement = {
      ...honest.dataset.statement,
      asset: { ...asset, metadataDigest: povDigest(DOMAINS.gate, pov) },
    };
    const statementSignature = request("DatasetStatement", statement);
    const failed = check({
      ...honest,
      dataset: { ...honest.dataset, pov, povSignature, statement, statementSignature },
    });
    expect(failed).toEqual(["dataset.root", "dataset.certificate"]);
  });

  it("a tree that is higher than it has to be, under its own root", () => {
    const pov = submission({ depth: 4n });
    const povSignature = signDigest(CREATOR.secretKey, povDigest(DOMAINS.gate, pov));
    expect(check({ ...honest, dataset: { ...honest.dataset, pov, povSignature } })).toContain("dataset.root");
  });

  it("the same, signed by a creator of one's own", () => {
    const pov = { ...honest.dataset.pov, creator: NODE.account };
    const povSignature = signDigest(NODE.secretKey, povDigest(DOMAINS.gate, pov));
    const { asset, task } = honest.dataset.statement;
    const statement = {
      ...honest.dataset.statement,
      task: { ...task, requester: NODE.account },
      asset: { ...asset, metadataDigest: povDigest(DOMAINS.gate, pov) },
    };
    const statementSignature = request("DatasetStatement", statement, NODE);
    const failed = check({
      ...honest,
      dataset: { ...honest.dataset, pov, povSignature, statement, statementSignature },
    });
    expect(failed).toEqual(["dataset.proof", "dataset.certificate"]);
  });

  it("the answer, and the receipt's hashes of it", () => {
    const statement = { ...honest.inference.statement, output: 0n };
    const receipt = {
      ...honest.inference.receipt,
      responseHash: statementDigest(DOMAINS.gate, "InferenceStatement", statement),
    };
    expect(check({ ...honest, inference: { ...honest.inference, statement, receipt } })).toEqual([
      "inference.proof",
      "inference.receipt",
      "inference.assurance",
    ]);
  });

  it("the answer with a receipt that both parties sign again: the proof still says no", () => {
    const statement = { ...honest.inference.statement, output: 0n };
    const receipt = {
      ...honest.inference.receipt,
      responseHash: statementDigest(DOMAINS.gate, "InferenceStatement", statement),
    };
    const inference = { ...honest.inference, statement, receipt, signatures: signReceipt(receipt) };
    expect(check({ ...honest, inference })).toEqual(["inference.proof", "inference.receipt", "inference.assurance"]);
  });
});

describe("evidence from elsewhere", () => {
  it("re-randomised proofs are other evidence than was voted for and paid for", () => {
    const dataset = { ...honest.dataset, proof: rerandomise(honest.dataset.proof) };
    const model = { ...honest.model, proof: rerandomise(honest.model.proof) };
    const inference = { ...honest.inference, proof: rerandomise(honest.inference.proof) };
    expect(check({ dataset, model, inference })).toEqual([
      "dataset.certificate",
      "model.certificate",
      "model.lineage",
      "inference.receipt",
    ]);
  });

  it("a bundle under self-made keys is consistent and shows nothing", () => {
    const keys = { dataset: simulateKey(4, "own dataset"), model: simulateKey(3, "own model") };
    const failed = check(makeBundle(keys));
    expect(failed).toContain("dataset.key");
    expect(failed).toContain("model.key");
    expect(failed).toContain("dataset.proof");
    expect(failed).toContain("inference.proof");
    // only the key is to blame: under a trust file that holds it, everything else stands
    const [first, second] = TRUST.keys;
    const trusting = {
      ...TRUST,
      keys: [
        { ...first!, keyDigest: keyDigest(keys.dataset.vkey) },
        { ...second!, keyDigest: keyDigest(keys.model.vkey) },
      ],
    };
    expect(check(makeBundle(keys), trusting)).toEqual([]);
  });

  it("the dataset's key does not serve for inferences, nor a model's for another model", () => {
    const swapped = { ...TRUST, keys: TRUST.keys.map((key) => ({ ...key, circuit: "dataset-chunk" as const })) };
    expect(check(honest, swapped)).toContain("model.key");
    const other = {
      ...TRUST,
      keys: [TRUST.keys[0]!, { ...TRUST.keys[1]!, modelDigest: TRUST.keys[0]!.circuitDigest }],
    };
    expect(check(honest, other)).toContain("model.identity");
    expect(check(honest, other)).toContain("inference.proof");
  });

  it("a forgeable key fails even if a trust file names it", () => {
    const bad = simulateKey(3, "own model");
    const forged = { ...bad, vkey: { ...bad.vkey, delta: bad.vkey.gamma } };
    const trust = { ...TRUST, keys: [TRUST.keys[0]!, { ...TRUST.keys[1]!, keyDigest: keyDigest(forged.vkey) }] };
    const verdict = verifyBundle(
      bundleToJson({ ...honest, model: { ...honest.model, verifyingKey: forged.vkey } }),
      trust,
    );
    expect(verdict.claims.find(({ id }) => id === "model.key")?.failure?.code).toBe("KEY_FORGEABLE");
  });

  it.each([
    ["another chain", { chainId: 1n }],
    ["another gate", { contracts: { ...TRUST.contracts, gate: TRUST.contracts.token } }],
  ])("%s", (_, change) => {
    expect(check(honest, { ...TRUST, ...change })).toEqual(
      expect.arrayContaining(["dataset.submission", "dataset.proof", "model.sample", "inference.proof"]),
    );
  });

  it("another quorum contract, another epoch, another quorum", () => {
    const contracts = { ...TRUST.contracts, quorum: TRUST.contracts.token };
    expect(check(honest, { ...TRUST, contracts })).toEqual([
      "dataset.certificate",
      "model.certificate",
      "model.lineage",
    ]);
    expect(check(honest, { ...TRUST, epochs: [{ ...EPOCH, epoch: 2n }] })).toContain("dataset.certificate");
    const members = [{ account: `0x${"00".repeat(19)}01` as const, weight: 100n }, ...EPOCH.members.slice(1)];
    expect(check(honest, { ...TRUST, epochs: [{ epoch: 1n, members }] })).toContain("dataset.certificate");
  });

  it("a receipt for another token, question or version, though both signed it", () => {
    for (const change of [
      { datId: 1n },
      { requestHash: TRUST.keys[0]!.keyDigest },
      { parameterVersion: 2n },
      { cost: 2001n },
    ]) {
      const receipt = { ...honest.inference.receipt, ...change };
      const inference = { ...honest.inference, receipt, signatures: signReceipt(receipt) };
      expect(check({ ...honest, inference })).toEqual(["inference.receipt"]);
    }
  });

  it("a model whose parents do not include the dataset, though the quorum voted for it", () => {
    const statement = { ...honest.model.statement, asset: { ...honest.model.statement.asset, parents: [5n] } };
    const proof = simulateProof(MODEL_KEY, publicSignals(DOMAINS.gate, "ModelStatement", statement), "sample");
    const statementSignature = request("ModelStatement", statement);
    const evidence = { statement, statementSignature, proof, verifyingKey: MODEL_KEY.vkey };
    const { evidenceDigest } = reviewModel(TRUST, evidence, NOW);
    const certificate = certify(statement.sample.task.taskId, {
      statementDigest: statementDigest(DOMAINS.gate, "ModelStatement", statement),
      evidenceDigest,
    });
    expect(check({ ...honest, model: { ...evidence, certificate } })).toEqual(["model.lineage"]);
  });

  it("a token of another contract than the verifier's, though requester and quorum signed it", () => {
    const { certificate: _, ...dataset } = honest.dataset;
    const trusted = { ...TRUST, contracts: { ...CONTRACTS, token: CONTRACTS.gate } };
    const asset = { ...dataset.statement.asset, token: CONTRACTS.gate };
    const statement = { ...dataset.statement, asset };
    const statementSignature = request("DatasetStatement", statement);
    const evidence = { ...dataset, statement, statementSignature };
    const certificate = certify(statement.task.taskId, {
      statementDigest: statementDigest(DOMAINS.gate, "DatasetStatement", statement),
      evidenceDigest: reviewDataset(trusted, evidence, NOW).evidenceDigest,
    });
    const bundle = { ...honest, dataset: { ...evidence, certificate } };
    expect(check(bundle)).toEqual(["dataset.request"]);
    expect(check(bundle, trusted)).toEqual(["model.request"]);
  });

  it("a development key on any other chain than 31337, though the trust file names it", () => {
    const verdict = verifyBundle(json, { ...TRUST, chainId: 1n });
    const codes = verdict.claims.filter(({ id }) => id.endsWith(".key")).map(({ failure }) => failure?.code);
    expect(codes).toEqual(["KEY_DEVELOPMENT", "KEY_DEVELOPMENT"]);
  });

  it("a receipt in another currency, or for the sample that the model was minted with", () => {
    const foreign = { ...honest.inference.receipt, token: TRUST.contracts.token };
    const inference = { ...honest.inference, receipt: foreign, signatures: signReceipt(foreign) };
    expect(check({ ...honest, inference })).toEqual(["inference.receipt"]);
    const trusting = (currencies: `0x${string}`[]) => ({ ...TRUST, settlement: { ...TRUST.settlement, currencies } });
    expect(check({ ...honest, inference }, trusting([foreign.token]))).toEqual([]);
    expect(check(honest, trusting([foreign.token]))).toEqual(["inference.receipt"]);
    expect(trustFromJson(JSON.parse(JSON.stringify(trustToJson(trusting([foreign.token])))))).toEqual(
      trusting([foreign.token]),
    );
    expect(() => trustFromJson(trustToJson(trusting([foreign.token, foreign.token])))).toThrow(AnchorError);
    const { statement, proof } = honest.model;
    const sold = { ...honest.inference, statement: statement.sample, proof };
    expect(check({ ...honest, inference: sold })).toEqual(["inference.receipt"]);
  });
});

describe("a validator's review", () => {
  const { certificate: _, ...evidence } = honest.dataset;
  /** Names of the claims for which a review refuses. */
  const rejected = (run: () => unknown): string[] => {
    try {
      run();
      return [];
    } catch (error) {
      expect((error as AnchorError).code).toBe("VERDICT_REJECTED");
      return ((error as AnchorError).details["claims"] as { id: string }[]).map(({ id }) => id);
    }
  };

  it("accepts honest evidence and gives the digests to vote on", () => {
    const digests = reviewDataset(TRUST, evidence, NOW);
    expect(digests.statementDigest).toBe(statementDigest(DOMAINS.gate, "DatasetStatement", evidence.statement));
  });

  it("does not blame the creator for a clock that is none", () => {
    for (const now of [1, Number.NaN, undefined, "1", -1n]) {
      expect(outcomeOf(() => reviewDataset(TRUST, evidence, now as bigint))).toBe("INPUT_INVALID");
    }
  });

  it("refuses a passed deadline, a stale or early submission, and a wrong proof", () => {
    expect(outcomeOf(() => reviewDataset(TRUST, evidence, NOW + 3601n))).toBe("DEADLINE_PASSED");
    expect(outcomeOf(() => reviewDataset(TRUST, evidence, NOW + 3600n))).toBe("accepted");
    expect(outcomeOf(() => reviewDataset(TRUST, evidence, NOW - 301n))).toBe("VERDICT_REJECTED");
    const pov = { ...evidence.pov, timestamp: NOW - 8n * 86_400n };
    expect(outcomeOf(() => reviewDataset(TRUST, { ...evidence, pov }, NOW))).toBe("VERDICT_REJECTED");
    const proof = simulateProof(DATASET_KEY, [1n, 2n, 3n, 4n]);
    expect(outcomeOf(() => reviewDataset(TRUST, { ...evidence, proof }, NOW))).toBe("VERDICT_REJECTED");
  });

  it("refuses a token for someone else than the creator", () => {
    const statement = { ...evidence.statement, task: { ...evidence.statement.task, requester: USER.account } };
    const proof = simulateProof(DATASET_KEY, publicSignals(DOMAINS.gate, "DatasetStatement", statement));
    const statementSignature = request("DatasetStatement", statement, USER);
    expect(CREATOR.account).not.toBe(USER.account);
    expect(rejected(() => reviewDataset(TRUST, { ...evidence, statement, statementSignature, proof }, NOW))).toEqual([
      "dataset.submission",
    ]);
  });

  // The proof binds neither supply nor parents nor terms nor metadata: whoever carries the evidence could change them.
  it.each([
    ["a raised supply", { supply: 10n ** 30n }],
    ["no supply", { supply: 0n }],
    ["a parent", { parents: [123n] }],
    ["another contract's token", { token: CONTRACTS.gate }],
    ["a file", { fileId: 1n }],
    ["other terms", { terms: { ...OPEN_TERMS, transferable: false } }],
  ])("refuses a dataset's token changed on its way to the validators: %s", (_, change) => {
    const statement = { ...evidence.statement, asset: { ...evidence.statement.asset, ...change } };
    expect(rejected(() => reviewDataset(TRUST, { ...evidence, statement }, NOW))).toEqual(["dataset.request"]);
  });

  it.each([
    ["another supply", { supply: 5n }],
    ["no parent", { parents: [] }],
    ["other metadata", { metadataDigest: TRUST.keys[0]!.keyDigest }],
    ["another contract's token", { token: CONTRACTS.gate }],
    ["a larger share", { terms: { ...OPEN_TERMS, shareBps: 5000n } }],
  ])("refuses a model's token changed on its way to the validators: %s", (_, change) => {
    const { certificate: __, ...model } = honest.model;
    const statement = { ...model.statement, asset: { ...model.statement.asset, ...change } };
    expect(rejected(() => reviewModel(TRUST, { ...model, statement }, NOW))).toEqual(["model.request"]);
  });

  it("refuses what the gate would refuse, though the requester signed it", () => {
    const { statement } = evidence;
    for (const change of [
      { supply: 0n },
      { parents: [1n, 1n] },
      { parents: Array.from({ length: 17 }, (_, i) => BigInt(i)) },
      { token: CONTRACTS.gate },
      { terms: { ...OPEN_TERMS, shareBps: 5001n } },
      { terms: { ...OPEN_TERMS, expiresAt: NOW } },
    ]) {
      const asked = { ...statement, asset: { ...statement.asset, ...change } };
      const statementSignature = request("DatasetStatement", asked);
      expect(rejected(() => reviewDataset(TRUST, { ...evidence, statement: asked, statementSignature }, NOW))).toEqual([
        "dataset.request",
      ]);
    }
  });

  it.each([
    ["no records", { chunkRecords: 0n }],
    ["fewer than there are", { chunkRecords: 127n }],
    ["more than are left in the last chunk", { chunkIndex: 2n, chunkRecords: 128n }],
    ["fewer than are left in the last chunk", { chunkIndex: 2n, chunkRecords: 43n }],
    ["a chunk behind the end", { chunkIndex: 3n, chunkRecords: 128n }],
    ["a chunk behind the end, empty", { chunkIndex: 3n, chunkRecords: 0n }],
  ])("refuses a proof that contradicts the submission's size: %s", (_, change) => {
    const statement = { ...evidence.statement, ...change };
    const proof = simulateProof(DATASET_KEY, publicSignals(DOMAINS.gate, "DatasetStatement", statement));
    const statementSignature = request("DatasetStatement", statement);
    expect(rejected(() => reviewDataset(TRUST, { ...evidence, statement, statementSignature, proof }, NOW))).toEqual([
      "dataset.submission",
    ]);
  });

  it("accepts the short last chunk with its own length", () => {
    const statement = { ...evidence.statement, chunkIndex: 2n, chunkRecords: 44n };
    const proof = simulateProof(DATASET_KEY, publicSignals(DOMAINS.gate, "DatasetStatement", statement));
    const statementSignature = request("DatasetStatement", statement);
    expect(rejected(() => reviewDataset(TRUST, { ...evidence, statement, statementSignature, proof }, NOW))).toEqual(
      [],
    );
  });
});

describe("the trust file", () => {
  const trust = JSON.parse(JSON.stringify(trustToJson(TRUST)));

  it("survives a round trip", () => {
    expect(trustFromJson(trust)).toEqual(TRUST);
  });

  it.each(leaves(trust).map((path) => [path.join("."), path] as const))("refuses nonsense at %s", (_, path) => {
    for (const nonsense of [null, "", "0xZZ", -1, {}, [], "00"]) {
      expect(() => trustFromJson(withLeaf(trust, path, () => nonsense))).toThrow(AnchorError);
    }
  });

  it("refuses unordered or repeated members, shares that do not add up, and a model digest on a dataset key", () => {
    const members = trust.epochs[0].members;
    for (const changed of [
      withLeaf(trust, ["epochs", 0, "members"], () => [...members].reverse()),
      withLeaf(trust, ["epochs", 0, "members"], () => [members[0], members[0]]),
      withLeaf(trust, ["settlement", "shares", "pool"], () => "1001"),
      withLeaf(trust, ["keys", 0], (key: object) => ({ ...key, modelDigest: TRUST.keys[0]!.keyDigest })),
      withLeaf(trust, ["keys", 1, "keyDigest"], () => trust.keys[0].keyDigest),
      withLeaf(trust, ["epochs"], () => [trust.epochs[0], trust.epochs[0]]),
    ]) {
      expect(() => trustFromJson(changed)).toThrow(AnchorError);
    }
  });
});
