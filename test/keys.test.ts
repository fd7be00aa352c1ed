/**
 * Every way by which a verifying key comes in, goes out or is put to use, with a key that lets anyone forge: γ = δ, what
 * snarkjs leaves when nobody contributes. None may take it.
 */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Signer } from "ethers";
import { beforeAll, describe, expect, it } from "vitest";
import { bundleToJson, reviewDataset, reviewModel, type Trust, verifyBundle } from "../src/bundle/index.js";
import { deployVerifier } from "../src/chain/deploy.js";
import { generateVerifier } from "../src/chain/generate.js";
import { binFile, encodeG1, encodeG2 } from "../src/circuit/binfile.js";
import { type CompiledCircuit, compileCircuit } from "../src/circuit/compile.js";
import { exportVerifyingKey, lintKeyFile, requireSound } from "../src/circuit/keylint.js";
import { type CircuitKey, developmentKey } from "../src/circuit/setup.js";
import { AnchorError } from "../src/errors.js";
import { Q } from "../src/field/scalar.js";
import { PACKAGE_ROOT } from "../src/paths.js";
import { ProverPool } from "../src/prover/pool.js";
import { G1_GENERATOR, G2_GENERATOR } from "../src/verifier/curve.js";
import { keyDigest, type VerifyingKey, verifyGroth16, verifyingKeyToJson } from "../src/verifier/groth16.js";
import { lintVerifyingKey } from "../src/verifier/lint.js";
import { verifyStatement } from "../src/verifier/statement.js";
import { DATASET_KEY, MODEL_KEY, makeBundle, NOW, TRUST } from "./bundle/fixture.js";
import { sectionsOf } from "./circuit/ceremony.js";
import { TINY, TINY_INPUTS, temporaryFolder, temporaryStore } from "./circuit/support.js";
import { DOMAINS, digestOf } from "./support/parties.js";

/** γ = δ. */
const unfinished = (vkey: VerifyingKey): VerifyingKey => ({ ...vkey, delta: vkey.gamma });

let folder: string;
let circuit: CompiledCircuit;
let key: CircuitKey;
/** The development key's files as an unfinished setup leaves them. */
let bad: { zkey: string; vkey: string; key: VerifyingKey };

beforeAll(async () => {
  folder = await temporaryFolder();
  circuit = await compileCircuit(TINY);
  key = await developmentKey(circuit, { store: await temporaryStore() });
  const sections = await sectionsOf(key.zkeyPath);
  const header = sections.get(2)!;
  header.set(encodeG1(G1_GENERATOR), 468);
  header.set(encodeG2(G2_GENERATOR), 532);
  bad = {
    zkey: join(folder, "unfinished.zkey"),
    vkey: join(folder, "unfinished.json"),
    key: { ...key.verifyingKey, delta: G2_GENERATOR },
  };
  expect(bad.key).toEqual(unfinished(key.verifyingKey));
  await writeFile(bad.zkey, binFile("zkey", 1, [...sections]));
  await writeFile(bad.vkey, JSON.stringify(verifyingKeyToJson(bad.key)));
  await writeFile(join(folder, "inputs.json"), JSON.stringify({ a: "5", unused: "77", b: "11", extra: ["3", "1"] }));
});

async function outcome(run: () => unknown): Promise<string> {
  try {
    await run();
    return "accepted";
  } catch (error) {
    if (!(error instanceof AnchorError)) throw error;
    return error.code;
  }
}

function anchorproof(...args: string[]): Promise<string> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [join(PACKAGE_ROOT, "dist", "cli", "main.js"), ...args],
      { cwd: folder, env: { ...process.env, ANCHORPROOF_DEBUG: "" } },
      (error, _, err) => resolve(error ? (/^error (\w+):/m.exec(err)?.[1] ?? err) : "accepted"),
    );
  });
}

