/**
 * The statement around a graph: twin of the main component that `text.ts` writes.
 *
 * Public signals in this order: `output`, `inputCommitment`, `adapterCommitment` where the graph has an adapter, and
 * `context`, which is the only one that is an input. What a proof says: someone knows an input in its range that opens
 * the commitment, and private weights in theirs that open the other one, and this graph maps them to this output. It
 * does not say where they come from. With a batch of K it says so of K inputs at once, and two of the signals are
 * digests over K (`commitBatch`).
 *
 * @module
 */

import { constant, type Element } from "../../circuit/synthesis/elements.js";
import { hashChain } from "../../circuit/synthesis/poseidon.js";
import type { WireMap } from "../../circuit/synthesis/rows.js";
import { Counter, type Lanes, ONE, type Synthesis } from "../../circuit/synthesis/synthesis.js";
import { AnchorError } from "../../errors.js";
import { assertScalar } from "../../field/scalar.js";
import { proveBounds, type ValueBounds } from "../bounds.js";
import {
  ADAPTER_TAG,
  BATCH_TAG,
  chainCapacity,
  commitAdapter,
  commitBatch,
  commitInput,
  digestElements,
  INPUT_TAG,
  type IntegerRange,
  MAX_BATCH,
  OUTPUT_TAG,
  type OutputLayout,
  outputLayout,
  packing,
  packOutput,
} from "../commitment.js";
import { createExecutor, type Execution, type Executor } from "../execute.js";
import {
  adapterOf,
  adapterSize,
  checkGraph,
  inputOf,
  inputSize,
  inputsOf,
  type ModelGraph,
  modelDigest,
} from "../graph.js";
import { isFixed, type NodeContext, type NodeFacts } from "./gadget.js";
import { packElements, rangeCheck } from "./gadgets/integers.js";
import { gadgetOf } from "./gadgets.js";

/** Rows, and wires, of a circuit: no key of BN254 has more rows, whose roots of unity end there. */
export const MAX_ROWS = 2 ** 28;

export interface CircuitOptions {
  /** Inferences in one proof; 1 unless told. */
  readonly batch?: number;
}

/** What one proof is about. */
export interface InferenceRequest {
  /** As many as the circuit's batch. */
  readonly inferences: readonly {
    /** Integers, as the graph takes them. */
    readonly input: ArrayLike<number>;
    /** Uniform scalar, drawn anew for every commitment. */
    readonly salt: bigint;
  }[];
  /** Of a graph that has one. */
  readonly adapter?: { readonly weights: ArrayLike<number>; readonly salt: bigint } | undefined;
  readonly context: bigint;
}

/** Rows of the `.r1cs` by part of the circuit. */
export interface RowCount {
  readonly part: string;
  /** Of a node's own rows: which one. */
  readonly node?: number;
  readonly rows: number;
}

/** Everything that is known of a circuit without any input. */
export interface Circuit {
  readonly graph: ModelGraph;
  readonly bounds: readonly ValueBounds[];
  readonly batch: number;
  readonly digest: `0x${string}`;
  readonly output: OutputLayout;
  readonly facts: readonly NodeFacts[];
  /** Of each node: its lanes' constants, zeros for those that are none. */
  readonly fixed: readonly Int32Array[];
  readonly publicSignals: readonly string[];
  readonly privateInputs: number;
  /** Of the file. */
  readonly wires: number;
  readonly rows: number;
  readonly parts: readonly RowCount[];
  readonly map: WireMap;
}

/** A request with what follows from it. */
export interface Assignment {
  readonly executions: readonly Execution[];
  readonly salts: readonly bigint[];
  readonly adapter: { readonly weights: Int32Array; readonly salt: bigint } | undefined;
  readonly context: bigint;
}

/**
 * Proves the bounds and counts.
 *
 * @throws AnchorError `MODEL_MALFORMED`, `MODEL_UNBOUNDED`, `INPUT_INVALID` for a batch that is no number from 1 to
 *   {@link MAX_BATCH}, `INPUT_TOO_LARGE` above {@link MAX_ROWS}.
 */
