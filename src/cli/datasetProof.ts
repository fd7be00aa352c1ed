/**
 * Commands that prove things about a dataset, and check what was proven.
 *
 * @module
 */
import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { trustFromJson } from "../bundle/index.js";
import { type CircuitKey, developmentKey, openCircuitKey } from "../circuit/setup.js";
import { buildProgram } from "../circuit/synthesis/program.js";
import { chunkRequest } from "../dataset/chunk.js";
import { type DatasetProgramSpec, datasetProgram } from "../dataset/circuit/index.js";
import { resultToJson } from "../dataset/claims/families.js";
import { claimToJson } from "../dataset/claims/json.js";
import type { Claim } from "../dataset/claims.js";
import type { OpenDataset } from "../dataset/dataset.js";
import { openDatasetDirectory, readCommitment } from "../dataset/directory.js";
import { commitmentFromJson, commitmentToJson } from "../dataset/directoryFiles.js";
import { factFromJson, factToJson, isFact, type ProvenFact, type VerifiedFact, verifyFact } from "../dataset/fact.js";
import { absorbRecord, CHUNK_RECORDS, chunkBlinds, chunkCount, STARTS } from "../dataset/layout.js";
import { checkOpenedRecord, type RecordOpening } from "../dataset/opening.js";
import {
  type Expectation,
  type ProofSet,
  proofSetFromJson,
  rootOf,
  type SetTask,
  type TrustedCircuit,
  type VerifiedSet,
  verifyProofSet,
} from "../dataset/proofSet.js";
import { type DatasetRecord, encodeRecord } from "../dataset/record.js";
import { AnchorError, isAnchorError } from "../errors.js";
import { fromHex, type Hex, wordHex } from "../field/bytes.js";
import { bytesToBigInt } from "../field/scalar.js";
import type { Domain } from "../protocol/eip712.js";
import {
  ASSET_CLASSES,
  CIRCUIT_TYPES,
  type CircuitType,
  circuitTypeName,
  circuitTypeOf,
  contextSignal,
  type DatasetStatement,
  OPEN_TERMS,
  statementFromJson,
  statementToJson,
} from "../protocol/statements.js";
import { type FactPlan, growthFact, proveFact, recordFact } from "../prover/facts.js";
import type { PoolOptions, ProverPool } from "../prover/pool.js";
import { journalTask, type ProvenClaim, proveClaim } from "../prover/proofSets.js";
import { counted, formatCount } from "../text.js";
import { keyDigest, parseProof, parseVerifyingKey, proofToJson } from "../verifier/groth16.js";
import { verifyStatement } from "../verifier/statement.js";
import { CLAIM_HELP, CLAIM_OPTIONS, claimOf, claimTitle } from "./claimOptions.js";
import {
  type Command,
  type Context,
  integer,
  optional,
  pretty,
  readBytes,
  readDocument,
  readJson,
  required,
  type Values,
  writeWhole,
} from "./command.js";
import { backendOf, openPool, POOL_OPTIONS, poolHelp } from "./pool.js";
import { hexOption, numberOption, readTask, TASK_OPTIONS, taskHelp, ZERO_ADDRESS } from "./task.js";
import { seconds, type Terminal } from "./terminal.js";

const WEEK = 7 * 24 * 3600;

const PROVING_OPTIONS = {
  out: { type: "string" },
  zkey: { type: "string", multiple: true },
  threads: { type: "string" },
  restart: { type: "boolean" },
  json: { type: "boolean" },
  ...POOL_OPTIONS,
  ...TASK_OPTIONS,
} as const;

const PROVING_HELP = `
  --zkey [CIRCUIT=]FILE  prove with this key, such as a ceremony's; once a circuit where there are several
                     [development keys of this machine, made on first use]
  --threads N        cores to prove with [all]
${poolHelp(17)}
  --restart          throw away what an interrupted run with another task, claim or key has left
  --json             print the outcome as JSON
${taskHelp("a week")}
A run that was stopped, however, continues when the same command is given again: with its task, and with the proofs that it
had finished. Until then the folder FILE.journal holds a secret and is its owner's alone.
`;

