/** The layout of quotes: every length fits, or the quote is refused. */
import { describe, expect, test } from "vitest";
import { concat } from "../../../src/field/bytes.js";
import { isDebug, parseQuote, type Quote, tdAttributeNames, tdxModuleName } from "../../../src/tee/intel/quote.js";
import { type IntelOptions, intelPlatform } from "../../../src/tee/lab/intel.js";
import { outcomeOf } from "../../support/errors.js";
import { changed } from "./support.js";

const padding = new Uint8Array(70);
const shapes: [string, IntelOptions, number][] = [
  ["SGX, version 3", { body: "sgx" }, 48 + 384],
  ["SGX, version 4", { body: "sgx", version: 4 }, 48 + 384],
  ["SGX, version 5", { body: "sgx", version: 5 }, 54 + 384],
  ["TD 1.0, version 4", {}, 48 + 584],
  ["TD 1.0, version 5", { version: 5 }, 54 + 584],
  ["TD 1.5", { body: "td-1.5" }, 54 + 648],
  ["TD 1.5-Ex", { body: "td-1.5-ex" }, 54 + 885],
];

const parsed = (quote: Uint8Array) => outcomeOf(() => parseQuote(quote));
const offsetIn = (quote: Uint8Array, part: Uint8Array) => part.byteOffset - quote.byteOffset;

describe.each(shapes)("%s", (_, options, signedLength) => {
  const { quote } = intelPlatform({ ...options, padding });
  const read = parseQuote(quote);
  const end = quote.length - padding.length;

  test("is read whole", () => {
    expect(read.signed).toEqual(quote.subarray(0, signedLength));
    expect(read.body.kind).toBe(options.body ?? "td-1.0");
    expect(read.body.report.bytes.length).toBe({ 384: 384, 584: 584, 648: 648, 885: 885 }[bodyLength(read)]);
    expect(read.trailing).toEqual(padding);
    expect(read.qeAuthData).toEqual(Uint8Array.from({ length: 32 }, (_, i) => i));
    expect(read.certification.type).toBe(5);
    expect(read.version === 3).toBe(read.qeSvn !== undefined);
  });

  test("cut short anywhere, it is malformed", () => {
    for (let length = 0; length < end; length++) {
      const outcome = parsed(quote.subarray(0, length));
      if (outcome !== "EVIDENCE_MALFORMED") throw new Error(`${outcome} at ${length}`);
    }
    expect(parsed(quote.subarray(0, end))).toBe("accepted");
  });

  test("with any length changed, it is malformed", () => {
    const lengths = [
      [signedLength, 4],
      [offsetIn(quote, read.qeAuthData) - 2, 2],
      [offsetIn(quote, read.certification.data) - 4, 4],
      ...(read.version > 3 ? [[offsetIn(quote, read.qeReport.bytes) - 4, 4]] : []),
    ] as [number, number][];
    for (const [at, size] of lengths) {
      for (const value of [0, 1, 0xff, 0xffff, 0x7fffffff, 0xffffffff]) {
        const copy = Uint8Array.from(quote);
        const view = new DataView(copy.buffer);
        if (size === 2) view.setUint16(at, value & 0xffff, true);
        else view.setUint32(at, value, true);
        expect([at, value, parsed(copy)]).toEqual([at, value, "EVIDENCE_MALFORMED"]);
      }
      for (const mask of [1, 2, 4, 8]) expect(parsed(changed(quote, at, mask))).toBe("EVIDENCE_MALFORMED");
    }
  });
});

function bodyLength({ body }: Quote): 384 | 584 | 648 | 885 {
  return ({ sgx: 384, "td-1.0": 584, "td-1.5": 648, "td-1.5-ex": 885 } as const)[body.kind];
}

