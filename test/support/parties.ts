/** Accounts, contracts and a tiny quorum for tests that need signatures but no chain. */
import type { Trust } from "../../src/bundle/index.js";
import { domains } from "../../src/bundle/index.js";
import { type Hex, keccak, toHex, utf8 } from "../../src/field/bytes.js";
import type { Domain } from "../../src/protocol/eip712.js";
import type { Epoch } from "../../src/protocol/quorum.js";
import { DEFAULT_SHARES } from "../../src/protocol/settlement.js";
import { accountOf } from "../../src/protocol/signature.js";

export function digestOf(label: string): Hex {
  return toHex(keccak(utf8(label)));
}

export interface Party {
  secretKey: Hex;
  account: Hex;
}

export function party(name: string): Party {
  const secretKey = digestOf(`secret of ${name}`);
  return { secretKey, account: accountOf(secretKey) };
}

export function addressOf(label: string): Hex {
  return digestOf(label).slice(0, 42) as Hex;
}

export const CONTRACTS: Trust["contracts"] = {
  gate: addressOf("gate"),
  quorum: addressOf("quorum"),
  settlement: addressOf("settlement"),
  token: addressOf("token"),
  registry: addressOf("registry"),
};

export const DOMAINS: Record<"gate" | "quorum" | "settlement", Domain> = domains({
  chainId: 31337n,
  contracts: CONTRACTS,
});

/** Four validators of weight 25, in the order that an epoch wants. */
export const VALIDATORS: Party[] = [1, 2, 3, 4]
  .map((n) => party(`validator ${n}`))
  .sort((a, b) => (a.account < b.account ? -1 : 1));

export const EPOCH: Epoch = { epoch: 1n, members: VALIDATORS.map(({ account }) => ({ account, weight: 25n })) };

export function trustWith(keys: Trust["keys"]): Trust {
  return {
    chainId: 31337n,
    contracts: CONTRACTS,
    epochs: [EPOCH],
    keys,
    settlement: { parameterVersion: 1n, shares: DEFAULT_SHARES },
  };
}
