/**
 * From an ONNX file to a model directory: read, quantise, prove bounds, write the circuit, compare with the float model.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { AnchorError, throwIfAborted, toAnchorError } from "../errors.js";
import { randomScalar } from "../field/scalar.js";
import { checkSet, type SampleSet } from "./data.js";
import { checkTarget, FILES, type ModelDirectory, writeModelDirectory } from "./directory.js";
import { measureDrift } from "./drift.js";
import { evaluateModel } from "./evaluate.js";
import type { AdapterWeights } from "./inference.js";
import { readOnnx } from "./onnx/index.js";
import { type QuantiseOptions, quantise } from "./quantise/index.js";
import { type ModelReport, modelReport, renderReport } from "./report.js";
import { openFloatRuntime } from "./runtime.js";
import { begin, measure, type Stage } from "./stages.js";

export interface ImportModelOptions
  extends Pick<
    QuantiseOptions,
    "output" | "weightBits" | "activationBits" | "inputBits" | "inputScaleLog2" | "signal"
  > {
  /** The ONNX file's bytes. */
  readonly onnx: Uint8Array;
  readonly calibration: SampleSet;
  /** The set to compare float and integer model on; the calibration set unless given. */
  readonly evaluation?: SampleSet | undefined;
  /** Which output is the model's, where the file has several. */
  readonly outputName?: string | undefined;
  /** Inferences of one proof; 1 unless told. */
  readonly batch?: number | undefined;
  /** Makes the matrices of LoRA pairs private weights behind a commitment, instead of constants. */
  readonly adapter?: boolean | undefined;
  /** The directory to make. */
  readonly out: string;
  /** Replace `out` when it is a model directory already. */
  readonly overwrite?: boolean | undefined;
  readonly onProgress?: ((progress: ImportProgress) => void) | undefined;
}

export type ImportStage = "read" | "quantise" | "evaluate" | "drift" | "circuit";

export interface ImportProgress {
  readonly stage: ImportStage;
  /** From 0 to 1. */
  readonly done: number;
}

/** Samples that drift by layer is measured on: its numbers are steady long before. */
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
  const { onnx, calibration, evaluation, output, outputName, batch = 1, signal, onProgress } = options;
  const path = resolve(options.out);
  const overwrite = options.overwrite ?? false;
  await checkTarget(path, overwrite);
  checkSet(calibration, "the calibration set");
  if (evaluation !== undefined) checkSet(evaluation, "the evaluation set");

  const stages: Stage[] = [];
  const during = <T>(stage: ImportStage, work: () => Promise<T> | T): Promise<T> => {
    throwIfAborted(signal);
    onProgress?.({ stage, done: 0 });
    return measure(stages, stage, work);
  };
  const progress = (stage: ImportStage) => (at: { readonly done: number; readonly total: number }) =>
    onProgress?.({ stage, done: at.done / at.total });

  const float = await during("read", () => readOnnx(onnx, { adapter: options.adapter, output: outputName }));
  const {
    graph,
    adapter: weights,
    correspondence,
    report: quantisation,
  } = await during("quantise", () =>
    quantise(float, {
      calibration: calibration.inputs,
      output,
      weightBits: options.weightBits,
      activationBits: options.activationBits,
      inputBits: options.inputBits,
      inputScaleLog2: options.inputScaleLog2,
      signal,
      onProgress: progress("quantise"),
    }),
  );
  const adapter = weights === undefined ? undefined : { weights, salt: randomScalar() };
  const measured = await during("evaluate", async () => {
    const runtime = await openFloatRuntime(onnx, float, { output: outputName });
    try {
      return await evaluateModel(runtime, graph, evaluation ?? calibration, {
        outputScale: quantisation.outputUnit,
        adapter: weights,
        signal,
        onProgress: progress("evaluate"),
      });
    } finally {
      await runtime.close();
    }
  });

  const samples = (evaluation ?? calibration).inputs.slice(0, DRIFT_SAMPLES);
  const drift = await during("drift", async () => ({
    samples: samples.length,
    nodes: await measureDrift(float, graph, correspondence, samples, {
      adapter: weights,
      signal,
      onProgress: (done) => progress("drift")({ done, total: samples.length }),
    }),
  }));

  let report!: ModelReport;
  const end = await begin("circuit");
  const model = await writeModelDirectory(
    path,
    {
      graph,
      batch,
      adapter,
      finish: async ({ descriptor, circuit: { circuitDigest } }) => {
        stages.push(await end());
        report = modelReport({
          onnx,
          floatGraph: float,
          graph,
          descriptor,
          circuitDigest,
          quantisation,
          evaluation: { ...measured, set: evaluation === undefined ? "calibration" : "evaluation" },
          drift,
          stages,
        });
        return { [FILES.report]: `${JSON.stringify(report, null, 2)}\n`, [FILES.page]: renderReport(report) };
      },
    },
    { overwrite, signal, onProgress: progress("circuit") },
  );
  return { ...model, report, ...(adapter === undefined ? {} : { adapter }) };
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
  const { format, version, quantisation } = (value ?? {}) as Partial<ModelReport>;
  if (format !== "anchorproof/model-report" || version !== 2) {
    throw new AnchorError("FORMAT_UNSUPPORTED", `${path} is no report of this version: import the model again`);
  }
  // All that is used of it again.
  const unit: unknown = quantisation?.outputUnit;
  if (unit !== undefined && !(typeof unit === "number" && Number.isFinite(unit) && unit > 0)) {
    throw new AnchorError("JSON_MALFORMED", `${path}: quantisation.outputUnit must be a positive number`);
  }
  return value as ModelReport;
}
