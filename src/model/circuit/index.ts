export { type CircuitDescriptor, describeCircuit } from "./descriptor.js";
export { type EmitOptions, emitNamedR1cs, emitR1cs, isR1csOf, writeR1cs } from "./emit.js";
export {
  type CircuitOptions,
  type InferenceRequest,
  publicSignals,
  type RowCount,
} from "./statement.js";
export { type CircuitText, circuitInputs, circuitText } from "./text.js";
export { createWitnessProgram, type WitnessProgram } from "./witness.js";
