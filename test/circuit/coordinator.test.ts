/** The coordinator: honest members over HTTP, everybody else, and a process that dies at any moment. */
import { once } from "node:events";
import { readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { basename, join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { binFile } from "../../src/circuit/binfile.js";
import {
  ceremonyFromJson,
  ceremonyToJson,
  checkCeremony,
  packageFromJson,
  packageToJson,
  recordOf,
  signContribution,
  turnDigest,
} from "../../src/circuit/ceremony.js";
import { sha256File } from "../../src/circuit/ceremonyCheck.js";
import { CeremonyState, unixTime } from "../../src/circuit/ceremonyState.js";
import {
  CoordinatorClient,
  contributeOverHttp,
  contributeToFile,
  type HttpMemberOptions,
} from "../../src/circuit/contributor.js";
import { type Coordinator, type CoordinatorOptions, startCoordinator } from "../../src/circuit/coordinator.js";
import { type Contribution, encodeTranscript } from "../../src/circuit/transcript.js";
import { readZkeyHeader } from "../../src/circuit/zkey.js";
import { AnchorError } from "../../src/errors.js";
import { type Hex, toHex } from "../../src/field/bytes.js";
import { signDigest } from "../../src/protocol/signature.js";
import type { Party } from "../support/parties.js";
import {
  ALICE,
  ALL,
  type Basis,
  BOB,
  basis,
  begin,
  CAROL,
  DAVE,
  duplicate,
  MALLORY,
  prepare,
  spoil,
  takePart,
} from "./rehearsal.js";
import { code, temporaryFolder } from "./support.js";
import { stopSnarkjs } from "./vendor.js";

let base: Basis;
let clock = 0n;
const now = () => unixTime() + clock;
const running: Coordinator[] = [];

beforeAll(async () => {
  base = await basis();
});
afterEach(async () => {
  for (const coordinator of running.splice(0)) await coordinator.close();
  clock = 0n;
});
afterAll(stopSnarkjs);

async function serve(state: CeremonyState, options: Partial<CoordinatorOptions> = {}): Promise<string> {
  const coordinator = await startCoordinator({ state, turnSeconds: 600, ...options });
  running.push(coordinator);
  return coordinator.url;
}

const member = (url: string, { secretKey }: Party, options: Partial<HttpMemberOptions> = {}) =>
  contributeOverHttp({ url, secretKey, pollMs: 20, now, unchecked: options.r1csPath === undefined, ...options });

/** Code and fault of what a call fails with. */
async function failure(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "accepted";
  } catch (error) {
    if (!(error instanceof AnchorError)) throw error;
    return `${error.code} ${error.details["fault"] ?? ""}`.trim();
  }
}

let nonces = 0;
function turnRequest(state: CeremonyState, { account, secretKey }: Party, changes: Record<string, unknown> = {}) {
  const request = { time: now(), nonce: toHex(new Uint8Array(32).fill(++nonces)), ...changes };
  const signature = signDigest(secretKey, turnDigest(state.id, request));
  return { member: account, nonce: request.nonce, time: request.time.toString(), signature };
}

async function askTurn(state: CeremonyState, url: string, who: Party, changes = {}) {
  const answer = await new CoordinatorClient(url).call("POST", "/v1/turn", turnRequest(state, who, changes));
  return answer as { token: Hex; index: string; keySha256: Hex; keyBytes: string };
}

/** Announces and uploads, and gives what the check says. */
async function handIn(url: string, token: Hex, given: unknown, file: string): Promise<Record<string, unknown>> {
  const client = new CoordinatorClient(url);
  await client.call("POST", "/v1/contribution", given, token);
  await client.upload("/v1/key", token, file, () => {});
  for (;;) {
    const result = (await client.call("GET", "/v1/contribution", undefined, token)) as Record<string, unknown>;
    if (result["state"] !== "checking") return result;
    await new Promise((done) => setTimeout(done, 10));
  }
}

describe("honest members", () => {
  it("contribute one after the other, whoever comes first, and each sees the other's work", async () => {
    const state = await begin(base);
    const url = await serve(state);
    const phases = new Set<string>();
    const results = await Promise.all(
      [ALICE, BOB, CAROL].map((who, i) =>
        member(url, who, { name: `member ${i}`, onProgress: (phase: string) => phases.add(phase) }),
      ),
    );
    expect(results.map(({ given }) => given.index).sort()).toEqual([0, 1, 2]);
    for (const phase of ["waiting", "downloading", "uploading", "checking"]) expect(phases).toContain(phase);
    const { ceremony } = await new CoordinatorClient(url).manifest();
    await checkCeremony(ceremony);
    expect(new Set(ceremony.contributions.map((made) => made.member))).toEqual(new Set(ALL.slice(0, 3)));
    expect(await failure(member(url, ALICE))).toBe("CEREMONY_REFUSED repeated");
    expect(JSON.parse(await readFile(join(state.directory, "manifest.json"), "utf8"))).toEqual(
      ceremonyToJson(ceremony),
    );
    // Nothing but the current key is kept.
    expect(await readdir(join(state.directory, "incoming"))).toEqual([]);
    await state.finalize(base);
    expect(await failure(member(url, DAVE))).toBe("CEREMONY_REFUSED finished");
  });

  it("can check the whole key before they sign, and say which ceremony they mean", async () => {
    const state = await begin(base);
    const url = await serve(state);
    const { r1csPath, ptauPath } = base;
    await member(url, ALICE, { r1csPath, ptauPath, ceremonyId: state.id });
    const other = await begin(base, { members: [ALICE.account, BOB.account] });
    expect(await failure(member(url, BOB, { ceremonyId: other.id }))).toBe("CEREMONY_INVALID foreign");
    expect(await failure(member(url, MALLORY))).toBe("CEREMONY_REFUSED member");
  });

  it("stop on request, and may come again", async () => {
    const state = await begin(base);
    const url = await serve(state);
    const stop = new AbortController();
    const work = member(url, ALICE, { signal: stop.signal, onProgress: () => stop.abort() });
    expect(await failure(work)).toBe("ABORTED");
    expect((await member(url, ALICE)).given.index).toBe(0);
  });
});

describe("turns", () => {
  it("run out: the member is skipped by name, may come again, and not for ever", async () => {
    const state = await begin(base);
    const url = await serve(await CeremonyState.open(state.directory, { now }), { turnSeconds: 60 });
    for (let i = 1; i <= 3; i++) {
      const { token } = await askTurn(state, url, CAROL);
      expect(await failure(askTurn(state, url, ALICE))).toBe("CEREMONY_REFUSED busy");
      expect(await failure(member(url, ALICE, { wait: false }))).toBe("CEREMONY_REFUSED busy");
      clock += 61n;
      const { ceremony } = await new CoordinatorClient(url).manifest();
      expect(ceremony.events.map(({ kind, member: who, fault }) => [kind, who, fault])).toEqual(
        Array(i).fill(["skipped", CAROL.account, "late"]),
      );
      const lost = new CoordinatorClient(url).call("GET", "/v1/contribution", undefined, token);
      expect(await failure(lost)).toBe("CEREMONY_REFUSED turn");
    }
    expect(await failure(askTurn(state, url, CAROL))).toBe("CEREMONY_REFUSED late");
    expect((await member(url, ALICE)).given.index).toBe(0);
  });

  it("are given for a fresh request that the member signed, once", async () => {
    const state = await begin(base);
    const url = await serve(state);
    const client = new CoordinatorClient(url);
    const ask = (body: unknown) => failure(client.call("POST", "/v1/turn", body));
    const honest = turnRequest(state, ALICE);
    expect(await ask({ ...honest, member: BOB.account })).toBe("SIGNATURE_INVALID");
    expect(await ask({ ...honest, nonce: toHex(new Uint8Array(32)) })).toBe("SIGNATURE_INVALID");
    expect(await ask(turnRequest(state, MALLORY))).toBe("CEREMONY_REFUSED member");
    expect(await ask(turnRequest(state, ALICE, { time: now() - 1000n }))).toBe("CEREMONY_REFUSED clock");
    expect(await ask(turnRequest(state, ALICE, { time: now() + 1000n }))).toBe("CEREMONY_REFUSED clock");
    const other = await begin(base, { name: "other" });
    expect(await ask(turnRequest(other, ALICE))).toBe("SIGNATURE_INVALID");
    expect(await ask(honest)).toBe("accepted");
    expect(await ask(honest)).toBe("CEREMONY_REFUSED replayed");
    for (const body of [{}, [], "x", { ...honest, more: 1 }, { ...honest, time: 5 }, { ...honest, signature: null }]) {
      expect(await ask(body)).toMatch(/^(?:INPUT_INVALID|SIGNATURE_INVALID)(?: |$)/);
    }
  });

  it("asked for again by their holder give a new token, and the old one is void", async () => {
    const state = await begin(base);
    const url = await serve(state);
    const first = await askTurn(state, url, ALICE);
    const second = await askTurn(state, url, ALICE);
    const client = new CoordinatorClient(url);
    expect(await failure(client.call("GET", "/v1/contribution", undefined, first.token))).toBe("CEREMONY_REFUSED turn");
    expect(await client.call("GET", "/v1/contribution", undefined, second.token)).toMatchObject({ state: "open" });
  });

  it("are ended by the operator, from another process than the server's", async () => {
    const state = await begin(base);
    const url = await serve(state);
    await askTurn(state, url, CAROL);
    const operator = await CeremonyState.open(state.directory);
    await operator.skip(CAROL.account, "asked to be left out");
    expect((await member(url, ALICE)).ceremony.events).toMatchObject([{ kind: "skipped", fault: "operator" }]);
    expect(await failure(operator.skip(ALICE.account, "no"))).toBe("CEREMONY_REFUSED repeated");
    expect(await failure(operator.skip(MALLORY.account, "no"))).toBe("CEREMONY_REFUSED member");
  });
});

describe("a member who cheats is rejected by name, and the ceremony goes on", () => {
  /** Two points of a section in each other's place: on the curve, and wrong. */
  async function exchange(path: string, section: number): Promise<void> {
    const bytes = await readFile(path);
    const { offset } = (await readZkeyHeader(path)).sections.get(section)!;
    const first = Buffer.from(bytes.subarray(offset, offset + 64));
    bytes.copyWithin(offset, offset + 64, offset + 128);
    bytes.set(first, offset + 64);
    await writeFile(path, bytes);
  }

  /** Signs whatever lies in the file, as a dishonest member can. */
  async function sign(state: CeremonyState, who: Party, file: string, honest: Awaited<ReturnType<typeof prepare>>) {
    const { ceremony } = await state.read();
    const { signature: _, ...words } = honest.given.contribution;
    const contribution = signContribution(ceremony, { ...words, keySha256: await sha256File(file) }, who.secretKey);
    return packageToJson({ ...honest.given, contribution });
  }

  it.each<[string, (file: string, state: CeremonyState) => Promise<void>, string]>([
    ["C not divided by the secret", (file) => exchange(file, 8), "CONTRIBUTION_INVALID"],
    ["H not divided by the secret", (file) => exchange(file, 9), "CONTRIBUTION_INVALID"],
    ["an element of A changed", (file) => spoil(file, 5, 70), "CONTRIBUTION_INVALID"],
    ["a coefficient changed", (file) => spoil(file, 4, 20), "CONTRIBUTION_INVALID"],
    ["IC changed", (file) => spoil(file, 3, 70), "(?:CONTRIBUTION_INVALID|KEY_MALFORMED)"],
    ["delta changed", (file) => spoil(file, 2, 84 + 64 * 2 + 128 * 2 + 1), "(?:CONTRIBUTION_INVALID|KEY_MALFORMED)"],
    [
      "a truncated key",
      async (file) => truncate(file, (await stat(file)).size - 100),
      "(?:KEY_MALFORMED|CONTRIBUTION_INVALID)",
    ],
    ["an empty file", (file) => truncate(file, 0), "KEY_MALFORMED"],
  ])("%s", async (_, cheat, wanted) => {
    const state = await begin(base);
    const url = await serve(state);
    await takePart(state, ALICE);
    const { token } = await askTurn(state, url, BOB);
    const honest = await prepare(state, BOB);
    await cheat(honest.file, state);
    const result = await handIn(url, token, await sign(state, BOB, honest.file, honest), honest.file);
    expect(result["state"]).toBe("rejected");
    expect((result["error"] as { code: string }).code).toMatch(new RegExp(`^${wanted}$`));
    const { ceremony } = await state.read();
    expect(ceremony.events).toMatchObject([{ kind: "rejected", member: BOB.account }]);
    expect(await failure(askTurn(state, url, BOB))).toBe("CEREMONY_REFUSED rejected");
    expect((await member(url, CAROL)).given.index).toBe(1);
    await checkCeremony(ceremonyFromJson(ceremonyToJson((await state.read()).ceremony)));
  });

  it("a beacon that would take the coordinator an hour to check", async () => {
    const state = await begin(base);
    const { given, file } = await prepare(state, BOB);
    const { transcript } = await readZkeyHeader(file);
    const [entry] = transcript.contributions as [Contribution];
    // Neither kind nor beacon are in any hash of the format.
    const beacon = { hash: Uint8Array.of(1), iterationsExp: 32 };
    const record = { ...transcript, contributions: [{ ...entry, kind: "beacon" as const, beacon }] };
    const bytes = await readFile(file);
    const { sections } = await readZkeyHeader(file);
    const parts = [...sections].map(([id, { offset, length }]): [number, Uint8Array] => [
      id,
      id === 10 ? encodeTranscript(record) : bytes.subarray(offset, offset + length),
    ]);
    await writeFile(file, binFile("zkey", 1, parts));
    const { ceremony } = await state.read();
    const words = {
      record: recordOf(state.head.circuitHash, record.contributions[0]!),
      keySha256: await sha256File(file),
    };
    const contribution = signContribution(ceremony, { ...given.contribution, ...words }, BOB.secretKey);
    expect(await failure(state.accept({ ...given, contribution }, file))).toBe("CONTRIBUTION_INVALID beacon");
    expect((await state.read()).ceremony.events).toMatchObject([{ kind: "rejected", fault: "beacon" }]);
  });

  it("a contribution to an older key, somebody else's, or two at once", async () => {
    const state = await begin(base);
    const stale = await prepare(state, BOB);
    const foreign = await prepare(await begin(base, { name: "other" }), BOB);
    await takePart(state, ALICE);
    const url = await serve(state);
    const { token } = await askTurn(state, url, BOB);
    const offer = (given: unknown) =>
      failure(new CoordinatorClient(url).call("POST", "/v1/contribution", given, token));
    expect(await offer(packageToJson(stale.given))).toBe("CEREMONY_REFUSED stale");
    expect(await offer(packageToJson({ ...stale.given, index: 1 }))).toBe("CEREMONY_INVALID signature");
    expect(await offer(packageToJson(foreign.given))).toBe("CEREMONY_INVALID foreign");
    const carols = await prepare(state, CAROL);
    expect(await offer(packageToJson(carols.given))).toBe("CEREMONY_REFUSED turn");
    expect(
      await offer(
        packageToJson({ ...carols.given, contribution: { ...carols.given.contribution, member: BOB.account } }),
      ),
    ).toBe("CEREMONY_INVALID signature");
    // The stale key, signed anew for this place: it is not the current key plus one.
    const contribution = { ...stale.given.contribution, time: now() };
    const signed = await sign(state, BOB, stale.file, { ...stale, given: { ...stale.given, index: 1, contribution } });
    expect(await handIn(url, token, signed, stale.file)).toMatchObject({ state: "rejected" });
    expect((await state.read()).ceremony.events).toMatchObject([{ kind: "rejected", member: BOB.account }]);
  });

  it("a hash or a name that are not those of the key that was signed", async () => {
    for (const changes of [{ hash: toHex(new Uint8Array(64).fill(5)) }, { name: "somebody else" }]) {
      const state = await begin(base);
      const { given, file } = await prepare(state, BOB);
      const { ceremony } = await state.read();
      const contribution = signContribution(ceremony, { ...given.contribution, ...changes }, BOB.secretKey);
      expect(await failure(state.accept({ ...given, contribution }, file))).toBe("CONTRIBUTION_INVALID malformed");
      expect((await state.read()).ceremony.events).toMatchObject([{ kind: "rejected", member: BOB.account }]);
    }
  });
});

describe("nothing is held against a member that they did not sign", () => {
  it("a key damaged on the way, or a record that somebody changed, can be sent again", async () => {
    const state = await begin(base);
    const url = await serve(state);
    const { token } = await askTurn(state, url, BOB);
    const { given, file } = await prepare(state, BOB);
    const damaged = await duplicate(file);
    await spoil(damaged, 8, -40);
    const json = packageToJson(given);
    expect(await handIn(url, token, json, damaged)).toMatchObject({
      state: "open",
      error: { code: "CEREMONY_INVALID" },
    });
    const record = `0x${"00".repeat((given.contribution.record.length - 2) / 2)}` as Hex;
    const swapped = packageToJson({ ...given, contribution: { ...given.contribution, record } });
    expect(await handIn(url, token, swapped, file)).toMatchObject({
      state: "open",
      error: { code: "CEREMONY_INVALID" },
    });
    expect((await state.read()).ceremony.events).toEqual([]);
    expect(await handIn(url, token, json, file)).toMatchObject({ state: "accepted" });
  });

  it("a damaged disk of the coordinator's is nobody's fault", async () => {
    const state = await begin(base);
    const { given, file } = await prepare(state, BOB);
    await spoil(await state.keyPath(), 5, 70);
    expect(await failure(state.accept(given, file))).toBe("CEREMONY_INVALID state");
    expect((await state.read()).ceremony.events).toEqual([]);
  });
});

describe("over HTTP", () => {
  let state: CeremonyState;
  beforeAll(async () => {
    state = await begin(base);
  });

  it("answers strangers with errors of one form, and gives the key to the turn's holder alone", async () => {
    const url = await serve(state);
    const { token } = await askTurn(state, url, ALICE);
    const attempts: [string, RequestInit, number, string][] = [
      ["/", {}, 404, "INPUT_INVALID"],
      ["/v1/nothing", {}, 404, "INPUT_INVALID"],
      ["/v1/../../etc/passwd", {}, 404, "INPUT_INVALID"],
      ["/v1/manifest", { method: "DELETE" }, 404, "INPUT_INVALID"],
      ["/v1/key", {}, 409, "CEREMONY_REFUSED"],
      ["/v1/key", { headers: { authorization: "Bearer x" } }, 409, "CEREMONY_REFUSED"],
      ["/v1/key", { headers: { authorization: `Bearer 0x${"11".repeat(32)}` } }, 409, "CEREMONY_REFUSED"],
      ["/v1/key", { method: "PUT", body: "x" }, 409, "CEREMONY_REFUSED"],
      ["/v1/key", { method: "PUT", body: "x", headers: { authorization: `Bearer ${token}` } }, 409, "CEREMONY_REFUSED"],
      ["/v1/contribution", { method: "POST", body: "{}" }, 409, "CEREMONY_REFUSED"],
      ["/v1/turn", { method: "POST", body: "{" }, 400, "JSON_MALFORMED"],
      ["/v1/turn", { method: "POST", body: '{"a":1,"a":2}' }, 400, "JSON_MALFORMED"],
      ["/v1/turn", { method: "POST", body: new Uint8Array([0xff, 0xfe]) }, 400, "INPUT_INVALID"],
      ["/v1/turn", { method: "POST", body: "[".repeat(10_000) }, 400, "JSON_MALFORMED"],
      ["/v1/turn", { method: "POST", body: "x".repeat(100_000) }, 413, "INPUT_TOO_LARGE"],
    ];
    for (const [path, init, status, wanted] of attempts) {
      const response = await fetch(`${url}${path}`, init);
      const answer = (await response.json()) as Record<string, unknown>;
      expect([response.status, answer["code"]], path).toEqual([status, wanted]);
      expect(Object.keys(answer)).toEqual(["code", "message", "details"]);
      expect(JSON.stringify(answer)).not.toContain(state.directory);
    }
    const response = await fetch(`${url}/v1/key`, { headers: { authorization: `Bearer ${token}` } });
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(new Uint8Array(await readFile(await state.keyPath())));
    expect(await (await fetch(`${url}/v1/status`)).json()).toMatchObject({
      ceremony: state.id,
      contributions: "0",
      turn: { member: ALICE.account },
      finished: false,
    });
  });

  it("takes no more than a key has, and cuts off a body that does not end", async () => {
    const url = await serve(state);
    const { token } = await askTurn(state, url, ALICE);
    const { given, file } = await prepare(state, ALICE);
    const client = new CoordinatorClient(url);
    await client.call("POST", "/v1/contribution", packageToJson(given), token);
    const big = join(base.folder, "big");
    await writeFile(big, new Uint8Array(4_000_000));
    expect(await failure(client.upload("/v1/key", token, big, () => {}))).toMatch(
      /^(?:INPUT_TOO_LARGE|COORDINATOR_UNAVAILABLE)$/,
    );
    expect(await client.call("GET", "/v1/contribution", undefined, token)).toMatchObject({ state: "open" });
    await rm(file);
    expect(
      (await readdir(join(state.directory, "incoming"))).filter((name) => name.startsWith(`${process.pid}-`)),
    ).toEqual([]);
  });

  it.each([
    ["headers that never end", "GET /v1/manifest HTTP/1.1\r\nhost: x\r\nx-a: ", true],
    ["a body that never comes", "POST /v1/turn HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{", true],
    ["no HTTP at all", "\x16\x03\x01 hello\r\n\r\n", true],
    ["headers too large", `GET /v1/manifest HTTP/1.1\r\nhost: x\r\nx-a: ${"a".repeat(20_000)}\r\n\r\n`, true],
    ["a silent connection", "", true],
  ])("closes on %s", async (_, text) => {
    const url = new URL(await serve(state, { limits: { smallRequestMs: 300, idleMs: 1000 } }));
    const socket = connect(Number(url.port), url.hostname);
    const closed = new Promise((done) => socket.on("close", done).on("error", () => {}));
    socket.resume().write(text);
    await closed;
    // It serves on. On a busy machine the limit may meet an honest request, too.
    const lives = () =>
      fetch(`${url.origin}/v1/status`).then(
        ({ status }) => status === 200,
        () => false,
      );
    let served = false;
    for (let i = 0; i < 20 && !served; i++) served = await lives();
    expect(served).toBe(true);
  });

  it("listens on this machine alone unless told, and says when it cannot", async () => {
    const url = await serve(state);
    expect(new URL(url).hostname).toBe("127.0.0.1");
    const port = Number(new URL(url).port);
    expect(await failure(startCoordinator({ state, port }))).toBe("INPUT_INVALID");
    expect(await failure(startCoordinator({ state, turnSeconds: 0 }))).toBe("INPUT_INVALID");
  });

  it("stops on its signal, open requests included", async () => {
    const stop = new AbortController();
    const url = new URL(await serve(state, { signal: stop.signal }));
    const socket = connect(Number(url.port), url.hostname);
    const closed = new Promise((done) => socket.on("close", done).on("error", () => {}));
    socket.write("POST /v1/turn HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 100\r\n\r\n");
    // The request has come when it is told to go on.
    expect(String((await once(socket, "data"))[0])).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    stop.abort();
    await closed;
    expect(await failure(new CoordinatorClient(url.origin).manifest())).toBe("COORDINATOR_UNAVAILABLE");
  });
});

describe("a coordinator that cheats", () => {
  it.each<[string, (path: string, init: RequestInit | undefined) => Response | undefined, string]>([
    ["answers in HTML", () => new Response("<html>"), "COORDINATOR_UNAVAILABLE"],
    ["answers nonsense", () => Response.json({ hello: 1 }), "CEREMONY_INVALID schema"],
    [
      "answers with an error of its own",
      () => Response.json({ code: "constructor" }, { status: 400 }),
      "COORDINATOR_UNAVAILABLE",
    ],
    [
      "never ends its answer",
      () => new Response(new ReadableStream({ pull: (c) => c.enqueue(new Uint8Array(1 << 20).fill(32)) })),
      "COORDINATOR_UNAVAILABLE",
    ],
    [
      "sends another key than it says",
      (path) => (path === "/v1/key" ? new Response(new Uint8Array(50)) : undefined),
      "COORDINATOR_UNAVAILABLE",
    ],
    [
      "sends a key without end",
      (path) =>
        path === "/v1/key"
          ? new Response(new ReadableStream({ pull: (c) => c.enqueue(new Uint8Array(1 << 16)) }))
          : undefined,
      "COORDINATOR_UNAVAILABLE",
    ],
    [
      "says it accepted, and threw it away",
      (path, init) => {
        if (init?.method === "PUT") return Response.json({ state: "checking" }, { status: 202 });
        const asked = path === "/v1/contribution" && init?.method === "GET";
        return asked ? Response.json({ state: "accepted", progress: "1.000" }) : undefined;
      },
      "COORDINATOR_UNAVAILABLE",
    ],
  ])("%s", async (_, cheat, wanted) => {
    const state = await begin(base);
    const url = await serve(state);
    const relay: typeof fetch = async (input, init) =>
      cheat(new URL(String(input)).pathname, init) ?? fetch(input, init);
    expect(await failure(member(url, ALICE, { fetch: relay }))).toBe(wanted);
    expect((await state.read()).ceremony.contributions).toEqual([]);
  });

  it("hands out a key that is not the manifest's, and gets no signature", async () => {
    const [state, other] = [await begin(base), await begin(base)];
    await takePart(other, BOB);
    const manifest = ceremonyToJson((await state.read()).ceremony);
    const to = join(base.folder, "never.zkey");
    const from = await other.keyPath();
    const { secretKey } = ALICE;
    expect(await failure(contributeToFile({ manifest, from, to, secretKey, unchecked: true }))).toBe(
      "CEREMONY_INVALID transcript",
    );
    // A key whose record is right and whose rest is not shows when it is checked from circuit and powers of tau.
    const bent = await duplicate(await state.keyPath());
    await spoil(bent, 4, 20);
    const { r1csPath, ptauPath } = base;
    expect(await failure(contributeToFile({ manifest, from: bent, to, secretKey, r1csPath, ptauPath }))).toMatch(
      /^KEY_MALFORMED/,
    );
    await expect(stat(to)).rejects.toThrow("ENOENT");
    // Somebody's file stays.
    const good = await state.keyPath();
    expect(await failure(contributeToFile({ manifest, from: good, to: bent, secretKey }))).toBe("INPUT_INVALID");
    await stat(bent);
  });
});

describe("a crash", () => {
  it("at any point of taking in a contribution leaves a state that goes on", async () => {
    const state = await begin(base);
    await takePart(state, ALICE);
    const { given, file } = await prepare(state, BOB);
    const steps = join(state.directory, "steps");
    // 1: an upload half done, a step half written, both of a process that is gone
    await writeFile(join(state.directory, "incoming", "999999999-aa.part"), "half");
    // 2: the key in its place, the step not taken
    const orphan = join(state.directory, "keys", `${"ab".repeat(32)}.zkey`);
    await writeFile(orphan, "orphan");
    const again = await CeremonyState.open(state.directory);
    expect((await again.read()).ceremony.contributions).toHaveLength(1);
    await again.accept(given, file);
    expect(await readdir(join(state.directory, "incoming"))).toEqual([]);
    expect(basename(await again.keyPath())).toBe(`${given.contribution.keySha256.slice(2)}.zkey`);
    // 3: the manifest for people was not written; it is made again
    await rm(join(state.directory, "manifest.json"));
    await takePart(await CeremonyState.open(state.directory), CAROL);
    const manifest = JSON.parse(await readFile(join(state.directory, "manifest.json"), "utf8"));
    expect(ceremonyFromJson(manifest).contributions).toHaveLength(3);
    expect(await readdir(steps)).toHaveLength(3);
  });

  it("between upload and check lets the upload be made again under the same turn", async () => {
    const state = await begin(base);
    const first = await serve(state);
    const { token } = await askTurn(state, first, ALICE);
    const { given, file } = await prepare(state, ALICE);
    await new CoordinatorClient(first).call("POST", "/v1/contribution", packageToJson(given), token);
    for (const coordinator of running.splice(0)) await coordinator.close();
    const second = await serve(await CeremonyState.open(state.directory));
    expect(await failure(new CoordinatorClient(second).upload("/v1/key", token, file, () => {}))).toBe(
      "CEREMONY_REFUSED turn",
    );
    expect(await handIn(second, token, packageToJson(given), file)).toMatchObject({ state: "accepted" });
  });

  it("of the line during upload: the member sends again", async () => {
    const state = await begin(base);
    const url = await serve(state);
    let broken = 0;
    const flaky: typeof fetch = async (input, init) => {
      if (init?.method === "PUT" && broken++ < 2) throw new TypeError("fetch failed");
      return fetch(input, init);
    };
    expect((await member(url, ALICE, { fetch: flaky })).given.index).toBe(0);
    expect(broken).toBe(3);
  });

  it("a step that is damaged on the disk is said, not guessed", async () => {
    const state = await begin(base);
    await takePart(state, ALICE);
    await writeFile(join(state.directory, "steps", "000000.json"), "{");
    expect(await failure((await CeremonyState.open(state.directory)).read())).toBe("CEREMONY_INVALID state");
    expect(await failure(CeremonyState.open(await temporaryFolder()))).toBe("FILE_NOT_FOUND");
  });

  it("two processes that take a step at once do not lose one", async () => {
    const state = await begin(base);
    const states = await Promise.all(Array.from({ length: 8 }, () => CeremonyState.open(state.directory)));
    await Promise.all(states.map((one, i) => one.skip(ALL[i % 4]!, `skip ${i}`)));
    const { ceremony } = await state.read();
    expect(ceremony.events.map(({ reason }) => reason).sort()).toEqual(states.map((_, i) => `skip ${i}`).sort());
    // Two contributions to one key: one is taken, the other is told that it came too late.
    const [first, second] = [await prepare(state, ALICE), await prepare(state, BOB)];
    const results = await Promise.all([
      failure(states[0]!.accept(first.given, first.file)),
      failure(states[1]!.accept(second.given, second.file)),
    ]);
    expect(results.sort()).toEqual(["CEREMONY_REFUSED stale", "accepted"]);
    expect((await state.read()).ceremony.contributions).toHaveLength(1);
  });
});

describe("a ceremony's beginning", () => {
  it("is refused with members twice, no members, too high a minimum, a folder that exists, or a bad circuit", async () => {
    const attempts: [Parameters<typeof begin>[1], string][] = [
      [{ members: [ALICE.account, ALICE.account] }, "INPUT_INVALID"],
      [{ members: [] }, "CEREMONY_INVALID schema"],
      [{ members: ["0x12" as Hex] }, "CEREMONY_INVALID schema"],
      [{ minimum: 5 }, "CEREMONY_INVALID schema"],
      [{ name: "" }, "CEREMONY_INVALID schema"],
      [{ beacon: { source: "dice", iterationsExp: 40 } }, "CEREMONY_INVALID schema"],
      [{ directory: base.folder }, "FILE_UNREADABLE"],
      [{ r1csPath: join(base.folder, "missing") }, "FILE_NOT_FOUND"],
      [{ r1csPath: base.ptauPath }, "CIRCUIT_MALFORMED"],
    ];
    for (const [options, wanted] of attempts) expect(await failure(begin(base, options)), wanted).toBe(wanted);
    expect((await readdir(base.folder)).filter((name) => name.endsWith(".part"))).toEqual([]);
  });

  it("is ended only by the minimum, with the ceremony's circuit and powers of tau", async () => {
    const state = await begin(base);
    const { r1csPath, ptauPath } = base;
    await takePart(state, ALICE);
    expect(await failure(state.finalize(base))).toBe("CEREMONY_REFUSED minimum");
    await takePart(state, BOB);
    expect(await failure(state.finalize({ r1csPath: ptauPath, ptauPath }))).toBe("CIRCUIT_MALFORMED");
    const url = await serve(state);
    await askTurn(state, url, CAROL);
    expect(await failure(state.finalize({ r1csPath, ptauPath }))).toBe("CEREMONY_REFUSED busy");
    await state.skip(CAROL.account, "no");
    const ceremony = await state.finalize(base);
    expect(await state.finalize(base)).toEqual(ceremony);
    expect(() => packageFromJson({})).toThrow(code("CEREMONY_INVALID"));
  });
});
