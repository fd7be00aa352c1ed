/**
 * Whether what is deployed is what was compiled.
 *
 * @module
 */
import { fromHex, type Hex, keccak, toHex } from "../field/bytes.js";
import type { ContractArtefact } from "./compile.js";

/**
 * Whether deployed code is an artefact's. Immutables are left out: they are what the constructor made of its arguments, and
 * the compiler's output has zeros in their places.
 */
export function isCodeOf(code: Hex, { runtime, immutables }: ContractArtefact): boolean {
  const [expected, found] = [fromHex(runtime, "code"), fromHex(code, "code")];
  if (expected.length === 0 || expected.length !== found.length) return false;
  for (const { start, length } of immutables) found.fill(0, start, start + length);
  return expected.every((byte, i) => byte === found[i]);
}

/** As EXTCODEHASH gives it. */
export function codeHash(code: Hex): Hex {
  return toHex(keccak(fromHex(code, "code")));
}
