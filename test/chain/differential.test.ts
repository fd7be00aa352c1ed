/**
 * snarkjs = noble = native core = contract, of one proof and of batches, on random statements under keys with a known
 * trapdoor: valid, and broken in every way. Where one is stricter than another, that is what is expected of exactly it.
 */
import { Interface } from "ethers";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { Q, R } from "../../src/field/scalar.js";
import { type Proof, proofWords, verifyingKeyToJson } from "../../src/verifier/groth16.js";
import { snarkjs, stopSnarkjs } from "../circuit/vendor.js";
import { compileVerifiers, deploy, outcome, useChain } from "./fixture.js";
import {
  closeProof,
  g1,
  proofOf,
  proofWithoutC,
  rerandomise,
  type SimulatedKey,
  scalar,
  simulateKey,
  simulateProof,
  wrongSubgroupG2,
} from "./simulated.js";

const SIZES = [0, 1, 2, 8, 32] as const;
const MAX = 2n ** 256n - 1n;
const chain = useChain();
const keys = new Map(SIZES.map((n) => [n, simulateKey(n)]));

type Verifier = typeof import("../../src/verifier/groth16.js");
let native: Verifier;
let noble: Verifier;

/** The module picks its engine once, so there are two of it. */
async function load(engine: string | undefined): Promise<Verifier> {
  vi.resetModules();
  if (engine !== undefined) vi.stubEnv("ANCHORPROOF_NATIVE", engine);
  const verifier = await import("../../src/verifier/groth16.js");
  const { nativeStatus } = await import("../../src/field/native.js");
  const off = process.env["ANCHORPROOF_NATIVE"] === "off";
  expect(nativeStatus().available).toBe(!off); // a core that is merely missing fails here
  vi.unstubAllEnvs();
  return verifier;
}

/** A proof as whoever made it may have written it down. */
interface Statement {
  words: readonly bigint[];
  signals: readonly bigint[];
}

const VALID = ["valid", "re-randomised"] as const;
const BROKEN = [
  "signal + 1",
  "signal - 1",
  "A of another proof",
  "B of another proof",
  "C of another proof",
  "A negated",
  "B negated",
  "C negated",
  "A and B swapped signs with C kept",
  "off the curve",
  "random point for C",
  "B outside the subgroup",
  "signal + r",
  "signal 2^256 - 1",
  "coordinate 2^256 - 1",
  // The equation holds, as for the other points at infinity below; this one snarkjs refuses as well.
  "B at infinity",
] as const;
/** The equation holds, and only the form is wrong: snarkjs reduces coordinates mod q, and takes infinity in G1. */
const LAX = ["coordinate + q", "A at infinity", "C at infinity"] as const;
type Kind = (typeof VALID)[number] | (typeof BROKEN)[number] | (typeof LAX)[number];

/** @returns `undefined` where a key has no signals to break */
function statement(key: SimulatedKey, kind: Kind, seed: number, signals: readonly bigint[]): Statement | undefined {
  const proof = simulateProof(key, signals, `p${seed}`);
  const other = simulateProof(key, signals, `q${seed}`);
  const of = (changes: Partial<Proof>, inputs = signals) => ({
    words: proofWords({ ...proof, ...changes }),
    signals: inputs,
  });
  const at = seed % 8;
  const i = signals.length === 0 ? 0 : seed % signals.length;
  const word = (value: (word: bigint) => bigint) => ({
    words: proofWords(proof).map((each, j) => (j === at ? value(each) : each)),
    signals,
  });
  const signal = (value: (signal: bigint) => bigint) =>
    signals.length === 0
      ? undefined
      : of(
          {},
          signals.map((each, j) => (j === i ? value(each) : each)),
        );
  const negated = (y: bigint) => (Q - y) % Q;
  const minusA: Proof["a"] = [proof.a[0], negated(proof.a[1])];
  const minusB: Proof["b"] = [proof.b[0], [negated(proof.b[1][0]), negated(proof.b[1][1])]];
  switch (kind) {
    case "valid":
      return of({});
    case "re-randomised":
      return of(rerandomise(proof, scalar(`k${seed}`)));
    case "signal + 1":
      return signal((x) => (x + 1n) % R);
    case "signal - 1":
      return signal((x) => (x + R - 1n) % R);
    case "signal + r":
      return signal((x) => x + R);
    case "signal 2^256 - 1":
      return signal(() => MAX);
    case "A of another proof":
      return of({ a: other.a });
    case "B of another proof":
      return of({ b: other.b });
    case "C of another proof":
      return of({ c: other.c });
    case "A negated":
      return of({ a: minusA });
    case "B negated":
      return of({ b: minusB });
    case "C negated":
      return of({ c: [proof.c[0], negated(proof.c[1])] });
    case "A and B swapped signs with C kept":
      return of({ a: minusA, b: minusB, c: other.c });
    case "off the curve":
      return word((x) => (x + 1n) % Q);
    case "random point for C":
      return of({ c: g1(scalar(`c${seed}`)) });
    case "B outside the subgroup":
      return of({ b: wrongSubgroupG2() });
    case "coordinate + q":
      return word((x) => x + Q);
    case "coordinate 2^256 - 1":
      return word(() => MAX);
    case "A at infinity":
      return of(proofOf(closeProof(key, signals, 0n, scalar(`b${seed}`))));
    case "B at infinity":
      return of(proofOf(closeProof(key, signals, scalar(`a${seed}`), 0n)));
    case "C at infinity":
      return of(proofOf(proofWithoutC(key, signals, `c${seed}`)));
  }
}

