/**
 * Evidence out of the JSON that services and tools wrap it in.
 *
 * Not one reader a service: they all put the same pieces under a few names, and change the rest between releases. So an
 * object is read by its names (a CPU's evidence, devices, tokens, a log, certificates, collateral), whatever lies around
 * it. Several machines in one answer stay apart.
 *
 * @module
 */
import { AnchorError } from "../../errors.js";
import { toHex, utf8 } from "../../field/bytes.js";
import { counted } from "../../text.js";
import type { EventLog, Evidence, NrasEvidence, NvidiaEvidence } from "../evidence.js";
import { COMPOSITE_FORMAT, EVIDENCE_FORMAT, evidenceFromJson } from "../evidenceJson.js";
import { isQvlCollateral, qvlCollateral } from "../import/qvl.js";
import { bytesOf, certificatesOf, textOf } from "./encoding.js";
import { isEmpty, mergeParts, noParts, type Parts } from "./parts.js";

/** Reads what a value unwraps to: {@link partsOfValue} with the readers of text and bytes, which need it in turn. */
export type Unwrap = (value: unknown, depth: number) => Parts[];

type Fields = Record<string, unknown>;

/** Evidence of a CPU, or what wraps it; the first that turns out to be evidence counts. */
const CPU = [
  ["intel_quote", "tdx_quote", "sgx_quote", "td_quote", "tdxQuote", "intelQuote", "raw_quote", "quote_hex", "quote"],
  ["snp_report", "attestation_report", "attestationReport", "sev_snp_report"],
  ["attestation_document", "attestation_doc", "attestationDocument", "nitro_document", "nsm_quote", "document"],
  ["cca_token", "token", "cpu", "attestation", "evidence", "report", "tee_evidence", "primary_evidence"],
  ["data", "result", "response", "body", "payload", "outblob"],
].flat();

const DEVICES = [
  ["nvidia_payload", "gpu_evidence", "gpu_evidences", "gpu_evidence_list", "evidence_list", "device_evidence_list"],
  ["evidences", "gpu", "gpus", "nvswitch", "nvswitches", "switches", "switch_evidence", "nvidia_evidence", "devices"],
  ["nvidia", "additional_evidence"],
].flat();

const TOKENS = ["nras", "nras_response", "nvidia_token", "gpu_token", "nras_token", "eat", "detached_eat"];

const LOGS = ["event_log", "eventlog", "eventLog", "cc_eventlog", "cc_event_log", "ccel", "tdx_event_log"];

const CERTIFICATES = [
  ["vcek", "vlek", "vek", "ask", "asvk", "ark", "cert_chain", "certChain", "certificates", "certificate_chain"],
  ["cert_table", "auxblob", "certs"],
].flat();

const COLLATERAL = ["collateral", "quote_collateral", "quoteCollateral", "tdx_collateral", "sgx_collateral"];

/** Lists of whole machines. */
const MACHINES = ["gateway_attestation", "all_attestations", "model_attestations", "instances", "nodes"];

/** Short texts that bindings are made of. */
const HINTS = [
  ["signing_address", "signing_public_key", "signing_key", "signing_algo", "tls_cert_fingerprint", "tls_key_fp"],
  ["hpke_key", "e2e_pubkey", "gpu_evidence_hash", "nvswitch_hash", "vm_config", "app_compose", "instance_id", "app_id"],
  ["model_name", "model", "report_data_payload", "compose_hash", "platform"],
].flat();

/** Most members of one object or list that are looked at. */
const MAX_ITEMS = 100_000;

/** Nothing where a value holds no evidence. */
export function partsOfJson(value: unknown, depth: number, unwrap: Unwrap): Parts[] {
  if (Array.isArray(value)) return partsOfArray(value, depth, unwrap);
  if (typeof value !== "object" || value === null) return [];
  return partsOfObject(value as Fields, depth, unwrap);
}

function partsOfArray(value: readonly unknown[], depth: number, unwrap: Unwrap): Parts[] {
  if (value.length === 0 || value.length > MAX_ITEMS) return [];
  const token = nrasOf(value);
  if (token) return [{ ...noParts(), tokens: [token], how: [describeToken(token)] }];
  const log = logOf(value);
  if (log) return [{ ...noParts(), eventLog: log, how: ["dstack event log"] }];
  const bytes = bytesOf(value);
  if (bytes) return unwrap(bytes, depth + 1);
  // Strings and numbers of a list are no machines.
  const all = value.flatMap((item) => (typeof item === "object" ? unwrap(item, depth + 1) : []));
  return group(all);
}

/** Machines stay apart; what belongs to none of several is put together, as devices of one machine are listed. */
function group(all: readonly Parts[]): Parts[] {
  const machines = all.filter(({ cpu }) => cpu !== undefined);
  const rest = all.filter(({ cpu }) => cpu === undefined);
  if (rest.length === 0) return [...machines];
  if (machines.length > 1) return [...machines];
  return [mergeParts([...machines, ...rest])];
}

