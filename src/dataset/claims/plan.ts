/**
 * Which proofs show which claim about a dataset.
 *
 * @module
 */

import type { Hex } from "../../field/bytes.js";
import type { Claim, Segment } from "../claims.js";
import type { OpenDataset } from "../dataset.js";
import { pauses } from "../pauses.js";
import { planColumn } from "./column.js";
import { planDistinct } from "./distinct.js";
import { planLabels } from "./labels.js";
import { planContent } from "./planContent.js";

export interface PlanOptions {
  /** What the set is bound to, for challenges. */
  readonly challenge: Hex;
  /** Where a plan's own random values come from, so that planning again gives the same. */
  readonly secret: Uint8Array;
  readonly signal?: AbortSignal | undefined;
  /** Sizes of circuits, for tests. */
  readonly sizes?: CircuitSizes | undefined;
}

export interface CircuitSizes {
  /** Records of a chunk. */
  readonly records?: number | undefined;
  /** Steps of the circuits for contents, and of that for sorted lists. */
  readonly steps?: readonly number[] | undefined;
}

/**
 * A claim's segments, in order: the last one's state says how the claim came out.
 *
 * @throws CLAIM_INVALID for a claim that makes no sense, or not for this dataset; CLAIM_FALSE for one that does not hold;
 *   ABORTED
 */
export async function planClaim(dataset: OpenDataset, claim: Claim, options: PlanOptions): Promise<Segment[]> {
  const segments: Segment[] = [];
  const pause = pauses(options.signal);
  for await (const segment of plan(dataset, claim, options)) {
    segments.push(segment);
    await pause();
  }
  return segments;
}

function plan(
  dataset: OpenDataset,
  claim: Claim,
  { challenge, secret, signal, sizes = {} }: PlanOptions,
): Iterable<Segment> | AsyncIterable<Segment> {
  const { records, steps } = sizes;
  switch (claim.type) {
    case "integrity":
    case "bytes":
    case "numbers":
      return planContent(dataset, claim, { sizes: steps, chunkRecords: records });
    case "labels":
      return planLabels(dataset, claim, records);
    case "column":
      return planColumn(dataset, claim, records);
    case "distinct":
      return planDistinct(dataset, claim, { challenge, secret, signal, sizes: { records, steps: steps?.[0] } });
  }
}
