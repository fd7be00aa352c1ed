/**
 * Which proofs show which claim about a dataset.
 *
 * @module
 */
import { AnchorError, throwIfAborted } from "../errors.js";
import type { Hex } from "../field/bytes.js";
import type { ChunkRequest } from "./circuit/index.js";
import { planColumn } from "./claims/column.js";
import { planLabels } from "./claims/labels.js";
import type { Claim, Segment } from "./claims.js";
import { chunkPath } from "./commit.js";
import type { OpenDataset } from "./dataset.js";
import { CHUNK_RECORDS, chunkBlinds } from "./layout.js";

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
}

/** Milliseconds of planning between two looks at the signal. */
const SLICE_MS = 50;

/**
 * A claim's segments, in order: the last one's state says how the claim came out.
 *
 * @throws CLAIM_INVALID for a claim that makes no sense, or not for this dataset; CLAIM_FALSE for one that does not hold;
 *   ABORTED
 */
export async function planClaim(dataset: OpenDataset, claim: Claim, options: PlanOptions): Promise<Segment[]> {
  const segments: Segment[] = [];
  let since = performance.now();
  for (const segment of plan(dataset, claim, options)) {
    segments.push(segment);
    if (performance.now() - since < SLICE_MS) continue;
    await new Promise(setImmediate);
    throwIfAborted(options.signal);
    since = performance.now();
  }
  return segments;
}

function plan(dataset: OpenDataset, claim: Claim, { sizes }: PlanOptions): Iterable<Segment> {
  switch (claim.type) {
    case "labels":
      return planLabels(dataset, claim, sizes?.records);
    case "column":
      return planColumn(dataset, claim, sizes?.records);
    default:
      throw new AnchorError("CLAIM_INVALID", `there is no claim of type ${String(claim.type)}`);
  }
}

/** What a chunk's proof is made from. @throws DATASET_CHUNK_UNKNOWN */
export function chunkRequest(dataset: OpenDataset, index: number): Omit<ChunkRequest, "context"> {
  const { root, opening } = dataset.commitment;
  const { records, blocks, values } = opening.totals;
  const { group } = chunkPath(dataset, index);
  const first = CHUNK_RECORDS * index;
  const descriptions = dataset.descriptions(first, Math.min(CHUNK_RECORDS, records - first));
  return {
    root,
    index: BigInt(index),
    descriptions,
    blinds: chunkBlinds(dataset.seed, index, descriptions.length),
    group,
    opening: [...[records, blocks, values].map(BigInt), opening.schema],
  };
}
