import { azureGuest } from "../../../../src/tee/lab/azure.js";
import { LAB_NOW } from "../../../../src/tee/lab/certificates.js";
import { equalBytes } from "../../../../src/tee/read/bytes.js";
import { readEvidence } from "../../../../src/tee/recognise.js";
import { cases, vector } from "../../vectors.js";
import { baseOf } from "../base.js";
import type { Base, Family } from "../family.js";
import { intel } from "./intel.js";
import { snp } from "./snp.js";

function bases(): Base[] {
  const real = cases("azure-vtpm")
    .filter(({ id }) => id.startsWith("az-snp"))
    .map(({ id }, i) => {
      const evidence = readEvidence(vector("azure-vtpm", id, "evidence.json")).evidence!;
      return baseOf(id, { now: LAB_NOW, roots: {}, evidence, collateral: {} }, i === 0);
    });
  return [
    ...real,
    baseOf("laboratory's SNP guest", azureGuest(), real.length === 0),
    baseOf("laboratory's TDX guest", azureGuest({ tee: "tdx" })),
  ];
}

/** Fields of the HCL report that hold nothing: the TDREPORT's version, CPUSVN and MAC, which no quote has. */
const UNQUOTED = [
  [32 + 2, 32 + 3],
  [32 + 16, 32 + 32],
  [32 + 224, 32 + 256],
] as const;

/** What is left of an HCL report with these fields and the padding taken out. */
function meaning(hclReport: Uint8Array, isTd: boolean): Uint8Array {
  let end = hclReport.length;
  while (end > 0 && hclReport[end - 1] === 0) end--;
  const copy = hclReport.slice(0, end);
  if (isTd) for (const [from, until] of UNQUOTED) copy.fill(0, from, until);
  return copy;
}

/** Of the hardware report: 4 for TDX. */
const TYPE = 32 + 1184 + 8;

export const azure: Family = {
  name: "azure-vtpm",
  bases,
  excuses: [
    {
      reason: "zeros behind an HCL report, and of a TDREPORT what no quote has",
      covers: ({ name, bytes }, changed) =>
        name === "evidence.hclReport" &&
        changed !== undefined &&
        equalBytes(meaning(bytes, bytes[TYPE] === 4), meaning(changed, bytes[TYPE] === 4)),
    },
    ...intel.excuses,
    // What of the paravisor's report was not checked stands one level down.
    ...snp.excuses.map((each) => (each.claims ? { ...each, claims: ["tee"] } : each)),
  ],
};
