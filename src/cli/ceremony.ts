/**
 * `setup ceremony …`: a key for production, made by several members, over files or through a coordinator.
 *
 * @module
 */
import { open } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import {
  type Ceremony,
  ceremonyFromJson,
  ceremonyId,
  ceremonyToJson,
  checkCeremony,
  packageFromJson,
  packageToJson,
} from "../circuit/ceremony.js";
import { type VerifiedCeremony, verifyCeremony } from "../circuit/ceremonyCheck.js";
import { ceremonyReport } from "../circuit/ceremonyReport.js";
import { CeremonyState, refuse, type Snapshot } from "../circuit/ceremonyState.js";
import { CoordinatorClient, contributeOverHttp, contributeToFile, type Phase } from "../circuit/contributor.js";
import { startCoordinator } from "../circuit/coordinator.js";
import { describePtau } from "../circuit/ptau.js";
import { AnchorError } from "../errors.js";
import { assertHex, type Hex } from "../field/bytes.js";
import { nativeCore } from "../field/native.js";
import { accountOf } from "../protocol/signature.js";
import { counted } from "../text.js";
import { parseVerifyingKey } from "../verifier/groth16.js";
import { readAccount } from "./account.js";
import {
  type Command,
  integer,
  optional,
  pretty,
  readDocument,
  readJson,
  required,
  type Values,
  writeWhole,
} from "./command.js";
import type { Terminal } from "./terminal.js";

const CIRCUIT_HELP = `  --r1cs FILE    the circuit, as circom or \`setup circuit\` writes it
  --ptau FILE    powers of tau: a .ptau, or the path that \`setup ptau import\` prints`;

export const ceremonyInitCommand: Command = {
  name: "setup ceremony init",
  summary: "begin a ceremony: fix circuit, powers of tau and members, make the initial key",
  help: `
${CIRCUIT_HELP}
  --member ACCOUNT   who may contribute, 0x-hex; once for each
  --state DIR        the coordinator's folder, which must not exist
  --name TEXT        what it is called
  --minimum N        contributions that the key needs [more than a third of the members: one of them is honest if more than
                     two thirds of all are]
  --beacon TEXT      a public source of randomness that closes the ceremony, named before its value can be known, such as
                     "drand quicknet, round 9876543, randomness"
  --beacon-iterations N   SHA-256 is iterated 2^N times, N from 10 to 24 [10]

Prints the ceremony's id: tell the members, who give it with --ceremony. Everything said here is part of it.
`,
  options: {
    r1cs: { type: "string" },
    ptau: { type: "string" },
    member: { type: "string", multiple: true },
    state: { type: "string" },
    name: { type: "string" },
    minimum: { type: "string" },
    beacon: { type: "string" },
    "beacon-iterations": { type: "string" },
  },
  positionals: [],
  async run({ values, terminal, signal }) {
    const directory = required(values, "state");
    const [r1csPath, ptauPath] = [required(values, "r1cs"), required(values, "ptau")];
    const members = accounts(values, "member");
    if (members.length === 0) throw new AnchorError("USAGE", "--member is needed, once for each member");
    const beacon = optional(values, "beacon");
    if (beacon === undefined && values["beacon-iterations"] !== undefined) {
      throw new AnchorError("USAGE", "--beacon-iterations goes with --beacon");
    }
    const state = await CeremonyState.create({
      directory,
      name: required(values, "name"),
      r1csPath,
      ptauPath,
      members,
      minimum: values["minimum"] === undefined ? undefined : integer(values, "minimum", 1, members.length, 1),
      beacon:
        beacon === undefined
          ? undefined
          : { source: beacon, iterationsExp: integer(values, "beacon-iterations", 10, 24, 10) },
      signal,
      onProgress: (done) => terminal.progress("making the initial key", done),
    });
    const { head } = state;
    terminal.line(`ceremony ${state.id}`);
    terminal.line(`circuit ${head.circuit.digest} (${head.circuit.rows} rows)`);
    terminal.line(`powers of tau ${head.powersOfTau.digest} (for 2^${head.circuit.power} rows)`);
    const { development } = await describePtau(ptauPath, { signal });
    if (development) terminal.line("  for development: no production key can come of it");
    else if (head.powersOfTau.publicCeremony)
      terminal.line(`  of the public ceremony: ${head.powersOfTau.publicCeremony}`);
    else terminal.line("  of no public ceremony known here: a verifier must accept this digest by name");
    terminal.line(`${counted(members.length, "member")}, ${counted(head.minimum, "contribution")} needed`);
    terminal.line(`state in ${directory}; next: anchorproof setup ceremony serve --state ${directory}`);
  },
};

