/**
 * A member's side of a ceremony: look at the manifest, add a secret to the current key, sign what came out; over files,
 * or with a coordinator.
 *
 * The coordinator is not trusted. What it sends is checked before the member signs anything: the manifest's signatures
 * and chain, that the key's own record is the manifest's, and, with circuit and powers of tau at hand, the whole key.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as delay } from "node:timers/promises";
import { AnchorError, ERROR_CODES, type ErrorCode, isAnchorError, throwIfAborted, toAnchorError } from "../errors.js";
import { assertHex, type Hex, toHex } from "../field/bytes.js";
import { parseDocument } from "../protocol/document.js";
import { readObject } from "../protocol/eip712.js";
import { accountOf, signDigest } from "../protocol/signature.js";
import {
  type Ceremony,
  type ContributionPackage,
  ceremonyFromJson,
  ceremonyId,
  checkCeremony,
  invalid,
  lastTime,
  later,
  packageToJson,
  recordOf,
  signContribution,
  turnDigest,
} from "./ceremony.js";
import { checkSameTranscript, describeCircuit, sha256File } from "./ceremonyCheck.js";
import { refuse, unixTime } from "./ceremonyState.js";
import { contribute, type LongWork, verifyPhase2 } from "./phase2.js";
import { ptauDigest } from "./ptau.js";
import { readZkeyHeader } from "./zkey.js";

const MAX_ANSWER = 16 * 1024 * 1024;
/** Largest key that is downloaded unless told: 2^28 rows are about 200 GB, what people use is far below this. */
const MAX_KEY_BYTES = 32 * 2 ** 30;
const POLL_MS = 2000;
const ATTEMPTS = 3;

export interface MemberOptions extends LongWork {
  /** 32 bytes; its account must be a member's. */
  secretKey: Hex;
  /** Stands in the key, at most 64 characters. */
  name?: string | undefined;
  /** Mixed into what the operating system gives. */
  entropy?: string | Uint8Array | undefined;
  /** The ceremony that it must be. */
  ceremonyId?: Hex | undefined;
  /** The member's own circuit and powers of tau, by which the key is checked completely before it is signed. */
  r1csPath?: string | undefined;
  ptauPath?: string | undefined;
  /**
   * Contribute without them. The signature then says so, and no verifier has reason to rely on it: a point that somebody
   * slipped into the key comes out divided by the secret, and helps them to forge.
   */
  unchecked?: boolean | undefined;
  now?: (() => bigint) | undefined;
}

/**
 * Contributes to a key file.
 *
 * @param to must not exist
 * @returns what goes to the coordinator beside the new key
 * @throws INPUT_INVALID without circuit and powers of tau, unless `unchecked`; CEREMONY_REFUSED (finished, member,
 *         repeated), CEREMONY_INVALID, CONTRIBUTION_INVALID; of a key that is not the
 *         circuit's what `verifyPhase2` throws; ABORTED
 */
export async function contributeToFile(
  options: MemberOptions & { manifest: unknown; from: string; to: string },
): Promise<ContributionPackage> {
  const { manifest, from, to, secretKey, name, entropy, signal, onProgress, threads } = options;
  const checks = options.r1csPath !== undefined && options.ptauPath !== undefined;
  if (checks === (options.unchecked === true)) {
    throw new AnchorError(
      "INPUT_INVALID",
      "contribute with your own circuit and powers of tau, or say that it is unchecked",
    );
  }
  const ceremony = ceremonyFromJson(manifest);
  const { id, transcript } = await checkCeremony(ceremony, { signal });
  const { head, contributions, final } = ceremony;
  if (options.ceremonyId !== undefined && options.ceremonyId !== id) {
    invalid("foreign", "manifest.head", `is that of ceremony ${id}, not of ${options.ceremonyId}`);
  }
  const member = accountOf(secretKey);
  if (final) refuse("finished", "the ceremony has ended");
  if (!head.members.includes(member)) refuse("member", `your account ${member} is not a member of this ceremony`);
  if (contributions.some((other) => other.member === member)) refuse("repeated", "you have contributed before");
  checkSameTranscript(transcript, (await readZkeyHeader(from)).transcript);

  // Below, a file that was begun is removed again: it must not be somebody's.
  if (await stat(to).catch(() => undefined)) throw new AnchorError("INPUT_INVALID", `${to} exists: name a new file`);
  const work = { signal, threads };
  const half = (offset: number) => (done: number) => onProgress?.(checks ? offset + done / 2 : done);
  try {
    const made = await contribute({
      from,
      to,
      ...(name === undefined || name === "" ? {} : { name }),
      ...(entropy === undefined ? {} : { entropy }),
      ...work,
      onProgress: half(0),
    });
    if (checks) await checkKey(ceremony, options.r1csPath!, options.ptauPath!, to, { ...work, onProgress: half(0.5) });
    const contribution = signContribution(
      ceremony,
      {
        member,
        name: made.name ?? "",
        hash: made.hash,
        record: recordOf(head.circuitHash, made),
        keySha256: await sha256File(to, signal),
        checked: checks,
        // Times do not run backwards in a manifest; another member's clock may be a little ahead.
        time: later((options.now ?? unixTime)(), lastTime(ceremony)),
      },
      secretKey,
    );
    return { ceremony: id, index: contributions.length, contribution };
  } catch (error) {
    await rm(to, { force: true });
    throw error;
  }
}

