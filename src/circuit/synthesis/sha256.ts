/**
 * Twin of `circuits/lib/sha256_block.circom`: SHA-256's compression function on bits.
 *
 * @module
 */
import { addElement, constant, type Element, element, equate, linear, only } from "./elements.js";
import type { Combination, Synthesis } from "./synthesis.js";

/** Thirty-two bits, lowest first. */
export type Word = readonly Element[];

/** FIPS 180-4, section 4.2.2. */
const CONSTANTS = [
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98,
  0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
  0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8,
  0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
  0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819,
  0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
  0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
  0xc67178f2,
];

const START = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

/** The state before the first block. */
export function sha256Start(): Word[] {
  return START.map((word) => Array.from({ length: 32 }, (_, i) => constant(BigInt((word >>> i) & 1))));
}

/** Adds `factor` times the number that a word's bits are. */
export function addWord(to: Combination, factor: bigint, word: Word): Combination {
  for (let i = 0; i < word.length; i++) addElement(to, factor << BigInt(i), word[i]!);
  return to;
}

/** The number that a word's bits are. */
export function wordValue(word: Word): bigint {
  let value = 0n;
  for (let i = word.length - 1; i >= 0; i--) value = (value << 1n) | word[i]!.value;
  return value;
}

/** `Sha256Block` as a component: the state after a block. */
export function sha256Block(
  s: Synthesis,
  name: string,
  index: number,
  state: readonly Word[],
  message: readonly Word[],
): Word[] {
  s.enter(name, index);
  nameWords(s, "state", state);
  nameWords(s, "message", message);
  const words = [...message];
  nameWords(s, "word", message);
  for (let t = 16; t < 64; t++) {
    const low = sigma(s, "low", t - 16, words[t - 15]!, [7, 18, 3], true);
    const high = sigma(s, "high", t - 16, words[t - 2]!, [17, 19, 10], true);
    const word = sum(s, "extended", t - 16, 2, 0n, [low, high, words[t - 7]!, words[t - 16]!]);
    name32(s, `word[${t}]`, word);
    words.push(word);
  }

  const a = [state[3]!, state[2]!, state[1]!, state[0]!];
  const e = [state[7]!, state[6]!, state[5]!, state[4]!];
  for (let t = 0; t < 64; t++) {
    const sigmaE = sigma(s, "sigmaE", t, e[t + 3]!, [6, 11, 25], false);
    const chosen = choose(s, t, e[t + 3]!, e[t + 2]!, e[t + 1]!);
    const sigmaA = sigma(s, "sigmaA", t, a[t + 3]!, [2, 13, 22], false);
    const most = majority(s, t, a[t + 3]!, a[t + 2]!, a[t + 1]!);
    const k = BigInt(CONSTANTS[t]!);
    const first = [e[t]!, sigmaE, chosen, words[t]!];
    a.push(sum(s, "nextA", t, 3, k, [...first, sigmaA, most]));
    e.push(sum(s, "nextE", t, 3, k, [...first, a[t]!]));
  }
  nameWords(s, "a", a);
  nameWords(s, "e", e);

  const out = state.map((word, j) => {
    const final = sum(s, "final", j, 1, 0n, [word, j < 4 ? a[67 - j]! : e[71 - j]!]);
    name32(s, `out[${j}]`, final);
    return final;
  });
  s.leave();
  return out;
}

function sigma(
  s: Synthesis,
  name: string,
  index: number,
  word: Word,
  [first, second, third]: readonly [number, number, number],
  shift: boolean,
): Word {
  s.enter(name, index);
  name32(s, "in", word);
  const both = shift ? 32 - third : 32;
  const out: Element[] = [];
  for (let i = 0; i < 32; i++) {
    const x = word[(i + first) % 32]!;
    const y = word[(i + second) % 32]!;
    if (i >= both) {
      // x (1 - 2y) + y
      const bit = element(s, x.value ^ y.value, "out", i);
      s.row(only(s, x), addElement(s.combination(1), -2n, y), addElement(only(s, bit), -1n, y));
      out.push(bit);
      continue;
    }
    const z = word[(i + third) % 32]!;
    const product = element(s, y.value & z.value, "product", i);
    s.row(only(s, y), only(s, z), only(s, product));
    const bit = element(s, x.value ^ y.value ^ z.value, "out", i);
    s.row(
      only(s, x),
      addElement(addElement(addElement(s.combination(1), -2n, y), -2n, z), 4n, product),
      addElement(addElement(addElement(only(s, bit), -1n, y), -1n, z), 2n, product),
    );
    out.push(bit);
  }
  s.leave();
  return out;
}

function choose(s: Synthesis, index: number, e: Word, f: Word, g: Word): Word {
  s.enter("choose", index);
  name32(s, "e", e);
  name32(s, "f", f);
  name32(s, "g", g);
  const out = e.map((bit, i) => {
    const [x, y] = [f[i]!, g[i]!];
    const chosen = element(s, bit.value === 1n ? x.value : y.value, "out", i);
    s.row(only(s, bit), addElement(only(s, x), -1n, y), addElement(only(s, chosen), -1n, y));
    return chosen;
  });
  s.leave();
  return out;
}

function majority(s: Synthesis, index: number, a: Word, b: Word, c: Word): Word {
  s.enter("majority", index);
  name32(s, "a", a);
  name32(s, "b", b);
  name32(s, "c", c);
  const out = a.map((x, i) => {
    const [y, z] = [b[i]!, c[i]!];
    const product = element(s, y.value & z.value, "product", i);
    s.row(only(s, y), only(s, z), only(s, product));
    const bit = element(s, (x.value & (y.value | z.value)) | product.value, "out", i);
    s.row(only(s, x), addElement(addElement(only(s, y), 1n, z), -2n, product), addElement(only(s, bit), -1n, product));
    return bit;
  });
  s.leave();
  return out;
}

/** `Sha256Sum`: the low 32 bits of a sum of words and a constant. */
function sum(s: Synthesis, name: string, index: number, over: number, plus: bigint, words: readonly Word[]): Word {
  let value = plus;
  if (s.valued) for (const word of words) value += wordValue(word);
  const total = s.combination(plus);
  if (s.writing) for (const word of words) addWord(total, 1n, word);
  s.enter(name, index);
  // The sum is a signal of its own, as it is handed in.
  const input = linear(s, total, value, "in");
  const rest = addElement(s.combination(), -1n, input);
  const bits = (count: number, from: number, label: string) => {
    const first = s.bits(value >> BigInt(from), count, label);
    return Array.from({ length: count }, (_, i) => {
      rest.add(1n << BigInt(from + i), first + i);
      return { wire: first + i, value: (value >> BigInt(from + i)) & 1n };
    });
  };
  const out = bits(32, 0, "out");
  bits(over, 32, "over");
  equate(s, rest);
  s.leave();
  return out;
}

function nameWords(s: Synthesis, name: string, words: readonly Word[]): void {
  for (const [i, word] of words.entries()) name32(s, `${name}[${i}]`, word);
}

function name32(s: Synthesis, name: string, word: Word): void {
  if (s.writing) for (let i = 0; i < 32; i++) s.alias(word[i]!.wire, name, i);
}
