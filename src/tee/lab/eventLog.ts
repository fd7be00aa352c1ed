/**
 * Event logs of machines that never were, and the registers that they replay to.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { concat, type Hex, toHex, utf8 } from "../../field/bytes.js";
import type { EventLog } from "../evidence.js";
import { type Bytes, filled, littleEndian, toBytes } from "./bytes.js";

export interface DstackEvent {
  name: string;
  payload?: Bytes;
  /** 1 unless given. */
  version?: 1 | 2;
  /** Has the last word on what stands in the log; what is measured stays. */
  says?: Record<string, unknown>;
}

export interface FirmwareEvent {
  register: 0 | 1 | 2 | 3;
  type: number;
  data: Bytes;
  /** What is measured; the data unless given. */
  measured?: Bytes;
  /** What a log of dstack's calls it. */
  text?: string;
}

export interface LabLog {
  eventLog: EventLog;
  /** As a quote would have them. */
  registers: Record<"rtmr0" | "rtmr1" | "rtmr2" | "rtmr3", Hex>;
}

export const DSTACK_TYPE = 0x0800_0001;

/** What dstack measures on the way to an app's start. */
export function bootEvents(composeHash: Bytes = filled(0xc0, 32)): DstackEvent[] {
  const hash = toBytes(composeHash);
  return [
    { name: "system-preparing" },
    { name: "app-id", payload: hash.subarray(0, 20) },
    { name: "compose-hash", payload: hash },
    { name: "instance-id", payload: filled(0x1d, 20) },
    { name: "boot-mr-done" },
    { name: "os-image-hash", payload: filled(0x05, 32) },
    { name: "key-provider", payload: utf8('{"name":"kms","id":"abcd"}') },
    { name: "system-ready" },
  ];
}

export const FIRMWARE: FirmwareEvent[] = [
  { register: 0, type: 0x8000_000a, data: utf8("firmware"), measured: utf8("an image that no log holds") },
  { register: 0, type: 0x0a, data: utf8("ACPI DATA"), measured: utf8("tables"), text: "acpi-tables" },
  { register: 0, type: 4, data: filled(0, 4) },
  { register: 1, type: 0x8000_0007, data: utf8("Calling EFI Application from Boot Option") },
  { register: 2, type: 0x0d, data: utf8("grub_cmd: linux /vmlinuz\0"), measured: utf8("linux /vmlinuz") },
];

export function dstackLog(events: readonly DstackEvent[] = bootEvents(), firmware = FIRMWARE): LabLog {
  const measured = new Registers();
  const boot = firmware.map(({ register, type, data, measured: what = data, text = "" }) => {
    const digest = measured.extend(register, toBytes(what));
    return { imr: register, event_type: type, digest: hex(digest), event: text, event_payload: hex(toBytes(data)) };
  });
  const own = events.map(({ name, payload = [], version = 1, says = {} }) => {
    const bytes = toBytes(payload);
    const preimage =
      version === 1
        ? concat(littleEndian(DSTACK_TYPE, 4), utf8(`:${name}:`), bytes)
        : utf8(JSON.stringify({ name, payload: hex(bytes), type: DSTACK_TYPE }));
    const digest = hex(measured.extend(3, preimage));
    const entry = { imr: 3, event_type: DSTACK_TYPE, digest, event: name, event_payload: hex(bytes) };
    return { ...entry, ...(version === 2 ? { version, preimage: hex(preimage) } : {}), ...says };
  });
  return measured.log("dstack", utf8(JSON.stringify([...boot, ...own])));
}

export interface CcelOptions {
  /** Algorithm numbers with lengths of digests: SHA-384 alone unless given. */
  algorithms?: readonly (readonly [number, number])[];
  /** Behind the events: 0xff unless given. */
  padding?: Bytes;
  /** Before the events, in place of the header. */
  header?: Bytes;
  /** Between header and events: events that no register takes in, whole. */
  extra?: Bytes;
}

export function ccelLog(events: readonly FirmwareEvent[] = FIRMWARE, options: CcelOptions = {}): LabLog {
  const { algorithms = [[0x0c, 48]], padding = filled(0xff, 64) } = options;
  const measured = new Registers();
  const body = events.map(({ register, type, data, measured: what = data }) => {
    const digest = measured.extend(register, toBytes(what));
    const digests = algorithms.map(([algorithm, length]) =>
      concat(littleEndian(algorithm, 2), algorithm === 0x0c ? digest : filled(algorithm, length)),
    );
    return ccelEvent(register + 1, type, toBytes(data), concat(...digests), algorithms.length);
  });
  const header = options.header ?? ccelHeader(algorithms);
  return measured.log("ccel", concat(toBytes(header), toBytes(options.extra ?? []), ...body, toBytes(padding)));
}

/** TCG_PCR_EVENT2. */
export function ccelEvent(index: number, type: number, data: Uint8Array, digests: Uint8Array, count = 1): Uint8Array {
  const head = [index, type, count].map((value) => littleEndian(value, 4));
  return concat(...head, digests, littleEndian(data.length, 4), data);
}

/** TCG_PCR_EVENT with the TCG_EfiSpecIDEvent inside. */
export function ccelHeader(
  algorithms: readonly (readonly [number, number])[],
  signature = "Spec ID Event03\0",
): Uint8Array {
  const sizes = algorithms.map(([algorithm, length]) => concat(littleEndian(algorithm, 2), littleEndian(length, 2)));
  const versions = Uint8Array.of(0, 0, 0, 0, 0, 2, 0, 2);
  const event = concat(utf8(signature), versions, littleEndian(algorithms.length, 4), ...sizes, Uint8Array.of(0));
  return concat(littleEndian(1, 4), littleEndian(3, 4), new Uint8Array(20), littleEndian(event.length, 4), event);
}

class Registers {
  readonly #values = Array.from({ length: 4 }, () => new Uint8Array(48));

  /** Returns the digest. */
  extend(register: number, data: Uint8Array): Uint8Array {
    const digest = sha384(data);
    this.#values[register] = sha384(this.#values[register]!, digest);
    return digest;
  }

  log(format: EventLog["format"], log: Uint8Array): LabLog {
    const [rtmr0, rtmr1, rtmr2, rtmr3] = this.#values.map(toHex) as [Hex, Hex, Hex, Hex];
    return { eventLog: { format, log }, registers: { rtmr0, rtmr1, rtmr2, rtmr3 } };
  }
}

function sha384(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(
    createHash("sha384")
      .update(concat(...parts))
      .digest(),
  );
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
