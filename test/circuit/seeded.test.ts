import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { ChaCha, drawG1, drawG2, drawScalar } from "../../src/circuit/seeded.js";
import { R } from "../../src/field/scalar.js";
import { checkedG1, checkedG2 } from "../../src/verifier/curve.js";
import { type Curve, ffjavascript } from "./vendor.js";

const curve: Curve = await ffjavascript.buildBn128(true);

const seeds = Array.from({ length: 40 }, (_, i) => new Uint8Array(createHash("sha256").update(`seed ${i}`).digest()));

/** ffjavascript's generator for the same seed. */
function theirs(seed: Uint8Array) {
  const view = new DataView(seed.buffer, seed.byteOffset);
  return new ffjavascript.ChaCha(Array.from({ length: 8 }, (_, i) => view.getUint32(4 * i)));
}

const fail = (reason: string): never => {
  throw new Error(reason);
};

describe("values drawn from a seed", () => {
  it("are ffjavascript's word for word, over many blocks", () => {
    const [own, other] = [new ChaCha(seeds[0]!), theirs(seeds[0]!)];
    for (let i = 0; i < 5000; i++) expect(own.word()).toBe(other.nextU32());
  });

  it("are the test vector's of ChaCha20: a key of zeros", () => {
    // RFC 8439's block function at counter 0 and nonce 0 (appendix A.1, vector 1), as little-endian words
    const rng = new ChaCha(new Uint8Array(32));
    expect([rng.word(), rng.word(), rng.word(), rng.word()]).toEqual([0xade0b876, 0x903df1a0, 0xe56a5d40, 0x28bd8653]);
  });

  it("are ffjavascript's scalars and points, in every order of drawing", () => {
    for (const seed of seeds) {
      const [own, other] = [new ChaCha(seed), theirs(seed)];
      for (let round = 0; round < 2; round++) {
        const scalar = drawScalar(own);
        expect(scalar).toBe(curve.Fr.toObject(curve.Fr.fromRng(other)));
        expect(scalar < R).toBe(true);
        expect([...drawG1(own), 1n]).toEqual(curve.G1.toObject(curve.G1.fromRng(other)));
        const g2 = drawG2(own);
        expect([...g2, [1n, 0n]]).toEqual(curve.G2.toObject(curve.G2.toAffine(curve.G2.fromRng(other))));
        checkedG2(g2, "g2", fail);
      }
    }
  });

  it("depend on the first 32 bytes alone, and on each of them", () => {
    const draw = (seed: Uint8Array) => drawScalar(new ChaCha(seed));
    const seed = seeds[0]!;
    expect(draw(Uint8Array.from([...seed, 1, 2, 3]))).toBe(draw(seed));
    for (let i = 0; i < 32; i++) {
      const other = seed.slice();
      other[i]! ^= 1;
      expect(draw(other)).not.toBe(draw(seed));
    }
    checkedG1(drawG1(new ChaCha(seed)), "g1", fail);
  });
});
