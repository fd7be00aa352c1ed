/**
 * The gate in front of LazAI's deployed contracts: proofs and certificates in, their tokens out.
 *
 * @module
 */
import type { ContractTransactionReceipt } from "ethers";
import type { Hex } from "../../field/bytes.js";
import type { LazaiMintStatement, LazaiModelStatement } from "../../protocol/lazaiStatements.js";
import type { Certificate, Epoch } from "../../protocol/quorum.js";
import { CIRCUIT_TYPES, type Revocation, type Task } from "../../protocol/statements.js";
import { type Proof, proofWords } from "../../verifier/groth16.js";
import { type Connection, ContractClient, lower, type Sent, summary } from "./caller.js";
import { encodeCertificate } from "./certificate.js";
import type { Accepted } from "./gate.js";

/** What the gate knows of a token that it minted. */
export interface LazaiRecord {
  creator: Hex;
  /** Unix seconds. */
  mintedAt: bigint;
  class: bigint;
  revoked: boolean;
  expiresAt: bigint;
  maxUses: bigint;
  statementDigest: Hex;
  fileId: bigint;
}

export class LazaiGateClient extends ContractClient {
  constructor(connection: Connection) {
    super("LazaiMintGate", connection);
  }

  /** @param epoch  the set that the certificate's voters belong to */
  async mintDataset(
    statement: LazaiMintStatement,
    proof: Proof,
    certificate: Certificate,
    epoch: Epoch,
  ): Promise<Accepted> {
    const args = [statement, proofWords(proof), encodeCertificate(epoch, certificate)];
    return this.#minted(await this.transact("mintDataset", args), "LazaiDatasetMinted");
  }

  /** @param epoch  as for {@link mintDataset} */
  async mintModel(
    statement: LazaiModelStatement,
    proof: Proof,
    certificate: Certificate,
    epoch: Epoch,
  ): Promise<Accepted> {
    const args = [statement, proofWords(proof), encodeCertificate(epoch, certificate)];
    return this.#minted(await this.transact("mintModel", args), "LazaiModelMinted");
  }

  /** Takes back `verified` of any of LazAI's tokens. @param epoch  as for {@link mintDataset} */
  async revoke(revocation: Revocation, certificate: Certificate, epoch: Epoch): Promise<Sent> {
    return this.send("revoke", revocation, encodeCertificate(epoch, certificate));
  }

  /** The `context` signal as the gate computes it. */
  async contextOf(circuitType: keyof typeof CIRCUIT_TYPES, task: Task): Promise<bigint> {
    return this.read<bigint>("contextOf", CIRCUIT_TYPES[circuitType], task);
  }

  async mintStatementDigest(statement: LazaiMintStatement): Promise<Hex> {
    return this.read<Hex>("mintStatementDigest", statement);
  }

  async modelStatementDigest(statement: LazaiModelStatement): Promise<Hex> {
    return this.read<Hex>("modelStatementDigest", statement);
  }

  async revocationDigest(revocation: Revocation): Promise<Hex> {
    return this.read<Hex>("revocationDigest", revocation);
  }

  /** Whether the gate has accepted a statement or a revocation with this digest. */
  async isUsed(digest: Hex): Promise<boolean> {
    return this.read<boolean>("used", digest);
  }

  /** The token that the gate minted for an asset; `undefined` for none. */
  async datOfAsset(assetClass: bigint, commitment: Hex): Promise<bigint | undefined> {
    return (await this.read<bigint>("datOf", assetClass, commitment)) || undefined;
  }

  /** The token that the gate minted for a file; `undefined` for none. */
  async datOfFile(fileId: bigint): Promise<bigint | undefined> {
    return (await this.read<bigint>("datOfFile", fileId)) || undefined;
  }

  /** The record of a token that the gate minted, or `undefined`. */
  async recordOf(datId: bigint): Promise<LazaiRecord | undefined> {
    if (!(await this.read<boolean>("exists", datId))) return undefined;
    const record = await this.read<LazaiRecord>("recordOf", datId);
    return {
      creator: lower(record.creator),
      mintedAt: record.mintedAt,
      class: record.class,
      revoked: record.revoked,
      expiresAt: record.expiresAt,
      maxUses: record.maxUses,
      statementDigest: record.statementDigest,
      fileId: record.fileId,
    };
  }

  /** Whether the gate minted the token, and neither it nor LazAI's token says that it is not verified any more. */
  async isVerified(datId: bigint): Promise<boolean> {
    return this.read<boolean>("verified", datId);
  }

  #minted(receipt: ContractTransactionReceipt, event: string): Accepted {
    const args = this.event(receipt, event);
    return { ...summary(receipt), statementDigest: args["statementDigest"] as Hex, datId: args["datId"] as bigint };
  }
}
