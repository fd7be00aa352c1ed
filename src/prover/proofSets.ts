/**
 * Makes sets of proofs: plans a claim's segments, proves them side by side through a pool, and keeps what is finished in a
 * journal, so that a run that was killed goes on where it stopped.
 *
 * A journal is a folder with one secret, from which all salts come, so that a run that continues meets the same states and
 * the same commitments, and with a file a finished proof. It names what it is for, and goes on for nothing else. Proofs in
 * it are verified again before they count. The secret opens the states between the segments, which say more of the data
 * than the claim does: the folder is its owner's alone, and is deleted once the set is written.
 *
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { CircuitKey } from "../circuit/setup.js";
import { measureProgram } from "../circuit/synthesis/program.js";
import { type DatasetProgramSpec, type DatasetRequest, datasetProgram } from "../dataset/circuit/index.js";
import { needsColumns } from "../dataset/claims/families.js";
import { claimToJson } from "../dataset/claims/json.js";
import { type CircuitSizes, planClaim } from "../dataset/claims/plan.js";
import { type Claim, commitState, type Segment } from "../dataset/claims.js";
import type { OpenDataset } from "../dataset/dataset.js";
import { chunkBlinds } from "../dataset/layout.js";
import {
  domainFromJson,
  MAX_SEGMENTS,
  type ProofSet,
  proofSetToJson,
  type SetCircuit,
  type SetTask,
  segmentContext,
  setDigest,
  setTaskFromJson,
  taskToJson,
  type VerifiedSet,
  verifyProofSet,
} from "../dataset/proofSet.js";
import { AnchorError, isAnchorError, throwIfAborted, toAnchorError } from "../errors.js";
import { fromHex, toHex, utf8 } from "../field/bytes.js";
import { ensureDirectory, isOwn, writeWhole } from "../files.js";
import { canonicalJson } from "../protocol/document.js";
import { type Domain, readObject } from "../protocol/eip712.js";
import { CIRCUIT_TYPES, type CircuitType, circuitTypeName } from "../protocol/statements.js";
import { type Proof, parseProof, proofToJson, verifyGroth16Batch } from "../verifier/groth16.js";
import type { ProverPool } from "./pool.js";

const FORMAT = "anchorproof/proof-journal@1";
const HEAD = "journal.json";
const SECRET_BYTES = 32;
/** Bound to the salts' place, so that a key stream serves nothing else. */
const SALT_TAG = utf8("anchorproof/proof-set-salts/1");
/** Times that a segment is tried again after its worker died. */
const RETRIES = 1;

export interface SetProgress {
  phase: "planning" | "keys" | "proving" | "verifying";
  /** Segments, those of a former run included. */
  done: number;
  total: number;
  /** Rows of the proofs that are done, and of all. */
  rows: number;
  totalRows: number;
  /** Milliseconds that the rest will take, as it looks; undefined before the first proof of this run. */
  etaMs: number | undefined;
}

export interface ProveClaimOptions {
  dataset: OpenDataset;
  claim: Claim;
  pool: ProverPool;
  /** The key to prove a circuit with. Called once a circuit. */
  keyOf(spec: DatasetProgramSpec): Promise<CircuitKey>;
  domain: Domain;
  task: SetTask;
  /** Where the set goes. */
  out: string;
  /** A folder for what is finished, to go on from. Without one, a run that is stopped starts anew. */
  journal?: string | undefined;
  /** Throws away a journal of something else instead of refusing to go on. */
  restart?: boolean | undefined;
  /** Sizes of circuits, for tests. */
  sizes?: CircuitSizes | undefined;
  signal?: AbortSignal | undefined;
  /** What it throws ends the run. */
  onProgress?: ((progress: SetProgress) => void) | undefined;
}

export interface ProvenClaim {
  set: ProofSet;
  verified: VerifiedSet;
  /** Rows of all proofs. */
  rows: number;
  /** Proofs that a former run had made. */
  resumed: number;
  ms: number;
}

