/**
 * Recorded evidence of real machines, for the demo and the benchmark, where somebody has put it: it is third-party data and no
 * part of the package.
 *
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { PACKAGE_ROOT } from "../../paths.js";
import type { Evidence } from "../evidence.js";
import { importCollateral } from "../import/index.js";
import { readEvidence } from "../recognise.js";
import type { Lab } from "./bytes.js";

/** A folder with `cases.json`, as `ANCHORPROOF_TEE_VECTORS` names it or as it lies beside a checkout of the project. */
export function recordedFolder(): string | undefined {
  const folder = process.env["ANCHORPROOF_TEE_VECTORS"] ?? join(PACKAGE_ROOT, "..", "shared", "vectors", "tee");
  return existsSync(join(folder, "cases.json")) ? folder : undefined;
}

/**
 * One recorded case, to be verified against the pinned roots.
 *
 * @param evidence  file name of the evidence
 * @param collateral file names of what goes with it
 * @param now        Unix seconds at which it was valid
 */
export function recorded(
  folder: string,
  path: readonly string[],
  evidence: string,
  collateral: readonly string[],
  now: number,
): Lab<Evidence> {
  const read = (name: string) => new Uint8Array(readFileSync(join(folder, ...path, name)));
  const found = readEvidence(read(evidence)).evidence!;
  const imported = importCollateral(collateral.map((name) => ({ name, bytes: read(name) })));
  return { now, roots: {}, evidence: found, collateral: imported };
}
