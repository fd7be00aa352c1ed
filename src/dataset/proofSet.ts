/**
 * A set of proofs: one claim about a whole dataset, shown by as many proofs as it takes, in one file.
 *
 * The file is evidence, never trust. From it a verifier takes the root's opening, the claim, the task, and the proofs; it
 * rebuilds every public signal from those, and asks that
 *
 * - the keys are ones that it trusts for circuits of the types that the claim is shown by,
 * - the first segment starts from the public first state, each further one from where the one before it ended, and the
 *   last one ends in the state that is opened, which is that of a run over the whole dataset,
 * - every proof verifies under its key's own context, which binds it to the chain, the contract and the task.
 *
 * No file system and no prover in here: validators need neither.
 *
 * @module
 */
import { AnchorError, isAnchorError, toAnchorError } from "../errors.js";
import { concat, fromHex, type Hex, keccak, tag, toHex, utf8, word, wordHex } from "../field/bytes.js";
import { bytesToBigInt, isScalar, R } from "../field/scalar.js";
import { canonicalJson } from "../protocol/document.js";
import { type Domain, readInteger, readObject } from "../protocol/eip712.js";
import {
  CIRCUIT_TYPES,
  type CircuitType,
  circuitTypeName,
  circuitTypeOf,
  contextSignal,
  type Task,
} from "../protocol/statements.js";
import {
  keyDigest,
  type Proof,
  parseProof,
  parseVerifyingKey,
  proofToJson,
  type VerifyingKey,
  verifyGroth16Batch,
  verifyingKeyToJson,
} from "../verifier/groth16.js";
import { lintVerifyingKey } from "../verifier/lint.js";
import { type ClaimResult, claimFamily, describeClaim, needsColumns } from "./claims/families.js";
import { claimFromJson, claimToJson } from "./claims/json.js";
import { type Claim, commitState } from "./claims.js";
import { CHUNK_RECORDS, chunkCount, DEPTHS, hashRoot, MAX_CELLS, type RootOpening, treeDepth } from "./layout.js";
import { type Column, schemaDigest } from "./record.js";

const FORMAT = "anchorproof/proof-set@1";
const CODE = "PROOF_SET_INVALID";
const SET_TAG = tag("anchorproof/proof-set/1");

/** Most proofs of a set: some 25 GB of data, and no file to choke on. */
export const MAX_SEGMENTS = 65_536;
/** Most records of a dataset. */
const MAX_RECORDS = CHUNK_RECORDS * 16 ** DEPTHS.at(-1)!;
/** Proofs that are verified at once. */
const BATCH = 512;
/** Most circuits of a set. */
const MAX_CIRCUITS = 16;
/** Most fields of an automaton's state. */
const MAX_FIELDS = 64;
/** Public signals of every segment: root, claim, before, after, context. */
const SIGNALS = 5;

/** Whom a set is for, and until when: as of any proof. The key is each circuit's own. */
export type SetTask = Omit<Task, "keyDigest">;

export interface SetCircuit {
  readonly type: CircuitType;
  /** What the circuit is called, parameters included. For people: the key alone says what it is. */
  readonly name: string;
  readonly verifyingKey: VerifyingKey;
}

export interface SetSegment {
  /** Place among the set's circuits. */
  readonly circuit: number;
  /** Commitments to the automaton's state. */
  readonly before: bigint;
  readonly after: bigint;
  readonly proof: Proof;
}

export interface ProofSet {
  readonly opening: RootOpening;
  /** The dataset's, where the claim is about one of them. */
  readonly columns?: readonly Column[] | undefined;
  readonly claim: Claim;
  readonly domain: Domain;
  readonly task: SetTask;
  readonly circuits: readonly SetCircuit[];
  readonly segments: readonly SetSegment[];
  /** What the last segment's `after` is the commitment to. */
  readonly last: { readonly fields: readonly bigint[]; readonly salt: bigint };
}

/** A key that a verifier trusts for circuits of a type. */
export interface TrustedCircuit {
  readonly type: CircuitType;
  readonly keyDigest: Hex;
  /** False only for a key whose ceremony the verifier has checked. */
  readonly development?: boolean | undefined;
}

