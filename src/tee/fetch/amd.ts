/**
 * AMD's key distribution service.
 *
 * @module
 */
import { AnchorError } from "../../errors.js";
import type { SnpProductName, SnpTcb } from "../claims.js";
import { chipIdBytes } from "../snp/tcb.js";
import { pemBlocks, textOf } from "../wrapping/encoding.js";
import { address, type FetchOptions, request } from "./http.js";

/**
 * The certificate of a chip's key for one TCB, DER.
 *
 * @param chipId 64 bytes, as in the report
 * @param tcb    the reported one
 * @throws COLLATERAL_UNAVAILABLE, INPUT_INVALID, INPUT_TOO_LARGE, ABORTED; the service allows few requests an hour
 */
export async function fetchVcek(
  product: SnpProductName,
  chipId: Uint8Array,
  tcb: SnpTcb,
  options: FetchOptions = {},
): Promise<Uint8Array> {
  if (chipId.length !== 64) throw new AnchorError("INPUT_INVALID", "a chip id has 64 bytes");
  if (chipId.every((byte) => byte === 0)) {
    throw new AnchorError("INPUT_INVALID", "the report hides its chip id: its VLEK comes from the cloud, not from AMD");
  }
  const id = Buffer.from(chipId.subarray(0, chipIdBytes(product))).toString("hex");
  const query = new URLSearchParams({
    ...(product === "Turin" ? { fmcSPL: spl(tcb.fmc ?? 0) } : {}),
    blSPL: spl(tcb.bootloader),
    teeSPL: spl(tcb.tee),
    snpSPL: spl(tcb.snp),
    ucodeSPL: spl(tcb.microcode),
  });
  const url = address("amdKds", `/vcek/v1/${product}/${id}?${query}`, options);
  const { bytes } = await request(url, `VCEK of this chip and TCB`, options);
  return bytes;
}

function spl(value: number): string {
  if (!Number.isInteger(value) || value < 0 || value > 255) {
    throw new AnchorError("INPUT_INVALID", "parts of a TCB version are numbers from 0 to 255");
  }
  return String(value).padStart(2, "0");
}

/** ASK or ASVK, and ARK, DER. */
export async function fetchAmdChain(
  product: SnpProductName,
  kind: "vcek" | "vlek" = "vcek",
  options: FetchOptions = {},
): Promise<Uint8Array[]> {
  const url = address("amdKds", `/${kind}/v1/${product}/cert_chain`, options);
  const { bytes } = await request(url, `chain of ${product}`, options);
  const certificates = pemBlocks(textOf(bytes) ?? "").flatMap(({ label, bytes: der }) =>
    label === "CERTIFICATE" ? [der] : [],
  );
  if (certificates.length === 0) {
    throw new AnchorError("COLLATERAL_MALFORMED", "AMD's service answers with something else than certificates");
  }
  return certificates;
}

/** By the ARK: which ASKs, ASVKs and VLEKs are revoked. DER. */
export async function fetchAmdCrl(product: SnpProductName, options: FetchOptions = {}): Promise<Uint8Array> {
  const url = address("amdKds", `/vcek/v1/${product}/crl`, options);
  const { bytes } = await request(url, `revocation list of ${product}`, options);
  return bytes;
}
