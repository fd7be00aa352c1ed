import type { Contract } from "ethers";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { UniversalClient } from "../../src/chain/client/index.js";
import { artefact, type ContractArtefact, compileContracts, protocolSources } from "../../src/chain/compile.js";
import { encodeUniversalKey, type UniversalKey } from "../../src/chain/universal.js";
import type { Hex } from "../../src/field/bytes.js";
import { Q, R } from "../../src/field/scalar.js";
import {
  type G2Affine,
  keyDigest,
  keyFromWords,
  keyWords,
  type Proof,
  proofWords,
  type VerifyingKey,
  verifyGroth16,
} from "../../src/verifier/groth16.js";
import {
  type Chain,
  CIRCUIT_DIGEST,
  compileVerifiers,
  deploy,
  digestOf,
  expectRevert,
  outcome,
  useChain,
} from "./fixture.js";
import {
  closeProof,
  g1,
  inputScalar,
  mod,
  proofOf,
  rerandomise,
  type SimulatedKey,
  scalar,
  simulateKey,
  simulateProof,
  wrongSubgroupG2,
} from "./simulated.js";
import { createWorld, MODEL_DIGEST } from "./world.js";

const SIZES = [0, 1, 2, 8, 32] as const;
const MAX = 2n ** 256n - 1n;
const DEVELOPMENT: Hex = `0x${"00".repeat(32)}`;
const CEREMONY = digestOf("ceremony");

const chain = useChain();
let universal: Universal;

/** One deployed universal verifier. */
interface Universal {
  contract: Contract;
  address: Hex;
  artefacts: Record<string, ContractArtefact>;
  client: UniversalClient;
}

const SOURCES = ["UniversalVerifier.sol", "IUniversalVerifier.sol"].map((name) => `verifier/${name}`);

/** Without the other contracts, which it needs nothing of. */
async function compileUniversal(change: (source: string) => string = (source) => source) {
  const all = await protocolSources();
  return compileContracts(Object.fromEntries(SOURCES.map((path) => [path, change(all[path]!)])));
}

async function deployUniversal(on: Chain, artefacts?: Record<string, ContractArtefact>): Promise<Universal> {
  const own = artefacts ?? (await compileUniversal());
  const contract = await deploy(on.accounts[0]!, artefact(own, "UniversalVerifier"));
  const address = (await contract.getAddress()).toLowerCase() as Hex;
  const client = new UniversalClient({ address, runner: on.accounts[0]!, artefacts: own });
  return { contract, address, artefacts: own, client };
}

function developmentKey({ vkey }: SimulatedKey): UniversalKey {
  return encodeUniversalKey({ vkey, circuitDigest: CIRCUIT_DIGEST, development: true });
}

function signalsOf(n: number): bigint[] {
  return Array.from({ length: n }, (_, i) => scalar(`signal/${i}`));
}

/** What `store` makes of these words: the error's name, or "ok". */
async function storing(words: readonly bigint[], ceremony = DEVELOPMENT, { contract }: Universal = universal) {
  try {
    await contract.getFunction("store").staticCall(words, ceremony);
    return "ok";
  } catch (error) {
    const { revert } = error as { revert: { name: string; args: Iterable<unknown> } | null };
    return revert ? `${revert.name}(${[...revert.args].join(",")})` : "revert";
  }
}

beforeAll(async () => {
  universal = await deployUniversal(chain);
});

