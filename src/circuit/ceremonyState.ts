/**
 * A coordinator's ceremony: a folder with the head, one file for every step that was taken, and the current key.
 *
 * A step is a file with the next number, linked into place, which fails when somebody else took that number first. So
 * several processes can work on one folder (a server, and an operator's commands beside it) without locks, and a process
 * killed at any moment leaves the steps that were taken, and nothing else that counts. Steps are never changed.
 *
 *     head.json            the head, and the SHA-256 of the initial key
 *     steps/000000.json    turn | contribution | skipped | rejected | final
 *     keys/SHA256.zkey     the current key; older ones are removed
 *     incoming/            files that are being written; leftovers are removed
 *     manifest.json        what the steps make, for people; never read
 *
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { copyFile, link, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { type Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { AnchorError, isAnchorError, throwIfAborted, toAnchorError } from "../errors.js";
import { fromHex, type Hex, toHex } from "../field/bytes.js";
import { ensureDirectory, settle, syncFolder, writeDurably, writeWhole } from "../files.js";
import { readObject } from "../protocol/eip712.js";
import { checkSigner } from "../protocol/signature.js";
import { keyDigest, verifyingKeyToJson } from "../verifier/groth16.js";
import {
  BEACON_ITERATIONS,
  type Ceremony,
  type CeremonyBeacon,
  type CeremonyContribution,
  type CeremonyEvent,
  type CeremonyHead,
  type ContributionPackage,
  ceremonyFromJson,
  ceremonyId,
  ceremonyToJson,
  checkContributionSignature,
  checkNext,
  defaultMinimum,
  headFromJson,
  headToJson,
  invalid,
  lastHash,
  lastTime,
  later,
  recordOf,
  type TurnRequest,
  transcriptOf,
  turnDigest,
} from "./ceremony.js";
import { checkSameTranscript, describeCircuit, manifestText, sha256File } from "./ceremonyCheck.js";
import {
  eventStep,
  hexOf,
  lateStep,
  readStateFile,
  type Step,
  stepFromJson,
  stepToJson,
  type Turn,
} from "./ceremonySteps.js";
import { applyBeacon, type LongWork, newPhase2Key, verifyContribution, verifyPhase2 } from "./phase2.js";
import { describePtau, ptauDigest } from "./ptau.js";
import { type Contribution, contributionInvalid } from "./transcript.js";
import { readZkeyHeader } from "./zkey.js";

const FORMAT = "anchorproof/ceremony-state@1";
const CODE = "CEREMONY_INVALID";
/** Seconds that a member's clock may be off. */
export const CLOCK_SKEW = 300n;
/** Turns that one member may let pass before they have to ask the operator. */
const MAX_LATE = 3;
/** Turns that one member may be given: each is a file. */
const MAX_TURNS = 16;
const MAX_EVENTS = 1024;
/** A contribution adds its record to a key, and no more. */
const KEY_GROWTH = 1024;

/** Failures of `verifyContribution` that are the fault of the file, and so of whoever signed it. */
const BLAMED = new Set(["CONTRIBUTION_INVALID", "KEY_MALFORMED", "KEY_FORGEABLE"]);

export interface Snapshot {
  ceremony: Ceremony;
  /** Given out last and not used yet; it may have run out. */
  turn?: Turn | undefined;
  /** Of the key that the next contribution builds on, or the final one. */
  keySha256: Hex;
  /** All turns that were ever given. */
  turns: readonly (Turn & { nonce: Hex })[];
  /** How many steps this is made of. */
  steps: number;
}

export interface CreateOptions extends LongWork {
  directory: string;
  name: string;
  r1csPath: string;
  ptauPath: string;
  members: readonly Hex[];
  /** More than a third of the members unless told. */
  minimum?: number | undefined;
  /** Announced now, known later. */
  beacon?: { source: string; iterationsExp?: number | undefined } | undefined;
  now?: (() => bigint) | undefined;
}

export interface FinalizeOptions extends LongWork {
  r1csPath: string;
  ptauPath: string;
  /** What the announced source gave; or a source of now, which then counts as not announced. */
  beacon?: { value: Hex; source?: string | undefined; iterationsExp?: number | undefined } | undefined;
}

