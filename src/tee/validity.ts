/**
 * For how long collateral holds, and which part of it a verification has used.
 *
 * Windows are read without checking a signature: they tell when to fetch again, and what an archive is good for. What a
 * verification answers about time (`validFrom`, `validUntil`) rests on checked ones.
 *
 * @module
 */
import { AnchorError, toAnchorError } from "../errors.js";
import { keccak, toHex, utf8 } from "../field/bytes.js";
import type { Collateral, IntelCollateral } from "./collateral.js";
import { END_OF_TIME, type Used } from "./context.js";
import { parseOcspResponse } from "./nvidia/ocsp.js";
import { outlineRim } from "./nvidia/rim.js";
import { isJsonObject, readJsonObject } from "./read/json.js";
import { parseCertificate, parseCrl } from "./x509.js";

export interface ValidityItem {
  /** As verification names it: `intel.tcb-info`, `amd.crl`. */
  kind: string;
  /** For people: which one. */
  what: string;
  /** Unix seconds. */
  issued?: number;
  validFrom: number;
  validUntil: number;
}

export interface Validity {
  items: ValidityItem[];
  /** All of it is valid from here … */
  validFrom: number;
  /** … until here. Before `validFrom` where no moment is in all windows: pieces of different times lie in one file. */
  validUntil: number;
}

/**
 * The windows of everything in a bundle, unauthenticated.
 *
 * @throws COLLATERAL_MALFORMED, naming the piece that cannot be read
 */
export function validity(collateral: Collateral): Validity {
  const items: ValidityItem[] = [];
  const read = (kind: string, what: string, run: () => Partial<ValidityItem>) => {
    try {
      items.push({ kind, what, validFrom: 0, validUntil: END_OF_TIME, ...run() });
    } catch (error) {
      const { message } = toAnchorError(error, "COLLATERAL_MALFORMED", "cannot be read");
      throw new AnchorError("COLLATERAL_MALFORMED", `${kind}: ${message}`, { cause: error });
    }
  };
  const certificate = (kind: string, der: Uint8Array) =>
    read(kind, "", () => {
      const { subject, notBefore, notAfter } = parseCertificate(der);
      return { what: subject.commonName || subject.text, validFrom: notBefore, validUntil: notAfter };
    });
  const crl = (kind: string, der: Uint8Array) =>
    read(kind, "", () => {
      const { issuer, thisUpdate, nextUpdate } = parseCrl(der);
      const what = `by ${issuer.commonName || issuer.text}`;
      return { what, issued: thisUpdate, validFrom: thisUpdate, validUntil: nextUpdate };
    });
  for (const entry of collateral.intel ?? []) {
    read("intel.tcb-info", "", () => intelWindow(entry.tcbInfo.json));
    read("intel.qe-identity", "", () => intelWindow(entry.qeIdentity.json));
    const signers = new Map([entry.tcbInfo, entry.qeIdentity].map(({ chain }) => [hexKey(chain[0]), chain[0]]));
    for (const signer of signers.values()) if (signer) certificate("intel.tcb-signer", signer);
    crl("intel.root-crl", entry.rootCrl);
    crl("intel.pck-crl", entry.pckCrl);
    if (entry.pckChain?.[0]) certificate("intel.pck-certificate", entry.pckChain[0]);
  }
  for (const der of collateral.amd?.certificates ?? []) certificate("amd.certificate", der);
  for (const der of collateral.amd?.crls ?? []) crl("amd.crl", der);
  for (const der of collateral.nitro?.crls ?? []) crl("nitro.crl", der);
  for (const xml of collateral.nvidia?.rims ?? []) {
    read("nvidia.rim", "", () => {
      const { product, part, version, validFrom, validUntil } = outlineRim(xml);
      return { what: `${product} ${part} ${version}`, validFrom, validUntil };
    });
  }
  for (const der of collateral.nvidia?.ocsp ?? []) {
    read("nvidia.ocsp", "", () => {
      const { singles } = parseOcspResponse(der);
      const [first] = singles;
      if (!first) throw new AnchorError("COLLATERAL_MALFORMED", "an OCSP answer says nothing");
      const from = Math.max(...singles.map(({ thisUpdate }) => thisUpdate));
      const until = Math.min(...singles.map(({ nextUpdate }) => nextUpdate));
      return { what: `${first.status}, serial ${first.serial}`, issued: from, validFrom: from, validUntil: until };
    });
  }
  for (const der of collateral.nvidia?.crls ?? []) crl("nvidia.crl", der);
  for (const text of collateral.nras?.jwks ?? []) read("nvidia.nras-jwks", "", () => jwksWindow(text));
  const validFrom = Math.max(0, ...items.map((item) => item.validFrom));
  const validUntil = Math.min(END_OF_TIME, ...items.map((item) => item.validUntil));
  return { items, validFrom, validUntil };
}

