/**
 * Bytes with a cursor: every read is inside the bytes, or a typed failure that says what was being read.
 *
 * @module
 */
import { AnchorError, type ErrorCode } from "../../errors.js";

export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #code: ErrorCode;
  #offset = 0;

  /** @param code what a read beyond the end is, `EVIDENCE_MALFORMED` unless given */
  constructor(bytes: Uint8Array, code: ErrorCode = "EVIDENCE_MALFORMED") {
    if (!(bytes instanceof Uint8Array)) throw new AnchorError(code, "what should be bytes is something else");
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#code = code;
  }

  get offset(): number {
    return this.#offset;
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  /** The next `length` bytes, as a view. */
  take(length: number, what: string): Uint8Array {
    const start = this.#advance(length, what);
    return this.#bytes.subarray(start, start + length);
  }

  /** All that is left. */
  rest(): Uint8Array {
    return this.take(this.remaining, "the rest");
  }

  skip(length: number, what: string): void {
    this.#advance(length, what);
  }

  u8(what: string): number {
    return this.#view.getUint8(this.#advance(1, what));
  }

  u16le(what: string): number {
    return this.#view.getUint16(this.#advance(2, what), true);
  }

  u16be(what: string): number {
    return this.#view.getUint16(this.#advance(2, what), false);
  }

  /** SPDM's lengths have three bytes. */
  u24le(what: string): number {
    const at = this.#advance(3, what);
    return this.#view.getUint16(at, true) | (this.#view.getUint8(at + 2) << 16);
  }

  u32le(what: string): number {
    return this.#view.getUint32(this.#advance(4, what), true);
  }

  u32be(what: string): number {
    return this.#view.getUint32(this.#advance(4, what), false);
  }

  u64le(what: string): bigint {
    return this.#view.getBigUint64(this.#advance(8, what), true);
  }

  u64be(what: string): bigint {
    return this.#view.getBigUint64(this.#advance(8, what), false);
  }

  /** A reader over the next `length` bytes, which this one leaves behind. */
  nested(length: number, what: string): ByteReader {
    return new ByteReader(this.take(length, what), this.#code);
  }

  /** @throws the reader's code, or the one given, where bytes are left */
  end(what: string, code: ErrorCode = this.#code): void {
    if (this.remaining > 0) {
      throw new AnchorError(code, `${what} is followed by ${this.remaining} bytes that do not belong to it`);
    }
  }

  #advance(length: number, what: string): number {
    if (!Number.isSafeInteger(length) || length < 0 || length > this.remaining) {
      throw new AnchorError(
        this.#code,
        `${what} needs ${length} bytes at offset ${this.#offset}, where ${this.remaining} are left`,
      );
    }
    const start = this.#offset;
    this.#offset += length;
    return start;
  }
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

export function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}
