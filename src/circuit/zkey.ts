/**
 * Reads what a `.zkey` says of itself: sizes, verifying key, record of contributions, stamp. Never the proving key: of
 * the large sections only the sizes are checked, so that a key of many gigabytes is described in milliseconds.
 *
 * Layout: snarkjs 0.7, `zkey_utils.js`.
 *
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { AnchorError } from "../errors.js";
import { assertHex, type Hex } from "../field/bytes.js";
import { bytesToBigInt, Q, R } from "../field/scalar.js";
import {
  checkedG1,
  G1_GENERATOR,
  type G1Affine,
  G2_GENERATOR,
  type G2Affine,
  g1Point,
  g2Point,
  pairingIsOne,
} from "../verifier/curve.js";
import { parseVerifyingKey, type VerifyingKey, verifyingKeyToJson } from "../verifier/groth16.js";
import { Container, decodeG1, decodeG2, integer, type Section } from "./binfile.js";
import { MAX_PUBLICS } from "./r1cs.js";
import { decodeTranscript, type Transcript } from "./transcript.js";

/** A section that snarkjs does not know and skips; it marks the file itself as a development key. */
export const STAMP_SECTION = 0x70616e61;

export interface ZkeyHeader {
  /** Wires, the constant one included. */
  wires: number;
  /** Public signals, without the constant. */
  publics: number;
  /** Size of the evaluation domain, a power of two. */
  domain: number;
  verifyingKey: VerifyingKey;
  alpha1: G1Affine;
  beta1: G1Affine;
  delta1: G1Affine;
  transcript: Transcript;
  /** What whoever made the file wrote into it; nothing binds it. */
  stamp?: { development: boolean; circuitDigest?: Hex };
  /** Where each section's content lies. */
  sections: ReadonlyMap<number, Section>;
  bytes: number;
}

const HEADER_BYTES = 84 + 3 * 64 + 3 * 128;
const MAX_POWER = 28;
/** Tens of thousands of contributions. */
const MAX_TRANSCRIPT_BYTES = 16 * 1024 * 1024;
const MAX_STAMP_BYTES = 4096;
const COEFFICIENT_BYTES = 44;

/**
 * Headers whose points were found right, by their digest, the least recently used first: pairings take most of the time
 * that a header takes, and who contributes to a key and checks it reads it several times.
 */
const sound = new Set<string>();
const MAX_SOUND = 64;

/**
 * Every size must fit every other, every point of the header is checked, and α, β and δ must be the same in both
 * groups. The points of the proving key are not read here.
 *
 * @throws KEY_MALFORMED; CONTRIBUTION_INVALID (truncated, malformed) for the record of contributions, which is read but
 * not verified; FILE_NOT_FOUND, FILE_UNREADABLE
 */
export async function readZkeyHeader(path: string): Promise<ZkeyHeader> {
  const file = await Container.open(path, "zkey", malformed);
  try {
    const { bytes, sections } = file;
    const lengthOf = (id: number): number => sections.get(id)?.length ?? malformed(`section ${id} is missing`);
    const content = (id: number) => file.content(id);
    const expectLength = (id: number, length: number) => {
      if (lengthOf(id) !== length) malformed(`section ${id} has ${lengthOf(id)} bytes instead of ${length}`);
    };

    expectLength(1, 4);
    if (uint32(await content(1), 0) !== 1) malformed("it is of another proof system than Groth16");
    expectLength(2, HEADER_BYTES);
    const header = await content(2);
    const modulus = (at: number) => (uint32(header, at) === 32 ? integer(header.subarray(at + 4, at + 36)) : 0n);
    if (modulus(0) !== Q || modulus(36) !== R) malformed("it is of another curve than BN254");
    const [wires, publics, domain] = [uint32(header, 72), uint32(header, 76), uint32(header, 80)];
    if (publics > MAX_PUBLICS) malformed(`it has more than ${MAX_PUBLICS} public signals`);
    if (wires < publics + 1) malformed("it has fewer wires than public signals");
    if (domain === 0 || (domain & (domain - 1)) !== 0 || domain > 2 ** MAX_POWER) {
      malformed(`its domain is no power of two up to 2^${MAX_POWER}`);
    }
    expectLength(3, 64 * (publics + 1));
    expectLength(5, 64 * wires);
    expectLength(6, 64 * wires);
    expectLength(7, 128 * wires);
    expectLength(8, 64 * (wires - publics - 1));
    expectLength(9, 64 * domain);
    if (lengthOf(4) < 4) malformed("section 4 is too short");
    expectLength(4, 4 + COEFFICIENT_BYTES * uint32(await file.read(sections.get(4)!.offset, 4), 0));

    const ic = await content(3);
    const [alpha1, beta1, beta2, gamma2, delta1, delta2] = points(header.subarray(84));
    const verifyingKey = {
      nPublic: publics,
      alpha: alpha1,
      beta: beta2,
      gamma: gamma2,
      delta: delta2,
      ic: Array.from({ length: publics + 1 }, (_, i) => g1(ic.subarray(64 * i, 64 * (i + 1)))),
    };
    const digest = createHash("sha256").update(header).update(ic).digest("hex");
    if (!sound.delete(digest)) checkPoints({ beta1, delta1, verifyingKey });
    const [oldest] = sound;
    if (sound.size >= MAX_SOUND) sound.delete(oldest!);
    sound.add(digest);

    if (lengthOf(10) > MAX_TRANSCRIPT_BYTES) malformed("its record of contributions is larger than 16 MB");
    const transcript = decodeTranscript(await content(10));
    const stamp = sections.has(STAMP_SECTION) ? readStamp(await stampBytes(lengthOf, content)) : undefined;
    return {
      ...{ wires, publics, domain, verifyingKey, alpha1, beta1, delta1, transcript },
      ...(stamp === undefined ? {} : { stamp }),
      sections,
      bytes,
    };
  } finally {
    await file.close();
  }
}

