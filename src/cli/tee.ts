import { AnchorError } from "../errors.js";
import type { Hex } from "../field/bytes.js";
import { canonicalJson } from "../protocol/document.js";
import { type TeeTask, taskPreimage } from "../tee/binding.js";
import type { Claims, IntelClaims } from "../tee/claims.js";
import { type Collateral, collateralToJson, mergeCollateral } from "../tee/collateral.js";
import { type CompositeVerification, verifyComposite } from "../tee/composite.js";
import { type Check, END_OF_TIME, time, type Used, type Verification, type VerifyOptions } from "../tee/context.js";
import { fetchCollateral } from "../tee/fetch/index.js";
import { type ImportFile, importFiles } from "../tee/import/index.js";
import { inspect, type Shown } from "../tee/inspect.js";
import { Appraisal } from "../tee/policy/appraisal.js";
import { appraise, appraiseComposite } from "../tee/policy/appraise.js";
import { appraiseBinding } from "../tee/policy/binding.js";
import { checkExpected, type Expected } from "../tee/policy/expected.js";
import { type Policy, policyFromJson } from "../tee/policy/policy.js";
import { POLICY_TEMPLATES } from "../tee/policy/presets.js";
import { POLICY_SCHEMA } from "../tee/policy/schema.js";
import { equalBytes } from "../tee/read/bytes.js";
import { combine, type Parts, type Recognised, readParts } from "../tee/recognise.js";
import { type AmdProduct, PINNED_ROOTS, type Roots, rootsFromJson } from "../tee/roots.js";
import { selectUsed, type Validity, validity } from "../tee/validity.js";
import type { TeeVerdict } from "../tee/verdict.js";
import { verify } from "../tee/verify.js";
import { certificatesOf, isDerSequence, pemBlocks, textOf } from "../tee/wrapping/encoding.js";
import { parseCertificate } from "../tee/x509.js";
import { clip, counted } from "../text.js";
import {
  type Command,
  instant,
  optional,
  pretty,
  readBytes,
  readJson,
  required,
  type Values,
  writeWhole,
} from "./command.js";
import type { Terminal } from "./terminal.js";

export const teeVerifyCommand: Command = {
  name: "tee verify",
  summary: "verify attestation evidence of any family, and appraise it under a policy; offline",
  help: `
  FILE…                evidence, in whatever it came: raw, hex, base64, the JSON of a service. Several files are one
                       machine's: its CPU's evidence, that of its devices, tokens, an event log, chains of certificates
                       (of several, in the order of what they belong to)
  --collateral FILE    what the vendors publish about the hardware; once for each file (\`tee bundle\` makes one of many)
  --policy FILE        what is good enough (\`tee policy\` prints one to fill in). Without it, only authenticity is reported
  --at TIME            the time to verify at, Unix seconds or ISO 8601; without it, this machine's clock
  --nonce HEX          the nonce that the evidence has to answer to
  --report-data HEX    all of the bytes that the guest has to have chosen
  --task FILE          the task that the evidence has to be bound to, its fields as JSON (chainId, contract, taskId,
                       modelDigest, inputCommitment, outputCommitment, enclaveKey, nonce: what \`taskReportData\` takes)
  --root FILE          trust these roots (certificates, public keys of CCA platforms) instead of the pinned ones
  --allow-debug        let evidence of environments in debug mode pass; no policy accepts it
  --checks             list every check, not just those that failed or were not made
  --json               print the result as canonical JSON; equal inputs give equal bytes
  --out FILE           write that JSON to a file

Exits with 0 only if everything is authentic and, with a policy, accepted.
`,
  options: {
    collateral: { type: "string", multiple: true },
    policy: { type: "string" },
    at: { type: "string" },
    nonce: { type: "string" },
    "report-data": { type: "string" },
    task: { type: "string" },
    root: { type: "string", multiple: true },
    "allow-debug": { type: "boolean" },
    checks: { type: "boolean" },
    json: { type: "boolean" },
    out: { type: "string" },
  },
  positionals: ["FILE…"],
  async run({ values, positionals, terminal }) {
    const machines = await readMachines(positionals);
    const { collateral: given, unused } = importFiles(await readFiles(several(values, "collateral")));
    const policyPath = optional(values, "policy");
    const policy = policyPath === undefined ? undefined : await readPolicy(policyPath);
    const expected = await readExpected(values);
    const { now, byClock } = readTime(values);
    const roots = await readRoots(several(values, "root"));
    const options = { now, ...(roots && { roots }), allowDebug: values["allow-debug"] === true };

    const results = machines.map((machine) => judge(machine, given, options, policy, expected));
    requireDistinct(results);
    const documents = results.map(({ document }) => document);
    const text = canonicalJson(documents.length === 1 ? documents[0] : documents);
    const out = optional(values, "out");
    if (out !== undefined) await writeWhole(out, `${text}\n`);
    if (values["json"]) terminal.line(text);
    else {
      terminal.line(`as of ${time(now)}${byClock ? ", by this machine's clock (--at names another time)" : ""}`);
      if (roots !== undefined) terminal.line("roots: those given, not the pinned ones");
      for (const reason of unused) terminal.line(`not used: ${reason}`);
      results.forEach((result, i) => {
        terminal.line();
        if (results.length > 1) terminal.line(`${i + 1} of ${results.length}:`);
        printResult(terminal, result, values["checks"] === true);
      });
      terminal.line();
      printConclusion(terminal, results, policy);
    }
    const failed = results.find(({ failure }) => failure !== undefined)?.failure;
    if (failed) throw new AnchorError(failed.code, failed.message);
  },
};

