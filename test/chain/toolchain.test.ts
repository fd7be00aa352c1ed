import { spawn } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { Interface } from "ethers";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { findAnvil, startAnvil } from "../../src/chain/anvil.js";
import { AnchorClient } from "../../src/chain/client/index.js";
import { artefact, compileContracts, compileProtocolContracts, protocolSources } from "../../src/chain/compile.js";
import { deployProtocol } from "../../src/chain/deploy.js";
import { connectProvider } from "../../src/chain/provider.js";
import { errorInterface, explainedErrors } from "../../src/chain/reverts.js";
import { ArtefactStore } from "../../src/circuit/store.js";
import { PACKAGE_ROOT } from "../../src/paths.js";
import { expectRevert } from "./fixture.js";

const HEADER = "// SPDX-License-Identifier: Apache-2.0\npragma solidity 0.8.37;\n";

/** Each run of the compiler is a thread. */
const compilers = vi.hoisted(() => ({ started: 0, answered: 0, onBegin: () => {} }));
vi.mock("node:worker_threads", async (original) => {
  const actual = await original<typeof import("node:worker_threads")>();
  class Worker extends actual.Worker {
    constructor(...args: ConstructorParameters<typeof actual.Worker>) {
      super(...args);
      compilers.started++;
      this.once("online", () => compilers.onBegin());
      this.once("message", () => compilers.answered++);
    }
  }
  return { ...actual, Worker };
});

let root: string;
let store: ArtefactStore;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "anchorproof-chain-"));
  store = new ArtefactStore(root);
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe("compiling", () => {
  it("gives abi and code, the same bytes each time, from the store the second time", async () => {
    const sources = { "A.sol": `${HEADER}contract A { uint256 public x = 1; }` };
    const first = await compileContracts(sources, { store });
    expect(first["A"]!.bytecode).toMatch(/^0x60[0-9a-f]+$/);
    expect(await readdir(join(root, "contracts"))).toHaveLength(1);
    const { started } = compilers;
    expect(await compileContracts(sources, { store })).toEqual(first);
    expect(compilers.started).toBe(started);
    const anew = await compileContracts(sources, { store: new ArtefactStore(join(root, "other")) });
    expect(anew).toEqual(first);
    expect(compilers.started).toBe(started + 1);
  });

  it("resolves imports between sources and from packages, and returns only what the sources define", async () => {
    const artefacts = await compileContracts(
      {
        "lib/B.sol": `${HEADER}library B { function f() internal pure returns (uint256) { return 1; } }`,
        "C.sol": `${HEADER}import {B} from "./lib/B.sol";\nimport {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";\ncontract C is Ownable { constructor() Ownable(msg.sender) {} function g() external pure returns (uint256) { return B.f(); } }`,
      },
      { store },
    );
    expect(Object.keys(artefacts).sort()).toEqual(["B", "C"]);
  });

  it.each([
    ["a syntax error", { "A.sol": `${HEADER}contract A {` }],
    ["a missing import", { "A.sol": `${HEADER}import "./nowhere.sol";\ncontract A {}` }],
    ["a missing package", { "A.sol": `${HEADER}import "@nowhere/at-all/A.sol";\ncontract A {}` }],
    [
      "another compiler's pragma",
      { "A.sol": "// SPDX-License-Identifier: MIT\npragma solidity 0.8.20;\ncontract A {}" },
    ],
    ["one name twice", { "A.sol": `${HEADER}contract A {}`, "B.sol": `${HEADER}contract A {}` }],
  ])("refuses %s with CONTRACT_COMPILE", async (_, sources) => {
    await expect(compileContracts(sources, { store })).rejects.toMatchObject({ code: "CONTRACT_COMPILE" });
  });

  it("stops on abort without waiting for the compiler, and leaves nothing behind", async () => {
    const empty = new ArtefactStore(join(root, "aborted"));
    const stop = new AbortController();
    const { answered } = compilers;
    compilers.onBegin = () => stop.abort();
    await expect(
      compileContracts(await protocolSources(), { store: empty, signal: stop.signal }),
    ).rejects.toMatchObject({ code: "ABORTED" });
    compilers.onBegin = () => {};
    expect([stop.signal.aborted, compilers.answered]).toEqual([true, answered]);
    expect(await readdir(join(root, "aborted", "contracts"))).toEqual([]);
    await expect(compileContracts({}, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "ABORTED" });
  });

  it("the protocol's contracts fit EIP-170, keep one exact pragma and revert with custom errors alone", async () => {
    for (const [name, { deployedSize }] of Object.entries(await compileProtocolContracts())) {
      expect(deployedSize, name).toBeLessThan(24_576);
    }
  });
});

