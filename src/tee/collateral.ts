/**
 * Collateral: what vendors publish about their hardware, all of it signed by them, in one file.
 *
 * A bundle is kept with the evidence, so that an old verdict can be checked again as of its time. Nothing in it is believed
 * for being there: every piece is authenticated when it is used, and roots are pinned, not bundled.
 *
 * @module
 */

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
