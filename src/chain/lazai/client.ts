/**
 * LazAI's deployed contracts, called: what a validator, a node and a contributor do there today.
 *
 * UNSAFE: see the head of `index.ts` for what these contracts do not check. Reading them is harmless; what they say is no
 * evidence of anything.
 *
 * @module
 */
import type { ContractRunner, Provider, TransactionReceipt } from "ethers";
import { AnchorError } from "../../errors.js";
import { assertHex, type Hex } from "../../field/bytes.js";
import { checkProofData, type DigitalCheck, type ProofData, recoverProofSigner } from "../../protocol/lazai.js";
import { lower, type Sent } from "../client/caller.js";
import { untilMined } from "../provider.js";
import { errorInterface, explainFailure } from "../reverts.js";
import {
  type LazaiContractName,
  type LazaiEventName,
  type LazaiEventValues,
  type LazaiInputs,
  type LazaiOutputs,
  type LazaiReadName,
  type LazaiStruct,
  type LazaiWriteName,
  NODE_STATUS,
} from "./abi.js";
import { decodeLazaiEvent, decodeLazaiResult, encodeLazaiCall, lazaiTopic } from "./codec.js";
import type { LazaiDeployment } from "./preset.js";

const ERRORS = errorInterface({});

/** One of the contracts, with every call that it has. All methods throw as {@link LazaiClient} says. */
export class LazaiContract<C extends LazaiContractName> {
  constructor(
    readonly contract: C,
    readonly address: Hex,
    private readonly runner: ContractRunner,
  ) {}

  /** An `eth_call`. */
  async read<N extends LazaiReadName<C>>(name: N, args: LazaiInputs<C, N>): Promise<LazaiOutputs<C, N>> {
    const data = encodeLazaiCall(this.contract, name, args);
    const result = await this.#asking(name, (provider) => provider.call({ to: this.address, data }));
    if (result === "0x") {
      throw new AnchorError("CHAIN_UNAVAILABLE", `${this.contract} at ${this.address} does not answer ${name}`);
    }
    return decodeLazaiResult(this.contract, name, result as Hex);
  }

  /** A transaction, waited for. @param value  coins to send along, for functions that take them */
  async send<N extends LazaiWriteName<C>>(name: N, args: LazaiInputs<C, N>, value = 0n): Promise<LazaiReceipt<C>> {
    const data = encodeLazaiCall(this.contract, name, args);
    return this.#asking(name, async (provider) => {
      const { sendTransaction } = this.runner;
      if (!sendTransaction) {
        throw new AnchorError("INPUT_INVALID", `${name} sends a transaction: connect the client with a signer`);
      }
      const response = await sendTransaction.call(this.runner, { to: this.address, data, value });
      await untilMined(provider, response.hash);
      const receipt = await response.wait();
      if (!receipt) throw new AnchorError("CHAIN_UNAVAILABLE", `${name}: the transaction was not mined`);
      return new LazaiReceipt(this.contract, this.address, receipt);
    });
  }

  /** Events that the contract emitted, oldest first. */
  async logs<N extends LazaiEventName<C>>(
    name: N,
    topics: readonly (Hex | null)[] = [],
    fromBlock = 0,
  ): Promise<LazaiEventValues<C, N>[]> {
    const filter = { address: this.address, topics: [lazaiTopic(this.contract, name), ...topics], fromBlock };
    const logs = await this.#asking(name, (provider) => provider.getLogs(filter));
    return logs.map((log) => decodeLazaiEvent(this.contract, log as unknown as LogLike).args as LazaiEventValues<C, N>);
  }

  async #asking<T>(name: string, act: (provider: Provider) => Promise<T>): Promise<T> {
    const { provider } = this.runner;
    if (!provider) throw new AnchorError("INPUT_INVALID", "the signer must be connected to a provider");
    try {
      return await act(provider);
    } catch (error) {
      throw await explainFailure(error, `${this.contract}.${name}`, ERRORS, provider);
    }
  }
}

