/**
 * What is proven: typed statements, and how a verifier turns one into the public signals of its circuit.
 *
 * A statement says everything that its proof is bound to. Nobody passes public signals around: whoever verifies builds
 * them from the statement that it expects, here and in `verifier-contracts/src/gate/Statements.sol`, word for word alike.
 *
 * The digest of a statement (EIP-712, under the gate's domain) is what gets used up on chain, never the proof.
 *
 * @module
 */
import { AnchorError } from "../errors.js";
import { concat, fromHex, type Hex, keccak, tag, toHex, word } from "../field/bytes.js";
import { commitBatch, MAX_BATCH } from "../field/chain.js";
import { isScalar } from "../field/scalar.js";
import { type Domain, structFromJson, structToJson, type TypeTable, typedDigest } from "./eip712.js";

/** Whom a proof is for, under which key, and until when. Hashed into the `context` signal that every circuit has. */
export interface Task {
  keyDigest: Hex;
  taskId: Hex;
  /** Who asked; a minted DAT goes to this account. */
  requester: Hex;
  /** Who did the work. */
  payee: Hex;
  nonce: bigint;
  /** Unix seconds; the last block time at which the statement is accepted. */
  deadline: bigint;
}

export const ASSET_CLASSES = { dataset: 1n, model: 2n, adapter: 3n, inference: 4n } as const;

/** What holders of a token may do with it, and what whoever builds on it owes. */
export interface Terms {
  /** Unix seconds; 0 for never. */
  expiresAt: bigint;
  /** Settled receipts in all; 0 for no limit. */
  maxUses: bigint;
  /** Basis points of a derived token's creator share; also the ERC-2981 royalty. */
  shareBps: bigint;
  transferable: boolean;
}

/** No expiry, no limit, no royalty, free to pass on. */
export const OPEN_TERMS: Terms = { expiresAt: 0n, maxUses: 0n, shareBps: 0n, transferable: true };

/** The token that a statement asks for. */
export interface Asset {
  /** The contract that is to hold it. */
  token: Hex;
  /** The file's number in LazAI's DataRegistry; 0 for none. */
  fileId: bigint;
  class: bigint;
  /** Dataset root, model digest, adapter commitment, or an inference's statement digest. */
  commitment: Hex;
  /** Digest of what describes the asset: of the POV for a dataset. */
  metadataDigest: Hex;
  supply: bigint;
  /** DAT ids of what it was made from. */
  parents: bigint[];
  terms: Terms;
}

/** "The payee knows the descriptions of the `chunkRecords` records of chunk `chunkIndex` under the root `asset.commitment`." */
export interface DatasetStatement {
  task: Task;
  asset: Asset;
  chunkIndex: bigint;
  chunkRecords: bigint;
}

/** "The model, on the input behind `inputCommitment`, gives `output`." */
export interface InferenceStatement {
  task: Task;
  modelDigest: Hex;
  output: bigint;
  inputCommitment: bigint;
}

/** "The model with the private adapter behind `adapterCommitment`, on the input behind `inputCommitment`, gives `output`." */
export interface AdaptedInferenceStatement extends InferenceStatement {
  adapterCommitment: bigint;
}

/**
 * "The model, on the inputs behind `inputCommitments`, gives `outputs`, one each, in this order": at least two, proven
 * at once. The proof's signals hold one digest of each list (`commitBatch`), so a verifier needs both lists, whole.
 */
export interface InferenceBatchStatement {
  task: Task;
  modelDigest: Hex;
  outputs: bigint[];
  inputCommitments: bigint[];
}

/** A batch with one private adapter for all. */
export interface AdaptedInferenceBatchStatement extends InferenceBatchStatement {
  adapterCommitment: bigint;
}

/** "This model has this circuit", shown by a sample inference under the key that is to be registered for it. */
export interface ModelStatement {
  asset: Asset;
  circuitDigest: Hex;
  sample: InferenceStatement;
}

/**
 * "The payee holds the adapter behind `asset.commitment`", shown by a sample inference with it: the adapter's commitment is
 * the sample's, and the model is among the parents.
 */
export interface AdapterStatement {
  asset: Asset;
  sample: AdaptedInferenceStatement;
}

