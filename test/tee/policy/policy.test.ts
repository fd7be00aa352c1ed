import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isAnchorError } from "../../../src/errors.js";
import { canonicalJson } from "../../../src/protocol/document.js";
import { policyDigest, policyFromJson, policyToJson } from "../../../src/tee/policy/policy.js";
import { POLICY_SCHEMA } from "../../../src/tee/policy/schema.js";
import { nearest } from "../../../src/tee/policy/shape.js";
import { code, outcomeOf } from "../../support/errors.js";
import { bytes, EVERYTHING, json, zeros } from "./fixtures.js";
import { accepts } from "./schemaChecker.js";

const read = (value: unknown) => outcomeOf(() => policyFromJson(value));

/** A copy with one place changed. */
function changed(value: unknown, path: readonly (string | number)[], change: (at: unknown) => unknown): unknown {
  const [head, ...rest] = path;
  if (head === undefined) return change(value);
  if (Array.isArray(value)) return value.map((each, i) => (i === head ? changed(each, rest, change) : each));
  const record = value as Record<string, unknown>;
  return { ...record, [head]: changed(record[head], rest, change) };
}

/** Every place in a document. */
function places(value: unknown, path: (string | number)[] = []): (string | number)[][] {
  if (typeof value !== "object" || value === null) return [path];
  const entries = Array.isArray(value) ? value.map((each, i) => [i, each] as const) : Object.entries(value);
  return [path, ...entries.flatMap(([key, each]) => places(each, [...path, key]))];
}

const PLACES = places(EVERYTHING);

