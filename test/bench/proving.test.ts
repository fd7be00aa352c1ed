/**
 * Provers that cheat. The benchmark calls foreign programs and trusts none of them: a fast answer that is not a proof
 * of this witness under this key must never become a sample.
 */
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { prepareCase } from "../../src/bench/circuits.js";
import type { ExternalProver, Results, Settings } from "../../src/bench/contest.js";
import { BenchServer, nativeProvers, onCores, runCommand } from "../../src/bench/processes.js";
import { proveLadder } from "../../src/bench/proving.js";
import type { Preparation, Row } from "../../src/bench/report.js";
import type { Proven } from "../../src/bench/server.js";
import type { AnchorError } from "../../src/errors.js";
import { NATIVE_PROVER } from "../../src/field/native.js";
import { R } from "../../src/field/scalar.js";
import { code, temporaryFolder } from "../circuit/support.js";

let folder: string;
let good: Proven;
const never = new AbortController().signal;

/** A prover as a program: its arguments are `zkey, wtns, proofFile, publicFile`. */
async function prover(name: string, body: string): Promise<ExternalProver> {
  const path = join(folder, `${name}.mjs`);
  await writeFile(
    path,
    `import { readFileSync, writeFileSync } from "node:fs";
const [zkey, wtns, proofFile, publicFile] = process.argv.slice(2);
const good = JSON.parse(readFileSync(${JSON.stringify(join(folder, "good.json"))}, "utf8"));
const write = (proof, publics) => {
  writeFileSync(proofFile, JSON.stringify(proof));
  writeFileSync(publicFile, JSON.stringify(publics));
};
${body}
`,
  );
  return { name, command: [process.execPath, path] };
}

async function bench(
  externals: ExternalProver[],
  runs = 1,
  native = false,
): Promise<{ rows: Row[]; preparations: Preparation[]; notes: string[] }> {
  const run = join(folder, `run-${Math.random()}`);
  await mkdir(run);
  const rows: Row[] = [];
  const preparations: Preparation[] = [];
  const notes: string[] = [];
  const settings: Settings = {
    sizes: [10],
    kinds: ["poseidon"],
    threads: 2,
    runs,
    proofs: 1,
    concurrency: 1,
    models: undefined,
    externals,
    snarkjsSize: 0,
    peers: true,
    native,
    folder: run,
    signal: never,
    onStep: () => {},
  };
  const results: Results = {
    rows: (more) => rows.push(...more),
    preparation: (one) => preparations.push(one),
    inference: () => {},
    gas: () => {},
    note: (note) => notes.push(note),
  };
  await proveLadder(settings, results);
  return { rows, preparations, notes };
}

beforeAll(async () => {
  folder = await temporaryFolder();
  const of = await prepareCase("poseidon", 10, folder);
  const server = new BenchServer("snarkjs", 2, never);
  good = (await server.ask("prove", { zkey: of.zkeyPath, wtns: of.wtnsPath, threads: 2 })).value;
  server.close();
  await writeFile(join(folder, "good.json"), JSON.stringify(good));
});