/** "This inference is to be a token": its commitment is the inference's statement digest, and the model is among the parents. */
export interface InferenceAssetStatement {
  asset: Asset;
  inference: InferenceStatement;
}

/** "This token is not to count as verified any more." Voted on like a statement; there is no proof of it. */
export interface Revocation {
  taskId: Hex;
  token: Hex;
  datId: bigint;
  reason: string;
  /** Names what the voters saw. */
  evidenceDigest: Hex;
  nonce: bigint;
  /** Unix seconds; the last block time at which it is accepted. */
  deadline: bigint;
}

export interface Statements {
  DatasetStatement: DatasetStatement;
  InferenceStatement: InferenceStatement;
  AdaptedInferenceStatement: AdaptedInferenceStatement;
  InferenceBatchStatement: InferenceBatchStatement;
  AdaptedInferenceBatchStatement: AdaptedInferenceBatchStatement;
  ModelStatement: ModelStatement;
  AdapterStatement: AdapterStatement;
  InferenceAssetStatement: InferenceAssetStatement;
}

export type StatementName = keyof Statements;

export const STATEMENT_TYPES: TypeTable = {
  Task: [
    { name: "keyDigest", type: "bytes32" },
    { name: "taskId", type: "bytes32" },
    { name: "requester", type: "address" },
    { name: "payee", type: "address" },
    { name: "nonce", type: "uint256" },
    { name: "deadline", type: "uint256" },
  ],
  Terms: [
    { name: "expiresAt", type: "uint64" },
    { name: "maxUses", type: "uint64" },
    { name: "shareBps", type: "uint16" },
    { name: "transferable", type: "bool" },
  ],
  Asset: [
    { name: "token", type: "address" },
    { name: "fileId", type: "uint256" },
    { name: "class", type: "uint8" },
    { name: "commitment", type: "bytes32" },
    { name: "metadataDigest", type: "bytes32" },
    { name: "supply", type: "uint256" },
    { name: "parents", type: "uint256[]" },
    { name: "terms", type: "Terms" },
  ],
  DatasetStatement: [
    { name: "task", type: "Task" },
    { name: "asset", type: "Asset" },
    { name: "chunkIndex", type: "uint256" },
    { name: "chunkRecords", type: "uint256" },
  ],
  InferenceStatement: [
    { name: "task", type: "Task" },
    { name: "modelDigest", type: "bytes32" },
    { name: "output", type: "uint256" },
    { name: "inputCommitment", type: "uint256" },
  ],
  AdaptedInferenceStatement: [
    { name: "task", type: "Task" },
    { name: "modelDigest", type: "bytes32" },
    { name: "output", type: "uint256" },
    { name: "inputCommitment", type: "uint256" },
    { name: "adapterCommitment", type: "uint256" },
  ],
  InferenceBatchStatement: [
    { name: "task", type: "Task" },
    { name: "modelDigest", type: "bytes32" },
    { name: "outputs", type: "uint256[]" },
    { name: "inputCommitments", type: "uint256[]" },
  ],
  AdaptedInferenceBatchStatement: [
    { name: "task", type: "Task" },
    { name: "modelDigest", type: "bytes32" },
    { name: "outputs", type: "uint256[]" },
    { name: "inputCommitments", type: "uint256[]" },
    { name: "adapterCommitment", type: "uint256" },
  ],
  ModelStatement: [
    { name: "asset", type: "Asset" },
    { name: "circuitDigest", type: "bytes32" },
    { name: "sample", type: "InferenceStatement" },
  ],
  AdapterStatement: [
    { name: "asset", type: "Asset" },
    { name: "sample", type: "AdaptedInferenceStatement" },
  ],
  InferenceAssetStatement: [
    { name: "asset", type: "Asset" },
    { name: "inference", type: "InferenceStatement" },
  ],
};

export const REVOCATION_TYPES: TypeTable = {
  Revocation: [
    { name: "taskId", type: "bytes32" },
    { name: "token", type: "address" },
    { name: "datId", type: "uint256" },
    { name: "reason", type: "string" },
    { name: "evidenceDigest", type: "bytes32" },
    { name: "nonce", type: "uint256" },
    { name: "deadline", type: "uint256" },
  ],
};

