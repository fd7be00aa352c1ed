/**
 * Verification of SGX and TDX quotes, as Intel's own library does it (QVL, section 4.1.2), in its order: certificates,
 * revocation lists, TCB info, the quoting enclave's identity, its report, the quote, and how far the platform is up to date.
 *
 * A status is a claim: a platform that is out of date, or whose level Intel revoked, is authentic, and `status` says what it
 * is. Appraisal never accepts `Revoked`. Below the lowest level that Intel knows there is no status: TCB_NOT_SUPPORTED.
 *
 * A quote can be spelt in more than one way without any key (padding, line ends of its certificates, the other s of a
 * signature): what counts quotes counts what they say, never the digest of their bytes.
 *
 * @module
 */
import { createHash, type KeyObject } from "node:crypto";
import type { ErrorCode } from "../../errors.js";
import { concat, type Hex, toHex, utf8 } from "../../field/bytes.js";
import type { IntelClaims } from "../claims.js";
import type { Collateral, IntelCollateral, SignedJson } from "../collateral.js";
import { type Context, demand } from "../context.js";
import type { QuoteEvidence } from "../evidence.js";
import { equalBytes, isZero } from "../read/bytes.js";
import type { JsonObject } from "../read/json.js";
import {
  type Certificate,
  type Crl,
  describe,
  parseCertificate,
  parseCrl,
  parsePem,
  parsePinned,
  peekCrl,
  rawEcKey,
  requireUnrevoked,
  verifyChain,
  verifyCrl,
  verifySignature,
} from "../x509.js";
import { parseSignedJson, type QeIdentity, readQeIdentity, readTcbInfo, type TcbInfo } from "./collateral.js";
import { type PckExtension, readPckExtension } from "./pck.js";
import {
  CERTIFICATION,
  isDebug,
  isDebugEnclave,
  parseQuote,
  type Quote,
  type QuoteBody,
  type TdReport,
  tdAttributeNames,
  tdxModuleName,
} from "./quote.js";
import { evaluateTcb, findModuleIdentity, type TcbResult } from "./tcb.js";

const VENDOR: Hex = "0x939a7233f79c4ca9940a0db3957f0607";

/** Common names that Intel's certificates have in their places. */
const NAMES = {
  root: "Intel SGX Root CA",
  cas: ["Intel SGX PCK Platform CA", "Intel SGX PCK Processor CA"],
  pck: "Intel SGX PCK Certificate",
  signer: "Intel SGX TCB Signing",
} as const;

const ECDSA = { kind: "ecdsa", hash: "sha256" } as const;
/** Certificates that a chain may hold here; it needs three. */
const MAX_GIVEN = 10;

/**
 * @param collateral of which it takes the entry that fits the platform
 * @throws AnchorError with the code of the first check that failed
 */
export function verifyIntel(context: Context, evidence: QuoteEvidence, collateral: Collateral): IntelClaims {
  const quote = readQuote(context, evidence.quote);
  const certificates = new CertificateReader(context.roots.intel);
  const chosen = chooseCollateral(context, quote, collateral.intel ?? [], certificates);
  const { entry } = chosen;
  const [pck, ca, root] = verifyPck(context, chosen.pckChain);
  const extension = context.check("intel.pck.extension", "the PCK certificate describes the platform", () =>
    readPckExtension(pck),
  );
  if (quote.certification.type !== CERTIFICATION.pckChain) {
    context.use("intel.pck-certificate", describe(pck), pck.der, { from: pck.notBefore, until: pck.notAfter });
  }
  const rootCrl = readCrl(context, entry.rootCrl, "intel.root", "root CA's revocation list");
  verifyCrl(context, rootCrl, root, { id: "intel.root", kind: "intel.root-crl", what: "root CA's revocation list" });
  const pckCrl = readCrl(context, entry.pckCrl, "intel.pck", "revocation list of PCK certificates");
  const what = "revocation list of PCK certificates";
  verifyCrl(context, pckCrl, ca, { id: "intel.pck", kind: "intel.pck-crl", what });
  requireUnrevoked(context, rootCrl, ca, "intel.pck-ca");
  requireUnrevoked(context, pckCrl, pck, "intel.pck");

  const signers = new Signers(context, certificates, root, rootCrl);
  const tcbInfo = verifyTcbInfo(context, quote, entry, extension, signers, chosen.tcbInfo);
  const qeIdentity = verifyQeIdentity(context, quote, entry, signers);
  if (quote.body.kind !== "sgx") verifyModule(context, quote.body.report, tcbInfo);
  verifyQuotingEnclave(context, quote, pck.key, qeIdentity);
  context.check("intel.quote.signature", "the quote is signed by its attestation key", () => {
    const key = rawEcKey(
      "P-256",
      quote.attestationKey.subarray(0, 32),
      quote.attestationKey.subarray(32),
      "EVIDENCE_MALFORMED",
    );
    const isSigned = verifySignature(ECDSA, key, quote.signed, quote.signature, "ieee-p1363");
    demand(isSigned, "QUOTE_SIGNATURE", "the quote is not signed by its attestation key");
  });
  const result = context.check("intel.tcb", "Intel published a TCB level that the platform reaches", () => {
    const platform = { pck: extension, qeIsvSvn: quote.qeReport.isvSvn, ...tdxSvns(quote.body) };
    return evaluateTcb(tcbInfo, qeIdentity, platform);
  });
  return claimsOf(quote, extension, result, tcbInfo, qeIdentity);
}

