/** `tee verify`, `inspect`, `bundle` and `policy` as their users meet them. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Writable } from "node:stream";
import { parseArgs } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";
import { teeBundleCommand, teeInspectCommand, teePolicyCommand, teeVerifyCommand } from "../../src/cli/tee.js";
import { Terminal } from "../../src/cli/terminal.js";
import { AnchorError } from "../../src/errors.js";
import type { Hex } from "../../src/field/bytes.js";
import { PACKAGE_ROOT } from "../../src/paths.js";
import { taskReportData } from "../../src/tee/binding.js";
import { collateralFromJson, collateralToJson } from "../../src/tee/collateral.js";
import { evidenceToJson } from "../../src/tee/evidenceJson.js";
import { makeKey } from "../../src/tee/lab/certificates.js";
import { type IntelLab, intelPlatform } from "../../src/tee/lab/intel.js";
import { nitroEnclave } from "../../src/tee/lab/nitro.js";
import { rootsToJson } from "../../src/tee/roots.js";
import { temporaryFolder } from "../circuit/support.js";
import { VECTORS } from "../tee/vectors.js";

let directory: string;
let lab: IntelLab;
const REPORT_DATA = "ab".repeat(32) + "cd".repeat(32);

beforeAll(async () => {
  directory = await temporaryFolder();
  lab = intelPlatform({ reportData: `0x${REPORT_DATA}` });
  await writeFile(join(directory, "quote.bin"), lab.quote);
  await save("collateral.json", collateralToJson(lab.collateral));
  await save("roots.json", rootsToJson(lab.roots));
  await writeFile(join(directory, "root.pem"), pem(lab.certificates.root));
});

function pem(der: Uint8Array): string {
  return `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString("base64")}\n-----END CERTIFICATE-----\n`;
}

async function save(name: string, value: unknown): Promise<void> {
  await writeFile(join(directory, name), typeof value === "string" ? value : JSON.stringify(value, null, 2));
}

const COMMANDS = [teeVerifyCommand, teeInspectCommand, teeBundleCommand, teePolicyCommand];

/** Within this process: starting one for each command would take most of the time. Names of files are of those saved here. */
async function anchorproof(name: string, ...args: string[]): Promise<{ status: number; out: string; err: string }> {
  const command = COMMANDS.find((each) => each.name === `tee ${name}`)!;
  const { values, positionals } = parseArgs({
    args: args.map((arg) => (/^[\w-]+\.\w+$/.test(arg) ? join(directory, arg) : arg)),
    options: command.options,
    allowPositionals: true,
  });
  const written: string[] = [];
  const stream = new Writable({
    write(chunk, _, done) {
      written.push(String(chunk));
      done();
    },
  });
  const out = () => written.join("");
  try {
    const { signal } = new AbortController();
    await command.run({ values: values as never, positionals, terminal: new Terminal(stream), signal });
    return { status: 0, out: out(), err: "" };
  } catch (error) {
    // Anything else than a typed error is a defect.
    if (!(error instanceof AnchorError)) throw error;
    return { status: 1, out: out(), err: `error ${error.code}: ${error.message}` };
  }
}

/** As a user starts it. */
function started(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  return new Promise((resolve) => {
    const options = { cwd: directory, env: { ...process.env, ANCHORPROOF_DEBUG: "" } };
    const main = join(PACKAGE_ROOT, "dist", "cli", "main.js");
    execFile(process.execPath, [main, "tee", ...args], options, (error, out, err) => {
      resolve({ status: error ? Number(error.code) : 0, out, err });
    });
  });
}

const verifying = (...more: string[]) =>
  anchorproof(
    "verify",
    "quote.bin",
    "--collateral",
    "collateral.json",
    "--root",
    "roots.json",
    "--at",
    String(lab.now),
    ...more,
  );

interface FilledPolicy {
  families: { tdx: { measurements: [{ name: string; values: Record<string, string> }] } };
}

