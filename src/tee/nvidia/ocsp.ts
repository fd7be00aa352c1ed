/**
 * Answers of an OCSP responder (RFC 6960), kept with the evidence: signed by the issuer of the certificates that they are
 * about, or by a responder that it has authorised.
 *
 * What a request carried does not matter here; an answer holds for the time that it names. The answer of NVIDIA's responder
 * about a device whose serial number it does not know is `good`: it says that nothing was revoked, not that a device exists.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { AnchorError } from "../../errors.js";
import { type Context, demand } from "../context.js";
import { equalBytes } from "../read/bytes.js";
import { contextTag, Der, TAG } from "../read/der.js";
import {
  type Algorithm,
  type Certificate,
  describe,
  parseCertificate,
  readAlgorithm,
  readExtensions,
  readName,
  refuseCritical,
  verifyChain,
  verifySignature,
} from "../x509.js";

export type CertificateStatus = "good" | "hold" | "revoked" | "unknown";

/** What an answer says about one certificate. */
export interface SingleResponse {
  response: OcspResponse;
  hash: CertIdHash;
  issuerNameHash: Uint8Array;
  issuerKeyHash: Uint8Array;
  /** Lower-case hex, as {@link Certificate.serial}. */
  serial: string;
  status: CertificateStatus;
  /** CRLReason, where a revocation has one. */
  reason?: number;
  thisUpdate: number;
  /** An hour after `thisUpdate` where the answer does not say, as in NVIDIA's own software. */
  nextUpdate: number;
}

export interface OcspResponse {
  der: Uint8Array;
  /** What is signed. */
  tbs: Uint8Array;
  /** By name or by SHA-1 of the key. */
  responder: { name: Uint8Array } | { keyHash: Uint8Array };
  producedAt: number;
  singles: readonly SingleResponse[];
  algorithm: Algorithm;
  signature: Uint8Array;
  /** Of the responder, and others. */
  certificates: readonly Certificate[];
}

type CertIdHash = "sha1" | "sha256" | "sha384" | "sha512";

const BASIC_RESPONSE = "1.3.6.1.5.5.7.48.1.1";
const EXTENDED_KEY_USAGE = "2.5.29.37";
const OCSP_SIGNING = "1.3.6.1.5.5.7.3.9";
/** Names a certificate by a digest that nobody has to be unable to forge: a wrong one is about no certificate. */
const CERT_ID_HASHES: Readonly<Record<string, CertIdHash>> = {
  "1.3.14.3.2.26": "sha1",
  "2.16.840.1.101.3.4.2.1": "sha256",
  "2.16.840.1.101.3.4.2.2": "sha384",
  "2.16.840.1.101.3.4.2.3": "sha512",
};
const RESPONSE_STATUS: Readonly<Record<number, string>> = {
  1: "malformed request",
  2: "internal error",
  3: "try later",
  5: "signature required",
  6: "unauthorised",
};
const CERTIFICATE_HOLD = 6;
const REMOVE_FROM_CRL = 8;

const CODE = "COLLATERAL_MALFORMED";
const MAX_RESPONSE = 64 * 1024;
const MAX_SINGLES = 64;
const MAX_CERTIFICATES = 8;
const DEFAULT_LIFETIME = 3600;

