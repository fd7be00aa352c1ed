import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: [],
    testTimeout: 120_000,
    hookTimeout: 300_000,
    // Two files at a time: several of them start provers, a compiler or a chain of their own.
    maxWorkers: 2,
    pool: "forks",
    // No test depends on a card, or on a library that was built, unless it says so.
    env: { ANCHORPROOF_CUDA: "off" },
  },
});
