/** The laboratory's Intel platforms: laid out as specified, signed as specified, and every knob turns one thing. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { toHex, utf8 } from "../../../src/field/bytes.js";
import { INTEL_STATUSES } from "../../../src/tee/claims.js";
import { LAB_NOW, makeKey, rawPoint } from "../../../src/tee/lab/certificates.js";
import { type IntelOptions, intelPlatform, LEVELS, QE_SVN } from "../../../src/tee/lab/intel.js";
import { ByteReader } from "../../../src/tee/read/bytes.js";
import { Der } from "../../../src/tee/read/der.js";
import { parseCertificate, parseCrl, parsePem, rawEcKey, verifySignature } from "../../../src/tee/x509.js";

const P256 = { kind: "ecdsa", hash: "sha256" } as const;
const key = (point: Uint8Array) => rawEcKey("P-256", point.subarray(0, 32), point.subarray(32), "QUOTE_SIGNATURE");

/** Reads a quote by the offsets of the reference, on its own. */
function read(quote: Uint8Array) {
  const reader = new ByteReader(quote);
  const version = reader.u16le("version");
  const attestationKeyType = reader.u16le("type");
  const tee = reader.u32le("tee");
  reader.skip(4, "reserved");
  const vendor = toHex(reader.take(16, "vendor"));
  const userData = reader.take(20, "user data");
  let type = 0;
  let size = tee === 0 ? 384 : 584;
  if (version === 5) {
    type = reader.u16le("body type");
    size = reader.u32le("body size");
  }
  const body = reader.take(size, "body");
  const content = quote.subarray(0, reader.offset);
  const authentication = reader.nested(reader.u32le("length"), "authentication");
  const signature = authentication.take(64, "signature");
  const attestation = authentication.take(64, "key");
  let inner = authentication;
  if (version >= 4) {
    expect(authentication.u16le("type")).toBe(6);
    inner = authentication.nested(authentication.u32le("length"), "QE certification");
    authentication.end("authentication");
  }
  const qeReport = inner.take(384, "QE report");
  const qeSignature = inner.take(64, "QE signature");
  const auth = inner.take(inner.u16le("length"), "QE authentication");
  const dataType = inner.u16le("type");
  const data = inner.take(inner.u32le("length"), "data");
  inner.end("certification data");
  const pem = Buffer.from(data).toString().replace(/\0$/, "");
  const rest = reader.rest();
  return {
    ...{ version, attestationKeyType, tee, vendor, userData, type, size, body, content, signature, attestation },
    ...{ qeReport, qeSignature, auth, dataType, data, pem, rest },
  };
}

const bodies = [
  [{ body: "sgx" }, 3, 0, 384],
  [{ body: "sgx", version: 4 }, 4, 0, 384],
  [{ body: "sgx", version: 5 }, 5, 0, 384],
  [{}, 4, 0x81, 584],
  [{ version: 5 }, 5, 0x81, 584],
  [{ body: "td-1.5" }, 5, 0x81, 648],
  [{ body: "td-1.5-ex" }, 5, 0x81, 885],
] as const satisfies [IntelOptions, number, number, number][];

