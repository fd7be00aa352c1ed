/**
 * A ceremony's coordinator over HTTP: gives members their turns, the current key, and takes in what they made of it.
 *
 *     GET  /v1/manifest      the manifest so far
 *     GET  /v1/status        how many contributed, and whose turn it is
 *     POST /v1/turn          {member, time, nonce, signature} → {token, index, deadline, keySha256, keyBytes}
 *     GET  /v1/key           the current key; for the holder of the turn
 *     POST /v1/contribution  what a member signs; for the holder of the turn
 *     PUT  /v1/key           the key that was signed; 202, it is then checked
 *     GET  /v1/contribution  {state: open | uploading | checking | accepted | rejected}
 *
 * The holder of the turn shows its token as `Authorization: Bearer`. A token alone cannot harm its member: nothing is
 * held against anybody that they did not sign, and the signature covers the key file. Errors are JSON: code, message,
 * details. State is in the folder, see `ceremonyState.ts`: after a crash a turn goes on, with its upload made again.
 *
 * The link is not encrypted here, and proving keys hold a model's weights: on a network, put TLS or a tunnel before it.
 *
 * @module
 */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { pipeline } from "node:stream/promises";
import { AnchorError, type ErrorCode, throwIfAborted, toAnchorError } from "../errors.js";
import { assertHex, fromHex, type Hex } from "../field/bytes.js";
import { parseDocument } from "../protocol/document.js";
import { readInteger, readObject } from "../protocol/eip712.js";
import { type ContributionPackage, packageFromJson } from "./ceremony.js";
import { manifestText } from "./ceremonyCheck.js";
import { type CeremonyState, refuse, sha256 } from "./ceremonyState.js";

/** Most bytes of a JSON body: a contribution is about 2 KB. */
const MAX_BODY = 16 * 1024;
const MAX_HEADERS = 8 * 1024;
const MAX_CONNECTIONS = 128;
/** For a request's headers, and for the body of one that is not an upload. */
const SMALL_REQUEST_MS = 10_000;
/** A connection on which nothing moves for this long is closed. */
const IDLE_MS = 60_000;
const LINGER_MS = 500;
const DEFAULT_TURN_SECONDS = 3600;
/** Results that are kept for members who ask again: each contributes once. */
const MAX_RESULTS = 512;

/** What the outside may see of a failure; the rest are the coordinator's own troubles. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  INPUT_INVALID: 400,
  JSON_MALFORMED: 400,
  FORMAT_UNSUPPORTED: 400,
  CEREMONY_INVALID: 422,
  CONTRIBUTION_INVALID: 422,
  KEY_MALFORMED: 422,
  KEY_FORGEABLE: 422,
  SIGNATURE_INVALID: 403,
  CEREMONY_REFUSED: 409,
  INPUT_TOO_LARGE: 413,
};

export interface CoordinatorOptions {
  state: CeremonyState;
  /** 127.0.0.1 unless told. */
  host?: string | undefined;
  /** Any free one unless told. */
  port?: number | undefined;
  /** How long a member has for download, contribution and upload; an hour unless told. */
  turnSeconds?: number | undefined;
  threads?: number | undefined;
  /** Stops it. */
  signal?: AbortSignal | undefined;
  /** What happens, in words, for a log. */
  onEvent?: ((text: string) => void) | undefined;
  /** Milliseconds; for tests. */
  limits?: { smallRequestMs?: number; idleMs?: number } | undefined;
}

export interface Coordinator {
  url: string;
  /** Ends open requests, waits for a check that is running to stop. */
  close(): Promise<void>;
}

/** What goes on in one turn. */
interface Session {
  member: Hex;
  given?: ContributionPackage | undefined;
  state: "open" | "uploading" | "checking" | "accepted" | "rejected";
  progress: number;
  error?: AnchorError | undefined;
  /** Ends an upload when the next one begins. */
  upload?: AbortController | undefined;
}