/**
 * keccak256 of a circuit family's name: part of the context, and of the registry's entry for a key. That families have
 * their own keeps a proof of one from ever being one of another, whatever a key's holder believes of it.
 */
export const CIRCUIT_TYPES = {
  datasetChunk: toHex(tag("anchorproof/dataset-chunk/2")),
  // Of proofs over a whole dataset, in sets: the registry and the gate know none of them.
  datasetContent: toHex(tag("anchorproof/dataset-content/1")),
  datasetBytes: toHex(tag("anchorproof/dataset-bytes/1")),
  datasetNumbers: toHex(tag("anchorproof/dataset-numbers/1")),
  datasetLabels: toHex(tag("anchorproof/dataset-labels/1")),
  datasetColumn: toHex(tag("anchorproof/dataset-column/1")),
  datasetDistinct: toHex(tag("anchorproof/dataset-distinct/1")),
  datasetSorted: toHex(tag("anchorproof/dataset-sorted/1")),
  datasetOpening: toHex(tag("anchorproof/dataset-opening/1")),
  datasetGrowth: toHex(tag("anchorproof/dataset-growth/1")),
  datasetSha256: toHex(tag("anchorproof/dataset-sha256/1")),
  inference: toHex(tag("anchorproof/inference/1")),
  adaptedInference: toHex(tag("anchorproof/adapted-inference/1")),
  inferenceBatch: toHex(tag("anchorproof/inference-batch/1")),
  adaptedInferenceBatch: toHex(tag("anchorproof/adapted-inference-batch/1")),
} as const;

export type CircuitType = keyof typeof CIRCUIT_TYPES;

