/**
 * "No two records are the same": the claim, its segments, and what it says.
 *
 * Two records are the same where kind, length, shape, content and cells are; names, labels and part numbers do not make a
 * difference. So two parts of one long record with equal content are the same as well.
 *
 * Each record has a fingerprint. The prover lists them in increasing order (`distinct_list.circom`) and commits to the list;
 * then the records themselves are gone through (`distinct_records.circom`). At a point gamma that nobody could choose, drawn
 * when both are fixed, the sum of `1 / (gamma - x)` is the same over both: so both have the same entries, as often each.
 *
 * @module
 */

import { createHmac } from "node:crypto";
import { AnchorError } from "../../errors.js";
import { fromHex, type Hex, keccak, tag, toHex, utf8, word } from "../../field/bytes.js";
import { poseidon16 } from "../../field/poseidon.js";
import { invertMany, mod } from "../../field/scalar.js";
import { chunkRequest } from "../chunk.js";
import {
  DISTINCT_STATE,
  type DistinctChallenges,
  fingerprint,
  HIGH_END,
  IDENTITY,
  LIST_STEP,
  LIST_STEPS,
  LOW_BITS,
} from "../circuit/distinct.js";
import { CLAIM_CODES, type Claim, type ClaimFamily, claimSignal, type Segment } from "../claims.js";
import type { OpenDataset } from "../dataset.js";
import { CHUNK_RECORDS, chunkBlinds, type Description, STARTS, TAGS } from "../layout.js";
import { pauses } from "../pauses.js";

export type DistinctClaim = Extract<Claim, { type: "distinct" }>;

export interface DistinctResult {
  readonly records: number;
}

const RHO_TAG = tag("anchorproof/distinct-rho/1");
const GAMMA_TAG = tag("anchorproof/distinct-gamma/1");
const BLIND_TAG = utf8("anchorproof/distinct-blind/1");

/**
 * What fingerprints and sums are evaluated at, 253 bits of Keccak-256 each.
 *
 * rho is bound to the root and thereby to all records, so that nobody makes two records with one fingerprint beforehand; that
 * would only make a true claim unprovable. gamma is bound to the list as well: what a prover could gain by choosing it is
 * everything.
 *
 * @param bound what the set of proofs is bound to
 * @param list  the chain over the sorted list; gamma is 0 without it
 */
export function distinctChallenges(root: bigint, records: number, bound: Hex, list?: bigint): DistinctChallenges {
  const about = [word(root), word(BigInt(records)), fromHex(bound, "what a challenge is bound to", 32)];
  const draw = (...parts: Uint8Array[]) => BigInt(toHex(keccak(...parts))) >> 3n;
  return {
    rho: draw(RHO_TAG, ...about),
    gamma: list === undefined ? 0n : draw(GAMMA_TAG, ...about, word(list)),
  };
}

function signalsAt({ rho, gamma }: DistinctChallenges) {
  return {
    datasetSorted: claimSignal(CLAIM_CODES.distinctList, [rho, gamma]),
    datasetDistinct: claimSignal(CLAIM_CODES.distinctRecords, [rho, gamma]),
  };
}

export const distinctFamily: ClaimFamily<DistinctClaim, DistinctResult> = {
  signals(_claim, { root, opening, challenge, last }) {
    const list = last?.[DISTINCT_STATE.indexOf("list")];
    if (challenge === undefined || list === undefined) {
      throw new AnchorError("PROOF_SET_INVALID", "the claim's challenges follow from the last state, which is missing");
    }
    return signalsAt(distinctChallenges(root, opening.totals.records, challenge, list));
  },
  initial: () => [0n, 0n, 0n, STARTS.list, 0n, 0n],
  result(_claim, last, { totals }) {
    const records = BigInt(totals.records);
    const [, counted, listed, , high, sum] = last;
    // Chunks have at least one record each, and one that is not full is the last: whoever has all records has all chunks.
    if (last.length !== DISTINCT_STATE.length || counted !== records || listed !== records || high !== 0n) {
      throw new AnchorError("PROOF_SET_INVALID", "the last state is not that of a run over all records");
    }
    if (sum !== 0n) throw new AnchorError("PROOF_SET_INVALID", "the sorted list is not that of the dataset's records");
    return { records: totals.records };
  },
};

export interface DistinctOptions {
  /** What the set of proofs is bound to. */
  readonly challenge: Hex;
  /** Where the list's blinding values come from, so that planning again gives the same. At least 32 bytes. */
  readonly secret: Uint8Array;
  readonly signal?: AbortSignal | undefined;
  /** Called with the part of the work that is done before the first segment is there. */
  readonly onProgress?: ((done: number) => void) | undefined;
  /** Of circuits, for tests: records of a chunk, and steps of a segment of the list. */
  readonly sizes?: { readonly records?: number | undefined; readonly steps?: number | undefined } | undefined;
}

/**
 * The segments that show the claim: those of the list, and one a chunk. 64 bytes of memory a record.
 *
 * @throws CLAIM_FALSE with `details.records`, two that are the same; PROVE_FAILED where fingerprints coincide, chance 2^-90;
 *   ABORTED
 */
