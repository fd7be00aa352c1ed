/**
 * What the laboratory makes verifies: tests that change one thing of it and see it refused stand on this.
 */
import { describe, expect, it } from "vitest";
import type { Claims } from "../../../src/tee/claims.js";
import { type Context, type Verification, verifyWith } from "../../../src/tee/context.js";
import type { Evidence } from "../../../src/tee/evidence.js";
import { evidenceBytes } from "../../../src/tee/evidence.js";
import type { Lab } from "../../../src/tee/lab/bytes.js";
import { LAB_NOW } from "../../../src/tee/lab/certificates.js";
import { nitroEnclave } from "../../../src/tee/lab/nitro.js";
import { verifyNitro } from "../../../src/tee/nitro/verify.js";

type Verify<E extends Evidence> = (context: Context, evidence: E, collateral: Lab<E>["collateral"]) => Claims;

function verified<E extends Evidence>(lab: Lab<E>, verify: Verify<E>): Verification {
  const { now, roots, evidence, collateral } = lab;
  return verifyWith(
    () => evidenceBytes(evidence),
    { now, roots },
    (context) => verify(context, evidence, collateral),
  );
}

/** The claims, and a failure's own words if there is one. */
function accepted<E extends Evidence>(lab: Lab<E>, verify: Verify<E>): Claims {
  const result = verified(lab, verify);
  if (!result.ok) throw new Error(`${result.failure.code}: ${result.failure.message}`);
  expect(result.verifiedAt).toBe(LAB_NOW);
  return result.claims;
}

describe("the laboratory's own", () => {
  it("Nitro enclave is accepted", () => {
    for (const options of [{}, { indefinite: true }, { crls: true, cose: { tagged: true } }]) {
      expect(accepted(nitroEnclave(options), verifyNitro)).toMatchObject({ family: "nitro", debug: false });
    }
    const revoked = verified(nitroEnclave({ revoked: [2] }), verifyNitro);
    expect(revoked).toMatchObject({ ok: false, failure: { code: "CERT_REVOKED" } });
  });
});