export const ceremonyServeCommand: Command = {
  name: "setup ceremony serve",
  summary: "coordinate a ceremony over HTTP until Ctrl-C",
  help: `
  --state DIR       what \`setup ceremony init\` made
  --host HOST       where to listen [127.0.0.1]
  --port N          [8712; 0 for any free one]
  --turn-minutes N  how long a member has to download, contribute and upload [60]
  --threads N       for checking contributions [all cores]

Members contribute one at a time, in the order in which they come. Who lets the time pass is skipped and may come again;
whose contribution does not hold is rejected and takes no further part; the ceremony goes on either way. It may be stopped
and started again at any time. The other commands work on the same folder meanwhile.

The link is not encrypted: on a network put TLS or a tunnel before it. Proving keys hold a model's weights.
`,
  options: {
    state: { type: "string" },
    host: { type: "string" },
    port: { type: "string" },
    "turn-minutes": { type: "string" },
    threads: { type: "string" },
  },
  positionals: [],
  async run({ values, terminal, signal }) {
    if (nativeCore() === undefined) {
      throw new AnchorError(
        "NATIVE_UNAVAILABLE",
        "checking contributions needs the native core (anchorproof native build)",
      );
    }
    const state = await CeremonyState.open(required(values, "state"));
    const coordinator = await startCoordinator({
      state,
      host: optional(values, "host"),
      port: integer(values, "port", 0, 65_535, 8712),
      turnSeconds: 60 * integer(values, "turn-minutes", 1, 43_200, 60),
      threads: threadsOf(values),
      signal,
      onEvent: (text) => terminal.line(text),
    });
    terminal.line(`ceremony ${state.id}`);
    terminal.line(`listening on ${coordinator.url}`);
    await new Promise<void>((done) => {
      if (signal.aborted) done();
      else signal.addEventListener("abort", () => done(), { once: true });
    });
    await coordinator.close();
    terminal.line("stopped; the ceremony goes on when it is served again");
  },
};

export const ceremonyStatusCommand: Command = {
  name: "setup ceremony status",
  summary: "how far a ceremony is, and which key comes next",
  help: `
  --state DIR    the coordinator's folder
  --url URL      or a coordinator
`,
  options: { state: { type: "string" }, url: { type: "string" } },
  positionals: [],
  async run({ values, terminal, signal }) {
    const url = optional(values, "url");
    const directory = optional(values, "state");
    if ((url === undefined) === (directory === undefined))
      throw new AnchorError("USAGE", "name either --state or --url");
    let snapshot: Pick<Snapshot, "ceremony" | "turn">;
    let keyPath: string | undefined;
    if (directory !== undefined) {
      const state = await CeremonyState.open(directory);
      snapshot = await state.expire();
      keyPath = await state.keyPath();
    } else {
      snapshot = { ceremony: (await new CoordinatorClient(url!, undefined, signal).manifest()).ceremony };
    }
    const { ceremony, turn } = snapshot;
    await checkCeremony(ceremony, { signal });
    printCeremony(terminal, ceremony);
    if (turn) terminal.line(`turn: ${turn.member}`);
    if (directory !== undefined) {
      terminal.line(`${ceremony.final ? "final" : "current"} key: ${keyPath}`);
      terminal.line(`manifest: ${join(directory, "manifest.json")}`);
    }
  },
};

