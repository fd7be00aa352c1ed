/**
 * Rules for NVIDIA's devices: what they attest themselves, what NVIDIA's service attests of them, and how many there are.
 *
 * @module
 */
import type { NrasClaims, NvidiaClaims } from "../claims.js";
import { time } from "../context.js";
import { type Appraisal, compareVersions, need, some } from "./appraisal.js";
import type { CountRule, NrasRules, NvidiaRules } from "./policy.js";

export function appraiseNvidia(appraisal: Appraisal, claims: NvidiaClaims, rules: NvidiaRules): void {
  const { rims, revocation, fwid, chip, driver, vbios, mode } = claims;
  const measured = "every measurement equals NVIDIA's reference manifests";
  if (rules.rims === "any") {
    appraisal.unchecked(
      "nvidia.rims",
      measured,
      "the policy accepts devices without reference manifests, so nothing is claimed of their firmware",
    );
  } else {
    const passed = appraisal.check("nvidia.rims", measured, () => {
      // Switches have no driver.
      const isKnown = (each: "driver" | "vbios") =>
        rims[each].status === "match" ||
        (each === "driver" && rims.driver.status === "none" && claims.device === "NVSwitch");
      const missing = (["driver", "vbios"] as const).filter((each) => !isKnown(each));
      need(missing.length === 0, `there is no reference manifest for ${missing.join(" and ")} among the collateral`);
      return `driver ${rims.driver.version ?? (driver || "none")}, VBIOS ${rims.vbios.version ?? vbios}`;
    });
    if (passed) appraisal.measured = true;
  }
  for (const each of ["driver", "vbios"] as const) {
    if (rims[each].status !== "match") continue;
    const { revocation: has = "unchecked" } = rims[each];
    appraisal.holds(
      `nvidia.rim-revocation.${each}`,
      `the signer of the ${each}'s manifest is not revoked, as far as the policy wants it shown`,
      rules.rimRevocation.includes(has),
      has === "unchecked"
        ? `nothing among the collateral says whether the signer of the ${each}'s manifest is revoked`
        : `the signer of the ${each}'s manifest is on hold, accepted is ${some(rules.rimRevocation)}`,
      "REVOCATION_UNKNOWN",
    );
  }
  const { modes } = rules;
  if (modes) {
    appraisal.holds(
      "nvidia.mode",
      "the device is in an accepted mode of confidential computing",
      (modes as readonly (string | undefined)[]).includes(mode),
      `the mode is ${mode ?? "not in the report"}, accepted is ${some(modes)}`,
    );
  }
  appraisal.holds(
    "nvidia.revocation",
    "the device's certificates are not revoked, as far as the policy wants it shown",
    rules.revocation.includes(revocation),
    revocation === "unchecked"
      ? "nothing among the collateral says whether the device's certificates are revoked"
      : `the device's certificate is on ${revocation}, accepted is ${some(rules.revocation)}`,
    "REVOCATION_UNKNOWN",
  );
  appraisal.holds(
    "nvidia.fwid",
    "the device's certificate is for the firmware that reports",
    rules.fwid.includes(fwid),
    `the firmware identity is ${fwid === "absent" ? "absent from the report, as with VBIOS of 2023" : fwid}, accepted is ${some(rules.fwid)}`,
  );
  appraisal.listing("nvidia.chip", "chip", rules.chips, chip.toUpperCase());
  if (appraisal.listing("nvidia.serial", "device's serial number", rules.serials, serialOf(claims.serial))) {
    appraisal.located = true;
  }
  if (appraisal.listing("nvidia.device", "device's identity", rules.deviceIds, claims.deviceId)) {
    appraisal.located = true;
  }
  appraiseVersions(appraisal, "nvidia.versions", { chip, driver, vbios }, rules.minVersions);
}