export function prepareCircuit(graph: ModelGraph, { batch = 1 }: CircuitOptions = {}): Circuit {
  if (!Number.isInteger(batch) || batch < 1 || batch > MAX_BATCH) {
    throw new AnchorError("INPUT_INVALID", `a batch has 1 to ${MAX_BATCH} inferences`);
  }
  const own = checkGraph(graph);
  const bounds = proveBounds(own);
  const adapter = adapterOf(own);
  const draft = {
    graph: own,
    bounds,
    batch,
    digest: modelDigest(own),
    output: outputLayout(own, bounds),
    facts: own.nodes.map((node, id) => ({
      node,
      bounds: bounds[id]!,
      inputBounds: inputsOf(node).map((input) => bounds[input]!),
    })),
    fixed: bounds.map((each) => each.min.map((value, lane) => (isFixed(each, lane) ? value : 0))),
    publicSignals: ["output", "inputCommitment", ...(adapter ? ["adapterCommitment"] : []), "context"],
    privateInputs: batch * (inputSize(own) + 1) + (adapter ? adapterSize(own) + 1 : 0),
  };
  const counter = new Counter();
  const counts = new Map<string, { part: string; node?: number; rows: number }>();
  const shared = { rows: 0, wires: 0 };
  let before = 0;
  const steps = synthesise(counter, draft);
  for (;;) {
    const step = steps.next();
    if (step.done) {
      const alias = step.value;
      const map = { alias, output: OUTPUT };
      const wires = counter.wires - (alias === undefined ? 0 : 1);
      return { ...draft, wires, rows: counter.rows, parts: [...counts.values()], map };
    }
    const { part, node } = step.value;
    if (part === "context" || part === "adapter") [shared.rows, shared.wires] = [counter.rows, counter.wires];
    // Now, and not at the end: a small file may ask for a circuit that no memory holds. The first inference tells all.
    const times = part === "output" && !counts.has(part) ? batch : 1;
    const most = Math.max(
      shared.rows + times * (counter.rows - shared.rows),
      shared.wires + times * (counter.wires - shared.wires),
    );
    if (most > MAX_ROWS) {
      throw new AnchorError("INPUT_TOO_LARGE", `the circuit has more than ${MAX_ROWS} rows: no key is that large`);
    }
    const count = counts.get(part) ?? { part, ...(node === undefined ? {} : { node }), rows: 0 };
    count.rows += counter.rows - before;
    counts.set(part, count);
    before = counter.rows;
  }
}

type Draft = Omit<Circuit, "wires" | "rows" | "parts" | "map">;

/** Wire of the first public signal. */
const OUTPUT = 1;

/**
 * Runs every gadget, and stops after each: what has just been done is yielded.
 *
 * @returns the wire that the output signal is a copy of, where it is one
 */
