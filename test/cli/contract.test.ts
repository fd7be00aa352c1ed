/** `contract generate` and `contract verify-source` as their users meet them; with a ceremony, see ceremony.test.ts. */
import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { startAnvil } from "../../src/chain/anvil.js";
import { deployVerifier } from "../../src/chain/deploy.js";
import { connectProvider } from "../../src/chain/provider.js";
import { type CompiledCircuit, compileCircuit } from "../../src/circuit/compile.js";
import { PACKAGE_ROOT } from "../../src/paths.js";
import { keyDigest, verifyingKeyToJson } from "../../src/verifier/groth16.js";
import { CIRCUIT_DIGEST } from "../chain/fixture.js";
import { simulateKey } from "../chain/simulated.js";
import { TINY, temporaryFolder } from "../circuit/support.js";

let folder: string;
let circuit: CompiledCircuit;
const key = simulateKey(3).vkey;
const path = (name: string) => join(folder, name);
const named = ["--vkey", "key.json", "--circuit-digest", CIRCUIT_DIGEST];

beforeAll(async () => {
  folder = await temporaryFolder();
  circuit = await compileCircuit(TINY);
  const write = (name: string, vkey: typeof key) => writeFile(path(name), JSON.stringify(verifyingKeyToJson(vkey)));
  await write("key.json", key);
  await write("other.json", simulateKey(2).vkey);
  await write("forgeable.json", simulateKey(3, "unfinished", { gamma: 1n, delta: 1n }).vkey);
});

interface Run {
  status: number;
  out: string;
  err: string;
}

function anchorproof(...args: string[]): Promise<Run> {
  return new Promise((resolve) => {
    const options = { cwd: folder, env: { ...process.env, ANCHORPROOF_DEBUG: "" } };
    execFile(process.execPath, [join(PACKAGE_ROOT, "dist", "cli", "main.js"), ...args], options, (error, out, err) => {
      resolve({ status: error ? Number(error.code) : 0, out, err });
    });
  });
}

async function succeeds(...args: string[]): Promise<string> {
  const { status, out, err } = await anchorproof("contract", ...args);
  expect(err).toBe("");
  expect(status).toBe(0);
  return out;
}

async function fails(code: string, ...args: string[]): Promise<string> {
  const { status, out, err } = await anchorproof("contract", ...args);
  expect(err).toMatch(new RegExp(`^error ${code}: [^\n]+\n$`));
  expect(out).toBe("");
  expect(status).toBe(1);
  return err;
}

