import { describe, expect, it } from "vitest";
import { type GenerateVerifierOptions, generateVerifier, renderVerifier } from "../../src/chain/generate.js";
import { Q } from "../../src/field/scalar.js";
import { keyDigest, type VerifyingKey } from "../../src/verifier/groth16.js";
import { CIRCUIT_DIGEST, digestOf } from "./fixture.js";
import { mod, simulateKey, type Trapdoor, wrongSubgroupG2 } from "./simulated.js";

const { vkey } = simulateKey(2);

function generate(key: VerifyingKey, options: Partial<GenerateVerifierOptions> = {}): string {
  return generateVerifier({ vkey: key, circuitDigest: CIRCUIT_DIGEST, development: true, ...options });
}

function codeOf(act: () => unknown): string | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code;
  }
}

describe("generated source", () => {
  it("is a function of its input, with everything that names it in the header", () => {
    const source = generate(vkey, { contractName: "Chunk" });
    expect(generate(vkey, { contractName: "Chunk" })).toBe(source);
    expect(source).toContain("// SPDX-License-Identifier: Apache-2.0");
    expect(source).toContain("pragma solidity 0.8.37;");
    expect(source).toContain(`key digest      ${keyDigest(vkey)}`);
    expect(source).toContain(`circuit digest  ${CIRCUIT_DIGEST}`);
    expect(source).toContain("compiler        solc 0.8.37, evmVersion cancun, optimizer runs 1000000");
    expect(source).toContain("anchorproof/groth16-verifier/1");
    expect(source).toContain("contract Chunk {");
    expect(source).not.toContain("{{");
    expect(source).not.toMatch(/GPL|require\(/);
  });

  it("is the golden file's text; a change of the template raises GENERATOR_VERSION", async () => {
    const source = generate(vkey, { contractName: "Golden2" });
    await expect(source).toMatchFileSnapshot("../../verifier-contracts/generated/Golden2.sol");
  });

  it("holds gamma and delta negated, beta as it is, imaginary parts first", () => {
    const constant = (name: string) => BigInt(new RegExp(`${name} = (0x[0-9a-f]{64});`).exec(generate(vkey))![1]!);
    expect(constant("_NEG_ALPHA_X")).toBe(vkey.alpha[0]);
    expect(constant("_NEG_ALPHA_Y")).toBe(Q - vkey.alpha[1]);
    expect(constant("_BETA_X_C1")).toBe(vkey.beta[0][1]);
    expect(constant("_BETA_Y_C0")).toBe(vkey.beta[1][0]);
    expect(constant("_NEG_GAMMA_X_C0")).toBe(vkey.gamma[0][0]);
    expect(constant("_NEG_GAMMA_Y_C1")).toBe(Q - vkey.gamma[1][1]);
    expect(constant("_NEG_DELTA_Y_C0")).toBe(Q - vkey.delta[1][0]);
    expect(constant("_IC2_Y")).toBe(vkey.ic[2]![1]);
  });

  it("differs between development and production in the flag and the header alone", () => {
    const lines = (development: boolean) =>
      renderVerifier({ vkey, circuitDigest: CIRCUIT_DIGEST, development }).split("\n");
    const production = lines(false);
    const changed = lines(true).filter((line, i) => line !== production[i]);
    expect(changed).toHaveLength(2);
    expect(changed[1]).toContain("DEVELOPMENT = true");
  });

  it.each([
    ["no ceremony", undefined],
    ["a ceremony that nobody verified", { development: false, doubts: [], keyDigest: keyDigest(vkey) }],
    ["a word", "verified" as never],
  ])("is refused for a production contract with %s", (_, made) => {
    const ceremony = made && ({ ...(made as object), id: digestOf("id"), circuitDigest: CIRCUIT_DIGEST } as never);
    expect(() => generate(vkey, { development: false, ceremony })).toThrow(
      expect.objectContaining({
        code: "KEY_DEVELOPMENT",
        message: expect.stringContaining("production contracts need the key's ceremony"),
      }),
    );
    if (ceremony) expect(codeOf(() => generate(vkey, { development: true, ceremony }))).toBe("INPUT_INVALID");
  });

  it.each([
    ["a name that would inject code", { contractName: "A { } contract B" }],
    ["an empty name", { contractName: "" }],
    ["a digest in upper case", { circuitDigest: digestOf("x").toUpperCase().replace("0X", "0x") as `0x${string}` }],
    ["a short digest", { circuitDigest: "0x1234" as const }],
    ["a development flag that is not boolean", { development: "no" as unknown as boolean }],
    ["a development flag that is zero", { development: 0 as unknown as boolean }],
    ["no development flag", { development: undefined as unknown as boolean }],
  ])("is refused for %s", (_, options) => {
    expect(codeOf(() => generate(vkey, options))).toBe("INPUT_INVALID");
  });

  it("is refused for more public signals than fit a contract", () => {
    const key = {
      ...vkey,
      nPublic: 129,
      ic: Array.from({ length: 130 }, (_, i) => simulateKey(0, `ic${i}`).vkey.ic[0]!),
    };
    expect(codeOf(() => generate(key))).toBe("INPUT_INVALID");
  });
});

describe("the generator refuses malformed keys", () => {
  const wrong = wrongSubgroupG2();
  const zero2 = [
    [0n, 0n],
    [0n, 0n],
  ] as const;
  it.each<[string, Partial<VerifyingKey>]>([
    ["alpha with a coordinate above q", { alpha: [vkey.alpha[0] + Q, vkey.alpha[1]] }],
    ["alpha off the curve", { alpha: [vkey.alpha[0], (vkey.alpha[1] + 1n) % Q] }],
    ["alpha at infinity", { alpha: [0n, 0n] }],
    ["beta off the curve", { beta: [vkey.beta[0], [vkey.beta[1][0], (vkey.beta[1][1] + 1n) % Q]] }],
    ["beta outside the subgroup", { beta: wrong }],
    ["gamma outside the subgroup", { gamma: wrong }],
    ["delta outside the subgroup", { delta: wrong }],
    ["gamma at infinity", { gamma: zero2 }],
    ["delta with a coordinate above q", { delta: [[vkey.delta[0][0] + Q, vkey.delta[0][1]], vkey.delta[1]] }],
    ["an IC point at infinity", { ic: [vkey.ic[0]!, [0n, 0n], vkey.ic[2]!] }],
    ["an IC point off the curve", { ic: [vkey.ic[0]!, [1n, 1n], vkey.ic[2]!] }],
    ["two equal IC points", { ic: [vkey.ic[0]!, vkey.ic[1]!, vkey.ic[1]!] }],
    ["too few IC points", { ic: vkey.ic.slice(0, 2) }],
    ["too many IC points", { ic: [...vkey.ic, simulateKey(0, "extra").vkey.ic[0]!] }],
    ["a missing point", { gamma: undefined as unknown as VerifyingKey["gamma"] }],
    ["a negative number of signals", { nPublic: -1 }],
  ])("%s", (_, changes) => {
    expect(codeOf(() => generate({ ...vkey, ...changes }))).toBe("KEY_MALFORMED");
  });
});

describe("the generator refuses forgeable keys", () => {
  it.each<[string, Partial<Trapdoor>]>([
    ["gamma = delta", { gamma: 5n, delta: 5n }],
    ["gamma = -delta", { gamma: 5n, delta: mod(-5n) }],
    ["delta = the generator (no phase-2 contribution)", { delta: 1n }],
    ["delta = -the generator", { delta: mod(-1n) }],
    ["gamma = delta = the generator (snarkjs setup without contribute)", { gamma: 1n, delta: 1n }],
    ["alpha = the generator (powers of tau without a contribution)", { alpha: 1n }],
    ["alpha = -the generator", { alpha: mod(-1n) }],
    ["beta = the generator", { beta: 1n }],
    ["beta = -the generator", { beta: mod(-1n) }],
  ])("%s", (_, overrides) => {
    expect(codeOf(() => generate(simulateKey(2, "bad", overrides).vkey))).toBe("KEY_FORGEABLE");
  });

  it("gamma = the generator is normal in snarkjs and passes", () => {
    expect(codeOf(() => generate(simulateKey(2, "normal", { gamma: 1n }).vkey))).toBeUndefined();
  });
});
