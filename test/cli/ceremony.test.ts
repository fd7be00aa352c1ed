/** Four parties make a key by commands: one drops out, one cheats, and the coordinator is killed on the way. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { chmod, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Interface } from "ethers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compileContracts } from "../../src/chain/compile.js";
import {
  ceremonyFromJson,
  packageFromJson,
  packageToJson,
  signContribution,
  turnDigest,
} from "../../src/circuit/ceremony.js";
import { sha256File } from "../../src/circuit/ceremonyCheck.js";
import { CeremonyState, unixTime } from "../../src/circuit/ceremonyState.js";
import { type CompiledCircuit, compileCircuit } from "../../src/circuit/compile.js";
import { CoordinatorClient, contributeOverHttp } from "../../src/circuit/contributor.js";
import { isAnchorError } from "../../src/errors.js";
import { toHex } from "../../src/field/bytes.js";
import { PACKAGE_ROOT } from "../../src/paths.js";
import { signDigest } from "../../src/protocol/signature.js";
import { ProverPool } from "../../src/prover/pool.js";
import { parseProof, parseVerifyingKey, proofWords, verifyGroth16 } from "../../src/verifier/groth16.js";
import { deploy, outcome, useChain } from "../chain/fixture.js";
import { snarkjsPowers } from "../circuit/ceremony.js";
import { ALICE, ALL, BOB, begin, CAROL, DAVE, spoil } from "../circuit/rehearsal.js";
import { TINY, TINY_INPUTS, TINY_OUTPUT, temporaryFolder } from "../circuit/support.js";
import { snarkjs, stopSnarkjs } from "../circuit/vendor.js";

const MAIN = join(PACKAGE_ROOT, "dist", "cli", "main.js");

let folder: string;
let circuit: CompiledCircuit;
let ptau: string;
const path = (name: string) => join(folder, name);
const servers = new Set<ChildProcess>();

/** Not the chain on which development keys work. */
const chain = useChain({ chainId: 1 });

beforeAll(async () => {
  folder = await temporaryFolder();
  circuit = await compileCircuit(TINY);
  ptau = await snarkjsPowers(folder, 4);
  for (const [name, { secretKey }] of Object.entries({ alice: ALICE, bob: BOB, carol: CAROL, dave: DAVE })) {
    await writeFile(path(`${name}.key`), `${secretKey}\n`, { mode: 0o600 });
  }
});
afterAll(async () => {
  for (const server of servers) server.kill("SIGKILL");
  await stopSnarkjs();
});

interface Run {
  status: number;
  out: string;
  err: string;
}

function anchorproof(...args: string[]): Promise<Run> {
  return new Promise((resolve) => {
    const options = { cwd: folder, env: { ...process.env, ANCHORPROOF_DEBUG: "" } };
    execFile(process.execPath, [MAIN, ...args], options, (error, out, err) => {
      resolve({ status: error ? Number(error.code) : 0, out, err });
    });
  });
}

const ceremony = (...args: string[]) => anchorproof("setup", "ceremony", ...args);

/** What a command prints; it must succeed. */
async function succeeds(run: Promise<Run>): Promise<string> {
  const { status, out, err } = await run;
  expect(err).toBe("");
  expect(status).toBe(0);
  return out;
}

async function fails(run: Promise<Run>, code: string): Promise<string> {
  const { status, err } = await run;
  expect(err).toMatch(new RegExp(`^error ${code}: [^\n]+\n$`));
  expect(status).toBe(1);
  return err;
}

async function serve(state: string): Promise<{ url: string; kill: () => Promise<void> }> {
  const child = spawn(process.execPath, [MAIN, "setup", "ceremony", "serve", "--state", state, "--port", "0"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "inherit"],
  });
  servers.add(child);
  const gone = new Promise<void>((done) => child.once("exit", () => done()));
  const url = await new Promise<string>((done, fail) => {
    let text = "";
    child.stdout.on("data", (part) => {
      text += part;
      const match = /listening on (\S+)\n/.exec(text);
      if (match) done(match[1]!);
    });
    child.once("exit", () => fail(new Error(`the coordinator ended: ${text}`)));
  });
  return {
    url,
    kill: async () => {
      servers.delete(child);
      child.kill("SIGKILL");
      await gone;
    },
  };
}

