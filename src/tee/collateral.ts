/**
 * Collateral: what vendors publish about their hardware, all of it signed by them, in one file.
 *
 * A bundle is kept with the evidence, so that an old verdict can be checked again as of its time. Nothing in it is believed
 * for being there: every piece is authenticated when it is used, and roots are pinned, not bundled.
 *
 * @module
 */
import { AnchorError } from "../errors.js";
import { readObject } from "../protocol/eip712.js";
import { base64, fromBase64 } from "./read/base64.js";

/** A JSON document of Intel's provisioning service, as the bytes that are signed. */
export interface SignedJson {
  /** The document itself, exactly as signed: `{"id":"TDX",…}`, without the wrapper that a response has around it. */
  json: string;
  /** r‖s, 64 bytes. */
  signature: Uint8Array;
  /** DER, signer first. */
  chain: readonly Uint8Array[];
}

export interface IntelCollateral {
  tcbInfo: SignedJson;
  qeIdentity: SignedJson;
  /** By the SGX Root CA. DER. */
  rootCrl: Uint8Array;
  /** By the PCK certificate's issuer. DER. */
  pckCrl: Uint8Array;
  /** DER, the list's issuer first. Not needed where the quote brings the issuer. */
  pckCrlChain: readonly Uint8Array[];
  /** For quotes that do not bring it: DER, PCK certificate first. */
  pckChain?: readonly Uint8Array[];
}

export interface Collateral {
  /** One entry for each kind of platform. */
  intel?: readonly IntelCollateral[];
  /** VCEKs, VLEKs and what signs them where evidence brings none; revocation lists of the ARKs. DER. */
  amd?: { certificates: readonly Uint8Array[]; crls: readonly Uint8Array[] };
  /** Revocation lists of the document's CAs. DER. */
  nitro?: { crls: readonly Uint8Array[] };
  /** Reference manifests (XML as signed), OCSP answers and revocation lists (DER). */
  nvidia?: { rims: readonly string[]; ocsp: readonly Uint8Array[]; crls: readonly Uint8Array[] };
  /** Key sets of NVIDIA's attestation service, JSON text: its keys live for two days. */
  nras?: { jwks: readonly string[] };
  /** Keys that platform tokens are signed with, as JWK or PEM text, for those whose root option names their digest. */
  cca?: { keys: readonly string[] };
}

export const COLLATERAL_FORMAT = "anchorproof/tee-collateral@1";

const CODE = "COLLATERAL_MALFORMED";

/** Most pieces of one kind: several machines' in one file, and still nothing that takes long to look at. */
const MAX_LIST = 1024;

type Fields = Record<string, unknown>;

/** DER is base64; what is signed as text stays exactly that text. */
export function collateralToJson(collateral: Collateral): Fields {
  const { intel, amd, nitro, nvidia, nras, cca } = collateral;
  const all = (list: readonly Uint8Array[]) => list.map(base64);
  const signed = ({ json, signature, chain }: SignedJson) => ({
    json,
    signature: base64(signature),
    chain: all(chain),
  });
  return {
    format: COLLATERAL_FORMAT,
    ...(intel && {
      intel: intel.map(({ tcbInfo, qeIdentity, rootCrl, pckCrl, pckCrlChain, pckChain }) => ({
        tcbInfo: signed(tcbInfo),
        qeIdentity: signed(qeIdentity),
        rootCrl: base64(rootCrl),
        pckCrl: base64(pckCrl),
        pckCrlChain: all(pckCrlChain),
        ...(pckChain && { pckChain: all(pckChain) }),
      })),
    }),
    ...(amd && { amd: { certificates: all(amd.certificates), crls: all(amd.crls) } }),
    ...(nitro && { nitro: { crls: all(nitro.crls) } }),
    ...(nvidia && { nvidia: { rims: [...nvidia.rims], ocsp: all(nvidia.ocsp), crls: all(nvidia.crls) } }),
    ...(nras && { nras: { jwks: [...nras.jwks] } }),
    ...(cca && { cca: { keys: [...cca.keys] } }),
  };
}

