/**
 * The ceremony manifest: which circuit and powers of tau a key is made from, who may contribute, who did, in which
 * order, and what came out.
 *
 * The head never changes; its digest is the ceremony's id, and every contribution is signed over that id, its place, the
 * contribution before it, its own hash and name (which no hash of snarkjs' format covers), the SHA-256 of the key file
 * that it made, whether its member checked that file, and a time. The manifest carries the key's own record of each
 * contribution (an entry of section 10 of snarkjs' `.zkey`), so that the whole chain from the first generator to the last
 * delta can be checked without the large key.
 *
 * What nobody signs: the list of members who were skipped or rejected. It is the coordinator's word.
 *
 * This module knows the manifest alone. That a key, a circuit and powers of tau fit it is checked by `verifyCeremony`.
 *
 * @module
 */
import { AnchorError, throwIfAborted } from "../errors.js";
import { assertHex, concat, fromHex, type Hex, toHex } from "../field/bytes.js";
import { documentDigest } from "../protocol/document.js";
import { digestUnder, hashStruct, readInteger, readObject, type TypeTable } from "../protocol/eip712.js";
import { checkSigner, signDigest } from "../protocol/signature.js";
import {
  type G1Affine,
  keyDigest,
  parseVerifyingKey,
  type SnarkjsVerifyingKey,
  type VerifyingKey,
  verifyingKeyToJson,
} from "../verifier/groth16.js";
import { uint32 } from "./binfile.js";
import {
  type Contribution,
  decodeTranscript,
  encodeTranscript,
  type Transcript,
  verifyTranscript,
} from "./transcript.js";

const FORMAT = "anchorproof/ceremony@1";
const PACKAGE_FORMAT = "anchorproof/contribution@1";
const CODE = "CEREMONY_INVALID";

export const MAX_MEMBERS = 256;
const MAX_EVENTS = 1024;
const MAX_POWER = 28;
/** A record is about 450 bytes and a name of at most 255. */
const MAX_RECORD_BYTES = 1024;
/** Fewer iterations snarkjs refuses; with more, checking a manifest would take minutes. */
export const BEACON_ITERATIONS = { min: 10, max: 24 } as const;
/** In an encoded transcript, the circuit hash and the number of entries. */
const TRANSCRIPT_HEADER_BYTES = 68;

export interface CeremonyHead {
  name: string;
  circuit: {
    /** SHA-256 over the R1CS, see `circuitDigest`. */
    digest: Hex;
    rows: number;
    publicSignals: number;
    /** The key's domain has 2^power elements. */
    power: number;
  };
  powersOfTau: {
    /** SHA-256 over the powers that a circuit of this size uses, see `ptauDigest`. */
    digest: Hex;
    /** The public ceremony's file that they came from, as the coordinator saw it. */
    publicCeremony?: string | undefined;
  };
  /** snarkjs' hash of the key before the first contribution, 64 bytes. */
  circuitHash: Hex;
  /** Who may contribute, each once: accounts in ascending order. */
  members: readonly Hex[];
  /** Contributions that the key needs before it may be finished. */
  minimum: number;
  /** The public source of the closing random value, named before anyone could know it. */
  beacon?: { source: string; iterationsExp: number } | undefined;
  /** Unix seconds. */
  created: bigint;
}

export interface CeremonyContribution {
  member: Hex;
  /** As the key's record has it; empty where that has none. */
  name: string;
  /** snarkjs' contribution hash, 64 bytes. */
  hash: Hex;
  /** Its entry of the key's section 10. */
  record: Hex;
  /** Of the key file that the member made. */
  keySha256: Hex;
  /**
   * The member's word that they checked that key completely, from circuit and powers of tau. Whoever multiplies what they
   * are given unseen can be made to divide a point of another's choice by their secret, which helps to forge.
   */
  checked: boolean;
  /** Unix seconds, by the member's clock. */
  time: bigint;
  signature: Hex;
}

