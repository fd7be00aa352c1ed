/** Collateral out of vendors' files, as one bundle and back; its windows; what of it was used. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AnchorError, ERROR_CODES } from "../../src/errors.js";
import { utf8 } from "../../src/field/bytes.js";
import { canonicalJson } from "../../src/protocol/document.js";
import { type Collateral, collateralFromJson, collateralToJson, mergeCollateral } from "../../src/tee/collateral.js";
import { importCollateral, importFiles } from "../../src/tee/import/index.js";
import { readResponse } from "../../src/tee/import/qvl.js";
import { makeCertificate, makeCrl, makeKey } from "../../src/tee/lab/certificates.js";
import { type IntelOptions, intelPlatform } from "../../src/tee/lab/intel.js";
import { selectUsed, validity } from "../../src/tee/validity.js";
import { verify } from "../../src/tee/verify.js";
import { cases, VECTORS, vector } from "./vectors.js";

const DAY = 86_400;
const lab = intelPlatform();
const entry = lab.intel;
const { now, roots } = lab;

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
const pem = (der: Uint8Array, label = "CERTIFICATE") =>
  `-----BEGIN ${label}-----\n${base64(der).replace(/.{1,64}/g, "$&\n")}-----END ${label}-----\n`;
const pemOf = (list: readonly Uint8Array[]) => list.map((der) => pem(der)).join("");
const file = (name: string, content: Uint8Array | string | object) => ({
  name,
  bytes:
    content instanceof Uint8Array ? content : utf8(typeof content === "string" ? content : JSON.stringify(content)),
});

/** As the service answers: the signed document stands in it byte for byte. */
const response = (name: "tcbInfo" | "enclaveIdentity", { json, signature }: { json: string; signature: Uint8Array }) =>
  `{"${name}":${json},"signature":"${hex(signature)}"}`;

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof AnchorError) return error.code;
    throw error;
  }
  return "none";
}

const accepted = (collateral: Collateral) => verify(lab.evidence, collateral, { now, roots });

