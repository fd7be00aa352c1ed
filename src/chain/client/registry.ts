/**
 * Which verifying keys the deployment believes.
 *
 * @module
 */
import { AnchorError } from "../../errors.js";
import type { Hex } from "../../field/bytes.js";
import { CIRCUIT_TYPES, type CircuitType } from "../../protocol/statements.js";
import { type Groth16Item, proofWords } from "../../verifier/groth16.js";
import { ZERO_DIGEST } from "../universal.js";
import { type Connection, ContractClient, lower, type Sent } from "./caller.js";

export interface VerifierEntry {
  verifier: Hex;
  /** The verifier is a universal one, and the key is data in it. */
  universal: boolean;
  development: boolean;
  frozen: boolean;
  /** Public signals, `context` included. */
  signals: number;
  statementType: Hex;
  circuitDigest: Hex;
  /** Zero for circuits of datasets. */
  modelDigest: Hex;
  /** Id of the ceremony; zero for a development key. */
  ceremony: Hex;
  /** `undefined` where there is none. */
  batchVerifier: Hex | undefined;
}

/** Where to read about a key. The contract checks nothing of it but lengths: 256 bytes each. */
export interface KeyMetadata {
  /** Of the model, or of what the circuit is for. */
  uri?: string | undefined;
  verificationKeyUri?: string | undefined;
  /** Of the document that describes the public signals, and keccak256 of it. */
  schemaUri?: string | undefined;
  schemaHash?: Hex | undefined;
  /** Major number in the high 32 bits, minor in the low ones. */
  circuitVersion?: bigint | undefined;
}

export interface AddVerifierParameters {
  keyDigest: Hex;
  /** A verifier generated for the key, or a universal one that holds it. */
  verifier: Hex;
  universal?: boolean | undefined;
  /** Which circuit family the key belongs to. */
  circuitType: CircuitType;
  circuitDigest: Hex;
  /** Needed for inference keys; dataset keys have none. */
  modelDigest?: Hex | undefined;
  /** True for a key without a ceremony, which is taken on chain 31337 only. */
  development: boolean;
  /** Id of the ceremony; needed unless `development`. */
  ceremony?: Hex | undefined;
  metadata?: KeyMetadata | undefined;
}

/** A model as ERC-7992 names it. */
export interface ModelCommitment {
  modelHash: Hex;
  circuitHash: Hex;
  vkHash: Hex;
  proofSystemId: Hex;
  uri: string;
  /** The key has been frozen. */
  deprecated: boolean;
}

export class RegistryClient extends ContractClient {
  constructor(connection: Connection) {
    super("VerifierRegistry", connection);
  }

  /** Says what a key is to be, and starts its delay. Owner. */
  async propose(entry: AddVerifierParameters): Promise<Sent> {
    const { ceremony = ZERO_DIGEST, metadata = {} } = entry;
    if (entry.development !== (BigInt(ceremony) === 0n)) {
      throw new AnchorError("INPUT_INVALID", "a key has a ceremony's id exactly when it is no development key");
    }
    if (!Object.hasOwn(CIRCUIT_TYPES, entry.circuitType)) {
      const known = Object.keys(CIRCUIT_TYPES).join(", ");
      throw new AnchorError("INPUT_INVALID", `"${entry.circuitType}" is no circuitType: it is one of ${known}`, {
        details: { circuitType: String(entry.circuitType) },
      });
    }
    const registration = {
      keyDigest: entry.keyDigest,
      verifier: entry.verifier,
      universal: entry.universal ?? false,
      statementType: CIRCUIT_TYPES[entry.circuitType],
      circuitDigest: entry.circuitDigest,
      modelDigest: entry.modelDigest ?? ZERO_DIGEST,
      ceremony,
    };
    const { uri = "", verificationKeyUri = "", schemaUri = "", circuitVersion = 0n } = metadata;
    const schemaHash = metadata.schemaHash ?? ZERO_DIGEST;
    const texts = { uri, verificationKeyUri, schemaUri, schemaHash, circuitVersion };
    try {
      return await this.send("propose", registration, texts);
    } catch (error) {
      throw entry.universal ? unlike(error, entry.verifier, UNIVERSAL) : unlike(error, entry.verifier, GENERATED);
    }
  }

  /** Takes a proposed key in, for good, once its delay is over. Anyone may. */
  async activate(keyDigest: Hex): Promise<Sent> {
    return this.send("activate", keyDigest);
  }

  /** Takes a proposal back. Owner or guardian. */
  async cancel(keyDigest: Hex): Promise<Sent> {
    return this.send("cancel", keyDigest);
  }

  /** {@link propose} and {@link activate} in a row, where there is no delay. */
  async add(entry: AddVerifierParameters): Promise<Sent> {
    await this.propose(entry);
    return this.activate(entry.keyDigest);
  }

  /** Proposes the batch verifier of a proposed or active key. Owner. */
  async proposeBatchVerifier(keyDigest: Hex, verifier: Hex): Promise<Sent> {
    try {
      return await this.send("proposeBatchVerifier", keyDigest, verifier);
    } catch (error) {
      throw unlike(error, verifier, "a batch verifier that was generated for a key");
    }
  }

  /** Gives an active key its batch verifier, for good, once the delay is over. Anyone may. */
  async activateBatchVerifier(keyDigest: Hex): Promise<Sent> {
    return this.send("activateBatchVerifier", keyDigest);
  }

  /** Owner or guardian. */
  async cancelBatchVerifier(keyDigest: Hex): Promise<Sent> {
    return this.send("cancelBatchVerifier", keyDigest);
  }