export const datasetProveCommand: Command = {
  name: "dataset prove",
  summary: "prove that you know the whole dataset behind a root, one chunk of it, or that it extends another one",
  help: `
  DIR            what \`dataset commit\` wrote [out/dataset]

By default, the claim of integrity: the data of every record under the root is known, and the totals in the root are those
of the records' descriptions. As many proofs as it takes, in one file. Or, one proof:
  --chunk N      the records of chunk N are known: what the gate mints a token for
  --metadata-digest 0x…  … and what its statement says describes the dataset: the digest of a POV submission [zero]
  --token 0x…    … and which contract is to hold the token [the zero address: none, and no gate mints it]
  --file-id N    … and the file's number in LazAI's DataRegistry [0: none]
  --record N     record N stands under the root; nobody sees it (\`dataset open\` shows one)
  --sha256       … and its data has a SHA-256 that is told: for bytes and text of up to a few KB
  --grown-from OLD  the first records are those of the dataset in folder OLD, or with commitment.json OLD

  --out FILE     where to write [DIR/proofs/integrity.json, …; for a chunk the folder DIR/proof-N]
${PROVING_HELP}`,
  options: {
    claim: { type: "string" },
    chunk: { type: "string" },
    "metadata-digest": { type: "string" },
    token: { type: "string" },
    "file-id": { type: "string" },
    record: { type: "string" },
    sha256: { type: "boolean" },
    "grown-from": { type: "string" },
    ...PROVING_OPTIONS,
  },
  positionals: ["DIR"],
  async run(context) {
    const { values, positionals } = context;
    const directory = positionals[0] ?? "out/dataset";
    backendOf(values);
    const kinds = ["claim", "chunk", "record", "grown-from"].filter((name) => values[name] !== undefined);
    if (kinds.length > 1)
      throw new AnchorError("USAGE", `--${kinds.join(" and --")} are proofs of their own: one at a time`);
    for (const [option, kind] of [
      ["metadata-digest", "chunk"],
      ["token", "chunk"],
      ["file-id", "chunk"],
      ["sha256", "record"],
    ] as const) {
      if (values[option] !== undefined && values[kind] === undefined) {
        throw new AnchorError("USAGE", `--${option} goes with --${kind}`);
      }
    }
    if (values["chunk"] !== undefined) return proveChunk(context, directory);
    if (values["record"] !== undefined) return proveRecord(context, directory);
    if (values["grown-from"] !== undefined) return proveGrowth(context, directory);
    const claim = optional(values, "claim") ?? "integrity";
    if (claim !== "integrity")
      throw new AnchorError("USAGE", "--claim takes integrity; see `dataset claim` for others");
    await proveWhole(context, directory, () => ({ type: "integrity" }));
  },
};

export const datasetClaimCommand: Command = {
  name: "dataset claim",
  summary: "prove a claim about all records of a dataset, without showing them",
  help: `
  DIR            what \`dataset commit\` wrote
${CLAIM_HELP}
  --out FILE     where to write [DIR/proofs/CLAIM.json; of a column DIR/proofs/column-NAME.json]
                 Proofs of another claim that are there are not written over.
${PROVING_HELP}`,
  options: { ...CLAIM_OPTIONS, ...PROVING_OPTIONS },
  positionals: ["DIR", "CLAIM"],
  async run(context) {
    const [directory, name] = context.positionals;
    if (directory === undefined || name === undefined) throw new AnchorError("USAGE", "name the dataset and the claim");
    backendOf(context.values);
    await proveWhole(context, directory, (dataset) => claimOf(name, context.values, dataset));
  },
};

export const datasetOpenCommand: Command = {
  name: "dataset open",
  summary: "show one record of a dataset, with a proof that it stands under the root",
  help: `
  DIR            what \`dataset commit\` wrote
  N              number of the record, from 0
  --out DIR      where to write [DIR/record-N]
  --sha256       also prove the SHA-256 of its data, for bytes and text of up to a few KB
${PROVING_HELP}
Writes data.bin (the record's data), record.bin (the whole record in its canonical encoding), opening.json (the proof) and
commitment.json (the dataset's). Other records stay hidden.
`,
  options: { sha256: { type: "boolean" }, ...PROVING_OPTIONS },
  positionals: ["DIR", "N"],
  async run(context) {
    const { values, positionals } = context;
    const [directory, number] = positionals;
    if (directory === undefined || number === undefined)
      throw new AnchorError("USAGE", "name the dataset and the record");
    const index = /^\d{1,10}$/.test(number) ? Number(number) : Number.NaN;
    if (Number.isNaN(index)) throw new AnchorError("USAGE", "N is the number of a record, from 0");
    backendOf(values);
    const out = optional(values, "out") ?? join(directory, `record-${index}`);
    await withDataset(directory, async (dataset) => {
      const record = index < dataset.commitment.opening.totals.records ? dataset.record(index) : undefined;
      const plan = recordFact(dataset, index, { shown: true, sha256: values["sha256"] === true });
      await proveOneFact(context, plan, join(out, "opening.json"), async () => {
        await writeWhole(join(out, "data.bin"), record!.data, 0o600);
        await writeWhole(join(out, "record.bin"), encodeRecord(record!), 0o600);
        await writeWhole(join(out, "commitment.json"), pretty(commitmentToJson(dataset.commitment)));
      });
    });
  },
};

