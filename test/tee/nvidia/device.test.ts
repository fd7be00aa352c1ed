/** Real GPUs and switches: what they say, and that not a byte of it can be changed. */
import { describe, expect, it } from "vitest";
import { outlineDevice } from "../../../src/tee/nvidia/device.js";
import { parseSpdmReport } from "../../../src/tee/nvidia/spdm.js";
import { parseCertificate } from "../../../src/tee/x509.js";
import { outcomeOf } from "../../support/errors.js";
import { type Case, cases, VECTORS } from "../vectors.js";
import { device, flipped, message, NOW, outcome, unchecked, verifyDevice } from "./fixture.js";

const all = cases("nvidia");
const genuine = all.filter(({ sigOk }) => sigOk === true);
const at = { now: NOW };

/** As the file of cases writes a VBIOS's version: the bytes of the report. */
const rawVbios = (version: string, chip: string) => {
  if (chip === "LS10") return Buffer.from(version).toString("hex");
  const [a, b, c, d, e] = version.split(".");
  return `${d}${c}${b}${a}${e}000000`.toLowerCase();
};

describe.skipIf(VECTORS === undefined)("real devices", () => {
  it("are four GPUs of two kinds and a switch", () => {
    expect(genuine.map(({ id }) => id)).toEqual([
      "h100-580",
      "h100-535-nofwid",
      "gb100-blackwell-575",
      "ls10-switch",
      "neg-h100-cert-hold",
    ]);
  });

  it.each(genuine)("$id is accepted, with the nonce that it signed", (each: Case) => {
    const evidence = device(each.id);
    const verification = verifyDevice(evidence, at);
    if (!verification.ok) throw new Error(verification.failure.message);
    const { claims } = verification;
    expect(claims.nonce).toBe(`0x${each["nonce"]}`);
    // akash-network/console #3365, private-ai-gateway #48: the nonce is the signed request's, bytes 4 to 36.
    expect(claims.nonce).toBe(`0x${Buffer.from(evidence.report.subarray(4, 36)).toString("hex")}`);
    expect(claims.driver).toBe(each["driver"]);
    expect(rawVbios(claims.vbios, claims.chip)).toBe(each["vbios"]);
    expect(claims).toMatchObject({
      family: "nvidia",
      debug: false,
      measurements: {},
      revocation: "unchecked",
      opaque: {},
    });
    expect(Object.keys(claims.blocks)).toHaveLength(claims.chip === "LS10" ? 31 : 64);
    // The devices' certificates never expire: notAfter is the end of the year 9999.
    expect(verification.validUntil).toBe(253402300799);
    const isSwitch = claims.device === "NVSwitch";
    expect(unchecked(verification)).toEqual([
      ...(claims.fwid === "absent" ? ["nvidia.report.fwid"] : []),
      "nvidia.device.revocation",
      "nvidia.vbios-rim.measurements",
      ...(isSwitch ? [] : ["nvidia.driver-rim.measurements"]),
    ]);
  });

  it.each([
    ["h100-580", "GPU", "GH100", "match", "96.00.74.00.20"],
    ["h100-535-nofwid", "GPU", "GH100", "absent", "96.00.5E.00.01"],
    ["gb100-blackwell-575", "GPU", "GB100", "match", "97.00.88.00.0F"],
    ["ls10-switch", "NVSwitch", "LS10", "absent", "96.10.55.00.01"],
  ])("%s is a %s, %s, firmware %s, %s", (id, kind, chip, fwid, vbios) => {
    expect(verifyDevice(device(id), at)).toMatchObject({ claims: { device: kind, chip, fwid, vbios } });
  });

  it("names a device as NVIDIA does, and by what is burnt in", () => {
    expect(verifyDevice(device("h100-580"), at)).toMatchObject({
      claims: {
        serial: "41e23d711e1c4fbfac",
        ueid: BigInt("0x592CA97DBE569CF105A2AF7787C854B504DDCFC4").toString(),
        mode: "mpt",
        protectedPcie: false,
        rims: { driver: { status: "unchecked" }, vbios: { status: "unchecked" } },
      },
    });
    const ids = genuine.map(({ id }) => verifyDevice(device(id), at)).map((each) => each.ok && each.claims.deviceId);
    expect(new Set(ids).size).toBe(genuine.length);
  });

  it("reads what a switch is linked to", () => {
    const verification = verifyDevice(device("ls10-switch"), at);
    expect(verification).toMatchObject({
      claims: { pdi: "0x203eb31ad9ed0008", serial: "50203eb31ad9ed0008", rims: { driver: { status: "none" } } },
    });
    // One of the eight slots repeats another.
    expect(verification.ok && verification.claims.links).toHaveLength(7);
  });

  it("says that a device's certificate calls its firmware not configured", () => {
    expect(verifyDevice(device("gb100-blackwell-575"), at).notes).toEqual([
      "the device's certificate says of its firmware: not configured",
    ]);
  });

  it("refuses a report whose signature is not its certificate's", () => {
    const verification = verifyDevice(device("neg-h100-invalid-signature"), at);
    expect(outcome(verification)).toBe("SPDM_SIGNATURE");
    expect(verification.checks.at(-1)).toMatchObject({ id: "nvidia.report.signature", outcome: "fail" });
  });

  it("holds the validity of every certificate against the time", () => {
    for (const { id } of genuine) {
      const evidence = device(id);
      const from = Math.max(...evidence.certificates.map((der) => parseCertificate(der).notBefore));
      expect(outcome(verifyDevice(evidence, { now: from - 1 }))).toBe("NOT_YET_VALID");
      expect(verifyDevice(evidence, { now: from })).toMatchObject({ ok: true, validFrom: from });
      expect(outcome(verifyDevice(evidence, { now: 253402300799 }))).toBe("ok");
      for (const now of [Number.NaN, 1.5, -1, Date.now(), 253402300800]) {
        expect(outcome(verifyDevice(evidence, { now }))).toBe("BAD_TIME");
      }
    }
  });
});