/** What the laboratory's TDs are measured as. */
async function writePolicy(name: string, change: (policy: FilledPolicy) => void = () => {}): Promise<void> {
  const template = await anchorproof("policy", "gcp-tdx");
  const policy = JSON.parse(template.out);
  const { out } = await verifying("--json");
  const { claims } = JSON.parse(out);
  const [state] = policy.families.tdx.measurements;
  for (const register of Object.keys(state.values)) state.values[register] = claims.measurements[register];
  state.name = "lab";
  change(policy);
  await save(name, policy);
}

describe("tee verify", () => {
  it("says what is authentic, until when, and that nothing is claimed about software without a policy", async () => {
    const { status, out, err } = await verifying();
    expect(err).toBe("");
    expect(status).toBe(0);
    expect(out).toMatch(/^as of \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\n/);
    expect(out).not.toContain("this machine's clock");
    expect(out).toContain("roots: those given, not the pinned ones");
    expect(out).toContain("evidence: TDX quote, version 4");
    expect(out).toContain(": UpToDate");
    expect(out).toContain(`report data: 0x${REPORT_DATA}`);
    expect(out).toMatch(/collateral used:\n {2}intel\.pck-crl/);
    expect(out).toMatch(/the same answer holds from .*Z until .*Z/);
    expect(out).toContain("authentic: by the hardware");
    expect(out).toContain("nothing is claimed about the software that ran");
    expect((await verifying("--checks")).out).toContain("ok   ");
  });

  it("without --at it takes the machine's clock, and says so", async () => {
    const { status, out, err } = await anchorproof(
      "verify",
      "quote.bin",
      "--collateral",
      "collateral.json",
      "--root",
      "root.pem",
    );
    expect(out).toContain("by this machine's clock (--at names another time)");
    // The laboratory's time is not ours.
    expect(status).toBe(1);
    expect(err).toMatch(/^error (EXPIRED|NOT_YET_VALID): /);
  });

  it("takes times as seconds or as ISO 8601 with a zone, and no others", async () => {
    const iso = new Date(lab.now * 1000).toISOString();
    const json = await verifying("--json");
    const again = await anchorproof(
      "verify",
      "quote.bin",
      "--collateral",
      "collateral.json",
      "--root",
      "root.pem",
      "--at",
      iso,
      "--json",
    );
    expect(again.out).toBe(json.out);
    const none = ["yesterday", "2026-01-01T00:00:00", "1e9", "1700000000000", "999999999999999", "2025-02-30"];
    for (const at of [...none, "2025-02-30T00:00:00Z", "2025-13-01"]) {
      const { status, err } = await anchorproof("verify", "quote.bin", "--at", at);
      expect(status).toBe(1);
      expect(err, at).toMatch(/^error (USAGE|BAD_TIME): /);
    }
  });

  it("refuses it under the pinned roots, and without collateral", async () => {
    const pinned = await anchorproof("verify", "quote.bin", "--collateral", "collateral.json", "--at", String(lab.now));
    expect(pinned.status).toBe(1);
    expect(pinned.out).toContain("NOT AUTHENTIC");
    expect(pinned.err).toMatch(/^error CHAIN_UNTRUSTED: /);
    const bare = await anchorproof("verify", "quote.bin", "--root", "root.pem", "--at", String(lab.now));
    expect(bare.err).toMatch(/^error COLLATERAL_MISSING: /);
    const notRoot = join(directory, "leaf.pem");
    await writeFile(notRoot, pem(lab.certificates.intermediate));
    expect((await anchorproof("verify", "quote.bin", "--root", notRoot)).err).toContain("is no root");
  });

  it("holds nonce and report data against the evidence, with and without a policy", async () => {
    expect((await verifying("--report-data", REPORT_DATA.toUpperCase())).status).toBe(0);
    expect((await verifying("--nonce", "cd".repeat(32))).status).toBe(0);
    const wrong = await verifying("--report-data", "00".repeat(64));
    expect(wrong.status).toBe(1);
    expect(wrong.out).toContain("NOT ACCEPTED");
    expect(wrong.err).toMatch(/^error APPRAISAL_FAILED: the report data is 0xab/);
    const nonce = await verifying("--nonce", "ee".repeat(32));
    expect(nonce.err).toMatch(/^error NONCE_MISMATCH: /);
    expect((await verifying("--nonce", "zz")).err).toMatch(/^error INPUT_INVALID: /);
    expect((await verifying("--nonce", "00")).err).toMatch(/^error INPUT_INVALID: /);
  });

  it("appraises under a policy: exits with 0 only if it is accepted, and equal inputs give equal bytes", async () => {
    await writePolicy("policy.json");
    const accepted = await verifying("--policy", "policy.json", "--report-data", REPORT_DATA, "--out", "verdict.json");
    expect(accepted.err).toBe("");
    expect(accepted.status).toBe(0);
    expect(accepted.out).toContain("assurance: ");
    const verdict = await readFile(join(directory, "verdict.json"), "utf8");
    expect(JSON.parse(verdict)).toMatchObject({ accepted: true, authentic: true, tee: true, verifiedAt: lab.now });
    const json = await verifying("--policy", "policy.json", "--report-data", REPORT_DATA, "--json");
    expect(json.out).toBe(verdict);

    await writePolicy("other.json", ({ families }) => {
      families.tdx.measurements[0].values.mrTd = `0x${"11".repeat(48)}`;
    });
    const refused = await verifying("--policy", "other.json", "--report-data", REPORT_DATA, "--json");
    expect(refused.status).toBe(1);
    expect(refused.err).toMatch(/^error APPRAISAL_FAILED: policy "/);
    expect(JSON.parse(refused.out)).toMatchObject({ accepted: false, authentic: true, tee: false });
    // A policy that wants evidence bound to the request is not met by not asking.
    expect((await verifying("--policy", "policy.json")).err).toMatch(/^error APPRAISAL_FAILED: /);
  });

  it("holds evidence against a task, as policies for nodes want it", async () => {
    const bytes = (byte: string, count: number): Hex => `0x${byte.repeat(count)}`;
    const ids = { contract: bytes("11", 20), taskId: bytes("22", 32), modelDigest: bytes("33", 32) };
    const rest = { ...ids, enclaveKey: "0x" as Hex, nonce: bytes("44", 32) };
    const task = { chainId: 1n, inputCommitment: 2n ** 200n, outputCommitment: 7n, ...rest };
    const node = intelPlatform({ reportData: taskReportData(task, []) });
    await writeFile(join(directory, "node.bin"), node.quote);
    await save("node.json", collateralToJson(node.collateral));
    await save("node-roots.json", rootsToJson(node.roots));
    const json = { chainId: 1, inputCommitment: String(2n ** 200n), outputCommitment: "7", ...rest };
    await save("task.json", json);
    await writePolicy("task-policy.json", (policy) => Object.assign(policy, { binding: "task" }));
    const common = ["node.bin", "--collateral", "node.json", "--root", "node-roots.json", "--at", String(node.now)];
    const judge = (...more: string[]) => anchorproof("verify", ...common, "--policy", "task-policy.json", ...more);
    expect(await judge("--task", "task.json")).toMatchObject({ status: 0, err: "" });
    expect((await judge()).out).toContain("say it with --task");
    const wrong: [string, unknown, RegExp][] = [
      ["chainId", 2, /^error APPRAISAL_FAILED: .*this task and its devices need/],
      ["chainId", -1, /^error INPUT_INVALID: .*task\.json: /],
      ["chainId", "0x1", /the task's chainId must be a whole number/],
      ["inputCommitment", 2 ** 60, /the task's inputCommitment must be/],
      ["nonce", "0x44", /^error INPUT_INVALID: .*nonce/],
      ["taskId", undefined, /the task's taskId is missing/],
      ["taskid", "0x", /a task has no field "taskid"/],
    ];
    for (const [name, value, says] of wrong) {
      await save("other-task.json", { ...json, [name]: value });
      const { status, err } = await judge("--task", "other-task.json");
      expect(status).toBe(1);
      expect(err, name).toMatch(says);
    }
    // Without a policy as well.
    expect((await anchorproof("verify", ...common, "--task", "task.json")).status).toBe(0);
    await save("other-task.json", { ...json, outputCommitment: "8" });
    expect((await anchorproof("verify", ...common, "--task", "other-task.json")).status).toBe(1);
  });

  it("refuses a policy that is not filled in, and the name of one", async () => {
    const { out } = await anchorproof("policy", "gcp-tdx");
    await save("blank.json", out);
    expect((await verifying("--policy", "blank.json")).err).toMatch(/^error POLICY_INVALID: /);
    expect((await verifying("--policy", "gcp-tdx")).err).toContain("anchorproof tee policy gcp-tdx");
  });

  it("debug is refused, and shown with --allow-debug", async () => {
    const debug = intelPlatform({ debug: true });
    await writeFile(join(directory, "debug.bin"), debug.quote);
    await save("debug.json", collateralToJson(debug.collateral));
    await save("debug-roots.json", rootsToJson(debug.roots));
    const common = ["debug.bin", "--collateral", "debug.json", "--root", "debug-roots.json", "--at", String(debug.now)];
    expect((await anchorproof("verify", ...common)).err).toMatch(/^error DEBUG_ENABLED: /);
    const allowed = await anchorproof("verify", ...common, "--allow-debug");
    expect(allowed.status).toBe(0);
    expect(allowed.out).toContain("DEBUG: its memory can be read from outside");
  });

  it("one file may bring its collateral; several machines in one are each verified", async () => {
    const { rootCrl, pckCrl, tcbInfo, qeIdentity, pckCrlChain } = lab.intel;
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
    const chain = (list: readonly Uint8Array[]) => list.map(pem).join("");
    const collateral = {
      tcb_info: tcbInfo.json,
      tcb_info_signature: hex(tcbInfo.signature),
      tcb_info_issuer_chain: chain(tcbInfo.chain),
      qe_identity: qeIdentity.json,
      qe_identity_signature: hex(qeIdentity.signature),
      qe_identity_issuer_chain: chain(qeIdentity.chain),
      root_ca_crl: hex(rootCrl),
      pck_crl: hex(pckCrl),
      pck_crl_issuer_chain: chain(pckCrlChain),
    };
    const machine = { quote: hex(lab.quote), quote_collateral: collateral };
    const at = ["--root", "roots.json", "--at", String(lab.now)];
    await save("answer.json", machine);
    expect((await anchorproof("verify", "answer.json", ...at)).status).toBe(0);
    const other = intelPlatform({ keys: { ...lab.keys, pck: makeKey("P-256") } });
    await save("two.json", { all_attestations: [machine, { quote: hex(other.quote) }] });
    const two = await anchorproof("verify", "two.json", ...at);
    expect(two.out).toContain("1 of 2:");
    expect(two.out).toContain("2 of 2:");
    expect(two.status).toBe(1);
    expect(two.err).toMatch(/^error COLLATERAL_MISSING: /);
    const both = await anchorproof("verify", "two.json", ...at, "--collateral", "collateral.json", "--json");
    expect(JSON.parse(both.out)).toHaveLength(2);
  });

  it("an event log that does not replay fails the whole", async () => {
    const composite = {
      cpu: lab.evidence,
      devices: [],
      tokens: [],
      eventLog: {
        format: "dstack",
        log: new TextEncoder().encode(
          JSON.stringify([{ imr: 3, event_type: 134217729, digest: "00".repeat(48), event: "x", event_payload: "" }]),
        ),
      },
    } as const;
    await save("composite.json", evidenceToJson(composite));
    const { status, err, out } = await anchorproof(
      "verify",
      "composite.json",
      "--collateral",
      "collateral.json",
      "--root",
      "roots.json",
      "--at",
      String(lab.now),
    );
    expect(status).toBe(1);
    expect(err).toMatch(/^error EVENT_LOG_M/);
    expect(out).toContain("FAIL the event log replays");
  });

  it("says which file is none, and prints nothing that a file could steer the screen with", async () => {
    await save("words.txt", "hello");
    const none = await anchorproof("verify", "quote.bin", "words.txt");
    expect(none.err).toMatch(/^error EVIDENCE_UNKNOWN: .*words\.txt: /);
    expect((await anchorproof("verify")).err).toMatch(/^error USAGE: /);
    expect((await anchorproof("verify", "absent.bin")).err).toMatch(/^error FILE_NOT_FOUND: /);
    for (const command of ["inspect", "verify"]) {
      expect((await anchorproof(command, "words.txt")).err).toMatch(
        /^error EVIDENCE_UNKNOWN: .*words\.txt: this is no /,
      );
      expect((await anchorproof(command, "/dev/null")).err).toBe("error EVIDENCE_UNKNOWN: /dev/null: this is empty");
      expect((await anchorproof(command, directory)).err).toMatch(/^error FILE_UNREADABLE: .*: it is a folder$/);
      // Something without an end is not read until memory is full.
      expect((await anchorproof(command, "/dev/zero")).err).toBe(
        "error INPUT_TOO_LARGE: /dev/zero is larger than 32 MB",
      );
    }
    expect((await anchorproof("verify", "collateral.json")).err).toMatch(/: this is collateral, .* with --collateral$/);
    const steering = "\u001b[2J\u202eok";
    await save("odd.json", {
      quote: Buffer.from(lab.quote).toString("hex"),
      signing_address: steering,
      vm_config: steering,
      [steering]: 1,
    });
    for (const command of ["inspect", "verify"]) {
      const { out, err } = await started(command, "odd.json");
      expect(out + err).not.toContain("\u001b");
      expect(out + err).not.toContain("\u202e");
    }
    expect((await anchorproof("inspect", "odd.json")).out).toContain("\\u{1b}");
  });
});

describe("as a user starts them", () => {
  it("several files, exit codes, and one line for a failure", async () => {
    const at = ["--collateral", "collateral.json", "--root", "roots.json", "--at", String(lab.now)];
    const good = await started("verify", "quote.bin", ...at);
    expect(good).toMatchObject({ status: 0, err: "" });
    expect(good.out).toBe((await verifying()).out);
    const bad = await started("verify", "quote.bin", "root.pem", "root.pem", "--at", String(lab.now));
    expect(bad.status).toBe(1);
    expect(bad.err).toMatch(/^error COLLATERAL_MISSING: [^\n]*\n$/);
    const surplus = await started("policy", "dstack-app", "azure-snp");
    expect(surplus.err).toMatch(/^error USAGE: unexpected "azure-snp"/);
  });
});

describe("tee inspect", () => {
  it("shows what a quote says, and that nothing is verified", async () => {
    const { status, out } = await anchorproof("inspect", "quote.bin");
    expect(status).toBe(0);
    expect(out).toMatch(/^NOT VERIFIED: /);
    expect(out).toContain(`reportData: 0x${REPORT_DATA}`);
    expect(out).toContain("subject: CN=Intel SGX PCK Certificate");
    expect(out).toContain("fmspc: 0x");
    const json = JSON.parse((await anchorproof("inspect", "quote.bin", "--json")).out);
    expect(json.verified).toBe(false);
    expect(json.found[0].pieces[0].content.body.report.reportData).toBe(`0x${REPORT_DATA}`);
    // Damaged evidence is told, not shown.
    await writeFile(join(directory, "cut.bin"), lab.quote.subarray(0, 700));
    expect((await anchorproof("inspect", "cut.bin")).err).toMatch(/^error EVIDENCE_MALFORMED: /);
  });

  it("shows certificates, revocation lists and collateral with their windows", async () => {
    await writeFile(join(directory, "root.crl"), lab.intel.rootCrl);
    const { out } = await anchorproof("inspect", "root.pem", "root.crl", "collateral.json");
    expect(out).toContain('certificate "Intel SGX Root CA"');
    expect(out).toContain('revocation list by "Intel SGX Root CA"');
    expect(out).toContain("thisUpdate: ");
    expect(out).toContain("windows, as the files say (not verified):");
    expect(out).toMatch(/ {2}intel\.tcb-info +\d{4}-\d\d-\d\dT\S+ to /);
    expect(out).toContain("all of it together: ");
    expect((await anchorproof("inspect")).err).toMatch(/^error USAGE: /);
  });

  it("shows a Nitro document", async () => {
    await writeFile(join(directory, "doc.cose"), nitroEnclave().evidence.document);
    const { out } = await anchorproof("inspect", "doc.cose");
    expect(out).toContain("Nitro document");
    expect(out).toMatch(/pcrs:\n +0: 0x[0-9a-f]{96}/);
  });
});

describe("tee bundle", () => {
  it("makes one file of many, with their windows", async () => {
    const other = intelPlatform({ fmspc: "0x112233445566", keys: lab.keys });
    await save("other-collateral.json", collateralToJson(other.collateral));
    const { status, out } = await anchorproof(
      "bundle",
      "collateral.json",
      "other-collateral.json",
      "--out",
      "bundle.json",
    );
    expect(status).toBe(0);
    expect(out).toContain("intel.tcb-info");
    expect(out).toMatch(/bundle written to .*bundle\.json/);
    const bundle = collateralFromJson(JSON.parse(await readFile(join(directory, "bundle.json"), "utf8")));
    expect(bundle.intel).toHaveLength(2);

    const at = ["--at", String(lab.now), "--root", "roots.json"];
    const used = await anchorproof("bundle", "bundle.json", "--for", "quote.bin", ...at, "--out", "used.json");
    expect(used.status).toBe(0);
    const kept = collateralFromJson(JSON.parse(await readFile(join(directory, "used.json"), "utf8")));
    expect(kept.intel?.map(({ tcbInfo }) => tcbInfo.json)).toEqual([lab.intel.tcbInfo.json]);
    const again = await anchorproof("verify", "quote.bin", "--collateral", "used.json", ...at, "--json");
    expect(again.out).toBe((await verifying("--json")).out);
  });

  it("says what it has no use for, and writes no empty bundle", async () => {
    await writeFile(join(directory, "other.pem"), pem(nitroEnclave().certificates[0]!));
    const { status, out, err } = await anchorproof("bundle", "other.pem", "--out", "empty.json");
    expect({ status, err }).toMatchObject({ status: 1, err: expect.stringMatching(/^error COLLATERAL_MISSING: /) });
    expect(out).toContain("not used: the certificate");
    expect(existsSync(join(directory, "empty.json"))).toBe(false);
    expect((await verifying("--collateral", "other.pem")).out).toContain("not used: the certificate");
  });

  it("writes nothing for evidence that is not authentic, and refuses options that would do nothing", async () => {
    const refused = await anchorproof(
      "bundle",
      "collateral.json",
      "--for",
      "quote.bin",
      "--at",
      String(lab.now),
      "--out",
      "no.json",
    );
    expect(refused.err).toMatch(/^error CHAIN_UNTRUSTED: /);
    expect(existsSync(join(directory, "no.json"))).toBe(false);
    for (const args of [["--fetch"], ["--at", "5"], ["--root", "root.pem"], ["--early", "--for", "quote.bin"]]) {
      const { err } = await anchorproof("bundle", "collateral.json", "--out", "no.json", ...args);
      expect(err, args.join(" ")).toMatch(/^error USAGE: /);
    }
    expect((await anchorproof("bundle", "collateral.json")).err).toMatch(/^error USAGE: --out is needed/);
    expect((await anchorproof("bundle", "--out", "no.json")).err).toMatch(/^error USAGE: /);
    expect((await anchorproof("bundle", "quote.bin", "--out", "no.json")).err).toMatch(
      /^error COLLATERAL_MALFORMED: .*quote\.bin: /,
    );
  });
});

describe("tee policy", () => {
  it("prints names, policies to fill in, and the schema", async () => {
    const names = (await anchorproof("policy")).out.trim().split("\n");
    expect(names).toContain("dstack-app");
    for (const name of names) {
      const { status, out } = await anchorproof("policy", name);
      expect(status).toBe(0);
      expect(JSON.parse(out)).toMatchObject({ format: "anchorproof/tee-policy@1" });
    }
    expect(JSON.parse((await anchorproof("policy", "--schema")).out)).toHaveProperty("$schema");
    expect((await anchorproof("policy", "constructor")).err).toMatch(/^error USAGE: there is no policy "constructor"/);
    expect((await anchorproof("policy", "dstack-app", "--schema")).err).toMatch(/^error USAGE: /);
  });
});

describe.skipIf(VECTORS === undefined)("recorded evidence", () => {
  const at = (...path: string[]) => join(VECTORS!, ...path);

  it("a TD quote of 2025 as of its time, and why one of 2026 is out of date", async () => {
    const id = "tdx-v4-phala";
    const quote = await anchorproof(
      "verify",
      at("intel", id, "quote.bin"),
      "--collateral",
      at("intel", id, "collateral.json"),
      "--at",
      "1751624191",
    );
    expect(quote.status).toBe(0);
    expect(quote.out).toContain("FMSPC b0c06f000000: UpToDate");
    const old = "tdx-v4-live-b0c06f";
    const late = await anchorproof(
      "verify",
      at("intel", old, "quote.bin"),
      "--collateral",
      at("intel", old, "collateral.json"),
      "--at",
      "1787894484",
    );
    expect(late.status).toBe(0);
    expect(late.out).toContain("OutOfDate");
    expect(late.out).toMatch(/platform: OutOfDate \(.* has \d+, newest needs \d+/);
    expect(late.out).toContain("INTEL-SA-01192");
  });

  it("a GPU by its report, chain and manifests; SNP by its report and certificate; Nitro at its time and later", async () => {
    const gpu = (name: string) => at("nvidia-rim", "h100-545-full-match", name);
    const rims = ["driver_rim.xml", "vbios_rim.xml"].flatMap((name) => ["--collateral", gpu(name)]);
    const found = await anchorproof("verify", gpu("report.hex"), gpu("chain.b64"), ...rims, "--at", "2025-01-01");
    expect(found.err).toBe("");
    expect(found.out).toMatch(/NVIDIA GPU GH100/);
    const snp = await anchorproof(
      "verify",
      at("snp", "vcek-milan-v2", "report.bin"),
      at("snp", "vcek-milan-v2", "vek.der"),
      "--at",
      "2025-01-01",
    );
    expect(snp.status).toBe(0);
    expect(snp.out).toContain("SNP on Milan, by its VCEK");
    expect(snp.out).toContain("--   ");
    const nitro = at("nitro", "prod-2025-dstack", "doc.cose");
    expect((await anchorproof("verify", nitro, "--at", "2025-12-25T16:10:00Z")).status).toBe(0);
    expect((await anchorproof("verify", nitro, "--at", "2025-12-25T20:10:00Z")).err).toMatch(/^error EXPIRED: /);
  });

  it("chains of several devices in files of their own go to their devices, in order", async () => {
    const file = (device: string, name: string) => at("nvidia", device, name);
    const [a, b] = ["h100-580", "gb100-blackwell-575"] as const;
    const reports = [file(a, "report.bin"), file(b, "report.bin")];
    const chains = [file(a, "chain.pem"), file(b, "chain.pem")];
    const verify = (...files: string[]) => anchorproof("verify", ...files, "--at", "2026-06-01");
    const sorted = await verify(...reports, ...chains);
    expect(sorted).toMatchObject({ status: 0, err: "" });
    expect(sorted.out).toContain("2 of 2:");
    expect((await verify(reports[0]!, chains[0]!, reports[1]!, chains[1]!)).status).toBe(0);
    expect((await verify(...reports, ...chains.reverse())).status).toBe(1);
    // One device twice is not two either.
    expect((await verify(reports[0]!, chains[1]!, reports[0]!, chains[1]!)).err).toMatch(/^error DUPLICATE_DEVICE: /);
  });

  it("says what to do about what the caller can mend, and that a service found devices bad", async () => {
    const quote = at("intel", "tdx-v4-phala", "quote.bin");
    expect((await anchorproof("verify", quote, "--at", "1751624191")).out).toContain("give it with --collateral");
    const token = "phalacloud_phala_deepseek-v3.2_20260610_014917";
    const keys = ["--collateral", at("nras-jwt", token, "jwks.json"), "--at", "2026-06-10T01:49:18Z"];
    const refused = await anchorproof("verify", at("nras-jwt", token, "nras_response.json"), ...keys);
    expect(refused.status).toBe(1);
    expect(refused.err).toContain("NVIDIA's service says that attestation failed: NONCE_NOT_MATCHING");
    const { err } = await anchorproof("verify", quote, "--nonce", "0xabc");
    expect(err).toBe('error INPUT_INVALID: --nonce takes bytes in hex, two digits each, not "0xabc"');
  });

  it("one device twice is not two", async () => {
    const chain = await readFile(at("nvidia", "h100-580", "chain.pem"), "utf8");
    const report = await readFile(at("nvidia", "h100-580", "report.bin"));
    const device = {
      arch: "HOPPER",
      certificate: Buffer.from(chain).toString("base64"),
      evidence: report.toString("base64"),
    };
    await save("devices.json", [device, device]);
    const { status, err } = await anchorproof("verify", "devices.json", "--at", "2026-06-01");
    expect(status).toBe(1);
    expect(err).toMatch(/^error DUPLICATE_DEVICE: /);
    await save("device.json", [device]);
    expect((await anchorproof("verify", "device.json", "--at", "2026-06-01")).status).toBe(0);
  });

  it("everything recorded can be inspected", async () => {
    const files = [
      at("azure-vtpm", "az-snp-v1", "evidence.json"),
      at("azure-vtpm", "az-tdx-v1", "evidence.json"),
      at("event-log", "verifier_fixtures_quote-report.json"),
      at("arm-cca", "realm_testvectors_tf-rmm_cca_token.cbor"),
      at("nvidia", "ls10-switch", "report.bin"),
      at("snp", "vcek-turin-v5-ms", "report.bin"),
      at("nras-jwt", "nanogpt_tee_gemma-3-27b-it_20260610_014905", "nras_response.json"),
      at("nras-jwt", "nanogpt_tee_gemma-3-27b-it_20260610_014905", "jwks.json"),
      at("nvidia-rim", "h100-545-full-match", "driver_rim.xml"),
    ];
    const { status, out, err } = await anchorproof("inspect", ...files);
    expect(err).toBe("");
    expect(status).toBe(0);
    for (const text of [
      "Azure vTPM evidence of an SNP guest",
      "dstack event log of",
      "CCA token",
      "product: Turin",
      "eat_nonce",
      "nvidia.rim",
    ]) {
      expect(out).toContain(text);
    }
  });
});
