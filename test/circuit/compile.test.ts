import { readdir, readFile } from "node:fs/promises";
import { beforeAll, describe, expect, it } from "vitest";
import { compileCircuit } from "../../src/circuit/compile.js";
import { readR1csHeader } from "../../src/circuit/r1cs.js";
import type { ArtefactStore } from "../../src/circuit/store.js";
import { datasetProgram } from "../../src/dataset/circuit/index.js";
import { code, entries, TINY, temporaryStore } from "./support.js";

let store: ArtefactStore;
const compile = (source: string) => compileCircuit({ name: "program", source }, { store });
const program = (body: string, includes = "") =>
  `pragma circom 2.2.3;\n${includes}template Main() {\n${body}\n}\ncomponent main = Main();\n`;

beforeAll(async () => {
  store = await temporaryStore();
});

describe("compileCircuit", () => {
  it("leaves three artefacts and a summary, and takes them from the store the next time", async () => {
    const first = await compileCircuit(TINY, { store });
    expect((await readdir(first.directory)).sort()).toEqual([
      "circuit.json",
      "main.r1cs",
      "main.sym",
      "main.wasm",
      "manifest.json",
    ]);
    expect(await compileCircuit(TINY, { store })).toEqual(first);
    // The name is for messages: it is no part of what is compiled.
    const renamed = await compileCircuit({ ...TINY, name: "other" }, { store });
    expect(renamed).toEqual({ ...first, name: "other" });
    const header = readR1csHeader(await readFile(first.r1csPath));
    expect(first).toMatchObject({ rows: header.constraints, wires: header.wires, publicSignals: 3 });
  });

  it("gives another entry for another optimisation level", async () => {
    const linear = program(
      "    signal input a;\n    signal output b;\n    signal c <== a;\n    signal d <== c + 1;\n    b <== d * d;",
    );
    const rows: number[] = [];
    for (const optimisation of [0, 1, 2] as const) {
      rows.push((await compileCircuit({ name: "levels", source: linear, optimisation }, { store })).rows);
    }
    expect(rows).toEqual([3, 2, 1]);
    expect(await compile(linear)).toMatchObject({ rows: 2 });
  });

  it("takes includes from the circuits folder, and theirs from where they stand", async () => {
    const source = program(
      "    signal input in;\n    signal input small;\n    NonZero()(in);\n    RangeCheck(0, 4)(small);",
      'include "inference/packed_integers.circom";\ninclude "lib/nonzero.circom";\n',
    );
    expect((await compile(source)).rows).toBe(5);
    // A path may go up, as long as it stays inside.
    const inside = 'pragma circom 2.2.3;\ninclude "dataset/../lib/nonzero.circom";\ncomponent main = NonZero();\n';
    expect((await compile(inside)).rows).toBe(1);
  });

  it.each([
    ["a missing semicolon", "    signal input a\n    signal output b;\n    b <== a;", 3],
    ["a product of three", "    signal input a;\n    signal output b;\n    b <== a * a * a;", 5],
    ["an unknown signal", "    signal output b;\n    b <== a;", 4],
  ])("says which line it refuses: %s", async (_, body, line) => {
    const error = await compile(program(body)).then(
      () => undefined,
      (reason) => reason,
    );
    expect(error).toEqual(code("CIRCUIT_COMPILE"));
    expect(error.message).toMatch(/^circom refused program: error/);
    expect(error.message).not.toContain("\n");
    expect(error.message).not.toContain("\u001b");
    expect(error.message.endsWith(` (main.circom, line ${line})`)).toBe(true);
    expect(error.details.output).toContain(`"main.circom":${line}:`);
    expect(error.details.output).not.toContain("\u001b");
  });

  it("refuses a program without a main component, and an empty one", async () => {
    await expect(compile("pragma circom 2.2.3;\n")).rejects.toThrowError(code("CIRCUIT_COMPILE"));
    await expect(compile("")).rejects.toThrowError(code("CIRCUIT_COMPILE"));
  });

  it.each(["lib/none.circom", "/etc/hostname", "lib"])("does not know include %j", async (path) => {
    await expect(compile(program("", `include "${path}";\n`))).rejects.toThrowError(code("FILE_NOT_FOUND"));
  });

  it.each(["../package.json", "lib/../../package.json", "../circuits/lib/nonzero.circom"])(
    "refuses include %j, which leaves the folder",
    async (path) => {
      await expect(compile(program("", `include "${path}";\n`))).rejects.toThrowError(code("CIRCUIT_COMPILE"));
      await expect(compile(program("", `include "${path}";\n`))).rejects.toThrowError(/leaves the circuits folder/);
    },
  );

  it("gives circom nothing that is not in the entry's key: an include that is not read here is not found there", async () => {
    const hidden = 'pragma circom 2.2.3; include "lib/nonzero.circom";\ncomponent main = NonZero();\n';
    await expect(compile(hidden)).rejects.toThrowError(code("CIRCUIT_COMPILE"));
    const absolute = `pragma circom 2.2.3; include "${process.cwd()}/circuits/lib/nonzero.circom";\ncomponent main = NonZero();\n`;
    await expect(compile(absolute)).rejects.toThrowError(code("CIRCUIT_COMPILE"));
  });

  it("leaves nothing of a refused program", async () => {
    const own = await temporaryStore();
    await expect(compileCircuit({ name: "bad", source: "nonsense" }, { store: own })).rejects.toThrowError(
      code("CIRCUIT_COMPILE"),
    );
    expect(await entries(own, "circuit")).toEqual([]);
  });

  it("stops in the middle, and leaves nothing", async () => {
    const own = await temporaryStore();
    const stop = new AbortController();
    const running = compileCircuit(datasetProgram({ kind: "chunk", records: 16, depth: 2 }).circom, {
      store: own,
      signal: stop.signal,
    });
    const settled = expect(running).rejects.toThrowError(code("ABORTED"));
    // circom takes seconds for this one; its stage exists before it starts.
    while ((await entries(own, "circuit")).length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    await new Promise((resolve) => setTimeout(resolve, 300));
    // circom is killed, not waited for: a program that is started now ends after the one that takes seconds.
    const order: string[] = [];
    const later = compileCircuit(TINY, { store: await temporaryStore() }).then(() => order.push("later"));
    stop.abort();
    await settled.then(() => order.push("stopped"));
    await later;
    expect(order).toEqual(["stopped", "later"]);
    expect(await entries(own, "circuit")).toEqual([]);
    await expect(compileCircuit(TINY, { store: own, signal: AbortSignal.abort() })).rejects.toThrowError(
      code("ABORTED"),
    );
  });
});
