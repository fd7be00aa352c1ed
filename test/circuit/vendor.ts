/** What the tests use of snarkjs beyond what `src` does; it ships no types. */

import type { MemoryFile } from "snarkjs";
import * as untyped from "snarkjs";
import type { CircuitInputs } from "../../src/circuit/witness.js";
import type { SnarkjsVerifyingKey } from "../../src/verifier/groth16.js";

interface Snarkjs {
  groth16: typeof untyped.groth16;
  wtns: { calculate(inputs: CircuitInputs, wasm: string | Uint8Array, target: MemoryFile): Promise<void> };
  zKey: { exportVerificationKey(zkey: string | Uint8Array | MemoryFile): Promise<SnarkjsVerifyingKey> };
}

export const snarkjs = untyped as unknown as Snarkjs;

/** snarkjs keeps threads of its own after the first use of a curve: they would keep the test's process alive. */
export async function stopSnarkjs(): Promise<void> {
  await (globalThis as { curve_bn128?: { terminate(): Promise<void> } }).curve_bn128?.terminate();
}
