/**
 * Attestation: is this evidence authentic ({@link verify}), and is it good enough ({@link appraise})? Two steps, both pure,
 * synchronous and offline.
 *
 * @module
 */
export {
  checkTaskBinding,
  deviceNonce,
  devicesDigest,
  type TeeTask,
  taskLeaf,
  taskOfInference,
  taskPreimage,
  taskReportData,
} from "./binding.js";
export type * from "./claims.js";
export { INTEL_STATUSES } from "./claims.js";
export {
  type Collateral,
  collateralFromJson,
  collateralToJson,
  type IntelCollateral,
  mergeCollateral,
  type SignedJson,
} from "./collateral.js";
export { type CompositeOptions, type CompositeVerification, type DeviceBinding, verifyComposite } from "./composite.js";
export type { Authentic, Check, Refused, Used, Verification, VerifyOptions } from "./context.js";
export { composeHash } from "./eventLog/compose.js";
export { parseEventLog, verifyEventLog } from "./eventLog/verify.js";
export {
  type Composite,
  type EventLog,
  type Evidence,
  type EvidenceKind,
  evidenceBytes,
} from "./evidence.js";
export { evidenceFromJson, evidenceToJson } from "./evidenceJson.js";
export * from "./foreignBindings.js";
export { type ImportFile, importCollateral } from "./import/index.js";
export { type Alongside, appraise, appraiseComposite } from "./policy/appraise.js";
export type { Expected } from "./policy/expected.js";
export { type Policy, policyDigest, policyFromJson, policyToJson } from "./policy/policy.js";
export {
  awsNitro,
  awsSnp,
  azureVm,
  dstackApp,
  gcpVm,
  gpuNode,
  POLICY_TEMPLATES,
} from "./policy/presets.js";
export { POLICY_SCHEMA } from "./policy/schema.js";
export { type Recognised, readEvidence, readMachines } from "./recognise.js";
export { PINNED_ROOTS, type Roots, rootsFromJson, rootsToJson } from "./roots.js";
export { selectUsed, type Validity, validity } from "./validity.js";
export { type AssuranceTier, type TeeVerdict, teeVerdictToJson } from "./verdict.js";
export { verify } from "./verify.js";
