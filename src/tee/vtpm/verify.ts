/**
 * Azure's confidential guests: a vTPM, kept by the paravisor beneath the guest (VMPL 0 of SNP, the first level of a
 * partitioned TD), signs the guest's PCRs with a key that the paravisor's own hardware report vouches for.
 *
 *     vendor → hardware report → its report data = hash of the runtime data → HCLAkPub → TPM quote → nonce, PCRs
 *
 * The hardware report is the paravisor's: its measurement is of the paravisor, and only the PCRs are of the guest. Whoever can
 * have a report made for another paravisor, or for none, can hold any key and any PCRs: a policy has to name the measurement
 * (SNP) or MRTD (TDX). Freshness lies in the TPM quote; the report is made once, and its report data holds no nonce.
 *
 * @module
 */
import { type Hex, toHex } from "../../field/bytes.js";
import type { IntelClaims, SnpClaims, VtpmClaims } from "../claims.js";
import type { Collateral } from "../collateral.js";
import { type Context, demand } from "../context.js";
import type { VtpmEvidence } from "../evidence.js";
import { verifyIntel } from "../intel/verify.js";
import { verifySnp } from "../snp/verify.js";
import { attestationKey, type HclReport, isHashOfRuntimeData, parseHclReport } from "./hcl.js";
import { requireSameTd } from "./tdReport.js";
import { PCR_COUNT, parseTpmQuote, requireQuotedPcrs, verifyTpmSignature } from "./tpm.js";

/** @throws what the inner report's verification throws; EVIDENCE_MALFORMED, UNSUPPORTED_REPORT_VERSION, BINDING_MISMATCH, TPM_SIGNATURE, TPM_MISMATCH */
export function verifyVtpm(context: Context, evidence: VtpmEvidence, collateral: Collateral): VtpmClaims {
  const { message, signature, pcrs } = evidence;
  const hcl = context.check("azure.hcl.layout", "the HCL report is laid out as the paravisor writes it", () =>
    parseHclReport(evidence.hclReport),
  );
  const quote = context.check("tpm.quote.layout", "the message is a TPM's quote of PCRs of the SHA-256 bank", () => {
    demand(
      pcrs.length === PCR_COUNT && pcrs.every(({ length }) => length === 32),
      "EVIDENCE_MALFORMED",
      `beside a TPM quote there must be ${PCR_COUNT} PCRs of 32 bytes`,
    );
    return parseTpmQuote(message);
  });
  const tee =
    hcl.kind === "snp"
      ? verifyInnerSnp(context, hcl, evidence, collateral)
      : verifyInnerTd(context, hcl, evidence, collateral);
  context.check("azure.runtime-data", "the hardware report's data is the hash of the runtime data", () => {
    demand(
      isHashOfRuntimeData(hcl, reportDataOf(tee)),
      "BINDING_MISMATCH",
      `the hardware report's data ${tee.reportData} is not the ${hcl.hash} of the runtime data and zeros`,
    );
  });
  const key = context.check("azure.ak", "the runtime data names the vTPM's attestation key", () =>
    attestationKey(hcl.runtimeData),
  );
  context.check("tpm.quote.signature", "the TPM quote is signed by that key", () =>
    verifyTpmSignature(message, signature, key),
  );
  context.check("tpm.quote.pcrs", "the PCRs given are those that the TPM quote signs", () =>
    requireQuotedPcrs(quote, pcrs),
  );
  if (quote.selected.length < PCR_COUNT) {
    context.note(
      `the TPM quote signs PCRs ${quote.selected.join(", ")} only; what was given of the others is not authenticated`,
    );
  }
  if (!quote.safe) context.note("the TPM's clock may have stood at a later time than the quote says");
  const userData = hexOf(hcl.runtimeData["user-data"]);
  return {
    family: hcl.kind === "snp" ? "azure-snp" : "azure-tdx",
    debug: tee.debug,
    measurements: {
      ...tee.measurements,
      ...Object.fromEntries(quote.selected.map((index) => [`pcr${index}`, toHex(pcrs[index]!)])),
    },
    ...(userData ? { reportData: userData } : {}),
    ...(quote.extraData.length > 0 ? { nonce: toHex(quote.extraData) } : {}),
    tee,
    firmwareVersion: `0x${quote.firmwareVersion.toString(16).padStart(16, "0")}`,
    runtimeData: hcl.runtimeData,
    clock: {
      clock: quote.clock.toString(),
      resetCount: quote.resetCount,
      restartCount: quote.restartCount,
      safe: quote.safe,
    },
  };
}

function verifyInnerSnp(
  context: Context,
  { hardware }: HclReport,
  evidence: VtpmEvidence,
  collateral: Collateral,
): SnpClaims {
  const { certificates } = evidence;
  const claims = verifySnp(
    context,
    { kind: "snp", report: hardware, ...(certificates ? { certificates } : {}) },
    collateral,
  );
  context.check("azure.vmpl", "the SNP report is the paravisor's own, of VMPL 0", () => {
    // A guest gets reports too, of its own level and with any data: one of those could vouch for a key of its own.
    demand(claims.vmpl === 0, "BINDING_MISMATCH", `the SNP report is of VMPL ${claims.vmpl}, not of the paravisor's 0`);
  });
  return claims;
}

function verifyInnerTd(
  context: Context,
  { hardware }: HclReport,
  { quote }: VtpmEvidence,
  collateral: Collateral,
): IntelClaims {
  const claims = context.check("azure.td-quote", "there is a quote of the TDREPORT", () => {
    demand(
      quote !== undefined,
      "EVIDENCE_MALFORMED",
      "an HCL report of TDX needs the quote that was made of its TDREPORT",
    );
    return quote;
  });
  const verified = verifyIntel(context, { kind: "intel", quote: claims }, collateral);
  context.check("azure.td-report", "the quote is of the TDREPORT in the HCL report", () =>
    requireSameTd(hardware, verified),
  );
  return verified;
}

/** Both families have 64 bytes of it. */
function reportDataOf({ reportData }: SnpClaims | IntelClaims): Uint8Array {
  return new Uint8Array(Buffer.from((reportData ?? "0x").slice(2), "hex"));
}

/** Upper-case hex of what the guest wrote to the NV index for user data. */
function hexOf(value: unknown): Hex | undefined {
  return typeof value === "string" && /^(?:[0-9a-fA-F]{2}){1,1024}$/.test(value)
    ? `0x${value.toLowerCase()}`
    : undefined;
}
