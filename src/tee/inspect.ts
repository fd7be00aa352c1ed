/**
 * What files say, laid out for people. Nothing is verified: everything here may be made up.
 *
 * @module
 */
import { AnchorError, toAnchorError } from "../errors.js";
import { type Hex, toHex } from "../field/bytes.js";
import { parseCcaToken } from "./cca/token.js";
import type { Collateral } from "./collateral.js";
import { parseEventLog } from "./eventLog/verify.js";
import type { EventLog, Evidence } from "./evidence.js";
import { importFiles } from "./import/index.js";
import { readResponse } from "./import/qvl.js";
import { readPckExtension, SGX_EXTENSION } from "./intel/pck.js";
import { parseQuote } from "./intel/quote.js";
import { parseNitroDocument } from "./nitro/document.js";
import { parseJws } from "./nvidia/jws.js";
import { parseSpdmReport } from "./nvidia/spdm.js";
import { readJson } from "./read/json.js";
import { type Hints, readParts } from "./recognise.js";
import { parseSnpReport, readPlatformInfo, readPolicy } from "./snp/report.js";
import { decodeTcb, productOfCpuid } from "./snp/tcb.js";
import { type Validity, validity } from "./validity.js";
import { parseHclReport } from "./vtpm/hcl.js";
import { parseTpmQuote } from "./vtpm/tpm.js";
import { bytesOf, isCertificate, isDerSequence, pemBlocks, textOf } from "./wrapping/encoding.js";
import { type Certificate, parseCertificate, parseCrl } from "./x509.js";

/** Plain data: bytes as 0x-hex, large integers as decimal strings. */
export type Shown = null | boolean | number | string | Shown[] | { [name: string]: Shown };

export interface Inspection {
  /** In words: "TDX quote, version 4". */
  what: string;
  content: Shown;
}

/** One machine's pieces, or the collateral in a file. */
export interface Inspected {
  how: string[];
  hints?: Hints;
  pieces: Inspection[];
  /** Of collateral: its windows, unauthenticated. */
  validity?: Validity;
}

/**
 * Evidence, event logs, certificates, revocation lists, or any collateral.
 *
 * @throws EVIDENCE_UNKNOWN for what is none of these; what its parser throws for a damaged piece
 */
export function inspect(bytes: Uint8Array, name = "the file"): Inspected[] {
  let reason: unknown;
  try {
    const found = readParts(bytes).map((parts): Inspected => {
      const { cpu, devices, tokens, eventLog, certificates, collateral, hints, how } = parts;
      const evidence: Evidence[] = [...(cpu ? [cpu] : []), ...devices, ...tokens];
      const pieces = [
        ...evidence.map(inspectEvidence),
        ...(eventLog ? [inspectLog(eventLog)] : []),
        ...certificates.map((der) => inspectCertificate(der)),
        ...(collateral ? inspectCollateral(collateral) : []),
      ];
      return { how, hints, pieces, ...(collateral ? { validity: validity(collateral) } : {}) };
    });
    return found;
  } catch (error) {
    reason = error;
    if (toAnchorError(error, "INTERNAL", "").code !== "EVIDENCE_UNKNOWN") throw error;
  }
  try {
    const { collateral, files } = importFiles([{ name, bytes }], { partial: true });
    const how = files.flatMap(({ what }) => what);
    const whole = validity(collateral);
    if (whole.items.length === 0) return [{ how, pieces: inspectPiece(bytes) }];
    return [{ how, pieces: inspectCollateral(collateral), validity: whole }];
  } catch {
    throw reason;
  }
}