/** "dataset-content" of "datasetContent": how documents and commands call a circuit's type. */
export function circuitTypeName(type: CircuitType): string {
  return type.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Undefined for a name that is none. */
export function circuitTypeOf(name: string): CircuitType | undefined {
  return (Object.keys(CIRCUIT_TYPES) as CircuitType[]).find((type) => circuitTypeName(type) === name);
}

/** The statements that a proof of one inference circuit can be of, and its circuit's family. */
export const INFERENCE_STATEMENTS = {
  InferenceStatement: CIRCUIT_TYPES.inference,
  AdaptedInferenceStatement: CIRCUIT_TYPES.adaptedInference,
  InferenceBatchStatement: CIRCUIT_TYPES.inferenceBatch,
  AdaptedInferenceBatchStatement: CIRCUIT_TYPES.adaptedInferenceBatch,
} as const;

export type InferenceStatementName = keyof typeof INFERENCE_STATEMENTS;

/** A statement of an inference with the name of its type. */
export type NamedInference = {
  [N in InferenceStatementName]: { name: N; statement: Statements[N] };
}[InferenceStatementName];

/**
 * The statement of one inference or of several at once, with an adapter or without.
 *
 * @throws STATEMENT_INVALID unless there are as many outputs as commitments, at least one
 */
export function inferenceStatement(
  task: Task,
  modelDigest: Hex,
  {
    outputs,
    inputCommitments,
    adapterCommitment,
  }: {
    readonly outputs: readonly bigint[];
    readonly inputCommitments: readonly bigint[];
    readonly adapterCommitment?: bigint | undefined;
  },
): NamedInference {
  if (outputs.length === 0 || outputs.length !== inputCommitments.length) {
    invalid("an inference has an output for each input");
  }
  const [output, inputCommitment] = [outputs[0]!, inputCommitments[0]!];
  const single: InferenceStatement = { task, modelDigest, output, inputCommitment };
  const batch = { task, modelDigest, outputs: [...outputs], inputCommitments: [...inputCommitments] };
  if (adapterCommitment === undefined) {
    return outputs.length === 1
      ? { name: "InferenceStatement", statement: single }
      : { name: "InferenceBatchStatement", statement: batch };
  }
  return outputs.length === 1
    ? { name: "AdaptedInferenceStatement", statement: { ...single, adapterCommitment } }
    : { name: "AdaptedInferenceBatchStatement", statement: { ...batch, adapterCommitment } };
}

/** Reads a statement of an inference, whichever of the types it has: each has fields of its own. @throws STATEMENT_INVALID */
export function inferenceFromJson(json: unknown, path: string): NamedInference {
  const has = (field: string) => typeof json === "object" && json !== null && Object.hasOwn(json, field);
  const name = has("outputs")
    ? has("adapterCommitment")
      ? "AdaptedInferenceBatchStatement"
      : "InferenceBatchStatement"
    : has("adapterCommitment")
      ? "AdaptedInferenceStatement"
      : "InferenceStatement";
  return { name, statement: statementFromJson(name, json, path) } as NamedInference;
}

/** Records of a full chunk; only a dataset's last one may have fewer. */
export const CHUNK_RECORDS = 128n;

/** Most parents that a token may name, here and in the token's contract. */
export const MAX_PARENTS = 16;

/** Most that an asset's terms may ask of what is derived from it, and most that a derived asset may owe in all. */
export const MAX_ROYALTY_BPS = 5000n;

const CONTEXT_TAG = tag("anchorproof/context/1");
const DAT_TAG = tag("anchorproof/dat/1");

export function statementDigest<N extends StatementName>(domain: Domain, name: N, statement: Statements[N]): Hex {
  return typedDigest(domain, STATEMENT_TYPES, name, statement);
}

export function statementToJson<N extends StatementName>(name: N, statement: Statements[N]): Record<string, unknown> {
  return structToJson(STATEMENT_TYPES, name, statement);
}

/** @throws STATEMENT_INVALID */
export function statementFromJson<N extends StatementName>(name: N, json: unknown, path: string): Statements[N] {
  return structFromJson<Statements[N]>(STATEMENT_TYPES, name, json, "STATEMENT_INVALID", path);
}

/** The task that a statement's proof is bound to. */
export function taskOf<N extends StatementName>(_name: N, statement: Statements[N]): Task {
  if ("sample" in statement) return statement.sample.task;
  return "inference" in statement ? statement.inference.task : statement.task;
}

/** What is voted on, and used up, to revoke a token; under the gate's domain. */
export function revocationDigest(domain: Domain, revocation: Revocation): Hex {
  return typedDigest(domain, REVOCATION_TYPES, "Revocation", revocation);
}

export function revocationToJson(revocation: Revocation): Record<string, unknown> {
  return structToJson(REVOCATION_TYPES, "Revocation", revocation);
}

/** @throws STATEMENT_INVALID */
export function revocationFromJson(json: unknown, path: string): Revocation {
  return structFromJson<Revocation>(REVOCATION_TYPES, "Revocation", json, "STATEMENT_INVALID", path);
}

/**
 * The `context` signal: 253 bits of keccak256, so always below r.
 *
 * @throws CONTEXT_ZERO which no circuit accepts (chance 2⁻²⁵³)
 */
export function contextSignal(domain: Domain, circuitType: Hex, task: Task): bigint {
  const address = (value: Hex, name: string) => concat(new Uint8Array(12), fromHex(value, name, 20));
  const hash = keccak(
    CONTEXT_TAG,
    fromHex(circuitType, "circuit type", 32),
    word(domain.chainId),
    address(domain.verifyingContract, "contract"),
    fromHex(task.keyDigest, "key digest", 32),
    fromHex(task.taskId, "task id", 32),
    address(task.requester, "requester"),
    address(task.payee, "payee"),
    word(task.nonce),
    word(task.deadline),
  );
  const context = BigInt(toHex(hash)) >> 3n;
  if (context === 0n) throw new AnchorError("CONTEXT_ZERO", "the context came out zero: use another nonce");
  return context;
}

/**
 * The public signals that a proof of this statement must have, in the circuit's order.
 *
 * @throws STATEMENT_INVALID when a value is no field element, or the statement contradicts itself
 */
export function publicSignals<N extends StatementName>(domain: Domain, name: N, statement: Statements[N]): bigint[] {
  if (name === "DatasetStatement") {
    const { task, asset, chunkIndex, chunkRecords } = statement as DatasetStatement;
    if (asset.class !== ASSET_CLASSES.dataset) invalid("a dataset statement is about an asset of class 1");
    const root = BigInt(asset.commitment);
    return scalars([root, chunkIndex, chunkRecords, contextSignal(domain, CIRCUIT_TYPES.datasetChunk, task)]);
  }
  if (name === "ModelStatement") {
    const { asset, sample } = statement as ModelStatement;
    if (asset.class !== ASSET_CLASSES.model) invalid("a model statement is about an asset of class 2");
    if (sample.modelDigest !== asset.commitment) invalid("the sample is of another model");
    return publicSignals(domain, "InferenceStatement", sample);
  }
  if (name === "AdapterStatement") {
    const { asset, sample } = statement as AdapterStatement;
    if (asset.class !== ASSET_CLASSES.adapter) invalid("an adapter statement is about an asset of class 3");
    if (sample.adapterCommitment !== BigInt(asset.commitment)) invalid("the sample is with another adapter");
    requireModelParent(asset, sample.modelDigest);
    return publicSignals(domain, "AdaptedInferenceStatement", sample);
  }
  if (name === "InferenceAssetStatement") {
    const { asset, inference } = statement as InferenceAssetStatement;
    if (asset.class !== ASSET_CLASSES.inference) invalid("an inference's asset is of class 4");
    if (statementDigest(domain, "InferenceStatement", inference) !== asset.commitment) {
      invalid("the asset's commitment is not the digest of its inference's statement");
    }
    requireModelParent(asset, inference.modelDigest);
    return publicSignals(domain, "InferenceStatement", inference);
  }
  return inferenceSignals(domain, name as InferenceStatementName, statement as Statements[InferenceStatementName]);
}

function inferenceSignals<N extends InferenceStatementName>(
  domain: Domain,
  name: N,
  statement: Statements[N],
): bigint[] {
  const context = contextSignal(domain, INFERENCE_STATEMENTS[name], statement.task);
  const adapter = "adapterCommitment" in statement ? [statement.adapterCommitment] : [];
  if (!("outputs" in statement)) return scalars([statement.output, statement.inputCommitment, ...adapter, context]);
  const { outputs, inputCommitments } = statement;
  if (outputs.length !== inputCommitments.length) invalid("a batch has as many outputs as inputs");
  if (outputs.length < 2 || outputs.length > MAX_BATCH) invalid(`a batch is of 2 to ${MAX_BATCH} inferences`);
  const digests = [commitBatch(scalars(outputs)), commitBatch(scalars(inputCommitments))];
  return scalars([...digests, ...adapter, context]);
}

function requireModelParent({ parents }: Asset, modelDigest: Hex): void {
  if (!parents.includes(datId(ASSET_CLASSES.model, modelDigest))) invalid("the model's token is not among the parents");
}

/**
 * What gate and token refuse in an asset by itself, so that nobody votes for a token that cannot be minted. What its parents
 * have to do with it only the chain knows.
 *
 * @param now Unix seconds of a recent block; without it, an expiry is not compared with anything
 * @throws STATEMENT_INVALID
 */
export function checkAsset({ token, commitment, supply, parents, terms }: Asset, now?: bigint): void {
  if (BigInt(token) === 0n) invalid("an asset names the contract of its token");
  if (terms.shareBps > MAX_ROYALTY_BPS) invalid(`an asset's share is at most ${MAX_ROYALTY_BPS} basis points`);
  if (now !== undefined && terms.expiresAt !== 0n && terms.expiresAt <= now) invalid("the asset's terms have expired");
  if (BigInt(commitment) === 0n) invalid("an asset's commitment is not zero");
  if (supply === 0n) invalid("an asset's supply is at least one");
  if (parents.length > MAX_PARENTS) invalid(`an asset has at most ${MAX_PARENTS} parents`);
  if (new Set(parents).size !== parents.length) invalid("an asset names each parent once");
}

/** A DAT's id: one commitment of one class has one token, on every chain. */
export function datId(assetClass: bigint, commitment: Hex): bigint {
  return BigInt(toHex(keccak(DAT_TAG, word(assetClass), fromHex(commitment, "commitment", 32))));
}

function scalars(values: bigint[]): bigint[] {
  if (!values.every(isScalar)) invalid("a value is not an element of BN254's scalar field");
  return values;
}

function invalid(reason: string): never {
  throw new AnchorError("STATEMENT_INVALID", reason);
}