export function* synthesise(
  s: Synthesis,
  circuit: Draft,
  assignment?: Assignment,
): Generator<{ part: string; node?: number }, number | undefined> {
  const { graph, batch, digest, output, fixed } = circuit;
  const input = inputOf(graph);
  const size = inputSize(graph);
  const adapter = adapterOf(graph);

  const outputWire = s.wire(0, "out");
  const inputCommitment = s.wire(0, "inputCommitment");
  const adapterCommitment = adapter ? s.wire(0, "adapterCommitment") : ONE;
  const context = s.wire(assignment?.context ?? 0n, "context");
  const inputs: Lanes[] = [];
  for (let k = 0; k < batch; k++) {
    const values = assignment?.executions[k]?.values[0] ?? fixed[0]!;
    inputs.push({ wires: Int32Array.from(values, (value, i) => s.wire(value, `in[${k}]`, i)), values });
  }
  const salts: Element[] = [];
  for (let k = 0; k < batch; k++) {
    const value = assignment?.salts[k] ?? 0n;
    salts.push({ wire: s.wire(value, "salt", k), value });
  }
  let weights: Lanes | undefined;
  let adapterSalt = constant(0n);
  if (adapter) {
    const values = assignment?.adapter?.weights ?? fixed[1]!;
    weights = { wires: Int32Array.from(values, (value, i) => s.wire(value, "adapter", i)), values };
    const value = assignment?.adapter?.salt ?? 0n;
    adapterSalt = { wire: s.wire(value, "adapterSalt"), value };
  }

  s.enter("nonzero");
  const inverse = s.inverse(assignment?.context ?? 0n, "inverse");
  s.row(s.combination().add(1, context), s.combination().add(1, inverse), s.combination(1));
  s.leave();
  yield { part: "context" };

  if (adapter && weights) {
    s.enter("committedAdapter");
    const packed = packIntegers(s, weights, adapter);
    const capacity = chainCapacity(ADAPTER_TAG, weights.wires.length, adapter);
    const elements = [...digestElements(digest).map(constant), ...packed];
    s.enter("chain");
    hashChain(s, capacity, adapterSalt, elements, adapterCommitment);
    s.leave();
    s.leave();
    yield { part: "adapter", node: 1 };
  }

  const commitments: Element[] = [];
  const outputs: Element[] = [];
  for (let k = 0; k < batch; k++) {
    s.enter("committedInput", k);
    const elements = packIntegers(s, inputs[k]!, input);
    s.enter("chain");
    const own = batch === 1 ? inputCommitment : undefined;
    commitments.push(hashChain(s, chainCapacity(INPUT_TAG, size, input), salts[k]!, elements, own));
    s.leave();
    s.alias(commitments[k]!.wire, "commitment");
    s.leave();
    yield { part: "input", node: 0 };

    s.enter("model", k);
    const values = yield* synthesiseGraph(s, circuit, inputs[k]!, weights, assignment?.executions[k]);
    s.leave();

    s.enter("packed", k);
    const only = batch === 1 ? outputWire : undefined;
    const direct = output.elements === 1;
    const { lane, perElement } = output;
    const packed = packElements(s, values, { offset: output.min, lane, perElement }, direct ? only : undefined);
    if (direct) outputs.push(packed[0]!);
    else {
      s.enter("chain");
      outputs.push(hashChain(s, chainCapacity(OUTPUT_TAG, output.count), constant(0n), packed, only));
      s.leave();
    }
    s.leave();
    yield { part: "output" };
  }
  if (batch === 1) {
    const { wire } = outputs[0]!;
    if (wire === outputWire) return undefined;
    s.alias(wire, "out");
    return wire;
  }
  batchDigest(s, "inputs", commitments, inputCommitment);
  batchDigest(s, "outputs", outputs, outputWire);
  yield { part: "batch" };
  return undefined;
}

/** One signal for the K of a batch. */
function batchDigest(s: Synthesis, name: string, signals: readonly Element[], out: number): void {
  s.enter(name);
  signals.forEach(({ wire }, k) => {
    s.alias(wire, "in", k);
  });
  s.enter("chain");
  hashChain(s, chainCapacity(BATCH_TAG, signals.length), constant(0n), signals, out);
  s.leave();
  s.leave();
}

/** Range checks, and elements of the integers less `lo`. */
function packIntegers(s: Synthesis, lanes: Lanes, { lo, bits }: IntegerRange): Element[] {
  s.enter("packed");
  for (let i = 0; i < lanes.wires.length; i++) {
    s.enter("range", i);
    rangeCheck(s, lanes, i, lo, bits);
    s.leave();
  }
  const elements = packElements(s, lanes, { offset: lo, ...packing(bits) });
  s.leave();
  return elements;
}

