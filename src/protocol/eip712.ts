/**
 * EIP-712 typed structured data: digests, and a strict JSON form of the same types.
 *
 * One table of types drives both, so a value that is signed is exactly a value that can be written down: integers are
 * canonical decimal strings, bytes and addresses lower-case 0x-hex, truth values true and false, strings whole Unicode, and
 * a field that the type does not name is an error. There is one spelling of each value, so nothing in a signed document can be changed without changing what was
 * signed.
 *
 * @module
 */
import { AnchorError, type ErrorCode } from "../errors.js";
import { assertHex, concat, fromHex, type Hex, keccak, tag, toHex, utf8, word } from "../field/bytes.js";

export interface Domain {
  chainId: bigint;
  verifyingContract: Hex;
}

export interface Field {
  readonly name: string;
  readonly type: string;
}

/** Struct types by name, in the order of their fields. */
export type TypeTable = Readonly<Record<string, readonly Field[]>>;

/** What is wrong with a value that is read; in the `details` of the error, beside the path. */
export type Fault = "missing" | "unknown" | "duplicate" | "type" | "limit" | "value";

/** Most bytes of a field of type `bytes`, entries of an array, and characters of a string. */
const MAX_BYTES = 65_536;
const MAX_ENTRIES = 1024;
const MAX_CHARACTERS = 4096;

/** UTF-8 has no half of a pair: encoders write U+FFFD for each, and then two strings have one digest. */
const LONE_SURROGATE = /\p{Surrogate}/u;
const NOT_UNICODE = "must be whole Unicode: it has half of a surrogate pair";

const DOMAIN_TYPES: TypeTable = {
  EIP712Domain: [
    { name: "name", type: "string" },
    { name: "version", type: "string" },
    { name: "chainId", type: "uint256" },
    { name: "verifyingContract", type: "address" },
  ],
};

/** Of the domain of every contract here, for wallets that sign typed data themselves. */
export const DOMAIN_NAME = "anchorproof";
export const DOMAIN_VERSION = "1";

/** `keccak256(0x1901 ‖ domain separator ‖ hashStruct(value))`, under {@link DOMAIN_NAME} and {@link DOMAIN_VERSION}. */
export function typedDigest(domain: Domain, types: TypeTable, primary: string, value: unknown): Hex {
  const names = { name: DOMAIN_NAME, version: DOMAIN_VERSION };
  const separator = hashStruct(DOMAIN_TYPES, "EIP712Domain", { ...names, ...domain });
  return digestUnder(separator, types, primary, value);
}

/** {@link typedDigest} under any domain, by its separator. */
export function digestUnder(separator: Uint8Array, types: TypeTable, primary: string, value: unknown): Hex {
  return toHex(keccak(Uint8Array.of(0x19, 0x01), separator, hashStruct(types, primary, value)));
}

/** EIP-712 `encodeType`: the primary type, then those it refers to in alphabetical order. */
export function encodeType(types: TypeTable, primary: string): string {
  const found = new Set<string>();
  const visit = (name: string) => {
    if (found.has(name) || !types[name]) return;
    found.add(name);
    for (const field of types[name]) visit(field.type.replace(/\[\]$/, ""));
  };
  visit(primary);
  found.delete(primary);
  return [primary, ...[...found].sort()]
    .map((name) => `${name}(${types[name]!.map((field) => `${field.type} ${field.name}`).join(",")})`)
    .join("");
}

export function hashStruct(types: TypeTable, name: string, value: unknown): Uint8Array {
  const record = value as Record<string, unknown>;
  const words = types[name]!.map((field) => encodeValue(types, field.type, record[field.name], field.name));
  return keccak(tag(encodeType(types, name)), ...words);
}

function encodeValue(types: TypeTable, type: string, value: unknown, name: string): Uint8Array {
  if (type.endsWith("[]")) {
    if (!Array.isArray(value)) throw new AnchorError("INPUT_INVALID", `${name} must be an array`);
    return keccak(...value.map((item) => encodeValue(types, type.slice(0, -2), item, name)));
  }
  if (types[type]) return hashStruct(types, type, value);
  if (type === "string") {
    if (typeof value !== "string") throw new AnchorError("INPUT_INVALID", `${name} must be a string`);
    if (LONE_SURROGATE.test(value)) throw new AnchorError("INPUT_INVALID", `${name} ${NOT_UNICODE}`);
    return keccak(utf8(value));
  }
  if (type === "address") return concat(new Uint8Array(12), fromHex(value, name, 20));
  if (type === "bytes32") return fromHex(value, name, 32);
  if (type === "bytes") return keccak(fromHex(value, name));
  if (type === "bool") {
    if (typeof value !== "boolean") throw new AnchorError("INPUT_INVALID", `${name} must be true or false`);
    return word(value ? 1n : 0n);
  }
  const bits = integerBits(type);
  if (typeof value !== "bigint" || value < 0n || value >> BigInt(bits) !== 0n) {
    throw new AnchorError("INPUT_INVALID", `${name} must be a ${type}`);
  }
  return word(value);
}

