/**
 * Arm CCA's rules.
 *
 * @module
 */
import type { CcaClaims } from "../claims.js";
import { type Appraisal, need, some } from "./appraisal.js";
import type { CCA_LIFECYCLES, CcaRules, Listing } from "./policy.js";

/** Each state has 256 numbers, by its first byte. */
const LIFECYCLE_STATES: Readonly<Record<(typeof CCA_LIFECYCLES)[number], number>> = {
  secured: 0x30,
  "non-cca-platform-debug": 0x40,
};

export function appraiseCca(appraisal: Appraisal, claims: CcaClaims, rules: CcaRules): void {
  const { lifecycle, lifecycleName, implementationId, instanceId, components } = claims.platform;
  appraisal.holds(
    "cca.lifecycle",
    "the platform is in an accepted state of its life",
    rules.lifecycles.some((each) => LIFECYCLE_STATES[each] === lifecycle >> 8),
    `the platform is ${lifecycleName} (0x${lifecycle.toString(16)}), accepted is ${some(rules.lifecycles)}`,
  );
  appraisal.listing("cca.implementation", "platform type", rules.implementationIds, implementationId);
  if (appraisal.listing("cca.instance", "platform", rules.instanceIds, instanceId)) appraisal.located = true;
  const every = <T extends string>(id: string, what: string, values: readonly T[], rule: Listing<T> | undefined) => {
    if (!rule) return;
    appraisal.check(id, `every firmware component's ${what} is one that the policy accepts`, () => {
      need(values.length > 0 || !rule.allow, "the token names no firmware components");
      values.forEach((value, i) => {
        const name = `component ${i}${components[i]?.type === undefined ? "" : ` (${components[i].type})`}`;
        need(!rule.deny?.includes(value), `${name}: the ${what} ${value} is on the policy's deny-list`);
        need(!rule.allow || rule.allow.includes(value), `${name}: the ${what} ${value} is not among the accepted ones`);
      });
      return undefined;
    });
  };
  every(
    "cca.component-signer",
    "signer",
    components.map(({ signer }) => signer),
    rules.componentSigners,
  );
  every(
    "cca.component-measurement",
    "measurement",
    components.map(({ measurement }) => measurement),
    rules.componentMeasurements,
  );
  const { personalisations } = rules;
  if (personalisations) {
    const { personalisation } = claims.realm;
    appraisal.holds(
      "cca.personalisation",
      "the realm's personalisation is an accepted one",
      personalisations.includes(personalisation),
      `the realm's personalisation is ${personalisation}, accepted is ${some(personalisations)}`,
    );
  }
}
