import { AnchorError, toAnchorError } from "../errors.js";
import { type Hex, keccak, toHex, utf8 } from "../field/bytes.js";

/** JSON with sorted keys and no white space: equal values give equal bytes. For documents without numbers only. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const record = value as Record<string, unknown>;
    const fields = Object.keys(record)
      .sort()
      .filter((key) => record[key] !== undefined)
      .map((key) => `${JSON.stringify(key)}:${canonicalJson(record[key])}`);
    return `{${fields.join(",")}}`;
  }
  return JSON.stringify(value);
}

/**
 * Reads a document strictly: apart from white space between values it must be written as `JSON.stringify` writes it.
 * So no key stands twice (parsers differ on which one counts), and nothing has a second spelling, such as "\u0061" or 4.0.
 *
 * @throws JSON_MALFORMED
 */
export function parseDocument(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw toAnchorError(error, "JSON_MALFORMED", "the document is not JSON");
  }
  let plain: string;
  try {
    plain = JSON.stringify(value);
  } catch (error) {
    throw toAnchorError(error, "JSON_MALFORMED", "the document is nested too deeply");
  }
  // White space outside of strings: a string is matched whole, so that what is inside it stays.
  const squeezed = text.replace(/"[^"\\]*(?:\\.[^"\\]*)*"|[\t\n\r ]+/g, (part) => (part.startsWith('"') ? part : ""));
  if (squeezed !== plain) {
    throw new AnchorError(
      "JSON_MALFORMED",
      "the document repeats a key, or spells a value in another way than JSON.stringify",
    );
  }
  return value;
}

/** keccak256 over the canonical form. */
export function documentDigest(value: unknown): Hex {
  return toHex(keccak(utf8(canonicalJson(value))));
}
