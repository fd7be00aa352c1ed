/**
 * Collateral of Intel's quotes as one JSON object: what Phala's dcap-qvl, and Intel's own library in older releases, take.
 *
 * @module
 */
import { AnchorError } from "../../errors.js";
import type { IntelCollateral, SignedJson } from "../collateral.js";
import { isJsonObject, rawMember, readJson } from "../read/json.js";
import { bytesOf, certificatesOf, pemBlocks, textOf } from "../wrapping/encoding.js";

const CODE = "COLLATERAL_MALFORMED";

type Fields = Record<string, unknown>;

/** Field by field, in the spellings of Rust and of JavaScript. */
const NAMES = {
  tcbInfo: ["tcb_info", "tcbInfo"],
  tcbInfoSignature: ["tcb_info_signature", "tcbInfoSignature"],
  tcbInfoChain: ["tcb_info_issuer_chain", "tcbInfoIssuerChain"],
  qeIdentity: ["qe_identity", "qeIdentity"],
  qeIdentitySignature: ["qe_identity_signature", "qeIdentitySignature"],
  qeIdentityChain: ["qe_identity_issuer_chain", "qeIdentityIssuerChain"],
  rootCrl: ["root_ca_crl", "rootCaCrl"],
  pckCrl: ["pck_crl", "pckCrl"],
  pckCrlChain: ["pck_crl_issuer_chain", "pckCrlIssuerChain"],
  pckChain: ["pck_certificate_chain", "pckCertificateChain", "pck_cert_chain"],
} as const;

type Name = keyof typeof NAMES;

export function isQvlCollateral(object: Fields): boolean {
  return (
    field(object, "tcbInfo") !== undefined &&
    field(object, "qeIdentity") !== undefined &&
    field(object, "rootCrl") !== undefined
  );
}

/** @throws COLLATERAL_MALFORMED */
export function qvlCollateral(object: Fields): IntelCollateral {
  const chain = (name: Name) => {
    const certificates = certificatesOf(field(object, name));
    if (certificates.length === 0) throw new AnchorError(CODE, `collateral has no certificates in ${NAMES[name][0]}`);
    return certificates;
  };
  const pckChain = certificatesOf(field(object, "pckChain"));
  return {
    tcbInfo: signedJson(object, "tcbInfo", "tcbInfoSignature", chain("tcbInfoChain")),
    qeIdentity: signedJson(object, "qeIdentity", "qeIdentitySignature", chain("qeIdentityChain")),
    rootCrl: crl(object, "rootCrl"),
    pckCrl: crl(object, "pckCrl"),
    pckCrlChain: chain("pckCrlChain"),
    ...(pckChain.length > 0 ? { pckChain } : {}),
  };
}

function field(object: Fields, name: Name): unknown {
  const found = NAMES[name].find((each) => Object.hasOwn(object, each) && object[each] !== null);
  return found === undefined ? undefined : object[found];
}

/** Texts out of a library in C end in a zero. */
function withoutZeros(value: unknown): unknown {
  if (typeof value !== "string") return value;
  let end = value.length;
  while (value[end - 1] === "\0") end--;
  return value.slice(0, end);
}

/** Lists stand in hex, base64 or PEM, or as the hex of one of these. */
function crl(object: Fields, name: Name): Uint8Array {
  const value = withoutZeros(field(object, name));
  const found = typeof value === "string" ? pemBlocks(value)[0]?.bytes : undefined;
  const bytes = found ?? bytesOf(value);
  if (!bytes) throw new AnchorError(CODE, `collateral has no revocation list in ${NAMES[name][0]}`);
  const text = bytes[0] === 0x30 ? undefined : textOf(bytes);
  return (text === undefined ? undefined : (pemBlocks(text)[0]?.bytes ?? bytesOf(text.trim()))) ?? bytes;
}

function signedJson(
  object: Fields,
  name: "tcbInfo" | "qeIdentity",
  signatureName: Name,
  chain: Uint8Array[],
): SignedJson {
  const value = withoutZeros(field(object, name));
  // A document that came parsed is written again as Intel writes it; if that is not what was signed, its signature says so.
  const text = typeof value === "string" ? value : written(value, NAMES[name][0]);
  const signature = bytesOf(field(object, signatureName));
  if (signature) return { json: text, signature, chain };
  const response = readResponse(text);
  if (!response) throw new AnchorError(CODE, `collateral has no signature for ${NAMES[name][0]}`);
  return { ...response, chain };
}

/** Whoever parsed it may have been less strict about its depth than this reader is, and than a stack is deep. */
function written(value: unknown, name: string): string {
  try {
    return JSON.stringify(value);
  } catch (cause) {
    throw new AnchorError(CODE, `collateral has a ${name} that is nested too deeply`, { cause });
  }
}

/**
 * A response of Intel's service: `{"tcbInfo":{…},"signature":"hex"}`, or with `enclaveIdentity`. What is signed is the
 * document's own bytes. `undefined` for any other text.
 */
export function readResponse(
  text: string,
): { kind: "tcbInfo" | "qeIdentity"; json: string; signature: Uint8Array } | undefined {
  const options = { code: CODE, what: "a response of Intel's service" } as const;
  let root: unknown;
  try {
    root = readJson(text.trim(), options);
  } catch {
    return undefined;
  }
  if (!isJsonObject(root as never)) return undefined;
  const fields = root as Fields;
  const [name, kind] = Object.hasOwn(fields, "tcbInfo")
    ? (["tcbInfo", "tcbInfo"] as const)
    : Object.hasOwn(fields, "enclaveIdentity")
      ? (["enclaveIdentity", "qeIdentity"] as const)
      : [undefined, undefined];
  const signature = bytesOf(fields["signature"]);
  if (name === undefined || signature === undefined) return undefined;
  // A document given as a text is that text.
  const json = typeof fields[name] === "string" ? (fields[name] as string) : rawMember(text.trim(), name, options);
  return { kind, json, signature };
}