function readQuote(context: Context, bytes: Uint8Array): Quote {
  const quote = context.check("intel.quote.format", "the quote is laid out as specified", () => parseQuote(bytes));
  const { trailing, vendorId } = quote;
  if (trailing.length > 0) {
    const what = isZero(trailing) ? "zeros" : "bytes that are not zero";
    context.note(`the quote is followed by ${trailing.length} ${what}, which nothing signs`);
  }
  context.check("intel.quote.vendor", "the quote is by Intel's quoting enclave", () => {
    const vendor = toHex(vendorId);
    demand(vendor === VENDOR, "QE_VENDOR_ID", `the quote is by the vendor ${vendor}, not by Intel (${VENDOR})`);
  });
  return quote;
}

/** Parses certificates, a pinned root only once for all verifications, and others once for this one. */
class CertificateReader {
  readonly #roots: readonly Uint8Array[];
  readonly #read: Certificate[] = [];

  constructor(roots: readonly Uint8Array[]) {
    this.#roots = roots;
  }

  read(ders: readonly Uint8Array[], what: string): Certificate[] {
    demand(ders.length <= MAX_GIVEN, "CHAIN_INCOMPLETE", `the chain of the ${what} has ${ders.length} certificates`);
    return ders.map((der) => {
      const root = this.#roots.find((each) => equalBytes(each, der));
      if (root) return parsePinned(root);
      const before = this.#read.find((each) => equalBytes(each.der, der));
      if (before) return before;
      const certificate = parseCertificate(der);
      this.#read.push(certificate);
      return certificate;
    });
  }
}

interface Chosen {
  entry: IntelCollateral;
  /** PCK certificate first; the root may be missing. */
  pckChain: Certificate[];
  /** Its JSON, where choosing took reading it. */
  tcbInfo?: JsonObject;
}

function chooseCollateral(
  context: Context,
  quote: Quote,
  entries: readonly IntelCollateral[],
  certificates: CertificateReader,
): Chosen {
  context.check("intel.collateral.format", "the collateral has the parts that it should", () => {
    demand(Array.isArray(entries), "COLLATERAL_MALFORMED", "Intel's collateral is not a list");
    entries.forEach(requireParts);
  });
  const pckChain = context.check("intel.pck.given", "there is a PCK certificate for the quote", () => {
    if (quote.certification.type !== CERTIFICATION.pckChain) return bundledPckChain(quote, entries, certificates);
    return certificates.read(readPemChain(quote.certification.data), "PCK certificate");
  });
  const chosen = context.check("intel.collateral", "there is collateral for the platform", () => {
    const missing = "there is no collateral of Intel's for the quote";
    demand(entries.length > 0, "COLLATERAL_MISSING", missing);
    return entries.length === 1 ? { entry: entries[0]! } : fittingEntry(context.now, quote, entries, pckChain[0]!);
  });
  const issuers = certificates.read(chosen.entry.pckCrlChain ?? [], "revocation list of PCK certificates");
  return { ...chosen, pckChain: withIssuer(pckChain, issuers) };
}

