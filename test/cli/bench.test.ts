/** `anchorproof bench` as a process. */
import { execFile, spawn } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { PACKAGE_ROOT } from "../../src/paths.js";
import { temporaryFolder } from "../circuit/support.js";
import { refusal } from "../support/cli.js";

const MAIN = join(PACKAGE_ROOT, "dist", "cli", "main.js");

interface Run {
  status: number;
  out: string;
  err: string;
}

function bench(args: readonly string[], environment: Record<string, string> = {}): Promise<Run> {
  return new Promise((resolve) => {
    const env = { ...process.env, ANCHORPROOF_DEBUG: "", ...environment };
    execFile(process.execPath, [MAIN, "bench", ...args], { env, maxBuffer: 1 << 26 }, (error, out, err) => {
      resolve({ status: error ? Number(error.code) : 0, out, err });
    });
  });
}

afterEach(() => {
  vi.unstubAllEnvs();
});

describe("bench", () => {
  it.each([
    [["nope"]],
    [["prove", "more"]],
    [["toString"]],
    [["--sizes", "14"], { ANCHORPROOF_BENCH_PROVER: "a=" }],
    [["prove", "--sizes", "9"]],
    [["prove", "--sizes", "21"]],
    [["pool", "--sizes", "10,,12"]],
    [["setup", "--sizes", "9"]],
    [["setup", "--snarkjs", "21"]],
    [["setup", "--snarkjs", "all"]],
    [["setup", "--kinds", "inference,inference"]],
    [["msm", "--sizes", "25"]],
    [["msm", "--sizes", ""]],
    [["prove", "--kinds", "poseidon,keccak"]],
    [["prove", "--kinds", ""]],
    [["inference", "--models", "spam,gpt"]],
    [["prove", "--threads", "0"]],
    [["prove", "--threads", "1000"]],
    [["prove", "--check"]],
    [["--update"]],
    [["gas", "--check", "--update"]],
    [["prove", "--runs", "0"]],
    [["prove", "--backend", "metal"]],
    [["prove", "--device", "0"]],
    [["prove", "--backend", "native", "--phases"]],
    [["prove", "--backend", "cuda", "--device", "-1"]],
    [["pool", "--proofs", "-1"]],
    [["pool", "--concurrency", "1e3"]],
    [["prove"], { ANCHORPROOF_BENCH_PROVER: "snarkjs=/bin/true" }],
    [["prove"], { ANCHORPROOF_BENCH_PROVER: "/bin/true;/usr/bin/true" }],
  ] as [string[], Record<string, string>?][])("refuses %j before it begins", async (args, environment) => {
    for (const [name, value] of Object.entries(environment ?? {})) vi.stubEnv(name, value);
    expect(await refusal(["bench", ...args])).toEqual({
      out: "",
      code: "USAGE",
      message: expect.stringMatching(/./),
    });
  });

  it("ends with status 1 and one line when it refuses", async () => {
    const { status, out, err } = await bench(["nope"]);
    expect({ status, out }).toEqual({ status: 1, out: "" });
    expect(err).toMatch(/^error USAGE: /m);
  });

  it("prints one JSON document, and writes the same and a page", async () => {
    const folder = await temporaryFolder();
    const [json, page] = [join(folder, "report.json"), join(folder, "report.html")];
    const args = [
      "pool",
      "--sizes",
      "10",
      "--kinds",
      "poseidon",
      "--proofs",
      "3",
      "--json",
      "--out",
      json,
      "--html",
      page,
    ];
    const { status, out, err } = await bench(args);
    expect({ status, err }).toMatchObject({ status: 0, err: expect.stringContaining("pool poseidon 2^10") });
    const report = JSON.parse(out);
    expect(report).toMatchObject({ format: "anchorproof/bench@1", runs: 5, notes: [] });
    expect(report.cpu).not.toBe("");
    expect(report.commit).toMatch(/^[0-9a-f]{40}( with changes)?$|^unknown$/);
    for (const row of report.rows) {
      expect(row).toMatchObject({ bench: "pool", circuit: "poseidon", size: 10 });
      expect(["native", "snarkjs"]).toContain(row.implementation);
      expect(row.samples).toHaveLength(3);
      expect(row.extra.proofsPerSecond).toBeGreaterThan(0);
      expect(row.extra.endMB).toBeGreaterThan(0);
    }
    expect(report.rows.at(-1).implementation).toBe("snarkjs");
    expect(JSON.parse(await readFile(json, "utf8"))).toEqual(report);
    expect(await readFile(page, "utf8")).toMatch(/^<!doctype html>[\s\S]*<svg[\s\S]*<\/html>\n$/);
  });

  it("without the native core, the others still race", async () => {
    const { status, out } = await bench(["field", "--runs", "1"], { ANCHORPROOF_NATIVE: "off" });
    expect(status).toBe(0);
    expect(out).toContain("ANCHORPROOF_NATIVE is off");
    expect(out).toMatch(/javascript .*\n.*snarkjs /);
    expect(out).not.toMatch(/^ {2}native/m);
  });

  it("without a card, says why and measures the others", async () => {
    const args = ["ntt", "--sizes", "4", "--runs", "1", "--backend", "cuda", "--phases", "--json"];
    const { status, out, err } = await bench(args, { ANCHORPROOF_CUDA: "/nowhere/cards.so" });
    expect(status).toBe(0);
    const report = JSON.parse(out);
    expect(report.cuda).toMatch(/\/nowhere\/cards\.so|ANCHORPROOF_NATIVE is off/);
    expect(report.notes).toEqual([`${report.cuda}; the CPU is measured alone`]);
    expect(err.split("\n")).toContain(report.notes[0]);
    for (const row of report.rows) expect(["native", "snarkjs"]).toContain(row.implementation);
  });

  it("ends soon when it is stopped, and leaves no files", async () => {
    // Its own, where no other run leaves anything.
    const folder = await temporaryFolder();
    const child = spawn(process.execPath, [MAIN, "bench", "poseidon", "--runs", "1000"], {
      env: { ...process.env, TMPDIR: folder },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let err = "";
    child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
    // The header comes when the run has begun.
    await new Promise((resolve) => child.stdout.once("data", resolve));
    expect(await readdir(folder)).toEqual([expect.stringMatching(/^anchorproof-bench-/)]);
    child.kill("SIGINT");
    const status = await new Promise((resolve) => child.on("exit", resolve));
    expect(status).toBe(130);
    expect(err).toMatch(/^error ABORTED: /m);
    expect(await readdir(folder)).toEqual([]);
  });
});
