/** Evidence out of what it comes in: every recorded case, every wrapping, and what is none. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AnchorError, ERROR_CODES } from "../../src/errors.js";
import { concat, toHex, utf8 } from "../../src/field/bytes.js";
import { canonicalJson } from "../../src/protocol/document.js";
import type { Composite, Evidence, NvidiaEvidence } from "../../src/tee/evidence.js";
import { evidenceFromJson, evidenceToJson } from "../../src/tee/evidenceJson.js";
import { intelPlatform } from "../../src/tee/lab/intel.js";
import { nitroEnclave } from "../../src/tee/lab/nitro.js";
import { snpProcessor } from "../../src/tee/lab/snp.js";
import { combine, readEvidence, readMachines, readParts } from "../../src/tee/recognise.js";
import { verify } from "../../src/tee/verify.js";
import { cases, VECTORS, vector, vectorText } from "./vectors.js";

const intel = intelPlatform();
const snp = snpProcessor({ rsa: "RSA-2048" });
const nitro = nitroEnclave();
const quote = intel.evidence.quote;
const report = snp.evidence.report;
const { document } = nitro.evidence;

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
const base64url = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64url");
const pem = (label: string, bytes: Uint8Array) =>
  `-----BEGIN ${label}-----\n${base64(bytes).replace(/.{1,64}/g, "$&\n")}-----END ${label}-----\n`;

/** Request and measurements as devices send them; only its first bytes matter here. */
function spdm(fill: number): Uint8Array {
  const bytes = new Uint8Array(400).fill(fill);
  bytes.set([0x11, 0xe0], 0);
  bytes.set([0x11, 0x60], 37);
  return bytes;
}
const chain = [snp.certificates.leaf, snp.certificates.ask];
const pemChain = chain.map((der) => pem("CERTIFICATE", der)).join("");
const device = (fill: number, extra: object = {}) => ({
  arch: "HOPPER",
  certificate: base64(utf8(pemChain)),
  evidence: base64(spdm(fill)),
  ...extra,
});
const events = [{ imr: 3, event_type: 134217729, digest: "", event: "app-id", event_payload: "00" }];
const JWT = `${base64url(utf8('{"alg":"ES384","kid":"k"}'))}.${base64url(utf8('{"iss":"x"}'))}.${base64url(new Uint8Array(96))}`;

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof AnchorError) {
      expect(error.message).not.toContain("\n");
      return error.code;
    }
    throw error;
  }
  return "none";
}