/** What a verifier holds to be true before it looks at a set. What is left out is taken as the set has it, and reported. */
export interface Expectation {
  readonly trust: readonly TrustedCircuit[];
  readonly root?: bigint | undefined;
  readonly claim?: Claim | undefined;
  readonly domain?: Partial<Domain> | undefined;
  readonly task?: Partial<SetTask> | undefined;
}

export interface VerifyOptions {
  /** Of the native core. [1] */
  readonly threads?: number | undefined;
}

export interface VerifiedSet {
  readonly root: bigint;
  readonly claim: Claim;
  readonly result: ClaimResult;
  /** The dataset's, where the claim is about them. */
  readonly columns: readonly Column[];
  readonly records: number;
  readonly segments: number;
  readonly keys: readonly {
    readonly type: CircuitType;
    readonly name: string;
    readonly keyDigest: Hex;
    /** Undefined where the verifier has not said. */
    readonly development: boolean | undefined;
  }[];
  /** In plain words. */
  readonly proven: readonly string[];
  readonly notProven: readonly string[];
}

/** What a challenge of a set's proofs is made from, beside what they commit to: the root, the claim, whom the set is for. */
export function setDigest({
  opening,
  claim,
  domain,
  task,
}: Pick<ProofSet, "opening" | "claim" | "domain" | "task">): Hex {
  const address = (value: Hex, name: string) => concat(new Uint8Array(12), fromHex(value, name, 20));
  return toHex(
    keccak(
      SET_TAG,
      word(domain.chainId),
      address(domain.verifyingContract, "contract"),
      word(hashRoot(opening)),
      keccak(utf8(canonicalJson(claimToJson(claim)))),
      fromHex(task.taskId, "task id", 32),
      address(task.requester, "requester"),
      address(task.payee, "payee"),
      word(task.nonce),
      word(task.deadline),
    ),
  );
}

/** The `context` signal of a set's proofs by one key. @throws CONTEXT_ZERO */
export function segmentContext(
  { domain, task }: Pick<ProofSet, "domain" | "task">,
  type: CircuitType,
  key: Hex,
): bigint {
  return contextSignal(domain, CIRCUIT_TYPES[type], { ...task, keyDigest: key });
}

/**
 * Verifies a set whole.
 *
 * @throws PROOF_SET_INVALID for a set that is incomplete, out of order, or about something else than is expected;
 *   KEY_UNKNOWN, KEY_FORGEABLE, KEY_MALFORMED for its keys; CLAIM_INVALID for its claim; PROOF_INVALID, with the numbers of
 *   the segments in `details`, for proofs that do not verify
 */