function malformed(reason: string): never {
  throw new AnchorError("KEY_MALFORMED", `the proving key is malformed: ${reason}`, { details: { reason } });
}

function points(bytes: Uint8Array): [G1Affine, G1Affine, G2Affine, G2Affine, G1Affine, G2Affine] {
  return [
    g1(bytes.subarray(0, 64)),
    g1(bytes.subarray(64, 128)),
    g2(bytes.subarray(128, 256)),
    g2(bytes.subarray(256, 384)),
    g1(bytes.subarray(384, 448)),
    g2(bytes.subarray(448, 576)),
  ];
}

function g1(bytes: Uint8Array): G1Affine {
  return decodeG1(bytes) ?? malformed("a coordinate is not below q");
}

function g2(bytes: Uint8Array): G2Affine {
  return decodeG2(bytes) ?? malformed("a coordinate is not below q");
}

/** β and δ in both groups by one product of pairings, δ's under a random coefficient; one by one where it is not 1. */
function checkPoints({ beta1, delta1, verifyingKey }: Pick<ZkeyHeader, "beta1" | "delta1" | "verifyingKey">): void {
  const { beta, delta } = parseVerifyingKey(verifyingKeyToJson(verifyingKey));
  const generators = { g1: g1Point(G1_GENERATOR).negate(), g2: g2Point(G2_GENERATOR) };
  const own = [
    { name: "beta", inG1: checkedG1(beta1, "beta in G1", malformed), inG2: g2Point(beta) },
    { name: "delta", inG1: checkedG1(delta1, "delta in G1", malformed), inG2: g2Point(delta) },
  ] as const;
  const coefficient = bytesToBigInt(randomBytes(16)) + 1n;
  const together = [
    { g1: own[0].inG1.add(own[1].inG1.multiplyUnsafe(coefficient)), g2: generators.g2 },
    { g1: generators.g1, g2: own[0].inG2 },
    { g1: generators.g1.multiplyUnsafe(coefficient), g2: own[1].inG2 },
  ];
  if (pairingIsOne(together)) return;
  for (const { name, inG1, inG2 } of own) {
    const pairs = [
      { g1: inG1, g2: generators.g2 },
      { g1: generators.g1, g2: inG2 },
    ];
    if (!pairingIsOne(pairs)) malformed(`${name} is another one in G1 than in G2`);
  }
  throw new AnchorError("INTERNAL", "beta and delta fail together but not one by one");
}

async function stampBytes(
  lengthOf: (id: number) => number,
  content: (id: number) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  if (lengthOf(STAMP_SECTION) > MAX_STAMP_BYTES) malformed("its stamp is too long");
  return content(STAMP_SECTION);
}

function readStamp(bytes: Uint8Array): NonNullable<ZkeyHeader["stamp"]> {
  try {
    const stamp: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    const { tool, development, circuitDigest } = stamp as Record<string, unknown>;
    if (tool !== "anchorproof" || typeof development !== "boolean") throw new Error("unknown fields");
    if (circuitDigest === undefined) return { development };
    assertHex(circuitDigest, "circuitDigest", 32);
    return { development, circuitDigest };
  } catch (error) {
    throw new AnchorError("KEY_MALFORMED", "the proving key is malformed: its stamp cannot be read", { cause: error });
  }
}

function uint32(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset + at, 4).getUint32(0, true);
}
