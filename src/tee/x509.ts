/**
 * X.509 certificates, chains and revocation lists, read strictly and checked completely (RFC 5280, the part of it that
 * attestation vendors use).
 *
 * Not supported, and refused where critical: name constraints, policies, indirect and delta revocation lists, and lists that
 * are about some kinds of certificates or reasons only.
 *
 * @module
 */
import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto";
import { AnchorError, type ErrorCode } from "../errors.js";
import { type Context, demand } from "./context.js";
import { type KeyKind, readPublicKey } from "./keys.js";
import { equalBytes } from "./read/bytes.js";
import { contextTag, Der, TAG } from "./read/der.js";

export interface Name {
  /** DER, by which names are compared. */
  der: Uint8Array;
  /** The last common name; empty if there is none. */
  commonName: string;
  /** `CN=…, O=…`, for messages. */
  text: string;
}

export interface Extension {
  critical: boolean;
  /** What the OCTET STRING holds. */
  value: Uint8Array;
}

export interface Certificate {
  der: Uint8Array;
  tbs: Uint8Array;
  /** Lower-case hex of its two's complement. */
  serial: string;
  issuer: Name;
  subject: Name;
  /** Unix seconds, both ends included. */
  notBefore: number;
  notAfter: number;
  /** SubjectPublicKeyInfo, DER. */
  spki: Uint8Array;
  key: KeyObject;
  keyKind: KeyKind;
  /** Of the modulus, or of the curve's field. */
  keyBits: number;
  signature: Signature;
  /** By OID; none stands twice. */
  extensions: ReadonlyMap<string, Extension>;
  /** Absent where the extension is. */
  basicConstraints?: { ca: boolean; pathLength?: number };
  /** Named bits of the key usage extension; absent where the extension is. */
  keyUsage?: readonly boolean[];
}

export interface Crl {
  der: Uint8Array;
  tbs: Uint8Array;
  issuer: Name;
  thisUpdate: number;
  nextUpdate: number;
  /** Serial → Unix seconds of its revocation. */
  revoked: ReadonlyMap<string, number>;
  /** Number of the list; absent where the extension is. */
  number?: bigint;
  /** Names of the place that the list is of, as hex of their DER: it is about certificates that name the place, and no others. */
  place?: readonly string[];
  signature: Signature;
}

interface Signature {
  algorithm: Algorithm;
  value: Uint8Array;
}

export interface Algorithm {
  kind: "ecdsa" | "rsa" | "rsa-pss";
  hash: Hash;
  /** Of RSASSA-PSS, in bytes. */
  saltLength?: number;
}
type Hash = "sha256" | "sha384" | "sha512";

/** Bits of the key usage extension (RFC 5280, 4.2.1.3). */
export const KEY_USAGE = { digitalSignature: 0, keyCertSign: 5, cRLSign: 6 } as const;

const OID = {
  basicConstraints: "2.5.29.19",
  keyUsage: "2.5.29.15",
  crlNumber: "2.5.29.20",
  deltaCrlIndicator: "2.5.29.27",
  certificateIssuer: "2.5.29.29",
  issuingDistributionPoint: "2.5.29.28",
  crlDistributionPoints: "2.5.29.31",
  reasonCode: "2.5.29.21",
  commonName: "2.5.4.3",
  rsaPss: "1.2.840.113549.1.1.10",
  mgf1: "1.2.840.113549.1.1.8",
} as const;

const SIGNATURE_ALGORITHMS: Record<string, Algorithm> = {
  "1.2.840.10045.4.3.2": { kind: "ecdsa", hash: "sha256" },
  "1.2.840.10045.4.3.3": { kind: "ecdsa", hash: "sha384" },
  "1.2.840.10045.4.3.4": { kind: "ecdsa", hash: "sha512" },
  "1.2.840.113549.1.1.11": { kind: "rsa", hash: "sha256" },
  "1.2.840.113549.1.1.12": { kind: "rsa", hash: "sha384" },
  "1.2.840.113549.1.1.13": { kind: "rsa", hash: "sha512" },
};

