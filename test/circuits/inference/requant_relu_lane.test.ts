import { describe, expect, it } from "vitest";
import { requantRelu } from "../../../src/model/bounds.js";
import { fieldElements, Gadget, invert as inverse, R } from "./support.js";

const lane = (magnitude: number, shift: number) =>
  Gadget.template("inference/requant_relu_lane.circom", `RequantReluLane(${magnitude}, ${shift})`);

const half = (shift: number) => (shift === 0 ? 0n : 1n << BigInt(shift - 1));

interface Claim {
  /** The bits below the top one, as an integer; the top one follows from the input. */
  bits: bigint;
  saturated?: bigint;
  inverse?: bigint;
}

/**
 * A full witness for `input` from a prover's free choices, everything that depends on them solved as the rows want
 * it.
 */
function forge(
  gadget: Gadget,
  base: bigint[],
  [magnitude, shift]: [number, number],
  input: bigint,
  claim: Claim,
): bigint[] {
  const v = input + half(shift) + (1n << BigInt(magnitude));
  const positive = ((v - claim.bits) * inverse(1n << BigInt(magnitude))) % R;
  const quotient = claim.bits >> BigInt(shift);
  const low = quotient & 127n;
  const high = quotient >> 7n;
  const changes: [number, bigint][] = [[gadget.wire("in"), input]];
  for (let i = 0; i < magnitude; i++) {
    if (gadget.has(`bits[${i}]`)) changes.push([gadget.wire(`bits[${i}]`), (claim.bits >> BigInt(i)) & 1n]);
  }
  let value = low;
  if (magnitude > shift + 7) {
    const saturated = claim.saturated ?? (high === 0n ? 0n : 1n);
    value = low + saturated * (127n - low);
    changes.push([gadget.wire("inverse"), claim.inverse ?? (high === 0n ? 0n : inverse(high))]);
    changes.push([gadget.wire("saturated"), saturated]);
    changes.push([gadget.wire("magnitude"), value]);
  }
  changes.push([gadget.wire("out"), positive * value]);
  return gadget.with(base, changes);
}

