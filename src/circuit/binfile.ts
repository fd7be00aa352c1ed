/**
 * iden3's binary container, which `.zkey` and `.wtns` files share: magic, version, then sections of id, length, bytes.
 * All integers are little-endian; coordinates are in Montgomery form (times 2^256), infinity is all zeros.
 *
 * @module
 */
import { concat, utf8 } from "../field/bytes.js";
import { Q, R } from "../field/scalar.js";
import type { G1Affine, G2Affine } from "../verifier/curve.js";

export function binFile(
  magic: string,
  version: number,
  sections: readonly (readonly [id: number, Uint8Array])[],
): Uint8Array {
  const parts: Uint8Array[] = [utf8(magic), uint32(version), uint32(sections.length)];
  for (const [id, content] of sections) {
    const length = new Uint8Array(8);
    new DataView(length.buffer).setBigUint64(0, BigInt(content.length), true);
    parts.push(uint32(id), length, content);
  }
  return concat(...parts);
}

export function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

/** A scalar or coordinate in 32 bytes. */
export function littleEndian(value: bigint): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < 4; i++) view.setBigUint64(8 * i, (value >> BigInt(64 * i)) & 0xffffffffffffffffn, true);
  return bytes;
}

const [Q_INVERSE, R_INVERSE] = [Q, R].map((modulus) => {
  // 2^-256, by Fermat
  let result = 1n;
  let base = 2n ** 256n % modulus;
  for (let e = modulus - 2n; e > 0n; e >>= 1n) {
    if (e & 1n) result = (result * base) % modulus;
    base = (base * base) % modulus;
  }
  return result;
}) as [bigint, bigint];

/** The value whose Montgomery form this is. */
export function fromMontgomery(form: bigint, field: "fq" | "fr"): bigint {
  return field === "fq" ? (form * Q_INVERSE) % Q : (form * R_INVERSE) % R;
}

export function encodeG1(point: G1Affine): Uint8Array {
  return encodeCoordinates(point);
}

export function encodeG2(point: G2Affine): Uint8Array {
  return encodeCoordinates(point.flat());
}

/** A point of 64 bytes; (0, 0) stands for infinity. @returns `undefined` for a coordinate that is not below q */
export function decodeG1(bytes: Uint8Array): G1Affine | undefined {
  const [x, y] = [decodeCoordinate(bytes, 0), decodeCoordinate(bytes, 1)];
  return x === undefined || y === undefined ? undefined : [x, y];
}

/** A point of 128 bytes, as {@link decodeG1}. */
export function decodeG2(bytes: Uint8Array): G2Affine | undefined {
  const [x, y] = [decodeG1(bytes.subarray(0, 64)), decodeG1(bytes.subarray(64, 128))];
  return x === undefined || y === undefined ? undefined : [x, y];
}

function encodeCoordinates(values: readonly bigint[]): Uint8Array {
  return concat(...values.map((value) => littleEndian((value << 256n) % Q)));
}

function decodeCoordinate(bytes: Uint8Array, index: number): bigint | undefined {
  const form = integer(bytes.subarray(32 * index, 32 * (index + 1)));
  return form < Q ? fromMontgomery(form, "fq") : undefined;
}

/** 32 bytes as an integer. */
export function integer(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 32);
  let value = 0n;
  for (let i = 3; i >= 0; i--) value = (value << 64n) | view.getBigUint64(8 * i, true);
  return value;
}
