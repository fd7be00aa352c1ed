/**
 * The ladder of setups, and contestants that cheat: what takes no time because it was not done must never become a
 * sample.
 */
import { spawnSync } from "node:child_process";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { type BenchCircuit, prepareCircuit } from "../../src/bench/circuits.js";
import type { Results, Settings } from "../../src/bench/contest.js";
import { Referee } from "../../src/bench/proving.js";
import type { Preparation, Row } from "../../src/bench/report.js";
import { type Powers, SETUP_PROGRAMS, type SetupPrograms, SizedSetup, setupLadder } from "../../src/bench/setup.js";
import { contribute, newPhase2Key } from "../../src/circuit/phase2.js";
import { importPtau, newDevelopmentPtau } from "../../src/circuit/ptau.js";
import { setupDevelopment } from "../../src/circuit/setup.js";
import { workerFile } from "../../src/workers.js";
import { code, temporaryFolder, temporaryStore } from "../circuit/support.js";

let folder: string;
let circuit: BenchCircuit;
let powers: Powers;
beforeAll(async () => {
  folder = await temporaryFolder();
});

interface Shown {
  rows: Row[];
  preparations: Preparation[];
  notes: string[];
}

async function contestIn(changes: Partial<Settings>): Promise<{ settings: Settings; results: Results; shown: Shown }> {
  const run = join(folder, `run-${Math.random()}`);
  await mkdir(run);
  const settings: Settings = {
    sizes: [10],
    kinds: ["poseidon"],
    threads: 2,
    runs: 1,
    proofs: 1,
    concurrency: 1,
    models: undefined,
    externals: [],
    snarkjsSize: 10,
    peers: true,
    native: true,
    folder: run,
    signal: new AbortController().signal,
    onStep: () => {},
    ...changes,
  };
  const shown: Shown = { rows: [], preparations: [], notes: [] };
  const results: Results = {
    rows: (more) => shown.rows.push(...more),
    preparation: (one) => shown.preparations.push(one),
    inference: () => {},
    gas: () => {},
    note: (note) => shown.notes.push(note),
  };
  return { settings, results, shown };
}

async function bench(
  changes: Partial<Settings> = {},
  programs: SetupPrograms = SETUP_PROGRAMS,
): Promise<Shown & { left: string[] }> {
  const { settings, results, shown } = await contestIn(changes);
  await setupLadder(settings, results, programs);
  return { ...shown, left: await readdir(settings.folder) };
}

/** One part of the ladder, where somebody cheats. */
async function part(
  name: "powers" | "development" | "phase2",
  programs: SetupPrograms,
  changes: Partial<Settings> = {},
): Promise<void> {
  const { settings, results } = await contestIn(changes);
  const referee = new Referee(settings);
  try {
    const setup = new SizedSetup(10, settings, results, programs, referee);
    if (name === "powers") await setup.powers();
    else if (name === "development") await setup.development(circuit);
    else await setup.phase2(circuit, powers);
  } finally {
    referee.close();
  }
}

/** Keys of the circuit as the programs make them: an initial one, the same with a contribution, and a development key. */
let made: Record<"initial" | "contributed" | "development", string>;

/** In the place of honest programs that others are beside: what they would make is there already. */
const PREPARED: SetupPrograms = {
  own: (step, request) => {
    const { zkeyPath, to } = request as object as { zkeyPath: string; to: string };
    if (step === "key") return ["cp", made.initial, zkeyPath];
    if (step === "contribute") return ["cp", made.contributed, to];
    if (step === "development") return ["cp", made.development, zkeyPath];
    return SETUP_PROGRAMS.own(step, request);
  },
  snarkjs: (...args) => {
    const command = args.slice(0, 2).join(" ");
    if (command === "zkey new") return ["cp", made.initial, args.at(-1)!];
    if (command === "zkey contribute") return ["cp", made.contributed, args[3]!];
    return SETUP_PROGRAMS.snarkjs(...args);
  },
};

/**
 * A program in the place of another one, as a script: `args` are those it is called with, `honest()` does what the other
 * one would do, `last` is the file named last.
 *
 * @param honest the command line of the other one, where `args` are its arguments
 */
async function instead(name: string, honest: string, body: string): Promise<string[]> {
  const path = join(folder, `${name}-${Math.random()}.mjs`);
  await writeFile(
    path,
    `import { spawnSync } from "node:child_process";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
const args = process.argv.slice(2);
const files = args.filter((arg) => !arg.startsWith("--"));
const last = files.at(-1);
const honest = () => {
  const [program, ...rest] = ${honest};
  const { status, stderr } = spawnSync(program, rest, { encoding: "utf8" });
  process.stderr.write(stderr);
  process.exitCode = status;
};
const change = (file, at) => {
  const bytes = readFileSync(file);
  bytes[at < 0 ? bytes.length + at : at] ^= 1;
  writeFileSync(file, bytes);
};
const points = (bytes) => {
  let at = 12;
  while (bytes.readUInt32LE(at) !== 9) at += 12 + Number(bytes.readBigUInt64LE(at + 4));
  return bytes.subarray(at + 12, at + 12 + Number(bytes.readBigUInt64LE(at + 4)));
};
const swapPoints = (file) => {
  const bytes = readFileSync(file);
  const first = Buffer.from(points(bytes).subarray(0, 64));
  points(bytes).copyWithin(0, 64, 128).set(first, 64);
  writeFileSync(file, bytes);
};
const keepH = (from, to) => {
  const [old, own] = [readFileSync(from), readFileSync(to)];
  points(own).set(points(old));
  writeFileSync(to, own);
};
${body}
`,
  );
  return [process.execPath, path];
}

