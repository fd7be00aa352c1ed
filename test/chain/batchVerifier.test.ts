/** What can go wrong with a batch and not with one proof, against the generated batch verifier of every size. */
import { Interface } from "ethers";
import { beforeAll, describe, expect, it } from "vitest";
import { type ContractArtefacts, compileContracts } from "../../src/chain/compile.js";
import { deployVerifier } from "../../src/chain/deploy.js";
import { fromHex, keccak, word } from "../../src/field/bytes.js";
import { bytesToBigInt } from "../../src/field/scalar.js";
import { proofWords, verifyGroth16 } from "../../src/verifier/groth16.js";
import { CIRCUIT_DIGEST, compileVerifiers, deploy, outcome, useChain, verifierSources } from "./fixture.js";
import {
  mod,
  type ProofScalars,
  proofOf,
  type SimulatedKey,
  scalar,
  simulateKey,
  simulateScalars,
} from "./simulated.js";

const SIZES = [0, 1, 2, 8, 32] as const;
const chain = useChain();

const ABI = new Interface(["function verifyBatch(uint256[8][] proofs, uint256[] signals) view"]);
const WORD = 0x20;
const PROOF = 8 * WORD;
/** Selector, two offsets, the number of proofs. */
const HEAD = 4 + 3 * WORD;

/** A proof with the discrete logarithms of its points, so that errors can be put exactly where they cancel. */
interface Item {
  signals: readonly bigint[];
  scalars: ProofScalars;
}

function make(key: SimulatedKey, label: string): Item {
  const signals = Array.from({ length: key.vkey.nPublic }, (_, i) => scalar(`${label}/signal/${i}`));
  return { signals, scalars: simulateScalars(key, signals, label) };
}

const known = new Map<string, bigint[]>();

/** Making points costs more than most calls. */
function words({ scalars }: Item): bigint[] {
  const name = [scalars.a, scalars.b, scalars.c].join();
  const made = known.get(name) ?? proofWords(proofOf(scalars));
  known.set(name, made);
  return made;
}

const withC = (item: Item, error: bigint): Item => ({
  ...item,
  scalars: { ...item.scalars, c: mod(item.scalars.c + error) },
});
const withSignal = (item: Item, i: number, error: bigint): Item => ({
  ...item,
  signals: item.signals.map((signal, j) => (i === j ? mod(signal + error) : signal)),
});

function encode(items: readonly Item[], signals = items.flatMap((item) => item.signals)): string {
  return ABI.encodeFunctionData("verifyBatch", [items.map(words), signals]);
}

const holds = (key: SimulatedKey, item: Item) => verifyGroth16(key.vkey, item.signals, proofOf(item.scalars));

async function deployed(artefacts: ContractArtefacts, name: string) {
  const artefact = artefacts[name]!;
  const address = await (await deploy(chain.accounts[0]!, artefact)).getAddress();
  return (data: string) => outcome(chain.provider, address, data, artefact.abi);
}

