/**
 * The gate: proofs and certificates in, tokens out.
 *
 * @module
 */
import type { ContractTransactionReceipt } from "ethers";
import type { Hex } from "../../field/bytes.js";
import type { Certificate, Epoch } from "../../protocol/quorum.js";
import {
  CIRCUIT_TYPES,
  type DatasetStatement,
  type InferenceStatement,
  type ModelStatement,
  type Task,
} from "../../protocol/statements.js";
import { type Proof, proofWords } from "../../verifier/groth16.js";
import { type Connection, ContractClient, type Sent, summary } from "./caller.js";
import { encodeCertificate } from "./certificate.js";

export interface Accepted extends Sent {
  statementDigest: Hex;
  datId: bigint;
}

export class GateClient extends ContractClient {
  constructor(connection: Connection) {
    super("MintGate", connection);
  }

  /** @param epoch  the set that the certificate's voters belong to, as it was given to {@link setEpoch} */
  async mintDataset(
    statement: DatasetStatement,
    proof: Proof,
    certificate: Certificate,
    epoch: Epoch,
  ): Promise<Accepted> {
    const args = [statement, proofWords(proof), encodeCertificate(epoch, certificate)];
    return this.#accepted(await this.transact("mintDataset", args), "DatasetMinted");
  }

  /** @param epoch  as for {@link mintDataset} */
  async mintModel(statement: ModelStatement, proof: Proof, certificate: Certificate, epoch: Epoch): Promise<Accepted> {
    const args = [statement, proofWords(proof), encodeCertificate(epoch, certificate)];
    return this.#accepted(await this.transact("mintModel", args), "ModelMinted");
  }

  async verifyInference(statement: InferenceStatement, proof: Proof): Promise<Accepted> {
    const receipt = await this.transact("verifyInference", [statement, proofWords(proof)]);
    return this.#accepted(receipt, "InferenceVerified");
  }

  /** The `context` signal as the gate computes it. */
  async contextOf(circuitType: keyof typeof CIRCUIT_TYPES, task: Task): Promise<bigint> {
    return this.read<bigint>("contextOf", CIRCUIT_TYPES[circuitType], task);
  }

  async datasetStatementDigest(statement: DatasetStatement): Promise<Hex> {
    return this.read<Hex>("datasetStatementDigest", statement);
  }

  async modelStatementDigest(statement: ModelStatement): Promise<Hex> {
    return this.read<Hex>("modelStatementDigest", statement);
  }

  async inferenceStatementDigest(statement: InferenceStatement): Promise<Hex> {
    return this.read<Hex>("inferenceStatementDigest", statement);
  }

  /** Whether the gate has accepted a statement with this digest. */
  async isUsed(statementDigest: Hex): Promise<boolean> {
    return this.read<boolean>("used", statementDigest);
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
