/**
 * Hardware's word for an answer that is also proven: attestation bound to the very statement, appraised under the
 * verifier's own policy.
 *
 * @module
 */
import { AnchorError } from "../errors.js";
import { assertHex, type Hex } from "../field/bytes.js";
import { canonicalJson } from "../protocol/document.js";
import { type Domain, readObject } from "../protocol/eip712.js";
import type { InferenceStatement } from "../protocol/statements.js";
import { taskOfInference } from "../tee/binding.js";
import { type Collateral, collateralFromJson, collateralToJson } from "../tee/collateral.js";
import { verifyComposite } from "../tee/composite.js";
import type { Composite } from "../tee/evidence.js";
import { evidenceFromJson, evidenceToJson } from "../tee/evidenceJson.js";
import { appraiseComposite } from "../tee/policy/appraise.js";
import { type Policy, policyFromJson, policyToJson } from "../tee/policy/policy.js";
import { type Roots, rootsFromJson, rootsToJson } from "../tee/roots.js";
import type { TeeVerdict } from "../tee/verdict.js";

/** What a node hands over beside its proof. */
export interface Attestation {
  machine: Composite;
  collateral: Collateral;
  /** Public key of the enclave, if the evidence names one beside the task; `0x` otherwise. */
  enclaveKey: Hex;
}

/** What a verifier holds to be true of TEEs. */
export interface TeeTrust {
  policy: Policy;
  /** Instead of the vendors' pinned roots, family by family. */
  roots?: Partial<Roots>;
}

export function attestationToJson({ machine, collateral, enclaveKey }: Attestation): Record<string, unknown> {
  return { machine: evidenceToJson(machine), collateral: collateralToJson(collateral), enclaveKey };
}

/** @throws BUNDLE_INVALID, EVIDENCE_MALFORMED, COLLATERAL_MALFORMED, FORMAT_UNSUPPORTED */
export function attestationFromJson(json: unknown, path: string): Attestation {
  const { machine, collateral, enclaveKey } = readObject(
    json,
    ["machine", "collateral", "enclaveKey"],
    "BUNDLE_INVALID",
    path,
  );
  try {
    assertHex(enclaveKey, "the enclave's key");
    const read = evidenceFromJson(machine);
    const whole: Composite = "cpu" in read ? read : { cpu: read, devices: [], tokens: [] };
    const attestation: Attestation = { machine: whole, collateral: collateralFromJson(collateral), enclaveKey };
    if (canonicalJson(json) !== canonicalJson(attestationToJson(attestation))) {
      throw new AnchorError("BUNDLE_INVALID", "the attestation is not in canonical form");
    }
    return attestation;
  } catch (error) {
    if (!(error instanceof AnchorError)) throw error;
    throw new AnchorError(error.code, `${path}: ${error.message}`, { details: error.details, cause: error });
  }
}

export function teeTrustToJson({ policy, roots }: TeeTrust): Record<string, unknown> {
  return { policy: policyToJson(policy), ...(roots ? { roots: rootsToJson(roots) } : {}) };
}

/** @throws TRUST_INVALID, POLICY_INVALID */
export function teeTrustFromJson(json: unknown, path: string): TeeTrust {
  const { policy, roots } = readObject(json, ["policy"], "TRUST_INVALID", path, ["roots"]);
  return {
    policy: policyFromJson(policy),
    ...(roots === undefined ? {} : { roots: rootsFromJson(roots, "TRUST_INVALID", `${path}.roots`) }),
  };
}

/**
 * Both steps over one answer's attestation. Everything that it has to be bound to is rebuilt from the statement.
 *
 * @param now Unix seconds of a block that the verifier trusts
 */
export function appraiseAnswer(
  domain: Domain,
  statement: InferenceStatement,
  { machine, collateral, enclaveKey }: Attestation,
  { policy, roots }: TeeTrust,
  now: number,
): TeeVerdict {
  const task = taskOfInference(domain, statement, enclaveKey);
  const verification = verifyComposite(machine, collateral, { now, task, ...(roots ? { roots } : {}) });
  return appraiseComposite(verification, policy, { task });
}
