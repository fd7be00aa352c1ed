/** Each rule by itself: it refuses what it is about, alone and in words, and accepts the rest. */
import { describe, expect, it } from "vitest";
import type {
  CcaClaims,
  Claims,
  IntelClaims,
  NitroClaims,
  NrasClaims,
  NvidiaClaims,
  SnpClaims,
  VtpmClaims,
} from "../../../src/tee/claims.js";
import { INTEL_STATUSES } from "../../../src/tee/claims.js";
import { appraise } from "../../../src/tee/policy/appraise.js";
import { policyFromJson } from "../../../src/tee/policy/policy.js";
import { type TeeVerdict, teeVerdictToJson } from "../../../src/tee/verdict.js";
import {
  authentic,
  bytes,
  CLAIMS,
  COLLATERAL,
  DAY,
  EVERYTHING,
  eventLog,
  NOW,
  policy,
  rulesFor,
  zeros,
} from "./fixtures.js";

type Family = Claims["family"];
interface ByFamily {
  sgx: IntelClaims;
  tdx: IntelClaims;
  snp: SnpClaims;
  nitro: NitroClaims;
  nvidia: NvidiaClaims;
  nras: NrasClaims;
  "azure-snp": VtpmClaims;
  "azure-tdx": VtpmClaims;
  cca: CcaClaims;
}
type ClaimsOf<F extends Family> = ByFamily[F];

/** Rules that are there in any case are tested with `{}`. */
interface Row<F extends Family = Family> {
  id: string;
  rules: Record<string, unknown>;
  /** Makes good claims bad. */
  spoil: (claims: ClaimsOf<F>) => void;
  says: RegExp;
  code?: string;
  /** Makes them good first, where the rules are about something else than what the fixture has. */
  prepare?: (claims: ClaimsOf<F>) => void;
}

const failed = (verdict: TeeVerdict) => verdict.checks.filter(({ outcome }) => outcome === "fail");

function judge<F extends Family>(
  family: F,
  rules: Record<string, unknown>,
  ...changes: ((claims: ClaimsOf<F>) => void)[]
) {
  const claims = CLAIMS[family]() as ClaimsOf<F>;
  const allowed = rulesFor(family, rules);
  for (const change of changes) change(claims);
  return appraise(authentic(claims), policy({ [family]: allowed }));
}

function rows<F extends Family>(family: F, table: readonly Row<F>[]): void {
  it.each(table.map((row) => [`${row.id}: ${row.says.source}`, row] as const))("%s", (_, row) => {
    const prepare = row.prepare ?? (() => {});
    const good = judge(family, row.rules, prepare);
    expect(failed(good)).toEqual([]);
    expect(good.accepted).toBe(true);
    expect(good.checks.find(({ id }) => id === `policy.${row.id}`)?.outcome).toBe("pass");

    const bad = judge(family, row.rules, prepare, row.spoil);
    expect(bad.accepted).toBe(false);
    expect(bad.tee).toBe(false);
    expect(failed(bad).map(({ id }) => id)).toEqual([`policy.${row.id}`]);
    const [check] = failed(bad);
    expect(check!.reason).toMatch(row.says);
    expect(check!.reason).not.toContain("\n");
    expect(check!.code).toBe(row.code ?? "APPRAISAL_FAILED");
    expect(bad.summary).toContain(`policy.${row.id}: ${check!.reason}`);
    // All rules were looked at: as many as for the good ones.
    const looked = ({ checks }: TeeVerdict) => checks.map(({ id }) => id).filter((id) => !/rim-revocation/.test(id));
    expect(looked(bad)).toEqual(looked(good));
  });
}

/** A log goes with the families that have runtime registers. */
const logOf = (family: Family) => (family === "tdx" || family === "azure-tdx" ? { eventLog: eventLog() } : {});

describe("rules of every family", () => {
  const families = Object.keys(CLAIMS) as Family[];

  it.each(families)("%s: all rules at once accept what they are about", (family) => {
    const claims = CLAIMS[family]();
    const verdict = appraise(authentic(claims), alone(family), {}, logOf(family));
    expect(failed(verdict)).toEqual([]);
    // Devices alone do not say what program uses them.
    const tee = family !== "nvidia" && family !== "nras";
    expect(verdict).toMatchObject({ accepted: true, tee, authentic: true, family });
  });

  it.each(families)("%s: a policy that does not name the family refuses it", (family) => {
    const other = family === "cca" ? "nitro" : "cca";
    const verdict = appraise(authentic(CLAIMS[family]()), policy({ [other]: rulesFor(other) }));
    expect(verdict.accepted).toBe(false);
    expect(failed(verdict)[0]).toMatchObject({
      id: "policy.family",
      reason: expect.stringContaining(`no rules for ${family}`),
    });
  });

  it.each(families)("%s: debug mode is refused whatever the policy says", (family) => {
    const claims = { ...CLAIMS[family](), debug: true };
    const verdict = appraise(authentic(claims as Claims), alone(family), {}, logOf(family));
    expect(failed(verdict)).toMatchObject([{ id: "policy.debug", code: "DEBUG_ENABLED" }]);
    expect(verdict.accepted).toBe(false);
  });

  it.each(families.filter((family) => family !== "nvidia" && family !== "nras"))(
    "%s: no measurements, nothing accepted; any, no TEE claim",
    (family) => {
      const claims = CLAIMS[family]();
      const tee = family === "azure-tdx" ? { tee: {} } : {};
      const none = appraise(authentic(claims), policy({ [family]: tee }));
      expect(failed(none)).toMatchObject([
        { id: "policy.measurements", reason: expect.stringMatching(/lists no measurements/) },
      ]);
      expect(none.accepted).toBe(false);
      const any = appraise(authentic(claims), policy({ [family]: { ...tee, measurements: "any" } }));
      expect(any).toMatchObject({ accepted: true, tee: false, assurance: { tier: "none" } });
      expect(any.summary).toMatch(/no TEE claim/);
      expect(any.notes.join()).toMatch(/no TEE claim is made/);
    },
  );

  it.each(families.filter((family) => family !== "nvidia" && family !== "nras"))(
    "%s: every register counts",
    (family) => {
      const claims = CLAIMS[family]();
      const rules = policy({ [family]: rulesFor(family) });
      for (const register of Object.keys(claims.measurements)) {
        const other = { ...claims, measurements: { ...claims.measurements, [register]: zeros(48) } };
        const verdict = appraise(authentic(other as Claims), rules);
        expect(failed(verdict), register).toMatchObject([{ id: "policy.measurements", code: "MEASUREMENT_MISMATCH" }]);
        expect(failed(verdict)[0]!.reason).toContain(`nearest is state 1: ${register} is ${zeros(48)}, expected `);
        const { [register]: _, ...fewer } = claims.measurements;
        const without = appraise(authentic({ ...claims, measurements: fewer } as Claims), rules);
        expect(failed(without)[0]!.reason, register).toContain(`${register} is absent, expected `);
      }
    },
  );

  it("debug of the TEE inside of a vTPM's is refused as well", () => {
    for (const family of ["azure-snp", "azure-tdx"] as const) {
      const verdict = judge(family, {}, ({ tee }) => {
        tee.debug = true;
      });
      expect(failed(verdict).map(({ id }) => id)).toEqual(["policy.debug"]);
    }
  });

  it("claims that are not what they should be fail their rule and never throw", () => {
    const claims = { ...CLAIMS.tdx(), parts: undefined, tdx: { tdAttributes: 7 } } as unknown as IntelClaims;
    const verdict = appraise(authentic(claims), policy({ tdx: rulesFor("tdx") }));
    expect(verdict.accepted).toBe(false);
    expect(failed(verdict).map(({ code }) => code)).toContain("INTERNAL");
  });
});

