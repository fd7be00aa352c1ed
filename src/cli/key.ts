import {
  type CeremonyVerifier,
  exportVerifyingKey,
  type KeyReport,
  lintKeyFile,
  requireSound,
} from "../circuit/keylint.js";
import { AnchorError } from "../errors.js";
import { toHex } from "../field/bytes.js";
import { keyDigest, verifyingKeyToJson } from "../verifier/groth16.js";
import { BELIEF_HELP, VERIFY_OPTIONS, verifyManifest } from "./ceremony.js";
import { type Command, optional, pretty, type Values, writeWhole } from "./command.js";
import type { Terminal } from "./terminal.js";

const { zkey: _, threads: __, ...BELIEFS } = VERIFY_OPTIONS;

export const keyLintCommand: Command = {
  name: "key lint",
  summary: "what a key shows: points, known forgeries, contributions, beacon",
  help: `
  FILE               snarkjs' proving key (.zkey) or verification_key.json
  --json             print the report as JSON
  --production       fail unless a verified ceremony makes it a production key
With a ceremony's manifest, everything from powers of tau and circuit to this key is checked as well:
  --manifest FILE    manifest.json of the ceremony
  --r1cs FILE, --ptau FILE   circuit and powers of tau, from where you trust them
${BELIEF_HELP}

Runs the forgery that an unfinished setup allows, and shows that it fails. Of a proving key, the contributions and the
beacon are checked too; its large sections are not read. Without a ceremony's manifest a key is a development key,
whatever it says of itself.
Exits with 0 if nothing is wrong with the key as far as it shows.
`,
  options: {
    json: { type: "boolean" },
    production: { type: "boolean" },
    manifest: { type: "string" },
    ...BELIEFS,
  },
  positionals: ["FILE"],
  async run({ values, positionals, terminal, signal }) {
    const report = await lintKeyFile(fileOf(positionals), {
      signal,
      ceremony: ceremonyOf(values, terminal, signal),
      onProgress: (done) => terminal.progress("checking the contributions", done),
    });
    if (values["json"]) terminal.line(pretty(reportToJson(report)).trimEnd());
    else printReport(terminal, report);
    requireSound(report, { production: values["production"] === true });
  },
};

export const keyExportCommand: Command = {
  name: "key export",
  summary: "the verifying key of a proving key, linted first",
  help: `
  KEY.zkey           snarkjs' proving key
  --out FILE         where to write [verification_key.json]

Lints the key as \`key lint\` does, contributions and all; nothing is written for a key that is forgeable or damaged.
`,
  options: { out: { type: "string" } },
  positionals: ["KEY.zkey"],
  async run({ values, positionals, terminal, signal }) {
    const key = await exportVerifyingKey(fileOf(positionals), {
      signal,
      onProgress: (done) => terminal.progress("checking the contributions", done),
    });
    const out = optional(values, "out") ?? "verification_key.json";
    await writeWhole(out, pretty(verifyingKeyToJson(key)));
    terminal.line(`key ${keyDigest(key)} (${key.nPublic} public signals)`);
    terminal.line(`written to ${out}`);
  },
};

/** The check of the manifest that was named; of a proving key, against all of it. */
function ceremonyOf(values: Values, terminal: Terminal, signal: AbortSignal): CeremonyVerifier | undefined {
  const manifest = optional(values, "manifest");
  if (manifest === undefined) {
    const needless = Object.keys(BELIEFS).find((name) => values[name] !== undefined);
    if (needless) throw new AnchorError("USAGE", `--${needless} goes with --manifest`);
    return undefined;
  }
  return {
    verify: async (zkeyPath) => (await verifyManifest(manifest, zkeyPath, values, terminal, signal)).verified,
  };
}

function fileOf([path]: readonly string[]): string {
  if (path === undefined) throw new AnchorError("USAGE", "name the key's file");
  return path;
}

const MARKS = { ok: "ok  ", malformed: "FAIL", forgeable: "FAIL", "not shown": "--  " } as const;

function printReport(terminal: Terminal, { kind, level, summary, checks, provingKey, ...about }: KeyReport): void {
  if (about.keyDigest !== undefined) terminal.line(`${kind} ${about.keyDigest}, ${about.publics} public signals`);
  if (provingKey) {
    const { bytes, wires, domain, circuitHash, stamp, contributions } = provingKey;
    terminal.line(`${bytes} bytes, ${wires} wires, up to 2^${Math.log2(domain)} rows`);
    if (stamp) {
      const circuit = stamp.circuitDigest === undefined ? "" : ` of circuit ${stamp.circuitDigest}`;
      terminal.line(`stamped ${stamp.development ? "as a development key" : "by anchorproof"}${circuit}`);
    }
    if (contributions.length > 0) terminal.line(`contributions to circuit hash ${circuitHash}:`);
    for (const [i, { name, kind: step, hash, beacon }] of contributions.entries()) {
      const of = beacon === undefined ? "" : ` of ${toHex(beacon.hash)}, 2^${beacon.iterationsExp} times hashed`;
      terminal.line(`  ${i + 1}  ${step}${name === undefined ? "" : ` ${JSON.stringify(name)}`}${of}`);
      terminal.line(`     ${hash}`);
    }
  }
  for (const { id, outcome, reason } of checks) terminal.line(`${MARKS[outcome]} ${id}: ${reason}`);
  if (about.circuitDigest !== undefined) terminal.line(`circuit ${about.circuitDigest}`);
  terminal.line(`${level}: ${summary}`);
}

/** Without the verifying key, which has its own file; bytes as hex. */
function reportToJson({ verifyingKey: _, provingKey, ...report }: KeyReport): unknown {
  return {
    ...report,
    ...(provingKey === undefined
      ? {}
      : {
          provingKey: {
            ...provingKey,
            contributions: provingKey.contributions.map(({ beacon, ...own }) => ({
              ...own,
              ...(beacon === undefined ? {} : { beacon: { ...beacon, hash: toHex(beacon.hash) } }),
            })),
          },
        }),
  };
}
