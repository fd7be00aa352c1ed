/** Chains, contents and traces of every engine: equal to one hash after another, and to each other. */
import { expect, it } from "vitest";
import { contentElements, DTYPES, type Dtype, packing } from "../../src/dataset/record.js";
import { chain } from "../../src/field/chain.js";
import { PACKING_MODES } from "../../src/field/chains.js";
import { decodeScalars, poseidon16, poseidon16Trace } from "../../src/field/poseidon.js";
import { R } from "../../src/field/scalar.js";
import { code } from "../support/errors.js";
import { describeEngines, integers, little, numbers } from "./support.js";

const next = numbers(17, R);
const take = (n: number) => Array.from({ length: n }, next);
const EDGES = [0n, 1n, R - 1n, R - 2n];
const CAPACITY = 0x61705f636861696en;
const START = 5n;

describeEngines("chains", (core, engine) => {
  const control = (value = 0) => {
    const flags = new Int32Array(new SharedArrayBuffer(4));
    flags[0] = value;
    return flags;
  };

  // Of one lane and less than a lane's worth, one more than the lanes, queues that run dry at different times.
  it.each([
    ["none", []],
    ["one", [4]],
    ["one without steps", [0]],
    ["two", [1, 6]],
    ["three", [5, 5, 5]],
    ["four", [1, 2, 3, 9]],
    ["eight", new Array<number>(8).fill(2)],
    ["nine", new Array<number>(9).fill(2)],
    ["seventeen, one long", [...new Array<number>(16).fill(1), 12]],
    ["mixed", Array.from({ length: 30 }, (_, i) => (i * 7) % 5)],
  ])("%s", (_, lengths) => {
    const starts = lengths.map((_, i) => EDGES[i] ?? next());
    const elements = lengths.map((n, i) => (i === 0 ? new Array<bigint>(15 * n).fill(R - 1n) : take(15 * n)));
    const expected = elements.map((own, i) => chain(CAPACITY, starts[i]!, own));
    const blocks = little(...elements.flat());
    for (const threads of [1, 2, 5]) {
      const steps = Uint32Array.from(lengths);
      const ends = core.poseidonChains(little(CAPACITY), little(...starts), blocks, steps, { engine, threads });
      expect(integers(ends), `${threads} threads`).toEqual(expected);
    }
  });

  it("take one start for all", () => {
    const elements = [take(15), take(30)];
    const steps = Uint32Array.of(1, 2);
    const ends = core.poseidonChains(little(1n), little(R - 1n), little(...elements.flat()), steps, { engine });
    expect(integers(ends)).toEqual(elements.map((own) => chain(1n, R - 1n, own)));
  });

  it("refuse r in every lane, in starts and elements", () => {
    for (const lengths of [[1], new Array<number>(9).fill(1)]) {
      const steps = Uint32Array.from(lengths);
      const n = lengths.length;
      for (let at = 0; at < n; at++) {
        const starts = new Uint8Array(32 * n);
        starts.set(little(R), 32 * at);
        const blocks = new Uint8Array(480 * n);
        expect(() => core.poseidonChains(little(0n), starts, blocks, steps, { engine })).toThrow(code("INPUT_INVALID"));
        blocks.set(little(R), 480 * at + 32 * (at % 15));
        expect(() => core.poseidonChains(little(0n), little(0n), blocks, steps, { engine, threads: 2 })).toThrow(
          code("INPUT_INVALID"),
        );
      }
    }
  });

  it("of contents of every type and length", () => {
    const records = (Object.keys(DTYPES) as Dtype[]).flatMap((dtype) => {
      const { size, perElement } = packing(dtype);
      const element = size * perElement;
      return [0, size, element - size, element, element + size, 15 * element, 15 * element + size, 31 * element].map(
        (length) => ({ dtype, data: Uint8Array.from({ length }, () => Number(next() & 255n)) }),
      );
    });
    const offsets = new Float64Array(records.length + 1);
    records.forEach(({ data }, i) => {
      offsets[i + 1] = offsets[i]! + data.length;
    });
    const data = Buffer.concat(records.map((each) => each.data));
    const packings = Uint8Array.from(
      records.flatMap(({ dtype }) => [packing(dtype).size, PACKING_MODES[packing(dtype).mode]]),
    );
    const expected = records.map((each) => chain(CAPACITY, START, contentElements(each)));
    for (const threads of [1, 2, 7]) {
      const options = { engine, threads };
      const digests = core.contentDigests(little(CAPACITY), little(START), data, offsets, packings, options);
      expect(integers(digests), `${threads} threads`).toEqual(expected);
    }
    // One by one.
    for (const [i, { data: own }] of records.entries()) {
      if (i % 7 !== 0) continue;
      const pair = packings.subarray(2 * i, 2 * i + 2);
      const ends = Float64Array.of(0, own.length);
      const digest = core.contentDigests(little(CAPACITY), little(START), own, ends, pair, { engine });
      expect(integers(digest)).toEqual([expected[i]]);
    }
  });

  it("stop when they are told to", () => {
    const options = { engine, control: control(1) };
    const steps = Uint32Array.of(1);
    const blocks = new Uint8Array(480);
    const pair = Uint8Array.of(1, 0);
    for (const call of [
      () => core.poseidonChains(little(0n), little(0n), blocks, steps, options),
      () => core.contentDigests(little(0n), little(0n), blocks, Float64Array.of(0, 480), pair, options),
      () => core.poseidonTraces(little(0n), new Uint8Array(512), options),
      () => core.chainTraces(little(0n), little(0n), blocks, options),
    ]) {
      expect(call).toThrow(code("ABORTED"));
    }
    expect(core.chainTraces(little(0n), little(0n), blocks, { engine, control: control() })).toHaveLength(613 * 32);
  });

  it("have traces that are those of JavaScript, for any number of rows", () => {
    const rows = [EDGES.concat(take(12)), new Array<bigint>(16).fill(R - 1n), new Array<bigint>(16).fill(0n)];
    while (rows.length < 12) rows.push(take(16));
    const expected = rows.map((row) => {
      const { boxes, hash } = poseidon16Trace(CAPACITY, row);
      return [...boxes.flatMap((x) => [x ** 2n % R, x ** 4n % R, x ** 5n % R]), hash];
    });
    for (const n of [0, 1, 2, 3, 4, 8, 9, 12]) {
      for (const threads of [1, 2]) {
        const inputs = little(...rows.slice(0, n).flat());
        const traces = core.poseidonTraces(little(CAPACITY), inputs, { engine, threads });
        expect(decodeScalars(traces), `${n} on ${threads}`).toEqual(expected.slice(0, n).flat());
      }
    }
  });

  it("have traces of their steps", () => {
    const elements = take(45);
    const traces = core.chainTraces(little(CAPACITY), little(START), little(...elements), { engine });
    let h = START;
    for (let step = 0; step < 3; step++) {
      const row = [h, ...elements.slice(15 * step, 15 * step + 15)];
      const own = traces.subarray(613 * 32 * step, 613 * 32 * (step + 1));
      expect(own).toEqual(core.poseidonTraces(little(CAPACITY), little(...row), { engine: "portable" }));
      h = poseidon16(CAPACITY, row);
      expect(decodeScalars(own.subarray(-32))).toEqual([h]);
    }
    expect(core.chainTraces(little(CAPACITY), little(START), new Uint8Array(), { engine })).toHaveLength(0);
  });

  it("refuse r in traces", () => {
    for (const n of [1, 4, 9]) {
      for (let at = 0; at < n; at++) {
        const inputs = new Uint8Array(512 * n);
        inputs.set(little(R), 512 * at + 32 * (at % 16));
        expect(() => core.poseidonTraces(little(0n), inputs, { engine })).toThrow(code("INPUT_INVALID"));
      }
    }
    expect(() => core.poseidonTraces(little(R), new Uint8Array(512), { engine })).toThrow(code("INPUT_INVALID"));
    expect(() => core.chainTraces(little(0n), little(R), new Uint8Array(480), { engine })).toThrow(
      code("INPUT_INVALID"),
    );
  });
});