describe("RequantReluLane", () => {
  // [MAGNITUDE, SHIFT]: no saturation, saturation by one bit and by several, no shift, one-bit quotient.
  const shapes: [number, number][] = [
    [5, 2],
    [9, 1],
    [11, 1],
    [10, 0],
    [4, 3],
  ];

  it.each(shapes)(
    "(%i, %i): costs what its comment says and equals the executor over its whole domain",
    async (magnitude, shift) => {
      const gadget = await lane(magnitude, shift);
      expect(gadget.rows).toBe(magnitude + 1 + (magnitude > shift + 7 ? 5 : 1));
      const base = await gadget.honest({ in: 0n });
      const limit = 1n << BigInt(magnitude);
      for (let input = -limit - half(shift); input < limit - half(shift); input++) {
        const v = input + half(shift) + limit;
        const witness = forge(gadget, base, [magnitude, shift], input, { bits: v & (limit - 1n) });
        expect(gadget.violation(witness)).toBe(-1);
        expect(witness[gadget.wire("out")]).toBe(requantRelu(input, shift));
      }
      const random = fieldElements(3n);
      for (const input of [-limit - half(shift), -1n, 0n, 1n, limit / 2n, limit - half(shift) - 1n]) {
        const honest = await gadget.honest({ in: input });
        expect(honest[gadget.wire("out")]).toBe(requantRelu(input, shift));
        expect(gadget.looseWires(honest, random)).toEqual([]);
      }
    },
  );

  it.each(shapes)(
    "(%i, %i): of all assignments of the bits, one is accepted inside the domain and none outside",
    async (magnitude, shift) => {
      const gadget = await lane(magnitude, shift);
      const base = await gadget.honest({ in: 0n });
      const limit = 1n << BigInt(magnitude);
      const inside = [-limit - half(shift), -1n, 0n, 3n, limit / 3n, limit - half(shift) - 1n];
      const outside = [-limit - half(shift) - 1n, limit - half(shift), 3n * limit, R / 2n, (R - 1n) / 2n - limit];
      for (const input of [...inside, ...outside]) {
        const accepted: bigint[] = [];
        for (let bits = 0n; bits < limit; bits++) {
          const witness = forge(gadget, base, [magnitude, shift], input, { bits });
          if (gadget.violation(witness) === -1) accepted.push(witness[gadget.wire("out")]!);
        }
        expect(accepted).toEqual(inside.includes(input) ? [requantRelu(input, shift)] : []);
      }
    },
  );

  it("does not accept another sign with everything else solved again", async () => {
    const gadget = await lane(11, 1);
    const base = await gadget.honest({ in: 0n });
    for (const input of [-700n, -2n, 1n, 700n]) {
      const limit = 1n << 11n;
      const bits = (input + half(1) + limit) & (limit - 1n);
      const honest = forge(gadget, base, [11, 1], input, { bits });
      expect(gadget.violation(honest)).toBe(-1);
      // The top bit is tied to the others: it can only flip if their sum moves by 2^11, which no bits can.
      const out = gadget.wire("out");
      const other = input < 0n ? honest[gadget.wire("magnitude")]! : 0n;
      expect(gadget.violation(gadget.with(honest, [[out, other]]))).not.toBe(-1);
      const carried = gadget.with(honest, [
        [gadget.wire("bits[10]"), honest[gadget.wire("bits[10]")]! + (input < 0n ? -2n : 2n)],
        [out, other],
      ]);
      expect(gadget.violation(carried)).not.toBe(-1);
    }
  });

  it("does not accept another saturation flag, whatever the inverse", async () => {
    const gadget = await lane(11, 1);
    const base = await gadget.honest({ in: 0n });
    const random = fieldElements(4n);
    for (const input of [100n, 254n, 255n, 256n, 1000n]) {
      const bits = input + half(1);
      const high = bits >> 8n;
      const truth = high === 0n ? 0n : 1n;
      expect(gadget.violation(forge(gadget, base, [11, 1], input, { bits }))).toBe(-1);
      const r = random();
      const flags = [1n - truth, 2n, r, high * r, -high * high].filter((flag) => (flag - truth) % R !== 0n);
      for (const saturated of flags) {
        for (const inv of [0n, 1n, r, -high, ...(high === 0n ? [] : [inverse(high), saturated * inverse(high)])]) {
          const witness = forge(gadget, base, [11, 1], input, { bits, saturated, inverse: inv });
          expect(gadget.violation(witness)).not.toBe(-1);
        }
      }
    }
  });

  it("at its widest, 253 bits, has no alias by the modulus", async () => {
    const gadget = await lane(252, 20);
    const base = await gadget.honest({ in: 0n });
    const limit = 1n << 252n;
    for (const input of [0n, 12345n << 20n, -5n]) {
      const v = input + half(20) + limit;
      expect(gadget.violation(forge(gadget, base, [252, 20], input, { bits: v & (limit - 1n) }))).toBe(-1);
      // v + r as the bits' source, with either top bit that this could mean.
      expect(gadget.violation(forge(gadget, base, [252, 20], input, { bits: (v + R) & (limit - 1n) }))).not.toBe(-1);
    }
  });

  it.each([
    [253, 3],
    [4, 4],
    [3, 5],
  ])("does not compile as (%i, %i)", async (magnitude, shift) => {
    await expect(lane(magnitude, shift)).rejects.toMatchObject({ code: "CIRCUIT_COMPILE" });
  });
});

describe("RequantRelu", () => {
  it("keeps the channels apart", async () => {
    const gadget = await Gadget.template("inference/requant_relu.circom", "RequantRelu(3, [5, 11, 10], [2, 1, 0])");
    const honest = await gadget.honest({ in: [-3n, 301n, 99n] });
    expect([0, 1, 2].map((o) => honest[gadget.wire(`out[${o}]`)])).toEqual([0n, 127n, 99n]);
    expect(gadget.rows).toBe(5 + 2 + (11 + 6) + (10 + 6));
    expect(gadget.looseWires(honest, fieldElements(5n))).toEqual([]);
  });
});
