/** Real evidence from verification to verdict, under the policy that fits it and under one that does not. */
import { describe, expect, it } from "vitest";
import { appraise } from "../../../src/tee/policy/appraise.js";
import { verify } from "../../../src/tee/verify.js";
import { intelCases } from "../intel/support.js";
import { real } from "../snp/fixture.js";
import { cases, VECTORS, vector } from "../vectors.js";
import { policy } from "./fixtures.js";

describe.skipIf(VECTORS === undefined)("real Nitro documents", () => {
  const accepted = cases("nitro").filter(({ expect: wanted }) => String(wanted).startsWith("accept"));

  it.each(accepted.map((each) => [each.id, each] as const))("%s", (_, { kind, id, files, at }) => {
    const document = vector(kind, id, files.at(-1)!);
    const now = Math.floor(Date.parse(String(at)) / 1000);
    const verification = verify({ kind: "nitro", document }, {}, { now });
    if (!verification.ok) throw new Error(verification.failure.message);
    const { pcr0, pcr1, pcr2 } = verification.claims.measurements;
    const state = { values: { pcr0, pcr1, pcr2 } };
    const good = appraise(verification, policy({ nitro: { measurements: [state] } }));
    expect(good).toMatchObject({ accepted: true, tee: true });
    expect(good.validUntil).toBe(verification.validUntil);
    const other = { values: { pcr0: pcr1, pcr1, pcr2 } };
    const bad = appraise(verification, policy({ nitro: { measurements: [other] } }));
    expect(bad).toMatchObject({ accepted: false, tee: false });
    expect(bad.summary).toMatch(
      /no listed state fits; nearest is state 1: pcr0 is 0x[0-9a-f]{96}, expected 0x[0-9a-f]{96}/,
    );
  });

  it("in debug mode are refused even where verification was told to let them pass", () => {
    const debug = cases("nitro").find(({ id }) => id === "neg-debug-2025-dstack")!;
    const document = vector(debug.kind, debug.id, debug.files.at(-1)!);
    const now = Math.floor(Date.parse(String(debug.at)) / 1000);
    const verification = verify({ kind: "nitro", document }, {}, { now, allowDebug: true });
    expect(verification.ok).toBe(true);
    const verdict = appraise(verification, policy({ nitro: { measurements: "any" } }));
    expect(verdict.accepted).toBe(false);
    expect(verdict.checks.filter(({ outcome }) => outcome === "fail")).toMatchObject([
      { id: "policy.debug", code: "DEBUG_ENABLED" },
    ]);
  });
});

describe.skipIf(VECTORS === undefined)("real quotes", () => {
  const known = intelCases().filter(({ status, fails }) => status !== "TcbNotSupported" && fails.length === 0);

  it.each(known.map((each) => [each.id, each] as const))(
    "%s",
    (_, { quote, entry, at, status, advisories, tcbDate }) => {
      const verification = verify({ kind: "intel", quote }, { intel: [entry] }, { now: at });
      if (!verification.ok) throw new Error(verification.failure.message);
      const { family, measurements } = verification.claims;
      const judge = (rules: object, collateral?: object) =>
        appraise(
          verification,
          policy(
            { [family]: { measurements: [{ values: measurements }], statuses: [status], ...rules } },
            collateral ? { collateral } : {},
          ),
        );
      const failed = (rules: object, collateral?: object) =>
        judge(rules, collateral)
          .checks.filter(({ outcome }) => outcome === "fail")
          .map(({ id, reason }) => `${id}: ${reason}`);
      // What the machine is, is what keeps it from the stricter defaults.
      const lax =
        family === "tdx"
          ? {
              septVeDisable: false,
              serviceTds: [verification.claims.family === "tdx" && (verification.claims.tdx?.mrServiceTd ?? "")].filter(
                (each) => /[1-9a-f]/.test(String(each).slice(2)),
              ),
            }
          : {};
      expect(failed({ ...lax, minTcbDate: tcbDate })).toEqual([]);
      expect(judge(lax)).toMatchObject({ accepted: true, tee: true, validUntil: verification.validUntil });
      if (status !== "UpToDate") {
        expect(failed({ ...lax, statuses: ["UpToDate"] })).toEqual([
          expect.stringMatching(`^policy\\.intel\\.status: the status is ${status}, accepted is UpToDate \\(`),
        ]);
        if (advisories!.length > 0) {
          expect(failed({ ...lax, advisories: advisories!.slice(1) })).toEqual([
            expect.stringContaining(`policy.intel.advisories: the platform is open to ${advisories![0]}, which`),
          ]);
          expect(failed({ ...lax, advisories })).toEqual([]);
        }
      }
      expect(failed({ ...lax, minTcbDate: "2030-01-01" })).toEqual([expect.stringContaining("policy.intel.tcb-date")]);
      const day = 86_400;
      const dated = judge(lax, { maxAgeSeconds: 60 * day });
      expect(dated.checks.find(({ id }) => id === "policy.collateral")).toMatchObject({
        outcome: "pass",
        reason: expect.stringMatching(/^the oldest is of 20/),
      });
      expect(failed(lax, { minIssued: "2030-01-01" })).toEqual([expect.stringContaining("before the minimum 2030")]);
    },
  );

  it.each(known.filter(({ id }) => id.includes("azure")).map((each) => [each.id, each] as const))(
    "%s has no SEPT_VE_DISABLE",
    (_, { quote, entry, at, status }) => {
      const verification = verify({ kind: "intel", quote }, { intel: [entry] }, { now: at });
      const verdict = appraise(verification, policy({ tdx: { measurements: "any", statuses: [status] } }));
      expect(verdict.summary).toMatch(/policy\.tdx\.attributes: SEPT_VE_DISABLE is not set/);
    },
  );
});

describe.skipIf(VECTORS === undefined)("real SNP reports", () => {
  const accepted = cases("snp").filter(({ id }) => id.startsWith("v"));

  it.each(accepted.map((each) => [each.id, each] as const))("%s", (_, each) => {
    const { evidence, from } = real(each);
    const verification = verify(evidence, {}, { now: from });
    if (!verification.ok || verification.claims.family !== "snp") throw new Error("not authentic");
    const { measurement } = verification.claims.measurements;
    const { vmpl, product, tcb } = verification.claims;
    const rules = { measurements: [{ values: { measurement } }], requireCrl: false, vmpl: [vmpl] };
    expect(appraise(verification, policy({ snp: rules }))).toMatchObject({
      accepted: true,
      tee: true,
      assurance: { tier: product === "Milan" ? "broken" : "remote" },
    });
    const { summary } = appraise(verification, policy({ snp: { ...rules, requireCrl: true } }));
    expect(summary).toMatch(/policy\.snp\.crl: no revocation list of AMD's/);
    const behind = { [product]: { reported: { microcode: tcb.reported.microcode + 1 } } };
    expect(appraise(verification, policy({ snp: { ...rules, minTcb: behind } })).summary).toMatch(
      /policy\.snp\.min-tcb: reported microcode is \d+, 1 below the minimum of \d+$/,
    );
    if (vmpl > 0) {
      const strict = appraise(verification, policy({ snp: { ...rules, vmpl: [0] } }));
      expect(strict.summary).toMatch(/policy\.snp\.vmpl: .* VMPL 1, accepted is 0$/);
    }
  });
});