/** Somebody who did not contribute when it was their turn. The coordinator's word: nobody signs it. */
export interface CeremonyEvent {
  kind: "skipped" | "rejected";
  member: Hex;
  /** A stable word: "late", "operator", or what was wrong with the contribution. */
  fault: string;
  reason: string;
  time: bigint;
}

export interface CeremonyBeacon {
  /** What the source gave, 1 to 255 bytes. */
  value: Hex;
  iterationsExp: number;
  source: string;
  hash: Hex;
  record: Hex;
}

export interface CeremonyResult {
  zkeySha256: Hex;
  keyDigest: Hex;
  verifyingKey: VerifyingKey;
  time: bigint;
}

export interface Ceremony {
  head: CeremonyHead;
  contributions: readonly CeremonyContribution[];
  events: readonly CeremonyEvent[];
  /** With `final` only. */
  beacon?: CeremonyBeacon | undefined;
  final?: CeremonyResult | undefined;
}

/** What a member signs to be given the turn. */
export interface TurnRequest {
  time: bigint;
  /** 32 random bytes: a request counts once. */
  nonce: Hex;
}

/**
 * A ceremony belongs to no chain and no contract, so its EIP-712 domain has neither; the salt is the ceremony's id. The
 * contracts' domains are of another type, hence no signature made for one can ever fit the other.
 */
const CEREMONY_DOMAIN: TypeTable = {
  EIP712Domain: [
    { name: "name", type: "string" },
    { name: "version", type: "string" },
    { name: "salt", type: "bytes32" },
  ],
};

export const CEREMONY_TYPES: TypeTable = {
  Contribution: [
    { name: "index", type: "uint32" },
    { name: "previous", type: "bytes" },
    { name: "hash", type: "bytes" },
    { name: "name", type: "string" },
    { name: "keySha256", type: "bytes32" },
    { name: "checked", type: "bool" },
    { name: "time", type: "uint64" },
  ],
  Turn: [
    { name: "time", type: "uint64" },
    { name: "nonce", type: "bytes32" },
  ],
};

/** Contributions below which no ceremony may end unless told: more than a third, which hold one of more than two thirds. */
export function defaultMinimum(members: number): number {
  return Math.floor(members / 3) + 1;
}

/** Names a ceremony: keccak256 over its head. */
export function ceremonyId(head: CeremonyHead): Hex {
  return documentDigest({ format: FORMAT, head: headToJson(head) });
}

/** What comes before the next contribution: the hash of the last one, or of the initial key. */
export function lastHash({ head, contributions }: Pick<Ceremony, "head" | "contributions">): Hex {
  return contributions.at(-1)?.hash ?? head.circuitHash;
}

/** The time that the next contribution must not lie before. */
export function lastTime({ head, contributions }: Pick<Ceremony, "head" | "contributions">): bigint {
  return contributions.at(-1)?.time ?? head.created;
}