/** The policy with every field, of one family alone. */
function alone(family: Family) {
  const { families, collateral: _, ...rest } = EVERYTHING as { families: Record<string, unknown>; collateral: unknown };
  return policyFromJson({ ...rest, families: { [family]: families[family] } });
}

describe("what evidence calls itself", () => {
  it("draws nothing on a terminal, and no line of its own", () => {
    const hostile = "i-0\u001b[2K\r\n  pass  policy.everything\u009b1A\u202e\ud800";
    const rules = { moduleIds: { deny: ["i-1"] } };
    for (const deny of [false, true]) {
      const verdict = judge("nitro", deny ? { moduleIds: { allow: ["i-1"] } } : rules, (claims) => {
        claims.moduleId = hostile;
      });
      expect(verdict.accepted).toBe(!deny);
      const texts = [
        verdict.summary,
        ...verdict.notes,
        ...verdict.checks.flatMap(({ claim, reason = "" }) => [claim, reason]),
      ];
      expect(texts.join("")).toContain("policy.everything");
      for (const text of texts) expect(text).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
      expect(JSON.parse(teeVerdictToJson(verdict))).toMatchObject({ claims: { moduleId: hostile } });
      expect(Buffer.from(teeVerdictToJson(verdict), "utf8").toString("utf8")).toBe(teeVerdictToJson(verdict));
    }
    const long = judge("nitro", { moduleIds: { allow: ["i-1"] } }, (claims) => {
      claims.moduleId = "\n".repeat(1_000_000);
    });
    expect(failed(long)[0]!.reason!.length).toBeLessThan(5000);
  });
});

describe("measurements", () => {
  const values = CLAIMS.tdx().measurements;

  it("any of the alternatives, all of what one names; the verdict says which", () => {
    const measurements = [
      { name: "old", values: { mrTd: values["mrTd"], rtmr1: bytes("old", 48) } },
      { name: "new", values: { mrTd: [bytes("another", 48), values["mrTd"]], rtmr1: values["rtmr1"] } },
    ];
    const verdict = judge("tdx", { measurements });
    expect(verdict.checks.find(({ id }) => id === "policy.measurements")).toMatchObject({
      outcome: "pass",
      reason: '"new"',
    });
    // Values of one alternative do not fill in for another's.
    const mixed = judge("tdx", { measurements }, (claims) => {
      claims.measurements["mrTd"] = bytes("another", 48);
      claims.measurements["rtmr1"] = bytes("old", 48);
    });
    expect(failed(mixed)).toMatchObject([
      { id: "policy.measurements", reason: expect.stringContaining('nearest is "old": mrTd is') },
    ]);
  });

  it("a deny-list refuses what the allow-list has", () => {
    const verdict = judge("tdx", { denyMeasurements: { rtmr2: [values["rtmr2"]] } });
    expect(failed(verdict)).toMatchObject([
      { id: "policy.measurements.deny", reason: `rtmr2 is ${values["rtmr2"]}, which the policy refuses` },
    ]);
    const absent = judge("tdx", { measurements: "any", denyMeasurements: { rtmr2: [zeros(48)] } }, (claims) => {
      delete (claims.measurements as Record<string, unknown>)["rtmr2"];
    });
    expect(failed(absent)).toMatchObject([{ id: "policy.measurements.deny" }]);
  });

  it("a deny-list in another spelling denies, even in a policy that was not read", () => {
    const denied = values["rtmr2"]!.slice(2).toUpperCase();
    const raw = {
      ...policy({ tdx: {} }),
      families: { tdx: { measurements: "any", denyMeasurements: { rtmr2: [denied] } } },
    };
    const verdict = appraise(authentic(CLAIMS.tdx()), raw as never);
    expect(failed(verdict).map(({ id }) => id)).toEqual(["policy.measurements.deny"]);
  });

  it.each<[Family, string[]]>([
    ["tdx", ["rtmr0", "rtmr1", "rtmr2", "rtmr3", "mrConfigId", "mrOwner"]],
    ["snp", ["hostData"]],
    ["nitro", ["pcr1"]],
    // The application alone: it can be started by anybody's kernel.
    ["nitro", ["pcr2"]],
    ["azure-snp", ["pcr4", "pcr11", "hostData"]],
    // The paravisor alone: the guest above it can be anybody's.
    ["azure-snp", ["measurement"]],
    ["azure-snp", ["idKeyDigest", "pcr11"]],
    ["azure-tdx", ["pcr4", "pcr11"]],
    ["azure-tdx", ["mrTd", "rtmr0"]],
    ["cca", ["rem0"]],
  ])("of %s, %j: what code or host can bring about makes no TEE claim by itself", (family, names) => {
    const all = CLAIMS[family]().measurements;
    const measurements = [{ values: Object.fromEntries(names.map((name) => [name, all[name]])) }];
    const verdict = judge(family, { measurements, ...(family === "azure-tdx" ? { tee: {} } : {}) });
    expect(verdict).toMatchObject({ accepted: true, tee: false });
    expect(verdict.notes.join()).toMatch(/the listed state has no value for/);
  });

  it.each<[Family, string[]]>([
    ["nitro", ["pcr0"]],
    ["nitro", ["pcr8"]],
    ["nitro", ["pcr1", "pcr2"]],
    ["azure-snp", ["idKeyDigest", "pcr4"]],
    ["azure-tdx", ["mrTd", "pcr7"]],
  ])("of %s, %j: what was loaded first, or who signed it, makes one", (family, names) => {
    const all = CLAIMS[family]().measurements;
    const measurements = [{ values: Object.fromEntries(names.map((name) => [name, all[name]])) }];
    const verdict = judge(family, { measurements, ...(family === "azure-tdx" ? { tee: {} } : {}) });
    expect(verdict).toMatchObject({ accepted: true, tee: true });
  });

  it("of a TD: firmware alone is told as such, and is not enough where a log speaks of the app", () => {
    const state = (names: string[]) => [{ values: Object.fromEntries(names.map((name) => [name, values[name]])) }];
    const claims = authentic(CLAIMS.tdx());
    const log = { eventLog: { composeHashes: { allow: [bytes("compose", 32)] } } };
    const asked = (names: string[], more = {}) =>
      appraise(claims, policy({ tdx: { measurements: state(names), ...more } }), {}, { eventLog: eventLog() });
    const firmware = asked(["mrTd"]);
    expect(firmware.tee).toBe(true);
    expect(firmware.notes.join()).toMatch(/firmware \(mrTd\) and no runtime register/);
    expect(asked(["mrTd", "rtmr1"]).notes.join()).not.toMatch(/no runtime register/);
    expect(asked(["mrTd"], log)).toMatchObject({ accepted: true, tee: false });
    expect(asked(["mrTd", "rtmr0", "rtmr1"], log)).toMatchObject({ accepted: true, tee: false });
    expect(asked(["mrTd", "rtmr1", "rtmr2"], log)).toMatchObject({ accepted: true, tee: true });
  });

  it("zero says nothing of who signed: it makes no TEE claim", () => {
    const measurements = [{ values: { idKeyDigest: zeros(48) } }];
    const verdict = judge("snp", { measurements }, (claims) => {
      claims.measurements["idKeyDigest"] = zeros(48);
    });
    expect(verdict).toMatchObject({ accepted: true, tee: false });
  });
});