export class CeremonyState {
  readonly directory: string;
  readonly head: CeremonyHead;
  readonly id: Hex;
  readonly #initialKey: Hex;
  readonly #now: () => bigint;
  /** Steps never change, so each is read once. */
  readonly #steps: Step[] = [];

  private constructor(directory: string, head: CeremonyHead, initialKey: Hex, now: () => bigint) {
    this.directory = directory;
    this.head = head;
    this.id = ceremonyId(head);
    this.#initialKey = initialKey;
    this.#now = now;
  }

  /**
   * Starts a ceremony in a new folder: makes the initial key and fixes the head.
   *
   * @throws INPUT_INVALID, CEREMONY_INVALID, CIRCUIT_MALFORMED, PTAU_INVALID, FILE_UNREADABLE, ABORTED
   */
  static async create(options: CreateOptions): Promise<CeremonyState> {
    const { name, r1csPath, ptauPath, signal, onProgress, threads } = options;
    const directory = resolve(options.directory);
    const now = options.now ?? unixTime;
    const members = [...new Set(options.members)].sort();
    if (members.length !== options.members.length) {
      throw new AnchorError("INPUT_INVALID", "a member is named twice: each contributes once");
    }
    if (await exists(directory)) {
      throw new AnchorError("FILE_UNREADABLE", `${directory} exists: a ceremony starts in a folder of its own`);
    }
    const circuit = await describeCircuit(r1csPath, signal);
    const { publicCeremony } = await describePtau(ptauPath, { signal });
    const digest = await ptauDigest(ptauPath, circuit.power, { signal });
    const workshop = `${directory}.${randomBytes(6).toString("hex")}.part`;
    try {
      for (const folder of ["", "steps", "keys", "incoming"]) await make(join(workshop, folder));
      const initial = join(workshop, "incoming", "initial.zkey");
      const { circuitHash } = await newPhase2Key({
        r1csPath,
        ptauPath,
        zkeyPath: initial,
        signal,
        onProgress,
        threads,
      });
      const keySha256 = await sha256File(initial, signal);
      await settle(initial, join(workshop, "keys", keyName(keySha256)));
      // Through the reader: what it would refuse later must not begin.
      const head = headFromJson(
        headToJson({
          name,
          circuit,
          powersOfTau: { digest, publicCeremony },
          circuitHash,
          members,
          minimum: options.minimum ?? defaultMinimum(members.length),
          ...(options.beacon
            ? { beacon: { source: options.beacon.source, iterationsExp: options.beacon.iterationsExp ?? 10 } }
            : {}),
          created: now(),
        }),
        "head",
      );
      const text = JSON.stringify({ format: FORMAT, head: headToJson(head), initialKeySha256: keySha256 }, null, 2);
      await writeDurably(join(workshop, "head.json"), `${text}\n`);
      throwIfAborted(signal);
      await ensureDirectory(dirname(directory));
      await rename(workshop, directory);
    } catch (error) {
      throw toAnchorError(error, "FILE_UNREADABLE", `cannot write ${directory}`);
    } finally {
      await rm(workshop, { recursive: true, force: true });
    }
    const state = await CeremonyState.open(directory, { now });
    await state.#writeManifest();
    return state;
  }

  /** @throws FILE_NOT_FOUND, CEREMONY_INVALID, FORMAT_UNSUPPORTED */
  static async open(directory: string, options: { now?: (() => bigint) | undefined } = {}): Promise<CeremonyState> {
    const path = resolve(directory);
    const json = await readStateFile(join(path, "head.json"));
    if (json === undefined) throw new AnchorError("FILE_NOT_FOUND", `${directory} holds no ceremony (no head.json)`);
    const record = readObject(json, ["format", "head", "initialKeySha256"], CODE, "head.json");
    if (record["format"] !== FORMAT) {
      throw new AnchorError("FORMAT_UNSUPPORTED", `${directory} is not a ceremony of format ${FORMAT}`);
    }
    const head = headFromJson(record["head"], "head");
    const initialKey = hexOf(record["initialKeySha256"], "initialKeySha256", 32);
    return new CeremonyState(path, head, initialKey, options.now ?? unixTime);
  }

