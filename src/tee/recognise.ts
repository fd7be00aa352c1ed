/**
 * Evidence of any family out of whatever it comes in: raw bytes, hex, base64, PEM, JSON of many services, our own files.
 *
 * Friendly about the wrapping, which is signed by nobody; strict about what is inside, which the families' parsers read.
 * What stood beside the evidence comes along as hints and collateral, and nothing of it is believed for that.
 *
 * @module
 */
import { AnchorError, toAnchorError } from "../errors.js";
import { parseDocument } from "../protocol/document.js";
import { counted } from "../text.js";
import type { Collateral } from "./collateral.js";
import type { Composite, EventLog, Evidence } from "./evidence.js";
import { COMPOSITE_FORMAT, EVIDENCE_FORMAT } from "./evidenceJson.js";
import { readJson } from "./read/json.js";
import { partsOfBytes } from "./wrapping/binary.js";
import { isDstackMessagePack, isDstackScale, readDstackMessagePack, readDstackScale } from "./wrapping/dstack.js";
import { certificatesOf, fromBase64Text, fromHexText, isCertificate, pemBlocks, textOf } from "./wrapping/encoding.js";
import { isJws, partsOfJson, searchJson } from "./wrapping/json.js";
import { type Hints, isEmpty, mergeParts, noParts, type Parts } from "./wrapping/parts.js";

export type { Hints, Parts } from "./wrapping/parts.js";

export interface Recognised {
  /** One piece of evidence: the CPU's, or the only one there is. */
  evidence?: Evidence;
  /** Where something lies beside a CPU's evidence that belongs to the machine: devices, tokens, an event log. */
  composite?: Composite;
  /** By itself, or as in `composite`. */
  eventLog?: EventLog;
  /** What came along. It is as good as any: all of it is authenticated when it is used. */
  collateral?: Collateral;
  hints: Hints;
  /** What was unwrapped, from the outside in. */
  how: string[];
}

/** Larger than any recorded answer by far. */
const MAX_INPUT = 32 * 1024 * 1024;
const JSON_LIMITS = { code: "EVIDENCE_UNKNOWN", what: "the JSON", maxLength: MAX_INPUT, maxDepth: 64 } as const;
/** In JSON that is parsed already, each as often as it can be come by: a graph may be small and have no end. */
const MAX_VALUES = 1_000_000;
/** Wrappings in wrappings. */
const MAX_DEPTH = 12;

const LOOKED_FOR =
  "SGX and TDX quotes, SNP reports, Nitro documents, NVIDIA SPDM evidence and tokens, Azure vTPM evidence and CCA tokens, " +
  "raw, in hex, base64 or PEM, in the JSON of dstack, CoCo, NVIDIA and inference services, and anchorproof's own files";

/**
 * The evidence in one file or message.
 *
 * @param input bytes, text, or JSON that is parsed already
 * @throws EVIDENCE_UNKNOWN, also where there is evidence of several machines: {@link readMachines} takes them apart;
 *   EVIDENCE_MALFORMED for a wrapping that is clearly of a known kind, and damaged; INPUT_TOO_LARGE
 */
export function readEvidence(input: unknown): Recognised {
  const machines = readMachines(input);
  if (machines.length > 1) {
    throw new AnchorError("EVIDENCE_UNKNOWN", `here is evidence of ${machines.length} machines, where one is wanted`);
  }
  return machines[0]!;
}

/** As {@link readEvidence}, for files that hold evidence of several machines, as answers of inference services do. */
export function readMachines(input: unknown): Recognised[] {
  return combine([readParts(input)]);
}

/**
 * Pieces of several files that are one machine's: a quote and devices, a report and the chain of its certificate. Without
 * a CPU's evidence among them, each device and token stands for itself.
 *
 * @throws EVIDENCE_UNKNOWN where they are of several machines, or no evidence at all
 */
