/**
 * Two constraint systems as one: what circom makes of the text against what we write ourselves.
 *
 * Wires are matched by name. Then rows are compared as sets with multiplicity, each in a canonical form: a row
 * `A · B = C` says the same when A and B change places, and when A, B and C are scaled by a, b and ab; a row whose A or B
 * is a constant is a linear one. Nothing else is forgiven: no row more or less, no other coefficient.
 */
import { readFile } from "node:fs/promises";
import { binFile, integer, littleEndian, uint32 } from "../../../src/circuit/binfile.js";
import { type CompiledCircuit, compileCircuit } from "../../../src/circuit/compile.js";
import { checkWitness, type R1cs, readR1cs, type SparseMatrix } from "../../../src/circuit/r1cs.js";
import { RowWriter } from "../../../src/circuit/synthesis/rows.js";
import { Counter, type Lanes, type Synthesis } from "../../../src/circuit/synthesis/synthesis.js";
import { Inverses, ValueWriter } from "../../../src/circuit/synthesis/values.js";
import { type CircuitInputs, calculateWitness } from "../../../src/circuit/witness.js";
import { concat } from "../../../src/field/bytes.js";
import { invert, mod, R } from "../../../src/field/scalar.js";
import { bitLength, type ValueBounds } from "../../../src/model/bounds.js";
import type { NodeFacts } from "../../../src/model/circuit/gadget.js";
import { gadgetOf } from "../../../src/model/circuit/gadgets.js";
import { type Circuit, prepareCircuit, synthesiseGraph } from "../../../src/model/circuit/statement.js";
import { modelTemplate, parameterList } from "../../../src/model/circuit/text.js";
import { type Execution, execute } from "../../../src/model/execute.js";
import { adapterOf, adapterSize, inputSize, type ModelGraph } from "../../../src/model/graph.js";

export interface NamedSystem {
  readonly r1cs: R1cs;
  /** Wire of every name; several names may be one wire's. */
  readonly names: ReadonlyMap<string, number>;
}

export interface CompiledSystem extends NamedSystem {
  witness(inputs: CircuitInputs): Promise<bigint[]>;
}

export async function compile(name: string, source: string): Promise<CompiledSystem> {
  const compiled = await compileCircuit({ name, source, optimisation: 1 });
  const wasm = await WebAssembly.compile(await readFile(compiled.wasmPath));
  return { ...(await compiledSystem(compiled)), witness: (inputs) => calculateWitness(wasm, inputs) };
}

/** What circom has made. */
export async function compiledSystem({ r1csPath, symPath }: CompiledCircuit): Promise<NamedSystem> {
  const names = new Map<string, number>();
  for (const line of (await readFile(symPath, "utf8")).trim().split("\n")) {
    const [, wire, , signal] = line.split(",");
    if (wire !== "-1") names.set(signal!, Number(wire));
  }
  return { r1cs: readR1cs(await readFile(r1csPath)), names };
}

/**
 * Holds circom's system against ours.
 *
 * @returns for each of circom's wires, ours
 * @throws with the first rows that only one of them has
 */
export function expectSameSystem(circom: NamedSystem, own: NamedSystem): number[] {
  const ours: number[] = [0];
  for (const [name, wire] of circom.names) {
    const found = own.names.get(name);
    if (found === undefined) throw new Error(`circom has a wire ${name}, we have none of that name`);
    ours[wire] = found;
  }
  if (new Set(ours).size !== circom.r1cs.wires) throw new Error("two of circom's wires are one of ours");
  const publics = circom.r1cs.publicOutputs + circom.r1cs.publicInputs;
  if (publics !== own.r1cs.publicOutputs + own.r1cs.publicInputs) throw new Error("other public signals");
  for (let i = 0; i <= publics; i++) if (ours[i] !== i) throw new Error(`public signal ${i} stands elsewhere`);

  const left = count(canonicalRows(circom.r1cs, ours));
  const right = count(canonicalRows(own.r1cs));
  const named = new Map([...own.names].map(([name, wire]) => [String(wire), name]));
  const readable = (row: string) => row.replace(/w(\d+)/g, (_, wire: string) => named.get(wire) ?? `wire ${wire}`);
  const only = (a: Map<string, number>, b: Map<string, number>) =>
    [...a].filter(([row, times]) => (b.get(row) ?? 0) < times).map(([row]) => readable(row));
  const [circomOnly, ownOnly] = [only(left, right), only(right, left)];
  if (circomOnly.length + ownOnly.length > 0 || circom.r1cs.constraints !== own.r1cs.constraints) {
    throw new Error(
      `${circom.r1cs.constraints} rows of circom, ${own.r1cs.constraints} of ours\ncircom only:\n${circomOnly
        .slice(0, 4)
        .join("\n")}\nours only:\n${ownOnly.slice(0, 4).join("\n")}`,
    );
  }
  return ours;
}

