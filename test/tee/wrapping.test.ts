/** Inputs that are made to cost more than they weigh: nested, repeated, without an end. None of them gets out as anything but a typed failure. */
import { describe, expect, it } from "vitest";
import { utf8 } from "../../src/field/bytes.js";
import { evidenceFromJson } from "../../src/tee/evidenceJson.js";
import { importFiles } from "../../src/tee/import/index.js";
import { intelPlatform } from "../../src/tee/lab/intel.js";
import { readJson } from "../../src/tee/read/json.js";
import { readEvidence } from "../../src/tee/recognise.js";
import { outcomeOf } from "../support/errors.js";

const lab = intelPlatform();
const quote = Buffer.from(lab.evidence.quote).toString("base64");
const certificate = Buffer.from(lab.intel.tcbInfo.chain[0]!).toString("base64");
const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;

describe("recognition", () => {
  it("collateral beside evidence that is nested deeper than a stack", () => {
    const collateral = `{"tcb_info":${deep},"tcb_info_issuer_chain":"${certificate}","qe_identity":1,"root_ca_crl":"00"}`;
    expect(outcomeOf(() => readEvidence(JSON.stringify({ quote, collateral })))).toBe("COLLATERAL_MALFORMED");
    expect(outcomeOf(() => readEvidence({ quote, collateral: JSON.parse(collateral) }))).toBe("COLLATERAL_MALFORMED");
  });

  it("objects that hold themselves, or each other in many ways", () => {
    const self: Record<string, unknown> = {};
    for (const name of ["data", "evidence", "gpu", "instances"]) self[name] = self;
    expect(outcomeOf(() => readEvidence(self))).toBe("INPUT_TOO_LARGE");
    let many: unknown = { quote };
    for (let i = 0; i < 20; i++) many = { data: many, result: many, evidence: many, gpu: many };
    expect(outcomeOf(() => readEvidence(many))).toBe("INPUT_TOO_LARGE");
    // Two that share a piece are nothing of the kind.
    const shared = { quote };
    expect(readEvidence({ attestation: shared, again: shared }).evidence).toEqual(lab.evidence);
  });

  it("JSON of very many values", () => {
    const list = (count: number) => `[${"1,".repeat(count - 1)}1]`;
    const read = (text: string) => outcomeOf(() => readJson(text, { code: "EVIDENCE_UNKNOWN", what: "the JSON" }));
    expect(read(list(999_999))).toBe("accepted");
    expect(read(list(1_000_000))).toBe("EVIDENCE_UNKNOWN");
    expect(outcomeOf(() => readEvidence(list(1_000_000)))).toBe("EVIDENCE_UNKNOWN");
  });

  it("an empty event log is none: nothing would replay to the registers of a machine that has one", () => {
    for (const log of ["[]", " [ ]", [], ""]) {
      expect(readEvidence({ quote, event_log: log }).composite, JSON.stringify(log)).toBeUndefined();
    }
  });
});

describe("imported files", () => {
  const imported = (text: string) => outcomeOf(() => importFiles([{ name: "x", bytes: utf8(text) }]));

  it("answers in answers, and lists in lists", () => {
    expect(imported("HTTP/1.1 200\n\n".repeat(100_000))).toBe("COLLATERAL_MALFORMED");
    expect(imported(`${"[".repeat(60)}{}${"]".repeat(60)}`)).toBe("COLLATERAL_MALFORMED");
    let body = "{}";
    for (let i = 0; i < 10; i++) body = JSON.stringify({ body });
    expect(imported(body)).toBe("COLLATERAL_MALFORMED");
  });

  it("an answer with its header keeps its body as it is", () => {
    const keys = '{ "keys" : [\r\n\r\n] }';
    const { collateral } = importFiles([{ name: "x", bytes: utf8(`HTTP/1.1 200 OK\r\ndate: x\r\n\r\n${keys}`) }]);
    expect(collateral).toEqual({ nras: { jwks: [keys] } });
  });
});

it("our own files: names of very many devices", () => {
  const devices = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`GPU-${i}`, "x"]));
  const file = { format: "anchorproof/tee-evidence@1", kind: "nras", overall: "x", devices };
  expect(outcomeOf(() => evidenceFromJson(file))).toBe("EVIDENCE_MALFORMED");
});
