/** Values of typed data at random, whatever they say. */
import fc from "fast-check";
import { type Hex, toHex } from "../../src/field/bytes.js";
import type { Asset, Task } from "../../src/protocol/statements.js";

export const uint = (bits: number): fc.Arbitrary<bigint> => fc.bigInt({ min: 0n, max: 2n ** BigInt(bits) - 1n });

export const bytes = (length: number): fc.Arbitrary<Hex> =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((value) => toHex(value));

export const task: fc.Arbitrary<Task> = fc.record({
  keyDigest: bytes(32),
  taskId: bytes(32),
  requester: bytes(20),
  payee: bytes(20),
  nonce: uint(256),
  deadline: uint(256),
});

export const asset: fc.Arbitrary<Asset> = fc.record({
  token: bytes(20),
  fileId: uint(256),
  class: uint(8),
  commitment: bytes(32),
  metadataDigest: bytes(32),
  supply: uint(256),
  parents: fc.array(uint(256), { maxLength: 4 }),
  terms: fc.record({ expiresAt: uint(64), maxUses: uint(64), shareBps: uint(16), transferable: fc.boolean() }),
});
