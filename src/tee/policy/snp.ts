/**
 * AMD SEV-SNP's rules.
 *
 * @module
 */
import type { SnpClaims, SnpTcb } from "../claims.js";
import { type Appraisal, agree, compareVersions, isZero, need, some } from "./appraisal.js";
import type { SnpRules } from "./policy.js";

const TCB_PARTS = {
  fmc: "FMC",
  bootloader: "boot loader",
  tee: "TEE",
  snp: "SNP firmware",
  microcode: "microcode",
} satisfies Record<keyof SnpTcb, string>;

export function appraiseSnp(appraisal: Appraisal, claims: SnpClaims, rules: SnpRules): void {
  const { product, policy, platformInfo, vmpl } = claims;
  appraisal.listing("snp.product", "product line", rules.products, product);
  appraisal.atLeast("snp.report-version", "report's version", claims.reportVersion, rules.minReportVersion);
  if (rules.requireCrl) {
    appraisal.holds(
      "snp.crl",
      "AMD's revocation list was checked",
      claims.revocation === "good",
      "no revocation list of AMD's was among the collateral, so that a revoked key would go unnoticed",
      "CRL_MISSING",
    );
  }
  appraisal.holds(
    "snp.signing-key",
    "the report is signed by an accepted kind of key",
    rules.signingKeys.includes(claims.signingKey),
    `the report is signed by a ${claims.signingKey}, accepted is ${some(rules.signingKeys)}`,
  );
  const { cspIds } = rules;
  if (cspIds && claims.signingKey === "VLEK") {
    appraisal.holds(
      "snp.csp",
      "the VLEK belongs to an accepted cloud",
      claims.cspId !== undefined && cspIds.includes(claims.cspId),
      `the VLEK belongs to ${claims.cspId ?? "no named cloud"}, accepted is ${some(cspIds)}`,
    );
  }
  const chipId = isZero(claims.chipId) ? undefined : claims.chipId;
  if (appraisal.listing("snp.chip", "chip", rules.chipIds, chipId, "the report hides its chip")) {
    appraisal.located = true;
  }

  if (rules.minTcb) {
    const minimum = rules.minTcb[product];
    appraisal.check("snp.min-tcb", `no patch level is below the policy's minimum for ${product}`, () => {
      need(minimum !== undefined, `the policy has minimum patch levels, but none for ${product}`);
      const faults = (["reported", "committed", "launch", "current"] as const).flatMap((which) =>
        (Object.keys(TCB_PARTS) as (keyof SnpTcb)[]).flatMap((part) => {
          const [needs, has] = [minimum[which]?.[part], claims.tcb[which][part]];
          if (needs === undefined || (has !== undefined && has >= needs)) return [];
          return has === undefined
            ? [`${which} ${TCB_PARTS[part]} is absent, must be ${needs}`]
            : [`${which} ${TCB_PARTS[part]} is ${has}, ${needs - has} below the minimum of ${needs}`];
        }),
      );
      need(faults.length === 0, faults.join("; "));
      return undefined;
    });
  }
  if (rules.minFirmware) {
    const { minFirmware } = rules;
    appraisal.check("snp.min-firmware", "the SNP firmware is not older than the policy's minimum", () => {
      for (const which of ["current", "committed"] as const) {
        const [needs, has] = [minFirmware[which], claims[`${which}Version`]];
        // NaN, for what is no version, is not at least anything.
        need(
          needs === undefined || compareVersions(has, needs) >= 0,
          `the ${which} firmware is ${has}, older than ${needs}`,
        );
      }
      return undefined;
    });
  }
  if (rules.requireCommitted) {
    appraisal.check(
      "snp.committed",
      "what is running is committed, so that the machine cannot go back behind it",
      () => {
        const { current, committed } = claims.tcb;
        const behind = (Object.keys(TCB_PARTS) as (keyof SnpTcb)[])
          .filter((part) => current[part] !== committed[part])
          .map((part) => `${TCB_PARTS[part]} ${current[part]} is running and ${committed[part]} is committed`);
        if (claims.currentVersion !== claims.committedVersion) {
          behind.push(`firmware ${claims.currentVersion} is running and ${claims.committedVersion} is committed`);
        }
        need(behind.length === 0, behind.join("; "));
        return claims.currentVersion;
      },
    );
  }
  if (rules.mitigations) {
    const wanted = rules.mitigations;
    appraisal.check("snp.mitigations", "the mitigations that the policy asks for are on", () => {
      for (const when of ["launch", "current"] as const) {
        const mask = wanted[when];
        if (mask === undefined) continue;
        const has = claims.mitigations?.[when];
        need(has !== undefined, `a report of version ${claims.reportVersion} does not say which mitigations are on`);
        need(agree(has, mask, mask), `mitigations at ${when} are ${has}, and must include ${mask}`);
      }
      return undefined;
    });
  }

  appraisal.holds(
    "snp.vmpl",
    "the report was asked for at an accepted privilege level",
    rules.vmpl.includes(vmpl),
    `the report was asked for at VMPL ${vmpl}, accepted is ${some(rules.vmpl)}`,
  );
  appraisal.atLeast("snp.guest-svn", "guest's security version", claims.guestSvn, rules.minGuestSvn);
  const { minAbi } = rules;
  if (minAbi) {
    appraisal.holds(
      "snp.abi",
      `the guest asks for firmware interface ${minAbi.major}.${minAbi.minor} or later`,
      policy.abiMajor > minAbi.major || (policy.abiMajor === minAbi.major && policy.abiMinor >= minAbi.minor),
      `the guest's policy asks for interface ${policy.abiMajor}.${policy.abiMinor}, the minimum is ${minAbi.major}.${minAbi.minor}`,
    );
  }
  appraisal.check("snp.guest-policy", "the guest's own policy is as strict as required", () => {
    need(rules.allowSmt || !policy.smt, "the guest's policy allows hyperthreading");
    need(rules.allowMigrateMa || !policy.migrateMa, "the guest's policy allows a migration agent");
    need(rules.allowCxl || !policy.cxlAllowed, "the guest's policy allows CXL memory");
    need(!rules.requireSingleSocket || policy.singleSocket, "the guest's policy does not keep it on one socket");
    const missing = rules.requirePolicy.filter((name) => !policy[name]);
    need(missing.length === 0, `the guest's policy does not ask for ${missing.join(", ")}`);
    return policy.raw;
  });
  if (policy.unknownBits.length > 0) {
    appraisal.note(`the guest's policy has bits that this release does not know: ${some(policy.unknownBits, 16)}`);
  }
  if (platformInfo.unknownBits.length > 0) {
    appraisal.note(
      `the platform's info has bits that this release does not know: ${some(platformInfo.unknownBits, 16)}`,
    );
  }
  if (rules.platformInfo) {
    const { require = [], forbid = [] } = rules.platformInfo;
    appraisal.check("snp.platform-info", "the machine is set up as required", () => {
      const missing = require.filter((name) => !platformInfo[name]);
      need(missing.length === 0, `the machine lacks ${missing.join(", ")}`);
      const extra = forbid.filter((name) => platformInfo[name]);
      need(extra.length === 0, `the machine has ${extra.join(", ")}, which the policy forbids`);
      return platformInfo.raw;
    });
  }

  for (const [id, what, accepted, has] of [
    ["family-id", "guest's family id", rules.familyIds, claims.familyId],
    ["image-id", "guest's image id", rules.imageIds, claims.imageId],
  ] as const) {
    if (!accepted) continue;
    appraisal.holds(
      `snp.${id}`,
      `the ${what} is an accepted one`,
      accepted.includes(has),
      `the ${what} is ${has}, accepted is ${some(accepted)}`,
    );
  }
  const { idKeyDigest, authorKeyDigest } = claims.measurements;
  appraisal.listing("snp.id-key", "identity key's digest", rules.idKeys, idKeyDigest);
  appraisal.listing(
    "snp.author-key",
    "author key's digest",
    rules.authorKeys,
    claims.authorKeyEnabled ? authorKeyDigest : undefined,
    "the guest has no author key",
  );
}
