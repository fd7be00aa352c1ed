/**
 * Intel's rules: SGX enclaves, TDs, and the platform under both.
 *
 * @module
 */
import { fromHex } from "../../field/bytes.js";
import type { IntelClaims, TcbPart } from "../claims.js";
import { type Appraisal, agree, isZero, need, some } from "./appraisal.js";
import { type IntelRules, type SgxRules, TD_ATTRIBUTES, type TdAttribute, type TdxRules } from "./policy.js";

export function appraiseSgx(appraisal: Appraisal, claims: IntelClaims, rules: SgxRules): void {
  appraiseIntel(appraisal, claims, rules);
  const { sgx } = claims;
  if (!sgx) {
    appraisal.holds("sgx.body", "the quote is an enclave's", false, "the quote has no enclave's report in it");
    return;
  }
  const { isvProdIds, attributes, miscSelect, configIds } = rules;
  appraisal.listing("sgx.signer", "enclave's signer (MRSIGNER)", rules.signers, claims.measurements["mrSigner"]);
  if (isvProdIds) {
    appraisal.holds(
      "sgx.product",
      "the enclave is one of the accepted products",
      isvProdIds.includes(sgx.isvProdId),
      `the enclave's product number is ${sgx.isvProdId}, accepted is ${some(isvProdIds)}`,
    );
  }
  appraisal.atLeast("sgx.svn", "enclave's security version (ISVSVN)", sgx.isvSvn, rules.minIsvSvn);
  for (const [id, what, has, rule] of [
    ["attributes", "attributes", sgx.attributes, attributes],
    ["misc-select", "MISCSELECT", sgx.miscSelect, miscSelect],
  ] as const) {
    if (!rule) continue;
    appraisal.holds(
      `sgx.${id}`,
      `the enclave's ${what} are as required`,
      agree(has, rule.value, rule.mask),
      `the enclave's ${what} are ${has}, required is ${rule.value} under the mask ${rule.mask}`,
    );
  }
  if (configIds) {
    appraisal.holds(
      "sgx.config-id",
      "the enclave's configuration is an accepted one",
      configIds.includes(sgx.configId),
      `the enclave's CONFIGID is ${sgx.configId}, accepted is ${some(configIds)}`,
    );
  }
  appraisal.atLeast("sgx.config-svn", "configuration's security version", sgx.configSvn, rules.minConfigSvn);
}

export function appraiseTdx(appraisal: Appraisal, claims: IntelClaims, rules: TdxRules): void {
  appraiseIntel(appraisal, claims, rules);
  const { tdx } = claims;
  if (!tdx) {
    appraisal.holds("tdx.body", "the quote is a TD's", false, "the quote has no TD's report in it");
    return;
  }
  appraisal.listing("tdx.seam-signer", "TDX module's signer (MRSIGNERSEAM)", rules.seamSigners, tdx.mrSignerSeam);
  appraisal.check("tdx.attributes", "the TD has the attributes that it must have, and no others than it may", () => {
    const bits = setBits(tdx.tdAttributes);
    const name = (bit: number) =>
      (Object.keys(TD_ATTRIBUTES) as TdAttribute[]).find((each) => TD_ATTRIBUTES[each] === bit) ??
      (bit === 0 ? "DEBUG" : `bit ${bit}`);
    const has = (attribute: TdAttribute) => bits.includes(TD_ATTRIBUTES[attribute]);
    need(
      !rules.septVeDisable || has("SEPT_VE_DISABLE"),
      "SEPT_VE_DISABLE is not set: the host can inject faults into the TD (Azure's paravisor handles them; its policy says so)",
    );
    const missing = rules.requireAttributes.filter((each) => !has(each));
    need(missing.length === 0, `the TD lacks ${missing.join(", ")}`);
    const forbidden = rules.forbidAttributes.filter(has);
    need(forbidden.length === 0, `the TD has ${forbidden.join(", ")}, which the policy forbids`);
    const known: readonly number[] = [0, ...Object.values(TD_ATTRIBUTES)];
    const unknown = bits.filter((bit) => !known.includes(bit));
    need(
      unknown.length === 0 || rules.allowUnknownAttributes,
      `the TD has attributes that this release does not know: ${unknown.map(name).join(", ")}`,
    );
    return bits.map(name).join(", ") || "none";
  });
  const { xfam } = rules;
  if (xfam !== undefined) {
    appraisal.check("tdx.xfam", "the TD has no other extended features than accepted", () => {
      const allowed = setBits(xfam);
      const others = setBits(tdx.xfam).filter((bit) => !allowed.includes(bit));
      need(others.length === 0, `XFAM is ${tdx.xfam}: ${others.map((bit) => `bit ${bit}`).join(", ")} is not accepted`);
      return tdx.xfam;
    });
  }
  appraisal.check("tdx.service-td", "no service TD is bound to the TD but an accepted one", () => {
    const { mrServiceTd } = tdx;
    if (mrServiceTd === undefined || isZero(mrServiceTd)) return "none is bound";
    need(
      rules.serviceTds.includes(mrServiceTd),
      `a service TD is bound that the policy does not list (MRSERVICETD ${mrServiceTd})`,
    );
    return mrServiceTd;
  });
}

