/** Real quotes with their collateral, and the family's verification on its own. */
import type { IntelClaims } from "../../../src/tee/claims.js";
import type { IntelCollateral } from "../../../src/tee/collateral.js";
import { type Verification, type VerifyOptions, verifyWith } from "../../../src/tee/context.js";
import { qvlCollateral } from "../../../src/tee/import/qvl.js";
import { verifyIntel } from "../../../src/tee/intel/verify.js";
import type { IntelLab } from "../../../src/tee/lab/intel.js";
import { type Case, cases, vector, vectorText } from "../vectors.js";

/** The form in which Phala's library keeps collateral, and the vectors with it. */
export interface PhalaCollateral {
  pck_crl_issuer_chain: string;
  root_ca_crl: string;
  pck_crl: string;
  tcb_info_issuer_chain: string;
  tcb_info: string;
  tcb_info_signature: string;
  qe_identity_issuer_chain: string;
  qe_identity: string;
  qe_identity_signature: string;
}

export interface IntelCase {
  id: string;
  quote: Uint8Array;
  entry: IntelCollateral;
  phala: PhalaCollateral;
  at: number;
  validFrom: number;
  validTo: number;
  fails: string[];
  status: string;
  advisories: string[] | null;
  tcbDate: string | null;
}

export function intelCases(): IntelCase[] {
  return cases("intel").map(readCase);
}

export function intelCase(id: string): IntelCase {
  return readCase(cases("intel").find((each) => each.id === id)!);
}

function readCase({ id, at, validFrom, validTo, expect }: Case): IntelCase {
  const phala = JSON.parse(vectorText("intel", id, "collateral.json")) as PhalaCollateral;
  const seconds = (time: unknown) => Date.parse(time as string) / 1000;
  return {
    id,
    quote: vector("intel", id, "quote.bin"),
    entry: qvlCollateral({ ...phala }),
    phala,
    at: at as number,
    validFrom: seconds(validFrom),
    validTo: seconds(validTo),
    ...(expect as Pick<IntelCase, "fails" | "status" | "advisories" | "tcbDate">),
  };
}

export function fromHex(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, "hex"));
}

export function verifyQuote(
  quote: Uint8Array,
  intel: IntelCollateral | readonly IntelCollateral[],
  options: VerifyOptions,
): Verification<IntelClaims> {
  const collateral = { intel: Array.isArray(intel) ? intel : [intel as IntelCollateral] };
  return verifyWith(
    () => quote,
    options,
    (context) => verifyIntel(context, { kind: "intel", quote }, collateral),
  );
}

export function verifyLab(lab: IntelLab, options: Partial<VerifyOptions> = {}): Verification<IntelClaims> {
  return verifyQuote(lab.quote, lab.collateral.intel!, { now: lab.now, roots: lab.roots, ...options });
}

/** The code of the failure, or the status of what was accepted. */
export function verdictOf(verification: Verification<IntelClaims>): string {
  return verification.ok ? verification.claims.status : verification.failure.code;
}

/** The id of the check that failed. */
export function failedCheck(verification: Verification<IntelClaims>): string | undefined {
  return verification.checks.find(({ outcome }) => outcome === "fail")?.id;
}

export function changed(bytes: Uint8Array, at: number, mask = 1): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at]! ^= mask;
  return copy;
}