export const datasetVerifyCommand: Command = {
  name: "dataset verify",
  summary: "check proofs about a dataset against the keys that you trust; offline",
  help: `
  FILE                 a set of proofs (\`dataset prove\`, \`dataset claim\`), an opening or a growth; or the folder of a chunk's
                       proof, or of a record that was opened, whose bytes are checked as well

What you hold to be true, from elsewhere than FILE:
  --key CIRCUIT=0x…    the digest of a verifying key that you trust for a circuit, such as dataset-content=0x…; repeat it
                       where a set has several, or:
  --trust FILE         a trust file with these keys

What you expect; each one that is given must be the proof's. What is not is shown as the proof has it:
  --root 0x…           the dataset's root, or
  --commitment FILE    … its commitment.json
  --old-root 0x…       of a growth: the root that it must start from
  --chain-id N   --contract 0x…   --task-id 0x…   --requester 0x…   --payee 0x…   --nonce N   --deadline N
  --json               print the outcome as JSON

All public signals are rebuilt from the root, the claim and the task. Exits with 0 only if everything holds.
`,
  options: {
    key: { type: "string", multiple: true },
    trust: { type: "string" },
    root: { type: "string" },
    commitment: { type: "string" },
    "old-root": { type: "string" },
    threads: { type: "string" },
    json: { type: "boolean" },
    ...TASK_OPTIONS,
  },
  positionals: ["FILE"],
  async run(context) {
    const { values, positionals, terminal } = context;
    const [path] = positionals;
    if (path === undefined) throw new AnchorError("USAGE", "name the file of the proofs");
    const expected = await readExpectation(values);
    const oldRoot = values["old-root"] === undefined ? undefined : hexOption(values, "old-root", 32, "0x");
    const isFolder = (await stat(path).catch(() => undefined))?.isDirectory() === true;
    if (isFolder && (await isFile(join(path, "statement.json")))) {
      if (oldRoot !== undefined) throw noGrowth();
      return verifyChunk(context, path, expected);
    }
    const file = isFolder ? join(path, "opening.json") : path;
    const document = await readDocument(file);
    if (isFact(document)) return verifyOneFact(context, factFromJson(document), dirname(file), expected, oldRoot);
    if (oldRoot !== undefined) throw noGrowth();
    const set = proofSetFromJson(document);
    const threads = integer(values, "threads", 1, 256, 1);
    const verified = verifyProofSet(set, expected, { threads });
    if (values["json"] === true) {
      terminal.line(
        pretty({ kind: "proof-set", ...outcomeToJson(verified), domain: set.domain, task: set.task }).trimEnd(),
      );
      return;
    }
    terminal.line(`ok     ${counted(verified.segments, "proof")} of one claim, nothing left out, repeated or moved`);
    printWords(terminal, verified);
    printTask(terminal, set.domain, set.task);
    if (expected.root === undefined) terminal.line("note   no --root or --commitment given: compare the root yourself");
  },
};

/** Opens the dataset, proves a claim about all of it, says what came out. */
async function proveWhole(
  context: Context,
  directory: string,
  claimOfDataset: (dataset: Awaited<ReturnType<typeof openDatasetDirectory>>) => Claim | Promise<Claim>,
): Promise<void> {
  const { values, terminal, signal } = context;
  const dataset = await openDatasetDirectory(directory);
  let pool: ProverPool | undefined;
  try {
    const claim = await claimOfDataset(dataset);
    const out =
      optional(values, "out") ?? join(directory, "proofs", `${claimTitle(claim, dataset.commitment.columns)}.json`);
    await keepOtherClaims(out, claim, dataset.commitment.root);
    const journal = `${out}.journal`;
    const restart = values["restart"] === true;
    const { domain, task } = await taskFor(values, restart ? undefined : journal);
    const keys = new Map<string, string>();
    pool = openPool(context, poolOptions(values));
    const proven = await proveClaim({
      dataset,
      claim,
      pool,
      keyOf: (spec) => keyFor(spec, context, keys),
      domain,
      task,
      out,
      journal,
      restart,
      signal,
      onProgress: ({ phase, done, total, etaMs }) => {
        if (phase === "planning") terminal.busy("planning the proofs");
        else if (phase === "keys") terminal.busy("looking for keys");
        else if (phase === "verifying") terminal.busy("verifying the set");
        else {
          const left = etaMs === undefined ? "" : `, ${seconds(etaMs)} left`;
          terminal.progress(`proving ${Math.min(done + 1, total)} of ${total}${left}`, done / total);
        }
      },
    });
    checkKeysUsed(values, keys);
    const bytes = dataset.commitment.bytes;
    if (values["json"] === true) {
      const { rows, resumed, ms, verified } = proven;
      terminal.line(
        pretty({
          file: out,
          ...outcomeToJson(verified),
          bytes,
          rows,
          rowsPerByte: bytes === 0 ? null : rows / bytes,
          resumed,
          seconds: ms / 1000,
          domain,
          task,
        }).trimEnd(),
      );
      return;
    }
    printProven(terminal, proven, bytes);
    printWords(terminal, proven.verified);
    printTask(terminal, domain, task);
    terminal.line(`written to ${out}`);
  } finally {
    await pool?.close();
    dataset.close();
  }
}