function partsOfObject(object: Fields, depth: number, unwrap: Unwrap): Parts[] {
  if (object["format"] === EVIDENCE_FORMAT || object["format"] === COMPOSITE_FORMAT) return [partsOfOwn(object)];
  const named = (names: readonly string[]) => names.filter((name) => given(object, name));
  if (isQvlCollateral(object)) {
    return [{ ...noParts(), collateral: { intel: [qvlCollateral(object)] }, how: ["DCAP collateral"] }];
  }
  const token = nrasOf(object);
  if (token) return [{ ...noParts(), tokens: [token], how: [describeToken(token)] }];
  const device = deviceOf(object);
  if (device) return [{ ...noParts(), devices: [device], hints: hintsOf(object), how: ["NVIDIA device evidence"] }];

  const others = named(MACHINES).flatMap((name) => inside(name, unwrap(asList(object[name]), depth + 1)));
  const own = ownParts(object, depth, unwrap, named);
  const machines = distinct([...own, ...others.filter(({ cpu }) => cpu !== undefined)]);
  if (machines.length > 0) return machines;
  return group(others);
}

/** What the object itself holds: one machine, or several where one of its members is a list of them. */
function ownParts(
  object: Fields,
  depth: number,
  unwrap: Unwrap,
  named: (names: readonly string[]) => string[],
): Parts[] {
  const vtpm = vtpmOf(object);
  let machines: Parts[] = vtpm ? [{ ...noParts(), cpu: vtpm, how: ["Azure vTPM evidence"] }] : [];
  const loose: Parts[] = [];
  if (!vtpm) {
    for (const name of named(CPU)) {
      const found = inside(name, unwrap(object[name], depth + 1));
      const withCpu = found.filter(({ cpu }) => cpu !== undefined);
      loose.push(...found.filter(({ cpu, certificates }) => cpu === undefined && certificates.length === 0));
      if (withCpu.length === 0) continue;
      machines = withCpu;
      break;
    }
  }
  if (machines.length > 1) return machines;
  const certificates = named(CERTIFICATES).flatMap((name) => certificatesOf(object[name]));
  const devices = named([...DEVICES, ...TOKENS]).flatMap((name) => inside(name, unwrap(object[name], depth + 1)));
  const eventLog = machines[0]?.eventLog ?? firstLog(object);
  const collateral = named(COLLATERAL).flatMap((name) => {
    const found = collateralOf(object[name]);
    return found ? [{ ...noParts(), collateral: found, how: [`DCAP collateral in "${name}"`] }] : [];
  });
  const beside: Parts = {
    ...noParts(),
    ...(eventLog ? { eventLog } : {}),
    hints: hintsOf(object),
    how: eventLog && !machines[0]?.eventLog ? [`${eventLog.format} event log`] : [],
  };
  const pieces = [...machines, ...devices.filter(({ cpu }) => cpu === undefined), ...loose, beside, ...collateral];
  const merged = mergeParts(pieces);
  // What the object says of itself goes before what its parts say.
  const { fields, ...hints } = beside.hints;
  merged.hints = { ...merged.hints, ...hints, fields: { ...merged.hints.fields, ...fields } };
  if (merged.cpu && (merged.cpu.kind === "snp" || merged.cpu.kind === "azure-vtpm") && certificates.length > 0) {
    const { certificates: has = [] } = merged.cpu;
    merged.cpu = { ...merged.cpu, certificates: [...has, ...certificates] };
  }
  return isEmpty(merged) ? [] : [merged];
}

/** Our own files are read strictly, and nothing is taken from around them. */
function partsOfOwn(object: Fields): Parts {
  const own = evidenceFromJson(object);
  if ("kind" in own) {
    const how = [`${EVIDENCE_FORMAT}, ${own.kind}`];
    if (own.kind === "nvidia") return { ...noParts(), devices: [own], how };
    if (own.kind === "nras") return { ...noParts(), tokens: [own], how };
    return { ...noParts(), cpu: own, how };
  }
  const { cpu, devices, tokens, eventLog } = own;
  const parts = { ...noParts(), devices: [...devices], tokens: [...tokens], how: [COMPOSITE_FORMAT] };
  return { ...parts, cpu, ...(eventLog ? { eventLog } : {}) };
}

function inside(name: string, parts: readonly Parts[]): Parts[] {
  return parts.map((each) => ({ ...each, how: [`"${name}"`, ...each.how] }));
}

function asList(value: unknown): unknown {
  return Array.isArray(value) ? value : [value];
}

