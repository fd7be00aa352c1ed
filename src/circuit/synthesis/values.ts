/**
 * Values of wires as bytes of a `.wtns` file.
 *
 * @module
 */

import { concat } from "../../field/bytes.js";
import { invert, mod, R } from "../../field/scalar.js";
import { binFile, littleEndian, uint32 } from "../binfile.js";
import { placeOf, type WireMap, writeScalar } from "./rows.js";
import { type Combination, NO_COMBINATION, ONE, type Synthesis } from "./synthesis.js";

/** 32-bit words of a scalar. */
const WORDS = 8;

/** Inverses of small integers, which requantisations need by the thousand and often the same. */
export class Inverses {
  static readonly #LIMIT = 2 ** 16;
  readonly #known = new Map<number, bigint>();

  of(value: number | bigint): bigint {
    if (typeof value === "bigint") {
      const reduced = mod(value);
      return reduced === 0n ? 0n : invert(reduced);
    }
    if (value === 0) return 0n;
    const found = this.#known.get(value);
    if (found !== undefined) return found;
    const inverse = invert(mod(BigInt(value)));
    if (this.#known.size < Inverses.#LIMIT) this.#known.set(value, inverse);
    return inverse;
  }
}

/** Writes values; rows are dropped. */
export class ValueWriter implements Synthesis {
  readonly valued = true;
  readonly writing = false;
  wires = 1;
  /** The whole file. */
  readonly file: Uint8Array;

  readonly #words: Uint32Array;
  /** The same memory. */
  readonly #bytes: Uint8Array;
  readonly #map: WireMap;
  readonly #inverses: Inverses;

  /** @param wires number of wires of the file */
  constructor(wires: number, map: WireMap, inverses: Inverses) {
    this.file = binFile("wtns", 2, [
      [1, concat(uint32(4 * WORDS), littleEndian(R), uint32(wires))],
      [2, new Uint8Array(4 * WORDS * wires)],
    ]);
    this.#words = new Uint32Array(
      this.file.buffer,
      this.file.byteOffset + this.file.length - 4 * WORDS * wires,
      WORDS * wires,
    );
    this.#bytes = new Uint8Array(this.#words.buffer, this.#words.byteOffset, this.#words.byteLength);
    this.#map = map;
    this.#inverses = inverses;
    this.#words[WORDS * ONE] = 1;
  }

  wire(value: number | bigint): number {
    const wire = this.wires++;
    writeScalar(this.#words, WORDS * placeOf(wire, this.#map), value);
    return wire;
  }

  bulk(values: Uint8Array): number {
    const first = this.wires;
    const count = values.length / (4 * WORDS);
    const { alias = -1 } = this.#map;
    this.wires += count;
    // Places follow one another as wires do, but for the one wire that stands elsewhere.
    const pieces = alias >= first && alias < this.wires ? count : 1;
    const size = values.length / pieces;
    for (let i = 0; i < pieces; i++) {
      const place = placeOf(first + i, this.#map);
      this.#bytes.set(values.subarray(size * i, size * (i + 1)), 4 * WORDS * place);
    }
    return first;
  }

  assign(wire: number, value: number | bigint): void {
    writeScalar(this.#words, WORDS * placeOf(wire, this.#map), value);
  }

  inverse(value: number | bigint): number {
    return this.wire(this.#inverses.of(value));
  }

  bit(value: number): number {
    return this.wire(value);
  }

  bits(value: number | bigint, count: number): number {
    const first = this.wires;
    this.wires += count;
    const wide = typeof value === "bigint";
    const low = wide ? Number(BigInt.asUintN(32, value)) : value >>> 0; // modulo 2^32
    const high = wide ? Number(value >> 32n) : Math.floor(value / 2 ** 32);
    for (let i = 0; i < count; i++) {
      const bit = i < 32 ? (low >>> i) & 1 : (high >>> (i - 32)) & 1;
      if (bit === 1) this.#words[WORDS * placeOf(first + i, this.#map)] = 1;
    }
    return first;
  }

  combination(): Combination {
    return NO_COMBINATION;
  }

  row(): void {}

  enter(): void {}

  leave(): void {}

  alias(): void {}
}
