/** A whole deployment with simulated keys for both kinds of statement, and makers of statements, proofs and votes. */
import { AnchorClient } from "../../src/chain/client/index.js";
import { compileContracts } from "../../src/chain/compile.js";
import { type Deployment, deployProtocol } from "../../src/chain/deploy.js";
import { renderVerifier } from "../../src/chain/generate.js";
import { type Hex, toHex, word } from "../../src/field/bytes.js";
import type { Domain } from "../../src/protocol/eip712.js";
import { type Certificate, type Epoch, signVote, VERDICTS, type Vote } from "../../src/protocol/quorum.js";
import { accountOf } from "../../src/protocol/signature.js";
import {
  ASSET_CLASSES,
  type DatasetStatement,
  type InferenceStatement,
  type ModelStatement,
  OPEN_TERMS,
  publicSignals,
  statementDigest,
  type Task,
} from "../../src/protocol/statements.js";
import { evidenceDigest, keyDigest, type Proof } from "../../src/verifier/groth16.js";
import { type Chain, CIRCUIT_DIGEST, deploy, digestOf, now, secretOf } from "./fixture.js";
import { type SimulatedKey, scalar, simulateKey, simulateProof } from "./simulated.js";

export const DATASET_KEY = simulateKey(4, "dataset");
export const INFERENCE_KEY = simulateKey(3, "inference");

const ZERO: Hex = `0x${"00".repeat(32)}`;

export const MODEL_DIGEST = digestOf("model");

/** Id of the ceremony that keys which are not for development pretend to. */
export const CEREMONY = digestOf("ceremony");

export interface World {
  deployment: Deployment;
  gate: Domain;
  quorum: Domain;
  settlement: Domain;
  client: AnchorClient;
  /** A client for each account, by its index. */
  as(account: number): Promise<AnchorClient>;
  datasetKey: Hex;
  inferenceKey: Hex;
  epoch: Epoch;
  /** Secret keys of the epoch's members, in their order. */
  secrets: Hex[];
}

/** The verifier of a simulated key. One that is not for development cannot be had from `deployVerifier`. */
export async function deployKey(chain: Chain, key: SimulatedKey, name: string, development: boolean): Promise<Hex> {
  const ceremonyId = development ? undefined : CEREMONY;
  const options = { vkey: key.vkey, contractName: name, circuitDigest: CIRCUIT_DIGEST, development, ceremonyId };
  const source = renderVerifier(options);
  const artefact = (await compileContracts({ [`${name}.sol`]: source }))[name]!;
  return (await (await deploy(chain.accounts[0]!, artefact)).getAddress()).toLowerCase() as Hex;
}

/**
 * Validators a to d with weights 40, 30, 20 and 10 in ascending order of address.
 *
 * @param development  false for verifiers that answer on every chain
 */
export async function createWorld(chain: Chain, development = true): Promise<World> {
  const [owner] = chain.accounts;
  const deployment = await deployProtocol(owner!, {
    guardian: chain.addresses[8]!,
    governancePool: chain.addresses[9]!,
    withdrawalDelay: 3600n,
  });
  const client = await AnchorClient.connect(deployment, owner!);
  const datasetKey = keyDigest(DATASET_KEY.vkey);
  const inferenceKey = keyDigest(INFERENCE_KEY.vkey);
  await client.registry.add({
    keyDigest: datasetKey,
    verifier: await deployKey(chain, DATASET_KEY, "DatasetVerifier", development),
    circuitType: "datasetChunk",
    circuitDigest: CIRCUIT_DIGEST,
    development,
    ceremony: development ? undefined : CEREMONY,
  });
  await client.registry.add({
    keyDigest: inferenceKey,
    verifier: await deployKey(chain, INFERENCE_KEY, "InferenceVerifier", development),
    circuitType: "inference",
    circuitDigest: CIRCUIT_DIGEST,
    modelDigest: MODEL_DIGEST,
    development,
    ceremony: development ? undefined : CEREMONY,
  });
  const secrets = ["a", "b", "c", "d"].map(secretOf).sort((a, b) => (accountOf(a) < accountOf(b) ? -1 : 1));
  const weights = [40n, 30n, 20n, 10n];
  const epoch: Epoch = {
    epoch: 1n,
    members: secrets.map((secret, i) => ({ account: accountOf(secret), weight: weights[i]! })),
  };
  await client.quorum.setEpoch(epoch);
  const as = (account: number) => AnchorClient.connect(deployment, chain.accounts[account]!);
  const at = (verifyingContract: Hex): Domain => ({ chainId: deployment.chainId, verifyingContract });
  return {
    deployment,
    gate: at(deployment.gate),
    quorum: at(deployment.quorum),
    settlement: at(deployment.settlement),
    client,
    as,
    datasetKey,
    inferenceKey,
    epoch,
    secrets,
  };
}

