/**
 * Whether certificates of a device or of a manifest's signer are revoked, by OCSP answers and lists among the collateral.
 *
 * @module
 */
import { AnchorError } from "../../errors.js";
import type { RevocationResult } from "../claims.js";
import type { Collateral } from "../collateral.js";
import { type Context, demand } from "../context.js";
import { equalBytes } from "../read/bytes.js";
import {
  type Certificate,
  type Crl,
  describe,
  isAbout as isListAbout,
  parseCrl,
  requireUnrevoked,
  verifyCrl,
} from "../x509.js";
import { isAbout, parseOcspResponse, type SingleResponse, verifyOcsp } from "./ocsp.js";

/** Collateral about revocation, by what it is looked up with. */
export interface Revocations {
  /** By serial number. */
  ocsp: ReadonlyMap<string, readonly SingleResponse[]>;
  /** By the issuer's name, hex of its DER. */
  crls: ReadonlyMap<string, readonly Crl[]>;
}

/** More than eight GPUs and four switches with their manifests need. */
const MAX_ENTRIES = 1024;

/** @throws COLLATERAL_MALFORMED, CRL_MALFORMED, CERT_MALFORMED, REVOCATION_UNKNOWN */
export function readRevocations(collateral: Collateral["nvidia"]): Revocations {
  const answers = collateral?.ocsp ?? [];
  const lists = collateral?.crls ?? [];
  demand(
    answers.length <= MAX_ENTRIES && lists.length <= MAX_ENTRIES,
    "COLLATERAL_MALFORMED",
    `collateral holds ${answers.length} OCSP answers and ${lists.length} revocation lists; the most is ${MAX_ENTRIES} of each`,
  );
  return {
    ocsp: group(
      answers.flatMap((each) => parseOcspResponse(each).singles),
      ({ serial }) => serial,
    ),
    crls: group(
      lists.map((each) => parseCrl(each)),
      ({ issuer }) => nameKey(issuer.der),
    ),
  };
}

function group<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const found = groups.get(key(item));
    if (found) found.push(item);
    else groups.set(key(item), [item]);
  }
  return groups;
}

function nameKey(der: Uint8Array): string {
  return Buffer.from(der).toString("hex");
}

export interface RevocationOptions {
  /** Begins the ids of its checks, such as `nvidia.device`. */
  id: string;
  /** For texts: "the device's certificates". */
  what: string;
  roots: readonly Uint8Array[];
  /** Index of the first certificate to look up: what a device issues to itself no responder knows. */
  from: number;
}

/**
 * Looks up every certificate of a checked chain but the root. Whatever is said about a certificate has to be authentic and
 * current; where nothing is said, the answer is `unchecked`. A hold is for a policy to accept or not.
 *
 * @throws CERT_REVOKED, REVOCATION_UNKNOWN, CRL_ISSUER_MISMATCH, CRL_SIGNATURE, NOT_YET_VALID, EXPIRED, CHAIN_…
 */
export function checkRevocation(
  context: Context,
  chain: readonly Certificate[],
  revocations: Revocations,
  options: RevocationOptions,
): RevocationResult {
  const { id, what, from } = options;
  const unchecked: string[] = [];
  let hold = false;
  for (let i = from; i < chain.length - 1; i++) {
    const certificate = chain[i]!;
    const issuers = chain.slice(i + 1);
    const listed = checkList(context, certificate, issuers[0]!, revocations, id);
    const status = checkAnswer(context, certificate, issuers, revocations, options);
    if (status === "hold") hold = true;
    if (!listed && status === undefined) unchecked.push(describe(certificate));
  }
  if (unchecked.length > 0) {
    context.unchecked(
      `${id}.revocation`,
      `${what} are not revoked`,
      `collateral says nothing about ${unchecked.join(", ")}: they may be revoked`,
    );
  }
  return hold ? "hold" : unchecked.length > 0 ? "unchecked" : "good";
}

function checkAnswer(
  context: Context,
  certificate: Certificate,
  issuers: readonly Certificate[],
  { ocsp }: Revocations,
  { id, roots }: RevocationOptions,
): "good" | "hold" | undefined {
  const about = (ocsp.get(certificate.serial) ?? []).filter((each) => isAbout(each, certificate, issuers[0]!));
  const single = newest(context, about, ({ response }) => response.der);
  if (!single) return undefined;
  verifyOcsp(context, single, issuers, { id, roots });
  const name = describe(certificate);
  return context.check(`${id}.revocation`, `${name} is not revoked`, () => {
    const { status, reason } = single;
    if (status === "revoked") {
      throw new AnchorError(
        "CERT_REVOKED",
        `${name} is revoked${reason === undefined ? "" : `, for reason ${reason}`}`,
      );
    }
    demand(status !== "unknown", "REVOCATION_UNKNOWN", `the OCSP responder does not know ${name}`);
    return status;
  });
}

function checkList(
  context: Context,
  certificate: Certificate,
  issuer: Certificate,
  { crls }: Revocations,
  id: string,
): boolean {
  const crl = newest(
    context,
    (crls.get(nameKey(certificate.issuer.der)) ?? []).filter((each) => isListAbout(each, certificate)),
    ({ der }) => der,
  );
  if (!crl) return false;
  const what = `revocation list of ${describe(issuer)}`;
  verifyCrl(context, crl, issuer, { id, kind: "nvidia.crl", what });
  requireUnrevoked(context, crl, certificate, id);
  return true;
}

/** Of those in force the latest; the latest of all where none is in force, so that its window is what fails. */
function newest<T extends { thisUpdate: number; nextUpdate: number }>(
  { now }: Context,
  items: readonly T[],
  bytes: (item: T) => Uint8Array,
): T | undefined {
  const inForce = items.filter(({ thisUpdate, nextUpdate }) => thisUpdate <= now && now <= nextUpdate);
  const candidates = inForce.length > 0 ? inForce : items;
  // Their order in the collateral must not matter: of two of one second, the one whose bytes come first.
  return candidates.reduce<T | undefined>((best, item) => {
    if (!best || item.thisUpdate > best.thisUpdate) return item;
    if (item.thisUpdate < best.thisUpdate || equalBytes(bytes(item), bytes(best))) return best;
    return Buffer.compare(bytes(item), bytes(best)) < 0 ? item : best;
  }, undefined);
}
