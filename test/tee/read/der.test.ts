import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as lab from "../../../src/tee/lab/der.js";
import { Der, TAG } from "../../../src/tee/read/der.js";
import { outcomeOf } from "../../support/errors.js";

const CODE = "CERT_MALFORMED";
const parse = (...bytes: number[]) => Der.parse(Uint8Array.from(bytes), CODE);
const refused = (run: () => unknown) => expect(outcomeOf(run)).toBe(CODE);

describe("elements", () => {
  it("have one encoding", () => {
    expect(parse(0x04, 1, 7).octets("")).toEqual(Uint8Array.of(7));
    expect(parse(0x04, 0).content).toHaveLength(0);
    refused(() => parse());
    refused(() => parse(0x04));
    refused(() => parse(0x04, 2, 1));
    refused(() => parse(0x04, 1, 1, 0));
    // Indefinite, not minimal, too long for four bytes, four gigabytes, reserved.
    refused(() => parse(0x30, 0x80, 0, 0));
    refused(() => parse(0x04, 0x81, 1, 7));
    refused(() => parse(0x04, 0x82, 0, 1, 7));
    refused(() => parse(0x04, 0x85, 0, 0, 0, 0, 1, 7));
    refused(() => parse(0x04, 0x84, 0xff, 0xff, 0xff, 0xff));
    refused(() => parse(0x04, 0xff, 7));
    // Tags of more than one byte, and the end of contents.
    refused(() => parse(0x1f, 0x81, 0x01, 0));
    refused(() => parse(0x00, 0));
    const long = new Uint8Array(200).fill(9);
    expect(Der.parse(lab.octetString(long), CODE).octets("")).toEqual(long);
  });

  it("are nested as deep as a certificate needs, and no deeper", () => {
    const nested = (depth: number) => {
      let bytes = lab.nothing();
      for (let i = 0; i < depth; i++) bytes = lab.sequence(bytes);
      return bytes;
    };
    const descend = (bytes: Uint8Array) => {
      let element: Der | undefined = Der.parse(bytes, CODE);
      while (element?.is(TAG.sequence)) element = element.children()[0];
    };
    descend(nested(32));
    refused(() => descend(nested(33)));
    refused(() => descend(nested(5000)));
    refused(() => parse(0x04, 2, 0x05, 0).children());
  });

  it("of a sequence are counted", () => {
    const fields = Der.parse(lab.sequence(lab.integer(1), lab.boolean(true)), CODE).fields("it");
    expect(fields.optional(TAG.boolean)).toBeUndefined();
    expect(fields.next("a number").small("")).toBe(1);
    refused(() => fields.end());
    expect(fields.optional(TAG.boolean)?.boolean("")).toBe(true);
    fields.end();
    refused(() => fields.next("more"));
    refused(() => Der.parse(lab.octetString(lab.nothing(), lab.nothing()), CODE).inside());
  });
});

