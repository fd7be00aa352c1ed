/** `circuit check` as its users meet it. */
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { type CompiledCircuit, compileCircuit } from "../../src/circuit/compile.js";
import { calculateWtns } from "../../src/circuit/witness.js";
import { PACKAGE_ROOT } from "../../src/paths.js";
import { TINY, TINY_INPUTS, temporaryFolder } from "../circuit/support.js";

/** A remainder without a range: `out` is whatever a prover likes. */
const BROKEN = {
  name: "broken",
  source: `pragma circom 2.2.3;
template Broken() {
    signal input in;
    signal input other;
    signal output out <-- in \\ 10;
    signal rest <-- in % 10;
    out * 10 + rest === in;
}
component main {public [other]} = Broken();
`,
};

let directory: string;

beforeAll(async () => {
  directory = await temporaryFolder();
});

function anchorproof(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  return new Promise((resolve) => {
    const options = { cwd: directory, env: { ...process.env, ANCHORPROOF_DEBUG: "" } };
    execFile(process.execPath, [join(PACKAGE_ROOT, "dist", "cli", "main.js"), ...args], options, (error, out, err) => {
      resolve({ status: error ? Number(error.code) : 0, out, err });
    });
  });
}

async function witnessOf(circuit: CompiledCircuit, inputs: Parameters<typeof calculateWtns>[1]): Promise<string> {
  const path = join(directory, `${circuit.name}.wtns`);
  await writeFile(path, await calculateWtns(circuit.wasmPath, inputs));
  return basename(path);
}

describe("circuit check", () => {
  it("passes a circuit whose inputs determine it, with a witness that no attack gets around", async () => {
    const circuit = await compileCircuit(TINY);
    const witness = await witnessOf(circuit, TINY_INPUTS);
    const { status, out, err } = await anchorproof("circuit", "check", circuit.r1csPath, "--witness", witness);
    expect(err).toBe("");
    expect(status).toBe(0);
    expect(out).toContain(`circuit ${circuit.circuitDigest}\n`);
    expect(out).toMatch(
      /^\d+ rows, 3 wires that are no inputs\n3 are determined by the inputs: linear \d, product \d$/m,
    );
    expect(out).toContain("no row mentions these inputs: 3 (main.unused)\n");
    expect(out).toContain("no attack found another witness for these inputs\n");
  });

  it("lists what is left, with names and rows, and the second witness", async () => {
    const circuit = await compileCircuit(BROKEN);
    const alone = await anchorproof("circuit", "check", circuit.r1csPath);
    expect(alone.status).toBe(1);
    expect(alone.out).toContain("left: 2 wires, public outputs among them: there are fewer rows than wires\n");
    expect(alone.out).toContain("  wires 1 (main.out), 4 (main.rest)\n  rows 0\n");
    expect(alone.err).toMatch(/^error CIRCUIT_UNDETERMINED: 2 of 2 wires are not shown to be determined/);

    const witness = await witnessOf(circuit, { in: 123n, other: 0n });
    const { status, out, err } = await anchorproof("circuit", "check", circuit.r1csPath, "--witness", witness);
    expect(status).toBe(1);
    expect(out).toMatch(/^second witness, with 2 wires changed: 1 \(main\.out\), 4 \(main\.rest\)$/m);
    expect(out).toMatch(/^ {2}1 \(main\.out\) = \d+ instead of 12$/m);
    expect(err).toMatch(/^error CIRCUIT_UNDETERMINED: the same inputs have a second witness/);
  });

  it("prints the same as JSON", async () => {
    const circuit = await compileCircuit(BROKEN);
    const witness = await witnessOf(circuit, { in: 123n, other: 0n });
    const { status, out } = await anchorproof("circuit", "check", circuit.r1csPath, "--json", "--witness", witness);
    expect(status).toBe(1);
    expect(JSON.parse(out)).toMatchObject({
      circuit: circuit.circuitDigest,
      deterministic: false,
      determined: 0,
      left: [{ wires: [1, 4], outputs: [1], rows: [0] }],
      unusedInputs: [2],
      loose: [],
      second: { changed: [1, 4] },
    });
  });

  it("takes explanations of this circuit, and of no other", async () => {
    const circuit = await compileCircuit(BROKEN);
    const explanation = (digest: string, explained: unknown) => JSON.stringify({ circuit: digest, explained });
    const proof = "Not true, but in as many words as a proof must have.";
    const check = async (text: string) => {
      await writeFile(join(directory, "explained.json"), text);
      return anchorproof("circuit", "check", circuit.r1csPath, "--explained", "explained.json");
    };
    const { status, out } = await check(explanation(circuit.circuitDigest, [{ wires: [1], proof }]));
    expect(status).toBe(0);
    expect(out).toContain(`explained: 1 (main.out): ${proof}\n`);
    const { circuitDigest } = await compileCircuit(TINY);
    for (const text of [
      explanation(circuitDigest, [{ wires: [1], proof }]),
      explanation(circuit.circuitDigest, [{ wires: ["1"], proof }]),
      explanation(circuit.circuitDigest, [{ wires: [99], proof }]),
      explanation(circuit.circuitDigest, [{ wires: [1], proof: "clear" }]),
      explanation(circuit.circuitDigest, [7]),
      explanation(circuit.circuitDigest, "all"),
      "null",
    ]) {
      const refused = await check(text);
      expect(refused.status).toBe(1);
      expect(refused.err).toMatch(/^error INPUT_INVALID/);
    }
    expect((await check("{")).err).toMatch(/^error JSON_MALFORMED/);
  });

  it("needs files that are what they are called, and an honest witness", async () => {
    const circuit = await compileCircuit(BROKEN);
    const witness = await readFile(join(directory, await witnessOf(circuit, { in: 123n, other: 0n })));
    const dishonest = Uint8Array.from(witness);
    dishonest[dishonest.length - 32]! ^= 1;
    const unreduced = Uint8Array.from(witness).fill(255, witness.length - 32);
    const longer = new Uint8Array([...witness, 0]);
    for (const [i, bytes] of [
      dishonest,
      unreduced,
      longer,
      witness.subarray(0, -1),
      witness.subarray(0, 9),
    ].entries()) {
      await writeFile(join(directory, "bad.wtns"), bytes);
      const { status, err } = await anchorproof("circuit", "check", circuit.r1csPath, "--witness", "bad.wtns");
      expect(status, String(i)).toBe(1);
      expect(err).toMatch(/^error WITNESS_INVALID/);
    }
    expect((await anchorproof("circuit", "check")).err).toMatch(/^error USAGE/);
    expect((await anchorproof("circuit", "check", "none.r1cs")).err).toMatch(/^error FILE_NOT_FOUND/);
    expect((await anchorproof("circuit", "check", circuit.wasmPath)).err).toMatch(/^error CIRCUIT_MALFORMED/);
  });

  it("lets no name draw on the screen", async () => {
    const circuit = await compileCircuit(BROKEN);
    await writeFile(join(directory, "names.sym"), "1,1,0,main.\u001b[2Kout\n2,4,0,main.rest\n");
    const { out } = await anchorproof("circuit", "check", circuit.r1csPath, "--sym", "names.sym");
    expect(out).toContain("main.\\u{1b}[2Kout");
    expect(out).not.toContain("\u001b");
  });
});
