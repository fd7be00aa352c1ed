/**
 * What every gadget is written against: one description that writes rows, computes the witness, and counts.
 *
 * A gadget runs from beginning to end each time: it allocates wires in a fixed order, gives each its value, and states
 * rows. The {@link Synthesis} at hand decides what becomes of it: {@link Counter} counts, `RowWriter` (rows.ts) keeps the
 * rows and drops the values, `ValueWriter` (values.ts) keeps the values and drops the rows. So wires have the same
 * order in all three by construction. Where a gadget *decides* anything (how many bits, which variant, whether a lane
 * is a copy), it decides by parameters, bounds, and wire numbers, never by values: those are zeros while rows are
 * written.
 *
 * The templates in `circuits/` are the source of truth; a gadget here is the twin of one, with the same signals under the
 * same names. What it allocates is what `circom --O1` leaves of the template: a signal that is declared by `<==` as
 * another signal, or as a constant, is no wire; the caller hands on that other wire, or the constant. Everything else
 * stays, also a product that turns out to be linear because one of its factors is a constant here: circom looks once,
 * at the constraint as it is written.
 *
 * @module
 */

/** Number of the wire that is always 1. */
export const ONE = 0;

/** A node's value, lane by lane, as the circuit has it. */
export interface Lanes {
  /** Wire of each lane; {@link ONE} where the lane is a constant. */
  readonly wires: Int32Array;
  /** The constant of such a lane. Of the others, their values in a witness, and zeros in everything else. */
  readonly values: Int32Array;
}

/**
 * A linear combination of wires. Terms may repeat a wire. Once it is part of a row it must not be changed.
 *
 * Where no rows are wanted, all are one object that does nothing.
 */
export interface Combination {
  /** Adds `coefficient · wire`; with {@link ONE}, a constant. Numbers must be safe integers; bigints may have any sign. */
  add(coefficient: number | bigint, wire: number): this;
  /** Adds `coefficient` times a lane, which may be a constant. */
  lane(coefficient: number | bigint, lanes: Lanes, index: number): this;
  /** Adds `factor` times another combination. */
  plus(other: Combination, factor?: number | bigint): this;
}

export interface Synthesis {
  /** Whether values are used; where not, hints that are dear to compute may be anything. */
  readonly valued: boolean;
  /** Whether rows are used; where not, combinations that are dear to make may stay empty. */
  readonly writing: boolean;

  /**
   * A new wire.
   *
   * @param value within ±2^53 as a number, or any integer as a bigint
   * @param name  of the signal in the template; with `index`, its place in the signal's array
   */
  wire(value: number | bigint, name: string, index?: number): number;

  /**
   * New wires in a row, without names: 32 bytes a value, little-endian, below r. Only where values are used and rows are
   * not; {@link wire} does for all.
   *
   * @returns the first wire
   */
  bulk?(values: Uint8Array): number;

  /** Gives a wire that is there already its value. */
  assign(wire: number, value: number | bigint): void;

  /** A new wire that is `1 / value`, or 0 for 0. */
  inverse(value: number | bigint, name: string, index?: number): number;

  /** A new wire that is 0 or 1, and the row that makes it so. */
  bit(value: number, name: string, index?: number): number;

  /**
   * `count` new wires in a row, the lowest `count` bits of an integer from 0 on, and for each the row that makes it a bit.
   *
   * @param value below 2^53 as a number, below 2^64 as a bigint
   * @returns the first wire
   */
  bits(value: number | bigint, count: number, name: string): number;

  /** A new combination, with a constant. */
  combination(constant?: number | bigint): Combination;

  /** The row `a · b = c`; with `undefined` for `a` and `b`, `c = 0`, which costs the prover nothing. */
  row(a: Combination | undefined, b: Combination | undefined, c: Combination): void;

  /** Names until {@link leave} are those of this subcomponent. */
  enter(name: string, index?: number): void;
  leave(): void;

  /** Another name of a wire: of a signal that is declared as this one. */
  alias(wire: number, name: string, index?: number): void;
}

/** A product that may leave the safe integers, for coefficients. */
export function scaled(a: number, b: number): number | bigint {
  const product = a * b;
  return Number.isSafeInteger(product) ? product : BigInt(a) * BigInt(b);
}

/** Does nothing: the combination where nobody wants rows. */
export const NO_COMBINATION: Combination = {
  add() {
    return this;
  },
  lane() {
    return this;
  },
  plus() {
    return this;
  },
};

/** Counts wires and rows. */
export class Counter implements Synthesis {
  readonly valued = false;
  readonly writing = false;
  wires = 1;
  rows = 0;

  wire(): number {
    return this.wires++;
  }

  inverse(): number {
    return this.wires++;
  }

  bit(): number {
    this.rows++;
    return this.wires++;
  }

  bits(_value: number | bigint, count: number): number {
    this.rows += count;
    this.wires += count;
    return this.wires - count;
  }

  combination(): Combination {
    return NO_COMBINATION;
  }

  row(): void {
    this.rows++;
  }

  assign(): void {}

  enter(): void {}

  leave(): void {}

  alias(): void {}
}
