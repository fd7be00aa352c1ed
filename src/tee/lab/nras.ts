/**
 * Answers of a remote attestation service like NVIDIA's: tokens over all devices and over each, and the key set for them.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { utf8 } from "../../field/bytes.js";
import type { NrasEvidence } from "../evidence.js";
import { type Bytes, LAB_NONCE, type Lab, toBytes } from "./bytes.js";
import {
  type CertificateOptions,
  cachedKey,
  DAY,
  LAB_NOW,
  type LabKey,
  makeCertificate,
  makeKey,
  signBytes,
} from "./certificates.js";

export interface NrasOptions {
  now?: number;
  issuer?: string;
  nonce?: Bytes;
  overallResult?: boolean;
  issuedAt?: number;
  expiresAt?: number;
  /** Claims to change by device, or to take out with `undefined`; one GPU-0 unless given. */
  devices?: Readonly<Record<string, Record<string, unknown>>>;
  /** Claims of the overall token to change, or to take out. */
  claims?: Record<string, unknown>;
  /** Digests by device, where they are not those of the tokens. */
  digests?: Readonly<Record<string, string>>;
  /** Of both kinds of tokens. */
  header?: Record<string, unknown>;
  /** Of one device's token, or of `overall`. */
  headers?: Readonly<Record<string, Record<string, unknown>>>;
  signer?: LabKey;
  /** Tokens as delivered, by device or `overall`, after they were signed. */
  delivered?: (token: string, name: string) => string;

  root?: Partial<CertificateOptions>;
  intermediate?: Partial<CertificateOptions>;
  leaf?: Partial<CertificateOptions>;
  /** Of the key in the set, to change or take out. */
  jwk?: Record<string, unknown>;
}

export interface NrasLab extends Lab<NrasEvidence> {
  /** The key set, JSON text. */
  jwks: string;
  key: LabKey;
  certificates: { root: Uint8Array; intermediate: Uint8Array; leaf: Uint8Array };
}

const NVIDIA = { O: "NVIDIA Corporation", C: "US" } as const;
const KID = "nv-eat-kid-lab-20260528";