/** Proofs may have taken hours: those of another claim are not written over. */
async function keepOtherClaims(out: string, claim: Claim, root: bigint): Promise<void> {
  if (!(await isFile(out))) return;
  let set: ProofSet | undefined;
  try {
    set = proofSetFromJson(await readDocument(out));
  } catch {
    // Something else.
  }
  const about = (of: bigint, what: Claim) => JSON.stringify([wordHex(of), claimToJson(what)]);
  if (!set || about(rootOf(set.opening), set.claim) !== about(root, claim)) {
    const held = set ? "proofs of another claim" : "something else than proofs";
    throw new AnchorError("INPUT_INVALID", `${out} holds ${held}: name another place with --out, or delete it`);
  }
}

async function proveRecord(context: Context, directory: string): Promise<void> {
  const { values } = context;
  const index = integer(values, "record", 0, 2 ** 31, 0);
  const out = optional(values, "out") ?? join(directory, "proofs", `record-${index}.json`);
  await withDataset(directory, async (dataset) => {
    const plan = recordFact(dataset, index, { sha256: values["sha256"] === true });
    await proveOneFact(context, plan, out);
  });
}

async function proveGrowth(context: Context, directory: string): Promise<void> {
  const { values } = context;
  const from = required(values, "grown-from");
  const out = optional(values, "out") ?? join(directory, "proofs", "growth.json");
  await withDataset(directory, async (dataset) => {
    const isFolder = (await stat(from).catch(() => undefined))?.isDirectory() === true;
    const { root, opening } = isFolder ? await readCommitment(from) : commitmentFromJson(await readJson(from), from);
    // The old chunks are found again in the new dataset: if they are not there, it has not grown out of the old one.
    const old = { commitment: { root, opening }, chunkRoots: firstChunks(dataset, opening.totals.records) };
    let plan: FactPlan;
    try {
      plan = growthFact(old, dataset);
    } catch (error) {
      if (!isAnchorError(error, "DATASET_MISMATCH")) throw error;
      throw new AnchorError("CLAIM_FALSE", "the dataset's first records are not those under the old root", {
        cause: error,
      });
    }
    await proveOneFact(context, plan, out);
  });
}

/** Roots of the chunks that a dataset's first records alone would have. */
function firstChunks(dataset: OpenDataset, records: number): bigint[] {
  if (records > dataset.commitment.opening.totals.records) return [];
  const index = chunkCount(records) - 1;
  const first = index * CHUNK_RECORDS;
  const blinds = chunkBlinds(dataset.seed, index, records - first);
  const last = dataset
    .descriptions(first, records - first)
    .reduce((at, description, i) => absorbRecord(at, description, blinds[i]!), STARTS.chunk);
  return [...dataset.chunkRoots.slice(0, index), last];
}

/** @param beside writes what goes with the proof */
async function proveOneFact(
  context: Context,
  plan: FactPlan,
  out: string,
  beside?: () => Promise<void>,
): Promise<void> {
  const { values, terminal, signal } = context;
  const { domain, task } = await taskFor(values, undefined);
  const keys = new Map<string, string>();
  const pool = openPool(context, { ...poolOptions(values), concurrency: 1 });
  try {
    const started = performance.now();
    terminal.busy("proving");
    const keyOf = (spec: DatasetProgramSpec) => keyFor(spec, context, keys);
    const { proven, verified } = await proveFact({ plan, pool, keyOf, domain, task, signal });
    checkKeysUsed(values, keys);
    await beside?.();
    await writeWhole(out, pretty(factToJson(proven)));
    const ms = performance.now() - started;
    if (values["json"] === true) {
      terminal.line(pretty({ file: out, ...factOutcome(verified), seconds: ms / 1000, domain, task }).trimEnd());
      return;
    }
    terminal.line(`${counted(proven.proofs.length, "proof")} in ${seconds(ms)}`);
    printWords(terminal, verified);
    printTask(terminal, domain, task);
    terminal.line(`written to ${out}`);
  } finally {
    await pool.close();
  }
}

