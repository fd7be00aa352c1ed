/**
 * PCM `.wav`: a record a file, of shape [frames, channels]. Integers of 8, 16, 24 and 32 bits with the scale that brings
 * them to [-1, 1), those of 8 bits with their offset taken off, those of 24 in 32; floats of 32 and 64 bits. The sample
 * rate is a cell.
 *
 * @module
 */
import type { Cell, Column, Dtype, Scale } from "../record.js";
import { type Context, type Conversion, emit, streamParts } from "./context.js";
import type { Source, SourcedRecord } from "./source.js";

/** The column that says how many frames are a second. */
export const SAMPLE_RATE: Column = { name: "sample_rate", type: "decimal", digits: 0 };

const PCM = 1;
const FLOAT = 3;
const EXTENSIBLE = 0xfffe;
/** After the two bytes of the format, in the extensible form. */
const SUBFORMAT = "000000001000800000aa00389b71";

interface Wave {
  readonly dtype: Dtype;
  readonly scale?: Scale;
  readonly channels: number;
  readonly rate: number;
  /** Bytes of a frame in the file. */
  readonly frame: number;
  readonly conversion?: Conversion;
}

export async function* readWav(source: Source, { fields, columns }: Context): AsyncGenerator<SourcedRecord[]> {
  const riff = await source.take(12, "the RIFF header");
  const form = riff.toString("latin1", 0, 4);
  if (form === "RF64" || form === "RIFX") throw source.unsupported(`is a WAV of form ${form}; RIFF is read`);
  if (form !== "RIFF" || riff.toString("latin1", 8) !== "WAVE") throw source.malformed("is not a WAV", { offset: 0 });
  const size = riff.readUInt32LE(4) + 8;
  if (size !== source.size) throw source.malformed(`has ${source.size} bytes; its header says ${size}`, { offset: 4 });

  let wave: Wave | undefined;
  let found = false;
  while (source.offset < source.size) {
    const at = source.offset;
    const header = await source.take(8, "the header of a chunk");
    const id = header.toString("latin1", 0, 4);
    const length = header.readUInt32LE(4);
    if (length > source.size - source.offset) {
      throw source.malformed(`ends inside chunk ${JSON.stringify(id)} of ${length} bytes`, { offset: at });
    }
    if (id === "fmt ") {
      if (wave !== undefined) throw source.malformed("has two formats", { offset: at });
      if (length > 64) throw source.malformed(`has a format of ${length} bytes`, { offset: at });
      wave = formatOf(source, await source.take(length, "its format"), at);
    } else if (id === "data") {
      if (wave === undefined) throw source.malformed("has its data before its format", { offset: at });
      if (found) throw source.malformed("has data twice", { offset: at });
      found = true;
      yield* samplesOf(source, wave, length, fields, columns.length);
    } else await source.skip(length, "a chunk");
    // Chunks start at even places; the last one's filling is often forgotten.
    if (length % 2 === 1 && source.offset < source.size) await source.skip(1, "a chunk");
  }
  if (!found) throw source.malformed("has no data");
}

async function* samplesOf(
  source: Source,
  { dtype, scale, channels, rate, frame, conversion }: Wave,
  length: number,
  fields: Context["fields"],
  rateColumn: number,
): AsyncGenerator<SourcedRecord[]> {
  const offset = source.offset;
  if (length % frame !== 0)
    throw source.malformed(`has ${length} bytes of data, which are no whole frames of ${frame}`);
  const frames = length / frame;
  const cells: Cell[] = [...fields.cells];
  cells[rateColumn] = BigInt(rate);
  const whole = { ...fields, cells, dtype, shape: [frames, channels], ...(scale === undefined ? {} : { scale }) };
  for await (const part of streamParts(source, whole, frames * channels, conversion)) {
    yield emit(source, [part], { offset });
  }
}

function formatOf(source: Source, format: Buffer, at: number): Wave {
  const wrong = (problem: string) => source.malformed(problem, { offset: at });
  if (format.length < 16) throw wrong(`has a format of ${format.length} bytes`);
  const channels = format.readUInt16LE(2);
  const rate = format.readUInt32LE(4);
  const byteRate = format.readUInt32LE(8);
  const frame = format.readUInt16LE(12);
  const bits = format.readUInt16LE(14);
  let code = format.readUInt16LE(0);
  if (code === EXTENSIBLE) {
    if (format.length < 40 || format.readUInt16LE(16) < 22) throw wrong("has an extensible format that is cut off");
    const valid = format.readUInt16LE(18);
    if (valid < 1 || valid > bits) throw wrong(`has ${valid} valid bits of ${bits}`);
    if (format.toString("hex", 26, 40) !== SUBFORMAT) throw source.unsupported("has samples of an unknown format");
    code = format.readUInt16LE(24);
  }
  if (code !== PCM && code !== FLOAT)
    throw source.unsupported(`has samples of format ${code}; PCM and floats are read`);
  const kinds = code === PCM ? { 8: "i8", 16: "i16", 24: "i32", 32: "i32" } : { 32: "f32", 64: "f64" };
  const dtype = (kinds as Record<number, Dtype>)[bits];
  if (dtype === undefined) throw source.unsupported(`has ${code === PCM ? "integers" : "floats"} of ${bits} bits`);
  if (channels === 0 || frame !== (channels * bits) / 8 || byteRate !== (rate * frame) % 2 ** 32) {
    throw wrong(
      `has ${channels} channels of ${bits} bits at ${rate} Hz, in frames of ${frame} bytes, ${byteRate} a second`,
    );
  }
  const wave = { dtype, channels, rate, frame };
  if (code === FLOAT) return wave;
  const scale: Scale = { base: 2, exponent: 1 - bits };
  if (bits === 8) return { ...wave, scale, conversion: { convert: withoutOffset } };
  if (bits === 24) return { ...wave, scale, conversion: { size: 3, convert: widened } };
  return { ...wave, scale };
}

function withoutOffset(data: Buffer): Uint8Array {
  for (let i = 0; i < data.length; i++) data[i] = data[i]! ^ 0x80;
  return data;
}

/** 24 bits to 32, sign and all. */
function widened(data: Buffer): Uint8Array {
  const wide = new Uint8Array((data.length / 3) * 4);
  for (let from = 0, to = 0; from < data.length; from += 3, to += 4) {
    const high = data[from + 2]!;
    wide[to] = data[from]!;
    wide[to + 1] = data[from + 1]!;
    wide[to + 2] = high;
    wide[to + 3] = high >= 0x80 ? 0xff : 0;
  }
  return wide;
}