describe.skipIf(VECTORS === undefined)("recorded evidence", () => {
  const KINDS: [kind: string, file: RegExp, as: string][] = [
    ["intel", /^quote\.bin$/, "intel"],
    ["snp", /^report\.bin$/, "snp"],
    ["nitro", /^doc\./, "nitro"],
    ["nvidia", /^report\.bin$/, "nvidia"],
    ["nvidia-rim", /^report\.hex$/, "nvidia"],
    ["azure-vtpm", /^evidence\.json$/, "azure-vtpm"],
    ["nras-jwt", /^nras_response\.json$/, "nras"],
  ];

  it.each(KINDS)("%s: every case is recognised, with the bytes that it has", (kind, file, as) => {
    const found = cases(kind).flatMap(({ id, files }) =>
      files.filter((name) => file.test(name)).map((name) => [id, name]),
    );
    expect(found.length).toBeGreaterThan(1);
    for (const [id, name] of found) {
      const { evidence, composite } = readEvidence(vector(kind, id!, name!));
      expect(evidence?.kind, id).toBe(as);
      expect(composite).toBeUndefined();
      if (evidence?.kind === "intel") expect(hex(evidence.quote)).toBe(hex(vector(kind, id!, name!)));
    }
  });

  it("a CCA token, and Azure's VCEK with its evidence", () => {
    expect(readEvidence(vector("arm-cca", "realm_testvectors_tf-rmm_cca_token.cbor")).evidence?.kind).toBe("cca");
    const azure = readEvidence(vector("azure-vtpm", "az-snp-v1", "evidence.json")).evidence;
    expect(azure).toMatchObject({ kind: "azure-vtpm", pcrs: { length: 24 }, certificates: { length: 1 } });
    const td = readEvidence(vector("azure-vtpm", "az-tdx-v1", "evidence.json")).evidence;
    expect(td).toMatchObject({ kind: "azure-vtpm", quote: { length: 5006 } });
  });

  it("a device's report and its chain in a file beside", () => {
    const files = ["report.bin", "chain.pem"].map((name) => readParts(vector("nvidia", "h100-580", name)));
    const [machine] = combine(files);
    expect(machine?.evidence).toMatchObject({ kind: "nvidia", certificates: { length: 5 } });
  });

  it("dstack's answers: the quote, its log, the report data, and dstack's own encoding of the same", () => {
    const getQuote = readEvidence(vectorText("event-log", "verifier_fixtures_tdx-lite-getquote.json"));
    const attestation = readEvidence(vectorText("event-log", "verifier_fixtures_tdx-lite-attestation.json"));
    expect(getQuote.composite?.eventLog?.format).toBe("dstack");
    expect(attestation.how.join()).toContain("version 0");
    expect(attestation.evidence).toEqual(getQuote.evidence);
    expect(attestation.hints.reportData).toBe(getQuote.hints.reportData);
    expect(attestation.hints.fields["vm_config"]).toContain("os_image_hash");
    const names = (log: Uint8Array) =>
      (JSON.parse(Buffer.from(log).toString()) as { event: string; imr: number }[])
        .filter(({ imr }) => imr === 3)
        .map(({ event }) => event);
    const log = attestation.composite!.eventLog!.log;
    expect(names(log)).toEqual(names(getQuote.composite!.eventLog!.log));
    expect(names(log)).toContain("compose-hash");
  });

  it("dstack's encoding: nothing may be missing at its end or follow it", () => {
    const { attestation } = JSON.parse(vectorText("event-log", "verifier_fixtures_tdx-lite-attestation.json"));
    const bytes = new Uint8Array(Buffer.from(attestation, "hex"));
    expect(codeOf(() => readEvidence(concat(bytes, Uint8Array.of(0))))).toBe("TRAILING_DATA");
    for (const length of [5100, 5500, 6000, bytes.length - 1]) {
      expect(
        codeOf(() => readEvidence(bytes.subarray(0, length))),
        `${length}`,
      ).toBe("EVIDENCE_MALFORMED");
    }
  });
});

describe("spellings", () => {
  const all: [string, Uint8Array, Evidence][] = [
    ["quote", quote, intel.evidence],
    ["SNP report", report, { kind: "snp", report }],
    ["Nitro document", document, nitro.evidence],
  ];
  it.each(all)("%s: raw, hex, base64, PEM, a list of numbers, a JSON string", (_, bytes, evidence) => {
    const spelt: unknown[] = [
      bytes,
      Buffer.from(bytes),
      hex(bytes),
      `0x${hex(bytes).toUpperCase()}\n`,
      hex(bytes).replace(/.{64}/g, "$&\n"),
      utf8(hex(bytes)),
      base64(bytes),
      `${base64(bytes).replace(/.{76}/g, "$&\r\n")}\n`,
      base64url(bytes),
      base64(utf8(hex(bytes))),
      pem("ATTESTATION", bytes),
      JSON.stringify(hex(bytes)),
      JSON.stringify([...bytes]),
      [...bytes],
      concat(utf8(base64(bytes)), new Uint8Array(3)),
    ];
    for (const [i, each] of spelt.entries()) {
      const found = readEvidence(each).evidence as unknown as Record<string, unknown>;
      for (const [name, value] of Object.entries(evidence)) {
        if (value instanceof Uint8Array) expect(hex(found[name] as Uint8Array), `spelling ${i}`).toBe(hex(value));
        else if (name === "kind") expect(found["kind"]).toBe(value);
      }
    }
  });

  it("an extended SNP report, the guest device's answer, and a table by itself", () => {
    const guid = (text: string) => new Uint8Array(Buffer.from(text.replaceAll("-", ""), "hex"));
    const entry = (id: string, offset: number, length: number) => {
      const bytes = new Uint8Array(24);
      bytes.set(guid(id), 0);
      new DataView(bytes.buffer).setUint32(16, offset, true);
      new DataView(bytes.buffer).setUint32(20, length, true);
      return bytes;
    };
    const { leaf, ask } = snp.certificates;
    const head = 3 * 24;
    const table = concat(
      entry("63da758d-e664-4564-adc5-f4b93be8accd", head, leaf.length),
      entry("4ab7b379-bbac-4fe4-a02f-05aef327c782", head + leaf.length, ask.length),
      new Uint8Array(24),
      leaf,
      ask,
    );
    const extended = readEvidence(concat(report, table)).evidence;
    expect(extended).toEqual({ kind: "snp", report, certificates: [leaf, ask] });
    const answer = new Uint8Array(32);
    new DataView(answer.buffer).setUint32(4, 1184, true);
    expect(readEvidence(concat(answer, report, new Uint8Array(2784))).evidence).toEqual({ kind: "snp", report });
    const [machine] = combine([readParts(report), readParts(table)]);
    expect(machine?.evidence).toEqual({ kind: "snp", report, certificates: [leaf, ask] });
    // What is behind a report and no table stays with it, so that its parser says so.
    const padded = readEvidence(concat(report, Uint8Array.of(10))).evidence;
    expect(padded).toMatchObject({ kind: "snp", report: { length: 1185 } });
  });

  it("a report and a chain of PEM or DER in other files", () => {
    for (const certificate of [utf8(pem("CERTIFICATE", snp.certificates.leaf)), snp.certificates.leaf]) {
      const [machine] = combine([readParts(certificate), readParts(report)]);
      expect(machine?.evidence).toEqual({ kind: "snp", report, certificates: [snp.certificates.leaf] });
    }
  });
});

