/**
 * Reference manifests as NVIDIA signs them: a SWID tag with an enveloped XML signature.
 *
 * Canonical XML is written here directly and not by the library that verification uses: that the two agree says something.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { utf8 } from "../../field/bytes.js";
import { type Bytes, toBytes } from "./bytes.js";
import { type LabKey, signBytes } from "./certificates.js";

export interface RimOptions {
  /** `GH100` */
  product: string;
  /** `GPU` or `SWITCH` */
  edition: string;
  version: string;
  /** By index, which is one less than that of the report's block. Values of 48 bytes, any of which will do. */
  golden: Readonly<Record<number, readonly Bytes[]>>;
  /** Indices that are there and not active, with zeros. */
  inactive?: readonly number[];
  key: LabKey;
  /** Leaf first, DER, for KeyInfo. */
  chain: readonly Uint8Array[];
  /** Attributes of the Meta element to change; `undefined` takes one out. */
  meta?: Record<string, string | undefined>;
  /** Elements of its own, behind the payload and signed. */
  extra?: readonly Element[];
  /** Has the last word on what is delivered, after it was signed. */
  delivered?: (xml: string) => string;
  /** Algorithms by the element that names them, in order of their places. */
  algorithms?: Partial<typeof ALGORITHMS>;
  /** Of the reference; empty for the whole document. */
  uri?: string;
}

export interface Element {
  name: string;
  attributes?: Readonly<Record<string, string | undefined>>;
  children?: readonly Element[];
  text?: string;
}

const SWID = "http://standards.iso.org/iso/19770/-2/2015/schema.xsd";
const DSIG = "http://www.w3.org/2000/09/xmldsig#";
const ALGORITHMS = {
  CanonicalizationMethod: "http://www.w3.org/2006/12/xml-c14n11",
  SignatureMethod: "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
  enveloped: `${DSIG}enveloped-signature`,
  Transform: "http://www.w3.org/2006/12/xml-c14n11",
  DigestMethod: "http://www.w3.org/2001/04/xmldsig-more#sha384",
};
const NAMESPACES: Record<string, string> = {
  xmlns: SWID,
  "xmlns:ns0": SWID,
  "xmlns:ns2": "http://www.w3.org/2001/04/xmlenc#sha384",
};

export function makeRim(options: RimOptions): string {
  const { product, edition, version, key, chain, uri = "", extra = [] } = options;
  const algorithms = { ...ALGORITHMS, ...options.algorithms };
  const meta = {
    "xmlns:ns1": "https://trustedcomputinggroup.org/resource/tcg-reference-integrity-manifest-rim-information-model/",
    colloquialVersion: version,
    edition,
    product,
    revision: "r1",
    PayloadType: "direct",
    "ns1:BindingSpec": "RIMIM",
    "ns1:BindingSpecVersion": "1.01",
    "ns1:PlatformManufacturerId": "5703",
    ...options.meta,
  };
  const root: Element = {
    name: "SoftwareIdentity",
    attributes: { ...NAMESPACES, corpus: "false", name: product, tagId: `lab-${product}-${version}`, version: "1.0" },
    children: [
      { name: "ns0:Entity", attributes: { name: "NVIDIA Corporation", role: "softwareCreator tagCreator" } },
      { name: "ns0:Meta", attributes: meta },
      { name: "ns0:Payload", children: resources(options) },
      ...extra,
    ],
  };
  const method = (name: string, algorithm: string): Element => ({ name, attributes: { Algorithm: algorithm } });
  const digest = createHash("sha384").update(canonical(root)).digest("base64");
  const info: Element = {
    name: "ds:SignedInfo",
    children: [
      method("ds:CanonicalizationMethod", algorithms.CanonicalizationMethod),
      method("ds:SignatureMethod", algorithms.SignatureMethod),
      {
        name: "ds:Reference",
        attributes: { URI: uri },
        children: [
          {
            name: "ds:Transforms",
            children: [method("ds:Transform", algorithms.enveloped), method("ds:Transform", algorithms.Transform)],
          },
          method("ds:DigestMethod", algorithms.DigestMethod),
          { name: "ds:DigestValue", text: digest },
        ],
      },
    ],
  };
  // The apex of what is canonicalised has all namespaces that are in scope there.
  const apex = { ...info, attributes: { ...NAMESPACES, "xmlns:ds": DSIG } };
  const signature: Element = {
    name: "ds:Signature",
    attributes: { "xmlns:ds": DSIG },
    children: [
      info,
      { name: "ds:SignatureValue", text: base64(signBytes(key, utf8(canonical(apex)), "ieee-p1363")) },
      {
        name: "ds:KeyInfo",
        children: [
          {
            name: "ds:X509Data",
            children: chain.map((each) => ({ name: "ds:X509Certificate", text: base64(each) })),
          },
        ],
      },
    ],
  };
  const xml = plain({ ...root, children: [...root.children!, signature] });
  return options.delivered?.(xml) ?? xml;
}

function resources({ golden, inactive = [] }: RimOptions): Element[] {
  const active = Object.entries(golden).map(([index, values]) => resource(Number(index), values.map(toBytes), true));
  return [...active, ...inactive.map((index) => resource(index, [new Uint8Array(48)], false))];
}

function resource(index: number, values: readonly Uint8Array[], active: boolean): Element {
  const hashes = values.map((value, i) => [`ns2:Hash${i}`, Buffer.from(value).toString("hex")] as const);
  return {
    name: "ns0:Resource",
    attributes: {
      type: "Measurement",
      index: `${index}`,
      active: active ? "True" : "False",
      alternatives: `${values.length}`,
      ...Object.fromEntries(hashes),
      name: `Measurement_${index}`,
      size: "48",
    },
  };
}

/** As NVIDIA writes it: attributes in any order, elements without content in one tag. */
function plain({ name, attributes = {}, children = [], text = "" }: Element): string {
  const tag = [name, ...written(Object.entries(attributes))].join(" ");
  const content = text + children.map(plain).join("");
  return content === "" ? `<${tag}/>` : `<${tag}>${content}</${name}>`;
}

/**
 * Canonical XML of the same: declarations first, by prefix, then attributes by namespace and name. The prefixes here are in
 * the order of their namespaces but for `ns1` and `ns2`, of which no element has both.
 */
function canonical({ name, attributes = {}, children = [], text = "" }: Element): string {
  const entries = Object.entries(attributes);
  const declarations = entries.filter(([key]) => key.startsWith("xmlns")).sort(byKey);
  const bare = entries.filter(([key]) => !key.includes(":") && key !== "xmlns").sort(byKey);
  const prefixed = entries.filter(([key]) => key.includes(":") && !key.startsWith("xmlns")).sort(byKey);
  const tag = [name, ...written([...declarations, ...bare, ...prefixed])].join(" ");
  return `<${tag}>${text}${children.map(canonical).join("")}</${name}>`;
}

function written(entries: readonly (readonly [string, string | undefined])[]): string[] {
  return entries.filter(([, value]) => value !== undefined).map(([key, value]) => `${key}="${value}"`);
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}
