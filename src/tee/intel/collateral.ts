/**
 * Readers of the two documents that Intel signs about a kind of platform: TCB info (version 3) and the identity of the
 * quoting enclave (version 2).
 *
 * What is read is read strictly: types, lengths, ranges, no two levels that are the same. Fields that are not known here are
 * tolerated, as Intel adds them without a new version. Levels come sorted as Intel's own verifier sorts them, highest first:
 * the order in the document carries no meaning.
 *
 * @module
 */
import { AnchorError } from "../../errors.js";
import { demand } from "../context.js";
import { isJsonObject, type Json, type JsonObject, readJsonObject } from "../read/json.js";

export type ModuleStatus = "UpToDate" | "OutOfDate" | "Revoked";
export type PlatformStatus =
  | ModuleStatus
  | "SWHardeningNeeded"
  | "ConfigurationNeeded"
  | "ConfigurationAndSWHardeningNeeded"
  | "OutOfDateConfigurationNeeded";

export interface Level<S extends PlatformStatus = ModuleStatus> {
  status: S;
  /** As Intel writes it: `2024-03-13T00:00:00Z`. */
  tcbDate: string;
  advisories: readonly string[];
}

export interface Component {
  svn: number;
  /** `BIOS, Early Microcode Update`, where the document says it. */
  name?: string;
}

export interface PlatformLevel extends Level<PlatformStatus> {
  /** 16 each. */
  sgx: readonly Component[];
  /** Of TCB info for TDX. */
  tdx?: readonly Component[];
  pceSvn: number;
}

export interface IsvLevel extends Level {
  isvSvn: number;
}

export interface TdxModule {
  mrSigner: Uint8Array;
  attributes: Uint8Array;
}

export interface TdxModuleIdentity extends TdxModule {
  /** `TDX_03`. */
  id: string;
  levels: readonly IsvLevel[];
}

/** When a document holds, Unix seconds, and which round of Intel's evaluation it belongs to. */
interface Dated {
  issueDate: number;
  nextUpdate: number;
  tcbEvaluationDataNumber: number;
}

export interface TcbInfo extends Dated {
  id: "SGX" | "TDX";
  fmspc: Uint8Array;
  pceId: Uint8Array;
  levels: readonly PlatformLevel[];
  tdx?: { module: TdxModule; identities: readonly TdxModuleIdentity[] };
}

export interface QeIdentity extends Dated {
  id: "QE" | "TD_QE" | "QVE";
  miscSelect: Uint8Array;
  miscSelectMask: Uint8Array;
  attributes: Uint8Array;
  attributesMask: Uint8Array;
  mrSigner: Uint8Array;
  isvProdId: number;
  levels: readonly IsvLevel[];
}

const CODE = "COLLATERAL_MALFORMED";
/** Real ones have 20 KB and a dozen levels. */
const MAX_LENGTH = 1024 * 1024;
const MAX_ITEMS = 256;
const MODULE_STATUSES: readonly ModuleStatus[] = ["UpToDate", "OutOfDate", "Revoked"];
const PLATFORM_STATUSES: readonly PlatformStatus[] = [
  ...MODULE_STATUSES,
  "SWHardeningNeeded",
  "ConfigurationNeeded",
  "ConfigurationAndSWHardeningNeeded",
  "OutOfDateConfigurationNeeded",
];

/** The JSON of a document, checked for its form alone. @throws COLLATERAL_MALFORMED */
export function parseSignedJson(json: string, what: string): JsonObject {
  demand(typeof json === "string", CODE, `${what} is not a text`);
  return readJsonObject(json, { code: CODE, what, maxLength: MAX_LENGTH });
}

