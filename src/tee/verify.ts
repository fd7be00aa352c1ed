/**
 * Step one of two: is this evidence authentic? Pure, synchronous, offline, and no input makes it throw.
 *
 * @module
 */
import { AnchorError } from "../errors.js";
import { verifyCca } from "./cca/verify.js";
import type { Claims } from "./claims.js";
import type { Collateral } from "./collateral.js";
import { type Context, Shared, type Verification, type VerifyOptions, verifyWith } from "./context.js";
import { type Evidence, evidenceBytes } from "./evidence.js";
import { verifyIntel } from "./intel/verify.js";
import { verifyNitro } from "./nitro/verify.js";
import { verifyNras } from "./nvidia/nras.js";
import { verifyNvidia } from "./nvidia/verify.js";
import { verifySnp } from "./snp/verify.js";
import { verifyVtpm } from "./vtpm/verify.js";

/**
 * Verifies evidence of any family against its vendor's pinned roots, as of the time given.
 *
 * @param evidence   from {@link readEvidence}, or built by the caller
 * @param collateral what the vendor published about this hardware; empty where the family needs none
 */
export function verify(evidence: Evidence, collateral: Collateral, options: VerifyOptions): Verification {
  return verifyPart(evidence, collateral, options, new Shared());
}

/** As {@link verify}, for one of several parts that have work in common. */
export function verifyPart(
  evidence: Evidence,
  collateral: Collateral,
  options: VerifyOptions,
  shared: Shared,
): Verification {
  return verifyWith(
    () => evidenceBytes(evidence),
    options,
    (context) => dispatch(context, evidence, collateral ?? {}),
    shared,
  );
}

function dispatch(context: Context, evidence: Evidence, collateral: Collateral): Claims {
  switch (evidence.kind) {
    case "intel":
      return verifyIntel(context, evidence, collateral);
    case "snp":
      return verifySnp(context, evidence, collateral);
    case "nitro":
      return verifyNitro(context, evidence, collateral);
    case "nvidia":
      return verifyNvidia(context, evidence, collateral);
    case "nras":
      return verifyNras(context, evidence, collateral);
    case "azure-vtpm":
      return verifyVtpm(context, evidence, collateral);
    case "cca":
      return verifyCca(context, evidence, collateral);
    default:
      throw new AnchorError("EVIDENCE_UNKNOWN", "this is no evidence of a family that is known here");
  }
}