function noGrowth(): AnchorError {
  return new AnchorError("PROOF_SET_INVALID", "the proof is of no growth out of --old-root");
}

async function verifyOneFact(
  { values, terminal }: Context,
  proven: ProvenFact,
  directory: string,
  expected: Expectation,
  oldRoot: Hex | undefined,
): Promise<void> {
  const verified = verifyFact(proven, expected);
  const { fact } = proven;
  if (oldRoot !== undefined && (fact.type !== "growth" || wordHex(fact.oldRoot) !== oldRoot)) throw noGrowth();
  const record = fact.type === "opening" ? await checkShown(values, fact, directory) : undefined;
  if (values["json"] === true) {
    const shown = record === undefined ? {} : { shown: recordWords(record) };
    terminal.line(
      pretty({
        kind: fact.type,
        ...factOutcome(verified),
        ...shown,
        domain: proven.domain,
        task: proven.task,
      }).trimEnd(),
    );
    return;
  }
  terminal.line(fact.type === "opening" ? "ok     one record" : "ok     a dataset that has grown out of another one");
  printWords(terminal, verified);
  if (record !== undefined) terminal.line(`ok     record.bin is that record: ${recordWords(record)}`);
  else if (fact.type === "opening")
    terminal.line("note   the record itself is not shown: no record.bin beside the proof");
  printTask(terminal, proven.domain, proven.task);
  if (expected.root === undefined) terminal.line("note   no --root or --commitment given: compare the root yourself");
}

/** The record that lies beside its opening, if one does. @throws DATASET_MISMATCH where it is another one */
async function checkShown(
  values: Values,
  opening: RecordOpening,
  directory: string,
): Promise<DatasetRecord | undefined> {
  const path = join(directory, "record.bin");
  if (!(await isFile(path))) return undefined;
  const given = optional(values, "commitment") ?? join(directory, "commitment.json");
  const commitment = commitmentFromJson(await readJson(given), given);
  const record = checkOpenedRecord(opening, await readBytes(path), commitment);
  const data = join(directory, "data.bin");
  if ((await isFile(data)) && Buffer.compare(await readBytes(data), record.data) !== 0) {
    throw new AnchorError("DATASET_MISMATCH", `${data} is not the data of the record in record.bin`);
  }
  return record;
}

function recordWords({ dtype, shape, name, label, data }: DatasetRecord): string {
  const parts = [`${dtype} [${shape.join(", ")}]`, counted(data.length, "byte")];
  if (name) parts.push(`called ${JSON.stringify(name)}`);
  if (label) parts.push(`labelled ${JSON.stringify(label)}`);
  return parts.join(", ");
}

function factOutcome({ root, fact, keys, proven, notProven }: VerifiedFact): Record<string, unknown> {
  const text = (value: unknown) => (typeof value === "bigint" ? wordHex(value) : value);
  const plain = Object.fromEntries(Object.entries(fact).map(([name, value]) => [name, text(value)]));
  return { root: wordHex(root), fact: plain, keys: keysToJson(keys), proven, notProven };
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() === true;
}

async function withDataset(
  directory: string,
  work: (dataset: Awaited<ReturnType<typeof openDatasetDirectory>>) => Promise<void>,
): Promise<void> {
  const dataset = await openDatasetDirectory(directory);
  try {
    await work(dataset);
  } finally {
    dataset.close();
  }
}