export function inspectEvidence(evidence: Evidence): Inspection {
  switch (evidence.kind) {
    case "intel": {
      const { signed: _, certification, trailing, ...quote } = parseQuote(evidence.quote);
      const { kind } = quote.body;
      const chain = pemBlocks(textOf(certification.data) ?? "").map(({ bytes }) =>
        certificate(parseCertificate(bytes)),
      );
      return {
        what: `${quote.tee === "sgx" ? "SGX" : "TDX"} quote, version ${quote.version}`,
        content: shown({
          ...quote,
          body: { kind, report: withoutBytes(quote.body.report) },
          qeReport: withoutBytes(quote.qeReport),
          certification: { type: certification.type, ...(chain.length > 0 ? { chain } : { data: certification.data }) },
          trailingBytes: trailing.length,
        }),
      };
    }
    case "snp":
      return snp(evidence.report, evidence.certificates ?? []);
    case "nitro": {
      const { message: _, certificate: leaf, cabundle, ...document } = parseNitroDocument(evidence.document);
      const read = (der: Uint8Array) => certificate(parseCertificate(der));
      return {
        what: "Nitro document",
        content: shown({ ...document, certificate: read(leaf), cabundle: cabundle.map(read) }),
      };
    }
    case "nvidia": {
      const { signed: _, ...report } = parseSpdmReport(evidence.report);
      const chain = evidence.certificates.map((der) => certificate(parseCertificate(der)));
      return { what: "SPDM evidence of an NVIDIA device", content: shown({ ...report, certificates: chain }) };
    }
    case "nras": {
      const token = (text: string) => {
        const { kid, payload } = parseJws(text, "a token");
        return { kid, payload };
      };
      const devices = Object.entries(evidence.devices).map(([name, text]) => [name, token(text)]);
      return {
        what: "tokens of NVIDIA's attestation service",
        content: shown({ overall: token(evidence.overall), devices: Object.fromEntries(devices) }),
      };
    }
    case "azure-vtpm": {
      const { hardware, runtimeBytes: _, kind, ...hcl } = parseHclReport(evidence.hclReport);
      const { certificates = [], quote } = evidence;
      return {
        what: `Azure vTPM evidence of ${kind === "snp" ? "an SNP guest" : "a TD"}`,
        content: shown({
          hcl,
          tpmQuote: parseTpmQuote(evidence.message),
          pcrs: Object.fromEntries(evidence.pcrs.map((pcr, i) => [`pcr${i}`, pcr])),
          tee: kind === "snp" ? snp(hardware, certificates).content : { tdReport: hardware },
          ...(quote ? { quote: inspectEvidence({ kind: "intel", quote }).content } : {}),
        }),
      };
    }
    case "cca": {
      const { platform, realm } = parseCcaToken(evidence.token);
      const { message: _, ...platformClaims } = platform;
      const { message: __, key: ___, ...realmClaims } = realm;
      return { what: "CCA token", content: shown({ platform: platformClaims, realm: realmClaims }) };
    }
    default:
      throw new AnchorError("EVIDENCE_UNKNOWN", "this is no evidence of a family that is known here");
  }
}

/** Its fields say the same, one by one. */
function withoutBytes({ bytes: _, ...fields }: { bytes: Uint8Array }): object {
  return fields;
}

function snp(bytes: Uint8Array, certificates: readonly Uint8Array[]): Inspection {
  const { signed: _, policy, platformInfo, tcb, cpuid, r, s, ...report } = parseSnpReport(bytes);
  const product = cpuid && productOfCpuid(cpuid);
  const decoded = product
    ? Object.fromEntries(Object.entries(tcb).map(([name, version]) => [name, decodeTcb(version, product)]))
    : tcb;
  return {
    what: `SNP report, version ${report.version}`,
    content: shown({
      ...report,
      ...(cpuid ? { cpuid, product: product ?? "unknown" } : {}),
      policy: readPolicy(policy),
      platformInfo: readPlatformInfo(platformInfo),
      tcb: decoded,
      signature: { r: `0x${r.toString(16)}`, s: `0x${s.toString(16)}` },
      certificates: certificates.map((der) => certificate(parseCertificate(der))),
    }),
  };
}

