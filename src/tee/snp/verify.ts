/**
 * Verification of SEV-SNP reports: signed by a key of this chip or cloud, at this TCB, that AMD's root vouches for.
 *
 * Certificates come with the evidence or as collateral, in any order and with others among them. What evidence brings has to
 * hold; pinned intermediates fill in where it brings none. Serial numbers of VCEKs and VLEKs are all zero, so that AMD's
 * revocation lists are about its intermediates, and a key of an old TCB is refused by policy and not by a list.
 *
 * Not shown by a report: whether the guest's memory can be probed from outside, and whether the chip's root seed has leaked.
 *
 * @module
 */
import { verify as verifyEcdsa } from "node:crypto";
import { isAnchorError } from "../../errors.js";
import { type Hex, toHex } from "../../field/bytes.js";
import { bigIntToBytes } from "../../field/scalar.js";
import type { SnpClaims, SnpTcb } from "../claims.js";
import type { Collateral } from "../collateral.js";
import { type Context, demand } from "../context.js";
import type { SnpEvidence } from "../evidence.js";
import { equalBytes } from "../read/bytes.js";
import type { AmdProduct } from "../roots.js";
import {
  type Certificate,
  describe,
  isSigned,
  parseCertificate,
  parseCrl,
  parsePinned,
  requireKey,
  requireUnrevoked,
  verifyChain,
  verifyCrl,
} from "../x509.js";
import {
  type FirmwareVersion,
  parseSnpReport,
  readPlatformInfo,
  readPolicy,
  type SnpReport,
  unknownFlags,
} from "./report.js";
import { above, decodeTcb, productOfCpuid } from "./tcb.js";
import { readVek, requireChip, requireTcb, VEK_EXTENSIONS, type Vek, type VekKind } from "./vek.js";

/** An extended report has four; a bundle may serve a fleet. */
const MAX_EVIDENCE_CERTIFICATES = 16;
const MAX_COLLATERAL_CERTIFICATES = 1024;
const MAX_CRLS = 64;

/** Of one name; each costs an RSA verification. */
const MAX_INTERMEDIATES = 8;

/** Order of the group of P-384. */
const P384_ORDER = 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n;

export function verifySnp(context: Context, evidence: SnpEvidence, collateral: Collateral): SnpClaims {
  const report = context.check("snp.report", "the report is laid out as a version that is supported", () =>
    parseSnpReport(evidence.report),
  );
  const certificates = context.check("snp.certificates", "there is a certificate of a report's key", () =>
    gather(context, evidence, collateral),
  );
  const vek = findVek(context, report, certificates);
  const { product } = vek;
  const tcb = context.check("snp.tcb.order", "the report's TCB versions are in order", () =>
    requireOrder(report, product),
  );
  const [, intermediate, root] = chainOf(context, vek, certificates);
  const revocation = checkRevocation(context, vek, intermediate!, root!, collateral);
  note(context, report);
  return claims(report, vek, tcb, revocation);
}

/**
 * The certificate of the report's key. Of several, those go on that pass a check; if none does, the first one's failure is
 * the answer.
 */
function findVek(context: Context, report: SnpReport, { leaves }: Certificates): Vek {
  let veks = context.check("snp.signing-key", "the certificate is of the kind of key that the report names", () => {
    const kind = signingKey(report);
    return narrow(leaves, (each) => readVek(each, kind));
  });
  const keep = (id: string, claim: string, holds: (vek: Vek) => void) => {
    veks = context.check(id, claim, () =>
      narrow(veks, (vek) => {
        holds(vek);
        return vek;
      }),
    );
  };
  keep("snp.product", "report and certificate are of one product", (vek) => requireProduct(vek, report));
  keep("snp.chip-id", "the certificate is of the report's chip, or of its cloud", (vek) =>
    requireChip(vek, report.chipId),
  );
  keep("snp.tcb", "the certificate is for the TCB that the report has", (vek) => requireTcb(vek, report.tcb.reported));
  keep("snp.signature", "the report is signed by the certificate's key", (vek) => requireSignature(vek, report));
  // One key can have several certificates: keys of chips are derived, and certified again.
  return veks.find(({ certificate }) => isCurrent(context, certificate)) ?? veks[0]!;
}

/** Those for which a check passes. @throws the first one's error if there are none */
function narrow<T, U>(list: readonly T[], check: (each: T) => U): U[] {
  const passed: U[] = [];
  let first: unknown;
  for (const each of list) {
    try {
      passed.push(check(each));
    } catch (error) {
      if (!isAnchorError(error)) throw error;
      first ??= error;
    }
  }
  if (passed.length === 0) throw first;
  return passed;
}