export async function* planDistinct(
  dataset: OpenDataset,
  _claim: DistinctClaim,
  { challenge, secret, signal, onProgress, sizes = {} }: DistinctOptions,
): AsyncGenerator<Segment, void, undefined> {
  const { records: chunkSize = CHUNK_RECORDS, steps = LIST_STEPS } = sizes;
  const { root, opening } = dataset.commitment;
  const { records } = opening.totals;
  const pause = pauses(signal);
  const { rho } = distinctChallenges(root, records, challenge);

  const prints: bigint[] = [];
  while (prints.length < records) {
    const count = Math.min(chunkSize, records - prints.length);
    for (const each of dataset.descriptions(prints.length, count)) prints.push(fingerprint(each, rho));
    if (await pause()) onProgress?.((0.5 * prints.length) / records);
  }
  const sorted = [...prints].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  checkSorted(dataset, sorted, prints);
  await pause();

  const segmentSize = LIST_STEP * steps;
  const listSegments = Math.ceil(records / segmentSize);
  const seed = createHmac("sha256", secret)
    .update(BLIND_TAG)
    .update(fromHex(challenge, "challenge", 32))
    .digest();
  const chains = [STARTS.list];
  for (let page = 0; page < listSegments; page++) {
    const entries = sorted.slice(page * segmentSize, (page + 1) * segmentSize);
    const blinds = chunkBlinds(seed, page, steps);
    let list = chains[page]!;
    for (let step = 0; step < steps; step++) {
      const taken = Array.from({ length: LIST_STEP }, (_, j) => entries[LIST_STEP * step + j] ?? 0n);
      list = poseidon16(TAGS.chain, [list, ...taken, blinds[step]!]);
      if (await pause()) onProgress?.(0.5 + (0.5 * (page + step / steps)) / listSegments);
    }
    chains.push(list);
  }
  const list = chains.at(-1)!;
  const challenges = distinctChallenges(root, records, challenge, list);
  const { gamma } = challenges;
  const signals = signalsAt(challenges);

  let state = distinctFamily.initial({ type: "distinct" });
  const next = (after: bigint[]) => {
    const before = state;
    state = after;
    return { before, after };
  };
  for (let page = 0; page < listSegments; page++) {
    const entries = sorted.slice(page * segmentSize, (page + 1) * segmentSize);
    const highs = entries.map((entry) => entry >> BigInt(LOW_BITS));
    const first = state[4]!;
    const added = invertMany(entries.map((entry) => apart(gamma, entry)));
    const sum = mod(added.reduce((total, each) => total + each, state[5]!));
    yield {
      spec: { kind: "sorted", ...(steps === LIST_STEPS ? {} : { steps }) },
      circuitType: "datasetSorted",
      claim: signals.datasetSorted,
      ...next([0n, 0n, state[2]! + BigInt(entries.length), chains[page + 1]!, highs.at(-1)!, sum]),
      request: () => ({
        root,
        challenges,
        gaps: highs.map((high, i) => high - (highs[i - 1] ?? first) - 1n),
        lows: entries.map((entry) => BigInt.asUintN(LOW_BITS, entry)),
        blinds: chunkBlinds(seed, page, steps),
      }),
    };
  }
  for (let index = 0; index * chunkSize < records; index++) {
    const chunk = prints.slice(index * chunkSize, (index + 1) * chunkSize);
    const removed = invertMany(chunk.map((print) => apart(gamma, print)));
    const sum = mod(removed.reduce((total, each) => total - each, state[5]!));
    const [chunks, counted, listed] = state as [bigint, bigint, bigint];
    yield {
      spec: { kind: "distinct", ...(chunkSize === CHUNK_RECORDS ? {} : { records: chunkSize }), depth: opening.depth },
      circuitType: "datasetDistinct",
      claim: signals.datasetDistinct,
      ...next([chunks + 1n, counted + BigInt(chunk.length), listed, list, 0n, sum]),
      request: () => ({ ...chunkRequest(dataset, index, chunkSize), challenges }),
    };
  }
}

/** What a fraction is divided by. @throws PROVE_FAILED */
function apart(gamma: bigint, print: bigint): bigint {
  if (gamma === print) throw coincidence();
  return mod(gamma - print);
}

/** @throws CLAIM_FALSE, PROVE_FAILED */
function checkSorted(dataset: OpenDataset, sorted: readonly bigint[], prints: readonly bigint[]): void {
  if (sorted.some((print, i) => print === sorted[i - 1])) throw duplicate(dataset, prints);
  const highs = sorted.map((print) => print >> BigInt(LOW_BITS));
  if (highs.some((high, i) => high <= (highs[i - 1] ?? 0n)) || highs.at(-1)! >= HIGH_END) throw coincidence();
}

/** The first record that has come before. */
function duplicate(dataset: OpenDataset, prints: readonly bigint[]): AnchorError {
  const seen = new Map<bigint, number>();
  for (const [second, print] of prints.entries()) {
    const first = seen.get(print);
    if (first === undefined) {
      seen.set(print, second);
      continue;
    }
    const [a] = dataset.descriptions(first, 1) as [Description];
    const [b] = dataset.descriptions(second, 1) as [Description];
    if (IDENTITY.some((field) => a[field] !== b[field])) break;
    return new AnchorError("CLAIM_FALSE", `records ${first} and ${second} are the same`, {
      details: { records: [first, second] },
    });
  }
  return coincidence();
}

function coincidence(): AnchorError {
  return new AnchorError(
    "PROVE_FAILED",
    "fingerprints of records coincide by chance: prove for a task with another nonce",
  );
}