describe("the policy's reader", () => {
  it("reads every field there is, and reads what it made as the same again", () => {
    const once = policyFromJson(EVERYTHING);
    expect(policyFromJson(policyToJson(once))).toEqual(once);
    expect(policyFromJson(JSON.parse(JSON.stringify(policyToJson(once))))).toEqual(once);
  });

  it("takes hex with or without 0x and in any case, days or times, one value or a list, sets in any order", () => {
    const rtmr = bytes("rtmr", 48);
    const one = json({
      tdx: {
        measurements: [{ values: { mrTd: bytes("td", 48), rtmr0: rtmr } }],
        fmspc: { allow: ["0xb0c06f000000", "0x00806f050000"] },
        minTcbDate: "2024-03-13T00:00:00Z",
      },
    });
    const other = {
      families: {
        tdx: {
          minTcbDate: "2024-03-13",
          fmspc: { allow: ["00806F050000", "0XB0C06F000000", "b0c06f000000"] },
          measurements: [
            {
              values: {
                rtmr0: [rtmr.toUpperCase().slice(2)],
                mrTd: [bytes("td", 48).slice(2), bytes("td", 48)],
              },
            },
          ],
          septVeDisable: true,
        },
      },
      binding: "any",
      name: "test",
      format: "anchorproof/tee-policy@1",
      requireNonce: false,
    };
    const [a, b] = [policyFromJson(one), policyFromJson(other)];
    expect(b).toEqual(a);
    expect(policyDigest(b)).toBe(policyDigest(a));
    expect(a.families.tdx!.fmspc!.allow).toEqual(["0x00806f050000", "0xb0c06f000000"]);
  });

  it("fills in every default, and what it leaves out is the stricter", () => {
    const { families } = policyFromJson(json({ tdx: {}, snp: {}, nvidia: {}, nras: {}, cca: {}, "azure-tdx": {} }));
    expect(families.tdx).toMatchObject({ statuses: ["UpToDate"], septVeDisable: true, serviceTds: [] });
    expect(families.tdx).not.toHaveProperty("measurements");
    expect(families.tdx!.forbidAttributes).toEqual(expect.arrayContaining(["MIGRATABLE", "PERFMON"]));
    expect(families.snp).toMatchObject({ vmpl: [0], allowMigrateMa: false, requireCrl: true });
    expect(families.nvidia).toMatchObject({ rims: "match", revocation: ["good"], fwid: ["match"] });
    expect(families.nras!.claims).toEqual({ measres: ["success"], secboot: [true], dbgstat: ["disabled"] });
    expect(families.cca!.lifecycles).toEqual(["secured"]);
    expect(families["azure-tdx"]!.tee.septVeDisable).toBe(true);
  });

  it("keeps the defaults of claims that a policy does not name", () => {
    const { families } = policyFromJson(json({ nras: { claims: { hwmodel: "GH100" } } }));
    expect(families.nras!.claims).toEqual({
      dbgstat: ["disabled"],
      hwmodel: ["GH100"],
      measres: ["success"],
      secboot: [true],
    });
  });

  it.each<[string, unknown, RegExp]>([
    ["nothing", undefined, /^policy must be an object, not undefined$/],
    ["a list", [], /^policy must be an object, not a list$/],
    ["another format", { ...json({ tdx: {} }), format: "x" }, /^policy\.format cannot be "x"/],
    ["no binding", { ...json({ tdx: {} }), binding: undefined }, /^policy\.binding must be one of/],
    ["no family", json({}), /^policy\.families must name at least one of sgx/],
    [
      "a near name",
      json({ tdx: { mesurements: "any" } }),
      /^policy\.families\.tdx\.mesurements .*did you mean measurements\?$/,
    ],
    [
      "a near register",
      json({ tdx: { measurements: [{ values: { mrtd: "" } }] } }),
      /\.values\.mrtd .*did you mean mrTd\?$/,
    ],
    [
      "a far name",
      json({ tdx: { quux: 1 } }),
      /^policy\.families\.tdx\.quux is not a field here; allowed is measurements, /,
    ],
    ["another word for any", json({ tdx: { measurements: "all" } }), /\.measurements cannot be "all": allowed is any$/],
    ["no states", json({ tdx: { measurements: [] } }), /\.measurements must not be empty$/],
    [
      "a state without values",
      json({ tdx: { measurements: [{ values: {} }] } }),
      /\[0\]\.values must name at least one of mrTd/,
    ],
    [
      "a register without values",
      json({ tdx: { measurements: [{ values: { mrTd: [] } }] } }),
      /\.mrTd must not be empty$/,
    ],
    [
      "a short register",
      json({ tdx: { measurements: [{ values: { mrTd: "00" } }] } }),
      /\.mrTd must be 48 bytes of hex, not "00"$/,
    ],
    [
      "a placeholder",
      json({ tdx: { measurements: [{ values: { mrTd: "<MRTD>" } }] } }),
      /\.mrTd is still the placeholder "<MRTD>": put 48 bytes of hex there$/,
    ],
    [
      "Revoked",
      json({ tdx: { statuses: ["UpToDate", "Revoked"] } }),
      /statuses\[1\] cannot be "Revoked": a revoked platform can never be accepted$/,
    ],
    [
      "debug",
      json({ nras: { claims: { dbgstat: "enabled" } } }),
      /dbgstat cannot be "enabled": debug mode can never be accepted$/,
    ],
    [
      "a revoked device",
      json({ nvidia: { revocation: ["revoked"] } }),
      /cannot be "revoked": a revoked certificate can never be accepted$/,
    ],
    [
      "a platform in debug",
      json({ cca: { lifecycles: ["recoverable-cca-platform-debug"] } }),
      /lifecycles\[0\] cannot be/,
    ],
    [
      "a hidden chip",
      json({ snp: { chipIds: { allow: [zeros(64)] } } }),
      /allow\[0\] must be 64 bytes of hex, not all zero/,
    ],
    ["a day that there is not", json({ tdx: { minTcbDate: "2025-02-29" } }), /minTcbDate must be a day or time of UTC/],
    ["an empty list", json({ tdx: { fmspc: {} } }), /fmspc must name at least one of allow or deny$/],
    ["a level that there is not", json({ snp: { vmpl: [4] } }), /vmpl\[0\] must be a whole number from 0 to 3, not 4$/],
    ["a fraction", json({ snp: { minGuestSvn: 0.5 } }), /must be a whole number from 0 to 4294967295, not 0\.5$/],
    ["text for a flag", json({ snp: { requireCrl: "false" } }), /requireCrl must be true or false, not "false"$/],
    [
      "a name of two lines",
      json({ tdx: {} }, { name: "a\nb" }),
      /^policy\.name must be text of 1 to 200 printable characters on one line, not "a\\nb"$/,
    ],
    ["a name that hides", json({ tdx: {} }, { name: "safe\u202e" }), /not "safe\\u\{202e\}"$/],
  ])("refuses %s, says where and what is allowed", (_, value, message) => {
    expect(() => policyFromJson(value)).toThrow(code("POLICY_INVALID"));
    expect(() => policyFromJson(value)).toThrow(message);
  });

  it("does not take keys of objects in general for names of its own", () => {
    for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
      const value = JSON.parse(
        `{"format":"anchorproof/tee-policy@1","name":"x","binding":"any","families":{"${name}":{}}}`,
      );
      expect(read(value), name).toBe("POLICY_INVALID");
      const register = JSON.parse(`{"${name}":"00"}`);
      expect(read(json({ tdx: { measurements: [{ values: register }] } })), name).toBe("POLICY_INVALID");
      expect(read(json({ tdx: { statuses: [name] } })), name).toBe("POLICY_INVALID");
      expect(read(json({ nvidia: { minVersions: JSON.parse(`{"${name}":{"driver":"x"}}`) } })), name).toBe(
        "POLICY_INVALID",
      );
    }
  });

  it("gives messages of one short line for values that are long, deep or unprintable", () => {
    let deep: unknown = [];
    for (let i = 0; i < 100_000; i++) deep = [deep];
    for (const value of ["x".repeat(1e6), deep, "\u001b[2K\n", Number.NaN, { a: deep }]) {
      for (const each of [
        json({ tdx: { minTcbDate: value } }),
        json({ tdx: value as object }),
        { [typeof value === "string" ? value : "x"]: value },
      ]) {
        try {
          policyFromJson(each);
          expect.unreachable();
        } catch (error) {
          expect(isAnchorError(error, "POLICY_INVALID")).toBe(true);
          expect((error as Error).message.length).toBeLessThan(400);
          expect((error as Error).message).not.toMatch(/\p{Cc}/u);
        }
      }
    }
  });

  it("guesses no name that is far away", () => {
    expect(nearest("mr_td", ["mrTd", "rtmr0"])).toBe("mrTd");
    expect(nearest("x", ["mrTd", "a"])).toBeUndefined();
    expect(nearest("m".repeat(1e6), ["mrTd"])).toBeUndefined();
  });
});

