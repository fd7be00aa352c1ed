import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AT, chainFrom, digestText, PART_BYTES, STARTS } from "../../src/dataset/layout.js";
import {
  bytesRecord,
  type Cell,
  type Column,
  checkColumns,
  checkRecord,
  contentElements,
  type DatasetRecord,
  DTYPES,
  type Dtype,
  decodeRecord,
  describeRecord,
  encodeCell,
  encodeRecord,
  MAX_CELL_BYTES,
  packing,
  partCount,
  partValues,
  recordKind,
  schemaDigest,
} from "../../src/dataset/record.js";
import { fromHex, toHex, utf8 } from "../../src/field/bytes.js";
import { code, outcomeOf } from "../support/errors.js";

const dtypes = Object.keys(DTYPES) as Dtype[];
const integers = dtypes.filter((dtype) => /^[ui]\d/.test(dtype));

const COLUMNS: Column[] = [
  { name: "a", type: "text" },
  { name: "b", type: "decimal", digits: 2 },
  { name: "c", type: "float" },
  { name: "d", type: "text" },
];

const text = fc.oneof(fc.string({ maxLength: 12, unit: "grapheme" }), fc.constantFrom("", "\0", "\ufeff", "a\0"));
const cell: fc.Arbitrary<Cell> = fc.oneof(
  fc.constant(null),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.double({ noNaN: true }),
  text,
);

/** Any record that is allowed, small. */
const record = fc
  .record({
    dtype: fc.constantFrom(...dtypes),
    shape: fc.array(fc.nat(3), { maxLength: 8 }),
    scale: fc.option(fc.record({ base: fc.constantFrom(2, 10), exponent: fc.integer({ min: -1024, max: 1024 }) })),
    name: text,
    label: text,
    cells: fc.array(cell, { maxLength: 8 }),
  })
  .filter(({ shape }) => shape.reduce((size, n) => size * n, 1) <= 64)
  .chain(({ dtype, shape, scale, ...rest }) => {
    const plain = dtype === "bytes" || dtype === "text";
    const count = plain ? (shape[0] ?? 0) : shape.reduce((size, n) => size * n, 1);
    const max = dtype === "bool" ? 1 : dtype === "text" ? 127 : 255;
    const length = count * DTYPES[dtype].size;
    return fc.array(fc.nat(max), { minLength: length, maxLength: length }).map((data): DatasetRecord => {
      const scaled =
        integers.includes(dtype) && scale !== null ? { scale: scale as { base: 2 | 10; exponent: number } } : {};
      return {
        dtype,
        shape: plain ? [count] : shape,
        ...scaled,
        ...rest,
        part: 0,
        parts: 1,
        data: Uint8Array.from(data),
      };
    });
  });

/** Columns that a record's cells fit. */
const columnsOf = (cells: readonly Cell[]): Column[] =>
  cells.map((each, i) => {
    if (typeof each === "bigint") return { name: `${i}`, type: "decimal", digits: 3 };
    return { name: `${i}`, type: typeof each === "number" ? "float" : "text" };
  });

const describeOwn = (each: DatasetRecord) => describeRecord(each, columnsOf(each.cells ?? []));

/** What two records are told apart by: 0 and -0 differ. */
const same = (a: DatasetRecord, b: DatasetRecord) => Buffer.compare(encodeRecord(a), encodeRecord(b)) === 0;