/** Callers may have built an entry by hand, or read it from somewhere. Lists that are missing are found later, as such. */
function requireParts(entry: IntelCollateral): void {
  const isBytes = (value: unknown) => value instanceof Uint8Array;
  const isList = (value: unknown) => Array.isArray(value) && value.every(isBytes);
  for (const name of ["tcbInfo", "qeIdentity"] as const) {
    const document: SignedJson | undefined = entry?.[name];
    demand(document !== undefined && document !== null, "COLLATERAL_MISSING", `the collateral has no ${name}`);
    const { json, signature, chain } = document;
    const isWhole = typeof json === "string" && isBytes(signature) && isList(chain);
    demand(
      isWhole,
      "COLLATERAL_MALFORMED",
      `${name} of the collateral is not a text, a signature and a chain of bytes`,
    );
  }
  const { rootCrl, pckCrl, pckCrlChain, pckChain } = entry;
  for (const [name, value] of Object.entries({ rootCrl, pckCrl })) {
    demand(value === undefined || isBytes(value), "COLLATERAL_MALFORMED", `${name} of the collateral is not bytes`);
  }
  for (const [name, value] of Object.entries({ pckCrlChain, pckChain })) {
    demand(
      value === undefined || isList(value),
      "COLLATERAL_MALFORMED",
      `${name} of the collateral is not a list of bytes`,
    );
  }
}

/** As quoting enclaves write it: blocks, line ends, and a zero at the end. */
function readPemChain(bytes: Uint8Array): Uint8Array[] {
  const text = Buffer.from(bytes).toString("latin1");
  const ders = parsePem(text);
  const between = text.replace(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g, "");
  demand(!/[^\s\0]/.test(between), "CERT_MALFORMED", "the quote's certificates have something between them");
  return ders;
}

/** For quotes that name their PCK certificate and do not bring it. */
function bundledPckChain(
  quote: Quote,
  entries: readonly IntelCollateral[],
  certificates: CertificateReader,
): Certificate[] {
  const chains = entries.flatMap(({ pckChain }) => (pckChain && pckChain.length > 0 ? [pckChain] : []));
  const { type } = quote.certification;
  demand(
    chains.length > 0,
    "COLLATERAL_MISSING",
    `the quote does not bring its PCK certificate (certification data of type ${type}), nor does the collateral`,
  );
  if (chains.length === 1) return certificates.read(chains[0]!, "PCK certificate");
  const fitting = chains.find((chain) => {
    try {
      const [pck] = certificates.read(chain.slice(0, 1), "PCK certificate");
      return signsQeReport(quote, pck!.key);
    } catch {
      return false;
    }
  });
  demand(fitting !== undefined, "COLLATERAL_MISSING", "no PCK certificate of the collateral belongs to the quote");
  return certificates.read(fitting, "PCK certificate");
}

/**
 * Of several that fit, those with the list of the platform's own CA come first, then those all of which holds now, then the
 * latest, with the latest lists. Nothing is believed for that: what is taken is checked like a set that is the only one.
 */
