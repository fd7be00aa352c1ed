/**
 * Mail bodies to model features: 256 integers in 0..127, by integer arithmetic alone.
 *
 * `Math.log` and friends may differ between engines in the last bit; nothing here uses them, so that two nodes never
 * disagree on what a mail's features are. The steps, normative:
 *
 * 1. Bytes `A`..`Z` fold to lower case. A run of letters, digits and bytes ≥ 0x80 is a token when it is 2 to 24 bytes
 *    long, and is dropped otherwise (encoded attachments). Every other byte that is not space, tab, CR or LF is a
 *    token by itself.
 * 2. A token's bucket is the low byte of MurmurHash3's 32-bit finaliser over FNV-1a-32 of its folded bytes.
 * 3. A bucket's weight is {@link log2Fixed} of 1 + the number of its tokens (the number saturates at 65,534).
 * 4. With `norm` the integer square root of the sum of the squared weights, a feature is `512 · weight / norm`,
 *    rounded half up and saturated at 127. A body without tokens has all features 0.
 *
 * The transform is lossy on purpose and is not a commitment to the mail: a proof over features says nothing about the
 * mail that they came from unless the verifier extracts them again.
 *
 * @module
 */

import { AnchorError } from "../errors.js";

/** Number of features, and of hash buckets. */
export const FEATURE_COUNT = 256;

/** Largest feature: features are 7-bit. */
export const FEATURE_MAX = 127;

/** The same as the range of a model's input. */
export const FEATURE_RANGE = { lo: 0, bits: 7 } as const;

/** Feature `q` stands for the real number `q / 2^7`: what the float model takes. */
export const FEATURE_SCALE_LOG2 = 7;

const TOKEN_MIN = 2;
const TOKEN_MAX = 24;
const COUNT_MAX = 65_534;
const GAIN = 512;
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/**
 * Features of a mail body (no headers; see `mailBody` of the corpus).
 *
 * @returns {@link FEATURE_COUNT} bytes in 0..{@link FEATURE_MAX}
 * @throws AnchorError `INPUT_INVALID` when `body` is not bytes.
 */
export function extractFeatures(body: Uint8Array): Uint8Array {
  if (!(body instanceof Uint8Array)) throw new AnchorError("INPUT_INVALID", "a mail body must be a Uint8Array");

  const counts = new Uint32Array(FEATURE_COUNT);
  const add = (hash: number) => {
    const bucket = finalise(hash) & 0xff;
    if (counts[bucket]! < COUNT_MAX) counts[bucket]!++;
  };

  let hash = FNV_OFFSET;
  let length = 0;
  for (const byte of body) {
    const folded = byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
    if (isWordByte(folded)) {
      hash = fnv1a(hash, folded);
      length++;
      continue;
    }
    if (length >= TOKEN_MIN && length <= TOKEN_MAX) add(hash);
    hash = FNV_OFFSET;
    length = 0;
    if (!isSpace(folded)) add(fnv1a(FNV_OFFSET, folded));
  }
  if (length >= TOKEN_MIN && length <= TOKEN_MAX) add(hash);

  // Weights are below 2^12, so the sum of 256 squares is below 2^32: every number here is exact.
  const weights = Array.from(counts, (count) => log2Fixed(1 + count));
  const norm = integerSqrt(weights.reduce((sum, weight) => sum + weight * weight, 0));
  const features = new Uint8Array(FEATURE_COUNT);
  if (norm === 0) return features;
  for (let i = 0; i < FEATURE_COUNT; i++) {
    features[i] = Math.min(FEATURE_MAX, Math.floor((2 * GAIN * weights[i]! + norm) / (2 * norm)));
  }
  return features;
}

/** Features as the float model takes them: `q / 128`, exact in binary32. */
export function featuresToFloat(features: ArrayLike<number>): Float32Array {
  return Float32Array.from(features, (feature) => feature / (1 << FEATURE_SCALE_LOG2));
}

/**
 * `log2(n)` with 8 fractional bits, for integers `n` in 1..65,535: repeated squaring of a 16-bit mantissa, truncating
 * after each square. This sequence of steps is the definition; it may lie an ulp under the real logarithm.
 */
export function log2Fixed(n: number): number {
  const exponent = 31 - Math.clz32(n);
  let mantissa = n * (1 << (15 - exponent)); // in [2^15, 2^16)
  let result = exponent;
  for (let bit = 0; bit < 8; bit++) {
    mantissa = Math.floor((mantissa * mantissa) / 32_768);
    result *= 2;
    if (mantissa >= 65_536) {
      mantissa = Math.floor(mantissa / 2);
      result += 1;
    }
  }
  return result;
}

/** Largest integer whose square is not above `n`, for integers `n` in 0..2^53 - 1 (Newton from above). */
export function integerSqrt(n: number): number {
  if (n < 2) return n;
  let root = 1;
  while (root * root <= n) root *= 2;
  for (;;) {
    const next = Math.floor((root + Math.floor(n / root)) / 2);
    if (next >= root) return root;
    root = next;
  }
}

function isWordByte(byte: number): boolean {
  return (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x30 && byte <= 0x39) || byte >= 0x80;
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}

function fnv1a(hash: number, byte: number): number {
  return Math.imul(hash ^ byte, FNV_PRIME);
}

/** MurmurHash3's `fmix32`: FNV-1a's low byte alone mixes short tokens badly. */
function finalise(hash: number): number {
  let h = hash;
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  h ^= h >>> 16;
  return h;
}
