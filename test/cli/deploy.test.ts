/** `contract deploy` and `contract status`, in this process, against a chain and against a node that fails at a chosen moment. */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { parseArgs } from "node:util";
import { Contract, encryptKeystoreJson, Wallet } from "ethers";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startAnvil } from "../../src/chain/anvil.js";
import { AnchorClient } from "../../src/chain/client/index.js";
import { deployProtocol, SHARE_BOUNDS } from "../../src/chain/deploy.js";
import { readDeployment, readDeploymentRecord, writeDeploymentRecord } from "../../src/chain/deployment.js";
import type { Command } from "../../src/cli/command.js";
import { contractGenerateCommand } from "../../src/cli/contract.js";
import { contractDeployCommand, contractStatusCommand } from "../../src/cli/deploy.js";
import { Terminal } from "../../src/cli/terminal.js";
import type { Hex } from "../../src/field/bytes.js";
import { accountOf } from "../../src/protocol/signature.js";
import { verifyingKeyToJson } from "../../src/verifier/groth16.js";
import { CIRCUIT_DIGEST, secretOf, useChain } from "../chain/fixture.js";
import { simulateKey } from "../chain/simulated.js";

const chain = useChain();

let directory: string;
let number = 0;
/** An account of the test's own, with money, and the file of its secret. */
let account: Hex;
let secret: string;
let out: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "anchorproof-deploy-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

beforeEach(async () => {
  const key = secretOf(`deployer/${number++}`);
  account = accountOf(key);
  secret = await file(`account-${number}`, key);
  out = join(directory, `deployment-${number}.json`);
  await chain.provider.send("anvil_setBalance", [account, "0x8ac7230489e80000"]);
});

async function file(name: string, content: unknown): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, typeof content === "string" ? content : JSON.stringify(content), { mode: 0o600 });
  return path;
}

/** What was printed, also up to a failure. */
let printed = "";

async function run(command: Command, ...args: string[]): Promise<string> {
  printed = "";
  const terminal = new Terminal(
    new Writable({ write: (chunk, _, done) => done(((printed += String(chunk)) as never) && null) }),
  );
  const { values, positionals } = parseArgs({ args, options: command.options, allowPositionals: true, strict: true });
  await command.run({ values: values as never, positionals, terminal, signal: new AbortController().signal });
  return printed;
}

const deploy = (...args: string[]) => run(contractDeployCommand, "--rpc", chain.anvil.url, ...args);
const status = (...args: string[]) => run(contractStatusCommand, "--rpc", chain.anvil.url, ...args);
const nonce = () => chain.provider.getTransactionCount(account);
const exists = async (path: string) => (await readdir(directory)).includes(path.split("/").at(-1)!);

/** A node that hands calls on to the chain, and hangs up at the nth transaction: before or after it was passed on. */
async function failingNode(at: number, when: "before" | "after"): Promise<{ url: string; server: Server }> {
  let sent = 0;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", async () => {
      const body = Buffer.concat(chunks).toString();
      const last = body.includes("eth_sendRawTransaction") && ++sent === at;
      if (last && when === "before") return request.socket.destroy();
      const answer = await fetch(chain.anvil.url, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
      });
      const text = await answer.text();
      if (last) return request.socket.destroy();
      response.setHeader("content-type", "application/json");
      response.end(text);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

