/**
 * Numbers of tensors in people's terms, and as the order-preserving keys that circuits compare.
 *
 * @module
 */
import { contentElements, type Dtype, packing } from "../record.js";
import { claimInvalid } from "./chunks.js";

/** The first and the last key that is a number. Those of NaN lie outside. */
export function keyBounds(dtype: Dtype): [bigint, bigint] {
  const { size, mode } = packing(dtype);
  const all = (1n << BigInt(8 * size)) - 1n;
  if (mode !== "float") return [0n, all];
  const half = 1n << BigInt(8 * size - 1);
  const infinity = { f16: 0x7c00n, bf16: 0x7f80n, f32: 0x7f80_0000n, f64: 0x7ff0_0000_0000_0000n }[dtype as "f64"];
  return [half - 1n - infinity, half + infinity];
}

/** The order-preserving key of a number, which must be one that the type has exactly. @throws CLAIM_INVALID */
export function parseKey(dtype: Dtype, text: string): bigint {
  const { size, mode, perElement } = packing(dtype);
  const data = new Uint8Array(size);
  const view = new DataView(data.buffer);
  if (mode === "float") {
    const value = readNumber(text);
    if (size === 8) view.setFloat64(0, value, true);
    else {
      const bits = toSmallFloat(dtype, value, text);
      if (size === 4) view.setUint32(0, bits, true);
      else view.setUint16(0, bits, true);
    }
  } else {
    const value = /^-?\d{1,20}$/.test(text) ? BigInt(text) : undefined;
    const least = mode === "signed" ? -(1n << BigInt(8 * size - 1)) : 0n;
    const most = dtype === "bool" ? 1n : least + (1n << BigInt(8 * size)) - 1n;
    if (value === undefined || value < least || value > most) {
      throw claimInvalid(`${text} is no ${dtype}: ${least} to ${most}`);
    }
    for (let i = 0; i < size; i++) data[i] = Number((value >> BigInt(8 * i)) & 0xffn);
  }
  // The first number of an element stands highest.
  return contentElements({ dtype, data })[0]! >> BigInt(8 * size * (perElement - 1));
}

/** Bits of a float16, bfloat16 or float32. @throws CLAIM_INVALID for a number that the type does not have exactly */
function toSmallFloat(dtype: Dtype, value: number, text: string): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, value);
  const bits = view.getUint32(0);
  const inexact = () => claimInvalid(`${text} is no ${dtype}: give a number that the type has exactly`);
  if (view.getFloat32(0) !== value) throw inexact();
  if (dtype === "f32") return bits;
  if (dtype === "bf16") {
    if ((bits & 0xffff) !== 0) throw inexact();
    return bits >>> 16;
  }
  const sign = (bits >>> 16) & 0x8000;
  if (!Number.isFinite(value)) return sign | 0x7c00;
  const size = Math.abs(value);
  // Multiples of 2^-24 below 2^-14, of 2^(e - 10) above.
  let exponent = -14;
  while (2 ** (exponent + 1) <= size) exponent++;
  const units = size / 2 ** (exponent - 10);
  if (!Number.isInteger(units) || units >= 2048 || exponent > 15) throw inexact();
  return sign | (units < 1024 ? units : ((exponent + 15) << 10) + (units - 1024));
}

/** @throws CLAIM_INVALID */
function readNumber(text: string): number {
  if (/^-?inf(?:inity)?$/i.test(text))
    return text.startsWith("-") ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  const value = /^-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(value)) throw claimInvalid(`${text} is no number`);
  return value;
}

/** The number that an order-preserving key stands for; {@link parseKey} reads it back. */
export function keyText(dtype: Dtype, key: bigint): string {
  const { size, mode } = packing(dtype);
  const half = 1n << BigInt(8 * size - 1);
  if (mode === "unsigned") return String(key);
  if (mode === "signed") return String(key - half);
  const bits = key >= half ? key - half : 2n * half - 1n - key;
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, dtype === "bf16" ? bits << 48n : bits << BigInt(64 - 8 * size));
  const value = size === 8 ? view.getFloat64(0) : dtype === "f16" ? halfFloat(view.getUint16(0)) : view.getFloat32(0);
  return Object.is(value, -0) ? "-0" : String(value);
}

function halfFloat(bits: number): number {
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  const size = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
  return (bits >= 0x8000 ? -1 : 1) * (exponent === 31 ? Number.POSITIVE_INFINITY : size);
}