const toProof = ({ words: [ax, ay, bx1, bx0, by1, by0, cx, cy] }: Statement) =>
  ({
    a: [ax, ay],
    b: [
      [bx0, bx1],
      [by0, by1],
    ],
    c: [cx, cy],
  }) as unknown as Proof;

function byTypeScript(verifier: Verifier, key: SimulatedKey, given: Statement): boolean {
  try {
    return verifier.verifyGroth16(key.vkey, given.signals, toProof(given));
  } catch (error) {
    expect((error as { code?: string }).code).toMatch(/^(PROOF_MALFORMED|INPUT_INVALID)$/);
    return false;
  }
}

/** Whether all hold; signals outside the field are refused for the batch as a whole. */
function batchByTypeScript(verifier: Verifier, key: SimulatedKey, given: readonly Statement[]): boolean {
  try {
    const items = given.map((each) => ({ publicSignals: each.signals, proof: toProof(each) }));
    return verifier.verifyGroth16Batch(key.vkey, items).every(Boolean);
  } catch (error) {
    expect((error as { code?: string }).code).toBe("INPUT_INVALID");
    return false;
  }
}

function bySnarkjs(key: SimulatedKey, { words, signals }: Statement): Promise<boolean> {
  const [ax, ay, bx1, bx0, by1, by0, cx, cy] = words.map(String) as string[];
  const g1Json = (x: string, y: string) => (x === "0" && y === "0" ? ["0", "1", "0"] : [x, y, "1"]);
  const infinite = [bx1, bx0, by1, by0].every((each) => each === "0");
  const json = {
    pi_a: g1Json(ax!, ay!),
    pi_b: infinite
      ? [
          ["0", "0"],
          ["1", "0"],
          ["0", "0"],
        ]
      : [
          [bx0!, bx1!],
          [by0!, by1!],
          ["1", "0"],
        ],
    pi_c: g1Json(cx!, cy!),
    protocol: "groth16",
    curve: "bn128",
  };
  return snarkjs.groth16.verify(verifyingKeyToJson(key.vkey), signals.map(String), json);
}

const contracts = new Map<string, (data: string) => Promise<boolean>>();
const batchAbi = new Interface(["function verifyBatch(uint256[8][] proofs, uint256[] signals) view"]);

beforeAll(async () => {
  native = await load(process.env["ANCHORPROOF_NATIVE"] === "off" ? "off" : undefined);
  noble = await load("off");
  const artefacts = await compileVerifiers(SIZES);
  for (const [name, artefact] of Object.entries(artefacts)) {
    const address = await (await deploy(chain.accounts[0]!, artefact)).getAddress();
    contracts.set(name, async (data) => {
      const result = await outcome(chain.provider, address, data, artefact.abi);
      if (result !== "ok") {
        expect(result).toMatch(/^(ProofInvalid|PrecompileFailed|PointAtInfinity|PublicSignalNotInField)$/);
      }
      return result === "ok";
    });
  }
});
afterAll(stopSnarkjs);

