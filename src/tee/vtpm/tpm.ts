/**
 * TPM 2.0 quotes: TPMS_ATTEST as a TPM signs it (TCG TPM 2.0 Library, Part 2, 10.12), big-endian, read to its last byte.
 *
 * @module
 */
import { createHash, type KeyObject } from "node:crypto";
import { AnchorError } from "../../errors.js";
import { demand } from "../context.js";
import { ByteReader, equalBytes } from "../read/bytes.js";
import { verifySignature } from "../x509.js";

export interface TpmQuote {
  /** Name of the signing key, qualified by its parents'. */
  qualifiedSigner: Uint8Array;
  /** Qualifying data: what the caller had the TPM sign along. */
  extraData: Uint8Array;
  /** Milliseconds that the TPM has been powered. */
  clock: bigint;
  resetCount: number;
  restartCount: number;
  /** Whether the clock has never stood at a later time than it says. */
  safe: boolean;
  firmwareVersion: bigint;
  /** Indices of the registers of the SHA-256 bank that are signed, ascending. */
  selected: number[];
  pcrDigest: Uint8Array;
}

/** `\xffTCG`, by which everything begins that a TPM says about itself; a key that is restricted signs nothing else so. */
const TPM_GENERATED = 0xff544347;
const TPM_ST_ATTEST_QUOTE = 0x8018;
const TPM_ALG_SHA256 = 0x000b;
/** TPM2B_NAME and TPM2B_DATA: an algorithm and the longest digest. */
const MAX_BUFFER = 66;
export const PCR_COUNT = 24;

/** @throws EVIDENCE_MALFORMED; TPM_MISMATCH for a quote over other registers than those of SHA-256 */
export function parseTpmQuote(message: Uint8Array): TpmQuote {
  const reader = new ByteReader(message);
  const magic = reader.u32be("the magic of the TPM quote");
  const type = reader.u16be("the type of the TPM quote");
  if (magic !== TPM_GENERATED || type !== TPM_ST_ATTEST_QUOTE) {
    throw new AnchorError(
      "EVIDENCE_MALFORMED",
      `the message is no quote that a TPM made: it begins with ${magic.toString(16)} ${type.toString(16)}`,
    );
  }
  const qualifiedSigner = buffer(reader, "the name of the signer");
  const extraData = buffer(reader, "the qualifying data");
  const clock = reader.u64be("the clock");
  const resetCount = reader.u32be("the count of resets");
  const restartCount = reader.u32be("the count of restarts");
  const safe = reader.u8("the state of the clock");
  demand(safe <= 1, "EVIDENCE_MALFORMED", `the state of the TPM's clock is ${safe}, neither yes nor no`);
  const firmwareVersion = reader.u64be("the firmware version");
  const selected = readSelection(reader);
  const pcrDigest = buffer(reader, "the digest of the registers");
  demand(
    pcrDigest.length === 32,
    "EVIDENCE_MALFORMED",
    `the digest of the registers has ${pcrDigest.length} bytes instead of 32`,
  );
  reader.end("the TPM quote");
  return {
    qualifiedSigner,
    extraData,
    clock,
    resetCount,
    restartCount,
    safe: safe === 1,
    firmwareVersion,
    selected,
    pcrDigest,
  };
}

function buffer(reader: ByteReader, what: string): Uint8Array {
  const length = reader.u16be(`the length of ${what}`);
  demand(
    length <= MAX_BUFFER,
    "EVIDENCE_MALFORMED",
    `${what} in the TPM quote has ${length} bytes, more than ${MAX_BUFFER}`,
  );
  return reader.take(length, what);
}

/** TPML_PCR_SELECTION of one bank. */
function readSelection(reader: ByteReader): number[] {
  const banks = reader.u32be("the number of register banks");
  demand(banks === 1, "TPM_MISMATCH", `the TPM quote is over ${banks} banks of registers instead of one`);
  const algorithm = reader.u16be("the hash algorithm of the registers");
  demand(
    algorithm === TPM_ALG_SHA256,
    "TPM_MISMATCH",
    `the TPM quote is over the bank of hash algorithm 0x${algorithm.toString(16)} instead of SHA-256 (0xb)`,
  );
  const map = reader.take(reader.u8("the length of the selection"), "the selection of registers");
  demand(
    map.length >= 1 && map.length <= 4,
    "EVIDENCE_MALFORMED",
    `the selection of registers has ${map.length} bytes`,
  );
  const selected = Array.from({ length: 8 * map.length }, (_, i) => i).filter(
    (i) => ((map[i >> 3]! >> (i & 7)) & 1) === 1,
  );
  demand(selected.length > 0, "TPM_MISMATCH", "the TPM quote covers no register");
  const last = selected[selected.length - 1]!;
  demand(last < PCR_COUNT, "TPM_MISMATCH", `the TPM quote covers PCR ${last}, and there are ${PCR_COUNT}`);
  return selected;
}

/**
 * Whether the key signed the message: RSASSA-PKCS1-v1_5, or ECDSA (r‖s) where the key is on P-256, both over SHA-256.
 *
 * @throws TPM_SIGNATURE
 */
export function verifyTpmSignature(message: Uint8Array, signature: Uint8Array, key: KeyObject): void {
  const kind = key.asymmetricKeyType === "ec" ? "ecdsa" : "rsa";
  demand(
    verifySignature({ kind, hash: "sha256" }, key, message, signature, "ieee-p1363"),
    "TPM_SIGNATURE",
    "the TPM quote is not signed by the attestation key of the runtime data",
  );
}

/** The selected registers, if they are those that the quote's digest is of. @throws TPM_MISMATCH */
export function requireQuotedPcrs(quote: TpmQuote, pcrs: readonly Uint8Array[]): void {
  const hash = createHash("sha256");
  for (const index of quote.selected) hash.update(pcrs[index]!);
  demand(
    equalBytes(new Uint8Array(hash.digest()), quote.pcrDigest),
    "TPM_MISMATCH",
    `the ${quote.selected.length} PCRs given are not those that the TPM quote signs`,
  );
}
