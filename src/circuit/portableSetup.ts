/**
 * Development keys without the native core: the same key, made in JavaScript and WebAssembly.
 *
 * The trapdoor (τ, α, β, δ) is drawn here and every element of the key is computed in the scalar field and multiplied
 * once onto a generator. It lives in JavaScript bigints for as long as the setup runs; it cannot be wiped there.
 *
 * The file is snarkjs' `.zkey`. Layout and the extra constraint a public signal follow snarkjs 0.7 (`zkey_new.js`,
 * `zkey_utils.js`).
 *
 * @module
 */
import { availableParallelism } from "node:os";
import type { Worker } from "node:worker_threads";
import { buildBn128 } from "ffjavascript";
import { AnchorError, throwIfAborted, toAnchorError } from "../errors.js";
import { concat } from "../field/bytes.js";
import { invert, invertMany, pow, Q, R, randomScalar } from "../field/scalar.js";
import { startWorker } from "../workers.js";
import { binFile, littleEndian, uint32 } from "./binfile.js";
import type { LongWork } from "./nativeTask.js";
import type { R1cs, SparseMatrix } from "./r1cs.js";
import type { FixedBaseRequest, FixedBaseSetup } from "./setupWorker.js";
import { STAMP_SECTION } from "./zkey.js";

const MAX_POWER = 20;
const BATCH = 2048;

/** The bytes of a development key, stamped. @throws INPUT_TOO_LARGE, ABORTED */
export async function setupPortable(
  r1cs: R1cs,
  stamp: Uint8Array,
  { signal, onProgress }: Pick<LongWork, "signal" | "onProgress"> = {},
): Promise<Uint8Array> {
  const publics = r1cs.publicOutputs + r1cs.publicInputs;
  const power = Math.max(1, Math.ceil(Math.log2(r1cs.constraints + publics + 1)));
  if (power > MAX_POWER) {
    throw new AnchorError(
      "INPUT_TOO_LARGE",
      `without the native core, keys are made up to 2^${MAX_POWER} rows (anchorproof native build)`,
    );
  }
  const curve = await buildBn128(true);
  const root = curve.Fr.toObject(curve.Fr.w[power + 1]!);
  const scalars = evaluateQap(r1cs, power, root);
  throwIfAborted(signal);

  const jobs: Job[] = Object.entries(scalars.g1).map(([name, values]) => ({ name, group: "g1", values }));
  jobs.push({ name: "g2", group: "g2", values: scalars.g2 });
  const points = await multiplyAll(
    { code: curve.tm.code, generators: { g1: curve.G1.g, g2: curve.G2.g } },
    jobs,
    signal,
    onProgress,
  );

  const g1 = (name: keyof typeof scalars.g1) => points.get(name)!;
  const [alpha1, beta1, delta1] = slices(g1("key"), 64) as [Uint8Array, Uint8Array, Uint8Array];
  const g2 = points.get("g2")!;
  const [beta2, gamma2, delta2] = slices(g2.subarray(0, 3 * 128), 128) as [Uint8Array, Uint8Array, Uint8Array];

  const header = concat(
    uint32(32),
    littleEndian(Q),
    uint32(32),
    littleEndian(R),
    uint32(r1cs.wires),
    uint32(publics),
    uint32(2 ** power),
    alpha1,
    beta1,
    beta2,
    gamma2,
    delta1,
    delta2,
  );
  // In the order of snarkjs' initial keys.
  const sections: [number, Uint8Array][] = [
    [1, uint32(1)],
    [2, header],
    [4, coefficients(r1cs, publics)],
    [3, g1("ic")],
    [9, g1("h")],
    [8, g1("c")],
    [5, g1("a")],
    [6, g1("b")],
    [7, g2.subarray(3 * 128)],
    [10, concat(new Uint8Array(64), uint32(0))],
    [STAMP_SECTION, stamp],
  ];
  return binFile("zkey", 1, sections);
}

/** Every discrete logarithm of the key. */
interface KeyScalars {
  g1: { key: bigint[]; ic: bigint[]; a: bigint[]; b: bigint[]; c: bigint[]; h: bigint[] };
  g2: bigint[];
}

