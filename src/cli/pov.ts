import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { datasetPov, type NamedRecord, openDatasetDirectory } from "../dataset/index.js";
import { AnchorError, toAnchorError } from "../errors.js";
import { type Hex, toHex, wordHex } from "../field/bytes.js";
import type { Domain } from "../protocol/eip712.js";
import {
  checkPov,
  DATA_TAGS,
  encodePov,
  PART_ROLES,
  type PointOfView,
  type PovProof,
  PROOF_KINDS,
  povDigest,
  povFromJson,
  povToJson,
  type Submission,
  submissionToJson,
} from "../protocol/pov.js";
import { accountOf, signDigest } from "../protocol/signature.js";
import { counted, formatCount } from "../text.js";
import { readAccount } from "./account.js";
import { type Command, type Context, optional, pretty, readDocument, type Values, writeWhole } from "./command.js";
import { hexOption, numberOption, readDomain, ZERO_ADDRESS } from "./task.js";

export const datasetPovCommand: Command = {
  name: "dataset pov",
  summary: "make and sign a dataset's submission to the protocol (POV)",
  help: `
  DIR                what \`dataset commit\` wrote [out/dataset]
  --account FILE     your secp256k1 secret, 0x-hex, in a file that only you can read: signs the submission
  --creator 0x…      without --account: the account that is going to sign it
  --tag TAG          ${DATA_TAGS.join(", ")} [dataset metadata]
  --record N[=ROLE]  name this record (or the long one that it is the first part of) with type, shape and size, also more
                     than once. ROLE: ${PART_ROLES.join(", ")} [by its type]
  --publish N[=ROLE] the same, with all of its data: everybody can read it [prompt, for text]
  --digests          SHA-256 of each record that is named; it lets anyone test a guess at the data
  --no-hash          leave out the SHA-256 of the whole, which does the same; LazAI's DataRegistry wants it
  --proofs KIND=FILE refer to a set of proofs, also more than once. KIND: ${PROOF_KINDS.join(", ")}
  --timestamp N      Unix seconds [now]
  --chain-id N       [31337]
  --contract 0x…     the gate that it is for [the zero address: nobody's]
  --out FILE         where to write [DIR/pov.json]
  --bytes FILE       write the message as protocol buffers as well, as src/protocol/pov.ts describes them
  --json             print the submission, or the unsigned message, as JSON

Without --account, writes the message (DIR/pov-message.json) and prints the digest to sign (EIP-712). Then, with the same
--chain-id and --contract:

  --signature 0x…    check the creator's signature, and write the submission with it
  --message FILE     the message that was signed [DIR/pov-message.json]

A submission is no older than seven days, and no more than five minutes ahead, when validators review it.
`,
  options: {
    account: { type: "string" },
    creator: { type: "string" },
    tag: { type: "string" },
    record: { type: "string", multiple: true },
    publish: { type: "string", multiple: true },
    digests: { type: "boolean" },
    "no-hash": { type: "boolean" },
    proofs: { type: "string", multiple: true },
    timestamp: { type: "string" },
    "chain-id": { type: "string" },
    contract: { type: "string" },
    out: { type: "string" },
    bytes: { type: "string" },
    json: { type: "boolean" },
    signature: { type: "string" },
    message: { type: "string" },
  },
  positionals: ["DIR"],
  async run(context) {
    const { values, positionals, terminal } = context;
    const directory = positionals[0] ?? "out/dataset";
    const domain = readDomain(values);
    if (values["signature"] !== undefined) return attach(context, directory, domain);
    if (values["message"] !== undefined) throw new AnchorError("USAGE", "--message goes with --signature");
    if ((values["account"] === undefined) === (values["creator"] === undefined)) {
      throw new AnchorError("USAGE", "name one: --account FILE to sign with, or --creator 0x… who signs elsewhere");
    }
    const account = optional(values, "account");
    const secretKey = account === undefined ? undefined : await readAccount(account, terminal);
    const creator = secretKey ? accountOf(secretKey) : hexOption(values, "creator", 20, ZERO_ADDRESS);
    const pov = await makePov(context, directory, creator);
    const digest = povDigest(domain, pov);
    if (secretKey) return write(context, directory, digest, { pov, signature: signDigest(secretKey, digest) });
    const out = optional(values, "out") ?? join(directory, "pov-message.json");
    await writeWhole(out, pretty(povToJson(pov)));
    await writeMessage(values, pov);
    if (values["json"]) return terminal.line(pretty({ digest, pov: povToJson(pov) }).trimEnd());
    terminal.line(`digest   ${digest}`);
    terminal.line(`written to ${out}; it is not signed: come back with --signature`);
  },
};

/** Claims of sets of proofs, by the kind under which a submission refers to them; the others have that kind's name. */
const CLAIMS: Readonly<Record<string, string>> = { content: "integrity" };

/**
 * That a file says of itself to be such proofs about this dataset: a guard against mistakes. Whoever gets the submission
 * verifies them.
 *
 * @throws INPUT_INVALID
 */
