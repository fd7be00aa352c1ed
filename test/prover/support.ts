import { expect } from "vitest";
import { AnchorError } from "../../src/errors.js";

/** The code of a promise's failure, or "made". */
export const outcome = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "made",
    (error: unknown) => (error instanceof AnchorError ? error.code : String(error)),
  );

/** A witness generator whose init never returns: `(loop (br 0))`. */
export const LOOPING_GENERATOR = Buffer.from(
  "0061736d01000000010501" +
    "60017f00" +
    "03020100" +
    "070801" +
    "04696e6974" +
    "0000" +
    "0a0901" +
    "0700" +
    "0340" +
    "0c00" +
    "0b0b",
  "hex",
);

export type Family = {
  type: string;
  help: string;
  /** By the sample's name and labels, as written. */
  samples: Map<string, number>;
};

/**
 * Reads Prometheus' text format, and refuses whatever its specification does not allow: families in one piece with
 * HELP and TYPE before the samples, known escapes only, no sample twice, complete and growing histograms.
 */
export function parseMetrics(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  let current: [name: string, Family] | undefined;
  let help: [name: string, string] | undefined;
  expect(text.endsWith("\n")).toBe(true);
  for (const line of text.slice(0, -1).split("\n")) {
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/.exec(line);
    if (comment) {
      const [, kind, name, rest] = comment as unknown as [string, string, string, string];
      if (kind === "HELP") {
        expect(rest).toMatch(/^(?:[^\\]|\\\\|\\n)*$/);
        help = [name, rest];
        continue;
      }
      expect(help?.[0]).toBe(name);
      expect(["counter", "gauge", "histogram"]).toContain(rest);
      expect(families.has(name)).toBe(false);
      current = [name, { type: rest, help: help![1], samples: new Map() }];
      families.set(...current);
      continue;
    }
    const sample =
      /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_]\w*="(?:[^"\\]|\\["\\n])*"(?:,(?=[a-zA-Z_])|(?=\})))+\})? (\+Inf|-Inf|NaN|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/.exec(
        line,
      );
    expect(sample, line).not.toBeNull();
    const [, name, labels = "", value] = sample as unknown as [string, string, string | undefined, string];
    const [family, { type, samples }] = current!;
    expect(name.startsWith(family)).toBe(true);
    const suffix = name.slice(family.length);
    expect(type === "histogram" ? ["_bucket", "_sum", "_count"] : [""]).toContain(suffix);
    expect(samples.has(suffix + labels)).toBe(false);
    const number = value === "+Inf" ? Infinity : value === "-Inf" ? -Infinity : Number(value);
    if (type === "counter") expect(number).toBeGreaterThanOrEqual(0);
    samples.set(suffix + labels, number);
  }
  for (const { type, samples } of families.values()) if (type === "histogram") checkHistogram(samples);
  return families;
}

function checkHistogram(samples: Map<string, number>): void {
  const last = new Map<string, [bound: number, count: number]>();
  for (const [key, count] of samples) {
    const bucket = /^_bucket\{(.*?),?le="([^"]+)"\}$/.exec(key);
    if (!bucket) continue;
    const [, series, le] = bucket as unknown as [string, string, string];
    const bound = le === "+Inf" ? Infinity : Number(le);
    const [before, least] = last.get(series) ?? [-Infinity, 0];
    expect(bound).toBeGreaterThan(before);
    expect(count).toBeGreaterThanOrEqual(least);
    last.set(series, [bound, count]);
  }
  for (const [series, [bound, count]] of last) {
    expect(bound).toBe(Infinity);
    const labels = series === "" ? "" : `{${series}}`;
    expect(samples.get(`_count${labels}`)).toBe(count);
    expect(samples.has(`_sum${labels}`)).toBe(true);
  }
}
