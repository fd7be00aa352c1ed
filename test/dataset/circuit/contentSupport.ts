import {
  advance,
  type ContentRequest,
  type ContentShape,
  type ContentStep,
  initialState,
  integritySignal,
  numbersPerElement,
  type RangedRequest,
} from "../../../src/dataset/circuit/content.js";
import type { Segment } from "../../../src/dataset/claims.js";
import type { OpenDataset } from "../../../src/dataset/dataset.js";
import {
  AT,
  absorbRecord,
  chunkBlinds,
  type Description,
  hashNode,
  hashRoot,
  STARTS,
} from "../../../src/dataset/layout.js";
import { type Column, contentElements, type DatasetRecord, describeRecord } from "../../../src/dataset/record.js";

export const text = (length: number, seed = 1): DatasetRecord => ({
  dtype: "text",
  shape: [length],
  data: Uint8Array.from({ length }, (_, i) => 32 + ((seed * 31 + i * 7) % 95)),
});

export interface SmallOptions {
  /** Records of each chunk; as many as `chunkRecords` but for the last one unless told. */
  readonly chunks?: readonly number[];
  readonly chunkRecords?: number;
  readonly depth?: number;
  readonly columns?: readonly Column[];
  /** What somebody commits to instead of what describes a record. */
  readonly described?: (description: Description, record: number) => Description;
  readonly contents?: (content: bigint[], record: number) => bigint[];
}

/** A committed dataset, of a creator who may lie. */
export function smallDataset(records: readonly DatasetRecord[], options: SmallOptions = {}): OpenDataset {
  const { chunkRecords = 2, depth = 1, columns = [], described = (each) => each, contents = (each) => each } = options;
  const seed = new Uint8Array(32).fill(7);
  const descriptions = records.map((record, i) => described(describeRecord(record, columns), i));
  const sizes = options.chunks ?? [];
  const chunkRoots: bigint[] = [];
  for (let first = 0; first < records.length; ) {
    const chunk = chunkRoots.length;
    const size = Math.min(sizes[chunk] ?? chunkRecords, records.length - first);
    const blinds = blindsOf(seed, chunkRecords, first, size);
    const own = descriptions.slice(first, first + size);
    chunkRoots.push(own.reduce((at, each, i) => absorbRecord(at, each, blinds[i]!), STARTS.chunk));
    first += size;
  }
  let nodes = chunkRoots;
  for (let level = 1; level <= depth; level++) {
    nodes = Array.from({ length: Math.ceil(nodes.length / 16) }, (_, i) =>
      hashNode(level, nodes.slice(16 * i, 16 * i + 16)),
    );
  }
  const sum = (at: number) => descriptions.reduce((total, each) => total + Number(each[at]), 0);
  const totals = { records: records.length, blocks: sum(AT.blocks), values: sum(AT.length) };
  const opening = { depth, top: nodes[0]!, totals, schema: 0n };
  return {
    commitment: { root: hashRoot(opening), opening, columns, bytes: 0, sha256: "0x", blinded: true },
    chunkRoots,
    seed,
    descriptions: (first, count) => descriptions.slice(first, first + count),
    record: (index) => records[index]!,
    content: (index) => contents(contentElements(records[index]!), index),
    close: () => {},
  };
}

function blindsOf(seed: Uint8Array, chunkRecords: number, first: number, count: number): bigint[] {
  return Array.from({ length: count }, (_, i) => {
    const record = first + i;
    const chunk = Math.floor(record / chunkRecords);
    return chunkBlinds(seed, chunk, chunkRecords)[record % chunkRecords]!;
  });
}

/** A planned segment, ready for its circuit. */
export function requestOf(dataset: OpenDataset, segment: Segment): ContentRequest & RangedRequest {
  return {
    ...segment.request(),
    root: dataset.commitment.root,
    claim: segment.claim,
    before: segment.before,
    after: segment.after,
    beforeSalt: 11n,
    afterSalt: 12n,
    context: 5n,
  } as unknown as ContentRequest & RangedRequest;
}

/** Steps of a record: its content and its description. */
export function stepsOf(
  dataset: OpenDataset,
  record: number,
  close: boolean,
  width = 0,
  chunkRecords = 2,
): ContentStep[] {
  const [description] = dataset.descriptions(record, 1) as [Description];
  const content = dataset.content(record);
  const each = 15 * (width === 0 ? 0 : numbersPerElement(width));
  const length = Number(description[AT.length]);
  const absorbs = Array.from({ length: Math.ceil(content.length / 15) }, (_, block): ContentStep => {
    const elements = Array.from({ length: 15 }, (_, i) => content[15 * block + i] ?? 0n);
    return { type: "absorb", elements, numbers: Math.max(0, Math.min(each, length - each * block)) };
  });
  const blind = blindsOf(dataset.seed!, chunkRecords, record, 1)[0]!;
  return [...absorbs, { type: "record", description, blind, close }];
}

/** A request for steps that nobody has checked, from the first state on or from another. */
export function requestFor(
  dataset: OpenDataset,
  steps: readonly (ContentStep | undefined)[],
  {
    before,
    range,
  }: { before?: readonly bigint[]; range?: { kind: bigint; min: bigint; max: bigint; width: number } } = {},
): ContentRequest & Partial<RangedRequest> {
  const { root, opening } = dataset.commitment;
  const from = before ?? initialState(range !== undefined);
  const perElement = range && numbersPerElement(range.width);
  const { totals, schema } = opening;
  const index = Number(from[0]);
  const children = Array.from({ length: 16 }, (_, i) => dataset.chunkRoots[i] ?? 0n);
  return {
    root,
    claim: integritySignal(),
    before: from,
    after: steps.reduce((state, step) => (step ? advance(state, step, perElement) : state), from),
    beforeSalt: 1n,
    afterSalt: 2n,
    context: 3n,
    steps: steps as ContentStep[],
    chunkRoot: dataset.chunkRoots[index]!,
    group: [children],
    opening: [...[totals.records, totals.blocks, totals.values].map(BigInt), schema],
    ...range,
  };
}

/** Inputs as circom's generator takes them. */
export function inputsOf(
  { steps: count, depth }: ContentShape,
  request: ContentRequest,
  commitments: readonly [bigint, bigint],
) {
  const { root, claim, context, before, beforeSalt, afterSalt, steps, chunkRoot, group, opening } = request;
  const all = Array.from({ length: count }, (_, i) => steps[i]);
  const flag = (is: (step: ContentStep) => boolean) => all.map((step) => (step && is(step) ? 1n : 0n));
  if (group.length !== depth) throw new Error("the path is of another height");
  return {
    root,
    claim,
    before: commitments[0],
    after: commitments[1],
    context,
    state: [...before],
    salt: [beforeSalt, afterSalt],
    absorb: flag(({ type }) => type === "absorb"),
    record: flag(({ type }) => type === "record"),
    close: flag((step) => step.type === "record" && step.close),
    in: all.flatMap((step) =>
      !step
        ? new Array<bigint>(15).fill(0n)
        : step.type === "absorb"
          ? step.elements
          : [...step.description, step.blind],
    ),
    chunkRoot,
    group: group.flat(),
    opening: [...opening],
  };
}
