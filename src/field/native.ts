/**
 * The native core (`native/`), when it is built: field, MSM, NTT, Groth16, pairing and Poseidon in C++.
 *
 * Nothing here decides for the caller: {@link nativeCore} gives the core or `undefined`, and JavaScript serves then.
 * Nothing is printed either; {@link nativeStatus} says why the core is missing, and the command line tells its user.
 *
 * Encoding at this boundary: integers are 32 bytes little-endian, canonical. A G1 point is x‖y (64 bytes), a G2 point
 * x.c0‖x.c1‖y.c0‖y.c1 (128 bytes), infinity is all zeros. A proof is A‖B‖C (256 bytes). A verifying key is
 * α‖β‖γ‖δ‖IC₀…ICₙ (64 + 3·128 + 64·(n+1) bytes).
 *
 * @module
 */
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { AnchorError, ERROR_CODES, type ErrorCode } from "../errors.js";
import { PACKAGE_ROOT } from "../paths.js";

/** The addon's interface that this file was written for; `kVersion` in native/src/addon.cpp. */
export const NATIVE_VERSION = 4;

export const NATIVE_ENGINES = ["portable", "adx", "ifma"] as const;
export type NativeEngine = (typeof NATIVE_ENGINES)[number];

declare const held: unique symbol;
/** A key in the core's memory. It belongs to the thread that opened it. */
export interface ProvingKeyHandle {
  readonly [held]: "proving key";
}
export interface VerifyingKeyHandle {
  readonly [held]: "verifying key";
}
/** A factor of δ, which stays in the core's memory and is wiped there. */
export interface SecretHandle {
  readonly [held]: "contributor's secret";
}

/** How a long call runs. */
export interface NativeControl {
  /** From 1 to 256 [1]. */
  threads?: number;
  /**
   * Over a SharedArrayBuffer. Element 0 is polled: once it is not zero, the call fails with ABORTED. Element 1, where
   * there is one, tells how far a setup is, from 0 to 1000.
   */
  control?: Int32Array;
  /** Called when a phase begins, on the calling thread. What it throws ends the call and is thrown on. */
  onPhase?: (phase: string) => void;
}

/** Where a key is kept on a GPU, or a call runs on one. Zeros and what is missing leave the choice to the library. */
export interface CardChoice {
  /** Path of the GPU library; see {@link cudaLibrary}. */
  library: string;
  /** The card's number, from 0. */
  device: number;
  /** Bytes of the card that a key may take with its multiples. */
  memoryLimit?: number;
  /** At most so many multiples of each point; 1 for none. */
  multiples?: number;
  /** Bits of a window. */
  window?: number;
  /** In which coordinates buckets are summed: 1 extended, 2 affine. */
  coordinates?: 0 | 1 | 2;
}

/** A phase on a GPU, by its own clock. */
export interface CardTime {
  name: string;
  ms: number;
  /** What must move through the card's memory. */
  bytes: number;
  /** Multiplications in the fields. */
  operations: number;
}

export interface Card {
  name: string;
  memoryBytes: number;
  /** `9.0` */
  computeCapability: string;
  multiprocessors: number;
  clockKhz: number;
  memoryClockKhz: number;
  memoryBusBits: number;
  cacheBytes: number;
  /** The newest CUDA version that the driver serves, such as `13.0`. */
  driver: string;
  /** The one that the library was built with. */
  runtime: string;
}

export interface Cards {
  /** The host plays the card: for tests. */
  emulated: boolean;
  /** Digest of the sources that the library was built from, and the architectures. */
  build: string;
  cards: Card[];
}

export interface NativeKeyInfo {
  /** Wires, the constant one included. */
  variables: number;
  /** Public signals, without the constant. */
  publics: number;
  /** Size of the evaluation domain, a power of two. */
  domain: number;
  coefficients: number;
  /** Held until the last handle is closed: the host's, or of a key on a card the card's. */
  memoryBytes: number;
  /** Loaded from a prepared key. */
  prepared: boolean;
  loadMs: number;
}

/**
 * The addon's functions, all synchronous. Every failure is an {@link AnchorError}: INPUT_INVALID for any argument of a
 * wrong type, length or range; OUT_OF_MEMORY; the others as stated.
 *
 * Bytes are read in place; they are copied when they lie in a SharedArrayBuffer or a callback could detach them.
 */
export interface NativeCore {
  /** What this build and processor have. */
  info(): { engines: NativeEngine[]; cpuFeatures: string[]; compiler: string };
  /** The engine that serves when none is named: the processor's best, or the one of `ANCHORPROOF_NATIVE`. */
  defaultEngine(): NativeEngine;

