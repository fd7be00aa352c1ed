/** Made-up devices: their identity and firmware, and what issuers and responders say about their certificates. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { DAY, type LabKey, makeCertificate, makeKey } from "../../../src/tee/lab/certificates.js";
import * as der from "../../../src/tee/lab/der.js";
import { type NvidiaOptions, nvidiaDevice, nvidiaDevices } from "../../../src/tee/lab/nvidia.js";
import { makeOcsp, OCSP_RESPONDER, type OcspEntry, type OcspOptions } from "../../../src/tee/lab/ocsp.js";
import { parseOcspResponse } from "../../../src/tee/nvidia/ocsp.js";
import { parseCertificate } from "../../../src/tee/x509.js";
import { outcomeOf } from "../../support/errors.js";
import { flipped, message, outcome, unchecked, verifyDevice } from "./fixture.js";

const base = nvidiaDevice();
const { keys, now } = base;

const make = (options: NvidiaOptions = {}) => nvidiaDevice({ keys, rims: false, ...options });
const run = (
  options: NvidiaOptions = {},
  at = now,
  edit: (ocsp: readonly Uint8Array[]) => readonly Uint8Array[] = (o) => o,
) => {
  const { evidence, roots, collateral } = make(options);
  const { ocsp, crls } = collateral.nvidia!;
  return verifyDevice(evidence, { now: at, roots }, { nvidia: { rims: [], ocsp: edit(ocsp), crls } });
};

describe("a device's certificates", () => {
  it("are good where a responder says so of each but the leaf", () => {
    const verification = run();
    expect(message(verification)).toBe("");
    expect(verification).toMatchObject({ claims: { revocation: "good" }, validUntil: now + 29 * DAY });
    expect(verification.collateral.map(({ kind, issued }) => [kind, issued])).toEqual(
      [1, 2, 3].map(() => ["nvidia.ocsp", now - DAY]),
    );
    expect(run({ ocspByIssuer: true })).toMatchObject({ claims: { revocation: "good" } });
  });

  it.each([1, 2, 3])("are unchecked where nothing is said about certificate %i", (place) => {
    const verification = run({}, now, (ocsp) => ocsp.filter((_, i) => i !== place - 1));
    expect(verification).toMatchObject({ claims: { revocation: "unchecked" } });
    expect(unchecked(verification)).toContain("nvidia.device.revocation");
  });

  it.each([1, 2, 3])("certificate %i: revoked, on hold, not known", (place) => {
    expect(outcome(run({ ocsp: { [place]: "revoked" } }))).toBe("CERT_REVOKED");
    expect(outcome(run({ ocsp: { [place]: "unknown" } }))).toBe("REVOCATION_UNKNOWN");
    // neg-h100-cert-hold: authentic, and for the policy to accept or not.
    expect(run({ ocsp: { [place]: "hold" } })).toMatchObject({ ok: true, claims: { revocation: "hold" } });
  });

  it("are on hold even where nothing is said about others", () => {
    expect(run({ ocsp: { 1: "hold" } }, now, (ocsp) => ocsp.slice(0, 1))).toMatchObject({
      claims: { revocation: "hold" },
    });
    expect(outcome(run({ ocsp: { 1: "hold", 2: "revoked" } }))).toBe("CERT_REVOKED");
  });

  it.each([1, 2, 3])("certificate %i: an answer is in force from thisUpdate to nextUpdate", (place) => {
    const [thisUpdate, nextUpdate] = [now - 100, now + 100];
    const at = (time: number) => outcome(run({ ocsp: { [place]: { thisUpdate, nextUpdate } } }, time));
    expect([thisUpdate - 1, thisUpdate, nextUpdate, nextUpdate + 1].map(at)).toEqual([
      "NOT_YET_VALID",
      "ok",
      "ok",
      "EXPIRED",
    ]);
  });

  it("an answer that names no end is in force for an hour", () => {
    const at = (time: number) => outcome(run({ ocsp: { 1: { thisUpdate: now, nextUpdate: null } } }, time));
    expect([now - 1, now, now + 3600, now + 3601].map(at)).toEqual(["NOT_YET_VALID", "ok", "ok", "EXPIRED"]);
  });

  it("of several answers the newest in force counts, in any order", () => {
    const older = make({ ocsp: { 1: { thisUpdate: now - 2 * DAY, status: "hold" } } }).collateral.nvidia!.ocsp;
    const both = (ocsp: readonly Uint8Array[]) => [...older, ...ocsp];
    expect(run({}, now, both)).toMatchObject({ claims: { revocation: "good" } });
    expect(run({}, now, (ocsp) => both(ocsp).reverse())).toMatchObject({ claims: { revocation: "good" } });
    const newer: NvidiaOptions = { ocsp: { 1: { thisUpdate: now - 60, status: "revoked" } } };
    expect(outcome(run(newer, now, both))).toBe("CERT_REVOKED");
    // Before it was made, the older one did.
    expect(run(newer, now - 61, both)).toMatchObject({ claims: { revocation: "hold" } });
  });

  it("are not on the lists of their issuers", () => {
    const listed = (place: number) => run({ ocsp: false, revoked: [place] });
    // A list with somebody else's serial number on it is a list.
    expect(listed(9)).toMatchObject({ ok: true, claims: { revocation: "good" } });
    expect(listed(9).collateral.map(({ kind }) => kind)).toContain("nvidia.crl");
    for (const place of [1, 2, 3]) expect(outcome(listed(place))).toBe("CERT_REVOKED");
    // A list counts beside an answer that knows nothing of it.
    expect(outcome(run({ revoked: [1] }))).toBe("CERT_REVOKED");
    expect(outcome(run({ ocsp: false, revoked: [9] }, now + 29 * DAY))).toBe("ok");
    expect(outcome(run({ ocsp: false, revoked: [9] }, now + 29 * DAY + 1))).toBe("EXPIRED");
  });

  it("collateral that cannot be read is not collateral that says nothing", () => {
    const { evidence, roots } = make();
    const nvidia = (ocsp: Uint8Array[], crls: Uint8Array[]) =>
      outcome(verifyDevice(evidence, { now, roots }, { nvidia: { rims: [], ocsp, crls } }));
    const garbage = Uint8Array.of(0);
    expect(nvidia([garbage], [])).toBe("COLLATERAL_MALFORMED");
    expect(nvidia([], [garbage])).toBe("CRL_MALFORMED");
    expect(nvidia([new Uint8Array()], [])).toBe("COLLATERAL_MALFORMED");
    expect(
      nvidia(
        Array.from({ length: 1025 }, () => garbage),
        [],
      ),
    ).toBe("COLLATERAL_MALFORMED");
  });
});

describe("an OCSP answer", () => {
  const [, , provisioner, identity] = base.certificates.map((each) => parseCertificate(each));
  const chainKeys = keys.chain;
  /** About certificate 2, by its issuer unless told otherwise. */
  const entry = (changes: Partial<OcspEntry> = {}): OcspEntry => ({
    issuer: { CN: "NVIDIA GH100 Identity", O: "NVIDIA Corporation" },
    issuerKey: chainKeys[3]!,
    serial: 0x1002,
    status: "revoked",
    ...changes,
  });
  const byIssuer = { subject: { CN: "NVIDIA GH100 Identity", O: "NVIDIA Corporation" }, key: chainKeys[3]! };
  const said = (options: Partial<OcspOptions>) => {
    const answer = makeOcsp({ entries: [entry()], responder: byIssuer, ...options });
    const { evidence, roots } = make({ ocsp: false });
    return outcome(verifyDevice(evidence, { now, roots }, { nvidia: { rims: [], ocsp: [answer], crls: [] } }));
  };
  const delegated = (changes: object = {}, issuerKey: LabKey = chainKeys[3]!) => {
    const key = makeKey("P-384");
    const subject = { CN: "A responder" };
    const issuer = { CN: "NVIDIA GH100 Identity", O: "NVIDIA Corporation" };
    const certificate = makeCertificate({ subject, key, issuer, issuerKey, ...OCSP_RESPONDER, ...changes });
    return said({ responder: { subject, key }, certificates: [certificate] });
  };

  it("stands on the certificates that the tests here name", () => {
    expect([provisioner!.serial, identity!.subject.text]).toEqual([
      "1002",
      "CN=NVIDIA GH100 Identity, O=NVIDIA Corporation",
    ]);
  });

  it("counts if its issuer signed it, or whom it has authorised", () => {
    expect(said({})).toBe("CERT_REVOKED");
    expect(said({ byKey: true })).toBe("CERT_REVOKED");
    expect(delegated()).toBe("CERT_REVOKED");
    for (const hash of ["sha1", "sha256", "sha384"] as const) {
      expect(said({ entries: [entry({ hash })] })).toBe("CERT_REVOKED");
    }
  });

  it("is about the certificate with this issuer, key and serial number, and about no other", () => {
    expect(said({ entries: [entry({ serial: 0x1003 })] })).toBe("ok");
    expect(said({ entries: [entry({ issuer: { CN: "Somebody" } })] })).toBe("ok");
    expect(said({ entries: [entry({ issuerKey: chainKeys[2]! })] })).toBe("ok");
    expect(said({ entries: [entry({ serial: 1, status: "good" }), entry()] })).toBe("CERT_REVOKED");
  });

  it("is refused from anybody else", () => {
    const stranger = makeKey("P-384");
    expect(said({ responder: { subject: { CN: "A stranger" }, key: stranger } })).toBe("CRL_ISSUER_MISMATCH");
    expect(said({ responder: { ...byIssuer, key: stranger } })).toBe("CRL_SIGNATURE");
    // By a CA of the chain that is not the certificate's issuer.
    const root = { subject: { CN: "NVIDIA Device Identity CA", O: "NVIDIA" }, key: chainKeys[4]! };
    expect(said({ responder: root })).toBe("CRL_ISSUER_MISMATCH");
  });

  it("by a delegate needs a certificate for it, by the issuer, in force", () => {
    expect(delegated({ extensions: [] })).toBe("CHAIN_CONSTRAINTS");
    const serverAuth = { oid: "2.5.29.37", value: der.sequence(der.oid("1.3.6.1.5.5.7.3.1")) };
    expect(delegated({ extensions: [serverAuth] })).toBe("CHAIN_CONSTRAINTS");
    expect(delegated({ keyUsage: ["keyCertSign"] })).toBe("CHAIN_CONSTRAINTS");
    expect(delegated({ ca: true })).toBe("CHAIN_CONSTRAINTS");
    expect(delegated({ notAfter: now - 1 })).toBe("EXPIRED");
    expect(delegated({ notBefore: now + 1 })).toBe("NOT_YET_VALID");
    expect(delegated({}, chainKeys[4]!)).toBe("CHAIN_SIGNATURE");
    // The root's responder cannot speak for the identity CA.
    expect(delegated({ issuer: { CN: "NVIDIA Device Identity CA", O: "NVIDIA" } }, chainKeys[4]!)).toBe("CHAIN_ISSUER");
  });

  it("that is an error says nothing, and does not pass for one that says all is good", () => {
    for (const responseStatus of [1, 2, 3, 5, 6, 4]) expect(said({ responseStatus })).toBe("REVOCATION_UNKNOWN");
  });

  it("is about each certificate once", () => {
    expect(said({ entries: [entry(), entry({ status: "good" })] })).toBe("COLLATERAL_MALFORMED");
    expect(said({ entries: [] })).toBe("COLLATERAL_MALFORMED");
  });

  it("is read strictly: cut, changed or continued, it is refused", () => {
    const answer = makeOcsp({ entries: [entry({ status: "good" })], responder: byIssuer });
    expect(outcomeOf(() => parseOcspResponse(answer))).toBe("accepted");
    for (let length = 0; length < answer.length; length += 3) {
      expect(outcomeOf(() => parseOcspResponse(answer.subarray(0, length)))).toBe("COLLATERAL_MALFORMED");
    }
    expect(outcomeOf(() => parseOcspResponse(new Uint8Array([...answer, 0])))).toBe("COLLATERAL_MALFORMED");
    expect(outcomeOf(() => parseOcspResponse(new Uint8Array(70_000)))).toBe("COLLATERAL_MALFORMED");
    const { evidence, roots } = make({ ocsp: false });
    for (let i = 0; i < answer.length; i += 5) {
      const ocsp = [flipped(answer, i, 1 << (i % 8))];
      const verification = verifyDevice(evidence, { now, roots }, { nvidia: { rims: [], ocsp, crls: [] } });
      // What it is about may have become another certificate; that it is good of this one it never says.
      expect(verification.ok && verification.claims.revocation, `byte ${i}`).not.toBe("good");
      expect(verification.collateral).toEqual([]);
    }
  });
});

