/**
 * Checks a finished ceremony the whole way: from a circuit and powers of tau that the verifier holds, through every
 * contribution, to the key. The one place that calls a key more than a development key.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { AnchorError, throwIfAborted, toAnchorError } from "../errors.js";
import type { Hex } from "../field/bytes.js";
import { identityOf } from "../files.js";
import { keyDigest, type VerifyingKey } from "../verifier/groth16.js";
import { lintVerifyingKey } from "../verifier/lint.js";
import { type Ceremony, ceremonyFromJson, ceremonyToJson, checkCeremony, invalid } from "./ceremony.js";
import { type LongWork, verifyPhase2, verifyPhase2VerifyingKey } from "./phase2.js";
import { describePtau, ptauDigest } from "./ptau.js";
import { describeR1cs, domainPower } from "./r1cs.js";
import { encodeTranscript, type Transcript } from "./transcript.js";

export interface VerifyCeremonyOptions extends LongWork {
  /** As read by `parseDocument`. */
  manifest: unknown;
  r1csPath: string;
  /** The verifier's own powers of tau. */
  ptauPath: string;
  /** The final key. With it, every element is checked; without it, the verifying key. */
  zkeyPath?: string | undefined;
  /** A key that must be the one in the manifest. */
  verifyingKey?: VerifyingKey | undefined;
  /** Digests of powers of tau that the verifier believes in although they are not of a known public ceremony. */
  acceptPtau?: readonly Hex[] | undefined;
  /** The ceremony that it must be, by its id. Without this or {@link trusted} the key stays a development key. */
  ceremonyId?: Hex | undefined;
  /** Accounts of which at least one must have contributed. Anybody can hold a ceremony with themselves. */
  trusted?: readonly Hex[] | undefined;
}

/** What a verified ceremony shows. Only {@link verifyCeremony} makes one, see {@link isVerifiedCeremony}. */
export interface VerifiedCeremony {
  readonly id: Hex;
  readonly name: string;
  readonly keyDigest: Hex;
  readonly circuitDigest: Hex;
  readonly contributors: readonly {
    readonly member: Hex;
    readonly name: string;
    readonly hash: Hex;
    readonly time: bigint;
    /** Whether they signed that they had checked the whole key. */
    readonly checked: boolean;
  }[];
  /** Of the contributors, those that the verifier named as trusted. */
  readonly trusted: readonly Hex[];
  /** Whether the closing public value had been announced in the head, which every contribution is signed over. */
  readonly beacon: "announced" | "not announced" | "none";
  /** `public ceremony NAME`, `accepted by digest`, `unknown`, or `development`: made on one machine, and stamped so. */
  readonly powersOfTau: string;
  /** True while there is a doubt: the key then counts as a development key. */
  readonly development: boolean;
  /** Why it is not a production key for this verifier, in words. */
  readonly doubts: readonly string[];
  /** What was compared with circuit and powers of tau: all of the proving key, or the verifying key alone. */
  readonly checked: "proving key" | "verifying key";
}

/** Nobody else can add to it, so a caller cannot make up a result. */
const verified = new WeakSet<object>();

/** True for what {@link verifyCeremony} returned in this process, and nothing else. */
export function isVerifiedCeremony(value: unknown): value is VerifiedCeremony {
  return typeof value === "object" && value !== null && verified.has(value);
}

/**
 * @throws CEREMONY_INVALID with `details.fault`, CONTRIBUTION_INVALID, KEY_MALFORMED, KEY_FORGEABLE, CIRCUIT_MALFORMED,
 *         PTAU_INVALID, FORMAT_UNSUPPORTED, FILE_NOT_FOUND, FILE_UNREADABLE, ABORTED
 */
