/** The laboratory's SNP processors: laid out and signed as specified, and every knob turns one thing. */
import { describe, expect, it } from "vitest";
import { toHex } from "../../../src/field/bytes.js";
import { makeKey } from "../../../src/tee/lab/certificates.js";
import { LAB_TCB, type SnpOptions, snpProcessor } from "../../../src/tee/lab/snp.js";
import { Der } from "../../../src/tee/read/der.js";
import { PINNED_ROOTS } from "../../../src/tee/roots.js";
import { isSigned, parseCertificate, parseCrl, verifySignature } from "../../../src/tee/x509.js";

// Keys of 4096 bits take seconds to make; what these tests look at does not depend on their size.
const processor = (options: SnpOptions = {}) => snpProcessor({ rsa: "RSA-2048", ...options });
const field = (options: SnpOptions, offset: number, length: number) =>
  toHex(processor(options).report.subarray(offset, offset + length)).slice(2);
const extension = (options: SnpOptions, suffix: string) =>
  parseCertificate(processor(options).certificates.leaf).extensions.get(`1.3.6.1.4.1.3704.1.${suffix}`)?.value;

function signedByLeaf({ report, certificates }: ReturnType<typeof snpProcessor>): boolean {
  const scalar = (offset: number) => report.slice(offset, offset + 48).reverse();
  const signature = new Uint8Array([...scalar(0x2a0), ...scalar(0x2e8)]);
  const { key } = parseCertificate(certificates.leaf);
  return verifySignature({ kind: "ecdsa", hash: "sha384" }, key, report.subarray(0, 0x2a0), signature, "ieee-p1363");
}