describe.each(SIZES)("batch verifier with %i public signals", (n) => {
  const key = simulateKey(n);
  const items = Array.from({ length: 5 }, (_, i) => make(key, `batch/${i}`));
  const replaced = (at: number, item: Item) => items.map((each, i) => (i === at ? item : each));
  let check: Awaited<ReturnType<typeof deployed>>;

  beforeAll(async () => {
    check = await deployed(await compileVerifiers(SIZES), `B${n}`);
  });

  it("accepts any number of good proofs, also one twice, and none at all never", async () => {
    for (const count of [1, 2, 3, 5]) expect(await check(encode(items.slice(0, count)))).toBe("ok");
    expect(await check(encode([items[0]!, items[1]!, items[0]!, items[0]!]))).toBe("ok");
    expect(await check(encode([]))).toBe("BatchEmpty");
    if (n > 0) expect(await check(encode([], items[0]!.signals as bigint[]))).toBe("BatchEmpty");
  });

  it("one bad proof among good ones, at every place", async () => {
    for (let at = 0; at < items.length; at++) {
      const bad = [withC(items[at]!, 1n), { ...items[at]!, scalars: { ...items[at]!.scalars, a: 5n } }];
      if (n > 0) bad.push(withSignal(items[at]!, n - 1, 1n));
      for (const item of bad) {
        expect(holds(key, item)).toBe(false);
        expect(await check(encode(replaced(at, item)))).toBe("ProofInvalid");
      }
    }
  });

  it("one bad proof alone", async () => {
    expect(await check(encode([withC(items[0]!, 1n)]))).toBe("ProofInvalid");
  });

  it("errors of two proofs that cancel: C_i + D and C_j - D", async () => {
    const error = scalar("error");
    for (const [i, j] of [
      [0, 1],
      [1, 2],
      [4, 0],
    ] as const) {
      const cancelling = replaced(i, withC(items[i]!, error)).map((each, at) =>
        at === j ? withC(each, -error) : each,
      );
      expect(await check(encode(cancelling))).toBe("ProofInvalid");
    }
  });

  if (n > 0) {
    it("signals of two proofs swapped, and signals shifted between the proofs", async () => {
      const all = items.flatMap((item) => item.signals);
      const swapped = [...all];
      [swapped[0], swapped[n]] = [all[n]!, all[0]!];
      expect(await check(encode(items, swapped))).toBe("ProofInvalid");
      expect(await check(encode(items, [...all.slice(n), ...all.slice(0, n)]))).toBe("ProofInvalid");
      expect(await check(encode(items, [...all.slice(1), all[0]!]))).toBe("ProofInvalid");
      if (n > 1) expect(await check(encode(items, [all[1]!, all[0]!, ...all.slice(2)]))).toBe("ProofInvalid");
    });

    it("errors of two signals that cancel in their plain sum", async () => {
      const moved = items.map((item, i) =>
        i === 1 ? withSignal(item, 0, 7n) : i === 2 ? withSignal(item, 0, -7n) : item,
      );
      expect(await check(encode(moved))).toBe("ProofInvalid");
    });
  }

  it("k proofs with signals of k - 1, of k + 1, and k - 1 with signals of k", async () => {
    const all = items.flatMap((item) => item.signals);
    const more = [...all, ...Array.from({ length: Math.max(n, 1) }, () => 1n)];
    expect(await check(encode(items, more))).toBe("SignalCountWrong");
    expect(await check(encode(items, [...all, 0n]))).toBe("SignalCountWrong");
    if (n === 0) return;
    expect(await check(encode(items, all.slice(n)))).toBe("SignalCountWrong");
    expect(await check(encode(items, all.slice(1)))).toBe("SignalCountWrong");
    expect(await check(encode(items.slice(1), all))).toBe("SignalCountWrong");
    expect(await check(encode(items, []))).toBe("SignalCountWrong");
  });

  it("other layouts of the calldata than the one that encoders give", async () => {
    const data = encode(items.slice(0, 2));
    const selector = data.slice(0, 10);
    const hex = (value: number) => value.toString(16).padStart(64, "0");
    const [proofs, signals] = [
      data.slice(2 * (HEAD - WORD) + 2, 2 * (HEAD + 2 * PROOF) + 2),
      data.slice(2 * (HEAD + 2 * PROOF) + 2),
    ];
    const [proofBytes, signalBytes] = [proofs.length / 2, signals.length / 2];
    expect(selector + hex(0x40) + hex(0x40 + proofBytes) + proofs + signals).toBe(data);
    // The arrays in the other order, of the same size.
    expect(await check(selector + hex(0x40 + signalBytes) + hex(0x40) + signals + proofs)).toBe("CalldataLayoutWrong");
    // Something between head and arrays, and between the arrays.
    const gap = hex(0);
    expect(await check(selector + hex(0x60) + hex(0x60 + proofBytes) + gap + proofs + signals)).toBe(
      "CalldataSizeWrong",
    );
    expect(await check(selector + hex(0x40) + hex(0x60 + proofBytes) + proofs + gap + signals)).toBe(
      "CalldataSizeWrong",
    );
    // Lengths and offsets that lie.
    const huge = "ff".repeat(32);
    for (const [at, value] of [
      [0, huge],
      [1, huge],
      [0, hex(0)],
      [2, huge],
      [2, hex(3)],
      [2, `${"0".repeat(47)}1${"0".repeat(16)}`], // 2^64
    ] as const) {
      const start = 10 + 64 * at;
      expect(await check(data.slice(0, start) + value + data.slice(start + 64))).toMatch(
        /^(revert|CalldataSizeWrong|SignalCountWrong|CalldataLayoutWrong|BatchEmpty)$/,
      );
    }
  });
});