interface Result {
  machine: Recognised;
  verification: Verification | CompositeVerification;
  verdict?: TeeVerdict;
  /** Of what was asked for on the command line, where no policy looks at it. */
  expectations: Check[];
  document: unknown;
  failure?: AnchorError;
}

function judge(
  machine: Recognised,
  given: Collateral,
  options: VerifyOptions,
  policy: Policy | undefined,
  expected: Expected,
): Result {
  const { evidence, composite } = machine;
  if (!evidence) {
    const reason = "an event log says nothing without the quote whose registers it replays to: name both";
    throw new AnchorError("EVIDENCE_UNKNOWN", reason);
  }
  const collateral = machine.collateral ? mergeCollateral(given, machine.collateral) : given;
  const verification = composite
    ? verifyComposite(composite, collateral, options)
    : verify(evidence, collateral, options);
  if (policy) {
    const verdict =
      "cpu" in verification
        ? appraiseComposite(verification, policy, expected)
        : appraise(verification, policy, expected);
    const failure = refusalOf(verdict);
    return { machine, verification, verdict, expectations: [], document: verdict, ...(failure && { failure }) };
  }
  const expectations = checkExpectations(verification, expected);
  const failed = verification.ok ? expectations.find(({ outcome }) => outcome === "fail") : verification.failure;
  const failure =
    failed &&
    new AnchorError(failed.code ?? "CLAIM_FAILED", "message" in failed ? failed.message : (failed.reason ?? ""));
  const document = { ...verification, expectations };
  return { machine, verification, expectations, document, ...(failure && { failure }) };
}

function refusalOf({ accepted, failure, checks, policyName }: TeeVerdict): AnchorError | undefined {
  if (failure) return new AnchorError(failure.code, failure.message);
  if (accepted) return undefined;
  const failed = checks.filter(({ outcome }) => outcome === "fail").map(({ id, reason = "" }) => `${id}: ${reason}`);
  return new AnchorError("APPRAISAL_FAILED", `policy "${policyName}": ${clip(failed.join("; "), 600)}`);
}

/** What was asked for on the command line, where no policy looks at it. */
function checkExpectations(verification: Verification | CompositeVerification, expected: Expected): Check[] {
  if (Object.keys(expected).length === 0 || !verification.ok) return [];
  const parts =
    "cpu" in verification ? [verification.cpu, ...verification.devices, ...verification.tokens] : [verification];
  const { reportData: _, ...ofDevices } = expected;
  return parts.flatMap((part, i) => {
    if (!part.ok) return [];
    const appraisal = new Appraisal(part.verifiedAt, part);
    const rules = { binding: "any", requireNonce: false } as const;
    appraiseBinding(appraisal, part.claims, rules, i === 0 ? expected : ofDevices, i > 0);
    return appraisal.checks.filter(({ outcome }) => outcome !== "unchecked");
  });
}

