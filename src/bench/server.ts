/**
 * A process of the benchmark that keeps one implementation warm: `native` (the C++ core), `cuda` (the core's GPU library, with
 * its path and a card's number as arguments), `javascript` (the same interface without the core) or `snarkjs` (with
 * ffjavascript, its arithmetic). It times the work alone: what the implementation needs in its own format is made before,
 * and kept.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { AnchorError, toAnchorError } from "../errors.js";
import { contentDigests, PACKING_MODES } from "../field/chains.js";
import {
  type CardTime,
  type NativeCore,
  type NativeEngine,
  type NativeKeyInfo,
  nativeCore,
  type ProvingKeyHandle,
} from "../field/native.js";
import { poseidon16 } from "../field/poseidon.js";
import { R } from "../field/scalar.js";
import {
  parseProof,
  parseVerifyingKey,
  type SnarkjsProof,
  type SnarkjsVerifyingKey,
  verifyGroth16,
} from "../verifier/groth16.js";
import { decodeIntegers, decodeProof, encodeIntegers, encodeProof, encodeVerifyingKey } from "./encoding.js";

/** Of the data whose contents are hashed. */
const RECORD_BYTES = 4096;

export type Implementation = "native" | "cuda" | "javascript" | "snarkjs";

/** A GPU, for the implementation that takes one. */
export interface CardOf {
  library: string;
  device: number;
}

export interface Proven {
  proof: SnarkjsProof;
  publicSignals: string[];
}

/** What a server can be asked for. An implementation that has no such thing answers NATIVE_UNAVAILABLE or INTERNAL. */
export interface Operations {
  /** Loads a proving key; `prepared` is a folder for prepared keys. Replaces the one before. */
  open: { request: { zkey: string; threads: number; prepared?: string }; value: NativeKeyInfo };
  /** `timed` asks a card for the times of its phases, too. */
  prove: {
    request: { zkey: string; wtns: string; threads: number; timed?: boolean };
    value: Proven & { times?: CardTime[] };
  };
  /** Each proof by itself, or all at once. `value` is how many are valid; `ms` is for all of them. */
  verify: {
    request: { key: SnarkjsVerifyingKey; proven: Proven[]; batch: boolean; threads: number };
    value: number;
  };
  /** Root of the tree of 16 over elements of 31 bytes; `value` is 0x-hex. */
  poseidon: { request: { file: string; threads: number }; value: string };
  /** Chains over records of {@link RECORD_BYTES}; `value` is the SHA-256 of what they come to. */
  contents: { request: { file: string; threads: number }; value: string };
  /** Writes n points, canonical; the server keeps them in its own form. */
  points: { request: { group: 1 | 2; n: number; file: string }; value: undefined };
  /**
   * `result` is the point's coordinates in hex. A card's time is by its own clock, from points and scalars that are there;
   * then there are `times`, of its phases.
   */
  msm: { request: { group: 1 | 2; points: string; scalars: string; threads: number }; value: Kernel };
  /** `result` is the SHA-256 of the canonical values. A card's time is as in msm. */
  ntt: { request: { file: string; threads: number }; value: Kernel };
  /** Nanoseconds a multiplication in Fr, by implementation or engine. */
  field: {
    request: Record<never, never>;
    value: { implementation: string; latencyNs: number; throughputNs: number }[];
  };
}

export interface Kernel {
  result: string;
  times?: CardTime[];
}

export type ServerReply = { ms: number; value: unknown } | { error: ReturnType<AnchorError["toJSON"]> };

type Timed<T> = { ms: number; value: T };
type Server = {
  [K in keyof Operations]?: (request: Operations[K]["request"]) => Promise<Timed<Operations[K]["value"]>>;
};

/** Inputs in an implementation's own form, by file. */
class Kept<T> {
  readonly #items = new Map<string, T>();

  async get(file: string, make: () => T | Promise<T>): Promise<T> {
    let item = this.#items.get(file);
    if (item === undefined) this.#items.set(file, (item = await make()));
    return item;
  }
}

async function timed<T>(work: () => T | Promise<T>): Promise<Timed<T>> {
  const started = performance.now();
  const value = await work();
  return { ms: performance.now() - started, value };
}

