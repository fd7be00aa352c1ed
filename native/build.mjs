// Builds the native core with node-gyp, without a download: the headers are those of node-api-headers and node-addon-api.
//
//     node native/build.mjs install          npm's install script: exits 0 whatever happens; JavaScript serves otherwise
//     node native/build.mjs build [--force]  the same, but exits 1 when it fails
//     node native/build.mjs check            prints what is built and what a build would use, and builds nothing
//
// With --json, `build` prints one line of JSON, as `check` always does. What is compiled is copied into a workshop in
// native/build, and the results, the addon and the executable, renamed into place: a process that has the old ones open
// keeps them, and a build that fails leaves them. Both carry a digest of their sources and settings, so an unchanged tree
// is not compiled again.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism, tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const NATIVE = dirname(fileURLToPath(import.meta.url));
const OUT = join(NATIVE, "build");
const RELEASE = join(OUT, "Release");
/** What each result is called, and the command by which it tells its digest, so that a damaged one ends on its own. */
const RESULTS = [
  {
    name: "anchorproof.node",
    ask: (file) => [process.execPath, "-e", "process.stdout.write(require(process.argv[1]).build)", file],
  },
  { name: "anchorproof-prover", ask: (file) => [file, "--build"] },
];
/** What both are linked from; native/cuda/build.mjs links more with it. */
const ENGINES = "engines.a";
/** Of the last build that failed. */
const LOG = join(OUT, "build.log");
/** Settings of the environment that change the result. */
const SETTINGS = ["CXX", "CPPFLAGS", "CXXFLAGS", "LDFLAGS"];
/** Left by a build that was killed. */
const STALE_WORKSHOP_MS = 3_600_000;
/** Enough for the sources; each compiler process takes several hundred megabytes. */
const MAX_JOBS = 4;

const require = createRequire(import.meta.url);

class BuildError extends Error {}

/** Names that are written out, so that knip sees them used. */
const PACKAGES = {
  "node-gyp": () => require.resolve("node-gyp/package.json"),
  "node-addon-api": () => require.resolve("node-addon-api/package.json"),
  "node-api-headers": () => require.resolve("node-api-headers/package.json"),
};

/** The folder of a dependency. */
function packageFolder(name) {
  try {
    return dirname(PACKAGES[name]());
  } catch {
    throw new BuildError(`the package ${name} is not installed`);
  }
}

function headers() {
  return { api: packageFolder("node-api-headers"), napi: packageFolder("node-addon-api") };
}

/** Names what would be compiled, and how. */
function buildId() {
  const hash = createHash("sha256");
  const add = (name, content) => hash.update(`${name}\0${content.length}\0`).update(content);
  const sources = fs.readdirSync(join(NATIVE, "src"), { recursive: true, withFileTypes: true });
  const files = sources
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
  for (const file of [...files, join(NATIVE, "binding.gyp"), join(NATIVE, "common.gypi")].sort()) {
    add(file.slice(NATIVE.length), fs.readFileSync(file));
  }
  for (const folder of Object.values(headers())) add("headers", fs.readFileSync(join(folder, "package.json")));
  for (const name of SETTINGS) add(name, process.env[name] ?? "");
  add("target", `${process.platform} ${process.arch}`);
  // A letter in front: node-gyp reads options of digits as numbers.
  return `s${hash.digest("hex").slice(0, 32)}`;
}

function onPath(command) {
  if (command.includes("/")) return fs.existsSync(command) ? command : undefined;
  for (const folder of (process.env.PATH ?? "").split(delimiter).filter(Boolean)) {
    const file = join(folder, command);
    try {
      fs.accessSync(file, fs.constants.X_OK);
      if (fs.statSync(file).isFile()) return file;
    } catch {
      // the next one
    }
  }
  return undefined;
}

/** The programs that a build needs, `undefined` for those that are missing. */
function tools() {
  const first = (...names) => names.filter(Boolean).map(onPath).find(Boolean);
  const { CXX, MAKE, PYTHON, npm_config_python } = process.env;
  return {
    // CXX may hold options: make takes it as a line of shell.
    compiler: CXX ? first(CXX.trim().split(/\s+/)[0]) && CXX : first("g++", "clang++", "c++"),
    make: MAKE ? first(MAKE) : first(process.platform.endsWith("bsd") ? "gmake" : "make"),
    python: first(npm_config_python, PYTHON, "python3", "python"),
  };
}

