/**
 * Worker thread of the setup: tasks of the native core one after the other, each of which blocks for as long as it runs,
 * and an answer to each.
 *
 * A contributor's secret is drawn here, in the core's memory, and never leaves it but as points.
 *
 * @module
 */
import { parentPort } from "node:worker_threads";
import { type AnchorError, toAnchorError } from "../errors.js";
import { concat } from "../field/bytes.js";
import { type NativeControl, type NativeCore, nativeCore, type SecretHandle } from "../field/native.js";
import type { G1Affine, G2Affine } from "../verifier/curve.js";
import { integer, littleEndian } from "./binfile.js";
import {
  type Beacon,
  type Contribution,
  contributionHash,
  encodeTranscript,
  nextChallenge,
  type Transcript,
} from "./transcript.js";

interface ContributionRequest {
  from: string;
  to: string;
  /** Of the key at `from`. */
  transcript: Transcript;
  delta1: G1Affine;
  name?: string | undefined;
}

/** What can be asked for. Paths that are written to must not exist. */
export interface NativeTasks {
  setupDevelopment(request: { r1csPath: string; zkeyPath: string; stamp: Uint8Array }): void;
  newPtau(request: { power: number; path: string; prepared: boolean; stamp: Uint8Array }): void;
  checkPtau(request: { path: string; points: boolean }): { power: number; ceremonyPower: number; prepared: boolean };
  makeBasis(request: { ptauPath: string; power: number; cut: boolean; path: string }): void;
  newPhase2(request: { r1csPath: string; basisPath: string; zkeyPath: string; tail: Uint8Array }): Uint8Array;
  contribute(request: ContributionRequest & { entropy: Uint8Array }): Contribution;
  beacon(request: ContributionRequest & { beacon: Beacon; secret: bigint; g1s: G1Affine }): Contribution;
  verifyPhase2(request: {
    r1csPath: string;
    ptauPath: string;
    zkeyPath?: string | undefined;
    verifyingKey?: Uint8Array | undefined;
  }): void;
  verifyStep(request: { previous: string; next: string }): void;
}

export interface NativeRequest {
  task: keyof NativeTasks;
  request: unknown;
  threads: number;
  /** See {@link NativeControl}. */
  control: Int32Array;
}

export type NativeReply = { value: unknown } | { error: ReturnType<AnchorError["toJSON"]> };

type Tasks = { [T in keyof NativeTasks]: (request: Parameters<NativeTasks[T]>[0]) => ReturnType<NativeTasks[T]> };

function tasks(core: NativeCore, options: NativeControl): Tasks {
  const step = (secret: SecretHandle, request: ContributionRequest, beacon?: Beacon): Contribution => {
    try {
      const { from, to, transcript, delta1, name } = request;
      const [g1s, g1sx] = points(core.secretPublicKey(secret)) as [G1Affine, G1Affine];
      const challenge = nextChallenge(transcript, g1s, g1sx);
      const own = {
        deltaAfter: points(core.secretMultiply(secret, 1, bytes(delta1)))[0]!,
        g1s,
        g1sx,
        g2spx: points(core.secretMultiply(secret, 2, bytes(challenge.g2sp.flat()))) as unknown as G2Affine,
        transcript: challenge.transcript,
        kind: beacon === undefined ? ("contribution" as const) : ("beacon" as const),
        ...(name === undefined ? {} : { name }),
        ...(beacon === undefined ? {} : { beacon }),
      };
      const contribution = { ...own, hash: contributionHash(own) };
      const record = encodeTranscript({ ...transcript, contributions: [...transcript.contributions, contribution] });
      core.secretApply(secret, from, to, record, options);
      return contribution;
    } finally {
      core.closeSecret(secret);
    }
  };
  return {
    setupDevelopment: ({ r1csPath, zkeyPath, stamp }) => core.setupDevelopment(r1csPath, zkeyPath, stamp, options),
    newPtau: ({ power, path, prepared, stamp }) => core.newPtau(power, path, stamp, { ...options, prepared }),
    checkPtau: ({ path, points }) => core.checkPtau(path, { ...options, points }),
    makeBasis: ({ ptauPath, power, cut, path }) => core.makeBasis(ptauPath, power, path, { ...options, cut }),
    newPhase2: ({ r1csPath, basisPath, zkeyPath, tail }) =>
      core.newPhase2(r1csPath, basisPath, zkeyPath, tail, options),
    contribute: ({ entropy, ...request }) => {
      const secret = core.drawSecret(entropy);
      entropy.fill(0);
      return step(secret, request);
    },
    beacon: ({ beacon, secret, g1s, ...request }) =>
      step(core.publicSecret(littleEndian(secret), bytes(g1s)), request, beacon),
    verifyPhase2: ({ r1csPath, ptauPath, zkeyPath, verifyingKey }) =>
      core.verifyPhase2(r1csPath, ptauPath, zkeyPath, verifyingKey, options),
    verifyStep: ({ previous, next }) => core.verifyPhase2Step(previous, next, options),
  };
}

/** The core's encoding: 32 bytes little-endian an integer. */
function bytes(coordinates: readonly bigint[]): Uint8Array {
  return concat(...coordinates.map(littleEndian));
}

/** Pairs of integers. */
function points(encoded: Uint8Array): G1Affine[] {
  return Array.from({ length: encoded.length / 64 }, (_, i) => [
    integer(encoded.subarray(64 * i, 64 * i + 32)),
    integer(encoded.subarray(64 * i + 32, 64 * i + 64)),
  ]);
}

const port = parentPort;
port?.on("message", ({ task, request, threads, control }: NativeRequest) => {
  let reply: NativeReply;
  try {
    // Whoever starts this thread has seen that there is a core.
    const run = tasks(nativeCore()!, { threads, control })[task] as (request: unknown) => unknown;
    reply = { value: run(request) };
  } catch (error) {
    // Classes do not survive the thread boundary; codes do.
    reply = { error: toAnchorError(error, "INTERNAL", "the setup failed").toJSON() };
  }
  port.postMessage(reply);
});
