/**
 * Constants of a file, as doubles whatever their type. Integers beyond 2^53 lose their last bits; files use such only
 * as "to the end" of a slice.
 *
 * @module
 */

import { type TensorProto, TensorProto_DataLocation, TensorProto_DataType as Type } from "onnx-buf";
import { GRAPH_LIMITS, sizeOf } from "../graph.js";
import { malformed, quote, tooLarge, unsupported } from "./errors.js";
import type { Shape } from "./layout.js";

export { Type };

/** A value that is known when the file is read. */
export interface Constant {
  readonly shape: Shape;
  readonly type: Type;
  readonly values: Float64Array;
}

/** Scales of a value on a grid: one, or one for each index of an axis. */
export interface Quantisation {
  readonly scale: Float64Array;
  readonly zeroPoint: Float64Array;
  readonly axis: number;
}

/** A value that depends on the input: node `id` of the draft. */
export interface Computed {
  readonly shape: Shape;
  readonly type: Type;
  readonly id: number;
  /**
   * The file's value is the integer `x / scale + zeroPoint`, the node's is the real `x`: what QuantizeLinear gives. An
   * operator that is not of the quantised kind must take {@link Computed} values without this.
   */
  readonly quantised?: Quantisation;
}

export type Operand = Constant | Computed;

export function isConstant(operand: Operand): operand is Constant {
  return "values" in operand;
}

export const FLOATS: ReadonlySet<Type> = new Set([Type.FLOAT, Type.DOUBLE, Type.FLOAT16, Type.BFLOAT16]);

/** Ends of the integer types. Those of 64 bits are rounded outwards. */
export const INTEGERS: ReadonlyMap<Type, readonly [number, number]> = new Map([
  [Type.INT8, [-128, 127]],
  [Type.UINT8, [0, 255]],
  [Type.INT16, [-32_768, 32_767]],
  [Type.UINT16, [0, 65_535]],
  [Type.INT32, [-(2 ** 31), 2 ** 31 - 1]],
  [Type.UINT32, [0, 2 ** 32 - 1]],
  [Type.INT64, [-(2 ** 63), 2 ** 63]],
  [Type.UINT64, [0, 2 ** 64]],
]);

export function typeName(type: Type): string {
  return Type[type] ?? `number ${type}`;
}

/** A dimension that a file states. */
export function dimension(value: bigint, name: string, least: bigint): number {
  if (value < least || value > 2n ** 31n) throw malformed(`${quote(name)}: dimension ${value} is out of range`);
  return Number(value);
}

const WIDTHS: ReadonlyMap<Type, number> = new Map([
  [Type.FLOAT, 4],
  [Type.DOUBLE, 8],
  [Type.FLOAT16, 2],
  [Type.BFLOAT16, 2],
  [Type.INT8, 1],
  [Type.UINT8, 1],
  [Type.BOOL, 1],
  [Type.INT16, 2],
  [Type.UINT16, 2],
  [Type.INT32, 4],
  [Type.UINT32, 4],
  [Type.INT64, 8],
  [Type.UINT64, 8],
]);

/** Reads a tensor. `where` names who needs it. */
export function readTensor(tensor: TensorProto, where: string): Constant {
  const name = quote(tensor.name);
  if (tensor.dataLocation === TensorProto_DataLocation.EXTERNAL || tensor.externalData.length > 0) {
    throw unsupported(`${where}: ${name} lies in another file; save the model with its data inside`);
  }
  if (tensor.segment !== undefined) throw unsupported(`${where}: ${name} is in segments; save it as one tensor`);
  const type = tensor.dataType as Type;
  const width = WIDTHS.get(type);
  if (width === undefined) {
    throw unsupported(`${where}: ${name} has the type ${typeName(type)}; export in float32`);
  }
  if (tensor.dims.length > 16) throw malformed(`${where}: ${name} has ${tensor.dims.length} dimensions`);
  const shape = tensor.dims.map((dim) => dimension(dim, tensor.name, 0n));
  const count = sizeOf(shape);
  if (count > GRAPH_LIMITS.weights) {
    throw tooLarge(`${where}: ${name} has ${count} values; the limit is ${GRAPH_LIMITS.weights}`);
  }
  const raw = tensor.rawData;
  let values: Float64Array;
  if (raw.length > 0) {
    if (raw.length !== width * count) {
      throw malformed(`${where}: ${name} has ${raw.length} bytes where its shape needs ${width * count}`);
    }
    values = readRaw(raw, type, width, count);
  } else {
    const list = fieldOf(tensor, type);
    if (list.length !== count) {
      throw malformed(`${where}: ${name} holds ${list.length} values where its shape needs ${count}`);
    }
    values = Float64Array.from(list as ArrayLike<number>, Number);
    if (type === Type.FLOAT16) values = values.map(fromHalf);
    if (type === Type.BFLOAT16) values = values.map(fromBrain);
  }
  const range = INTEGERS.get(type);
  for (const value of values) {
    if (Number.isNaN(value)) throw malformed(`${where}: ${name} holds what is not a number`);
    if (range !== undefined && (value < range[0] || value > range[1])) {
      throw malformed(`${where}: ${name} holds ${value}, which is not of the type ${typeName(type)}`);
    }
  }
  return { shape, type, values: type === Type.BOOL ? values.map((value) => (value === 0 ? 0 : 1)) : values };
}

function fieldOf(tensor: TensorProto, type: Type): readonly (number | bigint)[] {
  switch (type) {
    case Type.FLOAT:
      return tensor.floatData;
    case Type.DOUBLE:
      return tensor.doubleData;
    case Type.INT64:
      return tensor.int64Data;
    case Type.UINT64:
    case Type.UINT32:
      return tensor.uint64Data;
    default:
      return tensor.int32Data;
  }
}

function readRaw(raw: Uint8Array, type: Type, width: number, count: number): Float64Array {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const values = new Float64Array(count);
  const read = reader(view, type);
  for (let i = 0; i < count; i++) values[i] = read(i * width);
  return values;
}

function reader(view: DataView, type: Type): (at: number) => number {
  switch (type) {
    case Type.FLOAT:
      return (at) => view.getFloat32(at, true);
    case Type.DOUBLE:
      return (at) => view.getFloat64(at, true);
    case Type.FLOAT16:
      return (at) => fromHalf(view.getUint16(at, true));
    case Type.BFLOAT16:
      return (at) => fromBrain(view.getUint16(at, true));
    case Type.INT8:
      return (at) => view.getInt8(at);
    case Type.INT16:
      return (at) => view.getInt16(at, true);
    case Type.UINT16:
      return (at) => view.getUint16(at, true);
    case Type.INT32:
      return (at) => view.getInt32(at, true);
    case Type.UINT32:
      return (at) => view.getUint32(at, true);
    case Type.INT64:
      return (at) => Number(view.getBigInt64(at, true));
    case Type.UINT64:
      return (at) => Number(view.getBigUint64(at, true));
    default:
      return (at) => view.getUint8(at);
  }
}

/** IEEE 754 binary16 from its bits. */
function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return (sign * fraction) / 2 ** 24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return exponent >= 25
    ? sign * (1024 + fraction) * (1 << (exponent - 25))
    : (sign * (1024 + fraction)) / (1 << (25 - exponent));
}

/** The upper half of a binary32. */
function fromBrain(bits: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint16(0, bits & 0xffff);
  return view.getFloat32(0);
}