describe("encodeRecord", () => {
  const hex = (spaced: string) => `0x${spaced.replaceAll(" ", "")}`;

  it("writes the documented bytes", () => {
    const tensor: DatasetRecord = {
      dtype: "i16",
      shape: [2, 1],
      scale: { base: 10, exponent: -7 },
      name: "é",
      label: "x",
      cells: [null, -5n, 1.5, "hi"],
      data: Uint8Array.of(1, 2, 3, 4),
    };
    expect(toHex(encodeRecord(tensor))).toBe(
      hex(
        "02 04 02 0000000000000002 0000000000000001 0a fff9 0002 c3a9 0001 78" +
          "04 00 01 fffffffffffffffb 02 3ff8000000000000 03 00000002 6869 00000000 00000001 0000000000000004 01020304",
      ),
    );
    expect(toHex(encodeRecord(bytesRecord(utf8("hello"), "greeting")))).toBe(
      hex(
        "02 00 01 0000000000000005 00 0000 0008 6772656574696e67 0000 00 00000000 00000001 0000000000000005 68656c6c6f",
      ),
    );
    // a scalar has rank 0 and one value
    expect(toHex(encodeRecord({ dtype: "bf16", shape: [], data: Uint8Array.of(1, 2) }))).toBe(
      hex("02 0e 00 00 0000 0000 0000 00 00000000 00000001 0000000000000002 0102"),
    );
  });

  it("keeps its codes for ever", () => {
    expect(Object.entries(DTYPES).map(([name, { code, size }]) => [name, code, size])).toEqual([
      ["bytes", 0, 1],
      ["text", 1, 1],
      ["u8", 2, 1],
      ["i8", 3, 1],
      ["i16", 4, 2],
      ["i32", 5, 4],
      ["i64", 6, 8],
      ["f16", 7, 2],
      ["f32", 8, 4],
      ["f64", 9, 8],
      ["u16", 10, 2],
      ["u32", 11, 4],
      ["u64", 12, 8],
      ["bool", 13, 1],
      ["bf16", 14, 2],
    ]);
  });

  it("is undone by decodeRecord", () => {
    fc.assert(
      fc.property(record, (each) => {
        expect(decodeRecord(encodeRecord(each))).toEqual(each);
      }),
    );
  });

  it("is undone from a part of a larger buffer, into memory of its own", () => {
    const encoded = encodeRecord(bytesRecord(utf8("hello")));
    const around = Buffer.concat([Buffer.alloc(3), encoded, Buffer.alloc(3)]);
    const decoded = decodeRecord(around.subarray(3, 3 + encoded.length));
    around.fill(0);
    expect(decoded.data).toEqual(utf8("hello"));
  });

  it("takes its bytes as the only ones: any change is refused, or is another record", () => {
    fc.assert(
      fc.property(record, fc.nat(), fc.integer({ min: 1, max: 255 }), (each, place, flip) => {
        const bytes = encodeRecord(each);
        const at = place % bytes.length;
        bytes[at] = bytes[at]! ^ flip;
        let decoded: DatasetRecord | undefined;
        if (outcomeOf(() => (decoded = decodeRecord(bytes))) === "INPUT_INVALID") return;
        expect(encodeRecord(decoded!)).toEqual(bytes);
        expect(same(decoded!, each)).toBe(false);
      }),
    );
  });

  it("refuses bytes that end early, or go on", () => {
    const bytes = encodeRecord({
      dtype: "u16",
      shape: [1, 1],
      scale: { base: 2, exponent: 3 },
      name: "name",
      label: "label",
      cells: [1n, 2, "three", null],
      data: Uint8Array.of(1, 2),
    });
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeRecord(bytes.subarray(0, length))).toThrow(code("INPUT_INVALID"));
    }
    expect(() => decodeRecord(Uint8Array.of(...bytes, 0))).toThrow(code("INPUT_INVALID"));
    expect(() => decodeRecord("0x02" as never)).toThrow(code("INPUT_INVALID"));
  });
});

