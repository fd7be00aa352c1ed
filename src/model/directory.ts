/**
 * Model directories: what importing an ONNX file leaves on disk.
 *
 * - `model.json`: the integer graph in canonical form; the only file that means anything, and the one that the model
 *   digest names;
 * - `circuit.circom`: the circuit that the graph gives, for reading;
 * - `report.json`: where it came from and how well it agrees with the float model.
 *
 * @module
 */

import { mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { AnchorError, throwIfAborted, toAnchorError } from "../errors.js";
import { ensureDirectory } from "../files.js";
import {
  emitInferenceCircuit,
  type InferenceCircuit,
  type InferenceDescriptor,
  inferenceDescriptor,
} from "./circuit.js";
import { createExecutor } from "./execute.js";
import { type ModelGraph, parseGraph, serialiseGraph } from "./graph.js";
import { type FloatModel, readOnnx, runFloat } from "./onnx.js";
import { type QuantiseReport, quantise, quantiseInput } from "./quantise.js";

/** Inputs of the float model, to calibrate on and to compare on, with the true classes where they are known. */
export interface CalibrationSet {
  readonly inputs: readonly (readonly number[] | Float32Array | Float64Array)[];
  /** Class index of each input. */
  readonly labels?: readonly number[];
}

export interface ImportModelOptions {
  /** The ONNX file's bytes. */
  readonly onnx: Uint8Array;
  readonly calibration: CalibrationSet;
  /** The set to compare float and integer model on; the calibration set unless given. */
  readonly evaluation?: CalibrationSet;
  readonly inputScaleLog2?: number;
  /** The directory to make. */
  readonly out: string;
  /** Replace `out` when it is a model directory already. */
  readonly overwrite?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: ImportProgress) => void;
}

export interface ImportProgress {
  readonly step: "quantise" | "evaluate" | "write";
  readonly done: number;
  readonly total: number;
}

/** How the integer model compares with the float model; fractions of `samples`. */
export interface Evaluation {
  readonly samples: number;
  /** Both give the same class. */
  readonly agreement: number;
  /** With labels only. */
  readonly floatAccuracy?: number;
  readonly integerAccuracy?: number;
}

/** Content of `report.json`. */
export interface ModelReport {
  readonly format: "anchorproof/model-report";
  readonly version: 1;
  readonly source: {
    readonly sha256: string;
    readonly bytes: number;
    readonly nodes: readonly { readonly name: string; readonly op: string }[];
  };
  readonly model: InferenceDescriptor;
  readonly quantisation: QuantiseReport;
  /** Against the ONNX graph in double precision, on the calibration set or the evaluation set. */
  readonly evaluation: Evaluation & { readonly set: "calibration" | "evaluation" };
}

export interface ModelDirectory {
  readonly path: string;
  readonly graph: ModelGraph;
  readonly descriptor: InferenceDescriptor;
  readonly circuit: InferenceCircuit;
}

const FILES = { model: "model.json", report: "report.json", circuit: "circuit.circom" } as const;
const BATCH = 256;
const MAX_SAMPLES = 1_000_000;

/**
 * Imports an ONNX file: reads, quantises, proves bounds, writes the circuit, compares, and makes the directory. It
 * appears complete or not at all.
 *
 * @throws AnchorError what {@link readOnnx}, {@link quantise} and {@link emitInferenceCircuit} throw; `INPUT_INVALID`
 *   when `out` exists and may not be replaced; `FILE_UNREADABLE` when it cannot be written; `ABORTED`.
 */
