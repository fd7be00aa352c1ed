/** LazAI's calls and events: values printed in their specification, the twins' compiled ABI, and strictness. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { FunctionFragment, Interface, type ParamType } from "ethers";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileContracts } from "../../src/chain/compile.js";
import {
  LAZAI_TABLES,
  type LazaiContractName,
  type LazaiFunctionName,
  lazaiFragments,
} from "../../src/chain/lazai/abi.js";
import {
  decodeLazaiCall,
  decodeLazaiError,
  decodeLazaiEvent,
  decodeLazaiResult,
  encodeLazaiCall,
  encodeLazaiEvent,
  encodeLazaiResult,
  lazaiInterface,
  lazaiSelector,
  lazaiTopic,
} from "../../src/chain/lazai/codec.js";
import { type Hex, keccak, toHex, utf8 } from "../../src/field/bytes.js";
import { PACKAGE_ROOT } from "../../src/paths.js";

const CONTRACTS = Object.keys(LAZAI_TABLES) as LazaiContractName[];
const invalid = expect.objectContaining({ code: "INPUT_INVALID" });

/** As printed in the specification: of the first column, the function's selector. */
const SELECTORS = {
  DataAnchoringToken: {
    mint: "0da209c3",
    batchMint: "a331157b",
    setTokenVerified: "49aa155e",
    verified: "1a9425c1",
    fileUrl: "472380b9",
  },
  DataRegistry: {
    addFile: "248bfc3b",
    addFileWithPermissions: "b4bcb9b1",
    addPermissionForFile: "eb82e154",
    addFileAndRequestProof: "fc3d3331",
    addProof: "eb8b78db",
    requestReward: "5062bc5a",
    getFile: "2bfda313",
    getFileIdByUrl: "0f1ef4f0",
    getFileProof: "631ee051",
    getFilePermission: "44383e45",
    filesCount: "dfb5e9ba",
  },
  VerifiedComputing: {
    addNode: "70ea2524",
    removeNode: "b2b99ec9",
    isNode: "01750152",
    requestProof: "091e419e",
    submitJob: "e7aa0194",
    completeJob: "a1c0d32f",
    claim: "4e71d92d",
  },
  AIProcess: { settlementFees: "9256b8fc" },
  Settlement: { settlement: "8a27a80d" },
} as const;

/** Likewise first and last digits of topics. NodeAdded's last ones are printed there as "bfd", a slip of the pen. */
const TOPICS = [
  ["DataRegistry", "FileAdded", "2980b130", "a0dc"],
  ["DataRegistry", "ProofAdded", "b5e12146", "feff"],
  ["DataRegistry", "PermissionGranted", "6e0403ef", "929b"],
  ["DataRegistry", "RewardRequested", "c79b2d41", "d9fe"],
  ["VerifiedComputing", "JobSubmitted", "489e923a", "a67e"],
  ["VerifiedComputing", "JobComplete", "7b017cac", "3931"],
  ["VerifiedComputing", "JobCanceled", "68a66a70", "6d65"],
  ["VerifiedComputing", "Claimed", "d8138f8a", "426a"],
  ["VerifiedComputing", "NodeAdded", "b25d03aa", "ebd"],
  ["VerifiedComputing", "NodeRemoved", "cfc24166", "b52b"],
  ["DataAnchoringToken", "TokenMinted", "df92894d", "03bb"],
  ["AIProcess", "BalanceUpdated", "52682494", "c776"],
] as const;

