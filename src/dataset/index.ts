export * from "./chunk.js";
export * from "./circuit/index.js";
export { cellBounds, cellText, decimalText, parseCell } from "./claims/cells.js";
export {
  type ColumnResult,
  type ColumnTerms,
  columnClaim,
  columnExtremes,
  columnFamily,
  planColumn,
} from "./claims/column.js";
export {
  bytesFamily,
  type ContentClaim,
  type ContentResult,
  contentFamily,
  numbersFamily,
} from "./claims/content.js";
export {
  type DistinctClaim,
  type DistinctOptions,
  type DistinctResult,
  distinctChallenges,
  distinctFamily,
  planDistinct,
} from "./claims/distinct.js";
export { type ClaimResult, type ClaimWords, resultToJson } from "./claims/families.js";
export { claimFromJson, claimToJson } from "./claims/json.js";
export { keyText, parseKey } from "./claims/keys.js";
export { type LabelsClaim, type LabelsResult, labelsFamily, planLabels } from "./claims/labels.js";
export { type ContentPlanOptions, contentSizes, planContent } from "./claims/planContent.js";
export {
  type ChunkPath,
  type CommitOptions,
  type CommitProgress,
  chunkPath,
  commitDataset,
  treeLevels,
} from "./commit.js";
export * from "./dataset.js";
export * from "./directory.js";
export {
  commitmentFromJson,
  commitmentToJson,
  DATASET_FILES,
  exportSeed,
  importSeed,
  type PublishedCommitment,
} from "./directoryFiles.js";
export {
  type Fact,
  type FactProof,
  factFromJson,
  factSignals,
  factToJson,
  type ProvenFact,
  type Sha256Link,
  type VerifiedFact,
  verifyFact,
} from "./fact.js";
export { type Growth, growthSignals, type OldDataset, planGrowth } from "./growth.js";
export * from "./layout.js";
export {
  checkOpenedRecord,
  type OpeningOptions,
  openingSignals,
  planOpening,
  type RecordOpening,
} from "./opening.js";
export * from "./pov.js";
export {
  type Expectation,
  MAX_SEGMENTS,
  type ProofSet,
  proofSetFromJson,
  proofSetToJson,
  type SetCircuit,
  type SetSegment,
  type SetTask,
  setDigest,
  type TrustedCircuit,
  type VerifiedSet,
  verifyProofSet,
} from "./proofSet.js";
export * from "./readers/index.js";
export * from "./record.js";
export { planSha256, type Sha256Claim, sha256Signals } from "./sha256.js";