/** The whole key, with one's own contribution in it, from circuit and powers of tau. */
async function checkKey(
  { head }: Ceremony,
  r1csPath: string,
  ptauPath: string,
  zkeyPath: string,
  work: LongWork,
): Promise<void> {
  const circuit = await describeCircuit(r1csPath, work.signal);
  if (circuit.digest !== head.circuit.digest) invalid("circuit", r1csPath, "is not the ceremony's circuit");
  if ((await ptauDigest(ptauPath, head.circuit.power, { signal: work.signal })) !== head.powersOfTau.digest) {
    invalid("ptau", ptauPath, "holds other powers of tau than the ceremony's");
  }
  await verifyPhase2({ r1csPath, ptauPath, zkeyPath, ...work });
}

export type Phase = "waiting" | "downloading" | "contributing" | "uploading" | "checking";

export interface HttpMemberOptions extends Omit<MemberOptions, "onProgress"> {
  url: string;
  /** Where the keys lie meanwhile; a folder of its own under the system's temporary one unless told. */
  directory?: string | undefined;
  /** Whether to wait for one's turn while it is somebody else's; true unless told. */
  wait?: boolean | undefined;
  onProgress?: ((phase: Phase, done: number) => void) | undefined;
  maxKeyBytes?: number | undefined;
  fetch?: typeof globalThis.fetch | undefined;
  pollMs?: number | undefined;
}

/**
 * Contributes through a coordinator: waits for the turn, downloads the key, contributes, uploads, waits for the verdict.
 *
 * @returns what was signed, and the manifest that has it
 * @throws as {@link contributeToFile}; COORDINATOR_UNAVAILABLE; what the coordinator refuses with; ABORTED
 */
export async function contributeOverHttp(
  options: HttpMemberOptions,
): Promise<{ given: ContributionPackage; ceremony: Ceremony }> {
  const { signal, onProgress } = options;
  const client = new CoordinatorClient(options.url, options.fetch ?? globalThis.fetch, signal);
  const ownFolder = options.directory === undefined;
  const folder = options.directory ?? (await mkdtemp(join(tmpdir(), "anchorproof-ceremony-")));
  const name = randomBytes(6).toString("hex");
  const [from, to] = [join(folder, `current-${name}.zkey`), join(folder, `next-${name}.zkey`)];
  try {
    const turn = await takeTurn(client, options);
    const { keyBytes } = turn;
    if (keyBytes > (options.maxKeyBytes ?? MAX_KEY_BYTES)) {
      throw new AnchorError("INPUT_TOO_LARGE", `the coordinator's key has ${keyBytes} bytes: more than you allow`);
    }
    await client.download("/v1/key", turn.token, from, keyBytes, (done) => onProgress?.("downloading", done));
    if ((await sha256File(from, signal)) !== turn.keySha256) {
      throw new AnchorError("COORDINATOR_UNAVAILABLE", "the key was damaged on the way: run this again");
    }
    const given = await contributeToFile({
      ...options,
      manifest: (await client.manifest()).json,
      from,
      to,
      onProgress: (done) => onProgress?.("contributing", done),
    });
    await handIn(client, turn.token, given, to, options);
    const { ceremony } = await client.manifest();
    await checkCeremony(ceremony, { signal });
    const { signature } = given.contribution;
    if (ceremonyId(ceremony.head) !== given.ceremony || ceremony.contributions[given.index]?.signature !== signature) {
      throw new AnchorError(
        "COORDINATOR_UNAVAILABLE",
        "the coordinator says it took the contribution; its manifest lacks it",
      );
    }
    return { given, ceremony };
  } finally {
    await rm(ownFolder ? folder : from, { recursive: true, force: true });
    if (!ownFolder) await rm(to, { force: true });
  }
}