describe("the interface", () => {
  it("has the selectors printed in the specification", () => {
    for (const [contract, selectors] of Object.entries(SELECTORS)) {
      for (const [name, selector] of Object.entries(selectors)) {
        const found = lazaiSelector(contract as LazaiContractName, name as never);
        expect(found, `${contract}.${name}`).toBe(`0x${selector}`);
      }
    }
  });

  it.each(TOPICS)("%s.%s has the topic printed in the specification", (contract, name, first, last) => {
    const topic = lazaiTopic(contract, name as never);
    expect([topic.slice(2, 10), topic.slice(-last.length)]).toEqual([first, last]);
  });

  it("has the roles printed in the specification", () => {
    const role = (name: string) => toHex(keccak(utf8(name)));
    expect(role("MAINTAINER_ROLE")).toBe("0x339759585899103d2ace64958e37e18ccb0504652c81d4a1b8aa80fe2126ab95");
    expect(role("MINTER_ROLE")).toBe("0x9f2df0fed2c77648de5860a4cc508cd0818c85b8b8a1ab4ceeef8d981c8956a6");
  });

  it("is that of the contracts that behave as LazAI's: each function, event and error, with its results", async () => {
    const folder = join(PACKAGE_ROOT, "verifier-contracts", "test", "twins", "lazai");
    const sources: Record<string, string> = {};
    for (const file of await readdir(folder)) sources[file] = await readFile(join(folder, file), "utf8");
    const artefacts = await compileContracts(sources);
    for (const contract of CONTRACTS) {
      const compiled = new Interface(artefacts[contract]!.abi);
      const described = new Interface(lazaiFragments(contract));
      expect(signatures(described), contract).toEqual(signatures(compiled));
    }
  });
});

/** Every entry as text, without argument names. */
function signatures(abi: Interface): string[] {
  // It stands in an ABI where the compiler sees the guard used, which says nothing of the interface.
  const own = new Set(["error ReentrancyGuardReentrantCall()"]);
  return abi.fragments
    .filter(({ type }) => type === "function" || type === "event" || type === "error")
    .map((fragment) => {
      const text = `${fragment.type} ${fragment.format("sighash")}`;
      if (fragment instanceof FunctionFragment) {
        return `${text} ${fragment.stateMutability} ${fragment.outputs.map((output) => output.format("sighash"))}`;
      }
      const indexed = fragment.inputs.map(({ indexed }) => (indexed ? "indexed" : "plain"));
      return fragment.type === "event" ? `${text} ${indexed}` : text;
    })
    .filter((text) => !own.has(text))
    .sort();
}

/** A value of any of the ABI's types, as the codec has it. */
function anyOf(type: ParamType): fc.Arbitrary<unknown> {
  if (type.isArray()) return fc.array(anyOf(type.arrayChildren), { maxLength: 3 });
  if (type.isTuple()) return objectOf(type.components);
  const bytes = (min: number, max: number) =>
    fc.uint8Array({ minLength: min, maxLength: max }).map((value): Hex => toHex(value));
  if (type.type === "address") return bytes(20, 20);
  if (type.type === "bytes") return bytes(0, 70);
  if (type.type.startsWith("bytes")) return bytes(Number(type.type.slice(5)), Number(type.type.slice(5)));
  if (type.type === "string") return fc.string({ unit: "grapheme", maxLength: 40 });
  if (type.type === "bool") return fc.boolean();
  return fc.bigInt({ min: 0n, max: 2n ** BigInt(type.type.slice(4)) - 1n });
}

function objectOf(types: readonly ParamType[]): fc.Arbitrary<Record<string, unknown>> {
  return fc.record(Object.fromEntries(types.map((type) => [type.name || "value", anyOf(type)])));
}

/** One bit flipped, something behind the end, or something missing. */
function tampered(data: Hex): fc.Arbitrary<Hex> {
  const bytes = data.length / 2 - 1;
  const flipped = fc.nat(bytes * 8 - 1).map((bit) => {
    const at = 2 + 2 * (bit >> 3);
    const byte = Number.parseInt(data.slice(at, at + 2), 16) ^ (1 << (bit & 7));
    return `${data.slice(0, at)}${byte.toString(16).padStart(2, "0")}${data.slice(at + 2)}` as Hex;
  });
  const longer = fc.constantFrom("00", "00".repeat(32), "ff").map((more) => `${data}${more}` as Hex);
  const shorter = fc.integer({ min: 1, max: bytes }).map((count) => data.slice(0, data.length - 2 * count) as Hex);
  return fc.oneof({ weight: 4, arbitrary: flipped }, longer, shorter);
}

