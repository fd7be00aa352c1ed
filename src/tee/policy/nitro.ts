/**
 * AWS Nitro's rules.
 *
 * @module
 */
import type { NitroClaims } from "../claims.js";
import { time } from "../context.js";
import { type Appraisal, need } from "./appraisal.js";
import type { NitroRules } from "./policy.js";

export function appraiseNitro(appraisal: Appraisal, claims: NitroClaims, rules: NitroRules): void {
  const { now } = appraisal;
  const { maxAgeSeconds, maxAheadSeconds } = rules;
  // Milliseconds: a document counts as made in the second that it was made in.
  const made = Math.floor(claims.timestamp / 1000);
  appraisal.check("nitro.ahead", `the document was made by then, give or take ${maxAheadSeconds} s`, () => {
    need(Number.isSafeInteger(made), "the document's time is none");
    const from = made - maxAheadSeconds;
    if (now < from) appraisal.narrow(0, from - 1);
    else appraisal.narrow(from, Number.POSITIVE_INFINITY);
    need(
      made - now <= maxAheadSeconds,
      `the document says that it was made at ${time(made)}, ${made - now} s after the time to verify at`,
    );
    return time(made);
  });
  if (maxAgeSeconds !== undefined) {
    appraisal.check("nitro.age", `the document is at most ${maxAgeSeconds} s old`, () => {
      const until = made + maxAgeSeconds;
      if (now > until) appraisal.narrow(until + 1, Number.POSITIVE_INFINITY);
      else appraisal.narrow(0, until);
      need(
        now - made <= maxAgeSeconds,
        `the document was made at ${time(made)}, ${now - made} s before the time to verify at; at most ${maxAgeSeconds} s are accepted`,
      );
      return `${now - made} s`;
    });
  }
  if (rules.requirePublicKey) {
    appraisal.holds(
      "nitro.public-key",
      "the document holds a public key",
      claims.publicKey !== undefined && claims.publicKey !== "0x",
      "the document holds no public key",
    );
  }
  if (rules.requireUserData) {
    appraisal.holds(
      "nitro.user-data",
      "the document holds user data",
      claims.userData !== undefined && claims.userData !== "0x",
      "the document holds no user data",
    );
  }
  if (appraisal.listing("nitro.module", "enclave's module id", rules.moduleIds, claims.moduleId)) {
    appraisal.located = true;
  }
}
