/**
 * The ladder of gas: what things cost on chain, in real transactions on anvil under Osaka's rules, with the settings that
 * ship. Gas is deterministic: keys, proofs, accounts and times come from seeds, so a snapshot of it is held exactly.
 *
 * Proofs are simulated, under keys whose trapdoor is known; to a verifier they are like any other. Keys are such as have a
 * ceremony (a development key costs the same, but for its look at the chain id). snarkjs' verifier, where snarkjs is
 * installed, is made from its own template and executed, and nothing of it is kept: it is GPL.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import {
  Contract,
  ContractFactory,
  type InterfaceAbi,
  type JsonRpcProvider,
  type JsonRpcSigner,
  type TransactionReceipt,
  type TransactionResponse,
} from "ethers";
import { findAnvil, startAnvil } from "../chain/anvil.js";
import { AnchorClient, encodeCertificate } from "../chain/client/index.js";
import {
  artefact,
  type ContractArtefact,
  compileContracts,
  compileProtocolContracts,
  protocolSources,
} from "../chain/compile.js";
import { type Deployment, planDeployment, runDeployment } from "../chain/deploy.js";
import { renderVerifier } from "../chain/generate.js";
import { connectProvider, untilMined } from "../chain/provider.js";
import { AnchorError, throwIfAborted } from "../errors.js";
import { type Hex, keccak, toHex, utf8, word } from "../field/bytes.js";
import { batchDigest, makeBatch } from "../protocol/batch.js";
import type { Domain } from "../protocol/eip712.js";
import { type Certificate, type Epoch, signVote, VERDICTS, type Vote } from "../protocol/quorum.js";
import { NATIVE_CURRENCY, type Receipt, receiptDigest } from "../protocol/settlement.js";
import { accountOf, signDigest } from "../protocol/signature.js";
import {
  ASSET_CLASSES,
  type Asset,
  datId,
  type InferenceStatement,
  OPEN_TERMS,
  publicSignals,
  type StatementName,
  type Statements,
  statementDigest,
  type Task,
} from "../protocol/statements.js";
import {
  evidenceDigest,
  type Groth16Item,
  keyDigest,
  keyWords,
  proofWords,
  type VerifyingKey,
} from "../verifier/groth16.js";
import type { Results, Settings } from "./contest.js";
import { type SimulatedKey, scalar, simulateKey, simulateProof } from "./simulated.js";

const require = createRequire(import.meta.url);

export interface GasRow {
  /** What kind of thing, such as "verifier". */
  group: string;
  /** The thing, unique in its group. */
  name: string;
  /** Of the whole transaction. */
  gas: number;
  /** What the transaction does several of. */
  items?: number;
  /** Bytes of the deployed code. */
  code?: number;
  /** Of the same thing by snarkjs' verifier for the same key. */
  snarkjs?: number;
}

/** What the issue allows, per item. */
interface Bar {
  group: string;
  name: string;
  limit: number;
}

export const BARS: readonly Bar[] = [
  { group: "verifier", name: "1 signal", limit: 214_000 },
  { group: "verifier", name: "4 signals", limit: 235_000 },
  { group: "batch, 1 signal", name: "16 proofs", limit: 63_000 },
  { group: "certificate", name: "5 of 7", limit: 65_000 },
];
/** How much dearer a proof may be for a contract through the router. */
export const ROUTER_LIMIT = 6_000;

const SIGNALS = [1, 2, 4, 8, 16, 32] as const;
/** Sizes of batches, by the number of signals. */
const BATCHES: Readonly<Record<number, readonly number[]>> = { 1: [1, 4, 16, 64], 4: [1, 4, 16] };
/** More than two thirds of equal weights, in each. */
const QUORUMS = [
  [3, 4],
  [5, 7],
  [13, 19],
  [21, 31],
] as const;
const VALIDATORS = 7;
const VOTERS = 5;

/** The most of a transaction (EIP-7825). */
const GAS_LIMIT = 16_777_216n;

