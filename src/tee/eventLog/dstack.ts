/**
 * dstack's event log: a JSON array in which firmware's events stand beside those that dstack itself measures into RTMR3.
 *
 * The digest of dstack's own events takes in type, name and payload, and is computed here, never taken:
 *
 *     version 1   SHA-384(type, 4 bytes, little-endian ‖ ":" ‖ name ‖ ":" ‖ payload)
 *     version 2   SHA-384(canonical JSON of {"name":…,"payload":hex,"type":134217729})
 *
 * Newer guests leave it out. RTMR3 takes in no others. The text that a log has for events of firmware (`acpi-loader` and the like) is an annotation
 * that nothing binds, even in a log that replays.
 *
 * @module
 */
import { AnchorError } from "../../errors.js";
import { concat, utf8 } from "../../field/bytes.js";
import { demand } from "../context.js";
import { equalBytes } from "../read/bytes.js";
import { isJsonObject, type Json, readJson } from "../read/json.js";
import { type LoggedEvent, MAX_EVENTS, MAX_LOG, measuredPart, sha384 } from "./events.js";

/** Type of the events that dstack measures itself; no type of the TCG's. */
export const RUNTIME_EVENT = 0x0800_0001;

/** @throws EVENT_LOG_MALFORMED; EVENT_LOG_MISMATCH where the digest given for one of dstack's own events is not its digest */
export function readDstackLog(log: Uint8Array): LoggedEvent[] {
  const value = readJson(log, { code: "EVENT_LOG_MALFORMED", what: "the event log", maxLength: MAX_LOG, maxDepth: 8 });
  if (!Array.isArray(value)) return malformed("the event log is not a JSON array");
  if (value.length > MAX_EVENTS) return malformed(`the event log has more than ${MAX_EVENTS} events`);
  return value.map(readEvent);
}

/** What a runtime event's digest is the SHA-384 of. */
export function runtimePreimage(version: 1 | 2, name: string, payload: Uint8Array): Uint8Array {
  if (version === 1) {
    const type = new Uint8Array(4);
    new DataView(type.buffer).setUint32(0, RUNTIME_EVENT, true);
    return concat(type, utf8(`:${name}:`), payload);
  }
  // RFC 8785 spells strings as JSON.stringify does, and the keys are in order.
  const hex = Buffer.from(payload).toString("hex");
  return utf8(`{"name":${JSON.stringify(name)},"payload":"${hex}","type":${RUNTIME_EVENT}}`);
}

/** Members that are not read here are nothing that a digest takes in. */
function readEvent(value: Json, index: number): LoggedEvent {
  if (!isJsonObject(value)) return malformed(`event ${index} is not a JSON object`);
  const register = integer(value["imr"], 3, `the register of event ${index}`);
  const type = integer(value["event_type"], 0xffff_ffff, `the type of event ${index}`);
  const name = value["event"] ?? "";
  if (typeof name !== "string") return malformed(`the name of event ${index} is not text`);
  const payload = hex(value["event_payload"], `the payload of event ${index}`);
  const given = hex(value["digest"] ?? "", `the digest of event ${index}`);
  demand(
    given.length === 0 || given.length === 48,
    "EVENT_LOG_MALFORMED",
    `the digest of event ${index} has ${given.length} bytes instead of 48`,
  );
  if (type === RUNTIME_EVENT) {
    const version = value["version"] ?? 1;
    if (version !== 1 && version !== 2) {
      return malformed(
        `event ${index} is of a version that is not known here: ${JSON.stringify(version).slice(0, 32)}`,
      );
    }
    const preimage = runtimePreimage(version, name, payload);
    const digest = sha384(preimage);
    const what = `event ${index} (${JSON.stringify(name.slice(0, 64))})`;
    demand(
      given.length === 0 || equalBytes(given, digest),
      "EVENT_LOG_MISMATCH",
      `the digest that the log gives for ${what} is not that of its name and payload`,
    );
    const said = value["preimage"] ?? null;
    demand(
      said === null || equalBytes(hex(said, `the preimage of event ${index}`), preimage),
      "EVENT_LOG_MISMATCH",
      `the preimage that the log gives for ${what} is not its name and payload`,
    );
    // Version 1 does not say where the name ends: with a colon in it, the same digest has another name and payload.
    const bound = version === 2 || !name.includes(":");
    return { register, type, digest, name, payload, ...(bound ? { bound: { name, payload } } : {}) };
  }
  // Under another type, whose digest is taken as given, one of dstack's own events would replay unseen: an app could repeat
  // the boot in its own words behind a `system-ready` that nobody reads.
  demand(
    register !== 3,
    "EVENT_LOG_MALFORMED",
    `event ${index} is in RTMR3 and of type 0x${type.toString(16)}, where dstack measures its own events only`,
  );
  demand(given.length === 48, "EVENT_LOG_MALFORMED", `event ${index} has no digest`);
  const part = measuredPart(type, payload, given);
  return { register, type, digest: given, name, payload, ...(part ? { bound: { payload: part } } : {}) };
}

function integer(value: Json | undefined, max: number, what: string): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && value <= max) return value;
  return malformed(`${what} is not a whole number up to ${max}`);
}

function hex(value: Json | undefined, what: string): Uint8Array {
  if (typeof value !== "string" || !/^(?:[0-9a-fA-F]{2})*$/.test(value)) return malformed(`${what} is not hex`);
  return new Uint8Array(Buffer.from(value, "hex"));
}

function malformed(message: string): never {
  throw new AnchorError("EVENT_LOG_MALFORMED", message);
}