export async function importModel(
  options: ImportModelOptions,
): Promise<ModelDirectory & { readonly report: ModelReport }> {
  const { onnx, calibration, evaluation, signal, onProgress } = options;
  const path = resolve(options.out);
  await checkTarget(path, options.overwrite ?? false);
  checkSet(calibration, "the calibration set");
  if (evaluation !== undefined) checkSet(evaluation, "the evaluation set");

  const model = readOnnx(onnx);
  const { graph, report: quantisation } = await quantise(model, {
    calibration: calibration.inputs,
    ...(options.inputScaleLog2 === undefined ? {} : { inputScaleLog2: options.inputScaleLog2 }),
    ...(signal === undefined ? {} : { signal }),
    onProgress: ({ done, total }) => onProgress?.({ step: "quantise", done, total }),
  });
  const circuit = emitInferenceCircuit(graph);
  const descriptor = inferenceDescriptor(graph);
  const measured = await evaluateModel(model, graph, evaluation ?? calibration, {
    ...(signal === undefined ? {} : { signal }),
    onProgress: ({ done, total }) => onProgress?.({ step: "evaluate", done, total }),
  });
  const report: ModelReport = {
    format: "anchorproof/model-report",
    version: 1,
    source: { sha256: `0x${bytesToHex(sha256(onnx))}`, bytes: onnx.length, nodes: model.nodes },
    model: descriptor,
    quantisation,
    evaluation: { ...measured, set: evaluation === undefined ? "calibration" : "evaluation" },
  };

  throwIfAborted(signal);
  await writeDirectory(path, options.overwrite ?? false, {
    [FILES.model]: serialiseGraph(graph),
    [FILES.report]: `${JSON.stringify(report, null, 2)}\n`,
    [FILES.circuit]: circuit.source,
  });
  onProgress?.({ step: "write", done: 1, total: 1 });
  return { path, graph, descriptor, circuit, report };
}

/**
 * Opens a model directory. Everything is derived from `model.json` again; nothing is believed of the other files.
 *
 * @throws AnchorError `FILE_NOT_FOUND`, `FILE_UNREADABLE`, and what {@link parseGraph} throws; `MODEL_MALFORMED` when
 *   `circuit.circom` is present and is not what the graph gives: whoever reads it would be misled.
 */
export async function readModelDirectory(directory: string): Promise<ModelDirectory> {
  const path = resolve(directory);
  const graph = parseGraph(await readRequired(join(path, FILES.model)));
  const circuit = emitInferenceCircuit(graph);
  const written = await readFile(join(path, FILES.circuit), "utf8").catch(() => undefined);
  if (written !== undefined && written !== circuit.source) {
    throw new AnchorError(
      "MODEL_MALFORMED",
      `${join(path, FILES.circuit)} is not the circuit of ${FILES.model}; import the model again`,
    );
  }
  return { path, graph, descriptor: inferenceDescriptor(graph), circuit };
}

/**
 * Compares the integer model with the float model it came from.
 *
 * @throws AnchorError `INPUT_INVALID`, `ABORTED`.
 */
export async function evaluateModel(
  model: FloatModel,
  graph: ModelGraph,
  set: CalibrationSet,
  options: { signal?: AbortSignal; onProgress?: (progress: { done: number; total: number }) => void } = {},
): Promise<Evaluation> {
  checkSet(set, "the evaluation set");
  const run = createExecutor(graph);
  const { inputs, labels } = set;
  let same = 0;
  let floatRight = 0;
  let integerRight = 0;
  for (let from = 0; from < inputs.length; from += BATCH) {
    throwIfAborted(options.signal);
    const to = Math.min(from + BATCH, inputs.length);
    for (let index = from; index < to; index++) {
      const input = inputs[index]!;
      const logits = runFloat(model, input);
      let float = 0;
      logits.forEach((logit, c) => {
        if (logit > logits[float]!) float = c;
      });
      const { classIndex } = run(quantiseInput(graph, input));
      if (float === classIndex) same++;
      if (float === labels?.[index]) floatRight++;
      if (classIndex === labels?.[index]) integerRight++;
    }
    options.onProgress?.({ done: to, total: inputs.length });
    await new Promise((resume) => setImmediate(resume));
  }
  const samples = inputs.length;
  return {
    samples,
    agreement: same / samples,
    ...(labels === undefined ? {} : { floatAccuracy: floatRight / samples, integerAccuracy: integerRight / samples }),
  };
}

