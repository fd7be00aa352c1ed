/** What was changed in a quote or its collateral is found, and named. */
import { describe, expect, test } from "vitest";
import { concat } from "../../../src/field/bytes.js";
import type { IntelCollateral } from "../../../src/tee/collateral.js";
import { parseQuote } from "../../../src/tee/intel/quote.js";
import { VECTORS } from "../vectors.js";
import { changed, type IntelCase, intelCase, intelCases, verdictOf, verifyQuote } from "./support.js";

const BASES = ["tdx-v4-phala", "sgx-v3-phala", "tdx-v5-alibaba-90c06f", "tdx-v4-azure2-00806f"];

describe.skipIf(VECTORS === undefined).each(BASES)("a changed quote: %s", (id) => {
  const base = VECTORS === undefined ? (undefined as unknown as IntelCase) : intelCase(id);
  const verdict = (quote: Uint8Array) => verdictOf(verifyQuote(quote, base.entry, { now: base.at }));
  const quote = base?.quote;
  const parts = quote && parseQuote(quote);
  const at = (part: Uint8Array) => part.byteOffset - quote.byteOffset;
  const { body, signature, attestationKey, qeReport, qeReportSignature, qeAuthData, certification } = parts ?? {};

  test("every field that is signed, and every signature", () => {
    const reportData = at(body!.report.reportData);
    const expected: [string, Uint8Array, string][] = [
      ["version", changed(quote, 0, 8), "UNSUPPORTED_QUOTE_VERSION"],
      ["attestation key type", changed(quote, 2), "UNSUPPORTED_ATT_KEY_TYPE"],
      ["vendor", changed(quote, 12), "QE_VENDOR_ID"],
      ["report data", changed(quote, reportData), "QUOTE_SIGNATURE"],
      ["report data, last byte", changed(quote, reportData + 63), "QUOTE_SIGNATURE"],
      ["user data", changed(quote, 28), "QUOTE_SIGNATURE"],
      ["reserved bytes of the header", changed(quote, 8), "QUOTE_SIGNATURE"],
      ["signature r", changed(quote, at(signature!)), "QUOTE_SIGNATURE"],
      ["signature s", changed(quote, at(signature!) + 63), "QUOTE_SIGNATURE"],
      ["attestation key", changed(quote, at(attestationKey!)), "QE_REPORT_DATA"],
      ["QE's MRSIGNER", changed(quote, at(qeReport!.bytes) + 64), "QE_REPORT_SIGNATURE"],
      ["QE's report data", changed(quote, at(qeReport!.reportData)), "QE_REPORT_SIGNATURE"],
      ["QE report's signature", changed(quote, at(qeReportSignature!)), "QE_REPORT_SIGNATURE"],
      ["QE's data", changed(quote, at(qeAuthData!)), "QE_REPORT_DATA"],
    ];
    for (const [what, bytes, code] of expected) expect([what, verdict(bytes)]).toEqual([what, code]);
  });

  test("signatures of zeros are none", () => {
    const zeroed = (part: Uint8Array) => {
      const copy = Uint8Array.from(quote);
      copy.fill(0, at(part), at(part) + part.length);
      return copy;
    };
    expect(verdict(zeroed(signature!))).toBe("QUOTE_SIGNATURE");
    expect(verdict(zeroed(qeReportSignature!))).toBe("QE_REPORT_SIGNATURE");
  });

  test("single bits, everywhere: only line ends of the PEM text carry no meaning", () => {
    const end = at(certification!.data) + certification!.data.length;
    // A line end that became another white space, the final zero that became a blank.
    const isFree = (byte: number) => byte === 0x0a || byte === 0;
    for (let index = 0; index < end; index += index < at(certification!.data) ? 7 : 31) {
      for (const mask of [1 << (index % 8), 1 << ((index + 3) % 8)]) {
        const found = verdict(changed(quote, index, mask));
        const isRefused = /^[A-Z0-9_]+$/.test(found) && found !== "INTERNAL";
        const inText = index >= at(certification!.data) && isFree(quote[index]!);
        if (!isRefused && !(inText && found === base.status)) throw new Error(`${found} at ${index}, bit ${mask}`);
      }
    }
  });

  test("cut short", () => {
    const end = at(certification!.data) + certification!.data.length;
    for (let length = 0; length < end; length += 61)
      expect(verdict(quote.subarray(0, length))).toBe("EVIDENCE_MALFORMED");
  });

  test("with something behind it", () => {
    expect(verdict(concat(quote, new Uint8Array(100).fill(0xaa)))).toBe(base.status);
    expect(verdict(concat(quote, new Uint8Array(20_000)))).toBe("TRAILING_DATA");
  });
});

