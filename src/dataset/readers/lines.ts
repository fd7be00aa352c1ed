/**
 * A record a line, of text or bytes. A line ends with a line feed, which is no part of it (a carriage return before it
 * is); a last line needs none.
 *
 * @module
 */
import { isUtf8 } from "node:buffer";
import { type Dtype, splitRecord } from "../record.js";
import { validPrefix } from "../utf8.js";
import { type Context, emit, plain } from "./context.js";
import { BATCH_RECORDS, MAX_LINE_BYTES, type Source, type SourcedRecord } from "./source.js";

const LINE_FEED = 10;

/** The lines that have been read. */
export interface Position {
  line: number;
}

/**
 * Pieces of the file that end where lines do; the last may lack its line feed. With `text`, they are UTF-8. `position` is
 * the caller's: the lines before the piece that is read next.
 */
export async function* wholeLines(source: Source, position: Position, text: boolean): AsyncGenerator<Buffer> {
  let begun: Buffer[] = [];
  let held = 0;
  const join = (piece: Buffer): Buffer => {
    const lines = begun.length === 0 ? piece : Buffer.concat([...begun, piece]);
    begun = [];
    held = 0;
    if (text && !isUtf8(lines)) {
      const before = lines.subarray(0, validPrefix(lines));
      const line = position.line + 1 + before.reduce((count, byte) => count + (byte === LINE_FEED ? 1 : 0), 0);
      throw source.malformedLine(line, `is not UTF-8 after ${before.length - before.lastIndexOf(LINE_FEED) - 1} bytes`);
    }
    return lines;
  };
  for (let block = await source.block(); block !== undefined; block = await source.block()) {
    const end = block.lastIndexOf(LINE_FEED) + 1;
    if (end > 0) yield join(block.subarray(0, end));
    if (end < block.length) begun.push(block.subarray(end));
    held += block.length - end;
    if (held > MAX_LINE_BYTES) throw lineTooLong(source, position.line + 1);
  }
  if (held > 0) yield join(Buffer.alloc(0));
}

export function lineTooLong(source: Source, line: number): Error {
  return source.tooLarge(`line ${line} is longer than ${MAX_LINE_BYTES} bytes`, { line });
}

/** Start and end of each line of a piece. */
export function* linesOf(source: Source, lines: Buffer, position: Position): Generator<readonly [number, number]> {
  for (let start = 0; start < lines.length; ) {
    const feed = lines.indexOf(LINE_FEED, start);
    const end = feed < 0 ? lines.length : feed;
    position.line++;
    if (end - start > MAX_LINE_BYTES) throw lineTooLong(source, position.line);
    yield [start, end];
    start = end + 1;
  }
}

export function readLines(dtype: Extract<Dtype, "bytes" | "text">) {
  return async function* (source: Source, { fields }: Context): AsyncGenerator<SourcedRecord[]> {
    const position = { line: 0 };
    for await (const lines of wholeLines(source, position, dtype === "text")) {
      const bytes = plain(lines);
      let batch: SourcedRecord[] = [];
      for (const [start, end] of linesOf(source, lines, position)) {
        const record = { ...fields, dtype, shape: [end - start], data: bytes.subarray(start, end) };
        batch.push(...emit(source, splitRecord(record), position));
        if (batch.length < BATCH_RECORDS) continue;
        yield batch;
        batch = [];
      }
      if (batch.length > 0) yield batch;
    }
  };
}
