/**
 * What evidence is bound to: a task, a nonce, or bytes that the policy or the request names. And how recent vendors' statements are.
 *
 * @module
 */

import { AnchorError } from "../../errors.js";
import type { Hex } from "../../field/bytes.js";
import { checkTaskBinding, deviceNonce as nonceOfTask } from "../binding.js";
import type { Claims } from "../claims.js";
import { time, type Used } from "../context.js";
import { type Appraisal, need, some } from "./appraisal.js";
import { type Expected, NONCE_BYTES } from "./expected.js";
import type { Policy } from "./policy.js";

/** The bytes that the guest chose. */
function chosenBytes(claims: Claims): { what: string; bytes: Hex | undefined } {
  switch (claims.family) {
    case "nitro":
      return { what: "user data", bytes: claims.userData };
    case "azure-snp":
    case "azure-tdx":
      return { what: "qualifying data of the TPM quote", bytes: claims.nonce };
    case "nvidia":
    case "nras":
      return { what: "nonce", bytes: claims.nonce };
    default:
      return { what: "report data", bytes: claims.reportData };
  }
}

function userDataOf(claims: Claims): Hex | undefined {
  if (claims.family === "nitro") return claims.userData;
  // Written by the guest into the TPM, and into the runtime data from there.
  return claims.family === "azure-snp" || claims.family === "azure-tdx" ? claims.reportData : undefined;
}

export function isDevice({ family }: Claims): boolean {
  return family === "nvidia" || family === "nras";
}

/** @param isPart of a machine's evidence, whose CPU's report is what the policy's binding is about */
export function appraiseBinding(
  appraisal: Appraisal,
  claims: Claims,
  policy: Pick<Policy, "binding" | "requireNonce">,
  expected: Expected,
  isPart: boolean,
): void {
  const { task, devices = [], reportData, reportDataPrefix, publicKey, userData } = expected;
  const { what, bytes } = chosenBytes(claims);
  const nonce = isDevice(claims)
    ? (expected.deviceNonce ?? (task ? nonceOfTask(task) : expected.nonce))
    : expected.nonce;

  // What the request expects is looked at whatever the policy says.
  if (expected.deviceNonce !== undefined && !isDevice(claims)) {
    appraisal.check("binding.device-nonce", "devices answer to the nonce that they were asked with", () => {
      throw new AnchorError("BINDING_MISMATCH", "a nonce of devices is expected, and this is evidence of a CPU alone");
    });
  }
  if (task) {
    appraisal.check("binding.task", "the evidence is bound to the task that is asked about", () => {
      need(
        expected.nonce === undefined || expected.nonce === task.nonce,
        `the request's nonce is ${expected.nonce}, and the task's ${task.nonce}`,
        "NONCE_MISMATCH",
      );
      need(
        !isDevice(claims) || expected.deviceNonce === undefined || expected.deviceNonce === nonceOfTask(task),
        `the devices' nonce is expected to be ${expected.deviceNonce}, and the task's is ${nonceOfTask(task)}`,
        "NONCE_MISMATCH",
      );
      checkTaskBinding(claims, task, devices);
      return undefined;
    });
  } else if (nonce !== undefined) {
    appraisal.check("binding.nonce", "the evidence answers to the request's nonce", () => {
      need(answers(claims, nonce), `the evidence answers to ${nonceText(claims)}, not to ${nonce}`, "NONCE_MISMATCH");
      return nonce;
    });
  }
  const equal = (id: string, thing: string, has: Hex | undefined, wanted: Hex | undefined) => {
    if (wanted === undefined) return;
    appraisal.check(`binding.${id}`, `the ${thing} is what the request expects`, () => {
      need(has === wanted, `the ${thing} is ${has ?? "absent"}, expected ${wanted}`);
      return undefined;
    });
  };
  equal("report-data", what, bytes, reportData);
  equal("public-key", "public key", claims.family === "nitro" ? claims.publicKey : undefined, publicKey);
  equal("user-data", "user data", userDataOf(claims), userData);
  if (reportDataPrefix !== undefined) {
    appraisal.check("binding.report-data-prefix", `the ${what} begins with what the request expects`, () => {
      need(
        bytes?.startsWith(reportDataPrefix) === true,
        `the ${what} is ${bytes ?? "absent"}, expected ${reportDataPrefix}…`,
      );
      return undefined;
    });
  }

  // What the policy asks for must have been given to be looked at.
  const { binding } = policy;
  if (isPart) {
    // Devices are tied to the CPU's report by `requireDeviceBinding`.
  } else if (binding === "any") {
    appraisal.unchecked(
      "binding",
      "the evidence was made for this request",
      "the policy asks for no binding: the evidence may be anybody's, and of any time at which it was valid",
    );
  } else {
    appraisal.check("binding", "the evidence is bound to what the policy says", () => {
      if (binding === "task") {
        need(task !== undefined, "the policy wants evidence bound to a task: say which one is expected");
      } else if (binding === "nonce") {
        need(
          nonce !== undefined || task !== undefined,
          "the policy wants evidence that answers to a nonce: say which one is expected",
        );
      } else if (binding === "report-data") {
        const long = reportDataPrefix !== undefined && reportDataPrefix.length >= 2 + 2 * NONCE_BYTES.least;
        need(
          long ||
            [task, reportData, userData, publicKey].some((each) => each !== undefined) ||
            (isDevice(claims) && !!nonce),
          `the policy wants evidence bound to the request: say which ${what} is expected, or at least its first ${NONCE_BYTES.least} bytes`,
        );
      } else {
        need(
          bytes !== undefined && binding.listed.includes(bytes),
          `the ${what} is ${bytes ?? "absent"}, which is not among those listed: ${some(binding.listed)}`,
        );
      }
      return undefined;
    });
  }
  if (policy.requireNonce) {
    appraisal.holds(
      "nonce",
      "the request's nonce was expected of the evidence",
      nonce !== undefined || task !== undefined,
      "the policy wants evidence that answers to a nonce: say which one is expected",
    );
  }
}

