/**
 * The GPU library for the host, where the emulated card runs the kernels: the same sources as on a card.
 *
 * @module
 */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { nativeStatus } from "../../src/field/native.js";
import { PACKAGE_ROOT } from "../../src/paths.js";

const BUILD = join(PACKAGE_ROOT, "native", "cuda", "build.mjs");

/** Where the unit programs (`unit-*`) and the harness (`anchorproof-cards`) are, too. */
export const CUDA_FOLDER = join(PACKAGE_ROOT, "native", "build", "cuda");

let library: Promise<string> | undefined;

/** Builds it when it is not there. To be called in `beforeAll`, with {@link EMULATED_TIMEOUT}. @returns its path */
export function emulatedLibrary(): Promise<string> {
  return (library ??= build());
}
export const EMULATED_TIMEOUT = 600_000;

/** Whether there is a core that could load it: with `ANCHORPROOF_NATIVE=off` there is nothing to test. */
export function hasCore(): boolean {
  return nativeStatus().available;
}

async function build(): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [BUILD, "--emulated", "--json"]).catch(
    (error: { stdout?: string }) => ({ stdout: error.stdout ?? "" }),
  );
  const { ok, message, file } = JSON.parse(stdout) as { ok: boolean; message: string; file: string };
  if (!ok) throw new Error(message);
  return file;
}
