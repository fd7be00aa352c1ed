/**
 * Headers of NumPy's `.npy` files, versions 1 to 3.
 *
 * @module
 */

/** NumPy itself reads no longer header from a file that it does not trust. */
export const MAX_NPY_HEADER = 10_000;

/** Bytes of magic and version, which the length of the header follows. */
export const NPY_MAGIC_BYTES = 8;

export interface NpyHeader {
  /** Order and type of the numbers: `<f4`. */
  readonly descr: string;
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
}

/** Bytes of the header's length, by the first bytes of the file; a string says why it is none that is read. */
export function npyLengthBytes(magic: Uint8Array): 2 | 4 | string {
  if (Buffer.from(magic.subarray(0, 6)).toString("latin1") !== "\x93NUMPY") return "is not an .npy file";
  const [major, minor] = [magic[6], magic[7]];
  if (major === undefined || major < 1 || major > 3 || minor !== 0) {
    return `is .npy of version ${major}.${minor}; 1 to 3 are read`;
  }
  return major === 1 ? 2 : 4;
}

/**
 * Reads the header, a Python literal: `{'descr': '<f4', 'fortran_order': False, 'shape': (60000, 784), }`, blanks, a line
 * feed. Anything else that Python would take for a dictionary is refused: undefined.
 */
export function parseNpyHeader(magic: Uint8Array, header: Buffer): NpyHeader | undefined {
  const text = header.toString(magic[6] === 3 ? "utf8" : "latin1");
  const fields = new Map<string, string>();
  const body = /^\{(.*)\} *\n$/s.exec(text)?.[1];
  const entry = /\s*'(descr|fortran_order|shape)'\s*:\s*('[^'\\]*'|True|False|\([\d\s,]*\))\s*(,\s*|$)/y;
  let at = 0;
  while (body !== undefined && at < body.length) {
    entry.lastIndex = at;
    const [whole = "", key = "", value = "", comma = ""] = entry.exec(body) ?? [];
    at += whole.length;
    // Without a comma, the entry must be the last.
    if (whole === "" || fields.has(key) || (comma === "" && at < body.length)) break;
    fields.set(key, value);
  }
  const shapeText = /^\(\s*((?:\d+\s*,\s*)+\d*|)\s*\)$/.exec(fields.get("shape") ?? "")?.[1];
  const descr = fields.get("descr");
  const order = fields.get("fortran_order");
  if (body === undefined || at < body.length || fields.size !== 3) return undefined;
  if (shapeText === undefined || descr?.[0] !== "'" || (order !== "True" && order !== "False")) return undefined;
  const shape = shapeText.split(",").flatMap((dimension) => (dimension.trim() === "" ? [] : [Number(dimension)]));
  return { descr: descr.slice(1, -1), fortranOrder: order === "True", shape };
}
