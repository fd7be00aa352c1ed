/**
 * The commitment to a dataset, as hashing: one field element that binds every record, in order.
 *
 *     content   chain over the record's data, 31 bytes an element, 15 elements a step
 *     record    14 elements that describe it (see {@link FIELDS}), its content's digest among them
 *     chunk     chain over 128 records, 14 elements and a blinding value a step
 *     node      16 children, chunks at the lowest level; capacity + 2^64 · level; missing children are 0
 *     root      top node, records, blocks, values, digest of the schema; capacity + 2^64 · height
 *
 * A chain is Poseidon of 16 inputs, `h ← P(CHAIN; h, 15 elements)`, from a start that says what it is a chain of. So
 * the chains of contents, chunks, texts and shapes have no value in common, and a value has one history: whoever opens it
 * gets every element since the start.
 *
 * Everything that a claim about records needs stands in their descriptions: it costs one step a record, however long the
 * records are. Contents are not blinded, so that equal contents have equal digests; the step that takes a content's digest
 * into its chunk is, so that chunk roots, nodes and openings say nothing about guessable data.
 *
 * The circuits in `circuits/dataset/` compute the same.
 *
 * @module
 */
import { createCipheriv, createHmac } from "node:crypto";
import { AnchorError } from "../errors.js";
import { capacityTag, packElements, utf8 } from "../field/bytes.js";
import { chain } from "../field/chain.js";
import { poseidon16 } from "../field/poseidon.js";
import { bigIntToBytes, R } from "../field/scalar.js";

/** Elements of data that one step of a chain takes in. */
export const BLOCK_ELEMENTS = 15;
/** Records of a chunk; only the last chunk of a dataset may have fewer. */
export const CHUNK_RECORDS = 128;
/** Cells of a row that stand in the record's description itself; further ones are behind its `rest`. */
export const INLINE_CELLS = 5;
/** Most cells of a row. */
export const MAX_CELLS = 80;
/** Most bytes of data of one record: longer data is committed in parts, each of which is a record. */
export const PART_BYTES = 2 ** 20;
/** Most bytes of a name, or of a label. */
export const MAX_TEXT_BYTES = 1024;
export const MAX_RANK = 8;
/** Heights that trees have: few, so that few circuits and keys do for all datasets. 16^2, 16^4 and 16^6 chunks. */
export const DEPTHS = [2, 4, 6] as const;
/** Bytes of a blinding seed. */
export const SEED_BYTES = 32;

/** Capacities. */
export const TAGS = {
  chain: capacityTag("ap_chain"),
  node: capacityTag("ap_node"),
  root: capacityTag("ap_root"),
  state: capacityTag("ap_state"),
  record: capacityTag("ap_recor"),
} as const;

/** Where chains start. Lengths are added above bit 64 where a chain's elements do not tell theirs. */
export const STARTS = {
  content: capacityTag("content"),
  chunk: capacityTag("chunk"),
  cells: capacityTag("cells"),
  text: capacityTag("text"),
  shape: capacityTag("shape"),
  claim: capacityTag("claim"),
  list: capacityTag("list"),
} as const;

/**
 * The elements that describe a record, in order.
 *
 * - `kind`: version + 2^8 · dtype + 2^16 · rank + 2^24 · base + 2^32 · (exponent + 2^15) + 2^48 · cells: what records of
 *   one kind have in common
 * - `length`: values of the part: bytes of bytes and text, numbers of tensors
 * - `blocks`: steps of its content's chain, ⌈elements / 15⌉
 * - `shape`: of the whole, not of the part: up to rank 4, dimensions of 56 bits, first dimension highest; above, a chain
 * - `name`, `label`: {@link digestText}, 0 for none
 * - `content`: the content's chain; its start where there is no data
 * - `rest`: the chain over the cells from the sixth on; its start where there are none
 * - `part`: number of the part + 2^32 · parts
 * - `cell`: 0 for none; see {@link encodeCell}
 */
export const FIELDS = [
  "kind",
  "length",
  "blocks",
  "shape",
  "name",
  "label",
  "content",
  "rest",
  "part",
  "cell0",
  "cell1",
  "cell2",
  "cell3",
  "cell4",
] as const;

/** Place of a field in a description. */
export const AT = Object.fromEntries(FIELDS.map((name, i) => [name, i])) as Record<(typeof FIELDS)[number], number>;

/** {@link FIELDS}, in order: 14 scalars. */
export type Description = readonly bigint[];

/** A step of chain over any number of elements, zeros after the last. */
export function chainFrom(start: bigint, elements: readonly bigint[]): bigint {
  return chain(TAGS.chain, start, elements);
}