function fittingEntry(
  now: number,
  quote: Quote,
  entries: readonly IntelCollateral[],
  pck: Certificate,
): { entry: IntelCollateral; tcbInfo: JsonObject } {
  const fmspc = Buffer.from(readPckExtension(pck).fmspc).toString("hex");
  const date = (json: JsonObject, name: string) => Date.parse(String(json[name])) / 1000 || 0;
  const holds = (from: number, until: number) => from <= now && now <= until;
  const holdsJson = (json: JsonObject) => holds(date(json, "issueDate"), date(json, "nextUpdate"));
  const [best] = entries
    .flatMap((entry) => {
      const tcbInfo = peekJson(entry.tcbInfo.json);
      const { id, fmspc: of } = tcbInfo ?? {};
      const fits = id === quote.tee.toUpperCase() && typeof of === "string" && of.toLowerCase() === fmspc;
      return tcbInfo && fits ? [{ entry, tcbInfo }] : [];
    })
    .map(({ entry, tcbInfo }) => {
      const lists = [entry.rootCrl, entry.pckCrl].map((der) => der && peekCrl(der));
      const issuer = lists[1]?.issuer.der;
      const isOwn = issuer !== undefined && equalBytes(issuer, pck.issuer.der);
      const allHold =
        holdsJson(tcbInfo) &&
        holdsJson(peekJson(entry.qeIdentity.json) ?? {}) &&
        lists.every((list) => list && holds(list.thisUpdate, list.nextUpdate));
      const rank = (isOwn ? 2 : 0) + (allHold ? 1 : 0);
      const listed = lists.reduce((sum, list) => sum + (list ? list.thisUpdate : 0), 0);
      return { entry, tcbInfo, rank, issued: date(tcbInfo, "issueDate"), listed };
    })
    .sort((a, b) => b.rank - a.rank || b.issued - a.issued || b.listed - a.listed);
  demand(
    best !== undefined,
    "COLLATERAL_MISSING",
    `none of the ${entries.length} sets of collateral is for ${quote.tee.toUpperCase()} on FMSPC ${fmspc}`,
  );
  return { entry: best.entry, tcbInfo: best.tcbInfo };
}

/** To choose among documents: one that cannot be read is not chosen, and harms no other. */
function peekJson(json: string): JsonObject | undefined {
  try {
    return parseSignedJson(json, "a document");
  } catch {
    return undefined;
  }
}

/** A chain of the PCK certificate alone is completed by the chain of its revocation list. */
function withIssuer(chain: readonly Certificate[], issuers: readonly Certificate[]): Certificate[] {
  if (chain.length !== 1) return [...chain];
  const at = issuers.findIndex(({ subject }) => equalBytes(subject.der, chain[0]!.issuer.der));
  return at < 0 ? [...chain] : [...chain, ...issuers.slice(at)];
}

function verifyPck(context: Context, given: readonly Certificate[]): [Certificate, Certificate, Certificate] {
  const { intel: roots } = context.roots;
  const chain = verifyChain(context, given, { id: "intel.pck", what: "PCK certificate", roots, keys: "P-256" });
  return context.check("intel.pck.names", "the certificates are those that Intel issues for platforms", () => {
    const [pck, ca, root] = chain;
    demand(
      pck !== undefined && ca !== undefined && root !== undefined && chain.length === 3,
      "CHAIN_INCOMPLETE",
      `the chain of the PCK certificate has ${chain.length} certificates instead of 3`,
    );
    requireName(pck, [NAMES.pck], "CHAIN_CONSTRAINTS");
    requireName(ca, NAMES.cas, "CHAIN_CONSTRAINTS");
    requireName(root, [NAMES.root], "CHAIN_CONSTRAINTS");
    return [pck, ca, root];
  });
}

function requireName({ subject }: Certificate, names: readonly string[], code: ErrorCode): void {
  const expected = names.map((name) => `"${name}"`).join(" or ");
  const found = subject.commonName || subject.text;
  demand(names.includes(subject.commonName), code, `a certificate's name is "${found}" instead of ${expected}`);
}

function readCrl(context: Context, der: Uint8Array | undefined, id: string, what: string): Crl {
  return context.check(`${id}.crl.format`, `the ${what} is there and well formed`, () => {
    demand(der !== undefined && der.length > 0, "CRL_MISSING", `the ${what} is not among the collateral`);
    return parseCrl(der);
  });
}

interface DocumentSpec {
  /** Begins the ids of its checks, and is its kind. */
  id: "intel.tcb-info" | "intel.qe-identity";
  what: string;
  code: ErrorCode;
}

/** Checks who signed Intel's documents: one certificate signs both, and is checked once. */
class Signers {
  readonly #context: Context;
  readonly #certificates: CertificateReader;
  readonly #root: Certificate;
  readonly #rootCrl: Crl;
  #checked: { chain: readonly Uint8Array[]; signer: Certificate } | undefined;

  constructor(context: Context, certificates: CertificateReader, root: Certificate, rootCrl: Crl) {
    this.#context = context;
    this.#certificates = certificates;
    this.#root = root;
    this.#rootCrl = rootCrl;
  }