export async function verifyCeremony(options: VerifyCeremonyOptions): Promise<VerifiedCeremony> {
  const { signal, threads } = options;
  const acceptPtau = [...(options.acceptPtau ?? [])];
  const ceremony = ceremonyFromJson(options.manifest);
  const { head, contributions, beacon, final } = ceremony;
  if (!final) invalid("unfinished", "manifest", "has no final key: the ceremony goes on");
  if (options.verifyingKey && keyDigest(options.verifyingKey) !== final.keyDigest) {
    invalid("key", "manifest.final.keyDigest", "is not that of the verifying key beside it");
  }
  const { id, transcript } = await checkCeremony(ceremony, { signal });
  if (options.ceremonyId !== undefined && options.ceremonyId !== id) {
    invalid("foreign", "manifest.head", `is that of ceremony ${id}, not of ${options.ceremonyId}`);
  }
  const contributors = contributions.map(({ member, name, hash, time, checked }) =>
    Object.freeze({ member, name, hash, time, checked }),
  );
  const trusted = (options.trusted ?? []).filter((account) => contributors.some(({ member }) => member === account));
  if (options.trusted && trusted.length === 0) {
    invalid("trust", "manifest.contributions", "are by none of the accounts that you trust");
  }

  // Each is read several times, and the verdict is about one file.
  const files = [await locate(options.r1csPath), await locate(options.ptauPath)] as const;
  const key = options.zkeyPath === undefined ? undefined : await locate(options.zkeyPath);
  const [r1csPath, ptauPath] = [files[0].path, files[1].path];
  const powersOfTau = await checkBasis(ceremony, r1csPath, ptauPath, acceptPtau, signal);
  throwIfAborted(signal);
  lintVerifyingKey(final.verifyingKey);
  const work = { r1csPath, ptauPath, signal, threads, onProgress: options.onProgress };
  let digest: Hex;
  if (key === undefined) {
    digest = (await verifyPhase2VerifyingKey({ ...work, verifyingKey: final.verifyingKey, transcript })).circuitDigest;
  } else {
    if ((await sha256File(key.path, signal)) !== final.zkeySha256) {
      invalid("key", "manifest.final.zkeySha256", "is not that of the proving key beside it");
    }
    const found = await verifyPhase2({ ...work, zkeyPath: key.path });
    if (keyDigest(found.verifyingKey) !== final.keyDigest) {
      invalid("key", "manifest.final.keyDigest", "is not that of the proving key beside it");
    }
    checkSameTranscript(transcript, found.transcript);
    digest = found.circuitDigest;
  }
  for (const { path, identity } of key ? [...files, key] : files) {
    if ((await locate(path)).identity !== identity) invalid("changed", path, "was changed while it was checked");
  }
  if (digest !== head.circuit.digest) invalid("circuit", "manifest.head.circuit.digest", "is not the circuit's");

  const doubts: string[] = [];
  if (powersOfTau === "unknown") {
    doubts.push(
      "the powers of tau are of no public ceremony that is known here, and you did not accept their digest for 2^" +
        `${head.circuit.power} rows, ${head.powersOfTau.digest}`,
    );
  }
  if (powersOfTau === "development") {
    doubts.push("the powers of tau were made on one machine, for development: whoever made them can forge proofs");
  }
  // A ceremony of one person under many names verifies as well as any other.
  if (options.ceremonyId === undefined && options.trusted === undefined) {
    doubts.push("you named neither the ceremony that you mean nor a contributor whom you trust");
  }
  // Who multiplied unseen what they were given may have been made to help a forger.
  if (!contributors.some(({ member, checked }) => checked && (!options.trusted || trusted.includes(member)))) {
    doubts.push(
      `no contributor ${options.trusted ? "whom you trust " : ""}signed that they had checked the key that they were given`,
    );
  }
  const result: VerifiedCeremony = {
    id,
    name: head.name,
    keyDigest: final.keyDigest,
    circuitDigest: digest,
    contributors: Object.freeze(contributors),
    trusted: Object.freeze(trusted),
    beacon: !beacon ? "none" : head.beacon ? "announced" : "not announced",
    powersOfTau,
    development: doubts.length > 0,
    doubts: Object.freeze(doubts),
    checked: key === undefined ? "verifying key" : "proving key",
  };
  verified.add(Object.freeze(result));
  return result;
}