function answers(claims: Claims, nonce: Hex): boolean {
  if (claims.nonce !== undefined) return claims.nonce === nonce;
  const { family, reportData } = claims;
  if (reportData === undefined || family === "nitro" || isDevice(claims)) return false;
  if (reportData.length < nonce.length) return false;
  const rest = reportData.slice(nonce.length);
  return (
    (reportData.startsWith(nonce) && /^0*$/.test(rest)) ||
    (reportData.length === 130 && nonce.length === 66 && reportData.slice(66) === nonce.slice(2))
  );
}

function nonceText({ nonce, reportData }: Claims): string {
  if (nonce !== undefined) return `nonce ${nonce}`;
  return reportData === undefined ? "none" : `the report data ${reportData}`;
}

/** How kinds of collateral begin that evidence of a family is verified with. */
const COLLATERAL_OF: Readonly<Record<Claims["family"], RegExp>> = {
  sgx: /^intel\./,
  tdx: /^intel\./,
  snp: /^amd\./,
  nitro: /^nitro\./,
  nvidia: /^nvidia\.(?!nras-)/,
  nras: /^nvidia\.nras-/,
  "azure-snp": /^amd\./,
  "azure-tdx": /^intel\./,
  cca: /^cca\./,
};

/** How recent the vendors' statements are that the verification used. */
export function appraiseCollateral(
  appraisal: Appraisal,
  family: Claims["family"],
  used: readonly Used[],
  rules: Policy["collateral"],
): void {
  if (!rules) return;
  const { minIssued, maxAgeSeconds } = rules;
  const kinds = rules.kinds.filter((kind) => COLLATERAL_OF[family].test(kind));
  const claim = "the vendor's statements are as recent as the policy wants";
  if (kinds.length === 0) {
    appraisal.unchecked(
      "collateral",
      claim,
      `the policy's rules are about ${some(rules.kinds)}, and ${family} has none`,
    );
    return;
  }
  appraisal.check("collateral", claim, () => {
    const { now } = appraisal;
    let oldest = Number.POSITIVE_INFINITY;
    for (const kind of kinds) {
      const found = used.filter((each) => each.kind === kind);
      need(found.length > 0, `no ${kind} was used, and the policy says how recent it must be`);
      for (const { issued } of found) {
        if (minIssued === undefined && maxAgeSeconds === undefined) continue;
        need(issued !== undefined, `${kind} does not say when it was issued`);
        need(
          minIssued === undefined || issued >= Date.parse(minIssued) / 1000,
          `${kind} was issued at ${time(issued)}, before the minimum ${minIssued}`,
        );
        const until = issued + (maxAgeSeconds ?? Number.POSITIVE_INFINITY);
        if (now > until) appraisal.narrow(until + 1, Number.POSITIVE_INFINITY);
        need(
          now <= until,
          `${kind} was issued at ${time(issued)}, ${now - issued} s ago; at most ${maxAgeSeconds} s are accepted`,
        );
        oldest = Math.min(oldest, issued);
      }
    }
    if (maxAgeSeconds !== undefined) appraisal.narrow(0, oldest + maxAgeSeconds);
    return Number.isFinite(oldest) ? `the oldest is of ${time(oldest)}` : undefined;
  });
}
