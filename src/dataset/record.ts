/**
 * Records and their canonical bytes.
 *
 * Encoding, version 1; integers are big-endian:
 *
 *     u8  version = 1
 *     u8  dtype                      code of {@link DTYPES}
 *     u8  rank                       0 to 8
 *     u64 dimension, `rank` times
 *     i32 scale                      value = integer · 2^scale; 0 for bytes, text and floats
 *     u16 label length, label        UTF-8, at most 1,024 bytes
 *     u64 data length, data
 *     zeros up to a multiple of 31 bytes
 *
 * Every part is fixed in size or preceded by its length, so no two records share an encoding, and no two sequences of
 * records share a concatenation. A record starts at a field element, so that it can be opened on its own.
 *
 * @module
 */
import { AnchorError } from "../errors.js";
import { ELEMENT_BYTES } from "../field/bytes.js";

/** Codes of element types, and their size in bytes. Codes are never reused. */
export const DTYPES = {
  bytes: { code: 0, size: 1 },
  text: { code: 1, size: 1 },
  u8: { code: 2, size: 1 },
  i8: { code: 3, size: 1 },
  i16: { code: 4, size: 2 },
  i32: { code: 5, size: 4 },
  i64: { code: 6, size: 8 },
  f16: { code: 7, size: 2 },
  f32: { code: 8, size: 4 },
  f64: { code: 9, size: 8 },
} as const;

export type Dtype = keyof typeof DTYPES;

export interface DatasetRecord {
  dtype: Dtype;
  /** Dimensions; their product times the dtype's size is the data's length. `[length]` for bytes and text. */
  shape: readonly number[];
  /** Power of two that integers are scaled by. 0 unless told. */
  scale?: number;
  /** A name or class that is committed with the data: a file's path, "spam". Empty unless told. */
  label?: string;
  data: Uint8Array;
}

const VERSION = 1;
const MAX_LABEL_BYTES = 1024;
const MAX_RANK = 8;

/** A record of plain bytes. */
export function bytesRecord(data: Uint8Array, label = ""): DatasetRecord {
  return { dtype: "bytes", shape: [data.length], label, data };
}

/** @throws INPUT_INVALID when shape, dtype and data do not agree, or the label is too long */
export function encodeRecord(record: DatasetRecord): Uint8Array {
  const { shape, data, scale = 0, label = "" } = record;
  const dtype = DTYPES[record.dtype];
  const labelBytes = new TextEncoder().encode(label);
  if (!dtype) throw new AnchorError("INPUT_INVALID", `unknown dtype ${String(record.dtype)}`);
  if (shape.length > MAX_RANK || shape.some((n) => !Number.isSafeInteger(n) || n < 0)) {
    throw new AnchorError("INPUT_INVALID", `a shape has at most ${MAX_RANK} dimensions, all non-negative integers`);
  }
  if (!(data instanceof Uint8Array)) throw new AnchorError("INPUT_INVALID", "a record's data is a Uint8Array");
  if (shape.reduce((size, n) => size * n, dtype.size) !== data.length) {
    throw new AnchorError(
      "INPUT_INVALID",
      `shape [${shape.join(", ")}] of ${record.dtype} is not ${data.length} bytes`,
    );
  }
  if (!Number.isInteger(scale) || Math.abs(scale) > 1024 || (scale !== 0 && !/^[ui]/.test(record.dtype))) {
    throw new AnchorError("INPUT_INVALID", "scale is a power of two of an integer dtype, from -1024 to 1024");
  }
  if (
    labelBytes.length > MAX_LABEL_BYTES ||
    new TextDecoder("utf-8", { ignoreBOM: true }).decode(labelBytes) !== label
  ) {
    throw new AnchorError("INPUT_INVALID", `a label is well-formed text of at most ${MAX_LABEL_BYTES} bytes`);
  }
  const length = 3 + 8 * shape.length + 4 + 2 + labelBytes.length + 8 + data.length;
  const bytes = new Uint8Array(Math.ceil(length / ELEMENT_BYTES) * ELEMENT_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set([VERSION, dtype.code, shape.length]);
  let offset = 3;
  for (const dimension of shape) {
    view.setBigUint64(offset, BigInt(dimension));
    offset += 8;
  }
  view.setInt32(offset, scale);
  view.setUint16(offset + 4, labelBytes.length);
  bytes.set(labelBytes, offset + 6);
  offset += 6 + labelBytes.length;
  view.setBigUint64(offset, BigInt(data.length));
  bytes.set(data, offset + 8);
  return bytes;
}