describe("a key that lets anyone forge", () => {
  it("is one: a proof of any output, made from the key alone", () => {
    const zeros = [0n, 0n, 0n];
    const [x, y] = bad.key.ic[0]!;
    const forged = { a: bad.key.alpha, b: bad.key.beta, c: [x, Q - y] as const };
    expect(verifyGroth16(bad.key, zeros, forged)).toBe(true);
    expect(verifyGroth16(key.verifyingKey, zeros, forged)).toBe(false);
  });

  it("is refused by the verifier's lint and by the verification of statements", async () => {
    expect(await outcome(() => lintVerifyingKey(bad.key))).toBe("KEY_FORGEABLE");
    const { statement, proof } = makeBundle().inference;
    const model = unfinished(MODEL_KEY.vkey);
    const bound = { ...statement, task: { ...statement.task, keyDigest: keyDigest(model) } };
    expect(await outcome(() => verifyStatement(DOMAINS.gate, "InferenceStatement", bound, model, proof))).toBe(
      "KEY_FORGEABLE",
    );
  });

  it("is refused by a validator's reviews and by the check of a bundle, though the trust file names it", async () => {
    const bundle = makeBundle();
    const [dataset, model] = [unfinished(DATASET_KEY.vkey), unfinished(MODEL_KEY.vkey)];
    const trust: Trust = {
      ...TRUST,
      keys: TRUST.keys.map((trusted) => ({
        ...trusted,
        keyDigest: keyDigest(trusted.circuit === "inference" ? model : dataset),
      })),
    };
    const changed = {
      ...bundle,
      dataset: { ...bundle.dataset, verifyingKey: dataset },
      model: { ...bundle.model, verifyingKey: model },
    };
    const verdict = verifyBundle(JSON.parse(JSON.stringify(bundleToJson(changed))), trust);
    for (const id of ["dataset.key", "model.key"]) {
      expect(verdict.claims.find((claim) => claim.id === id)!.failure!.code).toBe("KEY_FORGEABLE");
    }
    for (const review of [
      () => reviewDataset(trust, changed.dataset, NOW),
      () => reviewModel(trust, changed.model, NOW),
    ]) {
      try {
        review();
        expect.unreachable();
      } catch (error) {
        const { code, details } = error as AnchorError;
        expect(code).toBe("VERDICT_REJECTED");
        expect(JSON.stringify(details)).toContain("KEY_FORGEABLE");
      }
    }
  });

  it("becomes no contract", async () => {
    const options = { vkey: bad.key, circuitDigest: digestOf("circuit"), development: true };
    expect(await outcome(() => generateVerifier(options))).toBe("KEY_FORGEABLE");
    expect(await outcome(() => deployVerifier({} as Signer, options))).toBe("KEY_FORGEABLE");
  });

  it("proves nothing in a pool", async () => {
    const pool = new ProverPool({ concurrency: 1 });
    try {
      for (const zkeyPath of [bad.zkey, key.zkeyPath]) {
        const made = pool.prove(circuit, { zkeyPath, verifyingKey: bad.key }, TINY_INPUTS);
        expect(await outcome(() => made)).toBe("KEY_FORGEABLE");
      }
      expect(await outcome(() => pool.prove(circuit, key, TINY_INPUTS))).toBe("accepted");
    } finally {
      await pool.close();
    }
  });

  it("is not taken from the store", async () => {
    const store = await temporaryStore();
    await store.build("development-key", `groth16-bn254 development/1 ${circuit.circuitDigest}`, async (directory) => {
      await writeFile(join(directory, "key.zkey"), "zkey");
      await writeFile(join(directory, "verification_key.json"), JSON.stringify(verifyingKeyToJson(bad.key)));
      await writeFile(join(directory, "key.json"), "{}");
    });
    expect(await outcome(() => developmentKey(circuit, { store }))).toBe("KEY_FORGEABLE");
  });

  it("is refused as a file, stamped or not, and not exported", async () => {
    for (const path of [bad.zkey, bad.vkey]) {
      const report = await lintKeyFile(path);
      expect(report.level).toBe("forgeable");
      expect(await outcome(() => requireSound(report))).toBe("KEY_FORGEABLE");
      expect(await outcome(() => exportVerifyingKey(path))).toBe("KEY_FORGEABLE");
    }
  });

  it("is refused by every command that reads a key", async () => {
    await writeFile(join(folder, "good.json"), JSON.stringify(key.verifyingKeyJson));
    const prove = ["prove", "circuit", "--wasm", circuit.wasmPath, "--input", "inputs.json", "--out", "proof"];
    const runs: string[][] = [
      ["key", "lint", bad.zkey],
      ["key", "lint", bad.vkey, "--json"],
      ["key", "export", bad.zkey],
      ["verify", "--proof", "proof.json", "--public", "public.json", "--vkey", bad.vkey],
      [...prove, "--zkey", key.zkeyPath, "--vkey", bad.vkey],
      [...prove, "--zkey", bad.zkey, "--vkey", bad.vkey],
      [...prove, "--zkey", bad.zkey, "--vkey", "good.json"],
    ];
    for (const args of runs) expect(await anchorproof(...args), args.join(" ")).toBe("KEY_FORGEABLE");
    expect(await anchorproof(...prove, "--zkey", key.zkeyPath, "--vkey", "good.json")).toBe("accepted");
    expect(await anchorproof("key", "lint", key.zkeyPath)).toBe("accepted");
  });
});
