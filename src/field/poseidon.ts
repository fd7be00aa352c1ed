/**
 * Poseidon over BN254 with 16 inputs, circomlib's instance (t = 17, 8 full and 68 partial rounds, x^5).
 *
 * One permutation serves the whole project: the capacity element carries a domain tag and the lengths, the sixteen
 * others the inputs, and the output is the first element of the final state. With capacity 0 this is exactly
 * circomlib's `Poseidon(16)`.
 *
 * The constants are not shipped: they are drawn here from the Grain LFSR as the paper prescribes (Grassi et al.,
 * "Poseidon", USENIX Security 2021, appendix F), which takes some tens of milliseconds once a process. The partial
 * rounds use the paper's equivalent sparse matrices (appendix B), 33 multiplications a round where the plain form
 * takes 289.
 *
 * The native core hashes when it is there, tens of times faster, with the same results.
 *
 * Not constant-time.
 *
 * @module
 */
import { isUint8Array } from "node:util/types";
import { AnchorError } from "../errors.js";
import { nativeCore } from "./native.js";
import { assertScalar, invert, R } from "./scalar.js";

/** Bytes of a scalar in a buffer, little-endian. */
const SCALAR_BYTES = 32;
const MAX_THREADS = 256;

/** State width: 16 inputs and the capacity. */
const T = 17;
const FULL_ROUNDS = 8;
const PARTIAL_ROUNDS = 68;
const HALF = FULL_ROUNDS / 2;
/** circomlib's partial rounds for 1 to 16 inputs. */
const PARTIAL_ROUNDS_BY_INPUTS = [56, 57, 56, 60, 60, 63, 64, 63, 60, 66, 60, 65, 70, 60, 64, PARTIAL_ROUNDS];

type Matrix = bigint[][];

/** The instance as published: `constants[round][lane]` are added before the S-boxes, `mds` mixes after them. */
export interface PoseidonParameters {
  constants: bigint[][];
  mds: Matrix;
}

/** The paper's appendix B: partial rounds with sparse matrices, over the same S-boxes as the plain form. */
export interface SparseForm {
  /** Constants of the first four full rounds and of the first partial round, one row of T each. */
  head: bigint[][];
  /** Scalar constants of lane 0 after each of the S-boxes of the partial rounds but the last. */
  lane0: bigint[];
  /** Dense matrix applied before the partial rounds instead of the MDS matrix. */
  dense: Matrix;
  /** For each partial round: first row (T entries) and first column without its first entry (T − 1 entries). */
  rows: bigint[][];
  columns: bigint[][];
  tail: bigint[][];
  mds: Matrix;
}

const parameters = new Map<number, PoseidonParameters>();
let sparse: SparseForm | undefined;

/** The published constants of the instance with 1 to 16 inputs, generated on first use. @throws INPUT_INVALID */
export function poseidonParameters(inputs = T - 1): PoseidonParameters {
  const partialRounds = PARTIAL_ROUNDS_BY_INPUTS[inputs - 1];
  if (partialRounds === undefined) throw new AnchorError("INPUT_INVALID", "Poseidon takes 1 to 16 inputs");
  let found = parameters.get(inputs);
  if (!found) parameters.set(inputs, (found = generateParameters(inputs + 1, partialRounds)));
  return found;
}

/**
 * Hashes sixteen scalars under a capacity (domain tag, plus lengths where a caller puts them there).
 *
 * @param capacity scalar; the caller keeps tags of different uses apart
 * @param inputs exactly 16 scalars
 * @throws INPUT_INVALID
 */
export function poseidon16(capacity: bigint, inputs: readonly bigint[]): bigint {
  if (!Array.isArray(inputs) || inputs.length !== T - 1) {
    throw new AnchorError("INPUT_INVALID", "poseidon16 takes an array of exactly 16 inputs");
  }
  assertScalar(capacity, "capacity");
  // Each is read once: what is checked is what is hashed.
  const row = Array.from({ length: T - 1 }, (_, i): unknown => inputs[i]);
  for (const input of row) assertScalar(input, "input");
  const core = nativeCore();
  if (!core) return permute(capacity, row as bigint[]);
  return decodeScalars(core.poseidon(T - 1, encodeScalars([capacity]), encodeScalars(row as bigint[])))[0]!;
}

