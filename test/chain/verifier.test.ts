import type { Contract } from "ethers";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { type ContractArtefact, compileContracts } from "../../src/chain/compile.js";
import { generateVerifier, renderVerifier } from "../../src/chain/generate.js";
import { Q, R } from "../../src/field/scalar.js";
import { keyDigest, type Proof, proofWords, verifyGroth16 } from "../../src/verifier/groth16.js";
import { CIRCUIT_DIGEST, compileVerifiers, deploy, outcome, useChain } from "./fixture.js";
import { g1, inputScalar, mod, rerandomise, scalar, simulateKey, simulateProof, wrongSubgroupG2 } from "./simulated.js";

const SIZES = [0, 1, 2, 8, 32] as const;
const MAX = 2n ** 256n - 1n;

const chain = useChain();

function signalsOf(n: number): bigint[] {
  return Array.from({ length: n }, (_, i) => scalar(`signal/${i}`));
}

describe.each(SIZES)("generated verifier with %i public signals", (n) => {
  const key = simulateKey(n);
  const signals = signalsOf(n);
  const words = proofWords(simulateProof(key, signals));
  let contract: Contract;
  let artefact: ContractArtefact;
  let address: string;

  beforeAll(async () => {
    artefact = (await compileVerifiers(SIZES))[`V${n}`]!;
    contract = await deploy(chain.accounts[0]!, artefact);
    address = await contract.getAddress();
  });

  const encode = (proof: readonly bigint[], inputs: readonly bigint[]) =>
    contract.interface.encodeFunctionData("verifyProof", n === 0 ? [proof] : [proof, inputs]);
  const check = (proof: readonly bigint[], inputs: readonly bigint[] = signals) =>
    outcome(chain.provider, address, encode(proof, inputs), artefact.abi);
  const withWord = (i: number, value: bigint) => words.map((word, j) => (j === i ? value : word));

  it("accepts a valid proof, and so does the TypeScript verifier", async () => {
    expect(verifyGroth16(key.vkey, signals, simulateProof(key, signals))).toBe(true);
    expect(await check(words)).toBe("ok");
    expect(
      (await (await chain.accounts[0]!.sendTransaction({ to: address, data: encode(words, signals) })).wait())?.status,
    ).toBe(1);
  });

  it("says which key and circuit it is for", async () => {
    expect(await contract.getFunction("KEY_DIGEST")()).toBe(keyDigest(key.vkey));
    expect(await contract.getFunction("CIRCUIT_DIGEST")()).toBe(CIRCUIT_DIGEST);
    expect(await contract.getFunction("N_PUBLIC")()).toBe(BigInt(n));
    expect(await contract.getFunction("DEVELOPMENT")()).toBe(true);
    expect(artefact.deployedSize).toBeLessThan(24_576);
  });

  it("rejects every public signal changed by one", async () => {
    for (let i = 0; i < n; i++) {
      for (const change of [1n, -1n]) {
        const changed = signals.map((signal, j) => (j === i ? mod(signal + change) : signal));
        expect(await check(words, changed)).toBe("ProofInvalid");
      }
    }
  });

  it("rejects aliases of every public signal", async () => {
    for (let i = 0; i < n; i++) {
      const aliases = [MAX, R, signals[i]! + R];
      if (i === 0) for (let k = 2n; signals[i]! + k * R <= MAX; k++) aliases.push(signals[i]! + k * R);
      for (const alias of aliases) {
        expect(
          await check(
            words,
            signals.map((signal, j) => (j === i ? alias : signal)),
          ),
        ).toBe("PublicSignalNotInField");
      }
    }
  });

  it("rejects aliases of every proof coordinate", async () => {
    for (let i = 0; i < 8; i++) {
      for (let k = 1n; words[i]! + k * Q <= MAX; k++) {
        expect(await check(withWord(i, words[i]! + k * Q))).toBe("PrecompileFailed");
      }
      expect(await check(withWord(i, MAX))).toBe("PrecompileFailed");
    }
  });

  it("rejects points off the curve", async () => {
    for (let i = 0; i < 8; i++) expect(await check(withWord(i, (words[i]! + 1n) % Q))).toBe("PrecompileFailed");
  });

  it("rejects a B outside the subgroup", async () => {
    const [x, y] = wrongSubgroupG2();
    expect(await check([...words.slice(0, 2), x[1], x[0], y[1], y[0], ...words.slice(6)])).toBe("PrecompileFailed");
  });

  it("rejects points at infinity, and the all-zero proof", async () => {
    const zeroed = (from: number, to: number) => words.map((word, j) => (j >= from && j < to ? 0n : word));
    for (const [from, to] of [
      [0, 2],
      [2, 6],
      [6, 8],
      [0, 8],
    ] as const) {
      expect(await check(zeroed(from, to))).toBe("PointAtInfinity");
    }
  });

  it("rejects negated points", async () => {
    for (const y of [[1], [4, 5], [7]]) {
      expect(await check(words.map((word, j) => (y.includes(j) ? Q - word : word)))).toBe("ProofInvalid");
    }
  });

  it("rejects truncated and extended calldata", async () => {
    const data = encode(words, signals);
    for (const bytes of [1, 31, 32, 64, 256]) {
      expect(await outcome(chain.provider, address, data.slice(0, -2 * bytes), artefact.abi)).toBe("revert");
    }
    for (const bytes of [1, 32, 64]) {
      expect(await outcome(chain.provider, address, data + "00".repeat(bytes), artefact.abi)).toBe("CalldataSizeWrong");
    }
    expect(await outcome(chain.provider, address, "0x", artefact.abi)).toBe("revert");
  });

  it("never succeeds when gas runs out, whatever the proof", async () => {
    const needed = Number(await chain.provider.estimateGas({ to: address, data: encode(words, signals) }));
    const junk = encode(
      withWord(6, g1(5n)[0]).map((word, j) => (j === 7 ? g1(5n)[1] : word)),
      signals,
    );
    for (let step = 1; step <= 24; step++) {
      const gas = Math.floor(22_000 + ((needed - 24_000) * step) / 24);
      const short = await outcome(chain.provider, address, encode(words, signals), artefact.abi, { gas: gas - 1000 });
      expect(short).toMatch(/^(intrinsic gas too high|EVM error OutOfGas$|PrecompileFailed$)/);
      const forged = await outcome(chain.provider, address, junk, artefact.abi, { gas: gas + 20_000 });
      expect(forged).toMatch(/^(intrinsic gas too high|EVM error OutOfGas$|PrecompileFailed$|ProofInvalid$)/);
    }
  });

  it("accepts a re-randomised proof: proofs are no nullifiers", async () => {
    const other = rerandomise(simulateProof(key, signals));
    expect(proofWords(other)).not.toEqual(words);
    expect(await check(proofWords(other))).toBe("ok");
  });

  it("agrees with the TypeScript verifier on random statements and mutations", async () => {
    const scalars = fc.bigInt({ min: 0n, max: R - 1n });
    await fc.assert(
      fc.asyncProperty(
        fc.array(scalars, { minLength: n, maxLength: n }),
        fc.nat(1000),
        fc.constantFrom("none", "a", "b", "c", "signal"),
        async (inputs, seed, mutation) => {
          const proof: Proof = simulateProof(key, inputs, `p${seed}`);
          const other = simulateProof(key, inputs, `q${seed}`);
          const mutated =
            mutation === "a" || mutation === "b" || mutation === "c"
              ? { ...proof, [mutation]: other[mutation] }
              : proof;
          const shown = mutation === "signal" ? inputs.map((signal) => mod(signal + 1n)) : inputs;
          const expected = verifyGroth16(key.vkey, shown, mutated);
          expect(await check(proofWords(mutated), shown)).toBe(expected ? "ok" : "ProofInvalid");
        },
      ),
      { numRuns: 8 },
    );
  });
});