it("deployVerifier deploys it, under its own name", async () => {
  const key = simulateKey(1);
  const deploying = { vkey: key.vkey, circuitDigest: CIRCUIT_DIGEST, development: true, batch: true };
  const address = await deployVerifier(chain.accounts[0]!, deploying);
  const items = [make(key, "deployed/0"), make(key, "deployed/1")];
  const check = (data: string) => outcome(chain.provider, address, data, ["error ProofInvalid()"]);
  expect(await check(encode(items))).toBe("ok");
  expect(await check(encode([items[0]!, withC(items[1]!, 1n)]))).toBe("ProofInvalid");
});

describe("what the coefficients cover: mutants of the contract take what the contract refuses", () => {
  const n = 2;
  const key = simulateKey(n);
  const items = Array.from({ length: 3 }, (_, i) => make(key, `cover/${i}`));
  const error = scalar("error");
  const [first, second, third] = items as [Item, Item, Item];
  const signalsAt = HEAD + 3 * PROOF + WORD;
  let artefacts: ContractArtefacts;

  const COPY = "calldatacopy(0x80, 0, calldatasize())";
  const HASH = "mstore(0x00, keccak256(0x80, calldatasize()))";
  const mutants = {
    Ones: [["shr(128, keccak256(0x00, 0x40))", "1"]],
    WithoutSignals: [[HASH, "mstore(0x00, keccak256(0x80, signals.offset))"]],
    WithoutProofs: [
      [COPY, "calldatacopy(0x80, signals.offset, sub(calldatasize(), signals.offset))"],
      [HASH, "mstore(0x00, keccak256(0x80, sub(calldatasize(), signals.offset)))"],
    ],
    Whole: [],
  } as const;

  beforeAll(async () => {
    const source = verifierSources([n])[`B${n}.sol`]!;
    artefacts = await compileContracts(
      Object.fromEntries(
        Object.entries(mutants).map(([name, changes]) => {
          let text = source.replace(`contract B${n} {`, `contract ${name} {`);
          for (const [from, to] of changes) {
            expect(text.split(from)).toHaveLength(2);
            text = text.replace(from, to);
          }
          return [`${name}.sol`, text];
        }),
      ),
    );
  });

  /** r_1 and r_2, as the contract draws them from `seed`. */
  const coefficients = (bytes: Uint8Array) => {
    const seed = keccak(bytes);
    return [1n, 2n].map((i) => bytesToBigInt(keccak(seed, word(i))) >> 128n) as [bigint, bigint];
  };
  const bytesOf = (batch: readonly Item[]) => fromHex(encode(batch), "calldata");

  const attacks: Record<Exclude<keyof typeof mutants, "Whole">, () => Item[]> = {
    Ones: () => [first, withC(second, error), withC(third, -error)],
    // What proofs alone decide stays as it is when signals move.
    WithoutSignals: () => {
      const [r1, r2] = coefficients(bytesOf(items).subarray(0, signalsAt));
      return [first, withSignal(second, 1, r2 * error), withSignal(third, 1, -r1 * error)];
    },
    WithoutProofs: () => {
      const [r1, r2] = coefficients(bytesOf(items).subarray(signalsAt));
      return [first, withC(second, r2 * error), withC(third, -r1 * error)];
    },
  };

  it.each(Object.keys(attacks) as (keyof typeof attacks)[])("%s", async (name) => {
    const batch = attacks[name]();
    expect(batch.map((item) => holds(key, item))).toEqual([true, false, false]);
    const mutant = await deployed(artefacts, name);
    const contract = await deployed(artefacts, "Whole");
    expect(await mutant(encode(items))).toBe("ok");
    expect(await mutant(encode(batch))).toBe("ok");
    expect(await contract(encode(items))).toBe("ok");
    expect(await contract(encode(batch))).toBe("ProofInvalid");
  });

  it("errors that cancel under the coefficients of the honest calldata: changing it draws new ones", async () => {
    const [r1, r2] = coefficients(bytesOf(items));
    const contract = await deployed(artefacts, "Whole");
    for (const batch of [
      [first, withC(second, r2 * error), withC(third, -r1 * error)],
      [first, withSignal(second, 0, r2 * error), withSignal(third, 0, -r1 * error)],
      [withC(first, -r1 * error), withC(second, error), third],
    ]) {
      expect(await contract(encode(batch))).toBe("ProofInvalid");
    }
  });
});
