/** A whole bundle under simulated keys (known trapdoor, valid proofs in milliseconds), and the trust that fits it. */
import { sha256 } from "@noble/hashes/sha2.js";
import { type Bundle, documentDigest, type Trust } from "../../src/bundle/index.js";
import { hashRoot } from "../../src/dataset/layout.js";
import { toHex, utf8 } from "../../src/field/bytes.js";
import { bigIntToBytes } from "../../src/field/scalar.js";
import { type PointOfView, povDigest } from "../../src/protocol/pov.js";
import { assembleCertificate, type Certificate, signVote, VERDICTS } from "../../src/protocol/quorum.js";
import { type Receipt, receiptDigest } from "../../src/protocol/settlement.js";
import { signDigest } from "../../src/protocol/signature.js";
import {
  type DatasetStatement,
  datId,
  type InferenceStatement,
  type ModelStatement,
  OPEN_TERMS,
  publicSignals,
  type Statements,
  statementDigest,
  type Task,
} from "../../src/protocol/statements.js";
import { keyDigest, type Proof } from "../../src/verifier/groth16.js";
import { verifyStatement } from "../../src/verifier/statement.js";
import { simulateKey, simulateProof } from "../chain/simulated.js";
import { CONTRACTS, DOMAINS, digestOf, EPOCH, party, trustWith, VALIDATORS } from "../support/parties.js";

export const CREATOR = party("creator");
export const NODE = party("node");
export const USER = party("user");
export const DATASET_KEY = simulateKey(4, "bundle dataset");
export const MODEL_KEY = simulateKey(3, "bundle model");
export const MODEL_DIGEST = digestOf("model");

export const NOW = 1_800_000_000n;

export const TRUST: Trust = trustWith([
  {
    circuit: "dataset-chunk",
    keyDigest: keyDigest(DATASET_KEY.vkey),
    circuitDigest: digestOf("dataset circuit"),
    development: true,
  },
  {
    circuit: "inference",
    keyDigest: keyDigest(MODEL_KEY.vkey),
    circuitDigest: digestOf("model circuit"),
    modelDigest: MODEL_DIGEST,
    development: true,
  },
]);

function task(label: string, key: typeof DATASET_KEY, requester = CREATOR, payee = CREATOR): Task {
  return {
    keyDigest: keyDigest(key.vkey),
    taskId: digestOf(`task ${label}`),
    requester: requester.account,
    payee: payee.account,
    nonce: 7n,
    deadline: NOW + 3600n,
  };
}

/** What both assets of the bundle have. */
const ASSET = { token: CONTRACTS.token, fileId: 0n, supply: 1n, parents: [] as bigint[], terms: OPEN_TERMS };

/** Votes of the first `voters` validators. */
export function certify(
  taskId: `0x${string}`,
  digests: { statementDigest: `0x${string}`; evidenceDigest: `0x${string}` },
  voters = 4,
): Certificate {
  const ballot = { epoch: 1n, taskId, round: 0n, verdict: VERDICTS.accept, ...digests };
  const signatures = VALIDATORS.slice(0, voters).map(({ secretKey }) => signVote(DOMAINS.quorum, ballot, secretKey));
  return assembleCertificate(DOMAINS.quorum, EPOCH, { taskId, round: 0n, ...digests }, signatures);
}

/** Both parties' signatures. */
export function signReceipt(receipt: Receipt): { user: `0x${string}`; node: `0x${string}` } {
  const digest = receiptDigest(DOMAINS.settlement, receipt);
  return { user: signDigest(USER.secretKey, digest), node: signDigest(NODE.secretKey, digest) };
}

/** The requester's signature over a statement; the creator's unless told. */
export function request<N extends "DatasetStatement" | "ModelStatement">(
  name: N,
  statement: Statements[N],
  by = CREATOR,
): `0x${string}` {
  return signDigest(by.secretKey, statementDigest(DOMAINS.gate, name, statement));
}

/** A submission of 300 records, which are three chunks. A change of what the root is the hash of changes the root. */
export function submission(change: Partial<PointOfView> = {}): PointOfView {
  const pov: PointOfView = {
    dataHash: digestOf("file"),
    dataTag: "dataset metadata",
    dataType: "mixed",
    dataSize: 17_000n,
    parts: [
      {
        role: "prompt",
        name: "question",
        dtype: "text",
        shape: [5n],
        size: 5n,
        record: 0n,
        digest: toHex(sha256(utf8("hello"))),
        data: toHex(utf8("hello")),
      },
      {
        role: "voice",
        name: "answer.wav",
        dtype: "i16",
        shape: [1000n, 2n],
        size: 4000n,
        record: 7n,
        digest: `0x${"00".repeat(32)}`,
        data: "0x",
      },
    ],
    timestamp: NOW,
    proofs: [{ kind: "content", digest: digestOf("proofs") }],
    creator: CREATOR.account,
    dataRoot: "0x",
    depth: 2n,
    top: `0x00${digestOf("top").slice(4)}`,
    records: 300n,
    blocks: 400n,
    values: 15_000n,
    schema: `0x${"00".repeat(32)}`,
    ...change,
  };
  const totals = { records: Number(pov.records), blocks: Number(pov.blocks), values: Number(pov.values) };
  const root = hashRoot({ depth: Number(pov.depth), top: BigInt(pov.top), totals, schema: BigInt(pov.schema) });
  return { ...pov, dataRoot: toHex(bigIntToBytes(root, 32)) };
}

