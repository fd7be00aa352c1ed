/**
 * iden3's binary container, which `.zkey`, `.ptau`, `.r1cs` and `.wtns` files share: magic, version, then sections of id, length, bytes.
 * All integers are little-endian; coordinates are in Montgomery form (times 2^256), infinity is all zeros.
 *
 * @module
 */
import { type FileHandle, open, stat } from "node:fs/promises";
import { AnchorError, throwIfAborted, toAnchorError } from "../errors.js";
import { concat, utf8 } from "../field/bytes.js";
import { Q, R } from "../field/scalar.js";
import type { G1Affine, G2Affine } from "../verifier/curve.js";

export function binFile(
  magic: string,
  version: number,
  sections: readonly (readonly [id: number, Uint8Array])[],
): Uint8Array {
  const parts: Uint8Array[] = [utf8(magic), uint32(version), uint32(sections.length)];
  for (const [id, content] of sections) {
    const length = new Uint8Array(8);
    new DataView(length.buffer).setBigUint64(0, BigInt(content.length), true);
    parts.push(uint32(id), length, content);
  }
  return concat(...parts);
}

export interface Section {
  /** Where its content begins in the file. */
  offset: number;
  length: number;
}

const MAX_SECTIONS = 64;
const CHUNK = 2 ** 20;

/** Such a file on disk, of any size: sections are read where and as far as they are wanted. */
export class Container {
  readonly path: string;
  readonly bytes: number;
  readonly sections: ReadonlyMap<number, Section>;
  readonly #file: FileHandle;
  readonly #malformed: (reason: string) => never;

  private constructor(
    path: string,
    file: FileHandle,
    bytes: number,
    sections: Map<number, Section>,
    malformed: (reason: string) => never,
  ) {
    this.path = path;
    this.#file = file;
    this.bytes = bytes;
    this.sections = sections;
    this.#malformed = malformed;
  }

  /**
   * Opens a file and reads where its sections lie; each may appear once, and nothing may follow the last.
   *
   * @param malformed throws for a file that is not as it should be
   * @throws FILE_NOT_FOUND, FILE_UNREADABLE
   */
  static async open(path: string, magic: string, malformed: (reason: string) => never): Promise<Container> {
    const file = await openFile(path);
    try {
      const { size } = await file.stat();
      const sections = new Map<number, Section>();
      const container = new Container(path, file, size, sections, malformed);
      if (size < 12) malformed("it is too short");
      const head = viewOf(await container.read(0, 12));
      if (head.getUint32(0) !== viewOf(utf8(magic)).getUint32(0)) malformed(`this is not a .${magic} file`);
      if (head.getUint32(4, true) !== 1) malformed("it has an unknown version");
      const count = head.getUint32(8, true);
      if (count > MAX_SECTIONS) malformed("it has too many sections");
      let at = 12;
      for (let i = 0; i < count; i++) {
        if (size - at < 12) malformed("it ends within a section's header");
        const entry = viewOf(await container.read(at, 12));
        at += 12;
        const length = entry.getBigUint64(4, true);
        if (length > BigInt(size - at)) malformed("it ends within a section");
        const id = entry.getUint32(0, true);
        if (sections.has(id)) malformed(`section ${id} appears twice`);
        sections.set(id, { offset: at, length: Number(length) });
        at += Number(length);
      }
      if (at !== size) malformed("it has bytes after its last section");
      return container;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  section(id: number): Section {
    return this.sections.get(id) ?? this.#malformed(`section ${id} is missing`);
  }

  content(id: number): Promise<Uint8Array> {
    const { offset, length } = this.section(id);
    return this.read(offset, length);
  }

  async read(at: number, length: number): Promise<Uint8Array> {
    const buffer = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      let bytesRead: number;
      try {
        ({ bytesRead } = await this.#file.read(buffer, done, length - done, at + done));
      } catch (error) {
        throw toAnchorError(error, "FILE_UNREADABLE", `cannot read ${this.path}`);
      }
      if (bytesRead === 0) this.#malformed("it is truncated");
      done += bytesRead;
    }
    return buffer;
  }

  /** A range in pieces of up to a megabyte. */
  async *pieces(at: number, length: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    for (let done = 0; done < length; done += CHUNK) {
      throwIfAborted(signal);
      yield await this.read(at + done, Math.min(CHUNK, length - done));
    }
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/** Opens a file for reading. @throws FILE_NOT_FOUND, FILE_UNREADABLE, INPUT_INVALID */
export async function openFile(path: string): Promise<FileHandle> {
  if (typeof path !== "string") throw new AnchorError("INPUT_INVALID", "a path must be a string");
  try {
    // Before it is opened: opening a pipe waits for its writer.
    if (!(await stat(path)).isFile()) throw new AnchorError("FILE_UNREADABLE", `${path} is not a file`);
    return await open(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      throw new AnchorError("FILE_NOT_FOUND", `cannot read ${path}: no such file`, { cause: error });
    }
    throw toAnchorError(error, "FILE_UNREADABLE", `cannot read ${path}`);
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

/** A scalar or coordinate in 32 bytes. */
export function littleEndian(value: bigint): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < 4; i++) view.setBigUint64(8 * i, (value >> BigInt(64 * i)) & 0xffffffffffffffffn, true);
  return bytes;
}

const [Q_INVERSE, R_INVERSE] = [Q, R].map((modulus) => {
  // 2^-256, by Fermat
  let result = 1n;
  let base = 2n ** 256n % modulus;
  for (let e = modulus - 2n; e > 0n; e >>= 1n) {
    if (e & 1n) result = (result * base) % modulus;
    base = (base * base) % modulus;
  }
  return result;
}) as [bigint, bigint];

/** The value whose Montgomery form this is. */
export function fromMontgomery(form: bigint, field: "fq" | "fr"): bigint {
  return field === "fq" ? (form * Q_INVERSE) % Q : (form * R_INVERSE) % R;
}

export function encodeG1(point: G1Affine): Uint8Array {
  return encodeCoordinates(point);
}

export function encodeG2(point: G2Affine): Uint8Array {
  return encodeCoordinates(point.flat());
}

/** A point of 64 bytes; (0, 0) stands for infinity. @returns `undefined` for a coordinate that is not below q */
export function decodeG1(bytes: Uint8Array): G1Affine | undefined {
  const [x, y] = [decodeCoordinate(bytes, 0), decodeCoordinate(bytes, 1)];
  return x === undefined || y === undefined ? undefined : [x, y];
}

/** A point of 128 bytes, as {@link decodeG1}. */
export function decodeG2(bytes: Uint8Array): G2Affine | undefined {
  const [x, y] = [decodeG1(bytes.subarray(0, 64)), decodeG1(bytes.subarray(64, 128))];
  return x === undefined || y === undefined ? undefined : [x, y];
}

function encodeCoordinates(values: readonly bigint[]): Uint8Array {
  return concat(...values.map((value) => littleEndian((value << 256n) % Q)));
}

function decodeCoordinate(bytes: Uint8Array, index: number): bigint | undefined {
  const form = integer(bytes.subarray(32 * index, 32 * (index + 1)));
  return form < Q ? fromMontgomery(form, "fq") : undefined;
}

/** 32 bytes as an integer. */
export function integer(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 32);
  let value = 0n;
  for (let i = 3; i >= 0; i--) value = (value << 64n) | view.getBigUint64(8 * i, true);
  return value;
}