  /** Over the bytes as they are: what is in the document is looked at afterwards. */
  requireSigned(document: SignedJson, { id, what, code }: DocumentSpec): void {
    const signer = this.#signer(document.chain, id, what);
    this.#context.check(`${id}.signature`, `the ${what} is signed by Intel`, () => {
      const { json, signature } = document;
      const isSigned = verifySignature(ECDSA, signer.key, utf8(json), signature, "ieee-p1363");
      demand(isSigned, code, `the ${what} is not signed by ${describe(signer)}`);
    });
  }

  #signer(chain: readonly Uint8Array[], id: string, what: string): Certificate {
    const before = this.#checked;
    if (before && sameList(before.chain, chain)) {
      return this.#context.check(
        `${id}.signer`,
        `the ${what} has the signer that was checked before`,
        () => before.signer,
      );
    }
    const context = this.#context;
    const given = context.check(`${id}.signer`, `the ${what} has the signer of Intel's documents`, () => {
      const certificates = this.#certificates.read(chain, what);
      demand(certificates[0] !== undefined, "CHAIN_INCOMPLETE", `there is no certificate that signs the ${what}`);
      requireName(certificates[0], [NAMES.signer], "TCB_SIGNER_CN");
      return certificates;
    });
    const { intel: roots } = context.roots;
    const [signer, root, ...more] = verifyChain(context, given, { id, what: `${what}'s signer`, roots, keys: "P-256" });
    context.check(`${id}.root`, `the ${what}'s signer has the root of the PCK certificate`, () => {
      const isSame = root !== undefined && more.length === 0 && equalBytes(root.der, this.#root.der);
      demand(isSame, "CHAIN_UNTRUSTED", `the ${what}'s signer is not issued by the root of the PCK certificate`);
    });
    requireUnrevoked(context, this.#rootCrl, signer!, id);
    context.use("intel.tcb-signer", describe(signer!), signer!.der, {
      from: signer!.notBefore,
      until: signer!.notAfter,
    });
    this.#checked = { chain, signer: signer! };
    return signer!;
  }
}

function sameList(a: readonly Uint8Array[], b: readonly Uint8Array[]): boolean {
  return a === b || (a.length === b.length && a.every((bytes, i) => equalBytes(bytes, b[i]!)));
}

function verifyTcbInfo(
  context: Context,
  quote: Quote,
  { tcbInfo: given }: IntelCollateral,
  pck: PckExtension,
  signers: Signers,
  json: JsonObject | undefined,
): TcbInfo {
  signers.requireSigned(given, { id: "intel.tcb-info", what: "TCB info", code: "TCB_INFO_SIGNATURE" });
  const tcbInfo = context.check("intel.tcb-info.content", "the TCB info is laid out as specified and current", () => {
    const document = readTcbInfo(json ?? parseSignedJson(given.json, "the TCB info"));
    const { issueDate: from, nextUpdate: until } = document;
    context.use("intel.tcb-info", "the TCB info", utf8(given.json), { from, until, issued: from });
    return document;
  });
  context.check("intel.tcb-info.platform", "the TCB info is of this kind of platform and TEE", () => {
    const tee = quote.tee.toUpperCase();
    demand(tcbInfo.id === tee, "TCB_INFO_MISMATCH", `the TCB info is for ${tcbInfo.id}, and the quote is of ${tee}`);
    for (const [name, field] of [["FMSPC", "fmspc"] as const, ["PCE id", "pceId"] as const]) {
      const message = `the TCB info is for ${name} ${toHex(tcbInfo[field])}, and the platform has ${toHex(pck[field])}`;
      demand(equalBytes(tcbInfo[field], pck[field]), "TCB_INFO_MISMATCH", message);
    }
  });
  return tcbInfo;
}

