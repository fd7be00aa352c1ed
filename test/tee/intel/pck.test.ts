/** What a PCK certificate says about its platform. */
import { describe, expect, test } from "vitest";
import { readPckExtension, SGX_EXTENSION } from "../../../src/tee/intel/pck.js";
import { cachedKey, makeCertificate } from "../../../src/tee/lab/certificates.js";
import * as der from "../../../src/tee/lab/der.js";
import { sgxExtension } from "../../../src/tee/lab/intel.js";
import { parseCertificate } from "../../../src/tee/x509.js";
import { code } from "../../support/errors.js";

type Pairs = Record<string, Uint8Array | undefined>;

const sequenceOf = (pairs: Pairs, prefix = SGX_EXTENSION) =>
  der.sequence(
    ...Object.entries(pairs).flatMap(([number, value]) =>
      value ? [der.sequence(der.oid(`${prefix}.${number.trim()}`), value)] : [],
    ),
  );
const tcb = (change: Pairs = {}) => {
  const components = Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`${i + 1}`, der.integer(200 + i)]));
  const svns = { "17": der.integer(40_000), "18": der.octetString(new Uint8Array(16).fill(7)) };
  return sequenceOf({ ...components, ...svns, ...change }, `${SGX_EXTENSION}.2`);
};
const octets = (length: number) => der.octetString(new Uint8Array(length).fill(length));
const good: Pairs = {
  "1": octets(16),
  "2": tcb(),
  "3": octets(2),
  "4": octets(6),
  "5": der.enumerated(1),
  "6": octets(16),
  "7": sequenceOf({ "1": der.boolean(true), "3": der.boolean(false) }, `${SGX_EXTENSION}.7`),
};

function read(value: Uint8Array) {
  const key = cachedKey("P-256", "pck");
  return readPckExtension(
    parseCertificate(makeCertificate({ subject: { CN: "x" }, key, extensions: [{ oid: SGX_EXTENSION, value }] })),
  );
}

describe("the SGX extension", () => {
  test("is read whole", () => {
    expect(read(sequenceOf(good))).toEqual({
      ppid: new Uint8Array(16).fill(16),
      components: Array.from({ length: 16 }, (_, i) => 200 + i),
      pceSvn: 40_000,
      cpuSvn: new Uint8Array(16).fill(7),
      pceId: Uint8Array.of(2, 2),
      fmspc: new Uint8Array(6).fill(6),
      sgxType: 1,
      instanceId: new Uint8Array(16).fill(16),
      configuration: { dynamicPlatform: true, smtEnabled: false },
    });
    expect(read(sgxExtension({ platform: false }).value)).not.toHaveProperty("instanceId");
  });

  test("fields may come in any order, and unknown ones are left alone", () => {
    const unknown = { "8": der.nothing(), "9.1": der.nothing() };
    const reversed = Object.fromEntries(
      Object.entries({ ...good, ...unknown }).map(([name, value]) => [` ${name}`, value]),
    );
    expect(read(sequenceOf(reversed))).toEqual(read(sequenceOf(good)));
  });

  test.each([
    ["no PPID", { "1": undefined }],
    ["no TCB", { "2": undefined }],
    ["no PCE id", { "3": undefined }],
    ["no FMSPC", { "4": undefined }],
    ["no type", { "5": undefined }],
    ["the FMSPC twice", { " 4": octets(6) }],
    ["an unknown field twice", { "8": der.nothing(), " 8": der.nothing() }],
    ["a long PPID", { "1": octets(17) }],
    ["a short FMSPC", { "4": octets(5) }],
    ["an empty PCE id", { "3": octets(0) }],
    ["a short instance id", { "6": octets(15) }],
    ["a type that is text", { "5": der.octetString(Uint8Array.of(1)) }],
    ["a flag that is a number", { "7": sequenceOf({ "1": der.integer(1) }, `${SGX_EXTENSION}.7`) }],
    ["component 16 missing", { "2": tcb({ "16": undefined }) }],
    ["component 1 twice", { "2": tcb({ " 1": der.integer(0) }) }],
    ["component 3 too large", { "2": tcb({ "3": der.integer(256) }) }],
    ["component 3 negative", { "2": tcb({ "3": der.integer(-1) }) }],
    ["no PCE SVN", { "2": tcb({ "17": undefined }) }],
    ["PCE SVN too large", { "2": tcb({ "17": der.integer(65_536) }) }],
    ["no CPU SVN", { "2": tcb({ "18": undefined }) }],
    ["a short CPU SVN", { "2": tcb({ "18": octets(15) }) }],
    ["a TCB that is no list", { "2": der.integer(1) }],
  ] as [string, Pairs][])("%s is refused", (_, change) => {
    expect(() => read(sequenceOf({ ...good, ...change }))).toThrow(code("CERT_MALFORMED"));
  });

  test("something behind it, or nothing in it, is refused", () => {
    const whole = sequenceOf(good);
    expect(() => read(Uint8Array.from([...whole, 0]))).toThrow(code("CERT_MALFORMED"));
    expect(() => read(whole.subarray(0, whole.length - 1))).toThrow(code("CERT_MALFORMED"));
    expect(() => read(new Uint8Array())).toThrow(code("CERT_MALFORMED"));
    expect(() => read(der.sequence(der.sequence(der.oid(`${SGX_EXTENSION}.1`))))).toThrow(code("CERT_MALFORMED"));
  });
});
