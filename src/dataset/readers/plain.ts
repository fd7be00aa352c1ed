/**
 * Files as they are: a record a file, of bytes or of text.
 *
 * @module
 */
import { isUtf8 } from "node:buffer";
import type { Dtype } from "../record.js";
import { unfinished, validPrefix } from "../utf8.js";
import { type Context, emit, streamParts } from "./context.js";
import type { Source, SourcedRecord } from "./source.js";

export function readBytes(source: Source, context: Context): AsyncGenerator<SourcedRecord[]> {
  return readWhole(source, context, "bytes");
}

/** Text is UTF-8; a byte order mark is a character like any other. @throws DATASET_MALFORMED */
export function readText(source: Source, context: Context): AsyncGenerator<SourcedRecord[]> {
  return readWhole(source, context, "text");
}

async function* readWhole(source: Source, context: Context, dtype: Dtype): AsyncGenerator<SourcedRecord[]> {
  const parts = streamParts(source, { ...context.fields, dtype, shape: [source.size] }, source.size);
  let at = 0;
  let cut: Uint8Array = new Uint8Array(); // of a character whose rest is in the next part
  for await (const part of parts) {
    if (dtype === "text") {
      const text = cut.length === 0 ? part.data : Buffer.concat([cut, part.data]);
      const last = at + part.data.length === source.size;
      const whole = last ? text.length : text.length - unfinished(text);
      if (!isUtf8(text.subarray(0, whole))) {
        const offset = at - cut.length + validPrefix(text);
        throw source.malformed(`is not UTF-8 at byte ${offset}; commit to it with --format bytes`, { offset });
      }
      cut = text.slice(whole);
    }
    yield emit(source, [part], { offset: at });
    at += part.data.length;
  }
}
