/**
 * Model directories: what importing an ONNX file leaves on disk.
 *
 * - `model.json`: the integer graph in canonical form, the file that the model digest names;
 * - `circuit.json`: how many inferences one proof is of, and the digest and numbers of the circuit that follows;
 * - `circuit.r1cs`: its rows, which keys are made from;
 * - `circuit.circom`: the same circuit as a Circom program, where it is short enough to be read;
 * - `adapter.json`: private weights and the salt of their commitment, where the model has an adapter. Keep it secret, and
 *   keep a copy: without the salt, nobody can show again that it is the same adapter;
 * - `report.json`, `report.html`: where it came from and how well it agrees with the float model.
 *
 * Only `model.json`, the batch in `circuit.json` and `adapter.json` say anything. Everything else follows from them, and
 * is worked out again and compared when a directory is read.
 *
 * @module
 */

import { mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { type CircuitRows, describeR1cs } from "../circuit/r1cs.js";
import { AnchorError, toAnchorError } from "../errors.js";
import { wordHex } from "../field/bytes.js";
import { MAX_BATCH } from "../field/chain.js";
import { isScalar } from "../field/scalar.js";
import { ensureDirectory } from "../files.js";
import { type CircuitDescriptor, circuitText, describeCircuit, isR1csOf, writeR1cs } from "./circuit/index.js";
import { checkAdapter } from "./execute.js";
import { adapterOf, type ModelGraph, modelDigest, parseGraph, serialiseGraph } from "./graph.js";
import type { AdapterWeights } from "./inference.js";

/** The circuit of a model, as keys and proofs are made for it: `pool.prove(model.circuit, key, request)`. */
export interface ModelCircuit extends CircuitRows {
  /** Path of `model.json`, from which the witness comes. */
  readonly model: string;
  /** Inferences of one proof. */
  readonly batch: number;
}

export interface ModelDirectory {
  readonly path: string;
  readonly graph: ModelGraph;
  readonly descriptor: CircuitDescriptor;
  readonly circuit: ModelCircuit;
}

export const FILES = {
  model: "model.json",
  circuit: "circuit.json",
  rows: "circuit.r1cs",
  text: "circuit.circom",
  adapter: "adapter.json",
  report: "report.json",
  page: "report.html",
} as const;

/** Programs up to this length are for people to read. */
const MAX_TEXT = 1024 * 1024;
/** Constants that surely make a longer one. */
const MAX_CONSTANTS = MAX_TEXT / 2;
const MAX_SMALL_FILE = 64 * 1024;
const MAX_ADAPTER_FILE = 256 * 1024 * 1024;

const CIRCUIT_FORMAT = "anchorproof/model-circuit";
const ADAPTER_FORMAT = "anchorproof/adapter";

export interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
}

/** The graph of a model directory, and nothing else of it. @throws AnchorError what {@link parseGraph} throws, FILE_NOT_FOUND, FILE_UNREADABLE */
export async function readModelGraph(directory: string): Promise<ModelGraph> {
  return parseGraph(await readRequired(join(directory, FILES.model)));
}

/**
 * Opens a model directory. Everything that follows from `model.json` is worked out again.
 *
 * @throws AnchorError FILE_NOT_FOUND, FILE_UNREADABLE, ABORTED, and what {@link parseGraph} throws; `MODEL_MALFORMED` when
 *   a file of the circuit is not what the graph gives: whoever reads it, or makes a key from it, would be misled.
 */
export async function readModelDirectory(directory: string, { signal }: ReadOptions = {}): Promise<ModelDirectory> {
  const path = resolve(directory);
  const graph = await readModelGraph(path);
  const stated = await readRequired(join(path, FILES.circuit), MAX_SMALL_FILE);
  const batch = readBatch(stated, join(path, FILES.circuit));
  const descriptor = describeCircuit(graph, { batch });
  const rows = join(path, FILES.rows);
  const foreign = (file: string) =>
    new AnchorError("MODEL_MALFORMED", `${join(path, file)} is not of ${FILES.model}: import the model again`);
  if (!(await isR1csOf(rows, graph, { batch, signal }))) throw foreign(FILES.rows);
  const circuit = circuitOf(path, descriptor, (await describeR1cs(rows, signal)).circuitDigest);
  if (new TextDecoder().decode(stated) !== circuitToJson(circuit, descriptor)) throw foreign(FILES.circuit);
  const text = await readOptional(join(path, FILES.text));
  if (text !== undefined && new TextDecoder().decode(text) !== readableText(graph, batch)) throw foreign(FILES.text);
  return { path, graph, descriptor, circuit };
}

