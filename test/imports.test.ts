/**
 * What a validator loads: `anchorproof/verifier`, `/tee`, `/protocol` and `/bundle` reach neither snarkjs, circomlib nor
 * ffjavascript (GPL), nor ethers, nor anything that could open a connection or start a process. The native core, an
 * addon at a fixed place, is loaded by `field/native` alone.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { describe, expect, it } from "vitest";
import { PACKAGE_ROOT } from "../src/paths.js";

const DIST = join(PACKAGE_ROOT, "dist");

/** Everything that a compiled module reaches: files of ours, and names of packages. */
function reach(entry: string): { files: Set<string>; packages: Set<string> } {
  const files = new Set<string>();
  const packages = new Set<string>();
  const visit = (file: string) => {
    if (files.has(file)) return;
    files.add(file);
    const text = readFileSync(file, "utf8");
    const specifiers = [
      ...text.matchAll(/(?:(?<!["'])\bfrom\s*|\bimport\s*\(?\s*|\brequire\s*\(\s*)["']([^"']+)["']/g),
    ];
    for (const [, specifier] of specifiers) {
      if (specifier!.startsWith(".")) visit(join(dirname(file), specifier!));
      else packages.add(specifier!);
    }
  };
  visit(join(DIST, entry));
  return { files, packages };
}

const folders = (entry: string) =>
  new Set([...reach(entry).files].map((file) => relative(DIST, file).split("/")[0]!.replace(/\.js$/, "")));

describe("import graph", () => {
  it.each([
    ["verifier", ["errors", "field", "paths", "protocol", "verifier"]],
    ["protocol", ["errors", "field", "paths", "protocol"]],
    ["tee", ["errors", "field", "paths", "protocol", "tee", "text"]],
    ["bundle", ["bundle", "circuit", "dataset", "errors", "field", "paths", "protocol", "tee", "text", "verifier"]],
  ])("%s reaches its own kind only", (name, allowed) => {
    for (const folder of folders(`${name}/index.js`)) expect(allowed).toContain(folder);
  });

  it("a bundle reaches of datasets what their proofs say, of circuits how they are described, and no file", () => {
    const files = [...reach("bundle/index.js").files].map((file) => relative(DIST, file));
    for (const file of files.filter((each) => each.startsWith("circuit"))) {
      expect(file.startsWith(join("circuit", "synthesis")), file).toBe(true);
    }
    expect(files.filter((file) => /readers|directory/.test(file))).toEqual([]);
    expect(files).toContain(join("dataset", "proofSet.js"));
  });

  it.each([
    ["verifier", []],
    ["protocol", []],
    ["tee", ["node:buffer", "node:crypto", "xml-crypto"]],
    ["bundle", ["node:buffer", "node:crypto", "node:os", "xml-crypto"]],
  ])("%s loads noble, the native core and nothing else", (name, besides: string[]) => {
    const { files, packages } = reach(`${name}/index.js`);
    const allowed = /^(?:@noble\/(?:curves|hashes)\/.*|node:module|node:path|node:url|node:util\/types)$/;
    for (const loaded of packages) if (!besides.includes(loaded)) expect(loaded).toMatch(allowed);
    for (const file of files) {
      if (relative(DIST, file) === join("field", "native.js")) continue;
      expect(readFileSync(file, "utf8"), file).not.toMatch(/node:module|process\.(?:dlopen|binding|getBuiltinModule)/);
    }
  });

  it("the loader of the native core requires nothing else", () => {
    const text = readFileSync(join(DIST, "field", "native.js"), "utf8");
    expect(text.match(/createRequire\([^)]*\)\([^)]*\)/g)).toEqual(["createRequire(import.meta.url)(NATIVE_ADDON)"]);
    // its import, and the call
    expect(text.match(/createRequire/g)).toHaveLength(2);
    expect(text).not.toMatch(/process\.(?:dlopen|binding|getBuiltinModule)/);
  });

  it("of attestation reaches neither the network client nor the laboratory, whose keys are its own", () => {
    const files = [...reach("tee/index.js").files].map((file) => relative(DIST, file));
    expect(files.filter((file) => /tee\/(?:lab|fetch)\//.test(file))).toEqual([]);
    expect(files).toContain(join("tee", "nvidia", "rim.js"));
    expect(reach("tee/fetch/index.js").files.size).toBeGreaterThan(1);
  });

  it("XML signatures come with no network and no file either", () => {
    // xml-crypto and what it requires, all of them plain JavaScript: read here, since it is the one package of its kind.
    const seen = new Set<string>();
    const builtins = new Set<string>();
    const visit = (file: string) => {
      if (seen.has(file)) return;
      seen.add(file);
      const load = createRequire(file);
      for (const [, name] of readFileSync(file, "utf8").matchAll(/\brequire\(\s*["']([^"']+)["']\s*\)/g)) {
        const target = load.resolve(name!);
        if (target.startsWith("/")) visit(target);
        else builtins.add(name!.replace(/^node:/, ""));
      }
    };
    visit(createRequire(import.meta.url).resolve("xml-crypto"));
    expect([...seen].some((file) => file.includes("xmldom"))).toBe(true);
    for (const name of builtins) expect(["crypto", "util"]).toContain(name);
  });

  it("can tell: the prover does load snarkjs, the chain ethers", () => {
    expect(reach("prover/worker.js").packages).toContain("snarkjs");
    expect(reach("chain/index.js").packages).toContain("ethers");
  });

  it.each([
    ["field", ["errors", "field", "paths"]],
    [
      "dataset",
      [
        "circuit",
        "dataset",
        "errors",
        "field",
        "files",
        "lock",
        "npy",
        "paths",
        "protocol",
        "text",
        "verifier",
        "workers",
      ],
    ],
    ["model", ["circuit", "errors", "field", "files", "html", "model", "npy", "paths", "text"]],
    ["circuit", ["circuit", "errors", "field", "files", "lock", "paths", "protocol", "verifier", "workers"]],
  ])("calls go one way: %s", (name, allowed) => {
    const entry = name === "field" ? "field/poseidon.js" : `${name}/index.js`;
    for (const folder of folders(entry)) expect(allowed).toContain(folder);
  });
});