/** @throws COLLATERAL_MALFORMED, FORMAT_UNSUPPORTED */
export function collateralFromJson(json: unknown): Collateral {
  if (typeof json !== "object" || json === null || (json as Fields)["format"] !== COLLATERAL_FORMAT) {
    throw new AnchorError("FORMAT_UNSUPPORTED", `this is not collateral of format ${COLLATERAL_FORMAT}`);
  }
  const families = ["intel", "amd", "nitro", "nvidia", "nras", "cca"];
  const root = readObject(json, ["format"], CODE, "collateral", families);
  /** A family's lists, all of which have to be there. */
  const family = <T>(name: string, lists: Record<string, "bytes" | "text">): T | undefined => {
    if (root[name] === undefined) return undefined;
    const path = `collateral.${name}`;
    const fields = readObject(root[name], Object.keys(lists), CODE, path);
    const read = (list: string, kind: "bytes" | "text") =>
      (kind === "bytes" ? bytesList : textList)(fields[list], `${path}.${list}`);
    return Object.fromEntries(Object.entries(lists).map(([list, kind]) => [list, read(list, kind)])) as T;
  };
  const intel = root["intel"] === undefined ? undefined : list(root["intel"], "collateral.intel").map(readIntel);
  const amd = family<Collateral["amd"]>("amd", { certificates: "bytes", crls: "bytes" });
  const nitro = family<Collateral["nitro"]>("nitro", { crls: "bytes" });
  const nvidia = family<Collateral["nvidia"]>("nvidia", { rims: "text", ocsp: "bytes", crls: "bytes" });
  const nras = family<Collateral["nras"]>("nras", { jwks: "text" });
  const cca = family<Collateral["cca"]>("cca", { keys: "text" });
  return {
    ...(intel && { intel }),
    ...(amd && { amd }),
    ...(nitro && { nitro }),
    ...(nvidia && { nvidia }),
    ...(nras && { nras }),
    ...(cca && { cca }),
  };
}

function readIntel(json: unknown, i: number): IntelCollateral {
  const path = `collateral.intel[${i}]`;
  const names = ["tcbInfo", "qeIdentity", "rootCrl", "pckCrl", "pckCrlChain"];
  const fields = readObject(json, names, CODE, path, ["pckChain"]);
  const signed = (name: string): SignedJson => {
    const at = `${path}.${name}`;
    const { json: text, signature, chain } = readObject(fields[name], ["json", "signature", "chain"], CODE, at);
    if (typeof text !== "string") throw new AnchorError(CODE, `${at}.json must be a text`);
    const bytes = fromBase64(signature, CODE, `${at}.signature`);
    return { json: text, signature: bytes, chain: bytesList(chain, `${at}.chain`) };
  };
  return {
    tcbInfo: signed("tcbInfo"),
    qeIdentity: signed("qeIdentity"),
    rootCrl: fromBase64(fields["rootCrl"], CODE, `${path}.rootCrl`),
    pckCrl: fromBase64(fields["pckCrl"], CODE, `${path}.pckCrl`),
    pckCrlChain: bytesList(fields["pckCrlChain"], `${path}.pckCrlChain`),
    ...(fields["pckChain"] === undefined ? {} : { pckChain: bytesList(fields["pckChain"], `${path}.pckChain`) }),
  };
}

function list(value: unknown, path: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new AnchorError(CODE, `${path} must be a list`);
  if (value.length > MAX_LIST) throw new AnchorError(CODE, `${path} has more than ${MAX_LIST} entries`);
  return value;
}

function bytesList(value: unknown, path: string): Uint8Array[] {
  return list(value, path).map((item, i) => fromBase64(item, CODE, `${path}[${i}]`));
}

function textList(value: unknown, path: string): string[] {
  return list(value, path).map((item, i) => {
    if (typeof item !== "string") throw new AnchorError(CODE, `${path}[${i}] must be a text`);
    return item;
  });
}

/** Everything in all of them, each piece once, in the order given. */
export function mergeCollateral(...all: readonly Collateral[]): Collateral {
  const gather = <F extends keyof Collateral, T>(
    family: F,
    pick: (of: NonNullable<Collateral[F]>) => readonly T[],
  ): T[] => {
    const seen = new Set<string>();
    const pieces = all.flatMap((each) => (each[family] ? pick(each[family]) : []));
    return pieces.filter((piece) => {
      const key = keyOf(piece);
      return seen.has(key) ? false : seen.add(key);
    });
  };
  const has = (family: keyof Collateral) => all.some((each) => each[family] !== undefined);
  return {
    ...(has("intel") && { intel: gather("intel", (of) => of) }),
    ...(has("amd") && {
      amd: { certificates: gather("amd", (of) => of.certificates), crls: gather("amd", (of) => of.crls) },
    }),
    ...(has("nitro") && { nitro: { crls: gather("nitro", (of) => of.crls) } }),
    ...(has("nvidia") && {
      nvidia: {
        rims: gather("nvidia", (of) => of.rims),
        ocsp: gather("nvidia", (of) => of.ocsp),
        crls: gather("nvidia", (of) => of.crls),
      },
    }),
    ...(has("nras") && { nras: { jwks: gather("nras", (of) => of.jwks) } }),
    ...(has("cca") && { cca: { keys: gather("cca", (of) => of.keys) } }),
  };
}

function keyOf(piece: unknown): string {
  if (typeof piece === "string") return piece;
  if (piece instanceof Uint8Array) return base64(piece);
  return JSON.stringify(piece, (_, item) => (item instanceof Uint8Array ? base64(item) : item));
}
