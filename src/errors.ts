/**
 * The one error class of the project.
 *
 * Every failure that a caller can meet is an {@link AnchorError} with a stable `code`. Codes are part of the public
 * interface: they are added, never renamed. The message is one line that says what to do; `details` carries the values.
 *
 * @module
 */

/** Every code, with what it means. Grouped by the part that raises it. */
export const ERROR_CODES = {
  // input
  INPUT_INVALID: "a value has the wrong type, range or encoding",
  INPUT_TOO_LARGE: "an input is larger than the stated limit",
  FILE_NOT_FOUND: "a named file does not exist",
  FILE_UNREADABLE: "a file exists but cannot be read or written",
  JSON_MALFORMED: "a file is not valid JSON",
  FORMAT_UNSUPPORTED: "a file's format or version is not one this release reads",
  USAGE: "a command was called with wrong words",
  OUT_OF_MEMORY: "the machine has too little memory for this work",
  NATIVE_UNAVAILABLE: "the native core is not built, or does not load on this machine",
  CUDA_UNAVAILABLE: "there is no GPU library, no driver that serves it, or no NVIDIA GPU",
  CUDA_FAILED: "a GPU reported an error, or was lost",
  // dataset
  DATASET_EMPTY: "a dataset has no records",
  DATASET_CHUNK_UNKNOWN: "a chunk index lies outside the dataset",
  DATASET_RECORD_UNKNOWN: "a record's number lies outside the dataset",
  DATASET_MALFORMED: "a file of records is damaged, or not what its format asks for",
  CLAIM_INVALID: "a claim about a dataset is not well formed, or does not fit its columns",
  CLAIM_FALSE: "a claim does not hold of the dataset",
  PROOF_SET_INVALID: "a set of proofs is incomplete, out of order, or shows something else than is claimed",
  DATASET_MISMATCH: "data does not hash to the commitment beside it",
  POV_INVALID: "a POV submission breaks its schema, its limits or its clock rule",
  // circuit and keys
  CIRCUIT_COMPILE: "Circom refused the circuit",
  CIRCUIT_MALFORMED: "a circuit artefact (r1cs, wasm) is damaged",
  CIRCUIT_UNDETERMINED: "a circuit leaves a prover a choice, or is not shown to leave none",
  WITNESS_INVALID: "the inputs do not satisfy the circuit",
  KEY_MALFORMED: "a proving or verifying key is damaged or not canonical",
  KEY_FORGEABLE: "a verifying key admits forged proofs",
  KEY_DEVELOPMENT: "a development key was used where a production key is needed",
  CONTRIBUTION_INVALID: "a contribution to a key is forged, damaged, out of order or of another key",
  KEY_UNKNOWN: "a key is not among the trusted or registered ones",
  PTAU_INVALID: "powers of tau are damaged, inconsistent, too small, or not the ones named",
  CEREMONY_INVALID: "a ceremony manifest breaks its schema, or does not fit the key, circuit or powers beside it",
  CEREMONY_REFUSED: "a ceremony does not take this step now, or not from this member",
  COORDINATOR_UNAVAILABLE: "no ceremony coordinator answers, or what answers is none",
  CACHE_DAMAGED: "a cached artefact does not match its digest",
  // proving
  PROVE_FAILED: "a backend could not make a proof",
  PROOF_MALFORMED: "a proof is not three canonical BN254 points",
  PROOF_INVALID: "a proof does not verify",
  POOL_CLOSED: "the prover pool no longer takes jobs",
  POOL_FULL: "the prover pool's queue is at its limit",
  WORKER_CRASHED: "a worker thread died while it held a job",
  DEADLINE_PASSED: "a job's or statement's deadline has passed",
  ABORTED: "the caller stopped the operation",
  // model
  MODEL_MALFORMED: "a model file is damaged or not ONNX",
  MODEL_OP_UNSUPPORTED: "a model uses an operator, dtype or shape that cannot be compiled",
  MODEL_UNBOUNDED: "no proven bound for a layer's accumulator",
  // statements, quorum, settlement
  STATEMENT_INVALID: "a statement breaks its schema",
  CONTEXT_ZERO: "a statement's context is zero, which every circuit forbids",
  SIGNATURE_INVALID: "a signature is malformed or by someone else",
  CERTIFICATE_INVALID: "a certificate's votes are malformed, foreign, repeated or not over this statement",
  QUORUM_NOT_REACHED: "the accepting weight is not more than two thirds",
  VOTE_CONFLICT: "another vote was signed for the same quorum, epoch, task and round",
  EPOCH_UNKNOWN: "a certificate names an epoch that is not trusted",
  RECEIPT_INVALID: "a usage receipt breaks a rule",
  VERDICT_REJECTED: "a validator refuses a submission",
  // bundle
  BUNDLE_INVALID: "a bundle breaks its schema",
  TRUST_INVALID: "a trust file breaks its schema",
  UNANCHORED: "a bundle was checked without a trust file",
  CLAIM_FAILED: "a claim of a bundle does not hold",
  // attestation: evidence
  EVIDENCE_UNKNOWN: "a file is no attestation evidence of a kind that is known here",
  EVIDENCE_MALFORMED: "evidence is truncated, overlong or not laid out as its specification says",
  TRAILING_DATA: "something follows the end of evidence that a format does not allow there",
  UNSUPPORTED_QUOTE_VERSION: "a quote has a version or a body that is not supported",
  UNSUPPORTED_ATT_KEY_TYPE: "a quote is signed by another kind of attestation key than ECDSA on P-256",
  UNSUPPORTED_REPORT_VERSION: "a report has a version or an algorithm that is not supported",
  DEBUG_ENABLED: "the environment can be read from outside: it runs in debug mode",
  // attestation: time
  BAD_TIME: "the time to verify at is not a whole number of Unix seconds",
  NOT_YET_VALID: "something that a verification used was not valid yet at the time to verify at",
  EXPIRED: "something that a verification used was no longer valid at the time to verify at",
  // attestation: certificates
  CERT_MALFORMED: "a certificate is not strict DER, or not X.509 version 3",
  CHAIN_INCOMPLETE: "a certificate chain lacks a certificate, or holds too many",
  CHAIN_UNTRUSTED: "a certificate chain ends in another root than the pinned ones",
  CHAIN_ISSUER: "a certificate names another issuer than the next one of its chain",
  CHAIN_SIGNATURE: "a certificate is not signed by the next one of its chain",
  CHAIN_CONSTRAINTS: "a certificate may not be used in its place: CA flag, path length, key usage, name or extension",
  CERT_REVOKED: "a certificate is on the revocation list of its issuer",
  CRL_MISSING: "a revocation list that has to be checked is not among the collateral",
  CRL_MALFORMED: "a revocation list is not strict DER, or not X.509 version 2",
  CRL_SIGNATURE: "a revocation list is not signed by its issuer",
  CRL_ISSUER_MISMATCH: "a revocation list is of another issuer",
  REVOCATION_UNKNOWN: "nothing says whether a certificate is revoked",
  // attestation: collateral
  COLLATERAL_MISSING: "collateral that a verification needs is not there",
  COLLATERAL_MALFORMED: "collateral is not laid out as its specification says",
  COLLATERAL_UNAVAILABLE: "a vendor's service cannot be reached, or does not have what it was asked for",
  // attestation: Intel
  QE_VENDOR_ID: "a quote is by another quoting enclave's vendor than Intel",
  QUOTE_SIGNATURE: "a quote is not signed by its attestation key",
  QE_REPORT_SIGNATURE: "the report of the quoting enclave is not signed by the PCK certificate's key",
  QE_REPORT_DATA: "the report of the quoting enclave does not vouch for the attestation key",
  QE_IDENTITY_SIGNATURE: "the identity of the quoting enclave is not signed by Intel",
  QE_IDENTITY_MISMATCH: "the quoting enclave is not the one that Intel's identity describes",
  TCB_INFO_SIGNATURE: "TCB info is not signed by Intel",
  TCB_INFO_MISMATCH: "TCB info is of another platform, or of another kind of TEE",
  TCB_SIGNER_CN: "collateral is signed under another name than Intel SGX TCB Signing",
  TCB_NOT_SUPPORTED: "no level of the TCB info fits the platform",
  TDX_MODULE_MISMATCH: "the TDX module is not one that TCB info describes",
  // attestation: AMD
  REPORT_SIGNATURE: "a report is not signed by the key of its certificate",
  SIGNING_KEY_MISMATCH: "a report names another kind of signing key than its certificate is",
  TCB_EXT_MISMATCH: "a certificate is for another TCB than the report's",
  CHIP_ID_MISMATCH: "a certificate is of another chip than the report's",
  PRODUCT_MISMATCH: "report, certificate and root are of different products",
  TCB_INCONSISTENT: "the TCB versions of a report contradict each other",
  // attestation: COSE, tokens
  COSE_HEADER: "a COSE message has other headers than its specification asks for",
  COSE_SIGNATURE: "a COSE message is not signed by the key of its certificate",
  TOKEN_MALFORMED: "a token is not a compact JWS with an expected header",
  TOKEN_SIGNATURE: "a token is not signed by the key that it names",
  TOKEN_CLAIMS: "a token's claims contradict each other, or what is expected",
  ATTESTATION_REFUSED: "a service that was asked about evidence says, authentically, that it is not in order",
  // attestation: NVIDIA
  SPDM_SIGNATURE: "an SPDM report is not signed by the device's certificate",
  FWID_MISMATCH: "a device certificate is for other firmware than the report's",
  RIM_SIGNATURE: "a reference manifest is not signed by NVIDIA, or not as a whole",
  RIM_MISMATCH: "a reference manifest is of another version or product, or contradicts another one",
  MEASUREMENT_MISMATCH: "a measurement differs from every reference value for it",
  DUPLICATE_DEVICE: "one device stands for two",
  DEVICE_COUNT: "there are fewer or more devices than expected",
  NONCE_MISMATCH: "evidence was made for another nonce",
  // attestation: TPM, event logs, composites
  TPM_SIGNATURE: "a TPM quote is not signed by the attestation key",
  TPM_MISMATCH: "a TPM quote does not cover the values beside it",
  BINDING_MISMATCH: "two pieces of evidence are not bound to each other",
  EVENT_LOG_MISMATCH: "an event log does not replay to the registers of the quote",
  EVENT_LOG_MALFORMED: "an event log is not laid out as its specification says",
  POLICY_INVALID: "an appraisal policy breaks its schema",
  APPRAISAL_FAILED: "authentic evidence does not meet the policy",
  // chain
  CONTRACT_COMPILE: "solc refused a contract",
  CONTRACT_MISMATCH:
    "a contract's source is not what the generator writes for its key, or its code not what was deployed",
  CHAIN_UNAVAILABLE: "no EVM node answers, or anvil is not installed",
  CHAIN_REVERTED: "a contract refused a call",
  // anything that should not happen
  INTERNAL: "a defect of anchorproof itself; please report it",
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

export interface AnchorErrorOptions {
  /** Values that help to find the cause. Never secrets: they are printed. */
  details?: Record<string, unknown>;
  cause?: unknown;
}

export class AnchorError extends Error {
  override readonly name = "AnchorError";
  readonly code: ErrorCode;
  readonly details: Record<string, unknown>;

  constructor(code: ErrorCode, message: string, options: AnchorErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }

  /** The form that crosses a worker's or a process's boundary; {@link AnchorError.fromJSON} reads it back. */
  toJSON(): { code: ErrorCode; message: string; details: Record<string, unknown> } {
    return { code: this.code, message: this.message, details: this.details };
  }

  static fromJSON(value: { code: ErrorCode; message: string; details?: Record<string, unknown> }): AnchorError {
    return new AnchorError(value.code, value.message, { details: value.details ?? {} });
  }
}

/** True for an {@link AnchorError}, and with `code` given, only for one with that code. */
export function isAnchorError(error: unknown, code?: ErrorCode): error is AnchorError {
  return error instanceof AnchorError && (code === undefined || error.code === code);
}

/** Wraps anything thrown by foreign code; an {@link AnchorError} passes through unchanged. */
export function toAnchorError(error: unknown, code: ErrorCode, message: string): AnchorError {
  if (error instanceof AnchorError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new AnchorError(code, `${message}: ${firstLine(reason)}`, { cause: error });
}

/** Throws `ABORTED` when the signal has fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new AnchorError("ABORTED", "stopped on request", { cause: signal.reason });
}

function firstLine(text: string): string {
  const line = text.split("\n", 1)[0] ?? "";
  return line.length > 300 ? `${line.slice(0, 300)}…` : line;
}