/** Devices without a CPU's evidence are looked at one by one: that one of them stands for several is seen here. */
function requireDistinct(results: readonly Result[]): void {
  const seen = new Map<string, number>();
  results.forEach((result, i) => {
    const { verification } = result;
    if ("cpu" in verification || !verification.ok || verification.claims.family !== "nvidia") return;
    const { deviceId, serial } = verification.claims;
    const first = seen.get(deviceId);
    seen.set(deviceId, first ?? i);
    if (first === undefined) return;
    const reason = `evidence ${first + 1} and ${i + 1} are of one and the same device (serial ${serial})`;
    result.failure ??= new AnchorError("DUPLICATE_DEVICE", reason);
  });
}

function printResult(terminal: Terminal, result: Result, all: boolean): void {
  const { machine, verification, verdict, expectations } = result;
  terminal.line(`evidence: ${describeHow(machine.how)}`);
  const parts: [string, Verification][] =
    "cpu" in verification
      ? [
          ["", verification.cpu],
          ...verification.devices.map((part, i): [string, Verification] => [`device ${i}: `, part]),
          ...verification.tokens.map((part, i): [string, Verification] => [`token ${i}: `, part]),
        ]
      : [["", verification]];
  for (const [name, part] of parts) {
    if (part.ok) printClaims(terminal, name, part.claims);
  }
  const checks = verdict?.checks ?? [
    ...parts.flatMap(([name, part]) => part.checks.map((check) => ({ ...check, id: `${name}${check.id}` }))),
    ...("cpu" in verification ? verification.checks : []),
    ...expectations,
  ];
  const passed = checks.filter(({ outcome }) => outcome === "pass").length;
  const shown = checks.filter(({ outcome }) => all || outcome !== "pass");
  for (const [{ outcome, claim, code, reason }, times] of repeated(shown)) {
    const mark = { pass: "ok  ", fail: "FAIL", unchecked: "--  " }[outcome];
    terminal.line(`${mark} ${claim}${times > 1 ? ` (${times} times)` : ""}`);
    if (reason !== undefined) terminal.line(`       ${code ? `${code}: ` : ""}${reason}`);
  }
  terminal.line(`${counted(passed, "check")} passed${all ? "" : " (--checks lists them)"}`);
  printUsed(terminal, verification.collateral);
  for (const note of new Set([...verification.notes, ...(verdict?.notes ?? [])])) terminal.line(`note: ${note}`);
  if (verification.ok && !("cpu" in verification && verification.validUntil === 0)) {
    const { validFrom, validUntil } = verification as { validFrom: number; validUntil: number };
    terminal.line(`the same answer holds from ${time(validFrom)} until ${time(validUntil)}`);
  }
  if (verdict) {
    terminal.line(`assurance: ${verdict.assurance.tier}`);
    for (const note of verdict.assurance.notes) terminal.line(`  - ${note}`);
  }
}

/** The eight devices of a machine say most things eight times; what fails is told one by one. */
function repeated(checks: readonly Check[]): Iterable<[Check, number]> {
  const found = new Map<string, [Check, number]>();
  for (const check of checks) {
    const { id, outcome, claim, reason } = check;
    const [, device] = /^((?:device|token) \d+): /.exec(id) ?? [];
    const isApart = device === undefined || outcome === "fail";
    const key = isApart ? `${found.size} ${id}` : JSON.stringify([outcome, claim, reason]);
    const told = isApart && device !== undefined ? { ...check, claim: `${device}: ${claim}` } : check;
    found.set(key, [found.get(key)?.[0] ?? told, (found.get(key)?.[1] ?? 0) + 1]);
  }
  return found.values();
}

/** From the outside in; a list of equal things once. */
function describeHow(how: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const each of how) counts.set(each, (counts.get(each) ?? 0) + 1);
  return clip([...counts].map(([each, times]) => (times > 1 ? `${times} × ${each}` : each)).join(", "), 300);
}

