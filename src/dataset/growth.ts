/**
 * Growth: "the new dataset's first records are the old dataset's", whatever both hold.
 *
 * @module
 */
import { AnchorError } from "../errors.js";
import { isScalar } from "../field/scalar.js";
import type { GrowthRequest, GrowthShape } from "./circuit/growth.js";
import { chunkPath, treeLevels } from "./commit.js";
import type { OpenDataset } from "./dataset.js";
import { absorbRecord, chunkBlinds, hashRoot, STARTS } from "./layout.js";
import { type OpeningOptions, tailOf } from "./opening.js";

/** What a verifier knows of a growth. */
export interface Growth {
  readonly oldRoot: bigint;
  readonly newRoot: bigint;
  readonly oldRecords: number;
  readonly newRecords: number;
}

/** The public signals of a growth, but for the context. @throws STATEMENT_INVALID */
export function growthSignals({ oldRoot, newRoot, oldRecords, newRecords }: Growth): bigint[] {
  const counts = [oldRecords, newRecords];
  if (!counts.every(Number.isSafeInteger) || oldRecords < 1 || newRecords < oldRecords) {
    throw new AnchorError("STATEMENT_INVALID", "a dataset grows from at least one record, and does not shrink");
  }
  const signals = [oldRoot, newRoot, ...counts.map(BigInt)];
  if (!signals.every(isScalar)) throw new AnchorError("STATEMENT_INVALID", "a root, or a digest, is a field element");
  return signals;
}

/** What is left of a dataset that has grown since: its opening, and the roots of its chunks. */
export type OldDataset = Pick<OpenDataset, "chunkRoots"> & {
  readonly commitment: Pick<OpenDataset["commitment"], "root" | "opening">;
};

/**
 * The request for a dataset that has grown, and the smallest circuit that takes it. The new dataset has to be blinded from
 * the old one's seed.
 *
 * @throws CLAIM_FALSE for a dataset that is no growth of the old one, DATASET_MISMATCH for chunks that are not the old root's
 */
export function planGrowth(
  old: OldDataset,
  dataset: OpenDataset,
  { sizes }: Pick<OpeningOptions, "sizes"> = {},
): { spec: { kind: "growth" } & GrowthShape; claim: Growth; request: Omit<GrowthRequest, "context"> } {
  const [before, after] = [old.commitment.opening, dataset.commitment.opening];
  const [oldRecords, newRecords] = [before.totals.records, after.totals.records];
  if (newRecords < oldRecords) {
    throw new AnchorError("CLAIM_FALSE", `the dataset has shrunk, from ${oldRecords} records to ${newRecords}`);
  }
  if (before.schema !== after.schema) throw new AnchorError("CLAIM_FALSE", "the two datasets have other columns");
  const { shape, size, chunk, first, count } = tailOf(oldRecords - 1, newRecords, sizes);
  checkOld(old, chunk + 1);
  const descriptions = dataset.descriptions(first, count);
  const blinds = chunkBlinds(dataset.seed, chunk, count);
  const kept = oldRecords - first;
  const last = descriptions.slice(0, kept).reduce((at, each, i) => absorbRecord(at, each, blinds[i]!), STARTS.chunk);
  const same = (root: bigint, i: number) => root === (i === chunk ? last : dataset.chunkRoots[i]);
  const differs = old.chunkRoots.findIndex((root, i) => !same(root, i));
  if (differs >= 0) {
    const [from, to] = [differs * size, Math.min((differs + 1) * size, oldRecords)];
    throw new AnchorError(
      "CLAIM_FALSE",
      `records ${from} to ${to - 1} are not all as they were, or are blinded from another seed`,
      { details: { chunk: differs } },
    );
  }
  const totals = ({ blocks, values }: { blocks: number; values: number }) => [blocks, values].map(BigInt);
  const [oldRoot, newRoot] = [old.commitment.root, dataset.commitment.root];
  return {
    spec: { kind: "growth", ...shape, oldDepth: before.depth, newDepth: after.depth },
    claim: { oldRoot, newRoot, oldRecords, newRecords },
    request: {
      oldRoot,
      newRoot,
      oldRecords: BigInt(oldRecords),
      newRecords: BigInt(newRecords),
      last,
      following: descriptions.slice(kept),
      followingBlinds: blinds.slice(kept),
      group: chunkPath(dataset, chunk).group,
      oldTotals: totals(before.totals),
      newTotals: totals(after.totals),
      schema: before.schema,
    },
  };
}

/** @throws DATASET_MISMATCH */
function checkOld({ commitment, chunkRoots }: OldDataset, chunks: number): void {
  const { root, opening } = commitment;
  const top = chunkRoots.length === chunks ? treeLevels(chunkRoots, opening.depth).at(-1)![0] : undefined;
  if (top === opening.top && hashRoot(opening) === root) return;
  throw new AnchorError("DATASET_MISMATCH", "the old chunks are not those of the old root");
}