export const ceremonyContributeCommand: Command = {
  name: "setup ceremony contribute",
  summary: "a member's contribution: through a coordinator, or over files",
  help: `
Through a coordinator:
  --url URL          what \`setup ceremony serve\` printed
Over files, which are passed on by hand (\`setup ceremony status\` says which):
  --key FILE         the current key
  --manifest FILE    the manifest so far
  --out FILE         the new key; FILE.json beside it holds what you sign. Hand both in: \`setup ceremony accept\`
On the coordinator's machine:
  --state DIR        its folder

  --account FILE     your secp256k1 secret, 0x-hex, in a file that only you can read: your account must be a member's
  --ceremony ID      the ceremony that you mean to contribute to. Without it you take what you are given
  --name TEXT        stands in the key, at most 64 characters
  --entropy-file FILE   mixed into what the operating system gives; on a terminal you are asked for some text instead
  --r1cs FILE        the circuit, compiled by yourself
  --ptau FILE        powers of tau, from where you trust them. By these the whole key is checked before you sign
  --unchecked        contribute without them; your signature says so, and shows nobody anything. Whoever multiplies unseen
                     what they are given can be made to help a forger
  --threads N        [all cores]

Your part of the secret is drawn, used and wiped by this process, and never written: there is nothing to delete afterwards.
`,
  options: {
    url: { type: "string" },
    state: { type: "string" },
    key: { type: "string" },
    manifest: { type: "string" },
    out: { type: "string" },
    account: { type: "string" },
    ceremony: { type: "string" },
    name: { type: "string" },
    "entropy-file": { type: "string" },
    r1cs: { type: "string" },
    ptau: { type: "string" },
    unchecked: { type: "boolean" },
    threads: { type: "string" },
  },
  positionals: [],
  async run({ values, terminal, signal }) {
    const ways = ["url", "state", "key"].filter((name) => values[name] !== undefined);
    if (ways.length !== 1) throw new AnchorError("USAGE", "name one of --url, --state and --key");
    const extra = ["manifest", "out"].find((name) => values[name] !== undefined && ways[0] !== "key");
    if (extra) throw new AnchorError("USAGE", `--${extra} goes with --key`);
    const [r1csPath, ptauPath] = [optional(values, "r1cs"), optional(values, "ptau")];
    const unchecked = values["unchecked"] === true;
    if (
      unchecked ? r1csPath !== undefined || ptauPath !== undefined : r1csPath === undefined || ptauPath === undefined
    ) {
      throw new AnchorError("USAGE", "name --r1cs and --ptau, by which the key is checked, or say --unchecked");
    }
    const secretKey = await readAccount(required(values, "account"), terminal);
    const id = optional(values, "ceremony");
    const common = {
      secretKey,
      name: optional(values, "name"),
      ceremonyId: id === undefined ? undefined : hexOption(id, "ceremony", 32),
      r1csPath,
      ptauPath,
      unchecked,
      threads: threadsOf(values),
      signal,
    };
    const progress = (done: number) => terminal.progress("contributing", done);
    if (ways[0] === "url") {
      const entropy = await readEntropy(values, terminal, signal);
      const { given, ceremony } = await contributeOverHttp({
        ...common,
        entropy,
        url: required(values, "url"),
        onProgress: (phase, done) => showPhase(terminal, phase, done),
      });
      terminal.line(`accepted: contribution ${given.index + 1} by ${given.contribution.member}`);
      printHash(terminal, given.contribution.hash);
      terminal.line(`${ceremony.contributions.length} of ${ceremony.head.members.length} members have contributed`);
      return;
    }
    if (ways[0] === "state") {
      const state = await CeremonyState.open(required(values, "state"));
      const { ceremony, turn } = await state.expire();
      if (turn && turn.member !== accountOf(secretKey)) refuse("busy", `it is ${turn.member}'s turn`);
      const to = await state.incoming();
      const entropy = await readEntropy(values, terminal, signal);
      const from = await state.keyPath();
      const manifest = ceremonyToJson(ceremony);
      const given = await contributeToFile({ ...common, entropy, manifest, from, to, onProgress: progress });
      await state.accept(given, to, { signal, onProgress: (done) => terminal.progress("checking", done) });
      terminal.line(`accepted: contribution ${given.index + 1} by ${given.contribution.member}`);
      printHash(terminal, given.contribution.hash);
      return printNext(terminal, (await state.read()).ceremony, state.directory);
    }
    const out = required(values, "out");
    const manifest = await readDocument(required(values, "manifest"));
    const from = required(values, "key");
    const entropy = await readEntropy(values, terminal, signal);
    const given = await contributeToFile({ ...common, entropy, manifest, from, to: out, onProgress: progress });
    await writeWhole(`${out}.json`, pretty(packageToJson(given)));
    terminal.line(`contribution ${given.index + 1} by ${given.contribution.member}`);
    printHash(terminal, given.contribution.hash);
    terminal.line(`hand in ${out} and ${out}.json`);
  },
};