describe("four parties, one dropping out, one cheating", () => {
  const state = "state";
  const basis = () => ["--r1cs", circuit.r1csPath, "--ptau", ptau];
  const manifest = "final/manifest.json";
  const vkey = ["--vkey", "final/verification_key.json"];
  /** Of the powers of tau. */
  let digest: string;
  /** What a verifier believes who trusts Alice, or Bob. */
  let belief: string[];
  let bob: string[];
  const generate = (...args: string[]) =>
    anchorproof("contract", "generate", ...vkey, "--manifest", manifest, ...basis(), ...args);
  let id: string;
  let server: Awaited<ReturnType<typeof serve>>;

  it("begin", async () => {
    const members = ALL.flatMap((account) => ["--member", account]);
    const out = await succeeds(
      ceremony("init", ...basis(), ...members, "--state", state, "--name", "tiny", "--beacon", "drand, round 42"),
    );
    id = /^ceremony (0x[0-9a-f]{64})$/m.exec(out)![1]!;
    expect(out).toContain("4 members, 2 contributions needed");
    expect(out).toContain("of no public ceremony known here");
    await fails(ceremony("init", ...basis(), ...members, "--state", state, "--name", "tiny"), "FILE_UNREADABLE");
    server = await serve(state);
  });

  it("the first contributes over HTTP", async () => {
    const account = ["--account", "alice.key", "--name", "Alice", "--ceremony", id];
    const out = await succeeds(ceremony("contribute", "--url", server.url, ...account, ...basis()));
    expect(out).toContain(`accepted: contribution 1 by ${ALICE.account}`);
    await fails(
      ceremony("contribute", "--url", server.url, "--account", "alice.key", "--unchecked"),
      "CEREMONY_REFUSED",
    );
  });

  it("the second takes the turn and is never seen again; the operator skips them", async () => {
    const request = { time: unixTime(), nonce: toHex(new Uint8Array(32).fill(7)) };
    const signature = signDigest(CAROL.secretKey, turnDigest(id as `0x${string}`, request));
    const body = { member: CAROL.account, time: request.time.toString(), nonce: request.nonce, signature };
    await new CoordinatorClient(server.url).call("POST", "/v1/turn", body);
    await fails(ceremony("contribute", "--state", state, "--account", "bob.key", "--unchecked"), "CEREMONY_REFUSED");
    await fails(ceremony("contribute", "--state", state, "--account", "bob.key"), "USAGE");
    await fails(ceremony("contribute", "--state", state, "--account", "bob.key", "--unchecked", ...basis()), "USAGE");
    expect(await succeeds(ceremony("status", "--state", state))).toContain(`turn: ${CAROL.account}`);
    await succeeds(ceremony("skip", "--state", state, "--member", CAROL.account, "--reason", "no answer for a week"));
  });

  it("the third cheats, over files, and is rejected by name", async () => {
    const status = await succeeds(ceremony("status", "--state", state));
    const [, key, manifest] = /current key: (.+)\nmanifest: (.+)\n/.exec(status)!;
    const given = ["--key", key!, "--manifest", join(folder, manifest!), "--out", "dave.zkey"];
    await succeeds(ceremony("contribute", ...given, "--account", "dave.key", "--unchecked"));
    // A bit of the key, and a signature that covers it.
    await spoil(path("dave.zkey"), 5, 70);
    const honest = packageFromJson(JSON.parse(await readFile(path("dave.zkey.json"), "utf8")));
    const { signature: _, ...words } = honest.contribution;
    const before = ceremonyFromJson(JSON.parse(await readFile(join(folder, manifest!), "utf8")));
    const keySha256 = await sha256File(path("dave.zkey"));
    const contribution = signContribution(before, { ...words, keySha256 }, DAVE.secretKey);
    await writeFile(path("dave.zkey.json"), JSON.stringify(packageToJson({ ...honest, contribution })));
    await fails(ceremony("accept", "dave.zkey", "--state", state), "CONTRIBUTION_INVALID");
    await fails(
      ceremony("contribute", "--url", server.url, "--account", "dave.key", "--unchecked"),
      "CEREMONY_REFUSED",
    );
    expect(await succeeds(ceremony("status", "--url", server.url))).toContain(`rejected: ${DAVE.account} (sections:`);
    await fails(ceremony("finalize", ...basis(), "--state", state, "--beacon", "0x42"), "CEREMONY_REFUSED");
  });

  it("the coordinator is killed and served again; the fourth contributes over files", async () => {
    await server.kill();
    server = await serve(state);
    const manifest = await fetch(`${server.url}/v1/manifest`).then((response) => response.text());
    await writeFile(path("manifest-so-far.json"), manifest);
    const status = await succeeds(ceremony("status", "--state", state));
    const key = /current key: (.+)\n/.exec(status)![1]!;
    const given = ["--key", key, "--manifest", "manifest-so-far.json", "--out", "bob.zkey"];
    await writeFile(path("dice"), "3 1 4 1 5 9");
    await succeeds(ceremony("contribute", ...given, "--account", "bob.key", "--entropy-file", "dice", "--unchecked"));
    const accepted = await succeeds(ceremony("accept", "bob.zkey", "--state", state));
    expect(accepted).toContain(`contribution 2 by ${BOB.account}`);
    expect(accepted).toContain("1 member may still contribute, or `setup ceremony finalize` ends it now");
  });

  it("end with the announced beacon; the final key lists who contributed", async () => {
    await fails(ceremony("finalize", ...basis(), "--state", state), "CEREMONY_REFUSED");
    await fails(ceremony("finalize", ...basis(), "--state", state, "--beacon", "42"), "USAGE");
    const out = await succeeds(
      ceremony("finalize", ...basis(), "--state", state, "--beacon", "0x1234", "--out", "final"),
    );
    expect(out).toContain(`1. ${ALICE.account} "Alice"`);
    expect(out).toContain(`2. ${BOB.account}`);
    expect(out).toContain(`did not contribute: ${CAROL.account}`);
    expect((await readdir(path("final"))).sort()).toEqual([
      "REPORT.md",
      "final.zkey",
      "manifest.json",
      "verification_key.json",
    ]);
    // Again: the same files.
    const manifest = await readFile(path("final/manifest.json"));
    await succeeds(ceremony("finalize", ...basis(), "--state", state, "--out", "final"));
    expect(await readFile(path("final/manifest.json"))).toEqual(manifest);
    const late = ["--state", state, "--beacon", "0x1235", "--out", "final"];
    expect(await fails(ceremony("finalize", ...basis(), ...late), "CEREMONY_REFUSED")).toContain("beacon 0x1234");
    const report = await readFile(path("final/REPORT.md"), "utf8");
    for (const words of [
      "skipped (operator): no answer for a week",
      "was rejected (sections)",
      "If a single contributor was honest",
    ]) {
      expect(report).toContain(words);
    }
    await fails(
      ceremony("contribute", "--url", server.url, "--account", "carol.key", "--unchecked"),
      "CEREMONY_REFUSED",
    );
    await server.kill();
    digest = JSON.parse(await readFile(path("final/manifest.json"), "utf8")).head.powersOfTau.digest;
    [belief, bob] = [ALICE, BOB].map(({ account }) => ["--accept-ptau", digest, "--trust", account]) as [
      string[],
      string[],
    ];
    // snarkjs agrees, contributions and beacon included.
    expect(await snarkjs.zKey.verifyFromR1cs(circuit.r1csPath, ptau, path("final/final.zkey"))).toBe(true);
  });

  it("verifies offline from circuit and powers of tau, and says whom one has to trust", async () => {
    const loose = await succeeds(ceremony("verify", manifest, ...basis(), "--zkey", "final/final.zkey"));
    expect(loose).toContain("this is still a development key");
    const strict = await succeeds(ceremony("verify", manifest, ...basis(), ...belief, ...vkey, "--ceremony", id));
    expect(strict).toContain("this is a production key, if one of the contributors who checked was honest");
    expect(strict).toContain(`contribution 1: ${ALICE.account} "Alice" (you trust)`);
    expect(strict).toContain(`contribution 2: ${BOB.account}, unchecked`);
    // Bob signed that he had not looked at what he was given: trusting him alone makes no production key.
    const doubtful = await succeeds(ceremony("verify", manifest, ...basis(), ...bob));
    expect(doubtful).toContain("no contributor whom you trust signed that they had checked the key");
    await fails(ceremony("verify", manifest, ...basis(), "--trust", CAROL.account), "CEREMONY_INVALID");
    const other = await compileCircuit({ name: "other", source: TINY.source.replace("+ 3;", "+ 4;") });
    await fails(ceremony("verify", manifest, "--r1cs", other.r1csPath, "--ptau", ptau), "CEREMONY_INVALID");
    const report = await succeeds(ceremony("report", manifest, ...basis(), ...belief));
    expect(report).toContain("**Checked when this was written**");
    expect(report).not.toContain("development");
    const repeated = (await readFile(path(manifest), "utf8")).replace('"events"', '"format": "x", "events"');
    await writeFile(path("repeated.json"), repeated);
    await fails(ceremony("verify", "repeated.json", ...basis()), "JSON_MALFORMED");
  });

  it("makes a production contract only for whom one trusts", async () => {
    const refused = await fails(generate("--out", "no"), "KEY_DEVELOPMENT");
    expect(refused).toContain(digest); // what --accept-ptau would take
    expect(await readdir(folder)).not.toContain("no");
    await succeeds(generate("--out", "rehearsal", "--development"));
    const rehearsal = await readFile(path("rehearsal/Groth16Verifier.sol"), "utf8");
    expect(rehearsal).toContain("bool public constant DEVELOPMENT = true");
    expect(rehearsal).toContain("//   ceremony        none shown");
    await succeeds(generate(...belief, "--name", "Tiny", "--out", ".", "--batch"));
    const check = ["contract", "verify-source", "TinyBatch.sol", ...vkey];
    const known = await succeeds(anchorproof(...check, "--manifest", manifest, ...basis(), ...belief));
    expect(known).toContain(`ok   ceremony ${id}: verified`);
    expect(await succeeds(anchorproof(...check))).toContain(`--   ceremony ${id}: as stated, not verified`);
    await fails(anchorproof(...check, "--manifest", manifest, ...basis()), "KEY_DEVELOPMENT");
    await fails(anchorproof(...check, "--ceremony", `0x${"11".repeat(32)}`), "CONTRACT_MISMATCH");
  });

  it("is a production key to whom one trusts alone", async () => {
    const whole = ["--manifest", manifest, ...basis(), ...belief];
    for (const file of ["final/final.zkey", "final/verification_key.json"]) {
      expect(await succeeds(anchorproof("key", "lint", file, "--production", ...whole))).toContain("production: ");
    }
    const lint = ["key", "lint", "final/final.zkey", "--manifest", manifest, ...basis()];
    expect(await succeeds(anchorproof(...lint, ...bob))).toContain(
      "development: its ceremony holds, but no contributor",
    );
    await fails(anchorproof(...lint, ...bob, "--production"), "KEY_DEVELOPMENT");
    await fails(anchorproof("key", "lint", "final/final.zkey", ...belief), "USAGE");
  });

  it("the key proves and verifies: here, in snarkjs, and in a contract on a chain that is not for development", async () => {
    const key = JSON.parse(await readFile(path("final/verification_key.json"), "utf8"));
    const verifyingKey = parseVerifyingKey(key);
    const pool = new ProverPool({ concurrency: 1 });
    const { proof, publicSignals } = await pool
      .prove(circuit, { zkeyPath: path("final/final.zkey"), verifyingKey }, TINY_INPUTS)
      .finally(() => pool.close());
    const signals = [TINY_OUTPUT, TINY_INPUTS.a, TINY_INPUTS.unused];
    expect(publicSignals.map(BigInt)).toEqual(signals);
    expect(verifyGroth16(verifyingKey, signals, proof)).toBe(true);

    await writeFile(
      path("inputs.json"),
      JSON.stringify({ ...TINY_INPUTS, extra: TINY_INPUTS.extra.map(String) }, (_, v) =>
        typeof v === "bigint" ? v.toString() : v,
      ),
    );
    const files = ["--wasm", circuit.wasmPath, "--zkey", "final/final.zkey", "--vkey", "final/verification_key.json"];
    await succeeds(anchorproof("prove", "circuit", ...files, "--input", "inputs.json", "--out", "proof"));
    const json = JSON.parse(await readFile(path("proof/proof.json"), "utf8"));
    expect(await snarkjs.groth16.verify(key, signals.map(String), json)).toBe(true);

    const artefact = (await compileContracts({ "Tiny.sol": await readFile(path("Tiny.sol"), "utf8") }))["Tiny"]!;
    const contract = await deploy(chain.accounts[0]!, artefact);
    expect(await contract.getFunction("DEVELOPMENT")()).toBe(false);
    expect(await contract.getFunction("CEREMONY")()).toBe(id);
    const encode = (values: readonly bigint[]) =>
      new Interface(artefact.abi).encodeFunctionData("verifyProof", [proofWords(parseProof(json)), values]);
    const check = async (values: readonly bigint[]) =>
      outcome(chain.provider, await contract.getAddress(), encode(values), artefact.abi);
    expect((await chain.provider.getNetwork()).chainId).toBe(1n);
    expect(await check(signals)).toBe("ok");
    expect(await check([TINY_OUTPUT + 1n, TINY_INPUTS.a, TINY_INPUTS.unused])).toBe("ProofInvalid");
  });
});

