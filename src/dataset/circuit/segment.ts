/**
 * Twin of `circuits/dataset/record_segment.circom`: what all segments of claims about records have in common.
 *
 * @module
 */

import { bit, type Element, element, elements, equate } from "../../circuit/synthesis/elements.js";
import { nonZero } from "../../circuit/synthesis/gadgets.js";
import type { Synthesis } from "../../circuit/synthesis/synthesis.js";
import { AnchorError } from "../../errors.js";
import { assertScalar } from "../../field/scalar.js";
import { commitState as commitFields, type SegmentSignals } from "../claims.js";
import {
  type ChunkInputs,
  type ChunkShape,
  type ChunkValues,
  checkChunk,
  checkContext,
  chunkInputCount,
  chunkInputs,
  recordChunk,
} from "./records.js";
import { claimDigest, commitState } from "./shared.js";

/** The chunk's index is the first field of `before`. */
export interface RecordSegmentRequest extends SegmentSignals, Omit<ChunkValues, "index"> {
  /** What `claim` is the digest of. */
  readonly params: readonly bigint[];
}

/** A family of claims about records. */
export interface SegmentFamily extends ChunkShape {
  readonly code: bigint;
  /** Numbers of parameters, and of fields of a state. */
  readonly params: number;
  readonly fields: number;
}

export const SEGMENT_SIGNALS = ["root", "claim", "before", "after", "context"] as const;

/** Inputs, in the order of the templates. */
export interface SegmentInputs {
  readonly claim: Element;
  readonly before: Element;
  readonly after: Element;
  readonly context: Element;
  readonly params: readonly Element[];
  readonly state: readonly Element[];
  readonly beforeSalt: Element;
  readonly afterSalt: Element;
  readonly chunk: ChunkInputs;
}

/** Number of private inputs that {@link segmentInputs} allocates. */
export function segmentInputCount(family: SegmentFamily): number {
  return family.params + family.fields + 2 + chunkInputCount(family);
}

/** @throws CONTEXT_ZERO, INPUT_INVALID for values that do not fit the circuit */
export function checkSegment(family: SegmentFamily, request: RecordSegmentRequest): void {
  const { params, before, after, claim, beforeSalt, afterSalt, context } = request;
  if (params.length !== family.params || before.length !== family.fields || after.length !== family.fields) {
    throw new AnchorError("INPUT_INVALID", "the claim's parameters or states are not of the circuit's size");
  }
  for (const value of [...params, ...before, ...after, claim, beforeSalt, afterSalt]) {
    assertScalar(value, "an input of the segment");
  }
  checkChunk(family, { ...request, index: before[0]! });
  checkContext(context);
}

/** Allocates the public inputs that all segments have. */
export function signalInputs(s: Synthesis, request: SegmentSignals | undefined) {
  return {
    root: element(s, request?.root ?? 0n, "root"),
    claim: element(s, request?.claim ?? 0n, "claim"),
    before: element(s, request ? commitFields(request.before, request.beforeSalt) : 0n, "before"),
    after: element(s, request ? commitFields(request.after, request.afterSalt) : 0n, "after"),
    context: element(s, request?.context ?? 0n, "context"),
  };
}

/** Allocates all public inputs, and the private ones that families have in common. */
export function segmentInputs(
  s: Synthesis,
  family: SegmentFamily,
  request: RecordSegmentRequest | undefined,
): SegmentInputs {
  const zeros = (count: number) => new Array<bigint>(count).fill(0n);
  const { root, claim, before, after, context } = signalInputs(s, request);
  const params = elements(s, request?.params ?? zeros(family.params), "param");
  const state = elements(s, request?.before ?? zeros(family.fields), "state");
  const beforeSalt = element(s, request?.beforeSalt ?? 0n, "beforeSalt");
  const afterSalt = element(s, request?.afterSalt ?? 0n, "afterSalt");
  const index = state[0]!;
  const chunk = chunkInputs(s, family, { root, index }, request && { ...request, index: index.value });
  return { claim, before, after, context, params, state, beforeSalt, afterSalt, chunk };
}

/** `RecordSegment`, as a component `segment`: a bit for each slot, 1 where there is a record, and their number. */
export function recordSegment(
  s: Synthesis,
  { code }: SegmentFamily,
  { claim, before, context, params, state, beforeSalt, chunk }: SegmentInputs,
): { real: Element[]; count: Element } {
  s.enter("segment");
  nonZero(s, "bound", context);
  claimDigest(s, "digest", Number(code), params, claim);
  commitState(s, "from", state, beforeSalt, before);
  const records = recordChunk(s, "chunk", chunk);
  for (const [i, { wire }] of records.real.entries()) if (i > 0) s.alias(wire, "real", i);
  s.alias(records.count.wire, "count");
  s.leave();
  return records;
}

/** The state afterwards under `after`, as a component `to`; each field is a wire of its own. */
export function commitAfter(s: Synthesis, fields: readonly Element[], { after, afterSalt }: SegmentInputs): void {
  commitState(s, "to", fields, afterSalt, after);
}

/** `count` bits, of which the one numbered `chosen - from` is set; none in a witness that no row would take. */
export function oneHot(s: Synthesis, name: string, chosen: Element, from: number, count: number): Element[] {
  const marks = s.combination(-1);
  const place = s.combination();
  const bits: Element[] = [];
  for (let k = 0; k < count; k++) {
    const value = chosen.value === BigInt(from + k) ? 1 : 0;
    const mark = bit(s, value, name, k);
    marks.add(1, mark.wire);
    place.add(from + k, mark.wire);
    bits.push(mark);
  }
  equate(s, marks);
  equate(s, place.add(-1, chosen.wire));
  return bits;
}
