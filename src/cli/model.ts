import { join } from "node:path";
import { AnchorError } from "../errors.js";
import { importModel, parseCalibration } from "../model/directory.js";
import { type Command, optional, readBytes, required } from "./command.js";

const percent = (share: number) => `${(100 * share).toFixed(2)} %`;

export const modelImportCommand: Command = {
  name: "model import",
  summary: "quantise an ONNX model to integers and write its circuit",
  help: `
  MODEL.onnx             Gemm, MatMul + Add, Relu, reshapes of [1, n] and a final ArgMax; float32
  --calibration FILE     JSON {"inputs": [[…], …], "labels": [0, …]} with inputs as the model takes them; labels optional
  --out DIR              where to write [out/model]
  --force                replace DIR when it is a model directory

Writes model.json (the integer graph, which the model digest names), circuit.circom and report.json (operators, proven
bounds, rows, agreement with the float model).
`,
  options: { calibration: { type: "string" }, out: { type: "string" }, force: { type: "boolean" } },
  positionals: ["MODEL.onnx"],
  async run({ values, positionals, terminal, signal }) {
    const [file] = positionals;
    if (!file) throw new AnchorError("USAGE", "name the ONNX file");
    const calibration = required(values, "calibration");
    const out = optional(values, "out") ?? join("out", "model");
    const { report, path } = await importModel({
      onnx: new Uint8Array(await readBytes(file)),
      calibration: parseCalibration(new TextDecoder().decode(await readBytes(calibration))),
      out,
      overwrite: values["force"] === true,
      signal,
      onProgress: ({ step, done, total }) => terminal.progress(step, done / total),
    });
    const { model, evaluation } = report;
    terminal.line(`model    ${model.modelDigest}`);
    terminal.line(
      `         ${model.inputSize} inputs, ${model.classes} classes, ${model.multiplications} multiplications`,
    );
    for (const { kind, width, min, max, bits } of model.layers) {
      terminal.line(
        `         ${kind.padEnd(12)} ${String(width).padStart(5)} values in [${min}, ${max}], ${bits} bits, proven`,
      );
    }
    terminal.line(`rows     ${model.totalRows} expected`);
    terminal.line(`agrees   with the float model on ${percent(evaluation.agreement)} of ${evaluation.samples} inputs`);
    if (evaluation.integerAccuracy !== undefined) {
      terminal.line(`right    ${percent(evaluation.integerAccuracy)} (float ${percent(evaluation.floatAccuracy!)})`);
    }
    terminal.line(`written to ${path}`);
  },
};