function checkTools() {
  if (process.platform === "win32") throw new BuildError("there is no build for Windows yet");
  const found = tools();
  const missing = Object.entries({ compiler: "a C++ compiler", make: "make", python: "Python 3" })
    .filter(([name]) => !found[name])
    .map(([, label]) => label);
  if (missing.length > 0) throw new BuildError(`${missing.join(" and ")} not found`);
  return found;
}

/** Why what lies in a folder is not the build of that name; `undefined` when it is. */
function faultOf(folder, id) {
  for (const { name, ask } of RESULTS) {
    const [command, ...args] = ask(join(folder, name));
    const run = spawnSync(command, args, { encoding: "utf8", timeout: 60_000 });
    if (run.status === 0 && run.stdout.trim() === id) continue;
    const reason =
      run.status === 0
        ? "it has another digest"
        : (run.error?.message ??
          /^\w*Error: (.*)$/m.exec(run.stderr)?.[1] ??
          `it ends its process (${run.signal ?? run.status})`);
    return `${name}: ${reason}`;
  }
  return undefined;
}

function isBuilt(id) {
  return (
    [...RESULTS.map(({ name }) => name), ENGINES].every((name) => fs.existsSync(join(RELEASE, name))) &&
    faultOf(RELEASE, id) === undefined
  );
}

function makeWorkshop() {
  try {
    fs.mkdirSync(RELEASE, { recursive: true });
    for (const name of fs.readdirSync(OUT)) {
      const folder = join(OUT, name);
      if (!name.startsWith("work-")) continue;
      const stat = fs.statSync(folder, { throwIfNoEntry: false });
      if (stat && Date.now() - stat.mtimeMs > STALE_WORKSHOP_MS) fs.rmSync(folder, { recursive: true, force: true });
    }
    return fs.mkdtempSync(join(OUT, "work-"));
  } catch (error) {
    throw new BuildError(`cannot write ${OUT} (${error.code})`);
  }
}

function furnish(workshop) {
  const { api, napi } = headers();
  const node = join(workshop, "node", "include", "node");
  fs.cpSync(join(NATIVE, "src"), join(workshop, "src"), { recursive: true });
  fs.cpSync(join(NATIVE, "binding.gyp"), join(workshop, "binding.gyp"));
  fs.cpSync(join(api, "include"), node, { recursive: true });
  fs.cpSync(join(NATIVE, "common.gypi"), join(node, "common.gypi"));
  fs.writeFileSync(join(node, "config.gypi"), "{}\n");
  for (const name of ["napi.h", "napi-inl.h"]) fs.cpSync(join(napi, name), join(workshop, "napi", name));
}

/** Runs node-gyp in the workshop. Its process group ends with this process. */
async function compile(workshop, id, { compiler, make, python }, log) {
  const gyp = join(packageFolder("node-gyp"), "bin", "node-gyp.js");
  const env = { ...process.env, CXX: compiler, MAKE: make, PYTHON: python };
  // npm hands its settings on, and node-gyp prefers them to its arguments (nodedir, target, dist-url, …).
  for (const name of Object.keys(env)) if (/^npm_(config|package)_/i.test(name)) delete env[name];
  const jobs = Math.min(MAX_JOBS, availableParallelism());
  const args = ["rebuild", "--release", "--nodedir=node", `--jobs=${jobs}`, `--build_id=${id}`];
  const child = spawn(process.execPath, [gyp, ...args], {
    cwd: workshop,
    env,
    detached: true,
    stdio: ["ignore", log, log],
  });
  const stop = () => {
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // it has ended
    }
  };
  const onSignal = () => {
    stop();
    fs.rmSync(workshop, { recursive: true, force: true, maxRetries: 3 });
    process.exit(130);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, onSignal);
  const status = await new Promise((resolve, reject) => child.once("error", reject).once("exit", resolve));
  if (status !== 0) throw new BuildError("the compilation failed");
}

