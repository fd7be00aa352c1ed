import { fromHex } from "../../../src/field/bytes.js";
import type { NrasClaims, NvidiaClaims } from "../../../src/tee/claims.js";
import type { Collateral } from "../../../src/tee/collateral.js";
import { type Verification, type VerifyOptions, verifyWith } from "../../../src/tee/context.js";
import type { NrasEvidence, NvidiaEvidence } from "../../../src/tee/evidence.js";
import { verifyNras } from "../../../src/tee/nvidia/nras.js";
import { verifyNvidia } from "../../../src/tee/nvidia/verify.js";
import { parsePem } from "../../../src/tee/x509.js";
import { vector, vectorText } from "../vectors.js";

/** A time at which every real device and every real manifest but the expired one is valid. */
export const NOW = Date.UTC(2025, 4, 30) / 1000;

/** Only this family, so that a test fails for nothing else. */
export function verifyDevice(
  evidence: NvidiaEvidence,
  options: VerifyOptions,
  collateral: Collateral = {},
): Verification<NvidiaClaims> {
  return verifyWith(
    () => evidence.report,
    options,
    (context) => verifyNvidia(context, evidence, collateral),
  );
}

export function verifyTokens(
  evidence: NrasEvidence,
  options: VerifyOptions,
  collateral: Collateral,
): Verification<NrasClaims> {
  return verifyWith(
    () => new TextEncoder().encode(evidence.overall),
    options,
    (context) => verifyNras(context, evidence, collateral),
  );
}

/** `ok`, or the code of the failure. */
export function outcome(verification: Verification): string {
  return verification.ok ? "ok" : verification.failure.code;
}

export function message(verification: Verification): string {
  return verification.ok ? "" : verification.failure.message;
}

/** Ids of the checks that something was missing for. */
export function unchecked(verification: Verification): string[] {
  return verification.checks.filter((each) => each.outcome === "unchecked").map(({ id }) => id);
}

export function device(id: string): NvidiaEvidence {
  const certificates = parsePem(vectorText("nvidia", id, "chain.pem"));
  return { kind: "nvidia", report: vector("nvidia", id, "report.bin"), certificates };
}

/** The GPU whose manifests are among the vectors, with both of them. */
export function measured(): { evidence: NvidiaEvidence; driver: string; vbios: string } {
  const [driver, vbios, report] = ["driver_rim.xml", "vbios_rim.xml", "report.hex"].map((file) =>
    vectorText("nvidia-rim", "h100-545-full-match", file),
  ) as [string, string, string];
  const certificates = parsePem(vectorText("nvidia-rim", "h100-545-full-match", "chain.b64"));
  return {
    evidence: { kind: "nvidia", report: fromHex(`0x${report.trim()}`, "a report"), certificates },
    driver,
    vbios,
  };
}

export function rims(...manifests: string[]): Collateral {
  return { nvidia: { rims: manifests, ocsp: [], crls: [] } };
}

export function flipped(bytes: Uint8Array, at: number, mask = 1): Uint8Array {
  const copy = bytes.slice();
  copy[at]! ^= mask;
  return copy;
}

/** A file of the vectors: the answer of the service, and the key set of the day. */
export function answer(id: string): { evidence: NrasEvidence; collateral: Collateral; jwks: string } {
  const [[, overall], devices] = JSON.parse(vectorText("nras-jwt", id, "nras_response.json"));
  const jwks = vectorText("nras-jwt", id, "jwks.json");
  return { evidence: { kind: "nras", overall, devices }, collateral: { nras: { jwks: [jwks] } }, jwks };
}
