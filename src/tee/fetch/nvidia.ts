/**
 * NVIDIA's services: reference manifests, OCSP, and the keys of the attestation service.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { AnchorError, isAnchorError } from "../../errors.js";
import { concat, fromHex } from "../../field/bytes.js";
import { parseOcspResponse } from "../nvidia/ocsp.js";
import { Der, TAG } from "../read/der.js";
import { readJsonObject } from "../read/json.js";
import { bytesOf, textOf } from "../wrapping/encoding.js";
import { type Certificate, parseCertificate } from "../x509.js";
import { address, type FetchOptions, request } from "./http.js";

/**
 * A reference manifest, XML as signed.
 *
 * @param id such as `NV_GPU_DRIVER_GH100_550.90.07`
 * @throws COLLATERAL_UNAVAILABLE, COLLATERAL_MALFORMED, INPUT_INVALID, INPUT_TOO_LARGE, ABORTED
 */
export async function fetchRim(id: string, options: FetchOptions = {}): Promise<string> {
  if (!/^[A-Za-z0-9_.-]{1,128}$/.test(id))
    throw new AnchorError("INPUT_INVALID", "this is no id of a reference manifest");
  const { bytes } = await request(address("nvidiaRim", `/v1/rim/${id}`, options), `reference manifest ${id}`, options);
  const answer = readJsonObject(bytes, { code: "COLLATERAL_MALFORMED", what: "an answer of NVIDIA's RIM service" });
  const xml = textOf(bytesOf(answer["rim"]) ?? new Uint8Array());
  if (xml === undefined || !xml.includes("SoftwareIdentity")) {
    throw new AnchorError("COLLATERAL_MALFORMED", `NVIDIA's RIM service answers with something else than a manifest`);
  }
  return xml;
}

/** The key set of the remote attestation service, JSON text as it came. Its keys live for two days: archive it with tokens. */
export async function fetchNrasJwks(options: FetchOptions = {}): Promise<string> {
  const url = address("nvidiaNras", "/.well-known/jwks.json", options);
  const { bytes } = await request(url, "key set of NVIDIA's attestation service", options);
  const set = readJsonObject(bytes, { code: "COLLATERAL_MALFORMED", what: "NVIDIA's key set" });
  if (!Array.isArray(set["keys"])) throw new AnchorError("COLLATERAL_MALFORMED", "NVIDIA's key set has no keys");
  return textOf(bytes)!;
}

/**
 * Whether a certificate is revoked, as its issuer's OCSP service says: the signed answer, DER.
 *
 * @throws COLLATERAL_UNAVAILABLE, also where it answers with an error, which nobody has signed; COLLATERAL_MALFORMED,
 *   INPUT_TOO_LARGE, ABORTED
 */
export async function fetchOcsp(
  certificate: Uint8Array,
  issuer: Uint8Array,
  options: FetchOptions = {},
): Promise<Uint8Array> {
  const body = ocspRequest(parseCertificate(certificate), parseCertificate(issuer));
  const url = address("nvidiaOcsp", "", options);
  const { bytes } = await request(url, "revocation status", options, { body, type: "application/ocsp-request" });
  try {
    parseOcspResponse(bytes);
  } catch (error) {
    if (!isAnchorError(error, "REVOCATION_UNKNOWN")) throw error;
    throw new AnchorError("COLLATERAL_UNAVAILABLE", `${url.host}: ${error.message}`, { cause: error });
  }
  return bytes;
}

/** RFC 6960, 4.1.1, about one certificate, which it names by SHA-384 as NVIDIA's own tools do. Without a nonce, so that answers can be kept. */
export function ocspRequest(certificate: Certificate, issuer: Certificate): Uint8Array {
  const hash = (bytes: Uint8Array) => octets(new Uint8Array(createHash("sha384").update(bytes).digest()));
  const spki = Der.parse(issuer.spki, "CERT_MALFORMED").fields("the public key");
  spki.next("an algorithm");
  const key = spki.next("a key").bitOctets("the public key");
  const serial = fromHex(`0x${certificate.serial}`, "the serial number");
  const algorithm = sequence(Uint8Array.of(0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02));
  const id = sequence(algorithm, hash(issuer.subject.der), hash(key), element(TAG.integer, serial));
  return sequence(sequence(sequence(sequence(id))));
}

function octets(bytes: Uint8Array): Uint8Array {
  return element(TAG.octetString, bytes);
}

function sequence(...content: readonly Uint8Array[]): Uint8Array {
  return element(TAG.sequence, ...content);
}

/** Lengths up to 64 KB: a request has two hundred bytes. */
function element(tag: number, ...content: readonly Uint8Array[]): Uint8Array {
  const body = concat(...content);
  const length =
    body.length < 0x80
      ? Uint8Array.of(body.length)
      : body.length < 0x100
        ? Uint8Array.of(0x81, body.length)
        : Uint8Array.of(0x82, body.length >> 8, body.length & 0xff);
  return concat(Uint8Array.of(tag), length, body);
}
