import { beforeAll, describe, expect, it } from "vitest";
import { singleMutations } from "../../../src/circuit/attack.js";
import { checkDeterminism } from "../../../src/circuit/determinism.js";
import { checkWitness, type R1cs } from "../../../src/circuit/r1cs.js";
import { measureProgram, type Program, programWitness } from "../../../src/circuit/synthesis/program.js";
import type { Synthesis } from "../../../src/circuit/synthesis/synthesis.js";
import {
  bytesProgram,
  type ContentRequest,
  type ContentStep,
  contentProgram,
  initialState,
  type NumbersShape,
  numbersPerElement,
  numbersProgram,
  type RangedRequest,
  synthesiseContent,
  synthesiseRanged,
} from "../../../src/dataset/circuit/content.js";
import { datasetProgram } from "../../../src/dataset/circuit/index.js";
import { bytesFamily, type ContentClaim, contentFamily, numbersFamily } from "../../../src/dataset/claims/content.js";
import { contentSizes, planContent } from "../../../src/dataset/claims/planContent.js";
import { CLAIM_CODES, claimSignal, commitState, type Segment } from "../../../src/dataset/claims.js";
import { commitDataset } from "../../../src/dataset/commit.js";
import type { OpenDataset } from "../../../src/dataset/dataset.js";
import { AT, type Description } from "../../../src/dataset/layout.js";
import { type DatasetRecord, recordKind } from "../../../src/dataset/record.js";
import { R } from "../../../src/field/scalar.js";
import { fieldElements } from "../../circuits/inference/support.js";
import { witnessOf } from "../../model/circuit/support.js";
import { code } from "../../support/errors.js";
import { inputsOf, requestFor, requestOf, smallDataset, stepsOf, text } from "./contentSupport.js";
import { systemOf, Twin } from "./support.js";

const TEXT = recordKind({ dtype: "text", shape: [0] });
const ASCII: ContentClaim = { type: "bytes", kind: TEXT, min: 0, max: 127 };
const INTEGRITY: ContentClaim = { type: "integrity" };

/** Nothing, a part of an element, two blocks, exactly one block, and one byte. */
const MAILS = [text(0), text(40, 2), text(500, 3), text(465, 4), text(1, 5)];

const numbers = (dtype: DatasetRecord["dtype"], data: ArrayBufferView): DatasetRecord => {
  const bytes = new Uint8Array(data.buffer.slice(0));
  const length = (data as unknown as { length: number }).length;
  return { dtype, shape: [length], data: bytes };
};

const withField = (description: Description, field: keyof typeof AT, value: bigint): Description =>
  description.map((each, i) => (i === AT[field] ? value : each));

/** A circuit whose program takes requests of any sense. */
class Rows<Request extends ContentRequest> {
  readonly r1cs: R1cs;
  readonly names: ReadonlyMap<string, number>;
  readonly #program: Program<Request>;
  readonly #wires: number;

  constructor(program: Program<Request>, synthesise: (s: Synthesis, request: Request | undefined) => void) {
    ({ r1cs: this.r1cs, names: this.names } = systemOf(program));
    this.#program = { ...program, synthesise };
    this.#wires = measureProgram(program).wires;
  }

  static content(steps: number): Rows<ContentRequest> {
    const shape = { steps, depth: 1, chunkRecords: 2 };
    return new Rows(contentProgram(shape), (s, request) => synthesiseContent(s, shape, request));
  }

  static bytes(steps: number, bits: number, exact: boolean): Rows<RangedRequest> {
    const shape: NumbersShape = { steps, depth: 1, chunkRecords: 2, bits, exact, width: 1 };
    return new Rows(bytesProgram(shape), (s, request) => synthesiseRanged(s, CLAIM_CODES.bytes, shape, request));
  }