function inspectLog(log: EventLog): Inspection {
  const events = parseEventLog(log).map(({ bound: _, ...event }) => event);
  return { what: `${log.format} event log of ${events.length} events`, content: shown(events) };
}

function inspectCertificate(der: Uint8Array): Inspection {
  const parsed = parseCertificate(der);
  return {
    what: `certificate "${parsed.subject.commonName || parsed.subject.text}"`,
    content: shown(certificate(parsed)),
  };
}

function inspectCollateral(collateral: Collateral): Inspection[] {
  const intel = (collateral.intel ?? []).flatMap(({ tcbInfo, qeIdentity, rootCrl, pckCrl }) => [
    signedDocument("TCB info", tcbInfo.json),
    signedDocument("identity of the quoting enclave", qeIdentity.json),
    inspectCrl(rootCrl),
    inspectCrl(pckCrl),
  ]);
  const { amd, nitro, nvidia } = collateral;
  const certificates = (amd?.certificates ?? []).map((der) => inspectCertificate(der));
  const lists = [amd, nitro, nvidia].flatMap((family) => (family?.crls ?? []).map((der) => inspectCrl(der)));
  return [...intel, ...certificates, ...lists];
}

/** Of one file that is a piece of what belongs together: a document of Intel's, a revocation list. */
function inspectPiece(bytes: Uint8Array): Inspection[] {
  const text = textOf(bytes)?.trim();
  const response = text?.startsWith("{") ? readResponse(text) : undefined;
  if (response) {
    const what = response.kind === "tcbInfo" ? "TCB info" : "identity of the quoting enclave";
    return [signedDocument(what, response.json)];
  }
  const pem = pemBlocks(text ?? "").filter(({ label }) => label === "X509 CRL");
  const lists = pem.length > 0 ? pem.map((block) => block.bytes) : [bytesOf(text) ?? bytes];
  return lists.flatMap((der) => (isDerSequence(der) && !isCertificate(der) ? [inspectCrl(der)] : []));
}

function signedDocument(what: string, json: string): Inspection {
  return { what, content: readJson(json, { code: "COLLATERAL_MALFORMED", what: `the ${what}` }) };
}

/** Serials that are listed; a list of Intel's has hundreds. */
function inspectCrl(der: Uint8Array): Inspection {
  const { issuer, thisUpdate, nextUpdate, number, revoked } = parseCrl(der);
  return {
    what: `revocation list by "${issuer.commonName || issuer.text}"`,
    content: shown({
      issuer: issuer.text,
      ...(number === undefined ? {} : { number }),
      thisUpdate: time(thisUpdate),
      nextUpdate: time(nextUpdate),
      revoked: Object.fromEntries([...revoked].map(([serial, at]) => [serial, time(at)])),
    }),
  };
}

function certificate(parsed: Certificate): { [name: string]: unknown } {
  const { subject, issuer, serial, notBefore, notAfter, signature, basicConstraints, extensions, keyKind, keyBits } =
    parsed;
  return {
    subject: subject.text,
    issuer: issuer.text,
    serial,
    validFrom: time(notBefore),
    validUntil: time(notAfter),
    key: keyKind === "RSA" ? `RSA ${keyBits}` : keyKind,
    signatureAlgorithm: `${signature.algorithm.kind} ${signature.algorithm.hash}`,
    ...(basicConstraints ? { basicConstraints } : {}),
    ...(extensions.has(SGX_EXTENSION) ? { sgx: readPckExtension(parsed) } : {}),
    extensions: [...extensions.keys()],
  };
}

function time(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
}

/** Everything that parsers give, as plain data. */
function shown(value: unknown): Shown {
  if (value instanceof Uint8Array) return toHex(value) satisfies Hex;
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Map) {
    return Object.fromEntries([...value].map(([name, item]) => [String(name), shown(item)]));
  }
  if (Array.isArray(value)) return value.map(shown);
  if (typeof value !== "object" || value === null) return (value ?? null) as Shown;
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(entries.map(([name, item]) => [name, shown(item)]));
}
