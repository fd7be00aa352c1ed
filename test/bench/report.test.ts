import { describe, expect, it } from "vitest";
import {
  html,
  type InferenceSummary,
  inferenceTable,
  preparationLine,
  type Report,
  row,
  table,
  withRatios,
} from "../../src/bench/report.js";
import { median, percentile, rotate } from "../../src/bench/statistics.js";

describe("statistics", () => {
  it("interpolates percentiles, in any order of samples", () => {
    expect(percentile([30, 10, 20], 0.5)).toBe(20);
    expect(percentile([4, 1, 3, 2], 0.5)).toBe(2.5);
    expect(percentile([0, 100], 0.9)).toBeCloseTo(90);
    expect([0, 1].map((share) => percentile([7, 5, 9], share))).toEqual([5, 9]);
    expect(median([3])).toBe(3);
    expect(median([])).toBeNaN();
  });

  it("gives everyone the first turn equally often", () => {
    const first = [0, 1, 2, 3, 4, 5].map((round) => rotate(["a", "b", "c"], round)[0]);
    expect(first).toEqual(["a", "b", "c", "a", "b", "c"]);
    expect(rotate(["a", "b", "c"], 4)).toEqual(["b", "c", "a"]);
    expect(rotate([], 3)).toEqual([]);
  });
});

const head = { bench: "prove", mode: "cold", circuit: "poseidon", size: 10, threads: 2 } as const;
const rows = withRatios([
  row({ ...head, implementation: "native", peakBytes: 12 * 1024 * 1024, extra: { rows: 870 } }, [10, 20, 40]),
  row({ ...head, implementation: "<script>alert(1)</script>" }, [30, 30, 400]),
]);

describe("row", () => {
  it("keeps samples in the order of the rounds, and compares within rounds", () => {
    const [native, other] = rows;
    expect(native).toMatchObject({ medianMs: 20, p50: 20, minMs: 10, samples: [10, 20, 40], ratio: 1 });
    // 3, 1.5 and 10 times: not the ratio of the medians.
    expect(other!.ratio).toBe(3);
    expect(other!.p90).toBeCloseTo(326);
    expect(other).not.toHaveProperty("peakBytes");
  });
});

const report: Report = {
  format: "anchorproof/bench@1",
  date: "2026-01-01T00:00:00.000Z",
  commit: "abc",
  version: "0.1.0",
  cpu: 'A "CPU" & <more>',
  cores: 2,
  memoryBytes: 2 ** 34,
  node: "v20",
  native: "portable",
  threads: 2,
  runs: 3,
  notes: ["a <note>"],
  preparations: [
    {
      circuit: "poseidon",
      size: 10,
      rows: 870,
      wires: 873,
      zkeyBytes: 1e6,
      compileMs: 1,
      developmentKeyMs: 2,
      witnessMs: 3,
    },
  ],
  rows,
};

