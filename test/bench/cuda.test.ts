/** The benchmark with a GPU, on the emulated card: it takes part, must agree with the others, and tells its phases. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";
import type { Report } from "../../src/bench/report.js";
import { PACKAGE_ROOT } from "../../src/paths.js";
import { EMULATED_TIMEOUT, emulatedLibrary, hasCore } from "../native/emulated.js";

const MAIN = join(PACKAGE_ROOT, "dist", "cli", "main.js");

let library: string;

async function bench(...args: string[]): Promise<Report> {
  const all = [MAIN, "bench", ...args, "--runs", "1", "--backend", "cuda", "--json"];
  const env = { ...process.env, ANCHORPROOF_CUDA: library };
  const { stdout } = await promisify(execFile)(process.execPath, all, { env, maxBuffer: 1 << 26 });
  return JSON.parse(stdout) as Report;
}

describe.skipIf(!hasCore())("bench --backend cuda", () => {
  beforeAll(async () => {
    library = await emulatedLibrary();
  }, EMULATED_TIMEOUT);

  it.each([
    ["msm", 2],
    ["ntt", 1],
  ])("%s: the card beside the others, by its own clock", async (ladder, contests) => {
    const report = await bench(ladder, "--sizes", "4", "--phases");
    expect(report.cuda).toMatch(/^emulated card, .+ GB, compute capability \d\.\d, driver for CUDA \d+\.\d$/);
    expect(report.notes[0]).toBe("the host emulates the GPU: its times say nothing about any");
    expect(report.rows.map(({ implementation }) => implementation)).toEqual(
      Array(contests).fill(["native", "cuda", "snarkjs"]).flat(),
    );
    for (const { implementation, card, phases, samples } of report.rows) {
      if (implementation !== "cuda") {
        expect([card, phases]).toEqual([undefined, undefined]);
        continue;
      }
      expect(card).toBe("emulated card");
      expect(phases!.length).toBeGreaterThan(0);
      const total = phases!.reduce((sum, { ms }) => sum + ms, 0);
      expect(samples).toEqual([total]); // one run: its phases are what was timed
      for (const { bytes } of phases!) expect(bytes).toBeGreaterThan(0);
    }
  });

  it("refuses a card that is not there", async () => {
    const failed = await bench("ntt", "--device", "1").catch((error: { stderr: string }) => error.stderr);
    expect(failed).toMatch(/^error USAGE: --device takes a number below 1/m);
  });
});
