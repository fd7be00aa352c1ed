/** Intel's own samples under a root of its tests. Their documents are old or filled at random: they go as far as these. */
import { describe, expect, test } from "vitest";
import { concat } from "../../../src/field/bytes.js";
import type { IntelCollateral } from "../../../src/tee/collateral.js";
import { parseQuote } from "../../../src/tee/intel/quote.js";
import { littleEndian } from "../../../src/tee/lab/bytes.js";
import { rawMember, readJsonObject } from "../../../src/tee/read/json.js";
import { parsePem } from "../../../src/tee/x509.js";
import { VECTORS, vector, vectorText } from "../vectors.js";
import { failedCheck, fromHex, verdictOf, verifyQuote } from "./support.js";

const options = { code: "COLLATERAL_MALFORMED", what: "the sample" } as const;

function load(id: string) {
  const pem = (name: string) => parsePem(vectorText("intel-testroot", id, name));
  // In one sample the root comes first.
  const [root] = pem("trustedRootCaCert.pem") as [Uint8Array];
  const rootLast = (chain: Uint8Array[]) => [...chain.filter((der) => Buffer.compare(der, root) !== 0), root];
  const document = (name: string, member: string) => {
    const text = vectorText("intel-testroot", id, name);
    const { signature } = readJsonObject(text, options);
    return {
      json: rawMember(text, member, options),
      signature: fromHex(signature as string),
      chain: rootLast(pem("tcbSignChain.pem")),
    };
  };
  const entry: IntelCollateral = {
    tcbInfo: document("tcbInfo.json", "tcbInfo"),
    qeIdentity: document("qeIdentity.json", "enclaveIdentity"),
    rootCrl: vector("intel-testroot", id, "rootCaCrl.der"),
    pckCrl: vector("intel-testroot", id, "intermediateCaCrl.der"),
    pckCrlChain: rootLast(pem("pckSignChain.pem")),
    pckChain: pem("pckCert.pem"),
  };
  return { quote: vector("intel-testroot", id, "quote.dat"), entry, roots: { intel: [root] } };
}

const now = Date.parse("2025-01-01T00:00:00Z") / 1000;

describe.skipIf(VECTORS === undefined)("Intel's samples", () => {
  test("SGX: everything holds up to TCB info, which is of version 2", () => {
    const { quote, entry, roots } = load("sgx-v3-intelqvl-testroot");
    const verification = verifyQuote(quote, entry, { now, roots });
    expect([verdictOf(verification), failedCheck(verification)]).toEqual([
      "COLLATERAL_MALFORMED",
      "intel.tcb-info.content",
    ]);
    expect(verification).toMatchObject({ failure: { message: expect.stringContaining("TCB info of version 2") } });
    const passed = verification.checks.filter(({ outcome }) => outcome === "pass").map(({ id }) => id);
    expect(passed).toContain("intel.pck.revocation");
    expect(passed).toContain("intel.tcb-info.signature");
    expect(verdictOf(verifyQuote(quote, entry, { now }))).toBe("CHAIN_UNTRUSTED");
  });

  test("TDX: everything holds up to TCB info, whose SVNs are no bytes", () => {
    const { quote, entry, roots } = load("tdx-v4-intelqvl-testroot");
    // Its chain is DER in a field for PEM. Nothing signs that field: the quote is asked to name its certificate instead.
    expect(verdictOf(verifyQuote(quote, entry, { now, roots }))).toBe("CERT_MALFORMED");
    const { qeReport, certification } = parseQuote(quote);
    const inner = quote.subarray(qeReport.bytes.byteOffset, certification.data.byteOffset - 6);
    const certified = concat(inner, littleEndian(1, 2), littleEndian(0, 4));
    const data = quote.subarray(636, 636 + 128);
    const all = concat(data, littleEndian(6, 2), littleEndian(certified.length, 4), certified);
    const renamed = concat(quote.subarray(0, 632), littleEndian(all.length, 4), all);
    const verification = verifyQuote(renamed, entry, { now, roots });
    expect([verdictOf(verification), failedCheck(verification)]).toEqual([
      "COLLATERAL_MALFORMED",
      "intel.tcb-info.content",
    ]);
    const passed = verification.checks.filter(({ outcome }) => outcome === "pass").map(({ id }) => id);
    expect(passed).toContain("intel.tcb-info.signature");
  });
});
