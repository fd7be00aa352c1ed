/**
 * The circuits of datasets, by what they show.
 *
 * @module
 */
import type { Program } from "../../circuit/synthesis/program.js";
import { AnchorError } from "../../errors.js";
import { type ChunkRequest, type ChunkShape, chunkProgram } from "./records.js";

/** Names a circuit. Plain data: it crosses to the pool's workers. */
export type DatasetProgramSpec = { readonly kind: "chunk" } & ChunkShape;

/** What a proof by such a circuit is about. */
export interface DatasetRequests {
  chunk: ChunkRequest;
}

export type DatasetRequest = DatasetRequests[keyof DatasetRequests];

/** @throws INPUT_INVALID for a circuit that there is not */
export function datasetProgram<Spec extends DatasetProgramSpec>(spec: Spec): Program<DatasetRequests[Spec["kind"]]> {
  const programs: { [K in keyof DatasetRequests]: (spec: DatasetProgramSpec) => Program<DatasetRequests[K]> } = {
    chunk: (own) => chunkProgram(own),
  };
  const make = Object.hasOwn(programs, spec.kind) ? programs[spec.kind] : undefined;
  if (!make) throw new AnchorError("INPUT_INVALID", `there is no circuit of datasets called ${String(spec.kind)}`);
  return make(spec) as Program<DatasetRequests[Spec["kind"]]>;
}

export type { ChunkRequest, ChunkShape, ChunkValues } from "./records.js";
