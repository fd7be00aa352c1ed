/**
 * `.safetensors`: a record a tensor, named as in the file, in the order of their bytes. The file's own metadata is no
 * record.
 *
 * @module
 */
import { isUtf8 } from "node:buffer";
import { MAX_RANK } from "../layout.js";
import { DTYPES, type Dtype } from "../record.js";
import { type Context, type Conversion, checkBools, emit, streamParts, tooLong } from "./context.js";
import { membersOf, textOf } from "./json.js";
import { MAX_JSON_BYTES, type Source, type SourcedRecord } from "./source.js";

const TYPES = new Map<string, Dtype>([
  ["BOOL", "bool"],
  ["U8", "u8"],
  ["I8", "i8"],
  ["U16", "u16"],
  ["I16", "i16"],
  ["U32", "u32"],
  ["I32", "i32"],
  ["U64", "u64"],
  ["I64", "i64"],
  ["F16", "f16"],
  ["BF16", "bf16"],
  ["F32", "f32"],
  ["F64", "f64"],
]);
const METADATA = "__metadata__";
/** Bytes of the header's length. */
const LENGTH_BYTES = 8;

interface Tensor {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly values: number;
  readonly begin: number;
  readonly end: number;
}

export async function* readSafetensors(source: Source, { fields }: Context): AsyncGenerator<SourcedRecord[]> {
  const tensors = await readHeader(source);
  for (const { name, dtype, shape, values } of tensors) {
    const path = fields.name === "" ? name : `${fields.name}/${name}`;
    if (tooLong(path)) throw source.tooLarge(`tensor ${JSON.stringify(name)} has ${tooLong(path)}`, { offset: 0 });
    const bools: Conversion = {
      convert(data, at) {
        checkBools(source, data, at);
        return data;
      },
    };
    const offset = source.offset;
    const whole = { ...fields, name: path, dtype, shape };
    for await (const part of streamParts(source, whole, values, dtype === "bool" ? bools : undefined)) {
      yield emit(source, [part], { offset });
    }
  }
}

/** The tensors in the order of their bytes, which they fill without a gap. */
async function readHeader(source: Source): Promise<Tensor[]> {
  const length = (await source.take(LENGTH_BYTES, "the header's length")).readBigUInt64LE();
  if (length > BigInt(source.size - LENGTH_BYTES)) {
    throw source.malformed(`has a header of ${length} bytes, and ${source.size} bytes in all`, { offset: 0 });
  }
  if (length > MAX_JSON_BYTES) {
    throw source.tooLarge(`has a header of ${length} bytes; ${MAX_JSON_BYTES} are read at most`, { offset: 0 });
  }
  const bytes = await source.take(Number(length), "the header");
  const wrong = (problem: string) => source.malformed(`has a header ${problem}`, { offset: LENGTH_BYTES });
  if (!isUtf8(bytes)) throw wrong("that is not UTF-8");
  const text = bytes.toString("utf8");
  if (!text.startsWith("{")) throw wrong("that does not start with {");
  try {
    JSON.parse(text);
  } catch (error) {
    throw wrong(`that is not JSON: ${(error as Error).message}`);
  }
  const members = membersOf(text);
  if (!(members instanceof Map)) throw wrong(`that has ${JSON.stringify(members)} twice`);
  const tensors: Tensor[] = [];
  for (const [name, raw] of members) if (name !== METADATA) tensors.push(tensorOf(source, name, raw, wrong));
  tensors.sort((a, b) => a.begin - b.begin || a.end - b.end || (a.name < b.name ? -1 : 1));
  let at = 0;
  for (const { name, begin, end } of tensors) {
    if (begin !== at) {
      throw wrong(`whose tensor ${JSON.stringify(name)} starts at byte ${begin}, not at ${at}: a gap, or an overlap`);
    }
    at = end;
  }
  const left = source.size - source.offset;
  if (at !== left) throw wrong(`whose tensors have ${at} bytes; ${left} bytes follow it`);
  return tensors;
}

function tensorOf(source: Source, name: string, raw: string, wrong: (problem: string) => Error): Tensor {
  const shown = JSON.stringify(name);
  if (/\p{Cs}/u.test(name)) throw wrong(`with a name of half a surrogate pair, ${shown}`);
  const entry = membersOf(raw);
  if (!(entry instanceof Map) || entry.size !== 3) {
    throw wrong(`whose tensor ${shown} is not { dtype, shape, data_offsets }`);
  }
  const list = (key: string): number[] | undefined => {
    const value: unknown = JSON.parse(entry.get(key) ?? "null");
    const whole = Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0 && !Object.is(n, -0));
    return whole ? value : undefined;
  };
  const type = entry.get("dtype") ?? "";
  const shape = list("shape");
  const offsets = list("data_offsets");
  if (!type.startsWith('"') || shape === undefined || offsets?.length !== 2) {
    throw wrong(`whose tensor ${shown} is not { dtype, shape, data_offsets }`);
  }
  const dtype = TYPES.get(textOf(type));
  if (dtype === undefined) throw source.unsupported(`tensor ${shown} is of type ${type}, which is not read`);
  if (shape.length > MAX_RANK) {
    throw source.unsupported(`tensor ${shown} has ${shape.length} dimensions; ${MAX_RANK} are read at most`);
  }
  const values = shape.reduce((product, dimension) => product * dimension, 1);
  const [begin, end] = offsets as [number, number];
  if (!Number.isSafeInteger(values) || end - begin !== values * DTYPES[dtype].size) {
    throw wrong(`whose tensor ${shown} has ${end - begin} bytes for shape [${shape.join(", ")}] of ${dtype}`);
  }
  return { name, dtype, shape, values, begin, end };
}