/** @throws COLLATERAL_MALFORMED, CERT_MALFORMED; REVOCATION_UNKNOWN for an answer that is an error */
export function parseOcspResponse(der: Uint8Array): OcspResponse {
  demand(der.length <= MAX_RESPONSE, CODE, `an OCSP answer of ${der.length} bytes`);
  const outer = Der.parse(der, CODE).fields("an OCSP answer");
  const status = outer.next("a status").expect(TAG.enumerated, "the status of an OCSP answer").small("the status");
  demand(
    status === 0,
    "REVOCATION_UNKNOWN",
    `an OCSP answer is no answer but an error: ${RESPONSE_STATUS[status] ?? status}`,
  );
  const bytes = outer.next("its content").expect(contextTag(0, true), "the content of an OCSP answer").inside();
  outer.end();
  const wrapper = bytes.fields("the content of an OCSP answer");
  const type = wrapper.next("a type").oid("the type of an OCSP answer");
  demand(type === BASIC_RESPONSE, CODE, `an OCSP answer of type ${type}, which is not supported`);
  const basic = wrapper.next("the answer").octets("the answer");
  wrapper.end();

  const fields = Der.parse(basic, CODE).fields("an OCSP answer");
  const tbs = fields.next("its data");
  const algorithm = readAlgorithm(fields.next("an algorithm"), CODE);
  const signature = fields.next("a signature").bitOctets("the signature of an OCSP answer");
  const chain = fields.optional(contextTag(0, true))?.inside().sequence("the certificates of an OCSP answer") ?? [];
  fields.end();
  demand(chain.length <= MAX_CERTIFICATES, CODE, `an OCSP answer with ${chain.length} certificates`);

  const data = tbs.fields("the data of an OCSP answer");
  const version = data.optional(contextTag(0, true));
  // Version 1 is the default, and DER leaves defaults out.
  demand(version === undefined, CODE, "an OCSP answer is of another version than 1");
  const responder = readResponder(data.next("a responder"));
  const producedAt = data.next("a time").expect(TAG.generalizedTime, "the time of an OCSP answer").time("its time");
  const singles = data.next("answers").sequence("the answers");
  refuseCritical(readExtensions(data.optional(contextTag(1, true)), CODE), [], CODE, "an OCSP answer");
  data.end();
  demand(
    singles.length > 0 && singles.length <= MAX_SINGLES,
    CODE,
    `an OCSP answer about ${singles.length} certificates`,
  );
  const response: OcspResponse & { singles: SingleResponse[] } = {
    der,
    tbs: tbs.bytes,
    responder,
    producedAt,
    singles: [],
    algorithm,
    signature,
    certificates: chain.map(({ bytes }) => parseCertificate(bytes)),
  };
  const named = new Set<string>();
  for (const each of singles) {
    const single = readSingle(each, response);
    const { hash, serial, issuerKeyHash } = single;
    const name = `${hash} ${Buffer.from(issuerKeyHash).toString("hex")} ${serial}`;
    demand(!named.has(name), CODE, `an OCSP answer is about serial ${serial} twice`);
    named.add(name);
    response.singles.push(single);
  }
  return response;
}

function readResponder(element: Der): OcspResponse["responder"] {
  if (element.is(contextTag(1, true))) return { name: readName(element.inside()).der };
  const keyHash = element.expect(contextTag(2, true), "the responder").inside().octets("the hash of a responder's key");
  return { keyHash };
}

function readSingle(element: Der, response: OcspResponse): SingleResponse {
  const fields = element.fields("an answer about a certificate");
  const id = fields.next("a certificate").fields("the identity of a certificate");
  const algorithm = id.next("a hash").fields("a hash algorithm");
  const oid = algorithm.next("an identifier").oid("a hash algorithm");
  algorithm.optional(TAG.null);
  algorithm.end();
  const hash = CERT_ID_HASHES[oid];
  demand(hash !== undefined, CODE, `an OCSP answer with the hash ${oid}, which is not supported`);
  const issuerNameHash = id.next("a hash of its issuer's name").octets("the hash of an issuer's name");
  const issuerKeyHash = id.next("a hash of its issuer's key").octets("the hash of an issuer's key");
  const serial = id.next("a serial number");
  serial.integer("the serial number");
  id.end();
  const { status, reason } = readStatus(fields.next("a status"));
  const thisUpdate = fields.next("a time").expect(TAG.generalizedTime, "the time of an answer").time("its time");
  const next = fields
    .optional(contextTag(0, true))
    ?.inside()
    .expect(TAG.generalizedTime, "the time of the next answer");
  refuseCritical(readExtensions(fields.optional(contextTag(1, true)), CODE), [], CODE, "an OCSP answer");
  fields.end();
  return {
    response,
    hash,
    issuerNameHash,
    issuerKeyHash,
    serial: Buffer.from(serial.content).toString("hex"),
    status,
    ...(reason === undefined ? {} : { reason }),
    thisUpdate,
    nextUpdate: next?.time("the time of the next answer") ?? thisUpdate + DEFAULT_LIFETIME,
  };
}

/** GOOD and UNKNOWN are [0] and [2] IMPLICIT NULL, REVOKED is [1] IMPLICIT SEQUENCE { time, [0] reason }. */
function readStatus(element: Der): { status: CertificateStatus; reason?: number } {
  if (element.is(contextTag(0, false)) || element.is(contextTag(2, false))) {
    demand(element.content.length === 0, CODE, "the status of an OCSP answer has a value");
    return { status: element.is(contextTag(0, false)) ? "good" : "unknown" };
  }
  const [time, wrapped, ...more] = element.expect(contextTag(1, true), "the status of an OCSP answer").children();
  demand(time !== undefined && more.length === 0, CODE, "a revocation in an OCSP answer is not a time and a reason");
  time.expect(TAG.generalizedTime, "the time of a revocation").time("the time of a revocation");
  const reason = wrapped
    ?.expect(contextTag(0, true), "the reason of a revocation")
    .inside()
    .expect(TAG.enumerated, "the reason of a revocation")
    .small("the reason of a revocation");
  // A removal belongs into lists that change others, and says nothing here.
  demand(reason !== REMOVE_FROM_CRL, CODE, "an OCSP answer removes a revocation that it does not name");
  return { status: reason === CERTIFICATE_HOLD ? "hold" : "revoked", ...(reason === undefined ? {} : { reason }) };
}