export function verifyProofSet(set: ProofSet, expected: Expectation, { threads = 1 }: VerifyOptions = {}): VerifiedSet {
  const { opening, claim, segments, circuits, last } = set;
  const root = rootOf(opening);
  checkExpected(set, root, expected);
  const columns = columnsOf(set);
  const family = claimFamily(claim);
  const signals = family.signals(claim, { root, opening, columns, challenge: setDigest(set), last: last.fields });
  const keys = circuits.map((circuit, i) => {
    if (!Object.hasOwn(signals, circuit.type)) {
      throw invalid(`circuit ${i}, ${circuitTypeName(circuit.type)}, is none that shows a claim of type ${claim.type}`);
    }
    const digest = trustedKey(circuit, expected.trust);
    return {
      type: circuit.type,
      name: circuit.name,
      keyDigest: digest.keyDigest,
      development: digest.development,
      context: segmentContext(set, circuit.type, digest.keyDigest),
      claim: signals[circuit.type]!,
    };
  });
  if (new Set(keys.map((key) => key.keyDigest)).size !== keys.length) throw invalid("a key stands twice in the set");
  for (const type of Object.keys(signals) as CircuitType[]) {
    if (!keys.some((key) => key.type === type)) {
      throw invalid(`no proof by a circuit of type ${circuitTypeName(type)}, which the claim is shown by as well`);
    }
  }

  checkChain(set, commitState(family.initial(claim), 0n));
  const result = family.result(claim, last.fields, opening);

  const bad: number[] = [];
  for (const [circuit, { context, claim: claimed }] of keys.entries()) {
    const own = [...segments.entries()].filter(([, segment]) => segment.circuit === circuit);
    if (own.length === 0) throw invalid(`circuit ${circuit} has no proof in the set`);
    // To find the bad ones of many takes longer than to verify as many good ones: where some are bad, they are not looked for
    // in what comes after.
    for (let from = 0; from < own.length && bad.length === 0; from += BATCH) {
      const batch = own.slice(from, from + BATCH);
      const verdicts = verifyGroth16Batch(
        circuits[circuit]!.verifyingKey,
        batch.map(([, { before, after, proof }]) => ({
          publicSignals: [root, claimed, before, after, context],
          proof,
        })),
        { threads },
      );
      for (const [i, [number]] of batch.entries()) if (!verdicts[i]) bad.push(number);
    }
  }
  if (bad.length > 0) {
    bad.sort((a, b) => a - b);
    const which =
      bad.length === segments.length ? "no proof" : `the proof of segment ${bad[0]! + 1} of ${segments.length}`;
    const verb = bad.length === segments.length ? "shows its" : "does not show its";
    throw new AnchorError(
      "PROOF_INVALID",
      `${which} ${verb} step of this claim, for this root, task, chain and contract`,
      {
        details: { segments: bad.map((i) => i + 1) },
      },
    );
  }
  return {
    root,
    claim,
    result,
    columns,
    records: opening.totals.records,
    segments: segments.length,
    keys: keys.map(({ type, name, keyDigest, development }) => ({ type, name, keyDigest, development })),
    ...describeClaim(claim, result, { opening, columns }),
  };
}

/** The root, whose opening is one that a dataset may have. @throws PROOF_SET_INVALID */
export function rootOf(opening: RootOpening): bigint {
  const { depth, top, totals, schema } = opening;
  const numbers = [totals.records, totals.blocks, totals.values];
  if (!numbers.every((n) => Number.isSafeInteger(n) && n >= 0) || totals.records < 1) {
    throw invalid("the totals of the root's opening are whole numbers, and there is a record");
  }
  if (totals.records > MAX_RECORDS || depth !== treeDepth(chunkCount(totals.records))) {
    throw invalid(`no dataset of ${totals.records} records has a tree of height ${depth}`);
  }
  if (!isScalar(top) || !isScalar(schema)) throw invalid("the root's opening has a value outside the field");
  return hashRoot(opening);
}

/** The columns are those that the root binds, or none are given. @throws PROOF_SET_INVALID */
function columnsOf({ columns, opening, claim }: ProofSet): readonly Column[] {
  if (columns === undefined) {
    if (needsColumns(claim) && opening.schema !== 0n) throw invalid("the claim comes with the dataset's columns");
    return [];
  }
  if (columns.length === 0 || !needsColumns(claim)) throw invalid("the set has columns that its claim is not about");
  let digest: bigint;
  try {
    digest = schemaDigest(columns);
  } catch (error) {
    throw toSetError(error, "the columns");
  }
  if (digest !== opening.schema) throw invalid("the columns are not those of the dataset: the root binds others");
  return columns;
}

/** @throws PROOF_SET_INVALID */
function checkExpected(
  set: ProofSet,
  root: bigint,
  { root: wanted, claim, domain = {}, task = {} }: Expectation,
): void {
  if (wanted !== undefined && wanted !== root) {
    throw invalid(`the set is about another dataset: its root is ${wordHex(root)}, not ${wordHex(wanted)}`);
  }
  if (claim !== undefined && canonicalJson(claimToJson(claim)) !== canonicalJson(claimToJson(set.claim))) {
    throw invalid("the set is of another claim than the expected one");
  }
  checkTaskAndDomain(set, { domain, task });
}