interface LogLike {
  address: Hex;
  topics: Hex[];
  data: Hex;
}

/** A transaction that has been mined and did not revert, with its events. */
export class LazaiReceipt<C extends LazaiContractName> implements Sent {
  readonly hash: Hex;
  readonly blockNumber: number;
  readonly gasUsed: bigint;
  readonly #logs: readonly LogLike[];

  constructor(
    readonly contract: C,
    address: Hex,
    receipt: TransactionReceipt,
  ) {
    this.hash = receipt.hash as Hex;
    this.blockNumber = receipt.blockNumber;
    this.gasUsed = receipt.gasUsed;
    this.#logs = (receipt.logs as unknown as LogLike[]).filter((log) => lower(log.address) === address);
  }

  /** Arguments of the contract's first event of this name. @throws CHAIN_UNAVAILABLE when there is none */
  event<N extends LazaiEventName<C>>(name: N): LazaiEventValues<C, N> {
    const topic = lazaiTopic(this.contract, name);
    const log = this.#logs.find(({ topics }) => topics[0] === topic);
    if (!log)
      throw new AnchorError("CHAIN_UNAVAILABLE", `the transaction has no ${name} event: is this LazAI's contract?`);
    return decodeLazaiEvent(this.contract, log).args as LazaiEventValues<C, N>;
  }
}

/** A proof that somebody attached to a file, with what can be said about it. */
export interface AttachedProof {
  /** In the registry; from 1. */
  index: bigint;
  data: ProofData;
  signature: Hex;
  /** `undefined` when the signature is malformed. */
  signer: Hex | undefined;
  /** Whether the signer is an active node now, which is all that the registry asks. */
  node: boolean;
  /** Whether it is of this file, by number and url, with a score above 0: what the registry does not ask. */
  bound: boolean;
}

/** What a node draws from a user's account. */
export interface SettlementFees extends DigitalCheck {
  /** Of the chat or training. */
  id: string;
  cost: bigint;
  userSignature: Hex;
}

export type LazaiProcess = "query" | "inference" | "training";

/**
 * LazAI's contracts at one place. Methods that send a transaction wait until it is mined. All of them throw CHAIN_REVERTED,
 * with the contract's error in `details.error` and `details.args`, CHAIN_UNAVAILABLE, and INPUT_INVALID for arguments that
 * cannot be encoded and for answers that are not the one encoding of their values.
 */
export class LazaiClient {
  readonly deployment: LazaiDeployment;
  readonly token: LazaiContract<"DataAnchoringToken">;
  readonly dataRegistry: LazaiContract<"DataRegistry">;
  readonly verifiedComputing: LazaiContract<"VerifiedComputing">;
  readonly processes: Readonly<Record<LazaiProcess, LazaiContract<"AIProcess">>>;
  readonly settlement: LazaiContract<"Settlement">;
  readonly idao: LazaiContract<"IDAO"> | undefined;

  private constructor(deployment: LazaiDeployment, runner: ContractRunner) {
    const at = <C extends LazaiContractName>(contract: C, address: Hex) => new LazaiContract(contract, address, runner);
    this.deployment = deployment;
    this.token = at("DataAnchoringToken", deployment.token);
    this.dataRegistry = at("DataRegistry", deployment.dataRegistry);
    this.verifiedComputing = at("VerifiedComputing", deployment.verifiedComputing);
    this.processes = {
      query: at("AIProcess", deployment.query),
      inference: at("AIProcess", deployment.inference),
      training: at("AIProcess", deployment.training),
    };
    this.settlement = at("Settlement", deployment.settlement);
    this.idao = deployment.idao === undefined ? undefined : at("IDAO", deployment.idao);
  }

