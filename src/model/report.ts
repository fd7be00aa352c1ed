/**
 * What an import found out about a model: `report.json`, and `report.html` for people.
 *
 * Nothing here means anything to a verifier. The graph alone does, and what is reported of it can be worked out again.
 *
 * @module
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { throwIfAborted } from "../errors.js";
import { proveBounds } from "./bounds.js";
import type { Correspondence, Drift, OutputComparison, Range } from "./drift.js";
import type { FloatGraph } from "./float.js";
import {
  adapterOf,
  adapterSize,
  countMultiplications,
  inputOf,
  inputsOf,
  type ModelGraph,
  modelDigest,
} from "./graph.js";

export { type Correspondence, type Drift, measureDrift, type OutputComparison, OutputMeter } from "./drift.js";
export { renderReport } from "./reportPage.js";

/** Rows of the `.r1cs` by part of the circuit; with `node`, the own rows of one. */
export interface PartRows {
  readonly part: string;
  readonly node?: number;
  readonly rows: number;
}

/** A step of the import. */
export interface Stage {
  readonly name: string;
  readonly ms: number;
  /** The most memory that the process had had by the end of the stage. */
  readonly peakBytes: number;
}

export interface ReportNode {
  readonly op: string;
  readonly inputs: readonly number[];
  /** Nodes of the source that give the same values. */
  readonly from?: string;
  /** Integers that it gives. */
  readonly width: number;
  /** Proven bounds of all of them, and bits of the two's complement form that holds them. */
  readonly min: number;
  readonly max: number;
  readonly bits: number;
  readonly rows: number;
}

/** Content of `report.json`. */
export interface ModelReport {
  readonly format: "anchorproof/model-report";
  readonly version: 2;
  readonly source: {
    readonly sha256: string;
    readonly bytes: number;
    /** Nodes by operator, in alphabetical order. */
    readonly operators: Readonly<Record<string, number>>;
    readonly nodes: readonly { readonly name: string; readonly op: string }[];
  };
  readonly model: {
    readonly digest: string;
    readonly input: {
      readonly shape: readonly number[];
      readonly lo: number;
      readonly bits: number;
      readonly scaleLog2: number;
    };
    readonly output: { readonly shape: readonly number[]; readonly unit: Range };
    readonly adapter?: { readonly weights: number; readonly lo: number; readonly bits: number; readonly alpha: string };
    readonly multiplications: { readonly constant: number; readonly private: number };
    readonly nodes: readonly ReportNode[];
  };
  readonly circuit: {
    readonly parts: readonly PartRows[];
    readonly rows: number;
    readonly wires: number;
    readonly digest: string;
    /** The evaluation domain has 2^domainLog2 rows. */
    readonly domainLog2: number;
  };
  /** The quantiser's own account. */
  readonly quantisation: object;
  readonly evaluation: OutputComparison & {
    readonly set: "calibration" | "evaluation";
    /** What computed the floats. */
    readonly runtime: string;
  };
  readonly drift: { readonly samples: number; readonly nodes: readonly Drift[] };
  readonly stages: readonly Stage[];
}

export interface ReportParts {
  /** The ONNX file. */
  readonly onnx: Uint8Array;
  readonly floatGraph: FloatGraph;
  readonly graph: ModelGraph;
  readonly correspondence: readonly Correspondence[];
  readonly circuit: {
    readonly parts: readonly PartRows[];
    readonly rows: number;
    readonly wires: number;
    readonly publicSignals: readonly string[];
    readonly digest: string;
  };
  readonly quantisation: object;
  readonly evaluation: ModelReport["evaluation"];
  readonly drift: ModelReport["drift"];
  readonly stages: readonly Stage[];
}

/** Puts a report together. */
export function modelReport(of: ReportParts): ModelReport {
  const { onnx, floatGraph, graph, correspondence, circuit } = of;
  const { shape, lo, bits, scaleLog2 } = inputOf(graph);
  const adapter = adapterOf(graph);
  const last = correspondence.find(({ node }) => node === graph.nodes.length - 1);
  const rowsOf = new Map(circuit.parts.map(({ node, rows }) => [node, rows]));
  const nameOf = new Map(correspondence.map(({ node, float }) => [node, floatGraph.nodes[float]?.node]));
  const counts = new Map<string, number>();
  for (const { op } of floatGraph.source) counts.set(op, (counts.get(op) ?? 0) + 1);
  const operators = [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    format: "anchorproof/model-report",
    version: 2,
    source: {
      sha256: `0x${bytesToHex(sha256(onnx))}`,
      bytes: onnx.length,
      // Operators are names from a file: one may be "__proto__".
      operators: Object.fromEntries(operators),
      nodes: floatGraph.source.map(({ name, op }) => ({ name, op })),
    },
    model: {
      digest: modelDigest(graph),
      input: { shape, lo, bits, scaleLog2 },
      output: {
        shape: floatGraph.outputShape,
        unit: { min: Math.min(...(last?.units ?? [1])), max: Math.max(...(last?.units ?? [1])) },
      },
      ...(adapter && {
        adapter: { weights: adapterSize(graph), lo: adapter.lo, bits: adapter.bits, alpha: adapter.alpha },
      }),
      multiplications: countMultiplications(graph),
      nodes: proveBounds(graph).map((bounds, id): ReportNode => {
        const from = nameOf.get(id);
        return {
          op: bounds.op,
          inputs: inputsOf(graph.nodes[id]!),
          ...(from === undefined ? {} : { from }),
          width: bounds.min.length,
          min: bounds.hull.min,
          max: bounds.hull.max,
          bits: bounds.bits,
          rows: rowsOf.get(id) ?? 0,
        };
      }),
    },
    circuit: {
      parts: circuit.parts,
      rows: circuit.rows,
      wires: circuit.wires,
      digest: circuit.digest,
      // A key has a row more for each public signal and for the constant wire.
      domainLog2: Math.ceil(Math.log2(circuit.rows + circuit.publicSignals.length + 1)),
    },
    quantisation: of.quantisation,
    evaluation: of.evaluation,
    drift: of.drift,
    stages: of.stages,
  };
}

/** Times the steps of an import, and looks at its memory after each. */
export class StageClock {
  readonly stages: Stage[] = [];
  readonly #signal: AbortSignal | undefined;

  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  /** A step that fails is no stage. @throws AnchorError `ABORTED`, and what the work throws */
  async run<T>(name: string, work: () => T | Promise<T>): Promise<T> {
    throwIfAborted(this.#signal);
    const started = performance.now();
    const result = await work();
    const ms = performance.now() - started;
    this.stages.push({ name, ms, peakBytes: process.resourceUsage().maxRSS * 1024 });
    return result;
  }
}