/** @throws PROOF_SET_INVALID */
export function checkTaskAndDomain(
  of: Pick<ProofSet, "domain" | "task">,
  { domain = {}, task = {} }: Pick<Expectation, "domain" | "task">,
): void {
  const compare = (what: string, is: object, should: object) => {
    for (const [name, value] of Object.entries(should)) {
      const own = (is as Record<string, unknown>)[name];
      if (value !== undefined && value !== own) {
        throw invalid(`the proofs are for another ${what}: its ${name} is ${String(own)}, not ${String(value)}`);
      }
    }
  };
  compare("chain or contract", of.domain, domain);
  compare("task", of.task, task);
}

/**
 * @param signals that the circuit has
 * @throws KEY_UNKNOWN, KEY_FORGEABLE, KEY_MALFORMED
 */
export function trustedKey(
  { type, verifyingKey }: SetCircuit,
  trust: readonly TrustedCircuit[],
  signals = SIGNALS,
): TrustedCircuit {
  const digest = keyDigest(verifyingKey);
  const trusted = trust.find((key) => key.type === type && key.keyDigest === digest);
  if (!trusted) {
    const other = trust.find((key) => key.keyDigest === digest);
    throw new AnchorError(
      "KEY_UNKNOWN",
      other === undefined
        ? `proofs of ${circuitTypeName(type)} are by another key than you trust: ${digest}`
        : `key ${digest} is trusted for ${circuitTypeName(other.type)}, not for ${circuitTypeName(type)}`,
      { details: { type: circuitTypeName(type), keyDigest: digest } },
    );
  }
  lintVerifyingKey(verifyingKey);
  if (verifyingKey.nPublic !== signals) {
    throw new AnchorError(
      "KEY_UNKNOWN",
      `key ${digest} is of a circuit with ${verifyingKey.nPublic} public signals, not ${signals}`,
    );
  }
  return trusted;
}

/** From the public first state to the one that is opened, without a gap. @throws PROOF_SET_INVALID */
function checkChain({ segments, circuits, last }: ProofSet, first: bigint): void {
  if (segments.length === 0) throw invalid("the set has no proof");
  if (segments.length > MAX_SEGMENTS) throw invalid(`a set has at most ${MAX_SEGMENTS} proofs`);
  let at = first;
  for (const [i, { circuit, before, after }] of segments.entries()) {
    if (!Number.isInteger(circuit) || circuit < 0 || circuit >= circuits.length) {
      throw invalid(`segment ${i + 1} is by a circuit that the set does not have`);
    }
    if (!isScalar(before) || !isScalar(after)) throw invalid(`segment ${i + 1} has a signal outside the field`);
    if (before !== at) {
      throw invalid(
        i === 0
          ? "the first segment does not start at the dataset's beginning: proofs are missing or out of order"
          : `segment ${i + 1} of ${segments.length} does not start where segment ${i} ends: a proof is missing, repeated, moved or of another set`,
      );
    }
    at = after;
  }
  if (![...last.fields, last.salt].every(isScalar)) throw invalid("the last state has a value outside the field");
  if (last.fields.length === 0 || commitState(last.fields, last.salt) !== at) {
    throw invalid(
      "the last segment does not end in the state that the set gives: proofs are missing, or the result was changed",
    );
  }
}

export function proofSetToJson(set: ProofSet): Record<string, unknown> {
  const { opening, columns, claim, domain, task, circuits, segments, last } = set;
  return {
    format: FORMAT,
    root: wordHex(hashRoot(opening)),
    opening: openingToJson(opening),
    ...(columns === undefined ? {} : { columns: columns.map(columnToJson) }),
    claim: claimToJson(claim),
    domain: { chainId: String(domain.chainId), verifyingContract: domain.verifyingContract },
    task: taskToJson(task),
    circuits: circuits.map(circuitToJson),
    segments: segments.map(({ circuit, before, after, proof }) => ({
      circuit: String(circuit),
      before: String(before),
      after: String(after),
      proof: proofToJson(proof),
    })),
    last: { fields: last.fields.map(String), salt: String(last.salt) },
  };
}

/**
 * Reads a set strictly: no field more or less, and one spelling of each value. What it says is for
 * {@link verifyProofSet} to check.
 *
 * @throws FORMAT_UNSUPPORTED, PROOF_SET_INVALID, CLAIM_INVALID, KEY_MALFORMED, PROOF_MALFORMED
 */
