/**
 * AWS Nitro enclaves: a document that the hypervisor's security module signs, with a chain that ends in AWS's root.
 *
 * - The root pinned here is that of the commercial partition. GovCloud and China have roots of their own, which are for the caller
 *   to give as `roots.nitro`.
 * - A leaf lives for about three hours. What the document says of its own time is a claim like others: the clock is the
 *   one that the caller gives, and how old a document may be is for the policy, in both directions.
 * - ECDSA lets anybody make a second valid signature out of one (s → n − s), and AWS does not keep to the lower s. Who counts
 *   documents once counts them by fields (module, timestamp, nonce, user data), never by bytes.
 *
 * @module
 */
import { toHex } from "../../field/bytes.js";
import type { NitroClaims } from "../claims.js";
import type { Collateral } from "../collateral.js";
import { type Context, demand } from "../context.js";
import { verifySign1 } from "../cose.js";
import type { NitroEvidence } from "../evidence.js";
import { equalBytes, isZero } from "../read/bytes.js";
import {
  type Certificate,
  describe,
  isAbout,
  KEY_USAGE,
  MAX_CHAIN,
  parseCertificate,
  parseCrl,
  requireUnrevoked,
  verifyChain,
  verifyCrl,
} from "../x509.js";
import { BOOT_PCRS, type NitroDocument, parseNitroDocument } from "./document.js";

const ID = "nitro";

/**
 * @throws EVIDENCE_MALFORMED, COSE_HEADER, CERT_MALFORMED, CHAIN_*, NOT_YET_VALID, EXPIRED, CRL_*, CERT_REVOKED,
 *   COSE_SIGNATURE
 */
export function verifyNitro(context: Context, evidence: NitroEvidence, collateral: Collateral): NitroClaims {
  const document = context.check(`${ID}.document`, "the document is laid out as AWS's specification says", () =>
    parseNitroDocument(evidence.document),
  );
  const chain = verifyCertificates(context, document);
  verifyRevocation(context, chain, collateral.nitro?.crls ?? []);
  context.check(`${ID}.signature`, "the document is signed by the key of its certificate", () =>
    verifySign1(document.message, chain[0]!.key, "the document"),
  );
  return claims(document);
}

/** Leaf first, root included. */
function verifyCertificates(context: Context, { certificate, cabundle }: NitroDocument): Certificate[] {
  context.check(`${ID}.root`, "the document's bundle begins with AWS's root", () => {
    demand(cabundle.length > 0, "CHAIN_INCOMPLETE", "the document's bundle of certificates is empty");
    demand(
      cabundle.length < MAX_CHAIN,
      "CHAIN_INCOMPLETE",
      `the document's bundle has ${cabundle.length} certificates, more than ${MAX_CHAIN - 1}`,
    );
    demand(
      context.roots.nitro.some((root) => equalBytes(root, cabundle[0]!)),
      "CHAIN_UNTRUSTED",
      "the document's bundle does not begin with a pinned root",
    );
  });
  const given = context.check(`${ID}.certificates`, "the certificates are strict DER", () =>
    [certificate, ...[...cabundle].reverse()].map((der) => parseCertificate(der)),
  );
  const chain = verifyChain(context, given, {
    id: ID,
    what: "enclave's certificate",
    roots: context.roots.nitro,
    keys: "P-384",
  });
  context.check(`${ID}.usage`, "every certificate says what it is for", () => {
    // RFC 5280 leaves a certificate without the extension unrestricted; AWS's all have it.
    chain.forEach(({ keyUsage }, i) => {
      const usage = i === 0 ? "digitalSignature" : "keyCertSign";
      demand(keyUsage?.[KEY_USAGE[usage]] === true, "CHAIN_CONSTRAINTS", `${describe(chain[i]!)} is not for ${usage}`);
    });
  });
  return chain;
}

/** AWS publishes a list for each of its CAs. They are checked where they are given, each certificate against its issuer's. */
function verifyRevocation(context: Context, chain: readonly Certificate[], ders: readonly Uint8Array[]): void {
  const lists = context.check(`${ID}.crls`, "the revocation lists are strict DER", () => ders.map(parseCrl));
  chain.slice(0, -1).forEach((certificate, i) => {
    const issuer = chain[i + 1]!;
    const id = `${ID}.${i === 0 ? "leaf" : `ca-${chain.length - 1 - i}`}`;
    const own = lists.filter((list) => isAbout(list, certificate));
    for (const list of own) {
      verifyCrl(context, list, issuer, {
        id,
        kind: "nitro.crl",
        what: `revocation list of ${describe(issuer)}`,
      });
      requireUnrevoked(context, list, certificate, id);
    }
    if (own.length === 0) {
      context.unchecked(
        `${id}.revocation`,
        `${describe(certificate)} is not revoked`,
        `no revocation list of ${describe(issuer)} is among the collateral`,
      );
    }
  });
}

function claims(document: NitroDocument): NitroClaims {
  const { moduleId, timestamp, pcrs, publicKey, userData, nonce, unknownFields } = document;
  return {
    family: "nitro",
    // An enclave in debug mode has zeros here. No digest of anything is zero, so that a single one is enough.
    debug: BOOT_PCRS.some((index) => isZero(pcrs.get(index)!)),
    measurements: Object.fromEntries([...pcrs].map(([index, pcr]) => [`pcr${index}`, toHex(pcr)])),
    ...(userData ? { reportData: toHex(userData), userData: toHex(userData) } : {}),
    ...(nonce ? { nonce: toHex(nonce) } : {}),
    moduleId,
    timestamp,
    ...(publicKey ? { publicKey: toHex(publicKey) } : {}),
    unknownFields,
  };
}