export const ceremonyAcceptCommand: Command = {
  name: "setup ceremony accept",
  summary: "check a contribution that came as files, and take it in",
  help: `
  KEY            the new key; what its member signed lies beside it as KEY.json
  --state DIR    the coordinator's folder
  --threads N    [all cores]

A contribution that is signed and does not hold is noted: its member is rejected, and the ceremony goes on.
`,
  options: { state: { type: "string" }, threads: { type: "string" } },
  positionals: ["KEY"],
  async run({ values, positionals, terminal, signal }) {
    const [path] = positionals;
    if (!path) throw new AnchorError("USAGE", "name the key that was handed in");
    const state = await CeremonyState.open(required(values, "state"));
    const given = packageFromJson(await readDocument(`${path}.json`));
    await state.expire();
    await state.checkPackage(given);
    // Whoever handed it in may still be able to write to it.
    const file = await state.receive(path, { signal });
    const { member } = given.contribution;
    try {
      await state.accept(given, file, {
        signal,
        threads: threadsOf(values),
        onProgress: (done) => terminal.progress("checking", done),
      });
    } catch (error) {
      const { events } = (await state.read()).ceremony;
      const rejected = events.some((event) => event.kind === "rejected" && event.member === member);
      if (rejected) terminal.line(`${member} is rejected, and takes no further part`);
      throw error;
    }
    terminal.line(`accepted: contribution ${given.index + 1} by ${member}`);
    printNext(terminal, (await state.read()).ceremony, state.directory);
  },
};

export const ceremonySkipCommand: Command = {
  name: "setup ceremony skip",
  summary: "pass a member over, and end their turn if it is theirs",
  help: `
  --state DIR        the coordinator's folder
  --member ACCOUNT   whom
  --reason TEXT      for the report [did not contribute]

They may come again while the ceremony goes on.
`,
  options: { state: { type: "string" }, member: { type: "string" }, reason: { type: "string" } },
  positionals: [],
  async run({ values, terminal }) {
    const member = hexOption(required(values, "member"), "member", 20);
    const state = await CeremonyState.open(required(values, "state"));
    await state.skip(member, optional(values, "reason") ?? "did not contribute");
    terminal.line(`skipped ${member}`);
  },
};

