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
import { createHash, createHmac } from "node:crypto";
import { availableParallelism } from "node:os";
import { AnchorError, throwIfAborted } from "../errors.js";
import { capacityTag, concat, ELEMENT_BYTES, type Hex, packElements, toHex, utf8 } from "../field/bytes.js";
import { decodeScalars, encodeScalars, poseidon16, poseidon16Many } from "../field/poseidon.js";
import { bigIntToBytes, R } from "../field/scalar.js";
import { type DatasetRecord, encodeRecord } from "./record.js";

export const LEAF_ELEMENTS = 15;
export const CHUNK_LEAVES = 16;
export const CHUNK_ELEMENTS = LEAF_ELEMENTS * CHUNK_LEAVES;
export const CHUNK_BYTES = CHUNK_ELEMENTS * ELEMENT_BYTES;
/** Chunks that are hashed between two looks at timers and signals: milliseconds with the native core. */
const BLOCK_CHUNKS = 8;
/** More threads than this wait for each other within a block. */
const MAX_THREADS = 4;
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
  for (let first = 0; first < chunks; first += BLOCK_CHUNKS) {
    await new Promise(setImmediate); // lets timers, signals and progress bars run between blocks of hashing
    throwIfAborted(signal);
    for (const root of hashChunks(stream, first, Math.min(BLOCK_CHUNKS, chunks - first), seed)) {
      chunkRoots.push(root);
      onProgress?.(chunkRoots.length, chunks);
    }
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

/** Roots of `count` chunks from the one numbered `first`. */
function hashChunks(stream: Uint8Array, first: number, count: number, seed: Uint8Array | undefined): bigint[] {
  const threads = Math.min(MAX_THREADS, availableParallelism());
  const leaves = leafInputs(stream, first, count, seed);
  const lengths = Array.from({ length: count }, (_, i) => {
    const bytes = Math.min(CHUNK_BYTES, stream.length - (first + i) * CHUNK_BYTES);
    return TAGS.chunk + (BigInt(bytes / ELEMENT_BYTES) << 64n);
  });
  // Sixteen leaf hashes in a row are the inputs of their chunk.
  const hashes = poseidon16Many(encodeScalars([TAGS.leaf]), leaves, threads);
  return decodeScalars(poseidon16Many(encodeScalars(lengths), hashes, threads));
}

/**
 * What the leaves of whole chunks hash, as {@link poseidon16Many} takes it: bytes to bytes, as a detour over integers
 * would take longer than the core's hashing. Elements are big-endian in the stream ({@link packElements}) and
 * little-endian here.
 */
function leafInputs(stream: Uint8Array, first: number, count: number, seed: Uint8Array | undefined): Uint8Array {
  const inputs = new Uint8Array(count * CHUNK_LEAVES * 16 * 32);
  const end = Math.min(stream.length, (first + count) * CHUNK_BYTES);
  for (let at = first * CHUNK_BYTES, element = 0; at < end; at += ELEMENT_BYTES, element++) {
    const top = (element + Math.floor(element / LEAF_ELEMENTS)) * 32 + ELEMENT_BYTES - 1;
    for (let i = 0; i < ELEMENT_BYTES; i++) inputs[top - i] = stream[at + i]!;
  }
  if (seed) {
    for (let leaf = 0; leaf < count * CHUNK_LEAVES; leaf++) {
      inputs.set(encodeScalars([leafBlind(seed, first * CHUNK_LEAVES + leaf)]), (leaf * 16 + LEAF_ELEMENTS) * 32);
    }
  }
  return inputs;
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
    // The level as it is, with zeros up to a multiple of 16.
    const inputs = new Uint8Array(Math.ceil(below.length / 16) * 16 * 32);
    inputs.set(encodeScalars(below));
    levels.push(decodeScalars(poseidon16Many(encodeScalars([TAGS.node + (BigInt(level) << 64n)]), inputs)));
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
  const mac = createHmac("sha512", seed)
    .update(BLIND_TAG)
    .update(bigIntToBytes(BigInt(leafIndex), 8))
    .digest("hex");
  return BigInt(`0x${mac}`) % R;
}

function checkSeed(seed: Uint8Array | undefined): void {
  if (seed === undefined || (seed instanceof Uint8Array && seed.length === SEED_BYTES)) return;
  throw new AnchorError("INPUT_INVALID", `a seed has ${SEED_BYTES} bytes`);
}
