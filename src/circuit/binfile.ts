/**
 * iden3's binary container, which `.zkey` and `.wtns` files share: magic, version, then sections of id, length, bytes.
 * All integers are little-endian.
 *
 * @module
 */
import { concat, utf8 } from "../field/bytes.js";

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
