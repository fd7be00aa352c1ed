/** Intel's documents are read strictly where they are read, and levels come in Intel's order. */
import { describe, expect, test } from "vitest";
import { parseSignedJson, readQeIdentity, readTcbInfo } from "../../../src/tee/intel/collateral.js";
import { intelPlatform } from "../../../src/tee/lab/intel.js";
import type { Json, JsonObject } from "../../../src/tee/read/json.js";
import { code } from "../../support/errors.js";

const { intel } = intelPlatform();
const sgx = intelPlatform({ body: "sgx" }).intel;
const tcbInfo = () => parseSignedJson(intel.tcbInfo.json, "the TCB info");
const qeIdentity = () => parseSignedJson(intel.qeIdentity.json, "the QE identity");

/** Sets what stands at a path, or takes it out. */
function put(document: JsonObject, path: string, value: Json | undefined): JsonObject {
  const names = path.split(".");
  const last = names.pop()!;
  const parent = names.reduce((at, name) => (at as JsonObject)[name]!, document as Json) as JsonObject;
  if (value === undefined) delete parent[last];
  else parent[last] = value;
  return document;
}

const BAD: Record<string, Json[]> = {
  text: [1, null, {}, [], true],
  integer: [-1, 1.5, 2 ** 53, "1", null, [1]],
  hex: ["", "zz", "00", 0, null, "0x00"],
  date: ["2024-03-13", "2024-02-30T00:00:00Z", "2024-03-13T00:00:00+00:00", "2024-03-13T00:00:00.000Z", 0, ""],
  list: [{}, "a", null, [], [1], Array(257).fill({})],
};

describe("TCB info", () => {
  test("is read as it is", () => {
    const read = readTcbInfo(tcbInfo());
    expect(read.id).toBe("TDX");
    expect(read.levels.map(({ status }) => status)).toEqual(["UpToDate", "OutOfDate"]);
    expect(read.tdx!.identities.map(({ id }) => id)).toEqual(["TDX_03", "TDX_01"]);
    expect(readTcbInfo(parseSignedJson(sgx.tcbInfo.json, "the TCB info")).tdx).toBeUndefined();
  });

  const fields: [string, keyof typeof BAD][] = [
    ["version", "integer"],
    ["id", "text"],
    ["issueDate", "date"],
    ["nextUpdate", "date"],
    ["fmspc", "hex"],
    ["pceId", "hex"],
    ["tcbType", "integer"],
    ["tcbEvaluationDataNumber", "integer"],
    ["tcbLevels", "list"],
    ["tdxModule.mrsigner", "hex"],
    ["tdxModule.attributes", "hex"],
    ["tdxModuleIdentities.0.id", "text"],
    ["tdxModuleIdentities.0.mrsigner", "hex"],
    ["tdxModuleIdentities.0.tcbLevels", "list"],
    ["tdxModuleIdentities.0.tcbLevels.0.tcb.isvsvn", "integer"],
    ["tcbLevels.0.tcb.pcesvn", "integer"],
    ["tcbLevels.0.tcb.sgxtcbcomponents", "list"],
    ["tcbLevels.0.tcb.tdxtcbcomponents", "list"],
    ["tcbLevels.0.tcb.sgxtcbcomponents.3.svn", "integer"],
    ["tcbLevels.0.tcbDate", "date"],
    ["tcbLevels.0.tcbStatus", "text"],
  ];

  test.each(fields)("%s must be there, and of its type", (path, kind) => {
    for (const value of [undefined, ...BAD[kind]!]) {
      expect(() => readTcbInfo(put(tcbInfo(), path, value))).toThrow(code("COLLATERAL_MALFORMED"));
    }
  });

  test.each([
    ["id", "QE"],
    ["version", 4],
    ["fmspc", "00".repeat(7)],
    ["tcbLevels.0.tcbStatus", "Fine"],
    ["tcbLevels.0.tcbStatus", "RelaunchAdvised"],
    ["tdxModuleIdentities.0.tcbLevels.0.tcbStatus", "ConfigurationNeeded"],
    ["tcbLevels.0.advisoryIDs", "INTEL-SA-00001"],
    ["tcbLevels.0.advisoryIDs", [1]],
    ["tcbLevels.0.tcb.pcesvn", 65536],
    ["tcbLevels.0.tcb.sgxtcbcomponents.3.svn", 256],
    ["tcbLevels.0.tcb.sgxtcbcomponents", Array(15).fill({ svn: 0 })],
    ["tcbLevels.0.tcb.tdxtcbcomponents", Array(17).fill({ svn: 0 })],
    ["tcbLevels.0.tcb.sgxtcbcomponents.3.category", 1],
    ["tdxModule", []],
    ["tdxModuleIdentities", []],
  ] as [string, Json][])("%s of %j is refused", (path, value) => {
    expect(() => readTcbInfo(put(tcbInfo(), path, value))).toThrow(code("COLLATERAL_MALFORMED"));
  });

  test("messages say where", () => {
    expect(() => readTcbInfo(put(tcbInfo(), "tcbLevels.1.tcb.sgxtcbcomponents.3.svn", 300))).toThrow(
      "svn of sgxtcbcomponents[3] of tcb of tcbLevels[1] of the TCB info must be a whole number up to 255",
    );
    expect(() => readTcbInfo(put(tcbInfo(), "fmspc", undefined))).toThrow(
      "fmspc of the TCB info must be 6 bytes of hex, and is missing",
    );
    expect(() => readTcbInfo(put(tcbInfo(), "version", 2))).toThrow("TCB info of version 2; version 3 is supported");
  });

  test("an empty list of advisories is one", () => {
    expect(readTcbInfo(put(tcbInfo(), "tcbLevels.0.advisoryIDs", [])).levels[0]!.advisories).toEqual([]);
  });

  test("levels come highest first, whatever their order in the document", () => {
    const components = (...svns: number[]) => Array.from({ length: 16 }, (_, i) => ({ svn: svns[i] ?? 0 }));
    const level = (sgxSvn: number, pcesvn: number, tdxSvn: number) => ({
      tcb: { sgxtcbcomponents: components(1, sgxSvn), tdxtcbcomponents: components(tdxSvn), pcesvn },
      tcbDate: "2024-03-13T00:00:00Z",
      tcbStatus: "UpToDate",
    });
    const levels = [level(1, 5, 9), level(2, 1, 1), level(1, 6, 0), level(2, 1, 3), level(0, 9, 9)];
    const read = readTcbInfo(put(tcbInfo(), "tcbLevels", levels)).levels;
    expect(read.map(({ sgx, pceSvn, tdx }) => [sgx[1]!.svn, pceSvn, tdx![0]!.svn])).toEqual([
      [2, 1, 3],
      [2, 1, 1],
      [1, 6, 0],
      [1, 5, 9],
      [0, 9, 9],
    ]);
    const twice = [...levels, level(2, 1, 3)];
    expect(() => readTcbInfo(put(tcbInfo(), "tcbLevels", twice))).toThrow("two TCB levels of the same SVNs");
  });
});