const intelRows = <F extends "sgx" | "tdx">(): Row<F>[] => {
  type C = ClaimsOf<F> & IntelClaims;
  const rows: Row<"sgx">[] = [
    ...INTEL_STATUSES.filter((status) => status !== "UpToDate").map((status) => ({
      id: "intel.status",
      rules: {},
      spoil: (claims: C) => {
        claims.status = status;
      },
      says:
        status === "Revoked"
          ? /revoked, which no policy accepts/
          : new RegExp(`the status is ${status}, accepted is UpToDate`),
    })),
    {
      id: "intel.status",
      rules: { statuses: INTEL_STATUSES.filter((status) => status !== "Revoked") },
      spoil: (claims) => {
        claims.status = "Revoked";
      },
      says: /the platform is revoked, which no policy accepts/,
    },
    {
      id: "intel.status",
      rules: { statuses: INTEL_STATUSES.filter((status) => status !== "Revoked") },
      // A defect elsewhere must not let a part's revocation be lost.
      spoil: (claims) => {
        claims.parts[1]!.status = "Revoked";
      },
      says: /revoked, which no policy accepts \(quoting enclave is Revoked\)/,
    },
    {
      id: "intel.status",
      rules: {},
      spoil: (claims) => {
        claims.status = "OutOfDate";
        claims.parts[0] = {
          part: "platform",
          status: "OutOfDate",
          tcbDate: "2023-08-09T00:00:00Z",
          advisories: ["INTEL-SA-00960"],
          behind: [{ component: "SGX component 2 (Early Microcode Update)", has: 5, needs: 7 }],
        };
      },
      says: /platform is OutOfDate, SGX component 2 \(Early Microcode Update\) has 5, 2 behind 7, INTEL-SA-00960/,
    },
    {
      id: "intel.advisories",
      rules: { statuses: ["SWHardeningNeeded"], advisories: ["INTEL-SA-00615"] },
      prepare: (claims) => {
        claims.status = "SWHardeningNeeded";
        claims.advisories = ["INTEL-SA-00615"];
      },
      spoil: (claims) => {
        claims.advisories = ["INTEL-SA-00289", "INTEL-SA-00615"];
      },
      says: /open to INTEL-SA-00289, which the policy does not accept/,
    },
    {
      id: "intel.advisories.deny",
      rules: { denyAdvisories: ["INTEL-SA-00837"] },
      spoil: (claims) => {
        claims.advisories = ["INTEL-SA-00837"];
      },
      says: /open to INTEL-SA-00837, which the policy refuses/,
    },
    {
      id: "intel.tcb-date",
      rules: { minTcbDate: "2024-03-13" },
      spoil: (claims) => {
        claims.tcbDate = "2024-03-01T00:00:00Z";
      },
      says: /TCB is of 2024-03-01T00:00:00Z, 12 days older than the minimum 2024-03-13T00:00:00Z/,
    },
    {
      id: "intel.tcb-date",
      rules: { minTcbDate: "2024-03-13" },
      spoil: (claims) => {
        claims.tcbDate = "soon";
      },
      says: /the TCB's date soon is none/,
    },
    {
      id: "intel.tcb-evaluation",
      rules: { minTcbEvaluationDataNumber: 18 },
      spoil: (claims) => {
        claims.tcbEvaluationDataNumber = 16;
      },
      says: /evaluation is 16, 2 below the minimum of 18/,
    },
    {
      id: "intel.fmspc",
      rules: { fmspc: { allow: ["b0c06f000000"] } },
      spoil: (claims) => {
        claims.fmspc = "0x00806f050000";
      },
      says: /FMSPC\) is 0x00806f050000, which is not among the 1 accepted: 0xb0c06f000000/,
    },
    {
      id: "intel.fmspc",
      rules: { fmspc: { deny: ["00806f050000"] } },
      spoil: (claims) => {
        claims.fmspc = "0x00806f050000";
      },
      says: /FMSPC\) 0x00806f050000 is on the policy's deny-list/,
    },
    {
      id: "intel.ppid",
      rules: { ppid: { allow: [bytes("ppid", 16)] } },
      spoil: (claims) => {
        claims.ppid = bytes("elsewhere", 16);
      },
      says: /processor \(PPID\) is .* not among the 1 accepted/,
    },
    {
      id: "intel.instance",
      rules: { instanceIds: { allow: [bytes("instance", 16)] } },
      spoil: (claims) => {
        delete claims.platform!.instanceId;
      },
      says: /cannot be held against the policy's list: it has none/,
    },
    {
      id: "intel.instance",
      rules: { instanceIds: { deny: [bytes("stolen", 16)] } },
      spoil: (claims) => {
        claims.platform!.instanceId = bytes("stolen", 16);
      },
      says: /is on the policy's deny-list/,
    },
    ...(["dynamicPlatform", "cachedKeys", "smtEnabled"] as const).flatMap((name) => [
      {
        id: "intel.platform",
        rules: { platform: { [name]: true } },
        spoil: (claims: C) => {
          claims.platform![name] = false;
        },
        says: new RegExp(`${name} is false, and must be true`),
      },
      {
        id: "intel.platform",
        rules: { platform: { [name]: true } },
        spoil: (claims: C) => {
          delete claims.platform;
        },
        says: new RegExp(`does not say ${name}`),
      },
    ]),
  ];
  return rows as unknown as Row<F>[];
};

describe("Intel's platform", () => {
  rows("sgx", intelRows<"sgx">());
  rows("tdx", intelRows<"tdx">());

  it("advisories of an UpToDate platform need no list", () => {
    const verdict = judge("tdx", { advisories: [] }, (claims) => {
      claims.advisories = ["INTEL-SA-00001"];
    });
    expect(verdict.accepted).toBe(true);
  });

  it("a processor without an instance is none of those denied", () => {
    const verdict = judge("tdx", { instanceIds: { deny: [bytes("stolen", 16)] } }, (claims) => {
      delete claims.platform;
    });
    expect(verdict.accepted).toBe(true);
  });
});

describe("SGX enclaves", () => {
  rows("sgx", [
    {
      id: "sgx.signer",
      rules: { measurements: "any", signers: { allow: [bytes("mrSigner", 32)] } },
      spoil: (claims) => {
        claims.measurements["mrSigner"] = bytes("other", 32);
      },
      says: /MRSIGNER\) is .*, which is not among the 1 accepted/,
    },
    {
      id: "sgx.signer",
      rules: { measurements: "any", signers: { deny: [bytes("other", 32)] } },
      spoil: (claims) => {
        claims.measurements["mrSigner"] = bytes("other", 32);
      },
      says: /is on the policy's deny-list/,
    },
    {
      id: "sgx.product",
      rules: { isvProdIds: [7, 8] },
      spoil: (claims) => {
        claims.sgx!.isvProdId = 9;
      },
      says: /product number is 9, accepted is 7, 8/,
    },
    {
      id: "sgx.svn",
      rules: { minIsvSvn: 3 },
      spoil: (claims) => {
        claims.sgx!.isvSvn = 1;
      },
      says: /ISVSVN\) is 1, 2 below the minimum of 3/,
    },
    {
      id: "sgx.attributes",
      rules: { attributes: { mask: `10${"00".repeat(15)}`, value: zeros(16) } },
      spoil: (claims) => {
        claims.sgx!.attributes = "0x1500000000000000e700000000000000";
      },
      says: /attributes are 0x15.*, required is 0x00.* under the mask 0x10/,
    },
    {
      id: "sgx.misc-select",
      rules: { miscSelect: { mask: "ffffffff", value: "00000000" } },
      spoil: (claims) => {
        claims.sgx!.miscSelect = "0x01000000";
      },
      says: /MISCSELECT are 0x01000000, required is 0x00000000/,
    },
    {
      id: "sgx.config-id",
      rules: { configIds: [zeros(64)] },
      spoil: (claims) => {
        claims.sgx!.configId = bytes("config", 64);
      },
      says: /CONFIGID is/,
    },
    {
      id: "sgx.config-svn",
      rules: { minConfigSvn: 2 },
      spoil: (claims) => {
        claims.sgx!.configSvn = 0;
      },
      says: /is 0, 2 below the minimum of 2/,
    },
  ]);
  it("a TD's quote is none", () => {
    const verdict = judge("sgx", {}, (claims) => {
      delete claims.sgx;
    });
    expect(failed(verdict).map(({ id }) => id)).toEqual(["policy.sgx.body"]);
  });
});

