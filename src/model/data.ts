/**
 * Readers of calibration and evaluation sets: samples as a model takes them, with the true classes where they are known.
 *
 * - JSON: `{ "inputs": [[0.5, …], …], "labels": [0, …] }`, `labels` optional;
 * - NumPy `.npy`, versions 1 to 3, in C order: the first dimension counts the samples, the others are flattened;
 * - IDX, the format of MNIST and Fashion-MNIST, likewise; the labels are looked for beside the images.
 *
 * The content decides which it is, not the name, and each may be compressed by gzip. Files are read as a stream: no
 * header, and no compressed file, can make the reader allocate more than what the file really holds, or than
 * {@link SAMPLE_LIMITS}.
 *
 * @module
 */

import { access, type FileHandle, open } from "node:fs/promises";
import { endianness } from "node:os";
import { basename, dirname, join } from "node:path";
import { pipeline, Readable } from "node:stream";
import { createGunzip, type Gunzip } from "node:zlib";
import { AnchorError, throwIfAborted, toAnchorError } from "../errors.js";
import { MAX_NPY_HEADER, NPY_MAGIC_BYTES, npyLengthBytes, parseNpyHeader } from "../npy.js";
import { GRAPH_LIMITS } from "./graph.js";

/** Limits of what is read at once. */
export const SAMPLE_LIMITS = {
  samples: 1_000_000,
  /** Numbers of all samples together: half a gigabyte as float32. */
  values: 134_217_728,
  /** Bytes of a JSON file, inflated. */
  json: 256 * 1024 * 1024,
} as const;

/** Inputs of the float model, to calibrate on and to compare on, with the true classes where they are known. */
export interface SampleSet {
  readonly inputs: readonly (readonly number[] | Float32Array | Float64Array)[];
  /** Class index of each input. */
  readonly labels?: readonly number[];
}

export interface ReadSamplesOptions {
  /**
   * The file of the labels: a JSON list, or `.npy` or IDX of one dimension. Default for IDX: the file beside the images
   * that has `labels` for `images` in its name, if there is one.
   */
  readonly labels?: string;
  /** Read this many samples at most; what follows them is not looked at. */
  readonly limit?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: { done: number; total: number }) => void;
}

/**
 * Reads a set of samples. Numbers keep their value: int32, int64 and float64 come as `Float64Array`, smaller ones as
 * `Float32Array`. Samples of one file may share memory.
 *
 * @throws AnchorError `FILE_NOT_FOUND`, `FILE_UNREADABLE`; `JSON_MALFORMED`; `INPUT_INVALID` for a file that is damaged,
 *   cut off, longer than its header says, of a type that is not read, or that holds a number that is not finite;
 *   `INPUT_TOO_LARGE` above {@link SAMPLE_LIMITS}; `ABORTED`.
 */
