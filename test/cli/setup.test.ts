/** `setup` as its users meet it: processes, their output and exit status, and what they leave on the disk. */
import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { circuitDigest } from "../../src/circuit/r1cs.js";
import { encodeTranscript } from "../../src/circuit/transcript.js";
import { calculateWtns } from "../../src/circuit/witness.js";
import { readZkeyHeader } from "../../src/circuit/zkey.js";
import { PACKAGE_ROOT } from "../../src/paths.js";
import { keyDigest, parseProof, verifyGroth16 } from "../../src/verifier/groth16.js";
import { changedFile, r1csFile } from "../circuit/files.js";
import { TINY, TINY_INPUTS, TINY_OUTPUT, temporaryFolder } from "../circuit/support.js";
import { ffjavascript, snarkjs, stopSnarkjs } from "../circuit/vendor.js";
import { refusal } from "../support/cli.js";

const PUBLIC = [TINY_OUTPUT, TINY_INPUTS.a, TINY_INPUTS.unused];
const HASH = "[0-9a-f]{128}";
const SECONDS = String.raw`\d+(?:\.\d)? s`;

let directory: string;
let cache: string;

interface Run {
  status: number;
  out: string;
  err: string;
}

const MAIN = join(PACKAGE_ROOT, "dist", "cli", "main.js");
const environment = (more: object = {}) => ({
  ...process.env,
  ANCHORPROOF_DEBUG: "",
  ANCHORPROOF_CACHE: cache,
  ...more,
});

function setup(args: string, more: object = {}): Promise<Run> {
  return run(args.split(" "), more);
}

function run(args: string[], more: object = {}): Promise<Run> {
  return new Promise((resolve) => {
    const options = { cwd: directory, env: environment(more) };
    execFile(process.execPath, [MAIN, "setup", ...args], options, (error, out, err) => {
      resolve({ status: error ? Number(error.code) : 0, out, err });
    });
  });
}

/** What a command prints that must succeed. */
async function succeeds(args: string): Promise<string> {
  const { status, out, err } = await setup(args);
  expect(err).toBe("");
  expect(status).toBe(0);
  return out;
}

async function fails(args: string | string[], code: string, status = 1): Promise<string> {
  const made = await run(typeof args === "string" ? args.split(" ") : args);
  expect(made.err, String(args)).toMatch(new RegExp(`^error ${code}: [^\n]+\n$`));
  expect(made.status).toBe(status);
  expect(made.out).toBe("");
  return made.err;
}

const at = (name: string) => join(directory, name);

beforeAll(async () => {
  directory = await temporaryFolder();
  cache = join(directory, "cache");
  await writeFile(at("tiny.circom"), TINY.source);
});
afterAll(stopSnarkjs);