const HASHES: Record<string, Hash> = {
  "2.16.840.1.101.3.4.2.1": "sha256",
  "2.16.840.1.101.3.4.2.2": "sha384",
  "2.16.840.1.101.3.4.2.3": "sha512",
};

const NAME_TYPES: Record<string, string> = {
  "2.5.4.3": "CN",
  "2.5.4.5": "serialNumber",
  "2.5.4.6": "C",
  "2.5.4.7": "L",
  "2.5.4.8": "ST",
  "2.5.4.10": "O",
  "2.5.4.11": "OU",
};

/** Certificates of attestation have one or two kilobytes; a chain of them is never longer than this. */
const MAX_CERTIFICATE = 16 * 1024;
const MAX_CRL = 4 * 1024 * 1024;
export const MAX_CHAIN = 10;

/** @throws CERT_MALFORMED, or the code given */
export function parseCertificate(der: Uint8Array, code: ErrorCode = "CERT_MALFORMED"): Certificate {
  demand(der.length <= MAX_CERTIFICATE, code, `a certificate of ${der.length} bytes`);
  const outer = Der.parse(der, code).fields("a certificate");
  const tbs = outer.next("its content");
  const algorithm = outer.next("its algorithm");
  const value = outer.next("its signature").bitOctets("the signature");
  outer.end();
  const fields = tbs.fields("a certificate's content");
  const version = fields.optional(contextTag(0, true));
  demand(version?.inside().small("the version") === 2, code, "a certificate is not of version 3");
  const serial = fields.next("a serial number").integerBytes("the serial number");
  const inner = fields.next("an algorithm");
  demand(equalBytes(inner.bytes, algorithm.bytes), code, "a certificate names two signature algorithms");
  const issuer = readName(fields.next("an issuer"));
  const validity = fields.next("a validity").fields("the validity");
  const notBefore = validity.next("a start").time("the start of the validity");
  const notAfter = validity.next("an end").time("the end of the validity");
  validity.end();
  const subject = readName(fields.next("a subject"));
  const spki = fields.next("a public key").expect(TAG.sequence, "the public key").bytes;
  fields.optional(contextTag(1, false));
  fields.optional(contextTag(2, false));
  const extensions = readExtensions(fields.optional(contextTag(3, true)), code);
  fields.end();
  const basicConstraints = readBasicConstraints(extensions.get(OID.basicConstraints), code);
  const usage = extensions.get(OID.keyUsage);
  const keyUsage = usage && Der.parse(usage.value, code).bits("the key usage");
  const { key, kind: keyKind, bits: keyBits } = readPublicKey(spki, code);
  return {
    der,
    tbs: tbs.bytes,
    serial: hex(serial),
    issuer,
    subject,
    notBefore,
    notAfter,
    spki,
    key,
    keyKind,
    keyBits,
    signature: { algorithm: readAlgorithm(algorithm, code), value },
    extensions,
    ...(basicConstraints ? { basicConstraints } : {}),
    ...(keyUsage ? { keyUsage } : {}),
  };
}

