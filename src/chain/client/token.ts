/**
 * The data anchoring tokens.
 *
 * @module
 */
import type { Hex } from "../../field/bytes.js";
import type { Royalty } from "../../protocol/royalties.js";
import type { Asset, Terms } from "../../protocol/statements.js";
import { type Connection, ContractClient, lower, type Sent } from "./caller.js";

/** An asset as minted. */
export interface AssetRecord extends Omit<Asset, "token"> {
  creator: Hex;
  /** Unix seconds. */
  mintedAt: bigint;
  /** Its `verified` was taken back. */
  revoked: boolean;
}

/** What a settlement reads of an asset. */
export interface SettlementTerms {
  creator: Hex;
  revoked: boolean;
  /** Unix seconds; 0 for never. */
  expiresAt: bigint;
  /** 0 for no limit. */
  maxUses: bigint;
  /** Ancestors are owed of the creator's share. */
  derived: boolean;
}

export class TokenClient extends ContractClient {
  constructor(connection: Connection) {
    super("DataAnchoringToken", connection);
  }

  /** The id that an asset has, minted or not. */
  async idOf(assetClass: bigint, commitment: Hex): Promise<bigint> {
    return this.read<bigint>("idOf", assetClass, commitment);
  }

  /** The record of a minted asset, or `undefined`. */
  async recordOf(datId: bigint): Promise<AssetRecord | undefined> {
    if (!(await this.read<boolean>("exists", datId))) return undefined;
    const record = await this.read<AssetRecord>("recordOf", datId);
    const { expiresAt, maxUses, shareBps, transferable } = record.terms as Terms;
    return {
      creator: lower(record.creator),
      mintedAt: record.mintedAt,
      class: record.class,
      revoked: record.revoked,
      terms: { expiresAt, maxUses, shareBps, transferable },
      commitment: record.commitment,
      metadataDigest: record.metadataDigest,
      supply: record.supply,
      fileId: record.fileId,
      parents: [...record.parents],
    };
  }

  /** True from the mint on, until it is revoked; false for what was never minted. */
  async isVerified(datId: bigint): Promise<boolean> {
    return this.read<boolean>("verified", datId);
  }

  /** What of an asset's creator share goes to which ancestors, as it was at the mint. */
  async royaltiesOf(datId: bigint): Promise<Royalty[]> {
    const table = await this.read<Royalty[]>("royaltiesOf", datId);
    return [...table].map(({ datId: ancestor, creator, bps }) => ({ datId: ancestor, creator: lower(creator), bps }));
  }

  async settlementOf(datId: bigint): Promise<SettlementTerms> {
    const { creator, revoked, expiresAt, maxUses, derived } = await this.read<SettlementTerms>("settlementOf", datId);
    return { creator: lower(creator), revoked, expiresAt, maxUses, derived };
  }

  /** ERC-2981: who is to be paid how much of a sale at this price. Marketplaces may keep to it. */
  async royaltyInfo(datId: bigint, salePrice: bigint): Promise<{ receiver: Hex; amount: bigint }> {
    const [receiver, amount] = await this.read<[string, bigint]>("royaltyInfo", datId, salePrice);
    return { receiver: lower(receiver), amount };
  }

  /** Where the asset's metadata is, which has the digest in it. */
  async uri(datId: bigint): Promise<string> {
    return this.read<string>("uri", datId);
  }

  /** The supply minted; nothing is ever burned. */
  async totalSupply(datId: bigint): Promise<bigint> {
    return this.read<bigint>("totalSupply", datId);
  }

  /** How many units of an asset an account holds. */
  async balanceOf(account: Hex, datId: bigint): Promise<bigint> {
    return this.read<bigint>("balanceOf", account, datId);
  }

  /** Gives units of an asset to another account, from the caller or an account that has approved it. */
  async transfer(from: Hex, to: Hex, datId: bigint, value: bigint): Promise<Sent> {
    return this.send("safeTransferFrom", from, to, datId, value, "0x");
  }
}
