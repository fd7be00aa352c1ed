import { readFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { type CompiledCircuit, compileCircuit } from "../../src/circuit/compile.js";
import {
  checkWitness,
  circuitDigest,
  describeR1cs,
  inputWires,
  type R1cs,
  readR1cs,
  readR1csHeader,
  rowHolds,
  rowsOfWires,
} from "../../src/circuit/r1cs.js";
import { calculateWitness } from "../../src/circuit/witness.js";
import { isAnchorError } from "../../src/errors.js";
import { R } from "../../src/field/scalar.js";
import { changedFile } from "./files.js";
import { code, TINY, TINY_INPUTS, TINY_OUTPUT, temporaryFolder, temporaryStore } from "./support.js";

let circuit: CompiledCircuit;
let file: Buffer;
let r1cs: R1cs;

beforeAll(async () => {
  circuit = await compileCircuit(TINY);
  file = await readFile(circuit.r1csPath);
  r1cs = readR1cs(file);
});

/** Where each section's content lies. */
function sections(bytes: Uint8Array): Map<number, { start: number; length: number }> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = new Map<number, { start: number; length: number }>();
  let offset = 12;
  for (let i = 0; i < view.getUint32(8, true); i++) {
    const length = Number(view.getBigUint64(offset + 4, true));
    found.set(view.getUint32(offset, true), { start: offset + 12, length });
    offset += 12 + length;
  }
  expect(offset).toBe(bytes.length);
  return found;
}

function patched(edit: (view: DataView, at: (section: number) => number, bytes: Uint8Array) => void): Uint8Array {
  const copy = Uint8Array.from(file);
  const where = sections(copy);
  edit(new DataView(copy.buffer), (section) => where.get(section)!.start, copy);
  return copy;
}

/** Writes the constraint section back from what was read. */
function encodeRows({ a, b, c, constraints }: R1cs): Buffer {
  const parts: Buffer[] = [];
  const uint32 = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    parts.push(bytes);
  };
  for (let row = 0; row < constraints; row++) {
    for (const { start, wire, coefficient } of [a, b, c]) {
      uint32(start[row + 1]! - start[row]!);
      for (let i = start[row]!; i < start[row + 1]!; i++) {
        uint32(wire[i]!);
        parts.push(Buffer.from(coefficient[i]!.toString(16).padStart(64, "0"), "hex").reverse());
      }
    }
  }
  return Buffer.concat(parts);
}