/** @throws CRL_MALFORMED */
export function parseCrl(der: Uint8Array): Crl {
  const code = "CRL_MALFORMED";
  demand(der.length <= MAX_CRL, code, `a revocation list of ${der.length} bytes`);
  const outer = Der.parse(der, code).fields("a revocation list");
  const tbs = outer.next("its content");
  const algorithm = outer.next("its algorithm");
  const value = outer.next("its signature").bitOctets("the signature");
  outer.end();
  const { fields, ...head } = readCrlHead(tbs, algorithm, code);
  const revoked = new Map<string, number>();
  for (const entry of fields.optional(TAG.sequence)?.elements() ?? []) {
    const parts = entry.fields("a revoked certificate");
    const serial = parts.next("a serial number").integerBytes("the serial number");
    revoked.set(hex(serial), parts.next("a date").time("the date of a revocation"));
    const extensions = readEntryExtensions(parts.optional(TAG.sequence), code);
    refuseCritical(extensions, [OID.reasonCode], code, "an entry of a revocation list");
    refuse(extensions, OID.certificateIssuer, "an entry of a revocation list", code);
    parts.end();
  }
  const extensions = readExtensions(fields.optional(contextTag(0, true)), code);
  fields.end();
  refuseCritical(extensions, [OID.crlNumber, OID.issuingDistributionPoint], code, "a revocation list");
  refuse(extensions, OID.deltaCrlIndicator, "a revocation list", code);
  const number = extensions.get(OID.crlNumber);
  const place = readPlace(extensions.get(OID.issuingDistributionPoint), code);
  return {
    der,
    tbs: tbs.bytes,
    ...head,
    revoked,
    ...(number ? { number: Der.parse(number.value, code).integer("the number of the list") } : {}),
    ...(place ? { place } : {}),
    signature: { algorithm: readAlgorithm(algorithm, code), value },
  };
}

function readCrlHead(tbs: Der, algorithm: Der, code: ErrorCode) {
  const fields = tbs.fields("a revocation list's content");
  demand(fields.optional(TAG.integer)?.small("the version") === 1, code, "a revocation list is not of version 2");
  const inner = fields.next("an algorithm");
  demand(equalBytes(inner.bytes, algorithm.bytes), code, "a revocation list names two signature algorithms");
  const issuer = readName(fields.next("an issuer"));
  const thisUpdate = fields.next("its time").time("the time of the list");
  const next = fields.optional(TAG.utcTime, TAG.generalizedTime);
  demand(next !== undefined, code, "a revocation list does not say when the next one comes");
  return { fields, issuer, thisUpdate, nextUpdate: next.time("the time of the next list") };
}

/** Whose a list is and when it holds, as it says, without reading its entries: to choose among lists. `undefined` for none. */
export function peekCrl(der: Uint8Array): Pick<Crl, "issuer" | "thisUpdate" | "nextUpdate"> | undefined {
  try {
    const outer = Der.parse(der, "CRL_MALFORMED").fields("a revocation list");
    return readCrlHead(outer.next("its content"), outer.next("its algorithm"), "CRL_MALFORMED");
  } catch {
    return undefined;
  }
}

export interface ChainOptions {
  /** Begins the ids of its checks, such as `intel.pck`. */
  id: string;
  /** For texts: "PCK certificate". */
  what: string;
  /** Pinned certificates, DER, one of which has to end the chain. */
  roots: readonly Uint8Array[];
  /** Extensions of the leaf that the caller understands, should they be critical. */
  critical?: readonly string[];
  /** What a leaf's key usage has to allow, where it has that extension; `digitalSignature` unless given. */
  leafUsage?: keyof typeof KEY_USAGE;
  /** Every certificate below the root must have the key of this kind. */
  keys?: KeyKind;
}

/**
 * Checks a chain, leaf first, up to a pinned root, and holds every validity window against the time. The root may be left
 * out. The chain as checked comes back, root included.
 *
 * @throws CHAIN_INCOMPLETE, CHAIN_UNTRUSTED, CHAIN_ISSUER, CHAIN_SIGNATURE, CHAIN_CONSTRAINTS, NOT_YET_VALID, EXPIRED
 */
