import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { describeR1cs } from "../../src/circuit/r1cs.js";
import { R } from "../../src/field/scalar.js";
import { circuitText, emitR1cs } from "../../src/model/circuit/index.js";
import { readAdapter, readModelDirectory, readModelGraph, writeModelDirectory } from "../../src/model/directory.js";
import { checkGraph, type ModelGraph, modelDigest, serialiseGraph } from "../../src/model/graph.js";
import { code } from "../support/errors.js";

/** 3 numbers, and `private` weights beside them where there are some, to 2. */
function model({ bias = 5, adapter = 0 } = {}): ModelGraph {
  const inner = 3 + adapter;
  const parts = [{ name: "lora_A", shape: [adapter] }];
  return checkGraph({
    nodes: [
      { op: "input", shape: [3], lo: -8, bits: 4, scaleLog2: 0 },
      ...(adapter ? [{ op: "adapter", parts, lo: -128, bits: 8, alpha: "8" }] : []),
      {
        op: "arrange",
        inputs: adapter ? [0, 1] : [0],
        index: Array.from({ length: inner }, (_, i) => i),
        constants: [],
      },
      {
        op: "linear",
        inputs: [adapter ? 2 : 1],
        groups: 1,
        positions: 1,
        inner,
        outputs: 2,
        weights: Array.from({ length: 2 * inner }, (_, i) => i - 4),
        bias: [bias, -bias],
      },
    ],
  });
}

const plain = { graph: model(), batch: 1 };
const adapted = { graph: model({ adapter: 2 }), batch: 1, adapter: { weights: [7, -128], salt: R - 1n } };

let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "anchorproof-directory-"));
});
afterAll(() => rm(home, { recursive: true, force: true }));

const write = (name: string, content: Parameters<typeof writeModelDirectory>[1] = plain, overwrite = false) =>
  writeModelDirectory(join(home, name), content, { overwrite });

