import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { forge } from "../lib/forge.js";
import { bit, field, fieldElements, Gadget, invert, R } from "./support.js";

const bitLength = (value: bigint) => value.toString(2).length;

const share = (count: number, width: number, scale: number, sumBits: number) =>
  Gadget.template("inference/share.circom", `Share(${count}, ${width}, ${scale}, ${sumBits})`);

/** The definition (src/model/graph.ts), with the form that the circuit does not use. */
function expected(values: readonly bigint[], scale: bigint): bigint[] {
  const sum = values.reduce((a, b) => a + b);
  return values.map((value) => (2n * value * scale + sum) / (2n * sum));
}

interface Claim {
  out: bigint;
  odd?: bigint;
  /** What stands in the bits of the remainder; what the equation leaves unless given. */
  remainder?: bigint;
  /** What stands in the bits of sum - 1 - remainder. */
  above?: bigint;
}

describe("ShareLane", () => {
  const [scale, sumBits] = [127n, 12];
  let gadget: Gadget;

  beforeAll(async () => {
    gadget = await Gadget.template("inference/share_lane.circom", `ShareLane(${scale}, ${sumBits})`);
  });

  function claim(input: bigint, sum: bigint, { out, odd = bit(sum, 0), remainder, above }: Claim) {
    const half = (R + 1n) / 2n;
    const u = remainder ?? field(input * scale + (sum - odd) * half - out * sum);
    const fixed = new Map([
      [gadget.wire("in"), input],
      [gadget.wire("sum"), sum],
      [gadget.wire("odd"), odd],
      [gadget.wire("out"), out],
    ]);
    const put = (name: string, value: bigint) => {
      gadget.wiresLike(new RegExp(`^${name}\\[`)).forEach((wire, i) => {
        fixed.set(wire, bit(value, i));
      });
    };
    put("shareBits", out);
    put("bits", u);
    put("aboveBits", above ?? sum - 1n - u);
    return forge(gadget.r1cs, fixed);
  }

  it("takes the bits of the scale, twice those of the sum, and one row", () => {
    expect(gadget.rows).toBe(7 + 2 * sumBits + 1);
  });

  it("gives the rounded share, for even and odd sums, and leaves no wire free", async () => {
    const random = fieldElements(61n);
    for (const [input, sum] of [
      [0n, 1n],
      [1n, 1n],
      [1n, 2n],
      [1n, 3n],
      [0n, 4096n],
      [4096n, 4096n],
      [2048n, 4095n],
      [4095n, 4096n],
      [7n, 1778n], // 127 · 7 is half of it
      [7n, 1777n],
    ] as const) {
      const honest = await gadget.honest({ in: input, sum, odd: sum & 1n });
      expect(honest[gadget.wire("out")]).toBe((2n * input * scale + sum) / (2n * sum));
      expect(gadget.looseWires(honest, random)).toEqual([]);
      expect(claim(input, sum, { out: honest[gadget.wire("out")]! })).toEqual({ witness: honest, violated: [] });
    }
  });

  it("accepts no other quotient than the true one", () => {
    fc.assert(
      fc.property(fc.bigInt(1n, 4096n), fc.bigInt(0n, 4096n), fc.bigInt(0n, 127n), (sum, part, other) => {
        // biome-ignore lint/complexity/useMathMinMax: bigints
        const input = part > sum ? sum : part;
        const out = (2n * input * scale + sum) / (2n * sum);
        expect(claim(input, sum, { out }).violated).toEqual([]);
        for (const wrong of [out - 1n, out + 1n, other, -1n, out + 128n, out + R]) {
          if (field(wrong) === out) continue;
          expect(claim(input, sum, { out: wrong }).violated).not.toEqual([]);
        }
      }),
      { numRuns: 150 },
    );
  });

  // circomlib-ml's Dense, Conv2D and AveragePooling2D: `assert(remainder < n)`, and a remainder that is anything.
  it("circomlib-ml: the remainder is only asserted. Here quotient - 1 with remainder + divisor violates a row", () => {
    const [input, sum] = [700n, 2048n];
    const out = (2n * input * scale + sum) / (2n * sum);
    const u = input * scale + sum / 2n - out * sum;
    expect(claim(input, sum, { out, remainder: u }).violated).toEqual([]);
    const assertedOnly = (quotient: bigint, remainder: bigint) =>
      field(quotient * sum + remainder) === field(input * scale + sum / 2n);
    for (let steps = 1n; steps <= 3n; steps++) {
      for (const [quotient, remainder] of [
        [out - steps, u + steps * sum],
        [out + steps, u - steps * sum],
      ] as const) {
        expect(assertedOnly(quotient, remainder)).toBe(true); // the equation alone holds
        // With every bit as it follows, and with each range made to hold where it can be.
        expect(claim(input, sum, { out: quotient, remainder }).violated).not.toEqual([]);
        expect(claim(input, sum, { out: quotient, remainder, above: 0n }).violated).not.toEqual([]);
        expect(claim(input, sum, { out: quotient, remainder: u }).violated).not.toEqual([]);
      }
    }
  });

  it("takes no other numbers as bits, though they have the same sum", async () => {
    for (const [input, sum] of [
      [700n, 2048n],
      [2n, 3n],
      [4095n, 4096n],
    ] as const) {
      const honest = await gadget.honest({ in: input, sum, odd: sum & 1n });
      for (const name of ["shareBits", "bits", "aboveBits"]) {
        const bits = gadget.wiresLike(new RegExp(`^${name}\\[`));
        expect(bits.length).toBeGreaterThan(0);
        expect(gadget.looseCarries(honest, bits)).toEqual([]);
      }
    }
  });

  it("has no witness for a fraction as the quotient: any remainder has one in the field", () => {
    const [input, sum] = [700n, 2048n];
    for (let remainder = 0n; remainder < 2048n; remainder += 97n) {
      const out = field((input * scale + sum / 2n - remainder) * invert(sum));
      const { violated } = claim(input, sum, { out, remainder });
      // Both ranges of the remainder hold, and the product: only the quotient's own range stands in the way.
      expect(violated.length > 0).toBe(out > 127n);
    }
  });

  it("fixes the parity: with the other one the remainder is a half", () => {
    for (const [input, sum] of [
      [5n, 16n],
      [5n, 15n],
      [0n, 1n],
      [3n, 4096n],
    ] as const) {
      const odd = sum & 1n;
      for (let out = 0n; out < 128n; out++) {
        expect(claim(input, sum, { out, odd: 1n - odd }).violated).not.toEqual([]);
        for (const remainder of [0n, sum - 1n, sum / 2n]) {
          expect(claim(input, sum, { out, odd: 1n - odd, remainder }).violated).not.toEqual([]);
        }
      }
    }
  });

  it("has no witness for a sum of zero or below, a negative value, a share above the scale's bits", async () => {
    for (const [input, sum] of [
      [0n, 0n],
      [5n, 0n],
      [5n, -10n],
      [-5n, -10n],
      [-100n, 10n],
      [11n, 10n],
      [R / 2n, 10n],
      [5n, 4097n],
    ] as const) {
      for (let out = -130n; out < 260n; out++) {
        const { violated } = claim(input, sum, { out });
        // 11 of 10 gives 140, which has 8 bits; 5 of 4097 gives 0, but the remainder may be as wide as 4096.
        if (violated.length === 0) expect([input, sum, out]).toEqual([5n, 4097n, 0n]);
      }
    }
    await expect(gadget.honest({ in: 11n, sum: 10n, odd: 0n })).rejects.toMatchObject({ code: "WITNESS_INVALID" });
    await expect(gadget.honest({ in: -1n, sum: 1n, odd: 1n })).rejects.toMatchObject({ code: "WITNESS_INVALID" });
  });

  it.each([
    [0, 5],
    [32_768, 5],
    [127, 0],
    [127, 65],
  ])("does not compile as (%i, %i)", async (badScale, badBits) => {
    const instance = `ShareLane(${badScale}, ${badBits})`;
    await expect(Gadget.template("inference/share_lane.circom", instance)).rejects.toMatchObject({
      code: "CIRCUIT_COMPILE",
    });
  });
});

