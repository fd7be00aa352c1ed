/**
 * Verifies the proof of a statement. The public signals are rebuilt from it; nothing is taken from the prover.
 *
 * @module
 */
import { AnchorError } from "../errors.js";
import type { Hex } from "../field/bytes.js";
import type { Domain } from "../protocol/eip712.js";
import { publicSignals, type StatementName, type Statements, taskOf } from "../protocol/statements.js";
import { evidenceDigest, keyDigest, type Proof, type VerifyingKey, verifyGroth16 } from "./groth16.js";
import { lintVerifyingKey } from "./lint.js";

/**
 * @param domain chain and gate that the statement must be for
 * @param key    a key that the caller trusts for this kind of statement; its digest must be the one in the task
 * @returns the public signals, and the digest that names this very proof
 * @throws KEY_UNKNOWN, KEY_FORGEABLE, KEY_MALFORMED, STATEMENT_INVALID, CONTEXT_ZERO, PROOF_INVALID
 */
export function verifyStatement<N extends StatementName>(
  domain: Domain,
  name: N,
  statement: Statements[N],
  key: VerifyingKey,
  proof: Proof,
): { publicSignals: bigint[]; evidenceDigest: Hex } {
  const digest = keyDigest(key);
  if (taskOf(name, statement).keyDigest !== digest) {
    throw new AnchorError("KEY_UNKNOWN", "the statement is bound to another key than this one", {
      details: { digest },
    });
  }
  lintVerifyingKey(key);
  const signals = publicSignals(domain, name, statement);
  if (signals.length !== key.nPublic) {
    throw new AnchorError(
      "KEY_UNKNOWN",
      `the key is of a circuit with ${key.nPublic} public signals, not ${signals.length}`,
    );
  }
  if (!verifyGroth16(key, signals, proof)) {
    throw new AnchorError("PROOF_INVALID", "the proof does not prove this statement for this chain and contract", {
      details: { statement: name },
    });
  }
  return { publicSignals: signals, evidenceDigest: evidenceDigest(digest, signals, proof) };
}
