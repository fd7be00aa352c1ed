/**
 * What there is to know of a model's circuit without its weights, for reports.
 *
 * @module
 */

import { countMultiplications, inputOf, type ModelGraph } from "../graph.js";
import { type CircuitOptions, prepareCircuit, type RowCount } from "./statement.js";

export interface CircuitDescriptor {
  readonly modelDigest: `0x${string}`;
  readonly batch: number;
  readonly publicSignals: readonly string[];
  readonly input: { readonly shape: readonly number[]; readonly lo: number; readonly bits: number };
  readonly nodes: readonly {
    readonly op: string;
    readonly width: number;
    /** Proven bounds of the node's values. */
    readonly min: number;
    readonly max: number;
    readonly bits: number;
    /** Of all inferences of the batch. */
    readonly rows: number;
  }[];
  /** Of one inference. */
  readonly multiplications: { readonly constant: number; readonly private: number };
  /** Rows of the `.r1cs` file, exactly. */
  readonly parts: readonly RowCount[];
  readonly rows: number;
  readonly wires: number;
}

/** @throws AnchorError as `prepareCircuit` */
export function describeCircuit(graph: ModelGraph, options: CircuitOptions = {}): CircuitDescriptor {
  const circuit = prepareCircuit(graph, options);
  const { shape, lo, bits } = inputOf(circuit.graph);
  return {
    modelDigest: circuit.digest,
    batch: circuit.batch,
    publicSignals: circuit.publicSignals,
    input: { shape, lo, bits },
    nodes: circuit.bounds.map(({ op, hull, bits, min }, id) => ({
      op,
      width: min.length,
      min: hull.min,
      max: hull.max,
      bits,
      rows: circuit.parts.find(({ node }) => node === id)?.rows ?? 0,
    })),
    multiplications: countMultiplications(circuit.graph),
    parts: circuit.parts,
    rows: circuit.rows,
    wires: circuit.wires,
  };
}
