/**
 * The commitment to a model's private input: twin of `circuits/inference/committed_input.circom`.
 *
 * @module
 */

import { AnchorError } from "../errors.js";
import { poseidon16 } from "../field/poseidon.js";
import { assertScalar } from "../field/scalar.js";
import { ACTIVATION_MAX, GRAPH_LIMITS } from "./graph.js";

/** "ap_input", 8 ASCII bytes as a big-endian integer. */
export const INPUT_TAG = 0x61705f696e707574n;

/** Features in one field element: a byte each, 31 bytes always fit. */
const FEATURES_PER_ELEMENT = 31;

/** Elements that one Poseidon call absorbs beside the chaining value. */
const ELEMENTS_PER_CALL = 15;

/**
 * Commits to features under a salt.
 *
 * Element `k` is `Σ features[31k + i] · 256^i`. With `h = salt` at first, every call sets `h` to Poseidon of `h` and
 * the next 15 elements (zeros after the last) with capacity `INPUT_TAG + 2^64 · (number of features)`; the last `h`
 * is the commitment.
 *
 * @param features integers in 0..127
 * @param salt uniform scalar, drawn anew for every commitment (`randomScalar`); who knows it can test guesses of the
 *   features
 * @throws AnchorError `INPUT_INVALID`
 */
export function commitInput(features: ArrayLike<number>, salt: bigint): bigint {
  assertScalar(salt, "salt");
  const { length } = features;
  if (!Number.isInteger(length) || length < 1 || length > GRAPH_LIMITS.width) {
    throw new AnchorError("INPUT_INVALID", `a commitment is over 1 to ${GRAPH_LIMITS.width} features`);
  }
  const elements = new Array<bigint>(Math.ceil(length / FEATURES_PER_ELEMENT)).fill(0n);
  for (let i = 0; i < length; i++) {
    const feature = features[i];
    if (!Number.isInteger(feature) || feature! < 0 || feature! > ACTIVATION_MAX) {
      throw new AnchorError("INPUT_INVALID", `feature ${i} must be an integer in 0..${ACTIVATION_MAX}`);
    }
    elements[Math.floor(i / FEATURES_PER_ELEMENT)]! += BigInt(feature!) << BigInt(8 * (i % FEATURES_PER_ELEMENT));
  }
  const capacity = INPUT_TAG + (BigInt(length) << 64n);
  let h = salt;
  for (let from = 0; from < elements.length; from += ELEMENTS_PER_CALL) {
    const block = Array.from({ length: ELEMENTS_PER_CALL }, (_, j) => elements[from + j] ?? 0n);
    h = poseidon16(capacity, [h, ...block]);
  }
  return h;
}
