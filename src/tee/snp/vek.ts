/**
 * Certificates of the keys that sign reports (AMD 57230): VCEKs, of one chip, and VLEKs, of one cloud.
 *
 * They differ in their names, in who signs them, and in whether they name a chip. All of it is required: a VLEK that
 * passes for a VCEK would leave a report bound to no chip.
 *
 * @module
 */
import { demand } from "../context.js";
import { equalBytes } from "../read/bytes.js";
import { Der, TAG } from "../read/der.js";
import type { AmdProduct } from "../roots.js";
import { type Certificate, describe } from "../x509.js";
import { chipIdBytes, tcbLayout } from "./tcb.js";

const AMD = "1.3.6.1.4.1.3704.1";
const OID = {
  structVersion: `${AMD}.1`,
  productName: `${AMD}.2`,
  tcb: `${AMD}.3`,
  hwId: `${AMD}.4`,
  cspId: `${AMD}.5`,
};

/** Arcs of all TCB extensions that the specification knows, reserved ones included. */
const TCB_ARCS = [1, 2, 3, 4, 5, 6, 7, 8, 9];

/** Extensions that this module reads, should they be critical; AMD's are not. */
export const VEK_EXTENSIONS: readonly string[] = [
  OID.structVersion,
  OID.productName,
  OID.hwId,
  OID.cspId,
  ...TCB_ARCS.map((arc) => `${OID.tcb}.${arc}`),
];

/** 0 for Milan and Genoa, 1 for Turin. */
const MAX_STRUCT_VERSION = 1;

export type VekKind = "VCEK" | "VLEK";

const PRODUCTS: readonly AmdProduct[] = ["Milan", "Genoa", "Turin"];

export interface Vek {
  kind: VekKind;
  certificate: Certificate;
  /** By the name of its issuer. */
  product: AmdProduct;
  /** Such as `Milan-B0` or `Genoa`. */
  productName: string;
  /** Of the chip, for a VCEK. */
  hwId?: Uint8Array;
  /** Of the cloud, for a VLEK. */
  cspId?: string;
}

/**
 * A certificate as one of this kind, by everything that tells the kinds apart.
 *
 * @throws SIGNING_KEY_MISMATCH, CHIP_ID_MISMATCH for a VCEK that names no chip, CERT_MALFORMED
 */
export function readVek(certificate: Certificate, kind: VekKind): Vek {
  const name = describe(certificate);
  const { issuer, subject } = certificate;
  demand(
    subject.commonName === `SEV-${kind}`,
    "SIGNING_KEY_MISMATCH",
    `the report is signed by a ${kind}, and the certificate is of "${subject.commonName}"`,
  );
  const product = PRODUCTS.find((each) => issuer.commonName === issuerName(each, kind));
  demand(
    product !== undefined,
    "SIGNING_KEY_MISMATCH",
    `${name} is issued by "${issuer.commonName}", which issues no ${kind}`,
  );
  const structVersion = small(certificate, OID.structVersion);
  demand(
    structVersion !== undefined && structVersion <= MAX_STRUCT_VERSION,
    "CERT_MALFORMED",
    `${name} has structure version ${structVersion ?? "none"}; supported are 0 to ${MAX_STRUCT_VERSION}`,
  );
  const productName = text(certificate, OID.productName);
  demand(productName !== undefined, "CERT_MALFORMED", `${name} names no product`);
  const hwId = octets(certificate, OID.hwId, chipIdBytes(product));
  const cspId = text(certificate, OID.cspId);
  if (kind === "VCEK") {
    demand(cspId === undefined, "SIGNING_KEY_MISMATCH", `${name} names a cloud, "${cspId}", which a VCEK does not`);
    demand(hwId !== undefined, "CHIP_ID_MISMATCH", `${name} names no chip, which a VCEK has to`);
    return { kind, certificate, product, productName, hwId };
  }
  demand(hwId === undefined, "SIGNING_KEY_MISMATCH", `${name} names a chip, which a VLEK does not`);
  demand(cspId !== undefined && cspId !== "", "SIGNING_KEY_MISMATCH", `${name} names no cloud, which a VLEK has to`);
  return { kind, certificate, product, productName, cspId };
}

