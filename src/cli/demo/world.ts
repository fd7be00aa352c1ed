/**
 * The stage of the story: a chain, its contracts, and the people on it.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { type JsonRpcProvider, Wallet } from "ethers";
import { domains, type Trust, trustFromJson, trustToJson } from "../../bundle/index.js";
import {
  AnchorClient,
  type Anvil,
  connectProvider,
  type Deployment,
  deployProtocol,
  startAnvil,
} from "../../chain/index.js";
import type { CircuitKey } from "../../circuit/setup.js";
import { AnchorError, isAnchorError, throwIfAborted } from "../../errors.js";
import { type Hex, toHex } from "../../field/bytes.js";
import { assembleCertificate, type Certificate, type Epoch, signVote, VERDICTS } from "../../protocol/quorum.js";
import { DEFAULT_SHARES } from "../../protocol/settlement.js";
import { accountOf } from "../../protocol/signature.js";
import { ProverPool } from "../../prover/pool.js";
import type { Terminal } from "../terminal.js";

export interface Actor {
  name: string;
  secretKey: Hex;
  account: Hex;
  client: AnchorClient;
}

export interface World {
  terminal: Terminal;
  signal: AbortSignal;
  pool: ProverPool;
  anvil: Anvil;
  provider: JsonRpcProvider;
  deployment: Deployment;
  /** Runs the deployment; pays for transactions that anyone may send. */
  operator: AnchorClient;
  creator: Actor;
  node: Actor;
  user: Actor;
  governance: Actor;
  validators: Actor[];
  epoch: Epoch;
  /** What the validators and the final verifier hold to be true; keys join as they are registered. */
  trust: Trust;
  close(): Promise<void>;
}

const ONE_HOUR = 3600n;

/** Of each validator, in wei. */
const BOND = 10n ** 18n;

/** Starts the chain and deploys everything but the verifiers. */
export async function createWorld(terminal: Terminal, signal: AbortSignal): Promise<World> {
  const pool = new ProverPool({ onNotice: (notice) => terminal.note(notice) });
  let anvil: Anvil | undefined;
  const close = async () => {
    await Promise.all([pool.close(), anvil?.stop()]);
  };
  try {
    anvil = await startAnvil({ signal });
    const provider = await connectProvider(anvil.url, { signal });
    const operatorSigner = await provider.getSigner(0);
    const governanceKey = toHex(randomBytes(32));
    const deployment = await deployProtocol(operatorSigner, {
      signal,
      governancePool: accountOf(governanceKey),
      minimumBond: BOND,
      onProgress: ({ contract, done, total }) => terminal.progress(`deploying ${contract}`, done / total),
    });
    const operator = await AnchorClient.connect(deployment, operatorSigner);

    const enter = async (name: string, secretKey: Hex = toHex(randomBytes(32))): Promise<Actor> => {
      const account = accountOf(secretKey);
      await provider.send("anvil_setBalance", [account, `0x${(10n ** 19n).toString(16)}`]);
      return {
        name,
        secretKey,
        account,
        client: await AnchorClient.connect(deployment, new Wallet(secretKey, provider)),
      };
    };
    const validators = await Promise.all([1, 2, 3, 4].map((n) => enter(`validator ${n}`)));
    validators.sort((a, b) => (a.account < b.account ? -1 : 1));
    const epoch: Epoch = { epoch: 1n, members: validators.map(({ account }) => ({ account, weight: 25n })) };
    await Promise.all(validators.map(({ client }) => client.quorum.bond(BOND)));
    await operator.quorum.setEpoch(epoch);
    const { chainId, registry, quorum, token, gate, settlement } = deployment;
    return {
      terminal,
      signal,
      pool,
      anvil,
      provider,
      deployment,
      operator,
      creator: await enter("creator"),
      node: await enter("node"),
      user: await enter("user"),
      governance: await enter("governance pool", governanceKey),
      validators,
      epoch,
      trust: {
        chainId,
        contracts: { gate, quorum, settlement, token, registry },
        epochs: [epoch],
        keys: [],
        settlement: { parameterVersion: await operator.settlement.parameterVersion(), shares: DEFAULT_SHARES },
      },
      close,
    };
  } catch (error) {
    await close();
    throwIfAborted(signal); // an abort ends the chain under whatever was talking to it: that is not the reason
    throw error;
  }
}

/** Time of the newest block: the clock that votes and deadlines go by. */
export async function blockTime({ provider }: World): Promise<bigint> {
  const block = await provider.getBlock("latest");
  return BigInt(block!.timestamp);
}

/** A fresh task under a key. */
export async function newTask(world: World, key: CircuitKey, requester: Actor, payee: Actor) {
  return {
    keyDigest: key.keyDigest,
    taskId: toHex(randomBytes(32)),
    requester: requester.account,
    payee: payee.account,
    nonce: BigInt(toHex(randomBytes(8))),
    deadline: (await blockTime(world)) + ONE_HOUR,
  };
}

/**
 * Every validator reads the trust file that it was given, reviews by itself, and votes; one that refuses does not vote.
 *
 * @param review throws VERDICT_REJECTED or DEADLINE_PASSED when the validator refuses
 * @throws QUORUM_NOT_REACHED when too many refuse, with the first reason
 */
export function vote(
  world: World,
  taskId: Hex,
  review: (trust: Trust) => { statementDigest: Hex; evidenceDigest: Hex },
): Certificate {
  const domain = domains(world.trust).quorum;
  const round = 0n;
  const trustFile = JSON.stringify(trustToJson(world.trust));
  const signatures: Hex[] = [];
  let agreed: ReturnType<typeof review> | undefined;
  let refusal: unknown;
  for (const { secretKey } of world.validators) {
    try {
      const digests = review(trustFromJson(JSON.parse(trustFile)));
      agreed ??= digests;
      const ballot = { epoch: world.epoch.epoch, taskId, round, verdict: VERDICTS.accept, ...digests };
      signatures.push(signVote(domain, ballot, secretKey));
    } catch (error) {
      if (!isAnchorError(error, "VERDICT_REJECTED") && !isAnchorError(error, "DEADLINE_PASSED")) throw error;
      refusal ??= error;
    }
  }
  if (!agreed) throw new AnchorError("QUORUM_NOT_REACHED", "every validator refused", { cause: refusal });
  return assembleCertificate(domain, world.epoch, { taskId, round, ...agreed }, signatures);
}
