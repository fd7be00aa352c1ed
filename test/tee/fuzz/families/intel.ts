import { concat } from "../../../../src/field/bytes.js";
import { parseQuote } from "../../../../src/tee/intel/quote.js";
import { intelPlatform } from "../../../../src/tee/lab/intel.js";
import { equalBytes } from "../../../../src/tee/read/bytes.js";
import { parsePem } from "../../../../src/tee/x509.js";
import { intelCase } from "../../intel/support.js";
import { VECTORS } from "../../vectors.js";
import { baseOf } from "../base.js";
import { type Base, type Family, flip, type Named, partOf, withChanges } from "../family.js";

const QUOTE = "evidence.quote";

/** Of each kind of quote one real one, and the bodies that no real quote has. */
const REAL = ["tdx-v4-phala", "sgx-v3-phala", "tdx-v5-alibaba-90c06f", "tdx-v4-live-b0c06f"];

function bases(): Base[] {
  const real = (VECTORS === undefined ? [] : REAL).map((id, i) => {
    const { quote, entry, at } = intelCase(id);
    const evidence = { kind: "intel", quote } as const;
    return baseOf(id, { now: at, roots: {}, evidence, collateral: { intel: [entry] } }, i < 3);
  });
  return [
    ...real,
    baseOf("laboratory's TD 1.5-Ex", intelPlatform({ body: "td-1.5-ex" }), VECTORS === undefined),
    baseOf("laboratory's SGX, version 5", intelPlatform({ body: "sgx", version: 5 }), false),
  ];
}

function named(all: readonly Base[]): Named[] {
  return all.slice(0, REAL.length).flatMap((base) => {
    const quote = partOf(base, QUOTE);
    const { body, signature, attestationKey, qeReport, qeAuthData } = parseQuote(quote);
    const at = (part: Uint8Array) => part.byteOffset - quote.byteOffset;
    const bit = (entry: number, offset: number, mask: number, ...expect: Named["expect"]): Named => ({
      entry,
      what: `another bit at ${offset} of ${base.name}`,
      expect,
      run: () => withChanges(base, { [QUOTE]: flip(quote, offset, mask) }),
    });
    const size = quote.slice();
    size.fill(0xff, at(qeAuthData) - 2, at(qeAuthData));
    const padded = concat(quote, new Uint8Array(100).fill(0xaa));
    return [
      bit(0, 0, 8, "UNSUPPORTED_QUOTE_VERSION"),
      bit(1, 2, 1, "UNSUPPORTED_ATT_KEY_TYPE"),
      bit(2, 12, 1, "QE_VENDOR_ID"),
      bit(3, at(body.report.reportData), 1, "QUOTE_SIGNATURE"),
      bit(4, at(signature), 1, "QUOTE_SIGNATURE"),
      bit(5, at(attestationKey), 1, "QE_REPORT_DATA"),
      bit(6, at(qeReport.bytes) + 64, 1, "QE_REPORT_SIGNATURE"),
      ...(qeAuthData.length > 0 ? [bit(7, at(qeAuthData), 1, "QE_REPORT_DATA")] : []),
      {
        entry: 9,
        what: `an endless size of authentication data of ${base.name}`,
        expect: ["EVIDENCE_MALFORMED"],
        run: () => withChanges(base, { [QUOTE]: size }),
      },
      {
        entry: 10,
        what: `100 bytes behind ${base.name}`,
        expect: ["ok", "TRAILING_DATA"],
        run: () => withChanges(base, { [QUOTE]: padded }),
      },
    ] satisfies Named[];
  });
}

/** All of a quote that is signed, hashed or a certificate: without padding, and white space between certificates. */
function meaning(quote: Uint8Array): Uint8Array {
  const { certification, trailing } = parseQuote(quote);
  const data = certification.data;
  const certificates = parsePem(Buffer.from(data).toString("latin1").replace(/\0+$/, ""));
  const before = quote.subarray(0, data.byteOffset - quote.byteOffset);
  const end = quote.length - trailing.length;
  const after = quote.subarray(data.byteOffset - quote.byteOffset + data.length, end);
  return concat(before, ...certificates, after);
}

export const intel: Family = {
  name: "intel",
  bases,
  excuses: [
    {
      reason: "padding behind a quote, and white space between the certificates in it",
      covers: ({ name, bytes }, changed) =>
        name === QUOTE && changed !== undefined && equalBytes(meaning(bytes), meaning(changed)),
    },
    {
      reason: "the chain of the PCK certificates' list is read only where a quote brings no issuer",
      covers: ({ name }) => name.includes(".pckCrlChain."),
    },
    {
      reason: "a root is pinned, and need not come along",
      covers: ({ name }, changed) => /hain\.1$/.test(name) && changed === undefined,
    },
  ],
  mutations: {
    section: "intel-quote",
    named,
    elsewhere: {
      8: "the phase of truncations",
      11: "test/tee/intel/collateral.test.ts",
      12: "test/tee/intel/collateral.test.ts",
      13: "test/tee/intel/collateral.test.ts",
      14: "test/tee/intel/collateral.test.ts",
      15: "test/tee/intel/vectors.test.ts",
      16: "test/tee/intel/platforms.test.ts",
      17: "test/tee/intel/platforms.test.ts",
    },
  },
};
