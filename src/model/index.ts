export { randomScalar } from "../field/scalar.js";
export { proveBounds } from "./bounds.js";
export * from "./circuit.js";
export * from "./commitment.js";
export * from "./directory.js";
export { createExecutor, type Execution, execute } from "./execute.js";
export * from "./graph.js";
export { type FloatModel, readOnnx, runFloat } from "./onnx.js";
export * from "./quantise/index.js";