/** Digest of a text; the empty one has one too, so that a cell without text and a cell without anything differ. */
export function digestText(text: Uint8Array): bigint {
  const elements = packElements(text);
  return chainFrom(STARTS.text + (BigInt(text.length) << 64n), elements.length === 0 ? [0n] : elements);
}

/** Digest of a name or label: 0 for the empty one, which is none. */
export function digestName(text: string): bigint {
  return text === "" ? 0n : digestText(utf8(text));
}

/** Digest of content from its elements. */
export function digestContent(elements: readonly bigint[]): bigint {
  return chainFrom(STARTS.content, elements);
}

export function digestCells(cells: readonly bigint[]): bigint {
  return chainFrom(STARTS.cells, cells);
}

export function encodeShape(shape: readonly number[]): bigint {
  if (shape.length <= 4) return shape.reduce((packed, n) => (packed << 56n) | BigInt(n), 0n);
  return chainFrom(STARTS.shape + (BigInt(shape.length) << 64n), shape.map(BigInt));
}

/** One record's step in the chain of its chunk. */
export function absorbRecord(chunk: bigint, description: Description, blind: bigint): bigint {
  return poseidon16(TAGS.chain, [chunk, ...description, blind]);
}

/**
 * One signal for one record's description, in statements about a record: a chain from a salt under a capacity of its own.
 * With salt 0 where the record is revealed; with a random one it hides which record it is.
 */
export function digestDescription(description: Description, salt: bigint): bigint {
  return chain(TAGS.record, salt, description);
}

/** What the totals of a dataset are in its root. Proofs over the whole dataset show them, of `values` those with a range. */
export interface Totals {
  records: number;
  /** Steps of all contents' chains. */
  blocks: number;
  /** Sum of the records' lengths, as their descriptions have them. */
  values: number;
}

/** Everything that the root is the hash of. Says nothing about the data beyond the totals, so it is published. */
export interface RootOpening {
  depth: number;
  top: bigint;
  totals: Totals;
  /** Digest of the column schema's text, 0 where there are no columns. */
  schema: bigint;
}

/** What the root hashes beside the top: records, blocks, values, schema. Inputs of every circuit that knows the root. */
export function openingElements({ totals: { records, blocks, values }, schema }: RootOpening): bigint[] {
  return [BigInt(records), BigInt(blocks), BigInt(values), schema];
}

export function hashRoot(opening: RootOpening): bigint {
  const inputs = [opening.top, ...openingElements(opening), ...new Array<bigint>(11).fill(0n)];
  return poseidon16(TAGS.root + (BigInt(opening.depth) << 64n), inputs);
}

/** Sixteen children; `level` is 1 for those of chunks. */
export function hashNode(level: number, children: readonly bigint[]): bigint {
  return poseidon16(
    TAGS.node + (BigInt(level) << 64n),
    Array.from({ length: 16 }, (_, i) => children[i] ?? 0n),
  );
}

/** @throws INPUT_TOO_LARGE */
export function treeDepth(chunks: number): number {
  const depth = DEPTHS.find((height) => 16 ** height >= chunks);
  if (depth === undefined) throw new AnchorError("INPUT_TOO_LARGE", "a dataset has at most 2^31 records");
  return depth;
}

export function chunkCount(records: number): number {
  return Math.ceil(records / CHUNK_RECORDS);
}

const BLIND_TAG = utf8("anchorproof/record-blind/2");
/** Bytes of the key stream that one blinding value is made from: within 2^-258 of uniform. */
const BLIND_BYTES = 64;

/**
 * The blinding values of a chunk's records: AES-256-CTR under a key derived from the seed, 64 bytes a record, mod r. Zeros
 * without a seed.
 */
export function chunkBlinds(seed: Uint8Array | undefined, chunk: number, records = CHUNK_RECORDS): bigint[] {
  if (!seed) return new Array<bigint>(records).fill(0n);
  const key = createHmac("sha256", seed).update(BLIND_TAG).digest();
  const counter = bigIntToBytes(BigInt(chunk) << 64n, 16);
  const stream = createCipheriv("aes-256-ctr", key, counter).update(new Uint8Array(BLIND_BYTES * records));
  const hex = stream.toString("hex");
  return Array.from(
    { length: records },
    (_, i) => BigInt(`0x${hex.slice(2 * BLIND_BYTES * i, 2 * BLIND_BYTES * (i + 1))}`) % R,
  );
}

/** @throws INPUT_INVALID */
export function checkSeed(seed: unknown): asserts seed is Uint8Array | undefined {
  if (seed === undefined || (seed instanceof Uint8Array && seed.length === SEED_BYTES)) return;
  throw new AnchorError("INPUT_INVALID", `a seed has ${SEED_BYTES} bytes`);
}
