import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";
import { PACKAGE_ROOT } from "../../src/paths.js";
import { CUDA_FOLDER, EMULATED_TIMEOUT, emulatedLibrary, hasCore } from "./emulated.js";

const run = promisify(execFile);
const tests = readdirSync(join(PACKAGE_ROOT, "native", "cuda", "test")).filter((name) => name.endsWith(".cu"));

describe.skipIf(!hasCore())("kernels on the emulated card", () => {
  let library: string;
  beforeAll(async () => {
    library = await emulatedLibrary();
  }, EMULATED_TIMEOUT);

  it.each(tests.map((name) => `unit-${name.replace(/\.cu$/, "")}`))("%s", async (program) => {
    await run(join(CUDA_FOLDER, program), program === "unit-backend" ? [library] : [], { maxBuffer: 1 << 24 });
  });

  it("agrees with the CPU core in the harness's checks", async () => {
    const args = ["check", library, "--max", "6", "--max-proof", "4", "--seed", "1"];
    const { stdout } = await run(join(CUDA_FOLDER, "anchorproof-cards"), args, { maxBuffer: 1 << 24 });
    expect(stdout).toMatch(/\d+ checks/);
  });
});
