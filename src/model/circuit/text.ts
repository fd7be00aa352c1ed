/**
 * The Circom program of a graph.
 *
 * It holds constants and wiring only. Every constraint is in a template of `circuits/`, which are read and tested by
 * hand; the parameters that their soundness needs come from `proveBounds`. It is what `emit.ts` and `witness.ts` are
 * tested against, and small models can be compiled from it.
 *
 * @module
 */

import type { CircuitInputs } from "../../circuit/witness.js";
import { AnchorError } from "../../errors.js";
import { R } from "../../field/scalar.js";
import { digestElements } from "../commitment.js";
import { createExecutor } from "../execute.js";
import { adapterOf, adapterSize, inputOf, inputSize, inputsOf, type ModelGraph, valueLengths } from "../graph.js";
import type { Instance, Parameter } from "./gadget.js";
import { gadgetOf } from "./gadgets.js";
import {
  assign,
  type Circuit,
  type CircuitOptions,
  componentName,
  type InferenceRequest,
  prepareCircuit,
} from "./statement.js";

/** Circom's wasm cannot hold an arbitrarily long source. */
const MAX_TEXT = 64 * 1024 * 1024;

export interface CircuitText {
  /** A whole Circom program; includes are relative to the package's `circuits` folder. */
  readonly source: string;
  readonly publicSignals: readonly string[];
}

/**
 * Writes the circuit of a graph. The same graph gives the same text.
 *
 * @throws AnchorError as `prepareCircuit`; `INPUT_TOO_LARGE` where Circom could not read it
 */
export function circuitText(graph: ModelGraph, options: CircuitOptions = {}): CircuitText {
  const circuit = prepareCircuit(graph, options);
  const source = write(circuit);
  if (source.length > MAX_TEXT) throw new AnchorError("INPUT_TOO_LARGE", "the model is too large for Circom");
  return { source, publicSignals: circuit.publicSignals };
}

/**
 * The same request by the names of the program's inputs, for circom's own witness generator.
 *
 * @throws AnchorError `INPUT_INVALID`, `CONTEXT_ZERO`
 */
export function circuitInputs(
  graph: ModelGraph,
  request: InferenceRequest,
  options: CircuitOptions = {},
): CircuitInputs {
  const circuit = prepareCircuit(graph, options);
  const { executions, salts, adapter, context } = assign(circuit, createExecutor(circuit.graph), request);
  const scalars = (values: Int32Array) => Array.from(values, (value) => field(value));
  return {
    in: executions.map(({ values }) => scalars(values[0]!)),
    salt: salts,
    ...(adapter ? { adapter: scalars(adapter.weights), adapterSalt: adapter.salt } : {}),
    context,
  };
}

/** The template `Model`: the graph alone, with its lanes in `in` (and `adapter`) and `out`. */
export function modelTemplate({ graph, facts, output }: Circuit): { files: Set<string>; lines: string[] } {
  const files = new Set<string>();
  const constants: string[] = [];
  const body: string[] = [];
  const lengths = valueLengths(graph);
  const lanesOf = (id: number) => {
    const { op } = graph.nodes[id]!;
    return op === "input" ? "in" : op === "adapter" ? "adapter" : `${componentName(graph, id)}.out`;
  };
  graph.nodes.forEach((node, id) => {
    if (node.op === "input" || node.op === "adapter") return;
    const gadget = gadgetOf(node);
    const name = componentName(graph, id);
    const { file, template, parameters } = gadget.instance(facts[id]!);
    files.add(file);
    const { constants: own, values } = parameterList(name, parameters);
    constants.push(...own);
    body.push("", `component ${name} = ${template}(${values.join(", ")});`);
    const taken = inputsOf(node);
    if (taken.length === gadget.ports.length) {
      taken.forEach((each, i) => {
        body.push(`${name}.${gadget.ports[i]} <== ${lanesOf(each)};`);
      });
      return;
    }
    let at = 0;
    for (const each of taken) {
      const length = lengths[each]!;
      body.push(`for (var i = 0; i < ${length}; i++) ${name}.in[${at} + i] <== ${lanesOf(each)}[i];`);
      at += length;
    }
  });
  const lines = [
    ...constants,
    "// Wiring only: every constraint is in the templates named here.",
    "template Model() {",
    `    signal input in[${inputSize(graph)}];`,
    ...(adapterOf(graph) ? [`    signal input adapter[${adapterSize(graph)}];`] : []),
    `    signal output out[${output.count}];`,
    ...indented(body),
    "",
    `    out <== ${lanesOf(graph.nodes.length - 1)};`,
    "}",
  ];
  return { files, lines };
}

