import { join } from "node:path";
import { sha256 } from "@noble/hashes/sha2.js";
import { AnchorError } from "../errors.js";
import { toHex } from "../field/bytes.js";
import { MAX_BATCH } from "../field/chain.js";
import { readSamples, type SampleSet } from "../model/data.js";
import { readAdapter, readModelDirectory } from "../model/directory.js";
import { type Evaluation, evaluateModel } from "../model/evaluate.js";
import { inputOf, sizeOf } from "../model/graph.js";
import { importModel, readReport } from "../model/import.js";
import { readOnnx } from "../model/onnx/index.js";
import type { ModelReport } from "../model/report.js";
import { openFloatRuntime } from "../model/runtime.js";
import { type Command, integer, optional, pretty, readBytes, required, type Values } from "./command.js";
import { seconds, type Terminal } from "./terminal.js";

const percent = (share: number) => `${(100 * share).toFixed(2)} %`;
const megabytes = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MB`;

const SETS_HELP = `JSON {"inputs": [[…], …], "labels": [0, …]}, NumPy's .npy, or IDX (MNIST's), also gzipped; inputs as the ONNX
                         model takes them`;

/** From here on proving is no matter of seconds; the bytes are what keys of such circuits have. */
const LARGE_ROWS = 4_000_000;
const KEY_BYTES_PER_ROW = 640;
/** Part of the input's numbers that may be too small for its scale without a note. */
const COARSE_SHARE = 0.02;

export const modelImportCommand: Command = {
  name: "model import",
  summary: "quantise an ONNX model to integers, and write its circuit",
  help: `
  MODEL.onnx             a float model, or one with QuantizeLinear and QLinear operators
  --calibration FILE     ${SETS_HELP}
  --labels FILE          the classes of a calibration set that does not have them
  --limit N              take the first N samples of the calibration set
  --evaluation FILE      another set, to compare float and integer model on [the calibration set]
  --evaluation-labels FILE   --evaluation-limit N
  --output class|logits  what a proof shows: the index of the largest number, or all numbers [as the model: class where it
                         ends in ArgMax, else logits]
  --output-name NAME     which output is the model's, where the file has several
  --batch K              make one proof of K inferences [1]
  --weight-bits N        4 to 12 [8]
  --activation-bits N    4 to 12, of what is rounded between layers: one more halves the rounding error, for a row an
                         activation [8]
  --input-bits N         1 to 16 [7 or 8, as the calibration set needs]
  --adapter              keep the matrices of LoRA pairs private, behind a commitment [they are part of the model]
  --out DIR              where to write [out/model]
  --force                replace DIR when it is a model directory