describe("external provers", () => {
  it("take part, each round, without their curve being named", async () => {
    const honest = await prover("honest", "const { curve, ...proof } = good.proof; write(proof, good.publicSignals);");
    const { rows, preparations } = await bench([honest], 2);
    const cold = rows.filter(({ mode }) => mode === "cold");
    expect(cold.map(({ implementation }) => implementation)).toEqual(["snarkjs", "honest"]);
    for (const { samples, medianMs, bench, circuit, size, ratio, peakBytes } of cold) {
      expect({ bench, circuit, size }).toEqual({ bench: "prove", circuit: "poseidon", size: 10 });
      expect(samples).toHaveLength(2);
      expect(medianMs).toBeGreaterThan(0);
      expect(ratio).toBeGreaterThan(0);
      if (process.platform === "linux") expect(peakBytes).toBeGreaterThan(10 * 1024 * 1024);
    }
    expect(rows.filter(({ mode }) => mode === "warm").map(({ implementation }) => implementation)).toEqual(["snarkjs"]);
    expect(preparations).toHaveLength(1);
  });

  const other = (R - 1n).toString();
  it.each([
    ["writes nothing", "", "PROVE_FAILED"],
    ["fails after a good proof", "write(good.proof, good.publicSignals); process.exit(3);", "PROVE_FAILED"],
    ["kills itself", 'process.kill(process.pid, "SIGKILL");', "PROVE_FAILED"],
    [
      "writes half a file",
      'writeFileSync(proofFile, "{\\"pi_a\\":"); writeFileSync(publicFile, "[]");',
      "PROVE_FAILED",
    ],
    ["proves something else", `write(good.proof, ["${other}"]);`, "PROOF_INVALID"],
    ["shows fewer signals", "write(good.proof, []);", "PROOF_INVALID"],
    ["swaps points", "write({ ...good.proof, pi_a: good.proof.pi_c }, good.publicSignals);", "PROOF_INVALID"],
    ["leaves the curve", 'write({ ...good.proof, pi_a: ["1", "1", "1"] }, good.publicSignals);', "PROOF_INVALID"],
    ["is of another curve", 'write({ ...good.proof, curve: "bls12381" }, good.publicSignals);', "PROOF_INVALID"],
    ["is no proof", "write({}, good.publicSignals);", "PROOF_INVALID"],
  ])("one that %s ends the benchmark", async (name, body, wanted) => {
    const cheat = await prover(name.replaceAll(" ", "-"), body);
    await expect(bench([cheat])).rejects.toThrow(code(wanted));
  });

  it("cannot live on the files of the one before", async () => {
    // snarkjs, which goes first, has just left a valid proof there.
    const lazy = await prover("lazy", "");
    const error = await bench([lazy]).catch((error: AnchorError) => error);
    expect(error).toMatchObject({ code: "PROVE_FAILED" });
    expect(String(error)).toContain("lazy wrote no valid");
  });

  it("a valid proof of another key is none here", async () => {
    const of = await prepareCase("sha256", 10, folder);
    const server = new BenchServer("snarkjs", 2, never);
    const { value } = await server.ask("prove", { zkey: of.zkeyPath, wtns: of.wtnsPath, threads: 2 });
    server.close();
    const cheat = await prover("other-key", `write(${JSON.stringify(value.proof)}, good.publicSignals);`);
    await expect(bench([cheat])).rejects.toThrow(code("PROOF_INVALID"));
  });
});

describe.skipIf(process.env["ANCHORPROOF_NATIVE"] === "off")("the native core, cold", () => {
  it("is the executable, and Node beside it", async () => {
    const { rows, notes } = await bench([], 1, true);
    const cold = rows.filter(({ mode }) => mode === "cold").map(({ implementation }) => implementation);
    expect(cold).toEqual(["native", "native-node", "native prepared", "snarkjs"]);
    expect(notes).toEqual([]);
    const files = ["k", "w", "p", "s"];
    const plain = [NATIVE_PROVER, ...files, "--threads", "3"];
    const [native, node, prepared] = nativeProvers(files, 3, "folder");
    expect(native).toEqual({ name: "native", command: plain });
    expect(node!.command[0]).toBe(process.execPath);
    const [, , card, none] = nativeProvers(files, 3, undefined, { library: "cards.so", device: 1 });
    expect(card).toEqual({ name: "cuda", command: [...plain, "--cuda=cards.so", "--device", "1"] });
    expect(none).toBeUndefined();
    expect(prepared).toEqual({ name: "native prepared", command: [...plain, "--prepared", "folder"] });
  });
});

