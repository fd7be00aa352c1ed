import { describe, expect, it } from "vitest";
import { AnchorError } from "../../../src/errors.js";
import { type Failure, Fuzzer, PHASES, type Plan } from "./engine.js";
import { FAMILIES } from "./families/index.js";
import type { Answer, Base, Family } from "./family.js";

/** A short run of `npm run fuzz:tee`, which tries every truncation and bit. */
const PLAN: Plan = { seed: "test", shard: { index: 0, of: 1 }, runs: 150, stride: 211 };

function run(family: Family, plan: Plan): Fuzzer {
  const fuzzer = new Fuzzer(family, plan);
  for (const phase of PHASES) {
    for (let index = 0; index < fuzzer.size(phase); index++) if (fuzzer.mine(index)) fuzzer.run(phase, index);
  }
  return fuzzer;
}

const told = (failures: readonly Failure[]) =>
  failures.map(({ phase, index, base, what, reason }) => `${phase} ${index} of ${base} (${what}): ${reason}`);

describe("damaged evidence", () => {
  it.each(FAMILIES)("of $name is refused with a code, or carries no other meaning", (family) => {
    const { tally } = run(family, PLAN);
    expect(told(tally.failures)).toEqual([]);
    expect(tally.cases.random).toBe(PLAN.runs);
    expect(tally.cases.flips).toBeGreaterThan(60);
  });
});

describe("the fuzzer", () => {
  const original = new TextEncoder().encode('{"a":1,"b":2}');
  const plan: Plan = { seed: "test", shard: { index: 0, of: 1 }, runs: 20, stride: 1 };
  const accepted = (claims: object): Answer => ({ ok: true, claims });
  const refused: Answer = { ok: false, failure: { code: "EVIDENCE_MALFORMED", message: "no" } };
  const isOriginal = (bytes: Uint8Array | undefined) => bytes !== undefined && Buffer.compare(bytes, original) === 0;

  function family(otherwise: (bytes: Uint8Array) => Answer, excuses: Family["excuses"] = []): Family {
    const base: Base = {
      name: "a base",
      exhaustive: true,
      parts: [{ name: "part", format: "json", bytes: original, role: "evidence" }],
      verify: ([bytes]) => (isOriginal(bytes) ? accepted({ a: 1 }) : otherwise(bytes ?? new Uint8Array())),
    };
    return { name: "a family", bases: () => [base], excuses };
  }
  const failed = (...args: Parameters<typeof family>) => run(family(...args), plan).tally.failures;

  it("is content with a verifier that refuses every change", () => {
    const { tally } = run(
      family(() => refused),
      plan,
    );
    expect(tally.failures).toEqual([]);
    expect(tally.cases).toEqual({ truncations: 13, flips: 104, named: 0, random: 20 });
    expect(tally.refused["EVIDENCE_MALFORMED"]! + tally.idle).toBe(13 + 104 + 20);
  });

  it("finds what is accepted and should not be, be it one bit", () => {
    const oneBit = failed((bytes) => (bytes.length === 13 && bytes[5] === 0x30 ? accepted({ a: 1 }) : refused));
    expect(told(oneBit)).toEqual([
      "flips 40 of a base (part with another bit 40): accepted, and nothing says that these bytes carry no meaning (part)",
    ]);
    expect(oneBit[0]!.parts).toEqual({ part: `0x${Buffer.from('{"a":0,"b":2}').toString("hex")}` });
    const empty = failed((bytes) => (bytes.length === 0 ? accepted({ a: 1 }) : refused));
    expect(empty.some(({ phase, index }) => phase === "truncations" && index === 0)).toBe(true);
    expect(failed(() => accepted({ a: 1 })).length).toBeGreaterThan(117);
  });

  it("takes an excuse for what it covers, and never for other claims", () => {
    const excuse = { reason: "it is empty", covers: (_: unknown, bytes: Uint8Array | undefined) => !bytes?.length };
    const lax = (claims: object) => (bytes: Uint8Array) => (bytes.length === 0 ? accepted(claims) : refused);
    expect(failed(lax({ a: 1 }), [excuse])).toEqual([]);
    expect(failed(lax({ a: 2 }), [excuse])[0]!.reason).toBe("accepted, with other claims");
    expect(failed(lax({ a: "unchecked" }), [excuse])[0]!.reason).toBe("accepted, with other claims");
    expect(failed(lax({ a: "unchecked" }), [{ ...excuse, claims: ["a"] }])).toEqual([]);
    expect(failed(lax({ a: 2 }), [{ ...excuse, claims: ["a"] }])).not.toEqual([]);
  });

  it("finds what is thrown, and what calls itself a defect", () => {
    const thrown = failed((bytes) => {
      if (bytes.length === 3) throw new RangeError("out of bounds");
      return refused;
    });
    expect(thrown[0]!.reason).toContain("RangeError: out of bounds");
    const ours = failed((bytes) => {
      if (bytes.length === 3) throw new AnchorError("EVIDENCE_MALFORMED", "not caught");
      return refused;
    });
    expect(ours[0]!.reason).toContain("not caught");
    const defect = failed((bytes) =>
      bytes.length === 3 ? { ok: false, failure: { code: "INTERNAL", message: "?" } } : refused,
    );
    expect(defect[0]!.reason).toBe("INTERNAL: ?");
  });

  it("does the same cases again, in as many shards as it is told", () => {
    const seen = (shard: Plan["shard"]) => {
      const bytes: string[] = [];
      run(
        family((each) => {
          bytes.push(Buffer.from(each).toString("hex"));
          return refused;
        }),
        { ...plan, shard },
      );
      return bytes;
    };
    const all = seen({ index: 0, of: 1 });
    expect(seen({ index: 0, of: 1 })).toEqual(all);
    const shards = [0, 1, 2].flatMap((index) => seen({ index, of: 3 }));
    expect(shards.sort()).toEqual([...all].sort());
  });

  it("does not begin with evidence that is refused", () => {
    const broken = {
      ...family(() => refused),
      bases: () => [{ ...family(() => refused).bases()[0]!, verify: () => refused }],
    };
    expect(() => new Fuzzer(broken, plan)).toThrow("a base is refused: no");
  });
});
