/** The build script as npm runs it: in a copy of the package, with small sources of its own, without a network. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { copyFile, mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { beforeEach, describe, expect, it } from "vitest";
import { PACKAGE_ROOT } from "../../src/paths.js";
import { temporaryFolder } from "../circuit/support.js";

/** An addon of a few lines: compiling the core takes minutes, and it is the script that is tested here. */
const ADDON = `#include <napi.h>
static Napi::Object start(Napi::Env env, Napi::Object exports) {
  exports["version"] = Napi::Number::New(env, NUMBER);
  exports["build"] = Napi::String::New(env, ANCHORPROOF_BUILD);
  return exports;
}
NODE_API_MODULE(anchorproof, start)
`;
const PROVER = `#include <cstdio>
int main() { std::puts(ANCHORPROOF_BUILD); }
`;

let root: string;

interface Run {
  status: number;
  out: string;
  err: string;
}

/** The script with nothing of npm's in its environment, and with every proxy pointing where nobody listens. */
function script(args: string[], env: NodeJS.ProcessEnv = {}): Promise<Run> {
  const nowhere = "http://127.0.0.1:9";
  const inherited = Object.entries(process.env).filter(([name]) => !/^npm_|^NODE_OPTIONS$|^ANCHORPROOF_/i.test(name));
  const options = {
    cwd: dirname(root),
    env: {
      ...Object.fromEntries(inherited),
      HOME: root,
      http_proxy: nowhere,
      https_proxy: nowhere,
      HTTPS_PROXY: nowhere,
      ...env,
    },
  };
  return new Promise((resolve) => {
    execFile(process.execPath, [join(root, "native", "build.mjs"), ...args], options, (error, out, err) => {
      resolve({ status: error ? Number(error.code) : 0, out, err });
    });
  });
}

const matching = (pattern: RegExp) => expect.stringMatching(pattern);
const output = (...path: string[]) => join(root, "native", "build", ...path);
const write = (name: string, content: string) => writeFile(join(root, "native", "src", name), content);
/** Whether a process is there, and no corpse that nobody has collected yet. */
async function runs(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  return !/\) [ZX] /.test(await readFile(`/proc/${pid}/stat`, "utf8").catch(() => ""));
}

const load = () => createRequire(import.meta.url)(output("Release", "anchorproof.node")) as Record<string, unknown>;
const build = async () => JSON.parse((await script(["build", "--json"])).out) as { ok: boolean; message: string };

/** A folder with links to some programs, to be PATH. */
async function only(...programs: string[]): Promise<string> {
  const folder = join(root, `bin-${programs.join("-")}`);
  await mkdir(folder);
  for (const name of programs) {
    const at = process.env["PATH"]!.split(":").map((path) => join(path, name));
    await symlink(at.find(existsSync)!, join(folder, name));
  }
  return folder;
}

beforeEach(async () => {
  // A path with a space, as people have them.
  root = join(await temporaryFolder(), "a package");
  await mkdir(join(root, "native", "src"), { recursive: true });
  for (const name of ["build.mjs", "binding.gyp", "common.gypi"]) {
    await copyFile(join(PACKAGE_ROOT, "native", name), join(root, "native", name));
  }
  await symlink(join(PACKAGE_ROOT, "node_modules"), join(root, "node_modules"));
  await write("addon.cpp", ADDON.replace("NUMBER", "1"));
  await write("prover_main.cpp", PROVER);
  for (const name of ["engine", "engine_portable", "engine_adx", "engine_ifma", "cards"])
    await write(`${name}.cpp`, "");
});

describe("install", () => {
  it.each([
    ["nothing", [], "a C++ compiler and make and Python 3 not found"],
    ["no compiler", ["make", "python3"], "a C++ compiler not found"],
    ["no make", ["g++", "python3"], "make not found"],
    ["no Python", ["g++", "make"], "Python 3 not found"],
  ])("with %s says so in one line, and succeeds", async (_, programs, reason) => {
    const { status, out, err } = await script(["install"], { PATH: await only(...programs), CXX: "", PYTHON: "" });
    expect(err).toBe("");
    expect(out).toBe(
      `anchorproof: the native core was not built: ${reason}; ` +
        "JavaScript serves. To build it later: npx anchorproof native build\n",
    );
    expect(status).toBe(0);
    expect(existsSync(output())).toBe(false);
  });

  it("with sources that do not compile names the error and keeps the log", async () => {
    await write("engine.cpp", "int engine() { return missing; }\n");
    const { status, out } = await script(["install"]);
    expect(status).toBe(0);
    expect(out.trim().split("\n")).toHaveLength(1);
    expect(out).toMatch(
      /not built: the compilation failed: .*error: .*missing.* \(log: .*build\.log\); JavaScript serves/,
    );
    expect(await readFile(output("build.log"), "utf8")).toContain("missing");
    expect(await readdir(output())).toEqual(["Release", "build.log"]);
    expect((await script(["build"])).status).toBe(1);
  });

  it("with an addon or an executable that does not work puts neither in place", async () => {
    const working = ADDON.replace("NUMBER", "1");
    await write("addon.cpp", `${working}void nowhere();\nstruct Now { Now() { nowhere(); } } now;\n`);
    const { out } = await script(["install"]);
    expect(out).toMatch(/what was built cannot be loaded: .*nowhere/);
    expect(await readdir(output("Release"))).toEqual([]);
    await write("addon.cpp", `${working}struct Now { Now() { __builtin_trap(); } } now;\n`);
    expect((await script(["install"])).out).toMatch(
      /what was built cannot be loaded: anchorproof.node: it ends its process/,
    );
    expect(await readdir(output("Release"))).toEqual([]);
    await write("addon.cpp", working);
    for (const [body, reason] of [
      ["__builtin_trap();", /cannot be loaded: anchorproof-prover: it ends its process \(SIG\w+\)/],
      ['std::puts("another");', /cannot be loaded: anchorproof-prover: it has another digest/],
    ] as const) {
      await write("prover_main.cpp", `#include <cstdio>\nint main() { ${body} }\n`);
      expect((await script(["install"])).out).toMatch(reason);
      expect(await readdir(output("Release"))).toEqual([]);
    }
  });

  it("without its dependencies, without its sources and without a place to write succeeds all the same", async () => {
    await rm(join(root, "node_modules"));
    expect(await script(["install"])).toMatchObject({
      status: 0,
      out: matching(/package node-api-headers is not installed/),
    });
    await symlink(join(PACKAGE_ROOT, "node_modules"), join(root, "node_modules"));
    await writeFile(output(), "a file in the way");
    expect(await script(["install"])).toMatchObject({ status: 0, out: matching(/cannot write .*JavaScript serves/) });
    await rm(join(root, "native", "src"), { recursive: true });
    expect(await script(["install"])).toMatchObject({ status: 0, out: matching(/ENOENT.*JavaScript serves/) });
  });

  it("builds nothing when JavaScript is asked for", async () => {
    const { status, out } = await script(["install"], { ANCHORPROOF_NATIVE: "off" });
    expect(out).toMatch(/^anchorproof: .*ANCHORPROOF_NATIVE=off.*\n$/);
    expect(status).toBe(0);
    expect(existsSync(output())).toBe(false);
  });
});

