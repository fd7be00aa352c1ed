/**
 * LazAI's IVerifier, as the LazaiVerifier contract has it.
 *
 * @module
 */
import { AbiCoder, solidityPacked } from "ethers";
import { type Hex, toHex, word } from "../../field/bytes.js";
import { type AttestedKey, type TaskRequest, taskRequestId, taskRequestStatement } from "../../protocol/facades.js";
import type { Certificate, Epoch } from "../../protocol/quorum.js";
import { publicSignals } from "../../protocol/statements.js";
import { type Proof, proofWords } from "../../verifier/groth16.js";
import { type Connection, ContractClient, type Sent } from "./caller.js";
import { type EncodedCertificate, encodeCertificate } from "./certificate.js";

const REQUEST =
  "tuple(address requester, address payee, bytes32 keyDigest, bytes32 modelDigest, uint256 inputCommitment, uint8 mode, uint256 nonce, uint256 deadline)";
const ATTESTED_KEY = "tuple(address key, bytes32 modelDigest, bytes32 policyDigest, uint64 validUntil)";
const CERTIFICATE = "tuple(uint64 epoch, uint32 round, uint256 bitmap, bytes members, bytes signatures)";

/** Nothing, in a certificate's place: for a key that the contract has seen certified before. */
const NO_CERTIFICATE: EncodedCertificate = { epoch: 0n, round: 0n, bitmap: 0n, members: "0x", signatures: "0x" };

/** How a key comes to be believed. The certificate may be left out for one that was certified before. */
export interface KeyAttestation {
  key: AttestedKey;
  evidenceDigest: Hex;
  votes?: { certificate: Certificate; epoch: Epoch } | undefined;
}

export interface TaskResult {
  mode: bigint;
  /** An enclave, or the payee in mode OP, has signed `output`. */
  claimed: boolean;
  /** A proof has shown `output`; under `keyDigest`, which may have been frozen since. */
  proven: boolean;
  disputed: boolean;
  /** Unix seconds; 0 for nothing claimed. */
  claimedAt: bigint;
  /** Unix seconds; 0 for nothing proven. */
  provenAt: bigint;
  keyId: Hex;
  /** Of the circuit's key that `output` was proven under; zero where it was not. */
  keyDigest: Hex;
  output: bigint;
}

export class LazaiVerifierClient extends ContractClient {
  constructor(connection: Connection) {
    super("LazaiVerifier", connection);
  }

  /** @param chainId  of the chain that the contract is on: part of every id */
  async submitZkProof(chainId: bigint, request: TaskRequest, output: bigint, proof: Proof): Promise<Sent> {
    const domain = { chainId, verifyingContract: this.address };
    const statement = taskRequestStatement(domain, request, output);
    const signals = publicSignals(domain, "InferenceStatement", statement);
    const signalBytes = solidityPacked(["uint256[]"], [signals]);
    return this.send("submitZKProof", statement.task.taskId, encodeProof(request, output, proof), signalBytes);
  }

  /** @param signature  over `teeResultDigest`, by the attested key; by the payee in mode OP, which takes no attestation */
  async submitTeeProof(
    chainId: bigint,
    request: TaskRequest,
    output: bigint,
    signature: Hex,
    attestation?: KeyAttestation,
  ): Promise<Sent> {
    const id = taskRequestId({ chainId, verifyingContract: this.address }, request);
    const report = attestation
      ? encode(
          [REQUEST, ATTESTED_KEY, "bytes32", CERTIFICATE],
          [request, attestation.key, attestation.evidenceDigest, encodeVotes(attestation.votes)],
        )
      : encode([REQUEST], [request]);
    return this.send("submitTEEProof", id, toHex(word(output)), signature, report);
  }

  /** Shows that a claimed result is false, by a proof of the true one. */
  async submitContradiction(
    chainId: bigint,
    request: TaskRequest,
    output: bigint,
    proof: Proof,
    challenger: Hex,
  ): Promise<Sent> {
    const id = taskRequestId({ chainId, verifyingContract: this.address }, request);
    const evidence = encode(["uint8", "bytes"], [1, encodeProof(request, output, proof)]);
    return this.send("submitFraudProof", id, evidence, challenger);
  }

  /** Disputes a claimed result by the quorum's votes over `disputeDigest`, within the window. */
  async submitDispute(
    taskId: Hex,
    evidenceDigest: Hex,
    certificate: Certificate,
    epoch: Epoch,
    challenger: Hex,
  ): Promise<Sent> {
    const data = encode(["bytes32", CERTIFICATE], [evidenceDigest, encodeCertificate(epoch, certificate)]);
    return this.send("submitFraudProof", taskId, encode(["uint8", "bytes"], [2, data]), challenger);
  }

  /** Takes an attested key back for good, by votes that reject it. */
  async revokeKey(key: AttestedKey, evidenceDigest: Hex, certificate: Certificate, epoch: Epoch): Promise<Sent> {
    return this.send("revokeKey", key, evidenceDigest, encodeCertificate(epoch, certificate));
  }

  async verifyResult(taskId: Hex): Promise<boolean> {
    return this.read<boolean>("verifyResult", taskId);
  }

  async resultOf(taskId: Hex): Promise<TaskResult> {
    const result = await this.read<TaskResult>("resultOf", taskId);
    const { mode, claimed, proven, disputed, claimedAt, provenAt, keyId, keyDigest, output } = result;
    return { mode, claimed, proven, disputed, claimedAt, provenAt, keyId, keyDigest, output };
  }

  async taskIdOf(request: TaskRequest): Promise<Hex> {
    return this.read<Hex>("taskIdOf", request);
  }

  async attestedKeyDigest(key: AttestedKey): Promise<Hex> {
    return this.read<Hex>("attestedKeyDigest", key);
  }

  async teeResultDigest(taskId: Hex, output: bigint): Promise<Hex> {
    return this.read<Hex>("teeResultDigest", taskId, toHex(word(output)));
  }

  async disputeDigest(taskId: Hex, output: bigint): Promise<Hex> {
    return this.read<Hex>("disputeDigest", taskId, toHex(word(output)));
  }
}

function encode(types: string[], values: unknown[]): string {
  return AbiCoder.defaultAbiCoder().encode(types, values);
}

function encodeProof(request: TaskRequest, output: bigint, proof: Proof): string {
  return encode([REQUEST, "uint256", "uint256[8]"], [request, output, proofWords(proof)]);
}

function encodeVotes(votes: KeyAttestation["votes"]): EncodedCertificate {
  return votes ? encodeCertificate(votes.epoch, votes.certificate) : NO_CERTIFICATE;
}
