/**
 * What a piece of evidence needs, fetched from its vendor.
 *
 * @module
 */
import { AnchorError } from "../../errors.js";
import { type Collateral, mergeCollateral } from "../collateral.js";
import type { Composite, Evidence, NvidiaEvidence, QuoteEvidence, SnpEvidence } from "../evidence.js";
import { readPckExtension } from "../intel/pck.js";
import { CERTIFICATION, parseQuote } from "../intel/quote.js";
import { readIdentity, readState } from "../nvidia/device.js";
import { parseSpdmReport } from "../nvidia/spdm.js";
import { type AmdProduct, PINNED_ROOTS } from "../roots.js";
import { parseSnpReport } from "../snp/report.js";
import { decodeTcb, productOfCpuid } from "../snp/tcb.js";
import { parseHclReport } from "../vtpm/hcl.js";
import { pemBlocks, textOf } from "../wrapping/encoding.js";
import { isSigned, parseCertificate } from "../x509.js";
import { fetchAmdCrl, fetchVcek } from "./amd.js";
import { fetchIntelCollateral, type IntelFetchOptions } from "./intel.js";
import { fetchNrasJwks, fetchOcsp, fetchRim } from "./nvidia.js";

/**
 * Fetches the collateral of one piece of evidence, or of a machine's. It is current now: evidence of another time needs
 * that time's, from an archive.
 *
 * @throws COLLATERAL_UNAVAILABLE, COLLATERAL_MALFORMED, INPUT_TOO_LARGE, ABORTED, and what the evidence's parser throws
 */
export async function fetchCollateral(
  evidence: Evidence | Composite,
  options: IntelFetchOptions = {},
): Promise<Collateral> {
  if ("kind" in evidence) return fetchOne(evidence, options);
  const { cpu, devices, tokens } = evidence;
  const parts: Collateral[] = [await fetchOne(cpu, options)];
  for (const device of devices) parts.push(await fetchOne(device, options));
  if (tokens.length > 0) parts.push(await fetchOne(tokens[0]!, options));
  return mergeCollateral(...parts);
}

async function fetchOne(evidence: Evidence, options: IntelFetchOptions): Promise<Collateral> {
  switch (evidence.kind) {
    case "intel":
      return fetchForQuote(evidence, options);
    case "snp":
      return fetchForReport(evidence, options);
    case "azure-vtpm": {
      if (evidence.quote) return fetchForQuote({ kind: "intel", quote: evidence.quote }, options);
      const { kind, hardware } = parseHclReport(evidence.hclReport);
      if (kind === "tdx")
        throw new AnchorError("COLLATERAL_MISSING", "the TD quote is not there, which says of which platform it is");
      const { certificates = [] } = evidence;
      return fetchForReport({ kind: "snp", report: hardware, certificates }, options);
    }
    case "nvidia":
      return fetchForDevice(evidence, options);
    case "nras":
      return { nras: { jwks: [await fetchNrasJwks(options)] } };
    default:
      // A Nitro document brings its chain, and revocation lists are named in it by addresses that nobody vouches for.
      return {};
  }
}

async function fetchForQuote({ quote }: QuoteEvidence, options: IntelFetchOptions): Promise<Collateral> {
  const { tee, certification } = parseQuote(quote);
  const pem = certification.type === CERTIFICATION.pckChain ? (textOf(certification.data) ?? "") : "";
  const [leaf] = pemBlocks(pem);
  if (!leaf) {
    throw new AnchorError(
      "COLLATERAL_MISSING",
      "the quote does not bring its PCK certificate, without which its kind of platform is not known",
    );
  }
  const pck = parseCertificate(leaf.bytes);
  const { fmspc } = readPckExtension(pck);
  const ca = /Platform/.test(pck.issuer.commonName) ? "platform" : "processor";
  return { intel: [await fetchIntelCollateral({ tee, ca, fmspc: Buffer.from(fmspc).toString("hex") }, options)] };
}

async function fetchForReport(
  { report, certificates = [] }: SnpEvidence,
  options: IntelFetchOptions,
): Promise<Collateral> {
  const { cpuid, chipId, tcb, signingKey } = parseSnpReport(report);
  const brought = certificates.map((der) => parseCertificate(der));
  const leaf = brought.find(({ subject }) => /^SEV-V[CL]EK$/.test(subject.commonName));
  const named = /SEV-(?:VLEK-)?(Milan|Genoa|Turin)/.exec(leaf?.issuer.commonName ?? "")?.[1] as AmdProduct | undefined;
  const product = (cpuid && productOfCpuid(cpuid)) ?? named;
  if (!product) {
    throw new AnchorError("COLLATERAL_MISSING", "the report does not say of which product it is: give its VCEK");
  }
  // The intermediate certificates are pinned beside the root.
  const needed =
    leaf || signingKey !== 0 ? [] : [await fetchVcek(product, chipId, decodeTcb(tcb.reported, product), options)];
  return { amd: { certificates: needed, crls: [await fetchAmdCrl(product, options)] } };
}

async function fetchForDevice(evidence: NvidiaEvidence, options: IntelFetchOptions): Promise<Collateral> {
  const chain = evidence.certificates.map((der) => parseCertificate(der));
  const roots = PINNED_ROOTS.nvidiaDevice.map((der) => parseCertificate(der));
  const [leaf, burntIn] = chain;
  if (!leaf || !burntIn) {
    throw new AnchorError(
      "COLLATERAL_MISSING",
      "the device's certificates are not there, which say of which chip it is",
    );
  }
  const { rimIds } = readState(parseSpdmReport(evidence.report), readIdentity(leaf, burntIn));
  const rims: string[] = [];
  for (const id of [rimIds.driver, rimIds.vbios]) if (id !== undefined) rims.push(await fetchRim(id, options));
  const ocsp: Uint8Array[] = [];
  for (const [i, certificate] of chain.entries()) {
    const issuer = chain[i + 1] ?? roots.find((root) => isSigned(certificate, root));
    const isRoot = certificate.issuer.text === certificate.subject.text;
    if (issuer && !isRoot) ocsp.push(await fetchOcsp(certificate.der, issuer.der, options));
  }
  return { nvidia: { rims, ocsp, crls: [] } };
}