describe("build", () => {
  it("makes the addon without a network, whatever npm's settings say, and once", async () => {
    const misled = {
      npm_config_nodedir: "/nonexistent",
      npm_config_target: "1.2.3",
      npm_config_disturl: "http://127.0.0.1:9",
    };
    const first = await script(["install"], misled);
    expect(first).toMatchObject({
      status: 0,
      err: "",
      out: matching(/^anchorproof: the native core is built \(.* s\)\n$/),
    });
    expect(load()["version"]).toBe(1);
    expect(await readdir(output())).toEqual(["Release"]);
    expect((await readdir(output("Release"))).sort()).toEqual(["anchorproof-prover", "anchorproof.node", "engines.a"]);

    // Nothing to compile with is needed when nothing has changed.
    const second = await script(["install"], { PATH: await only() });
    expect(second).toMatchObject({ status: 0, out: "anchorproof: the native core is up to date\n" });
    // And what has changed is not taken for up to date.
    await write("engine.h", "// new\n");
    expect((await script(["install"], { PATH: await only("make") })).out).toMatch(/not built: a C\+\+ compiler/);
    await rm(join(root, "native", "src", "engine.h"));
    expect((await script(["build"], { CXXFLAGS: "-DX", PATH: await only("python3") })).status).toBe(1);
    expect((await script(["build", "--force"], { PATH: await only("g++") })).status).toBe(1);
  });

  it("replaces a damaged addon, and leaves the old one to who has it open and when the new one fails", async () => {
    await build();
    const before = load();
    const bytes = await readFile(output("Release", "anchorproof.node"));
    await write("addon.cpp", ADDON.replace("NUMBER", "2"));
    expect((await build()).ok).toBe(true);
    expect(before["version"]).toBe(1);
    expect((JSON.parse((await script(["check"])).out) as { current: boolean }).current).toBe(true);

    const after = await readFile(output("Release", "anchorproof.node"));
    expect(after.equals(bytes)).toBe(false);
    await write("addon.cpp", "nonsense\n");
    expect((await build()).ok).toBe(false);
    expect((await readFile(output("Release", "anchorproof.node"))).equals(after)).toBe(true);
    expect((JSON.parse((await script(["check"])).out) as { current: boolean }).current).toBe(false);

    await write("addon.cpp", ADDON.replace("NUMBER", "2"));
    await rm(output("Release", "anchorproof.node")); // never written in place: this process has one mapped
    await writeFile(output("Release", "anchorproof.node"), after.subarray(0, 5000));
    expect(await build()).toMatchObject({ ok: true, message: matching(/is built/) });
    expect((await readFile(output("Release", "anchorproof.node"))).equals(after)).toBe(true);

    const prover = output("Release", "anchorproof-prover");
    const program = await readFile(prover);
    for (const damage of [() => rm(prover), () => writeFile(prover, "#!/bin/false\n")]) {
      await damage();
      expect(await build()).toMatchObject({ ok: true, message: matching(/is built/) });
      expect((await readFile(prover)).equals(program)).toBe(true);
    }
  });

  it("ends its compiler and clears up when it is stopped", async () => {
    const folder = await temporaryFolder();
    const [compiler, pids] = [join(folder, "slow"), join(folder, "pids")];
    await writeFile(compiler, `#!/bin/sh\necho $$ >> ${pids}\nexec sleep 1000\n`, { mode: 0o755 });
    const child = spawn(process.execPath, [join(root, "native", "build.mjs"), "build"], {
      env: { ...process.env, CXX: compiler },
      stdio: "ignore",
    });
    const begun = async () => (await readFile(pids, "utf8").catch(() => "")).trim().split("\n").filter(Boolean);
    while ((await begun()).length === 0) await setTimeout(20);
    expect((await readdir(output())).some((name) => name.startsWith("work-"))).toBe(true);
    child.kill("SIGTERM");
    await once(child, "close");
    expect(await readdir(output())).toEqual(["Release"]);
    // A moment may pass until they are gone; what nobody has ended is there until this test's time is over.
    for (const pid of await begun()) while (await runs(Number(pid))) await setTimeout(20);
  });
});
