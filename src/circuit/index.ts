export {
  type AttackOptions,
  findSecondWitness,
  type Mutation,
  type SearchOptions,
  type SecondWitness,
  singleMutations,
} from "./attack.js";
export {
  type Ceremony,
  type CeremonyContribution,
  type CeremonyHead,
  type ContributionPackage,
  ceremonyFromJson,
  ceremonyId,
  ceremonyToJson,
  checkCeremony,
  packageFromJson,
  packageToJson,
} from "./ceremony.js";
export {
  isVerifiedCeremony,
  type VerifiedCeremony,
  type VerifyCeremonyOptions,
  verifyCeremony,
} from "./ceremonyCheck.js";
export { ceremonyReport } from "./ceremonyReport.js";
export { CeremonyState, type CreateOptions, type FinalizeOptions } from "./ceremonyState.js";
export { type CircuitSource, type CompiledCircuit, type CompileOptions, compileCircuit } from "./compile.js";
export {
  CoordinatorClient,
  contributeOverHttp,
  contributeToFile,
  type HttpMemberOptions,
  type MemberOptions,
} from "./contributor.js";
export { type Coordinator, type CoordinatorOptions, startCoordinator } from "./coordinator.js";
export {
  checkDeterminism,
  type DeterminismOptions,
  type DeterminismReport,
  type Explanation,
  type Undetermined,
} from "./determinism.js";
export { readArtefact } from "./entry.js";
export {
  type CeremonyVerifier,
  exportVerifyingKey,
  type KeyFileCheck,
  type KeyLevel,
  type KeyLintOptions,
  type KeyReport,
  lintKeyFile,
  requireSound,
} from "./keylint.js";
export {
  applyBeacon,
  contribute,
  type LongWork,
  newPhase2Key,
  verifyContribution,
  verifyPhase2,
  verifyPhase2VerifyingKey,
} from "./phase2.js";
export {
  describePtau,
  type ImportedPtau,
  type ImportOptions,
  importPtau,
  listPtau,
  newDevelopmentPtau,
  type PtauDescription,
  ptauDigest,
} from "./ptau.js";
export {
  type CircuitRows,
  checkWitness,
  circuitDigest,
  describeR1cs,
  type R1cs,
  type R1csHeader,
  readR1cs,
  readR1csHeader,
} from "./r1cs.js";
export { type CircuitKey, developmentKey, openCircuitKey, type SetupOptions, setupDevelopment } from "./setup.js";
export {
  ArtefactStore,
  type BuildOptions,
  defaultStore,
  defaultStoreRoot,
  type PruneOptions,
  type StoreItem,
  type StoreWork,
} from "./store.js";
export { buildProgram } from "./synthesis/program.js";
export {
  type Beacon,
  beaconKey,
  type Contribution,
  type ContributionFault,
  decodeTranscript,
  encodeTranscript,
  type Transcript,
  type TranscriptOptions,
  verifyTranscript,
} from "./transcript.js";
export { type CircuitInputs, calculateWitness, calculateWtns, decodeWtns } from "./witness.js";
export { readZkeyHeader, type ZkeyHeader } from "./zkey.js";
