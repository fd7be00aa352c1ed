/**
 * The bundle: one file with all evidence of a task, from dataset to settlement, that anyone can check again offline.
 *
 * A bundle is evidence, never trust. Every value in it is bound to a trusted key's proof, a trusted quorum's votes or
 * a party's signature; there is no room for anything else, and each value has one spelling.
 *
 * @module
 */
import { AnchorError } from "../errors.js";
import { assertHex, type Hex } from "../field/bytes.js";
import { canonicalJson } from "../protocol/document.js";
import { readObject } from "../protocol/eip712.js";
import { type PointOfView, povFromJson, povToJson } from "../protocol/pov.js";
import { type Certificate, certificateFromJson, certificateToJson } from "../protocol/quorum.js";
import { type Receipt, receiptFromJson, receiptToJson } from "../protocol/settlement.js";
import {
  type InferenceStatement,
  type Statements,
  statementFromJson,
  statementToJson,
} from "../protocol/statements.js";
import {
  type Proof,
  parseProof,
  parseVerifyingKey,
  proofToJson,
  type VerifyingKey,
  verifyingKeyToJson,
} from "../verifier/groth16.js";
import { type Attestation, attestationFromJson, attestationToJson } from "./attestation.js";

const FORMAT = "anchorproof/bundle@3";
const CODE = "BUNDLE_INVALID";

/** A statement that asks for a token, and what shows it. */
interface Evidence<N extends "DatasetStatement" | "ModelStatement"> {
  statement: Statements[N];
  /** The requester's, over the statement: the proof alone binds neither supply nor parents nor terms nor metadata. */
  statementSignature: Hex;
  proof: Proof;
  verifyingKey: VerifyingKey;
}

/** What a creator hands to the validators for a dataset. */
export interface DatasetEvidence extends Evidence<"DatasetStatement"> {
  pov: PointOfView;
  /** The creator's, over the submission. */
  povSignature: Hex;
}

/** What a creator hands to the validators for a model. */
export type ModelEvidence = Evidence<"ModelStatement">;

export interface InferenceEvidence {
  statement: InferenceStatement;
  proof: Proof;
  receipt: Receipt;
  signatures: { user: Hex; node: Hex };
  /** Of the machine that answered. */
  attestation?: Attestation;
}

export interface Bundle {
  dataset: DatasetEvidence & { certificate: Certificate };
  model: ModelEvidence & { certificate: Certificate };
  /** Under the model's key. */
  inference: InferenceEvidence;
}

export function bundleToJson({ dataset, model, inference }: Bundle): Record<string, unknown> {
  return {
    format: FORMAT,
    dataset: {
      pov: povToJson(dataset.pov),
      povSignature: dataset.povSignature,
      ...evidenceToJson("DatasetStatement", dataset),
    },
    model: evidenceToJson("ModelStatement", model),
    inference: {
      statement: statementToJson("InferenceStatement", inference.statement),
      proof: proofToJson(inference.proof),
      receipt: receiptToJson(inference.receipt),
      signatures: { ...inference.signatures },
      ...(inference.attestation ? { attestation: attestationToJson(inference.attestation) } : {}),
    },
  };
}

/** Reads a bundle, refusing unknown fields and any second spelling of a value. @throws AnchorError of any input code */
export function bundleFromJson(json: unknown): Bundle {
  const root = readObject(json, ["format", "dataset", "model", "inference"], CODE, "bundle");
  if (root["format"] !== FORMAT)
    throw new AnchorError("FORMAT_UNSUPPORTED", `this is not a bundle of format ${FORMAT}`);
  const dataset = readObject(root["dataset"], ["pov", "povSignature", ...EVIDENCE_FIELDS], CODE, "dataset");
  const model = readObject(root["model"], EVIDENCE_FIELDS, CODE, "model");
  const fields = ["statement", "proof", "receipt", "signatures"];
  const inference = readObject(root["inference"], fields, CODE, "inference", ["attestation"]);
  const signatures = readObject(inference["signatures"], ["user", "node"], CODE, "inference.signatures");
  return {
    dataset: {
      pov: povFromJson(dataset["pov"], "dataset.pov"),
      povSignature: readSignature(dataset["povSignature"], "dataset.povSignature"),
      ...readEvidence("DatasetStatement", dataset, "dataset"),
    },
    model: readEvidence("ModelStatement", model, "model"),
    inference: {
      statement: statementFromJson("InferenceStatement", inference["statement"], "inference.statement"),
      proof: readProof(inference["proof"], "inference.proof"),
      receipt: receiptFromJson(inference["receipt"], "inference.receipt"),
      signatures: {
        user: readSignature(signatures["user"], "inference.signatures.user"),
        node: readSignature(signatures["node"], "inference.signatures.node"),
      },
      ...(inference["attestation"] === undefined
        ? {}
        : { attestation: attestationFromJson(inference["attestation"], "inference.attestation") }),
    },
  };
}

const EVIDENCE_FIELDS = ["statement", "statementSignature", "proof", "verifyingKey", "certificate"];

type Certified<N extends "DatasetStatement" | "ModelStatement"> = Evidence<N> & { certificate: Certificate };

function evidenceToJson<N extends "DatasetStatement" | "ModelStatement">(name: N, evidence: Certified<N>) {
  return {
    statement: statementToJson(name, evidence.statement),
    statementSignature: evidence.statementSignature,
    proof: proofToJson(evidence.proof),
    verifyingKey: verifyingKeyToJson(evidence.verifyingKey),
    certificate: certificateToJson(evidence.certificate),
  };
}

function readEvidence<N extends "DatasetStatement" | "ModelStatement">(
  name: N,
  json: Record<string, unknown>,
  path: string,
): Certified<N> {
  return {
    statement: statementFromJson(name, json["statement"], `${path}.statement`),
    statementSignature: readSignature(json["statementSignature"], `${path}.statementSignature`),
    proof: readProof(json["proof"], `${path}.proof`),
    verifyingKey: readKey(json["verifyingKey"], `${path}.verifyingKey`),
    certificate: certificateFromJson(json["certificate"], `${path}.certificate`),
  };
}

function readSignature(json: unknown, path: string): Hex {
  return within(path, () => {
    assertHex(json, "a signature", 65);
    return json;
  });
}

const PROOF_FIELDS = ["pi_a", "pi_b", "pi_c", "protocol", "curve"];
const KEY_FIELDS = ["protocol", "curve", "nPublic", "vk_alpha_1", "vk_beta_2", "vk_gamma_2", "vk_delta_2", "IC"];

function readProof(json: unknown, path: string): Proof {
  readObject(json, PROOF_FIELDS, CODE, path);
  const proof = within(path, () => parseProof(json));
  requireCanonical(json, proofToJson(proof), path);
  return proof;
}

function readKey(json: unknown, path: string): VerifyingKey {
  readObject(json, KEY_FIELDS, CODE, path);
  const key = within(path, () => parseVerifyingKey(json));
  requireCanonical(json, verifyingKeyToJson(key), path);
  return key;
}

/** Says where in the bundle a parser that knows nothing of bundles failed. */
function within<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof AnchorError)) throw error;
    throw new AnchorError(error.code, `${path}: ${error.message}`, { details: error.details, cause: error });
  }
}

/** snarkjs' JSON has room for more than one spelling, such as the curve "bn254": here it has none. */
function requireCanonical(json: unknown, canonical: unknown, path: string): void {
  if (canonicalJson(json) !== canonicalJson(canonical)) {
    throw new AnchorError(CODE, `${path} is not in canonical form: it has spellings that nothing binds`);
  }
}