describe.skipIf(process.env["ANCHORPROOF_NATIVE"] === "off")("a setup from beginning to end", () => {
  it("setup circuit", async () => {
    const out = await succeeds("circuit tiny.circom --out circuit");
    const bytes = await readFile(at("circuit/circuit.r1cs"));
    expect(out).toBe(`circuit  ${circuitDigest(bytes)}\nrows     3: needs powers of tau for 2^3\nwritten to circuit\n`);
    expect((await readdir(at("circuit"))).sort()).toEqual(["circuit.r1cs", "circuit.sym", "circuit.wasm"]);
    // A model's weights are in them.
    for (const name of await readdir(at("circuit"))) expect((await stat(at(`circuit/${name}`))).mode & 0o77).toBe(0);
  });

  it("setup ptau new", async () => {
    expect(await succeeds("ptau new --power 4 --out made/powers.ptau")).toBe(
      "written to made/powers.ptau (development)\n",
    );
    expect(await succeeds("ptau new --power 4 --out raw.ptau")).toContain("written to raw.ptau");
    expect(await readdir(at("made"))).toEqual(["powers.ptau"]);
    await fails("ptau new --power 4 --out raw.ptau", "INPUT_INVALID");
  });

  it("setup ptau list, of nothing", async () => {
    expect(await succeeds("ptau list")).toBe("none; `anchorproof setup ptau import FILE` takes some in\n");
    expect(JSON.parse(await succeeds("ptau list --json"))).toEqual([]);
  });

  let imported: string;
  it("setup ptau import", async () => {
    const blake2b = createHash("blake2b512")
      .update(await readFile(at("made/powers.ptau")))
      .digest("hex");
    const out = await succeeds(`ptau import made/powers.ptau --power 3 --blake2b ${blake2b.toUpperCase()}`);
    const lines = out.split("\n");
    expect(lines[0]).toBe("2^3     for development only");
    expect(lines[1]).toMatch(/^digest {3}0x[0-9a-f]{64}$/);
    expect(lines[2]).toMatch(/^path {5}\/.*\/powers\.ptau$/);
    expect(lines[3]).toBe(`blake2b  ${blake2b}`);
    imported = lines[2]!.slice(9);
    expect(existsSync(imported)).toBe(true);
    const json = JSON.parse(await succeeds("ptau import made/powers.ptau --power 3 --json"));
    expect(json).toEqual({
      path: imported,
      prepared: false,
      power: 3,
      contributions: 0,
      development: true,
      digest: lines[1]!.slice(9),
      blake2b: `0x${blake2b}`,
    });
    expect(await succeeds("ptau list")).toBe(`${lines.slice(0, 3).join("\n")}\n`);
    expect(JSON.parse(await succeeds("ptau list --json"))).toEqual([json]);
    await fails(`ptau import raw.ptau --blake2b ${blake2b}`, "PTAU_INVALID");
    const bare = at("bare.ptau");
    await snarkjs.powersOfTau.newAccumulator(await ffjavascript.buildBn128(), 3, bare);
    expect(await fails("ptau import bare.ptau", "KEY_FORGEABLE")).toContain("no contribution");
    expect(await succeeds("ptau list")).toBe(`${lines.slice(0, 3).join("\n")}\n`);
  });

  it("setup key new", async () => {
    const out = await succeeds(`key new circuit/circuit.r1cs --ptau ${imported} --out 0.zkey`);
    expect(out).toMatch(
      new RegExp(`^circuit hash (${HASH})\nwritten to 0.zkey in ${SECONDS}; it has no contribution yet\n$`),
    );
    expect((await stat(at("0.zkey"))).mode & 0o777).toBe(0o600);
    expect((await readZkeyHeader(at("0.zkey"))).transcript.circuitHash.slice(2)).toBe(out.slice(13, 141));
    await fails(`key new circuit/circuit.r1cs --ptau ${imported} --out 0.zkey`, "INPUT_INVALID");
    await fails("key verify 0.zkey --r1cs circuit/circuit.r1cs --ptau raw.ptau", "KEY_FORGEABLE");
  });

  it("setup key contribute", async () => {
    await writeFile(at("dice"), "1 5 2 6");
    const out = await succeeds("key contribute 0.zkey --out 1.zkey --name ada --entropy-file dice");
    expect(out).toMatch(
      new RegExp(`^contribution hash ${HASH}\nwritten to 1.zkey; publish the hash, so that everybody can see that `),
    );
    await succeeds("key contribute 1.zkey --out 2.zkey");
    const before = await readFile(at("1.zkey"));
    await fails("key contribute 0.zkey --out 1.zkey", "INPUT_INVALID");
    expect(await readFile(at("1.zkey"))).toEqual(before);
  });

  it("setup key beacon", async () => {
    const out = await succeeds("key beacon 2.zkey --beacon 0x0102ff --out 3.zkey --name final");
    expect(out).toMatch(new RegExp(`^contribution hash ${HASH}\nwritten to 3.zkey\n$`));
    await fails("key beacon 2.zkey --beacon 0x0102ff --out 3.zkey", "INPUT_INVALID");
  });

  it("setup key verify", async () => {
    const { verifyingKey, transcript } = await readZkeyHeader(at("3.zkey"));
    const hashes = transcript.contributions.map(({ hash }) => hash.slice(2));
    const files = `--r1cs circuit/circuit.r1cs --ptau ${imported}`;
    const digest = circuitDigest(await readFile(at("circuit/circuit.r1cs")));
    const lines = (await succeeds(`key verify 3.zkey ${files}`)).split("\n");
    expect(lines[0]).toMatch(
      new RegExp(`^ok {3}every section is that of the circuit and the powers of tau \\(${SECONDS}\\)$`),
    );
    expect(lines.slice(1)).toEqual([
      `ok   contribution 1 "ada": ${hashes[0]!.slice(0, 32)}…`,
      `ok   contribution 2: ${hashes[1]!.slice(0, 32)}…`,
      `ok   beacon 3 "final": ${hashes[2]!.slice(0, 32)}…`,
      `key      ${keyDigest(verifyingKey)}`,
      `circuit  ${digest}`,
      "",
    ]);
    expect(JSON.parse(await succeeds(`key verify 3.zkey ${files} --json`))).toEqual({
      keyDigest: keyDigest(verifyingKey),
      circuitDigest: digest,
      contributions: [
        { kind: "contribution", name: "ada", hash: `0x${hashes[0]}` },
        { kind: "contribution", hash: `0x${hashes[1]}` },
        { kind: "beacon", name: "final", hash: `0x${hashes[2]}`, beacon: { hash: "0x0102ff", iterationsExp: 10 } },
      ],
    });
    // snarkjs says the same, of the prepared powers that these were cut from.
    expect(await snarkjs.zKey.verifyFromR1cs(at("circuit/circuit.r1cs"), at("made/powers.ptau"), at("3.zkey"))).toBe(
      true,
    );
    await fails("key verify 3.zkey --r1cs circuit/circuit.r1cs --ptau raw.ptau", "KEY_MALFORMED");
  });

  it("and the key proves", async () => {
    const { verifyingKey } = await readZkeyHeader(at("3.zkey"));
    const wtns = await calculateWtns(at("circuit/circuit.wasm"), TINY_INPUTS);
    const { proof } = await snarkjs.groth16.prove(at("3.zkey"), wtns, undefined, { singleThread: true });
    expect(verifyGroth16(verifyingKey, PUBLIC, parseProof(proof))).toBe(true);
  });

  it("names of contributors cannot pass for lines of the command", async () => {
    const name = "eve\nok   production\u001b[2J";
    expect((await run(["key", "contribute", "0.zkey", "--out", "eve.zkey", "--name", name])).status).toBe(0);
    const out = await succeeds(`key verify eve.zkey --r1cs circuit/circuit.r1cs --ptau ${imported}`);
    expect(out).toContain(String.raw`ok   contribution 1 "eve\nok   production\u001b[2J": `);
    expect(out.split("\n").filter((line) => line.startsWith("ok "))).toHaveLength(2);
  });

  it("a record that was tampered with is named, and a key with beacons alone refused", async () => {
    const files = `--r1cs circuit/circuit.r1cs --ptau ${imported}`;
    const { transcript } = await readZkeyHeader(at("3.zkey"));
    const [a, b, c] = transcript.contributions;
    const record = encodeTranscript({ ...transcript, contributions: [b!, a!, c!] });
    await changedFile("zkey", at("3.zkey"), at("swapped.zkey"), { 10: record });
    expect(await fails(`key verify swapped.zkey ${files}`, "CONTRIBUTION_INVALID")).toContain("contribution 1");
    await succeeds("key beacon 0.zkey --beacon aa --out beacon.zkey");
    await fails(`key verify beacon.zkey ${files}`, "KEY_FORGEABLE");
  });

  it("setup key new --development", async () => {
    const out = await succeeds("key new circuit/circuit.r1cs --development --out dev.zkey");
    const { verifyingKey, stamp } = await readZkeyHeader(at("dev.zkey"));
    expect(out).toMatch(
      new RegExp(
        `^key ${keyDigest(verifyingKey)} \\(development: whoever made it can forge\\)\nwritten to dev.zkey in `,
      ),
    );
    expect(stamp?.development).toBe(true);
    await fails("key new circuit/circuit.r1cs --development --out dev.zkey", "INPUT_INVALID");
    await fails("key contribute dev.zkey --out no.zkey", "KEY_DEVELOPMENT");
    await fails("key beacon dev.zkey --beacon 01 --out no.zkey", "KEY_DEVELOPMENT");
    expect(existsSync(at("no.zkey"))).toBe(false);
    // Without names, the defaults.
    await mkdir(at("defaults"));
    await copyFile(at("circuit/circuit.r1cs"), at("defaults/c.r1cs"));
    const env = environment();
    const here = (...args: string[]) =>
      new Promise((resolve) =>
        execFile(process.execPath, [MAIN, "setup", ...args], { cwd: at("defaults"), env }, resolve),
      );
    expect(await here("key", "new", "c.r1cs", "--development")).toBeNull();
    expect(await here("key", "new", "c.r1cs", "--ptau", imported)).toBeNull();
    expect((await readdir(at("defaults"))).sort()).toEqual(["c.r1cs", "development.zkey", "initial.zkey"]);
  });

  it("leaves nothing behind but what it says", async () => {
    expect((await readdir(directory)).filter((name) => name.includes(".part"))).toEqual([]);
  });
});

