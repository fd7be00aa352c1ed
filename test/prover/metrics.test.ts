import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Metrics } from "../../src/prover/metrics.js";
import { parseMetrics } from "./support.js";

describe("the metrics' text", () => {
  it("is Prometheus' format, byte by byte", () => {
    const metrics = new Metrics();
    const jobs = metrics.counter("jobs_total", "Jobs.\nWith a \\ in it.");
    jobs.add({ outcome: "made", by: "a" });
    jobs.add({ by: "a", outcome: "made" }, 2);
    jobs.add({ outcome: "lost" }, 0);
    metrics.gauge("depth", "Depth.", () => -1.5);
    const seconds = metrics.histogram("wait_seconds", "Waits.", [0.1, 1]);
    for (const value of [0.1, 0.2, 5]) seconds.observe(value, { phase: "x" });
    seconds.observe(1);
    expect(metrics.render()).toBe(
      `# HELP jobs_total Jobs.\\nWith a \\\\ in it.
# TYPE jobs_total counter
jobs_total{outcome="made",by="a"} 3
jobs_total{outcome="lost"} 0
# HELP depth Depth.
# TYPE depth gauge
depth -1.5
# HELP wait_seconds Waits.
# TYPE wait_seconds histogram
wait_seconds_bucket{phase="x",le="0.1"} 1
wait_seconds_bucket{phase="x",le="1"} 2
wait_seconds_bucket{phase="x",le="+Inf"} 3
wait_seconds_sum{phase="x"} ${0.1 + 0.2 + 5}
wait_seconds_count{phase="x"} 3
wait_seconds_bucket{le="0.1"} 0
wait_seconds_bucket{le="1"} 1
wait_seconds_bucket{le="+Inf"} 1
wait_seconds_sum 1
wait_seconds_count 1
`,
    );
    parseMetrics(metrics.render());
  });

  it("stays well-formed, and keeps apart what is different, for any label", () => {
    const text = fc.string({ unit: fc.constantFrom('"', "\\", "\n", ",", "=", "{", "}", " ", "a", "ü") });
    fc.assert(
      fc.property(fc.array(text), fc.string(), (labels, help) => {
        const metrics = new Metrics();
        const counter = metrics.counter("c_total", help.replace(/[\r\u2028\u2029]/g, ""));
        const histogram = metrics.histogram("h", "H.", [1]);
        for (const label of labels) {
          counter.add({ label });
          histogram.observe(0, { label });
        }
        const families = parseMetrics(metrics.render());
        const different = new Set(labels).size;
        expect(families.get("c_total")!.samples.size).toBe(different);
        expect(families.get("h")!.samples.size).toBe(4 * different);
        const total = [...families.get("c_total")!.samples.values()].reduce((sum, value) => sum + value, 0);
        expect(total).toBe(labels.length);
      }),
    );
  });

  it("writes infinities and not-a-number as Prometheus does", () => {
    const metrics = new Metrics();
    const values = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, 1e21, 1e-7];
    for (const [i, value] of values.entries()) metrics.gauge(`g${i}`, "G.", () => value);
    expect([...metrics.render().matchAll(/^g\d (.*)$/gm)].map(([, value]) => value)).toEqual([
      "+Inf",
      "-Inf",
      "NaN",
      "1e+21",
      "1e-7",
    ]);
    parseMetrics(metrics.render());
  });

  it("refuses a counter that goes down, and names that are none", () => {
    const metrics = new Metrics();
    const counter = metrics.counter("c_total", "C.");
    for (const by of [-1, Number.NaN]) expect(() => counter.add({}, by)).toThrow(/go down/);
    expect(() => metrics.gauge("a b", "", () => 0)).toThrow(/name/);
  });
});
