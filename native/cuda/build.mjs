// Builds the GPU library of this folder. Nothing is downloaded; `npm ci` does not need it.
//
//     node native/cuda/build.mjs              by nvcc, for the cards of TARGETS: native/build/cuda/anchorproof-cuda.so
//     node native/cuda/build.mjs --emulated   by the C++ compiler, for the host alone: anchorproof-cuda-emulated.so, the unit
//                                             programs (unit-*) and the harness (anchorproof-cards). For tests; it proves nothing fast
//
//     --force    although it is up to date            --json     one line of JSON about what was done
//     --check    no kernel, nor a function that one calls, spills more registers, or has a larger stack, than kernels.json says
//     --update   writes that file (registers, stack and spilled bytes, by ptxas)
//
// A library is renamed into place when it is whole, and has a digest of its sources and tools beside it: an unchanged tree is
// not compiled again. Two builds of one library at a time wait for each other.
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { availableParallelism } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));
const NATIVE = dirname(HERE);
const OUT = join(NATIVE, "build", "cuda");
const KERNELS = join(HERE, "kernels.json");
/** One function; not what the standard library's templates and CUDA's runtime would show besides. */
const EXPORTS = join(HERE, "exports.map");
/** A100, L4 and 40-series, H100 and H200. Newer cards compile the PTX of the last one. */
const TARGETS = (process.env.ANCHORPROOF_CUDA_TARGETS || "80,89,90").split(",");
/** Warnings stay on: an unused register array or a fallen-through path is worth a look. */
const HOST_FLAGS = ["-std=c++17", "-fPIC", "-fvisibility=hidden", "-fno-strict-aliasing", "-pthread"];
const LOCK_STALE_MS = 900_000;
const MAX_JOBS = 8;

class BuildError extends Error {}

function onPath(command) {
  if (command.includes("/")) return fs.existsSync(command) ? command : undefined;
  return (process.env.PATH ?? "")
    .split(delimiter)
    .filter(Boolean)
    .map((folder) => join(folder, command))
    .find((file) => fs.existsSync(file));
}

const first = (...names) => names.filter(Boolean).map(onPath).find(Boolean);

function nvcc() {
  const found = first(process.env.NVCC, "nvcc", "/usr/local/cuda/bin/nvcc");
  if (!found) throw new BuildError("nvcc was not found: install NVIDIA's CUDA toolkit 12 or 13, or set NVCC");
  return found;
}

function compiler() {
  const found = first(process.env.CXX, "g++", "clang++", "c++");
  if (!found) throw new BuildError("a C++ compiler was not found");
  return found;
}

const version = (command) => execFileSync(command, ["--version"], { encoding: "utf8" });

/** The library's translation units. */
const units = () => fs.readdirSync(HERE).filter((name) => name.endsWith(".cu")).sort();
const tests = () => fs.readdirSync(join(HERE, "test")).filter((name) => name.endsWith(".cu")).sort();

/** Names what would be compiled, by which compilers, and how. */
function buildId(tools, extra) {
  const hash = createHash("sha256").update(JSON.stringify([tools.map(version), extra, HOST_FLAGS, TARGETS]));
  for (const folder of [HERE, join(HERE, "harness"), join(HERE, "test"), join(NATIVE, "src")]) {
    for (const name of fs.readdirSync(folder).sort()) {
      if (/\.(?:cu|h|cpp|map)$/.test(name)) hash.update(`${name}\0`).update(fs.readFileSync(join(folder, name)));
    }
  }
  return hash.update(fs.readFileSync(join(HERE, "build.mjs"))).digest("hex").slice(0, 32);
}

/** Runs a compiler. @returns what it said. @throws BuildError with its first error, and where the rest is */
function run(command, args, log) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (text += chunk));
    child.once("error", reject).once("close", (status) => {
      fs.appendFileSync(log, `$ ${command} ${args.join(" ")}\n${text}\n`);
      if (status === 0) return resolve(text);
      const line = /^.*(?:error|fatal)\b.*$/m.exec(text)?.[0] ?? text.trim().split("\n").at(-1) ?? `status ${status}`;
      reject(new BuildError(`${line.trim().slice(0, 240)} (log: ${log})`));
    });
  });
}

