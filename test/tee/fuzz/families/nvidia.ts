import type { NvidiaClaims } from "../../../../src/tee/claims.js";
import { nvidiaDevice } from "../../../../src/tee/lab/nvidia.js";
import { parseOcspResponse } from "../../../../src/tee/nvidia/ocsp.js";
import { equalBytes } from "../../../../src/tee/read/bytes.js";
import { parseCertificate, parseCrl, parsePem } from "../../../../src/tee/x509.js";
import { cases, VECTORS, vector, vectorText } from "../../vectors.js";
import { baseOf } from "../base.js";
import { type Base, type Family, flip, type Named, partOf, withChanges } from "../family.js";

const REPORT = "evidence.report";

/** A time at which every real device and manifest is valid. */
const NOW = Date.UTC(2025, 4, 30) / 1000;

function bases(): Base[] {
  const real = cases("nvidia")
    .filter(({ id }) => !id.startsWith("neg-"))
    .map(({ id }, i) => {
      const certificates = parsePem(vectorText("nvidia", id, "chain.pem"));
      const evidence = { kind: "nvidia", report: vector("nvidia", id, "report.bin"), certificates } as const;
      return baseOf(id, { now: NOW, roots: {}, evidence, collateral: {} }, i === 0);
    });
  // With manifests, answers and lists; its report is short.
  return [...real, ...manifests(), baseOf("laboratory's GPU", nvidiaDevice({ revoked: [] }))];
}

/** The real device whose manifests there are. */
function manifests(): Base[] {
  if (VECTORS === undefined) return [];
  const id = "h100-545-full-match";
  const [driver, vbios, hex, chain] = ["driver_rim.xml", "vbios_rim.xml", "report.hex", "chain.b64"].map((file) =>
    vectorText("nvidia-rim", id, file),
  ) as [string, string, string, string];
  const report = new Uint8Array(Buffer.from(hex.trim(), "hex"));
  const evidence = { kind: "nvidia", report, certificates: parsePem(chain) } as const;
  const collateral = { nvidia: { rims: [driver, vbios], ocsp: [], crls: [] } };
  return [baseOf(id, { now: NOW, roots: {}, evidence, collateral }, false)];
}

function named(all: readonly Base[]): Named[] {
  return all.map(
    (base): Named => ({
      entry: 1,
      what: `another bit of a measurement of ${base.name}`,
      expect: ["SPDM_SIGNATURE"],
      // Behind the request, the answer's head and the first block's.
      run: () => withChanges(base, { [REPORT]: flip(partOf(base, REPORT), 37 + 8 + 7 + 4, 1) }),
    }),
  );
}

function saysUnchecked({ rims, revocation }: NvidiaClaims): boolean {
  return JSON.stringify([rims, revocation]).includes('"unchecked"');
}

export const nvidia: Family = {
  name: "nvidia",
  bases,
  excuses: [
    {
      reason: "manifests, answers and lists need not come along, or be about this device, and the claims say so",
      claims: ["rims", "revocation"],
      covers: ({ name }, _, claims) => name.startsWith("collateral.nvidia.") && saysUnchecked(claims as NvidiaClaims),
    },
    {
      reason: "certificates beside an answer are signed by nobody: those that are not the responder's say nothing",
      covers: ({ name, bytes }, changed) =>
        name.startsWith("collateral.nvidia.ocsp.") &&
        changed !== undefined &&
        equalBytes(parseOcspResponse(bytes).tbs, parseOcspResponse(changed).tbs),
    },
    {
      reason: "lists stand beside answers, and those of other issuers are about other certificates",
      covers: ({ name, bytes }, changed) =>
        name.startsWith("collateral.nvidia.crls.") &&
        (changed === undefined || !equalBytes(parseCrl(changed).issuer.der, parseCrl(bytes).issuer.der)),
    },
    {
      reason: "a root is pinned, and need not come along",
      covers: ({ name, bytes }, changed) => {
        if (!/^evidence\.certificates\.\d+$/.test(name) || changed !== undefined) return false;
        const { issuer, subject } = parseCertificate(bytes);
        return equalBytes(issuer.der, subject.der);
      },
    },
  ],
  mutations: {
    section: "nvidia",
    named,
    elsewhere: {
      0: "the phase of flips (verification has no nonce to expect; composites and policies have)",
      2: "test/tee/nvidia/device.test.ts",
      3: "test/tee/policy",
      4: "test/tee/composite.test.ts",
    },
  },
};