  /**
   * @param runner  a signer, or a provider for reading only
   * @throws CHAIN_UNAVAILABLE when the node is on another chain, or has no contract where the registry should be
   */
  static async connect(deployment: LazaiDeployment, runner: ContractRunner): Promise<LazaiClient> {
    const { chainId: _, ...addresses } = deployment;
    for (const [name, address] of Object.entries(addresses)) {
      if (address !== undefined) assertHex(address, name, 20);
    }
    const { provider } = runner;
    if (!provider) throw new AnchorError("INPUT_INVALID", "the signer must be connected to a provider");
    let chainId: bigint;
    let code: string;
    try {
      chainId = (await provider.getNetwork()).chainId;
      code = await provider.getCode(deployment.dataRegistry);
    } catch (error) {
      throw await explainFailure(error, "connecting", ERRORS, provider);
    }
    if (chainId !== deployment.chainId || code === "0x") {
      throw new AnchorError("CHAIN_UNAVAILABLE", "the node does not hold LazAI's contracts; check its URL", {
        details: {
          expected: deployment.chainId.toString(),
          chainId: chainId.toString(),
          dataRegistry: deployment.dataRegistry,
        },
      });
    }
    return new LazaiClient(deployment, runner);
  }

  /** A file of the registry, or `undefined`. */
  async file(fileId: bigint): Promise<LazaiStruct<"FileResponse"> | undefined> {
    const { value } = await this.dataRegistry.read("getFile", { fileId });
    return BigInt(value.ownerAddress) === 0n ? undefined : value;
  }

  /**
   * The proofs that are attached to a file, by the registry's events: it has no count of them. Anybody can attach any.
   *
   * @param fromBlock  where to start looking; some nodes answer for a range of blocks only
   */
  async proofs(fileId: bigint, { fromBlock = 0 }: { fromBlock?: number } = {}): Promise<AttachedProof[]> {
    const file = await this.file(fileId);
    if (!file) return [];
    const topic: Hex = `0x${fileId.toString(16).padStart(64, "0")}`;
    const events = await this.dataRegistry.logs("ProofAdded", [topic], fromBlock);
    const proofs: AttachedProof[] = [];
    for (const { proofIndex: index } of events) {
      const { value: proof } = await this.dataRegistry.read("getFileProof", { fileId, index });
      const { data, signature } = proof;
      const signer = signerOf(data, signature);
      const node = signer !== undefined && (await this.verifiedComputing.read("isNode", { nodeAddress: signer })).value;
      proofs.push({
        index,
        data,
        signature,
        signer,
        node,
        bound: signer !== undefined && isBound(proof, signer, file),
      });
    }
    return proofs;
  }

  /** A node of the proof jobs, or of one of the processes; `undefined` for an account that never was one. */
  async node(
    nodeAddress: Hex,
    of: "verifiedComputing" | LazaiProcess = "verifiedComputing",
  ): Promise<LazaiStruct<"NodeInfo"> | undefined> {
    const { value } =
      of === "verifiedComputing"
        ? await this.verifiedComputing.read("getNode", { nodeAddress })
        : await this.processes[of].read("getNode", { nodeAddress });
    return value.status === NODE_STATUS.none ? undefined : value;
  }

  async job(jobId: bigint): Promise<LazaiStruct<"Job"> | undefined> {
    const { value } = await this.verifiedComputing.read("getJob", { jobId });
    return value.status === 0n ? undefined : value;
  }

  /** State of a token. `verified` is the word of whoever may mint. */
  async dat(tokenId: bigint): Promise<{ fileUrl: string; verified: boolean }> {
    const { value: fileUrl } = await this.token.read("fileUrl", { tokenId });
    const { value: verified } = await this.token.read("verified", { tokenId });
    return { fileUrl, verified };
  }