describe.skipIf(VECTORS === undefined)("a real report that is changed", () => {
  const ids = ["h100-580", "ls10-switch"];

  it.each(ids)("%s: no byte can be flipped", (id) => {
    const evidence = device(id);
    const { report } = evidence;
    for (let i = 0; i < report.length; i += 29) {
      const changed = { ...evidence, report: flipped(report, i, 1 << (i % 8)) };
      expect(outcome(verifyDevice(changed, at)), `byte ${i}`).not.toBe("ok");
    }
  });

  it.each(ids)("%s: no end can be cut off, and nothing follows it", (id) => {
    const evidence = device(id);
    for (let length = 0; length < evidence.report.length; length++) {
      expect(outcomeOf(() => parseSpdmReport(evidence.report.subarray(0, length)))).toBe("EVIDENCE_MALFORMED");
    }
    // CoCo's hopper_coco_report1 has 97 bytes where the signature is: the last is signed by nobody.
    for (const padding of [1, 97]) {
      const report = new Uint8Array([...evidence.report, ...new Uint8Array(padding)]);
      expect(outcome(verifyDevice({ ...evidence, report }, at))).toBe("TRAILING_DATA");
    }
  });

  it.each(ids)("%s: no byte of a certificate can be flipped", (id) => {
    const evidence = device(id);
    evidence.certificates.forEach((der, place) => {
      for (let i = place; i < der.length; i += 61) {
        const certificates = evidence.certificates.with(place, flipped(der, i, 1 << (i % 8)));
        expect(outcome(verifyDevice({ ...evidence, certificates }, at)), `byte ${i} of certificate ${place}`).not.toBe(
          "ok",
        );
      }
    });
  });

  // mutations.json, "nvidia"
  it("fails by its signature where nonce or measurement is changed", () => {
    const evidence = device("h100-580");
    const [, first] = [...parseSpdmReport(evidence.report).blocks][1]!;
    for (const offset of [4, first.byteOffset - evidence.report.byteOffset]) {
      const report = flipped(evidence.report, offset);
      expect(outcome(verifyDevice({ ...evidence, report }, at))).toBe("SPDM_SIGNATURE");
    }
  });

  it("needs its own chain, whose root may be left out", () => {
    const evidence = device("h100-580");
    const other = device("neg-h100-cert-hold").certificates;
    const { certificates } = evidence;
    const chained = (...chain: Uint8Array[]) => outcome(verifyDevice({ ...evidence, certificates: chain }, at));
    const [leaf, burntIn, provisioner, identity] = certificates as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
    expect(chained(leaf, burntIn, provisioner, identity)).toBe("ok");
    expect(chained(...other)).toBe("SPDM_SIGNATURE");
    expect(chained(other[0]!, burntIn, provisioner, identity)).toBe("CHAIN_ISSUER");
    expect(chained(leaf, provisioner, identity)).toBe("CHAIN_ISSUER");
    expect(chained(leaf, burntIn, provisioner)).toBe("CHAIN_UNTRUSTED");
    expect(chained(leaf, burntIn)).toBe("CHAIN_UNTRUSTED");
    expect(chained(burntIn, provisioner, identity)).toBe("CHAIN_CONSTRAINTS");
    expect(chained()).toBe("CHAIN_INCOMPLETE");
    expect(chained(leaf, ...Array.from({ length: 10 }, () => burntIn))).toBe("CHAIN_INCOMPLETE");
    expect(chained(...Array.from({ length: 100_000 }, () => new Uint8Array()))).toBe("CHAIN_INCOMPLETE");
    expect(chained(new Uint8Array(), burntIn)).toBe("CERT_MALFORMED");
  });

  it("ends in the pinned root and in no other", () => {
    const evidence = device("h100-580");
    const verification = verifyDevice(evidence, { now: NOW, roots: { nvidiaDevice: [] } });
    expect(outcome(verification)).toBe("CHAIN_UNTRUSTED");
    expect(message(verification)).toContain("NVIDIA Device Identity CA");
  });
});

