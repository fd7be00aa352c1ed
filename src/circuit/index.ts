export { type CircuitSource, type CompiledCircuit, type CompileOptions, compileCircuit } from "./compile.js";
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
export { checkWitness, circuitDigest, type R1cs, type R1csHeader, readR1cs, readR1csHeader } from "./r1cs.js";
export { type CircuitKey, developmentKey, type SetupOptions, setupDevelopment } from "./setup.js";
export { ArtefactStore, defaultStore, defaultStoreRoot } from "./store.js";
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
export { type CircuitInputs, calculateWitness, calculateWtns } from "./witness.js";
export { readZkeyHeader, type ZkeyHeader } from "./zkey.js";
