/**
 * Statements for the gate in front of LazAI's deployed contracts (`LazaiMintGate`): those of `statements.ts`, and the file
 * of their DataRegistry that they are about.
 *
 * Proofs and contexts are those of the statement inside, under the LazAI gate's domain; votes and the chain's record of what
 * was used are about the digest of the whole.
 *
 * @module
 */
import { AnchorError } from "../errors.js";
import type { Hex } from "../field/bytes.js";
import { type Domain, structFromJson, structToJson, type TypeTable, typedDigest } from "./eip712.js";
import {
  ASSET_CLASSES,
  checkAsset,
  type DatasetStatement,
  type ModelStatement,
  STATEMENT_TYPES,
} from "./statements.js";

/** A file as LazAI's DataRegistry has it. */
export interface LazaiFile {
  fileId: bigint;
  url: string;
  /** 64 digits of lower-case hex: of the plaintext, and the registry's `hash`. */
  sha256: string;
}

/** "This dataset is the one in this file, and is to be a token of LazAI's." */
export interface LazaiMintStatement {
  dataset: DatasetStatement;
  file: LazaiFile;
}

/** "This model is the one in this file, and is to be a token of LazAI's." */
export interface LazaiModelStatement {
  model: ModelStatement;
  file: LazaiFile;
}

export interface LazaiStatements {
  LazaiMintStatement: LazaiMintStatement;
  LazaiModelStatement: LazaiModelStatement;
}

export type LazaiStatementName = keyof LazaiStatements;

export const LAZAI_STATEMENT_TYPES: TypeTable = {
  ...STATEMENT_TYPES,
  LazaiFile: [
    { name: "fileId", type: "uint256" },
    { name: "url", type: "string" },
    { name: "sha256", type: "string" },
  ],
  LazaiMintStatement: [
    { name: "dataset", type: "DatasetStatement" },
    { name: "file", type: "LazaiFile" },
  ],
  LazaiModelStatement: [
    { name: "model", type: "ModelStatement" },
    { name: "file", type: "LazaiFile" },
  ],
};

/** Most units of one token: LazAI's scores, which are its amounts, end here. */
export const LAZAI_MAX_SUPPLY = 10_000n;

/** What is voted on, and used up; under the LazAI gate's domain. */
export function lazaiStatementDigest<N extends LazaiStatementName>(
  domain: Domain,
  name: N,
  statement: LazaiStatements[N],
): Hex {
  return typedDigest(domain, LAZAI_STATEMENT_TYPES, name, statement);
}

export function lazaiStatementToJson<N extends LazaiStatementName>(
  name: N,
  statement: LazaiStatements[N],
): Record<string, unknown> {
  return structToJson(LAZAI_STATEMENT_TYPES, name, statement);
}

/** @throws STATEMENT_INVALID */
export function lazaiStatementFromJson<N extends LazaiStatementName>(
  name: N,
  json: unknown,
  path: string,
): LazaiStatements[N] {
  return structFromJson<LazaiStatements[N]>(LAZAI_STATEMENT_TYPES, name, json, "STATEMENT_INVALID", path);
}

/**
 * What the gate refuses in a statement by itself, so that nobody votes for a token that cannot be minted. What the registry
 * says of the file only the chain knows, and whether the file is the dataset only who has it.
 *
 * @param now Unix seconds of a recent block; without it, an expiry is not compared with anything
 * @throws STATEMENT_INVALID
 */
export function checkLazaiStatement<N extends LazaiStatementName>(
  name: N,
  statement: LazaiStatements[N],
  now?: bigint,
): void {
  const { file } = statement;
  const model = name === "LazaiModelStatement";
  const { asset } = "model" in statement ? statement.model : statement.dataset;
  checkAsset(asset, now);
  if (asset.class !== (model ? ASSET_CLASSES.model : ASSET_CLASSES.dataset)) {
    invalid(`a ${name} is about an asset of class ${model ? ASSET_CLASSES.model : ASSET_CLASSES.dataset}`);
  }
  if (asset.supply > LAZAI_MAX_SUPPLY) invalid(`LazAI's tokens have at most ${LAZAI_MAX_SUPPLY} units`);
  if (asset.parents.length > 0) invalid("LazAI's token keeps no parents");
  if (!asset.terms.transferable || asset.terms.shareBps !== 0n) {
    invalid("LazAI's token passes on freely and keeps no royalty: terms that ask for more are refused");
  }
  if (file.fileId !== asset.fileId) invalid("asset and file have different numbers");
  if (file.fileId === 0n) invalid("LazAI's registry numbers its files from 1");
  if (file.url === "") invalid("LazAI's token needs its file's url");
  if (!/^[0-9a-f]{64}$/.test(file.sha256)) invalid("a file's SHA-256 is 64 digits of lower-case hex");
}

function invalid(reason: string): never {
  throw new AnchorError("STATEMENT_INVALID", reason);
}
