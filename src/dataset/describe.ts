/**
 * Descriptions of many records at once: {@link describeRecord}, with the chains of all of them side by side, and texts that
 * come again (labels) hashed once.
 *
 * @module
 */
import { AnchorError, toAnchorError } from "../errors.js";
import { utf8 } from "../field/bytes.js";
import { decodeScalars, encodeScalars } from "../field/poseidon.js";
import { type ChainJob, type ChainOptions, hashChains, SCALAR_BYTES, STEP_BYTES } from "./chains.js";
import { AT, BLOCK_ELEMENTS, type Description, encodeShape, FIELDS, INLINE_CELLS, STARTS } from "./layout.js";
import { type Column, checkRecord, type DatasetRecord, encodeCell, packing, recordKind } from "./record.js";

/** Bytes of an encoded description: 14 scalars, little-endian. */
export const ROW_BYTES = FIELDS.length * SCALAR_BYTES;

/** Records that are checked between two looks at the clock: some milliseconds. */
const RECORDS_AT_ONCE = 512;

/** A chain's end that goes into a row. */
interface Place {
  readonly row: number;
  readonly field: number;
}

/**
 * The rows of records: their descriptions, 14 scalars of 32 bytes each, little-endian.
 *
 * @throws INPUT_INVALID with `details.record`, the place of the record; ABORTED
 */
export async function describeRecords(
  records: readonly DatasetRecord[],
  columns: readonly Column[],
  options: ChainOptions = {},
): Promise<Uint8Array> {
  const rows = new Uint8Array(records.length * ROW_BYTES);
  const view = new DataView(rows.buffer);
  const jobs: ChainJob[] = [];
  const places: Place[][] = [];
  const texts = new Map<string, number>();
  const add = (job: ChainJob, place?: Place): number => {
    places.push(place ? [place] : []);
    return jobs.push(job) - 1;
  };
  const addText = (text: string, place?: Place): number => {
    let job = texts.get(text);
    if (job === undefined) texts.set(text, (job = add(textJob(text))));
    if (place) places[job]!.push(place);
    return job;
  };
  /** Cells from the sixth on, where they are texts, as jobs: their digests are elements of the chain of the rest. */
  const rests: { row: number; cells: (bigint | { job: number })[] }[] = [];

  for (let row = 0; row < records.length; row++) {
    if (row % RECORDS_AT_ONCE === RECORDS_AT_ONCE - 1) await new Promise(setImmediate);
    const record = records[row]!;
    try {
      checkRecord(record, columns);
    } catch (error) {
      const { code, message } = toAnchorError(error, "INTERNAL", "a record could not be checked");
      throw new AnchorError(code, message, { details: { record: row }, cause: error });
    }
    const { dtype, shape, name = "", label = "", cells = [], part = 0, parts = 1, data } = record;
    const at = (field: number) => row * ROW_BYTES + field * SCALAR_BYTES;
    const put = (field: number, value: bigint) => {
      for (let word = 0, rest = value; rest > 0n; word++, rest >>= 64n) {
        view.setBigUint64(at(field) + 8 * word, BigInt.asUintN(64, rest), true);
      }
    };
    put(AT.kind, recordKind(record));
    putNumber(view, at(AT.length), data.length / packing(dtype).size);
    const content = contentJob(record);
    putNumber(view, at(AT.blocks), content.steps);
    if (shape.length === 1) putNumber(view, at(AT.shape), shape[0]!);
    else put(AT.shape, encodeShape(shape));
    if (name !== "") addText(name, { row, field: AT.name });
    if (label !== "") addText(label, { row, field: AT.label });
    if (content.steps === 0) put(AT.content, STARTS.content);
    else add(content, { row, field: AT.content });
    view.setUint32(at(AT.part), part, true);
    view.setUint32(at(AT.part) + 4, parts, true);
    const rest: (bigint | { job: number })[] = [];
    for (let i = 0; i < cells.length; i++) {
      const cell = cells[i]!;
      if (i < INLINE_CELLS) {
        if (typeof cell === "string") addText(cell, { row, field: AT.cell0 + i });
        else put(AT.cell0 + i, encodeCell(columns[i]!, cell));
      } else rest.push(typeof cell === "string" ? { job: addText(cell) } : encodeCell(columns[i]!, cell));
    }
    if (rest.length === 0) put(AT.rest, STARTS.cells);
    else rests.push({ row, cells: rest });
  }

  const digests = await hashChains(jobs, options);
  const copy = (from: Uint8Array, i: number, { row, field }: Place) =>
    rows.set(from.subarray(i * SCALAR_BYTES, (i + 1) * SCALAR_BYTES), row * ROW_BYTES + field * SCALAR_BYTES);
  places.forEach((own, job) => {
    for (const place of own) copy(digests, job, place);
  });
  const restJobs = rests.map(({ cells }) => {
    const elements = new Uint8Array(cells.length * SCALAR_BYTES);
    cells.forEach((cell, i) => {
      const from = typeof cell === "bigint" ? encodeScalars([cell]) : scalarAt(digests, cell.job);
      elements.set(from, i * SCALAR_BYTES);
    });
    return elementsJob(STARTS.cells, elements);
  });
  const ends = await hashChains(restJobs, options);
  rests.forEach(({ row }, i) => {
    copy(ends, i, { row, field: AT.rest });
  });
  return rows;
}