describe("runCommand", () => {
  it("gives the time and the memory of the whole process", async () => {
    const script = "const b = Buffer.alloc(96 << 20, 1); setTimeout(() => b, 150)";
    const { ms, peakBytes } = await runCommand([process.execPath, "-e", script], never);
    expect(ms).toBeGreaterThan(150);
    if (process.platform === "linux") expect(peakBytes).toBeGreaterThan(96 << 20);
  });

  it("says what the command said last", async () => {
    const failing = runCommand(
      [process.execPath, "-e", 'console.error("first\\nno such key"); process.exit(7)'],
      never,
    );
    await expect(failing).rejects.toThrow(/ended with 7: no such key/);
  });

  it("names a command that cannot be started", async () => {
    const file = join(folder, "not-executable");
    await writeFile(file, "");
    await chmod(file, 0o600);
    for (const program of [file, join(folder, "missing")]) {
      await expect(runCommand([program], never)).rejects.toThrow(code("PROVE_FAILED"));
    }
  });

  it("stops on request, also before it has begun", async () => {
    const stop = new AbortController();
    const waiting = runCommand([process.execPath, "-e", "setInterval(() => {}, 1000)"], stop.signal);
    setTimeout(() => stop.abort(), 50);
    await expect(waiting).rejects.toThrow(code("ABORTED"));
    await expect(runCommand([process.execPath, "-e", ""], stop.signal)).rejects.toThrow(code("ABORTED"));
  });
});

describe.runIf(process.platform === "linux")("a prover behind a script", () => {
  it("is stopped with it", async () => {
    const file = join(folder, "pid");
    const stop = new AbortController();
    const inner = `fs.writeFileSync(${JSON.stringify(file)}, String(process.pid)); setInterval(() => {}, 1000)`;
    const outer = `child_process.spawnSync(process.execPath, ["-e", ${JSON.stringify(inner)}])`;
    const running = runCommand([process.execPath, "-e", outer], stop.signal);
    const failed = expect(running).rejects.toThrow(code("ABORTED"));
    let pid = "";
    while (pid === "") {
      await new Promise((resolve) => setTimeout(resolve, 20));
      pid = await readFile(file, "utf8").catch(() => "");
    }
    stop.abort();
    await failed;
    // Gone, or a corpse that nobody has collected yet; the signal may take a moment to arrive.
    const state = () => readFile(`/proc/${pid}/status`, "utf8").catch(() => "State: gone");
    while (!/^State:\s*(gone|[ZX])/m.test(await state())) await new Promise((resolve) => setTimeout(resolve, 20));
  });
});

describe("onCores", () => {
  it.runIf(process.platform === "linux")("holds a command to one core, whatever it asks for", async () => {
    const file = join(folder, "cores");
    const script = `fs.writeFileSync(${JSON.stringify(file)}, fs.readFileSync("/proc/self/status"))`;
    await runCommand(onCores(1, [process.execPath, "-e", script]), never);
    expect(await readFile(file, "utf8")).toMatch(/^Cpus_allowed_list:\s*\d+$/m);
  });
});

describe("BenchServer", () => {
  it("answers an unknown operation or missing file with an error, and lives on", async () => {
    const server = new BenchServer("snarkjs", 2, never);
    await expect(server.ask("poseidon", { file: "x", threads: 1 })).rejects.toThrow(code("INTERNAL"));
    await expect(server.ask("ntt", { file: join(folder, "missing"), threads: 1 })).rejects.toThrow(code("INTERNAL"));
    const { value } = await server.ask("field", {});
    expect(value[0]!.latencyNs).toBeGreaterThan(0);
    server.close();
    await expect(server.ask("field", {})).rejects.toThrow(code("WORKER_CRASHED"));
  });

  it("ends with the run", async () => {
    const stop = new AbortController();
    const server = new BenchServer("javascript", 2, stop.signal);
    const asked = server.ask("field", {});
    stop.abort();
    await expect(asked).rejects.toThrow(code("ABORTED"));
    await expect(server.ask("field", {})).rejects.toThrow(code("ABORTED"));
  });
});
