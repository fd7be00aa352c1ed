import { it } from "vitest";
import { measureProgram } from "../../../src/circuit/synthesis/program.js";
import { bytesProgram, contentProgram, numbersProgram } from "../../../src/dataset/circuit/content.js";
import { Twin } from "./support.js";

it("measures", () => {
  const m = (p: any) => measureProgram(p).rows;
  const two = (f: (n: number) => any) => [m(f(1)), m(f(2)) - m(f(1))];
  console.log(two((steps) => contentProgram({ steps, depth: 4 })));
  for (const [bits, exact] of [
    [7, true],
    [8, true],
    [8, false],
    [7, false],
  ] as const)
    console.log(
      bits,
      exact,
      two((steps) => bytesProgram({ steps, depth: 4, bits, exact })),
    );
  for (const width of [2, 4, 8] as const)
    console.log(
      width,
      two((steps) => numbersProgram({ steps, depth: 4, bits: 8 * width, exact: false, width })),
    );
});
it("twin", async () => {
  await Twin.of(contentProgram({ steps: 2, depth: 1, chunkRecords: 2 }));
}, 100000);
it("twin b", async () => {
  await Twin.of(bytesProgram({ steps: 2, depth: 1, chunkRecords: 2, bits: 7, exact: true }));
}, 100000);
it("twin n", async () => {
  await Twin.of(numbersProgram({ steps: 2, depth: 1, chunkRecords: 2, bits: 3, exact: false, width: 8 }));
}, 100000);
