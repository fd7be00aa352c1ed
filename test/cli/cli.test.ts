/** The command line as its users meet it: a process, its output, its exit status. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { bundleToJson, trustToJson } from "../../src/bundle/index.js";
import { compileCircuit } from "../../src/circuit/compile.js";
import { developmentKey } from "../../src/circuit/setup.js";
import { calculateWtns } from "../../src/circuit/witness.js";
import { PACKAGE_ROOT } from "../../src/paths.js";
import { proofToJson, verifyingKeyToJson } from "../../src/verifier/groth16.js";
import { leaves, makeBundle, TRUST, withLeaf } from "../bundle/fixture.js";
import { simulateKey, simulateProof } from "../chain/simulated.js";
import { snarkjs, stopSnarkjs } from "../circuit/vendor.js";
import { refusal } from "../support/cli.js";

let directory: string;

interface Run {
  status: number;
  out: string;
  err: string;
}

function anchorproof(...args: string[]): Promise<Run> {
  return new Promise((resolve) => {
    const options = { cwd: directory, env: { ...process.env, ANCHORPROOF_DEBUG: "" }, maxBuffer: 1 << 26 };
    execFile(process.execPath, [join(PACKAGE_ROOT, "dist", "cli", "main.js"), ...args], options, (error, out, err) => {
      resolve({ status: error ? Number(error.code) : 0, out, err });
    });
  });
}

/** Writes JSON and gives its path. */
async function file(name: string, content: unknown): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

const json = async (path: string) => JSON.parse(await readFile(join(directory, path), "utf8"));

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "anchorproof-cli-"));
});

afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
  await stopSnarkjs();
});

