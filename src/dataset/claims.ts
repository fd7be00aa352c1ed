/**
 * Claims about a whole dataset, and what verifiers need to know of each family of circuits that shows them.
 *
 * A claim is shown by an automaton that runs over the whole dataset, cut into segments of one proof each. The state that
 * goes from one segment to the next is hidden in a salted commitment, `before` and `after` among the public signals. The
 * first state is public, with salt 0, and the last one is opened; so nothing is left out, repeated or reordered, and what
 * lies between stays unknown. See `circuits/dataset/commit_state.circom`.
 *
 * @module
 */
import type { Hex } from "../field/bytes.js";
import { chain } from "../field/chain.js";
import type { DatasetProgramSpec } from "./circuit/index.js";
import { chainFrom, type RootOpening, STARTS, TAGS } from "./layout.js";
import type { Column } from "./record.js";

/** Codes of families, in the `claim` signal. Never reused. */
export const CLAIM_CODES = {
  content: 1n,
  bytes: 2n,
  numbers: 3n,
  labels: 4n,
  column: 5n,
  distinctRecords: 6n,
  distinctList: 7n,
} as const;

export type Claim =
  /** The prover knows every element of every record. */
  | { readonly type: "integrity" }
  /** … and all records are of this kind, with all bytes of their data in a range. */
  | { readonly type: "bytes"; readonly kind: bigint; readonly min: number; readonly max: number }
  /** … and all records are of this kind (a tensor's), with all numbers in a range of order-preserving keys. */
  | { readonly type: "numbers"; readonly kind: bigint; readonly min: bigint; readonly max: bigint }
  /** Every record's label is one of these, at most 16; with `counts`, how often each occurs. */
  | { readonly type: "labels"; readonly labels: readonly string[]; readonly counts: boolean }
  /** About a decimal or float column. */
  | ColumnClaim
  /** No two records have the same type, shape, data and cells, whatever their names and labels. */
  | { readonly type: "distinct" };

/** Everything is about the cells that are there; how many those are is part of the result. */
export interface ColumnClaim {
  readonly type: "column";
  /** Its number among the dataset's columns. */
  readonly column: number;
  /** Only records with this label count; all of them unless told. */
  readonly label?: string | undefined;
  /**
   * Edges of bins as encoded cells ({@link encodeCell}), strictly ascending, 2 to 17 of them: each cell lies in a bin
   * `[edge, next edge)`. Two edges are a range.
   */
  readonly edges: readonly bigint[];
  /** How many cells lie in each bin. */
  readonly histogram: boolean;
  /** The sum of a decimal column. */
  readonly sum: boolean;
  /** Some cell is the first edge, and some cell is one less than the last: minimum and maximum are those. */
  readonly attained: boolean;
  /** No cell is missing, and each is at least, or more than, the one before. */
  readonly order?: "ascending" | "strict" | undefined;
}

/** The `claim` signal. @param params at least one; [0n] where a family has none */
export function claimSignal(code: bigint, params: readonly bigint[]): bigint {
  return chainFrom(STARTS.claim + (code << 64n), params);
}

/** The commitment to a state. */
export function commitState(fields: readonly bigint[], salt: bigint): bigint {
  return chain(TAGS.state, salt, fields);
}

/** One proof of a claim, planned. Fields of states are in the order of the family's template. */
export interface Segment {
  readonly spec: DatasetProgramSpec;
  /** Key of `CIRCUIT_TYPES` in src/protocol/statements.ts. */
  readonly circuitType: string;
  readonly claim: bigint;
  readonly before: readonly bigint[];
  readonly after: readonly bigint[];
  /** The circuit's request, but for what {@link Segment} says already, salts and context. Reading may take time: made when wanted. */
  request(): Record<string, unknown>;
}

/** What a circuit's request has in common with all other segments'. */
export interface SegmentSignals {
  readonly root: bigint;
  readonly claim: bigint;
  readonly before: readonly bigint[];
  readonly after: readonly bigint[];
  readonly beforeSalt: bigint;
  readonly afterSalt: bigint;
  readonly context: bigint;
}

/** How verifiers see a family: pure functions of what is published. */
export interface ClaimFamily<C extends Claim, Result> {
  /**
   * `claim` signals that the set's segments may have, by circuit type.
   *
   * A family whose parameters are drawn after something has been committed to finds that in the last state; `challenge` binds
   * what it draws to the set.
   *
   * @throws CLAIM_INVALID for a claim that is not well formed, or does not fit the columns
   */
  signals(
    claim: C,
    about: {
      root: bigint;
      opening: RootOpening;
      columns: readonly Column[];
      challenge?: Hex;
      last?: readonly bigint[];
    },
  ): Record<string, bigint>;
  /** The public first state. */
  initial(claim: C): bigint[];
  /**
   * What a last state says.
   *
   * @throws PROOF_SET_INVALID where it is not that of a run over the whole dataset
   */
  result(claim: C, last: readonly bigint[], opening: RootOpening): Result;
}