export function verifyChain(context: Context, given: readonly Certificate[], options: ChainOptions): Certificate[] {
  const { id, what, roots, critical = [], leafUsage = "digitalSignature", keys } = options;
  return context.check(`${id}.chain`, `the ${what} chains to a pinned root`, () => {
    demand(given.length > 0, "CHAIN_INCOMPLETE", `there is no ${what}`);
    demand(
      given.length <= MAX_CHAIN,
      "CHAIN_INCOMPLETE",
      `the chain of the ${what} has more than ${MAX_CHAIN} certificates`,
    );
    const chain = withRoot(given, roots, what);
    const distinct = new Set(chain.map(({ der }) => hex(der)));
    demand(distinct.size === chain.length, "CHAIN_INCOMPLETE", `the chain of the ${what} has a certificate twice`);
    chain.forEach((certificate, i) => {
      const name = describe(certificate);
      const isLeaf = i === 0;
      if (isLeaf && chain.length > 1) {
        demand(certificate.basicConstraints?.ca !== true, "CHAIN_CONSTRAINTS", `${name} is a CA, not a ${what}`);
        demand(allows(certificate, leafUsage), "CHAIN_CONSTRAINTS", `${name} is not for ${leafUsage}`);
      }
      refuseCritical(
        certificate.extensions,
        [OID.basicConstraints, OID.keyUsage, ...(isLeaf ? critical : [])],
        "CHAIN_CONSTRAINTS",
        name,
      );
      if (keys !== undefined) requireKey(certificate, keys, "CHAIN_CONSTRAINTS");
      if (!isLeaf) requireIssuing(certificate, i - 1);
      const issuer = chain[i + 1];
      if (issuer) {
        demand(
          equalBytes(certificate.issuer.der, issuer.subject.der),
          "CHAIN_ISSUER",
          `${name} is issued by ${certificate.issuer.text}, not by ${issuer.subject.text}`,
        );
        requireLink(context, certificate, issuer);
      }
      context.valid(name, certificate.notBefore, certificate.notAfter);
    });
    return chain;
  });
}

/** One verification checks a signature between the same two certificates once. */
function requireLink(context: Context, certificate: Certificate, issuer: Certificate): void {
  const link = createHash("sha256").update(certificate.der).update(issuer.spki).digest("hex");
  if (context.shared.proven.has(link)) return;
  demand(
    isSigned(certificate, issuer),
    "CHAIN_SIGNATURE",
    `${describe(certificate)} is not signed by ${describe(issuer)}`,
  );
  context.shared.proven.add(link);
}

/** Adds the pinned root if only that is missing. */
function withRoot(given: readonly Certificate[], roots: readonly Uint8Array[], what: string): Certificate[] {
  const last = given[given.length - 1]!;
  if (roots.some((root) => equalBytes(root, last.der))) return [...given];
  const named = roots
    .map((root) => parsePinned(root))
    .filter(({ subject }) => equalBytes(subject.der, last.issuer.der));
  // Roots may share a name, as a renewed one and a test's do: the one that signed is meant.
  const pinned = named.length > 1 ? (named.find((root) => isSigned(last, root)) ?? named[0]) : named[0];
  const selfIssued = equalBytes(last.issuer.der, last.subject.der);
  demand(
    pinned !== undefined && !selfIssued,
    "CHAIN_UNTRUSTED",
    `the ${what} does not chain to a pinned root: it ends in ${describe(last)}, issued by ${last.issuer.text}`,
  );
  return [...given, pinned];
}

const parsed = new WeakMap<Uint8Array, Certificate>();

/** Pinned certificates are parsed once, and again where their bytes have changed. */
export function parsePinned(der: Uint8Array): Certificate {
  let certificate = parsed.get(der);
  // Of a copy: who fills the same memory with another root means that one.
  if (!certificate || !equalBytes(certificate.der, der)) {
    certificate = parseCertificate(Uint8Array.from(der));
    parsed.set(der, certificate);
  }
  return certificate;
}

function requireIssuing(certificate: Certificate, below: number): void {
  const name = describe(certificate);
  const { basicConstraints } = certificate;
  demand(basicConstraints?.ca === true, "CHAIN_CONSTRAINTS", `${name} issues a certificate and is no CA`);
  const { pathLength } = basicConstraints;
  demand(
    pathLength === undefined || below <= pathLength,
    "CHAIN_CONSTRAINTS",
    `${name} allows ${pathLength} CAs below itself, and there are ${below}`,
  );
  demand(allows(certificate, "keyCertSign"), "CHAIN_CONSTRAINTS", `${name} is not for signing certificates`);
}