/** snarkjs, but for one command. */
async function cheatingSnarkjs(command: string, body: string): Promise<SetupPrograms> {
  const honest = {
    "zkey new": `["cp", ${JSON.stringify(made.initial)}, args.at(-1)]`,
    "zkey contribute": `["cp", ${JSON.stringify(made.contributed)}, args[3]]`,
  }[command];
  const cheat = await instead("snarkjs", honest ?? "[]", body);
  return {
    ...PREPARED,
    snarkjs: (...args) => (args.slice(0, 2).join(" ") === command ? [...cheat, ...args] : PREPARED.snarkjs(...args)),
  };
}

/** The own program, but for one step; the request is there as `request`. */
async function cheatingOwn(step: string, body: string): Promise<SetupPrograms> {
  const cheat = await instead(
    "own",
    `[process.execPath, ${JSON.stringify(workerFile("bench/setupOnce"))}, ...args]`,
    `const request = JSON.parse(args[1]);
${body}`,
  );
  return {
    ...PREPARED,
    own: (own, request) => (own === step ? [...cheat, own, JSON.stringify(request)] : PREPARED.own(own, request)),
  };
}

describe.skipIf(process.env["ANCHORPROOF_NATIVE"] === "off")("with the native core", () => {
  beforeAll(async () => {
    circuit = await prepareCircuit("poseidon", 10, folder);
    const [store, prepared] = [await temporaryStore(), join(folder, "prepared.ptau")];
    await newDevelopmentPtau(10, prepared, { prepared: true });
    powers = { imported: (await importPtau(prepared, { store })).path, prepared, kept: store.root };
    made = {
      initial: join(folder, "initial.zkey"),
      contributed: join(folder, "contributed.zkey"),
      development: join(folder, "development.zkey"),
    };
    const { r1csPath } = circuit.compiled;
    await newPhase2Key({ r1csPath, ptauPath: powers.imported, zkeyPath: made.initial, store });
    await contribute({ from: made.initial, to: made.contributed });
    await setupDevelopment(r1csPath, made.development);
  });

  it("every step is there, beside snarkjs, and nothing is left behind", async () => {
    const { rows, preparations, notes, left } = await bench();
    const shown = rows.map(({ bench, circuit, implementation }) => `${bench} ${circuit}: ${implementation}`);
    expect(shown).toEqual([
      "setup import powers: native",
      "setup import powers: native prepared",
      "setup basis powers: native",
      "setup basis powers: native prepared",
      "setup development poseidon: native",
      "setup development poseidon: javascript",
      "setup key poseidon: native",
      "setup key poseidon: native prepared",
      "setup key poseidon: native basis kept",
      "setup key poseidon: snarkjs",
      "setup contribute poseidon: native",
      "setup contribute poseidon: snarkjs",
      "setup verify poseidon: native",
      "setup verify poseidon: snarkjs",
    ]);
    for (const { mode, size, threads, samples, ratio, peakBytes } of rows) {
      expect({ mode, size, threads }).toEqual({ mode: "cold", size: 10, threads: 2 });
      expect(samples).toHaveLength(1);
      expect(ratio).toBeGreaterThan(0);
      if (process.platform === "linux") expect(peakBytes).toBeGreaterThan(10 * 1024 * 1024);
    }
    const { extra } = rows.find((one) => one.bench === "setup key")!;
    expect(extra).toMatchObject({ rows: 870 });
    expect(extra!["keyMB"]).toBeCloseTo(0.39, 1);
    expect(preparations).toMatchObject([{ circuit: "poseidon", size: 10, rows: 870 }]);
    expect(preparations[0]).not.toHaveProperty("zkeyBytes");
    expect(notes).toEqual([expect.stringMatching(/powers prepared by snarkjs.* are left out$/)]);
    expect(left).toEqual([]);
  });

  it("says what is left out", async () => {
    const { rows, notes } = await bench(
      { snarkjsSize: 0, runs: 2 },
      {
        ...SETUP_PROGRAMS,
        // Its powers are new ones, which keys follow; a development key has none.
        own: (step, request) => (step === "development" ? PREPARED : SETUP_PROGRAMS).own(step, request),
      },
    );
    for (const { samples } of rows) expect(samples).toHaveLength(2);
    expect(rows.filter(({ implementation }) => implementation === "snarkjs")).toEqual([]);
    expect(notes).toHaveLength(2);
    expect(notes[0]).toBe("setup: keys by snarkjs (--snarkjs) are left out");
  });

  it("what is prepared goes through, so that it is the cheat that ends what follows", async () => {
    await part("phase2", PREPARED);
    await part("development", PREPARED);
  });

  it.each([
    ["leaves no key", "zkey new", "", "KEY_MALFORMED"],
    ["leaves another key", "zkey new", "honest(); change(last, -1);", "KEY_MALFORMED"],
    [
      "leaves half a key",
      "zkey new",
      "honest(); writeFileSync(last, readFileSync(last).subarray(0, 9999));",
      "KEY_MALFORMED",
    ],
    ["fails after a good key", "zkey new", "honest(); process.exitCode = 3;", "PROVE_FAILED"],
    ["does not contribute", "zkey contribute", "copyFileSync(files[2], files[3]);", "CONTRIBUTION_INVALID"],
    ["writes no contribution", "zkey contribute", "", "KEY_MALFORMED"],
    ["contributes to less than all", "zkey contribute", "honest(); keepH(files[2], files[3]);", "CONTRIBUTION_INVALID"],
    ["refuses a good key", "zkey verify", "process.exitCode = 1;", "KEY_MALFORMED"],
    ["accepts any key", "zkey verify", "", "KEY_MALFORMED"],
  ])("snarkjs that %s ends the benchmark", async (_, command, body, wanted) => {
    await expect(part("phase2", await cheatingSnarkjs(command, body))).rejects.toThrow(code(wanted));
  });

  it.each([
    ["prepares nothing", "copyFileSync(files[3], files[4]);", /not prepared/],
    ["writes nothing", "", /snarkjs/],
    ["writes half a file", "writeFileSync(files[4], readFileSync(files[3]).subarray(0, 9999));", /snarkjs/],
  ])("powers that snarkjs %s of end it too", async (_, body, message) => {
    const cheat = await cheatingSnarkjs("powersoftau prepare", body);
    await expect(part("powers", cheat, { snarkjsSize: 14 })).rejects.toThrow(message);
  });

  it.each([
    ["imports nothing", "import", "", "PTAU_INVALID"],
    ["keeps no basis", "basis", "", "PTAU_INVALID"],
    [
      "keeps a basis of other powers",
      "basis",
      "request.power = 9; args[1] = JSON.stringify(request); honest();",
      "PTAU_INVALID",
    ],
    ["leaves no development key", "development", "", "KEY_MALFORMED"],
    [
      "leaves a development key with a bit turned",
      "development",
      "honest(); change(request.zkeyPath, -2000);",
      "PROOF_INVALID",
    ],
    ["leaves one that proves nothing", "development", "honest(); swapPoints(request.zkeyPath);", "PROOF_INVALID"],
    [
      "leaves one that is no development key",
      "development",
      "writeFileSync(request.zkeyPath, 'zkey');",
      "KEY_MALFORMED",
    ],
    [
      "makes no new key each time",
      "key",
      "honest(); if (!request.store.endsWith('fresh')) change(request.zkeyPath, -1);",
      "KEY_MALFORMED",
    ],
    ["does not contribute", "contribute", "copyFileSync(request.from, request.to);", "CONTRIBUTION_INVALID"],
    ["accepts any key", "verify", "", "KEY_MALFORMED"],
    ["refuses a good key", "verify", "process.exitCode = 1;", "KEY_MALFORMED"],
  ])("a core that %s ends it", async (_, step, body, wanted) => {
    const where = { import: "powers", basis: "powers", development: "development" }[step] ?? "phase2";
    const run = part(where as "powers", await cheatingOwn(step, body), { snarkjsSize: 0 });
    await expect(run).rejects.toThrow(code(wanted));
  });

  it("stops on request, and says so", async () => {
    const stop = new AbortController();
    const slow = await cheatingOwn("contribute", "setInterval(() => {}, 1000);");
    const run = part("phase2", slow, {
      signal: stop.signal,
      onStep: (step) => step.includes("contribute") && setTimeout(() => stop.abort(), 200),
    });
    await expect(run).rejects.toThrow(code("ABORTED"));
  });
});

describe("without the native core", () => {
  it("development keys are made in JavaScript, and a note says what is missing", async () => {
    const { rows, notes, left } = await bench({ native: false });
    expect(rows.map(({ bench, implementation }) => `${bench}: ${implementation}`)).toEqual([
      "setup development: javascript",
    ]);
    expect(notes).toEqual([expect.stringContaining("the native core is missing")]);
    expect(left).toEqual([]);
  });
});

describe("setupOnce", () => {
  it.each([["nope"], ["toString"], []])("refuses the step %j with a code", async (...args) => {
    const { status, stderr } = spawnSync(process.execPath, [workerFile("bench/setupOnce"), ...args], {
      encoding: "utf8",
    });
    expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringMatching(/^USAGE: STEP is one of import, /) });
  });
});
