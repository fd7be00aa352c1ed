import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { type GenerateVerifierOptions, generateVerifier, renderVerifier } from "../../src/chain/generate.js";
import { verifySource } from "../../src/chain/verifySource.js";
import type { AnchorError } from "../../src/errors.js";
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
    expect(source).toContain("ceremony        none shown");
    expect(source).toContain("anchorproof/groth16-verifier/2");
    expect(source).toContain("contract Chunk {");
    expect(source).not.toContain("{{");
    expect(source).not.toMatch(/GPL|require\(/);
  });

  it.each([
    ["Golden2", false],
    ["Golden2Batch", true],
  ])("is the golden file's text, %s.sol; a change of a template raises GENERATOR_VERSION", async (name, batch) => {
    const source = generate(vkey, { contractName: name, batch });
    const file = `../../verifier-contracts/generated/${name}.sol`;
    expect(await readFile(new URL(file, import.meta.url), "utf8")).toBe(source);
    expect(verifySource(Buffer.from(source), vkey)).toEqual({
      kind: batch ? "batch" : "single",
      contractName: name,
      keyDigest: keyDigest(vkey),
      circuitDigest: CIRCUIT_DIGEST,
      development: true,
      ceremony: undefined,
    });
  });

  it("of a batch verifier names itself and the same key", () => {
    const source = generate(vkey, { batch: true });
    expect(source).toContain("anchorproof/groth16-batch-verifier/2");
    expect(source).toContain("contract Groth16BatchVerifier {");
    for (const line of [`key digest      ${keyDigest(vkey)}`, `circuit digest  ${CIRCUIT_DIGEST}`]) {
      expect(source).toContain(line);
    }
    expect(source).not.toContain("{{");
    expect(source).not.toMatch(/GPL|require\(/);
    const constants = (text: string) => text.match(/ private constant _(?:NEG|BETA|IC)\w+ = \w+;/g);
    expect(constants(source)).toEqual(constants(generate(vkey)));
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

  it("states the ceremony of a production contract, in the header and as a constant", () => {
    const ceremonyId = digestOf("ceremony");
    for (const batch of [false, true]) {
      const source = renderVerifier({ vkey, circuitDigest: CIRCUIT_DIGEST, development: false, ceremonyId, batch });
      expect(source).toContain(`//   ceremony        ${ceremonyId}\n`);
      expect(source).toContain(`bytes32 public constant CEREMONY = ${ceremonyId};`);
      expect(source).toContain("//   key             production\n");
      expect(generate(vkey, { batch })).toContain(`CEREMONY = 0x${"00".repeat(32)};`);
    }
    const render = (changes: object) => () =>
      renderVerifier({ vkey, circuitDigest: CIRCUIT_DIGEST, development: false, ...changes });
    expect(codeOf(render({ ceremonyId: `0x${"00".repeat(32)}` }))).toBe("INPUT_INVALID");
    expect(codeOf(render({ ceremonyId: `${ceremonyId}\ncontract` }))).toBe("INPUT_INVALID");
    expect(codeOf(render({ ceremonyId, development: true }))).toBe("INPUT_INVALID");
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
    ["a batch flag that is not boolean", { batch: "yes" as unknown as boolean }],
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

describe("verifying a source", () => {
  const ceremonyId = digestOf("ceremony");
  const sources = {
    single: generate(vkey, { contractName: "Chunk" }),
    batch: generate(vkey, { contractName: "Chunk", batch: true }),
    production: renderVerifier({ vkey, circuitDigest: CIRCUIT_DIGEST, development: false, ceremonyId }),
  };
  const verify = (text: string, ...rest: Tail<typeof verifySource>) => verifySource(Buffer.from(text), ...rest);
  type Tail<F> = F extends (first: never, ...rest: infer R) => unknown ? R : never;

  /** Where it says that the file differs. */
  function lineOf(act: () => unknown): unknown {
    try {
      act();
      return "equal";
    } catch (error) {
      const { code, details, message } = error as AnchorError;
      expect(code).toBe("CONTRACT_MISMATCH");
      if (details["line"] !== undefined) expect(message).toContain(`line ${details["line"]} differs`);
      return details["line"];
    }
  }

  it.each(Object.keys(sources) as (keyof typeof sources)[])("accepts what was generated: %s", (name) => {
    const found = verify(sources[name], vkey);
    expect(found.circuitDigest).toBe(CIRCUIT_DIGEST);
    expect(found.ceremony).toBe(name === "production" ? ceremonyId : undefined);
    expect(verify(sources[name], vkey, { circuitDigest: CIRCUIT_DIGEST })).toEqual(found);
  });

  it.each(Object.keys(sources) as (keyof typeof sources)[])("finds a changed line: %s", (name) => {
    const lines = sources[name].split("\n");
    for (let i = 0; i < lines.length; i++) {
      if (i > 16 && i % 7 !== 0) continue; // the header's lines, and some of the others
      const changed = [...lines];
      changed[i] += " ";
      const line = lineOf(() => verify(changed.join("\n"), vkey));
      // What the header says is read before, and the name of the contract.
      if (line !== undefined) expect(line).toBe(i + 1);
      else expect(lines[i]).toMatch(/^\/\/ {3}(generator|circuit digest|key {13}|ceremony)|^contract /);
    }
  });

  it("finds one character changed, removed and added, at its line", () => {
    const { single } = sources;
    const at = single.indexOf("staticcall(gas(), 0x08");
    const line = single.slice(0, at).split("\n").length;
    for (const text of [
      `${single.slice(0, at)}S${single.slice(at + 1)}`,
      single.slice(0, at) + single.slice(at + 1),
      `${single.slice(0, at)} ${single.slice(at)}`,
    ]) {
      expect(lineOf(() => verify(text, vkey))).toBe(line);
    }
    const last = single.split("\n").length;
    expect(lineOf(() => verify(`${single}// more\n`, vkey))).toBe(last);
    expect(lineOf(() => verify(single.slice(0, -1), vkey))).toBe(last - 1);
    expect(lineOf(() => verify(single.slice(0, at), vkey))).toBe(line);
    expect(lineOf(() => verify(`\ufeff${single}`, vkey))).toBe(1);
    expect(lineOf(() => verify(single.replaceAll("\n", "\r\n"), vkey))).toBe(1);
    // A comment with a second header, or a second contract, does not lead it astray.
    expect(lineOf(() => verify(`${sources.batch}${single}`, vkey))).toBe(sources.batch.split("\n").length);
  });

  it("a check taken out of the contract", () => {
    const { single, batch } = sources;
    for (const [text, from, to] of [
      [single, "iszero(infinite)", "1"],
      [single, "lt(signal, _R)", "1"],
      [batch, "shr(128, keccak256(0x00, 0x40))", "1"],
    ] as const) {
      expect(lineOf(() => verify(text.replace(from, to), vkey))).toBe(
        text.slice(0, text.indexOf(from)).split("\n").length,
      );
    }
  });

  it("another key, circuit or ceremony", () => {
    const other = simulateKey(2, "other").vkey;
    expect(lineOf(() => verify(sources.single, other))).toBe(6);
    expect(lineOf(() => verify(sources.single, simulateKey(3).vkey))).toBe(6);
    expect(lineOf(() => verify(sources.single, vkey, { circuitDigest: digestOf("other") }))).toBe(7);
    expect(lineOf(() => verify(sources.production, vkey, { ceremony: digestOf("other") }))).toBe(10);
    expect(verify(sources.production, vkey, { ceremony: ceremonyId }).ceremony).toBe(ceremonyId);
    expect(lineOf(() => verify(sources.single, vkey, { ceremony: ceremonyId }))).toBeUndefined();
  });

  it("a production contract without a ceremony, and one of another generator", () => {
    const bare = renderVerifier({ vkey, circuitDigest: CIRCUIT_DIGEST, development: false });
    expect(lineOf(() => verify(bare, vkey))).toBeUndefined();
    const older = sources.single.replace("groth16-verifier/2", "groth16-verifier/1");
    expect(codeOf(() => verify(older, vkey))).toBe("FORMAT_UNSUPPORTED");
    for (const text of ["", "contract A {}", sources.single.replace("anchorproof/groth16", "elsewhere/groth16")]) {
      expect(lineOf(() => verify(text, vkey))).toBeUndefined();
    }
  });

  it("no key that lets anyone forge proofs, although its contract is what would be generated", () => {
    const forgeable = simulateKey(2, "unfinished", { gamma: 1n, delta: 1n }).vkey;
    const source = renderVerifier({ vkey: forgeable, circuitDigest: CIRCUIT_DIGEST, development: true });
    expect(codeOf(() => verify(source, forgeable))).toBe("KEY_FORGEABLE");
    expect(codeOf(() => verify(source, { ...vkey, nPublic: 9 }))).toBe("KEY_MALFORMED");
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
