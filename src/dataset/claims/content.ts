/**
 * "I know every element of every record", alone or with all numbers in a range: the claims, and what they say. Their segments
 * are planned in planContent.ts.
 *
 * @module
 */

import { AnchorError } from "../../errors.js";
import { initialState, integritySignal, type RangeShape } from "../circuit/content.js";
import { CLAIM_CODES, type Claim, type ClaimFamily, claimSignal } from "../claims.js";
import { chunkCount, MAX_RANK, type RootOpening } from "../layout.js";
import { type Column, type Dtype, dtypeOfKind, packing, recordKind } from "../record.js";
import { claimInvalid } from "./chunks.js";
import { keyBounds } from "./keys.js";

export type IntegrityClaim = Extract<Claim, { type: "integrity" }>;
export type BytesClaim = Extract<Claim, { type: "bytes" }>;
export type NumbersClaim = Extract<Claim, { type: "numbers" }>;
export type ContentClaim = IntegrityClaim | BytesClaim | NumbersClaim;

export interface ContentResult {
  readonly records: number;
  /** Steps of all contents: 15 elements each. */
  readonly blocks: number;
  /**
   * Bytes or numbers. With a range, that many are shown to be there. Without, it is what the descriptions say, added up
   * modulo r.
   */
  readonly values: number;
}

/** What a claim about numbers says, and what its circuits depend on. */
export interface ContentRange extends RangeShape {
  readonly kind: bigint;
  readonly dtype: Dtype;
  readonly width: 1 | 2 | 4 | 8;
  readonly min: bigint;
  readonly max: bigint;
}

export const contentFamily: ClaimFamily<IntegrityClaim, ContentResult> = familyOf(false);
export const bytesFamily: ClaimFamily<BytesClaim, ContentResult> = familyOf(true);
export const numbersFamily: ClaimFamily<NumbersClaim, ContentResult> = familyOf(true);

function familyOf<C extends ContentClaim>(ranged: boolean): ClaimFamily<C, ContentResult> {
  return {
    signals: (claim, { columns }) => contentSignals(claim, columns),
    initial: () => initialState(ranged),
    result: (_, last, opening) => resultOf(last, opening, ranged),
  };
}

/** The `claim` signal of the claim's only type of circuit. @throws CLAIM_INVALID */
export function contentSignals(claim: ContentClaim, columns: readonly Column[]): Record<string, bigint> {
  if (claim.type === "integrity") return { datasetContent: integritySignal() };
  const { kind, min, max, width } = rangeOf(claim, columns);
  const params = [kind, min, max, BigInt(width)];
  return claim.type === "bytes"
    ? { datasetBytes: claimSignal(CLAIM_CODES.bytes, params) }
    : { datasetNumbers: claimSignal(CLAIM_CODES.numbers, params) };
}

function resultOf(last: readonly bigint[], { totals }: RootOpening, ranged: boolean): ContentResult {
  const { records, blocks, values } = totals;
  // As in the beginning, but for the counts: nothing is open.
  const expected = initialState(ranged);
  expected[0] = BigInt(chunkCount(records));
  expected.splice(5, 3, BigInt(records), BigInt(blocks), BigInt(values));
  const whole =
    Array.isArray(last) && last.length === expected.length && expected.every((field, i) => field === last[i]);
  if (!whole) {
    throw new AnchorError("PROOF_SET_INVALID", "the last state is not that of a run over all records and contents");
  }
  return { records, blocks, values };
}

/** @throws CLAIM_INVALID */
export function rangeOf(claim: BytesClaim | NumbersClaim, columns: readonly Column[]): ContentRange {
  const { type, kind } = claim;
  const dtype = checkedDtype(kind, columns);
  const { mode, size } = packing(dtype);
  if (type === "bytes" && (size !== 1 || mode !== "unsigned")) {
    throw claimInvalid(`a claim about bytes is about bytes, text, u8 or bool, not ${dtype}`);
  }
  if (type === "numbers" && (dtype === "bytes" || dtype === "text")) {
    throw claimInvalid(`a claim about numbers is about tensors, not ${dtype}`);
  }
  const [min, max] = [claim.min, claim.max].map((bound) => {
    if (type === "bytes" ? !Number.isInteger(bound) : typeof bound !== "bigint") {
      throw claimInvalid(`the bounds of ${type} are ${type === "bytes" ? "integers" : "keys, as bigints"}`);
    }
    return BigInt(bound);
  }) as [bigint, bigint];
  const [lowest, highest] = keyBounds(dtype);
  if (min > max || min < lowest || max > highest) {
    throw claimInvalid(`a range of ${dtype} lies in ${lowest} to ${highest}, the smaller bound first`);
  }
  const bits = Math.max(1, (max - min).toString(2).length);
  const exact = max - min === (1n << BigInt(bits)) - 1n;
  return { kind, dtype, width: size as ContentRange["width"], min, max, bits, exact };
}

/** @throws CLAIM_INVALID for what is no kind of a record with these columns */
function checkedDtype(kind: bigint, columns: readonly Column[]): Dtype {
  if (typeof kind !== "bigint" || kind < 0n || kind >= 1n << 56n) throw claimInvalid("a kind has 56 bits");
  const field = (at: number, bits: number) => Number((kind >> BigInt(at)) & ((1n << BigInt(bits)) - 1n));
  const dtype = dtypeOfKind(kind);
  const [rank, base, exponent, cells] = [field(16, 8), field(24, 8), field(32, 16) - 2 ** 15, field(48, 8)];
  if (dtype === undefined || rank > MAX_RANK || ![0, 2, 10].includes(base)) throw claimInvalid("there is no such kind");
  const shape = new Array<number>(rank).fill(0);
  const scale = base === 0 ? undefined : { base: base as 2 | 10, exponent };
  const same = recordKind({ dtype, shape, scale, cells: new Array<null>(cells).fill(null) });
  if (same !== kind) throw claimInvalid("there is no such kind");
  if (cells !== columns.length) {
    throw claimInvalid(`records have ${columns.length} cells, those of this kind ${cells}`);
  }
  return dtype;
}
