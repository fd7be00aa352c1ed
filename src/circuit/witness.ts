/**
 * Witnesses from circom's WebAssembly generator.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import * as snarkjs from "snarkjs";
import { toAnchorError } from "../errors.js";

/** A circuit's named inputs: scalars, or arrays of them. */
export type CircuitInputs = { readonly [name: string]: bigint | readonly bigint[] | readonly (readonly bigint[])[] };

/**
 * Runs a witness generator.
 *
 * That it returns says little about the inputs: constraints that circom's generator does not check as it goes are
 * checked by nobody until the proof is verified.
 *
 * @param wasm path or bytes of the `.wasm`
 * @returns the `.wtns` file's bytes
 * @throws WITNESS_INVALID when a constraint fails, or an input is missing, unknown or of the wrong shape
 */
export async function calculateWtns(wasm: string | Uint8Array, inputs: CircuitInputs): Promise<Uint8Array> {
  const file: snarkjs.MemoryFile = { type: "mem" };
  try {
    const bytes = typeof wasm === "string" ? await readFile(wasm) : wasm;
    await snarkjs.wtns.calculate(inputs as Record<string, unknown>, bytes, file);
  } catch (error) {
    throw toAnchorError(error, "WITNESS_INVALID", "the inputs do not satisfy the circuit");
  }
  return file.data!;
}

/** {@link calculateWtns} as values, one a wire. */
export async function calculateWitness(wasm: string | Uint8Array, inputs: CircuitInputs): Promise<bigint[]> {
  const data = await calculateWtns(wasm, inputs);
  return snarkjs.wtns.exportJson({ type: "mem", data });
}