describe("a device's firmware", () => {
  const SHA384 = "2.16.840.1.101.3.4.2.2";
  const [right, wrong] = [new Uint8Array(48).fill(0xf1), new Uint8Array(48).fill(0xf2)];
  const fwids = (...digests: Uint8Array[]) =>
    der.sequence(...digests.map((each) => der.sequence(der.oid(SHA384), der.octetString(each))));
  const tcbInfo = (digests: Uint8Array, flags: number, more: Uint8Array[] = []) => {
    const list = digests.slice();
    list[0] = 0xa6;
    const value = der.sequence(
      der.implicit(0, new TextEncoder().encode("NVIDIA")),
      list,
      der.implicit(7, Uint8Array.of(0, flags, 0, 0, 1)),
      ...more,
    );
    return { chain: { 0: { extensions: [{ oid: "2.23.133.5.4.1.1", value }] } } } satisfies NvidiaOptions;
  };
  const composite = (value: Uint8Array) =>
    outcome(run({ chain: { 0: { extensions: [{ oid: "2.23.133.5.4.1", value }] } } }));

  it("is the one that its certificate was issued to", () => {
    expect(run()).toMatchObject({ claims: { fwid: "match" } });
    const verification = run({ certificateFwid: wrong });
    expect(outcome(verification)).toBe("FWID_MISMATCH");
    expect(verification.checks.at(-1)!.id).toBe("nvidia.report.fwid");
    expect(outcome(run({ certificateFwid: null }))).toBe("FWID_MISMATCH");
    expect(outcome(run({ fwid: right.slice(1), certificateFwid: right }))).toBe("EVIDENCE_MALFORMED");
  });

  it("is absent in old reports, which is said", () => {
    const verification = run({ fwid: null, certificateFwid: right });
    expect(verification).toMatchObject({ ok: true, claims: { fwid: "absent" } });
    expect(unchecked(verification)).toContain("nvidia.report.fwid");
    expect(verification.notes.join()).toContain("does not name its firmware");
  });

  it("is the first of a TcbInfo's, as Blackwell has it", () => {
    expect(run(tcbInfo(fwids(right, wrong), 0x80))).toMatchObject({
      claims: { fwid: "match", debug: false },
      notes: ["the device's certificate says of its firmware: not configured"],
    });
    expect(outcome(run(tcbInfo(fwids(wrong, right), 0x80)))).toBe("FWID_MISMATCH");
    expect(outcome(run(tcbInfo(fwids(), 0x80)))).toBe("CERT_MALFORMED");
  });

  it("in debug mode makes the device one in debug mode", () => {
    const debugging = tcbInfo(fwids(right), 0x90);
    expect(outcome(run(debugging))).toBe("DEBUG_ENABLED");
    const { evidence, roots, collateral } = make(debugging);
    expect(verifyDevice(evidence, { now, roots, allowDebug: true }, collateral)).toMatchObject({
      ok: true,
      claims: { debug: true },
    });
    expect(run(tcbInfo(fwids(right), 0x60)).notes).toHaveLength(2);
  });

  it("stands in a certificate in one of two shapes, and in nothing like them", () => {
    const identity = der.sequence(der.oid(SHA384), der.octetString(right));
    const spki = keys.chain[0]!.spki;
    expect(composite(der.sequence(der.integer(1), spki, identity))).toBe("ok");
    expect(composite(der.sequence(der.integer(1), spki))).toBe("CERT_MALFORMED");
    expect(composite(der.sequence(der.integer(1), spki, identity, identity))).toBe("CERT_MALFORMED");
    expect(composite(der.sequence(der.integer(1), spki, der.sequence(der.oid("1.2.3"), der.octetString(right))))).toBe(
      "CERT_MALFORMED",
    );
    expect(
      composite(der.sequence(der.integer(1), spki, der.sequence(der.oid(SHA384), der.octetString(right.slice(1))))),
    ).toBe("CERT_MALFORMED");
    expect(composite(der.sequence())).toBe("CERT_MALFORMED");
    expect(composite(Uint8Array.of(0x30))).toBe("CERT_MALFORMED");
    expect(composite(right)).toBe("CERT_MALFORMED");
    // Fields out of order, or twice.
    expect(outcome(run(tcbInfo(fwids(right), 0, [der.implicit(0, right)])))).toBe("CERT_MALFORMED");
    expect(outcome(run(tcbInfo(fwids(right), 0, [der.implicit(7, right)])))).toBe("CERT_MALFORMED");
  });
});

