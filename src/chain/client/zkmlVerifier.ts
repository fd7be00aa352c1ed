/**
 * ERC-7992's verifier.
 *
 * @module
 */
import { AbiCoder } from "ethers";
import { type Hex, toHex, word } from "../../field/bytes.js";
import type { InferenceStatement } from "../../protocol/statements.js";
import { type Proof, proofWords } from "../../verifier/groth16.js";
import { type Connection, ContractClient, type Sent, summary } from "./caller.js";

const TASK =
  "tuple(bytes32 keyDigest, bytes32 taskId, address requester, address payee, uint256 nonce, uint256 deadline)";

/** A model's id is its key digest. Proofs are bound to this contract's own domain, and to the sending account. */
export class ZkmlVerifierClient extends ContractClient {
  constructor(connection: Connection) {
    super("ZkmlVerifier", connection);
  }

  async verifyInference(statement: InferenceStatement, proof: Proof): Promise<Sent> {
    return this.send("verifyInference", ...encodeArguments(statement, proof));
  }

  /** Verifies, and keeps the record under its ERC-7992 id. */
  async verifyAndStoreInference(statement: InferenceStatement, proof: Proof): Promise<Sent & { inferenceId: Hex }> {
    const receipt = await this.transact("verifyAndStoreInference", encodeArguments(statement, proof));
    return { ...summary(receipt), inferenceId: this.event(receipt, "InferenceStored")["inferenceId"] as Hex };
  }

  /** @throws CHAIN_REVERTED (InferenceUnknown) */
  async getInference(inferenceId: Hex): Promise<{ keyDigest: Hex; inputCommitment: bigint; output: bigint }> {
    const [modelId, inputCommitment, output] = await this.read<[bigint, Hex, Hex]>("getInference", inferenceId);
    return { keyDigest: toHex(word(modelId)), inputCommitment: BigInt(inputCommitment), output: BigInt(output) };
  }
}

function encodeArguments({ task, output, inputCommitment }: InferenceStatement, proof: Proof): unknown[] {
  const encoded = AbiCoder.defaultAbiCoder().encode([TASK, "uint256[8]"], [task, proofWords(proof)]);
  return [BigInt(task.keyDigest), toHex(word(inputCommitment)), toHex(word(output)), encoded];
}
