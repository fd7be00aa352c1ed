/** The commands that prove things about a dataset and check what was proven, as processes. Circuits are the ones that ship. */
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PACKAGE_ROOT } from "../../src/paths.js";
import { snarkjs, stopSnarkjs } from "../circuit/vendor.js";

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

async function done(...args: string[]): Promise<string> {
  const { status, out, err } = await anchorproof(...args);
  expect(err).toBe("");
  expect(status).toBe(0);
  return out;
}

const read = (path: string) => readFile(join(directory, path), "utf8");

interface Outcome {
  keys: { circuit: string; name: string; keyDigest: string }[];
  [name: string]: unknown;
}

/** Options that trust the keys that proofs were made with. */
const trusting = ({ keys }: Outcome) => keys.flatMap(({ circuit, keyDigest }) => ["--key", `${circuit}=${keyDigest}`]);

let integrity: Outcome;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "anchorproof-dataset-proof-"));
  await writeFile(join(directory, "old.txt"), "first line\nsecond line\nthird");
  await writeFile(join(directory, "more.txt"), "fourth\nfifth");
  await done("dataset", "commit", "old.txt", "--lines", "--out", "old");
  await done("dataset", "extend", "old", "more.txt", "--lines", "--out", "ds");
  integrity = JSON.parse(await done("dataset", "prove", "ds", "--json"));
}, 240_000);

afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
  await stopSnarkjs();
});

describe("dataset prove and claim", () => {
  it("say what is proven, by how many rows, and for whom", async () => {
    const { root } = JSON.parse(await read("ds/commitment.json"));
    expect(integrity).toMatchObject({
      file: join("ds", "proofs", "integrity.json"),
      root,
      claim: { type: "integrity" },
      result: { records: 5, blocks: 5 },
      proofs: 1,
      resumed: 0,
      domain: { chainId: "31337" },
    });
    expect(integrity["rows"]).toBeGreaterThan(5 * 600);
    expect(integrity.keys.map(({ circuit }) => circuit)).toEqual(["dataset-content"]);
    await expect(stat(join(directory, "ds/proofs/integrity.json.journal"))).rejects.toThrow(/ENOENT/);
  });

  it("show bytes in a range, in words", async () => {
    const out = await done("dataset", "claim", "ds", "bytes", "--ascii", "--out", "ascii.json", "--nonce", "5");
    expect(out).toMatch(/^\d proofs? in \d/);
    expect(out).toMatch(/^[\d,]+ rows in all, \d+\.\d{3} a byte of data$/m);
    expect(out).toMatch(/^proven all 5 records: text, and its data is known\nproven all 37 bytes: 0 to 127$/m);
    expect(out).toMatch(/^not {4}/m);
    expect(out).toMatch(/^key {4}dataset-bytes-\S+ 0x\w{64}; a development key: whoever made it could forge$/m);
    expect(out).toMatch(/nonce 5, until/);
    expect(JSON.parse(await read("ascii.json"))).toMatchObject({ format: "anchorproof/proof-set@1" });
    const written = await read("ascii.json");
    const other = await anchorproof("dataset", "claim", "ds", "bytes", "--range", "0..255", "--out", "ascii.json");
    expect(other.err).toMatch(/^error INPUT_INVALID: ascii.json holds proofs of another claim: name another place/);
    expect(await read("ascii.json")).toBe(written);
  }, 120_000);

  it("fail with a code, and leave nothing", async () => {
    const mistakes: [string[], string][] = [
      [["dataset", "claim", "ds"], "USAGE"],
      [["dataset", "claim", "ds", "beauty"], "USAGE"],
      [["dataset", "claim", "ds", "labels"], "USAGE"],
      [["dataset", "claim", "ds", "labels", "--labels", "spam", "--sum"], "USAGE"],
      [["dataset", "claim", "ds", "labels", "--labels", "spam,ham"], "CLAIM_FALSE"],
      [["dataset", "claim", "ds", "labels", "--labels", "spam,spam"], "CLAIM_INVALID"],
      [["dataset", "claim", "ds", "column", "--column", "age"], "CLAIM_INVALID"],
      [["dataset", "claim", "ds", "column"], "USAGE"],
      [["dataset", "claim", "ds", "bytes"], "USAGE"],
      [["dataset", "claim", "ds", "bytes", "--ascii", "--range", "0..5"], "USAGE"],
      [["dataset", "claim", "ds", "bytes", "--range", "0..256"], "USAGE"],
      [["dataset", "claim", "ds", "bytes", "--range", "48..57"], "CLAIM_FALSE"],
      [["dataset", "claim", "ds", "numbers", "--range", "0..1"], "CLAIM_INVALID"],
      [["dataset", "prove", "missing"], "FILE_NOT_FOUND"],
      [["dataset", "prove", "ds", "--chunk", "0", "--record", "0"], "USAGE"],
      [["dataset", "prove", "ds", "--sha256"], "USAGE"],
      [["dataset", "prove", "ds", "--claim", "labels"], "USAGE"],
      [["dataset", "prove", "ds", "--zkey", "missing.zkey"], "FILE_NOT_FOUND"],
      [["dataset", "open", "ds", "5"], "DATASET_RECORD_UNKNOWN"],
      [["dataset", "open", "ds", "first"], "USAGE"],
    ];
    const runs = await Promise.all(mistakes.map(([args]) => anchorproof(...args)));
    for (const [i, [args, code]] of mistakes.entries()) {
      expect(runs[i]!.err, args.join(" ")).toMatch(new RegExp(`^error ${code}: .+\n$`));
      expect(runs[i]!.status).toBe(1);
    }
    expect(await readdir(join(directory, "ds/proofs"))).toEqual(["integrity.json"]);
  }, 120_000);
});