/** A deployment that is interrupted at its nth transaction. */
async function interrupted(at: number, when: "before" | "after"): Promise<void> {
  const { url, server } = await failingNode(at, when);
  try {
    const failed = run(contractDeployCommand, "--rpc", url, "--account", secret, "--out", out);
    await expect(failed).rejects.toMatchObject({ code: "CHAIN_UNAVAILABLE" });
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

describe("a dry run", () => {
  it("tells addresses, gas and cost, and sends and writes nothing; the deployment is then the same", async () => {
    const plan = JSON.parse(await deploy("--account", secret, "--dry-run", "--out", out, "--json"));
    expect(await nonce()).toBe(0);
    expect(await exists(out)).toBe(false);
    expect(plan).toMatchObject({ chainId: "31337", deployer: account, balance: "10000000000000000000" });
    expect(BigInt(plan.cost)).toBe(BigInt(plan.gas) * BigInt(plan.gasPrice));
    expect(plan.enough).toBe(true);

    await deploy("--account", secret, "--out", out);
    const { contracts, parameters } = await readDeploymentRecord(out);
    expect(plan.parameters).toEqual(
      JSON.parse(JSON.stringify(parameters, (_, v) => (typeof v === "bigint" ? `${v}` : v))),
    );
    for (const { name, address, gas, rough } of plan.contracts) {
      expect(rough).toBe(false);
      expect(contracts[name]!.address).toBe(address);
      // A transaction that fills a storage slot may be given a little back.
      expect(Number(gas) / Number(contracts[name]!.deployed!.gasUsed)).toBeCloseTo(1, 2);
    }
    expect(plan.contracts).toHaveLength(Object.keys(contracts).length);
  });

  it("needs no secret, and says when the account cannot pay", async () => {
    const poor = accountOf(secretOf("poor"));
    const text = await deploy("--from", poor, "--dry-run");
    expect(text).toMatch(/the account has 0\.0: NOT ENOUGH/);
    expect(text).toMatch(/\nthe deployment would not begin: about 0\.\d+ coins are missing; nothing was sent\n$/);
    expect(text).toContain("UsageSettlement");
    expect(JSON.parse(await deploy("--from", poor, "--dry-run", "--json")).enough).toBe(false);
    expect(await deploy("--from", account, "--dry-run")).toMatch(/\nnothing was sent\n$/);
  });

  it("shows what a constructor refuses, before anything is sent", async () => {
    const refused = { code: "CHAIN_REVERTED", details: { error: "WithdrawalDelayInvalid" } };
    await expect(deploy("--from", account, "--dry-run", "--withdrawal-delay", "1")).rejects.toMatchObject(refused);
    const real = deploy("--account", secret, "--out", out, "--withdrawal-delay", "1");
    await expect(real).rejects.toMatchObject(refused);
    expect(await nonce()).toBe(0);
    expect(await exists(out)).toBe(false);
  });

  it("refuses shares that the settlement would refuse, by the options' names", async () => {
    const dry = (...shares: string[]) => deploy("--from", account, "--dry-run", ...shares);
    for (const [creator, node, pool] of [
      [9000, 2000, -1000],
      [7000, 999, 2001],
      [4999, 3001, 2000],
      [9001, 999, 0],
    ] as const) {
      const failure = await dry("--creator-bps", `${creator}`, "--node-bps", `${node}`).catch((e: Error) => e);
      expect(failure).toMatchObject({ code: "INPUT_INVALID" });
      expect((failure as Error).message).toContain(
        `--creator-bps ${creator} and --node-bps ${node} leave ${pool} of 10000 basis points for the pool`,
      );
    }
    // What is just inside, the constructor takes as well.
    for (const [creator, node] of [
      [5000, 3000],
      [7000, 1000],
      [9000, 1000],
    ]) {
      await dry("--creator-bps", `${creator}`, "--node-bps", `${node}`);
    }
  });
});

describe("a deployment", () => {
  it("is written down, and clients read it", async () => {
    const [owner, guardian, pool, treasury] = ["owner", "guardian", "pool", "treasury"].map((n) =>
      accountOf(secretOf(n)),
    );
    const said = ["--owner", owner!, "--guardian", guardian!, "--pool", pool!, "--treasury", treasury!];
    const text = await deploy("--account", secret, "--out", out, ...said, "--chain-id", "31337");
    expect(text.match(/^ok {3}\w+ +0x[0-9a-f]{40} {2}block \d+, [\d,]+ gas$/gm)!.length).toBeGreaterThanOrEqual(5);
    const deployment = await readDeployment(out);
    const client = await AnchorClient.connect(deployment, chain.provider);
    expect(await client.settlement.parameterVersion()).toBe(1n);
    const json = JSON.parse(await readFile(out, "utf8"));
    expect(json.parameters).toMatchObject({ owner, guardian, governancePool: pool, treasury });
    for (const { transaction, address, codeHash, block } of Object.values<Record<string, string>>(json.contracts)) {
      const receipt = await chain.provider.getTransactionReceipt(transaction!);
      expect(receipt).toMatchObject({ blockNumber: Number(block), status: 1 });
      expect(receipt!.contractAddress!.toLowerCase()).toBe(address);
      expect(codeHash).toMatch(/^0x[0-9a-f]{64}$/);
    }
    expect(await nonce()).toBe(Object.keys(json.contracts).length);

    const shown = await status("--deployment", out);
    expect(shown).toMatch(new RegExp(`owner +${owner}`));
    expect(shown).toMatch(new RegExp(`guardian +${guardian}`));
    expect(shown).toMatch(/epoch +0/);
    expect(shown).toContain(`pool ${pool}, creatorBps 7000, nodeBps 2000, poolBps 1000`);
    expect(shown).toMatch(/proposedParameters +none/);
    expect(shown).toMatch(/baseUri +""/);
    expect(shown).not.toContain("FAIL");
    expect(shown).not.toMatch(/^ +[A-Z_]+ /m);
  });

  it("has a status that shows the split of now, and the base URI that was given", async () => {
    await deploy("--account", secret, "--out", out, "--base-uri", "ipfs://Base/");
    const { settlement } = await AnchorClient.connect(
      await readDeployment(out),
      new Wallet(secretOf(`deployer/${number - 1}`), chain.provider),
    );
    const bounds = ["MIN_CREATOR_BPS", "MIN_NODE_BPS", "MAX_POOL_BPS"].map((name) =>
      new Contract(settlement.address, [`function ${name}() view returns (uint256)`], chain.provider).getFunction(
        name,
      )(),
    );
    expect(await Promise.all(bounds)).toEqual(Object.values(SHARE_BOUNDS));
    const pool = accountOf(secretOf("second pool"));
    await settlement.proposeParameters({ pool, shares: { creator: 6000n, node: 3000n, pool: 1000n } });
    const split = `pool ${pool}, creatorBps 6000, nodeBps 3000, poolBps 1000`;
    const before = await status("--deployment", out);
    expect(before).toMatch(new RegExp(`proposedParameters +${split}`));
    expect(before).toMatch(new RegExp(`parameters +pool ${account}, creatorBps 7000`));
    expect(before).toContain('"ipfs://Base/"');
    await settlement.activateParameters();
    const after = await status("--deployment", out);
    expect(after).toMatch(new RegExp(`  parameters +${split}`));
    expect(after).toMatch(/parameterVersion +2/);
    // Not what the file says, which is no evidence.
    const json = JSON.parse(await readFile(out, "utf8"));
    json.contracts.token.transaction = json.contracts.registry.transaction;
    const altered = await file("altered.json", json);
    expect(await status("--deployment", altered)).not.toContain("baseUri");
    // A contract that is called something else in the file is still compared with what it should be.
    json.contracts.quorum.contract = "Quorum2";
    expect(await status("--deployment", await file("renamed.json", json))).not.toContain("Quorum2");
  });

  it("does not replace a file, nor begin where there is no money", async () => {
    await file("taken.json", "{}");
    const taken = deploy("--account", secret, "--out", join(directory, "taken.json"));
    await expect(taken).rejects.toMatchObject({
      code: "FILE_UNREADABLE",
      message: expect.stringMatching(/taken\.json exists, .*--resume.*--out/),
    });
    const poor = await file("poor", secretOf("poor"));
    await expect(deploy("--account", poor, "--out", out)).rejects.toMatchObject({
      code: "CHAIN_REVERTED",
      details: { error: "INSUFFICIENT_FUNDS" },
      message: expect.stringMatching(/nothing was sent: 0x[0-9a-f]{40} has 0\.0 coins, .* takes about 0\.\d+$/),
    });
    expect(await exists(out)).toBe(false);
    expect(await nonce()).toBe(0);
  });

  it("takes an encrypted account, with the right password", async () => {
    const { address, privateKey } = new Wallet(secretOf(`deployer/${number - 1}`));
    const text = await encryptKeystoreJson({ address, privateKey }, "correct horse", { scrypt: { N: 2, r: 1, p: 1 } });
    const keystore = await file("keystore.json", text);
    const [right, wrong] = [await file("right", "correct horse\n"), await file("wrong", "correct horse battery")];
    const dry = ["--keystore", keystore, "--dry-run"];
    expect(await deploy(...dry, "--password-file", right)).toContain(`from ${account}`);
    const failure = await deploy(...dry, "--password-file", wrong).catch((error: unknown) => error as Error);
    expect(failure).toMatchObject({ code: "INPUT_INVALID" });
    expect(String(failure)).not.toContain("battery");
    process.env["ANCHORPROOF_PASSWORD"] = "correct horse";
    try {
      expect(await deploy(...dry)).toContain(`from ${account}`);
    } finally {
      delete process.env["ANCHORPROOF_PASSWORD"];
    }
    await expect(deploy("--keystore", secret, "--dry-run")).rejects.toMatchObject({ code: "INPUT_INVALID" });
    await expect(deploy(...dry, "--account", secret)).rejects.toMatchObject({ code: "USAGE" });
    await expect(deploy("--dry-run")).rejects.toMatchObject({ code: "USAGE" });
  });

  it("of verifiers takes what the generator writes for their key, and nothing else", async () => {
    const vkey = await file("vkey.json", verifyingKeyToJson(simulateKey(1).vkey));
    const generated = join(directory, "generated");
    await run(contractGenerateCommand, "--vkey", vkey, "--circuit-digest", CIRCUIT_DIGEST, "--out", generated);
    const source = join(generated, "Groth16Verifier.sol");
    await deploy("--account", secret, "--out", out, "--verifier", `${source}=${vkey}`);
    const { contracts } = await readDeploymentRecord(out);
    const [name] = Object.keys(contracts).filter((each) => each.startsWith("verifier 0x"));
    expect(contracts[name!]).toMatchObject({ contract: "Groth16Verifier", deployed: {} });
    const { address } = contracts[name!]!;
    const line = (await status("--deployment", out)).split("\n").find((each) => each.includes(address))!;
    expect(line).toMatch(/^ok .*the code that was deployed; a key's verifier: contract verify-source FILE/);
    expect(line).toContain(`--rpc URL --address ${address}`);
    expect(line).not.toContain("release");

    const altered = await file("altered.sol", (await readFile(source, "utf8")).replace("0x08", "0x09"));
    const other = await file("other.json", verifyingKeyToJson(simulateKey(1, "other").vkey));
    for (const pair of [`${altered}=${vkey}`, `${source}=${other}`]) {
      const failed = deploy("--from", account, "--dry-run", "--verifier", pair);
      await expect(failed).rejects.toMatchObject({ code: "CONTRACT_MISMATCH" });
    }
  });
});

describe("after an interruption", () => {
  it.each([
    ["before a transaction was sent", "before"],
    ["after it was sent, and before that was noted", "after"],
  ] as const)("%s, a deployment goes on with the same file", async (_, when) => {
    await interrupted(3, when);
    const before = await readDeploymentRecord(out);
    expect(Object.values(before.contracts).filter(({ deployed }) => deployed)).toHaveLength(2);
    await expect(readDeployment(out)).rejects.toMatchObject({ code: "INPUT_INVALID" });
    await expect(status("--deployment", out)).rejects.toMatchObject({
      code: "CONTRACT_MISMATCH",
      details: { missing: ["quorum", "token", "gate", "settlement", "zkmlVerifier", "lazaiVerifier"] },
    });

    const plan = JSON.parse(await deploy("--account", secret, "--out", out, "--resume", "--dry-run", "--json"));
    const there = when === "before" ? 2 : 3;
    expect(plan.contracts.map(({ deployed }: { deployed: boolean }) => deployed)).toEqual(
      plan.contracts.map((_: unknown, i: number) => i < there),
    );
    await deploy("--account", secret, "--out", out, "--resume");
    const after = await readDeploymentRecord(out);
    for (const [name, entry] of Object.entries(before.contracts)) {
      if (entry.deployed) expect(after.contracts[name]).toEqual(entry);
    }
    // Nothing was deployed twice.
    expect(await nonce()).toBe(Object.keys(after.contracts).length);
    expect(await status("--deployment", out)).not.toContain("FAIL");
    expect((await deploy("--account", secret, "--out", out, "--resume")).match(/there already/g)).toHaveLength(
      plan.contracts.length,
    );
  });

  it("between two contracts, its status names those that no file mentions, and fails", async () => {
    const signer = new Wallet(secretOf(`deployer/${number - 1}`), chain.provider);
    const stop = new AbortController();
    const stopped = deployProtocol(signer, {
      signal: stop.signal,
      save: async (record) => {
        await writeDeploymentRecord(out, record);
        if (record.contracts["quorum"]?.deployed) stop.abort();
      },
    });
    await expect(stopped).rejects.toMatchObject({ code: "ABORTED" });
    const { contracts } = await readDeploymentRecord(out);
    expect(Object.values(contracts).map(({ deployed }) => deployed !== undefined)).toEqual([true, true, true]);
    await expect(status("--deployment", out)).rejects.toMatchObject({
      code: "CONTRACT_MISMATCH",
      message: expect.stringContaining("token, gate, settlement, zkmlVerifier, lazaiVerifier missing"),
    });
    expect(printed.match(/^ok /gm)).toHaveLength(3);
    expect(printed.match(/^FAIL \w+ +at no address yet +NOT DEPLOYED/gm)).toHaveLength(5);
  });

  it("a token whose gate can no longer have its address is abandoned, and all is consistent", async () => {
    const planned = JSON.parse(await deploy("--from", account, "--dry-run", "--json")).contracts;
    await interrupted(1 + planned.findIndex(({ name }: { name: string }) => name === "gate"), "before");
    const before = await readDeploymentRecord(out);
    expect(before.contracts["token"]!.deployed).toBeDefined();
    await new Wallet(secretOf(`deployer/${number - 1}`), chain.provider).sendTransaction({ to: account, value: 1n });
    const text = await deploy("--account", secret, "--out", out, "--resume");
    expect(text).toContain(`${before.contracts["token"]!.address} is abandoned`);
    const after = await readDeploymentRecord(out);
    expect(after.contracts["registry"]).toEqual(before.contracts["registry"]);
    expect(after.contracts["token"]!.address).not.toBe(before.contracts["token"]!.address);
    const client = await AnchorClient.connect(await readDeployment(out), chain.provider);
    expect((await status("--deployment", out)).match(/^ok/gm)).toHaveLength(Object.keys(after.contracts).length);
    expect(client.deployment.gate).toBe(after.contracts["gate"]!.address);
  });

  it("is not gone on with by another account, with other parameters, or where another contract is", async () => {
    await interrupted(3, "before");
    const resume = ["--out", out, "--resume"];
    const other = await file("other", secretOf("other"));
    await expect(deploy("--account", other, ...resume)).rejects.toMatchObject({ code: "INPUT_INVALID" });
    const pool = ["--pool", accountOf(secretOf("somebody"))];
    await expect(deploy("--account", secret, ...resume, ...pool)).rejects.toMatchObject({ code: "INPUT_INVALID" });
    await expect(deploy("--account", secret, ...resume, "--node-bps", "2500")).rejects.toMatchObject({
      code: "INPUT_INVALID",
      message: "the deployment was begun with --node-bps 2000, not 2500",
    });
    const { registry } = (await readDeploymentRecord(out)).contracts;
    const code = await chain.provider.getCode(registry!.address);
    await chain.provider.send("anvil_setCode", [registry!.address, "0x00"]);
    await expect(deploy("--account", secret, ...resume)).rejects.toMatchObject({ code: "CONTRACT_MISMATCH" });
    // The right code with another immutable is other code as well.
    await chain.provider.send("anvil_setCode", [registry!.address, `${code.slice(0, -2)}ff`]);
    await expect(deploy("--account", secret, ...resume)).rejects.toMatchObject({ code: "CONTRACT_MISMATCH" });
    await chain.provider.send("anvil_setCode", [registry!.address, code]);
    await deploy("--account", secret, ...resume);
  });

  it("the library's caller can stop it as well, and go on", async () => {
    const signer = new Wallet(secretOf(`deployer/${number - 1}`), chain.provider);
    const stop = new AbortController();
    let last: Parameters<NonNullable<Parameters<typeof deployProtocol>[1]>["save"] & {}>[0] | undefined;
    const stopped = deployProtocol(signer, {
      signal: stop.signal,
      save: async (record) => {
        last = record;
        if (Object.values(record.contracts).filter(({ deployed }) => deployed).length === 2) stop.abort();
      },
    });
    await expect(stopped).rejects.toMatchObject({ code: "ABORTED" });
    const deployment = await deployProtocol(signer, { record: last });
    expect(deployment.registry).toBe(last!.contracts["registry"]!.address);
    expect(await nonce()).toBe(Object.keys(deployment).length - 1);
  });
});

describe("other chains", () => {
  it("are not taken for the one that was meant, and nobody owns anything there by default", async () => {
    await deploy("--account", secret, "--out", out);
    const mainland = await startAnvil({ chainId: 1 });
    const twin = await startAnvil();
    try {
      const at = (url: string, ...args: string[]) =>
        run(contractDeployCommand, "--rpc", url, "--account", secret, "--dry-run", ...args);
      await expect(at(mainland.url, "--chain-id", "31337")).rejects.toMatchObject({ code: "INPUT_INVALID" });
      const somebody = accountOf(secretOf("somebody"));
      const all = ["owner", "guardian", "pool", "treasury"].map((name) => [`--${name}`, somebody]);
      for (const left of all) {
        const said = all.filter((each) => each !== left).flat();
        const failure = await at(mainland.url, ...said).catch((error: Error) => error);
        expect(failure).toMatchObject({ code: "USAGE", message: expect.stringContaining(left[0]!) });
      }
      expect(await at(mainland.url, ...all.flat())).toMatch(/^chain 1, /);
      const elsewhere = at(mainland.url, "--out", out, "--resume");
      await expect(elsewhere).rejects.toMatchObject({ code: "INPUT_INVALID" });
      // The same id, and not the same chain.
      await expect(at(twin.url, "--out", out, "--resume")).rejects.toMatchObject({ code: "CONTRACT_MISMATCH" });
      const there = (url: string) => run(contractStatusCommand, "--rpc", url, "--deployment", out);
      await expect(there(mainland.url)).rejects.toMatchObject({ code: "CHAIN_UNAVAILABLE" });
      await expect(there(twin.url)).rejects.toMatchObject({ code: "CONTRACT_MISMATCH" });
      await expect(there("http://127.0.0.1:9")).rejects.toMatchObject({ code: "CHAIN_UNAVAILABLE" });
    } finally {
      await Promise.all([mainland.stop(), twin.stop()]);
    }
  });

  it("a development verifier is not deployed on them", async () => {
    const vkey = await file("vkey.json", verifyingKeyToJson(simulateKey(1).vkey));
    const generated = join(directory, "generated");
    const mainland = await startAnvil({ chainId: 1 });
    try {
      const somebody = accountOf(secretOf("somebody"));
      const all = ["owner", "guardian", "pool", "treasury"].flatMap((name) => [`--${name}`, somebody]);
      await run(
        contractGenerateCommand,
        "--vkey",
        vkey,
        "--circuit-digest",
        CIRCUIT_DIGEST,
        "--out",
        generated,
        "--force",
      );
      const pair = `${join(generated, "Groth16Verifier.sol")}=${vkey}`;
      const args = ["--rpc", mainland.url, "--from", account, "--dry-run", "--verifier", pair, ...all];
      await expect(run(contractDeployCommand, ...args)).rejects.toMatchObject({ code: "KEY_DEVELOPMENT" });
    } finally {
      await mainland.stop();
    }
  });
});

describe("a deployment's file", () => {
  it("is read strictly", async () => {
    await deploy("--account", secret, "--out", out);
    const good = JSON.parse(await readFile(out, "utf8"));
    const broken = async (change: (json: typeof good) => void) => {
      const json = structuredClone(good);
      change(json);
      return readDeployment(await file("broken.json", json)).then(
        () => "read",
        (error: { code: string }) => error.code,
      );
    };
    expect(await broken(() => {})).toBe("read");
    expect(await broken((json) => (json.format = "anchorproof/deployment@2"))).toBe("FORMAT_UNSUPPORTED");
    expect(await broken((json) => (json.more = "1"))).toBe("INPUT_INVALID");
    expect(await broken((json) => (json.chainId = 31337))).toBe("INPUT_INVALID");
    expect(await broken((json) => (json.parameters.owner = "0x12"))).toBe("INPUT_INVALID");
    expect(await broken((json) => delete json.parameters.guardian)).toBe("INPUT_INVALID");
    expect(await broken((json) => (json.contracts.gate.address = json.contracts.gate.address.toUpperCase()))).toBe(
      "INPUT_INVALID",
    );
    expect(await broken((json) => delete json.contracts.gate.codeHash)).toBe("INPUT_INVALID");
    expect(await broken((json) => delete json.contracts.gate)).toBe("INPUT_INVALID");
    expect(await broken((json) => (json.contracts.gate.nonce = "-1"))).toBe("INPUT_INVALID");
    await expect(readDeployment(join(directory, "missing.json"))).rejects.toMatchObject({ code: "FILE_NOT_FOUND" });
    await expect(readDeployment(await file("bad.json", "{"))).rejects.toMatchObject({ code: "JSON_MALFORMED" });
  });
});