/** One chunk, with a statement as the gate takes it. */
async function proveChunk(context: Context, directory: string): Promise<void> {
  const { values, terminal, signal } = context;
  const index = integer(values, "chunk", 0, Number.MAX_SAFE_INTEGER, 0);
  const dataset = await openDatasetDirectory(directory);
  let pool: ProverPool | undefined;
  try {
    const { root, opening } = dataset.commitment;
    const request = chunkRequest(dataset, index); // refuses an unknown chunk before anything long starts
    const out = optional(values, "out") ?? join(directory, `proof-${index}`);
    const keys = new Map<string, string>();
    const spec: DatasetProgramSpec = { kind: "chunk", depth: opening.depth };
    const key = await keyFor(spec, context, keys);
    checkKeysUsed(values, keys);
    const { domain, task } = readTask(values, key.keyDigest);
    const metadataDigest = hexOption(values, "metadata-digest", 32, `0x${"00".repeat(32)}`);
    const statement: DatasetStatement = {
      task,
      asset: {
        token: hexOption(values, "token", 20, ZERO_ADDRESS),
        fileId: numberOption(values, "file-id", 0n),
        class: ASSET_CLASSES.dataset,
        commitment: wordHex(root),
        metadataDigest,
        supply: 1n,
        parents: [],
        terms: OPEN_TERMS,
      },
      chunkIndex: BigInt(index),
      chunkRecords: BigInt(request.descriptions.length),
    };
    pool = openPool(context, { ...poolOptions(values), concurrency: 1 });
    terminal.busy("proving");
    const bound = contextSignal(domain, CIRCUIT_TYPES.datasetChunk, task);
    const { proof, timings } = await pool.prove({ dataset: spec }, key, { ...request, context: bound }, { signal });
    const { publicSignals } = verifyStatement(domain, "DatasetStatement", statement, key.verifyingKey, proof);
    await writeWhole(join(out, "proof.json"), pretty(proofToJson(proof)));
    await writeWhole(join(out, "public.json"), pretty(publicSignals));
    await writeWhole(join(out, "verification_key.json"), pretty(key.verifyingKeyJson));
    await writeWhole(join(out, "statement.json"), pretty(statementToJson("DatasetStatement", statement)));
    const ms = timings.witnessMs + timings.proveMs;
    if (values["json"] === true) {
      const { chunkRecords } = statement;
      terminal.line(
        pretty({
          folder: out,
          root: wordHex(root),
          chunk: index,
          records: chunkRecords,
          keyDigest: key.keyDigest,
          seconds: ms / 1000,
        }).trimEnd(),
      );
      return;
    }
    terminal.line(
      `chunk ${index} of ${dataset.chunkRoots.length} under ${wordHex(root)}: ${counted(request.descriptions.length, "record")}`,
    );
    terminal.line(`proof in ${seconds(ms)}, key ${key.keyDigest}${key.development ? " (development)" : ""}`);
    terminal.line(`written to ${out}`);
  } finally {
    await pool?.close();
    dataset.close();
  }
}

async function verifyChunk({ values, terminal }: Context, directory: string, expected: Expectation): Promise<void> {
  const statement = statementFromJson(
    "DatasetStatement",
    await readDocument(join(directory, "statement.json")),
    "statement",
  );
  const key = parseVerifyingKey(await readJson(join(directory, "verification_key.json")));
  const proof = parseProof(await readJson(join(directory, "proof.json")));
  const digest = keyDigest(key);
  if (!expected.trust.some((trusted) => trusted.type === "datasetChunk" && trusted.keyDigest === digest)) {
    throw new AnchorError("KEY_UNKNOWN", `the proof is by another key than you trust for dataset-chunk: ${digest}`);
  }
  const { asset, task, chunkIndex, chunkRecords } = statement;
  if (expected.root !== undefined && wordHex(expected.root) !== asset.commitment) {
    throw new AnchorError("CLAIM_FAILED", `the statement is about another root: ${asset.commitment}`);
  }
  for (const [name, value] of Object.entries(expected.task ?? {})) {
    const own = task[name as keyof SetTask];
    if (own !== value) throw new AnchorError("CLAIM_FAILED", `the statement has another ${name}: ${String(own)}`);
  }
  // A statement does not name its chain: the proof shows whether it is this one.
  const { chainId = 31337n, verifyingContract = ZERO_ADDRESS } = expected.domain ?? {};
  const domain = { chainId, verifyingContract };
  verifyStatement(domain, "DatasetStatement", statement, key, proof);
  if (values["json"] === true) {
    terminal.line(
      pretty({
        kind: "chunk",
        root: asset.commitment,
        chunk: chunkIndex,
        records: chunkRecords,
        keyDigest: digest,
        domain,
        task,
      }).trimEnd(),
    );
    return;
  }
  terminal.line(`ok     one chunk: the descriptions of its ${chunkRecords} records are known, data by its digest only`);
  terminal.line(`root   ${asset.commitment}, chunk ${chunkIndex}`);
  terminal.line("not    that other chunks are known, or that the totals in the root are true");
  printTask(terminal, domain, task);
  if (expected.root === undefined) terminal.line("note   no --root or --commitment given: compare the root yourself");
}

