import { randomBytes } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { compileCircuit } from "../circuit/compile.js";
import { developmentKey } from "../circuit/setup.js";
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
import { readTask, TASK_HELP, TASK_OPTIONS } from "./task.js";
import { seconds, type Terminal } from "./terminal.js";

const FORMAT = "anchorproof/dataset@1";

export const datasetCommitCommand: Command = {
  name: "dataset commit",
  summary: "commit to a file, or to the files of a folder",
  help: `
  PATH           a file, or a folder (each file of it is a record, in order of its path)
  --out DIR      where to write [out/dataset]
  --lines        a record a line instead of a record a file
  --no-blind     leave the blinding out: the root then depends on the data alone, and guessable data can be guessed
  --json         print the commitment as JSON

Writes commitment.json (to publish), dataset.bin (the canonical stream) and, unless --no-blind, seed.hex (secret: who has
it and the data can open the commitment; without it nothing can be proven any more).
`,
  options: {
    out: { type: "string" },
    lines: { type: "boolean" },
    "no-blind": { type: "boolean" },
    json: { type: "boolean" },
  },
  positionals: ["PATH"],
  async run({ values, positionals, terminal, signal }) {
    const [path] = positionals;
    if (!path) throw new AnchorError("USAGE", "name the file or folder to commit to");
    const out = optional(values, "out") ?? "out/dataset";
    const records = await readRecords(path, values["lines"] === true);
    const seed = values["no-blind"] ? undefined : new Uint8Array(randomBytes(SEED_BYTES));
    const started = performance.now();
    const dataset = await commitDataset(records, {
      seed,
      signal,
      onProgress: (done, chunks) => terminal.progress("committing", done / chunks),
    });
    await writeDataset(out, dataset);
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
  --out DIR      where to write [DIR/proof-N]
${TASK_HELP}
Writes proof.json, public.json and verification_key.json (snarkjs' formats) and statement.json. The key is a development
key of this machine, made on first use.
`,
  options: { chunk: { type: "string" }, out: { type: "string" }, ...TASK_OPTIONS },
  positionals: ["DIR"],
  async run({ values, positionals, terminal, signal }) {
    const directory = positionals[0] ?? "out/dataset";
    const dataset = await readDataset(directory, terminal, signal);
    const { commitment } = dataset;
    const index = integer(values, "chunk", 0, Number.MAX_SAFE_INTEGER, 0);
    const witness = chunkWitness(dataset, index); // refuses an unknown chunk before anything long starts
    const out = optional(values, "out") ?? join(directory, `proof-${index}`);

    terminal.busy("compiling the circuit");
    const circuit = await compileCircuit(datasetChunkCircuit(commitment.depth), { signal });
    const key = await developmentKey(circuit, {
      signal,
      onProgress: (done) => terminal.progress("making the key", done),
    });
    const { domain, task } = readTask(values, key.keyDigest);
    const statement: DatasetStatement = {
      task,
      asset: {
        class: ASSET_CLASSES.dataset,
        commitment: toHex(bigIntToBytes(commitment.root, 32)),
        metadataDigest: commitment.sha256,
        supply: 1n,
        parents: [],
      },
      chunkIndex: witness.index,
      chunkElements: witness.count,
    };
    const pool = new ProverPool({ concurrency: 1 });
    try {
      terminal.busy("proving");
      const context = contextSignal(domain, CIRCUIT_TYPES.datasetChunk, task);
      const { proof, timings } = await pool.prove(circuit, key, { ...witness, context }, { signal });
      const { publicSignals } = verifyStatement(domain, "DatasetStatement", statement, key.verifyingKey, proof);
      await writeWhole(join(out, "proof.json"), pretty(proofToJson(proof)));
      await writeWhole(join(out, "public.json"), pretty(publicSignals));
      await writeWhole(join(out, "verification_key.json"), pretty(key.verifyingKeyJson));
      await writeWhole(join(out, "statement.json"), pretty(statementToJson("DatasetStatement", statement)));
      terminal.line(`chunk ${index} of ${commitment.totals.chunks} under ${statement.asset.commitment}`);
      terminal.line(
        `proof in ${seconds(timings.witnessMs + timings.proveMs)} (${circuit.rows} rows), key ${key.keyDigest} (development)`,
      );
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

export function commitmentToJson({ root, depth, totals, sha256, blinded }: DatasetCommitment): Record<string, unknown> {
  return {
    format: FORMAT,
    root: toHex(bigIntToBytes(root, 32)),
    depth: String(depth),
    records: String(totals.records),
    elements: String(totals.elements),
    chunks: String(totals.chunks),
    bytes: String(totals.bytes),
    sha256,
    blinded,
  };
}

async function writeDataset(out: string, { commitment, stream, seed }: CommittedDataset): Promise<void> {
  await writeWhole(join(out, "dataset.bin"), stream, 0o600);
  if (seed) await writeWhole(join(out, "seed.hex"), `${toHex(seed)}\n`, 0o600);
  await writeWhole(join(out, "commitment.json"), pretty(commitmentToJson(commitment)));
}

/** @throws INPUT_INVALID, FORMAT_UNSUPPORTED */
function commitmentFromJson(json: unknown, path: string): DatasetCommitment {
  const numbers = ["depth", "records", "elements", "chunks", "bytes"] as const;
  const record = readObject(json, ["format", "root", ...numbers, "sha256", "blinded"], "INPUT_INVALID", path);
  if (record["format"] !== FORMAT) throw new AnchorError("FORMAT_UNSUPPORTED", `${path} is not of format ${FORMAT}`);
  if (typeof record["blinded"] !== "boolean")
    throw new AnchorError("INPUT_INVALID", `${path}: blinded is true or false`);
  const count = (name: (typeof numbers)[number]) =>
    Number(readInteger(record[name], 48, "INPUT_INVALID", `${path}: ${name}`));
  return {
    root: BigInt(toHex(fromHex(record["root"], "root", 32))),
    depth: count("depth"),
    totals: { records: count("records"), elements: count("elements"), chunks: count("chunks"), bytes: count("bytes") },
    sha256: toHex(fromHex(record["sha256"], "sha256", 32)),
    blinded: record["blinded"],
  };
}

/** Reads what `dataset commit` wrote. Data that was changed since is refused. */
async function readDataset(directory: string, terminal: Terminal, signal: AbortSignal): Promise<CommittedDataset> {
  const path = join(directory, "commitment.json");
  const commitment = commitmentFromJson(await readJson(path), path);
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
  terminal.line(`sha-256  ${sha256}${blinded ? "  (publishing it lets anyone test a guess at the data)" : ""}`);
  terminal.line(
    `         ${totals.records} records, ${totals.bytes} bytes in ${totals.elements} elements, ${totals.chunks} chunks`,
  );
  terminal.line(`         ${blinded ? "blinded" : "not blinded"}; ${seconds(ms)}, ${rate.toFixed(2)} MB/s`);
  terminal.line(`written to ${out}${blinded ? ` (keep ${join(out, "seed.hex")} secret, and a copy of it)` : ""}`);
}