describe("without the native core", () => {
  it("development keys are made all the same, and the rest says what it needs", async () => {
    const off = { ANCHORPROOF_NATIVE: "off" };
    await writeFile(
      at("square.r1cs"),
      r1csFile({ wires: 3, publicOutputs: 1, rows: [[[[2, 1n]], [[2, 1n]], [[1, 1n]]]] }),
    );
    const made = await setup("key new square.r1cs --development --out portable.zkey", off);
    expect([made.status, made.err]).toEqual([0, ""]);
    expect((await readZkeyHeader(at("portable.zkey"))).stamp?.development).toBe(true);
    await writeFile(at("some.ptau"), "");
    for (const args of ["ptau new --power 2 --out off.ptau", "key new square.r1cs --ptau some.ptau --out off.zkey"]) {
      const { status, err } = await setup(args, off);
      expect(err).toMatch(/^error (NATIVE_UNAVAILABLE|PTAU_INVALID): [^\n]+\n$/);
      expect(status).toBe(1);
    }
    expect((await readdir(directory)).filter((name) => name.startsWith("off."))).toEqual([]);
  });
});

describe("mistakes are refused with a code", () => {
  const before = process.cwd();
  beforeAll(async () => {
    await writeFile(at("bad.circom"), "template {");
    vi.stubEnv("ANCHORPROOF_CACHE", cache);
    process.chdir(directory);
  });
  afterAll(() => {
    process.chdir(before);
    vi.unstubAllEnvs();
  });

  it.each<[string[], string]>([
    [[], "USAGE"],
    [["nonsense"], "USAGE"],
    [["ptau"], "USAGE"],
    [["key"], "USAGE"],
    [["circuit"], "USAGE"],
    [["circuit", ""], "FILE_NOT_FOUND"],
    [["circuit", "none.circom"], "FILE_NOT_FOUND"],
    [["circuit", "tiny.circom", "--model", "m"], "USAGE"],
    [["circuit", "--model", "none"], "FILE_NOT_FOUND"],
    [["circuit", "--model", ""], "FILE_NOT_FOUND"],
    [["circuit", "--dataset", "none"], "FILE_NOT_FOUND"],
    [["circuit", "bad.circom"], "CIRCUIT_COMPILE"],
    [["ptau", "new"], "USAGE"],
    [["ptau", "new", "--out", "x.ptau"], "USAGE"],
    [["ptau", "new", "--power", "3"], "USAGE"],
    [["ptau", "new", "--power", "0", "--out", "x.ptau"], "USAGE"],
    [["ptau", "new", "--power", "25", "--out", "x.ptau"], "USAGE"],
    [["ptau", "new", "--power", "many", "--out", "x.ptau"], "USAGE"],
    [["ptau", "new", "--power", "3", "--out", "/proc/x/y.ptau"], "FILE_UNREADABLE"],
    [["ptau", "new", "--power", "3", "--out", "tiny.circom/y.ptau"], "FILE_UNREADABLE"],
    [["ptau", "import"], "USAGE"],
    [["ptau", "import", "none.ptau"], "FILE_NOT_FOUND"],
    [["ptau", "import", "tiny.circom"], "PTAU_INVALID"],
    [["ptau", "import", "tiny.circom", "--blake2b", "12"], "USAGE"],
    [["ptau", "import", "tiny.circom", "--power", "28"], "USAGE"],
    [["ptau", "list", "x"], "USAGE"],
    [["key", "new"], "USAGE"],
    [["key", "new", "none.r1cs"], "USAGE"],
    [["key", "new", "none.r1cs", "--ptau", "none.ptau"], "FILE_NOT_FOUND"],
    [["key", "new", "none.r1cs", "--development"], "FILE_NOT_FOUND"],
    [["key", "new", "tiny.circom", "--development"], "CIRCUIT_MALFORMED"],
    [["key", "new", "a.r1cs", "--development", "--ptau", "b.ptau"], "USAGE"],
    [["key", "new", "a.r1cs", "b.r1cs"], "USAGE"],
    [["key", "contribute"], "USAGE"],
    [["key", "contribute", "none.zkey"], "USAGE"],
    [["key", "contribute", "none.zkey", "--out", "x.zkey"], "FILE_NOT_FOUND"],
    [["key", "contribute", "none.zkey", "--out", "x.zkey", "--entropy-file", "none"], "FILE_NOT_FOUND"],
    [["key", "contribute", "none.zkey", "--out", "x.zkey", "--name", "x".repeat(65)], "INPUT_INVALID"],
    [["key", "contribute", "none.zkey", "--out", "x.zkey", "--name", ""], "INPUT_INVALID"],
    [["key", "contribute", "tiny.circom", "--out", "x.zkey"], "KEY_MALFORMED"],
    [["key", "beacon", "none.zkey"], "USAGE"],
    [["key", "beacon", "none.zkey", "--out", "x.zkey"], "USAGE"],
    [["key", "beacon", "none.zkey", "--out", "x.zkey", "--beacon", "01"], "FILE_NOT_FOUND"],
    [["key", "beacon", "none.zkey", "--out", "x.zkey", "--beacon", "0x"], "USAGE"],
    [["key", "beacon", "none.zkey", "--out", "x.zkey", "--beacon", "xy"], "USAGE"],
    [["key", "beacon", "none.zkey", "--out", "x.zkey", "--beacon", "0".repeat(512)], "USAGE"],
    [["key", "beacon", "none.zkey", "--out", "x.zkey", "--beacon", "01", "--iterations", "9"], "USAGE"],
    [["key", "beacon", "none.zkey", "--out", "x.zkey", "--beacon", "01", "--iterations", "33"], "USAGE"],
    [["key", "verify"], "USAGE"],
    [["key", "verify", "none.zkey"], "USAGE"],
    [["key", "verify", "none.zkey", "--r1cs", "a"], "USAGE"],
    [["key", "verify", "none.zkey", "--r1cs", "a", "--ptau", "b"], "FILE_NOT_FOUND"],
  ])("%# %j", async (args, code) => {
    expect(await refusal(["setup", ...args])).toEqual({ out: "", code, message: expect.stringMatching(/./) });
    expect((await readdir(directory)).filter((name) => /^x\.|\.part$/.test(name))).toEqual([]);
  });
});