describe("the policy's schema", () => {
  const check = (value: unknown) => accepts(POLICY_SCHEMA, value);

  /** Names of fields by place, registers and chips left out. */
  function fields(schema: Record<string, unknown>, path = ""): string[] {
    const inner = [schema, ...((schema["anyOf"] as Record<string, unknown>[] | undefined) ?? [])];
    return inner.flatMap((each) => [
      ...Object.entries((each["properties"] ?? {}) as Record<string, Record<string, unknown>>).flatMap(
        ([name, field]) => [`${path}.${name}`, ...fields(field, `${path}.${name}`)],
      ),
      ...(each["items"] ? fields(each["items"] as Record<string, unknown>, `${path}[]`) : []),
    ]);
  }

  it("has a description of every field", () => {
    const walk = (schema: Record<string, unknown>): void => {
      for (const [name, field] of Object.entries(
        (schema["properties"] ?? {}) as Record<string, Record<string, unknown>>,
      )) {
        expect(field["description"], name).toMatch(/\w/);
        walk(field);
      }
    };
    walk(POLICY_SCHEMA as Record<string, unknown>);
  });

  it("has every field that the example has, and the example every one of the schema's", () => {
    const named = new Set(
      PLACES.map((path) => path.map((key) => (typeof key === "number" ? "[]" : `.${key}`)).join("")).filter(Boolean),
    );
    const missing = fields(POLICY_SCHEMA as Record<string, unknown>).filter(
      // The other form of binding, the registers of a family, of which there are many, and what Genoa does not have.
      (field) => !named.has(field) && !/\.listed$|(?:values|denyMeasurements)\.\w+$|Genoa\.\w+\.fmc$/.test(field),
    );
    expect(missing).toEqual([]);
    expect(check(EVERYTHING)).toBe(true);
    expect(check(json({ tdx: {} }, { binding: { listed: ["00"] } }))).toBe(true);
    expect(read(json({ tdx: {} }, { binding: { listed: ["00"] } }))).toBe("accepted");
  });

  it("accepts what a policy reads as", () => {
    expect(check(policyToJson(policyFromJson(EVERYTHING)))).toBe(true);
    expect(check(policyToJson(policyFromJson(json({ tdx: {}, snp: {}, nras: {}, cca: {}, "azure-snp": {} }))))).toBe(
      true,
    );
  });

  it("refuses an unknown field wherever one can be, as the reader does", () => {
    for (const path of PLACES) {
      const broken = changed(EVERYTHING, path, (at) =>
        typeof at === "object" && at !== null && !Array.isArray(at) ? { ...at, "un known": 1 } : { "un known": 1 },
      );
      expect(read(broken), path.join(".")).toBe("POLICY_INVALID");
      expect(check(broken), path.join(".")).toBe(false);
    }
  });

  it("agrees with the reader wherever a value is changed, removed or doubled", () => {
    const odd = fc.oneof(
      fc.constantFrom<unknown>(
        null,
        true,
        false,
        "",
        "any",
        "0x",
        "00",
        zeros(16),
        zeros(32).toUpperCase(),
        zeros(48),
        bytes("odd", 64),
        "UpToDate",
        "Revoked",
        "2024-02-29",
        "2023-02-29T00:00:00Z",
        "2100-02-29",
        "2000-02-29T23:59:59Z",
        "1.2.3",
        "<fill in>",
        "a\u0000b",
        "\ud800",
        [],
        {},
        [[]],
        [null],
        { allow: [] },
        { allow: ["GH100"] },
      ),
      fc.integer({ min: -2, max: 300 }),
      fc.double(),
      fc.string({ unit: "binary", maxLength: 12 }),
      fc.jsonValue({ maxDepth: 2 }),
    );
    fc.assert(
      fc.property(fc.constantFrom(...PLACES), odd, fc.nat(2), (path, value, how) => {
        const broken = changed(EVERYTHING, path, (at) => {
          if (how === 0) return value;
          if (Array.isArray(at)) return how === 1 ? [...at, value] : [...at, ...at];
          if (typeof at !== "object" || at === null) return value;
          const entries = Object.entries(at);
          return Object.fromEntries(
            how === 1 ? entries.slice(1) : entries.map(([key], i) => [key, i === 0 ? value : at[key as never]]),
          );
        });
        // As a file has it.
        const file: unknown = JSON.parse(JSON.stringify(broken));
        expect(check(file)).toBe(read(file) === "accepted");
      }),
      { numRuns: 300 },
    );
  });

  it("never gets anything but POLICY_INVALID out of the reader, for any JSON", () => {
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), fc.anything()), (value) => {
        for (const each of [
          value,
          json({ tdx: value as object }),
          json(value as Record<string, unknown>),
          { ...EVERYTHING, families: value },
        ]) {
          expect(["accepted", "POLICY_INVALID"]).toContain(read(each));
        }
      }),
      { numRuns: 200 },
    );
  });

  it("is plain JSON", () => {
    expect(JSON.parse(JSON.stringify(POLICY_SCHEMA))).toEqual(POLICY_SCHEMA);
    expect(canonicalJson(POLICY_SCHEMA)).toContain("https://json-schema.org/draft/2020-12/schema");
  });
});
