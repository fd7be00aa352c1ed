import { describe, expect, it } from "vitest";
import { escapeHtml } from "../src/html.js";
import { clip, counted, formatBytes, formatCount, formatMs, formatReal, formatShare, printable } from "../src/text.js";

describe("numbers", () => {
  it.each([
    [formatCount, 0, "0"],
    [formatCount, 999, "999"],
    [formatCount, 1000, "1,000"],
    [formatCount, -1234567, "-1,234,567"],
    [formatCount, -123, "-123"],
    [formatBytes, 1023, "1023 B"],
    [formatBytes, 1536, "1.5 KB"],
    [formatBytes, 107e6, "102.0 MB"],
    [formatBytes, 3 * 2 ** 30, "3.00 GB"],
    [formatMs, 0.0005, "500.0 ns"],
    [formatMs, 0.4189, "418.9 µs"],
    [formatMs, 1510, "1.51 s"],
    [formatShare, 1, "100.00 %"],
    [formatShare, 0.99999, "> 99.99 %"],
    [formatShare, 0, "0.00 %"],
    [formatShare, 0.00001, "< 0.01 %"],
    [formatShare, 0.5, "50.00 %"],
    [formatReal, 0, "0"],
    [formatReal, 0.000675, "0.000675"],
    [formatReal, -0.00000123, "-1.23e-6"],
    [formatReal, 1234567, "1.23e+6"],
    [formatReal, 16, "16"],
  ] as const)("%o of %d is %s", (format, value, text) => {
    expect(format(value)).toBe(text);
  });

  it("counts one thing, or several", () => {
    expect([counted(1, "node"), counted(2000, "node"), counted(0, "node")]).toEqual([
      "1 node",
      "2,000 nodes",
      "0 nodes",
    ]);
  });
});

describe("names", () => {
  it("writes out what could hide or turn round text, and keeps lines", () => {
    expect(printable("a\u001b[2J\u202eb\u2028c\ud800d\ne")).toBe("a\\u{1b}[2J\\u{202e}b\\u{2028}c\\u{d800}d\ne");
    expect(printable("naïve 💡 文字")).toBe("naïve 💡 文字");
  });

  it("clips, also through a character of two halves", () => {
    expect(clip("x".repeat(10), 10)).toBe("x".repeat(10));
    expect(clip("x".repeat(11), 10)).toBe(`${"x".repeat(9)}…`);
    expect(escapeHtml(clip(`${"x".repeat(8)}💡xx`, 10))).toBe(`${"x".repeat(8)}\\u{d83d}…`);
  });

  it("has no character of markup left", () => {
    expect(escapeHtml(`<a href='x' b="y">&\`</a>`)).not.toMatch(/[<>"'`]|&(?!#\d+;)/);
  });
});