/** A circuit of the plan, with its key. */
interface Circuit extends SetCircuit {
  spec: DatasetProgramSpec;
  key: CircuitKey;
  rows: number;
}

/** One step of the plan, ready to be proven. */
interface Step {
  segment: Segment;
  /** Place among the circuits. */
  circuit: number;
  beforeSalt: bigint;
  afterSalt: bigint;
  before: bigint;
  after: bigint;
}

/**
 * Proves a claim about a whole dataset, verifies the set, and writes it.
 *
 * @throws CLAIM_INVALID, CLAIM_FALSE; INPUT_INVALID for a journal of something else; what the pool, the keys and the files
 *   throw; ABORTED
 */
export async function proveClaim(options: ProveClaimOptions): Promise<ProvenClaim> {
  const { dataset, claim, pool, domain, task, out, sizes, signal, onProgress } = options;
  const started = performance.now();
  throwIfAborted(signal);
  const { opening, columns } = dataset.commitment;
  const head = { opening, claim, domain, task };
  const report = (progress: Partial<SetProgress> & Pick<SetProgress, "phase">) =>
    onProgress?.({ done: 0, total: 0, rows: 0, totalRows: 0, etaMs: undefined, ...progress });

  const journal =
    options.journal === undefined ? undefined : await Journal.open(options.journal, head, options.restart);
  const secret = journal?.secret ?? new Uint8Array(randomBytes(SECRET_BYTES));
  report({ phase: "planning" });
  const segments = await planClaim(dataset, claim, { challenge: setDigest(head), secret, sizes, signal });
  if (segments.length > MAX_SEGMENTS) {
    throw new AnchorError(
      "INPUT_TOO_LARGE",
      `the claim takes ${segments.length} proofs; a set has at most ${MAX_SEGMENTS}`,
    );
  }
  const circuits = await circuitsOf(segments, options, report);
  await journal?.bind(circuits, segments.length);
  const steps = stepsOf(segments, circuits, secret);

  const context = circuits.map(({ type, key }) => segmentContext(head, type, key.keyDigest));
  const signalsOf = ({ segment, circuit, before, after }: Step) => [
    dataset.commitment.root,
    segment.claim,
    before,
    after,
    context[circuit]!,
  ];
  const proofs = new Array<Proof | undefined>(steps.length).fill(undefined);
  const resumed = journal === undefined ? 0 : await resume(journal, steps, circuits, signalsOf, proofs);

  const rowsOf = (step: Step) => circuits[step.circuit]!.rows;
  const totalRows = steps.reduce((sum, step) => sum + rowsOf(step), 0);
  const oldRows = steps.reduce((sum, step, i) => sum + (proofs[i] ? rowsOf(step) : 0), 0);
  const progress = { done: resumed, total: steps.length, rows: oldRows, totalRows };
  const provingFrom = performance.now();
  const tell = () => {
    const own = progress.rows - oldRows;
    const etaMs = own === 0 ? undefined : ((performance.now() - provingFrom) / own) * (totalRows - progress.rows);
    report({ phase: "proving", ...progress, etaMs });
  };
  tell();

  const pending = [...steps.keys()].filter((i) => proofs[i] === undefined);
  // The largest first: the last ones to run are then short, and no core waits long at the end.
  pending.sort((a, b) => rowsOf(steps[b]!) - rowsOf(steps[a]!) || a - b);
  await inParallel(pending, pool.concurrency + 1, signal, async (i, stop) => {
    const step = steps[i]!;
    const { spec, key } = circuits[step.circuit]!;
    const request = {
      ...step.segment.request(),
      root: dataset.commitment.root,
      claim: step.segment.claim,
      before: step.segment.before,
      after: step.segment.after,
      beforeSalt: step.beforeSalt,
      afterSalt: step.afterSalt,
      context: context[step.circuit]!,
    } as unknown as DatasetRequest;
    const proof = await proveWithRetries(pool, spec, key, request, stop);
    // What the worker verified are signals of its own making.
    if (!verifyGroth16Batch(key.verifyingKey, [{ publicSignals: signalsOf(step), proof }])[0]) {
      throw new AnchorError("INTERNAL", `segment ${i + 1} was proven for other signals than planned`);
    }
    await journal?.keep(i, proof);
    proofs[i] = proof;
    progress.done++;
    progress.rows += rowsOf(step);
    tell();
  });

  report({ phase: "verifying", ...progress });
  const end = steps.at(-1)!;
  const set: ProofSet = {
    ...head,
    ...(needsColumns(claim) && columns.length > 0 ? { columns } : {}),
    circuits: circuits.map(({ type, name, verifyingKey }) => ({ type, name, verifyingKey })),
    segments: steps.map(({ circuit, before, after }, i) => ({ circuit, before, after, proof: proofs[i]! })),
    last: { fields: end.segment.after, salt: end.afterSalt },
  };
  const trust = circuits.map(({ type, key }) => ({ type, keyDigest: key.keyDigest, development: key.development }));
  const verified = verifyProofSet(set, { trust, root: dataset.commitment.root }, { threads: pool.threads });
  throwIfAborted(signal);
  await writeWhole(out, `${JSON.stringify(proofSetToJson(set), null, 1)}\n`);
  await journal?.remove();
  return { set, verified, rows: totalRows, resumed, ms: performance.now() - started };
}