function evaluateQap(r1cs: R1cs, power: number, root: bigint): KeyScalars {
  const size = 2 ** power;
  const publics = r1cs.publicOutputs + r1cs.publicInputs;
  const [alpha, beta, delta] = [randomScalar(), randomScalar(), randomScalar()];
  // Outside every domain that matters, so that no denominator below is zero.
  let tau = randomScalar();
  while (pow(tau, BigInt(2 * size)) === 1n || tau === 0n) tau = randomScalar();
  if (alpha === 0n || beta === 0n || delta <= 1n || delta === R - 1n) {
    throw new AnchorError("INTERNAL", "a trapdoor value came out degenerate (chance 2^-252): run again");
  }

  // Lagrange polynomials at τ over the 2N-th roots ω^j: L_j(τ) = ω^j (τ^2N − 1) / (2N (τ − ω^j)). The even ones double
  // as those of the N-th roots, where (τ^N − 1)/N takes the place of (τ^2N − 1)/2N.
  const powers: bigint[] = [1n];
  for (let j = 1; j < 2 * size; j++) powers.push((powers[j - 1]! * root) % R);
  const inverses = invertMany(powers.map((w) => (tau - w + R) % R));
  const tauN = pow(tau, BigInt(size));
  const over2N = (((tauN * tauN - 1n) % R) * invert(BigInt(2 * size))) % R;
  const overN = ((tauN - 1n + R) * invert(BigInt(size))) % R;
  const lagrange = Array.from({ length: size }, (_, i) => (((powers[2 * i]! * inverses[2 * i]!) % R) * overN) % R);

  const evaluate = (matrix: SparseMatrix): bigint[] => {
    const sums: bigint[] = new Array(r1cs.wires).fill(0n);
    for (let row = 0; row < r1cs.constraints; row++) {
      const at = lagrange[row]!;
      for (let i = matrix.start[row]!; i < matrix.start[row + 1]!; i++) {
        const wire = matrix.wire[i]!;
        sums[wire] = (sums[wire]! + matrix.coefficient[i]! * at) % R;
      }
    }
    return sums;
  };
  const a = evaluate(r1cs.a);
  // One row more for every public signal keeps its column independent of the others (snarkjs does the same): without
  // it, a public input that the circuit does not use would not be bound by the proof.
  for (let s = 0; s <= publics; s++) a[s] = (a[s]! + lagrange[r1cs.constraints + s]!) % R;
  const b = evaluate(r1cs.b);
  const c = evaluate(r1cs.c);
  const k = a.map((value, i) => (beta * value + alpha * b[i]! + c[i]!) % R);
  const deltaInverse = invert(delta);
  const h = Array.from({ length: size }, (_, i) => {
    const j = 2 * i + 1;
    return (((((powers[j]! * inverses[j]!) % R) * over2N) % R) * deltaInverse) % R;
  });
  return {
    g1: {
      key: [alpha, beta, delta],
      ic: k.slice(0, publics + 1), // γ = 1, as snarkjs has it
      a,
      b,
      c: k.slice(publics + 1).map((value) => (value * deltaInverse) % R),
      h,
    },
    g2: [beta, 1n, delta, ...b],
  };
}

interface Job {
  name: string;
  group: "g1" | "g2";
  values: bigint[];
}

/** Multiplies all jobs' scalars onto the generators, in worker threads. */
async function multiplyAll(
  setup: FixedBaseSetup,
  jobs: readonly Job[],
  signal: AbortSignal | undefined,
  onProgress: ((done: number) => void) | undefined,
): Promise<Map<string, Uint8Array>> {
  const results = new Map<string, Uint8Array[]>(jobs.map(({ name }) => [name, []]));
  const queue = jobs.flatMap(({ name, group, values }) => {
    const batches = Math.ceil(values.length / BATCH);
    return Array.from({ length: batches }, (_, index) => ({
      name,
      index,
      request: { group, scalars: concat(...values.slice(index * BATCH, (index + 1) * BATCH).map(littleEndian)) },
    }));
  });
  // Long batches first, so that the threads end together.
  queue.sort((x, y) => (x.request.group === y.request.group ? 0 : x.request.group === "g2" ? -1 : 1));
  const total = queue.length;
  let done = 0;
  const workers: Worker[] = [];
  try {
    const threads = Math.min(availableParallelism(), 8, total);
    await Promise.all(
      Array.from({ length: threads }, async () => {
        const worker = startWorker("circuit/setupWorker", { workerData: setup });
        workers.push(worker);
        for (let job = queue.shift(); job; job = queue.shift()) {
          throwIfAborted(signal);
          results.get(job.name)![job.index] = await ask(worker, job.request, signal);
          onProgress?.(++done / total);
        }
      }),
    );
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
  return new Map([...results].map(([name, parts]) => [name, concat(...parts)]));
}

function ask(worker: Worker, request: FixedBaseRequest, signal: AbortSignal | undefined): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const onMessage = (points: Uint8Array) => finish(() => resolve(points));
    const onError = (error: unknown) =>
      finish(() => reject(toAnchorError(error, "INTERNAL", "the setup worker failed")));
    const onExit = () => onError(new Error("it ended"));
    const onAbort = () => finish(() => reject(new AnchorError("ABORTED", "the setup was stopped")));
    const finish = (settle: () => void) => {
      worker.off("message", onMessage).off("error", onError).off("exit", onExit);
      signal?.removeEventListener("abort", onAbort);
      settle();
    };
    worker.on("message", onMessage).on("error", onError).on("exit", onExit);
    signal?.addEventListener("abort", onAbort, { once: true });
    worker.postMessage(request);
  });
}

/** Section 4: entries of A and B as (matrix, row, wire, value), the value times 2^512, as snarkjs' prover wants it. */
function coefficients(r1cs: R1cs, publics: number): Uint8Array {
  const count = r1cs.a.wire.length + r1cs.b.wire.length + publics + 1;
  const bytes = new Uint8Array(4 + 44 * count);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, count, true);
  let offset = 4;
  const known = new Map<bigint, Uint8Array>();
  const montgomery2 = 2n ** 512n % R;
  const put = (matrix: number, row: number, wire: number, coefficient: bigint) => {
    view.setUint32(offset, matrix, true);
    view.setUint32(offset + 4, row, true);
    view.setUint32(offset + 8, wire, true);
    let value = known.get(coefficient);
    if (!value) known.set(coefficient, (value = littleEndian((coefficient * montgomery2) % R)));
    bytes.set(value, offset + 12);
    offset += 44;
  };
  for (let row = 0; row < r1cs.constraints; row++) {
    for (const [index, { start, wire, coefficient }] of [r1cs.a, r1cs.b].entries()) {
      for (let i = start[row]!; i < start[row + 1]!; i++) put(index, row, wire[i]!, coefficient[i]!);
    }
  }
  for (let s = 0; s <= publics; s++) put(0, r1cs.constraints + s, s, 1n);
  return bytes;
}

function slices(bytes: Uint8Array, size: number): Uint8Array[] {
  return Array.from({ length: bytes.length / size }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
}
