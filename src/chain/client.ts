/**
 * One deployment of the protocol's contracts, one method for each thing a user does with it.
 *
 * @module
 */
import {
  Contract,
  type ContractRunner,
  type ContractTransactionReceipt,
  type ContractTransactionResponse,
  type Interface,
  type InterfaceAbi,
  type Provider,
} from "ethers";
import { AnchorError } from "../errors.js";
import type { Hex } from "../field/bytes.js";
import { type Certificate, type Epoch, VERDICTS, type Vote } from "../protocol/quorum.js";
import type { Receipt } from "../protocol/settlement.js";
import {
  type Asset,
  CIRCUIT_TYPES,
  type DatasetStatement,
  type InferenceStatement,
  type ModelStatement,
  type Task,
} from "../protocol/statements.js";
import { type Proof, proofWords } from "../verifier/groth16.js";
import { encodeCertificate } from "./certificate.js";
import { artefact, type CompileContractsOptions, type ContractArtefacts, compileProtocolContracts } from "./compile.js";
import type { Deployment } from "./deploy.js";
import { untilMined } from "./provider.js";
import { errorInterface, explainFailure } from "./reverts.js";
/** A transaction that has been mined and did not revert. */
export interface Sent {
  hash: Hex;
  blockNumber: number;
  gasUsed: bigint;
}

export interface Accepted extends Sent {
  statementDigest: Hex;
  datId: bigint;
}

export interface Claimed extends Sent {
  receiptDigest: Hex;
  /** Wei, each; their sum is the receipt's cost. */
  creatorShare: bigint;
  nodeShare: bigint;
  poolShare: bigint;
}

export interface VerifierEntry {
  verifier: Hex;
  development: boolean;
  frozen: boolean;
  statementType: Hex;
  circuitDigest: Hex;
  modelDigest: Hex;
}

export interface AddVerifierParameters {
  keyDigest: Hex;
  verifier: Hex;
  /** Which circuit family the key belongs to. */
  circuitType: keyof typeof CIRCUIT_TYPES;
  circuitDigest: Hex;
  /** Needed for inference keys; dataset keys have none. */
  modelDigest?: Hex | undefined;
  development: boolean;
}

export interface AssetRecord extends Asset {
  creator: Hex;
  /** Unix seconds. */
  mintedAt: bigint;
}

/** Wei, but for `withdrawableAt`. */
export interface Balances {
  deposit: bigint;
  /** The part of the deposit that no pending withdrawal can take: what a node may count on. */
  secured: bigint;
  pendingWithdrawal: bigint;
  /** Unix seconds; 0 when nothing is pending. */
  withdrawableAt: bigint;
  owed: bigint;
}

const ZERO: Hex = `0x${"00".repeat(32)}`;

/**
 * Methods that send a transaction wait until it is mined. All of them throw CHAIN_REVERTED, with the contract's error in
 * `details.error` and `details.args`, CHAIN_UNAVAILABLE, and INPUT_INVALID for arguments that cannot be encoded.
 */
export class AnchorClient {
  readonly deployment: Deployment;
  readonly #provider: Provider | null;
  readonly #errors: Interface;
  readonly #registry: Contract;
  readonly #quorum: Contract;
  readonly #token: Contract;
  readonly #gate: Contract;
  readonly #settlement: Contract;

  private constructor(deployment: Deployment, runner: ContractRunner, artefacts: ContractArtefacts) {
    this.deployment = deployment;
    this.#provider = runner.provider ?? null;
    this.#errors = errorInterface(artefacts);
    const at = (address: Hex, name: string) =>
      new Contract(address, artefact(artefacts, name).abi as InterfaceAbi, runner);
    this.#registry = at(deployment.registry, "VerifierRegistry");
    this.#quorum = at(deployment.quorum, "Quorum");
    this.#token = at(deployment.token, "DataAnchoringToken");
    this.#gate = at(deployment.gate, "MintGate");
    this.#settlement = at(deployment.settlement, "UsageSettlement");
  }

