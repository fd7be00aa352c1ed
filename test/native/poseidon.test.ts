/** Poseidon of every engine that this build and processor have, against other implementations. */
import fc from "fast-check";
import * as lite from "poseidon-lite";
import { describe, expect, it } from "vitest";
import { nativeCore } from "../../src/field/native.js";
import { decodeScalars, encodeScalars, poseidonParameters } from "../../src/field/poseidon.js";
import { mod, R } from "../../src/field/scalar.js";
import { code } from "../support/errors.js";

const core = nativeCore();
const ARITIES = Array.from({ length: 16 }, (_, i) => i + 1);
const scalar = fc.oneof(fc.bigInt({ min: 0n, max: R - 1n }), fc.constantFrom(0n, 1n, R - 1n));
const ZERO = new Uint8Array(32);
const ZERO_ROW = new Uint8Array(3 * 32);

const other = (inputs: bigint[]): bigint =>
  (lite as unknown as Record<string, (inputs: bigint[]) => bigint>)[`poseidon${inputs.length}`]!(inputs);

/** The permutation as the paper states it: dense matrices, every constant where it stands. */
function plain(capacity: bigint, input: readonly bigint[]): bigint {
  const { constants, mds } = poseidonParameters(input.length);
  let state = [capacity, ...input];
  constants.forEach((row, round) => {
    const full = round < 4 || round >= constants.length - 4;
    state = state.map((value, lane) => {
      const shifted = mod(value + row[lane]!);
      return full || lane === 0 ? mod(shifted ** 5n) : shifted;
    });
    state = mds.map((line) => mod(line.reduce((sum, entry, lane) => sum + entry * state[lane]!, 0n)));
  });
  return state[0]!;
}

describe.skipIf(!core)("native Poseidon", () => {
  describe.each(core?.info().engines ?? [])("%s", (engine) => {
    const hash = (arity: number, capacities: Uint8Array, inputs: Uint8Array, threads = 1) =>
      core!.poseidon(arity, capacities, inputs, { engine, threads });

    it("gives circomlib's known answers", () => {
      // circomlib's test/poseidoncircuit.js
      const known: [bigint[], bigint][] = [
        [[1n, 2n, 0n, 0n, 0n], 1018317224307729531995786483840663576608797660851238720571059489595066344487n],
        [[3n, 4n, 5n, 10n, 23n], 13034429309846638789535561449942021891039729847501137143363028890275222221409n],
        [[1n, 2n], 7853200120776062878684798364095072458815029376092732009249414926327459813530n],
        [[3n, 4n], 14763215145315200506921711489642608356394854266165572616578112107564877678998n],
      ];
      for (const [inputs, expected] of known) {
        expect(decodeScalars(hash(inputs.length, ZERO, encodeScalars(inputs)))).toEqual([expected]);
      }
    });

    it.each(ARITIES)("is poseidon-lite's with %i inputs", (arity) => {
      const edges = [new Array<bigint>(arity).fill(0n), new Array<bigint>(arity).fill(R - 1n)];
      fc.assert(
        fc.property(fc.array(fc.array(scalar, { minLength: arity, maxLength: arity }), { maxLength: 9 }), (rows) => {
          const all = [...edges, ...rows];
          expect(decodeScalars(hash(arity, ZERO, encodeScalars(all.flat())))).toEqual(all.map(other));
        }),
        { numRuns: 4 },
      );
    });

    it.each([1, 2, 7, 16])("is the paper's permutation with %i inputs under every capacity", (arity) => {
      fc.assert(
        fc.property(scalar, fc.array(scalar, { minLength: arity, maxLength: arity }), (capacity, values) => {
          const result = decodeScalars(hash(arity, encodeScalars([capacity]), encodeScalars(values)));
          expect(result).toEqual([plain(capacity, values)]);
        }),
        { numRuns: 5 },
      );
    });

    it("hashes any number, each by itself, on any number of threads", () => {
      const values = Array.from({ length: 2 * 70 }, (_, i) => (BigInt(i) << 240n) % R);
      const expected = Array.from({ length: 70 }, (_, i) => other(values.slice(2 * i, 2 * i + 2)));
      const inputs = encodeScalars(values);
      for (const n of [0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 70]) {
        for (const threads of [1, 2, 5]) {
          const result = hash(2, ZERO, inputs.subarray(0, n * 64), threads);
          expect(decodeScalars(result), `${n} on ${threads}`).toEqual(expected.slice(0, n));
        }
      }
    });

    it("gives each hash its own capacity", () => {
      const capacities = Array.from({ length: 20 }, (_, i) => BigInt(i * i) << 64n);
      const inputs = new Uint8Array(20 * 3 * 32);
      const single = capacities.map((value) => decodeScalars(hash(3, encodeScalars([value]), ZERO_ROW))[0]!);
      expect(decodeScalars(hash(3, encodeScalars(capacities), inputs, 2))).toEqual(single);
      expect(new Set(single).size).toBe(20);
    });

    it("refuses r and more, in every place and lane", () => {
      const bad = encodeScalars([R - 1n]);
      bad[0]! += 1;
      for (const value of [bad, new Uint8Array(32).fill(255)]) {
        for (let at = 0; at < 9 * 3; at++) {
          const inputs = new Uint8Array(9 * 3 * 32);
          inputs.set(value, at * 32);
          expect(() => hash(3, ZERO, inputs), `${at}`).toThrowError(code("INPUT_INVALID"));
        }
        for (let at = 0; at < 9; at++) {
          const capacities = new Uint8Array(9 * 32);
          capacities.set(value, at * 32);
          expect(() => hash(3, capacities, new Uint8Array(9 * 3 * 32), 2)).toThrowError(code("INPUT_INVALID"));
        }
        expect(() => hash(3, value, ZERO_ROW)).toThrowError(code("INPUT_INVALID"));
      }
    });
  });
});
