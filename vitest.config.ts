import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * Small files that take long, the longest first. Of files that it has never run Vitest begins with the largest; these would
 * come at the end, with one worker idle beside them.
 */
const LONG = [
  "native/cuda",
  "circuit/attack",
  "cli/datasetProof",
  "model/circuit/nodes",
  "model/circuit/equality",
  "circuits/inference/table_lane",
  "cli/demo",
  "native/build",
  "native/prove",
  "model/circuit/soundness",
  "native/kernels",
  "cli/contract",
  "circuits/soundness",
  "circuits/inference/requant_lane",
  "cli/native",
  "prover/crash",
  "tee/fuzz/fuzz",
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const at = LONG.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
      return at < 0 ? LONG.length : at;
    };
    // The others stay as they are.
    return (await super.sort(files)).sort((a, b) => place(a) - place(b));
  }
}

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: [],
    testTimeout: 120_000,
    hookTimeout: 300_000,
    // Two files at a time: several of them start provers, a compiler or a chain of their own.
    maxWorkers: 2,
    pool: "forks",
    sequence: { sequencer: LongestFirst },
    // No test depends on a card, or on a library that was built, unless it says so.
    env: { ANCHORPROOF_CUDA: "off" },
  },
});