/**
 * Private weights for a model: of a file, or of the directory's own. None for a model without an adapter.
 *
 * @throws AnchorError `INPUT_INVALID` for weights of another model, or none where the model has an adapter; FILE_NOT_FOUND,
 *   FILE_UNREADABLE, JSON_MALFORMED
 */
export async function readAdapter(
  { path, graph }: Pick<ModelDirectory, "path" | "graph">,
  file?: string,
): Promise<AdapterWeights | undefined> {
  if (adapterOf(graph) === undefined) {
    if (file !== undefined) throw new AnchorError("INPUT_INVALID", "the model has no adapter");
    return undefined;
  }
  const from = file ?? join(path, FILES.adapter);
  return adapterFromJson(graph, await readRequired(from, MAX_ADAPTER_FILE), from);
}

/** What `adapter.json` holds. */
export function adapterToJson(graph: ModelGraph, { weights, salt }: AdapterWeights): string {
  return `${JSON.stringify({
    format: ADAPTER_FORMAT,
    version: 1,
    modelDigest: modelDigest(graph),
    salt: wordHex(salt),
    weights: Array.from(weights),
  })}\n`;
}

function adapterFromJson(graph: ModelGraph, bytes: Uint8Array, file: string): AdapterWeights {
  const invalid = (problem: string) => new AnchorError("INPUT_INVALID", `${file}: ${problem}`);
  const { format, version, modelDigest: of, salt, weights, ...rest } = parseObject(bytes, file);
  if (format !== ADAPTER_FORMAT || version !== 1 || Object.keys(rest).length > 0) {
    throw invalid(`is no adapter of format ${ADAPTER_FORMAT}, version 1`);
  }
  if (of !== modelDigest(graph)) throw invalid("is an adapter of another model");
  const scalar = typeof salt === "string" && /^0x[0-9a-f]{64}$/.test(salt) ? BigInt(salt) : undefined;
  if (!isScalar(scalar)) throw invalid("salt must be a scalar as 0x and 64 hexadecimal digits");
  if (!Array.isArray(weights)) throw invalid("weights must be a list of integers");
  return { weights: checkAdapter(graph, weights as number[]), salt: scalar };
}

/** What goes into a directory beside what follows from the graph. */
export interface DirectoryContent {
  readonly graph: ModelGraph;
  readonly batch: number;
  readonly adapter?: AdapterWeights | undefined;
  /** Runs the part that takes time, the writing of the rows. */
  readonly during?: (<T>(work: () => Promise<T>) => Promise<T>) | undefined;
  /** Further files by name, made last: they may tell of the circuit. */
  readonly finish?: ((model: ModelDirectory) => Promise<Record<string, string>> | Record<string, string>) | undefined;
}

export interface WriteOptions {
  readonly overwrite: boolean;
  readonly signal?: AbortSignal | undefined;
  /** Of the rows. */
  readonly onProgress?: ((progress: { readonly done: number; readonly total: number }) => void) | undefined;
}

/**
 * Writes a directory beside its place, then renames it: it appears complete or not at all. An old one is set aside first
 * and removed last.
 *
 * @throws AnchorError `FILE_UNREADABLE`, ABORTED, and what the compiler of circuits throws
 */