/** RFC 5280: a certificate without the extension is not restricted. */
function allows({ keyUsage }: Certificate, usage: keyof typeof KEY_USAGE): boolean {
  return keyUsage === undefined || keyUsage[KEY_USAGE[usage]] === true;
}

export interface CrlOptions {
  /** Begins the ids of its checks. */
  id: string;
  /** What a list is recorded as, such as `intel.root-crl`. */
  kind: string;
  /** For texts: "root CA's revocation list". */
  what: string;
}

/**
 * Checks that a revocation list is by this issuer, signed, and current. The issuer's own chain is for the caller.
 *
 * @throws CRL_ISSUER_MISMATCH, CRL_SIGNATURE, NOT_YET_VALID, EXPIRED
 */
export function verifyCrl(context: Context, crl: Crl, issuer: Certificate, { id, kind, what }: CrlOptions): void {
  context.check(`${id}.crl`, `the ${what} is by its issuer, signed and current`, () => {
    demand(
      equalBytes(crl.issuer.der, issuer.subject.der),
      "CRL_ISSUER_MISMATCH",
      `the ${what} is by ${crl.issuer.text}, not by ${issuer.subject.text}`,
    );
    demand(allows(issuer, "cRLSign"), "CHAIN_CONSTRAINTS", `${describe(issuer)} is not for signing revocation lists`);
    demand(isSigned(crl, issuer), "CRL_SIGNATURE", `the ${what} is not signed by ${describe(issuer)}`);
    const { thisUpdate: from, nextUpdate: until } = crl;
    context.use(kind, `the ${what}`, crl.der, { from, until, issued: from });
  });
}

/**
 * Whether a list is about a certificate: by its issuer, and of a place that it names, where the list is of one (RFC 5280, 6.3.3).
 * An issuer with many certificates may split its list by places.
 */
export function isAbout({ issuer, place }: Crl, certificate: Certificate): boolean {
  if (!equalBytes(issuer.der, certificate.issuer.der)) return false;
  if (place === undefined) return true;
  const named = readPlaces(certificate.extensions.get(OID.crlDistributionPoints), "CERT_MALFORMED");
  return place.some((name) => named.has(name));
}

/**
 * Serials count among certificates of one issuer: call it with the list of the certificate's own.
 *
 * @throws CRL_ISSUER_MISMATCH, CERT_REVOKED
 */
export function requireUnrevoked(context: Context, crl: Crl, certificate: Certificate, id: string): void {
  const name = describe(certificate);
  context.check(`${id}.revocation`, `${name} is not revoked`, () => {
    demand(
      isAbout(crl, certificate),
      "CRL_ISSUER_MISMATCH",
      `a revocation list by ${crl.issuer.text} says nothing about ${name}`,
    );
    demand(!crl.revoked.has(certificate.serial), "CERT_REVOKED", `${name} (serial ${certificate.serial}) is revoked`);
  });
}

/** Whether a certificate or list is signed by the key of another; with the algorithm that its own bytes name. */
export function isSigned({ tbs, signature }: { tbs: Uint8Array; signature: Signature }, issuer: Certificate): boolean {
  return verifySignature(signature.algorithm, issuer.key, tbs, signature.value);
}

/** False for a key of another kind than the algorithm's, and for any signature that is not well formed. */
export function verifySignature(
  algorithm: Algorithm,
  key: KeyObject,
  message: Uint8Array,
  signature: Uint8Array,
  encoding: "der" | "ieee-p1363" = "der",
): boolean {
  const kind = algorithm.kind === "ecdsa" ? "ec" : "rsa";
  if (key.asymmetricKeyType !== kind) return false;
  try {
    if (algorithm.kind === "ecdsa") return verify(algorithm.hash, message, { key, dsaEncoding: encoding }, signature);
    if (algorithm.kind === "rsa") return verify(algorithm.hash, message, key, signature);
    const { hash, saltLength = 20 } = algorithm;
    // RSA_PKCS1_PSS_PADDING; the mask generator has the same hash, which readAlgorithm made sure of.
    return verify(hash, message, { key, padding: 6, saltLength }, signature);
  } catch {
    return false;
  }
}

