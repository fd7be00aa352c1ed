/** The evaluation of TCB levels on its own: order, convergence, relaunch. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { IntelStatus } from "../../../src/tee/claims.js";
import type { ModuleStatus, PlatformStatus, QeIdentity, TcbInfo } from "../../../src/tee/intel/collateral.js";
import { evaluateTcb } from "../../../src/tee/intel/tcb.js";
import { code } from "../../support/errors.js";

const DATE = "2024-01-01T00:00:00Z";
const bytes = (...values: number[]) => Uint8Array.from({ length: 16 }, (_, i) => values[i] ?? 0);
const components = (...values: number[]) => [...bytes(...values)].map((svn) => ({ svn }));
const level = <S extends PlatformStatus>(status: S, advisories: string[] = [], tcbDate = DATE) => ({
  status,
  advisories,
  tcbDate,
});
const dated = { issueDate: 0, nextUpdate: 1, tcbEvaluationDataNumber: 1 };
const zero = (length: number) => new Uint8Array(length);

function documents(platform: PlatformStatus, module: ModuleStatus, qe: ModuleStatus): [TcbInfo, QeIdentity] {
  const tcbInfo: TcbInfo = {
    ...dated,
    id: "TDX",
    fmspc: zero(6),
    pceId: zero(2),
    levels: [
      { ...level(platform, ["C", "A"], "2025-01-01T00:00:00Z"), sgx: components(), tdx: components(), pceSvn: 0 },
    ],
    tdx: {
      module: { mrSigner: zero(48), attributes: zero(8) },
      identities: [
        {
          id: "TDX_01",
          mrSigner: zero(48),
          attributes: zero(8),
          levels: [
            { ...level("UpToDate"), isvSvn: 5 },
            { ...level(module, ["B", "A"]), isvSvn: 1 },
          ],
        },
      ],
    },
  };
  const identity: QeIdentity = {
    ...dated,
    id: "TD_QE",
    miscSelect: zero(4),
    miscSelectMask: zero(4),
    attributes: zero(16),
    attributesMask: zero(16),
    mrSigner: zero(32),
    isvProdId: 2,
    levels: [{ ...level(qe, ["D"], "2023-06-01T00:00:00Z"), isvSvn: 0 }],
  };
  return [tcbInfo, identity];
}

const pck = { components: [...bytes()], pceSvn: 0 };

/** As Intel's library has it, written out. */
const CONVERGENCE: [PlatformStatus, IntelStatus][] = [
  ["UpToDate", "OutOfDate"],
  ["SWHardeningNeeded", "OutOfDate"],
  ["ConfigurationNeeded", "OutOfDateConfigurationNeeded"],
  ["ConfigurationAndSWHardeningNeeded", "OutOfDateConfigurationNeeded"],
  ["OutOfDate", "OutOfDate"],
  ["OutOfDateConfigurationNeeded", "OutOfDateConfigurationNeeded"],
  ["Revoked", "Revoked"],
];

describe("convergence", () => {
  test.each(CONVERGENCE)("of a platform that is %s", (platform, behind) => {
    const parts: ModuleStatus[] = ["UpToDate", "OutOfDate", "Revoked"];
    for (const module of parts) {
      for (const qe of parts) {
        const { status } = evaluateTcb(...documents(platform, module, qe), {
          pck,
          qeIsvSvn: 0,
          tdx: { launch: bytes(1, 1) },
        });
        const worst = [module, qe].includes("Revoked")
          ? "Revoked"
          : [module, qe].includes("OutOfDate")
            ? behind
            : platform;
        expect([module, qe, status]).toEqual([module, qe, worst]);
      }
    }
  });

  test("advisories are those of every level, once; the date is the earliest", () => {
    const result = evaluateTcb(...documents("OutOfDate", "OutOfDate", "UpToDate"), {
      pck,
      qeIsvSvn: 0,
      tdx: { launch: bytes(1, 1) },
    });
    expect(result.advisories).toEqual(["A", "B", "C", "D"]);
    expect(result.tcbDate).toBe("2023-06-01T00:00:00Z");
  });

  test("SGX has no module", () => {
    const result = evaluateTcb(...documents("UpToDate", "Revoked", "UpToDate"), { pck, qeIsvSvn: 0 });
    expect(result.status).toBe("UpToDate");
    expect(result.parts.map(({ part }) => part)).toEqual(["platform", "quoting enclave"]);
  });
});

