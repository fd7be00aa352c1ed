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

/** keccak256 over the canonical form. */
export function documentDigest(value: unknown): Hex {
  return toHex(keccak(utf8(canonicalJson(value))));
}