const CIRCUIT_DIGEST = digestOf("gas/circuit");
const CEREMONY = digestOf("gas/ceremony");
const MODEL_DIGEST = digestOf("gas/model");
/** Far enough for any clock of the machine: in calldata, where a byte that is zero costs less. */
const DEADLINE = 4_102_444_800n;

export interface GasOptions {
  signal?: AbortSignal | undefined;
  /** Whether snarkjs' verifiers are measured as well, where snarkjs is installed. */
  snarkjs?: boolean | undefined;
  onStep?: ((step: string, done?: number) => void) | undefined;
  onNote?: ((note: string) => void) | undefined;
}

export async function gasLadder(settings: Settings, results: Results): Promise<void> {
  try {
    findAnvil();
  } catch (error) {
    results.note(`gas is not measured: ${(error as Error).message}`);
    return;
  }
  const { signal, peers, onStep } = settings;
  const rows = await measureGas({ signal, snarkjs: peers, onStep, onNote: (note) => results.note(note) });
  results.gas(rows);
}

/**
 * All rows. Takes a few seconds once the contracts are compiled.
 *
 * @throws CHAIN_UNAVAILABLE without anvil; CHAIN_REVERTED, CONTRACT_COMPILE, ABORTED
 */
export async function measureGas(options: GasOptions = {}): Promise<GasRow[]> {
  const { signal, onStep } = options;
  onStep?.("compiling the contracts");
  const contracts = await compileBench(options);
  const anvil = await startAnvil({ hardfork: "osaka", signal });
  const provider = await connectProvider(anvil.url, { pollingInterval: 5, signal });
  try {
    const bench = new Bench(provider, await accountsOf(provider), contracts, options);
    await bench.verifiers();
    await bench.batches();
    const world = await bench.world();
    await bench.routes(world);
    await bench.certificates(world);
    const epoch = await setEpoch(world, VALIDATORS);
    await bench.statements(world, epoch);
    await bench.receipts(world);
    return bench.rows;
  } finally {
    provider.destroy();
    await anvil.stop();
  }
}

interface BenchContracts {
  own: Record<string, ContractArtefact>;
  /** By the number of signals; empty where snarkjs is not installed. */
  snarkjs: ReadonlyMap<number, ContractArtefact>;
}

const KEYS = new Map(SIGNALS.map((n) => [n as number, simulateKey(n, "gas")]));
const DATASET_KEY = simulateKey(4, "gas/dataset");
const INFERENCE_KEY = simulateKey(3, "gas/inference");

/** Both calls with the same call data, so that the difference is the router's. */
const CALLER = `// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IVerifierRegistry} from "./verifier/IVerifierRegistry.sol";

interface IVerifier4 {
    function verifyProof(uint256[8] calldata proof, uint256[4] calldata publicSignals) external view;
}

contract Caller {
    function direct(address to, bytes32, uint256[8] calldata proof, uint256[] calldata signals) external view {
        IVerifier4(to).verifyProof(proof, abi.decode(abi.encodePacked(signals), (uint256[4])));
    }

    function routed(address to, bytes32 key, uint256[8] calldata proof, uint256[] calldata signals) external view {
        IVerifierRegistry(to).verify(key, proof, signals);
    }
}
`;

async function compileBench(options: GasOptions): Promise<BenchContracts> {
  const sources: Record<string, string> = {};
  const add = (contractName: string, { vkey }: SimulatedKey, batch = false) => {
    sources[`${contractName}.sol`] = renderVerifier({
      vkey,
      contractName,
      batch,
      circuitDigest: CIRCUIT_DIGEST,
      development: false,
      ceremonyId: CEREMONY,
    });
  };
  for (const [n, key] of KEYS) add(`V${n}`, key);
  for (const n of Object.keys(BATCHES).map(Number)) add(`B${n}`, KEYS.get(n)!, true);
  add("DatasetVerifier", DATASET_KEY);
  add("InferenceVerifier", INFERENCE_KEY);
  add("InferenceBatchVerifier", INFERENCE_KEY, true);
  const protocol = await protocolSources();
  for (const path of ["verifier/IVerifierRegistry.sol", "verifier/IGroth16Verifier.sol"]) {
    sources[path] = protocol[path]!;
  }
  sources["Caller.sol"] = CALLER;
  const own = { ...(await compileContracts(sources, options)), ...(await compileProtocolContracts(options)) };
  return { own, snarkjs: await compileSnarkjs(options) };
}