/** An honest bundle. `keys` replaces the keys that it is made with, everything else consistently so. */
export function makeBundle(keys = { dataset: DATASET_KEY, model: MODEL_KEY }): Bundle {
  const domain = DOMAINS.gate;
  const pov = submission();
  const statement: DatasetStatement = {
    task: task("dataset", keys.dataset),
    asset: {
      ...ASSET,
      class: 1n,
      commitment: pov.dataRoot,
      metadataDigest: povDigest(domain, pov),
    },
    chunkIndex: 1n,
    chunkRecords: 128n,
  };
  const proof = simulateProof(keys.dataset, publicSignals(domain, "DatasetStatement", statement), "dataset");
  const evidence = (name: "DatasetStatement" | "ModelStatement", value: never, of: typeof MODEL_KEY, by: Proof) => ({
    statementDigest: statementDigest(domain, name, value),
    evidenceDigest: verifyStatement(domain, name, value, of.vkey, by).evidenceDigest,
  });

  const sample: InferenceStatement = {
    task: task("sample", keys.model),
    modelDigest: MODEL_DIGEST,
    output: 0n,
    inputCommitment: 4242n,
  };
  const modelStatement: ModelStatement = {
    asset: {
      ...ASSET,
      class: 2n,
      commitment: MODEL_DIGEST,
      metadataDigest: documentDigest({ name: "spam" }),
      parents: [datId(1n, pov.dataRoot)],
    },
    circuitDigest: digestOf("model circuit"),
    sample,
  };
  const sampleProof = simulateProof(keys.model, publicSignals(domain, "ModelStatement", modelStatement), "sample");

  const answer: InferenceStatement = {
    task: task("inference", keys.model, USER, NODE),
    modelDigest: MODEL_DIGEST,
    output: 1n,
    inputCommitment: 99n,
  };
  const answerProof = simulateProof(keys.model, publicSignals(domain, "InferenceStatement", answer), "answer");
  const receipt: Receipt = {
    user: USER.account,
    node: NODE.account,
    datId: datId(2n, MODEL_DIGEST),
    nonce: 1n,
    cost: 1001n,
    costCap: 2000n,
    token: `0x${"00".repeat(20)}`,
    parameterVersion: 1n,
    deadline: NOW + 3600n,
    usage: 1n,
    requestHash: toHex(bigIntToBytes(answer.inputCommitment, 32)),
    responseHash: statementDigest(domain, "InferenceStatement", answer),
    evidenceDigest: verifyStatement(domain, "InferenceStatement", answer, keys.model.vkey, answerProof).evidenceDigest,
  };
  return {
    dataset: {
      pov,
      povSignature: signDigest(CREATOR.secretKey, povDigest(domain, pov)),
      statement,
      statementSignature: request("DatasetStatement", statement),
      proof,
      verifyingKey: keys.dataset.vkey,
      certificate: certify(
        statement.task.taskId,
        evidence("DatasetStatement", statement as never, keys.dataset, proof),
      ),
    },
    model: {
      statement: modelStatement,
      statementSignature: request("ModelStatement", modelStatement),
      proof: sampleProof,
      verifyingKey: keys.model.vkey,
      certificate: certify(
        sample.task.taskId,
        evidence("ModelStatement", modelStatement as never, keys.model, sampleProof),
      ),
    },
    inference: { statement: answer, proof: answerProof, receipt, signatures: signReceipt(receipt) },
  };
}

/** Every leaf of a JSON document, as a path. */
export function leaves(value: unknown, path: (string | number)[] = []): (string | number)[][] {
  if (Array.isArray(value)) return value.flatMap((item, i) => leaves(item, [...path, i]));
  if (typeof value === "object" && value !== null) {
    return Object.entries(value).flatMap(([key, item]) => leaves(item, [...path, key]));
  }
  return [path];
}

/** A copy with one leaf changed. */
export function withLeaf(
  document: unknown,
  path: readonly (string | number)[],
  change: (old: never) => unknown,
): unknown {
  const copy = structuredClone(document);
  let at = copy as Record<string | number, unknown>;
  for (const key of path.slice(0, -1)) at = at[key] as Record<string | number, unknown>;
  const last = path.at(-1)!;
  at[last] = change(at[last] as never);
  return copy;
}