export async function writeModelDirectory(
  directory: string,
  { graph, batch, adapter, during = (work) => work(), finish }: DirectoryContent,
  { overwrite, signal, onProgress }: WriteOptions,
): Promise<ModelDirectory> {
  const path = resolve(directory);
  await checkTarget(path, overwrite);
  const descriptor = describeCircuit(graph, { batch });
  let stage: string | undefined;
  let retired: string | undefined;
  try {
    await ensureDirectory(dirname(path));
    stage = await mkdtemp(join(dirname(path), `.${basename(path)}.partial-`));
    const fresh = join(stage, "new"); // mkdtemp makes its folder private; this one gets the usual mode
    await mkdir(fresh);
    const put = (name: string, content: string | Uint8Array, mode?: number) =>
      writeFile(join(fresh, name), content, mode === undefined ? {} : { mode });
    const { circuitDigest } = await during(() =>
      writeR1cs(join(fresh, FILES.rows), graph, { batch, signal, onProgress }),
    );
    const circuit = circuitOf(path, descriptor, circuitDigest);
    const model = { path, graph, descriptor, circuit };
    await put(FILES.model, serialiseGraph(graph));
    await put(FILES.circuit, circuitToJson(circuit, descriptor));
    const text = readableText(graph, batch);
    if (text !== undefined) await put(FILES.text, text);
    if (adapter !== undefined) await put(FILES.adapter, adapterToJson(graph, adapter), 0o600);
    for (const [name, content] of Object.entries((await finish?.(model)) ?? {})) await put(name, content);
    if (overwrite) {
      const old = join(stage, "old");
      await rename(path, old).then(
        () => {
          retired = old;
        },
        (error: NodeJS.ErrnoException) => {
          if (error.code !== "ENOENT") throw error;
        },
      );
    }
    await rename(fresh, path);
    retired = undefined;
    return model;
  } catch (error) {
    // If even putting the old directory back fails, what is beside must stay: it is the only copy.
    if (retired !== undefined) await rename(retired, path).catch(() => (stage = undefined));
    throw toAnchorError(error, "FILE_UNREADABLE", `cannot write the model directory ${path}`);
  } finally {
    if (stage !== undefined) await rm(stage, { recursive: true, force: true });
  }
}

/** A directory may be replaced only if it is a model directory: a mistyped `out` must not cost anyone's files. */
export async function checkTarget(path: string, overwrite: boolean): Promise<void> {
  const exists = (file: string) =>
    stat(file).then(
      () => true,
      () => false,
    );
  if (!(await exists(path))) return;
  if (overwrite && (await exists(join(path, FILES.model)))) return;
  throw new AnchorError(
    "INPUT_INVALID",
    overwrite
      ? `${path} exists and is not a model directory; choose another`
      : `${path} exists; choose another, or overwrite it (--force)`,
  );
}

function circuitOf(path: string, descriptor: CircuitDescriptor, circuitDigest: `0x${string}`): ModelCircuit {
  return {
    name: basename(path),
    model: join(path, FILES.model),
    batch: descriptor.batch,
    r1csPath: join(path, FILES.rows),
    circuitDigest,
    rows: descriptor.rows,
    wires: descriptor.wires,
    publicSignals: descriptor.publicSignals.length,
  };
}

function circuitToJson({ circuitDigest, batch, rows, wires }: ModelCircuit, descriptor: CircuitDescriptor): string {
  const { modelDigest, publicSignals } = descriptor;
  const content = { format: CIRCUIT_FORMAT, version: 1, modelDigest, batch, circuitDigest, publicSignals, rows, wires };
  return `${JSON.stringify(content, null, 2)}\n`;
}

function readBatch(bytes: Uint8Array, file: string): number {
  const { format, version, batch } = parseObject(bytes, file);
  if (format !== CIRCUIT_FORMAT || version !== 1) {
    throw new AnchorError("FORMAT_UNSUPPORTED", `${file} must have format ${CIRCUIT_FORMAT}, version 1`);
  }
  if (typeof batch !== "number" || !Number.isInteger(batch) || batch < 1 || batch > MAX_BATCH) {
    throw new AnchorError("MODEL_MALFORMED", `${file}: batch must be an integer in 1..${MAX_BATCH}`);
  }
  return batch;
}

/** The Circom program, where it is short enough to be read. */
function readableText(graph: ModelGraph, batch: number): string | undefined {
  const constants = graph.nodes.reduce((sum, node) => {
    if (node.op === "linear") return sum + node.weights.length;
    if (node.op === "arrange") return sum + node.index.length;
    if (node.op === "table") return sum + node.tables.length;
    return sum + (node.op === "lookup" ? node.entries.length : 0);
  }, 0);
  if (constants > MAX_CONSTANTS) return undefined;
  const { source } = circuitText(graph, { batch });
  return source.length <= MAX_TEXT ? source : undefined;
}

function parseObject(bytes: Uint8Array, file: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new AnchorError("JSON_MALFORMED", `${file} is not JSON`, { cause });
  }
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

async function readOptional(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw toAnchorError(error, "FILE_UNREADABLE", `cannot read ${path}`);
  }
}

async function readRequired(path: string, most?: number): Promise<Uint8Array> {
  const bytes = await readOptional(path);
  if (bytes === undefined) {
    throw new AnchorError("FILE_NOT_FOUND", `${path} does not exist; make it with: anchorproof model import`);
  }
  if (most !== undefined && bytes.length > most) throw new AnchorError("INPUT_TOO_LARGE", `${path} is too large`);
  return new Uint8Array(bytes);
}
