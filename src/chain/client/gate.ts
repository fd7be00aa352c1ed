/**
 * The gate: proofs and certificates in, tokens out.
 *
 * @module
 */
import type { ContractTransactionReceipt } from "ethers";
import type { Hex } from "../../field/bytes.js";
import type { Certificate, Epoch } from "../../protocol/quorum.js";
import {
  type AdaptedInferenceStatement,
  type AdapterStatement,
  CIRCUIT_TYPES,
  type CircuitType,
  type DatasetStatement,
  type InferenceAssetStatement,
  type InferenceStatement,
  type ModelStatement,
  type Revocation,
  type StatementName,
  type Statements,
  type Task,
} from "../../protocol/statements.js";
import { type Proof, proofWords } from "../../verifier/groth16.js";
import { type Connection, ContractClient, type Sent, summary } from "./caller.js";
import { encodeCertificate } from "./certificate.js";

export interface Accepted extends Sent {
  statementDigest: Hex;
  datId: bigint;
}

/** An inference and its proof, one of those that are recorded together. */
export interface ProvenInference {
  statement: InferenceStatement;
  proof: Proof;
}

/** The gate's view of each digest; it has none of batched inferences. */
const DIGESTS = {
  DatasetStatement: "datasetStatementDigest",
  ModelStatement: "modelStatementDigest",
  AdapterStatement: "adapterStatementDigest",
  InferenceAssetStatement: "inferenceAssetStatementDigest",
  InferenceStatement: "inferenceStatementDigest",
  AdaptedInferenceStatement: "adaptedInferenceStatementDigest",
} as const satisfies Partial<Record<StatementName, string>>;

/** In each `mint` method, `epoch` is the set that the certificate's voters belong to, as it was given to the quorum. */
export class GateClient extends ContractClient {
  constructor(connection: Connection) {
    super("MintGate", connection);
  }

  async mintDataset(
    statement: DatasetStatement,
    proof: Proof,
    certificate: Certificate,
    epoch: Epoch,
  ): Promise<Accepted> {
    const args = [statement, proofWords(proof), encodeCertificate(epoch, certificate)];
    return this.#accepted(await this.transact("mintDataset", args), "DatasetMinted");
  }

  async mintModel(statement: ModelStatement, proof: Proof, certificate: Certificate, epoch: Epoch): Promise<Accepted> {
    const args = [statement, proofWords(proof), encodeCertificate(epoch, certificate)];
    return this.#accepted(await this.transact("mintModel", args), "ModelMinted");
  }

  async mintAdapter(
    statement: AdapterStatement,
    proof: Proof,
    certificate: Certificate,
    epoch: Epoch,
  ): Promise<Accepted> {
    const args = [statement, proofWords(proof), encodeCertificate(epoch, certificate)];
    return this.#accepted(await this.transact("mintAdapter", args), "AdapterMinted");
  }

  async mintInference(
    statement: InferenceAssetStatement,
    proof: Proof,
    certificate: Certificate,
    epoch: Epoch,
  ): Promise<Accepted> {
    const args = [statement, proofWords(proof), encodeCertificate(epoch, certificate)];
    return this.#accepted(await this.transact("mintInference", args), "InferenceMinted");
  }

  /** Records that an inference of an anchored model was proven. */
  async verifyInference(statement: InferenceStatement, proof: Proof): Promise<Accepted> {
    const receipt = await this.transact("verifyInference", [statement, proofWords(proof)]);
    return this.#accepted(receipt, "InferenceVerified");
  }

  /** {@link verifyInference}, of one with a private adapter. */
  async verifyAdaptedInference(statement: AdaptedInferenceStatement, proof: Proof): Promise<Accepted> {
    const receipt = await this.transact("verifyAdaptedInference", [statement, proofWords(proof)]);
    return this.#accepted(receipt, "AdaptedInferenceVerified");
  }

  /** {@link verifyInference} of several inferences under one key, at about a third of the price. All of them, or none. */
  async verifyInferences(inferences: readonly ProvenInference[]): Promise<Sent & { statementDigests: Hex[] }> {
    const statements = inferences.map(({ statement }) => statement);
    const receipt = await this.transact("verifyInferences", [
      statements,
      inferences.map(({ proof }) => proofWords(proof)),
    ]);
    const digests = this.events(receipt, "InferenceVerified").map((args) => args["statementDigest"] as Hex);
    return { ...summary(receipt), statementDigests: digests };
  }

  /** Takes back a token's `verified`, on votes over the revocation. */
  async revoke(revocation: Revocation, certificate: Certificate, epoch: Epoch): Promise<Sent> {
    return this.send("revoke", revocation, encodeCertificate(epoch, certificate));
  }

  /** The `context` signal as the gate computes it. */
  async contextOf(circuitType: CircuitType, task: Task): Promise<bigint> {
    return this.read<bigint>("contextOf", CIRCUIT_TYPES[circuitType], task);
  }

  /** A statement's digest as the gate computes it. */
  async statementDigest<N extends keyof typeof DIGESTS>(name: N, statement: Statements[N]): Promise<Hex> {
    return this.read<Hex>(DIGESTS[name], statement);
  }

  async revocationDigest(revocation: Revocation): Promise<Hex> {
    return this.read<Hex>("revocationDigest", revocation);
  }

  /** Whether the gate has accepted a statement or a revocation with this digest. */
  async isUsed(digest: Hex): Promise<boolean> {
    return this.read<boolean>("used", digest);
  }

  #accepted(receipt: ContractTransactionReceipt, event: string): Accepted {
    const args = this.event(receipt, event);
    return {
      ...summary(receipt),
      statementDigest: args["statementDigest"] as Hex,
      datId: args["datId"] as bigint,
    };
  }
}
