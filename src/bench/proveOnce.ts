/**
 * Proves once with the native core in Node and ends: `node proveOnce.js ZKEY WTNS PROOF.json PUBLIC.json
 * [THREADS [PREPARED]]`. The benchmark's cold runs start it beside the executable `anchorproof-prover`; it loads
 * nothing that it does not need.
 *
 * The proof is not verified here: the benchmark verifies every proof of every prover itself.
 *
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { nativeCore, nativeStatus } from "../field/native.js";
import { decodeIntegers, decodeProof } from "./encoding.js";

const [zkey, wtns, proofFile, publicFile, threads = "1", prepared] = process.argv.slice(2);
try {
  if (!zkey || !wtns || !proofFile || !publicFile) throw new Error("ZKEY WTNS PROOF.json PUBLIC.json are needed");
  const core = nativeCore();
  if (!core) {
    const status = nativeStatus();
    throw new Error(status.available ? "the native core is missing" : status.reason);
  }
  const control = { threads: Number(threads) };
  const key = core.openProvingKey(zkey, prepared ? { ...control, prepared } : control);
  const { proof, publics } = core.prove(key, readFileSync(wtns), control);
  writeFileSync(proofFile, JSON.stringify(decodeProof(proof)));
  writeFileSync(publicFile, JSON.stringify(decodeIntegers(publics).map(String)));
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
