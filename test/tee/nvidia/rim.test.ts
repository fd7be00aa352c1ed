/** Reference manifests: real ones, and every way to put other values under a real signature. */
import { describe, expect, it, vi } from "vitest";
import { Context } from "../../../src/tee/context.js";
import { GOLDEN, type NvidiaOptions, nvidiaDevice } from "../../../src/tee/lab/nvidia.js";
import { outlineRim, verifyRim } from "../../../src/tee/nvidia/rim.js";
import { parseXml } from "../../../src/tee/nvidia/xml.js";
import { outcomeOf } from "../../support/errors.js";
import { VECTORS, vectorText } from "../vectors.js";
import { device, flipped, measured, message, NOW, outcome, rims, unchecked, verifyDevice } from "./fixture.js";

const vector = (id: string, file = "driver_rim.xml") => vectorText("nvidia-rim", id, file);
const check = (xml: string, now = NOW) => outcomeOf(() => verifyRim(new Context({ now }), outlineRim(xml)));

describe.skipIf(VECTORS === undefined)("real reference manifests", () => {
  it("match the GPU that they are for: 21 measurements of the driver, 12 of the VBIOS", () => {
    const { evidence, driver, vbios } = measured();
    const verification = verifyDevice(evidence, { now: NOW }, rims(driver, vbios));
    expect(message(verification)).toBe("");
    expect(verification).toMatchObject({
      claims: {
        rims: {
          driver: { status: "match", id: "NV_GPU_DRIVER_GH100_545.00", version: "545.00", revocation: "unchecked" },
          vbios: { status: "match", id: "NV_GPU_VBIOS_1010_0200_882_96005E0001", version: "96.00.5E.00.01" },
        },
      },
    });
    expect(verification.collateral.map(({ kind }) => kind)).toEqual(["nvidia.rim", "nvidia.rim"]);
    const sizes = [driver, vbios].map((xml) => verifyRim(new Context({ now: NOW }), outlineRim(xml)).golden.size);
    expect(sizes).toEqual([21, 12]);
  });

  it("are in force for as long as their signers' certificates, the earliest of which is the answer's end", () => {
    const { evidence, driver, vbios } = measured();
    const run = (now: number) => verifyDevice(evidence, { now }, rims(driver, vbios));
    const [driverFrom, driverUntil] = [
      Date.UTC(2023, 5, 27, 6, 10, 12) / 1000,
      Date.UTC(2025, 5, 26, 6, 10, 12) / 1000,
    ];
    const vbiosUntil = Date.UTC(2025, 5, 22, 9, 38, 54) / 1000;
    expect(run(driverFrom)).toMatchObject({ ok: true, validFrom: driverFrom, validUntil: vbiosUntil });
    expect(outcome(run(driverFrom - 1))).toBe("NOT_YET_VALID");
    expect(outcome(run(vbiosUntil))).toBe("ok");
    expect(outcome(run(vbiosUntil + 1))).toBe("EXPIRED");
    const alone = (now: number) => verifyDevice(evidence, { now }, rims(driver));
    expect(alone(driverUntil)).toMatchObject({ ok: true, validUntil: driverUntil });
    expect(outcome(alone(driverUntil + 1))).toBe("EXPIRED");
  });

  it("count for their part alone where the other's is missing", () => {
    const { evidence, driver, vbios } = measured();
    const matched = (...xml: string[]) => {
      const verification = verifyDevice(evidence, { now: NOW }, rims(...xml));
      return verification.ok && [verification.claims.rims.driver.status, verification.claims.rims.vbios.status];
    };
    expect(matched(driver)).toEqual(["match", "unchecked"]);
    expect(matched(vbios)).toEqual(["unchecked", "match"]);
    expect(matched()).toEqual(["unchecked", "unchecked"]);
    // Of several of one version any will do, in any order.
    expect(matched(vbios, driver, vbios, driver)).toEqual(["match", "match"]);
  });

  it("of another version are no reason to leave the check out", () => {
    const { driver, vbios } = measured();
    const verification = verifyDevice(device("h100-580"), { now: NOW }, rims(driver));
    expect(outcome(verification)).toBe("RIM_MISMATCH");
    expect(message(verification)).toBe("the device's driver is 580.159.03; reference manifests are for 545.00");
    expect(outcome(verifyDevice(device("h100-580"), { now: NOW }, rims(vbios)))).toBe("RIM_MISMATCH");
    // Those of another chip are simply not for this one.
    expect(outcome(verifyDevice(device("gb100-blackwell-575"), { now: NOW }, rims(driver, vbios)))).toBe("ok");
    expect(outcome(verifyDevice(device("ls10-switch"), { now: NOW }, rims(driver, vbios)))).toBe("ok");
  });

  it("neg-h100-535-measurement-mismatch: other measurements than the manifest's, by index", () => {
    const manifests = ["vbios_rim.xml", "driver_rim.xml"].map((file) =>
      vector("neg-h100-535-measurement-mismatch", file),
    );
    const now = Date.UTC(2025, 6, 1) / 1000;
    for (const given of [manifests, manifests.slice(0, 1), manifests.toReversed()]) {
      const verification = verifyDevice(device("h100-535-nofwid"), { now }, rims(...given));
      expect(outcome(verification)).toBe("MEASUREMENT_MISMATCH");
      expect(message(verification)).toBe("measurements of the vbios differ from every reference value: index 9");
    }
    // NVIDIA made its driver manifest by changing a signed one: that it differs is not even looked at.
    expect(check(manifests[1]!, now)).toBe("RIM_SIGNATURE");
  });

  it("neg-driver-rim-bad-signature, neg-driver-rim-bad-chain, neg-driver-rim-expired", () => {
    expect(check(vector("neg-driver-rim-bad-signature"))).toBe("RIM_SIGNATURE");
    expect(check(vector("neg-driver-rim-bad-chain"))).toBe("CHAIN_UNTRUSTED");
    const expired = vector("neg-driver-rim-expired");
    expect(check(expired)).toBe("EXPIRED");
    expect(check(expired, Date.UTC(2024, 11, 31, 23, 59, 59) / 1000)).toBe("NOT_YET_VALID");
    // Within its window its signature still is not one over what it says.
    expect(check(expired, Date.UTC(2025, 0, 1) / 1000)).toBe("RIM_SIGNATURE");
    expect(check(expired, Date.UTC(2025, 0, 2, 0, 0, 1) / 1000)).toBe("EXPIRED");
  });

  it("are trusted for their root, not for bringing one", () => {
    const { driver } = measured();
    const other = new Context({ now: NOW, roots: { nvidiaRim: [] } });
    expect(outcomeOf(() => verifyRim(other, outlineRim(driver)))).toBe("CHAIN_UNTRUSTED");
  });

  it("cannot be cut anywhere, nor changed in any character that means something", () => {
    const { driver } = measured();
    for (let length = 0; length < driver.length; length += 997) {
      expect(outcomeOf(() => outlineRim(driver.slice(0, length)))).toBe("COLLATERAL_MALFORMED");
    }
    const bytes = new TextEncoder().encode(driver);
    for (let i = 0; i < bytes.length; i += 251) {
      const changed = new TextDecoder().decode(flipped(bytes, i, 1 << (i % 7)));
      const found = check(changed);
      // Line breaks inside base64 and inside tags of the signature are no part of what is signed.
      if (found === "accepted") expect(driver[i]).toMatch(/[\n ]/);
    }
  });
});