  /**
   * Loads a snarkjs `.zkey`. The process holds each file once, for all handles of all threads; a second opener waits
   * for the first one's load. The key is freed when its last handle is closed, collected, or lost with its thread.
   *
   * @param options.prepared a folder for prepared keys
   * @param options.cuda     keep the key on a card, which makes its proofs; `prepared` has no part in it then
   * @throws KEY_MALFORMED, FILE_UNREADABLE, ABORTED; with `cuda` CUDA_UNAVAILABLE and CUDA_FAILED, too
   */
  openProvingKey(
    path: string,
    options?: NativeControl & { prepared?: string; engine?: NativeEngine; cuda?: CardChoice },
  ): ProvingKeyHandle;
  provingKeyInfo(key: ProvingKeyHandle): NativeKeyInfo;
  /** Gives the handle's share back; using it again is INPUT_INVALID, closing it again nothing. */
  closeProvingKey(key: ProvingKeyHandle): void;
  /**
   * @param wtns             bytes of a whole `.wtns`; the core wipes its own copies, not the caller's
   * @param options.blinding for tests only: r‖s, 64 bytes. A proof with known blinding gives the witness away.
   * @param options.timed    of a key on a card: measure the phases there
   * @returns the proof, its public signals of 32 bytes each, and how long each phase took. It is not verified
   *   here: a damaged key or a witness that breaks a row gives a proof that does not hold
   * @throws WITNESS_INVALID, ABORTED; of a key on a card CUDA_FAILED, and PROVE_FAILED for sums that are none, too. Of a card
   *   that serves this process no more `details.lost` is true
   */
  prove(
    key: ProvingKeyHandle,
    wtns: Uint8Array,
    options?: NativeControl & { blinding?: Uint8Array; timed?: boolean },
  ): { proof: Uint8Array; publics: Uint8Array; phases: { name: string; ms: number }[]; cardTimes?: CardTime[] };

  /** Checks every point. The handle is freed by the garbage collector. @throws KEY_MALFORMED */
  openVerifyingKey(key: Uint8Array, options?: { engine?: NativeEngine }): VerifyingKeyHandle;
  /** @throws INPUT_INVALID for signals outside the field, PROOF_MALFORMED */
  verify(key: VerifyingKeyHandle, publics: Uint8Array, proof: Uint8Array): boolean;
  /**
   * @param publics n times the key's signals
   * @param proofs  n times 256 bytes
   * @returns n bytes: 1 for a valid proof, 0 for one that does not verify or is malformed
   */
  verifyBatch(
    key: VerifyingKeyHandle,
    publics: Uint8Array,
    proofs: Uint8Array,
    n: number,
    threads?: number,
  ): Uint8Array;

