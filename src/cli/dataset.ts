import { randomBytes } from "node:crypto";
import { readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { isAbsolute, join, relative, resolve, sep } from "node:path";
import { compileCircuit } from "../circuit/compile.js";
import {
  type CommittedDataset,
  chunkWitness,
  commitDataset,
  type DatasetCommitment,
  type DatasetRecord,
  datasetChunkCircuit,
  reopenDataset,
  SEED_BYTES,
} from "../dataset/index.js";
import { AnchorError, toAnchorError } from "../errors.js";
import { fromHex, toHex } from "../field/bytes.js";
import { bigIntToBytes } from "../field/scalar.js";
import { readInteger, readObject } from "../protocol/eip712.js";
import {
  ASSET_CLASSES,
  CIRCUIT_TYPES,
  contextSignal,
  type DatasetStatement,
  statementToJson,
} from "../protocol/statements.js";
import { ProverPool } from "../prover/pool.js";
import { proofToJson } from "../verifier/groth16.js";
import { verifyStatement } from "../verifier/statement.js";
import { type Command, integer, optional, pretty, readBytes, readJson, writeWhole } from "./command.js";
import { hexOption, KEY_HELP, KEY_OPTIONS, keyOf, readTask, TASK_HELP, TASK_OPTIONS } from "./task.js";
import { seconds, type Terminal } from "./terminal.js";

const FORMAT = "anchorproof/dataset@1";

export const datasetCommitCommand: Command = {
  name: "dataset commit",
  summary: "commit to a file, or to the files of a folder",
  help: `
  PATH           a file, or a folder (each file of it is a record, in order of its path)
  --out DIR      where to write [out/dataset]
  --force        replace DIR when it is a dataset directory; its seed is lost, and with it every later proof
  --lines        a record a line instead of a record a file
  --no-blind     leave the blinding out: the root then depends on the data alone, and guessable data can be guessed
  --json         print the commitment as JSON

Writes commitment.json (to publish), dataset.bin (the canonical stream), sha256.txt (its SHA-256, which LazAI's
DataRegistry wants; it is not blinded, so publishing it lets anyone test a guess at the data) and, unless --no-blind,
seed.hex (secret: who has it and the data can open the commitment; without it nothing can be proven any more).
`,
  options: {
    out: { type: "string" },
    force: { type: "boolean" },
    lines: { type: "boolean" },
    "no-blind": { type: "boolean" },
    json: { type: "boolean" },
  },
  positionals: ["PATH"],
  async run({ values, positionals, terminal, signal }) {
    const [path] = positionals;
    if (!path) throw new AnchorError("USAGE", "name the file or folder to commit to");
    const out = optional(values, "out") ?? "out/dataset";
    const force = values["force"] === true;
    await checkTarget(out, path, force); // before the long work
    const records = await readRecords(path, values["lines"] === true);
    const seed = values["no-blind"] ? undefined : new Uint8Array(randomBytes(SEED_BYTES));
    const started = performance.now();
    const dataset = await commitDataset(records, {
      seed,
      signal,
      onProgress: (done, chunks) => terminal.progress("committing", done / chunks),
    });
    await writeDataset(out, dataset, force);
    if (values["json"]) return terminal.line(pretty(commitmentToJson(dataset.commitment)).trimEnd());
    printCommitment(terminal, dataset.commitment, out, performance.now() - started);
  },
};

export const datasetProveCommand: Command = {
  name: "dataset prove",
  summary: "prove that a private chunk lies under a dataset's root",
  help: `
  DIR            what \`dataset commit\` wrote [out/dataset]
  --chunk N      which chunk [0]
  --metadata-digest 0x…  what the statement says describes the dataset: the digest of a POV submission [zero]
  --out DIR      where to write [DIR/proof-N]
${KEY_HELP}
${TASK_HELP}
Writes proof.json, public.json and verification_key.json (snarkjs' formats) and statement.json.
`,
  options: {
    chunk: { type: "string" },
    "metadata-digest": { type: "string" },
    out: { type: "string" },
    ...KEY_OPTIONS,
    ...TASK_OPTIONS,
  },
  positionals: ["DIR"],
  async run(context) {
    const { values, positionals, terminal, signal } = context;
    const directory = positionals[0] ?? "out/dataset";
    const dataset = await readDataset(directory, terminal, signal);
    const { commitment } = dataset;
    const index = integer(values, "chunk", 0, Number.MAX_SAFE_INTEGER, 0);
    const witness = chunkWitness(dataset, index); // refuses an unknown chunk before anything long starts
    const out = optional(values, "out") ?? join(directory, `proof-${index}`);

    terminal.busy("compiling the circuit");
    const circuit = await compileCircuit(datasetChunkCircuit(commitment.depth), { signal });
    const { key, label } = await keyOf(circuit, context);
    const { domain, task } = readTask(values, key.keyDigest);
    const metadataDigest = hexOption(values, "metadata-digest", 32, `0x${"00".repeat(32)}`);
    const statement: DatasetStatement = {
      task,
      asset: {
        class: ASSET_CLASSES.dataset,
        commitment: toHex(bigIntToBytes(commitment.root, 32)),
        metadataDigest,
        supply: 1n,
        parents: [],
      },
      chunkIndex: witness.index,
      chunkElements: witness.count,
    };
    const pool = new ProverPool({ concurrency: 1 });
    try {
      terminal.busy("proving");
      const bound = contextSignal(domain, CIRCUIT_TYPES.datasetChunk, task);
      const { proof, timings } = await pool.prove(circuit, key, { ...witness, context: bound }, { signal });
      const { publicSignals } = verifyStatement(domain, "DatasetStatement", statement, key.verifyingKey, proof);
      await writeWhole(join(out, "proof.json"), pretty(proofToJson(proof)));
      await writeWhole(join(out, "public.json"), pretty(publicSignals));
      await writeWhole(join(out, "verification_key.json"), pretty(key.verifyingKeyJson));
      await writeWhole(join(out, "statement.json"), pretty(statementToJson("DatasetStatement", statement)));
      terminal.line(`chunk ${index} of ${commitment.totals.chunks} under ${statement.asset.commitment}`);
      terminal.line(`proof in ${seconds(timings.witnessMs + timings.proveMs)} (${circuit.rows} rows), key ${label}`);
      terminal.line(`written to ${out}`);
    } finally {
      await pool.close();
    }
  },
};

/** The files of a folder in order of their path (compared by code unit, `/` between folders), or one file. */
async function readRecords(path: string, lines: boolean): Promise<DatasetRecord[]> {
  const files: string[] = [];
  const visit = async (at: string): Promise<void> => {
    const entries = await readdir(at, { withFileTypes: true });
    for (const entry of entries) {
      if (entry.isDirectory()) await visit(join(at, entry.name));
      else if (entry.isFile()) files.push(join(at, entry.name));
      else
        throw new AnchorError(
          "INPUT_INVALID",
          `${join(at, entry.name)} is neither a file nor a folder; copy what it stands for`,
        );
    }
  };
  const info = await stat(path).catch(() => undefined);
  if (!info) throw new AnchorError("FILE_NOT_FOUND", `cannot read ${path}: no such file or folder`);
  if (info.isDirectory()) await visit(path);
  else files.push(path);
  const named = files.map((file) => {
    const label = info.isDirectory() ? relative(path, file).split(sep).join("/") : "";
    return { file, label };
  });
  named.sort((a, b) => (a.label < b.label ? -1 : 1));
  const records: DatasetRecord[] = [];
  for (const { file, label } of named) {
    let data: Uint8Array;
    try {
      data = await readFile(file);
    } catch (error) {
      throw toAnchorError(error, "FILE_UNREADABLE", `cannot read ${file}`);
    }
    for (const part of lines ? splitLines(data) : [data])
      records.push({ dtype: "bytes", shape: [part.length], label, data: part });
  }
  return records;
}

/** Lines without their "\n"; a last line without one counts, an empty rest does not. */
function splitLines(data: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = [];
  let start = 0;
  for (let end = data.indexOf(10); end >= 0; end = data.indexOf(10, start)) {
    lines.push(data.subarray(start, end));
    start = end + 1;
  }
  if (start < data.length) lines.push(data.subarray(start));
  return lines;
}

export type PublishedCommitment = Omit<DatasetCommitment, "sha256">;

function commitmentToJson({ root, depth, totals, blinded }: PublishedCommitment): Record<string, unknown> {
  return {
    format: FORMAT,
    root: toHex(bigIntToBytes(root, 32)),
    depth: String(depth),
    records: String(totals.records),
    elements: String(totals.elements),
    chunks: String(totals.chunks),
    bytes: String(totals.bytes),
    blinded,
  };
}

/** A seed that is overwritten is gone: only a dataset directory is replaced, and only on request. */
async function checkTarget(out: string, source: string, force: boolean): Promise<void> {
  const inside = relative(resolve(source), resolve(out));
  if (inside === "" || !(inside.startsWith("..") || isAbsolute(inside))) {
    throw new AnchorError(
      "INPUT_INVALID",
      `${out} lies in ${source}: what is written would be committed to the next time`,
    );
  }
  const present = await readdir(out).catch(() => undefined);
  if (present === undefined || present.length === 0) return;
  if (!present.includes("commitment.json")) {
    throw new AnchorError("INPUT_INVALID", `${out} holds other files: name another --out`);
  }
  if (!force) {
    throw new AnchorError(
      "INPUT_INVALID",
      `${out} holds a commitment already, and perhaps its only seed: name another --out, or --force`,
    );
  }
}

/** The directory appears whole, or not at all. */
async function writeDataset(
  out: string,
  { commitment, stream, seed }: CommittedDataset,
  force: boolean,
): Promise<void> {
  const beside = `${resolve(out)}.${toHex(randomBytes(6)).slice(2)}.part`;
  try {
    await writeWhole(join(beside, "dataset.bin"), stream, 0o600);
    await writeWhole(join(beside, "sha256.txt"), `${commitment.sha256}\n`, 0o600);
    if (seed) await writeWhole(join(beside, "seed.hex"), `${toHex(seed)}\n`, 0o600);
    await writeWhole(join(beside, "commitment.json"), pretty(commitmentToJson(commitment)));
    if (force) await rm(out, { recursive: true, force: true });
    await rename(beside, out);
  } catch (error) {
    throw toAnchorError(error, "FILE_UNREADABLE", `cannot write ${out}`);
  } finally {
    await rm(beside, { recursive: true, force: true });
  }
}

/** @throws INPUT_INVALID, FORMAT_UNSUPPORTED */
function commitmentFromJson(json: unknown, path: string): PublishedCommitment {
  const numbers = ["depth", "records", "elements", "chunks", "bytes"] as const;
  const record = readObject(json, ["format", "root", ...numbers, "blinded"], "INPUT_INVALID", path);
  if (record["format"] !== FORMAT) throw new AnchorError("FORMAT_UNSUPPORTED", `${path} is not of format ${FORMAT}`);
  if (typeof record["blinded"] !== "boolean")
    throw new AnchorError("INPUT_INVALID", `${path}: blinded is true or false`);
  const count = (name: (typeof numbers)[number]) =>
    Number(readInteger(record[name], 48, "INPUT_INVALID", `${path}: ${name}`));
  return {
    root: BigInt(toHex(fromHex(record["root"], "root", 32))),
    depth: count("depth"),
    totals: { records: count("records"), elements: count("elements"), chunks: count("chunks"), bytes: count("bytes") },
    blinded: record["blinded"],
  };
}

/** What `dataset commit` published. */
export async function readCommitment(directory: string): Promise<PublishedCommitment> {
  const path = join(directory, "commitment.json");
  return commitmentFromJson(await readJson(path), path);
}

/** Reads what `dataset commit` wrote. Data that was changed since is refused. */
async function readDataset(directory: string, terminal: Terminal, signal: AbortSignal): Promise<CommittedDataset> {
  const commitment = await readCommitment(directory);
  let seed: Uint8Array | undefined;
  if (commitment.blinded) {
    const text = new TextDecoder().decode(await readBytes(join(directory, "seed.hex"))).trim();
    seed = fromHex(text, "seed.hex", SEED_BYTES);
  }
  return reopenDataset(commitment, new Uint8Array(await readBytes(join(directory, "dataset.bin"))), {
    seed,
    signal,
    onProgress: (done, chunks) => terminal.progress("reading the dataset", done / chunks),
  });
}

function printCommitment(terminal: Terminal, commitment: DatasetCommitment, out: string, ms: number): void {
  const { root, totals, sha256, blinded } = commitment;
  const rate = totals.bytes / 1e6 / (ms / 1000);
  terminal.line(`root     ${toHex(bigIntToBytes(root, 32))}`);
  terminal.line(`sha-256  ${sha256}${blinded ? "  (not blinded: publishing it lets anyone test a guess)" : ""}`);
  terminal.line(
    `         ${totals.records} records, ${totals.bytes} bytes in ${totals.elements} elements, ${totals.chunks} chunks`,
  );
  terminal.line(`         ${blinded ? "blinded" : "not blinded"}; ${seconds(ms)}, ${rate.toFixed(2)} MB/s`);
  terminal.line(`written to ${out}${blinded ? ` (keep ${join(out, "seed.hex")} secret, and a copy of it)` : ""}`);
}
