/**
 * The steps of a coordinator's ceremony, and how they lie on the disk; what they mean is `ceremonyState.ts`'s to say.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { toAnchorError } from "../errors.js";
import { assertHex, type Hex } from "../field/bytes.js";
import { parseDocument } from "../protocol/document.js";
import { readInteger, readObject } from "../protocol/eip712.js";
import {
  beaconFromJson,
  beaconToJson,
  type CeremonyBeacon,
  type CeremonyContribution,
  type CeremonyEvent,
  type CeremonyResult,
  contributionFromJson,
  contributionToJson,
  eventFromJson,
  eventToJson,
  finalFromJson,
  finalToJson,
  invalid,
} from "./ceremony.js";

const CODE = "CEREMONY_INVALID";

export interface Turn {
  member: Hex;
  /** SHA-256 of the token that its holder was given. */
  tokenHash: Hex;
  /** Unix seconds. */
  deadline: bigint;
}

export type Step =
  | { type: "turn"; member: Hex; tokenHash: Hex; nonce: Hex; deadline: bigint }
  | { type: "contribution"; contribution: CeremonyContribution }
  | { type: "event"; event: CeremonyEvent }
  | { type: "final"; beacon?: CeremonyBeacon | undefined; final: CeremonyResult };

export function lateStep({ member }: Turn, time: bigint): Step {
  return eventStep({ kind: "skipped", member, fault: "late", reason: "the time for the turn ran out", time });
}

/** Messages come from files that others made. */
export function eventStep({ reason, ...event }: CeremonyEvent): Step {
  const plain = reason
    .replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, " ")
    .slice(0, 400)
    .replace(/[\ud800-\udbff]$/, "");
  return { type: "event", event: { ...event, reason: plain || "no reason given" } };
}

export function stepToJson(step: Step): Record<string, unknown> {
  switch (step.type) {
    case "turn":
      return { ...step, deadline: step.deadline.toString() };
    case "contribution":
      return { type: step.type, contribution: contributionToJson(step.contribution) };
    case "event":
      return { type: step.type, event: eventToJson(step.event) };
    case "final": {
      const beacon = step.beacon ? { beacon: beaconToJson(step.beacon) } : {};
      return { type: step.type, ...beacon, final: finalToJson(step.final) };
    }
  }
}

/** @throws CEREMONY_INVALID */
export function stepFromJson(json: unknown, at: string): Step {
  const type = (json as { type?: unknown } | null)?.type;
  if (type === "turn") {
    const record = readObject(json, ["type", "member", "tokenHash", "nonce", "deadline"], CODE, at);
    return {
      type,
      member: hexOf(record["member"], `${at}.member`, 20),
      tokenHash: hexOf(record["tokenHash"], `${at}.tokenHash`, 32),
      nonce: hexOf(record["nonce"], `${at}.nonce`, 32),
      deadline: readInteger(record["deadline"], 64, CODE, `${at}.deadline`),
    };
  }
  if (type === "contribution") {
    const record = readObject(json, ["type", "contribution"], CODE, at);
    return { type, contribution: contributionFromJson(record["contribution"], at) };
  }
  if (type === "event")
    return { type, event: eventFromJson(readObject(json, ["type", "event"], CODE, at)["event"], at) };
  if (type !== "final") return invalid("state", at, "is no step");
  const record = readObject(json, ["type", "final"], CODE, at, ["beacon"]);
  const beacon = Object.hasOwn(record, "beacon") ? { beacon: beaconFromJson(record["beacon"], at) } : {};
  return { type, ...beacon, final: finalFromJson(record["final"], at) };
}

export function hexOf(value: unknown, at: string, length: number): Hex {
  try {
    assertHex(value, at, length);
    return value;
  } catch {
    return invalid("schema", at, `must be ${length} bytes of lower-case 0x-hex`);
  }
}

/** @returns `undefined` for a file that is not there */
export async function readStateFile(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw toAnchorError(error, "FILE_UNREADABLE", `cannot read ${path}`);
  }
  try {
    return parseDocument(text);
  } catch (cause) {
    return invalid("state", path, "is damaged", cause);
  }
}
