/**
 * Changes to bytes of which nothing is known but that there are numbers and lengths in them.
 *
 * @module
 */
import { concat } from "../../../src/field/bytes.js";
import type { Random } from "./random.js";

/** Results longer than this tell nothing that shorter ones do not. */
export const MAX_BYTES = 1 << 20;

/** Numbers at which arithmetic goes wrong. */
export const EDGES = [
  0n,
  1n,
  2n,
  0x7fn,
  0x80n,
  0xffn,
  0x100n,
  0x7fffn,
  0x8000n,
  0xffffn,
  0x10000n,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  0x100000000n,
  0x7fffffffffffffffn,
  0xffffffffffffffffn,
];

export function mutateBytes(bytes: Uint8Array, random: Random, others: readonly Uint8Array[]): Uint8Array {
  const at = random.below(bytes.length + 1);
  const length = Math.min(random.pick([1, 1, 2, 4, 8, 16, 32, 48, 64, 256]), bytes.length - at);
  const before = bytes.subarray(0, at);
  const chunk = bytes.subarray(at, at + length);
  const after = bytes.subarray(at + length);
  switch (random.below(12)) {
    case 0: {
      const copy = bytes.slice();
      for (let i = 0; i <= random.below(4); i++) copy[random.below(copy.length)]! ^= 1 << random.below(8);
      return copy;
    }
    case 1:
      return concat(before, random.bytes(length), after);
    case 2:
      return concat(before, new Uint8Array(length).fill(random.pick([0, 0xff])), after);
    case 3:
      return concat(before, after);
    case 4:
      return concat(before, chunk, chunk, after);
    case 5:
      return concat(before, random.bytes(1 + random.below(16)), chunk, after);
    case 6: {
      // Two chunks change places.
      const to = random.below(Math.max(1, after.length - length));
      return concat(before, after.subarray(to, to + length), after.subarray(0, to), chunk, after.subarray(to + length));
    }
    case 7:
      return bytes.subarray(0, at);
    case 8:
      return concat(
        bytes,
        random.chance(0.5) ? new Uint8Array(1 + random.below(8192)) : random.bytes(1 + random.below(64)),
      );
    case 9:
      return setNumber(bytes, random);
    case 10: {
      // The same place of other evidence.
      const other = random.pick(others) ?? bytes;
      return concat(before, other.subarray(at, at + length), after);
    }
    default: {
      const other = random.pick(others) ?? bytes;
      return random.chance(0.5) ? concat(before, other.subarray(at)) : concat(other.subarray(0, at), chunk, after);
    }
  }
}

/** A number of 1 to 8 bytes becomes one at an edge, or a little more or less than it was. */
function setNumber(bytes: Uint8Array, random: Random): Uint8Array {
  const width = random.pick([1, 2, 4, 8]);
  if (bytes.length < width) return bytes;
  const copy = bytes.slice();
  const at = random.below(bytes.length - width + 1);
  const little = random.chance(0.5);
  const field = copy.subarray(at, at + width);
  const ordered = little ? [...field].reverse() : [...field];
  const was = ordered.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
  const value = random.chance(0.5) ? random.pick(EDGES) : was + BigInt(random.pick([-2, -1, 1, 2]));
  const written = ordered.map((_, i) => Number((value >> BigInt(8 * (width - 1 - i))) & 0xffn));
  field.set(little ? written.reverse() : written);
  return copy;
}