  witness(request: Request): bigint[] {
    return witnessOf(programWitness(this.#program, this.#wires, request));
  }

  wire(name: string): number {
    const wire = this.names.get(`main.${name}`);
    if (wire === undefined) throw new Error(`no wire ${name}`);
    return wire;
  }

  /** The first row that a witness violates, or -1. */
  violation(witness: readonly bigint[]): number {
    return checkWitness(this.r1cs, witness);
  }

  accepts(request: Request): boolean {
    return this.violation(this.witness(request)) === -1;
  }
}

/** Plans, and holds every segment's witness against its circuit's rows, and the states against each other. */
function prove(dataset: OpenDataset, claim: ContentClaim, options: Parameters<typeof planContent>[2] = {}): Segment[] {
  const segments = [...planContent(dataset, claim, options)];
  const systems = new Map<string, { r1cs: R1cs; wires: number }>();
  let state: readonly bigint[] = initialState(claim.type !== "integrity");
  for (const segment of segments) {
    expect(segment.before).toEqual(state);
    const program = datasetProgram(segment.spec) as Program<ContentRequest & RangedRequest>;
    let system = systems.get(program.name);
    if (!system) {
      system = { r1cs: systemOf(program).r1cs, wires: measureProgram(program).wires };
      systems.set(program.name, system);
    }
    const witness = witnessOf(programWitness(program, system.wires, requestOf(dataset, segment)));
    expect(checkWitness(system.r1cs, witness)).toBe(-1);
    expect(witness.slice(1, 6)).toEqual([
      dataset.commitment.root,
      segment.claim,
      commitState(segment.before, 11n),
      commitState(segment.after, 12n),
      5n,
    ]);
    state = segment.after;
  }
  return segments;
}

describe("the circuit of contents", () => {
  const shape = { steps: 3, depth: 1, chunkRecords: 2 };
  let twin: Twin<ContentRequest>;

  beforeAll(async () => {
    twin = await Twin.of(contentProgram(shape));
  }, 120_000);

  it("has circom's witness for every kind of step", async () => {
    const dataset = smallDataset(MAILS);
    const segments = [...planContent(dataset, INTEGRITY, { sizes: [3], chunkRecords: 2 })];
    // [0; 1, -] [1 closes; 2, 2] [2; 3, 3 closes] [4, 4 closes, idle]
    expect(segments).toHaveLength(4);
    for (const segment of segments) {
      const request = requestOf(dataset, segment);
      const commitments = [commitState(segment.before, 11n), commitState(segment.after, 12n)] as const;
      await twin.witness(request, inputsOf(shape, request, commitments));
    }
  });

  it("is determined by its inputs, and no wire can be changed alone", async () => {
    const { r1cs } = systemOf(contentProgram({ steps: 2, depth: 1, chunkRecords: 2 }));
    expect((await checkDeterminism(r1cs)).left).toEqual([]);
    const rows = Rows.content(2);
    const dataset = smallDataset(MAILS.slice(0, 2));
    const before = stepsOf(dataset, 0, false);
    const { after } = requestFor(dataset, before);
    const witness = rows.witness(requestFor(dataset, stepsOf(dataset, 1, true), { before: after }));
    const wires = Array.from({ length: r1cs.wires - 1 }, (_, i) => i + 1);
    expect(await singleMutations(rows.r1cs, witness, { wires, random: fieldElements(1n) })).toEqual([]);
  }, 60_000);
});

describe("circuits of contents in a range", () => {
  const inputsOfRanged = (shape: NumbersShape, request: RangedRequest, segment: Segment) => {
    const perElement = numbersPerElement(shape.width);
    const all = Array.from({ length: shape.steps }, (_, i) => request.steps[i]);
    const ones = (count: number, of: number) => Array.from({ length: of }, (_, i) => (i < count ? 1n : 0n));
    return {
      ...inputsOf(shape, request, [commitState(segment.before, 11n), commitState(segment.after, 12n)]),
      kind: request.kind,
      min: request.min,
      max: request.max,
      full: all.flatMap((step) => ones(step?.type === "absorb" ? Math.floor(step.numbers! / perElement) : 0, 15)),
      some: all.flatMap((step) =>
        ones(step?.type === "record" ? Number(step.description[AT.length]) % perElement : 0, perElement - 1),
      ),
    };
  };

  it.each<[string, DatasetRecord[], ContentClaim, number]>([
    [
      "bytes in a range of a power of two",
      [{ ...text(40), data: Uint8Array.from({ length: 40 }, (_, i) => 60 + (i % 4)) }, text(0)],
      { type: "bytes", kind: TEXT, min: 60, max: 63 },
      1,
    ],
    [
      "64-bit numbers in any range",
      [
        numbers(
          "i64",
          BigInt64Array.from({ length: 50 }, (_, i) => BigInt(i % 5) - 2n),
        ),
        numbers("i64", new BigInt64Array()),
      ],
      { type: "numbers", kind: recordKind({ dtype: "i64", shape: [0] }), min: 2n ** 63n - 2n, max: 2n ** 63n + 2n },
      2,
    ],
  ])(
    "have circom's witness: %s",
    async (_, records, claim, steps) => {
      const dataset = smallDataset(records);
      const segments = [...planContent(dataset, claim, { sizes: [steps], chunkRecords: 2 })];
      const { spec } = segments[0]!;
      const twin = await Twin.of(datasetProgram(spec) as Program<RangedRequest>);
      for (const segment of segments) {
        const request = requestOf(dataset, segment);
        const shape = { width: 1, ...segment.spec } as NumbersShape;
        await twin.witness(request, inputsOfRanged(shape, request, segment));
      }
    },
    120_000,
  );

  it.each([true, false])(
    "are determined by their inputs, and no wire can be changed alone (exact: %s)",
    async (exact) => {
      const shape = { steps: 2, depth: 1, chunkRecords: 2, bits: 2, exact, width: 8 } as const;
      const program = numbersProgram(shape);
      const { r1cs } = systemOf(program);
      expect((await checkDeterminism(r1cs)).left).toEqual([]);
      const kind = recordKind({ dtype: "u64", shape: [0] });
      const dataset = smallDataset([numbers("u64", BigUint64Array.from([7n, 8n, 9n, 10n, 7n]))]);
      const claim = claimSignal(CLAIM_CODES.numbers, [kind, 7n, 10n, 8n]);
      const range = { kind, min: 7n, max: 10n, width: 8 };
      const request = { ...requestFor(dataset, stepsOf(dataset, 0, true, 8), { range }), claim } as RangedRequest;
      const witness = witnessOf(programWitness(program, measureProgram(program).wires, request));
      expect(checkWitness(r1cs, witness)).toBe(-1);
      const wires = Array.from({ length: r1cs.wires - 1 }, (_, i) => i + 1);
      expect(await singleMutations(r1cs, witness, { wires, random: fieldElements(1n) })).toEqual([]);
    },
    60_000,
  );
});

describe("a run over contents", () => {
  let rows: Rows<ContentRequest>;
  beforeAll(() => {
    rows = Rows.content(6);
  });

  /** Whether the steps of a first segment pass, and those of a second behind it. */
  const passes = (dataset: OpenDataset, ...segments: (ContentStep | undefined)[][]): boolean => {
    let before: readonly bigint[] | undefined;
    for (const steps of segments) {
      const request = requestFor(dataset, steps, before ? { before } : {});
      if (!rows.accepts(request)) return false;
      before = request.after;
    }
    return true;
  };

  const dataset = smallDataset(MAILS);
  const [r0, r1, r2, r3, r4] = MAILS.map((_, i) => stepsOf(dataset, i, i % 2 === 1 || i === 4)) as [
    ContentStep[],
    ContentStep[],
    ContentStep[],
    ContentStep[],
    ContentStep[],
  ];

  it("passes as it is, however it is cut", () => {
    expect(passes(dataset, [...r0, ...r1, ...r2], [...r3, ...r4.slice(0, 1)], r4.slice(1))).toBe(true);
    expect(passes(dataset, r0, r1.slice(0, 1), [...r1.slice(1), ...r2.slice(0, 1)], [...r2.slice(1), ...r3], r4)).toBe(
      true,
    );
    expect(passes(dataset, [...r0, ...r1, undefined, undefined], [undefined], r2)).toBe(true);
  });

  it("refuses a changed byte", () => {
    const [absorb, record] = r1 as [Extract<ContentStep, { type: "absorb" }>, ContentStep];
    const changed = { ...absorb, elements: absorb.elements.map((each, i) => (i === 0 ? each + 1n : each)) };
    expect(passes(dataset, [...r0, changed, record])).toBe(false);
    // The content of another record, digest and all.
    expect(passes(dataset, [...r0, ...r3.slice(0, 1), record])).toBe(false);
  });

  it("refuses dropped, repeated and moved records", () => {
    const closed = { ...r0[0]!, close: true } as ContentStep;
    expect(passes(dataset, r1)).toBe(false);
    expect(passes(dataset, [...r0, ...r0.slice(0, -1), closed])).toBe(false);
    expect(passes(dataset, [...r1.slice(0, 1), { ...r1[1]!, close: false } as ContentStep, closed])).toBe(false);
    // From the next chunk.
    expect(passes(dataset, [...r0, ...r2.slice(0, 2), { ...r2[2]!, close: true } as ContentStep])).toBe(false);
    // A chunk left out: the second stands in the first one's place.
    expect(passes(dataset, r2, r3)).toBe(false);
    // Two chunks in one segment: rows for one path are there, and two do not fit.
    const both = requestFor(dataset, [...r0, ...r1]);
    const witness = rows.witness(both);
    witness[rows.wire("close[0]")] = 1n;
    expect(rows.violation(witness)).not.toBe(-1);
  });

  it("refuses a description that is not its content's", () => {
    const lie = (field: keyof typeof AT, value: bigint) =>
      smallDataset(MAILS, { described: (each, i) => (i === 1 ? withField(each, field, value) : each) });
    const all = (of: OpenDataset) => [...stepsOf(of, 0, false), ...stepsOf(of, 1, true)];
    for (const liar of [lie("blocks", 2n), lie("blocks", 0n), lie("content", 99n)]) {
      expect(passes(liar, all(liar))).toBe(false);
    }
    // A length is only added up: see the words of the claim.
    const long = lie("length", 1_000_000_000n);
    expect(passes(long, all(long))).toBe(true);
    // A record of no blocks whose content begins with the one before.
    const late = smallDataset(MAILS, { described: (each, i) => (i === 0 ? withField(each, "blocks", 1n) : each) });
    expect(passes(late, all(late))).toBe(false);
  });

  it("refuses idle steps before others, and steps of two kinds", () => {
    expect(passes(dataset, [...r0, undefined, ...r1])).toBe(false);
    expect(passes(dataset, [undefined, ...r0])).toBe(false);
    const witness = rows.witness(requestFor(dataset, r0));
    expect(rows.violation(witness)).toBe(-1);
    witness[rows.wire("absorb[0]")] = 1n;
    expect(rows.violation(witness)).not.toBe(-1);
    witness[rows.wire("absorb[0]")] = 0n;
    witness[rows.wire("close[1]")] = 1n; // of a step that is idle
    expect(rows.violation(witness)).not.toBe(-1);
  });

  it("refuses chunks that are closed early, late, or not at all", () => {
    // Creators who have committed to such chunks: all else is as it should be.
    const early = smallDataset(MAILS, { chunks: [1, 2, 2] });
    expect(passes(early, stepsOf(early, 0, true))).toBe(false);
    const late = smallDataset(MAILS, { chunks: [3, 2] });
    const three = [...stepsOf(late, 0, false), ...stepsOf(late, 1, false)];
    expect(passes(late, three)).toBe(false); // two records, still open
    expect(passes(late, [...three, ...stepsOf(late, 2, true)])).toBe(false);
    const last = smallDataset(MAILS.slice(0, 3), { chunks: [3] });
    const whole = [...stepsOf(last, 0, false), ...stepsOf(last, 1, false), ...stepsOf(last, 2, true)];
    expect(passes(last, whole)).toBe(false); // the last record, and still one too many
  });

  it("refuses other states, roots, claims and contexts", () => {
    const first = requestFor(dataset, [...r0, ...r1]);
    const honest = rows.witness(first);
    expect(rows.violation(honest)).toBe(-1);
    const names = ["root", "claim", "before", "after", "context", "opening[0]", "opening[3]", "chunkRoot", "salt[0]"];
    for (const name of [...names, ...Array.from({ length: 8 }, (_, i) => `state[${i}]`)]) {
      const witness = [...honest];
      witness[rows.wire(name)] = name === "context" ? 0n : witness[rows.wire(name)]! + 1n;
      expect(rows.violation(witness), name).not.toBe(-1);
    }
    // A segment in another's place: the second one's steps from the first state.
    expect(passes(dataset, r2)).toBe(true);
    expect(passes(dataset, r2, r3)).toBe(false);
    expect(passes(dataset, [...r0, ...r1], [...r0, ...r1])).toBe(false);
  });

  it("does not make witnesses of nonsense", () => {
    const program = contentProgram({ steps: 6, depth: 1, chunkRecords: 2 });
    const { wires } = measureProgram(program);
    const honest = requestFor(dataset, [...r0, ...r1]);
    const make = (changes: Partial<ContentRequest>) => () => programWitness(program, wires, { ...honest, ...changes });
    expect(make({})).not.toThrow();
    expect(make({ after: honest.before })).toThrow(code("INPUT_INVALID"));
    expect(make({ steps: [...r0, ...r1, ...r2, ...r3] })).toThrow(code("INPUT_INVALID"));
    expect(make({ group: [] })).toThrow(code("INPUT_INVALID"));
    expect(make({ context: 0n })).toThrow(code("CONTEXT_ZERO"));
    expect(make({ root: 5n })).toThrow(code("WITNESS_INVALID"));
    expect(() => contentProgram({ steps: 0, depth: 1 })).toThrow(code("INPUT_INVALID"));
    expect(() => contentProgram({ steps: 1, depth: 1, chunkRecords: 3 })).toThrow(code("INPUT_INVALID"));
    expect(() => bytesProgram({ steps: 1, depth: 1, bits: 9, exact: true })).toThrow(code("INPUT_INVALID"));
  });
});

describe("a run over bytes in a range", () => {
  const bytes = (...data: number[]): DatasetRecord => ({
    dtype: "text",
    shape: [data.length],
    data: Uint8Array.from(data),
  });
  const range = (min: bigint, max: bigint, kind = TEXT) => ({ kind, min, max, width: 1 });

  const accepts = (
    rows: Rows<RangedRequest>,
    dataset: OpenDataset,
    own: ReturnType<typeof range>,
    steps: ContentStep[],
  ) => {
    const claim = claimSignal(CLAIM_CODES.bytes, [own.kind, own.min, own.max, 1n]);
    return rows.accepts({ ...requestFor(dataset, steps, { range: own }), claim } as RangedRequest);
  };
  const one = (dataset: OpenDataset) => stepsOf(dataset, 0, true, 1);

  let exact: Rows<RangedRequest>;
  let wide: Rows<RangedRequest>;
  beforeAll(() => {
    exact = Rows.bytes(3, 3, true);
    wide = Rows.bytes(3, 3, false);
  });

  it("takes what lies in the range, however long", () => {
    for (const length of [0, 1, 30, 31, 32, 464, 465, 466]) {
      const dataset = smallDataset([bytes(...Array.from({ length }, (_, i) => 66 + (i % 5)))]);
      expect(accepts(exact, dataset, range(64n, 71n), one(dataset)), `${length}`).toBe(true);
      expect(accepts(wide, dataset, range(66n, 70n), one(dataset)), `${length}`).toBe(true);
    }
  });

  it("refuses a byte outside, wherever it stands", () => {
    for (const length of [5, 40]) {
      for (const at of [0, length - 1]) {
        for (const value of [0, 65, 71, 255]) {
          const data = Array.from({ length }, () => 68);
          data[at] = value;
          const dataset = smallDataset([{ ...bytes(...data), dtype: "bytes" }]);
          const kind = recordKind({ dtype: "bytes", shape: [0] });
          expect(accepts(wide, dataset, range(66n, 70n, kind), one(dataset)), `${value} at ${at}`).toBe(false);
          const inside = value >= 64 && value <= 71;
          expect(accepts(exact, dataset, range(64n, 71n, kind), one(dataset)), `${value} at ${at}`).toBe(inside);
        }
      }
    }
  });

  it("refuses an exact circuit for another width, and another kind", () => {
    const dataset = smallDataset([bytes(66, 67)]);
    expect(accepts(exact, dataset, range(66n, 70n), one(dataset))).toBe(false);
    expect(accepts(exact, dataset, range(64n, 71n, TEXT + 256n), one(dataset))).toBe(false);
    // A range that a bound beyond the field's order would open.
    expect(accepts(wide, dataset, range(R - 4n, 3n), one(dataset))).toBe(false);
  });

  it("refuses lengths that are not those of the data", () => {
    const zeros = bytes(...new Array<number>(10).fill(0));
    const low = range(0n, 7n);
    const claimed = (records: DatasetRecord[], length: bigint) =>
      smallDataset(records, { described: (each) => withField(each, "length", length) });
    expect(accepts(exact, claimed([zeros], 10n), low, one(claimed([zeros], 10n)))).toBe(true);
    // Zeros behind the last byte look like bytes: as many as the element has, the length says how many there are.
    expect(accepts(exact, claimed([zeros], 11n), low, one(claimed([zeros], 11n)))).toBe(true);
    for (const [records, length] of [
      [[bytes()], 1n], // no content at all
      [[zeros], 31n * 15n + 1n], // more than the blocks hold
      [[zeros], R - 1n],
      [[bytes(...new Array<number>(10).fill(3))], 9n], // something behind the last byte
      [[bytes(...new Array<number>(40).fill(3))], 31n],
      [[bytes(...new Array<number>(40).fill(3))], 0n],
    ] as [DatasetRecord[], bigint][]) {
      const dataset = claimed(records, length);
      expect(accepts(exact, dataset, low, one(dataset)), `${records[0]!.data.length} as ${length}`).toBe(false);
    }
    // Where 0 lies outside the range, padding is no byte.
    const short = claimed([bytes(66, 66)], 3n);
    expect(accepts(exact, short, range(64n, 71n), one(short))).toBe(false);
  });

  it("refuses blocks behind one that is not full, and elements behind one that is not", () => {
    const record = bytes(...new Array<number>(500).fill(66));
    const moved = (from: number, to: number) => (content: bigint[]) =>
      content.map((each, i) => (i === from ? content[to]! : i === to ? content[from]! : each));
    // 500 bytes are 16 elements and four bytes. The short one stands before others, in either block.
    for (const [from, to] of [
      [16, 3],
      [16, 15],
    ] as const) {
      const contents = moved(from, to);
      const honest = smallDataset([record], { contents });
      let steps = stepsOf(honest, 0, true, 1);
      const chained = requestFor(honest, steps.slice(0, 2), { range: range(64n, 71n) }).after[3]!;
      const liar = smallDataset([record], {
        contents,
        described: (each) => withField(each, "content", chained),
      });
      steps = stepsOf(liar, 0, true, 1);
      for (const counts of [
        [465, 35],
        [465, 31],
        [93, 35],
        [434, 31],
      ]) {
        const told = steps.map((step, i) => (step.type === "absorb" ? { ...step, numbers: counts[i]! } : step));
        expect(accepts(exact, liar, range(64n, 71n), told), `${from} ${to} ${counts}`).toBe(false);
      }
    }
  });

  it("refuses a block of padding, by which one text would have two contents, and two records no duplicate", () => {
    const low = range(0n, 7n);
    for (const length of [0, 10, 31, 465]) {
      const record = bytes(...new Array<number>(length).fill(0));
      const padding = new Array<bigint>(15).fill(0n);
      const contents = (content: bigint[]) => {
        const fill = new Array<bigint>(15 * Math.ceil(content.length / 15) - content.length).fill(0n);
        return [...content, ...fill, ...padding];
      };
      const blocks = Math.ceil(length / 465) + 1;
      const honest = smallDataset([record], { contents });
      const chained = requestFor(honest, stepsOf(honest, 0, true, 1).slice(0, blocks), { range: low }).after[3]!;
      const described = (each: Description) => withField(withField(each, "content", chained), "blocks", BigInt(blocks));
      const liar = smallDataset([record], { contents, described });
      expect(one(liar)).toHaveLength(blocks + 1);
      expect(accepts(exact, liar, low, one(liar)), `${length}`).toBe(false);
      expect(accepts(wide, liar, low, one(liar)), `${length}`).toBe(false);
      const witness = exact.witness({
        ...requestFor(liar, one(liar), { range: low }),
        claim: claimSignal(CLAIM_CODES.bytes, [TEXT, 0n, 7n, 1n]),
      } as RangedRequest);
      // Where it would be told that there is less to be real, or more: the state says otherwise, and so does the length.
      for (const [name, value] of [
        [`range.left[${blocks}]`, 1n],
        [`some[${blocks}][0]`, 1n],
      ] as const) {
        expect(exact.violation(witness.with(exact.wire(name), value)), name).not.toBe(-1);
      }
    }
  });

  it("refuses elements that are more than their bytes", () => {
    const record = bytes(...new Array<number>(31).fill(1));
    const [element] = smallDataset([record]).content(0) as [bigint];
    // Too large, with the same low 248 bits; negative; and what has the right bytes once the field's order is added.
    for (const value of [element + 2n ** 248n, element + 2n ** 252n, R - 1n, R - element, (element + 2n ** 255n) % R]) {
      const contents = () => [value];
      const honest = smallDataset([record], { contents });
      const chained = requestFor(honest, stepsOf(honest, 0, true, 1).slice(0, 1), { range: range(0n, 7n) }).after[3]!;
      const liar = smallDataset([record], { contents, described: (each) => withField(each, "content", chained) });
      const steps = stepsOf(liar, 0, true, 1);
      expect(accepts(exact, liar, range(0n, 7n), steps), `${value}`).toBe(false);
      expect(accepts(wide, liar, range(0n, 7n), steps), `${value}`).toBe(false);
      // As what is left of a block: the record's step takes it apart.
      const cut = { described: (each: Description) => withField(withField(each, "content", chained), "length", 30n) };
      const short = smallDataset([record], { contents, ...cut });
      expect(accepts(exact, short, range(0n, 7n), stepsOf(short, 0, true, 1)), `${value}`).toBe(false);
    }
  });
});

describe("planning", () => {
  it("shows whole datasets, of chunks of 128 records", async () => {
    const records = Array.from({ length: 130 }, (_, i) => text(i % 50 === 0 ? 0 : 10 + i, i));
    const dataset = await commitDataset(records, { seed: new Uint8Array(32).fill(9) });
    const segments = prove(dataset, INTEGRITY, { sizes: [48] });
    const { opening, columns, root } = dataset.commitment;
    expect(contentFamily.result({ type: "integrity" }, segments.at(-1)!.after, opening)).toEqual(opening.totals);
    expect(contentFamily.signals({ type: "integrity" }, { root, opening, columns })).toEqual({
      datasetContent: segments[0]!.claim,
    });
    expect(() => contentFamily.result({ type: "integrity" }, segments.at(-2)!.after, opening)).toThrow(
      code("PROOF_SET_INVALID"),
    );
  }, 60_000);

  it("shows ranges of bytes and numbers of every width", () => {
    const floats = (dtype: "f32" | "f64", data: Float32Array | Float64Array) => numbers(dtype, data);
    const kind = (dtype: DatasetRecord["dtype"]) => recordKind({ dtype, shape: [0] });
    const cases: [DatasetRecord[], ContentClaim][] = [
      [MAILS, ASCII],
      [MAILS, { type: "bytes", kind: TEXT, min: 32, max: 126 }],
      [
        [numbers("i8", Int8Array.of(-5, 3, -1)), numbers("i8", new Int8Array(70))],
        { type: "numbers", kind: kind("i8"), min: 123n, max: 131n },
      ],
      [
        [
          numbers(
            "u16",
            Uint16Array.from({ length: 250 }, (_, i) => 256 * (i % 9)),
          ),
        ],
        { type: "numbers", kind: kind("u16"), min: 0n, max: 2048n },
      ],
      [
        [floats("f32", Float32Array.of(-1, 0, 0.5, Number.POSITIVE_INFINITY, 1, 2, 3, 4))],
        { type: "numbers", kind: kind("f32"), min: 2n ** 31n - 2n ** 30n, max: 2n ** 31n + 0x7f80_0000n },
      ],
      [
        [floats("f64", Float64Array.of(1, 1, 1, 1)), floats("f64", Float64Array.of())],
        { type: "numbers", kind: kind("f64"), min: 0xbff0_0000_0000_0000n, max: 0xbff0_0000_0000_0000n },
      ],
    ];
    for (const [records, claim] of cases) {
      const dataset = smallDataset(records, { chunkRecords: 128 });
      const segments = prove(dataset, claim, { sizes: [2] });
      const family = claim.type === "bytes" ? bytesFamily : numbersFamily;
      const { opening, columns, root } = dataset.commitment;
      const about = { root, opening, columns };
      expect(Object.values(family.signals(claim as never, about))).toEqual([segments[0]!.claim]);
      expect(family.initial(claim as never)).toEqual(segments[0]!.before);
      expect(family.result(claim as never, segments.at(-1)!.after, opening)).toEqual(opening.totals);
      expect(() => family.result(claim as never, segments[0]!.before, opening)).toThrow(code("PROOF_SET_INVALID"));
    }
  }, 120_000);

  it("says which byte or number makes a claim false", () => {
    const plan = (records: DatasetRecord[], claim: ContentClaim) => () => [
      ...planContent(smallDataset(records), claim, { sizes: [4], chunkRecords: 2 }),
    ];
    const odd = { ...text(500), data: Uint8Array.from(text(500).data, (byte, i) => (i === 470 ? 9 : byte)) };
    const claim: ContentClaim = { type: "bytes", kind: TEXT, min: 32, max: 126 };
    expect(plan([text(3), odd], claim)).toThrow(
      expect.objectContaining({ code: "CLAIM_FALSE", details: { record: 1, number: 470 } }),
    );
    const other: DatasetRecord = { ...text(3), dtype: "bytes" };
    expect(plan([text(3), text(3), other], claim)).toThrow(
      expect.objectContaining({ code: "CLAIM_FALSE", details: { record: 2 } }),
    );
    const nan = numbers("f64", Float64Array.of(1, 2, 3, Number.NaN));
    const [kind, infinity] = [recordKind({ dtype: "f64", shape: [0] }), 0x7ff0_0000_0000_0000n];
    const all: ContentClaim = { type: "numbers", kind, min: 2n ** 63n - 1n - infinity, max: 2n ** 63n + infinity };
    expect(plan([nan], all)).toThrow(
      expect.objectContaining({ code: "CLAIM_FALSE", details: { record: 0, number: 3 } }),
    );
  });

  it("does not plan over a dataset that is not its commitment's", () => {
    const plan = (dataset: OpenDataset) => () => [...planContent(dataset, INTEGRITY, { sizes: [4], chunkRecords: 2 })];
    const other = smallDataset(MAILS, {
      contents: (content, i) => (i === 2 ? content.map((each) => each + 1n) : content),
    });
    expect(plan(other)).toThrow(expect.objectContaining({ code: "DATASET_MISMATCH", details: { record: 2 } }));
    const dataset = smallDataset(MAILS);
    expect(plan({ ...dataset, seed: new Uint8Array(32) })).toThrow(code("DATASET_MISMATCH"));
    const opening = { ...dataset.commitment.opening, totals: { ...dataset.commitment.opening.totals, values: 3 } };
    expect(plan({ ...dataset, commitment: { ...dataset.commitment, opening } })).toThrow(code("DATASET_MISMATCH"));
  });

  it.each<[string, ContentClaim]>([
    ["no kind", { type: "bytes", kind: 5n, min: 0, max: 127 }],
    ["a kind with cells", { type: "bytes", kind: TEXT + (1n << 48n), min: 0, max: 127 }],
    ["bytes of numbers", { type: "bytes", kind: recordKind({ dtype: "i8", shape: [1] }), min: 0, max: 127 }],
    ["numbers of text", { type: "numbers", kind: TEXT, min: 0n, max: 127n }],
    ["bounds in the wrong order", { type: "bytes", kind: TEXT, min: 5, max: 4 }],
    ["a byte above 255", { type: "bytes", kind: TEXT, min: 5, max: 256 }],
    ["a broken bound", { type: "bytes", kind: TEXT, min: 0.5, max: 4 }],
    ["a key above 2^16", { type: "numbers", kind: recordKind({ dtype: "u16", shape: [1] }), min: 0n, max: 65536n }],
    ["NaN", { type: "numbers", kind: recordKind({ dtype: "f16", shape: [1] }), min: 0n, max: 65535n }],
    ["numbers for keys", { type: "numbers", kind: recordKind({ dtype: "u8", shape: [1] }), min: 0, max: 9 } as never],
  ])("refuses %s", (_, claim) => {
    const dataset = smallDataset([text(3)]);
    expect(() => planContent(dataset, claim).next()).toThrow(code("CLAIM_INVALID"));
  });

  it("fits its circuits to 2^17 rows and less", () => {
    for (const depth of [2, 4, 6]) {
      for (const claim of [
        INTEGRITY,
        ASCII,
        { ...ASCII, max: 255 } as ContentClaim,
        { ...ASCII, max: 200 } as ContentClaim,
      ]) {
        const sizes = contentSizes(claim, depth, []);
        expect(sizes).toHaveLength(4);
        expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
      }
    }
    expect(contentSizes(INTEGRITY, 4, [])[0]).toBe(202);
    for (const steps of contentSizes(INTEGRITY, 4, [])) {
      const { rows } = measureProgram(contentProgram({ steps, depth: 4 }));
      const power = 2 ** Math.ceil(Math.log2(rows));
      expect(rows).toBeLessThanOrEqual(power - 16);
      expect(rows + 626).toBeGreaterThan(power - 16);
    }
  });

  it.each([
    [1_000_000, 1.41],
    [2 ** 20, 1.41],
  ])(
    "takes at most 1.45 rows a byte for %i bytes of text",
    async (length, about) => {
      const dataset = await commitDataset([text(length)]);
      const rows = new Map<string, number>();
      let total = 0;
      for (const { spec } of planContent(dataset, INTEGRITY)) {
        const program = datasetProgram(spec);
        if (!rows.has(program.name)) rows.set(program.name, measureProgram(program).rows);
        total += rows.get(program.name)!;
      }
      expect(total / length).toBeLessThan(about);
    },
    60_000,
  );
});