export function appraiseNras(appraisal: Appraisal, claims: NrasClaims, rules: NrasRules): void {
  const { issuer, issuedAt, devices } = claims;
  const { now } = appraisal;
  appraisal.holds(
    "nras.issuer",
    "the tokens are by an accepted issuer",
    rules.issuers.includes(issuer),
    `the tokens are by ${issuer}, accepted is ${some(rules.issuers)}`,
  );
  appraisal.holds(
    "nras.result",
    "the service found the devices good as a whole",
    claims.overallResult === true,
    "the service says that the devices failed its own appraisal",
  );
  appraisal.check("nras.claims", "the token of every device says what the policy asks for", () => {
    need(devices.length > 0, "the tokens are about no device");
    for (const { name, claims: said } of devices) {
      for (const [claim, accepted] of Object.entries(rules.claims)) {
        const value = Object.hasOwn(said, claim) ? said[claim] : undefined;
        need(
          (typeof value === "string" || typeof value === "boolean") && accepted.includes(value),
          `${name}: ${claim} is ${value === undefined ? "absent" : JSON.stringify(value)}, accepted is ${some(accepted)}`,
          claim === "dbgstat" && value !== undefined ? "DEBUG_ENABLED" : "APPRAISAL_FAILED",
        );
      }
    }
    const measres = rules.claims["measres"] ?? [];
    if (measres.length === 1 && measres[0] === "success") appraisal.measured = true;
    return undefined;
  });
  const { maxAgeSeconds, chips, minVersions } = rules;
  if (maxAgeSeconds !== undefined) {
    appraisal.check("nras.age", `the tokens were issued at most ${maxAgeSeconds} s ago`, () => {
      const until = issuedAt + maxAgeSeconds;
      if (now > until) appraisal.narrow(until + 1, Number.POSITIVE_INFINITY);
      else appraisal.narrow(0, until);
      need(now <= until, `the tokens were issued at ${time(issuedAt)}, ${now - issuedAt} s ago`);
      return `${now - issuedAt} s`;
    });
  }
  for (const { name, claims: said } of devices) {
    const claimed = (claim: string) => {
      const value = Object.hasOwn(said, claim) ? said[claim] : undefined;
      return typeof value === "string" ? value : undefined;
    };
    // "GH100", or "GH100 A01 GSP BROM", by the release of the service.
    const chip = claimed("hwmodel")?.toUpperCase().split(" ", 1)[0];
    appraisal.listing("nras.chip", `chip of ${name}`, chips, chip);
    const driver = claimed("x-nvidia-gpu-driver-version");
    const vbios = claimed("x-nvidia-gpu-vbios-version");
    appraiseVersions(appraisal, "nras.versions", { chip, driver, vbios }, minVersions);
  }
}

/** As policies have it: without zeros in front, of which a certificate has one where the number would be negative without. */
function serialOf(hex: string): string {
  return hex.toLowerCase().replace(/^0+(?=.)/, "");
}

/** Of a machine as a whole: each device of its own counts once. */
export function appraiseDevices(appraisal: Appraisal, devices: readonly NvidiaClaims[], rules: NvidiaRules): void {
  for (const [id, things, kind, rule] of [
    ["devices", "GPUs", "GPU", rules.devices],
    ["switches", "NVSwitches", "NVSwitch", rules.switches],
  ] as const) {
    const found = devices.filter(({ device }) => device === kind).map(({ deviceId }) => deviceId);
    appraiseCount(appraisal, id, things, found, rule);
  }
}

/** Of all tokens together. A device is named by its UEID, which the service signs; without one it is not counted. */
export function appraiseTokens(appraisal: Appraisal, tokens: readonly NrasClaims[], rules: NrasRules): void {
  const ids = tokens.flatMap(({ devices }) =>
    devices.map(({ claims }) => (typeof claims["ueid"] === "string" ? claims["ueid"] : undefined)),
  );
  appraiseCount(appraisal, "nras.devices", "devices that tokens are about", ids, rules.devices);
}

function appraiseCount(
  appraisal: Appraisal,
  id: string,
  things: string,
  ids: readonly (string | undefined)[],
  rule: CountRule | undefined,
): void {
  if (!rule) return;
  const { min = 0, max = Number.POSITIVE_INFINITY } = rule;
  const range = rule.max === undefined ? `${min} or more` : min === max ? String(min) : `${min} to ${max}`;
  appraisal.check(id, `there are as many ${things} as the policy wants: ${range}`, () => {
    const named = ids.filter((each) => each !== undefined);
    const distinct = new Set(named).size;
    need(
      named.length === ids.length,
      `one of the ${things} has no identity to tell it from the others`,
      "DEVICE_COUNT",
    );
    need(distinct === ids.length, `of ${ids.length} ${things} only ${distinct} are different ones`, "DUPLICATE_DEVICE");
    need(distinct >= min && distinct <= max, `there are ${distinct} ${things}, wanted is ${range}`, "DEVICE_COUNT");
    return String(distinct);
  });
}

function appraiseVersions(
  appraisal: Appraisal,
  id: string,
  { chip, driver, vbios }: { chip: string | undefined; driver: string | undefined; vbios: string | undefined },
  rules: NvidiaRules["minVersions"],
): void {
  if (!rules) return;
  appraisal.check(id, "driver and VBIOS are not older than the policy's minimum", () => {
    const minimum = chip !== undefined && Object.hasOwn(rules, chip) ? rules[chip] : undefined;
    need(minimum !== undefined, `the policy has minimum versions, but none for ${chip ?? "a device without a name"}`);
    for (const [what, has, needs, radix] of [
      ["driver", driver, minimum.driver, 10],
      ["VBIOS", vbios, minimum.vbios, 16],
    ] as const) {
      // NaN, for what is no version, is not at least anything.
      need(
        needs === undefined || (has !== undefined && compareVersions(has, needs, radix) >= 0),
        `the ${what} is ${has ?? "unknown"}, older than ${needs}`,
      );
    }
    return `driver ${driver}, VBIOS ${vbios}`;
  });
}