/** The task of a set; of an interrupted run where there is one, but for what is given. */
async function taskFor(values: Values, journal: string | undefined): Promise<{ domain: Domain; task: SetTask }> {
  const { domain, task } = readTask(values, `0x${"00".repeat(32)}`, WEEK);
  const { keyDigest: _, ...own } = task;
  const known = journal === undefined ? undefined : await journalTask(journal);
  if (known === undefined) return { domain, task: own };
  const given = <T>(option: keyof typeof TASK_OPTIONS, mine: T, theirs: T) =>
    values[option] === undefined ? theirs : mine;
  return {
    domain: {
      chainId: given("chain-id", domain.chainId, known.domain.chainId),
      verifyingContract: given("contract", domain.verifyingContract, known.domain.verifyingContract),
    },
    task: {
      taskId: given("task-id", own.taskId, known.task.taskId),
      requester: given("requester", own.requester, known.task.requester),
      payee: given("payee", own.payee, known.task.payee),
      nonce: given("nonce", own.nonce, known.task.nonce),
      deadline: given("deadline", own.deadline, known.task.deadline),
    },
  };
}

/** The key to prove a circuit with. @param used gets the words of `--zkey` that it took */
async function keyFor(
  spec: DatasetProgramSpec,
  { values, terminal, signal }: Context,
  used: Map<string, string>,
): Promise<CircuitKey> {
  const program = datasetProgram(spec);
  const circuit = await buildProgram(program, { signal });
  const given = (values["zkey"] as string[] | undefined) ?? [];
  const named = given.find((word) => word.startsWith(`${program.name}=`));
  const choice = named ?? given.find((word) => !/^dataset-[a-z0-9-]+=/.test(word));
  if (choice === undefined) {
    const onProgress = (done: number) => terminal.progress(`making the key of ${program.name}`, done);
    return developmentKey(circuit, { signal, onProgress });
  }
  const path = choice === named ? choice.slice(program.name.length + 1) : choice;
  const other = used.get(choice);
  if (other !== undefined) {
    throw new AnchorError("USAGE", `there are several circuits: give ${other}=FILE and ${program.name}=FILE to --zkey`);
  }
  used.set(choice, program.name);
  const onProgress = (done: number) => terminal.progress(`checking the key of ${program.name}`, done);
  return openCircuitKey(circuit, path, { signal, onProgress });
}

/** A key that was named and not used is a mistake. @throws USAGE */
function checkKeysUsed(values: Values, used: ReadonlyMap<string, string>): void {
  for (const word of (values["zkey"] as string[] | undefined) ?? []) {
    if (!used.has(word)) throw new AnchorError("USAGE", `--zkey ${word} is of no circuit that this takes`);
  }
}

function poolOptions(values: Values): PoolOptions {
  return values["threads"] === undefined ? {} : { threads: integer(values, "threads", 1, 256, 1) };
}

/** @throws UNANCHORED, USAGE, and what reading the files throws */
async function readExpectation(values: Values): Promise<Expectation> {
  const keys = (values["key"] as string[] | undefined) ?? [];
  const trustPath = optional(values, "trust");
  if (keys.length === 0 && trustPath === undefined) {
    throw new AnchorError(
      "UNANCHORED",
      "proofs show nothing by themselves: name the keys that you trust, by --key CIRCUIT=0x… or by --trust",
    );
  }
  const trust: TrustedCircuit[] = keys.map((word) => {
    const [, name, digest] = /^([a-z0-9-]+)=(0x[0-9a-fA-F]{64})$/.exec(word) ?? [];
    const type = name === undefined ? undefined : circuitTypeOf(name);
    if (type === undefined) {
      const known = (Object.keys(CIRCUIT_TYPES) as CircuitType[])
        .map(circuitTypeName)
        .filter((of) => of.startsWith("dataset-"));
      // Reports name a circuit with its sizes as well.
      const meant = known.find((of) => name?.startsWith(`${of}-`));
      if (meant !== undefined) {
        throw new AnchorError("USAGE", `--key names a circuit without its sizes: ${meant}=${digest}`);
      }
      throw new AnchorError("USAGE", `--key takes CIRCUIT=0x… with 32 bytes, and one of ${known.join(", ")}`);
    }
    return { type, keyDigest: digest!.toLowerCase() as Hex };
  });
  let domain: Partial<Domain> = {};
  if (trustPath !== undefined) {
    const file = trustFromJson(await readDocument(trustPath));
    domain = { chainId: file.chainId, verifyingContract: file.contracts.gate };
    for (const { circuit, keyDigest: digest, development } of file.keys) {
      const type = circuitTypeOf(circuit);
      if (type !== undefined) trust.push({ type, keyDigest: digest, development });
    }
  }
  // Checks every option; only those that were given are expected.
  const read = readTask(values, `0x${"00".repeat(32)}`);
  const given = (option: keyof typeof TASK_OPTIONS) => values[option] !== undefined;
  if (given("chain-id")) domain = { ...domain, chainId: read.domain.chainId };
  if (given("contract")) domain = { ...domain, verifyingContract: read.domain.verifyingContract };
  const task: Partial<SetTask> = {
    ...(given("task-id") ? { taskId: read.task.taskId } : {}),
    ...(given("requester") ? { requester: read.task.requester } : {}),
    ...(given("payee") ? { payee: read.task.payee } : {}),
    ...(given("nonce") ? { nonce: read.task.nonce } : {}),
    ...(given("deadline") ? { deadline: read.task.deadline } : {}),
  };
  return { trust, root: await expectedRoot(values), domain, task };
}

