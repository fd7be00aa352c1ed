/**
 * A ceremony in plain language: who took part, what that guarantees, what it does not, and how to check it.
 *
 * @module
 */
import { type Ceremony, ceremonyId } from "./ceremony.js";
import type { VerifiedCeremony } from "./ceremonyCheck.js";

/**
 * Markdown. Says by itself how much was checked before it was written.
 *
 * @param verified what `verifyCeremony` gave for this manifest, or nothing where only the manifest was at hand
 */
export function ceremonyReport(ceremony: Ceremony, verified?: VerifiedCeremony): string {
  const { head, contributions, events, final } = ceremony;
  const id = ceremonyId(head);
  const missing = head.members.filter((member) => !contributions.some((other) => other.member === member));
  const lines = [
    `# Ceremony: ${plain(head.name)}`,
    "",
    `Ceremony \`${id}\`, begun ${date(head.created)}${final ? `, ended ${date(final.time)}` : ", still going on"}.`,
    "",
    ...state(ceremony, verified),
    "",
    "## What this is about",
    "",
    "The key of a Groth16 proof system is made from a secret. Whoever knows the whole secret can forge proofs of",
    "anything, and nobody could tell them from real ones. So the secret is made by several people in turn: each",
    "multiplies a part of their own into the key and forgets it. The whole is the product of all parts.",
    "",
    "**If a single contributor was honest** (checked the key that they were given, drew the part at random, told nobody,",
    "and erased it), **nobody knows the secret that was made here, and nobody can forge with what they know**, even if all",
    "the others work together. You need to trust one name of this list that checked, whichever you like:",
    "",
    "| # | account | name it gave itself | checked the key, it signs | time | contribution hash (first 16 of 64 bytes) |",
    "|---|---|---|---|---|---|",
    ...contributions.map(
      ({ member, name, time, hash, checked }, i) =>
        `| ${i + 1} | \`${member}\` | ${plain(name) || "–"} | ${checked ? "yes" : "**no**"} | ${date(time)} | \`${hash.slice(0, 34)}\` |`,
    ),
    "",
    `${contributions.length} of ${head.members.length} members contributed; ${head.minimum} ${head.minimum === 1 ? "was" : "were"} needed. Each line is signed by its account: over this ceremony,`,
    "its place in it, the contribution before it, and the key file that it made.",
    "",
    ...closing(ceremony),
    "",
    "## What it does not mean",
    "",
    "- **Accounts are not people.** One person can hold many accounts. Trust a contributor because you know who is",
    "  behind the account, not because there are many.",
    "- **Nobody can show that something was erased, or checked.** Those parts of honesty are promises.",
    "- **A contributor who did not check can be used.** Whoever hands them a key with a point of their own choice in it gets",
    "  it back divided by the contributor's secret, and that can be enough to forge, though the final key looks right.",
    "- **Times are by each member's own clock**, and names are what members called themselves.",
    "- **The powers of tau are a ceremony of their own**, with its own contributors: if all of those worked together,",
    "  this key is forgeable whatever happened here.",
    "- **A sound key says nothing of the circuit.** Whether the circuit states what you think it does is for its authors",
    "  and auditors.",
    "- **The lists of skipped and rejected members below are the coordinator's word.** Nobody signs them. A coordinator",
    "  can keep members out, delay, or stop; they cannot contribute in a member's name or change a contribution.",
    "",
    "## Who did not contribute",
    "",
    ...(missing.length === 0 ? ["Every member contributed."] : missing.map((member) => `- \`${member}\``)),
    ...(events.length === 0
      ? ["", "Nobody was skipped or rejected."]
      : [
          "",
          "What the coordinator notes:",
          "",
          ...events.map(
            ({ kind, member, fault, reason, time }) =>
              `- ${date(time)}: \`${member}\` was ${kind} (${plain(fault)}): ${plain(reason)}`,
          ),
        ]),
    "",
    "## What it was made from",
    "",
    `- Circuit \`${head.circuit.digest}\`: ${head.circuit.rows} rows, ${head.circuit.publicSignals} public signals.`,
    `- Powers of tau \`${head.powersOfTau.digest}\` for 2^${head.circuit.power} rows, ${
      head.powersOfTau.publicCeremony === undefined
        ? "of no public ceremony that the coordinator's tool knew."
        : `of the public ceremony's file "${plain(head.powersOfTau.publicCeremony)}", says the coordinator.`
    }`,
    ...(final
      ? [
          `- Key \`${final.keyDigest}\`; the proving key's file has SHA-256 \`${final.zkeySha256.slice(2)}\`.`,
          "",
          "## Check it yourself",
          "",
          "Compile the circuit from its source, take the powers of tau from where you trust them, and run, offline:",
          "",
          "    npx anchorproof setup ceremony verify manifest.json \\",
          "        --r1cs circuit.r1cs --ptau powers.ptau --zkey final.zkey \\",
          `        --ceremony ${id}`,
          "",
          "Without `--zkey` it checks the verifying key alone, which is what verifiers use. Name contributors whom you trust",
          "with `--trust ACCOUNT`; if the powers of tau are yours or of a ceremony that is not known to the tool, say so with",
          `\`--accept-ptau ${head.powersOfTau.digest}\`.`,
        ]
      : []),
  ];
  return `${lines.join("\n")}\n`;
}