describe("checkRecord", () => {
  const good = { dtype: "u8", shape: [2], data: new Uint8Array(2) };

  it.each<[string, object]>([
    ["an unknown dtype", { dtype: "u128" }],
    ["a dtype that every object has", { dtype: "constructor" }],
    ["no dtype", { dtype: undefined }],
    ["less data than the shape says", { shape: [3] }],
    ["more data than the shape says", { shape: [1] }],
    ["bytes counted as elements", { dtype: "i16" }],
    ["a negative dimension", { shape: [-1, -2] }],
    ["a fraction", { shape: [0.5, 4] }],
    ["a dimension that is no number", { shape: ["2"] }],
    ["a dimension with a sign", { shape: [-0], data: new Uint8Array() }],
    ["a shape with a hole", { shape: new Array(1) }],
    ["NaN", { shape: [Number.NaN] }],
    ["infinity times zero", { shape: [Number.POSITIVE_INFINITY, 0], data: new Uint8Array() }],
    ["an integer too large to be exact", { shape: [2 ** 53, 0], data: new Uint8Array() }],
    ["a rank above 8", { shape: [1, 1, 1, 1, 1, 1, 1, 1, 2] }],
    ["more values than can be counted", { shape: [2 ** 52, 2], parts: 2 ** 33 }],
    ["bytes of two dimensions", { dtype: "bytes", shape: [1, 2] }],
    ["text without a dimension", { dtype: "text", shape: [], data: new Uint8Array(1) }],
    ["text that is not UTF-8", { dtype: "text", data: Uint8Array.of(0xc3, 0x28) }],
    ["a bool of 2", { dtype: "bool", data: Uint8Array.of(1, 2) }],
    ["a scaled float", { dtype: "f16", shape: [1], scale: { base: 2, exponent: 1 } }],
    ["scaled text", { dtype: "text", scale: { base: 2, exponent: 1 } }],
    ["scaled bytes", { dtype: "bytes", scale: { base: 2, exponent: 1 } }],
    ["a scaled bool", { dtype: "bool", scale: { base: 2, exponent: 1 } }],
    ["a scale too large", { scale: { base: 2, exponent: 1025 } }],
    ["a scale too small", { scale: { base: 10, exponent: -1025 } }],
    ["a fractional scale", { scale: { base: 2, exponent: 0.5 } }],
    ["a scale of another base", { scale: { base: 3, exponent: 1 } }],
    ["a scale that is a number", { scale: -7 }],
    ["a scale that is null", { scale: null }],
    ["a label with half a surrogate pair", { label: "\ud800" }],
    ["a label that is no text", { label: 5 }],
    ["a label too long", { label: `${"é".repeat(512)}a` }],
    ["a name that is null", { name: null }],
    ["a name too long", { name: "a".repeat(1025) }],
    ["cells that are null", { cells: null }],
    ["too many cells", { cells: new Array(81).fill(null) }],
    ["a cell that is not there", { cells: new Array(1) }],
    ["a cell that is a list", { cells: [[]] }],
    ["a cell that is NaN", { cells: [Number.NaN] }],
    ["a decimal too large", { cells: [2n ** 63n] }],
    ["a decimal too small", { cells: [-(2n ** 63n) - 1n] }],
    ["a cell of broken text", { cells: ["\udc00"] }],
    ["a cell of too much text", { cells: ["a".repeat(MAX_CELL_BYTES + 1)] }],
    ["a part that does not exist", { part: 1 }],
    ["a negative part", { part: -1 }],
    ["parts of what needs none", { parts: 2 }],
    ["no parts", { parts: 0 }],
    ["data that is no Uint8Array", { data: new Uint16Array([300, 1]) }],
    ["data in a plain array", { data: [300, 1] }],
    ["no data", { data: undefined }],
  ])("refuses %s", (_, change) => {
    expect(outcomeOf(() => checkRecord(good))).toBe("accepted");
    const record = { ...good, ...change } as DatasetRecord;
    for (const refuse of [() => checkRecord(record), () => encodeRecord(record), () => describeRecord(record, [])]) {
      expect(refuse).toThrow(code("INPUT_INVALID"));
    }
  });

  it("refuses what is no object", () => {
    for (const value of [undefined, null, 5, "u8"]) expect(() => checkRecord(value)).toThrow(code("INPUT_INVALID"));
  });

  it("takes names up to 1,024 bytes and shapes up to rank 8", () => {
    const name = "é".repeat(512);
    expect(outcomeOf(() => checkRecord({ ...good, name, label: `\ufeff${name.slice(2)}` }))).toBe("accepted");
    expect(outcomeOf(() => checkRecord({ ...good, shape: [1, 1, 1, 1, 1, 1, 1, 2] }))).toBe("accepted");
    expect(outcomeOf(() => checkRecord({ ...good, shape: [2 ** 40, 2 ** 40, 0], data: new Uint8Array() }))).toBe(
      "accepted",
    );
  });

  it("holds cells to their columns", () => {
    const cells = ["a", 5n, 0.5, null];
    expect(outcomeOf(() => checkRecord({ ...good, cells }, COLUMNS))).toBe("accepted");
    for (const wrong of [undefined, [], cells.slice(1), [...cells, null], [5n, 5n, 0.5, null], ["a", 5, 0.5, null]]) {
      expect(outcomeOf(() => checkRecord({ ...good, cells: wrong }, COLUMNS))).toBe("INPUT_INVALID");
    }
  });

  it("cuts long records where the layout says, and nowhere else", () => {
    expect([partValues("u8"), partValues("bf16"), partValues("i32"), partValues("f64")]).toEqual([
      PART_BYTES,
      PART_BYTES / 2,
      PART_BYTES / 4,
      PART_BYTES / 8,
    ]);
    expect([0, 1, PART_BYTES, PART_BYTES + 1].map((values) => partCount("text", values))).toEqual([1, 1, 1, 2]);
    const whole = new Uint8Array(PART_BYTES);
    const part = (change: object) =>
      outcomeOf(() => checkRecord({ dtype: "u8", parts: 2, ...change } as DatasetRecord));
    const shape = [PART_BYTES + 3];
    expect(part({ shape, part: 0, data: whole })).toBe("accepted");
    expect(part({ shape, part: 1, data: new Uint8Array(3) })).toBe("accepted");
    expect(part({ shape, part: 1, data: new Uint8Array(2) })).toBe("INPUT_INVALID");
    expect(part({ shape, part: 0, data: whole.subarray(1) })).toBe("INPUT_INVALID");
    expect(part({ shape, part: 2, data: new Uint8Array(3) })).toBe("INPUT_INVALID");
    expect(part({ shape, part: 0, parts: 3, data: whole })).toBe("INPUT_INVALID");
    expect(part({ shape, part: 0, parts: 1, data: new Uint8Array(PART_BYTES + 3) })).toBe("INPUT_INVALID");
    // a row is counted once
    expect(part({ shape, part: 0, data: whole, cells: [1n] })).toBe("accepted");
    expect(part({ shape, part: 1, data: new Uint8Array(3), cells: [null] })).toBe("accepted");
    expect(part({ shape, part: 1, data: new Uint8Array(3), cells: [1n] })).toBe("INPUT_INVALID");
  });

  it("takes text that is cut inside a character, and no other half character", () => {
    for (const character of ["é", "€", "😀"]) {
      const bytes = utf8(character);
      for (let before = 0; before <= bytes.length; before++) {
        const long = new Uint8Array(PART_BYTES + 8).fill(0x61);
        long.set(bytes, PART_BYTES - before);
        const cut = (part: number, broken?: number) => {
          const data = part === 0 ? long.slice(0, PART_BYTES) : long.slice(PART_BYTES);
          if (broken !== undefined) data[broken] = 0x80;
          return outcomeOf(() => checkRecord({ dtype: "text", shape: [long.length], part, parts: 2, data }));
        };
        expect([cut(0), cut(1)]).toEqual(["accepted", "accepted"]);
        expect([cut(0, 0), cut(0, PART_BYTES - 5), cut(1, 5), cut(1, 7)]).toEqual(new Array(4).fill("INPUT_INVALID"));
      }
    }
  });
});