/** Every wire of circom's witness has the same value in ours, and ours satisfies our rows. */
export function expectSameWitness(
  circom: readonly bigint[],
  own: readonly bigint[],
  ours: readonly number[],
  r1cs: R1cs,
): void {
  circom.forEach((value, wire) => {
    if (own[ours[wire]!] !== value) throw new Error(`wire ${ours[wire]} is ${own[ours[wire]!]}, circom says ${value}`);
  });
  const row = checkWitness(r1cs, own);
  if (row !== -1) throw new Error(`our witness violates row ${row}`);
}

/** Values of a `.wtns` file. */
export function witnessOf(file: Uint8Array): bigint[] {
  const wires = (file.length - 76) / 32;
  return Array.from({ length: wires }, (_, i) => integer(file.subarray(76 + 32 * i, 108 + 32 * i)));
}

function count(rows: string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const row of rows) counts.set(row, (counts.get(row) ?? 0) + 1);
  return counts;
}

type Form = Map<number, bigint>;

function canonicalRows({ constraints, a, b, c }: R1cs, place?: readonly number[]): string[] {
  const read = ({ start, wire, coefficient }: SparseMatrix, row: number): Form => {
    const form: Form = new Map();
    for (let i = start[row]!; i < start[row + 1]!; i++) {
      const own = place ? place[wire[i]!]! : wire[i]!;
      const value = mod((form.get(own) ?? 0n) + coefficient[i]!);
      if (value === 0n) form.delete(own);
      else form.set(own, value);
    }
    return new Map([...form].sort(([x], [y]) => x - y));
  };
  return Array.from({ length: constraints }, (_, row) => {
    const [left, right, result] = [read(a, row), read(b, row), read(c, row)];
    if (isConstant(left) || isConstant(right)) {
      const [factor, other] = isConstant(left) ? [left, right] : [right, left];
      for (const [wire, value] of other) {
        const sum = mod((result.get(wire) ?? 0n) - (factor.get(0) ?? 0n) * value);
        if (sum === 0n) result.delete(wire);
        else result.set(wire, sum);
      }
      const sorted = new Map([...result].sort(([x], [y]) => x - y));
      return `0 = ${text(sorted, leadingInverse(sorted))}`;
    }
    const [x, y] = [leadingInverse(left), leadingInverse(right)];
    const sides = [text(left, x), text(right, y)].sort();
    return `(${sides[0]}) (${sides[1]}) = ${text(result, mod(x * y))}`;
  });
}

const isConstant = (form: Form) => form.size === 0 || (form.size === 1 && form.has(0));

const inverses = new Map<bigint, bigint>();
function leadingInverse(form: Form): bigint {
  for (const [wire, value] of form) {
    if (wire === 0 && form.size > 1) continue; // of the first wire, not of the constant
    const known = inverses.get(value);
    if (known !== undefined) return known;
    const inverse = invert(value);
    inverses.set(value, inverse);
    return inverse;
  }
  return 1n;
}