  /**
   * Setup; see src/circuit. Files that are written must not exist, and are removed again when the call fails.
   *
   * Makes a development key: the trapdoor is drawn from the OS and wiped.
   *
   * @param stamp content of the section that marks the key
   * @throws CIRCUIT_MALFORMED, FILE_UNREADABLE, ABORTED
   */
  setupDevelopment(
    r1cs: string,
    zkey: string,
    stamp: Uint8Array,
    options?: NativeControl & { engine?: NativeEngine },
  ): void;
  /** Development powers of tau of up to 2^24, in snarkjs' format. @throws FILE_UNREADABLE, ABORTED */
  newPtau(
    power: number,
    ptau: string,
    stamp: Uint8Array,
    options?: NativeControl & { prepared?: boolean; engine?: NativeEngine },
  ): void;
  /** @param options.points check every point, not only the header. @throws PTAU_INVALID, KEY_FORGEABLE, ABORTED */
  checkPtau(
    ptau: string,
    options?: NativeControl & { points?: boolean; engine?: NativeEngine },
  ): { power: number; ceremonyPower: number; prepared: boolean };
  /**
   * What keys of 2^power rows are made from.
   *
   * @param options.cut as from a file that ends at this power
   * @throws PTAU_INVALID, ABORTED
   */
  makeBasis(
    ptau: string,
    power: number,
    basis: string,
    options?: NativeControl & { cut?: boolean; engine?: NativeEngine },
  ): void;
  /**
   * The initial key of a circuit; forgeable until somebody contributes.
   *
   * @param tail 64 bytes, or none: see native/src/setup.h
   * @returns snarkjs' hash of the circuit, 64 bytes
   * @throws CIRCUIT_MALFORMED, PTAU_INVALID, ABORTED
   */
  newPhase2(
    r1cs: string,
    basis: string,
    zkey: string,
    tail: Uint8Array,
    options?: NativeControl & { engine?: NativeEngine },
  ): Uint8Array;
  /** A secret from the OS' randomness and what the caller adds. */
  drawSecret(entropy: Uint8Array, options?: { engine?: NativeEngine }): SecretHandle;
  /** One that everybody knows: a scalar, and a point of G1. */
  publicSecret(secret: Uint8Array, point: Uint8Array, options?: { engine?: NativeEngine }): SecretHandle;
  /** s·G1 for a random s, and that times the secret. */
  secretPublicKey(secret: SecretHandle): Uint8Array;
  secretMultiply(secret: SecretHandle, group: 1 | 2, point: Uint8Array): Uint8Array;
  /**
   * Writes the key at `from` with δ times the secret, C and H over it, and section 10 as given.
   *
   * @throws KEY_MALFORMED, FILE_UNREADABLE, ABORTED
   */
  secretApply(secret: SecretHandle, from: string, to: string, transcript: Uint8Array, options?: NativeControl): void;
  /** Wipes the secret. */
  closeSecret(secret: SecretHandle): void;
  /**
   * Checks a proving key, or where `zkey` is undefined α, β, γ and IC of a verifying key, against circuit and powers.
   *
   * @throws KEY_MALFORMED, CIRCUIT_MALFORMED, PTAU_INVALID, ABORTED
   */
  verifyPhase2(
    r1cs: string,
    ptau: string,
    zkey: string | undefined,
    verifyingKey: Uint8Array | undefined,
    options?: NativeControl & { engine?: NativeEngine },
  ): void;
  /** @throws CONTRIBUTION_INVALID, whose message begins with the fault and a colon; KEY_MALFORMED, ABORTED */
  verifyPhase2Step(previous: string, next: string, options?: NativeControl & { engine?: NativeEngine }): void;

  /**
   * n Poseidon hashes with circomlib's parameters.
   *
   * @param arity      from 1 to 16
   * @param capacities one element for all, or n
   * @param inputs     n·arity elements
   * @returns n elements
   */
  poseidon(
    arity: number,
    capacities: Uint8Array,
    inputs: Uint8Array,
    options?: { threads?: number; engine?: NativeEngine },
  ): Uint8Array;

  /**
   * Many chains `h ← Poseidon(capacity; h, 15 elements)`; see chains.ts.
   *
   * @param starts one element for all, or one a chain
   * @param blocks 15 elements a step, chain after chain
   * @param steps  of each chain
   * @returns an element a chain: the last h
   * @throws ABORTED
   */
  poseidonChains(
    capacity: Uint8Array,
    starts: Uint8Array,
    blocks: Uint8Array,
    steps: Uint32Array,
    options?: NativeControl & { engine?: NativeEngine },
  ): Uint8Array;
  /**
   * The same over numbers as they lie in data; see chains.ts.
   *
   * @param offsets  of the contents in the data, and where the last one ends
   * @param packings two bytes a content: size of a number, and 0 (unsigned), 1 (signed) or 2 (float)
   * @throws ABORTED
   */
  contentDigests(
    capacity: Uint8Array,
    start: Uint8Array,
    data: Uint8Array,
    offsets: Float64Array,
    packings: Uint8Array,
    options?: NativeControl & { engine?: NativeEngine },
  ): Uint8Array;
  /**
   * What witnesses need of permutations: 613 elements each, see {@link poseidon16Powers} in poseidon.ts. At most 2^16.
   *
   * @param inputs 16 elements a permutation
   */
  poseidonTraces(
    capacity: Uint8Array,
    inputs: Uint8Array,
    options?: NativeControl & { engine?: NativeEngine },
  ): Uint8Array;
  /** The same of a chain's steps, whose last elements are the values that the chain goes through. */
  chainTraces(
    capacity: Uint8Array,
    start: Uint8Array,
    blocks: Uint8Array,
    options?: NativeControl & { engine?: NativeEngine },
  ): Uint8Array;