  /** The ceremony as the steps on the disk make it. @throws CEREMONY_INVALID, FILE_UNREADABLE */
  async read(): Promise<Snapshot> {
    for (;;) {
      const index = this.#steps.length;
      const json = await readStateFile(this.#stepPath(index));
      if (json === undefined) break;
      const step = stepFromJson(json, `steps/${index}`);
      if (this.#steps.length === index) this.#steps.push(step); // otherwise another call was here meanwhile
    }
    return this.#fold();
  }

  #fold(): Snapshot {
    const contributions: CeremonyContribution[] = [];
    const events: CeremonyEvent[] = [];
    let turn: Turn | undefined;
    let end: Extract<Step, { type: "final" }> | undefined;
    for (const step of this.#steps) {
      if (end) invalid("state", "steps", "go on after the end");
      if (step.type === "turn") turn = step;
      else if (step.type === "final") end = step;
      else {
        const { member } = step.type === "contribution" ? step.contribution : step.event;
        if (step.type === "contribution") contributions.push(step.contribution);
        else events.push(step.event);
        // A contribution makes every turn stale, also somebody else's.
        if (turn?.member === member || step.type === "contribution") turn = undefined;
      }
    }
    const ceremony = { head: this.head, contributions, events, beacon: end?.beacon, final: end?.final };
    return {
      ceremony,
      turn: end ? undefined : turn,
      keySha256: end?.final.zkeySha256 ?? contributions.at(-1)?.keySha256 ?? this.#initialKey,
      turns: this.#steps.filter((step) => step.type === "turn"),
      steps: this.#steps.length,
    };
  }

  /** Path of the key that the next contribution builds on, or of the final key. */
  async keyPath(): Promise<string> {
    const { keySha256 } = await this.read();
    return join(this.directory, "keys", keyName(keySha256));
  }

  /** Whether a turn still counts. */
  holds(turn: Turn): boolean {
    return turn.deadline > this.#now();
  }

  /**
   * Gives a member the turn; asked again by its holder, a new token with the old deadline.
   *
   * @param busy a turn that must not be taken away although its time is over: its contribution is being checked
   * @throws CEREMONY_REFUSED with `details.fault`: finished, member, clock, replayed, repeated, rejected, late, busy,
   *         checking; SIGNATURE_INVALID
   */
  async requestTurn(
    request: TurnRequest & { member: Hex; signature: unknown },
    turnSeconds: bigint,
    busy?: Hex,
  ): Promise<{ token: Hex; index: number; deadline: bigint; keySha256: Hex }> {
    const { member, time, nonce } = request;
    if (!this.head.members.includes(member)) refuse("member", `${member} is not a member of this ceremony`);
    checkSigner(turnDigest(this.id, { time, nonce }), request.signature, member, "member who asks for the turn");
    const token = toHex(randomBytes(32));
    const { snapshot, step } = await this.#append(
      (current) => {
        const { ceremony, turn, turns } = current;
        this.#refuseFinished(current);
        const now = this.#now();
        if (time > now + CLOCK_SKEW || time < now - CLOCK_SKEW) {
          refuse("clock", `the request's time is off by more than ${CLOCK_SKEW} seconds: set your clock`);
        }
        if (turns.some((other) => other.nonce === nonce)) refuse("replayed", "this request was made before");
        this.#refuseRepeated(ceremony, member);
        const late = ceremony.events.filter((event) => event.member === member && event.fault === "late").length;
        if (late >= MAX_LATE || turns.filter((other) => other.member === member).length >= MAX_TURNS) {
          refuse("late", `${member} had too many turns: hand the contribution to the operator as a file`);
        }
        const taken = turn && (this.holds(turn) || turn.tokenHash === busy);
        if (taken && turn.member !== member) {
          refuse("busy", `it is ${turn.member}'s turn`, { member: turn.member, deadline: turn.deadline.toString() });
        }
        if (taken && turn.tokenHash === busy) refuse("checking", "your contribution is being checked");
        // Whoever let the time pass is noted first; the loop comes here again.
        if (turn && !taken) return lateStep(turn, now);
        return {
          type: "turn",
          member,
          nonce,
          tokenHash: sha256(fromHex(token, "token")),
          deadline: taken ? turn.deadline : now + turnSeconds,
        };
      },
      (taken) => taken.type === "turn",
    );
    return {
      token,
      index: snapshot.ceremony.contributions.length,
      deadline: (step as Extract<Step, { type: "turn" }>).deadline,
      keySha256: snapshot.keySha256,
    };
  }

