/**
 * Steps 1 to 5 of the story: a dataset and a model become tokens.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type DatasetEvidence,
  documentDigest,
  domains,
  type ModelEvidence,
  reviewDataset,
  reviewModel,
} from "../../bundle/index.js";
import { deployVerifier } from "../../chain/index.js";
import type { CircuitRows } from "../../circuit/r1cs.js";
import { type CircuitKey, developmentKey } from "../../circuit/setup.js";
import { buildProgram } from "../../circuit/synthesis/program.js";
import {
  bytesRecord,
  chunkRequest,
  commitDataset,
  type DatasetRecord,
  datasetPov,
  datasetProgram,
  type OpenDataset,
  SEED_BYTES,
} from "../../dataset/index.js";
import { AnchorError } from "../../errors.js";
import { randomScalar } from "../../field/scalar.js";
import { MAIL_CLASSES, type Mail } from "../../model/corpus.js";
import type { ModelCircuit, ModelDirectory } from "../../model/directory.js";
import { extractFeatures, FEATURE_RANGE, featuresToFloat } from "../../model/features.js";
import { inputOf } from "../../model/graph.js";
import { importModel } from "../../model/import.js";
import { createInference } from "../../model/inference.js";
import type { ModelReport } from "../../model/report.js";
import { PACKAGE_ROOT } from "../../paths.js";
import { type PointOfView, povDigest } from "../../protocol/pov.js";
import type { Certificate } from "../../protocol/quorum.js";
import { signDigest } from "../../protocol/signature.js";
import {
  ASSET_CLASSES,
  type Asset,
  CIRCUIT_TYPES,
  contextSignal,
  type DatasetStatement,
  datId,
  type InferenceStatement,
  type ModelStatement,
  OPEN_TERMS,
  statementDigest,
} from "../../protocol/statements.js";
import type { ProveResult } from "../../prover/pool.js";
import { blockTime, newTask, vote, type World } from "./world.js";

/** The classifier says its class, and takes features as they are: 7 bits, none negative. */
export const SPAM_OPTIONS = { output: "class", inputBits: 7 } as const;
/** About how much of the corpus the creator commits to. */
const DATASET_BYTES = 2_000_000;
/** Mails that the quantiser looks at, and that agreement is measured on. */
const CALIBRATION_MAILS = 400;
export const MODEL_FILE = join(PACKAGE_ROOT, "bench", "models", "spam-classifier.onnx");

export interface DatasetSubmission {
  dataset: OpenDataset;
  pov: PointOfView;
  povSignature: `0x${string}`;
}

export interface Prover<C extends CircuitRows = CircuitRows> {
  circuit: C;
  key: CircuitKey;
}

/** The chunk circuit's, of datasets whose tree has one height. */
export interface ChunkProver extends Prover {
  program: { kind: "chunk"; depth: number };
}

/** The model's, whose witness comes from the model itself. */
export type ModelProver = Prover<ModelCircuit>;

/** Step 1: the training mails, in their order, until there are 2 MB of them. */
export async function submitDataset(world: World, mails: readonly Mail[]): Promise<DatasetSubmission> {
  const chosen: Mail[] = [];
  let bytes = 0;
  for (const mail of mails) {
    if (bytes + mail.bytes.length > DATASET_BYTES) break;
    bytes += mail.bytes.length;
    chosen.push(mail);
  }
  const dataset = await commitDataset(chosen.map(mailRecord), {
    seed: new Uint8Array(randomBytes(SEED_BYTES)),
    signal: world.signal,
    onProgress: ({ bytes: done }) => world.terminal.progress("committing", done / bytes),
  });
  const pov = await datasetPov(dataset, {
    creator: world.creator.account,
    dataTag: "dataset metadata",
    timestamp: await blockTime(world),
  });
  const povSignature = signDigest(world.creator.secretKey, povDigest(domains(world.trust).gate, pov));
  return { dataset, pov, povSignature };
}

