/**
 * Twins of `circuits/lib/poseidon16.circom` and of the chain over it, `circuits/lib/hash_chain.circom`.
 *
 * @module
 */

import { ELEMENTS_PER_CALL } from "../../field/chain.js";
import {
  decodeScalars,
  poseidon16Powers,
  poseidon16Trace,
  poseidonParameters,
  poseidonSparseForm,
} from "../../field/poseidon.js";
import { R } from "../../field/scalar.js";
import { aliasAll, constant, type Element } from "./elements.js";
import { type Combination, ONE, type Synthesis } from "./synthesis.js";

/**
 * From `start`, every call absorbs what came out of the one before and the next fifteen elements, zeros after the last.
 *
 * @param out the wire of the result, where there is one already
 */
export function hashChain(
  s: Synthesis,
  capacity: bigint,
  start: Element,
  elements: readonly Element[],
  out?: number,
): Element {
  const calls = Math.ceil(elements.length / ELEMENTS_PER_CALL);
  s.alias(start.wire, "start");
  aliasAll(s, elements, "in");
  let h = start;
  for (let call = 0; call < calls; call++) {
    const from = call * ELEMENTS_PER_CALL;
    const block = Array.from({ length: ELEMENTS_PER_CALL }, (_, j) => elements[from + j] ?? constant(0n));
    s.enter("hash", call);
    h = poseidon(s, capacity, [h, ...block], call === calls - 1 ? out : undefined);
    s.leave();
  }
  s.alias(h.wire, "out");
  return h;
}

/**
 * One permutation of sixteen inputs under a constant capacity; rows 613.
 *
 * @param out the wire of the hash, where there is one already
 */
export function poseidon(s: Synthesis, capacity: bigint, inputs: readonly Element[], out?: number): Element {
  const values = inputs.map(({ value }) => value);
  // The core has all wires at once, as bytes, some tens of times faster than they are computed here.
  const powers = s.bulk && poseidon16Powers(capacity, values);
  if (powers) return inBulk(s, powers, out);
  const { boxes, hash } = s.valued ? poseidon16Trace(capacity, values) : NO_TRACE;
  const first = [constant(capacity), ...inputs];
  const fifths: number[] = [];
  for (let n = 0; n < BOXES; n++) {
    const x = boxes[n] ?? 0n;
    const [x2, x4, x5] = s.valued ? powersOf(x) : NO_POWERS;
    const square = s.wire(x2, "square", n);
    const fourth = s.wire(x4, "fourth", n);
    const fifth = s.wire(x5, "fifth", n);
    fifths.push(fifth);
    if (!s.writing) {
      s.row(undefined, undefined, s.combination());
      s.row(undefined, undefined, s.combination());
      s.row(undefined, undefined, s.combination());
      continue;
    }
    let box: Combination;
    if (n < first.length) {
      const { wire, value } = first[n]!;
      box = s.combination(poseidonParameters().constants[0]![n]!).add(wire === ONE ? value : 1n, wire);
    } else box = combine(s, forms().boxes[n]!, fifths);
    s.row(box, box, s.combination().add(1, square));
    s.row(s.combination().add(1, square), s.combination().add(1, square), s.combination().add(1, fourth));
    s.row(box, s.combination().add(1, fourth), s.combination().add(1, fifth));
  }
  let wire = out;
  if (wire === undefined) wire = s.wire(hash, "out");
  else s.assign(wire, hash);
  const result = s.writing ? combine(s, forms().hash, fifths) : s.combination();
  s.row(undefined, undefined, result.add(-1, wire));
  return { wire, value: hash };
}

/** A linear form over the outputs of the S-boxes before. */
interface Form {
  readonly constant: bigint;
  readonly boxes: readonly number[];
  readonly coefficients: readonly bigint[];
}

/** Bytes of a scalar. */
const SCALAR_BYTES = 32;
const NO_TRACE = { boxes: [] as bigint[], hash: 0n };
const NO_POWERS = [0n, 0n, 0n] as const;
const WIDTH = 17;
const HALF = 4;
const PARTIAL_ROUNDS = 68;
const BOXES = 2 * HALF * WIDTH + PARTIAL_ROUNDS;