function printUsed(terminal: Terminal, used: readonly Used[]): void {
  if (used.length === 0) return;
  terminal.line("collateral used:");
  const width = Math.max(...used.map(({ kind }) => kind.length));
  for (const { kind, digest, validFrom, validUntil } of used) {
    terminal.line(`  ${kind.padEnd(width)}  ${time(validFrom)} to ${time(validUntil)}  ${digest.slice(0, 18)}…`);
  }
}

function printClaims(terminal: Terminal, name: string, claims: Claims): void {
  const line = (text: string) => terminal.line(`  ${name}${text}`);
  line(headline(claims));
  const tee = "tee" in claims ? claims.tee : claims;
  if (tee.family === "sgx" || tee.family === "tdx") printTcb(line, tee);
  for (const [register, value] of Object.entries(claims.measurements)) line(`${register}: ${value}`);
  if (claims.reportData !== undefined) line(`report data: ${claims.reportData}`);
  if (claims.nonce !== undefined) line(`nonce: ${claims.nonce}`);
  if (claims.debug) line("DEBUG: its memory can be read from outside");
}

function headline(claims: Claims): string {
  switch (claims.family) {
    case "sgx":
    case "tdx":
      return `${claims.family.toUpperCase()} (${claims.body}), FMSPC ${claims.fmspc.slice(2)}: ${claims.status}`;
    case "snp":
      return `SNP on ${claims.product}, by its ${claims.signingKey}, VMPL ${claims.vmpl}, TCB ${tcbText(claims.tcb.reported)}`;
    case "nitro":
      return `Nitro enclave ${claims.moduleId}, document of ${time(Math.floor(claims.timestamp / 1000))}`;
    case "nvidia":
      return `NVIDIA ${claims.device} ${claims.chip}, serial ${claims.serial}, driver ${claims.driver || "unknown"}, VBIOS ${claims.vbios || "unknown"}`;
    case "nras":
      return `token of ${claims.issuer} about ${counted(claims.devices.length, "device")}: passed`;
    case "azure-snp":
    case "azure-tdx":
      return `Azure vTPM, ${headline(claims.tee)}`;
    case "cca":
      return `CCA realm on ${claims.platform.implementationId}, ${claims.platform.lifecycleName}`;
  }
}

function tcbText(tcb: object): string {
  return Object.entries(tcb)
    .map(([part, version]) => `${part} ${version}`)
    .join(", ");
}

/** Why the status is what it is, part by part. */
function printTcb(line: (text: string) => void, { tcbDate, advisories, parts }: IntelClaims): void {
  line(`TCB date ${tcbDate}${advisories.length > 0 ? `, advisories ${advisories.join(", ")}` : ""}`);
  for (const { part, status, behind } of parts) {
    if (status === "UpToDate" && behind.length === 0) continue;
    const why = behind.map(({ component, has, needs }) => `${component} has ${has}, newest needs ${needs}`).join("; ");
    line(`${part}: ${status}${why === "" ? "" : ` (${why})`}`);
  }
}

function printConclusion(terminal: Terminal, results: readonly Result[], policy: Policy | undefined): void {
  const failed = results.filter(({ failure }) => failure !== undefined);
  if (failed.length > 0) {
    const authentic = results.every(({ verification }) => verification.ok);
    terminal.line(authentic ? "NOT ACCEPTED" : "NOT AUTHENTIC");
    const advice = new Set(failed.flatMap(({ failure }) => adviceOn(failure!) ?? []));
    for (const each of advice) terminal.line(each);
    return;
  }
  for (const { verdict } of results) if (verdict) terminal.line(verdict.summary);
  if (!policy) {
    terminal.line("authentic: by the hardware, or the service, that it names, as of that time");
    terminal.line(
      "nothing is claimed about the software that ran, nor that its patch level is good enough: give a --policy",
    );
  }
}

