import { createHash } from "node:crypto";

/** A generator (sfc32) whose numbers depend on its name alone, so that a case can be run again by itself. */
export class Random {
  readonly #state: Int32Array;

  constructor(...name: readonly (string | number)[]) {
    const digest = createHash("sha256").update(name.join("\0")).digest();
    this.#state = new Int32Array(Array.from({ length: 4 }, (_, i) => digest.readInt32LE(4 * i)));
  }

  /** 32 bits. */
  next(): number {
    const s = this.#state;
    const t = (((s[0]! + s[1]!) | 0) + s[3]!) | 0;
    s[3] = (s[3]! + 1) | 0;
    s[0] = s[1]! ^ (s[1]! >>> 9);
    s[1] = (s[2]! + (s[2]! << 3)) | 0;
    s[2] = (s[2]! << 21) | (s[2]! >>> 11);
    s[2] = (s[2]! + t) | 0;
    return t >>> 0;
  }

  /** 0 to bound − 1; 0 for a bound of 0. */
  below(bound: number): number {
    return bound <= 0 ? 0 : Math.floor((this.next() / 2 ** 32) * bound);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  chance(share: number): boolean {
    return this.next() / 2 ** 32 < share;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }
}