function state({ final }: Ceremony, verified: VerifiedCeremony | undefined): string[] {
  if (!final) return ["**There is no key yet.** This is how far it has come."];
  if (!verified) {
    return [
      "**This report repeats what the manifest says.** Its signatures and its chain of contributions were checked when it was",
      "written; circuit, powers of tau and key were not.",
    ];
  }
  const whole = verified.checked === "proving key" ? "the whole proving key" : "the verifying key";
  const basis = `from the circuit and the powers of tau (${plain(verified.powersOfTau)}) to ${whole}`;
  if (!verified.development) return [`**Checked when this was written**, ${basis}: everything fits.`];
  return [
    `**Checked when this was written**, ${basis}: everything fits. For whoever wrote this it is still a *development* key:`,
    "",
    ...verified.doubts.map((doubt) => `- ${plain(doubt)}`),
  ];
}

function closing({ head, beacon, final }: Ceremony): string[] {
  if (!beacon) {
    if (head.beacon) {
      const { source, iterationsExp } = head.beacon;
      return [
        `It will be closed by a public random value (2^${iterationsExp} iterations), announced as: ${plain(source)}.`,
      ];
    }
    if (!final) return ["No closing public random value (beacon) was announced."];
    return [
      "There is no closing public random value (beacon), so the last contributor could try many parts and keep the one they",
      "liked best. With one honest contributor that gains them nothing: the setup is proven secure without a beacon (Kohlweiss,",
      'Maller, Siim and Volkhov, "Snarky Ceremonies", ASIACRYPT 2021).',
    ];
  }
  const how = `It was closed by a public random value: ${plain(beacon.source)} gave \`${beacon.value}\`, hashed 2^${beacon.iterationsExp} times.`;
  if (head.beacon) {
    return [
      how,
      "Every contributor signed the announcement of this source. That it was made before the value could be known, and that the",
      "source gave this very value, is for you to look up.",
    ];
  }
  return [
    how,
    "**Its source had not been announced**: whoever ended the ceremony could choose among values. It adds nothing that you could",
    "rely on; the contributors above do.",
  ];
}

function date(time: bigint): string {
  const ms = Number(time) * 1000;
  return ms <= 8.64e15 ? `${new Date(ms).toISOString().slice(0, 16).replace("T", " ")} UTC` : `second ${time}`;
}

/** What others wrote, without Markdown or HTML of their own. */
function plain(text: string): string {
  return text.replace(/[\\`*_{}[\]<>()#+!|~&$]/g, (character) => `&#${character.codePointAt(0)};`);
}