/** The common name of what signs keys of a kind: the ASK or the ASVK. */
function issuerName(product: AmdProduct, kind: VekKind): string {
  return kind === "VCEK" ? `SEV-${product}` : `SEV-VLEK-${product}`;
}

/**
 * Holds a certificate's TCB against the reported one, byte by byte.
 *
 * @throws TCB_EXT_MISMATCH, CERT_MALFORMED
 */
export function requireTcb({ certificate, product }: Vek, reported: Uint8Array): void {
  const name = describe(certificate);
  const layout = tcbLayout(product);
  for (const [i, { arc, component }] of layout.entries()) {
    const value = small(certificate, `${OID.tcb}.${arc}`);
    demand(
      value !== undefined || component === undefined,
      "TCB_EXT_MISMATCH",
      `${name} has no TCB version of ${component}`,
    );
    demand(
      (value ?? 0) === reported[i],
      "TCB_EXT_MISMATCH",
      `${name} is for ${component ?? `the reserved byte ${i} of the TCB`} ${value ?? 0}, and the report has ${reported[i]}`,
    );
  }
  // A component of another product's layout has no byte in the report that it could equal.
  for (const arc of TCB_ARCS.filter((each) => !layout.some((known) => known.arc === each))) {
    const value = small(certificate, `${OID.tcb}.${arc}`) ?? 0;
    demand(value === 0, "TCB_EXT_MISMATCH", `${name} has a TCB component ${arc} of ${value}, which ${product} has not`);
  }
}

function small(certificate: Certificate, oid: string): number | undefined {
  const extension = certificate.extensions.get(oid);
  if (!extension) return undefined;
  const value = Der.parse(extension.value, "CERT_MALFORMED").expect(TAG.integer, oid).small(oid);
  demand(value <= 255, "CERT_MALFORMED", `${describe(certificate)} has ${value} in a byte, extension ${oid}`);
  return value;
}

function text(certificate: Certificate, oid: string): string | undefined {
  const extension = certificate.extensions.get(oid);
  return extension && Der.parse(extension.value, "CERT_MALFORMED").expect(TAG.ia5String, oid).text(oid);
}

/** AMD puts the bare bytes into the extension, without a tag; with one they would be an OCTET STRING. */
function octets(certificate: Certificate, oid: string, length: number): Uint8Array | undefined {
  const extension = certificate.extensions.get(oid);
  if (!extension || extension.value.length === length) return extension?.value;
  const value = Der.parse(extension.value, "CERT_MALFORMED").octets(oid);
  demand(
    value.length === length,
    "CERT_MALFORMED",
    `${describe(certificate)} names a chip by ${value.length} bytes instead of ${length}`,
  );
  return value;
}

/** @throws CHIP_ID_MISMATCH */
export function requireChip({ certificate, hwId }: Vek, chipId: Uint8Array): void {
  // A VLEK is of a cloud: firmware may leave the chip out of the report, and nothing binds it where it does not.
  if (!hwId) return;
  const name = describe(certificate);
  demand(
    chipId.some((byte) => byte !== 0),
    "CHIP_ID_MISMATCH",
    `the report hides its chip id, so that it is not shown to be of the chip that ${name} names`,
  );
  const padded = new Uint8Array(chipId.length);
  padded.set(hwId);
  demand(
    equalBytes(padded, chipId),
    "CHIP_ID_MISMATCH",
    `${name} is of chip ${short(hwId)}, and the report of ${short(chipId)}`,
  );
}

function short(bytes: Uint8Array): string {
  return `${Buffer.from(bytes.subarray(0, 8)).toString("hex")}…`;
}