describe.skipIf(process.env["ANCHORPROOF_NATIVE"] === "off")("Ctrl-C", () => {
  /** Runs until `began` says that there is something to lose, then interrupts. */
  async function interrupted(args: string[], began: () => Promise<boolean>): Promise<Run> {
    const child = spawn(process.execPath, [MAIN, "setup", ...args], { cwd: directory, env: environment() });
    let [out, err] = ["", ""];
    child.stdout.on("data", (piece) => (out += piece));
    child.stderr.on("data", (piece) => (err += piece));
    const ended = new Promise<number>((resolve) => child.on("close", (status) => resolve(status ?? -1)));
    let over = false;
    void ended.then(() => (over = true));
    while (!over && !(await began())) await new Promise((resolve) => setTimeout(resolve, 5));
    child.kill("SIGINT");
    return { status: await ended, out, err };
  }

  const writing = (name: string) => async () => {
    const workshop = (await readdir(directory)).find((own) => own.startsWith(`${name}.`) && own.endsWith(".part"));
    if (workshop === undefined) return false;
    const size = await stat(join(directory, workshop, "file")).then(
      (file) => file.size,
      () => 0,
    );
    return size > 1000;
  };

  it.each<[string, string[], () => Promise<boolean>]>([
    ["powers of tau", ["ptau", "new", "--power", "17", "--out", "stop.ptau"], writing("stop.ptau")],
    [
      "a development key",
      ["key", "new", "large.r1cs", "--development", "--out", "stop-dev.zkey"],
      writing("stop-dev.zkey"),
    ],
    [
      "a beacon",
      ["key", "beacon", "0.zkey", "--beacon", "01", "--iterations", "32", "--out", "stop-beacon.zkey"],
      async () => (await readdir(directory)).some((name) => name.startsWith("stop-beacon")),
    ],
    [
      "an import",
      ["ptau", "import", "large.ptau"],
      async () => {
        const kinds = await readdir(join(cache, "ptau")).catch(() => []);
        return kinds.some((name) => /\.lock$/.test(name));
      },
    ],
  ])("in the middle of %s ends with 130 and one line, and leaves nothing", async (_, args, began) => {
    if (!existsSync(at("large.r1cs"))) {
      const rows = Array.from({ length: 2 ** 17 - 2 }, () => [[], [], []] as const);
      await writeFile(at("large.r1cs"), r1csFile({ wires: 2, rows }));
      await succeeds("ptau new --power 14 --unprepared --out large.ptau");
    }
    const before = (await readdir(directory)).sort();
    const kept = await readdir(join(cache, "ptau"));
    const { status, out, err } = await interrupted(args, began);
    expect(err).toMatch(/^error ABORTED: [^\n]+\n$/);
    expect([status, out]).toEqual([130, ""]);
    expect((await readdir(directory)).sort()).toEqual(before);
    expect((await readdir(join(cache, "ptau"))).sort()).toEqual(kept.sort());
  });

  afterAll(async () => {
    for (const name of ["large.ptau", "large.r1cs"]) await rm(at(name), { force: true });
  });
});