describe("readR1cs", () => {
  it("reads the header", () => {
    const header = { publicOutputs: 1, publicInputs: 2, privateInputs: 3, wires: 9, constraints: 3 };
    expect(readR1csHeader(file)).toEqual(header);
    expect(r1cs).toMatchObject(header);
    expect(circuit).toMatchObject({ rows: 3, wires: 9, publicSignals: 3, circuitDigest: circuitDigest(file) });
  });

  it("loses nothing: the rows written back are the file's", () => {
    const { start, length } = sections(file).get(2)!;
    expect(encodeRows(r1cs).equals(file.subarray(start, start + length))).toBe(true);
  });

  it("reads the same from a view inside a larger buffer", () => {
    const larger = new Uint8Array(file.length + 7);
    larger.set(file, 5);
    expect(readR1cs(larger.subarray(5, 5 + file.length))).toEqual(r1cs);
  });

  it("reads circom's own header where a private input equals an output and has no wire", async () => {
    const { r1csPath, rows, wires } = await compileCircuit({
      name: "copy",
      source:
        "pragma circom 2.2.3;\ntemplate Copy() {\n    signal input in;\n    signal output out <== in;\n    in * (in - 1) === 0;\n}\ncomponent main = Copy();\n",
    });
    expect({ rows, wires }).toEqual({ rows: 1, wires: 2 });
    expect(readR1cs(await readFile(r1csPath))).toMatchObject({ privateInputs: 1, publicOutputs: 1, wires: 2 });
  });

  it("refuses custom templates: no row binds what they compute, and a prover could set it at will", async () => {
    const source = `pragma circom 2.2.3;
pragma custom_templates;
template custom Square() {
    signal input in;
    signal output out;
    out <-- in * in;
}
template Main() {
    signal input in;
    signal output out;
    component square = Square();
    square.in <== in;
    out <== square.out * in;
}
component main = Main();
`;
    await expect(compileCircuit({ name: "custom", source })).rejects.toThrow(code("CIRCUIT_MALFORMED"));
    const path = join(await temporaryFolder(), "custom.r1cs");
    for (const id of [4, 5]) {
      const bytes = await readFile(await changedFile("r1cs", circuit.r1csPath, path, { [id]: new Uint8Array(4) }));
      expect(() => readR1cs(bytes)).toThrowError(code("CIRCUIT_MALFORMED"));
      await expect(describeR1cs(path)).rejects.toThrow(code("CIRCUIT_MALFORMED"));
    }
  });

  it("refuses every truncation", () => {
    for (let length = 0; length < file.length; length++) {
      expect(() => readR1cs(file.subarray(0, length))).toThrowError(code("CIRCUIT_MALFORMED"));
    }
    expect(() => readR1cs(new Uint8Array([...file, 0]))).toThrowError(code("CIRCUIT_MALFORMED"));
  });

  it("gives a code or a well-formed system for every flipped bit, and for random damage", () => {
    const check = (damaged: Uint8Array) => {
      try {
        const read = readR1cs(damaged);
        for (const { start, wire, coefficient } of [read.a, read.b, read.c]) {
          expect(start).toHaveLength(read.constraints + 1);
          expect(start.at(-1)).toBe(wire.length);
          expect(coefficient).toHaveLength(wire.length);
          expect(wire.every((index) => index < read.wires)).toBe(true);
          expect(coefficient.every((value) => value >= 0n && value < R)).toBe(true);
        }
        return true;
      } catch (error) {
        if (!isAnchorError(error, "CIRCUIT_MALFORMED")) throw error;
        return false;
      }
    };
    let accepted = 0;
    for (let bit = 0; bit < 8 * file.length; bit++) {
      const copy = Uint8Array.from(file);
      copy[bit >> 3]! ^= 1 << (bit & 7);
      if (check(copy)) accepted++;
    }
    // Coefficients, wire numbers and labels may change unseen; the digest names them.
    expect(accepted).toBeGreaterThan(0);
    expect(accepted).toBeLessThan(8 * file.length);
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(file.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }), (edits) => {
        const copy = Uint8Array.from(file);
        for (const [at, value] of edits) copy[at] = value;
        check(copy);
      }),
      { numRuns: 500 },
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void check(bytes)));
  });

  it("names what is wrong", () => {
    const rows = (view: DataView, at: (section: number) => number) => ({ view, rows: at(2), header: at(1) });
    const cases: [RegExp, Uint8Array][] = [
      [/version 1/, patched((view) => view.setUint32(0, 0x12345678, true))],
      [/version 1/, patched((view) => view.setUint32(4, 2, true))],
      [/field/, patched((view, at) => view.setUint8(at(1) + 4, view.getUint8(at(1) + 4) ^ 1))],
      [/too few wires/, patched((view, at) => view.setUint32(rows(view, at).header + 36, 3, true))],
      // The number of rows is believed only as far as the file's length allows, before any memory is taken.
      [/truncated/, patched((view, at) => view.setUint32(at(1) + 60, 0xffffffff, true))],
      [/left over/, patched((view, at) => view.setUint32(at(1) + 60, 2, true))],
      [/wire 9 of 9/, patched((view, at) => view.setUint32(at(2) + 4, 9, true))],
      [/not reduced/, patched((_, at, bytes) => bytes.fill(255, at(2) + 8, at(2) + 40))],
    ];
    for (const [reason, bytes] of cases) {
      expect(() => readR1cs(bytes)).toThrowError(code("CIRCUIT_MALFORMED"));
      expect(() => readR1cs(bytes)).toThrowError(reason);
    }
  });

  it("refuses a section that stands twice or is missing", () => {
    const { start, length } = sections(file).get(1)!;
    const header = file.subarray(start - 12, start + length);
    const twice = Buffer.concat([file, header]);
    twice.writeUInt32LE(twice.readUInt32LE(8) + 1, 8);
    expect(() => readR1cs(twice)).toThrowError(/twice/);
    const foreign = Buffer.from(file);
    foreign.writeUInt32LE(99, start - 12);
    expect(() => readR1cs(foreign)).toThrowError(/missing/);
  });
});

