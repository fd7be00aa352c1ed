/**
 * Files as they are: a record a file, of bytes or of text.
 *
 * @module
 */
import { isUtf8 } from "node:buffer";
import type { Dtype } from "../record.js";
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
        throw source.malformed(`is not UTF-8 at byte ${offset}; commit to it as bytes`, { offset });
      }
      cut = text.slice(whole);
    }
    yield emit(source, [part], { offset: at });
    at += part.data.length;
  }
}

/** Bytes of the character at the end of a text that is cut there: 0 to 3. */
export function unfinished(text: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, text.length); back++) {
    const byte = text[text.length - back]!;
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}

/** Bytes before the first that no UTF-8 goes on with. */
export function validPrefix(text: Uint8Array): number {
  let [low, high] = [0, text.length]; // `low` bytes are well-formed but for a cut character
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    const prefix = text.subarray(0, middle);
    if (isUtf8(prefix.subarray(0, middle - unfinished(prefix)))) low = middle;
    else high = middle - 1;
  }
  return low - unfinished(text.subarray(0, low));
}
