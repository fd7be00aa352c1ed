/**
 * Which verifying keys the deployment believes.
 *
 * @module
 */
import type { Hex } from "../../field/bytes.js";
import { CIRCUIT_TYPES } from "../../protocol/statements.js";
import { type Connection, ContractClient, lower, type Sent } from "./caller.js";

export interface VerifierEntry {
  verifier: Hex;
  development: boolean;
  frozen: boolean;
  statementType: Hex;
  circuitDigest: Hex;
  modelDigest: Hex;
}

export interface AddVerifierParameters {
  keyDigest: Hex;
  verifier: Hex;
  /** Which circuit family the key belongs to. */
  circuitType: keyof typeof CIRCUIT_TYPES;
  circuitDigest: Hex;
  /** Needed for inference keys; dataset keys have none. */
  modelDigest?: Hex | undefined;
  development: boolean;
}

const ZERO: Hex = `0x${"00".repeat(32)}`;

export class RegistryClient extends ContractClient {
  constructor(connection: Connection) {
    super("VerifierRegistry", connection);
  }

  /** Registers a verifier for good. */
  async add(entry: AddVerifierParameters): Promise<Sent> {
    return this.send(
      "add",
      entry.keyDigest,
      entry.verifier,
      CIRCUIT_TYPES[entry.circuitType],
      entry.circuitDigest,
      entry.modelDigest ?? ZERO,
      entry.development,
    );
  }

  /** Stops a key for good. Owner or guardian. */
  async freeze(keyDigest: Hex): Promise<Sent> {
    return this.send("freeze", keyDigest);
  }

  /** The registry's entry, or `undefined` for an unknown key. */
  async entryOf(keyDigest: Hex): Promise<VerifierEntry | undefined> {
    const entry = await this.read<VerifierEntry>("entryOf", keyDigest);
    if (BigInt(entry.verifier) === 0n) return undefined;
    return {
      verifier: lower(entry.verifier),
      development: entry.development,
      frozen: entry.frozen,
      statementType: entry.statementType,
      circuitDigest: entry.circuitDigest,
      modelDigest: entry.modelDigest,
    };
  }
}