describe("a device's identity", () => {
  const leaf = (CN: string) => outcome(run({ chain: { 0: { subject: { CN } } } }));

  it("is that of a GPU or a switch, the same in what is burnt in", () => {
    expect(leaf("GH100 A01 GSP FMC LF")).toBe("ok");
    expect(leaf("GB100 A01 GSP FMC LF")).toBe("CHAIN_CONSTRAINTS");
    expect(leaf("BF3 A01")).toBe("CHAIN_CONSTRAINTS");
    expect(leaf("")).toBe("CHAIN_CONSTRAINTS");
    expect(outcome(run({ chain: { 1: { subject: { CN: "GB100 A01 GSP BROM" } } } }))).toBe("CHAIN_CONSTRAINTS");
  });

  it("has keys of P-384 all the way, and usages that fit", () => {
    const small = { chain: [makeKey("P-256"), ...keys.chain.slice(1)], rim: keys.rim };
    expect(outcome(run({ keys: small, signer: keys.chain[0]! }))).toBe("CHAIN_CONSTRAINTS");
    expect(outcome(run({ chain: { 0: { keyUsage: ["keyCertSign"] } } }))).toBe("CHAIN_CONSTRAINTS");
    expect(outcome(run({ chain: { 0: { ca: true } } }))).toBe("CHAIN_CONSTRAINTS");
    expect(outcome(run({ chain: { 1: { ca: false } } }))).toBe("CHAIN_CONSTRAINTS");
    expect(outcome(run({ chain: { 2: { keyUsage: ["cRLSign"] } } }))).toBe("CHAIN_CONSTRAINTS");
    expect(outcome(run({ chain: { 3: { pathLength: 1 } } }))).toBe("CHAIN_CONSTRAINTS");
    const critical = { oid: "1.2.3.4", critical: true, value: der.nothing() };
    expect(outcome(run({ chain: { 1: { extensions: [critical] } } }))).toBe("CHAIN_CONSTRAINTS");
  });

  it("is the key that is burnt in: other firmware does not make it another device", () => {
    const [first, second] = nvidiaDevices([{}, {}]) as [ReturnType<typeof make>, ReturnType<typeof make>];
    const id = (lab: ReturnType<typeof make>) => {
      const verification = verifyDevice(lab.evidence, { now, roots: lab.roots }, lab.collateral);
      return verification.ok ? verification.claims.deviceId : message(verification);
    };
    const updated = make({
      keys: { chain: [makeKey("P-384"), ...first.keys.chain.slice(1)], rim: first.keys.rim },
      fwid: new Uint8Array(48).fill(7),
      chain: { 0: { serial: 77 } },
    });
    expect(id(updated)).toBe(id(first));
    expect(id(second)).not.toBe(id(first));
    expect(id(first)).toMatch(/^0x[0-9a-f]{64}$/);
  });

  it("signs the report with the leaf's key and no other of its chain", () => {
    expect(outcome(run({ signer: keys.chain[1]! }))).toBe("SPDM_SIGNATURE");
    // Flipped after signing: r‖s has no second spelling.
    const lab = make();
    const report = flipped(lab.report, lab.report.length - 1);
    expect(outcome(verifyDevice({ ...lab.evidence, report }, { now, roots: lab.roots }, lab.collateral))).toBe(
      "SPDM_SIGNATURE",
    );
  });
});