async function takeTurn(
  client: CoordinatorClient,
  options: HttpMemberOptions,
): Promise<{ token: Hex; keySha256: Hex; keyBytes: number }> {
  const { secretKey, signal, onProgress } = options;
  const now = options.now ?? unixTime;
  const member = accountOf(secretKey);
  const { ceremony } = await client.manifest();
  const id = ceremonyId(ceremony.head);
  if (options.ceremonyId !== undefined && options.ceremonyId !== id) {
    invalid("foreign", "the coordinator", `holds ceremony ${id}, not ${options.ceremonyId}`);
  }
  for (;;) {
    const time = now();
    const nonce = toHex(randomBytes(32));
    const signature = signDigest(secretKey, turnDigest(id, { time, nonce }));
    try {
      const answer = await client.call("POST", "/v1/turn", { member, time: time.toString(), nonce, signature });
      const code = "COORDINATOR_UNAVAILABLE";
      const turn = readObject(answer, ["token", "index", "deadline", "keySha256", "keyBytes"], code, "turn");
      const { token, keySha256 } = turn;
      assertHex(token, "token", 32);
      assertHex(keySha256, "keySha256", 32);
      const keyBytes = Number(turn["keyBytes"]);
      if (!Number.isSafeInteger(keyBytes) || keyBytes <= 0) throw new AnchorError(code, "the key's size is no number");
      return { token, keySha256, keyBytes };
    } catch (error) {
      const busy = isAnchorError(error, "CEREMONY_REFUSED") && error.details["fault"] === "busy";
      if (!busy || options.wait === false) throw error;
      onProgress?.("waiting", 0);
      await pause(options.pollMs ?? POLL_MS, signal);
    }
  }
}

/** Uploads and waits for the verdict; an upload that a broken line or a restart undid is made again. */
async function handIn(
  client: CoordinatorClient,
  token: Hex,
  given: ContributionPackage,
  file: string,
  { signal, onProgress, pollMs }: HttpMemberOptions,
): Promise<void> {
  let failure: unknown;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    try {
      await client.call("POST", "/v1/contribution", packageToJson(given), token);
      await client.upload("/v1/key", token, file, (done) => onProgress?.("uploading", done));
      for (;;) {
        const result = (await client.call("GET", "/v1/contribution", undefined, token)) as Record<string, unknown>;
        const { state, progress } = result;
        if (state === "accepted") return;
        const error = result["error"] === undefined ? undefined : errorOf(result["error"]);
        if (state === "rejected")
          throw error ?? new AnchorError("COORDINATOR_UNAVAILABLE", "rejected without a reason");
        if (state === "open") {
          failure = error;
          break;
        }
        onProgress?.("checking", Number(progress) || 0);
        await pause(pollMs ?? POLL_MS, signal);
      }
    } catch (error) {
      const lost = isAnchorError(error, "CEREMONY_REFUSED") && error.details["fault"] === "turn";
      // After a restart nobody knows the token of a turn that was used: the manifest says how it went.
      if (lost || isAnchorError(error, "COORDINATOR_UNAVAILABLE")) {
        const listed = await client.manifest().then(
          ({ ceremony }) => ceremony.contributions.some(({ hash }) => hash === given.contribution.hash),
          () => false,
        );
        if (listed) return;
      }
      if (!isAnchorError(error, "COORDINATOR_UNAVAILABLE")) throw error;
      failure = error;
      await pause(pollMs ?? POLL_MS, signal);
    }
  }
  throw failure ?? new AnchorError("COORDINATOR_UNAVAILABLE", "the upload did not arrive");
}

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await delay(ms, undefined, signal ? { signal } : {}).catch(() => {});
  throwIfAborted(signal);
}

/** The coordinator's protocol from the outside; nothing that it answers is believed. */
export class CoordinatorClient {
  readonly #base: string;
  readonly #fetch: typeof globalThis.fetch;
  readonly #signal: AbortSignal | undefined;

  /** @throws INPUT_INVALID */
  constructor(url: string, fetch: typeof globalThis.fetch = globalThis.fetch, signal?: AbortSignal) {
    let parsed: URL;
    try {
      parsed = new URL(url);
    } catch (cause) {
      throw new AnchorError("INPUT_INVALID", `${url} is not a URL`, { cause });
    }
    if (parsed.protocol !== "http:" && parsed.protocol !== "https:") {
      throw new AnchorError("INPUT_INVALID", "a coordinator has a http: or https: URL");
    }
    this.#base = parsed.href.replace(/\/+$/, "");
    this.#fetch = fetch;
    this.#signal = signal;
  }

  /** The manifest, read strictly. @throws CEREMONY_INVALID, COORDINATOR_UNAVAILABLE */
  async manifest(): Promise<{ json: unknown; ceremony: Ceremony }> {
    const json = await this.call("GET", "/v1/manifest");
    return { json, ceremony: ceremonyFromJson(json) };
  }