describe("TDs", () => {
  const attributes = (value: string) => (claims: IntelClaims) => {
    claims.tdx!.tdAttributes = value as `0x${string}`;
  };
  rows("tdx", [
    {
      id: "tdx.attributes",
      rules: {},
      spoil: attributes("0x0000000000000000"),
      says: /SEPT_VE_DISABLE is not set/,
    },
    {
      id: "tdx.attributes",
      rules: { requireAttributes: ["LASS"] },
      prepare: attributes("0x0000001800000000"),
      spoil: attributes("0x0000001000000000"),
      says: /the TD lacks LASS/,
    },
    {
      id: "tdx.attributes",
      rules: {},
      spoil: attributes("0x0000001000000080"),
      says: /the TD has PERFMON, which the policy forbids/,
    },
    {
      id: "tdx.attributes",
      rules: {},
      spoil: attributes("0x0000003000000000"),
      says: /the TD has MIGRATABLE, which the policy forbids/,
    },
    {
      id: "tdx.attributes",
      rules: { forbidAttributes: ["PKS"] },
      prepare: attributes("0x0000003000000080"),
      spoil: attributes("0x0000005000000000"),
      says: /the TD has PKS/,
    },
    {
      id: "tdx.attributes",
      rules: {},
      spoil: attributes("0x0000021000000000"),
      says: /does not know: bit 17/,
    },
    {
      id: "tdx.xfam",
      rules: { xfam: "e702060000000000" },
      spoil: (claims) => {
        claims.tdx!.xfam = "0xe712060000000000";
      },
      says: /XFAM is 0xe712060000000000: bit 12 is not accepted/,
    },
    {
      id: "tdx.service-td",
      rules: {},
      spoil: (claims) => {
        claims.tdx!.mrServiceTd = bytes("service", 48);
      },
      says: /service TD is bound that the policy does not list/,
    },
    {
      id: "tdx.service-td",
      rules: { serviceTds: [bytes("service", 48)] },
      prepare: (claims) => {
        claims.tdx!.mrServiceTd = bytes("service", 48);
      },
      spoil: (claims) => {
        claims.tdx!.mrServiceTd = bytes("another", 48);
      },
      says: /service TD is bound/,
    },
    {
      id: "tdx.seam-signer",
      rules: { seamSigners: { allow: [zeros(48)] } },
      spoil: (claims) => {
        claims.tdx!.mrSignerSeam = bytes("signer", 48);
      },
      says: /MRSIGNERSEAM\) is .* not among the 1 accepted/,
    },
  ]);

  it("Azure's have no SEPT_VE_DISABLE, and a policy can accept that; TDs of version 4 have no service TD", () => {
    const verdict = judge("tdx", { septVeDisable: false, allowUnknownAttributes: true }, (claims) => {
      claims.tdx!.tdAttributes = "0x0000020000000000";
      delete claims.tdx!.mrServiceTd;
    });
    expect(verdict.accepted).toBe(true);
  });

  it("an enclave's quote is none", () => {
    const verdict = judge("tdx", {}, (claims) => {
      delete claims.tdx;
    });
    expect(failed(verdict).map(({ id }) => id)).toEqual(["policy.tdx.body"]);
  });
});