/** Some answers hold a machine twice: at the top, and in a list of all. */
function distinct(machines: readonly Parts[]): Parts[] {
  const seen = new Set<string>();
  return machines.filter(({ cpu, devices }) => {
    const key = `${identity(cpu)} ${devices.map(({ report }) => toHex(report)).join()}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

function identity(cpu: Evidence | undefined): string {
  if (cpu === undefined) return "";
  const bytes =
    cpu.kind === "intel"
      ? cpu.quote
      : cpu.kind === "snp"
        ? cpu.report
        : cpu.kind === "nitro"
          ? cpu.document
          : undefined;
  return bytes ? toHex(bytes) : JSON.stringify(cpu, (_, item) => (item instanceof Uint8Array ? toHex(item) : item));
}

/** CoCo's evidence of Azure's confidential machines, versions 0 (arrays of numbers) to 2. */
function vtpmOf(object: Fields): Evidence | undefined {
  const tpm = objectOf(object["tpm_quote"] ?? object["quote"]);
  const hclReport = bytesOf(object["hcl_report"] ?? object["hclReport"] ?? object["report"]);
  if (!tpm || !hclReport || textOf(hclReport.subarray(0, 4)) !== "HCLA") return undefined;
  const message = bytesOf(tpm["message"]);
  const signature = bytesOf(tpm["signature"]);
  const pcrs = (Array.isArray(tpm["pcrs"]) ? tpm["pcrs"] : []).map(bytesOf);
  if (!message || !signature || pcrs.length === 0 || pcrs.some((pcr) => pcr === undefined)) {
    throw new AnchorError("EVIDENCE_MALFORMED", "Azure's TPM quote lacks its message, signature or PCRs");
  }
  const quote = bytesOf(object["td_quote"] ?? object["tdQuote"]);
  return {
    kind: "azure-vtpm",
    hclReport,
    message,
    signature,
    pcrs: pcrs as Uint8Array[],
    ...(quote ? { quote } : {}),
  };
}

const DEVICE_REPORTS = ["evidence", "attestationReportHexStr", "attestation_report", "report", "spdm", "spdm_report"];
const DEVICE_CHAINS = [
  ["certificate", "certChainBase64Encoded", "cert_chain", "certChain", "certificate_chain", "certificates", "certs"],
].flat();

/** One entry of the lists that NVIDIA's tools write. */
function deviceOf(object: Fields): NvidiaEvidence | undefined {
  for (const name of DEVICE_REPORTS) {
    const report = given(object, name) ? bytesOf(object[name]) : undefined;
    if (report?.[0] !== 0x11 || report[1] !== 0xe0) continue;
    const chain = DEVICE_CHAINS.find((each) => given(object, each));
    return { kind: "nvidia", report, certificates: chain === undefined ? [] : certificatesOf(object[chain]) };
  }
  return undefined;
}

const JWS = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$/;

export function isJws(value: unknown): value is string {
  return typeof value === "string" && value.length < 1_000_000 && value.startsWith("eyJ") && JWS.test(value);
}

/** `["JWT", token]`, or the bare token. */
function jwsOf(value: unknown): string | undefined {
  if (isJws(value)) return value;
  return Array.isArray(value) && value.length === 2 && value[0] === "JWT" && isJws(value[1]) ? value[1] : undefined;
}

/**
 * `[["JWT", overall], {"GPU-0": token, …}]`, the same in one list more, and inside the token of NVIDIA's local tool, whose
 * own outer token is signed by nobody.
 */
function nrasOf(value: unknown, depth = 0): NrasEvidence | undefined {
  if (depth > 4) return undefined;
  if (!Array.isArray(value)) {
    const object = objectOf(value);
    const remote = object?.["REMOTE_GPU_CLAIMS"] ?? object?.["REMOTE_NVSWITCH_CLAIMS"];
    return remote === undefined ? undefined : nrasOf(remote, depth + 1);
  }
  if (value.length === 1) return nrasOf(value[0], depth + 1);
  if (value.length !== 2 || !Array.isArray(value[0])) return undefined;
  const submodules = objectOf(value[1]);
  const overall = jwsOf(value[0]);
  if (!submodules) return undefined;
  const nested = nrasOf(submodules, depth + 1);
  if (nested) return nested;
  if (overall === undefined) return undefined;
  const devices = Object.entries(submodules).map(([name, token]) => [name, jwsOf(token)] as const);
  if (devices.some(([, token]) => token === undefined)) return undefined;
  return { kind: "nras", overall, devices: Object.fromEntries(devices) as Record<string, string> };
}

function describeToken({ devices }: NrasEvidence): string {
  return `tokens of NVIDIA's attestation service for ${counted(Object.keys(devices).length, "device")}`;
}

/** At the top, or in what dstack's agent says of itself. */
function firstLog(object: Fields): EventLog | undefined {
  for (const name of LOGS) {
    const log = given(object, name) ? logOf(object[name]) : undefined;
    if (log) return log;
  }
  const info = objectOf(object["info"]) ?? object;
  const tcb = objectOf(jsonOf(info["tcb_info"]));
  return tcb && given(tcb, "event_log") ? logOf(tcb["event_log"]) : undefined;
}

function logOf(value: unknown): EventLog | undefined {
  if (Array.isArray(value)) {
    const events = value.length > 0 && value.every(isEvent);
    return events ? { format: "dstack", log: utf8(JSON.stringify(value)) } : undefined;
  }
  if (typeof value === "string" && value.trimStart().startsWith("[")) {
    const events = jsonOf(value);
    const found = Array.isArray(events) && events.length > 0 && events.every(isEvent);
    return found ? { format: "dstack", log: utf8(value) } : undefined;
  }
  const bytes = bytesOf(value);
  if (!bytes) return undefined;
  const text = textOf(bytes);
  if (text?.trimStart().startsWith("[") && text !== value) return logOf(text);
  const ccel = bytes.length > 48 && textOf(bytes.subarray(32, 47)) === "Spec ID Event03";
  return ccel ? { format: "ccel", log: bytes } : undefined;
}

function isEvent(value: unknown): boolean {
  const event = objectOf(value);
  return event !== undefined && typeof event["imr"] === "number" && "digest" in event;
}

function collateralOf(value: unknown): Parts["collateral"] {
  const object = objectOf(jsonOf(value));
  return object && isQvlCollateral(object) ? { intel: [qvlCollateral(object)] } : undefined;
}

function hintsOf(object: Fields): Parts["hints"] {
  const hints: Parts["hints"] = { fields: {} };
  const nested = objectOf(object["report_data"]) ?? {};
  const info = objectOf(object["info"]) ?? {};
  const tcb = objectOf(jsonOf(info["tcb_info"])) ?? {};
  for (const name of HINTS) {
    const found = [object, nested, info, tcb].map((from) => from[name]).find((each) => typeof each === "string");
    if (typeof found === "string") hints.fields[name] = found;
  }
  const nonce = [object["request_nonce"], object["nonce"], nested["nonce"]]
    .map(hexOf)
    .find((each) => each !== undefined);
  if (nonce) hints.nonce = toHex(nonce);
  const reportData = hexOf(object["report_data"]);
  if (reportData) hints.reportData = toHex(reportData);
  const signer = hints.fields["signing_address"] ?? hints.fields["signing_public_key"];
  if (signer !== undefined) hints.signingAddress = signer;
  return hints;
}

/** Hints are hex everywhere; base64 of the same length would be read as something else. */
function hexOf(value: unknown): Uint8Array | undefined {
  if (typeof value !== "string" || !/^(?:0x)?(?:[0-9a-fA-F]{2}){8,64}$/.test(value)) return undefined;
  return bytesOf(value);
}

/** A text that is JSON as what it holds; everything else as it is. */
export function jsonOf(value: unknown): unknown {
  if (typeof value !== "string" || !/^\s*[[{"]/.test(value)) return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

function objectOf(value: unknown): Fields | undefined {
  const plain = typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
  return plain ? (value as Fields) : undefined;
}

function given(object: Fields, name: string): boolean {
  return Object.hasOwn(object, name) && object[name] !== null && object[name] !== undefined;
}

/**
 * Last resort, for wrappings not met before: every text of a document that is evidence of a CPU or of a device by its
 * first bytes. Nested documents are looked into as far as the budget goes.
 */
export function searchJson(value: unknown, unwrapText: (text: string) => Parts[]): Parts[] {
  const found: Parts[] = [];
  const waiting: { value: unknown; path: string; depth: number }[] = [{ value, path: "", depth: 0 }];
  for (let next = 0; next < waiting.length && next < MAX_ITEMS; next++) {
    const { value: item, path, depth } = waiting[next]!;
    if (typeof item === "string") {
      // Shorter texts hold no evidence.
      if (item.length >= 400)
        found.push(...unwrapText(item).map((each) => ({ ...each, how: [`at ${path}`, ...each.how] })));
    } else if (typeof item === "object" && item !== null && depth < 32) {
      // What would lie behind the last that is looked at is not even listed.
      const room = Math.max(0, MAX_ITEMS - waiting.length);
      const names = Array.isArray(item) ? item.slice(0, room).keys() : Object.keys(item).slice(0, room);
      for (const name of names) {
        const inner = (item as Record<string | number, unknown>)[name];
        waiting.push({ value: inner, path: `${path}/${String(name).slice(0, 64)}`, depth: depth + 1 });
      }
    }
  }
  return group(distinct(found.filter((each) => each.cpu || each.devices.length > 0 || each.tokens.length > 0)));
}
