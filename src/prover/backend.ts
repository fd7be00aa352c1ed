/**
 * What makes a proof from a key and a witness: a GPU (a "card"), the native core on the CPU, or snarkjs where the core is
 * not built.
 *
 * A backend lives in one worker of the pool and is used by one job at a time. None verifies what it made: the worker does.
 *
 * @module
 */
import { AnchorError, isAnchorError, toAnchorError } from "../errors.js";
import { type NativeCore, nativeCore, type ProvingKeyHandle } from "../field/native.js";
import { type Proof, parseProof, parsePublicSignals } from "../verifier/groth16.js";

export type BackendName = "cuda" | "native" | "snarkjs";

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
  /** Index of the card that proves; without it the CPU does. For the backend that has cards. */
  device?: number | undefined;
}

export interface BackendProof {
  /** What made it. */
  backend: BackendName;
  proof: Proof;
  publicSignals: bigint[];
  /** Loading the key, 0 when it was there. snarkjs reads the key as it proves. */
  keyMs: number;
  proveMs: number;
  /** Parts of `proveMs`, as the backend tells them apart. */
  phases: { name: string; ms: number }[];
}

/** A card that cannot be used, or does not take the key. Nothing is wrong with the job: the next best proves it. */
export interface Refusal {
  /** OUT_OF_MEMORY, CUDA_UNAVAILABLE, or INPUT_INVALID from a card that finds fault with the key */
  refused: AnchorError;
  /** How long it took to find out. */
  keyMs: number;
}

export interface ProverBackend {
  readonly name: BackendName;
  /**
   * @param wtns bytes of a `.wtns`; the caller wipes them
   * @throws PROVE_FAILED; the native core also KEY_MALFORMED, WITNESS_INVALID, OUT_OF_MEMORY and ABORTED; a card
   *   also CUDA_FAILED, and INPUT_INVALID where it finds fault with the witness. CUDA_FAILED and OUT_OF_MEMORY of a card
   *   have its index, `device`, among the details, and whether it serves this process no more, `lost`
   */
  prove(key: KeyFile, wtns: Uint8Array, options: BackendOptions): Promise<BackendProof | Refusal>;
  /** Gives the keys on a card back. @returns how many it had */
  release(device: number): number;
  /** Gives all keys back. */
  close(): void;
}

export interface BackendSettings {
  /** Keys that stay loaded: in memory, and on each card. */
  maxKeys: number;
  /** A folder for prepared keys, which load and prove faster. */
  preparedKeys?: string | undefined;
  /** Where the backend has cards. */
  cuda?:
    | {
        library: string;
        cards: readonly { index: number; memoryBytes: number }[];
        /** Bytes of each that keys may take. */
        deviceMemory: number | undefined;
      }
    | undefined;
}

/** The backend of that name for this thread. @throws NATIVE_UNAVAILABLE */
export function openBackend(name: BackendName, settings: BackendSettings): ProverBackend {
  if (name === "snarkjs") return new SnarkjsBackend();
  return name === "cuda" ? new CudaBackend(settings) : new NativeBackend(settings);
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
      const proveMs = performance.now() - started;
      return { backend: this.name, proof, publicSignals, keyMs: 0, proveMs, phases: [] };
    } catch (error) {
      // Errors of ours as well: a damaged key makes proofs that do not parse, which are no proofs of the caller's.
      const cause = error instanceof AnchorError ? new Error(error.message, { cause: error }) : error;
      throw toAnchorError(cause, "PROVE_FAILED", "snarkjs could not make the proof");
    }
  }

  release(): number {
    return 0;
  }

  close(): void {}
}

/** @throws NATIVE_UNAVAILABLE */
function requireCore(): NativeCore {
  const core = nativeCore();
  if (!core)
    throw new AnchorError("NATIVE_UNAVAILABLE", "the native core is not built: run `anchorproof native build`");
  return core;
}

/**
 * Keys that this thread has loaded, the one used last at the end. The process holds each key once, on each card and in
 * memory, for as long as a thread has a handle of it.
 */
class LoadedKeys {
  readonly #core: NativeCore;
  readonly #most: number;
  readonly #handles = new Map<string, ProvingKeyHandle>();

  constructor(core: NativeCore, most: number) {
    this.#core = core;
    this.#most = most;
  }

  has(id: string): boolean {
    return this.#handles.has(id);
  }

  open(id: string, load: () => ProvingKeyHandle): ProvingKeyHandle {
    let handle = this.#handles.get(id);
    if (handle === undefined) {
      // Room first: two large keys may not fit side by side.
      for (const oldest of this.#handles.keys()) {
        if (this.#handles.size < this.#most) break;
        this.#close(oldest);
      }
      handle = load();
    }
    this.#handles.delete(id);
    this.#handles.set(id, handle);
    return handle;
  }

  /** @returns how many there were */
  closeAll(): number {
    const { size } = this.#handles;
    for (const id of this.#handles.keys()) this.#close(id);
    return size;
  }

  #close(id: string): void {
    this.#core.closeProvingKey(this.#handles.get(id)!);
    this.#handles.delete(id);
  }
}

/** Proves with a key of the core's, on the CPU or on a card. */
function coreProof(
  core: NativeCore,
  handle: ProvingKeyHandle,
  wtns: Uint8Array,
  { threads, control, onPhase, device }: BackendOptions,
): Pick<BackendProof, "proof" | "publicSignals" | "proveMs" | "phases"> {
  const started = performance.now();
  // While the core calls back it works on a copy of the witness, which takes about as long as a card takes for the proof.
  const step = (phase: string) => onPhase(`prove:${phase}`);
  if (device !== undefined) step("card");
  const { proof, publics, phases } = core.prove(handle, wtns, {
    threads,
    control,
    ...(device === undefined ? { onPhase: step } : {}),
  });
  return {
    proof: decodeProof(proof),
    publicSignals: integers(publics),
    proveMs: performance.now() - started,
    phases,
  };
}

/** The C++ core on the CPU. */
class NativeBackend implements ProverBackend {
  readonly name = "native";
  readonly #core = requireCore();
  readonly #settings: BackendSettings;
  readonly #keys: LoadedKeys;

