/** Datasets whose chunks have as few records as small circuits, under trees of the least height. */
import type { OpenDataset } from "../../src/dataset/dataset.js";
import { AT, absorbRecord, chunkBlinds, hashNode, hashRoot, STARTS } from "../../src/dataset/layout.js";
import {
  bytesRecord,
  type Cell,
  type Column,
  contentElements,
  type DatasetRecord,
  describeRecord,
  schemaDigest,
} from "../../src/dataset/record.js";
import { utf8 } from "../../src/field/bytes.js";

export interface Row {
  readonly data?: string;
  readonly label?: string;
  readonly cells?: readonly Cell[];
}

/** @param chunk records of one */
export function smallDataset(rows: readonly Row[], chunk: number, columns: readonly Column[] = []): OpenDataset {
  const records: DatasetRecord[] = rows.map(({ data = "", label = "", cells = [] }) => {
    return { ...bytesRecord(utf8(data)), dtype: "text", label, cells };
  });
  const descriptions = records.map((record) => describeRecord(record, columns));
  const seed = new Uint8Array(32).fill(7);
  const chunkRoots: bigint[] = [];
  for (let first = 0; first < descriptions.length; first += chunk) {
    const own = descriptions.slice(first, first + chunk);
    const blinds = chunkBlinds(seed, chunkRoots.length, own.length);
    chunkRoots.push(own.reduce((at, each, i) => absorbRecord(at, each, blinds[i]!), STARTS.chunk));
  }
  const sum = (field: number) => descriptions.reduce((total, each) => total + Number(each[field]!), 0);
  const totals = { records: records.length, blocks: sum(AT.blocks), values: sum(AT.length) };
  const opening = { depth: 2, top: hashNode(2, [hashNode(1, chunkRoots)]), totals, schema: schemaDigest(columns) };
  return {
    commitment: { root: hashRoot(opening), opening, columns, bytes: totals.values, sha256: "0x", blinded: true },
    chunkRoots,
    seed,
    descriptions: (first, count) => descriptions.slice(first, first + count),
    record: (index) => records[index]!,
    content: (index) => contentElements(records[index]!),
    close() {},
  };
}
