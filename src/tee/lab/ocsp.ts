/**
 * Answers about certificates (OCSP, RFC 6960).
 *
 * @module
 */
import { createHash } from "node:crypto";
import { type CertificateOptions, DAY, LAB_NOW, type LabAlgorithm, type LabKey, signed } from "./certificates.js";
import * as der from "./der.js";

export interface OcspEntry {
  issuer: der.NameParts;
  issuerKey: LabKey;
  serial: bigint | number;
  /** `hold` is a revocation that may be taken back. */
  status?: "good" | "hold" | "revoked" | "unknown";
  revokedAt?: number;
  thisUpdate?: number;
  /** `null`: the answer does not say. */
  nextUpdate?: number | null;
  /** Of issuer's name and key. */
  hash?: "sha1" | "sha256" | "sha384";
}

export interface OcspOptions {
  entries: readonly OcspEntry[];
  responder: { subject: der.NameParts; key: LabKey };
  /** What the answer brings along, DER. */
  certificates?: readonly Uint8Array[];
  producedAt?: number;
  /** Names the responder by its key instead of its name. */
  byKey?: boolean;
  /** 0 for an answer; anything else is an error without one. */
  responseStatus?: number;
  algorithm?: LabAlgorithm;
}

const HASHES = { sha1: "1.3.14.3.2.26", sha256: "2.16.840.1.101.3.4.2.1", sha384: "2.16.840.1.101.3.4.2.2" } as const;
const BASIC = "1.3.6.1.5.5.7.48.1.1";
const OCSP_SIGNING = "1.3.6.1.5.5.7.3.9";
const CERTIFICATE_HOLD = 6;
const KEY_COMPROMISE = 1;

/** What makes a certificate one of a responder. */
export const OCSP_RESPONDER: Partial<CertificateOptions> = {
  ca: false,
  keyUsage: ["digitalSignature"],
  extensions: [{ oid: "2.5.29.37", value: der.sequence(der.oid(OCSP_SIGNING)) }],
};

/** An answer, DER. In force from a day before {@link LAB_NOW} to 29 days after it unless told otherwise. */
export function makeOcsp(options: OcspOptions): Uint8Array {
  const { entries, responder, certificates = [], byKey = false, responseStatus = 0 } = options;
  if (responseStatus !== 0) return der.sequence(der.enumerated(responseStatus));
  const { producedAt = LAB_NOW - DAY } = options;
  const responderId = byKey
    ? der.explicit(2, der.octetString(digest("sha1", publicKeyBits(responder.key))))
    : der.explicit(1, der.name(responder.subject));
  const content = der.sequence(responderId, der.generalizedTime(producedAt), der.sequence(...entries.map(single)));
  const whole = signed(content, responder.key, options.algorithm);
  // The certificates stand inside the same SEQUENCE, behind the signature.
  const parts = whole.subarray(headerLength(whole));
  const brought = certificates.length === 0 ? [] : [der.explicit(0, der.sequence(...certificates))];
  const basic = der.sequence(parts, ...brought);
  return der.sequence(der.enumerated(0), der.explicit(0, der.sequence(der.oid(BASIC), der.octetString(basic))));
}

function single(entry: OcspEntry): Uint8Array {
  const { issuer, issuerKey, serial, status = "good", hash = "sha1" } = entry;
  const { thisUpdate = LAB_NOW - DAY, nextUpdate = LAB_NOW + 29 * DAY, revokedAt = thisUpdate } = entry;
  const certificate = der.sequence(
    der.sequence(der.oid(HASHES[hash]), der.nothing()),
    der.octetString(digest(hash, der.name(issuer))),
    der.octetString(digest(hash, publicKeyBits(issuerKey))),
    der.integer(serial),
  );
  const reason = der.explicit(0, der.enumerated(status === "hold" ? CERTIFICATE_HOLD : KEY_COMPROMISE));
  const said =
    status === "good"
      ? der.implicit(0, new Uint8Array())
      : status === "unknown"
        ? der.implicit(2, new Uint8Array())
        : der.explicit(1, der.generalizedTime(revokedAt), reason);
  const next = nextUpdate === null ? [] : [der.explicit(0, der.generalizedTime(nextUpdate))];
  return der.sequence(certificate, said, der.generalizedTime(thisUpdate), ...next);
}

/** The key without its algorithm: for the curves here, the uncompressed point. */
function publicKeyBits({ kind, spki }: LabKey): Uint8Array {
  if (kind.startsWith("RSA")) return spki.subarray(24);
  return spki.subarray(-(kind === "P-256" ? 65 : 97));
}

function digest(hash: string, bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash(hash).update(bytes).digest());
}

function headerLength(element: Uint8Array): number {
  return element[1]! < 0x80 ? 2 : 2 + (element[1]! & 0x7f);
}