function verifyQeIdentity(
  context: Context,
  quote: Quote,
  { qeIdentity: given }: IntelCollateral,
  signers: Signers,
): QeIdentity {
  signers.requireSigned(given, { id: "intel.qe-identity", what: "QE identity", code: "QE_IDENTITY_SIGNATURE" });
  return context.check("intel.qe-identity.content", "the QE identity is as specified, current and of this TEE", () => {
    const identity = readQeIdentity(parseSignedJson(given.json, "the QE identity"));
    const { issueDate: from, nextUpdate: until } = identity;
    context.use("intel.qe-identity", "the QE identity", utf8(given.json), { from, until, issued: from });
    const expected = quote.tee === "sgx" ? "QE" : "TD_QE";
    const message = `the QE identity is of ${identity.id}, and the quote is by ${expected}`;
    demand(identity.id === expected, "QE_IDENTITY_MISMATCH", message);
    return identity;
  });
}

/** The module that measured the TD is Intel's: the one of its generation that the TCB info describes. */
function verifyModule(context: Context, report: TdReport, tcbInfo: TcbInfo): void {
  context.check("intel.tdx-module", "the TDX module is one that the TCB info describes", () => {
    const code = "TDX_MODULE_MISMATCH";
    const name = tdxModuleName(report.teeTcbSvn);
    const module = report.teeTcbSvn[1] === 0 ? tcbInfo.tdx?.module : findModuleIdentity(tcbInfo, report.teeTcbSvn);
    demand(module !== undefined, code, `the TCB info does not describe the TDX module ${name}`);
    const { mrSignerSeam, seamAttributes } = report;
    demand(
      equalBytes(mrSignerSeam, module.mrSigner),
      code,
      `the TDX module is signed by ${toHex(mrSignerSeam)}, and ${name} by ${toHex(module.mrSigner)}`,
    );
    demand(
      equalBytes(seamAttributes, module.attributes) && isZero(seamAttributes),
      code,
      `the TDX module has the attributes ${toHex(seamAttributes)}, and ${name} ${toHex(module.attributes)}; they must be zero`,
    );
  });
}

function verifyQuotingEnclave(context: Context, quote: Quote, pckKey: KeyObject, identity: QeIdentity): void {
  const { qeReport: report } = quote;
  context.check(
    "intel.qe-report.signature",
    "the quoting enclave's report is signed by the PCK certificate's key",
    () => {
      const message = "the quoting enclave's report is not signed by the PCK certificate's key";
      demand(signsQeReport(quote, pckKey), "QE_REPORT_SIGNATURE", message);
    },
  );
  context.check("intel.qe-report.data", "the quoting enclave's report vouches for the attestation key", () => {
    const hash = createHash("sha256").update(quote.attestationKey).update(quote.qeAuthData).digest();
    const expected = concat(hash, new Uint8Array(32));
    const message = `the quoting enclave vouches for ${toHex(report.reportData)}, and the attestation key is ${toHex(expected)}`;
    demand(equalBytes(report.reportData, expected), "QE_REPORT_DATA", message);
  });
  context.check("intel.qe-report.identity", "the quoting enclave is the one that Intel describes", () => {
    const compare = (name: string, found: Uint8Array, expected: Uint8Array) => {
      const message = `the quoting enclave's ${name} is ${toHex(found)}, and its identity has ${toHex(expected)}`;
      demand(equalBytes(found, expected), "QE_IDENTITY_MISMATCH", message);
    };
    compare("MRSIGNER", report.mrSigner, identity.mrSigner);
    demand(
      report.isvProdId === identity.isvProdId,
      "QE_IDENTITY_MISMATCH",
      `the quoting enclave's ISVPRODID is ${report.isvProdId}, and its identity has ${identity.isvProdId}`,
    );
    compare("MISCSELECT", masked(report.miscSelect, identity.miscSelectMask), identity.miscSelect);
    compare("ATTRIBUTES", masked(report.attributes, identity.attributesMask), identity.attributes);
    demand(!isDebugEnclave(report), "QE_IDENTITY_MISMATCH", "the quoting enclave runs in debug mode");
  });
}

function signsQeReport({ qeReport, qeReportSignature }: Quote, key: KeyObject): boolean {
  return verifySignature(ECDSA, key, qeReport.bytes, qeReportSignature, "ieee-p1363");
}

function masked(bytes: Uint8Array, mask: Uint8Array): Uint8Array {
  return Uint8Array.from(bytes, (byte, i) => byte & mask[i]!);
}

