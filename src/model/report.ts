/**
 * What an import found out about a model: `report.json`, and `report.html` for people.
 *
 * Nothing here means anything to a verifier. The graph alone does, and what is reported of it can be worked out again.
 *
 * @module
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import type { CircuitDescriptor } from "./circuit/index.js";
import type { Drift, Range } from "./drift.js";
import type { Evaluation } from "./evaluate.js";
import type { FloatGraph } from "./float.js";
import { adapterOf, adapterSize, inputOf, inputsOf, type ModelGraph } from "./graph.js";
import type { QuantiseReport } from "./quantise/index.js";
import type { Stage } from "./stages.js";

export { type Drift, measureDrift } from "./drift.js";
export { renderReport } from "./reportPage.js";

export type ReportNode = CircuitDescriptor["nodes"][number] & {
  /** Nodes whose values it takes. */
  readonly inputs: readonly number[];
  /** Nodes of the source that give the same values. */
  readonly from?: string;
};

/** Content of `report.json`. */
export interface ModelReport {
  readonly format: "anchorproof/model-report";
  readonly version: 2;
  readonly source: {
    readonly sha256: string;
    readonly bytes: number;
    /** How many nodes have an operator, in alphabetical order. */
    readonly operators: Readonly<Record<string, number>>;
    readonly nodes: readonly { readonly name: string; readonly op: string }[];
  };
  readonly model: Omit<CircuitDescriptor, "input" | "nodes"> & {
    readonly input: CircuitDescriptor["input"] & { readonly scaleLog2: number };
    /** `unit`: real value of 1, over the channels; absent where the output is class indices. */
    readonly output: { readonly shape: readonly number[]; readonly unit?: Range };
    readonly adapter?: { readonly weights: number; readonly lo: number; readonly bits: number; readonly alpha: string };
    readonly nodes: readonly ReportNode[];
  };
  readonly circuit: {
    readonly circuitDigest: string;
    readonly rows: number;
    readonly wires: number;
    readonly batch: number;
    /** The evaluation domain has 2^domainLog2 rows. */
    readonly domainLog2: number;
  };
  readonly quantisation: QuantiseReport;
  readonly evaluation: Evaluation & { readonly set: "calibration" | "evaluation" };
  readonly drift: { readonly samples: number; readonly nodes: readonly Drift[] };
  readonly stages: readonly Stage[];
}

export interface ReportParts extends Pick<ModelReport, "quantisation" | "evaluation" | "drift" | "stages"> {
  /** The ONNX file. */
  readonly onnx: Uint8Array;
  readonly floatGraph: FloatGraph;
  readonly graph: ModelGraph;
  readonly descriptor: CircuitDescriptor;
  readonly circuitDigest: string;
}

/** Puts a report together. */
export function modelReport(of: ReportParts): ModelReport {
  const { onnx, floatGraph, graph, descriptor, circuitDigest, drift } = of;
  const { rows, wires, batch, publicSignals } = descriptor;
  const adapter = adapterOf(graph);
  const last = graph.nodes.length - 1;
  const unit = graph.nodes[last]!.op === "argMax" ? undefined : drift.nodes.find(({ node }) => node === last)?.unit;
  const nameOf = new Map(drift.nodes.map(({ node, name }) => [node, name]));
  const counts = new Map<string, number>();
  for (const { op } of floatGraph.source) counts.set(op, (counts.get(op) ?? 0) + 1);
  return {
    format: "anchorproof/model-report",
    version: 2,
    source: {
      sha256: `0x${bytesToHex(sha256(onnx))}`,
      bytes: onnx.length,
      operators: Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1))),
      nodes: floatGraph.source.map(({ name, op }) => ({ name, op })),
    },
    model: {
      ...descriptor,
      input: { ...descriptor.input, scaleLog2: inputOf(graph).scaleLog2 },
      output: { shape: floatGraph.outputShape, ...(unit && { unit }) },
      ...(adapter && {
        adapter: { weights: adapterSize(graph), lo: adapter.lo, bits: adapter.bits, alpha: adapter.alpha },
      }),
      nodes: descriptor.nodes.map((node, id) => {
        const from = nameOf.get(id);
        return { ...node, inputs: inputsOf(graph.nodes[id]!), ...(from === undefined ? {} : { from }) };
      }),
    },
    circuit: {
      circuitDigest,
      rows,
      wires,
      batch,
      // A key has a row more for each public signal and for the constant wire.
      domainLog2: Math.ceil(Math.log2(rows + publicSignals.length + 1)),
    },
    quantisation: of.quantisation,
    evaluation: of.evaluation,
    drift,
    stages: of.stages,
  };
}