export const ceremonyFinalizeCommand: Command = {
  name: "setup ceremony finalize",
  summary: "end a ceremony: beacon, check of everything, final key, manifest and report",
  help: `
  --state DIR      the coordinator's folder
${CIRCUIT_HELP}
  --beacon HEX     what the announced source gave, 0x-hex; needed where one was announced
  --beacon-source TEXT    where it comes from, where none was announced: the report then says that it was not
  --beacon-iterations N   with --beacon-source [10]
  --out DIR        where to write [out/ceremony]

Writes final.zkey, verification_key.json, manifest.json and REPORT.md. Run again, it writes them again.
`,
  options: {
    state: { type: "string" },
    r1cs: { type: "string" },
    ptau: { type: "string" },
    beacon: { type: "string" },
    "beacon-source": { type: "string" },
    "beacon-iterations": { type: "string" },
    out: { type: "string" },
    threads: { type: "string" },
  },
  positionals: [],
  async run({ values, terminal, signal }) {
    const [r1csPath, ptauPath] = [required(values, "r1cs"), required(values, "ptau")];
    const out = optional(values, "out") ?? join("out", "ceremony");
    const beacon = optional(values, "beacon");
    const source = optional(values, "beacon-source");
    if (beacon === undefined && (source !== undefined || values["beacon-iterations"] !== undefined)) {
      throw new AnchorError("USAGE", "--beacon-source and --beacon-iterations go with --beacon");
    }
    const iterationsExp =
      values["beacon-iterations"] === undefined ? undefined : integer(values, "beacon-iterations", 10, 24, 10);
    const state = await CeremonyState.open(required(values, "state"));
    const ceremony = await state.finalize({
      r1csPath,
      ptauPath,
      beacon: beacon === undefined ? undefined : { value: beaconOption(beacon), source, iterationsExp },
      threads: threadsOf(values),
      signal,
      onProgress: (done) => terminal.progress("finishing the key", done),
    });
    await state.publish(out);
    // As everybody will, from the files that everybody gets.
    const verified = await verifyCeremony({
      manifest: await readDocument(join(out, "manifest.json")),
      r1csPath,
      ptauPath,
      zkeyPath: join(out, "final.zkey"),
      ceremonyId: state.id,
      threads: threadsOf(values),
      signal,
      onProgress: (done) => terminal.progress("verifying", done),
    });
    await writeWhole(join(out, "REPORT.md"), ceremonyReport(ceremony, verified));
    printCeremony(terminal, ceremony);
    terminal.line(`written to ${out}: final.zkey, verification_key.json, manifest.json, REPORT.md`);
  },
};

/** Options by which somebody says what of a ceremony they believe. */
export const BELIEF_HELP = `  --ceremony ID  the ceremony that it must be
  --trust ACCOUNT      somebody who must be among the contributors; given more than once, one of them is enough
  --accept-ptau DIGEST powers of tau that you believe in although they are of no public ceremony known here`;

const VERIFY_HELP = `${CIRCUIT_HELP}
                 yours: compile the circuit yourself, take the powers from where you trust them
  --zkey FILE    the final key. Without it the verifying key alone is checked
${BELIEF_HELP}`;

export const VERIFY_OPTIONS = {
  r1cs: { type: "string" },
  ptau: { type: "string" },
  zkey: { type: "string" },
  ceremony: { type: "string" },
  trust: { type: "string", multiple: true },
  "accept-ptau": { type: "string", multiple: true },
  threads: { type: "string" },
} as const;

export const ceremonyVerifyCommand: Command = {
  name: "setup ceremony verify",
  summary: "check a finished ceremony from circuit and powers of tau to the key; offline",
  help: `
  MANIFEST       manifest.json of a ceremony
${VERIFY_HELP}
  --vkey FILE    a verification_key.json that must be the one in the manifest

Exits with 0 if everything holds. It says "development" while you have not said whom you trust: a ceremony of one person
under many names verifies as well as any other. The key's Solidity verifier: \`contract generate --manifest\`.
`,
  options: { ...VERIFY_OPTIONS, vkey: { type: "string" } },
  positionals: ["MANIFEST"],
  async run({ values, positionals, terminal, signal }) {
    const { ceremony, verified } = await verify(values, positionals, terminal, signal);
    printVerified(terminal, ceremony, verified);
  },
};

