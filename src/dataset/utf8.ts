/**
 * UTF-8 that was cut, or is none.
 *
 * @module
 */
import { isUtf8 } from "node:buffer";

/** Bytes of the character at the end of a text that is cut there: 0 to 3. */
export function unfinished(text: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, text.length); back++) {
    const byte = text[text.length - back]!;
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte > 0xf4 || byte < 0xc2 ? 1 : byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
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