describe.each(CONTRACTS)("%s", (contract) => {
  const abi = lazaiInterface(contract);
  const { functions, events, errors } = LAZAI_TABLES[contract];

  it.each(Object.keys(functions))("call and result of %s round trip, and nothing else decodes", (name) => {
    const fragment = abi.getFunction(name)!;
    fc.assert(
      fc.property(objectOf(fragment.inputs), objectOf(fragment.outputs), fc.gen(), (args, outputs, gen) => {
        const data = encodeLazaiCall(contract, name as never, args as never);
        expect(data).toBe(
          abi.encodeFunctionData(
            fragment,
            fragment.inputs.map((input) => args[input.name]),
          ),
        );
        expect(decodeLazaiCall(contract, data)).toEqual({ contract, name, args });
        const bad = gen(() => tampered(data));
        expectOneReading(bad, () => {
          const call = decodeLazaiCall(contract, bad);
          return encodeLazaiCall(contract, call.name as never, call.args as never);
        });

        const result = encodeLazaiResult(contract, name as never, outputs as never);
        expect(decodeLazaiResult(contract, name as never, result)).toEqual(outputs);
        expect(() => decodeLazaiResult(contract, name as never, `${result}00`)).toThrowError(invalid);
      }),
      { numRuns: 4 },
    );
  });

  it.each(Object.keys(events))("%s round trips, and nothing else decodes", (name) => {
    const fragment = abi.getEvent(name)!;
    fc.assert(
      fc.property(objectOf(fragment.inputs), (args) => {
        const log = encodeLazaiEvent(contract, name as never, args as never);
        expect(decodeLazaiEvent(contract, log)).toEqual({ contract, name, args });
        expect(() => decodeLazaiEvent(contract, { ...log, data: `${log.data}00` })).toThrowError(invalid);
        const more = [...log.topics, `0x${"00".repeat(32)}` as Hex];
        expect(() => decodeLazaiEvent(contract, { ...log, topics: more })).toThrowError(invalid);
        expect(() => decodeLazaiEvent(contract, { ...log, topics: log.topics.slice(0, -1) })).toThrowError(invalid);
        fragment.inputs
          .filter(({ indexed }) => indexed)
          .forEach(({ type }, i) => {
            if (type !== "address") return;
            const dirty = log.topics.map((topic, at) =>
              at === i + 1 ? (topic.replace("0x00", "0x01") as Hex) : topic,
            );
            expect(() => decodeLazaiEvent(contract, { ...log, topics: dirty })).toThrowError(invalid);
          });
      }),
      { numRuns: 4 },
    );
  });

  it.each(Object.keys(errors))("error %s decodes, and nothing else does", (name) => {
    const fragment = abi.getError(name)!;
    fc.assert(
      fc.property(objectOf(fragment.inputs), (args) => {
        const data = abi.encodeErrorResult(
          fragment,
          fragment.inputs.map((input) => args[input.name]),
        ) as Hex;
        expect(decodeLazaiError(contract, data)).toEqual({ contract, name, args });
        expect(() => decodeLazaiError(contract, `${data}00`)).toThrowError(invalid);
      }),
      { numRuns: 3 },
    );
  });

  it("knows no function, event or error of another name", () => {
    for (const data of ["0x", "0x123456", "0xdeadbeef", `0xdeadbeef${"00".repeat(64)}`] as Hex[]) {
      expect(() => decodeLazaiCall(contract, data)).toThrowError(invalid);
      expect(() => decodeLazaiError(contract, data)).toThrowError(invalid);
    }
    expect(() => decodeLazaiEvent(contract, { topics: [], data: "0x" })).toThrowError(invalid);
    expect(() => decodeLazaiEvent(contract, { topics: [`0x${"ab".repeat(32)}`], data: "0x" })).toThrowError(invalid);
    expect(() => encodeLazaiCall(contract, "toString" as never, {} as never)).toThrowError(invalid);
    expect(() => encodeLazaiCall(contract, "initialize" as never, {} as never)).toThrowError(invalid);
    // Solidity's own Error(string) is no error of the contract
    expect(() => decodeLazaiError(contract, new Interface([]).encodeErrorResult("Error", ["x"]) as Hex)).toThrowError(
      invalid,
    );
  });
});

