import { randomBytes } from "node:crypto";
import { constants, existsSync } from "node:fs";
import { chmod, copyFile, link, mkdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { compileCircuit } from "../circuit/compile.js";
import { applyBeacon, contribute, newPhase2Key, verifyPhase2 } from "../circuit/phase2.js";
import { type ImportedPtau, importPtau, listPtau, newDevelopmentPtau } from "../circuit/ptau.js";
import { type CircuitRows, describeR1cs, domainPower } from "../circuit/r1cs.js";
import { setupDevelopment } from "../circuit/setup.js";
import { buildProgram } from "../circuit/synthesis/program.js";
import { datasetProgram, readCommitment } from "../dataset/index.js";
import { AnchorError, toAnchorError } from "../errors.js";
import { fromHex, toHex } from "../field/bytes.js";
import { ensureDirectory } from "../files.js";
import { readModelDirectory } from "../model/directory.js";
import { keyDigest } from "../verifier/groth16.js";
import { type Command, integer, optional, pretty, readBytes, required, type Values } from "./command.js";
import { seconds, type Terminal } from "./terminal.js";

export const ptauImportCommand: Command = {
  name: "setup ptau import",
  summary: "check powers of tau and keep what is needed of them",
  help: `
  FILE               a .ptau of any ceremony over BN254, as snarkjs has them
  --power N          keep what circuits of up to 2^N rows need [the file's own power, at most 27]
  --blake2b HEX      the BLAKE2b-512 digest that the file must have
  --json             print what was found as JSON

Checks structure and every point, and by pairings that all are powers of one tau. Powers without a contribution (tau, alpha
or beta is 1) are refused as KEY_FORGEABLE. A file with a published digest of the Perpetual Powers of Tau is recognised as
such; who contributed to any other one is for you to know. What keys of 2^N rows are made from is kept as well: from a file
that is not prepared this takes a while (2^17: half a minute, 2^20: some minutes). The path that is printed goes with --ptau.
`,
  options: { power: { type: "string" }, blake2b: { type: "string" }, json: { type: "boolean" } },
  positionals: ["FILE"],
  async run({ values, positionals, terminal, signal }) {
    const blake2b = optional(values, "blake2b");
    if (blake2b !== undefined && !/^(?:0x)?[0-9a-fA-F]{128}$/.test(blake2b)) {
      throw new AnchorError("USAGE", "--blake2b takes 128 hexadecimal digits");
    }
    const power = values["power"] === undefined ? undefined : integer(values, "power", 1, 27, 27);
    const ptau = await importPtau(argument(positionals, "name the .ptau file"), {
      power,
      blake2b,
      signal,
      onProgress: (done) => terminal.progress("checking powers of tau", done),
    });
    if (values["json"]) return terminal.line(pretty(ptau).trimEnd());
    printPtau(terminal, ptau);
    terminal.line(`blake2b  ${ptau.blake2b.slice(2)}`);
  },
};

export const ptauListCommand: Command = {
  name: "setup ptau list",
  summary: "powers of tau that were imported",
  help: `
  --json             print them as JSON
`,
  options: { json: { type: "boolean" } },
  positionals: [],
  async run({ values, terminal, signal }) {
    const found = await listPtau({ signal });
    if (values["json"]) return terminal.line(pretty(found).trimEnd());
    if (found.length === 0) terminal.line("none; `anchorproof setup ptau import FILE` takes some in");
    for (const ptau of found) printPtau(terminal, ptau);
  },
};

export const ptauNewCommand: Command = {
  name: "setup ptau new",
  summary: "make powers of tau for development",
  help: `
  --power N          for circuits of up to 2^N rows, from 1 to 24
  --out FILE         where to write; must not exist
  --unprepared       without the Lagrange forms, which snarkjs wants and which save the first key of each size minutes

tau is drawn on this machine, so whoever runs this could forge with every key made from the file. It is stamped as made for
development.
`,
  options: { power: { type: "string" }, out: { type: "string" }, unprepared: { type: "boolean" } },
  positionals: [],
  async run({ values, terminal, signal }) {
    const out = required(values, "out");
    required(values, "power");
    await beside(out, (path) =>
      newDevelopmentPtau(integer(values, "power", 1, 24, 0), path, {
        prepared: values["unprepared"] !== true,
        signal,
        onProgress: (done) => terminal.progress("making powers of tau", done),
      }),
    );
    terminal.line(`written to ${out} (development)`);
  },
};

export const keyNewCommand: Command = {
  name: "setup key new",
  summary: "the initial key of a circuit, from its rows and powers of tau",
  help: `
  FILE.r1cs          what circom, or \`setup circuit\`, writes
  --ptau FILE        powers of tau: a .ptau, or the path that \`setup ptau import\` prints
  --development      no powers of tau: one party's own key, made in seconds, for development only
  --out FILE         where to write; must not exist [initial.zkey; development.zkey]

The initial key is forgeable by anyone until somebody contributes: see \`setup key contribute\`, or let a quorum do it with
\`setup ceremony\`. Files are snarkjs', byte for byte.
`,
  options: { ptau: { type: "string" }, development: { type: "boolean" }, out: { type: "string" } },
  positionals: ["FILE.r1cs"],
  async run({ values, positionals, terminal, signal }) {
    const r1csPath = argument(positionals, "name the .r1cs file");
    const started = performance.now();
    const onProgress = (done: number) => terminal.progress("making the key", done);
    if (values["development"] === true) {
      if (values["ptau"] !== undefined) throw new AnchorError("USAGE", "--development takes no powers of tau");
      const out = optional(values, "out") ?? "development.zkey";
      const { verifyingKey } = await beside(out, (path) => setupDevelopment(r1csPath, path, { signal, onProgress }));
      terminal.line(`key ${keyDigest(verifyingKey)} (development: whoever made it can forge)`);
      return terminal.line(`written to ${out} in ${seconds(performance.now() - started)}`);
    }
    const ptauPath = required(values, "ptau");
    const out = optional(values, "out") ?? "initial.zkey";
    const { circuitHash } = await beside(out, (zkeyPath) =>
      newPhase2Key({ r1csPath, ptauPath, zkeyPath, signal, onProgress }),
    );
    terminal.line(`circuit hash ${circuitHash.slice(2)}`);
    terminal.line(`written to ${out} in ${seconds(performance.now() - started)}; it has no contribution yet`);
  },
};

export const keyContributeCommand: Command = {
  name: "setup key contribute",
  summary: "contribute randomness to a key, outside of a ceremony",
  help: `
  FROM.zkey          the key as it is
  --out FILE         where to write the new one; must not exist
  --name TEXT        shown with the contribution, up to 64 characters; nothing binds it
  --entropy-file F   bytes that go in beside the operating system's randomness

The secret exists in the native core's memory only, and is wiped. In a quorum use \`setup ceremony contribute\`, which signs.
`,
  options: { out: { type: "string" }, name: { type: "string" }, "entropy-file": { type: "string" } },
  positionals: ["FROM.zkey"],
  async run({ values, positionals, terminal, signal }) {
    const from = argument(positionals, "name the key to contribute to");
    const out = required(values, "out");
    const file = optional(values, "entropy-file");
    const entropy = file === undefined ? undefined : await readBytes(file);
    const onProgress = (done: number) => terminal.progress("contributing", done);
    const { hash } = await beside(out, (to) =>
      contribute({ from, to, name: optional(values, "name"), entropy, signal, onProgress }),
    );
    terminal.line(`contribution hash ${hash.slice(2)}`);
    terminal.line(`written to ${out}; publish the hash, so that everybody can see that you are in the final key`);
  },
};

export const keyBeaconCommand: Command = {
  name: "setup key beacon",
  summary: "end the contributions to a key with a public random value",
  help: `
  FROM.zkey          the key as it is
  --beacon HEX       the value, 1 to 255 bytes: such as a block hash or a drand round that was announced before
  --iterations N     SHA-256 is iterated 2^N times, from 10 to 32 [10]
  --out FILE         where to write; must not exist
  --name TEXT        shown with the beacon, such as what the value is
`,
  options: {
    beacon: { type: "string" },
    iterations: { type: "string" },
    out: { type: "string" },
    name: { type: "string" },
  },
  positionals: ["FROM.zkey"],
  async run({ values, positionals, terminal, signal }) {
    const from = argument(positionals, "name the key");
    const [out, beacon] = [required(values, "out"), required(values, "beacon")];
    const digits = beacon.toLowerCase().replace(/^0x/, "");
    if (!/^(?:[0-9a-f]{2}){1,255}$/.test(digits)) {
      throw new AnchorError("USAGE", "--beacon takes 1 to 255 bytes, in hexadecimal digits");
    }
    const { hash } = await beside(out, (to) =>
      applyBeacon({
        from,
        to,
        name: optional(values, "name"),
        hash: fromHex(`0x${digits}`, "--beacon"),
        iterationsExp: integer(values, "iterations", 10, 32, 10),
        signal,
        onProgress: (done) => terminal.progress("applying the beacon", done),
      }),
    );
    terminal.line(`contribution hash ${hash.slice(2)}`);
    terminal.line(`written to ${out}`);
  },
};

export const keyVerifyCommand: Command = {
  name: "setup key verify",
  summary: "check a proving key against its circuit and powers of tau",
  help: `
  KEY.zkey           snarkjs' proving key, made here or there
  --r1cs FILE        the circuit's rows
  --ptau FILE        powers of tau: a .ptau, or the path that \`setup ptau import\` prints
  --json             print what was found as JSON

Checks every section and every contribution. What it cannot show: whether one of the contributors forgot their secret, and
who contributed to the powers of tau. Without a ceremony's manifest the key stays a development key.
`,
  options: { r1cs: { type: "string" }, ptau: { type: "string" }, json: { type: "boolean" } },
  positionals: ["KEY.zkey"],
  async run({ values, positionals, terminal, signal }) {
    const zkeyPath = argument(positionals, "name the key");
    const started = performance.now();
    const { verifyingKey, transcript, circuitDigest } = await verifyPhase2({
      r1csPath: required(values, "r1cs"),
      ptauPath: required(values, "ptau"),
      zkeyPath,
      signal,
      onProgress: (done) => terminal.progress("checking the key", done),
    });
    const contributions = transcript.contributions.map(({ name, kind, hash, beacon }) => ({
      kind,
      ...(name === undefined ? {} : { name }),
      hash,
      ...(beacon === undefined ? {} : { beacon: { ...beacon, hash: toHex(beacon.hash) } }),
    }));
    const digest = keyDigest(verifyingKey);
    if (values["json"]) {
      return terminal.line(pretty({ keyDigest: digest, circuitDigest, contributions }).trimEnd());
    }
    terminal.line(
      `ok   every section is that of the circuit and the powers of tau (${seconds(performance.now() - started)})`,
    );
    for (const [i, { kind, name, hash }] of contributions.entries()) {
      // Whoever contributed chose the name: quoted, it cannot pass for lines of ours.
      const label = name === undefined ? "" : ` ${JSON.stringify(name)}`;
      terminal.line(`ok   ${kind} ${i + 1}${label}: ${hash.slice(2, 34)}…`);
    }
    terminal.line(`key      ${digest}`);
    terminal.line(`circuit  ${circuitDigest}`);
  },
};

export const circuitExportCommand: Command = {
  name: "setup circuit",
  summary: "compile a circuit to the files that a setup and a prover need",
  help: `
  FILE.circom        a Circom 2.2.3 program that includes nothing but anchorproof's own circuits
  --model DIR        instead: what \`model import\` wrote
  --dataset DIR      instead: what \`dataset commit\` wrote; all datasets of its height share a circuit
  --out DIR          where to write circuit.r1cs, circuit.wasm and circuit.sym [out/circuit]

Of a model, circuit.r1cs alone: it is the one in DIR, checked against the model, from which witnesses come.
`,
  options: { model: { type: "string" }, dataset: { type: "string" }, out: { type: "string" } },
  positionals: ["FILE.circom"],
  async run({ values, positionals, terminal, signal }) {
    const { circuit, files } = await compile(values, positionals, terminal, signal);
    const out = optional(values, "out") ?? join("out", "circuit");
    for (const [from, name] of files) await copyWhole(from, join(out, name));
    const power = domainPower(await describeR1cs(circuit.r1csPath, signal));
    terminal.line(`circuit  ${circuit.circuitDigest}`);
    terminal.line(`rows     ${circuit.rows}: needs powers of tau for 2^${power}`);
    terminal.line(`written to ${out}`);
  },
};

async function compile(
  values: Values,
  positionals: readonly string[],
  terminal: Terminal,
  signal: AbortSignal,
): Promise<{ circuit: CircuitRows; files: [from: string, name: string][] }> {
  const [model, dataset, file] = [optional(values, "model"), optional(values, "dataset"), positionals[0]];
  if ([model, dataset, file].filter((given) => given !== undefined).length !== 1) {
    throw new AnchorError("USAGE", "name one: a .circom file, --model DIR or --dataset DIR");
  }
  if (model !== undefined) {
    terminal.busy("checking the circuit");
    const { circuit } = await readModelDirectory(model, { signal });
    return { circuit, files: [[circuit.r1csPath, "circuit.r1cs"]] };
  }
  if (dataset !== undefined) {
    const { depth } = (await readCommitment(dataset)).opening;
    terminal.busy("writing the circuit");
    const circuit = await buildProgram(datasetProgram({ kind: "chunk", depth }), { signal });
    return { circuit, files: [[circuit.r1csPath, "circuit.r1cs"]] };
  }
  const source = { name: basename(file!), source: new TextDecoder().decode(await readBytes(file!)) };
  terminal.busy("compiling the circuit");
  const circuit = await compileCircuit(source, { signal });
  const { r1csPath, wasmPath, symPath } = circuit;
  return {
    circuit,
    files: [
      [r1csPath, "circuit.r1cs"],
      [wasmPath, "circuit.wasm"],
      [symPath, "circuit.sym"],
    ],
  };
}

/** Copies beside the target, then renames. As proving keys, these files hold a model's weights. */
async function copyWhole(from: string, to: string): Promise<void> {
  const beside = `${to}.${randomBytes(6).toString("hex")}.part`;
  try {
    await ensureDirectory(dirname(to));
    await copyFile(from, beside, constants.COPYFILE_EXCL);
    await chmod(beside, 0o600);
    await rename(beside, to);
  } catch (error) {
    await rm(beside, { force: true }).catch(() => {});
    throw toAnchorError(error, "FILE_UNREADABLE", `cannot write ${to}`);
  }
}

function argument(positionals: readonly string[], missing: string): string {
  const [value] = positionals;
  if (value === undefined) throw new AnchorError("USAGE", missing);
  return value;
}

function printPtau(
  terminal: Terminal,
  { power, digest, publicCeremony, development, contributions, path }: ImportedPtau,
): void {
  const source = publicCeremony
    ? `of the public ceremony (${publicCeremony})`
    : development
      ? "for development only"
      : `source unknown; ${contributions} contribution${contributions === 1 ? "" : "s"} on record, not checked`;
  terminal.line(`2^${power}     ${source}`);
  terminal.line(`digest   ${digest}`);
  terminal.line(`path     ${path}`);
}

/** Has a file written beside its place, which must be free, and puts it there. @throws FILE_UNREADABLE, INPUT_INVALID */
async function beside<T>(path: string, write: (path: string) => Promise<T>): Promise<T> {
  const taken = () => new AnchorError("INPUT_INVALID", `${path} exists already: remove it or name another file`);
  // Now, and not after the work.
  if (existsSync(path)) throw taken();
  const workshop = `${path}.${randomBytes(6).toString("hex")}.part`;
  try {
    await ensureDirectory(dirname(path));
    await mkdir(workshop, { mode: 0o700 });
  } catch (error) {
    throw toAnchorError(error, "FILE_UNREADABLE", `cannot write ${path}`);
  }
  try {
    const result = await write(join(workshop, "file"));
    // Unlike renaming, this replaces nothing that came meanwhile.
    await link(join(workshop, "file"), path).catch((error: NodeJS.ErrnoException) => {
      throw error.code === "EEXIST" ? taken() : toAnchorError(error, "FILE_UNREADABLE", `cannot write ${path}`);
    });
    return result;
  } finally {
    await rm(workshop, { recursive: true, force: true });
  }
}
