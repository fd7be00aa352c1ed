/**
 * The data anchoring tokens.
 *
 * @module
 */
import type { Hex } from "../../field/bytes.js";
import type { Asset } from "../../protocol/statements.js";
import { type Connection, ContractClient, lower } from "./caller.js";

export interface AssetRecord extends Omit<Asset, "token" | "fileId" | "terms"> {
  creator: Hex;
  /** Unix seconds. */
  mintedAt: bigint;
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
  async balanceOf(account: Hex, datId: bigint): Promise<bigint> {
    return this.read<bigint>("balanceOf", account, datId);
  }
}