/** @throws COLLATERAL_MALFORMED */
export function readTcbInfo(json: JsonObject): TcbInfo {
  const document = new Fields(json, "the TCB info");
  const version = document.integer("version", 0xffff);
  demand(version === 3, CODE, `TCB info of version ${version}; version 3 is supported, fetch it from PCS API v4`);
  const id = document.choice("id", ["SGX", "TDX"]);
  const tcbType = document.integer("tcbType", 0xffff);
  demand(tcbType === 0, CODE, `TCB info of type ${tcbType}, whose SVNs compare in a way that is not known here`);
  const levels = document.objects("tcbLevels").map((level) => readPlatformLevel(level, id));
  const tdx = id === "TDX" ? readModules(document) : undefined;
  return {
    ...readDated(document),
    id,
    fmspc: document.hex("fmspc", 6),
    pceId: document.hex("pceId", 2),
    levels: sorted(levels, comparePlatformLevels, "the TCB info"),
    ...(tdx ? { tdx } : {}),
  };
}

/** @throws COLLATERAL_MALFORMED */
export function readQeIdentity(json: JsonObject): QeIdentity {
  const document = new Fields(json, "the QE identity");
  const version = document.integer("version", 0xffff);
  demand(version === 2, CODE, `a QE identity of version ${version}; version 2 is supported, fetch it from PCS API v4`);
  return {
    ...readDated(document),
    id: document.choice("id", ["QE", "TD_QE", "QVE"]),
    miscSelect: document.hex("miscselect", 4),
    miscSelectMask: document.hex("miscselectMask", 4),
    attributes: document.hex("attributes", 16),
    attributesMask: document.hex("attributesMask", 16),
    mrSigner: document.hex("mrsigner", 32),
    isvProdId: document.integer("isvprodid", 0xffff),
    levels: readIsvLevels(document),
  };
}

function readDated(document: Fields): Dated {
  return {
    issueDate: seconds(document.date("issueDate")),
    nextUpdate: seconds(document.date("nextUpdate")),
    tcbEvaluationDataNumber: document.integer("tcbEvaluationDataNumber", 0xffffffff),
  };
}

function readModules(document: Fields): NonNullable<TcbInfo["tdx"]> {
  const readModule = (fields: Fields): TdxModule => ({
    mrSigner: fields.hex("mrsigner", 48),
    attributes: fields.hex("attributes", 8),
  });
  const identities = document.has("tdxModuleIdentities") ? document.objects("tdxModuleIdentities") : [];
  return {
    module: readModule(document.object("tdxModule")),
    identities: identities.map((identity) => ({
      ...readModule(identity),
      id: identity.text("id"),
      levels: readIsvLevels(identity),
    })),
  };
}

function readPlatformLevel(level: Fields, id: "SGX" | "TDX"): PlatformLevel {
  const tcb = level.object("tcb");
  return {
    ...readLevel(level, PLATFORM_STATUSES),
    sgx: readComponents(tcb, "sgxtcbcomponents"),
    ...(id === "TDX" ? { tdx: readComponents(tcb, "tdxtcbcomponents") } : {}),
    pceSvn: tcb.integer("pcesvn", 0xffff),
  };
}

function readComponents(tcb: Fields, name: string): Component[] {
  const components = tcb.objects(name);
  demand(components.length === 16, CODE, `${tcb.path(name)} has ${components.length} components instead of 16`);
  return components.map((component) => {
    const parts = ["category", "type"].filter((part) => component.has(part)).map((part) => component.text(part));
    return { svn: component.integer("svn", 0xff), ...(parts.length > 0 ? { name: parts.join(", ") } : {}) };
  });
}

function readIsvLevels(document: Fields): IsvLevel[] {
  const levels = document.objects("tcbLevels").map((level) => ({
    ...readLevel(level, MODULE_STATUSES),
    isvSvn: level.object("tcb").integer("isvsvn", 0xffff),
  }));
  return sorted(levels, (a, b) => a.isvSvn - b.isvSvn, document.path("tcbLevels"));
}

function readLevel<S extends PlatformStatus>(level: Fields, statuses: readonly S[]): Level<S> {
  return {
    status: level.choice("tcbStatus", statuses),
    tcbDate: level.date("tcbDate"),
    advisories: level.has("advisoryIDs") ? level.texts("advisoryIDs") : [],
  };
}