async function checkReference(path: string, kind: string, root: Hex): Promise<void> {
  const json = (await readDocument(path)) as Record<string, Record<string, unknown> | undefined> | null;
  const roots = [
    json?.["root"],
    json?.["fact"]?.["root"],
    json?.["fact"]?.["newRoot"],
    json?.["asset"]?.["commitment"],
  ];
  if (!(roots as unknown[]).includes(root)) {
    throw new AnchorError("INPUT_INVALID", `${path} holds no proofs about this dataset, whose root is ${root}`);
  }
  const claim = json?.["claim"]?.["type"];
  if (claim !== undefined && claim !== (CLAIMS[kind] ?? kind)) {
    throw new AnchorError("INPUT_INVALID", `${path} holds proofs of the claim ${String(claim)}, not of ${kind}`);
  }
}

async function makePov({ values, terminal, signal }: Context, directory: string, creator: Hex): Promise<PointOfView> {
  const digest = values["digests"] === true;
  const parts: NamedRecord[] = [
    ...namedRecords(values, "record").map((named) => ({ ...named, digest })),
    ...namedRecords(values, "publish").map((named) => ({ ...named, publish: true })),
  ];
  const named = list(values, "proofs").map((given) => {
    const [kind, path] = split(given);
    if (!path || !(PROOF_KINDS as readonly string[]).includes(kind)) {
      throw new AnchorError("USAGE", `--proofs takes KIND=FILE, with a kind among ${PROOF_KINDS.join(", ")}`);
    }
    return { kind, path };
  });
  terminal.busy("reading the dataset");
  const dataset = await openDatasetDirectory(directory, { withoutSeed: true });
  try {
    const proofs: PovProof[] = [];
    for (const { kind, path } of named) {
      await checkReference(path, kind, wordHex(dataset.commitment.root));
      proofs.push({ kind, digest: await digestFile(path, signal) });
    }
    return await datasetPov(dataset, {
      creator,
      dataTag: optional(values, "tag") ?? "dataset metadata",
      timestamp: numberOption(values, "timestamp", BigInt(Math.floor(Date.now() / 1000))),
      parts,
      proofs,
      dataHash: values["no-hash"] !== true,
      signal,
    });
  } finally {
    dataset.close();
  }
}

/** A signature that was made elsewhere. */
async function attach(context: Context, directory: string, domain: Domain): Promise<void> {
  const { values } = context;
  const made = ["account", "creator", "tag", "record", "publish", "digests", "no-hash", "proofs", "timestamp"];
  const wrong = made.find((name) => values[name] !== undefined);
  if (wrong) throw new AnchorError("USAGE", `--${wrong} changes the message, which is signed already`);
  const path = optional(values, "message") ?? join(directory, "pov-message.json");
  const pov = povFromJson(await readDocument(path), path);
  const signature = optional(values, "signature")!.toLowerCase() as Hex;
  const { digest } = checkPov(domain, pov, signature);
  await write(context, directory, digest, { pov, signature });
}

async function write(
  { values, terminal }: Context,
  directory: string,
  digest: Hex,
  submission: Submission,
): Promise<void> {
  const out = optional(values, "out") ?? join(directory, "pov.json");
  const { pov } = submission;
  await writeWhole(out, pretty(submissionToJson(submission)));
  await writeMessage(values, pov);
  if (values["json"]) return terminal.line(pretty(submissionToJson(submission)).trimEnd());
  terminal.line(`root     ${pov.dataRoot}`);
  terminal.line(`creator  ${pov.creator}`);
  terminal.line(`digest   ${digest}  (dataset prove --metadata-digest)`);
  terminal.line(
    `         ${counted(Number(pov.records), "record")}, ${formatCount(Number(pov.dataSize))} bytes of type ${pov.dataType}; ` +
      `${counted(pov.parts.length, "part")} and ${counted(pov.proofs.length, "set")} of proofs named`,
  );
  terminal.line(`written to ${out}`);
}

async function writeMessage(values: Values, pov: PointOfView): Promise<void> {
  const path = optional(values, "bytes");
  if (path !== undefined) await writeWhole(path, encodePov(pov));
}

function namedRecords(values: Values, option: "record" | "publish"): NamedRecord[] {
  return list(values, option).map((given) => {
    const [number, role] = split(given);
    if (!/^\d{1,10}$/.test(number) || (role !== undefined && !PART_ROLES.includes(role))) {
      throw new AnchorError("USAGE", `--${option} takes N or N=ROLE, with a role among ${PART_ROLES.join(", ")}`);
    }
    return { record: Number(number), role };
  });
}

/** SHA-256 of a file of any size. */
async function digestFile(path: string, signal: AbortSignal): Promise<Hex> {
  const hash = createHash("sha256");
  try {
    for await (const piece of createReadStream(path, { signal })) hash.update(piece as Uint8Array);
  } catch (error) {
    if (signal.aborted) throw new AnchorError("ABORTED", "stopped on request", { cause: error });
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    if (missing) throw new AnchorError("FILE_NOT_FOUND", `cannot read ${path}: no such file`, { cause: error });
    throw toAnchorError(error, "FILE_UNREADABLE", `cannot read ${path}`);
  }
  return toHex(hash.digest());
}

function split(given: string): [before: string, after: string | undefined] {
  const at = given.indexOf("=");
  return at < 0 ? [given, undefined] : [given.slice(0, at), given.slice(at + 1)];
}

function list(values: Values, name: string): string[] {
  return (values[name] as string[] | undefined) ?? [];
}