/**
 * What {@link poseidon16} computes on its way, for the witness of a circuit: what goes into each S-box, in order of
 * evaluation, and the hash. Always in JavaScript.
 *
 * @throws INPUT_INVALID
 */
export function poseidon16Trace(capacity: bigint, inputs: readonly bigint[]): { boxes: bigint[]; hash: bigint } {
  if (inputs.length !== T - 1) throw new AnchorError("INPUT_INVALID", "poseidon16Trace takes exactly 16 inputs");
  for (const input of [capacity, ...inputs]) assertScalar(input, "input");
  const boxes: bigint[] = [];
  return { hash: permute(capacity, inputs, boxes), boxes };
}

/**
 * What the witness of a circuit needs of a permutation, from the native core: for each of the 204 S-boxes, in order of
 * evaluation, the second, fourth and fifth power of what goes into it, and the hash. 613 scalars of 32 bytes,
 * little-endian; `undefined` where there is no core, and {@link poseidon16Trace} serves.
 *
 * @throws INPUT_INVALID
 */
export function poseidon16Powers(capacity: bigint, inputs: readonly bigint[]): Uint8Array | undefined {
  if (inputs.length !== T - 1) throw new AnchorError("INPUT_INVALID", "poseidon16Powers takes exactly 16 inputs");
  return nativeCore()?.poseidonTraces(encodeScalars([capacity]), encodeScalars(inputs));
}

/** Matrices and constants of the instance with 16 inputs in the form that needs the fewest multiplications. */
export function poseidonSparseForm(): SparseForm {
  sparse ??= toSparseForm(poseidonParameters());
  return sparse;
}

/**
 * Many hashes at once, on scalars of 32 bytes, little-endian.
 *
 * @param capacities one for all hashes, or one for each
 * @param inputs     16 for each hash, one hash after another
 * @param threads    of the native core, from 1 to 256; JavaScript uses the caller's alone
 * @returns one scalar for each hash
 * @throws INPUT_INVALID for lengths that do not fit, and for values that are no scalars
 */
export function poseidon16Many(capacities: Uint8Array, inputs: Uint8Array, threads = 1): Uint8Array {
  // Checked here, and not by the core alone: the answers must not depend on who serves.
  if (!isUint8Array(capacities) || !isUint8Array(inputs)) {
    throw new AnchorError("INPUT_INVALID", "poseidon16Many takes capacities and inputs as Uint8Arrays");
  }
  assertThreads(threads);
  const rowBytes = (T - 1) * SCALAR_BYTES;
  const count = inputs.length / rowBytes;
  if (!Number.isInteger(count)) throw new AnchorError("INPUT_INVALID", "poseidon16Many takes 16 inputs for each hash");
  if (capacities.length !== SCALAR_BYTES && capacities.length !== count * SCALAR_BYTES) {
    throw new AnchorError("INPUT_INVALID", "poseidon16Many takes one capacity, or one for each hash");
  }
  const core = nativeCore();
  if (core) return core.poseidon(T - 1, capacities, inputs, { threads });
  const tags = decodeScalars(capacities);
  const hashes: bigint[] = [];
  for (let i = 0; i < count; i++) {
    const row = decodeScalars(inputs.subarray(i * rowBytes, (i + 1) * rowBytes));
    const capacity = tags[tags.length === 1 ? 0 : i]!;
    assertScalar(capacity, "capacity");
    for (const input of row) assertScalar(input, "input");
    hashes.push(permute(capacity, row));
  }
  return encodeScalars(hashes);
}

/** Checks a number of threads for the native core. @throws INPUT_INVALID */
export function assertThreads(threads: unknown): asserts threads is number {
  if (!Number.isInteger(threads) || (threads as number) < 1 || (threads as number) > MAX_THREADS) {
    throw new AnchorError("INPUT_INVALID", `threads must be an integer from 1 to ${MAX_THREADS}`);
  }
}

/** Scalars as 32 bytes each, little-endian. @throws INPUT_INVALID */
export function encodeScalars(values: readonly bigint[]): Uint8Array {
  const bytes = new Uint8Array(values.length * SCALAR_BYTES);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    assertScalar(value, "value");
    for (let word = 0; word < 4; word++) {
      view.setBigUint64(i * SCALAR_BYTES + word * 8, value >> BigInt(64 * word), true);
    }
  }
  return bytes;
}

