export { factFromJson, isFact, type ProvenFact, type VerifiedFact, verifyFact } from "../dataset/fact.js";
export { checkOpenedRecord } from "../dataset/opening.js";
export {
  type Expectation,
  type ProofSet,
  proofSetFromJson,
  type TrustedCircuit,
  type VerifiedSet,
  verifyProofSet,
} from "../dataset/proofSet.js";
export { canonicalJson, documentDigest, parseDocument } from "../protocol/document.js";
export { ASSURANCE_MODES, type Assurance, type AssuranceMode } from "./assurance.js";
export { type Attestation, appraiseAnswer, type TeeTrust } from "./attestation.js";
export * from "./bundle.js";
export { domains, type Trust, type TrustedKey, trustFromJson, trustToJson } from "./trust.js";
export {
  type Claim,
  receiptSplit,
  reviewDataset,
  reviewModel,
  type Verdict,
  verdictToJson,
  verifyBundle,
} from "./verdict.js";
