import { beforeAll, describe, expect, it } from "vitest";
import { rowHolds, rowsOfWires } from "../../../src/circuit/r1cs.js";
import { datasetChunkCircuit } from "../../../src/dataset/circuit.js";
import {
  CHUNK_ELEMENTS,
  type CommittedDataset,
  chunkWitness,
  commitStream,
  TAGS,
} from "../../../src/dataset/commitment.js";
import { poseidon16 } from "../../../src/field/poseidon.js";
import { bit, fieldElements, Gadget, R } from "../inference/support.js";
import { forge, violatesNear, wiresOfRow } from "../lib/forge.js";

const CONTEXT = 0x1234567890abcdefn;

/** A stream of this many elements, none of them zero. */
function stream(elements: number): Uint8Array {
  return Uint8Array.from({ length: 31 * elements }, (_, i) => 1 + ((i * 2654435761) % 255));
}

type Claim = Record<"root" | "index" | "count" | "context", bigint> &
  Record<"element" | "blind" | "group" | "header", bigint[]>;

function claimOf(dataset: CommittedDataset, index: number): Claim {
  const { group, ...rest } = chunkWitness(dataset, index);
  return { ...rest, group: group.flat(), context: CONTEXT };
}

/** The root that a claim has, hashed by the layout that src/dataset/commitment.ts documents. */
function rootOf(
  { element, blind, count, index, group, header }: Claim,
  capacity = TAGS.chunk + (count << 64n),
): { root: bigint; chunk: bigint } {
  const leaves = blind.map((value, i) => poseidon16(TAGS.leaf, [...element.slice(15 * i, 15 * i + 15), value]));
  const chunk = poseidon16(capacity, leaves);
  const depth = group.length / 16;
  let at = chunk;
  for (let level = 0; level < depth; level++) {
    const children = group.slice(16 * level, 16 * level + 16);
    children[Number((index >> BigInt(4 * level)) & 15n)] = at;
    at = poseidon16(TAGS.node + (BigInt(level + 1) << 64n), children);
  }
  const root = poseidon16(TAGS.root + (BigInt(depth) << 64n), [at, ...header, ...new Array<bigint>(11).fill(0n)]);
  return { root, chunk };
}

