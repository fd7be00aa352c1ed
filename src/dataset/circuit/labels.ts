/**
 * Twin of `circuits/dataset/labels.circom`.
 *
 * @module
 */

import { addElement, type Element, element, linear, only, product } from "../../circuit/synthesis/elements.js";
import { isZero } from "../../circuit/synthesis/gadgets.js";
import type { Program } from "../../circuit/synthesis/program.js";
import { mod } from "../../field/scalar.js";
import { CLAIM_CODES } from "../claims.js";
import { AT, CHUNK_RECORDS } from "../layout.js";
import { type ChunkShape, checkShape } from "./records.js";
import {
  checkSegment,
  commitAfter,
  oneHot,
  type RecordSegmentRequest,
  recordSegment,
  SEGMENT_SIGNALS,
  type SegmentFamily,
  segmentInputCount,
  segmentInputs,
} from "./segment.js";
import { mainComponent } from "./shared.js";

/** Most labels of a claim. */
export const MAX_LABELS = 16;
/** Places of what is no label's in parameters and states. */
export const LABEL_HEAD = 2;

/** "Each of the chunk's records has one of these labels, and each of them this often." */
export function labelsProgram(shape: ChunkShape): Program<RecordSegmentRequest> {
  checkShape(shape);
  const { records = CHUNK_RECORDS, depth } = shape;
  const name = `dataset-labels-${records}-${depth}`;
  const size = LABEL_HEAD + MAX_LABELS;
  const family: SegmentFamily = { ...shape, code: CLAIM_CODES.labels, params: size, fields: size };
  return {
    name,
    circom: mainComponent(name, "labels", SEGMENT_SIGNALS, `DatasetLabels(${records}, ${depth})`),
    publicSignals: SEGMENT_SIGNALS,
    privateInputs: segmentInputCount(family),
    synthesise(s, request) {
      if (request) checkSegment(family, request);
      const inputs = segmentInputs(s, family, request);
      const { params, state, chunk } = inputs;
      const { real, count } = recordSegment(s, family, inputs);

      const [labels, counts, ...digests] = params as [Element, Element, ...Element[]];
      const last = oneHot(s, "last", labels, 1, MAX_LABELS);
      s.row(only(s, counts), s.combination(-1).add(1, counts.wire), s.combination());

      const hits = digests.map(() => ({ value: 0n, sum: s.combination() }));
      for (const [i, description] of chunk.descriptions.entries()) {
        const label = description[AT.label]!;
        const others = s.combination(1);
        for (const [j, digest] of digests.entries()) {
          const value = mod(label.value - digest.value);
          const input = linear(s, only(s, label).add(-1, digest.wire), value, `same[${i}][${j}].in`);
          const same = isZero(s, `same[${i}]`, j, input);
          const match = element(s, BigInt(j) < labels.value ? same.value : 0n, `match[${i}]`, j);
          const meant = s.combination();
          for (const { wire } of last.slice(j)) meant.add(1, wire);
          s.row(only(s, same), meant, only(s, match));
          const hit = product(s, match, real[i]!, `hit[${i}]`, j);
          others.add(-1, match.wire);
          hits[j]!.value += hit.value;
          hits[j]!.sum.add(1, hit.wire);
        }
        s.row(only(s, real[i]!), others, s.combination());
      }

      const [index, records, ...before] = state as [Element, Element, ...Element[]];
      const next = [
        linear(s, addElement(s.combination(1), 1, index), index.value + 1n, "to.field", 0),
        linear(s, addElement(only(s, records), 1, count), records.value + count.value, "to.field", 1),
      ];
      for (const [j, { value, sum }] of hits.entries()) {
        const old = before[j]!;
        const field = element(s, mod(old.value + counts.value * value), "to.field", LABEL_HEAD + j);
        s.row(only(s, counts), sum, only(s, field).add(-1, old.wire));
        next.push(field);
      }
      commitAfter(s, next, inputs);
    },
  };
}