describe("relaunch", () => {
  const run = (platform: PlatformStatus, launch: Uint8Array, current: Uint8Array, module: ModuleStatus = "OutOfDate") =>
    evaluateTcb(...documents(platform, module, "UpToDate"), { pck, qeIsvSvn: 0, tdx: { launch, current } });
  const [old, fresh] = [bytes(1, 1), bytes(5, 1)];

  test.each([
    ["UpToDate", "RelaunchAdvised"],
    ["SWHardeningNeeded", "RelaunchAdvised"],
    ["ConfigurationNeeded", "RelaunchAdvisedConfigurationNeeded"],
    ["ConfigurationAndSWHardeningNeeded", "RelaunchAdvisedConfigurationNeeded"],
    ["OutOfDate", "OutOfDate"],
    ["OutOfDateConfigurationNeeded", "OutOfDateConfigurationNeeded"],
    ["Revoked", "Revoked"],
  ] as [PlatformStatus, IntelStatus][])("an old module at launch, on a platform that is %s", (platform, status) => {
    expect(run(platform, old, fresh).status).toBe(status);
    expect(run(platform, fresh, fresh).status).toBe(platform);
    expect(run(platform, old, old).status).toBe(CONVERGENCE.find(([each]) => each === platform)![1]);
  });

  test("a module that was revoked at launch, or is now, is revoked", () => {
    expect(run("UpToDate", old, fresh, "Revoked").status).toBe("Revoked");
    expect(run("UpToDate", fresh, old, "Revoked").status).toBe("Revoked");
  });

  test("equal SVNs are evaluated once", () => {
    expect(run("UpToDate", old, old).parts).toHaveLength(3);
    expect(run("UpToDate", old, fresh).parts).toHaveLength(5);
  });
});

describe("levels", () => {
  test("the first one that every SVN reaches, and what keeps it from the newest", () => {
    const svns = fc.array(fc.nat({ max: 3 }), { minLength: 16, maxLength: 16 });
    fc.assert(
      fc.property(
        svns,
        svns,
        fc.nat({ max: 3 }),
        svns,
        svns,
        fc.nat({ max: 3 }),
        (has, tee, pceSvn, sgx, tdx, needs) => {
          const [tcbInfo, identity] = documents("OutOfDate", "UpToDate", "UpToDate");
          const newest = { ...level("UpToDate"), sgx: components(...sgx), tdx: components(...tdx), pceSvn: needs };
          const levels = [newest, ...tcbInfo.levels];
          const { parts } = evaluateTcb({ ...tcbInfo, levels }, identity, {
            pck: { components: has, pceSvn },
            qeIsvSvn: 0,
            tdx: { launch: bytes(5, 1, ...tee.slice(2)) },
          });
          const behind =
            has.filter((svn, i) => svn < sgx[i]!).length +
            tee.filter((svn, i) => i >= 2 && svn < tdx[i]!).length +
            Number(pceSvn < needs);
          expect(parts[0]!.behind).toHaveLength(behind);
          expect(parts[0]!.status).toBe(behind === 0 ? "UpToDate" : "OutOfDate");
        },
      ),
      { numRuns: 100 },
    );
  });

  test("below all of them, the message says what is missing", () => {
    const [tcbInfo, identity] = documents("UpToDate", "UpToDate", "UpToDate");
    const levels = [{ ...level("OutOfDate"), sgx: components(0, 7), pceSvn: 9 }];
    levels[0]!.sgx[1] = { svn: 7, name: "BIOS, Early Microcode Update" } as (typeof levels)[0]["sgx"][0];
    const run = () => evaluateTcb({ ...tcbInfo, levels }, identity, { pck, qeIsvSvn: 0 });
    expect(run).toThrow(code("TCB_NOT_SUPPORTED"));
    expect(run).toThrow(
      "the platform is below every level of the TCB info: sgx component 2 (BIOS, Early Microcode Update) is 0, 7 is needed, and 1 more",
    );
  });
});