export function combine(files: readonly (readonly Parts[])[]): Recognised[] {
  const several = files.findIndex((parts) => parts.length > 1);
  if (several >= 0 && files.length > 1) {
    throw new AnchorError(
      "EVIDENCE_UNKNOWN",
      `file ${several + 1} holds evidence of ${files[several]!.length} machines, and cannot be put together with others`,
    );
  }
  const all = files.flat();
  const cpus = all.filter(({ cpu }) => cpu !== undefined);
  if (several < 0 && cpus.length > 1) {
    throw new AnchorError("EVIDENCE_UNKNOWN", `here are ${cpus.length} CPUs' evidence, where one machine's is wanted`);
  }
  const machines = several >= 0 ? all.flatMap(recognised) : recognised(mergeParts(withChains(all)));
  if (machines.length === 0) throw unknown();
  return machines;
}

/**
 * The pieces in one file, machine by machine. Certificates by themselves count, since another file may need them.
 *
 * @throws as {@link readEvidence}
 */
export function readParts(input: unknown): Parts[] {
  const size = typeof input === "string" || input instanceof Uint8Array ? input.length : 0;
  if (size > MAX_INPUT) throw new AnchorError("INPUT_TOO_LARGE", "evidence of more than 32 MB is not read");
  if (size === 0) requireBounded(input);
  const found = unwrap(input, 0).filter((parts) => !isEmpty(parts));
  if (found.length > 0) return found;
  const json = typeof input === "string" ? jsonText(input) : input instanceof Uint8Array ? jsonBytes(input) : input;
  const searched = typeof json === "object" && json !== null ? searchJson(json, (text) => unwrapText(text, 1)) : [];
  if (searched.length === 0) throw unknown(input);
  return searched;
}

/** @throws INPUT_TOO_LARGE */
function requireBounded(input: unknown): void {
  const waiting = [input];
  for (let values = 0; waiting.length > 0; values++) {
    if (values + waiting.length > MAX_VALUES) {
      throw new AnchorError("INPUT_TOO_LARGE", `evidence of more than ${MAX_VALUES} JSON values is not read`);
    }
    const item = waiting.pop();
    if (typeof item !== "object" || item === null || item instanceof Uint8Array) continue;
    for (const inner of Object.values(item)) waiting.push(inner);
  }
}

/** Where there are as many chains in files of their own as there is evidence without one, each goes to its own, in order. */
function withChains(all: readonly Parts[]): readonly Parts[] {
  const lacks = ({ cpu, devices, certificates }: Parts) =>
    certificates.length === 0 &&
    (devices.length === 1
      ? !cpu && devices[0]!.certificates.length === 0
      : devices.length === 0 && (cpu?.kind === "snp" || cpu?.kind === "azure-vtpm") && !cpu.certificates?.length);
  const isChain = ({ cpu, devices, tokens, certificates }: Parts) =>
    certificates.length > 0 && !cpu && devices.length + tokens.length === 0;
  const chains = all.filter(isChain);
  if (chains.length < 2 || all.filter(lacks).length !== chains.length) return all;
  let next = 0;
  return all.map((parts) => {
    if (isChain(parts)) return { ...parts, certificates: [] };
    if (!lacks(parts)) return parts;
    const { certificates } = chains[next++]!;
    const { cpu } = parts;
    if (cpu?.kind === "snp" || cpu?.kind === "azure-vtpm") return { ...parts, cpu: { ...cpu, certificates } };
    return { ...parts, devices: parts.devices.map((device) => ({ ...device, certificates })) };
  });
}

function recognised(parts: Parts): Recognised[] {
  const { eventLog, tokens, collateral, hints, how, certificates } = parts;
  let { cpu, devices } = parts;
  // Certificates of another file go to whom they are missing.
  if (certificates.length > 0) {
    const bare = devices.findIndex((device) => device.certificates.length === 0);
    if (bare >= 0) devices = devices.map((device, i) => (i === bare ? { ...device, certificates } : device));
    else if (cpu?.kind === "snp" || cpu?.kind === "azure-vtpm") {
      cpu = { ...cpu, certificates: [...(cpu.certificates ?? []), ...certificates] };
    }
  }
  const common = { hints, how, ...(collateral ? { collateral } : {}) };
  const log = eventLog ? { eventLog } : {};
  if (!cpu) {
    const loose: Evidence[] = [...devices, ...tokens];
    if (loose.length === 0) return eventLog ? [{ ...common, ...log }] : [];
    const ofAll = (i: number) => (loose.length > 1 ? [...how.slice(0, 8), `${i + 1} of ${loose.length}`] : how);
    return loose.map((evidence, i) => ({ evidence, ...common, ...log, how: ofAll(i) }));
  }
  if (devices.length + tokens.length === 0 && !eventLog) return [{ evidence: cpu, ...common }];
  return [{ evidence: cpu, composite: { cpu, devices, tokens, ...log }, ...log, ...common }];
}