describe("Intel's pieces", () => {
  const tcb = file("a", response("tcbInfo", entry.tcbInfo));
  const qe = file("b", response("enclaveIdentity", entry.qeIdentity));
  const header = (name: string, list: readonly Uint8Array[]) => `${name}: ${encodeURIComponent(pemOf(list))}`;
  const pckCrlChain = pemOf(entry.pckCrlChain);

  it("files of Intel's service, with chains in headers, and lists in DER, hex and PEM", () => {
    const chains: (string | object)[] = [
      pemOf(entry.tcbInfo.chain),
      `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n${header("TCB-Info-Issuer-Chain", entry.tcbInfo.chain)}\r\n\r\n`,
      `HTTP/2 200 \n${header("sgx-tcb-info-issuer-chain", entry.tcbInfo.chain)}\n\n${response("tcbInfo", entry.tcbInfo)}`,
      { url: "https://…", headers: { "Tcb-Info-Issuer-Chain": [encodeURIComponent(pemOf(entry.tcbInfo.chain))] } },
      { headers: { "SGX-Enclave-Identity-Issuer-Chain": encodeURIComponent(pemOf(entry.qeIdentity.chain)) } },
    ];
    const lists = [
      [entry.rootCrl, entry.pckCrl],
      [hex(entry.rootCrl), `${hex(entry.pckCrl)}\n`],
      [pem(entry.rootCrl, "X509 CRL"), pem(entry.pckCrl, "X509 CRL") + pckCrlChain],
    ];
    for (const chain of chains) {
      for (const [rootCrl, pckCrl] of lists) {
        const files = [tcb, qe, file("c", chain), file("d", rootCrl!), file("e", pckCrl!), file("f", pckCrlChain)];
        for (const order of [files, files.toReversed()]) {
          const collateral = importCollateral(order);
          expect(collateral.intel![0]!.tcbInfo.json).toBe(entry.tcbInfo.json);
          expect(accepted(collateral)).toMatchObject({ ok: true });
        }
      }
    }
  });

  it("one file of dcap-qvl's, in each of its forms", () => {
    const flat = {
      tcb_info: entry.tcbInfo.json,
      tcb_info_signature: hex(entry.tcbInfo.signature),
      tcb_info_issuer_chain: pemOf(entry.tcbInfo.chain),
      qe_identity: entry.qeIdentity.json,
      qe_identity_signature: hex(entry.qeIdentity.signature),
      qe_identity_issuer_chain: pemOf(entry.qeIdentity.chain),
      root_ca_crl: hex(entry.rootCrl),
      pck_crl: hex(entry.pckCrl),
      pck_crl_issuer_chain: pckCrlChain,
    };
    const camel = Object.fromEntries(
      Object.entries(flat).map(([name, value]) => [name.replace(/_(.)/g, (_, letter) => letter.toUpperCase()), value]),
    );
    const { tcb_info_signature: _, qe_identity_signature: __, ...rest } = flat;
    const forms: object[] = [
      flat,
      camel,
      {
        ...rest,
        tcb_info: response("tcbInfo", entry.tcbInfo),
        qe_identity: response("enclaveIdentity", entry.qeIdentity),
      },
      {
        ...rest,
        tcb_info: JSON.parse(response("tcbInfo", entry.tcbInfo)),
        qe_identity: JSON.parse(response("enclaveIdentity", entry.qeIdentity)),
      },
      { ...flat, root_ca_crl: pem(entry.rootCrl, "X509 CRL"), pck_crl: base64(entry.pckCrl) },
      { ...flat, root_ca_crl: hex(utf8(pem(entry.rootCrl, "X509 CRL"))), pck_crl: [...entry.pckCrl] },
      { ...flat, tcb_info_signature: [...entry.tcbInfo.signature] },
    ];
    for (const form of forms)
      expect(accepted(importCollateral([file("c", form)])), JSON.stringify(form).slice(0, 60)).toMatchObject({
        ok: true,
      });
    const without = (name: string) => codeOf(() => importCollateral([file("c", { ...flat, [name]: "" })]));
    for (const name of ["tcb_info_issuer_chain", "pck_crl", "tcb_info_signature"])
      expect(without(name)).toBe("COLLATERAL_MALFORMED");
  });

  it("says what is missing, and what was of no use", () => {
    const whole = [tcb, qe, file("c", pemOf(entry.tcbInfo.chain)), file("d", entry.rootCrl), file("e", entry.pckCrl)];
    const missing = (i: number) => {
      const files = whole.filter((_, j) => j !== i);
      try {
        importFiles(files);
      } catch (error) {
        return (error as AnchorError).message;
      }
      return undefined;
    };
    expect(missing(1)).toContain("identity of the quoting enclave TD_QE");
    expect(missing(2)).toContain("TCB-Info-Issuer-Chain");
    expect(missing(3)).toContain("root CA");
    expect(missing(4)).toContain("CA of PCK certificates");
    expect(importFiles([file("e", entry.pckCrl)]).unused[0]).toContain("no TCB info beside it");
    expect(importFiles([tcb], { partial: true })).toMatchObject({
      collateral: {},
      unused: [expect.stringContaining("not whole")],
    });
  });

  it("a chain of another signer of that name does not take the place of the right one", () => {
    const other = intelPlatform();
    const files = [
      tcb,
      qe,
      file("c", pemOf(other.intel.tcbInfo.chain)),
      file("d", entry.rootCrl),
      file("e", entry.pckCrl),
    ];
    expect(codeOf(() => importFiles(files))).toBe("COLLATERAL_MISSING");
    const both = importCollateral([...files, file("f", pemOf(entry.tcbInfo.chain)), file("g", pckCrlChain)]);
    expect(accepted(both)).toMatchObject({ ok: true });
  });

  it("of several times, pieces of one time go together", () => {
    const options = (days: number): IntelOptions => ({ now: now - days * DAY, keys: lab.keys });
    const old = intelPlatform(options(200));
    const files = [entry, old.intel].flatMap((each, i) => [
      file(`tcb${i}`, response("tcbInfo", each.tcbInfo)),
      file(`qe${i}`, response("enclaveIdentity", each.qeIdentity)),
      file(`root${i}`, each.rootCrl),
      file(`pck${i}`, each.pckCrl),
      file(`chain${i}`, pemOf([...each.tcbInfo.chain, ...each.pckCrlChain])),
    ]);
    const collateral = importCollateral(files);
    expect(collateral.intel).toHaveLength(2);
    for (const { tcbInfo, qeIdentity, rootCrl } of collateral.intel!) {
      const expected = [entry, old.intel].find((each) => each.tcbInfo.json === tcbInfo.json)!;
      expect(qeIdentity.json).toBe(expected.qeIdentity.json);
      expect(hex(rootCrl)).toBe(hex(expected.rootCrl));
    }
  });

  it("what is signed is kept to the byte", () => {
    const spaced = ` {\n "signature" : "${hex(entry.tcbInfo.signature)}", "tcbInfo" : ${entry.tcbInfo.json} }\n`;
    expect(readResponse(spaced)).toEqual({
      kind: "tcbInfo",
      json: entry.tcbInfo.json,
      signature: entry.tcbInfo.signature,
    });
    expect(readResponse(`{"tcbInfo":{"a":1,"a":2},"signature":"00"}`)).toBeUndefined();
    expect(readResponse(`{"tcbInfo":{}}`)).toBeUndefined();
  });
});