/** Bytes that decode are the ones that their values encode to; all others are refused with INPUT_INVALID. */
function expectOneReading(data: Hex, readAndWrite: () => Hex): void {
  let again: Hex;
  try {
    again = readAndWrite();
  } catch (error) {
    expect(error).toEqual(invalid);
    return;
  }
  expect(again).toBe(data);
}

describe("encodings that the EVM would read, and we do not", () => {
  const word = (value: number | bigint) => value.toString(16).padStart(64, "0");

  it("a bool that is 2", () => {
    const data = encodeLazaiCall("DataAnchoringToken", "setTokenVerified", { tokenId: 1n, verified_: true });
    expect(() => decodeLazaiCall("DataAnchoringToken", `${data.slice(0, -1)}2` as Hex)).toThrowError(invalid);
  });

  it("an address with something before it", () => {
    const nodeAddress: Hex = `0x${"11".repeat(20)}`;
    const data = encodeLazaiCall("VerifiedComputing", "isNode", { nodeAddress });
    const dirty = `${data.slice(0, 10)}01${data.slice(12)}` as Hex;
    expect(() => decodeLazaiCall("VerifiedComputing", dirty)).toThrowError(invalid);
  });

  it("two strings that share one place, and a gap before a string", () => {
    const selector = lazaiSelector("DataRegistry", "addFile");
    const text = `${word(1)}${"61".padEnd(64, "0")}`;
    const plain = encodeLazaiCall("DataRegistry", "addFile", { url: "a", hash: "a" });
    expect(plain).toBe(`${selector}${word(64)}${word(128)}${text}${text}`);
    const shared = `${selector}${word(64)}${word(64)}${text}` as Hex;
    expect(new Interface(lazaiFragments("DataRegistry")).decodeFunctionData("addFile", shared)).toEqual(["a", "a"]);
    expect(() => decodeLazaiCall("DataRegistry", shared)).toThrowError(invalid);
    const gap = `${selector}${word(96)}${word(160)}${word(0)}${text}${text}` as Hex;
    expect(() => decodeLazaiCall("DataRegistry", gap)).toThrowError(invalid);
  });

  it("a string that is not UTF-8, and one with bytes behind its end", () => {
    const selector = lazaiSelector("DataRegistry", "getFileIdByUrl");
    const broken = `${selector}${word(32)}${word(1)}${"ff".padEnd(64, "0")}` as Hex;
    expect(() => decodeLazaiCall("DataRegistry", broken)).toThrowError(invalid);
    const filled = `${selector}${word(32)}${word(1)}${"6162".padEnd(64, "0")}` as Hex;
    expect(() => decodeLazaiCall("DataRegistry", filled)).toThrowError(invalid);
    const huge = `${selector}${word(32)}${word(2n ** 200n)}` as Hex;
    expect(() => decodeLazaiCall("DataRegistry", huge)).toThrowError(invalid);
  });
});

describe("arguments", () => {
  it("are taken by name, whole and of their own types: the SDK's call without its hash is refused (defect 9)", () => {
    const owner: Hex = `0x${"11".repeat(20)}`;
    const args = { url: "u", hash: "h", ownerAddress: owner, permissions: [{ account: owner, key: "k" }] };
    const name: LazaiFunctionName<"DataRegistry"> = "addFileWithPermissions";
    encodeLazaiCall("DataRegistry", name, args);
    const { hash: _, ...three } = args;
    const bad: unknown[] = [
      three,
      { ...args, more: 1n },
      { ...args, hash: 1n },
      { ...args, ownerAddress: "0x11" },
      { ...args, ownerAddress: owner.toUpperCase() },
      { ...args, permissions: [{ account: owner }] },
      { ...args, permissions: [{ account: owner, key: "k", note: "" }] },
      { ...args, url: "\udc00" },
      ["u", "h", owner, []],
      null,
    ];
    for (const given of bad) expect(() => encodeLazaiCall("DataRegistry", name, given as never)).toThrowError(invalid);
    for (const fileId of [1, "1", -1n, 2n ** 256n]) {
      expect(() => encodeLazaiCall("DataRegistry", "getFile", { fileId } as never)).toThrowError(invalid);
    }
  });
});