describe("a model directory", () => {
  it("has the graph, the circuit and its rows, and is read back", async () => {
    const made = await write("deep/plain");
    const { path, circuit } = made;
    expect((await readdir(path)).sort()).toEqual(["circuit.circom", "circuit.json", "circuit.r1cs", "model.json"]);
    expect(await readdir(join(home, "deep"))).toEqual(["plain"]); // nothing left beside
    expect(new Uint8Array(await readFile(join(path, "model.json")))).toEqual(serialiseGraph(plain.graph));
    expect(Buffer.compare(await readFile(circuit.r1csPath), emitR1cs(plain.graph))).toBe(0);
    expect(await readFile(join(path, "circuit.circom"), "utf8")).toBe(circuitText(plain.graph).source);
    expect(JSON.parse(await readFile(join(path, "circuit.json"), "utf8"))).toEqual({
      format: "anchorproof/model-circuit",
      version: 1,
      modelDigest: modelDigest(plain.graph),
      batch: 1,
      circuitDigest: (await describeR1cs(circuit.r1csPath)).circuitDigest,
      publicSignals: ["output", "inputCommitment", "context"],
      rows: circuit.rows,
      wires: circuit.wires,
    });
    expect(circuit).toMatchObject({ batch: 1, model: join(path, "model.json"), publicSignals: 3, name: "plain" });
    expect(await readModelDirectory(path)).toEqual(made);
    expect(await readModelGraph(path)).toEqual(plain.graph);
    expect(await readAdapter(made)).toBeUndefined();
  });

  it("may be for batches", async () => {
    const { path, circuit } = await write("batch", { ...plain, batch: 3 });
    expect(Buffer.compare(await readFile(circuit.r1csPath), emitR1cs(plain.graph, { batch: 3 }))).toBe(0);
    expect((await readModelDirectory(path)).circuit.batch).toBe(3);
  });

  it("keeps an adapter for its owner alone", async () => {
    const made = await write("adapted", adapted);
    const file = join(made.path, "adapter.json");
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readAdapter(made)).toEqual({ weights: Int32Array.of(7, -128), salt: R - 1n });
    const other = join(home, "other-adapter.json");
    const text = await readFile(file, "utf8");
    await writeFile(other, text.replace("[7,", "[8,"));
    expect(await readAdapter(made, other)).toMatchObject({ weights: Int32Array.of(8, -128) });
    await expect(readAdapter(await write("without"), file)).rejects.toThrowError(code("INPUT_INVALID"));
    await rm(file);
    await expect(readAdapter(made)).rejects.toThrowError(code("FILE_NOT_FOUND"));
    expect((await readModelDirectory(made.path)).graph).toEqual(adapted.graph);
  });

  it.each<[string, (json: Record<string, unknown>) => unknown]>([
    ["another model", (json) => ({ ...json, modelDigest: modelDigest(plain.graph) })],
    ["another format", (json) => ({ ...json, format: "x" })],
    ["another version", (json) => ({ ...json, version: 2 })],
    ["an unknown field", (json) => ({ ...json, note: "" })],
    ["a salt above r", (json) => ({ ...json, salt: `0x${R.toString(16)}` })],
    ["a short salt", (json) => ({ ...json, salt: "0x1" })],
    ["too few weights", (json) => ({ ...json, weights: [1] })],
    ["a weight out of range", (json) => ({ ...json, weights: [128, 0] })],
    ["no weights", (json) => ({ ...json, weights: "AAA" })],
    ["a list", () => []],
  ])("refuses an adapter with %s", async (_, change) => {
    const made = await write(`adapter-${Math.random()}`, adapted);
    const file = join(made.path, "adapter.json");
    await writeFile(file, JSON.stringify(change(JSON.parse(await readFile(file, "utf8")))));
    await expect(readAdapter(made)).rejects.toThrowError(code("INPUT_INVALID"));
    await writeFile(file, "{");
    await expect(readAdapter(made)).rejects.toThrowError(code("JSON_MALFORMED"));
  });

  it("holds what is made last, and fails with it", async () => {
    const finish = ({ circuit }: { circuit: { circuitDigest: string } }) => ({ "note.txt": circuit.circuitDigest });
    const { path, circuit } = await write("finished", { ...plain, finish });
    expect(await readFile(join(path, "note.txt"), "utf8")).toBe(circuit.circuitDigest);
    const failing = () => Promise.reject(new Error("no"));
    await expect(write("failing", { ...plain, finish: failing })).rejects.toThrowError(code("FILE_UNREADABLE"));
    expect((await readdir(home)).filter((name) => name.includes("failing"))).toEqual([]);
  });

  it("replaces another only when asked, and nothing else ever", async () => {
    const { path } = await write("again");
    await writeFile(join(path, "note.txt"), "old");
    await expect(write("again")).rejects.toThrowError(code("INPUT_INVALID"));
    expect(await readdir(path)).toContain("note.txt");
    await write("again", { graph: model({ bias: 6 }), batch: 1 }, true);
    expect(await readdir(path)).not.toContain("note.txt");
    expect((await readModelDirectory(path)).graph).toEqual(model({ bias: 6 }));
    const photos = join(home, "photos");
    await mkdir(photos);
    await writeFile(join(photos, "cat.png"), "cat");
    await expect(write("photos", plain, true)).rejects.toThrowError(code("INPUT_INVALID"));
    expect(await readdir(photos)).toEqual(["cat.png"]);
  });

  it("leaves nothing behind when it is stopped, and needs a place", async () => {
    const stop = new AbortController();
    const stopped = writeModelDirectory(join(home, "stopped"), plain, {
      overwrite: false,
      signal: stop.signal,
      onProgress: () => stop.abort(),
    });
    await expect(stopped).rejects.toThrowError(code("ABORTED"));
    await writeFile(join(home, "file"), "");
    await expect(write("file/below")).rejects.toThrowError(code("FILE_UNREADABLE"));
    expect((await readdir(home)).filter((name) => name.includes("stopped") || name.includes("below"))).toEqual([]);
    const aborted = readModelDirectory((await write("slow")).path, { signal: AbortSignal.abort() });
    await expect(aborted).rejects.toThrowError(code("ABORTED"));
  });
});

