/**
 * Collateral out of the files in which vendors publish it. A file's name says nothing: its content says what it is.
 *
 * Pieces that belong together and lie apart (a response of Intel's service and the chain in its header; a revocation list
 * and its issuer) find each other by names and signatures. That is no verification: what does not belong together fails
 * when it is used, whatever was put together here.
 *
 * @module
 */
import { AnchorError, isAnchorError, toAnchorError } from "../../errors.js";
import { parseDocument } from "../../protocol/document.js";
import {
  COLLATERAL_FORMAT,
  type Collateral,
  collateralFromJson,
  type IntelCollateral,
  mergeCollateral,
} from "../collateral.js";
import { Der, TAG } from "../read/der.js";
import { readJson } from "../read/json.js";
import { bytesOf, certificatesOf, isCertificate, isDerSequence, pemBlocks, textOf } from "../wrapping/encoding.js";
import { type Certificate, type Crl, isSigned, parseCertificate, parseCrl, verifySignature } from "../x509.js";
import { isQvlCollateral, qvlCollateral, readResponse } from "./qvl.js";

export interface ImportFile {
  /** For messages only. */
  name: string;
  bytes: Uint8Array;
}

export interface Imported {
  collateral: Collateral;
  /** What each file was read as, in the order given. */
  files: { name: string; what: string[] }[];
  /** Pieces that nothing was made of, and why. */
  unused: string[];
}

export interface ImportOptions {
  /** Leaves Intel's pieces out where they do not make a whole, and says so under `unused`, instead of failing. */
  partial?: boolean;
}

const MAX_FILE = 32 * 1024 * 1024;
const MAX_FILES = 1024;
/** Certificates, lists and answers of all files. */
const MAX_PIECES = 1024;
/** Answers in lists in answers: real files have one or two of these. */
const MAX_NESTING = 6;
/** Certificates of one name that are tried as an issuer or signer: renewed ones have the old name, two or three of them. */
const MAX_NAMESAKES = 16;

/** As {@link importFiles}, for who wants nothing but the bundle. */
export function importCollateral(files: readonly ImportFile[]): Collateral {
  return importFiles(files).collateral;
}

/**
 * @throws COLLATERAL_MALFORMED for a file that is no collateral, or that is damaged; COLLATERAL_MISSING where Intel's pieces
 *   do not make a whole; INPUT_TOO_LARGE
 */
export function importFiles(files: readonly ImportFile[], { partial = false }: ImportOptions = {}): Imported {
  if (files.length > MAX_FILES) throw new AnchorError("INPUT_TOO_LARGE", `more than ${MAX_FILES} files at once`);
  const pool = new Pool();
  const read = files.map(({ name, bytes }) => {
    if (bytes.length > MAX_FILE) throw new AnchorError("INPUT_TOO_LARGE", `${name} is larger than 32 MB`);
    try {
      const what = pool.read(bytes);
      if (what.length === 0) throw new AnchorError("COLLATERAL_MALFORMED", "this is no collateral that is known here");
      return { name, what };
    } catch (error) {
      const { code, message } = toAnchorError(error, "COLLATERAL_MALFORMED", "cannot be read");
      throw new AnchorError(code, `${name}: ${message}`, { cause: error });
    }
  });
  return { ...pool.assemble(partial), files: read };
}

interface IntelDocument {
  json: string;
  signature: Uint8Array;
  /** Unix seconds, as far as the document says. */
  issued: number;
  until: number;
  id: string;
}

/** What the files held, before it is put together. */
class Pool {
  readonly #bundles: Collateral[] = [];
  readonly #certificates: Certificate[] = [];
  readonly #crls: Crl[] = [];
  readonly #tcbInfos: IntelDocument[] = [];
  readonly #qeIdentities: IntelDocument[] = [];
  readonly #rims: string[] = [];
  readonly #ocsp: Uint8Array[] = [];
  readonly #jwks: string[] = [];
  readonly #keys: string[] = [];

  /** What was found, in words. */
  read(bytes: Uint8Array, depth = 0): string[] {
    if (isDerSequence(bytes)) return this.#der(bytes);
    const text = textOf(bytes);
    if (text === undefined) return [];
    return this.#text(text.replace(/^\ufeff/, "").trim(), depth);
  }

