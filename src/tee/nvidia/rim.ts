/**
 * Reference integrity manifests: what NVIDIA says that firmware and driver of one version measure to. XML with an enveloped
 * signature.
 *
 * The signature is checked by xml-crypto; its pitfalls are taken out of its way first (`xml.ts`, and one fixed shape of
 * signature), and values are read from nothing but the bytes that it says are signed. Its key is that of a certificate which
 * chains to the pinned root, never one that the document brings.
 *
 * @module
 */
import { createHash, type KeyObject, verify } from "node:crypto";
import { C14nCanonicalization, type HashAlgorithm, type SignatureAlgorithm, SignedXml } from "xml-crypto";
import { AnchorError } from "../../errors.js";
import { type Hex, utf8 } from "../../field/bytes.js";
import { type Context, demand } from "../context.js";
import { type Certificate, parseCertificate, verifyChain } from "../x509.js";
import { childrenOf, descendants, parseXml, type XmlElement } from "./xml.js";

/** What a manifest says before anybody has checked its signature: enough to choose one. */
export interface RimOutline {
  /** As it came. */
  xml: string;
  device: "GPU" | "NVSwitch";
  /** `GH100`. */
  product: string;
  part: "driver" | "vbios";
  version: string;
  /** Leaf first. */
  certificates: readonly Certificate[];
  /** When its certificates are valid together. */
  validFrom: number;
  validUntil: number;
}

export interface Rim {
  device: RimOutline["device"];
  product: string;
  part: RimOutline["part"];
  version: string;
  /** Allowed values by index, of those that are active. Index i is the report's measurement i + 1. */
  golden: ReadonlyMap<number, readonly Hex[]>;
  /** As checked, root included. */
  chain: readonly Certificate[];
}

const SWID = "http://standards.iso.org/iso/19770/-2/2015/schema.xsd";
const SHA384 = "http://www.w3.org/2001/04/xmlenc#sha384";
const DSIG = "http://www.w3.org/2000/09/xmldsig#";
const C14N_11 = "http://www.w3.org/2006/12/xml-c14n11";
const ENVELOPED = `${DSIG}enveloped-signature`;
const ECDSA_SHA384 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384";
const DIGEST_SHA384 = "http://www.w3.org/2001/04/xmldsig-more#sha384";

const WHAT = "a reference manifest";
const HASH_BYTES = 48;
const MAX_INDEX = 254;
/** Real manifests have up to four values for one measurement. */
const MAX_ALTERNATIVES = 64;
const MAX_CERTIFICATES = 10;

/**
 * Reads a manifest without believing it.
 *
 * @throws COLLATERAL_MALFORMED, RIM_SIGNATURE for a signature of another shape than NVIDIA's, CERT_MALFORMED
 */
export function outlineRim(xml: string): RimOutline {
  const root = parseXml(xml, WHAT);
  const certificates = readSignature(root).certificates;
  return {
    xml,
    ...readMeta(root),
    certificates,
    validFrom: Math.max(...certificates.map(({ notBefore }) => notBefore)),
    validUntil: Math.min(...certificates.map(({ notAfter }) => notAfter)),
  };
}

/**
 * Checks a manifest's signature, its certificates at the time of the verification, and reads what is signed.
 *
 * @throws RIM_SIGNATURE, COLLATERAL_MALFORMED, and errors of {@link verifyChain}
 */
export function verifyRim(context: Context, outline: RimOutline, id = "nvidia.rim"): Rim {
  const chain = verifyChain(context, outline.certificates, {
    id,
    what: "signer of a reference manifest",
    roots: context.roots.nvidiaRim,
    keys: "P-384",
  });
  const rim = context.check(
    `${id}.signature`,
    `the reference manifest ${outline.product} ${outline.version} is signed as a whole`,
    () => ({ ...signedContent(context, outline.xml, chain[0]!), chain }),
  );
  const from = Math.max(...chain.map(({ notBefore }) => notBefore));
  const until = Math.min(...chain.map(({ notAfter }) => notAfter));
  context.use("nvidia.rim", "a reference manifest", utf8(outline.xml), { from, until });
  return rim;
}

/** What the signature is over. Devices of one machine share their manifests: each is checked once. */
function signedContent({ shared }: Context, xml: string, signer: Certificate): Omit<Rim, "chain"> {
  return shared.once(xml, `signed by ${Buffer.from(signer.spki).toString("hex")}`, () => {
    const root = parseXml(checkSignature(xml, signer.key), "what is signed of a reference manifest");
    return { ...readMeta(root), golden: readGolden(root) };
  });
}