/** A mail with its file's name, and "spam" or "ham" as its label. */
export function mailRecord({ bytes, id, label }: Mail): DatasetRecord {
  return { ...bytesRecord(bytes, id), label };
}

/** Step 2, first half: circuit, key, and the verifier contract in the registry. */
export async function prepareDatasetProver(world: World, { dataset }: DatasetSubmission): Promise<ChunkProver> {
  world.terminal.busy("writing the circuit");
  const program = { kind: "chunk", depth: dataset.commitment.opening.depth } as const;
  const circuit = await buildProgram(datasetProgram(program), { signal: world.signal });
  const key = await makeKey(world, circuit);
  await register(world, "DatasetChunkVerifier", key);
  return { circuit, key, program };
}

/** Step 2: a chunk lies under the root. */
export async function proveChunk(
  world: World,
  { dataset, pov, povSignature }: DatasetSubmission,
  { key, program }: ChunkProver,
  index: number,
): Promise<{ evidence: DatasetEvidence; result: ProveResult }> {
  const domain = domains(world.trust).gate;
  const request = chunkRequest(dataset, index);
  const statement: DatasetStatement = {
    task: await newTask(world, key, world.creator, world.creator),
    asset: {
      token: world.deployment.token,
      fileId: 0n,
      class: ASSET_CLASSES.dataset,
      commitment: pov.dataRoot,
      metadataDigest: povDigest(domain, pov),
      supply: 1n,
      parents: [],
      terms: OPEN_TERMS,
    },
    chunkIndex: request.index,
    chunkRecords: BigInt(request.descriptions.length),
  };
  const context = contextSignal(domain, CIRCUIT_TYPES.datasetChunk, statement.task);
  world.terminal.busy("proving");
  const result = await world.pool.prove({ dataset: program }, key, { ...request, context }, { signal: world.signal });
  const statementSignature = signDigest(
    world.creator.secretKey,
    statementDigest(domain, "DatasetStatement", statement),
  );
  const { proof } = result;
  return {
    evidence: { pov, povSignature, statement, statementSignature, proof, verifyingKey: key.verifyingKey },
    result,
  };
}

/** Step 3: four validators check the submission with the embeddable verifier and vote. */
export async function certifyDataset(world: World, evidence: DatasetEvidence): Promise<Certificate> {
  const now = await blockTime(world);
  return vote(world, evidence.statement.task.taskId, (trust) => reviewDataset(trust, evidence, now));
}

/** Every n-th of the training mails, since the corpus is sorted by label. */
export function calibrationMails(train: readonly Mail[]): Mail[] {
  const step = Math.max(1, Math.floor(train.length / CALIBRATION_MAILS));
  return train.filter((_, i) => i % step === 0).slice(0, CALIBRATION_MAILS);
}

/** Step 5: from the ONNX file to integers and their circuit. */
export async function quantiseModel(
  world: World,
  out: string,
  mails: { train: readonly Mail[]; test: readonly Mail[] },
): Promise<ModelDirectory & { report: ModelReport }> {
  const set = (chosen: readonly Mail[]) => ({
    inputs: chosen.map((mail) => featuresToFloat(extractFeatures(mail.body))),
    labels: chosen.map((mail) => MAIL_CLASSES.indexOf(mail.label)),
  });
  const model = await importModel({
    onnx: new Uint8Array(await readFile(MODEL_FILE)),
    calibration: set(calibrationMails(mails.train)),
    evaluation: set(mails.test),
    ...SPAM_OPTIONS,
    out,
    overwrite: true,
    signal: world.signal,
    onProgress: ({ stage, done }) => world.terminal.progress(stage, done),
  });
  // Whoever recomputes a commitment from a mail takes the range from here.
  const { lo, bits } = inputOf(model.graph);
  if (lo !== FEATURE_RANGE.lo || bits !== FEATURE_RANGE.bits) {
    throw new AnchorError("INTERNAL", "the model does not take the features' integers");
  }
  return model;
}