function signingKey({ signingKey: key, maskChipKey }: SnpReport): VekKind {
  if (key === 1) return "VLEK";
  demand(key === 0, "SIGNING_KEY_MISMATCH", `the report names ${key === 7 ? "no" : `an unknown (${key})`} signing key`);
  demand(
    !maskChipKey,
    "SIGNING_KEY_MISMATCH",
    "the report says that the chip's key, which it is signed by, is not used",
  );
  return "VCEK";
}

/** Chips of the same generation and under the same keys. */
const GENOA_NAMES = ["Bergamo", "Siena"];

function requireProduct({ certificate, product, productName }: Vek, { cpuid }: SnpReport): void {
  // Steppings are no evidence: chips of Milan-B1 have certificates of Milan-B0.
  const line = productName.split("-", 1)[0]!;
  demand(
    line === product || (product === "Genoa" && GENOA_NAMES.includes(line)),
    "PRODUCT_MISMATCH",
    `${describe(certificate)} is issued for ${product}, and names ${productName}`,
  );
  if (!cpuid) return;
  const has = productOfCpuid(cpuid);
  const { family, model } = cpuid;
  demand(
    has === product,
    "PRODUCT_MISMATCH",
    `${describe(certificate)} is for ${product}, and the report's processor (family 0x${family.toString(16)}, model 0x${model.toString(16)}) is ${has ?? "of no product that is supported"}`,
  );
}

function requireSignature({ certificate }: Vek, { r, s, signed }: SnpReport): void {
  requireKey(certificate, "P-384", "CHAIN_CONSTRAINTS");
  for (const [name, value] of [
    ["r", r],
    ["s", s],
  ] as const) {
    demand(
      value > 0n && value < P384_ORDER,
      "REPORT_SIGNATURE",
      `${name} of the report's signature is ${value === 0n ? "zero" : "not below the order of P-384"}`,
    );
  }
  const signature = Buffer.concat([bigIntToBytes(r, 48), bigIntToBytes(s, 48)]);
  demand(
    verifyEcdsa("sha384", signed, { key: certificate.key, dsaEncoding: "ieee-p1363" }, signature),
    "REPORT_SIGNATURE",
    `the report is not signed by the key of ${describe(certificate)}`,
  );
}

/** Firmware that is not committed yet may be rolled back; what is reported may be held back, never put forward. */
function requireOrder({ tcb }: SnpReport, product: AmdProduct): SnpClaims["tcb"] {
  const decoded = {
    reported: decodeTcb(tcb.reported, product),
    committed: decodeTcb(tcb.committed, product),
    current: decodeTcb(tcb.current, product),
    launch: decodeTcb(tcb.launch, product),
  };
  const { reported, committed, current, launch } = decoded;
  const order = (low: string, a: SnpTcb, high: string, b: SnpTcb) => {
    const found = above(a, b);
    demand(found.length === 0, "TCB_INCONSISTENT", `the ${low} TCB is above the ${high} one: ${found.join(", ")}`);
  };
  order("reported", reported, "committed", committed);
  order("committed", committed, "current", current);
  order("launch", launch, "current", current);
  return decoded;
}

/** Leaf, intermediate and root, as checked. */
function chainOf(context: Context, vek: Vek, { brought, all }: Certificates): Certificate[] {
  const { certificate: leaf, kind, product } = vek;
  const { ark, ask, asvk } = context.roots.amd[product];
  const root = parsePinned(ark);
  const intermediate = context.check(
    "snp.issuer",
    `the ${kind} has an issuer, and the evidence brings no other root`,
    () => {
      for (const each of brought.filter(isSelfIssued)) {
        demand(
          equalBytes(each.der, root.der),
          "CHAIN_UNTRUSTED",
          `the evidence brings ${describe(each)} as a root, which is not AMD's for ${product}`,
        );
      }
      const named = (list: readonly Certificate[]) =>
        list.filter((each) => !isSelfIssued(each) && equalBytes(each.subject.der, leaf.issuer.der));
      const own = named(brought);
      const others = brought.filter((each) => isCa(each) && !isSelfIssued(each));
      demand(
        own.length > 0 || others.length === 0,
        "CHAIN_ISSUER",
        `${describe(leaf)} is issued by ${leaf.issuer.text}, and the evidence brings ${others[0]?.subject.text} instead`,
      );
      const pinned = parsePinned(kind === "VCEK" ? ask : asvk);
      const candidates = own.length > 0 ? own : named([...all, pinned]);
      demand(candidates.length > 0, "CHAIN_INCOMPLETE", `there is no certificate of ${leaf.issuer.text}`);
      demand(
        candidates.length <= MAX_INTERMEDIATES,
        "CHAIN_INCOMPLETE",
        `there are more than ${MAX_INTERMEDIATES} certificates of ${leaf.issuer.text}`,
      );
      if (candidates.length === 1) return candidates[0]!;
      const signers = candidates.filter((each) => isSigned(leaf, each));
      return signers.find((each) => isCurrent(context, each)) ?? signers[0] ?? candidates[0]!;
    },
  );
  const chain = verifyChain(context, [leaf, intermediate], {
    id: "snp",
    what: kind,
    roots: [ark],
    critical: VEK_EXTENSIONS,
  });
  context.check("snp.chain.algorithms", "the chain is signed with RSASSA-PSS, SHA-384 and keys of 4096 bits", () => {
    for (const each of chain) requirePss(each);
    for (const each of chain.slice(1)) requireRsa(each);
  });
  const use = (kind: string, each: Certificate) =>
    context.use(kind, describe(each), each.der, { from: each.notBefore, until: each.notAfter });
  use(kind === "VCEK" ? "amd.vcek" : "amd.vlek", leaf);
  use(kind === "VCEK" ? "amd.ask" : "amd.asvk", intermediate);
  return chain;
}