  /** {@link proposeBatchVerifier} and {@link activateBatchVerifier} in a row, where there is no delay. */
  async addBatchVerifier(keyDigest: Hex, verifier: Hex): Promise<Sent> {
    await this.proposeBatchVerifier(keyDigest, verifier);
    return this.activateBatchVerifier(keyDigest);
  }

  /** Stops a key for good. Owner or guardian. */
  async freeze(keyDigest: Hex): Promise<Sent> {
    return this.send("freeze", keyDigest);
  }

  /** Stops a key for good, by a valid proof whose context is zero. Anyone may. */
  async exposeZeroContext(keyDigest: Hex, { publicSignals, proof }: Groth16Item): Promise<Sent> {
    return this.send("exposeZeroContext", keyDigest, proofWords(proof), publicSignals);
  }

  /**
   * Stops a key for good, by a batch that its batch verifier takes and in which the proof at `index` has a context of zero;
   * a batch verifier that is only proposed loses its proposal. Anyone may.
   */
  async exposeZeroContextInBatch(keyDigest: Hex, items: readonly Groth16Item[], index: number): Promise<Sent> {
    return this.send("exposeZeroContextInBatch", keyDigest, ...batchArguments(items), index);
  }

  /** Stops a key for good, by two valid proofs that cannot both be true. Anyone may. */
  async exposeContradiction(keyDigest: Hex, a: Groth16Item, b: Groth16Item): Promise<Sent> {
    const [proofA, proofB] = [proofWords(a.proof), proofWords(b.proof)];
    return this.send("exposeContradiction", keyDigest, proofA, a.publicSignals, proofB, b.publicSignals);
  }

  /** Who may freeze and cancel beside the owner. Owner. */
  async setGuardian(guardian: Hex): Promise<Sent> {
    return this.send("setGuardian", guardian);
  }

  /** Returns when the proof holds under an active key. @throws CHAIN_REVERTED when it does not */
  async verify(keyDigest: Hex, { publicSignals, proof }: Groth16Item): Promise<void> {
    await this.read("verify", keyDigest, proofWords(proof), publicSignals);
  }

  /** Returns when all of the proofs hold. The key needs a batch verifier. @throws CHAIN_REVERTED when one does not */
  async verifyBatch(keyDigest: Hex, items: readonly Groth16Item[]): Promise<void> {
    await this.read("verifyBatch", keyDigest, ...batchArguments(items));
  }

  /** The registry's entry, or `undefined` for an unknown key. */
  async entryOf(keyDigest: Hex): Promise<VerifierEntry | undefined> {
    return readEntry(await this.read<RawEntry>("entryOf", keyDigest));
  }

  /** A proposed key and the second from which on it can be activated, or `undefined`. */
  async proposalOf(keyDigest: Hex): Promise<{ entry: VerifierEntry; readyAt: bigint } | undefined> {
    const [raw, readyAt] = await this.read<[RawEntry, bigint]>("proposalOf", keyDigest);
    const entry = readEntry(raw);
    return entry && { entry, readyAt };
  }

  async metadataOf(keyDigest: Hex): Promise<Required<KeyMetadata>> {
    const raw = await this.read<Required<KeyMetadata>>("metadataOf", keyDigest);
    const { uri, verificationKeyUri, schemaUri, schemaHash, circuitVersion } = raw;
    return { uri, verificationKeyUri, schemaUri, schemaHash, circuitVersion };
  }

  /** The model of a key that is active or frozen, as ERC-7992 has it. @throws CHAIN_REVERTED for other keys */
  async modelOf(keyDigest: Hex): Promise<ModelCommitment> {
    type Raw = [Omit<ModelCommitment, "deprecated">, boolean, string];
    const [commitment, deprecated] = await this.read<Raw>("getModel", BigInt(keyDigest));
    const { modelHash, circuitHash, vkHash, proofSystemId, uri } = commitment;
    return { modelHash, circuitHash, vkHash, proofSystemId, uri, deprecated };
  }
}

interface RawEntry extends Omit<VerifierEntry, "signals" | "batchVerifier"> {
  signals: bigint;
  batchVerifier: string;
}

const GENERATED = "a verifier that was generated for a key; the universal one is proposed with universal: true";
const UNIVERSAL = "a universal verifier; one that was generated for a key is proposed without universal: true";

/**
 * The registry asks a verifier about itself. A contract that has no such function makes that call end without data, and the
 * registry's with it.
 */
function unlike(error: unknown, verifier: Hex, expected: string): unknown {
  if (!(error instanceof AnchorError) || error.code !== "CHAIN_REVERTED" || error.details["error"] !== "none") {
    return error;
  }
  const message = `${error.details["call"]}: the contract at ${verifier} does not answer like ${expected}`;
  return new AnchorError("CHAIN_REVERTED", message, { details: error.details, cause: error });
}

function batchArguments(items: readonly Groth16Item[]): [bigint[][], bigint[]] {
  return [items.map(({ proof }) => proofWords(proof)), items.flatMap(({ publicSignals }) => [...publicSignals])];
}

function readEntry(entry: RawEntry): VerifierEntry | undefined {
  if (BigInt(entry.verifier) === 0n) return undefined;
  return {
    verifier: lower(entry.verifier),
    universal: entry.universal,
    development: entry.development,
    frozen: entry.frozen,
    signals: Number(entry.signals),
    statementType: entry.statementType,
    circuitDigest: entry.circuitDigest,
    modelDigest: entry.modelDigest,
    ceremony: entry.ceremony,
    batchVerifier: BigInt(entry.batchVerifier) === 0n ? undefined : lower(entry.batchVerifier),
  };
}
