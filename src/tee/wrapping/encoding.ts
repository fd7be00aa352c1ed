/**
 * Bytes in the spellings that files and messages have them in: hex, base64, base64url, PEM, arrays of numbers.
 *
 * Nothing here is strict about which spelling: what counts is the bytes, and each decoder refuses what would not give
 * the same text back (but for white space), so that no two texts are read as one by accident.
 *
 * @module
 */

/** White space between, and `0x` before. `undefined` for anything else than whole bytes. */
export function fromHexText(text: string): Uint8Array | undefined {
  const digits = text.replace(/[\s:]+/g, "").replace(/^0x/i, "");
  if (digits.length === 0 || digits.length % 2 === 1 || !/^[0-9a-fA-F]+$/.test(digits)) return undefined;
  return new Uint8Array(Buffer.from(digits, "hex"));
}

/** Both alphabets, with or without padding. `undefined` for anything else, such as bits that are left over. */
export function fromBase64Text(text: string): Uint8Array | undefined {
  const squeezed = text.replace(/\s+/g, "");
  const body = squeezed.replace(/={1,2}$/, "");
  if (body.length === 0 || (squeezed.length > body.length && squeezed.length % 4 !== 0)) return undefined;
  const url = /^[A-Za-z0-9_-]+$/.test(body);
  if (!url && !/^[A-Za-z0-9+/]+$/.test(body)) return undefined;
  const bytes = Buffer.from(body, url ? "base64url" : "base64");
  const again = url ? bytes.toString("base64url") : bytes.toString("base64").replace(/=+$/, "");
  return again === body ? new Uint8Array(bytes) : undefined;
}

export interface PemBlock {
  label: string;
  bytes: Uint8Array;
}

/** Every whole block, in order; text around them is nobody's. */
export function pemBlocks(text: string): PemBlock[] {
  const blocks: PemBlock[] = [];
  for (const [, label, body] of text.matchAll(/-----BEGIN ([A-Z0-9 ]{1,64})-----([^-]*)-----END \1-----/g)) {
    const bytes = fromBase64Text(body!);
    if (bytes) blocks.push({ label: label!, bytes });
  }
  return blocks;
}

/**
 * UTF-8 text, without a byte order mark, and without zeros at its end, which tools in C leave there. `undefined` for what is
 * none, or holds control characters as binary files do.
 */
export function textOf(bytes: Uint8Array): string | undefined {
  let text: string;
  try {
    let end = bytes.length;
    while (end > 0 && bytes[end - 1] === 0) end--;
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, end));
  } catch {
    return undefined;
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what tells binary files from texts
  return /[\u0000-\u0008\u000e-\u001f]/.test(text) ? undefined : text;
}

/** The bytes of a JSON value: a text in hex or base64, or an array of numbers below 256. */
export function bytesOf(value: unknown): Uint8Array | undefined {
  if (value instanceof Uint8Array) return value;
  if (typeof value === "string") return fromHexText(value) ?? fromBase64Text(value);
  if (!Array.isArray(value) || value.length === 0) return undefined;
  const isByte = (item: unknown) => Number.isInteger(item) && (item as number) >= 0 && (item as number) < 256;
  return value.every(isByte) ? Uint8Array.from(value as number[]) : undefined;
}

/** Whether bytes begin with an ASN.1 SEQUENCE that is as long as they are: a certificate, list or answer. */
export function isDerSequence(bytes: Uint8Array): boolean {
  if (bytes.length < 4 || bytes[0] !== 0x30) return false;
  const first = bytes[1]!;
  if (first < 0x80) return bytes.length === 2 + first;
  const count = first & 0x7f;
  if (count === 0 || count > 4 || bytes.length < 2 + count) return false;
  let length = 0;
  for (let i = 0; i < count; i++) length = length * 256 + bytes[2 + i]!;
  return bytes.length === 2 + count + length;
}

/** Whether a SEQUENCE holds a SEQUENCE that begins with the version that every certificate of today has. */
export function isCertificate(bytes: Uint8Array): boolean {
  if (!isDerSequence(bytes)) return false;
  const inner = bytes.subarray(2 + (bytes[1]! < 0x80 ? 0 : bytes[1]! & 0x7f));
  const content = inner.subarray(2 + ((inner[1] ?? 0) < 0x80 ? 0 : inner[1]! & 0x7f));
  return inner[0] === 0x30 && content[0] === 0xa0 && content[1] === 3 && content[2] === 2;
}

/** How many levels of lists and texts certificates are looked for in. */
const MAX_NESTING = 6;

/**
 * DER certificates in their order, out of PEM, DER, base64 of either, lists of these, and objects that hold them by name
 * or as CoCo does (`{cert_type, data}`). What is none is left out.
 */
export function certificatesOf(value: unknown, nesting = 0): Uint8Array[] {
  if (nesting > MAX_NESTING || value === null || value === undefined) return [];
  if (typeof value === "string" && value.includes("-----BEGIN ")) {
    return pemBlocks(value).flatMap(({ label, bytes }) => (label === "CERTIFICATE" ? [bytes] : []));
  }
  const bytes = bytesOf(value);
  if (bytes) {
    if (isCertificate(bytes)) return [bytes];
    const text = textOf(bytes);
    return text === undefined || text === value ? [] : certificatesOf(text, nesting + 1);
  }
  if (Array.isArray(value)) return value.flatMap((item) => certificatesOf(item, nesting + 1));
  if (typeof value === "object") return Object.values(value).flatMap((item) => certificatesOf(item, nesting + 1));
  return [];
}