/** @throws the code given, for another kind of key */
export function requireKey(certificate: Certificate, kind: KeyKind, code: ErrorCode): void {
  const { keyKind } = certificate;
  demand(keyKind === kind, code, `${describe(certificate)} has a key of kind ${keyKind} instead of ${kind}`);
}

/** A public key of raw coordinates, big-endian, as quotes hold them. @throws the code given where it is no point */
export function rawEcKey(curve: "P-256" | "P-384" | "P-521", x: Uint8Array, y: Uint8Array, code: ErrorCode): KeyObject {
  try {
    const coordinate = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64url");
    return createPublicKey({ key: { kty: "EC", crv: curve, x: coordinate(x), y: coordinate(y) }, format: "jwk" });
  } catch (cause) {
    throw new AnchorError(code, `a public key is no point of ${curve}`, { cause });
  }
}

/**
 * The certificates of a PEM text, in their order.
 *
 * @throws CERT_MALFORMED for anything but white space and comments between blocks, or none at all
 */
export function parsePem(text: string, label = "CERTIFICATE"): Uint8Array[] {
  const blocks: Uint8Array[] = [];
  const block = new RegExp(`-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]*?)-----END ${label}-----`, "g");
  for (const [, body] of text.matchAll(block)) {
    const base64 = body!.replace(/\s+/g, "");
    const bytes = new Uint8Array(Buffer.from(base64, "base64"));
    demand(Buffer.from(bytes).toString("base64") === base64, "CERT_MALFORMED", "a PEM block is not base64");
    blocks.push(bytes);
  }
  const begun = text.split("-----BEGIN ").length - 1;
  demand(blocks.length > 0 && blocks.length === begun, "CERT_MALFORMED", `there is no whole PEM block of a ${label}`);
  return blocks;
}

/** Its common name, for messages. */
export function describe({ subject }: Certificate): string {
  return `the certificate "${subject.commonName || subject.text}"`;
}

export function readName(element: Der): Name {
  if (element.bytes.length > MAX_CERTIFICATE) element.fail(`a name of ${element.bytes.length} bytes`);
  let commonName = "";
  const parts: string[] = [];
  for (const set of element.sequence("a name")) {
    for (const attribute of set.expect(TAG.set, "a part of a name").children()) {
      const fields = attribute.fields("a part of a name");
      const type = fields.next("a type").oid("the type of a part of a name");
      const text = fields.next("a value").text("a part of a name");
      fields.end();
      if (type === OID.commonName) commonName = text;
      parts.push(`${NAME_TYPES[type] ?? type}=${text}`);
    }
  }
  return { der: element.bytes, commonName, text: parts.join(", ") };
}

export function readExtensions(element: Der | undefined, code: ErrorCode): Map<string, Extension> {
  return readEntryExtensions(element?.inside(), code);
}

function readEntryExtensions(element: Der | undefined, code: ErrorCode): Map<string, Extension> {
  const extensions = new Map<string, Extension>();
  for (const extension of element?.sequence("the extensions") ?? []) {
    const fields = extension.fields("an extension");
    const oid = fields.next("an identifier").oid("the identifier of an extension");
    const critical = fields.optional(TAG.boolean)?.boolean("the critical flag") ?? false;
    const value = fields.next("a value").octets("the value of an extension");
    fields.end();
    demand(!extensions.has(oid), code, `the extension ${oid} stands twice`);
    extensions.set(oid, { critical, value });
  }
  return extensions;
}

/** What makes a list a delta or an indirect one is critical by RFC 5280; it is refused even where it does not say so. */
function refuse(extensions: ReadonlyMap<string, Extension>, oid: string, what: string, code: ErrorCode): void {
  demand(!extensions.has(oid), code, `${what} has the extension ${oid}, which is not supported`);
}

