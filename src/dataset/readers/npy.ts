/**
 * NumPy's `.npy`: a record a row along the first axis, or the whole array.
 *
 * @module
 */
import { MAX_NPY_HEADER, NPY_MAGIC_BYTES, npyLengthBytes, parseNpyHeader } from "../../npy.js";
import { MAX_RANK } from "../layout.js";
import { DTYPES, type Dtype } from "../record.js";
import { type Context, type Conversion, checkBools, emit, streamParts, swapBytes } from "./context.js";
import { BATCH_RECORDS, type Source, type SourcedRecord } from "./source.js";

const TYPES = new Map<string, Dtype>([
  ["b1", "bool"],
  ["i1", "i8"],
  ["i2", "i16"],
  ["i4", "i32"],
  ["i8", "i64"],
  ["u1", "u8"],
  ["u2", "u16"],
  ["u4", "u32"],
  ["u8", "u64"],
  ["f2", "f16"],
  ["f4", "f32"],
  ["f8", "f64"],
]);

export async function* readNpy(source: Source, context: Context): AsyncGenerator<SourcedRecord[]> {
  const { dtype, shape, swapped } = await readHeader(source);
  const conversion: Conversion = {
    convert(data, at) {
      if (dtype === "bool") checkBools(source, data, at);
      return swapped ? swapBytes(data, DTYPES[dtype].size) : data;
    },
  };
  const [rows, ...row] = context.options.whole || shape.length === 0 ? [1, ...shape] : shape;
  const values = row.reduce((product, dimension) => product * dimension, 1);
  const bytes = rows! * values * DTYPES[dtype].size;
  const left = source.size - source.offset;
  if (bytes !== left) {
    const of = `its shape (${shape.join(", ")}) of ${dtype}`;
    throw source.malformed(`has ${left} bytes of data after the header; ${of} needs ${bytes}`);
  }
  if (values === 0 && rows! > 1) {
    throw source.malformed(`has ${rows} rows without a value: its shape is (${shape.join(", ")})`);
  }
  let batch: SourcedRecord[] = [];
  for (let i = 0; i < rows!; i++) {
    const offset = source.offset;
    for await (const part of streamParts(source, { ...context.fields, dtype, shape: row }, values, conversion)) {
      batch.push(...emit(source, [part], { offset }));
      // Not many large ones at once.
      if (batch.length < BATCH_RECORDS && part.data.length * batch.length < 2 ** 20) continue;
      yield batch;
      batch = [];
    }
  }
  if (batch.length > 0) yield batch;
}

async function readHeader(source: Source): Promise<{ dtype: Dtype; shape: readonly number[]; swapped: boolean }> {
  const magic = await source.take(NPY_MAGIC_BYTES, "the .npy header");
  const width = npyLengthBytes(magic);
  if (typeof width === "string") throw source.malformed(width, { offset: 0 });
  const length = (await source.take(width, "the .npy header")).readUIntLE(0, width);
  if (length > MAX_NPY_HEADER) {
    throw source.tooLarge(`has a header of ${length} bytes; ${MAX_NPY_HEADER} are read at most`);
  }
  const header = parseNpyHeader(magic, await source.take(length, "the .npy header"));
  if (header === undefined) {
    throw source.malformed("has a header that is not one of a plain array (numpy.save of an array of numbers)", {
      offset: NPY_MAGIC_BYTES + width,
    });
  }
  const { descr, fortranOrder, shape } = header;
  const [, order, kind = ""] = /^([<>|])([a-z]\d+)$/.exec(descr) ?? [];
  const dtype = TYPES.get(kind);
  if (dtype === undefined || (order === "|" && DTYPES[dtype].size > 1)) {
    throw source.unsupported(`holds values of type ${JSON.stringify(descr)}; save it with .astype of a number's type`);
  }
  if (shape.length > MAX_RANK) throw source.unsupported(`has ${shape.length} dimensions; ${MAX_RANK} are read at most`);
  const values = shape.reduce((product, dimension) => product * dimension, 1);
  if (!shape.every(Number.isSafeInteger) || !Number.isSafeInteger(values)) {
    throw source.malformed(`cannot have the shape (${shape.join(", ")})`, { offset: NPY_MAGIC_BYTES + width });
  }
  // In one dimension, both orders are the same.
  if (fortranOrder && shape.length > 1) {
    throw source.unsupported("is in Fortran order; save numpy.ascontiguousarray of it");
  }
  return { dtype, shape, swapped: order === ">" };
}
