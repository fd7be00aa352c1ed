/**
 * The `.r1cs` file of a graph, in iden3's format, written straight from the integer graph.
 *
 * @module
 */

import { randomBytes } from "node:crypto";
import { readSync, writeSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { setImmediate } from "node:timers/promises";
import { describeR1cs, type R1csHeader } from "../../circuit/r1cs.js";
import { ROWS_AT, type SystemLayout, systemHead, uint64, writeLabels } from "../../circuit/synthesis/file.js";
import { RowWriter, type Sink } from "../../circuit/synthesis/rows.js";
import { AnchorError, throwIfAborted, toAnchorError } from "../../errors.js";
import { concat } from "../../field/bytes.js";
import type { ModelGraph } from "../graph.js";
import { type Circuit, type CircuitOptions, prepareCircuit, synthesise } from "./statement.js";

export interface EmitOptions extends CircuitOptions {
  readonly signal?: AbortSignal | undefined;
  /** Rows so far, of all. */
  readonly onProgress?: ((progress: { readonly done: number; readonly total: number }) => void) | undefined;
}

/** The file's bytes, for circuits that fit memory. @throws AnchorError as `prepareCircuit` */
export function emitR1cs(graph: ModelGraph, options: CircuitOptions = {}): Uint8Array {
  return emit(graph, options).r1cs;
}

/** {@link emitR1cs} with the names that Circom's program gives to the wires, aliases included. */
export function emitNamedR1cs(
  graph: ModelGraph,
  options: CircuitOptions = {},
): { r1cs: Uint8Array; names: ReadonlyMap<string, number> } {
  const { r1cs, names } = emit(graph, options, "main");
  return { r1cs, names: names! };
}

/**
 * Writes the file, piece by piece: beside its place, and then renamed.
 *
 * @returns header and circuit digest of what was written
 * @throws AnchorError as `prepareCircuit`; FILE_UNREADABLE, ABORTED
 */
export async function writeR1cs(
  path: string,
  graph: ModelGraph,
  options: EmitOptions = {},
): Promise<R1csHeader & { circuitDigest: `0x${string}` }> {
  const { signal } = options;
  const circuit = prepareCircuit(graph, options);
  const beside = `${path}.${randomBytes(6).toString("hex")}.part`;
  try {
    throwIfAborted(signal);
    const file = await open(beside, "wx");
    try {
      const append: Sink = (bytes) => {
        for (let done = 0; done < bytes.length; ) done += writeSync(file.fd, bytes, done);
      };
      const rowBytes = await produce(circuit, 0, append, options);
      await file.write(uint64(rowBytes), 0, 8, ROWS_AT - 8);
      await file.sync();
    } finally {
      await file.close();
    }
    const description = await describeR1cs(beside, signal);
    await rename(beside, path);
    return description;
  } catch (error) {
    await rm(beside, { force: true }).catch(() => {});
    throw toAnchorError(error, "FILE_UNREADABLE", `cannot write ${path}`);
  }
}

/**
 * Whether a file is, byte for byte, the one that {@link writeR1cs} writes.
 *
 * @throws AnchorError as `prepareCircuit`; FILE_NOT_FOUND, FILE_UNREADABLE, ABORTED
 */
export async function isR1csOf(path: string, graph: ModelGraph, options: EmitOptions = {}): Promise<boolean> {
  const circuit = prepareCircuit(graph, options);
  const different = new Error("different");
  const failed = (error: unknown) => {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    return toAnchorError(error, missing ? "FILE_NOT_FOUND" : "FILE_UNREADABLE", `cannot read ${path}`);
  };
  const file = await open(path, "r").catch((error: unknown) => {
    throw failed(error);
  });
  try {
    const { size } = await file.stat();
    const stated = new Uint8Array(8);
    await file.read(stated, 0, 8, ROWS_AT - 8);
    const rowBytes = Number(new DataView(stated.buffer).getBigUint64(0, true));
    let at = 0;
    let there = new Uint8Array();
    const compare: Sink = (bytes) => {
      if (there.length < bytes.length) there = new Uint8Array(bytes.length);
      for (let done = 0; done < bytes.length; ) {
        const read = readSync(file.fd, there, done, bytes.length - done, at + done);
        if (read === 0) throw different;
        done += read;
      }
      if (Buffer.compare(there.subarray(0, bytes.length), bytes) !== 0) throw different;
      at += bytes.length;
    };
    return (await produce(circuit, rowBytes, compare, options)) === rowBytes && at === size;
  } catch (error) {
    if (error === different) return false;
    throw failed(error);
  } finally {
    await file.close();
  }
}

/**
 * Hands the file on, piece by piece.
 *
 * @param rowBytes what the head says of the length of the rows
 * @returns what that length is
 */
async function produce(
  circuit: Circuit,
  rowBytes: number,
  append: Sink,
  { signal, onProgress }: EmitOptions,
): Promise<number> {
  append(systemHead(layout(circuit), rowBytes));
  const writer = new RowWriter(circuit.wires, circuit.map, append);
  for (const _ of synthesise(writer, circuit)) {
    onProgress?.({ done: writer.rows, total: circuit.rows });
    await setImmediate(); // a node at a time: what else runs here gets its turn
    throwIfAborted(signal);
  }
  // The head is written already.
  if (writer.rows !== circuit.rows) throw new AnchorError("INTERNAL", "the circuit has other rows than were counted");
  writer.end();
  writeLabels(circuit.wires, append);
  return writer.bytes;
}

function emit(graph: ModelGraph, options: CircuitOptions, scope?: string) {
  const circuit = prepareCircuit(graph, options);
  const pieces: Uint8Array[] = [];
  const writer = new RowWriter(circuit.wires, circuit.map, (piece) => pieces.push(piece), scope);
  for (const _ of synthesise(writer, circuit));
  writer.end();
  writeLabels(circuit.wires, (piece) => pieces.push(piece));
  return { r1cs: concat(systemHead(layout(circuit), writer.bytes), ...pieces), names: writer.names };
}

function layout({ wires, rows, publicSignals, privateInputs }: Circuit): SystemLayout {
  return { wires, rows, publicOutputs: publicSignals.length - 1, publicInputs: 1, privateInputs }; // the context is no output
}