describe("dataset verify", () => {
  const file = "ds/proofs/integrity.json";

  it("takes a set for what its keys, root and task are trusted to be", async () => {
    const out = await done("dataset", "verify", file, ...trusting(integrity), "--commitment", "ds/commitment.json");
    expect(out).toMatch(/^ok {5}1 proof of one claim, nothing left out, repeated or moved\nroot {3}0x/);
    expect(out).toContain("proven the data of all 5 records is known: 5 blocks of 15 elements");
    expect(out).toMatch(/; no ceremony is known for it: whoever made it could forge$/m);
    const told = JSON.parse(await done("dataset", "verify", file, ...trusting(integrity), "--json"));
    expect(told).toMatchObject({ kind: "proof-set", root: integrity["root"], result: { records: 5 } });
    expect(await done("dataset", "verify", file, ...trusting(integrity))).toMatch(/^note {3}no --root/m);
    const old = ["--old-root", integrity["root"] as string];
    const grown = await anchorproof("dataset", "verify", file, ...trusting(integrity), ...old);
    expect(grown.err).toMatch(/^error PROOF_SET_INVALID: the proof is of no growth out of --old-root\n$/);
    expect(grown.status).toBe(1);
  });

  it("refuses what is not anchored, or about something else", async () => {
    const key = trusting(integrity);
    const zero = (bytes: number) => `0x${"00".repeat(bytes)}`;
    for (const [args, code] of [
      [[], "UNANCHORED"],
      [["--key", "nonsense"], "USAGE"],
      [["--key", `dataset-magic=${zero(32)}`], "USAGE"],
      [["--key", `dataset-content=${zero(32)}`], "KEY_UNKNOWN"],
      [["--key", `dataset-labels=${integrity.keys[0]!.keyDigest}`], "KEY_UNKNOWN"],
      [[...key, "--root", zero(32)], "PROOF_SET_INVALID"],
      [[...key, "--commitment", "old/commitment.json"], "PROOF_SET_INVALID"],
      [[...key, "--nonce", "5"], "PROOF_SET_INVALID"],
      [[...key, "--chain-id", "1"], "PROOF_SET_INVALID"],
      [["missing.json"], "USAGE"],
    ] as const) {
      const { status, err } = await anchorproof("dataset", "verify", file, ...args);
      expect(err, args.join(" ")).toMatch(new RegExp(`^error ${code}: `));
      expect(status).toBe(1);
    }
  });

  it("refuses a set that was changed", async () => {
    const text = await read(file);
    const changes: [string, string][] = [
      ['"records": "5"', '"records": "6"'],
      ['"blocks": "5"', '"blocks": "6"'],
      ['"integrity"', '"distinct"'],
      ['"chainId": "31337"', '"chainId": "1"'],
      ["\n}", ',\n "more": "1"\n}'],
    ];
    for (const [from, to] of changes) {
      expect(text).toContain(from);
      await writeFile(join(directory, "changed.json"), text.replace(from, to));
      const { status, err } = await anchorproof("dataset", "verify", "changed.json", ...trusting(integrity));
      expect(err, to).toMatch(/^error (PROOF_SET_INVALID|PROOF_INVALID|CLAIM_INVALID): /);
      expect(status).toBe(1);
    }
    for (const length of [0, text.length - 3]) {
      await writeFile(join(directory, "changed.json"), text.slice(0, length));
      expect((await anchorproof("dataset", "verify", "changed.json", ...trusting(integrity))).err).toMatch(
        /^error JSON_MALFORMED/,
      );
    }
  });
});