function requireCore(): NativeCore {
  const core = nativeCore();
  if (!core)
    throw new AnchorError("NATIVE_UNAVAILABLE", "the native core is not built: run `anchorproof native build`");
  return core;
}

/** What the core does on a card. A key's proof is timed as a caller sees it, a kernel by itself on the card. */
function cudaServer(cuda: CardOf): Server {
  const core = requireCore();
  const files = new Kept<Uint8Array>();
  const read = (file: string) => files.get(file, () => readFileSync(file));
  const total = (times: readonly CardTime[]) => times.reduce((sum, { ms }) => sum + ms, 0);
  let key: ProvingKeyHandle | undefined;
  return {
    async open({ zkey, threads }) {
      if (key) core.closeProvingKey(key);
      const { ms } = await timed(() => {
        key = core.openProvingKey(zkey, { threads, cuda });
      });
      return { ms, value: core.provingKeyInfo(key!) };
    },
    async prove({ wtns, threads, timed: wanted = false }) {
      if (!key) throw new AnchorError("INTERNAL", "no key is open");
      const [handle, bytes] = [key, readFileSync(wtns)];
      const { ms, value } = await timed(() => core.prove(handle, bytes, { threads, timed: wanted }));
      const { proof, publics, cardTimes } = value;
      return {
        ms,
        value: {
          proof: decodeProof(proof),
          publicSignals: decodeIntegers(publics).map(String),
          ...(cardTimes && { times: cardTimes }),
        },
      };
    },
    async msm({ group, points, scalars, threads }) {
      const [bases, factors] = [await read(points), await read(scalars)];
      const { sum, times } = core.cardMsm(undefined, cuda, group, bases, factors, { threads });
      return { ms: total(times), value: { result: pointText(sum), times } };
    },
    async ntt({ file, threads }) {
      const { values, times } = core.cardNtt(undefined, cuda, await read(file), { threads });
      return { ms: total(times), value: { result: sha256(values), times } };
    },
  };
}

function nativeServer(): Server {
  const core = requireCore();
  const files = new Kept<Uint8Array>();
  const read = (file: string) => files.get(file, () => readFileSync(file));
  let key: ProvingKeyHandle | undefined;
  return {
    async open({ zkey, threads, prepared }) {
      if (key) core.closeProvingKey(key);
      const { ms } = await timed(() => {
        key = core.openProvingKey(zkey, prepared === undefined ? { threads } : { threads, prepared });
      });
      return { ms, value: core.provingKeyInfo(key!) };
    },
    async prove({ wtns, threads }) {
      if (!key) throw new AnchorError("INTERNAL", "no key is open");
      const [handle, bytes] = [key, readFileSync(wtns)];
      const { ms, value } = await timed(() => core.prove(handle, bytes, { threads }));
      return {
        ms,
        value: { proof: decodeProof(value.proof), publicSignals: decodeIntegers(value.publics).map(String) },
      };
    },
    async verify({ key: json, proven, batch, threads }) {
      const handle = core.openVerifyingKey(encodeVerifyingKey(json));
      const publics = proven.map(({ publicSignals }) => encodeIntegers(publicSignals));
      const proofs = proven.map(({ proof }) => encodeProof(proof));
      const [allPublics, allProofs] = [Buffer.concat(publics), Buffer.concat(proofs)];
      return timed(() => {
        if (batch)
          return core.verifyBatch(handle, allPublics, allProofs, proven.length, threads).filter(Boolean).length;
        return proofs.filter((proof, i) => core.verify(handle, publics[i]!, proof)).length;
      });
    },
    async poseidon({ file, threads }) {
      const elements = elementsOf(await read(file));
      return timed(() =>
        hex(treeRoot(elements, (inputs) => core.poseidon(16, new Uint8Array(32), inputs, { threads }))),
      );
    },
    async contents({ file, threads }) {
      return contents(await read(file), threads);
    },
    async msm({ group, points, scalars, threads }) {
      const [bases, factors] = [await read(points), await read(scalars)];
      const { ms, value } = await timed(() => core.msm(undefined, group, bases, factors, { threads }));
      return { ms, value: { result: pointText(value) } };
    },
    async ntt({ file, threads }) {
      const data = await read(file);
      const { ms, value } = await timed(() => core.ntt(undefined, data, { threads }));
      return { ms, value: { result: sha256(value) } };
    },
    field: () => timed(() => fieldEngines(core)),
  };
}

