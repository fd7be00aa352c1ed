import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { renderPoseidonConstants } from "../../src/circuit/constants.js";
import { PACKAGE_ROOT } from "../../src/paths.js";

it("circuits/lib/poseidon16_constants.circom is what npm run generate writes", async () => {
  const file = await readFile(join(PACKAGE_ROOT, "circuits/lib/poseidon16_constants.circom"), "utf8");
  expect(file === renderPoseidonConstants()).toBe(true); // not toBe(): 100 kB of difference help nobody
});
