import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { coresFor, RankedQueue, SMALL_KEY_BYTES } from "../../src/prover/schedule.js";

const LARGE = 100 * SMALL_KEY_BYTES;

describe("coresFor", () => {
  it("gives one large proof the whole machine, and several an even share", () => {
    const load = { cores: 16, free: 16, concurrency: 16 };
    expect([1, 2, 3, 5, 16, 100].map((jobs) => coresFor({ ...load, jobs }, LARGE))).toEqual([16, 8, 5, 3, 1, 1]);
  });

  it("never splits further than the concurrency asks for", () => {
    expect(coresFor({ cores: 16, free: 16, concurrency: 1, jobs: 50 }, LARGE)).toBe(16);
    expect(coresFor({ cores: 16, free: 16, concurrency: 4, jobs: 50 }, LARGE)).toBe(4);
  });

  it("gives small keys one core", () => {
    const load = { cores: 16, free: 16, concurrency: 16, jobs: 1 };
    expect([0, SMALL_KEY_BYTES - 1, SMALL_KEY_BYTES].map((bytes) => coresFor(load, bytes))).toEqual([1, 1, 16]);
  });

  it("waits rather than to prove with less than half a share", () => {
    const load = { cores: 16, concurrency: 16, jobs: 2 };
    expect([0, 1, 3, 4, 7, 8, 9].map((free) => coresFor({ ...load, free }, LARGE))).toEqual([0, 0, 0, 4, 7, 8, 8]);
  });

  it("never overbooks, and never waits with all cores free", () => {
    const positive = fc.integer({ min: 1, max: 300 });
    fc.assert(
      fc.property(
        positive,
        fc.nat(300),
        positive,
        positive,
        fc.nat(2 * SMALL_KEY_BYTES),
        (cores, taken, concurrency, jobs, bytes) => {
          const free = Math.max(0, cores - taken);
          const granted = coresFor({ cores, free, concurrency, jobs }, bytes);
          expect(granted).toBeGreaterThanOrEqual(0);
          expect(granted).toBeLessThanOrEqual(free);
          if (free === cores) expect(granted).toBeGreaterThan(0);
        },
      ),
    );
  });
});

describe("RankedQueue", () => {
  it("is a stable sort by priority, whatever the order of calls", () => {
    const item = fc.record({ priority: fc.integer({ min: -2, max: 2 }), dropped: fc.boolean() });
    fc.assert(
      fc.property(fc.array(item), (items) => {
        const queue = new RankedQueue<{ priority: number; order: number }>();
        const ranked = items.map(({ priority }, order) => ({ priority, order }));
        for (const entry of ranked) queue.push(entry);
        for (const [i, { dropped }] of items.entries()) if (dropped) expect(queue.delete(ranked[i]!)).toBe(true);
        const kept = ranked.filter((_, i) => !items[i]!.dropped);
        expect(queue.size).toBe(kept.length);
        const expected = [-2, -1, 0, 1, 2]
          .reverse()
          .flatMap((rank) => kept.filter(({ priority }) => priority === rank));
        expect([...queue]).toEqual(expected);
        expect(queue.first).toBe(expected[0]);
        expect(Array.from({ length: kept.length }, () => queue.shift())).toEqual(expected);
        expect(queue.shift()).toBeUndefined();
      }),
    );
  });

  it("says when there is nothing to delete", () => {
    const queue = new RankedQueue<{ priority: number; order: number }>();
    const entry = { priority: 0, order: 1 };
    expect(queue.delete(entry)).toBe(false);
    queue.push(entry);
    expect([queue.delete(entry), queue.delete(entry)]).toEqual([true, false]);
  });
});