describe.skipIf(VECTORS === undefined)("an outline, before anything is checked", () => {
  it("names what a device is and what manifests it needs", () => {
    const rims = (id: string) => outlineDevice(device(id)).rims.toSorted();
    expect(rims("h100-580")).toEqual(["NV_GPU_DRIVER_GH100_580.159.03", "NV_GPU_VBIOS_1010_0205_862_9600740020"]);
    expect(rims("gb100-blackwell-575")).toEqual([
      "NV_GPU_CC_DRIVER_GB100_575.32",
      "NV_GPU_VBIOS_G525_0220_886_970088000F",
    ]);
    expect(rims("ls10-switch")).toEqual(["NV_SWITCH_BIOS_5612_0002_890_9610550001"]);
    expect(outlineDevice(device("neg-h100-invalid-signature"))).toMatchObject({
      identity: { device: "GPU", chip: "GH100" },
      state: { driver: "560.00", protectedPcie: true },
    });
    expect(outcomeOf(() => outlineDevice({ ...device("h100-580"), certificates: [] }))).toBe("CHAIN_INCOMPLETE");
  });
});

describe.skipIf(VECTORS === undefined)("the form of a report", () => {
  /** The change is to bytes that are signed, which the form comes before. */
  const changed = (edit: (report: Uint8Array) => void) => {
    const report = device("h100-580").report.slice();
    edit(report);
    return outcomeOf(() => parseSpdmReport(report));
  };
  const set = (offset: number, ...bytes: number[]) => changed((report) => report.set(bytes, offset));
  const RECORD = 37 + 8;
  const NONCE = RECORD + 64 * 55;
  const OPAQUE = NONCE + 34;

  it("has the offsets that the tests here stand on", () => {
    const { report } = device("h100-580");
    const parsed = parseSpdmReport(report);
    expect(parsed.responseNonce.byteOffset - report.byteOffset).toBe(NONCE);
    expect([...parsed.opaque.values()][0]!.byteOffset - report.byteOffset).toBe(OPAQUE + 4);
    expect(set(0, 0x11)).toBe("accepted");
  });

  it.each([
    ["another version of the request", 0, [0x12], "UNSUPPORTED_REPORT_VERSION"],
    ["another request", 1, [0xe1], "EVIDENCE_MALFORMED"],
    ["a request for no signature", 2, [0x00], "EVIDENCE_MALFORMED"],
    ["a request for one measurement", 3, [0x05], "EVIDENCE_MALFORMED"],
    ["a request to another slot", 36, [0x01], "EVIDENCE_MALFORMED"],
    ["another version of the answer", 37, [0x10], "UNSUPPORTED_REPORT_VERSION"],
    ["an error instead of an answer", 38, [0x7f], "EVIDENCE_MALFORMED"],
    ["a block less than there are", 41, [63], "EVIDENCE_MALFORMED"],
    ["a block more than there are", 41, [65], "EVIDENCE_MALFORMED"],
    ["no blocks", 41, [0], "EVIDENCE_MALFORMED"],
    ["a record of 16 MiB", 42, [0xff, 0xff, 0xff], "EVIDENCE_MALFORMED"],
    ["a record that is a byte short", 42, [0xbf, 0x0d, 0x00], "EVIDENCE_MALFORMED"],
    ["a block with index 0", RECORD, [0], "EVIDENCE_MALFORMED"],
    ["two blocks with one index", RECORD, [2], "EVIDENCE_MALFORMED"],
    ["another specification", RECORD + 1, [2], "EVIDENCE_MALFORMED"],
    ["a block that is larger than its value", RECORD + 5, [47, 0], "EVIDENCE_MALFORMED"],
    ["a value that is larger than its block", RECORD + 5, [49, 0], "EVIDENCE_MALFORMED"],
    ["opaque data a byte short", NONCE + 32, [0xb2, 0x01], "EVIDENCE_MALFORMED"],
    ["opaque data beyond the end", NONCE + 32, [0xff, 0xff], "EVIDENCE_MALFORMED"],
    ["two opaque fields of one type", OPAQUE, [14, 0], "EVIDENCE_MALFORMED"],
    ["an opaque field beyond the opaque data", OPAQUE + 2, [0xff, 0xff], "EVIDENCE_MALFORMED"],
  ])("refuses %s", (_, offset, bytes, expected) => {
    expect(set(offset, ...bytes)).toBe(expected);
  });

  it("refuses what is no report, without work for its size", () => {
    expect(outcomeOf(() => parseSpdmReport(new Uint8Array()))).toBe("EVIDENCE_MALFORMED");
    expect(outcomeOf(() => parseSpdmReport(new Uint8Array(64 * 1024 * 1024)))).toBe("EVIDENCE_MALFORMED");
  });
});