/** Some at a time, in their order. After a failure no more begin; those that run end first, since they use the same folder. */
async function all(tasks, jobs = Math.min(MAX_JOBS, availableParallelism())) {
  const results = [];
  const errors = [];
  const next = tasks.entries();
  const work = async () => {
    for (const [i, task] of next) {
      if (errors.length > 0) return;
      await task().then(
        (result) => (results[i] = result),
        (error) => errors.push(error),
      );
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  if (errors.length > 0) throw errors[0];
  return results;
}

/** Builds in a folder of its own; `finish` renames what is whole into place. */
async function build(name, id, { force, make }) {
  const lock = join(OUT, `${name}.lock`);
  fs.mkdirSync(OUT, { recursive: true });
  const current = () => fs.existsSync(join(OUT, name)) && readText(join(OUT, `${name}.id`)) === id;
  for (;;) {
    if (!force && current()) return false;
    try {
      fs.mkdirSync(lock);
      break;
    } catch (error) {
      if (error.code !== "EEXIST") throw new BuildError(`cannot write ${OUT} (${error.code})`);
      const stat = fs.statSync(lock, { throwIfNoEntry: false });
      if (stat && Date.now() - stat.mtimeMs > LOCK_STALE_MS) fs.rmSync(lock, { recursive: true, force: true });
      else await sleep(200);
    }
  }
  const workshop = fs.mkdtempSync(join(OUT, "work-"));
  const clean = () => {
    for (const folder of [workshop, lock]) fs.rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  };
  const onSignal = () => {
    clean();
    process.exit(130);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, onSignal);
  try {
    if (!force && current()) return false;
    fs.rmSync(join(OUT, `${name}.id`), { force: true });
    await make(workshop);
    for (const file of fs.readdirSync(workshop)) {
      if (!/\.(?:o|log)$/.test(file)) fs.renameSync(join(workshop, file), join(OUT, file));
    }
    fs.writeFileSync(join(OUT, `${name}.id`), id);
    return true;
  } catch (error) {
    const log = join(workshop, "build.log");
    if (fs.existsSync(log)) {
      fs.copyFileSync(log, join(OUT, "build.log"));
      error.message = error.message.replaceAll(log, join(OUT, "build.log"));
    }
    throw error;
  } finally {
    clean();
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.off(signal, onSignal);
  }
}

function readText(file) {
  try {
    return fs.readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

// ---- for cards ----

async function buildForCards(force) {
  const tool = nvcc();
  const host = compiler();
  const id = buildId([tool, host], "cards");
  const name = "anchorproof-cuda.so";
  const made = await build(name, id, {
    force,
    async make(workshop) {
      const log = join(workshop, "build.log");
      const last = TARGETS.at(-1);
      const targets = [
        ...TARGETS.map((target) => `arch=compute_${target},code=sm_${target}`),
        `arch=compute_${last},code=compute_${last}`,
      ].flatMap((target) => ["-gencode", target]);
      const common = ["-std=c++17", "-O3", "--expt-relaxed-constexpr", "-ccbin", host, `-DAP_CUDA_BUILD="${id}"`];
      // The slowest first.
      const order = units().sort((a, b) => b.length - a.length);
      const texts = await all(
        order.map((unit) => () => {
          const args = [...common, ...targets, "-Xptxas", "-v", "-Xcompiler", HOST_FLAGS.slice(1).join(",")];
          return run(tool, [...args, "-c", join(HERE, unit), "-o", join(workshop, `${unit}.o`)], log);
        }),
      );
      fs.writeFileSync(join(workshop, "kernels.json"), `${JSON.stringify(kernelsOf(texts.join("\n")), null, 2)}\n`);
      const objects = order.map((unit) => join(workshop, `${unit}.o`));
      const link = ["-shared", "-cudart", "static", "-Xlinker", `--version-script=${EXPORTS}`];
      await run(tool, [...link, "-ccbin", host, ...objects, "-o", join(workshop, name)], log);
    },
  });
  return { made, file: join(OUT, name) };
}

/**
 * What ptxas says of each kernel: { "kernel": { "sm_90": { registers, stack, spills } } }, in bytes; and of each function that
 * kernels call, if it has a stack or spills for any card: ptxas counts these for the function alone, and no registers. A function
 * is compiled for each kernel that calls it: the worst of them.
 */
function kernelsOf(text) {
  const found = {};
  const called = {};
  let entry;
  let target;
  let name;
  for (const line of text.split("\n")) {
    const compiling = /Compiling entry function '([^']+)' for '(sm_\d+)'/.exec(line);
    const properties = /Function properties for (\S+)/.exec(line);
    const bytes = /(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads/.exec(line);
    const registers = /Used (\d+) registers/.exec(line);
    if (compiling) {
      [, entry, target] = compiling;
      (found[entry] ??= {})[target] = { registers: 0, stack: 0, spills: 0 };
    } else if (properties) {
      name = properties[1];
    } else if (bytes && target) {
      const [stack, stores, loads] = bytes.slice(1).map(Number);
      const of = name === entry ? found[entry][target] : ((called[name] ??= {})[target] ??= { stack: 0, spills: 0 });
      of.stack = Math.max(of.stack, stack);
      of.spills = Math.max(of.spills, stores + loads);
    } else if (registers && target) {
      found[entry][target].registers = Number(registers[1]);
    }
  }
  for (const [name, targets] of Object.entries(called)) {
    if (Object.values(targets).some(({ stack, spills }) => stack + spills > 0)) found[name] = targets;
  }
  const names = Object.keys(found);
  const plain = demangled(names);
  return Object.fromEntries(names.map((name, i) => [plain[i], found[name]]).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Without arguments and our own namespaces. */
function demangled(names) {
  const filter = onPath("c++filt");
  if (!filter || names.length === 0) return names;
  return execFileSync(filter, ["-p"], { input: names.join("\n"), encoding: "utf8" })
    .trim()
    .split("\n")
    .map((name) => name.replaceAll("anchorproof::cuda::", "").replace(/^void /, ""));
}

/** @throws BuildError when a kernel, or what it calls, spills more than is written down, or is not written down */
function checkKernels(update) {
  const text = readText(join(OUT, "kernels.json"));
  if (text === undefined) throw new BuildError("what ptxas said is gone: build it again with --force");
  const made = JSON.parse(text);
  if (update) fs.writeFileSync(KERNELS, `${JSON.stringify(made, null, 2)}\n`);
  const written = JSON.parse(readText(KERNELS) ?? "{}");
  const faults = [];
  const reserved = Number(/LARGEST_STACK = (\d+)/.exec(readText(join(HERE, "prover.h")) ?? "")?.[1]);
  for (const [kernel, targets] of Object.entries(made)) {
    for (const [target, { spills, stack }] of Object.entries(targets)) {
      const known = written[kernel]?.[target];
      if (!known) faults.push(`${kernel} (${target}) is not in kernels.json`);
      else if (spills > known.spills) faults.push(`${kernel} (${target}) spills ${spills} bytes, not ${known.spills}`);
      else if (stack > known.stack) faults.push(`${kernel} (${target}) has a stack of ${stack} bytes, not ${known.stack}`);
      if (!(stack <= reserved)) faults.push(`${kernel} (${target}) has a stack of ${stack} bytes, prover.h reserves ${reserved}`);
    }
  }
  for (const kernel of Object.keys(written)) {
    if (!made[kernel]) faults.push(`${kernel} is in kernels.json and not in the library`);
  }
  if (faults.length > 0) throw new BuildError(`${faults.join("; ")} (npm run build:cuda -- --update)`);
  const all = Object.values(made).flatMap(Object.values);
  const spilling = all.filter(({ spills }) => spills > 0).length;
  const kernels = Object.values(made).filter((targets) => "registers" in Object.values(targets)[0]).length;
  return `${kernels} kernels for ${TARGETS.map((t) => `sm_${t}`).join(", ")}; spills in ${spilling} of ${all.length}, all as written down`;
}

// ---- for the host ----

async function buildEmulated(force) {
  const tool = compiler();
  const id = buildId([tool], "emulated");
  const name = "anchorproof-cuda-emulated.so";
  const archive = join(NATIVE, "build", "Release", "engines.a");
  const made = await build(name, id, {
    force,
    async make(workshop) {
      const log = join(workshop, "build.log");
      const flags = [...HOST_FLAGS, "-Wall", "-Wextra", `-DAP_CUDA_BUILD="${id}"`];
      // The programs are compiled for about as long as they run.
      const compile = (source, out, optimise = "-O1") =>
        run(tool, [...flags, optimise, "-x", "c++", "-c", source, "-o", join(workshop, out)], log);
      const programs = tests().map((test) => ({ test, name: `unit-${test.replace(/\.cu$/, "")}` }));
      await all([
        ...programs.map(({ test, name }) => () => compile(join(HERE, "test", test), `${name}.o`)),
        ...units().map((unit) => () => compile(join(HERE, unit), `${unit}.o`, "-O2")),
        () => compile(join(HERE, "harness", "main.cpp"), "anchorproof-cards.o"),
      ]);
      const link = (objects, out, more) =>
        run(tool, ["-pthread", ...objects.map((o) => join(workshop, o)), ...more, "-ldl", "-o", join(workshop, out)], log);
      await all([
        () => link(units().map((unit) => `${unit}.o`), name, ["-shared", `-Wl,--version-script=${EXPORTS}`]),
        () => link(["anchorproof-cards.o"], "anchorproof-cards", [archive]),
        ...programs.map(({ name }) => () => link([`${name}.o`], name, [archive])),
      ]);
    },
  });
  return { made, file: join(OUT, name) };
}

async function main(flags) {
  const known = ["--emulated", "--force", "--json", "--check", "--update"];
  if (flags.some((flag) => !known.includes(flag))) {
    console.error(`usage: node native/cuda/build.mjs [${known.join("] [")}]`);
    process.exitCode = 2;
    return;
  }
  const has = (flag) => flags.includes(flag);
  const started = performance.now();
  let result;
  try {
    const { made, file } = await (has("--emulated") ? buildEmulated : buildForCards)(has("--force"));
    const took = `${((performance.now() - started) / 1000).toFixed(1)} s`;
    let message = made ? `the GPU library is built (${took})` : "the GPU library is up to date";
    if (has("--check") || has("--update")) message += `: ${checkKernels(has("--update"))}`;
    result = { ok: true, message, file };
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    result = { ok: false, message: `the GPU library was not built: ${error.message.replaceAll("\n", " ")}` };
    process.exitCode = 1;
  }
  console.log(has("--json") ? JSON.stringify(result) : `anchorproof: ${result.message}`);
}

await main(process.argv.slice(2));
