/**
 * Enclaves of AWS Nitro's kind, under a root of the laboratory's own.
 *
 * @module
 */
import { concat } from "../../field/bytes.js";
import type { NitroEvidence } from "../evidence.js";
import { type Bytes, filled, type Lab, toBytes } from "./bytes.js";
import { type CborValue, encode, Indefinite, map } from "./cbor.js";
import {
  type CertificateOptions,
  DAY,
  LAB_NOW,
  type LabKey,
  makeCertificate,
  makeCrl,
  makeKey,
} from "./certificates.js";
import { type Sign1Options, sign1 } from "./cose.js";

export interface NitroOptions {
  now?: number;
  moduleId?: string;
  /** Milliseconds; the time of `now` unless given. */
  timestamp?: number;
  /** By index. Numbers 0 to 15 are there unless given, of which 0 to 4 are not zero. */
  pcrs?: Record<number, Bytes>;
  /** PCRs 0 to 2 are zero, as those of an enclave in debug mode. */
  debug?: boolean;
  publicKey?: Bytes | null;
  userData?: Bytes | null;
  nonce?: Bytes | null;
  /** Members to change or to add; `undefined` takes one out. */
  members?: Record<string, CborValue | undefined>;
  /** Has the last word on the payload that is signed. */
  payload?: (payload: Uint8Array) => Uint8Array;
  /** The map has no length, as in documents of 2025. */
  indefinite?: boolean;
  cose?: Sign1Options;
  /** Behind the document. */
  padding?: Uint8Array;

  root?: Partial<CertificateOptions>;
  /** From the root down; three of them, with path lengths 2, 1 and 0, unless given. */
  intermediates?: readonly Partial<CertificateOptions>[];
  leaf?: Partial<CertificateOptions>;
  /** The issuer's key of this one's; a leaf of three hours as AWS makes them. */
  signer?: LabKey;
  /** Certificates on the list of their issuer: 0 for the one below the root. The lists are collateral. */
  revoked?: readonly number[];
  /** Whether there are lists without that. */
  crls?: boolean;
}

export interface NitroLab extends Lab<NitroEvidence> {
  document: Uint8Array;
  /** Of the leaf. */
  key: LabKey;
  /** From the root down to the leaf. */
  certificates: readonly Uint8Array[];
}

const HOUR = 3600;
const AMAZON = { C: "US", O: "Amazon", OU: "AWS" } as const;

/** An enclave's document, and the root that it chains to. */
export function nitroEnclave(options: NitroOptions = {}): NitroLab {
  const { now = LAB_NOW, moduleId = "i-0123456789abcdef0-enc0123456789abcdef", indefinite = false } = options;
  const rootKey = makeKey("P-384");
  const root: CertificateOptions = {
    subject: { ...AMAZON, CN: "aws.nitro-enclaves" },
    key: rootKey,
    ca: true,
    keyUsage: ["digitalSignature", "keyCertSign", "cRLSign"],
    notBefore: now - 7 * 365 * DAY,
    notAfter: now + 23 * 365 * DAY,
    ...options.root,
  };
  const { intermediates = [{}, {}, {}] } = options;
  const chain: CertificateOptions[] = [root];
  intermediates.forEach((changes, i) => {
    const above = chain[chain.length - 1]!;
    chain.push({
      subject: { ...AMAZON, CN: `level-${i + 1}.lab.aws.nitro-enclaves` },
      issuer: above.subject,
      key: makeKey("P-384"),
      issuerKey: above.key,
      serial: i + 2,
      ca: true,
      pathLength: intermediates.length - 1 - i,
      keyUsage: ["digitalSignature", "keyCertSign", "cRLSign"],
      notBefore: now - DAY,
      notAfter: now + DAY,
      ...changes,
    });
  });
  const issuer = chain[chain.length - 1]!;
  const leaf: CertificateOptions = {
    subject: { ...AMAZON, CN: `${moduleId}.lab.aws` },
    issuer: issuer.subject,
    key: makeKey("P-384"),
    issuerKey: issuer.key,
    serial: 100,
    ca: false,
    keyUsage: ["digitalSignature", "nonRepudiation"],
    notBefore: now - HOUR,
    notAfter: now + 2 * HOUR,
    ...options.leaf,
  };
  chain.push(leaf);
  const certificates = chain.map((each) => makeCertificate(each));

  const members: Record<string, CborValue | undefined> = {
    module_id: moduleId,
    digest: "SHA384",
    timestamp: options.timestamp ?? now * 1000,
    pcrs: map(...Object.entries(pcrsOf(options)).map(([i, value]) => [Number(i), value] as const)),
    certificate: certificates[certificates.length - 1]!,
    cabundle: certificates.slice(0, -1),
    public_key: optional(options.publicKey),
    user_data: optional(options.userData),
    nonce: optional(options.nonce),
    ...options.members,
  };
  const entries = Object.entries(members).filter((entry): entry is [string, CborValue] => entry[1] !== undefined);
  const content = map(...entries);
  const payload = encode(indefinite ? new Indefinite(content) : content);
  const message = sign1(options.payload?.(payload) ?? payload, options.signer ?? leaf.key, options.cose);
  const document = concat(encode(message), options.padding ?? new Uint8Array());

  const { revoked = [], crls = revoked.length > 0 } = options;
  const lists = chain.slice(0, -1).map(({ subject, key }, i) =>
    makeCrl({
      issuer: subject,
      issuerKey: key,
      thisUpdate: now - DAY,
      nextUpdate: now + DAY,
      revoked: revoked.includes(i) ? [chain[i + 1]!.serial!] : [],
    }),
  );
  return {
    now,
    roots: { nitro: [certificates[0]!] },
    evidence: { kind: "nitro", document },
    collateral: crls ? { nitro: { crls: lists } } : {},
    document,
    key: leaf.key,
    certificates,
  };
}

function pcrsOf({ pcrs = {}, debug = false }: NitroOptions): Record<number, Uint8Array> {
  const usual = Array.from({ length: 16 }, (_, i) => filled(i > 4 || (debug && i < 3) ? 0 : 0xa0 + i, 48));
  const given = Object.entries(pcrs).map(([i, value]) => [i, toBytes(value)] as const);
  return { ...usual, ...Object.fromEntries(given) };
}

function optional(value: Bytes | null | undefined): CborValue {
  return value === undefined || value === null ? null : toBytes(value);
}
