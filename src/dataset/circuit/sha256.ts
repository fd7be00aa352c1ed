/**
 * Twin of `circuits/dataset/sha256_link.circom`: a record's data have this SHA-256.
 *
 * @module
 */

import { createHash } from "node:crypto";
import {
  addElement,
  bit,
  constant,
  type Element,
  element,
  elements,
  equate,
  linear,
  must,
  only,
} from "../../circuit/synthesis/elements.js";
import { nonZero, num2Bits } from "../../circuit/synthesis/gadgets.js";
import { hashChain, poseidon } from "../../circuit/synthesis/poseidon.js";
import type { Program } from "../../circuit/synthesis/program.js";
import { addWord, sha256Block, sha256Start, type Word, wordValue } from "../../circuit/synthesis/sha256.js";
import type { Combination, Synthesis } from "../../circuit/synthesis/synthesis.js";
import { AnchorError } from "../../errors.js";
import { packElements } from "../../field/bytes.js";
import { assertScalar, bytesToBigInt } from "../../field/scalar.js";
import { AT, BLOCK_ELEMENTS, type Description, FIELDS, STARTS, TAGS } from "../layout.js";
import { checkContext } from "./records.js";
import { mainComponent } from "./shared.js";

/** Sizes of circuits, in blocks of SHA-256: just below 2^17 to 2^21 rows. */
export const SHA256_BLOCKS = [4, 9, 19, 38, 76] as const;

/** Most bytes of data that a circuit of so many blocks takes. */
export function sha256Capacity(blocks: number): number {
  return 64 * blocks - 9;
}

export interface Sha256Shape {
  readonly blocks: number;
}

export interface Sha256Request {
  readonly record: bigint;
  readonly description: Description;
  readonly salt: bigint;
  readonly data: Uint8Array;
  readonly context: bigint;
}

const WHOLE = 2n ** 32n;
const MAX_BLOCKS = 128;
const LENGTH_BITS = 13;
const BLOCK_BYTES = 31 * BLOCK_ELEMENTS;
const SIGNALS = ["record", "high", "low", "length", "context"] as const;

/** @throws INPUT_INVALID */
export function sha256Program({ blocks }: Sha256Shape): Program<Sha256Request> {
  if (!Number.isInteger(blocks) || blocks < 1 || blocks > MAX_BLOCKS) {
    throw new AnchorError("INPUT_INVALID", `a circuit takes 1 to ${MAX_BLOCKS} blocks of SHA-256`);
  }
  const name = `dataset-sha256-${blocks}`;
  const size = Math.ceil(sha256Capacity(blocks) / 31);
  return {
    name,
    circom: mainComponent(name, "sha256_link", SIGNALS, `DatasetSha256(${blocks})`),
    publicSignals: SIGNALS,
    privateInputs: FIELDS.length + 1 + size,
    synthesise(s, request) {
      if (request) check(request, blocks);
      const data = request?.data ?? new Uint8Array();
      const hash = createHash("sha256").update(data).digest();
      const record = element(s, request?.record ?? 0n, "record");
      const high = element(s, bytesToBigInt(hash.subarray(0, 16)), "high");
      const low = element(s, bytesToBigInt(hash.subarray(16)), "low");
      const length = element(s, BigInt(data.length), "length");
      const context = element(s, request?.context ?? 0n, "context");
      const description = elements(s, request?.description ?? new Array<bigint>(FIELDS.length).fill(0n), "description");
      const salt = element(s, request?.salt ?? 0n, "salt");
      const packed = packElements(data);
      const content = elements(
        s,
        Array.from({ length: size }, (_, i) => packed[i] ?? 0n),
        "element",
      );
      nonZero(s, "bound", context);
      s.enter("digest");
      must(s, hashChain(s, TAGS.record, salt, description, record.wire), record, "record");
      s.leave();
      link(s, { blocks, description, content, length, high, low, context, data });
    },
  };
}

interface Link {
  blocks: number;
  description: readonly Element[];
  content: readonly Element[];
  length: Element;
  high: Element;
  low: Element;
  context: Element;
  data: Uint8Array;
}