describe("other vendors' files", () => {
  const key = makeKey("P-384");
  const window = { notBefore: now - DAY, notAfter: now + DAY };
  const crlOf = (issuer: object) =>
    makeCrl({ issuer, issuerKey: key, thisUpdate: now - DAY, nextUpdate: now + DAY } as never);
  const certificateOf = (subject: object) => makeCertificate({ subject, key, serial: 5, ...window } as never);

  it("go where they belong by their names", () => {
    const amd = certificateOf({ CN: "SEV-VCEK", O: "Advanced Micro Devices" });
    const amdCrl = crlOf({ CN: "ARK-Milan", O: "Advanced Micro Devices" });
    const awsCrl = crlOf({ CN: "aws.nitro-enclaves", O: "Amazon" });
    const nvidiaCrl = crlOf({ CN: "NVIDIA Reference Value L3", O: "NVIDIA Corporation" });
    const otherCrl = crlOf({ CN: "Example", O: "Example" });
    const xml = '<?xml version="1.0"?>\n<SoftwareIdentity xmlns="x">\n</SoftwareIdentity>';
    const ocsp = Uint8Array.of(0x30, 3, 0x0a, 1, 6);
    const jwks = '{ "keys": [ {"kty":"EC"} ] }';
    const jwk = '{"kty":"EC","crv":"P-384","x":"AA","y":"AA"}';
    const { collateral, unused, files } = importFiles([
      file("1", amd),
      file("2", pem(amdCrl, "X509 CRL")),
      file("3", awsCrl),
      file("4", nvidiaCrl),
      file("5", xml),
      file("6", { id: "NV_GPU_DRIVER", rim: base64(utf8(xml)), sha256: "" }),
      file("7", ocsp),
      file("8", jwks),
      file("9", jwk),
      file("10", pem(key.spki, "PUBLIC KEY")),
      file("11", otherCrl),
      file("12", certificateOf({ CN: "Example" })),
    ]);
    expect(collateral).toEqual({
      amd: { certificates: [amd], crls: [amdCrl] },
      nitro: { crls: [awsCrl] },
      nvidia: { rims: [xml], ocsp: [ocsp], crls: [nvidiaCrl] },
      nras: { jwks: [jwks] },
      cca: { keys: [jwk, pem(key.spki, "PUBLIC KEY")] },
    });
    expect(unused).toHaveLength(2);
    expect(files.map(({ what }) => what[0])).toContain("reference manifest");
  });

  it("what is none is named", () => {
    expect(() => importFiles([file("a.txt", "hello there")])).toThrow(/^a\.txt: this is no collateral/);
    expect(codeOf(() => importFiles([file("a", lab.quote)]))).toBe("COLLATERAL_MALFORMED");
    expect(codeOf(() => importFiles([file("a", lab.intel.rootCrl.slice(0, -1))]))).toBe("COLLATERAL_MALFORMED");
    expect(codeOf(() => importFiles([file("a", `TCB-Info-Issuer-Chain: -----BEGIN %zz`)]))).toBe(
      "COLLATERAL_MALFORMED",
    );
    expect(codeOf(() => importFiles(Array.from({ length: 1025 }, () => file("a", ""))))).toBe("INPUT_TOO_LARGE");
    expect(codeOf(() => importFiles([file("a", pem(lab.certificates.root).repeat(1025))]))).toBe("INPUT_TOO_LARGE");
  });

  it("any bytes give a typed error or are read", () => {
    const typed = (bytes: Uint8Array) => {
      const code = codeOf(() => validity(importFiles([{ name: "a", bytes }], { partial: true }).collateral));
      expect(code === "none" || Object.hasOwn(ERROR_CODES, code)).toBe(true);
      expect(code).not.toBe("INTERNAL");
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), typed));
    const json = fc.dictionary(
      fc.constantFrom(
        "tcbInfo",
        "signature",
        "enclaveIdentity",
        "keys",
        "rim",
        "headers",
        "body",
        "format",
        "kty",
        "tcb_info",
        "qe_identity",
        "root_ca_crl",
        "pck_crl",
      ),
      fc.oneof(
        fc.jsonValue({ maxDepth: 2 }),
        fc.constantFrom(
          "00",
          "{}",
          '{"tcbInfo":{},"signature":"00"}',
          "anchorproof/tee-collateral@1",
          pemOf(entry.tcbInfo.chain),
        ),
      ),
    );
    fc.assert(fc.property(json, (value) => typed(utf8(JSON.stringify(value)))));
    for (const base of [entry.rootCrl, lab.certificates.pck, utf8(response("tcbInfo", entry.tcbInfo))]) {
      fc.assert(
        fc.property(fc.nat(base.length - 1), fc.nat(255), (at, value) => {
          const copy = base.slice();
          copy[at] = value;
          typed(copy);
        }),
        { numRuns: 60 },
      );
    }
  });
});

