/**
 * Key lint for files: what a `.zkey` or a `verification_key.json` shows of itself, and what it cannot show.
 *
 * A verifying key shows that the known forgeries fail, and no more. A proving key also has a record of contributions. A
 * record may be made up whole by one person, and α, β and the circuit are whatever the file says: only a ceremony that
 * was verified from powers of tau and constraints makes a key a production key.
 *
 * @module
 */
import type { FileHandle } from "node:fs/promises";
import { AnchorError, isAnchorError, toAnchorError } from "../errors.js";
import type { Hex } from "../field/bytes.js";
import { invert, R } from "../field/scalar.js";
import { affineG1, G2_GENERATOR, g1Point, sameUpToSign } from "../verifier/curve.js";
import { keyDigest, parseVerifyingKey, type VerifyingKey, verifyGroth16 } from "../verifier/groth16.js";
import { failureOf, inspectVerifyingKey, type KeyCheck } from "../verifier/lint.js";
import { openFile } from "./binfile.js";
import { isVerifiedCeremony, type VerifiedCeremony } from "./ceremonyCheck.js";
import {
  beaconKey,
  type Contribution,
  contributionInvalid,
  type TranscriptOptions,
  verifyTranscript,
} from "./transcript.js";
import { readZkeyHeader, type ZkeyHeader } from "./zkey.js";

/**
 * - `malformed`: damaged, or no setup makes such a key
 * - `forgeable`: proofs of anything can be made without a witness, by anyone or by whoever made the key up
 * - `development`: nothing is wrong with it, and nothing shows that nobody can forge
 * - `production`: a ceremony was verified from powers of tau and constraints, and this is its key
 */
export type KeyLevel = "malformed" | "forgeable" | "development" | "production";

export interface KeyFileCheck extends Omit<KeyCheck, "outcome"> {
  outcome: KeyCheck["outcome"] | "not shown";
}

export interface KeyReport {
  kind: "zkey" | "verification key";
  level: KeyLevel;
  /** One line: why this level. */
  summary: string;
  checks: KeyFileCheck[];
  /** What {@link requireSound} throws. */
  failure?: AnchorError;
  /** From here on: as far as the file could be read. */
  keyDigest?: Hex;
  publics?: number;
  verifyingKey?: VerifyingKey;
  provingKey?: {
    bytes: number;
    wires: number;
    domain: number;
    circuitHash: Hex;
    /** What the file claims. */
    stamp?: ZkeyHeader["stamp"];
    contributions: Pick<Contribution, "name" | "kind" | "hash" | "beacon">[];
  };
  /** The constraints that the verified ceremony is of. */
  circuitDigest?: Hex;
}

/** Calls {@link verifyCeremony} with manifest, circuit and powers of tau, once nothing else is wrong with the key. */
export interface CeremonyVerifier {
  /** @param zkeyPath the key's file where it is a proving key: all of it is to be checked then */
  verify(zkeyPath: string | undefined): Promise<VerifiedCeremony>;
}

export interface KeyLintOptions extends TranscriptOptions {
  ceremony?: CeremonyVerifier | undefined;
}

/** A verifying key with 1,024 signals has a third of a megabyte. */
const MAX_JSON_BYTES = 4 * 1024 * 1024;
const NEITHER = "the file is neither a .zkey nor a verification_key.json";

/**
 * Lints a `.zkey` or a `verification_key.json`, told apart by content. A bad key is reported, not thrown.
 *
 * @throws FILE_NOT_FOUND, FILE_UNREADABLE; INPUT_TOO_LARGE for a beacon of more hashes than the limit; INPUT_INVALID for a
 * ceremony that {@link verifyCeremony} did not give; ABORTED; whatever the ceremony's check throws
 */