/** From the template in snarkjs' own package, which compiles and runs, and of which nothing is written anywhere but the cache. */
async function compileSnarkjs(options: GasOptions): Promise<ReadonlyMap<number, ContractArtefact>> {
  const all = new Map<number, ContractArtefact>();
  if (!options.snarkjs) return all;
  let template: string;
  let render: (template: string, data: unknown) => string;
  try {
    // Its package.json cannot be asked for; its entry is a level below it.
    const folder = join(dirname(require.resolve("snarkjs")), "..");
    template = await readFile(join(folder, "templates", "verifier_groth16.sol.ejs"), "utf8");
    render = (createRequire(join(folder, "package.json"))("ejs") as { render: typeof render }).render;
  } catch {
    options.onNote?.("snarkjs' template is not installed: no comparison");
    return all;
  }
  const sources: Record<string, string> = {};
  for (const [n, { vkey }] of KEYS) {
    const name = `S${n}`;
    sources[`${name}.sol`] = render(template, snarkjsKey(vkey)).replace("contract Groth16Verifier", `contract ${name}`);
  }
  const compiled = await compileContracts(sources, options);
  for (const n of KEYS.keys()) all.set(n, artefact(compiled, `S${n}`));
  return all;
}

/** As snarkjs' own export gives a key to the template. */
function snarkjsKey({ nPublic, alpha, beta, gamma, delta, ic }: VerifyingKey): Record<string, unknown> {
  const text = (values: readonly bigint[]) => values.map(String);
  const g2 = ([x, y]: VerifyingKey["beta"]) => [text(x), text(y), ["1", "0"]];
  return {
    protocol: "groth16",
    curve: "bn128",
    nPublic,
    vk_alpha_1: text(alpha),
    vk_beta_2: g2(beta),
    vk_gamma_2: g2(gamma),
    vk_delta_2: g2(delta),
    IC: ic.map(text),
  };
}

async function accountsOf(provider: JsonRpcProvider): Promise<JsonRpcSigner[]> {
  return Promise.all(Array.from({ length: 4 }, (_, i) => provider.getSigner(i)));
}

/** A deployment with keys, in which there is something to measure. */
interface World {
  deployment: Deployment;
  owner: AnchorClient;
  datasetVerifier: Contract;
  datasetKey: Hex;
  inferenceKey: Hex;
}

class Bench {
  readonly rows: GasRow[] = [];
  readonly #provider: JsonRpcProvider;
  readonly #accounts: readonly JsonRpcSigner[];
  readonly #own: Record<string, ContractArtefact>;
  readonly #snarkjs: ReadonlyMap<number, ContractArtefact>;
  readonly #options: GasOptions;

  constructor(
    provider: JsonRpcProvider,
    accounts: readonly JsonRpcSigner[],
    { own, snarkjs }: BenchContracts,
    options: GasOptions,
  ) {
    this.#provider = provider;
    this.#accounts = accounts;
    this.#own = own;
    this.#snarkjs = snarkjs;
    this.#options = options;
  }

  #step(step: string): void {
    throwIfAborted(this.#options.signal);
    this.#options.onStep?.(step);
  }

