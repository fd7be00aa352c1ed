/** `anchorproof native`, and what the command says of a core that is missing. */
import { execFile } from "node:child_process";
import { cp, mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { NATIVE_ADDON, NATIVE_ENGINES, NATIVE_PROVER, nativeCore } from "../../src/field/native.js";
import { PACKAGE_ROOT } from "../../src/paths.js";
import { temporaryFolder } from "../circuit/support.js";

interface Run {
  status: number;
  out: string;
  err: string;
}

/** The command of a package that lies in `root`. */
function anchorproof(root: string, args: string[], env: NodeJS.ProcessEnv = {}): Promise<Run> {
  const inherited = Object.entries(process.env).filter(([name]) => !/^npm_|^ANCHORPROOF_/i.test(name));
  const options = { env: { ...Object.fromEntries(inherited), ANCHORPROOF_CUDA: "off", ...env } };
  return new Promise((resolve) => {
    execFile(process.execPath, [join(root, "dist", "cli", "main.js"), ...args], options, (error, out, err) => {
      resolve({ status: error ? Number(error.code) : 0, out, err });
    });
  });
}

/** The package as npm installs it without running scripts: everything but the core. */
let bare: string;
const addonOf = (root: string) => join(root, "native", "build", "Release", "anchorproof.node");

beforeAll(async () => {
  bare = await temporaryFolder();
  for (const name of [
    "dist",
    "package.json",
    "native/binding.gyp",
    "native/build.mjs",
    "native/common.gypi",
    "native/src",
  ]) {
    await cp(join(PACKAGE_ROOT, name), join(bare, name), { recursive: true });
  }
  await symlink(join(PACKAGE_ROOT, "node_modules"), join(bare, "node_modules"));
});

describe("without the core", () => {
  it("JavaScript serves: commands work and say once what would help, the library is silent", async () => {
    const { out, err } = await anchorproof(bare, [
      "dataset",
      "commit",
      "--out",
      join(bare, "ds"),
      join(bare, "package.json"),
    ]);
    expect(out).toMatch(/0x[0-9a-f]{64}/);
    expect(err).toBe("note: the native core is not built (anchorproof native build); JavaScript serves, slowly\n");
    const quiet = ["dataset", "commit", "--out", join(bare, "quiet"), join(bare, "package.json")];
    expect((await anchorproof(bare, quiet, { ANCHORPROOF_NATIVE: "off" })).err).toBe("");
    expect((await anchorproof(bare, ["--help"])).err).toBe("");
  });

  it("status says so", async () => {
    const { status, out } = await anchorproof(bare, ["native", "status"]);
    expect(status).toBe(0);
    expect(out).toContain("JavaScript serves: the native core is not built (anchorproof native build)");
    const json = JSON.parse((await anchorproof(bare, ["native", "status", "--json"])).out);
    expect(json).toMatchObject({ available: false, kind: "missing", current: false, addon: addonOf(bare) });
    const off = JSON.parse(
      (await anchorproof(bare, ["native", "status", "--json"], { ANCHORPROOF_NATIVE: "off" })).out,
    );
    expect(off).toMatchObject({ available: false, kind: "off" });
  });

  it("one that is asked for by name is not replaced by JavaScript", async () => {
    for (const [name, reason] of [
      ["portable", /^error INPUT_INVALID: ANCHORPROOF_NATIVE asks for portable, but the native core is not built/],
      ["sse", /^error INPUT_INVALID: ANCHORPROOF_NATIVE must be off, portable, adx, ifma or empty/],
    ] as const) {
      const { status, err } = await anchorproof(bare, ["dataset", "commit", "x"], { ANCHORPROOF_NATIVE: name });
      expect(err).toMatch(reason);
      expect(status).toBe(1);
    }
  });

  it("an unknown engine's name is refused before the build", async () => {
    const env = { PATH: "/nonexistent", ANCHORPROOF_NATIVE: "sse" };
    const { status, err } = await anchorproof(bare, ["native", "build"], env);
    expect(err).toMatch(/^error INPUT_INVALID: ANCHORPROOF_NATIVE must be /);
    expect(status).toBe(1);
  });

  it("a build that cannot be made fails with one line", async () => {
    const { status, out, err } = await anchorproof(bare, ["native", "build"], { PATH: "/nonexistent" });
    expect(err).toMatch(
      /^error NATIVE_UNAVAILABLE: the native core was not built: a C\+\+ compiler and .* not found\n$/,
    );
    expect(out).toBe("");
    expect(status).toBe(1);
    const json = JSON.parse((await anchorproof(bare, ["native", "status", "--json"], { PATH: "/nonexistent" })).out);
    expect(json.toolchain).toMatchObject({ compiler: null, problem: expect.stringContaining("not found") });
  });

  it("a damaged or foreign one is taken for missing, with the reason", async () => {
    await mkdir(join(addonOf(bare), ".."), { recursive: true });
    await writeFile(addonOf(bare), "not an addon");
    expect((await anchorproof(bare, ["native", "status"])).out).toMatch(
      /^JavaScript serves: the native core does not load: /,
    );
    await rm(addonOf(bare));
    // Any addon that is not ours: it loads, and says nothing of our version.
    const other = createRequire(import.meta.url).resolve("onnxruntime-node/package.json");
    await cp(join(other, "..", "bin", "napi-v6", process.platform, process.arch), join(addonOf(bare), ".."), {
      recursive: true,
    });
    await cp(join(addonOf(bare), "..", "onnxruntime_binding.node"), addonOf(bare));
    expect((await anchorproof(bare, ["native", "status"])).out).toMatch(
      /^JavaScript serves: the native core (was built from another release|does not load: .*) \(anchorproof native build\)/,
    );
    await rm(join(bare, "native", "build"), { recursive: true });
  });
});

describe.skipIf(process.env["ANCHORPROOF_NATIVE"] === "off")("with the core", () => {
  it("status tells the engine, what there is, and how it was built", async () => {
    const core = nativeCore()!;
    const { engines, cpuFeatures } = core.info();
    const json = JSON.parse((await anchorproof(PACKAGE_ROOT, ["native", "status", "--json"])).out);
    expect(json).toMatchObject({ available: true, engines, cpuFeatures, addon: NATIVE_ADDON, prover: NATIVE_PROVER });
    expect(json.build).toMatch(/^s[0-9a-f]{32}$/);
    for (const name of NATIVE_ENGINES) {
      const { status, out, err } = await anchorproof(PACKAGE_ROOT, ["native", "status"], { ANCHORPROOF_NATIVE: name });
      expect(status).toBe(engines.includes(name) ? 0 : 1);
      if (status === 0) expect(out).toContain(`native core: ${name}\n`);
      else expect(err).toMatch(new RegExp(`^error INPUT_INVALID: .*${name}`));
    }
  });

  it("a build of unchanged sources is there at once, and commands say nothing", async () => {
    const present = JSON.parse((await anchorproof(PACKAGE_ROOT, ["native", "status", "--json"])).out);
    expect(present.current, "the core is older than its sources: run anchorproof native build").toBe(true);
    const copy = join(await temporaryFolder(), "copy");
    await cp(bare, copy, { recursive: true, verbatimSymlinks: true });
    await mkdir(join(addonOf(copy), ".."), { recursive: true });
    await cp(NATIVE_ADDON, addonOf(copy));
    expect(JSON.parse((await anchorproof(copy, ["native", "status", "--json"])).out)).toMatchObject({
      available: true,
      current: false,
      prover: null,
    });
    await cp(NATIVE_PROVER, join(addonOf(copy), "..", "anchorproof-prover"));
    await cp(join(NATIVE_PROVER, "..", "engines.a"), join(addonOf(copy), "..", "engines.a"));
    const { out } = await anchorproof(copy, ["native", "build"], { PATH: "/nonexistent" });
    expect(out).toMatch(/^the native core is up to date\nnative core: \w+\n$/);
    const quiet = ["dataset", "commit", "--out", join(copy, "with-core"), join(copy, "package.json")];
    expect((await anchorproof(copy, quiet)).err).toBe("");
    await writeFile(join(copy, "native", "src", "new.h"), "// new\n");
    expect((await anchorproof(copy, ["native", "status"])).out).toContain("have changed since");
  });
});