describe("Share", () => {
  it.each<[number, number, bigint, bigint[]]>([
    [1, 2, 1n, [1n, 0n]],
    [1, 3, 127n, [1n, 0n, 2n]],
    [2, 3, 255n, [9n, 9n, 9n, 0n, 255n, 1n]],
    [1, 4, 32_767n, [2n ** 20n - 1n, 1n, 12345n, 0n]],
  ])("%i runs of %i in units of 1/%i", async (count, width, scale, values) => {
    const runs = Array.from({ length: count }, (_, c) => values.slice(c * width, (c + 1) * width));
    const sumBits = Math.max(...runs.map((run) => Math.max(1, bitLength(run.reduce((a, b) => a + b) - 1n))));
    const gadget = await share(count, width, Number(scale), sumBits);
    expect(gadget.rows).toBe(count * 2 + count * width * (bitLength(scale) + 2 * sumBits + 1));
    const honest = await gadget.honest({ in: values });
    expect(values.map((_, i) => honest[gadget.wire(`out[${i}]`)])).toEqual(runs.flatMap((run) => expected(run, scale)));
    expect(gadget.looseWires(honest, fieldElements(62n))).toEqual([]);
  });

  it("has no witness for another number in the place of the parity, which would round differently", async () => {
    const [values, scale, sumBits] = [[5n, 7n, 4n], 10n, 5];
    const gadget = await share(1, 3, Number(scale), sumBits);
    const sum = values.reduce((a, b) => a + b);
    const claim = (odd: bigint) => {
      const fixed = new Map([[gadget.wire("odd[0]"), odd]]);
      const out = values.map((value, i) => {
        const dividend = value * scale + (sum - odd) / 2n;
        const quotient = dividend / sum;
        fixed.set(gadget.wire(`in[${i}]`), value);
        fixed.set(gadget.wire(`out[${i}]`), quotient);
        for (const [name, number] of [
          ["shareBits", quotient],
          ["bits", dividend % sum],
          ["aboveBits", sum - 1n - (dividend % sum)],
        ] as const) {
          gadget.wiresLike(new RegExp(`^lane\\[${i}\\]\\.${name}\\[`)).forEach((wire, k) => {
            fixed.set(wire, bit(number, k));
          });
        }
        return quotient;
      });
      return { out, ...forge(gadget.r1cs, fixed) };
    };
    expect(claim(0n)).toMatchObject({ out: expected(values, scale), violated: [] });
    for (const odd of [-16n, -8n, -2n, 2n, 4n, 8n, 16n]) {
      // Every lane's rows hold: what says that this is no bit is one row of the run.
      expect(claim(odd).violated).toHaveLength(1);
    }
    expect(claim(-8n).out).not.toEqual(expected(values, scale));
  });

  it("has no witness for a run of zeros", async () => {
    const gadget = await share(1, 2, 127, 4);
    await expect(gadget.honest({ in: [0n, 0n] })).rejects.toMatchObject({ code: "WITNESS_INVALID" });
  });
});
