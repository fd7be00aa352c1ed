import { existsSync } from "node:fs";
import { join } from "node:path";
import { AnchorError } from "./errors.js";
import { PACKAGE_ROOT } from "./paths.js";

/**
 * The compiled file of a worker. Workers run as JavaScript also when the rest runs from TypeScript sources (tests,
 * scripts), so that both meet the same code.
 */
export function workerFile(name: string): string {
  const file = join(PACKAGE_ROOT, "dist", `${name}.js`);
  if (!existsSync(file)) throw new AnchorError("INTERNAL", `${file} is missing: run npm run build`);
  return file;
}