/** What to do about a failure that is the caller's to mend. */
function adviceOn({ code, message }: AnchorError): string | undefined {
  if (code === "COLLATERAL_MISSING")
    return "give it with --collateral (anchorproof tee bundle --fetch --for EVIDENCE --out FILE asks the vendors)";
  if (code === "CHAIN_UNTRUSTED" && message.includes("roots.ccaPlatform"))
    return "name the platform's public key with --root";
  if (code !== "APPRAISAL_FAILED") return undefined;
  if (message.includes("answers to a nonce: say which")) return "say it with --nonce";
  if (message.includes("bound to a task: say which")) return "say it with --task";
  if (message.includes("bound to the request: say which")) return "say it with --report-data or --task";
  if (message.includes("no revocation list of AMD's was among the collateral"))
    return "give AMD's list with --collateral (anchorproof tee bundle --fetch --for EVIDENCE --out FILE asks for it)";
  return undefined;
}

export const teeInspectCommand: Command = {
  name: "tee inspect",
  summary: "show what evidence or collateral says, without verifying anything",
  help: `
  FILE…    evidence, event logs, certificates, revocation lists, collateral, in whatever they came
  --json   print plain JSON
`,
  options: { json: { type: "boolean" } },
  positionals: ["FILE…"],
  async run({ values, positionals, terminal }) {
    requireFiles(positionals);
    const found = [];
    for (const path of positionals) {
      const bytes = await readBytes(path, MAX_FILE);
      for (const each of inFile(path, () => inspect(bytes, path))) found.push({ file: path, ...each });
    }
    if (values["json"]) return terminal.line(pretty({ verified: false, found }).trimEnd());
    terminal.line("NOT VERIFIED: this is what the files say, and all of it may be made up (tee verify checks it)");
    for (const { file, how, hints, pieces, validity: windows } of found) {
      terminal.line();
      terminal.line(`${file}: ${describeHow(how)}`);
      const fields = Object.entries(hints?.fields ?? {});
      if (hints?.nonce) fields.push(["nonce", hints.nonce]);
      if (hints?.reportData) fields.push(["report_data", hints.reportData]);
      for (const [name, value] of fields)
        terminal.line(`  beside it, ${name}: ${clip(value.replaceAll("\n", " "), 200)}`);
      for (const { what, content } of pieces) {
        terminal.line(`  ${what}`);
        printTree(terminal, content, "    ");
      }
      if (windows) printValidity(terminal, windows);
    }
  },
};

/** Long texts and lists are for `--json`. */
const MAX_SHOWN = 400;
const MAX_ITEMS = 64;

function printTree(terminal: Terminal, value: Shown, indent: string): void {
  if (typeof value !== "object" || value === null) {
    terminal.line(`${indent}${scalar(value)}`);
    return;
  }
  const entries = Object.entries(value);
  for (const [name, item] of entries.slice(0, MAX_ITEMS)) {
    const isEmpty = typeof item === "object" && item !== null && Object.keys(item).length === 0;
    if (typeof item !== "object" || item === null) terminal.line(`${indent}${name}: ${scalar(item)}`);
    else if (isEmpty) terminal.line(`${indent}${name}: none`);
    else if (Array.isArray(item) && item.every((each) => typeof each !== "object")) {
      terminal.line(`${indent}${name}: ${clip(item.map(scalar).join(", "), MAX_SHOWN)}`);
    } else {
      terminal.line(`${indent}${name}:`);
      printTree(terminal, item, `${indent}  `);
    }
  }
  if (entries.length > MAX_ITEMS) terminal.line(`${indent}… and ${entries.length - MAX_ITEMS} more (--json has them)`);
}

function scalar(value: Shown): string {
  return clip(String(value).replaceAll("\n", " "), MAX_SHOWN);
}

function printValidity(terminal: Terminal, { items, validFrom, validUntil }: Validity): void {
  if (items.length === 0) {
    terminal.line("nothing in it has a window of validity");
    return;
  }
  const width = Math.max(...items.map(({ kind }) => kind.length));
  terminal.line("windows, as the files say (not verified):");
  for (const item of items) {
    terminal.line(
      `  ${item.kind.padEnd(width)}  ${time(item.validFrom)} to ${time(item.validUntil)}  ${clip(item.what, 120)}`,
    );
  }
  terminal.line(
    validFrom <= validUntil
      ? `all of it together: ${time(validFrom)} to ${time(validUntil)}`
      : "there is no moment at which all of it is valid: pieces of different times lie in one bundle",
  );
}