export const ceremonyReportCommand: Command = {
  name: "setup ceremony report",
  summary: "a ceremony in plain language: who took part, and what that guarantees",
  help: `
  MANIFEST       manifest.json of a ceremony, finished or not
  --out FILE     where to write; printed unless told
To check everything before it is written, as \`setup ceremony verify\` does:
${VERIFY_HELP}
`,
  options: { ...VERIFY_OPTIONS, out: { type: "string" } },
  positionals: ["MANIFEST"],
  async run({ values, positionals, terminal, signal }) {
    let report: string;
    if (values["r1cs"] !== undefined || values["ptau"] !== undefined) {
      const { ceremony, verified } = await verify(values, positionals, terminal, signal);
      report = ceremonyReport(ceremony, verified);
    } else {
      const needless = ["zkey", "ceremony", "trust", "accept-ptau"].find((name) => values[name] !== undefined);
      if (needless) throw new AnchorError("USAGE", `--${needless} goes with --r1cs and --ptau`);
      const ceremony = ceremonyFromJson(await readDocument(manifestPath(positionals)));
      await checkCeremony(ceremony, { signal });
      report = ceremonyReport(ceremony);
    }
    const out = optional(values, "out");
    if (out === undefined) return terminal.line(report.trimEnd());
    await writeWhole(out, report);
    terminal.line(`written to ${out}`);
  },
};

function verify(values: Values, positionals: readonly string[], terminal: Terminal, signal: AbortSignal) {
  return verifyManifest(manifestPath(positionals), optional(values, "zkey"), values, terminal, signal);
}

