/**
 * Finds Foundry's programs: in their npm packages for this platform, or on PATH.
 *
 * @module
 */
import { accessSync, constants } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";
import { AnchorError } from "../errors.js";

const require = createRequire(import.meta.url);

/** @throws CHAIN_UNAVAILABLE when it is not installed */
export function findFoundry(program: "anvil" | "forge"): string {
  const platform = `${process.platform}-${process.arch === "x64" ? "amd64" : process.arch}`;
  const name = process.platform === "win32" ? `${program}.exe` : program;
  const candidates: string[] = [];
  try {
    candidates.push(join(dirname(require.resolve(`@foundry-rs/${program}-${platform}/package.json`)), "bin", name));
  } catch {
    // an optional dependency: absent on other platforms, or left out at installation
  }
  for (const folder of (process.env["PATH"] ?? "").split(delimiter)) if (folder) candidates.push(join(folder, name));
  for (const candidate of candidates) {
    try {
      accessSync(candidate, constants.X_OK);
      return candidate;
    } catch {
      // next
    }
  }
  throw new AnchorError(
    "CHAIN_UNAVAILABLE",
    `${program} is not installed: npm install @foundry-rs/${program}-${platform}, or put Foundry's ${program} on PATH`,
    { details: { platform } },
  );
}
