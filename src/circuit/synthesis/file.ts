/**
 * What surrounds the rows in an `.r1cs` file of iden3's format.
 *
 * @module
 */

import { concat } from "../../field/bytes.js";
import { R } from "../../field/scalar.js";
import { binFile, littleEndian, uint32 } from "../binfile.js";
import type { Sink } from "./rows.js";

const HEADER_SECTION = 1;
const ROW_SECTION = 2;
const LABEL_SECTION = 3;
const SECTION_HEAD_BYTES = 12;
const LABEL_BYTES = 8;
/** Labels that are written at a time. */
const LABELS = 65_536;

/** Where the rows begin: after magic, version, number of sections, the header's section, and their own type and length. */
export const ROWS_AT = 12 + 12 + 64 + 12;

/** Wires are in this order: 1, public outputs, public inputs, private inputs, all others. */
export interface SystemLayout {
  readonly wires: number;
  readonly rows: number;
  readonly publicOutputs: number;
  readonly publicInputs: number;
  readonly privateInputs: number;
}

/** The file up to its rows. @param rowBytes length of the rows */
export function systemHead(layout: SystemLayout, rowBytes: number): Uint8Array {
  const { wires, rows, publicOutputs, publicInputs, privateInputs } = layout;
  const header = concat(
    uint32(32),
    littleEndian(R),
    uint32(wires),
    uint32(publicOutputs),
    uint32(publicInputs),
    uint32(privateInputs),
    uint64(wires),
    uint32(rows),
  );
  const empty = binFile("r1cs", 1, [
    [HEADER_SECTION, header],
    [ROW_SECTION, new Uint8Array()],
    [LABEL_SECTION, new Uint8Array()],
  ]);
  const head = empty.slice(0, -SECTION_HEAD_BYTES);
  head.set(uint64(rowBytes), ROWS_AT - 8);
  return head;
}

/** Hands on what follows the rows. */
export function writeLabels(wires: number, append: Sink): void {
  append(concat(uint32(LABEL_SECTION), uint64(LABEL_BYTES * wires)));
  for (let from = 0; from < wires; from += LABELS) append(labels(from, Math.min(wires, from + LABELS)));
}

/** Of each wire, the number of its signal: the same, as there is no other list of signals. */
function labels(from: number, to: number): Uint8Array {
  const words = new Uint32Array(2 * (to - from));
  for (let wire = from; wire < to; wire++) words[2 * (wire - from)] = wire;
  return new Uint8Array(words.buffer);
}

export function uint64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}