function integerBits(type: string): number {
  const match = /^uint(\d+)$/.exec(type);
  if (!match) throw new AnchorError("INTERNAL", `type ${type} is not supported`);
  return Number(match[1]);
}

/** A struct as JSON. What is no value of its type stays as it is, for {@link structFromJson} to refuse. */
export function structToJson(types: TypeTable, name: string, value: unknown): Record<string, unknown> {
  const convert = (type: string, item: unknown): unknown => {
    if (Array.isArray(item)) return type.endsWith("[]") ? item.map((each) => convert(type.slice(0, -2), each)) : item;
    if (types[type] && typeof item === "object" && item !== null) return structToJson(types, type, item);
    return typeof item === "bigint" ? item.toString() : item;
  };
  const record = value as Record<string, unknown>;
  return Object.fromEntries(types[name]!.map((field) => [field.name, convert(field.type, record[field.name])]));
}

/**
 * Reads a struct from JSON, refusing everything but its one spelling.
 *
 * @param code the error's code
 * @param path where in the document it stands, for the message
 */
export function structFromJson<T>(types: TypeTable, name: string, json: unknown, code: ErrorCode, path: string): T {
  const read = (type: string, value: unknown, at: string): unknown => {
    if (type.endsWith("[]")) {
      if (!Array.isArray(value)) fail(code, at, "must be an array");
      if ((value as unknown[]).length > MAX_ENTRIES) fail(code, at, "must have at most 1,024 entries", "limit");
      return (value as unknown[]).map((item, i) => read(type.slice(0, -2), item, `${at}[${i}]`));
    }
    if (types[type]) return structFromJson(types, type, value, code, at);
    if (type === "string") {
      if (typeof value !== "string") fail(code, at, "must be a string");
      if ((value as string).length > MAX_CHARACTERS) fail(code, at, "must have at most 4,096 characters", "limit");
      if (LONE_SURROGATE.test(value as string)) fail(code, at, NOT_UNICODE, "value");
      return value;
    }
    if (type === "bool") {
      if (typeof value !== "boolean") fail(code, at, "must be true or false");
      return value;
    }
    if (type === "bytes") {
      if (typeof value === "string" && value.length > 2 + 2 * MAX_BYTES) {
        fail(code, at, "must have at most 65,536 bytes", "limit");
      }
      try {
        assertHex(value, at);
      } catch {
        fail(code, at, "must be lower-case 0x-hex");
      }
      return value;
    }
    if (type === "address" || type === "bytes32") {
      const bytes = type === "address" ? 20 : 32;
      try {
        assertHex(value, at, bytes);
      } catch {
        fail(code, at, `must be ${bytes} bytes of lower-case 0x-hex`);
      }
      return value;
    }
    return readInteger(value, integerBits(type), code, at);
  };
  const record = readObject(
    json,
    types[name]!.map((field) => field.name),
    code,
    path,
  );
  return Object.fromEntries(
    types[name]!.map((field) => [field.name, read(field.type, record[field.name], `${path}.${field.name}`)]),
  ) as T;
}

/** An object with exactly these keys; `optional` ones may be missing. */
export function readObject(
  json: unknown,
  keys: readonly string[],
  code: ErrorCode,
  path: string,
  optional: readonly string[] = [],
): Record<string, unknown> {
  if (typeof json !== "object" || json === null || Array.isArray(json)) fail(code, path, "must be an object");
  const record = json as Record<string, unknown>;
  for (const key of keys) if (!Object.hasOwn(record, key)) fail(code, `${path}.${key}`, "is missing", "missing");
  for (const key of Object.keys(record)) {
    if (!keys.includes(key) && !optional.includes(key)) {
      fail(code, `${path}.${key}`, "is not a field of this format", "unknown");
    }
  }
  return record;
}

/** A canonical decimal string of at most `bits` bits. */
export function readInteger(value: unknown, bits: number, code: ErrorCode, path: string): bigint {
  if (typeof value !== "string" || !/^(?:0|[1-9]\d{0,77})$/.test(value)) fail(code, path, "must be a decimal string");
  const integer = BigInt(value as string);
  if (integer >> BigInt(bits) !== 0n) fail(code, path, `must fit ${bits} bits`, "limit");
  return integer;
}

function fail(code: ErrorCode, path: string, reason: string, fault: Fault = "type"): never {
  throw new AnchorError(code, `${path} ${reason}`, { details: { path, fault } });
}