it("a coordinator killed at any moment leaves a ceremony that goes on", async () => {
  const base = { folder, circuit, r1csPath: circuit.r1csPath, ptauPath: ptau };
  const { directory, id } = await begin(base);
  let server = await serve(directory);
  for (const [i, who] of [ALICE, BOB].entries()) {
    for (let attempt = 0, done = false; !done; attempt++) {
      expect(attempt).toBeLessThan(10);
      // Later each time, so that the kill meets turn, download, upload and check, on any machine.
      let killed: Promise<void> | undefined;
      const timer = setTimeout(() => (killed = server.kill()), 50 * 2 ** attempt);
      const work = contributeOverHttp({
        url: server.url,
        secretKey: who.secretKey,
        ceremonyId: id,
        unchecked: true,
        pollMs: 10,
      });
      done = await work.then(
        () => true,
        (error: unknown) => {
          if (isAnchorError(error, "COORDINATOR_UNAVAILABLE")) return false;
          if (isAnchorError(error, "CEREMONY_REFUSED") && error.details["fault"] === "repeated") return true;
          throw error;
        },
      );
      clearTimeout(timer);
      if (!killed) continue;
      await killed;
      server = await serve(directory);
    }
    const { ceremony: now } = await (await CeremonyState.open(directory)).read();
    expect(now.contributions).toHaveLength(i + 1);
    expect(now.events).toEqual([]);
  }
  await server.kill();
  const state = await CeremonyState.open(directory);
  await state.finalize(base);
  expect(await readdir(join(directory, "incoming"))).toEqual([]);
});