describe("wrappings", () => {
  const payload = JSON.stringify({ nonce: "ab".repeat(32), arch: "HOPPER", evidence_list: [device(1), device(2)] });
  const near = {
    signing_address: "0x6525e128afcffebf7eed05d485d7be983cdae934",
    signing_algo: "ecdsa",
    request_nonce: "cd".repeat(32),
    intel_quote: hex(quote),
    nvidia_payload: payload,
    event_log: events,
    info: { tcb_info: JSON.stringify({ app_compose: "{}", event_log: events }), vm_config: "{}" },
  };

  it("NEAR AI, Venice, NanoGPT: quote, devices, log, and what a binding needs", () => {
    const { composite, hints, how } = readEvidence(JSON.stringify(near));
    expect(hex((composite!.cpu as { quote: Uint8Array }).quote)).toBe(hex(quote));
    expect(composite!.devices.map(({ report: each }) => each[2])).toEqual([1, 2]);
    expect(composite!.devices[0]!.certificates.map(hex)).toEqual(chain.map(hex));
    expect(JSON.parse(Buffer.from(composite!.eventLog!.log).toString())).toEqual(events);
    expect(hints).toMatchObject({ nonce: `0x${"cd".repeat(32)}`, signingAddress: near.signing_address });
    expect(hints.fields).toMatchObject({ signing_algo: "ecdsa", app_compose: "{}" });
    expect(how.join()).toContain('"intel_quote"');
    // The answer repeated in a list of all is one machine, not two.
    expect(readMachines({ ...near, all_attestations: [near] })).toHaveLength(1);
  });

  it("several machines stay apart, and are refused where one is wanted", () => {
    const other = { ...near, intel_quote: hex(intelPlatform({ reportData: new Uint8Array(64).fill(7) }).quote) };
    const answers = [
      { gateway_attestation: { ...near, nvidia_payload: null }, model_attestations: [other] },
      { all_attestations: [near, other] },
      {
        evidence: [near, other].map(({ intel_quote }) => ({
          quote: base64(Buffer.from(intel_quote, "hex")),
          gpu_evidence: [device(3)],
        })),
        failed_instance_ids: [],
      },
      [near, other],
    ];
    for (const answer of answers) {
      const machines = readMachines(answer);
      expect(machines).toHaveLength(2);
      expect(new Set(machines.map(({ evidence }) => hex((evidence as { quote: Uint8Array }).quote))).size).toBe(2);
      expect(codeOf(() => readEvidence(answer))).toBe("EVIDENCE_UNKNOWN");
      expect(codeOf(() => combine([readParts(answer), readParts(report)]))).toBe("EVIDENCE_UNKNOWN");
    }
    expect(codeOf(() => combine([readParts(quote), readParts(report)]))).toBe("EVIDENCE_UNKNOWN");
  });

  it("Tinfoil, attestation-rs, CoCo: evidence one level down, with its certificates", () => {
    const tinfoil = {
      format: "https://tinfoil.sh/predicate/attestation/v3",
      report_data: { tls_key_fp: "aa", nonce: "ef".repeat(32), gpu_evidence_hash: "bb" },
      cpu: { platform: "tdx", report: base64(quote) },
      gpu: { evidences: [device(9, { nonce: "ef".repeat(32) })] },
      certificate: pemChain,
    };
    const machine = readEvidence(tinfoil);
    expect(machine.composite?.devices).toHaveLength(1);
    expect(machine.hints).toMatchObject({
      nonce: `0x${"ef".repeat(32)}`,
      fields: { tls_key_fp: "aa", gpu_evidence_hash: "bb" },
    });
    const vcek = base64(snp.certificates.leaf);
    const wrapped = [
      { platform: "snp", evidence: { attestation_report: base64(report), cert_chain: { vcek } } },
      { attestation_report: [...report], cert_chain: [{ cert_type: "VCEK", data: [...snp.certificates.leaf] }] },
      { evidence: JSON.stringify({ report: base64url(report), vcek: pem("CERTIFICATE", snp.certificates.leaf) }) },
    ];
    for (const each of wrapped) {
      expect(readEvidence(each).evidence).toEqual({ kind: "snp", report, certificates: [snp.certificates.leaf] });
    }
    const coco = readEvidence({ quote: base64(quote), cc_eventlog: base64(ccel()) });
    expect(coco.composite?.eventLog?.format).toBe("ccel");
  });

  it("Azure's evidence as lists of numbers, and in base64url", () => {
    const hcl = concat(utf8("HCLA"), new Uint8Array(28), report, new Uint8Array(100));
    const parts = {
      message: [1, 2, 3],
      signature: [4, 5],
      pcrs: Array.from({ length: 24 }, () => [...new Uint8Array(32)]),
    };
    const v0 = readEvidence({
      quote: parts,
      report: [...hcl],
      vcek: pem("CERTIFICATE", snp.certificates.leaf),
    }).evidence;
    expect(v0).toMatchObject({ kind: "azure-vtpm", pcrs: { length: 24 }, certificates: [snp.certificates.leaf] });
    const v1 = readEvidence({
      version: 1,
      hcl_report: base64url(hcl),
      tpm_quote: parts,
      td_quote: base64url(quote),
    }).evidence;
    expect(v1).toMatchObject({ kind: "azure-vtpm", quote });
    const broken = { version: 1, hcl_report: base64url(hcl), tpm_quote: { message: [1] } };
    expect(codeOf(() => readEvidence(broken))).toBe("EVIDENCE_MALFORMED");
    // A bare HCL report is its paravisor's evidence, and says so.
    const bare = readEvidence(hcl);
    expect(bare.evidence?.kind).toBe("snp");
    expect(bare.how.join()).toContain("paravisor");
    expect(codeOf(() => readEvidence(concat(utf8("HCLA"), new Uint8Array(2000))))).toBe("EVIDENCE_UNKNOWN");
  });

  it("tokens of NVIDIA's service, in each nesting, also inside the local tool's unsigned one", () => {
    const answer = [["JWT", JWT], { "GPU-0": JWT, "GPU-1": ["JWT", JWT] }];
    const nested = [
      answer,
      [answer],
      [["JWT", "unsigned"], { REMOTE_GPU_CLAIMS: answer }],
      { REMOTE_GPU_CLAIMS: answer },
      { detached_eat: [["JWT", "e30.e30."], { REMOTE_GPU_CLAIMS: [answer] }], claims: [] },
      JSON.stringify(answer),
    ];
    for (const each of nested) {
      expect(readEvidence(each).evidence).toEqual({
        kind: "nras",
        overall: JWT,
        devices: { "GPU-0": JWT, "GPU-1": JWT },
      });
    }
    expect(codeOf(() => readEvidence([["JWT", JWT], { "GPU-0": 5 }]))).toBe("EVIDENCE_UNKNOWN");
    const machine = readEvidence({ quote: hex(quote), nras_response: answer });
    expect(machine.composite?.tokens).toHaveLength(1);
  });

  it("lists of devices, in the spellings of NVIDIA's tools; without a CPU each stands for itself", () => {
    const spelt = [
      [device(1), device(2)],
      { evidence_list: [device(1), device(2)], nonce: "00".repeat(32), arch: "HOPPER" },
      { device_evidence_list: [device(1), device(2)] },
      [1, 2].map((i) => ({ attestationReportHexStr: hex(spdm(i)), certChainBase64Encoded: base64(utf8(pemChain)) })),
    ];
    for (const each of spelt) {
      const machines = readMachines(each);
      expect(machines.map(({ evidence }) => (evidence as { report: Uint8Array }).report[2])).toEqual([1, 2]);
      expect(machines.every(({ evidence }) => (evidence as NvidiaEvidence).certificates.length === 2)).toBe(true);
    }
    // Zeros that a C string left at the end of a chain lose no certificate.
    const zeros = device(1, { certificate: base64(concat(utf8(pemChain), new Uint8Array(5))) });
    expect(readEvidence([zeros]).evidence).toMatchObject({ certificates: { length: 2 } });
  });

  it("DCAP collateral that came along is kept", () => {
    const { tcbInfo, qeIdentity, rootCrl, pckCrl, pckCrlChain } = intel.intel;
    const chainOf = (list: readonly Uint8Array[]) => list.map((der) => pem("CERTIFICATE", der)).join("");
    const collateral = {
      tcb_info: tcbInfo.json,
      tcb_info_signature: hex(tcbInfo.signature),
      tcb_info_issuer_chain: chainOf(tcbInfo.chain),
      qe_identity: qeIdentity.json,
      qe_identity_signature: hex(qeIdentity.signature),
      qe_identity_issuer_chain: chainOf(qeIdentity.chain),
      root_ca_crl: hex(rootCrl),
      pck_crl: hex(pckCrl),
      pck_crl_issuer_chain: chainOf(pckCrlChain),
    };
    const machine = readEvidence({ quote: [...quote], quote_collateral: collateral });
    expect(verify(machine.evidence!, machine.collateral!, { now: intel.now, roots: intel.roots })).toMatchObject({
      ok: true,
    });
  });

  it("wrappings never met before: evidence is found by its bytes, wherever it lies", () => {
    const odd = { foo: [{ bar: { "x-tee": base64(quote), other: "words" } }] };
    const { evidence, how } = readEvidence(odd);
    expect(evidence).toEqual(intel.evidence);
    expect(how[0]).toBe("at /foo/0/bar/x-tee");
    expect(readMachines({ a: hex(quote), b: { c: base64(quote) } })).toHaveLength(1);
  });
});