Writes model.json (the integer graph, which the model digest names), circuit.json and circuit.r1cs (the circuit, to make keys
from), circuit.circom (the same to read, where it is short), adapter.json (private weights; secret), and report.json and
report.html (operators, proven bounds, rows, agreement with the float model, time and memory).
`,
  options: {
    calibration: { type: "string" },
    labels: { type: "string" },
    limit: { type: "string" },
    evaluation: { type: "string" },
    "evaluation-labels": { type: "string" },
    "evaluation-limit": { type: "string" },
    output: { type: "string" },
    "output-name": { type: "string" },
    batch: { type: "string" },
    "weight-bits": { type: "string" },
    "activation-bits": { type: "string" },
    "input-bits": { type: "string" },
    adapter: { type: "boolean" },
    out: { type: "string" },
    force: { type: "boolean" },
  },
  positionals: ["MODEL.onnx"],
  async run({ values, positionals, terminal, signal }) {
    const [file] = positionals;
    if (!file) throw new AnchorError("USAGE", "name the ONNX file");
    const calibrationPath = required(values, "calibration");
    const out = optional(values, "out") ?? join("out", "model");
    const output = optional(values, "output");
    if (output !== undefined && output !== "class" && output !== "logits") {
      throw new AnchorError("USAGE", "--output takes class or logits");
    }
    const evaluationPath = optional(values, "evaluation");
    if (evaluationPath === undefined) {
      for (const name of ["evaluation-labels", "evaluation-limit"]) {
        if (values[name] !== undefined) throw new AnchorError("USAGE", `--${name} goes with --evaluation`);
      }
    }
    const bits = (name: string, least: number, most: number) =>
      values[name] === undefined ? undefined : integer(values, name, least, most, 8);
    const numbers = {
      batch: integer(values, "batch", 1, MAX_BATCH, 1),
      weightBits: bits("weight-bits", 4, 12),
      activationBits: bits("activation-bits", 4, 12),
      inputBits: bits("input-bits", 1, 16),
    };
    const onnx = new Uint8Array(await readBytes(file));
    const calibration = await readSet(calibrationPath, values, "", terminal, signal);
    const evaluation =
      evaluationPath === undefined ? undefined : await readSet(evaluationPath, values, "evaluation-", terminal, signal);
    const { report, path, adapter } = await importModel({
      onnx,
      calibration,
      evaluation,
      output,
      outputName: optional(values, "output-name"),
      ...numbers,
      adapter: values["adapter"] === true,
      out,
      overwrite: values["force"] === true,
      signal,
      onProgress: ({ stage, done }) => terminal.progress(stage, done),
    });
    const { model, circuit, stages } = report;
    terminal.line(`model    ${model.modelDigest}`);
    terminal.line(`         ${inputText(model.input)}; ${model.multiplications.constant} multiplications by weights`);
    for (const { op, width, min, max, bits: own, rows } of model.nodes) {
      terminal.line(
        `         ${op.padEnd(10)} ${String(width).padStart(7)} values in [${min}, ${max}], ${own} bits, proven; ${rows} rows`,
      );
    }
    if (report.evaluation.elements !== undefined) {
      terminal.line(`         1 of the output stands for ${report.quantisation.outputUnit.toPrecision(4)}`);
    }
    terminal.line(`circuit  ${circuit.circuitDigest}`);
    terminal.line(`         ${circuit.rows} rows${numbers.batch > 1 ? ` for ${numbers.batch} inferences` : ""}`);
    if (circuit.rows > LARGE_ROWS) {
      const gigabytes = (circuit.rows * KEY_BYTES_PER_ROW) / 1e9;
      terminal.line(`note     a key for so many rows takes about ${gigabytes.toFixed(1)} GB, and a proof minutes`);
    }
    const { coarseInputs } = report.quantisation;
    // A few nearly constant pixels at an image's edge are no reason.
    if (coarseInputs > COARSE_SHARE * sizeOf(report.model.input.shape)) {
      terminal.line(
        `note     ${coarseInputs} of the input's numbers move by less than four of its integers: bring them to one size before the model, or give --input-bits 16`,
      );
    }
    printEvaluation(terminal, report.evaluation);
    if (report.evaluation.set === "calibration") {
      terminal.line("note     these samples also chose the integers' scales: compare on others with --evaluation");
    }
    const took = stages.map(({ stage, ms, peakBytes }) => `${stage} ${seconds(ms)} (${megabytes(peakBytes)})`);
    terminal.line(`took     ${took.join(", ")}`);
    if (adapter !== undefined) {
      terminal.line(
        `adapter  ${adapter.weights.length} private weights in adapter.json: keep it secret, and keep a copy`,
      );
    }
    terminal.line(`written to ${path}`);
  },
};

export const modelEvaluateCommand: Command = {
  name: "model evaluate",
  summary: "compare a model's integers with the ONNX model that it came from",
  help: `
  DIR            what \`model import\` wrote
  --onnx FILE    the ONNX model
  --data FILE    ${SETS_HELP}
  --labels FILE  the classes of a set that does not have them
  --limit N      take the first N samples
  --adapter FILE the private weights of a model with an adapter [adapter.json of DIR]
  --output-name NAME  which output is the model's, where the file has several
  --own          run the float model by this package's executor, although onnxruntime-node is installed
  --json         print the result as JSON

The float model is run by onnxruntime-node where it is installed.
`,
  options: {
    onnx: { type: "string" },
    data: { type: "string" },
    labels: { type: "string" },
    limit: { type: "string" },
    adapter: { type: "string" },
    "output-name": { type: "string" },
    own: { type: "boolean" },
    json: { type: "boolean" },
  },
  positionals: ["DIR"],
  async run({ values, positionals, terminal, signal }) {
    const [directory] = positionals;
    if (directory === undefined) throw new AnchorError("USAGE", "name the model's folder");
    const [onnxPath, dataPath] = [required(values, "onnx"), required(values, "data")];
    terminal.busy("reading the model");
    const model = await readModelDirectory(directory, { signal });
    const adapter = await readAdapter(model, optional(values, "adapter"));
    const report = await readReport(directory);
    const onnx = new Uint8Array(await readBytes(onnxPath));
    const another = report?.source?.sha256 !== undefined && report.source.sha256 !== toHex(sha256(onnx));
    const set = await readSet(dataPath, values, "", terminal, signal);
    const output = optional(values, "output-name");
    const float = await openFloatRuntime(onnx, readOnnx(onnx, { output }), { output, own: values["own"] === true });
    try {
      const evaluation = await evaluateModel(float, model.graph, set, {
        outputScale: report?.quantisation?.outputUnit,
        adapter: adapter?.weights,
        signal,
        onProgress: ({ done, total }) => terminal.progress("evaluating", done / total),
      });
      if (values["json"] === true) {
        const { modelDigest } = model.descriptor;
        return terminal.line(pretty({ modelDigest, ...evaluation }).trimEnd());
      }
      terminal.line(`model    ${model.descriptor.modelDigest}`);
      printEvaluation(terminal, evaluation);
      if (another) terminal.line(`note     ${onnxPath} is another file than the one that ${directory} was made from`);
    } finally {
      await float.close();
    }
  },
};