describe("quotes", () => {
  it.each(bodies)("%o is signed all the way up to the root", (options, version, tee, size) => {
    const { quote, keys, certificates, roots } = intelPlatform(options);
    const parts = read(quote);
    expect(parts).toMatchObject({ version, tee, size, attestationKeyType: 2, dataType: 5 });
    expect(parts.vendor).toBe("0x939a7233f79c4ca9940a0db3957f0607");
    expect(parts.rest).toHaveLength(0);
    expect(parts.attestation).toEqual(rawPoint(keys.attestation));
    expect(verifySignature(P256, key(parts.attestation), parts.content, parts.signature, "ieee-p1363")).toBe(true);
    const digest = createHash("sha256").update(parts.attestation).update(parts.auth).digest();
    expect(Buffer.from(parts.qeReport.subarray(320, 352))).toEqual(digest);
    const [pck, intermediate, root] = parsePem(parts.pem).map((each) => parseCertificate(each));
    expect(verifySignature(P256, pck!.key, parts.qeReport, parts.qeSignature, "ieee-p1363")).toBe(true);
    expect(verifySignature(pck!.signature.algorithm, intermediate!.key, pck!.tbs, pck!.signature.value)).toBe(true);
    expect(root!.der).toEqual(certificates.root);
    expect(roots.intel).toEqual([certificates.root]);
  });

  it("say what they were told to say", () => {
    const reportData = toHex(new Uint8Array(64).fill(7));
    const sgx = read(
      intelPlatform({ body: "sgx", reportData, measurements: { mrEnclave: [1], mrSigner: [2] }, debug: true }).quote,
    ).body;
    expect(toHex(sgx.subarray(320))).toBe(reportData);
    expect([sgx[48]! & 2, sgx[64], sgx[128]]).toEqual([2, 1, 2]);

    const tdx = { teeTcbSvn: [1, 2, 3], teeTcbSvn2: [4, 5, 6], mrServiceTd: [9], extended: [8], tdAttributes: [0x80] };
    const td = read(intelPlatform({ body: "td-1.5-ex", tdx, debug: true, measurements: { rtmr3: [5] } }).quote).body;
    expect([...td.subarray(0, 3)]).toEqual([1, 2, 3]);
    expect(td[120]).toBe(0x81);
    expect(td[472]).toBe(5);
    expect([...td.subarray(584, 587)]).toEqual([4, 5, 6]);
    expect([td[600], td[648]]).toEqual([9, 8]);
  });

  it("can be spoilt, one thing at a time", () => {
    const another = makeKey("P-256");
    const quote = read(intelPlatform({ signers: { quote: another } }).quote);
    expect(verifySignature(P256, key(quote.attestation), quote.content, quote.signature, "ieee-p1363")).toBe(false);
    const header = { version: 9, attestationKeyType: 3, qeVendorId: [1] } as const;
    expect(intelPlatform({ header }).quote.slice(0, 4)).toEqual(Uint8Array.of(9, 0, 3, 0));
    expect(read(intelPlatform({ certificationData: { type: 1, data: Uint8Array.of(1, 2) } }).quote)).toMatchObject({
      dataType: 1,
      data: Uint8Array.of(1, 2),
    });
    expect(read(intelPlatform({ padding: new Uint8Array(70) }).quote).rest).toHaveLength(70);
    expect(read(intelPlatform({ body: "td-1.5", bodyDescriptor: { type: 2 } }).quote).type).toBe(2);
    const qe = read(intelPlatform({ qe: { isvSvn: 2, isvProdId: 9, mrSigner: [3], reportData: [4] } }).quote).qeReport;
    expect([qe[256], qe[258], qe[128], qe[320]]).toEqual([9, 2, 3, 4]);
    expect(() => intelPlatform({ reportData: new Uint8Array(65) })).toThrow("65 bytes for a field of 64");
  });
});

describe("PCK certificates", () => {
  const entries = (options: IntelOptions) => {
    const { certificates } = intelPlatform(options);
    const value = parseCertificate(certificates.pck).extensions.get("1.2.840.113741.1.13.1")!.value;
    return Object.fromEntries(
      Der.parse(value, "CERT_MALFORMED")
        .children()
        .map((entry) => {
          const [oid, content] = entry.children();
          return [oid!.oid("it").slice("1.2.840.113741.1.13.1.".length), content!];
        }),
    );
  };

  it("say which platform it is, and which TCB", () => {
    const found = entries({
      fmspc: "0x00906ed50000",
      pceId: "0x0001",
      ppid: "0xaabb",
      cpuSvn: [1, 2, 200],
      pceSvn: 300,
    });
    expect(toHex(found["4"]!.octets("it"))).toBe("0x00906ed50000");
    expect(toHex(found["3"]!.octets("it"))).toBe("0x0001");
    expect(toHex(found["1"]!.octets("it"))).toBe("0xaabb");
    const tcb = found["2"]!.children().map((each) => each.children()[1]!);
    expect(tcb).toHaveLength(18);
    expect(tcb.slice(0, 4).map((each) => each.small("it"))).toEqual([1, 2, 200, 0]);
    expect(tcb[16]!.small("it")).toBe(300);
    expect([...tcb[17]!.octets("it").subarray(0, 4)]).toEqual([1, 2, 200, 0]);
    expect(found["7"]!.children()).toHaveLength(3);
  });

  it("of the Processor CA have no platform", () => {
    expect(Object.keys(entries({ platform: false }))).toEqual(["1", "2", "3", "4", "5"]);
    const { certificates } = intelPlatform({ platform: false });
    expect(parseCertificate(certificates.pck).issuer.commonName).toBe("Intel SGX PCK Processor CA");
  });
});