export const teeBundleCommand: Command = {
  name: "tee bundle",
  summary: "make one bundle of collateral out of vendors' files, to verify with and to archive",
  help: `
  FILE…            what Intel, AMD, AWS and NVIDIA publish: responses of services with or without their headers, chains,
                   revocation lists, reference manifests, OCSP answers, key sets; collateral of other tools; other bundles
  --out FILE       where the bundle goes
  --for EVIDENCE   keep only what verifying this evidence uses; it has to be authentic. Once for each file of a machine's
  --at TIME        the time to verify that at; without it, this machine's clock
  --root FILE      as for tee verify
  --allow-debug    as for tee verify
  --fetch          ask the vendors' services for what the evidence needs; with --for
  --early          of Intel, the newest TCB evaluation rather than the standard one
`,
  options: {
    out: { type: "string" },
    for: { type: "string", multiple: true },
    at: { type: "string" },
    root: { type: "string", multiple: true },
    "allow-debug": { type: "boolean" },
    fetch: { type: "boolean" },
    early: { type: "boolean" },
  },
  positionals: ["FILE…"],
  async run({ values, positionals, terminal, signal }) {
    const out = required(values, "out");
    const evidence = several(values, "for");
    const fetches = values["fetch"] === true;
    if (fetches && evidence.length === 0)
      throw new AnchorError("USAGE", "--fetch goes with --for: it asks for what that needs");
    const lone = ["at", "root", "allow-debug"].find((name) => values[name] !== undefined && evidence.length === 0);
    if (lone !== undefined) throw new AnchorError("USAGE", `--${lone} goes with --for`);
    if (values["early"] && !fetches) throw new AnchorError("USAGE", "--early goes with --fetch");
    if (!fetches) requireFiles(positionals);

    const { collateral, files, unused } = importFiles(await readFiles(positionals));
    for (const { name, what } of files) terminal.line(`${name}: ${describeHow(what)}`);
    for (const reason of unused) terminal.line(`not used: ${reason}`);
    if (evidence.length === 0 && Object.keys(collateral).length === 0)
      throw new AnchorError(
        "COLLATERAL_MISSING",
        "none of these files holds anything to verify with: no bundle is written",
      );
    let bundle = collateral;
    if (evidence.length > 0) {
      const machines = await readMachines(evidence);
      const { now } = readTime(values);
      const roots = await readRoots(several(values, "root"));
      const options = { now, ...(roots && { roots }), allowDebug: values["allow-debug"] === true };
      const kept: Collateral[] = [];
      for (const machine of machines) {
        const update = values["early"] ? "early" : "standard";
        const asked = machine.composite ?? machine.evidence;
        const fetched = fetches && asked ? await fetchCollateral(asked, { signal, update }) : {};
        const all = mergeCollateral(collateral, machine.collateral ?? {}, fetched);
        const { verification, failure } = judge(machine, all, options, undefined, {});
        if (failure) throw failure;
        kept.push(selectUsed(all, verification.collateral));
      }
      bundle = mergeCollateral(...kept);
      terminal.line(`kept what verifying the evidence uses, as of ${time(now)}`);
    }
    printValidity(terminal, validity(bundle));
    await writeWhole(out, pretty(collateralToJson(bundle)));
    terminal.line(`bundle written to ${out}`);
  },
};

export const teePolicyCommand: Command = {
  name: "tee policy",
  summary: "print a policy to fill in, or the schema of policies",
  help: `
  NAME       one of: ${Object.keys(POLICY_TEMPLATES).join(", ")}. Without it, the names.
             What stands in <…> is yours to fill in: a policy that still has one is refused
  --schema   print the JSON schema instead
`,
  options: { schema: { type: "boolean" } },
  positionals: ["NAME"],
  async run({ values, positionals, terminal }) {
    const [name] = positionals;
    if (values["schema"]) {
      if (name !== undefined)
        throw new AnchorError("USAGE", "all policies have one schema: give no NAME with --schema");
      return terminal.line(pretty(POLICY_SCHEMA).trimEnd());
    }
    if (name === undefined) return Object.keys(POLICY_TEMPLATES).forEach((each) => void terminal.line(each));
    terminal.line(pretty(templateNamed(name)).trimEnd());
  },
};