/**
 * Reads a calibration file: JSON, `{ "inputs": [[0.5, …], …], "labels": [0, …] }`, `labels` optional.
 *
 * @throws AnchorError `JSON_MALFORMED`, `INPUT_INVALID`, `INPUT_TOO_LARGE`.
 */
export function parseCalibration(text: string): CalibrationSet {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new AnchorError("JSON_MALFORMED", "the calibration file is not JSON", { cause: error });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new AnchorError("INPUT_INVALID", 'the calibration file must be an object { "inputs": [[…], …] }');
  }
  const unknown = Object.keys(value).find((key) => key !== "inputs" && key !== "labels");
  if (unknown !== undefined) {
    throw new AnchorError("INPUT_INVALID", `the calibration file has an unknown field ${JSON.stringify(unknown)}`);
  }
  checkSet(value, "the calibration file");
  return value;
}

function checkSet(value: unknown, name: string): asserts value is CalibrationSet {
  const invalid = (problem: string) => new AnchorError("INPUT_INVALID", `${name}: ${problem}`);
  if (typeof value !== "object" || value === null) throw invalid("must be an object with inputs");
  const { inputs, labels } = value as { inputs?: unknown; labels?: unknown };
  if (!Array.isArray(inputs) || inputs.length === 0) throw invalid("inputs must be a list of at least one sample");
  if (inputs.length > MAX_SAMPLES) {
    throw new AnchorError("INPUT_TOO_LARGE", `${name}: is limited to ${MAX_SAMPLES} samples`);
  }
  inputs.forEach((input: unknown, index) => {
    const numbers = Array.isArray(input) || input instanceof Float32Array || input instanceof Float64Array;
    if (!numbers || !Array.from(input as ArrayLike<unknown>).every(Number.isFinite)) {
      throw invalid(`inputs[${index}] must be a list of finite numbers`);
    }
  });
  if (labels === undefined) return;
  if (
    !Array.isArray(labels) ||
    labels.length !== inputs.length ||
    !labels.every((c) => Number.isInteger(c) && c >= 0)
  ) {
    throw invalid("labels must be one class index for each input");
  }
}

async function readRequired(path: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await readFile(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      throw new AnchorError("FILE_NOT_FOUND", `${path} does not exist; make it with: anchorproof model import`, {
        cause: error,
      });
    }
    throw toAnchorError(error, "FILE_UNREADABLE", `cannot read ${path}`);
  }
}

/** A directory may be replaced only if it is a model directory: a mistyped `out` must not cost anyone's files. */
async function checkTarget(path: string, overwrite: boolean): Promise<void> {
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
      : `${path} exists; choose another, or ask to overwrite it`,
  );
}

/** Writes beside, then renames; an old directory is set aside first and removed last. */
async function writeDirectory(
  path: string,
  overwrite: boolean,
  files: Record<string, string | Uint8Array>,
): Promise<void> {
  let stage: string | undefined;
  let retired: string | undefined;
  try {
    await ensureDirectory(dirname(path));
    stage = await mkdtemp(join(dirname(path), `.${basename(path)}.partial-`));
    const fresh = join(stage, "new"); // mkdtemp makes its folder private; this one gets the usual mode
    await mkdir(fresh);
    for (const [name, content] of Object.entries(files)) await writeFile(join(fresh, name), content);
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
  } catch (error) {
    // If even putting the old directory back fails, what is beside must stay: it is the only copy.
    if (retired !== undefined) await rename(retired, path).catch(() => (stage = undefined));
    throw toAnchorError(error, "FILE_UNREADABLE", `cannot write the model directory ${path}`);
  } finally {
    if (stage !== undefined) await rm(stage, { recursive: true, force: true });
  }
}