/** A made-up GPU and its manifests. Keys are made once: what differs is the manifests. */
const { keys } = nvidiaDevice();
const made = (options: NvidiaOptions) => {
  const lab = nvidiaDevice({ keys, ocsp: false, rimOcsp: false, ...options });
  return verifyDevice(lab.evidence, { now: lab.now, roots: lab.roots }, lab.collateral);
};
const delivered = (edit: (xml: string) => string) =>
  outcome(made({ rims: { driver: { delivered: edit }, vbios: false } }));
const replaced = (from: string | RegExp, to: string) =>
  delivered((xml) => {
    const changed = xml.replace(from, () => to);
    expect(changed).not.toBe(xml);
    return changed;
  });

describe("a device's measurements", () => {
  it("are those of its manifests", () => {
    const verification = made({});
    expect(message(verification)).toBe("");
    expect(unchecked(verification)).toEqual([
      "nvidia.device.revocation",
      "nvidia.vbios-rim.revocation",
      "nvidia.driver-rim.revocation",
    ]);
  });

  it("may be any of the alternatives, and must be one", () => {
    const [index] = GOLDEN.driver;
    const [right, wrong] = [new Uint8Array(48).fill(index + 1), new Uint8Array(48).fill(0xee)];
    const golden = (...values: Uint8Array[]) => outcome(made({ rims: { driver: { golden: { [index]: values } } } }));
    expect(golden(right)).toBe("ok");
    expect(golden(wrong, right)).toBe("ok");
    expect(golden(wrong, wrong)).toBe("MEASUREMENT_MISMATCH");
  });

  it("are named where they differ, and a missing one differs", () => {
    const [first, second] = GOLDEN.driver;
    const verification = made({
      blocks: { [first + 1]: new Uint8Array(48), [second + 1]: undefined },
      rims: {
        driver: { golden: { [first]: [new Uint8Array(48).fill(1)], [second]: [new Uint8Array(48).fill(2)] } },
      },
    });
    expect(message(verification)).toContain(`index ${first}, ${second}`);
    expect(outcome(verification)).toBe("MEASUREMENT_MISMATCH");
  });

  it("golden value i is measurement i + 1", () => {
    const [index] = GOLDEN.driver;
    const before = new Uint8Array(48).fill(index);
    expect(outcome(made({ rims: { driver: { golden: { [index]: [before] } } } }))).toBe("MEASUREMENT_MISMATCH");
  });

  it("number 35 counts unless the decoder that it measures is off", () => {
    const rims = { vbios: { golden: { 35: [new Uint8Array(48).fill(0xee)] } } };
    expect(outcome(made({ rims }))).toBe("ok");
    expect(outcome(made({ rims, opaque: { 11: [0xaa] } }))).toBe("MEASUREMENT_MISMATCH");
    expect(outcome(made({ rims, opaque: { 11: undefined } }))).toBe("MEASUREMENT_MISMATCH");
    expect(outcome(made({ rims, opaque: { 11: [0x56] } }))).toBe("EVIDENCE_MALFORMED");
    expect(outcome(made({ rims, opaque: { 11: [0x55, 0x55] } }))).toBe("EVIDENCE_MALFORMED");
    // Only of a GPU: switches measure something else there.
    const byItself = { golden: { 36: [new Uint8Array(48).fill(0xee)] } };
    expect(outcome(made({ rims: { vbios: byItself } }))).toBe("MEASUREMENT_MISMATCH");
  });

  it("are in one of the manifests only", () => {
    const [index] = GOLDEN.vbios;
    const golden = { [index]: [new Uint8Array(48).fill(index + 1)] };
    const verification = made({ rims: { driver: { golden } } });
    expect(outcome(verification)).toBe("RIM_MISMATCH");
    expect(message(verification)).toBe(`both reference manifests are about measurements ${index}`);
    expect(outcome(made({ rims: { driver: { inactive: [index] } } }))).toBe("ok");
  });

  it("are compared with manifests of the version that the device reports, and of its kind", () => {
    expect(outcome(made({ rims: { driver: { version: "580.95.06" } } }))).toBe("RIM_MISMATCH");
    expect(outcome(made({ rims: { vbios: { version: "96.00.74.00.21" } } }))).toBe("RIM_MISMATCH");
    // A VBIOS's version has hex digits, in either case.
    expect(outcome(made({ vbios: "96.00.5E.00.0F", rims: { vbios: { version: "96.00.5e.00.0f" } } }))).toBe("ok");
    const other = made({ rims: { driver: { product: "GB100" } } });
    expect(other).toMatchObject({ claims: { rims: { driver: { status: "unchecked" }, vbios: { status: "match" } } } });
    expect(outcome(made({ rims: { driver: { edition: "DPU" } } }))).toBe("COLLATERAL_MALFORMED");
  });

  it("of a switch have no driver", () => {
    const { keys: own } = nvidiaDevice({ device: "NVSwitch" });
    const verification = made({
      device: "NVSwitch",
      keys: own,
      rims: { vbios: { golden: { 35: [new Uint8Array(48).fill(36)] } } },
    });
    expect(message(verification)).toBe("");
    expect(verification).toMatchObject({
      claims: { device: "NVSwitch", rims: { driver: { status: "none" }, vbios: { status: "match" } } },
    });
  });
});