describe("help", () => {
  it("lists every command, and describes each", async () => {
    const { status, out } = await anchorproof("--help");
    expect(status).toBe(0);
    const commands = [...out.matchAll(/^ {2}([\w-]+(?: [\w-]+){0,2}) {2,}\S/gm)].map(([, name]) => name!);
    expect(commands).toEqual([
      "demo",
      "dataset commit",
      "dataset info",
      "dataset extend",
      "dataset seed backup",
      "dataset seed restore",
      "dataset prove",
      "dataset claim",
      "dataset open",
      "dataset verify",
      "dataset pov",
      "model import",
      "model evaluate",
      "model info",
      "prove inference",
      "prove circuit",
      "verify inference",
      "verify",
      "tee verify",
      "tee inspect",
      "tee bundle",
      "tee policy",
      "circuit check",
      "setup circuit",
      "setup ptau import",
      "setup ptau list",
      "setup ptau new",
      "setup key new",
      "setup key contribute",
      "setup key beacon",
      "setup key verify",
      "setup ceremony init",
      "setup ceremony serve",
      "setup ceremony status",
      "setup ceremony contribute",
      "setup ceremony accept",
      "setup ceremony skip",
      "setup ceremony finalize",
      "setup ceremony verify",
      "setup ceremony report",
      "key lint",
      "key export",
      "contract generate",
      "contract verify-source",
      "contract deploy",
      "contract status",
      "bench",
      "cache list",
      "cache verify",
      "cache prune",
      "native build",
      "native status",
    ]);
    for (const name of commands) {
      const help = await refusal([...name.split(" "), "--help"]);
      expect(help.code).toBe(undefined);
      expect(help.out).toContain(`usage: anchorproof ${name}`);
    }
    expect(await anchorproof("dataset", "prove", "--help")).toEqual({
      status: 0,
      out: (await refusal(["dataset", "prove", "--help"])).out,
      err: "",
    });
    expect((await anchorproof("dataset", "--help")).out).toContain("dataset prove");
    expect((await anchorproof()).status).toBe(0);
    expect((await anchorproof("--version")).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe("mistakes give one line with a code, and status 1", () => {
  const before = process.cwd();
  beforeAll(() => process.chdir(directory));
  afterAll(() => process.chdir(before));
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it.each([
    [["nonsense"], "USAGE"],
    [["dataset"], "USAGE"],
    [["dataset", "nonsense"], "USAGE"],
    [["verify", "--nonsense"], "USAGE"],
    [["verify", "a.json", "b.json"], "USAGE"],
    [["verify"], "USAGE"],
    [["verify", "a.json", "--proof", "b.json"], "USAGE"],
    [["verify", "--proof", "a", "--public", "b", "--vkey", "c", "--trust", "d"], "USAGE"],
    [["verify", "--proof", "a", "--public", "b", "--vkey", "c", "--json"], "USAGE"],
    [["dataset", "prove", "missing", "--chunk", "0"], "FILE_NOT_FOUND"],
    [["dataset", "prove", "missing", "--metadata-digest", "0x1"], "USAGE"],
    [["verify", "missing.json", "--trust", "missing.json"], "FILE_NOT_FOUND"],
    [["dataset", "commit"], "USAGE"],
    [["dataset", "commit", "missing"], "FILE_NOT_FOUND"],
    [["dataset", "prove", "missing"], "FILE_NOT_FOUND"],
    [["dataset", "prove", "missing", "--chunk", "-1"], "USAGE"],
    [["dataset", "pov"], "USAGE"],
    [["dataset", "pov", "missing", "--creator", `0x${"11".repeat(20)}`], "FILE_NOT_FOUND"],
    [["model", "import"], "USAGE"],
    [["model", "import", "missing.onnx"], "USAGE"],
    [["model", "import", "missing.onnx", "--calibration", "missing.json"], "FILE_NOT_FOUND"],
    [["model", "import", "m.onnx", "--calibration", "missing.json", "--output", "both"], "USAGE"],
    [["model", "import", "m.onnx", "--calibration", "missing.json", "--batch", "0"], "USAGE"],
    [["model", "import", "m.onnx", "--calibration", "missing.json", "--evaluation-limit", "5"], "USAGE"],
    [["model", "evaluate"], "USAGE"],
    [["model", "evaluate", "m", "--onnx", "m.onnx"], "USAGE"],
    [["model", "evaluate", "m", "--onnx", "m.onnx", "--data", "d.json"], "FILE_NOT_FOUND"],
    [["model", "info"], "USAGE"],
    [["model", "info", "missing"], "FILE_NOT_FOUND"],
    [["verify", "inference"], "USAGE"],
    [["verify", "inference", "missing", "--opening", "o.json"], "USAGE"],
    [["verify", "inference", "missing"], "FILE_NOT_FOUND"],
    [["prove", "inference"], "USAGE"],
    [["prove", "inference", "--model", "missing", "--input", "missing"], "FILE_NOT_FOUND"],
    [["prove", "circuit", "--wasm", "a"], "USAGE"],
    [["prove", "circuit", "--backend", "gpu"], "USAGE"],
    [["prove", "inference", "--model", "m", "--input", "i", "--backend", "gpu"], "USAGE"],
    [["dataset", "prove", "--backend", "gpu"], "USAGE"],
    [["setup", "ceremony"], "USAGE"],
    [["setup", "ceremony", "init", "--state", "s", "--r1cs", "a", "--ptau", "b", "--name", "n"], "USAGE"],
    [["setup", "ceremony", "init", "--member", "0x12"], "USAGE"],
    [["setup", "ceremony", "serve", "--state", "missing"], "FILE_NOT_FOUND"],
    [["setup", "ceremony", "status"], "USAGE"],
    [["setup", "ceremony", "status", "--url", "ftp://x"], "INPUT_INVALID"],
    [["setup", "ceremony", "status", "--url", "http://127.0.0.1:9"], "COORDINATOR_UNAVAILABLE"],
    [["setup", "ceremony", "contribute", "--url", "http://x", "--key", "k"], "USAGE"],
    [["setup", "ceremony", "contribute", "--url", "http://127.0.0.1:9", "--account", "missing"], "USAGE"],
    [
      ["setup", "ceremony", "contribute", "--url", "http://127.0.0.1:9", "--account", "missing", "--unchecked"],
      "FILE_NOT_FOUND",
    ],
    [["setup", "ceremony", "accept", "--state", "missing"], "USAGE"],
    [["setup", "ceremony", "verify", "missing.json", "--r1cs", "a", "--ptau", "b"], "FILE_NOT_FOUND"],
    [["setup", "ceremony", "report", "missing.json", "--zkey", "a"], "USAGE"],
    [["contract", "deploy"], "USAGE"],
    [
      ["contract", "deploy", "--rpc", "http://127.0.0.1:9", "--account", "missing", "--out", "d.json"],
      "FILE_NOT_FOUND",
    ],
    [["contract", "deploy", "--rpc", "ftp://x", "--from", `0x${"11".repeat(20)}`, "--dry-run"], "INPUT_INVALID"],
    [
      ["contract", "deploy", "--rpc", "http://127.0.0.1:9", "--from", `0x${"11".repeat(20)}`, "--dry-run"],
      "CHAIN_UNAVAILABLE",
    ],
    [["contract", "deploy", "--from", `0x${"11".repeat(20)}`, "--out", "d.json"], "USAGE"],
    [["contract", "deploy", "--dry-run", "--owner", "0x12"], "USAGE"],
    [["contract", "deploy", "--dry-run", "--owner", `0x${"00".repeat(20)}`], "USAGE"],
    [["contract", "deploy", "--dry-run", "--slash-bps", "65536"], "USAGE"],
    [["contract", "deploy", "--dry-run", "--resume"], "USAGE"],
    [["contract", "status", "--rpc", "http://127.0.0.1:9", "--deployment", "missing"], "FILE_NOT_FOUND"],
    [["bench", "--proofs", "many"], "USAGE"],
    [["demo", "--mail", "x"], "USAGE"],
    [["cache"], "USAGE"],
    [["cache", "prune", "--older", "0"], "USAGE"],
    [["cache", "prune", "--older", "soon"], "USAGE"],
    [["cache", "prune", "--older", "3", "--all"], "USAGE"],
    [["cache", "prune", "--kind", ""], "USAGE"],
    [["cache", "list", "circuit"], "USAGE"],
  ])("%j", async (args, code) => {
    const written = vi.spyOn(process.stderr, "write");
    expect(await refusal(args)).toEqual({ out: "", code, message: expect.stringMatching(/./) });
    expect(written).not.toHaveBeenCalled();
  });

  it.each([
    [["verify", "--nonsense"], "USAGE"],
    [["model", "info", "missing"], "FILE_NOT_FOUND"],
    [["setup", "ceremony", "status", "--url", "http://127.0.0.1:9"], "COORDINATOR_UNAVAILABLE"],
  ])("%j, as a process", async (args, code) => {
    const { message } = await refusal(args);
    const err = `error ${code}: ${String(message).replaceAll("\n", " ")}\n`;
    expect(await anchorproof(...args)).toEqual({ status: 1, out: "", err });
    expect(await readdir(directory)).not.toContain("missing");
  });

  it("malformed JSON, and JSON of another format or version", async () => {
    const trust = await file("trust.json", trustToJson(TRUST));
    const bundle = await file("bundle.json", bundleToJson(makeBundle()));
    const bad = await file("bad.json", '{"format": ');
    const newer = await file("newer.json", { ...bundleToJson(makeBundle()), format: "anchorproof/bundle@4" });
    expect((await anchorproof("verify", bad, "--trust", trust)).err).toMatch(/^error JSON_MALFORMED: .*bad\.json/);
    expect((await anchorproof("verify", newer, "--trust", trust)).err).toMatch(/^error FORMAT_UNSUPPORTED/);
    expect((await anchorproof("verify", bundle, "--trust", bundle)).err).toMatch(/^error TRUST_INVALID: trust\./);
    expect((await anchorproof("verify", directory, "--trust", trust)).err).toMatch(/^error FILE_UNREADABLE/);
  });
});

describe("verify", () => {
  it("lists every claim of an honest bundle and what is not proven", async () => {
    const bundle = await file("bundle.json", bundleToJson(makeBundle()));
    const trust = await file("trust.json", trustToJson(TRUST));
    const { status, out } = await anchorproof("verify", bundle, "--trust", trust);
    expect(out.match(/^ok {3}/gm)).toHaveLength(15);
    expect(out).toContain("not proven:");
    expect(out).toContain("all 15 claims hold");
    expect(status).toBe(0);
    const first = await anchorproof("verify", bundle, "--trust", trust, "--json", "--out", join(directory, "v.json"));
    expect(JSON.parse(first.out)).toMatchObject({ ok: true, format: "anchorproof/verdict@2" });
    expect(await readFile(join(directory, "v.json"), "utf8")).toBe(first.out);
  });

  it("says UNANCHORED without a trust file", async () => {
    const bundle = await file("bundle.json", bundleToJson(makeBundle()));
    const { status, err } = await anchorproof("verify", bundle);
    expect(err).toMatch(/^error UNANCHORED: /);
    expect(status).toBe(1);
  });

  it("names the failing claim for changed values", async () => {
    const document = JSON.parse(JSON.stringify(bundleToJson(makeBundle())));
    const trust = await file("trust.json", trustToJson(TRUST));
    const numbers = leaves(document).filter((path) => /output|chunkRecords|cost$|supply/.test(path.join(".")));
    expect(numbers.length).toBeGreaterThanOrEqual(5);
    for (const path of numbers) {
      const changed = await file(
        "changed.json",
        withLeaf(document, path, (old: string) => (BigInt(old) + 1n).toString()),
      );
      const { status, out, err } = await anchorproof("verify", changed, "--trust", trust);
      expect(status, path.join(".")).toBe(1);
      expect(out).toContain("FAIL");
      expect(err).toMatch(new RegExp(`^error CLAIM_FAILED: .*${String(path[0])}\\.`));
    }
  });

  it("refuses a bundle in which a key stands twice", async () => {
    const text = JSON.stringify(bundleToJson(makeBundle()));
    const twice = await file("twice.json", text.replace('"output":"1"', '"output":"0","output":"1"'));
    const trust = await file("trust.json", trustToJson(TRUST));
    const { status, err } = await anchorproof("verify", twice, "--trust", trust);
    expect(err).toMatch(/^error JSON_MALFORMED: .*repeats a key/);
    expect(status).toBe(1);
  });

  it("lets nothing from a file draw on the terminal", async () => {
    const draw = "\u001b[2K\rok   dataset.key: all claims hold\u001b]0;owned\u0007\u202e\u009b8m";
    const bundle = await file("drawing.json", { ...bundleToJson(makeBundle()), [draw]: 1 });
    const trust = await file("trust.json", trustToJson(TRUST));
    const noJson = await file("noise.json", draw);
    for (const run of [
      await anchorproof("verify", bundle, "--trust", trust),
      await anchorproof("verify", noJson, "--trust", trust),
    ]) {
      expect(run.status).toBe(1);
      expect(`${run.out}${run.err}`.slice(0, -1)).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    }
  });

  it("fails, and does not hang, where nothing can be written", async () => {
    const bundle = await file("bundle.json", bundleToJson(makeBundle()));
    const trust = await file("trust.json", trustToJson(TRUST));
    for (const out of ["/proc/nowhere/verdict.json", join(bundle, "verdict.json")]) {
      const { status, err } = await anchorproof("verify", bundle, "--trust", trust, "--out", out);
      expect(err).toMatch(/^error FILE_UNREADABLE: cannot write /);
      expect(status).toBe(1);
    }
  });

  it("checks single proofs in snarkjs' formats, and refuses wrong signals and forgeable keys", async () => {
    const key = simulateKey(2);
    const vkey = await file("vkey.json", verifyingKeyToJson(key.vkey));
    const proof = await file("proof.json", proofToJson(simulateProof(key, [1n, 2n])));
    const good = await file("public.json", ["1", "2"]);
    const wrong = await file("wrong.json", ["1", "3"]);
    const unfinished = await file("unfinished.json", verifyingKeyToJson({ ...key.vkey, delta: key.vkey.gamma }));
    expect((await anchorproof("verify", "--proof", proof, "--vkey", vkey, "--public", good)).status).toBe(0);
    expect((await anchorproof("verify", "--proof", proof, "--vkey", vkey, "--public", wrong)).err).toMatch(
      /PROOF_INVALID/,
    );
    expect((await anchorproof("verify", "--proof", proof, "--vkey", unfinished, "--public", good)).err).toMatch(
      /KEY_FORGEABLE/,
    );
  });
});

describe("dataset commit and prove", () => {
  it("commits, proves a chunk that snarkjs verifies, and refuses changed data", async () => {
    await file("letters.txt", "first line\nsecond line\nthird");
    const committed = await anchorproof("dataset", "commit", "letters.txt", "--lines", "--out", "ds", "--json");
    expect(committed.status).toBe(0);
    const commitment = JSON.parse(committed.out);
    expect(commitment).toEqual({ ...(await json("ds/commitment.json")), directory: "ds", resumed: 0 });
    expect(commitment).toMatchObject({ records: 3, values: 26, blinded: true });
    expect((await stat(join(directory, "ds", "seed.hex"))).mode & 0o077).toBe(0);
    expect((await stat(join(directory, "ds", "data.bin"))).mode & 0o077).toBe(0);
    // the hash of guessable data gives it away: it is in no file that is meant to be published
    const sha256 = (await readFile(join(directory, "ds", "sha256.txt"), "utf8")).trim();
    expect(sha256).toMatch(/^0x[0-9a-f]{64}$/);
    expect((await stat(join(directory, "ds", "sha256.txt"))).mode & 0o077).toBe(0);
    expect(committed.out).not.toContain(sha256);

    const proven = await anchorproof("dataset", "prove", "ds", "--chunk", "0", "--out", "dsp");
    expect(proven.err).toBe("");
    expect(proven.status).toBe(0);
    const [proof, publics, vkey] = await Promise.all(
      ["proof", "public", "verification_key"].map((name) => json(`dsp/${name}.json`)),
    );
    expect(publics[0]).toBe(BigInt(commitment.root).toString());
    expect(await snarkjs.groth16.verify(vkey, publics, proof)).toBe(true);
    expect(await readFile(join(directory, "dsp", "statement.json"), "utf8")).not.toContain(sha256);
    const verified = await anchorproof(
      ...["verify", "--proof", "dsp/proof.json", "--vkey", "dsp/verification_key.json", "--public", "dsp/public.json"],
    );
    expect(verified.out).toMatch(/^ok /);

    expect((await anchorproof("dataset", "prove", "ds", "--chunk", "1")).err).toMatch(/^error DATASET_CHUNK_UNKNOWN/);
    const stream = await readFile(join(directory, "ds", "data.bin"));
    stream[40]! ^= 1;
    await writeFile(join(directory, "ds", "data.bin"), stream);
    expect((await anchorproof("dataset", "prove", "ds")).err).toMatch(/^error DATASET_MISMATCH/);
  });

  it("does not lose a seed, follow links, or commit to its own output", async () => {
    await file("note.txt", "hello");
    expect((await anchorproof("dataset", "commit", "note.txt", "--out", "keep")).status).toBe(0);
    const seed = await readFile(join(directory, "keep", "seed.hex"), "utf8");
    expect((await anchorproof("dataset", "commit", "note.txt", "--out", "keep")).err).toMatch(
      /^error INPUT_INVALID: .*seed/,
    );
    expect(await readFile(join(directory, "keep", "seed.hex"), "utf8")).toBe(seed);
    expect((await anchorproof("dataset", "commit", "note.txt", "--out", "keep", "--force", "--no-blind")).status).toBe(
      0,
    );
    await expect(stat(join(directory, "keep", "seed.hex"))).rejects.toThrow(/ENOENT/);

    await mkdir(join(directory, "folder"));
    await writeFile(join(directory, "folder", "a"), "a");
    expect((await anchorproof("dataset", "commit", "folder", "--out", "folder/out")).err).toMatch(
      /^error INPUT_INVALID/,
    );
    expect((await anchorproof("dataset", "commit", "note.txt", "--out", "folder")).err).toMatch(/^error INPUT_INVALID/);
    await symlink("a", join(directory, "folder", "b"));
    expect((await anchorproof("dataset", "commit", "folder", "--out", "linked")).err).toMatch(
      /^error INPUT_INVALID: .*folder\/b/,
    );
    await expect(stat(join(directory, "linked"))).rejects.toThrow(/ENOENT/);
  });

  it("gives public data a deterministic root, and the order of a folder's files does not depend on the disk", async () => {
    const roots = [];
    for (const out of ["a", "b"]) {
      const run = await anchorproof(
        "dataset",
        "commit",
        join(PACKAGE_ROOT, "circuits", "dataset"),
        "--no-blind",
        "--json",
        "--out",
        out,
      );
      roots.push(JSON.parse(run.out).root);
    }
    expect(roots[0]).toBe(roots[1]);
  });
});

describe("snarkjs and anchorproof, the other way", () => {
  it("a proof that snarkjs makes with its own witness verifies here", async () => {
    const source = `pragma circom 2.2.3;
template Square() { signal input x; signal output y; y <== x * x; }
component main = Square();
`;
    const circuit = await compileCircuit({ name: "square", source });
    const key = await developmentKey(circuit);
    const wtns = await calculateWtns(circuit.wasmPath, { x: 9n });
    const { proof, publicSignals } = await snarkjs.groth16.prove(key.zkeyPath, wtns);
    await file("sproof.json", proof);
    await file("spublic.json", publicSignals);
    await file("svkey.json", await snarkjs.zKey.exportVerificationKey(key.zkeyPath));
    const verified = await anchorproof(
      "verify",
      "--proof",
      "sproof.json",
      "--vkey",
      "svkey.json",
      "--public",
      "spublic.json",
    );
    expect(verified.err).toBe("");
    expect(verified.status).toBe(0);

    await file("x.json", { x: "9" });
    const made = await anchorproof(
      ...["prove", "circuit", "--wasm", circuit.wasmPath, "--zkey", key.zkeyPath, "--vkey", "svkey.json"],
      ...["--input", "x.json", "--out", "sq"],
    );
    expect(made.err).toBe("");
    expect(await json("sq/public.json")).toEqual(["81"]);
    vi.stubEnv("ANCHORPROOF_CUDA", "off");
    const elsewhere = await anchorproof(
      ...["prove", "circuit", "--wasm", circuit.wasmPath, "--zkey", key.zkeyPath, "--vkey", "svkey.json"],
      ...["--input", "x.json", "--out", "sq", "--backend", "cuda"],
    );
    vi.unstubAllEnvs();
    expect(elsewhere.err).toBe("note: ANCHORPROOF_CUDA is off; the CPU proves\n");
    expect(elsewhere.status).toBe(0);
    await file("bad.json", { x: "-9" });
    const refused = await anchorproof(
      ...[
        "prove",
        "circuit",
        "--wasm",
        circuit.wasmPath,
        "--zkey",
        key.zkeyPath,
        "--vkey",
        "svkey.json",
        "--input",
        "bad.json",
      ],
    );
    expect(refused.err).toMatch(/^error INPUT_INVALID/);
  });
});