function hexKey(der: Uint8Array | undefined): string {
  return der ? toHex(keccak(der)) : "";
}

function intelWindow(json: string): Partial<ValidityItem> {
  const fields = readJsonObject(json, { code: "COLLATERAL_MALFORMED", what: "a document of Intel's" });
  const at = (name: string): number => {
    const text = fields[name];
    const milliseconds = typeof text === "string" ? Date.parse(text) : Number.NaN;
    if (Number.isNaN(milliseconds)) throw new AnchorError("COLLATERAL_MALFORMED", `${name} is no time`);
    return Math.floor(milliseconds / 1000);
  };
  const { id, fmspc, tcbEvaluationDataNumber: number } = fields;
  const names = [
    id ?? "",
    fmspc === undefined ? "" : `FMSPC ${fmspc}`,
    number === undefined ? "" : `data number ${number}`,
  ];
  const what = names.filter((name) => name !== "").join(", ");
  return { what, issued: at("issueDate"), validFrom: at("issueDate"), validUntil: at("nextUpdate") };
}

/** From the first key on until the last: a token is checked with one of them. */
function jwksWindow(text: string): Partial<ValidityItem> {
  const set = readJsonObject(text, { code: "COLLATERAL_MALFORMED", what: "a key set" });
  const keys = Array.isArray(set["keys"]) ? set["keys"].filter(isJsonObject) : [];
  const windows = keys.flatMap(({ x5c }) => {
    const leaf = Array.isArray(x5c) ? x5c[0] : undefined;
    return typeof leaf === "string" ? [parseCertificate(new Uint8Array(Buffer.from(leaf, "base64")))] : [];
  });
  if (windows.length === 0) return { what: `${keys.length} keys without certificates` };
  return {
    what: `${keys.length} keys`,
    validFrom: Math.min(...windows.map(({ notBefore }) => notBefore)),
    validUntil: Math.max(...windows.map(({ notAfter }) => notAfter)),
  };
}

/**
 * The part of a bundle that a verification has used, to be archived with the evidence: with it, the same verification as
 * of the same time gives the same answer.
 *
 * @param used `collateral` of a verification, or of a composite's
 */
export function selectUsed(collateral: Collateral, used: readonly Used[]): Collateral {
  const digests = new Set(used.map(({ kind, digest }) => `${kind.split(".")[0]} ${digest}`));
  const bytes = (family: string) => (der: Uint8Array) => digests.has(`${family} ${toHex(keccak(der))}`);
  const text = (family: string) => (value: string) => bytes(family)(utf8(value));
  // Chains go with what they sign; what only travelled along is left out.
  const intel = (collateral.intel ?? []).filter(
    ({ tcbInfo, qeIdentity, rootCrl, pckCrl }: IntelCollateral) =>
      [tcbInfo.json, qeIdentity.json].every(text("intel")) && [rootCrl, pckCrl].every(bytes("intel")),
  );
  const amd = {
    certificates: (collateral.amd?.certificates ?? []).filter(bytes("amd")),
    crls: (collateral.amd?.crls ?? []).filter(bytes("amd")),
  };
  const nitro = { crls: (collateral.nitro?.crls ?? []).filter(bytes("nitro")) };
  const nvidia = {
    rims: (collateral.nvidia?.rims ?? []).filter(text("nvidia")),
    ocsp: (collateral.nvidia?.ocsp ?? []).filter(bytes("nvidia")),
    crls: (collateral.nvidia?.crls ?? []).filter(bytes("nvidia")),
  };
  const nras = { jwks: (collateral.nras?.jwks ?? []).filter(text("nvidia")) };
  // Keys have no window, and are not recorded as used: which of them counts is for the roots to say.
  const cca = { keys: collateral.cca?.keys ?? [] };
  const some = (...lists: readonly (readonly unknown[])[]) => lists.some((list) => list.length > 0);
  return {
    ...(some(intel) && { intel }),
    ...(some(amd.certificates, amd.crls) && { amd }),
    ...(some(nitro.crls) && { nitro }),
    ...(some(nvidia.rims, nvidia.ocsp, nvidia.crls) && { nvidia }),
    ...(some(nras.jwks) && { nras }),
    ...(some(cca.keys) && { cca }),
  };
}