describe("values", () => {
  it("are integers of any size, minimal", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n }), (value) => {
        expect(Der.parse(lab.integer(value), CODE).integer("")).toBe(value);
      }),
    );
    refused(() => parse(0x02, 0).integer(""));
    refused(() => parse(0x02, 2, 0, 0x7f).integer(""));
    refused(() => parse(0x02, 2, 0xff, 0x80).integer(""));
    expect(parse(0x02, 2, 0, 0x80).small("")).toBe(128);
    refused(() => parse(0x02, 1, 0x80).small(""));
    refused(() => parse(0x02, 5, 1, 0, 0, 0, 0).small(""));
    refused(() => parse(0x04, 1, 1).small(""));
  });

  it("are booleans of two kinds", () => {
    expect([parse(1, 1, 0).boolean(""), parse(1, 1, 0xff).boolean("")]).toEqual([false, true]);
    for (const content of [[], [1], [0xfe], [0xff, 0xff]])
      refused(() => parse(1, content.length, ...content).boolean(""));
  });

  it("are bits and bytes of whole strings", () => {
    expect(parse(3, 2, 0, 7).bitOctets("")).toEqual(Uint8Array.of(7));
    refused(() => parse(3, 0).bitOctets(""));
    refused(() => parse(3, 2, 1, 6).bitOctets(""));
    expect(parse(3, 2, 5, 0xa0).bits("")).toEqual([true, false, true]);
    for (const content of [[], [1], [8, 0], [5, 0xa1]]) refused(() => parse(3, content.length, ...content).bits(""));
  });

  it("are object identifiers, minimal and whole", () => {
    for (const dotted of ["1.2.840.113549.1.1.10", "2.5.29.15", "2.999.3", "0.9", "1.3.6.1.4.1.3704.1.3.8"]) {
      expect(Der.parse(lab.oid(dotted), CODE).oid("")).toBe(dotted);
    }
    refused(() => parse(6, 0).oid(""));
    refused(() => parse(6, 2, 0x2a, 0x86).oid(""));
    refused(() => parse(6, 3, 0x2a, 0x80, 0x01).oid(""));
    refused(() => Der.parse(lab.element(TAG.oid, new Uint8Array(129).fill(0x2a)), CODE).oid(""));
  });

  it("are texts in the characters of their type", () => {
    expect(Der.parse(lab.utf8String("Zürich"), CODE).text("")).toBe("Zürich");
    expect(parse(TAG.bmpString, 4, 0, 0x41, 0x01, 0x61).text("")).toBe("Aš");
    expect(parse(TAG.teletexString, 1, 0xe9).text("")).toBe("é");
    refused(() => parse(TAG.printableString, 1, 0xe9).text(""));
    refused(() => parse(TAG.utf8String, 1, 0xe9).text(""));
    refused(() => parse(TAG.bmpString, 1, 0x41).text(""));
    refused(() => parse(TAG.octetString, 1, 0x41).text(""));
  });

  it("are times that exist, in UTC with seconds", () => {
    const time = (tag: number, text: string) => Der.parse(lab.element(tag, Buffer.from(text)), CODE).time("");
    expect(time(TAG.utcTime, "491231235959Z")).toBe(Date.UTC(2049, 11, 31, 23, 59, 59) / 1000);
    expect(time(TAG.utcTime, "500101000000Z")).toBe(Date.UTC(1950, 0, 1) / 1000);
    expect(time(TAG.generalizedTime, "99991231235959Z")).toBe(253402300799);
    expect(time(TAG.generalizedTime, "20240229000000Z")).toBe(Date.UTC(2024, 1, 29) / 1000);
    for (const text of [
      "230229000000Z",
      "231301000000Z",
      "230100000000Z",
      "230101240000Z",
      "230101006000Z",
      "230101000060Z",
    ]) {
      refused(() => time(TAG.utcTime, text));
    }
    for (const text of ["2301010000Z", "230101000000+0000", "230101000000", "23010100000Z0", "-30101000000Z", ""]) {
      refused(() => time(TAG.utcTime, text));
    }
    refused(() => time(TAG.generalizedTime, "20240101000000.5Z"));
    refused(() => time(TAG.utf8String, "240101000000Z"));
  });

  it("as long as a list's are read in linear time, or refused", () => {
    // Found by fuzzing: these took minutes, beyond any test's time, or overflowed the stack.
    const long = new Uint8Array(4 * 1024 * 1024).fill(0x41);
    const whole = (tag: number) => Der.parse(lab.element(tag, long), CODE);
    expect(whole(TAG.integer).integer("") > 0n).toBe(true);
    expect(whole(TAG.printableString).text("")).toHaveLength(long.length);
    refused(() => whole(TAG.oid).oid(""));
    refused(() => whole(TAG.integer).small(""));
    refused(() => whole(TAG.utcTime).time(""));
  });
});
