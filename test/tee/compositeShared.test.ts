/** A machine's parts share work, and nothing else: each is verified as if it stood alone. */
import { describe, expect, it } from "vitest";
import { verifyComposite } from "../../src/tee/composite.js";
import { cachedKey, makeCertificate } from "../../src/tee/lab/certificates.js";
import { labMachine } from "../../src/tee/lab/machine.js";
import { nrasAnswer } from "../../src/tee/lab/nras.js";
import { verify } from "../../src/tee/verify.js";

const machine = labMachine({ devices: [{}, {}, { device: "NVSwitch", chip: "LS10" }], tokens: [{}] });
const { composite, collateral, now, roots } = machine;

describe("parts of a machine", () => {
  it("have the checks, the collateral and the window that each has alone", () => {
    const whole = verifyComposite(composite, collateral, { now, roots });
    expect(whole.failure).toBeUndefined();
    const alone = [composite.cpu, ...composite.devices, ...composite.tokens].map((each) =>
      verify(each, collateral, { now, roots }),
    );
    expect([whole.cpu, ...whole.devices, ...whole.tokens]).toEqual(alone);
    expect(whole.devices[1]!.checks.map(({ id }) => id)).toEqual(whole.devices[0]!.checks.map(({ id }) => id));
  });

  it("fail as each does alone: what failed for one has not passed for the next", () => {
    const { nvidia, ...others } = collateral;
    const flawed = [
      { ...nvidia!, rims: nvidia!.rims.map((xml) => xml.replace(/(Hash0="..)./, (_, head) => `${head}x`)) },
      {
        ...nvidia!,
        rims: nvidia!.rims.map((xml) =>
          xml.replace(/(Hash0=".)(.)/, (_, head, digit) => `${head}${digit === "0" ? "1" : "0"}`),
        ),
      },
      { ...nvidia!, ocsp: nvidia!.ocsp.map((der) => der.map((byte, i) => (i === der.length - 1 ? byte ^ 1 : byte))) },
    ];
    for (const each of flawed) {
      const given = { ...others, nvidia: each };
      const whole = verifyComposite(composite, given, { now, roots });
      const alone = composite.devices.map((device) => verify(device, given, { now, roots }));
      expect(whole.devices).toEqual(alone);
      expect(whole.devices.map(({ ok }) => ok)).toEqual([false, false, false]);
    }
  });

  it("are held against the time and the roots of their own verification", () => {
    const first = verifyComposite(composite, collateral, { now, roots });
    expect(first.ok).toBe(true);
    const late = verifyComposite(composite, collateral, { now: first.validUntil + 1, roots });
    expect(late.failure?.code).toBe("EXPIRED");
    const other = verifyComposite(composite, collateral, { now, roots: { ...roots, nvidiaRim: [] } });
    expect(other.devices.every((device) => !device.ok && device.failure.code === "CHAIN_UNTRUSTED")).toBe(true);
  });
});

describe("a token's key in several key sets", () => {
  const lab = nrasAnswer();
  const [set] = lab.collateral.nras!.jwks as [string];
  const check = (jwks: string[]) => verify(lab.evidence, { nras: { jwks } }, { now: lab.now, roots: lab.roots });

  it("is the one that signed, whatever the order of the sets and whoever added one", () => {
    const { jwks: foreign } = nrasAnswer();
    const broken = JSON.stringify({ keys: [{ kid: JSON.parse(set).keys[0].kid, x: 1 }] });
    for (const jwks of [
      [set, foreign],
      [foreign, set],
      [broken, foreign, set],
    ])
      expect(check(jwks).ok).toBe(true);
    expect(check([foreign])).toMatchObject({ failure: { code: "CHAIN_SIGNATURE" } });
    expect(check([foreign, broken])).toMatchObject({ failure: { code: "CHAIN_SIGNATURE" } });
  });

  it("counts with a certificate in force where it has several, and is not believed without one", () => {
    const [key] = JSON.parse(set).keys;
    const { key: own, certificates } = lab;
    const renewed = (from: number, until: number) => {
      const leaf = makeCertificate({
        key: own,
        issuerKey: cachedKey("RSA-2048", "NRAS intermediate"),
        subject: { CN: "NVIDIA Attestation Service GPU GH100", O: "NVIDIA Corporation", C: "US" },
        issuer: { CN: "NVIDIA Attestation Service GPU Intermediate 001", O: "NVIDIA Corporation", C: "US" },
        serial: 4,
        keyUsage: ["digitalSignature"],
        algorithm: "rsa-sha256",
        notBefore: lab.now + from,
        notAfter: lab.now + until,
      });
      const chain = [leaf, certificates.intermediate].map((der) => Buffer.from(der).toString("base64"));
      return JSON.stringify({ keys: [{ ...key, x5c: chain }] });
    };
    const old = renewed(-9000, -1);
    const next = renewed(1, 9000);
    for (const jwks of [
      [old, set, next],
      [next, old, set],
    ])
      expect(check(jwks).ok).toBe(true);
    expect(check([old, next])).toMatchObject({ failure: { code: "EXPIRED" } });
    expect(check([next, old])).toMatchObject({ failure: { code: "NOT_YET_VALID" } });
  });
});

it.each([
  undefined,
  null,
  5,
  {},
  { cpu: composite.cpu },
  { ...composite, devices: {} },
  { ...composite, tokens: undefined },
])("nothing makes it throw: %#", (given) => {
  const whole = verifyComposite(given as never, collateral, { now, roots });
  expect(whole.ok).toBe(false);
  expect(whole.checks[0]).toMatchObject({ id: "composite.form", outcome: "fail", code: "EVIDENCE_MALFORMED" });
  expect(verifyComposite(composite, collateral, undefined as never).failure?.code).toBe("BAD_TIME");
});