describe("DatasetChunk(1)", () => {
  let gadget: Gadget;
  let dataset: CommittedDataset;
  let partial: Claim;
  let honest: bigint[];
  const random = fieldElements(31n);
  const PARTIAL = 70;

  beforeAll(async () => {
    const { name, source } = datasetChunkCircuit(1);
    gadget = await Gadget.compile(name, source);
    dataset = await commitStream(stream(2 * CHUNK_ELEMENTS + PARTIAL), 3, { seed: new Uint8Array(32).fill(7) });
    partial = claimOf(dataset, 2);
    honest = await gadget.honest(partial);
  });

  /** All that a prover chooses; the rows determine the rest. `free` leaves the root to be solved. */
  function forged(claim: Claim, change: { hot?: number; bits?: bigint; free?: "root" } = {}) {
    const fixed = new Map<number, bigint>();
    const put = (wires: number[], values: readonly bigint[]) => {
      expect(wires).toHaveLength(values.length);
      for (const [i, wire] of wires.entries()) fixed.set(wire, values[i]!);
    };
    for (const name of ["index", "count", "context"] as const) put([gadget.wire(name)], [claim[name]]);
    if (change.free !== "root") put([gadget.wire("root")], [claim.root]);
    for (const name of ["element", "blind", "group", "header"] as const) {
      put(gadget.wiresLike(new RegExp(`^${name}\\[`)), claim[name]);
    }
    const bits = change.bits ?? claim.index;
    put(
      gadget.wiresLike(/\.bits\[/),
      [0, 1, 2, 3].map((i) => bit(bits, i)),
    );
    const hot = change.hot ?? Number(claim.count);
    put(
      gadget.wiresLike(/\.here\[/),
      Array.from({ length: CHUNK_ELEMENTS + 1 }, (_, i) => (i === hot ? 1n : 0n)),
    );
    // Hints of NonZero: solved from their rows, but for zero, which has none.
    for (const name of ["count", "context"] as const) if (claim[name] === 0n) put([inverseOf(name)], [1n]);
    const { violated } = forge(gadget.r1cs, fixed);
    return violated;
  }

  function inverseOf(name: "count" | "context"): number {
    const inverses = gadget.wiresLike(/\.inverse$/);
    expect(inverses).toHaveLength(2);
    const rows = rowsOfWires(gadget.r1cs)[gadget.wire(name)]!;
    const found = new Set(
      rows.flatMap((row) => wiresOfRow(gadget.r1cs, row)).filter((wire) => inverses.includes(wire)),
    );
    expect(found.size).toBe(1);
    return [...found][0]!;
  }

  it("has 12,172 rows, nearly all of them hashing", () => {
    expect(gadget.rows).toBe(12_172);
    expect(gadget.rows - 19 * 613).toBeLessThan(530);
  });

  it.each([0, 1, 2])("accepts chunk %i under the root that TypeScript computes", async (index) => {
    const claim = claimOf(dataset, index);
    expect(claim.root).toBe(dataset.commitment.root);
    expect(rootOf(claim)).toEqual({ root: dataset.commitment.root, chunk: dataset.chunkRoots[index] });
    const witness = await gadget.honest(claim);
    expect(gadget.violation(witness)).toBe(-1);
    // Public signals, in the order that statements rebuild them.
    expect(witness.slice(1, 5)).toEqual([claim.root, BigInt(index), claim.count, CONTEXT]);
    expect(claim.count).toBe(index === 2 ? BigInt(PARTIAL) : 240n);
  });

  it("accepts an unblinded dataset and a single element", async () => {
    const tiny = await commitStream(stream(1), 1);
    expect(gadget.violation(await gadget.honest(claimOf(tiny, 0)))).toBe(-1);
  });

  it("lets no wire change, inputs included, while the others stay", () => {
    const rows = rowsOfWires(gadget.r1cs);
    const copy = [...honest];
    const loose: number[] = [];
    for (let wire = 1; wire < copy.length; wire++) {
      copy[wire] = (honest[wire]! + 1n) % R;
      if (rows[wire]!.every((row) => rowHolds(gadget.r1cs, copy, row))) loose.push(wire);
      copy[wire] = honest[wire]!;
    }
    expect(loose).toEqual([]);
    expect(gadget.looseWires(honest, random)).toEqual([]);
  });

  it("is determined by its inputs and hints: solving the rows finds the honest witness", () => {
    expect(forged(partial)).toEqual([]);
    expect(forged(partial, { free: "root" })).toEqual([]);
  });

  it("refuses other data, blinds, siblings and totals under the committed root, with everything else re-solved", async () => {
    const change = (name: "element" | "blind" | "group" | "header", edit: (values: bigint[]) => void): Claim => {
      const values = [...partial[name]];
      edit(values);
      return { ...partial, [name]: values };
    };
    const swap = (from: number, to: number, length: number) => (values: bigint[]) => {
      for (let i = 0; i < length; i++) [values[from + i], values[to + i]] = [values[to + i]!, values[from + i]!];
    };
    const attacks: Record<string, Claim> = {
      element: change("element", (v) => (v[3] = v[3]! + 1n)),
      "two elements swapped": change("element", swap(0, 1, 1)),
      "two leaves swapped": change("element", swap(0, 15, 15)),
      blind: change("blind", (v) => (v[15] = 0n)),
      sibling: change("group", (v) => (v[0] = v[1]!)),
      "an extra chunk": change("group", (v) => (v[3] = 1n)),
      records: change("header", (v) => (v[0] = v[0]! + 1n)),
      "elements and bytes swapped": change("header", swap(1, 3, 1)),
      "a padding element claimed as real": { ...partial, count: partial.count + 1n },
      "a real element claimed as padding": { ...partial, count: partial.count - 1n },
    };
    for (const [name, attack] of Object.entries(attacks)) {
      const { root, chunk } = rootOf(attack);
      expect(root, name).not.toBe(partial.root);
      // With the new chunk at its place in its group and under the root that it then has, it is an honest claim of
      // another dataset (but for the padding, which is refused in any)…
      const group = attack.group.map((value, i) => (i === 2 ? chunk : value));
      const own = forged({ ...attack, group, root });
      expect(own.length > 0, name).toBe(name === "a real element claimed as padding");
      // …and under the committed root it is none, with the old group or the new.
      expect(forged({ ...attack, group }), name).not.toEqual([]);
      expect(forged(attack), name).not.toEqual([]);
    }
  });

  it("refuses another position, by the digit that it selects", async () => {
    // The chunk is real, the root is real, the index is not.
    for (const index of [0n, 1n, 3n, 15n]) {
      expect(forged({ ...partial, index })).not.toEqual([]);
      expect(forged({ ...partial, index }, { bits: 2n })).toHaveLength(1);
    }
  });

  it("refuses an index outside the tree, even with a root to suit", () => {
    const [wire, digits] = [gadget.wire("index"), gadget.wiresLike(/\.bits\[/)];
    for (const index of [16n, 17n, R - 1n]) {
      for (let bits = 0n; bits < 16n; bits++) {
        const witness = gadget.with(honest, [[wire, index], ...digits.map((at, i) => [at, bit(bits, i)] as const)]);
        expect(violatesNear(gadget.r1cs, witness, [wire, ...digits])).toBe(true);
      }
      const [row, ...more] = forged({ ...partial, index }, { bits: 2n, free: "root" });
      expect(more).toEqual([]);
      expect(wiresOfRow(gadget.r1cs, row!)).toContain(wire);
    }
  });

  it("refuses data beyond the count, even with a root to suit", () => {
    for (const at of [PARTIAL, PARTIAL + 1, CHUNK_ELEMENTS - 1]) {
      const element = partial.element.map((value, i) => (i === at ? 5n : value));
      const attack = { ...partial, element };
      const { chunk } = rootOf(attack);
      const group = partial.group.map((value, i) => (i === 2 ? chunk : value));
      // Nothing but the padding rule stands in the way: exactly its row is violated.
      const [row, ...more] = forged({ ...attack, group }, { free: "root" });
      expect(more).toEqual([]);
      expect(wiresOfRow(gadget.r1cs, row!)).toContain(gadget.wire(`element[${at}]`));
      // Another hint moves the violation and never removes it.
      for (const hot of [0, at, at + 1, CHUNK_ELEMENTS]) {
        expect(forged({ ...attack, group }, { hot, free: "root" })).not.toEqual([]);
      }
    }
  });

  it("refuses a count above 240, even with a root to suit", () => {
    for (const count of [241n, R - 1n, (1n << 64n) + 5n]) {
      const attack = { ...partial, count };
      const capacity = (TAGS.chunk + (count << 64n)) % R;
      const { chunk } = rootOf(attack, capacity);
      const group = partial.group.map((value, i) => (i === 2 ? chunk : value));
      // No hint is hot where none may be: the one violated row is the sum of the hints.
      expect(forged({ ...attack, group }, { hot: -1, free: "root" })).toHaveLength(1);
      for (const hot of [0, 240]) expect(forged({ ...attack, group }, { hot, free: "root" })).not.toEqual([]);
    }
  });

  it("refuses context 0, and nothing else for it", () => {
    const [row, ...more] = forged({ ...partial, context: 0n });
    expect(more).toEqual([]);
    expect(wiresOfRow(gadget.r1cs, row!)).toContain(gadget.wire("context"));
    const [context, inverse] = [gadget.wire("context"), inverseOf("context")];
    for (const value of [0n, 1n, R - 1n, random()]) {
      const witness = gadget.with(honest, [
        [context, 0n],
        [inverse, value],
      ]);
      expect(rowHolds(gadget.r1cs, witness, row!)).toBe(false);
    }
  });

  it("refuses an empty chunk, even with a root to suit", () => {
    // All padding: the rule about zeros and the hashes hold, so that the one violated row is the count's own.
    const attack = { ...partial, count: 0n, element: new Array<bigint>(CHUNK_ELEMENTS).fill(0n) };
    const { chunk } = rootOf(attack);
    const group = partial.group.map((value, i) => (i === 2 ? chunk : value));
    const [row, ...more] = forged({ ...attack, group }, { free: "root" });
    expect(more).toEqual([]);
    expect(wiresOfRow(gadget.r1cs, row!)).toEqual(expect.arrayContaining([gadget.wire("count"), inverseOf("count")]));
  });
});

describe("DatasetChunk(2)", () => {
  let gadget: Gadget;

  beforeAll(async () => {
    const { name, source } = datasetChunkCircuit(2);
    gadget = await Gadget.compile(name, source);
  });

  it("accepts chunks of a dataset of seventeen", async () => {
    const dataset = await commitStream(stream(16 * CHUNK_ELEMENTS + 1), 1);
    expect(dataset.commitment.depth).toBe(2);
    for (const index of [0, 15, 16]) {
      const claim = claimOf(dataset, index);
      expect(claim.count).toBe(index === 16 ? 1n : 240n);
      expect(rootOf(claim).root).toBe(claim.root);
      const witness = await gadget.honest(claim);
      expect(gadget.violation(witness)).toBe(-1);
      expect(witness.slice(1, 5)).toEqual([claim.root, BigInt(index), claim.count, CONTEXT]);
      for (const wire of [1, 2, 3, 4]) {
        expect(gadget.violation(gadget.with(witness, [[wire, witness[wire]! + 1n]]))).not.toBe(-1);
      }
    }
  });

  it("accepts no root of another height", async () => {
    const flat = await commitStream(stream(CHUNK_ELEMENTS), 1);
    const claim = claimOf(flat, 0);
    const raised = { ...claim, group: [...claim.group, poseidon16(TAGS.node + (1n << 64n), claim.group)] };
    while (raised.group.length < 32) raised.group.push(0n);
    // The same tree with a level on top has a root of its own, and not that of the lower tree.
    const witness = await gadget.honest({ ...raised, root: rootOf(raised).root });
    expect(gadget.violation(witness)).toBe(-1);
    const root = gadget.wire("root");
    expect(violatesNear(gadget.r1cs, gadget.with(witness, [[root, claim.root]]), [root])).toBe(true);
  });
});