export function proofSetFromJson(json: unknown): ProofSet {
  const fields = ["format", "root", "opening", "claim", "domain", "task", "circuits", "segments", "last"];
  if (typeof json === "object" && json !== null && (json as { format?: unknown }).format !== FORMAT) {
    throw new AnchorError("FORMAT_UNSUPPORTED", `this is not a set of proofs of format ${FORMAT}`);
  }
  const record = readObject(json, fields, CODE, "set", ["columns"]);
  const opening = openingFromJson(record["opening"], "opening");
  if (wordHex(rootOf(opening)) !== record["root"]) throw invalid("root is not that of the opening beside it");
  const last = readObject(record["last"], ["fields", "salt"], CODE, "last");
  const circuits = list(record["circuits"], MAX_CIRCUITS, "circuits").map((circuit, i) =>
    circuitFromJson(circuit, `circuits[${i}]`),
  );
  return {
    opening,
    ...(Object.hasOwn(record, "columns")
      ? { columns: list(record["columns"], MAX_CELLS, "columns").map(columnFromJson) }
      : {}),
    claim: claimFromJson(record["claim"]),
    domain: domainFromJson(record["domain"], "domain"),
    task: setTaskFromJson(record["task"], "task"),
    circuits,
    segments: list(record["segments"], MAX_SEGMENTS, "segments").map((segment, i) =>
      readSegment(segment, i, circuits.length),
    ),
    last: {
      fields: list(last["fields"], MAX_FIELDS, "last.fields").map((field, i) => scalar(field, `last.fields[${i}]`)),
      salt: scalar(last["salt"], "last.salt"),
    },
  };
}

export function taskToJson(task: SetTask): Record<string, unknown> {
  return { ...task, nonce: String(task.nonce), deadline: String(task.deadline) };
}

/** @throws PROOF_SET_INVALID */
export function domainFromJson(json: unknown, path: string): Domain {
  const domain = readObject(json, ["chainId", "verifyingContract"], CODE, path);
  return {
    chainId: readInteger(domain["chainId"], 256, CODE, `${path}.chainId`),
    verifyingContract: bytes(domain["verifyingContract"], 20, `${path}.verifyingContract`),
  };
}

/** @throws PROOF_SET_INVALID */
export function setTaskFromJson(json: unknown, path: string): SetTask {
  const task = readObject(json, ["taskId", "requester", "payee", "nonce", "deadline"], CODE, path);
  return {
    taskId: bytes(task["taskId"], 32, `${path}.taskId`),
    requester: bytes(task["requester"], 20, `${path}.requester`),
    payee: bytes(task["payee"], 20, `${path}.payee`),
    nonce: readInteger(task["nonce"], 256, CODE, `${path}.nonce`),
    deadline: readInteger(task["deadline"], 256, CODE, `${path}.deadline`),
  };
}

export function openingToJson({ depth, top, totals, schema }: RootOpening): Record<string, unknown> {
  const { records, blocks, values } = totals;
  return {
    depth: `${depth}`,
    top: wordHex(top),
    records: `${records}`,
    blocks: `${blocks}`,
    values: `${values}`,
    schema: wordHex(schema),
  };
}

/** @throws PROOF_SET_INVALID */
export function openingFromJson(json: unknown, path: string): RootOpening {
  const record = readObject(json, ["depth", "top", "records", "blocks", "values", "schema"], CODE, path);
  const count = (name: string, bits: number) => Number(readInteger(record[name], bits, CODE, `${path}.${name}`));
  const element = (name: string) => {
    const value = bytesToBigInt(fromHex(bytes(record[name], 32, `${path}.${name}`), name));
    if (value >= R) throw invalid(`${path}.${name} is outside the field`);
    return value;
  };
  return {
    depth: count("depth", 8),
    top: element("top"),
    totals: { records: count("records", 32), blocks: count("blocks", 52), values: count("values", 52) },
    schema: element("schema"),
  };
}