  /** Registers a file. @param sha256  of the plaintext: 64 digits of lower-case hex */
  async addFile(url: string, sha256: string): Promise<Sent & { fileId: bigint }> {
    if (url === "") throw new AnchorError("INPUT_INVALID", "a file needs a url: its token could not be minted");
    if (!/^[0-9a-f]{64}$/.test(sha256)) {
      throw new AnchorError("INPUT_INVALID", "a file's SHA-256 is 64 digits of lower-case hex, without 0x");
    }
    const receipt = await this.dataRegistry.send("addFile", { url, hash: sha256 });
    return { ...sentOf(receipt), fileId: receipt.event("FileAdded").fileId };
  }

  /** Lets an account decrypt a file. @param key  the file's password, encrypted for the account */
  async addPermission(fileId: bigint, account: Hex, key: string): Promise<Sent> {
    return sentOf(await this.dataRegistry.send("addPermissionForFile", { fileId, account, key }));
  }

  /** Asks for a proof of a file, and pays for it, whether or not one is ever made. */
  async requestProof(fileId: bigint, fee: bigint): Promise<Sent & { jobId: bigint; node: Hex }> {
    const receipt = await this.verifiedComputing.send("requestProof", { fileId }, fee);
    const { jobId, nodeAddress } = receipt.event("JobSubmitted");
    return { ...sentOf(receipt), jobId, node: nodeAddress };
  }

  /** UNSAFE: pays the node, without a proof. */
  async completeJob(jobId: bigint): Promise<Sent> {
    return sentOf(await this.verifiedComputing.send("completeJob", { jobId }));
  }

  /** Pays out what a node has earned. */
  async claim(): Promise<Sent & { amount: bigint }> {
    const receipt = await this.verifiedComputing.send("claim", {});
    return { ...sentOf(receipt), amount: receipt.event("Claimed").amount };
  }

  /**
   * UNSAFE: attaches a proof to a file. The registry takes any, from anybody; a proof of another file, or of score 0, is
   * refused here.
   */
  async addProof(fileId: bigint, data: ProofData, signature: Hex): Promise<Sent & { index: bigint }> {
    const file = await this.file(fileId);
    if (!file) throw new AnchorError("STATEMENT_INVALID", `there is no file ${fileId}`);
    checkProofData(data, signature, recoverProofSigner(data, signature), file);
    const receipt = await this.dataRegistry.send("addProof", { fileId, proof: { data, signature } });
    return { ...sentOf(receipt), index: receipt.event("ProofAdded").proofIndex };
  }

  /** UNSAFE: mints `score` tokens to the file's owner on one node's signature. {@link LazaiGateClient} does not. */
  async requestReward(fileId: bigint, proofIndex: bigint): Promise<Sent & { amount: bigint }> {
    const receipt = await this.dataRegistry.send("requestReward", { fileId, proofIndex });
    return { ...sentOf(receipt), amount: receipt.event("RewardRequested").rewardAmount };
  }

  /** UNSAFE: draws what a node says it is owed. The user signed the nonce, and no cost. */
  async settleFees(process: LazaiProcess, fees: SettlementFees): Promise<Sent> {
    const { id, user, cost, nonce, userSignature } = fees;
    // The contract does not look at the node's own signature.
    const settlement = { signature: "0x" as Hex, data: { id, user, cost, nonce, userSignature } };
    return sentOf(await this.processes[process].send("settlementFees", { settlement }));
  }
}

function signerOf(data: ProofData, signature: Hex): Hex | undefined {
  try {
    return recoverProofSigner(data, signature);
  } catch {
    return undefined;
  }
}

function isBound(
  { data, signature }: LazaiStruct<"Proof">,
  signer: Hex,
  { id, url }: LazaiStruct<"FileResponse">,
): boolean {
  try {
    checkProofData(data, signature, signer, { id, url });
    return true;
  } catch {
    return false;
  }
}

function sentOf<C extends LazaiContractName>({ hash, blockNumber, gasUsed }: LazaiReceipt<C>): Sent {
  return { hash, blockNumber, gasUsed };
}
