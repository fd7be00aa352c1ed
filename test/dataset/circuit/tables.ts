/** Small datasets whose chunks have as few records as circom can compile in a test, and the rows of their segments. */
import { expect } from "vitest";
import { findSecondWitness, singleMutations } from "../../../src/circuit/attack.js";
import { checkWitness, inputWires, rowHolds } from "../../../src/circuit/r1cs.js";
import { measureProgram, type Program, programWitness } from "../../../src/circuit/synthesis/program.js";
import type { CircuitInputs } from "../../../src/circuit/witness.js";
import { type ColumnRequest, datasetProgram, type RecordSegmentRequest } from "../../../src/dataset/circuit/index.js";
import { commitState, type Segment } from "../../../src/dataset/claims.js";
import type { OpenDataset } from "../../../src/dataset/dataset.js";
import {
  absorbRecord,
  chunkBlinds,
  type Description,
  hashNode,
  hashRoot,
  STARTS,
} from "../../../src/dataset/layout.js";
import {
  bytesRecord,
  type Cell,
  type Column,
  contentElements,
  describeRecord,
  schemaDigest,
} from "../../../src/dataset/record.js";
import { mod } from "../../../src/field/scalar.js";
import { fieldElements } from "../../circuits/inference/support.js";
import { witnessOf } from "../../model/circuit/support.js";
import { systemOf } from "./support.js";

export interface Row {
  readonly label?: string;
  readonly cells?: readonly Cell[];
}

/** A dataset of rows under a tree of height 1. @param records of a chunk */
export function table(rows: readonly Row[], columns: readonly Column[], records: number): OpenDataset {
  const all = rows.map(({ label = "", cells = [] }, i) => ({
    ...bytesRecord(Uint8Array.of(i)),
    label,
    cells,
  }));
  return tableOf(
    all.map((record) => describeRecord(record, columns)),
    columns,
    records,
    (index) => all[index]!,
  );
}

/** The description of a row. */
export function describedRow({ label = "", cells = [] }: Row, columns: readonly Column[] = []): Description {
  return describeRecord({ ...bytesRecord(new Uint8Array()), label, cells }, columns);
}

/** As {@link table}, of descriptions that no reader makes. */
export function tableOf(
  descriptions: readonly Description[],
  columns: readonly Column[],
  records: number,
  record: OpenDataset["record"] = () => bytesRecord(new Uint8Array()),
): OpenDataset {
  const seed = new Uint8Array(32).fill(7);
  const chunkRoots: bigint[] = [];
  for (let first = 0; first < descriptions.length; first += records) {
    const chunk = descriptions.slice(first, first + records);
    const blinds = chunkBlinds(seed, chunkRoots.length, chunk.length);
    chunkRoots.push(chunk.reduce((at, each, i) => absorbRecord(at, each, blinds[i]!), STARTS.chunk));
  }
  const totals = { records: descriptions.length, blocks: descriptions.length, values: descriptions.length };
  const opening = { depth: 1, top: hashNode(1, chunkRoots), totals, schema: schemaDigest(columns) };
  const commitment = { root: hashRoot(opening), opening, columns, bytes: 0, sha256: "0x" as const, blinded: true };
  return {
    commitment,
    chunkRoots,
    seed,
    descriptions: (first, count) => descriptions.slice(first, first + count),
    record,
    content: (index) => contentElements(record(index)),
    close() {},
  };
}

export const CONTEXT = 5n;

/** A whole request, as the engine of proof sets makes it. */
export function requestOf(segment: Segment, last = false): ColumnRequest {
  const { claim, before, after } = segment;
  const beforeSalt = before[0] === 0n ? 0n : 1000n + before[0]!;
  const afterSalt = last ? 99n : 1000n + after[0]!;
  const signals = { claim, before, after, beforeSalt, afterSalt, context: CONTEXT };
  return { ...(segment.request() as unknown as ColumnRequest), ...signals };
}

/** A request by the templates' names. */
export function inputsOf(request: ColumnRequest, records: number, rest?: number): CircuitInputs {
  const { root, claim, params, before, after, beforeSalt, afterSalt, descriptions, blinds, group, opening } = request;
  const filled = <T>(values: readonly T[], size: number, filler: T) =>
    Array.from({ length: size }, (_, i) => values[i] ?? filler);
  const zeros = new Array<bigint>(14).fill(0n);
  return {
    root,
    claim,
    before: commitState(before, beforeSalt),
    after: commitState(after, afterSalt),
    context: request.context,
    param: [...params],
    state: [...before],
    beforeSalt,
    afterSalt,
    description: filled(descriptions, records, zeros).flat(),
    blind: filled(blinds, records, 0n),
    group: group.flat(),
    opening: [...opening],
    ...(rest ? { cell: filled(request.cells, records, []).flatMap((each) => filled(each, 15 * rest, 0n)) } : {}),
  };
}

/** The rows of one of the circuits, and witnesses of any request. */
export class Rows {
  readonly #program;
  readonly #system;

  constructor(spec: Segment["spec"]) {
    this.#program = datasetProgram(spec);
    this.#system = systemOf(this.#program);
  }

  get r1cs() {
    return this.#system.r1cs;
  }

  get names() {
    return this.#system.names;
  }

  witness(request: RecordSegmentRequest): bigint[] {
    const program = this.#program as Program<RecordSegmentRequest>;
    return witnessOf(programWitness(program, measureProgram(program).wires, request));
  }

  /** Whether the rows take the witness, with these wires changed. */
  accepts(witness: readonly bigint[], changes: Readonly<Record<string, bigint>> = {}): boolean {
    return checkWitness(this.r1cs, this.#changed(witness, changes)) === -1;
  }

  /**
   * Nothing outside the hashes can be changed alone, and no search from there finds a second witness of the same inputs.
   * Hashes have tests of their own.
   */
  async expectFirm(witness: readonly bigint[]): Promise<void> {
    const hashed = new Set([...this.names].flatMap(([name, wire]) => (/\.hash\b|\.step\[/.test(name) ? [wire] : [])));
    const inputs = new Set(inputWires(this.r1cs));
    const wires = Array.from({ length: this.r1cs.wires - 1 }, (_, i) => i + 1).filter(
      (wire) => !hashed.has(wire) && !inputs.has(wire),
    );
    expect(wires.length).toBeGreaterThan(100);
    const options = { wires, random: fieldElements(1n) };
    expect(await singleMutations(this.r1cs, witness, options)).toEqual([]);
    expect(await findSecondWitness(this.r1cs, witness, options)).toBeUndefined();
  }

  /** How many rows do not. */
  violations(witness: readonly bigint[], changes: Readonly<Record<string, bigint>> = {}): number {
    const changed = this.#changed(witness, changes);
    let count = 0;
    for (let row = 0; row < this.r1cs.constraints; row++) if (!rowHolds(this.r1cs, changed, row)) count++;
    return count;
  }

  #changed(witness: readonly bigint[], changes: Readonly<Record<string, bigint>>): bigint[] {
    const changed = [...witness];
    for (const [name, value] of Object.entries(changes)) {
      const wire = this.names.get(`main.${name}`);
      if (wire === undefined) throw new Error(`no wire ${name}`);
      changed[wire] = mod(value);
    }
    return changed;
  }
}