describe("SEV-SNP", () => {
  const flag =
    (name: Exclude<keyof SnpClaims["policy"], "raw" | "abiMajor" | "abiMinor" | "unknownBits">, value: boolean) =>
    (claims: SnpClaims) => {
      claims.policy[name] = value;
    };
  const level = (claims: SnpClaims, which: keyof SnpClaims["tcb"], part: "microcode" | "bootloader", value: number) => {
    claims.tcb[which] = { ...claims.tcb[which], [part]: value };
  };
  rows("snp", [
    {
      id: "snp.product",
      rules: { products: { deny: ["Milan"] } },
      spoil: (claims) => {
        claims.product = "Milan";
      },
      says: /product line Milan is on the policy's deny-list/,
    },
    {
      id: "snp.product",
      rules: { products: { allow: ["Genoa"] } },
      spoil: (claims) => {
        claims.product = "Turin";
      },
      says: /product line is Turin, which is not among the 1 accepted: Genoa/,
    },
    {
      id: "snp.report-version",
      rules: { minReportVersion: 3 },
      spoil: (claims) => {
        claims.reportVersion = 2;
      },
      says: /version is 2, 1 below the minimum of 3/,
    },
    {
      id: "snp.signing-key",
      rules: { signingKeys: ["VCEK"] },
      spoil: (claims) => {
        claims.signingKey = "VLEK";
      },
      says: /signed by a VLEK, accepted is VCEK/,
    },
    {
      id: "snp.csp",
      rules: { cspIds: ["good cloud"] },
      prepare: (claims) => {
        claims.signingKey = "VLEK";
        claims.cspId = "good cloud";
      },
      spoil: (claims) => {
        claims.cspId = "bad cloud";
      },
      says: /belongs to bad cloud, accepted is good cloud/,
    },
    {
      id: "snp.csp",
      rules: { cspIds: ["good cloud"] },
      prepare: (claims) => {
        claims.signingKey = "VLEK";
        claims.cspId = "good cloud";
      },
      spoil: (claims) => {
        delete claims.cspId;
      },
      says: /belongs to no named cloud/,
    },
    {
      id: "snp.chip",
      rules: { chipIds: { allow: [bytes("chip", 64)] } },
      spoil: (claims) => {
        claims.chipId = bytes("elsewhere", 64);
      },
      says: /which is not among the 1 accepted/,
    },
    {
      id: "snp.chip",
      rules: { chipIds: { deny: [bytes("stolen", 64)] } },
      // A chip that hides could be any of those denied.
      spoil: (claims) => {
        claims.chipId = zeros(64);
      },
      says: /the report hides its chip/,
    },
    ...(["reported", "committed", "launch", "current"] as const).map((which) => ({
      id: "snp.min-tcb",
      rules: { minTcb: { Genoa: { [which]: { microcode: 72 } } } },
      spoil: (claims: SnpClaims) => level(claims, which, "microcode", 70),
      says: new RegExp(`${which} microcode is 70, 2 below the minimum of 72`),
    })),
    {
      id: "snp.min-tcb",
      rules: { minTcb: { Genoa: { reported: { bootloader: 9 } } } },
      spoil: (claims) => level(claims, "reported", "bootloader", 8),
      says: /reported boot loader is 8, 1 below/,
    },
    {
      id: "snp.min-tcb",
      rules: { minTcb: { Genoa: { reported: { bootloader: 9 } } } },
      spoil: (claims) => {
        claims.product = "Turin";
      },
      says: /minimum patch levels, but none for Turin/,
    },
    {
      id: "snp.min-tcb",
      rules: { minTcb: { Genoa: { reported: { fmc: 1 } } } },
      prepare: (claims) => {
        claims.tcb.reported = { ...claims.tcb.reported, fmc: 1 };
      },
      spoil: (claims) => {
        claims.tcb.reported = claims.tcb.committed;
      },
      says: /reported FMC is absent, must be 1/,
    },
    ...(["current", "committed"] as const).flatMap((which) =>
      ["1.55.9", "1.54.99", "0.99.99", "newest"].map((has) => ({
        id: "snp.min-firmware",
        rules: { minFirmware: { [which]: "1.55.21" } },
        spoil: (claims: SnpClaims) => {
          claims[`${which}Version`] = has;
        },
        says: new RegExp(`the ${which} firmware is ${has.replaceAll(".", "\\.")}, older than 1\\.55\\.21`),
      })),
    ),
    ...(["launch", "current"] as const).flatMap((when) => [
      {
        id: "snp.mitigations",
        rules: { mitigations: { [when]: "0000000000000003" } },
        spoil: (claims: SnpClaims) => {
          claims.mitigations![when] = "0x0000000000000005";
        },
        says: new RegExp(`mitigations at ${when} are 0x0{15}5, and must include 0x0{15}3$`),
      },
      {
        id: "snp.mitigations",
        rules: { mitigations: { [when]: "0000000000000003" } },
        spoil: (claims: SnpClaims) => {
          delete claims.mitigations;
        },
        says: /does not say which mitigations/,
      },
    ]),
    {
      id: "snp.committed",
      rules: { requireCommitted: true },
      spoil: (claims) => {
        claims.tcb.current = { ...claims.tcb.current, snp: 24 };
      },
      says: /^SNP firmware 24 is running and 23 is committed$/,
    },
    {
      id: "snp.committed",
      rules: { requireCommitted: true },
      spoil: (claims) => {
        claims.currentVersion = "1.55.40";
      },
      says: /^firmware 1\.55\.40 is running and 1\.55\.39 is committed$/,
    },
    {
      id: "snp.vmpl",
      rules: {},
      spoil: (claims) => {
        claims.vmpl = 1;
      },
      says: /at VMPL 1, accepted is 0$/,
    },
    {
      id: "snp.guest-svn",
      rules: { minGuestSvn: 4 },
      spoil: (claims) => {
        claims.guestSvn = 3;
      },
      says: /is 3, 1 below the minimum of 4/,
    },
    {
      id: "snp.abi",
      rules: { minAbi: { major: 1, minor: 51 } },
      spoil: (claims) => {
        claims.policy.abiMinor = 50;
      },
      says: /asks for interface 1\.50, the minimum is 1\.51/,
    },
    {
      id: "snp.abi",
      rules: { minAbi: { major: 1, minor: 0 } },
      spoil: (claims) => {
        claims.policy.abiMajor = 0;
      },
      says: /asks for interface 0\.51/,
    },
    { id: "snp.guest-policy", rules: { allowSmt: false }, spoil: flag("smt", true), says: /allows hyperthreading/ },
    { id: "snp.guest-policy", rules: {}, spoil: flag("migrateMa", true), says: /allows a migration agent/ },
    { id: "snp.guest-policy", rules: {}, spoil: flag("cxlAllowed", true), says: /allows CXL memory/ },
    {
      id: "snp.guest-policy",
      rules: { requireSingleSocket: true },
      spoil: flag("singleSocket", false),
      says: /does not keep it on one socket/,
    },
    ...(["memAes256Xts", "raplDisabled", "ciphertextHiding", "pageSwapDisabled"] as const).map((name) => ({
      id: "snp.guest-policy",
      rules: { requirePolicy: [name] },
      spoil: flag(name, false),
      says: new RegExp(`does not ask for ${name}`),
    })),
    ...(["ecc", "raplDisabled", "ciphertextHiding", "aliasCheckComplete"] as const).map((name) => ({
      id: "snp.platform-info",
      rules: { platformInfo: { require: [name] } },
      spoil: (claims: SnpClaims) => {
        claims.platformInfo[name] = false;
      },
      says: new RegExp(`the machine lacks ${name}`),
    })),
    ...(["tsme", "tio"] as const).map((name) => ({
      id: "snp.platform-info",
      rules: { platformInfo: { forbid: [name] } },
      spoil: (claims: SnpClaims) => {
        claims.platformInfo[name] = true;
      },
      says: new RegExp(`the machine has ${name}, which the policy forbids`),
    })),
    {
      id: "snp.family-id",
      rules: { familyIds: [bytes("family", 16)] },
      spoil: (claims) => {
        claims.familyId = zeros(16);
      },
      says: /family id is 0x00/,
    },
    {
      id: "snp.image-id",
      rules: { imageIds: [bytes("image", 16)] },
      spoil: (claims) => {
        claims.imageId = zeros(16);
      },
      says: /image id is 0x00/,
    },
    {
      id: "snp.id-key",
      rules: { measurements: "any", idKeys: { allow: [bytes("idKeyDigest", 48)] } },
      spoil: (claims) => {
        claims.measurements["idKeyDigest"] = zeros(48);
      },
      says: /identity key's digest is 0x00/,
    },
    {
      id: "snp.author-key",
      rules: { authorKeys: { allow: [bytes("authorKeyDigest", 48)] } },
      // The digest is there, but nothing was signed with the key.
      spoil: (claims) => {
        claims.authorKeyEnabled = false;
      },
      says: /the guest has no author key/,
    },
  ]);

  it("AMD's list must have been among the collateral, unless the policy says that it need not", () => {
    const hide = (claims: SnpClaims) => {
      claims.revocation = "unchecked";
    };
    expect(failed(judge("snp", {}, hide))).toMatchObject([{ id: "policy.snp.crl", code: "CRL_MISSING" }]);
    expect(judge("snp", { requireCrl: false }, hide).accepted).toBe(true);
  });

  it("a VCEK has no cloud to hold against a list; unknown bits are told and refuse nothing", () => {
    const verdict = judge("snp", { cspIds: ["cloud"] }, (claims) => {
      claims.policy.unknownBits = [40];
      claims.platformInfo.unknownBits = [9];
    });
    expect(verdict.accepted).toBe(true);
    expect(verdict.notes.join()).toMatch(/policy has bits .*: 40.*info has bits .*: 9/);
  });
});