describe("columns", () => {
  it.each<[string, unknown]>([
    ["no list", {}],
    ["too many", Array.from({ length: 81 }, (_, i) => ({ name: `${i}`, type: "text" }))],
    ["null", [null]],
    ["a column without a name", [{ name: "", type: "text" }]],
    ["a name that is no text", [{ name: 5, type: "text" }]],
    ["a name with half a pair", [{ name: "\ud800", type: "text" }]],
    ["two columns of one name", [COLUMNS[0], COLUMNS[0]]],
    ["an unknown type", [{ name: "a", type: "date" }]],
    ["a decimal without digits", [{ name: "a", type: "decimal" }]],
    ["too many digits", [{ name: "a", type: "decimal", digits: 19 }]],
    ["half a digit", [{ name: "a", type: "decimal", digits: 0.5 }]],
    ["digits of a float", [{ name: "a", type: "float", digits: 0 }]],
    ["a hole", new Array(1)],
  ])("refuses %s", (_, columns) => {
    expect(() => checkColumns(columns)).toThrow(code("INPUT_INVALID"));
    expect(() => schemaDigest(columns as Column[])).toThrow(code("INPUT_INVALID"));
  });

  it("have the digest of their text", () => {
    expect(schemaDigest([])).toBe(0n);
    const json = '[{"name":"a","type":"text"},{"name":"b","type":"decimal","digits":2},{"name":"c","type":"float"},';
    expect(schemaDigest(COLUMNS)).toBe(digestText(utf8(`${json}{"name":"d","type":"text"}]`)));
    const shuffled = [{ digits: 2, note: "not ours", type: "decimal", name: "b" } as Column];
    expect(schemaDigest(shuffled)).toBe(schemaDigest([COLUMNS[1]!]));
    const others = [COLUMNS.slice(1), [COLUMNS[1]!], [{ name: "b", type: "decimal", digits: 3 } as const]];
    expect(new Set([COLUMNS, [...COLUMNS].reverse(), ...others].map(schemaDigest)).size).toBe(5);
  });
});