/** All wires of a permutation whose values are there: those of the S-boxes, and that of the hash. */
function inBulk(s: Synthesis, powers: Uint8Array, out: number | undefined): Element {
  const boxBytes = 3 * BOXES * SCALAR_BYTES;
  const hash = decodeScalars(powers.subarray(boxBytes))[0]!;
  const first = s.bulk!(out === undefined ? powers : powers.subarray(0, boxBytes));
  if (out !== undefined) s.assign(out, hash);
  // They are part of the witness as much as the file is.
  powers.fill(0);
  return { wire: out ?? first + 3 * BOXES, value: hash };
}

function powersOf(x: bigint): [bigint, bigint, bigint] {
  const square = (x * x) % R;
  const fourth = (square * square) % R;
  return [square, fourth, (fourth * x) % R];
}

function combine(s: Synthesis, form: Form, fifths: readonly number[]): Combination {
  const combination = s.combination(form.constant);
  for (let i = 0; i < form.boxes.length; i++) combination.add(form.coefficients[i]!, fifths[form.boxes[i]!]!);
  return combination;
}

let cached: { boxes: (Form | undefined)[]; hash: Form } | undefined;

/**
 * What goes into each S-box from the second round on, and the hash. The same for every call, so they are worked out
 * once a process, along the sparse form of the rounds: the S-boxes there are those of the plain form.
 */
function forms(): { boxes: (Form | undefined)[]; hash: Form } {
  if (cached) return cached;
  const { head, lane0, dense, rows, columns, tail, mds } = poseidonSparseForm();
  const boxes: (Form | undefined)[] = [];
  /** Entry 0 is the constant, entry n + 1 the coefficient of the n-th S-box's output. */
  type Vector = bigint[];
  const box = (state: Vector, plus: bigint) => {
    const vector = [...state];
    vector[0] = (vector[0]! + plus) % R;
    boxes.push(sparseForm(vector));
  };
  /** Of a matrix times the outputs of the last full round. */
  const mixed = (matrix: bigint[][]): Vector[] => {
    const from = boxes.length - WIDTH;
    return matrix.map((row) => {
      const vector: Vector = new Array(BOXES + 1).fill(0n);
      row.forEach((entry, lane) => {
        vector[1 + from + lane] = entry;
      });
      return vector;
    });
  };
  for (let lane = 0; lane < WIDTH; lane++) boxes.push(undefined);
  let state = mixed(mds);
  for (let round = 1; round < HALF; round++) {
    for (let lane = 0; lane < WIDTH; lane++) box(state[lane]!, head[round]![lane]!);
    state = mixed(round === HALF - 1 ? dense : mds);
  }
  for (let lane = 0; lane < WIDTH; lane++) state[lane]![0] = (state[lane]![0]! + head[HALF]![lane]!) % R;
  for (let round = 0; round < PARTIAL_ROUNDS; round++) {
    const own = 1 + boxes.length;
    box(state[0]!, 0n);
    const row = rows[round]!;
    const next: Vector = new Array(BOXES + 1).fill(0n);
    for (let lane = 1; lane < WIDTH; lane++) {
      const vector = state[lane]!;
      for (let i = 0; i < own; i++) if (vector[i] !== 0n) next[i] = next[i]! + row[lane]! * vector[i]!;
      const entry = columns[round]![lane - 1]!;
      vector[own] = entry;
      vector[0] = (vector[0]! + entry * lane0[round]!) % R;
    }
    for (let i = 0; i < own; i++) next[i] = next[i]! % R;
    next[own] = row[0]!;
    next[0] = (next[0]! + row[0]! * lane0[round]!) % R;
    state[0] = next;
  }
  for (let round = 0; round < HALF; round++) {
    for (let lane = 0; lane < WIDTH; lane++) box(state[lane]!, tail[round]![lane]!);
    state = mixed(mds);
  }
  cached = { boxes, hash: sparseForm(state[0]!) };
  return cached;
}

function sparseForm(vector: readonly bigint[]): Form {
  const boxes: number[] = [];
  const coefficients: bigint[] = [];
  for (let i = 1; i < vector.length; i++) {
    if (vector[i] === 0n) continue;
    boxes.push(i - 1);
    coefficients.push(vector[i]!);
  }
  return { constant: vector[0]!, boxes, coefficients };
}