  /** One small request. @throws what the coordinator answers; COORDINATOR_UNAVAILABLE */
  async call(method: "GET" | "POST", path: string, body?: unknown, token?: Hex): Promise<unknown> {
    const response = await this.#send(path, {
      method,
      headers: { ...authorization(token), ...(body === undefined ? {} : { "content-type": "application/json" }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return this.#read(response);
  }

  /** @throws COORDINATOR_UNAVAILABLE, FILE_UNREADABLE */
  async download(
    path: string,
    token: Hex,
    to: string,
    bytes: number,
    onProgress: (done: number) => void,
  ): Promise<void> {
    const response = await this.#send(path, { headers: authorization(token) });
    if (!response.ok || !response.body) {
      await this.#read(response);
      throw unavailable("it sends no key");
    }
    let received = 0;
    const counted = async function* (source: AsyncIterable<Uint8Array>) {
      for await (const part of source) {
        received += part.length;
        if (received > bytes) throw unavailable("it sends more than the key");
        onProgress(received / bytes);
        yield part;
      }
      if (received !== bytes) throw unavailable("the key breaks off");
    };
    const target = createWriteStream(to, { flags: "wx", mode: 0o600 });
    const input = Readable.fromWeb(response.body as Parameters<typeof Readable.fromWeb>[0]);
    try {
      await pipeline(input, counted, target, this.#signal ? { signal: this.#signal } : {});
    } catch (error) {
      throwIfAborted(this.#signal);
      const local = typeof (error as NodeJS.ErrnoException).path === "string";
      throw toAnchorError(error, local ? "FILE_UNREADABLE" : "COORDINATOR_UNAVAILABLE", "the download failed");
    }
  }

  /** @throws what the coordinator answers; COORDINATOR_UNAVAILABLE */
  async upload(path: string, token: Hex, file: string, onProgress: (done: number) => void): Promise<unknown> {
    const { size } = await stat(file);
    let sent = 0;
    const parts = async function* () {
      for await (const part of createReadStream(file) as AsyncIterable<Buffer>) {
        yield part;
        sent += part.length;
        onProgress(sent / size);
      }
    };
    const response = await this.#send(path, {
      method: "PUT",
      headers: { ...authorization(token), "content-type": "application/octet-stream", "content-length": String(size) },
      body: Readable.toWeb(Readable.from(parts(), { objectMode: false })) as unknown as ReadableStream,
      duplex: "half",
    } as RequestInit);
    return this.#read(response);
  }

  async #send(path: string, init: RequestInit): Promise<Response> {
    throwIfAborted(this.#signal);
    try {
      // A redirect would carry the token to somebody else.
      const signal = this.#signal ? { signal: this.#signal } : {};
      return await this.#fetch(`${this.#base}${path}`, { ...init, ...signal, redirect: "error" });
    } catch (error) {
      throwIfAborted(this.#signal);
      const { cause } = error as { cause?: { code?: unknown; message?: unknown } };
      const reason = cause?.code ?? cause?.message ?? (error as Error).message;
      throw new AnchorError("COORDINATOR_UNAVAILABLE", `${this.#base} does not answer: ${String(reason)}`, {
        cause: error,
      });
    }
  }

  async #read(response: Response): Promise<unknown> {
    let text = "";
    try {
      const decoder = new TextDecoder("utf-8", { fatal: true });
      for await (const part of (response.body ?? []) as AsyncIterable<Uint8Array>) {
        text += decoder.decode(part, { stream: true });
        if (text.length > MAX_ANSWER) throw new Error("it is too long");
      }
      text += decoder.decode();
    } catch (error) {
      throwIfAborted(this.#signal);
      throw toAnchorError(error, "COORDINATOR_UNAVAILABLE", "the coordinator's answer cannot be read");
    }
    let json: unknown;
    try {
      json = parseDocument(text);
    } catch (cause) {
      throw new AnchorError("COORDINATOR_UNAVAILABLE", `${this.#base} is no coordinator: it does not answer in JSON`, {
        cause,
      });
    }
    if (response.ok) return json;
    throw errorOf(json);
  }
}

function authorization(token: Hex | undefined): Record<string, string> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}

function unavailable(reason: string): AnchorError {
  return new AnchorError("COORDINATOR_UNAVAILABLE", `the coordinator fails: ${reason}`);
}

/** An error as the coordinator tells it. */
function errorOf(json: unknown): AnchorError {
  const { code, message, details } = (json ?? {}) as Record<string, unknown>;
  if (typeof code !== "string" || !Object.hasOwn(ERROR_CODES, code) || typeof message !== "string") {
    return unavailable("it answers with an error that is none of its protocol");
  }
  // Its own troubles are not ours.
  const known = code === "INTERNAL" ? "COORDINATOR_UNAVAILABLE" : (code as ErrorCode);
  const plain = typeof details === "object" && details !== null ? (details as Record<string, unknown>) : {};
  return new AnchorError(known, message.slice(0, 1000), { details: plain });
}
