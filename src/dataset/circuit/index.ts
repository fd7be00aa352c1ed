/**
 * The circuits of datasets, by what they show.
 *
 * @module
 */
import type { Program } from "../../circuit/synthesis/program.js";
import { AnchorError } from "../../errors.js";
import { type ColumnRequest, type ColumnShape, columnProgram } from "./column.js";
import { labelsProgram } from "./labels.js";
import { type ChunkRequest, type ChunkShape, chunkProgram } from "./records.js";
import type { RecordSegmentRequest } from "./segment.js";
import { type Sha256Request, type Sha256Shape, sha256Program } from "./sha256.js";

/** Names a circuit. Plain data: it crosses to the pool's workers. */
export type DatasetProgramSpec =
  | ({ readonly kind: "chunk" } & ChunkShape)
  | ({ readonly kind: "labels" } & ChunkShape)
  | ({ readonly kind: "column" } & ColumnShape)
  | ({ readonly kind: "sha256" } & Sha256Shape);

/** What a proof by such a circuit is about. */
export interface DatasetRequests {
  chunk: ChunkRequest;
  labels: RecordSegmentRequest;
  column: ColumnRequest;
  sha256: Sha256Request;
}

export type DatasetRequest = DatasetRequests[keyof DatasetRequests];

type Programs = {
  [K in keyof DatasetRequests]: (spec: Extract<DatasetProgramSpec, { kind: K }>) => Program<DatasetRequests[K]>;
};

const PROGRAMS: Programs = {
  chunk: chunkProgram,
  labels: labelsProgram,
  column: columnProgram,
  sha256: sha256Program,
};

/** @throws INPUT_INVALID for a circuit that there is not */
export function datasetProgram<Spec extends DatasetProgramSpec>(spec: Spec): Program<DatasetRequests[Spec["kind"]]> {
  const make = Object.hasOwn(PROGRAMS, spec.kind) ? PROGRAMS[spec.kind] : undefined;
  if (!make) throw new AnchorError("INPUT_INVALID", `there is no circuit of datasets called ${String(spec.kind)}`);
  return (make as (spec: DatasetProgramSpec) => Program<unknown>)(spec) as Program<DatasetRequests[Spec["kind"]]>;
}

export type { ColumnRequest, ColumnShape } from "./column.js";
export type { ChunkRequest, ChunkShape, ChunkValues } from "./records.js";
export type { RecordSegmentRequest } from "./segment.js";
export {
  planSha256,
  SHA256_BLOCKS,
  type Sha256Claim,
  type Sha256Request,
  type Sha256Shape,
  sha256Capacity,
  sha256Signals,
} from "./sha256.js";