  #add(group: string, name: string, gas: bigint, more: Omit<GasRow, "group" | "name" | "gas"> = {}): void {
    this.rows.push({ group, name, gas: Number(gas), ...more });
  }

  /** Deploys from the first account. */
  async #deploy(compiled: ContractArtefact, ...args: unknown[]): Promise<{ contract: Contract; gas: bigint }> {
    const deployed = await new ContractFactory(compiled.abi, compiled.bytecode, this.#accounts[0]).deploy(...args);
    const { gasUsed } = await this.#mined(deployed.deploymentTransaction()!);
    return { contract: deployed as Contract, gas: gasUsed };
  }

  /** A real transaction, of a function that only looks as well. */
  async #send(contract: Contract, method: string, args: unknown[], value = 0n): Promise<bigint> {
    // Given, not estimated: a verifier that answers false when it runs out of gas would be given too little.
    const response = await contract.getFunction(method).send(...args, { value, gasLimit: GAS_LIMIT });
    const { status, gasUsed } = await this.#mined(response);
    if (status !== 1) throw new AnchorError("INTERNAL", `the benchmark's ${method} failed`);
    return gasUsed;
  }

  async #mined({ hash }: TransactionResponse): Promise<TransactionReceipt> {
    await untilMined(this.#provider, hash, this.#options.signal);
    return (await this.#provider.getTransactionReceipt(hash))!;
  }

  async verifiers(): Promise<void> {
    for (const [n, key] of KEYS) {
      this.#step(`verifiers of ${n} signals`);
      const compiled = artefact(this.#own, `V${n}`);
      const { contract, gas: deployment } = await this.#deploy(compiled);
      const { proof, publicSignals: signals } = item(key, `single/${n}`);
      const gas = await this.#send(contract, "verifyProof", [proofWords(proof), signals]);
      const theirs = this.#snarkjs.get(n);
      let snarkjs: bigint | undefined;
      let snarkjsDeployment: bigint | undefined;
      if (theirs) {
        const other = await this.#deploy(theirs);
        const [ax, ay, bx1, bx0, by1, by0, cx, cy] = proofWords(proof) as unknown as bigint[];
        const points = [
          [ax, ay],
          [
            [bx1, bx0],
            [by1, by0],
          ],
          [cx, cy],
          signals,
        ];
        if ((await other.contract.getFunction("verifyProof").staticCall(...points)) !== true) {
          throw new AnchorError("INTERNAL", "snarkjs' verifier refuses a proof that ours takes");
        }
        snarkjs = await this.#send(other.contract, "verifyProof", points);
        snarkjsDeployment = other.gas;
      }
      const name = n === 1 ? "1 signal" : `${n} signals`;
      this.#add("verifier", name, gas, snarkjs === undefined ? {} : { snarkjs: Number(snarkjs) });
      const peer = snarkjsDeployment === undefined ? {} : { snarkjs: Number(snarkjsDeployment) };
      this.#add("deployment", `verifier of ${name}`, deployment, { code: compiled.deployedSize, ...peer });
    }
  }

  async batches(): Promise<void> {
    for (const [n, sizes] of Object.entries(BATCHES).map(([key, value]) => [Number(key), value] as const)) {
      this.#step(`batches of proofs with ${n} signals`);
      const compiled = artefact(this.#own, `B${n}`);
      const { contract, gas: deployment } = await this.#deploy(compiled);
      const signals = n === 1 ? "1 signal" : `${n} signals`;
      this.#add("deployment", `batch verifier of ${signals}`, deployment, { code: compiled.deployedSize });
      for (const count of sizes) {
        const items = Array.from({ length: count }, (_, i) => item(KEYS.get(n)!, `batch/${n}/${i}`));
        const proofs = items.map(({ proof }) => proofWords(proof));
        const all = items.flatMap(({ publicSignals }) => [...publicSignals]);
        const gas = await this.#send(contract, "verifyBatch", [proofs, all]);
        this.#add(`batch, ${signals}`, count === 1 ? "1 proof" : `${count} proofs`, gas, { items: count });
      }
    }
  }

  /** The protocol's contracts, and the keys of datasets and inferences. */
  async world(): Promise<World> {
    this.#step("deploying the protocol");
    const [signer] = this.#accounts;
    const plan = await planDeployment(signer!, { ...this.#options, withdrawalDelay: 3600n });
    const record = await runDeployment(signer!, plan, { signal: this.#options.signal });
    for (const { contract, deployed } of Object.values(record.contracts)) {
      const code = artefact(this.#own, contract).deployedSize;
      this.#add("deployment", contract, deployed!.gasUsed!, { code });
    }
    const addresses = Object.fromEntries(plan.contracts.map(({ name, address }) => [name, address]));
    const deployment = { chainId: plan.chainId, ...addresses } as unknown as Deployment;
    const owner = await AnchorClient.connect(deployment, signer!, this.#options);

    const deployKey = async (name: string) => (await this.#deploy(artefact(this.#own, name))).contract;
    const datasetVerifier = await deployKey("DatasetVerifier");
    const inferenceVerifier = await deployKey("InferenceVerifier");
    const batchVerifier = await deployKey("InferenceBatchVerifier");
    const datasetKey = keyDigest(DATASET_KEY.vkey);
    const inferenceKey = keyDigest(INFERENCE_KEY.vkey);
    const common = { circuitDigest: CIRCUIT_DIGEST, development: false, ceremony: CEREMONY };
    const proposed = await owner.registry.propose({
      ...common,
      keyDigest: datasetKey,
      verifier: await addressOf(datasetVerifier),
      circuitType: "datasetChunk",
    });
    const activated = await owner.registry.activate(datasetKey);
    this.#add("registry", "propose a key", proposed.gasUsed);
    this.#add("registry", "activate a key", activated.gasUsed);
    await owner.registry.add({
      ...common,
      keyDigest: inferenceKey,
      verifier: await addressOf(inferenceVerifier),
      circuitType: "inference",
      modelDigest: MODEL_DIGEST,
    });
    await owner.registry.addBatchVerifier(inferenceKey, await addressOf(batchVerifier));
    return { deployment, owner, datasetVerifier, datasetKey, inferenceKey };
  }

  /** One proof by its own contract, by the registry, and by the universal verifier. */
  async routes({ deployment, datasetVerifier, datasetKey }: World): Promise<void> {
    this.#step("the router and the universal verifier");
    const { proof, publicSignals: signals } = item(DATASET_KEY, "route");
    const registry = this.#at(deployment.registry, "VerifierRegistry");
    const routed = await this.#send(registry, "verify", [datasetKey, proofWords(proof), signals]);
    this.#add("router", "4 signals, in a transaction of its own", routed);
    // What it costs a contract: the same call data, and one of two calls.
    const { contract: caller } = await this.#deploy(artefact(this.#own, "Caller"));
    for (const [method, to] of [
      ["direct", await addressOf(datasetVerifier)],
      ["routed", deployment.registry],
    ] as const) {
      const gas = await this.#send(caller, method, [to, datasetKey, proofWords(proof), signals]);
      this.#add("router", `4 signals, called by a contract, ${method}`, gas);
    }

    const { contract: universal } = await this.#deploy(artefact(this.#own, "UniversalVerifier"));
    for (const n of [1, 4]) {
      const key = KEYS.get(n)!;
      const name = n === 1 ? "1 signal" : `${n} signals`;
      const stored = await this.#send(universal, "store", [keyWords(key.vkey), CEREMONY]);
      const own = item(key, `universal/${n}`);
      const args = [keyDigest(key.vkey), CEREMONY, proofWords(own.proof), own.publicSignals];
      this.#add("universal verifier", name, await this.#send(universal, "verify", args));
      this.#add("universal verifier", `store a key of ${name}`, stored);
    }
  }

  async certificates(world: World): Promise<void> {
    const quorum = this.#at(world.deployment.quorum, "Quorum");
    const domain = at(world, "quorum");
    const subject = {
      taskId: digestOf("gas/certificate/task"),
      statementDigest: digestOf("gas/certificate/statement"),
      evidenceDigest: digestOf("gas/certificate/evidence"),
    };
    for (const [signers, members] of QUORUMS) {
      this.#step(`certificates of ${signers} signers`);
      const epoch = await setEpoch(world, members);
      const encoded = encodeCertificate(epoch, certify(domain, epoch, signers, subject));
      const { taskId, statementDigest: statement, evidenceDigest: evidence } = subject;
      const gas = await this.#send(quorum, "check", [taskId, statement, evidence, VERDICTS.accept, encoded]);
      this.#add("certificate", `${signers} of ${members}`, gas);
    }
  }

  async statements(world: World, epoch: Epoch): Promise<void> {
    this.#step("minting");
    const gate = at(world, "gate");
    const contract = this.#at(world.deployment.gate, "MintGate");
    const mint = async <N extends StatementName>(
      name: N,
      method: string,
      statement: Statements[N],
      key: SimulatedKey,
      task: Task,
    ): Promise<bigint> => {
      const signals = publicSignals(gate, name, statement);
      const proof = simulateProof(key, signals, method);
      const subject = {
        taskId: task.taskId,
        statementDigest: statementDigest(gate, name, statement),
        evidenceDigest: evidenceDigest(keyDigest(key.vkey), signals, proof),
      };
      const certificate = encodeCertificate(epoch, certify(at(world, "quorum"), epoch, VOTERS, subject));
      return this.#send(contract, method, [statement, proofWords(proof), certificate]);
    };
    const asset = (assetClass: bigint, commitment: Hex, more: Partial<Asset> = {}): Asset => ({
      token: world.deployment.token,
      fileId: 0n,
      class: assetClass,
      commitment,
      metadataDigest: digestOf("gas/metadata"),
      supply: 100n,
      parents: [],
      terms: OPEN_TERMS,
      ...more,
    });
    const root = toHex(word(scalar("gas/root")));
    const task = this.#task(world.datasetKey, "dataset");
    const dataset = { task, asset: asset(ASSET_CLASSES.dataset, root), chunkIndex: 3n, chunkRecords: 128n };
    this.#add("gate", "mintDataset", await mint("DatasetStatement", "mintDataset", dataset, DATASET_KEY, task));

    const inference = (label: string): InferenceStatement => ({
      task: this.#task(world.inferenceKey, label),
      modelDigest: MODEL_DIGEST,
      output: 7n,
      inputCommitment: scalar(`gas/${label}`),
    });
    const sample = inference("sample");
    const model = {
      asset: asset(ASSET_CLASSES.model, MODEL_DIGEST, { parents: [datId(ASSET_CLASSES.dataset, root)] }),
      circuitDigest: CIRCUIT_DIGEST,
      sample,
    };
    const minted = await mint("ModelStatement", "mintModel", model, INFERENCE_KEY, sample.task);
    this.#add("gate", "mintModel, with one parent", minted);

    const prove = (statement: InferenceStatement, seed: string) =>
      proofWords(simulateProof(INFERENCE_KEY, publicSignals(gate, "InferenceStatement", statement), seed));
    const one = inference("one");
    this.#add("gate", "verifyInference", await this.#send(contract, "verifyInference", [one, prove(one, "one")]));
    const many = Array.from({ length: 16 }, (_, i) => inference(`many/${i}`));
    const proofs = many.map((statement, i) => prove(statement, `many/${i}`));
    const gas = await this.#send(contract, "verifyInferences", [many, proofs]);
    this.#add("gate", "verifyInferences of 16", gas, { items: 16 });
  }

  async receipts(world: World): Promise<void> {
    this.#step("settling");
    const settlement = at(world, "settlement");
    const contract = this.#at(world.deployment.settlement, "UsageSettlement");
    const [user, node] = [secretOf("user"), secretOf("node")];
    const parties = { user: accountOf(user), node: accountOf(node) };
    const receipt = (label: string, nonce: bigint): Receipt => ({
      ...parties,
      datId: datId(ASSET_CLASSES.model, MODEL_DIGEST),
      nonce,
      cost: 1_000_000_007n,
      costCap: 2_000_000_000n,
      token: NATIVE_CURRENCY,
      parameterVersion: 1n,
      deadline: DEADLINE,
      usage: 1000n,
      requestHash: digestOf(`gas/request/${label}`),
      responseHash: digestOf(`gas/response/${label}`),
      evidenceDigest: digestOf(`gas/evidence/${label}`),
    });
    const amount = 10n ** 18n;
    const first = await this.#send(contract, "deposit", [NATIVE_CURRENCY, amount], amount);
    this.#add("settlement", "deposit, the first", first);
    this.#add("settlement", "deposit", await this.#send(contract, "deposit", [NATIVE_CURRENCY, amount], amount));
    await this.#send(contract, "depositFor", [parties.user, NATIVE_CURRENCY, amount], amount);

    const claim = async (label: string, nonce: bigint) => {
      const signed = receipt(label, nonce);
      const digest = receiptDigest(settlement, signed);
      return this.#send(contract, "claim", [signed, signDigest(user, digest), signDigest(node, digest)]);
    };
    this.#add("settlement", "claim, the first", await claim("first", 1n));
    this.#add("settlement", "claim", await claim("second", 2n));

    for (const [i, count] of [10, 100].entries()) {
      const receipts = Array.from({ length: count }, (_, n) => receipt(`many/${i}/${n}`, BigInt(1000 * (i + 1) + n)));
      const digests = receipts.map((each) => receiptDigest(settlement, each));
      const [users, nodes] = [user, node].map((secret) => digests.map((digest) => signDigest(secret, digest)));
      if (count === 10) {
        const gas = await this.#send(contract, "claimMany", [receipts, users, nodes]);
        this.#add("settlement", `claimMany of ${count}`, gas, { items: count });
      }
      const fresh = receipts.map((each) => ({ ...each, nonce: each.nonce + 500n }));
      const { batch, tree } = makeBatch(settlement, fresh, { nonce: BigInt(i + 1), deadline: DEADLINE });
      const digest = batchDigest(settlement, batch);
      const { order, proof, flags } = tree.prove(fresh.map((_, n) => n));
      const chosen = order.map((position) => fresh[position]);
      const signatures = [signDigest(user, digest), signDigest(node, digest)];
      const gas = await this.#send(contract, "claimBatch", [batch, ...signatures, chosen, proof, flags]);
      this.#add("settlement", `claimBatch of ${count}`, gas, { items: count });
    }
    await this.#send(contract, "requestWithdrawal", [NATIVE_CURRENCY, amount]);
    await this.#provider.send("evm_increaseTime", [3601]);
    const completed = await this.#send(contract, "completeWithdrawal", [NATIVE_CURRENCY]);
    this.#add("settlement", "completeWithdrawal", completed);
    // The deployer is also the pool.
    this.#add("settlement", "withdraw", await this.#send(contract, "withdraw", [NATIVE_CURRENCY]));
  }

  #task(key: Hex, label: string): Task {
    return {
      keyDigest: key,
      taskId: digestOf(`gas/task/${label}`),
      requester: accountOf(secretOf("requester")),
      payee: accountOf(secretOf("payee")),
      nonce: 1n,
      deadline: DEADLINE,
    };
  }

  #at(address: Hex, name: string): Contract {
    return new Contract(address, artefact(this.#own, name).abi as InterfaceAbi, this.#accounts[0]);
  }
}

/** A key's proof of some signals, with the context last. */
function item(key: SimulatedKey, seed: string): Groth16Item {
  const signals = Array.from({ length: key.vkey.nPublic }, (_, i) => scalar(`gas/signal/${seed}/${i}`));
  return { publicSignals: signals, proof: simulateProof(key, signals, `gas/proof/${seed}`) };
}

/** Replaces the validators by that many, of equal weight. */
async function setEpoch({ owner }: World, members: number): Promise<Epoch> {
  const accounts = Array.from({ length: members }, (_, i) => accountOf(validatorOf(i))).sort();
  const { epoch: last } = await owner.quorum.epoch();
  const epoch = { epoch: last + 1n, members: accounts.map((account) => ({ account, weight: 100n })) };
  await owner.quorum.setEpoch(epoch);
  return epoch;
}

function certify(
  domain: Domain,
  { epoch, members }: Epoch,
  signers: number,
  subject: Pick<Vote, "taskId" | "statementDigest" | "evidenceDigest">,
): Certificate {
  const secrets = new Map(members.map((_, i) => [accountOf(validatorOf(i)), validatorOf(i)]));
  const vote = { epoch, round: 0n, verdict: VERDICTS.accept, ...subject };
  const votes = members.slice(0, signers).map(({ account }) => ({
    validator: account,
    signature: signVote(domain, vote, secrets.get(account)!),
  }));
  return { epoch, round: 0n, votes };
}

function at({ deployment }: World, name: "gate" | "quorum" | "settlement"): Domain {
  return { chainId: deployment.chainId, verifyingContract: deployment[name] };
}

async function addressOf(contract: Contract): Promise<Hex> {
  return (await contract.getAddress()).toLowerCase() as Hex;
}

function validatorOf(index: number): Hex {
  return secretOf(`validator/${index}`);
}

function secretOf(label: string): Hex {
  return digestOf(`gas/secret/${label}`);
}

function digestOf(label: string): Hex {
  return toHex(keccak(utf8(label)));
}

/** Gas and bytes by what they are of, without what is compared with: this is what a change is held against. */
export type GasSnapshot = Record<string, Record<string, { gas: number; code?: number }>>;

export function snapshotOf(rows: readonly GasRow[]): GasSnapshot {
  const snapshot: GasSnapshot = {};
  for (const { group, name, gas, code } of rows) {
    (snapshot[group] ??= {})[name] = { gas, ...(code !== undefined && { code }) };
  }
  return snapshot;
}

/** What differs, one line each, with the old and the new number. */
export function compareGas(expected: GasSnapshot, actual: GasSnapshot): string[] {
  const flat = (snapshot: GasSnapshot) =>
    new Map(
      Object.entries(snapshot).flatMap(([group, entries]) =>
        Object.entries(entries).flatMap(([name, numbers]) =>
          Object.entries(numbers).map(([unit, value]) => [`${group}, ${name}: ${unit}`, value] as const),
        ),
      ),
    );
  const [before, after] = [flat(expected), flat(actual)];
  return [...new Set([...before.keys(), ...after.keys()])]
    .filter((key) => before.get(key) !== after.get(key))
    .map((key) => `${key} ${before.get(key) ?? "none"} → ${after.get(key) ?? "none"}`);
}

/** What is above its bar, or has one and is not there, one line each. */
export function aboveBars(rows: readonly GasRow[]): string[] {
  const find = (group: string, name: string) => rows.find((row) => row.group === group && row.name === name);
  const lines = BARS.flatMap(({ group, name, limit }) => {
    const row = find(group, name);
    if (!row) return [`${group}, ${name}: not measured, and must be at most ${limit} gas`];
    const each = row.gas / (row.items ?? 1);
    return each > limit ? [`${group}, ${name}: ${Math.ceil(each)} gas, and must be at most ${limit}`] : [];
  });
  const [direct, routed] = ["direct", "routed"].map((how) => find("router", `4 signals, called by a contract, ${how}`));
  const more = direct && routed ? routed.gas - direct.gas : Number.NaN;
  if (!(more <= ROUTER_LIMIT)) lines.push(`router: ${more} gas more, and must be at most ${ROUTER_LIMIT}`);
  return lines;
}