describe("circuitDigest", () => {
  it("is the same after compiling again elsewhere, and for other names of the same signals", async () => {
    const again = await compileCircuit(TINY, { store: await temporaryStore() });
    expect(again.directory).not.toBe(circuit.directory);
    expect(again.circuitDigest).toBe(circuit.circuitDigest);
    const renamed = TINY.source.replaceAll("square", "quadrat").replaceAll("Tiny", "Winzig");
    expect((await compileCircuit({ name: "renamed", source: renamed })).circuitDigest).toBe(circuit.circuitDigest);
  });

  it("is another for another constant, and for any bit of header or rows", async () => {
    const other = await compileCircuit({ name: "four", source: TINY.source.replace("+ 3;", "+ 4;") });
    expect(other.circuitDigest).not.toBe(circuit.circuitDigest);
    const seen = new Set<string>([circuit.circuitDigest]);
    let bits = 0;
    for (const id of [1, 2]) {
      const { start, length } = sections(file).get(id)!;
      for (let at = start; at < start + length; at++) {
        const copy = Uint8Array.from(file);
        copy[at]! ^= 1 << (at & 7);
        seen.add(circuitDigest(copy));
        bits++;
      }
    }
    expect(seen.size).toBe(bits + 1);
    const labels = sections(file).get(3)!;
    const relabelled = Uint8Array.from(file);
    relabelled[labels.start + labels.length - 8]! ^= 1;
    expect(circuitDigest(relabelled)).toBe(circuit.circuitDigest);
  });
});

describe("inputWires", () => {
  /** a and c get no wires of their own: they are equal to an output and to b. */
  const MERGED = `pragma circom 2.2.3;
template Merged() {
    signal input a;
    signal input b;
    signal input c;
    signal input d;
    signal output first <== a;
    signal output second;
    signal x <== b * b;
    signal y <== x * c;
    second <== y * x + d;
    c === b;
}
component main {public [d]} = Merged();
`;

  it("are the public and private ones, and no others where inputs have no wires of their own", async () => {
    expect(inputWires(r1cs)).toEqual([2, 3, 4, 5, 6]);
    const { r1csPath, symPath } = await compileCircuit({ name: "merged", source: MERGED });
    const merged = readR1cs(await readFile(r1csPath));
    expect(merged).toMatchObject({ publicInputs: 1, privateInputs: 3 });
    const names = (await readFile(symPath, "utf8")).trim().split("\n");
    const wire = (name: string) => Number(names.find((line) => line.endsWith(`main.${name}`))!.split(",")[1]);
    expect(inputWires(merged)).toEqual([wire("d"), wire("b")]);
    for (const name of ["x", "y", "second"]) expect(inputWires(merged)).not.toContain(wire(name));
  });

  it("are taken by their places where a file has no such labels", () => {
    const { start } = sections(file).get(3)!;
    const unlabelled = Buffer.from(file).fill(0, start, start + 8 * r1cs.wires);
    expect(readR1cs(unlabelled).labels).toBeUndefined();
    expect(inputWires(readR1cs(unlabelled))).toEqual([2, 3, 4, 5, 6]);
    expect(inputWires({ ...r1cs, labels: undefined, privateInputs: 99 })).toEqual([2, 3, 4, 5, 6, 7, 8]);
  });
});

describe("checkWitness", () => {
  let witness: bigint[];

  beforeAll(async () => {
    witness = await calculateWitness(circuit.wasmPath, TINY_INPUTS);
  });

  it("accepts the honest witness, whose wires are 1, the outputs, the public inputs and the rest", () => {
    expect(checkWitness(r1cs, witness)).toBe(-1);
    expect(witness.slice(0, 7)).toEqual([1n, TINY_OUTPUT, 5n, 77n, 11n, 3n, 1n]);
  });

  it("gives the first row that is violated", () => {
    const rows = rowsOfWires(r1cs);
    for (let wire = 1; wire < witness.length; wire++) {
      const wrong = witness.map((value, i) => (i === wire ? value + 1n : value));
      const violated = rows[wire]!.filter((row) => !rowHolds(r1cs, wrong, row));
      expect(checkWitness(r1cs, wrong)).toBe(violated.length === 0 ? -1 : Math.min(...violated));
      // Only the input that no row mentions is free: it is bound by the key, not by the rows.
      expect(violated.length === 0).toBe(wire === 3);
    }
    expect(rows[3]).toEqual([]);
    expect(rows[0]!.length).toBeGreaterThan(0);
  });

  it("refuses what is no witness of this circuit", () => {
    for (const bad of [witness.slice(1), [...witness, 0n], witness.map((v, i) => (i === 0 ? 2n : v)), []]) {
      expect(() => checkWitness(r1cs, bad)).toThrowError(code("WITNESS_INVALID"));
    }
  });
});