function byContract(key: SimulatedKey, { words, signals }: Statement): Promise<boolean> {
  const n = key.vkey.nPublic;
  const inputs = n === 0 ? "" : `, uint256[${n}] signals`;
  const abi = new Interface([`function verifyProof(uint256[8] proof${inputs}) view`]);
  return contracts.get(`V${n}`)!(abi.encodeFunctionData("verifyProof", n === 0 ? [words] : [words, signals]));
}

function batchByContract(key: SimulatedKey, given: readonly Statement[]): Promise<boolean> {
  const data = batchAbi.encodeFunctionData("verifyBatch", [
    given.map(({ words }) => words),
    given.flatMap(({ signals }) => signals),
  ]);
  return contracts.get(`B${key.vkey.nPublic}`)!(data);
}

const randomSize = fc.constantFrom(...SIZES);
const randomSignals = (n: number) => {
  const edge = fc.constantFrom(0n, 1n, R - 1n);
  const any = fc.bigInt({ min: 0n, max: R - 1n });
  return fc.array(fc.oneof({ arbitrary: any, weight: 4 }, { arbitrary: edge, weight: 1 }), {
    minLength: n,
    maxLength: n,
  });
};
const cases = (kinds: readonly Kind[]) =>
  randomSize.chain((n) =>
    fc.record({
      n: fc.constant(n),
      signals: randomSignals(n),
      seed: fc.nat(1_000_000),
      kind: fc.constantFrom(...kinds),
    }),
  );

describe("one proof: snarkjs = noble = native = contract = batch of one", () => {
  const verdicts = async (key: SimulatedKey, given: Statement) => ({
    snarkjs: await bySnarkjs(key, given),
    noble: byTypeScript(noble, key, given),
    native: byTypeScript(native, key, given),
    contract: await byContract(key, given),
    batch: await batchByContract(key, [given]),
    "batch of TypeScript": batchByTypeScript(native, key, [given]),
  });
  const all = (accepted: boolean, bySnarkjs = accepted) => ({
    snarkjs: bySnarkjs,
    noble: accepted,
    native: accepted,
    contract: accepted,
    batch: accepted,
    "batch of TypeScript": accepted,
  });
  const holds = (kind: Kind, expected: ReturnType<typeof all>, numRuns: number) =>
    fc.assert(
      fc.asyncProperty(cases([kind]), async ({ n, signals, seed }) => {
        const key = keys.get(n)!;
        const given = statement(key, kind, seed, signals);
        fc.pre(given !== undefined);
        expect(await verdicts(key, given!)).toEqual(expected);
      }),
      { numRuns },
    );

  it.each(VALID)("%s: all accept", (kind) => holds(kind, all(true), 5));
  it.each(BROKEN)("%s: all refuse", (kind) => holds(kind, all(false), 3));
  it.each(LAX)("%s: snarkjs accepts, all of ours refuse", (kind) => holds(kind, all(false, true), 3));
});

describe("batches: the contract accepts when every proof is accepted by itself, and so does TypeScript", () => {
  it("of random length, with up to two proofs broken", async () => {
    const kinds = [...VALID, ...BROKEN, ...LAX];
    const batch = randomSize.chain((n) =>
      fc.record({
        n: fc.constant(n),
        items: fc.array(fc.record({ signals: randomSignals(n), seed: fc.nat(1_000_000) }), {
          minLength: 1,
          maxLength: 5,
        }),
        broken: fc.array(fc.record({ at: fc.nat(4), kind: fc.constantFrom(...kinds) }), { maxLength: 2 }),
      }),
    );
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(batch, async ({ n, items, broken }) => {
        const key = keys.get(n)!;
        const given = items.map(({ signals, seed }, i) => {
          const kind = broken.find(({ at }) => at === i)?.kind ?? "valid";
          return statement(key, kind, seed, signals) ?? statement(key, "valid", seed, signals)!;
        });
        const expected = given.every((each) => byTypeScript(native, key, each));
        if (expected) accepted++;
        expect(await batchByContract(key, given)).toBe(expected);
        expect(batchByTypeScript(native, key, given)).toBe(expected);
      }),
      { numRuns: 30 },
    );
    expect(accepted).toBeGreaterThan(0);
    expect(accepted).toBeLessThan(30);
  });
});