function unwrap(value: unknown, depth: number): Parts[] {
  if (depth > MAX_DEPTH) return [];
  if (value instanceof Uint8Array) return unwrapBytes(value, depth);
  if (typeof value === "string") return unwrapText(value, depth);
  return partsOfJson(value, depth, unwrap);
}

function unwrapBytes(bytes: Uint8Array, depth: number): Parts[] {
  if (isDstackScale(bytes)) return [readDstackScale(bytes)];
  if (isDstackMessagePack(bytes)) return [readDstackMessagePack(bytes)];
  const parts = partsOfBytes(bytes);
  if (parts) return [parts];
  const text = textOf(bytes);
  return text === undefined ? [] : unwrapText(text, depth + 1);
}

function unwrapText(source: string, depth: number): Parts[] {
  if (depth > MAX_DEPTH) return [];
  const text = source.trim();
  if (text === "") return [];
  const json = jsonText(text);
  if (json !== undefined) return unwrap(json, depth + 1);
  if (text.includes("-----BEGIN ")) return unwrapPem(text, depth);
  if (isJws(text)) {
    const tokens = [{ kind: "nras", overall: text, devices: {} } as const];
    return [{ ...noParts(), tokens, how: ["a token, taken for one of NVIDIA's attestation service"] }];
  }
  for (const [spelling, decode] of [["hex", fromHexText] as const, ["base64", fromBase64Text] as const]) {
    const bytes = decode(text);
    const found = bytes ? unwrap(bytes, depth + 1).filter((parts) => !isEmpty(parts)) : [];
    if (found.length > 0) return found.map((parts) => ({ ...parts, how: [spelling, ...parts.how] }));
  }
  return [];
}

function unwrapPem(text: string, depth: number): Parts[] {
  const blocks = pemBlocks(text);
  const certificates = certificatesOf(text).filter(isCertificate);
  const others = blocks.filter(({ label }) => label !== "CERTIFICATE");
  const found = others.flatMap(({ label, bytes }) =>
    unwrap(bytes, depth + 1).map((parts) => ({ ...parts, how: [`PEM "${label}"`, ...parts.how] })),
  );
  if (certificates.length === 0) return found;
  return [...found, { ...noParts(), certificates, how: [`${counted(certificates.length, "certificate")} in PEM`] }];
}

/** `undefined` for a text that is no JSON; ours is read more strictly than others'. */
function jsonText(source: string): unknown {
  const text = source.replace(/^\ufeff/, "").trim();
  if (!/^[[{"]/.test(text)) return undefined;
  let value: unknown;
  try {
    value = readJson(text, JSON_LIMITS);
  } catch {
    return undefined;
  }
  const format = typeof value === "object" && value !== null && "format" in value ? value.format : undefined;
  return format === EVIDENCE_FORMAT || format === COMPOSITE_FORMAT ? parseDocument(text) : value;
}

function jsonBytes(bytes: Uint8Array): unknown {
  const text = textOf(bytes);
  return text === undefined ? undefined : jsonText(text);
}

function unknown(input?: unknown): AnchorError {
  const text = input instanceof Uint8Array ? textOf(input) : typeof input === "string" ? input : undefined;
  if (text !== undefined && /^\s*[[{]/.test(text)) {
    try {
      readJson(text.trim(), JSON_LIMITS);
    } catch (error) {
      return toAnchorError(error, "EVIDENCE_UNKNOWN", "the JSON cannot be read");
    }
  }
  const gzip = input instanceof Uint8Array && input[0] === 0x1f && input[1] === 0x8b;
  if (input instanceof Uint8Array && input.length === 0) return new AnchorError("EVIDENCE_UNKNOWN", "this is empty");
  const reason = gzip
    ? "this is compressed by gzip: unpack it first"
    : "this is no attestation evidence that is known here";
  return new AnchorError("EVIDENCE_UNKNOWN", `${reason}; looked for ${LOOKED_FOR}`);
}