describe("the QE identity", () => {
  test.each([
    ["version", "integer"],
    ["id", "text"],
    ["issueDate", "date"],
    ["nextUpdate", "date"],
    ["tcbEvaluationDataNumber", "integer"],
    ["miscselect", "hex"],
    ["miscselectMask", "hex"],
    ["attributes", "hex"],
    ["attributesMask", "hex"],
    ["mrsigner", "hex"],
    ["isvprodid", "integer"],
    ["tcbLevels", "list"],
    ["tcbLevels.0.tcb.isvsvn", "integer"],
    ["tcbLevels.0.tcbStatus", "text"],
  ] as [string, keyof typeof BAD][])("%s must be there, and of its type", (path, kind) => {
    for (const value of [undefined, ...BAD[kind]!]) {
      expect(() => readQeIdentity(put(qeIdentity(), path, value))).toThrow(code("COLLATERAL_MALFORMED"));
    }
  });

  test("levels come highest first, and none twice", () => {
    const level = (isvsvn: number) => ({ tcb: { isvsvn }, tcbDate: "2024-03-13T00:00:00Z", tcbStatus: "UpToDate" });
    const read = readQeIdentity(put(qeIdentity(), "tcbLevels", [level(2), level(8), level(5)]));
    expect(read.levels.map(({ isvSvn }) => isvSvn)).toEqual([8, 5, 2]);
    expect(() => readQeIdentity(put(qeIdentity(), "tcbLevels", [level(2), level(2)]))).toThrow("two TCB levels");
  });
});

describe("the text", () => {
  test.each([
    ["nothing", ""],
    ["a list", "[]"],
    ["depth", "[".repeat(100_000)],
    ["length", `{"a":"${"a".repeat(1024 * 1024)}"}`],
    ["no text", 7 as unknown as string],
  ])("%s is refused", (_, json) => {
    expect(() => parseSignedJson(json, "the TCB info")).toThrow(code("COLLATERAL_MALFORMED"));
  });
});
