/**
 * The executable `anchorproof-prover` from outside: the files that snarkjs would write or none, a line and an exit code
 * for everything that goes wrong, and no proof that does not verify.
 */
import { type ExecFileException, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, open, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import * as snarkjs from "snarkjs";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { encodeG2 } from "../../src/circuit/binfile.js";
import { type CompiledCircuit, compileCircuit } from "../../src/circuit/compile.js";
import { type CircuitKey, developmentKey } from "../../src/circuit/setup.js";
import { calculateWitness, encodeWtns } from "../../src/circuit/witness.js";
import { NATIVE_PROVER, nativeCore, nativeStatus } from "../../src/field/native.js";
import { R } from "../../src/field/scalar.js";
import { affineG2, g2Point } from "../../src/verifier/curve.js";
import { parseProof, parsePublicSignals, verifyGroth16, verifyingKeyToJson } from "../../src/verifier/groth16.js";
import { changedFile, patch } from "../circuit/files.js";
import { temporaryFolder } from "../circuit/support.js";
import { EMULATED_TIMEOUT, emulatedLibrary } from "./emulated.js";
import { buildStandIn } from "./standIn.js";

const off = process.env["ANCHORPROOF_NATIVE"] === "off";

/** Public signals of every length in decimal: 0, 1, around 10^19 and 10^38, and the largest. */
const SIGNALS = [0n, 1n, 10n ** 19n - 1n, 10n ** 19n, 10n ** 38n + 7n, (1n << 64n) - 1n, 1n << 128n, R - 1n];
const CIRCUIT = {
  name: "native-prover",
  source: `pragma circom 2.2.3;
template Steps() {
    signal input a;
    signal input shown[${SIGNALS.length}];
    signal output c;
    signal steps[101];
    steps[0] <== a + shown[0];
    for (var i = 0; i < 100; i++) steps[i + 1] <== steps[i] * (steps[i] - shown[i % ${SIGNALS.length}]) + i;
    c <== steps[100];
}
component main {public [shown]} = Steps();
`,
};
const SILENT = {
  name: "native-prover-silent",
  source: `pragma circom 2.2.3;
template Silent() {
    signal input a;
    signal square;
    square <== a * a;
    square * square === a + 14;
}
component main = Silent();
`,
};

let circuit: CompiledCircuit;
let key: CircuitKey;
let zkey: Uint8Array;
let witness: bigint[];
let folder: string;
/** Key, witness, proof and public signals: the program's arguments. */
let files: [string, string, string, string];

interface Run {
  status: number | string | null;
  out: string;
  err: string;
}

function run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Run> {
  return new Promise((resolve) => {
    const options = { env: { ...process.env, ...env }, cwd: folder, timeout: 60_000 };
    execFile(NATIVE_PROVER, args, options, (error: ExecFileException | null, out, err) => {
      resolve({ status: error ? (error.code ?? error.signal ?? null) : 0, out, err });
    });
  });
}

const json = async (file: string) => JSON.parse(await readFile(file, "utf8"));

async function expectValid(of: CircuitKey): Promise<void> {
  const [proof, signals] = [await json(files[2]), await json(files[3])];
  expect(await snarkjs.groth16.verify(verifyingKeyToJson(of.verifyingKey), signals, proof)).toBe(true);
  expect(verifyGroth16(of.verifyingKey, parsePublicSignals(signals), parseProof(proof))).toBe(true);
}

/** One line of its own, this exit code, and no file but those that were there. */
async function expectFailure(args: readonly string[], status: 1 | 2, reason: RegExp): Promise<void> {
  const before = (await readdir(folder)).sort();
  const ended = await run(args);
  expect(ended).toMatchObject({ status, out: "" });
  expect(ended.err).toMatch(/^anchorproof-prover: [^\n]*\n$/);
  expect(ended.err).toMatch(reason);
  expect((await readdir(folder)).sort()).toEqual(before);
}

async function replace(bytes: Uint8Array): Promise<string> {
  const path = join(folder, "changed");
  await writeFile(path, bytes);
  return path;
}

beforeAll(async () => {
  circuit = await compileCircuit(CIRCUIT);
  key = await developmentKey(circuit);
  zkey = new Uint8Array(await readFile(key.zkeyPath));
  witness = await calculateWitness(circuit.wasmPath, { a: 5n, shown: SIGNALS });
});

beforeEach(async () => {
  folder = await temporaryFolder();
  files = [key.zkeyPath, join(folder, "witness.wtns"), join(folder, "a proof.json"), join(folder, "public.json")];
  await writeFile(files[1], encodeWtns(witness));
});

describe.skipIf(off)("anchorproof-prover", () => {
  it("is there with the core", async () => {
    expect((await stat(NATIVE_PROVER)).mode & 0o111).not.toBe(0);
    const status = nativeStatus();
    expect(await run(["--build"])).toEqual({ status: 0, out: `${status.available && status.build}\n`, err: "" });
    expect((await run(["--help"])).out).toMatch(/^usage: anchorproof-prover KEY\.zkey .*\n$/);
  });

  it("writes what snarkjs' command writes, on every engine and number of threads", async () => {
    const theirs = [join(folder, "their-proof.json"), join(folder, "their-public.json")];
    const cli = join(createRequire(import.meta.url).resolve("snarkjs"), "..", "cli.cjs");
    const child = spawn(process.execPath, [cli, "groth16", "prove", files[0], files[1], ...theirs]);
    expect((await once(child, "exit"))[0]).toBe(0);
    const withoutNumbers = (text: string) => text.replace(/"\d{2,}"/g, '"…"');
    const [proof, signals] = await Promise.all(theirs.map((file) => readFile(file, "utf8")));
    for (const engine of nativeCore()!.info().engines) {
      for (const threads of [[], ["--threads", "1"], ["--threads=3"], ["--threads", "256"]]) {
        expect(await run([...files, ...threads], { ANCHORPROOF_NATIVE: engine })).toEqual({
          status: 0,
          out: "",
          err: "",
        });
        await expectValid(key);
        expect(await readFile(files[3], "utf8")).toBe(signals);
        expect(withoutNumbers(await readFile(files[2], "utf8"))).toBe(withoutNumbers(proof!));
      }
    }
    expect(JSON.parse(signals!)).toEqual(witness.slice(1, SIGNALS.length + 2).map(String));
    expect((await readdir(folder)).length).toBe(5);
  });

  it("proves a circuit that shows nothing", async () => {
    const silent = await compileCircuit(SILENT);
    const other = await developmentKey(silent);
    await writeFile(files[1], encodeWtns(await calculateWitness(silent.wasmPath, { a: 2n })));
    expect(await run([other.zkeyPath, ...files.slice(1)])).toMatchObject({ status: 0, err: "" });
    expect(await readFile(files[3], "utf8")).toBe("[]");
    await expectValid(other);
  });

  it("replaces old files whole, behind links, and takes options before and after", async () => {
    const real = join(folder, "real.json");
    await writeFile(real, "x".repeat(100_000));
    await symlink(real, files[2]);
    const prepared = join(folder, "prepared");
    await mkdir(prepared);
    for (let i = 0; i < 2; i++) {
      expect(await run(["--prepared", prepared, "--", ...files])).toEqual({ status: 0, out: "", err: "" });
      await expectValid(key);
    }
    expect((await readFile(real, "utf8")).startsWith("{")).toBe(true);
    expect((await stat(real)).mode & 0o777).toBe(0o666 & ~process.umask());
  });

  it("takes the witness from a pipe, and writes to one", async () => {
    const shell = `cat "$2" | ${NATIVE_PROVER} "$1" /dev/stdin /dev/stdout "$4" | cat > "$3"`;
    expect((await once(spawn("sh", ["-c", shell, "sh", ...files]), "exit"))[0]).toBe(0);
    await expectValid(key);
  });

  it("writes nothing for a witness that breaks a row", async () => {
    for (const wire of [1, 2, SIGNALS.length + 2, witness.length - 1]) {
      const forged = [...witness];
      forged[wire] = (forged[wire]! + 1n) % R;
      await writeFile(files[1], encodeWtns(forged));
      await expectFailure(files, 1, /the proof does not verify/);
    }
  });

  it("leaves earlier results when it fails", async () => {
    for (const file of files.slice(2)) await writeFile(file, "earlier");
    await writeFile(files[1], encodeWtns([...witness.slice(0, -1), 3n]));
    await expectFailure(files, 1, /does not verify/);
    expect(await readFile(files[2], "utf8")).toBe("earlier");
    expect(await readFile(files[3], "utf8")).toBe("earlier");
  });

  it("refuses witnesses that are none of this key", async () => {
    const wtns = encodeWtns(witness);
    for (const bytes of [
      new Uint8Array(0),
      wtns.subarray(0, -1),
      new Uint8Array([...wtns, 0]),
      encodeWtns(witness.slice(1)),
      zkey,
    ]) {
      await writeFile(files[1], bytes);
      await expectFailure(files, 1, /witness\.wtns: \S/);
    }
    await expectFailure([files[0], "/dev/zero", files[2], files[3]], 1, /the witness is longer than the key's/);
    await expectFailure([files[0], folder, files[2], files[3]], 1, /cannot be read: Is a directory/);
  });

  it("refuses damaged keys, and does not die of any", async () => {
    for (const length of [0, 3, 11, 100, 700, Math.floor(zkey.length / 2), zkey.length - 1]) {
      await expectFailure([await replace(zkey.subarray(0, length)), ...files.slice(1)], 1, /\S/);
    }
    const view = new DataView(zkey.buffer, zkey.byteOffset);
    const ends: [number, number][] = [];
    for (let at = 12; at < zkey.length; ) {
      const length = Number(view.getBigUint64(at + 4, true));
      ends[view.getUint32(at, true)] = [at + 12, at + 12 + length];
      at += 12 + length;
    }
    // α₁ to δ₂, and the points of the public signals: what the proof is verified with.
    const [[from, to], [first, last]] = [ends[2]!, ends[3]!];
    const bytes = [from + 84, from + 148, from + 212, from + 340, from + 500, to - 100, first, first + 100, last - 5];
    for (const byte of bytes) {
      const damaged = zkey.slice();
      damaged[byte]! ^= 4;
      await expectFailure(
        [await replace(damaged), ...files.slice(1)],
        1,
        /changed: .*(malformed|curve|field|subgroup|order)/,
      );
    }
    // A point of the other key's: sound in itself, but not of this key.
    const swapped = zkey.slice();
    swapped.copyWithin(first, first + 64, first + 128);
    await expectFailure([await replace(swapped), ...files.slice(1)], 1, /does not verify/);
  });

  it("refuses keys that let anyone forge: two of beta, gamma and delta are equal up to sign", async () => {
    const [beta2, gamma2, delta2] = [212, 340, 532] as const;
    const { beta, gamma } = key.verifyingKey;
    const negated = encodeG2(affineG2(g2Point(gamma).negate()));
    for (const change of [
      patch(delta2, encodeG2(gamma)),
      patch(delta2, negated),
      patch(delta2, encodeG2(beta)),
      patch(gamma2, encodeG2(beta)),
      patch(beta2, negated),
    ]) {
      const changed = await changedFile("zkey", key.zkeyPath, join(folder, "changed"), { 2: change });
      await expectFailure([changed, ...files.slice(1)], 1, /lets anyone forge/);
    }
  });

  it("names files that cannot be read or written", async () => {
    const missing = join(folder, "missing");
    await expectFailure([missing, ...files.slice(1)], 1, /missing cannot be opened: No such file/);
    await expectFailure([files[0], missing, files[2], files[3]], 1, /missing cannot be opened: No such file/);
    await expectFailure([folder, ...files.slice(1)], 1, /is not a file/);
    const nowhere = join(missing, "p.json");
    await expectFailure([files[0], files[1], nowhere, files[3]], 1, /p\.json cannot be opened: No such file/);
    await expectFailure([files[0], files[1], files[2], nowhere], 1, /p\.json cannot be opened: No such file/);
    await expectFailure([files[0], files[1], files[2], folder], 1, /it is a folder/);
    await expectFailure(
      [files[0], files[1], files[2], join(files[1], "x")],
      1,
      /cannot be (opened|written): Not a dir/,
    );
    await expectFailure([join(folder, "two\nlines"), ...files.slice(1)], 1, /two\?lines/);
    if (process.platform !== "linux") return;
    await expectFailure([files[0], files[1], files[2], "/dev/full"], 1, /\/dev\/full cannot be written: No space/);
    if (process.getuid?.() === 0) return; // may write everywhere
    const locked = join(folder, "locked");
    await mkdir(locked, { mode: 0o500 });
    await expectFailure([files[0], files[1], files[2], join(locked, "p.json")], 1, /Permission denied/);
    await chmod(locked, 0o700);
  });

  it("does not write over what it reads, or one result over the other", async () => {
    const before = await readFile(files[1]);
    await symlink(files[1], join(folder, "link"));
    for (const [proof, signals] of [
      [files[2], files[2]],
      [files[2], join(folder, ".", "x", "..", "a proof.json")],
      [files[1], files[3]],
      [files[2], join(folder, "link")],
      [files[0], files[3]],
    ] as const) {
      await expectFailure([files[0], files[1], proof, signals], 2, /one file|would replace/);
    }
    expect((await readFile(files[1])).equals(before)).toBe(true);
  });

  it.each([
    [[], /four files/],
    [["--threads", "2"], /four files/],
    [["a", "b", "c", "d", "e"], /four files/],
    [["a", "b", "", "d"], /is empty/],
    [["a", "b", "c", "d", "--threads"], /--threads takes a value/],
    ...["0", "-1", "257", "1.5", "0x2", "", " 2", "99999999999999999999"].map((value): [string[], RegExp] => [
      ["a", "b", "c", "d", "--threads", value],
      /--threads takes 1 to 256/,
    ]),
    [["a", "b", "c", "d", "--prepared="], /--prepared takes a folder/],
    [["a", "b", "c", "d", "--cuda="], /--cuda= takes a library/],
    [["a", "b", "c", "d", "--device"], /--device takes a value/],
    ...["-1", "256", "x", "", "1.0"].map((value): [string[], RegExp] => [
      ["a", "b", "c", "d", `--device=${value}`],
      /--device takes 0 to 255/,
    ]),
    [["a", "b", "c", "d", "--fast"], /no option --fast/],
    [["a", "b", "c", "d", "-t"], /no option -t/],
  ] as [string[], RegExp][])("explains its usage for %j", async (args, reason) => {
    await expectFailure(args, 2, reason);
    await expectFailure(args, 2, /\(usage: anchorproof-prover KEY\.zkey/);
  });

  describe("with --cuda", () => {
    let library: string;
    beforeEach(() => {
      library = buildStandIn(folder);
    });

    /** Proves by the processor after a card did not, and says why in one line. */
    async function expectFallback(args: readonly string[], reason: RegExp, env: NodeJS.ProcessEnv = {}): Promise<void> {
      const ended = await run([...files, ...args], env);
      expect(ended).toMatchObject({ status: 0, out: "" });
      expect(ended.err).toMatch(/^anchorproof-prover: [^\n]*; the processor proves\n$/);
      expect(ended.err).toMatch(reason);
      await expectValid(key);
    }

    it("proves by the processor what no card can, and says so", async () => {
      const nowhere = join(folder, "none.so");
      await expectFallback([`--cuda=${nowhere}`], /not built \(npm run build:cuda\): there is no .*none\.so/);
      await expectFallback(["--cuda"], /there is no .*none\.so/, { ANCHORPROOF_CUDA: nowhere });
      await expectFallback(["--cuda"], /ANCHORPROOF_CUDA is off/, { ANCHORPROOF_CUDA: "off" });
      await expectFallback([`--cuda=${NATIVE_PROVER}`], /does not load|is not anchorproof's/);
      await expectFallback(["--device", "4"], /too little memory/, { ANCHORPROOF_CUDA: library });
      await expectFallback([`--cuda=${library}`, "--device=5"], /x{50}; the card serves this process no more/);
      await expectFallback([`--cuda=${library}`, "--device=1"], /returned a sum that is none/);
    });

    it("makes a proof again that does not verify", async () => {
      // The card that serves knows of no points.
      await expectFallback([`--cuda=${library}`], /the card's proof does not verify/);
    });

    it("ends without a proof where the processor would", async () => {
      const card = `--cuda=${library}`;
      await expectFailure([...files, card, "--device", "9"], 1, /there is no card 9/);
      await writeFile(files[1], encodeWtns(witness.slice(1)));
      await expectFailure([...files, card], 1, /witness\.wtns: the witness: its number of wires/);
      await writeFile(files[1], encodeWtns([...witness.slice(0, -1), 3n]));
      const { status, err } = await run([...files, card]);
      expect(status).toBe(1);
      expect(err).toMatch(
        /^[^\n]*the card's proof does not verify; [^\n]*\n[^\n]*: the proof does not verify: [^\n]*\n$/,
      );
    });

    it("takes the emulated card's proof", { timeout: EMULATED_TIMEOUT }, async () => {
      expect(await run([...files, `--cuda=${await emulatedLibrary()}`])).toEqual({ status: 0, out: "", err: "" });
      await expectValid(key);
    });
  });

  it("names an engine that is not to be had", async () => {
    const { status, err } = await run(files, { ANCHORPROOF_NATIVE: "sse" });
    expect(status).toBe(1);
    expect(err).toMatch(/^anchorproof-prover: .*ANCHORPROOF_NATIVE.*\n$/);
  });

  it.each(["SIGINT", "SIGTERM"] as const)("ends on %s, while it waits for a witness", async (signal) => {
    const pipe = join(folder, "pipe");
    await once(spawn("sh", ["-c", `mkfifo "${pipe}"`]), "exit");
    const child = spawn(NATIVE_PROVER, [files[0], pipe, files[2], files[3]]);
    let err = "";
    child.stderr.on("data", (chunk) => {
      err += chunk;
    });
    const closed = once(child, "close");
    // Returns when the program has opened its end; then half a witness follows, and no end.
    const writer = await open(pipe, "w");
    await writer.write(encodeWtns(witness).subarray(0, 500));
    // It sleeps when it has read what there is. Where there is no telling, it may not have come so far.
    const state = () => readFile(`/proc/${child.pid}/stat`, "utf8").catch(() => ") S ");
    while (!(await state()).includes(") S ")) await new Promise(setImmediate);
    child.kill(signal);
    expect(await closed).toEqual([1, null]);
    expect(err).toMatch(/^anchorproof-prover: stopped.*\n$/);
    await writer.close();
    expect((await readdir(folder)).sort()).toEqual(["pipe", "witness.wtns"]);
  });
});
