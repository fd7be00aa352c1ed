/**
 * Attacks on the chunk's circuit, with three records a chunk. Rows are those of the TypeScript program, which
 * test/dataset/circuit/chunk.test.ts holds equal to circom's.
 */
import { describe, expect, it } from "vitest";
import { checkDeterminism } from "../../../src/circuit/determinism.js";
import { checkWitness, rowHolds, rowsOfWires } from "../../../src/circuit/r1cs.js";
import { measureProgram, programWitness } from "../../../src/circuit/synthesis/program.js";
import { type ChunkRequest, chunkProgram } from "../../../src/dataset/circuit/records.js";
import { absorbRecord, type Description, hashNode, hashRoot, STARTS } from "../../../src/dataset/layout.js";
import { systemOf } from "../../dataset/circuit/support.js";
import { witnessOf } from "../../model/circuit/support.js";
import { bit, fieldElements, R } from "../inference/support.js";
import { forge, wiresOfRow } from "../lib/forge.js";

const SLOTS = 3;
const PROGRAM = chunkProgram({ records: SLOTS, depth: 1 });
const { r1cs, names } = systemOf(PROGRAM);
const random = fieldElements(31n);

const descriptions = (count: number): Description[] =>
  Array.from({ length: count }, () => Array.from({ length: 14 }, random));

/** A chunk of the dataset that has as many records before it as there can be, and `after` behind it. */
function chunkOf(
  records: readonly Description[],
  index: number,
  after = 0,
  blinds = records.map(random),
): ChunkRequest {
  const chunk = records.reduce((at, each, i) => absorbRecord(at, each, blinds[i]!), STARTS.chunk);
  const group = Array.from({ length: 16 }, (_, i) => (i === index ? chunk : i < index ? BigInt(i + 5) : 0n));
  const total = SLOTS * index + records.length + after;
  return withRoot({
    ...{ root: 0n, index: BigInt(index), descriptions: records, blinds, group: [group] },
    ...{ opening: [BigInt(total), 40n, 5000n, 9n], context: 0x1234567890abcdefn },
  });
}

/** Under the root that the path and the opening give. */
function withRoot(request: ChunkRequest): ChunkRequest {
  const [records, blocks, values, schema] = request.opening as [bigint, bigint, bigint, bigint];
  const totals = { records: Number(records), blocks: Number(blocks), values: Number(values) };
  return { ...request, root: hashRoot({ depth: 1, top: hashNode(1, request.group[0]!), totals, schema }) };
}

interface Choice {
  /** What the slots hold; the request's records, then zeros, unless told. */
  slots?: readonly Description[];
  count?: bigint;
  real?: readonly bigint[];
  bits?: bigint;
  free?: "root";
}

/** Wires of all signals of a name in the template, by their place. */
function wiresLike(pattern: RegExp): number[] {
  const key = (name: string) => name.replace(/\d+/g, (digits) => digits.padStart(4, "0"));
  return [...names]
    .filter(([name]) => pattern.test(name))
    .sort(([a], [b]) => (key(a) < key(b) ? -1 : 1))
    .map(([, wire]) => wire);
}