function fieldEngines(core: NativeCore): Operations["field"]["value"] {
  const timings = (engine: NativeEngine) => ({ implementation: `native ${engine}`, ...core.fieldTimings(engine) });
  return core.info().engines.map(timings);
}

/** The hash is given a whole level: 16 elements a node, the rest of the last one zeros. */
function treeRoot(elements: Uint8Array, hash: (inputs: Uint8Array) => Uint8Array): Uint8Array {
  let level = elements;
  while (level.length > 32) {
    const padded = new Uint8Array(Math.ceil(level.length / 512) * 512);
    padded.set(level);
    level = hash(padded);
  }
  return level;
}

/** Served by the core where the process has one. */
async function contents(data: Uint8Array, threads: number): Promise<Timed<string>> {
  const count = Math.ceil(data.length / RECORD_BYTES);
  const offsets = Float64Array.from({ length: count + 1 }, (_, i) => Math.min(i * RECORD_BYTES, data.length));
  const packings = new Uint8Array(2 * count).map((_, i) => (i % 2 === 0 ? 1 : PACKING_MODES.unsigned));
  const { ms, value } = await timed(() =>
    contentDigests(new Uint8Array(32), new Uint8Array(32), data, offsets, packings, threads),
  );
  return { ms, value: sha256(value) };
}

/** Bytes as field elements of 31 bytes each. */
function elementsOf(bytes: Uint8Array): Uint8Array {
  const count = Math.ceil(bytes.length / 31);
  const elements = new Uint8Array(32 * count);
  for (let i = 0; i < count; i++) elements.set(bytes.subarray(31 * i, 31 * (i + 1)), 32 * i);
  return elements;
}

function javascriptServer(): Server {
  return {
    async verify({ key, proven }) {
      const parsed = parseVerifyingKey(key);
      const cases = proven.map(({ proof, publicSignals }) => ({
        proof: parseProof(proof),
        publics: publicSignals.map(BigInt),
      }));
      return timed(() => cases.filter(({ proof, publics }) => verifyGroth16(parsed, publics, proof)).length);
    },
    async poseidon({ file }) {
      const elements = elementsOf(readFileSync(file));
      const hash = (inputs: Uint8Array) => {
        const values = decodeIntegers(inputs);
        return encodeIntegers(
          Array.from({ length: values.length / 16 }, (_, i) => poseidon16(0n, values.slice(16 * i, 16 * i + 16))),
        );
      };
      return timed(() => hex(treeRoot(elements, hash)));
    },
    contents: ({ file }) => contents(readFileSync(file), 1),
    async field() {
      let x = 0x1234567890abcdefn ** 3n % R;
      const y = R - 5n;
      const rounds = 200_000;
      const { ms } = await timed(() => {
        for (let i = 0; i < rounds; i++) x = (x * y) % R;
      });
      const ns = (1e6 * ms) / rounds;
      return { ms, value: [{ implementation: "javascript", latencyNs: ns, throughputNs: ns }] };
    },
  };
}

/** What is used of ffjavascript's curve beyond `vendor.d.ts`. Points and elements are in Montgomery form. */
interface Curve {
  F1: Batches;
  Fr: Batches & {
    fft(data: Uint8Array): Promise<Uint8Array>;
    mul(a: Uint8Array, b: Uint8Array): Uint8Array;
    one: Uint8Array;
  };
  G1: Group;
  G2: Group;
}
interface Batches {
  batchToMontgomery(data: Uint8Array): Promise<Uint8Array>;
  batchFromMontgomery(data: Uint8Array): Promise<Uint8Array>;
}
interface Group {
  g: Uint8Array;
  gAffine: Uint8Array;
  add(a: Uint8Array, b: Uint8Array): Uint8Array;
  batchToAffine(points: Uint8Array): Promise<Uint8Array>;
  multiExpAffine(points: Uint8Array, scalars: Uint8Array): Promise<Uint8Array>;
  toAffine(point: Uint8Array): Uint8Array;
}