function requirePss(certificate: Certificate): void {
  const { kind, hash } = certificate.signature.algorithm;
  demand(
    kind === "rsa-pss" && hash === "sha384",
    "CHAIN_CONSTRAINTS",
    `${describe(certificate)} is signed with ${kind} and ${hash} instead of RSASSA-PSS and SHA-384`,
  );
}

function requireRsa(certificate: Certificate): void {
  requireKey(certificate, "RSA", "CHAIN_CONSTRAINTS");
  const { keyBits } = certificate;
  demand(
    keyBits === 4096,
    "CHAIN_CONSTRAINTS",
    `${describe(certificate)} has a key of ${keyBits} bits instead of 4096`,
  );
}

/**
 * Holds the chain against every list of its root, and the leaf against lists of its own issuer, should there be any.
 * Lists of other products' roots are none of its business; one by a stranger is refused.
 */
function checkRevocation(
  context: Context,
  vek: Vek,
  intermediate: Certificate,
  root: Certificate,
  collateral: Collateral,
): SnpClaims["revocation"] {
  const { certificate: leaf, kind, product } = vek;
  const lists = context.check("snp.crls", "every revocation list is by an AMD authority", () => {
    const crls = collateral.amd?.crls ?? [];
    demand(crls.length <= MAX_CRLS, "COLLATERAL_MALFORMED", `more than ${MAX_CRLS} revocation lists`);
    const known = Object.values(context.roots.amd).flatMap(({ ark, ask, asvk }) => [ark, ask, asvk].map(parsePinned));
    return crls.map((der) => {
      const crl = parseCrl(der);
      demand(
        [...known, intermediate].some((each) => equalBytes(each.subject.der, crl.issuer.der)),
        "CRL_ISSUER_MISMATCH",
        `a revocation list is by ${crl.issuer.text}`,
      );
      return crl;
    });
  });
  const by = (issuer: Certificate) => lists.filter((crl) => equalBytes(crl.issuer.der, issuer.subject.der));
  const name = kind === "VCEK" ? "ask" : "asvk";
  const ofRoot = by(root);
  for (const crl of ofRoot) {
    verifyCrl(context, crl, root, { id: "snp.ark", kind: "amd.crl", what: `ARK's revocation list for ${product}` });
    requireUnrevoked(context, crl, root, "snp.ark");
    requireUnrevoked(context, crl, intermediate, `snp.${name}`);
    if (kind === "VLEK") requireUnlisted(context, crl.revoked, leaf);
  }
  for (const crl of by(intermediate)) {
    const id = `snp.${name}`;
    verifyCrl(context, crl, intermediate, { id, kind: "amd.crl", what: `${name.toUpperCase()}'s revocation list` });
    requireUnrevoked(context, crl, leaf, `snp.${kind.toLowerCase()}`);
  }
  if (ofRoot.length > 0) return "good";
  context.unchecked(
    `snp.${name}.revocation`,
    `${describe(intermediate)} is not revoked`,
    `no revocation list of ${describe(root)} is among the collateral`,
  );
  return "unchecked";
}

/** AMD revokes VLEKs on the root's list, though they are issued one step below it. */
function requireUnlisted(context: Context, revoked: ReadonlyMap<string, number>, leaf: Certificate): void {
  context.check("snp.vlek.revocation", "the VLEK is not on the root's list", () => {
    demand(
      !revoked.has(leaf.serial),
      "CERT_REVOKED",
      `${describe(leaf)} (serial ${leaf.serial}) is on the root's revocation list`,
    );
  });
}

interface Certificates {
  /** With the evidence. */
  brought: Certificate[];
  /** These first, then those of the collateral; each once. */
  all: Certificate[];
  /** Those that are no CA's; at least one. */
  leaves: Certificate[];
}