const wire = (name: string) => names.get(`main.${name}`)!;
const DIGITS = [...new Set(wiresLike(/digits\.out\[/))];
/** Bits of the number of records behind the chunk, the highest left out. */
const OTHERS = [...new Set(wiresLike(/^main\.chunk\.others\.bits\[/))];

/** Rows that remain violated when everything that the prover does not choose is solved. */
function violated(request: ChunkRequest, choice: Choice = {}): number[] {
  const { slots = request.descriptions, count = BigInt(request.descriptions.length) } = choice;
  const real = choice.real ?? Array.from({ length: SLOTS }, (_, i) => (BigInt(i) < count ? 1n : 0n));
  const others = request.opening[0]! - BigInt(SLOTS) * request.index - count;
  const pad = <T>(values: readonly T[], zero: T) => [...values, ...new Array<T>(SLOTS - values.length).fill(zero)];
  const given: [wires: number[], values: readonly bigint[]][] = [
    [
      [wire("index"), wire("count"), wire("context")],
      [request.index, count, request.context],
    ],
    [wiresLike(/^main\.description\[/), pad(slots, new Array<bigint>(14).fill(0n)).flat()],
    [wiresLike(/^main\.blind\[/), pad(request.blinds, 0n)],
    [wiresLike(/^main\.group\[/), request.group.flat()],
    [wiresLike(/^main\.opening\[/), request.opening],
    [wiresLike(/^main\.chunk\.real\[[1-9]/), real.slice(1)],
    [DIGITS, [0, 1, 2, 3].map((i) => bit(choice.bits ?? request.index, i))],
    [OTHERS, OTHERS.map((_, i) => bit(others < 0n ? others + R : others, i))],
  ];
  if (choice.free !== "root") given.push([[wire("root")], [request.root]]);
  if (request.context === 0n) given.push([[wire("bound.inverse")], [1n]]);
  const fixed = new Map<number, bigint>();
  for (const [wires, values] of given) {
    expect(wires).toHaveLength(values.length);
    for (const [i, at] of wires.entries()) fixed.set(at, values[i]!);
  }
  return forge(r1cs, fixed).violated;
}

const full = chunkOf(descriptions(3), 2, 7);
const last = chunkOf(descriptions(2), 4);

describe("DatasetChunk", () => {
  it("is determined by its inputs", async () => {
    const { left, unusedInputs } = await checkDeterminism(r1cs);
    expect(left).toEqual([]);
    expect(unusedInputs).toEqual([]);
    for (const honest of [full, last, chunkOf(descriptions(1), 0), chunkOf(descriptions(3), 15)]) {
      expect(violated(honest)).toEqual([]);
      expect(violated(honest, { free: "root" })).toEqual([]);
    }
  });

  it("lets no wire change, inputs included, while the others stay", () => {
    const rows = rowsOfWires(r1cs);
    const witness = witnessOf(programWitness(PROGRAM, measureProgram(PROGRAM).wires, full));
    expect(checkWitness(r1cs, witness)).toBe(-1);
    const loose = rows.flatMap((of, at) => {
      if (at === 0) return [];
      const copy = [...witness];
      copy[at] = (witness[at]! + 1n) % R;
      return of.every((row) => rowHolds(r1cs, copy, row)) ? [at] : [];
    });
    expect(loose).toEqual([]);
  });

  it("refuses other records, blinds, siblings and totals under the committed root, with everything else solved again", () => {
    const [a, b, c] = full.descriptions as [Description, Description, Description];
    const [x, y, z] = full.blinds as [bigint, bigint, bigint];
    const relabelled = b.map((value, i) => (i === 5 ? value + 1n : value));
    const attacks: Record<string, Partial<ChunkRequest>> = {
      "another content": { descriptions: [a.map((value, i) => (i === 6 ? value + 1n : value)), b, c] },
      "another label": { descriptions: [a, relabelled, c] },
      "two records exchanged": { descriptions: [b, a, c] },
      "two records exchanged, with their blinds": { descriptions: [b, a, c], blinds: [y, x, z] },
      "a record dropped": { descriptions: [a, c], blinds: [x, z] },
      "the last record dropped": { descriptions: [a, b], blinds: [x, y] },
      "a record repeated": { descriptions: [a, a, c], blinds: [x, x, z] },
      "another blind": { blinds: [x, y, z + 1n] },
      "a sibling changed": { group: [full.group[0]!.with(0, 99n)] },
      "a chunk more": { group: [full.group[0]!.with(3, 99n)] },
      "another number of records": { opening: full.opening.with(0, full.opening[0]! + 1n) },
      "other columns": { opening: full.opening.with(3, 0n) },
      "blocks and values exchanged": { opening: [full.opening[0]!, full.opening[2]!, full.opening[1]!, 9n] },
    };
    for (const [name, change] of Object.entries(attacks)) {
      const attack = { ...full, ...change };
      expect(violated(attack), name).not.toEqual([]);
      // Nor with the chunk's new root at its place.
      const chunk = attack.descriptions.reduce(
        (at, each, i) => absorbRecord(at, each, attack.blinds[i]!),
        STARTS.chunk,
      );
      const group = [attack.group[0]!.with(2, chunk)];
      expect(violated({ ...attack, group }), name).not.toEqual([]);
      // Under a root of its own, it is an honest chunk of another dataset; but a chunk within has all its records.
      const own = violated(withRoot({ ...attack, group }));
      expect(own.length > 0, name).toBe(attack.descriptions.length < SLOTS);
    }
  });

  it("refuses a count that is neither that of a full chunk nor of the last, even with a root to suit", () => {
    const [first, second] = full.descriptions as [Description, Description];
    for (const records of [1n, 7n, 9n, R - 1n]) {
      const short = chunkOf([first, second], 2);
      const rows = violated({ ...short, opening: short.opening.with(0, records) }, { free: "root" });
      // Fewer than there are already lie outside the range, too.
      expect(rows).toHaveLength(records < 8n || records === R - 1n ? 2 : 1);
      for (const row of rows) expect(wiresOfRow(r1cs, row)).toContain(wire("chunk.others.in"));
    }
  });

  it("refuses flags that are no bits, that have a gap, or that are not as many as the count", () => {
    const gap = chunkOf([full.descriptions[0]!, full.descriptions[2]!], 2);
    // The chain skips the second slot, and the count is right.
    expect(
      violated(
        { ...gap, blinds: [gap.blinds[0]!, 0n, gap.blinds[1]!] },
        {
          slots: [gap.descriptions[0]!, full.descriptions[1]!, gap.descriptions[1]!],
          real: [1n, 0n, 1n],
        },
      ),
    ).toHaveLength(1);
    for (const real of [
      [1n, 2n, 0n],
      [1n, 1n, R - 1n],
      [1n, 3n, R - 1n],
    ]) {
      expect(violated(full, { real, free: "root" }).length, String(real)).toBeGreaterThan(0);
    }
    for (const count of [0n, 1n, 2n, 4n, R - 1n]) {
      expect(violated(full, { count, real: [1n, 1n, 1n], free: "root" }).length).toBeGreaterThan(0);
    }
  });

  it("cares nothing for slots behind the last record", () => {
    const slots = [...last.descriptions, full.descriptions[0]!];
    expect(violated(last, { slots })).toEqual([]);
    // They are not there: as a third record they give another root, and another count.
    expect(violated(last, { slots, real: [1n, 1n, 1n] })).not.toEqual([]);
    expect(violated(last, { slots, real: [1n, 1n, 1n], count: 3n })).not.toEqual([]);
  });

  it("has a first record: a chunk without any would still carry the root's name", () => {
    const empty = chunkOf([], 4);
    expect(violated(empty, { count: 0n, real: [0n, 0n, 0n], free: "root" })).not.toEqual([]);
    expect(violated(empty, { count: 1n, free: "root" })).not.toEqual([]);
  });

  it("refuses another position, by the digit that it selects", () => {
    for (const index of [0n, 1n, 3n, 15n]) {
      expect(violated({ ...full, index })).not.toEqual([]);
      const rows = violated({ ...full, index }, { bits: 2n });
      expect(rows.filter((row) => wiresOfRow(r1cs, row).includes(wire("index")))).toHaveLength(1);
    }
  });

  it("refuses an index outside the tree, even with a root to suit", () => {
    for (const index of [16n, 17n, R - 1n]) {
      const rows = violated({ ...full, index }, { bits: 2n, free: "root" });
      expect(rows.filter((row) => wiresOfRow(r1cs, row).includes(wire("index")))).toHaveLength(1);
    }
  });

  it("refuses context 0, and nothing else for it", () => {
    const [row, ...more] = violated({ ...full, context: 0n });
    expect(more).toEqual([]);
    expect(wiresOfRow(r1cs, row!)).toContain(wire("context"));
  });
});
