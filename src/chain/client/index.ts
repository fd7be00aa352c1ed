/**
 * One deployment of the protocol's contracts: a client for each, one method for each thing a user does with it.
 *
 * @module
 */
import type { ContractRunner } from "ethers";
import { AnchorError } from "../../errors.js";
import type { Hex } from "../../field/bytes.js";
import { type CompileContractsOptions, type ContractArtefacts, compileProtocolContracts } from "../compile.js";
import type { Deployment } from "../deploy.js";
import { errorInterface, explainFailure } from "../reverts.js";
import { GateClient } from "./gate.js";
import { LazaiVerifierClient } from "./lazaiVerifier.js";
import { QuorumClient } from "./quorum.js";
import { RegistryClient } from "./registry.js";
import { SettlementClient } from "./settlement.js";
import { TokenClient } from "./token.js";
import { UniversalClient } from "./universal.js";
import { ZkmlVerifierClient } from "./zkmlVerifier.js";

export { type Connection, ContractClient, type Sent } from "./caller.js";
export { type EncodedCertificate, encodeCertificate } from "./certificate.js";
export * from "./gate.js";
export * from "./lazaiGate.js";
export * from "./lazaiVerifier.js";
export * from "./quorum.js";
export * from "./registry.js";
export * from "./settlement.js";
export * from "./token.js";
export * from "./universal.js";
export * from "./validationResponder.js";
export * from "./zkmlVerifier.js";

export class AnchorClient {
  readonly deployment: Deployment;
  readonly registry: RegistryClient;
  readonly universal: UniversalClient;
  readonly quorum: QuorumClient;
  readonly token: TokenClient;
  readonly gate: GateClient;
  readonly settlement: SettlementClient;
  readonly zkmlVerifier: ZkmlVerifierClient;
  readonly lazaiVerifier: LazaiVerifierClient;

  private constructor(deployment: Deployment, runner: ContractRunner, artefacts: ContractArtefacts) {
    const at = (address: Hex) => ({ address, runner, artefacts });
    this.deployment = deployment;
    this.registry = new RegistryClient(at(deployment.registry));
    this.universal = new UniversalClient(at(deployment.universal));
    this.quorum = new QuorumClient(at(deployment.quorum));
    this.token = new TokenClient(at(deployment.token));
    this.gate = new GateClient(at(deployment.gate));
    this.settlement = new SettlementClient(at(deployment.settlement));
    this.zkmlVerifier = new ZkmlVerifierClient(at(deployment.zkmlVerifier));
    this.lazaiVerifier = new LazaiVerifierClient(at(deployment.lazaiVerifier));
  }

  /**
   * @param runner  a signer, or a provider for reading only
   * @throws CHAIN_UNAVAILABLE when the node is on another chain than the deployment, or has no gate at its address
   */
  static async connect(
    deployment: Deployment,
    runner: ContractRunner,
    options: CompileContractsOptions = {},
  ): Promise<AnchorClient> {
    const artefacts = await compileProtocolContracts(options);
    await checkChain(deployment, runner, artefacts);
    return new AnchorClient(deployment, runner, artefacts);
  }
}

async function checkChain(deployment: Deployment, runner: ContractRunner, artefacts: ContractArtefacts): Promise<void> {
  const provider = runner.provider;
  if (!provider) throw new AnchorError("INPUT_INVALID", "the signer must be connected to a provider");
  let chainId: bigint;
  let code: string;
  try {
    chainId = (await provider.getNetwork()).chainId;
    code = await provider.getCode(deployment.gate);
  } catch (error) {
    throw await explainFailure(error, "connecting", errorInterface(artefacts), provider);
  }
  if (chainId !== deployment.chainId || code === "0x") {
    throw new AnchorError(
      "CHAIN_UNAVAILABLE",
      "the node does not hold this deployment; check its URL and the addresses",
      {
        details: {
          expected: deployment.chainId.toString(),
          chainId: chainId.toString(),
          gate: deployment.gate,
        },
      },
    );
  }
}
