/**
 * Many chains of Poseidon at once (see chain.ts), over elements and over contents: numbers as they lie in data.
 *
 * A chain's steps follow one another. The native core therefore works on several chains side by side, and where there is one
 * alone, spreads its state over the processor's lanes: whoever has many hands them over together. Without the core,
 * JavaScript gives the same.
 *
 * Scalars are 32 bytes, little-endian. The functions return when the work is done: a call of a few megabytes takes some tens
 * of milliseconds with the core, and seconds without.
 *
 * @module
 */
import { isFloat64Array, isUint8Array, isUint32Array } from "node:util/types";
import { AnchorError } from "../errors.js";
import { ELEMENT_BYTES } from "./bytes.js";
import { chain, ELEMENTS_PER_CALL } from "./chain.js";
import { nativeCore } from "./native.js";
import { assertThreads, decodeScalars, encodeScalars } from "./poseidon.js";
import { assertScalar, bytesToBigInt } from "./scalar.js";

const SCALAR_BYTES = 32;
const STEP_BYTES = ELEMENTS_PER_CALL * SCALAR_BYTES;

/**
 * How numbers become unsigned keys of the same size in the same order: as they are; with the top bit flipped; or, for
 * IEEE 754 and bfloat16, with the top bit flipped, and all bits where it was set. The NaN are outermost.
 */
export const PACKING_MODES = { unsigned: 0, signed: 1, float: 2 } as const;

/**
 * @param capacity of all chains
 * @param starts   one for all, or one a chain
 * @param blocks   15 elements for each step, chain after chain
 * @param steps    how many each chain has
 * @param threads  of the native core, from 1 to 256; JavaScript uses the caller's alone
 * @returns a scalar a chain: what it comes to, its start where it has no steps
 * @throws INPUT_INVALID for lengths that do not fit, and for values that are no scalars
 */
export function chains(
  capacity: Uint8Array,
  starts: Uint8Array,
  blocks: Uint8Array,
  steps: Uint32Array,
  threads = 1,
): Uint8Array {
  // Checked here, and not by the core alone: the answers must not depend on who serves.
  if (!isUint8Array(capacity) || !isUint8Array(starts) || !isUint8Array(blocks) || !isUint32Array(steps)) {
    throw invalid("chains takes capacity, starts and blocks as Uint8Arrays, and steps as a Uint32Array");
  }
  assertThreads(threads);
  const count = steps.length;
  if (capacity.length !== SCALAR_BYTES) throw invalid("chains takes one capacity");
  if (starts.length !== SCALAR_BYTES && starts.length !== count * SCALAR_BYTES) {
    throw invalid("chains takes one start, or one for each chain");
  }
  let total = 0;
  for (const n of steps) total += n;
  if (blocks.length !== total * STEP_BYTES) throw invalid("chains takes 15 elements for each step");
  const core = nativeCore();
  if (core) return core.poseidonChains(capacity, starts, blocks, steps, { threads });
  const tag = scalarAt(capacity, 0, "capacity");
  const one = starts.length === SCALAR_BYTES ? scalarAt(starts, 0, "start") : undefined;
  let at = 0;
  const ends = Array.from(steps, (n, i) => {
    let h = one ?? scalarAt(starts, i, "start");
    for (let step = 0; step < n; step++, at += STEP_BYTES) {
      const block = decodeScalars(blocks.subarray(at, at + STEP_BYTES));
      for (const element of block) assertScalar(element, "element");
      h = chain(tag, h, block);
    }
    return h;
  });
  return encodeScalars(ends);
}