/** @param zkeyPath the final key; without it the verifying key alone is checked */
export async function verifyManifest(
  path: string,
  zkeyPath: string | undefined,
  values: Values,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<{ ceremony: Ceremony; verified: VerifiedCeremony }> {
  const manifest = await readDocument(path);
  const [r1csPath, ptauPath] = [required(values, "r1cs"), required(values, "ptau")];
  const id = optional(values, "ceremony");
  const vkey = optional(values, "vkey");
  const verified = await verifyCeremony({
    manifest,
    r1csPath,
    ptauPath,
    zkeyPath,
    verifyingKey: vkey === undefined ? undefined : parseVerifyingKey(await readJson(vkey)),
    acceptPtau: list(values, "accept-ptau").map((digest) => hexOption(digest, "accept-ptau", 32)),
    ceremonyId: id === undefined ? undefined : hexOption(id, "ceremony", 32),
    trusted: values["trust"] === undefined ? undefined : accounts(values, "trust"),
    threads: threadsOf(values),
    signal,
    onProgress: (done) => terminal.progress("verifying", done),
  });
  return { ceremony: ceremonyFromJson(manifest), verified };
}

function printVerified(terminal: Terminal, { head, beacon }: Ceremony, ceremony: VerifiedCeremony): void {
  terminal.line(`ok   ceremony ${ceremony.id}: ${ceremony.name}`);
  terminal.line(
    `ok   the ${ceremony.checked} follows from circuit ${ceremony.circuitDigest}, powers of tau and contributions`,
  );
  terminal.line(`     key ${ceremony.keyDigest}`);
  terminal.line(
    `     powers of tau for 2^${head.circuit.power} rows, ${head.powersOfTau.digest}: ${ceremony.powersOfTau}`,
  );
  for (const [i, { member, name, checked }] of ceremony.contributors.entries()) {
    const mark = `${checked ? "" : ", unchecked"}${ceremony.trusted.includes(member) ? " (you trust)" : ""}`;
    terminal.line(`     contribution ${i + 1}: ${member}${name === "" ? "" : ` "${name}"`}${mark}`);
  }
  if (beacon) terminal.line(`     beacon (${ceremony.beacon}): ${beacon.source} gave ${beacon.value}; look it up`);
  else terminal.line("     beacon: none");
  if (!ceremony.development)
    terminal.line("this is a production key, if one of the contributors who checked was honest");
  else terminal.line("this is still a development key:");
  for (const doubt of ceremony.doubts) terminal.line(`  - ${doubt}`);
}

function printCeremony(terminal: Terminal, { head, contributions, events, final }: Ceremony): void {
  terminal.line(`ceremony ${ceremonyId(head)}: ${head.name}`);
  for (const [i, { member, name }] of contributions.entries()) {
    terminal.line(`  ${i + 1}. ${member}${name === "" ? "" : ` "${name}"`}`);
  }
  for (const { kind, member, fault, reason } of events) terminal.line(`  ${kind}: ${member} (${fault}: ${reason})`);
  const missing = head.members.filter((member) => !contributions.some((other) => other.member === member));
  for (const member of missing) terminal.line(`  ${final ? "did not contribute" : "missing"}: ${member}`);
  terminal.line(
    `${counted(contributions.length, "contribution")}, ${head.minimum} needed${final ? `; key ${final.keyDigest}` : ""}`,
  );
}

/** Whose turns are left after a contribution, and what ends the ceremony when it has enough of them. */
function printNext(terminal: Terminal, { head, contributions, events }: Ceremony, directory: string): void {
  const away = new Set(contributions.map(({ member }) => member));
  for (const { kind, member } of events) if (kind === "rejected") away.add(member);
  const left = head.members.filter((member) => !away.has(member)).length;
  const turns = left === 0 ? "no turn is left" : `${counted(left, "member")} may still contribute`;
  const lacking = head.minimum - contributions.length;
  if (lacking > 0) terminal.line(`${turns}; ${counted(lacking, "more contribution")} needed`);
  else if (left > 0) terminal.line(`${turns}, or \`setup ceremony finalize\` ends it now`);
  else
    terminal.line(`${turns}; next: anchorproof setup ceremony finalize --state ${directory} --r1cs FILE --ptau FILE`);
}

function showPhase(terminal: Terminal, phase: Phase, done: number): void {
  if (phase === "waiting") terminal.busy("waiting for the turn");
  else terminal.progress(phase, done);
}

function printHash(terminal: Terminal, hash: Hex): void {
  terminal.line(`contribution hash ${hash}`);
  terminal.line("  publish it: everybody can look it up in the manifest and, as snarkjs prints it, in the key");
}

function manifestPath([path]: readonly string[]): string {
  if (!path) throw new AnchorError("USAGE", "name the manifest");
  return path;
}

async function readEntropy(
  values: Values,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<string | Uint8Array | undefined> {
  const path = optional(values, "entropy-file");
  if (path !== undefined) return readEntropyFile(path);
  if (!process.stdin.isTTY || !process.stdout.isTTY) return undefined;
  terminal.line("The secret comes from the operating system. Type anything to mix into it, or just press Enter.");
  const prompt = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return (await prompt.question("> ", { signal })) || undefined;
  } catch (error) {
    // Readline takes the key itself, and no signal comes.
    throw new AnchorError("ABORTED", "stopped on request", { cause: error });
  } finally {
    prompt.close();
  }
}

/** Its first MiB: it may be a device that never ends. */
async function readEntropyFile(path: string): Promise<Uint8Array> {
  try {
    const file = await open(path, "r");
    try {
      const buffer = Buffer.alloc(1 << 20);
      const { bytesRead } = await file.read(buffer, 0, buffer.length);
      return new Uint8Array(buffer.subarray(0, bytesRead));
    } finally {
      await file.close();
    }
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    throw new AnchorError(missing ? "FILE_NOT_FOUND" : "FILE_UNREADABLE", `cannot read ${path}`, { cause });
  }
}

/** drand prints its 32 bytes without 0x; of anything shorter it would not be clear whether it is a decimal number. */
function beaconOption(value: string): Hex {
  return hexOption(/^[0-9a-f]{64}$/.test(value) ? `0x${value}` : value, "beacon");
}

function threadsOf(values: Values): number | undefined {
  return values["threads"] === undefined ? undefined : integer(values, "threads", 1, 256, 1);
}

function list(values: Values, name: string): string[] {
  const given = values[name];
  return Array.isArray(given) ? given.filter((value) => typeof value === "string") : [];
}

function accounts(values: Values, name: string): Hex[] {
  return list(values, name).map((account) => hexOption(account, name, 20));
}

/** Addresses are often written with a checksum in their case; everything else is lower-case. */
function hexOption(value: string, name: string, length?: number): Hex {
  const lower = length === 20 ? value.toLowerCase() : value;
  try {
    assertHex(lower, name, length);
  } catch {
    throw new AnchorError("USAGE", `--${name} takes ${length ?? "some"} bytes of 0x-hex`);
  }
  return lower;
}
