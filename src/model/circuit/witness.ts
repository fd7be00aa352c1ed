/**
 * The witness of a graph's circuit, from the executor's integers and without any interpreter of the circuit.
 *
 * @module
 */

import { Inverses, ValueWriter } from "../../circuit/synthesis/values.js";
import { AnchorError } from "../../errors.js";
import { createExecutor } from "../execute.js";
import type { ModelGraph } from "../graph.js";
import { assign, type CircuitOptions, type InferenceRequest, prepareCircuit, synthesise } from "./statement.js";

/** The bytes of a `.wtns` file (iden3's format, version 2). @throws AnchorError `INPUT_INVALID`, `CONTEXT_ZERO` */
export type WitnessProgram = (request: InferenceRequest) => Uint8Array;

/**
 * Prepares a graph for many witnesses: bounds and wires are worked out once.
 *
 * That it returns says that the inputs are in range, as the circuit will check.
 *
 * @throws AnchorError `MODEL_MALFORMED`, `MODEL_UNBOUNDED`, `INPUT_INVALID` for a bad batch
 */
export function createWitnessProgram(graph: ModelGraph, options: CircuitOptions = {}): WitnessProgram {
  const circuit = prepareCircuit(graph, options);
  const execute = createExecutor(circuit.graph);
  const inverses = new Inverses();
  return (request) => {
    const assignment = assign(circuit, execute, request);
    const writer = new ValueWriter(circuit.wires, circuit.map, inverses);
    try {
      for (const _ of synthesise(writer, circuit, assignment));
    } finally {
      // They are part of the witness as much as the file is.
      for (const { values } of assignment.executions) for (const value of values) value.fill(0);
    }
    const expected = circuit.wires + (circuit.map.alias === undefined ? 0 : 1);
    if (writer.wires !== expected) throw new AnchorError("INTERNAL", "the witness has other wires than the circuit");
    return writer.file;
  };
}
