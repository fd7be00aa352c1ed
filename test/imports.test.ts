/**
 * What a validator loads: `anchorproof/verifier`, `/protocol` and `/bundle` reach neither snarkjs, circomlib nor
 * ffjavascript (GPL), nor ethers, nor anything that could open a connection or start a process.
 */
import { readFileSync } from "node:fs";
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
    const specifiers = [...text.matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*|\brequire\s*\(\s*)["']([^"']+)["']/g)];
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
    ["verifier", ["errors", "field", "protocol", "verifier"]],
    ["protocol", ["errors", "field", "protocol"]],
    ["bundle", ["bundle", "errors", "field", "protocol", "verifier"]],
  ])("%s reaches its own kind only", (name, allowed) => {
    expect([...folders(`${name}/index.js`)].sort()).toEqual(allowed);
  });

  it.each(["verifier", "protocol", "bundle"])("%s loads noble and nothing else", (name) => {
    for (const loaded of reach(`${name}/index.js`).packages) expect(loaded).toMatch(/^@noble\/(curves|hashes)\//);
  });

  it("can tell: the prover does load snarkjs, the chain ethers", () => {
    expect(reach("prover/worker.js").packages).toContain("snarkjs");
    expect(reach("chain/index.js").packages).toContain("ethers");
  });

  it.each([
    ["field", ["errors", "field"]],
    ["dataset", ["circuit", "dataset", "errors", "field", "files", "paths", "protocol", "verifier", "workers"]],
    ["model", ["errors", "field", "files", "model"]],
    ["circuit", ["circuit", "errors", "field", "files", "paths", "protocol", "verifier", "workers"]],
  ])("calls go one way: %s", (name, allowed) => {
    const entry = name === "field" ? "field/poseidon.js" : `${name}/index.js`;
    for (const folder of folders(entry)) expect(allowed).toContain(folder);
  });
});
