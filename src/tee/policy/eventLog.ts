/**
 * Rules for what was measured at run time. Only events that are bound to their register count: all else in a log is the word of
 * whoever gave it.
 *
 * @module
 */
import type { Hex } from "../../field/bytes.js";
import type { EventLogClaims } from "../claims.js";
import { type Appraisal, need, some } from "./appraisal.js";
import type { EventLogRules } from "./policy.js";

export function appraiseEventLog(
  appraisal: Appraisal,
  measurements: Record<string, Hex>,
  log: EventLogClaims | undefined,
  rules: EventLogRules | undefined,
): void {
  // A log that nobody asked for goes into the verdict as well, so that it has to be this guest's.
  if (!rules && !log) return;
  const present = appraisal.check(
    "event-log",
    "there is a log of what was measured at run time, and it is this guest's",
    () => {
      need(log !== undefined, "the policy has rules for an event log, and none was given with the evidence");
      const registers = Object.entries(log.registers);
      need(registers.length > 0, "the event log replays to no register", "EVENT_LOG_MISMATCH");
      for (const [name, value] of registers) {
        need(
          Object.hasOwn(measurements, name) && measurements[name] === value,
          `the event log replays to another ${name} than the evidence has`,
          "EVENT_LOG_MISMATCH",
        );
      }
      return `${log.events.length} events`;
    },
  );
  if (!present || !log || !rules) return;
  const absent = "no such event is bound to the quote";
  appraisal.listing("event-log.compose-hash", "app's compose hash", rules.composeHashes, log.composeHash, absent);
  appraisal.listing("event-log.os-image", "image", rules.osImageHashes, log.osImageHash, absent);
  appraisal.listing("event-log.app", "app id", rules.appIds, log.appId, absent);
  appraisal.listing("event-log.instance", "instance id", rules.instanceIds, log.instanceId, absent);
  const { keyProviders, events } = rules;
  if (keyProviders) {
    appraisal.check("event-log.key-provider", "the app's keys are held by an accepted provider", () => {
      const { keyProvider } = log;
      need(keyProvider !== undefined, `the key provider cannot be held against the policy's list: ${absent}`);
      const { name, id } = readProvider(keyProvider);
      need(
        keyProviders.some(
          (each) => (each.name === undefined || each.name === name) && (each.id === undefined || each.id === id),
        ),
        `the key provider is ${name ?? "unnamed"}${id === undefined ? "" : ` with key ${id}`}, which is not among the accepted: ${some(
          keyProviders.map((each) => [each.name, each.id].filter((part) => part !== undefined).join(" with key ")),
        )}`,
      );
      return name;
    });
  }
  events?.forEach(({ name, register, payloads }) => {
    appraisal.check("event-log.event", `the event "${name}" was measured into runtime register ${register}`, () => {
      const found = log.events.filter((each) => each.bound && each.name === name && each.register === register);
      need(found.length > 0, `the log has no event "${name}" that is bound to register ${register}`);
      for (const { payload = "0x" } of found) {
        need(
          payloads === undefined || payloads.includes(payload),
          `the event "${name}" has the content ${payload}, accepted is ${some(payloads ?? [])}`,
        );
      }
      return undefined;
    });
  });
}

/** dstack writes `{"name":"kms","id":"3059…"}`; others a name alone. */
function readProvider(text: string): { name?: string; id?: string } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { name: text };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return { name: text };
  const { name, id } = value as Record<string, unknown>;
  return {
    ...(typeof name === "string" ? { name } : {}),
    ...(typeof id === "string" ? { id: `0x${id.replace(/^0x/i, "").toLowerCase()}` } : {}),
  };
}