describe("bundles", () => {
  const full: Collateral = {
    intel: [{ ...entry, pckChain: [lab.certificates.pck] }],
    amd: { certificates: [lab.certificates.root], crls: [entry.rootCrl] },
    nitro: { crls: [] },
    nvidia: { rims: ["<a/>"], ocsp: [Uint8Array.of(1)], crls: [] },
    nras: { jwks: ['{ "keys": [] }'] },
    cca: { keys: ["x"] },
  };

  it("come back as they were, in one form only", () => {
    for (const collateral of [full, {}, { intel: [entry] }]) {
      const json = collateralToJson(collateral);
      const back = collateralFromJson(JSON.parse(JSON.stringify(json)));
      expect(back).toEqual(collateral);
      expect(canonicalJson(collateralToJson(back))).toBe(canonicalJson(json));
      expect(importCollateral([file("a", JSON.stringify(json, null, 2))])).toEqual(collateral);
    }
    const twice = JSON.stringify(collateralToJson(full)).replace('"intel":', '"nras":{"jwks":[]},"intel":');
    expect(codeOf(() => importCollateral([file("a", twice)]))).toBe("COLLATERAL_MALFORMED");
  });

  it("are read strictly", () => {
    const json = collateralToJson(full) as Record<string, never>;
    const intel = (json["intel"] as unknown as object[])[0]!;
    const wrong: [unknown, string][] = [
      [{ ...json, format: "anchorproof/tee-collateral@2" }, "FORMAT_UNSUPPORTED"],
      [[], "FORMAT_UNSUPPORTED"],
      [null, "FORMAT_UNSUPPORTED"],
      [{ ...json, more: {} }, "COLLATERAL_MALFORMED"],
      [{ ...json, amd: { certificates: [] } }, "COLLATERAL_MALFORMED"],
      [{ ...json, amd: { certificates: "", crls: [] } }, "COLLATERAL_MALFORMED"],
      [{ ...json, nitro: { crls: ["AA"] } }, "COLLATERAL_MALFORMED"],
      [{ ...json, nras: { jwks: [5] } }, "COLLATERAL_MALFORMED"],
      [{ ...json, nitro: { crls: Array.from({ length: 1025 }, () => "AA==") } }, "COLLATERAL_MALFORMED"],
      [{ ...json, intel: {} }, "COLLATERAL_MALFORMED"],
      [{ ...json, intel: [{ ...intel, tcbInfo: { json: {}, signature: "", chain: [] } }] }, "COLLATERAL_MALFORMED"],
      [{ ...json, intel: [{ ...intel, pckCrl: undefined }] }, "COLLATERAL_MALFORMED"],
    ];
    for (const [each, code] of wrong)
      expect(
        codeOf(() => collateralFromJson(each)),
        JSON.stringify(each)?.slice(0, 60),
      ).toBe(code);
  });

  it("are merged without doubles", () => {
    const copy = collateralFromJson(JSON.parse(JSON.stringify(collateralToJson(full))));
    expect(mergeCollateral(full, copy, {})).toEqual(full);
    const other = intelPlatform().intel;
    expect(mergeCollateral({ intel: [entry] }, { intel: [other, entry] }).intel).toEqual([entry, other]);
    expect(mergeCollateral()).toEqual({});
  });

  it("have windows, all of which have to meet", () => {
    const { items, validFrom, validUntil } = validity({ intel: [entry] });
    expect(items.map(({ kind }) => kind)).toEqual([
      "intel.tcb-info",
      "intel.qe-identity",
      "intel.tcb-signer",
      "intel.root-crl",
      "intel.pck-crl",
    ]);
    expect(validFrom).toBe(Math.max(...items.map((item) => item.validFrom)));
    expect(validUntil).toBe(Math.min(...items.map((item) => item.validUntil)));
    const { issueDate, nextUpdate } = JSON.parse(entry.tcbInfo.json) as Record<string, string>;
    expect(items[0]).toMatchObject({
      validFrom: Date.parse(issueDate!) / 1000,
      validUntil: Date.parse(nextUpdate!) / 1000,
    });
    const result = accepted({ intel: [entry] });
    expect(result.ok && result.validUntil).toBeLessThanOrEqual(validUntil);
    const old = intelPlatform({ now: now - 3000 * DAY, keys: lab.keys });
    const never = validity({ intel: [entry, old.intel] });
    expect(never.validFrom).toBeGreaterThan(never.validUntil);
    expect(validity({})).toEqual({ items: [], validFrom: 0, validUntil: 253402300799 });
    for (const broken of [
      { intel: [{ ...entry, pckCrl: Uint8Array.of(1) }] },
      { intel: [{ ...entry, tcbInfo: { ...entry.tcbInfo, json: "{}" } }] },
      { intel: [{ ...entry, tcbInfo: { ...entry.tcbInfo, json: '{"issueDate":5}' } }] },
      { amd: { certificates: [Uint8Array.of(1)], crls: [] } },
      { nvidia: { rims: ["<"], ocsp: [], crls: [] } },
      { nvidia: { rims: [], ocsp: [Uint8Array.of(1)], crls: [] } },
      { nras: { jwks: ["["] } },
    ]) {
      expect(
        codeOf(() => validity(broken)),
        JSON.stringify(broken).slice(0, 60),
      ).toBe("COLLATERAL_MALFORMED");
    }
  });

  it("what was used is enough for the same answer, and nothing else is kept", () => {
    const others = [1, 2].map(() => intelPlatform({ fmspc: "0x112233445566" }).intel);
    const more: Collateral = { ...full, intel: [others[0]!, entry, others[1]!] };
    const first = accepted(more);
    expect(first.ok).toBe(true);
    const kept = selectUsed(more, first.collateral);
    expect(kept).toEqual({ intel: [entry], cca: full.cca });
    expect(accepted(kept)).toEqual(first);
    expect(selectUsed(more, [])).toEqual({ cca: full.cca });
  });
});