export function refuseCritical(
  extensions: ReadonlyMap<string, Extension>,
  known: readonly string[],
  code: ErrorCode,
  what: string,
): void {
  for (const [oid, { critical }] of extensions) {
    demand(!critical || known.includes(oid), code, `${what} has a critical extension ${oid} that is not supported`);
  }
}

function readBasicConstraints(extension: Extension | undefined, code: ErrorCode) {
  if (!extension) return undefined;
  const fields = Der.parse(extension.value, code).fields("the basic constraints");
  const ca = fields.optional(TAG.boolean)?.boolean("the CA flag") ?? false;
  const pathLength = fields.optional(TAG.integer)?.small("the path length");
  fields.end();
  demand(ca || pathLength === undefined, code, "a certificate that is no CA has a path length");
  return { ca, ...(pathLength === undefined ? {} : { pathLength }) };
}

/** The issuing distribution point of a list, which may narrow it to a place and to nothing else. */
function readPlace(extension: Extension | undefined, code: ErrorCode): string[] | undefined {
  if (!extension) return undefined;
  const fields = Der.parse(extension.value, code).fields("the issuing distribution point");
  const names = fields.optional(contextTag(0, true));
  fields.end();
  return names && readFullName(names);
}

/** Names of the places that a certificate's list may be of, other than those of other issuers or for some reasons only. */
function readPlaces(extension: Extension | undefined, code: ErrorCode): Set<string> {
  const places = new Set<string>();
  for (const point of extension ? Der.parse(extension.value, code).sequence("the places of lists") : []) {
    const fields = point.fields("a place of lists");
    const names = fields.optional(contextTag(0, true));
    const reasons = fields.optional(contextTag(1, false));
    const issuer = fields.optional(contextTag(2, true));
    fields.end();
    if (names && !reasons && !issuer) for (const name of readFullName(names)) places.add(name);
  }
  return places;
}

/** `[0]` around `[0]` around names; names relative to the issuer are read as none. */
function readFullName(element: Der): string[] {
  const inner = element.inside();
  return inner.is(contextTag(0, true)) ? inner.children().map(({ bytes }) => hex(bytes)) : [];
}

export function readAlgorithm(element: Der, code: ErrorCode): Algorithm {
  const fields = element.fields("a signature algorithm");
  const oid = fields.next("an identifier").oid("a signature algorithm");
  if (oid !== OID.rsaPss) {
    const algorithm = SIGNATURE_ALGORITHMS[oid];
    demand(algorithm !== undefined, code, `the signature algorithm ${oid} is not supported`);
    if (algorithm.kind === "rsa") fields.next("NULL").expect(TAG.null, "the parameters of RSA");
    fields.end();
    return algorithm;
  }
  const parameters = fields.next("parameters").fields("the parameters of RSASSA-PSS");
  fields.end();
  const hash = readHash(parameters.optional(contextTag(0, true))?.inside(), code);
  const mask = parameters.optional(contextTag(1, true))?.inside().fields("the mask generator");
  demand(mask?.next("an identifier").oid("the mask generator") === OID.mgf1, code, "RSASSA-PSS without MGF1");
  demand(readHash(mask.next("a hash"), code) === hash, code, "RSASSA-PSS with two different hashes");
  mask.end();
  const saltLength = parameters.optional(contextTag(2, true))?.inside().small("the length of the salt") ?? 20;
  const trailer = parameters.optional(contextTag(3, true))?.inside().small("the trailer") ?? 1;
  parameters.end();
  demand(trailer === 1, code, "RSASSA-PSS with another trailer");
  return { kind: "rsa-pss", hash, saltLength };
}

function readHash(element: Der | undefined, code: ErrorCode): Hash {
  const fields = element?.fields("a hash algorithm");
  const hash = HASHES[fields?.next("an identifier").oid("a hash algorithm") ?? ""];
  demand(hash !== undefined, code, "a signature with a hash that is not supported");
  fields?.optional(TAG.null);
  fields?.end();
  return hash;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