/** The circuits of a plan, each once, with their keys. */
async function circuitsOf(
  segments: readonly Segment[],
  { keyOf, signal }: Pick<ProveClaimOptions, "keyOf" | "signal">,
  report: (progress: Partial<SetProgress> & Pick<SetProgress, "phase">) => void,
): Promise<Circuit[]> {
  const specs = new Map<string, Segment>();
  for (const segment of segments) {
    const id = JSON.stringify(segment.spec);
    if (!specs.has(id)) specs.set(id, segment);
  }
  const circuits: Circuit[] = [];
  for (const { spec, circuitType } of specs.values()) {
    throwIfAborted(signal);
    report({ phase: "keys", done: circuits.length, total: specs.size });
    if (!Object.hasOwn(CIRCUIT_TYPES, circuitType)) {
      throw new AnchorError("INTERNAL", `there is no type of circuit called ${circuitType}`);
    }
    const program = datasetProgram(spec);
    const key = await keyOf(spec);
    circuits.push({
      type: circuitType as CircuitType,
      name: program.name,
      verifyingKey: key.verifyingKey,
      spec,
      key,
      rows: measureProgram(program).rows,
    });
  }
  return circuits;
}

/** Salts and commitments: where a segment ends, the next one begins. */
function stepsOf(segments: readonly Segment[], circuits: readonly Circuit[], secret: Uint8Array): Step[] {
  const places = new Map(circuits.map(({ spec }, i) => [JSON.stringify(spec), i]));
  const salts = chunkBlinds(createHash("sha256").update(SALT_TAG).update(secret).digest(), 0, segments.length);
  let [salt, at] = [0n, commitState(segments[0]!.before, 0n)];
  return segments.map((segment, i) => {
    const step = {
      segment,
      circuit: places.get(JSON.stringify(segment.spec))!,
      beforeSalt: salt,
      afterSalt: salts[i]!,
      before: at,
      after: commitState(segment.after, salts[i]!),
    };
    [salt, at] = [step.afterSalt, step.after];
    return step;
  });
}

/** Takes over the proofs of a former run that verify. @returns their number */
async function resume(
  journal: Journal,
  steps: readonly Step[],
  circuits: readonly Circuit[],
  signalsOf: (step: Step) => bigint[],
  proofs: (Proof | undefined)[],
): Promise<number> {
  const kept = await journal.proofs(steps.length);
  let count = 0;
  for (const [circuit, { key }] of circuits.entries()) {
    const own = [...kept].filter(([i]) => steps[i]!.circuit === circuit);
    const items = own.map(([i, proof]) => ({ publicSignals: signalsOf(steps[i]!), proof }));
    const verdicts = verifyGroth16Batch(key.verifyingKey, items);
    for (const [at, [i, proof]] of own.entries()) {
      if (!verdicts[at]) continue; // made again
      proofs[i] = proof;
      count++;
    }
  }
  return count;
}