function templateNamed(name: string): unknown {
  if (!Object.hasOwn(POLICY_TEMPLATES, name)) {
    throw new AnchorError(
      "USAGE",
      `there is no policy "${name}"; there are: ${Object.keys(POLICY_TEMPLATES).join(", ")}`,
    );
  }
  return POLICY_TEMPLATES[name as keyof typeof POLICY_TEMPLATES];
}

/** Nothing larger is read as evidence or collateral; of a device, which may have no end, no more than this. */
const MAX_FILE = 32 * 1024 * 1024;

function several(values: Values, name: string): string[] {
  const value = values[name];
  return (Array.isArray(value) ? value : []).filter((each): each is string => typeof each === "string");
}

function requireFiles(positionals: readonly string[]): void {
  if (positionals.length === 0) throw new AnchorError("USAGE", "name at least one file");
}

async function readFiles(paths: readonly string[]): Promise<ImportFile[]> {
  const files: ImportFile[] = [];
  for (const name of paths) files.push({ name, bytes: await readBytes(name, MAX_FILE) });
  return files;
}

async function readMachines(paths: readonly string[]): Promise<Recognised[]> {
  requireFiles(paths);
  const files: Parts[][] = [];
  for (const file of await readFiles(paths)) {
    files.push(
      inFile(file.name, () => {
        try {
          return readParts(file.bytes);
        } catch (error) {
          if (!isCollateral(file)) throw error;
          throw new AnchorError("EVIDENCE_UNKNOWN", "this is collateral, not evidence: name it with --collateral");
        }
      }),
    );
  }
  return combine(files);
}

/** Says which file an error is about. */
function inFile<T>(name: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof AnchorError) || error.message.startsWith(`${name}: `)) throw error;
    throw new AnchorError(error.code, `${name}: ${error.message}`, { cause: error });
  }
}

function isCollateral(file: ImportFile): boolean {
  try {
    importFiles([file]);
    return true;
  } catch {
    return false;
  }
}

async function readPolicy(path: string): Promise<Policy> {
  if (Object.hasOwn(POLICY_TEMPLATES, path)) {
    const reason = `print it with "anchorproof tee policy ${path}", fill it in, and name that file`;
    throw new AnchorError("USAGE", `--policy ${path} is a policy to fill in: ${reason}`);
  }
  return policyFromJson(await readJson(path));
}

async function readExpected(values: Values): Promise<Expected> {
  const nonce = hexOption(values, "nonce");
  const reportData = hexOption(values, "report-data");
  const taskPath = optional(values, "task");
  const task = taskPath === undefined ? undefined : await readTask(taskPath);
  const expected = { ...(nonce && { nonce }), ...(reportData && { reportData }), ...(task && { task }) };
  checkExpected(expected);
  return expected;
}

const TASK_NUMBERS = ["chainId", "inputCommitment", "outputCommitment"] as const;
const TASK_BYTES = ["contract", "taskId", "modelDigest", "enclaveKey", "nonce"] as const;

/** A task as `taskReportData` takes it: hex, and numbers as decimal text (or as numbers, where they are small). */
async function readTask(path: string): Promise<TeeTask> {
  const refuse = (reason: string) => new AnchorError("INPUT_INVALID", `${path}: ${reason}`);
  const json = await readJson(path);
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw refuse("a task is a JSON object");
  const given = new Map(Object.entries(json));
  const names: readonly string[] = [...TASK_NUMBERS, ...TASK_BYTES];
  const odd = [...given.keys()].find((name) => !names.includes(name));
  if (odd !== undefined) throw refuse(`a task has no field "${clip(odd)}"; its fields are ${names.join(", ")}`);
  const missing = names.find((name) => !given.has(name));
  if (missing !== undefined) throw refuse(`the task's ${missing} is missing`);
  const number = (name: string): bigint => {
    const value = given.get(name);
    if (Number.isSafeInteger(value) || (typeof value === "string" && /^\d{1,78}$/.test(value)))
      return BigInt(value as string | number);
    throw refuse(`the task's ${name} must be a whole number as decimal text`);
  };
  const bytes = (name: string): Hex => {
    const value = given.get(name);
    if (typeof value === "string" && /^0x(?:[0-9a-f]{2})*$/.test(value)) return value as Hex;
    throw refuse(`the task's ${name} must be lower-case 0x-hex`);
  };
  const task = Object.fromEntries([
    ...TASK_NUMBERS.map((name) => [name, number(name)]),
    ...TASK_BYTES.map((name) => [name, bytes(name)]),
  ]) as unknown as TeeTask;
  try {
    taskPreimage(task);
  } catch (error) {
    throw error instanceof AnchorError ? refuse(error.message) : error;
  }
  return task;
}

