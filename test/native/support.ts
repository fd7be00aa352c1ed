import { describe } from "vitest";
import { type NativeCore, type NativeEngine, nativeCore, nativeStatus } from "../../src/field/native.js";
import { R } from "../../src/field/scalar.js";

/** Some hundred rows: dense values, bits, small and negative ones, constants as coefficients, wires in no row. */
export const MIXED = {
  name: "native-prove",
  source: `pragma circom 2.2.3;
template Mixed() {
    signal input a;
    signal input bits[64];
    signal input unused[3];
    signal input context;
    signal output c;
    signal output sum;
    signal steps[101];
    var total = 0;
    for (var i = 0; i < 64; i++) {
        bits[i] * (bits[i] - 1) === 0;
        total += bits[i] * (1 << i) - 7 * bits[i];
    }
    sum <== total;
    steps[0] <== a + context;
    for (var i = 0; i < 100; i++) steps[i + 1] <== steps[i] * (12345678901234567890 * steps[i] - bits[i % 64]) + i;
    c <== steps[100];
}
component main {public [context]} = Mixed();
`,
};

export const MIXED_INPUTS = {
  a: 5n,
  bits: Array.from({ length: 64 }, (_, i) => BigInt((i * 5) % 3 === 0 ? 1 : 0)),
  unused: [0n, 1n, R - 1n],
  context: 9n,
};

/** The core's encoding: 32 bytes little-endian an integer. */
export function little(...values: bigint[]): Uint8Array {
  const bytes = new Uint8Array(32 * values.length);
  for (const [i, value] of values.entries()) {
    for (let j = 0; j < 32; j++) bytes[32 * i + j] = Number((value >> BigInt(8 * j)) & 255n);
  }
  return bytes;
}

export function integers(bytes: Uint8Array): bigint[] {
  return Array.from({ length: bytes.length / 32 }, (_, i) =>
    bytes.subarray(32 * i, 32 * i + 32).reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n),
  );
}

/** Deterministic values below `modulus`. */
export function numbers(seed: number, modulus: bigint): () => bigint {
  let state = BigInt(seed) * 0x9e3779b97f4a7c15n + 1n;
  return () => {
    let value = 0n;
    for (let i = 0; i < 5; i++) {
      state = (state * 6364136223846793005n + 1442695040888963407n) & ((1n << 64n) - 1n);
      value = (value << 64n) | (state ^ (state >> 29n));
    }
    return value % modulus;
  };
}

/**
 * A suite for each engine of this processor. With `ANCHORPROOF_NATIVE=off` there is nothing to test, and the suite
 * says so; a core that is merely missing fails.
 */
export function describeEngines(name: string, suite: (core: NativeCore, engine: NativeEngine) => void): void {
  const status = nativeStatus();
  if (!status.available) {
    if (status.kind !== "off") throw new Error(`the native core does not serve: ${status.reason}`);
    describe.skip(`${name}: the native core is switched off`, () => {});
    return;
  }
  for (const engine of status.engines) describe(`${name} (${engine})`, () => suite(nativeCore()!, engine));
}
