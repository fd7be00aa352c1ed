/** Sets of proofs by keys with known trapdoors: valid in every respect, and about no dataset. */

import { claimFamily } from "../../src/dataset/claims/families.js";
import { type Claim, commitState } from "../../src/dataset/claims.js";
import { hashRoot, type RootOpening } from "../../src/dataset/layout.js";
import {
  type ProofSet,
  type SetTask,
  segmentContext,
  setDigest,
  type TrustedCircuit,
} from "../../src/dataset/proofSet.js";
import type { Column } from "../../src/dataset/record.js";
import type { Domain } from "../../src/protocol/eip712.js";
import type { CircuitType } from "../../src/protocol/statements.js";
import { keyDigest } from "../../src/verifier/groth16.js";
import { type SimulatedKey, scalar, simulateKey, simulateProof } from "../chain/simulated.js";

export const DOMAIN: Domain = { chainId: 31337n, verifyingContract: `0x${"c0".repeat(20)}` };
export const TASK: SetTask = {
  taskId: `0x${"11".repeat(32)}`,
  requester: `0x${"22".repeat(20)}`,
  payee: `0x${"33".repeat(20)}`,
  nonce: 7n,
  deadline: 4_000_000_000n,
};
export const OPENING: RootOpening = {
  depth: 2,
  top: scalar("top"),
  totals: { records: 300, blocks: 900, values: 400_000 },
  schema: 0n,
};

export interface Plan {
  claim: Claim;
  /** Type of each segment, and the state after it. */
  steps: readonly { type: CircuitType; after: readonly bigint[] }[];
  opening?: RootOpening;
  columns?: readonly Column[];
  domain?: Domain;
  task?: SetTask;
  /** Another set of the same plan has other salts. */
  seed?: string;
  keys?: Partial<Record<CircuitType, SimulatedKey>>;
}

const keys = new Map<string, SimulatedKey>();

export function keyFor(type: CircuitType, seed = "set"): SimulatedKey {
  const name = `${seed}/${type}`;
  const key = keys.get(name) ?? simulateKey(5, name);
  keys.set(name, key);
  return key;
}

export function simulateSet(plan: Plan): { set: ProofSet; trust: TrustedCircuit[]; root: bigint } {
  const { claim, steps, opening = OPENING, columns, domain = DOMAIN, task = TASK, seed = "salts" } = plan;
  const root = hashRoot(opening);
  const head = { opening, claim, domain, task };
  const last = steps.at(-1)!.after;
  const family = claimFamily(claim);
  const signals = family.signals(claim, { root, opening, columns: columns ?? [], challenge: setDigest(head), last });
  const types = [...new Set(steps.map(({ type }) => type))];
  const keyOf = (type: CircuitType) => plan.keys?.[type] ?? keyFor(type);
  let at = commitState(family.initial(claim), 0n);
  let salt = 0n;
  const segments = steps.map(({ type, after }, i) => {
    const before = at;
    salt = scalar(`${seed}/${i}`);
    at = commitState(after, salt);
    const key = keyOf(type);
    const context = segmentContext(head, type, keyDigest(key.vkey));
    const proof = simulateProof(key, [root, signals[type]!, before, at, context], `${seed}/${i}`);
    return { circuit: types.indexOf(type), before, after: at, proof };
  });
  const set: ProofSet = {
    ...head,
    ...(columns === undefined ? {} : { columns }),
    circuits: types.map((type) => ({
      type,
      name: `dataset-simulated-${types.indexOf(type)}`,
      verifyingKey: keyOf(type).vkey,
    })),
    segments,
    last: { fields: last, salt },
  };
  const trust = types.map((type) => ({ type, keyDigest: keyDigest(keyOf(type).vkey) }));
  return { set, trust, root };
}
