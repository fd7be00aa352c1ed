/**
 * Event logs held against the registers of an authentic quote, and what dstack's say about the app.
 *
 * That a log replays shows that the guest measured these events. It does not show who the guest is: RTMR3 takes in what the
 * guest's own software puts there, so that an app's compose hash means something only where MRTD and RTMR0 to RTMR2 are those
 * of an image that is known to measure it, and what comes before the app's start, as well. That is for the policy to ask.
 *
 * @module
 */
import { AnchorError, type ErrorCode } from "../../errors.js";
import { fromHex, type Hex, keccak, toHex, utf8 } from "../../field/bytes.js";
import type { Claims, EventLogClaims, MeasuredEvent } from "../claims.js";
import { demand } from "../context.js";
import type { EventLog } from "../evidence.js";
import { equalBytes, isZero } from "../read/bytes.js";
import { composeConfigId } from "./compose.js";
import { RUNTIME_EVENT, readDstackLog } from "./dstack.js";
import { type LoggedEvent, replayEventLog } from "./events.js";
import { readTcgLog } from "./tcg.js";

/** After this event dstack starts the app, and the app may add events of any name. */
const BOOTED = "system-ready";
/** The last event before it in older images, and in a quote that is made on the way. */
const MEASURED = "boot-mr-done";

/** The events as logged. @throws EVENT_LOG_MALFORMED, EVENT_LOG_MISMATCH */
export function parseEventLog({ format, log }: EventLog): LoggedEvent[] {
  switch (format) {
    case "dstack":
      return readDstackLog(log);
    case "ccel":
      return readTcgLog(log);
    default:
      throw new AnchorError(
        "EVENT_LOG_MALFORMED",
        `an event log of a format that is not known here: ${String(format)}`,
      );
  }
}

/**
 * Replays a log and holds it against the runtime registers of authentic claims.
 *
 * @throws EVENT_LOG_MALFORMED; EVENT_LOG_MISMATCH, naming the register
 */
export function verifyEventLog(log: EventLog, claims: Claims): EventLogClaims {
  const logged = parseEventLog(log);
  const stripped = log.format === "dstack" && isStripped(logged);
  const events = stripped ? logged.filter(({ register }) => register === 3) : logged;
  const registers: Record<string, Hex> = {};
  replayEventLog(events).forEach((bytes, i) => {
    const name = `rtmr${i}`;
    const replayed = toHex(bytes);
    const has = claims.measurements[name];
    demand(has !== undefined, "EVENT_LOG_MISMATCH", `evidence of family ${claims.family} has no register ${name}`);
    // Firmware's table ends before the guest's software extends RTMR3; what a log does not speak of is left out of its claims.
    const maySkip = log.format === "dstack" ? stripped && i < 3 : i === 3;
    if (maySkip && isZero(bytes) && has !== replayed) return;
    demand(
      has === replayed,
      "EVENT_LOG_MISMATCH",
      `the event log replays ${name} to ${replayed}, and the quote has ${has}`,
    );
    registers[name] = has;
  });
  const boot = log.format === "dstack" ? bootEvents(events) : [];
  const app = readApp(boot);
  requireSameApp(app.composeHash, claims.measurements["mrConfigId"]);
  return {
    format: log.format,
    digest: toHex(keccak(log.log)),
    registers,
    // Registers know no order among each other: how their events were logged in between is nobody's word.
    events: measured(events, new Set(boot)).sort((a, b) => a.register - b.register),
    ...app,
  };
}

/** ACPI tables, as firmware measures them into RTMR0: type and data of the events. */
const ACPI = { type: 0x0a, data: utf8("ACPI DATA") };

/**
 * The log in dstack's own encoding of an attestation is stripped: of firmware's events only those of ACPI tables are left. They
 * do not replay to anything and are no claims then; RTMR0 to RTMR2 are what the quote says they are.
 */
function isStripped(events: readonly LoggedEvent[]): boolean {
  return events.every(
    ({ register, type, payload }) =>
      register === 3 || (register === 0 && type === ACPI.type && equalBytes(payload, ACPI.data)),
  );
}