describe.skipIf(VECTORS === undefined)("recorded collateral", () => {
  it("each case verifies alike from its own file, from a bundle, and from what was used of all of them", () => {
    const all = cases("intel");
    const each = all.map(({ id }) => importCollateral([{ name: id, bytes: vector("intel", id, "collateral.json") }]));
    const merged = mergeCollateral(...each);
    let accepted = 0;
    all.forEach(({ id, at }, i) => {
      const evidence = { kind: "intel", quote: vector("intel", id, "quote.bin") } as const;
      const options = { now: at as number, allowDebug: true };
      const alone = verify(evidence, each[i]!, options);
      const bundled = verify(
        evidence,
        collateralFromJson(JSON.parse(JSON.stringify(collateralToJson(each[i]!)))),
        options,
      );
      expect(bundled, id).toEqual(alone);
      if (!alone.ok) return;
      accepted++;
      expect(verify(evidence, selectUsed(merged, alone.collateral), options).ok, id).toBe(true);
      const window = validity(each[i]!);
      expect(alone.validUntil, id).toBeLessThanOrEqual(window.validUntil);
    });
    expect(accepted).toBeGreaterThan(6);
  });

  it("Intel's sample under its test root, file by file", () => {
    for (const [id, fmspc] of [
      ["sgx-v3-intelqvl-testroot", "00707F000000"],
      ["tdx-v4-intelqvl-testroot", "ed742af8adf5"],
    ] as const) {
      const names = [
        "intermediateCaCrl.der",
        "rootCaCrl.der",
        "tcbInfo.json",
        "tcbSignChain.pem",
        "pckSignChain.pem",
        "qeIdentity.json",
        "pckCert.pem",
      ];
      const files = names.map((name) => ({ name, bytes: vector("intel-testroot", id, name) }));
      const { collateral, unused } = importFiles(files);
      expect(unused).toEqual([]);
      const [only] = collateral.intel!;
      expect(only).toMatchObject({
        tcbInfo: { chain: { length: 2 } },
        pckCrlChain: { length: 2 },
        pckChain: { length: 3 },
      });
      expect(validity(collateral).items[0]!.what).toContain(fmspc);
    }
  });

  it("AMD's and NVIDIA's", () => {
    const read = (...path: string[]) => ({ name: path.join("/"), bytes: vector(...path) });
    const amd = importFiles([
      read("snp", "vcek-milan-v2", "vek.der"),
      read("snp", "vcek-milan-v2", "ask_ark_asvk.pem"),
    ]);
    expect(amd.collateral.amd?.certificates).toHaveLength(4);
    const report = { kind: "snp", report: vector("snp", "vcek-milan-v2", "report.bin") } as const;
    const verified = verify(report, amd.collateral, { now: 1_751_624_191 });
    expect(verified.ok).toBe(true);
    expect(selectUsed(amd.collateral, verified.collateral).amd?.certificates).toHaveLength(2);
    const rims = importFiles([
      read("nvidia-rim", "h100-545-full-match", "driver_rim.xml"),
      read("nvidia-rim", "h100-545-full-match", "vbios_rim.xml"),
    ]);
    expect(validity(rims.collateral).items.map(({ what }) => what.split(" ")[1])).toEqual(["driver", "vbios"]);
    const [jwks] = cases("nras-jwt").map(({ id }) => importCollateral([read("nras-jwt", id, "jwks.json")]));
    expect(validity(jwks!).items[0]).toMatchObject({ kind: "nvidia.nras-jwks", what: "36 keys" });
  });
});