describe("cells", () => {
  const [ofText, ofDecimal, ofFloat] = COLUMNS as [Column, Column, Column];

  it("are encoded as written down", () => {
    for (const column of COLUMNS) expect(encodeCell(column, null)).toBe(0n);
    expect(encodeCell(ofDecimal, -(2n ** 63n))).toBe(1n);
    expect(encodeCell(ofDecimal, 0n)).toBe(2n ** 63n + 1n);
    expect(encodeCell(ofDecimal, 2n ** 63n - 1n)).toBe(2n ** 64n);
    expect(encodeCell(ofFloat, 0)).toBe(2n ** 63n + 1n);
    expect(encodeCell(ofFloat, -0)).toBe(2n ** 63n);
    expect(encodeCell(ofFloat, 1)).toBe(0xbff0000000000000n + 1n);
    expect(encodeCell(ofFloat, -1)).toBe(0x400fffffffffffffn + 1n);
    expect(encodeCell(ofText, "")).toBe(digestText(new Uint8Array()));
    expect(encodeCell(ofText, "é")).toBe(digestText(utf8("é")));
  });

  it("keep the order of numbers", () => {
    const double = fc.double({ noNaN: true });
    fc.assert(
      fc.property(double, double, (a, b) => {
        expect(encodeCell(ofFloat, a) < encodeCell(ofFloat, b)).toBe(a < b || (Object.is(a, -0) && Object.is(b, 0)));
      }),
    );
  });

  it("are held to their column", () => {
    const wrong: [Column, unknown][] = [
      [ofText, 1],
      [ofText, 1n],
      [ofDecimal, 1],
      [ofDecimal, "1"],
      [ofDecimal, 2n ** 63n],
      [ofFloat, 1n],
      [ofFloat, Number.NaN],
      [ofFloat, undefined],
    ];
    for (const [column, value] of wrong) {
      expect(() => encodeCell(column, value as Cell)).toThrow(code("INPUT_INVALID"));
    }
  });
});

describe("contentElements", () => {
  /** The keys of an element, first number highest. */
  const unpack = (dtype: Dtype, element: bigint): bigint[] => {
    const { size, perElement } = packing(dtype);
    const bits = BigInt(8 * size);
    return Array.from({ length: perElement }, (_, j) =>
      BigInt.asUintN(8 * size, element >> (bits * BigInt(perElement - 1 - j))),
    );
  };
  const keysOf = (dtype: Dtype, data: Uint8Array) => {
    const { size } = packing(dtype);
    return contentElements({ dtype, data })
      .flatMap((element) => unpack(dtype, element))
      .slice(0, data.length / size);
  };

  it("packs as written down", () => {
    const bytes = Uint8Array.from({ length: 32 }, (_, i) => i);
    for (const dtype of ["bytes", "text", "u8"] as const) {
      expect(contentElements({ dtype, data: bytes })).toEqual([BigInt(toHex(bytes.subarray(0, 31))), 31n << 240n]);
    }
    expect(contentElements({ dtype: "i8", data: Uint8Array.of(0x80, 0xff, 0, 0x7f) })).toEqual([0x007f80ffn << 216n]);
    const i16 = Buffer.alloc(32);
    for (let i = 0; i < 16; i++) i16.writeInt16LE(i - 8, 2 * i);
    expect(keysOf("i16", i16)).toEqual(Array.from({ length: 16 }, (_, i) => BigInt(2 ** 15 + i - 8)));
    expect(contentElements({ dtype: "i16", data: i16 })[1]).toBe(0x8007n << 224n);
    const f32 = Buffer.alloc(8);
    f32.writeFloatLE(1, 0);
    f32.writeFloatLE(-1, 4);
    expect(contentElements({ dtype: "f32", data: f32 })).toEqual([0xbf800000_407fffffn << 160n]);
    expect(contentElements({ dtype: "u64", data: fromHex("0x0102030405060708", "data") })).toEqual([
      0x0807060504030201n << 128n,
    ]);
    expect(contentElements({ dtype: "bytes", data: new Uint8Array() })).toEqual([]);
  });

  it.each<[Dtype, (view: DataView, at: number) => number | bigint]>([
    ["i8", (view, at) => view.getInt8(at)],
    ["i16", (view, at) => view.getInt16(at, true)],
    ["i32", (view, at) => view.getInt32(at, true)],
    ["i64", (view, at) => view.getBigInt64(at, true)],
    ["u16", (view, at) => view.getUint16(at, true)],
    ["u32", (view, at) => view.getUint32(at, true)],
    ["u64", (view, at) => view.getBigUint64(at, true)],
    ["f32", (view, at) => view.getFloat32(at, true)],
    ["f64", (view, at) => view.getFloat64(at, true)],
  ])("gives %s keys in the order of the numbers, NaN outside", (dtype, read) => {
    const { size, mode } = packing(dtype);
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16 * size, maxLength: 16 * size }), (data) => {
        const view = new DataView(data.buffer, data.byteOffset);
        const keys = keysOf(dtype, data);
        const numbers = keys.map((_, i) => read(view, size * i));
        for (const [i, a] of numbers.entries()) {
          for (const [j, b] of numbers.entries()) if (a < b) expect(keys[i]! < keys[j]!).toBe(true);
          if (mode === "signed") expect(keys[i]).toBe(BigInt(a) + 2n ** BigInt(8 * size - 1));
          if (mode === "unsigned") expect(keys[i]).toBe(BigInt(a));
        }
      }),
    );
    if (mode !== "float") return;
    const special = Buffer.from(
      size === 4 ? new Float32Array([-1 / 0, 1 / 0]).buffer : new Float64Array([-1 / 0, 1 / 0]).buffer,
    );
    const [low, high] = keysOf(dtype, special) as [bigint, bigint];
    for (const sign of [0x7f, 0xff]) {
      const nan = new Uint8Array(size).fill(0xff);
      nan[size - 1] = sign;
      const [key] = keysOf(dtype, nan) as [bigint];
      expect(key < low || key > high).toBe(true);
    }
  });
});

