import fc from "fast-check";
import * as snarkjs from "snarkjs";
import { afterAll, describe, expect, it } from "vitest";
import { toHex } from "../../src/field/bytes.js";
import { Q, R } from "../../src/field/scalar.js";
import {
  evidenceDigest,
  keyDigest,
  parseProof,
  parsePublicSignals,
  parseVerifyingKey,
  proofToJson,
  verifyGroth16,
  verifyingKeyToJson,
} from "../../src/verifier/groth16.js";
import { verifyStatement } from "../../src/verifier/statement.js";
import { MODEL_KEY, makeBundle } from "../bundle/fixture.js";
import { g1, rerandomise, simulateKey, simulateProof, wrongSubgroupG2 } from "../chain/simulated.js";
import { outcomeOf } from "../support/errors.js";
import { DOMAINS } from "../support/parties.js";

const key = simulateKey(2);
const signals = [5n, R - 1n];
const proof = simulateProof(key, signals);
const negate = ([x, y]: readonly [bigint, bigint]) => [x, Q - y] as const;

afterAll(async () => {
  await (globalThis as { curve_bn128?: { terminate(): Promise<void> } }).curve_bn128?.terminate();
});

describe("verification", () => {
  it("accepts a valid proof, also with signals 0 and without signals", () => {
    expect(verifyGroth16(key.vkey, signals, proof)).toBe(true);
    expect(verifyGroth16(key.vkey, [0n, 0n], simulateProof(key, [0n, 0n]))).toBe(true);
    const none = simulateKey(0);
    expect(verifyGroth16(none.vkey, [], simulateProof(none, []))).toBe(true);
  });

  it("refuses other signals, parts of other proofs, and another key", () => {
    for (const i of [0, 1]) {
      const other = signals.map((signal, j) => (i === j ? (signal + 1n) % R : signal));
      expect(verifyGroth16(key.vkey, other, proof)).toBe(false);
    }
    const second = simulateProof(key, [6n, 7n], "second");
    for (const part of ["a", "b", "c"] as const) {
      expect(verifyGroth16(key.vkey, signals, { ...proof, [part]: second[part] })).toBe(false);
    }
    expect(verifyGroth16(key.vkey, signals, { ...proof, a: negate(proof.a) })).toBe(false);
    expect(verifyGroth16(simulateKey(2, "other").vkey, signals, proof)).toBe(false);
  });

  it("throws for signals outside the field or of the wrong number, rather than reduce them", () => {
    for (const wrong of [[5n], [5n, R - 1n, 0n], [5n + R, R - 1n], [-1n, 0n], [5n, R], [5n, 2n ** 256n - 1n]]) {
      expect(outcomeOf(() => verifyGroth16(key.vkey, wrong, proof))).toBe("INPUT_INVALID");
    }
  });

  it("agrees with snarkjs on random statements, both ways", async () => {
    await fc.assert(
      fc.asyncProperty(fc.bigInt(0n, R - 1n), fc.bigInt(0n, R - 1n), fc.boolean(), async (x, y, honest) => {
        const made = simulateProof(key, honest ? [x, y] : [x, (y + 1n) % R], `p${x}`);
        const theirs = await snarkjs.groth16.verify(
          verifyingKeyToJson(key.vkey),
          [x.toString(), y.toString()],
          proofToJson(made),
        );
        expect(verifyGroth16(key.vkey, [x, y], made)).toBe(theirs);
        expect(theirs).toBe(honest);
      }),
      { numRuns: 10 },
    );
  });

  it("accepts a re-randomised proof, which therefore has another evidence digest", () => {
    const other = rerandomise(proof);
    expect(verifyGroth16(key.vkey, signals, other)).toBe(true);
    expect(evidenceDigest(keyDigest(key.vkey), signals, other)).not.toBe(
      evidenceDigest(keyDigest(key.vkey), signals, proof),
    );
  });
});