export async function readSamples(path: string, options: ReadSamplesOptions = {}): Promise<SampleSet> {
  const { limit, signal } = options;
  if (limit !== undefined && !(Number.isSafeInteger(limit) && limit > 0)) {
    throw new AnchorError("INPUT_INVALID", "limit must be a positive integer");
  }
  return withBytes(path, signal, async (bytes) => {
    const format = await formatOf(bytes);
    if (format === "json") {
      const set = parseSet(await jsonOf(bytes), path);
      if (options.labels !== undefined && set.labels !== undefined) {
        throw new AnchorError("INPUT_INVALID", `${path} has labels of its own; drop ${options.labels}`);
      }
      const count = Math.min(set.inputs.length, limit ?? Number.POSITIVE_INFINITY);
      const labels =
        options.labels === undefined
          ? set.labels
          : await readLabels(options.labels, path, set.inputs.length, count, signal);
      return withLabels(set.inputs.slice(0, count), labels?.slice(0, count));
    }
    const array = format === "npy" ? await npyHeader(bytes) : await idxHeader(bytes);
    const [total = 0, ...dimensions] = array.shape;
    if (dimensions.length === 0) {
      throw invalid(bytes, "has one dimension; the first must count the samples (numpy.reshape(-1, n))");
    }
    const count = Math.min(total, limit ?? Number.POSITIVE_INFINITY);
    const size = dimensions.reduce((product, dimension) => product * dimension, 1);
    if (total === 0 || size === 0) throw invalid(bytes, `holds no sample: its shape is ${array.shape.join(" × ")}`);
    if (size > GRAPH_LIMITS.width) {
      throw new AnchorError(
        "INPUT_TOO_LARGE",
        `${path}: a sample of ${size} numbers; a model takes ${GRAPH_LIMITS.width} at most`,
      );
    }
    if (count > SAMPLE_LIMITS.samples || count * size > SAMPLE_LIMITS.values) {
      throw new AnchorError(
        "INPUT_TOO_LARGE",
        `${path}: ${count} samples of ${size} numbers; ${SAMPLE_LIMITS.samples} samples and ${SAMPLE_LIMITS.values} numbers are read at most`,
      );
    }
    // Labels first: they are small, and a file of another set is noticed before the large one is read.
    const from = options.labels ?? (format === "idx" ? await labelsBeside(path) : undefined);
    const labels = from === undefined ? undefined : await readLabels(from, path, total, count, signal);

    const inputs: (Float32Array | Float64Array)[] = [];
    const block = Math.max(1, Math.floor(BLOCK / size));
    while (inputs.length < count) {
      const samples = Math.min(block, count - inputs.length);
      const values = await readNumbers(bytes, array, samples * size, (index) => {
        const sample = inputs.length + Math.floor(index / size);
        return `sample ${sample}, number ${index % size}`;
      });
      for (let i = 0; i < samples; i++) inputs.push(values.subarray(i * size, (i + 1) * size));
      options.onProgress?.({ done: inputs.length, total: count });
    }
    if (count === total) await expectEnd(bytes);
    return withLabels(inputs, labels);
  });
}

/**
 * Reads a set from the text of a JSON file, `{ "inputs": [[0.5, …], …], "labels": [0, …] }`, `labels` optional.
 *
 * @throws AnchorError `JSON_MALFORMED`, `INPUT_INVALID`, `INPUT_TOO_LARGE`.
 */
export function parseCalibration(text: string): SampleSet {
  return parseSet(parseJson(text, "the calibration file"), "the calibration file");
}

/** @throws AnchorError `INPUT_INVALID`, `INPUT_TOO_LARGE`. */
export function checkSet(value: unknown, name: string): asserts value is SampleSet {
  const wrong = (problem: string) => new AnchorError("INPUT_INVALID", `${name}: ${problem}`);
  if (typeof value !== "object" || value === null) throw wrong("must be an object with inputs");
  const { inputs, labels } = value as { inputs?: unknown; labels?: unknown };
  if (!Array.isArray(inputs) || inputs.length === 0) throw wrong("inputs must be a list of at least one sample");
  if (inputs.length > SAMPLE_LIMITS.samples) {
    throw new AnchorError("INPUT_TOO_LARGE", `${name}: is limited to ${SAMPLE_LIMITS.samples} samples`);
  }
  // Loops, not `every` or `forEach`: those skip the holes of a sparse array, and this runs over millions of numbers.
  for (let index = 0; index < inputs.length; index++) {
    const input: unknown = inputs[index];
    if (!Array.isArray(input) && !(input instanceof Float32Array) && !(input instanceof Float64Array)) {
      throw wrong(`inputs[${index}] must be a list of finite numbers`);
    }
    for (let at = 0; at < input.length; at++) {
      if (!Number.isFinite(input[at])) throw wrong(`inputs[${index}][${at}] must be a finite number`);
    }
  }
  if (labels === undefined) return;
  if (!isLabels(labels) || labels.length !== inputs.length) {
    throw wrong("labels must be one class index for each input");
  }
}

/** Numbers read at once, as long as a sample is not larger. */
const BLOCK = 262_144;
const MAX_RANK = 8;

/** Kinds of numbers in files. What float32 cannot hold exactly is kept as float64. */
const NUMBERS = {
  u1: { array: Uint8Array, wide: false, whole: true },
  i1: { array: Int8Array, wide: false, whole: true },
  u2: { array: Uint16Array, wide: false, whole: true },
  i2: { array: Int16Array, wide: false, whole: true },
  u4: { array: Uint32Array, wide: true, whole: true },
  i4: { array: Int32Array, wide: true, whole: true },
  u8: { array: BigUint64Array, wide: true, whole: true },
  i8: { array: BigInt64Array, wide: true, whole: true },
  f4: { array: Float32Array, wide: false, whole: false },
  f8: { array: Float64Array, wide: true, whole: false },
} as const;
type NumberKind = keyof typeof NUMBERS;

