/**
 * Evidence as a file of our own: one piece (`anchorproof/tee-evidence@1`), or a machine's pieces as one
 * (`anchorproof/tee-composite@1`). Bytes are base64; read strictly, so that one text means one thing.
 *
 * @module
 */
import { AnchorError } from "../errors.js";
import { readObject } from "../protocol/eip712.js";
import type { Composite, EventLog, Evidence, NrasEvidence, NvidiaEvidence } from "./evidence.js";
import { base64, fromBase64 } from "./read/base64.js";

export const EVIDENCE_FORMAT = "anchorproof/tee-evidence@1";
export const COMPOSITE_FORMAT = "anchorproof/tee-composite@1";

const CODE = "EVIDENCE_MALFORMED";

/** Most devices, tokens and certificates of a list: a machine has eight GPUs and four switches. */
const MAX_LIST = 256;

type Fields = Record<string, unknown>;

export function evidenceToJson(evidence: Evidence | Composite): Fields {
  if ("kind" in evidence) return { format: EVIDENCE_FORMAT, ...pieceToJson(evidence) };
  const { cpu, devices, tokens, eventLog } = evidence;
  return {
    format: COMPOSITE_FORMAT,
    cpu: pieceToJson(cpu),
    devices: devices.map(pieceToJson),
    tokens: tokens.map(pieceToJson),
    ...(eventLog ? { eventLog: { format: eventLog.format, log: base64(eventLog.log) } } : {}),
  };
}

/** @throws EVIDENCE_MALFORMED, FORMAT_UNSUPPORTED */
export function evidenceFromJson(json: unknown): Evidence | Composite {
  const format = typeof json === "object" && json !== null && "format" in json ? json.format : undefined;
  if (format === EVIDENCE_FORMAT) {
    const { format: _, ...fields } = json as Fields;
    return pieceFromJson(fields, "evidence");
  }
  if (format !== COMPOSITE_FORMAT) {
    throw new AnchorError(
      "FORMAT_UNSUPPORTED",
      `this is not evidence of format ${EVIDENCE_FORMAT} or ${COMPOSITE_FORMAT}`,
    );
  }
  const fields = readObject(json, ["format", "cpu", "devices", "tokens"], CODE, "composite", ["eventLog"]);
  const cpu = pieceFromJson(fields["cpu"], "composite.cpu");
  if (cpu.kind === "nvidia" || cpu.kind === "nras")
    throw new AnchorError(CODE, `composite.cpu is of a device: ${cpu.kind}`);
  const eventLog = fields["eventLog"] === undefined ? undefined : logFromJson(fields["eventLog"]);
  return {
    cpu,
    devices: list(fields["devices"], "composite.devices").map((item, i) => {
      const device = pieceFromJson(item, `composite.devices[${i}]`);
      if (device.kind !== "nvidia") throw new AnchorError(CODE, `composite.devices[${i}] is no device: ${device.kind}`);
      return device satisfies NvidiaEvidence;
    }),
    tokens: list(fields["tokens"], "composite.tokens").map((item, i) => {
      const token = pieceFromJson(item, `composite.tokens[${i}]`);
      if (token.kind !== "nras") throw new AnchorError(CODE, `composite.tokens[${i}] is no token: ${token.kind}`);
      return token satisfies NrasEvidence;
    }),
    ...(eventLog ? { eventLog } : {}),
  };
}

function pieceToJson(evidence: Evidence): Fields {
  return Object.fromEntries(Object.entries(evidence).map(([name, value]) => [name, encoded(value)]));
}

function encoded(value: unknown): unknown {
  if (value instanceof Uint8Array) return base64(value);
  return Array.isArray(value) ? value.map(encoded) : value;
}

function pieceFromJson(json: unknown, path: string): Evidence {
  const kind = typeof json === "object" && json !== null && "kind" in json ? json.kind : undefined;
  const read = (names: readonly string[], optional: readonly string[] = []) =>
    readObject(json, ["kind", ...names], CODE, path, optional);
  const at = (fields: Fields, name: string) => bytes(fields[name], `${path}.${name}`);
  const listed = (fields: Fields, name: string) =>
    list(fields[name], `${path}.${name}`).map((item, i) => bytes(item, `${path}.${name}[${i}]`));
  switch (kind) {
    case "intel":
      return { kind, quote: at(read(["quote"]), "quote") };
    case "snp": {
      const fields = read(["report"], ["certificates"]);
      const certificates = fields["certificates"] === undefined ? undefined : listed(fields, "certificates");
      return { kind, report: at(fields, "report"), ...(certificates ? { certificates } : {}) };
    }
    case "nitro":
      return { kind, document: at(read(["document"]), "document") };
    case "nvidia": {
      const fields = read(["report", "certificates"]);
      return { kind, report: at(fields, "report"), certificates: listed(fields, "certificates") };
    }
    case "nras": {
      const fields = read(["overall", "devices"]);
      const devices = texts(fields["devices"], `${path}.devices`);
      return { kind, overall: text(fields["overall"], `${path}.overall`), devices };
    }
    case "azure-vtpm": {
      const fields = read(["hclReport", "message", "signature", "pcrs"], ["certificates", "quote"]);
      const certificates = fields["certificates"] === undefined ? undefined : listed(fields, "certificates");
      const quote = fields["quote"] === undefined ? undefined : at(fields, "quote");
      return {
        kind,
        hclReport: at(fields, "hclReport"),
        message: at(fields, "message"),
        signature: at(fields, "signature"),
        pcrs: listed(fields, "pcrs"),
        ...(certificates ? { certificates } : {}),
        ...(quote ? { quote } : {}),
      };
    }
    case "cca":
      return { kind, token: at(read(["token"]), "token") };
    default:
      throw new AnchorError(CODE, `${path}.kind is none that is known here`);
  }
}

function logFromJson(json: unknown): EventLog {
  const { format, log } = readObject(json, ["format", "log"], CODE, "composite.eventLog");
  if (format !== "dstack" && format !== "ccel") {
    throw new AnchorError(CODE, 'composite.eventLog.format must be "dstack" or "ccel"');
  }
  return { format, log: bytes(log, "composite.eventLog.log") };
}

function list(value: unknown, path: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new AnchorError(CODE, `${path} must be a list`);
  if (value.length > MAX_LIST) throw new AnchorError(CODE, `${path} has more than ${MAX_LIST} entries`);
  return value;
}

function text(value: unknown, path: string): string {
  if (typeof value !== "string") throw new AnchorError(CODE, `${path} must be a text`);
  return value;
}

/** By names that are not known beforehand. */
function texts(json: unknown, path: string): Record<string, string> {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new AnchorError(CODE, `${path} must be an object`);
  }
  const entries = Object.entries(json);
  if (entries.length > MAX_LIST) throw new AnchorError(CODE, `${path} has more than ${MAX_LIST} entries`);
  return Object.fromEntries(
    entries.map(([name, value]) => [name, text(value, `${path}.${JSON.stringify(name.slice(0, 64))}`)]),
  );
}

function bytes(value: unknown, path: string): Uint8Array {
  return fromBase64(value, CODE, path);
}