describe("reverts in words", () => {
  it("every custom error of the project's contracts has an explanation", async () => {
    const artefacts = await compileProtocolContracts();
    const foreign =
      /^(ERC1155(?!InvalidReceiver)|Ownable(?!Unauthorized)|ECDSA|InvalidShortString|StringTooLong|SafeCast|Strings)/;
    const names = new Set<string>();
    errorInterface(artefacts).forEachError(({ name }) => names.add(name));
    const explained = new Set(explainedErrors());
    expect([...names].filter((name) => !explained.has(name) && !foreign.test(name))).toEqual([]);
    const known = new Set([...names, "Panic", "Error"]);
    expect([...explained].filter((name) => !known.has(name))).toEqual([]);
  });
});

describe("anvil", () => {
  it("starts on a free port with the chain id asked for, and is gone after stop", async () => {
    const [a, b] = await Promise.all([startAnvil({ chainId: 4242 }), startAnvil()]);
    expect(a.port).not.toBe(b.port);
    const provider = await connectProvider(a.url);
    expect((await provider.getNetwork()).chainId).toBe(4242n);
    provider.destroy();
    await Promise.all([a.stop(), b.stop()]);
    await a.stop();
    await expect(connectProvider(a.url)).rejects.toMatchObject({ code: "CHAIN_UNAVAILABLE" });
  });

  it("stops on abort", async () => {
    const stop = new AbortController();
    const anvil = await startAnvil({ signal: stop.signal });
    stop.abort();
    await anvil.stop();
    await expect(connectProvider(anvil.url)).rejects.toMatchObject({ code: "CHAIN_UNAVAILABLE" });
    await expect(startAnvil({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "ABORTED" });
    const early = new AbortController();
    const starting = startAnvil({ signal: early.signal });
    early.abort();
    await expect(starting).rejects.toMatchObject({ code: "ABORTED" });
  });

  it("says what is wrong when it cannot start", async () => {
    await expect(startAnvil({ hardfork: "nonsense" })).rejects.toMatchObject({ code: "CHAIN_UNAVAILABLE" });
    expect(findAnvil()).toContain("anvil");
  });

  it.each(["SIGINT", "SIGTERM", "SIGKILL"] as const)("does not outlive a process that dies of %s", async (signal) => {
    const script = `
      const { startAnvil } = await import("./src/chain/anvil.ts");
      const { url } = await startAnvil();
      console.log(url);
      setInterval(() => {}, 1000);
    `;
    const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], {
      cwd: PACKAGE_ROOT,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const url = await new Promise<string>((resolve) =>
      child.stdout.once("data", (data) => resolve(String(data).trim())),
    );
    (await connectProvider(url)).destroy();
    child.kill(signal);
    // Its watchdog needs a moment; one that outlives the process is there until this test's time is over.
    const answers = () =>
      connectProvider(url).then(
        (provider) => {
          provider.destroy();
          return true;
        },
        () => false,
      );
    while (await answers());
    await expect(connectProvider(url)).rejects.toMatchObject({ code: "CHAIN_UNAVAILABLE" });
  });

  it("lets a program end that forgets to stop it", async () => {
    const script = `
      const { startAnvil } = await import("./src/chain/anvil.ts");
      await startAnvil();
    `;
    const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], {
      cwd: PACKAGE_ROOT,
      stdio: "inherit",
    });
    expect(await new Promise((resolve) => child.once("exit", resolve))).toBe(0);
  });
});

