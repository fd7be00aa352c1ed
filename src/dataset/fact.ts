/**
 * Facts about a dataset that take one proof, or two, and no run over all records: that a record stands under the root, also
 * under which SHA-256, and that a dataset has grown out of another one.
 *
 * As with sets of proofs, a verifier rebuilds all public signals from what the document says; the document is evidence only.
 * No file system and no prover in here.
 *
 * @module
 */
import { AnchorError } from "../errors.js";
import { concat, fromHex, type Hex, wordHex } from "../field/bytes.js";
import { bytesToBigInt, R } from "../field/scalar.js";
import { type Domain, readInteger, readObject } from "../protocol/eip712.js";
import { type CircuitType, circuitTypeName } from "../protocol/statements.js";
import { counted, formatCount } from "../text.js";
import { type Proof, parseProof, proofToJson, verifyGroth16 } from "../verifier/groth16.js";
import { sha256Signals } from "./circuit/sha256.js";
import type { ClaimWords } from "./claims/families.js";
import { type Growth, growthSignals } from "./growth.js";
import { openingSignals, type RecordOpening } from "./opening.js";
import {
  canonical,
  checkTaskAndDomain,
  circuitFromJson,
  circuitToJson,
  domainFromJson,
  type Expectation,
  type SetCircuit,
  type SetTask,
  segmentContext,
  setTaskFromJson,
  taskToJson,
  trustedKey,
} from "./proofSet.js";

const FORMAT = "anchorproof/dataset-fact@1";
const CODE = "PROOF_SET_INVALID";

/** The record behind the digest is these bytes, by SHA-256. */
export interface Sha256Link {
  readonly sha256: Hex;
  readonly bytes: number;
}

export type Fact =
  | ({ readonly type: "opening" } & RecordOpening & { readonly link?: Sha256Link | undefined })
  | ({ readonly type: "growth" } & Growth);

export interface FactProof {
  readonly circuit: SetCircuit;
  readonly proof: Proof;
}

export interface ProvenFact {
  readonly fact: Fact;
  readonly domain: Domain;
  readonly task: SetTask;
  /** In the order of {@link factSignals}. */
  readonly proofs: readonly FactProof[];
}

/** Types of the circuits that show a fact, and their public signals but for the context. @throws STATEMENT_INVALID */
export function factSignals(fact: Fact): { type: CircuitType; signals: bigint[] }[] {
  if (fact.type === "growth") return [{ type: "datasetGrowth", signals: growthSignals(fact) }];
  const { record, link } = fact;
  const opening = { type: "datasetOpening" as const, signals: openingSignals(fact) };
  if (link === undefined) return [opening];
  const sha256 = fromHex(link.sha256, "sha256", 32);
  return [opening, { type: "datasetSha256", signals: sha256Signals({ record, sha256, length: link.bytes }) }];
}

export interface VerifiedFact extends ClaimWords {
  readonly fact: Fact;
  /** The root, or the new one of a growth. */
  readonly root: bigint;
  readonly keys: readonly { type: CircuitType; name: string; keyDigest: Hex; development: boolean | undefined }[];
}

/**
 * @throws PROOF_SET_INVALID for something else than is expected; KEY_UNKNOWN, KEY_FORGEABLE, KEY_MALFORMED for keys;
 *   STATEMENT_INVALID; PROOF_INVALID
 */
export function verifyFact(proven: ProvenFact, expected: Omit<Expectation, "claim">): VerifiedFact {
  const { fact, proofs } = proven;
  const root = fact.type === "growth" ? fact.newRoot : fact.root;
  if (expected.root !== undefined && expected.root !== root) {
    throw new AnchorError(CODE, `the proof is about another dataset: its root is ${wordHex(root)}`);
  }
  checkTaskAndDomain(proven, expected);
  const wanted = factSignals(fact);
  if (proofs.length !== wanted.length) {
    throw new AnchorError(CODE, `the fact takes ${counted(wanted.length, "proof")}, not ${proofs.length}`);
  }
  const keys = wanted.map(({ type, signals }, i) => {
    const { circuit, proof } = proofs[i]!;
    if (circuit.type !== type) {
      throw new AnchorError(
        CODE,
        `proof ${i + 1} is by ${circuitTypeName(circuit.type)}, not by ${circuitTypeName(type)}`,
      );
    }
    const { keyDigest, development } = trustedKey(circuit, expected.trust, signals.length + 1);
    const context = segmentContext(proven, type, keyDigest);
    if (!verifyGroth16(circuit.verifyingKey, [...signals, context], proof)) {
      throw new AnchorError(
        "PROOF_INVALID",
        `the proof by ${circuitTypeName(type)} does not show this, for this task, chain and contract`,
      );
    }
    return { type, name: circuit.name, keyDigest, development };
  });
  return { fact, root, keys, ...describeFact(fact) };
}

