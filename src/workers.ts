import { existsSync } from "node:fs";
import { join } from "node:path";
import { Worker, type WorkerOptions } from "node:worker_threads";
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

export function startWorker(name: string, options: WorkerOptions): Worker {
  return new Worker(workerFile(name), {
    // Node's flags are inherited, and it refuses a thread that is a file when --input-type is among them.
    ...(process.execArgv.some((flag) => flag.startsWith("--input-type")) ? { execArgv: [] } : {}),
    ...options,
  });
}