/** The canonical document without its signature: the bytes that were signed. */
function checkSignature(xml: string, key: KeyObject): string {
  const { source } = readSignature(parseXml(xml, WHAT));
  const signed = new SignedXml({ publicCert: key, getCertFromKeyInfo: () => null });
  signed.CanonicalizationAlgorithms = {
    [C14N_11]: Canonical11,
    [ENVELOPED]: signed.CanonicalizationAlgorithms[ENVELOPED]!,
  };
  signed.HashAlgorithms = { [DIGEST_SHA384]: Sha384 };
  signed.SignatureAlgorithms = { [ECDSA_SHA384]: EcdsaSha384 };
  let valid = false;
  try {
    signed.loadSignature(xml.slice(source.start, source.end));
    valid = signed.checkSignature(xml);
  } catch (cause) {
    throw new AnchorError("RIM_SIGNATURE", "a reference manifest is not signed by its certificate", { cause });
  }
  const references = signed.getSignedReferences();
  demand(
    valid && references.length === 1,
    "RIM_SIGNATURE",
    "a reference manifest is not what its signature was made over",
  );
  return references[0]!;
}

/**
 * The one shape of signature that NVIDIA makes: one, last in the root element, over the whole document without itself.
 * Identifiers play no part in it, so nothing can be moved to where they point.
 */
function readSignature(root: XmlElement): { source: XmlElement; certificates: Certificate[] } {
  const refuse = (reason: string): never => {
    throw new AnchorError("RIM_SIGNATURE", `a reference manifest ${reason}`);
  };
  const only = (parent: XmlElement, ...locals: string[]): XmlElement[] => {
    const { children } = parent;
    const fits = children.length === locals.length && children.every(({ uri }) => uri === DSIG);
    if (!fits || children.some(({ local }, i) => local !== locals[i])) {
      refuse(`has a ${parent.local} that is not made of ${locals.join(", ")}`);
    }
    return [...children];
  };
  const algorithm = (element: XmlElement, expected: string): void => {
    const has = element.attributes.get("Algorithm");
    if (has !== expected) refuse(`has a ${element.local} ${has} instead of ${expected}`);
    if (element.attributes.size > 1 || element.children.length > 0) refuse(`has a ${element.local} with parameters`);
  };
  const signatures = descendants(root).filter(({ local }) => local === "Signature");
  const source = root.children[root.children.length - 1];
  if (signatures.length !== 1 || signatures[0] !== source || source?.uri !== DSIG) {
    return refuse("does not have exactly one signature, as its last element");
  }
  const [info, value, keyInfo] = only(source, "SignedInfo", "SignatureValue", "KeyInfo");
  const [canonicalization, method, reference] = only(info!, "CanonicalizationMethod", "SignatureMethod", "Reference");
  algorithm(canonicalization!, C14N_11);
  algorithm(method!, ECDSA_SHA384);
  const uri = reference!.attributes.get("URI");
  if (uri !== "" || reference!.attributes.size > 1) refuse("has a signature over a part of it");
  const [transforms, digestMethod, digest] = only(reference!, "Transforms", "DigestMethod", "DigestValue");
  const [enveloped, canonical] = only(transforms!, "Transform", "Transform");
  algorithm(enveloped!, ENVELOPED);
  algorithm(canonical!, C14N_11);
  algorithm(digestMethod!, DIGEST_SHA384);
  decode(digest!, HASH_BYTES);
  decode(value!, 96);
  const [data] = only(keyInfo!, "X509Data");
  const certificates = data!.children;
  const named = certificates.every(({ uri, local }) => uri === DSIG && local === "X509Certificate");
  if (!named || certificates.length === 0 || certificates.length > MAX_CERTIFICATES) {
    refuse("does not bring its certificates");
  }
  return { source, certificates: certificates.map((each) => parseCertificate(decode(each))) };
}

/** Base64 with line breaks. */
function decode(element: XmlElement, length?: number): Uint8Array {
  const base64 = element.text.replace(/[ \t\n]+/g, "");
  const bytes = new Uint8Array(Buffer.from(base64, "base64"));
  const canonical = Buffer.from(bytes).toString("base64") === base64 && element.children.length === 0;
  demand(
    canonical && (length === undefined || bytes.length === length),
    "RIM_SIGNATURE",
    `a reference manifest has a ${element.local} that is not ${length === undefined ? "" : `${length} bytes in `}base64`,
  );
  return bytes;
}