const IDX_KINDS = new Map<number, NumberKind>([
  [0x08, "u1"],
  [0x09, "i1"],
  [0x0b, "i2"],
  [0x0c, "i4"],
  [0x0d, "f4"],
  [0x0e, "f8"],
]);

interface ArrayHeader {
  readonly kind: NumberKind;
  readonly order: "LE" | "BE";
  readonly shape: readonly number[];
}

function withLabels(inputs: SampleSet["inputs"], labels: readonly number[] | undefined): SampleSet {
  return labels === undefined ? { inputs } : { inputs, labels };
}

function isLabels(value: unknown): value is number[] {
  if (!Array.isArray(value)) return false;
  for (let i = 0; i < value.length; i++) if (!Number.isSafeInteger(value[i]) || value[i] < 0) return false;
  return true;
}

function parseSet(value: unknown, name: string): SampleSet {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new AnchorError("INPUT_INVALID", `${name}: must be an object { "inputs": [[…], …] }`);
  }
  const unknown = Object.keys(value).find((key) => key !== "inputs" && key !== "labels");
  if (unknown !== undefined) {
    throw new AnchorError("INPUT_INVALID", `${name}: unknown field ${JSON.stringify(unknown)}`);
  }
  checkSet(value, name);
  return value;
}

function parseJson(text: string, name: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new AnchorError("JSON_MALFORMED", `${name} is not JSON: ${(error as Error).message}`, { cause: error });
  }
}

/** Labels of the first `count` samples of `total`. */
function readLabels(
  path: string,
  of: string,
  total: number,
  count: number,
  signal: AbortSignal | undefined,
): Promise<number[]> {
  return withBytes(path, signal, async (bytes) => {
    const expect = (labels: number) => {
      if (labels !== total) {
        throw invalid(bytes, `${labels} labels, but ${of} has ${total} samples: they do not belong together`);
      }
    };
    const format = await formatOf(bytes);
    if (format === "json") {
      const labels = await jsonOf(bytes);
      if (!isLabels(labels)) throw invalid(bytes, "must be a list of class indices");
      expect(labels.length);
      return labels.slice(0, count);
    }
    const array = format === "npy" ? await npyHeader(bytes) : await idxHeader(bytes);
    if (array.shape.length !== 1 || !NUMBERS[array.kind].whole) {
      throw invalid(bytes, "must be a list of class indices: integers, one dimension");
    }
    expect(array.shape[0]!);
    const labels: number[] = [];
    while (labels.length < count) {
      const from = labels.length;
      const part = await readNumbers(bytes, array, Math.min(BLOCK, count - from), (index) => `label ${from + index}`);
      for (const [index, label] of part.entries()) {
        if (label < 0) throw invalid(bytes, `label ${from + index} is negative`);
        labels.push(label);
      }
    }
    if (count === total) await expectEnd(bytes);
    return labels;
  });
}

/** `train-images-idx3-ubyte.gz` → `train-labels-idx1-ubyte.gz`, or the same file unpacked, or packed. */
async function labelsBeside(path: string): Promise<string | undefined> {
  const name = basename(path);
  const labels = name.replace("images", "labels").replace(/idx\d/, "idx1");
  if (labels === name.replace(/idx\d/, "idx1")) return undefined;
  for (const each of [labels, labels.endsWith(".gz") ? labels.slice(0, -3) : `${labels}.gz`]) {
    const file = join(dirname(path), each);
    const found = await access(file).then(
      () => true,
      () => false,
    );
    if (found) return file;
  }
  return undefined;
}

