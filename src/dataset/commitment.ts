/**
 * The commitment to a dataset: one field element that binds every record, in order.
 *
 * All hashing is Poseidon of 16 inputs, with an ASCII tag in the low 64 bits of the capacity and a length or level
 * above it (see {@link TAGS}):
 *
 *     leaf      15 elements of 31 bytes, and a blinding value
 *     chunk     16 leaves (240 elements, 7,440 bytes); capacity + 2^64 · number of real elements
 *     node      16 children; capacity + 2^64 · level; missing children are 0
 *     root      top node, records, elements, chunks, bytes; capacity + 2^64 · height
 *
 * Blinding values are HMAC-SHA-512(seed, tag ‖ leaf index) mod r, so that roots, siblings and chunk roots say nothing
 * about guessable data. A seed is for one dataset: with the same one, equal leaves at equal places show in two datasets'
 * trees. A public dataset may leave them out (all 0): its root is then a function of the data alone.
 *
 * The circuit `circuits/dataset/chunk.circom` computes the same root.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { hmac } from "@noble/hashes/hmac.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { AnchorError, throwIfAborted } from "../errors.js";
import { capacityTag, concat, ELEMENT_BYTES, type Hex, packElements, toHex, utf8 } from "../field/bytes.js";
import { poseidon16 } from "../field/poseidon.js";
import { bigIntToBytes, bytesToBigInt, R } from "../field/scalar.js";
import { type DatasetRecord, encodeRecord } from "./record.js";

export const LEAF_ELEMENTS = 15;
export const CHUNK_LEAVES = 16;
export const CHUNK_ELEMENTS = LEAF_ELEMENTS * CHUNK_LEAVES;
export const CHUNK_BYTES = CHUNK_ELEMENTS * ELEMENT_BYTES;
/** Bytes of a blinding seed. */
export const SEED_BYTES = 32;

export const TAGS = {
  leaf: capacityTag("ap_leaf"),
  chunk: capacityTag("ap_chunk"),
  node: capacityTag("ap_node"),
  root: capacityTag("ap_root"),
} as const;

export interface DatasetTotals {
  records: number;
  /** Field elements, padding of records included, padding of the last chunk not. */
  elements: number;
  chunks: number;
  /** Length of the canonical stream: 31 · elements. */
  bytes: number;
}

/** What a creator publishes. */
export interface DatasetCommitment {
  root: bigint;
  /** Height of the 16-ary tree over the chunk roots, at least 1. */
  depth: number;
  totals: DatasetTotals;
  /**
   * SHA-256 of the canonical stream, for LazAI's DataRegistry. Nothing proves that it names the same bytes as the root,
   * and it is not blinded: whoever publishes it lets anyone test a guess at the data.
   */
  sha256: Hex;
  blinded: boolean;
}

/** What a creator keeps, to prove things later. The chunk roots are no secret when blinded; the stream and seed are. */
export interface CommittedDataset {
  commitment: DatasetCommitment;
  chunkRoots: readonly bigint[];
  /** The canonical stream: the encoded records, one after another. */
  stream: Uint8Array;
  seed: Uint8Array | undefined;
}

export interface CommitOptions {
  /** 32 secret bytes that blind the leaves; without it the root is deterministic and guessable data can be guessed. */
  seed?: Uint8Array | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: ((doneChunks: number, chunks: number) => void) | undefined;
}

/**
 * Commits to records, in their order.
 *
 * @throws DATASET_EMPTY, INPUT_INVALID, ABORTED
 */
export async function commitDataset(
  records: Iterable<DatasetRecord>,
  options: CommitOptions = {},
): Promise<CommittedDataset> {
  const parts: Uint8Array[] = [];
  for (const record of records) parts.push(encodeRecord(record));
  return commitStream(concat(...parts), parts.length, options);
}

/** {@link commitDataset} for a canonical stream that is already encoded. */
export async function commitStream(
  stream: Uint8Array,
  records: number,
  { seed, signal, onProgress }: CommitOptions = {},
): Promise<CommittedDataset> {
  if (!Number.isSafeInteger(records)) throw new AnchorError("INPUT_INVALID", "the number of records is an integer");
  if (records < 1 || stream.length === 0) throw new AnchorError("DATASET_EMPTY", "a dataset has at least one record");
  if (stream.length % ELEMENT_BYTES !== 0)
    throw new AnchorError("DATASET_MISMATCH", "the canonical stream is truncated");
  checkSeed(seed);
  const elements = stream.length / ELEMENT_BYTES;
  const chunks = Math.ceil(elements / CHUNK_ELEMENTS);
  const chunkRoots: bigint[] = [];
  for (let index = 0; index < chunks; index++) {
    if (index % 8 === 0) {
      await new Promise(setImmediate); // lets timers, signals and progress bars run between blocks of hashing
      throwIfAborted(signal);
    }
    chunkRoots.push(hashChunk(chunkElements(stream, index), index, seed));
    onProgress?.(index + 1, chunks);
  }
  const depth = treeDepth(chunks);
  const totals = { records, elements, chunks, bytes: stream.length };
  const top = treeLevels(chunkRoots, depth)[depth]![0]!;
  return {
    commitment: {
      root: hashRoot(top, depth, totals),
      depth,
      totals,
      sha256: toHex(createHash("sha256").update(stream).digest()),
      blinded: seed !== undefined,
    },
    chunkRoots,
    stream,
    seed,
  };
}

