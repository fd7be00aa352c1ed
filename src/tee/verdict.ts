/**
 * The verdict: what an appraisal found, as one document that every validator makes alike from the same evidence, collateral,
 * policy, expectations and time.
 *
 * @module
 */
import type { ErrorCode } from "../errors.js";
import type { Hex } from "../field/bytes.js";
import { canonicalJson } from "../protocol/document.js";
import type { Claims, EventLogClaims, FamilyName, NrasClaims, NvidiaClaims } from "./claims.js";
import type { DeviceBinding } from "./composite.js";
import type { Check, Used } from "./context.js";

export const VERDICT_FORMAT = "anchorproof/tee-verdict@1";

/**
 * How much the hardware's word is worth.
 *
 * - `none`: nothing is claimed
 * - `broken`: such hardware's keys can be had without touching it
 * - `remote`: whoever does not get at the machine cannot forge it; where the machine stands is not known
 * - `known-machine`: and the machine is on the policy's list of those in known places
 */
export type AssuranceTier = "none" | "broken" | "remote" | "known-machine";

export interface TeeVerdict {
  format: typeof VERDICT_FORMAT;
  /** Signed by the hardware that it says, with everything about that in order, at the time given. */
  authentic: boolean;
  /** Authentic, and every rule of the policy holds. */
  accepted: boolean;
  /** Accepted, and what runs is on the policy's list: only this shows that a known program ran in a TEE. */
  tee: boolean;
  /** One line for people. */
  summary: string;
  /** Of the CPU's evidence for a whole machine; absent where nothing is authentic. */
  family?: FamilyName;
  /** Why nothing is authentic. */
  failure?: { code: ErrorCode; message: string };
  evidenceDigest: Hex;
  collateralDigest: Hex;
  policyName: string;
  policyDigest: Hex;
  expectedDigest: Hex;
  /** The verification's, then the policy's; of a whole machine the CPU's, then `device 0: …`. */
  checks: Check[];
  claims?: Claims;
  /** Of a whole machine. */
  devices?: NvidiaClaims[];
  tokens?: NrasClaims[];
  deviceBinding?: DeviceBinding;
  /** Without its events, which the digest names. */
  eventLog?: Omit<EventLogClaims, "events">;
  /** What the answer rests on. */
  collateral: Used[];
  assurance: { tier: AssuranceTier; notes: string[] };
  notes: string[];
  /** Unix seconds, as given. */
  verifiedAt: number;
  /** The same inputs give the same answer from here to there, both included, as far as collateral and rules of age go. */
  validFrom?: number;
  validUntil?: number;
}

/** Two processes with the same verdict get the same bytes. */
export function teeVerdictToJson(verdict: TeeVerdict): string {
  return canonicalJson(verdict);
}

const PHYSICAL: Readonly<Partial<Record<FamilyName, string>>> = {
  sgx:
    "whoever gets at the machine's memory bus can read enclaves and take their attestation keys: WireTap and Battering RAM (DDR4), " +
    "TEE.fail (DDR5)",
  tdx: "whoever gets at the machine's memory bus can read TDs and take attestation keys: TEE.fail (DDR5)",
  snp: "whoever gets at the machine's memory bus can read guests and forge reports: Battering RAM (DDR4), TEE.fail (DDR5)",
  nitro: "AWS, who runs the machines, vouches for them: nothing here shows what AWS itself could do",
  nvidia: "a device's evidence can be relayed from another machine: nothing shows yet that it sits in this one (TDISP)",
  nras:
    "NVIDIA's service vouches for what it saw, which can have been relayed from another machine: nothing shows yet that the " +
    "devices sit in this one (TDISP)",
  cca: "no memory encryption is required of platforms: whoever gets at the memory bus may read realms",
};

/** What is known of attacks on such hardware, strongest first. */
export function assuranceOf(
  claims: readonly Claims[],
  { tee, located }: { tee: boolean; located: boolean },
): TeeVerdict["assurance"] {
  const notes: string[] = [];
  const add = (text: string | undefined) => {
    if (text !== undefined && !notes.includes(text)) notes.push(text);
  };
  let isBroken = false;
  for (const each of claims) {
    const inner = each.family === "azure-snp" || each.family === "azure-tdx" ? each.tee : each;
    if (inner.family === "snp" && inner.product === "Milan") {
      isBroken = true;
      add(
        "on Milan the seed of all VCEKs can be had by software alone (arXiv 2605.12990): whoever has it forges reports for any " +
          "patch level",
      );
    }
    add(PHYSICAL[inner.family]);
    if (inner !== each) {
      add(
        "the PCRs are kept by the cloud's paravisor: the hardware vouches for the paravisor, and the paravisor for the guest",
      );
    }
  }
  if (tee && !located) add("the policy lists no machines in known places, so the machine may stand with an attacker");
  const tier = !tee ? "none" : isBroken ? "broken" : located ? "known-machine" : "remote";
  return { tier, notes };
}
