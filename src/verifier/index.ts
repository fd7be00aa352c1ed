export {
  evidenceDigest,
  type G1Affine,
  type G2Affine,
  type Groth16Item,
  keyDigest,
  type Proof,
  parseProof,
  parsePublicSignals,
  parseVerifyingKey,
  proofToJson,
  proofWords,
  type SnarkjsProof,
  type SnarkjsVerifyingKey,
  type VerifyingKey,
  verifyGroth16,
  verifyGroth16Batch,
  verifyingKeyToJson,
} from "./groth16.js";
export { inspectVerifyingKey, type KeyCheck, lintVerifyingKey } from "./lint.js";
export { verifyStatement } from "./statement.js";
