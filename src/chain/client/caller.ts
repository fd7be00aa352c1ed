/**
 * What the clients of single contracts share: calls, transactions, events, and reverts in words.
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
} from "ethers";
import { AnchorError } from "../../errors.js";
import { assertHex, type Hex } from "../../field/bytes.js";
import { artefact, type ContractArtefacts } from "../compile.js";
import { untilMined } from "../provider.js";
import { errorInterface, explainFailure } from "../reverts.js";

/** A transaction that has been mined and did not revert. */
export interface Sent {
  hash: Hex;
  blockNumber: number;
  gasUsed: bigint;
}

/** Where a client's contract is, and by whom it is called. */
export interface Connection {
  address: Hex;
  runner: ContractRunner;
  artefacts: ContractArtefacts;
}

/**
 * One deployed contract. Methods that send a transaction wait until it is mined. All of them throw CHAIN_REVERTED, with the
 * contract's error in `details.error` and `details.args`, CHAIN_UNAVAILABLE, and INPUT_INVALID for arguments that cannot be
 * encoded.
 */
export class ContractClient {
  readonly address: Hex;
  readonly #contract: Contract;
  readonly #errors: Interface;

  /** @param name  the contract's, among the artefacts */
  protected constructor(name: string, { address, runner, artefacts }: Connection) {
    assertHex(address, `the address of ${name}`, 20);
    this.address = address;
    this.#errors = errorInterface(artefacts);
    this.#contract = new Contract(address, artefact(artefacts, name).abi as InterfaceAbi, runner);
  }

  /** An `eth_call`. */
  protected async read<T>(method: string, ...args: unknown[]): Promise<T> {
    try {
      return (await this.#contract.getFunction(method).staticCall(...args)) as T;
    } catch (error) {
      throw await this.#explain(error, method);
    }
  }

  protected async send(method: string, ...args: unknown[]): Promise<Sent> {
    return summary(await this.transact(method, args));
  }

  /** {@link send}, for callers that look at the events. */
  protected async transact(method: string, args: unknown[]): Promise<ContractTransactionReceipt> {
    try {
      const response = (await this.#contract.getFunction(method).send(...args)) as ContractTransactionResponse;
      const provider = this.#contract.runner?.provider;
      if (provider) await untilMined(provider, response.hash);
      const receipt = await response.wait();
      if (!receipt) throw new AnchorError("CHAIN_UNAVAILABLE", `${method}: the transaction was not mined`);
      return receipt;
    } catch (error) {
      throw await this.#explain(error, method);
    }
  }

  /** Arguments of the contract's events of this name, by their names. */
  protected events(receipt: ContractTransactionReceipt, name: string): Record<string, unknown>[] {
    const found: Record<string, unknown>[] = [];
    for (const log of receipt.logs) {
      if (log.address.toLowerCase() !== this.address) continue;
      const parsed = this.#contract.interface.parseLog(log);
      if (parsed?.name === name) found.push(parsed.args.toObject());
    }
    return found;
  }

  /** {@link events}, of which the last: what a call says of itself comes after what it let others do. */
  protected event(receipt: ContractTransactionReceipt, name: string): Record<string, unknown> {
    const last = this.events(receipt, name).at(-1);
    if (last) return last;
    throw new AnchorError("INTERNAL", `the transaction has no ${name} event`, { details: { hash: receipt.hash } });
  }

  /** Name of the custom error that such data is of. */
  protected errorName(data: Hex): string {
    return this.#errors.parseError(data)?.name ?? "unknown";
  }

  #explain(error: unknown, method: string): Promise<AnchorError> {
    return explainFailure(error, method, this.#errors, this.#contract.runner?.provider ?? null);
  }
}

export function summary(receipt: ContractTransactionReceipt): Sent {
  return { hash: receipt.hash as Hex, blockNumber: receipt.blockNumber, gasUsed: receipt.gasUsed };
}

export function lower(address: string): Hex {
  return address.toLowerCase() as Hex;
}