/** The file that a path leads to, past all links. @throws FILE_NOT_FOUND, FILE_UNREADABLE */
async function locate(given: string): Promise<{ path: string; identity: string }> {
  try {
    const path = await realpath(given);
    return { path, identity: identityOf(await stat(path, { bigint: true })) };
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    throw toAnchorError(error, missing ? "FILE_NOT_FOUND" : "FILE_UNREADABLE", `cannot read ${given}`);
  }
}

/**
 * Checks that a manifest's head is about this circuit and these powers of tau.
 *
 * @returns what is known about the powers of tau
 */
async function checkBasis(
  { head }: Ceremony,
  r1csPath: string,
  ptauPath: string,
  accepted: readonly Hex[],
  signal: AbortSignal | undefined,
): Promise<string> {
  const { circuit, powersOfTau } = head;
  const actual = await describeCircuit(r1csPath, signal);
  if (actual.digest !== circuit.digest) {
    invalid("circuit", "manifest.head.circuit.digest", `is not that of ${r1csPath}: the ceremony is another circuit's`);
  }
  for (const name of ["rows", "publicSignals", "power"] as const) {
    if (actual[name] !== circuit[name]) {
      invalid("circuit", `manifest.head.circuit.${name}`, `is not the circuit's, which is ${actual[name]}`);
    }
  }
  if ((await ptauDigest(ptauPath, circuit.power, { signal })) !== powersOfTau.digest) {
    invalid("ptau", "manifest.head.powersOfTau.digest", `is not that of ${ptauPath}: the powers of tau are others`);
  }
  const { publicCeremony, development } = await describePtau(ptauPath, { signal });
  if (development) return "development";
  if (publicCeremony !== undefined) return `public ceremony ${publicCeremony}`;
  return accepted.includes(powersOfTau.digest) ? "accepted by digest" : "unknown";
}

/** A circuit as a ceremony's head has it. @throws CIRCUIT_MALFORMED, FILE_NOT_FOUND, FILE_UNREADABLE, ABORTED */
export async function describeCircuit(r1csPath: string, signal?: AbortSignal): Promise<Ceremony["head"]["circuit"]> {
  const header = await describeR1cs(r1csPath, signal);
  return {
    digest: header.circuitDigest,
    rows: header.constraints,
    publicSignals: header.publicOutputs + header.publicInputs,
    power: domainPower(header),
  };
}

/** The key file's record must be the manifest's to the byte: names, too, are part of what was signed. */
export function checkSameTranscript(manifest: Transcript, key: Transcript): void {
  const [listed, found] = [manifest.contributions.length, key.contributions.length];
  if (listed !== found) {
    invalid("transcript", "manifest.contributions", `are ${listed} with the beacon; the key has ${found}`);
  }
  if (!Buffer.from(encodeTranscript(manifest)).equals(encodeTranscript(key))) {
    const other = manifest.contributions.findIndex(({ hash }, i) => hash !== key.contributions[i]!.hash);
    invalid(
      "transcript",
      "manifest.contributions",
      `are not those of the key${other < 0 ? "" : `, from [${other}] on`}`,
    );
  }
}

/** SHA-256 of a file, read in pieces. @throws FILE_NOT_FOUND, FILE_UNREADABLE, ABORTED */
export async function sha256File(path: string, signal?: AbortSignal): Promise<Hex> {
  const hash = createHash("sha256");
  try {
    await pipeline(createReadStream(path), hash, signal ? { signal } : {});
  } catch (error) {
    throwIfAborted(signal);
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    throw new AnchorError(missing ? "FILE_NOT_FOUND" : "FILE_UNREADABLE", `cannot read ${path}`, { cause: error });
  }
  return `0x${hash.digest("hex")}`;
}

/** A manifest with keys in one order, as files hold it. */
export function manifestText(ceremony: Ceremony): string {
  return `${JSON.stringify(ceremonyToJson(ceremony), null, 2)}\n`;
}
