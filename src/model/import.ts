/**
 * From an ONNX file to a model directory: read, quantise, prove bounds, write the circuit, compare with the float model.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { AnchorError, toAnchorError } from "../errors.js";
import { randomScalar } from "../field/scalar.js";
import { checkSet, type SampleSet } from "./data.js";
import { checkTarget, FILES, type ModelDirectory, writeModelDirectory } from "./directory.js";
import { measureDrift } from "./drift.js";
import { evaluateModel } from "./evaluate.js";
import type { AdapterWeights } from "./inference.js";
import { readOnnx } from "./onnx/index.js";
import { quantise } from "./quantise/index.js";
import { type ModelReport, modelReport, renderReport, StageClock } from "./report.js";
import { openFloatRuntime } from "./runtime.js";

export interface ImportModelOptions {
  /** The ONNX file's bytes. */
  readonly onnx: Uint8Array;
  readonly calibration: SampleSet;
  /** The set to compare float and integer model on; the calibration set unless given. */
  readonly evaluation?: SampleSet | undefined;
  /** What the proofs show: the index of the largest number, or all of them; as in the file unless told. */
  readonly output?: "class" | "logits" | undefined;
  /** Which output is the model's, where the file has several. */
  readonly outputName?: string | undefined;
  /** Inferences of one proof; 1 unless told. */
  readonly batch?: number | undefined;
  readonly weightBits?: number | undefined;
  readonly inputBits?: number | undefined;
  /** Makes the matrices of LoRA pairs private weights behind a commitment, instead of constants. */
  readonly adapter?: boolean | undefined;
  /** The directory to make. */
  readonly out: string;
  /** Replace `out` when it is a model directory already. */
  readonly overwrite?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: ImportProgress) => void) | undefined;
}

export type ImportStage = "read" | "quantise" | "evaluate" | "compare" | "circuit";

export interface ImportProgress {
  readonly stage: ImportStage;
  /** From 0 to 1. */
  readonly done: number;
}

/** Samples that are compared node by node. */
const DRIFT_SAMPLES = 256;

/**
 * Imports an ONNX file. The directory appears complete or not at all.
 *
 * @throws AnchorError what {@link readOnnx}, {@link quantise} and the compiler of circuits throw; `INPUT_INVALID` when
 *   `out` exists and may not be replaced; `FILE_UNREADABLE` when it cannot be written; `ABORTED`.
 */
export async function importModel(
  options: ImportModelOptions,
): Promise<ModelDirectory & { readonly report: ModelReport; readonly adapter?: AdapterWeights }> {
  const {
    onnx,
    calibration,
    evaluation,
    output,
    adapter,
    batch = 1,
    weightBits,
    inputBits,
    signal,
    onProgress,
  } = options;
  const path = resolve(options.out);
  const overwrite = options.overwrite ?? false;
  await checkTarget(path, overwrite);
  checkSet(calibration, "the calibration set");
  if (evaluation !== undefined) checkSet(evaluation, "the evaluation set");

  const clock = new StageClock(signal);
  const during = <T>(stage: ImportStage, work: () => Promise<T> | T): Promise<T> => {
    onProgress?.({ stage, done: 0 });
    return clock.run(stage, work);
  };
  const progress = (stage: ImportStage) => (at: { readonly done: number; readonly total: number }) =>
    onProgress?.({ stage, done: at.done / at.total });

  const floatGraph = await during("read", () => readOnnx(onnx, { adapter, output: outputName }));
  const made = await during("quantise", () =>
    quantise(floatGraph, {
      calibration: calibration.inputs,
      output,
      weightBits,
      inputBits,
      signal,
      onProgress: progress("quantise"),
    }),
  );
  const { graph, correspondence } = made;
  const secret = made.adapter === undefined ? undefined : { weights: made.adapter, salt: randomScalar() };
  const set = evaluation ?? calibration;
  const evaluated = await during("evaluate", async () => {
    const runtime = await openFloatRuntime(onnx, floatGraph, { output: outputName });
    try {
      return await evaluateModel(runtime, graph, set, {
        units: correspondence.find(({ node }) => node === graph.nodes.length - 1)?.units,
        adapter: secret?.weights,
        signal,
        onProgress: progress("evaluate"),
      });
    } finally {
      await runtime.close();
    }
  });
  const samples = Math.min(DRIFT_SAMPLES, set.inputs.length);
  const drift = await during("compare", () =>
    measureDrift(floatGraph, graph, correspondence, set.inputs.slice(0, samples), {
      ...(secret === undefined ? {} : { adapter: secret.weights }),
      signal,
      onProgress: (done) => onProgress?.({ stage: "compare", done: done / samples }),
    }),
  );

  let report!: ModelReport;
  const written = await writeModelDirectory(
    path,
    {
      graph,
      batch,
      adapter: secret,
      during: (work) => during("circuit", work),
      finish: ({ descriptor, circuit }) => {
        report = modelReport({
          onnx,
          floatGraph,
          graph,
          correspondence,
          circuit: { ...descriptor, digest: circuit.circuitDigest },
          quantisation: made.report,
          evaluation: { ...evaluated, set: evaluation === undefined ? "calibration" : "evaluation" },
          drift: { samples, nodes: drift },
          stages: clock.stages,
        });
        return { [FILES.report]: `${JSON.stringify(report, null, 2)}\n`, [FILES.page]: renderReport(report) };
      },
    },
    { overwrite, signal, onProgress: progress("circuit") },
  );
  return { ...written, report, ...(secret === undefined ? {} : { adapter: secret }) };
}

/**
 * The report of a model directory, as it was written: nothing in it can be worked out again, and nothing depends on it.
 *
 * @returns undefined where there is none
 * @throws AnchorError `FORMAT_UNSUPPORTED`, JSON_MALFORMED, FILE_UNREADABLE
 */
export async function readReport(directory: string): Promise<ModelReport | undefined> {
  const path = join(directory, FILES.report);
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    const code = error instanceof SyntaxError ? "JSON_MALFORMED" : "FILE_UNREADABLE";
    throw toAnchorError(error, code, `cannot read ${path}`);
  }
  const { format, version } = (value ?? {}) as Partial<ModelReport>;
  if (format !== "anchorproof/model-report" || version !== 2) {
    throw new AnchorError("FORMAT_UNSUPPORTED", `${path} is no report of this version: import the model again`);
  }
  return value as ModelReport;
}
