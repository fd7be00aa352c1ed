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
  solcVersion,
} from "./compile.js";
export { type Deployment, type DeployOptions, deployProtocol, deployVerifier } from "./deploy.js";
export { GENERATOR_VERSION, type GenerateVerifierOptions, generateVerifier, MAX_PUBLIC_SIGNALS } from "./generate.js";
export { type ConnectOptions, connectProvider } from "./provider.js";
export { type VerifierSource, verifySource } from "./verifySource.js";