/** A worker's death says nothing about the segment: another one gets it. */
async function proveWithRetries(
  pool: ProverPool,
  spec: DatasetProgramSpec,
  key: CircuitKey,
  request: DatasetRequest,
  signal: AbortSignal,
): Promise<Proof> {
  for (let attempt = 0; ; attempt++) {
    try {
      await pool.ready({ signal });
      return (await pool.prove({ dataset: spec }, key, request, { signal })).proof;
    } catch (error) {
      // A shared pool may have filled up since it was ready.
      if (isAnchorError(error, "POOL_FULL")) continue;
      if (isAnchorError(error, "WORKER_CRASHED") && attempt < RETRIES) continue;
      if (isAnchorError(error, "WITNESS_INVALID")) {
        const message = "what is stored of the dataset does not give its root (dataset info --check finds where)";
        throw new AnchorError("DATASET_MISMATCH", message, { cause: error });
      }
      throw error;
    }
  }
}

/** Works through items with so many at a time; the first failure stops the others, and is thrown when they have ended. */
async function inParallel(
  items: readonly number[],
  width: number,
  signal: AbortSignal | undefined,
  work: (item: number, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const both = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  const queue = [...items];
  let failure: { error: unknown } | undefined;
  const run = async () => {
    for (let item = queue.shift(); item !== undefined && failure === undefined; item = queue.shift()) {
      try {
        throwIfAborted(signal);
        await work(item, both);
      } catch (error) {
        failure ??= { error };
        stop.abort();
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, run));
  if (failure) throw failure.error;
}

/** What a journal is for. */
type JournalHead = Pick<ProofSet, "opening" | "claim" | "domain" | "task">;

class Journal {
  private constructor(
    readonly directory: string,
    readonly secret: Uint8Array,
    /** Digest of the circuits' keys and the number of segments, once they are known. */
    private plan: string | undefined,
    private readonly head: Record<string, unknown>,
    private readonly restart: boolean,
  ) {}

  /** Opens the journal of a set. A new one is on the disk once it is bound. @throws INPUT_INVALID for a journal of another set */
  static async open(directory: string, set: JournalHead, restart = false): Promise<Journal> {
    const head = {
      set: setDigest(set),
      claim: claimToJson(set.claim),
      domain: domainToJson(set.domain),
      task: taskToJson(set.task),
    };
    const known = await readHead(directory).catch((error: unknown) => {
      if (restart && isAnchorError(error)) return undefined;
      throw error;
    });
    if (known !== undefined && known.set === head.set) {
      return new Journal(directory, known.secret, known.plan, head, restart);
    }
    if (known !== undefined && !restart) {
      throw new AnchorError(
        "INPUT_INVALID",
        `${directory} is the journal of another dataset, claim or task: go on with that one, name another place, or restart`,
      );
    }
    await checkOwn(directory);
    return new Journal(directory, new Uint8Array(randomBytes(SECRET_BYTES)), undefined, head, restart);
  }

  /**
   * Binds the journal to the plan's circuits and keys: proofs by others are none of it. Only now that it is known that the
   * claim holds anything is written.
   *
   * @throws INPUT_INVALID
   */
  async bind(circuits: readonly Circuit[], segments: number): Promise<void> {
    const keys = circuits.map(({ type, name, key }) => [circuitTypeName(type), name, key.keyDigest]);
    const plan = createHash("sha256")
      .update(canonicalJson([...keys, String(segments)]))
      .digest("hex");
    if (this.plan === plan) return;
    if (this.plan !== undefined && !this.restart) {
      throw new AnchorError(
        "INPUT_INVALID",
        `${this.directory} was begun with other keys or circuits: prove with those, name another place, or restart`,
      );
    }
    this.plan = plan;
    await this.begin();
  }

  async keep(index: number, proof: Proof): Promise<void> {
    await writeWhole(this.path(index), `${JSON.stringify(proofToJson(proof))}\n`, 0o600);
  }

  /** Proofs that are there and can be read, by the number of their segment; not verified. */
  async proofs(count: number): Promise<Map<number, Proof>> {
    const proofs = new Map<number, Proof>();
    for (let i = 0; i < count; i++) {
      try {
        proofs.set(i, parseProof(JSON.parse(await readFile(this.path(i), "utf8"))));
      } catch {
        // Not there, or damaged: made again.
      }
    }
    return proofs;
  }

  async remove(): Promise<void> {
    // The secret first: a folder that is half deleted holds none.
    await rm(join(this.directory, HEAD), { force: true });
    await rm(this.directory, { recursive: true, force: true });
  }

  private path(index: number): string {
    return join(this.directory, `segment-${String(index).padStart(5, "0")}.json`);
  }

  private async begin(): Promise<void> {
    await checkOwn(this.directory);
    try {
      await rm(this.directory, { recursive: true, force: true });
      await ensureDirectory(dirname(this.directory));
      await mkdir(this.directory, { mode: 0o700 });
    } catch (error) {
      throw toAnchorError(error, "FILE_UNREADABLE", `cannot write ${this.directory}`);
    }
    const content = { format: FORMAT, ...this.head, secret: toHex(this.secret), plan: this.plan };
    await writeWhole(join(this.directory, HEAD), `${JSON.stringify(content, null, 1)}\n`, 0o600);
  }
}

/** What a run that was stopped was for, so that another one can go on: its task and domain. Undefined without a journal. */
export async function journalTask(
  directory: string,
): Promise<{ claim: unknown; domain: Domain; task: SetTask } | undefined> {
  const head = await readHead(directory);
  return head === undefined ? undefined : { claim: head.claim, domain: head.domain, task: head.task };
}

/** Undefined where there is none. @throws INPUT_INVALID, FILE_UNREADABLE */
async function readHead(directory: string) {
  const path = join(directory, HEAD);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") {
      throw toAnchorError(error, "FILE_UNREADABLE", `cannot read ${path}`);
    }
    return undefined;
  }
  if (!(await isOwn(directory))) {
    throw new AnchorError("INPUT_INVALID", `${directory} is another user's, who knows the secret in it: restart`);
  }
  try {
    const fields = ["format", "set", "claim", "domain", "task", "secret", "plan"];
    const record = readObject(JSON.parse(text), fields, "INPUT_INVALID", "journal");
    if (record["format"] !== FORMAT) throw new AnchorError("INPUT_INVALID", `it is not of format ${FORMAT}`);
    return {
      set: record["set"],
      claim: record["claim"],
      domain: domainFromJson(record["domain"], "domain"),
      task: setTaskFromJson(record["task"], "task"),
      secret: fromHex(record["secret"], "secret", SECRET_BYTES),
      plan: String(record["plan"]),
    };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new AnchorError("INPUT_INVALID", `${path} is no journal, or damaged: ${reason}; restart`, { cause: error });
  }
}

/** Nothing is ever deleted that is no journal's. @throws INPUT_INVALID */
async function checkOwn(directory: string): Promise<void> {
  const names = await readdir(directory).catch(() => []);
  if (names.every((name) => /^(journal|segment-\d+)\.json(\.[0-9a-f]+\.part)?$/.test(name))) return;
  throw new AnchorError("INPUT_INVALID", `${directory} holds other files than a journal's: name another place`);
}

function domainToJson({ chainId, verifyingContract }: Domain): Record<string, unknown> {
  return { chainId: String(chainId), verifyingContract };
}