export function later(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

/** The digest that the member of contribution number `index` (from 0) signs. */
export function contributionDigest(
  id: Hex,
  index: number,
  previous: Hex,
  {
    hash,
    name,
    keySha256,
    checked,
    time,
  }: Pick<CeremonyContribution, "hash" | "name" | "keySha256" | "checked" | "time">,
): Hex {
  return digestUnder(separator(id), CEREMONY_TYPES, "Contribution", {
    index: BigInt(index),
    previous,
    hash,
    name,
    keySha256,
    checked,
    time,
  });
}

/** Signs what has been added to a key as the ceremony's next contribution. */
export function signContribution(
  ceremony: Pick<Ceremony, "head" | "contributions">,
  contribution: Omit<CeremonyContribution, "signature">,
  secretKey: Hex,
): CeremonyContribution {
  const { head, contributions } = ceremony;
  const digest = contributionDigest(ceremonyId(head), contributions.length, lastHash(ceremony), contribution);
  return { ...contribution, signature: signDigest(secretKey, digest) };
}

export function turnDigest(id: Hex, request: TurnRequest): Hex {
  return digestUnder(separator(id), CEREMONY_TYPES, "Turn", request);
}

function separator(id: Hex): Uint8Array {
  return hashStruct(CEREMONY_DOMAIN, "EIP712Domain", { name: "anchorproof ceremony", version: "1", salt: id });
}

/** The bytes of one entry of section 10. */
export function recordOf(circuitHash: Hex, contribution: Contribution): Hex {
  return toHex(encodeTranscript({ circuitHash, contributions: [contribution] }).subarray(TRANSCRIPT_HEADER_BYTES));
}

/**
 * The key's transcript that a manifest's records make.
 *
 * @throws CEREMONY_INVALID for a record that is not one entry, or not what stands beside it
 */
export function transcriptOf({ head, contributions, beacon }: Omit<Ceremony, "events" | "final">): Transcript {
  const read = (record: Hex, at: string): Contribution => {
    const bytes = fromHex(record, at);
    let entries: Contribution[];
    try {
      entries = decodeTranscript(concat(fromHex(head.circuitHash, "circuit hash", 64), uint32(1), bytes)).contributions;
    } catch (cause) {
      if (!(cause instanceof AnchorError)) throw cause;
      return invalid("record", at, `is no contribution: ${cause.message}`, cause);
    }
    if (recordOf(head.circuitHash, entries[0]!) !== record) invalid("record", at, "is not in canonical form");
    return entries[0]!;
  };
  const entries = contributions.map(({ record, hash, name }, i) => {
    const at = `manifest.contributions[${i}]`;
    const entry = read(record, `${at}.record`);
    if (entry.kind !== "contribution") invalid("beacon", `${at}.record`, "is a beacon, which only ends a ceremony");
    if (entry.hash !== hash) invalid("record", `${at}.hash`, "is not the hash of the record beside it");
    if ((entry.name ?? "") !== name) invalid("record", `${at}.name`, "is not the name in the record beside it");
    return entry;
  });
  if (beacon) {
    const at = "manifest.beacon";
    const entry = read(beacon.record, `${at}.record`);
    if (entry.kind !== "beacon" || !entry.beacon) invalid("beacon", `${at}.record`, "is no beacon");
    // No signature covers a beacon's name, so it has none.
    if (entry.name !== undefined) invalid("beacon", `${at}.record`, "has a name");
    if (entry.hash !== beacon.hash) invalid("record", `${at}.hash`, "is not the hash of the record beside it");
    if (toHex(entry.beacon.hash) !== beacon.value || entry.beacon.iterationsExp !== beacon.iterationsExp) {
      invalid("beacon", at, "is not the one in the record beside it");
    }
    entries.push(entry);
  }
  return { circuitHash: head.circuitHash, contributions: entries };
}

/**
 * Checks everything that a manifest shows by itself: signatures, records, and the chain of contributions from the
 * first generator on. Says nothing of circuit, powers of tau and key.
 *
 * @returns the transcript, and the delta that it ends in
 * @throws CEREMONY_INVALID, CONTRIBUTION_INVALID, ABORTED
 */
export async function checkCeremony(
  ceremony: Ceremony,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<{ id: Hex; transcript: Transcript; delta: G1Affine }> {
  const id = ceremonyId(ceremony.head);
  let previous = ceremony.head.circuitHash;
  for (const [i, contribution] of ceremony.contributions.entries()) {
    throwIfAborted(options.signal);
    checkContributionSignature(id, i, previous, contribution, `manifest.contributions[${i}]`);
    previous = contribution.hash;
  }
  const transcript = transcriptOf(ceremony);
  const { delta } = await verifyTranscript(transcript, {
    signal: options.signal,
    maxIterationsExp: BEACON_ITERATIONS.max,
  });
  return { id, transcript, delta };
}

/** @throws CEREMONY_INVALID */
export function checkContributionSignature(
  id: Hex,
  index: number,
  previous: Hex,
  contribution: CeremonyContribution,
  at: string,
): void {
  const { member, signature } = contribution;
  try {
    checkSigner(contributionDigest(id, index, previous, contribution), signature, member, "member named");
  } catch (cause) {
    const what = `is not ${member}'s over this ceremony, place, predecessor, hash, name, key file and time`;
    invalid("signature", `${at}.signature`, what, cause);
  }
}

export function ceremonyToJson({ head, contributions, events, beacon, final }: Ceremony): Record<string, unknown> {
  return {
    format: FORMAT,
    head: headToJson(head),
    contributions: contributions.map(contributionToJson),
    events: events.map(eventToJson),
    ...(beacon ? { beacon: beaconToJson(beacon) } : {}),
    ...(final ? { final: finalToJson(final) } : {}),
  };
}

export function headToJson({ circuit, powersOfTau, beacon, ...head }: CeremonyHead): Record<string, unknown> {
  return {
    name: head.name,
    circuit: {
      digest: circuit.digest,
      rows: String(circuit.rows),
      publicSignals: String(circuit.publicSignals),
      power: String(circuit.power),
    },
    powersOfTau: {
      digest: powersOfTau.digest,
      ...(powersOfTau.publicCeremony === undefined ? {} : { publicCeremony: powersOfTau.publicCeremony }),
    },
    circuitHash: head.circuitHash,
    members: [...head.members],
    minimum: String(head.minimum),
    ...(beacon ? { beacon: { source: beacon.source, iterationsExp: String(beacon.iterationsExp) } } : {}),
    created: head.created.toString(),
  };
}

export function contributionToJson(contribution: CeremonyContribution): Record<string, unknown> {
  const { member, name, hash, record, keySha256, checked, time, signature } = contribution;
  return { member, name, hash, record, keySha256, checked, time: time.toString(), signature };
}

export function eventToJson({ kind, member, fault, reason, time }: CeremonyEvent): Record<string, unknown> {
  return { kind, member, fault, reason, time: time.toString() };
}

export function beaconToJson({ value, iterationsExp, source, hash, record }: CeremonyBeacon): Record<string, unknown> {
  return { value, iterationsExp: String(iterationsExp), source, hash, record };
}

export function finalToJson({ zkeySha256, keyDigest: digest, verifyingKey, time }: CeremonyResult) {
  return { zkeySha256, keyDigest: digest, verifyingKey: verifyingKeyToJson(verifyingKey), time: time.toString() };
}

/**
 * Reads a manifest: one spelling of everything, and every rule that needs no arithmetic on curves. Read the file with
 * `parseDocument`, so that no key stands twice.
 *
 * @throws CEREMONY_INVALID, FORMAT_UNSUPPORTED
 */
export function ceremonyFromJson(json: unknown): Ceremony {
  const at = "manifest";
  const format = typeof json === "object" && json !== null ? (json as Record<string, unknown>)["format"] : undefined;
  if (typeof format === "string" && format !== FORMAT) {
    throw new AnchorError("FORMAT_UNSUPPORTED", `this is not a ceremony manifest of format ${FORMAT}`);
  }
  const record = object(json, ["format", "head", "contributions", "events"], at, ["beacon", "final"]);
  if (record["format"] !== FORMAT) invalid("schema", `${at}.format`, `must be "${FORMAT}"`);
  const head = headFromJson(record["head"], `${at}.head`);
  const ceremony: Ceremony = {
    head,
    contributions: list(record["contributions"], MAX_MEMBERS, `${at}.contributions`).map((item, i) =>
      contributionFromJson(item, `${at}.contributions[${i}]`),
    ),
    events: list(record["events"], MAX_EVENTS, `${at}.events`).map((item, i) =>
      eventFromJson(item, `${at}.events[${i}]`),
    ),
    ...(Object.hasOwn(record, "beacon") ? { beacon: beaconFromJson(record["beacon"], `${at}.beacon`) } : {}),
    ...(Object.hasOwn(record, "final") ? { final: finalFromJson(record["final"], `${at}.final`) } : {}),
  };
  checkRules(ceremony);
  return ceremony;
}

/** Membership, order, times, beacon and end. @throws CEREMONY_INVALID */
function checkRules({ head, contributions, events, beacon, final }: Ceremony): void {
  const seen = new Set<Hex>();
  let time = head.created;
  for (const [i, contribution] of contributions.entries()) {
    const at = `manifest.contributions[${i}]`;
    checkNext(head, seen, time, contribution, at);
    seen.add(contribution.member);
    time = contribution.time;
  }
  for (const [i, event] of events.entries()) {
    const at = `manifest.events[${i}]`;
    if (!head.members.includes(event.member)) invalid("member", `${at}.member`, "is not a member of this ceremony");
    if (event.time < head.created) invalid("time", `${at}.time`, "lies before the ceremony");
  }
  if (!final) {
    if (beacon) invalid("beacon", "manifest.beacon", "stands in a ceremony that has not ended");
    return;
  }
  if (contributions.length < head.minimum) {
    invalid("minimum", "manifest.final", `stands after ${contributions.length} of ${head.minimum} contributions`);
  }
  if (final.time < time) invalid("time", "manifest.final.time", "lies before the last contribution");
  if (head.beacon) {
    if (!beacon) invalid("beacon", "manifest.final", "stands without the beacon that was announced");
    if (beacon.source !== head.beacon.source || beacon.iterationsExp !== head.beacon.iterationsExp) {
      invalid("beacon", "manifest.beacon", "is not the one that was announced");
    }
  } else if (!beacon && final.zkeySha256 !== contributions.at(-1)!.keySha256) {
    invalid("final", "manifest.final.zkeySha256", "is not that of the last contribution");
  }
}

/**
 * The rules for one more contribution.
 *
 * @param seen who has contributed
 * @param time of the contribution before
 * @throws CEREMONY_INVALID
 */
export function checkNext(
  head: CeremonyHead,
  seen: ReadonlySet<Hex>,
  time: bigint,
  contribution: CeremonyContribution,
  at: string,
): void {
  if (!head.members.includes(contribution.member)) {
    invalid("member", `${at}.member`, "is not a member of this ceremony");
  }
  if (seen.has(contribution.member)) invalid("repeated", `${at}.member`, "has contributed before");
  if (contribution.time < time) invalid("time", `${at}.time`, "lies before what precedes it");
}

/** @throws CEREMONY_INVALID */
export function headFromJson(json: unknown, at: string): CeremonyHead {
  const required = ["name", "circuit", "powersOfTau", "circuitHash", "members", "minimum", "created"];
  const record = object(json, required, at, ["beacon"]);
  const circuit = object(record["circuit"], ["digest", "rows", "publicSignals", "power"], `${at}.circuit`);
  const powers = object(record["powersOfTau"], ["digest"], `${at}.powersOfTau`, ["publicCeremony"]);
  const members = list(record["members"], MAX_MEMBERS, `${at}.members`).map((member, i) =>
    hex(member, `${at}.members[${i}]`, 20),
  );
  if (members.length === 0) invalid("schema", `${at}.members`, "must name somebody");
  members.forEach((member, i) => {
    if (i > 0 && member <= members[i - 1]!) {
      invalid("schema", `${at}.members`, "must stand in ascending order, each once");
    }
  });
  const beacon = Object.hasOwn(record, "beacon")
    ? object(record["beacon"], ["source", "iterationsExp"], `${at}.beacon`)
    : undefined;
  return {
    name: text(record["name"], `${at}.name`, 1, 100),
    circuit: {
      digest: hex(circuit["digest"], `${at}.circuit.digest`, 32),
      rows: number(circuit["rows"], `${at}.circuit.rows`, 0, 2 ** 32 - 1),
      publicSignals: number(circuit["publicSignals"], `${at}.circuit.publicSignals`, 0, 2 ** 32 - 1),
      power: number(circuit["power"], `${at}.circuit.power`, 0, MAX_POWER),
    },
    powersOfTau: {
      digest: hex(powers["digest"], `${at}.powersOfTau.digest`, 32),
      ...(Object.hasOwn(powers, "publicCeremony")
        ? { publicCeremony: text(powers["publicCeremony"], `${at}.powersOfTau.publicCeremony`, 1, 200) }
        : {}),
    },
    circuitHash: hex(record["circuitHash"], `${at}.circuitHash`, 64),
    members,
    minimum: number(record["minimum"], `${at}.minimum`, 1, members.length),
    ...(beacon
      ? {
          beacon: {
            source: text(beacon["source"], `${at}.beacon.source`, 1, 300),
            iterationsExp: iterations(beacon["iterationsExp"], `${at}.beacon.iterationsExp`),
          },
        }
      : {}),
    created: integer(record["created"], 64, `${at}.created`),
  };
}

/** @throws CEREMONY_INVALID */
export function contributionFromJson(json: unknown, at: string): CeremonyContribution {
  const record = object(json, ["member", "name", "hash", "record", "keySha256", "checked", "time", "signature"], at);
  const { checked } = record;
  if (typeof checked !== "boolean") return invalid("schema", `${at}.checked`, "must be true or false");
  return {
    member: hex(record["member"], `${at}.member`, 20),
    name: text(record["name"], `${at}.name`, 0, 64),
    hash: hex(record["hash"], `${at}.hash`, 64),
    record: hex(record["record"], `${at}.record`, undefined, MAX_RECORD_BYTES),
    keySha256: hex(record["keySha256"], `${at}.keySha256`, 32),
    checked,
    time: integer(record["time"], 64, `${at}.time`),
    signature: hex(record["signature"], `${at}.signature`, 65),
  };
}

/** @throws CEREMONY_INVALID */
export function eventFromJson(json: unknown, at: string): CeremonyEvent {
  const record = object(json, ["kind", "member", "fault", "reason", "time"], at);
  const { kind } = record;
  if (kind !== "skipped" && kind !== "rejected")
    return invalid("schema", `${at}.kind`, 'must be "skipped" or "rejected"');
  return {
    kind,
    member: hex(record["member"], `${at}.member`, 20),
    fault: text(record["fault"], `${at}.fault`, 1, 40),
    reason: text(record["reason"], `${at}.reason`, 1, 400),
    time: integer(record["time"], 64, `${at}.time`),
  };
}

/** @throws CEREMONY_INVALID */
export function beaconFromJson(json: unknown, at: string): CeremonyBeacon {
  const record = object(json, ["value", "iterationsExp", "source", "hash", "record"], at);
  return {
    value: hex(record["value"], `${at}.value`, undefined, 255),
    iterationsExp: iterations(record["iterationsExp"], `${at}.iterationsExp`),
    source: text(record["source"], `${at}.source`, 1, 300),
    hash: hex(record["hash"], `${at}.hash`, 64),
    record: hex(record["record"], `${at}.record`, undefined, MAX_RECORD_BYTES),
  };
}

/** @throws CEREMONY_INVALID */
export function finalFromJson(json: unknown, at: string): CeremonyResult {
  const record = object(json, ["zkeySha256", "keyDigest", "verifyingKey", "time"], at);
  let verifyingKey: VerifyingKey;
  try {
    verifyingKey = parseVerifyingKey(record["verifyingKey"]);
  } catch (cause) {
    return invalid("key", `${at}.verifyingKey`, `cannot be read: ${(cause as Error).message}`, cause);
  }
  const canonical = verifyingKeyToJson(verifyingKey);
  if (documentDigest(record["verifyingKey"]) !== documentDigest(canonical satisfies SnarkjsVerifyingKey)) {
    invalid("key", `${at}.verifyingKey`, "is not in canonical form");
  }
  const digest = hex(record["keyDigest"], `${at}.keyDigest`, 32);
  if (keyDigest(verifyingKey) !== digest) invalid("key", `${at}.keyDigest`, "is not that of the key beside it");
  return {
    zkeySha256: hex(record["zkeySha256"], `${at}.zkeySha256`, 32),
    keyDigest: digest,
    verifyingKey,
    time: integer(record["time"], 64, `${at}.time`),
  };
}

/** What a member hands in beside the key file. */
export interface ContributionPackage {
  ceremony: Hex;
  /** How many contributions were there before it. */
  index: number;
  contribution: CeremonyContribution;
}

export function packageToJson({ ceremony, index, contribution }: ContributionPackage): Record<string, unknown> {
  return {
    format: PACKAGE_FORMAT,
    ceremony,
    index: String(index),
    contribution: contributionToJson(contribution),
  };
}

/** @throws CEREMONY_INVALID, FORMAT_UNSUPPORTED */
export function packageFromJson(json: unknown): ContributionPackage {
  const at = "contribution";
  const record = object(json, ["format", "ceremony", "index", "contribution"], at);
  if (record["format"] !== PACKAGE_FORMAT) {
    throw new AnchorError("FORMAT_UNSUPPORTED", `this is not a contribution of format ${PACKAGE_FORMAT}`);
  }
  return {
    ceremony: hex(record["ceremony"], `${at}.ceremony`, 32),
    index: number(record["index"], `${at}.index`, 0, MAX_MEMBERS),
    contribution: contributionFromJson(record["contribution"], at),
  };
}

/** Throws CEREMONY_INVALID; `fault` is a stable word for what is wrong. */
export function invalid(fault: string, path: string, reason: string, cause?: unknown): never {
  throw new AnchorError(CODE, `${path} ${reason}`, { details: { fault, path }, cause });
}

function object(json: unknown, keys: readonly string[], at: string, optional: readonly string[] = []) {
  return ofSchema(() => readObject(json, keys, CODE, at, optional));
}

function integer(value: unknown, bits: number, at: string): bigint {
  return ofSchema(() => readInteger(value, bits, CODE, at));
}

/** The readers of typed data know no faults. */
function ofSchema<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof AnchorError)) throw error;
    throw new AnchorError(error.code, error.message, { details: { ...error.details, fault: "schema" } });
  }
}