describe("contract generate", () => {
  it("writes both verifiers, says their sizes, and verify-source finds them to be the key's", async () => {
    const out = await succeeds("generate", ...named, "--batch", "--name", "Chunk", "--out", "both");
    expect((await readdir(path("both"))).sort()).toEqual(["Chunk.sol", "ChunkBatch.sol"]);
    expect(out).toContain(`key ${keyDigest(key)} (3 public signals)\n`);
    expect(out).toContain(`circuit ${CIRCUIT_DIGEST}, as stated\n`);
    expect(out).toContain("development: the contracts answer on chain 31337 only\n");
    for (const [name, kind] of [
      ["Chunk", "a verifier of one proof"],
      ["ChunkBatch", "a batch verifier"],
    ]) {
      const { length } = await readFile(path(`both/${name}.sol`));
      expect(out).toMatch(new RegExp(`written to both/${name}.sol: ${length} bytes, \\d{4} of 24576 bytes deployed\n`));
      const bare = await succeeds("verify-source", `both/${name}.sol`, "--vkey", "key.json");
      expect(bare).toContain(`ok   ${name} is ${kind}, as generated for key ${keyDigest(key)}\n`);
      expect(bare).toContain(`--   circuit ${CIRCUIT_DIGEST}: as stated, not shown\n`);
      const given = await succeeds("verify-source", `both/${name}.sol`, ...named);
      expect(given).toContain(`ok   circuit ${CIRCUIT_DIGEST}\n`);
    }
  });

  it("and verify-source finds the deployed contract to be what the file compiles to, or not", async () => {
    await succeeds("generate", ...named, "--out", "deployed");
    const file = "deployed/Groth16Verifier.sol";
    const anvil = await startAnvil();
    const provider = await connectProvider(anvil.url);
    try {
      const options = { vkey: key, circuitDigest: CIRCUIT_DIGEST, development: true } as const;
      const verifier = await deployVerifier(await provider.getSigner(0), options);
      const other = await deployVerifier(await provider.getSigner(0), { ...options, vkey: simulateKey(2).vkey });
      const at = (address: string) => ["verify-source", file, ...named, "--rpc", anvil.url, "--address", address];
      expect(await succeeds(...at(verifier))).toContain(`ok   the code at ${verifier} is what this file compiles to\n`);
      for (const address of [other, `0x${"11".repeat(20)}`]) {
        const { status, err } = await anchorproof("contract", ...at(address));
        expect([status, err]).toEqual([1, expect.stringMatching(/^error CONTRACT_MISMATCH: /)]);
      }
      await fails("USAGE", "verify-source", file, ...named, "--rpc", anvil.url);
      await fails("USAGE", ...at("0x1234"));
    } finally {
      provider.destroy();
      await anvil.stop();
    }
  });

  it("takes the circuit from its r1cs, and refuses a key with other signals", async () => {
    await succeeds("generate", "--vkey", "key.json", "--r1cs", circuit.r1csPath, "--out", "r1cs");
    expect(await readFile(path("r1cs/Groth16Verifier.sol"), "utf8")).toContain(
      `bytes32 public constant CIRCUIT_DIGEST = ${circuit.circuitDigest};`,
    );
    const text = await succeeds(
      ...["verify-source", "r1cs/Groth16Verifier.sol", "--vkey", "key.json", "--r1cs", circuit.r1csPath],
    );
    expect(text).toContain(`ok   circuit ${circuit.circuitDigest}\n`);
    await fails("INPUT_INVALID", "generate", "--vkey", "other.json", "--r1cs", circuit.r1csPath, "--out", "none");
    expect(await readdir(folder)).not.toContain("none");
  });

  it("replaces nothing without --force, and leaves nothing half written", async () => {
    await mkdir(path("taken"));
    await writeFile(path("taken/Groth16BatchVerifier.sol"), "mine");
    const refused = await fails("FILE_UNREADABLE", "generate", ...named, "--batch", "--out", "taken");
    expect(refused).toContain("taken/Groth16BatchVerifier.sol exists; --force replaces it");
    expect(await readdir(path("taken"))).toEqual(["Groth16BatchVerifier.sol"]);
    expect(await readFile(path("taken/Groth16BatchVerifier.sol"), "utf8")).toBe("mine");
    await succeeds("generate", ...named, "--batch", "--out", "taken", "--force");
    expect((await readdir(path("taken"))).sort()).toEqual(["Groth16BatchVerifier.sol", "Groth16Verifier.sol"]);
    await succeeds("verify-source", "taken/Groth16BatchVerifier.sol", ...named);
  });

  it("writes nothing for a forgeable key, or for what is not well said", async () => {
    const forgeable = named.with(1, "forgeable.json");
    const out = ["--out", "none"];
    await Promise.all([
      fails("KEY_FORGEABLE", "generate", ...forgeable, ...out),
      fails("KEY_FORGEABLE", "generate", ...forgeable, ...out, "--batch", "--force"),
      fails("USAGE", "generate", "--vkey", "key.json", ...out),
      fails("USAGE", "generate", ...named, "--r1cs", circuit.r1csPath, ...out),
      fails("USAGE", "generate", ...named),
      fails("USAGE", "generate", ...named.with(3, "0x1234"), ...out),
      fails("USAGE", "generate", ...named, ...out, "--ceremony", CIRCUIT_DIGEST),
      fails("USAGE", "generate", ...named, ...out, "--development"),
      fails("INPUT_INVALID", "generate", ...named, ...out, "--name", "A {} contract B"),
      fails("CONTRACT_COMPILE", "generate", ...named, ...out, "--name", "mapping"),
      fails("FILE_NOT_FOUND", "generate", ...named.with(1, "nowhere.json"), ...out),
    ]);
    expect(await readdir(folder)).not.toContain("none");
  });
});

describe("contract verify-source", () => {
  it("says at which line a file differs, and exits with 1", async () => {
    await succeeds("generate", ...named, "--out", "source", "--batch");
    for (const name of ["Groth16Verifier", "Groth16BatchVerifier"]) {
      const text = await readFile(path(`source/${name}.sol`), "utf8");
      const at = text.indexOf("revert ProofInvalid();");
      const line = text.slice(0, at).split("\n").length;
      await writeFile(path("changed.sol"), text.replace("revert ProofInvalid();", "return;"));
      const error = await fails("CONTRACT_MISMATCH", "verify-source", "changed.sol", ...named);
      expect(error).toContain(`line ${line} differs`);
      expect(error).toContain("return;");
      await fails("CONTRACT_MISMATCH", "verify-source", `source/${name}.sol`, "--vkey", "other.json");
      const elsewhere = named.with(3, `0x${"12".repeat(32)}`);
      expect(await fails("CONTRACT_MISMATCH", "verify-source", `source/${name}.sol`, ...elsewhere)).toContain("line 7");
    }
    await Promise.all([
      fails("KEY_FORGEABLE", "verify-source", "source/Groth16Verifier.sol", "--vkey", "forgeable.json"),
      fails("USAGE", "verify-source", "--vkey", "key.json"),
      fails("CONTRACT_MISMATCH", "verify-source", "key.json", "--vkey", "key.json"),
    ]);
  });
});