it("a ceremony of two speaks of one contribution as one, and after the last turn says what is next", async () => {
  const basis = ["--r1cs", circuit.r1csPath, "--ptau", ptau];
  const members = ["--member", ALICE.account, "--member", BOB.account, "--minimum", "1"];
  const started = await succeeds(ceremony("init", ...basis, ...members, "--state", "two", "--name", "two"));
  expect(started).toContain("2 members, 1 contribution needed");
  const contribute = (who: string) =>
    succeeds(ceremony("contribute", "--state", "two", "--account", `${who}.key`, "--unchecked"));
  expect(await contribute("alice")).toContain("1 member may still contribute, or");
  expect(await succeeds(ceremony("status", "--state", "two"))).toContain("\n1 contribution, 1 needed\n");
  expect(await contribute("bob")).toContain(
    "no turn is left; next: anchorproof setup ceremony finalize --state two --r1cs FILE --ptau FILE\n",
  );
  expect(await succeeds(ceremony("report", "two/manifest.json"))).toContain("1 was needed");
});

describe("a member's account", () => {
  it("that others can read gives a warning, that is no secret an error which does not show it", async () => {
    await writeFile(path("open.key"), ALICE.secretKey);
    await chmod(path("open.key"), 0o644);
    const url = ["--url", "http://127.0.0.1:9"];
    const { out, err } = await ceremony("contribute", ...url, "--account", "open.key", "--unchecked");
    expect(out).toContain("warning: open.key can be read by others");
    expect(err).toMatch(/^error COORDINATOR_UNAVAILABLE/);
    await writeFile(path("bad.key"), `${ALICE.secretKey.slice(0, -2)}zz`);
    const message = await fails(ceremony("contribute", ...url, "--account", "bad.key", "--unchecked"), "INPUT_INVALID");
    expect(message).not.toContain(ALICE.secretKey.slice(2, 40));
    await mkdir(path("folder.key"));
    await fails(ceremony("contribute", ...url, "--account", "folder.key", "--unchecked"), "FILE_UNREADABLE");
  });
});
