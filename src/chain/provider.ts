/**
 * Connects to an EVM node over HTTP.
 *
 * @module
 */
import { JsonRpcProvider, type Provider, type Subscriber, type Subscription } from "ethers";
import { AnchorError, throwIfAborted, toAnchorError } from "../errors.js";
import type { Hex } from "../field/bytes.js";

export interface ConnectOptions {
  signal?: AbortSignal | undefined;
  /** Milliseconds between two looks at a pending transaction: 50 on chain 31337 and 4000 elsewhere unless told. */
  pollingInterval?: number | undefined;
}

const TIMEOUT_MS = 10_000;

/**
 * Asks the node for its chain id before ethers sees it: ethers would go on trying a dead address for ever, and print.
 *
 * @throws CHAIN_UNAVAILABLE when nothing that speaks Ethereum's JSON-RPC answers; INPUT_INVALID for a URL that is none
 */
export async function connectProvider(url: string, options: ConnectOptions = {}): Promise<JsonRpcProvider> {
  throwIfAborted(options.signal);
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new AnchorError("INPUT_INVALID", "the node's address must be an http or https URL");
  }
  const chainId = await readChainId(url, options.signal);
  return new AnchorProvider(url, chainId, {
    staticNetwork: true,
    batchMaxCount: 1,
    // A cache of answers, even for ethers' 250 ms, gives stale nonces and balances on a chain that mines at once.
    cacheTimeout: -1,
    pollingInterval: options.pollingInterval ?? (chainId === 31337n ? 50 : 4000),
  });
}

/**
 * Waits until a transaction is in a block, whosever provider it is. On those of {@link connectProvider} ethers' own `wait` does as
 * well, but cannot be aborted.
 */
export async function untilMined(provider: Provider, hash: string, signal?: AbortSignal): Promise<void> {
  while ((await provider.getTransactionReceipt(hash)) === null) {
    throwIfAborted(signal);
    const interval = provider instanceof JsonRpcProvider ? provider.pollingInterval : 1000;
    await new Promise((resolve) => setTimeout(resolve, interval));
  }
}

/**
 * ethers looks for a receipt once and then at each new block, counted from a look at the height after that: what is mined
 * between the two goes unseen until another block comes, which on a chain that mines on demand may be never.
 */
class AnchorProvider extends JsonRpcProvider {
  override _getSubscriber(subscription: Subscription): Subscriber {
    if (subscription.type === "transaction") return new ReceiptSubscriber(this, subscription.hash);
    return super._getSubscriber(subscription);
  }
}

/** Looks for a transaction's receipt at each polling interval. */
class ReceiptSubscriber implements Subscriber {
  readonly #provider: JsonRpcProvider;
  readonly #hash: string;
  /** Of the row of looks under way, if any: a look that was stopped meanwhile is not followed by another. */
  #row: symbol | undefined;
  #timer = 0;

  constructor(provider: JsonRpcProvider, hash: string) {
    this.#provider = provider;
    this.#hash = hash;
  }

  start(): void {
    if (this.#row) return;
    this.#row = Symbol("row");
    void this.#look(this.#row);
  }

  stop(): void {
    this.#row = undefined;
    this.#provider._clearTimeout(this.#timer);
  }

  pause(): void {
    this.stop();
  }

  resume(): void {
    this.start();
  }

  async #look(row: symbol): Promise<void> {
    // A node that fails to answer is asked again, as ethers does.
    const receipt = await this.#provider.getTransactionReceipt(this.#hash).catch(() => null);
    if (receipt && this.#row === row) await this.#provider.emit(this.#hash, receipt);
    if (this.#row !== row) return;
    this.#timer = this.#provider._setTimeout(() => void this.#look(row), this.#provider.pollingInterval);
  }
}

/** The chain id that the node at `url` reports. @throws CHAIN_UNAVAILABLE, ABORTED */
export async function readChainId(url: string, signal: AbortSignal | undefined): Promise<bigint> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "eth_chainId", params: [] }),
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    const { result } = (await response.json()) as { result?: unknown };
    if (typeof result === "string" && /^0x[0-9a-fA-F]{1,16}$/.test(result)) return BigInt(result);
  } catch (error) {
    throwIfAborted(signal);
    throw toAnchorError(error, "CHAIN_UNAVAILABLE", `no node answers at ${redact(url)}; is it running?`);
  }
  throw new AnchorError("CHAIN_UNAVAILABLE", `${redact(url)} does not answer eth_chainId; is it an Ethereum node?`);
}

/** Node URLs often carry a key in their path or query, and messages end up in logs. */
function redact(url: string): string {
  return new URL(url).origin;
}

/** The code at an address; `0x` where there is none. @throws CHAIN_UNAVAILABLE */
export async function readCode(provider: Provider, address: Hex): Promise<Hex> {
  try {
    return (await provider.getCode(address)) as Hex;
  } catch (error) {
    throw toAnchorError(error, "CHAIN_UNAVAILABLE", `the node does not tell the code at ${address}`);
  }
}
