/** Quotes of real machines, with the verdict of Intel's own algorithm. */
import { describe, expect, test } from "vitest";
import { toHex } from "../../../src/field/bytes.js";
import { VECTORS } from "../vectors.js";
import { intelCases, verdictOf, verifyQuote } from "./support.js";

describe.skipIf(VECTORS === undefined)("recorded quotes", () => {
  for (const each of intelCases()) {
    const { id, quote, entry, at, validFrom, validTo, status, advisories, tcbDate, fails } = each;
    const isDebug = fails.includes("DEBUG");
    const run = (now: number) => verifyQuote(quote, entry, { now, allowDebug: isDebug });

    test(`${id}: ${isDebug ? "debug, " : ""}${status}`, () => {
      const verification = run(at);
      if (status === "TcbNotSupported") {
        expect(verdictOf(verification)).toBe("TCB_NOT_SUPPORTED");
        return;
      }
      if (!verification.ok) throw new Error(verification.failure.message);
      const { claims } = verification;
      expect(claims).toMatchObject({ status, advisories, tcbDate, debug: isDebug });
      expect([verification.validFrom, verification.validUntil]).toEqual([validFrom, validTo]);
      expect(claims.family).toBe(id.slice(0, 3));
      expect(claims.quoteVersion).toBe(Number(id.slice(5, 6)));
      const fmspc = /-([0-9a-f]{6})(?:-|$)/.exec(id)?.[1];
      if (fmspc) expect(claims.fmspc.slice(2, 8)).toBe(fmspc);
      const [platform] = claims.parts;
      if (platform!.status === "OutOfDate") expect(platform!.behind).not.toEqual([]);
      expect(JSON.parse(JSON.stringify(claims))).toEqual(claims);
    });

    test(`${id}: valid from its first second to its last`, () => {
      const inside = status === "TcbNotSupported" ? "TCB_NOT_SUPPORTED" : status;
      expect(verdictOf(run(validFrom - 1))).toBe("NOT_YET_VALID");
      expect(verdictOf(run(validFrom))).toBe(inside);
      expect(verdictOf(run(validTo))).toBe(inside);
      expect(verdictOf(run(validTo + 1))).toBe("EXPIRED");
    });

    if (isDebug) {
      test(`${id}: is refused where nobody asked for debug`, () => {
        expect(verdictOf(verifyQuote(quote, entry, { now: at }))).toBe("DEBUG_ENABLED");
      });
    }
  }

  test("padding and text behind a quote are noted", () => {
    const notes = Object.fromEntries(
      intelCases().map(({ id, quote, entry, at }) => [id, verifyQuote(quote, entry, { now: at }).notes]),
    );
    expect(notes["tdx-v4-live-b0c06f"]).toEqual(["the quote is followed by 307 zeros, which nothing signs"]);
    expect(notes["tdx-v4-googl-50806f-2023"]).toEqual([
      "the quote is followed by 39 bytes that are not zero, which nothing signs",
    ]);
    expect(notes["sgx-v3-phala"]).toEqual([]);
  });

  test("all that was used is recorded", () => {
    const { quote, entry, at } = intelCases().find(({ id }) => id === "tdx-v4-phala")!;
    const { collateral } = verifyQuote(quote, entry, { now: at });
    expect(collateral.map(({ kind }) => kind)).toEqual([
      "intel.pck-crl",
      "intel.qe-identity",
      "intel.root-crl",
      "intel.tcb-info",
      "intel.tcb-signer",
    ]);
  });

  test("a machine that is behind is told in which part, and by how much", () => {
    const { quote, entry, at } = intelCases().find(({ id }) => id === "tdx-v4-live-b0c06f")!;
    const verification = verifyQuote(quote, entry, { now: at });
    if (!verification.ok) throw new Error(verification.failure.message);
    const { claims } = verification;
    expect(claims.parts.map(({ part, status, behind }) => ({ part, status, behind }))).toEqual([
      {
        part: "platform",
        status: "OutOfDate",
        behind: [
          { component: "sgx component 1 (BIOS, Early Microcode Update)", has: 3, needs: 4 },
          { component: "sgx component 2 (OS/VMM, SGX Late Microcode Update)", has: 3, needs: 4 },
          { component: "tdx component 3 (OS/VMM, TDX Late Microcode Update)", has: 3, needs: 4 },
        ],
      },
      {
        part: "module",
        status: "OutOfDate",
        behind: [{ component: "SVN of the TDX module TDX_01", has: 10, needs: 11 }],
      },
      { part: "quoting enclave", status: "UpToDate", behind: [] },
    ]);
    expect(claims.tdx).toMatchObject({ module: "TDX_01", attributes: ["SEPT_VE_DISABLE"] });
    expect(claims.measurements["mrSeam"]).toBe(toHex(quote.subarray(64, 112)));
    expect(claims.reportData).toBe(toHex(quote.subarray(568, 632)));
  });
});
