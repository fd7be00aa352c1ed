/** `key lint` and `key export` as their users meet them. */
import { execFile } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { binFile } from "../../src/circuit/binfile.js";
import { compileCircuit } from "../../src/circuit/compile.js";
import { type CircuitKey, developmentKey } from "../../src/circuit/setup.js";
import { decodeTranscript, encodeTranscript } from "../../src/circuit/transcript.js";
import { PACKAGE_ROOT } from "../../src/paths.js";
import {
  append,
  NAMES,
  type SnarkjsCeremony,
  sectionsOf,
  snarkjsCeremony,
  snarkjsPowers,
} from "../circuit/ceremony.js";
import { TINY, temporaryFolder, temporaryStore } from "../circuit/support.js";
import { snarkjs, stopSnarkjs } from "../circuit/vendor.js";

let directory: string;
let ceremony: SnarkjsCeremony;
let development: CircuitKey;
let final: string;

beforeAll(async () => {
  directory = await temporaryFolder();
  const circuit = await compileCircuit(TINY);
  ceremony = await snarkjsCeremony(circuit, await snarkjsPowers(directory, 4), directory);
  final = ceremony.keys.at(-1)!;
  development = await developmentKey(circuit, { store: await temporaryStore() });
});
afterAll(stopSnarkjs);

function anchorproof(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  return new Promise((resolve) => {
    const options = { cwd: directory, env: { ...process.env, ANCHORPROOF_DEBUG: "" } };
    execFile(process.execPath, [join(PACKAGE_ROOT, "dist", "cli", "main.js"), ...args], options, (error, out, err) => {
      resolve({ status: error ? Number(error.code) : 0, out, err });
    });
  });
}

describe("key lint", () => {
  it("says what a proving key shows, who contributed, and that it is a development key", async () => {
    const { status, out, err } = await anchorproof("key", "lint", final);
    expect(err).toBe("");
    expect(status).toBe(0);
    expect(out).toContain("9 wires, up to 2^3 rows");
    expect(out).toContain(`contributions to circuit hash ${ceremony.circuitHash}:`);
    for (const [i, name] of NAMES.entries())
      expect(out).toContain(`  ${i + 1}  contribution ${JSON.stringify(name)}\n`);
    expect(out).toContain('  4  beacon "final beacon" of 0x0102030405060708090a0b0c0d0e0f10, 2^10 times hashed');
    for (const hash of ceremony.hashes) expect(out).toContain(`     ${hash}\n`);
    expect(out).toContain("ok   forgery: ");
    expect(out).toContain("--   ceremony: no ceremony manifest was given");
    expect(out.trimEnd().split("\n").at(-1)).toMatch(/^development: its contributions hold, but/);
  });

  it("prints the same as JSON", async () => {
    const { status, out } = await anchorproof("key", "lint", final, "--json");
    expect(status).toBe(0);
    const report = JSON.parse(out);
    expect(report).toMatchObject({ kind: "zkey", level: "development", publics: 3 });
    expect(report.checks.every(({ outcome }: { outcome: string }) => /^(ok|not shown)$/.test(outcome))).toBe(true);
    expect(report.provingKey.contributions.at(-1)).toEqual({
      kind: "beacon",
      name: "final beacon",
      hash: ceremony.hashes.at(-1),
      beacon: { hash: "0x0102030405060708090a0b0c0d0e0f10", iterationsExp: 10 },
    });
    expect(report.verifyingKey).toBeUndefined();
  });

  it("fails for a production key that is none, and for a forgeable one after the whole report", async () => {
    for (const path of [final, development.zkeyPath]) {
      const { status, out, err } = await anchorproof("key", "lint", path, "--production");
      expect(status).toBe(1);
      expect(out).toMatch(/^development: /m);
      expect(err).toMatch(/^error KEY_DEVELOPMENT: /);
    }
    const { status, out, err } = await anchorproof("key", "lint", ceremony.keys[0]!, "--json");
    expect(status).toBe(1);
    const report = JSON.parse(out);
    expect(report.level).toBe("forgeable");
    expect(report.failure.code).toBe("KEY_FORGEABLE");
    expect(err).toMatch(/^error KEY_FORGEABLE: this key lets anyone forge proofs: gamma equals delta/);
  });

  it("shows a development key's stamp", async () => {
    const { status, out } = await anchorproof("key", "lint", development.zkeyPath);
    expect(status).toBe(0);
    expect(out).toContain(`stamped as a development key of circuit ${development.circuitDigest}\n`);
    expect(out).toContain("development: one party made it, and could forge proofs\n");
  });

  it("names the culprit, and lets no name draw on the screen", async () => {
    const sections = await sectionsOf(final);
    const record = decodeTranscript(sections.get(10)!);
    const forged = append(record, { secret: 5n, proven: 6n }, { name: "\u001b[2Kok\u202e" });
    const path = join(directory, "forged.zkey");
    await writeFile(path, binFile("zkey", 1, [...sections.set(10, encodeTranscript(forged))]));
    const { status, out, err } = await anchorproof("key", "lint", path);
    expect(status).toBe(1);
    expect(err).toMatch(/^error CONTRIBUTION_INVALID: contribution 5 \(.*\) shows no knowledge of its secret/);
    for (const sign of ["\u001b", "\u202e"]) expect(out + err).not.toContain(sign);
  });

  it("needs a file", async () => {
    expect((await anchorproof("key", "lint")).err).toMatch(/^error USAGE/);
    expect((await anchorproof("key", "lint", "none.zkey")).err).toMatch(/^error FILE_NOT_FOUND/);
    expect((await anchorproof("key", "lint", directory)).err).toMatch(/^error FILE_UNREADABLE/);
  });
});

describe("key export", () => {
  it("writes what snarkjs exports", async () => {
    const { status, out } = await anchorproof("key", "export", final, "--out", "exported.json");
    expect(status).toBe(0);
    expect(out).toContain("written to exported.json");
    const { vk_alphabeta_12: _, ...theirs } = await snarkjs.zKey.exportVerificationKey(final);
    expect(JSON.parse(await readFile(join(directory, "exported.json"), "utf8"))).toEqual(theirs);
    expect((await anchorproof("key", "lint", "exported.json")).status).toBe(0);
  });

  it("writes nothing for a key that is forgeable or damaged", async () => {
    const damaged = join(directory, "damaged.zkey");
    await writeFile(damaged, (await readFile(final)).subarray(0, -1));
    const before = await readdir(directory);
    expect((await anchorproof("key", "export", ceremony.keys[0]!)).err).toMatch(/^error KEY_FORGEABLE/);
    expect((await anchorproof("key", "export", damaged)).err).toMatch(/^error KEY_MALFORMED/);
    expect(await readdir(directory)).toEqual(before);
  });
});
