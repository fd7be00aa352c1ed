/** `dataset pov`, called as the command line calls it. */
import { createHash } from "node:crypto";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { datasetPovCommand } from "../../src/cli/pov.js";
import type { Terminal } from "../../src/cli/terminal.js";
import { commitToDirectory, openReader } from "../../src/dataset/index.js";
import { toHex, utf8 } from "../../src/field/bytes.js";
import { checkPov, decodePov, povDigest, povFromJson, submissionFromJson } from "../../src/protocol/pov.js";
import { signDigest } from "../../src/protocol/signature.js";
import { code } from "../support/errors.js";
import { DOMAINS, party } from "../support/parties.js";

const creator = party("creator");
const GATE = ["--contract", DOMAINS.gate.verifyingContract];
let directory: string;
let dataset: string;

/** @returns what it prints */
async function pov(...args: string[]): Promise<string> {
  const { values, positionals } = parseArgs({ args, options: datasetPovCommand.options, allowPositionals: true });
  const lines: string[] = [];
  const terminal = { line: (text = "") => void lines.push(text), busy() {}, progress() {} } as unknown as Terminal;
  await datasetPovCommand.run({ values: values as never, positionals, terminal, signal: new AbortController().signal });
  return lines.join("\n");
}

const at = (name: string) => join(directory, name);
const json = async (path: string) => JSON.parse(await readFile(path, "utf8"));

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "anchorproof-pov-"));
  dataset = at("ds");
  await writeFile(at("lines.txt"), "hello\nworld!");
  await commitToDirectory(await openReader(at("lines.txt"), { lines: true }), dataset);
  await writeFile(at("account"), `${creator.secretKey}\n`, { mode: 0o600 });
  const { root } = await json(join(dataset, "commitment.json"));
  await writeFile(at("proofs.json"), JSON.stringify({ root, claim: { type: "integrity" } }));
  await writeFile(at("others.json"), JSON.stringify({ root: `0x${"11".repeat(32)}`, claim: { type: "integrity" } }));
});

afterAll(() => rm(directory, { recursive: true, force: true }));

describe("dataset pov", () => {
  it("makes and signs a submission", async () => {
    const options = [
      "--record",
      "1",
      "--publish",
      "0=prompt",
      "--tag",
      "inference prompt",
      "--timestamp",
      "1800000000",
    ];
    const out = await pov(
      dataset,
      "--account",
      at("account"),
      ...GATE,
      ...options,
      "--proofs",
      `content=${at("proofs.json")}`,
      "--bytes",
      at("pov.bin"),
    );
    const submission = submissionFromJson(await json(join(dataset, "pov.json")), "pov.json");
    const { digest } = checkPov(DOMAINS.gate, submission.pov, submission.signature, 1_800_000_000n);
    expect(out).toContain(digest);
    expect(out).not.toContain("warning");
    expect(submission.pov).toMatchObject({
      ...{ creator: creator.account, dataTag: "inference prompt", dataType: "text", records: 2n, dataSize: 11n },
      parts: [
        { role: "prompt", size: 5n, data: toHex(utf8("hello")) },
        { role: "text", size: 6n, data: "0x", digest: `0x${"00".repeat(32)}` },
      ],
      proofs: [
        {
          kind: "content",
          digest: toHex(
            createHash("sha256")
              .update(await readFile(at("proofs.json")))
              .digest(),
          ),
        },
      ],
    });
    expect(decodePov(await readFile(at("pov.bin")))).toEqual(submission.pov);
    expect(`${submission.pov.dataHash}\n`).toBe(await readFile(join(dataset, "sha256.txt"), "utf8"));
  });

  it("lets somebody else sign, and takes no other's signature", async () => {
    const made = JSON.parse(
      await pov(dataset, "--creator", creator.account, "--no-hash", "--digests", "--record", "0", "--json", ...GATE),
    );
    const message = povFromJson(await json(join(dataset, "pov-message.json")), "message");
    expect(made).toEqual({ digest: povDigest(DOMAINS.gate, message), pov: JSON.parse(JSON.stringify(made.pov)) });
    expect(BigInt(message.dataHash)).toBe(0n);
    expect(message.parts[0]!.digest).toBe(toHex(createHash("sha256").update("hello").digest()));
    const signature = signDigest(creator.secretKey, made.digest);
    const other = signDigest(party("other").secretKey, made.digest);
    const file = at("signed.json");
    await expect(pov(dataset, "--signature", other, "--out", file, ...GATE)).rejects.toThrow(code("SIGNATURE_INVALID"));
    // Of another gate.
    await expect(pov(dataset, "--signature", signature, "--out", file)).rejects.toThrow(code("SIGNATURE_INVALID"));
    await expect(readFile(file)).rejects.toThrow("ENOENT");
    const printed = JSON.parse(await pov(dataset, "--signature", signature, "--out", file, "--json", ...GATE));
    expect(await json(file)).toEqual(printed);
    expect(submissionFromJson(printed, "it")).toEqual({ pov: message, signature });
  });

  it("warns of a secret that others can read", async () => {
    await chmod(at("account"), 0o644);
    expect(await pov(dataset, "--account", at("account"), "--out", at("again.json"))).toContain("chmod 600");
    await chmod(at("account"), 0o600);
  });

  it.each<[string[], string]>([
    [[], "USAGE"],
    [["--account", "a", "--creator", creator.account], "USAGE"],
    [["--creator", "0x12"], "USAGE"],
    [["--creator", creator.account, "--record", "x"], "USAGE"],
    [["--creator", creator.account, "--record", "0=smell"], "USAGE"],
    [["--creator", creator.account, "--record", "2"], "DATASET_RECORD_UNKNOWN"],
    [["--creator", creator.account, "--proofs", "content"], "USAGE"],
    [["--creator", creator.account, "--proofs", "virtue=x"], "USAGE"],
    [["--creator", creator.account, "--proofs", "content=missing"], "FILE_NOT_FOUND"],
    [["--creator", creator.account, "--timestamp", "now"], "USAGE"],
    [["--creator", creator.account, "--tag", "anything"], "POV_INVALID"],
    [["--creator", creator.account, "--message", "x"], "USAGE"],
    [["--signature", "0x00", "--tag", "user info"], "USAGE"],
    [["--signature", "0x00", "--message", "missing"], "FILE_NOT_FOUND"],
    [["--account", "missing"], "FILE_NOT_FOUND"],
  ])("%j fails with %s", async (args, expected) => {
    await expect(pov(dataset, ...args)).rejects.toThrow(code(expected));
  });

  it("refers to no proofs of another dataset, or of another claim", async () => {
    for (const given of [`content=${at("others.json")}`, `labels=${at("proofs.json")}`]) {
      await expect(pov(dataset, "--creator", creator.account, "--proofs", given)).rejects.toThrow(
        code("INPUT_INVALID"),
      );
    }
  });

  it("says that there is no dataset", async () => {
    await expect(pov(at("none"), "--creator", creator.account)).rejects.toThrow(code("FILE_NOT_FOUND"));
  });
});