describe.each(SIZES)("universal verifier with a key of %i public signals", (n) => {
  const key = simulateKey(n);
  const signals = signalsOf(n);
  const words = proofWords(simulateProof(key, signals));
  const digest = keyDigest(key.vkey);
  let abi: ContractArtefact["abi"];
  let generated: Contract;

  beforeAll(async () => {
    await universal.client.store(developmentKey(key));
    abi = artefact(universal.artefacts, "UniversalVerifier").abi;
    generated = await deploy(chain.accounts[0]!, (await compileVerifiers(SIZES))[`V${n}`]!);
  });

  const encode = (proof: readonly bigint[], inputs: readonly bigint[], key = digest, ceremony = DEVELOPMENT) =>
    universal.contract.interface.encodeFunctionData("verify", [key, ceremony, proof, inputs]);
  const call = (data: string, options?: { gas?: number }) =>
    outcome(chain.provider, universal.address, data, abi, options);
  const check = (proof: readonly bigint[], inputs: readonly bigint[] = signals) => call(encode(proof, inputs));
  const withWord = (i: number, value: bigint) => words.map((word, j) => (j === i ? value : word));

  it("accepts a valid proof, in a transaction too", async () => {
    expect(await check(words)).toBe("ok");
    const sent = await chain.accounts[0]!.sendTransaction({ to: universal.address, data: encode(words, signals) });
    expect((await sent.wait())?.status).toBe(1);
  });

  it("gives the key back, and its digest is computed alike everywhere", async () => {
    const { client, contract } = universal;
    expect(await client.keyOf(digest)).toEqual(key.vkey);
    expect([...(await contract.getFunction("keyOf")(digest, DEVELOPMENT))]).toEqual(keyWords(key.vkey));
    expect(await contract.getFunction("store").staticCall(keyWords(key.vkey), DEVELOPMENT)).toBe(digest);
    const code = await chain.provider.getCode((await client.blobOf(digest))!);
    expect(code.slice(0, 4)).toBe("0x00"); // STOP: a call to it does nothing
    expect(code.length).toBe(2 + 2 * (1 + 32 * (18 + 2 * n)));
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
        const inputs = signals.map((signal, j) => (j === i ? alias : signal));
        expect(await check(words, inputs)).toBe("PublicSignalNotInField");
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

  it("rejects truncated and extended calldata, and another number of signals", async () => {
    const data = encode(words, signals);
    for (const bytes of [1, 31, 32, 64, 256]) {
      expect(await call(data.slice(0, -2 * bytes))).toBe("revert");
    }
    for (const bytes of [1, 32, 64]) expect(await call(data + "00".repeat(bytes))).toBe("CalldataSizeWrong");
    expect(await check(words, [...signals, 0n])).toBe("SignalCountWrong");
    if (n > 0) expect(await check(words, signals.slice(1))).toBe("SignalCountWrong");
    if (n > 0) expect(await check(words, [])).toBe("SignalCountWrong");
    expect(await call("0x")).toBe("revert");
  });

  it("rejects signals that stand anywhere but at the end of the calldata", async () => {
    // Each word of the calldata, as the place of the number of signals: the size stays what it was.
    const data = encode(words, signals);
    const wordOf = (value: bigint) => value.toString(16).padStart(64, "0");
    const head = (at: number) => 10 + 64 * at;
    const withWordOf = (text: string, at: number, value: bigint) =>
      text.slice(0, head(at)) + wordOf(value) + text.slice(head(at + 1));
    for (let place = 0; place < 11; place++) {
      const moved = withWordOf(data, 10, 32n * BigInt(place));
      expect(await call(moved)).not.toBe("ok");
    }
    if (n !== 2) return;
    // A = (1, 2): its y is the number of signals, the words behind it are the signals, and the last three words nothing.
    const b = scalar("b");
    const [[c0, c1]] = proofOf({ a: 1n, b, c: 1n }).b;
    const own = proofWords(proofOf(closeProof(key, [c1, c0], 1n, b)));
    const honest = encode(own, [c1, c0]);
    expect(await call(honest)).toBe("ok");
    let overlapping = withWordOf(honest, 10, 32n * 3n);
    for (let at = 11; at < 14; at++) overlapping = withWordOf(overlapping, at, scalar(`anything/${at}`));
    expect(await call(overlapping)).toBe("CalldataLayoutWrong");
  });

  it("never succeeds when gas runs out, whatever the proof", async () => {
    const needed = Number(await chain.provider.estimateGas({ to: universal.address, data: encode(words, signals) }));
    const forged = encode([...words.slice(0, 6), ...g1(5n)], signals);
    for (let step = 1; step <= 24; step++) {
      const gas = Math.floor(22_000 + ((needed - 24_000) * step) / 24);
      const short = await call(encode(words, signals), { gas: gas - 1000 });
      expect(short).toMatch(/^(intrinsic gas too high|EVM error OutOfGas$|PrecompileFailed$)/);
      const junk = await call(forged, { gas: gas + 20_000 });
      expect(junk).toMatch(/^(intrinsic gas too high|EVM error OutOfGas$|PrecompileFailed$|ProofInvalid$)/);
    }
  });

  it("accepts a re-randomised proof: proofs are no nullifiers", async () => {
    const other = proofWords(rerandomise(simulateProof(key, signals)));
    expect(other).not.toEqual(words);
    expect(await check(other)).toBe("ok");
  });

  it("takes no other key's proof, and knows no key that was not stored", async () => {
    const other = simulateKey(n, "other");
    await universal.client.store(developmentKey(other));
    const data = (of: SimulatedKey, ceremony?: Hex) => encode(words, signals, keyDigest(of.vkey), ceremony);
    expect(await call(data(other))).toBe("ProofInvalid");
    expect(await call(data(simulateKey(n, "unstored")))).toBe("KeyNotStored");
    // A key is named by its ceremony too: a development key does not become another by being called one.
    expect(await call(data(key, CEREMONY))).toBe("KeyNotStored");
  });

  it("agrees with the generated contract and with TypeScript on random statements and mutations", async () => {
    const scalars = fc.bigInt({ min: 0n, max: R - 1n });
    const target = await generated.getAddress();
    await fc.assert(
      fc.asyncProperty(
        fc.array(scalars, { minLength: n, maxLength: n }),
        fc.nat(1000),
        fc.constantFrom("none", "a", "b", "c", "signal", "alias", "coordinate", "infinity"),
        async (inputs, seed, mutation) => {
          const proof: Proof = simulateProof(key, inputs, `p${seed}`);
          const other = simulateProof(key, inputs, `q${seed}`);
          const mutated =
            mutation === "a" || mutation === "b" || mutation === "c"
              ? { ...proof, [mutation]: other[mutation] }
              : proof;
          const shown = inputs.map((signal) => (mutation === "signal" ? mod(signal + 1n) : signal));
          const given = shown.map((signal) => (mutation === "alias" ? signal + R : signal));
          const coordinates = proofWords(mutated);
          if (mutation === "coordinate") coordinates[seed % 8]! += Q;
          if (mutation === "infinity") coordinates.fill(0n, 0, 2);
          const found = await check(coordinates, given);
          const data = generated.interface.encodeFunctionData(
            "verifyProof",
            n === 0 ? [coordinates] : [coordinates, given],
          );
          const { abi } = (await compileVerifiers(SIZES))[`V${n}`]!;
          expect(found).toBe(await outcome(chain.provider, target, data, abi));
          if (!["alias", "coordinate", "infinity"].includes(mutation)) {
            expect(found).toBe(verifyGroth16(key.vkey, shown, mutated) ? "ok" : "ProofInvalid");
          } else if (mutation !== "alias" || n > 0) {
            expect(found).not.toBe("ok");
          }
        },
      ),
      { numRuns: 12 },
    );
  });
});

describe("storing a key", () => {
  const n = 2;
  const key = simulateKey(n, "stored");
  const words = keyWords(key.vkey);
  const [ALPHA, BETA, GAMMA, DELTA, IC] = [1, 3, 7, 11, 15];
  const withWords = (changes: Record<number, bigint>) => words.map((word, i) => changes[i] ?? word);
  const withKey = (changes: Partial<VerifyingKey>) => keyWords({ ...key.vkey, ...changes });
  const g2At = (at: number, [x, y]: G2Affine) =>
    withWords({ [at]: x[1], [at + 1]: x[0], [at + 2]: y[1], [at + 3]: y[0] });
  const negated = ([x, [c0, c1]]: G2Affine): G2Affine => [x, [Q - c0, Q - c1]];

  it("is once and for good, by anyone, beside any ceremony, and says so", async () => {
    const { contract, client } = universal;
    expect(await client.blobOf(keyDigest(key.vkey), CEREMONY)).toBeUndefined();
    await expectRevert(client.keyOf(keyDigest(key.vkey), CEREMONY), "KeyNotStored");
    const anyone = contract.connect(chain.accounts[7]!) as Contract;
    const receipt = (await (await anyone.getFunction("store").send(words, CEREMONY)).wait())!;
    const event = receipt.logs.map((log) => contract.interface.parseLog(log)!)[0]!;
    const blob = (await client.blobOf(keyDigest(key.vkey), CEREMONY))!;
    expect(event.name).toBe("KeyStored");
    expect(event.args.toObject()).toMatchObject({ keyDigest: keyDigest(key.vkey), ceremony: CEREMONY, signals: 2n });
    expect((event.args.toObject()["blob"] as string).toLowerCase()).toBe(blob);
    const again = (await (await contract.getFunction("store").send(words, CEREMONY)).wait())!;
    expect(again.logs).toHaveLength(0);
    expect(await client.blobOf(keyDigest(key.vkey), CEREMONY)).toBe(blob);
    // The same key with another ceremony is another entry.
    expect(await client.blobOf(keyDigest(key.vkey), DEVELOPMENT)).toBeUndefined();
    await client.store({ keyDigest: keyDigest(key.vkey), words, ceremony: DEVELOPMENT });
    expect(await client.blobOf(keyDigest(key.vkey), DEVELOPMENT)).not.toBe(blob);
    await client.verify(keyDigest(key.vkey), signalsOf(n), simulateProof(key, signalsOf(n)), CEREMONY);
    const failing = client.verify(keyDigest(key.vkey), [1n, 2n], simulateProof(key, signalsOf(n)), CEREMONY);
    await expectRevert(failing, "ProofInvalid");
  });

  it("shows nothing of what is pending at any other time", async () => {
    expect(await universal.contract.getFunction("pendingBlob")()).toBe("0x");
  });

  it("refuses a wrong number of words", async () => {
    expect(await storing([])).toBe("KeyWordsWrong(17,0)");
    expect(await storing([0n])).toBe("KeyWordsWrong(17,1)");
    expect(await storing(words.slice(0, -1))).toBe("KeyWordsWrong(21,20)");
    expect(await storing([...words, 0n])).toBe("KeyWordsWrong(21,22)");
    expect(await storing(withWords({ 0: 3n }))).toBe("KeyWordsWrong(23,21)");
    expect(await storing(withWords({ 0: 129n }))).toBe("KeySignalsTooMany(128,129)");
    expect(await storing(withWords({ 0: MAX }))).toBe(`KeySignalsTooMany(128,${MAX})`);
    expect(await storing(words)).toBe("ok");
  });

  it("takes keys of up to 128 signals", async () => {
    const many = simulateKey(128, "many");
    await universal.client.store(developmentKey(many));
    const signals = signalsOf(128);
    await universal.client.verify(keyDigest(many.vkey), signals, simulateProof(many, signals));
    const wrong = signals.map((signal, i) => (i === 127 ? mod(signal + 1n) : signal));
    const failing = universal.client.verify(keyDigest(many.vkey), wrong, simulateProof(many, signals));
    await expectRevert(failing, "ProofInvalid");
    expect(await storing(keyWords(simulateKey(129, "many").vkey))).toBe("KeySignalsTooMany(128,129)");
  });

  it("refuses every coordinate's other spelling, which would give one key two digests", async () => {
    for (let i = 1; i < words.length; i++) {
      expect(await storing(withWords({ [i]: words[i]! + Q }))).toBe(`KeyCoordinateNotCanonical(${i})`);
      expect(await storing(withWords({ [i]: Q }))).toBe(`KeyCoordinateNotCanonical(${i})`);
    }
  });

  it("refuses points off their curve, outside the subgroup and at infinity", async () => {
    for (const at of [ALPHA, IC, IC + 2, IC + 4]) {
      expect(await storing(withWords({ [at + 1]: words[at + 1]! - 1n }))).toBe(`KeyPointNotOnCurve(${at})`);
      expect(await storing(withWords({ [at]: 0n, [at + 1]: 0n }))).toBe(`KeyPointAtInfinity(${at})`);
    }
    for (const at of [BETA, GAMMA, DELTA]) {
      expect(await storing(withWords({ [at + 2]: words[at + 2]! - 1n }))).toBe("KeyPointNotInSubgroup()");
      expect(await storing(g2At(at, wrongSubgroupG2()))).toBe("KeyPointNotInSubgroup()");
      const infinity: G2Affine = [
        [0n, 0n],
        [0n, 0n],
      ];
      expect(await storing(g2At(at, infinity))).toBe(`KeyPointAtInfinity(${at})`);
    }
  });

  it("Veil Cash and FoomCash: refuses gamma equal to delta, as a setup without a contribution leaves it", async () => {
    const unfinished = simulateKey(n, "unfinished", { gamma: 1n, delta: 1n });
    expect(await storing(keyWords(unfinished.vkey))).toBe(`KeyPointsAlike(${GAMMA},${DELTA})`);
    const options = { vkey: unfinished.vkey, circuitDigest: CIRCUIT_DIGEST, development: true };
    expect(() => encodeUniversalKey(options)).toThrow(expect.objectContaining({ code: "KEY_FORGEABLE" }));
    // What the refusal prevents: with the check taken out, anyone proves anything.
    const artefacts = await compileUniversal((source) => source.replace("        _checkUnlike(keyWords);\n", ""));
    const open = await deployUniversal(chain, artefacts);
    await open.client.store({ keyDigest: "0x", words: keyWords(unfinished.vkey), ceremony: DEVELOPMENT });
    const signals = [12345n, 67890n];
    const c = g1(mod(-inputScalar(unfinished.trapdoor, signals)));
    const forged: Proof = { a: unfinished.vkey.alpha, b: unfinished.vkey.beta, c };
    await open.client.verify(keyDigest(unfinished.vkey), signals, forged);
  });

  it("refuses what the lint refuses: points alike, or generators, up to sign", async () => {
    const { beta, gamma, ic } = key.vkey;
    const { trapdoor } = key;
    const generator = simulateKey(0, "generator", { beta: 1n }).vkey.beta;
    for (const sign of [(p: G2Affine) => p, negated]) {
      expect(await storing(g2At(DELTA, sign(gamma)))).toBe(`KeyPointsAlike(${GAMMA},${DELTA})`);
      expect(await storing(g2At(DELTA, sign(beta)))).toBe(`KeyPointsAlike(${BETA},${DELTA})`);
      expect(await storing(g2At(GAMMA, sign(beta)))).toBe(`KeyPointsAlike(${BETA},${GAMMA})`);
      expect(await storing(g2At(DELTA, sign(generator)))).toBe(`KeyPointIsGenerator(${DELTA})`);
      expect(await storing(g2At(BETA, sign(generator)))).toBe(`KeyPointIsGenerator(${BETA})`);
    }
    for (const sign of [1n, -1n]) {
      expect(await storing(withKey({ alpha: g1(mod(sign)) }))).toBe(`KeyPointIsGenerator(${ALPHA})`);
      for (let i = 0; i < 3; i++) {
        const icWith = (point: bigint) =>
          withKey({ ic: ic.map((other, j) => (j === i ? g1(mod(sign * point)) : other)) });
        expect(await storing(icWith(1n))).toBe(`KeyPointIsGenerator(${IC + 2 * i})`);
        expect(await storing(icWith(trapdoor.alpha))).toBe(`KeyPointsAlike(${ALPHA},${IC + 2 * i})`);
        const j = (i + 1) % 3;
        const pair = [IC + 2 * Math.min(i, j), IC + 2 * Math.max(i, j)];
        expect(await storing(icWith(trapdoor.ic[j]!))).toBe(`KeyPointsAlike(${pair.join(",")})`);
      }
    }
    // gamma is the generator in every key that snarkjs makes.
    expect(await storing(g2At(GAMMA, generator))).toBe("ok");
  });

  it("an absent precompile stores nothing and verifies nothing", async () => {
    // Precompiles cannot be taken away from anvil, so each twin is made to look for one where there is nothing: everywhere,
    // or in `verify` alone, so that a key can be stored.
    const calls = (precompile: string) => `staticcall(gas(), ${precompile},`;
    const nowhere = "staticcall(gas(), 0x00000000000000000000000000000000deadbeef,";
    const inVerify = (source: string, precompile: string) => {
      const [head, tail] = source.split("    function keyOf(") as [string, string];
      return `${head.replaceAll(calls(precompile), nowhere)}    function keyOf(${tail}`;
    };
    const twins = {
      NoAddition: (source: string) => source.replaceAll(calls("0x06"), nowhere),
      NoPairing: (source: string) => source.replaceAll(calls("0x08"), nowhere),
      VerifyNoAddition: (source: string) => inVerify(source, "0x06"),
      VerifyNoMultiplication: (source: string) => inVerify(source, "0x07"),
      VerifyNoPairing: (source: string) => inVerify(source, "0x08"),
    };
    const all = await protocolSources();
    const sources: Record<string, string> = { [SOURCES[1]!]: all[SOURCES[1]!]! };
    for (const [name, change] of Object.entries(twins)) {
      const changed = change(all[SOURCES[0]!]!);
      expect(changed).not.toBe(all[SOURCES[0]!]);
      sources[`verifier/${name}.sol`] = changed.replaceAll(
        /\bUniversalVerifier\b|\bKeyBlob\b/g,
        (word) => `${name}${word}`,
      );
    }
    const artefacts = await compileContracts(sources);
    const twin = (name: keyof typeof twins) =>
      deployUniversal(chain, { ...artefacts, UniversalVerifier: artefact(artefacts, `${name}UniversalVerifier`) });
    expect(await storing(words, DEVELOPMENT, await twin("NoAddition"))).toBe(`KeyPointNotOnCurve(${ALPHA})`);
    expect(await storing(words, DEVELOPMENT, await twin("NoPairing"))).toBe("KeyPointNotInSubgroup()");
    for (const name of ["VerifyNoAddition", "VerifyNoMultiplication", "VerifyNoPairing"] as const) {
      const blind = await twin(name);
      await blind.client.store(developmentKey(key));
      const valid = proofWords(simulateProof(key, signalsOf(n)));
      for (const proof of [valid, new Array<bigint>(8).fill(1n), valid.map((word) => word | 1n)]) {
        const given = [keyDigest(key.vkey), DEVELOPMENT, proof, signalsOf(n)];
        const data = blind.contract.interface.encodeFunctionData("verify", given);
        const { abi } = artefact(blind.artefacts, "UniversalVerifier");
        expect(await outcome(chain.provider, blind.address, data, abi)).toBe("PrecompileFailed");
      }
    }
  });

  it("no precompile's gas is written down, and the size of each answer is looked at", async () => {
    const source = (await protocolSources())["verifier/UniversalVerifier.sol"]!.replace(/\/\/.*$/gm, "");
    const calls = source.match(/staticcall\([^,]*,/g)!;
    expect(calls).toHaveLength(5);
    for (const call of calls) expect(call).toBe("staticcall(gas(),");
    expect(source.match(/and\(eq\(returndatasize\(\), 0x[24]0\), staticcall/g)).toHaveLength(5);
  });
});

describe("encoding a key", () => {
  const { vkey } = simulateKey(3, "encoded");
  const options = { vkey, circuitDigest: CIRCUIT_DIGEST, development: true };

  it("gives words that are the key again", () => {
    const key = encodeUniversalKey(options);
    expect(key).toEqual({ keyDigest: keyDigest(vkey), ceremony: DEVELOPMENT, words: keyWords(vkey) });
    expect(keyFromWords(key.words)).toEqual(vkey);
    for (const words of [
      [],
      key.words.slice(1),
      [...key.words, 1n],
      key.words.map((word, i) => (i === 4 ? word + Q : word)),
    ]) {
      expect(() => keyFromWords(words)).toThrow(expect.objectContaining({ code: "KEY_MALFORMED" }));
    }
  });

  it("takes production keys with their verified ceremony alone", () => {
    const made = { id: CEREMONY, keyDigest: keyDigest(vkey), circuitDigest: CIRCUIT_DIGEST, development: false };
    for (const ceremony of [undefined, made as never]) {
      expect(() => encodeUniversalKey({ ...options, development: false, ceremony })).toThrow(
        expect.objectContaining({ code: "KEY_DEVELOPMENT" }),
      );
    }
    expect(() => encodeUniversalKey({ ...options, ceremony: made as never })).toThrow(
      expect.objectContaining({ code: "INPUT_INVALID" }),
    );
    expect(() => encodeUniversalKey({ ...options, development: undefined as never })).toThrow(
      expect.objectContaining({ code: "INPUT_INVALID" }),
    );
    expect(() => encodeUniversalKey({ ...options, vkey: simulateKey(129).vkey })).toThrow(
      expect.objectContaining({ code: "INPUT_INVALID" }),
    );
  });
});

describe("in the registry", () => {
  it("a stored key is added, routed and stopped like one with a contract of its own", async () => {
    const { client, deployment } = await createWorld(chain);
    const key = simulateKey(3, "registered");
    const { keyDigest: digest, ...rest } = developmentKey(key);
    const entry = {
      keyDigest: digest,
      verifier: deployment.universal,
      universal: true,
      circuitType: "inference",
      circuitDigest: CIRCUIT_DIGEST,
      modelDigest: MODEL_DIGEST,
      development: true,
    } as const;
    await expectRevert(client.registry.add(entry), "KeyNotStored");
    await client.universal.store({ keyDigest: digest, ...rest });
    await expectRevert(client.registry.add({ ...entry, universal: false }), "none");
    const dataset = { ...entry, circuitType: "datasetChunk", modelDigest: undefined } as const;
    await expectRevert(client.registry.add(dataset), "VerifierSignalsMismatch");
    await client.registry.add(entry);
    expect(await client.registry.entryOf(digest)).toMatchObject({ universal: true, signals: 3 });
    const item = (publicSignals: bigint[]) => ({ publicSignals, proof: simulateProof(key, publicSignals) });
    const valid = item(signalsOf(3));
    await client.registry.verify(digest, valid);
    await expectRevert(client.registry.verify(digest, { ...valid, publicSignals: [1n, 2n, 3n] }), "ProofInvalid");
    await expectRevert(client.registry.verify(digest, { ...valid, publicSignals: [1n, 2n] }), "SignalCountWrong");
    await client.registry.exposeZeroContext(digest, item([1n, 2n, 0n]));
    await expectRevert(client.registry.verify(digest, valid), "KeyFrozen");
  });
});

describe("on another chain", () => {
  const other = useChain({ chainId: 1 });

  it("a development key refuses valid proofs, one with a ceremony does not", async () => {
    const elsewhere = await deployUniversal(other, universal.artefacts);
    const key = simulateKey(1);
    const digest = keyDigest(key.vkey);
    const proof = simulateProof(key, signalsOf(1));
    for (const ceremony of [DEVELOPMENT, CEREMONY]) {
      await elsewhere.client.store({ keyDigest: digest, words: keyWords(key.vkey), ceremony });
    }
    await expectRevert(elsewhere.client.verify(digest, signalsOf(1), proof), "DevelopmentKeyLocked");
    await elsewhere.client.verify(digest, signalsOf(1), proof, CEREMONY);
  });
});

describe("gas of the universal verifier, whole transactions", () => {
  it.each([
    [1, 219_000],
    [4, 240_500],
  ])("%i public signals cost at most %i", async (n, limit) => {
    const key = simulateKey(n, "gas");
    await universal.client.store(developmentKey(key));
    const words = proofWords(simulateProof(key, signalsOf(n)));
    const sent = await universal.contract
      .getFunction("verify")
      .send(keyDigest(key.vkey), DEVELOPMENT, words, signalsOf(n));
    expect(Number((await sent.wait())!.gasUsed)).toBeLessThanOrEqual(limit);
  });
});
