import { createHash } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { checkWitness } from "../../../src/circuit/r1cs.js";
import { measureProgram, programWitness } from "../../../src/circuit/synthesis/program.js";
import {
  SHA256_BLOCKS,
  type Sha256Request,
  sha256Capacity,
  sha256Program,
} from "../../../src/dataset/circuit/sha256.js";
import { digestDescription } from "../../../src/dataset/layout.js";
import { bytesRecord, describeRecord } from "../../../src/dataset/record.js";
import { sha256Signals } from "../../../src/dataset/sha256.js";
import { packElements, utf8 } from "../../../src/field/bytes.js";
import { witnessOf } from "../../model/circuit/support.js";
import { systemOf, Twin } from "./support.js";

const SALT = 12345n;

function request(data: Uint8Array): Sha256Request {
  const description = describeRecord(bytesRecord(data, "prompt.txt"), []);
  return { record: digestDescription(description, SALT), description, salt: SALT, data, context: 9n };
}

const text = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 37 + 11) % 256);

const signalsOf = ({ record, data }: Sha256Request) =>
  sha256Signals({ record, sha256: createHash("sha256").update(data).digest(), length: data.length });

describe("a link to SHA-256 of one block", () => {
  let twin: Twin<Sha256Request>;

  beforeAll(async () => {
    twin = await Twin.of(sha256Program({ blocks: 1 }));
  }, 120_000);

  it.each([0, 1, 3, 31, 32, 54, 55])("has circom's witness for %i bytes", async (length) => {
    const given = request(text(length));
    const [record, high, low, size] = signalsOf(given);
    const element = packElements(given.data);
    while (element.length < 2) element.push(0n);
    const inputs = { record: record!, high: high!, low: low!, length: size!, context: 9n };
    const witness = await twin.witness(given, { ...inputs, description: [...given.description], salt: SALT, element });
    expect(witness.slice(1, 6)).toEqual([record, high, low, size, 9n]);
  });
});

describe("a link to SHA-256 of several blocks", () => {
  const program = sha256Program({ blocks: 3 });
  const { r1cs, names } = systemOf(program);
  const { wires } = measureProgram(program);
  const prove = (data: Uint8Array) => witnessOf(programWitness(program, wires, request(data)));

  it.each([0, 55, 56, 64, 118, 119, 120, 128, 182, 183])("is Node's digest for %i bytes", (length) => {
    const witness = prove(text(length));
    expect(checkWitness(r1cs, witness)).toBe(-1);
    expect(witness.slice(1, 5)).toEqual(signalsOf(request(text(length))));
  });

  it("takes no byte more, and no part of a record", () => {
    expect(() => prove(text(184))).toThrow();
    const given = request(text(10));
    const part = [...given.description];
    part[8] = 2n ** 33n;
    const forged = { ...given, description: part, record: digestDescription(part, SALT) };
    expect(checkWitness(r1cs, witnessOf(programWitness(program, wires, forged)))).not.toBe(-1);
  });

  it("refuses another digest, length, data, and dtype", () => {
    const honest = prove(utf8("the same bytes"));
    for (const name of [
      "record",
      "high",
      "low",
      "length",
      "element[0]",
      "bit[3][2]",
      "before[14]",
      "last[1]",
      "block[0].word[20][3]",
    ]) {
      const changed = [...honest];
      const wire = names.get(`main.${name}`)!;
      changed[wire] = changed[wire] === 0n ? 1n : 0n;
      expect(checkWitness(r1cs, changed), name).not.toBe(-1);
    }
    const given = request(utf8("0123456789abcdef"));
    const numbers = [...given.description];
    numbers[0] = numbers[0]! + 4n * 256n; // i16
    const forged = { ...given, description: numbers, record: digestDescription(numbers, SALT) };
    expect(checkWitness(r1cs, witnessOf(programWitness(program, wires, forged)))).not.toBe(-1);
  });

  it("comes in sizes below 2^17 to 2^21 rows", () => {
    for (const [i, blocks] of SHA256_BLOCKS.entries()) {
      if (i > 2) continue; // the larger ones take seconds to count
      const { rows } = measureProgram(sha256Program({ blocks }));
      expect(rows).toBeLessThan(2 ** (17 + i) - 8);
      expect(sha256Capacity(blocks)).toBeGreaterThan(200);
    }
  });
});