describe("html", () => {
  const page = html(report);

  it("needs nothing from elsewhere and runs nothing", () => {
    expect(page).not.toMatch(/<script|<link|<img|<iframe|@import|url\(|\bsrc=|\bhref=|\bon\w+=|https?:/i);
  });

  it("shows names as text, wherever they come from", () => {
    expect(page).toContain("&#60;script&#62;alert(1)");
    expect(page).toContain("A &#34;CPU&#34; &#38; &#60;more&#62;");
  });

  it("plots every sample inside its frame", () => {
    const dots = [...page.matchAll(/<circle cx="([\d.]+)" cy="([\d.]+)"/g)];
    expect(dots).toHaveLength(6);
    for (const [, x, y] of dots) {
      expect(Number(x)).toBeGreaterThan(0);
      expect(Number(x)).toBeLessThan(460);
      expect(Number(y)).toBeGreaterThanOrEqual(34);
      expect(Number(y)).toBeLessThanOrEqual(266);
    }
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
  });
});

describe("table", () => {
  it("has a line for each row, in whole numbers where they are whole", () => {
    const lines = table(rows);
    expect(lines[0]).toBe("prove poseidon 2^10 cold");
    expect(lines).toHaveLength(4);
    expect(lines[2]).toMatch(/native +20\.0 ms +10\.0 ms .* 1\.00 × +12 MB +rows 870$/);
  });
});

describe("a row of a GPU", () => {
  const phases = [
    { name: "upload", ms: 2, bytes: 32e6, operations: 0 },
    { name: "<buckets>", ms: 4, bytes: 2e9, operations: 1.5e8 },
    { name: "idle", ms: 0, bytes: 1, operations: 1 },
  ];
  const own = row({ ...head, mode: "warm", implementation: "cuda", card: "NVIDIA H200", phases }, [7]);

  it("names the card, and has lines for its phases with what moved and was multiplied a second", () => {
    expect(own).toMatchObject({ card: "NVIDIA H200", phases });
    const lines = table([rows[0]!, own]);
    expect(lines).toHaveLength(8);
    expect(lines[4]).toMatch(/^ {2}on the card +time +moved +GB\/s +multiplications +Gmul\/s$/);
    expect(lines[5]).toMatch(/^ {2}upload +2\.00 ms +30\.5 MB +16\.0$/);
    expect(lines[6]).toMatch(/^ {2}<buckets> +4\.00 ms +1\.86 GB +500 +150,000,000 +37\.5$/);
    expect(lines[7]).toMatch(/^ {2}idle +0\.0 ns +1 B +1$/);
    expect(rows[0]).not.toHaveProperty("card");
  });

  it("is on the page, which names the card among the machine's parts", () => {
    const page = html({ ...report, cuda: "NVIDIA H200, 141 GB", rows: [...rows, own] });
    expect(page).toContain("NVIDIA H200, 141 GB");
    expect(page).toContain('<td class="text">&#60;buckets&#62;</td><td>4.00 ms</td>');
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
    expect(html(report)).not.toContain("GPU");
  });
});

const summaries: InferenceSummary[] = [
  {
    model: "lenet5",
    title: "LeNet-5 <small>",
    calibration: "noise, 256",
    importMs: 10_400,
    rows: 160_460,
    wires: 152_340,
    size: 18,
    zkeyBytes: 107_000_000,
    developmentKeyMs: 3900,
    witnessMs: 152.6,
    proveMs: 1510,
    verifyMs: 0.4189,
    peerRows: 3_771_292,
    peerMissing: [],
    peerRatio: 3_771_292 / 160_460,
  },
  {
    model: "text",
    title: "text embedding",
    calibration: "mails, 256",
    importMs: 400,
    rows: 2750,
    wires: 2654,
    size: 12,
    witnessMs: 3,
    peerRows: 20_704,
    peerMissing: ["embedding"],
  },
];

describe("inference", () => {
  it("has a line for each model, and leaves blank what was not measured", () => {
    const lines = inferenceTable(summaries);
    expect(lines).toHaveLength(5);
    expect(lines[2]).toMatch(
      /^ {2}LeNet-5 <small> +160,460 +2\^18 +102\.0 MB +10\.40 s +152\.6 ms +1\.51 s +418\.9 µs +3,771,292 +23\.5 × +noise, 256$/,
    );
    expect(lines[3]).toMatch(/^ {2}text embedding +2,750 +2\^12 +400\.0 ms +3\.00 ms +≥ 20,704 +mails, 256$/);
    expect(lines[4]).toContain("text embedding without embedding");
  });

  it("is on the page, with a plot of rows", () => {
    const page = html({ ...report, inference: summaries });
    expect(page).toContain('<td class="text">LeNet-5 &#60;small&#62;</td><td>160,460</td>');
    expect(page.match(/<rect /g)).toHaveLength(4);
    expect(html(report)).not.toContain("circomlib-ml");
  });
});

describe("preparationLine", () => {
  it("says what there was to prepare, and no more", () => {
    const own = { circuit: "poseidon", size: 10, rows: 870, wires: 873, compileMs: 1000, witnessMs: 3 };
    expect(preparationLine(own)).toBe("poseidon 2^10: 870 rows, 873 wires, compiled in 1.00 s, witness in 3.00 ms");
    expect(preparationLine(report.preparations[0]!)).toMatch(/key 1\.0 MB, .*development key in 2\.00 ms, /);
  });
});
