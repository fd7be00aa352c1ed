/**
 * Event logs, and the runtime registers that they replay to.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { concat, utf8 } from "../../field/bytes.js";
import type { EventLog } from "../evidence.js";
import { type Bytes, filled, fixed, littleEndian, toBytes } from "./bytes.js";

export interface LabEvent {
  /** 0 to 3. */
  register: number;
  type?: number;
  name?: string;
  payload?: Bytes;
  /** The digest that the log gives and the register takes in; computed for dstack's own events, of the payload for others. */
  digest?: Bytes;
}

export interface DstackOptions {
  /** UTF-8 of the app's compose file, whose SHA-256 is measured. */
  appCompose?: string;
  appId?: Bytes;
  instanceId?: Bytes;
  keyProvider?: string;
  osImageHash?: Bytes;
  /** Of events of dstack's own: 1 or 2. */
  version?: 1 | 2;
  /** Firmware's events, before dstack's own; two for each of registers 0 to 2 unless given. */
  firmware?: readonly LabEvent[];
  /** What the app itself measures, behind dstack's own. */
  app?: readonly LabEvent[];
  /** In place of everything above. */
  events?: readonly LabEvent[];
  /** Has the last word on the log, which then need not replay. */
  edit?: (events: Record<string, unknown>[]) => Record<string, unknown>[];
}

export interface LabLog {
  eventLog: EventLog;
  /** The registers of a guest that measured these events, and of dstack the MRCONFIGID: measurements for a quote. */
  measurements: Record<"rtmr0" | "rtmr1" | "rtmr2" | "rtmr3", Uint8Array> & { mrConfigId?: Uint8Array };
}

/** Type of the events that dstack itself measures. */
const RUNTIME_EVENT = 0x08000001;

/** A guest of dstack's: its log as JSON. */
export function dstackLog(options: DstackOptions = {}): LabLog {
  const { appCompose = '{"manifest_version":2,"name":"lab"}', version = 1, app = [] } = options;
  const composeHash = sha("sha256", utf8(appCompose));
  const own = (name: string, payload: Bytes): LabEvent => ({ register: 3, type: RUNTIME_EVENT, name, payload });
  const events = options.events ?? [
    ...(options.firmware ?? FIRMWARE),
    own("system-preparing", []),
    own("app-id", options.appId ?? composeHash.slice(0, 20)),
    own("compose-hash", composeHash),
    own("instance-id", options.instanceId ?? filled(0x15, 20)),
    ...(options.osImageHash === undefined ? [] : [own("os-image-hash", options.osImageHash)]),
    own("boot-mr-done", []),
    own("key-provider", utf8(options.keyProvider ?? '{"name":"local-sgx","id":"1b7a"}')),
    own("system-ready", []),
    ...app,
  ];
  const written = events.map((event) => {
    const { register, type = RUNTIME_EVENT, name = "", payload = [] } = event;
    return {
      imr: register,
      event_type: type,
      digest: hex(digestOf(event, version)),
      event: name,
      event_payload: hex(toBytes(payload)),
      ...(version === 2 && type === RUNTIME_EVENT ? { version } : {}),
    };
  });
  const log = utf8(JSON.stringify(options.edit?.(structuredClone(written)) ?? written));
  return {
    eventLog: { format: "dstack", log },
    measurements: {
      ...replay(events, version),
      ...(options.events ? {} : { mrConfigId: fixed([1, ...composeHash], 48) }),
    },
  };
}

export interface CcelOptions {
  events?: readonly LabEvent[];
  /** Zeros behind the log, as in a table of fixed length. */
  padding?: number;
  /** Has the last word on the log. */
  edit?: (log: Uint8Array) => Uint8Array;
}

/** The TCG's binary log, as ACPI's CCEL table points to: register n is measurement register n + 1 there. */
export function ccelLog({ events = FIRMWARE, padding = 0, edit }: CcelOptions = {}): LabLog {
  const specification = concat(
    utf8("Spec ID Event03\0"),
    littleEndian(0, 4),
    Uint8Array.of(0, 2, 0, 2),
    littleEndian(1, 4),
    littleEndian(SHA384, 2),
    littleEndian(48, 2),
    Uint8Array.of(0),
  );
  const head = concat(
    littleEndian(0, 4),
    littleEndian(NO_ACTION, 4),
    new Uint8Array(20),
    littleEndian(specification.length, 4),
    specification,
  );
  const entries = events.map((event) => {
    const { register, type = NO_ACTION, payload = [] } = event;
    const data = toBytes(payload);
    return concat(
      littleEndian(register + 1, 4),
      littleEndian(type, 4),
      littleEndian(1, 4),
      littleEndian(SHA384, 2),
      digestOf(event, 1),
      littleEndian(data.length, 4),
      data,
    );
  });
  const log = concat(head, ...entries, new Uint8Array(padding));
  return { eventLog: { format: "ccel", log: edit?.(log) ?? log }, measurements: replay(events, 1) };
}

const SHA384 = 0x000c;
const NO_ACTION = 3;
const ACTION = 5;
const EFI_ACTION = 0x80000007;

/** As firmware, loader and kernel measure; each digest is that of its data. */
const FIRMWARE: readonly LabEvent[] = [
  { register: 0, type: EFI_ACTION, payload: utf8("Calling EFI Application from Boot Option") },
  { register: 0, type: ACTION, payload: utf8("firmware configuration") },
  { register: 1, type: EFI_ACTION, payload: utf8("Exit Boot Services Invocation") },
  { register: 1, type: EFI_ACTION, payload: utf8("Exit Boot Services Returned with Success") },
  { register: 2, type: ACTION, payload: utf8("kernel command line") },
  { register: 2, type: ACTION, payload: utf8("initial file system") },
];

function digestOf({ type = RUNTIME_EVENT, name = "", payload = [], digest }: LabEvent, version: 1 | 2): Uint8Array {
  if (digest !== undefined) return fixed(digest, 48);
  const bytes = toBytes(payload);
  if (type !== RUNTIME_EVENT) return sha("sha384", bytes);
  if (version === 1) return sha("sha384", concat(littleEndian(type, 4), utf8(`:${name}:`), bytes));
  return sha("sha384", utf8(JSON.stringify({ name, payload: hex(bytes), type })));
}

function replay(events: readonly LabEvent[], version: 1 | 2): LabLog["measurements"] {
  const registers = [0, 1, 2, 3].map((register) =>
    events
      .filter((event) => event.register === register)
      .reduce((value, event) => sha("sha384", concat(value, digestOf(event, version))), new Uint8Array(48)),
  );
  return { rtmr0: registers[0]!, rtmr1: registers[1]!, rtmr2: registers[2]!, rtmr3: registers[3]! };
}

function sha(hash: "sha256" | "sha384", bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHash(hash).update(bytes).digest());
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