/** The reverse of {@link encodeScalars}. Does not check that values are below r. */
export function decodeScalars(bytes: Uint8Array): bigint[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length / SCALAR_BYTES }, (_, i) => {
    let value = 0n;
    for (let word = 3; word >= 0; word--) {
      value = (value << 64n) | view.getBigUint64(i * SCALAR_BYTES + word * 8, true);
    }
    return value;
  });
}

/** @param boxes takes what goes into each S-box */
function permute(capacity: bigint, inputs: readonly bigint[], boxes?: bigint[]): bigint {
  const { head, lane0, dense, rows, columns, tail, mds } = poseidonSparseForm();
  let state = [capacity, ...inputs];
  for (let round = 0; round < HALF; round++) {
    fullSbox(state, head[round]!, boxes);
    state = multiply(round === HALF - 1 ? dense : mds, state);
  }
  // Partial rounds: the constants of all lanes but the first have been pushed forward into lane 0 and the tail.
  const first = head[HALF]!;
  for (let lane = 0; lane < T; lane++) state[lane] = state[lane]! + first[lane]!;
  for (let round = 0; round < PARTIAL_ROUNDS; round++) {
    const box = state[0]! % R;
    boxes?.push(box);
    const x = pow5(box) + lane0[round]!;
    const row = rows[round]!;
    const column = columns[round]!;
    let dot = row[0]! * x;
    for (let lane = 1; lane < T; lane++) {
      const value = state[lane]!;
      dot += row[lane]! * value;
      state[lane] = (value + column[lane - 1]! * x) % R;
    }
    state[0] = dot;
  }
  for (let round = 0; round < HALF; round++) {
    fullSbox(state, tail[round]!, boxes);
    if (round === HALF - 1) break;
    state = multiply(mds, state);
  }
  let out = 0n;
  for (let lane = 0; lane < T; lane++) out += mds[0]![lane]! * state[lane]!;
  return out % R;
}

function pow5(x: bigint): bigint {
  const square = (x * x) % R;
  return (((square * square) % R) * x) % R;
}

function fullSbox(state: bigint[], constants: readonly bigint[], boxes?: bigint[]): void {
  for (let lane = 0; lane < T; lane++) {
    const box = (state[lane]! + constants[lane]!) % R;
    boxes?.push(box);
    state[lane] = pow5(box);
  }
}

/** Matrix times vector, one reduction an entry. */
function multiply(matrix: Matrix, vector: readonly bigint[]): bigint[] {
  return matrix.map((row) => {
    let sum = 0n;
    for (let j = 0; j < vector.length; j++) sum += row[j]! * vector[j]!;
    return sum % R;
  });
}

/**
 * Rewrites the rounds in the form of the paper's appendix B.
 *
 * Matrices: M = S · diag(1, M̂) with S sparse, and diag(1, M̂) commutes with the partial S-box layer, so every partial
 * round keeps the sparse factor and hands diag(1, M̂) to the round before. Constants: of a partial round, all but lane 0's commute
 * with the S-box too, so they travel through the inverse of the linear layer to the round before.
 */
function toSparseForm({ constants, mds }: PoseidonParameters): SparseForm {
  // Constants of the partial rounds, from the last backwards: c = M · (rest), rest's lanes 1.. join the round before.
  const inverse = invertMatrix(mds);
  const merged = constants.map((row) => [...row]);
  const lane0: bigint[] = new Array(PARTIAL_ROUNDS).fill(0n);
  const firstPartial = HALF;
  const lastPartial = HALF + PARTIAL_ROUNDS - 1;
  for (let round = lastPartial; round > firstPartial; round--) {
    const pulled = multiply(inverse, merged[round]!);
    lane0[round - firstPartial - 1] = pulled[0]!;
    for (let lane = 1; lane < T; lane++) merged[round - 1]![lane] = (merged[round - 1]![lane]! + pulled[lane]!) % R;
  }
  // Matrices: the k-th round from the end meets M̂^k, so rows and columns follow by vector products alone.
  const mHat = mds.slice(1).map((row) => row.slice(1));
  const mHatInverseT = transpose(invertMatrix(mHat));
  const rows: bigint[][] = new Array(PARTIAL_ROUNDS);
  const columns: bigint[][] = new Array(PARTIAL_ROUNDS);
  let row = mds[0]!.slice(1);
  let column = mds.slice(1).map((line) => line[0]!);
  for (let round = PARTIAL_ROUNDS - 1; round >= 0; round--) {
    row = multiply(mHatInverseT, row);
    rows[round] = [mds[0]![0]!, ...row];
    columns[round] = column;
    column = multiply(mHat, column);
  }
  const hat = matrixPower(mHat, PARTIAL_ROUNDS);
  const block = [[1n, ...new Array(T - 1).fill(0n)], ...hat.map((line) => [0n, ...line])] as Matrix;
  return {
    // The last diag(1, M̂^68) also passes the constants of the first partial round, which still cover all lanes.
    head: [...merged.slice(0, HALF), multiply(block, merged[HALF]!)],
    lane0,
    dense: multiplyMatrices(block, mds),
    rows,
    columns,
    tail: constants.slice(HALF + PARTIAL_ROUNDS),
    mds,
  };
}

