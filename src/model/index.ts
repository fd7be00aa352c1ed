export { commitBatch } from "../field/chain.js";
export { randomScalar } from "../field/scalar.js";
export { type Interval, proveBounds, type ValueBounds } from "./bounds.js";
export * from "./circuit/index.js";
export {
  commitAdapter,
  commitInput,
  type OutputLayout,
  outputLayout,
  packOutput,
  unpackOutput,
} from "./commitment.js";
export { type ReadSamplesOptions, readSamples, type SampleSet } from "./data.js";
export {
  adapterToJson,
  type ModelCircuit,
  type ModelDirectory,
  readAdapter,
  readModelDirectory,
  readModelGraph,
} from "./directory.js";
export { type ElementAgreement, type EvaluateOptions, type Evaluation, evaluateModel } from "./evaluate.js";
export { createExecutor, type Execution, type Executor, execute } from "./execute.js";
export * from "./float.js";
export * from "./graph.js";
export { type ImportModelOptions, type ImportProgress, importModel, readReport } from "./import.js";
export { type AdapterWeights, type Answer, createInference, type Inference, type Question } from "./inference.js";
export { readOnnx } from "./onnx/index.js";
export * from "./quantise/index.js";
export { type Drift, type ModelReport, measureDrift, renderReport } from "./report.js";
export { createFloatExecutor, type FloatExecutor } from "./run.js";
export { type FloatRuntime, openFloatRuntime } from "./runtime.js";