/** Whether an answer is about this certificate: the issuer's name and key, and the serial number. */
export function isAbout(single: SingleResponse, certificate: Certificate, issuer: Certificate): boolean {
  if (single.serial !== certificate.serial) return false;
  const digest = (bytes: Uint8Array) => createHash(single.hash).update(bytes).digest();
  return (
    equalBytes(single.issuerNameHash, digest(issuer.subject.der)) &&
    equalBytes(single.issuerKeyHash, digest(publicKeyBits(issuer)))
  );
}

export interface OcspOptions {
  /** Begins the ids of its checks. */
  id: string;
  /** What the chain ends in. */
  roots: readonly Uint8Array[];
}

/**
 * Checks that an answer is signed by whoever may speak for the issuer, and current.
 *
 * @param issuers the certificate's issuer and what is above it, pinned root included
 * @throws CRL_ISSUER_MISMATCH, CRL_SIGNATURE, NOT_YET_VALID, EXPIRED, and errors of {@link verifyChain}
 */
export function verifyOcsp(
  context: Context,
  single: SingleResponse,
  issuers: readonly Certificate[],
  { id, roots }: OcspOptions,
): void {
  const { response } = single;
  const issuer = issuers[0]!;
  const signer = isResponder(response, issuer) ? issuer : delegate(context, response, issuers, { id, roots });
  context.check(`${id}.ocsp`, "the OCSP answer is by the certificate's issuer, signed and current", () => {
    const isSigned = context.shared.once(response, `signed by ${Buffer.from(signer.spki).toString("hex")}`, () =>
      verifySignature(response.algorithm, signer.key, response.tbs, response.signature),
    );
    demand(isSigned, "CRL_SIGNATURE", `an OCSP answer is not signed by ${describe(signer)}`);
    const { thisUpdate: from, nextUpdate: until } = single;
    context.use("nvidia.ocsp", "an OCSP answer", response.der, { from, until, issued: from });
  });
}

/** RFC 6960, 4.2.2.2: a certificate that the issuer itself has issued for signing OCSP answers. */
function delegate(
  context: Context,
  response: OcspResponse,
  issuers: readonly Certificate[],
  { id, roots }: OcspOptions,
): Certificate {
  const responder = context.check(`${id}.ocsp-responder`, "the OCSP answer is by a responder of the issuer's", () => {
    const found = response.certificates.find((each) => isResponder(response, each));
    if (!found) {
      throw new AnchorError(
        "CRL_ISSUER_MISMATCH",
        `an OCSP answer is neither by ${describe(issuers[0]!)} nor by a responder whose certificate it brings`,
      );
    }
    const usage = found.extensions.get(EXTENDED_KEY_USAGE);
    const usages = usage ? Der.parse(usage.value, "CERT_MALFORMED").sequence("the extended key usage") : [];
    demand(
      usages.some((each) => each.oid("an extended key usage") === OCSP_SIGNING),
      "CHAIN_CONSTRAINTS",
      `${describe(found)} is not for signing OCSP answers`,
    );
    return found;
  });
  verifyChain(context, [responder, ...issuers], {
    id: `${id}.ocsp-responder`,
    what: "OCSP responder",
    roots,
    critical: [EXTENDED_KEY_USAGE],
  });
  return responder;
}

function isResponder({ responder }: OcspResponse, certificate: Certificate): boolean {
  if ("name" in responder) return equalBytes(responder.name, certificate.subject.der);
  return equalBytes(responder.keyHash, createHash("sha1").update(publicKeyBits(certificate)).digest());
}

/** The key itself, without its algorithm: what identifiers of keys are hashes of. */
function publicKeyBits({ spki }: Certificate): Uint8Array {
  const fields = Der.parse(spki, "CERT_MALFORMED").fields("a public key");
  fields.next("an algorithm");
  return fields.next("a key").bitOctets("a public key");
}
