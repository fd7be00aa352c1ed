/**
 * Events of a log, and how much of what a log says about them their digests bear out.
 *
 * A register takes in digests and nothing else. A log is the word of whoever hands it over; that it replays to the registers of
 * a quote shows its digests and their order. A name or payload is authentic only where the digest is its hash, and the type of
 * a firmware event never is: no digest takes it in.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { ByteReader, equalBytes } from "../read/bytes.js";

export interface LoggedEvent {
  /** 0 to 3, for RTMR0 to RTMR3; absent where an event goes into none of them. */
  register?: number;
  type: number;
  digest: Uint8Array;
  /** As the log has them: believe them where {@link bound} says so. */
  name?: string;
  payload: Uint8Array;
  /** What of it the digest is the hash of. A name is bound for dstack's own events only. */
  bound?: { name?: string; payload: Uint8Array };
}

/** Event types of the TCG's PC Client Platform Firmware Profile, those that are told apart here. */
export const EVENT_TYPE = {
  noAction: 0x03,
  ipl: 0x0d,
  variableBoot: 0x8000_0002,
} as const;

/** More than any machine logs. */
export const MAX_EVENTS = 16_384;
export const MAX_LOG = 4 * 1024 * 1024;

const REGISTERS = 4;

/** The registers after these events, from zeros: each is SHA-384 of itself and the next digest. */
export function replayEventLog(events: readonly LoggedEvent[]): Uint8Array[] {
  const registers: Uint8Array[] = Array.from({ length: REGISTERS }, () => new Uint8Array(48));
  for (const { register, digest } of events) {
    if (register !== undefined) registers[register] = sha384(registers[register]!, digest);
  }
  return registers;
}

/**
 * The part of a firmware event's data that its digest is the hash of, if there is one.
 *
 * By the profile most digests are of the data as a whole, or of something that the log does not hold, such as an image. Of boot
 * variables it is the variable's value; of GRUB's commands the command, without the word before it that says where it is from.
 */
export function measuredPart(type: number, data: Uint8Array, digest: Uint8Array): Uint8Array | undefined {
  return candidates(type, data).find((part) => equalBytes(sha384(part), digest));
}

function candidates(type: number, data: Uint8Array): Uint8Array[] {
  if (type === EVENT_TYPE.variableBoot) return [data, ...variableValue(data)];
  if (type === EVENT_TYPE.ipl) return [data, ...command(data)];
  return [data];
}

/** UEFI_VARIABLE_DATA: GUID, length of the name in characters and of the value in bytes, name, value. */
function variableValue(data: Uint8Array): Uint8Array[] {
  if (data.length < 32) return [];
  const reader = new ByteReader(data);
  reader.skip(16, "the vendor of a variable");
  const name = 2n * reader.u64le("the length of a variable's name");
  const value = reader.u64le("the length of a variable's value");
  return name + value === BigInt(reader.remaining) ? [data.subarray(data.length - Number(value))] : [];
}

/** `grub_cmd: linux …`, with or without the byte that ends a string in C. */
function command(data: Uint8Array): Uint8Array[] {
  const start = data.findIndex((byte, i) => byte === 0x3a && data[i + 1] === 0x20) + 2;
  if (start < 2) return [];
  const end = data[data.length - 1] === 0 ? data.length - 1 : data.length;
  return [data.subarray(start, end), data.subarray(start)];
}

export function sha384(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash("sha384");
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}