function ccel(): Uint8Array {
  const bytes = new Uint8Array(200);
  new DataView(bytes.buffer).setUint32(4, 3, true);
  bytes.set(utf8("Spec ID Event03"), 32);
  return bytes;
}

describe("our own files", () => {
  const composite: Composite = {
    cpu: intel.evidence,
    devices: [{ kind: "nvidia", report: spdm(4), certificates: chain }],
    tokens: [{ kind: "nras", overall: JWT, devices: { "GPU-0": JWT } }],
    eventLog: { format: "dstack", log: utf8(JSON.stringify(events)) },
  };
  const all: (Evidence | Composite)[] = [
    intel.evidence,
    { kind: "snp", report, certificates: chain },
    { kind: "snp", report },
    nitro.evidence,
    ...composite.devices,
    ...composite.tokens,
    {
      kind: "azure-vtpm",
      hclReport: report,
      message: report,
      signature: report,
      pcrs: [report],
      certificates: chain,
      quote,
    },
    { kind: "cca", token: document },
    composite,
  ];

  it("come back as they were, from JSON and from text in any layout", () => {
    for (const evidence of all) {
      const json = evidenceToJson(evidence);
      expect(evidenceFromJson(JSON.parse(JSON.stringify(json)))).toEqual(evidence);
      const machine = readEvidence(JSON.stringify(json, null, 2));
      expect(machine.composite ?? machine.evidence).toEqual(evidence);
      expect(canonicalJson(evidenceToJson(evidenceFromJson(json)))).toBe(canonicalJson(json));
    }
  });

  it("are read strictly", () => {
    const json = evidenceToJson(composite) as Record<string, unknown[]>;
    const wrong: [unknown, string][] = [
      [{ ...json, format: "anchorproof/tee-evidence@2" }, "FORMAT_UNSUPPORTED"],
      [{ ...json, more: 1 }, "EVIDENCE_MALFORMED"],
      [{ ...json, devices: undefined }, "EVIDENCE_MALFORMED"],
      [{ ...json, devices: [json["cpu"]] }, "EVIDENCE_MALFORMED"],
      [{ ...json, tokens: [json["cpu"]] }, "EVIDENCE_MALFORMED"],
      [{ ...json, cpu: json["devices"]![0] }, "EVIDENCE_MALFORMED"],
      [{ ...json, eventLog: { format: "other", log: "" } }, "EVIDENCE_MALFORMED"],
      [{ ...json, devices: Array.from({ length: 257 }, () => json["devices"]![0]) }, "EVIDENCE_MALFORMED"],
      [{ ...(evidenceToJson(intel.evidence) as object), quote: `${base64(quote)} ` }, "EVIDENCE_MALFORMED"],
      [{ ...(evidenceToJson(intel.evidence) as object), quote: [...quote] }, "EVIDENCE_MALFORMED"],
      [{ format: "anchorproof/tee-evidence@1", kind: "other" }, "EVIDENCE_MALFORMED"],
      [{ format: "anchorproof/tee-evidence@1", kind: "nras", overall: JWT, devices: [JWT] }, "EVIDENCE_MALFORMED"],
      [null, "FORMAT_UNSUPPORTED"],
    ];
    for (const [each, code] of wrong)
      expect(
        codeOf(() => evidenceFromJson(each)),
        JSON.stringify(each)?.slice(0, 80),
      ).toBe(code);
    // A key twice would let two readers see two pieces of evidence.
    const twice = JSON.stringify(evidenceToJson(intel.evidence)).replace('"quote":', '"quote":"","quote":');
    expect(codeOf(() => readEvidence(twice))).toBe("EVIDENCE_UNKNOWN");
    const escaped = JSON.stringify(evidenceToJson(intel.evidence)).replace("quote", "\\u0071uote");
    expect(codeOf(() => readEvidence(escaped))).toBe("JSON_MALFORMED");
  });
});

