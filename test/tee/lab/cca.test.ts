/** The laboratory's CCA realms: laid out in both forms, bound, and every knob turns one thing. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { parseCcaToken } from "../../../src/tee/cca/token.js";
import { verifySign1 } from "../../../src/tee/cose.js";
import { type CcaOptions, ccaRealm } from "../../../src/tee/lab/cca.js";
import { makeKey } from "../../../src/tee/lab/certificates.js";

const read = (options: CcaOptions = {}) => parseCcaToken(ccaRealm(options).token);

describe("realms", () => {
  it.each(["old", "new"] as const)("of the %s form are signed, and bound to their platform", (form) => {
    const { token, keys } = ccaRealm({ form });
    const { platform, realm } = parseCcaToken(token);
    verifySign1(platform.message, keys.platform.publicKey, "the platform token");
    verifySign1(realm.message, realm.key, "the realm token");
    expect(Buffer.from(platform.challenge)).toEqual(createHash("sha256").update(realm.publicKey).digest());
    expect(token[1] === 0x01 ? 399 : 907).toBe(form === "old" ? 399 : 907);
    expect(realm.profile === undefined).toBe(form === "old");
  });

  it("say what they were told to say", () => {
    const { platform, realm } = read({
      challenge: [1],
      personalisation: [2],
      measurements: { rim: new Uint8Array(64).fill(3), rem2: new Uint8Array(64).fill(4) },
      hashAlgorithm: "sha-512",
      publicKeyHash: "sha-384",
      lifecycle: 0x30ff,
      implementationId: [5],
      config: [6],
      components: [{ type: "BL", version: "9" }, {}],
    });
    expect([realm.challenge[0], realm.personalisation[0], realm.initialMeasurement[0]]).toEqual([1, 2, 3]);
    expect(realm.extensibleMeasurements.map((each) => each[0])).toEqual([0, 0, 4, 0]);
    expect([realm.hashAlgorithm, realm.publicKeyHash]).toEqual(["sha-512", "sha-384"]);
    expect(platform.challenge).toHaveLength(48);
    expect([platform.lifecycle, platform.implementationId[0], platform.config[0]]).toEqual([0x30ff, 5, 6]);
    expect(platform.components.map(({ type, version }) => [type, version])).toEqual([
      ["BL", "9"],
      ["RMM", "1.0.0"],
    ]);
    expect(read({ debug: true }).platform.lifecycleName).toContain("debug");
  });

  it("can be spoilt, one thing at a time", () => {
    const { keys, token } = ccaRealm({ signers: { platform: makeKey("P-384"), realm: makeKey("P-384") } });
    const { platform, realm } = parseCcaToken(token);
    expect(() => verifySign1(platform.message, keys.platform.publicKey, "it")).toThrow("does not verify");
    expect(() => verifySign1(realm.message, realm.key, "it")).toThrow("does not verify");
    expect(read({ platformChallenge: new Uint8Array(32) }).platform.challenge).toEqual(new Uint8Array(32));
    expect(read({ realmClaims: { 1: "x" } }).realm.unknownClaims).toEqual(["1"]);
    expect(() => read({ platformClaims: { 2395: undefined } })).toThrow("lacks its lifecycle");
    expect(() => read({ parts: [[1, 2]] })).toThrow("beside its two tokens");
    expect(() => read({ padding: Uint8Array.of(0) })).toThrow("CBOR");
    expect(() => read({ realmCose: { tagged: false } })).toThrow();
  });

  it("have their platform's key trusted as it is, or by its digest", () => {
    const { roots, keys, collateral } = ccaRealm();
    expect(roots.ccaPlatform).toEqual([keys.platform.spki]);
    expect(collateral).toEqual({});
    const apart = ccaRealm({ apart: true });
    expect(apart.roots.ccaPlatform![0]).toHaveLength(32);
    expect(JSON.parse(apart.collateral.cca!.keys[0]!)).toMatchObject({ kty: "EC", crv: "P-384" });
  });
});
