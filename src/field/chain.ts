/**
 * Poseidon over more than sixteen field elements: the chain behind the commitments to inputs, private weights, outputs
 * and batches.
 *
 * With `h = start`, every call sets `h` to the hash of `h` and the next fifteen elements (zeros after the last) under one
 * capacity; the last `h` is the result. The capacity is
 *
 *     tag + 2^64 · (number of integers) + 2^96 · (lo + 2^15) + 2^112 · bits
 *
 * with `lo = -2^15` and `bits = 0` where there is no range. So no two uses, counts or ranges share a chain, and zeros at
 * the end are safe.
 *
 * @module
 */
import { AnchorError } from "../errors.js";
import { poseidon16 } from "./poseidon.js";
import { assertScalar } from "./scalar.js";

/** Elements that one call absorbs beside the chaining value. */
export const ELEMENTS_PER_CALL = 15;

/** "ap_batch", 8 ASCII bytes as a big-endian integer. */
export const BATCH_TAG = 0x61705f6261746368n;

/** Most inferences of one proof. */
export const MAX_BATCH = 1024;

/** A range of integers, `[lo, lo + 2^bits - 1]`. */
export interface IntegerRange {
  /** -32768..32767 */
  readonly lo: number;
  /** 1..16 */
  readonly bits: number;
}

/** The capacity of a chain over `count` integers; see above. */
export function chainCapacity(tag: bigint, count: number, range?: IntegerRange): bigint {
  const { lo, bits } = range ?? { lo: -32_768, bits: 0 };
  return tag + (BigInt(count) << 64n) + (BigInt(lo + 32_768) << 96n) + (BigInt(bits) << 112n);
}

/** The chain over elements, which are scalars, at least one. */
export function chain(capacity: bigint, start: bigint, elements: readonly bigint[]): bigint {
  let h = start;
  for (let from = 0; from < elements.length; from += ELEMENTS_PER_CALL) {
    const block = Array.from({ length: ELEMENTS_PER_CALL }, (_, j) => elements[from + j] ?? 0n);
    h = poseidon16(capacity, [h, ...block]);
  }
  return h;
}

/**
 * One signal for the K of a batch of inferences (input commitments, or packed outputs): the chain from 0 under
 * {@link BATCH_TAG}, K in the capacity. One alone stays as it is: a batch of one is the plain circuit.
 *
 * @throws AnchorError `INPUT_INVALID`
 */
export function commitBatch(signals: readonly bigint[]): bigint {
  if (!Array.isArray(signals) || signals.length < 1 || signals.length > MAX_BATCH) {
    throw new AnchorError("INPUT_INVALID", `a batch has 1 to ${MAX_BATCH} inferences`);
  }
  for (const signal of signals) assertScalar(signal, "a signal of the batch");
  return signals.length === 1 ? signals[0]! : chain(chainCapacity(BATCH_TAG, signals.length), 0n, signals);
}
