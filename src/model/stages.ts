/**
 * Time and peak memory of the stages of long work.
 *
 * @module
 */

import { readFile, writeFile } from "node:fs/promises";

export interface Stage {
  readonly stage: string;
  readonly ms: number;
  /** Most resident memory of the process while it ran. Where the system does not tell: the most that it ever had. */
  readonly peakBytes: number;
}

/** Runs a stage and appends its measures. */
export async function measure<T>(stages: Stage[], stage: string, work: () => Promise<T> | T): Promise<T> {
  const end = await begin(stage);
  const result = await work();
  stages.push(await end());
  return result;
}

/** Begins a stage. @returns ends it */
export async function begin(stage: string): Promise<() => Promise<Stage>> {
  // Linux forgets the peak so far when asked to.
  await writeFile("/proc/self/clear_refs", "5").catch(() => {});
  const started = performance.now();
  return async () => ({ stage, ms: performance.now() - started, peakBytes: await peakBytes() });
}

async function peakBytes(): Promise<number> {
  const status = await readFile("/proc/self/status", "utf8").catch(() => "");
  const kilobytes = /^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1];
  return kilobytes === undefined ? 1024 * process.resourceUsage().maxRSS : 1024 * Number(kilobytes);
}