function describeFact(fact: Fact): ClaimWords {
  if (fact.type === "growth") {
    const { oldRoot, oldRecords, newRecords } = fact;
    return {
      proven: [
        `the first ${counted(oldRecords, "record")} are those under ${wordHex(oldRoot)}, unchanged and in order`,
        `${counted(newRecords - oldRecords, "record")} came after them`,
      ],
      notProven: ["that anybody knows the data, or that the totals in the roots are true: see the claim of integrity"],
    };
  }
  const { index, record, link } = fact;
  const proven = [`record ${formatCount(index)} has the description behind ${wordHex(record)}`];
  if (link) proven.push(`its data is ${counted(link.bytes, "byte")} with SHA-256 ${link.sha256}`);
  return { proven, notProven: ["anything about other records, or the totals in the root"] };
}

export function factToJson({ fact, domain, task, proofs }: ProvenFact): Record<string, unknown> {
  return {
    format: FORMAT,
    fact: contentToJson(fact),
    domain: { chainId: String(domain.chainId), verifyingContract: domain.verifyingContract },
    task: taskToJson(task),
    proofs: proofs.map(({ circuit, proof }) => ({ circuit: circuitToJson(circuit), proof: proofToJson(proof) })),
  };
}

function contentToJson(fact: Fact): Record<string, unknown> {
  if (fact.type === "growth") {
    const { type, oldRoot, newRoot, oldRecords, newRecords } = fact;
    return {
      type,
      oldRoot: wordHex(oldRoot),
      newRoot: wordHex(newRoot),
      oldRecords: `${oldRecords}`,
      newRecords: `${newRecords}`,
    };
  }
  const { type, root, index, record, link } = fact;
  return {
    type,
    root: wordHex(root),
    index: `${index}`,
    record: wordHex(record),
    ...(link === undefined ? {} : { link: { sha256: link.sha256, bytes: `${link.bytes}` } }),
  };
}

/** Whether a document says that it is of this format. */
export function isFact(json: unknown): boolean {
  return typeof json === "object" && json !== null && (json as { format?: unknown }).format === FORMAT;
}

/** Reads strictly, as sets of proofs are. @throws FORMAT_UNSUPPORTED, PROOF_SET_INVALID, KEY_MALFORMED, PROOF_MALFORMED */
export function factFromJson(json: unknown): ProvenFact {
  if (!isFact(json)) throw new AnchorError("FORMAT_UNSUPPORTED", `this is no proof of format ${FORMAT}`);
  const record = readObject(json, ["format", "fact", "domain", "task", "proofs"], CODE, "document");
  const proofs = record["proofs"];
  if (!Array.isArray(proofs) || proofs.length < 1 || proofs.length > 2) {
    throw new AnchorError(CODE, "a fact has one proof, or two");
  }
  return {
    fact: contentFromJson(record["fact"]),
    domain: domainFromJson(record["domain"], "domain"),
    task: setTaskFromJson(record["task"], "task"),
    proofs: proofs.map((entry, i) => {
      const path = `proofs[${i}]`;
      const { circuit, proof } = readObject(entry, ["circuit", "proof"], CODE, path);
      return {
        circuit: circuitFromJson(circuit, `${path}.circuit`),
        proof: canonical(proof, parseProof, proofToJson, `${path}.proof`),
      };
    }),
  };
}

function contentFromJson(json: unknown): Fact {
  const type = typeof json === "object" && json !== null ? (json as { type?: unknown }).type : undefined;
  const count = (value: unknown, name: string) => Number(readInteger(value, 32, CODE, `fact.${name}`));
  if (type === "growth") {
    const fields = ["type", "oldRoot", "newRoot", "oldRecords", "newRecords"];
    const { oldRoot, newRoot, oldRecords, newRecords } = readObject(json, fields, CODE, "fact");
    return {
      type,
      oldRoot: scalar(oldRoot, "oldRoot"),
      newRoot: scalar(newRoot, "newRoot"),
      oldRecords: count(oldRecords, "oldRecords"),
      newRecords: count(newRecords, "newRecords"),
    };
  }
  if (type !== "opening") throw new AnchorError(CODE, "fact.type is opening or growth");
  const fields = readObject(json, ["type", "root", "index", "record"], CODE, "fact", ["link"]);
  const { root, index, record } = fields;
  const opening = { root: scalar(root, "root"), index: count(index, "index"), record: scalar(record, "record") };
  if (!Object.hasOwn(fields, "link")) return { type, ...opening };
  const { sha256, bytes } = readObject(fields["link"], ["sha256", "bytes"], CODE, "fact.link");
  return { type, ...opening, link: { sha256: hexOf(sha256, "link.sha256"), bytes: count(bytes, "link.bytes") } };
}

function scalar(json: unknown, name: string): bigint {
  const value = bytesToBigInt(concat(fromHex(hexOf(json, name), name)));
  if (value >= R) throw new AnchorError(CODE, `fact.${name} is outside the field`);
  return value;
}

function hexOf(json: unknown, name: string): Hex {
  try {
    fromHex(json, name, 32);
    return json as Hex;
  } catch (cause) {
    throw new AnchorError(CODE, `fact.${name} is 32 bytes of lower-case 0x-hex`, { cause });
  }
}
