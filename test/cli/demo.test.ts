/** The whole story, as `npm start` runs it. */
import { execFile, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PACKAGE_ROOT } from "../../src/paths.js";
import { leaves, withLeaf } from "../bundle/fixture.js";

const MAIN = join(PACKAGE_ROOT, "dist", "cli", "main.js");
let directory: string;

function anchorproof(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], { cwd: directory, maxBuffer: 1 << 26 }, (error, out, err) => {
      resolve({ status: error ? Number(error.code) : 0, out, err });
    });
  });
}

/** Process ids of the anvils that have this test's marker in their environment (Linux only: reads /proc). */
function anvils(marker: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")[0]!;
      return command.endsWith("anvil") && readFileSync(`/proc/${pid}/environ`, "utf8").includes(marker);
    } catch {
      return false; // no process, or gone by now
    }
  });
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "anchorproof-demo-"));
});

afterAll(() => rm(directory, { recursive: true, force: true }));

describe("the story", () => {
  it("runs every step and rejects every attempt", async () => {
    const { status, out, err } = await anchorproof("demo", "--out", "demo");
    expect(err).toBe("");
    expect(status).toBe(0);
    for (const step of [
      "1 dataset",
      "2 dataset proof",
      "3 quorum",
      "4 chain",
      "5 model",
      "6 inference",
      "7 attestation",
      "8 settlement",
      "9 tampering",
      "10 evidence",
    ]) {
      expect(out).toContain(`[${step}]`);
    }
    const rejected = out.match(/^ {4}rejected /gm)?.length ?? 0;
    expect(rejected).toBeGreaterThanOrEqual(30);
    expect(out).toContain(`${rejected} of ${rejected} attempts rejected`);
    for (const step of [
      "dataset",
      "dataset proof",
      "quorum",
      "chain",
      "model",
      "inference",
      "settlement",
      "keys",
      "attestation",
      "bundle",
    ]) {
      expect(out).toContain(`    rejected ${step}: `);
    }
    expect(out).not.toContain("ACCEPTED");
  });

  it("leaves evidence that verifies elsewhere, and for nothing else", async () => {
    const args = ["verify", "demo/bundle.json", "--trust", "demo/trust.json"];
    const verified = await anchorproof(...args, "--query", "demo/query.json");
    expect(verified.status).toBe(0);
    expect(verified.out).toContain("all 17 claims hold");
    expect((await anchorproof("verify", "demo/bundle.json")).err).toMatch(/^error UNANCHORED/);

    // another mail is not what was asked about
    const query = JSON.parse(await readFile(join(directory, "demo", "query.json"), "utf8"));
    const other = { ...query, mail: Buffer.from("Subject: x\n\nCheap pills for everyone, buy now").toString("base64") };
    await writeFile(join(directory, "other.json"), JSON.stringify(other));
    const refused = await anchorproof(...args, "--query", "other.json");
    expect(refused.err).toMatch(/^error CLAIM_FAILED: inference\.features/);

    // a verifier who trusts other keys than these
    const trust = JSON.parse(await readFile(join(directory, "demo", "trust.json"), "utf8"));
    const keys = trust.keys.map((key: { keyDigest: string }) => ({
      ...key,
      keyDigest: `0x${[...key.keyDigest.slice(2)].reverse().join("")}`,
    }));
    await writeFile(join(directory, "foreign.json"), JSON.stringify({ ...trust, keys }));
    expect((await anchorproof("verify", "demo/bundle.json", "--trust", "foreign.json")).err).toMatch(/dataset\.key/);
  });

  it("leaves evidence of which nothing can be changed", async () => {
    // a sample of the real bundle's values; test/bundle changes every one
    const bundle = JSON.parse(await readFile(join(directory, "demo", "bundle.json"), "utf8"));
    // Of the vendors' collateral, what no check has used may change: test/bundle/attestation knows the rest.
    const bound = leaves(bundle).filter((path) => !path.includes("collateral"));
    const paths = bound.filter((_, i) => i % 17 === 0);
    expect(paths.length).toBeGreaterThan(10);
    for (const path of paths) {
      const changed = withLeaf(bundle, path, (old: unknown) =>
        /^\d+$/.test(String(old))
          ? (BigInt(String(old)) + 1n).toString()
          : `${String(old).slice(0, -1)}${String(old).endsWith("0") ? "1" : "0"}`,
      );
      await writeFile(join(directory, "changed.json"), JSON.stringify(changed));
      const { status: failed } = await anchorproof("verify", "changed.json", "--trust", "demo/trust.json");
      expect(failed, path.join(".")).toBe(1);
    }
  });

  it.runIf(existsSync("/proc/self/environ")).each(["as it starts", "as soon as there is a chain"])(
    "stops on Ctrl-C %s, the chain included",
    async (when) => {
      const marker = `anchorproof-test-${process.pid}-${when.replaceAll(" ", "-")}`;
      const env = { ...process.env, ANCHORPROOF_TEST_MARKER: marker };
      const child = spawn(process.execPath, [MAIN, "demo", "--out", "stopped"], { cwd: directory, env, stdio: "pipe" });
      let err = "";
      child.stderr.on("data", (chunk) => (err += chunk));
      const closed = new Promise((resolve) => child.once("close", resolve));
      const pause = () => new Promise((resolve) => setTimeout(resolve, 20));
      // Not after some seconds: with all keys in the store the story may have ended by then.
      if (when === "as it starts") await new Promise((resolve) => setTimeout(resolve, 300));
      else while (anvils(marker).length === 0 && child.exitCode === null) await pause();
      child.kill("SIGINT");
      const status = await closed;
      // Before its handlers are in place Node ends at once, by the signal (status null)
      expect([130, null]).toContain(status);
      if (status === 130) expect(err).toMatch(/^error ABORTED: /);
      // A chain that was left behind is there until this test's time is over.
      while (anvils(marker).length > 0) await pause();
    },
  );
});