function matrixPower(matrix: Matrix, exponent: number): Matrix {
  if (exponent === 1) return matrix;
  const half = matrixPower(matrix, exponent >> 1);
  const square = multiplyMatrices(half, half);
  return exponent & 1 ? multiplyMatrices(square, matrix) : square;
}

function transpose(matrix: Matrix): Matrix {
  return matrix[0]!.map((_, j) => matrix.map((row) => row[j]!));
}

function multiplyMatrices(a: Matrix, b: Matrix): Matrix {
  return a.map((row) => b[0]!.map((_, j) => row.reduce((sum, value, k) => sum + value * b[k]![j]!, 0n) % R));
}

/** Gauss–Jordan. The matrices here come from a Cauchy matrix, whose minors are all non-zero. */
function invertMatrix(matrix: Matrix): Matrix {
  const n = matrix.length;
  const work = matrix.map((row, i) => [...row, ...row.map((_, j) => (i === j ? 1n : 0n))]);
  for (let column = 0; column < n; column++) {
    const pivot = work.findIndex((row, i) => i >= column && row[column] !== 0n);
    [work[column], work[pivot]] = [work[pivot]!, work[column]!];
    const scale = invert(work[column]![column]!);
    work[column] = work[column]!.map((value) => (value * scale) % R);
    for (let i = 0; i < n; i++) {
      const factor = work[i]![column]!;
      if (i === column || factor === 0n) continue;
      const source = work[column]!;
      work[i] = work[i]!.map((value, j) => (((value - factor * source[j]!) % R) + R) % R);
    }
  }
  return work.map((row) => row.slice(n));
}

/** The Grain LFSR of the paper's appendix F, self-shrinking, for a prime field and x^5. */
function generateParameters(width: number, partialRounds: number): PoseidonParameters {
  const seed: number[] = [];
  const push = (value: number, bits: number) => {
    for (let i = bits - 1; i >= 0; i--) seed.push((value >> i) & 1);
  };
  push(1, 2); // prime field
  push(0, 4); // S-box x^alpha
  push(254, 12); // bits of r
  push(width, 12);
  push(FULL_ROUNDS, 10);
  push(partialRounds, 10);
  push(0x3fffffff, 30);
  // The 80-bit register slides over a ring of 128 cells, so that an index needs a mask and no division.
  const ring = new Uint8Array(128);
  ring.set(seed);
  let n = 0;
  const step = (): number => {
    const bit =
      ring[(n + 62) & 127]! ^
      ring[(n + 51) & 127]! ^
      ring[(n + 38) & 127]! ^
      ring[(n + 23) & 127]! ^
      ring[(n + 13) & 127]! ^
      ring[n & 127]!;
    ring[(n + 80) & 127] = bit;
    n++;
    return bit;
  };
  for (let i = 0; i < 160; i++) step();
  const nextBit = (): number => {
    while (step() === 0) step();
    return step();
  };
  const nextInteger = (): bigint => {
    let bits = "0b";
    for (let i = 0; i < 254; i++) bits += nextBit();
    return BigInt(bits);
  };
  const constants = Array.from({ length: FULL_ROUNDS + partialRounds }, () =>
    Array.from({ length: width }, () => {
      for (;;) {
        const value = nextInteger();
        if (value < R) return value;
      }
    }),
  );
  // Cauchy matrix; the reference reduces here where it rejects above.
  const xs = Array.from({ length: width }, () => nextInteger() % R);
  const ys = Array.from({ length: width }, () => nextInteger() % R);
  const mds = xs.map((x) => ys.map((y) => invert(x + y)));
  return { constants, mds };
}