async function snarkjsServer(): Promise<Server> {
  const { groth16 } = await import("snarkjs");
  const { buildBn128 } = await import("ffjavascript");
  const curve = (await buildBn128()) as unknown as Curve;
  const files = new Kept<Uint8Array>();
  const canonicalToOwn = (file: string, field: Batches) =>
    files.get(file, () => field.batchToMontgomery(readFileSync(file)));
  return {
    async prove({ zkey, wtns }) {
      return timed(async () => {
        const { proof, publicSignals } = await groth16.prove(zkey, wtns);
        return { proof: proof as unknown as SnarkjsProof, publicSignals };
      });
    },
    async verify({ key, proven }) {
      return timed(async () => {
        let valid = 0;
        for (const { proof, publicSignals } of proven) if (await groth16.verify(key, publicSignals, proof)) valid++;
        return valid;
      });
    },
    async points({ group, n, file }) {
      const { g, gAffine, ...of } = pointsOf(curve, group);
      return timed(async () => {
        // 2G, 3G, …: distinct, cheap, and no easier to add up than others.
        const jacobian = new Uint8Array(n * g.length);
        let point = g;
        for (let i = 0; i < n; i++) {
          point = of.add(point, gAffine);
          jacobian.set(point, i * g.length);
        }
        writeFileSync(file, await curve.F1.batchFromMontgomery(await of.batchToAffine(jacobian)));
        return undefined;
      });
    },
    async msm({ group, points, scalars }) {
      const bases = await canonicalToOwn(points, curve.F1);
      const factors = await files.get(scalars, () => readFileSync(scalars));
      const { multiExpAffine, toAffine } = pointsOf(curve, group);
      const { ms, value } = await timed(() => multiExpAffine(bases, factors));
      const affine = await curve.F1.batchFromMontgomery(toAffine(value));
      return { ms, value: { result: pointText(affine) } };
    },
    async ntt({ file }) {
      const data = await canonicalToOwn(file, curve.Fr);
      const { ms, value } = await timed(() => curve.Fr.fft(data));
      return { ms, value: { result: sha256(await curve.Fr.batchFromMontgomery(value)) } };
    },
    async field() {
      const { Fr } = curve;
      let x = Fr.one;
      const rounds = 200_000;
      const { ms } = await timed(() => {
        for (let i = 0; i < rounds; i++) x = Fr.mul(x, Fr.one);
      });
      const ns = (1e6 * ms) / rounds;
      return { ms, value: [{ implementation: "snarkjs", latencyNs: ns, throughputNs: ns }] };
    },
  };
}

function pointsOf(curve: Curve, group: 1 | 2): Group {
  const points = group === 1 ? curve.G1 : curve.G2;
  return {
    g: points.g,
    gAffine: points.gAffine,
    add: (a, b) => points.add(a, b),
    batchToAffine: (data) => points.batchToAffine(data),
    multiExpAffine: (bases, scalars) => points.multiExpAffine(bases, scalars),
    toAffine: (point) => points.toAffine(point),
  };
}

function pointText(coordinates: Uint8Array): string {
  return decodeIntegers(coordinates)
    .map((x) => x.toString(16))
    .join();
}

function hex(element: Uint8Array): string {
  return `0x${decodeIntegers(element)[0]!.toString(16)}`;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

const makers: Record<Implementation, () => Server | Promise<Server>> = {
  native: nativeServer,
  cuda: () => cudaServer({ library: process.argv[3]!, device: Number(process.argv[4]) }),
  javascript: javascriptServer,
  snarkjs: snarkjsServer,
};

// Made at the first request: a missing core is an answer, not a crash.
let server: Server | undefined;
process.on("message", ({ operation, request }: { operation: keyof Operations; request: never }) => {
  void (async (): Promise<ServerReply> => {
    try {
      server ??= await makers[process.argv[2] as Implementation]();
      const work = server[operation];
      if (!work) throw new AnchorError("INTERNAL", `${process.argv[2]} has no ${operation}`);
      return await work(request);
    } catch (error) {
      return { error: toAnchorError(error, "INTERNAL", `${operation} failed`).toJSON() };
    }
  })().then((reply) => process.send?.(reply));
});
process.on("disconnect", () => process.exit());