  constructor(settings: BackendSettings) {
    this.#settings = settings;
    this.#keys = new LoadedKeys(this.#core, settings.maxKeys);
  }

  async prove(key: KeyFile, wtns: Uint8Array, options: BackendOptions): Promise<BackendProof> {
    try {
      const started = performance.now();
      const loaded = this.#keys.has(key.id);
      const handle = this.#keys.open(key.id, () => this.#load(key, options));
      const keyMs = loaded ? 0 : performance.now() - started;
      return { backend: this.name, keyMs, ...coreProof(this.#core, handle, wtns, options) };
    } catch (error) {
      throw toAnchorError(error, "PROVE_FAILED", "the native core could not make the proof");
    }
  }

  release(): number {
    return 0;
  }

  close(): void {
    this.#keys.closeAll();
  }

  #load(key: KeyFile, { threads, control, onPhase }: BackendOptions): ProvingKeyHandle {
    onPhase("key");
    const { preparedKeys } = this.#settings;
    return this.#core.openProvingKey(key.path, {
      threads,
      control,
      ...(preparedKeys === undefined ? {} : { prepared: preparedKeys }),
    });
  }
}

/**
 * GPUs, by the library that the core opens. The pool says for each proof which card makes it, or that the CPU does; this
 * class decides nothing: what a card refuses may depend on the keys that other threads keep there.
 */
class CudaBackend implements ProverBackend {
  readonly name = "cuda";
  readonly #core = requireCore();
  readonly #settings: BackendSettings;
  /** Keys on each card. */
  readonly #keys = new Map<number, LoadedKeys>();
  #cpu: NativeBackend | undefined;

  constructor(settings: BackendSettings) {
    this.#settings = settings;
  }

  async prove(key: KeyFile, wtns: Uint8Array, options: BackendOptions): Promise<BackendProof | Refusal> {
    const { device } = options;
    if (device === undefined) {
      this.#cpu ??= new NativeBackend(this.#settings);
      return this.#cpu.prove(key, wtns, options);
    }
    let keys = this.#keys.get(device);
    if (!keys) this.#keys.set(device, (keys = new LoadedKeys(this.#core, this.#settings.maxKeys)));
    const started = performance.now();
    const loaded = keys.has(key.id);
    let opened = false;
    try {
      const handle = keys.open(key.id, () => this.#load(key, device, keys, options));
      opened = true;
      const keyMs = loaded ? 0 : performance.now() - started;
      return { backend: this.name, keyMs, ...coreProof(this.#core, handle, wtns, options) };
    } catch (error) {
      // What is no error of the core's or the card's is no fault of the card's either.
      if (!isAnchorError(error)) throw toAnchorError(error, "INTERNAL", "the proof of a card could not be read");
      const { code } = error;
      if (code === "CUDA_UNAVAILABLE" || (!opened && (code === "OUT_OF_MEMORY" || code === "INPUT_INVALID"))) {
        return { refused: error, keyMs: performance.now() - started };
      }
      if (code !== "CUDA_FAILED" && code !== "OUT_OF_MEMORY") throw error;
      const lost = error.details["lost"] === true;
      if (lost) keys.closeAll();
      throw new AnchorError(code, error.message, { details: { device, lost }, cause: error });
    }
  }

  release(device: number): number {
    return this.#keys.get(device)?.closeAll() ?? 0;
  }

  close(): void {
    for (const keys of this.#keys.values()) keys.closeAll();
    this.#cpu?.close();
  }

  /**
   * A key may take its share of the card with multiples of its points, so that `maxKeys` of them have room side by side. One
   * that is larger has what it finds free once those of this thread are gone, within `deviceMemory` where that was told.
   */
  #load(
    key: KeyFile,
    device: number,
    keys: LoadedKeys,
    { threads, control, onPhase }: BackendOptions,
  ): ProvingKeyHandle {
    onPhase("key");
    const { maxKeys, cuda } = this.#settings;
    const { library, cards, deviceMemory } = cuda!;
    const memoryBytes = cards.find(({ index }) => index === device)!.memoryBytes;
    const open = (memoryLimit: number) =>
      this.#core.openProvingKey(key.path, { threads, control, cuda: { library, device, memoryLimit } });
    // 0: what is free, less what proofs need.
    const most = deviceMemory ?? 0;
    if (maxKeys === 1) return open(most);
    try {
      // A part stays for the working spaces of proofs.
      return open(Math.max(1, Math.floor((deviceMemory ?? 0.8 * memoryBytes) / maxKeys)));
    } catch (error) {
      if (!isAnchorError(error, "OUT_OF_MEMORY")) throw error;
      keys.closeAll();
      return open(most);
    }
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