/** @throws CEREMONY_INVALID, INPUT_INVALID for a host or port that cannot be had */
export async function startCoordinator(options: CoordinatorOptions): Promise<Coordinator> {
  throwIfAborted(options.signal);
  const handler = new Handler(options);
  await options.state.read(); // a damaged folder shows at once
  const server = createServer({
    maxHeaderSize: MAX_HEADERS,
    headersTimeout: handler.smallRequestMs,
    requestTimeout: 0, // uploads end with their turn, everything else is bounded by the handler
    connectionsCheckingInterval: Math.min(5_000, handler.smallRequestMs),
    keepAliveTimeout: 5_000,
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.setTimeout(options.limits?.idleMs ?? IDLE_MS, (socket) => socket.destroy());
  server.on("request", (request, response) => void handler.handle(request, response));
  server.on("clientError", (_, socket) => socket.destroy());
  const { host, port } = await listen(server, options.host ?? "127.0.0.1", options.port ?? 0);
  const close = async (): Promise<void> => {
    options.signal?.removeEventListener("abort", close);
    handler.stop();
    const closed = new Promise((done) => server.close(done));
    server.closeAllConnections();
    await closed;
    await handler.settled();
  };
  options.signal?.addEventListener("abort", close, { once: true });
  if (options.signal?.aborted) await close();
  return { url: `http://${host.includes(":") ? `[${host}]` : host}:${port}`, close };
}

function listen(server: Server, host: string, port: number): Promise<{ host: string; port: number }> {
  return new Promise((done, fail) => {
    server.once("error", (error) => fail(toAnchorError(error, "INPUT_INVALID", `cannot listen on ${host}:${port}`)));
    server.listen(port, host, () => {
      const { address, port: given } = server.address() as AddressInfo;
      done({ host: address, port: given });
    });
  });
}

class Handler {
  readonly smallRequestMs: number;
  readonly #state: CeremonyState;
  readonly #turnSeconds: bigint;
  readonly #threads: number | undefined;
  readonly #log: (text: string) => void;
  readonly #stopped = new AbortController();
  /** By the hash of the turn's token. */
  readonly #sessions = new Map<Hex, Session>();
  /** Checks and uploads that run. */
  readonly #running = new Set<Promise<unknown>>();

  constructor({ state, turnSeconds, threads, onEvent, limits }: CoordinatorOptions) {
    const seconds = turnSeconds ?? DEFAULT_TURN_SECONDS;
    if (!Number.isSafeInteger(seconds) || seconds < 1 || seconds > 30 * 86_400) {
      throw new AnchorError("INPUT_INVALID", "a turn lasts from a second to 30 days");
    }
    this.#state = state;
    this.#turnSeconds = BigInt(seconds);
    this.#threads = threads;
    this.#log = onEvent ?? (() => {});
    this.smallRequestMs = limits?.smallRequestMs ?? SMALL_REQUEST_MS;
  }

  stop(): void {
    this.#stopped.abort();
  }

  async settled(): Promise<void> {
    await Promise.allSettled(this.#running);
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const work = this.#route(request, response).catch((error: unknown) => this.#fail(response, error));
    this.#running.add(work);
    await work;
    this.#running.delete(work);
    // What is left of a body that nobody wants is not waited for; the answer gets a moment to arrive.
    if (!request.complete) setTimeout(() => request.destroy(), LINGER_MS).unref();
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path] = (request.url ?? "").split("?", 1);
    switch (`${request.method} ${path}`) {
      case "GET /v1/manifest": {
        const { ceremony } = await this.#state.expire(this.#checking());
        return answer(response, 200, manifestText(ceremony));
      }
      case "GET /v1/status":
        return answer(response, 200, await this.#status());
      case "POST /v1/turn":
        return answer(response, 200, await this.#turn(await this.#body(request)));
      case "GET /v1/key":
        return this.#sendKey(request, response);
      case "POST /v1/contribution":
        return answer(response, 200, await this.#announce(request));
      case "PUT /v1/key":
        return answer(response, 202, await this.#upload(request));
      case "GET /v1/contribution":
        return answer(response, 200, await this.#result(request));
      default:
        return answer(response, 404, { code: "INPUT_INVALID", message: "there is nothing here", details: {} });
    }
  }

  async #status(): Promise<unknown> {
    const { ceremony, turn } = await this.#state.expire(this.#checking());
    return {
      ceremony: this.#state.id,
      name: ceremony.head.name,
      contributions: String(ceremony.contributions.length),
      minimum: String(ceremony.head.minimum),
      turn: turn ? { member: turn.member, deadline: turn.deadline.toString() } : null,
      finished: ceremony.final !== undefined,
    };
  }

  async #turn(json: unknown): Promise<unknown> {
    const record = readObject(json, ["member", "time", "nonce", "signature"], "INPUT_INVALID", "turn");
    const { member, nonce, signature } = record;
    assertHex(member, "member", 20);
    assertHex(nonce, "nonce", 32);
    const time = readInteger(record["time"], 64, "INPUT_INVALID", "turn.time");
    const request = { member, nonce, time, signature };
    const { token, index, deadline, keySha256 } = await this.#state.requestTurn(
      request,
      this.#turnSeconds,
      this.#checking(),
    );
    // An earlier token of the same turn is void with this.
    for (const session of this.#sessions.values()) if (session.member === member) session.upload?.abort();
    this.#log(`turn ${index + 1}: ${member}`);
    const { size } = await stat(await this.#state.keyPath());
    return { token, index: String(index), deadline: deadline.toString(), keySha256, keyBytes: String(size) };
  }

  async #sendKey(request: IncomingMessage, response: ServerResponse): Promise<void> {
    await this.#holder(request);
    const path = await this.#state.keyPath();
    const { size } = await stat(path);
    response.writeHead(200, { "content-type": "application/octet-stream", "content-length": size });
    await pipeline(createReadStream(path), response, { signal: this.#stopped.signal });
  }

  /** Step one of handing in: what was signed. */
  async #announce(request: IncomingMessage): Promise<unknown> {
    const { session } = await this.#holder(request);
    const given = packageFromJson(await this.#body(request));
    if (given.contribution.member !== session.member) refuse("turn", "this is another member's turn");
    await this.#state.checkPackage(given);
    if (session.state !== "open") refuse("turn", `the contribution is ${session.state} already`);
    session.given = given;
    return { state: session.state };
  }

  /** Step two: the key. It is checked after the answer, which may take long. */
  async #upload(request: IncomingMessage): Promise<unknown> {
    const { session, deadline } = await this.#holder(request);
    const { given } = session;
    if (!given) return refuse("turn", "say first what the contribution is (POST /v1/contribution)");
    // A connection may be dead without our knowing it: the later upload counts.
    if (session.state === "uploading") session.upload!.abort();
    else if (session.state !== "open") refuse("turn", `the contribution is ${session.state} already`);
    const upload = new AbortController();
    session.upload = upload;
    session.state = "uploading";
    let file: string;
    const timer = setTimeout(() => upload.abort(), Math.max(0, Number(deadline) * 1000 - Date.now()));
    try {
      const signal = AbortSignal.any([upload.signal, this.#stopped.signal]);
      file = await this.#state.receive(request, { signal });
    } catch (error) {
      if (session.upload === upload) session.state = "open";
      throw error;
    } finally {
      clearTimeout(timer);
    }
    if (session.upload !== upload) return refuse("turn", "another upload began");
    session.state = "checking";
    const check = this.#check(session, given, file);
    this.#running.add(check);
    void check.finally(() => this.#running.delete(check));
    return { state: session.state };
  }

  async #check(session: Session, given: ContributionPackage, file: string): Promise<void> {
    const { member } = given.contribution;
    try {
      await this.#state.accept(given, file, {
        signal: this.#stopped.signal,
        threads: this.#threads,
        onProgress: (done) => {
          session.progress = done;
        },
      });
      session.state = "accepted";
      this.#log(`accepted: contribution ${given.index + 1} by ${member}`);
    } catch (error) {
      const known = toAnchorError(error, "INTERNAL", "the contribution cannot be checked");
      session.error = STATUS[known.code] ? known : hidden();
      // Damaged on the way, or a trouble of ours: the turn goes on, and the upload can be made again.
      const again = known.code === "CEREMONY_INVALID" || !STATUS[known.code];
      session.state = again ? "open" : "rejected";
      this.#log(`${again ? "not taken" : "rejected"}: ${member}: ${known.code}: ${known.message}`);
    }
  }

  async #result(request: IncomingMessage): Promise<unknown> {
    const tokenHash = tokenHashOf(request);
    // A result can be asked for after its turn.
    const session = this.#sessions.get(tokenHash) ?? (await this.#holder(request)).session;
    const { state, progress, error } = session;
    return { state, progress: progress.toFixed(3), ...(error ? { error: error.toJSON() } : {}) };
  }

  /** The turn whose token a request shows. @throws CEREMONY_REFUSED (turn) */
  async #holder(request: IncomingMessage): Promise<{ session: Session; deadline: bigint }> {
    const tokenHash = tokenHashOf(request);
    const { turn } = await this.#state.expire(this.#checking());
    if (turn?.tokenHash !== tokenHash) refuse("turn", "this token holds no turn: it ran out, or was replaced");
    let session = this.#sessions.get(tokenHash);
    if (!session) {
      session = { member: turn!.member, state: "open", progress: 0 };
      this.#sessions.set(tokenHash, session);
      const [oldest] = this.#sessions.keys();
      if (this.#sessions.size > MAX_RESULTS) this.#sessions.delete(oldest!);
    }
    return { session, deadline: turn!.deadline };
  }

  /** The turn that must not run out: its contribution is being checked. */
  #checking(): Hex | undefined {
    for (const [tokenHash, { state }] of this.#sessions) if (state === "checking") return tokenHash;
    return undefined;
  }

  /** @throws INPUT_TOO_LARGE, INPUT_INVALID, JSON_MALFORMED */
  async #body(request: IncomingMessage): Promise<unknown> {
    const timer = setTimeout(() => request.destroy(), this.smallRequestMs);
    try {
      const parts: Buffer[] = [];
      let bytes = 0;
      for await (const part of request as AsyncIterable<Buffer>) {
        bytes += part.length;
        if (bytes > MAX_BODY) throw new AnchorError("INPUT_TOO_LARGE", `a request has at most ${MAX_BODY} bytes`);
        parts.push(part);
      }
      return parseDocument(new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(parts)));
    } catch (error) {
      throw toAnchorError(error, "INPUT_INVALID", "the request's body cannot be read");
    } finally {
      clearTimeout(timer);
    }
  }

  #fail(response: ServerResponse, error: unknown): void {
    const known = toAnchorError(error, "INTERNAL", "the coordinator failed");
    const status = STATUS[known.code];
    if (status === undefined && !this.#stopped.signal.aborted && known.code !== "ABORTED") {
      this.#log(`${known.code}: ${known.message}`);
    }
    if (response.headersSent || response.destroyed) response.destroy();
    else answer(response, status ?? 500, status ? known.toJSON() : hidden().toJSON());
  }
}

/** Paths and the like are nobody's business. */
function hidden(): AnchorError {
  return new AnchorError("INTERNAL", "the coordinator failed: its operator's log says why");
}

function tokenHashOf(request: IncomingMessage): Hex {
  const match = /^Bearer (0x[0-9a-f]{64})$/.exec(request.headers.authorization ?? "");
  if (!match) return refuse("turn", "this needs the token of a turn");
  return sha256(fromHex(match[1], "token", 32));
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  const text =
    typeof body === "string"
      ? body
      : JSON.stringify(body, (_, value) => (typeof value === "bigint" ? value.toString() : value));
  const bytes = Buffer.from(text);
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": bytes.length,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  response.end(bytes);
}
