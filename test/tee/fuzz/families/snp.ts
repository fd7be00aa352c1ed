import { snpProcessor } from "../../../../src/tee/lab/snp.js";
import { equalBytes } from "../../../../src/tee/read/bytes.js";
import { PINNED_ROOTS } from "../../../../src/tee/roots.js";
import { parseCertificate, parseCrl } from "../../../../src/tee/x509.js";
import { cases, vector } from "../../vectors.js";
import { baseOf } from "../base.js";
import { type Base, type Bytes, type Family, flip, type Named, partOf, withChanges } from "../family.js";

const REPORT = "evidence.report";
const [VEK, INTERMEDIATE, ROOT] = [0, 1, 2].map((i) => `evidence.certificates.${i}`) as [string, string, string];
const CRL = "collateral.amd.crls.0";

function bases(): Base[] {
  const real = cases("snp")
    .filter(({ id, files }) => files.includes("vek.der") && !id.startsWith("neg-"))
    .map(({ id, vekFrom, product, signingKey }) => {
      const name = String(product);
      const { ark, ask, asvk } = PINNED_ROOTS.amd[`${name[0]!.toUpperCase()}${name.slice(1)}` as "Milan"];
      const certificates = [vector("snp", id, "vek.der"), signingKey === "VLEK" ? asvk : ask, ark];
      return baseOf(id, {
        now: Date.parse(String(vekFrom)) / 1000 + 86_400,
        roots: {},
        evidence: { kind: "snp", report: vector("snp", id, "report.bin"), certificates },
        collateral: {},
      });
    });
  // With revocation lists, of which there are no real ones.
  return [
    ...real,
    baseOf("laboratory's VCEK", snpProcessor({ product: "Genoa" })),
    baseOf("laboratory's VLEK", snpProcessor({ product: "Turin", signingKey: "VLEK" })),
  ];
}

const P384 = "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973";

function named(all: readonly Base[]): Named[] {
  const milan = all.find(({ name }) => name === "vcek-milan-v3-ms")!;
  const vlek = all.find(({ name }) => name === "vlek-milan-aws-v3-vmpl1")!;
  const report = partOf(milan, REPORT);
  const { Milan, Genoa } = PINNED_ROOTS.amd;
  const run =
    (changes: Record<string, Bytes>, from = milan) =>
    () =>
      withChanges(from, changes);
  const scalar = (at: number, bytes: Uint8Array) => {
    const copy = report.slice();
    copy.fill(0, at, at + 72).set(bytes, at);
    return run({ [REPORT]: copy });
  };
  const order = new Uint8Array(Buffer.from(P384, "hex").reverse());
  const version = report.slice();
  version[0] = 6;
  return [
    ...[8, 80, 672].map(
      (at, entry): Named => ({
        entry,
        what: `another bit at ${at}`,
        expect: ["REPORT_SIGNATURE"],
        run: run({ [REPORT]: flip(report, at, 1) }),
      }),
    ),
    ...[0x2a0, 0x2e8].flatMap((at) =>
      [new Uint8Array(), order, new Uint8Array(72).fill(0xff)].map(
        (bytes): Named => ({
          entry: 3,
          what: `a scalar of the signature at ${at} that is out of range`,
          expect: ["REPORT_SIGNATURE"],
          run: scalar(at, bytes),
        }),
      ),
    ),
    { entry: 4, what: "a VLEK as VCEK", expect: ["SIGNING_KEY_MISMATCH"], run: run({ [VEK]: partOf(vlek, VEK) }) },
    {
      entry: 4,
      what: "a VCEK as VLEK",
      expect: ["SIGNING_KEY_MISMATCH"],
      run: run({ [VEK]: partOf(milan, VEK) }, vlek),
    },
    { entry: 4, what: "the ASVK as ASK", expect: ["CHAIN_ISSUER"], run: run({ [INTERMEDIATE]: Milan.asvk }) },
    { entry: 4, what: "another product's ARK", expect: ["CHAIN_UNTRUSTED"], run: run({ [ROOT]: Genoa.ark }) },
    { entry: 7, what: "version 6", expect: ["UNSUPPORTED_REPORT_VERSION"], run: run({ [REPORT]: version }) },
  ];
}

function isCa(der: Uint8Array): boolean {
  return parseCertificate(der).basicConstraints?.ca === true;
}

function isSelfIssued(der: Uint8Array): boolean {
  const { issuer, subject } = parseCertificate(der);
  return equalBytes(issuer.der, subject.der);
}

export const snp: Family = {
  name: "snp",
  bases,
  excuses: [
    {
      reason: "a pinned intermediate stands in where no CA below a root comes along",
      covers: ({ name }, changed) =>
        name === INTERMEDIATE && (changed === undefined || !isCa(changed) || isSelfIssued(changed)),
    },
    {
      reason: "certificates come in any order: what was the VEK's stands in another place",
      covers: ({ name, bytes }, _changed, _claims, given) =>
        name === VEK && given.some((each) => each !== undefined && equalBytes(each, bytes)),
    },
    {
      reason: "a root is pinned, and need not come along",
      covers: ({ name }, changed) => name === ROOT && changed === undefined,
    },
    {
      reason: "what comes along and is neither a root nor of the chain's names stands in no chain",
      covers: ({ name }, changed) => name === ROOT && changed !== undefined && !isSelfIssued(changed),
    },
    {
      reason: "a revocation list need not come along, or be of this product, and the claims say so",
      claims: ["revocation"],
      covers: ({ name, bytes }, changed) =>
        name === CRL &&
        (changed === undefined || !equalBytes(parseCrl(changed).issuer.der, parseCrl(bytes).issuer.der)),
    },
  ],
  mutations: {
    section: "snp",
    named,
    elsewhere: { 5: "test/tee/snp/lab.test.ts", 6: "the phase of truncations" },
  },
};
