/**
 * The circuits of datasets, by what they show.
 *
 * @module
 */
import type { Program } from "../../circuit/synthesis/program.js";
import { AnchorError } from "../../errors.js";
import { type ColumnRequest, type ColumnShape, columnProgram } from "./column.js";
import {
  bytesProgram,
  type ContentRequest,
  type ContentShape,
  contentProgram,
  type NumbersShape,
  numbersProgram,
  type RangedRequest,
  type RangedShape,
} from "./content.js";
import {
  type DistinctListRequest,
  type DistinctListShape,
  type DistinctRecordsRequest,
  distinctListProgram,
  distinctRecordsProgram,
} from "./distinct.js";
import { type GrowthRequest, type GrowthShape, growthProgram } from "./growth.js";
import { labelsProgram } from "./labels.js";
import { type OpeningRequest, type OpeningShape, openingProgram } from "./opening.js";
import { type ChunkRequest, type ChunkShape, chunkProgram } from "./records.js";
import type { RecordSegmentRequest } from "./segment.js";
import { type Sha256Request, type Sha256Shape, sha256Program } from "./sha256.js";

/** Names a circuit. Plain data: it crosses to the pool's workers. */
export type DatasetProgramSpec =
  | ({ readonly kind: "chunk" } & ChunkShape)
  | ({ readonly kind: "distinct" } & ChunkShape)
  | ({ readonly kind: "growth" } & GrowthShape)
  | ({ readonly kind: "opening" } & OpeningShape)
  | ({ readonly kind: "sha256" } & Sha256Shape)
  | ({ readonly kind: "sorted" } & DistinctListShape)
  | ({ readonly kind: "content" } & ContentShape)
  | ({ readonly kind: "bytes" } & RangedShape)
  | ({ readonly kind: "numbers" } & NumbersShape)
  | ({ readonly kind: "labels" } & ChunkShape)
  | ({ readonly kind: "column" } & ColumnShape);

/** What a proof by such a circuit is about. */
export interface DatasetRequests {
  chunk: ChunkRequest;
  distinct: DistinctRecordsRequest;
  growth: GrowthRequest;
  opening: OpeningRequest;
  sha256: Sha256Request;
  sorted: DistinctListRequest;
  content: ContentRequest;
  bytes: RangedRequest;
  numbers: RangedRequest;
  labels: RecordSegmentRequest;
  column: ColumnRequest;
}

export type DatasetRequest = DatasetRequests[keyof DatasetRequests];

type Programs = {
  [K in keyof DatasetRequests]: (spec: Extract<DatasetProgramSpec, { kind: K }>) => Program<DatasetRequests[K]>;
};

const PROGRAMS: Programs = {
  chunk: chunkProgram,
  distinct: distinctRecordsProgram,
  growth: growthProgram,
  opening: openingProgram,
  sha256: sha256Program,
  sorted: distinctListProgram,
  content: contentProgram,
  bytes: bytesProgram,
  numbers: numbersProgram,
  labels: labelsProgram,
  column: columnProgram,
};

/** @throws INPUT_INVALID for a circuit that there is not */
export function datasetProgram<Spec extends DatasetProgramSpec>(spec: Spec): Program<DatasetRequests[Spec["kind"]]> {
  if (!Object.hasOwn(PROGRAMS, spec.kind)) {
    throw new AnchorError("INPUT_INVALID", `there is no circuit of datasets called ${String(spec.kind)}`);
  }
  const make = PROGRAMS[spec.kind] as unknown as (spec: Spec) => Program<DatasetRequests[Spec["kind"]]>;
  return make(spec);
}

export type { ColumnRequest, ColumnShape } from "./column.js";
export type {
  ContentRequest,
  ContentShape,
  ContentStep,
  NumbersShape,
  RangedRequest,
  RangedShape,
} from "./content.js";
export type {
  DistinctChallenges,
  DistinctListRequest,
  DistinctListShape,
  DistinctRecordsRequest,
} from "./distinct.js";
export type { GrowthRequest, GrowthShape } from "./growth.js";
export type { OpeningRequest, OpeningShape } from "./opening.js";
export type { ChunkRequest, ChunkShape, ChunkValues } from "./records.js";
export type { RecordSegmentRequest } from "./segment.js";
export {
  SHA256_BLOCKS,
  type Sha256Request,
  type Sha256Shape,
  sha256Capacity,
} from "./sha256.js";