  /** Element by element, for tests. `b` belongs to mul, add and sub only; the inverse of zero is zero. */
  fieldOp(
    engine: NativeEngine | undefined,
    field: "fq" | "fr",
    op: "mul" | "square" | "add" | "sub" | "neg" | "inverse",
    a: Uint8Array,
    b?: Uint8Array,
  ): Uint8Array;
  /** Nanoseconds a Montgomery multiplication takes in a dependent chain, and in an independent stream. */
  fieldTimings(engine?: NativeEngine): { latencyNs: number; throughputNs: number };
  /** Σ scalarᵢ·pointᵢ in G1 or G2; the points must be on the curve. @throws ABORTED */
  msm(
    engine: NativeEngine | undefined,
    group: 1 | 2,
    points: Uint8Array,
    scalars: Uint8Array,
    options?: NativeControl,
  ): Uint8Array;
  /**
   * Number-theoretic transform over Fr, natural order in and out, of 2^k elements up to 2^28.
   *
   * @param options.coset evaluates on g·H, where g generates the domain of twice the size (snarkjs' coset)
   * @throws ABORTED
   */
  ntt(
    engine: NativeEngine | undefined,
    data: Uint8Array,
    options?: NativeControl & { inverse?: boolean; coset?: boolean },
  ): Uint8Array;

  /**
   * Opens the GPU library and tells the machine's cards. The process keeps a library that serves; of one that does not,
   * the error's `details.kind` says what {@link CudaStatus} says.
   *
   * @throws CUDA_UNAVAILABLE, CUDA_FAILED
   */
  cards(library: string): Cards;
  /**
   * As {@link msm}, on a card.
   *
   * @param options.repeat so often on the same points [1]; the times are the medians
   * @throws CUDA_UNAVAILABLE, CUDA_FAILED, PROVE_FAILED for a sum that is none, ABORTED
   */
  cardMsm(
    engine: NativeEngine | undefined,
    cuda: CardChoice,
    group: 1 | 2,
    points: Uint8Array,
    scalars: Uint8Array,
    options?: NativeControl & { repeat?: number },
  ): { sum: Uint8Array; times: CardTime[] };
  /** As {@link ntt}, on a card. @throws CUDA_UNAVAILABLE, CUDA_FAILED, ABORTED */
  cardNtt(
    engine: NativeEngine | undefined,
    cuda: CardChoice,
    data: Uint8Array,
    options?: NativeControl & { inverse?: boolean; coset?: boolean; repeat?: number },
  ): { values: Uint8Array; times: CardTime[] };
}

export type NativeStatus =
  | {
      available: true;
      engine: NativeEngine;
      engines: NativeEngine[];
      cpuFeatures: string[];
      compiler: string;
      /** Digest of the sources and settings that the addon was built from. */
      build: string;
    }
  | {
      available: false;
      /** `off`: switched off by `ANCHORPROOF_NATIVE`; `missing`: not built; `broken`: built, but of no use here. */
      kind: "off" | "missing" | "broken";
      /** One line that says what to do. */
      reason: string;
    };

export type CudaStatus =
  | ({
      available: true;
      /** Path of the library. */
      library: string;
    } & Cards)
  | {
      available: false;
      /**
       * `off`: switched off by `ANCHORPROOF_CUDA`, or with the native core; `missing`: not built; `broken`: built, but of
       * no use here; `none`: no driver, one that is too old, or no card.
       */
      kind: "off" | "missing" | "broken" | "none";
      /** One line that says what to do. */
      reason: string;
    };

/** Where the build puts the addon. */
export const NATIVE_ADDON = join(PACKAGE_ROOT, "native", "build", "Release", "anchorproof.node");

/** The prover as a program, which is built with the addon. */
export const NATIVE_PROVER = join(PACKAGE_ROOT, "native", "build", "Release", "anchorproof-prover");

/** Where `npm run build:cuda` puts the GPU library. */
export const CUDA_LIBRARY = join(PACKAGE_ROOT, "native", "build", "cuda", "anchorproof-cuda.so");

type Addon = NativeCore & { version: unknown; build: string };
type Loaded =
  | { core: NativeCore; status: NativeStatus & { available: true } }
  | { core?: undefined; status: NativeStatus & { available: false } };

let loaded: Loaded | undefined;
let cuda: CudaStatus | undefined;
/** What `ANCHORPROOF_CUDA` named last, and where that is. */
let named: { wanted: string; path: string } | undefined;

/**
 * The native core, loaded on the first call of each thread; `undefined` when it is not built, does not load, or
 * `ANCHORPROOF_NATIVE` is `off`.
 *
 * @throws INPUT_INVALID when `ANCHORPROOF_NATIVE` names an engine that is unknown, or that is not to be had here:
 * whoever asks for one by name is not served by another
 */
export function nativeCore(): NativeCore | undefined {
  return (loaded ??= load()).core;
}

/** Whether the core serves, and with what; or why it does not. @throws INPUT_INVALID as {@link nativeCore} */
export function nativeStatus(): NativeStatus {
  return (loaded ??= load()).status;
}

