/**
 * Base64 of our own files: one spelling for the same bytes.
 *
 * @module
 */
import { AnchorError, type ErrorCode } from "../../errors.js";

export function base64(value: Uint8Array): string {
  return Buffer.from(value).toString("base64");
}

/** With padding, and nothing else than what {@link base64} writes. @throws the code given */
export function fromBase64(value: unknown, code: ErrorCode, path: string): Uint8Array {
  const decoded = typeof value === "string" ? Buffer.from(value, "base64") : undefined;
  if (decoded === undefined || decoded.toString("base64") !== value) {
    throw new AnchorError(code, `${path} must be base64 with padding`);
  }
  return new Uint8Array(decoded);
}