async function expectedRoot(values: Values): Promise<bigint | undefined> {
  const given =
    optional(values, "root") === undefined
      ? undefined
      : bytesToBigInt(fromHex(hexOption(values, "root", 32, "0x"), "root"));
  const path = optional(values, "commitment");
  if (path === undefined) return given;
  const { root } = commitmentFromJson(await readJson(path), path);
  if (given !== undefined && given !== root)
    throw new AnchorError("USAGE", "--root is another one than that of --commitment");
  return root;
}

function outcomeToJson({
  root,
  claim,
  result,
  columns,
  records,
  segments,
  keys,
  proven,
  notProven,
}: VerifiedSet): Record<string, unknown> {
  return {
    root: wordHex(root),
    claim: claimToJson(claim),
    result: resultToJson(claim, result, columns),
    records,
    proofs: segments,
    keys: keysToJson(keys),
    proven,
    notProven,
  };
}

function keysToJson(keys: VerifiedSet["keys"]): Record<string, unknown>[] {
  return keys.map(({ type, name, keyDigest: digest, development }) => ({
    circuit: circuitTypeName(type),
    name,
    keyDigest: digest,
    ...(development === undefined ? {} : { development }),
  }));
}

function printProven(terminal: Terminal, { verified, rows, resumed, ms }: ProvenClaim, bytes: number): void {
  const before = resumed === 0 ? "" : `, ${resumed} of them by a run before`;
  // Of a table there may be no data beside the cells, and a run before has done a part of what there is.
  const rate = bytes === 0 || resumed > 0 ? "" : `, ${(bytes / 1e6 / (ms / 1000)).toFixed(3)} MB/s`;
  terminal.line(`${counted(verified.segments, "proof")} in ${seconds(ms)}${before}${rate}`);
  const perByte = bytes === 0 ? "" : `, ${(rows / bytes).toFixed(3)} a byte of data`;
  terminal.line(`${formatCount(rows)} rows in all${perByte}`);
}

function printWords(
  terminal: Terminal,
  { root, keys, proven, notProven }: Pick<VerifiedSet, "root" | "keys" | "proven" | "notProven">,
): void {
  terminal.line(`root   ${wordHex(root)}`);
  for (const line of proven) terminal.line(`proven ${line}`);
  for (const line of notProven) terminal.line(`not    ${line}`);
  for (const { name, keyDigest: digest, development } of keys) {
    const note =
      development === false
        ? ""
        : development
          ? "; a development key: whoever made it could forge"
          : "; no ceremony is known for it: whoever made it could forge";
    terminal.line(`key    ${name} ${digest}${note}`);
  }
}

function printTask(terminal: Terminal, domain: Domain, task: SetTask): void {
  terminal.line(`task   ${task.taskId}, nonce ${task.nonce}, until ${timeText(task.deadline)}`);
  terminal.line(`       asked by ${task.requester}, done by ${task.payee}`);
  terminal.line(`       for chain ${domain.chainId}, contract ${domain.verifyingContract}`);
  if (task.deadline < BigInt(Math.floor(Date.now() / 1000))) {
    terminal.line("note   the deadline has passed, by this machine's clock");
  }
}

/** Unix seconds for people. A deadline is any uint256, and a date ends after some 275,000 years. */
function timeText(time: bigint): string {
  return time <= 8_640_000_000_000n ? new Date(Number(time) * 1000).toISOString() : `second ${time}`;
}