/** By the SGX components in their order, then the PCE's SVN, then the TDX components. */
function comparePlatformLevels(a: PlatformLevel, b: PlatformLevel): number {
  return compareComponents(a.sgx, b.sgx) || a.pceSvn - b.pceSvn || compareComponents(a.tdx ?? [], b.tdx ?? []);
}

function compareComponents(a: readonly Component[], b: readonly Component[]): number {
  const at = a.findIndex(({ svn }, i) => svn !== b[i]!.svn);
  return at < 0 ? 0 : a[at]!.svn - b[at]!.svn;
}

/** Highest first. */
function sorted<T>(levels: T[], compare: (a: T, b: T) => number, what: string): T[] {
  demand(levels.length > 0, CODE, `${what} has no TCB levels`);
  levels.sort((a, b) => compare(b, a));
  const twice = levels.some((level, i) => i > 0 && compare(level, levels[i - 1]!) === 0);
  demand(!twice, CODE, `${what} has two TCB levels of the same SVNs`);
  return levels;
}

/** Unix seconds of a date that was read by {@link Fields.date}. */
export function seconds(date: string): number {
  return Date.parse(date) / 1000;
}

/** Members of an object, each with its type, or a failure that says where it is. */
class Fields {
  readonly #object: JsonObject;
  readonly #path: string;

  constructor(object: JsonObject, path: string) {
    this.#object = object;
    this.#path = path;
  }

  path(name: string): string {
    return `${name} of ${this.#path}`;
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#object, name);
  }

  text(name: string): string {
    const value = this.#get(name);
    return typeof value === "string" && value.length <= 256 ? value : this.#fail(name, "a text");
  }

  choice<T extends string>(name: string, choices: readonly T[]): T {
    const value = this.text(name);
    return choices.find((choice) => choice === value) ?? this.#fail(name, `one of ${choices.join(", ")}`, value);
  }

  integer(name: string, max: number): number {
    const value = this.#get(name);
    const fits = typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && value <= max;
    return fits ? value : this.#fail(name, `a whole number up to ${max}`);
  }

  hex(name: string, length: number): Uint8Array {
    const value = this.#get(name);
    const fits = typeof value === "string" && value.length === 2 * length && /^[0-9a-fA-F]*$/.test(value);
    return fits ? new Uint8Array(Buffer.from(value, "hex")) : this.#fail(name, `${length} bytes of hex`);
  }

  /** In the one form that Intel writes. */
  date(name: string): string {
    const value = this.text(name);
    const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(value) ? Date.parse(value) : Number.NaN;
    const exists = !Number.isNaN(time) && new Date(time).toISOString() === value.replace("Z", ".000Z");
    return exists ? value : this.#fail(name, "a time like 2024-03-13T00:00:00Z", value);
  }

  texts(name: string): string[] {
    return this.#array(name, 0).map((value) =>
      typeof value === "string" && value.length <= 256 ? value : this.#fail(name, "a list of texts"),
    );
  }

  object(name: string): Fields {
    const value = this.#get(name);
    return isJsonObject(value) ? new Fields(value, this.path(name)) : this.#fail(name, "an object");
  }

  objects(name: string): Fields[] {
    return this.#array(name, 1).map((value, i) =>
      isJsonObject(value) ? new Fields(value, this.path(`${name}[${i}]`)) : this.#fail(name, "a list of objects"),
    );
  }

  #array(name: string, min: number): Json[] {
    const value = this.#get(name);
    const fits = Array.isArray(value) && value.length >= min && value.length <= MAX_ITEMS;
    return fits ? value : this.#fail(name, `a list of ${min} to ${MAX_ITEMS} items`);
  }

  #get(name: string): Json | undefined {
    return this.has(name) ? this.#object[name] : undefined;
  }

  #fail(name: string, expected: string, found?: string): never {
    const but = found === undefined ? (this.has(name) ? "" : ", and is missing") : `, not ${JSON.stringify(found)}`;
    throw new AnchorError(CODE, `${this.path(name)} must be ${expected}${but}`);
  }
}