/** The line of a log that says most. */
function firstError(text) {
  const line =
    /^.*\b(?:fatal )?error: .*$/m.exec(text)?.[0] ??
    /^.*(?:command not found|No such file|: not found).*$/m.exec(text)?.[0] ??
    /^gyp ERR! stack (?:Error: )?(.*)$/m.exec(text)?.[1];
  return line?.trim().slice(0, 200);
}

/** @returns {Promise<{ ok: boolean, message: string, log?: string }>} */
async function build(force) {
  const started = performance.now();
  let workshop;
  let logFile;
  try {
    const id = buildId();
    if (!force && isBuilt(id)) return { ok: true, message: "the native core is up to date" };
    const found = checkTools();
    packageFolder("node-gyp");
    workshop = makeWorkshop();
    furnish(workshop);
    logFile = join(workshop, "build.log");
    const log = fs.openSync(logFile, "w");
    try {
      await compile(workshop, id, found, log);
    } finally {
      fs.closeSync(log);
    }
    const made = join(workshop, "build", "Release");
    const fault = faultOf(made, id);
    if (fault) throw new BuildError(`what was built cannot be loaded: ${fault}`);
    for (const name of [...RESULTS.map(({ name }) => name), ENGINES])
      fs.renameSync(join(made, name), join(RELEASE, name));
    fs.rmSync(LOG, { force: true });
    return { ok: true, message: `the native core is built (${((performance.now() - started) / 1000).toFixed(1)} s)` };
  } catch (error) {
    let reason = error.message;
    let log;
    if (logFile && fs.existsSync(logFile)) {
      const text = fs.readFileSync(logFile, "utf8");
      const line = firstError(text);
      if (line) reason += `: ${line}`;
      log = LOG;
      fs.writeFileSync(log, `${text}\n${error.stack}\n`);
    } else if (!(error instanceof BuildError)) {
      log = join(tmpdir(), `anchorproof-build-${process.pid}.log`);
      fs.writeFileSync(log, `${error.stack}\n`, { flag: "wx", mode: 0o600 });
    }
    return {
      ok: false,
      message: `the native core was not built: ${reason.replaceAll("\n", " ")}`,
      ...(log && { log }),
    };
  } finally {
    if (workshop) fs.rmSync(workshop, { recursive: true, force: true, maxRetries: 3 });
  }
}

function check() {
  const { compiler, make, python } = tools();
  const version = (command) => {
    try {
      return execFileSync(command, ["--version"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).split(
        "\n",
      )[0];
    } catch {
      return command;
    }
  };
  let problem = null;
  let current = false;
  try {
    const id = buildId();
    current = isBuilt(id);
    checkTools();
    packageFolder("node-gyp");
  } catch (error) {
    problem = error.message;
  }
  return {
    current,
    problem,
    compiler: compiler ? version(compiler) : null,
    make: make ?? null,
    python: python ? version(python) : null,
  };
}

async function main([command, ...flags]) {
  if (command === "check") return console.log(JSON.stringify(check()));
  if (command === "install" && process.env.ANCHORPROOF_NATIVE === "off") {
    return console.log("anchorproof: the native core was not built, as ANCHORPROOF_NATIVE=off asks; JavaScript serves");
  }
  if (command !== "install" && command !== "build") {
    console.error("usage: node native/build.mjs install | build [--force] [--json] | check");
    process.exitCode = 2;
    return;
  }
  const result = await build(flags.includes("--force"));
  if (!result.ok && command === "build") process.exitCode = 1;
  if (flags.includes("--json")) return console.log(JSON.stringify(result));
  const advice = "; JavaScript serves. To build it later: npx anchorproof native build";
  const log = result.log ? ` (log: ${result.log})` : "";
  console.log(`anchorproof: ${result.message}${log}${result.ok ? "" : advice}`);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.log(`anchorproof: the native core was not built: ${error.message.replaceAll("\n", " ")}; JavaScript serves`);
  process.exitCode = process.argv[2] === "install" ? 0 : 1;
}