describe("connecting", () => {
  it("sees a transaction that was mined between two looks, with no block after it", async () => {
    const hash = `0x${"ab".repeat(32)}`;
    const common = { from: `0x${"11".repeat(20)}`, to: `0x${"22".repeat(20)}`, type: "0x2" };
    const block = { blockHash: `0x${"cd".repeat(32)}`, blockNumber: "0x7", transactionIndex: "0x0" };
    const gas = { gas: "0x5208", maxFeePerGas: "0x1", maxPriorityFeePerGas: "0x1" };
    const signature = { r: `0x${"01".repeat(32)}`, s: `0x${"01".repeat(32)}`, v: "0x0" };
    const pending = {
      ...common,
      ...gas,
      ...signature,
      hash,
      nonce: "0x0",
      value: "0x0",
      input: "0x",
      chainId: "0x7a69",
    };
    const used = { gasUsed: "0x5208", cumulativeGasUsed: "0x5208", effectiveGasPrice: "0x1", status: "0x1" };
    const logs = { logs: [], logsBloom: `0x${"00".repeat(256)}`, contractAddress: null };
    const receipt = { ...common, ...block, ...used, ...logs, transactionHash: hash };
    let looks = 0;
    const node = createServer(async (request, response) => {
      const { id, method } = (await json(request)) as { id: number; method: string };
      const answers: Record<string, () => unknown> = {
        eth_chainId: () => "0x7a69",
        eth_blockNumber: () => "0x7",
        eth_getTransactionByHash: () => pending,
        // once for the caller, once for the subscription, before either knows a height
        eth_getTransactionReceipt: () => (++looks > 2 ? receipt : null),
      };
      response.end(JSON.stringify({ jsonrpc: "2.0", id, result: answers[method]!() }));
    });
    await new Promise<void>((resolve) => node.listen(0, "127.0.0.1", resolve));
    const provider = await connectProvider(`http://127.0.0.1:${(node.address() as AddressInfo).port}`);
    try {
      const found = await (await provider.getTransaction(hash))!.wait();
      expect([found?.hash, looks]).toEqual([hash, 3]);
    } finally {
      provider.destroy();
      node.close();
    }
  });

  it("refuses what is no URL, and nodes without the deployment", async () => {
    await expect(connectProvider("nowhere")).rejects.toMatchObject({ code: "INPUT_INVALID" });
    await expect(connectProvider("http://127.0.0.1:1/secret-key")).rejects.toMatchObject({
      code: "CHAIN_UNAVAILABLE",
      message: expect.not.stringContaining("secret-key"),
    });
    const anvil = await startAnvil();
    const provider = await connectProvider(anvil.url);
    try {
      const signer = await provider.getSigner(0);
      const deployment = await deployProtocol(signer);
      const wrong = { ...deployment, chainId: 1n };
      await expect(AnchorClient.connect(wrong, signer)).rejects.toMatchObject({ code: "CHAIN_UNAVAILABLE" });
      const empty = { ...deployment, gate: "0x0000000000000000000000000000000000000bad" as const };
      await expect(AnchorClient.connect(empty, signer)).rejects.toMatchObject({ code: "CHAIN_UNAVAILABLE" });

      const reader = await AnchorClient.connect(deployment, provider);
      expect(await reader.settlement.parameterVersion()).toBe(1n);
      await expect(reader.settlement.deposit(1n)).rejects.toMatchObject({ code: "INPUT_INVALID" });
      const client = await AnchorClient.connect(deployment, signer);
      await expect(client.settlement.deposit(-1n)).rejects.toMatchObject({ code: "INPUT_INVALID" });
      await expect(client.settlement.deposit("1" as unknown as bigint)).resolves.toBeDefined();
      await expect(client.registry.freeze("0x12")).rejects.toMatchObject({ code: "INPUT_INVALID" });
      await expectRevert(client.settlement.deposit(10n ** 30n), "INSUFFICIENT_FUNDS");
      const failure = await expectRevert(client.settlement.withdraw(), "NothingOwed");
      expect(failure.message).toContain("nothing is owed to this account");
      expect(JSON.parse(JSON.stringify(failure)).details.args).toHaveLength(1);
      await anvil.stop();
      await expect(client.settlement.parameterVersion()).rejects.toMatchObject({ code: "CHAIN_UNAVAILABLE" });
    } finally {
      provider.destroy();
      await anvil.stop();
    }
  });

  it("every name in the abi of an artefact parses", async () => {
    expect(
      new Interface(artefact(await compileProtocolContracts(), "MintGate").abi).getFunction("mintDataset"),
    ).not.toBeNull();
    expect(() => artefact({}, "Nothing")).toThrow(expect.objectContaining({ code: "CONTRACT_COMPILE" }));
  });
});