/**
 * Chains over contents: ⌊31/size⌋ numbers an element, first number highest, 15 elements a step, zeros after the last.
 * Bytes are numbers of one byte.
 *
 * @param capacity of all chains
 * @param start    of all chains
 * @param data     where contents lie, numbers little-endian
 * @param offsets  where each content begins, and the last one ends
 * @param packings for each content, the size of a number in bytes (1, 2, 4 or 8; floats have at least 2) and one of
 *   {@link PACKING_MODES}
 * @param threads  of the native core, from 1 to 256; JavaScript uses the caller's alone
 * @returns a scalar a content; the start for one that is empty
 * @throws INPUT_INVALID for lengths that do not fit, and for a content that is not whole numbers
 */
export function contentDigests(
  capacity: Uint8Array,
  start: Uint8Array,
  data: Uint8Array,
  offsets: Float64Array,
  packings: Uint8Array,
  threads = 1,
): Uint8Array {
  if (!isUint8Array(capacity) || !isUint8Array(start) || !isUint8Array(data) || !isUint8Array(packings)) {
    throw invalid("contentDigests takes capacity, start, data and packings as Uint8Arrays");
  }
  if (!isFloat64Array(offsets)) throw invalid("contentDigests takes offsets as a Float64Array");
  assertThreads(threads);
  if (capacity.length !== SCALAR_BYTES || start.length !== SCALAR_BYTES) {
    throw invalid("contentDigests takes one capacity and one start");
  }
  const count = packings.length / 2;
  if (!Number.isInteger(count) || offsets.length !== count + 1) {
    throw invalid("contentDigests takes two bytes of packing a content, and one offset more than contents");
  }
  for (let i = 0; i <= count; i++) {
    const offset = offsets[i]!;
    if (!Number.isInteger(offset) || offset < (i === 0 ? 0 : offsets[i - 1]!) || offset > data.length) {
      throw invalid("offsets must be integers, in order and within the data");
    }
  }
  for (let i = 0; i < count; i++) {
    const [size, mode] = [packings[2 * i]!, packings[2 * i + 1]!];
    if (![1, 2, 4, 8].includes(size) || mode > PACKING_MODES.float || (size === 1 && mode === PACKING_MODES.float)) {
      throw invalid(`there is no packing of size ${size} and mode ${mode}`);
    }
    if ((offsets[i + 1]! - offsets[i]!) % size !== 0)
      throw invalid(`content ${i} is not whole numbers of ${size} bytes`);
  }
  const core = nativeCore();
  if (core) return core.contentDigests(capacity, start, data, offsets, packings, { threads });
  const [tag, h] = [scalarAt(capacity, 0, "capacity"), scalarAt(start, 0, "start")];
  const digests = Array.from({ length: count }, (_, i) =>
    chain(tag, h, packNumbers(data.subarray(offsets[i]!, offsets[i + 1]!), packings[2 * i]!, packings[2 * i + 1]!)),
  );
  return encodeScalars(digests);
}

/** The elements of a content. */
function packNumbers(data: Uint8Array, size: number, mode: number): bigint[] {
  const each = Math.floor(ELEMENT_BYTES / size);
  const elements: bigint[] = [];
  for (let from = 0; from < data.length; from += each * size) {
    const element = new Uint8Array(each * size);
    const length = Math.min(element.length, data.length - from);
    for (let at = 0; at < length; at += size) {
      const negative = data[from + at + size - 1]! >= 0x80;
      const flip = mode === PACKING_MODES.float && negative ? 0xff : 0;
      for (let i = 0; i < size; i++) element[at + i] = data[from + at + size - 1 - i]! ^ flip;
      if (mode !== PACKING_MODES.unsigned && flip === 0) element[at] = element[at]! ^ 0x80;
    }
    elements.push(bytesToBigInt(element));
  }
  return elements;
}

function scalarAt(bytes: Uint8Array, index: number, name: string): bigint {
  const value = decodeScalars(bytes.subarray(index * SCALAR_BYTES, (index + 1) * SCALAR_BYTES))[0]!;
  assertScalar(value, name);
  return value;
}

function invalid(problem: string): AnchorError {
  return new AnchorError("INPUT_INVALID", problem);
}
