/**
 * The Solidity tests (verifier-contracts/test), run by forge once and told one by one. A name ends with how often a
 * property was tried. Where forge is not installed they are skipped.
 */
import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { findFoundry } from "../../src/chain/foundry.js";
import { PACKAGE_ROOT } from "../../src/paths.js";

const ROOT = join(PACKAGE_ROOT, "verifier-contracts");
/** Half of it is the compiler's, where it has not run before. */
const LIMIT_MS = 280_000;

interface ForgeTest {
  status: "Success" | "Failure" | "Skipped";
  reason: string | null;
  counterexample: unknown;
  decoded_logs: string[];
  kind: { Unit?: unknown; Fuzz?: { runs: number }; Invariant?: { runs: number; calls: number; reverts: number } };
}

type Suites = Record<string, { test_results: Record<string, ForgeTest>; warnings: string[] }>;

/** @returns what forge said instead, where it did not get as far as running tests */
async function runForge(forge: string): Promise<Suites | string> {
  return new Promise((resolve) => {
    const options = { cwd: ROOT, env: { ...process.env, NO_COLOR: "1" }, maxBuffer: 1 << 28, timeout: LIMIT_MS };
    execFile(forge, ["test", "--json"], options, (error, stdout, stderr) => {
      try {
        resolve(JSON.parse(stdout) as Suites);
      } catch {
        resolve(`${error?.killed ? `forge took longer than ${LIMIT_MS / 1000} s\n` : ""}${stderr}${stdout}`);
      }
    });
  });
}

function find(): string | undefined {
  try {
    return findFoundry("forge");
  } catch {
    return undefined;
  }
}

function tried({ Fuzz, Invariant }: ForgeTest["kind"]): string {
  if (Invariant) return ` (${Invariant.runs} runs, ${Invariant.calls} calls)`;
  return Fuzz ? ` (${Fuzz.runs} runs)` : "";
}

/** All that forge knows about a failure. */
function told({ status, reason, counterexample, decoded_logs }: ForgeTest): string {
  const input = counterexample === null ? [] : [JSON.stringify(counterexample, null, 1)];
  return [`${status}: ${reason ?? "no reason given"}`, ...input, ...decoded_logs].join("\n");
}

const forge = find();
const suites = forge === undefined ? {} : await runForge(forge);

describe.skipIf(forge === undefined)("forge (skipped where it is not installed)", () => {
  it("compiles the contracts, and runs every file of tests", () => {
    expect(typeof suites === "string" ? suites : "").toBe("");
    const files = readdirSync(join(ROOT, "test"), { recursive: true, encoding: "utf8" });
    const run = new Set(Object.keys(suites).map((suite) => suite.split(":")[0]));
    expect(files.filter((file) => file.endsWith(".t.sol") && !run.has(`test/${file}`))).toEqual([]);
  });

  for (const [suite, { test_results }] of typeof suites === "string" ? [] : Object.entries(suites)) {
    describe(suite.split(":")[1]!, () => {
      for (const [name, test] of Object.entries(test_results)) {
        it(`${name.replace(/\(.*/, "")}${tried(test.kind)}`, () => {
          // One that skips itself would look like one that passes.
          expect(test.status === "Success" ? "" : told(test)).toBe("");
          // A property without a try is not one that holds; a run in which every call reverts tried nothing.
          if (test.kind.Fuzz) expect(test.kind.Fuzz.runs).toBeGreaterThan(0);
          if (test.kind.Invariant) expect(test.kind.Invariant.calls).toBeGreaterThan(test.kind.Invariant.reverts);
        });
      }
    });
  }
});