describe("collateral", () => {
  it.each(["sgx", "td-1.0"] as const)("of %s is signed over its very text", (body) => {
    const { intel, certificates } = intelPlatform({ body });
    for (const { json, signature, chain } of [intel.tcbInfo, intel.qeIdentity]) {
      expect(chain).toEqual([certificates.tcbSigner, certificates.root]);
      const signer = parseCertificate(chain[0]!);
      expect(signer.subject.commonName).toBe("Intel SGX TCB Signing");
      expect(verifySignature(P256, signer.key, utf8(json), signature, "ieee-p1363")).toBe(true);
    }
    const info = JSON.parse(intel.tcbInfo.json);
    expect(info).toMatchObject({
      id: body === "sgx" ? "SGX" : "TDX",
      version: 3,
      fmspc: "B0C06F000000",
      pceId: "0000",
    });
    expect(info.issueDate).toBe(new Date((LAB_NOW - 86400) * 1000).toISOString().replace(".000", ""));
    expect(info.tcbLevels[0].tcb.sgxtcbcomponents.map(({ svn }: { svn: number }) => svn)).toEqual(LEVELS.newest.sgx);
    expect("tdxModule" in info).toBe(body !== "sgx");
    const identity = JSON.parse(intel.qeIdentity.json);
    expect(identity).toMatchObject({ id: body === "sgx" ? "QE" : "TD_QE", version: 2 });
    expect(identity.tcbLevels[0].tcb.isvsvn).toBe(QE_SVN);
  });

  it("has the statuses and advisories that it was told to have", () => {
    for (const status of INTEL_STATUSES) {
      const { intel } = intelPlatform({ statuses: { platform: status, module: status, qe: status } });
      const info = JSON.parse(intel.tcbInfo.json);
      expect(info.tcbLevels[0].tcbStatus).toBe(status);
      expect(info.tdxModuleIdentities[1].tcbLevels[0].tcbStatus).toBe(status);
      expect(JSON.parse(intel.qeIdentity.json).tcbLevels[0].tcbStatus).toBe(status);
    }
    const { intel } = intelPlatform({ advisories: { platform: ["INTEL-SA-1"] } });
    expect(JSON.parse(intel.tcbInfo.json).tcbLevels[0].advisoryIDs).toEqual(["INTEL-SA-1"]);
  });

  it("can be changed before it is signed, and after", () => {
    const members = { fmspc: "000000000000", tcbType: undefined, extra: 1 };
    const { intel, certificates } = intelPlatform({
      tcbInfo: { members, text: (json) => ` ${json}` },
      qeIdentity: { delivered: (json) => json.replace("TD_QE", "QE") },
    });
    expect(JSON.parse(intel.tcbInfo.json)).toMatchObject({ fmspc: "000000000000", extra: 1 });
    expect(JSON.parse(intel.tcbInfo.json)).not.toHaveProperty("tcbType");
    const signer = parseCertificate(certificates.tcbSigner).key;
    expect(intel.tcbInfo.json[0]).toBe(" ");
    expect(verifySignature(P256, signer, utf8(intel.tcbInfo.json), intel.tcbInfo.signature, "ieee-p1363")).toBe(true);
    const { json, signature } = intel.qeIdentity;
    expect(verifySignature(P256, signer, utf8(json), signature, "ieee-p1363")).toBe(false);
  });

  it("revokes on the list of the certificate's issuer", () => {
    const none = intelPlatform().intel;
    expect(parseCrl(none.rootCrl).revoked.size + parseCrl(none.pckCrl).revoked.size).toBe(0);
    const { intel, certificates } = intelPlatform({ revoked: ["pck", "intermediate", "tcbSigner"] });
    const serial = (name: keyof typeof certificates) => parseCertificate(certificates[name]).serial;
    expect([...parseCrl(intel.pckCrl).revoked.keys()]).toEqual([serial("pck")]);
    expect([...parseCrl(intel.rootCrl).revoked.keys()]).toEqual([serial("intermediate"), serial("tcbSigner")]);
    expect(parseCrl(intel.pckCrl).issuer.commonName).toBe("Intel SGX PCK Platform CA");
    expect(parseCrl(intel.rootCrl).issuer.commonName).toBe("Intel SGX Root CA");
  });

  it("is of a platform whose keys can be kept", () => {
    const one = intelPlatform();
    const two = intelPlatform({ keys: one.keys, reportData: [1] });
    expect(parseCertificate(two.certificates.pck).spki).toEqual(parseCertificate(one.certificates.pck).spki);
    expect(two.quote).not.toEqual(one.quote);
  });
});
