/** What the tests use of snarkjs and ffjavascript beyond what `src` does; they ship no types. */

import * as untypedField from "ffjavascript";
import type { MemoryFile } from "snarkjs";
import * as untyped from "snarkjs";
import type { CircuitInputs } from "../../src/circuit/witness.js";
import type { SnarkjsVerifyingKey } from "../../src/verifier/groth16.js";

interface Snarkjs {
  groth16: typeof untyped.groth16;
  wtns: { calculate(inputs: CircuitInputs, wasm: string | Uint8Array, target: MemoryFile): Promise<void> };
  powersOfTau: {
    newAccumulator(curve: Curve, power: number, target: string): Promise<Uint8Array>;
    contribute(from: string, to: string, name: string, entropy: string): Promise<Uint8Array>;
    beacon(from: string, to: string, name: string, hash: string, iterationsExp: number): Promise<Uint8Array>;
    preparePhase2(from: string, to: string): Promise<void>;
    /** Writes one file for each smaller power: `template` and two digits and `.ptau`. */
    truncate(from: string, template: string): Promise<boolean>;
  };
  /** The hashes come as bytes. */
  zKey: {
    exportVerificationKey(zkey: string | Uint8Array | MemoryFile): Promise<SnarkjsVerifyingKey>;
    newZKey(r1cs: string, ptau: string, zkey: string): Promise<Uint8Array>;
    contribute(from: string, to: string, name: string, entropy: string): Promise<Uint8Array>;
    beacon(from: string, to: string, name: string, hash: string, iterationsExp: number): Promise<Uint8Array>;
    verifyFromR1cs(r1cs: string, ptau: string, zkey: string): Promise<boolean>;
    verifyFromInit(init: string, ptau: string, zkey: string): Promise<boolean>;
  };
}

interface Rng {
  nextU32(): number;
}

interface Group {
  fromRng(rng: Rng): Uint8Array;
  toAffine(point: Uint8Array): Uint8Array;
  toObject(point: Uint8Array): unknown;
}

export interface Curve {
  Fr: { fromRng(rng: Rng): Uint8Array; toObject(element: Uint8Array): bigint };
  G1: Group;
  G2: Group;
  terminate(): Promise<void>;
}

export const snarkjs = untyped as unknown as Snarkjs;

export const ffjavascript = untypedField as unknown as {
  buildBn128(singleThread?: boolean): Promise<Curve>;
  ChaCha: new (seed: readonly number[]) => Rng;
};

/** snarkjs keeps threads of its own after the first use of a curve: they would keep the test's process alive. */
export async function stopSnarkjs(): Promise<void> {
  await (globalThis as { curve_bn128?: { terminate(): Promise<void> } }).curve_bn128?.terminate();
}