/**
 * The GPU library that serves this process, which need not be there: the one that `ANCHORPROOF_CUDA` names, or what
 * `npm run build:cuda` makes; `undefined` when the variable is `off`. A relative path is one of the directory that the
 * process was in when this was asked first.
 */
export function cudaLibrary(): string | undefined {
  const wanted = process.env["ANCHORPROOF_CUDA"] || CUDA_LIBRARY;
  if (wanted === "off") return undefined;
  if (named?.wanted !== wanted) named = { wanted, path: resolve(wanted) };
  return named.path;
}

/**
 * Whether GPUs serve, and which; or why they do not. The library is opened on the first call of each thread, and what
 * was found then stays.
 *
 * @throws INPUT_INVALID as {@link nativeCore}
 */
export function cudaStatus(): CudaStatus {
  return (cuda ??= findCards());
}

function findCards(): CudaStatus {
  const library = cudaLibrary();
  if (library === undefined) return { available: false, kind: "off", reason: "ANCHORPROOF_CUDA is off" };
  const { core, status } = (loaded ??= load());
  if (core === undefined) return status;
  try {
    return { available: true, library, ...core.cards(library) };
  } catch (error) {
    if (!(error instanceof AnchorError)) throw error;
    const { kind } = error.details;
    const known = kind === "missing" || kind === "none" ? kind : "broken";
    return { available: false, kind: known, reason: error.message };
  }
}

/** What `ANCHORPROOF_NATIVE` asks for. @throws INPUT_INVALID when it names no engine */
export function wantedNative(): NativeEngine | "off" | undefined {
  const wanted = process.env["ANCHORPROOF_NATIVE"] || undefined;
  if (wanted === undefined || wanted === "off") return wanted;
  const engine = NATIVE_ENGINES.find((name) => name === wanted);
  if (engine === undefined) {
    throw new AnchorError("INPUT_INVALID", `ANCHORPROOF_NATIVE must be off, ${NATIVE_ENGINES.join(", ")} or empty`);
  }
  return engine;
}

function load(): Loaded {
  const wanted = wantedNative();
  if (wanted === "off") return absent("off", "ANCHORPROOF_NATIVE is off");
  const result = loadAddon();
  const { status } = result;
  if (wanted !== undefined && !(status.available && status.engine === wanted)) {
    const reason = status.available ? `${status.engine} serves in this process` : status.reason;
    throw new AnchorError("INPUT_INVALID", `ANCHORPROOF_NATIVE asks for ${wanted}, but ${reason}`);
  }
  return result;
}

function loadAddon(): Loaded {
  let addon: Addon;
  try {
    addon = createRequire(import.meta.url)(NATIVE_ADDON) as Addon;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "MODULE_NOT_FOUND") {
      return absent("missing", "the native core is not built (anchorproof native build)");
    }
    return absent("broken", `the native core does not load: ${message.split("\n")[0]} (anchorproof native build)`);
  }
  if (addon.version !== NATIVE_VERSION) {
    return absent("broken", "the native core was built from another release (anchorproof native build)");
  }
  const core = withAnchorErrors(addon);
  const engine = core.defaultEngine();
  return { core, status: { available: true, engine, ...core.info(), build: addon.build } };
}

function absent(kind: "off" | "missing" | "broken", reason: string): Loaded {
  return { status: { available: false, kind, reason } };
}

/** The addon with its errors turned into ours. */
function withAnchorErrors(addon: Addon): NativeCore {
  const functions = Object.entries(addon).filter(([, value]) => typeof value === "function");
  return Object.fromEntries(
    functions.map(([name, call]) => [
      name,
      (...args: unknown[]) => {
        try {
          return (call as (...values: unknown[]) => unknown)(...args);
        } catch (error) {
          throw fromNative(error);
        }
      },
    ]),
  ) as unknown as NativeCore;
}

/** An error of the addon as an {@link AnchorError}; anything else, such as a callback's own, as it is. */
function fromNative(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof AnchorError) return error;
  const { code, kind, lost } = error as NodeJS.ErrnoException & { kind?: string; lost?: true };
  if (code === "IO_FAILED") return new AnchorError("FILE_UNREADABLE", error.message, { cause: error });
  if (code === undefined || !Object.hasOwn(ERROR_CODES, code)) return error;
  const details = { ...(kind && { kind }), ...(lost && { lost }) };
  return new AnchorError(code as ErrorCode, error.message, { cause: error, details });
}