export async function lintKeyFile(path: string, options: KeyLintOptions = {}): Promise<KeyReport> {
  const kind = (await isZkey(path)) ? "zkey" : "verification key";
  const findings = new Findings();
  const about: Partial<KeyReport> = {};
  let header: ZkeyHeader | undefined;
  await findings.attempt("file", async () => {
    if (kind === "zkey") header = await readZkeyHeader(path);
    const key = header?.verifyingKey ?? parseVerifyingKey(await readJsonFile(path));
    Object.assign(about, { keyDigest: keyDigest(key), publics: key.nPublic, verifyingKey: key });
    return header === undefined ? "a verifying key in snarkjs' JSON" : "all sections are there, and of fitting sizes";
  });
  if (about.verifyingKey) {
    for (const check of inspectVerifyingKey(about.verifyingKey)) findings.add(check);
    if (header) {
      about.provingKey = describe(header);
      checkGamma(header, findings);
      await checkContributions(header, findings, options);
    } else {
      findings.notShown("contributions", "a verifying key alone has no record of them");
    }
  }
  const { failure } = findings;
  if (failure) {
    return { kind, level: levelOf(failure), summary: failure.message, checks: findings.checks, failure, ...about };
  }
  const ceremony =
    options.ceremony === undefined ? undefined : await options.ceremony.verify(kind === "zkey" ? path : undefined);
  if (ceremony === undefined) {
    if (header)
      findings.notShown("elements", "the large sections were not read: `setup key verify` or a manifest does that");
    findings.notShown("ceremony", "no ceremony manifest was given");
    return { kind, level: "development", summary: developmentSummary(header), checks: findings.checks, ...about };
  }
  // A caller's word is no ceremony.
  if (!isVerifiedCeremony(ceremony)) {
    throw new AnchorError("INPUT_INVALID", "a ceremony must be what verifyCeremony gave, in this process");
  }
  if (ceremony.keyDigest !== about.keyDigest) {
    const reason = `the ceremony that was verified is of another key, ${ceremony.keyDigest}`;
    findings.notShown("ceremony", reason);
    const failed = new AnchorError("KEY_DEVELOPMENT", reason, { details: { ...ceremony } });
    return { kind, level: "development", summary: reason, checks: findings.checks, failure: failed, ...about };
  }
  if (ceremony.development || (kind === "zkey" && ceremony.checked !== "proving key")) {
    const reason = `its ceremony holds, but ${ceremony.doubts[0] ?? "of this proving key no more than the verifying key was checked"}`;
    findings.notShown("ceremony", reason);
    return { kind, level: "development", summary: reason, checks: findings.checks, ...about };
  }
  findings.add({ id: "ceremony", outcome: "ok", reason: "it was verified from powers of tau and constraints" });
  const summary = "its ceremony was verified: one honest contributor is enough for nobody to be able to forge";
  const { circuitDigest } = ceremony;
  return { kind, level: "production", summary, checks: findings.checks, ...about, circuitDigest };
}

/**
 * Passes a key that nothing is wrong with; with `production`, only one whose ceremony was verified.
 *
 * @throws KEY_MALFORMED, KEY_FORGEABLE, CONTRIBUTION_INVALID, KEY_DEVELOPMENT
 */
export function requireSound({ failure, level, summary }: KeyReport, { production = false } = {}): void {
  if (failure) throw failure;
  if (production && level !== "production") {
    throw new AnchorError("KEY_DEVELOPMENT", `this is a development key: ${summary}`);
  }
}

/**
 * The verifying key of a `.zkey`, linted with its contributions.
 *
 * @throws what {@link lintKeyFile} and {@link requireSound} throw
 */
export async function exportVerifyingKey(path: string, options: KeyLintOptions = {}): Promise<VerifyingKey> {
  const report = await lintKeyFile(path, options);
  requireSound(report);
  if (report.kind !== "zkey") throw new AnchorError("INPUT_INVALID", `${path} is a verifying key already`);
  return report.verifyingKey!;
}

class Findings {
  readonly checks: KeyFileCheck[] = [];
  /** Of the first check that failed. */
  failure: AnchorError | undefined;

  add(check: KeyCheck, failure = failureOf(check)): void {
    this.checks.push(check);
    this.failure ??= failure;
  }

  notShown(id: string, reason: string): void {
    this.checks.push({ id, outcome: "not shown", reason });
  }

  /** Runs a check that throws what it finds; everything that is not about the key is thrown on. */
  async attempt(id: string, run: () => Promise<string>): Promise<boolean> {
    try {
      this.add({ id, outcome: "ok", reason: await run() });
      return true;
    } catch (error) {
      if (!isAnchorError(error) || !["KEY_MALFORMED", "KEY_FORGEABLE", "CONTRIBUTION_INVALID"].includes(error.code)) {
        throw error;
      }
      this.add({ id, outcome: levelOf(error), reason: error.message }, error);
      return false;
    }
  }
}

function levelOf({ code, details }: AnchorError): "malformed" | "forgeable" {
  if (code === "KEY_FORGEABLE") return "forgeable";
  // Whoever broke the chain of contributions may know the delta behind the break.
  const broken =
    code === "CONTRIBUTION_INVALID" && details["fault"] !== "malformed" && details["fault"] !== "truncated";
  return broken ? "forgeable" : "malformed";
}

function isZkey(path: string): Promise<boolean> {
  return withFile(path, async (file) => {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0);
    return bytesRead === 4 && buffer.toString("latin1") === "zkey";
  });
}

