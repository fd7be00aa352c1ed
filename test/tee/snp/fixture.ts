import type { SnpClaims } from "../../../src/tee/claims.js";
import type { Collateral } from "../../../src/tee/collateral.js";
import { type Verification, type VerifyOptions, verifyWith } from "../../../src/tee/context.js";
import type { SnpEvidence } from "../../../src/tee/evidence.js";
import { PINNED_ROOTS } from "../../../src/tee/roots.js";
import { verifySnp } from "../../../src/tee/snp/verify.js";
import { parsePem } from "../../../src/tee/x509.js";
import { type Case, vector, vectorText } from "../vectors.js";

export const AMD = PINNED_ROOTS.amd;

export function verify(
  evidence: SnpEvidence,
  options: VerifyOptions,
  collateral: Collateral = {},
): Verification<SnpClaims> {
  return verifyWith(
    () => evidence.report,
    options,
    (context) => verifySnp(context, evidence, collateral),
  );
}

/** `ok`, or the code of the failure. */
export function outcome(verification: Verification): string {
  return verification.ok ? "ok" : verification.failure.code;
}

export interface RealReport {
  report: Uint8Array;
  vek: Uint8Array;
  /** Of AMD, as the case brings them. */
  chain: Uint8Array[];
  /** Validity of the certificate, Unix seconds. */
  from: number;
  until: number;
  evidence: SnpEvidence;
}

export function real({ id, vekFrom, vekTo }: Case): RealReport {
  const seconds = (text: unknown) => Date.parse(String(text)) / 1000;
  const report = vector("snp", id, "report.bin");
  const vek = vector("snp", id, "vek.der");
  const chain = parsePem(vectorText("snp", id, "ask_ark_asvk.pem"));
  const evidence: SnpEvidence = { kind: "snp", report, certificates: [vek, ...chain] };
  return { report, vek, chain, from: seconds(vekFrom), until: seconds(vekTo), evidence };
}

export function flip(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = bytes.slice();
  copy[bit >> 3]! ^= 1 << (bit & 7);
  return copy;
}
