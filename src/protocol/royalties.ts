/**
 * What of a derived asset's creator share goes to its ancestors: the twin of what the token's contract writes down at a mint,
 * so that a mint's refusal and a settlement's payments can be foretold.
 *
 * Each parent is owed its terms' share. Of that, the parent's own table says what is owed further up, rounded down; the
 * rest stays with the parent. So a table adds up to the parents' shares exactly, and nobody is owed more than the share of
 * the parent through which it comes.
 *
 * @module
 */
import { AnchorError } from "../errors.js";
import type { Hex } from "../field/bytes.js";
import { MAX_ROYALTY_BPS } from "./statements.js";

/** Most entries of a table. */
export const MAX_ROYALTIES = 16;
/** Most steps up the lineage that a table reaches. */
export const MAX_ROYALTY_DEPTH = 3;

const BASIS_POINTS = 10_000n;

/** Of a minted asset, what royalties depend on. */
export interface Ancestor {
  creator: Hex;
  shareBps: bigint;
  parents: readonly bigint[];
}

export interface Royalty {
  /** The ancestor. */
  datId: bigint;
  /** The ancestor's. */
  creator: Hex;
  /** Of the derived asset's creator share. */
  bps: bigint;
}

type Table = Map<bigint, { bps: bigint; depth: number }>;

/**
 * @param parents  of the asset that is to be minted
 * @param lineage  every asset above it, by id
 * @throws STATEMENT_INVALID when the token refuses: more than 5,000 basis points, 16 entries or 3 steps, for this asset or one
 *         above it; INPUT_INVALID for a lineage with an asset missing, or going round in circles
 */
export function royaltiesOf(parents: readonly bigint[], lineage: ReadonlyMap<bigint, Ancestor>): Royalty[] {
  const known = new Map<bigint, Table>();
  const open = new Set<bigint>();
  const of = (datId: bigint): Ancestor => {
    const ancestor = lineage.get(datId);
    if (!ancestor) throw new AnchorError("INPUT_INVALID", `the lineage lacks the asset ${datId}`);
    return ancestor;
  };
  const tableAbove = (datId: bigint): Table => {
    const before = known.get(datId);
    if (before) return before;
    if (open.has(datId)) throw new AnchorError("INPUT_INVALID", `the asset ${datId} is its own ancestor`);
    open.add(datId);
    const table = tableOf(of(datId).parents);
    open.delete(datId);
    known.set(datId, table);
    return table;
  };
  const tableOf = (ids: readonly bigint[]): Table => {
    const table: Table = new Map();
    let asked = 0n;
    for (const parent of ids) {
      const share = of(parent).shareBps;
      if (share === 0n) continue; // asks nothing, and so passes nothing on
      asked += share;
      if (asked > MAX_ROYALTY_BPS) refuse(`its parents ask for more than ${MAX_ROYALTY_BPS} basis points together`);
      const parts = [...tableAbove(parent)]
        .map(([datId, { bps, depth }]) => ({ datId, bps: (share * bps) / BASIS_POINTS, depth: depth + 1 }))
        .filter(({ bps }) => bps > 0n);
      const passedOn = parts.reduce((sum, { bps }) => sum + bps, 0n);
      for (const { datId, bps, depth } of [{ datId: parent, bps: share - passedOn, depth: 1 }, ...parts]) {
        if (depth > MAX_ROYALTY_DEPTH)
          refuse(`${datId} would be owed of it from more than ${MAX_ROYALTY_DEPTH} steps up`);
        const entry = table.get(datId);
        table.set(datId, { bps: (entry?.bps ?? 0n) + bps, depth: Math.max(entry?.depth ?? 0, depth) });
        if (table.size > MAX_ROYALTIES) refuse(`more than ${MAX_ROYALTIES} ancestors would be owed of it`);
      }
    }
    return table;
  };
  return [...tableOf(parents)].map(([datId, { bps }]) => ({ datId, creator: of(datId).creator, bps }));
}

function refuse(reason: string): never {
  throw new AnchorError("STATEMENT_INVALID", `an asset with these parents cannot be minted: ${reason}`);
}
