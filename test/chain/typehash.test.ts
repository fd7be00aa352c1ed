/**
 * Every typehash in the contracts' sources is that of a type table in `src/protocol`, and every tag one that TypeScript
 * hashes as well: a struct or a tag that is changed on one side alone is found here, also one that no other test signs.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readSolidity } from "../../.ci/contracts/source.js";
import { protocolSources } from "../../src/chain/compile.js";
import { PACKAGE_ROOT } from "../../src/paths.js";
import { encodeType, type TypeTable } from "../../src/protocol/eip712.js";

const PROTOCOL = join(PACKAGE_ROOT, "src", "protocol");

function isTypeTable(value: unknown): value is TypeTable {
  const isField = (field: unknown) =>
    typeof field === "object" && field !== null && Object.keys(field).sort().join() === "name,type";
  return (
    typeof value === "object" &&
    value !== null &&
    Object.keys(value).length > 0 &&
    Object.values(value).every((fields) => Array.isArray(fields) && fields.length > 0 && fields.every(isField))
  );
}

/** All that `src/protocol` exports, in one: a name has one meaning. */
async function typeTables(): Promise<TypeTable> {
  const all: Record<string, TypeTable[string]> = {};
  for (const file of readdirSync(PROTOCOL).filter((name) => name.endsWith(".ts"))) {
    const module = (await import(join(PROTOCOL, file))) as Record<string, unknown>;
    for (const table of Object.values(module).filter(isTypeTable)) {
      for (const [name, fields] of Object.entries(table)) {
        expect(all[name] ?? fields, `two structs are called ${name}`).toEqual(fields);
        all[name] = fields;
      }
    }
  }
  return all;
}

/** Texts that a source hashes: adjacent literals are one. Comments are not looked at. */
function hashed(path: string, text: string): { text: string; constant: string | undefined }[] {
  const { code } = readSolidity(path, text);
  const calls = code.matchAll(/(?:(\w+)\s*=\s*)?\bkeccak256\(\s*((?:"[^"]*"\s*)+)\)/g);
  return [...calls].map((call) => {
    const start = call.index + call[0].indexOf(call[2]!);
    const literals = text.slice(start, start + call[2]!.length).matchAll(/"([^"]*)"/g);
    return { text: [...literals].map(([, literal]) => literal).join(""), constant: call[1] };
  });
}

const sources = await protocolSources();
const all = Object.entries(sources).flatMap(([path, text]) => hashed(path, text).map((found) => ({ path, ...found })));

describe("typehashes", () => {
  const types = all.filter(({ text }) => /^\w+\(\w+ /.test(text));

  it("are all read: none is computed in another way, or of something else", () => {
    const names = Object.entries(sources).flatMap(([path, text]) =>
      [...readSolidity(path, text).code.matchAll(/\bbytes32\b[\w\s]*?\b(\w*TYPEHASH\w*)\s*=/g)].map(
        ([, name]) => `${path}: ${name}`,
      ),
    );
    expect(types.map(({ path, constant }) => `${path}: ${constant}`).sort()).toEqual(names.sort());
    expect(names.length).toBeGreaterThanOrEqual(14);
  });

  it.each(types)("$path: $constant", async ({ text }) => {
    const table = await typeTables();
    const name = text.slice(0, text.indexOf("("));
    expect(table, "a struct without a twin in src/protocol").toHaveProperty(name);
    expect(text).toBe(encodeType(table, name));
  });
});

describe("tags", () => {
  const typescript = readdirSync(join(PACKAGE_ROOT, "src"), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .map((path) => readFileSync(join(PACKAGE_ROOT, "src", path), "utf8"))
    .join("\n");
  const tags = [...new Set(all.map(({ text }) => text).filter((text) => text.startsWith("anchorproof/")))];

  it("are found", () => expect(tags.length).toBeGreaterThanOrEqual(10));

  it.each(tags)("%s", (tag) => expect(typescript).toContain(`"${tag}"`));
});