describe("dataset prove --chunk", () => {
  it("makes what the gate takes, and snarkjs verifies", async () => {
    const out = await done("dataset", "prove", "ds", "--chunk", "0", "--out", "chunk");
    expect(out).toMatch(/^chunk 0 of 1 under 0x\w{64}: 5 records\nproof in .+, key 0x\w{64} \(development\)$/m);
    const [proof, publics, vkey, statement] = await Promise.all(
      ["proof", "public", "verification_key", "statement"].map(async (name) =>
        JSON.parse(await read(`chunk/${name}.json`)),
      ),
    );
    expect(publics.slice(0, 3)).toEqual([BigInt(String(integrity["root"])).toString(), "0", "5"]);
    expect(await snarkjs.groth16.verify(vkey, publics, proof)).toBe(true);
    const args = ["dataset", "verify", "chunk", "--key", `dataset-chunk=${statement.task.keyDigest}`];
    expect(await done(...args, "--root", statement.asset.commitment)).toMatch(/^ok {5}one chunk/);
    expect((await anchorproof(...args, "--commitment", "old/commitment.json")).err).toMatch(/^error CLAIM_FAILED/);
    expect((await anchorproof(...args, "--chain-id", "1")).err).toMatch(/^error PROOF_INVALID/);
    expect((await anchorproof("dataset", "verify", "chunk", ...trusting(integrity))).err).toMatch(/^error KEY_UNKNOWN/);
    expect((await anchorproof("dataset", "prove", "ds", "--chunk", "1")).err).toMatch(/^error DATASET_CHUNK_UNKNOWN/);
  }, 120_000);
});

describe("dataset open", () => {
  it("shows one record, which anybody can check", async () => {
    const opened = JSON.parse(await done("dataset", "open", "ds", "1", "--out", "shown", "--json"));
    expect(opened).toMatchObject({ fact: { type: "opening", index: 1 }, root: integrity["root"] });
    expect(await read("shown/data.bin")).toBe("second line");
    const args = [...trusting(opened), "--root", String(integrity["root"])];
    expect(await done("dataset", "verify", "shown", ...args)).toMatch(
      /^ok {5}record\.bin is that record: text \[11\], 11 bytes$/m,
    );

    const record = await readFile(join(directory, "shown/record.bin"));
    record[record.length - 1]! ^= 1;
    await writeFile(join(directory, "shown/record.bin"), record);
    expect((await anchorproof("dataset", "verify", "shown", ...args)).err).toMatch(/^error DATASET_MISMATCH: /);
    record[record.length - 1]! ^= 1;
    await writeFile(join(directory, "shown/record.bin"), record);
    await writeFile(join(directory, "shown/data.bin"), "second lime");
    expect((await anchorproof("dataset", "verify", "shown", ...args)).err).toMatch(
      /^error DATASET_MISMATCH: .*data\.bin/,
    );
  }, 120_000);
});

describe("dataset prove --grown-from", () => {
  it("shows that a dataset extends another one, by its commitment alone", async () => {
    const grown = JSON.parse(
      await done("dataset", "prove", "ds", "--grown-from", "old/commitment.json", "--out", "growth.json", "--json"),
    );
    const { root } = JSON.parse(await read("old/commitment.json"));
    expect(grown).toMatchObject({ fact: { type: "growth", oldRoot: root, oldRecords: 3, newRecords: 5 } });
    const args = ["dataset", "verify", "growth.json", ...trusting(grown)];
    expect(await done(...args, "--old-root", root, "--commitment", "ds/commitment.json")).toContain(
      "proven 2 records came after them",
    );
    expect((await anchorproof(...args, "--old-root", `0x${"00".repeat(32)}`)).err).toMatch(/^error PROOF_SET_INVALID/);
    expect((await anchorproof(...args, "--commitment", "old/commitment.json")).err).toMatch(/^error PROOF_SET_INVALID/);
  }, 120_000);

  it("refuses one that does not", async () => {
    await done("dataset", "commit", "old.txt", "--lines", "--out", "stranger");
    for (const old of ["stranger", "stranger/commitment.json"]) {
      expect((await anchorproof("dataset", "prove", "ds", "--grown-from", old)).err).toMatch(/^error CLAIM_FALSE: /);
    }
    expect((await anchorproof("dataset", "prove", "old", "--grown-from", "ds")).err).toMatch(
      /^error CLAIM_FALSE: .*shrunk/,
    );
  });
});