  /**
   * @param runner  a signer, or a provider for reading only
   * @throws CHAIN_UNAVAILABLE when the node is on another chain than the deployment, or has no gate at its address
   */
  static async connect(
    deployment: Deployment,
    runner: ContractRunner,
    options: CompileContractsOptions = {},
  ): Promise<AnchorClient> {
    const client = new AnchorClient(deployment, runner, await compileProtocolContracts(options));
    await client.#checkChain();
    return client;
  }

  // ------------------------------------------------------------------ owner

  /** Replaces the validator set. Epoch numbers only go up. */
  async setEpoch({ epoch, members }: Epoch): Promise<Sent> {
    return this.#send(
      this.#quorum,
      "setEpoch",
      epoch,
      members.map(({ account }) => account),
      members.map(({ weight }) => weight),
    );
  }

  /** Registers a verifier for good. */
  async addVerifier(entry: AddVerifierParameters): Promise<Sent> {
    return this.#send(
      this.#registry,
      "add",
      entry.keyDigest,
      entry.verifier,
      CIRCUIT_TYPES[entry.circuitType],
      entry.circuitDigest,
      entry.modelDigest ?? ZERO,
      entry.development,
    );
  }

  /** Stops a key for good. Owner or guardian. */
  async freezeVerifier(keyDigest: Hex): Promise<Sent> {
    return this.#send(this.#registry, "freeze", keyDigest);
  }

  /**
   * Starts a new version of the terms. Receipts of the one before stay claimable until {@link previousVersionUntil}, and
   * there is no other change until then.
   */
  async setGovernancePool(pool: Hex): Promise<Sent> {
    return this.#send(this.#settlement, "setGovernancePool", pool);
  }

  // ------------------------------------------------------------------ anchoring

  /** @param epoch  the set that the certificate's voters belong to, as it was given to {@link setEpoch} */
  async mintDataset(
    statement: DatasetStatement,
    proof: Proof,
    certificate: Certificate,
    epoch: Epoch,
  ): Promise<Accepted> {
    const args = [statement, proofWords(proof), encodeCertificate(epoch, certificate)];
    return this.#accepted(await this.#transact(this.#gate, "mintDataset", args), "DatasetMinted");
  }

  /** @param epoch  as for {@link mintDataset} */
  async mintModel(statement: ModelStatement, proof: Proof, certificate: Certificate, epoch: Epoch): Promise<Accepted> {
    const args = [statement, proofWords(proof), encodeCertificate(epoch, certificate)];
    return this.#accepted(await this.#transact(this.#gate, "mintModel", args), "ModelMinted");
  }

  async verifyInference(statement: InferenceStatement, proof: Proof): Promise<Accepted> {
    const receipt = await this.#transact(this.#gate, "verifyInference", [statement, proofWords(proof)]);
    return this.#accepted(receipt, "InferenceVerified");
  }

  /** The `context` signal as the gate computes it. */
  async contextOf(circuitType: keyof typeof CIRCUIT_TYPES, task: Task): Promise<bigint> {
    return this.#read<bigint>(this.#gate, "contextOf", CIRCUIT_TYPES[circuitType], task);
  }

  async datasetStatementDigest(statement: DatasetStatement): Promise<Hex> {
    return this.#read<Hex>(this.#gate, "datasetStatementDigest", statement);
  }

  async modelStatementDigest(statement: ModelStatement): Promise<Hex> {
    return this.#read<Hex>(this.#gate, "modelStatementDigest", statement);
  }

  async inferenceStatementDigest(statement: InferenceStatement): Promise<Hex> {
    return this.#read<Hex>(this.#gate, "inferenceStatementDigest", statement);
  }

  /** Whether the gate has accepted a statement with this digest. */
  async isUsed(statementDigest: Hex): Promise<boolean> {
    return this.#read<boolean>(this.#gate, "used", statementDigest);
  }

  async voteDigest(vote: Vote): Promise<Hex> {
    const { epoch, taskId, round, statementDigest, evidenceDigest, verdict } = vote;
    return this.#read<Hex>(this.#quorum, "voteDigest", epoch, taskId, round, statementDigest, evidenceDigest, verdict);
  }

  /** Returns when the certificate carries accepting votes for this; throws CHAIN_REVERTED with the reason if not. */
  async checkCertificate(
    subject: Pick<Vote, "taskId" | "statementDigest" | "evidenceDigest">,
    certificate: Certificate,
    epoch: Epoch,
  ): Promise<void> {
    const { taskId, statementDigest, evidenceDigest } = subject;
    const encoded = encodeCertificate(epoch, certificate);
    await this.#read(this.#quorum, "check", taskId, statementDigest, evidenceDigest, VERDICTS.accept, encoded);
  }

  /** The current epoch's number and set hash; epoch 0 when none was set. */
  async epoch(): Promise<{ epoch: bigint; setHash: Hex }> {
    const [epoch, setHash] = await Promise.all([
      this.#read<bigint>(this.#quorum, "epoch"),
      this.#read<Hex>(this.#quorum, "setHash"),
    ]);
    return { epoch, setHash };
  }

  /** The registry's entry, or `undefined` for an unknown key. */
  async verifierOf(keyDigest: Hex): Promise<VerifierEntry | undefined> {
    const entry = await this.#read<VerifierEntry>(this.#registry, "entryOf", keyDigest);
    if (BigInt(entry.verifier) === 0n) return undefined;
    return {
      verifier: lower(entry.verifier),
      development: entry.development,
      frozen: entry.frozen,
      statementType: entry.statementType,
      circuitDigest: entry.circuitDigest,
      modelDigest: entry.modelDigest,
    };
  }

  /** The id that an asset has, minted or not. */
  async datIdOf(assetClass: bigint, commitment: Hex): Promise<bigint> {
    return this.#read<bigint>(this.#token, "idOf", assetClass, commitment);
  }

  /** The record of a minted asset, or `undefined`. */
  async assetOf(datId: bigint): Promise<AssetRecord | undefined> {
    if (!(await this.#read<boolean>(this.#token, "exists", datId))) return undefined;
    const record = await this.#read<AssetRecord>(this.#token, "recordOf", datId);
    return {
      creator: lower(record.creator),
      mintedAt: record.mintedAt,
      class: record.class,
      commitment: record.commitment,
      metadataDigest: record.metadataDigest,
      supply: record.supply,
      parents: [...record.parents],
    };
  }

  /** How many units of an asset an account holds. */
  async assetBalance(account: Hex, datId: bigint): Promise<bigint> {
    return this.#read<bigint>(this.#token, "balanceOf", account, datId);
  }

  // ------------------------------------------------------------------ settlement

  /** @param amount wei */
  async deposit(amount: bigint): Promise<Sent> {
    return this.#send(this.#settlement, "deposit", { value: amount });
  }

  /** @param amount wei */
  async requestWithdrawal(amount: bigint): Promise<Sent> {
    return this.#send(this.#settlement, "requestWithdrawal", amount);
  }

  async cancelWithdrawal(): Promise<Sent> {
    return this.#send(this.#settlement, "cancelWithdrawal");
  }

  /** Takes out what was requested, or what claims have left of it. */
  async completeWithdrawal(): Promise<Sent> {
    return this.#send(this.#settlement, "completeWithdrawal");
  }

  /** Settles a receipt. Anyone may send it. Signatures are EIP-712 under the settlement's domain. */
  async claim(receipt: Receipt, userSignature: Hex, nodeSignature: Hex): Promise<Claimed> {
    const mined = await this.#transact(this.#settlement, "claim", [receipt, userSignature, nodeSignature]);
    const args = this.#event(this.#settlement, mined, "Claimed");
    return {
      ...summary(mined),
      receiptDigest: args["receiptDigest"] as Hex,
      creatorShare: args["creatorShare"] as bigint,
      nodeShare: args["nodeShare"] as bigint,
      poolShare: args["poolShare"] as bigint,
    };
  }

  /** Takes out everything the account is owed. */
  async withdraw(): Promise<Sent> {
    return this.#send(this.#settlement, "withdraw");
  }

  /** Pays everything the account is owed to another address. */
  async withdrawTo(to: Hex): Promise<Sent> {
    return this.#send(this.#settlement, "withdrawTo", to);
  }

  async balancesOf(account: Hex): Promise<Balances> {
    const [deposit, secured, [pendingWithdrawal, withdrawableAt], owed] = await Promise.all([
      this.#read<bigint>(this.#settlement, "deposits", account),
      this.#read<bigint>(this.#settlement, "securedDeposit", account),
      this.#read<[bigint, bigint]>(this.#settlement, "withdrawals", account),
      this.#read<bigint>(this.#settlement, "owed", account),
    ]);
    return { deposit, secured, pendingWithdrawal, withdrawableAt, owed };
  }

  async receiptDigest(receipt: Receipt): Promise<Hex> {
    return this.#read<Hex>(this.#settlement, "receiptDigest", receipt);
  }

  async isClaimed(receiptDigest: Hex): Promise<boolean> {
    return this.#read<boolean>(this.#settlement, "claimed", receiptDigest);
  }

  /** The version that new receipts name. */
  async parameterVersion(): Promise<bigint> {
    return this.#read<bigint>(this.#settlement, "parameterVersion");
  }

  /**
   * Unix seconds: the last block timestamp at which receipts of the version before the current one can be claimed; 0 while
   * there was no change.
   */
  async previousVersionUntil(): Promise<bigint> {
    return this.#read<bigint>(this.#settlement, "previousVersionUntil");
  }

  /** The governance pool that receipts of a version pay, or `undefined` for a version that never was. */
  async poolOf(version: bigint): Promise<Hex | undefined> {
    const pool = await this.#read<Hex>(this.#settlement, "poolOf", version);
    return BigInt(pool) === 0n ? undefined : lower(pool);
  }

  // ------------------------------------------------------------------ plumbing

  async #checkChain(): Promise<void> {
    const provider = this.#provider;
    if (!provider) throw new AnchorError("INPUT_INVALID", "the signer must be connected to a provider");
    let chainId: bigint;
    let code: string;
    try {
      chainId = (await provider.getNetwork()).chainId;
      code = await provider.getCode(this.deployment.gate);
    } catch (error) {
      throw await explainFailure(error, "connecting", this.#errors, provider);
    }
    if (chainId !== this.deployment.chainId || code === "0x") {
      throw new AnchorError(
        "CHAIN_UNAVAILABLE",
        "the node does not hold this deployment; check its URL and the addresses",
        {
          details: {
            expected: this.deployment.chainId.toString(),
            chainId: chainId.toString(),
            gate: this.deployment.gate,
          },
        },
      );
    }
  }

  async #read<T>(contract: Contract, method: string, ...args: unknown[]): Promise<T> {
    try {
      return (await contract.getFunction(method).staticCall(...args)) as T;
    } catch (error) {
      throw await explainFailure(error, method, this.#errors, this.#provider);
    }
  }

  async #send(contract: Contract, method: string, ...args: unknown[]): Promise<Sent> {
    return summary(await this.#transact(contract, method, args));
  }

  async #transact(contract: Contract, method: string, args: unknown[]): Promise<ContractTransactionReceipt> {
    try {
      const response = (await contract.getFunction(method).send(...args)) as ContractTransactionResponse;
      if (this.#provider) await untilMined(this.#provider, response.hash);
      const receipt = await response.wait();
      if (!receipt) throw new AnchorError("CHAIN_UNAVAILABLE", `${method}: the transaction was not mined`);
      return receipt;
    } catch (error) {
      throw await explainFailure(error, method, this.#errors, this.#provider);
    }
  }

  #accepted(receipt: ContractTransactionReceipt, event: string): Accepted {
    const args = this.#event(this.#gate, receipt, event);
    return {
      ...summary(receipt),
      statementDigest: args["statementDigest"] as Hex,
      datId: args["datId"] as bigint,
    };
  }

  #event(contract: Contract, receipt: ContractTransactionReceipt, name: string): Record<string, unknown> {
    for (const log of receipt.logs) {
      if (log.address.toLowerCase() !== String(contract.target).toLowerCase()) continue;
      const parsed = contract.interface.parseLog(log);
      if (parsed?.name === name) return parsed.args.toObject();
    }
    throw new AnchorError("INTERNAL", `the transaction has no ${name} event`, { details: { hash: receipt.hash } });
  }
}

function summary(receipt: ContractTransactionReceipt): Sent {
  return { hash: receipt.hash as Hex, blockNumber: receipt.blockNumber, gasUsed: receipt.gasUsed };
}

function lower(address: string): Hex {
  return address.toLowerCase() as Hex;
}
