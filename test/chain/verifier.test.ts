/**
 * The known attacks on generated verifiers, by name, against every one of them: the verifier of one proof, and the one of
 * batches with the attacked proof first (its coefficient is 1) and last among good ones.
 */
import type { Contract } from "ethers";
import { beforeAll, describe, expect, it } from "vitest";
import { type ContractArtefact, type ContractArtefacts, compileContracts } from "../../src/chain/compile.js";
import { generateVerifier, renderVerifier } from "../../src/chain/generate.js";
import type { Hex } from "../../src/field/bytes.js";
import { Q, R } from "../../src/field/scalar.js";
import { keyDigest, proofWords, verifyGroth16 } from "../../src/verifier/groth16.js";
import { CIRCUIT_DIGEST, compileVerifiers, deploy, outcome, useChain, verifierSources } from "./fixture.js";
import {
  g1,
  inputScalar,
  mod,
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
const elsewhere = useChain({ chainId: 1 });

/** Where the attacked proof stands. */
const PLACES = [
  { title: "verifier of one proof", prefix: "V", before: 0, after: 0 },
  { title: "batch verifier, first of 3 proofs", prefix: "B", before: 0, after: 2 },
  { title: "batch verifier, last of 3 proofs", prefix: "B", before: 2, after: 0 },
] as const;
type Place = (typeof PLACES)[number];

interface Item {
  words: readonly bigint[];
  signals: readonly bigint[];
}

const items = new Map<string, Item>();

/** A proof and its signals, made once: it costs more than most calls. */
function item(key: SimulatedKey, label: string): Item {
  const name = `${keyDigest(key.vkey)}/${label}`;
  const made = items.get(name) ?? makeItem(key, label);
  items.set(name, made);
  return made;
}

function makeItem(key: SimulatedKey, label: string): Item {
  const signals = Array.from({ length: key.vkey.nPublic }, (_, i) => scalar(`${label}/signal/${i}`));
  return { signals, words: proofWords(simulateProof(key, signals, label)) };
}

function encode(contract: Contract, { prefix, before, after }: Place, key: SimulatedKey, { words, signals }: Item) {
  if (prefix === "V") {
    return contract.interface.encodeFunctionData("verifyProof", signals.length === 0 ? [words] : [words, signals]);
  }
  const others = (count: number, label: string) => Array.from({ length: count }, (_, i) => item(key, `${label}${i}`));
  const items = [...others(before, "before"), { words, signals }, ...others(after, "after")];
  return contract.interface.encodeFunctionData("verifyBatch", [
    items.map((each) => each.words),
    items.flatMap((each) => each.signals),
  ]);
}

let compiled: ContractArtefacts;
beforeAll(async () => {
  compiled = await compileVerifiers(SIZES);
});

describe.each(SIZES.flatMap((n) => PLACES.map((place) => ({ n, ...place }))))("$n public signals, $title", (place) => {
  const { n, prefix } = place;
  const key = simulateKey(n);
  const { signals, words } = item(key, "attacked");
  const [x, y] = wrongSubgroupG2();
  // Every signal of the verifier of one proof; of batches, whose calls are longer, some of many.
  const places = signals.map((_, i) => i).filter((i) => prefix === "V" || n <= 8 || i === 0 || i === n - 1);
  let contract: Contract;
  let artefact: ContractArtefact;
  let address: string;

  beforeAll(async () => {
    artefact = compiled[`${prefix}${n}`]!;
    contract = await deploy(chain.accounts[0]!, artefact);
    address = await contract.getAddress();
  });

  const data = (proof: readonly bigint[] = words, inputs: readonly bigint[] = signals) =>
    encode(contract, place, key, { words: proof, signals: inputs });
  const check = (proof: readonly bigint[], inputs: readonly bigint[] = signals) =>
    outcome(chain.provider, address, data(proof, inputs), artefact.abi);
  const withWord = (i: number, value: bigint) => words.map((word, j) => (j === i ? value : word));
  const withSignal = (i: number, value: bigint) => signals.map((signal, j) => (j === i ? value : signal));
  const zeroed = (from: number, to: number) => words.map((word, j) => (j >= from && j < to ? 0n : word));

  it("accepts valid proofs, and so does the TypeScript verifier", async () => {
    expect(verifyGroth16(key.vkey, signals, simulateProof(key, signals, "attacked"))).toBe(true);
    expect(await check(words)).toBe("ok");
    const sent = await chain.accounts[0]!.sendTransaction({ to: address, data: data() });
    expect((await sent.wait())?.status).toBe(1);
  });

  it("says which key, circuit and ceremony it is for", async () => {
    expect(await contract.getFunction("KEY_DIGEST")()).toBe(keyDigest(key.vkey));
    expect(await contract.getFunction("CIRCUIT_DIGEST")()).toBe(CIRCUIT_DIGEST);
    expect(await contract.getFunction("CEREMONY")()).toBe(`0x${"00".repeat(32)}`);
    expect(await contract.getFunction("N_PUBLIC")()).toBe(BigInt(n));
    expect(await contract.getFunction("DEVELOPMENT")()).toBe(true);
    expect(artefact.deployedSize).toBeLessThan(24_576);
  });

  if (n > 0)
    it("public signals changed by one", async () => {
      for (const i of places) {
        for (const change of [1n, -1n])
          expect(await check(words, withSignal(i, mod(signals[i]! + change)))).toBe("ProofInvalid");
      }
    });

  if (n > 0)
    it("x + r, and 2^256 - 1: aliases of public signals", async () => {
      for (const i of places) {
        const aliases = [MAX, R, signals[i]! + R];
        if (i === 0) for (let k = 2n; signals[i]! + k * R <= MAX; k++) aliases.push(signals[i]! + k * R);
        for (const alias of aliases) expect(await check(words, withSignal(i, alias))).toBe("PublicSignalNotInField");
      }
    });

  it("non-canonical coordinates: x + q for each of the 8 words", async () => {
    for (let i = 0; i < 8; i++) {
      expect(words[i]! + Q).toBeLessThanOrEqual(MAX);
      for (let k = 1n; words[i]! + k * Q <= MAX && (prefix === "V" || k === 1n); k++) {
        expect(await check(withWord(i, words[i]! + k * Q))).toBe("PrecompileFailed");
      }
      expect(await check(withWord(i, MAX))).toBe("PrecompileFailed");
    }
  });

  it("points off the curve", async () => {
    for (let i = 0; i < 8; i++) expect(await check(withWord(i, (words[i]! + 1n) % Q))).toBe("PrecompileFailed");
  });

  it("a B outside the subgroup", async () => {
    expect(await check([...words.slice(0, 2), x[1], x[0], y[1], y[0], ...words.slice(6)])).toBe("PrecompileFailed");
  });

  it("points at infinity, and the all-zero proof", async () => {
    for (const [from, to] of [
      [0, 2],
      [2, 6],
      [6, 8],
      [0, 8],
    ] as const) {
      expect(await check(zeroed(from, to))).toBe("PointAtInfinity");
    }
    // q stands for zero as well, but not to the precompiles.
    for (const i of [1, 7]) {
      const alias = zeroed(i - 1, i + 1).map((word, j) => (j === i ? Q : word));
      expect(await check(alias)).toBe("PrecompileFailed");
    }
  });

  it("negated points", async () => {
    for (const ys of [[1], [4, 5], [7]]) {
      expect(await check(words.map((word, j) => (ys.includes(j) ? Q - word : word)))).toBe("ProofInvalid");
    }
  });

  it("truncated and extended calldata", async () => {
    const whole = data();
    for (const bytes of [1, 31, 32, 64, 256]) {
      expect(await outcome(chain.provider, address, whole.slice(0, -2 * bytes), artefact.abi)).toBe("revert");
    }
    for (const bytes of [1, 32, 64]) {
      expect(await outcome(chain.provider, address, whole + "00".repeat(bytes), artefact.abi)).toBe(
        "CalldataSizeWrong",
      );
    }
    for (const rest of ["0x", whole.slice(0, 10)]) {
      expect(await outcome(chain.provider, address, rest, artefact.abi)).toBe("revert");
    }
  });

  it("low gas: never true when gas runs out, whatever the proof", async () => {
    const needed = Number(await chain.provider.estimateGas({ to: address, data: data() }));
    const junk = data([...words.slice(0, 6), ...g1(5n)]);
    const steps = prefix === "V" ? 24 : 12;
    const short = Array.from({ length: steps }, (_, step) => Math.floor(22_000 + ((needed - 22_000) * step) / steps));
    for (const gas of [...short, needed - 2000, needed - 400, needed - 100]) {
      const starved = await outcome(chain.provider, address, data(), artefact.abi, { gas });
      expect(starved).toMatch(/^(intrinsic gas too (high|low)|EVM error OutOfGas$|PrecompileFailed$)/);
      const forged = await outcome(chain.provider, address, junk, artefact.abi, { gas: gas + 20_000 });
      expect(forged).toMatch(/^(intrinsic gas too (high|low)|EVM error OutOfGas$|PrecompileFailed$|ProofInvalid$)/);
    }
    expect(await outcome(chain.provider, address, data(), artefact.abi, { gas: needed })).toBe("ok");
  });

  it("snarkjs' hole 4, absent precompile: where one is missing nothing is accepted", async () => {
    // Precompiles cannot be taken away from anvil: each is looked for, in the deployed code, where there is nothing.
    const code = await chain.provider.getCode(address);
    const junk = [1n, 1n, 1n, 1n, 1n, 1n, 1n, 1n]; // odd everywhere: what snarkjs' template accepted
    const calls = prefix === "V" ? { 6: n, 7: n, 8: 1 } : { 6: 1 + n, 7: 4 + n, 8: 1 };
    for (const [precompile, count] of Object.entries(calls)) {
      if (count === 0) continue;
      // PUSH1 precompile, GAS, STATICCALL
      const parts = code.split(`600${precompile}5afa`);
      expect(parts).toHaveLength(count + 1);
      const moved = `0x00000000000000000000000000000000000c0de${precompile}`;
      await chain.provider.send("anvil_setCode", [moved, parts.join("60ee5afa")]);
      for (const proof of [words, junk, words.map((word) => word | 1n)]) {
        expect(await outcome(chain.provider, moved, data(proof), artefact.abi)).toBe("PrecompileFailed");
      }
      await chain.provider.send("anvil_setCode", [moved, code]); // and that it was the precompile
      expect(await outcome(chain.provider, moved, data(), artefact.abi)).toBe("ok");
    }
  });

  it("re-randomised proof replay: accepted here, so a proof is no nullifier", async () => {
    const other = proofWords(rerandomise(simulateProof(key, signals, "attacked")));
    expect(other).not.toEqual(words);
    expect(await check(other)).toBe("ok");
  });

  it("second deployment: takes the same proof, so what binds one to a contract is its context", async () => {
    const second = await (await deploy(chain.accounts[1]!, artefact)).getAddress();
    expect(second).not.toBe(address);
    expect(await outcome(chain.provider, second, data(), artefact.abi)).toBe("ok");
  });

  it("other caller, other contract: the answer is about the proof, so whom it is for is its context's business", async () => {
    for (const from of [chain.accounts[1]!.address.toLowerCase(), address.toLowerCase()] as Hex[]) {
      expect(await outcome(chain.provider, address, data(), artefact.abi, { from })).toBe("ok");
      const bad = data(words.map((word, i) => (i < 2 ? words[6 + i]! : word))); // A is C
      expect(await outcome(chain.provider, address, bad, artefact.abi, { from })).toBe("ProofInvalid");
    }
  });

  it("other chain: a development verifier refuses valid proofs there, also as copied code", async () => {
    const there = await (await deploy(elsewhere.accounts[0]!, artefact)).getAddress();
    expect(await outcome(elsewhere.provider, there, data(), artefact.abi)).toBe("DevelopmentKeyLocked");
    const copy = "0x00000000000000000000000000000000000c0de9";
    await elsewhere.provider.send("anvil_setCode", [copy, await chain.provider.getCode(address)]);
    expect(await outcome(elsewhere.provider, copy, data(), artefact.abi)).toBe("DevelopmentKeyLocked");
  });

  it("the forgery of unfinished setups fails against a sound key", async () => {
    expect(await check(forge(key, signals))).toBe("ProofInvalid");
  });
});

/** What a key without a phase-2 contribution (gamma = delta) lets anyone prove, of any signals: Veil Cash, FoomCash. */
function forge(key: SimulatedKey, signals: readonly bigint[]): bigint[] {
  const c = g1(mod(-inputScalar(key.trapdoor, signals)));
  return proofWords({ a: key.vkey.alpha, b: key.vkey.beta, c });
}

describe.each([false, true])("Veil Cash and FoomCash, a key without a phase-2 contribution (batch: %s)", (batch) => {
  let artefacts: ContractArtefacts;
  const unfinished = (n: number) => simulateKey(n, "unfinished", { gamma: 1n, delta: 1n });
  const options = (n: number) => ({
    vkey: unfinished(n).vkey,
    contractName: `Unfinished${n}`,
    circuitDigest: CIRCUIT_DIGEST,
    development: true,
    batch,
  });

  beforeAll(async () => {
    artefacts = await compileContracts(
      Object.fromEntries(SIZES.map((n) => [`Unfinished${n}.sol`, renderVerifier(options(n))])),
    );
  });

  it.each(SIZES)("%i public signals: refused by the generator, and forgeable were it not", async (n) => {
    expect(() => generateVerifier(options(n))).toThrow(expect.objectContaining({ code: "KEY_FORGEABLE" }));
    const artefact = artefacts[`Unfinished${n}`]!;
    const contract = await deploy(chain.accounts[0]!, artefact);
    const key = unfinished(n);
    const signals = Array.from({ length: n }, (_, i) => 12345n + BigInt(i));
    const calldata = encode(contract, PLACES[batch ? 2 : 0], key, { words: forge(key, signals), signals });
    expect(await outcome(chain.provider, await contract.getAddress(), calldata, artefact.abi)).toBe("ok");
  });
});

describe("snarkjs #392, an inherited verifier swallowing its caller", () => {
  let artefacts: ContractArtefacts;

  beforeAll(async () => {
    const sources: Record<string, string> = verifierSources(SIZES);
    for (const n of SIZES) {
      const [signals, given] = n === 0 ? ["", ""] : [`, uint256[${n}] calldata signals`, ", signals"];
      sources[`HeirV${n}.sol`] = heir(`V${n}`, `uint256[8] calldata proof${signals}`, `verifyProof(proof${given})`);
      const batch = "uint256[8][] calldata proofs, uint256[] calldata signals";
      sources[`HeirB${n}.sol`] = heir(`B${n}`, batch, "verifyBatch(proofs, signals)");
    }
    artefacts = await compileContracts(sources);
  });

  const heir = (base: string, parameters: string, call: string) => `// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;
import {${base}} from "./${base}.sol";
contract Heir${base} is ${base} {
    uint256 public minted;
    function mint(${parameters}) external {
        this.${call};
        minted += 1;
    }
}`;

  it.each(SIZES.flatMap((n) => [PLACES[0], PLACES[2]].map((place) => ({ n, place }))))(
    "$n public signals, $place.title: the caller's own code goes on, and garbage stops it",
    async ({ n, place }) => {
      const name = `${place.prefix}${n}`;
      const contract = await deploy(chain.accounts[0]!, artefacts[`Heir${name}`]!);
      const good = item(simulateKey(n), "attacked");
      const calldata = (each: Item) => {
        const args = contract.interface.decodeFunctionData(
          contract.interface.getFunction(place.prefix === "V" ? "verifyProof" : "verifyBatch")!,
          encode(contract, place, simulateKey(n), each),
        );
        return contract.interface.encodeFunctionData("mint", args);
      };
      const to = await contract.getAddress();
      await (await chain.accounts[0]!.sendTransaction({ to, data: calldata(good) })).wait();
      expect(await contract.getFunction("minted")()).toBe(1n);
      const garbage = calldata({ ...good, words: [...good.words.slice(0, 6), ...g1(5n)] });
      expect(await outcome(chain.provider, to, garbage, artefacts[`Heir${name}`]!.abi)).toBe("ProofInvalid");
    },
  );
});

describe("the text of generated verifiers", () => {
  it.each([false, true])(
    "no gas of a precompile, no assembly return, every answer's size looked at (batch: %s)",
    (b) => {
      for (const n of SIZES) {
        const { vkey } = simulateKey(n);
        const source = renderVerifier({ vkey, circuitDigest: CIRCUIT_DIGEST, development: false, batch: b });
        expect(source).not.toMatch(/GPL/i);
        const code = source.replace(/\/\/.*$/gm, "");
        expect(code).not.toMatch(/\breturn\s*\(|\brequire\(|\bcall\(|delegatecall|\bassert\(/);
        const calls = code.match(/\bstaticcall\([^,]*,/g)!;
        expect(calls).toHaveLength(b ? 6 + 2 * n : 1 + 2 * n);
        for (const call of calls) expect(call).toBe("staticcall(gas(),");
        expect(code.match(/and\(eq\(returndatasize\(\), 0x[24]0\), staticcall\(/g)).toHaveLength(calls.length);
        expect(code.match(/\bpragma solidity 0\.8\.37;/g)).toHaveLength(1);
      }
    },
  );
});

describe("gas of production verifiers, whole transactions", () => {
  let artefacts: ContractArtefacts;
  const keys = [1, 4] as const;
  beforeAll(async () => {
    artefacts = await compileVerifiers(keys, false);
  });

  const gasOf = async (place: Place, key: SimulatedKey, items: readonly Item[]) => {
    const contract = await deploy(chain.accounts[0]!, artefacts[`${place.prefix}${key.vkey.nPublic}`]!);
    const [one] = items as [Item];
    const args =
      place.prefix === "V" ? [one.words, one.signals] : [items.map((i) => i.words), items.flatMap((i) => i.signals)];
    const sent = await contract.getFunction(place.prefix === "V" ? "verifyProof" : "verifyBatch").send(...args);
    const { data } = (await chain.provider.getTransaction(sent.hash))!;
    // A zero byte of calldata costs 12 less than another one: of coordinates, as if there were none.
    const bytes = Buffer.from(data.slice(2), "hex").subarray(place.prefix === "V" ? 4 : 4 + 0x60);
    return Number((await sent.wait())!.gasUsed) + 12 * bytes.filter((byte) => byte === 0).length;
  };

  // The hard floor is 181,100 + 6,350 a signal, plus 21,000 and calldata.
  it.each([
    [1, 214_000],
    [4, 235_000],
  ] as const)("one proof with %i public signals costs at most %i", async (n, limit) => {
    const key = simulateKey(n);
    expect(await gasOf(PLACES[0], key, [item(key, "gas")])).toBeLessThanOrEqual(limit);
  });

  it("16 proofs with 1 public signal cost at most 63,000 each", async () => {
    const key = simulateKey(1);
    const items = Array.from({ length: 16 }, (_, i) => item(key, `gas${i}`));
    expect(await gasOf(PLACES[1], key, items)).toBeLessThanOrEqual(16 * 63_000);
  });

  it("a production verifier answers on every chain", async () => {
    const key = simulateKey(1);
    for (const place of PLACES) {
      const artefact = artefacts[`${place.prefix}1`]!;
      const contract = await deploy(elsewhere.accounts[0]!, artefact);
      const data = encode(contract, place, key, item(key, "attacked"));
      expect(await outcome(elsewhere.provider, await contract.getAddress(), data, artefact.abi)).toBe("ok");
    }
  });
});

it("simulated keys pass the lint", () => {
  for (const n of SIZES) {
    for (const batch of [false, true]) {
      const options = { vkey: simulateKey(n).vkey, circuitDigest: CIRCUIT_DIGEST, development: true, batch };
      expect(generateVerifier(options)).toBe(renderVerifier(options));
    }
  }
});