/**
 * Commits again to data that was committed before, and refuses it when anything has changed since. The root says it
 * all; the SHA-256, which may not have been kept, is not compared.
 *
 * @throws DATASET_MISMATCH
 */
export async function reopenDataset(
  commitment: Pick<DatasetCommitment, "root" | "depth" | "totals">,
  stream: Uint8Array,
  options: CommitOptions = {},
): Promise<CommittedDataset> {
  const again = await commitStream(stream, commitment.totals.records, options);
  const { root, depth, totals } = again.commitment;
  const same =
    root === commitment.root &&
    depth === commitment.depth &&
    totals.elements === commitment.totals.elements &&
    totals.chunks === commitment.totals.chunks &&
    totals.bytes === commitment.totals.bytes;
  if (!same) {
    throw new AnchorError(
      "DATASET_MISMATCH",
      "data or seed is not what the commitment was made from: the root is another",
    );
  }
  return again;
}

/** Inputs of `circuits/dataset/chunk.circom` for one chunk, but for the context. */
export interface ChunkWitness {
  root: bigint;
  index: bigint;
  count: bigint;
  element: bigint[];
  blind: bigint[];
  group: bigint[][];
  header: bigint[];
}

/** @throws DATASET_CHUNK_UNKNOWN */
export function chunkWitness(dataset: CommittedDataset, index: number): ChunkWitness {
  const { commitment, chunkRoots, stream, seed } = dataset;
  const { totals, depth, root } = commitment;
  if (!Number.isInteger(index) || index < 0 || index >= totals.chunks) {
    throw new AnchorError("DATASET_CHUNK_UNKNOWN", `chunks are numbered 0 to ${totals.chunks - 1}, not ${index}`);
  }
  const element = chunkElements(stream, index);
  const count = element.length;
  while (element.length < CHUNK_ELEMENTS) element.push(0n);
  const levels = treeLevels(chunkRoots, depth);
  const group = Array.from({ length: depth }, (_, level) => {
    const first = Math.floor(index / 16 ** (level + 1)) * 16;
    return children(levels[level]!, first);
  });
  return {
    root,
    index: BigInt(index),
    count: BigInt(count),
    element,
    blind: Array.from({ length: CHUNK_LEAVES }, (_, leaf) => leafBlind(seed, index * CHUNK_LEAVES + leaf)),
    group,
    header: headerElements(totals),
  };
}

/** Number of real elements in a chunk of a dataset. */
export function chunkCount(totals: DatasetTotals, index: number): number {
  return Math.min(CHUNK_ELEMENTS, totals.elements - index * CHUNK_ELEMENTS);
}

/** The smallest height, at least 1, of a 16-ary tree over this many chunks. */
export function treeDepth(chunks: number): number {
  let depth = 1;
  while (16 ** depth < chunks) depth++;
  return depth;
}

function chunkElements(stream: Uint8Array, index: number): bigint[] {
  return packElements(stream.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES));
}

function hashChunk(elements: readonly bigint[], index: number, seed: Uint8Array | undefined): bigint {
  const leaves: bigint[] = [];
  for (let leaf = 0; leaf < CHUNK_LEAVES; leaf++) {
    const inputs = elements.slice(leaf * LEAF_ELEMENTS, (leaf + 1) * LEAF_ELEMENTS);
    while (inputs.length < LEAF_ELEMENTS) inputs.push(0n);
    leaves.push(poseidon16(TAGS.leaf, [...inputs, leafBlind(seed, index * CHUNK_LEAVES + leaf)]));
  }
  return poseidon16(TAGS.chunk + (BigInt(elements.length) << 64n), leaves);
}

function hashRoot(top: bigint, depth: number, totals: DatasetTotals): bigint {
  const inputs = [top, ...headerElements(totals), ...new Array<bigint>(11).fill(0n)];
  return poseidon16(TAGS.root + (BigInt(depth) << 64n), inputs);
}

function headerElements({ records, elements, chunks, bytes }: DatasetTotals): bigint[] {
  return [records, elements, chunks, bytes].map(BigInt);
}

/** Levels from the chunk roots (0) to the single top node (`depth`), without the missing nodes. */
function treeLevels(chunkRoots: readonly bigint[], depth: number): bigint[][] {
  const levels: bigint[][] = [[...chunkRoots]];
  for (let level = 1; level <= depth; level++) {
    const below = levels[level - 1]!;
    const nodes: bigint[] = [];
    for (let first = 0; first < below.length; first += 16) {
      nodes.push(poseidon16(TAGS.node + (BigInt(level) << 64n), children(below, first)));
    }
    levels.push(nodes);
  }
  return levels;
}

function children(level: readonly bigint[], first: number): bigint[] {
  return Array.from({ length: 16 }, (_, i) => level[first + i] ?? 0n);
}

const BLIND_TAG = utf8("anchorproof/leaf-blind/1");

/** 512 bits reduced mod r: within 2^-258 of uniform. */
function leafBlind(seed: Uint8Array | undefined, leafIndex: number): bigint {
  if (!seed) return 0n;
  return bytesToBigInt(hmac(sha512, seed, concat(BLIND_TAG, bigIntToBytes(BigInt(leafIndex), 8)))) % R;
}

function checkSeed(seed: Uint8Array | undefined): void {
  if (seed === undefined || (seed instanceof Uint8Array && seed.length === SEED_BYTES)) return;
  throw new AnchorError("INPUT_INVALID", `a seed has ${SEED_BYTES} bytes`);
}
