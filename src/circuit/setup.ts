/**
 * Development keys: a Groth16 setup in seconds, by one party, without powers of tau.
 *
 * The trapdoor (τ, α, β, δ) is drawn on this machine and every element of the key is computed in the scalar field and
 * multiplied once onto a generator: by the native core, which wipes the trapdoor, or in JavaScript where the core is not
 * built. Whoever runs this could keep the trapdoor and forge proofs, so such a key is *development*: it is stamped as
 * such, and its contracts work on chain 31337 alone. Production keys come from a ceremony.
 *
 * @module
 */
import { open, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AnchorError, toAnchorError } from "../errors.js";
import { type Hex, utf8 } from "../field/bytes.js";
import { nativeCore } from "../field/native.js";
import {
  keyDigest,
  parseVerifyingKey,
  type SnarkjsVerifyingKey,
  type VerifyingKey,
  verifyingKeyToJson,
} from "../verifier/groth16.js";
import { lintVerifyingKey } from "../verifier/lint.js";
import { readArtefact } from "./entry.js";
import { exportVerifyingKey } from "./keylint.js";
import { type LongWork, runNative } from "./nativeTask.js";
import { setupPortable } from "./portableSetup.js";
import { type CircuitRows, describeForSetup, describeR1cs, domainPower, readR1cs } from "./r1cs.js";
import { type ArtefactStore, defaultStore } from "./store.js";
import { readZkeyHeader } from "./zkey.js";

export interface SetupOptions extends LongWork {
  store?: ArtefactStore | undefined;
}

export interface CircuitKey {
  zkeyPath: string;
  verifyingKey: VerifyingKey;
  verifyingKeyJson: SnarkjsVerifyingKey;
  keyDigest: Hex;
  circuitDigest: Hex;
  /** True for every key that no ceremony manifest covers. */
  development: boolean;
}

/**
 * The development key of a circuit on this machine: made on first use, kept in the store by the circuit's digest.
 *
 * @throws CIRCUIT_MALFORMED, CACHE_DAMAGED, KEY_MALFORMED, KEY_FORGEABLE, ABORTED
 */
export async function developmentKey(circuit: CircuitRows, options: SetupOptions = {}): Promise<CircuitKey> {
  const store = options.store ?? defaultStore();
  const directory = await store.build(
    "development-key",
    `groth16-bn254 development/1 ${circuit.circuitDigest}`,
    async (workshop) => {
      const zkeyPath = join(workshop, "key.zkey");
      const { verifyingKey, circuitDigest } = await setupDevelopment(circuit.r1csPath, zkeyPath, options);
      // The entry is named by the digest: a key of other rows must never be kept under it.
      if (circuitDigest !== circuit.circuitDigest) {
        throw new AnchorError("CACHE_DAMAGED", `${circuit.r1csPath} does not match its digest: compile it again`);
      }
      const json = JSON.stringify(verifyingKeyToJson(verifyingKey), null, 1);
      await writeFile(join(workshop, "verification_key.json"), json);
      await writeFile(
        join(workshop, "key.json"),
        JSON.stringify({ circuitDigest, keyDigest: keyDigest(verifyingKey), development: true }),
      );
    },
    { signal: options.signal, label: circuit.name },
  );
  const verifyingKeyJson = JSON.parse((await readArtefact(directory, "verification_key.json")).toString());
  const verifyingKey = parseVerifyingKey(verifyingKeyJson);
  lintVerifyingKey(verifyingKey);
  return {
    zkeyPath: join(directory, "key.zkey"),
    verifyingKey,
    verifyingKeyJson,
    keyDigest: keyDigest(verifyingKey),
    circuitDigest: circuit.circuitDigest,
    development: true,
  };
}

/**
 * A key from a file, such as a ceremony's final one, to prove with: linted, and of a circuit with the same numbers. That
 * its rows are the circuit's shows when a proof is verified, or by `verifyPhase2`.
 *
 * @returns `development` is true: proving shows no ceremony, and needs none
 * @throws INPUT_INVALID for a key of another circuit; KEY_MALFORMED, KEY_FORGEABLE, CONTRIBUTION_INVALID, ABORTED
 */
export async function openCircuitKey(
  circuit: CircuitRows,
  zkeyPath: string,
  options: Pick<LongWork, "signal" | "onProgress"> = {},
): Promise<CircuitKey> {
  const verifyingKey = await exportVerifyingKey(zkeyPath, options);
  const [{ wires, publics, domain }, r1cs] = [
    await readZkeyHeader(zkeyPath),
    await describeR1cs(circuit.r1csPath, options.signal),
  ];
  if (wires !== r1cs.wires || publics !== circuit.publicSignals || domain !== 2 ** domainPower(r1cs)) {
    throw new AnchorError("INPUT_INVALID", `${zkeyPath} is a key of another circuit than ${circuit.name}`);
  }
  return {
    zkeyPath,
    verifyingKey,
    verifyingKeyJson: verifyingKeyToJson(verifyingKey),
    keyDigest: keyDigest(verifyingKey),
    circuitDigest: circuit.circuitDigest,
    development: true,
  };
}

/**
 * Writes a development key, stamped, for any `.r1cs`.
 *
 * @param zkeyPath must not exist
 * @throws CIRCUIT_MALFORMED, INPUT_TOO_LARGE for too many rows or public signals, FILE_NOT_FOUND, FILE_UNREADABLE, ABORTED
 */
export async function setupDevelopment(
  r1csPath: string,
  zkeyPath: string,
  work: LongWork = {},
): Promise<{ verifyingKey: VerifyingKey; circuitDigest: Hex }> {
  const { circuitDigest } = await describeForSetup(r1csPath, work.signal);
  const stamp = utf8(JSON.stringify({ tool: "anchorproof", development: true, circuitDigest }));
  if (nativeCore() === undefined) await writePortable(r1csPath, zkeyPath, stamp, work);
  else await runNative("setupDevelopment", { r1csPath, zkeyPath, stamp }, work);
  const { verifyingKey } = await readZkeyHeader(zkeyPath);
  lintVerifyingKey(verifyingKey);
  return { verifyingKey, circuitDigest };
}

async function writePortable(r1csPath: string, zkeyPath: string, stamp: Uint8Array, work: LongWork): Promise<void> {
  const failed = (error: unknown) => toAnchorError(error, "FILE_UNREADABLE", `cannot make ${zkeyPath} of ${r1csPath}`);
  // The place is taken before the work is done.
  const file = await open(zkeyPath, "wx", 0o600).catch((error: unknown) => {
    throw failed(error);
  });
  try {
    await file.writeFile(await setupPortable(readR1cs(await readFile(r1csPath)), stamp, work));
    await file.sync();
  } catch (error) {
    await rm(zkeyPath, { force: true });
    throw failed(error);
  } finally {
    await file.close();
  }
}