describe("strict parsing", () => {
  const zero2 = [
    ["0", "0"],
    ["0", "0"],
  ];
  const badG1: [string, unknown][] = [
    ["missing", undefined],
    ["infinity", ["0", "0", "1"]],
    ["snarkjs' infinity", ["0", "1", "0"]],
    ["projective", [...g1(3n).map(String), "2"]],
    ["x + q", [(proof.a[0] + Q).toString(), proof.a[1].toString(), "1"]],
    ["y + q", [proof.a[0].toString(), (proof.a[1] + Q).toString(), "1"]],
    ["off the curve", [proof.a[0].toString(), (proof.a[1] + 1n).toString(), "1"]],
    ["numbers", [1, 2, "1"]],
    ["hexadecimal", ["0x1", "0x2", "1"]],
    ["a leading zero", ["01", "2", "1"]],
    ["two coordinates", ["1", "2"]],
    ["no array", { 0: "1", 1: "2", 2: "1" }],
  ];
  const wrong = wrongSubgroupG2();
  const badG2: [string, unknown][] = [
    ["infinity", [...zero2, ["1", "0"]]],
    [
      "snarkjs' infinity",
      [
        ["0", "0"],
        ["1", "0"],
        ["0", "0"],
      ],
    ],
    ["outside the subgroup", [...wrong.map((c) => c.map(String)), ["1", "0"]]],
    ["parts exchanged", [...proof.b.map((c) => [...c].reverse().map(String)), ["1", "0"]]],
    ["x0 + q", [[(proof.b[0][0] + Q).toString(), proof.b[0][1].toString()], proof.b[1].map(String), ["1", "0"]]],
    ["projective", [...proof.b.map((c) => c.map(String)), ["2", "0"]]],
    ["flat", ["1", "2", "3"]],
  ];

  it.each(badG1)("a G1 point that is %s", (_, point) => {
    expect(outcomeOf(() => parseProof({ ...proofToJson(proof), pi_a: point }))).toBe("PROOF_MALFORMED");
    expect(outcomeOf(() => parseProof({ ...proofToJson(proof), pi_c: point }))).toBe("PROOF_MALFORMED");
    const json = verifyingKeyToJson(key.vkey);
    expect(outcomeOf(() => parseVerifyingKey({ ...json, vk_alpha_1: point }))).toBe("KEY_MALFORMED");
    expect(outcomeOf(() => parseVerifyingKey({ ...json, IC: [json.IC[0], point, json.IC[2]] }))).toBe("KEY_MALFORMED");
  });

  it.each(badG2)("a G2 point that is %s", (_, point) => {
    expect(outcomeOf(() => parseProof({ ...proofToJson(proof), pi_b: point }))).toBe("PROOF_MALFORMED");
    for (const name of ["vk_beta_2", "vk_gamma_2", "vk_delta_2"]) {
      expect(outcomeOf(() => parseVerifyingKey({ ...verifyingKeyToJson(key.vkey), [name]: point }))).toBe(
        "KEY_MALFORMED",
      );
    }
  });

  it.each([
    ["null", null],
    ["an array", []],
    ["a string", "proof"],
    ["another system", { ...proofToJson(proof), protocol: "plonk" }],
    ["another curve", { ...proofToJson(proof), curve: "bls12381" }],
  ])("a document that is %s", (_, json) => {
    expect(outcomeOf(() => parseProof(json))).toBe("PROOF_MALFORMED");
    expect(outcomeOf(() => parseVerifyingKey(json))).toBe("KEY_MALFORMED");
  });

  it("a key whose IC has another length than nPublic says", () => {
    const json = verifyingKeyToJson(key.vkey);
    for (const nPublic of [1, 3, -1, 2.5, "2", 1e9]) {
      expect(outcomeOf(() => parseVerifyingKey({ ...json, nPublic }))).toBe("KEY_MALFORMED");
    }
  });

  it("public signals", () => {
    expect(parsePublicSignals(["0", (R - 1n).toString()])).toEqual([0n, R - 1n]);
    for (const bad of [[R.toString()], ["00"], ["-1"], [1], ["0x1"], [" 1"], "1", null, new Array(2000).fill("1")]) {
      expect(outcomeOf(() => parsePublicSignals(bad))).toBe("INPUT_INVALID");
    }
  });

  it("survives a round trip", () => {
    expect(parseProof(JSON.parse(JSON.stringify(proofToJson(proof))))).toEqual(proof);
    expect(parseVerifyingKey(JSON.parse(JSON.stringify(verifyingKeyToJson(key.vkey))))).toEqual(key.vkey);
  });
});

describe("digests", () => {
  it("change with every point of the key", () => {
    const digests = new Set([keyDigest(key.vkey)]);
    const other = simulateKey(2, "other").vkey;
    for (const part of ["alpha", "beta", "gamma", "delta"] as const)
      digests.add(keyDigest({ ...key.vkey, [part]: other[part] }));
    for (let i = 0; i < 3; i++) {
      digests.add(keyDigest({ ...key.vkey, ic: key.vkey.ic.map((point, j) => (i === j ? other.ic[j]! : point)) }));
    }
    expect(digests.size).toBe(8);
  });
});

describe("statements", () => {
  const { statement, proof: answer } = makeBundle().inference;
  const verify = (changed: Partial<typeof statement>, vkey = MODEL_KEY.vkey) =>
    outcomeOf(() => verifyStatement(DOMAINS.gate, "InferenceStatement", { ...statement, ...changed }, vkey, answer));

  it("verify under their own key only", () => {
    expect(verify({})).toBe("accepted");
    expect(verify({ output: 0n })).toBe("PROOF_INVALID");
    expect(verify({}, simulateKey(3, "other").vkey)).toBe("KEY_UNKNOWN");
    const four = simulateKey(4, "four").vkey;
    expect(verify({ task: { ...statement.task, keyDigest: keyDigest(four) } }, four)).toBe("KEY_UNKNOWN");
  });

  it("do not cover the model's name: the key does, so a verifier looks the key's model up", () => {
    expect(verify({ modelDigest: toHex(new Uint8Array(32)) })).toBe("accepted");
  });
});
