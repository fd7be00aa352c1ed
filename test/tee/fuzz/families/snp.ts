import type { Collateral } from "../../../../src/tee/collateral.js";
import { type VerifyOptions, verifyWith } from "../../../../src/tee/context.js";
import { snpProcessor } from "../../../../src/tee/lab/snp.js";
import { equalBytes } from "../../../../src/tee/read/bytes.js";
import { PINNED_ROOTS } from "../../../../src/tee/roots.js";
import { verifySnp } from "../../../../src/tee/snp/verify.js";
import { parseCertificate } from "../../../../src/tee/x509.js";
import { cases, vector } from "../../vectors.js";
import {
  type Base,
  type Bytes,
  change,
  collateral,
  evidence,
  type Family,
  type Named,
  withChanges,
} from "../family.js";

type Role = "report" | "vek" | "intermediate" | "root" | "crl";

function base(
  name: string,
  parts: Partial<Record<Role, Uint8Array>>,
  { now, roots }: VerifyOptions,
  exhaustive = true,
): Base {
  const names = (Object.keys(parts) as Role[]).filter((role) => parts[role]);
  return {
    name,
    exhaustive,
    parts: names.map((role) =>
      role === "report" ? evidence(role, "bytes", parts[role]!) : collateral(role, "der", parts[role]!),
    ),
    verify(given) {
      const of = (role: Role) => {
        const bytes = given[names.indexOf(role)];
        return bytes ? [bytes] : [];
      };
      const report = of("report")[0] ?? new Uint8Array();
      const certificates = [...of("vek"), ...of("intermediate"), ...of("root")];
      const around: Collateral = { amd: { certificates: [], crls: of("crl") } };
      return verifyWith(
        () => report,
        { now, ...(roots ? { roots } : {}) },
        (context) => verifySnp(context, { kind: "snp", report, certificates }, around),
      );
    },
  };
}

function realBases(): Base[] {
  return cases("snp")
    .filter(({ id, files }) => files.includes("vek.der") && !id.startsWith("neg-"))
    .map(({ id, vekFrom, product, signingKey }) => {
      const name = String(product);
      const { ark, ask, asvk } = PINNED_ROOTS.amd[`${name[0]!.toUpperCase()}${name.slice(1)}` as "Milan"];
      const intermediate = signingKey === "VLEK" ? asvk : ask;
      const parts = {
        report: vector("snp", id, "report.bin"),
        vek: vector("snp", id, "vek.der"),
        intermediate,
        root: ark,
      };
      return base(id, parts, { now: Date.parse(String(vekFrom)) / 1000 + 86_400 });
    });
}

/** With a revocation list, of which there is no real one. */
function labBase(signingKey: "VCEK" | "VLEK"): Base {
  const { report, certificates, collateral: around, now, roots } = snpProcessor({ signingKey, product: "Genoa" });
  const { leaf, ask, asvk, ark } = certificates;
  const parts = {
    report,
    vek: leaf,
    intermediate: signingKey === "VLEK" ? asvk : ask,
    root: ark,
    crl: around.amd!.crls[0]!,
  };
  return base(`laboratory's ${signingKey}`, parts, { now, roots });
}

const P384 = "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973";

function named(bases: readonly Base[]): Named[] {
  const milan = bases.find(({ name }) => name === "vcek-milan-v3-ms")!;
  const vlek = bases.find(({ name }) => name === "vlek-milan-aws-v3-vmpl1")!;
  const part = (from: Base, name: Role) => from.parts.find((each) => each.name === name)!.bytes;
  const report = part(milan, "report");
  const { Milan, Genoa } = PINNED_ROOTS.amd;
  const run =
    (changes: Record<string, Bytes>, from = milan) =>
    () =>
      from.verify(withChanges(from, changes));
  const scalar = (at: number, bytes: Uint8Array) => {
    const copy = report.slice();
    copy.fill(0, at, at + 72).set(bytes, at);
    return run({ report: copy });
  };
  const order = new Uint8Array(Buffer.from(P384, "hex").reverse());
  const version = report.slice();
  version[0] = 6;
  return [
    ...[8, 80, 672].map((at, entry) => ({
      entry,
      what: `another bit at ${at}`,
      expect: ["REPORT_SIGNATURE"],
      run: run({ report: change(report, at, 1) }),
    })),
    ...[0x2a0, 0x2e8].flatMap((at) =>
      [new Uint8Array(), order, new Uint8Array(72).fill(0xff)].map((bytes) => ({
        entry: 3,
        what: `a scalar of the signature at ${at} that is out of range`,
        expect: ["REPORT_SIGNATURE"],
        run: scalar(at, bytes),
      })),
    ),
    { entry: 4, what: "a VLEK as VCEK", expect: ["SIGNING_KEY_MISMATCH"], run: run({ vek: part(vlek, "vek") }) },
    { entry: 4, what: "a VCEK as VLEK", expect: ["SIGNING_KEY_MISMATCH"], run: run({ vek: part(milan, "vek") }, vlek) },
    { entry: 4, what: "the ASVK as ASK", expect: ["CHAIN_ISSUER"], run: run({ intermediate: Milan.asvk }) },
    { entry: 4, what: "another product's ARK", expect: ["CHAIN_UNTRUSTED"], run: run({ root: Genoa.ark }) },
    { entry: 7, what: "version 6", expect: ["UNSUPPORTED_REPORT_VERSION"], run: run({ report: version }) },
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
  bases: () => [...realBases(), labBase("VCEK"), labBase("VLEK")],
  excuses: [
    {
      reason: "a pinned intermediate stands in where no CA below a root comes along",
      covers: ({ name }, changed) =>
        name === "intermediate" && (changed === undefined || !isCa(changed) || isSelfIssued(changed)),
    },
    {
      reason: "a root is pinned, and need not come along",
      covers: ({ name }, changed) => name === "root" && changed === undefined,
    },
    {
      reason: "what comes along and is neither a root nor of the chain's names stands in no chain",
      covers: ({ name }, changed) => name === "root" && changed !== undefined && !isSelfIssued(changed),
    },
    {
      reason: "a revocation list need not come along, and the claims say so",
      claims: ["revocation"],
      covers: ({ name }, changed) => name === "crl" && changed === undefined,
    },
  ],
  mutations: {
    section: "snp",
    named,
    elsewhere: { 5: "test/tee/snp/lab.test.ts", 6: "the phase of truncations" },
  },
};
