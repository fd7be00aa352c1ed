#!/usr/bin/env node
// The compiler as forge calls it (`--version`, `--standard-json …` with the input on standard input), served by the npm
// package `solc`. Imports are answered from here and from node_modules, and from nowhere else.
import { readFileSync, realpathSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
const here = dirname(fileURLToPath(import.meta.url));
const allowed = [here, resolve(here, "../node_modules")].map((folder) => realpathSync(folder));

if (process.argv.includes("--version")) {
  // Without loading 9 MB of WebAssembly: forge asks often.
  const { version } = JSON.parse(readFileSync(require.resolve("solc/package.json"), "utf8"));
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${version}+commit.00000000.Emscripten.clang`);
} else {
  const solc = require("solc");
  const load = (path) => {
    try {
      const file = realpathSync(resolve(here, path));
      if (!allowed.some((folder) => file.startsWith(folder + sep))) return { error: `${path} is outside the project` };
      return { contents: readFileSync(file, "utf8") };
    } catch (error) {
      return { error: String(error) };
    }
  };
  process.stdout.write(solc.compile(readFileSync(0, "utf8"), { import: load }));
}