describe("headers", () => {
  const header = (options: IntelOptions) => parsed(intelPlatform(options).quote);

  test.each([
    ["version 2", { header: { version: 2 } }, "UNSUPPORTED_QUOTE_VERSION"],
    ["version 6", { header: { version: 6 } }, "UNSUPPORTED_QUOTE_VERSION"],
    ["TDX in version 3", { body: "sgx", header: { teeType: 0x81 } }, "UNSUPPORTED_QUOTE_VERSION"],
    ["an unknown TEE", { header: { teeType: 0x82 } }, "UNSUPPORTED_QUOTE_VERSION"],
    ["an attestation key on P-384", { header: { attestationKeyType: 3 } }, "UNSUPPORTED_ATT_KEY_TYPE"],
    ["a body of type 5", { version: 5, bodyDescriptor: { type: 5 } }, "UNSUPPORTED_QUOTE_VERSION"],
    ["a body of type 0", { version: 5, bodyDescriptor: { type: 0 } }, "UNSUPPORTED_QUOTE_VERSION"],
    ["an enclave's body for TDX", { version: 5, bodyDescriptor: { type: 1 } }, "UNSUPPORTED_QUOTE_VERSION"],
    ["a TD's body for SGX", { body: "sgx", version: 5, bodyDescriptor: { type: 2 } }, "UNSUPPORTED_QUOTE_VERSION"],
    ["a size of another body", { version: 5, bodyDescriptor: { size: 648 } }, "EVIDENCE_MALFORMED"],
    ["a size of 4 GiB", { version: 5, bodyDescriptor: { size: 0xffffffff } }, "EVIDENCE_MALFORMED"],
    ["certification data of type 0", { certificationData: { type: 0 } }, "EVIDENCE_MALFORMED"],
    ["certification data of type 6 inside of type 6", { certificationData: { type: 6 } }, "EVIDENCE_MALFORMED"],
    ["certification data of type 7", { body: "sgx", certificationData: { type: 7 } }, "EVIDENCE_MALFORMED"],
  ] as [string, IntelOptions, string][])("%s", (_, options, outcome) => {
    expect(header(options)).toBe(outcome);
  });

  test("version 4 wraps what certifies the key in type 6", () => {
    const { quote } = intelPlatform();
    const at = offsetIn(quote, parseQuote(quote).qeReport.bytes) - 6;
    expect(quote[at]).toBe(6);
    expect(parsed(changed(quote, at, 6 ^ 5))).toBe("EVIDENCE_MALFORMED");
  });

  test("16 KiB may follow, and not a byte more", () => {
    const { quote } = intelPlatform();
    expect(parsed(concat(quote, new Uint8Array(16 * 1024)))).toBe("accepted");
    expect(parsed(concat(quote, new Uint8Array(16 * 1024 + 1)))).toBe("TRAILING_DATA");
  });

  test("signature data has a bound of its own", () => {
    const data = new Uint8Array(140 * 1024);
    expect(parsed(intelPlatform({ certificationData: { data } }).quote)).toBe("EVIDENCE_MALFORMED");
  });
});

describe("fields", () => {
  test("of an enclave's report stand where they belong", () => {
    const bytes = (value: number, length: number) => new Uint8Array(length).fill(value);
    const { quote } = intelPlatform({
      body: "sgx",
      reportData: bytes(9, 64),
      sgx: {
        isvProdId: 0x1234,
        isvSvn: 0x5678,
        miscSelect: [1, 2, 3, 4],
        configId: bytes(5, 64),
        configSvn: 0x9abc,
        isvExtProdId: bytes(6, 16),
        isvFamilyId: bytes(7, 16),
      },
    });
    expect(parseQuote(quote).body.report).toMatchObject({
      isvProdId: 0x1234,
      isvSvn: 0x5678,
      configSvn: 0x9abc,
      miscSelect: Uint8Array.of(1, 2, 3, 4),
      configId: bytes(5, 64),
      isvExtProdId: bytes(6, 16),
      isvFamilyId: bytes(7, 16),
      mrEnclave: bytes(0xe1, 32),
      mrSigner: bytes(0xe2, 32),
      reportData: bytes(9, 64),
    });
  });

  test("of the extended report stand where Intel's headers have them", () => {
    const extended = Uint8Array.from({ length: 237 }, (_, i) => i);
    const { report } = parseQuote(intelPlatform({ body: "td-1.5-ex", tdx: { extended } }).quote).body;
    const lengths = { vmId: 1, tdId: 32, deviceInfo: 48, initServiceTdHash: 48, initServiceTdAttributes: 8 };
    const more = { initCpuSvn: 16, initTeeTcbSvn: 16, initTeeFmspc: 12, serviceTdHash: 48, serviceTdAttributes: 8 };
    let at = 0;
    const expected = Object.fromEntries(
      Object.entries({ ...lengths, ...more }).map(([name, length]) => [name, extended.slice(at, (at += length))]),
    );
    expect(at).toBe(237);
    expect(report).toMatchObject({ extended: expected });
  });

  test("names of a TD's attributes", () => {
    const attributes = new Uint8Array(8);
    expect(tdAttributeNames(attributes)).toEqual([]);
    for (const bit of [0, 17, 28, 29, 30, 31, 62, 63]) attributes[bit >> 3]! |= 1 << (bit & 7);
    expect(tdAttributeNames(attributes)).toEqual([
      ...["DEBUG", "bit 17", "SEPT_VE_DISABLE", "MIGRATABLE", "PKS", "KL", "TPA", "PERFMON"],
    ]);
  });

  test("names of modules", () => {
    expect(tdxModuleName(Uint8Array.of(3, 0))).toBe("TDX");
    expect(tdxModuleName(Uint8Array.of(3, 1))).toBe("TDX_01");
    expect(tdxModuleName(Uint8Array.of(3, 0xab))).toBe("TDX_AB");
  });

  test("debug is bit 1 of an enclave, and any bit of a TD's first byte", () => {
    const bodyOf = (options: IntelOptions) => parseQuote(intelPlatform(options).quote).body;
    expect(isDebug(bodyOf({ body: "sgx" }))).toBe(false);
    expect(isDebug(bodyOf({ body: "sgx", debug: true }))).toBe(true);
    expect(isDebug(bodyOf({}))).toBe(false);
    for (let bit = 0; bit < 64; bit++) {
      const tdAttributes = new Uint8Array(8);
      tdAttributes[bit >> 3] = 1 << (bit & 7);
      expect(isDebug(bodyOf({ tdx: { tdAttributes } }))).toBe(bit < 8);
    }
  });
});