function text(form: Form, scale: bigint): string {
  const signed = (value: bigint) => (value > R / 2n ? value - R : value);
  return [...form].map(([wire, value]) => `${signed(mod(value * scale))} w${wire}`).join(" + ");
}

/** Bounds of a value by lanes. */
export function boundsOf(op: ValueBounds["op"], min: readonly number[], max: readonly number[]): ValueBounds {
  const hull = { min: Math.min(...min), max: Math.max(...max) };
  const bits = 1 + Math.max(bitLength(Math.max(0, hull.max)), bitLength(hull.min < 0 ? -hull.min - 1 : 0));
  return { op, min: Int32Array.from(min), max: Int32Array.from(max), hull, bits };
}

/** A graph without the statement around it, whose hashes take circom seconds: its template, and its gadgets. */
export class LoneGraph {
  readonly #circuit: Circuit;

  constructor(graph: ModelGraph) {
    this.#circuit = prepareCircuit(graph);
  }

  source(): string {
    const { graph } = this.#circuit;
    const { files, lines } = modelTemplate(this.#circuit);
    return [
      "pragma circom 2.2.3;",
      ...[...files].map((file) => `include "${file}";`),
      ...lines,
      "template Main() {",
      `signal input in[${inputSize(graph)}];`,
      ...(adapterOf(graph) ? [`signal input adapter[${adapterSize(graph)}];`] : []),
      "component model = Model();",
      "model.in <== in;",
      ...(adapterOf(graph) ? ["model.adapter <== adapter;"] : []),
      "}",
      "component main = Main();",
      "",
    ].join("\n");
  }

  rows(): NamedSystem {
    return writeRows((s) => this.#run(s));
  }

  witness(execution: Execution): bigint[] {
    return writeValues((s, valued) => this.#run(s, valued ? execution : undefined));
  }

  #run(s: Synthesis, execution?: Execution): void {
    const { graph, fixed } = this.#circuit;
    const lanes = (id: number, name: string): Lanes => {
      const values = execution?.values[id] ?? fixed[id]!;
      return { wires: Int32Array.from(values, (value, i) => s.wire(value, name, i)), values };
    };
    const input = lanes(0, "in");
    const adapter = adapterOf(graph) ? lanes(1, "adapter") : undefined;
    s.enter("model");
    for (const _ of synthesiseGraph(s, this.#circuit, input, adapter, execution));
    s.leave();
  }
}

/** Rows of what a function synthesises into a main component. */
function writeRows(run: (s: Synthesis) => void): NamedSystem {
  const counter = new Counter();
  run(counter);
  const pieces: Uint8Array[] = [];
  const writer = new RowWriter(counter.wires, NO_ALIAS, (piece) => pieces.push(piece), "main");
  run(writer);
  writer.end();
  if (counter.wires !== writer.wires || counter.rows !== writer.rows) throw new Error("counted and written differ");
  const header = [uint32(32), littleEndian(R), uint32(writer.wires), new Uint8Array(20), uint32(writer.rows)];
  const file = binFile("r1cs", 1, [
    [1, concat(...header)],
    [2, concat(...pieces)],
    [3, new Uint8Array(8 * writer.wires)],
  ]);
  return { r1cs: readR1cs(file), names: writer.names! };
}

function writeValues(run: (s: Synthesis, valued: boolean) => void): bigint[] {
  const counter = new Counter();
  run(counter, false);
  const writer = new ValueWriter(counter.wires, NO_ALIAS, new Inverses());
  run(writer, true);
  return witnessOf(writer.file);
}

/** One node alone: its template with private inputs, and its gadget. */
export class LoneNode {
  readonly #facts: NodeFacts;
  readonly #lengths: number[];

  constructor(facts: NodeFacts) {
    this.#facts = facts;
    this.#lengths = facts.inputBounds.map(({ min }) => min.length);
  }

  get #gadget() {
    return gadgetOf(this.#facts.node as Parameters<typeof gadgetOf>[0]);
  }

  source(): string {
    const { file, template, parameters } = this.#gadget.instance(this.#facts);
    const { constants, values } = parameterList("node", parameters);
    const ports =
      this.#gadget.ports.length === 1
        ? [["in", this.#lengths.reduce((a, b) => a + b)]]
        : this.#lengths.map((n, i) => ["ab"[i], n]);
    return [
      "pragma circom 2.2.3;",
      `include "${file}";`,
      ...constants,
      "template Main() {",
      ...ports.map(([port, length]) => `signal input ${port}[${length}];`),
      `component node = ${template}(${values.join(", ")});`,
      ...ports.map(([port]) => `node.${port} <== ${port};`),
      "}",
      "component main = Main();",
      "",
    ].join("\n");
  }

  inputs(values: readonly (readonly number[])[]): CircuitInputs {
    const reduced = values.map((each) => each.map((value) => mod(BigInt(value))));
    return this.#gadget.ports.length === 1 ? { in: reduced.flat() } : { a: reduced[0]!, b: reduced[1]! };
  }

  rows(): NamedSystem {
    return writeRows((s) => this.#run(s));
  }

  /** @param out what the node gives for these inputs */
  witness(values: readonly (readonly number[])[], out: readonly number[]): bigint[] {
    return writeValues((s, valued) => (valued ? this.#run(s, values, out) : this.#run(s)));
  }

  #run(s: Synthesis, values?: readonly (readonly number[])[], result?: readonly number[]): void {
    const { bounds, inputBounds } = this.#facts;
    const ports = this.#gadget.ports;
    let at = 0;
    const inputs = inputBounds.map(({ min }, i): Lanes => {
      const wires = Int32Array.from(min, (_, lane) => {
        const value = values?.[i]?.[lane] ?? 0;
        return s.wire(value, ports.length === 1 ? "in" : ports[i]!, ports.length === 1 ? at + lane : lane);
      });
      at += min.length;
      return { wires, values: Int32Array.from(values?.[i] ?? min.map(() => 0)) };
    });
    const fixed = bounds.min.map((value, lane) => (value === bounds.max[lane] ? value : 0));
    const out = { wires: new Int32Array(fixed.length), values: result ? Int32Array.from(result) : fixed };
    s.enter("node");
    this.#gadget.synthesise({ ...this.#facts, s, inputs, out });
    s.leave();
    out.wires.forEach((wire, lane) => {
      s.alias(wire, "node.out", lane);
    });
  }
}

const NO_ALIAS = { alias: undefined, output: 1 };

/** Compiles a node's template, and holds its gadget against it: rows, and witnesses of the given inputs. */
export async function expectTwin(
  facts: NodeFacts,
  cases: readonly (readonly (readonly number[])[])[],
  evaluate: (...values: readonly (readonly number[])[]) => readonly number[],
): Promise<{ rows: number }> {
  const node = new LoneNode(facts);
  const circom = await compile(facts.node.op, node.source());
  const own = node.rows();
  const ours = expectSameSystem(circom, own);
  for (const values of cases) {
    const witness = node.witness(values, evaluate(...values));
    expectSameWitness(await circom.witness(node.inputs(values)), witness, ours, own.r1cs);
  }
  return { rows: own.r1cs.constraints };
}

/** As {@link expectTwin}, of a whole graph without the statement around it. */
export async function expectTwinGraph(
  graph: ModelGraph,
  cases: readonly { readonly input: number[]; readonly adapter?: number[] }[],
): Promise<{ rows: number }> {
  const lone = new LoneGraph(graph);
  const circom = await compile("graph", lone.source());
  const own = lone.rows();
  const ours = expectSameSystem(circom, own);
  const scalars = (values: readonly number[]) => values.map((value) => mod(BigInt(value)));
  for (const { input, adapter } of cases) {
    const inputs = { in: scalars(input), ...(adapter ? { adapter: scalars(adapter) } : {}) };
    expectSameWitness(await circom.witness(inputs), lone.witness(execute(graph, input, adapter)), ours, own.r1cs);
  }
  return { rows: own.r1cs.constraints };
}