function list(json: unknown, most: number, at: string): unknown[] {
  if (!Array.isArray(json) || json.length > most) invalid("schema", at, `must be an array of at most ${most} entries`);
  return Array.from(json as unknown[]); // holes become undefined, which nothing accepts
}

function hex(value: unknown, at: string, length?: number, most = Number.POSITIVE_INFINITY): Hex {
  try {
    assertHex(value, at, length);
  } catch {
    return invalid("schema", at, `must be ${length ?? "some"} bytes of lower-case 0x-hex`);
  }
  if (value.length < 4 || value.length > 2 + 2 * most) invalid("schema", at, `must have 1 to ${most} bytes`);
  return value;
}

/** Text that a person reads: without control characters, which could rewrite what a terminal or a report shows. */
export function text(value: unknown, at: string, least: number, most: number): string {
  if (typeof value !== "string" || value.length < least || value.length > most) {
    return invalid("schema", at, `must be a text of ${least} to ${most} characters`);
  }
  if (/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(value)) invalid("schema", at, "must not have control characters");
  return value;
}

function number(value: unknown, at: string, least: number, most: number): number {
  const read = integer(value, 53, at);
  if (read < BigInt(least) || read > BigInt(most)) invalid("schema", at, `must lie between ${least} and ${most}`);
  return Number(read);
}

function iterations(value: unknown, at: string): number {
  return number(value, at, BEACON_ITERATIONS.min, BEACON_ITERATIONS.max);
}
