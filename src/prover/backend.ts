/**
 * What makes a proof from a key and a witness. The pool's workers call it; the native core will be a second one.
 *
 * @module
 */
import * as snarkjs from "snarkjs";
import { toAnchorError } from "../errors.js";
import { type Proof, parseProof, parsePublicSignals } from "../verifier/groth16.js";

export interface ProverBackend {
  readonly name: string;
  /**
   * @param zkeyPath snarkjs' `.zkey`
   * @param wtns     bytes of a `.wtns`
   * @throws PROVE_FAILED
   */
  prove(zkeyPath: string, wtns: Uint8Array): Promise<{ proof: Proof; publicSignals: bigint[] }>;
}

/** snarkjs on one thread: a pool runs one such worker a core. */
export const snarkjsBackend: ProverBackend = {
  name: "snarkjs",
  async prove(zkeyPath, wtns) {
    try {
      const result = await snarkjs.groth16.prove(zkeyPath, wtns, undefined, { singleThread: true });
      return { proof: parseProof(result.proof), publicSignals: parsePublicSignals(result.publicSignals) };
    } catch (error) {
      throw toAnchorError(error, "PROVE_FAILED", "snarkjs could not make the proof");
    }
  },
};