async function formatOf(bytes: Bytes): Promise<"json" | "npy" | "idx"> {
  const head = await bytes.peek(6);
  if (head.length === 0) throw invalid(bytes, "is empty");
  if (head.toString("latin1") === "\x93NUMPY") return "npy";
  if (head[0] === 0 && head[1] === 0) return "idx";
  if (/^(?:\xef\xbb\xbf)?\s*[[{]|^\s{6}$/.test(head.toString("latin1"))) return "json";
  throw invalid(bytes, "is neither JSON nor NumPy's .npy nor IDX (an .npz is a ZIP: save one array with numpy.save)");
}

async function jsonOf(bytes: Bytes): Promise<unknown> {
  const content = await bytes.rest(SAMPLE_LIMITS.json);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(content);
  } catch (error) {
    throw new AnchorError("JSON_MALFORMED", `${bytes.path} is not JSON: it is not UTF-8`, { cause: error });
  }
  return parseJson(text, bytes.path);
}

/** Magic `00 00`, kind, number of dimensions, the dimensions; big-endian. */
async function idxHeader(bytes: Bytes): Promise<ArrayHeader> {
  const [, , code, rank] = await bytes.take(4, "the IDX header");
  const kind = IDX_KINDS.get(code!);
  if (kind === undefined) throw invalid(bytes, `is not IDX: 0x${code!.toString(16).padStart(2, "0")} names no type`);
  if (rank! < 1 || rank! > MAX_RANK) throw invalid(bytes, `has ${rank} dimensions; 1 to ${MAX_RANK} are read`);
  const dimensions = await bytes.take(4 * rank!, "the IDX header");
  return { kind, order: "BE", shape: Array.from({ length: rank! }, (_, i) => dimensions.readUInt32BE(4 * i)) };
}

/** An `.npy` header; see `src/npy.ts`. */
async function npyHeader(bytes: Bytes): Promise<ArrayHeader> {
  const magic = await bytes.take(NPY_MAGIC_BYTES, "the .npy header");
  const width = npyLengthBytes(magic);
  if (typeof width === "string") throw invalid(bytes, width);
  const length = (await bytes.take(width, "the .npy header")).readUIntLE(0, width);
  if (length > MAX_NPY_HEADER)
    throw invalid(bytes, `has a header of ${length} bytes; ${MAX_NPY_HEADER} are read at most`);
  const header = parseNpyHeader(magic, await bytes.take(length, "the .npy header"));
  if (header === undefined) {
    throw invalid(bytes, "has a header that is not one of a plain array (numpy.save of an array of numbers)");
  }
  const { descr, fortranOrder, shape } = header;
  const [, order, kind] = /^([<>|])([a-z]\d+)$/.exec(descr) ?? [];
  if (!isKind(kind) || (order === "|" && NUMBERS[kind].array.BYTES_PER_ELEMENT > 1)) {
    throw invalid(bytes, `holds numbers of type '${descr}'; convert them with .astype("float32")`);
  }
  if (fortranOrder) {
    throw invalid(bytes, "is in Fortran order; save numpy.ascontiguousarray of it");
  }
  if (shape.length < 1 || shape.length > MAX_RANK) {
    throw invalid(bytes, `has ${shape.length} dimensions; 1 to ${MAX_RANK} are read`);
  }
  if (!shape.every(Number.isSafeInteger)) throw invalid(bytes, `cannot have the shape ${shape.join(" × ")}`);
  return { kind, order: order === ">" ? "BE" : "LE", shape };
}

function isKind(kind: string | undefined): kind is NumberKind {
  return kind !== undefined && Object.hasOwn(NUMBERS, kind);
}

async function readNumbers(
  bytes: Bytes,
  { kind, order }: ArrayHeader,
  count: number,
  where: (index: number) => string,
): Promise<Float32Array | Float64Array> {
  const { array, wide, whole } = NUMBERS[kind];
  const each = array.BYTES_PER_ELEMENT;
  const raw = await bytes.take(count * each, where(0));
  if (order !== endianness()) {
    if (each === 2) raw.swap16();
    else if (each === 4) raw.swap32();
    else if (each === 8) raw.swap64();
  }
  const source = new array(raw.buffer as ArrayBuffer, raw.byteOffset, count);
  const values = wide ? new Float64Array(count) : new Float32Array(count);
  if (source instanceof BigInt64Array || source instanceof BigUint64Array) {
    for (let i = 0; i < count; i++) {
      values[i] = Number(source[i]);
      if (!Number.isSafeInteger(values[i])) throw invalid(bytes, `${where(i)} is ${source[i]}: beyond 2^53`);
    }
  } else {
    values.set(source);
    if (!whole) {
      for (let i = 0; i < count; i++) {
        if (!Number.isFinite(values[i])) throw invalid(bytes, `${where(i)} is ${values[i]}: not a finite number`);
      }
    }
  }
  return values;
}

async function expectEnd(bytes: Bytes): Promise<void> {
  if ((await bytes.peek(1)).length > 0)
    throw invalid(bytes, `goes on after the ${bytes.offset} bytes of its header's shape`);
}

function invalid(bytes: Bytes, problem: string): AnchorError {
  return new AnchorError("INPUT_INVALID", `${bytes.path}: ${problem}`);
}

/** Bytes of a file in order, as many as are asked for, whatever the pieces that they come in. */
class Bytes {
  /** Bytes taken so far, inflated. */
  offset = 0;
  readonly #pieces: AsyncIterator<Uint8Array>;
  readonly #signal: AbortSignal | undefined;
  #pending: Uint8Array[] = [];
  #buffered = 0;

  constructor(
    readonly path: string,
    pieces: AsyncIterable<Uint8Array>,
    signal: AbortSignal | undefined,
  ) {
    this.#pieces = pieces[Symbol.asyncIterator]();
    this.#signal = signal;
  }

  /** The next `count` bytes, fewer only at the end; they stay. */
  async peek(count: number): Promise<Buffer> {
    await this.#fill(count);
    const all = Buffer.concat(this.#pending);
    this.#pending = [all];
    return all.subarray(0, count);
  }

  /** The next `count` bytes, in memory of their own: aligned for any typed array. */
  async take(count: number, what: string): Promise<Buffer> {
    await this.#fill(count);
    if (this.#buffered < count) throw invalid(this, `ends after ${this.offset + this.#buffered} bytes, in ${what}`);
    const result = Buffer.from(new ArrayBuffer(count));
    let at = 0;
    while (at < count) {
      const piece = this.#pending[0]!;
      const part = piece.subarray(0, count - at);
      result.set(part, at);
      at += part.length;
      if (part.length === piece.length) this.#pending.shift();
      else this.#pending[0] = piece.subarray(part.length);
    }
    this.#buffered -= count;
    this.offset += count;
    return result;
  }

  async rest(limit: number): Promise<Buffer> {
    await this.#fill(limit + 1);
    if (this.#buffered > limit) {
      throw new AnchorError("INPUT_TOO_LARGE", `${this.path}: more than ${limit} bytes; save the numbers as .npy`);
    }
    return this.take(this.#buffered, "");
  }

  /** What has not been taken, piece by piece. */
  async *pieces(): AsyncGenerator<Uint8Array> {
    yield* this.#pending;
    for (;;) {
      throwIfAborted(this.#signal);
      const { value, done } = await this.#pieces.next();
      if (done === true) return;
      yield value;
    }
  }

  async #fill(count: number): Promise<void> {
    while (this.#buffered < count) {
      throwIfAborted(this.#signal);
      const { value, done } = await this.#pieces.next();
      if (done === true) return;
      this.#pending.push(value);
      this.#buffered += value.length;
    }
  }
}

/** Opens a file, inflates it where it is gzip, and closes it whatever happens. */
async function withBytes<T>(
  path: string,
  signal: AbortSignal | undefined,
  use: (bytes: Bytes) => Promise<T>,
): Promise<T> {
  throwIfAborted(signal);
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    if (missing) throw new AnchorError("FILE_NOT_FOUND", `${path}: no such file`, { cause: error });
    throw toAnchorError(error, "FILE_UNREADABLE", `cannot read ${path}`);
  }
  let gunzip: Gunzip | undefined;
  try {
    const bytes = new Bytes(path, piecesOf(file), signal);
    const head = await bytes.peek(2);
    if (head[0] !== 0x1f || head[1] !== 0x8b) return await use(bytes);
    gunzip = createGunzip({ chunkSize: 262_144 });
    // An error of either stream reaches whoever reads the last one; the callback only keeps it from being thrown twice.
    pipeline(Readable.from(bytes.pieces()), gunzip, () => {});
    return await use(new Bytes(path, gunzip, signal));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code?.startsWith("Z_")) {
      throw new AnchorError("INPUT_INVALID", `${path}: the gzip file is damaged or cut off`, { cause: error });
    }
    // The system's errors only: what a caller's `onProgress` throws is theirs.
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw toAnchorError(error, "FILE_UNREADABLE", `cannot read ${path}`);
  } finally {
    gunzip?.destroy();
    await file.close();
  }
}

async function* piecesOf(file: FileHandle): AsyncGenerator<Uint8Array> {
  for (;;) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(1_048_576), 0, 1_048_576, null);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}