/** A command may look at the clock; the library never does. @throws USAGE, BAD_TIME */
function readTime(values: Values): { now: number; byClock: boolean } {
  const at = optional(values, "at");
  if (at === undefined) return { now: Math.floor(Date.now() / 1000), byClock: true };
  const now = instant(at);
  if (now < 0 || now > END_OF_TIME) throw new AnchorError("BAD_TIME", `--at ${now} is no time in Unix seconds`);
  return { now, byClock: false };
}

/** As people copy it: with 0x or without, in either case. */
function hexOption(values: Values, name: string): Hex | undefined {
  const value = optional(values, name);
  if (value === undefined) return undefined;
  const digits = value.replace(/^0x/i, "").toLowerCase();
  if (!/^(?:[0-9a-f]{2})+$/.test(digits)) {
    throw new AnchorError("INPUT_INVALID", `--${name} takes bytes in hex, two digits each, not "${clip(value)}"`);
  }
  return `0x${digits}`;
}

/**
 * Certificates and public keys, each for the families that it can be a root of, or the JSON that a test laboratory writes.
 *
 * @throws CERT_MALFORMED for a file with neither; INPUT_INVALID for a certificate that is no root
 */
async function readRoots(paths: readonly string[]): Promise<Partial<Roots> | undefined> {
  if (paths.length === 0) return undefined;
  const certificates: Uint8Array[] = [];
  const ccaPlatform: Uint8Array[] = [];
  const amd = { ...PINNED_ROOTS.amd };
  for (const { name, bytes } of await readFiles(paths)) {
    const text = textOf(bytes) ?? "";
    if (paths.length === 1 && text.trimStart().startsWith("{"))
      return rootsFromJson(await readJson(name), "INPUT_INVALID", name);
    const found = isDerSequence(bytes) ? [bytes] : certificatesOf(text);
    const keys = pemBlocks(text).flatMap(({ label, bytes: spki }) => (label === "PUBLIC KEY" ? [spki] : []));
    if (found.length + keys.length === 0) {
      throw new AnchorError("CERT_MALFORMED", `${name} holds neither a certificate nor a public key`);
    }
    ccaPlatform.push(...keys);
    for (const der of found) {
      const { subject, issuer } = parseCertificate(der);
      const [, kind, product] = /^(ARK|SEV|SEV-VLEK)-(Milan|Genoa|Turin)$/.exec(subject.commonName) ?? [];
      if (kind !== undefined) {
        // AMD's intermediate certificates are pinned beside its roots.
        const place = ({ ARK: "ark", SEV: "ask", "SEV-VLEK": "asvk" } as const)[kind as "ARK" | "SEV" | "SEV-VLEK"];
        amd[product as AmdProduct] = { ...amd[product as AmdProduct], [place]: der };
      } else if (equalBytes(subject.der, issuer.der)) certificates.push(der);
      else {
        throw new AnchorError("INPUT_INVALID", `${name}: "${subject.text}" is no root, "${issuer.text}" has issued it`);
      }
    }
  }
  const lists = ["intel", "nitro", "nvidiaDevice", "nvidiaRim", "nvidiaNras"] as const;
  return {
    amd,
    ...(certificates.length > 0 && Object.fromEntries(lists.map((family) => [family, certificates]))),
    ...(ccaPlatform.length > 0 && { ccaPlatform }),
  };
}