describe("what a report says", () => {
  const state = (opaque: Record<number, readonly number[] | undefined>, options: NvidiaOptions = {}) =>
    run({ ...options, opaque });

  it("is read in the version that is known", () => {
    expect(outcome(state({ 34: [2, 0] }))).toBe("UNSUPPORTED_REPORT_VERSION");
    expect(outcome(state({ 34: [0, 0, 0, 0, 0, 0, 0, 1] }))).toBe("UNSUPPORTED_REPORT_VERSION");
    expect(outcome(state({ 34: [1, 0, 0, 0, 0, 0, 0, 0, 0] }))).toBe("EVIDENCE_MALFORMED");
    expect(state({ 34: [0], 36: [2] })).not.toHaveProperty("claims.mode");
    expect(state({ 36: [1, 0] })).toMatchObject({ claims: { mode: "spt" } });
    expect(state({ 36: [2, 0] })).toMatchObject({ claims: { mode: "ppcie" } });
    expect(state({ 36: [9, 1] })).toMatchObject({ claims: { mode: "flag 265" } });
    expect(state({ 21: [0xaa] })).toMatchObject({ claims: { protectedPcie: true } });
    expect(outcome(state({ 21: [0] }))).toBe("EVIDENCE_MALFORMED");
  });

  it("is reported where it is not known", () => {
    expect(state({ 99: [1, 2] })).toMatchObject({ claims: { opaque: { 99: "0x0102" } } });
  });

  it("is plain text where it is text", () => {
    const text = (value: string) => state({ 3: [...new TextEncoder().encode(value)] });
    expect(text("580.1\0\0")).toMatchObject({ claims: { driver: "580.1" } });
    for (const value of ["580\n", "5\x008", "ä", "x".repeat(65)])
      expect(outcome(text(value))).toBe("EVIDENCE_MALFORMED");
    expect(outcome(state({ 6: [1, 2, 3] }))).toBe("EVIDENCE_MALFORMED");
  });

  it("lists linked devices, each once, and a GPU's as their switch spells itself", () => {
    const own = [1, 2, 3, 4, 5, 6, 7, 8];
    const links = [...own.toReversed(), ...own.toReversed(), ...new Uint8Array(8)];
    expect(state({ 22: links })).toMatchObject({ claims: { links: ["0x0102030405060708"] } });
    expect(outcome(state({ 22: [1, 2, 3] }))).toBe("EVIDENCE_MALFORMED");
    const { keys: others } = nvidiaDevice({ device: "NVSwitch" });
    const toSwitch = (opaque: Record<number, readonly number[]>) => state(opaque, { device: "NVSwitch", keys: others });
    expect(toSwitch({})).toMatchObject({ claims: { pdi: "0x0102030405060708" } });
    expect(toSwitch({ 26: [...own, ...new Uint8Array(70)] })).toMatchObject({
      claims: { links: ["0x0102030405060708"] },
    });
    expect(outcome(toSwitch({ 26: own }))).toBe("EVIDENCE_MALFORMED");
    expect(outcome(toSwitch({ 22: [1] }))).toBe("EVIDENCE_MALFORMED");
  });

  it("is under the nonce of the request", () => {
    const nonce = createHash("sha256").update("a request").digest();
    expect(run({ nonce: new Uint8Array(nonce) })).toMatchObject({ claims: { nonce: `0x${nonce.toString("hex")}` } });
  });
});