describe.skipIf(VECTORS === undefined)("changed collateral", () => {
  const load = (id: string) => (VECTORS === undefined ? (undefined as unknown as IntelCase) : intelCase(id));
  const base = load("tdx-v4-phala");
  const sgx = load("sgx-v3-phala");
  const verdict = (change: Partial<IntelCollateral>, given: IntelCase = base) =>
    verdictOf(verifyQuote(given.quote, { ...given.entry, ...change }, { now: given.at }));

  test.each(["rootCrl", "pckCrl"] as const)("%s: dropped, garbage, cut, flipped, another's", (list) => {
    const crl = base.entry[list];
    expect(verdict({ [list]: new Uint8Array() })).toBe("CRL_MISSING");
    expect(verdict({ [list]: undefined as unknown as Uint8Array })).toBe("CRL_MISSING");
    // Phala's library takes all of these for an empty list.
    expect(verdict({ [list]: Uint8Array.of(0) })).toBe("CRL_MALFORMED");
    expect(verdict({ [list]: new Uint8Array(300).fill(0x30) })).toBe("CRL_MALFORMED");
    expect(verdict({ [list]: crl.subarray(0, crl.length - 1) })).toBe("CRL_MALFORMED");
    expect(verdict({ [list]: concat(crl, Uint8Array.of(0)) })).toBe("CRL_MALFORMED");
    expect(verdict({ [list]: changed(crl, crl.length - 1) })).toBe("CRL_SIGNATURE");
    expect(verdict({ [list]: list === "rootCrl" ? base.entry.pckCrl : base.entry.rootCrl })).toBe(
      "CRL_ISSUER_MISMATCH",
    );
    for (let at = 0; at < crl.length; at += 17)
      expect(verdict({ [list]: changed(crl, at) })).toMatch(/^(CRL_|EXPIRED|NOT_YET)/);
  });

  test("the list of the other CA says nothing about this platform", () => {
    expect(verdict({ pckCrl: sgx.entry.pckCrl })).toBe("CRL_ISSUER_MISMATCH");
    expect(verdict({ pckCrl: base.entry.pckCrl }, sgx)).toBe("CRL_ISSUER_MISMATCH");
  });

  test("an old list with new documents has expired", () => {
    const old = load("tdx-v4-googl-50806f-2023");
    expect(verdict({ rootCrl: old.entry.rootCrl })).toBe("EXPIRED");
    expect(verdict({ pckCrl: old.entry.pckCrl })).toBe("EXPIRED");
  });

  test("documents of another TEE or platform", () => {
    expect(verdict({ tcbInfo: sgx.entry.tcbInfo })).toBe("TCB_INFO_MISMATCH");
    expect(verdict({ tcbInfo: base.entry.tcbInfo }, sgx)).toBe("TCB_INFO_MISMATCH");
    expect(verdict({ qeIdentity: sgx.entry.qeIdentity })).toBe("QE_IDENTITY_MISMATCH");
    expect(verdict({ qeIdentity: base.entry.qeIdentity }, sgx)).toBe("QE_IDENTITY_MISMATCH");
    const one = load("tdx-v5-alibaba-90c06f");
    const two = load("tdx-v4-debug-50806f");
    expect(verdict({ tcbInfo: two.entry.tcbInfo }, one)).toBe("TCB_INFO_MISMATCH");
  });

  test.each([
    ["tcbInfo", "TCB_INFO_SIGNATURE"],
    ["qeIdentity", "QE_IDENTITY_SIGNATURE"],
  ] as const)("%s in another spelling is not what Intel signed", (name, code) => {
    const document = base.entry[name];
    const value = JSON.parse(document.json) as Record<string, unknown>;
    const spellings = [
      `${document.json} `,
      ` ${document.json}`,
      `${document.json}\n`,
      document.json.replace(":", ": "),
      document.json.replace("{", '{"version":9,'),
      document.json.replace('"version"', '"versio\\u006e"'),
      JSON.stringify(Object.fromEntries(Object.entries(value).reverse())),
      JSON.stringify(value, null, 1),
      `\ufeff${document.json}`,
      "",
      "{}",
    ];
    for (const json of spellings) expect(verdict({ [name]: { ...document, json } })).toBe(code);
    const { signature } = document;
    const flipped = [
      signature.subarray(0, 63),
      concat(signature, Uint8Array.of(0)),
      new Uint8Array(64),
      new Uint8Array(),
    ];
    for (let at = 0; at < 64; at += 9) flipped.push(changed(signature, at));
    for (const each of flipped) expect(verdict({ [name]: { ...document, signature: each } })).toBe(code);
  });

  test.each(["tcbInfo", "qeIdentity"] as const)("%s signed by somebody else", (name) => {
    const document = base.entry[name];
    const { chain } = document;
    const [signer, root] = chain as [Uint8Array, Uint8Array];
    const issuers = base.entry.pckCrlChain;
    expect(verdict({ [name]: { ...document, chain: [] } })).toBe("CHAIN_INCOMPLETE");
    expect(verdict({ [name]: { ...document, chain: issuers } })).toBe("TCB_SIGNER_CN");
    expect(verdict({ [name]: { ...document, chain: [root] } })).toBe("TCB_SIGNER_CN");
    expect(verdict({ [name]: { ...document, chain: [signer, issuers[0]!, root] } })).toBe("CHAIN_ISSUER");
    expect(verdict({ [name]: { ...document, chain: [signer, signer, root] } })).toMatch(/^CHAIN_/);
    expect(verdict({ [name]: { ...document, chain: Array(11).fill(signer) } })).toBe("CHAIN_INCOMPLETE");
    expect(verdict({ [name]: { ...document, chain: [signer.subarray(1), root] } })).toBe("CERT_MALFORMED");
    expect(verdict({ [name]: { ...document, chain: [changed(signer, signer.length - 1), root] } })).toBe(
      "CHAIN_SIGNATURE",
    );
    // The root is pinned, and may be left out.
    expect(verdict({ [name]: { ...document, chain: [signer] } })).toBe(base.status);
  });

  test("no collateral at all", () => {
    expect(verdictOf(verifyQuote(base.quote, [], { now: base.at }))).toBe("COLLATERAL_MISSING");
  });

  test("collateral that is not what its type says is malformed, or missing", () => {
    const { tcbInfo, pckCrlChain } = base.entry;
    const wrong: [unknown, string][] = [
      [{ tcbInfo: undefined }, "COLLATERAL_MISSING"],
      [{ qeIdentity: null }, "COLLATERAL_MISSING"],
      [{ tcbInfo: {} }, "COLLATERAL_MALFORMED"],
      [{ tcbInfo: { ...tcbInfo, json: JSON.parse(tcbInfo.json) } }, "COLLATERAL_MALFORMED"],
      [{ tcbInfo: { ...tcbInfo, signature: "00" } }, "COLLATERAL_MALFORMED"],
      [{ tcbInfo: { ...tcbInfo, chain: "PEM" } }, "COLLATERAL_MALFORMED"],
      [{ tcbInfo: { ...tcbInfo, chain: ["PEM"] } }, "COLLATERAL_MALFORMED"],
      [{ rootCrl: "00" }, "COLLATERAL_MALFORMED"],
      [{ pckCrl: null }, "COLLATERAL_MALFORMED"],
      [{ pckCrlChain: pckCrlChain[0] }, "COLLATERAL_MALFORMED"],
      [{ pckChain: [1] }, "COLLATERAL_MALFORMED"],
      [{ pckCrlChain: [] }, base.status],
      [{ pckCrlChain: undefined }, base.status],
    ];
    for (const [change, code] of wrong)
      expect([change, verdict(change as Partial<IntelCollateral>)]).toEqual([change, code]);
    for (const list of [[null], [undefined], [1], "text", {}]) {
      const found = verdictOf(verifyQuote(base.quote, list as never, { now: base.at }));
      expect(found).toMatch(/^COLLATERAL_(MISSING|MALFORMED)$/);
    }
  });

  test("of several sets the one that fits is taken; without one, it is missing", () => {
    const all = intelCases();
    const entries = all.map(({ entry }) => entry);
    for (const each of all) {
      const expected = verdictOf(verifyQuote(each.quote, each.entry, { now: each.at, allowDebug: true }));
      expect(verdictOf(verifyQuote(each.quote, entries, { now: each.at, allowDebug: true }))).toBe(expected);
      expect(verdictOf(verifyQuote(each.quote, [...entries].reverse(), { now: each.at, allowDebug: true }))).toBe(
        expected,
      );
    }
    expect(verdictOf(verifyQuote(base.quote, [sgx.entry, sgx.entry], { now: base.at }))).toBe("COLLATERAL_MISSING");
  });

  test.each([Number.NaN, undefined, Number.POSITIVE_INFINITY, -1, 1751624191.5, 1751624191000, "1751624191"])(
    "the time %s is none",
    (now) => {
      expect(verdictOf(verifyQuote(base.quote, base.entry, { now: now as number }))).toBe("BAD_TIME");
    },
  );
});