function columnToJson({ name, type, digits }: Column): Record<string, unknown> {
  return { name, type, ...(digits === undefined ? {} : { digits: `${digits}` }) };
}

function columnFromJson(json: unknown, index: number): Column {
  const path = `columns[${index}]`;
  const record = readObject(json, ["name", "type"], CODE, path, ["digits"]);
  const { name, type } = record;
  const digits = Object.hasOwn(record, "digits")
    ? { digits: Number(readInteger(record["digits"], 8, CODE, `${path}.digits`)) }
    : {};
  // What a column may be is checked where its digest is made.
  return { name: name as string, type: type as Column["type"], ...digits };
}

export function circuitToJson({ type, name, verifyingKey }: SetCircuit): Record<string, unknown> {
  return {
    type: circuitTypeName(type),
    name,
    keyDigest: keyDigest(verifyingKey),
    verifyingKey: verifyingKeyToJson(verifyingKey),
  };
}

/** @throws PROOF_SET_INVALID, KEY_MALFORMED */
export function circuitFromJson(json: unknown, path: string): SetCircuit {
  const record = readObject(json, ["type", "name", "keyDigest", "verifyingKey"], CODE, path);
  const type = typeof record["type"] === "string" ? circuitTypeOf(record["type"]) : undefined;
  if (type === undefined) throw invalid(`${path}.type is no type of circuit`);
  const { name } = record;
  if (typeof name !== "string" || !/^[a-z0-9-]{1,128}$/.test(name)) {
    throw invalid(`${path}.name is of at most 128 letters, digits and dashes`);
  }
  const verifyingKey = canonical(record["verifyingKey"], parseVerifyingKey, verifyingKeyToJson, `${path}.verifyingKey`);
  if (keyDigest(verifyingKey) !== record["keyDigest"])
    throw invalid(`${path}.keyDigest is not that of the key beside it`);
  return { type, name, verifyingKey };
}

function readSegment(json: unknown, index: number, circuits: number): SetSegment {
  const path = `segments[${index}]`;
  const record = readObject(json, ["circuit", "before", "after", "proof"], CODE, path);
  const circuit = Number(readInteger(record["circuit"], 8, CODE, `${path}.circuit`));
  if (circuit >= circuits) throw invalid(`${path}.circuit is none of the set's`);
  return {
    circuit,
    before: scalar(record["before"], `${path}.before`),
    after: scalar(record["after"], `${path}.after`),
    proof: canonical(record["proof"], parseProof, proofToJson, `${path}.proof`),
  };
}

/** A value that has one spelling in snarkjs' formats as well. */
export function canonical<T>(
  json: unknown,
  parse: (json: unknown) => T,
  print: (value: T) => unknown,
  path: string,
): T {
  const value = (() => {
    try {
      return parse(json);
    } catch (error) {
      if (!isAnchorError(error)) throw error;
      throw new AnchorError(error.code, `${path}: ${error.message}`, { details: { path }, cause: error });
    }
  })();
  if (!isCanonical(json, print(value))) throw invalid(`${path} has fields or spellings of its own`);
  return value;
}

/** Whether JSON of any origin is what we write. What is nested too deeply to be written at all is not. */
function isCanonical(json: unknown, written: unknown): boolean {
  try {
    return canonicalJson(json) === canonicalJson(written);
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

function scalar(json: unknown, path: string): bigint {
  const value = readInteger(json, 254, CODE, path);
  if (value >= R) throw invalid(`${path} is outside the field`);
  return value;
}

function bytes(json: unknown, length: number, path: string): Hex {
  try {
    fromHex(json, path, length);
    return json as Hex;
  } catch (error) {
    throw toSetError(error, path);
  }
}

function list(json: unknown, most: number, path: string): unknown[] {
  if (!Array.isArray(json) || json.length > most) throw invalid(`${path} is a list of at most ${most} entries`);
  return json;
}

function toSetError(error: unknown, what: string): AnchorError {
  return new AnchorError(CODE, toAnchorError(error, CODE, what).message, { cause: error });
}

function invalid(reason: string): AnchorError {
  return new AnchorError(CODE, reason);
}