describe("Nitro", () => {
  const made = (seconds: number) => (claims: { timestamp: number }) => {
    claims.timestamp = seconds * 1000 + 999;
  };
  rows("nitro", [
    { id: "nitro.age", rules: { maxAgeSeconds: 300 }, spoil: made(NOW - 301), says: /301 s before .* at most 300 s/ },
    { id: "nitro.ahead", rules: {}, spoil: made(NOW + 61), says: /61 s after the time to verify at/ },
    { id: "nitro.ahead", rules: {}, spoil: made(Number.NaN), says: /the document's time is none/ },
    {
      id: "nitro.public-key",
      rules: { requirePublicKey: true },
      spoil: (claims) => {
        delete claims.publicKey;
      },
      says: /holds no public key/,
    },
    {
      id: "nitro.user-data",
      rules: { requireUserData: true },
      spoil: (claims) => {
        claims.userData = "0x";
      },
      says: /holds no user data/,
    },
    {
      id: "nitro.module",
      rules: { moduleIds: { allow: ["i-0abc-enc0123"] } },
      spoil: (claims) => {
        claims.moduleId = "i-0bad-enc0123";
      },
      says: /module id is i-0bad-enc0123, which is not among/,
    },
  ]);

  it("a document's age and lead count up to the second that the policy says", () => {
    expect(judge("nitro", { maxAgeSeconds: 300 }, made(NOW - 300)).accepted).toBe(true);
    expect(judge("nitro", { maxAheadSeconds: 5 }, made(NOW + 5)).accepted).toBe(true);
    expect(judge("nitro", { maxAheadSeconds: 0 }, made(NOW + 1)).accepted).toBe(false);
  });
});

describe("NVIDIA's devices", () => {
  const set = (changes: Partial<NvidiaClaims>) => (claims: NvidiaClaims) => {
    Object.assign(claims, changes);
  };
  rows("nvidia", [
    {
      id: "nvidia.rims",
      rules: {},
      spoil: set({ rims: { driver: { status: "match", revocation: "good" }, vbios: { status: "unchecked" } } }),
      says: /no reference manifest for vbios/,
    },
    {
      id: "nvidia.rims",
      rules: {},
      spoil: set({ rims: { driver: { status: "unchecked" }, vbios: { status: "unchecked" } } }),
      says: /no reference manifest for driver and vbios/,
    },
    {
      id: "nvidia.rims",
      rules: {},
      // Only switches have no driver.
      spoil: set({ rims: { driver: { status: "none" }, vbios: { status: "match", revocation: "good" } } }),
      says: /no reference manifest for driver/,
    },
    ...(["driver", "vbios"] as const).flatMap((which) => [
      {
        id: `nvidia.rim-revocation.${which}`,
        rules: {},
        spoil: (claims: NvidiaClaims) => {
          claims.rims[which].revocation = "hold";
        },
        says: new RegExp(`signer of the ${which}'s manifest is on hold, accepted is good`),
        code: "REVOCATION_UNKNOWN",
      },
      {
        id: `nvidia.rim-revocation.${which}`,
        rules: {},
        spoil: (claims: NvidiaClaims) => {
          delete claims.rims[which].revocation;
        },
        says: /nothing among the collateral says/,
        code: "REVOCATION_UNKNOWN",
      },
    ]),
    {
      id: "nvidia.mode",
      rules: { modes: ["spt", "ppcie"] },
      spoil: (claims) => {
        delete claims.mode;
      },
      says: /the mode is not in the report, accepted is ppcie, spt/,
    },
    {
      id: "nvidia.revocation",
      rules: {},
      spoil: set({ revocation: "hold" }),
      says: /certificate is on hold, accepted is good/,
      code: "REVOCATION_UNKNOWN",
    },
    {
      id: "nvidia.revocation",
      rules: { revocation: ["good", "hold"] },
      spoil: set({ revocation: "unchecked" }),
      says: /nothing among the collateral says/,
      code: "REVOCATION_UNKNOWN",
    },
    { id: "nvidia.fwid", rules: {}, spoil: set({ fwid: "absent" }), says: /firmware identity is absent/ },
    {
      id: "nvidia.chip",
      rules: { chips: { allow: ["GH100"] } },
      spoil: set({ chip: "GB100" }),
      says: /chip is GB100, which is not among the 1 accepted: GH100/,
    },
    {
      id: "nvidia.serial",
      rules: { serials: { deny: ["1653421"] } },
      spoil: set({ serial: "1653421" }),
      says: /is on the policy's deny-list/,
    },
    {
      id: "nvidia.device",
      rules: { deviceIds: { allow: [bytes("device 0", 32)] } },
      spoil: set({ deviceId: bytes("device 1", 32) }),
      says: /identity is .* not among/,
    },
    {
      id: "nvidia.versions",
      rules: { minVersions: { GH100: { driver: "570.100" } } },
      spoil: set({ driver: "570.99.99" }),
      says: /driver is 570\.99\.99, older than 570\.100/,
    },
    {
      id: "nvidia.versions",
      rules: { minVersions: { GH100: { vbios: "96.00.9f.00.01" } } },
      spoil: set({ vbios: "96.00.99.00.01" }),
      says: /VBIOS is 96\.00\.99\.00\.01, older than 96\.00\.9F\.00\.01/,
    },
    {
      id: "nvidia.versions",
      rules: { minVersions: { GH100: { driver: "1" } } },
      spoil: set({ chip: "GB100" }),
      says: /minimum versions, but none for GB100/,
    },
    {
      id: "devices",
      rules: { devices: { min: 1, max: 1 } },
      spoil: set({ device: "NVSwitch" }),
      says: /there are 0 GPUs, wanted is 1/,
      code: "DEVICE_COUNT",
    },
    {
      id: "switches",
      rules: { switches: { max: 0 } },
      spoil: set({ device: "NVSwitch" }),
      says: /there are 1 NVSwitches, wanted is 0/,
      code: "DEVICE_COUNT",
    },
  ]);

  it.each([
    ["chips", "gh100", { chip: "GH100" }],
    ["serials", "0x00A1B2", { serial: "a1b2" }],
    ["serials", "A1B2", { serial: "00a1b2" }],
    ["deviceIds", bytes("device 0", 32).slice(2).toUpperCase(), {}],
  ])("a deny-list of %s denies in another spelling: %s", (list, value, change) => {
    const verdict = judge("nvidia", { [list]: { deny: [value] } }, set(change));
    expect(failed(verdict)).toMatchObject([{ reason: expect.stringContaining("is on the policy's deny-list") }]);
  });

  it("a switch has no driver, and none is wanted of it", () => {
    const verdict = judge(
      "nvidia",
      {},
      set({
        device: "NVSwitch",
        driver: "",
        rims: { driver: { status: "none" }, vbios: { status: "match", revocation: "good" } },
      }),
    );
    expect(verdict).toMatchObject({ accepted: true });
  });

  it("without reference manifests there is no TEE claim, if the policy accepts that at all", () => {
    const verdict = judge(
      "nvidia",
      { rims: "any" },
      set({ rims: { driver: { status: "unchecked" }, vbios: { status: "match", revocation: "good" } } }),
    );
    expect(verdict).toMatchObject({ accepted: true, tee: false });
  });
});

describe("tokens of NVIDIA's service", () => {
  const claim = (name: string, value: unknown) => (claims: NrasClaims) => {
    claims.devices[1]!.claims[name] = value;
  };
  const drop = (name: string) => (claims: NrasClaims) => {
    delete claims.devices[1]!.claims[name];
  };
  rows("nras", [
    {
      id: "nras.issuer",
      rules: {},
      spoil: (claims) => {
        claims.issuer = "https://nras.example";
      },
      says: /by https:\/\/nras\.example, accepted is https:\/\/nras\.attestation\.nvidia\.com/,
    },
    {
      id: "nras.result",
      rules: {},
      spoil: (claims) => {
        claims.overallResult = false;
      },
      says: /devices failed its own appraisal/,
    },
    {
      id: "nras.claims",
      rules: {},
      spoil: claim("measres", "fail"),
      says: /GPU-1: measres is "fail", accepted is success/,
    },
    { id: "nras.claims", rules: {}, spoil: claim("secboot", false), says: /GPU-1: secboot is false, accepted is true/ },
    { id: "nras.claims", rules: {}, spoil: claim("secboot", "true"), says: /secboot is "true"/ },
    {
      id: "nras.claims",
      rules: {},
      spoil: claim("dbgstat", "enabled"),
      says: /dbgstat is "enabled", accepted is disabled/,
      code: "DEBUG_ENABLED",
    },
    { id: "nras.claims", rules: {}, spoil: drop("dbgstat"), says: /GPU-1: dbgstat is absent/ },
    {
      id: "nras.claims",
      rules: { claims: { hwmodel: "GH100" } },
      spoil: claim("hwmodel", ["GH100"]),
      says: /hwmodel is \["GH100"\]/,
    },
    {
      id: "nras.claims",
      rules: {},
      spoil: (claims) => {
        claims.devices = [];
      },
      says: /about no device/,
    },
    {
      id: "nras.age",
      rules: { maxAgeSeconds: 200 },
      spoil: (claims) => {
        claims.issuedAt = NOW - 201;
      },
      says: /201 s ago/,
    },
    {
      id: "nras.devices",
      rules: { devices: { min: 2 } },
      spoil: (claims) => {
        claims.devices.pop();
      },
      says: /there are 1 devices that tokens are about, wanted is 2 or more/,
      code: "DEVICE_COUNT",
    },
    {
      id: "nras.devices",
      rules: { devices: { min: 2 } },
      spoil: (claims) => {
        claims.devices[1]!.claims["ueid"] = claims.devices[0]!.claims["ueid"];
      },
      says: /only 1 are different ones/,
      code: "DUPLICATE_DEVICE",
    },
    {
      id: "nras.devices",
      rules: { devices: { min: 1 } },
      spoil: drop("ueid"),
      says: /has no identity/,
      code: "DEVICE_COUNT",
    },
  ]);

  it("each device's chip and versions are held against the lists", () => {
    const rules = { chips: { allow: ["GH100"] }, minVersions: { GH100: { driver: "570.172" } } };
    expect(judge("nras", rules).accepted).toBe(true);
    expect(failed(judge("nras", rules, claim("hwmodel", "GA100"))).map(({ id, reason }) => `${id}: ${reason}`)).toEqual(
      [
        expect.stringMatching(/^policy\.nras\.chip: the chip of GPU-1 is GA100/),
        expect.stringMatching(/^policy\.nras\.versions: .* none for GA100/),
      ],
    );
    // Releases of the service differ in what follows.
    expect(failed(judge("nras", rules, claim("hwmodel", "GH100 A01 GSP BROM")))).toEqual([]);
    const denied = judge("nras", { chips: { deny: ["gh100"] } }, claim("hwmodel", "GH100 A01 GSP BROM"));
    expect(failed(denied)).toHaveLength(2);
    expect(failed(judge("nras", rules, claim("x-nvidia-gpu-driver-version", 570)))).toMatchObject([
      { id: "policy.nras.versions", reason: "the driver is unknown, older than 570.172" },
    ]);
  });

  it("claims with names of objects in general are not taken from objects in general", () => {
    const verdict = judge("nras", { claims: { constructor: "x" } });
    expect(failed(verdict)).toMatchObject([{ reason: "GPU-0: constructor is absent, accepted is x" }]);
  });

  it("a policy that accepts failing measurements makes no TEE claim", () => {
    const verdict = judge("nras", { claims: { measres: ["success", "fail"] } }, claim("measres", "fail"));
    expect(verdict).toMatchObject({ accepted: true, tee: false });
  });
});

describe("vTPMs of Azure", () => {
  rows("azure-snp", [
    {
      id: "vtpm.clock",
      rules: { requireSafeClock: true },
      spoil: (claims) => {
        claims.clock.safe = false;
      },
      says: /clock is not marked as safe/,
    },
    {
      id: "snp.vmpl",
      rules: {},
      spoil: (claims) => {
        (claims.tee as SnpClaims).vmpl = 2;
      },
      says: /VMPL 2, accepted is 0/,
    },
    {
      id: "snp.chip",
      rules: { tee: { chipIds: { allow: [bytes("chip", 64)] } } },
      spoil: (claims) => {
        (claims.tee as SnpClaims).chipId = zeros(64);
      },
      says: /hides its chip/,
    },
  ]);
  rows("azure-tdx", [
    {
      id: "intel.status",
      rules: { tee: { septVeDisable: false } },
      spoil: (claims) => {
        (claims.tee as IntelClaims).status = "OutOfDate";
      },
      says: /the status is OutOfDate/,
    },
    {
      id: "tdx.attributes",
      rules: {},
      spoil: (claims) => {
        (claims.tee as IntelClaims).tdx!.tdAttributes = "0x0000000000000000";
      },
      says: /SEPT_VE_DISABLE is not set/,
    },
  ]);

  it("a TEE of another family inside is refused", () => {
    const verdict = judge("azure-snp", {}, (claims) => {
      claims.tee = CLAIMS.tdx() as IntelClaims;
    });
    expect(failed(verdict).map(({ id }) => id)).toEqual(["policy.vtpm.tee"]);
  });
});

describe("Arm CCA", () => {
  rows("cca", [
    ...[0x0000, 0x1000, 0x2fff, 0x3100, 0x4000, 0x5000, 0x6000].map((lifecycle) => ({
      id: "cca.lifecycle",
      rules: {},
      spoil: (claims: ClaimsOf<"cca">) => {
        claims.platform.lifecycle = lifecycle;
        claims.platform.lifecycleName = "other";
      },
      says: /the platform is other \(0x[0-9a-f]+\), accepted is secured/,
    })),
    {
      id: "cca.lifecycle",
      rules: { lifecycles: ["secured", "non-cca-platform-debug"] },
      prepare: (claims) => {
        claims.platform.lifecycle = 0x40ff;
      },
      spoil: (claims) => {
        claims.platform.lifecycle = 0x5000;
      },
      says: /accepted is non-cca-platform-debug, secured/,
    },
    {
      id: "cca.implementation",
      rules: { implementationIds: { allow: [bytes("implementation", 32)] } },
      spoil: (claims) => {
        claims.platform.implementationId = bytes("other", 32);
      },
      says: /platform type is/,
    },
    {
      id: "cca.instance",
      rules: { instanceIds: { deny: [bytes("stolen", 33)] } },
      spoil: (claims) => {
        claims.platform.instanceId = bytes("stolen", 33);
      },
      says: /deny-list/,
    },
    {
      id: "cca.component-signer",
      rules: { componentSigners: { allow: [bytes("signer", 32)] } },
      spoil: (claims) => {
        claims.platform.components[1]!.signer = bytes("other", 32);
      },
      says: /component 1 \(RMM\): the signer .* is not among the accepted/,
    },
    {
      id: "cca.component-measurement",
      rules: { componentMeasurements: { deny: [bytes("old", 32)] } },
      spoil: (claims) => {
        claims.platform.components[0]!.measurement = bytes("old", 32);
      },
      says: /component 0 \(RSE_BL1_2\): the measurement .* deny-list/,
    },
    {
      id: "cca.component-signer",
      rules: { componentSigners: { allow: [bytes("signer", 32)] } },
      spoil: (claims) => {
        claims.platform.components = [];
      },
      says: /names no firmware components/,
    },
    {
      id: "cca.personalisation",
      rules: { personalisations: [bytes("personalisation", 64)] },
      spoil: (claims) => {
        claims.realm.personalisation = zeros(64);
      },
      says: /personalisation is 0x00/,
    },
  ]);
});

describe("event logs", () => {
  const rules = (log: Record<string, unknown>) => policy({ tdx: rulesFor("tdx", { eventLog: log }) });
  const judgeLog = (log: Record<string, unknown>, given = eventLog()) =>
    appraise(authentic(CLAIMS.tdx()), rules(log), {}, { eventLog: given });
  const LISTS = [
    ["composeHashes", "composeHash", "event-log.compose-hash", bytes("compose", 32)],
    ["osImageHashes", "osImageHash", "event-log.os-image", bytes("os", 32)],
    ["appIds", "appId", "event-log.app", bytes("app", 20)],
    ["instanceIds", "instanceId", "event-log.instance", bytes("app instance", 20)],
  ] as const;

  it("of another guest's is refused even if no rule is about it: it would stand in the verdict", () => {
    const other = { ...eventLog(), registers: { rtmr3: bytes("another guest", 48) } };
    for (const family of ["tdx", "azure-tdx", "snp", "nitro"] as const) {
      const more = family === "azure-tdx" ? { tee: {} } : {};
      const verdict = appraise(
        authentic(CLAIMS[family]()),
        policy({ [family]: rulesFor(family, more) }),
        {},
        { eventLog: other },
      );
      expect(failed(verdict), family).toMatchObject([{ id: "policy.event-log", code: "EVENT_LOG_MISMATCH" }]);
    }
  });

  it.each(LISTS)("%s", (rule, claim, id, good) => {
    expect(judgeLog({ [rule]: { allow: [good] } }).accepted).toBe(true);
    expect(failed(judgeLog({ [rule]: { deny: [good] } }))).toMatchObject([
      { id: `policy.${id}`, reason: expect.stringContaining("deny-list") },
    ]);
    const other = { ...eventLog(), [claim]: bytes("other", 32) };
    expect(failed(judgeLog({ [rule]: { allow: [good] } }, other))).toMatchObject([
      { id: `policy.${id}`, reason: expect.stringContaining(`is ${bytes("other", 32)}, which is not among`) },
    ]);
    const { [claim]: _, ...without } = eventLog();
    for (const list of [{ allow: [good] }, { deny: [good] }]) {
      expect(failed(judgeLog({ [rule]: list }, without as never))).toMatchObject([
        { id: `policy.${id}`, reason: expect.stringContaining("no such event is bound to the quote") },
      ]);
    }
  });

  it("a log must be there, and be this guest's", () => {
    const composeHashes = { allow: [bytes("compose", 32)] };
    const none = appraise(authentic(CLAIMS.tdx()), rules({ composeHashes }));
    expect(failed(none)).toMatchObject([{ id: "policy.event-log", reason: expect.stringContaining("none was given") }]);
    expect(failed(appraise(authentic(CLAIMS.tdx()), rules({})))).toMatchObject([{ id: "policy.event-log" }]);
    const foreign = eventLog();
    foreign.registers["rtmr3"] = bytes("another guest", 48);
    expect(failed(judgeLog({ composeHashes }, foreign))).toMatchObject([
      { id: "policy.event-log", code: "EVENT_LOG_MISMATCH", reason: expect.stringContaining("another rtmr3") },
    ]);
    expect(failed(judgeLog({ composeHashes }, { ...eventLog(), registers: {} }))).toMatchObject([
      { id: "policy.event-log" },
    ]);
  });

  it("key providers by name, by key, or by both", () => {
    const kms = { name: "kms", id: bytes("kms", 64).toUpperCase().replace("0X", "0x") };
    for (const accepted of [kms, { name: "kms" }, { id: kms.id }]) {
      expect(judgeLog({ keyProviders: [{ name: "nobody" }, accepted] }).accepted).toBe(true);
    }
    for (const refused of [
      { name: "local-sgx" },
      { name: "kms", id: bytes("another", 64) },
      { name: "x", id: kms.id },
    ]) {
      const verdict = judgeLog({ keyProviders: [refused] });
      expect(failed(verdict)).toMatchObject([
        { id: "policy.event-log.key-provider", reason: expect.stringMatching(/the key provider is kms with key 0x/) },
      ]);
    }
    expect(judgeLog({ keyProviders: [{ name: "none" }] }, { ...eventLog(), keyProvider: "none" }).accepted).toBe(true);
    for (const odd of ['"kms"', "[]", "null", '{"name":{}}', "{", '{"__proto__":{"name":"kms"}}']) {
      expect(judgeLog({ keyProviders: [{ name: "kms" }] }, { ...eventLog(), keyProvider: odd }).accepted, odd).toBe(
        false,
      );
    }
    const { keyProvider: _, ...without } = eventLog();
    expect(failed(judgeLog({ keyProviders: [{ name: "kms" }] }, without))).toMatchObject([
      { id: "policy.event-log.key-provider" },
    ]);
  });

  it("events count only where they are bound to their register, and every time", () => {
    expect(judgeLog({ events: [{ name: "ready" }, { name: "app-id", payloads: [bytes("app", 20)] }] }).accepted).toBe(
      true,
    );
    for (const [event, reason] of [
      [{ name: "missing" }, /no event "missing" that is bound to register 3/],
      [{ name: "forged" }, /no event "forged" that is bound/],
      [{ name: "ready", register: 2 }, /bound to register 2/],
      [{ name: "app-id", payloads: [bytes("other", 20)] }, /has the content .*, accepted is/],
    ] as const) {
      expect(failed(judgeLog({ events: [event] }))).toMatchObject([
        { id: "policy.event-log.event", reason: expect.stringMatching(reason) },
      ]);
    }
    const twice = eventLog();
    twice.events.push({ ...twice.events[0]!, payload: bytes("swapped", 32) });
    expect(judgeLog({ events: [{ name: "compose-hash", payloads: [bytes("compose", 32)] }] }, twice).accepted).toBe(
      false,
    );
  });
});

describe("collateral", () => {
  const TDX = { tdx: rulesFor("tdx") };
  const judgeAge = (
    rules: Record<string, unknown>,
    collateral = COLLATERAL,
    families: Record<string, unknown> = TDX,
  ) => {
    const [family] = Object.keys(families) as Family[];
    return appraise(authentic(CLAIMS[family!](), { collateral }), policy(families, { collateral: rules }));
  };

  it("must not be older than the policy says, to the second", () => {
    expect(judgeAge({ maxAgeSeconds: 4 * DAY }).accepted).toBe(true);
    expect(failed(judgeAge({ maxAgeSeconds: 4 * DAY - 1 }))).toMatchObject([
      {
        id: "policy.collateral",
        reason: expect.stringMatching(/^intel\.qe-identity was issued at 2025-12-28T00:00:00Z, 345600 s ago/),
      },
    ]);
    expect(judgeAge({ minIssued: "2025-12-28" }).accepted).toBe(true);
    expect(failed(judgeAge({ minIssued: "2025-12-28T00:00:01Z" }))).toMatchObject([
      { id: "policy.collateral", reason: expect.stringMatching(/before the minimum 2025-12-28T00:00:01Z$/) },
    ]);
  });

  it("must be there and say when it was issued", () => {
    const without = COLLATERAL.filter(({ kind }) => kind !== "intel.tcb-info");
    expect(failed(judgeAge({ maxAgeSeconds: 30 * DAY }, without))).toMatchObject([
      { id: "policy.collateral", reason: expect.stringContaining("no intel.tcb-info was used") },
    ]);
    const undated = COLLATERAL.map(({ issued: _, ...rest }) => rest);
    expect(failed(judgeAge({ minIssued: "2020-01-01" }, undated))).toMatchObject([{ id: "policy.collateral" }]);
    expect(failed(judgeAge({ kinds: ["intel.root-crl"] }))).toMatchObject([{ id: "policy.collateral" }]);
  });

  it("of other vendors is not what a family's is held against, and nothing to hold is said", () => {
    const kinds = ["intel.tcb-info", "amd.crl"];
    const snp = { snp: rulesFor("snp") };
    expect(judgeAge({ maxAgeSeconds: 30 * DAY, kinds }).accepted).toBe(true);
    expect(judgeAge({ maxAgeSeconds: 30 * DAY, kinds }, COLLATERAL, snp).accepted).toBe(false);
    // AMD's statement is its list, and a rule without kinds is about that as well: it does not pass unseen.
    expect(failed(judgeAge({ maxAgeSeconds: 1 }, COLLATERAL, snp))).toMatchObject([{ id: "policy.collateral" }]);
    const verdict = judgeAge({ maxAgeSeconds: 1 }, COLLATERAL, { nitro: rulesFor("nitro") });
    expect(verdict.checks.find(({ id }) => id === "policy.collateral")).toMatchObject({ outcome: "unchecked" });
  });
});