describe("what is no evidence", () => {
  it("says what was looked for", () => {
    for (const input of [
      new Uint8Array(),
      "",
      " \n",
      "{}",
      "[]",
      '""',
      "null",
      "hello",
      new Uint8Array(5000),
      {},
      [],
      null,
      undefined,
      5,
      true,
    ]) {
      expect(
        codeOf(() => readEvidence(input)),
        JSON.stringify(input)?.slice(0, 40),
      ).toBe("EVIDENCE_UNKNOWN");
    }
    expect(() => readEvidence("hello")).toThrow(/looked for SGX and TDX quotes/);
    expect(() => readEvidence(Uint8Array.of(0x1f, 0x8b, 8, 0))).toThrow(/unpack it first/);
    expect(() => readEvidence('{"quote": "00",}')).toThrow(/no JSON: a key is missing/);
    expect(() => readEvidence(pemChain)).toThrow(/no attestation evidence/);
    expect(codeOf(() => readEvidence("a".repeat(32 * 1024 * 1024 + 1)))).toBe("INPUT_TOO_LARGE");
  });

  it("is not nested without end", () => {
    let nested: unknown = hex(quote);
    for (let i = 0; i < 2000; i++) nested = { evidence: nested };
    expect(codeOf(() => readEvidence(nested))).toBe("EVIDENCE_UNKNOWN");
    expect(codeOf(() => readEvidence(`${"[".repeat(100_000)}${"]".repeat(100_000)}`))).toBe("EVIDENCE_UNKNOWN");
    expect(codeOf(() => readEvidence(`${'{"evidence":'.repeat(100_000)}1${"}".repeat(100_000)}`))).toBe(
      "EVIDENCE_UNKNOWN",
    );
    let text = hex(quote);
    for (let i = 0; i < 20; i++) text = JSON.stringify({ quote: text }).slice(0, 200_000);
    expect(codeOf(() => readEvidence(text))).toBe("EVIDENCE_UNKNOWN");
  });

  it("gives a typed error for any bytes, text and JSON, and for damaged evidence", () => {
    const typed = (input: unknown) => {
      const code = codeOf(() => readMachines(input));
      expect(code === "none" || Object.hasOwn(ERROR_CODES, code)).toBe(true);
      expect(code).not.toBe("INTERNAL");
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), typed));
    fc.assert(fc.property(fc.string({ maxLength: 300, unit: "binary" }), typed));
    fc.assert(fc.property(fc.jsonValue({ maxDepth: 6 }), typed));
    fc.assert(fc.property(fc.anything({ maxDepth: 4, withBigInt: true, withNullPrototype: true }), typed));
    const names = [
      "quote",
      "evidence",
      "nvidia_payload",
      "event_log",
      "tpm_quote",
      "hcl_report",
      "cert_chain",
      "info",
      "tcb_info",
      "collateral",
      "report",
      "all_attestations",
      "message",
      "pcrs",
      "format",
      "kind",
    ];
    const values = fc.oneof(
      fc.jsonValue({ maxDepth: 2 }),
      fc.constantFrom<unknown>(
        hex(quote),
        base64(report),
        JWT,
        pemChain,
        "HCLA",
        "[",
        "{}",
        "anchorproof/tee-evidence@1",
      ),
    );
    const odd = fc.dictionary(
      fc.constantFrom(...names),
      fc.oneof(values, fc.dictionary(fc.constantFrom(...names), values)),
    );
    fc.assert(fc.property(odd, typed));
    const base = concat(Uint8Array.of(0, 0, 0x81, 0x12), quote);
    for (const bytes of [quote, report, document, base, spdm(1)]) {
      const damage = fc.tuple(fc.nat(bytes.length - 1), fc.nat(bytes.length), fc.nat(255));
      fc.assert(
        fc.property(damage, ([at, length, value]) => {
          const copy = bytes.slice(0, length);
          if (at < length) copy[at] = value;
          typed(copy);
        }),
        { numRuns: 60 },
      );
    }
  });
});

