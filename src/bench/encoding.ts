/**
 * The native core's bytes from and to snarkjs' JSON: decimal coordinates against 32 bytes each, little-endian. No
 * checks: both sides are the benchmark's own. Imports nothing, so that a cold prover starts fast.
 *
 * @module
 */
import type { SnarkjsProof, SnarkjsVerifyingKey } from "../verifier/groth16.js";

export function decodeIntegers(bytes: Uint8Array): bigint[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: bytes.length / 32 }, (_, i) => {
    let value = 0n;
    for (let limb = 3; limb >= 0; limb--) value = (value << 64n) | view.getBigUint64(32 * i + 8 * limb, true);
    return value;
  });
}

export function encodeIntegers(values: readonly (bigint | string)[]): Uint8Array {
  const bytes = new Uint8Array(32 * values.length);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) {
    const number = BigInt(value);
    for (let limb = 0; limb < 4; limb++) {
      view.setBigUint64(32 * i + 8 * limb, BigInt.asUintN(64, number >> BigInt(64 * limb)), true);
    }
  }
  return bytes;
}

export function decodeProof(bytes: Uint8Array): SnarkjsProof {
  const [ax, ay, bx0, bx1, by0, by1, cx, cy] = decodeIntegers(bytes).map(String) as string[] & { length: 8 };
  return {
    pi_a: [ax!, ay!, "1"],
    pi_b: [
      [bx0!, bx1!],
      [by0!, by1!],
      ["1", "0"],
    ],
    pi_c: [cx!, cy!, "1"],
    protocol: "groth16",
    curve: "bn128",
  };
}

export function encodeProof({ pi_a, pi_b, pi_c }: SnarkjsProof): Uint8Array {
  return encodeIntegers([...pi_a.slice(0, 2), ...pi_b.slice(0, 2).flat(), ...pi_c.slice(0, 2)]);
}

export function encodeVerifyingKey(key: SnarkjsVerifyingKey): Uint8Array {
  const g2 = (point: string[][]) => point.slice(0, 2).flat();
  return encodeIntegers([
    ...key.vk_alpha_1.slice(0, 2),
    ...g2(key.vk_beta_2),
    ...g2(key.vk_gamma_2),
    ...g2(key.vk_delta_2),
    ...key.IC.flatMap((point) => point.slice(0, 2)),
  ]);
}