function appraiseIntel(appraisal: Appraisal, claims: IntelClaims, rules: IntelRules): void {
  const { status, advisories, tcbDate, parts } = claims;
  appraisal.check("intel.status", "the platform's TCB status is an accepted one", () => {
    const revoked = parts.filter((part) => part.status === "Revoked");
    need(
      status !== "Revoked" && revoked.length === 0,
      `the platform is revoked, which no policy accepts${behind(parts)}`,
    );
    need(
      (rules.statuses as readonly string[]).includes(status),
      `the status is ${status}, accepted is ${some(rules.statuses, 8)}${behind(parts)}`,
    );
    return `${status}${behind(parts)}`;
  });
  const { advisories: accepted, denyAdvisories: denied, minTcbDate } = rules;
  if (accepted && status !== "UpToDate") {
    appraisal.check("intel.advisories", "every security advisory about the platform is an accepted one", () => {
      const others = advisories.filter((each) => !accepted.includes(each));
      need(
        others.length === 0,
        `the platform is open to ${some(others, 16)}, which the policy does not accept${behind(parts)}`,
      );
      return advisories.length === 0 ? "none applies" : some(advisories, 16);
    });
  }
  if (denied) {
    appraisal.check("intel.advisories.deny", "no security advisory about the platform is on the deny-list", () => {
      const found = advisories.filter((each) => denied.includes(each));
      need(found.length === 0, `the platform is open to ${some(found, 16)}, which the policy refuses${behind(parts)}`);
      return undefined;
    });
  }
  if (minTcbDate !== undefined) {
    appraisal.check("intel.tcb-date", `the platform's TCB is of ${minTcbDate} or later`, () => {
      const days = Math.ceil((Date.parse(minTcbDate) - Date.parse(tcbDate)) / 86_400_000);
      need(Number.isFinite(days), `the TCB's date ${tcbDate} is none`);
      need(
        Date.parse(tcbDate) >= Date.parse(minTcbDate),
        `the platform's TCB is of ${tcbDate}, ${days} days older than the minimum ${minTcbDate}${behind(parts)}`,
      );
      return tcbDate;
    });
  }
  appraisal.atLeast(
    "intel.tcb-evaluation",
    "number of Intel's TCB evaluation",
    claims.tcbEvaluationDataNumber,
    rules.minTcbEvaluationDataNumber,
  );
  appraisal.listing("intel.fmspc", "platform type (FMSPC)", rules.fmspc, claims.fmspc);
  if (appraisal.listing("intel.ppid", "processor (PPID)", rules.ppid, claims.ppid)) appraisal.located = true;
  const { instanceIds, platform: flags } = rules;
  const instanceId = claims.platform?.instanceId;
  if (instanceIds && instanceIds.allow === undefined && instanceId === undefined) {
    // Intel's certificate would name it: a processor without one is none of those listed.
    appraisal.holds("intel.instance", "the platform instance is one that the policy accepts", true, "");
  } else if (appraisal.listing("intel.instance", "platform instance", instanceIds, instanceId, "it has none")) {
    appraisal.located = true;
  }
  if (flags) {
    appraisal.check("intel.platform", "the platform is set up as required", () => {
      for (const name of ["dynamicPlatform", "cachedKeys", "smtEnabled"] as const) {
        const [needs, has] = [flags[name], claims.platform?.[name]];
        if (needs === undefined) continue;
        need(has !== undefined, `the PCK certificate does not say ${name}, which must be ${needs}`);
        need(has === needs, `${name} is ${has}, and must be ${needs}`);
      }
      return undefined;
    });
  }
}

/** Which parts are behind, in which component, and by how much. */
function behind(parts: readonly TcbPart[]): string {
  const texts = parts
    .filter(({ status, behind: items }) => status !== "UpToDate" || items.length > 0)
    .map(({ part, status, behind: items, advisories }) => {
      const numbers = items.map(
        ({ component, has, needs }) => `${component} has ${has}, ${needs - has} behind ${needs}`,
      );
      const list = advisories.length === 0 ? [] : [some(advisories, 16)];
      return `${part} is ${status}${[...numbers, ...list].map((each) => `, ${each}`).join("")}`;
    });
  return texts.length === 0 ? "" : ` (${texts.join("; ")})`;
}

/** Numbers of the bits set; bytes stand in the quote's order, little-endian. */
function setBits(value: string): number[] {
  return [...fromHex(value, "a mask")].flatMap((byte, i) =>
    Array.from({ length: 8 }, (_, bit) => 8 * i + bit).filter((bit) => (byte >> (bit % 8)) & 1),
  );
}
