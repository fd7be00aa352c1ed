import { readdir } from "node:fs/promises";
import { expect, it } from "vitest";
import type { Results, Settings } from "../../src/bench/contest.js";
import { datasetLadder } from "../../src/bench/dataset.js";
import type { Row } from "../../src/bench/report.js";
import { temporaryFolder } from "../circuit/support.js";

it("the ladder of datasets has everyone come to one root, and leaves no files", async () => {
  const folder = await temporaryFolder();
  const rows: Row[] = [];
  const notes: string[] = [];
  const settings: Settings = {
    sizes: [12],
    kinds: undefined,
    threads: 2,
    runs: 1,
    proofs: 1,
    concurrency: 1,
    models: undefined,
    externals: [],
    snarkjsSize: 0,
    peers: true,
    native: true,
    folder,
    signal: new AbortController().signal,
    onStep: () => {},
  };
  const results: Results = {
    rows: (more) => rows.push(...more),
    preparation: () => {},
    inference: () => {},
    gas: () => {},
    note: (note) => notes.push(note),
  };
  await datasetLadder(settings, results);
  const names = (shape: string) => rows.filter(({ circuit }) => circuit === shape).map((each) => each.implementation);
  expect(names("text")).toEqual(["native", "javascript", "poseidon-lite", "sha256"]);
  expect(names("lines")).toEqual(["native", "javascript", "sha256"]);
  expect(names("csv")).toEqual(names("lines"));
  for (const { extra, peakBytes } of rows) {
    expect(extra!["MBps"]).toBeGreaterThan(0);
    expect(peakBytes).toBeGreaterThan(2 ** 20);
  }
  expect(notes).toEqual([]);
  expect(await readdir(folder)).toEqual(["committed.json"]);
});