/** What the service said about some devices. */
export function nrasAnswer(options: NrasOptions = {}): NrasLab {
  const { now = LAB_NOW, devices = { "GPU-0": {} }, issuer = "https://nras.attestation.nvidia.com" } = options;
  const { issuedAt = now - 60, expiresAt = now + 3540, overallResult = true } = options;
  const key = makeKey("P-384");
  const root: CertificateOptions = {
    subject: { C: "US", O: "NVIDIA Corporation", CN: "NVIDIA Attestation Service CA 001" },
    key: makeKey("P-384"),
    ca: true,
    keyUsage: ["keyCertSign", "cRLSign"],
    ...options.root,
  };
  const intermediate: CertificateOptions = {
    subject: { CN: "NVIDIA Attestation Service GPU Intermediate 001", ...NVIDIA },
    issuer: root.subject,
    // NVIDIA's is RSA, and signs with PKCS #1.
    key: cachedKey("RSA-2048", "NRAS intermediate"),
    issuerKey: root.key,
    serial: 2,
    ca: true,
    keyUsage: ["keyCertSign", "cRLSign"],
    notBefore: now - 365 * DAY,
    notAfter: now + 3 * 365 * DAY,
    ...options.intermediate,
  };
  const leaf: CertificateOptions = {
    subject: { CN: "NVIDIA Attestation Service GPU GH100", ...NVIDIA },
    issuer: intermediate.subject,
    key,
    issuerKey: intermediate.key,
    serial: 3,
    keyUsage: ["digitalSignature", "keyEncipherment", "keyAgreement"],
    algorithm: "rsa-sha256",
    notBefore: now - DAY,
    notAfter: now + DAY,
    ...options.leaf,
  };
  const certificates = {
    root: makeCertificate(root),
    intermediate: makeCertificate(intermediate),
    leaf: makeCertificate(leaf),
  };

  const nonce = Buffer.from(toBytes(options.nonce ?? LAB_NONCE)).toString("hex");
  const times = { nbf: issuedAt, iat: issuedAt, exp: expiresAt };
  const token = (name: string, claims: Record<string, unknown>) => {
    const header = present({ kid: KID, alg: "ES384", ...options.header, ...options.headers?.[name] });
    const content = `${base64url(JSON.stringify(header))}.${base64url(JSON.stringify(present(claims)))}`;
    const signature = signBytes(options.signer ?? key, utf8(content), "ieee-p1363");
    const signed = `${content}.${Buffer.from(signature).toString("base64url")}`;
    return options.delivered?.(signed, name) ?? signed;
  };
  const tokens = Object.fromEntries(
    Object.entries(devices).map(([name, claims], i) => [
      name,
      token(name, {
        ...DEVICE_CLAIMS,
        ueid: `${10_000 + i}`,
        iss: issuer,
        eat_nonce: nonce,
        ...times,
        jti: name,
        ...claims,
      }),
    ]),
  );
  const submods = Object.entries(tokens).map(([name, each]) => {
    const digest = options.digests?.[name] ?? createHash("sha256").update(each).digest("hex");
    return [name, ["DIGEST", ["SHA-256", digest]]] as const;
  });
  const overall = token("overall", {
    sub: "NVIDIA-PLATFORM-ATTESTATION",
    "x-nvidia-ver": "2.0",
    iss: issuer,
    "x-nvidia-overall-att-result": overallResult,
    submods: Object.fromEntries(submods),
    eat_nonce: nonce,
    ...times,
    jti: "overall",
    ...options.claims,
  });

  const { x, y } = key.publicKey.export({ format: "jwk" });
  const x5c = [certificates.leaf, certificates.intermediate].map((each) => Buffer.from(each).toString("base64"));
  const jwk = present({ kty: "EC", use: "sig", crv: "P-384", kid: KID, x, y, alg: "ES384", x5c, ...options.jwk });
  const jwks = JSON.stringify({ keys: [jwk] });
  return {
    now,
    roots: { nvidiaNras: [certificates.root] },
    evidence: { kind: "nras", overall, devices: tokens },
    collateral: { nras: { jwks: [jwks] } },
    jwks,
    key,
    certificates,
  };
}

/** What a token says about a device that is in order. */
const DEVICE_CLAIMS: Readonly<Record<string, unknown>> = {
  "x-nvidia-gpu-driver-rim-schema-validated": true,
  "x-nvidia-gpu-attestation-report-cert-chain-validated": true,
  "x-nvidia-gpu-vbios-rim-signature-verified": true,
  "x-nvidia-gpu-vbios-rim-fetched": true,
  "x-nvidia-gpu-attestation-report-nonce-match": true,
  "x-nvidia-gpu-vbios-index-no-conflict": true,
  "x-nvidia-gpu-vbios-rim-cert-validated": true,
  secboot: true,
  "x-nvidia-gpu-attestation-report-parsed": true,
  "x-nvidia-gpu-driver-rim-signature-verified": true,
  "x-nvidia-gpu-arch-check": true,
  "x-nvidia-attestation-warning": null,
  "x-nvidia-gpu-driver-version": "580.95.05",
  "x-nvidia-gpu-driver-rim-measurements-available": true,
  "x-nvidia-gpu-attestation-report-signature-verified": true,
  hwmodel: "GH100",
  dbgstat: "disabled",
  "x-nvidia-gpu-driver-rim-fetched": true,
  oemid: "5703",
  "x-nvidia-gpu-vbios-rim-schema-validated": true,
  measres: "success",
  "x-nvidia-gpu-driver-rim-cert-validated": true,
  "x-nvidia-gpu-vbios-version": "96.00.74.00.20",
  "x-nvidia-gpu-vbios-rim-measurements-available": true,
};

function present(record: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
}

function base64url(text: string): string {
  return Buffer.from(text).toString("base64url");
}