/** The nodes of the graph alone; @returns the last one's lanes */
export function* synthesiseGraph(
  s: Synthesis,
  { graph, facts, fixed }: Draft,
  input: Lanes,
  adapter: Lanes | undefined,
  execution: Execution | undefined,
): Generator<{ part: string; node: number }, Lanes> {
  const known: Lanes[] = [];
  for (const [id, node] of graph.nodes.entries()) {
    if (node.op === "input" || node.op === "adapter") {
      known.push(node.op === "input" ? input : adapter!);
      continue;
    }
    const values = execution?.values[id] ?? fixed[id]!;
    const out = { wires: new Int32Array(values.length), values };
    const name = componentName(graph, id);
    s.enter(name);
    const context = { ...facts[id]!, s, inputs: inputsOf(node).map((each) => known[each]!), out };
    gadgetOf(node).synthesise(context as NodeContext);
    s.leave();
    if (!s.valued) checkLanes(out, facts[id]!, id);
    nameLanes(s, out, `${name}.out`);
    known.push(out);
    yield { part: `node ${id} ${node.op}`, node: id };
  }
  const last = known.at(-1)!;
  nameLanes(s, last, "out");
  return last;
}

/** Name of a node's component: in alphabetical order as in the graph's. */
export function componentName(graph: ModelGraph, id: number): string {
  return `n${String(id).padStart(String(graph.nodes.length - 1).length, "0")}`;
}

function checkLanes({ wires }: Lanes, facts: NodeFacts, id: number): void {
  for (let lane = 0; lane < wires.length; lane++) {
    if (wires[lane] === ONE && !isFixed(facts.bounds, lane)) {
      throw new AnchorError(
        "INTERNAL",
        `the gadget of node ${id} (${facts.node.op}) leaves lane ${lane} without a wire`,
      );
    }
  }
}

function nameLanes(s: Synthesis, { wires }: Lanes, name: string): void {
  if (!s.writing) return;
  for (let lane = 0; lane < wires.length; lane++) s.alias(wires[lane]!, name, lane);
}

/**
 * Checks a request and runs the executor.
 *
 * @throws AnchorError `INPUT_INVALID`, `CONTEXT_ZERO`
 */
export function assign(circuit: Circuit, execute: Executor, request: InferenceRequest): Assignment {
  const { inferences, adapter, context } = request;
  assertScalar(context, "context");
  if (context === 0n) throw new AnchorError("CONTEXT_ZERO", "the context is zero; derive it from the statement");
  if (!Array.isArray(inferences) || inferences.length !== circuit.batch) {
    throw new AnchorError("INPUT_INVALID", `the circuit takes ${circuit.batch} inferences at once`);
  }
  for (const each of inferences as readonly unknown[]) {
    if (typeof each !== "object" || each === null) {
      throw new AnchorError("INPUT_INVALID", "an inference has an input and a salt");
    }
    assertScalar((each as { salt?: unknown }).salt, "salt");
  }
  if (adapter) assertScalar(adapter.salt, "the adapter's salt");
  const executions = inferences.map(({ input }) => execute(input, adapter?.weights));
  const weights = adapterOf(circuit.graph) ? executions[0]!.values[1]! : undefined;
  return {
    executions,
    salts: inferences.map(({ salt }) => salt),
    adapter: weights && { weights, salt: adapter!.salt },
    context,
  };
}

/**
 * The public signals that an honest proof of a request has, in the circuit's order, from executor and commitments alone.
 *
 * @throws AnchorError as {@link prepareCircuit} and {@link assign}
 */
export function publicSignals(graph: ModelGraph, request: InferenceRequest, options: CircuitOptions = {}): bigint[] {
  const circuit = prepareCircuit(graph, options);
  const { executions, salts, adapter, context } = assign(circuit, createExecutor(circuit.graph), request);
  const range = inputOf(circuit.graph);
  return [
    commitBatch(executions.map(({ output }) => packOutput(circuit.output, output))),
    commitBatch(executions.map(({ values }, k) => commitInput(range, values[0]!, salts[k]!))),
    ...(adapter ? [commitAdapter(circuit.graph, adapter.weights, adapter.salt)] : []),
    context,
  ];
}