/** @throws CERT_MALFORMED, EVIDENCE_MALFORMED, COLLATERAL_MALFORMED, COLLATERAL_MISSING */
function gather(context: Context, evidence: SnpEvidence, collateral: Collateral): Certificates {
  const given = evidence.certificates ?? [];
  const others = collateral.amd?.certificates ?? [];
  demand(
    given.length <= MAX_EVIDENCE_CERTIFICATES,
    "EVIDENCE_MALFORMED",
    `${given.length} certificates with one report; ${MAX_EVIDENCE_CERTIFICATES} are the most`,
  );
  demand(
    others.length <= MAX_COLLATERAL_CERTIFICATES,
    "COLLATERAL_MALFORMED",
    `${others.length} certificates of AMD; ${MAX_COLLATERAL_CERTIFICATES} are the most`,
  );
  const pinned = Object.values(context.roots.amd).flatMap(({ ark, ask, asvk }) => [ark, ask, asvk]);
  const seen = new Map<string, Certificate>();
  const parse = (der: Uint8Array): Certificate => {
    const key = Buffer.from(der).toString("latin1");
    let certificate = seen.get(key);
    if (!certificate) {
      const known = pinned.find((each) => equalBytes(each, der));
      seen.set(key, (certificate = known ? parsePinned(known) : parseCertificate(der)));
    }
    return certificate;
  };
  const brought = [...new Set(given.map(parse))];
  const all = [...new Set([...brought, ...others.map(parse)])];
  const leaves = all.filter((each) => !isCa(each));
  demand(leaves.length > 0, "COLLATERAL_MISSING", "there is no VCEK or VLEK with the report or in the collateral");
  return { brought, all, leaves };
}

function isCa({ basicConstraints }: Certificate): boolean {
  return basicConstraints?.ca === true;
}

function isSelfIssued({ issuer, subject }: Certificate): boolean {
  return equalBytes(issuer.der, subject.der);
}

function isCurrent({ now }: Context, { notBefore, notAfter }: Certificate): boolean {
  return notBefore <= now && now <= notAfter;
}

function note(context: Context, report: SnpReport): void {
  const bits = (what: string, unknown: readonly number[]) => {
    if (unknown.length > 0) context.note(`bits of the ${what} that this release does not know: ${unknown.join(", ")}`);
  };
  bits("guest's policy", readPolicy(report.policy).unknownBits);
  bits("platform info", readPlatformInfo(report.platformInfo).unknownBits);
  bits("key flags", unknownFlags(report.flags));
  const { reserved } = report;
  if (reserved.length > 0) {
    const offsets = reserved.slice(0, 8).map((offset) => `0x${offset.toString(16)}`);
    context.note(
      `reserved bytes of the report are not zero, at ${offsets.join(", ")}${reserved.length > 8 ? ", …" : ""}: firmware is newer than this release`,
    );
  }
}

function claims(
  report: SnpReport,
  { kind, product, cspId }: Vek,
  tcb: SnpClaims["tcb"],
  revocation: SnpClaims["revocation"],
): SnpClaims {
  const { debug, ...policy } = readPolicy(report.policy);
  const { mitigations } = report;
  return {
    family: "snp",
    debug,
    measurements: {
      measurement: toHex(report.measurement),
      hostData: toHex(report.hostData),
      idKeyDigest: toHex(report.idKeyDigest),
      authorKeyDigest: toHex(report.authorKeyDigest),
    },
    reportData: toHex(report.reportData),
    reportVersion: report.version,
    product,
    ...(report.cpuid ? { cpuid: report.cpuid } : {}),
    signingKey: kind,
    ...(cspId === undefined ? {} : { cspId }),
    revocation,
    vmpl: report.vmpl,
    guestSvn: report.guestSvn,
    familyId: toHex(report.familyId),
    imageId: toHex(report.imageId),
    policy: { raw: u64(report.policy), ...policy },
    platformInfo: { raw: u64(report.platformInfo), ...readPlatformInfo(report.platformInfo) },
    tcb,
    chipId: toHex(report.chipId),
    maskChipKey: report.maskChipKey,
    authorKeyEnabled: report.authorKeyEnabled,
    reportId: toHex(report.reportId),
    reportIdMa: toHex(report.reportIdMa),
    currentVersion: versionText(report.currentVersion),
    committedVersion: versionText(report.committedVersion),
    ...(mitigations ? { mitigations: { launch: u64(mitigations.launch), current: u64(mitigations.current) } } : {}),
  };
}

/** As people write the number: the most significant byte first. */
function u64(value: bigint): Hex {
  return toHex(bigIntToBytes(value, 8));
}

function versionText({ major, minor, build }: FirmwareVersion): string {
  return `${major}.${minor}.${build}`;
}
