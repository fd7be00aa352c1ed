/**
 * Keys, certificates and revocation lists of a laboratory's own, good ones and bad ones: every field that a verifier looks
 * at is a parameter, and what is left out is left out of the certificate too.
 *
 * @module
 */
import { constants, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { concat } from "../../field/bytes.js";
import * as der from "./der.js";

/** The laboratory's present, at which everything it makes is valid unless told otherwise: 28 May 2026. */
export const LAB_NOW = 1_780_000_000;
export const DAY = 86_400;
export const YEAR = 365 * DAY;

export type LabKeyKind = "P-256" | "P-384" | "RSA-2048" | "RSA-4096";

export interface LabKey {
  kind: LabKeyKind;
  privateKey: KeyObject;
  publicKey: KeyObject;
  /** SubjectPublicKeyInfo, DER. */
  spki: Uint8Array;
}

const CURVES = { "P-256": "prime256v1", "P-384": "secp384r1" } as const;

/** A new key. RSA takes up to some seconds: {@link cachedKey} where one key will do. */
export function makeKey(kind: LabKeyKind): LabKey {
  const { privateKey, publicKey } =
    kind === "P-256" || kind === "P-384"
      ? generateKeyPairSync("ec", { namedCurve: CURVES[kind] })
      : generateKeyPairSync("rsa", { modulusLength: Number(kind.slice(4)) });
  return { kind, privateKey, publicKey, spki: new Uint8Array(publicKey.export({ format: "der", type: "spki" })) };
}

const cache = new Map<string, LabKey>();

/** One key a process by name, made when it is first asked for. */
export function cachedKey(kind: LabKeyKind, name: string): LabKey {
  const id = `${kind} ${name}`;
  let key = cache.get(id);
  if (!key) cache.set(id, (key = makeKey(kind)));
  return key;
}

/** x‖y, as quotes and reports hold public keys. */
export function rawPoint({ kind, spki }: LabKey): Uint8Array {
  return spki.slice(-(kind === "P-256" ? 64 : 96));
}

export type LabAlgorithm =
  | "ecdsa-sha256"
  | "ecdsa-sha384"
  | "ecdsa-sha512"
  | "rsa-sha256"
  | "rsa-sha384"
  | "rsa-pss-sha256"
  | "rsa-pss-sha384";

const ALGORITHM_OIDS = {
  "ecdsa-sha256": "1.2.840.10045.4.3.2",
  "ecdsa-sha384": "1.2.840.10045.4.3.3",
  "ecdsa-sha512": "1.2.840.10045.4.3.4",
  "rsa-sha256": "1.2.840.113549.1.1.11",
  "rsa-sha384": "1.2.840.113549.1.1.12",
} as const;

const HASH_OIDS = { sha256: "2.16.840.1.101.3.4.2.1", sha384: "2.16.840.1.101.3.4.2.2" } as const;

function defaultAlgorithm({ kind }: LabKey): LabAlgorithm {
  return kind === "P-256" ? "ecdsa-sha256" : kind === "P-384" ? "ecdsa-sha384" : "rsa-pss-sha384";
}

/** AlgorithmIdentifier. */
export function algorithmIdentifier(algorithm: LabAlgorithm): Uint8Array {
  if (algorithm === "rsa-pss-sha256" || algorithm === "rsa-pss-sha384") {
    const hash = algorithm === "rsa-pss-sha256" ? "sha256" : "sha384";
    const hashAlgorithm = der.sequence(der.oid(HASH_OIDS[hash]), der.nothing());
    return der.sequence(
      der.oid("1.2.840.113549.1.1.10"),
      der.sequence(
        der.explicit(0, hashAlgorithm),
        der.explicit(1, der.sequence(der.oid("1.2.840.113549.1.1.8"), hashAlgorithm)),
        der.explicit(2, der.integer(hash === "sha256" ? 32 : 48)),
        der.explicit(3, der.integer(1)),
      ),
    );
  }
  const parameters = algorithm.startsWith("rsa") ? [der.nothing()] : [];
  return der.sequence(der.oid(ALGORITHM_OIDS[algorithm]), ...parameters);
}

/** Signs with the private key; ECDSA as DER for certificates, or as r‖s for everything else. */
export function signBytes(
  key: LabKey,
  message: Uint8Array,
  encoding: "der" | "ieee-p1363" = "der",
  algorithm: LabAlgorithm = defaultAlgorithm(key),
): Uint8Array {
  const hash = algorithm.slice(algorithm.lastIndexOf("-") + 1);
  const { privateKey } = key;
  if (algorithm.startsWith("ecdsa")) {
    return new Uint8Array(sign(hash, message, { key: privateKey, dsaEncoding: encoding }));
  }
  const padding = algorithm.startsWith("rsa-pss") ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING;
  const saltLength = hash === "sha256" ? 32 : 48;
  return new Uint8Array(sign(hash, message, { key: privateKey, padding, saltLength }));
}

/** Bits of the key usage extension, by name. */
const KEY_USAGE_BITS = {
  digitalSignature: 0,
  nonRepudiation: 1,
  keyEncipherment: 2,
  keyAgreement: 4,
  keyCertSign: 5,
  cRLSign: 6,
} as const;

export type LabKeyUsage = keyof typeof KEY_USAGE_BITS;

export interface LabExtension {
  oid: string;
  critical?: boolean;
  /** What the OCTET STRING holds. */
  value: Uint8Array;
}

export interface CertificateOptions {
  subject: der.NameParts;
  /** The subject unless given: self-issued. */
  issuer?: der.NameParts;
  key: LabKey;
  /** The certificate's own key unless given: self-signed. */
  issuerKey?: LabKey;
  notBefore?: number;
  notAfter?: number;
  serial?: bigint | number;
  /** Without it there are no basic constraints at all. */
  ca?: boolean;
  pathLength?: number;
  /** Without it there is no key usage extension. */
  keyUsage?: readonly LabKeyUsage[];
  extensions?: readonly LabExtension[];
  /** What it is signed with; fits the issuer's key unless given. */
  algorithm?: LabAlgorithm;
  /** 3 unless given. */
  version?: number;
}

/** A certificate, DER. Valid from one year before {@link LAB_NOW} to seven years after it unless told otherwise. */
export function makeCertificate(options: CertificateOptions): Uint8Array {
  const { subject, issuer = subject, key, issuerKey = key, serial = 1, version = 3 } = options;
  const { notBefore = LAB_NOW - YEAR, notAfter = LAB_NOW + 7 * YEAR } = options;
  const algorithm = options.algorithm ?? defaultAlgorithm(issuerKey);
  const extensions = [
    ...(options.ca === undefined ? [] : [basicConstraints(options.ca, options.pathLength)]),
    ...(options.keyUsage === undefined ? [] : [keyUsage(options.keyUsage)]),
    ...(options.extensions ?? []),
  ];
  const tbs = der.sequence(
    ...(version === 1 ? [] : [der.explicit(0, der.integer(version - 1))]),
    der.integer(serial),
    algorithmIdentifier(algorithm),
    der.name(issuer),
    der.sequence(der.time(notBefore), der.time(notAfter)),
    der.name(subject),
    key.spki,
    ...(extensions.length === 0 ? [] : [der.explicit(3, extensionList(extensions))]),
  );
  return signed(tbs, issuerKey, algorithm);
}

export interface CrlOptions {
  issuer: der.NameParts;
  issuerKey: LabKey;
  thisUpdate?: number;
  nextUpdate?: number;
  revoked?: readonly RevokedEntry[];
  /** 1 unless given. */
  number?: number | bigint;
  extensions?: readonly LabExtension[];
  algorithm?: LabAlgorithm;
}

/** A serial alone, or with a date and extensions of its own. */
export type RevokedEntry =
  | bigint
  | number
  | { serial: bigint | number; at?: number; extensions?: readonly LabExtension[] };

/** A revocation list of version 2, DER. In force from a day before {@link LAB_NOW} to 29 days after it unless told otherwise. */
export function makeCrl(options: CrlOptions): Uint8Array {
  const { issuer, issuerKey, thisUpdate = LAB_NOW - DAY, nextUpdate = LAB_NOW + 29 * DAY } = options;
  const { revoked = [], number = 1 } = options;
  const algorithm = options.algorithm ?? defaultAlgorithm(issuerKey);
  const entries = revoked.map((given) => {
    const { serial, at = thisUpdate, extensions = [] } = typeof given === "object" ? given : { serial: given };
    const own = extensions.length === 0 ? [] : [extensionList(extensions)];
    return der.sequence(der.integer(serial), der.time(at), ...own);
  });
  const extensions = [{ oid: "2.5.29.20", value: der.integer(number) }, ...(options.extensions ?? [])];
  const tbs = der.sequence(
    der.integer(1),
    algorithmIdentifier(algorithm),
    der.name(issuer),
    der.time(thisUpdate),
    der.time(nextUpdate),
    ...(entries.length === 0 ? [] : [der.sequence(...entries)]),
    der.explicit(0, extensionList(extensions)),
  );
  return signed(tbs, issuerKey, algorithm);
}

/** SEQUENCE { content, algorithm, signature }, as certificates, lists and OCSP answers are. */
export function signed(tbs: Uint8Array, key: LabKey, algorithm: LabAlgorithm = defaultAlgorithm(key)): Uint8Array {
  return der.sequence(tbs, algorithmIdentifier(algorithm), der.bitString(signBytes(key, tbs, "der", algorithm)));
}

export function extensionList(extensions: readonly LabExtension[]): Uint8Array {
  return der.sequence(
    ...extensions.map(({ oid, critical, value }) =>
      der.sequence(der.oid(oid), ...(critical ? [der.boolean(true)] : []), der.octetString(value)),
    ),
  );
}

function basicConstraints(ca: boolean, pathLength: number | undefined): LabExtension {
  const parts = concat(
    ca ? der.boolean(true) : new Uint8Array(),
    pathLength === undefined ? new Uint8Array() : der.integer(pathLength),
  );
  return { oid: "2.5.29.19", critical: true, value: der.sequence(parts) };
}

function keyUsage(usages: readonly LabKeyUsage[]): LabExtension {
  return { oid: "2.5.29.15", critical: true, value: der.namedBits(usages.map((usage) => KEY_USAGE_BITS[usage])) };
}