/** A row's description. */
export function readRow(rows: Uint8Array, index = 0): Description {
  return decodeScalars(rows.subarray(index * ROW_BYTES, (index + 1) * ROW_BYTES));
}

/** A field of a row that is a number. */
export function rowNumber(rows: Uint8Array, index: number, field: number): number {
  const view = new DataView(rows.buffer, rows.byteOffset + index * ROW_BYTES + field * SCALAR_BYTES, 8);
  return view.getUint32(0, true) + 2 ** 32 * view.getUint32(4, true);
}

function putNumber(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % 2 ** 32, true);
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
}

function scalarAt(bytes: Uint8Array, i: number): Uint8Array {
  return bytes.subarray(i * SCALAR_BYTES, (i + 1) * SCALAR_BYTES);
}

/** A chain over elements that are there already. */
export function elementsJob(start: bigint, elements: Uint8Array): ChainJob {
  return {
    start,
    steps: Math.ceil(elements.length / STEP_BYTES),
    fill: (to, at, first, count) => to.set(elements.subarray(first * STEP_BYTES, (first + count) * STEP_BYTES), at),
  };
}

/** `digestText`: as the content of bytes, but for the start, and a step also for the empty text. */
function textJob(text: string): ChainJob {
  const data = utf8(text);
  const { steps, fill } = contentJob({ dtype: "bytes", data });
  return { start: STARTS.text + (BigInt(data.length) << 64n), steps: Math.max(1, steps), fill };
}

/**
 * `digestContent`: little-endian scalars from little-endian numbers, so that only their order within an element is turned,
 * and then their signs.
 */
function contentJob({ dtype, data }: Pick<DatasetRecord, "dtype" | "data">): ChainJob {
  const { size, mode, perElement } = packing(dtype);
  const width = size * perElement;
  const elements = Math.ceil(data.length / width);
  return {
    start: STARTS.content,
    steps: Math.ceil(elements / BLOCK_ELEMENTS),
    fill(to, at, first, count) {
      const last = Math.min(elements, (first + count) * BLOCK_ELEMENTS);
      for (let element = first * BLOCK_ELEMENTS, out = at; element < last; element++, out += SCALAR_BYTES) {
        const from = element * width;
        const end = Math.min(from + width, data.length);
        if (size === 1) for (let i = from, o = out + width - 1; i < end; i++, o--) to[o] = data[i]!;
        else {
          for (let i = from, o = out + width - size; i < end; i += size, o -= size) {
            for (let byte = 0; byte < size; byte++) to[o + byte] = data[i + byte]!;
          }
        }
        if (mode !== "unsigned") {
          for (let o = out + width - size, i = from; i < end; i += size, o -= size) toKey(to, o, size, mode);
        }
      }
    },
  };
}

/** The order-preserving key of a little-endian number. */
function toKey(bytes: Uint8Array, at: number, size: number, mode: "signed" | "float"): void {
  const top = at + size - 1;
  if (mode === "float" && bytes[top]! >= 0x80) {
    for (let i = at; i <= top; i++) bytes[i] = bytes[i]! ^ 0xff;
  } else bytes[top] = bytes[top]! ^ 0x80;
}