function link(s: Synthesis, { blocks, description, content, length, high, low, context, data }: Link): void {
  const kind = num2Bits(s, "kind", undefined, description[AT.kind]!, 64);
  const others = s.combination();
  for (let i = 10; i < 16; i++) addElement(others, 1, kind[i]!);
  equate(s, others);
  s.row(only(s, kind[8]!), only(s, kind[9]!), s.combination());
  s.row(addElement(only(s, description[AT.length]!), -1, length), only(s, context), s.combination());
  s.row(addElement(s.combination(-WHOLE), 1, description[AT.part]!), only(s, context), s.combination());

  const total = 31 * content.length;
  const bits: Element[][] = [];
  const before: Element[] = [];
  const count = s.combination();
  for (let p = 0; p < total; p++) {
    const flag = bit(s, p < data.length ? 1 : 0, "before", p);
    if (p > 0) s.row(only(s, flag), addElement(s.combination(1), -1, before[p - 1]!), s.combination());
    addElement(count, 1, flag);
    before.push(flag);
    const byte = data[p] ?? 0;
    const own = Array.from({ length: 8 }, (_, i) => bit(s, (byte >> i) & 1, `bit[${p}]`, i));
    s.row(addElement(s.combination(1), -1, flag), addWord(s.combination(), 1n, own), s.combination());
    bits.push(own);
  }
  equate(s, addElement(count, -1, length));
  for (const [k, whole] of content.entries()) {
    const sum = s.combination();
    for (let p = 0; p < 31; p++) addWord(sum, 1n << BigInt(8 * (30 - p)), bits[31 * k + p]!);
    equate(s, addElement(sum, -1, whole));
  }

  contentChain(s, description, content, length, context);
  const message = messageBits(s, { blocks, length, context, bits, before, data });

  let state = sha256Start();
  const words = Array.from({ length: 8 }, () => ({ sum: s.combination(), value: 0n }));
  for (let b = 0; b < blocks; b++) {
    state = sha256Block(s, "block", b, state, message.words[b]!);
    for (const [j, word] of state.entries()) {
      const last = message.last[b]!;
      const picked = element(s, last.value * wordValue(word), `picked[${b}]`, j);
      s.row(only(s, last), addWord(s.combination(), 1n, word), only(s, picked));
      addElement(words[j]!.sum, 1, picked);
    }
  }
  for (const [half, wanted] of [high, low].entries()) {
    const sum = s.combination();
    for (let j = 0; j < 4; j++) sum.plus(words[4 * half + j]!.sum, 1n << BigInt(32 * (3 - j)));
    equate(s, addElement(sum, -1, wanted));
  }
}

/** The chain over as many steps as the description says. */
function contentChain(
  s: Synthesis,
  description: readonly Element[],
  content: readonly Element[],
  length: Element,
  context: Element,
): void {
  const steps = Math.ceil(content.length / BLOCK_ELEMENTS);
  const wanted = description[AT.blocks]!;
  const count = s.combination();
  let at = constant(STARTS.content);
  let previous: Element | undefined;
  for (let i = 0; i < steps; i++) {
    const taken = bit(s, BigInt(i) < wanted.value ? 1 : 0, "taken", i);
    if (previous) s.row(only(s, taken), addElement(s.combination(1), -1, previous), s.combination());
    addElement(count, 1, taken);
    const block = Array.from({ length: BLOCK_ELEMENTS }, (_, j) => content[BLOCK_ELEMENTS * i + j] ?? constant(0n));
    s.enter("step", i);
    const out = poseidon(s, TAGS.chain, [at, ...block]);
    s.leave();
    const last = i === steps - 1;
    const next = last ? description[AT.content]! : element(s, taken.value === 1n ? out.value : at.value, "at", i + 1);
    if (last) s.alias(next.wire, "at", i + 1);
    s.row(only(s, taken), addElement(only(s, out), -1, at), addElement(only(s, next), -1, at));
    at = next;
    previous = taken;
  }
  s.row(addElement(count, -1, wanted), only(s, context), s.combination());
  const room = addElement(addElement(s.combination(), BLOCK_BYTES, wanted), -1, length);
  slack(s, "room", 9, BigInt(BLOCK_BYTES) * wanted.value - length.value, room);
}

