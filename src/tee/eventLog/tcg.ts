/**
 * The TCG's crypto agile log, as the ACPI table CCEL points to it in a confidential guest (UEFI 2.10, section 38.4; TCG PC
 * Client Platform Firmware Profile, section 10).
 *
 * It begins with an event of the old layout that names the hash algorithms; then each event has one digest for each of them. In
 * a guest of TDX the index of an event is that of a measurement register: 0 is MRTD, which takes in nothing at run time, and
 * 1 to 4 are RTMR0 to RTMR3.
 *
 * @module
 */
import { AnchorError } from "../../errors.js";
import { demand } from "../context.js";
import { ByteReader, isZero } from "../read/bytes.js";
import { EVENT_TYPE, type LoggedEvent, MAX_EVENTS, MAX_LOG, measuredPart } from "./events.js";

const SIGNATURE = "Spec ID Event03\0";
const SHA384 = 0x0c;
/** Lengths of the digests that the TCG has numbers for. */
const DIGEST_LENGTHS: ReadonlyMap<number, number> = new Map([
  [0x04, 20],
  [0x0b, 32],
  [SHA384, 48],
  [0x0d, 64],
  [0x12, 32],
  [0x27, 32],
  [0x28, 48],
  [0x29, 64],
]);

/** @throws EVENT_LOG_MALFORMED */
export function readTcgLog(log: Uint8Array): LoggedEvent[] {
  demand(log.length <= MAX_LOG, "EVENT_LOG_MALFORMED", `an event log of ${log.length} bytes`);
  const reader = new ByteReader(log, "EVENT_LOG_MALFORMED");
  const algorithms = readHeader(reader);
  const padding = paddingFrom(log);
  const events: LoggedEvent[] = [];
  while (reader.offset < padding) {
    if (events.length === MAX_EVENTS) malformed(`the event log has more than ${MAX_EVENTS} events`);
    events.push(readEvent(reader, algorithms, events.length));
  }
  return events;
}

/** TCG_PCR_EVENT with TCG_EfiSpecIDEvent inside. Returns the algorithms. */
function readHeader(reader: ByteReader): number[] {
  const index = reader.u32le("the index of the log's header");
  const type = reader.u32le("the type of the log's header");
  const digest = reader.take(20, "the digest of the log's header");
  if (index > 1 || type !== EVENT_TYPE.noAction || !isZero(digest))
    malformed("the event log does not begin with a header");
  const header = reader.nested(reader.u32le("the length of the log's header"), "the log's header");
  const signature = Buffer.from(header.take(16, "the signature of the log")).toString("latin1");
  if (signature !== SIGNATURE) malformed("the event log is not a crypto agile log of the TCG");
  header.skip(8, "class and version of the log");
  const count = header.u32le("the number of hash algorithms");
  if (count === 0 || count > DIGEST_LENGTHS.size) malformed(`the event log names ${count} hash algorithms`);
  const algorithms: number[] = [];
  for (let i = 0; i < count; i++) {
    const algorithm = header.u16le("a hash algorithm");
    const length = header.u16le("the length of a digest");
    if (DIGEST_LENGTHS.get(algorithm) !== length || algorithms.includes(algorithm)) {
      malformed(`the event log names a hash algorithm 0x${algorithm.toString(16)} of ${length} bytes`);
    }
    algorithms.push(algorithm);
  }
  header.skip(header.u8("the length of the vendor's information"), "the vendor's information");
  header.end("the log's header");
  if (!algorithms.includes(SHA384)) malformed("the event log has no SHA-384 digests");
  return algorithms;
}

/** TCG_PCR_EVENT2. */
function readEvent(reader: ByteReader, algorithms: readonly number[], number: number): LoggedEvent {
  const what = (part: string) => `${part} of event ${number}`;
  const index = reader.u32le(what("the register"));
  if (index > 4) malformed(`event ${number} names measurement register ${index} of 0 to 4`);
  const type = reader.u32le(what("the type"));
  const count = reader.u32le(what("the number of digests"));
  if (count !== algorithms.length) malformed(`event ${number} has ${count} digests instead of ${algorithms.length}`);
  const digests = new Map<number, Uint8Array>();
  for (let i = 0; i < count; i++) {
    const algorithm = reader.u16le(what("a hash algorithm"));
    if (!algorithms.includes(algorithm) || digests.has(algorithm)) {
      malformed(`event ${number} has a digest of an algorithm that the log's header does not name, or two of one`);
    }
    digests.set(algorithm, reader.take(DIGEST_LENGTHS.get(algorithm)!, what("a digest")));
  }
  const payload = reader.take(reader.u32le(what("the length")), what("the data"));
  const digest = digests.get(SHA384)!;
  // Events of no action inform and are not measured; nothing of theirs is ever bound.
  if (index === 0 || type === EVENT_TYPE.noAction) return { type, digest, payload };
  const part = measuredPart(type, payload, digest);
  return { register: index - 1, type, digest, payload, ...(part ? { bound: { payload: part } } : {}) };
}

/**
 * Where the run of one byte begins that a table ends in: 0xff by the specification, zeros with some. An event that ends in such
 * bytes begins before them, so that what begins among them is none.
 */
function paddingFrom(log: Uint8Array): number {
  const filler = log[log.length - 1];
  if (filler !== 0xff && filler !== 0) return log.length;
  let start = log.length;
  while (start > 0 && log[start - 1] === filler) start--;
  return start;
}

function malformed(message: string): never {
  throw new AnchorError("EVENT_LOG_MALFORMED", message);
}