function write(circuit: Circuit): string {
  const { graph, batch, digest, output } = circuit;
  const model = modelTemplate(circuit);
  const files = model.files.add("inference/committed_input.circom").add("inference/packed_output.circom");
  files.add("lib/nonzero.circom");
  const input = inputOf(graph);
  const size = inputSize(graph);
  const adapter = adapterOf(graph);
  const weights = adapterSize(graph);
  const body = [
    `signal input in[${batch}][${size}];`,
    `signal input salt[${batch}];`,
    ...(adapter ? [`signal input adapter[${weights}];`, "signal input adapterSalt;"] : []),
    "signal input context;",
    "signal output out;",
    "signal output inputCommitment;",
    ...(adapter ? ["signal output adapterCommitment;"] : []),
    "",
    "component nonzero = NonZero();",
    "nonzero.in <== context;",
  ];
  if (adapter) {
    files.add("inference/committed_adapter.circom");
    const parameters = [weights, adapter.lo, adapter.bits, ...digestElements(digest)];
    body.push(
      "",
      `component committedAdapter = CommittedAdapter(${parameters.join(", ")});`,
      "committedAdapter.in <== adapter;",
      "committedAdapter.salt <== adapterSalt;",
      "adapterCommitment <== committedAdapter.commitment;",
    );
  }
  body.push(
    "",
    `component committedInput[${batch}];`,
    `component model[${batch}];`,
    `component packed[${batch}];`,
    `for (var k = 0; k < ${batch}; k++) {`,
    `    committedInput[k] = CommittedInput(${size}, ${input.lo}, ${input.bits});`,
    "    committedInput[k].in <== in[k];",
    "    committedInput[k].salt <== salt[k];",
    "    model[k] = Model();",
    "    model[k].in <== in[k];",
    ...(adapter ? ["    model[k].adapter <== adapter;"] : []),
    `    packed[k] = PackedOutput(${output.count}, ${output.min}, ${output.lane});`,
    "    packed[k].in <== model[k].out;",
    "}",
  );
  if (batch === 1) {
    body.push("inputCommitment <== committedInput[0].commitment;", "out <== packed[0].out;");
  } else {
    files.add("inference/batch_digest.circom");
    body.push(
      "",
      `component inputs = BatchDigest(${batch});`,
      `component outputs = BatchDigest(${batch});`,
      `for (var k = 0; k < ${batch}; k++) {`,
      "    inputs.in[k] <== committedInput[k].commitment;",
      "    outputs.in[k] <== packed[k].out;",
      "}",
      "inputCommitment <== inputs.out;",
      "out <== outputs.out;",
    );
  }

  return [
    "// Generated by anchorproof from an integer graph. DO NOT EDIT.",
    `// model ${digest}${batch === 1 ? "" : `, ${batch} inferences`}`,
    "pragma circom 2.2.3;",
    "",
    ...[...files].sort().map((path) => `include "${path}";`),
    "",
    ...model.lines,
    "",
    "template Inference() {",
    ...indented(body),
    "}",
    "",
    "component main {public [context]} = Inference();",
    "",
  ].join("\n");
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => (line === "" ? line : `    ${line}`));
}

/** Arguments of a template; arrays are functions of their own. */
export function parameterList(
  component: string,
  parameters: Instance["parameters"],
): { constants: string[]; values: string[] } {
  const constants: string[] = [];
  const values = parameters.map(([name, value]) => {
    if (typeof value !== "object") return String(value);
    constants.push(`function ${component}_${name}() {\n    return ${literal(value, "    ")};\n}\n`);
    return `${component}_${name}()`;
  });
  return { constants, values };
}

function literal(value: Parameter, indent: string): string {
  if (typeof value !== "object") return String(value);
  const inner = Array.from(value, (each) => literal(each, `${indent}    `));
  if (inner.length === 0 || typeof value[0] !== "object") return `[${inner.join(", ")}]`;
  return `[\n${inner.map((each) => `${indent}    ${each}`).join(",\n")}\n${indent}]`;
}

function field(value: number): bigint {
  return value < 0 ? R + BigInt(value) : BigInt(value);
}
