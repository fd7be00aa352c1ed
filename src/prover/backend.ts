/**
 * What makes a proof from a key and a witness: the native core, or snarkjs where the core is not built.
 *
 * A backend lives in one worker of the pool and is used by one job at a time.
 *
 * @module
 */
import { AnchorError, toAnchorError } from "../errors.js";
import { type NativeCore, nativeCore, type ProvingKeyHandle } from "../field/native.js";
import { type Proof, parseProof, parsePublicSignals } from "../verifier/groth16.js";

export type BackendName = "native" | "snarkjs";

export interface KeyFile {
  path: string;
  /** Changes when the file does. */
  id: string;
}

export interface BackendOptions {
  /** Cores to use; snarkjs uses one. */
  threads: number;
  /** `control[0]` non-zero stops the native core within milliseconds; snarkjs does not look. */
  control: Int32Array;
  /** Called when a part of the work begins: `key` when a key is loaded, then `prove:` and a phase of the backend. */
  onPhase: (phase: string) => void;
}

export interface BackendProof {
  proof: Proof;
  publicSignals: bigint[];
  /** Loading the key, 0 when it was there. snarkjs reads the key as it proves. */
  keyMs: number;
  proveMs: number;
  /** Parts of `proveMs`, as the backend tells them apart. */
  phases: { name: string; ms: number }[];
}

export interface ProverBackend {
  readonly name: BackendName;
  /**
   * @param wtns bytes of a `.wtns`; the caller wipes them
   * @throws PROVE_FAILED; the native core also KEY_MALFORMED, WITNESS_INVALID, OUT_OF_MEMORY and ABORTED
   */
  prove(key: KeyFile, wtns: Uint8Array, options: BackendOptions): Promise<BackendProof>;
  /** Gives the keys back. */
  close(): void;
}

export interface BackendSettings {
  /** Keys that stay loaded. */
  maxKeys: number;
  /** A folder for prepared keys, which load and prove faster. */
  preparedKeys?: string | undefined;
}

/** The backend of that name for this thread. @throws NATIVE_UNAVAILABLE */
export function openBackend(name: BackendName, settings: BackendSettings): ProverBackend {
  return name === "native" ? new NativeBackend(settings) : new SnarkjsBackend();
}

/** snarkjs on one thread. */
class SnarkjsBackend implements ProverBackend {
  readonly name = "snarkjs";

  async prove(key: KeyFile, wtns: Uint8Array, { onPhase }: BackendOptions): Promise<BackendProof> {
    const started = performance.now();
    onPhase("prove:snarkjs");
    try {
      const snarkjs = await import("snarkjs");
      const result = await snarkjs.groth16.prove(key.path, wtns, undefined, { singleThread: true });
      const proof = parseProof(result.proof);
      const publicSignals = parsePublicSignals(result.publicSignals);
      return { proof, publicSignals, keyMs: 0, proveMs: performance.now() - started, phases: [] };
    } catch (error) {
      // Errors of ours as well: a damaged key makes proofs that do not parse, which are no proofs of the caller's.
      const cause = error instanceof AnchorError ? new Error(error.message, { cause: error }) : error;
      throw toAnchorError(cause, "PROVE_FAILED", "snarkjs could not make the proof");
    }
  }

  close(): void {}
}

/** The C++ core. The process holds each key once, for as long as a worker has a handle of it. */
class NativeBackend implements ProverBackend {
  readonly name = "native";
  readonly #core: NativeCore;
  readonly #settings: BackendSettings;
  /** The one used last comes last. */
  readonly #keys = new Map<string, ProvingKeyHandle>();

  constructor(settings: BackendSettings) {
    const core = nativeCore();
    if (!core)
      throw new AnchorError("NATIVE_UNAVAILABLE", "the native core is not built: run `anchorproof native build`");
    this.#core = core;
    this.#settings = settings;
  }

  async prove(key: KeyFile, wtns: Uint8Array, options: BackendOptions): Promise<BackendProof> {
    try {
      const started = performance.now();
      const loaded = this.#keys.has(key.id);
      const handle = this.#open(key, options);
      const opened = performance.now();
      const { proof, publics, phases } = this.#core.prove(handle, wtns, {
        threads: options.threads,
        control: options.control,
        onPhase: (phase) => options.onPhase(`prove:${phase}`),
      });
      return {
        proof: decodeProof(proof),
        publicSignals: integers(publics),
        keyMs: loaded ? 0 : opened - started,
        proveMs: performance.now() - opened,
        phases,
      };
    } catch (error) {
      throw toAnchorError(error, "PROVE_FAILED", "the native core could not make the proof");
    }
  }

  close(): void {
    for (const handle of this.#keys.values()) this.#core.closeProvingKey(handle);
    this.#keys.clear();
  }

  #open(key: KeyFile, { threads, control, onPhase }: BackendOptions): ProvingKeyHandle {
    let handle = this.#keys.get(key.id);
    if (handle === undefined) {
      // Room first: two large keys may not fit side by side.
      for (const [id, old] of this.#keys) {
        if (this.#keys.size < this.#settings.maxKeys) break;
        this.#core.closeProvingKey(old);
        this.#keys.delete(id);
      }
      onPhase("key");
      const { preparedKeys } = this.#settings;
      handle = this.#core.openProvingKey(key.path, {
        threads,
        control,
        ...(preparedKeys === undefined ? {} : { prepared: preparedKeys }),
      });
    }
    this.#keys.delete(key.id);
    this.#keys.set(key.id, handle);
    return handle;
  }
}

/** A‖B‖C, G2 coordinates with their constant part first. */
function decodeProof(bytes: Uint8Array): Proof {
  const n = integers(bytes);
  return {
    a: [n[0]!, n[1]!],
    b: [
      [n[2]!, n[3]!],
      [n[4]!, n[5]!],
    ],
    c: [n[6]!, n[7]!],
  };
}

/** Integers of 32 bytes, little-endian. */
function integers(bytes: Uint8Array): bigint[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length / 32 }, (_, i) => {
    let value = 0n;
    for (let word = 3; word >= 0; word--) value = (value << 64n) | view.getBigUint64(32 * i + 8 * word, true);
    return value;
  });
}