/** Only what is bound: text that no digest takes in is no claim, however well the log replays. */
function measured(events: readonly LoggedEvent[], boot: ReadonlySet<LoggedEvent>): MeasuredEvent[] {
  return events.flatMap((event) => {
    const { register, type, digest, bound } = event;
    if (register === undefined) return [];
    return [
      {
        register,
        type,
        digest: toHex(digest),
        ...(bound?.name === undefined ? {} : { name: bound.name }),
        ...(bound ? { payload: toHex(bound.payload) } : {}),
        bound: bound !== undefined,
        ...(boot.has(event) ? { boot: true } : {}),
      },
    ];
  });
}

type App = Pick<EventLogClaims, "composeHash" | "appId" | "instanceId" | "keyProvider" | "osImageHash">;

function readApp(events: readonly LoggedEvent[]): App {
  const boot = new Map<string, Uint8Array>();
  for (const { bound } of events) {
    const name = bound!.name!;
    demand(
      !boot.has(name) || !NAMES.includes(name),
      "EVENT_LOG_MALFORMED",
      `the event "${name}" stands twice before the app's start, where dstack measures it once`,
    );
    boot.set(name, bound!.payload);
  }
  const composeHash = fixed(boot, "compose-hash", 32);
  const appId = fixed(boot, "app-id", 20);
  const instanceId = fixed(boot, "instance-id", 20);
  const osImageHash = fixed(boot, "os-image-hash", 32);
  const provider = boot.get("key-provider");
  return {
    ...(composeHash ? { composeHash } : {}),
    ...(appId ? { appId } : {}),
    ...(instanceId ? { instanceId } : {}),
    ...(provider ? { keyProvider: text(provider, "key-provider") } : {}),
    ...(osImageHash ? { osImageHash } : {}),
  };
}

const NAMES = ["compose-hash", "app-id", "instance-id", "os-image-hash", "key-provider"];

/**
 * What dstack itself measured: bound events of its own type in RTMR3, up to the one after which the app runs. Without such an end
 * nothing is known to be dstack's rather than the app's.
 */
function bootEvents(events: readonly LoggedEvent[]): LoggedEvent[] {
  const own = events.filter(
    ({ register, type, bound }) => register === 3 && type === RUNTIME_EVENT && bound?.name !== undefined,
  );
  const find = (name: string) => own.findIndex(({ bound }) => bound!.name === name);
  const end = find(BOOTED) >= 0 ? find(BOOTED) : find(MEASURED);
  return own.slice(0, end + 1);
}

/** An event without a payload says that there is none: apps can do without an instance id. */
function fixed(boot: ReadonlyMap<string, Uint8Array>, name: string, length: number): Hex | undefined {
  const payload = boot.get(name);
  if (payload === undefined || payload.length === 0) return undefined;
  demand(
    payload.length === length,
    "EVENT_LOG_MALFORMED",
    `the event "${name}" has ${payload.length} bytes instead of ${length}`,
  );
  return toHex(payload);
}

function text(payload: Uint8Array, name: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(payload);
  } catch (cause) {
    throw new AnchorError("EVENT_LOG_MALFORMED" satisfies ErrorCode, `the event "${name}" is not UTF-8`, { cause });
  }
}

/**
 * A host that names an app in MRCONFIGID must have launched the one that measured itself. Its other versions name more than a log
 * has (2: a pin of the key provider, 3: a document), and zeros name none.
 */
function requireSameApp(hash: Hex | undefined, configId: Hex | undefined): void {
  if (hash === undefined || configId === undefined) return;
  const id = fromHex(configId, "MRCONFIGID");
  if (id[0] !== 1 || !isZero(id.subarray(33))) return;
  demand(
    equalBytes(id, fromHex(composeConfigId(hash), "MRCONFIGID")),
    "EVENT_LOG_MISMATCH",
    `the event log is of the app ${hash}, and MRCONFIGID names ${toHex(id.subarray(1, 33))}`,
  );
}
