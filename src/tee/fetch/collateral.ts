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
import { outlineDevice } from "../nvidia/device.js";
import { outlineRim } from "../nvidia/rim.js";
import { BURNT_IN } from "../nvidia/verify.js";
import { type AmdProduct, PINNED_ROOTS } from "../roots.js";
import { parseSnpReport } from "../snp/report.js";
import { decodeTcb, productOfCpuid } from "../snp/tcb.js";
import { parseHclReport } from "../vtpm/hcl.js";
import { pemBlocks, textOf } from "../wrapping/encoding.js";
import { type Certificate, isSigned, parseCertificate, parsePinned } from "../x509.js";
import { fetchAmdCrl, fetchVcek } from "./amd.js";
import type { FetchOptions } from "./http.js";
import { fetchIntelCollateral, type IntelFetchOptions } from "./intel.js";
import { fetchNrasJwks, fetchOcsp, fetchRim, ocspRequest } from "./nvidia.js";

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
  const ask = new Ask(options);
  if ("kind" in evidence) return fetchOne(evidence, options, ask);
  const { cpu, devices, tokens } = evidence;
  const parts: Collateral[] = [await fetchOne(cpu, options, ask)];
  for (const device of devices) parts.push(await fetchOne(device, options, ask));
  if (tokens.length > 0) parts.push(await fetchOne(tokens[0]!, options, ask));
  return mergeCollateral(...parts);
}

async function fetchOne(evidence: Evidence, options: IntelFetchOptions, ask: Ask): Promise<Collateral> {
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
      return fetchForDevice(evidence, ask);
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

/**
 * Manifests of firmware and driver, and whether a certificate of the device or of a manifest's signer is revoked. Not about the
 * device's own leaf: the device made it, and no service knows it.
 */
async function fetchForDevice(evidence: NvidiaEvidence, ask: Ask): Promise<Collateral> {
  if (evidence.certificates.length < 2) {
    throw new AnchorError(
      "COLLATERAL_MISSING",
      "the device's certificates are not there, which say of which chip it is",
    );
  }
  const { certificates, rims: ids } = outlineDevice(evidence);
  const rims: string[] = [];
  for (const id of ids) rims.push(await ask.rim(id));
  const ocsp = await fetchStatus(certificates.slice(BURNT_IN), PINNED_ROOTS.nvidiaDevice, ask);
  for (const xml of rims) ocsp.push(...(await fetchStatus(outlineRim(xml).certificates, PINNED_ROOTS.nvidiaRim, ask)));
  return { nvidia: { rims, ocsp, crls: [] } };
}

/** Of every certificate of a chain but the root. */
async function fetchStatus(
  chain: readonly Certificate[],
  roots: readonly Uint8Array[],
  ask: Ask,
): Promise<Uint8Array[]> {
  const answers: Uint8Array[] = [];
  for (const [i, certificate] of chain.entries()) {
    const issuer = chain[i + 1] ?? roots.map(parsePinned).find((root) => isSigned(certificate, root));
    const isRoot = certificate.issuer.text === certificate.subject.text;
    if (issuer && !isRoot) answers.push(await ask.ocsp(certificate, issuer));
  }
  return answers;
}

/** What is asked once for all devices of a machine: most of their manifests and certificates are the same. */
class Ask {
  readonly #options: FetchOptions;
  readonly #answers = new Map<string, Promise<unknown>>();

  constructor(options: FetchOptions) {
    this.#options = options;
  }

  rim(id: string): Promise<string> {
    return this.#once(`rim ${id}`, () => fetchRim(id, this.#options));
  }

  ocsp(certificate: Certificate, issuer: Certificate): Promise<Uint8Array> {
    const key = Buffer.from(ocspRequest(certificate, issuer)).toString("hex");
    return this.#once(`ocsp ${key}`, () => fetchOcsp(certificate.der, issuer.der, this.#options));
  }

  #once<T>(key: string, run: () => Promise<T>): Promise<T> {
    const before = this.#answers.get(key) as Promise<T> | undefined;
    if (before) return before;
    const answer = run();
    this.#answers.set(key, answer);
    return answer;
  }
}