describe("dstack's encodings", () => {
  const compact = (value: number) =>
    value < 64
      ? Uint8Array.of(value << 2)
      : value < 16384
        ? Uint8Array.of(((value << 2) | 1) & 0xff, value >> 6)
        : Uint8Array.of(((value << 2) | 2) & 0xff, (value >> 6) & 0xff, (value >> 14) & 0xff, (value >> 22) & 0xff);
  const vec = (bytes: Uint8Array) => concat(compact(bytes.length), bytes);
  const tail = concat(compact(0), new Uint8Array(64).fill(5), vec(utf8("{}")));
  const event = concat(
    Uint8Array.of(3, 0, 0, 0, 1, 0, 0, 8),
    vec(new Uint8Array()),
    vec(utf8("app-id")),
    vec(Uint8Array.of(1, 2)),
  );

  it("version 0: TDX, Nitro in one or two wrappings, SNP with its certificates", () => {
    const padded = concat(quote, new Uint8Array(20_000));
    for (const each of [quote, padded]) {
      const tdx = readEvidence(concat(Uint8Array.of(0, 0), vec(each), compact(1), event, tail));
      expect(tdx.evidence).toEqual({ kind: "intel", quote: each });
      expect(JSON.parse(Buffer.from(tdx.eventLog!.log).toString())).toEqual([
        { imr: 3, event_type: 0x08000001, digest: "", event: "app-id", event_payload: "0102" },
      ]);
      expect(tdx.hints).toEqual({ reportData: toHex(new Uint8Array(64).fill(5)), fields: { vm_config: "{}" } });
    }
    const nsm = readEvidence(concat(Uint8Array.of(0, 2), vec(document), tail));
    expect(nsm.evidence).toEqual(nitro.evidence);
    const { leaf } = snp.certificates;
    const guest = concat(Uint8Array.of(0, 3), vec(report), compact(1), vec(leaf), vec(utf8("config")), tail);
    expect(readEvidence(guest).evidence).toEqual({ kind: "snp", report, certificates: [leaf] });
  });

  it("version 1, which is MessagePack", () => {
    const text = (value: string) =>
      value.length < 32
        ? concat(Uint8Array.of(0xa0 | value.length), utf8(value))
        : concat(Uint8Array.of(0xd9, value.length), utf8(value));
    const map = (...entries: [string, Uint8Array][]) =>
      concat(Uint8Array.of(0x80 | entries.length), ...entries.flatMap(([name, value]) => [text(name), value]));
    const numbers = (bytes: Uint8Array) =>
      concat(
        Uint8Array.of(0xdc, bytes.length >> 8, bytes.length & 0xff),
        ...[...bytes].map((byte) => (byte < 0x80 ? Uint8Array.of(byte) : Uint8Array.of(0xcc, byte))),
      );
    const binary = (bytes: Uint8Array) => concat(Uint8Array.of(0xc5, bytes.length >> 8, bytes.length & 0xff), bytes);
    const stack = map(
      ["kind", text("dstack")],
      [
        "data",
        map(
          ["report_data", numbers(new Uint8Array(64).fill(6))],
          ["runtime_events", Uint8Array.of(0x90)],
          ["config", text("{}")],
        ),
      ],
    );
    const logged = map(
      ["imr", Uint8Array.of(3)],
      ["event_type", Uint8Array.of(0xce, 8, 0, 0, 1)],
      ["digest", binary(new Uint8Array())],
      ["event", text("app-id")],
      ["event_payload", numbers(Uint8Array.of(1, 200))],
    );
    const attestation = (kind: string, data: Uint8Array, version = 1) =>
      map(
        ["version", Uint8Array.of(version)],
        ["platform", map(["kind", text(kind)], ["data", data])],
        ["stack", stack],
      );
    for (const spelling of [numbers, binary]) {
      const bytes = attestation(
        "tdx",
        map(["quote", spelling(quote)], ["event_log", concat(Uint8Array.of(0x91), logged)]),
      );
      const machine = readEvidence(bytes);
      expect(machine.evidence).toEqual(intel.evidence);
      expect(JSON.parse(Buffer.from(machine.eventLog!.log).toString())).toEqual([
        { imr: 3, event_type: 0x08000001, digest: "", event: "app-id", event_payload: "01c8" },
      ]);
      expect(machine.hints.reportData).toBe(toHex(new Uint8Array(64).fill(6)));
      expect(codeOf(() => readEvidence(concat(bytes, Uint8Array.of(0))))).toBe("TRAILING_DATA");
      for (const length of [20, 100, bytes.length - 1])
        expect(codeOf(() => readEvidence(bytes.subarray(0, length)))).toBe("EVIDENCE_MALFORMED");
    }
    expect(readEvidence(attestation("nitro-enclave", map(["nsm_quote", binary(document)]))).evidence).toEqual(
      nitro.evidence,
    );
    const guest = map(["report", binary(report)], ["cert_chain", Uint8Array.of(0x90)], ["mr_config", text("x")]);
    expect(readEvidence(attestation("sev-snp", guest)).evidence).toEqual({ kind: "snp", report });
    expect(codeOf(() => readEvidence(attestation("other", guest)))).toBe("EVIDENCE_MALFORMED");
    expect(codeOf(() => readEvidence(attestation("sev-snp", guest, 2)))).toBe("EVIDENCE_MALFORMED");
    const bomb = concat(Uint8Array.of(0x83), text("version"), new Uint8Array(5000).fill(0x91));
    expect(codeOf(() => readEvidence(bomb))).toBe("EVIDENCE_MALFORMED");
    const huge = concat(
      Uint8Array.of(0x83),
      text("version"),
      Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff, 1, 1, 1, 1, 1),
    );
    expect(codeOf(() => readEvidence(huge))).toBe("EVIDENCE_MALFORMED");
    const twice = map(["version", Uint8Array.of(1)], ["version", Uint8Array.of(1)], ["stack", stack]);
    expect(() => readEvidence(twice)).toThrow(/stands twice/);
  });
});

describe.skipIf(VECTORS === undefined)("what is recognised is verified", () => {
  it("a report and the certificate beside it", () => {
    const files = ["report.bin", "vek.der", "ask_ark_asvk.pem"].map((name) =>
      readParts(vector("snp", "vcek-milan-v2", name)),
    );
    const [machine] = combine(files);
    expect(verify(machine!.evidence!, {}, { now: 1_751_624_191 })).toMatchObject({
      ok: true,
      claims: { family: "snp" },
    });
  });

  it("a log goes on as it came", () => {
    const { evidence, eventLog } = readEvidence(vectorText("event-log", "verifier_fixtures_quote-report.json"));
    expect(evidence?.kind).toBe("intel");
    const { event_log } = JSON.parse(vectorText("event-log", "verifier_fixtures_quote-report.json"));
    expect(Buffer.from(eventLog!.log).toString()).toBe(event_log);
  });
});