/** `Num2Bits` of a linear form: a signal of its own first. */
function slack(s: Synthesis, name: string, count: number, value: bigint, form: Combination): void {
  num2Bits(s, name, undefined, linear(s, form, value, `${name}.in`), count);
}

interface Message {
  blocks: number;
  length: Element;
  context: Element;
  bits: readonly Word[];
  before: readonly Element[];
  data: Uint8Array;
}

/** The padded message, word by word, and which block is the last. */
function messageBits(
  s: Synthesis,
  { blocks, length, context, bits, before, data }: Message,
): { words: Word[][]; last: Element[] } {
  const most = sha256Capacity(blocks);
  const final = Math.floor((data.length + 8) / 64);
  const ones = s.combination(-1);
  const number = s.combination();
  const last = Array.from({ length: blocks }, (_, b) => {
    const flag = bit(s, b === final ? 1 : 0, "last", b);
    addElement(ones, 1, flag);
    addElement(number, b, flag);
    return flag;
  });
  s.row(ones, only(s, context), s.combination());
  const rest = addElement(s.combination(8), 1, length).plus(number, -64);
  slack(s, "rest", 6, BigInt(data.length + 8 - 64 * final), rest);
  const size = num2Bits(s, "size", undefined, length, LENGTH_BITS);

  const words: Word[][] = [];
  for (let b = 0; b < blocks; b++) {
    const sized = size.map((each, i) => {
      const out = element(s, last[b]!.value * each.value, `sized[${b}]`, i);
      s.row(only(s, last[b]!), only(s, each), only(s, out));
      return out;
    });
    let ended = 0;
    const own: Element[][] = Array.from({ length: 16 }, () => new Array<Element>(32));
    for (let k = 0; k < 64; k++) {
      const p = 64 * b + k;
      const w = Math.floor(k / 4);
      for (let i = 0; i < 8; i++) {
        const j = 8 * (3 - (k % 4)) + i;
        // Times 8: bits 3 and up of the last word.
        const length8 = w === 15 && j >= 3 && j < 3 + LENGTH_BITS ? sized[j - 3]! : undefined;
        const plain = bits[p]?.[i];
        if (i < 7 && !length8) {
          own[w]![j] = plain ?? constant(0n);
          continue;
        }
        const terms: [1 | -1, Element][] = [];
        if (plain) terms.push([1, plain]);
        if (i === 7 && p <= most) {
          terms.push([1, p > 0 ? before[p - 1]! : constant(1n)]);
          if (before[p]) terms.push([-1, before[p]]);
        }
        if (length8) terms.push([1, length8]);
        const [name, place] = i === 7 ? [`marked[${b}]`, k] : [`ended[${b}]`, ended++];
        if (terms.length < 2) {
          // A copy.
          own[w]![j] = terms[0]?.[1] ?? constant(0n);
          s.alias(own[w]![j]!.wire, name, place);
          continue;
        }
        const value = terms.reduce((sum, [factor, each]) => sum + BigInt(factor) * each.value, 0n);
        const out = element(s, value, name, place);
        const sum = s.combination().add(-1, out.wire);
        for (const [factor, each] of terms) addElement(sum, factor, each);
        equate(s, sum);
        own[w]![j] = out;
      }
    }
    words.push(own);
  }
  return { words, last };
}

/** @throws INPUT_INVALID, CONTEXT_ZERO */
function check({ record, description, salt, data, context }: Sha256Request, blocks: number): void {
  checkContext(context);
  if (!(data instanceof Uint8Array) || data.length > sha256Capacity(blocks)) {
    throw new AnchorError("INPUT_INVALID", `the circuit takes at most ${sha256Capacity(blocks)} bytes`);
  }
  if (description.length !== FIELDS.length) throw new AnchorError("INPUT_INVALID", "a description has 14 elements");
  for (const value of [record, salt, ...description]) assertScalar(value, "an input of the link");
}