describe("a manifest's signature", () => {
  it.each([
    ["CanonicalizationMethod", "http://www.w3.org/2001/10/xml-exc-c14n#"],
    ["CanonicalizationMethod", "http://www.w3.org/2006/12/xml-c14n11#WithComments"],
    ["SignatureMethod", "http://www.w3.org/2000/09/xmldsig#hmac-sha1"],
    ["SignatureMethod", "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"],
    ["enveloped", "http://www.w3.org/TR/1999/REC-xslt-19991116"],
    ["enveloped", "http://www.w3.org/2002/06/xmldsig-filter2"],
    ["Transform", "http://www.w3.org/TR/1999/REC-xpath-19991116"],
    ["Transform", "http://www.w3.org/2000/09/xmldsig#enveloped-signature"],
    ["DigestMethod", "http://www.w3.org/2000/09/xmldsig#sha1"],
  ] as const)("with another %s is refused, however well it is made: %s", (name, algorithm) => {
    expect(outcome(made({ rims: { driver: { algorithms: { [name]: algorithm } } } }))).toBe("RIM_SIGNATURE");
  });

  it("is over the whole document, never over what an identifier points to", () => {
    expect(outcome(made({ rims: { driver: { uri: "#payload" } } }))).toBe("RIM_SIGNATURE");
    expect(replaced('URI=""', 'URI="#lab"')).toBe("RIM_SIGNATURE");
    expect(replaced(' URI=""', "")).toBe("RIM_SIGNATURE");
    expect(replaced('URI=""', 'URI="" Id="a"')).toBe("RIM_SIGNATURE");
    expect(replaced('URI=""', 'URI="" Type="http://www.w3.org/2000/09/xmldsig#Manifest"')).toBe("RIM_SIGNATURE");
  });

  it("does not cover a value that was changed after it was made", () => {
    expect(replaced(/Hash0="0/, 'Hash0="1')).toBe("RIM_SIGNATURE");
    expect(replaced('active="True"', 'active="False"')).toBe("RIM_SIGNATURE");
    expect(replaced('colloquialVersion="580.95.05"', 'colloquialVersion="580.95.05" extra="1"')).toBe("RIM_SIGNATURE");
    expect(replaced("</ns0:Payload>", "<ns0:Resource/></ns0:Payload>")).toBe("RIM_SIGNATURE");
    expect(replaced('corpus="false"', 'corpus="true"')).toBe("RIM_SIGNATURE");
  });

  it("cannot be wrapped: moved with what it signs to where nobody reads", () => {
    const wrapper = (xml: string, inner: string) => {
      const forged = xml.replace(/<ds:Signature[\s\S]*<\/ds:Signature>/, "").replaceAll(/Hash0="0/g, 'Hash0="1');
      return forged.replace("</SoftwareIdentity>", `${inner}</SoftwareIdentity>`);
    };
    // The whole signed document inside another one.
    expect(delivered((xml) => wrapper(xml, `<wrapped>${xml}</wrapped>`))).toBe("RIM_SIGNATURE");
    // The same in an Object of the signature.
    expect(delivered((xml) => xml.replace("</ds:Signature>", `<ds:Object>${xml}</ds:Object></ds:Signature>`))).toBe(
      "RIM_SIGNATURE",
    );
    // The forged document with the genuine signature.
    expect(delivered((xml) => wrapper(xml, /<ds:Signature[\s\S]*<\/ds:Signature>/.exec(xml)![0]))).toBe(
      "RIM_SIGNATURE",
    );
    // Two signatures, one of them genuine.
    const twice = (xml: string) => /<ds:Signature[\s\S]*<\/ds:Signature>/.exec(xml)![0];
    expect(delivered((xml) => xml.replace("</SoftwareIdentity>", `${twice(xml)}</SoftwareIdentity>`))).toBe(
      "RIM_SIGNATURE",
    );
    // In front of the payload instead of last.
    expect(delivered((xml) => xml.replace(twice(xml), "").replace("<ns0:Payload", `${twice(xml)}<ns0:Payload`))).toBe(
      "RIM_SIGNATURE",
    );
    // An element that only sounds like a signature, for libraries that look for the local name.
    expect(replaced("<ns0:Payload", '<x:Signature xmlns:x="urn:x"/><ns0:Payload')).toBe("RIM_SIGNATURE");
  });

  it("has no second part in any place", () => {
    for (const name of [
      "SignedInfo",
      "SignatureValue",
      "KeyInfo",
      "Reference",
      "Transforms",
      "DigestValue",
      "X509Data",
    ]) {
      const doubled = (xml: string) => {
        const element = new RegExp(`<ds:${name}[ >][\\s\\S]*?</ds:${name}>`).exec(xml)![0];
        return xml.replace(element, () => element + element);
      };
      expect(delivered(doubled), name).toBe("RIM_SIGNATURE");
    }
    expect(replaced("<ds:KeyInfo>", "<ds:KeyInfo><ds:KeyValue/>")).toBe("RIM_SIGNATURE");
    expect(replaced(/<ds:Transform Alg/, "<ds:Transform/><ds:Transform Alg")).toBe("RIM_SIGNATURE");
    expect(replaced(/<ds:DigestValue>[^<]*/, "<ds:DigestValue>AAAA")).toBe("RIM_SIGNATURE");
    expect(replaced(/<ds:SignatureValue>[^<]*/, "<ds:SignatureValue>")).toBe("RIM_SIGNATURE");
    expect(replaced(/<ds:X509Certificate>[\s\S]*<\/ds:X509Certificate>/, "")).toBe("RIM_SIGNATURE");
    expect(replaced(/<ds:X509Certificate>/, "<ds:X509Certificate>AA")).not.toBe("ok");
  });

  it("is by the key of a certificate under the pinned root that may sign", () => {
    const other = nvidiaDevice({ rims: {} });
    expect(outcome(made({ rims: { driver: { key: other.keys.rim[0]! } } }))).toBe("RIM_SIGNATURE");
    expect(outcome(made({ rims: { driver: { chain: other.rimCertificates, key: other.keys.rim[0]! } } }))).toBe(
      "CHAIN_UNTRUSTED",
    );
    const chained = (place: number, change: object) => outcome(made({ rimChain: { [place]: change } }));
    expect(chained(0, { keyUsage: ["keyEncipherment"] })).toBe("CHAIN_CONSTRAINTS");
    expect(chained(0, { ca: true, keyUsage: ["keyCertSign", "digitalSignature"] })).toBe("CHAIN_CONSTRAINTS");
    expect(chained(1, { ca: false, keyUsage: ["digitalSignature"] })).toBe("CHAIN_CONSTRAINTS");
    expect(chained(1, { keyUsage: ["cRLSign"] })).toBe("CHAIN_CONSTRAINTS");
    expect(chained(2, { pathLength: 0 })).toBe("CHAIN_CONSTRAINTS");
    expect(chained(0, { notAfter: 1_700_000_000 })).toBe("EXPIRED");
    expect(chained(0, { notBefore: 1_790_000_000 })).toBe("NOT_YET_VALID");
  });
});

describe("a manifest's content", () => {
  it.each([
    ["no version", { meta: { colloquialVersion: undefined } }],
    ["no product", { meta: { product: undefined } }],
    ["an empty edition", { meta: { edition: "" } }],
    ["no measurement that is active", { golden: { 7: undefined, 17: undefined, 40: undefined } }],
    ["a value of other length", { golden: { 7: [new Uint8Array(47)] } }],
    ["an index beyond the last block", { golden: { 255: [new Uint8Array(48)] } }],
    ["a second payload", { extra: [{ name: "ns0:Payload" }] }],
    [
      "a second Meta",
      { extra: [{ name: "ns0:Meta", attributes: { colloquialVersion: "1", edition: "GPU", product: "GH100" } }] },
    ],
    ["an index twice", { inactive: [7] }],
  ])("signed, with %s, is refused", (_, changes) => {
    expect(outcome(made({ rims: { driver: changes, vbios: false } }))).toBe("COLLATERAL_MALFORMED");
  });
});

describe("XML that two parsers might read as two documents", () => {
  it.each([
    ["a document type", "<!DOCTYPE SoftwareIdentity>", "before"],
    ["entities", '<!DOCTYPE a [<!ENTITY lol "lol"><!ENTITY b "&lol;&lol;">]>', "before"],
    ["an external entity", '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>', "before"],
    ["a comment", "<!-- -->", "before"],
    ["a comment inside", "<!-- -->", "inside"],
    ["CDATA", "<![CDATA[ ]]>", "inside"],
    ["an instruction", "<?xml-stylesheet href='x'?>", "before"],
    ["an instruction inside", "<?php ?>", "inside"],
    ["a character reference", "&#65;", "inside"],
    ["an entity", "&lol;", "inside"],
    ["an ampersand", "& ", "inside"],
    ["a carriage return", "\r\n", "inside"],
    ["a zero", "\0", "inside"],
    ["an umlaut", "ä", "inside"],
    ["half a surrogate pair", "\ud800", "inside"],
    ["a second root", "<a/>", "behind"],
    ["text behind the root", "a", "behind"],
    ["a byte order mark", "\ufeff", "before"],
  ])("is refused: %s", (_, text, where) => {
    const place = (xml: string) =>
      where === "before"
        ? text + xml
        : where === "behind"
          ? xml + text
          : xml.replace("</ns0:Payload>", `${text}</ns0:Payload>`);
    expect(delivered(place)).toBe("COLLATERAL_MALFORMED");
  });

  it.each([
    "",
    "<",
    "<a",
    "<a>",
    "<a></b>",
    "<a></a ></a>",
    "<a b></a>",
    "<a b=c/>",
    "<a b='1' b='2'/>",
    "<a b='1'c='2'/>",
    "<a b='<'/>",
    "<a b='1\n2'/>",
    "<x:a/>",
    "<a x:b='1'/>",
    "<a xmlns:x=''/>",
    "<a xmlns:x='u' xmlns:y='u' x:b='1' y:b='2'/>",
    "<a xml:base='u'/>",
    "<a xmlns:xml='u'/>",
    "<a xmlns:xmlns='u'/>",
    "<a:b:c xmlns:a='u'/>",
    "<1/>",
    "<a/ >",
    "<a></a/>",
    "<a>".repeat(17) + "</a>".repeat(17),
    `<a>${"<b/>".repeat(5000)}</a>`,
    `<a ${Array.from({ length: 200 }, (_, i) => `a${i}=""`).join(" ")}/>`,
    `<a>${" ".repeat(600_000)}</a>`,
  ])("is refused: %.40s", (xml) => {
    expect(outcomeOf(() => parseXml(xml, "a document"))).toBe("COLLATERAL_MALFORMED");
  });

  it("is read as it is written otherwise", () => {
    const root = parseXml(
      `<?xml version="1.0" encoding="UTF-8"?>\n<a xmlns="urn:a" xmlns:b="urn:b" c='"&lt;&amp;&apos;' b:c="2">x&gt;<b:d/> y</a>\n`,
      "a document",
    );
    expect(root).toMatchObject({ uri: "urn:a", local: "a", text: "x> y" });
    expect([...root.attributes]).toEqual([
      ["c", "\"<&'"],
      ["{urn:b}c", "2"],
    ]);
    expect(root.children).toMatchObject([{ uri: "urn:b", local: "d" }]);
  });

  it("takes time by its length and not by its depth, and never stack", () => {
    const bombs = ["<a>".repeat(100_000), `<a b="${"x".repeat(400_000)}`, "<a ".repeat(100_000), " ".repeat(500_000)];
    for (const bomb of bombs) expect(outcomeOf(() => outlineRim(bomb))).toBe("COLLATERAL_MALFORMED");
  });

  it("never makes the library's parser write to the console", () => {
    const write = vi.spyOn(console, "error").mockImplementation(() => {});
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    replaced("</ns0:Payload>", "</ns0:payload>");
    replaced(/Hash0="0/, 'Hash0="1');
    made({});
    expect(write.mock.calls.concat(warn.mock.calls)).toEqual([]);
    write.mockRestore();
    warn.mockRestore();
  });
});