  /** Notes a turn that has run out. @param busy as for {@link requestTurn} */
  async expire(busy?: Hex): Promise<Snapshot> {
    const current = await this.read();
    const { turn } = current;
    if (!turn || this.holds(turn) || turn.tokenHash === busy) return current;
    await this.#append((snapshot) => {
      const same = snapshot.turn?.tokenHash === turn.tokenHash;
      return same ? lateStep(turn, this.#now()) : undefined;
    });
    return this.read();
  }

  /** The operator passes a member over; they may come again. @throws CEREMONY_REFUSED (finished, member, repeated) */
  async skip(member: Hex, reason: string): Promise<void> {
    if (!this.head.members.includes(member)) refuse("member", `${member} is not a member of this ceremony`);
    await this.#append((current) => {
      this.#refuseFinished(current);
      if (current.ceremony.contributions.some((contribution) => contribution.member === member)) {
        refuse("repeated", `${member} has contributed: that cannot be undone, and harms nobody`);
      }
      return eventStep({ kind: "skipped", member, fault: "operator", reason, time: this.#now() });
    });
  }

  /**
   * Checks a contribution's words, before its key is looked at.
   *
   * @throws CEREMONY_REFUSED (finished, member, repeated, rejected, stale, clock, busy); CEREMONY_INVALID (foreign,
   *         signature, …). Nothing is held against anybody: what is refused here need not come from the member named.
   */
  async checkPackage({ ceremony: id, index, contribution }: ContributionPackage): Promise<Snapshot> {
    if (id !== this.id) invalid("foreign", "contribution", `is for ceremony ${id}, this is ${this.id}`);
    const current = await this.read();
    const { ceremony, turn } = current;
    const { member } = contribution;
    this.#refuseFinished(current);
    if (!this.head.members.includes(member)) refuse("member", `${member} is not a member of this ceremony`);
    this.#refuseRepeated(ceremony, member);
    const count = ceremony.contributions.length;
    if (index !== count) {
      refuse("stale", `it builds on ${index} contributions, there are ${count}: contribute to the current key`);
    }
    checkContributionSignature(this.id, index, lastHash(ceremony), contribution, "contribution");
    const seen = new Set(ceremony.contributions.map((other) => other.member));
    checkNext(this.head, seen, lastTime(ceremony), contribution, "contribution");
    if (contribution.time > this.#now() + CLOCK_SKEW) refuse("clock", "its time lies in the future: set your clock");
    if (turn && this.holds(turn) && turn.member !== member)
      refuse("busy", `it is ${turn.member}'s turn`, { member: turn.member });
    return current;
  }

  /**
   * Checks a contribution and takes it in. One that its member signed and that does not hold is rejected: the member is
   * named in the manifest, and the ceremony goes on with the key before it.
   *
   * @param file in {@link incoming}; it is moved or removed
   * @throws as {@link checkPackage}; CEREMONY_INVALID (key) for a file that is not the one that was signed;
   *         CONTRIBUTION_INVALID, KEY_MALFORMED, KEY_FORGEABLE when it was rejected; ABORTED
   */
  async accept(given: ContributionPackage, file: string, work: LongWork = {}): Promise<void> {
    const { contribution } = given;
    try {
      const { ceremony, keySha256 } = await this.checkPackage(given);
      if ((await sha256File(file, work.signal)) !== contribution.keySha256) {
        invalid(
          "key",
          "contribution.keySha256",
          "is not that of the key file: it was damaged on the way, send it again",
        );
      }
      const previous = join(this.directory, "keys", keyName(keySha256));
      // A damaged disk of ours is nobody's fault.
      if ((await sha256File(previous, work.signal)) !== keySha256) invalid("state", previous, "is damaged");
      try {
        const { transcript } = await readZkeyHeader(file);
        // Before anything is computed: a beacon may ask for any number of hashes.
        if (transcript.contributions.some(({ kind }) => kind === "beacon")) {
          throw contributionInvalid("beacon", "a member's contribution is a beacon, which only ends a ceremony");
        }
        const made = await verifyContribution({ previous, next: file, ...work });
        checkWords(this.head.circuitHash, contribution, made);
      } catch (error) {
        if (isAnchorError(error) && BLAMED.has(error.code)) await this.#reject(given, error);
        throw error;
      }
      throwIfAborted(work.signal);
      await settle(file, join(this.directory, "keys", keyName(contribution.keySha256)));
      await this.#append((current) => {
        this.#refuseFinished(current);
        const { contributions } = current.ceremony;
        if (contributions.length !== given.index || lastHash(current.ceremony) !== lastHash(ceremony)) {
          refuse("stale", "somebody else contributed meanwhile: contribute to the current key");
        }
        return { type: "contribution", contribution };
      });
    } finally {
      await rm(file, { force: true });
    }
    await this.#clean();
    await this.#writeManifest();
  }

  async #reject({ index, contribution }: ContributionPackage, error: AnchorError): Promise<void> {
    const { member } = contribution;
    const { fault } = error.details;
    await this.#append((current) => {
      // Somebody else's contribution came in between: this one is stale, whatever else it is.
      if (current.ceremony.final || current.ceremony.contributions.length !== index) return undefined;
      return eventStep({
        kind: "rejected",
        member,
        fault: typeof fault === "string" ? fault : error.code,
        reason: error.message,
        time: this.#now(),
      });
    });
    await this.#writeManifest();
  }

  /**
   * Ends the ceremony: the beacon, a check of everything from circuit and powers of tau, and the final key's digest.
   * A ceremony that has ended stays as it is.
   *
   * @throws CEREMONY_REFUSED (minimum, busy, beacon); CEREMONY_INVALID (circuit, ptau); what `verifyPhase2` throws
   */
  async finalize(options: FinalizeOptions): Promise<Ceremony> {
    const { r1csPath, ptauPath, signal, onProgress, threads } = options;
    const { ceremony, turn, keySha256 } = await this.expire();
    if (ceremony.final) {
      const { beacon: wanted } = options;
      if (wanted && wanted.value !== ceremony.beacon?.value) {
        const how = ceremony.beacon ? `with the beacon ${ceremony.beacon.value}` : "without a beacon";
        refuse("finished", `the ceremony has ended ${how}, not with ${wanted.value}`);
      }
      return ceremony;
    }
    if (turn && this.holds(turn)) refuse("busy", `it is ${turn.member}'s turn: wait, or skip them`);
    const { contributions } = ceremony;
    if (contributions.length < this.head.minimum) {
      refuse("minimum", `there are ${contributions.length} of ${this.head.minimum} contributions`);
    }
    const beacon = this.#beaconOf(options.beacon);
    const circuit = await describeCircuit(r1csPath, options.signal);
    if (circuit.digest !== this.head.circuit.digest) invalid("circuit", r1csPath, "is not the ceremony's circuit");
    if ((await ptauDigest(ptauPath, circuit.power, { signal })) !== this.head.powersOfTau.digest) {
      invalid("ptau", ptauPath, "holds other powers of tau than the ceremony's");
    }
    const current = join(this.directory, "keys", keyName(keySha256));
    const work = { signal, onProgress, threads };
    const made = await this.incoming();
    try {
      let entry: CeremonyBeacon | undefined;
      if (beacon) {
        const { value, iterationsExp, source } = beacon;
        const hash = fromHex(value, "beacon");
        const applied = await applyBeacon({ from: current, to: made, hash, iterationsExp, ...work });
        entry = { value, iterationsExp, source, hash: applied.hash, record: recordOf(this.head.circuitHash, applied) };
      } else await copyFile(current, made);
      const key = await verifyPhase2({ r1csPath, ptauPath, zkeyPath: made, ...work });
      checkSameTranscript(transcriptOf({ ...ceremony, beacon: entry }), key.transcript);
      const zkeySha256 = await sha256File(made, signal);
      const time = later(this.#now(), lastTime(ceremony));
      const final = { zkeySha256, keyDigest: keyDigest(key.verifyingKey), verifyingKey: key.verifyingKey, time };
      // Through the reader: a manifest that nobody could read must not come out.
      ceremonyFromJson(ceremonyToJson({ ...ceremony, beacon: entry, final }));
      await settle(made, join(this.directory, "keys", keyName(zkeySha256)));
      await this.#append((now) => {
        if (now.ceremony.final) return undefined;
        if (now.ceremony.contributions.length !== contributions.length)
          refuse("stale", "somebody contributed meanwhile");
        return { type: "final", beacon: entry, final };
      });
    } finally {
      await rm(made, { force: true });
    }
    await this.#clean();
    await this.#writeManifest();
    return (await this.read()).ceremony;
  }

  #beaconOf(given: FinalizeOptions["beacon"]): { value: Hex; source: string; iterationsExp: number } | undefined {
    const { beacon: announced } = this.head;
    if (!given) {
      if (announced) refuse("beacon", `the beacon that was announced is missing: ${announced.source}`);
      return undefined;
    }
    if (announced) {
      const { source, iterationsExp } = given;
      if ((source ?? announced.source) !== announced.source) refuse("beacon", `announced was: ${announced.source}`);
      if ((iterationsExp ?? announced.iterationsExp) !== announced.iterationsExp) {
        refuse("beacon", `announced were 2^${announced.iterationsExp} iterations`);
      }
      return { value: given.value, ...announced };
    }
    if (given.source === undefined) refuse("beacon", "say where the beacon's value comes from");
    return { value: given.value, source: given.source, iterationsExp: given.iterationsExp ?? BEACON_ITERATIONS.min };
  }

  /** A path for a file that is being received. Named after this process, so that others leave it alone while it lives. */
  async incoming(): Promise<string> {
    await make(join(this.directory, "incoming"));
    return join(this.directory, "incoming", `${process.pid}-${randomBytes(6).toString("hex")}.part`);
  }

  /**
   * Writes what a member sends into {@link incoming}, up to what a contribution to the current key can be.
   *
   * @throws INPUT_TOO_LARGE, ABORTED, FILE_UNREADABLE
   */
  async receive(
    source: string | Readable,
    {
      signal,
      onProgress,
    }: { signal?: AbortSignal | undefined; onProgress?: ((bytes: number) => void) | undefined } = {},
  ): Promise<string> {
    const limit = (await stat(await this.keyPath())).size + KEY_GROWTH;
    const path = await this.incoming();
    let bytes = 0;
    const meter = new Transform({
      transform(chunk: Buffer, _, next) {
        bytes += chunk.length;
        onProgress?.(bytes);
        if (bytes > limit)
          next(new AnchorError("INPUT_TOO_LARGE", `a contribution to this key has at most ${limit} bytes`));
        else next(null, chunk);
      },
    });
    const input = typeof source === "string" ? createReadStream(source) : source;
    try {
      await pipeline(input, meter, createWriteStream(path, { flags: "wx", mode: 0o600 }), signal ? { signal } : {});
      return path;
    } catch (error) {
      await rm(path, { force: true });
      throwIfAborted(signal);
      const missing = typeof source === "string" && (error as NodeJS.ErrnoException).code === "ENOENT";
      throw toAnchorError(error, missing ? "FILE_NOT_FOUND" : "FILE_UNREADABLE", "cannot take in the key file");
    }
  }

  /** Writes the final key, its verifying key and the manifest, for everybody. @throws CEREMONY_REFUSED before the end */
  async publish(directory: string): Promise<void> {
    const { ceremony } = await this.read();
    if (!ceremony.final) refuse("unfinished", "the ceremony has not ended: finalize it first");
    await ensureDirectory(directory);
    const beside = join(directory, `final.zkey.${randomBytes(6).toString("hex")}.part`);
    try {
      await copyFile(await this.keyPath(), beside);
      await settle(beside, join(directory, "final.zkey"));
    } catch (error) {
      throw toAnchorError(error, "FILE_UNREADABLE", `cannot write ${join(directory, "final.zkey")}`);
    } finally {
      await rm(beside, { force: true });
    }
    const key = JSON.stringify(verifyingKeyToJson(ceremony.final.verifyingKey), null, 1);
    await writeWhole(join(directory, "verification_key.json"), `${key}\n`);
    await writeWhole(join(directory, "manifest.json"), manifestText(ceremony));
  }

  #refuseFinished({ ceremony }: Snapshot): void {
    if (ceremony.final) refuse("finished", "the ceremony has ended");
  }

  #refuseRepeated({ contributions, events }: Ceremony, member: Hex): void {
    if (contributions.some((other) => other.member === member)) refuse("repeated", `${member} has contributed before`);
    if (events.some((event) => event.member === member && event.kind === "rejected")) {
      refuse("rejected", `${member} handed in a contribution that does not hold, and takes no further part`);
    }
  }

  /**
   * Takes steps until one is `wanted`, each decided on what is there when it is taken.
   *
   * @param decide `undefined` for no step
   */
  async #append(
    decide: (snapshot: Snapshot) => Step | undefined,
    wanted: (step: Step) => boolean = () => true,
  ): Promise<{ snapshot: Snapshot; step: Step | undefined }> {
    for (;;) {
      const snapshot = await this.read();
      const step = decide(snapshot);
      if (!step) return { snapshot, step };
      if (step.type === "event" && snapshot.ceremony.events.length >= MAX_EVENTS) {
        refuse("late", `${MAX_EVENTS} events are noted: the manifest has no room for more`);
      }
      const target = this.#stepPath(snapshot.steps);
      const beside = await this.incoming();
      try {
        await writeDurably(beside, `${JSON.stringify(stepToJson(step), null, 2)}\n`);
        await link(beside, target);
        await syncFolder(dirname(target));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "EEXIST") continue;
        throw toAnchorError(error, "FILE_UNREADABLE", `cannot write ${target}`);
      } finally {
        await rm(beside, { force: true });
      }
      if (wanted(step)) return { snapshot, step };
    }
  }

  #stepPath(index: number): string {
    return join(this.directory, "steps", `${String(index).padStart(6, "0")}.json`);
  }

  async #writeManifest(): Promise<void> {
    await writeWhole(join(this.directory, "manifest.json"), manifestText((await this.read()).ceremony));
  }

  /** Removes keys that nobody builds on any more, and what dead processes left behind. */
  async #clean(): Promise<void> {
    const current = basename(await this.keyPath());
    const keys = join(this.directory, "keys");
    // A key is put there before its step is taken, perhaps by another process at this moment.
    for (const name of await readdir(keys)) {
      if (name !== current && (await ageOf(join(keys, name))) > 60_000) await rm(join(keys, name), { force: true });
    }
    const incoming = join(this.directory, "incoming");
    for (const name of await readdir(incoming).catch(() => [])) {
      const pid = Number(/^(\d+)-/.exec(name)?.[1]);
      if (!isAlive(pid)) await rm(join(incoming, name), { force: true });
    }
  }
}

