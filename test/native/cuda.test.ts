import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";
import { PACKAGE_ROOT } from "../../src/paths.js";
import { CUDA_FOLDER, EMULATED_TIMEOUT, emulatedLibrary, hasCore } from "./emulated.js";

/** What a program says goes with its failure. */
async function run(program: string, args: readonly string[]): Promise<string> {
  const done = promisify(execFile)(join(CUDA_FOLDER, program), args, { maxBuffer: 1 << 24 });
  const { stdout } = await done.catch((error: Error & { stdout: string; stderr: string }) => {
    throw new Error(`${error.message}\n${`${error.stdout}${error.stderr}`.slice(-4000)}`);
  });
  return stdout;
}
const tests = readdirSync(join(PACKAGE_ROOT, "native", "cuda", "test")).filter((name) => name.endsWith(".cu"));

describe.skipIf(!hasCore())("kernels on the emulated card", () => {
  let library: string;
  beforeAll(async () => {
    library = await emulatedLibrary();
  }, EMULATED_TIMEOUT);

  it.each(tests.map((name) => `unit-${name.replace(/\.cu$/, "")}`))("%s", async (program) => {
    await run(program, program === "unit-backend" ? [library] : []);
  });

  it("agrees with the CPU core in the harness's checks", async () => {
    const args = ["check", library, "--max", "6", "--max-proof", "4", "--seed", "1"];
    expect(await run("anchorproof-cards", args)).toMatch(/\d+ checks/);
  });
});