describe("reading a model directory refuses", () => {
  let path: string;
  let count = 0;
  const damaged = async (file: string, change: (content: Buffer) => string | Uint8Array) => {
    ({ path } = await write(`damaged-${count++}`));
    await writeFile(join(path, file), change(await readFile(join(path, file))));
    return readModelDirectory(path);
  };
  const bit = (at: number) => (bytes: Buffer) => {
    const copy = Buffer.from(bytes);
    copy[at < 0 ? copy.length + at : at]! ^= 1;
    return copy;
  };

  it("what is not there", async () => {
    await expect(readModelDirectory(join(home, "nowhere"))).rejects.toThrowError(code("FILE_NOT_FOUND"));
    for (const file of ["model.json", "circuit.json", "circuit.r1cs"]) {
      const { path: whole } = await write(`missing-${file}`);
      await rm(join(whole, file));
      await expect(readModelDirectory(whole), file).rejects.toThrowError(code("FILE_NOT_FOUND"));
    }
    // Nobody needs it.
    const { path: unread } = await write("unread");
    await rm(join(unread, "circuit.circom"));
    await readModelDirectory(unread);
  });

  it.each<[string, string, (content: Buffer) => string | Uint8Array, string]>([
    ["a longer model", "model.json", (text) => `${text}\n`, "MODEL_MALFORMED"],
    ["another model", "model.json", () => serialiseGraph(model({ bias: 6 })), "MODEL_MALFORMED"],
    ["another program", "circuit.circom", (text) => text.toString().replace("[5, -5]", "[6, -5]"), "MODEL_MALFORMED"],
    ["other rows", "circuit.r1cs", () => emitR1cs(model({ bias: 6 })), "MODEL_MALFORMED"],
    ["rows of a batch", "circuit.r1cs", () => emitR1cs(plain.graph, { batch: 2 }), "MODEL_MALFORMED"],
    ["a bit in the header", "circuit.r1cs", bit(24), "MODEL_MALFORMED"],
    ["a bit in the rows' length", "circuit.r1cs", bit(92), "MODEL_MALFORMED"],
    ["a bit in the rows", "circuit.r1cs", bit(500), "MODEL_MALFORMED"],
    ["a bit in the labels", "circuit.r1cs", bit(-1), "MODEL_MALFORMED"],
    ["a byte more", "circuit.r1cs", (bytes) => Buffer.concat([bytes, Buffer.of(0)]), "MODEL_MALFORMED"],
    ["a byte less", "circuit.r1cs", (bytes) => bytes.subarray(0, -1), "MODEL_MALFORMED"],
    ["no rows at all", "circuit.r1cs", () => "", "MODEL_MALFORMED"],
    ["another batch", "circuit.json", (text) => text.toString().replace('"batch": 1', '"batch": 2'), "MODEL_MALFORMED"],
    [
      "a batch of none",
      "circuit.json",
      (text) => text.toString().replace('"batch": 1', '"batch": 0'),
      "MODEL_MALFORMED",
    ],
    [
      "another digest",
      "circuit.json",
      (text) => text.toString().replace(/(circuitDigest": "0x)./, "$1_"),
      "MODEL_MALFORMED",
    ],
    [
      "another number of rows",
      "circuit.json",
      (text) => text.toString().replace('"rows": ', '"rows": 1'),
      "MODEL_MALFORMED",
    ],
    ["another spelling", "circuit.json", (text) => JSON.stringify(JSON.parse(text.toString())), "MODEL_MALFORMED"],
    ["another format", "circuit.json", () => "[]", "FORMAT_UNSUPPORTED"],
    ["no JSON", "circuit.json", () => "{", "JSON_MALFORMED"],
    ["a large circuit.json", "circuit.json", () => " ".repeat(100_000), "INPUT_TOO_LARGE"],
  ])("%s", async (_, file, change, wanted) => {
    await expect(damaged(file, change)).rejects.toThrowError(code(wanted));
  });

  it.runIf(process.getuid?.() !== 0)("what cannot be read", async () => {
    const { path: closed } = await write("closed");
    await chmod(join(closed, "circuit.r1cs"), 0);
    await expect(readModelDirectory(closed)).rejects.toThrowError(code("FILE_UNREADABLE"));
  });
});
