/**
 * Real evidence, which lies beside the project and is no part of it. Where it is absent, tests of it skip and say so.
 *
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { PACKAGE_ROOT } from "../../src/paths.js";

const FOLDER = process.env["ANCHORPROOF_TEE_VECTORS"] ?? join(PACKAGE_ROOT, "..", "shared", "vectors", "tee");

/** The folder of the vectors, if it is there. */
export const VECTORS: string | undefined = existsSync(join(FOLDER, "cases.json")) ? FOLDER : undefined;

if (VECTORS === undefined) console.warn(`no attestation vectors at ${FOLDER}: tests of real evidence are skipped`);

export interface Case {
  id: string;
  kind: string;
  files: string[];
  /** Unix seconds for Intel, an ISO time elsewhere. */
  at?: number | string;
  expect: unknown;
  [field: string]: unknown;
}

/** The cases of a kind; none where the vectors are absent. */
export function cases(kind: string): Case[] {
  if (VECTORS === undefined) return [];
  const all = JSON.parse(readFileSync(join(VECTORS, "cases.json"), "utf8")) as Case[];
  return all.filter((each) => each.kind === kind);
}

export function vector(...path: string[]): Uint8Array {
  return new Uint8Array(readFileSync(join(VECTORS!, ...path)));
}

export function vectorText(...path: string[]): string {
  return readFileSync(join(VECTORS!, ...path), "utf8");
}
