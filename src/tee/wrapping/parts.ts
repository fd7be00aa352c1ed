/**
 * What recognition puts together before it is evidence: pieces of one machine, from one file or several.
 *
 * @module
 */
import type { Hex } from "../../field/bytes.js";
import { type Collateral, mergeCollateral } from "../collateral.js";
import type { EventLog, Evidence, NrasEvidence, NvidiaEvidence } from "../evidence.js";

/** What one file turned out to hold, or one machine of several in it. */
export interface Parts {
  /** Everything that is neither a device's nor a token. */
  cpu?: Evidence;
  devices: NvidiaEvidence[];
  tokens: NrasEvidence[];
  eventLog?: EventLog;
  /** DER certificates by themselves: of a device or a report that another file holds. */
  certificates: Uint8Array[];
  collateral?: Collateral;
  hints: Hints;
  how: string[];
}

/** What stood beside evidence: nothing of it is signed, and nothing is checked. */
export interface Hints {
  /** That the maker says it was asked with, as 0x-hex. */
  nonce?: Hex;
  /** That the maker says the evidence holds, as 0x-hex. */
  reportData?: Hex;
  /** As it stands there: an address or a public key. */
  signingAddress?: string;
  /** Other short texts that a binding may need, by the names that they had. */
  fields: Record<string, string>;
}

export function noParts(): Parts {
  return { devices: [], tokens: [], certificates: [], hints: { fields: {} }, how: [] };
}

export function isEmpty({ cpu, devices, tokens, eventLog, certificates, collateral }: Parts): boolean {
  const nothing = devices.length + tokens.length + certificates.length === 0;
  return nothing && cpu === undefined && eventLog === undefined && collateral === undefined;
}

/** Pieces of one machine as one; of what there can be only one of, the first counts. */
export function mergeParts(all: readonly Parts[]): Parts {
  const cpu = all.find((each) => each.cpu)?.cpu;
  const eventLog = all.find((each) => each.eventLog)?.eventLog;
  const collateral = all.flatMap((each) => (each.collateral ? [each.collateral] : []));
  const hints: Hints = { fields: {} };
  for (const each of [...all].reverse()) {
    Object.assign(hints, { ...each.hints, fields: { ...hints.fields, ...each.hints.fields } });
  }
  return {
    ...(cpu ? { cpu } : {}),
    devices: all.flatMap(({ devices }) => devices),
    tokens: all.flatMap(({ tokens }) => tokens),
    ...(eventLog ? { eventLog } : {}),
    certificates: all.flatMap(({ certificates }) => certificates),
    ...(collateral.length > 0 ? { collateral: mergeCollateral(...collateral) } : {}),
    hints,
    how: all.flatMap(({ how }) => how),
  };
}
