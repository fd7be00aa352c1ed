/**
 * A TDREPORT (Intel TDX module specification, TDREPORT_STRUCT) held against the quote that was made of it.
 *
 * Only the CPU that made a TDREPORT can check its MAC; here the quote vouches for what it says. Of the report's fields the CPU's
 * SVN, the identity of the key and the MAC are in no quote, and nothing is taken from them.
 *
 * @module
 */
import { type Hex, toHex } from "../../field/bytes.js";
import type { IntelClaims } from "../claims.js";
import { demand } from "../context.js";
import { sha384 } from "../eventLog/events.js";
import { equalBytes, isZero } from "../read/bytes.js";

/** Offset and length of a field, by the name that claims have for it. */
const MEASUREMENTS: Record<string, readonly [number, number]> = {
  mrSeam: [280, 48],
  mrTd: [528, 48],
  mrConfigId: [576, 48],
  mrOwner: [624, 48],
  mrOwnerConfig: [672, 48],
  rtmr0: [720, 48],
  rtmr1: [768, 48],
  rtmr2: [816, 48],
  rtmr3: [864, 48],
};

/** TEE_TCB_INFO and TDINFO, and where the report has their SHA-384. */
const PARTS = [
  { name: "TEE_TCB_INFO", from: 256, until: 495, hash: 32 },
  { name: "TDINFO", from: 512, until: 1024, hash: 80 },
] as const;

/** @throws EVIDENCE_MALFORMED for no TDREPORT; BINDING_MISMATCH, naming the field */
export function requireSameTd(report: Uint8Array, quote: IntelClaims): void {
  const at = (offset: number, length: number): Uint8Array => report.subarray(offset, offset + length);
  demand(report.length === 1024, "EVIDENCE_MALFORMED", `a TDREPORT of ${report.length} bytes instead of 1024`);
  demand(
    report[0] === 0x81 && report[1] === 0,
    "EVIDENCE_MALFORMED",
    "the HCL report's TDREPORT is of another kind of TEE",
  );
  demand(
    isZero(at(3, 13)) && isZero(at(192, 32)) && isZero(at(495, 17)),
    "EVIDENCE_MALFORMED",
    "reserved bytes of the TDREPORT are not zero",
  );
  for (const { name, from, until, hash } of PARTS) {
    demand(
      equalBytes(sha384(report.subarray(from, until)), at(hash, 48)),
      "EVIDENCE_MALFORMED",
      `the TDREPORT's hash of its ${name} is another's`,
    );
  }
  const same = (what: string, offset: number, length: number, has: Hex | undefined): void => {
    const value = toHex(at(offset, length));
    demand(value === has, "BINDING_MISMATCH", `the TDREPORT has ${what} ${value}, and the quote ${has ?? "none"}`);
  };
  const { tdx } = quote;
  demand(tdx !== undefined, "BINDING_MISMATCH", "the quote beside the TDREPORT is not of a TD");
  same("report data", 128, 64, quote.reportData);
  same("TEE_TCB_SVN", 264, 16, tdx.teeTcbSvn);
  same("MRSIGNERSEAM", 328, 48, tdx.mrSignerSeam);
  same("SEAMATTRIBUTES", 376, 8, tdx.seamAttributes);
  same("TDATTRIBUTES", 512, 8, tdx.tdAttributes);
  same("XFAM", 520, 8, tdx.xfam);
  if (tdx.teeTcbSvn2 !== undefined) same("TEE_TCB_SVN2", 384, 16, tdx.teeTcbSvn2);
  if (tdx.mrServiceTd !== undefined) same("the service TDs' hash", 912, 48, tdx.mrServiceTd);
  for (const [name, [offset, length]] of Object.entries(MEASUREMENTS)) {
    same(name, offset, length, quote.measurements[name]);
  }
}