function tdxSvns(body: QuoteBody): { tdx?: { launch: Uint8Array; current?: Uint8Array } } {
  if (body.kind === "sgx") return {};
  const { teeTcbSvn: launch, v15 } = body.report;
  return { tdx: { launch, ...(v15 ? { current: v15.teeTcbSvn2 } : {}) } };
}

function claimsOf(
  quote: Quote,
  pck: PckExtension,
  { status, advisories, tcbDate, parts }: TcbResult,
  tcbInfo: TcbInfo,
  qeIdentity: QeIdentity,
): IntelClaims {
  const { body } = quote;
  const { instanceId, configuration } = pck;
  const platform = { ...(instanceId ? { instanceId: toHex(instanceId) } : {}), ...configuration };
  return {
    family: quote.tee,
    debug: isDebug(body),
    ...(body.kind === "sgx" ? sgxClaims(body) : tdxClaims(body)),
    reportData: toHex(body.report.reportData),
    quoteVersion: quote.version,
    body: body.kind,
    status,
    advisories,
    tcbDate,
    tcbEvaluationDataNumber: Math.min(tcbInfo.tcbEvaluationDataNumber, qeIdentity.tcbEvaluationDataNumber),
    parts,
    fmspc: toHex(pck.fmspc),
    pceId: toHex(pck.pceId),
    ppid: toHex(pck.ppid),
    cpuSvn: toHex(pck.cpuSvn),
    pceSvn: pck.pceSvn,
    ...(instanceId || configuration ? { platform } : {}),
    qeIsvSvn: quote.qeReport.isvSvn,
    userData: toHex(quote.userData),
  };
}

function sgxClaims({ report }: QuoteBody & { kind: "sgx" }): Pick<IntelClaims, "measurements" | "sgx"> {
  return {
    measurements: { mrEnclave: toHex(report.mrEnclave), mrSigner: toHex(report.mrSigner) },
    sgx: {
      isvProdId: report.isvProdId,
      isvSvn: report.isvSvn,
      attributes: toHex(report.attributes),
      miscSelect: toHex(report.miscSelect),
      configId: toHex(report.configId),
      configSvn: report.configSvn,
      isvExtProdId: toHex(report.isvExtProdId),
      isvFamilyId: toHex(report.isvFamilyId),
    },
  };
}

function tdxClaims({
  report,
}: Exclude<QuoteBody, { kind: "sgx" }>): Pick<IntelClaims, "measurements"> & Required<Pick<IntelClaims, "tdx">> {
  const { v15, extended } = report;
  const [rtmr0, rtmr1, rtmr2, rtmr3] = report.rtmrs;
  return {
    measurements: {
      mrTd: toHex(report.mrTd),
      rtmr0: toHex(rtmr0),
      rtmr1: toHex(rtmr1),
      rtmr2: toHex(rtmr2),
      rtmr3: toHex(rtmr3),
      mrConfigId: toHex(report.mrConfigId),
      mrOwner: toHex(report.mrOwner),
      mrOwnerConfig: toHex(report.mrOwnerConfig),
      mrSeam: toHex(report.mrSeam),
    },
    tdx: {
      teeTcbSvn: toHex(report.teeTcbSvn),
      ...(v15 ? { teeTcbSvn2: toHex(v15.teeTcbSvn2), mrServiceTd: toHex(v15.mrServiceTd) } : {}),
      mrSignerSeam: toHex(report.mrSignerSeam),
      seamAttributes: toHex(report.seamAttributes),
      tdAttributes: toHex(report.tdAttributes),
      xfam: toHex(report.xfam),
      attributes: tdAttributeNames(report.tdAttributes),
      module: tdxModuleName(report.teeTcbSvn),
      ...(extended ? { extended: extendedClaims(extended) } : {}),
    },
  };
}

type ExtendedClaims = NonNullable<NonNullable<IntelClaims["tdx"]>["extended"]>;

function extendedClaims(extended: NonNullable<TdReport["extended"]>): ExtendedClaims {
  const fields = Object.entries(extended).map(([name, bytes]) => [name, toHex(bytes)]);
  return Object.fromEntries(fields) as ExtendedClaims;
}