let counter = 0n;

async function makeTask(chain: Chain, keyDigest: Hex, changes: Partial<Task> = {}): Promise<Task> {
  counter++;
  return {
    keyDigest,
    taskId: digestOf(`task/${counter}`),
    requester: chain.addresses[1]!,
    payee: chain.addresses[2]!,
    nonce: counter,
    deadline: (await now(chain.provider)) + 3600n,
    ...changes,
  };
}

export interface Changes {
  task?: Partial<Task>;
  asset?: Partial<DatasetStatement["asset"]>;
}

export async function makeDataset(chain: Chain, world: World, changes: Changes = {}): Promise<DatasetStatement> {
  const task = await makeTask(chain, world.datasetKey, changes.task);
  const asset = {
    token: world.deployment.token,
    fileId: 0n,
    class: ASSET_CLASSES.dataset as bigint,
    commitment: toHex(word(scalar(`root/${counter}`))),
    metadataDigest: digestOf("metadata"),
    supply: 100n,
    parents: [] as bigint[],
    terms: OPEN_TERMS,
    ...changes.asset,
  };
  return { task, asset, chunkIndex: 3n, chunkRecords: 128n };
}

export async function makeInference(
  chain: Chain,
  world: World,
  changes: Partial<Task> = {},
): Promise<InferenceStatement> {
  const task = await makeTask(chain, world.inferenceKey, changes);
  return { task, modelDigest: MODEL_DIGEST, output: 7n, inputCommitment: scalar(`input/${counter}`) };
}

export async function makeModel(chain: Chain, world: World, changes: Changes = {}): Promise<ModelStatement> {
  return {
    asset: {
      token: world.deployment.token,
      fileId: 0n,
      class: ASSET_CLASSES.model as bigint,
      commitment: MODEL_DIGEST,
      metadataDigest: digestOf("metadata"),
      supply: 1n,
      parents: [],
      terms: OPEN_TERMS,
      ...changes.asset,
    },
    circuitDigest: CIRCUIT_DIGEST,
    sample: await makeInference(chain, world, changes.task),
  };
}

export interface Evidence {
  proof: Proof;
  evidenceDigest: Hex;
}

/** A valid proof of the statement at this world's gate, on its chain. */
export function proveDataset(world: World, statement: DatasetStatement): Evidence {
  // Class and commitment are put in by hand, so that statements can be proven that publicSignals would refuse to build.
  const asset = { ...statement.asset, class: ASSET_CLASSES.dataset, commitment: ZERO };
  const signals = publicSignals(world.gate, "DatasetStatement", { ...statement, asset });
  signals[0] = BigInt(statement.asset.commitment);
  const proof = simulateProof(DATASET_KEY, signals);
  return { proof, evidenceDigest: evidenceDigest(world.datasetKey, signals, proof) };
}

export function proveInference(world: World, statement: InferenceStatement): Evidence {
  const signals = publicSignals(world.gate, "InferenceStatement", statement);
  const proof = simulateProof(INFERENCE_KEY, signals);
  return { proof, evidenceDigest: evidenceDigest(world.inferenceKey, signals, proof) };
}

export type Subject = Pick<Vote, "taskId" | "statementDigest" | "evidenceDigest">;

/** A certificate by the members at these places; all of them unless told. */
export function certify(
  world: World,
  subject: Subject,
  options: { voters?: number[]; verdict?: bigint; domain?: Domain } = {},
): Certificate {
  const { voters = [0, 1, 2, 3], verdict = VERDICTS.accept, domain = world.quorum } = options;
  const vote = { epoch: world.epoch.epoch, round: 0n, verdict, ...subject };
  const votes = voters.map((i) => ({
    validator: world.epoch.members[i]!.account,
    signature: signVote(domain, vote, world.secrets[i]!),
  }));
  return { epoch: vote.epoch, round: vote.round, votes };
}

export interface Prepared {
  proof: Proof;
  subject: Subject;
  certificate: Certificate;
}

/** Proof and certificate of a dataset statement, ready to mint. */
export function prepareDataset(world: World, statement: DatasetStatement): Prepared {
  const { proof, evidenceDigest } = proveDataset(world, statement);
  const digest = statementDigest(world.gate, "DatasetStatement", statement);
  const subject = { taskId: statement.task.taskId, statementDigest: digest, evidenceDigest };
  return { proof, subject, certificate: certify(world, subject) };
}

export function prepareModel(world: World, statement: ModelStatement): Prepared {
  const { proof, evidenceDigest } = proveInference(world, statement.sample);
  const digest = statementDigest(world.gate, "ModelStatement", statement);
  const subject = { taskId: statement.sample.task.taskId, statementDigest: digest, evidenceDigest };
  return { proof, subject, certificate: certify(world, subject) };
}
