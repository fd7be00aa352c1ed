/**
 * The chain: compile, generate, deploy and call the contracts. The only part that loads ethers and solc.
 *
 * @module
 */
export { type Anvil, type AnvilOptions, findAnvil, startAnvil } from "./anvil.js";
export * from "./client/index.js";
export {
  artefact,
  COMPILER_SETTINGS,
  type CompileContractsOptions,
  type ContractArtefact,
  type ContractArtefacts,
  compileContracts,
  compileProtocolContracts,
  protocolSources,
  type StorageLayout,
  solcVersion,
} from "./compile.js";
export {
  type ContractName,
  type Deployment,
  type DeploymentPlan,
  type DeployOptions,
  type DeployParameters,
  deployLazaiGate,
  deployProtocol,
  deployValidationResponder,
  deployVerifier,
  estimateDeployment,
  type GasEstimate,
  type LazaiGateParameters,
  type PlannedContract,
  type PlanOptions,
  planDeployment,
  type RunOptions,
  runDeployment,
  type VerifierFile,
} from "./deploy.js";
export {
  type ContractRecord,
  type DeploymentRecord,
  readDeployment,
  readDeploymentRecord,
  writeDeploymentRecord,
} from "./deployment.js";
export { GENERATOR_VERSION, type GenerateVerifierOptions, generateVerifier, MAX_PUBLIC_SIGNALS } from "./generate.js";
export * from "./lazai/index.js";
export { type ConnectOptions, connectProvider } from "./provider.js";
export { type ContractStatus, type DeploymentStatus, inspectDeployment } from "./status.js";
export { encodeUniversalKey, type UniversalKey, type UniversalKeyOptions } from "./universal.js";
export { type VerifierSource, verifySource } from "./verifySource.js";