  #der(bytes: Uint8Array): string[] {
    if (this.#certificates.length + this.#crls.length + this.#ocsp.length >= MAX_PIECES) {
      throw new AnchorError("INPUT_TOO_LARGE", `more than ${MAX_PIECES} certificates and lists`);
    }
    if (isCertificate(bytes)) {
      const certificate = parseCertificate(bytes, "COLLATERAL_MALFORMED");
      this.#certificates.push(certificate);
      return [`certificate "${certificate.subject.commonName || certificate.subject.text}"`];
    }
    if (isOcspResponse(bytes)) {
      this.#ocsp.push(bytes);
      return ["OCSP response"];
    }
    const crl = parseCrl(bytes);
    this.#crls.push(crl);
    return [`revocation list by "${crl.issuer.commonName || crl.issuer.text}"`];
  }

  /** @param depth of wrappings around it: each is read as a whole before what is in it, so there are few. */
  #text(text: string, depth: number): string[] {
    if (depth > MAX_NESTING) {
      throw new AnchorError("COLLATERAL_MALFORMED", `more than ${MAX_NESTING} wrappings are around one piece`);
    }
    const http = /^HTTP\/[0-9.]+ [0-9]{3}/.test(text) || /^[A-Za-z-]+-Chain: /im.test(text.slice(0, 4096));
    if (http) return this.#http(text, depth);
    if (text.startsWith("{") || text.startsWith("[")) return this.#json(text, depth);
    if (text.startsWith("<")) return this.#xml(text);
    if (text.includes("-----BEGIN ")) return this.#pem(text);
    // Older services answer with revocation lists in hex; a certificate in one line of base64 is met as well.
    const bytes = bytesOf(text);
    return bytes ? this.read(bytes, depth + 1) : [];
  }

  #pem(text: string): string[] {
    return pemBlocks(text).flatMap(({ label, bytes }) => {
      if (label === "CERTIFICATE" || label === "X509 CRL") return this.#der(bytes);
      if (label !== "PUBLIC KEY") return [];
      const body = Buffer.from(bytes)
        .toString("base64")
        .replace(/.{1,64}/g, "$&\n");
      this.#keys.push(`-----BEGIN PUBLIC KEY-----\n${body}-----END PUBLIC KEY-----\n`);
      return ["public key"];
    });
  }

  /** Header lines, and a body behind an empty one: what `curl -i` or `curl -D` writes. */
  #http(text: string, depth: number): string[] {
    const end = /\r?\n\r?\n/.exec(text);
    const head = end ? text.slice(0, end.index) : text;
    const body = end ? text.slice(end.index + end[0].length).trim() : "";
    const found = head.split(/\r?\n/).flatMap((line) => {
      const [name = "", ...value] = line.split(":");
      return this.#header(name, value.join(":").trim());
    });
    return body === "" ? found : [...found, ...this.#text(body, depth + 1)];
  }

  /** Intel's services send issuers' chains URL-encoded in a header. */
  #header(name: string, value: string): string[] {
    if (!/-chain$/i.test(name.trim()) || !value.includes("BEGIN")) return [];
    let pem: string;
    try {
      pem = decodeURIComponent(value);
    } catch (cause) {
      throw new AnchorError("COLLATERAL_MALFORMED", `the header ${name} is not URL-encoded`, { cause });
    }
    return this.#pem(pem);
  }

  #xml(text: string): string[] {
    if (!/<(?:[A-Za-z0-9]+:)?SoftwareIdentity[\s>]/.test(text)) return [];
    this.#rims.push(text);
    return ["reference manifest"];
  }

  #json(text: string, depth: number): string[] {
    const response = readResponse(text);
    if (response) return [this.#intelDocument(response)];
    const limits = { code: "COLLATERAL_MALFORMED", what: "the JSON", maxLength: MAX_FILE, maxDepth: 64 } as const;
    const value: unknown = readJson(text, limits);
    if (typeof value !== "object" || value === null) return [];
    if (Array.isArray(value)) {
      return value.flatMap((item) => (typeof item === "object" ? this.#text(JSON.stringify(item), depth + 1) : []));
    }
    const object = value as Record<string, unknown>;
    if (object["format"] === COLLATERAL_FORMAT) {
      this.#bundles.push(collateralFromJson(parseDocument(text)));
      return [COLLATERAL_FORMAT];
    }
    if (isQvlCollateral(object)) {
      this.#bundles.push({ intel: [qvlCollateral(object)] });
      return ["DCAP collateral"];
    }
    if (Array.isArray(object["keys"])) {
      this.#jwks.push(text);
      return [`key set of ${object["keys"].length} keys`];
    }
    if (object["kty"] === "EC") {
      this.#keys.push(text);
      return ["public key"];
    }
    if (typeof object["rim"] === "string") {
      const xml = textOf(bytesOf(object["rim"]) ?? new Uint8Array());
      return xml === undefined ? [] : this.#xml(xml.trimStart());
    }
    // Recorded answers: headers by name, each with a list of values, and perhaps the body.
    const headers = object["headers"];
    const fromHeaders =
      typeof headers === "object" && headers !== null
        ? Object.entries(headers).flatMap(([name, values]) =>
            [values].flat().flatMap((v) => this.#header(name, String(v))),
          )
        : [];
    const body = typeof object["body"] === "string" ? this.#text(object["body"].trim(), depth + 1) : [];
    if (fromHeaders.length + body.length > 0) return [...fromHeaders, ...body];
    if (typeof headers === "object" && headers !== null) return ["headers of an answer, none of which is needed"];
    return certificatesOf(object).flatMap((der) => this.#der(der));
  }

  #intelDocument({ kind, json, signature }: NonNullable<ReturnType<typeof readResponse>>): string {
    const fields = readJson(json, { code: "COLLATERAL_MALFORMED", what: "a document of Intel's" }) as Record<
      string,
      unknown
    >;
    const at = (name: string) => {
      const seconds = Math.floor(Date.parse(String(fields[name])) / 1000);
      return Number.isNaN(seconds) ? 0 : seconds;
    };
    const isTcb = kind === "tcbInfo";
    // TCB info had no kind before version 3: there was SGX alone.
    const id = typeof fields["id"] === "string" ? fields["id"] : isTcb ? "SGX" : "QE";
    const document = { json, signature, id, issued: at("issueDate"), until: at("nextUpdate") };
    (isTcb ? this.#tcbInfos : this.#qeIdentities).push(document);
    return isTcb ? `TCB info of ${id}, FMSPC ${String(fields["fmspc"])}` : `identity of the quoting enclave ${id}`;
  }

  assemble(partial: boolean): Pick<Imported, "collateral" | "unused"> {
    const unused: string[] = [];
    const own: Collateral[] = [];
    try {
      const intel = this.#intel(unused);
      if (intel.length > 0) own.push({ intel });
    } catch (error) {
      if (!partial || !isAnchorError(error, "COLLATERAL_MISSING")) throw error;
      unused.push(error.message);
    }
    const isAmd = (text: string) => /\bO=Advanced Micro Devices\b/.test(text);
    const amd = this.#certificates.filter(({ issuer }) => isAmd(issuer.text));
    const byIssuer = (test: (text: string) => boolean) =>
      this.#crls.filter(({ issuer }) => test(issuer.text)).map(({ der }) => der);
    const amdCrls = byIssuer(isAmd);
    if (amd.length + amdCrls.length > 0) own.push({ amd: { certificates: amd.map(({ der }) => der), crls: amdCrls } });
    const nitro = byIssuer((text) => /aws\.nitro-enclaves/.test(text));
    if (nitro.length > 0) own.push({ nitro: { crls: nitro } });
    const crls = byIssuer((text) => /NVIDIA/i.test(text));
    if (this.#rims.length + this.#ocsp.length + crls.length > 0) {
      own.push({ nvidia: { rims: this.#rims, ocsp: this.#ocsp, crls } });
    }
    if (this.#jwks.length > 0) own.push({ nras: { jwks: this.#jwks } });
    if (this.#keys.length > 0) own.push({ cca: { keys: this.#keys } });
    for (const { subject, issuer } of this.#certificates) {
      const known = isAmd(issuer.text) || /Intel/.test(issuer.text);
      if (!known)
        unused.push(`the certificate "${subject.commonName || subject.text}" is no collateral of a family known here`);
    }
    for (const { issuer } of this.#crls) {
      const known = isAmd(issuer.text) || /Intel|aws\.nitro-enclaves|NVIDIA/i.test(issuer.text);
      if (!known)
        unused.push(`the revocation list by "${issuer.commonName || issuer.text}" is of no family known here`);
    }
    return { collateral: mergeCollateral(...this.#bundles, ...own), unused };
  }

  /** One entry for each TCB info and each kind of CA that issues PCK certificates. */
  #intel(unused: string[]): IntelCollateral[] {
    const crls = this.#crls.filter(({ issuer }) => /Intel/.test(issuer.text));
    const rootCrls = crls.filter(({ issuer }) => /Root/i.test(issuer.commonName));
    const pckCrls = crls.filter(({ issuer }) => !/Root/i.test(issuer.commonName));
    if (this.#tcbInfos.length === 0) {
      for (const { id } of this.#qeIdentities)
        unused.push(`the identity of the quoting enclave ${id} has no TCB info beside it`);
      for (const { issuer } of crls)
        unused.push(`the revocation list by "${issuer.commonName}" has no TCB info beside it`);
      return [];
    }
    const missing = (what: string): never => {
      throw new AnchorError(
        "COLLATERAL_MISSING",
        `Intel's collateral is not whole: there is no ${what} among the files`,
      );
    };
    const leaf = this.#certificates.find(({ subject }) => subject.commonName === "Intel SGX PCK Certificate");
    const pckChain = leaf ? this.#chain(leaf).map(({ der }) => der) : undefined;
    return this.#tcbInfos.flatMap((tcbInfo) => {
      const kind = tcbInfo.id === "TDX" ? "TD_QE" : "QE";
      const identities = this.#qeIdentities.filter(({ id }) => id === kind || (kind === "TD_QE" && id === "TDQE"));
      const qeIdentity = fitting(identities, tcbInfo) ?? missing(`identity of the quoting enclave ${kind}`);
      const window = (crl: Crl) => ({ crl, issued: crl.thisUpdate, until: crl.nextUpdate });
      const rootCrl = fitting(rootCrls.map(window), tcbInfo)?.crl ?? missing("revocation list by the root CA");
      const issuers = [...new Set(pckCrls.map(({ issuer }) => issuer.text))];
      if (issuers.length === 0) missing("revocation list by a CA of PCK certificates");
      return issuers.map((name) => {
        const lists = pckCrls.filter(({ issuer }) => issuer.text === name);
        const { crl } = fitting(lists.map(window), tcbInfo)!;
        return {
          tcbInfo: this.#signed(tcbInfo, "TCB info"),
          qeIdentity: this.#signed(qeIdentity, "identity of the quoting enclave"),
          rootCrl: rootCrl.der,
          pckCrl: crl.der,
          pckCrlChain: this.#issuersOf(crl).map(({ der }) => der),
          ...(pckChain ? { pckChain } : {}),
        };
      });
    });
  }

  /** With the chain of the certificate whose key signed it. */
  #signed({ json, signature }: IntelDocument, what: string): IntelCollateral["tcbInfo"] {
    const message = new TextEncoder().encode(json);
    const named = this.#certificates.filter(({ subject }) => /TCB Signing/.test(subject.commonName));
    const signers = named.slice(0, MAX_NAMESAKES);
    const signer = signers.find(({ key }) =>
      verifySignature({ kind: "ecdsa", hash: "sha256" }, key, message, signature, "ieee-p1363"),
    );
    if (!signer) {
      const reason =
        signers.length === 0 ? "there is no chain of its signer" : "none of the certificates has signed it";
      throw new AnchorError(
        "COLLATERAL_MISSING",
        `${what}: ${reason} (it comes in the header TCB-Info-Issuer-Chain or SGX-Enclave-Identity-Issuer-Chain)`,
      );
    }
    return { json, signature, chain: this.#chain(signer).map(({ der }) => der) };
  }

  /** A certificate and what issued it, as far as that is there. */
  #chain(from: Certificate): Certificate[] {
    const chain = [from];
    while (chain.length < 6) {
      const last = chain[chain.length - 1]!;
      const issuer = this.#issuerOf(last);
      if (!issuer || issuer === last || chain.includes(issuer)) break;
      chain.push(issuer);
    }
    return chain;
  }

  #issuersOf(crl: Crl): Certificate[] {
    const issuer = this.#issuerOf(crl);
    return issuer ? this.#chain(issuer) : [];
  }

  #issuerOf(signed: Pick<Crl, "issuer" | "tbs" | "signature">): Certificate | undefined {
    const name = Buffer.from(signed.issuer.der);
    const named = this.#certificates.filter(({ subject }) => name.equals(subject.der)).slice(0, MAX_NAMESAKES);
    return named.find((certificate) => isSigned(signed, certificate));
  }
}

/** The newest of those that were valid together with a document; where none was, the newest of all. */
function fitting<T extends { issued: number; until: number }>(
  all: readonly T[],
  to: { issued: number; until: number },
): T | undefined {
  const overlapping = all.filter(({ issued, until }) => issued <= to.until && until >= to.issued);
  const newest = (list: readonly T[]) =>
    list.reduce<T | undefined>((best, each) => (best && best.issued >= each.issued ? best : each), undefined);
  return newest(overlapping) ?? newest(all);
}

/** A status, and bytes behind it (RFC 6960). */
function isOcspResponse(bytes: Uint8Array): boolean {
  try {
    const [status, content, ...more] = Der.parse(bytes, "COLLATERAL_MALFORMED").sequence("a response");
    return status?.tag === TAG.enumerated && more.length === 0 && (content === undefined || content.tag === 0xa0);
  } catch {
    return false;
  }
}