function readMeta(root: XmlElement): Pick<Rim, "device" | "product" | "part" | "version"> {
  demand(root.uri === SWID && root.local === "SoftwareIdentity", "COLLATERAL_MALFORMED", `${WHAT} is no SWID tag`);
  const [meta, ...more] = childrenOf(root, SWID, "Meta");
  demand(meta !== undefined && more.length === 0, "COLLATERAL_MALFORMED", `${WHAT} does not have exactly one Meta`);
  const version = required(meta, "colloquialVersion");
  const product = required(meta, "product");
  const edition = required(meta, "edition");
  const device = edition === "GPU" ? "GPU" : edition === "SWITCH" ? "NVSwitch" : undefined;
  demand(device !== undefined, "COLLATERAL_MALFORMED", `${WHAT} is of edition ${edition}, which is not known`);
  // Nothing in it says whether it is a driver's or a VBIOS's but the shape of its version: 96.00.5E.00.01.
  const part = /^[0-9A-F]{2}(?:\.[0-9A-F]{2}){4}$/i.test(version) ? "vbios" : "driver";
  return { device, product, part, version };
}

function readGolden(root: XmlElement): Map<number, Hex[]> {
  const [payload, ...more] = childrenOf(root, SWID, "Payload");
  demand(
    payload !== undefined && more.length === 0,
    "COLLATERAL_MALFORMED",
    `${WHAT} does not have exactly one Payload`,
  );
  const golden = new Map<number, Hex[]>();
  const seen = new Set<number>();
  for (const resource of payload.children) {
    const isMeasurement = resource.uri === SWID && resource.local === "Resource";
    demand(
      isMeasurement && resource.attributes.get("type") === "Measurement",
      "COLLATERAL_MALFORMED",
      `${WHAT} has a payload of something else than measurements`,
    );
    const index = count(resource, "index", 0, MAX_INDEX);
    demand(!seen.has(index), "COLLATERAL_MALFORMED", `${WHAT} has measurement ${index} twice`);
    seen.add(index);
    const active = required(resource, "active");
    demand(
      active === "True" || active === "False",
      "COLLATERAL_MALFORMED",
      `${WHAT} has a measurement that is ${active}`,
    );
    if (active === "True") golden.set(index, readAlternatives(resource, index));
  }
  demand(golden.size > 0, "COLLATERAL_MALFORMED", `${WHAT} has no active measurement`);
  return golden;
}

function readAlternatives(resource: XmlElement, index: number): Hex[] {
  const size = count(resource, "size", 0, 1024);
  demand(size === HASH_BYTES, "COLLATERAL_MALFORMED", `${WHAT} has a measurement ${index} of ${size} bytes`);
  return Array.from({ length: count(resource, "alternatives", 1, MAX_ALTERNATIVES) }, (_, i) => {
    const hash = required(resource, `{${SHA384}}Hash${i}`).toLowerCase();
    demand(
      /^[0-9a-f]{96}$/.test(hash),
      "COLLATERAL_MALFORMED",
      `${WHAT} has a measurement ${index} whose value ${i} is no SHA-384`,
    );
    return `0x${hash}` as const;
  });
}

function required(element: XmlElement, name: string): string {
  const value = element.attributes.get(name);
  demand(
    value !== undefined && value !== "",
    "COLLATERAL_MALFORMED",
    `${WHAT} has a ${element.local} without ${name.replace(/^\{.*\}/, "")}`,
  );
  return value;
}

function count(element: XmlElement, name: string, least: number, most: number): number {
  const text = required(element, name);
  const value = /^(?:0|[1-9]\d{0,3})$/.test(text) ? Number(text) : -1;
  demand(
    value >= least && value <= most,
    "COLLATERAL_MALFORMED",
    `${WHAT} has a ${name} of ${text} instead of a number from ${least} to ${most}`,
  );
  return value;
}

/** Differs from 1.0 only in what `xml:` attributes of ancestors do, and there are none: `xml.ts` refuses them. */
class Canonical11 extends C14nCanonicalization {
  override getAlgorithmName(): string {
    return C14N_11;
  }
}

class Sha384 implements HashAlgorithm {
  getHash = (xml: string): string => createHash("sha384").update(xml, "utf8").digest("base64");
  getAlgorithmName = (): string => DIGEST_SHA384;
}

/** r‖s, as XML signatures have it. */
class EcdsaSha384 implements SignatureAlgorithm {
  verifySignature = (material: string, key: unknown, signature: string): boolean =>
    verify(
      "sha384",
      Buffer.from(material, "utf8"),
      { key: key as KeyObject, dsaEncoding: "ieee-p1363" },
      Buffer.from(signature, "base64"),
    );
  getSignature = (): string => {
    throw new Error("manifests are checked here, not made");
  };
  getAlgorithmName = (): string => ECDSA_SHA384;
}
