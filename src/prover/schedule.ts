/**
 * Who goes next, and with how many cores. No state of the pool in here but what is passed in.
 *
 * @module
 */

/** Keys below this many bytes (about 2^12 rows) prove on one core: more threads would wait for each other. */
export const SMALL_KEY_BYTES = 2 * 1024 * 1024;

export interface Load {
  /** Cores that the pool owns. */
  cores: number;
  /** Cores that no proof holds. */
  free: number;
  /** Proofs that may be made side by side. */
  concurrency: number;
  /** Jobs that need cores, now or soon: the asking one, those proving, preparing and queued. */
  jobs: number;
}

/**
 * Cores for the next proof: an even share of all of them between the jobs at hand, so that one large proof takes the
 * whole machine and many take one core each.
 *
 * A proof keeps what it got to its end. One that would get less than half its share now waits for more to come free;
 * with no proof running the share is always there, so that wait ends.
 *
 * @param keyBytes size of the proving key's file
 * @returns 0 to wait
 */
export function coresFor({ cores, free, concurrency, jobs }: Load, keyBytes: number): number {
  if (free < 1) return 0;
  if (keyBytes < SMALL_KEY_BYTES) return 1;
  const share = Math.max(1, Math.floor(cores / Math.min(jobs, concurrency)));
  return 2 * free >= share ? Math.min(share, free) : 0;
}

export interface Ranked {
  /** Higher goes first. */
  readonly priority: number;
  /** Lower goes first within a priority. */
  readonly order: number;
}

/** A queue by priority, first in first out within one. */
export class RankedQueue<T extends Ranked> {
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  /** The item that goes next; it stays. */
  get first(): T | undefined {
    return this.#items[0];
  }

  push(item: T): void {
    let low = 0;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = this.#items[middle]!;
      const before = other.priority > item.priority || (other.priority === item.priority && other.order < item.order);
      if (before) low = middle + 1;
      else high = middle;
    }
    this.#items.splice(low, 0, item);
  }

  shift(): T | undefined {
    return this.#items.shift();
  }

  /** @returns whether it was there */
  delete(item: T): boolean {
    const index = this.#items.indexOf(item);
    if (index >= 0) this.#items.splice(index, 1);
    return index >= 0;
  }

  [Symbol.iterator](): IterableIterator<T> {
    return this.#items[Symbol.iterator]();
  }
}