export const modelInfoCommand: Command = {
  name: "model info",
  summary: "what a model and its circuit are, worked out from the model again",
  help: `
  DIR            what \`model import\` wrote
  --json         print it as JSON
`,
  options: { json: { type: "boolean" } },
  positionals: ["DIR"],
  async run({ values, positionals, terminal, signal }) {
    const [directory] = positionals;
    if (directory === undefined) throw new AnchorError("USAGE", "name the model's folder");
    const { graph, descriptor, circuit } = await readModelDirectory(directory, { signal });
    const { circuitDigest } = circuit;
    if (values["json"] === true) return terminal.line(pretty({ circuitDigest, ...descriptor }).trimEnd());
    const { modelDigest, input, nodes, multiplications, publicSignals, parts, rows, wires, batch } = descriptor;
    terminal.line(`model    ${modelDigest}`);
    terminal.line(`input    ${inputText({ ...input, scaleLog2: inputOf(graph).scaleLog2 })}`);
    for (const { op, width, min, max, bits } of nodes) {
      terminal.line(
        `         ${op.padEnd(10)} ${String(width).padStart(7)} values in [${min}, ${max}], ${bits} bits, proven`,
      );
    }
    terminal.line(
      `         ${multiplications.constant} multiplications by weights, ${multiplications.private} of private values`,
    );
    terminal.line(`circuit  ${circuitDigest}`);
    terminal.line(`         ${rows} rows, ${wires} wires; public: ${publicSignals.join(", ")}`);
    if (batch > 1) terminal.line(`         ${batch} inferences in one proof`);
    for (const { part, rows: own } of parts) terminal.line(`         ${String(own).padStart(9)} rows for ${part}`);
    terminal.line("ok       circuit.json and circuit.r1cs are of this model");
  },
};

function readSet(
  path: string,
  values: Values,
  prefix: "" | "evaluation-",
  terminal: Terminal,
  signal: AbortSignal,
): Promise<SampleSet> {
  const labels = optional(values, `${prefix}labels`);
  const limit = values[`${prefix}limit`] === undefined ? undefined : integer(values, `${prefix}limit`, 1, 1_000_000, 1);
  return readSamples(path, {
    ...(labels === undefined ? {} : { labels }),
    ...(limit === undefined ? {} : { limit }),
    signal,
    onProgress: ({ done, total }) => terminal.progress("reading samples", done / total),
  });
}

function inputText({ shape, lo, bits, scaleLog2 }: ModelReport["model"]["input"]): string {
  const unit = scaleLog2 === 0 ? "" : ` where 1 stands for 2^${-scaleLog2}`;
  return `${shape.join(" × ")} integers in [${lo}, ${lo + 2 ** bits - 1}]${unit}`;
}

function printEvaluation(terminal: Terminal, evaluation: Evaluation): void {
  const { runtime, samples, floatAccuracy, integerAccuracy, classAgreement, elements } = evaluation;
  terminal.line(`samples  ${samples}; the float model ran on ${runtime}`);
  if (floatAccuracy !== undefined && integerAccuracy !== undefined) {
    const points = 100 * (integerAccuracy - floatAccuracy);
    const difference = `${points < 0 ? "-" : "+"}${Math.abs(points).toFixed(2)} points`;
    terminal.line(`right    float ${percent(floatAccuracy)}, integer ${percent(integerAccuracy)} (${difference})`);
  }
  if (classAgreement !== undefined) terminal.line(`agrees   on the class: ${percent(classAgreement)}`);
  if (elements === undefined) return;
  const { count, equal, within8Bits, meanError, maxError } = elements;
  terminal.line(`         on each of ${count} numbers: ${percent(equal)} exactly, ${percent(within8Bits)} to 8 bits`);
  terminal.line(`         error ${percent(meanError)} of their range in the mean, ${percent(maxError)} at most`);
}
