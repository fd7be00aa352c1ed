/**
 * Intel's provisioning certification service, version 4.
 *
 * @module
 */
import { AnchorError } from "../../errors.js";
import type { IntelCollateral, SignedJson } from "../collateral.js";
import { readResponse } from "../import/qvl.js";
import { bytesOf, pemBlocks, textOf } from "../wrapping/encoding.js";
import { type Answer, address, type FetchOptions, request } from "./http.js";

export interface IntelPlatform {
  tee: "sgx" | "tdx";
  /** Six bytes in hex, out of the PCK certificate. */
  fmspc: string;
  /** Which CA issued the PCK certificate. */
  ca: "platform" | "processor";
}

export interface IntelFetchOptions extends FetchOptions {
  /**
   * `standard`, unless given, lags behind `early` by months, in which platforms can be patched. Both are signed; a policy's
   * minimum of the evaluation data number tells them apart.
   */
  update?: "standard" | "early";
}

/**
 * Everything that quotes of one kind of platform need.
 *
 * @throws COLLATERAL_UNAVAILABLE, COLLATERAL_MALFORMED, INPUT_INVALID, INPUT_TOO_LARGE, ABORTED
 */
export async function fetchIntelCollateral(
  platform: IntelPlatform,
  options: IntelFetchOptions = {},
): Promise<IntelCollateral> {
  const { tee, ca } = platform;
  const { update = "standard" } = options;
  const fmspc = platform.fmspc.replace(/^0x/, "").toLowerCase();
  if (!/^[0-9a-f]{12}$/.test(fmspc)) throw new AnchorError("INPUT_INVALID", "an FMSPC is six bytes in hex");
  if (tee !== "sgx" && tee !== "tdx") throw new AnchorError("INPUT_INVALID", 'tee must be "sgx" or "tdx"');
  if (ca !== "platform" && ca !== "processor")
    throw new AnchorError("INPUT_INVALID", 'ca must be "platform" or "processor"');
  const pcs = (path: string, what: string) => request(address("intelPcs", path, options), what, options);
  const [tcb, qe, pckCrl, rootCrl] = await Promise.all([
    pcs(`/${tee}/certification/v4/tcb?fmspc=${fmspc}&update=${update}`, `TCB info of ${fmspc}`),
    pcs(`/${tee}/certification/v4/qe/identity?update=${update}`, "identity of the quoting enclave"),
    pcs(`/sgx/certification/v4/pckcrl?ca=${ca}&encoding=der`, "revocation list of PCK certificates"),
    request(address("intelRootCrl", "", options), "revocation list of the root CA", options),
  ]);
  return {
    tcbInfo: signed(tcb, "tcbInfo", ["TCB-Info-Issuer-Chain", "SGX-TCB-Info-Issuer-Chain"]),
    qeIdentity: signed(qe, "qeIdentity", ["SGX-Enclave-Identity-Issuer-Chain"]),
    rootCrl: list(rootCrl),
    pckCrl: list(pckCrl),
    pckCrlChain: chain(pckCrl, ["SGX-PCK-CRL-Issuer-Chain"]),
  };
}

function signed(answer: Answer, kind: "tcbInfo" | "qeIdentity", headers: readonly string[]): SignedJson {
  const text = textOf(answer.bytes);
  const response = text === undefined ? undefined : readResponse(text);
  if (response?.kind !== kind) {
    throw new AnchorError("COLLATERAL_MALFORMED", `Intel's service answers with something else than ${kind}`);
  }
  return { json: response.json, signature: response.signature, chain: chain(answer, headers) };
}

/** URL-encoded PEM in a header. */
function chain(answer: Answer, headers: readonly string[]): Uint8Array[] {
  const value = headers.map((name) => answer.header(name)).find((each) => each !== undefined);
  let text = "";
  try {
    text = decodeURIComponent(value ?? "");
  } catch {
    // Told below, as any other text without certificates.
  }
  const certificates = pemBlocks(text).flatMap(({ label, bytes }) => (label === "CERTIFICATE" ? [bytes] : []));
  if (certificates.length === 0) {
    throw new AnchorError("COLLATERAL_MALFORMED", `Intel's service sends no certificates in the header ${headers[0]}`);
  }
  return certificates;
}

/** DER; caching services send it in hex, and Intel's own in PEM where nobody asked for DER. */
function list({ bytes }: Answer): Uint8Array {
  if (bytes[0] === 0x30 && bytes[1]! >= 0x80) return bytes;
  const text = textOf(bytes)?.trim();
  return (text === undefined ? undefined : (pemBlocks(text)[0]?.bytes ?? bytesOf(text))) ?? bytes;
}