describe("gas of production verifiers, whole transactions", () => {
  // The hard floor is 181,100 + 6,350 a signal, plus 21,000 and calldata.
  it.each([
    [1, 214_000],
    [4, 235_000],
  ])("%i public signals cost at most %i", async (n, limit) => {
    const artefact = (await compileVerifiers([1, 4], false))[`V${n}`]!;
    const contract = await deploy(chain.accounts[0]!, artefact);
    const signals = signalsOf(n);
    const words = proofWords(simulateProof(simulateKey(n), signals));
    const sent = await contract.getFunction("verifyProof").send(words, signals);
    expect(Number((await sent.wait())!.gasUsed)).toBeLessThanOrEqual(limit);
  });
});

describe("known attacks on generated verifiers", () => {
  const forge = (key: ReturnType<typeof simulateKey>, signals: bigint[]): bigint[] => {
    const c = g1(mod(-inputScalar(key.trapdoor, signals)));
    return proofWords({ a: key.vkey.alpha, b: key.vkey.beta, c });
  };

  it("Veil Cash and FoomCash: a key without a phase-2 contribution is refused, and would be forgeable", async () => {
    const key = simulateKey(2, "unfinished", { gamma: 1n, delta: 1n });
    const options = { vkey: key.vkey, contractName: "Unfinished", circuitDigest: CIRCUIT_DIGEST, development: true };
    expect(() => generateVerifier(options)).toThrow(expect.objectContaining({ code: "KEY_FORGEABLE" }));
    // What the refusal prevents: with the lint bypassed, anyone proves anything without a witness or a trapdoor.
    const artefact = (await compileContracts({ "Unfinished.sol": renderVerifier(options) }))["Unfinished"]!;
    const contract = await deploy(chain.accounts[0]!, artefact);
    const signals = [12345n, 67890n];
    const data = contract.interface.encodeFunctionData("verifyProof", [forge(key, signals), signals]);
    expect(await outcome(chain.provider, await contract.getAddress(), data, artefact.abi)).toBe("ok");
  });

  it("the same forgery fails against a sound key", async () => {
    const artefact = (await compileVerifiers(SIZES))["V2"]!;
    const contract = await deploy(chain.accounts[0]!, artefact);
    const signals = [12345n, 67890n];
    const data = contract.interface.encodeFunctionData("verifyProof", [forge(simulateKey(2), signals), signals]);
    expect(await outcome(chain.provider, await contract.getAddress(), data, artefact.abi)).toBe("ProofInvalid");
  });

  it.each(["0x06", "0x07", "0x08"])("snarkjs #4: an absent precompile %s accepts nothing", async (precompile) => {
    // Precompiles cannot be taken away from anvil, so the contract is made to look for one where there is nothing.
    const key = simulateKey(1);
    const name = `Absent${precompile.slice(2)}`;
    const source = renderVerifier({
      vkey: key.vkey,
      contractName: name,
      circuitDigest: CIRCUIT_DIGEST,
      development: true,
    });
    const moved = source.replaceAll(
      `staticcall(gas(), ${precompile},`,
      "staticcall(gas(), 0x00000000000000000000000000000000deadbeef,",
    );
    expect(moved).not.toBe(source);
    const artefact = (await compileContracts({ [`${name}.sol`]: moved }))[name]!;
    const contract = await deploy(chain.accounts[0]!, artefact);
    const signals = signalsOf(1);
    const valid = proofWords(simulateProof(key, signals));
    const junk = [1n, 1n, 1n, 1n, 1n, 1n, 1n, 1n]; // odd everywhere: what snarkjs' template accepted
    for (const words of [valid, junk, valid.map((word) => word | 1n)]) {
      const data = contract.interface.encodeFunctionData("verifyProof", [words, signals]);
      expect(await outcome(chain.provider, await contract.getAddress(), data, artefact.abi)).toBe("PrecompileFailed");
    }
  });

  it("snarkjs #392: an inherited verifier does not end its caller's code", async () => {
    const verifier = renderVerifier({
      vkey: simulateKey(1).vkey,
      contractName: "Base",
      circuitDigest: CIRCUIT_DIGEST,
      development: true,
    });
    expect(verifier).not.toMatch(/\breturn\s*\(/);
    const heir = `// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;
import {Base} from "./Base.sol";
contract Heir is Base {
    uint256 public minted;
    function mint(uint256[8] calldata proof, uint256[1] calldata signals) external {
        this.verifyProof(proof, signals);
        minted += 1;
    }
}`;
    const artefact = (await compileContracts({ "Base.sol": verifier, "Heir.sol": heir }))["Heir"]!;
    const contract = await deploy(chain.accounts[0]!, artefact);
    const signals = signalsOf(1);
    const words = proofWords(simulateProof(simulateKey(1), signals));
    await (await contract.getFunction("mint").send(words, signals)).wait();
    expect(await contract.getFunction("minted")()).toBe(1n);
    const garbage = contract.interface.encodeFunctionData("mint", [words, [signals[0]! + 1n]]);
    expect(await outcome(chain.provider, await contract.getAddress(), garbage, artefact.abi)).toBe("ProofInvalid");
  });

  it("no precompile's gas is written down", () => {
    const source = renderVerifier({ vkey: simulateKey(2).vkey, circuitDigest: CIRCUIT_DIGEST, development: false });
    const code = source.replace(/\/\/.*$/gm, "");
    const calls = code.match(/staticcall\([^,]*,/g)!;
    expect(calls).toHaveLength(5);
    for (const call of calls) expect(call).toBe("staticcall(gas(),");
    expect(code.match(/returndatasize\(\), 0x/g)).toHaveLength(5);
  });
});

describe("on another chain", () => {
  const other = useChain({ chainId: 1 });

  it("a development verifier refuses valid proofs, a production one does not", async () => {
    const signals = signalsOf(1);
    const words = proofWords(simulateProof(simulateKey(1), signals));
    for (const [development, expected] of [
      [true, "DevelopmentKeyLocked"],
      [false, "ok"],
    ] as const) {
      const artefact = (await compileVerifiers(development ? SIZES : [1, 4], development))["V1"]!;
      const contract = await deploy(other.accounts[0]!, artefact);
      const data = contract.interface.encodeFunctionData("verifyProof", [words, signals]);
      expect(await outcome(other.provider, await contract.getAddress(), data, artefact.abi)).toBe(expected);
    }
  });
});

it("simulated keys pass the lint", () => {
  for (const n of SIZES) {
    const options = { vkey: simulateKey(n).vkey, circuitDigest: CIRCUIT_DIGEST, development: true };
    expect(generateVerifier(options)).toBe(renderVerifier(options));
  }
});
