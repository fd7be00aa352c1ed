/**
 * How an enclave's evidence is bound to a task, so that it shows *this* answer and no other.
 *
 *     pre           = keccak256(BINDING, chain id, contract, task id, model digest, input commitment, output commitment,
 *                               keccak256(enclave key), nonce)
 *     GPU nonce     = keccak256(GPU, pre)
 *     devices       = keccak256(DEVICES, digests of the devices' evidence, ascending), or zero without devices
 *     leaf          = keccak256(REPORT, pre, devices)
 *     report data   = leaf ‖ nonce                                   SGX, TDX, SNP, CCA
 *
 * All of it in 32-byte words, as `keccak256(abi.encode(…))` has them, so that a contract can rebuild it for a few hundred
 * gas. The order matters: devices answer to a nonce that names the task, and the CPU's report then names their answers, so
 * that neither can be of another task or machine's run. What is *not* shown: that the devices sit in the same machine. Until
 * devices attest their link (TDISP), a GPU can be relayed from elsewhere by whoever runs the CPU's guest.
 *
 * Nitro documents have fields of their own: user data = leaf, nonce = nonce, public key = the enclave's key. A vTPM quote's
 * qualifying data = leaf, for it has no room for more.
 *
 * @module
 */
import { AnchorError } from "../errors.js";
import { concat, fromHex, type Hex, keccak, tag, toHex, word, wordHex } from "../field/bytes.js";
import type { Domain } from "../protocol/eip712.js";
import { CIRCUIT_TYPES, contextSignal, type InferenceStatement } from "../protocol/statements.js";
import type { Claims } from "./claims.js";

/** What evidence is bound to. Commitments and outputs are field elements, or any 256-bit numbers. */
export interface TeeTask {
  chainId: bigint;
  /** The contract that will rely on it: the gate. */
  contract: Hex;
  /** What names the request and its parties: for a statement that is also proven its context, see {@link taskOfInference}. */
  taskId: Hex;
  modelDigest: Hex;
  inputCommitment: bigint;
  outputCommitment: bigint;
  /** Public key that the enclave made, in its own encoding, any length; empty (`0x`) without one. */
  enclaveKey: Hex;
  /** 32 bytes, chosen by whoever asks, for each request anew. */
  nonce: Hex;
}

const TAGS = {
  binding: tag("anchorproof/tee-binding/1"),
  gpu: tag("anchorproof/tee-gpu-nonce/1"),
  devices: tag("anchorproof/tee-devices/1"),
  report: tag("anchorproof/tee-report/1"),
};

/** The statement without the devices. @throws INPUT_INVALID for a field of the wrong type, length or range */
export function taskPreimage(task: TeeTask): Hex {
  const { chainId, contract, taskId, modelDigest, inputCommitment, outputCommitment, enclaveKey, nonce } = task;
  return toHex(
    keccak(
      TAGS.binding,
      uint256(chainId, "chain id"),
      concat(new Uint8Array(12), fromHex(contract, "contract", 20)),
      fromHex(taskId, "task id", 32),
      fromHex(modelDigest, "model digest", 32),
      uint256(inputCommitment, "input commitment"),
      uint256(outputCommitment, "output commitment"),
      keccak(fromHex(enclaveKey, "enclave key")),
      fromHex(nonce, "nonce", 32),
    ),
  );
}

/** The nonce that devices are asked with, 32 bytes. */
export function deviceNonce(task: TeeTask): Hex {
  return toHex(keccak(TAGS.gpu, fromHex(taskPreimage(task), "task")));
}

/** One digest for the evidence of all devices, whatever their order; zero without any. */
export function devicesDigest(evidenceDigests: readonly Hex[]): Hex {
  if (evidenceDigests.length === 0) return toHex(new Uint8Array(32));
  const sorted = [...evidenceDigests].sort().map((digest) => fromHex(digest, "a device's evidence digest", 32));
  return toHex(keccak(TAGS.devices, ...sorted));
}

/** What the CPU's report names: task and devices. */
export function taskLeaf(task: TeeTask, devices: readonly Hex[]): Hex {
  return toHex(
    keccak(TAGS.report, fromHex(taskPreimage(task), "task"), fromHex(devicesDigest(devices), "devices", 32)),
  );
}

/** The 64 bytes that a guest puts into its report. */
export function taskReportData(task: TeeTask, devices: readonly Hex[]): Hex {
  return toHex(concat(fromHex(taskLeaf(task, devices), "leaf"), fromHex(task.nonce, "nonce", 32)));
}

/**
 * The task of a statement that is also proven: both kinds of evidence then speak of the same answer. Its id here is the
 * proof's own context, which names task, requester, payee, key, nonce and deadline: nobody can put another node's attestation
 * beside a proof and a receipt of their own.
 *
 * @param enclaveKey that signs beyond this answer, if any
 */
export function taskOfInference(domain: Domain, statement: InferenceStatement, enclaveKey: Hex = "0x"): TeeTask {
  const { task, modelDigest, inputCommitment, output } = statement;
  return {
    chainId: domain.chainId,
    contract: domain.verifyingContract,
    taskId: wordHex(contextSignal(domain, CIRCUIT_TYPES.inference, task)),
    modelDigest,
    inputCommitment,
    outputCommitment: output,
    enclaveKey,
    nonce: toHex(word(task.nonce)),
  };
}

/**
 * Holds authentic claims against the task that is expected.
 *
 * @param devices evidence digests of all devices that belong to it
 * @throws BINDING_MISMATCH, naming the field; INPUT_INVALID for a malformed task
 */
export function checkTaskBinding(claims: Claims, task: TeeTask, devices: readonly Hex[] = []): void {
  const same = (what: string, has: Hex | undefined, expected: Hex) => {
    if (has === expected) return;
    throw new AnchorError(
      "BINDING_MISMATCH",
      `${what} is ${has ?? "absent"}; this task and its devices need ${expected}`,
    );
  };
  switch (claims.family) {
    case "sgx":
    case "tdx":
    case "snp":
    case "cca":
      same("the report data", claims.reportData, taskReportData(task, devices));
      break;
    case "nitro":
      same("the user data", claims.userData, taskLeaf(task, devices));
      same("the nonce", claims.nonce, task.nonce);
      if (task.enclaveKey !== "0x") same("the public key", claims.publicKey, task.enclaveKey);
      break;
    case "azure-snp":
    case "azure-tdx":
      same("the qualifying data of the TPM quote", claims.nonce, taskLeaf(task, devices));
      break;
    case "nvidia":
    case "nras":
      same("the nonce", claims.nonce, deviceNonce(task));
      break;
  }
}

function uint256(value: bigint, name: string): Uint8Array {
  if (typeof value !== "bigint" || value < 0n || value >> 256n !== 0n) {
    throw new AnchorError("INPUT_INVALID", `${name} must be a bigint of at most 256 bits`);
  }
  return word(value);
}