/** What a member signed beside the key file must be what the file says. */
function checkWords(circuitHash: Hex, contribution: CeremonyContribution, made: Contribution): void {
  // The record is not signed, and follows from the file: it need not have been the member who changed it.
  if (recordOf(circuitHash, made) !== contribution.record) {
    invalid("record", "contribution.record", "is not that of the key file: send it again");
  }
  if (made.hash !== contribution.hash || (made.name ?? "") !== contribution.name) {
    throw contributionInvalid(
      "malformed",
      "the hash or the name that was signed is not that of the key that was signed",
    );
  }
}

/** Throws CEREMONY_REFUSED; `fault` is a stable word for why. */
export function refuse(fault: string, message: string, details: Record<string, unknown> = {}): never {
  throw new AnchorError("CEREMONY_REFUSED", message, { details: { fault, ...details } });
}

/** Proving keys hold a model's weights: nobody else on the machine is to read them. */
function make(directory: string): Promise<void> {
  return ensureDirectory(directory, 0o700);
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function ageOf(path: string): Promise<number> {
  return stat(path).then(
    ({ mtimeMs }) => Date.now() - mtimeMs,
    () => 0,
  );
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function keyName(keySha256: Hex): string {
  return `${keySha256.slice(2)}.zkey`;
}

export function sha256(bytes: Uint8Array): Hex {
  return `0x${createHash("sha256").update(bytes).digest("hex")}`;
}

export function unixTime(): bigint {
  return BigInt(Math.floor(Date.now() / 1000));
}