/** @throws KEY_MALFORMED for a file that is no JSON */
function readJsonFile(path: string): Promise<unknown> {
  return withFile(path, async (file) => {
    if ((await file.stat()).size > MAX_JSON_BYTES) throw new AnchorError("KEY_MALFORMED", NEITHER);
    const bytes = await file.readFile();
    try {
      return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    } catch (cause) {
      throw new AnchorError("KEY_MALFORMED", NEITHER, { cause });
    }
  });
}

async function withFile<T>(path: string, use: (file: FileHandle) => Promise<T>): Promise<T> {
  const file = await openFile(path);
  try {
    return await use(file);
  } catch (error) {
    throw toAnchorError(error, "FILE_UNREADABLE", `cannot read ${path}`);
  } finally {
    await file.close();
  }
}

function describe({ bytes, wires, domain, transcript, stamp }: ZkeyHeader): NonNullable<KeyReport["provingKey"]> {
  return {
    bytes,
    wires,
    domain,
    circuitHash: transcript.circuitHash,
    ...(stamp === undefined ? {} : { stamp }),
    contributions: transcript.contributions.map(({ name, kind, hash, beacon }) => ({
      kind,
      hash,
      ...(name === undefined ? {} : { name }),
      ...(beacon === undefined ? {} : { beacon }),
    })),
  };
}

/** Contributions hide delta. With a gamma of one's own, such as twice that delta, the same forgery works as for ±delta. */
function checkGamma({ verifyingKey: { gamma } }: ZkeyHeader, findings: Findings): void {
  const same = gamma.flat().every((coordinate, i) => coordinate === G2_GENERATOR.flat()[i]);
  findings.add(
    same
      ? { id: "gamma", outcome: "ok", reason: "gamma is the generator, as phase 2 leaves it" }
      : { id: "gamma", outcome: "forgeable", reason: "gamma is not the generator: its maker may know delta/gamma" },
  );
}

async function checkContributions(header: ZkeyHeader, findings: Findings, options: KeyLintOptions): Promise<void> {
  const id = "contributions";
  const { transcript, delta1, stamp } = header;
  const { contributions } = transcript;
  if (contributions.length === 0) {
    if (stamp?.development) {
      findings.notShown(id, "none: one party drew delta, says the development stamp");
    } else {
      findings.add({ id, outcome: "forgeable", reason: "no contribution: whoever made this key knows delta" });
    }
    return;
  }
  const held = await findings.attempt(id, async () => {
    const { delta } = await verifyTranscript(transcript, options);
    if (delta[0] !== delta1[0] || delta[1] !== delta1[1]) {
      throw contributionInvalid("delta", "the key's delta is not the one after its last contribution");
    }
    const others = contributions.filter(({ kind }) => kind === "contribution").length;
    if (others === 0) {
      const shown = (await forgeWithBeacons(header, options)) ? "; a proof forged with them verifies" : "";
      throw new AnchorError(
        "KEY_FORGEABLE",
        `this key lets anyone forge proofs: all contributions are beacons, whose secrets are public${shown}`,
        { details: { check: id } },
      );
    }
    return `${others} of ${contributions.length} steps are contributions; each knew its secret, and delta is their product`;
  });
  if (!held) return;
  if (contributions.at(-1)!.kind === "beacon") {
    findings.add({ id: "beacon", outcome: "ok", reason: "the last step is a beacon, and it is what its value gives" });
  } else {
    findings.notShown("beacon", "the last step is no beacon: the last contributor may have tried several secrets");
  }
}

/** With delta known as k times gamma: A = alpha, B = beta, C = -vk_x/k. */
async function forgeWithBeacons({ verifyingKey, transcript }: ZkeyHeader, options: KeyLintOptions): Promise<boolean> {
  if (!sameUpToSign(verifyingKey.gamma, G2_GENERATOR)) return false;
  let k = 1n;
  for (const { beacon } of transcript.contributions) {
    const { secret } = await beaconKey(beacon!.hash, beacon!.iterationsExp, { ...options, onProgress: undefined });
    k = (k * secret) % R;
  }
  const { alpha, beta, ic, nPublic } = verifyingKey;
  const c = affineG1(g1Point(ic[0]!).multiplyUnsafe(R - invert(k)));
  return verifyGroth16(verifyingKey, new Array<bigint>(nPublic).fill(0n), { a: alpha, b: beta, c });
}

function developmentSummary(header: ZkeyHeader | undefined): string {
  if (header === undefined) return "a verifying key alone cannot show that anyone contributed to it";
  if (header.transcript.contributions.length === 0) return "one party made it, and could forge proofs";
  return "its contributions hold, but without a ceremony manifest nothing shows who made them, on which powers and circuit";
}