describe("processors", () => {
  it.each(["Milan", "Genoa", "Turin"] as const)("of %s sign their reports, all the way up to the ARK", (product) => {
    for (const signingKey of ["VCEK", "VLEK"] as const) {
      const lab = processor({ product, signingKey });
      expect(lab.report).toHaveLength(1184);
      expect(signedByLeaf(lab)).toBe(true);
      const [leaf, issuer, ark] = lab.evidence.certificates!.map((each) => parseCertificate(each));
      expect(leaf!.subject.commonName).toBe(`SEV-${signingKey}`);
      expect(issuer!.subject.commonName).toBe(signingKey === "VCEK" ? `SEV-${product}` : `SEV-VLEK-${product}`);
      expect(isSigned(leaf!, issuer!) && isSigned(issuer!, ark!) && isSigned(ark!, ark!)).toBe(true);
      expect(leaf!.signature.algorithm).toEqual({ kind: "rsa-pss", hash: "sha384", saltLength: 48 });
      expect(isSigned(parseCrl(lab.collateral.amd!.crls[0]!), ark!)).toBe(true);
      expect(lab.roots.amd![product].ark).toEqual(ark!.der);
      const another = product === "Milan" ? "Genoa" : "Milan";
      expect(lab.roots.amd![another]).toBe(PINNED_ROOTS.amd[another]);
    }
  });

  it("write the TCB in the product's layout, in report and certificate", () => {
    const tcb = { all: { bootloader: 1, tee: 2, snp: 3, microcode: 4 }, launch: { snp: 9 } };
    expect(field({ tcb }, 0x180, 8)).toBe("0102000000000304");
    expect(field({ tcb }, 0x1f0, 8)).toBe("0102000000000904");
    expect(field({ product: "Turin", tcb }, 0x38, 8)).toBe("0101020300000004");
    expect(field({ product: "Turin", tcb: { all: { fmc: 7 } } }, 0x1e0, 8)).toBe("0701010400000051");
    const svn = (options: SnpOptions, suffix: string) => {
      const value = extension(options, suffix);
      return value && Der.parse(value, "CERT_MALFORMED").small("it");
    };
    expect(["3.1", "3.2", "3.3", "3.8", "3.9"].map((suffix) => svn({}, suffix))).toEqual([4, 0, 24, 219, undefined]);
    expect(svn({ product: "Turin" }, "3.9")).toBe(LAB_TCB.Turin.fmc);
    expect(svn({ leafSays: { tcb: { snp: 99 } } }, "3.3")).toBe(99);
  });

  it("say what they were told to say", () => {
    expect(field({ reportVersion: 2 }, 0, 4)).toBe("02000000");
    expect(field({ reportVersion: 2 }, 0x188, 3)).toBe("000000");
    expect(field({ cpuid: { family: 1, model: 2, stepping: 3 } }, 0x188, 3)).toBe("010203");
    expect(field({}, 8, 8)).toBe("1f00030000000000");
    expect(field({ debug: true, policy: { smt: false, unknownBits: [40] } }, 8, 8)).toBe("1f000a0000010000");
    expect(field({ policyRaw: 1n }, 8, 8)).toBe("0100000000000000");
    expect(field({ platformInfo: { tsme: true, unknownBits: [63] } }, 0x40, 8)).toBe("2300000000000080");
    expect(field({ signingKey: "VLEK", maskChipKey: true, authorKeyEnabled: true }, 0x48, 4)).toBe("07000000");
    expect(field({ flags: 0x1c }, 0x48, 4)).toBe("1c000000");
    expect(field({ vmpl: 1, signatureAlgorithm: 2, guestSvn: 3 }, 0x30, 8)).toBe("0100000002000000");
    expect(field({ reportData: [1, 2] }, 0x50, 4)).toBe("01020000");
    expect(field({ measurements: { hostData: [5] } }, 0xc0, 2)).toBe("0500");
    expect(field({ currentVersion: "1.2.3" }, 0x1e8, 8)).toBe("030201001d370100");
    expect(field({ product: "Turin", mitigations: { launch: 1n, current: 2n } }, 0x1f8, 16)).toBe(
      "01000000000000000200000000000000",
    );
    expect(field({ edit: (report) => report.set([0xee], 0x18b) }, 0x18b, 1)).toBe("ee");
    expect(signedByLeaf(processor({ edit: (report) => report.set([0xee], 0x18b) }))).toBe(true);
    expect(signedByLeaf(processor({ signer: makeKey("P-384") }))).toBe(false);
  });

  it("have certificates of the chip, or of the cloud", () => {
    expect(extension({}, "4")).toHaveLength(64);
    expect(extension({ product: "Turin" }, "4")).toHaveLength(8);
    expect(extension({ maskChipKey: true }, "4")).toEqual(new Uint8Array(64).fill(0xc1));
    expect(field({ maskChipKey: true }, 0x1a0, 2)).toBe("0000");
    expect(extension({ signingKey: "VLEK" }, "4")).toBeUndefined();
    expect(extension({ signingKey: "VLEK" }, "5")).toBeDefined();
    expect(extension({ leafSays: { hwId: null, productName: null, cspId: "CN=x" } }, "4")).toBeUndefined();
    expect(extension({ leafSays: { hwId: null, productName: null, cspId: "CN=x" } }, "2")).toBeUndefined();
    expect(extension({ leafSays: { cspId: "CN=x" } }, "5")).toBeDefined();
    expect(extension({ leafSays: { hwId: [1] } }, "4")).toEqual(Uint8Array.of(1));
  });

  it("are revoked, have no list, or have their certificates apart", () => {
    const listed = (options: SnpOptions) => [...parseCrl(processor(options).collateral.amd!.crls[0]!).revoked.keys()];
    expect(listed({})).toEqual([]);
    expect(listed({ revoked: ["ask", "asvk"] })).toEqual(["010001", "010101"]);
    expect(processor({ crl: false }).collateral.amd!.crls).toEqual([]);
    const apart = processor({ apart: true });
    expect(apart.evidence.certificates).toBeUndefined();
    expect(apart.collateral.amd!.certificates).toHaveLength(3);
  });
});
