/**
 * The submission of a dataset: what its commitment says, as the protocol's message.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { AnchorError } from "../errors.js";
import { type Hex, toHex, wordHex } from "../field/bytes.js";
import {
  MAX_POV_DATA,
  type PointOfView,
  type PovPart,
  type PovProof,
  povFromJson,
  povToJson,
} from "../protocol/pov.js";
import type { OpenDataset } from "./dataset.js";
import { AT } from "./layout.js";
import { pauses } from "./pauses.js";
import { DTYPES, type Dtype, dtypeOfKind } from "./record.js";

const ZERO: Hex = `0x${"00".repeat(32)}`;
/** Descriptions that are read at once. */
const AT_ONCE = 4096;

/** A record, or one of several parts by its first, that the submission names. */
export interface NamedRecord {
  readonly record: number;
  /** One of `PART_ROLES`. Unless told, text, file or tensor, by its type. */
  readonly role?: string | undefined;
  /** All of its data stands in the message, for everybody to read. */
  readonly publish?: boolean | undefined;
  /** Its SHA-256 stands there, which lets anyone test a guess at it. Always, where it is published. */
  readonly digest?: boolean | undefined;
}

export interface PovOptions {
  readonly creator: Hex;
  /** One of `DATA_TAGS`. */
  readonly dataTag: string;
  /** Unix seconds. */
  readonly timestamp: bigint;
  readonly parts?: readonly NamedRecord[] | undefined;
  readonly proofs?: readonly PovProof[] | undefined;
  /** The dataset's SHA-256 stands there, which lets anyone test a guess at the data; true unless told. */
  readonly dataHash?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The message to sign.
 *
 * @throws POV_INVALID for what no submission can say; DATASET_RECORD_UNKNOWN; INPUT_INVALID for a part that begins in the
 *   middle of a record; ABORTED
 */
export async function datasetPov(dataset: OpenDataset, options: PovOptions): Promise<PointOfView> {
  const { creator, dataTag, timestamp, parts = [], proofs = [], dataHash = true } = options;
  const { root, opening, bytes, sha256 } = dataset.commitment;
  const { records, blocks, values } = opening.totals;
  const pause = pauses(options.signal);
  const described: PovPart[] = [];
  for (const part of [...parts].sort((a, b) => a.record - b.record)) {
    described.push(await describePart(dataset, part, pause));
  }
  const pov: PointOfView = {
    dataHash: dataHash ? sha256 : ZERO,
    dataTag,
    dataType: await dataTypeOf(dataset, pause),
    dataSize: BigInt(bytes),
    parts: described,
    timestamp,
    proofs: [...proofs].sort((a, b) => (a.digest < b.digest ? -1 : 1)).map(({ kind, digest }) => ({ kind, digest })),
    creator,
    dataRoot: wordHex(root),
    depth: BigInt(opening.depth),
    top: wordHex(opening.top),
    records: BigInt(records),
    blocks: BigInt(blocks),
    values: BigInt(values),
    schema: wordHex(opening.schema),
  };
  return povFromJson(povToJson(pov), "pov");
}

/** "table" where records have columns, else the type that all records have, or "mixed". */
async function dataTypeOf(dataset: OpenDataset, pause: () => Promise<boolean>): Promise<string> {
  const { columns, opening } = dataset.commitment;
  if (columns.length > 0) return "table";
  const { records } = opening.totals;
  let common: string | undefined;
  for (let first = 0; first < records; first += AT_ONCE) {
    await pause();
    for (const description of dataset.descriptions(first, Math.min(AT_ONCE, records - first))) {
      const dtype = dtypeOfKind(description[AT.kind]!)!;
      common ??= dtype;
      if (dtype !== common) return "mixed";
    }
  }
  return common!;
}

async function describePart(dataset: OpenDataset, named: NamedRecord, pause: () => Promise<boolean>): Promise<PovPart> {
  const first = dataset.record(named.record);
  const { dtype, shape, name = "", part = 0, parts = 1 } = first;
  if (part !== 0) {
    throw new AnchorError("INPUT_INVALID", `record ${named.record} is a part: name record ${named.record - part}`);
  }
  const { publish = false, digest = publish, role = publish && dtype === "text" ? "prompt" : roleOf(dtype) } = named;
  const size = shape.reduce((product, n) => product * BigInt(n), BigInt(DTYPES[dtype].size));
  const pieces = function* () {
    for (let i = 0; i < parts; i++) yield dataset.record(named.record + i).data;
  };
  if (publish && size > MAX_POV_DATA) {
    throw new AnchorError(
      "POV_INVALID",
      `record ${named.record} has ${size} bytes: too many for a submission to publish`,
    );
  }
  const hash = createHash("sha256");
  if (digest || publish) {
    for (const piece of pieces()) {
      hash.update(piece);
      await pause();
    }
  }
  return {
    role,
    name,
    dtype,
    shape: shape.map(BigInt),
    size,
    record: BigInt(named.record),
    digest: digest || publish ? toHex(hash.digest()) : ZERO,
    data: publish ? toHex(Buffer.concat([...pieces()])) : "0x",
  };
}

function roleOf(dtype: Dtype): string {
  return dtype === "text" ? "text" : dtype === "bytes" ? "file" : "tensor";
}