describe("describeRecord", () => {
  it("gives the documented elements", () => {
    const tensor: DatasetRecord = {
      dtype: "i16",
      shape: [2, 1],
      scale: { base: 10, exponent: -7 },
      name: "é",
      label: "x",
      cells: [null, -5n, 1.5, "hi"],
      data: Uint8Array.of(1, 2, 3, 4),
    };
    const kind = 2n + (4n << 8n) + (2n << 16n) + (10n << 24n) + (BigInt(2 ** 15 - 7) << 32n) + (4n << 48n);
    expect(recordKind(tensor)).toBe(kind);
    expect(describeRecord(tensor, COLUMNS)).toEqual([
      kind,
      2n,
      1n,
      (2n << 56n) + 1n,
      digestText(utf8("é")),
      digestText(utf8("x")),
      chainFrom(STARTS.content, [0x82018403n << 208n]),
      STARTS.cells,
      1n << 32n,
      0n,
      2n ** 63n - 4n,
      0xbff8000000000001n,
      digestText(utf8("hi")),
      0n,
    ]);
    const empty = describeRecord(bytesRecord(new Uint8Array()), []);
    expect(empty).toEqual([
      2n + (1n << 16n) + ((2n ** 15n) << 32n),
      0n,
      0n,
      0n,
      0n,
      0n,
      STARTS.content,
      STARTS.cells,
      1n << 32n,
      ...new Array(5).fill(0n),
    ]);
  });

  it("keeps its values for ever", () => {
    const cells = [1n, 2n, 3n, 4n, 5n, 6n, "seven"];
    const shape = [1, 1, 3, 1, 1];
    const data = new Uint8Array(new Float32Array([0.5, -0.5, 0]).buffer);
    const description = describeRecord({ dtype: "f32", shape, name: "a/b", cells, data }, columnsOf(cells));
    expect(description.map((element) => `0x${element.toString(16)}`)).toMatchInlineSnapshot(`
      [
        "0x7800000050802",
        "0x3",
        "0x1",
        "0x13f1fea3ce0465c2d0223d61c60c716f40c0225437b0b6d947a6afc670595662",
        "0x27148a589975e464103b955d3c76ad61e9ab6b11aab726e9794f60f255f1024d",
        "0x0",
        "0x9d982690dfe343c958e09c7ee70e245e6b0655bc12613f595130bd467c63975",
        "0x735549bba48b61cb094a23eace84d6c0ff81f598c8f5b4adb7de03ee7171427",
        "0x100000000",
        "0x8000000000000002",
        "0x8000000000000003",
        "0x8000000000000004",
        "0x8000000000000005",
        "0x8000000000000006",
      ]
    `);
  });

  it("puts the cells from the sixth on behind one element", () => {
    const cells = [1n, 2n, 3n, 4n, 5n, 6n, null];
    const columns = columnsOf([...cells.slice(0, 6), 7n]);
    const description = describeRecord({ dtype: "u8", shape: [0], cells, data: new Uint8Array() }, columns);
    expect(description[AT.rest]).toBe(chainFrom(STARTS.cells, [2n ** 63n + 7n, 0n]));
    expect(description[AT.cell4]).toBe(2n ** 63n + 6n);
  });

  it("takes the content's digest from who knows it", () => {
    expect(describeRecord(bytesRecord(utf8("hello")), [], 5n)[AT.content]).toBe(5n);
  });

  it("counts the blocks of long data", () => {
    for (const [bytes, blocks] of [
      [465, 1n],
      [466, 2n],
    ] as const) {
      expect(describeRecord(bytesRecord(new Uint8Array(bytes)), [])[AT.blocks]).toBe(blocks);
    }
    expect(describeRecord({ dtype: "u64", shape: [46], data: new Uint8Array(368) }, [])[AT.blocks]).toBe(2n);
  });

  it("is injective: records that differ have descriptions that differ", () => {
    fc.assert(
      fc.property(record, record, (a, b) => {
        fc.pre(!same(a, b));
        // Types of columns are the dataset's: its root holds their digest.
        const told = (each: DatasetRecord) => [schemaDigest(columnsOf(each.cells ?? [])), ...describeOwn(each)].join();
        expect(told(a)).not.toBe(told(b));
      }),
      { numRuns: 40 },
    );
  });

  it("tells near-alike records apart, each from all others", () => {
    const variants: DatasetRecord[] = [];
    for (const dtype of ["bytes", "text", "u8", "i8", "bool", "i16", "u16", "f16", "bf16"] as const) {
      for (const shape of [[], [0], [1], [2], [1, 1], [1, 2], [2, 1], [0, 0], [1, 1, 1, 1, 1], [32]]) {
        if (/^[bt](?:ytes|ext)$/.test(dtype) && shape.length !== 1) continue;
        const length = shape.reduce((size, n) => size * n, DTYPES[dtype].size);
        for (const fill of length === 0 ? [0] : [0, 1]) {
          variants.push({ dtype, shape, data: new Uint8Array(length).fill(fill) });
        }
      }
    }
    const one = variants.find(({ dtype, shape }) => dtype === "u8" && shape.length === 1 && shape[0] === 1)!;
    for (const text of ["a", "\0", "\0\0", "aa"]) variants.push({ ...one, name: text }, { ...one, label: text });
    variants.push({ ...one, name: "a", label: "\0" }, { ...one, name: "\0", label: "a" });
    for (const base of [2, 10] as const) {
      for (const exponent of [-1, 0, 1]) variants.push({ ...one, scale: { base, exponent } });
    }
    for (const cells of [[null], [null, null], ["0"], [""], new Array(5).fill(null), new Array(6).fill(null)]) {
      variants.push({ ...one, cells });
    }
    variants.push(
      { ...one, cells: [null, null, null, null, null, "a"] },
      { ...one, cells: [null, null, null, null, "a"] },
    );
    const descriptions = new Set(variants.map((each) => describeOwn(each).join()));
    expect(variants.length).toBeGreaterThan(130);
    expect(descriptions.size).toBe(variants.length);
    expect(new Set(variants.map((each) => toHex(encodeRecord(each)))).size).toBe(variants.length);
  });

  it("tells the parts of a record apart, and from records of their own", () => {
    const data = new Uint8Array(PART_BYTES);
    const shape = [2 * PART_BYTES];
    const parts = [0, 1].map((part): DatasetRecord => ({ dtype: "u8", shape, part, parts: 2, data }));
    const whole: DatasetRecord = { dtype: "u8", shape: [PART_BYTES], data };
    // the content is the same, and known not to be what tells them apart
    expect(new Set([...parts, whole].map((each) => describeRecord(each, [], 5n).join())).size).toBe(3);
  });
});
