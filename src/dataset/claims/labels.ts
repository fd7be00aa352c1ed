/**
 * "Every record's label is one of these": the claim, its segments, and what it says.
 *
 * @module
 */

import { chunkRequest } from "../chunk.js";
import { LABEL_HEAD, MAX_LABELS } from "../circuit/labels.js";
import { CLAIM_CODES, type Claim, type ClaimFamily, claimSignal, type Segment } from "../claims.js";
import type { OpenDataset } from "../dataset.js";
import { AT, CHUNK_RECORDS, digestName } from "../layout.js";
import { checkLabel, checkLast, chunksOf, claimFalse, claimInvalid } from "./chunks.js";

export type LabelsClaim = Extract<Claim, { type: "labels" }>;

export interface LabelsResult {
  readonly records: number;
  /** How many records have each label, in the claim's order; only where that is claimed. */
  readonly counts?: readonly number[] | undefined;
}

/** Number of labels, whether they are counted, 16 digests: zeros after the last label's, which the circuit matches with nothing. */
function labelsParams({ labels, counts }: LabelsClaim): bigint[] {
  const digests = labels.map(digestName);
  const unused = new Array<bigint>(MAX_LABELS - labels.length).fill(0n);
  return [BigInt(labels.length), counts ? 1n : 0n, ...digests, ...unused];
}

/** @throws CLAIM_INVALID */
function checkLabelsClaim(claim: LabelsClaim): void {
  const { labels, counts } = claim;
  if (!Array.isArray(labels) || labels.length < 1 || labels.length > MAX_LABELS) {
    throw claimInvalid(`a claim about labels names 1 to ${MAX_LABELS} of them`);
  }
  for (let i = 0; i < labels.length; i++) checkLabel(labels[i]);
  if (new Set(labels).size !== labels.length) throw claimInvalid("a claim names each label once");
  if (typeof counts !== "boolean") throw claimInvalid("a claim about labels says whether it counts them");
}

export const labelsFamily: ClaimFamily<LabelsClaim, LabelsResult> = {
  signals(claim) {
    checkLabelsClaim(claim);
    return { datasetLabels: claimSignal(CLAIM_CODES.labels, labelsParams(claim)) };
  },
  initial: () => new Array<bigint>(LABEL_HEAD + MAX_LABELS).fill(0n),
  result({ labels, counts }, last, { totals }) {
    checkLast(last, LABEL_HEAD + MAX_LABELS, totals.records);
    const each = last.slice(LABEL_HEAD, LABEL_HEAD + labels.length).map(Number);
    return { records: totals.records, ...(counts ? { counts: each } : {}) };
  },
};

/**
 * The segments that show the claim, one a chunk. Records are read as segments are taken.
 *
 * @param records of a chunk, but for the last
 * @throws CLAIM_INVALID, CLAIM_FALSE
 */
export function* planLabels(
  dataset: OpenDataset,
  claim: LabelsClaim,
  records = CHUNK_RECORDS,
): Generator<Segment, void, undefined> {
  const { root, opening, columns } = dataset.commitment;
  const { datasetLabels: signal } = labelsFamily.signals(claim, { root, opening, columns });
  const params = labelsParams(claim);
  const places = new Map(claim.labels.map((label, j) => [digestName(label), LABEL_HEAD + j]));
  let before = labelsFamily.initial(claim);
  for (const { index, first, descriptions } of chunksOf(dataset, records)) {
    const after = [...before];
    after[0]! += 1n;
    after[1]! += BigInt(descriptions.length);
    for (const [i, description] of descriptions.entries()) {
      const place = places.get(description[AT.label]!);
      if (place === undefined) throw claimFalse("its label is none of the claim's", first + i);
      if (claim.counts) after[place]! += 1n;
    }
    yield {
      spec: { kind: "labels", ...(records === CHUNK_RECORDS ? {} : { records }), depth: opening.depth },
      circuitType: "datasetLabels",
      claim: signal!,
      before,
      after,
      request: () => ({ ...chunkRequest(dataset, index, records), params }),
    };
    before = after;
  }
}