/** Step 5: the key of the model's circuit, which has the weights as constants. */
export async function prepareModelProver(world: World, { circuit, descriptor }: ModelDirectory): Promise<ModelProver> {
  const key = await makeKey(world, circuit);
  await register(world, "SpamClassifierVerifier", key, descriptor.modelDigest);
  return { circuit, key };
}

/** Step 5: a sample inference shows that key, circuit and model belong together. */
export async function submitModel(
  world: World,
  model: ModelDirectory,
  prover: ModelProver,
  sample: Mail,
  parent: Asset,
): Promise<ModelEvidence> {
  const { statement, proof } = await proveInference(world, model, prover, {
    features: extractFeatures(sample.body),
    salt: randomScalar(),
    requester: world.creator,
    payee: world.creator,
  });
  const submitted: ModelStatement = {
    asset: {
      token: world.deployment.token,
      fileId: 0n,
      class: ASSET_CLASSES.model,
      commitment: model.descriptor.modelDigest,
      metadataDigest: documentDigest(model.descriptor),
      supply: 1n,
      parents: [datId(parent.class, parent.commitment)],
      terms: OPEN_TERMS,
    },
    circuitDigest: prover.circuit.circuitDigest,
    sample: statement,
  };
  const digest = statementDigest(domains(world.trust).gate, "ModelStatement", submitted);
  const statementSignature = signDigest(world.creator.secretKey, digest);
  return { statement: submitted, statementSignature, proof, verifyingKey: prover.key.verifyingKey };
}

export async function certifyModel(world: World, evidence: ModelEvidence): Promise<Certificate> {
  const now = await blockTime(world);
  return vote(world, evidence.statement.sample.task.taskId, (trust) => reviewModel(trust, evidence, now));
}

/** Step 6: an answer, and the proof that it is the model's. */
export async function proveInference(
  world: World,
  model: ModelDirectory,
  { circuit, key }: ModelProver,
  question: { features: Uint8Array; salt: bigint; requester: World["user"]; payee: World["node"] },
): Promise<{ statement: InferenceStatement; proof: ProveResult["proof"]; result: ProveResult }> {
  const { features, salt, requester, payee } = question;
  const inferences = [{ input: features, salt }];
  const { output, inputCommitment } = createInference(model.graph).answer({ inferences });
  const { modelDigest } = model.descriptor;
  const statement: InferenceStatement = {
    task: await newTask(world, key, requester, payee),
    modelDigest,
    output,
    inputCommitment,
  };
  const context = contextSignal(domains(world.trust).gate, CIRCUIT_TYPES.inference, statement.task);
  world.terminal.busy("proving");
  const result = await world.pool.prove(circuit, key, { inferences, context }, { signal: world.signal });
  return { statement, proof: result.proof, result };
}

function makeKey(world: World, circuit: CircuitRows): Promise<CircuitKey> {
  return developmentKey(circuit, {
    signal: world.signal,
    onProgress: (done) => world.terminal.progress("making the development key", done),
  });
}

async function register(
  world: World,
  contractName: string,
  key: CircuitKey,
  modelDigest?: `0x${string}`,
): Promise<void> {
  world.terminal.busy(`compiling and deploying ${contractName}`);
  const { circuitDigest, keyDigest, development, verifyingKey: vkey } = key;
  const signer = await world.provider.getSigner(0);
  const options = { signal: world.signal };
  const verifier = await deployVerifier(signer, { vkey, contractName, circuitDigest, development }, options);
  const circuitType = modelDigest ? "inference" : "datasetChunk";
  await world.operator.registry.add({ keyDigest, verifier, circuitType, circuitDigest, modelDigest, development });
  world.trust.keys.push(
    modelDigest
      ? { circuit: "inference", keyDigest, circuitDigest, modelDigest, development }
      : { circuit: "dataset-chunk", keyDigest, circuitDigest, development },
  );
}
