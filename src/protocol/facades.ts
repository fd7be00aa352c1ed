/**
 * Typed data of the contracts that speak other people's interfaces: LazAI's IVerifier, and ERC-8004's validation responses.
 *
 * The same structs stand in `verifier-contracts/src/facades`; test/chain recomputes each with ethers and on chain.
 *
 * @module
 */
import { concat, fromHex, type Hex, keccak, tag, toHex, word } from "../field/bytes.js";
import { type Domain, type TypeTable, typedDigest } from "./eip712.js";
import type { InferenceStatement } from "./statements.js";

/** How a result is shown: LazAI's `verifyMode`, and by a proof alone. */
export const VERIFY_MODES = { tee: 1n, teeZk: 2n, op: 3n, zk: 4n } as const;

/** What is to be computed, at the LazaiVerifier contract: a task's id there is the hash of this. */
export interface TaskRequest {
  requester: Hex;
  payee: Hex;
  /** Of the model's circuit; zero where no proof is wanted, which also rules out that one contradicts a claim. */
  keyDigest: Hex;
  modelDigest: Hex;
  inputCommitment: bigint;
  /** One of {@link VERIFY_MODES}. */
  mode: bigint;
  nonce: bigint;
  /** Unix seconds; the last block time at which a result is taken. */
  deadline: bigint;
}

/** A key that validators have seen attested: held by an enclave that runs this model under this policy. */
export interface AttestedKey {
  key: Hex;
  modelDigest: Hex;
  /** Of the TEE policy by which the evidence was appraised. */
  policyDigest: Hex;
  /** Unix seconds; not beyond the verdict's own. */
  validUntil: bigint;
}

/** A validation's outcome for ERC-8004, as the quorum votes on it. */
export interface ValidationResponse {
  requestHash: Hex;
  /** 0 to 100. */
  response: bigint;
  responseURI: string;
  /** Digest of the evidence: a bundle's or a proof's. It is the votes' evidence digest too. */
  responseHash: Hex;
  tag: string;
}

export const FACADE_TYPES: TypeTable = {
  AttestedKey: [
    { name: "key", type: "address" },
    { name: "modelDigest", type: "bytes32" },
    { name: "policyDigest", type: "bytes32" },
    { name: "validUntil", type: "uint64" },
  ],
  TeeResult: [
    { name: "taskId", type: "bytes32" },
    { name: "resultHash", type: "bytes32" },
  ],
  Dispute: [
    { name: "taskId", type: "bytes32" },
    { name: "resultHash", type: "bytes32" },
  ],
  ValidationResponse: [
    { name: "requestHash", type: "bytes32" },
    { name: "response", type: "uint8" },
    { name: "responseURI", type: "string" },
    { name: "responseHash", type: "bytes32" },
    { name: "tag", type: "string" },
  ],
};

const TASK_TAG = tag("anchorproof/lazai-task/1");

/** The id that a task has at the LazaiVerifier contract of the domain. */
export function taskRequestId({ chainId, verifyingContract }: Domain, request: TaskRequest): Hex {
  const address = (value: Hex, name: string) => concat(new Uint8Array(12), fromHex(value, name, 20));
  return toHex(
    keccak(
      TASK_TAG,
      word(chainId),
      address(verifyingContract, "contract"),
      address(request.requester, "requester"),
      address(request.payee, "payee"),
      fromHex(request.keyDigest, "key digest", 32),
      fromHex(request.modelDigest, "model digest", 32),
      word(request.inputCommitment),
      word(request.mode),
      word(request.nonce),
      word(request.deadline),
    ),
  );
}

/**
 * What a proof for a task has to be of: its public signals are those of this statement, under the LazaiVerifier's own domain
 * and not the gate's.
 */
export function taskRequestStatement(domain: Domain, request: TaskRequest, output: bigint): InferenceStatement {
  const { keyDigest, requester, payee, nonce, deadline, modelDigest, inputCommitment } = request;
  const taskId = taskRequestId(domain, request);
  return { task: { keyDigest, taskId, requester, payee, nonce, deadline }, modelDigest, output, inputCommitment };
}

/** What validators vote on to certify a key, or to reject it; it is the votes' task id too. */
export function attestedKeyDigest(domain: Domain, key: AttestedKey): Hex {
  return typedDigest(domain, FACADE_TYPES, "AttestedKey", key);
}

/** What an attested key signs, or the payee in mode OP. */
export function teeResultDigest(domain: Domain, taskId: Hex, output: bigint): Hex {
  return typedDigest(domain, FACADE_TYPES, "TeeResult", { taskId, resultHash: toHex(word(output)) });
}

/** What validators vote on to dispute a claimed result. */
export function disputeDigest(domain: Domain, taskId: Hex, output: bigint): Hex {
  return typedDigest(domain, FACADE_TYPES, "Dispute", { taskId, resultHash: toHex(word(output)) });
}

/** What validators vote on to answer a validation request; the votes' task id is its hash. */
export function validationResponseDigest(domain: Domain, response: ValidationResponse): Hex {
  return typedDigest(domain, FACADE_TYPES, "ValidationResponse", response);
}
